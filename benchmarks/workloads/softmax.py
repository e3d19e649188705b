"""Softmax over the last of four axes, as attention has it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload
from benchmarks.workloads.attention import softmax

NAME = "softmax"
SIZES = {"2 x 4 x 16 x 16": (2, 4, 16), "8 x 8 x 64 x 64": (8, 8, 64), "16 x 16 x 128 x 128": (16, 16, 128)}


def pose(size: tuple[int, int, int]) -> Problem:
    """Scores, and what their softmax is weighted with; float32."""
    random = np.random.default_rng(0)
    x, weights = (random.normal(0, 1, (*size, size[-1])).astype(np.float32) for _ in range(2))
    return Problem([x], [weights])


def in_numpy(xp: Any, x: Any, weights: Any) -> Any:
    """As it is written with NumPy alone."""
    return xp.sum(softmax(xp, x) * weights)


def in_jax(jax: ModuleType, x: Any, weights: Any) -> Any:
    """With JAX's."""
    return jax.numpy.sum(jax.nn.softmax(x) * weights)


def in_torch(torch: ModuleType, x: Any, weights: Any) -> Any:
    """With PyTorch's."""
    return torch.sum(torch.softmax(x, -1) * weights)


WORKLOAD = Workload(
    name=NAME,
    summary="Softmax over the last of four axes, weighted and summed, and its gradient, float32; peers use their own.",
    contestants=contestants(
        in_numpy, pose, own={"jax": in_jax, "torch": in_torch}, peers=("jax", "torch", "torch compile")
    ),
    cases=tuple(Case(name, size, size=size[0] * size[1] * size[2] ** 2) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("softmax of four axes, 2,048 to 4,194,304 elements"),),
    group=HELD_OUT,
    size_unit="elements",
    rtol=1e-4,
    max_rounds=15,
    max_first_calls=2,
)
