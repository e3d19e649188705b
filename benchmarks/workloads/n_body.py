"""Bodies that attract each other: differences of all pairs, powers, and sums over one of the pair."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants, jax_jit
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Contestant, Row, Workload

NAME = "n_body"
SIZES = {"8 bodies, 20 steps": (8, 20), "64 bodies, 10 steps": (64, 10), "512 bodies, 5 steps": (512, 5)}
FEW = tuple(SIZES)[:1]
STEP, SOFT = 0.01, 0.01


def pose(size: tuple[int, int]) -> Problem:
    """Places and velocities; masses."""
    bodies, steps = size
    random = np.random.default_rng(0)
    return Problem([random.normal(0, 1, (bodies, 3)) for _ in range(2)], [random.random(bodies)], [steps])


def moved(xp: Any, place: Any, velocity: Any, mass: Any) -> tuple[Any, Any]:
    """Places and velocities after a step."""
    apart = place[None, :, :] - place[:, None, :]
    squares = xp.sum(apart * apart, axis=2) + SOFT
    pull = squares**-1.5 * mass
    velocity = velocity + STEP * xp.sum(apart * pull[:, :, None], axis=1)
    return place + STEP * velocity, velocity


def energy(xp: Any, place: Any, velocity: Any) -> Any:
    """What is compared at the end."""
    return xp.sum(place * place) + xp.sum(velocity * velocity)


def in_loop(xp: Any, place: Any, velocity: Any, mass: Any, steps: int) -> Any:
    """After all steps."""
    for _ in range(steps):
        place, velocity = moved(xp, place, velocity, mass)
    return energy(xp, place, velocity)


def in_scan(jax: ModuleType, place: Any, velocity: Any, mass: Any, steps: int) -> Any:
    """The loop as one operation of JAX."""
    (place, velocity), _ = jax.lax.scan(
        lambda state, _: (moved(jax.numpy, *state, mass), None), (place, velocity), None, length=steps
    )
    return energy(jax.numpy, place, velocity)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Bodies that attract each other, steps of Euler's method, a function of the end and its gradients by places "
        "and velocities at the start, float64. `torch compile` takes part in the smallest case."
    ),
    contestants=(
        *contestants(in_loop, pose, peers=("jax", "torch", "torch compile"), only={"torch compile": FEW}),
        Contestant("jax scan", jax_jit(in_scan, pose), library="jax"),
    ),
    cases=tuple(Case(name, size, size=size[0] ** 2 * size[1]) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("N-body problem, 8 to 512 bodies"),),
    group=HELD_OUT,
    size_unit="pairs and steps",
    rtol=1e-7,
    max_rounds=11,
    max_first_calls=2,
)
