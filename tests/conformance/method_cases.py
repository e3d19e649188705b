"""Methods of ufuncs that are no function of NumPy's: folds, running folds, folds of parts, changes in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff as ad

from .case import Case, Draw, booleans, case, composed, integers, positive, real, spaced
from .ufunc_cases import answer

MASK = np.array([[True, False, True], [False, True, True]])

FLOATS: dict[np.ufunc, Callable[..., Draw]] = {
    np.fmax: spaced,
    np.fmin: spaced,
    np.logaddexp: real,
    np.logaddexp2: real,
    np.hypot: positive,
    np.subtract: real,
    np.divide: positive,
}
VECTORISED: dict[np.ufunc, Callable[..., Draw]] = {
    np.power: lambda *shape: positive(*shape, low=0.5, high=1.2),
    np.float_power: lambda *shape: positive(*shape, low=0.5, high=1.2),
    np.arctan2: positive,
}
INTEGERS = (np.gcd, np.lcm, np.bitwise_and, np.bitwise_or, np.bitwise_xor)
IN_ORDER = (np.left_shift, np.right_shift)
PIECEWISE = (np.floor_divide, np.heaviside)


def _at(ufunc: np.ufunc, x: Any, index: Any, *values: Any) -> Any:
    out = np.copy(x)
    ufunc.at(out, index, *values)
    return out


def _reduce(ufunc: np.ufunc) -> Callable[..., Any]:
    """That of Tensors beside the last of NumPy's running results.

    NumPy's own ``reduce`` of arctan2 and power gives f(first, last) where it has a vectorised loop.
    """

    def reduce(x: Any, axis: int = 0) -> Any:
        if isinstance(x, ad.Tensor):
            return ufunc.reduce(x, axis=axis)
        return np.take(ufunc.accumulate(x, axis=axis), -1, axis=axis)

    return reduce


def _label(ufunc: np.ufunc, method: str) -> str:
    return f"np.{ufunc.__name__}.{method}"


def folds() -> list[Case]:
    rows = []
    for f, draw in VECTORISED.items():
        rows += [case(_reduce(f), draw(5), covers=_label(f, "reduce"))]
        rows += [case(_reduce(f), draw(2, 3), axis=1, covers=_label(f, "reduce"))]
        rows += [case(f.accumulate, draw(2, 3), axis=1, covers=_label(f, "accumulate"))]
    for f, draw in FLOATS.items():
        label = _label(f, "reduce")
        rows += [case(f.reduce, draw(n), covers=label) for n in (1, 2, 5)]
        rows += [
            case(f.reduce, draw(3, 2), covers=label),
            case(f.reduce, draw(2, 3), axis=-1, keepdims=True, covers=label),
            case(f.reduce, draw(2, 3), axis=1, initial=0.7, covers=label),
            case(f.reduce, draw(2, 3), axis=1, initial=0.7, where=MASK, covers=label),
            case(f.accumulate, draw(5), covers=_label(f, "accumulate")),
            case(f.accumulate, draw(2, 3), axis=1, covers=_label(f, "accumulate")),
            case(f.reduceat, draw(6), [0, 3, 1, 4], covers=_label(f, "reduceat")),
        ]
    for f in (np.remainder, np.fmod):
        draws = [positive(3, low=2.2, high=2.6), positive(2, 3, low=2.2, high=2.6)]
        rows += [case(f.reduce, draws[0], covers=_label(f, "reduce"))]
        rows += [case(f.accumulate, draws[1], axis=1, covers=_label(f, "accumulate"))]
    for f in (np.copysign, np.nextafter):
        rows += [case(f.reduce, positive(3), covers=_label(f, "reduce"), single=False)]
        rows += [case(f.accumulate, positive(3), covers=_label(f, "accumulate"), single=False)]
    for f in PIECEWISE:
        rows += [case(f.reduce, positive(3), gradient="zero", covers=_label(f, "reduce"))]
        rows += [case(f.accumulate, positive(1), covers=_label(f, "accumulate"))]
    for f in (np.logaddexp, np.hypot, np.subtract):
        rows += [case(f.reduce, positive(2, 3), axis=(1,), covers=_label(f, "reduce"))]
    rows += [
        case(np.hypot.reduce, positive(2, 3), axis=None, covers="np.hypot.reduce"),
        case(np.logaddexp.reduce, real(2, 2, 2), axis=(0, 2), covers="np.logaddexp.reduce"),
        answer(np.logaddexp.reduce, np.zeros(0), covers="np.logaddexp.reduce"),
        answer(np.subtract.accumulate, np.zeros((0, 2)), covers="np.subtract.accumulate"),
    ]
    for f in (*INTEGERS, *IN_ORDER):
        low = 0 if f in IN_ORDER else 1
        rows += [
            answer(f.reduce, integers(2, 3, low=low, high=4), axis=1, covers=_label(f, "reduce")),
            answer(f.accumulate, integers(5, low=low, high=4), covers=_label(f, "accumulate")),
        ]
    for f in (np.logical_xor, np.logical_and, np.logical_or):
        rows += [answer(f.reduce, booleans(2, 3), axis=1, covers=_label(f, "reduce"))]
        rows += [answer(f.accumulate, booleans(5), covers=_label(f, "accumulate"))]
    for f in (np.maximum, np.minimum):
        rows += [
            case(f.accumulate, spaced(6), covers=_label(f, "accumulate")),
            case(f.accumulate, spaced(3, 2), axis=0, covers=_label(f, "accumulate")),
            case(f.reduceat, spaced(5, 2), [1, 3], covers=_label(f, "reduceat")),
        ]
    rows += [
        case(np.add.reduceat, real(6), [0, 2, 5], covers="np.add.reduceat"),
        case(np.add.reduceat, real(6), [1, 4, 2, 2], covers="np.add.reduceat"),
        case(np.add.reduceat, real(2, 6), np.array([1, 4]), axis=1, covers="np.add.reduceat"),
        case(np.add.reduceat, real(3, 2), [0, 1], 0, "f8", single=False, covers="np.add.reduceat"),
        answer(np.add.reduceat, integers(6), [0, 2], dtype="i8", covers="np.add.reduceat"),
        case(np.multiply.reduceat, positive(6), [0, 2, 5], covers="np.multiply.reduceat"),
    ]
    return rows


def changes() -> list[Case]:
    twice = np.array([0, 2, 0, 0])
    rows = [
        case(_at, np.multiply, real(3), twice, real(4), covers="np.multiply.at"),
        case(_at, np.multiply, real(3, 2), (twice, 1), real(4), covers="np.multiply.at"),
        case(_at, np.divide, real(3, 2), twice, positive(2), covers="np.divide.at"),
        case(_at, np.maximum, spaced(3), [2, 1], real(2, low=3.0, high=4.0), covers="np.maximum.at"),
        case(_at, np.power, positive(3), twice, 1.5, covers="np.power.at"),
        case(_at, np.exp, real(3), np.array([1, 1]), covers="np.exp.at"),
        case(_at, np.negative, real(2, 3), (slice(None), [0, 2]), covers="np.negative.at"),
        case(_at, np.sin, real(3), np.array([True, False, True]), covers="np.sin.at"),
        case(_at, np.multiply, real(3), slice(1, None), real(2), covers="np.multiply.at"),
        case(_at, np.logaddexp, real(2), [], real(0), covers="np.logaddexp.at", independent=True),
    ]
    return rows


CASES: list[Case] = composed([*folds(), *changes()])
