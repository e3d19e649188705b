"""Derivatives of the gamma function, of incomplete gamma and beta functions, and of distributions made of them.

As in ``special``. A derivative by the shape of a distribution is an integral, computed by quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .. import ops
from ..convert import as_node, literal
from ..nodes import Node
from ..ops import special as s
from .rows import ZERO, Derivative, Elementwise, Rule, State
from .special import SHAPE, is_complex, moved, power_by_shape, row, valid, via


def _rgamma_slope(out: Node, x: Node) -> Node:
    """-psi / Gamma; on the left by the reflected function, which has no poles there (DLMF 5.5.3)."""
    left = ops.less(ops.real(x), 0.5)
    y, z = ops.where(left, x, 0.25), ops.where(left, 1.0, x)
    sine = s.sine_of_pi(y) / literal(math.pi)
    reflected = s.gamma(1 - y) * (s.sine_of_pi(y, 0.5) - s.psi(1 - y) * sine)
    return ops.where(left, reflected, -s.psi(z) * s.rgamma(z))


def _loggamma_slope(out: Node, x: Node) -> Node:
    return s.psi(x) if is_complex(x) else valid(ops.less_equal(0, x), s.psi(x))


# --- derivatives by a shape: quadrature of the derivative of a density -----------------------------------------------

# Of an integrand that decays like exp(-s): s = exp(u - exp(-u)), and the trapezoidal rule for u, of which the number of
# digits grows as that of nodes does (Takahasi and Mori 1974).
_STEP = 0.075
_U = np.arange(-4.2, 4.3, _STEP)
_NODES = np.exp(_U - np.exp(-_U))
_WEIGHTS = _STEP * _NODES * (1 + np.exp(-_U))
# By recurrences shapes become larger than this: densities are smooth and 0 at the ends.
_RAISED = 2


def _quadrature(integrand: Callable[..., Node], slope: Node, curvature: Node, *arguments: Node) -> Node:
    """The integral over s > 0 of ``f(s, *arguments)``, which decays like exp(-slope s - curvature s^2 / 2)."""
    scale = ops.stop_gradient(2 / (slope + ops.sqrt(ops.square(slope) + 2 * curvature)))
    columns = [ops.expand_dims(ops.strong(x), -1) for x in (scale, *arguments)]
    nodes, weights = (as_node(x.astype(scale.dtype)) for x in (_NODES, _WEIGHTS))
    terms = columns[0] * weights * integrand(columns[0] * nodes, *columns[1:])
    return ops.sum(terms, (terms.aval.ndim - 1,))


def _gammainc_by_shape(a: Node, x: Node) -> Node:
    domain = ops.logical_and(ops.less_equal(0, a), ops.less_equal(0, x))
    inner = ops.logical_and(ops.less(0, x), ops.isfinite(x))
    (x,) = s.inside(inner, 1.0, x)
    log_x: Node = ops.log(x)
    total: Node = literal(0.0)
    for _ in range(_RAISED):
        # P(a, x) = P(a + 1, x) + x^a exp(-x) / Gamma(a + 1)  (DLMF 8.8.5).
        a = a + 1
        total = total + s.gamma_density(a, x) * (log_x - s.psi(a))
    lower = ops.less(x, a)
    sign = ops.where(lower, -1.0, 1.0)

    def integrand(t: Node, a: Node, x: Node, sign: Node, offset: Node) -> Node:
        t = sign * t
        return ops.exp(a * t - x * ops.expm1(t)) * (offset + t)

    part = _quadrature(integrand, ops.absolute(a - x), x, a, x, sign, log_x - s.psi(a))
    return _where_defined(domain, inner, total - sign * x * s.gamma_density(a, x) * part)


def _where_defined(domain: Node, inner: Node, value: Node) -> Node:
    """The value, 0 at the ends of the domain, and NaN outside of it."""
    return ops.where(ops.logical_and(domain, inner), value, ops.where(domain, 0.0, math.nan))


def _betainc_by_first(a: Node, b: Node, x: Node, rest: Node) -> Node:
    """Of I_x(a, b), where ``rest`` is 1 - x."""
    inner, domain = ops.less(0, x * rest), ops.less_equal(0, ops.minimum(ops.minimum(a, b), x * rest))
    x, rest = s.inside(inner, 0.5, x, rest)
    log_x: Node = ops.log(x)
    total: Node = literal(0.0)
    for _ in range(_RAISED):
        # I(a, b) = I(a + 1, b) + g / a and I(a, b + 1) - g / b, where g is x^a (1 - x)^b / B(a, b)  (DLMF 8.17.20, 21).
        g = _scaled_density(a, b, x, rest)
        total = total + g * ((log_x + s.psi_step(a, b, order=0)) / a - 1 / ops.square(a))
        a = a + 1
        g = _scaled_density(a, b, x, rest)
        total = total - g * (log_x + s.psi_step(a, b, order=0)) / b
        b = b + 1
    lower = ops.less(x * (a + b - 1), a)
    p, q = ops.where(lower, a, b), ops.where(lower, b, a)
    y, z = ops.where(lower, x, rest), ops.where(lower, rest, x)

    def integrand(t: Node, p: Node, q: Node, odds: Node, lower: Node, offset: Node) -> Node:
        log_rest = ops.log1p(-odds * ops.expm1(-t))
        return ops.exp((q - 1) * log_rest - p * t) * (offset + ops.where(lower, -t, log_rest))

    odds = y / z
    slope = ops.maximum(p - (q - 1) * odds, 0)
    part = _quadrature(integrand, slope, (q - 1) * odds / z, p, q, odds, lower, log_x + s.psi_step(a, b, order=0))
    part = ops.where(lower, part, -part) * _scaled_density(a, b, x, rest) / z
    return _where_defined(domain, inner, total + part)


def _scaled_density(a: Node, b: Node, x: Node, rest: Node) -> Node:
    """x^a (1 - x)^b / B(a, b), by the smaller of x and 1 - x."""
    left = ops.less(x, 0.5)
    p, q = ops.where(left, a, b), ops.where(left, b, a)
    return x * rest * s.beta_density(p, q, ops.where(left, x, rest))


def _betainc_by_a(a: Node, b: Node, x: Node) -> Node:
    return _betainc_by_first(a, b, x, 1 - x)


def _betainc_by_b(a: Node, b: Node, x: Node) -> Node:
    return -_betainc_by_first(b, a, 1 - x, x)


def _f_by_shape(a: Node, b: Node, x: Node, first: bool) -> Node:
    scale = b + a * x
    w, v = a * x / scale, b / scale
    if first:
        return 0.5 * _betainc_by_first(0.5 * a, 0.5 * b, w, v) + _f_density(a, b, x) * (x / a)
    return -0.5 * _betainc_by_first(0.5 * b, 0.5 * a, v, w) - _f_density(a, b, x) * (x / b)


def _t_by_shape(df: Node, t: Node) -> Node:
    scale = df + ops.square(t)
    part = _betainc_by_first(0.5 * df, literal(0.5), df / scale, ops.square(t) / scale)
    return -0.25 * ops.sign(t) * part - _t_density(df, t) * (0.5 * t / df)


def _f_density(a: Node, b: Node, x: Node) -> Node:
    """By the smaller of w and 1 - w, where w = a x / (b + a x)."""
    scale = b + a * x
    w, v = a * x / scale, b / scale
    left = ops.less(w, 0.5)
    c, d = ops.where(left, a, b), ops.where(left, b, a)
    return s.beta_density(0.5 * c, 0.5 * d, ops.where(left, w, v)) * (a / scale) * v


def _t_density(df: Node, t: Node) -> Node:
    return ops.exp(-0.5 * (df + 1) * ops.log1p(ops.square(t) / df)) / (ops.sqrt(df) * s.beta(0.5, 0.5 * df))


def _implicit(name: str, source: str, partials: Callable[..., Sequence[Node | float]], *states: State | None) -> Rule:
    """An inverse: ``partials(out, *inputs)`` are the derivatives of the equation by the output and by each input."""

    def derivative(position: int) -> Derivative:
        def by_input(out: Node, *inputs: Node) -> Node:
            by_out, *others = partials(out, *inputs)
            return -others[position] / by_out  # type: ignore[return-value]

        return by_input

    count = len(states)
    return row(name, source, *[states[i] or derivative(i) for i in range(count)])


def _partials(f: str, a: Node, b: Node, x: Node) -> tuple[Node, Node, Node]:
    """Of the incomplete beta function; of its complement, with the other sign."""
    sign = 1.0 if f == "betainc" else -1.0
    return sign * _betainc_by_a(a, b, x), sign * _betainc_by_b(a, b, x), sign * s.beta_density(a, b, x)


def _noncentral_density(x: Node, df: Node, nc: Node) -> Node:
    """Of chi-square: by a scaled Bessel function, where the plain one is large."""
    product = x * nc
    large = ops.less(1e4, product)
    y, n, p = ops.where(large, x, 1.0), ops.where(large, nc, 1.0), ops.where(large, 0.0, product)
    far = (
        ops.exp(-0.5 * ops.square(ops.sqrt(y) - ops.sqrt(n)))
        * (y / n) ** (0.25 * df - 0.5)
        * s.ive(0.5 * df - 1, ops.sqrt(y * n))
    )
    near = s.gamma_density(0.5 * df, 0.5 * x) * ops.exp(-0.5 * nc) * s.hyp0f1(0.5 * df, 0.25 * p)
    return 0.5 * ops.where(large, far, near)


def _tukey_slope(p: Node, shape: Node) -> Node:
    inside = ops.less(0, p * (1 - p))
    (q,) = s.inside(inside, 0.5, p)
    return ops.where(inside, 1 / (q ** (shape - 1) + (1 - q) ** (shape - 1)), 0)


def _tukey_by_shape(p: Node, x: Node, shape: Node) -> Node:
    inside = ops.less(0, p * (1 - p))
    (q,) = s.inside(inside, 0.5, p)
    return (power_by_shape(ops.log(1 - q), shape) - power_by_shape(ops.log(q), shape)) * _tukey_slope(p, shape)


def _inverses() -> list[Rule]:
    """By a shape, where the equation is that of the distribution; -1 is the derivative by the probability."""

    def chi_square(out: Node, p: Node, x: Node) -> Sequence[Node | float]:
        return 0.5 * _gammainc_by_shape(0.5 * out, 0.5 * x), -1.0, 0.5 * s.gamma_density(0.5 * out, 0.5 * x)

    def gamma(out: Node, a: Node, p: Node, x: Node) -> Sequence[Node | float]:
        density = s.gamma_density(out, a * x)
        return _gammainc_by_shape(out, a * x), x * density, -1.0, a * density

    def poisson(out: Node, p: Node, m: Node) -> Sequence[Node | float]:
        return -_gammainc_by_shape(out + 1, m), -1.0, -s.gamma_density(out + 1, m)

    def beta(out: Node, p: Node, b: Node, x: Node) -> Sequence[Node | float]:
        by_a, by_b, by_x = _partials("betainc", out, b, x)
        return by_a, -1.0, by_b, by_x

    def beta_second(out: Node, a: Node, p: Node, x: Node) -> Sequence[Node | float]:
        by_a, by_b, by_x = _partials("betainc", a, out, x)
        return by_b, by_a, -1.0, by_x

    def binomial(out: Node, y: Node, n: Node, p: Node) -> Sequence[Node | float]:
        by_a, by_b, by_p = _partials("betaincc", out + 1, n - out, p)
        return by_a - by_b, -1.0, by_b, by_p

    def binomial_trials(out: Node, k: Node, y: Node, p: Node) -> Sequence[Node | float]:
        by_a, by_b, by_p = _partials("betaincc", k + 1, out - k, p)
        return by_b, by_a - by_b, -1.0, by_p

    def negative(out: Node, y: Node, n: Node, p: Node) -> Sequence[Node | float]:
        by_n, by_k, by_p = _partials("betainc", n, out + 1, p)
        return by_k, -1.0, by_n, by_p

    def negative_trials(out: Node, k: Node, y: Node, p: Node) -> Sequence[Node | float]:
        by_n, by_k, by_p = _partials("betainc", out, k + 1, p)
        return by_n, by_k, -1.0, by_p

    def student(out: Node, p: Node, t: Node) -> Sequence[Node | float]:
        return _t_by_shape(out, t), -1.0, _t_density(out, t)

    def fisher(out: Node, a: Node, p: Node, x: Node) -> Sequence[Node | float]:
        return _f_by_shape(a, out, x, False), _f_by_shape(a, out, x, True), -1.0, _f_density(a, out, x)

    def noncentral(out: Node, x: Node, df: Node, p: Node) -> Sequence[Node | float]:
        return -_noncentral_density(x, df + 2, out), _noncentral_density(x, df, out), 0.0, -1.0

    return [
        _implicit("chdtriv", "DLMF 8.2.4", chi_square, None, None),
        _implicit("gdtrib", "DLMF 8.2.4", gamma, None, None, None),
        _implicit("pdtrik", "DLMF 8.4.10", poisson, None, None),
        _implicit("btdtria", "DLMF 8.17.1", beta, None, None, None),
        _implicit("btdtrib", "DLMF 8.17.1", beta_second, None, None, None),
        _implicit("bdtrik", "DLMF 8.17.5", binomial, None, None, None),
        _implicit("bdtrin", "DLMF 8.17.5", binomial_trials, None, None, None),
        _implicit("nbdtrik", "DLMF 8.17.24", negative, None, None, None),
        _implicit("nbdtrin", "DLMF 8.17.24", negative_trials, None, None, None),
        _implicit("stdtridf", "DLMF 8.17.1", student, None, None),
        _implicit("fdtridfd", "DLMF 8.17.1", fisher, None, None, None),
        _implicit("chndtrinc", "DLMF 8.2.4, 10.25.2", noncentral, None, SHAPE, None),
    ]


RULES: list[Rule] = [
    row("gamma", "DLMF 5.2.2", lambda out, x: out * s.psi(x)),
    row("rgamma", "DLMF 5.2.2, 5.5.3", _rgamma_slope),
    row("gammaln", "DLMF 5.2.2", lambda out, x: s.psi(x)),
    row("loggamma", "DLMF 5.2.2", _loggamma_slope),
    row("gammasgn", "", ZERO),
    row("psi", "DLMF 5.15.1", lambda out, x: s.polygamma(x, order=1)),
    Elementwise(s.polygamma, (lambda out, x, order: s.polygamma(x, order=order + 1),), "DLMF 5.15"),
    row("_zeta", "DLMF 25.11.17", SHAPE, lambda out, x, q: -x * s.CARDS["_zeta"](moved(x, 1), q)),
    row("_riemann_zeta", "", SHAPE),
    row("zetac", "", SHAPE),
    Elementwise(
        s.psi_step,
        (
            lambda out, x, d, order: s.psi_step(x, d, order=order + 1),
            lambda out, x, d, order: s.polygamma(x + d, order=order + 1),
        ),
        "DLMF 5.15",
    ),
    row(
        "poch",
        "DLMF 5.2.5",
        lambda out, z, m: out * s.psi_step(z, m, order=0),
        lambda out, z, m: out * s.psi(z + m),
    ),
    row(
        "beta",
        "DLMF 5.12.1",
        lambda out, a, b: -out * s.psi_step(a, b, order=0),
        lambda out, a, b: -out * s.psi_step(b, a, order=0),
    ),
    row(
        "betaln",
        "DLMF 5.12.1",
        lambda out, a, b: -s.psi_step(a, b, order=0),
        lambda out, a, b: -s.psi_step(b, a, order=0),
    ),
    row(
        "binom",
        "DLMF 1.2.6",
        lambda out, n, k: out * s.psi_step(n - k + 1, k, order=0),
        lambda out, n, k: out * s.psi_step(k + 1, n - 2 * k, order=0),
    ),
    row("gammainc", "DLMF 8.8.13", lambda out, a, x: _gammainc_by_shape(a, x), lambda out, a, x: s.gamma_density(a, x)),
    row(
        "gammaincc",
        "DLMF 8.8.13",
        lambda out, a, x: -_gammainc_by_shape(a, x),
        lambda out, a, x: -s.gamma_density(a, x),
    ),
    row(
        "gammaincinv",
        "DLMF 8.8.13",
        lambda out, a, y: -_gammainc_by_shape(a, out) / s.gamma_density(a, out),
        lambda out, a, y: 1 / s.gamma_density(a, out),
    ),
    row(
        "gammainccinv",
        "DLMF 8.8.13",
        lambda out, a, y: -_gammainc_by_shape(a, out) / s.gamma_density(a, out),
        lambda out, a, y: -1 / s.gamma_density(a, out),
    ),
    Elementwise(
        s.gamma_density,
        (lambda out, a, x: out * (ops.log(x) - s.psi(a)), lambda out, a, x: out * ((a - 1 - x) / x)),
        "DLMF 8.8.13",
    ),
    row(
        "betainc",
        "DLMF 8.17.1",
        lambda out, a, b, x: _betainc_by_a(a, b, x),
        lambda out, a, b, x: _betainc_by_b(a, b, x),
        lambda out, a, b, x: s.beta_density(a, b, x),
    ),
    row(
        "betaincc",
        "DLMF 8.17.1",
        lambda out, a, b, x: -_betainc_by_a(a, b, x),
        lambda out, a, b, x: -_betainc_by_b(a, b, x),
        lambda out, a, b, x: -s.beta_density(a, b, x),
    ),
    row(
        "betaincinv",
        "DLMF 8.17.1",
        lambda out, a, b, y: -_betainc_by_a(a, b, out) / s.beta_density(a, b, out),
        lambda out, a, b, y: -_betainc_by_b(a, b, out) / s.beta_density(a, b, out),
        lambda out, a, b, y: 1 / s.beta_density(a, b, out),
    ),
    row(
        "betainccinv",
        "DLMF 8.17.1",
        lambda out, a, b, y: -_betainc_by_a(a, b, out) / s.beta_density(a, b, out),
        lambda out, a, b, y: -_betainc_by_b(a, b, out) / s.beta_density(a, b, out),
        lambda out, a, b, y: -1 / s.beta_density(a, b, out),
    ),
    Elementwise(
        s.beta_density,
        (
            lambda out, a, b, x: out * (ops.log(x) + s.psi_step(a, b, order=0)),
            lambda out, a, b, x: out * (ops.log1p(-x) + s.psi_step(b, a, order=0)),
            lambda out, a, b, x: out * ((a - 1) / x - (b - 1) / (1 - x)),
        ),
        "DLMF 8.17.1",
    ),
    via("chdtr", "DLMF 8.2.4", lambda df, x: s.gammainc(0.5 * df, 0.5 * x)),
    via("chdtrc", "DLMF 8.2.4", lambda df, x: s.gammaincc(0.5 * df, 0.5 * x)),
    via("chdtri", "DLMF 8.2.4", lambda df, p: 2 * s.gammainccinv(0.5 * df, p)),
    via("gdtr", "DLMF 8.2.4", lambda a, b, x: s.gammainc(b, a * x)),
    via("gdtrc", "DLMF 8.2.4", lambda a, b, x: s.gammaincc(b, a * x)),
    via("gdtria", "DLMF 8.2.4", lambda p, b, x: s.gammaincinv(b, p) / x),
    via("gdtrix", "DLMF 8.2.4", lambda a, b, p: s.gammaincinv(b, p) / a),
    via("pdtr", "DLMF 8.4.10", lambda k, m: s.gammaincc(ops.floor(k) + 1, m)),
    via("pdtrc", "DLMF 8.4.10", lambda k, m: s.gammainc(ops.floor(k) + 1, m)),
    via("pdtri", "DLMF 8.4.10", lambda k, y: s.gammainccinv(ops.floor(k) + 1, y)),
    via("bdtr", "DLMF 8.17.5", lambda k, n, p: s.betaincc(ops.floor(k) + 1, n - ops.floor(k), p)),
    via("bdtrc", "DLMF 8.17.5", lambda k, n, p: s.betainc(ops.floor(k) + 1, n - ops.floor(k), p)),
    via("bdtri", "DLMF 8.17.5", lambda k, n, y: s.betainccinv(ops.floor(k) + 1, n - ops.floor(k), y)),
    via("nbdtr", "DLMF 8.17.24", lambda k, n, p: s.betainc(n, k + 1, p)),
    via("nbdtrc", "DLMF 8.17.24", lambda k, n, p: s.betaincc(n, k + 1, p)),
    via("nbdtri", "DLMF 8.17.24", lambda k, n, y: s.betaincinv(n, k + 1, y)),
    row(
        "fdtr",
        "DLMF 8.17.1",
        lambda out, a, b, x: _f_by_shape(a, b, x, True),
        lambda out, a, b, x: _f_by_shape(a, b, x, False),
        lambda out, a, b, x: _f_density(a, b, x),
    ),
    row(
        "fdtrc",
        "DLMF 8.17.1",
        lambda out, a, b, x: -_f_by_shape(a, b, x, True),
        lambda out, a, b, x: -_f_by_shape(a, b, x, False),
        lambda out, a, b, x: -_f_density(a, b, x),
    ),
    row(
        "fdtri",
        "DLMF 8.17.1",
        lambda out, a, b, p: -_f_by_shape(a, b, out, True) / _f_density(a, b, out),
        lambda out, a, b, p: -_f_by_shape(a, b, out, False) / _f_density(a, b, out),
        lambda out, a, b, p: 1 / _f_density(a, b, out),
    ),
    row("stdtr", "DLMF 8.17.1", lambda out, df, t: _t_by_shape(df, t), lambda out, df, t: _t_density(df, t)),
    row(
        "stdtrit",
        "DLMF 8.17.1",
        lambda out, df, p: -_t_by_shape(df, out) / _t_density(df, out),
        lambda out, df, p: 1 / _t_density(df, out),
    ),
    row(
        "chndtr",
        "DLMF 8.2.4, 10.25.2; Johnson, Kotz, Balakrishnan 1995, 29.3 and 29.4",
        lambda out, x, df, nc: _noncentral_density(x, df, nc),
        SHAPE,
        lambda out, x, df, nc: -_noncentral_density(x, df + 2, nc),
    ),
    row(
        "chndtrix",
        "DLMF 8.2.4, 10.25.2",
        lambda out, p, df, nc: 1 / _noncentral_density(out, df, nc),
        SHAPE,
        lambda out, p, df, nc: _noncentral_density(out, df + 2, nc) / _noncentral_density(out, df, nc),
    ),
    *_inverses(),
    row(
        "tklmbda",
        "DLMF 13.6.2; Tukey 1960",
        lambda out, x, shape: _tukey_slope(out, shape),
        _tukey_by_shape,
    ),
]
