"""Powers as arithmetic without branches: as in ``elementary``, with sums of two numbers where one has too few digits.

The polynomials are interpolants of the series at Chebyshev's points, within half a unit in the last place.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .elementary import clamped, exponent_fraction, horner, normal_exponent_fraction, power_of_two

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

# A number and what its rounding lost.
Pair = tuple[Any, Any]

_LOG_OF_TWO = 6.93147180369123816490e-01, 1.9082149292705877e-10
_LOG2_OF_E = 1.44269504088896338700e00

# With log((1 + s) / (1 - s)) = 2 s + s (2/3 z + z^2 t(z)) for z = s^2: the polynomial t.
_ATANH = [
    0.10762291418628644,
    0.10456341945425285,
    0.11766812466114947,
    0.13333296549572363,
    0.15384615760977463,
    0.18181818179658246,
    0.22222222222228424,
    0.28571428571428564,
    0.4,
]
# With e^r = 1 + r + r^2 / 2 + r^3 q(r): the polynomial q.
_EXPONENTIAL = [
    1.6084327883952603e-10,
    2.0914686968086876e-09,
    2.5052078002329456e-08,
    2.75572736431103e-07,
    2.7557319239957097e-06,
    2.4801587325547743e-05,
    0.00019841269841266415,
    0.0013888888888883748,
    0.008333333333333333,
    0.04166666666666667,
    0.16666666666666666,
]
# The same of fewer digits, from the term before on.
_ATANH_SHORT = [0.19362653714202008, 0.22191400830308503, 0.2857175453591449, 0.3999999879733759, 0.6666666666737509]
_EXPONENTIAL_SHORT = [
    2.4859589834589056e-05,
    0.00019899285575896282,
    0.001388885403566671,
    0.00833329846980059,
    0.04166666671901226,
    0.16666666719028936,
    0.5,
]


def _sum(x: Any, y: Any) -> Pair:
    """Of two numbers, the first of which is the larger one (or 0)."""
    total = x + y
    return total, y - (total - x)


def log_pair(x: Any) -> Pair:
    """The natural logarithm of a positive number, to 2^-65 of it."""
    k, f = exponent_fraction(x)
    # s = f / (f + 2).
    divisor = f + 2.0
    inverse = 1.0 / divisor
    s = f * inverse
    back, lost = s.product(divisor)
    s_rest = ((f - back) - lost - s * (f - (divisor - 2.0))) * inverse
    z, z_rest = s.product(s)
    z_rest = z_rest + (s + s) * s_rest
    w, w_rest = z.product(0.6666666666666666)
    w_rest = w_rest + (z.fma(3.700743415417188e-17, z_rest * 0.6666666666666666) + z * (z * horner(z, _ATANH)))
    more, more_rest = s.product(w)
    more_rest = more_rest + s_rest.fma(w, s * w_rest)
    total, lost = _sum(k * _LOG_OF_TWO[0], s + s)
    total, lost_too = _sum(total, more)
    rest = (s_rest + s_rest) + more_rest
    return _sum(total, k.fma(_LOG_OF_TWO[1], rest) + (lost + lost_too))


def exp_pair(x: Any, rest: Any) -> Any:
    """e^(x + rest), to 2^-58 of it before it is rounded."""
    inside = abs(x) < 1024.0
    x, rest = clamped(x, -760.0, 760.0), inside.select(rest, 0.0)
    n = ((x + rest) * _LOG2_OF_E).rint()
    # The first difference is exact.
    near, off = n.fma(-_LOG_OF_TWO[0], x), n.fma(_LOG_OF_TWO[1], -rest)
    r = near - off
    part = near - r
    r_rest = (near - (r + part)) + (part - off)
    square, square_rest = r.product(r * 0.5)
    tail = (r * square).fma(2.0 * horner(r, _EXPONENTIAL), square_rest) + r_rest.fma(r, r_rest)
    one, lost = _sum(1.0 + r * 0.0, r)
    total, lost_too = _sum(one, square)
    y = total + (tail + (lost + lost_too))
    # In two steps, since 2^n may be no normal number where the result is one, or nearly.
    half = (n * 0.5).rint()
    return y * power_of_two(half) * power_of_two(n - half)


def _power_ends(x: Any, y: Any, size: Any, result: Any) -> Any:
    """|x|^y as C's and NumPy's x^y: with its sign, and the values where it is not finite."""
    result = ((size == 0.0) | (size == math.inf) | (abs(y) == math.inf)).select(
        ((size > 1.0) == (y > 0.0)).select(abs(y) + math.inf, 0.0), result
    )
    result = (size == 1.0).select(1.0, result)
    half = y * 0.5
    whole = y.rint() == y
    odd = whole & (half.rint() != half)
    negative = x.bits() < 0
    result = (negative & odd).select(-result, result)
    result = ((x < 0.0) & (x > -math.inf) & (y.rint() != y)).select(math.nan, result)
    result = ((x != x) | (y != y)).select(x + y, result)
    return ((x == 1.0) | (y == 0.0)).select(1.0, result)


def power(x: Any, y: Any) -> Any:
    """x^y, exact where that is a number of the dtype."""
    size = abs(x)
    logarithm, rest = log_pair(size)
    # What is further away is no further than this for any base but 1.
    exponent = clamped(y, -1e22, 1e22)
    high, low = exponent.product(logarithm)
    return _power_ends(x, y, size, exp_pair(high, exponent.fma(rest, low)))


def power_single(x: Any, y: Any) -> Any:
    """x^y, computed in double precision."""
    size = abs(x).cast(FLOAT64)
    k, f = normal_exponent_fraction(size)
    s = f / (f + 2.0)
    z = s * s
    logarithm = k.fma(math.log(2.0), (s * z).fma(horner(z, _ATANH_SHORT), s + s))
    exponent = clamped(y.cast(FLOAT64) * logarithm, -200.0, 200.0)
    n = (exponent * _LOG2_OF_E).rint()
    r = n.fma(-_LOG_OF_TWO[1], n.fma(-_LOG_OF_TWO[0], exponent))
    result = ((r * r).fma(horner(r, _EXPONENTIAL_SHORT), r) + 1.0) * power_of_two(n)
    return _power_ends(x, y, abs(x), result.cast(FLOAT32))
