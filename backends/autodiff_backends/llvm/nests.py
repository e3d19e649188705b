"""The loops of a nest in LLVM's text: over rows and columns, terms of sums, runs of long ones; products of matrices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from ..loops.forms import ADD_AT, GATHER, Form, first_of
from ..loops.functions import LIMITED
from ..loops.nests import RUN, Nest, accumulator
from . import products
from .code import Code, loop
from .expressions import accumulate, expression, literal, place_of, plus
from .values import BOOL, FLOAT64, INT64, DType, Value, in_memory

# A loop that handles so many elements at once is tried with functions for a usual range before it is done exactly.
CHUNK = RUN

# The position of a statement, and -1 for its target or the number of the operand.
Column = tuple[int, int]


def key_of(nest: Nest, pointers: Mapping[Column, int]) -> Hashable:
    """What the loops of a nest depend on: equal nests are one function."""
    places = {j: i for i, (j, _) in enumerate(nest.members)}
    local, stored = nest.segment.local, nest.segment.stored
    members = tuple(
        [
            (
                statement.form,
                stored[j],
                tuple([places[local[j, c]] if (j, c) in local else -1 for c in range(len(statement.operands))]),
                j in nest.watched,
            )
            for j, statement in nest.members
        ]
    )
    return nest.shape, nest.vectors, members, tuple([pointers[column] for column in nest.columns])


def is_watched(form: Form) -> bool:
    """Whether a statement is vectorised for a usual range of numbers."""
    return form.name in LIMITED


def is_product(form: Form) -> bool:
    """Whether a statement is a product of matrices in tiles."""
    return products.axes_of(form) is not None


def products_of(nest: Nest) -> dict[int, products.Axes] | None:
    """How the statements of a nest are products of matrices, by position; None if not all are, on their own."""
    found = {}
    for j, statement in nest.members:
        axes = products.axes_of(statement.form)
        if axes is None or not nest.segment.local.keys().isdisjoint([(j, 0), (j, 1)]):
            return None
        found[j] = axes
    return found


def share(nest: Nest) -> int | None:
    """Have threads share a loop of a nest; how many iterations it has, or None if there is none."""
    found = products_of(nest)
    if found is None:
        return nest.share()
    # The same loop of all of them.
    batches = [products.batch_of(statement.form, found[j]) for j, statement in nest.members]
    if not batches[0] or any(batch[:1] != batches[0][:1] for batch in batches):
        return None
    nest.shared = batches[0][0]
    return nest.shape[nest.shared]


class Loops:
    """The loops of a nest.

    Parameters
    ----------
    code : Code
    nest : Nest
    pointers : mapping of (int, int) to str
        For each column that is in memory the address of its first element.
    parts : int
        The number of the first of the vectors that parts of a shared loop leave their sums in.
    steps : mapping of (int, int) to int
        Of a nest in a band, for each column from row to row.
    """

    def __init__(
        self,
        code: Code,
        nest: Nest,
        pointers: Mapping[Column, str],
        parts: int = 0,
        steps: Mapping[Column, int] | None = None,
    ):
        self._code = code
        self._nest = nest
        self._parts = parts
        forms = {j: statement.form for j, statement in nest.members}
        self._totals = {j: code.variable(accumulator(forms[j])) for j in nest.reductions}
        self._runs = {j: code.variable(FLOAT64) for j in nest.long}
        self._lost = {j: code.variable(FLOAT64) for j in nest.long}
        self._far = code.variable(BOOL) if nest.watched else ""
        # Of each column the address at the present place of the loops, its steps and its dtype.
        self._addresses = dict(pointers)
        self._strides = {(j, c): forms[j].strides[c + 1] for j, c in nest.columns}
        self._dtypes: dict[Column, DType] = {(j, c): forms[j].dtypes[c + 1] for j, c in nest.columns}
        self._steps = steps or {}
        # Those that are at the same place all the time.
        self._keys = {c: (pointers[c], self._strides[c], self._steps.get(c, 0)) for c in nest.columns}
        # How many rows of a band are done at once, in the present block.
        self._rows: Value | None = None
        # Where what is written anywhere is put aside, and where; and the axis, begin and place of the innermost loop.
        self._aside: dict[int, tuple[str, str]] = {}
        self._at: tuple[int, Value | None, Value] = (-1, None, code.integer(0))

    def _products(self) -> bool:
        """Write products of matrices as such, if the nest is nothing else."""
        nest, code = self._nest, self._code
        found = products_of(nest)
        if found is None:
            return False
        for j, statement in nest.members:
            lanes = code.module.vector_bytes // statement.form.dtypes[0].itemsize
            addresses = [self._addresses[j, c] for c in (-1, 0, 1)]
            products.write(code, statement, found[j], addresses, lanes, nest.shared is not None)
        return True

    # --- around ------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """All of them."""
        if not self._products():
            self._loops()

    def begin(self) -> None:
        """What is before the first block of a band: the begin of sums over rows."""
        if not self._nest.across:
            return
        if self._nest.by_rows:
            self._into_parts()
            self._begin_rows()
        else:
            self._begin_sums()

    def block(self, first: Value, rows: Value) -> None:
        """So many rows of a band, from one on."""
        outside = self._addresses
        self._addresses = self._moved(outside, self._steps, first)
        self._rows = rows
        self._loops()
        self._addresses = outside

    def end(self) -> None:
        """What is after the last block of a band."""
        if self._nest.across and not self._nest.by_rows:
            self._end_sums()

    def _loops(self) -> None:
        nest = self._nest
        if nest.by_rows:
            self._around(nest.outer, self._added_rows)
        elif nest.short:
            self._around(nest.outer[:-1], lambda: self._watched(self._short_sums))
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
                count = self._count(axes)
        if count.text == "0":
            return
        outside = self._addresses
        strides = self._along(axis)
        begun = outside if first is None else self._moved(outside, strides, first)

        def inside(i: Value) -> None:
            self._addresses = self._moved(begun, strides, i)
            self._at = axis, first, i
            body()

        loop(code, count, inside, innermost)
        self._addresses = outside

    def _count(self, axes: tuple[int, ...]) -> Value:
        """The iterations of a loop over axes, in a band those of the present block."""
        nest = self._nest
        extent = nest.extent(axes)
        if self._rows is None or nest.rows is None or nest.rows.axis not in axes:
            return self._code.integer(extent)
        each = extent // nest.rows.block
        return self._rows if each == 1 else self._rows * each

    def _along(self, axis: int) -> dict[Column, int]:
        return {column: strides[axis] for column, strides in self._strides.items()}

    def _moved(self, addresses: dict[Column, str], strides: Mapping[Column, int], place: Value) -> dict[Column, str]:
        """Addresses at a place, so many steps further."""
        code = self._code
        found: dict[Any, str] = {}
        steps: dict[int, Value] = {}
        moved = {}
        for column, address in addresses.items():
            step = strides[column]
            key = self._keys[column]
            if step == 0:
                moved[column] = address
                continue
            if key not in found:
                if step not in steps:
                    steps[step] = place if step == 1 else place * step
                found[key] = code.offset(address, self._dtypes[column], steps[step])
            moved[column] = found[key]
        return moved

    # --- inside ------------------------------------------------------------------------------------------------------

    def _into_parts(self) -> None:
        """Have each thread add up rows of its own, if threads share the sums."""
        nest, code = self._nest, self._code
        for place, j in enumerate(nest.reductions if nest.in_parts else ()):
            dtype, size = nest.statement(j).form.dtypes[0], nest.extent(nest.inner[-1])
            begin = Value(code, INT64, "%part") * size
            self._addresses[j, -1] = code.offset(f"%p{self._parts + place}", dtype, begin)
            self._keys[j, -1] = (self._addresses[j, -1], self._strides[j, -1], self._steps.get((j, -1), 0))

    def _begin_rows(self) -> None:
        """The begin of rows that are added up."""
        nest, code = self._nest, self._code

        def begin() -> None:
            for j, reduces in nest.reductions.items():
                dtype = nest.statement(j).form.dtypes[0]
                code.store(self._addresses[j, -1], code.constant(first_of(reduces, dtype), dtype))

        self._open(nest.inner[-1], begin, innermost=True)

    def _added_rows(self) -> None:
        """Rows that are added up, the last kept axis being innermost; again, if an angle was too large."""
        nest = self._nest
        if not nest.across:
            self._into_parts()

        def added() -> None:
            if not nest.across:
                self._begin_rows()
            self._around(nest.inner[:-1], lambda: self._open(nest.inner[-1], self._statements, innermost=True))

        self._watched(added)

    def _inside(self, axes: list[tuple[int, ...]]) -> None:
        """Loops over axes, the last of which is innermost, and what they sum up."""
        across = self._nest.across
        if not across:
            self._begin_sums()
        if axes:
            self._around(axes[:-1], lambda: self._chunks(axes[-1]))
        else:
            self._run_once()
        if not across:
            self._end_sums()

    def _begin_sums(self) -> None:
        code, nest = self._code, self._nest
        for j, reduces in nest.reductions.items():
            wide = accumulator(nest.statement(j).form)
            code.set(self._totals[j], code.constant(first_of(reduces, wide), wide))
            if j in nest.long:
                code.set(self._lost[j], code.constant(0.0, FLOAT64))

    def _end_sums(self) -> None:
        code, nest = self._code, self._nest
        for place, j in enumerate(nest.reductions):
            dtype = nest.statement(j).form.dtypes[0]
            total = code.get(self._totals[j], accumulator(nest.statement(j).form))
            if j in nest.long:
                lost = code.get(self._lost[j], FLOAT64)
                # What was lost is not a number if the sum has left the range.
                total = (lost - lost == 0.0).select(total + lost, total)
            if nest.in_parts:
                name = f"%p{self._parts + place}"
                code.store(code.offset(name, total.dtype, Value(code, INT64, "%part")), total)
            elif nest.segment.stored[j]:
                code.store(self._addresses[j, -1], total.cast(dtype))

    def _short_sums(self) -> None:
        """A loop over sums, with all of their terms one after another."""
        nest, code = self._nest, self._code

        def sums() -> None:
            self._begin_sums()
            outside = self._addresses
            for places in itertools.product(*[range(nest.extent(axes)) for axes in nest.inner]):
                for axes, place in zip(nest.inner, places, strict=True):
                    self._addresses = self._moved(self._addresses, self._along(axes[-1]), code.integer(place))
                self._statements()
                self._addresses = outside
            self._end_sums()

        self._open(nest.outer[-1], sums, innermost=True)

    def _chunks(self, axes: tuple[int, ...]) -> None:
        """The innermost loop; in runs that have sums of their own, or are done again if an angle was too large."""
        nest, code = self._nest, self._code
        shared = axes[-1] == nest.shared
        extent = nest.extent(axes)
        saved = self._put_aside(axes)
        if not nest.long and not nest.watched and not saved:
            self._watched(lambda: self._open(axes, self._statements, innermost=True))
            return
        begin = Value(code, INT64, "%begin") if shared else code.integer(0)
        count = Value(code, INT64, "%end") - begin if shared else self._count(axes)
        chunks = code.integer(-(-extent // CHUNK))
        if count.text != str(extent):
            chunks = (count + (CHUNK - 1)) >> (CHUNK.bit_length() - 1)

        def chunk(i: Value) -> None:
            first = begin + i * CHUNK
            rest = count - i * CHUNK
            here = code.intrinsic("smin", rest, code.integer(CHUNK))
            self._run(axes, first, here)

        if not shared and extent <= CHUNK:
            self._run(axes, None, count)
        else:
            loop(code, chunks, chunk)
        self._take_back(saved)

    def _run(self, axes: tuple[int, ...], first: Value | None, count: Value) -> None:
        self._watched(lambda: self._open(axes, self._statements, innermost=True, first=first, count=count))
        self._end_runs()
        self._write_aside(count)

    def _run_once(self) -> None:
        """What is done for one place: all of a nest, or a row of one number."""
        self._watched(self._statements)
        self._end_runs()

    def _end_runs(self) -> None:
        """Add up what runs have summed up."""
        nest, code = self._nest, self._code
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
            code.outside = self._far
            kept = {
                j: (variable, code.get(variable, accumulator(nest.statement(j).form)))
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
            words = []
            for place, dtype in enumerate(form.dtypes[1:]):
                if form.is_anywhere(place):
                    continue
                source = nest.segment.local.get((j, place))
                if source is not None:
                    words.append(values[source])
                    continue
                address = self._addresses[j, place]
                if address not in loaded:
                    loaded[address] = code.element(address, dtype)
                words.append(loaded[address])
            if form.writes_anywhere:
                self._write_anywhere(j, form, words)
                continue
            if form.name == GATHER:
                address = code.offset(self._addresses[j, 0], form.dtypes[1], place_of(code, form, words))
                value = code.element(address, form.dtypes[1])
            else:
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
            wide = accumulator(form)
            code.set(variable, accumulate(form.reduces, code.get(variable, wide), value.cast(wide)))

    # --- where index arrays say --------------------------------------------------------------------------------------

    def _write_anywhere(self, j: int, form: Form, words: list[Value]) -> None:
        """Write at a place, or put aside what is to be written, and where."""
        code = self._code
        text, dtype = form.literals[1], form.dtypes[0]
        value = literal(code, text, dtype) if text is not None else words.pop(0).cast(dtype)
        place = place_of(code, form, words)
        if j not in self._aside:
            self._combine(form, code.offset(self._addresses[j, -1], dtype, place), value)
            return
        axis, first, i = self._at
        step = self._strides[j, -1][axis]
        if step:
            place = place + (i if first is None else first + i) * step
        values, places = self._aside[j]
        code.store(code.offset(values, dtype, i), value)
        code.store(code.offset(places, INT64, i), place)

    def _combine(self, form: Form, address: str, value: Value) -> None:
        """Write to an element, or add to it."""
        code, dtype = self._code, form.dtypes[0]
        code.store(address, plus(code.element(address, dtype), value) if form.name == ADD_AT else value)

    def _put_aside(self, axes: tuple[int, ...]) -> str:
        """Have places for what is put aside in the innermost loop; what gives them back."""
        code, nest = self._code, self._nest
        aside = nest.set_aside(axes)
        if not aside:
            return ""
        code.module.declare("declare ptr @llvm.stacksave.p0()")
        code.module.declare("declare void @llvm.stackrestore.p0(ptr)")
        saved = code.emit("call ptr @llvm.stacksave.p0()")
        for j in aside:
            kinds = in_memory(nest.statement(j).form.dtypes[0]), "i64"
            values, places = [code.emit(f"alloca [{CHUNK} x {kind}], align 64") for kind in kinds]
            self._aside[j] = values, places
        return saved

    def _take_back(self, saved: str) -> None:
        if saved:
            self._code.do(f"call void @llvm.stackrestore.p0(ptr {saved})")
            self._aside.clear()

    def _write_aside(self, count: Value) -> None:
        """Write what was put aside, one element after the other."""
        code, nest = self._code, self._nest

        def write(i: Value) -> None:
            for j, (values, places) in self._aside.items():
                form = nest.statement(j).form
                place = code.element(code.offset(places, INT64, i), INT64)
                value = code.element(code.offset(values, form.dtypes[0], i), form.dtypes[0])
                self._combine(form, code.offset(self._addresses[j, -1], form.dtypes[0], place), value)

        if self._aside:
            loop(code, count, write)
