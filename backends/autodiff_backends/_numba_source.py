"""A schedule as the source of one function that Numba compiles.

The source holds forms and shapes only. Where storages are and how often a body is repeated comes in a table, so
that ten steps and a thousand are the same source, compiled once and found on disk by the next process.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._loops_expressions import accumulate, cast, expression, initial
from ._loops_schedule import Group, Schedule, Segment
from ._loops_statements import REDUCTIONS, Statement

# A reduction's last kept axis is the innermost loop if it is this long: rows are added up, which vectorises.
SHORTEST_ROW = 4

# So many Python numbers are parameters; more are written into the workspace by the caller.
FEW_SCALARS = 16

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class KernelSource:
    """The text of a kernel, and the table it reads.

    Attributes
    ----------
    source : str
        A module that defines ``kernel``.
    parameters : list of str
        Its parameters after the table: workspaces, Python numbers, inputs, outputs.
    table : ndarray of uint32
    n_statements : int
        Statements in the source.
    """

    def __init__(self, schedule: Schedule):
        self.schedule = schedule
        self.lowering = schedule.lowering
        self.lines: list[str] = []
        self._fixed: list[int] = []
        self._tables: list[tuple[int, Any]] = []
        self._used: set[str] = set()
        self.few_scalars = sum(map(len, schedule.scalars.values())) <= FEW_SCALARS
        self.n_statements = sum(segment.period for segment in schedule.segments)
        self._copy_in()
        for number, segment in enumerate(schedule.segments):
            self._segment(segment, number)
        self._copy_out()
        self.table = self._table()
        self.parameters = self._parameters()
        self.source = self._module()

    # --- the table ---------------------------------------------------------------------------------------------------

    def _entry(self, value: int) -> str:
        """A fixed place of the table."""
        self._fixed.append(value)
        return f"t[{len(self._fixed) - 1}]"

    def _table(self) -> Any:
        tables = []
        start = len(self._fixed)
        for place, rows in self._tables:
            self._fixed[place] = start
            tables.append(rows.ravel())
            start += rows.size
        return np.concatenate([np.asarray(self._fixed, np.int64), *tables]).astype(np.uint32)

    # --- in and out --------------------------------------------------------------------------------------------------

    def _array(self, storage: int) -> str:
        name = self.schedule.arrays[storage]
        self._used.add(name)
        return name

    def _line(self, depth: int, text: str) -> None:
        self.lines.append("    " * (depth + 1) + text)

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
        if segment.count == 1:
            for j, c in columns:
                self._addresses[j, c] = self._entry(schedule.address(statements[segment.start + j], c))
            depth = 0
        else:
            rows = np.array(
                [[schedule.address(statements[i], c) for i in schedule.instances(segment, j)] for j, c in columns]
            )
            unique, places = np.unique(rows, axis=0, return_inverse=True)
            for column, place in zip(columns, places.ravel(), strict=True):
                self._addresses[column] = f"t[q + {place}]"
            count = self._entry(segment.count)
            start = self._entry(0)
            self._tables.append((len(self._fixed) - 1, unique.T))
            self._line(0, f"q{number} = np.int64({start})")
            self._line(0, f"for k in range({count}):")
            self._line(1, f"q = q{number} + k * {len(unique)}")
            depth = 1
        for group in segment.groups:
            self._group(segment, group, depth)

    def _group(self, segment: Segment, group: Group, depth: int) -> None:
        """One loop nest: kept axes, then reduced ones, or the last kept axis innermost where that vectorises."""
        statements = self.schedule.statements
        first = [(j, statements[segment.start + j]) for j in group.members]
        reduced = group.reduced or ()
        kept = [axis for axis in range(len(group.shape)) if axis not in reduced]
        reductions = [j for j, s in first if s.form.name in REDUCTIONS]
        by_rows = bool(reductions) and self._by_rows(group, kept, [s for j, s in first if j in reductions])
        names: dict[tuple[int, int], str] = {}
        for j, _ in first:
            for c in self.schedule.columns(segment, j):
                name = names[j, c] = f"a{len(names)}"
                self._line(depth, f"{name} = {self._addresses[j, c]}")
        outer = kept[:-1] if by_rows else kept
        inner = [*reduced, kept[-1]] if by_rows else [*reduced]
        nest = _Nest(group.shape, first)
        at = depth
        for axis in nest.merged(outer):
            at = self._open(nest, axis, at)
        if by_rows:
            begun, around = at, len(nest.open)
            for axis in nest.merged(kept[-1:]):
                begun = self._open(nest, axis, begun)
            for j in reductions:
                form = statements[segment.start + j].form
                self._line(
                    begun, f"{self._element(segment, nest, names, j, -1)} = {initial(form.name, form.dtypes[0])}"
                )
            del nest.open[around:]
        else:
            for j in reductions:
                form = statements[segment.start + j].form
                self._line(at, f"r{self._serial}_{j} = {initial(form.name, _accumulator(form.dtypes[0]))}")
        deepest = at
        for axis in nest.merged(inner):
            deepest = self._open(nest, axis, deepest)
        self._body(segment, nest, names, first, by_rows, deepest)
        if not by_rows:
            for j in reductions:
                dtype = statements[segment.start + j].form.dtypes[0]
                total = cast(f"r{self._serial}_{j}", _accumulator(dtype), dtype)
                if segment.stored[j]:
                    self._line(at, f"{self._element(segment, nest, names, j, -1)} = {total}")

    def _body(
        self,
        segment: Segment,
        nest: _Nest,
        names: dict[tuple[int, int], str],
        members: list[tuple[int, Statement]],
        by_rows: bool,
        depth: int,
    ) -> None:
        for j, (form, _, operands) in members:
            words = []
            for place in range(len(operands)):
                source = segment.local.get((j, place))
                if source is None:
                    words.append(self._element(segment, nest, names, j, place))
                else:
                    words.append(f"v{self._serial}_{source}")
            text = expression(form, words)
            if form.name in REDUCTIONS:
                if by_rows:
                    target = self._element(segment, nest, names, j, -1)
                    self._line(depth, f"{target} = {accumulate(form.name, target, text)}")
                else:
                    wide = cast(text, form.dtypes[0], _accumulator(form.dtypes[0]))
                    total = f"r{self._serial}_{j}"
                    self._line(depth, f"{total} = {accumulate(form.name, total, wide)}")
            else:
                value = f"v{self._serial}_{j}"
                self._line(depth, f"{value} = {_bare(text)}")
                if segment.stored[j]:
                    self._line(depth, f"{self._element(segment, nest, names, j, -1)} = {value}")

    def _by_rows(self, group: Group, kept: list[int], reductions: list[Statement]) -> bool:
        """Whether reductions are done row by row: contiguous targets, and operands that a vector can be read from."""
        if not kept or group.shape[kept[-1]] < SHORTEST_ROW:
            return False
        last = kept[-1]
        steps = [s.form.strides for s in reductions]
        return all(
            own[0][last] == 1 and any(o[last] == 1 for o in own[1:]) and all(o[last] in (0, 1) for o in own[1:])
            for own in steps
        )

    def _open(self, nest: _Nest, axes: tuple[int, ...], depth: int) -> int:
        """A loop over axes that are one in memory; nothing for a single place."""
        size = math.prod(nest.shape[axis] for axis in axes)
        if size == 1:
            return depth
        self._line(depth, f"for i{axes[-1]} in range({size}):")
        nest.open.append(axes[-1])
        return depth + 1

    def _element(self, segment: Segment, nest: _Nest, names: dict[tuple[int, int], str], j: int, column: int) -> str:
        """The element of an access at the present place of the loops."""
        statement = self.schedule.statements[segment.start + j]
        access = statement.target if column < 0 else statement.operands[column]
        words = [names[j, column]]
        for axis in nest.open:
            step = access.strides[axis]
            if step:
                words.append(f"i{axis}" if step == 1 else f"{step} * i{axis}" if step > 0 else f"({step}) * i{axis}")
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
        return workspaces + scalars + inputs + [f"o{i}" for i in range(len(self.lowering.outputs))]

    def _module(self) -> str:
        flat = [f"    {p} = {p}_.ravel()" for p in self.parameters if p[0] in "xo"]
        heads = [f"{p}_" if p[0] in "xo" else p for p in self.parameters]
        body = [*flat, *self.lines] or ["    pass"]
        return "\n".join(["import numpy as np", "", "", f"def kernel({', '.join(['t', *heads])}):", *body, ""])


class _Nest:
    """The loops around a group."""

    def __init__(self, shape: tuple[int, ...], members: list[tuple[int, Statement]]):
        self.shape = shape
        self.open: list[int] = []
        self._strides = [strides for _, statement in members for strides in statement.form.strides]

    def merged(self, axes: list[int]) -> list[tuple[int, ...]]:
        """Axes as runs that every access walks through in one step, those of size 1 left out."""
        runs: list[tuple[int, ...]] = []
        for axis in axes:
            if self.shape[axis] == 1:
                continue
            if runs:
                previous = runs[-1][-1]
                n = self.shape[axis]
                if previous < axis and all(s[previous] == n * s[axis] for s in self._strides):
                    runs[-1] = (*runs[-1], axis)
                    continue
            runs.append((axis,))
        return runs


def _accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What a sum is added up in; single precision in double, which costs nothing in a register."""
    return FLOAT64 if dtype == FLOAT32 else dtype


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
