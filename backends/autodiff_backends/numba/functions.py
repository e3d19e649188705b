"""What generated kernels call: elementary functions that LLVM can vectorise, and additions in any order.

LLVM calls the C library's functions for one element at a time (3 to 9 ns). These are arithmetic without branches, so
that a loop over them becomes vectors (1 to 3 ns). They are for float64, and within 2 units in the last place; the
rational approximations are those of FreeBSD's msun (``e_exp.c``, ``e_log.c``, ``k_sin.c``, ``k_cos.c``) and of
Moshier's Cephes (``tanh.c``). Imported by kernels only.
"""

from __future__ import annotations

import math
from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

from . import kernel

# Beyond this sin and cos are no longer reduced exactly enough: kernels watch for it and then call the C library's.
LARGEST_ANGLE = 65536.0

_FACTORIALS = tuple(float(math.factorial(k)) for k in range(17))

# Adding this rounds to an integer, which then stands in the lowest bits.
_ROUND = 1.5 * 2.0**52
_ROUND_BITS = 0x4338000000000000


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def add(typing_context: Any, total: Any, term: Any) -> Any:
    """``total + term`` where the terms of a sum may be added in another order, so that a vector of sums can be kept.

    Only such additions get this permission: everything else is computed as it is written.
    """
    if total != term or not isinstance(total, types.Float):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments, flags=("reassoc",))

    return total(total, term), generate


def _reinterpreted(source: Any, target: Any) -> Any:
    """An intrinsic that takes the bits of a number as another type."""

    @intrinsic  # type: ignore[untyped-decorator, unused-ignore]
    def reinterpret(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return (target(source), generate) if x == source else None

    return reinterpret


_bits = _reinterpreted(types.float64, types.int64)
_number = _reinterpreted(types.int64, types.float64)

_inline = numba.njit(forceinline=True, error_model="numpy")


two_sum, with_lost = _inline(kernel.two_sum), _inline(kernel.with_lost)


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def _power_of_two(k: float) -> Any:
    """2^k for an integer k of a normal number."""
    return _number((_bits(k + _ROUND) - _ROUND_BITS + 1023) << 52)


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def exp(x: float) -> Any:
    """e^x."""
    bounded = 710.0 if x > 710.0 else x
    bounded = -746.0 if bounded < -746.0 else bounded
    n = (bounded * 1.44269504088896338700e00 + _ROUND) - _ROUND
    high = bounded - n * 6.93147180369123816490e-01
    low = n * 1.90821492927058770002e-10
    r = high - low
    t = r * r
    p = 6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08)
    c = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03 + t * p))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    # In two steps, since 2^n may be no normal number where the result is one, or nearly.
    half = (0.5 * n + _ROUND) - _ROUND
    return y * _power_of_two(half) * _power_of_two(n - half)


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def log(x: float) -> float:
    """The natural logarithm."""
    small = x < 2.2250738585072014e-308
    scaled = x * 18014398509481984.0 if small else x
    # x = 2^k (1 + f), with 1 + f between sqrt(1/2) and sqrt(2).
    shifted = _bits(scaled) + 0x00095F619980C433
    k = _number(((shifted >> 52) & 0x7FF) + _ROUND_BITS) - _ROUND - (1077.0 if small else 1023.0)
    f = _number((shifted & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    t1 = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    t2 = 2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)
    t2 = z * (6.666666666666735130e-01 + w * t2)
    halved = 0.5 * f * f
    y = k * 6.93147180369123816490e-01 - ((halved - (s * (halved + t1 + t2) + k * 1.90821492927058770002e-10)) - f)
    y = -math.inf if x == 0.0 else y
    y = math.nan if x < 0.0 else y
    return y if x < math.inf else x


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def log1p(x: float) -> float:
    """log(1 + x): that of the rounded sum, and what rounding lost divided by it."""
    u = 1.0 + x
    y = log(u) + (x - (u - 1.0)) / u
    y = log(u) if u == 0.0 or u == math.inf else y
    return x if x == 0.0 else y


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def logaddexp(x: float, y: float) -> float:
    """log(e^x + e^y)."""
    greater = x if x > y else y
    r = greater + log1p(exp(-abs(x - y)))
    # Equal infinities have no difference.
    r = x + 0.6931471805599453 if x == y else r
    return x + y if x != x or y != y else r


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def expm1(x: float) -> float:
    """e^x - 1."""
    # Near 0 the terms of the series up to x^16, by Horner's rule.
    p = 0.0
    for k in range(16, 1, -1):
        p = 1.0 / _FACTORIALS[k] + x * p
    y = x + x * x * p if abs(x) < 0.5 else exp(x) - 1.0
    return x if x == 0.0 else y


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def tanh(x: float) -> float:
    """The hyperbolic tangent."""
    size = abs(x)
    z = x * x
    p = -1.61468768441708447952e3 + z * (-9.92877231001918586564e1 - z * 9.64399179425052238628e-1)
    q = 4.84406305325125486048e3 + z * (2.23548839060100448583e3 + z * (1.12811678491632931402e2 + z))
    near = size + size * z * (p / q)
    far = 1.0 - 2.0 / (exp(size + size) + 1.0)
    return math.copysign(near if size < 0.625 else far, x)


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def tanh_slope(x: float) -> Any:
    """1 / cosh(x)^2, of the same parts as ``tanh``, which the compiler makes once."""
    size = abs(x)
    far = 2.0 / (exp(size + size) + 1.0)
    return far * (2.0 - far)


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def _sine_cosine(x: float) -> tuple[Any, Any, Any]:
    """sin and cos of what quarters of a turn leave of x, and the number of quarters."""
    turned = x * 6.36619772367581382433e-01 + _ROUND
    n = turned - _ROUND
    near = (x - n * 1.57079632673412561417e00) - n * 6.07710050630396597660e-11
    r = near - n * 2.02226624879595063154e-21
    tail = (near - r) - n * 2.02226624879595063154e-21
    z = r * r
    s = -1.98412698298579493134e-04 + z * (
        2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
    )
    halved = 0.5 * z
    s = r + (r * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 + z * s)) + tail * (1.0 - halved))
    c = 2.48015872894767294178e-05 + z * (
        -2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 - z * 1.13596475577881948265e-11)
    )
    c = z * z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 + z * c))
    rest = 1.0 - halved
    c = rest + (((1.0 - rest) - halved) + (c - r * tail))
    return s, c, _bits(turned)


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def sin(x: float) -> Any:
    """The sine, for angles up to ``LARGEST_ANGLE``."""
    s, c, quarters = _sine_cosine(x)
    y = c if quarters & 1 else s
    y = -y if quarters & 2 else y
    return x if x == 0.0 else y


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def cos(x: float) -> Any:
    """The cosine, for angles up to ``LARGEST_ANGLE``."""
    s, c, quarters = _sine_cosine(x)
    y = s if quarters & 1 else c
    return -y if (quarters + 1) & 2 else y


@_inline  # type: ignore[untyped-decorator, unused-ignore]
def is_far(x: float) -> int:
    """1 for an angle that ``sin`` and ``cos`` are not for, else 0."""
    return 1 if abs(x) > LARGEST_ANGLE else 0
