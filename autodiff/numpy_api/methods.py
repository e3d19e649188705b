"""Methods of NumPy's ufuncs on Tensors: ``reduce``, ``accumulate``, ``reduceat``, ``outer``, ``at``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..convert import numeric_dtype
from ..dispatch import FUNCTIONS, UFUNCS
from ..errors import ArgumentError, DTypeError, IndexingError, ShapeError, UnsupportedError
from ..nodes import Node
from ..plan import concrete, on_host
from ..tensor import Tensor, node_of, wrap
from ..watching import lost_in
from .calling import converted, mask, put
from .ufuncs import call

# What functions of NumPy do, with their own derivatives.
REDUCE: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
ACCUMULATE: dict[np.ufunc, Callable[..., Any]] = {np.add: np.cumsum, np.multiply: np.cumprod}

# What may be computed in any order: of n elements in log2(n) steps.
ASSOCIATIVE: tuple[np.ufunc, ...] = (
    np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2, np.hypot, np.gcd,
    np.lcm, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.logical_and, np.logical_or, np.logical_xor,
)  # fmt: skip
# What is computed one element after the other, in n steps.
IN_ORDER: tuple[np.ufunc, ...] = (
    np.subtract, np.divide, np.floor_divide, np.remainder, np.fmod, np.power, np.float_power, np.arctan2, np.copysign,
    np.nextafter, np.heaviside, np.left_shift, np.right_shift,
)  # fmt: skip
FOLDED = frozenset(ASSOCIATIVE + IN_ORDER)


def _no_method(ufunc: np.ufunc, method: str) -> UnsupportedError:
    return UnsupportedError(
        f"np.{ufunc.__name__}.{method} is not recorded for Tensors: those of ufuncs are that make one number of two"
    )


def _operand(ufunc: np.ufunc, x: Any, dtype: Any, name: str) -> Node:
    """What a method works on, in the dtype of its result."""
    node = ops.strong(node_of(x))
    if dtype is not None:
        (node,) = converted([node], dtype, "unsafe", name)
    return ops.astype(node, UFUNCS[ufunc](node, node).aval.dtype)


# --- along an axis ---------------------------------------------------------------------------------------------------


def _slices(x: Node, axis: int) -> list[Node]:
    return [ops.take_range(x, axis, i, i + 1) for i in range(x.aval.shape[axis])]


def _folded(ufunc: np.ufunc, x: Node, axis: int) -> Node:
    """All along an axis, which has elements, in one; the axis is kept."""
    function = UFUNCS[ufunc]
    if ufunc in IN_ORDER:
        first, *rest = _slices(x, axis)
        for part in rest:
            first = function(first, part)
        return first
    while (n := x.aval.shape[axis]) > 1:
        half = n // 2
        pairs = function(ops.take_range(x, axis, 0, half), ops.take_range(x, axis, half, 2 * half))
        x = ops.concatenate([pairs, ops.take_range(x, axis, n - 1, n)], axis) if n % 2 else pairs
    return x


def _running(ufunc: np.ufunc, x: Node, axis: int) -> Node:
    """All results along an axis."""
    function = UFUNCS[ufunc]
    if not x.aval.size:
        return x
    if ufunc in IN_ORDER:
        first, *rest = _slices(x, axis)
        results = [first]
        for part in rest:
            results.append(function(results[-1], part))
        return ops.concatenate(results, axis)
    n, step = x.aval.shape[axis], 1
    while step < n:
        pairs = function(ops.take_range(x, axis, 0, n - step), ops.take_range(x, axis, step, n))
        x = ops.concatenate([ops.take_range(x, axis, 0, step), pairs], axis)
        step *= 2
    return x


def _reduce(ufunc: np.ufunc, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """``ufunc.reduce(x, axis=0, dtype=None, out=None, keepdims=False, initial, where)``."""
    names = ("axis", "dtype", "out", "keepdims", "initial", "where")
    arguments = {**dict(zip(names, inputs[1:], strict=False)), **keywords}
    arguments.setdefault("axis", 0)
    out = arguments.pop("out", None)
    name = f"{ufunc.__name__}.reduce"
    function = REDUCE.get(ufunc)
    if function is None:
        return put(out, _reduced(ufunc, inputs[0], name, **arguments), name)
    dtype = arguments.pop("dtype", None) if function not in (np.sum, np.prod) else None
    if function in (np.all, np.any):
        arguments.pop("initial", None)
    result = FUNCTIONS[function](inputs[0], **arguments)._node
    if dtype is not None:
        result = ops.astype(result, numeric_dtype(dtype, f"{ufunc.__name__}: dtype"))
    return put(out, result, name)


def _reduced(
    ufunc: np.ufunc,
    x: Any,
    name: str,
    axis: Any = 0,
    dtype: Any = None,
    keepdims: Any = False,
    initial: Any = np._NoValue,
    where: Any = True,
) -> Node:
    if ufunc not in FOLDED:
        raise _no_method(ufunc, "reduce")
    node = _operand(ufunc, x, dtype, name)
    axes = ops.normalize_axes(axis, node.aval.ndim, name)
    if len(axes) > 1 and ufunc in IN_ORDER:
        raise ArgumentError(f"{name}: the order of elements matters, so that one axis may be given, not {axis!r}")
    given = initial is not np._NoValue and initial is not None
    start = ufunc.identity if initial is np._NoValue else initial
    if where is not True:
        if start is None:
            raise ArgumentError(f"{name}: where= needs initial=, since there is no neutral element")
        chosen = ops.broadcast_to(mask(where, f"{name}: where"), node.aval.shape)
        if ufunc in IN_ORDER:
            return _from_first(ufunc, node, axes, keepdims, start, _slices(chosen, *axes))
        node = ops.where(chosen, node, _number(ufunc.identity if ufunc.identity is not None else start, node))
    if not axes:
        return node
    size = [node.aval.shape[i] for i in axes]
    if 0 in size:
        if start is None:
            raise ShapeError(f"{name}({node.aval!r}): there is no element, and no neutral one")
        kept = ops.reduced_shape(node.aval.shape, axes, keepdims=True)
        node = ops.broadcast_to(_number(start, node), kept)
    else:
        if given and ufunc in IN_ORDER:
            return _from_first(ufunc, node, axes, keepdims, start, itertools.repeat(None))
        for i in axes:
            node = _folded(ufunc, node, i)
        if given:
            node = UFUNCS[ufunc](_number(start, node), node)
    return node if keepdims else ops.squeeze(node, axes)


def _from_first(
    ufunc: np.ufunc, x: Node, axes: tuple[int, ...], keepdims: Any, first: Any, chosen: Iterable[Node | None]
) -> Node:
    """One element after the other, from a first value on; where there are masks, those that they choose."""
    found = ops.broadcast_to(_number(first, x), ops.reduced_shape(x.aval.shape, axes, keepdims=True))
    for part, is_one in zip(_slices(x, *axes), chosen, strict=False):
        changed = UFUNCS[ufunc](found, part)
        found = changed if is_one is None else ops.where(is_one, changed, found)
    return found if keepdims else ops.squeeze(found, axes)


def _number(value: Any, beside: Node) -> Node:
    node = node_of(value)
    if node.aval.dtype.kind == "c" and beside.aval.dtype.kind != "c":
        raise DTypeError(f"initial={node.aval!r} does not go into {beside.aval!r}; take its real part")
    return ops.astype(ops.strong(node), beside.aval.dtype)


def _accumulate(ufunc: np.ufunc, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """``ufunc.accumulate(x, axis=0, dtype=None, out=None)``."""
    name = f"{ufunc.__name__}.accumulate"
    arguments = {"axis": 0, **dict(zip(("axis", "dtype", "out"), inputs[1:], strict=False)), **keywords}
    out = arguments.pop("out", None)
    axis = ops.normalize_axis(arguments["axis"], node_of(inputs[0]).aval.ndim, name)
    if ufunc in ACCUMULATE:
        return put(out, FUNCTIONS[ACCUMULATE[ufunc]](inputs[0], **arguments)._node, name)
    if ufunc not in FOLDED:
        raise _no_method(ufunc, "accumulate")
    return put(out, _running(ufunc, _operand(ufunc, inputs[0], arguments.get("dtype"), name), axis), name)


def _reduceat(ufunc: np.ufunc, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """``ufunc.reduceat(x, indices, axis=0, dtype=None, out=None)``."""
    name = f"{ufunc.__name__}.reduceat"
    if ufunc not in FOLDED:
        raise _no_method(ufunc, "reduceat")
    names = ("indices", "axis", "dtype", "out")
    arguments = {"axis": 0, "dtype": None, "out": None, **dict(zip(names, inputs[1:], strict=False)), **keywords}
    dtype = arguments["dtype"]
    if dtype is None and ufunc in (np.add, np.multiply):
        dtype = ops.sum_dtype(node_of(inputs[0]).aval.dtype)
    x = _operand(ufunc, inputs[0], dtype, name)
    axis = ops.normalize_axis(arguments["axis"], x.aval.ndim, name)
    starts = _positions(arguments["indices"], x.aval.shape[axis], name)
    ends = [*starts[1:], x.aval.shape[axis]]
    if ufunc is np.add and all(i < j for i, j in zip(starts, ends, strict=True)):
        return put(arguments["out"], _sums(x, axis, starts), name)
    parts = [ops.take_range(x, axis, i, max(i + 1, j)) for i, j in zip(starts, ends, strict=True)]
    whole = [_folded(ufunc, part, axis) for part in parts]
    return put(arguments["out"], ops.concatenate(whole or [ops.take_range(x, axis, 0, 0)], axis), name)


def _positions(indices: Any, size: int, name: str) -> list[int]:
    found = np.asarray(_known(indices))
    if found.dtype.kind not in "iu" or found.ndim != 1:
        raise DTypeError(f"{name}: indices must be a vector of integers, not {found.dtype} of shape {found.shape}")
    wrong = found[(found < 0) | (found >= size)]
    if wrong.size:
        raise IndexingError(f"{name}: index {wrong[0]} is out of range for an axis of {size}")
    return found.tolist()  # type: ignore[no-any-return]


def _sums(x: Node, axis: int, starts: Sequence[int]) -> Node:
    """Sums of the parts that begin at these places, each of which ends where the next one begins."""
    front = ops.take_range(ops.moveaxis(x, axis, 0), 0, starts[0], x.aval.shape[axis]) if starts else x
    numbers = np.repeat(np.arange(len(starts)), np.diff([*starts, x.aval.shape[axis]]))
    none = ops.full((len(starts), *front.aval.shape[1:]), 0, x.aval.dtype)
    return ops.moveaxis(ops.add_index(none, numbers, front, concrete), 0, axis)


# --- pairs and places ------------------------------------------------------------------------------------------------


def _outer(ufunc: np.ufunc, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """``ufunc.outer(x, y)``: all pairs of elements."""
    if ufunc.nin != 2 or ufunc.signature is not None:
        raise _no_method(ufunc, "outer")
    x, y = (ops.strong(node_of(v)) for v in inputs)
    spread = ops.reshape(x, x.aval.shape + (1,) * y.aval.ndim)
    return call(ufunc, (wrap(spread), wrap(y)), keywords)


def _at(ufunc: np.ufunc, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """``ufunc.at(t, index, values)`` in place, repeated positions each time."""
    name = f"{ufunc.__name__}.at"
    target, item, *values = inputs
    if not isinstance(target, Tensor):
        raise lost_in(name, f"an object of class {type(target).__name__}")
    if ufunc.nout != 1 or ufunc.signature is not None or ufunc not in UFUNCS:
        raise _no_method(ufunc, "at")
    index = tuple([x._node if isinstance(x, Tensor) else x for x in item]) if isinstance(item, tuple) else item
    index = index._node if isinstance(index, Tensor) else index
    if ufunc in (np.add, np.subtract):
        node = node_of(values[0])
        node = ops.negative(node) if ufunc is np.subtract else node
        target._rebind(ops.add_index(target._node, index, node, concrete), name)
    else:
        target._rebind(_changed(ufunc, target._node, index, [node_of(v) for v in values], name), name)


def _changed(ufunc: np.ufunc, x: Node, index: Any, values: Sequence[Node], name: str) -> Node:
    """``x`` with elements changed one after the other: the first time that each is, the second time, and so on."""
    numbers = np.arange(x.aval.size).reshape(x.aval.shape)
    known = tuple([_known(i) for i in index]) if isinstance(index, tuple) else _known(index)
    try:
        places = np.asarray(numbers[known])
    except IndexError as error:
        raise IndexingError(f"{name}: {error}") from None
    values = [ops.reshape(ops.broadcast_to(v, places.shape), (-1,)) for v in values]
    places = places.reshape(-1)
    order = np.argsort(places, kind="stable")
    first = np.searchsorted(places[order], places[order])
    time = np.empty(places.size, np.intp)
    time[order] = np.arange(places.size) - first
    flat = ops.reshape(x, (-1,))
    for k in range(time.max(initial=-1) + 1):
        chosen = np.flatnonzero(time == k)
        parts = [ops.read_index(v, chosen, concrete) for v in values]
        found = UFUNCS[ufunc](ops.read_index(flat, places[chosen], concrete), *parts)
        (found,) = converted([found], x.aval.dtype, "same_kind", name)
        flat = ops.write_index(flat, places[chosen], found, concrete)
    return ops.reshape(flat, x.aval.shape)


def _known(entry: Any) -> Any:
    """The value of what may be a Tensor or a node."""
    node = entry._node if isinstance(entry, Tensor) else entry
    return on_host(node) if isinstance(node, Node) else entry


METHODS: dict[str, Callable[..., Any]] = {
    "__call__": call,
    "reduce": _reduce,
    "accumulate": _accumulate,
    "outer": _outer,
    "at": _at,
    "reduceat": _reduceat,
}
