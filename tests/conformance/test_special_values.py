"""Zeros, infinities, NaN and the ends of the range: values are NumPy's, and both executions agree on gradients.

Single elements matter here: generated code computes them with Python's floats, which raise where IEEE arithmetic
gives inf or NaN.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autodiff as ad

from .checks import INTERPRETED
from .ufunc_cases import COMPARISONS, PAIRWISE, PIECEWISE_CONSTANT, PREDICATES, SMOOTH

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -0.5, np.inf, -np.inf, np.nan, 1e308, -1e308, 1e-300, 5e-324, 709.0, -746.0]
UNARY = [f for f, _ in SMOOTH] + PIECEWISE_CONSTANT + PREDICATES + [np.signbit]
BINARY = [f for f, _, _ in PAIRWISE] + COMPARISONS + [np.floor_divide]
PAIRS = list(itertools.product(SPECIAL, SPECIAL))


def results(x: Any) -> list[Any]:
    return list(x) if isinstance(x, tuple) else [x]


def same(actual: Any, expected: Any, what: str) -> None:
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=1e-13, atol=0, err_msg=what)


def gradients(f: np.ufunc, values: tuple[np.ndarray, ...], backend: Any = None) -> list[np.ndarray]:
    """Of each floating result of ``f``, with respect to each argument."""
    found = []
    for place in range(f.nout):
        tensors = [ad.Tensor(v) for v in values]
        out = results(f(*tensors))[place]
        if out.dtype.kind == "f":
            found += ad.Graph(backend=backend).gradient(out, tensors)
    return found


def check(f: np.ufunc, *values: np.ndarray) -> None:
    """The value is NumPy's, and the gradients by generated code are those by the interpreter."""
    what = f"{f.__name__}{values}" if values[0].ndim == 0 else f.__name__
    for out, expected in zip(results(f(*[ad.Tensor(v) for v in values])), results(f(*values))):
        same(out.value, expected, what)
    for g, h in zip(gradients(f, values), gradients(f, values, INTERPRETED)):
        same(g, h, f"gradient of {what}")


@pytest.mark.parametrize("f", UNARY, ids=lambda f: f.__name__)
def test_unary(f: np.ufunc) -> None:
    with np.errstate(all="ignore"):
        check(f, np.array(SPECIAL))
        for v in SPECIAL:
            check(f, np.array(v))


@pytest.mark.parametrize("f", BINARY, ids=lambda f: f.__name__)
def test_binary(f: np.ufunc) -> None:
    with np.errstate(all="ignore"):
        check(f, *np.array(PAIRS).T)
        for x, y in PAIRS:
            check(f, np.array(x), np.array(y))
