"""Stencils: Jacobi's method on a grid, steps of two grids in turn, and the horizontal diffusion of a weather model."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload

NAME = "stencils"
STEPS = 20
SIDES = (32, 256, 1024)
DOMAINS = {"16 x 16 x 8": (16, 16, 8), "64 x 64 x 32": (64, 64, 32), "128 x 128 x 64": (128, 128, 64)}


def pose(case: tuple[str, Any]) -> Problem:
    """Fields; which of the two it is."""
    what, size = case
    random = np.random.default_rng(0)
    if what == "jacobi":
        return Problem([random.random((size, size))], [], [what])
    i, j, k = size
    return Problem([random.random((i + 4, j + 4, k)), random.random((i, j, k))], [], [what])


def averaged(a: Any) -> Any:
    """The inner points, each the mean of five."""
    return 0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1])


def jacobi(xp: Any, a: Any) -> Any:
    """Steps written in place, as in NPBench."""
    for _ in range(STEPS):
        inner = averaged(a)
        a = a.clone() if xp.__name__ == "torch" else xp.copy(a)
        a[1:-1, 1:-1] = inner
    return xp.sum(a * a)


def jacobi_in_jax(jax: ModuleType, a: Any) -> Any:
    """With JAX's way to write."""
    for _ in range(STEPS):
        a = a.at[1:-1, 1:-1].set(averaged(a))
    return jax.numpy.sum(a * a)


def diffusion(xp: Any, field: Any, rate: Any) -> Any:
    """NPBench's hdiff: a Laplacian, and fluxes that never go uphill."""
    laplace = 4 * field[1:-1, 1:-1] - (field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2])
    along = laplace[1:, 1:-1] - laplace[:-1, 1:-1]
    along = xp.where(along * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0.0, along)
    across = laplace[1:-1, 1:] - laplace[1:-1, :-1]
    across = xp.where(across * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0.0, across)
    out = field[2:-2, 2:-2] - rate * (along[1:] - along[:-1] + across[:, 1:] - across[:, :-1])
    return xp.sum(out * out)


def loss(xp: Any, *arguments: Any) -> Any:
    """One of the two."""
    *fields, what = arguments
    return jacobi(xp, *fields) if what == "jacobi" else diffusion(xp, *fields)


def in_jax(jax: ModuleType, *arguments: Any) -> Any:
    """One of the two."""
    *fields, what = arguments
    return jacobi_in_jax(jax, *fields) if what == "jacobi" else diffusion(jax.numpy, *fields)


JACOBI = tuple(f"jacobi {side} x {side}" for side in SIDES)
DIFFUSION = tuple(f"hdiff {name}" for name in DOMAINS)

WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"NPBench's jacobi_2d, {STEPS} steps with slices, and hdiff, the horizontal diffusion of a field; a sum "
        "of squares and its gradients by all fields, float64. `torch compile` takes part where there is no loop."
    ),
    contestants=contestants(
        loss, pose, own={"jax": in_jax}, peers=("jax", "torch", "torch compile"), only={"torch compile": DIFFUSION}
    ),
    cases=(
        *(Case(name, ("jacobi", side), size=side**2, variant="jacobi") for name, side in zip(JACOBI, SIDES)),
        *(
            Case(name, ("hdiff", size), size=size[0] * size[1] * size[2], variant="hdiff")
            for name, size in zip(DIFFUSION, DOMAINS.values())
        ),
    ),
    targets=(HELD_OUT_ROW,),
    rows=(Row(f"Jacobi's method, {STEPS} steps, 32² to 1024² cells", JACOBI), Row("horizontal diffusion", DIFFUSION)),
    group=HELD_OUT,
    size_unit="cells",
    max_rounds=11,
    max_first_calls=2,
)
