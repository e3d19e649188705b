"""Gaussian mixtures of other sizes than ADBench's files: fewer dimensions and more components."""

from __future__ import annotations

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload
from benchmarks.workloads.gmm import in_jax, in_numpy, in_torch, lower_triangle

NAME = "mixtures"
SIZES = {"n200 d2 K3": (200, 2, 3), "n2000 d5 K20": (2_000, 5, 20), "n5000 d16 K32": (5_000, 16, 32)}


def pose(size: tuple[int, int, int]) -> Problem:
    """A random mixture and random points."""
    n, d, components = size
    random = np.random.default_rng(0)
    shapes = ((components,), (components, d), (components, d * (d + 1) // 2))
    variables = [random.normal(0, 0.3, shape) for shape in shapes]
    return Problem(variables, [random.normal(0, 1, (n, d)), *lower_triangle(d)])


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "ADBench's objective of a Gaussian mixture and its gradients, at points and components that are drawn at "
        "random, float64. JAX and PyTorch use their own log-sum-exp."
    ),
    contestants=contestants(
        in_numpy, pose, own={"jax": in_jax, "torch": in_torch}, peers=("jax", "torch", "torch compile")
    ),
    cases=tuple(Case(name, size, size=size[0] * size[1] ** 2 * size[2]) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("Gaussian mixtures, n200 d2 K3 to n5000 d16 K32"),),
    group=HELD_OUT,
    size_unit="n K d²",
    rtol=1e-8,
    max_rounds=11,
    max_first_calls=2,
)
