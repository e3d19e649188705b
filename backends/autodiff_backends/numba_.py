"""Numba: programs of many operations on small arrays as compiled loops, the rest as on NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.backend import Plan
from autodiff.errors import BackendError
from autodiff.plan.program import Program

from ._loops_regions import LOOPS, Composed, regions, whole
from ._loops_regions import NUMPY as NUMPY_KIND
from ._loops_schedule import Schedule
from ._loops_statements import Lowering
from ._numba_kernel import load
from ._numba_source import KernelSource
from ._numpy_reference import constant_value
from .numpy_ import BACKEND as NUMPY

# Larger arrays are left to NumPy, which executes them block by block on several threads.
LARGEST_ARRAY = 1 << 15

# More statements than this, after repetitions are rolled up, take LLVM minutes.
LONGEST_KERNEL = 2_000


class Kernel:
    """A plan that is one compiled function.

    Attributes
    ----------
    source : str
        What is compiled.
    n_operations : int
        Statements executed by one call.
    """

    def __init__(self, text: KernelSource):
        lowering, schedule = text.lowering, text.schedule
        program = lowering.program
        self.source = text.source
        self.n_operations = len(lowering.statements)
        self._table = text.table
        self._outputs = [(program.avals[n].shape, program.avals[n].dtype) for n in program.outputs]
        self._weak = [i for i, n in enumerate(program.outputs) if program.avals[n].weak]
        self._spare: list[list[Any]] = []
        self._workspaces: list[tuple[int, np.dtype[Any]]] = []
        self._scalars: list[tuple[int, int, list[int]]] = []
        # Of each array that is an input the number of the value, or the constant.
        self._places: list[int] = []
        self._constants: dict[int, Any] = {}
        types: list[tuple[np.dtype[Any], int | None, bool]] = []
        numbers = list(lowering.inputs)
        for name in text.parameters:
            kind, place = name[0], int(name[1:].partition("_")[0])
            if kind == "w":
                dtype = schedule.dtypes[place]
                scalars = schedule.scalars.get(dtype, [])
                if scalars and not text.few_scalars:
                    self._scalars.append((len(self._workspaces), len(scalars), scalars))
                self._workspaces.append((schedule.workspaces[dtype], dtype))
                types.append((dtype, 1, True))
            elif kind == "s":
                dtype = schedule.dtypes[place]
                types.append((dtype, None, False))
                self._places.append(schedule.scalars[dtype][int(name.partition("_")[2])])
            elif kind == "x":
                number = numbers[place]
                aval = program.avals[number]
                types.append((aval.dtype, aval.ndim, False))
                if number in program.constants:
                    self._constants[number] = np.ascontiguousarray(constant_value(program, number))
                self._places.append(number)
            else:
                shape, dtype = self._outputs[place]
                types.append((dtype, len(shape), True))
        self._kernel = load(self.source, types)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        try:
            workspaces = self._spare.pop()
        except IndexError:
            workspaces = [np.empty(size, dtype) for size, dtype in self._workspaces]
        for place, count, numbers in self._scalars:
            workspaces[place][:count] = [values[n] for n in numbers]
        outputs = [np.empty(shape, dtype) for shape, dtype in self._outputs]
        if self._constants:
            known = self._constants
            taken = [known[n] if n in known else values[n] for n in self._places]
        else:
            taken = [values[n] for n in self._places]
        try:
            self._kernel(self._table, *workspaces, *taken, *outputs)
        except TypeError:
            # Compiled for arrays that are contiguous and aligned.
            taken = [np.require(a, requirements=["C", "A"]) if isinstance(a, np.ndarray) else a for a in taken]
            self._kernel(self._table, *workspaces, *taken, *outputs)
        self._spare.append(workspaces)
        for i in self._weak:
            outputs[i] = outputs[i].item()
        return tuple(outputs)


class NumbaBackend:
    """Arrays are ``numpy.ndarray``; programs on small ones are compiled by Numba."""

    name = "numba"

    def __init__(self) -> None:
        self._ufuncs: frozenset[str] | None = None

    def compile(self, program: Program) -> Plan:
        """Kernels where they are estimated to be faster, the rest as on NumPy."""
        found = regions(program, self._supported_ufuncs(), LARGEST_ARRAY)
        kind = whole(program, found)
        if kind == LOOPS:
            return self._compile_region(LOOPS, program)
        return NUMPY.compile(program) if kind == NUMPY_KIND else Composed(program, found, self._compile_region)

    def _compile_region(self, kind: str, program: Program) -> Plan:
        if kind == LOOPS:
            text = KernelSource(Schedule(Lowering(program)))
            if text.n_statements <= LONGEST_KERNEL:
                return Kernel(text)
        return NUMPY.compile(program)

    def _supported_ufuncs(self) -> frozenset[str]:
        if self._ufuncs is None:
            try:
                from numba.np import ufunc_db  # noqa: PLC0415
            except ImportError as error:
                raise BackendError(f"backend 'numba' needs the package numba (pip install numba): {error}") from error
            self._ufuncs = frozenset(f.__name__ for f in ufunc_db.get_ufuncs())
        return self._ufuncs

    def __repr__(self) -> str:
        return "<backend numba>"


BACKEND = NumbaBackend()
