"""NumPy's Fourier transforms of Tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import integers, word
from ..convert import describe
from ..errors import ArgumentError
from ..nodes import Node
from ..tensor import node_of
from .calling import Handler, put
from .shapes import roll


def _norm(norm: Any, name: str) -> str | None:
    return None if norm is None else word(norm, f"{name}: norm", tuple(ops.OPPOSITE))


def _along(name: str) -> Handler:
    transform: Callable[..., Node] = getattr(ops, name)

    def handler(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> Any:
        return put(out, transform(node_of(a), n, axis, _norm(norm, name)), name)

    return handler


def _over(name: str, each: Callable[..., Node], last: Callable[..., Node], default: Any) -> Handler:
    def handler(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
        return put(out, ops.over_axes(name, node_of(a), s, axes, _norm(norm, name), each, last), name)

    return handler


def _shift(direction: int, name: str) -> Handler:
    def handler(x: Any, axes: Any = None) -> Any:
        shape = node_of(x).aval.shape
        if isinstance(axes, np.ndarray) and not axes.ndim:
            raise ArgumentError(f"{name}: axes={describe(axes)} must be an integer or a sequence of integers")
        places = list(range(len(shape))) if axes is None else integers(axes, f"{name}: axes")
        by = [direction * (shape[ops.normalize_axis(a, len(shape), name)] // 2) for a in places]
        return roll(x, by, places) if places else roll(x, 0)

    return handler


TABLE: dict[Any, Handler] = {
    **{getattr(np.fft, name): _along(name) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
    **{
        getattr(np.fft, f"{name}{many}"): _over(f"{name}{many}", each, last, axes)
        for name, each, last in (
            ("fft", ops.fft, ops.fft),
            ("ifft", ops.ifft, ops.ifft),
            ("rfft", ops.fft, ops.rfft),
            ("irfft", ops.ifft, ops.irfft),
        )
        for many, axes in (("2", (-2, -1)), ("n", None))
    },
    np.fft.fftshift: _shift(1, "fftshift"),
    np.fft.ifftshift: _shift(-1, "ifftshift"),
}
