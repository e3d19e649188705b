"""A differential equation whose right-hand side is a small network, by Runge and Kutta's method in a Python loop."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants, jax_jit
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Contestant, Row, Workload

NAME = "neural_ode"
NUMBERS, STEP = 4, 0.05
SIZES = {"10 steps, 1 x 16": (10, 1, 16), "100 steps, 8 x 32": (100, 8, 32), "100 steps, 128 x 64": (100, 128, 64)}
FEW = tuple(SIZES)[:1]


def pose(size: tuple[int, int, int]) -> Problem:
    """A network of one hidden layer, and where it starts; where it should end; steps."""
    steps, batch, units = size
    random = np.random.default_rng(0)
    shapes = ((NUMBERS, units), (units,), (units, NUMBERS), (NUMBERS,), (batch, NUMBERS))
    variables = [random.normal(0, 0.3, shape) for shape in shapes]
    return Problem(variables, [random.normal(0, 1, (batch, NUMBERS))], [steps])


def slope(xp: Any, W1: Any, b1: Any, W2: Any, b2: Any, y: Any) -> Any:
    """How fast it changes."""
    return xp.tanh(y @ W1 + b1) @ W2 + b2


def runge_kutta(xp: Any, network: Any, y: Any) -> Any:
    """One step of the fourth order."""
    k1 = slope(xp, *network, y)
    k2 = slope(xp, *network, y + 0.5 * STEP * k1)
    k3 = slope(xp, *network, y + 0.5 * STEP * k2)
    k4 = slope(xp, *network, y + STEP * k3)
    return y + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def in_loop(xp: Any, *arguments: Any) -> Any:
    """The distance at the end."""
    *network, y, wanted, steps = arguments
    for _ in range(steps):
        y = runge_kutta(xp, network, y)
    return xp.sum((y - wanted) ** 2)


def in_scan(jax: ModuleType, *arguments: Any) -> Any:
    """The loop as one operation of JAX."""
    *network, y, wanted, steps = arguments
    y, _ = jax.lax.scan(lambda y, _: (runge_kutta(jax.numpy, network, y), None), y, None, length=steps)
    return jax.numpy.sum((y - wanted) ** 2)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"A neural differential equation of {NUMBERS} numbers, steps, batch x hidden units, the distance at the end "
        "and its gradients by the network and the start, float64. `jax` and `torch compile` unroll the Python loop and "
        "take part in the smallest case; `jax scan` says the loop in `jax.lax.scan`."
    ),
    contestants=(
        *contestants(in_loop, pose, peers=("jax", "torch", "torch compile"), only={"jax": FEW, "torch compile": FEW}),
        Contestant("jax scan", jax_jit(in_scan, pose), library="jax"),
    ),
    cases=tuple(Case(name, size, size=size[0] * size[1] * size[2]) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("neural differential equation, 10 steps of 1 x 16 to 100 of 128 x 64"),),
    group=HELD_OUT,
    size_unit="units and steps",
    rtol=1e-8,
    max_rounds=11,
    max_first_calls=2,
)
