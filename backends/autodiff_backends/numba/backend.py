"""Numba: programs of many operations on small arrays as compiled loops, the rest as on NumPy."""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

import numpy as np

from autodiff.backend import Backend, Plan
from autodiff.core.parameters import Own
from autodiff.core.primitives import Signature
from autodiff.core.program import Program, prune
from autodiff.errors import BackendError
from autodiff.machine import thread_count
from autodiff.plan.workspaces import Workspaces

from ..loops.regions import LOOPS, Composed, regions, whole
from ..loops.schedule import Schedule
from ..loops.statements import Lowering
from ..numpy.backend import BACKEND as NUMPY
from ..numpy.factors import with_factors
from ..numpy.reference import Interpreted
from ..numpy.values import constant_value
from ..numpy.workers import shares, together
from .costs import faster
from .kernel import Entered, Exhausted, load, numba_alone
from .source import KernelSource

# Places in workspaces are 32-bit numbers.
LARGEST_ARRAY = 1 << 28
LARGEST_WORKSPACE = 1 << 31

# More statements than this, after repetitions are rolled up, take LLVM minutes.
LONGEST_KERNEL = 2_000

# Each array that a kernel takes or gives costs LLVM 40 ms, whatever is done with it: 250 of them 7 s, 1,000 minutes. So
# a part of a program that would hand over more is left to NumPy.
MOST_PARAMETERS = 128


class Kernel:
    """A plan that is one compiled function.

    Attributes
    ----------
    source : str
        What is compiled.
    n_operations : int
        Statements executed by one call.
    peak_bytes : int
        What one call holds at most.
    """

    def __init__(self, text: KernelSource):
        lowering, schedule = text.lowering, text.schedule
        program = lowering.program
        self.source = text.source
        self.n_operations = len(lowering.statements)
        self._table = text.table
        self._outputs = [(program.avals[n].shape, program.avals[n].dtype) for n in program.outputs]
        self._weak = [i for i, n in enumerate(program.outputs) if program.avals[n].weak]
        # The number of each stage and the extent that threads share; nothing if the kernel is one stage.
        self._stages = [(number, stage.extent) for number, stage in enumerate(text.stages)]
        if len(self._stages) == 1 and self._stages[0][1] is None:
            self._stages = []
        self._parts = text.parts
        sizes: list[tuple[int, np.dtype[Any]]] = []
        self._scalars: list[tuple[int, int, list[int]]] = []
        # Of each array that is an input the number of the value, or the constant.
        self._places: list[int] = []
        self._constants: dict[int, Any] = {}
        types: list[tuple[np.dtype[Any], int | None, bool]] = []
        if self._stages:
            types += [(np.dtype(np.int64), None, False)] * 2 + [(np.dtype(np.uint32), None, False)] * 2
        numbers = list(lowering.inputs)
        for name in text.parameters:
            kind, place = name[0], int(name[1:].partition("_")[0])
            if kind == "w":
                dtype = schedule.dtypes[place]
                scalars = schedule.scalars.get(dtype, [])
                if scalars and not text.few_scalars:
                    self._scalars.append((len(sizes), len(scalars), scalars))
                sizes.append((schedule.workspaces[dtype], dtype))
                types.append((dtype, 1, True))
            elif kind == "p":
                types.append((text.parts[place], 1, True))
            elif kind == "s":
                dtype = schedule.dtypes[place]
                types.append((dtype, None, False))
                self._places.append(schedule.scalars[dtype][int(name.partition("_")[2])])
            elif kind == "x":
                number = numbers[place]
                aval = program.avals[number]
                types.append((aval.dtype, aval.ndim, False))
                if number in program.constants:
                    self._constants[number] = np.asarray(constant_value(program, number), order="C")
                self._places.append(number)
            else:
                shape, dtype = self._outputs[place]
                types.append((dtype, len(shape), True))
        self.peak_bytes = sum([math.prod(shape) * dtype.itemsize for shape, dtype in self._outputs])
        self.peak_bytes += sum([size * dtype.itemsize for size, dtype in sizes])
        self._irregular = False
        self._workspaces = Workspaces(
            lambda: tuple([np.empty(size, dtype) for size, dtype in sizes]),
            sum(size * dtype.itemsize for size, dtype in sizes),
        )
        self._spare = self._workspaces.spare
        self._kernel = load(self.source, types)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        spare: Any = self._spare
        try:
            workspaces = spare.pop()
        except IndexError:
            workspaces, spare = self._workspaces.take()
        for place, count, numbers in self._scalars:
            workspaces[place][:count] = [values[n] for n in numbers]
        outputs = [np.empty(shape, dtype) for shape, dtype in self._outputs]
        if self._constants:
            known = self._constants
            taken = [known[n] if n in known else values[n] for n in self._places]
        else:
            taken = [values[n] for n in self._places]
        if self._irregular:
            taken = [_regular(a) for a in taken]
        try:
            self._run(workspaces, taken, outputs)
        except TypeError:
            # An exception takes a tenth of a millisecond, and where one array is irregular the next call's will be.
            self._irregular = True
            self._run(workspaces, [_regular(a) for a in taken], outputs)
        spare.append(workspaces)
        for i in self._weak:
            outputs[i] = outputs[i].item()
        return tuple(outputs)

    def _run(self, workspaces: tuple[Any, ...], taken: list[Any], outputs: list[Any]) -> None:
        kernel, table = self._kernel, self._table
        if not self._stages:
            kernel(table, *workspaces, *taken, *outputs)
            return
        count = thread_count()
        parts = [np.empty(1, dtype) for dtype in self._parts]
        for number, extent in self._stages:
            ranges = [(0, 0)]
            if extent is not None:
                ranges = shares(extent, count)
                parts = [np.empty(len(ranges), dtype) for dtype in self._parts]
            arrays = (*workspaces, *parts, *taken, *outputs)
            together([partial(kernel, table, number, i, *span, *arrays) for i, span in enumerate(ranges)])


def _regular(value: Any) -> Any:
    """A value as kernels are compiled for: an array that is contiguous and aligned, or a number."""
    if type(value) is np.ndarray and not (value.flags.c_contiguous and value.flags.aligned):
        return np.require(value, requirements=["C", "A"])
    return value


class NumbaBackend(Backend):
    """Arrays are ``numpy.ndarray``; programs on small ones are compiled by Numba."""

    name = "numba"
    home = NUMPY
    capabilities = NUMPY.capabilities
    primitives = NUMPY.primitives

    def __init__(self) -> None:
        self._ufuncs: frozenset[str] | None = None
        self._exhausted = False

    def compile(self, program: Program) -> Plan:
        """Kernels where they are estimated to be faster, the rest as on NumPy."""
        program = with_factors(_with_kernels(program))
        try:
            cuts = faster(self._supported_ufuncs(), LARGEST_ARRAY)
            found = regions(program, cuts)
            kind = whole(program, found, cuts)
            if kind is None:
                return Composed(program, found, cuts, partial(self._compile_region, most_parameters=MOST_PARAMETERS))
            return self._compile_region(kind, program)
        except Entered:
            return NUMPY.compile(program)

    def interpret(self, program: Program) -> Plan | None:
        """On NumPy: kernels of short programs too take LLVM a quarter of a second."""
        return Interpreted(program)

    def frugal(self, program: Program) -> Plan | None:
        """On NumPy: kernels hold what they compute until their end."""
        return Interpreted(program)

    def _compile_region(self, kind: str, program: Program, most_parameters: float = math.inf) -> Plan:
        kernel = self._kernel(program, most_parameters) if kind == LOOPS else None
        return NUMPY.compile(program) if kernel is None else kernel

    def _kernel(self, program: Program, most_parameters: float) -> Kernel | None:
        """A kernel, if it is not too long, too large, or beyond Numba."""
        from numba.core.errors import NumbaError  # noqa: PLC0415

        schedule = Schedule(Lowering(program))
        if max(schedule.workspaces.values(), default=0) > LARGEST_WORKSPACE:
            return None
        text = KernelSource(schedule)
        if text.n_statements > LONGEST_KERNEL or len(text.parameters) > most_parameters:
            return None
        try:
            return Kernel(text)
        except Exhausted as error:
            if not self._exhausted:
                self._exhausted = True
                warnings.warn(
                    f"backend 'numba': {error}, which Numba never gives back, so NumPy executes further programs. "
                    "Where sizes change from call to call, pad to a few that come again",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return None
        except NumbaError as error:
            warnings.warn(
                f"backend 'numba': NumPy executes a part that this version of Numba cannot compile: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None

    def _supported_ufuncs(self) -> frozenset[str]:
        if self._ufuncs is None:
            with numba_alone():
                try:
                    from numba.np import ufunc_db  # noqa: PLC0415
                except ImportError as error:
                    needs = f"backend 'numba' needs the package numba (pip install numba): {error}"
                    raise BackendError(needs) from error
            self._ufuncs = frozenset(f.__name__ for f in ufunc_db.get_ufuncs())
        return self._ufuncs


BACKEND = NumbaBackend()


def _with_kernels(program: Program) -> Program:
    """The same program, in which steps of loops and branches are compiled as kernels, too."""

    def replaced(result: Program, _: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        kinds = signature.primitive.params.values()
        if Own not in kinds:
            return None
        pairs = zip(signature.params, kinds, strict=True)
        params = tuple([value.on(BACKEND) if kind is Own else value for value, kind in pairs])
        return result.call(signature.primitive, *arguments, params=params)

    if any(signature is not None and Own in signature.primitive.params.values() for signature in program.signatures):
        return prune(program, replaced)
    return program
