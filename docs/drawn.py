"""Pictures of recorded graphs for the guide. This library places their boxes, so they are the same everywhere."""

from __future__ import annotations

from unittest import mock

import numpy as np

import autodiff as ad
from autodiff.display import graphviz
from autodiff.display.pictures import Picture


def _drawn(dy: ad.Tensor, dx: list[ad.Tensor]) -> str:
    with mock.patch.object(graphviz.shutil, "which", return_value=None):
        picture: Picture = ad.Graph().draw(dy, dx)
    return picture.svg + "\n"


def _tensors(**shapes: tuple[int, ...]) -> list[ad.Tensor]:
    return [ad.Tensor(np.zeros(shape), name=name) for name, shape in shapes.items()]


def derivative() -> str:
    """docs/pictures/derivative.svg: a small network, its loss, and the derivative of that."""
    W1, b1, W2, b2 = variables = _tensors(W1=(4, 8), b1=(8,), W2=(8, 1), b2=(1,))
    x, target = (ad.Tensor(np.zeros((16, n)), constant=True, name=name) for n, name in ((4, "x"), (1, "target")))
    hidden = np.tanh(x @ W1 + b1)
    return _drawn(np.mean((hidden @ W2 + b2 - target) ** 2), variables)


def loop() -> str:
    """docs/pictures/loop.svg: fifty steps of a recurrent network, drawn once."""
    Wx, Wh, b, Wo = variables = _tensors(Wx=(3, 8), Wh=(8, 8), b=(8,), Wo=(8, 2))
    x, h = ad.Tensor(np.zeros((50, 4, 3)), constant=True, name="x"), np.zeros((4, 8))
    for t in range(50):
        h = np.tanh(x[t] @ Wx + h @ Wh + b)
    return _drawn(np.mean((h @ Wo) ** 2), variables)
