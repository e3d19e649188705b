"""Derivatives of the special functions that solve differential equations, and of integrals: a row for each ufunc.

As in ``special``; the recurrences of a family give derivatives by the argument, its equation those of derivatives that
are outputs themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..convert import literal
from ..nodes import Node
from ..ops import special as s
from .rows import NONDIFFERENTIABLE, Elementwise, Rule, State
from .special import DEGREE, ORDER, SHAPE, is_complex, moved, row, several, unless_zero, via

# --- hypergeometric functions and integrals --------------------------------------------------------------------------


def _expn_slope(out: Node, n: Node, x: Node) -> Node:
    """-E_(n - 1); E_0 is exp(-x) / x, of which the derivative is elementary."""
    elementary = ops.exp(-x) / x * (1 + 1 / x)
    if n.aval.literal is not None:
        return -s.expn(moved(n, -1), x) if n.aval.literal >= 1 else -elementary
    return -ops.where(ops.less(n, 1), elementary, s.expn(ops.maximum(n - 1, 0), x))


def _spence_slope(out: Node, z: Node) -> Node:
    """log(z) / (1 - z), near 1 as a hypergeometric function (DLMF 15.4.1)."""
    near = ops.less(ops.absolute(1 - z), 0.5)
    y, x = ops.where(near, z, 1.0), ops.where(near, 2.0, z)
    return ops.where(near, -s.hyp2f1(1.0, 1.0, 2.0, 1 - y), ops.log(x) / (1 - x))


def _sine_integral_slope(x: Node) -> Node:
    if is_complex(x):
        return s.hyp0f1(1.5, -0.25 * ops.square(x))
    return ops.sinc(literal(1 / math.pi) * x, order=0)


INTEGRALS: list[Rule] = [
    row("hyp0f1", "DLMF 16.3.1", SHAPE, lambda out, v, z: s.hyp0f1(moved(v, 1), z) / v),
    row("hyp1f1", "DLMF 13.3.15", SHAPE, SHAPE, lambda out, a, b, z: a / b * s.hyp1f1(moved(a, 1), moved(b, 1), z)),
    row(
        "hyp2f1",
        "DLMF 15.5.1",
        SHAPE,
        SHAPE,
        SHAPE,
        lambda out, a, b, c, z: a * b / c * s.hyp2f1(moved(a, 1), moved(b, 1), moved(c, 1), z),
    ),
    row("hyperu", "DLMF 13.3.22", SHAPE, SHAPE, lambda out, a, b, z: -a * s.hyperu(moved(a, 1), moved(b, 1), z)),
    row("wright_bessel", "DLMF 10.46.1", SHAPE, SHAPE, lambda out, a, b, x: s.wright_bessel(a, a + b, x)),
    row(
        "log_wright_bessel",
        "DLMF 10.46.1",
        SHAPE,
        SHAPE,
        lambda out, a, b, x: ops.exp(s.log_wright_bessel(a, a + b, x) - out),
    ),
    row("expi", "DLMF 6.2.5", lambda out, x: ops.exp(x) / x),
    row("exp1", "DLMF 6.2.1", lambda out, x: -ops.exp(-x) / x),
    row("expn", "DLMF 8.19.13", ORDER, _expn_slope),
    row("spence", "DLMF 25.12.1, 15.4.1", _spence_slope),
    several("sici", "DLMF 6.2.9, 6.2.11", lambda outs, x: (_sine_integral_slope(x), ops.cos(x) / x)),
    several(
        "shichi",
        "DLMF 6.2.15, 6.2.16",
        lambda outs, x: (s.hyp0f1(1.5, 0.25 * ops.square(x)), ops.cosh(x) / x),
    ),
]


# --- elliptic integrals ----------------------------------------------------------------------------------------------

# Where a hypergeometric function has lost digits, and the combination of both complete integrals does not cancel.
_LARGE_PARAMETER = 1e3


def _k_slope(out: Node, m: Node) -> Node:
    """(E / (1 - m) - K) / (2 m), which cancels at 0, as a hypergeometric function (DLMF 19.5.1, 15.5.1)."""
    far = ops.less(m, -_LARGE_PARAMETER)
    y, x = ops.where(far, m, -_LARGE_PARAMETER), ops.where(far, 0.0, m)
    direct = 0.5 * (s.ellipe(y) / (1 - y) - s.ellipk(y)) / y
    return ops.where(far, direct, literal(math.pi / 8) * s.hyp2f1(1.5, 1.5, 2.0, x))


def _e_slope(out: Node, m: Node) -> Node:
    return literal(-math.pi / 8) * s.hyp2f1(0.5, 1.5, 2.0, m)


def _km1_slope(out: Node, p: Node) -> Node:
    near, y, z = _of_complement(p)
    direct = -0.5 * (s.ellipem1(y) / y - s.ellipkm1(y)) / (1 - y)
    return ops.where(near, direct, literal(-math.pi / 8) * s.hyp2f1(1.5, 1.5, 2.0, 1 - z))


def _em1_slope(out: Node, p: Node) -> Node:
    near, y, z = _of_complement(p)
    direct = 0.5 * (s.ellipkm1(y) - s.ellipem1(y)) / (1 - y)
    return ops.where(near, direct, literal(math.pi / 8) * s.hyp2f1(0.5, 1.5, 2.0, 1 - z))


def _of_complement(p: Node) -> tuple[Node, Node, Node]:
    near = ops.logical_or(ops.less(p, 0.5), ops.less(_LARGE_PARAMETER, p))
    return near, ops.where(near, p, 0.25), ops.where(near, 1.0, p)


def _reduced(phi: Node) -> tuple[Node, Node, Node]:
    """The number of half turns, and sine and squared cosine of what is left."""
    turns = ops.rint(phi / literal(math.pi))
    sine = ops.sin(phi) * (1 - 2 * ops.remainder(turns, 2))
    return turns, sine, ops.square(ops.cos(phi))


def _delta_squared(phi: Node, m: Node) -> Node:
    """1 - m sin^2; for m near 1 without cancellation, and else with a derivative by phi that has none."""
    sine2 = ops.square(ops.sin(phi))
    return ops.where(ops.less(m, 0.5), 1 - m * sine2, ops.square(ops.cos(phi)) + (1 - m) * sine2)


def _f_by_parameter(out: Node, phi: Node, m: Node) -> Node:
    """By Carlson's R_D, and for each half turn that of the complete integral (DLMF 19.25.5, 19.18.1)."""
    turns, sine, cosine2 = _reduced(phi)
    part = sine**3 * s.elliprd(cosine2, 1.0, _delta_squared(phi, m)) / 6
    return part + ops.masked_multiply(2 * turns, _k_slope(out, m))


def _e_by_parameter(out: Node, phi: Node, m: Node) -> Node:
    turns, sine, cosine2 = _reduced(phi)
    part = sine**3 * s.elliprd(cosine2, _delta_squared(phi, m), 1.0) / 6
    return ops.masked_multiply(2 * turns, _e_slope(out, m)) - part


def _rd_by(x: Node, y: Node, z: Node) -> Node:
    """The derivative of R_D(x, y, z) by x: a difference of two of them, or where x meets z its expansion.

    The integrand is 1 / (((t + u)^2 - d^2)^(3/2) sqrt(t + y)) with u = (x + z) / 2 and d = (z - x) / 2.
    """
    u, d = 0.5 * (x + z), 0.5 * (z - x)
    near = ops.less(ops.absolute(d), 0.1 * ops.absolute(u))
    a, c, b = ops.where(near, 1.0, x), ops.where(near, 2.0, z), ops.where(near, 1.0, y)
    direct = -0.5 * (s.elliprd(b, c, a) - s.elliprd(a, b, c)) / (c - a)
    v, e, f = ops.where(near, u, 1.0), ops.where(near, d, 0.0), ops.where(near, y, 1.0)
    square, w, coefficient = ops.square(e / v), 1 - f / v, 1.0
    terms: list[Node] = []
    for j in range(9):
        p = 3 + 2 * j
        terms.append(coefficient / (p - 0.5) * s.hyp2f1(0.5, p - 0.5, p + 0.5, w))
        coefficient *= (1.5 + j) / (1 + j)
    value = terms.pop()
    while terms:
        value = terms.pop() + value * square
    return ops.where(near, -0.75 * v**-2.5 * value, direct)


def _rd_by_last(out: Node, x: Node, y: Node, z: Node) -> Node:
    """R_D is homogeneous of degree -3/2 (DLMF 19.16.9)."""
    rest = ops.masked_multiply(x, _rd_by(x, y, z)) + ops.masked_multiply(y, _rd_by(y, x, z))
    return (-1.5 * out - rest) / z


def _rg_by(x: Node, y: Node, z: Node) -> Node:
    return 0.25 * s.elliprf(x, y, z) - ops.masked_multiply(x, s.elliprd(y, z, x)) / 12


def _jacobi_by_parameter(outs: Any, u: Node, m: Node) -> tuple[Node, ...]:
    sn, cn, dn, phi = outs
    by = -dn * _f_by_parameter(u, phi, m)
    return cn * by, -sn * by, -sn * (0.5 * sn + m * cn * by) / dn, by


ELLIPTIC: list[Rule] = [
    row("ellipk", "DLMF 19.5.1, 15.5.1, 19.4.1", _k_slope),
    row("ellipe", "DLMF 19.5.2, 15.5.1", _e_slope),
    row("ellipkm1", "DLMF 19.4.1, 19.5.1", _km1_slope),
    Elementwise(s.ellipem1, (_em1_slope,), "DLMF 19.4.2"),
    row("ellipkinc", "DLMF 19.2.4, 19.25.5", lambda out, phi, m: 1 / ops.sqrt(_delta_squared(phi, m)), _f_by_parameter),
    row("ellipeinc", "DLMF 19.2.5, 19.25.9", lambda out, phi, m: ops.sqrt(_delta_squared(phi, m)), _e_by_parameter),
    row(
        "elliprc",
        "DLMF 19.18.1",
        lambda out, x, y: s.elliprd(y, y, x) / -6,
        lambda out, x, y: s.elliprd(x, y, y) / -3,
    ),
    row(
        "elliprf",
        "DLMF 19.18.1",
        lambda out, x, y, z: s.elliprd(y, z, x) / -6,
        lambda out, x, y, z: s.elliprd(x, z, y) / -6,
        lambda out, x, y, z: s.elliprd(x, y, z) / -6,
    ),
    row(
        "elliprd",
        "DLMF 19.18.1, 19.16.9",
        lambda out, x, y, z: _rd_by(x, y, z),
        lambda out, x, y, z: _rd_by(y, x, z),
        _rd_by_last,
    ),
    row(
        "elliprg",
        "DLMF 19.18.1",
        lambda out, x, y, z: _rg_by(x, y, z),
        lambda out, x, y, z: _rg_by(y, z, x),
        lambda out, x, y, z: _rg_by(z, x, y),
    ),
    several(
        "ellipj",
        "DLMF 22.13, 22.16.1",
        lambda outs, u, m: (outs[1] * outs[2], -outs[0] * outs[2], -m * outs[0] * outs[1], outs[2]),
        _jacobi_by_parameter,
    ),
    via(
        "agm",
        "DLMF 19.8.5",
        lambda a, b: literal(math.pi / 4) * (a + b) / s.ellipkm1(4 * (a / (a + b)) * (b / (a + b))),
    ),
]


# --- orthogonal polynomials, and functions of equations of their own -------------------------------------------------


def _cylinder(sign: int, parameter: Callable[[Node], Node]) -> Callable[..., Any]:
    """w'' = (sign x^2 / 4 + a) w, of which the outputs are w and w'."""
    return lambda outs, v, x: (outs[1], (0.25 * sign * ops.square(x) + parameter(v)) * outs[0])


def _mathieu(characteristic: str, modified: bool) -> Callable[..., Any]:
    """w'' = -(a - 2 q cos(2x)) w, where x is in degrees; of modified ones, with cosh, and the other sign."""

    def by_argument(outs: Any, m: Node, q: Node, x: Node) -> tuple[Node, Node]:
        a = s.CARDS[characteristic](m, q)
        if modified:
            return outs[1], (a - 2 * q * ops.cosh(2 * x)) * outs[0]
        return DEGREE * outs[1], DEGREE * (2 * q * s.cosdg(2 * x) - a) * outs[0]

    return by_argument


def _spheroidal(oblate: bool, radial: bool, with_value: bool) -> Callable[..., Any]:
    """((1 - x^2) w')' = -(a - c^2 x^2 - m^2 / (1 - x^2)) w, a the characteristic value; of oblate ones c^2 is negative,

    and radial ones of these have an imaginary argument.
    """

    def by_argument(outs: Any, m: Node, n: Node, c: Node, *rest: Node) -> tuple[Node, Node]:
        x = rest[-1]
        a = rest[0] if with_value else s.CARDS["obl_cv" if oblate else "pro_cv"](m, n, c)
        w, slope = outs
        if oblate and radial:
            margin = ops.square(x) + 1
            return slope, ((a - ops.square(c * x) - ops.square(m) / margin) * w - 2 * x * slope) / margin
        margin = (1 - x) * (1 + x)
        turned = ops.square(c * x) if oblate else -ops.square(c * x)
        return slope, (2 * x * slope - (a + turned - ops.square(m) / margin) * w) / margin

    return by_argument


def _legendre_slope(out: Node, m: Node, v: Node, x: Node) -> Node:
    return (v * x * out - (v + m) * s.lpmv(m, moved(v, -1), x)) / ((x - 1) * (x + 1))


def _polynomial(name: str, source: str, slope: Callable[..., Node], *states: State) -> Rule:
    """The derivative by the last argument, in the degree n, those of which the states are given, and that argument."""
    return row(name, source, *states, lambda out, n, *rest: unless_zero(n, lambda: slope(n, moved(n, -1), *rest)))


def _gegenbauer(name: str, order: float, factor: float, at: Callable[[Node], Node]) -> Rule:
    return _polynomial(name, "DLMF 18.9.19", lambda n, k, x: factor * s.eval_gegenbauer(k, order, at(x)), ORDER)


POLYNOMIALS: list[Rule] = [
    _gegenbauer("eval_legendre", 1.5, 1.0, lambda x: x),
    _gegenbauer("eval_sh_legendre", 1.5, 2.0, lambda x: 2 * x - 1),
    _gegenbauer("eval_chebyu", 2.0, 2.0, lambda x: x),
    _gegenbauer("eval_sh_chebyu", 2.0, 4.0, lambda x: 2 * x - 1),
    _gegenbauer("eval_chebys", 2.0, 1.0, lambda x: 0.5 * x),
    _polynomial("eval_chebyt", "DLMF 18.9.21", lambda n, k, x: n * s.eval_chebyu(k, x), ORDER),
    _polynomial("eval_sh_chebyt", "DLMF 18.9.21", lambda n, k, x: 2 * n * s.eval_sh_chebyu(k, x), ORDER),
    _polynomial("eval_chebyc", "DLMF 18.9.21", lambda n, k, x: n * s.eval_chebys(k, x), ORDER),
    _polynomial(
        "eval_gegenbauer",
        "DLMF 18.9.19",
        lambda n, k, a, x: 2 * a * s.eval_gegenbauer(k, moved(a, 1), x),
        ORDER,
        SHAPE,
    ),
    _polynomial(
        "eval_jacobi",
        "DLMF 18.9.15",
        lambda n, k, a, b, x: 0.5 * (n + a + b + 1) * s.eval_jacobi(k, moved(a, 1), moved(b, 1), x),
        ORDER,
        SHAPE,
        SHAPE,
    ),
    _polynomial(
        "eval_sh_jacobi",
        "DLMF 18.9.15",
        lambda n, k, p, q, x: (n + p) * s.eval_jacobi(k, p - q + 1, q, 2 * x - 1) / s.binom(2 * n + p - 1, n),
        ORDER,
        SHAPE,
        SHAPE,
    ),
    _polynomial("eval_laguerre", "DLMF 18.9.23", lambda n, k, x: -s.eval_genlaguerre(k, 1.0, x), ORDER),
    _polynomial(
        "eval_genlaguerre", "DLMF 18.9.23", lambda n, k, a, x: -s.eval_genlaguerre(k, moved(a, 1), x), ORDER, SHAPE
    ),
    _polynomial("eval_hermite", "DLMF 18.9.25", lambda n, k, x: 2 * n * s.eval_hermite(k, x), NONDIFFERENTIABLE),
    _polynomial("eval_hermitenorm", "DLMF 18.9.27", lambda n, k, x: n * s.eval_hermitenorm(k, x), NONDIFFERENTIABLE),
    row("lpmv", "DLMF 14.10.5", ORDER, ORDER, _legendre_slope),
    several("pbdv", "DLMF 12.2.4", ORDER, _cylinder(1, lambda v: -v - 0.5)),
    several("pbvv", "DLMF 12.2.4", ORDER, _cylinder(1, lambda v: -v - 0.5)),
    several("pbwa", "DLMF 12.14.1", ORDER, _cylinder(-1, lambda a: a)),
    *[
        several(f"mathieu_{name}", "DLMF 28.2.1, 28.20.1", ORDER, SHAPE, _mathieu(characteristic, name[:3] == "mod"))
        for characteristic, names in (("mathieu_a", "cem modcem1 modcem2"), ("mathieu_b", "sem modsem1 modsem2"))
        for name in names.split()
    ],
    *[
        several(
            f"{shape}_{kind}{'_cv' * given}",
            "DLMF 30.2.1, 30.11",
            *[ORDER, ORDER, SHAPE, *[SHAPE] * given],
            _spheroidal(shape == "obl", kind != "ang1", given),
        )
        for shape in ("pro", "obl")
        for kind in ("ang1", "rad1", "rad2")
        for given in (False, True)
    ],
    row("pro_cv", "", ORDER, ORDER, SHAPE),
    row("obl_cv", "", ORDER, ORDER, SHAPE),
    row("mathieu_a", "", ORDER, SHAPE),
    row("mathieu_b", "", ORDER, SHAPE),
]  # fmt: skip

RULES: list[Rule] = [*INTEGRALS, *ELLIPTIC, *POLYNOMIALS]
