"""NumPy: programs as straight-line Python, interpreted at first or always if they are long."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autodiff.backend import COMPLEX_DTYPES, REAL_DTYPES, Backend, Capabilities, Plan
from autodiff.plan.background import Later
from autodiff.plan.program import Program

from ._numpy_reference import Interpreted
from ._numpy_source import Generated

# Longer programs are interpreted for their first calls: making source costs about 40 us an operation, and saves 2 us a
# call. From the third call on it is made in the background. Beyond the second figure a program is most likely run once.
LONGEST_AT_ONCE = 4_000
LONGEST_GENERATED = 200_000
CALLS_INTERPRETED = 2

# Source for shorter programs is made while the caller waits, in 10 ms at most.
SHORTEST_INTERPRETED = 200

Maker = Callable[[Program], Plan]


class Tiered:
    """A plan that is interpreted until another is generated, once it is clear that it is called again and again."""

    def __init__(self, program: Program, interpreted: Maker, generated: Maker):
        self._generate: partial[Plan] | None = partial(generated, program)
        self._plan = interpreted(program)
        self._calls = itertools.count(1)
        self._later: Later[Plan] | None = None
        self.n_operations = self._plan.n_operations

    @property
    def source(self) -> str:
        """What is executed at present."""
        return self._plan.source

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        generate = self._generate
        if generate is not None and next(self._calls) > CALLS_INTERPRETED:
            self._improve(generate)
        return self._plan(*values)

    def _improve(self, generate: partial[Plan]) -> None:
        """Take the generated plan if it is there. Two threads may begin one at once; both get the same."""
        later = self._later
        if later is None:
            later = self._later = Later(generate, "generating the source of a long plan")
        plan = later.get()
        if plan is not None:
            self._plan = plan
            self._generate = self._later = None


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

    def interpret(self, program: Program) -> Plan | None:
        """One call after another, if the program is not so short that source is made as fast."""
        return Interpreted(program) if len(program.avals) > SHORTEST_INTERPRETED else None


BACKEND = NumpyBackend()
