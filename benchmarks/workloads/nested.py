"""Forward mode over forward mode over reverse mode: derivatives along one direction, up to the fourth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.derivatives import Derivative, Transforms, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "nested"
SIZE, DEPTHS = 1_000, (1, 2, 3, 4)


def at_depth(depth: int) -> Derivative:
    """The gradient's derivative along a direction, that one's, and so on."""

    def derivative(t: Transforms) -> Any:
        def energy(x: Any) -> Any:
            return t.xp.sum(t.xp.sin(x) * t.xp.exp(-(x**2))) + t.xp.sum(x[1:] * t.xp.tanh(x[:-1]))

        def order(n: int, x: Any, v: Any) -> Any:
            return t.grad(energy)(x) if n == 1 else t.jvp(lambda x: order(n - 1, x, v), x, v)

        return lambda x, v: order(depth, x, v)

    return derivative


def chosen(depth: int) -> tuple[Derivative, Sequence[Any]]:
    """A derivative, a point and a direction."""
    random = np.random.default_rng(0)
    return at_depth(depth), [random.normal(0, 1, SIZE), random.normal(0, 1, SIZE)]


WORKLOAD = Workload(
    name=NAME,
    summary="The gradient of a function of 1,000 variables, and its derivatives along a direction in forward mode.",
    contestants=contestants(chosen, peers=("jax", "torch")),
    cases=tuple(Case(f"depth {depth}", depth, size=depth) for depth in DEPTHS),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=(Row("forward over reverse mode, to depth 4"),),
    size_unit="derivatives",
    max_rounds=15,
    max_first_calls=2,
)
