"""Gaussian mixture of ADBench: contractions of batched triangles, broadcasts, a log-sum-exp."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.adbench import read_mixture
from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "gmm"


def lower_triangle(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each entry of a (d, d) matrix stands among the packed columns, and which are below the diagonal."""
    columns, rows = np.triu_indices(d, 1)
    places = np.zeros((d, d), np.int64)
    places[rows, columns] = np.arange(len(rows))
    return places, np.tri(d, k=-1)


def pose(size: tuple[str, int, int]) -> Problem:
    """The mixture of a file, its first components and its first points."""
    name, components, points = size
    mixture = read_mixture(name)
    variables = (mixture.alphas[:components], mixture.means[:components], mixture.factors[:components])
    data = (mixture.points[:points], *lower_triangle(mixture.points.shape[1]))
    return Problem(tuple(map(np.ascontiguousarray, variables)), data)


def logsumexp(xp: Any, x: Any) -> Any:
    """log(sum(exp(x))) over the last axis, as it is written in NumPy."""
    largest = xp.max(x, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(x - largest), axis=-1)) + largest[..., 0]


def objective(xp: Any, lse: Callable[[Any], Any], alphas: Any, means: Any, factors: Any, *data: Any) -> Any:
    """ADBench's objective with Wishart prior (gamma = 1, m = 0), without the constant."""
    points, places, below = data
    n, d = points.shape
    logdiagonals, packed = factors[:, :d], factors[:, d:]
    diagonals = xp.exp(logdiagonals)
    logdets = xp.sum(logdiagonals, axis=1)
    triangles = packed[:, places] * below
    centered = points[:, None, :] - means
    scaled = diagonals * centered + xp.einsum("kij,nkj->nki", triangles, centered)
    terms = alphas + logdets - 0.5 * xp.sum(scaled**2, axis=2)
    prior = 0.5 * (xp.sum(diagonals**2) + xp.sum(packed**2))
    return xp.sum(lse(terms)) - n * lse(alphas) + prior - n * d * 0.5 * math.log(2 * math.pi)


def in_numpy(xp: Any, *arrays: Any) -> Any:
    """With the log-sum-exp written out."""
    return objective(xp, lambda x: logsumexp(xp, x), *arrays)


def in_jax(jax: ModuleType, *arrays: Any) -> Any:
    """With JAX's log-sum-exp."""
    return objective(jax.numpy, lambda x: jax.nn.logsumexp(x, axis=-1), *arrays)


def in_torch(torch: ModuleType, *arrays: Any) -> Any:
    """With PyTorch's log-sum-exp."""
    return objective(torch, lambda x: torch.logsumexp(x, -1), *arrays)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Objective of a Gaussian mixture and its gradients with respect to weights, means and inverse covariance "
        "factors (ADBench), float64. JAX and PyTorch use their own log-sum-exp."
    ),
    contestants=contestants(
        in_numpy, pose, own={"jax": in_jax, "torch": in_torch}, peers=("jax", "torch", "torch compile", "autograd")
    ),
    cases=(
        Case("n100 d10 K5", ("gmm_d10_K25.txt", 5, 100), size=100 * 5 * 10**2),
        Case("n1000 d10 K25", ("gmm_d10_K25.txt", 25, 1000), size=1000 * 25 * 10**2),
        Case("n1000 d64 K25", ("gmm_d64_K25.txt", 25, 1000), size=1000 * 25 * 64**2),
    ),
    targets=(
        Target(1.0, against=BEST_PEER, cases=("n100 d10 K5", "n1000 d10 K25")),
        Target(0.6, against=BEST_PEER, cases=("n1000 d64 K25",)),
    ),
    rows=(
        Row("ADBench GMM, d 10", ("n1000 d10 K25",)),
        Row("ADBench GMM, d 64", ("n1000 d64 K25",)),
    ),
    size_unit="n K d²",
    max_rounds=15,
    max_first_calls=3,
)
