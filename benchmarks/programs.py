"""Ordinary loops of NumPy code, as a scientist writes them: each takes a namespace, arrays and what is no array.

Kernels of linear algebra, of signals and images, of statistics and of simulations, with all their loops in Python. The
list of arguments that makes about so many recorded operations stands beside each, in ``PROGRAMS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Program = Callable[..., Any]


def trisolv(np: Any, lower: Any, b: Any) -> Any:
    """Forward substitution: a vector filled element by element, from slices that grow."""
    x = np.zeros(b.shape[0])
    for i in range(b.shape[0]):
        x[i] = (b[i] - lower[i, :i] @ x[:i]) / lower[i, i]
    return np.sum(x * x)


def durbin(np: Any, r: Any) -> Any:
    """The Durbin recursion for a Toeplitz matrix: slices that grow, read backwards and added to in place."""
    y = np.zeros(r.shape[0])
    alpha, beta = -r[0], 1.0
    y[0] = -r[0]
    for k in range(1, r.shape[0]):
        beta = beta * (1.0 - alpha * alpha)
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return np.sum(y * y)


def gramschmidt(np: Any, a: Any) -> Any:
    """The modified Gram-Schmidt process: columns read, and changed in place."""
    a, count = a.copy(), a.shape[1]
    q, r = np.zeros(a.shape), np.zeros((count, count))
    for k in range(count):
        r[k, k] = np.sqrt(np.dot(a[:, k], a[:, k]))
        q[:, k] = a[:, k] / r[k, k]
        for j in range(k + 1, count):
            r[k, j] = np.dot(q[:, k], a[:, j])
            a[:, j] -= q[:, k] * r[k, j]
    return np.sum(r * r) + np.sum(q**3)


def lu(np: Any, a: Any) -> Any:
    """A factorisation in place, element by element."""
    a = a.copy()
    for i in range(a.shape[0]):
        for j in range(i):
            a[i, j] -= a[i, :j] @ a[:j, j]
            a[i, j] /= a[j, j]
        for j in range(i, a.shape[0]):
            a[i, j] -= a[i, :i] @ a[:i, j]
    return np.sum(a * a)


def conv2d(np: Any, x: Any, w: Any) -> Any:
    """A convolution: windows of an image, one after the other."""
    size = w.shape[0]
    out = np.zeros((x.shape[0] - size + 1, x.shape[1] - size + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.sum(x[i : i + size, j : j + size] * w)
    return np.sum(np.maximum(out, 0.1) ** 2)


def trace_of_tanh(np: Any, a: Any) -> Any:
    """A loop over the diagonal of a large matrix, whose gradient is of the size of the matrix."""
    trace = 0.0
    for i in range(a.shape[0]):
        trace += np.tanh(a[i, i])
    return np.sum((a + trace) ** 2)


def covariance(np: Any, data: Any) -> Any:
    """A covariance matrix, filled by columns and by rows at once."""
    count = data.shape[1]
    data = data - np.mean(data, axis=0)
    found = np.zeros((count, count))
    for i in range(count):
        found[i:, i] = found[i, i:] = data[:, i] @ data[:, i:] / (data.shape[0] - 1.0)
    return np.sum(found * found)


def recursive_filter(np: Any, x: Any) -> Any:
    """A recursive filter along the rows of an image."""
    y = np.zeros(x.shape)
    y[:, 0] = 0.2 * x[:, 0]
    y[:, 1] = 0.2 * x[:, 1] - 0.1 * x[:, 0] + 0.9 * y[:, 0]
    for j in range(2, x.shape[1]):
        y[:, j] = 0.2 * x[:, j] - 0.1 * x[:, j - 1] + 0.9 * y[:, j - 1] - 0.2 * y[:, j - 2]
    return np.sum(y * y)


def shortest_paths(np: Any, path: Any) -> Any:
    """Floyd and Warshall's: the whole matrix written anew in each step."""
    path = path.copy()
    for k in range(path.shape[0]):
        path[:] = np.minimum(path, path[:, k][:, None] + path[k, :])
    return np.sum(path)


def bodies(np: Any, position: Any, steps: int) -> Any:
    """Bodies that attract each other."""
    velocity = np.zeros(position.shape)
    for _ in range(steps):
        apart = position[None, :, :] - position[:, None, :]
        squares = np.sum(apart * apart, axis=2) + 0.01
        velocity = velocity + 0.01 * np.sum(apart * (squares**-1.5)[:, :, None], axis=1)
        position = position + 0.01 * velocity
    return np.sum(position * position)


def recurrence(np: Any, x: Any, steps: int) -> Any:
    """A sequence of numbers, each a function of the one before."""
    for _ in range(steps):
        x = np.sin(x) * 1.2 + 0.1
    return np.sum(x)


def looking(np: Any, x: Any, steps: int) -> Any:
    """A loop that looks at a value in each step, and goes on one way or the other."""
    for _ in range(steps):
        x = x * 0.9 if x[0] > 0.5 else np.sin(x) + 0.3
    return np.sum(x)


def seidel(np: Any, a: Any, sweeps: int) -> Any:
    """Sweeps over a grid in place, each element from the one before it."""
    a = a.copy()
    for _ in range(sweeps):
        for i in range(1, a.shape[0] - 1):
            a[i, 1:-1] += a[i - 1, :-2] + a[i - 1, 1:-1] + a[i - 1, 2:] + a[i, 2:] + a[i + 1, 1:-1]
            for j in range(1, a.shape[1] - 1):
                a[i, j] += a[i, j - 1]
                a[i, j] /= 7.0
    return np.sum(a * a)


def rows(np: Any, x: Any) -> Any:
    """A sum over the rows of a data set."""
    total = 0.0
    for i in range(x.shape[0]):
        total += np.sum(np.tanh(x[i]) ** 2)
    return total


def numbers(*shape: int) -> np.ndarray:
    """The same numbers between 0 and 1 in each run."""
    return np.random.default_rng(5).random(shape)


def near_unit(size: int) -> np.ndarray:
    """A matrix that is far from singular."""
    return numbers(size, size) + size * np.eye(size)


def root(size: float) -> int:
    """The side of a square."""
    return round(size**0.5)


# The program, and for some thousands of operations its arrays and what follows them.
PROGRAMS: dict[str, tuple[Program, Callable[[int], tuple[list[Any], list[int]]]]] = {
    "trisolv": (trisolv, lambda k: ([near_unit(91 * k), numbers(91 * k)], [])),
    "durbin": (durbin, lambda k: ([numbers(48 * k) * 0.01], [])),
    "gramschmidt": (gramschmidt, lambda k: ([numbers(20, root(145 * k))], [])),
    "lu": (lu, lambda k: ([near_unit(root(95 * k))], [])),
    "conv2d": (conv2d, lambda k: ([numbers(root(256 * k) + 2, root(256 * k) + 2), numbers(3, 3)], [])),
    "trace of tanh": (trace_of_tanh, lambda k: ([numbers(333 * k, 333 * k)], [])),
    "covariance": (covariance, lambda k: ([numbers(60, 125 * k)], [])),
    "recursive filter": (recursive_filter, lambda k: ([numbers(20, 83 * k)], [])),
    "shortest paths": (shortest_paths, lambda k: ([numbers(166 * k, 166 * k)], [])),
    "bodies": (bodies, lambda k: ([numbers(8, 3)], [71 * k])),
    "recurrence": (recurrence, lambda k: ([numbers(1)], [333 * k])),
    "looking": (looking, lambda k: ([numbers(10)], [850 * k])),
    "seidel": (seidel, lambda k: ([numbers(root(80 * k) + 2, root(80 * k) + 2)], [2])),
    "rows": (rows, lambda k: ([numbers(200 * k, 10)], [])),
}
