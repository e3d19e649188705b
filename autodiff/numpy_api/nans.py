"""NumPy's reductions of those elements of Tensors that are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..convert import numeric_dtype
from ..core.avals import FLOAT64, INT64
from ..errors import ArgumentError, DTypeError
from ..nodes import Node
from ..plan import concrete
from ..tensor import node_of, wrap
from .calling import NOT_GIVEN, Handler, mask, put
from .reductions import TABLE as REDUCTIONS
from .reductions import degrees


def _is_exact(x: Node) -> bool:
    """Whether elements are of a kind that has no NaN."""
    return x.aval.dtype.kind not in "fc"


def _filled(x: Node, value: Any) -> Node:
    """``x`` with a number in place of NaN."""
    return x if _is_exact(x) else ops.where(ops.isnan(x), ops.full((), value, x.aval.dtype), x)


def _numbers(x: Node, where: Any) -> Any:
    """Which elements count; True if all do."""
    if _is_exact(x):
        return where
    numbers = ops.logical_not(ops.isnan(x))
    return numbers if where is True else ops.logical_and(numbers, mask(where, "where"))


def _accumulated(function: Any, neutral: int) -> Handler:
    def handler(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
                initial: Any = NOT_GIVEN, where: Any = True) -> Any:  # fmt: skip
        x = wrap(_filled(node_of(a), neutral))
        return REDUCTIONS[function](x, axis, dtype, out, keepdims, initial, where)

    return handler


def _running(function: Any, neutral: int) -> Handler:
    def handler(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return REDUCTIONS[function](wrap(_filled(node_of(a), neutral)), axis, dtype, out)

    return handler


def _check_dtype(x: Node, dtype: Any, name: str) -> None:
    if dtype is not None and not _is_exact(x) and numeric_dtype(dtype, f"{name}: dtype").kind not in "fc":
        raise DTypeError(f"{name}({x.aval!r}): dtype={np.dtype(dtype)} has no NaN for slices without numbers")


def _nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *,
             where: Any = True) -> Any:  # fmt: skip
    x = node_of(a)
    _check_dtype(x, dtype, "nanmean")
    return REDUCTIONS[np.mean](wrap(_filled(x, 0)), axis, dtype, out, keepdims, where=_numbers(x, where))


def _spread(function: Any, name: str) -> Handler:
    def handler(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
                where: Any = True, mean: Any = NOT_GIVEN, correction: Any = NOT_GIVEN) -> Any:  # fmt: skip
        x = node_of(a)
        _check_dtype(x, dtype, name)
        free = degrees(ddof, correction, name)
        numbers = _numbers(x, where)
        given = {} if mean is NOT_GIVEN else {"mean": mean}
        result = node_of(
            REDUCTIONS[function](wrap(_filled(x, 0)), axis, dtype, None, free, keepdims, where=numbers, **given)
        )
        if not _is_exact(x):
            # As NumPy: no degrees of freedom left give NaN, where var may give an infinity.
            count = node_of(REDUCTIONS[np.sum](wrap(numbers), axis, keepdims=keepdims))
            few = ops.less_equal(ops.astype(count, FLOAT64), free)
            result = ops.where(few, ops.full((), np.nan, result.aval.dtype), result)
        return put(out, result, name)

    return handler


def _all_nan(x: Node, axis: Any, keepdims: Any, name: str, where: Any = True) -> Node:
    """Which slices have no number."""
    none = ops.isnan(x)
    if where is not True:
        none = ops.logical_or(none, ops.logical_not(where))
    return node_of(REDUCTIONS[np.all](wrap(none), axis, keepdims=keepdims))


def _extremum(function: Any, name: str, sign: int) -> Handler:
    def handler(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = NOT_GIVEN,
                where: Any = True) -> Any:  # fmt: skip
        x = node_of(a)
        given = not (initial is NOT_GIVEN or initial is np._NoValue or initial is None)
        begin = ops.number_in(node_of(initial), x.aval.dtype, f"{name}, initial=") if given else None
        start = initial if begin is None else _filled(begin, _beyond(x, sign))
        elements = wrap(_filled(x, _beyond(x, sign)))
        result = node_of(REDUCTIONS[function](elements, axis, None, keepdims, start, where))
        if not _is_exact(x):
            nothing = _all_nan(x, axis, keepdims, name, where)
            if begin is not None:
                nothing = ops.logical_and(nothing, ops.isnan(begin))
            result = ops.where(nothing, ops.full((), np.nan, x.aval.dtype), result)
        return put(out, result, name)

    return handler


def _beyond(x: Node, sign: int) -> Any:
    """What no number is further than."""
    return complex(sign * np.inf, sign * np.inf) if x.aval.dtype.kind == "c" else sign * np.inf


def _position(function: Any, name: str, sign: int) -> Handler:
    def handler(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        x = node_of(a)
        found = node_of(REDUCTIONS[function](wrap(_filled(x, _beyond(x, sign))), axis, keepdims=keepdims))
        if not _is_exact(x):
            nothing = _all_nan(x, axis, keepdims, name)
            size = x.aval.size if axis is None else x.aval.shape[axis] if x.aval.ndim else 1
            known = concrete(nothing)
            if known is None:
                # It is an error when the plan runs.
                found = ops.checked_later(ops.where(nothing, size, found), size, 0, x.aval)
            elif np.any(np.asarray(known)):
                raise ArgumentError(f"{name}({x.aval!r}, axis={axis!r}): a slice has no number, and so no position")
        return put(out, ops.astype(found, INT64), name)

    return handler


TABLE: dict[Any, Handler] = {
    np.nansum: _accumulated(np.sum, 0),
    np.nanprod: _accumulated(np.prod, 1),
    np.nancumsum: _running(np.cumsum, 0),
    np.nancumprod: _running(np.cumprod, 1),
    np.nanmean: _nanmean,
    np.nanvar: _spread(np.var, "nanvar"),
    np.nanstd: _spread(np.std, "nanstd"),
    np.nanmax: _extremum(np.max, "nanmax", -1),
    np.nanmin: _extremum(np.min, "nanmin", 1),
    np.nanargmax: _position(np.argmax, "nanargmax", -1),
    np.nanargmin: _position(np.argmin, "nanargmin", 1),
}
