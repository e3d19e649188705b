"""Primitives that only rearrange: reshape, transpose, broadcast, concatenate; and what is composed of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import integers, whole, word
from ..convert import as_node, literal
from ..core.avals import Aval, broadcast_shape, intern_aval
from ..core.parameters import Axis, Permutation, Shape
from ..core.primitives import PYTHON_TYPES, Primitive
from ..errors import ArgumentError, AxisError, DTypeError, ShapeError, shown
from ..nodes import Node
from ..operator import Operator
from .elementwise import listed, number_in, select_dtype


def normalize_axis(axis: Any, ndim: int, name: str) -> int:
    """``axis`` counted from the front; an error naming the function if there is none such."""
    number = whole(axis, f"{name}: axis")
    if not -ndim <= number < ndim:
        known = f"use {-ndim} to {ndim - 1}" if ndim else "it has no axes"
        raise AxisError(f"{name}: axis {shown(number)} is out of range for an array of {ndim} dimensions; {known}")
    return number % ndim


def normalize_axes(axis: Any, ndim: int, name: str) -> tuple[int, ...]:
    """A sorted tuple of axes from None (all), an integer or a tuple of integers."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, list):
        raise DTypeError(f"{name}: axis={shown(axis)} must be an integer or a tuple of them; write tuple(axis)")
    if not isinstance(axis, tuple):
        axis = (axis,)
    axes = tuple([normalize_axis(a, ndim, name) for a in axis])
    if len(set(axes)) != len(axes):
        raise ArgumentError(f"{name}: axis={axis!r} names an axis twice; name each once")
    return tuple(sorted(axes))


def normalize_shape(
    shape: Any, name: str, of: tuple[int, ...] | None = None, argument: str = "shape"
) -> tuple[int, ...]:
    """A tuple of sizes from an integer or a sequence; one -1 is inferred if the shape it is made ``of`` is given."""
    size = None if of is None else math.prod(of)
    plain = type(shape) is tuple and set(map(type, shape)) <= {int}
    if plain and min(shape, default=0) >= 0 and (size is None or math.prod(shape) == size):
        # The common case: what is asked for is a shape.
        return shape  # type: ignore[no-any-return]
    sizes = [*shape] if plain else integers(shape, f"{name}: {argument}")
    wanted = tuple(sizes)
    unknown = [i for i, n in enumerate(sizes) if n == -1]
    if size is not None and len(unknown) == 1:
        rest = math.prod(n for n in sizes if n != -1)
        if rest and size % rest == 0:
            sizes[unknown[0]] = size // rest
    if of is None and any(n < 0 for n in sizes):
        raise ShapeError(f"{name}: {argument}={shown(wanted)} must be of integers of at least 0")
    if of is not None and (any(n < 0 for n in sizes) or math.prod(sizes) != size):
        raise ShapeError(
            f"{name}: the array of shape {of} (size {size}) cannot be made to have shape {shown(wanted)}; "
            f"the sizes must give {size} elements, and one of them may be -1"
        )
    return tuple(sizes)


def _infer_reshape(primitive: Primitive, x: Aval, *, shape: tuple[int, ...]) -> Aval:
    return intern_aval(shape, x.dtype)


reshape_p = Operator(
    "reshape",
    _infer_reshape,
    params={"shape": Shape},
    kind="view",
    view=True,
    meaning=lambda xp, x, shape: xp.reshape(x, shape),
)


def reshape(x: Node, shape: Any, order: str = "C") -> Node:
    """The elements of ``x`` in another shape, read and written in C or Fortran order."""
    sizes = normalize_shape(shape, "reshape", x.aval.shape)
    if word(order, "reshape: order", ("C", "F", "A")) == "F":
        reversed_axes = transpose(x, tuple(range(x.aval.ndim))[::-1])
        return transpose(reshape(reversed_axes, sizes[::-1]), tuple(range(len(sizes)))[::-1])
    return x if sizes == x.aval.shape and not x.aval.weak else reshape_p(x, shape=sizes)


def _infer_transpose(primitive: Primitive, x: Aval, *, axes: tuple[int, ...]) -> Aval:
    return intern_aval(tuple([x.shape[a] for a in axes]), x.dtype)


transpose_p = Operator(
    "transpose",
    _infer_transpose,
    params={"axes": Permutation},
    kind="view",
    view=True,
    meaning=lambda xp, x, axes: xp.permute_dims(x, axes),
)


def transpose(x: Node, axes: Any = None) -> Node:
    """``x`` with its axes in another order; reversed if none is given."""
    ndim = x.aval.ndim
    if axes is None:
        order = tuple(range(ndim))[::-1]
    else:
        if not isinstance(axes, (tuple, list)):
            axes = integers(axes, "transpose: axes")
        order = tuple([normalize_axis(a, ndim, "transpose") for a in axes])
        if sorted(order) != list(range(ndim)):
            raise ArgumentError(
                f"transpose: axes={tuple(axes)!r} is no permutation of the {ndim} axes of the array; name each once"
            )
    return x if order == tuple(range(ndim)) else transpose_p(x, axes=order)


def matrix_transpose(x: Node) -> Node:
    """The last two axes exchanged."""
    if x.aval.ndim < 2:
        raise ShapeError(f"matrix_transpose({x.aval!r}): the array needs at least two dimensions")
    ndim = x.aval.ndim
    return transpose_p(x, axes=(*range(ndim - 2), ndim - 1, ndim - 2))


def swapaxes(x: Node, axis1: Any, axis2: Any) -> Node:
    """Two axes exchanged."""
    order = list(range(x.aval.ndim))
    i, j = (normalize_axis(a, x.aval.ndim, "swapaxes") for a in (axis1, axis2))
    order[i], order[j] = order[j], order[i]
    return transpose(x, order)


def moveaxis(x: Node, source: Any, destination: Any) -> Node:
    """Axes ``source`` moved to the places ``destination``, the others in order."""
    ndim = x.aval.ndim
    pairs = []
    for axes in (source, destination):
        axes = (axes,) if not isinstance(axes, (tuple, list)) else axes
        pairs.append([normalize_axis(a, ndim, "moveaxis") for a in axes])
    if len(pairs[0]) != len(pairs[1]) or len(set(pairs[0])) != len(pairs[0]) or len(set(pairs[1])) != len(pairs[1]):
        raise ArgumentError(
            f"moveaxis: source={source!r} and destination={destination!r} must name equally many different axes"
        )
    order = [a for a in range(ndim) if a not in pairs[0]]
    for to, axis in sorted(zip(pairs[1], pairs[0], strict=True)):
        order.insert(to, axis)
    return transpose(x, order)


def _infer_broadcast_to(primitive: Primitive, x: Aval, *, shape: tuple[int, ...]) -> Aval:
    return intern_aval(shape, x.dtype)


broadcast_to_p = Operator(
    "broadcast_to",
    _infer_broadcast_to,
    params={"shape": Shape},
    kind="view",
    view=True,
    core="->",
    meaning=lambda xp, x, shape: xp.broadcast_to(x, shape),
)


def broadcast_to(x: Node, shape: Any) -> Node:
    """``x`` repeated along new and size-1 axes."""
    sizes = normalize_shape(shape, "broadcast_to")
    if sizes == x.aval.shape:
        return x
    try:
        fits = broadcast_shape(x.aval.shape, sizes) == sizes
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"broadcast_to({x.aval!r}): an array of shape {x.aval.shape} does not broadcast to {shown(sizes)}; "
            "aligned at the last axis, its sizes must be the same or 1"
        )
    return broadcast_to_p(x, shape=sizes)


def expand_dims(x: Node, axis: Any) -> Node:
    """Axes of size 1 inserted, at places counted in the result."""
    wanted = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    ndim = x.aval.ndim + len(wanted)
    sizes = list(x.aval.shape)
    for a in normalize_axes(wanted, ndim, "expand_dims"):
        sizes.insert(a, 1)
    return reshape(x, tuple(sizes))


def squeeze(x: Node, axis: Any = None) -> Node:
    """Axes of size 1 removed: all, or those named."""
    shape = x.aval.shape
    if axis is None:
        return reshape(x, tuple([n for n in shape if n != 1]))
    if not shape and isinstance(axis, (int, np.integer)) and axis in (0, -1):
        return x
    axes = normalize_axes(axis, len(shape), "squeeze")
    for a in axes:
        if shape[a] != 1:
            raise ShapeError(f"squeeze({x.aval!r}): axis {a} has size {shape[a]}, and only size 1 can be removed")
    return reshape(x, tuple([n for i, n in enumerate(shape) if i not in axes]))


def full(shape: tuple[int, ...], value: Any, dtype: np.dtype[Any]) -> Node:
    """A constant array of one number, known to the compiler as such."""
    return broadcast_to(literal(PYTHON_TYPES[dtype.kind](value), dtype), shape)


def zeros(aval: Aval) -> Node:
    """Zeros of a shape and dtype."""
    return _repeated(0, aval)


def _repeated(value: int, aval: Aval) -> Node:
    number = literal(PYTHON_TYPES[aval.dtype.kind](value), None if aval.weak else aval.dtype)
    return broadcast_to_p(number, shape=aval.shape) if aval.shape else number


def zeros_like(x: Node) -> Node:
    """Zeros of the shape and dtype of ``x``."""
    return zeros(x.aval)


def is_zeros(x: Node) -> bool:
    """Whether a node is known to be zeros, as ``zeros`` makes them."""
    if x.primitive is broadcast_to_p:
        (x,) = x.inputs
    return x.aval.spec is None and x.aval.literal is not None and x.aval.literal == 0


def ones_like(x: Node) -> Node:
    """Ones of the shape and dtype of ``x``."""
    return _repeated(1, x.aval)


def common_dtype(nodes: Sequence[Node]) -> np.dtype[Any]:
    """What arrays of several dtypes are joined in; Python scalars are weak."""
    return select_dtype(*[n.aval for n in nodes])


def _infer_concatenate(primitive: Primitive, *avals: Aval, axis: int) -> Aval:
    first = avals[0].shape
    for aval in avals:
        if len(aval.shape) != len(first) or aval.shape[:axis] + aval.shape[axis + 1 :] != (
            first[:axis] + first[axis + 1 :]
        ):
            raise ShapeError(
                f"concatenate({listed(avals)}, axis={axis}): all sizes but that of axis {axis} must be equal"
            )
    return intern_aval((*first[:axis], sum(a.shape[axis] for a in avals), *first[axis + 1 :]), avals[0].dtype)


concatenate_p = Operator(
    "concatenate",
    _infer_concatenate,
    params={"axis": Axis},
    cheap=True,
    meaning=lambda xp, *arrays, axis: xp.concat(arrays, axis=axis),
)


def concatenate(arrays: Sequence[Any], axis: Any = 0) -> Node:
    """Arrays joined along an existing axis; ``axis=None`` flattens them first."""
    nodes = [as_node(x) for x in arrays]
    if not nodes:
        raise ArgumentError("concatenate: at least one array is needed")
    if axis is None:
        nodes = [reshape(x, (-1,)) for x in nodes]
        axis = 0
    if any(x.aval.ndim == 0 for x in nodes):
        raise ShapeError(
            f"concatenate({listed(tuple([x.aval for x in nodes]))}): zero-dimensional arrays have no axis to join "
            "along; np.stack joins along a new one"
        )
    wanted = common_dtype(nodes)
    nodes = [number_in(x, wanted, "concatenate") for x in nodes]
    return concatenate_p(*nodes, axis=normalize_axis(axis, nodes[0].aval.ndim, "concatenate"))


def stack(arrays: Sequence[Any], axis: Any = 0) -> Node:
    """Arrays of one shape joined along a new axis."""
    nodes = [as_node(x) for x in arrays]
    if not nodes:
        raise ArgumentError("stack: at least one array is needed")
    if any(x.aval.shape != nodes[0].aval.shape for x in nodes):
        raise ShapeError(f"stack({listed(tuple([x.aval for x in nodes]))}): all arrays must have the same shape")
    place = normalize_axis(axis, nodes[0].aval.ndim + 1, "stack")
    return concatenate([expand_dims(x, place) for x in nodes], place)
