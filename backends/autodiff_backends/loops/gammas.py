"""The logarithm of the gamma function and its derivative, as in ``elementary``: for positive numbers, and for all.

For 1 <= x < 2.5 polynomials around 1.75 times what is 0 there, so that relative accuracy lasts at the zeros 1, 2 and
1.46; below 1 the recurrence; above 2.5 Stirling's formula (DLMF 5.11.1, 5.11.2), whose rest is a polynomial of 1 / x^2
there. All polynomials are interpolants at Chebyshev's points, within half a unit in the last place.
"""

from __future__ import annotations

import math
from typing import Any

from .elementary import horner, log, sin, tan
from .powers import Pair, log_pair

_LOG_GAMMA_NEAR = [
    -5.0333679908980265e-08,
    9.11277895517167e-08,
    1.8847734392676648e-08,
    -3.336913537804954e-08,
    -2.386040832536453e-07,
    4.346200532078776e-07,
    -5.128211509102332e-07,
    9.424957587698116e-07,
    -1.9066804238023735e-06,
    3.516434844428187e-06,
    -6.434822788014993e-06,
    1.194597872164936e-05,
    -2.228191217665965e-05,
    4.170624738675929e-05,
    -7.846167352252309e-05,
    0.00014851664114522942,
    -0.0002831906297104388,
    0.0005448970025495887,
    -0.0010605660749412342,
    0.0020955338792364464,
    -0.004226194125928346,
    0.008776370425277888,
    -0.019053957830247412,
    0.04452044719850941,
    -0.11948158662524275,
    0.4501393121092563,
]
_LOG_GAMMA_FAR = [
    39.20440789449971,
    -52.04253157376896,
    32.137057787033434,
    -12.40213407072066,
    3.4246714775641687,
    -0.7483471420244691,
    0.14414778463955508,
    -0.02799103855328496,
    0.006358525046715835,
    -0.0019162977797615398,
    0.0008417311910541597,
    -0.0005952379017281656,
    0.0007936507926348376,
    -0.00277777777777564,
    0.08333333333333333,
]
_PSI_NEAR = [
    7.128014565586763e-07,
    -1.247403485022778e-06,
    -5.234593572155203e-07,
    9.160503487595705e-07,
    2.964002015923038e-06,
    -5.187036209674536e-06,
    4.5638433261049305e-06,
    -7.986967288663832e-06,
    1.6875489208875358e-05,
    -2.9533939397506967e-05,
    5.042255206575745e-05,
    -8.825337668837312e-05,
    0.00015486636037579158,
    -0.00027112201887262866,
    0.00047467512280592556,
    -0.0008314922548000915,
    0.0014573752539003284,
    -0.002556687022444161,
    0.004491813674871815,
    -0.007910468743092616,
    0.013985786184791904,
    -0.024890048490209468,
    0.044799654452774916,
    -0.08228558635575821,
    0.1571201133520425,
    -0.3262546278681058,
    0.8581832171262995,
]
_PSI_FAR = [
    23642.569193190182,
    -34536.132268110436,
    23447.400526166224,
    -9873.97598791134,
    2914.483373146883,
    -650.3843839488311,
    116.9976076788443,
    -18.239433639192917,
    2.709595624518168,
    -0.43179203274081923,
    0.08304398909444967,
    -0.021087535305308745,
    0.00757569282332949,
    -0.004166666173213351,
    0.00396825396624157,
    -0.008333333333330037,
    0.08333333333333333,
]

# log(2 pi) / 2, and the zero of psi between 1 and 2.
_HALF_LOG_OF_TURN = (0.9189385332046728, -3.8782941580672414e-17)
_PSI_ZERO = (1.4616321449683622, 9.549995429965697e-17)
# Where a logarithm of Gamma is out of range.
_LARGEST = 2.5e305


def _two_sum(x: Any, y: Any) -> Pair:
    """Of any two numbers (Knuth)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def gammaln(x: Any) -> Any:
    """The logarithm of Gamma(x), for positive x."""
    logarithm, rest = log_pair(x)
    # log Gamma(x + 1) is x (x - 1) times the polynomial; log(x) is taken off.
    low, far = x < 1.0, x >= 2.5
    at = low.select(x, x - 1.0)
    # (No -0.0 at 1.)
    near = (at * (at - 1.0)) * horner(at - 0.75, _LOG_GAMMA_NEAR) + 0.0
    near = low.select((near - logarithm) - rest, near)
    # (x - 1/2) log(x) - x + log(2 pi) / 2 + h(x), with few of the digits lost where terms cancel.
    z = (x > _LARGEST).select(_LARGEST, x)
    inverse = 1.0 / z
    high, lost = (z - 0.5).product(logarithm)
    high, lost_too = _two_sum(high, -z)
    lost = (z - 0.5).fma(rest, lost) + lost_too
    high, lost_too = _two_sum(high, _HALF_LOG_OF_TURN[0])
    distant = high + (inverse.fma(horner(inverse * inverse, _LOG_GAMMA_FAR), lost + lost_too) + _HALF_LOG_OF_TURN[1])
    y = far.select(distant, near)
    y = (x > _LARGEST).select((x < math.inf).select(_huge(x), x), y)
    y = (x == 0.0).select(math.inf, y)
    return (x != x).select(x, y)


def _huge(x: Any) -> Any:
    """x (log(x) - 1) of numbers with which that is hardly in the range, or is not."""
    return (x * 2.0**-10) * (log(x) - 1.0) * 2.0**10


def gammaln_exact(x: Any) -> Any:
    """The same for all x: below 0 by reflection (DLMF 5.5.3)."""
    size = abs(x)
    y = gammaln(size)
    off = size - size.rint()
    reflected = 1.1447298858494002 - (log(abs(sin(off * math.pi))) + log(size)) - y
    # (SciPy's limit.)
    reflected = (size == math.inf).select(x, (off == 0.0).select(math.inf, reflected))
    return (x < 0.0).select(reflected, y)


def psi(x: Any) -> Any:
    """The derivative of ``gammaln``, for positive x."""
    low, far = x < 1.0, x >= 2.5
    at = low.select(x, x - 1.0)
    inverse = 1.0 / x
    back, lost = inverse.product(x)
    inverse_rest = ((1.0 - back) - lost) * inverse
    near = ((at - (_PSI_ZERO[0] - 1.0)) - _PSI_ZERO[1]) * horner(at - 0.75, _PSI_NEAR)
    near = low.select((near - inverse_rest) - inverse, near)
    distant = log(x) - inverse * inverse.fma(horner(inverse * inverse, _PSI_FAR), 0.5)
    y = far.select(distant, near)
    y = (x < 1e-300).select(-inverse, y)
    return (x < math.inf).select(y, x)


def psi_exact(x: Any) -> Any:
    """The same for all x: below 0 by reflection (DLMF 5.5.4)."""
    negative = x < 0.0
    y = psi(negative.select(1.0 - x, x))
    off = x - x.rint()
    reflected = y - math.pi / tan(off * math.pi)
    reflected = ((off == 0.0) | (x == -math.inf)).select(math.nan, reflected)
    return negative.select(reflected, y)
