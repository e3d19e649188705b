"""Primitives of derivative rules, each with the composition that computes it.

A rule that is written in these is exact at every order, because each has a rule of its own: the composition is never
differentiated. It replaces the primitive when a plan is made, so that a backend needs to know none of them; one that
computes some of them faster names them (`Backend.primitives`).
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..convert import literal
from ..core.avals import Aval, intern_aval
from ..core.parameters import Static
from ..core.primitives import Primitive
from ..nodes import Node
from ..operator import Operator
from .elementwise import (
    absolute,
    astype,
    broadcast_shapes,
    copysign,
    cos,
    cosh,
    equal,
    exp,
    hypot,
    infer_elementwise,
    isinf,
    less,
    logical_and,
    logistic,
    maximum,
    minimum,
    not_equal,
    power,
    sin,
    sqrt,
    square,
    where,
)

# Primitive -> the same as a composition of others: a function of nodes and of the primitive's parameters.
COMPOSITIONS: dict[Primitive, Callable[..., Node]] = {}


def _infer_like_first(primitive: Primitive, *avals: Aval, **params: Any) -> Aval:
    return intern_aval(broadcast_shapes(primitive.name, avals), avals[0].dtype, avals[0].weak)


def derive(name: str, composition: Callable[..., Node], *, infer: Any = _infer_like_first, **facts: Any) -> Operator:
    primitive = Operator(name, infer, kind="elementwise", **facts)
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
one_minus_square = derive("one_minus_square", _one_minus_square)


def _lorentzian(x: Node) -> Node:
    if _is_complex(x):
        # x^2 may be out of range.
        return 1 / (1 - 1j * x) / (1 + 1j * x)
    root = _root_lorentzian(x)
    return root * root


# 1 / (1 + x^2), the derivative of arctan.
lorentzian = derive("lorentzian", _lorentzian)


def _root_lorentzian(x: Node) -> Node:
    if _is_complex(x):
        return 1 / sqrt(1 - 1j * x) / sqrt(1 + 1j * x)
    size = absolute(x)
    bounded = minimum(size, literal(_largest_squared(x.aval.dtype)))
    return 1 / maximum(size, sqrt(1 + bounded * bounded))


# 1 / sqrt(1 + x^2), the derivative of arcsinh.
root_lorentzian = derive("root_lorentzian", _root_lorentzian)


# --- hyperbolic functions --------------------------------------------------------------------------------------------


def _inverse_square(x: Node) -> Node:
    """1 / x^2 for a complex cosine, which is infinite, or NaN, where the result is 0."""
    inverse = 1 / x
    return where(equal(inverse, inverse), inverse * inverse, 0)


def _tanh_slope(out: Node, x: Node) -> Node:
    # cosh(x) is (1 + e) / (2 sqrt(e)).
    e = exp(-2 * absolute(x))
    return 4 * (e / square(1 + e))


# 1 / cosh(x)^2 for a real x, given out = tanh(x); x is looked at where the output does not tell.
tanh_slope = derive("tanh_slope", _tanh_slope, rereads=(1,))


def _tan_slope(out: Node, x: Node) -> Node:
    return 1 + out * out


# 1 / cos(x)^2 for a real x, given out = tan(x).
tan_slope = derive("tan_slope", _tan_slope)

# The same for a complex x, where a square of the function cancels far from the real or the imaginary axis.
complex_tanh_slope = derive("complex_tanh_slope", lambda out, x: _inverse_square(cosh(x)))
complex_tan_slope = derive("complex_tan_slope", lambda out, x: _inverse_square(cos(x)))


# --- polar coordinates -----------------------------------------------------------------------------------------------


def _cosine(x: Node, y: Node, radius: Node) -> Node:
    """x / hypot(x, y); 0 at the origin, and as a limit where an argument is infinite."""
    share = x / where(equal(radius, 0), 1, radius)
    towards = copysign(where(isinf(y), literal(math.sqrt(0.5)), literal(1.0)), x)
    return where(isinf(x), towards, share)


def _polar(x: Node, y: Node, u: int, v: int, r: int, origin: bool) -> Node:
    """Small and large factors by turns, since some of them alone may be out of range."""
    radius = hypot(x, y)
    cosine = _cosine(x, y, radius) if u else None
    sine = _cosine(y, x, radius) if v else None
    inverse = 1 / where(equal(radius, 0), literal(math.inf if origin else math.nan), radius) if r else None
    both = min(u, v)
    small = [cosine, sine] * both + [cosine] * (u - both) + [sine] * (v - both)
    factors = [f for pair in itertools.zip_longest(small, [inverse] * r) for f in pair if f is not None]
    pairs = [factors[k] * factors[k + 1] if k + 1 < len(factors) else factors[k] for k in range(0, len(factors), 2)]
    return functools.reduce(operator.mul, pairs)


def _infer_polar(primitive: Primitive, x: Aval, y: Aval, **params: Any) -> Aval:
    return infer_elementwise(hypot, x, y)


# cos(a)^u sin(a)^v / hypot(x, y)^r, where a is the angle of (x, y): what all derivatives of hypot and arctan2 are made
# of. At the origin it is 0 if that is in the domain, else NaN.
polar = derive("polar", _polar, params=dict.fromkeys(("u", "v", "r", "origin"), Static), infer=_infer_polar)


# --- powers ----------------------------------------------------------------------------------------------------------

# A polynomial as a sum of products of y - root, each with how often it occurs: ((roots, count), ...).
Polynomial = tuple[tuple[tuple[int, ...], int], ...]


def _polynomial_value(polynomial: Polynomial, y: Node) -> Node:
    total: Node | None = None
    for roots, count in polynomial:
        product: Node = literal(float(count)) if count != 1 or not roots else y - roots[0] if roots[0] else y
        for root in roots if count != 1 else roots[1:]:
            product = product * (y - root if root else y)
        total = product if total is None else total + product
    return literal(0.0) if total is None else total


def _power_part(x: Node, y: Node, polynomial: Polynomial, order: int) -> Node:
    factor = _polynomial_value(polynomial, y)
    if _is_complex(x) or _is_complex(y):
        return where(equal(factor, 0), 0, factor * x ** (y - order))
    # x^y is no further from 1 than x for these, and y - n would round the exponent.
    small = logical_and(less(absolute(y), 1), not_equal(x, 0))
    near = factor * x**y
    for _ in range(order):
        near = near / where(small, x, 1)
    far = factor * x ** where(small, 0, y - order)
    # Where the factor is 0, a power with this exponent has no such derivative, whatever the base.
    return where(equal(factor, 0), 0, where(small, near, far))


# p(y) x^(y - n) for a polynomial p: what all derivatives of x^y are, together with powers of log(x).
power_part = derive(
    "power_part",
    _power_part,
    params={"polynomial": Static, "order": Static},
    infer=lambda primitive, x, y, **_: infer_elementwise(power, x, y),
)


def power_part_by_base(x: Node, y: Node, polynomial: Polynomial, order: int) -> Node:
    """The derivative by x: p(y) (y - n) x^(y - n - 1)."""
    return power_part(x, y, polynomial=tuple([((*roots, order), n) for roots, n in polynomial]), order=order + 1)


def power_part_by_exponent(x: Node, y: Node, polynomial: Polynomial, order: int) -> Node | None:
    """p'(y) x^(y - n), to which the derivative by y adds log(x) times the part itself; None if p' = 0."""
    counts: dict[tuple[int, ...], int] = {}
    for roots, n in polynomial:
        for place in range(len(roots)):
            rest = roots[:place] + roots[place + 1 :]
            counts[rest] = counts.get(rest, 0) + n
    return power_part(x, y, polynomial=tuple(sorted(counts.items())), order=order) if counts else None


# --- the logistic function -------------------------------------------------------------------------------------------


def _logistic_slope(x: Node) -> Node:
    return logistic(x) * logistic(-x)


# The derivative of the logistic function.
logistic_slope = derive("logistic_slope", _logistic_slope)


# --- sin(pi x) / (pi x) ----------------------------------------------------------------------------------------------

# What the backward recurrence begins with is multiplied by less than this.
_FORGOTTEN = 1e-19


def _sinc(x: Node, order: int) -> Node:
    """The derivative of that order of sinc, f_n.

    By the product rule for u f_0(u) = sin(u), u f_n + n f_(n-1) = sin(u + n pi/2), with u = pi x and derivatives by u.
    Going up from f_0 multiplies errors by n/u at each step, going down by u/n, from any start that is far enough
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
sinc = derive("sinc", _sinc, params={"order": Static}, infer=_infer_sinc)
