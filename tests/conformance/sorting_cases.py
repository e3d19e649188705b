"""Rows for what sorts, and for places in what is sorted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case, answer, booleans, case, complexes, integers, real, spaced
from .tensor_cases import method


def _of_complex(*shape: int) -> Any:
    return complexes(*shape, low=-1.0, high=1.0)


def sorted_arrays() -> list[Case]:
    rows = [case(np.sort, spaced(*shape)) for shape in [(5,), (1,), (0,), (2, 3), (2, 1, 3), (0, 3), (3, 0)]]
    rows += [case(np.sort, spaced(2, 3), **k) for k in ({"axis": 0}, {"axis": None}, {"axis": -2, "kind": "heapsort"})]
    rows += [case(np.sort, spaced(2, 4), kind="stable"), case(np.sort, spaced(4), stable=True)]
    rows += [
        case(np.sort, spaced(), axis=None),
        case(np.sort, _of_complex(4)),
        case(np.sort, _of_complex(2, 3), axis=0),
    ]
    rows += [answer(np.sort, integers(2, 5), axis=0), answer(np.sort, booleans(6))]
    rows += [answer(np.argsort, spaced(*shape)) for shape in [(5,), (2, 3), (0,), (2, 0)]]
    rows += [answer(np.argsort, spaced(2, 3), axis=0, kind="stable"), answer(np.argsort, spaced(2, 3), axis=None)]
    rows += [answer(np.argsort, integers(3, 8, high=3), axis=1, stable=True), answer(np.argsort, _of_complex(5))]
    rows += [answer(np.argsort, booleans(8), kind="stable")]
    rows += [case(np.sort_complex, spaced(4), single=False), case(np.sort_complex, _of_complex(2, 3))]
    rows += [answer(np.lexsort, (integers(6, high=3), integers(6, high=3))), answer(np.lexsort, (spaced(4),))]
    rows += [answer(np.lexsort, integers(3, 6, high=2)), answer(np.lexsort, integers(2, 3, 4, high=3), axis=0)]
    return rows


def _ranked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The elements of the ranks that are asked for, which are all that NumPy promises, and the sums on both sides."""

    def ranked(x: Any, kth: Any, axis: Any = -1) -> Any:
        parts = function(x, kth, axis=axis)
        if function is np.argpartition:
            parts = np.take_along_axis(x, parts, axis)
        place = 0 if axis is None else axis
        ranks = sorted({k % parts.shape[place] for k in np.atleast_1d(kth).tolist()})
        rest = np.split(parts, [end for k in ranks for end in (k, k + 1)], place)
        return np.concatenate([np.sum(np.exp(part), place, keepdims=True) for part in rest], place)

    ranked.__name__ = function.__name__
    return ranked


def parts() -> list[Case]:
    rows = []
    for f in (np.partition, np.argpartition):
        calls = [(spaced(6), 2), (spaced(6), [1, -1]), (spaced(2, 5), 3), (spaced(4, 2, 2), [0, 2], 0)]
        rows += [case(_ranked(f), *args, covers=f) for args in calls]
    rows += [case(_ranked(np.partition), spaced(2, 3), 4, None, covers=np.partition)]
    rows += [case(np.partition, spaced(0, 3), 1), case(np.partition, spaced(0), 0)]
    rows += [answer(np.argpartition, spaced(0, 3), 1), answer(np.argpartition, spaced(1), 0)]
    return rows


EDGES = np.array([-0.6, -0.3, 0.0, 0.3, 0.6])


def _multiples(function: Callable[..., Any], factors: Any, *args: Any) -> Callable[..., Any]:
    """The function of given numbers, as multiples of 1."""

    def call(one: Any, **keywords: Any) -> Any:
        return function(*args, one * factors, **keywords)

    call.__name__ = function.__name__
    return call


def places() -> list[Case]:
    rows = [answer(np.searchsorted, EDGES, real(*shape)) for shape in [(), (2, 3), (0,)]]
    rows += [answer(np.searchsorted, real(5), real(3), sorter=np.arange(5)), answer(np.searchsorted, real(0), 1.0)]
    line, one = np.array([0j, 1j, 1j, 1 + 1j]), integers(1, low=1, high=2)
    among = _multiples(np.searchsorted, np.array([1j, 2, 1j, 0, np.nan]), line)
    for side in ("left", "right"):
        rows += [answer(np.searchsorted, np.array([1, 1, 2, 2]), integers(6, high=4), side=side)]
        rows += [answer(among, one, side=side, covers=np.searchsorted)]
    rows += [answer(np.digitize, real(2, 3), EDGES), answer(np.digitize, real(), EDGES)]
    for right in (False, True):
        rows += [answer(np.digitize, integers(9, high=7), edges, right=right) for edges in ([1, 3, 3, 5], [5, 3, 1])]
    return rows


def _in_place(name: str) -> Callable[..., Any]:
    """A method that writes into its array: the results of that array, and of a part of it."""

    def change(x: Any, *args: Any, **keywords: Any) -> Any:
        whole, part = x * 1.0, x * 1.0
        getattr(whole, name)(*args, **keywords)
        getattr(part[1:], name)(*args, **keywords)
        return whole, part

    return change


def methods() -> list[Case]:
    rows = [case(_in_place("sort"), spaced(3, 4), covers="Tensor.sort")]
    rows += [case(_in_place("sort"), spaced(3, 4), axis=0, kind="stable", covers="Tensor.sort")]
    rows += [case(_in_place("partition"), spaced(3), 1, covers="Tensor.partition")]
    rows += [method("argsort", spaced(5), gradient="none"), method("argsort", spaced(2, 3), axis=0, gradient="none")]
    rows += [method("argpartition", spaced(2), 1, gradient="none")]
    rows += [method("searchsorted", real(0), real(2), "right", gradient="none")]
    rows += [method("compress", real(2, 3), [True, False, True], axis=1), method("compress", real(4), [0, 1])]
    return rows


CASES = [*sorted_arrays(), *parts(), *places(), *methods()]
