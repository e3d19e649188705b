"""Reductions of series, along axes of every form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .series import Series, Unsuitable, add, as_series, linear, multiply, subtract, where_
from .series_elementwise import divide, larger, root


def _affine(function: Any, neutral: Any) -> Callable[..., Series]:
    """A reduction that is linear but for ``initial=``."""

    def reduce(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = 0,
               where: Any = True) -> Series:  # fmt: skip
        a = _converted(as_series(a), dtype)
        if initial is np._NoValue:
            initial = 0
        result = linear(lambda c: np.sum(c, axis=axis, keepdims=keepdims, where=where), a)
        return add(result, initial)

    return reduce


def _converted(a: Series, dtype: Any) -> Series:
    if dtype is None:
        return a
    if np.dtype(dtype).kind in "biu":
        raise Unsuitable("integers")
    return a.astype(dtype)  # type: ignore[no-any-return]


total = _affine(np.sum, 0)


def _count(shape: tuple[int, ...], axis: Any, where: Any, keepdims: Any) -> Any:
    return np.sum(np.ones(shape, np.longdouble), axis=axis, where=where, keepdims=keepdims)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Series:
    a = _converted(as_series(a), dtype)
    return divide(total(a, axis, keepdims=keepdims, where=where), _count(a.shape, axis, where, keepdims))


def variance(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
         where: Any = True) -> Series:  # fmt: skip
    a = _converted(as_series(a), dtype)
    away = subtract(a, mean(a, axis, keepdims=True, where=where))
    squares = np.real(multiply(away, np.conjugate(away)))
    return divide(total(squares, axis, keepdims=keepdims, where=where), _count(a.shape, axis, where, keepdims) - ddof)


def deviation(*args: Any, **keywords: Any) -> Series:
    return root(variance(*args, **keywords))


def _folded(a: Series, axis: Any, keepdims: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Reduce along axes by combining one element after the other."""
    axes = range(a.ndim) if axis is None else [axis] if isinstance(axis, (int, np.integer)) else axis
    axes = sorted(i % max(a.ndim, 1) for i in axes)
    for i in reversed(axes) if a.ndim else ():
        parts = [linear(lambda c, i=i, k=k: np.take(c, k, i), a) for k in range(a.shape[i])]
        if not parts:
            raise Unsuitable("a reduction of nothing")
        total = parts[0]
        for part in parts[1:]:
            total = combine(total, part)
        a = linear(lambda c, i=i: np.expand_dims(c, i), total)
    if not keepdims and a.ndim and axes:
        a = linear(lambda c: np.squeeze(c, tuple(axes)), a)
    return a


def product(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = 1,
          where: Any = True) -> Series:  # fmt: skip
    a = _converted(as_series(a), dtype)
    return multiply(_folded(where_(where, a, 1), axis, keepdims, multiply), 1 if initial is np._NoValue else initial)


def _extremum(sign: int) -> Callable[..., Series]:
    beyond = larger(sign)

    def reduce(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Series:
        a = as_series(a)
        if where is not True:
            a = where_(where, a, -sign * np.longdouble(1e30) * (1 + np.arange(a.size).reshape(a.shape)))
        result = _folded(a, axis, keepdims, beyond)
        return result if initial is None or initial is np._NoValue else beyond(result, initial)

    return reduce


largest, smallest = _extremum(1), _extremum(-1)


def extent(a: Any, axis: Any = None, keepdims: Any = False) -> Series:
    return subtract(largest(a, axis, keepdims=keepdims), smallest(a, axis, keepdims=keepdims))


def running_product(a: Any, axis: Any = None, dtype: Any = None) -> Series:
    a = _converted(as_series(a), dtype)
    if axis is None:
        a, axis = np.ravel(a), 0
    parts = [linear(lambda c, k=k: np.take(c, k, axis), a) for k in range(a.shape[axis])]
    if not parts:
        return a
    for k in range(1, len(parts)):
        parts[k] = multiply(parts[k - 1], parts[k])
    return linear(lambda *cs: np.stack(cs, axis), *parts)


def running_sum(a: Any, axis: Any = None, dtype: Any = None) -> Series:
    return linear(lambda c: np.cumsum(c, axis), _converted(as_series(a), dtype))


def cumulative_sum(a: Any, *, axis: Any = None, include_initial: bool = False) -> Series:
    return linear(lambda c: np.cumulative_sum(c, axis=axis, include_initial=include_initial), a)


def average(a: Any, axis: Any = None, weights: Any = None) -> Series:
    return divide(total(multiply(a, weights), axis), total(weights, axis))


REDUCING: dict[Any, Callable[..., Any]] = {
    np.add: total,
    np.multiply: product,
    np.maximum: largest,
    np.minimum: smallest,
}
