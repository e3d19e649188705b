"""NumPy's functions that sort Tensors, and that look for places in what is sorted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import flag, integers, items, whole, word
from ..convert import as_node, describe
from ..core.avals import INT64, intern_aval
from ..errors import ArgumentError, DTypeError, IndexingError, ShapeError, shown
from ..nodes import Constant, Node
from ..plan import concrete, on_host
from ..tensor import Tensor, node_of, wrap
from .calling import Handler

KINDS = ("quicksort", "mergesort", "heapsort", "stable")


def is_stable(kind: Any, order: Any, stable: Any, name: str) -> bool:
    """Whether equal elements are to stay in their order, after how NumPy is told so."""
    if order is not None:
        raise ArgumentError(f"{name}: order={describe(order)} names fields of structured arrays, and this has none")
    if stable is not None:
        if kind is not None:
            raise ArgumentError(f"{name}: kind= and stable= say the same; give one")
        return flag(stable, f"{name}: stable")
    return kind is not None and word(kind, f"{name}: kind", KINDS) in ("stable", "mergesort")


def _line(x: Node, axis: Any, name: str) -> tuple[Node, int]:
    """What is sorted, and the axis along which; None flattens."""
    if axis is None:
        return ops.reshape(x, (-1,)), 0
    return x, ops.normalize_axis(axis, x.aval.ndim, name)


def _sorting(function: Callable[[Node, int, bool], Node], name: str) -> Handler:
    def handler(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
        x, keeps = node_of(a), is_stable(kind, order, stable, name)
        if function is ops.argsort and not x.aval.ndim:
            # NumPy sorts no number, but has the position of one.
            x = ops.reshape(x, (1,))
        return wrap(function(*_line(x, axis, name), keeps))

    return handler


def known(x: Any) -> Any:
    """An argument that a shape or an order of steps depends on: the value of a Tensor, anything else as it is."""
    return on_host(x._node) if isinstance(x, Tensor) else x


def _ranks(kth: Any, size: int, name: str) -> Node:
    """Ranks counted from the front, of an axis of some size."""
    ranks = integers(known(kth), f"{name}: kth")
    if not ranks and np.asarray(known(kth)).dtype.kind not in "iu":
        raise DTypeError(f"{name}: kth={describe(kth)} names no rank; give an integer at least")
    if size:
        for rank in ranks:
            if not -size <= rank < size:
                raise ArgumentError(f"{name}: kth={shown(rank)} is out of range for {size} elements along the axis")
    array = np.array([rank % size if size else 0 for rank in ranks], INT64)
    return Constant(intern_aval(array.shape, INT64), array)


def _partitioning(primitive: Any, name: str) -> Handler:
    def handler(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
        is_stable(None, order, None, name)
        word(kind, f"{name}: kind", ("introselect",))
        x, place = _line(node_of(a), axis, name)
        ranks = _ranks(kth, x.aval.shape[place] if x.aval.size else 0, name)
        moved = ops.moveaxis(x, place, -1)
        # Nothing is moved where there is nothing, or nobody asks.
        if not (x.aval.size and ranks.aval.size):
            ordered = (
                ops.argsort(moved, moved.aval.ndim - 1) if primitive is ops.argpartition_p else ops.identity(moved)
            )
        else:
            ordered = primitive(moved, ranks)
        return wrap(ops.moveaxis(ordered, -1, place))

    return handler


def _lexsort(keys: Any, axis: Any = -1) -> Any:
    if isinstance(keys, Tensor) and not keys.ndim:
        raise DTypeError(f"lexsort({describe(keys)}): the keys must be a sequence of arrays")
    nodes = [node_of(key) for key in items(keys, "lexsort: keys", "a sequence of arrays")]
    if not nodes:
        raise DTypeError("lexsort: there are no keys to sort by; give one at least")
    if len({x.aval.shape for x in nodes}) > 1:
        shapes = ", ".join([str(x.aval.shape) for x in nodes])
        raise ShapeError(f"lexsort: the keys have different shapes: {shapes}")
    if not nodes[0].aval.ndim:
        whole(axis, "lexsort: axis")
        return wrap(ops.full((), 0, INT64))
    place = ops.normalize_axis(axis, nodes[0].aval.ndim, "lexsort")
    # The last key decides first: each sorts what those before it have sorted.
    positions = ops.argsort(nodes[0], place)
    for key in nodes[1:]:
        further = ops.argsort(ops.take_along(key, positions, place), place)
        positions = ops.take_along(positions, further, place)
    return wrap(positions)


def _sort_complex(a: Any) -> Any:
    x = node_of(a)
    ordered = ops.sort(x, ops.normalize_axis(-1, x.aval.ndim, "sort_complex"))
    if x.aval.dtype.kind != "c":
        code = x.aval.dtype.char
        ordered = ops.astype(ordered, np.dtype("F" if code in "bhBH" else "G" if code == "g" else "D"))
    return wrap(ordered)


def _searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    x, values = ops.strong(node_of(a)), ops.strong(node_of(v))
    right = word(side, "searchsorted: side", ("left", "right")) == "right"
    if x.aval.ndim != 1:
        raise ShapeError(f"searchsorted({x.aval!r}): what is searched must have one dimension")
    if sorter is not None:
        order = node_of(sorter)
        if order.aval.dtype.kind not in "iu":
            raise DTypeError(f"searchsorted: sorter={order.aval!r} must be of integers, as np.argsort gives them")
        if order.aval.shape != x.aval.shape:
            raise ShapeError(f"searchsorted({x.aval!r}): the sorter of shape {order.aval.shape} must be as long")
        given = concrete(order)
        if given is not None and np.any(np.asarray(given) < 0):
            raise IndexingError("searchsorted: a position in sorter= is negative")
        x = ops.read_index(x, order, concrete)
    dtype = ops.common_dtype([x, values])
    return wrap(ops.searchsorted_p(ops.astype(x, dtype), ops.astype(values, dtype), right=right))


def _digitize(x: Any, bins: Any, right: Any = False) -> Any:
    values, edges = ops.strong(node_of(x)), ops.strong(node_of(bins))
    right = flag(right, "digitize: right")
    if values.aval.dtype.kind == "c" or edges.aval.dtype.kind == "c":
        raise DTypeError(f"digitize({values.aval!r}, {edges.aval!r}): complex numbers are in no bins")
    if edges.aval.ndim != 1:
        raise ShapeError(f"digitize: bins={edges.aval!r} must have one dimension")
    numbers = np.asarray(on_host(edges))
    side = "left" if right else "right"
    if not _falls(numbers):
        return _searchsorted(wrap(edges), wrap(values), side)
    found = node_of(_searchsorted(wrap(ops.flip(edges, (0,))), wrap(values), side))
    return wrap(as_node(edges.aval.size) - found)


def _falls(edges: np.ndarray[Any, Any]) -> bool:
    """Whether the edges of bins decrease; an error if they go up and down. NaN is beyond all numbers."""
    for falling, ordered in ((False, edges), (True, edges[::-1])):
        if np.array_equal(np.sort(ordered), ordered, equal_nan=ordered.dtype.kind == "f"):
            return falling
    raise ArgumentError(f"digitize: bins={describe(edges)} must increase or decrease all the way")


TABLE: dict[Any, Handler] = {
    np.sort: _sorting(ops.sort, "sort"),
    np.argsort: _sorting(ops.argsort, "argsort"),
    np.partition: _partitioning(ops.partition_p, "partition"),
    np.argpartition: _partitioning(ops.argpartition_p, "argpartition"),
    np.lexsort: _lexsort,
    np.sort_complex: _sort_complex,
    np.searchsorted: _searchsorted,
    np.digitize: _digitize,
}
