"""Numba: programs of many operations on small arrays as compiled loops, the rest as on NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.backend import Plan
from autodiff.errors import BackendError
from autodiff.plan.program import Program

from ._loops_schedule import Schedule
from ._loops_statements import Lowering, supported
from ._numba_kernel import load
from ._numba_source import KernelSource
from ._numpy_reference import constant_value
from .numpy_ import BACKEND as NUMPY

# Larger arrays are left to NumPy, whose vectorised functions beat compiled loops over scalar ones.
LARGEST_ARRAY = 1 << 14

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

    def __init__(self, program: Program, lowering: Lowering, text: KernelSource, schedule: Schedule):
        self.source = text.source
        self.n_operations = len(lowering.statements)
        self._table = text.table
        self._spare: list[list[Any]] = []
        numbers = list(lowering.inputs)
        self._workspaces = [
            (schedule.workspaces[schedule.dtypes[int(p[1:])]], schedule.dtypes[int(p[1:])])
            for p in text.parameters
            if p[0] == "w"
        ]
        self._outputs = [(program.avals[n].shape, program.avals[n].dtype) for n in program.outputs]
        self._weak = [i for i, n in enumerate(program.outputs) if program.avals[n].weak]
        types: list[tuple[np.dtype[Any], int | None]] = [(dtype, 1) for _, dtype in self._workspaces]
        written = [True] * len(types)
        # Inputs by their place in the call; constants with their value.
        self._taken: list[tuple[int, Any]] = []
        for p in text.parameters:
            if p[0] == "x":
                number = numbers[int(p[1:])]
                aval = program.avals[number]
                types.append((aval.dtype, None if aval.weak else aval.ndim))
                written.append(False)
                constant = constant_value(program, number) if number in program.constants else None
                self._taken.append((number, constant))
        types += [(dtype, len(shape)) for shape, dtype in self._outputs]
        written += [True] * len(self._outputs)
        self._types = types
        self._places = [number for number, _ in self._taken]
        self._constants = [(i, np.ascontiguousarray(c)) for i, (_, c) in enumerate(self._taken) if c is not None]
        self._kernel = load(self.source, types, written)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        try:
            workspaces = self._spare.pop()
        except IndexError:
            workspaces = [np.empty(size, dtype) for size, dtype in self._workspaces]
        outputs = [np.empty(shape, dtype) for shape, dtype in self._outputs]
        if self._constants:
            values = (*values, *[None] * 0)
        taken = self._arguments(values)
        try:
            self._kernel(self._table, *workspaces, *taken, *outputs)
        except TypeError:
            # Compiled for contiguous and aligned arrays.
            self._kernel(self._table, *workspaces, *[self._plain(a) for a in taken], *outputs)
        self._spare.append(workspaces)
        for i in self._weak:
            outputs[i] = outputs[i].item()
        return tuple(outputs)

    def _arguments(self, values: tuple[Any, ...]) -> list[Any]:
        if not self._constants:
            return [values[i] for i in self._places]
        constants = dict(self._constants)
        return [constants[i] if i in constants else values[n] for i, n in enumerate(self._places)]

    @staticmethod
    def _plain(value: Any) -> Any:
        return np.require(value, requirements=["C", "A"]) if isinstance(value, np.ndarray) else value


class NumbaBackend:
    """Arrays are ``numpy.ndarray``; programs on small ones are compiled by Numba."""

    name = "numba"

    def __init__(self) -> None:
        self._ufuncs: frozenset[str] | None = None

    def compile(self, program: Program) -> Plan:
        """One kernel if every application is supported, else a NumPy plan."""
        ufuncs = self._supported_ufuncs()
        if not all(supported(program, n, ufuncs, LARGEST_ARRAY) for n in program.applications()):
            return NUMPY.compile(program)
        lowering = Lowering(program)
        schedule = Schedule(lowering)
        text = KernelSource(schedule)
        if text.n_statements > LONGEST_KERNEL:
            return NUMPY.compile(program)
        return Kernel(program, lowering, text, schedule)

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
