"""Functions of probabilities, entropies and the normal distribution, of those in ``elementary`` and ``inverses``."""

from __future__ import annotations

import math
from typing import Any

from .elementary import clamped, exp, exp_single, log, log1p, log1p_single
from .inverses import arctanh, erf_near, erfc_of_sum, erfcx

_LOG_OF_TWO = 0.6931471805599453
_ROOT_OF_HALF = 0.7071067811865476, -4.833646656726457e-17


def expit(x: Any) -> Any:
    """1 / (1 + e^-x), also where e^-x is infinite."""
    e = exp(-abs(x))
    return (x < 0.0).select(e, 1.0) / (e + 1.0)


def expit_single(x: Any) -> Any:
    """The same in single precision."""
    e = exp_single(-abs(x))
    return (x < 0.0).select(e, 1.0) / (e + 1.0)


def log_expit(x: Any) -> Any:
    """The logarithm of ``expit``."""
    rest = log1p(exp(-abs(x)))
    return (x < 0.0).select(x - rest, -rest)


def log_expit_single(x: Any) -> Any:
    """The same in single precision."""
    rest = log1p_single(exp_single(-abs(x)))
    return (x < 0.0).select(x - rest, -rest)


def logit(p: Any) -> Any:
    """log(p / (1 - p)); near 1/2 as an inverse hyperbolic tangent, which is 0 there."""
    rest = 1.0 - p
    odds = p / rest
    # What the rounding of both has lost.
    back, lost = odds.product(rest)
    lost = ((p - back) - lost - odds * ((1.0 - rest) - p)) / p
    y = log(odds) + ((odds > 0.0) & (odds < math.inf)).select(lost, 0.0)
    twice = p - 0.5
    return ((p > 0.25) & (p < 0.75)).select(arctanh(twice + twice) * 2.0, y)


def xlogy(x: Any, y: Any) -> Any:
    """x log(y), 0 for x = 0."""
    return ((x == 0.0) & (y == y)).select(0.0, x * log(y))


def xlog1py(x: Any, y: Any) -> Any:
    """x log(1 + y), 0 for x = 0."""
    return ((x == 0.0) & (y == y)).select(0.0, x * log1p(y))


def entr(x: Any) -> Any:
    """-x log(x), 0 at 0 and -inf below."""
    y = (x == 0.0).select(0.0, -x * log(x))
    return (x < 0.0).select(-math.inf, y)


def _log_ratio(x: Any, y: Any, otherwise: Any = None) -> Any:
    """log(x / y) of positive numbers, also where they are nearly equal; another number where the ratio is none."""
    ratio = x / y
    result = ((ratio > 0.5) & (ratio < 2.0)).select(log1p((x - y) / y), log(ratio))
    if otherwise is None:
        return result
    return ((ratio > 2.2250738585072014e-308) & (ratio < math.inf)).select(result, otherwise)


def _relative(x: Any, y: Any, value: Any, at_zero: Any) -> Any:
    """A value of positive numbers; another where the first is 0, and infinite else."""
    result = ((x == 0.0) & (y >= 0.0)).select(at_zero, abs(x) + math.inf)
    result = ((x > 0.0) & (y > 0.0)).select(value, result)
    return ((x != x) | (y != y)).select(x + y, result)


def rel_entr(x: Any, y: Any) -> Any:
    """x log(x / y)."""
    return _relative(x, y, x * _log_ratio(x, y, log(x) - log(y)), x * 0.0)


def kl_div(x: Any, y: Any) -> Any:
    """x log(x / y) - x + y."""
    return _relative(x, y, x * _log_ratio(x, y) - x + y, y)


def _scaled(x: Any) -> tuple[Any, Any]:
    """-x / sqrt(2), and what its rounding lost."""
    z, lost = x.product(-_ROOT_OF_HALF[0])
    return z, x.fma(-_ROOT_OF_HALF[1], lost)


def ndtr(x: Any) -> Any:
    """The distribution of the normal distribution."""
    return erfc_of_sum(*_scaled(clamped(x, -64.0, 64.0))) * 0.5


def log_ndtr(x: Any) -> Any:
    """The logarithm of ``ndtr``, within 3 units in the last place."""
    z, lost = _scaled((x > 64.0).select(64.0, x))
    left, middle = x < -0.7, (x >= -0.7) & (x < 0.0)
    # e^(-z^2) erfcx(z) is twice the distribution, and so is 1 - erf(z).
    deep = log(erfcx(left.select(z, 1.0)) * 0.5) - z * z - (z < 1e150).select((z + z) * lost, 0.0)
    above = (x < 0.0).select(0.0, -z)
    outside = erfc_of_sum(above, (x < 0.0).select(0.0, -lost)) * -0.5
    small = middle.select(z, 0.0)
    y = log1p(middle.select(-small.fma(erf_near(small), small), outside)) - middle.select(x * 0.0 + _LOG_OF_TWO, 0.0)
    y = left.select(deep, y)
    return (x == -math.inf).select(x, y)
