"""NumPy's functions that write into what they are given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arguments import casts, flag
from ..errors import ArgumentError, DTypeError
from ..nodes import Node
from ..plan import concrete
from ..tensor import Tensor, node_of
from ..watching import lost_in
from .calling import Handler, mask, truth
from .selecting import along, positions_in


def _target(array: Any, name: str) -> Tensor:
    """What is written into: a Tensor, or a derivative would be lost."""
    if not isinstance(array, Tensor):
        raise lost_in(name, f"an object of class {type(array).__name__}")
    return array


def _repeated(values: Any, count: int) -> Node:
    """Values one after the other, from the first again when they are used up, as ``count`` elements."""
    node = ops.reshape(ops.strong(node_of(values)), (-1,))
    if node.aval.size == count or not node.aval.size:
        return node
    return ops.take(node, np.arange(count) % node.aval.size, 0)


def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    target, value = _target(dst, "copyto"), node_of(src)
    x = target._node
    if not value.aval.weak and not casts(value.aval.dtype, x.aval.dtype, casting, "copyto"):
        raise DTypeError(
            f"copyto: {value.aval!r} does not convert to {x.aval.dtype} by casting={casting!r}; use .astype"
        )
    chosen = mask(where, "copyto: where")
    result = ops.write_index(x, Ellipsis, value, concrete)
    target._rebind(result if chosen is True else ops.where(chosen, result, x), "copyto")


def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    target = _target(a, "put")
    flat = ops.reshape(target._node, (-1,))
    positions = ops.reshape(positions_in(flat, 0, ind, mode, "put"), (-1,))
    values = _repeated(v, positions.aval.size)
    if positions.aval.size and values.aval.size:
        written = ops.write_index(flat, positions, values, concrete)
        target._rebind(ops.reshape(written, target.shape), "put")


def _place(arr: Any, mask: Any, vals: Any) -> None:
    target = _target(arr, "place")
    chosen, values = _chosen(target, mask, "place"), ops.reshape(ops.strong(node_of(vals)), (-1,))
    if not values.aval.size:
        if target.size:
            raise ArgumentError("place: there are no values to place; give one at least")
        return
    # The n-th element that is chosen takes the n-th value.
    number = ops.cumsum(ops.astype(ops.reshape(chosen, (-1,)), np.dtype(np.int64))) - 1
    taken = ops.take(values, ops.remainder(number, values.aval.size), 0)
    _choose(target, chosen, taken, "place")


def _putmask(a: Any, mask: Any, values: Any) -> None:
    target = _target(a, "putmask")
    taken = _repeated(values, target.size)
    if taken.aval.size:
        _choose(target, _chosen(target, mask, "putmask"), taken, "putmask")


def _chosen(target: Tensor, mask: Any, name: str) -> Node:
    chosen = truth(node_of(mask))
    if chosen.aval.size != target.size:
        raise ArgumentError(f"{name}: a mask of shape {chosen.aval.shape} for a Tensor of shape {target.shape}")
    return ops.reshape(chosen, target.shape)


def _choose(target: Tensor, chosen: Node, values: Node, name: str) -> None:
    """Write values of as many elements where a mask is true."""
    written = ops.write_index(target._node, Ellipsis, ops.reshape(values, target.shape), concrete)
    target._rebind(ops.where(chosen, written, target._node), name)


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    target = _target(a, "fill_diagonal")
    shape = target.shape
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise ArgumentError(f"fill_diagonal: {shape} has no diagonal; two dimensions or equal sizes are needed")
    end = shape[1] ** 2 if len(shape) == 2 and not flag(wrap, "fill_diagonal: wrap") else target.size
    step = 1 + sum([math.prod(shape[:i]) for i in range(1, len(shape))]) if len(shape) > 2 else shape[1] + 1
    places = slice(0, min(end, target.size), step)
    values = _repeated(val, len(range(target.size)[places]))
    if values.aval.size:
        flat = ops.write_index(ops.reshape(target._node, (-1,)), places, values, concrete)
        target._rebind(ops.reshape(flat, shape), "fill_diagonal")


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    target = _target(arr, "put_along_axis")
    x = target._node if axis is not None else ops.reshape(target._node, (-1,))
    item = along(x, indices, 0 if axis is None else axis, "put_along_axis")
    target._rebind(ops.reshape(ops.write_index(x, item, node_of(values), concrete), target.shape), "put_along_axis")


TABLE: dict[Any, Handler] = {
    np.copyto: _copyto,
    np.put: _put,
    np.place: _place,
    np.putmask: _putmask,
    np.fill_diagonal: _fill_diagonal,
    np.put_along_axis: _put_along_axis,
}
