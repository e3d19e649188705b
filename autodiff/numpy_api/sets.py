"""NumPy's functions of sets of elements of Tensors.

How many elements there are depends on values, which are looked at; each is then read where it stands first, so that
derivatives pass to it. What are positions and counts in NumPy are NumPy's arrays here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import flag, word
from ..convert import describe
from ..errors import ArgumentError, DTypeError
from ..nodes import Node
from ..plan import concrete, deciding, on_host
from ..tensor import node_of, wrap
from .calling import Handler, truth

# Elements compared with each other at once, at most, where sorting would round them.
FEW = 16


def _at(x: Node, positions: Any, axis: int = 0) -> Node:
    return ops.read_index(x, (*[slice(None)] * axis, positions), concrete)


def _flat(x: Any) -> Node:
    return ops.reshape(ops.strong(node_of(x)), (-1,))


def _unique(ar: Any, return_index: Any = False, return_inverse: Any = False, return_counts: Any = False,
            axis: Any = None, *, equal_nan: Any = True, sorted: Any = True) -> Any:  # fmt: skip
    x = ops.strong(node_of(ar))
    names = ("return_index", "return_inverse", "return_counts", "equal_nan", "sorted")
    given = [return_index, return_inverse, return_counts, equal_nan, sorted]
    index, inverse, counts, nan, _ = [flag(value, f"unique: {name}") for name, value in zip(names, given, strict=True)]
    place = None if axis is None else ops.normalize_axis(axis, x.aval.ndim, "unique")
    if place is None and not (index or inverse or counts) and concrete(x) is None:
        return wrap(_sorted_once(ops.reshape(x, (-1,)), nan))
    find: Any = _first_of_each if place is None and not (inverse or counts) else np.unique
    _, positions, *rest = find(deciding(x), True, inverse, counts, place, equal_nan=nan)
    values = _at(ops.reshape(x, (-1,)), positions) if place is None else _at(x, positions, place)
    if not (index or rest):
        return wrap(values)
    return (wrap(values), *([positions] if index else []), *rest)


def _first_of_each(values: Any, *_: Any, equal_nan: bool) -> Any:
    """What ``np.unique`` gives, by a sort that is several times as fast."""
    flat = np.ravel(values)
    order = np.asarray(on_host(ops.argsort(node_of(flat), 0)))
    ordered = flat[order]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: flat.size]
    if equal_nan and flat.dtype.kind in "fc":
        missing = np.isnan(ordered)
        starts[1:] &= ~(missing[1:] & missing[:-1])
    return ordered[starts], order[starts]


def _sorted_once(x: Node, equal_nan: bool) -> Node:
    """The same of values that are not known: which of those in order are new decides how many there are."""
    ordered = ops.sort(x, 0)
    after, before = _at(ordered, slice(1, None)), _at(ordered, slice(None, -1))
    new = ops.not_equal(after, before)
    if equal_nan and x.aval.dtype.kind in "fc":
        new = ops.logical_and(new, ops.logical_or(ops.equal(after, after), ops.equal(before, before)))
    starts = np.concatenate([[True], np.asarray(deciding(new))])[: x.aval.size]
    return _at(ordered, np.flatnonzero(starts))


def _result(function: Any, *wanted: str) -> Handler:
    """Functions of the Array API standard, whose results are named tuples."""

    def handler(x: Any, /) -> Any:
        parts = _unique(x, equal_nan=False, **dict.fromkeys(wanted, True))
        return type(function(np.zeros(0)))(*parts)

    return handler


def _union1d(ar1: Any, ar2: Any) -> Any:
    return _unique(wrap(_joined(_flat(ar1), _flat(ar2))))


def _joined(x: Node, y: Node) -> Node:
    dtype = ops.common_dtype([x, y])
    return ops.concatenate([ops.astype(x, dtype), ops.astype(y, dtype)], 0)


def _intersect1d(ar1: Any, ar2: Any, assume_unique: Any = False, return_indices: Any = False) -> Any:
    x, y = _flat(ar1), _flat(ar2)
    alone, indices = [
        flag(value, f"intersect1d: {name}")
        for value, name in ((assume_unique, "assume_unique"), (return_indices, "return_indices"))
    ]
    _, first, second = np.intersect1d(deciding(x), deciding(y), alone, True)
    values = wrap(_at(_joined(x, y), first))
    return (values, first, second) if indices else values


def _setdiff1d(ar1: Any, ar2: Any, assume_unique: Any = False) -> Any:
    x = _flat(ar1)
    if not flag(assume_unique, "setdiff1d: assume_unique"):
        x = node_of(_unique(wrap(x)))
    return wrap(_at(x, np.nonzero(np.isin(deciding(x), deciding(_flat(ar2)), invert=True))[0]))


def _setxor1d(ar1: Any, ar2: Any, assume_unique: Any = False) -> Any:
    x, y = _flat(ar1), _flat(ar2)
    if not flag(assume_unique, "setxor1d: assume_unique"):
        x, y = node_of(_unique(wrap(x))), node_of(_unique(wrap(y)))
    both = _joined(x, y)
    values = np.asarray(deciding(both))
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    changes = np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]) if values.size else np.zeros(1, bool)
    return wrap(_at(both, order[changes[1:] & changes[:-1]]))


def _isin(element: Any, test_elements: Any, assume_unique: Any = False, invert: Any = False, *,
          kind: Any = None) -> Any:  # fmt: skip
    x, y = ops.strong(node_of(element)), _flat(test_elements)
    flag(assume_unique, "isin: assume_unique")
    if kind is not None:
        word(kind, "isin: kind", ("sort", "table"))
    if kind == "table" and not {x.aval.dtype.kind, y.aval.dtype.kind} <= set("biu"):
        raise ArgumentError(f"isin({x.aval!r}, {y.aval!r}): kind='table' is for integers and booleans; leave it out")
    found = _is_among(x, y)
    return wrap(ops.logical_not(found) if flag(invert, "isin: invert") else found)


def _is_among(x: Node, y: Node) -> Node:
    if not y.aval.size:
        return ops.full(x.aval.shape, False, np.dtype(bool))
    dtype = ops.common_dtype([x, y])
    rounds = dtype.kind == "f" and "f" not in (x.aval.dtype.kind, y.aval.dtype.kind)
    if y.aval.size <= FEW or rounds:
        last = x.aval.ndim
        return ops.any_true(ops.equal(ops.expand_dims(x, (last,)), y), axes=(last,))
    ordered = ops.sort(ops.astype(y, dtype), 0)
    x = ops.astype(x, dtype)
    place = ops.minimum(ops.searchsorted_p(ordered, x, right=False), y.aval.size - 1)
    return ops.equal(ops.take(ordered, place, 0), x)


def _trim_zeros(filt: Any, trim: Any = "fb", axis: Any = None) -> Any:
    x = node_of(filt)
    if not isinstance(trim, str):
        raise DTypeError(f"trim_zeros: trim={describe(trim)} must be text, such as 'fb'")
    sides = word(trim.lower(), "trim_zeros: trim", ("fb", "bf", "f", "b"))
    axes = ops.normalize_axes(axis, x.aval.ndim, "trim_zeros")
    if not axes:
        return filt
    places = np.nonzero(deciding(truth(x)))
    item = [slice(None)] * x.aval.ndim
    for i in axes:
        start, stop = (int(places[i].min()), int(places[i].max()) + 1) if places[i].size else (0, 0)
        front, back = places[i].size == 0 or "f" in sides, places[i].size == 0 or "b" in sides
        item[i] = slice(start if front else None, stop if back else None)
    return filt[tuple(item)]


TABLE: dict[Any, Handler] = {
    np.unique: _unique,
    np.unique_all: _result(np.unique_all, "return_index", "return_inverse", "return_counts"),
    np.unique_counts: _result(np.unique_counts, "return_counts"),
    np.unique_inverse: _result(np.unique_inverse, "return_inverse"),
    np.unique_values: lambda x, /: _unique(x, equal_nan=False),
    np.union1d: _union1d,
    np.intersect1d: _intersect1d,
    np.setdiff1d: _setdiff1d,
    np.setxor1d: _setxor1d,
    np.isin: _isin,
    np.trim_zeros: _trim_zeros,
}
