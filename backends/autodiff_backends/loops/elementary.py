"""Elementary functions as arithmetic without branches, written once for whatever computes it.

Their operands are numbers of any class that has Python's operators and the methods of ``Number``: text of LLVM, from
which a compiler makes vectors, or arrays of NumPy, with which tests compare them to exact values. All are within 2
units in the last place. ``functions`` has them by name, ``inverses`` the rest of them. The rational approximations are
those of FreeBSD's msun (``e_log.c``, ``k_sin.c``, ``k_cos.c``) and of Moshier's Cephes (``tanh.c``, ``atan.c``,
``expf.c``, ``logf.c``, ``sinf.c``, ``tanhf.c``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Number(Protocol):
    """What functions compute with, beside ``+ - * / < <= > >= == !=``, ``abs`` and, of integers, ``& | << >>``."""

    def fma(self, factor: Any, term: Any) -> Any:
        """``self * factor + term``, rounded once where the processor does that."""

    def product(self, factor: Any) -> tuple[Any, Any]:
        """``self * factor``, and what its rounding lost."""

    def rint(self) -> Any:
        """The nearest integer, as a floating number."""

    def sqrt(self) -> Any:
        """The square root."""

    def copysign(self, other: Any) -> Any:
        """The magnitude of this with the sign of the other."""

    def select(self, yes: Any, no: Any) -> Any:
        """The first where this condition holds, else the second."""

    def bits(self) -> Any:
        """The bits of a floating number as a signed integer."""

    def number(self) -> Any:
        """The floating number with these bits."""

    def cast(self, to: Any) -> Any:
        """The number in another dtype."""


# Beyond this sin and cos are no longer reduced exactly enough.
LARGEST_ANGLE = 65536.0

# Adding this rounds to an integer, which then stands in the lowest bits.
_ROUND, _ROUND_BITS = 1.5 * 2.0**52, 0x4338000000000000
_ROUND_SINGLE, _ROUND_BITS_SINGLE = 1.5 * 2.0**23, 0x4B400000


def horner(x: Any, coefficients: Sequence[float]) -> Any:
    """A polynomial, its highest coefficient first."""
    result = coefficients[0]
    for c in coefficients[1:]:
        result = x.fma(result, c)
    return result


def split_product(x: Any, y: Any) -> tuple[Any, Any]:
    """A product and what its rounding lost, for processors that cannot multiply and add at once (Dekker)."""
    result = x * y
    a, b = _head(x), _head(y)
    c, d = x - a, y - b
    return result, c * d - (((result - a * b) - c * b) - a * d)


def _head(x: Any) -> Any:
    """The number without the lower half of its digits: a square of it is exact."""
    return (x.bits() & -0x8000000).number()


def _exponentials(count: int) -> list[float]:
    """The coefficients of the series of (e^x - 1 - x) / x^2, the highest first."""
    return [1.0 / math.factorial(k) for k in range(count, 1, -1)]


def power_of_two(k: Any) -> Any:
    """2^k for an integer k of a normal number."""
    return (((k + _ROUND).bits() - (_ROUND_BITS - 1023)) << 52).number()


def clamped(x: Any, low: float, high: float) -> Any:
    """The number, or the nearer one of two bounds."""
    x = (x > high).select(high, x)
    return (x < low).select(low, x)


def _scaled_exp(x: Any, power: float = 0.0) -> Any:
    """e^x times a power of two, which may be finite where e^x is not."""
    x = clamped(x, -746.0, 710.0 - 0.6875 * power)
    n = (x * 1.44269504088896338700e00).rint()
    r = n.fma(-1.90821492927058770002e-10, n.fma(-6.93147180369123816490e-01, x))
    y = (r * r).fma(horner(r, _exponentials(13)), r) + 1.0
    # In two steps, since 2^n may be no normal number where the result is one, or nearly.
    half = (n * 0.5).rint()
    return y * power_of_two(half) * power_of_two((n + power if power else n) - half)


def exp(x: Any) -> Any:
    """e^x."""
    return _scaled_exp(x)


def exp2(x: Any) -> Any:
    """2^x."""
    x = clamped(x, -1076.0, 1025.0)
    n = x.rint()
    f = x - n
    # The logarithm of 2 in two parts.
    r = f * 6.93147180559945286227e-01
    low = f.fma(2.31904681384629955842e-17, f.fma(6.93147180559945286227e-01, -r))
    y = (r * r).fma(horner(r, _exponentials(13)), r + low) + 1.0
    half = (n * 0.5).rint()
    return y * power_of_two(half) * power_of_two(n - half)


def exponent_fraction(x: Any) -> tuple[Any, Any]:
    """k and f with x = 2^k (1 + f), where 1 + f is between sqrt(1/2) and sqrt(2); of positive numbers."""
    small = x < 2.2250738585072014e-308
    k, f = normal_exponent_fraction(small.select(x * 18014398509481984.0, x))
    return k - small.select(x * 0.0 + 54.0, 0.0), f


def normal_exponent_fraction(x: Any) -> tuple[Any, Any]:
    """The same of numbers that are not subnormal."""
    shifted = x.bits() + 0x00095F619980C433
    k = (((shifted >> 52) & 0x7FF) + _ROUND_BITS).number() - (_ROUND + 1023.0)
    return k, ((shifted & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD).number() - 1.0


def _log_parts(f: Any) -> tuple[Any, Any]:
    """For log(1 + f) = f - (h - rest): h = f^2 / 2, and the rest."""
    s = f / (f + 2.0)
    z = s * s
    w = z * z
    t1 = w * horner(w, [1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01])
    t2 = z * horner(
        w, [1.479819860511658591e-01, 1.818357216161805012e-01, 2.857142874366239149e-01, 6.666666666666735130e-01]
    )
    halved = f * 0.5 * f
    return halved, s * (halved + t1 + t2)


def _log_ends(x: Any, y: Any) -> Any:
    """A logarithm with its values where it is not finite."""
    # Beyond the positive numbers an infinity times 0, which is NaN and noted by the processor as one.
    y = (x * 0.0).fma((x > 0.0).select(y, math.inf), y)
    y = (x == 0.0).select(-math.inf, y)
    return (x < math.inf).select(y, x)


def log(x: Any) -> Any:
    """The natural logarithm."""
    k, f = exponent_fraction(x)
    halved, rest = _log_parts(f)
    y = k * 6.93147180369123816490e-01 - ((halved - k.fma(1.90821492927058770002e-10, rest)) - f)
    return _log_ends(x, y)


def _log_in(x: Any, high: float, low: float, of_two: tuple[float, float]) -> Any:
    """A logarithm to another base, ``high + low`` being 1 by the base's own and ``of_two`` that of 2."""
    k, f = exponent_fraction(x)
    halved, rest = _log_parts(f)
    # log(1 + f) as a sum of two numbers, the first of few bits.
    head = ((f - halved).bits() & -0x100000000).number()
    tail = (f - head) - halved + rest
    y = tail.fma(high, (tail + head) * low) + k * of_two[1]
    main = k * of_two[0]
    lead = head * high
    total = main + lead
    return _log_ends(x, total + (((main - total) + lead) + y))


def log2(x: Any) -> Any:
    """The logarithm to the base 2."""
    return _log_in(x, 1.44269504072144627571e00, 1.67517131648865118353e-10, (1.0, 0.0))


def log10(x: Any) -> Any:
    """The logarithm to the base 10."""
    of_two = (3.01029995663611771306e-01, 3.69423907715893078616e-13)
    return _log_in(x, 4.34294481878168880939e-01, 2.50829467116452752298e-11, of_two)


def log1p(x: Any) -> Any:
    """log(1 + x)."""
    return _log1p(x, log)


def _log1p(x: Any, log: Callable[[Any], Any]) -> Any:
    """The logarithm of the rounded sum, and what rounding lost divided by it."""
    u = x + 1.0
    y = log(u) + (x - (u - 1.0)) / u
    y = ((u == 0.0) | (u == math.inf)).select(log(u), y)
    return (x == 0.0).select(x, y)


def logaddexp(x: Any, y: Any) -> Any:
    """log(e^x + e^y)."""
    return _logaddexp(x, y, log1p(exp(-abs(x - y))))


def _logaddexp(x: Any, y: Any, rest: Any) -> Any:
    r = (x > y).select(x, y) + rest
    # Equal infinities have no difference.
    r = (x == y).select(x + 0.6931471805599453, r)
    return ((x != x) | (y != y)).select(x + y, r)


def logaddexp2(x: Any, y: Any) -> Any:
    """The logarithm to the base 2 of 2^x + 2^y."""
    r = (x > y).select(x, y) + log1p(exp2(-abs(x - y))) * 1.44269504088896338700e00
    r = (x == y).select(x + 1.0, r)
    return ((x != x) | (y != y)).select(x + y, r)


def expm1(x: Any) -> Any:
    """e^x - 1."""
    return _expm1(x, exp(x), 16)


def _expm1(x: Any, exponential: Any, terms: int) -> Any:
    """Near 0 so many terms of the series."""
    y = (abs(x) < 0.5).select((x * x).fma(horner(x, _exponentials(terms)), x), exponential - 1.0)
    return (x == 0.0).select(x, y)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    size = abs(x)
    z = x * x
    p = horner(z, [-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3])
    q = horner(z, [1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3])
    near = size.fma(z * (p / q), size)
    far = 1.0 - 2.0 / (exp(size + size) + 1.0)
    return (size < 0.625).select(near, far).copysign(x)


def tanh_slope(x: Any) -> Any:
    """1 / cosh(x)^2, of the same parts as ``tanh``, which the compiler makes once."""
    size = abs(x)
    far = 2.0 / (exp(size + size) + 1.0)
    return far * (2.0 - far)


# The coefficients of the series of (sinh(x) - x) / x^3 by x^2.
_SINES = [1.0 / math.factorial(k) for k in range(19, 2, -2)]


def sinh(x: Any) -> Any:
    """The hyperbolic sine."""
    size = abs(x)
    e = expm1(clamped(size, 0.0, 709.0))
    near = (size < 1.0).select((size * size * size).fma(horner(size * size, _SINES), size), (e + e / (e + 1.0)) * 0.5)
    return (size > 22.0).select(_scaled_exp(size, -1.0), near).copysign(x)


def cosh(x: Any) -> Any:
    """The hyperbolic cosine."""
    size = abs(x)
    e = exp(clamped(size, 0.0, 709.0))
    return (size > 22.0).select(_scaled_exp(size, -1.0), e.fma(0.5, 0.5 / e))


def logistic(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return 1.0 / (exp(-x) + 1.0)


def arctan(x: Any) -> Any:
    """The inverse tangent, of numbers that are reduced to less than tan(pi/8) (Cephes ``atan.c``)."""
    size = abs(x)
    far = size > 2.41421356237309504880
    middle = (size > 0.66) & (size <= 2.41421356237309504880)
    reduced = middle.select((size - 1.0) / (size + 1.0), far.select(-1.0 / size, size))
    begin = middle.select(x * 0.0 + 0.78539816339744830962, far.select(x * 0.0 + 1.57079632679489661923, x * 0.0))
    more = middle.select(x * 0.0 + 3.061616997868382943e-17, far.select(x * 0.0 + 6.123233995736765886e-17, x * 0.0))
    z = reduced * reduced
    p = horner(
        z,
        [
            -8.750608600031904122785e-1,
            -1.615753718733365076637e1,
            -7.500855792314704667340e1,
            -1.228866684490136173410e2,
            -6.485021904942025371773e1,
        ],
    )
    q = horner(
        z,
        [
            1.0,
            2.485846490142306297962e1,
            1.650270098316988542046e2,
            4.328810604912902668951e2,
            4.853903996359136964868e2,
            1.945506571482613964425e2,
        ],
    )
    y = begin + (reduced.fma(z * p / q, reduced) + more)
    y = (size == math.inf).select(1.57079632679489661923, y)
    return y.copysign(x)


def _sine_cosine(x: Any) -> tuple[Any, Any, Any]:
    """sin and cos of what quarters of a turn leave of x, and the number of quarters."""
    r, sine, rest, cosine, quarters = _sine_cosine_parts(x)
    return r + sine, rest + cosine, quarters


def _sine_cosine_parts(x: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Both as sums of a large number and a small one."""
    turned = x * 6.36619772367581382433e-01 + _ROUND
    n = turned - _ROUND
    near = n.fma(-6.07710050630396597660e-11, n.fma(-1.57079632673412561417e00, x))
    r = n.fma(-2.02226624879595063154e-21, near)
    tail = n.fma(-2.02226624879595063154e-21, near - r)
    z = r * r
    s = horner(
        z,
        [
            1.58969099521155010221e-10,
            -2.50507602534068634195e-08,
            2.75573137070700676789e-06,
            -1.98412698298579493134e-04,
            8.33333333332248946124e-03,
            -1.66666666666666324348e-01,
        ],
    )
    halved = z * 0.5
    s = (r * z).fma(s, tail * (1.0 - halved))
    c = horner(
        z,
        [
            -1.13596475577881948265e-11,
            2.08757232129817482790e-09,
            -2.75573143513906633035e-07,
            2.48015872894767294178e-05,
            -1.38888888888741095749e-03,
            4.16666666666666019037e-02,
        ],
    )
    c = z * z * c
    rest = 1.0 - halved
    return r, s, rest, ((1.0 - rest) - halved) + (c - r * tail), turned.bits()


def _sine(x: Any, s: Any, c: Any, quarters: Any) -> Any:
    y = ((quarters & 1) != 0).select(c, s)
    y = ((quarters & 2) != 0).select(-y, y)
    return (x == 0.0).select(x, y)


def _cosine(s: Any, c: Any, quarters: Any) -> Any:
    y = ((quarters & 1) != 0).select(s, c)
    return (((quarters + 1) & 2) != 0).select(-y, y)


def sin(x: Any) -> Any:
    """The sine, for angles up to ``LARGEST_ANGLE``."""
    return _sine(x, *_sine_cosine(x))


def cos(x: Any) -> Any:
    """The cosine, for angles up to ``LARGEST_ANGLE``."""
    return _cosine(*_sine_cosine(x))


def tan(x: Any) -> Any:
    """The tangent, for angles up to ``LARGEST_ANGLE``."""
    r, sine, rest, cosine, quarters = _sine_cosine_parts(x)
    odd = (quarters & 1) != 0
    s, c = r + sine, rest + cosine
    s_lost, c_lost = sine - (s - r), cosine - (c - rest)
    above, below = odd.select(-c, s), odd.select(s, c)
    # A quotient, and what the sums have lost.
    y = above / below
    y = y + (odd.select(-c_lost, s_lost) - y * odd.select(s_lost, c_lost)) / below
    return (x == 0.0).select(x, y)


# --- single precision ------------------------------------------------------------------------------------------------


def _power_of_two_single(k: Any) -> Any:
    return (((k + _ROUND_SINGLE).bits() - (_ROUND_BITS_SINGLE - 127)) << 23).number()


def exp_single(x: Any) -> Any:
    """e^x."""
    x = clamped(x, -104.0, 89.0)
    n = (x * 1.44269504088896341).rint()
    r = n.fma(-1.42860682030941723212e-06, n.fma(-6.93145751953125e-01, x))
    y = (r * r).fma(horner(r, _exponentials(8)), r) + 1.0
    half = (n * 0.5).rint()
    return y * _power_of_two_single(half) * _power_of_two_single(n - half)


def log_single(x: Any) -> Any:
    """The natural logarithm."""
    small = x < 1.1754943508222875e-38
    scaled = small.select(x * 33554432.0, x)
    shifted = scaled.bits() + 0x004AFB0D
    k = (((shifted >> 23) & 0xFF) + _ROUND_BITS_SINGLE).number() - _ROUND_SINGLE
    k = k - small.select(x * 0.0 + 152.0, 127.0)
    f = ((shifted & 0x007FFFFF) + 0x3F3504F3).number() - 1.0
    z = f * f
    p = horner(
        f,
        [
            7.0376836292e-2,
            -1.1514610310e-1,
            1.1676998740e-1,
            -1.2420140846e-1,
            1.4249322787e-1,
            -1.6668057665e-1,
            2.0000714765e-1,
            -2.4999993993e-1,
            3.3333331174e-1,
        ],
    )
    y = k.fma(-2.12194440e-4, f * z * p)
    y = z.fma(-0.5, y)
    return _log_ends(x, k.fma(0.693359375, f + y))


def log1p_single(x: Any) -> Any:
    """log(1 + x)."""
    return _log1p(x, log_single)


def logaddexp_single(x: Any, y: Any) -> Any:
    """log(e^x + e^y)."""
    return _logaddexp(x, y, log1p_single(exp_single(-abs(x - y))))


def expm1_single(x: Any) -> Any:
    """e^x - 1."""
    return _expm1(x, exp_single(x), 9)


def tanh_single(x: Any) -> Any:
    """The hyperbolic tangent."""
    size = abs(x)
    z = x * x
    p = horner(z, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1])
    far = 1.0 - 2.0 / (exp_single(size + size) + 1.0)
    return (size < 0.625).select((size * z).fma(p, size), far).copysign(x)


def tanh_slope_single(x: Any) -> Any:
    """1 / cosh(x)^2."""
    size = abs(x)
    far = 2.0 / (exp_single(size + size) + 1.0)
    return far * (2.0 - far)


def logistic_single(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return 1.0 / (exp_single(-x) + 1.0)


def _sine_cosine_single(x: Any) -> tuple[Any, Any, Any]:
    turned = x * 0.63661977236758134 + _ROUND_SINGLE
    n = turned - _ROUND_SINGLE
    r = n.fma(4.37113900018624283e-8, n.fma(-1.57079637050628662, x))
    r = n.fma(1.71512451000634014e-15, r)
    z = r * r
    s = (r * z).fma(horner(z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]), r)
    c = horner(z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])
    return s, (z * z).fma(c, z.fma(-0.5, 1.0)), turned.bits()


def sin_single(x: Any) -> Any:
    """The sine, for angles up to ``LARGEST_ANGLE``."""
    return _sine(x, *_sine_cosine_single(x))


def cos_single(x: Any) -> Any:
    """The cosine, for angles up to ``LARGEST_ANGLE``."""
    return _cosine(*_sine_cosine_single(x))
