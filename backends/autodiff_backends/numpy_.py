"""NumPy: programs as straight-line Python, interpreted at first or always if they are long."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.backend import COMPLEX_DTYPES, REAL_DTYPES, Backend, Capabilities, Plan
from autodiff.plan.cache import paused_collector
from autodiff.plan.program import Program

from ._numpy_reference import Interpreted
from ._numpy_source import Generated

# Longer programs are interpreted for their first calls: making source costs about 20 us an operation, which pays
# from the third call on. Beyond the second figure a program is most likely run once.
LONGEST_AT_ONCE = 4_000
LONGEST_GENERATED = 200_000
CALLS_INTERPRETED = 2

Maker = Callable[[Program], Plan]


class Tiered:
    """A plan that is interpreted at first, and generated once it is clear that it is called again and again."""

    def __init__(self, program: Program, interpreted: Maker, generated: Maker):
        self._program = program
        self._generate: Maker | None = generated
        self._plan = interpreted(program)
        self._calls = itertools.count(1)
        self.n_operations = self._plan.n_operations

    @property
    def source(self) -> str:
        """What is executed at present."""
        return self._plan.source

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        # Two threads may generate at once; both get the same.
        generate = self._generate
        if generate is not None and next(self._calls) > CALLS_INTERPRETED:
            with paused_collector():
                self._plan = generate(self._program)
            self._generate = None
        return self._plan(*values)


def planned(program: Program, interpreted: Maker, generated: Maker) -> Plan:
    """Generated source for programs of ordinary length, later or never for long ones."""
    if len(program.avals) <= LONGEST_AT_ONCE:
        return generated(program)
    if len(program.avals) <= LONGEST_GENERATED:
        return Tiered(program, interpreted, generated)
    return interpreted(program)


class NumpyBackend(Backend):
    """Arrays are ``numpy.ndarray``."""

    name = "numpy"
    primitives = frozenset(("tanh_slope",))
    capabilities = Capabilities(
        REAL_DTYPES | COMPLEX_DTYPES | {np.dtype(code) for code in ("f2", "g", "G")},
        frozenset(("in-place", "scatter-add", "data-dependent shapes", "linalg", "fft", "sort")),
    )

    def compile(self, program: Program) -> Plan:
        """See ``planned``."""
        return planned(program, Interpreted, Generated)


BACKEND = NumpyBackend()
