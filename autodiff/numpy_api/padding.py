"""NumPy's ``pad``: by constants, by what repeats, by lines, by statistics, and by a function."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import check_memory, integer, word
from ..convert import as_array, describe
from ..core.avals import Aval
from ..errors import ArgumentError, DTypeError, UnsupportedError, shown
from ..nodes import Node
from ..tensor import node_of, wrap
from .calling import Handler
from .joins import TABLE as JOINS

# Paddings that repeat elements: which element of an axis goes where is what NumPy pads positions with.
REPEATING = ("edge", "reflect", "symmetric", "wrap")
STATISTICS: dict[str, Any] = {"maximum": np.max, "mean": np.mean, "median": np.median, "minimum": np.min}

# What each mode takes by name.
KEYWORDS: dict[str, tuple[str, ...]] = {
    "constant": ("constant_values",),
    "empty": (),
    "linear_ramp": ("end_values",),
    **dict.fromkeys(STATISTICS, ("stat_length",)),
    "edge": (),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
    "wrap": (),
}


def _widths(pad_width: Any, x: Aval) -> list[list[int]]:
    """How many elements are put before and after each axis."""
    if isinstance(pad_width, dict) and pad_width:
        pairs: list[Any] = [[0, 0]] * x.ndim
        for axis, pair in pad_width.items():
            pairs[ops.normalize_axis(axis, x.ndim, "pad")] = pair if isinstance(pair, (tuple, list)) else [pair, pair]
        pad_width = pairs
    try:
        given = as_array(pad_width, copy=None)
        widths: list[list[int]] = np.broadcast_to(given, (x.ndim, 2)).tolist()
    except ValueError:
        raise ArgumentError(
            f"pad({x!r}): pad_width={shown(pad_width)} must be a number, a pair, or a pair for each axis"
        ) from None
    if given.dtype.kind not in "iu":
        raise DTypeError(f"pad({x!r}): pad_width={describe(pad_width)} must be of integers")
    for width in given.ravel().tolist():
        integer(width, f"pad({x!r}): pad_width", low=0)
    return widths


def _ends(value: Any, x: Aval, what: str) -> list[list[Node]]:
    """A number for each end of each axis."""
    given = ops.broadcast_to(ops.number_in(node_of(value), x.dtype, f"pad, {what}="), (x.ndim, 2))

    def one(axis: int, end: int) -> Node:
        return ops.reshape(ops.take_slices(given, slice(axis, axis + 1), slice(end, end + 1)), ())

    return [[one(axis, end) for end in (0, 1)] for axis in range(x.ndim)]


def _beside(x: Node, axis: int, width: int) -> tuple[int, ...]:
    return (*x.aval.shape[:axis], width, *x.aval.shape[axis + 1 :])


def _between(x: Node, axis: int, before: Node, after: Node) -> Node:
    return ops.concatenate([ops.astype(part, x.aval.dtype) for part in (before, x, after)], axis)


def _constant(x: Node, widths: list[list[int]], constant_values: Any = 0) -> Node:
    fills = _ends(constant_values, x.aval, "constant_values")
    for axis, (pair, values) in enumerate(zip(widths, fills, strict=True)):
        parts = [ops.broadcast_to(v, _beside(x, axis, width)) for v, width in zip(values, pair, strict=True)]
        x = _between(x, axis, *parts)
    return x


def _repeated(x: Node, widths: list[list[int]], mode: Any) -> Node:
    for axis, pair in enumerate(widths):
        x = ops.take(x, np.pad(np.arange(x.aval.shape[axis]), pair, mode), axis)
    return x


def _odd(x: Node, widths: list[list[int]], mode: Any) -> Node:
    """Reflected at points: elements or their negatives, and multiples of those at the ends, as NumPy pads integers."""
    for axis, pair in enumerate(widths):
        size = x.aval.shape[axis]

        def padded(values: Any, pair: list[int] = pair) -> np.ndarray[Any, Any]:
            return np.pad(np.asarray(values), pair, mode, reflect_type="odd")

        places = np.arange(size)
        positions = np.pad(places, pair, mode)
        ends = [padded((places == end).astype(np.int64)) for end in dict.fromkeys((0, size - 1))]
        inner = (positions > 0) & (positions < size - 1)
        # What is left of a vector without its ends is an element, or its negative.
        signs = np.where(inner, np.sign(padded(np.where((places > 0) & (places < size - 1), places, 0))), 0)
        shape = [-1 if i == axis else 1 for i in range(x.aval.ndim)]
        if x.aval.dtype.kind in "iu":
            # Unsigned integers of 64 bits beside signed ones would be floats. They wrap around, as in NumPy.
            signs, *ends = [counts.astype(x.aval.dtype) for counts in (signs, *ends)]
        total = ops.where((signs != 0).reshape(shape), ops.take(x, positions, axis) * signs.reshape(shape), 0)
        for end, counts in zip((0, size - 1), ends, strict=False):
            edge = ops.take(x, np.array([end]), axis)
            total = total + ops.where((counts != 0).reshape(shape), edge * counts.reshape(shape), 0)
        x = ops.astype(total, x.aval.dtype)
    return x


def _ramps(x: Node, widths: list[list[int]], end_values: Any = 0) -> Node:
    ends = _ends(end_values, x.aval, "end_values")
    for axis, (pair, values) in enumerate(zip(widths, ends, strict=True)):
        size = x.aval.shape[axis]
        edges = [ops.squeeze(ops.take(x, np.array([place]), axis), (axis,)) for place in (0, size - 1)]
        left, right = [
            node_of(JOINS[np.linspace](wrap(end), wrap(edge), width, False, dtype=x.aval.dtype, axis=axis))
            for end, edge, width in zip(values, edges, pair, strict=True)
        ]
        x = _between(x, axis, left, ops.flip(right, (axis,)))
    return x


def _lengths(stat_length: Any, ndim: int) -> list[list[int | None]]:
    if stat_length is None:
        return [[None, None]] * ndim
    try:
        pairs: list[list[int | None]] = np.broadcast_to(np.asarray(stat_length, object), (ndim, 2)).tolist()
    except ValueError:
        raise ArgumentError(
            f"pad: stat_length={shown(stat_length)} must be a number, a pair, or a pair for each axis"
        ) from None
    return [[n if n is None else integer(n, "pad: stat_length", low=0) for n in pair] for pair in pairs]


def _statistics(x: Node, widths: list[list[int]], mode: str, stat_length: Any = None) -> Node:
    for axis, (pair, lengths) in enumerate(zip(widths, _lengths(stat_length, x.aval.ndim), strict=True)):
        size = x.aval.shape[axis]
        counts = [size if n is None else min(n, size) for n in lengths]
        if not all(counts) and mode in ("maximum", "minimum"):
            raise ArgumentError(f"pad: stat_length={shown(stat_length)} leaves no elements to take the {mode} of")
        parts = []
        for start, stop, width in zip((0, size - counts[1]), (counts[0], size), pair, strict=True):
            chunk = ops.take_slices(x, *[slice(None)] * axis, slice(start, stop))
            found = node_of(STATISTICS[mode](wrap(chunk), axis=axis, keepdims=True))
            found = ops.rint(found) if x.aval.dtype.kind in "iu" else found
            parts.append(ops.broadcast_to(found, _beside(x, axis, width)))
        x = _between(x, axis, *parts)
    return x


def _by_function(x: Node, widths: list[list[int]], function: Callable[..., Any], keywords: dict[str, Any]) -> Any:
    """Each vector along each axis, padded with zeros, is given to a function, which writes into its ends."""
    padded = wrap(_constant(x, widths))
    for axis, pair in enumerate(widths):
        rows = np.moveaxis(padded, axis, -1)
        for at in itertools.product(*map(range, rows.shape[:-1])):
            function(rows[at], tuple(pair), axis, keywords)
    return padded


def _pad(array: Any, pad_width: Any, mode: Any = "constant", **keywords: Any) -> Any:
    x = ops.strong(node_of(array))
    widths = _widths(pad_width, x.aval)
    check_memory([n + sum(pair) for n, pair in zip(x.aval.shape, widths, strict=True)], x.aval.dtype, "pad")
    if isinstance(mode, type):
        raise ArgumentError(f"pad: mode={describe(mode)} is a class; give a name, or a function that fills a vector")
    if callable(mode):
        return _by_function(x, widths, mode, keywords)
    unknown = set(keywords) - {*KEYWORDS[word(mode, "pad: mode", tuple(KEYWORDS))]}
    if unknown:
        raise ArgumentError(f"pad: mode={mode!r} takes no {', '.join(sorted(unknown))}")
    if mode in ("constant", "empty"):
        return wrap(_constant(x, widths, **keywords))
    for axis, pair in enumerate(widths):
        if any(pair) and not x.aval.shape[axis]:
            raise ArgumentError(f"pad({x.aval!r}, mode={mode!r}): axis {axis} is empty, and has nothing to repeat")
    if mode == "linear_ramp":
        return wrap(_ramps(x, widths, **keywords))
    if mode in STATISTICS:
        return wrap(_statistics(x, widths, mode, **keywords))
    kind = word(keywords.get("reflect_type", "even"), "pad: reflect_type", ("even", "odd"))
    if kind == "odd" and x.aval.dtype.kind == "b":
        raise UnsupportedError(
            f"pad({x.aval!r}, reflect_type='odd'): this is twice an element less another, and truths are no numbers; "
            "use .astype(int)"
        )
    return wrap(_odd(x, widths, mode) if kind == "odd" else _repeated(x, widths, mode))


TABLE: dict[Any, Handler] = {np.pad: _pad}
