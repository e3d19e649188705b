"""Plans on a CUDA device: regions of generated kernels, regions of library calls, and numbers computed on the host.

Where that pays, the launches of a plan are captured and started as one CUDA graph. To be captured a plan is *bound*:
all that its launches read and write is in arrays of their own, made beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import accumulate
from operator import itemgetter
from typing import Any

import numpy as np

from autodiff.core.avals import Aval
from autodiff.core.program import Application, Program
from autodiff.plan.costs import nbytes

from ..cuda.kernels import KernelRegion, supported
from ..cuda.types import C_NAMES
from ..loops.regions import LOOPS, Composed, Cuts, Region, regions, whole
from ..loops.statements import looks
from ..numpy.values import constant_value
from .calls import call_for, capturable
from .capture import CAPTURED, Bound, Captures, pays
from .device import WORKSPACE_ALIGNMENT, Device, Product, retried
from .namespace import Namespace
from .scalars import split

# Outputs that a message names.
SHOWN = 4


def _fits(program: Program, application: Application) -> bool:
    # What has no elements takes no kernel.
    return application[1].out.size > 0 and supported(program, application)


def _is_view(program: Program, number: int) -> bool:
    signature = program.signatures[number]
    if signature is None or not signature.out.size or not looks(signature):
        return False
    return signature.primitive.kind != "indexing" or program.arguments[number][1] in program.constants


# Whatever kernels can do they do: fewer launches, and nothing waits for the host.
CUTS = Cuts(_fits, _is_view, lambda program, members: True, frozenset(C_NAMES))


def _constant(program: Program, number: int, device: Device) -> Any:
    """A constant as an array on the device; an index as it is."""
    value, aval = constant_value(program, number), program.avals[number]
    return value if aval.spec is not None else device.xp.asarray(np.asarray(value, aval.dtype, order="C"))


class KernelPlan:
    """A plan that launches generated kernels, one after another.

    Attributes
    ----------
    n_operations : int
        Statements that the kernels execute.
    n_launches : int
    nbytes : int
        Of outputs and workspaces.
    takes, makes : list
        The inputs that are not constants, as their numbers and avals; the outputs' avals.
    bindable : bool
        Whether it can be bound: no output is a Python number.
    source : str
        The kernels, in CUDA C++.
    """

    exact = True

    def __init__(self, program: Program, device: Device):
        region = KernelRegion(program)
        self._device = device
        self.n_operations, self.n_launches, self.source = region.n_operations, len(region.launches), region.source
        self._launch = device.load(region.source)
        # Inputs by number, and the arrays of those that are constants.
        self._inputs = [(n, _constant(program, n, device) if n in program.constants else None) for n in region.inputs]
        self._scalars = [(n, program.avals[n].dtype.type) for n in region.scalars]
        self._outputs = [(program.avals[n].shape, program.avals[n].dtype) for n in program.outputs]
        self._weak = [i for i, n in enumerate(program.outputs) if program.avals[n].weak]
        sizes = [-(-size * dtype.itemsize // WORKSPACE_ALIGNMENT) for size, dtype in region.workspaces]
        *self._workspaces, self._nbytes = [n * WORKSPACE_ALIGNMENT for n in accumulate(sizes, initial=0)]
        self._sizes_of_counters = list(region.counters)
        self._counters: dict[Hashable, list[Any]] = {}
        # The arguments of a call are one list. Each launch takes its own from it.
        counts = [len(part) for part in (self._inputs, self._scalars, self._outputs, self._workspaces)]
        begins = dict(zip("xsowc", accumulate(counts, initial=0), strict=True))
        self._launches = [
            (x.name, x.grid, x.block, _picker([begins[kind] + place for kind, place in x.arguments]))
            for x in region.launches
        ]
        taken = [n for n, known in self._inputs if known is None] + region.scalars
        self.takes = [(n, program.avals[n]) for n in taken]
        self.bindable = not self._weak
        self.makes = [program.avals[n] for n in program.outputs]
        self.nbytes = self._nbytes + sum([nbytes(aval) for aval in self.makes])

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        regular, empty = self._device.regular, self._device.empty
        outputs = [empty(shape, dtype) for shape, dtype in self._outputs]
        arguments = [regular(values[n]) if known is None else known for n, known in self._inputs]
        arguments += [number(values[n]) for n, number in self._scalars]
        arguments += outputs
        # The memory is there for later work on the stream when this returns and all is launched.
        _memory = self._add_workspaces(arguments)
        if self._sizes_of_counters:
            arguments += self._own_counters()
        launch = self._launch
        for name, grid, block, pick in self._launches:
            launch(name, grid, block, pick(arguments))
        for i in self._weak:
            outputs[i] = outputs[i].item()
        return tuple(outputs)

    def bind(self, values: Sequence[Any], bound: Bound) -> list[Any]:
        """Add the launches for these arrays to ``bound``; the arrays that they write."""
        empty = self._device.empty
        outputs = [empty(shape, dtype) for shape, dtype in self._outputs]
        arguments = [_regular(values[n], bound, self._device) if known is None else known for n, known in self._inputs]
        arguments += [number(values[n]) for n, number in self._scalars]
        arguments += outputs
        bound.kept.append(self._add_workspaces(arguments))
        arguments += self._new_counters()
        for name, grid, block, pick in self._launches:
            bound.launches.append(partial(self._launch, name, grid, block, pick(arguments)))
        return outputs

    def _add_workspaces(self, arguments: list[Any]) -> Any:
        """Append new workspaces; what is returned is their memory."""
        if not self._workspaces:
            return None
        memory, begins = self._device.workspaces(self._workspaces, self._nbytes)
        arguments += begins
        return memory

    def _new_counters(self) -> list[Any]:
        return [self._device.zeros((size,), np.dtype(np.int32)) for size in self._sizes_of_counters]

    def _own_counters(self) -> list[Any]:
        """Counters are zero between launches, so those of one stream serve all calls on it, but of no other."""
        stream = self._device.stream()
        counters = self._counters.get(stream)
        if counters is None:
            counters = self._counters.setdefault(stream, self._new_counters())
        return counters


def _regular(array: Any, bound: Bound, device: Device) -> Any:
    """An array as kernels read it: itself, or one that a launch of ``bound`` copies it into."""
    return array if device.is_regular(array) else _copied(array, bound, device)


def _picker(places: Sequence[int]) -> Callable[[list[Any]], tuple[Any, ...]]:
    """The elements at some places of a list, as a tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple([values[place] for place in places])


class CallPlan:
    """A plan that calls one function of the library after another.

    Attributes
    ----------
    n_operations : int
    n_launches : int
        Calls that compute anything.
    nbytes : int
        Of all that the calls make.
    takes, makes : list
        The inputs that calls or outputs need, as their numbers and avals; the outputs' avals.
    bindable : bool
        Whether it can be bound: it consists of calls that can be captured, and no output is a Python number.
    exact : bool
        Whether its results are the same to the last bit in each call.
    source : str
        The program that is executed call by call.
    """

    def __init__(self, program: Program, device: Device):
        self._device = device
        self._size = len(program.avals)
        live, applications = program.live(), program.applications()
        # Numbers of Python become arrays, as other looks at an array are looks at them too.
        self._inputs = [
            (n, program.avals[n].dtype if program.avals[n].weak else None) for n in live if n < program.n_inputs
        ]
        self._constants = [(n, _constant(program, n, device)) for n in live if n in program.constants]
        last: dict[int, int] = {}
        for number, _, arguments in applications:
            last.update(dict.fromkeys(arguments, number))
        functions = Namespace(device)
        self._steps: list[tuple[Callable[..., Any], int, tuple[int, ...], list[int]]] = []
        self.takes = [(n, program.avals[n]) for n, _ in self._inputs]
        self.makes = [program.avals[n] for n in program.outputs]
        self.bindable = _can_be_bound(self.takes, self.makes)
        self.exact = True
        made: dict[int, int] = {}
        for number, signature, arguments in applications:
            dead = [a for a in set(arguments) if last[a] == number and a not in program.outputs]
            product = device.product(signature) if signature.primitive.kind == "contraction" else None
            function = call_for(signature, functions) if product is None else product
            self._steps.append((function, number, arguments, dead))
            if not looks(signature):
                made[number] = nbytes(signature.out)
                self.bindable = self.bindable and (product is not None or capturable(signature))
                self.exact = self.exact and not signature.primitive.writes
        self.n_operations, self.n_launches, self.nbytes = len(applications), len(made), sum(made.values())
        # The outputs, and whether the array is not this call's own, or is another output already.
        self._outputs = [
            (n, program.avals[n], n not in made or n in program.outputs[:i]) for i, n in enumerate(program.outputs)
        ]
        self._made = {number: (s.out.shape, s.out.dtype) for number, s, _ in applications}
        self._looks = {number for number, signature, _ in applications if looks(signature)}
        self.source = str(program)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        xp = self._device.xp
        registers: list[Any] = [None] * self._size
        for number, dtype in self._inputs:
            registers[number] = values[number] if dtype is None else xp.asarray(values[number], dtype)
        for number, value in self._constants:
            registers[number] = value
        for function, number, arguments, dead in self._steps:
            registers[number] = function(*[registers[a] for a in arguments])
            for a in dead:
                registers[a] = None
        results = []
        for number, aval, shared in self._outputs:
            value = registers[number]
            if aval.weak:
                results.append(value.item())
            elif aval.parts:
                # Several arrays, which another region takes.
                results.append(value)
            else:
                results.append((xp.array if shared else xp.asarray)(value, aval.dtype, order="C"))
        return tuple(results)

    def bind(self, values: Sequence[Any], bound: Bound) -> list[Any]:
        """Add the launches for these arrays to ``bound``; the arrays that they write."""
        device = self._device
        registers: list[Any] = [None] * self._size
        for number, dtype in self._inputs:
            registers[number] = values[number] if dtype is None else device.xp.asarray(values[number], dtype)
        for number, value in self._constants:
            registers[number] = value
        for function, number, arguments, _ in self._steps:
            operands = [registers[a] for a in arguments]
            if number in self._looks:
                # Nothing is launched.
                registers[number] = function(*operands)
            elif isinstance(function, Product):
                if not function.reads(*operands):
                    operands = [_regular(array, bound, device) for array in operands]
                registers[number] = device.empty(function.shape, function.dtype)
                x, y = operands
                bound.launches.append(partial(function.start, x, y, registers[number]))
            else:
                registers[number] = device.empty(*self._made[number])
                bound.launches.append(partial(device.call, function, operands, registers[number]))
        return [
            _copied(registers[number], bound, device) if shared else registers[number]
            for number, _, shared in self._outputs
        ]


def _copied(array: Any, bound: Bound, device: Device) -> Any:
    """A new array that a launch of ``bound`` copies an array into."""
    target = device.empty(array.shape, array.dtype)
    bound.launches.append(partial(device.assign, target, array))
    return target


def _can_be_bound(takes: list[tuple[int, Aval]], makes: list[Aval]) -> bool:
    """Whether what a plan takes is arrays and numbers, and what it makes is arrays."""
    return not any(aval.spec is not None for _, aval in takes) and not any(
        aval.weak or aval.spec is not None for aval in makes
    )


class Regions(Composed):
    """A plan of several regions, one after another, as it is called and as it is bound.

    Attributes
    ----------
    n_launches : int
    nbytes : int
        Of all that the regions make.
    takes, makes : list
        The inputs that regions or outputs need, as their numbers and avals; the outputs' avals.
    """

    def __init__(self, program: Program, found: list[Region], compile: Callable[[str, Program], Any], device: Device):
        super().__init__(program, found, CUTS, compile, partial(device.xp.array, order="C"), device.xp.ndarray)
        self._device = device
        plans: Any = [plan for plan, _, _ in self.steps]
        self.n_launches = sum([plan.n_launches for plan in plans])
        self.nbytes = sum([plan.nbytes for plan in plans])
        needed = {*program.outputs}.union(*[inputs for _, inputs, _ in self.steps])
        self.takes = [(n, program.avals[n]) for n in range(program.n_inputs) if n in needed]
        self.makes = [program.avals[n] for n in program.outputs]
        self.bindable = all(plan.bindable for plan in plans) and _can_be_bound(self.takes, self.makes)
        self.exact = all(plan.exact for plan in plans)
        self._constants = {n: _constant(program, n, device) for n in self._known} if self.bindable else {}

    def bind(self, values: Sequence[Any], bound: Bound) -> list[Any]:
        """Add the launches for these arrays to ``bound``; the arrays that they write."""
        registers = dict(enumerate(values))
        plan: Any
        for plan, inputs, outputs in self.steps:
            registers.update(zip(outputs, plan.bind([registers[n] for n in inputs], bound), strict=True))
        registers.update(self._constants)
        return [
            _copied(registers[number], bound, self._device) if shared else registers[number]
            for number, _, shared in self._outputs
        ]

    def captured_in_parts(self) -> None:
        """Capture the regions that can be and are worth it, each by itself."""
        parts: list[Any] = [plan for plan, _, _ in self.steps]
        plans = {id(plan): captured(plan, self._device) for plan in parts}
        self.steps = [(plans[id(plan)], inputs, outputs) for plan, inputs, outputs in self.steps]


AnyPlan = KernelPlan | CallPlan | Regions


class Captured:
    """A plan that is started as one CUDA graph from its third call on a stream on.

    Attributes
    ----------
    n_operations, n_launches : int
    source : str
        Of the plan; the first line says that it is captured.
    """

    def __init__(self, plan: AnyPlan, device: Device):
        self._plan, self._device = plan, device
        self.n_operations, self.n_launches = plan.n_operations, plan.n_launches
        self.source = f"{CAPTURED}\n{plan.source}"
        self._captures = Captures(device)
        self._arrays = {n: aval for n, aval in plan.takes if not aval.weak}
        self._numbers = [n for n, aval in plan.takes if aval.weak]
        self.exact = plan.exact

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        # Products of what lies otherwise in memory may differ in their last bits.
        given = list(values)
        for n in self._arrays:
            given[n] = self._device.regular(given[n])
        return tuple(self._captures(self, given))

    def launched(self, values: Sequence[Any]) -> list[Any]:
        """The outputs, by one launch after another."""
        return list(self._plan(*values))

    def numbers(self, values: Sequence[Any]) -> Any:
        """The Python numbers among the values by their texts, which tell 0.0 from -0.0 and are equal for NaNs."""
        return [repr(values[n]) for n in self._numbers]

    def bound(self, values: Sequence[Any]) -> Bound:
        """The launches, on new arrays for all that they take and make."""
        empty = self._device.empty
        inputs = {n: empty(aval.shape, aval.dtype) for n, aval in self._arrays.items()}
        bound = Bound(inputs, [], [], [])
        bound.outputs.extend(self._plan.bind([inputs.get(n, value) for n, value in enumerate(values)], bound))
        return bound


def captured(plan: AnyPlan, device: Device) -> AnyPlan | Captured:
    """The plan, captured if it can be and that is worth it."""
    arrays = [aval for _, aval in plan.takes if not aval.weak] + plan.makes
    copied = plan.nbytes + sum([nbytes(aval) for aval in arrays])
    worth = plan.bindable and pays(plan.n_launches, len(arrays), copied)
    return Captured(plan, device) if worth else plan


class CupyPlan:
    """A plan on a device.

    Attributes
    ----------
    n_operations : int
    n_launches : int
        Kernels and calls of the library that one call of the plan starts.
    """

    def __init__(self, program: Program, device: Device, label: str):
        self._device = device
        made = [repr(program.avals[n]) for n in program.outputs]
        more = f" and {len(made) - SHOWN} more" if len(made) > SHOWN else ""
        self._about = f"backend {label} computes {', '.join(made[:SHOWN])}{more}"
        self._host, rest, given = split(program)
        self._given = sorted(given.items())
        self._plan: AnyPlan | Captured = retried(partial(self._compile, rest), device, self._about)
        self.n_operations = self._plan.n_operations + (0 if self._host is None else self._host.n_operations)
        self.n_launches = self._plan.n_launches

    def _compile(self, program: Program) -> AnyPlan | Captured:
        found = regions(program, CUTS)
        kind = whole(program, found, CUTS)
        plan = Regions(program, found, self._region, self._device) if kind is None else self._region(kind, program)
        best = captured(plan, self._device)
        if best is plan and isinstance(plan, Regions):
            plan.captured_in_parts()
        return best

    def _region(self, kind: str, program: Program) -> KernelPlan | CallPlan:
        return KernelPlan(program, self._device) if kind == LOOPS else CallPlan(program, self._device)

    @property
    def source(self) -> str:
        """The kernels in CUDA C++ and the calls of the library, region by region."""
        host = "" if self._host is None else f"# Python numbers, on the host\n{self._host.source}\n\n"
        return host + self._plan.source

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        if self._host is not None:
            values += self._host(*values)
        results = retried(partial(self._plan, *values), self._device, self._about)
        if not self._given:
            return results
        together = list(results)
        for place, number in self._given:
            together.insert(place, values[number])
        return tuple(together)
