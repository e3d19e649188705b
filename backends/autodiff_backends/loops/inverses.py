"""Inverses, roots and the error function as arithmetic without branches: as in ``elementary``.

The rational approximations are those of FreeBSD's msun (``e_asin.c``, ``s_cbrt.c``, ``s_erf.c``).
"""

from __future__ import annotations

import math
from typing import Any

from .elementary import arctan, exp, exp_single, horner, log, log1p
from .powers import exp_pair

_PI, _PI_LOW = 3.14159265358979311600e00, 1.22464679914735317636e-16


def _halved_bits(x: Any) -> Any:
    """The number without the lower half of its bits, so that its square is exact."""
    return (x.bits() & -0x100000000).number()


def arctan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y)."""
    a, b = abs(y), abs(x)
    both = (a == b) & ((a == 0.0) | (a == math.inf))
    # Equal infinities are a diagonal, and two zeros a side.
    ratio = both.select((a == 0.0).select(a * 0.0, 1.0), a / both.select(1.0, b))
    angle = arctan(ratio)
    angle = (x.bits() < 0).select(_PI - (angle - _PI_LOW), angle).copysign(y)
    return ((x != x) | (y != y)).select(x + y, angle)


def _arcsine_rest(z: Any) -> Any:
    """(arcsin(x) - x) / x for z = x^2 up to 1/4 (``e_asin.c``)."""
    p = horner(
        z,
        [
            3.47933107596021167570e-05,
            7.91534994289814532176e-04,
            -4.00555345006794114027e-02,
            2.01212532134862925881e-01,
            -3.25565818622400915405e-01,
            1.66666666666666657415e-01,
        ],
    )
    q = horner(
        z,
        [
            7.70381505559019352791e-02,
            -6.88283971605453293030e-01,
            2.02094576023350569471e00,
            -2.40339491173441421878e00,
            1.0,
        ],
    )
    return z * p / q


def arcsin(x: Any) -> Any:
    """The inverse sine."""
    size = abs(x)
    far = size >= 0.5
    z = far.select((1.0 - size) * 0.5, x * x)
    r = _arcsine_rest(z)
    root = z.sqrt()
    head = _halved_bits(root)
    rest = (z - head * head) / (root + head)
    p = (root + root) * r - (0.5 * _PI_LOW - (rest + rest))
    y = 0.25 * _PI - (p - (0.25 * _PI - (head + head)))
    y = (size == 1.0).select(0.5 * _PI, y)
    return far.select(y, size.fma(r, size)).copysign(x)


def arccos(x: Any) -> Any:
    """The inverse cosine."""
    size = abs(x)
    far = size >= 0.5
    z = far.select((1.0 - size) * 0.5, x * x)
    r = _arcsine_rest(z)
    near = 0.5 * _PI - (x - (0.5 * _PI_LOW - x * r))
    root = z.sqrt()
    head = _halved_bits(root)
    rest = (z == 0.0).select(0.0, (z - head * head) / (root + head))
    right = head + (root.fma(r, rest))
    left = root + (root * r - 0.5 * _PI_LOW)
    return far.select((x < 0.0).select(_PI - (left + left), right + right), near)


def arcsinh(x: Any) -> Any:
    """The inverse hyperbolic sine."""
    size = abs(x)
    t = size * size
    near = log1p(size + t / ((t + 1.0).sqrt() + 1.0))
    return (size > 268435456.0).select(log(size) + 6.93147180559945286227e-01, near).copysign(x)


def arccosh(x: Any) -> Any:
    """The inverse hyperbolic cosine."""
    t = x - 1.0
    near = log1p(t + (t * (t + 2.0)).sqrt())
    y = (x > 268435456.0).select(log(x) + 6.93147180559945286227e-01, near)
    return (x < 1.0).select(math.nan, y)


def arctanh(x: Any) -> Any:
    """The inverse hyperbolic tangent."""
    size = abs(x)
    twice = size + size
    y = log1p((size < 0.5).select(twice + twice * size / (1.0 - size), twice / (1.0 - size))) * 0.5
    return y.copysign(x)


# --- roots -----------------------------------------------------------------------------------------------------------


def cbrt(x: Any) -> Any:
    """The cube root (``s_cbrt.c``)."""
    size = abs(x)
    small = size < 2.2250738585072014e-308
    size = small.select(size * 18014398509481984.0, size)
    # A third of the exponent, then a polynomial, and a step of Newton's from a number whose square is exact.
    t = ((((size.bits() >> 32) * 2863311531 >> 33) + 715094163) << 32).number()
    r = (t * t) * (t / size)
    p = horner(r, [1.621429720105354466140, -1.88497979543377169875, 1.87595182427177009643])
    t = t * (r * r * r).fma(horner(r, [0.145996192886612446982, -0.758397934778766047437]), p)
    t = ((t.bits() + 0x80000000) & -0x40000000).number()
    r = size / (t * t)
    t = t.fma((r - t) / (t + t + r), t)
    t = small.select(t * 3.814697265625e-06, t)
    return ((x == 0.0) | (abs(x) == math.inf) | (x != x)).select(x, t.copysign(x))


def hypot(x: Any, y: Any) -> Any:
    """The root of the sum of squares."""
    a, b = abs(x), abs(y)
    great, small = (a > b).select(a, b), (a > b).select(b, a)
    # By powers of two, so that no square is infinite or has lost its digits.
    huge, tiny = great > 1.3407807929942597e154, great < 1.4916681462400413e-154
    up = huge.select(great * 0.0 + 2.0**-600, tiny.select(great * 0.0 + 2.0**600, 1.0))
    down = huge.select(great * 0.0 + 2.0**600, tiny.select(great * 0.0 + 2.0**-600, 1.0))
    great, small = great * up, small * up
    y = great.fma(great, small * small).sqrt() * down
    return ((a == math.inf) | (b == math.inf)).select(math.inf, y)


# --- the error function ----------------------------------------------------------------------------------------------

# By range of |x|: numerators and denominators of ``s_erf.c``, the highest coefficient first.
_ERF_NEAR = (
    [
        -2.37630166566501626084e-05,
        -5.77027029648944159157e-03,
        -2.84817495755985104766e-02,
        -3.25042107247001499370e-01,
        1.28379167095512558561e-01,
    ],
    [
        -3.96022827877536812320e-06,
        1.32494738004321644526e-04,
        5.08130628187576562776e-03,
        6.50222499887672944485e-02,
        3.97917223959155352819e-01,
        1.0,
    ],
)
_ERF_ONE = (
    [
        -2.16637559486879084300e-03,
        3.54783043256182359371e-02,
        -1.10894694282396677476e-01,
        3.18346619901161753674e-01,
        -3.72207876035701323847e-01,
        4.14856118683748331666e-01,
        -2.36211856075265944077e-03,
    ],
    [
        1.19844998467991074170e-02,
        1.36370839120290507362e-02,
        1.26171219808761642112e-01,
        7.18286544141962662868e-02,
        5.40397917702171048937e-01,
        1.06420880400844228286e-01,
        1.0,
    ],
)
_ERF_MIDDLE = (
    [
        -9.81432934416914548592e00,
        -8.12874355063065934246e01,
        -1.84605092906711035994e02,
        -1.62396669462573470355e02,
        -6.23753324503260060396e01,
        -1.05586262253232909814e01,
        -6.93858572707181764372e-01,
        -9.86494403484714822705e-03,
    ],
    [
        -6.04244152148580987438e-02,
        6.57024977031928170135e00,
        1.08635005541779435134e02,
        4.29008140027567833386e02,
        6.45387271733267880336e02,
        4.34565877475229228821e02,
        1.37657754143519042600e02,
        1.96512716674392571292e01,
        1.0,
    ],
)
_ERF_FAR = (
    [
        -4.83519191608651397019e02,
        -1.02509513161107724954e03,
        -6.37566443368389627722e02,
        -1.60636384855821916062e02,
        -1.77579549177547519889e01,
        -7.99283237680523006574e-01,
        -9.86494292470009928597e-03,
    ],
    [
        -2.24409524465858183362e01,
        4.74528541206955367215e02,
        2.55305040643316442583e03,
        3.19985821950859553908e03,
        1.53672958608443695994e03,
        3.25792512996573918826e02,
        3.03380607434824582924e01,
        1.0,
    ],
)
_ERF_OF_ONE = 8.45062911510467529297e-01
_TWO_OVER_ROOT_PI = 1.1283791670955126


def _chosen(size: Any, z: Any) -> tuple[Any, Any, Any]:
    """Of the quotients of the ranges the one that is for |x|, and whether that is the first or the second.

    The last two depend on z = 1 / x^2. They are the logarithm of x erfcx(x), and 0.5625.
    """
    near, one, middle = size < 0.84375, size < 1.25, size < 1.0 / 0.35
    square, beside = size * size, size - 1.0
    parts = []
    for place in (0, 1):
        far = middle.select(horner(z, _ERF_MIDDLE[place]), horner(z, _ERF_FAR[place]))
        around = near.select(horner(square, _ERF_NEAR[place]), horner(beside, _ERF_ONE[place]))
        parts.append(one.select(around, far))
    return parts[0] / parts[1], near, one


def _erf_parts(size: Any, low: Any = None) -> tuple[Any, Any, Any, Any, Any]:
    """The quotient, whether it is that near 0 or that near 1, and 1 - erf beyond.

    What is beyond may be of a number that ``low`` is added to. What follows is e^(-x^2) before that.
    """
    inverse = 1.0 / size
    quotient, near, one = _chosen(size, inverse * inverse)
    head = _halved_bits(size)
    rest = (head - size) * (head + size)
    if low is not None:
        rest = rest - (size + size + one.select(0.0, inverse)) * low
    exponential = exp_pair(-head * head - 0.5625, rest + (quotient if low is None else one.select(0.5625, quotient)))
    return quotient, near, one, (size > 28.0).select(0.0, exponential * inverse), exponential


def erf_near(x: Any) -> Any:
    """erf(x) / x - 1, up to 0.84375."""
    z = x * x
    return horner(z, _ERF_NEAR[0]) / horner(z, _ERF_NEAR[1])


def erf(x: Any) -> Any:
    """The error function."""
    size = abs(x)
    quotient, near, one, beyond, _ = _erf_parts((size > 30.0).select(30.0, size))
    y = one.select(quotient + _ERF_OF_ONE, 1.0 - beyond)
    y = near.select(size.fma(quotient, size), y).copysign(x)
    return (x != x).select(x, y)


def erfc(x: Any) -> Any:
    """1 - erf(x)."""
    return erfc_of_sum(x)


def erfc_of_sum(x: Any, low: Any = None) -> Any:
    """1 - erf(x + low), where the second number is less than a unit in the last place of the first."""
    size = abs(x)
    right = x > 0.0
    outwards = None if low is None else right.select(low, -low)
    quotient, near, one, beyond, slope = _erf_parts((size > 30.0).select(30.0, size), outwards)
    middle = right.select((1.0 - _ERF_OF_ONE) - quotient, (quotient + _ERF_OF_ONE) + 1.0)
    y = one.select(middle, right.select(beyond, 2.0 - beyond))
    # From 1/4 on less is lost when 1/2 is taken away first.
    around = (x < 0.25).select(1.0 - x.fma(quotient, x), 0.5 - x.fma(quotient, x - 0.5))
    y = near.select(around, y)
    if low is not None:
        y = one.select((low * slope).fma(-_TWO_OVER_ROOT_PI, y), y)
    return (x != x).select(x, y)


def erfcx(x: Any) -> Any:
    """e^(x^2) erfc(x)."""
    size = abs(x)
    bounded = (size > 30.0).select(30.0, size)
    inverse = 1.0 / size
    quotient, near, one = _chosen(size, inverse * inverse)
    around = near.select(size.fma(-quotient, -size + 0.5) + 0.5, (1.0 - _ERF_OF_ONE) - quotient)
    around = (size < 0.25).select(1.0 - size.fma(quotient, size), around)
    square, lost = bounded.product(bounded)
    grown = exp_pair(square, lost)
    y = one.select(grown * around, exp(quotient - 0.5625) / size)
    # For a negative x, what is twice as large as the result for a positive one is taken from e^(x^2).
    y = (x < 0.0).select((grown + grown) - y, y)
    return (x != x).select(x, y)


# In single precision: erf(x) / x - 1 by x^2 up to 1, and log(erfc(x)) by x - 2.5 up to 4, at Chebyshev's points.
_ERF_SINGLE = [
    -9.667044571e-06,
    0.0001126595903,
    -0.0008484080406,
    0.005221031808,
    -0.02686543073,
    0.112837825,
    -0.3761263847,
    0.1283791671,
]
_LOG_ERFC_SINGLE = [
    1.637151415e-06,
    -1.33150144e-05,
    7.729137615e-05,
    -0.0004201225235,
    0.002165303549,
    -0.01085854164,
    -0.9438937036,
    -5.352680674,
    -7.806815273,
]


def erf_single(x: Any) -> Any:
    """The error function."""
    size = abs(x)
    near = size.fma(horner(size * size, _ERF_SINGLE), size)
    far = 1.0 - exp_single(horner((size > 4.0).select(4.0, size) - 2.5, _LOG_ERFC_SINGLE))
    return (x != x).select(x, (size < 1.0).select(near, far).copysign(x))
