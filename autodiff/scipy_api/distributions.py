"""Distributions of ``scipy.stats``, a row for each: logarithms of densities, probabilities, quantiles.

Formulas are for location 0 and scale 1, inside of the support. They are SciPy's, but where these have no derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .. import ops
from ..convert import literal
from ..core.avals import INT64
from ..nodes import Node
from ..ops import special as s

Formula = Callable[..., Node]
LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
INF = math.inf


def _positive(*shapes: Node) -> Node | None:
    """Whether parameters are positive; None if there are none."""
    found: Node | None = None
    for x in shapes:
        valid = ops.less(0, x)
        found = valid if found is None else ops.logical_and(found, valid)
    return found


class Row(NamedTuple):
    """What is known of a distribution. A formula takes what the method does, and the shape parameters.

    Parameters
    ----------
    log : callable
        The logarithm of the density, or of the probability of an integer.
    pdf, cdf, sf, logcdf, logsf, ppf, isf : callable, optional
        As SciPy names them. Those that are None are composed of others, if that is exact.
    support : tuple
        From where to where, a number or a formula each.
    inside : float or callable
        A number inside of the support, at which formulas are finite.
    valid : callable, optional
        Whether shape parameters are valid.
    sample : tuple of float, optional
        Valid shape parameters, if these are not 1.
    ends : bool, optional
        Whether the formula holds at the ends of the support, too; else the density is 0 there.
    discrete : bool, optional
        Whether it is one of integers.
    """

    log: Formula
    cdf: Formula | None = None
    sf: Formula | None = None
    ppf: Formula | None = None
    isf: Formula | None = None
    logcdf: Formula | None = None
    logsf: Formula | None = None
    pdf: Formula | None = None
    support: tuple[float | Formula, float | Formula] = (-INF, INF)
    inside: float | Formula = 0.5
    valid: Callable[..., Node | None] = _positive
    sample: tuple[float, ...] = (1.0, 1.0)
    ends: bool = True
    discrete: bool = False


HALF_LINE = (0.0, INF)
UNIT = (0.0, 1.0)


def _square(x: Node) -> Node:
    return x * x


def _normal(x: Node) -> Node:
    return -0.5 * x * x - LOG_ROOT_2PI


def _log1mexp(x: Node) -> Node:
    """log(1 - exp(x)) for negative numbers (Mächler 2012)."""
    near = ops.less(-math.log(2), x)
    return ops.where(near, ops.log(-ops.expm1(ops.where(near, x, -0.1))), ops.log1p(-ops.exp(ops.where(near, -1, x))))


def _log_mass(a: Node, b: Node) -> Node:
    """The logarithm of the probability that a normal number is from a to b."""
    # In the left tail, or around 0.
    right = ops.less(0, a)
    low, high = ops.where(right, -b, a), ops.where(right, -a, b)
    tail = ops.less_equal(high, 0)
    l, h = ops.where(tail, low, -2), ops.where(tail, high, -1)
    in_tail = s.log_ndtr(h) + _log1mexp(s.log_ndtr(l) - s.log_ndtr(h))
    l, h = ops.where(tail, -1, low), ops.where(tail, 1, high)
    return ops.where(tail, in_tail, ops.log1p(-s.ndtr(l) - s.ndtr(-h)))


def _inverse_gaussian(x: Node, mu: Node) -> tuple[Node, Node, Node]:
    """The logarithms of the two parts of the distribution function, and of the complement of the first."""
    root = 1 / ops.sqrt(x)
    first = root * (x / mu - 1)
    return s.log_ndtr(first), 2 / mu + s.log_ndtr(-root * (x / mu + 1)), s.log_ndtr(-first)


def _inverse_gaussian_cdf(x: Node, mu: Node) -> Node:
    a, b, _ = _inverse_gaussian(x, mu)
    return a + ops.log1p(ops.exp(b - a))


def _inverse_gaussian_sf(x: Node, mu: Node) -> Node:
    _, b, c = _inverse_gaussian(x, mu)
    return c + ops.log1p(-ops.exp(b - c))


def _inside_truncated(a: Node, b: Node) -> Node:
    after = a + ops.minimum(1.0, 0.5 * (b - ops.where(ops.isfinite(a), a, 0)))
    before = ops.where(ops.isfinite(b), b, 1) - 1
    return ops.stop_gradient(ops.where(ops.isfinite(a), after, before))


def _truncated(x: Node, a: Node, b: Node) -> Node:
    return _normal(x) - _log_mass(a, b)


def _binomial(k: Node, n: Node, p: Node) -> Node:
    combinations = s.gammaln(n + 1) - (s.gammaln(k + 1) + s.gammaln(n - k + 1))
    return combinations + s.xlogy(k, p) + s.xlog1py(n - k, -p)


def _is_probability(p: Node) -> Node:
    return ops.logical_and(ops.less_equal(0, p), ops.less_equal(p, 1))


CONTINUOUS: dict[str, Row] = {
    "norm": Row(
        _normal, s.ndtr, lambda x: s.ndtr(-x), s.ndtri, lambda q: -s.ndtri(q), s.log_ndtr, lambda x: s.log_ndtr(-x)
    ),
    "lognorm": Row(
        lambda x, c: -_square(ops.log(x) / c) / 2 - ops.log(c * x) - LOG_ROOT_2PI,
        lambda x, c: s.ndtr(ops.log(x) / c),
        lambda x, c: s.ndtr(-ops.log(x) / c),
        lambda q, c: ops.exp(c * s.ndtri(q)),
        lambda q, c: ops.exp(-c * s.ndtri(q)),
        lambda x, c: s.log_ndtr(ops.log(x) / c),
        lambda x, c: s.log_ndtr(-ops.log(x) / c),
        support=HALF_LINE,
        ends=False,
    ),
    "expon": Row(
        lambda x: -x,
        lambda x: -ops.expm1(-x),
        lambda x: ops.exp(-x),
        lambda q: -ops.log1p(-q),
        lambda q: -ops.log(q),
        logsf=lambda x: -x,
        support=HALF_LINE,
    ),
    "gamma": Row(
        lambda x, a: s.xlogy(a - 1, x) - x - s.gammaln(a),
        lambda x, a: s.gammainc(a, x),
        lambda x, a: s.gammaincc(a, x),
        lambda q, a: s.gammaincinv(a, q),
        lambda q, a: s.gammainccinv(a, q),
        pdf=lambda x, a: s.gamma_density(a, x),
        support=HALF_LINE,
    ),
    "chi2": Row(
        lambda x, df: s.xlogy(df / 2 - 1, x) - x / 2 - s.gammaln(df / 2) - 0.5 * math.log(2) * df,
        lambda x, df: s.chdtr(df, x),
        lambda x, df: s.chdtrc(df, x),
        lambda q, df: 2 * s.gammaincinv(df / 2, q),
        lambda q, df: 2 * s.gammainccinv(df / 2, q),
        pdf=lambda x, df: 0.5 * s.gamma_density(df / 2, x / 2),
        support=HALF_LINE,
    ),
    "beta": Row(
        lambda x, a, b: s.xlog1py(b - 1, -x) + s.xlogy(a - 1, x) - s.betaln(a, b),
        lambda x, a, b: s.betainc(a, b, x),
        lambda x, a, b: s.betaincc(a, b, x),
        lambda q, a, b: s.betaincinv(a, b, q),
        lambda q, a, b: s.betainccinv(a, b, q),
        pdf=lambda x, a, b: s.beta_density(a, b, x),
        support=UNIT,
    ),
    "t": Row(
        lambda x, df: -0.5 * ops.log(df) - s.betaln(df / 2, literal(0.5)) - (df + 1) / 2 * ops.log1p(x * x / df),
        lambda x, df: s.stdtr(df, x),
        lambda x, df: s.stdtr(df, -x),
        lambda q, df: s.stdtrit(df, q),
        lambda q, df: -s.stdtrit(df, q),
    ),
    "f": Row(
        lambda x, m, n: (
            n / 2 * ops.log(n)
            + m / 2 * ops.log(m)
            + s.xlogy(m / 2 - 1, x)
            - (n + m) / 2 * ops.log(n + m * x)
            - s.betaln(m / 2, n / 2)
        ),
        lambda x, m, n: s.fdtr(m, n, x),
        lambda x, m, n: s.fdtrc(m, n, x),
        lambda q, m, n: s.fdtri(m, n, q),
        support=HALF_LINE,
    ),
    "laplace": Row(
        lambda x: math.log(0.5) - ops.absolute(x),
        lambda x: ops.where(ops.less(0, x), 1 - 0.5 * ops.exp(-ops.absolute(x)), 0.5 * ops.exp(-ops.absolute(x))),
        lambda x: ops.where(ops.less(0, x), 0.5 * ops.exp(-ops.absolute(x)), 1 - 0.5 * ops.exp(-ops.absolute(x))),
        lambda q: ops.where(ops.less(0.5, q), -ops.log(2 * (1 - q)), ops.log(2 * q)),
        lambda q: ops.where(ops.less(0.5, q), ops.log(2 * (1 - q)), -ops.log(2 * q)),
    ),
    "logistic": Row(
        lambda x: s.log_expit(x) + s.log_expit(-x),
        s.expit,
        lambda x: s.expit(-x),
        s.logit,
        lambda q: -s.logit(q),
        s.log_expit,
        lambda x: s.log_expit(-x),
    ),
    "cauchy": Row(
        lambda x: -math.log(math.pi) - ops.log1p(x * x),
        lambda x: ops.arctan2(1.0, -x) / math.pi,
        lambda x: ops.arctan2(1.0, x) / math.pi,
        lambda q: -1 / ops.tan(math.pi * q),
        lambda q: 1 / ops.tan(math.pi * q),
    ),
    "uniform": Row(lambda x: 0 * x, lambda x: x, lambda x: 1 - x, lambda q: q, lambda q: 1 - q, support=UNIT),
    "halfnorm": Row(
        lambda x: _normal(x) + math.log(2),
        lambda x: s.erf(x / math.sqrt(2)),
        lambda x: 2 * s.ndtr(-x),
        lambda q: s.ndtri((1 + q) / 2),
        lambda q: -s.ndtri(q / 2),
        support=HALF_LINE,
    ),
    "halfcauchy": Row(
        lambda x: math.log(2 / math.pi) - ops.log1p(x * x),
        lambda x: 2 / math.pi * ops.arctan(x),
        lambda x: 2 / math.pi * ops.arctan2(1.0, x),
        lambda q: ops.tan(math.pi / 2 * q),
        lambda q: 1 / ops.tan(math.pi / 2 * q),
        support=HALF_LINE,
    ),
    "weibull_min": Row(
        lambda x, c: ops.log(c) + s.xlogy(c - 1, x) - x**c,
        lambda x, c: -ops.expm1(-(x**c)),
        lambda x, c: ops.exp(-(x**c)),
        lambda q, c: (-ops.log1p(-q)) ** (1 / c),
        lambda q, c: (-ops.log(q)) ** (1 / c),
        logsf=lambda x, c: -(x**c),
        pdf=lambda x, c: c * x ** (c - 1) * ops.exp(-(x**c)),
        support=HALF_LINE,
    ),
    "pareto": Row(
        lambda x, b: ops.log(b) - (b + 1) * ops.log(x),
        lambda x, b: -ops.expm1(-b * ops.log(x)),
        lambda x, b: x**-b,
        lambda q, b: (1 - q) ** (-1 / b),
        lambda q, b: q ** (-1 / b),
        support=(1.0, INF),
        inside=1.5,
    ),
    "lomax": Row(
        lambda x, c: ops.log(c) - (c + 1) * ops.log1p(x),
        lambda x, c: -ops.expm1(-c * ops.log1p(x)),
        lambda x, c: ops.exp(-c * ops.log1p(x)),
        lambda q, c: ops.expm1(-ops.log1p(-q) / c),
        lambda q, c: ops.expm1(-ops.log(q) / c),
        logsf=lambda x, c: -c * ops.log1p(x),
        support=HALF_LINE,
    ),
    "powerlaw": Row(
        lambda x, a: ops.log(a) + s.xlogy(a - 1, x),
        lambda x, a: x**a,
        lambda x, a: -ops.expm1(a * ops.log(x)),
        lambda q, a: q ** (1 / a),
        lambda q, a: ops.exp(ops.log1p(-q) / a),
        lambda x, a: a * ops.log(x),
        pdf=lambda x, a: a * x ** (a - 1),
        support=UNIT,
    ),
    "gumbel_r": Row(
        lambda x: -x - ops.exp(-x),
        lambda x: ops.exp(-ops.exp(-x)),
        lambda x: -ops.expm1(-ops.exp(-x)),
        lambda q: -ops.log(-ops.log(q)),
        lambda q: -ops.log(-ops.log1p(-q)),
        lambda x: -ops.exp(-x),
    ),
    "gumbel_l": Row(
        lambda x: x - ops.exp(x),
        lambda x: -ops.expm1(-ops.exp(x)),
        lambda x: ops.exp(-ops.exp(x)),
        lambda q: ops.log(-ops.log1p(-q)),
        lambda q: ops.log(-ops.log(q)),
        logsf=lambda x: -ops.exp(x),
    ),
    "rayleigh": Row(
        lambda x: ops.log(x) - 0.5 * x * x,
        lambda x: -ops.expm1(-0.5 * x * x),
        lambda x: ops.exp(-0.5 * x * x),
        lambda q: ops.sqrt(-2 * ops.log1p(-q)),
        lambda q: ops.sqrt(-2 * ops.log(q)),
        logsf=lambda x: -0.5 * x * x,
        pdf=lambda x: x * ops.exp(-0.5 * x * x),
        support=HALF_LINE,
    ),
    "maxwell": Row(
        lambda x: 0.5 * math.log(2 / math.pi) + 2 * ops.log(x) - 0.5 * x * x,
        lambda x: s.gammainc(1.5, 0.5 * x * x),
        lambda x: s.gammaincc(1.5, 0.5 * x * x),
        lambda q: ops.sqrt(2 * s.gammaincinv(1.5, q)),
        lambda q: ops.sqrt(2 * s.gammainccinv(1.5, q)),
        pdf=lambda x: math.sqrt(2 / math.pi) * x * x * ops.exp(-0.5 * x * x),
        support=HALF_LINE,
    ),
    "invgamma": Row(
        lambda x, a: -(a + 1) * ops.log(x) - s.gammaln(a) - 1 / x,
        lambda x, a: s.gammaincc(a, 1 / x),
        lambda x, a: s.gammainc(a, 1 / x),
        lambda q, a: 1 / s.gammainccinv(a, q),
        lambda q, a: 1 / s.gammaincinv(a, q),
        support=HALF_LINE,
        ends=False,
    ),
    "invgauss": Row(
        lambda x, mu: -LOG_ROOT_2PI - 1.5 * ops.log(x) - _square((x - mu) / mu) / (2 * x),
        lambda x, mu: ops.exp(_inverse_gaussian_cdf(x, mu)),
        lambda x, mu: ops.exp(_inverse_gaussian_sf(x, mu)),
        logcdf=_inverse_gaussian_cdf,
        logsf=_inverse_gaussian_sf,
        support=HALF_LINE,
        ends=False,
    ),
    "skewnorm": Row(
        lambda x, a: math.log(2) + _normal(x) + s.log_ndtr(a * x),
        valid=ops.isfinite,
    ),
    "gennorm": Row(lambda x, beta: ops.log(0.5 * beta) - s.gammaln(1 / beta) - ops.absolute(x) ** beta),
    "vonmises": Row(
        lambda x, kappa: kappa * s.cosm1(x) - math.log(2 * math.pi) - ops.log(s.i0e(kappa)),
        valid=lambda kappa: ops.less_equal(0, kappa),
    ),
    "truncnorm": Row(
        _truncated,
        lambda x, a, b: ops.exp(_log_mass(a, x) - _log_mass(a, b)),
        lambda x, a, b: ops.exp(_log_mass(x, b) - _log_mass(a, b)),
        logcdf=lambda x, a, b: _log_mass(a, x) - _log_mass(a, b),
        logsf=lambda x, a, b: _log_mass(x, b) - _log_mass(a, b),
        support=(lambda a, b: a, lambda a, b: b),
        inside=_inside_truncated,
        valid=ops.less,
        sample=(0.0, 1.0),
    ),
}

DISCRETE: dict[str, Row] = {
    "poisson": Row(
        lambda k, mu: s.xlogy(k, mu) - s.gammaln(k + 1) - mu,
        s.pdtr,
        s.pdtrc,
        support=HALF_LINE,
        inside=1.0,
        valid=lambda mu: ops.less_equal(0, mu),
        discrete=True,
    ),
    "binom": Row(
        _binomial,
        lambda k, n, p: s.bdtr(k, ops.astype(n, INT64), p),
        lambda k, n, p: s.bdtrc(k, ops.astype(n, INT64), p),
        support=(0.0, lambda n, p: n),
        inside=0.0,
        valid=lambda n, p: ops.logical_and(ops.less_equal(0, n), _is_probability(p)),
        sample=(1.0, 0.5),
        discrete=True,
    ),
    "bernoulli": Row(
        lambda k, p: s.xlogy(k, p) + s.xlog1py(1 - k, -p),
        lambda k, p: 1 - p,
        lambda k, p: p,
        support=UNIT,
        inside=0.0,
        valid=_is_probability,
        sample=(0.5,),
        discrete=True,
    ),
    "nbinom": Row(
        lambda k, n, p: s.gammaln(n + k) - s.gammaln(k + 1) - s.gammaln(n) + n * ops.log(p) + s.xlog1py(k, -p),
        lambda k, n, p: s.betainc(n, k + 1, p),
        lambda k, n, p: s.betaincc(n, k + 1, p),
        support=HALF_LINE,
        inside=1.0,
        valid=lambda n, p: ops.logical_and(ops.less(0, n), ops.logical_and(ops.less(0, p), ops.less_equal(p, 1))),
        sample=(1.0, 0.5),
        discrete=True,
    ),
    "geom": Row(
        lambda k, p: s.xlog1py(k - 1, -p) + ops.log(p),
        lambda k, p: -ops.expm1(k * ops.log1p(-p)),
        lambda k, p: ops.exp(k * ops.log1p(-p)),
        logsf=lambda k, p: k * ops.log1p(-p),
        support=(1.0, INF),
        inside=1.0,
        valid=lambda p: ops.logical_and(ops.less(0, p), ops.less_equal(p, 1)),
        sample=(0.5,),
        discrete=True,
    ),
}

# Mean and variance, of location 0 and scale 1.
MOMENTS: dict[str, tuple[Formula, Formula]] = {
    "norm": (lambda: literal(0.0), lambda: literal(1.0)),
    "expon": (lambda: literal(1.0), lambda: literal(1.0)),
    "uniform": (lambda: literal(0.5), lambda: literal(1 / 12)),
    "laplace": (lambda: literal(0.0), lambda: literal(2.0)),
    "logistic": (lambda: literal(0.0), lambda: literal(math.pi**2 / 3)),
    "gamma": (lambda a: a, lambda a: a),
    "chi2": (lambda df: df, lambda df: 2 * df),
    "beta": (lambda a, b: a / (a + b), lambda a, b: a * b / (_square(a + b) * (a + b + 1))),
    "lognorm": (
        lambda c: ops.exp(c * c / 2),
        lambda c: ops.expm1(c * c) * ops.exp(c * c),
    ),
    "poisson": (lambda mu: mu, lambda mu: mu),
    "binom": (lambda n, p: n * p, lambda n, p: n * p * (1 - p)),
    "bernoulli": (lambda p: p, lambda p: p * (1 - p)),
    "geom": (lambda p: 1 / p, lambda p: (1 - p) / _square(p)),
}
