"""NumPy's reductions on Tensors: over axes, masked, with initial values; running sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import integer
from ..convert import describe, literal, numeric_dtype
from ..core.avals import FLOAT64, INT64
from ..errors import ArgumentError, DTypeError, ShapeError
from ..nodes import Node
from ..tensor import node_of, wrap
from .calling import NOT_GIVEN, Handler, put, truth


def _mask(where: Node, x: Node, name: str) -> Node:
    """A mask in the shape of ``x``, which it must not enlarge."""
    try:
        return ops.broadcast_to(where, x.aval.shape)
    except ShapeError:
        raise ShapeError(f"{name}({x.aval!r}): where= of shape {where.aval.shape} does not broadcast to it") from None


def _axes(axis: Any, x: Node, name: str) -> tuple[int, ...]:
    """The axes of a ufunc's reduction; of an array without any, the first and the last are allowed too."""
    if x.aval.ndim == 0 and isinstance(axis, (int, np.integer)) and axis in (0, -1):
        return ()
    return ops.normalize_axes(axis, x.aval.ndim, name)


def _given(x: Any) -> bool:
    return x is not NOT_GIVEN and x is not np._NoValue and x is not None


def _reduced(
    reduce: Callable[[Node, tuple[int, ...]], Node],
    x: Node,
    axis: Any,
    keepdims: Any,
    name: str,
    neutral: Any = None,
    where: Any = True,
) -> Node:
    """A reduction over ``axis``, elements where the mask is false replaced by the neutral one."""
    if where is not True:
        x = ops.where(_mask(where, x, name), x, neutral)
    axes = _axes(axis, x, name)
    out = reduce(x, axes)
    return ops.keep_axes(out, x, axes) if keepdims else out


def _start(initial: Any, dtype: np.dtype[Any], name: str) -> Node:
    """What a reduction starts with, in its dtype."""
    node = ops.number_in(node_of(initial), dtype, f"{name}, initial=")
    if node.aval.ndim:
        raise ShapeError(f"{name}: initial={node.aval!r} must be one number")
    return node


def _accumulate(
    reduce: Callable[[Node, tuple[int, ...]], Node],
    x: Node,
    dtype: np.dtype[Any],
    axis: Any,
    keepdims: Any,
    name: str,
    where: Any = True,
    neutral: bool | None = None,
) -> Node:
    """A sum or a product of elements converted to ``dtype`` first; small integers wrap around, as they do in NumPy."""
    nothing = dtype.type(reduce is ops.prod if neutral is None else neutral).item()
    return ops.astype(_reduced(reduce, ops.astype(x, dtype), axis, keepdims, name, nothing, where), dtype)


def _from_start(reduce: Callable[[Node, tuple[int, ...]], Node], start: Node, x: Node, axes: tuple[int, ...]) -> Node:
    """A reduction of a number and then the elements: beside it they may stay in range, and without it overflow."""
    kept = [a for a in range(x.aval.ndim) if a not in axes]
    shape = tuple([x.aval.shape[a] for a in kept])
    elements = ops.reshape(ops.transpose(x, (*kept, *axes)), (*shape, math.prod([x.aval.shape[a] for a in axes])))
    first = ops.broadcast_to(ops.astype(start, x.aval.dtype), (*shape, 1))
    return reduce(ops.concatenate([first, elements], len(kept)), (len(kept),))


def _check_without_start(x: Node, axes: tuple[int, ...], where: Any, name: str) -> None:
    """initial=None says that there is nothing to start with, and so nothing that a result could be of no elements."""
    if where is not True or any(x.aval.shape[a] == 0 for a in axes):
        raise ArgumentError(f"{name}({x.aval!r}): with initial=None there must be elements; leave initial= out")


def _accumulated(
    reduce: Callable[[Node, tuple[int, ...]], Node], combine: Callable[[Node, Node], Node], name: str
) -> Handler:
    """A handler for a sum or product, which have a neutral element, a dtype to compute in, and a start."""

    def handler(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
                initial: Any = NOT_GIVEN, where: Any = True) -> Any:  # fmt: skip
        x = node_of(a)
        final = ops.sum_dtype(x.aval.dtype) if dtype is None else numeric_dtype(dtype, f"{name}: dtype")
        if initial is None:
            _check_without_start(x, _axes(axis, x, name), where, name)
        if not _given(initial):
            return put(out, _accumulate(reduce, x, final, axis, keepdims, name, where), name)
        start = _start(initial, final, name)
        if final.kind not in "fc" or not _axes(axis, x, name):
            result = _accumulate(reduce, x, final, axis, keepdims, name, where)
            return put(out, ops.astype(combine(start, result), final), name)

        def from_start(x: Node, axes: tuple[int, ...]) -> Node:
            return _from_start(reduce, start, x, axes)

        return put(
            out, _accumulate(from_start, x, final, axis, keepdims, name, where, neutral=reduce is ops.prod), name
        )

    return handler


_sum = _accumulated(ops.sum, ops.add, "sum")
_prod = _accumulated(ops.prod, ops.multiply, "prod")


def _count(x: Node, axis: Any, where: Any, name: str) -> Node | int:
    """How many elements each result is made of: a number, or an array of counts under a mask."""
    axes = ops.normalize_axes(axis, x.aval.ndim, name)
    if where is True:
        return math.prod([x.aval.shape[a] for a in axes])
    return ops.sum(ops.astype(_mask(where, x, name), INT64), axes)


def _divided(x: Node, count: Node | float, dtype: np.dtype[Any]) -> Node:
    """``x`` divided by a count, in ``dtype``; NumPy's mean and variance may be asked for in integers."""
    if isinstance(count, Node):
        real = ops.real(x).aval.dtype
        quotient = ops.divide(x, ops.astype(count, real if real.kind == "f" else FLOAT64))
    else:
        # A size is part of the structure, so that it folds into other numbers.
        quotient = ops.divide(x, literal(float(count)) if count else ops.full((), 0, FLOAT64))
    return ops.astype(quotient, dtype)


def _mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *,
          where: Any = True) -> Any:  # fmt: skip
    x = node_of(a)
    final = numeric_dtype(dtype, "mean: dtype") if dtype is not None else ops.default_float(x)
    # NumPy adds half precision up in single.
    working = np.dtype(np.float32) if x.aval.dtype == np.float16 and dtype is None else final
    count = _count(x, axis, where, "mean")
    total = _accumulate(ops.sum, x, working, axis, False, "mean", where)
    result = ops.astype(_divided(total, count, working), final)
    if keepdims:
        result = ops.keep_axes(result, x, ops.normalize_axes(axis, x.aval.ndim, "mean"))
    return put(out, result, "mean")


def degrees(ddof: Any, correction: Any, name: str) -> float:
    """What is subtracted from the number of elements."""
    if correction is not NOT_GIVEN and correction is not np._NoValue:
        if ddof != 0:
            raise ArgumentError(f"{name}: ddof and correction are two names for one thing; give one")
        ddof = correction
    try:
        # A float holds no more; NumPy counts in int64.
        return float(ddof if isinstance(ddof, (float, np.floating)) else integer(ddof, f"{name}: ddof"))
    except DTypeError:
        raise DTypeError(f"{name}: ddof={describe(ddof)} must be a number") from None


def _variance(x: Node, axis: Any, dtype: Any, ddof: float, keepdims: Any, where: Any, mean: Any, name: str) -> Node:
    """As NumPy computes it: sums, and the results of divisions, are of the dtype that is asked for."""
    axes = ops.normalize_axes(axis, x.aval.ndim, name)
    wanted = ops.default_float(x) if dtype is None else numeric_dtype(dtype, f"{name}: dtype")
    count = _count(x, axis, where, name)
    if _given(mean):
        center = node_of(mean)
    else:
        total = _accumulate(ops.sum, x, wanted, axis, True, name, where)
        center = _divided(total, ops.keep_axes(count, x, axes) if isinstance(count, Node) else count, wanted)
    deviation = ops.subtract(x, center)
    if x.aval.dtype.kind == "c":
        squares: Node = ops.square(ops.real(deviation)) + ops.square(ops.imag(deviation))
    else:
        squares = ops.square(deviation)
    final = squares.aval.dtype if dtype is None and x.aval.dtype.kind in "fc" else wanted
    total = _accumulate(ops.sum, squares, final, axis, keepdims, name, where)
    # As NumPy: no degrees of freedom left gives NaN or inf, not a negative variance.
    if isinstance(count, int):
        return _divided(total, max(count - ddof, 0.0), final)
    left: Node = ops.maximum(ops.astype(count, FLOAT64) - ddof, 0)
    if keepdims:
        left = ops.keep_axes(left, x, axes)
    return _divided(total, left, final)


def _var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
         where: Any = True, mean: Any = NOT_GIVEN, correction: Any = NOT_GIVEN) -> Any:  # fmt: skip
    free = degrees(ddof, correction, "var")
    return put(out, _variance(node_of(a), axis, dtype, free, keepdims, where, mean, "var"), "var")


def _std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
         where: Any = True, mean: Any = NOT_GIVEN, correction: Any = NOT_GIVEN) -> Any:  # fmt: skip
    free = degrees(ddof, correction, "std")
    variance = _variance(node_of(a), axis, dtype, free, keepdims, where, mean, "std")
    final = variance.aval.dtype
    if final.kind == "f":
        return put(out, ops.root_of_squares(variance), "std")
    if final.kind != "c" and variance.aval.ndim:
        raise DTypeError(f"std: NumPy has no square roots in dtype={final}; leave it out")
    return put(out, ops.astype(ops.sqrt(variance), final), "std")


def _extremum(primitive: Any, elementwise: Any, name: str) -> Handler:
    def handler(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = NOT_GIVEN,
                where: Any = True) -> Any:  # fmt: skip
        x = node_of(a)
        chosen = where is not True
        if chosen and not _given(initial):
            raise ArgumentError(f"{name}: where= needs initial=, the result where nothing is chosen")
        start = _start(initial, x.aval.dtype, name) if _given(initial) else None
        axes = _axes(axis, x, name)
        if chosen:
            assert start is not None
            x = ops.where(_mask(where, x, name), x, start)
        if start is not None and any(x.aval.shape[i] == 0 for i in axes):
            result = ops.broadcast_to(start, ops.reduced_shape(x.aval.shape, axes))
        else:
            result = primitive(x, axes=axes) if axes else x
            if start is not None:
                result = elementwise(result, start)
        if keepdims:
            result = ops.keep_axes(result, x, axes)
        return put(out, result, name)

    return handler


def _truth_reduction(primitive: Any, neutral: bool, name: str) -> Handler:
    def handler(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
        def reduce(x: Node, axes: tuple[int, ...]) -> Node:
            return primitive(x, axes=axes) if axes else x

        return put(out, _reduced(reduce, truth(node_of(a)), axis, keepdims, name, neutral, where), name)

    return handler


def _position(primitive: Any, name: str) -> Handler:
    def handler(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        x = node_of(a)
        whole = axis is None or (not x.aval.ndim and not _axes(axis, x, name))
        flat = ops.reshape(x, (-1,)) if whole else x
        place = 0 if whole else ops.normalize_axis(axis, x.aval.ndim, name)
        result = primitive(flat, axis=place)
        if keepdims:
            result = ops.keep_axes(result, x, tuple(range(x.aval.ndim)) if whole else (place,))
        return put(out, result, name)

    return handler


def _count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    counted = ops.astype(truth(node_of(a)), np.dtype(np.int64))
    return wrap(_reduced(ops.sum, counted, axis, keepdims, "count_nonzero"))


def _ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    x = node_of(a)

    def extent(x: Node, axes: tuple[int, ...]) -> Node:
        return ops.amax(x, axes=axes) - ops.amin(x, axes=axes)

    return put(out, _reduced(extent, x, axis, keepdims, "ptp"), "ptp")


def _running(function: Callable[..., Node], name: str) -> Handler:
    def handler(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return put(out, function(node_of(a), axis, dtype), name)

    return handler


def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    if weights is None:
        mean = node_of(_mean(a, axis, keepdims=keepdims))
        count = ops.full(mean.aval.shape, _count(node_of(a), axis, True, "average"), mean.aval.dtype)
        return (wrap(mean), wrap(count)) if returned else wrap(mean)
    x, w = node_of(a), node_of(weights)
    axes = ops.normalize_axes(tuple(axis) if isinstance(axis, list) else axis, x.aval.ndim, "average")
    if w.aval.shape != x.aval.shape:
        if axis is None or w.aval.shape != tuple([x.aval.shape[i] for i in axes]):
            raise ShapeError(f"average({x.aval!r}, axis={axis!r}): weights of shape {w.aval.shape} do not fit")
        w = ops.reshape(w, [n if i in axes else 1 for i, n in enumerate(x.aval.shape)])
    dtype = np.result_type(x.aval.dtype, w.aval.dtype, *([FLOAT64] if x.aval.dtype.kind in "biu" else []))
    x, w = ops.astype(x, dtype), ops.broadcast_to(ops.astype(w, dtype), x.aval.shape)
    scale = ops.sum(w, axes)
    mean = ops.divide(ops.sum(x * w, axes), scale)
    results = [ops.keep_axes(v, x, axes) if keepdims else v for v in (mean, scale)]
    return (wrap(results[0]), wrap(results[1])) if returned else wrap(results[0])


def _cumulative(function: Callable[..., Node], start: int, name: str) -> Handler:
    def handler(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Any:
        node = node_of(x)
        if node.aval.ndim == 0:
            node = ops.reshape(node, (1,))
        elif axis is None and node.aval.ndim != 1:
            raise ArgumentError(f"{name}({node.aval!r}): axis= is needed unless the array has one dimension")
        place = ops.normalize_axis(0 if axis is None else axis, node.aval.ndim, name)
        result = function(node, place, dtype)
        if include_initial:
            shape = (*node.aval.shape[:place], 1, *node.aval.shape[place + 1 :])
            result = ops.concatenate([ops.full(shape, start, result.aval.dtype), result], place)
        return put(out, result, name)

    return handler


TABLE: dict[Any, Handler] = {
    np.sum: _sum,
    np.prod: _prod,
    np.mean: _mean,
    np.var: _var,
    np.std: _std,
    np.max: _extremum(ops.amax, ops.maximum, "max"),
    np.min: _extremum(ops.amin, ops.minimum, "min"),
    np.amax: _extremum(ops.amax, ops.maximum, "amax"),
    np.amin: _extremum(ops.amin, ops.minimum, "amin"),
    np.ptp: _ptp,
    np.all: _truth_reduction(ops.all_true, True, "all"),
    np.any: _truth_reduction(ops.any_true, False, "any"),
    np.argmax: _position(ops.argmax, "argmax"),
    np.argmin: _position(ops.argmin, "argmin"),
    np.count_nonzero: _count_nonzero,
    np.cumsum: _running(ops.cumsum, "cumsum"),
    np.average: _average,
    np.cumprod: _running(ops.cumprod, "cumprod"),
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    TABLE[np.cumulative_sum] = _cumulative(ops.cumsum, 0, "cumulative_sum")
    TABLE[np.cumulative_prod] = _cumulative(ops.cumprod, 1, "cumulative_prod")
