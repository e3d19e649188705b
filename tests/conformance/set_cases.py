"""Rows for sets of elements, and for what chooses between arrays and functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case, answer, booleans, case, complexes, integers, real, spaced, together

AGAIN = [0, 2, 1, 2, 0]


def _repeating(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of arrays in which elements are there several times."""

    def call(*arrays: Any, **keywords: Any) -> Any:
        return function(*[x[..., AGAIN] for x in arrays], **keywords)

    call.__name__ = function.__name__
    return call


def repeating(function: Callable[..., Any], *args: Any, covers: Any = None, **keywords: Any) -> Case:
    return case(_repeating(function), *args, covers=covers or function, **keywords)


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of two arrays that have elements in common."""

    def call(x: Any, y: Any, **keywords: Any) -> Any:
        return function(x, np.concatenate([x[..., 1:], y], axis=-1), **keywords)

    call.__name__ = function.__name__
    return call


ALL = {"return_index": True, "return_inverse": True, "return_counts": True}


def sets() -> list[Case]:
    rows = [repeating(together(np.unique, {}, ALL), spaced(2, 3), covers=np.unique)]
    rows += [repeating(np.unique, spaced(2, 3), axis=1)]
    rows += [case(np.unique, real(0)), repeating(np.unique, complexes(3), return_counts=True)]
    rows += [answer(np.unique, integers(3, 3, high=2), axis=0, **ALL), answer(np.unique, integers(9), equal_nan=False)]
    rows += [repeating(f, spaced(3)) for f in (np.unique_all, np.unique_counts, np.unique_inverse)]
    rows += [repeating(lambda x: np.sort(np.unique_values(x)), spaced(3), covers=np.unique_values)]
    for f in (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d):
        # What is in both is read from the first, which the second is made of here.
        rows += [case(_common(f), spaced(4), real(2, low=5, high=6), covers=f, independent=True)]
        rows += [answer(f, integers(5, high=4), integers(5, high=4))]
    rows += [case(_common(np.intersect1d), spaced(4), spaced(0), return_indices=True, covers=np.intersect1d)]
    rows += [answer(_common(np.isin), spaced(2, 4), real(2, 1), covers=np.isin)]
    rows += [answer(np.isin, integers(3, 4), integers(30, high=5), invert=True), answer(np.isin, real(2), [])]
    rows += [case(lambda x: np.trim_zeros(x * [0, 0, 1.0, 0, 1, 0]), real(6), covers=np.trim_zeros)]
    rows += [case(np.trim_zeros, real(3), "b")]
    if np.lib.NumpyVersion(np.__version__) >= "2.2.0":
        rows += [answer(_framed, integers(2, 3, low=1), covers=np.trim_zeros)]
    return rows


def _framed(x: Any) -> Any:
    """An array with zeros around it, without those before it."""
    return np.trim_zeros(np.pad(x, 1), "f", 1)


def choosing() -> list[Case]:
    which = np.array([0, 2, 1, 0])
    rows = [case(np.choose, which, real(3, 4)), case(np.choose, which[:, None], [real(4), real(), real(4, 1)])]
    rows += [case(together(np.choose, {"mode": "wrap"}, {"mode": "clip"}), which * 3 - 2, real(3, 4), covers=np.choose)]
    rows += [answer(lambda i, x: i.choose(x), integers(3, high=2), integers(2, 3), covers="Tensor.choose")]

    def pieces(x: Any) -> Any:
        return np.piecewise(x, [x < -0.2, x > 0.3], [lambda v: np.exp(v), lambda v, k=2: v**k, 0.5])

    rows += [case(pieces, spaced(2, 4), covers=np.piecewise), case(pieces, real(low=0.5), covers=np.piecewise)]
    rows += [case(np.piecewise, spaced(3), np.array([True, False, True]), [np.sin, real()])]
    rows += [answer(np.piecewise, integers(4), [np.array([True, False, True, True])], [lambda v, n: v - n, 7], 2)]
    rows += [answer(np.choose, booleans(3), [1, 2])]
    return rows


CASES = [*sets(), *choosing()]
