"""The likelihood of a Gaussian process: a Cholesky factor, and a system with it, between elementwise expressions."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "gaussian_process"
SIZES = (50, 200, 1000)


def pose(size: int) -> Problem:
    """Logarithms of length, amplitude and noise; squared distances, what was observed, and the identity."""
    random = np.random.default_rng(0)
    x = np.sort(random.uniform(0, 10, size))
    y = np.sin(x) + 0.1 * random.normal(size=size)
    return Problem([np.array(0.1), np.array(-0.2), np.array(-2.0)], [(x[:, None] - x) ** 2, y, np.eye(size)])


def covariance(xp: Any, length: Any, amplitude: Any, noise: Any, squares: Any, eye: Any) -> Any:
    """Of what is observed."""
    return xp.exp(2 * amplitude - 0.5 * squares * xp.exp(-2 * length)) + xp.exp(2 * noise) * eye


def in_numpy(xp: Any, length: Any, amplitude: Any, noise: Any, squares: Any, y: Any, eye: Any) -> Any:
    """As it is written with NumPy alone."""
    factor = xp.linalg.cholesky(covariance(xp, length, amplitude, noise, squares, eye))
    white = xp.linalg.solve(factor, y)
    return 0.5 * xp.sum(white**2) + xp.sum(xp.log(xp.diagonal(factor)))


def in_jax(jax: ModuleType, length: Any, amplitude: Any, noise: Any, squares: Any, y: Any, eye: Any) -> Any:
    """With JAX's triangular solution."""
    factor = jax.numpy.linalg.cholesky(covariance(jax.numpy, length, amplitude, noise, squares, eye))
    white = jax.scipy.linalg.solve_triangular(factor, y, lower=True)
    return 0.5 * jax.numpy.sum(white**2) + jax.numpy.sum(jax.numpy.log(jax.numpy.diagonal(factor)))


def in_torch(torch: ModuleType, length: Any, amplitude: Any, noise: Any, squares: Any, y: Any, eye: Any) -> Any:
    """With PyTorch's."""
    factor = torch.linalg.cholesky(covariance(torch, length, amplitude, noise, squares, eye))
    white = torch.linalg.solve_triangular(factor, y[:, None], upper=False)
    return 0.5 * torch.sum(white**2) + torch.sum(torch.log(torch.diagonal(factor)))


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Negative log likelihood of a Gaussian process and its gradients with respect to length, amplitude and noise, "
        "float64. JAX and PyTorch use their triangular solutions; autodiff finds out that the factor is triangular."
    ),
    contestants=contestants(
        in_numpy, pose, own={"jax": in_jax, "torch": in_torch}, peers=("jax", "torch", "torch compile")
    ),
    cases=tuple(Case(str(size), size, size=size, quick=size < 1000) for size in SIZES),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=(Row("likelihood of a Gaussian process, 50 to 1,000 points"),),
    size_unit="points",
    rtol=1e-7,
    max_rounds=15,
)
