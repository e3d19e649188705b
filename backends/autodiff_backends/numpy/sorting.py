"""Order on NumPy, which has one of its own for all numbers, and finds elements of some ranks without sorting all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.core.avals import broadcast_shape

Array = np.ndarray[Any, Any]

# Ranks from which sorting all is faster than finding them one after another (10,000 numbers: 20 ranks).
MANY_RANKS = 20

# Elements from which NumPy's stable sort takes longer than one that is not, and is mended (10,000 numbers: 0.7 ms and
# 0.2 ms; a million: 130 ms and 50 ms).
LEAST_MENDED = 2048


def _kind(stable: bool) -> Any:
    return "stable" if stable else None


def _batched(x: Array, others: Array) -> Array:
    return np.broadcast_to(x, (*broadcast_shape(x.shape[:-1], others.shape[:-1]), x.shape[-1]))


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
    return np.partition(x, ranks, -1) if ranks.ndim == 1 else np.sort(_batched(x, ranks), -1)


def argpartition(x: Array, ranks: Array) -> Array:
    """The positions of ``partition``."""
    return np.argpartition(x, ranks, -1) if ranks.ndim == 1 else np.argsort(_batched(x, ranks), -1)


def ranked(x: Array, ranks: Array) -> Array:
    """The elements of some ranks along the last axis."""
    if ranks.ndim > 1:
        ordered = np.sort(_batched(x, ranks), -1)
        return np.take_along_axis(ordered, np.broadcast_to(ranks, (*ordered.shape[:-1], ranks.shape[-1])), -1)
    ordered = np.partition(x, ranks, -1) if ranks.size < MANY_RANKS else np.sort(x, -1)
    return ordered[..., ranks]


def searchsorted(a: Array, v: Array, right: bool) -> Array:
    """Before which elements of a sorted vector others belong."""
    if a.ndim == 1:
        return np.asarray(np.searchsorted(a, v, "right" if right else "left"))
    batch = broadcast_shape(a.shape[:-1], v.shape)
    rows, v = np.broadcast_to(a, (*batch, a.shape[-1])), np.broadcast_to(v, batch)[..., None]
    # The rank of what is looked for among all.
    order = np.argsort(np.concatenate([rows, v] if right else [v, rows], -1), -1, "stable")
    return np.asarray(np.argmax(order == (a.shape[-1] if right else 0), -1))


ROUTINES: tuple[Callable[..., Any], ...] = (sort, argsort, partition, argpartition, ranked, searchsorted)
