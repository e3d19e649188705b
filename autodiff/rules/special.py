"""Derivatives of special functions: a row for each ufunc of SciPy that is recorded.

A row is written in functions that have rows themselves, so that every order is exact, and without terms that cancel
where there is such a form. DLMF: NIST Digital Library of Mathematical Functions; by section where no equation is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import ops
from ..convert import literal
from ..nodes import Node
from ..ops import special as s
from .rows import NONDIFFERENTIABLE, NOT_IMPLEMENTED, ZERO, Derivative, Elementwise, Explicit, Rule, State, Via, total

ROOT_PI = literal(math.sqrt(math.pi))
HALF_ROOT_PI = literal(math.sqrt(math.pi) / 2)
TWO_OVER_ROOT_PI = literal(s.TWO_OVER_ROOT_PI)
ROOT_TWO_PI = literal(math.sqrt(2 * math.pi))
ROOT_HALF = literal(math.sqrt(0.5))
DEGREE = literal(math.pi / 180)
LN10 = literal(math.log(10.0))
QUARTER_TURN = literal(complex(math.sqrt(0.5), math.sqrt(0.5)) / math.sqrt(math.pi))

ORDER = NOT_IMPLEMENTED("its derivative by the order is no function that SciPy has")
SHAPE = NOT_IMPLEMENTED("its derivative by this parameter is no function that SciPy has")


def row(name: str, source: str, *derivatives: Derivative | State) -> Rule:
    return Elementwise(s.CARDS[name], derivatives, source)


def via(name: str, source: str, composition: Callable[..., Node]) -> Rule:
    """A function that is others applied to others, of numbers that are no integers."""
    return Via(s.CARDS[name], lambda *inputs: composition(*map(floating, inputs)), source)


def floating(x: Node) -> Node:
    return ops.astype(x, float) if x.aval.dtype.kind in "biu" and not x.aval.weak else x


def several(name: str, source: str, *columns: Callable[..., Sequence[Any]] | State) -> Rule:
    """Of several outputs: for each input ``f(outputs, *inputs)``, the derivatives of all outputs by it, None for 0."""

    def pull(column: Callable[..., Sequence[Any]]) -> Callable[..., Node | None]:
        def pulled(cts: Sequence[Node | None], out: Node, *inputs: Node) -> Node | None:
            factors = column(ops.outputs(out), *inputs)
            return total([ct * d for ct, d in zip(cts, factors, strict=True) if ct is not None and d is not None])

        return pulled

    def push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node | None]) -> tuple[Node | None, ...]:
        outs = ops.outputs(out)
        terms: list[list[Node]] = [[] for _ in outs]
        for column, tangent in zip(columns, tangents, strict=True):
            if tangent is not None and callable(column):
                for found, d in zip(terms, column(outs, *inputs), strict=True):
                    if d is not None:
                        found.append(tangent * d)
        return tuple([total(found) for found in terms])

    pulls = [pull(column) if callable(column) else column for column in columns]
    return Explicit(s.CARDS[name], pulls, push, source)


def is_complex(x: Node) -> bool:
    return x.aval.dtype.kind == "c"


def valid(condition: Node, value: Node) -> Node:
    """The value, and NaN with all its derivatives outside of the domain of a function."""
    dtype = value.aval.dtype
    return value * ops.where(condition, literal(1.0, dtype), literal(math.nan, dtype))


def moved(n: Node, by: int) -> Node:
    """An order plus or minus 1: a number of the structure if it is one."""
    return n + by if n.aval.literal is None else literal(n.aval.literal + by)


def unless_zero(n: Node, value: Callable[[], Node]) -> Node | float:
    """What a polynomial of degree n differentiates to."""
    if n.aval.literal is not None:
        return value() if n.aval.literal else 0.0
    return ops.where(ops.equal(n, 0), 0, value())


# --- the error function ----------------------------------------------------------------------------------------------


def _gaussian(x: Node) -> Node:
    return ops.exp(-0.5 * ops.square(x)) / ROOT_TWO_PI


def _dawsn_slope(out: Node, x: Node) -> Node:
    if not is_complex(x):
        return s.hyp1f1(1.0, 0.5, -ops.square(x))
    # By w of the upper half-plane, of which the slope is that of erfcx; the function is odd.
    z = ops.where(ops.less(ops.imag(x), 0), -x, x)
    return -1j * HALF_ROOT_PI * (2 * z * ops.exp(-ops.square(z)) - 1j * s.erfcx_slope(-1j * z))


def _hazard_slope(out: Node, x: Node) -> Node:
    """-r (x + r); x + r cancels on the left, where it is the slope of erfcx over erfcx."""
    if is_complex(x):
        return out * ROOT_HALF * _log_slope_of_erfcx(x)
    left = ops.less(x, 0)
    (y,) = s.inside(left, 0.0, x)
    return out * ops.where(left, ROOT_HALF * _log_slope_of_erfcx(y), -(x + out))


def _log_slope_of_erfcx(x: Node) -> Node:
    u = -ROOT_HALF * x
    return s.erfcx_slope(u) / s.erfcx(u)


ERRORS: list[Rule] = [
    row("erf", "DLMF 7.2.1", lambda out, x: TWO_OVER_ROOT_PI * ops.exp(-ops.square(x))),
    row("erfc", "DLMF 7.2.2", lambda out, x: -TWO_OVER_ROOT_PI * ops.exp(-ops.square(x))),
    row("erfcx", "DLMF 7.10.2, 7.12.1", lambda out, x: s.erfcx_slope(x)),
    row("erfi", "DLMF 7.2.1", lambda out, x: TWO_OVER_ROOT_PI * ops.exp(ops.square(x))),
    row("dawsn", "DLMF 7.2.5, 13.3.22", _dawsn_slope),
    row("wofz", "DLMF 7.10.2", lambda out, x: -1j * s.erfcx_slope(-1j * x)),
    row("erfinv", "DLMF 7.17.1", lambda out, x: HALF_ROOT_PI * ops.exp(ops.square(out))),
    row("erfcinv", "DLMF 7.17.1", lambda out, x: -HALF_ROOT_PI * ops.exp(ops.square(out))),
    row("ndtr", "DLMF 7.2.1", lambda out, x: _gaussian(x)),
    row("log_ndtr", "DLMF 7.2.1", lambda out, x: s.normal_hazard(x)),
    Elementwise(s.normal_hazard, (_hazard_slope,), "DLMF 7.2.1"),
    row("ndtri", "DLMF 7.17.1", lambda out, x: ROOT_TWO_PI * ops.exp(0.5 * ops.square(out))),
    row("ndtri_exp", "DLMF 7.17.1", lambda out, x: 1 / s.normal_hazard(out)),
    row(
        "owens_t",
        "DLMF 7.2.1; Owen 1956",
        lambda out, h, a: -0.5 * _gaussian(h) * s.erf(ROOT_HALF * h * a),
        lambda out, h, a: ops.exp(-0.5 * ops.square(h)) * ops.exp(-0.5 * ops.square(h * a))
        / (literal(2 * math.pi) * (1 + ops.square(a))),
    ),
    via(
        "voigt_profile",
        "DLMF 7.19.3",
        lambda x, sigma, gamma: ops.real(s.wofz((x + 1j * gamma) * (ROOT_HALF / sigma))) / (sigma * ROOT_TWO_PI),
    ),
    via("nrdtrimn", "DLMF 7.17.1", lambda p, std, x: x - std * s.ndtri(p)),
    via("nrdtrisd", "DLMF 7.17.1", lambda mean, p, x: (x - mean) / s.ndtri(p)),
    several("fresnel", "DLMF 7.2.7", lambda outs, x: _quarter_circle(x)),
    several(
        "modfresnelp",
        "DLMF 7.2(iii)",
        lambda outs, x: (
            -ops.exp(1j * ops.square(x)),
            -2j * x * outs[1] - ops.conjugate(QUARTER_TURN),
        ),
    ),
    several(
        "modfresnelm",
        "DLMF 7.2(iii)",
        lambda outs, x: (-ops.exp(-1j * ops.square(x)), 2j * x * outs[1] - QUARTER_TURN),
    ),
]  # fmt: skip


def _quarter_circle(x: Node) -> tuple[Node, Node]:
    angle = literal(math.pi / 2) * ops.square(x)
    return ops.sin(angle), ops.cos(angle)


# --- the distribution of Kolmogorov ----------------------------------------------------------------------------------


def _kolmogorov_density(x: Node) -> Node:
    """Minus the slope, by two series that are each other's transforms: each is exact on its side of 0.9."""
    left = ops.logical_and(ops.less(0.03, x), ops.less(x, 0.9))
    right = ops.logical_and(ops.less_equal(0.9, x), ops.less(x, 30.0))
    (y,) = s.inside(left, 0.5, x)
    inverse = 1 / ops.square(y)
    low: Node = literal(0.0)
    for k in (7, 5, 3, 1):
        z = literal((k * math.pi) ** 2 / 8) * inverse
        low = low + (2 * z - 1) * ops.exp(-z)
    (w,) = s.inside(right, 1.0, x)
    high: Node = literal(0.0)
    for k in range(6, 0, -1):
        high = high - literal(8.0 * k * k * (-1) ** k) * ops.exp(literal(-2.0 * k * k) * ops.square(w))
    # What is left out is zero in double precision; a NaN stays one.
    rest = ops.where(ops.equal(x, x), 0, x)
    return ops.where(left, ROOT_TWO_PI * low * inverse, ops.where(right, w * high, rest))


KOLMOGOROV: list[Rule] = [
    row("kolmogorov", "DLMF 20.2.4, 20.7.33; Kolmogorov 1933", lambda out, x: -_kolmogorov_density(x)),
    row("kolmogi", "DLMF 20.2.4, 20.7.33; Kolmogorov 1933", lambda out, p: -1 / _kolmogorov_density(out)),
]


# --- powers, logarithms and losses -----------------------------------------------------------------------------------


def power_by_shape(log_x: Node, shape: Node) -> Node:
    """The derivative by the shape of (x^shape - 1) / shape, which is log(x) exprel(shape log(x))."""
    return ops.square(log_x) * _exprel_slope(shape * log_x)


def _exprel_slope(x: Node) -> Node:
    """M(2, 3, x) / 2; SciPy's never returns for what is far out of range, where the slope is infinite as exp(x) is."""
    regular = ops.less(x, 1e4)
    (y,) = s.inside(regular, 0.0, x)
    return ops.where(regular, 0.5 * s.hyp1f1(2.0, 3.0, y), ops.exp(x))


def _root_by_shape(y: Node, shape: Node) -> Node:
    """The derivative by the shape of log(1 + shape y) / shape."""
    return -0.5 * ops.square(y) * s.hyp2f1(2.0, 2.0, 3.0, -shape * y)


def _log_ratio(x: Node, y: Node) -> Node:
    ratio = x / y
    regular = ops.logical_and(ops.less(0, ratio), ops.isfinite(ratio))
    a, b = s.inside(regular, 1.0, x, y)
    c, d = ops.where(regular, 1.0, x), ops.where(regular, 1.0, y)
    return ops.where(regular, ops.log(a / b), ops.log(c) - ops.log(d))


def _kl_by_second(x: Node, y: Node) -> Node:
    origin = ops.logical_and(ops.equal(x, 0), ops.equal(y, 0))
    return ops.where(origin, 1, (y - x) / ops.where(origin, 1, y))


def _in_quadrant(x: Node, y: Node) -> Node:
    return ops.logical_and(ops.less_equal(0, x), ops.less_equal(0, y))


def _pseudo_huber_by_delta(out: Node, delta: Node, r: Node) -> Node:
    u = ops.square(r / delta)
    root = ops.sqrt(1 + u)
    return delta * ops.square(u / (1 + root)) / root


POWERS: list[Rule] = [
    row("expit", "DLMF 4.2.31", lambda out, x: ops.logistic_slope(x)),
    row("log_expit", "DLMF 4.2.31", lambda out, x: s.expit(-x)),
    row(
        "logit",
        "infinite at 0 and 1, by continuity",
        lambda out, x: valid(ops.less_equal(0, x * (1 - x)), 1 / x / (1 - x)),
    ),
    row(
        "xlogy",
        "0 by y where x = 0, as the function is",
        lambda out, x, y: ops.log(y),
        lambda out, x, y: ops.masked_multiply(x, 1 / y),
    ),
    row(
        "xlog1py",
        "0 by y where x = 0, as the function is",
        lambda out, x, y: ops.log1p(y),
        lambda out, x, y: ops.masked_multiply(x, 1 / (1 + y)),
    ),
    row(
        "entr",
        "infinite at 0, by continuity",
        lambda out, x: valid(ops.less_equal(0, x), -1 - ops.log(x)),
    ),
    row(
        "rel_entr",
        "0 by y where x = 0, as the function is",
        lambda out, x, y: valid(_in_quadrant(x, y), 1 + _log_ratio(x, y)),
        lambda out, x, y: valid(_in_quadrant(x, y), -ops.masked_multiply(x, 1 / y)),
    ),
    row(
        "kl_div",
        "1 by y where x = 0, as the function is y",
        lambda out, x, y: valid(_in_quadrant(x, y), _log_ratio(x, y)),
        lambda out, x, y: valid(_in_quadrant(x, y), _kl_by_second(x, y)),
    ),
    row("exprel", "DLMF 13.6.2, 13.3.15", lambda out, x: _exprel_slope(x)),
    row("exp10", "DLMF 4.2.31", lambda out, x: LN10 * out),
    row("cosm1", "DLMF 4.20.2", lambda out, x: -ops.sin(x)),
    via("powm1", "DLMF 4.2.26", lambda x, y: x**y - 1),
    row(
        "boxcox",
        "DLMF 13.6.2; Box and Cox 1964",
        lambda out, x, shape: valid(ops.less_equal(0, x), x ** (shape - 1)),
        lambda out, x, shape: power_by_shape(ops.log(x), shape),
    ),
    row(
        "boxcox1p",
        "DLMF 13.6.2; Box and Cox 1964",
        lambda out, x, shape: ops.exp((shape - 1) * ops.log1p(x)),
        lambda out, x, shape: power_by_shape(ops.log1p(x), shape),
    ),
    row(
        "inv_boxcox",
        "DLMF 15.4.1; Box and Cox 1964",
        lambda out, y, shape: out / (1 + shape * y),
        lambda out, y, shape: out * _root_by_shape(y, shape),
    ),
    row(
        "inv_boxcox1p",
        "DLMF 15.4.1; Box and Cox 1964",
        lambda out, y, shape: (1 + out) / (1 + shape * y),
        lambda out, y, shape: (1 + out) * _root_by_shape(y, shape),
    ),
    row(
        "huber",
        "ties share evenly in second derivatives",
        lambda out, delta, r: valid(ops.less_equal(0, delta), ops.maximum(ops.absolute(r) - delta, 0)),
        lambda out, delta, r: valid(ops.less_equal(0, delta), ops.minimum(ops.maximum(r, -delta), delta)),
    ),
    row(
        "pseudo_huber",
        "DLMF 4.2.26; Charbonnier et al. 1997",
        _pseudo_huber_by_delta,
        lambda out, delta, r: r / ops.sqrt(1 + ops.square(r / delta)),
    ),
    row("round", "", ZERO),
    row("radian", "", *[lambda out, *angle, part=part: literal(math.pi / 180 / part) for part in (1, 60, 3600)]),
    row("sindg", "DLMF 4.20.1", lambda out, x: DEGREE * s.cosdg(x)),
    row("cosdg", "DLMF 4.20.2", lambda out, x: -DEGREE * s.sindg(x)),
    row("tandg", "DLMF 4.20.3", lambda out, x: DEGREE * (1 + ops.square(out))),
    row("cotdg", "DLMF 4.20.6", lambda out, x: -DEGREE * (1 + ops.square(out))),
    row("wrightomega", "DLMF 4.13.4; Corless and Jeffrey 2002", lambda out, x: out / (1 + out)),
    row("_lambertw", "DLMF 4.13.4", lambda out, x, k, tol: ops.exp(-out) / (1 + out), NONDIFFERENTIABLE, ZERO),
]  # fmt: skip

RULES: list[Rule] = [*ERRORS, *KOLMOGOROV, *POWERS]
