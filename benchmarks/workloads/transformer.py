"""A block of a transformer: layer norms, attention over heads, a perceptron, and sums past them."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload
from benchmarks.workloads.attention import scores, softmax
from benchmarks.workloads.layer_norm import normalised

NAME = "transformer"
ROOT = (2 / np.pi) ** 0.5


@dataclass(frozen=True, slots=True)
class Size:
    """Sequences, their length, numbers at each place, and heads."""

    batch: int
    length: int
    width: int
    heads: int


SIZES = {
    "1 x 16, width 32": Size(1, 16, 32, 2),
    "4 x 64, width 128": Size(4, 64, 128, 4),
    "4 x 256, width 256": Size(4, 256, 256, 8),
}


def pose(size: Size) -> Problem:
    """Two layer norms and four matrices with their biases; the input and what it is weighted with; float32."""
    random = np.random.default_rng(0)
    w = size.width

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (random.normal(0, 1, shape) * scale).astype(np.float32)

    shapes = ((w, 3 * w), (w, w), (w, 4 * w), (4 * w, w))
    layers = [array for shape in shapes for array in (normal(*shape, scale=shape[0] ** -0.5), normal(shape[1]))]
    norms = [1 + normal(w, scale=0.1), normal(w), 1 + normal(w, scale=0.1), normal(w)]
    data = [normal(size.batch, size.length, w) for _ in range(2)]
    return Problem([*norms, *layers], data, [size.heads])


def gelu(xp: Any, x: Any) -> Any:
    """By a hyperbolic tangent."""
    return 0.5 * x * (1 + xp.tanh(ROOT * (x + 0.044715 * x**3)))


def block(xp: Any, norm: Any, weigh: Any, activate: Any, arguments: tuple[Any, ...]) -> Any:
    """The weighted sum of the block's output, with a library's layer norm, softmax and activation."""
    gain1, bias1, gain2, bias2, W1, b1, W2, b2, W3, b3, W4, b4, x, weights, heads = arguments
    batch, length, width = x.shape
    qkv = xp.reshape(norm(x, gain1, bias1) @ W1 + b1, (batch, length, 3, heads, width // heads))
    q, k, v = (xp.swapaxes(qkv[:, :, i], 1, 2) for i in range(3))
    seen = xp.swapaxes(weigh(scores(xp, q, k)) @ v, 1, 2)
    x = x + xp.reshape(seen, (batch, length, width)) @ W2 + b2
    x = x + activate(norm(x, gain2, bias2) @ W3 + b3) @ W4 + b4
    return xp.sum(x * weights) * (1 / x.shape[1])


def in_numpy(xp: Any, *arguments: Any) -> Any:
    """As it is written with NumPy alone."""
    return block(xp, lambda *a: normalised(xp, *a), lambda x: softmax(xp, x), lambda x: gelu(xp, x), arguments)


def in_jax(jax: ModuleType, *arguments: Any) -> Any:
    """With JAX's softmax and activation."""
    return block(jax.numpy, lambda *a: normalised(jax.numpy, *a), jax.nn.softmax, jax.nn.gelu, arguments)


def in_torch(torch: ModuleType, *arguments: Any) -> Any:
    """With PyTorch's layer norm, softmax and activation."""
    own = torch.nn.functional
    return block(
        torch,
        lambda x, gain, bias: own.layer_norm(x, gain.shape, gain, bias),
        lambda x: torch.softmax(x, -1),
        lambda x: own.gelu(x, approximate="tanh"),
        arguments,
    )


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "A block of a transformer, sequences x length and width, its output weighted and summed, and the gradients by "
        "its twelve parameters, float32. JAX and PyTorch use their own layers."
    ),
    contestants=contestants(
        in_numpy, pose, own={"jax": in_jax, "torch": in_torch}, peers=("jax", "torch", "torch compile")
    ),
    cases=tuple(Case(name, s, size=s.batch * s.length * s.width) for name, s in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("transformer block, width 32 to 256"),),
    group=HELD_OUT,
    size_unit="numbers in the input",
    rtol=3e-4,
    max_rounds=15,
    max_first_calls=2,
)
