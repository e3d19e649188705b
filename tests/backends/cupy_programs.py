"""Programs with a path each of what the CuPy backend does: how its kernels go through memory, and what it calls.

A program is a loss of variables and data, and how far from double precision its value and its gradients may be. All
are made in a size of choice: a GPU takes the whole of it, a thousandth shows anywhere that they run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

Loss = Callable[..., Any]


class Program(NamedTuple):
    """A loss, and what it is computed of.

    Parameters
    ----------
    loss : callable
        Of the variables and the data.
    variables, data : sequence of ndarray
        Data of integers are places.
    rtol : float
        The greatest relative error, in the norm.
    """

    loss: Loss
    variables: list[Any]
    data: list[Any]
    rtol: float


def sine(a: Any) -> Any:
    return np.sum(np.sin(a * a * np.tanh(a)))


def layer_norm(axis: int) -> Loss:
    def loss(x: Any, g: Any, b: Any) -> Any:
        mean = np.mean(x, axis=axis, keepdims=True)
        variance = np.mean((x - mean) ** 2, axis=axis, keepdims=True)
        return np.sum(np.tanh((x - mean) / np.sqrt(variance + 1e-5) * g + b))

    return loss


def cross_entropy(z: Any, labels: Any) -> Any:
    z = z - np.max(z, axis=1, keepdims=True)
    return -np.mean(np.sum(labels * (z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))), axis=1))


def network(w: Any, a: Any, v: Any, b: Any, x: Any, labels: Any) -> Any:
    return cross_entropy(np.tanh(x @ w + a) @ v + b, labels)


def recurrence(w: Any, xs: Any, h: Any) -> Any:
    for i in range(xs.shape[0]):
        h = np.tanh(h @ w + xs[i])
    return np.sum(h * h)


def mixture(alphas: Any, means: Any, scales: Any, x: Any) -> Any:
    """The likelihood of a mixture of normal distributions with diagonal covariances."""
    off = (x[:, None, :] - means) * np.exp(scales)
    terms = alphas + np.sum(scales, axis=1) - 0.5 * np.sum(off * off, axis=2)
    top = np.max(terms, axis=1, keepdims=True)
    return np.mean(top[:, 0] + np.log(np.sum(np.exp(terms - top), axis=1)))


# Sizes of matrices: many rows or few, of many columns or few, and odd ones.
SHAPES = ((8192, 1000), (4099, 10), (3, 1_000_003), (100_003, 3), (1, 300_000), (257, 4096), (1000, 32))


def programs(scale: float = 1.0) -> dict[str, Program]:
    """All of them by name, in a share of their whole size."""
    return dict(_programs(scale, np.random.default_rng(0)))


def _programs(scale: float, rng: np.random.Generator) -> Iterator[tuple[str, Program]]:
    def sized(size: int) -> int:
        return max(3, int(size * scale))

    def normal(*shape: int, dtype: str = "f4") -> Any:
        x = rng.normal(size=shape)
        return (x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)

    yield "elementwise", Program(sine, [normal(sized(1_000_003))], [], 1e-4)
    yield "elementwise f8", Program(sine, [normal(sized(1_000_003), dtype="f8")], [], 1e-10)
    half = normal(sized(70_001), dtype="f2") * np.float16(0.5)
    yield "elementwise f2", Program(lambda a: np.sum(np.tanh(a) * a) * 0.001, [half], [], 2e-2)
    single, double = normal(sized(300_001), dtype="c8"), normal(sized(100_001), dtype="c16")
    yield (
        "elementwise c8",
        Program(lambda a: np.sum(np.real(np.exp(a * 0.1) * np.conj(a) / (a + 5))), [single], [], 1e-3),
    )
    yield "elementwise c16", Program(lambda a: np.sum(np.real(np.sqrt(a) * np.log(a + 3))), [double], [], 1e-9)
    for rows, columns in SHAPES:
        size = (sized(rows), columns) if rows > columns else (rows, sized(columns))
        for axis, name in ((1, "rows"), (0, "columns")):
            loss: Loss = lambda x, axis=axis: np.sum(np.exp(np.sum(np.tanh(x), axis=axis) * 1e-3))  # noqa: E731
            yield f"{name} {rows}x{columns}", Program(loss, [normal(*size)], [], 1e-4)
        extremes: Loss = lambda x: np.sum(np.max(x, axis=1) ** 2) + np.sum(np.min(x, axis=0))  # noqa: E731
        yield f"extremes {rows}x{columns}", Program(extremes, [normal(*size)], [], 1e-4)
    x = normal(sized(64), 33, 28, 28)
    yield (
        "axes 0, 2, 3",
        Program(lambda x: np.sum(np.tanh(x - np.mean(x, axis=(0, 2, 3), keepdims=True)) ** 2), [x], [], 1e-4),
    )
    x = normal(sized(300), 77, 65)
    yield "axis 1 of 3", Program(lambda x: np.sum(np.tanh(np.sum(x, axis=1)) ** 2), [x], [], 1e-4)
    yield (
        "layer norm, last axis",
        Program(layer_norm(1), [normal(sized(2048), 1024), normal(1024), normal(1024)], [], 2e-4),
    )
    r = sized(2048)
    yield "layer norm, first axis", Program(layer_norm(0), [normal(r, 513), normal(r, 1), normal(r, 1)], [], 2e-4)
    yield "cross-entropy", Program(cross_entropy, [normal(r, 1000)], [normal(r, 1000)], 2e-4)
    pair = [normal(sized(1024), 2048), normal(2048, sized(1024))]
    yield "transposed operand", Program(lambda x, y: np.sum(np.tanh(x * y.T)), pair, [], 1e-4)
    x = normal(sized(1_000_001))
    yield "shifted slices", Program(lambda x: np.sum(np.tanh(x[1:] * x[:-1])), [x], [], 1e-4)
    yield "reversed, every second", Program(lambda x: np.sum(x[::-1][::2] ** 3), [x], [], 1e-4)
    pair = [normal(sized(1024), 1023), normal(1023)]
    yield "bias of odd width", Program(lambda x, b: np.sum(np.tanh(x + b)), pair, [], 1e-4)
    pair = [normal(sized(1500)), normal(1501)]
    yield "outer", Program(lambda x, y: np.sum(np.tanh(x[:, None] * y)), pair, [], 1e-4)
    yield (
        "small loops in one block",
        Program(lambda x: np.sum((x - np.mean(x)) ** 2) / np.sqrt(np.sum(x * x)), [normal(1000)], [], 1e-4),
    )
    three = [normal(sized(300), 400), normal(400, 512), normal(128, 512)]
    yield "products", Program(lambda x, y, z: np.sum((x @ y @ z.T) ** 2), three, [], 1e-3)
    pair = [normal(sized(50), 64, 65), normal(sized(50), 70, 65)]
    yield (
        "batched products",
        Program(lambda x, y: np.sum(np.tanh((x @ np.transpose(y, (0, 2, 1))) * 0.1)), pair, [], 1e-3),
    )
    pair = [normal(sized(40), 64, 65), normal(65, 70)]
    yield "broadcast products", Program(lambda x, y: np.sum(np.tanh((x @ y) * 0.1)), pair, [], 1e-3)
    x = normal(sized(300), 1001)
    yield "cumulative sums", Program(lambda x: np.sum(np.tanh(np.cumsum(x, axis=1) * 0.01)), [x], [], 1e-3)
    places = rng.integers(0, 5000, sized(100_000))
    picked: Loss = lambda w, i: np.sum(np.tanh(w[i]) ** 2)  # noqa: E731
    yield "gather, scatter of repeats", Program(picked, [normal(5000, 8)], [places], 1e-3)
    # A sum of so many equal numbers, one after another: so it is in NumPy, too.
    yield "gather by one place", Program(picked, [normal(5000)], [places * 0], len(places) * 6e-8 + 1e-3)
    table = rng.integers(0, 100, (40, 50))
    yield "matrix of places", Program(lambda w, i: np.sum(w[:, i] ** 3), [normal(sized(64), 100)], [table], 1e-3)
    n = sized(512)
    weights = [normal(784, 256) * np.float32(0.05), normal(256), normal(256, 10) * np.float32(0.1), normal(10)]
    yield "network", Program(network, weights, [normal(n, 784), np.eye(10, dtype="f4")[rng.integers(0, 10, n)]], 1e-3)
    recurrent = [normal(48, 48) * np.float32(0.1)]
    yield "recurrence", Program(recurrence, recurrent, [normal(24, 64, 48), np.zeros((64, 48), "f4")], 1e-3)
    for d in (10, 64):
        # Products of the narrow factors are sums of d terms that nearly cancel.
        parts = [normal(25), normal(25, d), normal(25, d) * np.float32(0.1)]
        yield f"mixture {d}", Program(mixture, parts, [normal(sized(1000), d)], 2e-3)
