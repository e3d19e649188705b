"""From statements to loops: repeated sequences rolled up, statements over one space fused, storages placed.

An unrolled loop (the time steps of a recurrent network, of an integrator) is a sequence of forms that repeats. It
becomes one body, executed ``count`` times, that reads where its operands are from a table with a row for each
iteration. The table may hold any numbers, so nothing else need be regular: initial states, values that another
loop stored, in whatever order. Code and its compilation do not grow with the number of iterations, tables do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autodiff.whole import apart

from .accesses import Access, disjoint
from .forms import COPY, Form, Statement
from .statements import Lowering

# A sequence is rolled up if it repeats this often and that many statements are covered.
FEWEST_ITERATIONS = 3
SHORTEST_ROLLED = 24

# How many later occurrences of the next statements are tried as the begin of the second iteration.
CANDIDATES = 24
GRAMS = (1, 4, 16)

# A place that is accessed is compared with those that so many statements before have written to.
WRITERS_SEARCHED = 32

# A group is searched for among so many, and holds so many statements at most, which bounds the registers of a loop.
GROUPS_SEARCHED = 24
LARGEST_GROUP = 128

# So many statements of a group may write where index arrays say: what they write is put aside in the nearest cache.
MOST_ANYWHERE = 8


class Rows(NamedTuple):
    """The rows of a band's groups, by the axis that they lie along in one of these.

    Attributes
    ----------
    axis, n_rows : int
    block : int
        How many of them the group has in its shape: so many at most are done at once.
    """

    axis: int
    n_rows: int
    block: int


class Group:
    """Statements executed in one loop nest, by position in the body.

    Attributes
    ----------
    shape : tuple of int
    reduced : tuple of int or None
        The axes that its reductions reduce; None if it has none.
    members : list of int
    rows : Rows or None
        Of a group in a band.
    written_anywhere : int
        How many of them write where index arrays say.
    begins : bool
        Whether it is copies of what is there before all loops, such as the zeros that something is added to.
    """

    __slots__ = ("begins", "members", "reduced", "rows", "shape", "written_anywhere")

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.reduced: tuple[int, ...] | None = None
        self.members: list[int] = []
        self.rows: Rows | None = None
        self.written_anywhere = 0
        self.begins = True

    def takes(self, form: Form, mixed: bool) -> bool:
        """Whether a statement may be in the same loops; ``mixed``, if only one of them writes anywhere."""
        reduced = self.reduced
        if form.reduces is not None:
            if not form.shape or reduced not in (None, form.reduced):
                return False
            reduced = form.reduced
        anywhere = self.written_anywhere + form.writes_anywhere
        # What is written anywhere is put aside in one loop, which sums of a part of the axes would begin in the middle.
        is_one = reduced is None or len(reduced) == len(form.shape)
        fits = mixed or anywhere == len(self.members) + 1
        return self.shape == form.shape and (not anywhere or (is_one and fits and anywhere <= MOST_ANYWHERE))


class Band(NamedTuple):
    """Groups executed together: all of them for some rows, then for the next ones.

    Attributes
    ----------
    begin, end : int
        The first of its groups, and the one after the last.
    n_rows, block : int
        How many rows there are, and are done at once.
    steps : dict of (int, int) to int
        From row to row, of each column that is in memory.
    scratch : frozenset of int
        Storages that hold what is made for some rows, and read for these only. They are as large as a block.
    nbytes : int
        Of what it reads and writes beside these.
    """

    begin: int
    end: int
    n_rows: int
    block: int
    steps: dict[tuple[int, int], int]
    scratch: frozenset[int]
    nbytes: int


class Segment:
    """A body of statements and how often it is executed.

    Attributes
    ----------
    start, period, count : int
        Of the sequence of statements.
    groups : list of Group
        The body, in order.
    group_of : list of int
        The group of each position.
    local : dict of (int, int) to int
        For an operand (position, place) the position whose value it is, from a register.
    stored : list of bool
        Whether the value of each position is written to memory.
    bands : list of Band
        In order. Most groups are in none.
    """

    __slots__ = ("bands", "count", "group_of", "groups", "local", "period", "start", "stored")

    def __init__(self, start: int, period: int, count: int):
        self.start = start
        self.period = period
        self.count = count
        self.groups: list[Group] = []
        self.group_of: list[int] = []
        self.local: dict[tuple[int, int], int] = {}
        self.stored: list[bool] = []
        self.bands: list[Band] = []


def roll(symbols: Sequence[int]) -> list[tuple[int, int, int]]:
    """Cut a sequence into (start, period, count), greedily: the longest repetition that begins at each place."""
    array = np.asarray(symbols, np.int64)
    n = len(array)
    grams = [_occurrences(array, length) for length in GRAMS if length <= n]
    possible = np.zeros(n, bool)
    for runs, order in grams:
        possible[: len(order)] |= _may_repeat(array, runs, order)
    begins = np.flatnonzero(possible)
    pieces: list[tuple[int, int, int]] = []
    straight = 0
    place = 0
    while place < n:
        following = np.searchsorted(begins, place)
        if following == len(begins):
            break
        place = int(begins[following])
        period, count = _repetition(array, place, grams)
        if period * count >= SHORTEST_ROLLED:
            if straight < place:
                pieces.append((straight, place - straight, 1))
            pieces.append((place, period, count))
            place += period * count
            straight = place
        else:
            place += 1
    if straight < n:
        pieces.append((straight, n - straight, 1))
    return pieces


@apart
def _weights(length: int) -> np.ndarray[Any, Any]:
    # NumPy silences warnings while it makes a generator.
    return np.random.default_rng(0).integers(1, 1 << 62, length, dtype=np.uint64)


def _occurrences(array: Any, length: int) -> tuple[Any, Any]:
    """For each place, its rank among the places with the same ``length`` symbols; and the places, so ordered."""
    windows = np.lib.stride_tricks.sliding_window_view(array, length)
    weights = _weights(length)
    hashes = (windows.astype(np.uint64) * weights).sum(axis=1)
    order = np.lexsort((np.arange(len(hashes)), hashes))
    rank = np.empty(len(hashes), np.int64)
    rank[order] = np.arange(len(hashes))
    # The end of each run of equal hashes, at every place of the order.
    sorted_hashes = hashes[order]
    ends = np.searchsorted(sorted_hashes, sorted_hashes, side="right")
    return np.stack([rank, ends[rank]]), order


def _may_repeat(array: Any, runs: Any, order: Any) -> Any:
    """For each place, whether one of the next occurrences looks like a second iteration: a test of a few symbols."""
    rank, end = runs
    places = np.arange(len(order))
    possible = np.zeros(len(order), bool)
    for candidate in range(1, CANDIDATES + 1):
        begins = places[(rank + candidate < end) & ~possible]
        periods = order[rank[begins] + candidate] - begins
        fits = begins + FEWEST_ITERATIONS * periods <= len(array)
        begins, periods = begins[fits], periods[fits]
        last = array[begins + periods - 1]
        same = np.ones(len(begins), bool)
        for iteration in range(1, FEWEST_ITERATIONS):
            there = begins + iteration * periods
            same &= (array[there] == array[begins]) & (array[there + periods - 1] == last)
        possible[begins[same]] = True
    return possible


def _repetition(array: Any, place: int, grams: list[Any]) -> tuple[int, int]:
    """The period and count of the repetition from ``place`` that covers most, the shortest period of these."""
    best = (1, 1)
    tried = set()
    for runs, order in grams:
        if place >= runs.shape[1]:
            continue
        rank, end = runs[:, place]
        for other in order[rank + 1 : min(end, rank + 1 + CANDIDATES)]:
            period = int(other) - place
            if period in tried or place + period * FEWEST_ITERATIONS > len(array):
                continue
            tried.add(period)
            count = _count(array, place, period)
            covered = count * period
            if count >= FEWEST_ITERATIONS and (covered, -period) > (best[0] * best[1], -best[0]):
                best = (period, count)
    return best


def _count(array: Any, place: int, period: int) -> int:
    """How often the ``period`` symbols at ``place`` follow one another."""
    first = array[place : place + period]
    if len(first) > 32 and not np.array_equal(first[:32], array[place + period : place + period + 32]):
        return 1
    rest = array[place:]
    whole = len(rest) // period
    step = 4
    count = 1
    while count < whole:
        rows = rest[count * period : min(count + step, whole) * period].reshape(-1, period)
        different = (rows != first).any(axis=1)
        if different.any():
            return count + int(np.argmax(different))
        count += len(rows)
        step *= 2
    return count


class Schedule:
    """Segments with their groups, and where every storage is.

    Parameters
    ----------
    lowering : Lowering
    rolling : bool, optional
        False for one segment that repeats nothing.
    mixed : bool, optional
        False if statements that write where index arrays say are in loops of their own, which one thread does.
    arrange : callable, optional
        Finds bands, before storages have places.

    Attributes
    ----------
    statements : list of Statement
    segments : list of Segment
    sizes : list of int
        Of storages.
    arrays : list of str
        For each storage the array it is in: ``w<i>`` (the workspace of the i-th dtype), ``x<i>`` (an input) or
        ``o<i>`` (an output).
    offsets : list of int
        Where in its array each storage begins.
    workspaces : dict of numpy.dtype to int
        Elements of each workspace.
    scalars : dict of numpy.dtype to list of int
        The inputs that are Python numbers, by the place they have at the begin of a workspace.
    scalar_storages : set of int
    """

    def __init__(
        self,
        lowering: Lowering,
        rolling: bool = True,
        mixed: bool = True,
        arrange: Callable[[Schedule], None] = lambda schedule: None,
    ):
        self.lowering = lowering
        self._mixed = mixed
        statements = self.statements = list(lowering.statements)
        self.sizes = [storage.size for storage in lowering.storages]
        numbers: dict[Any, int] = {}
        symbols = [numbers.setdefault(s.form, len(numbers)) for s in statements]
        pieces = roll(symbols) if rolling else [(0, len(symbols), 1)]
        self.segments = [Segment(*piece) for piece in pieces]
        self._needed = set(lowering.outputs)
        for segment in self.segments:
            self._fuse(segment)
        for segment in self.segments:
            segment.stored = [
                any(statements[i].target.storage in self._needed for i in self.instances(segment, position))
                for position in range(segment.period)
            ]
        arrange(self)
        self._choose_arrays()
        self._place()

    def instances(self, segment: Segment, position: int) -> range:
        """The statements that are executed at a position of a body."""
        end = segment.start + segment.period * segment.count
        return range(segment.start + position, end, segment.period)

    # --- fusion ------------------------------------------------------------------------------------------------------

    def _fuse(self, segment: Segment) -> None:
        statements = self.statements
        period = segment.period
        # For each operand: the positions of the same iteration that wrote it, as the same elements or not; -1 if none.
        sources: list[list[set[tuple[int, bool]]]] = [
            [set() for _ in statements[segment.start + j].operands] for j in range(period)
        ]
        before: list[set[int]] = [set() for _ in range(period)]
        after: list[set[int]] = [set() for _ in range(period)]
        for first in range(segment.start, segment.start + period * segment.count, period):
            writers: dict[int, list[int]] = {}
            for j in range(period):
                form, target, operands = statements[first + j]
                for place, access in enumerate(operands):
                    anywhere = form.is_anywhere(place)
                    w = self._writer(first, writers.get(access.storage, ()), access, form, anywhere)
                    if w is None:
                        sources[j][place].add((-1, False))
                        self._needed.add(access.storage)
                    else:
                        written = statements[first + w]
                        same = (
                            written.target == access
                            and written.form.shape == form.shape
                            and written.form.reduces is None
                            and not anywhere
                            and not written.form.is_anywhere(-1)
                        )
                        sources[j][place].add((w, same))
                earlier = writers.setdefault(target.storage, [])
                if earlier:
                    w = self._writer(first, earlier, target, form, form.is_anywhere(-1))
                    if w is not None:
                        before[j].add(w)
                    after[j].add(earlier[-1])
                earlier.append(j)
        for j in range(period):
            for place, found in enumerate(sources[j]):
                if len(found) == 1 and next(iter(found))[1]:
                    ((source, _),) = found
                    segment.local[j, place] = source
                else:
                    before[j].update(w for w, _ in found if w >= 0)
            self._join(segment, j, before[j], after[j])
        self._find_stored(segment, sources)

    def _writer(
        self, first: int, writers: Sequence[int], access: Access, form: Form, anywhere: bool = False
    ) -> int | None:
        """The last of those which write to a storage that may write what is accessed; its group is no earlier than
        those of all before it. None if certainly nobody does."""
        for count, w in enumerate(reversed(writers)):
            statement = self.statements[first + w]
            if (
                anywhere
                or statement.form.is_anywhere(-1)
                or count == WRITERS_SEARCHED
                or not disjoint(statement.target, statement.form.shape, access, form.shape)
            ):
                return w
        return None

    def _join(self, segment: Segment, j: int, before: set[int], after: set[int]) -> None:
        """Put a statement into a group that comes after those of ``before`` and not before those of ``after``."""
        groups, group_of = segment.groups, segment.group_of
        form, _, operands = self.statements[segment.start + j]
        reduces = form.reduced if form.reduces is not None else None
        sources = [segment.local[j, place] for place in range(len(operands)) if (j, place) in segment.local]
        if form.writes_anywhere:
            self._begin_early(segment, form, before, after.union(sources))
        earliest = max(
            [0, *[group_of[w] + 1 for w in before], *[group_of[w] for w in after], *[group_of[w] for w in sources]]
        )
        for g in range(len(groups) - 1, max(earliest, len(groups) - GROUPS_SEARCHED) - 1, -1):
            group = groups[g]
            if group.takes(form, self._mixed):
                full = form.shape and len(group.members) >= LARGEST_GROUP
                if not full:
                    break
        else:
            g = len(groups)
            groups.append(Group(form.shape))
        if reduces is not None:
            groups[g].reduced = reduces
        groups[g].members.append(j)
        groups[g].begins &= form.name == COPY and not (before or after or sources)
        groups[g].written_anywhere += form.writes_anywhere
        group_of.append(g)

    def _begin_early(self, segment: Segment, form: Form, before: set[int], after: set[int]) -> None:
        """Have the array that a statement writes to begun before a group that takes the statement, if it is that alone
        which would come too late."""
        groups, group_of = segment.groups, segment.group_of
        begun = {w for w in before if groups[group_of[w]].begins}
        if len(begun) != 1:
            return
        begin = group_of[min(begun)]
        earliest = max([0, *[group_of[w] + 1 for w in before - begun], *[group_of[w] for w in after - begun]])
        for g in range(begin - 1, max(earliest, begin - GROUPS_SEARCHED) - 1, -1):
            if groups[g].takes(form, self._mixed) and len(groups[g].members) < LARGEST_GROUP:
                groups.insert(g, groups.pop(begin))
                group_of[:] = [g if other == begin else other + (g <= other < begin) for other in group_of]
                return

    def _find_stored(self, segment: Segment, sources: list[list[set[tuple[int, bool]]]]) -> None:
        """Which values are read from memory: all but those read in their own loop only."""
        for j in range(segment.period):
            for place, found in enumerate(sources[j]):
                source = segment.local.get((j, place))
                if source is not None and segment.group_of[source] == segment.group_of[j]:
                    continue
                segment.local.pop((j, place), None)
                for w, _ in found:
                    if w >= 0:
                        self._needed.update(self.statements[i].target.storage for i in self.instances(segment, w))

    # --- storages ----------------------------------------------------------------------------------------------------

    def columns(self, segment: Segment, position: int) -> list[int]:
        """The places of a statement that are in memory: -1 for the target, then operands."""
        first = self.statements[segment.start + position]
        columns = [-1] if segment.stored[position] else []
        return columns + [i for i in range(len(first.operands)) if (position, i) not in segment.local]

    def _choose_arrays(self) -> None:
        """Inputs and outputs where they are, unless one place of a loop's body means different ones."""
        lowering = self.lowering
        avals = lowering.program.avals
        self.scalar_storages = {s for number, s in lowering.inputs.items() if avals[number].weak}
        names: list[str | None] = [None] * len(lowering.storages)
        for place, storage in enumerate(lowering.inputs.values()):
            if storage not in self.scalar_storages:
                names[storage] = f"x{place}"
        for place, storage in enumerate(lowering.outputs):
            names[storage] = f"o{place}"
        changed = True
        while changed:
            changed = False
            for segment in self.segments:
                if segment.count == 1:
                    continue
                for position in range(segment.period):
                    for column in self.columns(segment, position):
                        met = {_storage(self.statements[i], column) for i in self.instances(segment, position)}
                        if len(met) > 1 and len({names[s] for s in met}) > 1:
                            for s in met:
                                changed = changed or names[s] is not None
                                names[s] = None
        self.dtypes = sorted({s.dtype for s in lowering.storages}, key=lambda dtype: dtype.str)
        self.arrays = [
            name if name is not None else f"w{self.dtypes.index(lowering.storages[s].dtype)}"
            for s, name in enumerate(names)
        ]

    def _place(self) -> None:
        """Offsets in the workspaces; memory is used again when the last reader of a storage is done."""
        storages = [s._replace(size=size) for s, size in zip(self.lowering.storages, self.sizes, strict=True)]
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        clock = 1
        for segment in self.segments:
            # What is read or written by a band in any block is there during all of it.
            bands = {g: band for band in segment.bands for g in range(band.begin, band.end)}
            members = [(j, self.columns(segment, j)) for j in range(segment.period)]
            for k in range(segment.count):
                for j, columns in members:
                    statement = self.statements[segment.start + k * segment.period + j]
                    time = clock + segment.group_of[j]
                    band = bands.get(segment.group_of[j])
                    for column in columns:
                        s = _storage(statement, column)
                        begin = end = time
                        if band is not None and s not in band.scratch:
                            begin, end = clock + band.begin, clock + band.end - 1
                        first[s] = min(first.get(s, begin), begin)
                        last[s] = max(last.get(s, 0), end)
                clock += len(segment.groups)
        self.offsets = [0] * len(storages)
        self.workspaces = dict.fromkeys(self.dtypes, 0)
        self.scalars: dict[np.dtype[Any], list[int]] = {}
        for number, s in self.lowering.inputs.items():
            if s in self.scalar_storages and s in last:
                dtype = storages[s].dtype
                self.scalars.setdefault(dtype, []).append(number)
                self.offsets[s] = self.workspaces[dtype]
                self.workspaces[dtype] += 1
                del first[s]
            elif s in last:
                first[s] = 0
        for s in self.lowering.outputs:
            first.setdefault(s, clock)
            last[s] = clock
        free: dict[tuple[np.dtype[Any], int], list[int]] = {}
        ends: dict[int, list[int]] = {}
        order = sorted((s for s in first if self.arrays[s].startswith("w")), key=first.__getitem__)
        now = 0
        for s in order:
            while now < first[s]:
                for ended in ends.pop(now, ()):
                    free.setdefault(storages[ended][::-1], []).append(self.offsets[ended])
                now += 1
            size, dtype = storages[s]
            spare = free.get((dtype, size))
            if spare:
                self.offsets[s] = spare.pop()
            else:
                self.offsets[s] = self.workspaces[dtype]
                self.workspaces[dtype] += size
            ends.setdefault(last[s], []).append(s)

    def address(self, statement: Statement, column: int) -> int:
        """Where in its array an access begins."""
        access = statement.target if column < 0 else statement.operands[column]
        return self.offsets[access.storage] + access.offset


def _storage(statement: Statement, column: int) -> int:
    return statement.target.storage if column < 0 else statement.operands[column].storage
