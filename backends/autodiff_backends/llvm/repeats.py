"""Loops of many steps as one kernel: the machine code of a step, called by machine code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from autodiff.backend import Plan, Repetition
from autodiff.core.avals import Aval
from autodiff.core.program import Program
from autodiff.plan.workspaces import Workspaces

from .arguments import constant_of, kernel_of_parts, regular
from .code import Code, loop
from .entry import Argument, many_arrays
from .layout import holds
from .source import STAGE, KernelText
from .told import of_steps
from .values import INT64, DType, Value

# Estimated nanoseconds of the steps of one call. Between calls Python looks for signals.
LONGEST_CALL = 50e6


class Step:
    """A plan of one step, which is compiled when it is called by itself.

    Parameters
    ----------
    program : Program
    compiled : callable
        Makes the plan.
    """

    def __init__(self, program: Program, compiled: Callable[[Program], Plan]):
        self.program = program
        self._compiled = compiled
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """What computes it."""
        if self._plan is None:
            self._plan = self._compiled(self.program)
        return self._plan

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        return self.plan(*values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.plan, name)


class LoopText:
    """The text of a loop over steps: what an entry is written for, as of a kernel in stages.

    Where a step has its inputs and its results is said by pointers. What it gives is written where it is to stand: in
    the row of an array of results, or else in one of two places in turn. So nothing is copied from step to step, but
    what stands in two places. The number of the stage is how many steps there are in all; begin and end say which of
    them this call makes.

    Attributes
    ----------
    parameters : list of str
        Workspaces, the step's constants, what is the same for all steps, what is carried first, arrays of elements,
        pairs of places for what is carried, arrays of results, and places for what is carried last.
    """

    is_staged = True
    has_many_inputs = has_many_outputs = False

    def __init__(self, text: KernelText, known: Repetition):
        self._text, self._known = text, known
        self.module, self.table, self.lowering = text.module, text.table, text.lowering
        self.attributes = text.attributes
        self._code = code = Code(self.module)
        count, carry = len(known.inputs), range(known.carry)
        results = [f"y{k}" for k in range(len(known.onto))]
        self._first_use(known)
        self.parameters = [p for p in text.parameters if p[0] == "w"]
        self.parameters += [f"q{n}" for n in text.constants]
        self.parameters += [f"{'kce'[self._kind(n)]}{n}" for n in range(count) if not known.inputs[n].weak]
        self.parameters += [*[f"b{j}" for j in carry], *results, *[f"f{j}" for j in carry]]
        self.passed = self.parameters
        self._states = [self._pointer() for _ in carry]
        for j in carry:
            code.do(f"store ptr %c{known.consts + j}, ptr {self._states[j]}")
        # What a step takes by one array of pointers.
        self._many: dict[str, str] = {}
        for kind, number in many_arrays(text).items():
            self._many[kind] = f"%{code.name('a')}"
            code.prologue.append(f"  {self._many[kind]} = alloca [{number} x ptr]")
        self._first = Value(code, INT64, "%begin")
        loop(code, Value(code, INT64, "%end") - self._first, self._body)
        for j in carry:
            last = code.emit(f"load ptr, ptr {self._states[j]}")
            self._copied(last, f"%f{j}", known.avals[j])
        code.do("ret void")
        heads = ["ptr %t", *[f"i64 %{name}" for name in STAGE], *[f"ptr %{p}" for p in self.parameters]]
        self.module.define(
            "kernel", lambda _: (code.definition(f"internal void @kernel({', '.join(heads)}) {self.attributes}"), INT64)
        )

    def _first_use(self, known: Repetition) -> None:
        """For each value that a step computes the place of the output that it is written as: results before states."""
        self._written: dict[int, int] = {}
        outputs = range(len(known.outputs))
        for place in [*outputs[known.carry :], *outputs[: known.carry]]:
            self._written.setdefault(known.outputs[place], place)

    def _kind(self, number: int) -> int:
        """Whether an input is the same for all steps (0), carried (1) or an element (2)."""
        known = self._known
        return (number >= known.consts) + (number >= known.consts + known.carry)

    def _pointer(self) -> str:
        """A variable that holds an address."""
        name = f"%{self._code.name('a')}"
        self._code.prologue.append(f"  {name} = alloca ptr")
        return name

    def _copied(self, source: str, target: str, aval: Aval) -> None:
        if source != target:
            self._code.copy(source, target, aval.dtype, aval.size)

    def _row(self, array: str, aval: Aval, place: Value) -> str:
        """One of the elements that an array has one after another."""
        return self._code.offset(array, aval.dtype, place if aval.size == 1 else place * aval.size)

    def _body(self, i: Value) -> None:
        """One step."""
        known, code = self._known, self._code
        i = self._first + i
        place = Value(code, INT64, "%stage") - 1 - i if known.reverse else i
        turn = i & 1
        states = [code.emit(f"load ptr, ptr {state}") for state in self._states]
        given = {}
        for n, aval in enumerate(known.inputs):
            if not aval.weak:
                kind = self._kind(n)
                given[n] = f"%k{n}" if kind == 0 else states[n - known.consts] if kind == 1 else ""
                if kind == 2:
                    given[n] = self._row(f"%e{n}", aval, place)

        def own(output: int) -> str:
            """Where an output has its place in this step."""
            aval = known.avals[output]
            if output < known.carry:
                return self._row(f"%b{output}", aval, turn)
            return self._row(f"%y{output - known.carry}", aval, place)

        made = {n: own(output) for n, output in self._written.items() if n >= len(known.inputs)}
        self._call(given, made)
        moved = []
        for output, n in enumerate(known.outputs):
            source = made[n] if n in made else given[n]
            if output >= known.carry:
                if self._written[n] != output or n not in made:
                    self._copied(source, own(output), known.avals[output])
                continue
            # What another carried value was is in a place that is written to in the next step but one.
            if n in given and self._kind(n) == 1 and n != known.consts + output:
                target = own(output)
                self._copied(source, target, known.avals[output])
                source = target
            moved.append(source)
        for state, address in zip(self._states, moved, strict=True):
            code.do(f"store ptr {address}, ptr {state}")

    def _call(self, given: dict[int, str], made: dict[int, str]) -> None:
        """The call of a step."""
        text, code = self._text, self._code
        count = len(self._known.inputs)
        words = {p: f"%{p}" for p in text.parameters if p[0] == "w"}
        words |= {f"o{i}": made[count + i] for i in range(len(self.lowering.outputs))}
        constants = set(text.constants)
        for i, number in text.inputs.items():
            words[f"x{i}"] = f"%q{number}" if number in constants else given[number]
        for kind, many in self._many.items():
            for name in [name for name in words if name[0] == kind]:
                code.do(f"store ptr {words[name]}, ptr {code.emit(f'getelementptr ptr, ptr {many}, i64 {name[1:]}')}")
            words[kind] = many
        arguments = ", ".join([f"ptr {words[p]}" for p in text.passed])
        # What pointers of a step may not do to one another holds in each step, and not from one to the next: a compiler
        # that puts it into the loop might take it for more.
        code.do(f"call void @{text.name}(ptr %t, {arguments}) #4")


class Repeated:
    """A loop as one call of machine code.

    Parameters
    ----------
    text : KernelText
        Of a step.
    known : Repetition

    Attributes
    ----------
    source : str
        What is compiled.
    """

    def __init__(self, text: KernelText, known: Repetition):
        program, schedule = text.lowering.program, text.schedule
        # Parts of stages are all that an entry knows of it.
        loop_text = cast("KernelText", LoopText(text, known))
        self._known = known
        self._constants = [constant_of(program, n) for n in text.constants]
        sizes: list[tuple[int, DType]] = []
        self._scalars: list[tuple[int, int, list[int]]] = []
        for name in text.parameters:
            if name[0] == "w":
                dtype = schedule.dtypes[int(name[1:])]
                numbers = schedule.scalars.get(dtype, [])
                if numbers:
                    self._scalars.append((len(sizes), len(numbers), numbers))
                sizes.append((schedule.workspaces[dtype], dtype))
        self._n_workspaces = len(sizes)
        sizes += [(2 * aval.size, aval.dtype) for aval in known.avals[: known.carry]]
        self._workspaces = Workspaces(
            lambda: tuple([np.empty(max(size, 1), dtype) for size, dtype in sizes]),
            sum(max(size, 1) * dtype.itemsize for size, dtype in sizes),
        )
        self._spare = self._workspaces.spare
        arguments: list[Argument | None] = [Argument(np.dtype(np.int64), None)] * len(STAGE)
        arguments += [None] * len(loop_text.parameters)
        self._told = of_steps(program, known)
        self.source, self._kernel = kernel_of_parts(loop_text, arguments, self._told, is_builtin=holds())
        first = known.consts + known.carry
        # Of each array that is given its number, its shape, its dtype and the axis of steps.
        self._given = []
        for n, aval in enumerate(known.inputs):
            if not aval.weak:
                axis = known.along[n - first] if n >= first else None
                shape = aval.shape if axis is None else (known.length, *aval.shape)
                self._given.append((n, shape, aval.dtype, axis))
        strong = sum(not aval.weak for aval in known.inputs[: known.consts])
        self._carried = slice(strong, strong + known.carry)
        self._together = max(1, int(LONGEST_CALL / max(text.nanoseconds, 1.0)))

    def __call__(self, values: Sequence[Any]) -> tuple[Any, ...]:
        known = self._known
        given = []
        for n, shape, dtype, axis in self._given:
            array = np.asarray(values[n])
            array = regular(array if not axis else np.moveaxis(array, axis, 0), dtype)
            if array.shape != shape or array.dtype != dtype:
                raise TypeError(f"a loop was called with {array.dtype}{array.shape} in place of {dtype}{shape}")
            given.append(array)
        spare: Any = self._spare
        try:
            workspaces = spare.pop()
        except IndexError:
            workspaces, spare = self._workspaces.take()
        for place, count, numbers in self._scalars:
            workspaces[place][:count] = [values[n] for n in numbers]
        avals = known.avals
        results = [np.empty((known.length, *aval.shape), aval.dtype) for aval in avals[known.carry :]]
        last = [np.empty(aval.shape, aval.dtype) for aval in avals[: known.carry]]
        own, pairs = workspaces[: self._n_workspaces], workspaces[self._n_workspaces :]
        carried, noted = self._carried, False
        for begin in range(0, known.length, self._together):
            if begin:
                # What was carried last is carried first.
                given[carried] = last
                last = [np.empty(aval.shape, aval.dtype) for aval in avals[: known.carry]]
            end = min(begin + self._together, known.length)
            arrays = (*own, *self._constants, *given, *pairs, *results, *last)
            noted |= bool(self._kernel(known.length, 0, begin, end, 0, *arrays))
        spare.append(workspaces)
        if noted:
            self._told(*values)
        moved = [
            np.ascontiguousarray(np.moveaxis(y, 0, axis)) if axis else y
            for y, axis in zip(results, known.onto, strict=True)
        ]
        return (*last, *moved)


def fits(program: Program, known: Repetition) -> bool:
    """Whether a step takes what the step before it gives, as it is."""
    first = known.consts
    carried = zip(known.inputs[first : first + known.carry], known.avals, strict=False)
    made = [known.outputs[i] - len(known.inputs) for i in range(len(known.outputs))]
    computed = [(known.avals[i], program.avals[program.outputs[m]]) for i, m in enumerate(made) if m >= 0]
    pairs = [*carried, *computed]
    arrays = [aval for n, aval in enumerate(known.inputs) if n >= first]
    handed = [known.inputs[n] for n in known.outputs if n < len(known.inputs)]
    strong = not any(aval.weak for aval in [*arrays, *handed])
    return strong and all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
