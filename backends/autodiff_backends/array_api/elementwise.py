"""Elementwise primitives in the functions of the Array API standard, composed where it has none.

``ELEMENTWISE`` gives, for a primitive and a kind of number, the name of a function of the namespace or a function
here. These take the namespace first, then operands in the dtypes that NumPy computes in; they return NumPy's dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import array_api_compat as compat

Array = Any
Namespace = Any
Meaning = str | Callable[..., Any]


def number(xp: Namespace, value: complex, like: Array) -> Array:
    """A Python number as an array beside another one: its dtype, its device."""
    return xp.full((), value, dtype=like.dtype, device=compat.device(like))


def same(xp: Namespace, x: Array) -> Array:
    """What leaves its argument as it is; it is no call in generated source."""
    return x


# --- truth -----------------------------------------------------------------------------------------------------------


def truth(xp: Namespace, x: Array) -> Array:
    return x if xp.isdtype(x.dtype, "bool") else x != 0


def never(xp: Namespace, x: Array) -> Array:
    return xp.zeros(x.shape, dtype=xp.bool, device=compat.device(x))


def always(xp: Namespace, x: Array) -> Array:
    return xp.ones(x.shape, dtype=xp.bool, device=compat.device(x))


def logical_and(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.logical_and(truth(xp, x), truth(xp, y))


def logical_or(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.logical_or(truth(xp, x), truth(xp, y))


def logical_xor(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.logical_xor(truth(xp, x), truth(xp, y))


def logical_not(xp: Namespace, x: Array) -> Array:
    return xp.logical_not(truth(xp, x))


# --- order: of truth values, of complex numbers (by the real part, then the imaginary), of mixed signedness ----------


def less_truth(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.logical_and(xp.logical_not(x), y)


def less_equal_truth(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.logical_or(xp.logical_not(x), y)


def greater_truth(xp: Namespace, x: Array, y: Array) -> Array:
    return less_truth(xp, y, x)


def greater_equal_truth(xp: Namespace, x: Array, y: Array) -> Array:
    return less_equal_truth(xp, y, x)


def _ordered(xp: Namespace, x: Array, y: Array, last: Callable[[Array, Array], Array]) -> Array:
    real, imag, other_real, other_imag = xp.real(x), xp.imag(x), xp.real(y), xp.imag(y)
    numbers = ~(xp.isnan(imag) | xp.isnan(other_imag))
    return ((real < other_real) & numbers) | ((real == other_real) & last(imag, other_imag))


def less_complex(xp: Namespace, x: Array, y: Array) -> Array:
    return _ordered(xp, x, y, xp.less)


def less_equal_complex(xp: Namespace, x: Array, y: Array) -> Array:
    return _ordered(xp, x, y, xp.less_equal)


def greater_complex(xp: Namespace, x: Array, y: Array) -> Array:
    return less_complex(xp, y, x)


def greater_equal_complex(xp: Namespace, x: Array, y: Array) -> Array:
    return less_equal_complex(xp, y, x)


def compare_mixed(xp: Namespace, x: Array, y: Array, comparison: str) -> Array:
    """A comparison of int64 with uint64, which no dtype holds both of."""
    signed = xp.isdtype(x.dtype, "signed integer")
    negative = x < 0 if signed else y < 0
    left, right = (xp.astype(x, y.dtype), y) if signed else (x, xp.astype(y, x.dtype))
    # A negative number is less than, and different from, every unsigned one.
    outcome = comparison in (
        ("less", "less_equal", "not_equal") if signed else ("greater", "greater_equal", "not_equal")
    )
    result = getattr(xp, comparison)(left, right)
    return result | negative if outcome else result & ~negative


def maximum_complex(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.where(xp.isnan(x) | greater_equal_complex(xp, x, y), x, y)


def minimum_complex(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.where(xp.isnan(x) | less_equal_complex(xp, x, y), x, y)


def fmax(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.where(xp.isnan(x), y, xp.where(xp.isnan(y), x, xp.maximum(x, y)))


def fmin(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.where(xp.isnan(x), y, xp.where(xp.isnan(y), x, xp.minimum(x, y)))


def fmax_complex(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.where(xp.isnan(y) | greater_equal_complex(xp, x, y), x, y)


def fmin_complex(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.where(xp.isnan(y) | less_equal_complex(xp, x, y), x, y)


# --- integers, where libraries differ: division by zero is 0, and nothing is too large a shift -----------------------


def _divisor(xp: Namespace, y: Array) -> Array:
    """``y`` with 1 for 0, which no library divides by, and for -1, by which the least integer overflows."""
    bad = y == 0
    if not xp.isdtype(y.dtype, "unsigned integer"):
        bad = bad | (y == -1)
    return xp.where(bad, number(xp, 1, y), y)


def floor_divide_integers(xp: Namespace, x: Array, y: Array) -> Array:
    quotient = xp.floor_divide(x, _divisor(xp, y))
    if not xp.isdtype(y.dtype, "unsigned integer"):
        quotient = xp.where(y == -1, -x, quotient)
    return xp.where(y == 0, number(xp, 0, quotient), quotient)


def remainder_integers(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.remainder(x, _divisor(xp, y))


def fmod_integers(xp: Namespace, x: Array, y: Array) -> Array:
    rest = remainder_integers(xp, x, y)
    return xp.where((rest != 0) & ((rest < 0) != (x < 0)), rest - y, rest)


def reciprocal_integers(xp: Namespace, x: Array) -> Array:
    return xp.where(xp.abs(x) == 1, x, number(xp, 0, x))


def left_shift(xp: Namespace, x: Array, n: Array) -> Array:
    inside = (n >= 0) & (n < xp.iinfo(x.dtype).bits)
    zero = number(xp, 0, x)
    return xp.where(inside, xp.bitwise_left_shift(x, xp.where(inside, n, zero)), zero)


def right_shift(xp: Namespace, x: Array, n: Array) -> Array:
    bits = xp.iinfo(x.dtype).bits
    inside = (n >= 0) & (n < bits)
    shifted = xp.bitwise_right_shift(x, xp.where(inside, n, number(xp, bits - 1, n)))
    # The sign is what remains of signed integers.
    return xp.where(inside, shifted, number(xp, 0, x)) if xp.isdtype(x.dtype, "unsigned integer") else shifted


def gcd(xp: Namespace, x: Array, y: Array) -> Array:
    """Euclid's algorithm, for all elements until the last one is done."""
    a, b = xp.broadcast_arrays(x, y)
    while bool(xp.any(b != 0)):
        done = b == 0
        a, b = xp.where(done, a, b), xp.where(done, b, remainder_integers(xp, a, b))
    return xp.abs(a)


def lcm(xp: Namespace, x: Array, y: Array) -> Array:
    return floor_divide_integers(xp, xp.abs(x), gcd(xp, x, y)) * xp.abs(y)


# --- floating numbers ------------------------------------------------------------------------------------------------


def fmod(xp: Namespace, x: Array, y: Array) -> Array:
    rest = xp.remainder(xp.abs(x), xp.abs(y))
    return xp.copysign(rest, x)


def heaviside(xp: Namespace, x: Array, at_zero: Array) -> Array:
    step = xp.where(x > 0, number(xp, 1, x), xp.where(x < 0, number(xp, 0, x), x))
    return xp.where(x == 0, at_zero, step)


def exp2(xp: Namespace, x: Array) -> Array:
    return xp.pow(number(xp, 2, x), x)


def exp2_complex(xp: Namespace, x: Array) -> Array:
    return xp.exp(x * math.log(2))


def cbrt(xp: Namespace, x: Array) -> Array:
    """The power 1/3, which is not quite what a float holds, and a step of Newton's method from there."""
    size = xp.abs(x)
    regular = (size > 0) & (size < math.inf)
    cube = xp.where(regular, size, number(xp, 1, x))
    root = xp.pow(cube, number(xp, 1 / 3, x))
    root = root - (root - cube / (root * root)) / 3
    return xp.copysign(xp.where(regular, root, size), x)


def logaddexp2(xp: Namespace, x: Array, y: Array) -> Array:
    greater = xp.maximum(x, y)
    distance = xp.where(x == y, number(xp, 0, greater), xp.abs(x - y))
    return greater + xp.log1p(exp2(xp, -distance)) / math.log(2)


def degrees(xp: Namespace, x: Array) -> Array:
    return x * (180 / math.pi)


def radians(xp: Namespace, x: Array) -> Array:
    return x * (math.pi / 180)


def spacing(xp: Namespace, x: Array) -> Array:
    size = xp.abs(x)
    step = xp.nextafter(size, number(xp, math.inf, x)) - size
    return xp.where(x < 0, -step, step)


def power_of_two(xp: Namespace, n: Array, like: Array) -> Array:
    return exp2(xp, xp.astype(n, like.dtype))


def ldexp(xp: Namespace, x: Array, n: Array) -> Array:
    """``x * 2**n`` with one rounding: three factors that are floats, and only the last can make a subnormal number."""
    farthest = round(math.log2(float(xp.finfo(x.dtype).max)))
    last, span = farthest - 24, 2 * farthest + 60
    n = xp.astype(xp.clip(n, -span, span), xp.int32)
    large = xp.clip(n, -last, last)
    half = xp.bitwise_right_shift(n - large, number(xp, 1, n))
    for part in (half, n - large - half, large):
        x = x * power_of_two(xp, part, x)
    return x


def frexp(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """The exponent is that of the logarithm's floor, put right where the logarithm is rounded up or down to one."""
    size = xp.abs(x)
    regular = (size > 0) & (size < math.inf)
    size = xp.where(regular, size, number(xp, 0.5, x))
    exponent = xp.astype(xp.floor(xp.log2(size)), xp.int32) + 1
    mantissa = ldexp(xp, size, -exponent)
    exponent = exponent + xp.astype(mantissa >= 1, xp.int32) - xp.astype(mantissa < 0.5, xp.int32)
    exponent = xp.where(regular, exponent, number(xp, 0, exponent))
    return ldexp(xp, x, -exponent), exponent


def modf(xp: Namespace, x: Array) -> tuple[Array, Array]:
    whole = xp.trunc(x)
    part = xp.where(xp.isinf(x), number(xp, 0, x), x - whole)
    return xp.copysign(part, x), whole


def logistic(xp: Namespace, x: Array) -> Array:
    return 1 / (1 + xp.exp(-x))


def masked_multiply(xp: Namespace, ct: Array, factor: Array) -> Array:
    product = ct * factor
    return xp.where(ct == 0, number(xp, 0, product), product)


def power_complex(xp: Namespace, x: Array, y: Array) -> Array:
    power = xp.pow(x, y)
    return xp.where(y == 0, number(xp, 1, power), power)


def _all_kinds(kinds: str, **names: str) -> dict[str, dict[str, Meaning]]:
    return {primitive: {kinds: name} for primitive, name in names.items()}


def _comparison(name: str, of_truth: Meaning, of_complex: Meaning) -> dict[str, Meaning]:
    return {"iuf": name, "b": of_truth, "c": of_complex}


# Primitive -> kinds of number (of the first operand, once it has the dtype that is computed in) -> what computes it.
ELEMENTWISE: dict[str, dict[str, Meaning]] = {
    **_all_kinds("f", arctan2="atan2", hypot="hypot", copysign="copysign", nextafter="nextafter", signbit="signbit"),
    **_all_kinds("f", logaddexp="logaddexp"),
    **_all_kinds("fc", divide="divide", sqrt="sqrt", root_of_squares="sqrt", exp="exp", expm1="expm1", log="log"),
    **_all_kinds("fc", log2="log2", log10="log10", log1p="log1p", sin="sin", cos="cos", tan="tan", arcsin="asin"),
    **_all_kinds("fc", arccos="acos", arctan="atan", sinh="sinh", cosh="cosh", tanh="tanh", arcsinh="asinh"),
    **_all_kinds("fc", arccosh="acosh", arctanh="atanh"),
    **_all_kinds("iufc", subtract="subtract", negative="negative", square="square", sign="sign"),
    **_all_kinds("biufc", equal="equal", not_equal="not_equal"),
    **_all_kinds("biu", bitwise_and="bitwise_and", bitwise_or="bitwise_or", bitwise_xor="bitwise_xor"),
    **_all_kinds("biu", invert="bitwise_invert"),
    "add": {"iufc": "add", "b": "logical_or"},
    "multiply": {"iufc": "multiply", "b": "logical_and"},
    "masked_multiply": {"iufc": masked_multiply, "b": "logical_and"},
    "floor_divide": {"f": "floor_divide", "iu": floor_divide_integers},
    "remainder": {"f": "remainder", "iu": remainder_integers},
    "fmod": {"f": fmod, "iu": fmod_integers},
    "power": {"iuf": "pow", "c": power_complex},
    "float_power": {"f": "pow", "c": power_complex},
    "absolute": {"ifc": "abs", "bu": same},
    "conjugate": {"c": "conj", "iuf": same},
    "real": {"c": "real", "biuf": same},
    "imag": {"c": "imag", "biuf": "zeros_like"},
    "identity": {"biufc": same},
    "stop_gradient": {"biufc": same},
    "reciprocal": {"fc": "reciprocal", "iu": reciprocal_integers},
    "heaviside": {"f": heaviside},
    "cbrt": {"f": cbrt},
    "exp2": {"f": exp2, "c": exp2_complex},
    "logaddexp2": {"f": logaddexp2},
    "degrees": {"f": degrees},
    "radians": {"f": radians},
    "spacing": {"f": spacing},
    "ldexp": {"f": ldexp},
    "frexp": {"f": frexp},
    "modf": {"f": modf},
    "logistic": {"fc": logistic},
    "maximum": {"iuf": "maximum", "b": "logical_or", "c": maximum_complex},
    "minimum": {"iuf": "minimum", "b": "logical_and", "c": minimum_complex},
    "fmax": {"iu": "maximum", "f": fmax, "b": "logical_or", "c": fmax_complex},
    "fmin": {"iu": "minimum", "f": fmin, "b": "logical_and", "c": fmin_complex},
    "floor": {"f": "floor", "biu": same},
    "ceil": {"f": "ceil", "biu": same},
    "trunc": {"f": "trunc", "biu": same},
    "rint": {"fc": "round"},
    "less": _comparison("less", less_truth, less_complex),
    "less_equal": _comparison("less_equal", less_equal_truth, less_equal_complex),
    "greater": _comparison("greater", greater_truth, greater_complex),
    "greater_equal": _comparison("greater_equal", greater_equal_truth, greater_equal_complex),
    "logical_and": {"b": "logical_and", "iufc": logical_and},
    "logical_or": {"b": "logical_or", "iufc": logical_or},
    "logical_xor": {"b": "logical_xor", "iufc": logical_xor},
    "logical_not": {"b": "logical_not", "iufc": logical_not},
    "left_shift": {"iu": left_shift},
    "right_shift": {"iu": right_shift},
    "gcd": {"iu": gcd},
    "lcm": {"iu": lcm},
    "isnan": {"fc": "isnan", "biu": never},
    "isinf": {"fc": "isinf", "biu": never},
    "isfinite": {"fc": "isfinite", "biu": always},
}
