"""Sets of numbers, one for each element of an array, as the rows of a compressed matrix: arrays of NumPy, no nodes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import RangeError
from ..machine import memory_bytes

Ints = np.ndarray[Any, np.dtype[np.integer[Any]]]

# Entries take 8 bytes while they are put in order, several times over.
BYTES_AN_ENTRY = 64
# Rows times columns are numbers of entries.
MOST_PLACES = 2**63 - 1

_serial = itertools.count().__next__


class Sets:
    """A sorted set of numbers below ``width`` for each of several rows. Nobody writes to the arrays.

    Attributes
    ----------
    starts : ndarray
        Where the set of each row begins in ``members``, and where the last one ends.
    members : ndarray
    width : int
    number : int
        Of this object: no other ever has it.
    """

    __slots__ = ("__weakref__", "members", "number", "starts", "width")

    def __init__(self, starts: Ints, members: Ints, width: int):
        self.starts = starts
        self.members = members
        self.width = width
        self.number = _serial()

    @property
    def rows(self) -> int:
        """How many sets there are."""
        return len(self.starts) - 1

    @property
    def counts(self) -> Ints:
        """How many numbers each set has."""
        return np.diff(self.starts)

    @property
    def single(self) -> bool:
        """Whether every set has one number."""
        return len(self.members) == self.rows and bool(np.all(self.counts == 1))

    def row_of_each(self) -> Ints:
        """For each entry its row."""
        return np.repeat(np.arange(self.rows), self.counts)

    def taken(self, rows: Ints) -> Sets:
        """The sets of these rows, in this order; an empty one for -1."""
        wanted = rows >= 0
        if self.single and wanted.all():
            return Sets(np.arange(len(rows) + 1), self.members[rows], self.width)
        counts = np.where(wanted, self.counts[rows], 0) if self.rows else np.zeros(len(rows), np.intp)
        starts = _starts(counts)
        check_memory(int(starts[-1]))
        first = self.starts[:-1][rows] if self.rows else starts[:-1]
        places = np.arange(starts[-1]) + np.repeat(first - starts[:-1], counts)
        return Sets(starts, self.members[places], self.width)

    def merged(self, groups: Ints, count: int) -> Sets:
        """The union of the sets of each group of rows; ``groups`` says which group a row belongs to, of ``count``."""
        return of_entries(np.repeat(groups, self.counts), self.members, count, self.width)

    def transposed(self) -> Sets:
        """For each number the rows whose sets have it."""
        order = np.argsort(self.members, kind="stable")
        starts = _starts(np.bincount(self.members, minlength=self.width))
        return Sets(starts, self.row_of_each()[order], self.rows)


def identity(count: int, first: int, width: int) -> Sets:
    """Each row has one number, counted from ``first``."""
    return Sets(np.arange(count + 1), np.arange(first, first + count, dtype=_dtype(width)), width)


def of_entries(rows: Ints, members: Ints, count: int, width: int, runs: bool = False) -> Sets:
    """The sets that have these numbers in these rows, each any number of times.

    ``runs`` says that the entries are few runs that are in order: merging these takes half the time of sorting all.
    """
    if count * width > MOST_PLACES:
        raise RangeError(f"sparse=True: a matrix of shape ({count}, {width}) has more places than can be numbered")
    check_memory(len(rows))
    places = rows.astype(np.int64)
    places *= width
    places += members
    places.sort(kind="stable" if runs else None)
    if len(places):
        fresh = np.empty(len(places), bool)
        fresh[0] = True
        np.not_equal(places[1:], places[:-1], out=fresh[1:])
        if not fresh.all():
            places = places[fresh]
    # In place, as far as it goes: the first use of new memory takes longer than what is done to it.
    found = places // width if width else places
    if width:
        places %= width
    return Sets(_starts(np.bincount(found, minlength=count)), places.astype(_dtype(width)), width)


def union(several: Sequence[Sets]) -> Sets:
    """The union of sets row by row."""
    first = several[0]
    if len(several) == 1:
        return first
    rows = np.concatenate([sets.row_of_each() for sets in several])
    members = np.concatenate([sets.members for sets in several])
    return of_entries(rows, members, first.rows, first.width, True)


def stacked(several: Sequence[Sets]) -> Sets:
    """The rows of several one after another."""
    if not several:
        return empty(0, 0)
    ends = itertools.accumulate([len(sets.members) for sets in several], initial=0)
    starts = [sets.starts[:-1] + end for sets, end in zip(several, ends, strict=False)]
    members = np.concatenate([sets.members for sets in several])
    return Sets(np.concatenate([*starts, [len(members)]]), members, several[0].width)


def empty(count: int, width: int) -> Sets:
    """Rows without numbers."""
    return Sets(np.zeros(count + 1, np.intp), np.zeros(0, _dtype(width)), width)


def _starts(counts: Ints) -> Ints:
    starts = np.zeros(len(counts) + 1, np.intp)
    np.cumsum(counts, out=starts[1:])
    return starts


def _dtype(width: int) -> Any:
    return np.int32 if width <= np.iinfo(np.int32).max else np.int64


def check_memory(entries: int) -> None:
    """An error for more entries than can be put in order."""
    if entries * BYTES_AN_ENTRY > memory_bytes():
        raise RangeError(
            f"sparse=True: something on the way depends on so many elements that {entries:,} places may not be zero; "
            "these do not fit into memory. Products (hvp, jvp, vjp) need no matrix"
        )
