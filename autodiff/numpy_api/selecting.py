"""NumPy's functions that read parts, choose, round and fill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import ORDERS, check_memory, items, word
from ..convert import as_array, as_node, numeric_dtype
from ..core.avals import INT64, intern_aval
from ..errors import ArgumentError, DTypeError, IndexingError, UnsupportedError
from ..nodes import Constant, Node
from ..plan import concrete, deciding
from ..registry import backend_of
from ..tensor import Tensor, node_of, wrap
from .calling import NOT_GIVEN, Handler, put, truth
from .reductions import TABLE as REDUCTIONS


def _take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    x = node_of(a)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    if not x.aval.ndim:
        x = ops.reshape(x, (1,))
    place = ops.normalize_axis(axis, x.aval.ndim, "take")
    positions = positions_in(x, place, indices, mode, "take")
    return put(out, ops.read_index(x, (*[slice(None)] * place, positions), concrete), "take")


def positions_in(x: Node, axis: int, indices: Any, mode: Any, name: str) -> Node:
    """Positions along an axis, those beyond it brought back as ``mode`` says."""
    word(mode, f"{name}: mode", ("raise", "wrap", "clip"))
    positions = _integers(indices, name)
    if mode == "raise" or not positions.aval.size:
        return positions
    size = x.aval.shape[axis]
    if not size:
        raise IndexingError(f"{name}({x.aval!r}, axis={axis}): the axis is empty, and nothing can be taken from it")
    if isinstance(positions, Constant) and positions.slot is None:
        # Of no Tensor: what is known is done now.
        return as_node(positions.value % size if mode == "wrap" else np.clip(positions.value, 0, size - 1))
    if mode == "wrap":
        return ops.remainder(positions, size)
    return ops.minimum(ops.maximum(positions, 0), size - 1)


def _integers(indices: Any, name: str) -> Node:
    """Positions as int64: a boolean counts as 0 or 1, as where NumPy converts."""
    if isinstance(indices, Tensor) or backend_of(indices) is not None:
        given = ops.strong(node_of(indices))
        dtype = given.aval.dtype
    else:
        array = as_array(indices)
        # An empty list has no dtype of its own.
        dtype = array.dtype if array.size or isinstance(indices, np.ndarray) else INT64
        given = Constant(intern_aval(array.shape, INT64), array.astype(INT64))
    if not np.can_cast(dtype, INT64, "safe"):
        raise DTypeError(f"{name}: indices of dtype {dtype} do not convert to int64 safely; use .astype(int)")
    return ops.astype(given, INT64)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """NumPy's ``diagonal``."""
    x = node_of(a)
    if x.aval.ndim < 2:
        raise ArgumentError(f"diagonal({x.aval!r}): needs at least two dimensions")
    moved = ops.moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = moved.aval.shape[-2:]
    offset = min(max(offset, -rows), columns)
    first = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0)))) + max(-offset, 0)
    item = (*[slice(None)] * (moved.aval.ndim - 2), first, first + offset)
    return wrap(ops.read_index(moved, item, concrete))


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """NumPy's ``trace``."""
    return REDUCTIONS[np.sum](diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype, out=out)


def _diag(v: Any, k: int = 0) -> Any:
    x = node_of(v)
    if x.aval.ndim == 2:
        return diagonal(v, k)
    if x.aval.ndim != 1:
        raise ArgumentError(f"diag({x.aval!r}): needs one or two dimensions")
    size = x.aval.size + abs(k)
    check_memory((size, size), x.aval.dtype, "diag")
    places = np.arange(x.aval.size)
    square = ops.full((size, size), 0, x.aval.dtype)
    return wrap(ops.write_index(square, (places + max(-k, 0), places + max(k, 0)), x, concrete))


def _triangle(keep: Callable[..., Any], name: str) -> Handler:
    def handler(m: Any, k: int = 0) -> Any:
        x = node_of(m)
        if x.aval.ndim < 1:
            raise ArgumentError(f"{name}: needs at least one dimension")
        rows, columns = (x.aval.shape * 2)[-2:] if x.aval.ndim == 1 else x.aval.shape[-2:]
        k = min(max(k, -rows - 1), columns + 1)
        return wrap(ops.where(node_of(keep(rows, columns, k)), x, ops.full((), 0, x.aval.dtype)))

    return handler


def _where(condition: Any, x: Any = NOT_GIVEN, y: Any = NOT_GIVEN, /) -> Any:
    if x is NOT_GIVEN or y is NOT_GIVEN:
        if x is not NOT_GIVEN:
            raise ArgumentError("where: give both x and y, or neither")
        return _nonzero(condition)
    return wrap(ops.where(truth(node_of(condition)), node_of(x), node_of(y)))


def _nonzero(a: Any) -> Any:
    x = node_of(a)
    if not x.aval.ndim:
        raise ArgumentError(f"nonzero({x.aval!r}): an array without dimensions has no positions; use np.atleast_1d")
    # How many there are is known on the host only, as with any index made of them.
    return np.nonzero(deciding(truth(x)))


def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None,
          **keywords: Any) -> Any:  # fmt: skip
    low = a_min if min is None else min
    high = a_max if max is None else max
    x = node_of(a)
    if keywords:
        raise UnsupportedError(f"clip: the keyword {sorted(keywords)[0]!r} is not supported for Tensors; leave it out")
    if x.aval.dtype.kind in "iu":
        # A Python integer beyond what the dtype holds is no bound.
        limits = np.iinfo(x.aval.dtype)
        low = None if type(low) is int and low <= limits.min else low
        high = None if type(high) is int and high >= limits.max else high
    if low is None and high is None and x.aval.dtype.kind == "b":
        raise DTypeError(f"clip({x.aval!r}): booleans are not clipped without bounds")
    if low is not None and high is not None and not x.aval.weak:
        # The dtype is that of all three at once, which two steps need not lead to.
        bounds = [bound._node if isinstance(bound, Tensor) else as_node(bound) for bound in (low, high)]
        x = ops.astype(x, ops.common_dtype([x, *bounds]))
    for bound, limited in ((low, ops.maximum), (high, ops.minimum)):
        if bound is not None:
            x = limited(x, bound._node if isinstance(bound, Tensor) else as_node(bound, x.aval))
    return put(out, ops.identity(x), "clip")


MOST_DECIMALS = 308


def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    x = node_of(a)
    if decimals >= 0 and x.aval.dtype.kind in "iu":
        return put(out, ops.identity(x), "round")
    if decimals == 0:
        return put(out, ops.rint(x), "round")
    if x.aval.dtype.kind == "b":
        raise DTypeError(f"round({x.aval!r}): booleans have no decimals")
    # Beyond the largest power of ten NumPy takes infinity.
    scale = node_of(10.0 ** abs(decimals) if abs(decimals) <= MOST_DECIMALS else np.inf)
    # As NumPy: one tenth is not a number, so that tens are divided by, and multiplied with afterwards.
    rounded = ops.rint(x * scale) / scale if decimals > 0 else ops.rint(x / scale) * scale
    return put(out, ops.astype(rounded, x.aval.dtype), "round")


def _real(val: Any) -> Any:
    x = node_of(val)
    return wrap(ops.real(x) if x.aval.dtype.kind == "c" else ops.identity(x))


def _imag(val: Any) -> Any:
    x = node_of(val)
    return wrap(ops.imag(x) if x.aval.dtype.kind == "c" else ops.zeros_like(x))


def _angle(z: Any, deg: bool = False) -> Any:
    x = node_of(z)
    result = ops.arctan2(ops.imag(x), ops.real(x)) if x.aval.dtype.kind == "c" else ops.arctan2(0, x)
    return wrap(ops.degrees(result) if deg else result)


def _sinc(x: Any) -> Any:
    node = node_of(x)
    return wrap(ops.sinc(ops.astype(node, ops.default_float(node)), order=0))


def _like(value: Any) -> Handler:
    def handler(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
                device: Any = None) -> Any:  # fmt: skip
        x = node_of(a)
        word(order, "zeros_like: order", ORDERS)
        kind = x.aval.dtype if dtype is None else numeric_dtype(dtype, "zeros_like: dtype")
        sizes = x.aval.shape if shape is None else ops.normalize_shape(shape, "zeros_like")
        check_memory(sizes, kind, "zeros_like")
        return Tensor(np.full(sizes, value, kind), dtype=kind if kind.kind in "biu" else None, copy=False)

    return handler


def _full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    """``np.full(shape, t, like=t)``; without ``like=`` NumPy takes the value of ``t`` and asks nobody."""
    x = ops.strong(node_of(fill_value))
    word(order, "full: order", ORDERS)
    x = x if dtype is None else ops.astype(x, numeric_dtype(dtype, "full: dtype"))
    sizes = ops.normalize_shape(shape, "full")
    check_memory(sizes, x.aval.dtype, "full")
    return wrap(ops.broadcast_to(x, sizes))


def _full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
               device: Any = None) -> Any:  # fmt: skip
    x = node_of(a)
    word(order, "full_like: order", ORDERS)
    kind = x.aval.dtype if dtype is None else numeric_dtype(dtype, "full_like: dtype")
    sizes = x.aval.shape if shape is None else ops.normalize_shape(shape, "full_like")
    check_memory(sizes, kind, "full_like")
    x = node_of(fill_value)
    if x.aval.weak and x.aval.dtype.kind == "i":
        x = ops.number_in(x, kind, "full_like")
    return wrap(ops.broadcast_to(ops.astype(x, kind), sizes))


def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    word(order, "copy: order", ORDERS)
    return wrap(ops.identity(node_of(a)))


def _compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    x = node_of(a)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    if not x.aval.ndim:
        x = ops.reshape(x, (1,))
    place = ops.normalize_axis(axis, x.aval.ndim, "compress")
    chosen = np.asarray(deciding(truth(node_of(condition))))
    if chosen.ndim != 1:
        raise ArgumentError(f"compress: the condition has {chosen.ndim} dimensions, and must have one")
    item = (*[slice(None)] * place, np.nonzero(chosen)[0])
    return put(out, ops.read_index(x, item, concrete), "compress")


def _extract(condition: Any, arr: Any) -> Any:
    return _compress(wrap(ops.reshape(node_of(condition), (-1,))), arr)


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    conditions, choices = items(condlist, "select: condlist"), items(choicelist, "select: choicelist")
    if len(conditions) != len(choices) or not conditions:
        raise ArgumentError(f"select: {len(conditions)} conditions for {len(choices)} choices; give one for each")
    choices = [node_of(x) for x in (*choices, default)]
    dtype = ops.common_dtype(choices)
    *choices, result = [ops.astype(x, dtype) for x in choices]
    for condition, choice in zip(conditions[::-1], choices[::-1], strict=True):
        mask = node_of(condition)
        if mask.aval.dtype.kind != "b":
            raise DTypeError(f"select: the condition {mask.aval!r} is not boolean")
        result = ops.where(mask, choice, result)
    return wrap(result)


def _take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    x = node_of(arr)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    return wrap(ops.read_index(x, along(x, indices, axis, "take_along_axis"), concrete))


def along(x: Node, indices: Any, axis: Any, name: str) -> tuple[Any, ...]:
    """The index of one position along an axis for each place of the others."""
    positions = node_of(indices)
    place = ops.normalize_axis(axis, x.aval.ndim, name)
    if positions.aval.ndim != x.aval.ndim or positions.aval.dtype.kind not in "iu":
        raise ArgumentError(
            f"{name}({x.aval!r}, {positions.aval!r}): the indices must be integers of as many dimensions"
        )
    item: list[Any] = []
    for i, n in enumerate(x.aval.shape):
        others = [n if i == j else 1 for j in range(x.aval.ndim)]
        item.append(positions if i == place else np.arange(n).reshape(others))
    return tuple(item)


TABLE: dict[Any, Handler] = {
    np.take: _take,
    np.diagonal: diagonal,
    np.trace: trace,
    np.diag: _diag,
    np.tril: _triangle(np.tri, "tril"),
    np.triu: _triangle(lambda rows, columns, k: ~np.tri(rows, columns, k - 1, dtype=bool), "triu"),
    np.where: _where,
    np.nonzero: _nonzero,
    np.clip: _clip,
    np.compress: _compress,
    np.extract: _extract,
    np.select: _select,
    np.take_along_axis: _take_along_axis,
    np.round: _round,
    np.around: _round,
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
}
if hasattr(np, "astype"):  # NumPy 2.1
    TABLE[np.astype] = lambda x, dtype, /, *, copy=True, device=None: x.astype(dtype)
