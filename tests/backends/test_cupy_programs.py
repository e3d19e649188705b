"""Programs of the tests on a GPU, in a thousandth of their size: calls of CuPy's library, without its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad

from .cupy_programs import Program, programs

SMALL = programs(0.001)
WIDE = {"f": "f8", "c": "c16"}


def host(results: Any) -> list[np.ndarray]:
    """A value and its gradients, on the host."""
    value, gradients = results
    return [np.asarray(ad.Tensor(x, copy=False)) for x in (value, *gradients)]


def step_of(program: Program, graph: ad.Graph) -> Callable[[], Any]:
    """What computes the value and the gradients of a program."""
    variables = [graph.tensor(v) for v in program.variables]
    data = [graph.tensor(d, constant=True) for d in program.data]
    return lambda: graph.value_and_gradient(program.loss(*variables, *data), variables)


def check(program: Program, backend: Any, calls: int = 1, graph: ad.Graph | None = None) -> None:
    """Value and gradients are those of NumPy in double precision; the same ones in each call."""
    wide = [x.astype(WIDE.get(x.dtype.kind, x.dtype)) for x in (*program.variables, *program.data)]
    n = len(program.variables)
    right = host(step_of(program._replace(variables=wide[:n], data=wide[n:]), ad.Graph(backend="numpy"))())
    step = step_of(program, graph or ad.Graph(backend=backend))
    found = [host(step()) for _ in range(calls)]
    for got, first in zip(zip(*found, strict=True), right, strict=True):
        for x in got:
            assert np.linalg.norm(x.astype(first.dtype) - first) <= program.rtol * np.linalg.norm(first)
            np.testing.assert_array_equal(x, got[0], "calls differ")


@pytest.mark.parametrize("name", SMALL)
def test_a_program(name: str, cupy_called: ad.Backend) -> None:
    check(SMALL[name], cupy_called)
