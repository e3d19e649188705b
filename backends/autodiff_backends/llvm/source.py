"""A schedule as the text of one function of LLVM.

The text holds forms and shapes only. Where storages are and how often a body is repeated comes in a table, so that ten
steps and a thousand are the same text, compiled once and found on disk by the next process.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..loops.elementary import ANGLES, LARGEST_ANGLE
from ..loops.nests import RUN, SMALLEST_SHARED, Nest, accumulator
from ..loops.schedule import Group, Schedule, Segment
from ..loops.statements import GATHER, first_of
from ..loops.tables import Table
from . import products
from .code import Code, Module, loop
from .expressions import COSTS, Unwritten, accumulate, expression
from .values import BOOL, FLOAT64, INT64, DType, Value

# A loop that handles so many elements at once is tried with functions for a usual range before it is done exactly.
CHUNK = RUN

# Bytes of a line of the processor's cache, at which workspaces begin.
LINE = 64


class Stage:
    """A part of a kernel that is executed as a whole before the next one.

    Attributes
    ----------
    code : Code
    extent : int or None
        Iterations of its outermost loop, which threads may share; None for what one thread does.
    nanoseconds : float
        What it takes, roughly.
    """

    __slots__ = ("code", "extent", "nanoseconds")

    def __init__(self, code: Code, extent: int | None = None):
        self.code = code
        self.extent = extent
        self.nanoseconds = 0.0


class KernelText:
    """The text of a kernel, and the table it reads.

    Attributes
    ----------
    module : Module
        Which has the function ``@kernel``.
    stages : list of Stage
        If there are several, the kernel's parameters after the table are the number of the stage, the number of the
        part, and the begin and end of the part's share of the outermost loop.
    parameters : list of str
        Pointers: workspaces, sums of parts, inputs, outputs.
    parts : list of numpy.dtype
        Of the sums of parts.
    table : ndarray of uint32
    workspaces : dict of str to int
        For each workspace the entry of the table that says where it begins, if they are one piece of memory.
    workspace_size : int
        The entry that holds the bytes of all.
    workspace_bytes : int
    n_statements : int
        Statements in the text.
    nanoseconds : float
        What a call takes, roughly.
    """

    def __init__(self, schedule: Schedule, module: Module):
        self.schedule = schedule
        self.lowering = schedule.lowering
        self.module = module
        # Names differ in the whole function.
        self._numbers = itertools.count()
        self.stages = [Stage(self._new_code())]
        self._table = Table()
        self._used: set[str] = set()
        self.parts: list[DType] = []
        self.n_statements = sum(segment.period for segment in schedule.segments)
        self._copy_in()
        for segment in schedule.segments:
            self._segment(segment)
        self._copy_out()
        if len(self.stages) > 1 and not self.stages[-1].code.lines:
            self.stages.pop()
        self.parameters = self._parameters()
        self._place_workspaces()
        self.table = self._table.array()
        self.nanoseconds = sum(stage.nanoseconds for stage in self.stages)
        module.define("kernel", lambda name: (self._function(), INT64))

    def _place_workspaces(self) -> None:
        """Workspaces as one piece of memory. Its size and theirs are numbers of the table too."""
        size = 0
        self.workspaces = {}
        for place, dtype in enumerate(self.schedule.dtypes):
            if f"w{place}" in self.parameters:
                self.workspaces[f"w{place}"] = self._table.entry(size)
                size += -(-self.schedule.workspaces[dtype] * dtype.itemsize // LINE) * LINE
        self.workspace_size = self._table.entry(size)
        self.workspace_bytes = size

    @property
    def constants(self) -> list[int]:
        """The numbers of the inputs that are constants of the program."""
        known = self.lowering.program.constants
        inputs = enumerate(self.lowering.inputs)
        return [number for place, number in inputs if f"x{place}" in self.parameters and number in known]

    @property
    def is_staged(self) -> bool:
        """Whether it is several stages, or one that threads share."""
        return len(self.stages) > 1 or self.stages[0].extent is not None

    # --- stages ------------------------------------------------------------------------------------------------------

    def _new_code(self) -> Code:
        return Code(self.module, self._numbers)

    def _begin(self, extent: int | None) -> None:
        """A new stage, unless one thread does this and what is before it."""
        if not self.stages[-1].code.lines:
            self.stages.pop()
        elif extent is None and self.stages[-1].extent is None:
            return
        self.stages.append(Stage(self._new_code(), extent))

    @property
    def _code(self) -> Code:
        return self.stages[-1].code

    # --- places ------------------------------------------------------------------------------------------------------

    def _array(self, storage: int) -> str:
        name = self.schedule.arrays[storage]
        self._used.add(name)
        return f"%{name}"

    def _read(self, place: str) -> Value:
        """A number of the table."""
        code = self._code
        address = code.emit(f"getelementptr inbounds i32, ptr %t, i64 {place}")
        number = code.emit(f"load i32, ptr {address}, align 4, !invariant.load !0")
        return Value(code, INT64, code.emit(f"zext i32 {number} to i64"))

    def _entry(self, value: int) -> Value:
        """A number that is read from a fixed place of the table."""
        return self._read(str(self._table.entry(value)))

    # --- in and out --------------------------------------------------------------------------------------------------

    def _copied(self, source: str, target: str, dtype: DType, size: int) -> None:
        if size:
            bytes_ = size * dtype.itemsize
            self.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
            align = f"align {dtype.itemsize}"
            self._code.do(
                f"call void @llvm.memcpy.p0.p0.i64(ptr {align} {target}, ptr {align} {source}, i64 {bytes_}, i1 false)"
            )

    def _copy_in(self) -> None:
        storages = self.lowering.storages
        for place in range(len(self.schedule.dtypes)):
            if self.schedule.scalars.get(self.schedule.dtypes[place]):
                self._used.add(f"w{place}")
        for place, storage in enumerate(self.lowering.inputs.values()):
            name = f"x{place}"
            if self.schedule.arrays[storage] != name and storage not in self.schedule.scalar_storages:
                self._used.add(name)
                size, dtype = storages[storage]
                target = self._code.offset(self._array(storage), dtype, self._entry(self.schedule.offsets[storage]))
                self._copied(f"%{name}", target, dtype, size)

    def _copy_out(self) -> None:
        self._begin(None)
        for place, storage in enumerate(self.lowering.outputs):
            name = f"o{place}"
            self._used.add(name)
            if self.schedule.arrays[storage] != name:
                size, dtype = self.lowering.storages[storage]
                source = self._code.offset(self._array(storage), dtype, self._entry(self.schedule.offsets[storage]))
                self._copied(source, f"%{name}", dtype, size)

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
                entries = {a: self._table.entry(a) for a in dict.fromkeys(addresses.values())}

            def at(column: tuple[int, int]) -> Value:
                place = addresses[column]
                return self._read(str(entries[place])) if entries else self._code.integer(place)

            for group in segment.groups:
                self._group(segment, group, at, depth=0)
            return
        self._begin(None)
        rows = self._table.body(schedule, segment, columns)
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

    def _group(self, segment: Segment, group: Group, at: Callable[[tuple[int, int]], Value], depth: int) -> None:
        """One loop nest."""
        nest = Nest(self.schedule, segment, group, lambda form: form.name in ANGLES)
        first = nest.axes[0] if nest.axes else ()
        nanoseconds = math.prod(group.shape) * sum(COSTS.statement(s.form) for _, s in nest.members)
        shared = depth == 0 and nanoseconds >= SMALLEST_SHARED and bool(nest.outer or not nest.by_rows)
        if shared:
            nest.shared = first[-1]
            self._begin(math.prod(group.shape[axis] for axis in first))
        elif depth == 0:
            self._begin(None)
        self.stages[-1].nanoseconds += nanoseconds
        nest.in_parts = shared and not nest.outer
        Loops(self, nest, at).write()
        if nest.in_parts and nest.reductions:
            self._join_parts(nest, at)

    def _join_parts(self, nest: Nest, at: Callable[[tuple[int, int]], Value]) -> None:
        """What the parts of a shared loop have summed up, put together by one thread."""
        self._begin(None)
        code = self._code
        for j, reduces in nest.reductions.items():
            statement = nest.statement(j)
            dtype = statement.form.dtypes[0]
            wide = accumulator(dtype)
            name = f"p{len(self.parts)}"
            self.parts.append(wide)
            total = code.variable(wide)
            code.set(total, code.constant(first_of(reduces, wide), wide))

            def add(i: Value, name: str = name, reduces: Any = reduces, total: str = total, wide: DType = wide) -> None:
                part = code.element(code.offset(f"%{name}", wide, i), wide)
                code.set(total, accumulate(reduces, code.get(total, wide), part, in_any_order=False))

            loop(code, Value(code, INT64, "%end"), add)
            target = code.offset(self._array(statement.target.storage), dtype, at((j, -1)))
            code.store(target, code.get(total, wide).cast(dtype))

    # --- the function ------------------------------------------------------------------------------------------------

    def _parameters(self) -> list[str]:
        workspaces = [f"w{i}" for i in range(len(self.schedule.dtypes)) if f"w{i}" in self._used]
        inputs = [f"x{i}" for i in range(len(self.lowering.inputs)) if f"x{i}" in self._used]
        parts = [f"p{i}" for i in range(len(self.parts))]
        return workspaces + parts + inputs + [f"o{i}" for i in range(len(self.lowering.outputs))]

    def heads(self) -> list[str]:
        """The parameters of the function."""
        stage = ["i64 %stage", "i64 %part", "i64 %begin", "i64 %end"] if self.is_staged else []
        known = {"x": "noalias readonly captures(none)", "p": "captures(none)"}
        arrays = [f"ptr {known.get(p[0], 'noalias captures(none)')} %{p}" for p in self.parameters]
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
        return code.definition(f"internal void @kernel({', '.join(self.heads())}) #0")


class Loops:
    """The loops of a nest.

    Parameters
    ----------
    text : KernelText
    nest : Nest
    at : callable
        Where in its array the access of a column begins.
    """

    def __init__(self, text: KernelText, nest: Nest, at: Callable[[tuple[int, int]], Value]):
        self._text = text
        self._nest = nest
        self._code = text._code
        self._totals = {
            j: self._code.variable(accumulator(s.form.dtypes[0])) for j, s in nest.members if j in nest.reductions
        }
        self._runs = {j: self._code.variable(FLOAT64) for j in nest.long}
        self._lost = {j: self._code.variable(FLOAT64) for j in nest.long}
        self._far = self._code.variable(BOOL) if nest.watched else ""
        # Of each column that is in memory the steps, and the address at the present place of the loops.
        self._strides = {}
        self._addresses: dict[tuple[int, int], str] = {}
        self._keys: dict[tuple[int, int], Any] = {}
        known: dict[Any, str] = {}
        for column in nest.columns:
            j, c = column
            statement = nest.statement(j)
            access = statement.target if c < 0 else statement.operands[c]
            dtype = text.lowering.storages[access.storage].dtype
            place = at(column)
            key = (text._array(access.storage), place.text, access.strides)
            if key not in known:
                known[key] = self._code.offset(key[0], dtype, place)
            self._keys[column] = key
            self._strides[column] = access.strides
            self._addresses[column] = known[key]

    def _products(self) -> bool:
        """Write products of matrices as such, if the nest is nothing else."""
        nest, code = self._nest, self._code
        found = {j: products.axes_of(s.form) for j, s in nest.members}
        if nest.shared is not None or nest.segment.local.keys() & {(j, c) for j in found for c in (0, 1)}:
            return False
        if not all(found.values()):
            return False
        for j, statement in nest.members:
            axes = found[j]
            assert axes is not None
            lanes = code.module.vector_bytes // statement.form.dtypes[0].itemsize
            batch = [axis for axis in range(len(nest.shape) - 3) if nest.shape[axis] > 1]
            addresses = [self._addresses[j, c] for c in (-1, 0, 1)]
            products.write(code, statement, axes, addresses, lanes, batch)
        return True

    # --- around ------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """All of them."""
        nest = self._nest
        if self._products():
            return
        if nest.by_rows:
            self._around(nest.outer, self._rows)
        elif nest.reductions:
            self._around(nest.outer, lambda: self._inside(nest.inner))
        else:
            self._around(nest.outer[:-1], lambda: self._inside(nest.outer[-1:]))

    def _around(self, axes: Sequence[tuple[int, ...]], inside: Callable[[], None]) -> None:
        """Loops over axes that are each one in memory, and what is in them."""
        if not axes:
            inside()
            return
        first, *rest = axes
        self._open(first, lambda: self._around(rest, inside))

    def _open(
        self,
        axes: tuple[int, ...],
        body: Callable[[], Any],
        innermost: bool = False,
        first: Value | None = None,
        count: Value | None = None,
    ) -> None:
        """A loop over axes; from a place on, if it is not from the begin."""
        code, nest = self._code, self._nest
        axis = axes[-1]
        if count is None:
            if axis == nest.shared:
                first = Value(code, INT64, "%begin")
                count = Value(code, INT64, "%end") - first
            else:
                count = code.integer(nest.extent(axes))
        if count.text == "0":
            return
        outside = self._addresses
        begun = outside if first is None else self._moved(outside, axis, first)

        def inside(i: Value) -> None:
            self._addresses = self._moved(begun, axis, i)
            body()

        loop(code, count, inside, innermost)
        self._addresses = outside

    def _moved(self, addresses: dict[tuple[int, int], str], axis: int, place: Value) -> dict[tuple[int, int], str]:
        """Addresses at a place along an axis."""
        code = self._code
        found: dict[Any, str] = {}
        steps: dict[int, Value] = {}
        moved = {}
        for column, address in addresses.items():
            step = self._strides[column][axis]
            key = self._keys[column]
            if step == 0:
                moved[column] = address
                continue
            if key not in found:
                if step not in steps:
                    steps[step] = place if step == 1 else place * step
                j, c = column
                statement = self._nest.statement(j)
                access = statement.target if c < 0 else statement.operands[c]
                dtype = self._text.lowering.storages[access.storage].dtype
                found[key] = code.offset(address, dtype, steps[step])
            moved[column] = found[key]
        return moved

    # --- inside ------------------------------------------------------------------------------------------------------

    def _rows(self) -> None:
        """Rows that are added up, the last kept axis being innermost; again, if an angle was too large."""
        nest, code = self._nest, self._code

        def added() -> None:
            def begin() -> None:
                for j, reduces in nest.reductions.items():
                    dtype = nest.statement(j).form.dtypes[0]
                    code.store(self._addresses[j, -1], code.constant(first_of(reduces, dtype), dtype))

            self._open(nest.inner[-1], begin, innermost=True)
            self._around(nest.inner[:-1], lambda: self._open(nest.inner[-1], self._statements, innermost=True))

        self._watched(added)

    def _inside(self, axes: list[tuple[int, ...]]) -> None:
        """Loops over axes, the last of which is innermost, and what they sum up."""
        nest, code = self._nest, self._code
        forms = {j: (nest.statement(j).form, reduces) for j, reduces in nest.reductions.items()}
        for j, (form, reduces) in forms.items():
            wide = accumulator(form.dtypes[0])
            code.set(self._totals[j], code.constant(first_of(reduces, wide), wide))
            if j in nest.long:
                code.set(self._lost[j], code.constant(0.0, FLOAT64))
        if axes:
            self._around(axes[:-1], lambda: self._chunks(axes[-1]))
        else:
            self._watched(self._statements)
        for place, (j, (form, _)) in enumerate(forms.items()):
            total = code.get(self._totals[j], accumulator(form.dtypes[0]))
            if j in nest.long:
                lost = code.get(self._lost[j], FLOAT64)
                # What was lost is not a number if the sum has left the range.
                total = (lost - lost == 0.0).select(total + lost, total)
            if nest.in_parts:
                name = f"%p{len(self._text.parts) + place}"
                code.store(code.offset(name, total.dtype, Value(code, INT64, "%part")), total)
            elif nest.segment.stored[j]:
                code.store(self._addresses[j, -1], total.cast(form.dtypes[0]))

    def _chunks(self, axes: tuple[int, ...]) -> None:
        """The innermost loop; in runs that have sums of their own, or are done again if an angle was too large."""
        nest, code = self._nest, self._code
        shared = axes[-1] == nest.shared
        extent = nest.extent(axes)
        if not nest.long and not nest.watched:
            self._watched(lambda: self._open(axes, self._statements, innermost=True))
            return
        begin = Value(code, INT64, "%begin") if shared else code.integer(0)
        count = Value(code, INT64, "%end") - begin if shared else code.integer(extent)
        chunks = code.integer(-(-extent // CHUNK))
        if shared:
            chunks = (count + (CHUNK - 1)) >> (CHUNK.bit_length() - 1)

        def chunk(i: Value) -> None:
            first = begin + i * CHUNK
            rest = count - i * CHUNK
            here = code.intrinsic("smin", rest, code.integer(CHUNK))
            self._run(axes, first, here)

        if not shared and extent <= CHUNK:
            self._run(axes, None, code.integer(extent))
        else:
            loop(code, chunks, chunk)

    def _run(self, axes: tuple[int, ...], first: Value | None, count: Value) -> None:
        nest, code = self._nest, self._code
        self._watched(lambda: self._open(axes, self._statements, innermost=True, first=first, count=count))
        for j in sorted(nest.long):
            run, total = code.get(self._runs[j], FLOAT64), code.get(self._totals[j], FLOAT64)
            # The sum, and what its rounding loses (Knuth).
            new = total + run
            part = new - total
            lost = code.get(self._lost[j], FLOAT64) + ((total - (new - part)) + (run - part))
            code.set(self._totals[j], new)
            code.set(self._lost[j], lost)

    def _watched(self, inside: Callable[[], None]) -> None:
        """Loops with functions for a usual range, and again with exact ones if an operand was out of it."""
        nest, code = self._nest, self._code
        code.inlined, code.exact = nest.vectors, not nest.vectors
        kept = {}
        if nest.watched:
            code.set(self._far, code.constant(False, BOOL))
            kept = {
                j: (variable, code.get(variable, accumulator(nest.statement(j).form.dtypes[0])))
                for j, variable in self._totals.items()
                if j not in nest.long
            }
        self._begin_runs()
        inside()
        if nest.watched:
            again, after = code.name("again"), code.name("after")
            code.branch(code.get(self._far, BOOL), again, after, self._unlikely())
            code.label(again)
            for variable, value in kept.values():
                code.set(variable, value)
            self._begin_runs()
            code.inlined, code.exact = False, True
            inside()
            code.jump(after)
            code.label(after)
        code.inlined, code.exact = False, True

    def _unlikely(self) -> str:
        weights = self._code.module.metadata('!{!"branch_weights", i32 1, i32 1000000}')
        return f", !prof {weights}"

    def _begin_runs(self) -> None:
        for variable in self._runs.values():
            self._code.set(variable, self._code.constant(0.0, FLOAT64))

    # --- one place ---------------------------------------------------------------------------------------------------

    def _statements(self) -> None:
        """What is done for one place of the iteration space."""
        nest, code = self._nest, self._code
        values: dict[int, Value] = {}
        loaded: dict[str, Value] = {}
        for j, statement in nest.members:
            form = statement.form
            if form.name == GATHER:
                raise Unwritten("an index with arrays")
            words = []
            dtypes = iter(form.dtypes[1:])
            for place in range(len(statement.operands)):
                dtype = next(dtypes)
                source = nest.segment.local.get((j, place))
                if source is not None:
                    words.append(values[source])
                    continue
                address = self._addresses[j, place]
                if address not in loaded:
                    loaded[address] = code.element(address, dtype)
                words.append(loaded[address])
            if j in nest.watched and not code.exact:
                code.set(self._far, code.get(self._far, BOOL) | (abs(words[0]) > LARGEST_ANGLE))
            value = expression(code, form, words)
            if form.reduces is None:
                values[j] = value
                if nest.segment.stored[j]:
                    code.store(self._addresses[j, -1], value)
                continue
            if nest.by_rows:
                target = self._addresses[j, -1]
                dtype = form.dtypes[0]
                code.store(target, accumulate(form.reduces, code.element(target, dtype), value))
                continue
            variable = self._runs[j] if j in nest.long else self._totals[j]
            wide = accumulator(form.dtypes[0])
            code.set(variable, accumulate(form.reduces, code.get(variable, wide), value.cast(wide)))
