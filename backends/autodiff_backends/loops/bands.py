"""Groups that are executed some rows at a time, so that what one hands to the next stays in the nearest caches.

The softmax of rows is a maximum, a sum and a quotient: three loops over all of an array, each of which waits for
memory. They depend on one another only within a row. So all three are done for a few rows, then for the next ones.
What is made for a row and read for it alone has a place for a few rows, which is used again for the next.

A row need not lie along the last axis. It is what belongs to one place along an axis (or several that are one in
memory) of every group, so that nothing of it is read for another row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import NamedTuple

from .accesses import Access
from .forms import Form, Statement
from .nests import Nest
from .schedule import Band, Group, Rows, Schedule, Segment

# Axes of a group that are one in memory.
Run = tuple[int, ...]
Column = tuple[int, int]

# Groups of no band among those of one: these are executed after it.
MOST_PASSED = 8

# A band has to save this part of what its groups read and write, at least.
LEAST_SAVED = 0.2

# Bytes that lie together in each row of a block: some lines of the cache.
SHORTEST_PIECE = 256


class Rules(NamedTuple):
    """What decides about bands.

    Attributes
    ----------
    block : int
        Bytes of all that is read and written for a block, if rows are not longer.
    longest : int
        Bytes of a block at most.
    fits : int
        What reads and writes no more bytes in all is left as it is.
    is_angle : callable
        As for nests.
    is_left_out : callable
        ``is_left_out(form)``: whether a statement has loops of another kind.
    """

    block: int
    longest: int
    fits: int
    is_angle: Callable[[Form], bool]
    is_left_out: Callable[[Form], bool]


class Reach(NamedTuple):
    """A place of a statement that is in memory."""

    column: Column
    access: Access
    shape: tuple[int, ...]
    itemsize: int

    @property
    def nbytes(self) -> int:
        """Of all elements."""
        long = [n for n, step in zip(self.shape, self.access.strides, strict=True) if step]
        return math.prod(long) * self.itemsize


class Lies(NamedTuple):
    """How a group lies in rows.

    Attributes
    ----------
    places : dict of int to set
        For each storage how its accesses lie in rows.
    nbytes : dict of tuple to tuple of (int, bool)
        Bytes of what is accessed, and whether these differ from row to row.
    piece : int
        Bytes of a row that lie together, where these are fewest.
    """

    places: dict[int, set[Places | None]]
    nbytes: dict[tuple[int, int, int], tuple[int, bool]]
    piece: int


class Member:
    """A group that may be in a band."""

    def __init__(self, nest: Nest, is_left_out: Callable[[Form], bool], sizes: list[int]):
        self.nest = nest
        self._sizes = sizes
        self._lies: dict[Run, Lies] = {}
        self.reaches: list[Reach] = []
        for j, c in nest.columns:
            statement = nest.statement(j)
            access = statement.target if c < 0 else statement.operands[c]
            self.reaches.append(Reach((j, c), access, nest.shape, statement.form.dtypes[c + 1].itemsize))
        self.accessed = {r.access.storage for r in self.reaches}
        self.written = {r.access.storage for r in self.reaches if r.column[1] < 0}
        self.nbytes = nest.nbytes
        self.may_join = (
            0 not in nest.shape
            and bool(nest.axes)
            # (What index arrays pick, or write to, may be in any row.)
            and not any(s.form.indexed or is_left_out(s.form) for _, s in nest.members)
        )
        # Axes that could be those of rows, and how many rows these have.
        self.runs = list(self._runs()) if self.may_join else []

    def lies(self, run: Run) -> Lies:
        """How it lies in rows along these axes."""
        if run not in self._lies:
            made = self._lies[run] = Lies({}, {}, SHORTEST_PIECE)
            for reach in self.reaches:
                access, size = reach.access, self._sizes[reach.access.storage]
                place = places(access, reach.shape, run, size)
                made.places.setdefault(access.storage, set()).add(place)
                moves = any(access.strides[axis] for axis in run)
                made.nbytes[access.storage, access.offset, reach.nbytes] = reach.nbytes, moves
                if place is not None and place.period < size:
                    made = made._replace(piece=min(made.piece, place.step * reach.itemsize))
            self._lies[run] = made
        return self._lies[run]

    def _runs(self) -> Iterator[tuple[Run, int]]:
        shape = self.nest.shape
        reduced = {axis for _, s in self.nest.members for axis in s.form.reduced}
        long = [axis for axis, n in enumerate(shape) if n > 1]
        for i, first in enumerate(long):
            run, rows = [first], shape[first]
            for axis in [*long[i + 1 :], -1]:
                if self._may_be_rows(run, reduced):
                    yield tuple(run), rows
                if axis < 0 or (axis in reduced) != (first in reduced) or not self._are_one(run[-1], axis):
                    break
                run.append(axis)
                rows *= shape[axis]

    def _are_one(self, first: int, axis: int) -> bool:
        n = self.nest.shape[axis]
        return all(
            steps[first] == n * steps[axis] for _, statement in self.nest.members for steps in statement.form.strides
        )

    def _may_be_rows(self, run: list[int], reduced: set[int]) -> bool:
        """Whether a sum over rows can go on from block to block: in a register, or as a row of sums in memory."""
        nest = self.nest
        if run[0] not in reduced:
            return True
        return not nest.outer and not (nest.by_rows and nest.watched)


class Places(NamedTuple):
    """How an access lies in rows.

    Attributes
    ----------
    step : int
        From row to row.
    period : int
        Of as many elements as the rows of a storage have together; there may be several such pieces.
    """

    step: int
    period: int


def places(access: Access, shape: tuple[int, ...], run: Run, size: int) -> Places | None:
    """How an access lies in rows of a storage of this size; None if its rows might be others' too."""
    count = math.prod([shape[axis] for axis in run])
    step = access.strides[run[-1]]
    period = step * count
    if step <= 0 or size % period:
        return None
    # The first of its elements is in the first row; from there on it must not leave a row.
    low = high = access.offset % period
    for axis, (n, stride) in enumerate(zip(shape, access.strides, strict=True)):
        if axis in run or n == 1 or stride % period == 0:
            continue
        low += min(stride, 0) * (n - 1)
        high += max(stride, 0) * (n - 1)
    return Places(step, period) if low >= 0 and high < step else None


class Found:
    """Groups that can be executed together.

    Parameters
    ----------
    count : int
        Rows.
    """

    def __init__(self, count: int):
        self.count = count
        self.runs: dict[int, Run] = {}
        self.members: dict[int, Member] = {}
        self._written: set[int] = set()
        self.places: dict[int, set[Places | None]] = {}
        self._nbytes: dict[tuple[int, int, int], tuple[int, bool]] = {}
        # Bytes that differ from row to row, and others; bytes that all groups read and write one after another.
        self._moving = self._fixed = self.passes = 0
        self._piece = SHORTEST_PIECE

    def fits(self, member: Member, run: Run, longest: int) -> bool:
        """Whether a group depends on the others within a row only, and they on it, and rows are not too long then."""
        own = member.lies(run)
        for storage, lies in own.places.items():
            if storage in self.places and (storage in self._written or storage in member.written):
                together = self.places[storage] | lies
                if len(together) > 1 or None in together:
                    return False
        new = [own.nbytes[key] for key in own.nbytes if key not in self._nbytes]
        moving = self._moving + sum([size for size, moves in new if moves])
        fixed = self._fixed + sum([size for size, moves in new if not moves])
        least = -(-SHORTEST_PIECE // min(self._piece, own.piece))
        return fixed * self.count + moving * least <= longest * self.count

    def shared(self, member: Member, run: Run) -> int:
        """How many storages both read or write, in the same rows."""
        own = member.lies(run).places
        return sum([self.places.get(storage) == lies != {None} for storage, lies in own.items()])

    def join(self, g: int, member: Member, run: Run) -> None:
        """Have a group in it."""
        own = member.lies(run)
        for storage, lies in own.places.items():
            self.places.setdefault(storage, set()).update(lies)
        for key, (size, moves) in own.nbytes.items():
            if key not in self._nbytes:
                self._nbytes[key] = size, moves
                self._moving += moves * size
                self._fixed += (not moves) * size
        self._piece = min(self._piece, own.piece)
        self._written |= member.written
        self.members[g], self.runs[g] = member, run
        self.passes += member.nbytes

    def nbytes(self, without: frozenset[int] = frozenset()) -> int:
        """Of all that is read and written, but some storages."""
        return sum([size for (storage, _, _), (size, _) in self._nbytes.items() if storage not in without])

    def block(self, nbytes: int) -> int:
        """How many rows need so many bytes, but at least those that make pieces long enough."""
        least = -(-SHORTEST_PIECE // self._piece)
        block = max(nbytes - self._fixed, 0) * self.count // max(self._moving, 1)
        return max(block // least, 1) * least

    @property
    def is_in_pieces(self) -> bool:
        """Whether what lies together of a block is short."""
        return self._piece < SHORTEST_PIECE

    def is_near(self, nbytes: int) -> bool:
        """Whether what is done at once has no more bytes."""
        return self._fixed * self.count + self._moving * self.block(nbytes) <= nbytes * self.count


class Search:
    """Looks for bands among the groups of a segment that repeats nothing."""

    def __init__(self, schedule: Schedule, segment: Segment, rules: Rules):
        self._schedule, self._segment, self._rules = schedule, segment, rules
        self._members: dict[int, Member] = {}

    def bands(self) -> None:
        """Arrange the groups of the segment in bands."""
        groups = self._segment.groups
        begin = 0
        while begin < len(groups):
            found = self._best(begin)
            begin = begin + 1 if found is None else self._make(begin, *found)

    def _member(self, g: int) -> Member:
        if g not in self._members:
            nest = Nest(self._schedule, self._segment, self._segment.groups[g], self._rules.is_angle)
            self._members[g] = Member(nest, self._rules.is_left_out, self._schedule.sizes)
        return self._members[g]

    def _best(self, begin: int) -> tuple[Found, int] | None:
        """The band from a group on that saves most, and how many rows it does at once."""
        member = self._member(begin)
        best: tuple[float, Found, int] | None = None
        if not member.may_join or member.nbytes * MOST_PASSED < self._rules.fits:
            return None
        for run, count in member.runs:
            found = self._from(begin, run, count)
            block = found.block(self._rules.block)
            if len(found.members) < 2 or block >= count or found.nbytes() <= self._rules.fits:
                continue
            is_near = found.is_near(self._rules.block)
            if found.is_in_pieces and not is_near:
                # Short pieces from far apart are no faster than several passes.
                continue
            saved = found.passes - found.nbytes(self._scratch(found))
            # What one group hands to the next is in the nearest cache, or in the one after it.
            worth = saved if is_near else saved / 2
            if saved >= LEAST_SAVED * found.passes and (best is None or worth > best[0]):
                best = worth, found, block
        return None if best is None else best[1:]

    def _from(self, begin: int, run: Run, count: int) -> Found:
        """All groups that can be executed together with one, for these rows of it."""
        found, longest = Found(count), self._rules.longest
        if not found.fits(self._member(begin), run, longest):
            return found
        found.join(begin, self._member(begin), run)
        accessed: set[int] = set()
        written: set[int] = set()
        passed = 0
        for g in range(begin + 1, len(self._segment.groups)):
            member = self._member(g)
            if written.isdisjoint(member.accessed) and accessed.isdisjoint(member.written):
                possible = [r for r, n in member.runs if n == count and found.fits(member, r, longest)]
                joins = max(possible, default=None, key=partial(found.shared, member))
                if joins is not None and found.shared(member, joins):
                    found.join(g, member, joins)
                    passed = 0
                    continue
            accessed |= member.accessed
            written |= member.written
            passed += 1
            if passed > MOST_PASSED:
                break
        return found

    def _scratch(self, found: Found) -> frozenset[int]:
        """What is made and read for the same rows by these groups alone."""
        inside = {j for member in found.members.values() for j, _ in member.nest.members}
        return frozenset(
            [
                storage
                for storage, lies in found.places.items()
                if len(lies) == 1 and None not in lies and inside.issuperset(self._users[storage])
            ]
        )

    @cached_property
    def _users(self) -> dict[int, set[int]]:
        """For each storage the positions of the statements that have it in memory, and -1 for whoever else does."""
        schedule, segment = self._schedule, self._segment
        users: dict[int, set[int]] = {}
        for other in schedule.segments:
            for i in range(other.start, other.start + other.period * other.count):
                _, target, operands = schedule.statements[i]
                if other is not segment:
                    for access in (target, *operands):
                        users.setdefault(access.storage, set()).add(-1)
                    continue
                j = i - segment.start
                for c in schedule.columns(segment, j):
                    users.setdefault((target if c < 0 else operands[c]).storage, set()).add(j)
        for storage in (*schedule.lowering.inputs.values(), *schedule.lowering.outputs):
            users.setdefault(storage, set()).add(-1)
        return users

    def _make(self, begin: int, found: Found, block: int) -> int:
        """Execute groups together; where the next ones begin."""
        segment, groups = self._segment, self._segment.groups
        scratch = self._scratch(found)
        last = max(found.members)
        order = [*found.members, *[g for g in range(begin, last + 1) if g not in found.members]]
        steps: dict[Column, int] = {}
        for g, member in found.members.items():
            run = found.runs[g]
            for reach in member.reaches:
                steps[reach.column] = 0 if reach.access.storage in scratch else reach.access.strides[run[-1]]
            self._cut(groups[g], run, found, block, scratch)
        for storage in scratch:
            ((step, period),) = [p for p in found.places[storage] if p is not None]
            self._schedule.sizes[storage] = self._schedule.sizes[storage] // period * step * block
        groups[begin : last + 1] = [groups[g] for g in order]
        known = self._members
        self._members = {g: known[g] for g in known if g > last}
        for g in range(begin, last + 1):
            if order[g - begin] not in found.members:
                self._members[g] = known[order[g - begin]]
            for j in groups[g].members:
                segment.group_of[j] = g
        end = begin + len(found.members)
        segment.bands.append(Band(begin, end, found.count, block, steps, scratch, found.nbytes(scratch)))
        return end

    def _cut(self, group: Group, run: Run, found: Found, block: int, scratch: frozenset[int]) -> None:
        """Leave a block of a group's rows in its statements."""
        statements, start = self._schedule.statements, self._segment.start
        shape = list(group.shape)
        for axis in run:
            shape[axis] = 1
        shape[run[-1]] = block
        group.shape = tuple(shape)
        group.rows = Rows(run[-1], found.count, block)

        def cut(access: Access) -> Access:
            strides = list(access.strides)
            offset = access.offset
            if access.storage in scratch:
                ((step, period),) = [p for p in found.places[access.storage] if p is not None]
                strides = [s // period * step * block if s % period == 0 else s for s in strides]
                offset = offset // period * step * block + offset % period
            strides = [0 if n == 1 else s for n, s in zip(shape, strides, strict=True)]
            return access._replace(offset=offset, strides=tuple(strides))

        for j in group.members:
            form, target, operands = statements[start + j]
            target, operands = cut(target), tuple(map(cut, operands))
            steps = (target.strides, *[a.strides for a in operands])
            statements[start + j] = Statement(form._replace(shape=group.shape, strides=steps), target, operands)


def arrange(rules: Rules, schedule: Schedule) -> None:
    """Arrange the groups of a schedule in bands."""
    for segment in schedule.segments:
        if segment.count == 1:
            Search(schedule, segment, rules).bands()
