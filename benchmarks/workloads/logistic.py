"""Logistic regression: two matrix-vector products around an elementwise chain; bound by memory when large."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "logistic"
SIZES = {"1,000 x 20": (1_000, 20), "10,000 x 100": (10_000, 100), "100,000 x 100": (100_000, 100)}
PENALTY = 1e-3


def pose(size: tuple[int, int]) -> Problem:
    """Weights and intercept; samples and their labels, -1 or 1."""
    rows, columns = size
    random = np.random.default_rng(0)
    samples = random.normal(0, 1, (rows, columns))
    labels = np.where(samples @ random.normal(0, 1, columns) + random.normal(0, 1, rows) > 0, 1.0, -1.0)
    return Problem([random.normal(0, 0.1, columns), np.array(0.1)], [samples, labels])


def penalised(xp: Any, losses: Any, weights: Any) -> Any:
    """Mean loss and squared weights."""
    return xp.mean(losses) + PENALTY * xp.sum(weights**2)


def in_numpy(xp: Any, weights: Any, intercept: Any, samples: Any, labels: Any) -> Any:
    """With log(1 + exp(-margin)) as NumPy has it."""
    margins = labels * (samples @ weights + intercept)
    return penalised(xp, xp.logaddexp(0, -margins), weights)


def in_jax(jax: ModuleType, weights: Any, intercept: Any, samples: Any, labels: Any) -> Any:
    """With JAX's softplus."""
    margins = labels * (samples @ weights + intercept)
    return penalised(jax.numpy, jax.nn.softplus(-margins), weights)


def in_torch(torch: ModuleType, weights: Any, intercept: Any, samples: Any, labels: Any) -> Any:
    """With PyTorch's log-sigmoid."""
    margins = labels * (samples @ weights + intercept)
    return penalised(torch, -torch.nn.functional.logsigmoid(margins), weights)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Penalised loss of logistic regression and its gradients with respect to weights and intercept, samples x "
        "features, float64. JAX and PyTorch use their own log(1 + exp(x))."
    ),
    contestants=contestants(in_numpy, pose, own={"jax": in_jax, "torch": in_torch}),
    cases=tuple(Case(name, size, size=size[0] * size[1]) for name, size in SIZES.items()),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=(Row("logistic regression, 1,000 x 20 to 100,000 x 100"),),
    size_unit="numbers in the samples",
    max_rounds=15,
)
