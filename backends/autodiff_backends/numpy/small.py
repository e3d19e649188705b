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
BLOCK = 8192


def is_small(shape: tuple[int, ...]) -> bool:
    """Whether a stack of square matrices is worth it."""
    return len(shape) > 2 and 2 <= shape[-1] <= MOST_ROWS and math.prod(shape[:-2]) >= LEAST_MATRICES


def _matrices(planes: Array, batch: tuple[int, ...]) -> Array:
    return np.moveaxis(planes, -1, 0).reshape(*batch, *planes.shape[:-1])


def factors(a: Array) -> tuple[Array, Array]:
    """The triangular factors of matrices, and for each row which one it was exchanged with."""
    n = a.shape[-1]
    matrices = a.reshape(-1, n, n)
    w = np.empty((n, n, len(matrices)), a.dtype)
    exchanges = np.empty((n, len(matrices)), np.int32)
    for start in range(0, len(matrices), BLOCK):
        part = slice(start, start + BLOCK)
        # Transposed while it is in the cache.
        block = np.moveaxis(matrices[part], 0, -1).copy()
        _eliminate(block, exchanges[:, part])
        w[..., part] = block
    return _matrices(w, a.shape[:-2]), _matrices(exchanges, a.shape[:-2])


def _eliminate(w: Array, exchanges: Array) -> None:
    n = len(w)
    for c in range(n):
        chosen = exchanges[c]
        chosen.fill(c)
        if c < n - 1:
            _choose(w, c, chosen)
        pivot = w[c, c]
        below = w[c + 1 :, c]
        # Below a zero are zeros.
        below /= np.where(pivot == 0, 1, pivot)
        for r in range(c + 1, n):
            w[r, c + 1 :] -= w[r, c] * w[c, c + 1 :]


def _choose(w: Array, c: int, chosen: Array) -> None:
    """Exchange row ``c`` with that of the greatest element below, the first of these; faster than an argmax."""
    sizes = np.abs(w[c:, c])
    greatest = sizes[0]
    for r in range(1, len(sizes)):
        greater = sizes[r] > greatest
        chosen[greater] = c + r
        if r < len(sizes) - 1:
            greatest = np.maximum(greatest, sizes[r])
    _exchange(w, chosen, c)


def _exchange(x: Array, rows: Array, c: int) -> None:
    for r in range(c + 1, len(x)):
        chosen = rows == r
        if chosen.any():
            upper = np.where(chosen, x[r], x[c])
            x[r] = np.where(chosen, x[c], x[r])
            x[c] = upper


def det(a: Array, exchanges: Array) -> Array | None:
    """The determinants of matrices with these factors; None if a product of pivots is out of range, or nearly."""
    batch, n = a.shape[:-2], a.shape[-1]
    w = np.moveaxis(a.reshape(-1, n, n), 0, -1)
    rows = np.moveaxis(exchanges.reshape(-1, n), 0, -1)
    limits = np.finfo(a.dtype)
    low, high = float(limits.tiny) * 2.0**10, float(limits.max) * 2.0**-10
    found: Array = w[0, 0]
    odd = rows[0] != 0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for i in range(1, n):
            found = found * w[i, i]
            sizes = np.abs(found)
            if not (low <= sizes.min() and sizes.max() <= high):
                return None
            odd ^= rows[i] != i
    np.negative(found, out=found, where=odd)
    result: Array = found.reshape(batch)
    return result


def solve(a: Array, exchanges: Array, b: Array, transposed: bool) -> Array:
    """The solutions for matrices with these factors."""
    batch = a.shape[:-2]
    w = np.moveaxis(a.reshape(-1, *a.shape[-2:]), 0, -1)
    rows = np.moveaxis(exchanges.reshape(-1, a.shape[-1]), 0, -1)
    right = np.broadcast_to(b, (*batch, *b.shape[-2:])).reshape(-1, *b.shape[-2:])
    x = np.empty((*b.shape[-2:], len(right)), b.dtype)
    for start in range(0, len(right), BLOCK):
        part = slice(start, start + BLOCK)
        block = np.moveaxis(right[part], 0, -1).copy()
        (_substitute_transposed if transposed else _substitute)(w[..., part], rows[:, part], block)
        x[..., part] = block
    return _matrices(x, batch)


def _substitute(w: Array, exchanges: Array, x: Array) -> None:
    n = len(w)
    for c in range(n):
        _exchange(x, exchanges[c], c)
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
        _exchange(x, exchanges[c], c)
