"""A spline through knots, evaluated at many points: gathers, and their gradient, which adds to the same knots again."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload

NAME = "spline"
SIZES = {"1,000 points": (20, 1_000), "100,000 points": (200, 100_000), "1,000,000 points": (1_000, 1_000_000)}


def pose(size: tuple[int, int]) -> Problem:
    """Values at the knots; of each point, the interval and the place in it, and what should be there."""
    knots, points = size
    random = np.random.default_rng(0)
    x = random.uniform(1, knots - 2, points)
    interval = np.floor(x).astype(np.int64)
    return Problem([random.normal(0, 1, knots)], [interval, x - interval, random.normal(0, 1, points)])


def misfit(xp: Any, y: Any, interval: Any, t: Any, wanted: Any) -> Any:
    """Squared differences from Catmull and Rom's spline."""
    a, b, c, d = y[interval - 1], y[interval], y[interval + 1], y[interval + 2]
    slope, curve, bend = c - a, 2 * a - 5 * b + 4 * c - d, 3 * (b - c) + d - a
    value = b + 0.5 * t * (slope + t * (curve + t * bend))
    return xp.mean((value - wanted) ** 2)


WORKLOAD = Workload(
    name=NAME,
    summary="The misfit of a cubic spline at points, and its gradient by the values at its knots, float64.",
    contestants=contestants(misfit, pose, peers=("jax", "torch", "torch compile")),
    cases=tuple(Case(name, size, size=size[1]) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("cubic spline at 1,000 to 1,000,000 points"),),
    group=HELD_OUT,
    size_unit="points",
    rtol=1e-8,
    max_rounds=15,
    max_first_calls=2,
)
