"""Rosenbrock's function: shifted slices of one long vector, and a gradient that writes into both."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "rosenbrock"
SIZES = (1_000, 100_000, 10_000_000)


def pose(size: int) -> Problem:
    """A point away from the minimum."""
    return Problem([np.random.default_rng(0).normal(0, 1, size)])


def rosenbrock(xp: Any, x: Any) -> Any:
    """sum(100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2)."""
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


WORKLOAD = Workload(
    name=NAME,
    summary="Rosenbrock's function of many variables and its gradient, float64.",
    contestants=contestants(rosenbrock, pose),
    cases=tuple(Case(f"{count:,}", count, size=count) for count in SIZES),
    targets=(
        Target(1.2, against=BEST_PEER, cases=("1,000",)),
        Target(1.0, against=BEST_PEER, cases=("100,000",)),
        Target(0.5, against=BEST_PEER, cases=("10,000,000",)),
    ),
    rows=tuple(Row(f"Rosenbrock, {count:,} variables", (f"{count:,}",)) for count in SIZES),
    size_unit="variables",
    max_rounds=11,
    max_first_calls=3,
)
