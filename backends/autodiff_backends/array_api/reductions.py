"""Reductions, running sums, products and rearrangements in the functions of the Array API standard.

These take the namespace first, like those in ``array_api.elementwise``, then arrays, then the static parameters.
"""

from __future__ import annotations

from typing import Any

import array_api_compat as compat

from .elementwise import Array, Namespace, number, truth


def extremum_complex(xp: Namespace, x: Array, axis: tuple[int, ...], greatest: bool) -> Array:
    """The greatest (or least) number by the real part, then by the imaginary part; NaN if there is one."""
    best, worst = (xp.max, -xp.inf) if greatest else (xp.min, xp.inf)
    real, imag = xp.real(x), xp.imag(x)
    chosen = best(real, axis=axis, keepdims=True)
    part = best(xp.where(real == chosen, imag, number(xp, worst, imag)), axis=axis)
    chosen = xp.reshape(chosen, part.shape)
    missing = xp.any(xp.isnan(x), axis=axis)
    result = xp.astype(chosen, x.dtype) + xp.astype(part, x.dtype) * number(xp, 1j, x)
    return xp.where(missing, number(xp, xp.nan, result), result)


def max_complex(xp: Namespace, x: Array, axis: tuple[int, ...]) -> Array:
    return extremum_complex(xp, x, axis, greatest=True)


def min_complex(xp: Namespace, x: Array, axis: tuple[int, ...]) -> Array:
    return extremum_complex(xp, x, axis, greatest=False)


def all_numbers(xp: Namespace, x: Array, axis: tuple[int, ...]) -> Array:
    return xp.all(truth(xp, x), axis=axis)


def any_numbers(xp: Namespace, x: Array, axis: tuple[int, ...]) -> Array:
    return xp.any(truth(xp, x), axis=axis)


def _first(xp: Namespace, chosen: Array, axis: int) -> Array:
    """The position of the first true element along an axis, 0 if there is none."""
    return xp.astype(xp.argmax(xp.astype(chosen, xp.uint8), axis=axis), xp.int64)


def argmax(xp: Namespace, x: Array, axis: int) -> Array:
    """The first NaN, else the first of the greatest: libraries may take any of several."""
    if xp.isdtype(x.dtype, "bool"):
        return _first(xp, x, axis)
    if xp.isdtype(x.dtype, "complex floating"):
        return _first(xp, (x == _kept(xp, max_complex(xp, x, (axis,)), axis)) | xp.isnan(x), axis)
    chosen = x == xp.max(x, axis=axis, keepdims=True)
    return _first(xp, chosen | xp.isnan(x) if xp.isdtype(x.dtype, "real floating") else chosen, axis)


def argmin(xp: Namespace, x: Array, axis: int) -> Array:
    """The first NaN, else the first of the least."""
    if xp.isdtype(x.dtype, "bool"):
        return _first(xp, xp.logical_not(x), axis)
    if xp.isdtype(x.dtype, "complex floating"):
        return _first(xp, (x == _kept(xp, min_complex(xp, x, (axis,)), axis)) | xp.isnan(x), axis)
    chosen = x == xp.min(x, axis=axis, keepdims=True)
    return _first(xp, chosen | xp.isnan(x) if xp.isdtype(x.dtype, "real floating") else chosen, axis)


def _kept(xp: Namespace, reduced: Array, axis: int) -> Array:
    return xp.expand_dims(reduced, axis=axis)


def inner_product(xp: Namespace, x: Array, y: Array, axis: tuple[int, ...], dtype: Any) -> Array:
    return xp.sum(x * y, axis=axis, dtype=dtype)


def matmul_truth(xp: Namespace, x: Array, y: Array) -> Array:
    """Whether any pair is true: counted, since a standard product is of numbers."""
    return xp.matmul(xp.astype(x, xp.int32), xp.astype(y, xp.int32)) != 0


def concatenate(xp: Namespace, *arrays: Array, axis: int) -> Array:
    return xp.concat(arrays, axis=axis)


def astype_real(xp: Namespace, x: Array, dtype: Any) -> Array:
    """A complex array in a real dtype: its real part."""
    return xp.astype(xp.real(x), dtype)


def copy(xp: Namespace, x: Array) -> Array:
    """The same numbers in memory of their own."""
    return xp.asarray(x, device=compat.device(x), copy=True)
