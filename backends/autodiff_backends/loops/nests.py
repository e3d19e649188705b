"""The loops of a group of statements: which axes are walked through in which order, and what is innermost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .forms import Form, Statement
from .schedule import Band, Group, Schedule, Segment

# A reduction's last kept axis is the innermost loop if it is this long: rows are added up, which vectorises.
SHORTEST_ROW = 4

# Estimated nanoseconds from which a loop nest is shared by threads: handing a part to another one costs 40 to 90 us.
SMALLEST_SHARED = 250_000

# Sums of no more terms are written out in the loop over the last kept axis, so that vectors are of many sums.
MOST_UNROLLED = 6

# Rows of as many elements are cut into parts for threads.
SHORTEST_CUT = 256

# Sums of more terms in float64 are added up in runs of so many. A plain loop over a million terms loses a hundred units
# in the last place, and NumPy loses one.
LONGEST_SUM = RUN = 512

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Nest:
    """The loops of a group.

    Parameters
    ----------
    schedule : Schedule
    segment : Segment
    group : Group
        Of the segment.
    is_angle : callable
        ``is_angle(form)``: whether a statement is vectorised for an angle that is not too large.

    Attributes
    ----------
    members : list of (int, Statement)
        The positions in the body, each with the first of its statements.
    reductions : dict of int to numpy.ufunc
        What those that reduce combine elements with.
    columns : list of (int, int)
        What is in memory: the position of a statement, and -1 for its target or the number of the operand.
    outer, inner : list of tuple of int
        The axes of each loop around the beginning of sums, and in it.
    by_rows : bool
        Whether sums are rows in memory that are added up, the last kept axis being innermost.
    short : bool
        Whether sums have so few terms that the innermost loop is around them.
    vectors : bool
        Whether the loop is worth functions that are made to be vectorised.
    long : set of int
        Sums of many terms: added up in runs, and what is lost between these is kept.
    watched : set of int
        Members whose angle may be too large for these.
    shared : int or None
        The axis whose loop threads share.
    in_parts : bool
        Whether every thread leaves sums of its own.
    rows : Rows or None
        Of a band.
    across : bool
        Whether it reduces over these: sums are begun before the first block, and end after the last.
    """

    def __init__(self, schedule: Schedule, segment: Segment, group: Group, is_angle: Callable[[Form], bool]):
        self.shape = group.shape
        self.segment = segment
        self._statements = schedule.statements
        self.members = [(j, self.statement(j)) for j in group.members]
        self.reductions = {j: ufunc for j, s in self.members if (ufunc := s.form.reduces) is not None}
        self._strides = [strides for _, statement in self.members for strides in statement.form.strides]
        self.columns = [(j, c) for j in group.members for c in schedule.columns(segment, j)]
        self.rows = group.rows
        reduced = group.reduced or ()
        self.across = self.rows is not None and self.rows.axis in reduced
        kept = [axis for axis in range(len(group.shape)) if axis not in reduced]
        self.by_rows = bool(self.reductions) and self._fits_rows(kept)
        self.outer = self.merged(kept[:-1] if self.by_rows else kept)
        self.inner = self.merged([*reduced, kept[-1]] if self.by_rows else [*reduced])
        self.axes = self.outer + self.inner
        terms = math.prod(self.extent(axes) for axes in self.inner)
        if self.rows is not None and self.across:
            terms = terms // self.rows.block * self.rows.n_rows
        self.short = (
            bool(self.reductions and self.outer and self.inner)
            and not self.by_rows
            and terms <= MOST_UNROLLED
            and self.extent(self.outer[-1]) > terms
            and not any(is_angle(s.form) for _, s in self.members)
        )
        innermost = self.outer[-1] if self.short else self.axes[-1] if self.axes else ()
        self.vectors = bool(self.axes) and self.extent(innermost) >= SHORTEST_ROW
        self.watched = {j for j, s in self.members if self.vectors and is_angle(s.form)}
        if self.watched and self._rereads():
            # It could not be done again.
            self.vectors, self.watched = False, set()
        self.long = {
            j for j in self.reductions if not self.by_rows and terms > LONGEST_SUM and _adds_doubles(self.statement(j))
        }
        self.shared: int | None = None
        self.in_parts = False

    @property
    def nbytes(self) -> int:
        """Bytes of what it reads and writes, each element of an operand once."""
        found = set()
        for j, c in self.columns:
            statement = self.statement(j)
            form, access = statement.form, statement.target if c < 0 else statement.operands[c]
            elements = math.prod([n for n, step in zip(self.shape, access.strides, strict=True) if step])
            found.add((access, elements * form.dtypes[c + 1].itemsize))
        return sum([size for _, size in found])

    def share(self) -> int | None:
        """Have threads share a loop; how many iterations it has, or None if there is no loop.

        Rows that are added up are cut into parts of their length, or, if they are short, each thread adds up some.
        """
        if not self.axes:
            return None
        along = self.axes[0]
        if not self.outer:
            if self.by_rows and self.extent(self.inner[-1]) >= SHORTEST_CUT:
                along = self.inner[-1]
            self.in_parts = not self.by_rows or along is not self.inner[-1]
        if any(self._is_picked(s, along) for _, s in self.members):
            # Two threads would write to one place; each can write to some of the columns.
            along = self.axes[-1]
            if self.extent(along) < SHORTEST_CUT or any(self._is_picked(s, along) for _, s in self.members):
                self.in_parts = False
                return None
        self.shared = along[-1]
        return self.extent(along)

    def set_aside(self, axes: tuple[int, ...]) -> list[int]:
        """Members whose elements are put aside while the innermost loop is over these axes, and written after it."""
        return [j for j, s in self.members if s.form.writes_anywhere and (self.watched or self._is_picked(s, axes))]

    def _is_picked(self, statement: Statement, axes: tuple[int, ...]) -> bool:
        """Whether index arrays say where a statement writes along axes, so that a place may come again."""
        return statement.form.writes_anywhere and statement.target.strides[axes[-1]] == 0

    def extent(self, axes: tuple[int, ...]) -> int:
        """The iterations of a loop over axes."""
        return math.prod(self.shape[axis] for axis in axes)

    def statement(self, j: int) -> Statement:
        """The first of the statements at a position."""
        return self._statements[self.segment.start + j]

    def _fits_rows(self, kept: list[int]) -> bool:
        """Whether sums are contiguous rows, with operands that vectors can be read from."""
        if not kept or self.shape[kept[-1]] < SHORTEST_ROW:
            return False
        last = kept[-1]
        steps = [self.statement(j).form.strides for j in self.reductions]
        return all(
            own[0][last] == 1 and any(o[last] == 1 for o in own[1:]) and all(o[last] in (0, 1) for o in own[1:])
            for own in steps
        )

    def _rereads(self) -> bool:
        """Whether a storage that is written to in these loops is read in them too, in any iteration."""
        end = self.segment.start + self.segment.period * self.segment.count
        columns = set(self.columns)
        for j, _ in self.members:
            for i in range(self.segment.start + j, end, self.segment.period):
                written = self._statements[i].target.storage
                here = i - j
                if any(
                    (k, c) in columns and a.storage == written and not (s.form.writes_anywhere and c == 0)
                    for k, s in self.members
                    for c, a in enumerate(self._statements[here + k].operands)
                ):
                    return True
        return False

    def merged(self, axes: list[int]) -> list[tuple[int, ...]]:
        """Axes as runs that every access walks through in one step, those of size 1 left out."""
        runs: list[tuple[int, ...]] = []
        for axis in axes:
            if self.shape[axis] == 1:
                continue
            if runs and not (self.rows is not None and self.rows.axis == axis):
                previous = runs[-1][-1]
                n = self.shape[axis]
                if previous < axis and all(s[previous] == n * s[axis] for s in self._strides):
                    runs[-1] = (*runs[-1], axis)
                    continue
            runs.append((axis,))
        return runs


def traffic(schedule: Schedule) -> int:
    """Bytes that all loops of a schedule read and write."""
    alone = sum([count * nest.nbytes for count, nest in nests_of(schedule)])
    return alone + sum([band.nbytes for band, _ in bands_of(schedule)])


def nests_of(schedule: Schedule) -> Iterator[tuple[int, Nest]]:
    """The nests of a schedule that are in no band, and how often each is executed."""
    for segment in schedule.segments:
        for group in segment.groups:
            if group.rows is None:
                yield segment.count, Nest(schedule, segment, group, _is_no_angle)


def bands_of(schedule: Schedule) -> Iterator[tuple[Band, list[Nest]]]:
    """The bands of a schedule, each with its nests."""
    for segment in schedule.segments:
        for band in segment.bands:
            groups = segment.groups[band.begin : band.end]
            yield band, [Nest(schedule, segment, group, _is_no_angle) for group in groups]


def _is_no_angle(form: Form) -> bool:
    return False


def _adds_doubles(statement: Statement) -> bool:
    return statement.form.reduces is np.add and statement.form.dtypes[0] == FLOAT64


def accumulator(form: Form) -> np.dtype[Any]:
    """What a reduction has in a register: double precision for what is rounded in single precision."""
    dtype = form.dtypes[0]
    return FLOAT64 if dtype == FLOAT32 and form.reduces in (np.add, np.multiply) else dtype
