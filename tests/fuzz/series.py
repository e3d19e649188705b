"""Arrays of truncated Taylor series in extended precision, which dispatch as Tensors do.

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


# What NumPy's functions do with series, by the name of a ufunc and by the function: ``taylor`` fills them.
UFUNCS: dict[str, Callable[..., Any]] = {}
REDUCTIONS: dict[Any, Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}


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
            result = bilinear(ufunc.outer, *inputs) if name == "multiply" else outer_sum(*inputs)
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


def _method(name: str) -> Any:
    return lambda self, *args, **keywords: getattr(np, name)(self, *args, **keywords)


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
    setattr(Series, _name, _method(_name))
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


def outer_sum(x: Any, y: Any) -> Series:
    x, y = as_series(x), as_series(y)
    return add(linear(lambda a: a.reshape(a.shape + (1,) * y.ndim), x), y)
