"""NumPy's array functions on Tensors: reductions, shapes, joining, selecting, products.

Each handler has the signature of the function it stands for; most are compositions of primitives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from ..nodes import FLOAT64, INT64, Node
from ..plan import concrete
from ..tensor import Tensor, node_of, wrap
from .ufuncs import _dtype, put

Handler = Callable[..., Any]
_NOT_GIVEN = object()


def _truth(x: Node) -> Node:
    return x if x.aval.dtype.kind == "b" else ops.not_equal(x, 0)


# --- reductions ------------------------------------------------------------------------------------------------------


def _given(where: Any) -> bool:
    return where is not True and where is not np._NoValue


def _mask(where: Any, x: Node, name: str) -> Node:
    """A mask in the shape of ``x``, which it must not enlarge."""
    mask = _truth(node_of(where))
    try:
        return ops.broadcast_to(mask, x.aval.shape)
    except ShapeError:
        raise ShapeError(f"{name}({x.aval!r}): where= of shape {mask.aval.shape} does not broadcast to it") from None


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
    if _given(where):
        x = ops.where(_mask(where, x, name), x, neutral)
    axes = ops.normalize_axes(axis, x.aval.ndim, name)
    out = reduce(x, axes)
    return ops.keep_axes(out, x, axes) if keepdims is not np._NoValue and keepdims else out


def _sum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
         initial: Any = _NOT_GIVEN, where: Any = True) -> Any:  # fmt: skip
    x = node_of(a)
    if dtype is not None:
        x = ops.astype(x, _dtype(dtype, "sum"))
    zero = np.zeros((), x.aval.dtype).item()
    result = _reduced(ops.sum, x, axis, keepdims, "sum", zero, where)
    if dtype is not None:
        result = ops.astype(result, np.dtype(dtype))
    if initial is not _NOT_GIVEN and initial is not np._NoValue and initial is not None:
        result = ops.astype(result + node_of(initial), result.aval.dtype)
    return put(out, result, "sum")


def _prod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
          initial: Any = _NOT_GIVEN, where: Any = True) -> Any:  # fmt: skip
    x = node_of(a)
    if dtype is not None:
        x = ops.astype(x, _dtype(dtype, "prod"))
    one = np.ones((), x.aval.dtype).item()
    result = _reduced(ops.prod, x, axis, keepdims, "prod", one, where)
    if dtype is not None:
        result = ops.astype(result, np.dtype(dtype))
    if initial is not _NOT_GIVEN and initial is not np._NoValue and initial is not None:
        result = ops.astype(result * node_of(initial), result.aval.dtype)
    return put(out, result, "prod")


def _count(x: Node, axis: Any, where: Any, name: str) -> Node | int:
    """How many elements each result is made of: a number, or an array of counts under a mask."""
    axes = ops.normalize_axes(axis, x.aval.ndim, name)
    if not _given(where):
        return math.prod([x.aval.shape[a] for a in axes])
    return ops.sum(ops.astype(_mask(where, x, name), INT64), axes)


def _divided(x: Node, count: Node | int, dtype: np.dtype[Any]) -> Node:
    if isinstance(count, int):
        return ops.divide(x, node_of(float(count)) if count else ops.full((), 0, dtype))
    return ops.divide(x, ops.astype(count, dtype if dtype.kind == "f" else FLOAT64))


def _mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *,
          where: Any = True) -> Any:  # fmt: skip
    x = node_of(a)
    final = _dtype(dtype, "mean") if dtype is not None else ops.default_float(x)
    # NumPy adds half precision up in single.
    working = np.dtype(np.float32) if final == np.float16 and dtype is None else final
    x = ops.astype(x, working)
    total = _reduced(ops.sum, x, axis, False, "mean", 0, where)
    count = _count(x, axis, where, "mean")
    result = ops.astype(_divided(total, count, working), final)
    if keepdims is not np._NoValue and keepdims:
        result = ops.keep_axes(result, x, ops.normalize_axes(axis, x.aval.ndim, "mean"))
    return put(out, result, "mean")


def _variance(x: Node, axis: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, name: str) -> Node:
    axes = ops.normalize_axes(axis, x.aval.ndim, name)
    count = _count(x, axis, where, name)
    if mean is _NOT_GIVEN or mean is np._NoValue:
        total = _reduced(ops.sum, x, axis, True, name, 0, where)
        kept = ops.keep_axes(count, x, axes) if isinstance(count, Node) else count
        center = _divided(total, kept, x.aval.dtype)
    else:
        center = node_of(mean)
    deviation = x - center
    if deviation.aval.dtype.kind == "c":
        squares: Node = ops.square(ops.real(deviation)) + ops.square(ops.imag(deviation))
    else:
        squares = ops.square(deviation)
    total = _reduced(ops.sum, squares, axis, keepdims, name, 0, where)
    if isinstance(count, int):
        # As NumPy: no degrees of freedom left gives NaN or inf, not a negative variance.
        return _divided(total, max(count - ddof, 0), squares.aval.dtype)
    left: Node = ops.maximum(ops.astype(count, squares.aval.dtype) - ddof, 0)
    if keepdims is not np._NoValue and keepdims:
        left = ops.keep_axes(left, x, axes)
    return ops.divide(total, left)


def _var_input(a: Any, dtype: Any, ddof: Any, correction: Any, name: str) -> tuple[Node, Any, Any]:
    x = node_of(a)
    if correction is not _NOT_GIVEN and correction is not np._NoValue:
        if ddof != 0:
            raise ArgumentError(f"{name}: ddof and correction are two names for one thing; give one")
        ddof = correction
    final = _dtype(dtype, name) if dtype is not None else ops.default_float(x)
    working = np.dtype(np.float32) if final == np.float16 and dtype is None else final
    return ops.astype(x, working), ddof, final


def _var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
         where: Any = True, mean: Any = _NOT_GIVEN, correction: Any = _NOT_GIVEN) -> Any:  # fmt: skip
    x, ddof, final = _var_input(a, dtype, ddof, correction, "var")
    result = _variance(x, axis, ddof, keepdims, where, mean, "var")
    return put(out, ops.astype(result, final) if final.kind == "f" else result, "var")


def _std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
         where: Any = True, mean: Any = _NOT_GIVEN, correction: Any = _NOT_GIVEN) -> Any:  # fmt: skip
    x, ddof, final = _var_input(a, dtype, ddof, correction, "std")
    result = ops.root_of_squares(_variance(x, axis, ddof, keepdims, where, mean, "std"))
    return put(out, ops.astype(result, final) if final.kind == "f" else result, "std")


def _extremum(primitive: Any, elementwise: Any, name: str) -> Handler:
    def handler(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = _NOT_GIVEN,
                where: Any = True) -> Any:  # fmt: skip
        x = node_of(a)
        if x.aval.dtype.kind == "c":
            raise DTypeError(f"{name}({x.aval!r}): complex numbers have no order that can be differentiated")
        given = initial is not _NOT_GIVEN and initial is not np._NoValue
        masked = _given(where)
        if masked and not given:
            raise ArgumentError(f"{name}: where= needs initial=, the result where nothing is chosen")
        start = ops.astype(node_of(initial), x.aval.dtype) if given else None
        axes = ops.normalize_axes(axis, x.aval.ndim, name)
        if masked:
            x = ops.where(_mask(where, x, name), x, start)
        if start is not None and any(x.aval.shape[i] == 0 for i in axes):
            shape = ops.sum(ops.astype(x, FLOAT64), axes).aval.shape
            result = ops.broadcast_to(start, shape)
        else:
            result = primitive(x, axes=axes) if axes else x
            if start is not None:
                result = elementwise(result, start)
        if keepdims is not np._NoValue and keepdims:
            result = ops.keep_axes(result, x, axes)
        return put(out, result, name)

    return handler


def _truth_reduction(primitive: Any, neutral: bool, name: str) -> Handler:
    def handler(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
        def reduce(x: Node, axes: tuple[int, ...]) -> Node:
            return primitive(x, axes=axes) if axes else x

        return put(out, _reduced(reduce, _truth(node_of(a)), axis, keepdims, name, neutral, where), name)

    return handler


def _position(primitive: Any, name: str) -> Handler:
    def handler(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        x = node_of(a)
        flat = ops.reshape(x, (-1,)) if axis is None else x
        place = 0 if axis is None else ops.normalize_axis(axis, x.aval.ndim, name)
        result = primitive(flat, axis=place)
        if keepdims is not np._NoValue and keepdims:
            axes = tuple(range(x.aval.ndim)) if axis is None else (place,)
            result = ops.keep_axes(result, x, axes)
        return put(out, result, name)

    return handler


def _count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    counted = ops.astype(_truth(node_of(a)), np.dtype(np.int64))
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


# --- shapes ----------------------------------------------------------------------------------------------------------


def _reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    wanted = newshape if shape is None else shape
    if wanted is None:
        raise ArgumentError("reshape: give a shape")
    return wrap(ops.reshape(node_of(a), wanted, order))


def _ravel(a: Any, order: str = "C") -> Any:
    return wrap(ops.reshape(node_of(a), (-1,), "C" if order == "K" else order))


def _rollaxis(a: Any, axis: Any, start: Any = 0) -> Any:
    x = node_of(a)
    ndim = x.aval.ndim
    source = ops.normalize_axis(axis, ndim, "rollaxis")
    target = start + ndim if start < 0 else start
    if not 0 <= target <= ndim:
        raise ArgumentError(f"rollaxis: start={start} is out of range for {ndim} dimensions")
    return wrap(ops.moveaxis(x, source, target - 1 if source < target else target))


def _broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    nodes = [node_of(x) for x in args]
    shape = ops.broadcast_shapes("broadcast_arrays", tuple([x.aval for x in nodes]))
    return tuple([wrap(ops.broadcast_to(x, shape)) for x in nodes])


def _at_least(ndim: int, name: str) -> Handler:
    def one(x: Node) -> Node:
        shape = x.aval.shape
        if ndim == 3 and len(shape) < 3:
            shape = {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)]
        else:
            shape = (1,) * (ndim - len(shape)) + shape
        return ops.reshape(x, shape)

    def handler(*arys: Any) -> Any:
        results = [wrap(one(node_of(x))) for x in arys]
        return results[0] if len(results) == 1 else tuple(results)

    return handler


def _concatenate(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return put(out, ops.concatenate([node_of(x) for x in arrays], axis, dtype), "concatenate")


def _stack(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return put(out, ops.stack([node_of(x) for x in arrays], axis, dtype), "stack")


def _joined(prepare: Callable[[Node], Node], axis: Callable[[Node], int], name: str) -> Handler:
    def handler(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
        nodes = [prepare(node_of(x)) for x in tup]
        if not nodes:
            raise ArgumentError(f"{name}: at least one array is needed")
        return wrap(ops.concatenate(nodes, axis(nodes[0]), dtype))

    return handler


def _as_row(x: Node) -> Node:
    return ops.reshape(x, (1,) * (2 - x.aval.ndim) + x.aval.shape) if x.aval.ndim < 2 else x


def _as_vector(x: Node) -> Node:
    return ops.reshape(x, (1,)) if x.aval.ndim == 0 else x


def _as_column(x: Node) -> Node:
    return ops.reshape(x, (x.aval.size, 1)) if x.aval.ndim < 2 else x


def _as_plane(x: Node) -> Node:
    shape = x.aval.shape
    return ops.reshape(x, {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}.get(len(shape), shape))


def _split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    x = node_of(ary)
    place = ops.normalize_axis(axis, x.aval.ndim, "split")
    size = x.aval.shape[place]
    if isinstance(indices_or_sections, (int, np.integer)):
        if indices_or_sections < 1 or size % indices_or_sections:
            raise ArgumentError(f"split: {size} elements do not divide into {indices_or_sections} equal parts")
        step = size // int(indices_or_sections)
        cuts = [step * i for i in range(1, int(indices_or_sections))]
    else:
        cuts = [int(i) for i in indices_or_sections]
    ends = [0, *cuts, size]
    parts = []
    for i, start in enumerate(ends[:-1]):
        stop = ends[i + 1] if i + 2 < len(ends) else None
        parts.append(wrap(ops.take_slices(x, *[slice(None)] * place, slice(start, stop))))
    return parts


def _flip(m: Any, axis: Any = None) -> Any:
    x = node_of(m)
    return wrap(ops.flip(x, ops.normalize_axes(axis, x.aval.ndim, "flip")))


def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    x = node_of(a)
    if axis is None:
        return wrap(ops.reshape(_rolled(ops.reshape(x, (-1,)), shift, 0), x.aval.shape))
    try:
        pairs = np.broadcast(shift, axis)
    except ValueError:
        pairs = None
    if pairs is None or pairs.ndim > 1:
        raise ArgumentError(f"roll: shift={shift!r} and axis={axis!r} must be integers or sequences of one length")
    for one, place in pairs:
        x = _rolled(x, one, ops.normalize_axis(place, x.aval.ndim, "roll"))
    return wrap(x)


def _rolled(x: Node, shift: Any, axis: int) -> Node:
    size = x.aval.shape[axis]
    cut = int(shift) % size if size else 0
    if not cut:
        return x
    whole = [slice(None)] * axis
    return ops.concatenate(
        [ops.take_slices(x, *whole, slice(size - cut, None)), ops.take_slices(x, *whole, slice(0, size - cut))], axis
    )


def _tile(A: Any, reps: Any) -> Any:
    x = node_of(A)
    counts = tuple([int(n) for n in reps]) if isinstance(reps, (tuple, list, np.ndarray)) else (int(reps),)
    ndim = max(len(counts), x.aval.ndim)
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - x.aval.ndim) + x.aval.shape
    doubled = ops.reshape(x, tuple([n for size in shape for n in (1, size)]))
    spread = ops.broadcast_to(doubled, tuple([n for c, size in zip(counts, shape, strict=True) for n in (c, size)]))
    return wrap(ops.reshape(spread, tuple([c * size for c, size in zip(counts, shape, strict=True)])))


def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    x = node_of(a)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    place = ops.normalize_axis(axis, x.aval.ndim, "repeat")
    try:
        positions = np.repeat(np.arange(x.aval.shape[place]), np.asarray(repeats))
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"repeat({x.aval!r}, repeats={repeats!r}, axis={axis}): {error}") from None
    return wrap(ops.take(x, positions, place))


def _take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    x = node_of(a)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    place = ops.normalize_axis(axis, x.aval.ndim, "take")
    size = x.aval.shape[place]
    positions = indices._node if isinstance(indices, Tensor) else np.asarray(indices)
    if mode == "wrap":
        positions = np.asarray(_value(positions)) % size
    elif mode == "clip":
        positions = np.clip(np.asarray(_value(positions)), 0, size - 1)
    elif mode != "raise":
        raise ArgumentError(f"take: mode={mode!r} is not one of 'raise', 'wrap', 'clip'")
    item = (*[slice(None)] * place, positions)
    index, arrays = ops.normalize_index(x.aval, item, concrete)
    return put(out, ops.index(x, index, *arrays), "take")


def _value(x: Any) -> Any:
    return wrap(x).value if isinstance(x, Node) else x


def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    x = node_of(a)
    if x.aval.ndim < 2:
        raise ArgumentError(f"diagonal({x.aval!r}): needs at least two dimensions")
    moved = ops.moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = moved.aval.shape[-2:]
    first = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0)))) + max(-offset, 0)
    item = (Ellipsis, first, first + offset)
    index, arrays = ops.normalize_index(moved.aval, item, concrete)
    return wrap(ops.index(moved, index, *arrays))


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    return _sum(_diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype, out=out)


def _diag(v: Any, k: int = 0) -> Any:
    x = node_of(v)
    if x.aval.ndim == 2:
        return _diagonal(v, k)
    if x.aval.ndim != 1:
        raise ArgumentError(f"diag({x.aval!r}): needs one or two dimensions")
    size = x.aval.size + abs(k)
    places = np.arange(x.aval.size)
    square = ops.full((size, size), 0, x.aval.dtype)
    return wrap(ops.write_index(square, (places + max(-k, 0), places + max(k, 0)), x, concrete))


def _triangle(keep: Callable[..., Any], name: str) -> Handler:
    def handler(m: Any, k: int = 0) -> Any:
        x = node_of(m)
        if x.aval.ndim < 1:
            raise ArgumentError(f"{name}: needs at least one dimension")
        rows, columns = (x.aval.shape * 2)[-2:] if x.aval.ndim == 1 else x.aval.shape[-2:]
        return wrap(ops.where(node_of(keep(rows, columns, k)), x, ops.full((), 0, x.aval.dtype)))

    return handler


# --- selecting and elementwise ---------------------------------------------------------------------------------------


def _where(condition: Any, x: Any = _NOT_GIVEN, y: Any = _NOT_GIVEN, /) -> Any:
    if x is _NOT_GIVEN or y is _NOT_GIVEN:
        if x is not _NOT_GIVEN:
            raise ArgumentError("where: give both x and y, or neither")
        return _nonzero(condition)
    return wrap(ops.where(_truth(node_of(condition)), node_of(x), node_of(y)))


def _nonzero(a: Any) -> Any:
    return np.nonzero(node_of(a).value if node_of(a).value is not None else wrap(node_of(a)).value)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None,
          **keywords: Any) -> Any:  # fmt: skip
    low = a_min if min is None else min
    high = a_max if max is None else max
    x = node_of(a)
    if x.aval.dtype.kind == "c":
        raise DTypeError(f"clip({x.aval!r}): complex numbers have no order that can be differentiated")
    if keywords:
        raise UnsupportedError(f"clip: the keyword {sorted(keywords)[0]!r} is not supported for Tensors")
    if low is not None:
        x = ops.maximum(x, node_of(low))
    if high is not None:
        x = ops.minimum(x, node_of(high))
    return put(out, ops.identity(x), "clip")


def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    x = node_of(a)
    if decimals == 0:
        return put(out, ops.rint(x) if x.aval.dtype.kind in "fc" else x, "round")
    scale = 10.0**decimals
    return put(out, ops.astype(ops.rint(x * node_of(scale)) / node_of(scale), x.aval.dtype), "round")


def _real(val: Any) -> Any:
    x = node_of(val)
    return wrap(ops.real(x) if x.aval.dtype.kind == "c" else ops.identity(x))


def _imag(val: Any) -> Any:
    x = node_of(val)
    return wrap(ops.imag(x) if x.aval.dtype.kind == "c" else ops.zeros_like(x))


def _angle(z: Any, deg: bool = False) -> Any:
    x = node_of(z)
    parts = (ops.imag(x), ops.real(x)) if x.aval.dtype.kind == "c" else (ops.zeros_like(x), x)
    result = ops.arctan2(*parts)
    return wrap(ops.degrees(result) if deg else result)


def _sinc(x: Any) -> Any:
    """sin(pi x) / (pi x); by its series near 0, where every derivative exists."""
    scaled = ops.multiply(node_of(x), np.pi)
    small = ops.less(ops.absolute(scaled), 1e-2)
    safe = ops.where(small, 1.0, scaled)
    square = ops.square(ops.where(small, scaled, 0.0))
    series = 1 - square / 6.0 * (1 - square / 20.0 * (1 - square / 42.0 * (1 - square / 72.0)))
    return wrap(ops.where(small, series, ops.sin(safe) / safe))


def _like(value: Any) -> Handler:
    def handler(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
                device: Any = None) -> Any:  # fmt: skip
        x = node_of(a)
        kind = x.aval.dtype if dtype is None else _dtype(dtype, "zeros_like")
        sizes = x.aval.shape if shape is None else ops.normalize_shape(shape, "zeros_like")
        return Tensor(np.full(sizes, value, kind), dtype=kind)

    return handler


def _full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    """``np.full(shape, t, like=t)``; without ``like=`` NumPy takes the value of ``t`` and asks nobody."""
    x = ops.strong(node_of(fill_value))
    x = x if dtype is None else ops.astype(x, _dtype(dtype, "full"))
    return wrap(ops.broadcast_to(x, ops.normalize_shape(shape, "full")))


def _full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
               device: Any = None) -> Any:  # fmt: skip
    x = node_of(a)
    kind = x.aval.dtype if dtype is None else _dtype(dtype, "full_like")
    sizes = x.aval.shape if shape is None else ops.normalize_shape(shape, "full_like")
    return wrap(ops.broadcast_to(ops.astype(node_of(fill_value), kind), sizes))


def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return wrap(ops.identity(node_of(a)))


# --- products --------------------------------------------------------------------------------------------------------


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    return put(out, ops.dot(node_of(a), node_of(b)), "dot")


def _vdot(a: Any, b: Any, /) -> Any:
    x, y = (ops.reshape(node_of(v), (-1,)) for v in (a, b))
    return wrap(ops.dot(ops.conjugate(x) if x.aval.dtype.kind == "c" else x, y))


def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return put(out, ops.outer(node_of(a), node_of(b)), "outer")


def _einsum(*operands: Any, out: Any = None, optimize: Any = True, dtype: Any = None, order: str = "K",
            casting: str = "safe") -> Any:  # fmt: skip
    if operands and isinstance(operands[0], str):
        nodes = [operands[0], *[node_of(x) for x in operands[1:]]]
    else:
        pairs = len(operands) // 2 * 2
        nodes = [node_of(x) if i < pairs and i % 2 == 0 else x for i, x in enumerate(operands)]
    if dtype is not None:
        nodes = [ops.astype(x, _dtype(dtype, "einsum")) if isinstance(x, Node) else x for x in nodes]
    return put(out, ops.einsum(*nodes, optimize=optimize), "einsum")


# --- answers about Tensors, not Tensors ------------------------------------------------------------------------------


def _on_values(function: Callable[..., Any]) -> Handler:
    """A NumPy function whose answer has no derivative, on the values."""

    def handler(*args: Any, **kwargs: Any) -> Any:
        plain = [_plain(x) for x in args]
        return function(*plain, **{k: _plain(v) for k, v in kwargs.items()})

    return handler


def _plain(x: Any) -> Any:
    if isinstance(x, Tensor):
        return np.asarray(x.value)
    if isinstance(x, (list, tuple)):
        return type(x)([_plain(part) for part in x])
    return x


def _about(answer: Callable[[Node], Any]) -> Handler:
    return lambda a, *args: answer(node_of(a)) if not args else answer(node_of(a), *args)


def _size(x: Node, axis: Any = None) -> int:
    return x.aval.size if axis is None else x.aval.shape[axis]


def _result_type(*args: Any) -> Any:
    return np.result_type(*[x.dtype if isinstance(x, Tensor) else x for x in args])


def _of_node(function: Callable[..., Node]) -> Handler:
    """A function from nodes to a node, with NumPy's order of arguments."""

    def handler(a: Any, *args: Any, **kwargs: Any) -> Any:
        return wrap(function(node_of(a), *args, **kwargs))

    return handler


def _of_two(function: Callable[..., Node]) -> Handler:
    def handler(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        return wrap(function(node_of(a), node_of(b), *args, **kwargs))

    return handler


def _named(names: Sequence[str], make: Callable[[str], Handler]) -> dict[Any, Handler]:
    return {getattr(np, name): make(name) for name in names if hasattr(np, name)}


# Functions whose answers have no derivative, taken of the values.
ANSWERS = (
    "allclose", "argsort", "argwhere", "array2string", "array_equal", "array_equiv", "array_repr", "array_str",
    "can_cast", "flatnonzero", "isclose", "may_share_memory", "save", "savez", "searchsorted", "shares_memory",
)  # fmt: skip


def function_table() -> dict[Any, Handler]:
    """All NumPy functions, other than ufuncs, that take Tensors."""
    table: dict[Any, Handler] = {
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
        np.cumprod: _running(ops.cumprod, "cumprod"),
        np.reshape: _reshape,
        np.ravel: _ravel,
        np.transpose: _of_node(ops.transpose),
        np.swapaxes: _of_node(ops.swapaxes),
        np.moveaxis: _of_node(ops.moveaxis),
        np.rollaxis: _rollaxis,
        np.expand_dims: _of_node(ops.expand_dims),
        np.squeeze: _of_node(ops.squeeze),
        np.broadcast_to: lambda array, shape, subok=False: wrap(ops.broadcast_to(node_of(array), shape)),
        np.broadcast_arrays: _broadcast_arrays,
        np.atleast_1d: _at_least(1, "atleast_1d"),
        np.atleast_2d: _at_least(2, "atleast_2d"),
        np.atleast_3d: _at_least(3, "atleast_3d"),
        np.concatenate: _concatenate,
        np.stack: _stack,
        np.vstack: _joined(_as_row, lambda x: 0, "vstack"),
        np.hstack: _joined(_as_vector, lambda x: 0 if x.aval.ndim == 1 else 1, "hstack"),
        np.dstack: _joined(_as_plane, lambda x: 2, "dstack"),
        np.column_stack: _joined(_as_column, lambda x: 1, "column_stack"),
        np.split: _split,
        np.flip: _flip,
        np.fliplr: lambda m: _flip(m, 1),
        np.flipud: lambda m: _flip(m, 0),
        np.roll: _roll,
        np.tile: _tile,
        np.repeat: _repeat,
        np.take: _take,
        np.diagonal: _diagonal,
        np.trace: _trace,
        np.diag: _diag,
        np.tril: _triangle(np.tri, "tril"),
        np.triu: _triangle(lambda rows, columns, k: ~np.tri(rows, columns, k - 1, dtype=bool), "triu"),
        np.where: _where,
        np.nonzero: _nonzero,
        np.clip: _clip,
        np.round: _round,
        np.real: _real,
        np.imag: _imag,
        np.angle: _angle,
        np.sinc: _sinc,
        np.copy: _copy,
        np.zeros_like: _like(0),
        np.ones_like: _like(1),
        np.empty_like: _like(0),
        np.full_like: _full_like,
        np.full: _full,
        np.dot: _dot,
        np.vdot: _vdot,
        np.inner: _of_two(ops.inner),
        np.outer: _outer,
        np.tensordot: _of_two(ops.tensordot),
        np.einsum: _einsum,
        np.matrix_transpose: _of_node(ops.matrix_transpose),
        np.shape: _about(lambda x: x.aval.shape),
        np.ndim: _about(lambda x: x.aval.ndim),
        np.size: _about(_size),
        np.iscomplexobj: _about(lambda x: x.aval.dtype.kind == "c"),
        np.isrealobj: _about(lambda x: x.aval.dtype.kind != "c"),
        np.result_type: _result_type,
        np.permute_dims: _of_node(ops.transpose),
        np.astype: lambda x, dtype, /, *, copy=True, device=None: x.astype(dtype),
    }
    table.update(_named(ANSWERS, lambda name: _on_values(getattr(np, name))))
    return table
