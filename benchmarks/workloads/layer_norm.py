"""Layer norm: two reductions of each row, and what follows from them for all of its elements."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload

NAME = "layer_norm"
SIZES = {"32 x 64": (32, 64), "512 x 512": (512, 512), "8,192 x 1,024": (8_192, 1_024)}
EPSILON = 1e-5


def pose(size: tuple[int, int]) -> Problem:
    """Rows, gains and biases; weights of the result; float32."""
    random = np.random.default_rng(0)
    shapes = (size, size[1:], size[1:], size)
    x, gain, bias, weights = (random.normal(0, 1, shape).astype(np.float32) for shape in shapes)
    return Problem([x, gain, bias], [weights])


def normalised(xp: Any, x: Any, gain: Any, bias: Any) -> Any:
    """Each row with mean 0 and variance 1, times the gains, plus the biases."""
    centered = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centered * centered, axis=-1, keepdims=True)
    return centered / xp.sqrt(variance + EPSILON) * gain + bias


def in_numpy(xp: Any, x: Any, gain: Any, bias: Any, weights: Any) -> Any:
    """As it is written with NumPy alone."""
    return xp.sum(normalised(xp, x, gain, bias) * weights)


def in_torch(torch: ModuleType, x: Any, gain: Any, bias: Any, weights: Any) -> Any:
    """With PyTorch's layer norm."""
    return torch.sum(torch.nn.functional.layer_norm(x, gain.shape, gain, bias, EPSILON) * weights)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Layer norm of rows, weighted and summed, and its gradients by rows, gains and biases, float32. PyTorch has an "
        "operation of its own."
    ),
    contestants=contestants(in_numpy, pose, own={"torch": in_torch}, peers=("jax", "torch", "torch compile")),
    cases=tuple(Case(name, size, size=size[0] * size[1]) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("layer norm, 32 x 64 to 8,192 x 1,024"),),
    group=HELD_OUT,
    size_unit="elements",
    rtol=1e-4,
    max_rounds=15,
    max_first_calls=2,
)
