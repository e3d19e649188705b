"""Attention over several heads: batched matrix products around a softmax."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants, torch_eager
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Contestant, Row, Workload

NAME = "attention"
SIZES = {"2 x 32 x 16": (2, 32, 16), "8 x 128 x 32": (8, 128, 32), "16 x 512 x 64": (16, 512, 64)}


def pose(size: tuple[int, int, int]) -> Problem:
    """Queries, keys and values of all heads, and what the result is weighted with; float32."""
    random = np.random.default_rng(0)
    arrays = [random.normal(0, 1, size).astype(np.float32) for _ in range(4)]
    return Problem(arrays[:3], arrays[3:])


def softmax(xp: Any, x: Any) -> Any:
    """Over the last axis, as it is written in NumPy."""
    x = xp.exp(x - xp.amax(x, axis=-1, keepdims=True))
    return x / xp.sum(x, axis=-1, keepdims=True)


def scores(xp: Any, q: Any, k: Any) -> Any:
    """How much each query looks at each key."""
    return q @ xp.swapaxes(k, -1, -2) * (1 / q.shape[-1] ** 0.5)


def in_numpy(xp: Any, q: Any, k: Any, v: Any, weights: Any) -> Any:
    """As it is written with NumPy alone."""
    return xp.sum(softmax(xp, scores(xp, q, k)) @ v * weights)


def in_jax(jax: ModuleType, q: Any, k: Any, v: Any, weights: Any) -> Any:
    """With JAX's softmax."""
    return jax.numpy.sum(jax.nn.softmax(scores(jax.numpy, q, k)) @ v * weights)


def in_torch(torch: ModuleType, q: Any, k: Any, v: Any, weights: Any) -> Any:
    """With PyTorch's."""
    return torch.sum(torch.softmax(scores(torch, q, k), -1) @ v * weights)


def in_one(torch: ModuleType, q: Any, k: Any, v: Any, weights: Any) -> Any:
    """With PyTorch's attention, which is one operation."""
    attend = torch.nn.functional.scaled_dot_product_attention
    return torch.sum(attend(q[None], k[None], v[None])[0] * weights)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Attention, heads x length x width, weighted and summed, and its gradients by queries, keys and values, "
        "float32. JAX and PyTorch use their own softmax; `torch attention` is PyTorch's operation for the whole of it."
    ),
    contestants=(
        *contestants(in_numpy, pose, own={"jax": in_jax, "torch": in_torch}, peers=("jax", "torch", "torch compile")),
        Contestant("torch attention", torch_eager(in_one, pose), library="torch"),
    ),
    cases=tuple(Case(name, size, size=size[0] * size[1] ** 2 * size[2]) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("attention, 2 x 32 x 16 to 16 x 512 x 64"),),
    group=HELD_OUT,
    size_unit="products of two numbers",
    rtol=1e-4,
    max_rounds=15,
    max_first_calls=2,
)
