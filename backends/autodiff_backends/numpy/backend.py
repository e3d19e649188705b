"""NumPy: programs as straight-line Python, interpreted at first or always if they are long."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from autodiff.backend import COMPLEX_DTYPES, REAL_DTYPES, Backend, Capabilities, Plan
from autodiff.backend import Timed as TimedPlan
from autodiff.background import is_at_work
from autodiff.core.program import Program
from autodiff.plan.tiers import Tiered

from .factors import with_factors
from .lanes import with_lanes
from .reference import Interpreted
from .source import Generated
from .timed import Timed

# Longer programs are interpreted for their first calls: making source costs about 40 us an operation, and saves 2 us a
# call. It is made in the background then. Beyond the second figure a program is most likely run once.
LONGEST_AT_ONCE = 4_000
LONGEST_GENERATED = 200_000

# Source for shorter programs is made while the caller waits, in 10 ms at most.
SHORTEST_INTERPRETED = 200

Maker = Callable[[Program], Plan]


def planned(program: Program, interpreted: Maker, generated: Maker) -> Plan:
    """Generated source for programs of ordinary length, later or never for long ones."""
    length = len(program.avals)
    if length <= LONGEST_AT_ONCE or (length <= LONGEST_GENERATED and is_at_work()):
        return generated(program)
    if length <= LONGEST_GENERATED:
        return Tiered(interpreted(program), partial(generated, program), "generating the source of a long plan")
    return interpreted(program)


def _generated(program: Program) -> Plan:
    return Generated(program).bare


class NumpyBackend(Backend):
    """Arrays are ``numpy.ndarray``."""

    name = "numpy"
    primitives = frozenset(("tanh_slope",))
    capabilities = Capabilities(
        REAL_DTYPES | COMPLEX_DTYPES | {np.dtype(code) for code in ("f2", "g", "G")},
        frozenset(("in-place", "scatter-add", "data-dependent shapes")),
    )

    def compile(self, program: Program) -> Plan:
        """See ``planned``."""
        return planned(with_lanes(with_factors(program)), Interpreted, _generated)

    def timed(self, program: Program, plan: Plan) -> TimedPlan | None:
        """The generated source, with looks at the clock between its statements."""
        return Timed(with_lanes(with_factors(program))) if len(program.avals) <= LONGEST_GENERATED else None

    def interpret(self, program: Program) -> Plan | None:
        """One call after another, if the program is not so short that source is made as fast."""
        return Interpreted(program) if len(program.avals) > SHORTEST_INTERPRETED else None

    def frugal(self, program: Program) -> Plan | None:
        """One call after another, whatever the length."""
        return Interpreted(program)


BACKEND = NumpyBackend()
