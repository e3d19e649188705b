"""Truncated Taylor series in extended precision: the oracle of derivatives, which knows no rule of the library.

A series has two variables, t up to t^3 and e up to e^1, so that x + t + e v gives, at t^(n-1) e, the derivative of
order n - 1 along ones differentiated once more along v: what ``Graph.gradient(..., n)`` says, times v. Elementwise
functions are composed with their own Taylor series at a point, which ordinary power series give (Griewank and Walther,
*Evaluating Derivatives*, chapter 13).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

ORDER = 4
# (power of t, power of e) of each coefficient, and which pairs multiply into which.
MONOMIALS = [(i, j) for i in range(ORDER) for j in range(2)]
PRODUCTS = [
    (MONOMIALS.index((a + c, b + d)), m, n)
    for m, (a, b) in enumerate(MONOMIALS)
    for n, (c, d) in enumerate(MONOMIALS)
    if a + c < ORDER and b + d < 2
]
COUNT = len(MONOMIALS)


class Unsuitable(Exception):
    """No derivative can be compared here: a kink, a tie, or a function that the oracle does not know."""


def kink(condition: Any, what: str) -> None:
    if np.any(condition):
        raise Unsuitable(f"a point without a derivative: {what}")


Array = np.ndarray[Any, Any]


class Series:
    """An array of series: ``c[i]`` holds the coefficients of monomial i. Dispatches as a Tensor does."""

    __array_priority__ = 2000.0

    def __init__(self, c: Array):
        self.c = c

    # --- what NumPy asks ---

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        if method == "reduce":
            keywords.setdefault("axis", 0)
            return REDUCTIONS[ufunc](*inputs, **keywords)
        name = ufunc.__name__
        if method == "outer":
            result = bilinear(ufunc.outer, *inputs) if name == "multiply" else _outer_sum(*inputs)
        elif method != "__call__" or name not in UFUNCS:
            raise Unsuitable(f"the oracle has no {name}.{method}")
        else:
            keywords.pop("dtype", None)
            where = keywords.pop("where", True)
            result = UFUNCS[name](*inputs, **keywords)
            if out is not None:
                (target,) = out
                keep = np.where(where, True, False)
                target.c = where_(keep, as_series(result), target).c
                return target
        return result

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        handler = FUNCTIONS.get(function)
        if handler is None:
            raise Unsuitable(f"the oracle has no {function.__name__}")
        return handler(*args, **kwargs)

    # --- as an array ---

    @property
    def value(self) -> Array:
        return self.c[0]  # type: ignore[no-any-return]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.c.shape[1:]

    @property
    def ndim(self) -> int:
        return self.c.ndim - 1

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.c.dtype

    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.matrix_transpose(self))
    real = property(lambda self: np.real(self))
    imag = property(lambda self: np.imag(self))

    def __getitem__(self, item: Any) -> Series:
        return linear(lambda a: a[item], self)

    def __setitem__(self, item: Any, value: Any) -> None:
        value = as_series(value)
        if value.dtype.kind == "c" and self.c.dtype.kind != "c":
            raise Unsuitable("a complex number written into real ones")
        for i in range(COUNT):
            # A view of one coefficient, which is an array without dimensions too.
            self.c[i, ...][item] = value.c[i]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def astype(self, dtype: Any) -> Any:
        kind = np.dtype(dtype).kind
        if kind in "biu":
            return self.value.astype(dtype)
        if kind == "c":
            return Series(self.c.astype(np.clongdouble))
        return Series(self.c.real.astype(np.longdouble))

    def _ufunc(self, ufunc: np.ufunc, *others: Any) -> Any:
        return ufunc(self, *others)

    def __neg__(self) -> Any:
        return np.negative(self)

    def __pos__(self) -> Any:
        return np.positive(self)

    def __abs__(self) -> Any:
        return np.absolute(self)


def _operator(ufunc: np.ufunc, reflected: bool = False) -> Any:
    return (lambda self, other: ufunc(other, self)) if reflected else (lambda self, other: ufunc(self, other))


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "matmul": np.matmul,
}.items():  # fmt: skip
    setattr(Series, f"__{_name}__", _operator(_ufunc))
    setattr(Series, f"__r{_name}__", _operator(_ufunc, True))
for _name, _ufunc in {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
}.items():  # fmt: skip
    setattr(Series, f"__{_name}__", _operator(_ufunc))
for _name in ["sum", "prod", "mean", "max", "min", "clip", "reshape", "ravel", "dot"]:
    setattr(Series, _name, (lambda name: lambda self, *a, **k: getattr(np, name)(self, *a, **k))(_name))
Series.flatten = lambda self: np.ravel(self)  # type: ignore[attr-defined]


def as_series(x: Any) -> Series:
    """Anything as a series; what is no series is constant."""
    if isinstance(x, Series):
        return x
    a = np.asarray(x)
    wide = np.clongdouble if a.dtype.kind == "c" else np.longdouble
    c = np.zeros((COUNT, *a.shape), wide)
    c[0] = a
    return Series(c)


def variable(x: Array, direction: Array) -> Series:
    """x + t + e direction."""
    series = as_series(x)
    series.c[MONOMIALS.index((1, 0))] = 1
    series.c[MONOMIALS.index((0, 1))] = direction
    return series


# --- linear and bilinear ---------------------------------------------------------------------------------------------


def linear(function: Callable[..., Any], *parts: Any) -> Series:
    """A function that is linear in all of its array arguments together."""
    series = [as_series(p) for p in parts]
    return Series(np.stack([np.asarray(function(*[s.c[i] for s in series])) for i in range(COUNT)]))


def bilinear(function: Callable[..., Any], x: Any, y: Any) -> Series:
    x, y = as_series(x), as_series(y)
    result: list[Any] = [None] * COUNT
    for out, m, n in PRODUCTS:
        if m and n and not (x.c[m].any() and y.c[n].any()):
            continue
        term = np.asarray(function(x.c[m], y.c[n]))
        result[out] = term if result[out] is None else result[out] + term
    return Series(np.stack([r if r is not None else np.zeros_like(result[0]) for r in result]))


def multiply(x: Any, y: Any) -> Series:
    return bilinear(np.multiply, x, y)


def add(x: Any, y: Any) -> Series:
    return linear(np.add, x, y)


def subtract(x: Any, y: Any) -> Series:
    return linear(np.subtract, x, y)


def where_(condition: Any, x: Any, y: Any) -> Series:
    condition = condition.value if isinstance(condition, Series) else condition
    return linear(lambda a, b: np.where(condition, a, b), x, y)


def _outer_sum(x: Any, y: Any) -> Series:
    x, y = as_series(x), as_series(y)
    return add(linear(lambda a: a.reshape(a.shape + (1,) * y.ndim), x), y)


# --- elementwise -----------------------------------------------------------------------------------------------------

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


def _composed(name: str) -> Callable[[Any], Series]:
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


def _absolute(x: Any) -> Series:
    x = as_series(x)
    if x.dtype.kind == "c":
        return _hypot(np.real(x), np.imag(x))
    kink(x.value == 0, "abs at 0")
    return multiply(np.sign(x.value), x)


def root(x: Series) -> Series:
    kink(x.value <= 0, "sqrt at 0")
    return compose(_power(_near(x.value), np.longdouble(0.5)), x)


def _hypot(x: Any, y: Any) -> Series:
    return root(add(multiply(x, x), multiply(y, y)))


def _arctan2(y: Any, x: Any) -> Series:
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
    return _composed("exp")(multiply(y, _composed("log")(x)))


def _reciprocal(x: Any) -> Series:
    x = as_series(x)
    kink(x.value == 0, "1 / 0")
    return _composed("reciprocal")(x)


def divide(x: Any, y: Any) -> Series:
    return multiply(x, _reciprocal(y))


def _logaddexp(base: Any) -> Callable[[Any, Any], Series]:
    def function(x: Any, y: Any) -> Series:
        x, y = as_series(x), as_series(y)
        largest = np.maximum(x.value, y.value)
        total = add(*[_composed("exp")(multiply(subtract(z, largest), base)) for z in (x, y)])
        return add(divide(_composed("log")(total), base), largest)

    return function


def _close(x: Any, y: Any) -> Any:
    a, b = as_series(x).value, as_series(y).value
    return np.abs(a - b) <= 1e-9 * np.maximum(np.abs(a), np.abs(b))


def _larger(sign: int) -> Callable[[Any, Any], Series]:
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
    return multiply(_absolute(x), np.where(np.signbit(as_series(y).value), -1, 1))


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
        return divide(x, _absolute(x))
    kink(x.value == 0, "sign at 0")
    return np.sign(x.value)


def _sinc(x: Any) -> Series:
    x = as_series(x)
    kink(np.abs(x.value) < 1e-3, "sinc near 0, which has tests of its own")
    turned = multiply(x, PI)
    return divide(_composed("sin")(turned), turned)


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


def _vecdot(x: Any, y: Any) -> Series:
    return bilinear(lambda a, b: np.sum(a * b, -1), np.conjugate(as_series(x)), y)


UFUNCS: dict[str, Callable[..., Any]] = {
    **{name: _composed(name) for name in SERIES},
    "add": add, "subtract": subtract, "multiply": multiply, "divide": divide, "negative": lambda x: linear(np.negative, x),
    "positive": lambda x: linear(np.positive, x), "conjugate": lambda x: linear(np.conjugate, x), "square": lambda x: multiply(x, x),
    "absolute": _absolute, "fabs": _absolute, "cbrt": _cbrt, "arccosh": _arccosh, "sqrt": lambda x: _root(x),
    "reciprocal": _reciprocal, "hypot": _hypot, "arctan2": _arctan2, "power": power, "float_power": power,
    "logaddexp": _logaddexp(np.longdouble(1)), "logaddexp2": _logaddexp(LN2), "maximum": _larger(1), "fmax": _larger(1),
    "minimum": _larger(-1), "fmin": _larger(-1), "floor_divide": _floor_divide, "remainder": _remainder(np.floor),
    "fmod": _remainder(np.trunc), "copysign": _copysign, "sign": _sign, "ldexp": _ldexp, "modf": _modf, "frexp": _frexp, "divmod": _divmod, "vecdot": _vecdot,
    "matmul": lambda x, y: bilinear(np.matmul, x, y),
    **{name: _rounded(getattr(np, name)) for name in ("floor", "ceil", "trunc", "rint")},
    **{name: _constant(getattr(np, name), False) for name in ("isnan", "isinf", "isfinite", "signbit", "logical_not",
       "logical_and", "logical_or", "logical_xor")},
    **{name: _constant(getattr(np, name), True) for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")},
    "degrees": lambda x: multiply(x, 180 / PI), "rad2deg": lambda x: multiply(x, 180 / PI),
    "radians": lambda x: multiply(x, PI / 180), "deg2rad": lambda x: multiply(x, PI / 180),
}  # fmt: skip


def _root(x: Any) -> Series:
    x = as_series(x)
    return _composed("sqrt")(x) if x.dtype.kind == "c" else root(x)


# --- reductions ------------------------------------------------------------------------------------------------------


def _affine(function: Any, neutral: Any) -> Callable[..., Series]:
    """A reduction that is linear but for ``initial=``."""

    def reduce(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = 0,
               where: Any = True) -> Series:  # fmt: skip
        a = _converted(as_series(a), dtype)
        if initial is np._NoValue:
            initial = 0
        result = linear(lambda c: np.sum(c, axis=axis, keepdims=keepdims, where=where), a)
        return add(result, initial)

    return reduce


def _converted(a: Series, dtype: Any) -> Series:
    if dtype is None:
        return a
    if np.dtype(dtype).kind in "biu":
        raise Unsuitable("integers")
    return a.astype(dtype)  # type: ignore[no-any-return]


_sum = _affine(np.sum, 0)


def _count(shape: tuple[int, ...], axis: Any, where: Any, keepdims: Any) -> Any:
    return np.sum(np.ones(shape, np.longdouble), axis=axis, where=where, keepdims=keepdims)


def _mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Series:
    a = _converted(as_series(a), dtype)
    return divide(_sum(a, axis, keepdims=keepdims, where=where), _count(a.shape, axis, where, keepdims))


def _var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
         where: Any = True) -> Series:  # fmt: skip
    a = _converted(as_series(a), dtype)
    away = subtract(a, _mean(a, axis, keepdims=True, where=where))
    squares = np.real(multiply(away, np.conjugate(away)))
    return divide(_sum(squares, axis, keepdims=keepdims, where=where), _count(a.shape, axis, where, keepdims) - ddof)


def _std(*args: Any, **keywords: Any) -> Series:
    return root(_var(*args, **keywords))


def _folded(a: Series, axis: Any, keepdims: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Reduce along axes by combining one element after the other."""
    axes = range(a.ndim) if axis is None else [axis] if isinstance(axis, (int, np.integer)) else axis
    axes = sorted(i % max(a.ndim, 1) for i in axes)
    for i in reversed(axes) if a.ndim else ():
        parts = [linear(lambda c, i=i, k=k: np.take(c, k, i), a) for k in range(a.shape[i])]
        if not parts:
            raise Unsuitable("a reduction of nothing")
        total = parts[0]
        for part in parts[1:]:
            total = combine(total, part)
        a = linear(lambda c, i=i: np.expand_dims(c, i), total)
    if not keepdims and a.ndim and len(axes):
        a = linear(lambda c: np.squeeze(c, tuple(axes)), a)
    return a


def _prod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = 1,
          where: Any = True) -> Series:  # fmt: skip
    a = _converted(as_series(a), dtype)
    return multiply(_folded(where_(where, a, 1), axis, keepdims, multiply), 1 if initial is np._NoValue else initial)


def _extremum(sign: int) -> Callable[..., Series]:
    larger = _larger(sign)

    def reduce(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Series:
        a = as_series(a)
        if where is not True:
            a = where_(where, a, -sign * np.longdouble(1e30) * (1 + np.arange(a.size).reshape(a.shape)))
        result = _folded(a, axis, keepdims, larger)
        return result if initial is None or initial is np._NoValue else larger(result, initial)

    return reduce


_max, _min = _extremum(1), _extremum(-1)


def _ptp(a: Any, axis: Any = None, keepdims: Any = False) -> Series:
    return subtract(_max(a, axis, keepdims=keepdims), _min(a, axis, keepdims=keepdims))


def _cumprod(a: Any, axis: Any = None, dtype: Any = None) -> Series:
    a = _converted(as_series(a), dtype)
    if axis is None:
        a, axis = np.ravel(a), 0
    parts = [linear(lambda c, k=k: np.take(c, k, axis), a) for k in range(a.shape[axis])]
    if not parts:
        return a
    for k in range(1, len(parts)):
        parts[k] = multiply(parts[k - 1], parts[k])
    return linear(lambda *cs: np.stack(cs, axis), *parts)


def _cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Series:
    return linear(lambda c: np.cumsum(c, axis), _converted(as_series(a), dtype))


def _cumulative_sum(a: Any, *, axis: Any = None, include_initial: bool = False) -> Series:
    return linear(lambda c: np.cumulative_sum(c, axis=axis, include_initial=include_initial), a)


def _average(a: Any, axis: Any = None, weights: Any = None) -> Series:
    return divide(_sum(multiply(a, weights), axis), _sum(weights, axis))


REDUCTIONS: dict[Any, Callable[..., Any]] = {np.add: _sum, np.multiply: _prod, np.maximum: _max, np.minimum: _min}


# --- other functions -------------------------------------------------------------------------------------------------


def _linear_in_first(function: Any) -> Callable[..., Series]:
    return lambda a, *args, **keywords: linear(lambda c: function(c, *args, **keywords), a)


def _linear_in_list(function: Any) -> Callable[..., Series]:
    def joined(arrays: Any, *args: Any, **keywords: Any) -> Series:
        keywords.pop("dtype", None)
        return linear(lambda *cs: function(cs, *args, **keywords), *arrays)

    return joined


def _append(a: Any, b: Any, axis: Any = None) -> Series:
    return linear(lambda c, d: np.append(c, d, axis), a, b)


def _pad(a: Any, width: Any, mode: str = "constant", constant_values: Any = 0) -> Series:
    if mode != "constant":
        return linear(lambda c: np.pad(c, width, mode=mode), a)
    a = as_series(a)
    inside = np.pad(np.ones(a.shape, bool), width)
    return where_(inside, linear(lambda c: np.pad(c, width), a), constant_values)


def _many(function: Any) -> Callable[..., list[Series]]:
    def split(a: Any, *args: Any, **keywords: Any) -> list[Series]:
        count = len(function(as_series(a).value, *args, **keywords))
        return [linear(lambda c, i=i: function(c, *args, **keywords)[i], a) for i in range(count)]

    return split


def _bilinear(function: Any) -> Callable[..., Series]:
    return lambda x, y, *args, **keywords: bilinear(lambda a, b: function(a, b, *args, **keywords), x, y)


def _einsum(text: str, *operands: Any) -> Series:
    if len(operands) == 1:
        return linear(lambda a: np.einsum(text, a), *operands)
    return bilinear(lambda a, b: np.einsum(text, a, b), *operands)


def _clip(a: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None:
        a = _larger(1)(a, low)
    return a if high is None else _larger(-1)(a, high)


def _select(conditions: Any, choices: Any, default: Any = 0) -> Series:
    result = as_series(default)
    for condition, choice in zip(conditions[::-1], choices[::-1]):
        result = where_(condition, choice, result)
    return result


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Series:
    size = _absolute(x)
    if axis is None and size.ndim == 2 and ord not in (None, "fro"):
        sums = _sum(size, 0 if abs(ord) == 1 else 1)
        return _max(sums) if ord > 0 else _min(sums)
    if ord in (None, "fro", 2):
        return root(_sum(multiply(size, size), axis, keepdims=keepdims))
    if np.isinf(ord):
        return (_max if ord > 0 else _min)(size, axis, keepdims=keepdims)
    return power(_sum(power(size, ord), axis, keepdims=keepdims), np.longdouble(1) / ord)


def _answer(function: Any) -> Callable[..., Any]:
    return lambda a, *args, **keywords: function(a.value, *args, **keywords)


def _real(x: Any) -> Series:
    return linear(np.real, x)


def _round(x: Any, decimals: int = 0) -> Series:
    scaled = x.value * np.longdouble(10) ** decimals
    kink(np.abs(scaled - np.floor(scaled) - 0.5) < 1e-6, "a rounding at its jump")
    return as_series(np.round(x.value, decimals))


def _angle(x: Any) -> Series:
    return _arctan2(linear(np.imag, x), linear(np.real, x))


def _like(value: Any) -> Callable[..., Series]:
    return lambda a, *args, **keywords: as_series(np.full(a.shape, args[0] if value is None else value))


LINEAR = [
    np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.expand_dims, np.squeeze, np.broadcast_to,
    np.atleast_1d, np.atleast_2d, np.atleast_3d, np.flip, np.fliplr, np.flipud, np.rot90, np.matrix_transpose, np.roll, np.tile,
    np.repeat, np.take, np.take_along_axis, np.diagonal, np.diag, np.trace, np.tril, np.triu, np.diff, np.real, np.imag, np.copy,
    np.lib.stride_tricks.sliding_window_view,
]  # fmt: skip
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{f: _linear_in_first(f) for f in LINEAR},
    **{f: _linear_in_list(f) for f in (np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack)},
    **{f: _many(f) for f in (np.split, np.array_split)},
    **{f: _bilinear(f) for f in (np.dot, np.tensordot, np.outer, np.inner, np.kron, np.cross)},
    **{f: _answer(f) for f in (np.argmax, np.argmin, np.all, np.any, np.count_nonzero)},
    np.vdot: lambda x, y: _vecdot(np.ravel(as_series(x)), np.ravel(as_series(y))),
    **{f: (lambda a, f=f: f(as_series(a).value)) for f in (np.shape, np.ndim, np.size)},
    np.einsum: _einsum, np.append: _append, np.pad: _pad, np.where: where_, np.clip: _clip, np.select: _select,
    np.sum: _sum, np.mean: _mean, np.var: _var, np.std: _std, np.prod: _prod, np.max: _max, np.min: _min, np.amax: _max,
    np.amin: _min, np.ptp: _ptp, np.cumsum: _cumsum, np.cumprod: _cumprod, np.cumulative_sum: _cumulative_sum,
    np.average: _average, np.linalg.norm: _norm, np.angle: _angle, np.sinc: _sinc,
    np.compress: lambda mask, a, axis=None: linear(lambda c: np.compress(mask, c, axis), a),
    np.extract: lambda mask, a: linear(lambda c: np.extract(mask, c), a),
    np.nan_to_num: lambda a: a, np.round: _round,
    np.full: lambda shape, value, like=None: as_series(np.full(shape, as_series(value).value)), np.zeros_like: _like(0), np.ones_like: _like(1), np.full_like: _like(None),
}  # fmt: skip
