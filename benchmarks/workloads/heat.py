"""The heat equation on a grid: slices read and written in a loop, and the gradient back to the first field."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "heat"
STEPS = 20
RATE = 0.2


def pose(side: int) -> Problem:
    """A random field, and where it should be after all steps."""
    random = np.random.default_rng(0)
    return Problem([random.random((side, side))], [np.full((side, side), 0.5)])


def laplacian(u: Any) -> Any:
    """Of the inner points, by five points."""
    return u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1]


def misfit(xp: Any, u: Any, wanted: Any) -> Any:
    """Sum of the squared differences."""
    return xp.sum((u - wanted) ** 2)


def in_place(xp: Any, u: Any, wanted: Any) -> Any:
    """With the inner points written to."""
    for _ in range(STEPS):
        change = RATE * laplacian(u)
        u = u.clone() if xp.__name__ == "torch" else xp.copy(u)
        u[1:-1, 1:-1] += change
    return misfit(xp, u, wanted)


def in_jax(jax: ModuleType, u: Any, wanted: Any) -> Any:
    """With JAX's way to write."""
    for _ in range(STEPS):
        u = u.at[1:-1, 1:-1].add(RATE * laplacian(u))
    return misfit(jax.numpy, u, wanted)


def in_autograd(autograd: ModuleType, u: Any, wanted: Any) -> Any:
    """HIPS autograd can't write: the change is padded."""
    for _ in range(STEPS):
        u = u + autograd.numpy.pad(RATE * laplacian(u), 1, "constant")
    return misfit(autograd.numpy, u, wanted)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"Heat equation on a square grid, {STEPS} explicit steps written with slices, the squared misfit at the end "
        "and its gradient with respect to the first field, float64. PyTorch is eager: compiling takes it minutes."
    ),
    contestants=contestants(
        in_place,
        pose,
        own={"jax": in_jax, "autograd": in_autograd},
        peers=("jax", "torch", "autograd"),
    ),
    cases=tuple(Case(f"{side} x {side}", side, size=side**2) for side in (32, 256, 1024)),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=(Row("2-D heat equation, 32² to 1024² cells"),),
    size_unit="cells",
    max_rounds=11,
    max_first_calls=2,
)
