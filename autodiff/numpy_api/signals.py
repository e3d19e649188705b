"""NumPy's functions of sampled functions: convolutions, differences, integrals, interpolation, phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arguments import word
from ..convert import as_array, describe
from ..errors import ArgumentError, DTypeError, ShapeError
from ..nodes import Node
from ..tensor import Tensor, node_of, wrap
from .calling import Handler, converted


def _along(x: Node, axis: int, start: int | None, stop: int | None, step: int | None = None) -> Node:
    return ops.take_slices(x, *[slice(None)] * axis, slice(start, stop, step))


# --- convolutions ----------------------------------------------------------------------------------------------------

MODES = ("full", "same", "valid")


def _vectors(name: str, a: Any, v: Any, lift: bool) -> tuple[Node, Node]:
    x, y = [ops.strong(node_of(value)) for value in (a, v)]
    if lift:
        x, y = [value if value.aval.ndim else ops.reshape(value, (1,)) for value in (x, y)]
    if x.aval.ndim != 1 or y.aval.ndim != 1 or not (x.aval.size and y.aval.size):
        raise ShapeError(f"{name}({x.aval!r}, {y.aval!r}): it takes two vectors, which are not empty")
    return x, y


def _overlapping(x: Node, y: Node, mode: str) -> Node:
    """The convolution of a vector with one that is no longer, in a mode of NumPy's."""
    if mode != "same":
        return ops.convolve(x, y, mode)
    first = (y.aval.size - 1) // 2
    return _along(ops.convolve(x, y, "full"), 0, first, first + x.aval.size)


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    word(mode, "convolve: mode", MODES)
    x, y = _vectors("convolve", a, v, lift=True)
    return wrap(_overlapping(x, y, mode) if x.aval.size >= y.aval.size else _overlapping(y, x, mode))


def _correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    word(mode, "correlate: mode", MODES)
    x, y = _vectors("correlate", a, v, lift=False)
    y = ops.conjugate(y) if y.aval.dtype.kind == "c" else y
    if x.aval.size >= y.aval.size:
        return wrap(_overlapping(x, ops.flip(y, (0,)), mode))
    return wrap(ops.flip(_overlapping(y, ops.flip(x, (0,)), mode), (0,)))


# --- differences and integrals ---------------------------------------------------------------------------------------


def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    x = ops.reshape(node_of(ary), (-1,))
    steps = ops.take_slices(x, slice(1, None)) - ops.take_slices(x, slice(None, -1))
    parts = [node_of(part) for part in (to_begin, wrap(steps), to_end) if part is not None]
    parts = converted(parts, x.aval.dtype, "same_kind", "ediff1d")
    return wrap(ops.concatenate([ops.reshape(part, (-1,)) for part in parts], 0))


def _spacings(x: Node, varargs: Sequence[Any], axes: Sequence[int]) -> list[Node]:
    """For each axis the step between samples, or the steps from each to the next, shaped as the array is there."""
    if len(varargs) == 1:
        varargs = [varargs[0]] * len(axes)
    if len(varargs) not in (0, len(axes)):
        raise ArgumentError(
            f"gradient: {len(varargs)} spacings for {len(axes)} axes; give one for all, or one for each"
        )
    found = []
    for given, axis in zip(varargs or [1.0] * len(axes), axes, strict=True):
        at = node_of(given)
        if at.aval.ndim > 1:
            raise ArgumentError(f"gradient: the spacing {at.aval!r} must be a number or a vector of coordinates")
        if at.aval.dtype.kind == "u":
            # A step is negated.
            at = ops.astype(at, np.float64)
        if at.aval.ndim:
            if at.aval.size != x.aval.shape[axis]:
                raise ArgumentError(
                    f"gradient: {at.aval.size} coordinates for axis {axis}, which has {x.aval.shape[axis]} samples"
                )
            # As NumPy: unsigned integers would wrap around.
            at = ops.astype(at, np.float64) if at.aval.dtype.kind in "iu" else at
            at = _along(at, 0, 1, None) - _along(at, 0, None, -1)
            # Coordinates that are plain numbers and evenly spaced are a step.
            if not isinstance(given, Tensor):
                steps = np.diff(as_array(given, copy=None).astype(at.aval.dtype))
                at = node_of(steps[0]) if steps.size and (steps == steps[0]).all() else at
        if at.aval.ndim:
            at = ops.reshape(at, [-1 if i == axis else 1 for i in range(x.aval.ndim)])
        found.append(at)
    return found


def _slope(x: Node, step: Node, axis: int, edge_order: int) -> Node:
    """The derivative along an axis: central differences within, one-sided ones at the ends."""

    def at(start: int, stop: int | None = None) -> Node:
        return _along(x, axis, start, stop)

    def width(place: int) -> Node:
        """The step from a sample to the next."""
        return _along(step, axis, place, place + 1 or None) if step.aval.ndim else step

    if step.aval.ndim:
        before, after = _along(step, axis, None, -1), _along(step, axis, 1, None)
        left = -after / (before * (before + after))
        middle = (after - before) / (before * after)
        right = before / (after * (before + after))
        inner = left * at(0, -2) + middle * at(1, -1) + right * at(2)
    else:
        inner = (at(2) - at(0, -2)) / (2.0 * step)
    if edge_order == 1:
        first = (at(1, 2) - at(0, 1)) / width(0)
        last = (at(-1) - at(-2, -1)) / width(-1)
    else:
        uneven = step.aval.ndim > 0
        a, b, c = _edge(width(0), width(1), uneven)
        first = a * at(0, 1) + b * at(1, 2) + c * at(2, 3)
        a, b, c = _edge(-width(-1), -width(-2), uneven)
        last = c * at(-3, -2) + b * at(-2, -1) + a * at(-1)
    return ops.concatenate([ops.astype(part, x.aval.dtype) for part in (first, inner, last)], axis)


def _edge(near: Node, far: Node, uneven: bool) -> tuple[Node, Node, Node]:
    """What three samples are multiplied with for the derivative at the first, exact for parabolas (Fornberg 1988)."""
    if not uneven:
        return -1.5 / near, 2.0 / near, -0.5 / near
    both = near + far
    return -(2.0 * near + far) / (near * both), both / (near * far), -near / (far * both)


def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    x = ops.strong(node_of(f))
    if x.aval.dtype.kind == "b":
        raise DTypeError(f"gradient({x.aval!r}): NumPy subtracts no booleans; use .astype")
    if x.aval.dtype.kind not in "fc":
        x = ops.astype(x, np.float64)
    named = tuple(axis) if isinstance(axis, list) else axis
    axes = (
        [ops.normalize_axis(a, x.aval.ndim, "gradient") for a in named]
        if isinstance(named, tuple)
        else list(ops.normalize_axes(named, x.aval.ndim, "gradient"))
    )
    is_count = isinstance(edge_order, (int, np.integer)) and not isinstance(edge_order, np.timedelta64)
    if not is_count or not 1 <= edge_order <= 2:
        raise ArgumentError(f"gradient: edge_order={describe(edge_order)} must be 1 or 2")
    steps = _spacings(x, varargs, axes)
    for place in axes:
        if x.aval.shape[place] < edge_order + 1:
            raise ArgumentError(
                f"gradient({x.aval!r}): axis {place} is too short; edge_order={edge_order} needs {edge_order + 1} "
                "samples"
            )
    slopes = [wrap(_slope(x, step, place, int(edge_order))) for step, place in zip(steps, axes, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    values = ops.strong(node_of(y))
    place = ops.normalize_axis(axis, values.aval.ndim, "trapezoid")
    if x is None:
        steps = node_of(dx)
    else:
        at = ops.strong(node_of(x))
        along = 0 if at.aval.ndim == 1 else ops.normalize_axis(axis, at.aval.ndim, "trapezoid")
        steps = _along(at, along, 1, None) - _along(at, along, None, -1)
        if at.aval.ndim == 1:
            steps = ops.reshape(steps, [-1 if i == place else 1 for i in range(values.aval.ndim)])
    pairs = _along(values, place, 1, None) + _along(values, place, None, -1)
    products: Node = steps * pairs / 2.0
    return wrap(ops.sum(products, (ops.normalize_axis(axis, products.aval.ndim, "trapezoid"),)))


# --- interpolation ---------------------------------------------------------------------------------------------------


def _floating(value: Any, name: str) -> Node:
    node = ops.strong(node_of(value))
    if node.aval.dtype.kind == "c":
        raise DTypeError(f"interp: {name}={node.aval!r} must be real")
    return ops.astype(node, np.float64)


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Lines between samples; at a sample the derivative is that of the line that begins there."""
    at, knots = _floating(x, "x"), _floating(xp, "xp")
    values = ops.strong(node_of(fp))
    values = ops.astype(values, np.complex128 if values.aval.dtype.kind == "c" else np.float64)
    if period is not None:
        around = ops.absolute(_floating(period, "period"))
        if around.aval.ndim or (not isinstance(period, Tensor) and not period):
            raise ArgumentError(f"interp: period={describe(period)} must be a number other than zero")
        left = right = None
        at, knots = ops.remainder(at, around), ops.remainder(knots, around)
    if knots.aval.ndim != 1 or values.aval.ndim != 1 or knots.aval.size != values.aval.size or not knots.aval.size:
        raise ShapeError(
            f"interp: xp={knots.aval!r} and fp={values.aval!r} must be vectors of one length, which is not 0"
        )
    if period is not None:
        order = node_of(np.argsort(wrap(knots)))
        knots, values = ops.take(knots, order, 0), ops.take(values, order, 0)
        knots = ops.concatenate([_along(knots, 0, -1, None) - around, knots, _along(knots, 0, 0, 1) + around], 0)
        values = ops.concatenate([_along(values, 0, -1, None), values, _along(values, 0, 0, 1)], 0)
    for name, end in (("left", left), ("right", right)):
        if end is not None and node_of(end).aval.dtype.kind == "c" and values.aval.dtype.kind != "c":
            raise DTypeError(f"interp: {name}={describe(end)} must be real, as fp={values.aval!r} is")
    ends = [
        _along(values, 0, place, place + 1 or None) if end is None else ops.astype(node_of(end), values.aval.dtype)
        for end, place in ((left, 0), (right, -1))
    ]
    below, above = [ops.broadcast_to(ops.reshape(end, ()), at.aval.shape) for end in ends]
    first, last = [ops.reshape(_along(knots, 0, place, place + 1 or None), ()) for place in (0, -1)]
    if knots.aval.size > 1:
        inside = _between(at, knots, values)
    else:
        inside = ops.broadcast_to(ops.reshape(values, ()), at.aval.shape)
    return wrap(ops.where(ops.less(at, first), below, ops.where(ops.less(last, at), above, inside)))


def _between(at: Node, knots: Node, values: Node) -> Node:
    count = knots.aval.size
    found = node_of(np.searchsorted(wrap(ops.stop_gradient(knots)), wrap(ops.stop_gradient(at)), side="right"))
    start = ops.minimum(ops.maximum(found - 1, 0), count - 2)
    # From the last sample on it counts from there, so that its value is met exactly.
    nearest = ops.minimum(ops.maximum(found - 1, 0), count - 1)
    x0, x1 = [ops.take(knots, place, 0) for place in (start, start + 1)]
    y0, y1 = [ops.take(values, place, 0) for place in (start, start + 1)]
    slope: Node = (y1 - y0) / (x1 - x0)
    near: Node = slope * (at - ops.take(knots, nearest, 0)) + ops.take(values, nearest, 0)
    # As NumPy: where samples are not finite, what is counted from the other end, or what both are, if that is a number.
    number = ops.logical_not(ops.isnan(at))
    other: Node = ops.where(ops.isnan(near), slope * (at - x1) + y1, near)
    missing = ops.logical_and(ops.isnan(other), number)
    other = ops.where(ops.logical_and(missing, ops.equal(y0, y1)), y0, other)
    met = ops.logical_and(missing, ops.equal(at, ops.take(knots, nearest, 0)))
    return ops.where(met, ops.take(values, nearest, 0), other)


# --- phases ----------------------------------------------------------------------------------------------------------


def _unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * math.pi) -> Any:
    x, turn = ops.strong(node_of(p)), node_of(period)
    if not x.aval.ndim:
        raise ShapeError(f"unwrap({x.aval!r}): an array without dimensions has no neighbours")
    place = ops.normalize_axis(axis, x.aval.ndim, "unwrap")
    steps = _along(x, place, 1, None) - _along(x, place, None, -1)
    dtype = ops.common_dtype([steps, turn])
    half = turn / 2 if discont is None else node_of(discont)
    if dtype.kind in "iu":
        high: Node = ops.floor_divide(turn, 2)
        ambiguous: Node = ops.equal(ops.remainder(turn, 2), 0)
    else:
        high = turn / 2
        ambiguous = node_of(True)
    low = -high
    wrapped: Node = ops.remainder(steps - low, turn) + low
    # A step of half a period keeps its sign.
    upwards = ops.logical_and(ops.equal(wrapped, low), ops.less(0, steps))
    wrapped = ops.where(ops.logical_and(ambiguous, upwards), high, wrapped)
    correction = ops.where(ops.less(ops.absolute(steps), half), 0, wrapped - steps)
    whole = ops.astype(x, dtype)
    rest = _along(whole, place, 1, None) + ops.cumsum(correction, place)
    return wrap(ops.concatenate([_along(whole, place, 0, 1), ops.astype(rest, dtype)], place))


TABLE: dict[Any, Handler] = {
    np.convolve: _convolve,
    np.correlate: _correlate,
    np.ediff1d: _ediff1d,
    np.gradient: _gradient,
    np.trapezoid: _trapezoid,
    np.interp: _interp,
    np.unwrap: _unwrap,
}
