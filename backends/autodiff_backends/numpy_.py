"""NumPy: programs as straight-line Python, or interpreted if they are long."""

from __future__ import annotations

from autodiff.backend import Plan
from autodiff.plan.program import Program

from ._numpy_reference import Interpreted
from ._numpy_source import Generated

# Compiling a line of Python takes about 40 us, running it once through the interpreter about 1 us.
LONGEST_SOURCE = 4000


class NumpyBackend:
    """Arrays are ``numpy.ndarray``."""

    name = "numpy"

    def compile(self, program: Program) -> Plan:
        """Generated source for programs of ordinary length, an interpreted plan for very long ones."""
        if len(program.avals) > LONGEST_SOURCE:
            return Interpreted(program)
        return Generated(program)

    def __repr__(self) -> str:
        return "<backend numpy>"


BACKEND = NumpyBackend()
