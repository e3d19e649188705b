"""NumPy's functions that put arrays together of parts, take parts out of them, and call a function for each part."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import check_memory, flag, integer, integers
from ..convert import describe, numeric_dtype
from ..core.avals import FLOAT64
from ..errors import ArgumentError, DTypeError, IndexingError, ShapeError
from ..nodes import Node
from ..plan import concrete, deciding
from ..tensor import Tensor, node_of, wrap
from .calling import Handler
from .creation import joined
from .selecting import TABLE as SELECTING


def _at_least(x: Node, ndim: int) -> Node:
    return ops.reshape(x, (1,) * (ndim - x.aval.ndim) + x.aval.shape)


# --- blocks ----------------------------------------------------------------------------------------------------------


def _depth(arrays: Any, path: str) -> int:
    """How deep lists are nested, which must be the same everywhere."""
    if isinstance(arrays, tuple):
        raise DTypeError(
            f"block: {path} is a tuple; only lists arrange blocks, and an array of a tuple is np.array of it"
        )
    if not isinstance(arrays, list):
        return 0
    if not arrays:
        raise ArgumentError(f"block: the list at {path} is empty")
    depths = {_depth(part, f"{path}[{i}]") for i, part in enumerate(arrays)}
    if len(depths) > 1:
        raise ArgumentError(f"block: the lists in {path} are nested to different depths, {sorted(depths)}")
    return 1 + depths.pop()


def _leaves(arrays: Any) -> list[Node]:
    if isinstance(arrays, list):
        return [leaf for part in arrays for leaf in _leaves(part)]
    return [ops.strong(node_of(arrays))]


def _block(arrays: Any) -> Any:
    depth = _depth(arrays, "arrays")
    leaves = _leaves(arrays)
    ndim = max(depth, *[x.aval.ndim for x in leaves])
    rest = iter(leaves)

    def arranged(part: Any, level: int) -> Node:
        if not isinstance(part, list):
            return _at_least(next(rest), ndim)
        return ops.concatenate([arranged(x, level - 1) for x in part], ndim - level)

    return wrap(ops.identity(arranged(arrays, depth)))


# --- parts put in and taken out --------------------------------------------------------------------------------------


def _plain(obj: Any) -> Any:
    """Where something is put in or taken out: values, since sizes depend on them."""
    if isinstance(obj, Tensor):
        return np.asarray(deciding(obj._node))
    return obj


def _moved(function: Callable[..., Any], *arguments: Any) -> np.ndarray[Any, Any]:
    """What NumPy's function does to positions; its errors as ours."""
    try:
        return np.asarray(function(*arguments))
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        # NumPy asks a truth for its dimensions, which it has none of.
        kind = IndexingError if isinstance(error, (IndexError, AttributeError)) else ArgumentError
        raise kind(f"{function.__name__}: {error}") from None


def _flat(arr: Any, axis: Any, name: str) -> tuple[Node, int]:
    x = ops.strong(node_of(arr))
    if axis is None:
        x = x if x.aval.ndim == 1 else ops.reshape(x, (-1,))
        return x, 0
    return x, ops.normalize_axis(axis, x.aval.ndim, name)


def _insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    x, place = _flat(arr, axis, "insert")
    size = x.aval.shape[place]
    obj = _plain(obj)
    given = node_of(values)
    if given.aval.dtype.kind == "c" and x.aval.dtype.kind != "c":
        raise DTypeError(f"insert: values={given.aval!r} do not go into {x.aval!r}; take their real part")
    given = ops.astype(given, x.aval.dtype)
    count = _moved(np.insert, np.arange(size), obj, 0).size - size
    if not isinstance(obj, slice) and np.size(obj) == 1 and count == 1:
        # At one place as many are put in as there are along the axis; a number says that they come without it.
        given = _at_least(given, x.aval.ndim)
        if not np.ndim(obj):
            given = ops.moveaxis(given, 0, place)
        count = given.aval.shape[place]
    order = _moved(np.insert, np.arange(size), obj, np.arange(size, size + count))
    wanted = (*x.aval.shape[:place], count, *x.aval.shape[place + 1 :])
    extra = given.aval.ndim - len(wanted)
    if extra > 0 and given.aval.shape[:extra] == (1,) * extra:
        given = ops.reshape(given, given.aval.shape[extra:])
    return wrap(ops.take(ops.concatenate([x, ops.broadcast_to(given, wanted)], place), order, place))


def _delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    x, place = _flat(arr, axis, "delete")
    kept = _moved(np.delete, np.arange(x.aval.shape[place]), _plain(obj))
    return wrap(ops.take(x, kept, place))


def _resize(a: Any, new_shape: Any) -> Any:
    x = ops.reshape(ops.strong(node_of(a)), (-1,))
    shape = ops.normalize_shape(new_shape, "resize", argument="new_shape")
    check_memory(shape, x.aval.dtype, "resize")
    size = int(np.prod(shape, dtype=np.int64))
    if not x.aval.size or not size:
        return wrap(ops.full(shape, 0, x.aval.dtype))
    if size <= x.aval.size:
        return wrap(ops.reshape(ops.take_slices(x, slice(0, size)), shape))
    return wrap(ops.reshape(ops.take(x, np.arange(size) % x.aval.size, 0), shape))


def _unstack(x: Any, /, *, axis: Any = 0) -> Any:
    node = ops.strong(node_of(x))
    if not node.aval.ndim:
        raise ShapeError(f"unstack({node.aval!r}): an array without dimensions has no axis")
    place = ops.normalize_axis(axis, node.aval.ndim, "unstack")
    whole = [slice(None)] * place
    return tuple([wrap(ops.read_index(node, (*whole, i), concrete)) for i in range(node.aval.shape[place])])


def _diagflat(v: Any, k: int = 0) -> Any:
    return SELECTING[np.diag](wrap(ops.reshape(ops.strong(node_of(v)), (-1,))), k)


def _ix(*args: Any) -> Any:
    found = []
    for i, given in enumerate(args):
        node = ops.strong(node_of(given))
        if node.aval.ndim != 1:
            raise ShapeError(f"ix_: {node.aval!r} must be a vector")
        if node.aval.dtype.kind == "b":
            node = node_of(np.flatnonzero(deciding(node)))
        found.append(wrap(ops.reshape(node, [-1 if i == j else 1 for j in range(len(args))])))
    return tuple(found)


# --- numbers in steps ------------------------------------------------------------------------------------------------


def _steps(start: Node, stop: Node, num: int, endpoint: bool) -> tuple[Node, Node]:
    """Numbers in equal steps along a new first axis, and the step, which is NaN where there is none."""
    dtype = np.result_type(ops.common_dtype([start, stop]), float(num))
    first, last = ops.strong(start), ops.strong(stop)
    delta = ops.astype(last, dtype) - ops.astype(first, dtype)
    count = num - 1 if endpoint else num
    at = node_of(np.arange(num, dtype=dtype).reshape(-1, *[1] * delta.aval.ndim))
    if count > 0:
        step: Node = delta / count
        # A step below the smallest number is zero.
        whole: Node = ops.where(ops.equal(step, 0), (at / count) * delta, at * step) + first
    else:
        step = ops.full((), np.nan, FLOAT64)
        whole = at * delta + first
    if endpoint and num > 1:
        end = ops.broadcast_to(ops.astype(last, whole.aval.dtype), whole.aval.shape[1:])
        whole = ops.concatenate([ops.take_slices(whole, slice(0, -1)), ops.expand_dims(end, 0)], 0)
    return ops.astype(whole, dtype), step


def _numbers(num: Any, name: str) -> int:
    count = integer(num, f"{name}: num", low=0)
    check_memory((count,), FLOAT64, name)
    return count


def _linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: Any = True,
    retstep: Any = False,
    dtype: Any = None,
    axis: Any = 0,
    *,
    device: Any = None,
) -> Any:
    first, last = node_of(start), node_of(stop)
    found, step = _steps(first, last, _numbers(num, "linspace"), flag(endpoint, "linspace: endpoint"))
    result: Node = ops.moveaxis(found, 0, ops.normalize_axis(axis, found.aval.ndim, "linspace"))
    if dtype is not None:
        kind = numeric_dtype(dtype, "linspace: dtype")
        result = ops.astype(ops.floor(result) if kind.kind in "iu" else result, kind)
    return (wrap(result), wrap(step)) if flag(retstep, "linspace: retstep") else wrap(result)


def _logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, base: Any = 10.0, dtype: Any = None, axis: Any = 0
) -> Any:
    first, last, root = node_of(start), node_of(stop), node_of(base)
    if root.aval.ndim:
        ndim = max(first.aval.ndim, last.aval.ndim, root.aval.ndim)
        first, last, root = [_at_least(ops.strong(x), ndim) for x in (first, last, root)]
        root = ops.expand_dims(root, axis)
    count, ends = _numbers(num, "logspace"), flag(endpoint, "logspace: endpoint")
    exponents = node_of(_linspace(wrap(first), wrap(last), count, ends, axis=axis))
    found: Node = root**exponents
    return wrap(found if dtype is None else ops.astype(found, numeric_dtype(dtype, "logspace: dtype")))


def _geomspace(start: Any, stop: Any, num: Any = 50, endpoint: Any = True, dtype: Any = None, axis: Any = 0) -> Any:
    """Numbers in equal ratios; both ends must be numbers other than zero, or what is between is infinite or NaN."""
    count, endpoint = _numbers(num, "geomspace"), flag(endpoint, "geomspace: endpoint")
    first, last = node_of(start), node_of(stop)
    asked = FLOAT64 if dtype is None else numeric_dtype(dtype, "geomspace: dtype")
    kind = np.result_type(ops.common_dtype([first, last]), float(count), asked)
    wanted = kind if dtype is None else asked
    first, last = ops.astype(ops.strong(first), kind), ops.astype(ops.strong(last), kind)
    for end, name in ((start, "start"), (stop, "stop")):
        if not isinstance(end, Tensor) and not np.all(end):
            raise ArgumentError(f"geomspace: {name} has a zero, and there is no ratio to zero")
    sign = ops.sign(first)
    start_, stop_ = first / sign, last / sign
    found = node_of(_logspace(wrap(ops.log10(start_)), wrap(ops.log10(stop_)), count, endpoint, dtype=kind))
    # The ends are those given, not powers of ten.
    parts = [found]
    if count:
        shape = found.aval.shape[1:]
        parts = [ops.expand_dims(ops.broadcast_to(start_, shape), 0), ops.take_slices(found, slice(1, None))]
        if count > 1 and endpoint:
            end = ops.expand_dims(ops.broadcast_to(stop_, shape), 0)
            parts = [parts[0], ops.take_slices(found, slice(1, -1)), end]
    result = ops.concatenate(parts, 0) * sign
    return wrap(ops.astype(ops.moveaxis(result, 0, ops.normalize_axis(axis, result.aval.ndim, "geomspace")), wanted))


# --- a function for each part ----------------------------------------------------------------------------------------


def _check_callable(function: Any, what: str) -> None:
    if not callable(function):
        raise ArgumentError(f"{what}={describe(function)} is not callable; give a function of arrays")


def _apply_along_axis(func1d: Callable[..., Any], axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    _check_callable(func1d, "apply_along_axis: func1d")
    x = ops.strong(node_of(arr))
    place = ops.normalize_axis(axis, x.aval.ndim, "apply_along_axis")
    rows = ops.moveaxis(x, place, -1)
    around = rows.aval.shape[:-1]
    if not np.prod(around, dtype=np.int64):
        raise ArgumentError(f"apply_along_axis({x.aval!r}, axis={place}): there are no slices to call a function for")
    found = [
        joined(func1d(wrap(ops.read_index(rows, (*at, Ellipsis), concrete)), *args, **kwargs))
        for at in itertools.product(*map(range, around))
    ]
    first = found[0].aval
    found = [ops.astype(ops.broadcast_to(part, first.shape), first.dtype) for part in found]
    whole = ops.reshape(ops.stack(found, 0), (*around, *first.shape))
    ndim, inner = whole.aval.ndim, first.ndim
    order = [*range(place), *range(ndim - inner, ndim), *range(place, ndim - inner)]
    return wrap(ops.transpose(whole, order))


def _apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    _check_callable(func, "apply_over_axes: func")
    found = ops.strong(node_of(a))
    ndim = found.aval.ndim
    for axis in integers(axes, "apply_over_axes: axes"):
        place = axis + ndim if axis < 0 else axis
        result = joined(func(wrap(found), place))
        if result.aval.ndim != found.aval.ndim:
            result = ops.expand_dims(result, place)
        if result.aval.ndim != found.aval.ndim:
            raise ArgumentError(
                f"apply_over_axes: the function gave {result.aval!r} for {found.aval!r} and axis {place}; it must keep "
                "the axis at size 1, or remove it"
            )
        found = result
    return wrap(found)


TABLE: dict[Any, Handler] = {
    np.block: _block,
    np.insert: _insert,
    np.delete: _delete,
    np.resize: _resize,
    np.diagflat: _diagflat,
    np.ix_: _ix,
    np.linspace: _linspace,
    np.logspace: _logspace,
    np.geomspace: _geomspace,
    np.apply_along_axis: _apply_along_axis,
    np.apply_over_axes: _apply_over_axes,
}
if hasattr(np, "unstack"):  # NumPy 2.1
    TABLE[np.unstack] = _unstack
