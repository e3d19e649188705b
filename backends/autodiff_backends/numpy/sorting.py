"""Order on NumPy, which has one of its own for all numbers, and finds elements of some ranks without sorting all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Ranks from which sorting all is faster than finding them one after another (10,000 numbers: 20 ranks).
MANY_RANKS = 20

# Elements from which NumPy's stable sort takes longer than one that is not, and is mended (10,000 numbers: 0.7 ms and
# 0.2 ms; a million: 130 ms and 50 ms).
LEAST_MENDED = 2048


def _kind(stable: bool) -> Any:
    return "stable" if stable else None


def sort(x: Array, axis: int, stable: bool) -> Array:
    """A sorted array."""
    return np.sort(x, axis, _kind(stable))


def argsort(x: Array, axis: int, stable: bool) -> Array:
    """The positions that sort an array."""
    if not stable or x.shape[axis] < LEAST_MENDED or x.dtype.char not in "ilqILQfd":
        return np.argsort(x, axis, _kind(stable))
    x = np.moveaxis(x, axis, -1)
    # Runs of equal elements, NaN among them, are put in order afterwards: each is one range of integers.
    positions = np.argsort(x, -1)
    ordered = np.take_along_axis(x, positions, -1)
    before, after = ordered[..., :-1], ordered[..., 1:]
    starts = before != after
    if x.dtype.kind == "f":
        starts &= before == before
    if not starts.all():
        numbers = np.zeros(x.shape, np.int64)
        np.cumsum(starts, -1, out=numbers[..., 1:])
        numbers *= x.shape[-1]
        positions += numbers
        positions.sort(-1)
        positions -= numbers
    return np.moveaxis(positions, -1, axis)


def partition(x: Array, ranks: Array) -> Array:
    """An array whose elements of some ranks are where sorting has them."""
    return np.partition(x, ranks, -1)


def argpartition(x: Array, ranks: Array) -> Array:
    """The positions of ``partition``."""
    return np.argpartition(x, ranks, -1)


def ranked(x: Array, ranks: Array) -> Array:
    """The elements of some ranks along the last axis."""
    ordered = np.partition(x, ranks, -1) if ranks.size < MANY_RANKS else np.sort(x, -1)
    return ordered[..., ranks]


def searchsorted(a: Array, v: Array, right: bool) -> Array:
    """Before which elements of a sorted vector others belong."""
    return np.asarray(np.searchsorted(a, v, "right" if right else "left"))


ROUTINES: tuple[Callable[..., Any], ...] = (sort, argsort, partition, argpartition, ranked, searchsorted)
