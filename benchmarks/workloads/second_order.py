"""Second derivatives and Jacobians of functions of one vector, of which most are zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.derivatives import Derivative, Transforms, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload
from benchmarks.workloads.rosenbrock import rosenbrock

NAME = "second_order"


def heat(xp: Any, u: Any) -> Any:
    """A step of heat conduction along a rod, with a conductivity that depends on the temperature."""
    inner = u[1:-1]
    change = (1 + 0.1 * inner**2) * (u[2:] - 2 * inner + u[:-2])
    return xp.concatenate((u[:1], inner + 0.2 * change, u[-1:]))


def product(t: Transforms) -> Any:
    """The Hessian times a vector."""
    return t.hvp(lambda x: rosenbrock(t.xp, x))


def hessian(t: Transforms) -> Any:
    """The whole Hessian."""
    return t.hessian(lambda x: rosenbrock(t.xp, x))


def jacobian(t: Transforms) -> Any:
    """The whole Jacobian."""
    return t.jacobian(lambda u: heat(t.xp, u))


CASES: dict[str, tuple[Derivative, int, int, str]] = {
    "Rosenbrock 1,000, hvp": (product, 1_000, 2, "hvp"),
    "Rosenbrock 50, Hessian": (hessian, 50, 1, ""),
    "Rosenbrock 200, Hessian": (hessian, 200, 1, ""),
    "Rosenbrock 800, Hessian": (hessian, 800, 1, ""),
    "heat 200, Jacobian": (jacobian, 200, 1, "heat"),
}


def chosen(name: str) -> tuple[Derivative, Sequence[Any]]:
    """A derivative, a point, and perhaps a vector."""
    derivative, size, count, _ = CASES[name]
    random = np.random.default_rng(0)
    return derivative, [random.normal(0, 1, size) for _ in range(count)]


WORKLOAD = Workload(
    name=NAME,
    summary="Products with Hessians, whole Hessians and whole Jacobians of functions of one vector, float64.",
    contestants=contestants(chosen),
    cases=tuple(Case(name, name, size=size, variant=variant) for name, (_, size, _, variant) in CASES.items()),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=tuple(Row(name, (name,)) for name in CASES),
    size_unit="variables",
    max_rounds=21,
    max_first_calls=3,
)
