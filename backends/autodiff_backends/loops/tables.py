"""The numbers that a kernel reads rather than holds: where storages are, and how often a body is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .schedule import Schedule, Segment


class Rows(NamedTuple):
    """Where a body finds its places.

    Attributes
    ----------
    repeated, start : int
        The entries of the table that hold the number of rows, and where the first of them begins.
    width : int
        Numbers in a row.
    places : dict of (int, int) to int
        For each column of the body where in a row its address is.
    """

    repeated: int
    start: int
    width: int
    places: dict[tuple[int, int], int]


class Table:
    """Fixed entries, then the rows of bodies that are repeated."""

    def __init__(self) -> None:
        self._fixed: list[int] = []
        self._rows: list[tuple[int, Any]] = []

    def entry(self, value: int) -> int:
        """A fixed place of the table, for this value."""
        self._fixed.append(value)
        return len(self._fixed) - 1

    def body(self, schedule: Schedule, segment: Segment, columns: Sequence[tuple[int, int]]) -> Rows:
        """A row for each iteration of a segment, of the addresses of its columns; equal columns stand once."""
        rows = np.array(
            [[schedule.address(schedule.statements[i], c) for i in schedule.instances(segment, j)] for j, c in columns]
        )
        unique, places = np.unique(rows, axis=0, return_inverse=True)
        repeated, start = self.rows(unique.T)
        return Rows(repeated, start, len(unique), dict(zip(columns, places.ravel().tolist(), strict=True)))

    def rows(self, rows: Any) -> tuple[int, int]:
        """The entries that hold how many rows of numbers there are, and where the first of them begins."""
        count, start = self.entry(len(rows)), self.entry(0)
        self._rows.append((start, np.asarray(rows, np.int64)))
        return count, start

    def array(self) -> Any:
        """The table, as unsigned integers of 32 bits."""
        fixed = list(self._fixed)
        tables = []
        start = len(fixed)
        for place, rows in self._rows:
            fixed[place] = start
            tables.append(rows.ravel())
            start += rows.size
        return np.concatenate([np.asarray(fixed, np.int64), *tables]).astype(np.uint32)
