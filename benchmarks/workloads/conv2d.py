"""A layer of a convolutional network: windows of images, contracted with filters."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload

NAME = "conv2d"
SIDE = 3


@dataclass(frozen=True, slots=True)
class Size:
    """Images, their channels, those of the result, and their sides."""

    batch: int
    channels: int
    filters: int
    side: int


SIZES = {
    "1 x 3 x 16 x 16": Size(1, 3, 8, 16),
    "4 x 8 x 32 x 32": Size(4, 8, 16, 32),
    "8 x 16 x 64 x 64": Size(8, 16, 32, 64),
}


def pose(size: Size) -> Problem:
    """Images, filters and biases, all variable; weights of the result; float32."""
    random = np.random.default_rng(0)
    out = size.side - SIDE + 1
    shapes = (
        (size.batch, size.channels, size.side, size.side),
        (size.filters, size.channels, SIDE, SIDE),
        (size.filters,),
        (size.batch, size.filters, out, out),
    )
    arrays = [random.normal(0, 1, shape).astype(np.float32) for shape in shapes]
    return Problem(arrays[:3], arrays[3:])


def rectified(xp: Any, out: Any, weights: Any) -> Any:
    """The weighted sum of what is positive."""
    zero = 0 if xp.__name__ != "torch" else xp.zeros((), dtype=out.dtype)
    return xp.sum(xp.maximum(out, zero) * weights)


def in_numpy(np: Any, x: Any, filters: Any, biases: Any, weights: Any) -> Any:
    """By NumPy's windows."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (SIDE, SIDE), axis=(2, 3))
    out = np.einsum("bchwij,fcij->bfhw", windows, filters, optimize=True) + biases[:, None, None]
    return rectified(np, out, weights)


def in_jax(jax: ModuleType, x: Any, filters: Any, biases: Any, weights: Any) -> Any:
    """With JAX's convolution."""
    out = jax.lax.conv(x, filters, (1, 1), "VALID") + biases[:, None, None]
    return rectified(jax.numpy, out, weights)


def in_torch(torch: ModuleType, x: Any, filters: Any, biases: Any, weights: Any) -> Any:
    """With PyTorch's."""
    return rectified(torch, torch.nn.functional.conv2d(x, filters, biases), weights)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"Convolution of images with filters of {SIDE} x {SIDE}, rectified, weighted and summed, and its gradients by "
        "images, filters and biases, float32: images x channels x rows x columns. Ours is NumPy's "
        "`sliding_window_view` and `einsum`, JAX and PyTorch use their own convolution."
    ),
    contestants=contestants(
        in_numpy, pose, own={"jax": in_jax, "torch": in_torch}, peers=("jax", "torch", "torch compile")
    ),
    cases=tuple(
        Case(name, s, size=s.batch * s.channels * s.filters * s.side**2 * SIDE**2) for name, s in SIZES.items()
    ),
    targets=(HELD_OUT_ROW,),
    rows=(Row("convolution, 1 x 3 x 16² to 8 x 16 x 64²"),),
    group=HELD_OUT,
    size_unit="products of two numbers",
    rtol=3e-4,
    max_rounds=15,
    max_first_calls=2,
)
