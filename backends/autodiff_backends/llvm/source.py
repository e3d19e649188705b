"""A schedule as the text of one function of LLVM.

The text holds forms and shapes only. Where storages are and how often a body is repeated comes in a table, so that ten
steps and a thousand are the same text, compiled once and found on disk by the next process.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..loops.forms import first_of
from ..loops.nests import SMALLEST_SHARED, Nest, accumulator
from ..loops.schedule import Band, Group, Schedule, Segment
from ..loops.tables import Rows, Table
from .code import INVARIANT, Code, Module, loop, unknown
from .expressions import COSTS, accumulate
from .nests import Loops, is_watched, key_of, share
from .stages import Part, Stage
from .values import INT64, DType, Value

# More inputs than this are one array of pointers, walked through by loops: there is one for each step of a recurrence.
MANY_ARRAYS = 16

# The parameters of a kernel of several stages after the table: the numbers of the stage and of the part, begin and end
# of its share of the outermost loop, and the iteration of the segment that the stage is in.
STAGE = ("stage", "part", "begin", "end", "iteration")

# Bytes of a line of the processor's cache, at which workspaces begin.
LINE = 64


class KernelText:
    """The text of a kernel, and the table it reads.

    Attributes
    ----------
    module : Module
        Which has the function of this name.
    stages : list of Stage
        If there are several, the kernel has the parameters of ``STAGE`` after the table.
    parameters : list of str
        Pointers: workspaces, sums of parts, inputs, outputs.
    parts : list of Part
        Of the sums of parts.
    inputs : dict of int to int
        The numbers of the inputs that it looks at, by their places.
    constants : list of int
        Those that are constants of the program.
    table : Table
    workspaces : dict of str to int
        For each workspace the entry of the table that says where it begins, if they are one piece of memory.
    workspace_size : int
        The entry that holds the bytes of all.
    workspace_bytes : int
    n_statements : int
        Statements in the text.
    has_many_inputs, has_many_outputs : bool
        Whether these are one array of pointers.
    nanoseconds : float
        What a call takes, roughly.
    """

    def __init__(self, schedule: Schedule, module: Module, name: str = "kernel"):
        self.name = name
        self.schedule = schedule
        self.lowering = schedule.lowering
        self.module = module
        # Names differ in the whole function.
        self._numbers = itertools.count()
        self.stages = [Stage(self._new_code())]
        # The segment whose iterations are stages.
        self._repeated: Segment | None = None
        self.table = Table()
        self._used: set[str] = set()
        self.parts: list[Part] = []
        self.has_many_inputs = len(self.lowering.inputs) > MANY_ARRAYS
        self.has_many_outputs = len(self.lowering.outputs) > MANY_ARRAYS
        self.n_statements = sum(segment.period for segment in schedule.segments)
        self._copy_in()
        for segment in schedule.segments:
            self._segment(segment)
        self._copy_out()
        if len(self.stages) > 1 and not self.stages[-1].code.lines:
            self.stages.pop()
        self.parameters = self._parameters()
        used = set(self.parameters)
        self.inputs = {i: number for i, number in enumerate(self.lowering.inputs) if f"x{i}" in used}
        known = self.lowering.program.constants
        self.constants = [number for number in self.inputs.values() if number in known]
        self._place_workspaces()
        self.nanoseconds = sum(stage.nanoseconds for stage in self.stages)
        module.define(name, lambda name: (self._function(), INT64))

    def _place_workspaces(self) -> None:
        """Workspaces as one piece of memory. Its size and theirs are numbers of the table too."""
        size = 0
        self.workspaces = {}
        for place, dtype in enumerate(self.schedule.dtypes):
            if f"w{place}" in self.parameters:
                self.workspaces[f"w{place}"] = self.table.entry(size)
                size += -(-self.schedule.workspaces[dtype] * dtype.itemsize // LINE) * LINE
        self.workspace_size = self.table.entry(size)
        self.workspace_bytes = size

    @property
    def is_staged(self) -> bool:
        """Whether it is several stages, or one that threads share."""
        first = self.stages[0]
        return len(self.stages) > 1 or first.extent is not None or first.segment is not None

    # --- stages ------------------------------------------------------------------------------------------------------

    def _new_code(self) -> Code:
        return Code(self.module, self._numbers)

    def _begin(self, extent: int | None) -> None:
        """A new stage, unless one thread does this and what is before it."""
        last = self.stages[-1]
        if not last.code.lines:
            self.stages.pop()
        elif extent is None and last.extent is None and last.segment is self._repeated:
            return
        self.stages.append(Stage(self._new_code(), extent, self._repeated))

    @property
    def _code(self) -> Code:
        return self.stages[-1].code

    # --- places ------------------------------------------------------------------------------------------------------

    def _array(self, storage: int) -> str:
        name = self.schedule.arrays[storage]
        self._used.add(name)
        if (name[0] == "x" and self.has_many_inputs) or (name[0] == "o" and self.has_many_outputs):
            return self._pointer(name[0], name[1:])
        return f"%{name}"

    def _pointer(self, many: str, place: str) -> str:
        """One of the arrays that are one array of pointers."""
        address = self._code.emit(f"getelementptr ptr, ptr %{many}, i64 {place}")
        return self._code.emit(f"load ptr, ptr {address}, align 8, {INVARIANT}")

    def _read(self, place: str) -> Value:
        """A number of the table."""
        code = self._code
        address = code.emit(f"getelementptr inbounds i32, ptr %t, i64 {place}")
        number = code.emit(f"load i32, ptr {address}, align 4, !invariant.load !0")
        return Value(code, INT64, code.emit(f"zext i32 {number} to i64"))

    def _entry(self, value: int) -> Value:
        """A number that is read from a fixed place of the table."""
        return self._read(str(self.table.entry(value)))

    # --- in and out --------------------------------------------------------------------------------------------------

    def _copy_in(self) -> None:
        storages = self.lowering.storages
        for place in range(len(self.schedule.dtypes)):
            if self.schedule.scalars.get(self.schedule.dtypes[place]):
                self._used.add(f"w{place}")
        copied: dict[Any, list[tuple[int, int]]] = {}
        for place, storage in enumerate(self.lowering.inputs.values()):
            name = f"x{place}"
            if self.schedule.arrays[storage] != name and storage not in self.schedule.scalar_storages:
                self._used.add(name)
                key = (storages[storage], self._array(storage))
                copied.setdefault(key, []).append((place, self.schedule.offsets[storage]))
        for ((size, dtype), array), rows in copied.items():
            if self.has_many_inputs:
                self._copy_many("x", rows, array, dtype, size)
                continue
            for place, offset in rows:
                target = self._code.offset(array, dtype, self._entry(offset))
                self._code.copy(f"%x{place}", target, dtype, size)

    def _copy_many(self, many: str, rows: list[tuple[int, int]], array: str, dtype: DType, size: int) -> None:
        """Inputs of one size to their places in a workspace, or outputs from there."""
        code = self._code
        repeated, start = self.table.rows(rows)

        def copy(k: Value) -> None:
            row = self._read(str(start)) + k * 2
            place, offset = self._read(row.text), self._read((row + 1).text)
            outside, inside = self._pointer(many, place.text), code.offset(array, dtype, offset)
            source, target = (outside, inside) if many == "x" else (inside, outside)
            self._code.copy(source, target, dtype, size)

        loop(code, self._read(str(repeated)), copy)

    def _copy_out(self) -> None:
        self._begin(None)
        storages = self.lowering.storages
        copied: dict[Any, list[tuple[int, int]]] = {}
        for place, storage in enumerate(self.lowering.outputs):
            name = f"o{place}"
            self._used.add(name)
            if self.schedule.arrays[storage] != name:
                key = (storages[storage], self._array(storage))
                copied.setdefault(key, []).append((place, self.schedule.offsets[storage]))
        for ((size, dtype), array), rows in copied.items():
            if self.has_many_outputs and size:
                self._copy_many("o", rows, array, dtype, size)
                continue
            for place, offset in rows:
                self._code.copy(self._code.offset(array, dtype, self._entry(offset)), f"%o{place}", dtype, size)

    # --- bodies ------------------------------------------------------------------------------------------------------

    def _segment(self, segment: Segment) -> None:
        schedule = self.schedule
        columns = [(j, c) for j in range(segment.period) for c in schedule.columns(segment, j)]
        statements = schedule.statements
        if segment.count == 1:
            # Where nothing is repeated, places are numbers in the text, so that LLVM sees that they do not overlap.
            addresses = {(j, c): schedule.address(statements[segment.start + j], c) for j, c in columns}
            entries: dict[int, int] = {}
            if len(schedule.segments) > 1:
                entries = {a: self.table.entry(a) for a in dict.fromkeys(addresses.values())}

            def at(column: tuple[int, int]) -> Value:
                place = addresses[column]
                return self._read(str(entries[place])) if entries else self._code.integer(place)

            bands = {band.begin: band for band in segment.bands}
            place = 0
            while place < len(segment.groups):
                band = bands.get(place)
                if band is None:
                    self._group(segment, segment.groups[place], at, depth=0)
                    place += 1
                else:
                    self._band(segment, band, at)
                    place = band.end
            return
        rows = self.table.body(schedule, segment, columns)
        if self._is_long(segment):
            self._long_segment(segment, rows)
            return
        self._begin(None)
        start = self._read(str(rows.start))
        count = self._read(str(rows.repeated))
        before = self.stages[-1].nanoseconds

        def body(k: Value) -> None:
            row = start + k * rows.width

            def at(column: tuple[int, int]) -> Value:
                return self._read((row + rows.places[column]).text)

            for group in segment.groups:
                self._group(segment, group, at, depth=1)

        loop(self._code, count, body)
        self.stages[-1].nanoseconds += (self.stages[-1].nanoseconds - before) * (segment.count - 1)

    def _nest_of(self, segment: Segment, group: Group) -> Nest:
        return Nest(self.schedule, segment, group, is_watched)

    def _is_long(self, segment: Segment) -> bool:
        """Whether threads are to share loops in each iteration."""
        return any(COSTS.nest(self._nest_of(segment, group)) >= SMALLEST_SHARED for group in segment.groups)

    def _long_segment(self, segment: Segment, rows: Rows) -> None:
        """Stages that are executed one after another as often as there are iterations."""
        self._repeated = segment
        self._begin(None)
        first = len(self.stages) - 1

        def at(column: tuple[int, int]) -> Value:
            # Each stage has to read where its row is.
            row = self._read(str(rows.start)) + Value(self._code, INT64, "%iteration") * rows.width
            return self._read((row + rows.places[column]).text)

        for group in segment.groups:
            self._group(segment, group, at, depth=0)
        for stage in self.stages[first:]:
            stage.nanoseconds *= segment.count
        self._repeated = None
        self._begin(None)

    def _group(self, segment: Segment, group: Group, at: Callable[[tuple[int, int]], Value], depth: int) -> None:
        """One loop nest."""
        nest = self._nest_of(segment, group)
        nanoseconds = COSTS.nest(nest)
        if depth == 0:
            self._begin(share(nest) if nanoseconds >= SMALLEST_SHARED else None)
        self.stages[-1].nanoseconds += nanoseconds
        self._nest(nest, at)
        if nest.in_parts and nest.reductions:
            self._join_parts(nest, at, len(self.stages) - 1)

    def _band(self, segment: Segment, band: Band, at: Callable[[tuple[int, int]], Value]) -> None:
        """Loop nests that are executed together, some rows at a time."""
        nests = [self._nest_of(segment, group) for group in segment.groups[band.begin : band.end]]
        nanoseconds = COSTS.band(band, nests)
        shared = nanoseconds >= SMALLEST_SHARED
        self._begin(band.n_rows if shared else None)
        self.stages[-1].nanoseconds += nanoseconds
        code = self._code
        own = self._own_scratch(band) if shared else {}
        loops = []
        number = len(self.parts)
        for nest in nests:
            nest.in_parts = shared and nest.across
            addresses, columns = self._pointers(nest, at, own)
            pointers = {column: addresses[place] for column, place in columns.items()}
            loops.append(Loops(code, nest, pointers, number, band.steps))
            number += len(nest.reductions) if nest.in_parts else 0
        for written in loops:
            written.begin()
        begin, end = (Value(code, INT64, f"%{name}") for name in ("begin", "end"))
        count = end - begin if shared else code.integer(band.n_rows)

        def block(i: Value) -> None:
            done = i * band.block
            rows = code.integer(band.block)
            if band.block > 1 and (shared or band.n_rows % band.block):
                rows = unknown(code.intrinsic("smin", count - done, rows))
            for written in loops:
                written.block(begin + done if shared else done, rows)

        blocks = code.integer(-(-band.n_rows // band.block))
        if shared:
            blocks = Value(code, INT64, code.emit(f"udiv i64 {(count + (band.block - 1)).text}, {band.block}"))
        loop(code, blocks, block)
        for written in loops:
            written.end()
        stage = len(self.stages) - 1
        for nest in nests:
            if nest.in_parts:
                self._join_parts(nest, at, stage)

    def _own_scratch(self, band: Band) -> dict[int, str]:
        """For what is made for some rows, the addresses of a part's own places."""
        code, schedule = self._code, self.schedule
        regions: dict[tuple[DType, int], list[int]] = {}
        for storage in sorted(band.scratch):
            dtype = self.lowering.storages[storage].dtype
            regions.setdefault((dtype, schedule.offsets[storage]), []).append(storage)
        own: dict[int, str] = {}
        for dtype in dict.fromkeys([dtype for dtype, _ in regions]):
            name, size = f"%p{len(self.parts)}", 0
            found = [(storages, schedule.sizes[storages[0]]) for (d, _), storages in regions.items() if d == dtype]
            total = sum([length for _, length in found])
            first = code.offset(name, dtype, Value(code, INT64, "%part") * total)
            for storages, length in found:
                own.update(dict.fromkeys(storages, code.offset(first, dtype, code.integer(size))))
                size += length
            self.parts.append(Part(total, dtype, len(self.stages) - 1))
        return own

    def _nest(self, nest: Nest, at: Callable[[tuple[int, int]], Value]) -> None:
        """The loops of a nest: here, or in a function that equal nests have in common."""
        code = self._code
        addresses, columns = self._pointers(nest, at, {})
        if len(self.schedule.segments) == 1 or nest.shared is not None or not nest.axes:
            pointers = {column: addresses[number] for column, number in columns.items()}
            Loops(code, nest, pointers, len(self.parts)).write()
            return

        def write() -> str:
            body = Code(self.module)
            Loops(body, nest, {column: f"%m{number}" for column, number in columns.items()}).write()
            body.do("ret void")
            heads = ", ".join([f"ptr captures(none) %m{i}" for i in range(len(addresses))])
            return body.definition(f"internal void @NAME({heads}) {'#7' if body.computes else '#5'}")

        name = self.module.shared(key_of(nest, columns), write)
        code.do(f"call void @{name}({', '.join([f'ptr {address}' for address in addresses])})")

    def _pointers(
        self, nest: Nest, at: Callable[[tuple[int, int]], Value], own: dict[int, str]
    ) -> tuple[list[str], dict[tuple[int, int], int]]:
        """Where the columns of a nest begin, each address once, and which of these each has.

        Some storages may have places of their own.
        """
        found: dict[Any, int] = {}
        addresses: list[str] = []
        columns = {}
        for j, c in nest.columns:
            statement = nest.statement(j)
            access = statement.target if c < 0 else statement.operands[c]
            if access.storage in own:
                array, place = own[access.storage], self._code.integer(access.offset)
            else:
                array, place = self._array(access.storage), at((j, c))
            if (array, place.text) not in found:
                found[array, place.text] = len(addresses)
                addresses.append(self._code.offset(array, statement.form.dtypes[c + 1], place))
            columns[j, c] = found[array, place.text]
        return addresses, columns

    def _join_parts(self, nest: Nest, at: Callable[[tuple[int, int]], Value], stage: int) -> None:
        """What the parts of a shared loop, in a stage, have summed up, put together by one thread."""
        self._begin(None)
        code = self._code
        for j, reduces in nest.reductions.items():
            statement = nest.statement(j)
            dtype = statement.form.dtypes[0]
            wide = dtype if nest.by_rows else accumulator(statement.form)
            size = nest.extent(nest.inner[-1]) if nest.by_rows else 1
            name = f"p{len(self.parts)}"
            self.parts.append(Part(size, wide, stage))
            target = code.offset(self._array(statement.target.storage), dtype, at((j, -1)))
            join = partial(self._join, reduces, f"%{name}", size, wide, target, dtype)
            if size == 1:
                join(code.integer(0))
            else:
                loop(code, code.integer(size), join)

    def _join(
        self, reduces: np.ufunc, parts: str, size: int, wide: DType, target: str, dtype: DType, place: Value
    ) -> None:
        """One number of each part, into the target."""
        code = self._code
        total = code.variable(wide)
        code.set(total, code.constant(first_of(reduces, wide), wide))

        def add(i: Value) -> None:
            part = code.element(code.offset(parts, wide, i if size == 1 else i * size + place), wide)
            code.set(total, accumulate(reduces, code.get(total, wide), part, in_any_order=False))

        loop(code, Value(code, INT64, "%end"), add)
        code.store(code.offset(target, dtype, place), code.get(total, wide).cast(dtype))

    @property
    def attributes(self) -> str:
        """Those of the function, and of what it is put into."""
        return "#6" if any(stage.code.computes for stage in self.stages) else "#0"

    # --- the function ------------------------------------------------------------------------------------------------

    def _parameters(self) -> list[str]:
        workspaces = [f"w{i}" for i in range(len(self.schedule.dtypes)) if f"w{i}" in self._used]
        inputs = [f"x{i}" for i in range(len(self.lowering.inputs)) if f"x{i}" in self._used]
        parts = [f"p{i}" for i in range(len(self.parts))]
        return workspaces + parts + inputs + [f"o{i}" for i in range(len(self.lowering.outputs))]

    @property
    def passed(self) -> list[str]:
        """What the function is called with after the numbers of a stage: inputs or outputs may be one of pointers."""
        many = ["x"] * self.has_many_inputs + ["o"] * self.has_many_outputs
        return [*[name for name in self.parameters if name[0] not in many], *many]

    def heads(self) -> list[str]:
        """The parameters of the function."""
        stage = [f"i64 %{name}" for name in STAGE] if self.is_staged else []
        known = {"x": "noalias readonly captures(none)", "p": "captures(none)"}
        arrays = [f"ptr {known.get(p[0], 'noalias captures(none)')} %{p}" for p in self.passed]
        return ["ptr noalias readonly captures(none) %t", *stage, *arrays]

    def _function(self) -> str:
        code = Code(self.module)
        for stage in self.stages:
            code.prologue += stage.code.prologue
        if self.is_staged:
            cases = " ".join(f"i64 {i}, label %stage{i}" for i in range(len(self.stages)))
            code.do(f"switch i64 %stage, label %done [ {cases} ]")
            for i, stage in enumerate(self.stages):
                code.label(f"stage{i}")
                code.lines += stage.code.lines
                code.jump("done")
            code.label("done")
        else:
            code.lines += self.stages[0].code.lines
        code.do("ret void")
        return code.definition(f"internal void @{self.name}({', '.join(self.heads())}) {self.attributes}")
