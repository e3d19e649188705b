"""Elementwise functions of series: composed with the power series of each function at a point."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .series import ORDER, Array, Series, Unsuitable, add, as_series, bilinear, kink, linear, multiply, subtract, where_

Power = list[Any]  # the coefficients of an ordinary power series, up to ORDER


def _times(a: Power, b: Power) -> Power:
    return [sum(a[i] * b[k - i] for i in range(k + 1)) for k in range(ORDER + 1)]


def _quotient(a: Power, b: Power) -> Power:
    found: Power = []
    for k in range(ORDER + 1):
        found.append((a[k] - sum((found[i] * b[k - i] for i in range(k)), 0 * a[0])) / b[0])
    return found


def _power(a: Power, p: Any) -> Power:
    """a^p by the recurrence of Griewank and Walther, table 13.2."""
    found: Power = [a[0] ** p]
    for k in range(1, ORDER + 1):
        found.append(sum((p * i - (k - i)) * a[i] * found[k - i] for i in range(1, k + 1)) / (k * a[0]))
    return found


def _integral(first: Any, a: Power) -> Power:
    return [first, *[a[k] / (k + 1) for k in range(ORDER)]]


def _near(x: Array) -> Power:
    return [x, np.ones_like(x), *[np.zeros_like(x)] * (ORDER - 1)]


def _shifted(x: Array, constant: float, square: float) -> Power:
    """constant + square (x + h)^2."""
    return [constant + square * x * x, 2 * square * x, square * np.ones_like(x), *[np.zeros_like(x)] * (ORDER - 2)]


def _exponential(x: Array, scale: Any = 1) -> Power:
    return [np.exp(scale * x) * scale**k / math.factorial(k) for k in range(ORDER + 1)]


def _logarithm(x: Array, first: Any, scale: Any = 1) -> Power:
    return [first, *[scale * (-1) ** (k - 1) / (k * x**k) for k in range(1, ORDER + 1)]]


def _cycle(values: list[Any]) -> Power:
    return [values[k % len(values)] / math.factorial(k) for k in range(ORDER + 1)]


def _sine(x: Array) -> Power:
    s, c = np.sin(x), np.cos(x)
    return _cycle([s, c, -s, -c])


def _cosine(x: Array) -> Power:
    s, c = np.sin(x), np.cos(x)
    return _cycle([c, -s, -c, s])


def _hyperbolic(x: Array, first: Any, other: Any) -> Power:
    return _cycle([first, other])


LN2 = np.log(np.longdouble(2))
LN10 = np.log(np.longdouble(10))
PI = np.longdouble("3.14159265358979323846264338327950288")
SERIES: dict[str, Callable[[Array], Power]] = {
    "exp": _exponential,
    "expm1": lambda x: [np.expm1(x), *_exponential(x)[1:]],
    "exp2": lambda x: _exponential(x, LN2),
    "log": lambda x: _logarithm(x, np.log(x)),
    "log2": lambda x: _logarithm(x, np.log(x) / LN2, 1 / LN2),
    "log10": lambda x: _logarithm(x, np.log(x) / LN10, 1 / LN10),
    "log1p": lambda x: _logarithm(1 + x, np.log1p(x)),
    "sin": _sine,
    "cos": _cosine,
    "tan": lambda x: _quotient(_sine(x), _cosine(x)),
    "sinh": lambda x: _hyperbolic(x, np.sinh(x), np.cosh(x)),
    "cosh": lambda x: _hyperbolic(x, np.cosh(x), np.sinh(x)),
    "tanh": lambda x: _quotient(_hyperbolic(x, np.sinh(x), np.cosh(x)), _hyperbolic(x, np.cosh(x), np.sinh(x))),
    "arcsin": lambda x: _integral(np.arcsin(x), _power(_shifted(x, 1, -1), np.longdouble(-0.5))),
    "arccos": lambda x: _integral(np.arccos(x), [-a for a in _power(_shifted(x, 1, -1), np.longdouble(-0.5))]),
    "arctan": lambda x: _integral(np.arctan(x), _power(_shifted(x, 1, 1), -1)),
    "arcsinh": lambda x: _integral(np.arcsinh(x), _power(_shifted(x, 1, 1), np.longdouble(-0.5))),
    "arctanh": lambda x: _integral(np.arctanh(x), _power(_shifted(x, 1, -1), -1)),
    "sqrt": lambda x: _power(_near(x), np.longdouble(0.5)),
    "reciprocal": lambda x: _power(_near(x), -1),
}


def compose(power: Power, x: Series) -> Series:
    """sum power[k] h^k, where h is ``x`` without its constant term."""
    h = Series(x.c.copy())
    h.c[0] = 0
    result = as_series(power[-1])
    for a in power[-2::-1]:
        result = multiply(result, h)
        result.c[0] = result.c[0] + a
    return result


def composed(name: str) -> Callable[[Any], Series]:
    def function(x: Any) -> Series:
        x = as_series(x)
        if x.dtype.kind == "c":
            _avoid_cuts(name, x.value)
        power = SERIES[name](x.value)
        if not all(np.all(np.isfinite(a)) for a in power):
            raise Unsuitable(f"a point without a derivative: {name}")
        return compose(power, x)

    return function


def _avoid_cuts(name: str, x: Array) -> None:
    """Branch cuts lie on the axes; beside them a rounding may change the branch."""
    if name.startswith(("log", "arc", "sqrt")):
        kink((np.abs(x.imag) < 1e-6) | (np.abs(x.real) < 1e-6), "a branch cut")


def _arccosh(x: Any) -> Series:
    x = as_series(x)
    if x.dtype.kind == "c":
        raise Unsuitable("the oracle has no complex arccosh")
    return compose(_integral(np.arccosh(x.value), _power(_shifted(x.value, -1, 1), np.longdouble(-0.5))), x)


def _cbrt(x: Any) -> Series:
    x = as_series(x)
    kink(x.value == 0, "cbrt at 0")
    sign = np.sign(x.value)
    return multiply(sign, compose(_power(_near(np.abs(x.value)), np.longdouble(1) / 3), multiply(sign, x)))


def absolute(x: Any) -> Series:
    x = as_series(x)
    if x.dtype.kind == "c":
        return _hypot(np.real(x), np.imag(x))
    kink(x.value == 0, "abs at 0")
    return multiply(np.sign(x.value), x)


def root(x: Series) -> Series:
    kink(x.value <= 1e-14, "sqrt at 0")
    return compose(_power(_near(x.value), np.longdouble(0.5)), x)


def _hypot(x: Any, y: Any) -> Series:
    return root(add(multiply(x, x), multiply(y, y)))


def arctan2(y: Any, x: Any) -> Series:
    y, x = as_series(y), as_series(x)
    kink((np.abs(y.value) < 1e-9) & (x.value <= 0), "arctan2 on its cut")
    z = linear(lambda a, b: a + 1j * b, x, y)
    angle = compose(_logarithm(z.value, np.log(z.value)), z)
    return Series(angle.c.imag.copy())


def power(x: Any, y: Any) -> Any:
    if (
        not isinstance(y, Series)
        and np.ndim(y) == 0
        and float(np.real(y)).is_integer()
        and abs(y) < 12
        and np.imag(y) == 0
    ):
        count = int(np.real(y))
        if count < 0:
            return _reciprocal(power(x, -count))
        result = add(multiply(x, 0), 1)
        for _ in range(count):
            result = multiply(result, x)
        return result
    x = as_series(x)
    if x.dtype.kind == "c" or as_series(y).dtype.kind == "c":
        raise Unsuitable("the oracle has no complex power")
    kink(x.value <= 0, "a power of a number below 0")
    return composed("exp")(multiply(y, composed("log")(x)))


def _reciprocal(x: Any) -> Series:
    x = as_series(x)
    kink(x.value == 0, "1 / 0")
    return composed("reciprocal")(x)


def divide(x: Any, y: Any) -> Series:
    return multiply(x, _reciprocal(y))


def _logaddexp(base: Any) -> Callable[[Any, Any], Series]:
    def function(x: Any, y: Any) -> Series:
        x, y = as_series(x), as_series(y)
        largest = np.maximum(x.value, y.value)
        total = add(*[composed("exp")(multiply(subtract(z, largest), base)) for z in (x, y)])
        return add(divide(composed("log")(total), base), largest)

    return function


def _close(x: Any, y: Any) -> Any:
    a, b = as_series(x).value, as_series(y).value
    return np.abs(a - b) <= 1e-9 * np.maximum(np.abs(a), np.abs(b))


def larger(sign: int) -> Callable[[Any, Any], Series]:
    def function(x: Any, y: Any) -> Series:
        if as_series(x).dtype.kind == "c" or as_series(y).dtype.kind == "c":
            raise Unsuitable("the order of complex numbers")
        kink(_close(x, y), "a tie")
        return where_(sign * as_series(x).value > sign * as_series(y).value, x, y)

    return function


def _floor_divide(x: Any, y: Any) -> Array:
    return np.floor_divide(as_series(x).value, as_series(y).value)  # type: ignore[no-any-return]


def _remainder(rounding: Callable[[Any], Any]) -> Callable[[Any, Any], Series]:
    def function(x: Any, y: Any) -> Series:
        ratio = as_series(x).value / as_series(y).value
        kink(np.abs(ratio - np.rint(ratio)) < 1e-9, "a remainder at its jump")
        return subtract(x, multiply(y, rounding(ratio)))

    return function


def _copysign(x: Any, y: Any) -> Series:
    return multiply(absolute(x), np.where(np.signbit(as_series(y).value), -1, 1))


def _constant(ufunc: np.ufunc, jumps: bool) -> Callable[..., Any]:
    """A function whose derivative is zero: its value, of which comparisons near a jump say nothing."""

    def function(*args: Any, **keywords: Any) -> Any:
        values = [as_series(a).value if isinstance(a, Series) else a for a in args]
        if jumps and len(values) == 2:
            kink(_close(*values), f"{ufunc.__name__} of numbers that are nearly equal")
        return ufunc(*values, **keywords)

    return function


def _sign(x: Any) -> Any:
    x = as_series(x)
    if x.dtype.kind == "c":
        return divide(x, absolute(x))
    kink(x.value == 0, "sign at 0")
    return np.sign(x.value)


def sinc(x: Any) -> Series:
    x = as_series(x)
    kink(np.abs(x.value) < 1e-3, "sinc near 0, which has tests of its own")
    turned = multiply(x, PI)
    return divide(composed("sin")(turned), turned)


def _rounded(ufunc: np.ufunc) -> Callable[..., Any]:
    def function(x: Any, *args: Any) -> Any:
        kink(np.abs(x.value - np.rint(x.value)) < 1e-9, f"{ufunc.__name__} at its jump")
        return as_series(ufunc(x.value))

    return function


def _modf(x: Any) -> tuple[Any, Any]:
    whole = _rounded(np.trunc)(x)
    return subtract(x, whole), whole


def _frexp(x: Any) -> tuple[Any, Any]:
    exponent = np.frexp(x.value)[1]
    return multiply(x, np.longdouble(2) ** -exponent), exponent


def _divmod(x: Any, y: Any) -> tuple[Any, Any]:
    return _floor_divide(x, y), _remainder(np.floor)(x, y)


def _ldexp(x: Any, n: Any) -> Series:
    return multiply(x, np.longdouble(2) ** np.asarray(n))


def vecdot(x: Any, y: Any) -> Series:
    return bilinear(lambda a, b: np.sum(a * b, -1), np.conjugate(as_series(x)), y)


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{name: composed(name) for name in SERIES},
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "negative": lambda x: linear(np.negative, x),
    "positive": lambda x: linear(np.positive, x),
    "conjugate": lambda x: linear(np.conjugate, x),
    "square": lambda x: multiply(x, x),
    "absolute": absolute,
    "fabs": absolute,
    "cbrt": _cbrt,
    "arccosh": _arccosh,
    "sqrt": lambda x: _root(x),
    "reciprocal": _reciprocal,
    "hypot": _hypot,
    "arctan2": arctan2,
    "power": power,
    "float_power": power,
    "logaddexp": _logaddexp(np.longdouble(1)),
    "logaddexp2": _logaddexp(LN2),
    "maximum": larger(1),
    "fmax": larger(1),
    "minimum": larger(-1),
    "fmin": larger(-1),
    "floor_divide": _floor_divide,
    "remainder": _remainder(np.floor),
    "fmod": _remainder(np.trunc),
    "copysign": _copysign,
    "sign": _sign,
    "ldexp": _ldexp,
    "modf": _modf,
    "frexp": _frexp,
    "divmod": _divmod,
    "vecdot": vecdot,
    "matmul": lambda x, y: bilinear(np.matmul, x, y),
    **{name: _rounded(getattr(np, name)) for name in ("floor", "ceil", "trunc", "rint")},
    **{
        name: _constant(getattr(np, name), False)
        for name in ("isnan", "isinf", "isfinite", "signbit", "logical_not", "logical_and", "logical_or", "logical_xor")
    },
    **{
        name: _constant(getattr(np, name), True)
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    },
    "degrees": lambda x: multiply(x, 180 / PI),
    "rad2deg": lambda x: multiply(x, 180 / PI),
    "radians": lambda x: multiply(x, PI / 180),
    "deg2rad": lambda x: multiply(x, PI / 180),
}


def _root(x: Any) -> Series:
    x = as_series(x)
    return composed("sqrt")(x) if x.dtype.kind == "c" else root(x)
