"""A derivative for each element of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.derivatives import Derivative, Transforms, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "batches"
HIDDEN = 64


def perceptron(xp: Any, first: Any, second: Any, x: Any, y: Any) -> Any:
    """The squared error of one sample."""
    return xp.sum((second @ xp.tanh(first @ x) - y) ** 2)


def gradients(t: Transforms) -> Any:
    """Those of each sample by all weights."""
    one = t.grad(lambda *a: perceptron(t.xp, *a), (0, 1))
    return t.vmap(one, (None, None, 0, 0))


def logistic(t: Transforms) -> Any:
    """Hessians of a logistic loss by its 10 parameters."""
    return t.vmap(t.hessian(lambda w, x: t.xp.log(1 + t.xp.exp(-t.xp.dot(w, x)))), (None, 0))


def network(t: Transforms) -> Any:
    """Hessians of a squared error by the 10 parameters of a network of two neurons."""

    def error(w: Any, x: Any) -> Any:
        hidden = t.xp.tanh(w[:4].reshape(2, 2) @ x[:2] + w[4:6])
        return (w[9] * (t.xp.dot(w[6:8], hidden) + w[8]) - x[2]) ** 2

    return t.vmap(t.hessian(error), (None, 0))


def systems(t: Transforms) -> Any:
    """Jacobians of solutions by right-hand sides, and by the diagonals of the matrices."""

    def solution(d: Any, b: Any, a: Any) -> Any:
        return t.xp.linalg.solve(a + t.xp.diag(d), b)

    return t.vmap(t.jacobian(solution, (0, 1)), (0, 0, 0))


def chosen(case: tuple[str, int]) -> tuple[Derivative, Sequence[Any]]:
    """A derivative, and what it is taken at: so many times."""
    name, count = case
    random = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return random.normal(0, 1, shape)

    if name == "gradients":
        return gradients, [normal(HIDDEN, 32) / 6, normal(10, HIDDEN) / 8, normal(count, 32), normal(count, 10)]
    if name == "systems":
        return systems, [normal(count, 8) + 8, normal(count, 8), normal(count, 8, 8)]
    return {"logistic": logistic, "network": network}[name], [normal(10), normal(count, 10)]


CASES = {
    "gradients of 256 samples": ("gradients", 256, "per-sample gradients of a perceptron, batch 256"),
    "logistic, 100 samples": ("logistic", 100, ""),
    "logistic, 1,000 samples": ("logistic", 1_000, ""),
    "logistic, 10,000 samples": ("logistic", 10_000, "10,000 Hessians of 10 parameters, logistic"),
    "network, 10,000 samples": ("network", 10_000, "10,000 Hessians of 10 parameters, network"),
    "256 linear systems": ("systems", 256, "Jacobians of 256 linear systems"),
}

WORKLOAD = Workload(
    name=NAME,
    summary="Derivatives for each sample of a batch, float64; HIPS autograd has no such transformation.",
    contestants=contestants(chosen, peers=("jax", "torch")),
    cases=tuple(
        Case(name, (what, count), size=count, variant="" if what == "logistic" else what)
        for name, (what, count, _) in CASES.items()
    ),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=tuple(Row(label, (name,)) for name, (_, _, label) in CASES.items() if label),
    size_unit="samples",
    max_rounds=11,
    max_first_calls=2,
)
