"""Functions of series that move, join, choose and contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .series import Series, as_series, bilinear, kink, linear, multiply, where_
from .series_elementwise import absolute, arctan2, larger, power, root, sinc, vecdot
from .series_reductions import (
    average,
    cumulative_sum,
    deviation,
    extent,
    largest,
    mean,
    product,
    running_product,
    running_sum,
    smallest,
    total,
    variance,
)


def _linear_in_first(function: Any) -> Callable[..., Series]:
    return lambda a, *args, **keywords: linear(lambda c: function(c, *args, **keywords), a)


def _linear_in_list(function: Any) -> Callable[..., Series]:
    def joined(arrays: Any, *args: Any, **keywords: Any) -> Series:
        keywords.pop("dtype", None)
        return linear(lambda *cs: function(cs, *args, **keywords), *arrays)

    return joined


def _append(a: Any, b: Any, axis: Any = None) -> Series:
    return linear(lambda c, d: np.append(c, d, axis), a, b)


def _pad(a: Any, width: Any, mode: str = "constant", constant_values: Any = 0) -> Series:
    if mode != "constant":
        return linear(lambda c: np.pad(c, width, mode=mode), a)
    a = as_series(a)
    inside = np.pad(np.ones(a.shape, bool), width)
    return where_(inside, linear(lambda c: np.pad(c, width), a), constant_values)


def _many(function: Any) -> Callable[..., list[Series]]:
    def split(a: Any, *args: Any, **keywords: Any) -> list[Series]:
        count = len(function(as_series(a).value, *args, **keywords))
        return [linear(lambda c, i=i: function(c, *args, **keywords)[i], a) for i in range(count)]

    return split


def _bilinear(function: Any) -> Callable[..., Series]:
    return lambda x, y, *args, **keywords: bilinear(lambda a, b: function(a, b, *args, **keywords), x, y)


def _einsum(text: str, *operands: Any) -> Series:
    if len(operands) == 1:
        return linear(lambda a: np.einsum(text, a), *operands)
    return bilinear(lambda a, b: np.einsum(text, a, b), *operands)


def _clip(a: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None:
        a = larger(1)(a, low)
    return a if high is None else larger(-1)(a, high)


def _select(conditions: Any, choices: Any, default: Any = 0) -> Series:
    result = as_series(default)
    for condition, choice in zip(conditions[::-1], choices[::-1]):
        result = where_(condition, choice, result)
    return result


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Series:
    size = absolute(x)
    if axis is None and size.ndim == 2 and ord not in (None, "fro"):
        sums = total(size, 0 if abs(ord) == 1 else 1)
        return largest(sums) if ord > 0 else smallest(sums)
    if ord in (None, "fro", 2):
        return root(total(multiply(size, size), axis, keepdims=keepdims))
    if np.isinf(ord):
        return (largest if ord > 0 else smallest)(size, axis, keepdims=keepdims)
    return power(total(power(size, ord), axis, keepdims=keepdims), np.longdouble(1) / ord)


def _answer(function: Any) -> Callable[..., Any]:
    return lambda a, *args, **keywords: function(a.value, *args, **keywords)


def _real(x: Any) -> Series:
    return linear(np.real, x)


def _round(x: Any, decimals: int = 0) -> Series:
    scaled = x.value * np.longdouble(10) ** decimals
    kink(np.abs(scaled - np.floor(scaled) - 0.5) < 1e-6, "a rounding at its jump")
    return as_series(np.round(x.value, decimals))


def _angle(x: Any) -> Series:
    return arctan2(linear(np.imag, x), linear(np.real, x))


def _like(value: Any) -> Callable[..., Series]:
    return lambda a, *args, **keywords: as_series(np.full(a.shape, args[0] if value is None else value))


LINEAR = [
    np.reshape,
    np.ravel,
    np.transpose,
    np.swapaxes,
    np.moveaxis,
    np.rollaxis,
    np.expand_dims,
    np.squeeze,
    np.broadcast_to,
    np.atleast_1d,
    np.atleast_2d,
    np.atleast_3d,
    np.flip,
    np.fliplr,
    np.flipud,
    np.rot90,
    np.matrix_transpose,
    np.roll,
    np.tile,
    np.repeat,
    np.take,
    np.take_along_axis,
    np.diagonal,
    np.diag,
    np.trace,
    np.tril,
    np.triu,
    np.diff,
    np.real,
    np.imag,
    np.copy,
    np.lib.stride_tricks.sliding_window_view,
]
ARRAYS: dict[Any, Callable[..., Any]] = {
    **{f: _linear_in_first(f) for f in LINEAR},
    **{f: _linear_in_list(f) for f in (np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack)},
    **{f: _many(f) for f in (np.split, np.array_split)},
    **{f: _bilinear(f) for f in (np.dot, np.tensordot, np.outer, np.inner, np.kron, np.cross)},
    **{f: _answer(f) for f in (np.argmax, np.argmin, np.all, np.any, np.count_nonzero)},
    np.vdot: lambda x, y: vecdot(np.ravel(as_series(x)), np.ravel(as_series(y))),
    **{f: (lambda a, f=f: f(as_series(a).value)) for f in (np.shape, np.ndim, np.size)},
    np.einsum: _einsum,
    np.append: _append,
    np.pad: _pad,
    np.where: where_,
    np.clip: _clip,
    np.select: _select,
    np.sum: total,
    np.mean: mean,
    np.var: variance,
    np.std: deviation,
    np.prod: product,
    np.max: largest,
    np.min: smallest,
    np.amax: largest,
    np.amin: smallest,
    np.ptp: extent,
    np.cumsum: running_sum,
    np.cumprod: running_product,
    np.average: average,
    np.linalg.norm: _norm,
    np.angle: _angle,
    np.sinc: sinc,
    np.compress: lambda mask, a, axis=None: linear(lambda c: np.compress(mask, c, axis), a),
    np.extract: lambda mask, a: linear(lambda c: np.extract(mask, c), a),
    np.nan_to_num: lambda a: a,
    np.round: _round,
    np.full: lambda shape, value, like=None, **rest: as_series(np.full(shape, as_series(value).value)),
    np.zeros_like: _like(0),
    np.ones_like: _like(1),
    np.full_like: _like(None),
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    ARRAYS[np.cumulative_sum] = cumulative_sum
