"""Truncated Taylor arithmetic: an oracle for derivatives of any order that shares nothing with the rules.

A `Jet` is the Taylor polynomial of a quantity in one parameter. Its coefficients are mpmath's numbers, or NumPy arrays
in extended precision; `Numbers` says which, and has the elementary functions of a coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np

Coefficient = Any


class Numbers:
    """What coefficients are."""

    def __init__(self, functions: Any, pi: Any, wrap: Callable[[Any], Any] = lambda c: c):
        self.functions = functions
        self.pi = pi
        # What is done to every coefficient that has been computed: nothing, or noise.
        self.wrap = wrap

    def __getattr__(self, name: str) -> Any:
        return getattr(self.functions, name)


_MPMATH_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh"}
_MPMATH_NAMES |= {"arctanh": "atanh", "log2": "log2", "arctan2": "atan2", "absolute": "fabs", "sign": "sign"}


class _Mpmath:
    def __getattr__(self, name: str) -> Any:
        if name == "log2":
            return lambda x: mpmath.log(x, 2)
        if name == "cbrt":
            return lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x))
        return getattr(mpmath, _MPMATH_NAMES.get(name, name))


MPMATH = Numbers(_Mpmath(), None)


def extended(noise: np.random.Generator | None = None, size: float = 0.0) -> Numbers:
    """Long doubles; with ``noise``, each coefficient is off by up to ``size`` of itself, as if rounded."""
    if noise is None:
        return Numbers(np, np.longdouble("3.14159265358979323846264338327950288"))

    def disturbed(c: Any) -> Any:
        return c * (1 + size * noise.uniform(-1, 1, np.shape(c)))

    return Numbers(np, np.longdouble("3.14159265358979323846264338327950288"), disturbed)


class Jet:
    """c[0] + c[1] t + ... + c[n] t^n.

    ``m`` are the same sums of products with every term positive: what the rounding of an evaluation, in whatever order,
    is proportional to.
    """

    __array_ufunc__ = None
    __slots__ = ("c", "m", "numbers")

    def __init__(self, numbers: Numbers, coefficients: Sequence[Coefficient], sizes: Sequence[Any] | None = None):
        self.numbers = numbers
        self.c = list(coefficients)
        self.m = [abs(c) for c in self.c] if sizes is None else list(sizes)

    @property
    def order(self) -> int:
        return len(self.c) - 1

    def derivative(self, n: int) -> Coefficient:
        """d^n/dt^n at t = 0."""
        return self.c[n] * math.factorial(n)

    def _made(self, coefficients: Sequence[Coefficient], sizes: Sequence[Any]) -> Jet:
        return Jet(self.numbers, [self.numbers.wrap(c) for c in coefficients], sizes)

    def _lifted(self, other: Any) -> Jet:
        if isinstance(other, Jet):
            return other
        return Jet(self.numbers, [other + 0 * self.c[0], *[0 * self.c[0]] * self.order])

    def map(self, linear: Callable[[Any], Any]) -> Jet:
        """A linear function of the quantity, all of whose factors have one sign."""
        return self._made([linear(c) for c in self.c], [abs(linear(m)) for m in self.m])

    def __neg__(self) -> Jet:
        return Jet(self.numbers, [-c for c in self.c], self.m)

    def __add__(self, other: Any) -> Jet:
        other = self._lifted(other)
        sizes = [a + b for a, b in zip(self.m, other.m, strict=True)]
        return self._made([a + b for a, b in zip(self.c, other.c, strict=True)], sizes)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Jet:
        return self + -self._lifted(other)

    def __rsub__(self, other: Any) -> Jet:
        return self._lifted(other) - self

    def product(self, other: Jet, times: Callable[[Any, Any], Any]) -> Jet:
        """A bilinear function of two quantities."""
        both = [_convolved(a, b, times) for a, b in ((self.c, other.c), (self.m, other.m))]
        return self._made(*both)

    def __mul__(self, other: Any) -> Jet:
        return self.product(self._lifted(other), lambda a, b: a * b)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Jet:
        other = self._lifted(other)
        q: list[Any] = []
        m: list[Any] = []
        for k in range(len(self.c)):
            rest, size = self.c[k], self.m[k]
            for j in range(1, k + 1):
                rest = rest - other.c[j] * q[k - j]
                size = size + other.m[j] * m[k - j]
            q.append(self.numbers.wrap(rest / other.c[0]))
            m.append(size / abs(other.c[0]))
        return Jet(self.numbers, q, m)

    def __rtruediv__(self, other: Any) -> Jet:
        return self._lifted(other) / self

    def integrated(self, value: Coefficient, slope: Jet) -> Jet:
        """y with y(0) = value and y' = slope * self'."""
        y, m = [value], [abs(value)]
        for k in range(1, len(self.c)):
            y.append(_total([j * self.c[j] * slope.c[k - j] for j in range(1, k + 1)]) / k)
            m.append(_total([j * self.m[j] * slope.m[k - j] for j in range(1, k + 1)]) / k)
        return self._made(y, m)

    def raised(self, value: Coefficient, a: Any, parts: int = 1) -> Jet:
        """self^(a / parts), whose value is given, for numbers."""
        y, m = [self.numbers.wrap(value)], [abs(value)]
        for k in range(1, len(self.c)):
            factors = [a * j - parts * (k - j) for j in range(1, k + 1)]
            terms = [f * self.c[j] * y[k - j] for j, f in enumerate(factors, 1)]
            sizes = [abs(f) * self.m[j] * m[k - j] for j, f in enumerate(factors, 1)]
            y.append(self.numbers.wrap(_total(terms) / (parts * k * self.c[0])))
            m.append(_total(sizes) / (parts * k * abs(self.c[0])))
        return Jet(self.numbers, y, m)


def _total(terms: list[Any]) -> Any:
    return sum(terms[1:], terms[0])


def _convolved(a: list[Any], b: list[Any], times: Callable[[Any, Any], Any]) -> list[Any]:
    return [_total([times(a[j], b[k - j]) for j in range(k + 1)]) for k in range(len(a))]


def _coupled(x: Jet, first: Any, second: Any, sign: int) -> tuple[Jet, Jet]:
    """s' = c x', c' = sign s x'."""
    s, c = [first], [second]
    s_size, c_size = [abs(first)], [abs(second)]
    for k in range(1, len(x.c)):
        up = _total([j * x.c[j] * c[k - j] for j in range(1, k + 1)]) / k
        down = _total([j * x.c[j] * s[k - j] for j in range(1, k + 1)]) / k
        up_size = _total([j * x.m[j] * c_size[k - j] for j in range(1, k + 1)]) / k
        down_size = _total([j * x.m[j] * s_size[k - j] for j in range(1, k + 1)]) / k
        s.append(up)
        c.append(sign * down)
        s_size.append(up_size)
        c_size.append(down_size)
    return x._made(s, s_size), x._made(c, c_size)


def exp(x: Jet) -> Jet:
    y = [x.numbers.wrap(x.numbers.exp(x.c[0]))]
    m = [abs(y[0])]
    for k in range(1, len(x.c)):
        y.append(x.numbers.wrap(_total([j * x.c[j] * y[k - j] for j in range(1, k + 1)]) / k))
        m.append(_total([j * x.m[j] * m[k - j] for j in range(1, k + 1)]) / k)
    return Jet(x.numbers, y, m)


def expm1(x: Jet) -> Jet:
    value, rest = x.numbers.wrap(x.numbers.expm1(x.c[0])), exp(x)
    return Jet(x.numbers, [value, *rest.c[1:]], [abs(value), *rest.m[1:]])


def exp2(x: Jet) -> Jet:
    return exp(x * x.numbers.log(2 + 0 * x.c[0]))


def log(x: Jet) -> Jet:
    return x.integrated(x.numbers.log(x.c[0]), 1 / x)


def log1p(x: Jet) -> Jet:
    return x.integrated(x.numbers.log1p(x.c[0]), 1 / (1 + x))


def log2(x: Jet) -> Jet:
    return log(x) / x.numbers.log(2 + 0 * x.c[0])


def log10(x: Jet) -> Jet:
    return log(x) / x.numbers.log(10 + 0 * x.c[0])


def sin(x: Jet) -> Jet:
    return _coupled(x, x.numbers.sin(x.c[0]), x.numbers.cos(x.c[0]), -1)[0]


def cos(x: Jet) -> Jet:
    return _coupled(x, x.numbers.sin(x.c[0]), x.numbers.cos(x.c[0]), -1)[1]


def sinh(x: Jet) -> Jet:
    return _coupled(x, x.numbers.sinh(x.c[0]), x.numbers.cosh(x.c[0]), 1)[0]


def cosh(x: Jet) -> Jet:
    return _coupled(x, x.numbers.sinh(x.c[0]), x.numbers.cosh(x.c[0]), 1)[1]


def tan(x: Jet) -> Jet:
    c = cos(x)
    return x.integrated(x.numbers.tan(x.c[0]), 1 / (c * c))


def tanh(x: Jet) -> Jet:
    c = 1 / cosh(x)
    return x.integrated(x.numbers.tanh(x.c[0]), c * c)


def square(x: Jet) -> Jet:
    return x * x


def reciprocal(x: Jet) -> Jet:
    return 1 / x


def sqrt(x: Jet) -> Jet:
    return x.raised(x.numbers.sqrt(x.c[0]), 0.5)


def cbrt(x: Jet) -> Jet:
    return x.raised(x.numbers.cbrt(x.c[0]), 1, 3)


def _from_unit(x: Jet, sign: int) -> Jet:
    """sign (x^2 - 1), without cancellation in the value."""
    squared, value = x * x, sign * (x.c[0] - 1) * (x.c[0] + 1)
    return Jet(x.numbers, [value, *[sign * c for c in squared.c[1:]]], [abs(value), *squared.m[1:]])


def arcsin(x: Jet) -> Jet:
    return x.integrated(x.numbers.arcsin(x.c[0]), 1 / sqrt(_from_unit(x, -1)))


def arccos(x: Jet) -> Jet:
    return x.integrated(x.numbers.arccos(x.c[0]), -1 / sqrt(_from_unit(x, -1)))


def arctan(x: Jet) -> Jet:
    return x.integrated(x.numbers.arctan(x.c[0]), 1 / (1 + x * x))


def arcsinh(x: Jet) -> Jet:
    return x.integrated(x.numbers.arcsinh(x.c[0]), 1 / sqrt(1 + x * x))


def arccosh(x: Jet) -> Jet:
    return x.integrated(x.numbers.arccosh(x.c[0]), 1 / (sqrt(x - 1) * sqrt(x + 1)))


def arctanh(x: Jet) -> Jet:
    return x.integrated(x.numbers.arctanh(x.c[0]), 1 / _from_unit(x, -1))


def arctan2(y: Jet, x: Jet) -> Jet:
    """The integral of (x y' - y x') / (x^2 + y^2)."""
    radius = x * x + y * y
    by_y, by_x = x / radius, y / radius
    first = y.integrated(y.numbers.arctan2(y.c[0], x.c[0]), by_y)
    second = x.integrated(0 * x.c[0], by_x)
    return first - second


def hypot(x: Jet, y: Jet) -> Jet:
    return sqrt(x * x + y * y)


def power(x: Jet, y: Jet) -> Jet:
    return exp(y * log(x))


def logaddexp(x: Jet, y: Jet) -> Jet:
    high, low = (x, y) if np.all(x.c[0] >= y.c[0]) else (y, x)
    return high + log1p(exp(low - high))


def logaddexp2(x: Jet, y: Jet) -> Jet:
    two = x.numbers.log(2 + 0 * x.c[0])
    return logaddexp(x * two, y * two) / two


def sinc(x: Jet) -> Jet:
    pi = mpmath.pi if x.numbers.pi is None else x.numbers.pi
    if x.c[0] == 0:
        # Both sides of the quotient begin with the power 1.
        longer = Jet(x.numbers, [*x.c, 0 * x.c[0]]) * (+pi)
        return Jet(x.numbers, sin(longer).c[1:]) / Jet(x.numbers, longer.c[1:])
    scaled = x * (+pi)
    return sin(scaled) / scaled


def absolute(x: Jet) -> Jet:
    return x * x.numbers.sign(x.c[0])
