"""Plans on a CUDA device: regions of generated kernels, regions of library calls, and numbers computed on the host."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import accumulate
from operator import itemgetter
from typing import Any

import numpy as np

from autodiff.core.program import Application, Program

from ..cuda.kernels import KernelRegion, supported
from ..loops.regions import LOOPS, Composed, Cuts, regions, whole
from ..loops.statements import looks
from ..numpy.values import constant_value
from .calls import call_for
from .capture import CAPTURED, Bound, Captures, pays
from .device import WORKSPACE_ALIGNMENT, Device, retried
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
CUTS = Cuts(_fits, _is_view, lambda program, members: True)


def _constant(program: Program, number: int, device: Device) -> Any:
    """A constant as an array on the device; an index as it is."""
    value, aval = constant_value(program, number), program.avals[number]
    return value if aval.spec is not None else device.xp.asarray(np.asarray(value, aval.dtype, order="C"))


class KernelPlan:
    """A plan that launches generated kernels, one after another; or, where that pays, as one captured CUDA graph.

    Attributes
    ----------
    n_operations : int
        Statements that the kernels execute.
    n_launches : int
        Kernels, each of them counted in a graph too.
    source : str
        The kernels, in CUDA C++; the first line says whether they are captured.
    """

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
        self._given = [(n, program.avals[n]) for n, known in self._inputs if known is None]
        # Numbers would be those of the call that was captured.
        copied = [aval for _, aval in self._given] + [program.avals[n] for n in program.outputs]
        nbytes = self._nbytes + sum(aval.size * aval.dtype.itemsize for aval in copied)
        self._captures: Captures | None = None
        if not self._scalars and pays(self.n_launches, len(copied), nbytes):
            self._captures = Captures(device)
            self.source = f"{CAPTURED}\n{self.source}"

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        outputs = self.launched(values) if self._captures is None else self._captures(self, values)
        for i in self._weak:
            outputs[i] = outputs[i].item()
        return tuple(outputs)

    def launched(self, values: Sequence[Any]) -> list[Any]:
        """The outputs, by one launch after another."""
        regular, empty = self._device.regular, self._device.empty
        outputs = [empty(shape, dtype) for shape, dtype in self._outputs]
        arguments = [regular(values[n]) if known is None else known for n, known in self._inputs]
        arguments += [number(values[n]) for n, number in self._scalars]
        arguments += outputs
        # The memory is there for later work on the stream when this returns and all is launched.
        _memory = self._add_workspaces(arguments)
        if self._sizes_of_counters:
            arguments += self._own_counters()
        self.launch_all(arguments)
        return outputs

    def bound(self) -> Bound:
        """New arrays for all that the launches take and make. None of it is a number."""
        empty = self._device.empty
        given = {n: empty(aval.shape, aval.dtype) for n, aval in self._given}
        outputs = [empty(shape, dtype) for shape, dtype in self._outputs]
        arguments = [given[n] if known is None else known for n, known in self._inputs]
        arguments += outputs
        memory = self._add_workspaces(arguments)
        arguments += self._new_counters()
        return Bound(given, outputs, arguments, memory)

    def launch_all(self, arguments: list[Any]) -> None:
        """Start the kernels on the current stream."""
        launch = self._launch
        for name, grid, block, pick in self._launches:
            launch(name, grid, block, pick(arguments))

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
    source : str
        The program that is executed call by call.
    """

    def __init__(self, program: Program, device: Device):
        self._xp = device.xp
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
        made = set()
        for number, signature, arguments in applications:
            dead = [a for a in set(arguments) if last[a] == number and a not in program.outputs]
            self._steps.append((call_for(signature, functions), number, arguments, dead))
            if not looks(signature):
                made.add(number)
        self.n_operations, self.n_launches = len(applications), len(made)
        # The outputs, and whether the array is not this call's own, or is another output already.
        self._outputs = [
            (n, program.avals[n], n not in made or n in program.outputs[:i]) for i, n in enumerate(program.outputs)
        ]
        self.source = str(program)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        xp = self._xp
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
            else:
                results.append((xp.array if shared else xp.asarray)(value, aval.dtype, order="C"))
        return tuple(results)


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
        self._plan: KernelPlan | CallPlan | Composed = retried(partial(self._compile, rest), device, self._about)
        self.n_operations = self._plan.n_operations + (0 if self._host is None else self._host.n_operations)

    def _compile(self, program: Program) -> KernelPlan | CallPlan | Composed:
        self.n_launches = 0
        found = regions(program, CUTS)
        kind = whole(program, found, CUTS)
        if kind is not None:
            return self._region(kind, program)
        xp = self._device.xp
        return Composed(program, found, CUTS, self._region, partial(xp.array, order="C"), xp.ndarray)

    def _region(self, kind: str, program: Program) -> KernelPlan | CallPlan:
        plan = KernelPlan(program, self._device) if kind == LOOPS else CallPlan(program, self._device)
        self.n_launches += plan.n_launches
        return plan

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
