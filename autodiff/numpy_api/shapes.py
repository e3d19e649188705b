"""NumPy's functions that rearrange, repeat, join and split Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import check_memory, integer, integers, items, single, whole, word
from ..errors import ArgumentError, AxisError, OutOfMemoryError, ShapeError, UnsupportedError, shown
from ..machine import memory_bytes
from ..nodes import Node
from ..tensor import node_of, wrap
from .calling import Handler, converted, of_node, put


def _reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    wanted = newshape if shape is None else shape
    if wanted is None:
        raise ArgumentError("reshape: give a shape")
    return wrap(ops.reshape(node_of(a), wanted, order))


def _ravel(a: Any, order: str = "C") -> Any:
    order = word(order, "ravel: order", ("C", "F", "A", "K"))
    return wrap(ops.reshape(node_of(a), (-1,), "C" if order == "K" else order))


def _rollaxis(a: Any, axis: Any, start: Any = 0) -> Any:
    x = node_of(a)
    ndim = x.aval.ndim
    source = ops.normalize_axis(axis, ndim, "rollaxis")
    target = start + ndim if start < 0 else start
    if not 0 <= target <= ndim:
        raise AxisError(f"rollaxis: start={start} is out of range for {ndim} dimensions")
    return wrap(ops.moveaxis(x, source, target - 1 if source < target else target))


def _broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    nodes = [ops.strong(node_of(x)) for x in args]
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
        results = [wrap(one(ops.strong(node_of(x)))) for x in arys]
        return results[0] if len(results) == 1 else tuple(results)

    return handler


def _parts(arrays: Any, dtype: Any, casting: Any, name: str) -> list[Node]:
    nodes = [node_of(x) for x in (arrays if isinstance(arrays, (tuple, list)) else items(arrays, f"{name}: arrays"))]
    return nodes if dtype is None else converted(nodes, dtype, casting, name)


def _concatenate(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return put(out, ops.concatenate(_parts(arrays, dtype, casting, "concatenate"), axis), "concatenate")


def _stack(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return put(out, ops.stack(_parts(arrays, dtype, casting, "stack"), axis), "stack")


def _joined(prepare: Callable[[Node], Node], axis: Callable[[Node], int], name: str) -> Handler:
    def handler(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
        nodes = [prepare(x) for x in _parts(tup, dtype, casting, name)]
        if not nodes:
            raise ArgumentError(f"{name}: at least one array is needed")
        return wrap(ops.concatenate(nodes, axis(nodes[0])))

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


# What a Tensor takes, with its node.
PART_BYTES = 400


def _sections(indices_or_sections: Any, name: str) -> tuple[int, list[int]]:
    """How many parts are asked for, or 0 and where to cut."""
    what = f"{name}: indices_or_sections"
    if single(indices_or_sections):
        parts = integer(indices_or_sections, what, low=1)
        if parts * PART_BYTES > memory_bytes():
            raise OutOfMemoryError(f"{what}={shown(parts)} parts do not fit into memory")
        return parts, []
    return 0, integers(indices_or_sections, what)


def _split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    x = node_of(ary)
    place = ops.normalize_axis(axis, x.aval.ndim, "split")
    size = x.aval.shape[place]
    parts, cuts = _sections(indices_or_sections, "split")
    if parts:
        if size % parts:
            raise ArgumentError(
                f"split: {size} elements do not divide into {shown(parts)} equal parts; use array_split"
            )
        cuts = [size // parts * i for i in range(1, parts)]
    ends = [0, *cuts, size]
    found = []
    for i, start in enumerate(ends[:-1]):
        stop = ends[i + 1] if i + 2 < len(ends) else None
        found.append(wrap(ops.take_slices(x, *[slice(None)] * place, slice(start, stop))))
    return found


def _flip(m: Any, axis: Any = None) -> Any:
    x = node_of(m)
    return wrap(ops.flip(x, ops.normalize_axes(tuple(axis) if isinstance(axis, list) else axis, x.aval.ndim, "flip")))


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """NumPy's ``roll``."""
    x = node_of(a)
    shape = x.aval.shape
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    shifts, axes = integers(shift, "roll: shift", _shift), integers(axis, "roll: axis")
    if len(shifts) != len(axes):
        if 1 not in (len(shifts), len(axes)):
            raise ArgumentError(f"roll: {len(shifts)} shifts for {len(axes)} axes; give one for each, or one for all")
        shifts, axes = shifts * len(axes), axes * len(shifts)
    for one, place in zip(shifts, axes, strict=True):
        x = _rolled(x, one, ops.normalize_axis(place, x.aval.ndim, "roll"))
    return wrap(ops.reshape(x, shape))


def _shift(value: Any, what: str) -> int:
    """An integer, also one that a float holds."""
    return whole(int(value) if isinstance(value, (float, np.floating)) and value % 1 == 0 else value, what, True)


def _rolled(x: Node, shift: int, axis: int) -> Node:
    size = x.aval.shape[axis]
    cut = shift % size if size else 0
    if not cut:
        return x
    whole = [slice(None)] * axis
    return ops.concatenate(
        [ops.take_slices(x, *whole, slice(size - cut, None)), ops.take_slices(x, *whole, slice(0, size - cut))], axis
    )


def _tile(A: Any, reps: Any) -> Any:
    x = node_of(A)
    counts = ops.normalize_shape(reps, "tile", argument="reps")
    ndim = max(len(counts), x.aval.ndim)
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - x.aval.ndim) + x.aval.shape
    check_memory([c * size for c, size in zip(counts, shape, strict=True)], x.aval.dtype, "tile")
    doubled = ops.reshape(x, tuple([n for size in shape for n in (1, size)]))
    spread = ops.broadcast_to(doubled, tuple([n for c, size in zip(counts, shape, strict=True) for n in (c, size)]))
    return wrap(ops.reshape(spread, tuple([c * size for c, size in zip(counts, shape, strict=True)])))


def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    x = node_of(a)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    if not x.aval.ndim:
        x = ops.reshape(x, (1,))
    place = ops.normalize_axis(axis, x.aval.ndim, "repeat")
    size = x.aval.shape[place]
    # Of no elements NumPy takes any number.
    counts = integers(repeats, "repeat: repeats", functools.partial(integer, low=0) if size else integer)
    if len(counts) not in (1, size):
        raise ArgumentError(
            f"repeat({x.aval!r}, axis={axis}): {len(counts)} repeats for {size} elements; give one for each"
        )
    total = sum(counts) * (size if len(counts) == 1 else 1)
    check_memory((*x.aval.shape[:place], total, *x.aval.shape[place + 1 :]), x.aval.dtype, "repeat")
    return wrap(ops.take(x, np.repeat(np.arange(size), counts), place))


def _array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """As ``split``, where the first parts are one longer if the size does not divide."""
    parts, cuts = _sections(indices_or_sections, "array_split")
    if parts:
        x = node_of(ary)
        size = x.aval.shape[ops.normalize_axis(axis, x.aval.ndim, "array_split")]
        short, longer = divmod(size, parts)
        cuts = [short * i + min(i, longer) for i in range(1, parts)]
    return _split(ary, cuts, axis)


def _split_along(name: str, axis: Callable[[int], int], least: int) -> Handler:
    def handler(ary: Any, indices_or_sections: Any) -> Any:
        ndim = node_of(ary).aval.ndim
        if ndim < least:
            raise ArgumentError(f"{name}: an array of {ndim} dimensions; at least {least} are needed")
        return _split(ary, indices_or_sections, axis(ndim))

    return handler


def _append(arr: Any, values: Any, axis: Any = None) -> Any:
    return wrap(ops.concatenate([node_of(arr), node_of(values)], axis))


def _rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    x = node_of(m)
    places = [ops.normalize_axis(a, x.aval.ndim, "rot90") for a in items(axes, "rot90: axes")]
    if len(places) != 2 or places[0] == places[1]:
        raise ArgumentError(f"rot90: axes={shown(axes)} must be two different ones")
    first, second = places
    if k % 2:
        x = ops.swapaxes(ops.flip(x, (second,)), first, second)
    return wrap(ops.flip(x, (first, second)) if k % 4 in (2, 3) else x)


def _diff(a: Any, n: int = 1, axis: Any = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    x, n = node_of(a), integer(n, "diff: n", low=0)
    if not n:
        return wrap(ops.identity(x))
    if x.aval.ndim == 0:
        raise ArgumentError("diff: an array without dimensions has no neighbours")
    place = ops.normalize_axis(axis, x.aval.ndim, "diff")
    edge = (*x.aval.shape[:place], 1, *x.aval.shape[place + 1 :])
    ends = [None if v is np._NoValue else ops.strong(node_of(v)) for v in (prepend, append)]
    ends = [ops.broadcast_to(v, edge) if v is not None and not v.aval.ndim else v for v in ends]
    x = ops.concatenate([v for v in (ends[0], x, ends[1]) if v is not None], place)
    step = ops.not_equal if x.aval.dtype.kind == "b" else ops.subtract
    whole = [slice(None)] * place
    for _ in range(min(n, x.aval.shape[place])):
        x = step(ops.take_slices(x, *whole, slice(1, None)), ops.take_slices(x, *whole, slice(0, -1)))
    return wrap(x)


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    word(indexing, "meshgrid: indexing", ("xy", "ij"))
    nodes = [ops.reshape(ops.strong(node_of(x)), (-1,)) for x in xi]
    places = list(range(len(nodes)))
    if indexing == "xy" and len(nodes) > 1:
        places[:2] = [1, 0]
    axes = [
        ops.reshape(x, [-1 if i == place else 1 for i in range(len(nodes))])
        for x, place in zip(nodes, places, strict=True)
    ]
    return tuple([wrap(x) for x in axes]) if sparse else _broadcast_arrays(*[wrap(x) for x in axes])


# Windows of up to this size are joined from slices, one for each place in the window; longer ones from two halves, so
# that the number of operations grows as the logarithm of the size. Measured from 3 to 1,000.
LONGEST_JOINED = 32


def _windows(x: Node, size: int, axis: int, count: int) -> Node:
    """The elements from each of the first ``count`` places of an axis on, along a new last axis."""

    def part(of: Node, start: int, *last: slice) -> Node:
        whole = (slice(None),) * (of.aval.ndim - axis - 1 - len(last))
        return ops.take_slices(of, *[slice(None)] * axis, slice(start, start + count), *whole, *last)

    if not size:
        return ops.reshape(ops.take_slices(x, *[slice(None)] * axis, slice(0)), _resized(x.aval.shape, axis, count, 0))
    if size <= LONGEST_JOINED:
        return ops.stack([part(x, start) for start in range(size)], -1)
    half = size // 2
    longer = _windows(x, size - half, axis, count + half)
    # The second half is what the windows that start so much later end in.
    return ops.concatenate([part(longer, 0), part(longer, half, slice(size - 2 * half, None))], -1)


def _resized(shape: tuple[int, ...], axis: int, size: int, *more: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :], *more)


def _sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    node = node_of(x)
    if subok:
        raise UnsupportedError("sliding_window_view: subok=True is not recorded for Tensors; leave it out")
    sizes = ops.normalize_shape(window_shape, "sliding_window_view", argument="window_shape")
    ndim = node.aval.ndim
    named = range(ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [ops.normalize_axis(a, ndim, "sliding_window_view") for a in named]
    if len(axes) != len(sizes):
        raise ArgumentError(
            f"sliding_window_view({node.aval!r}): window_shape={window_shape!r} has {len(sizes)} sizes for {len(axes)} "
            "axes; give one for each, and the axes as axis="
        )
    for size, place in zip(sizes, axes, strict=True):
        count = node.aval.shape[place] - size + 1
        if count < 1:
            raise ShapeError(
                f"sliding_window_view({node.aval!r}): a window of size {shown(size)} is longer than axis {place}"
            )
        node = _windows(node, size, place, count)
    return wrap(node)


TABLE: dict[Any, Handler] = {
    np.reshape: _reshape,
    np.ravel: _ravel,
    np.transpose: of_node(ops.transpose),
    np.swapaxes: of_node(ops.swapaxes),
    np.moveaxis: of_node(ops.moveaxis),
    np.rollaxis: _rollaxis,
    np.expand_dims: of_node(ops.expand_dims),
    np.squeeze: of_node(ops.squeeze),
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
    np.array_split: _array_split,
    np.hsplit: _split_along("hsplit", lambda ndim: 0 if ndim == 1 else 1, 1),
    np.vsplit: _split_along("vsplit", lambda ndim: 0, 2),
    np.dsplit: _split_along("dsplit", lambda ndim: 2, 3),
    np.append: _append,
    np.rot90: _rot90,
    np.diff: _diff,
    np.meshgrid: _meshgrid,
    np.flip: _flip,
    np.fliplr: lambda m: _flip(m, 1),
    np.flipud: lambda m: _flip(m, 0),
    np.roll: roll,
    np.lib.stride_tricks.sliding_window_view: _sliding_window_view,
    np.tile: _tile,
    np.repeat: _repeat,
    np.matrix_transpose: of_node(ops.matrix_transpose),
    np.permute_dims: of_node(ops.transpose),
}
