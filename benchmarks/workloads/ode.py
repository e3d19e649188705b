"""Thousands of operations on two numbers: an initial value problem solved in a Python loop."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from benchmarks.gradients import Problem, contestants, jax_jit
from benchmarks.workload import TRACED, Case, Contestant, Row, Target, Workload

NAME = "ode"
STEP = 0.05
START = (1.0, 0.5)
RATES = (1.1, 0.4, 0.1, 0.4)
SIZES = {"20 steps": 20, "200 steps": 200, "2,000 steps": 2_000}
FEW, MANY = ("20 steps",), ("20 steps", "200 steps")


def lotka_volterra(prey: Any, predators: Any, a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    """How fast both populations change."""
    return prey * (a - b * predators), predators * (c * prey - d)


def midpoint(x: Any, y: Any, *rates: Any) -> tuple[Any, Any]:
    """One step of the explicit midpoint method."""
    dx, dy = lotka_volterra(x, y, *rates)
    dx, dy = lotka_volterra(x + 0.5 * STEP * dx, y + 0.5 * STEP * dy, *rates)
    return x + STEP * dx, y + STEP * dy


def pose(steps: int) -> Problem:
    """The start and the rates, all variable."""
    return Problem([*START, *RATES], options=[steps])


def squared_distance(x: Any, y: Any) -> Any:
    """Of the populations from (2, 2)."""
    return (x - 2) ** 2 + (y - 2) ** 2


def in_loop(_xp: Any, x: Any, y: Any, *arguments: Any) -> Any:
    """Where the populations are after all steps."""
    *rates, steps = arguments
    for _ in range(steps):
        x, y = midpoint(x, y, *rates)
    return squared_distance(x, y)


def in_scan(jax: ModuleType, x: Any, y: Any, *arguments: Any) -> Any:
    """The loop as one operation of JAX."""
    *rates, steps = arguments
    (x, y), _ = jax.lax.scan(lambda state, _: (midpoint(*state, *rates), None), (x, y), None, length=steps)
    return squared_distance(x, y)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Lotka-Volterra equations by the midpoint method, a loss at the end and its gradient with respect to two "
        "initial values and four rates, Python floats or 0-d float64. `jax` and `torch compile` unroll the Python "
        "loop, which takes too long to compile for more than a few steps; `jax scan` says the loop in `jax.lax.scan`."
    ),
    contestants=(
        *contestants(
            in_loop,
            pose,
            peers=("jax", "torch", "torch compile", "autograd"),
            only={"jax": FEW, "torch compile": FEW, "autograd": MANY},
        ),
        Contestant("jax scan", jax_jit(in_scan, pose), library="jax"),
    ),
    cases=tuple(Case(name, steps, size=steps) for name, steps in SIZES.items()),
    targets=(Target(0.03, contestants=TRACED, against="torch"),),
    rows=(Row("ODE, midpoint rule, 200 steps of two scalars", ("200 steps",)),),
    size_unit="steps",
    max_rounds=11,
    max_first_calls=2,
)
