"""A schedule as the source of one function that Numba compiles.

The source holds forms and shapes only. Where storages are and how often a body is repeated comes in a table, so
that ten steps and a thousand are the same source, compiled once and found on disk by the next process.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..loops.nests import FLOAT64, RUN, SMALLEST_SHARED, Nest, accumulator
from ..loops.schedule import Group, Schedule, Segment
from ..loops.statements import Form, Statement
from ..loops.tables import Table
from .costs import COSTS
from .expressions import ANGLES, VECTORISED, accumulate, cast, expression, initial

# So many Python numbers are parameters; more are written into the workspace by the caller.
FEW_SCALARS = 16


class Stage:
    """A part of a kernel that is executed as a whole before the next one.

    Attributes
    ----------
    lines : list of str
    extent : int or None
        Iterations of its outermost loop, which threads may share; None for what one thread does.
    """

    __slots__ = ("extent", "lines")

    def __init__(self, extent: int | None = None):
        self.lines: list[str] = []
        self.extent = extent


class KernelSource:
    """The text of a kernel, and the table it reads.

    Attributes
    ----------
    source : str
        A module that defines ``kernel``.
    stages : list of Stage
        If there are several, the kernel's parameters after the table are the number of the stage, the number of the
        part, and the begin and end of the part's share of the outermost loop.
    parameters : list of str
        Its further parameters: workspaces, sums of parts, Python numbers, inputs, outputs.
    table : ndarray of uint32
    n_statements : int
        Statements in the source.
    """

    def __init__(self, schedule: Schedule):
        self.schedule = schedule
        self.lowering = schedule.lowering
        self.stages = [Stage()]
        self._table = Table()
        self._used: set[str] = set()
        # Where the parts of a shared loop leave their sums: a vector of each dtype.
        self.parts: list[np.dtype[Any]] = []
        self.few_scalars = sum(map(len, schedule.scalars.values())) <= FEW_SCALARS
        self.n_statements = sum(segment.period for segment in schedule.segments)
        self._copy_in()
        for number, segment in enumerate(schedule.segments):
            self._segment(segment, number)
        self._copy_out()
        if len(self.stages) > 1 and not self.stages[-1].lines:
            self.stages.pop()
        self.table = self._table.array()
        self.parameters = self._parameters()
        self.source = self._module()

    def _entry(self, value: int) -> str:
        """A fixed place of the table."""
        return f"t[{self._table.entry(value)}]"

    # --- in and out --------------------------------------------------------------------------------------------------

    def _array(self, storage: int) -> str:
        name = self.schedule.arrays[storage]
        self._used.add(name)
        return name

    def _line(self, depth: int, text: str) -> None:
        self.stages[-1].lines.append("    " * depth + text)

    def _begin(self, extent: int | None) -> None:
        """A new stage, unless one thread does this and what is before it."""
        if not self.stages[-1].lines:
            self.stages.pop()
        elif extent is None and self.stages[-1].extent is None:
            return
        self.stages.append(Stage(extent))

    def _copy_in(self) -> None:
        storages = self.lowering.storages
        for place, dtype in enumerate(self.schedule.dtypes):
            for i in range(len(self.schedule.scalars.get(dtype, ()))):
                if self.few_scalars:
                    self._line(0, f"w{place}[{i}] = s{place}_{i}")
                self._used.add(f"w{place}")
        for place, storage in enumerate(self.lowering.inputs.values()):
            name = f"x{place}"
            if self.schedule.arrays[storage] != name and storage not in self.schedule.scalar_storages:
                self._used.add(name)
                self._line(0, f"a = {self._entry(self.schedule.offsets[storage])}")
                self._line(0, f"for i in range({storages[storage].size}):")
                self._line(1, f"{self._array(storage)}[a + i] = {name}[i]")

    def _copy_out(self) -> None:
        self._begin(None)
        for place, storage in enumerate(self.lowering.outputs):
            name = f"o{place}"
            self._used.add(name)
            if self.schedule.arrays[storage] != name:
                self._line(0, f"a = {self._entry(self.schedule.offsets[storage])}")
                self._line(0, f"for i in range({self.lowering.storages[storage].size}):")
                self._line(1, f"{name}[i] = {self._array(storage)}[a + i]")

    # --- bodies ------------------------------------------------------------------------------------------------------

    def _segment(self, segment: Segment, number: int) -> None:
        schedule = self.schedule
        columns = [(j, c) for j in range(segment.period) for c in schedule.columns(segment, j)]
        statements = schedule.statements
        self._addresses: dict[tuple[int, int], str] = {}
        # A name has one type in the whole function, so every segment has its own.
        self._serial = number
        if segment.count > 1:
            self._begin(None)
        if segment.count == 1:
            # Where nothing is repeated, places are numbers in the source, so that LLVM sees that they do not overlap:
            # else it compares all of them at run time or, being many, does not vectorise.
            entry = str if len(schedule.segments) == 1 else self._entry
            for j, c in columns:
                self._addresses[j, c] = entry(schedule.address(statements[segment.start + j], c))
            depth = 0
        else:
            rows = self._table.body(schedule, segment, columns)
            for column, place in rows.places.items():
                self._addresses[column] = f"t[q + {place}]"
            self._line(0, f"q{number} = np.int64(t[{rows.start}])")
            self._line(0, f"for k in range(t[{rows.repeated}]):")
            self._line(1, f"q = q{number} + k * {rows.width}")
            depth = 1
        for group in segment.groups:
            self._group(segment, group, depth)

    def _group(self, segment: Segment, group: Group, depth: int) -> None:
        """One loop nest, and a second one for angles that the functions of the first are not for."""
        nest = _Named(self.schedule, segment, group, _is_angle)
        first = nest.axes[0] if nest.axes else ()
        nanoseconds = math.prod(group.shape) * sum(COSTS.statement(s.form) for _, s in nest.members)
        shared = depth == 0 and nanoseconds >= SMALLEST_SHARED and bool(nest.outer or not nest.by_rows)
        if shared:
            nest.shared = first[-1]
            self._begin(math.prod(group.shape[axis] for axis in first))
        elif depth == 0:
            self._begin(None)
        for column, name in nest.names.items():
            address = self._addresses[column]
            if address.isdigit():
                nest.names[column] = address
            else:
                self._line(depth, f"{name} = {address}")
        nest.in_parts = shared and not nest.outer
        if nest.watched:
            self._line(depth, "far = 0")
        self._loops(nest, depth, VECTORISED if nest.vectors else frozenset())
        if nest.watched:
            self._line(depth, "if far != 0:")
            nest.open.clear()
            self._loops(nest, depth + 1, VECTORISED - ANGLES)
        if nest.in_parts and nest.reductions:
            self._join_parts(nest)

    def _loops(self, nest: _Named, depth: int, vectorised: frozenset[str]) -> None:
        """Kept axes, then reduced ones; or the last kept axis innermost, where rows are added up."""
        at = depth
        for axes in nest.outer:
            at = self._open(nest, axes, at)
        forms = {j: (nest.statement(j).form, ufunc) for j, ufunc in nest.reductions.items()}
        if nest.by_rows:
            around = len(nest.open)
            begun = self._open(nest, nest.inner[-1], at)
            for j, (form, reduces) in forms.items():
                self._line(begun, f"{self._element(nest, j, -1)} = {initial(reduces, form.dtypes[0])}")
            del nest.open[around:]
        else:
            for j, (form, reduces) in forms.items():
                self._line(at, f"{self._total(j)} = {initial(reduces, accumulator(form.dtypes[0]))}")
                if j in nest.long:
                    self._line(at, f"{self._lost(j)} = 0.0")
        deepest = at
        for axes in nest.inner[: -1 if nest.long else None]:
            deepest = self._open(nest, axes, deepest)
        around = deepest
        if nest.long:
            deepest = self._open_runs(nest, nest.inner[-1], deepest)
        for j, statement in nest.members:
            self._statement(nest, j, statement, vectorised, deepest)
        if nest.by_rows:
            return
        pairs = {j: f"{self._total(j)}, {self._lost(j)}" for j in sorted(nest.long)}
        for j, both in pairs.items():
            self._line(around + 1, f"{both} = fn.two_sum({both}, {self._run(j)})")
        for j, both in pairs.items():
            self._line(at, f"{self._total(j)} = fn.with_lost({both})")
        for place, (j, (form, _)) in enumerate(forms.items()):
            if nest.in_parts:
                self._line(at, f"p{len(self.parts) + place}[part] = {self._total(j)}")
            elif nest.segment.stored[j]:
                total = cast(self._total(j), accumulator(form.dtypes[0]), form.dtypes[0])
                self._line(at, f"{self._element(nest, j, -1)} = {total}")

    def _join_parts(self, nest: _Named) -> None:
        """What the parts of a shared loop have summed up, put together by one thread."""
        self._begin(None)
        nest.open.clear()
        for j, reduces in nest.reductions.items():
            form = nest.statement(j).form
            wide = accumulator(form.dtypes[0])
            name = f"p{len(self.parts)}"
            self.parts.append(wide)
            self._line(0, f"{self._total(j)} = {initial(reduces, wide)}")
            self._line(0, f"for i in range({name}.size):")
            self._line(1, f"{self._total(j)} = {accumulate(reduces, self._total(j), f'{name}[i]', wide)}")
            if not nest.names[j, -1].isdigit():
                self._line(0, f"{nest.names[j, -1]} = {self._addresses[j, -1]}")
            self._line(0, f"{self._element(nest, j, -1)} = {cast(self._total(j), wide, form.dtypes[0])}")

    def _open_runs(self, nest: _Named, axes: tuple[int, ...], depth: int) -> int:
        """A loop over runs of the last axes, each of which has sums of its own, and the loop over a run."""
        axis = axes[-1]
        first, last = ("lo", "hi") if axis == nest.shared else ("0", str(nest.extent(axes)))
        self._line(depth, f"for b{axis} in range({first}, {last}, {RUN}):")
        for j in sorted(nest.long):
            self._line(depth + 1, f"{self._run(j)} = 0.0")
        return self._open_from(nest, axis, f"b{axis}", f"min({RUN}, {last} - b{axis})", depth + 1)

    def _open_from(self, nest: _Named, axis: int, first: str, count: str, depth: int) -> int:
        """A loop that does not begin at 0. Where LLVM does not see that no place is negative it makes no vectors."""
        self._line(depth, f"for k{axis} in range({count}):")
        self._line(depth + 1, f"i{axis} = np.int64(np.uint32({first} + k{axis}))")
        nest.open.append(axis)
        return depth + 1

    def _total(self, j: int) -> str:
        return f"r{self._serial}_{j}"

    def _lost(self, j: int) -> str:
        """What the additions to a total have lost."""
        return f"l{self._serial}_{j}"

    def _run(self, j: int) -> str:
        """What a run of a long sum comes to."""
        return f"u{self._serial}_{j}"

    def _value(self, j: int) -> str:
        return f"v{self._serial}_{j}"

    def _statement(self, nest: _Named, j: int, statement: Statement, vectorised: frozenset[str], depth: int) -> None:
        """What is done for one place of the iteration space."""
        form = statement.form
        words = []
        for place in range(len(statement.operands)):
            source = nest.segment.local.get((j, place))
            words.append(self._element(nest, j, place) if source is None else self._value(source))
        if j in nest.watched and not vectorised.isdisjoint(ANGLES):
            self._line(depth, f"far |= fn.is_far({words[0]})")
        text = expression(form, words, vectorised)
        reduces = form.reduces
        if reduces is None:
            self._line(depth, f"{self._value(j)} = {_bare(text)}")
            if nest.segment.stored[j]:
                self._line(depth, f"{self._element(nest, j, -1)} = {self._value(j)}")
        elif nest.by_rows:
            target = self._element(nest, j, -1)
            self._line(depth, f"{target} = {accumulate(reduces, target, text, form.dtypes[0])}")
        else:
            wide = accumulator(form.dtypes[0])
            term = cast(text, form.dtypes[0], wide)
            total = self._run(j) if j in nest.long else self._total(j)
            self._line(depth, f"{total} = {accumulate(reduces, total, term, wide)}")

    def _open(self, nest: _Named, axes: tuple[int, ...], depth: int) -> int:
        """A loop over axes that are one in memory."""
        if axes[-1] == nest.shared:
            return self._open_from(nest, axes[-1], "lo", "hi - lo", depth)
        self._line(depth, f"for i{axes[-1]} in range({nest.extent(axes)}):")
        nest.open.append(axes[-1])
        return depth + 1

    def _element(self, nest: _Named, j: int, column: int) -> str:
        """The element of an access at the present place of the loops."""
        statement = nest.statement(j)
        access = statement.target if column < 0 else statement.operands[column]
        words = [nest.names[j, column]]
        for axis in nest.open:
            step = access.strides[axis]
            if step:
                words.append(f"i{axis}" if step == 1 else f"{step} * i{axis}" if step > 0 else f"({step}) * i{axis}")
        if words[0] == "0" and len(words) > 1:
            del words[0]
        return f"{self._array(access.storage)}[{' + '.join(words)}]"

    # --- the module --------------------------------------------------------------------------------------------------

    def _parameters(self) -> list[str]:
        workspaces = [f"w{i}" for i in range(len(self.schedule.dtypes)) if f"w{i}" in self._used]
        inputs = [f"x{i}" for i in range(len(self.lowering.inputs)) if f"x{i}" in self._used]
        scalars = [
            f"s{place}_{i}"
            for place, dtype in enumerate(self.schedule.dtypes)
            for i in range(len(self.schedule.scalars.get(dtype, ())))
            if self.few_scalars
        ]
        parts = [f"p{i}" for i in range(len(self.parts))]
        return workspaces + parts + scalars + inputs + [f"o{i}" for i in range(len(self.lowering.outputs))]

    def _module(self) -> str:
        flat = [f"{p} = {p}_.ravel()" for p in self.parameters if p[0] in "xo"]
        heads = [f"{p}_" if p[0] in "xo" else p for p in self.parameters]
        body = flat
        if len(self.stages) == 1 and self.stages[0].extent is None:
            body += self.stages[0].lines
            heads = ["t", *heads]
        else:
            heads = ["t", "stage", "part", "begin", "end", *heads]
            body += ["lo = np.int64(begin)", "hi = np.int64(end)"]
            for number, stage in enumerate(self.stages):
                body.append(f"if stage == {number}:")
                body += [f"    {line}" for line in stage.lines]
        lines = [f"    {line}" for line in body] or ["    pass"]
        imports = ["import numpy as np"]
        if any("fn." in line for line in lines):
            imports += ["", "from autodiff_backends.numba import functions as fn"]
        return "\n".join([*imports, "", "", f"def kernel({', '.join(heads)}):", *lines, ""])


class _Named(Nest):
    """A nest, with the names of places and of the loops around the present line."""

    def __init__(self, *parts: Any):
        super().__init__(*parts)
        self.names = {column: f"a{i}" for i, column in enumerate(self.columns)}
        self.open: list[int] = []


def _is_angle(form: Form) -> bool:
    return form.name in ANGLES and form.dtypes[0] == FLOAT64


def _bare(text: str) -> str:
    """Text without the parentheses around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth and place < len(text) - 1:
            return text
    return text[1:-1]
