"""Factors of many small matrices at once, by NumPy's functions: LAPACK's steps, each over all matrices.

LAPACK takes 0.2 us or more to be called for a matrix. Matrices are kept as planes here, one an element, in blocks that
stay in the cache (100,000 of 3 x 3, solved for one column: 16 ms, and 22 by LAPACK; inverted 23 and 60).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MOST_ROWS = 4
LEAST_MATRICES = 256
BLOCK = 4096


def is_small(shape: tuple[int, ...]) -> bool:
    """Whether a stack of square matrices is worth it."""
    return len(shape) > 2 and 2 <= shape[-1] <= MOST_ROWS and math.prod(shape[:-2]) >= LEAST_MATRICES


def _planes(a: Array) -> Array:
    """A copy whose last axis goes over the matrices."""
    return np.moveaxis(a.reshape(-1, *a.shape[-2:]), 0, -1).copy()


def _matrices(planes: Array, batch: tuple[int, ...]) -> Array:
    return np.moveaxis(planes, -1, 0).reshape(*batch, *planes.shape[:-1])


def factors(a: Array) -> tuple[Array, Array]:
    """The triangular factors of matrices, and for each row which one it was exchanged with."""
    w = _planes(a)
    exchanges = np.empty((len(w), w.shape[-1]), np.int32)
    for start in range(0, w.shape[-1], BLOCK):
        _eliminate(w[..., start : start + BLOCK], exchanges[:, start : start + BLOCK])
    return _matrices(w, a.shape[:-2]), _matrices(exchanges, a.shape[:-2])


def _eliminate(w: Array, exchanges: Array) -> None:
    for c in range(len(w)):
        exchanges[c] = np.abs(w[c:, c]).argmax(0) + c
        _exchange(w, exchanges, c)
        pivot = w[c, c]
        below = w[c + 1 :, c]
        # Below a zero are zeros.
        below /= np.where(pivot == 0, 1, pivot)
        w[c + 1 :, c + 1 :] -= below[:, None] * w[c, c + 1 :]


def _exchange(x: Array, exchanges: Array, c: int) -> None:
    for r in range(c + 1, len(x)):
        chosen = exchanges[c] == r
        if chosen.any():
            upper = np.where(chosen, x[r], x[c])
            x[r] = np.where(chosen, x[c], x[r])
            x[c] = upper


def solve(a: Array, exchanges: Array, b: Array, transposed: bool) -> Array:
    """The solutions for matrices with these factors."""
    batch = a.shape[:-2]
    w = np.moveaxis(a.reshape(-1, *a.shape[-2:]), 0, -1)
    rows = np.moveaxis(exchanges.reshape(-1, a.shape[-1]), 0, -1)
    x = _planes(np.broadcast_to(b, (*batch, *b.shape[-2:])))
    for start in range(0, x.shape[-1], BLOCK):
        part = slice(start, start + BLOCK)
        (_substitute_transposed if transposed else _substitute)(w[..., part], rows[:, part], x[..., part])
    return _matrices(x, batch)


def _substitute(w: Array, exchanges: Array, x: Array) -> None:
    n = len(w)
    for c in range(n):
        _exchange(x, exchanges, c)
    for c in range(n - 1):
        x[c + 1 :] -= w[c + 1 :, c][:, None] * x[c]
    for c in reversed(range(n)):
        x[c] /= w[c, c]
        x[:c] -= w[:c, c][:, None] * x[c]


def _substitute_transposed(w: Array, exchanges: Array, x: Array) -> None:
    n = len(w)
    for c in range(n):
        x[c] /= w[c, c]
        x[c + 1 :] -= w[c, c + 1 :][:, None] * x[c]
    for c in reversed(range(1, n)):
        x[:c] -= w[c, :c][:, None] * x[c]
    for c in reversed(range(n)):
        _exchange(x, exchanges, c)
