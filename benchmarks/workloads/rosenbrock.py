"""Rosenbrock's function: shifted slices of one long vector, and a gradient that writes into both."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Target, Workload

NAME = "rosenbrock"


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
    cases=(Case("1,000", 1_000), Case("100,000", 100_000), Case("10,000,000", 10_000_000, quick=False)),
    targets=(
        Target(1.2, against=BEST_PEER, cases=("1,000",)),
        Target(1.0, against=BEST_PEER, cases=("100,000",)),
        Target(0.5, against=BEST_PEER, cases=("10,000,000",)),
    ),
    max_rounds=11,
    max_first_calls=3,
)
