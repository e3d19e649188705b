"""What a thread does for one element, or a vector of them, of the iteration space of a group of statements.

Why threads need not wait for one another within a group: the schedule puts a statement that reads what another one
of the program wrote into a later group, unless it reads the very element that the same thread has just computed, which
is then in a register. Two statements of a group write to one storage only at elements that differ. And the storages
of a group, all alive at once, share no memory. What is left is a place that is read and then written to by one
statement, that is, by one thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..loops.accesses import Access
from ..loops.forms import GATHER, Statement
from ..loops.schedule import Group, Schedule, Segment
from .expressions import accumulator, combine, expression, initial, term
from .launches import PATCH, VECTORS_FROM, index_type, vector_length
from .types import C_NAMES

Runs = list[tuple[int, ...]]


class Nest:
    """The iteration space of a group: its axes, those that are one in memory merged, and what is read and written.

    Attributes
    ----------
    members : list of (int, Statement)
    reductions : dict of int to numpy.ufunc
    kept, reduced : list of tuple of int
        Runs of axes; the last axis of each says the steps.
    accesses : list of (Access, int)
        In memory, with the size of an element in bytes.
    n_kept, n_reduced, size : int
        Elements along these, and in all.
    values, totals : dict of int to str
        What members are called; by their order, so that loops that do the same are the same text.
    index : str
        The C++ type of places.
    """

    def __init__(self, schedule: Schedule, segment: Segment, group: Group):
        self.schedule = schedule
        self.segment = segment
        self.shape = group.shape
        statements = schedule.statements
        self.members = [(j, statements[segment.start + j]) for j in group.members]
        self.reductions = {j: ufunc for j, s in self.members if (ufunc := s.form.reduces) is not None}
        self.values = {j: f"v{i}" for i, j in enumerate(group.members)}
        self.totals = {j: f"t{i}" for i, j in enumerate(self.reductions)}
        self.accesses = [
            (s.target if c < 0 else s.operands[c], s.form.dtypes[0 if c < 0 else c + 1].itemsize)
            for j, s in self.members
            for c in schedule.columns(segment, j)
        ]
        reduced = group.reduced or ()
        self.kept = self._merged([axis for axis in range(len(self.shape)) if axis not in reduced])
        self.reduced = self._merged(list(reduced))
        self.n_kept, self.n_reduced = (self._count(runs) for runs in (self.kept, self.reduced))
        self.size = self.n_kept * self.n_reduced
        # What a gather picks from may reach further than its access does.
        sizes = [schedule.lowering.storages[a.storage].size for a, _ in self.accesses]
        self.index = index_type(max([self.size, *sizes]))

    def _count(self, runs: Runs) -> int:
        return math.prod(self.length(run) for run in runs)

    def length(self, run: tuple[int, ...]) -> int:
        """How many elements a run has."""
        return math.prod(self.shape[axis] for axis in run)

    def _merged(self, axes: list[int]) -> Runs:
        """Axes as runs that every access walks through in one step, those of size 1 left out."""
        runs: Runs = []
        for axis in axes:
            n = self.shape[axis]
            if n == 1:
                continue
            previous = runs[-1][-1] if runs else -1
            if runs and all(a.strides[previous] == n * a.strides[axis] for a, _ in self.accesses):
                runs[-1] = (*runs[-1], axis)
            else:
                runs.append((axis,))
        return runs

    def place(self, access: Access, step: int = 0) -> str:
        """The place of an element in its array; with a step that of element ``e`` of a vector."""
        words = [str(access.offset)] if access.offset else []
        for run in (*self.kept, *self.reduced):
            words += _times(f"c{run[-1]}", access.strides[run[-1]])
        return " + ".join([*words, *_times("e", step)]) or "0"

    def by_rows(self) -> bool:
        """Whether neighbours in memory are neighbours along the reduced axes, rather than along the kept ones."""
        if not self.reduced:
            return False
        if not self.kept:
            return True
        apart = [
            sum(size for access, size in self.accesses if access.strides[runs[-1][-1]] not in (0, 1))
            for runs in (self.kept, self.reduced)
        ]
        return apart[0] > apart[1] or (apart[0] == apart[1] and self.length(self.kept[-1]) < 4)

    def crossed(self, runs: Runs) -> int | None:
        """The run that neighbours in memory of some large arrays are along, others being along the last one."""
        if len(runs) < 2 or math.prod(map(self.length, runs)) < VECTORS_FROM:
            return None
        last = runs[-1][-1]
        bytes_along = [
            sum(size for a, size in self.accesses if a.strides[run[-1]] == 1 and a.strides[last] not in (0, 1))
            for run in runs[:-1]
        ]
        best = max(range(len(runs) - 1), key=bytes_along.__getitem__)
        if not bytes_along[best] or min(self.length(runs[best]), self.length(runs[-1])) < PATCH:
            return None
        # Patches reach over the ends.
        padded = self.size * 4
        return best if index_type(padded) == self.index or self.index != "int" else None

    def vector(self, runs: Runs, others: Runs) -> int:
        """How many elements along the last of the runs a thread takes at once.

        What remains of a length that is no multiple is left for single elements, if there is no other run.
        """
        if not runs:
            return 1
        axis = runs[-1][-1]
        sizes = [size for access, size in self.accesses if access.strides[axis] == 1]
        if not sizes:
            return 1
        n = vector_length(max(sizes), self.size)
        alone = len(runs) + len(others) == 1
        while n > 1 and not alone and self.length(runs[-1]) % n:
            n //= 2
        return n


class Body:
    """The lines for one place of a nest, or for a vector along the last axis of a run.

    Parameters
    ----------
    nest : Nest
    name : callable
        Gives the parameter that a storage is in.
    vector : int
        Elements at once.
    axis : int or None
        Along which axis.
    """

    def __init__(self, nest: Nest, name: Callable[[int], str], vector: int = 1, axis: int | None = None):
        self.nest = nest
        self._name = name
        self._vector = vector
        self._axis = axis
        self._before: list[str] = []
        self._inside: list[str] = []
        self._after: list[str] = []
        self._loaded: dict[tuple[Access, str], str] = {}
        for j, statement in nest.members:
            self._statement(j, statement)

    def lines(self) -> list[str]:
        """Loads, statements for each element, stores."""
        if self._vector == 1:
            return self._before + self._inside + self._after
        loop = ["#pragma unroll", f"for (int e = 0; e < {self._vector}; ++e) {{"]
        return [*self._before, *loop, *[f"    {line}" for line in self._inside], "}", *self._after]

    def _statement(self, j: int, statement: Statement) -> None:
        form = statement.form
        local = self.nest.segment.local
        words = [
            self.nest.values[local[j, place]]
            if (j, place) in local
            else self._load(access, C_NAMES[form.dtypes[place + 1]])
            if form.name != GATHER or place > 0
            else ""
            for place, access in enumerate(statement.operands)
        ]
        out = form.dtypes[0]
        if j in self.nest.reductions:
            wide = accumulator(out)
            total = self.nest.totals[j]
            self._inside.append(f"{total} = {combine(self.nest.reductions[j], total, term(form, words), wide)};")
            return
        text = self._picked(statement, words) if form.name == GATHER else expression(form, words)
        value = self.nest.values[j]
        self._inside.append(f"const {C_NAMES[out]} {value} = {text};")
        if self.nest.segment.stored[j]:
            self._store(statement.target, C_NAMES[out], value)

    # --- memory ------------------------------------------------------------------------------------------------------

    def _load(self, access: Access, kind: str) -> str:
        """The element of an access, loaded once."""
        if access.storage in self.nest.schedule.scalar_storages:
            return self._name(access.storage)
        key = (access, kind)
        word = self._loaded.get(key)
        if word is not None:
            return word
        name = f"a{len(self._loaded)}"
        array = self._name(access.storage)
        step = 0 if self._axis is None else access.strides[self._axis]
        word = name
        if self._vector == 1 or step == 0:
            self._before.append(f"const {kind} {name} = {array}[{self.nest.place(access)}];")
        elif self._aligned(access):
            many = f"const vec<{kind}, {self._vector}>"
            self._before.append(f"{many} {name} = *({many}*)({array} + {self.nest.place(access)});")
            word = f"{name}.v[e]"
        else:
            self._inside.append(f"const {kind} {name} = {array}[{self.nest.place(access, step)}];")
        self._loaded[key] = word
        return word

    def _store(self, access: Access, kind: str, value: str) -> None:
        array = self._name(access.storage)
        step = 0 if self._axis is None else access.strides[self._axis]
        if self._vector > 1 and self._aligned(access):
            many = f"vec<{kind}, {self._vector}>"
            self._before.append(f"{many} {value}s;")
            self._inside.append(f"{value}s.v[e] = {value};")
            self._after.append(f"*({many}*)({array} + {self.nest.place(access)}) = {value}s;")
        else:
            self._inside.append(f"{array}[{self.nest.place(access, step if self._vector > 1 else 0)}] = {value};")

    def _aligned(self, access: Access) -> bool:
        """Whether the elements of a vector are one in memory, arrays being aligned."""
        assert self._axis is not None
        others = [access.strides[run[-1]] for run in (*self.nest.kept, *self.nest.reduced) if run[-1] != self._axis]
        return access.strides[self._axis] == 1 and not any(n % self._vector for n in (access.offset, *others))

    def _picked(self, statement: Statement, words: list[str]) -> str:
        """The element that index arrays pick."""
        form, (source, *_) = statement.form, statement.operands
        if source.storage in self.nest.schedule.scalar_storages:
            # A number is the same at every place.
            return self._name(source.storage)
        given = iter(words[1:])
        step = 0 if self._axis is None or self._vector == 1 else source.strides[self._axis]
        text = self.nest.place(source, step)
        for literal, (size, stride) in zip(form.literals[1:], form.indexed, strict=True):
            word = next(given) if literal is None else literal
            text += f" + ({self.nest.index})np_place({word}, {size}) * {stride}"
        return f"{self._name(source.storage)}[{text}]"


def _times(word: str, step: int) -> list[str]:
    return [] if step == 0 else [word] if step == 1 else [f"{word} * ({step})" if step < 0 else f"{word} * {step}"]


def coordinates(nest: Nest, word: str, runs: Sequence[tuple[int, ...]], vector: int = 1) -> list[str]:
    """Lines that define the place along each run from a number that counts all of them, vectors along the last."""
    lines = []
    for number, run in reversed(list(enumerate(runs))):
        last = number == len(runs) - 1
        n = nest.length(run) // (vector if last else 1)
        if number:
            value, word = f"{word} % {n}", f"{word} / {n}"
        else:
            value = word
        if last and vector > 1:
            value += f" * {vector}"
        lines.append(f"const {nest.index} c{run[-1]} = {value};")
    return lines


class Walk(NamedTuple):
    """How the numbers of iterations become places along runs of axes.

    Attributes
    ----------
    iterations : int
    vector : int
        Elements of each, along the last run.
    rest : int
        Elements along the last run that are left for single ones.
    lines : list of str
        Define the places from ``i``.
    guard : str
        Which iterations have a place; empty if all have.
    """

    iterations: int
    vector: int
    rest: int
    lines: list[str]
    guard: str = ""

    def around(self, body: list[str]) -> list[str]:
        """The lines of one iteration."""
        if not self.guard:
            return [*self.lines, *body]
        return [*self.lines, f"if ({self.guard}) {{", *[f"    {line}" for line in body], "}"]


def walk(nest: Nest, runs: Runs, others: Runs, alone: bool) -> Walk:
    """In the order of memory, in vectors; in patches where arrays lie in memory in different orders."""
    crossed = None if alone else nest.crossed(runs)
    if crossed is not None:
        return _patches(nest, runs, crossed)
    vector = 1 if alone else nest.vector(runs, others)
    count, rest = divmod(math.prod(map(nest.length, runs)), vector)
    return Walk(count, vector, rest, coordinates(nest, "i", runs, vector))


def _patches(nest: Nest, runs: Runs, crossed: int) -> Walk:
    """Square patches, one for each block: all that is read of memory at once is used, in both directions.

    A warp is 8 places along the last run and 4 along the other one.
    """
    along, across = runs[-1], runs[crossed]
    others = [run for run in runs if run not in (along, across)]
    columns, rows = nest.length(along), nest.length(across)
    wide, high = -(-columns // PATCH), -(-rows // PATCH)
    lines = [
        f"const int lane = i % {PATCH * PATCH};",
        f"const {nest.index} patch = i / {PATCH * PATCH};",
        f"const {nest.index} c{along[-1]} = patch % {wide} * {PATCH} + (lane & 7 | lane >> 2 & 8);",
        f"const {nest.index} c{across[-1]} = patch / {wide} % {high} * {PATCH} + (lane >> 3 & 3 | lane >> 4 & 12);",
        *coordinates(nest, f"patch / {wide * high}", others),
    ]
    count = math.prod(map(nest.length, others)) * wide * high * PATCH * PATCH
    return Walk(count, 1, 0, lines, f"c{along[-1]} < {columns} && c{across[-1]} < {rows}")


def totals(nest: Nest) -> list[str]:
    """Lines that begin the reductions of a nest."""
    lines = []
    for j, statement in nest.members:
        if j in nest.reductions:
            wide = accumulator(statement.form.dtypes[0])
            lines.append(f"{C_NAMES[wide]} {nest.totals[j]} = {initial(nest.reductions[j], wide)};")
    return lines
