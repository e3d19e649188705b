"""Stacks of products of matrices: NumPy multiplies one pair after the other, each by one call of BLAS.

BLAS has no work for several threads in small matrices, so threads share the stack. Where all pairs have the second
matrix in common, the first ones are one long matrix.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from autodiff.machine import thread_count

from .workers import shares, together

Array = np.ndarray[Any, Any]

# Multiplications of a product that BLAS does in one thread (OpenBLAS), and of a stack from which threads share it.
LARGEST_PRODUCT, SMALLEST_STACK = 1 << 18, 1 << 21


def is_stack(first: tuple[int, ...], second: tuple[int, ...], out: tuple[int, ...]) -> bool:
    """Whether products of these shapes, into that one, are worth a call of ``products`` in place of NumPy's."""
    if len(out) < 3 or 0 in out or 0 in first:
        return False
    work = out[-2] * out[-1] * first[-1]
    return (len(second) == 2 and out[-2] > 1) or (
        work <= LARGEST_PRODUCT and work * int(np.prod(out[:-2], dtype=object)) >= SMALLEST_STACK
    )


def products(first: Array, second: Array, out: Array | None = None) -> Array:
    """``np.matmul(first, second, out)``."""
    if out is None:
        batch = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
        out = np.empty((*batch, first.shape[-2], second.shape[-1]), np.result_type(first, second))
    if second.ndim == 2 and first.flags.c_contiguous and out.flags.c_contiguous and first.dtype == second.dtype:
        np.dot(first.reshape(-1, first.shape[-1]), second, out.reshape(-1, out.shape[-1]))
        return out
    count = thread_count()
    work = out.shape[-2] * out.shape[-1] * first.shape[-1]
    axis = max(range(out.ndim - 2), key=out.shape.__getitem__)
    if count == 1 or out.shape[axis] == 1 or work > LARGEST_PRODUCT or work * _stack(out) < SMALLEST_STACK:
        return np.matmul(first, second, out)

    def share(begin: int, end: int) -> Any:
        return np.matmul(*[_part(array, out, axis, begin, end) for array in (first, second, out)])

    together([partial(share, begin, end) for begin, end in shares(out.shape[axis], count)])
    return out


def _stack(out: Array) -> int:
    return int(out.size // (out.shape[-2] * out.shape[-1]))


def _part(array: Array, out: Array, axis: int, begin: int, end: int) -> Array:
    """A part along an axis of the result, of what may be broadcast along it."""
    own = axis - (out.ndim - array.ndim)
    if own < 0 or array.shape[own] == 1:
        return array
    return array[(slice(None),) * own + (slice(begin, end),)]
