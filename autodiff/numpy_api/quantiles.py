"""NumPy's medians and quantiles of Tensors, of all elements or of those that are numbers.

A quantile lies between two neighbours in order: what it weighs them with depends on ``q``, and has a derivative by it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import ops
from ..arguments import flag, word
from ..callers import caller
from ..convert import as_node, describe, literal
from ..core.avals import FLOAT64, INT64, LINE
from ..errors import ArgumentError, DTypeError, IndexingError, ShapeError
from ..nodes import Constant, Node
from ..plan import concrete
from ..recipe import Composite
from ..tensor import node_of
from .calling import Handler, put

# How many elements there are, as a number or for each line.
Count = Node | int


# --- where a quantile is among sorted elements -----------------------------------------------------------------------


def _between(q: Node, n: Any, alpha: float, beta: float) -> Node:
    """Hyndman and Fan 1996, counted from 0."""
    place: Node = n * q + (alpha + q * (1 - alpha - beta)) - 1
    return place


def _next_unless(place: Node, stays: Callable[[Node, Node], Node]) -> Node:
    """The position after the one at or below a place, unless that stays itself."""
    low = ops.floor(place)
    return ops.maximum(ops.where(stays(place - low, low), low, low + 1), 0)


def _is_whole(gamma: Node, low: Node) -> Node:
    return ops.equal(gamma, 0)


def _is_odd(gamma: Node, low: Node) -> Node:
    return ops.logical_and(ops.equal(gamma, 0), ops.equal(ops.remainder(low, 2), 1))


def _midpoint(q: Node, n: Any) -> Node:
    place = (n - 1) * q
    return 0.5 * (ops.floor(place) + ops.ceil(place))


def _half_at(gamma: Node) -> Node:
    return ops.where(ops.equal(gamma, 0), 0.5, 1.0)


def _half_between(gamma: Node) -> Node:
    return ops.where(ops.equal(gamma, 0), 0.0, 0.5)


# Where a quantile is, and the weight of the upper of the two neighbours; None if it is one of the elements. (A named
# tuple takes 0.2 ms of the import.)
Method = tuple[Callable[[Node, Any], Node], Callable[[Node], Node] | None]

METHODS: dict[str, Method] = {
    "inverted_cdf": (lambda q, n: _next_unless(n * q - 1, _is_whole), None),
    "averaged_inverted_cdf": (lambda q, n: n * q - 1, _half_at),
    "closest_observation": (lambda q, n: _next_unless(n * q - 1 - 0.5, _is_odd), None),
    "interpolated_inverted_cdf": (lambda q, n: _between(q, n, 0, 1), lambda gamma: gamma),
    "hazen": (lambda q, n: _between(q, n, 0.5, 0.5), lambda gamma: gamma),
    "weibull": (lambda q, n: _between(q, n, 0, 0), lambda gamma: gamma),
    "linear": (lambda q, n: (n - 1) * q, lambda gamma: gamma),
    "median_unbiased": (lambda q, n: _between(q, n, 1 / 3, 1 / 3), lambda gamma: gamma),
    "normal_unbiased": (lambda q, n: _between(q, n, 3 / 8, 3 / 8), lambda gamma: gamma),
    "lower": (lambda q, n: ops.floor((n - 1) * q), None),
    "higher": (lambda q, n: ops.ceil((n - 1) * q), None),
    "midpoint": (_midpoint, _half_between),
    "nearest": (lambda q, n: ops.rint((n - 1) * q), None),
}


def _neighbours(q: Node, n: Count, method: str) -> tuple[list[Node], Node | None]:
    """The positions of the elements that quantiles are made of, and the weight of the second one if there are two."""
    where, weigh = METHODS[method]
    place = where(q, n)
    last: Any = ops.maximum(n, 1) - 1 if isinstance(n, Node) else n - 1
    low = ops.minimum(ops.maximum(ops.floor(place), 0), last)
    first = ops.astype(low, INT64)
    # Of whole numbers NumPy takes elements as they are.
    if weigh is None or (method == "linear" and place.aval.dtype.kind in "iu"):
        return [first], None
    above = ops.where(ops.less(place, 0), low, ops.minimum(low + 1, last))
    weight = weigh(place - low)
    weight = weight * 1.0 if place.aval.weak else ops.astype(weight, place.aval.dtype)
    return [first, ops.astype(above, INT64)], weight


def _interpolated(a: Node, b: Node, weight: Node, kind: np.dtype[Any] | None = None) -> Node:
    """From ``a`` to ``b``, each of them exactly at its end, as NumPy computes it; with weights of a dtype."""
    t: Node = weight
    rest: Node = 1 - weight
    if kind is not None:
        t, rest = ops.astype(t, kind), ops.astype(rest, kind)
    dtype = (a * t).aval.dtype
    if a.aval.dtype.kind in "iu" and a.aval.dtype.itemsize < 8:
        # The difference of small integers may be none of these.
        a, b = ops.astype(a, INT64), ops.astype(b, INT64)
    step = b - a
    return ops.astype(ops.where(ops.greater_equal(weight, 0.5), b - step * rest, a + step * t), dtype)


def _nan_where(condition: Node, x: Node) -> Node:
    """``x``, and NaN where a condition holds, in the derivative, too."""
    if x.aval.dtype.kind == "c":
        return ops.where(condition, np.nan, x)
    return x * ops.where(condition, ops.full((), np.nan, x.aval.dtype), ops.full((), 1, x.aval.dtype))


# --- arguments -------------------------------------------------------------------------------------------------------


class Asked:
    """A reduction: the lines of elements, the axes that these were, and the shape of what is reduced."""

    __slots__ = ("axes", "kept", "lines", "shape")

    def __init__(self, x: Node, axes: tuple[int, ...]):
        self.axes = axes
        self.shape = x.aval.shape
        self.lines, self.kept = ops.lines(x, axes)

    def result(self, x: Node, keepdims: Any, leading: tuple[int, ...] = ()) -> Node:
        """Results in NumPy's shape, ``leading`` being that of what was asked for."""
        rest = [1 if i in self.axes else n for i, n in enumerate(self.shape)] if keepdims else self.kept
        return ops.reshape(x, (*leading, *rest))


def asked(a: Any, axis: Any, name: str) -> Asked:
    """The lines along axes."""
    x = ops.strong(node_of(a))
    return Asked(x, ops.normalize_axes(axis, x.aval.ndim, name))


class Shares:
    """Quantiles from 0 to 1, and which of those given are not; None if all are known to be."""

    __slots__ = ("name", "outside", "q")

    def __init__(self, q: Node, outside: Node | None, name: str):
        self.q = q
        self.outside = outside
        self.name = name

    def flat(self) -> Shares:
        """The same one after another; a Python number stays one."""
        outside = None if self.outside is None else ops.reshape(self.outside, (-1,))
        return Shares(self.q if self.q.aval.weak else ops.reshape(self.q, (-1,)), outside, self.name)

    def check(self, positions: Node, x: Node) -> Node:
        """Positions of quantiles along the last axis; an error when a plan runs for what is outside."""
        if self.outside is None:
            return positions
        n = x.aval.shape[-1]
        what = f"{x.aval!r}, of which {self.name} at {caller().line} was asked for a quantile that is not in range"
        wrong = ops.where(self.outside, n, positions)
        return ops.in_range(wrong, Constant(LINE, what), size=n, axis=x.aval.ndim - 1)


def _checked_q(q: Any, scale: int, name: str) -> Shares:
    node = node_of(q)
    if node.aval.dtype.kind not in "biuf":
        raise DTypeError(f"{name}: q={describe(q)} must be of real numbers")
    if node.aval.ndim > 2:
        raise ShapeError(f"{name}: q={describe(q)} has more than two dimensions; give a number or a vector")
    if node.aval.dtype.kind == "b":
        node = ops.astype(node, INT64)
    known, outside = concrete(node), None
    if known is None:
        # Nobody knows them yet.
        outside = ops.logical_not(ops.logical_and(ops.greater_equal(node, 0), ops.less_equal(node, scale)))
        node = ops.where(outside, 0, node)
    elif not np.all((np.asarray(known) >= 0) & (np.asarray(known) <= scale)):
        raise ArgumentError(f"{name}: q={describe(q)} must be in the range [0, {scale}]")
    return Shares(node if scale == 1 else ops.divide(node, scale), outside, name)


def _checked_method(method: Any, interpolation: Any, weights: Any, name: str) -> str:
    if interpolation is not None:
        # Up to NumPy 2.3.
        warnings.warn(f"{name}: interpolation= is now called method=", DeprecationWarning, stacklevel=5)
        if method != "linear":
            raise ArgumentError(f"{name}: interpolation= and method= are two names for one thing; give one")
        method = interpolation
    word(method, f"{name}: method", tuple(METHODS))
    if weights is not None and method != "inverted_cdf":
        raise ArgumentError(f"{name}: method={method!r} takes no weights; use method='inverted_cdf'")
    return str(method)


# --- quantiles -------------------------------------------------------------------------------------------------------


def _of_lines(x: Node, shares: Shares, method: str) -> Node:
    """Quantiles of each line, NaN where there is one among its elements."""
    n = x.aval.shape[-1]
    positions, weight = _neighbours(shares.q, n, method)
    flat = [ops.reshape(shares.check(p, x), (-1,)) for p in positions]
    count = flat[0].aval.size
    ends = [as_node(np.array([n - 1]))] if x.aval.dtype.kind == "f" else []
    found = ops.ranked_p(x, ops.concatenate([*flat, *ends], 0) if len(flat) + len(ends) > 1 else flat[0])
    last = found.aval.ndim - 1
    parts = [ops.take_range(found, last, i * count, (i + 1) * count) for i in range(len(flat))]
    result = parts[0]
    if weight is not None:
        if x.aval.dtype.kind == "b":
            raise DTypeError(f"{x.aval!r}: there is nothing between booleans; use method='inverted_cdf'")
        result = _interpolated(parts[0], parts[1], weight if weight.aval.weak else ops.reshape(weight, (-1,)))
    if ends:
        size = found.aval.shape[last]
        result = _nan_where(ops.isnan(ops.take_range(found, last, size - 1, size)), result)
    return result


def _of_numbers(x: Node, shares: Shares, method: str) -> Node:
    """Quantiles of those elements of each line that are numbers."""
    last = x.aval.ndim - 1
    count = ops.expand_dims(ops.sum(ops.astype(ops.logical_not(ops.isnan(x)), INT64), (last,)), (last,))
    shares = shares.flat()
    q, weak = shares.q, shares.q.aval.weak
    if q.aval.dtype.kind == "f":
        count = ops.astype(count, FLOAT64 if weak else q.aval.dtype)
    positions, weight = _neighbours(q, count, method)
    ordered = ops.sort(x, last)
    shape = (*x.aval.shape[:-1], q.aval.size)
    parts = [ops.take_along(ordered, shares.check(ops.broadcast_to(p, shape), x), last) for p in positions]
    if weight is None:
        return parts[0]
    return _interpolated(parts[0], parts[1], weight, x.aval.dtype if weak else None)


def _weights_of(weights: Any, of: Asked, axis: Any, name: str) -> tuple[Node, bool]:
    """Weights of the elements of each line, and whether it is known that they are good."""
    w = ops.strong(node_of(weights))
    if w.aval.dtype.kind not in "biuf":
        raise DTypeError(f"{name}: weights={w.aval!r} must be of real numbers")
    if w.aval.shape != of.shape:
        if axis is None:
            raise DTypeError(f"{name}: weights of shape {w.aval.shape} for elements of shape {of.shape} need axis=")
        order = axis if isinstance(axis, tuple) else (axis,)
        named = [ops.normalize_axis(i, len(of.shape), name) for i in order]
        if w.aval.shape != tuple([of.shape[i] for i in named]):
            raise ShapeError(f"{name}: weights of shape {w.aval.shape} do not fit axis={axis!r} of shape {of.shape}")
        w = ops.transpose(w, sorted(range(len(named)), key=named.__getitem__))
        w = ops.broadcast_to(ops.reshape(w, (-1,)), of.lines.aval.shape)
    else:
        w, _ = ops.lines(w, of.axes)
    known = concrete(w)
    if known is not None and np.any(np.asarray(known) < 0):
        raise ArgumentError(f"{name}: weights must not be negative")
    return w, known is not None


def _weighted(x: Node, shares: Shares, w: Node, known: bool, skips: bool) -> Node:
    """The first element whose share, with that of all below it, is ``q``; of the numbers only if NaN is skipped."""
    last, n = x.aval.ndim - 1, x.aval.shape[-1]
    if skips:
        w = ops.where(ops.isnan(x), 0, w)
    order = ops.argsort(x, last)
    sums = ops.cumsum(ops.take_along(w, order, last), last, FLOAT64)
    total = ops.take_range(sums, last, n - 1, n)
    bad = ops.logical_not(ops.logical_and(ops.greater(total, 0), ops.isfinite(total)))
    if skips:
        nothing = ops.all_true(ops.isnan(x), axes=(last,))
        bad = ops.logical_and(bad, ops.logical_not(ops.expand_dims(nothing, (last,))))
    if known and bool(np.any(np.asarray(concrete(bad)))):
        raise ArgumentError(f"{shares.name}: weights must be numbers, some of them not 0 in each line")
    q = ops.reshape(ops.strong(shares.q), (-1,))
    sums = sums / ops.where(bad, 1, total)
    if q.aval.dtype.kind == "f":
        sums = ops.astype(sums, q.aval.dtype)
    # What has no weight is not the quantile 0.
    sums = ops.where(ops.equal(sums, 0), -1, sums)
    below = ops.less(ops.expand_dims(sums, (last,)), ops.expand_dims(q, (1,)))
    place = ops.minimum(ops.sum(ops.astype(below, INT64), (last + 1,)), n - 1)
    result = ops.take_along(ops.take_along(x, order, last), shares.flat().check(place, x), last)
    if x.aval.dtype.kind == "f":
        negative = ops.any_true(ops.less(w, 0), axes=(last,))
        bad = ops.logical_or(bad, ops.expand_dims(negative, (last,)))
        if not skips:
            bad = ops.logical_or(bad, ops.expand_dims(ops.any_true(ops.isnan(x), axes=(last,)), (last,)))
        result = _nan_where(bad, result)
    return result


@lru_cache(64)
def _recorded(function: Callable[..., Node], method: str) -> Composite:
    """Quantiles that are known to be in range, with what they record done once."""
    return Composite(lambda x, q: function(x, Shares(q, None, ""), method))


def _quantile(name: str, scale: int, skips: bool) -> Handler:
    def handler(a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False,
                method: Any = "linear", keepdims: Any = False, *, weights: Any = None,
                interpolation: Any = None) -> Any:  # fmt: skip
        flag(overwrite_input, f"{name}: overwrite_input")
        method = _checked_method(method, interpolation, weights, name)
        if node_of(a).aval.dtype.kind == "c":
            raise DTypeError(f"{name}({describe(a)}): complex numbers have no quantiles; take their real parts")
        of = asked(a, axis, name)
        x, shares = of.lines, _checked_q(q, scale, name)
        kind = x.aval.dtype.kind
        leading, count = shares.q.aval.shape, shares.q.aval.size
        n = x.aval.shape[-1]
        if not n and not skips:
            raise IndexingError(f"{name}: no elements along axis={axis!r} of shape {of.shape}")
        if not n:
            result = ops.full((*of.kept, count), np.nan, ops.default_float(x))
        elif weights is not None:
            w, known = _weights_of(weights, of, axis, name)
            result = _weighted(x, shares, w, known, skips and kind == "f")
        else:
            function = _of_numbers if skips and kind == "f" else _of_lines
            known = shares.outside is None
            result = _recorded(function, method)(x, shares.q) if known else function(x, shares, method)
        result = ops.moveaxis(ops.reshape(result, (*of.kept, count)), -1, 0)
        return put(out, of.result(result, keepdims, leading), name)

    return handler


# --- medians ---------------------------------------------------------------------------------------------------------


def _middle(a: Node, b: Node) -> Node:
    """The mean of two elements, as NumPy's ``mean`` computes it."""
    final = ops.default_float(a)
    working = np.dtype(np.float32) if final == np.float16 else final
    total = ops.astype(a, working) + ops.astype(b, working)
    return ops.astype(ops.divide(total, literal(2.0)), final)


def _median(a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False) -> Any:
    flag(overwrite_input, "median: overwrite_input")
    of = asked(a, axis, "median")
    x = of.lines
    n, last = x.aval.shape[-1], x.aval.ndim - 1
    if not n:
        return put(out, of.result(ops.full(of.kept, np.nan, ops.default_float(x)), keepdims), "median")
    ranks = [(n - 1) // 2, *([n // 2] if n % 2 == 0 else [])]
    ends = [n - 1] if x.aval.dtype.kind in "fc" else []
    found = ops.ranked_p(x, as_node(np.array([*ranks, *ends])))
    parts = [ops.take_range(found, last, i, i + 1) for i in range(len(ranks))]
    result = _middle(*parts) if len(parts) == 2 else ops.astype(parts[0], ops.default_float(x))
    if ends:
        size = found.aval.shape[last]
        result = _nan_where(ops.isnan(ops.take_range(found, last, size - 1, size)), result)
    return put(out, of.result(result, keepdims), "median")


def _nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False) -> Any:
    x = node_of(a)
    if x.aval.dtype.kind not in "fc" or not x.aval.size:
        return _median(a, axis, out, overwrite_input, keepdims)
    flag(overwrite_input, "nanmedian: overwrite_input")
    of = asked(a, axis, "nanmedian")
    last = of.lines.aval.ndim - 1
    count = ops.sum(ops.astype(ops.logical_not(ops.isnan(of.lines)), INT64), (last,))
    count = ops.expand_dims(ops.maximum(count, 1), (last,))
    ordered = ops.sort(of.lines, last)
    parts = [ops.take_along(ordered, ops.floor_divide(p, 2), last) for p in (count - 1, count)]
    # Of an odd number of elements both are the same one, which is not to overflow.
    odd = ops.equal(ops.remainder(count, 2), 1)
    result = ops.where(odd, parts[0], _middle(*parts))
    return put(out, of.result(result, keepdims), "nanmedian")


TABLE: dict[Any, Handler] = {
    np.median: _median,
    np.nanmedian: _nanmedian,
    np.quantile: _quantile("quantile", 1, False),
    np.percentile: _quantile("percentile", 100, False),
    np.nanquantile: _quantile("nanquantile", 1, True),
    np.nanpercentile: _quantile("nanpercentile", 100, True),
}
