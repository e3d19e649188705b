"""Large results, in memory that the caller has dropped: new memory is paid for page by page when it is written to.

A plan keeps the last arrays that it gave. One that nobody else refers to any more is given again; reference counts say
so. They count every view, buffer and capsule, since each of these holds the array.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from autodiff.plan.workspaces import kept

# Smaller arrays are made as fast as kept ones are found.
SMALLEST_KEPT = 1 << 19

# So many arrays of each result: a caller may have one while it asks for the next.
MOST_KEPT = 2

# Of what all plans may keep, the part that one result may be: larger ones would drive out what calls work in.
LARGEST_SHARE = 8


def _taken(spare: list[Any]) -> tuple[Any, int]:
    """The first of a list, out of it, and how many references there are to it."""
    array = spare.pop(0)
    return array, sys.getrefcount(array)


# Of an array that nobody else has.
_ALONE = _taken([np.empty(0)])[1]

# Without the interpreter's lock, what other threads have just dropped may be counted late, and what they took as well.
_COUNTS = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()


class Results:
    """Arrays for the results of a plan.

    Parameters
    ----------
    outputs : sequence of (tuple of int, numpy.dtype)
        Their shapes and dtypes.
    """

    __slots__ = ("__weakref__", "_outputs", "_spare")

    def __init__(self, outputs: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]):
        self._outputs = tuple(outputs)
        # For each large result, those that were given. Popping and appending are atomic: no two calls take one.
        self._spare: tuple[list[Any] | None, ...] = tuple(
            [[] if _COUNTS and is_large(shape, dtype) else None for shape, dtype in self._outputs]
        )

    def arrays(self) -> list[Any]:
        """Arrays with any numbers, which nobody else has."""
        return [
            np.empty(shape, dtype) if spare is None else self._array(spare, shape, dtype)
            for spare, (shape, dtype) in zip(self._spare, self._outputs, strict=True)
        ]

    def _array(self, spare: list[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        for _ in range(len(spare)):
            try:
                array, count = _taken(spare)
            except IndexError:  # another thread was faster
                break
            if not _is_as_made(array, shape, dtype):
                continue
            spare.append(array)
            if count == _ALONE and weakref.getweakrefcount(array) == 1:
                return array
        array = np.empty(shape, dtype)
        if len(spare) < MOST_KEPT and array.nbytes * LARGEST_SHARE <= kept.limit:
            kept.add(self, array, array.nbytes)
            spare.append(array)
            kept.keep_within()
        return array

    def put_aside(self) -> None:
        """Nothing is: what is dropped is what the caller has dropped."""

    def drop(self) -> int:
        """Keep no array that was given; how many bytes that gives back, if the caller has none of them."""
        dropped = 0
        for spare in self._spare:
            while spare:
                with suppress(IndexError):  # another thread was faster
                    dropped += spare.pop().nbytes
        kept.forget(self)
        return dropped


def is_large(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether it is worth keeping."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize >= SMALLEST_KEPT


def _is_as_made(array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether the caller has changed nothing of the array but its elements."""
    flags = array.flags
    own = flags.owndata and flags.writeable and flags.c_contiguous and flags.aligned
    return bool(own and array.shape == shape and array.dtype == dtype)
