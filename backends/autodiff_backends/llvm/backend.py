"""LLVM: programs of many operations on small arrays as machine code, the rest as on NumPy."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from autodiff.backend import Backend, Plan, Repetition, Timed
from autodiff.core.parameters import Own
from autodiff.core.primitives import Signature
from autodiff.core.program import Application, Program, prune
from autodiff.machine import cache_bytes, thread_count
from autodiff.plan.costs import nbytes
from autodiff.plan.workspaces import Workspaces

from ..loops.bands import Rules, arrange
from ..loops.costs import MOVED_BYTE, supported
from ..loops.layouts import lay_out
from ..loops.nests import SMALLEST_SHARED, bands_of, nests_of, traffic
from ..loops.regions import LOOPS, Composed, Cuts, regions, whole
from ..loops.schedule import Schedule
from ..loops.statements import Lowering
from ..loops.timed import TimedKernel, TimedRegions
from ..numpy.backend import BACKEND as NUMPY
from ..numpy.factors import with_factors
from ..numpy.reference import Interpreted
from ..numpy.results import Results, is_large
from ..numpy.timed import Timed as NumpyTimed
from ..numpy.workers import shares, together
from .arguments import Regular, constant_of, kernel_of_parts, regular
from .code import Module
from .entry import Argument, Entry
from .expressions import COSTS, is_written
from .layout import holds
from .machine import Exhausted, Refused, library, load, processor
from .nests import is_product, is_watched, share
from .repeats import Repeated, Step, fits
from .source import STAGE, KernelText
from .told import of_plan
from .values import Unwritten

# Places in workspaces are 32-bit numbers.
LARGEST_ARRAY = 1 << 28
LARGEST_WORKSPACE = 1 << 31

# Bytes of workspaces that a kernel takes from the C library, which has them at hand. Larger ones are kept between
# calls, within the common bound.
LARGEST_OWN = 1 << 22

# More statements than this, after repetitions are rolled up, take LLVM seconds.
LONGEST_KERNEL = 5_000

# Repetitions of no more statements are left as they are where that saves so much of the memory's traffic, which takes
# some nanoseconds at least.
LONGEST_STRAIGHT = 600
LEAST_GAIN = 0.8
SMALLEST_TRAFFIC = 100_000.0

# Nanoseconds of a call of a kernel, beside what is done in it.
KERNEL_CALL = 150.0

# What a step of a loop takes in Python beside its plan.
STEP = 500.0

P = TypeVar("P")


class Kernel(partial[tuple[Any, ...]]):
    """A plan that is one builtin: nothing of Python is between a call and its machine code.

    Attributes
    ----------
    source : str
        What is compiled.
    n_operations : int
        Statements executed by one call.
    peak_bytes : int
        What one call holds at most.
    """

    source: str
    n_operations: int
    peak_bytes: int

    def __new__(cls, text: KernelText) -> Kernel:
        program = text.lowering.program
        arguments = [_argument(program, n) for n in range(program.n_inputs)]
        used = set(text.lowering.inputs)
        taken = [a if n in used else None for n, a in enumerate(arguments)]
        Entry(text, taken).plan()
        machine = load(text.module)
        constants = [constant_of(program, n) for n in text.constants]
        told = of_plan(program)
        made = super().__new__(cls, machine.builtin(Regular(taken), text.table.array(), *constants, told=told))
        made.source, made.n_operations = machine.text, len(text.lowering.statements)
        made.peak_bytes = _peak_bytes(text)
        return made


def _peak_bytes(text: KernelText) -> int:
    """What one call holds: its results, and the memory that it works in until its end."""
    program = text.lowering.program
    return text.workspace_bytes + sum([nbytes(program.avals[n]) for n in program.outputs])


def _argument(program: Program, number: int) -> Argument | None:
    aval = program.avals[number]
    if aval.spec is not None:
        return None
    return Argument(aval.dtype, None if aval.weak else aval.shape)


class Staged:
    """A plan whose kernel is called stage by stage, or works in memory that is kept between calls.

    Attributes
    ----------
    source : str
        What is compiled.
    n_operations : int
        Statements executed by one call.
    peak_bytes : int
        What one call holds at most.
    """

    def __init__(self, text: KernelText):
        lowering, schedule = text.lowering, text.schedule
        program = lowering.program
        self.peak_bytes = _peak_bytes(text)
        self.n_operations = len(lowering.statements)
        self._outputs = [(program.avals[n].shape, program.avals[n].dtype) for n in program.outputs]
        self._results = Results(self._outputs)
        self._weak = [i for i, n in enumerate(program.outputs) if program.avals[n].weak]
        # What is repeated as a whole: how often, and of each stage its number and the iterations of its outermost loop.
        runs = itertools.groupby(enumerate(text.stages), key=lambda pair: pair[1].segment)
        self._runs = [
            (1 if segment is None else segment.count, [(number, stage.extent) for number, stage in stages])
            for segment, stages in runs
        ]
        self._parts = text.parts
        numbers = list(lowering.inputs)
        sizes: list[tuple[int, np.dtype[Any]]] = []
        self._scalars: list[tuple[int, int, list[int]]] = []
        # Of each array that is an input the number of the value, and its dtype; and the constants.
        self._places: list[tuple[int, np.dtype[Any]]] = []
        self._constants: dict[int, Any] = {}
        arguments: list[Argument | None] = [Argument(np.dtype(np.int64), None)] * len(STAGE)
        for name in text.parameters:
            kind, place = name[0], int(name[1:])
            if kind == "w":
                dtype = schedule.dtypes[place]
                scalars = schedule.scalars.get(dtype, [])
                if scalars:
                    self._scalars.append((len(sizes), len(scalars), scalars))
                sizes.append((schedule.workspaces[dtype], dtype))
                arguments.append(Argument(dtype, (schedule.workspaces[dtype],)))
            elif kind == "p":
                # Of as many elements as there are parts.
                arguments.append(None)
            elif kind == "x":
                number = numbers[place]
                aval = program.avals[number]
                arguments.append(Argument(aval.dtype, aval.shape))
                if number in program.constants:
                    self._constants[number] = constant_of(program, number)
                self._places.append((number, aval.dtype))
            else:
                shape, dtype = self._outputs[place]
                arguments.append(Argument(dtype, shape))
        self._workspaces = Workspaces(
            lambda: tuple([np.empty(size, dtype) for size, dtype in sizes]),
            sum(size * dtype.itemsize for size, dtype in sizes),
        )
        self._spare = self._workspaces.spare
        self._told = of_plan(program)
        self.source, self._kernel = kernel_of_parts(text, arguments, self._told, is_builtin=holds())

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        spare: Any = self._spare
        try:
            workspaces = spare.pop()
        except IndexError:
            workspaces, spare = self._workspaces.take()
        for place, count, numbers in self._scalars:
            workspaces[place][:count] = [values[n] for n in numbers]
        outputs = self._results.arrays()
        known = self._constants
        taken = [known[n] if n in known else regular(values[n], dtype) for n, dtype in self._places]
        noted = self._run(workspaces, taken, outputs)
        spare.append(workspaces)
        if noted:
            self._told(*values)
        for i in self._weak:
            outputs[i] = outputs[i].item()
        return tuple(outputs)

    def _run(self, workspaces: Iterable[Any], taken: list[Any], outputs: list[Any]) -> bool:
        """Fill the outputs; whether anything was noted of floating point."""
        kernel = self._kernel
        count = thread_count()
        parts = [np.empty(part.size, part.dtype) for part in self._parts]
        made, noted = 1, False
        for iteration, (number, extent) in self._sequence():
            if extent is None:
                # It may put together what the parts of the last stage have summed up.
                noted |= bool(kernel(number, 0, 0, made, iteration, *workspaces, *parts, *taken, *outputs))
                continue
            ranges = shares(extent, count)
            made = len(ranges)
            for place, part in enumerate(self._parts):
                if part.stage == number:
                    parts[place] = np.empty(made * part.size, part.dtype)
            arrays = (iteration, *workspaces, *parts, *taken, *outputs)
            noted |= any(together([partial(kernel, number, i, *span, *arrays) for i, span in enumerate(ranges)]))
        return noted

    def _sequence(self) -> Iterator[tuple[int, tuple[int, int | None]]]:
        """The stages as they are executed, each with its iteration."""
        for count, stages in self._runs:
            for iteration in range(count):
                for stage in stages:
                    yield iteration, stage


class LlvmBackend(Backend):
    """Arrays are ``numpy.ndarray``; programs on small ones become machine code."""

    name = "llvm"
    home = NUMPY
    capabilities = NUMPY.capabilities
    primitives = NUMPY.primitives

    def __init__(self) -> None:
        self._exhausted = False

    def compile(self, program: Program) -> Plan:
        """Kernels where they are estimated to be faster, the rest as on NumPy."""
        library()
        program = with_factors(_with_kernels(program))
        cuts = faster()
        found = regions(program, cuts)
        kind = whole(program, found, cuts)
        if kind is None:
            return Composed(program, found, cuts, self._compile_region)
        return self._compile_region(kind, program)

    def timed(self, program: Program, plan: Plan) -> Timed | None:
        """Kernels, each as a whole, and what is on NumPy."""
        library()
        program = with_factors(_with_kernels(program))
        cuts = faster()
        found = regions(program, cuts)
        kind = whole(program, found, cuts)

        def compiled(kind: str, program: Program) -> Timed:
            kernel = self._kernel(program) if kind == LOOPS else None
            return NumpyTimed(program) if kernel is None else TimedKernel(kernel, program, cuts)

        return TimedRegions(program, found, cuts, compiled) if kind is None else compiled(kind, program)

    def prepare(self) -> None:
        """Import what is needed, and look which processor there is."""
        processor()

    def saved(self, program: Program) -> float:
        """The part of the time of NumPy's plan that kernels are estimated to save."""
        program = with_factors(program)
        cuts = faster()
        loops = vectors = 0.0
        for region in regions(program, cuts):
            for number, signature, _ in region.members:
                if not cuts.is_view(program, number):
                    one, other = COSTS.application(signature)
                    loops += one if region.kind == LOOPS else other
                    vectors += other
            loops += KERNEL_CALL if region.kind == LOOPS else 0.0
        return 1 - loops / vectors if vectors else 0.0

    def interpret(self, program: Program) -> Plan | None:
        """On NumPy, until there is machine code."""
        return Interpreted(program)

    def frugal(self, program: Program) -> Plan | None:
        """On NumPy: kernels hold what they compute until their end."""
        return Interpreted(program)

    def _compile_region(self, kind: str, program: Program) -> Plan:
        kernel = self._kernel(program) if kind == LOOPS else None
        return NUMPY.compile(program) if kernel is None else kernel

    def _kernel(self, program: Program) -> Plan | None:
        """A kernel, if it is not too long or too large."""
        text = _text(program)
        if text is None:
            return None
        avals = [program.avals[n] for n in program.outputs]
        kept = text.is_staged or text.workspace_bytes > LARGEST_OWN or any(is_large(a.shape, a.dtype) for a in avals)
        return self._loaded(lambda: Staged(text) if kept or not holds() else Kernel(text))

    def _loaded(self, make: Callable[[], P]) -> P | None:
        """What is made by compiling, or a warning that it cannot be made."""
        try:
            return make()
        except Unwritten:
            return None
        except Exhausted as error:
            if not self._exhausted:
                self._exhausted = True
                warnings.warn(
                    f"backend 'llvm': {error}, which llvmlite never gives back, so NumPy executes further programs. "
                    "Where sizes change from call to call, pad to a few that come again",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return None
        except Refused as error:
            warnings.warn(
                f"backend 'llvm': NumPy executes a part that this version of LLVM cannot compile: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None


def _text(program: Program, name: str = "kernel") -> KernelText | None:
    """The text of a kernel, if it is not too long or too large."""
    schedule = _scheduled(Lowering(program))
    if max(schedule.workspaces.values(), default=0) > LARGEST_WORKSPACE:
        return None
    try:
        text = KernelText(schedule, Module(processor().has_fma, processor().vector_bytes), name)
    except Unwritten:
        return None
    return None if text.n_statements > LONGEST_KERNEL else text


def _scheduled(lowering: Lowering) -> Schedule:
    """With repetitions rolled up where that is better, and what threads cannot share on its own where it is."""
    lay_out(lowering)
    chosen = _rolled(lowering)
    if thread_count() == 1 or not any(s.form.writes_anywhere for s in lowering.statements):
        return chosen
    # Threads share what is computed, but not what is written anywhere.
    rolling = any(segment.count > 1 for segment in chosen.segments)
    separate = _arranged(lowering, rolling, mixed=False)
    return separate if _nanoseconds(separate) < LEAST_GAIN * _nanoseconds(chosen) else chosen


def _arranged(lowering: Lowering, rolling: bool = True, mixed: bool = True) -> Schedule:
    """In bands that are as large as the caches of this processor."""
    near, own = cache_bytes(1), cache_bytes(2)
    return Schedule(lowering, rolling, mixed, partial(arrange, Rules(near, own, own, is_watched, is_product)))


def _nanoseconds(schedule: Schedule) -> float:
    """What a call takes with the threads there are, roughly."""
    total = 0.0
    for count, nest in nests_of(schedule):
        time = COSTS.nest(nest)
        shared = share(nest) if time >= SMALLEST_SHARED else None
        total += count * time / min(thread_count(), shared or 1)
    for band, nests in bands_of(schedule):
        time = COSTS.band(band, nests)
        total += time / (thread_count() if time >= SMALLEST_SHARED else 1)
    return total


def _rolled(lowering: Lowering) -> Schedule:
    """With repetitions rolled up, unless they then write large arrays that need not be stored otherwise."""
    rolled = _arranged(lowering)
    repeated = [s for s in rolled.segments if s.count > 1]
    bodies = [lowering.statements[i].form.primitive for s in repeated for i in range(s.start, s.start + s.period)]
    # Products of matrices are loops of their own, and long ones.
    products = any(p is not None and p.kind == "contraction" for p in bodies)
    if not repeated or products or len(lowering.statements) > LONGEST_STRAIGHT:
        return rolled
    moved = traffic(rolled)
    if moved * MOVED_BYTE < SMALLEST_TRAFFIC:
        return rolled
    straight = _arranged(lowering, rolling=False)
    return straight if traffic(straight) < LEAST_GAIN * moved else rolled


def is_supported(program: Program, application: Application) -> bool:
    """Whether an application can be a statement, or a view."""
    return supported(program, application, is_written, LARGEST_ARRAY)


def faster(call: float | None = None) -> Cuts:
    """Loops where they are estimated to be faster than NumPy, a call of a kernel taking so many nanoseconds."""
    return COSTS.cuts(is_supported, KERNEL_CALL if call is None else call)


class StepBackend(LlvmBackend):
    """The same for steps of loops: these are called by machine code where that is possible."""

    def compile(self, program: Program) -> Plan:
        """A plan that is compiled when it is called, if it may be a part of a larger kernel."""
        library()
        cuts = faster(KERNEL_CALL - STEP)
        found = regions(program, cuts)
        if whole(program, found, cuts) == LOOPS:
            return Step(program, super().compile)
        return super().compile(program)

    def repeat(self, plan: Plan, loop: Repetition) -> Callable[[Sequence[Any]], tuple[Any, ...]] | None:
        """Machine code for all steps, where a step is a kernel for one thread."""
        if not isinstance(plan, Step) or not fits(plan.program, loop):
            return None
        text = _text(plan.program, "step")
        if text is None or text.is_staged:
            return None
        return self._loaded(lambda: Repeated(text, loop))

    def alone(self, plan: Plan) -> Plan:
        """What a plan of one step waits with."""
        return plan.plan if isinstance(plan, Step) else plan


def _with_kernels(program: Program) -> Program:
    """The same program, in which steps of loops and branches are compiled as kernels, too."""

    def replaced(result: Program, _: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        kinds = signature.primitive.params.values()
        if Own not in kinds:
            return None
        # (Functions that are called as they are have no bodies.)
        params = tuple([value.on(STEPS) if hasattr(value, "on") else value for value in signature.params])
        return result.call(signature.primitive, *arguments, params=params)

    if any(signature is not None and Own in signature.primitive.params.values() for signature in program.signatures):
        return prune(program, replaced)
    return program


BACKEND = LlvmBackend()
STEPS = StepBackend()
