"""Primitives of derivative rules, each with the composition that computes it.

A rule that is written in these is exact at every order, because each has a rule of its own: the composition is never
differentiated. It replaces the primitive when a plan is made, so that a backend needs to know none of them; one that
computes some of them faster names them (`Backend.primitives`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..nodes import Aval, Node, Primitive, intern_aval, literal
from .elementwise import (
    absolute,
    astype,
    broadcast_shapes,
    copysign,
    cos,
    cosh,
    equal,
    hypot,
    infer_elementwise,
    isinf,
    less,
    logistic,
    maximum,
    minimum,
    sin,
    sqrt,
    where,
)

# Primitive -> the same as a composition of others: a function of nodes and of the primitive's parameters.
COMPOSITIONS: dict[Primitive, Callable[..., Node]] = {}


def _infer_like_first(primitive: Primitive, *avals: Aval, **params: Any) -> Aval:
    return intern_aval(broadcast_shapes(primitive.name, avals), avals[0].dtype, avals[0].weak)


def _derived(name: str, composition: Callable[..., Node], *, params: tuple[str, ...] = (), infer: Any = None) -> Primitive:
    primitive = Primitive(name, infer or _infer_like_first, params=params, kind="elementwise")
    COMPOSITIONS[primitive] = composition
    return primitive


def _is_complex(x: Node) -> bool:
    return x.aval.dtype.kind == "c"


def _largest_squared(dtype: np.dtype[Any]) -> float:
    """A number with a finite square, from which on 1 + x^2 is x^2."""
    return 2.0 ** min(np.finfo(dtype).maxexp // 2 - 1, 511)


# --- 1 - x^2 and 1 + x^2 ---------------------------------------------------------------------------------------------


def _one_minus_square(x: Node) -> Node:
    return (1 - x) * (1 + x)


# 1 - x^2 without cancellation near 1 and -1.
one_minus_square = _derived("one_minus_square", _one_minus_square)


def _lorentzian(x: Node) -> Node:
    if not _is_complex(x):
        x = minimum(absolute(x), literal(_largest_squared(x.aval.dtype)))
    return 1 / (1 + x * x)


# 1 / (1 + x^2), the derivative of arctan.
lorentzian = _derived("lorentzian", _lorentzian)


def _root_lorentzian(x: Node) -> Node:
    if _is_complex(x):
        return 1 / sqrt(1 + x * x)
    size = absolute(x)
    bounded = minimum(size, literal(_largest_squared(x.aval.dtype)))
    return 1 / maximum(size, sqrt(1 + bounded * bounded))


# 1 / sqrt(1 + x^2), the derivative of arcsinh.
root_lorentzian = _derived("root_lorentzian", _root_lorentzian)


# --- hyperbolic functions --------------------------------------------------------------------------------------------


def _inverse_square(x: Node) -> Node:
    """1 / x^2 for a complex cosine, which is infinite, or NaN, where the result is 0."""
    inverse = 1 / x
    return where(equal(inverse, inverse), inverse * inverse, 0)


def _tanh_slope(out: Node, x: Node) -> Node:
    if _is_complex(x):
        return _inverse_square(cosh(x))
    # With w = 1 / (1 + e^(2|x|)), |tanh x| = 1 - 2w; then 1 - tanh^2 = 4 w (1 - w).
    weight = logistic(-2 * absolute(x))
    return 4 * (weight * (1 - weight))


# 1 / cosh(x)^2, given out = tanh(x).
tanh_slope = _derived("tanh_slope", _tanh_slope)


def _tan_slope(out: Node, x: Node) -> Node:
    return _inverse_square(cos(x)) if _is_complex(x) else 1 + out * out


# 1 / cos(x)^2, given out = tan(x).
tan_slope = _derived("tan_slope", _tan_slope)


# --- directions ------------------------------------------------------------------------------------------------------


def _direction(x: Node, y: Node) -> Node:
    radius = hypot(x, y)
    share = x / where(equal(radius, 0), 1, radius)
    towards = copysign(where(isinf(y), math.sqrt(0.5), literal(1.0)), x)
    return where(isinf(x), towards, share)


def _infer_direction(primitive: Primitive, x: Aval, y: Aval) -> Aval:
    return infer_elementwise(hypot, x, y)


# x / hypot(x, y): the cosine of the angle of (x, y); 0 at the origin.
direction = _derived("direction", _direction, infer=_infer_direction)


# --- sin(pi x) / (pi x) ----------------------------------------------------------------------------------------------

# What the backward recurrence begins with is multiplied by less than this.
_FORGOTTEN = 1e-19


def _sinc(x: Node, order: int) -> Node:
    """The derivative of that order of sinc, f_n.

    By the product rule for u sinc(u) = sin(u), u f_n + n f_(n-1) = sin(u + n pi/2), where u = pi x and f_n is a derivative
    by u. Going up from f_0 multiplies errors by n/u at each step, going down by u/n, from any start that is far enough
    (Miller's algorithm, DLMF 3.6); so the one is for large u, the other for small ones.
    """
    if x.aval.dtype == np.float16:
        return astype(_sinc(astype(x, np.float32), order), np.float16)
    pi_x = x * literal(math.pi)
    if order == 0:
        # As NumPy: no series is needed.
        u = where(equal(pi_x, 0), 1e-20, pi_x)
        return sin(u) / u
    switch = order / 2 + 1
    small = less(absolute(pi_x), switch)
    return literal(math.pi**order) * where(
        small, _sinc_down(where(small, pi_x, 0), order, switch), _sinc_up(where(small, switch, pi_x), order)
    )


def _sines(u: Node) -> Callable[[int], Node]:
    """sin(u + n pi/2), by n."""
    sine, cosine = sin(u), cos(u)
    turns = (sine, cosine, -sine, -cosine)
    return lambda n: turns[n % 4]


def _sinc_up(u: Node, order: int) -> Node:
    sines = _sines(u)
    f = sines(0) / u
    for n in range(1, order + 1):
        f = (sines(n) - n * f) / u
    return f


def _sinc_down(u: Node, order: int, largest: float) -> Node:
    start, factor = order, 1.0
    while factor > _FORGOTTEN:
        start += 1
        factor *= largest / start
    sines = _sines(u)
    f = sines(start) / start
    for n in range(start - 1, order, -1):
        f = (sines(n) - u * f) / n
    return f


def _infer_sinc(primitive: Primitive, x: Aval, *, order: int) -> Aval:
    return intern_aval(x.shape, x.dtype, x.weak)


# The derivative of sinc of an order, and sinc itself for order 0.
sinc = _derived("sinc", _sinc, params=("order",), infer=_infer_sinc)
