"""One elementwise expression over arrays from small to far larger than any cache: fusion and threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "elementwise"
SIZES = {"4k": 1 << 12, "64k": 1 << 16, "4M": 1 << 22}
DTYPES = ("float32", "float64")


def pose(size: tuple[int, str]) -> Problem:
    """Points between 0 and 2, where the sum does not cancel."""
    count, dtype = size
    return Problem([np.random.default_rng(0).uniform(0, 2, count).astype(dtype)])


def total(xp: Any, a: Any) -> Any:
    """sum(sin(a^2 tanh a))."""
    return xp.sum(xp.sin(a * a * xp.tanh(a)))


WORKLOAD = Workload(
    name=NAME,
    summary="sum(sin(a * a * tanh(a))) and its gradient, an elementwise chain that ends in a full sum.",
    contestants=contestants(total, pose),
    cases=tuple(
        Case(f"{size} {dtype}", (count, dtype), size=count, variant=dtype)
        for size, count in SIZES.items()
        for dtype in DTYPES
    ),
    targets=(
        Target(1.0, against=BEST_PEER, cases=tuple(f"{size} {dtype}" for size in ("4k", "64k") for dtype in DTYPES)),
        Target(0.35, against=BEST_PEER, cases=("4M float32",)),
        Target(0.65, against=BEST_PEER, cases=("4M float64",)),
        Target(0.4, against="torch", cases=("4M float32",)),
        Target(0.3, against="torch", cases=("4M float64",)),
        Target(1.0, against="torch compile", cases=("4M float32", "4M float64")),
    ),
    rows=tuple(Row(f"sum(sin(a² tanh a)), 4M {dtype}", (f"4M {dtype}",)) for dtype in DTYPES),
    size_unit="elements",
    rtol=1e-5,  # float32, and sums in different orders
    max_rounds=15,
)
