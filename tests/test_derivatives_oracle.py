"""Derivatives of every order against Taylor arithmetic that shares nothing with the rules (`taylor.py`).

Elementwise functions are swept over the whole range of their dtype, in forward and in reverse mode, against numbers of
as many digits as it takes; random programs are compared with extended precision. What is allowed is the rounding of a
few operations, and what an error of one unit in the last place of the arguments does.

``AUTODIFF_FUZZ=20000 pytest tests/test_derivatives_oracle.py`` runs that many random programs.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff.differentiate import Forward, reverse
from autodiff.nodes import Node
from autodiff.ops import ones_like
from autodiff.tensor import wrap

from . import taylor
from .taylor import MPMATH, Jet, extended

inf, nan = np.inf, np.nan
EPS = {np.dtype(code): float(np.finfo(code).eps) for code in ("f4", "f8")}

# --- derivatives by the library --------------------------------------------------------------------------------------


def forwards(out: Node, x: Node, order: int) -> list[Any]:
    """Orders 1 to ``order`` by forward mode."""
    walk = Forward({x: ones_like(x)})
    found = []
    for _ in range(order):
        tangent = walk(out)
        if tangent is None:
            return [*found, *[np.zeros(x.aval.shape)] * (order - len(found))]
        out = tangent
        found.append(wrap(out).value)
    return found


def backwards(out: Node, x: Node, order: int) -> list[Any]:
    """The same by reverse mode, each time of the sum of the previous one."""
    found = []
    for _ in range(order):
        (ct,) = reverse([out], [ones_like(out)], [x])
        if ct is None:
            return [*found, *[np.zeros(x.aval.shape)] * (order - len(found))]
        out = ct
        found.append(wrap(out).value)
    return found


# --- one function over the whole range -------------------------------------------------------------------------------

MAGNITUDES = [
    *(5e-324, 1e-310, 2.3e-308, 1e-300, 1e-200, 1e-160, 1e-154, 1e-100, 1e-77, 1e-30, 1e-16, 1e-8, 1e-5, 0.0035, 0.05),
    *(0.3, 0.5, 0.625, 0.9, 1 - 1e-5, 1 - 1e-12, 1 - 2.0**-53, 1.0, 1 + 2.0**-52, 1 + 1e-6, 1.1, np.pi / 2, 2.0, np.pi),
    *(5.5, 10.0, 20.0, 37.0, 40.0, 100.0, 350.0, 373.0, 709.0, 740.0, 1e3, 1e5, 1e8, 1e16, 1e30, 1e77, 1e100, 1e154),
    *(1e160, 1e200, 1e300, 1.7e308),
]
POINTS = np.array([*[-m for m in MAGNITUDES], 0.0, *MAGNITUDES])

Domain = Callable[[Any], Any]
EVERYWHERE: Domain = lambda x: np.isfinite(x)  # noqa: E731
POSITIVE: Domain = lambda x: x > 0  # noqa: E731
WITHIN: Domain = lambda x: np.abs(x) < 1  # noqa: E731
NONZERO: Domain = lambda x: x != 0  # noqa: E731

UNARY: dict[str, Domain] = {
    **dict.fromkeys(("exp", "expm1", "exp2", "sin", "cos", "tan", "sinh", "cosh", "tanh", "square"), EVERYWHERE),
    **dict.fromkeys(("arctan", "arcsinh"), EVERYWHERE),
    **dict.fromkeys(("log", "log2", "log10", "sqrt"), POSITIVE),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), WITHIN),
    **dict.fromkeys(("reciprocal", "cbrt", "absolute"), NONZERO),
    "log1p": lambda x: x > -1,
    "arccosh": lambda x: x > 1,
    # pi x must be finite, as in NumPy.
    "sinc": lambda x: np.abs(x) < np.finfo(x.dtype).max / 4,
}


def exact(f: Callable[..., Jet], point: list[Any], direction: list[Any], order: int, digits: int = 60) -> list[Any]:
    """Derivatives 0 to ``order`` along a direction, with as many digits as it takes for twenty of them to be right."""
    before: list[Any] | None = None
    while True:
        with mpmath.workdps(digits):
            jets = [
                Jet(MPMATH, [mpmath.mpmathify(x), mpmath.mpmathify(v), *[mpmath.mpf(0)] * (order - 1)])
                for x, v in zip(point, direction)
            ]
            out = f(*jets)
            found = [out.derivative(k) for k in range(order + 1)]
        vanishing = mpmath.mpf(10) ** -900
        if before is not None and all(
            abs(a - b) <= abs(a) * mpmath.mpf(10) ** -20 or max(abs(a), abs(b)) < vanishing
            for a, b in zip(found, before, strict=True)
        ):
            return found
        before, digits = found, 2 * digits
        assert digits < 20_000


def digits_for(name: str, x: float, order: int) -> int:
    """Where the terms of sin(u) / u cancel near 0, two precisions agree on nonsense."""
    return 60 + (int((order + 3) * max(0.0, -np.log10(abs(x) or 1))) if name == "sinc" else 0)


def assert_accurate(found: Any, wanted: Any, spread: Any, order: int, dtype: np.dtype[Any], what: str) -> None:
    """Within the rounding of a few operations, and of ``spread`` times an error of the arguments."""
    limits = np.finfo(dtype)
    most, least = mpmath.mpf(float(limits.max)), mpmath.mpf(float(limits.tiny))
    if abs(wanted) > most / 2 or spread > most / 100:
        # Where the derivative is out of range, or its parts are, there is no number to be right.
        assert not np.isfinite(found) or abs(found) > most / 16 or spread > most / 100, f"{what}: {found}, not {wanted}"
        return
    tolerance = 8 * EPS[dtype] * (order + 1) * (abs(wanted) + spread) + 16 * least
    assert np.isfinite(found), f"{what}: {found}, not {mpmath.nstr(wanted, 17)}"
    error = abs(mpmath.mpf(float(found)) - wanted)
    assert error <= tolerance, (
        f"{what}: {found}, not {mpmath.nstr(wanted, 17)}; off by {mpmath.nstr(error / tolerance, 3)}"
    )


def check_unary(name: str, points: np.ndarray, order: int, modes: Any = (forwards, backwards)) -> None:
    x = ad.Tensor(points)
    dtype = points.dtype
    with np.errstate(all="ignore"):
        results = [mode(getattr(np, name)(x).node, x.node, order) for mode in modes]
    for i, point in enumerate(points):
        wanted = exact(getattr(taylor, name), [float(point)], [1], order + 1, digits_for(name, point, order))
        for n in range(1, order + 1):
            spread = abs(mpmath.mpf(float(point)) * wanted[n + 1])
            if name == "sinc" and abs(point) > 0.5:
                # NumPy's phase is that of pi x rounded.
                spread += mpmath.pi**n
            for mode, result in zip(modes, results, strict=True):
                what = f"derivative {n} of {name} at {point!r} ({mode.__name__})"
                assert_accurate(result[n - 1][i], wanted[n], spread, n, dtype, what)


@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_over_the_whole_range(name: str) -> None:
    check_unary(name, POINTS[UNARY[name](POINTS)], 4)


@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_in_single_precision(name: str) -> None:
    points = np.array(
        [1e-44, 1e-38, 1e-20, 1e-10, 1e-4, 0.3, 0.7, 0.999, 1.5, 4.0, 12.0, 40.0, 90.0, 1e4, 1e10, 1e19, 1e38]
    )
    points = np.concatenate([-points, points]).astype("f4")
    points = points[UNARY[name](points)]
    # NumPy's single precision functions are less exact than its double ones, and far from 0 the angle is what it is.
    points = points[np.abs(points) < 1e4] if name in ("sin", "cos", "tan", "sinc") else points
    check_unary(name, points, 2, (forwards,))


@pytest.mark.parametrize("name", UNARY)
def test_tenth_derivatives(name: str) -> None:
    points = np.array([-2.3, -0.7, -0.0035, 0.0, 1e-5, 0.0031, 0.004, 0.2, 0.95, 1.01, 3.7, 9.5])
    check_unary(name, points[UNARY[name](points)], 10, (forwards,))


@pytest.mark.parametrize("point", [0.0, 0.0035, 1.3, 7.9, -20.0])
def test_twenty_fifth_derivative_of_sinc(point: float) -> None:
    check_unary("sinc", np.array([point]), 25, (forwards,))


# --- two arguments ---------------------------------------------------------------------------------------------------

SIDES = [1e-300, 1e-200, 1e-100, 1e-16, 1e-5, 0.1, 0.9, 1.0, 2.0, 30.0, 700.0, 1e8, 1e16, 1e100, 1e200, 1e300]
PAIRS = np.array(list(itertools.product([-s for s in SIDES] + SIDES, repeat=2)))
SMALL = np.array(list(itertools.product([1e-310, 1e-200, 1e-8, 0.3, 0.9, 1.0, 1.7, 2.0, 3.0, 40.0], repeat=2)))


def _division(x: Any, y: Any) -> Any:
    return x / y


def _comparable(x: float, y: float) -> bool:
    return abs(x) > 1e-10 and abs(y) > 1e-10 and abs(x - y) < 760


BINARY: dict[str, tuple[Callable[..., Any], Callable[..., Jet], Callable[[float, float], bool]]] = {
    "divide": (np.divide, _division, lambda x, y: abs(np.log10(abs(x)) - np.log10(abs(y))) < 300),
    "power": (np.power, taylor.power, lambda x, y: x > 0 and abs(y * np.log(x)) < 700),
    "hypot": (np.hypot, taylor.hypot, lambda x, y: bool(np.hypot(x, y) < 1e308)),
    "arctan2": (np.arctan2, taylor.arctan2, lambda x, y: bool(np.hypot(x, y) < 1e308)),
    "logaddexp": (np.logaddexp, taylor.logaddexp, _comparable),
    "logaddexp2": (np.logaddexp2, taylor.logaddexp2, _comparable),
}
NUDGE = mpmath.mpf(10) ** -30


def along(f: Callable[..., Jet], x: float, y: float, v: Any, w: Any, order: int) -> tuple[list[Any], list[Any]]:
    """Derivatives along (v, w), and by how much more they change than the arguments do."""
    apart = abs(np.log10(abs(x)) - np.log10(abs(y)))
    digits = 90 + 2 * int(apart) + (int(abs(x - y)) if abs(x - y) < 800 else 0)
    with mpmath.workdps(digits):
        a, b = mpmath.mpf(x), mpmath.mpf(y)
        here, right, up = [
            exact(f, point, [v, w], order, digits) for point in ([a, b], [a * (1 + NUDGE), b], [a, b * (1 + NUDGE)])
        ]
        return here, [(abs(p - q) + abs(p - r)) / NUDGE for p, q, r in zip(here, right, up, strict=True)]


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arguments(name: str) -> None:
    function, jets, domain = BINARY[name]
    pairs = np.concatenate([PAIRS, SMALL]) if name == "power" else PAIRS
    pairs = pairs[[domain(x, y) for x, y in pairs]]
    pairs = np.random.default_rng(5).permutation(pairs)[:40]
    x, y = ad.Tensor(pairs[:, 0].copy()), ad.Tensor(pairs[:, 1].copy())
    with np.errstate(all="ignore"):
        out = function(x, y).node
        by_x, by_y = forwards(out, x.node, 3), backwards(out, y.node, 3)
        (slope,) = reverse([out], [ones_like(out)], [x.node])
        assert slope is not None
        (mixed,) = backwards(slope, y.node, 1)
    for i, (a, b) in enumerate(pairs):
        for what, found, direction in (("x", by_x, (1, 0)), ("y", by_y, (0, 1))):
            wanted, spread = along(jets, a, b, *direction, 3)
            for n in range(1, 4):
                place = f"derivative {n} of {name} by {what} at {a, b}"
                assert_accurate(found[n - 1][i], wanted[n], spread[n], n, np.dtype("f8"), place)
        # The mixed derivative from those along three directions, in units of the arguments.
        units = abs(mpmath.mpf(a)), abs(mpmath.mpf(b))
        along_x, along_y, both = [along(jets, a, b, *d, 2) for d in ((units[0], 0), (0, units[1]), units)]
        wanted_mixed = (both[0][2] - along_x[0][2] - along_y[0][2]) / 2 / units[0] / units[1]
        spread_mixed = (both[1][2] + along_x[1][2] + along_y[1][2]) / units[0] / units[1]
        place = f"mixed derivative of {name} at {a, b}"
        assert_accurate(mixed[i], wanted_mixed, spread_mixed, 2, np.dtype("f8"), place)


# --- complex numbers -------------------------------------------------------------------------------------------------

PARTS = [0.0, -0.0, 1e-10, 0.3, -0.3, 1.0, -1.0, 1.5, -1.5, 30.0, -400.0, -1e10, 1e170, -1e170]
COMPLEX = [
    *("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"),
    *("arcsinh", "arccosh", "arctanh", "log1p", "expm1", "reciprocal", "square", "sinc"),
]


def complex_number(real: float, imag: float) -> complex:
    """With the signs of both zeros."""
    z = np.zeros((), complex)
    z.real, z.imag = real, imag
    return complex(z)


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_functions_on_both_sides_of_their_cuts(name: str) -> None:
    """The sign of a zero says on which side of a cut an argument is."""
    points = [complex_number(a, b) for a, b in itertools.product(PARTS, PARTS) if (a, b) != (0, 0)]
    points = [points[i] for i in np.random.default_rng(3).choice(len(points), 30, replace=False)]
    points += [complex_number(a, b) for a in (-1.5, 1.5) for b in (0.0, -0.0)]
    points += [complex_number(b, a) for a in (-1.5, 1.5) for b in (0.0, -0.0)]
    f = getattr(np, name)
    tiny = mpmath.mpf(10) ** -600
    z = ad.Tensor(np.array(points))
    graph = ad.Graph()
    with np.errstate(all="ignore"):
        values = f(z).value
        slope = graph.gradient(np.sum(np.real(f(z))), [z], as_tensors=True)[0]
        first, second = slope.value, graph.gradient(np.sum(np.real(slope)), [z])[0]
    for i, point in enumerate(points):
        if not np.isfinite(values[i]):
            continue
        digits = 1300 if min(abs(point.real), abs(point.imag)) < 1e-200 or abs(point) > 300 else 60
        with mpmath.workdps(digits):
            parts = [mpmath.mpf(p) if p else mpmath.mpf(np.copysign(1, p)) * tiny for p in (point.real, point.imag)]
            try:
                wanted = exact(getattr(taylor, name), [mpmath.mpc(*parts)], [1], 3, digits)
            except ZeroDivisionError:
                continue
            for n, found in ((1, first[i]), (2, second[i])):
                spread = abs(point) * abs(wanted[n + 1])
                if name == "sinc" and abs(point) > 0.5:
                    spread += 30 * mpmath.cosh(mpmath.pi * point.imag)
                if max(abs(wanted[n]), spread) < 1e290:
                    error = abs(mpmath.mpc(complex(found)) - wanted[n])
                    tolerance = 1e-14 * (n + 1) * (abs(wanted[n]) + spread) + mpmath.mpf("1e-306")
                    assert error <= tolerance, f"derivative {n} of {name} at {point}: {found}, not {complex(wanted[n])}"


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "points", "slopes"),
    [
        (np.tanh, [inf, -inf], [0, 0]),
        (np.arctan, [inf, -inf], [0, 0]),
        (np.arcsinh, [inf, -inf], [0, 0]),
        (np.exp, [-inf], [0]),
        (np.expm1, [-inf], [0]),
        (np.exp2, [-inf], [0]),
        (np.log, [inf], [0]),
        (np.log1p, [inf], [0]),
        (np.log2, [inf], [0]),
        (np.log10, [inf], [0]),
        (np.sqrt, [inf], [0]),
        (np.cbrt, [inf, -inf], [0, 0]),
        (np.reciprocal, [inf, -inf], [0, 0]),
        (np.arccosh, [inf], [0]),
        (lambda x: np.hypot(x, 1.0), [inf, -inf], [1, -1]),
        (lambda x: np.hypot(1.0, x), [inf, -inf], [1, -1]),
        (lambda x: np.arctan2(x, 1.0), [inf, -inf], [0, 0]),
        (lambda x: np.arctan2(1.0, x), [inf, -inf], [0, 0]),
        (lambda x: np.logaddexp(x, 1.0), [inf, -inf], [1, 0]),
        (lambda x: 1 / x, [inf, -inf], [0, 0]),
        (lambda x: x**-2, [inf, -inf], [0, 0]),
        (lambda x: x**0.5, [inf], [0]),
    ],
)
def test_limits_at_infinity(f: Any, points: list[float], slopes: list[float]) -> None:
    x = ad.Tensor(points)
    np.testing.assert_array_equal(np.abs(ad.Graph().gradient(f(x), [x])[0]), np.abs(slopes))
    np.testing.assert_array_equal(ad.Graph().gradient(f(x), [x])[0], slopes)


def test_remainders_near_a_multiple() -> None:
    """The quotient rounded may be the next integer, where the remainder knows better."""
    x, y = ad.Tensor([0.3, 1.0, 5.4, -0.3]), ad.Tensor([0.1, 0.1, 0.6, 0.1])
    for f in (np.fmod, np.remainder):
        by_y = ad.Graph().gradient(f(x, y), [y])[0]
        np.testing.assert_array_equal(by_y, -np.rint((x.value - f(x.value, y.value)) / y.value))


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1.0, 1e100, 1e150])
def test_norms_and_spreads_of_any_size(scale: float) -> None:
    x = ad.Tensor(np.array([3.0, -4.0, 1.0]) * scale)
    np.testing.assert_allclose(ad.Graph().gradient(np.linalg.norm(x), [x])[0], x.value / np.linalg.norm(x.value), 1e-14)
    unit = np.array([3.0, -4.0, 1.0])
    spread = (unit - unit.mean()) / (3 * unit.std())
    np.testing.assert_allclose(ad.Graph().gradient(np.std(x), [x])[0], spread, 1e-14, 1e-16)


def test_products_of_large_and_small_numbers() -> None:
    """No product on the way is larger than NumPy's own."""
    x = ad.Tensor([1e200, 1e-200, 1e200, 1e-200, 3.0])
    others = [3e-200, 3e200, 3e-200, 3e200, 1.0]
    np.testing.assert_allclose(ad.Graph().gradient(np.prod(x), [x])[0], others, 1e-14)


# --- random programs -------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One operation on quantities made before."""

    name: str
    arguments: tuple[int, ...]
    parameter: Any


class Operation(NamedTuple):
    """What a step computes by the library, and in Taylor arithmetic."""

    library: Callable[..., Any]
    jets: Callable[..., Jet]
    accepts: Callable[..., bool] = lambda *values: True


def _between(low: float, high: float) -> Callable[..., bool]:
    return lambda x: bool(np.all((x > low) & (x < high)))


def _elementwise(name: str, accepts: Callable[..., bool]) -> tuple[str, Operation]:
    return name, Operation(lambda *x: getattr(np, name)(*x[:-1]), lambda *x: getattr(taylor, name)(*x[:-1]), accepts)


def _linear(name: str, f: Callable[..., Any]) -> tuple[str, Operation]:
    return name, Operation(f, lambda x, p: x.map(lambda c: f(c, p)))


def _away_from_zero(x: Any) -> bool:
    return bool(np.all(np.abs(x) > 1e-12))


_UNBOUNDED: Callable[..., bool] = lambda x: bool(np.all(np.abs(x) < 1e15))  # noqa: E731
_ANGLE = _between(-300, 300)

OPERATIONS: dict[str, Operation] = dict(
    [
        *[_elementwise(name, _between(-40, 40)) for name in ("exp", "expm1", "exp2", "sinh", "cosh")],
        *[_elementwise(name, _ANGLE) for name in ("sin", "cos", "tanh")],
        *[_elementwise(name, _between(1e-12, 1e15)) for name in ("log", "log2", "log10", "sqrt")],
        *[_elementwise(name, _between(-0.999, 0.999)) for name in ("arcsin", "arccos", "arctanh")],
        *[_elementwise(name, _UNBOUNDED) for name in ("arctan", "arcsinh", "square")],
        *[_elementwise(name, _away_from_zero) for name in ("cbrt", "reciprocal", "absolute")],
        _elementwise("tan", _between(-1.5, 1.5)),
        _elementwise("log1p", _between(-0.999, 1e15)),
        _elementwise("arccosh", _between(1.001, 1e15)),
        _elementwise("arctan2", lambda x, y: _away_from_zero(np.hypot(x, y))),
        _elementwise("hypot", lambda x, y: _away_from_zero(np.hypot(x, y))),
        _elementwise("power", lambda x, y: _between(1e-5, 1e5)(x) and _between(-6, 6)(y)),
        ("add", Operation(lambda x, y, p: x + y, lambda x, y, p: x + y)),
        ("subtract", Operation(lambda x, y, p: x - y, lambda x, y, p: x - y)),
        ("multiply", Operation(lambda x, y, p: x * y, lambda x, y, p: x * y)),
        ("divide", Operation(lambda x, y, p: x / y, lambda x, y, p: x / y, lambda x, y: _away_from_zero(y))),
        ("scale", Operation(lambda x, p: p * x, lambda x, p: x.map(lambda c: p * c))),
        ("shift", Operation(lambda x, p: x + p, lambda x, p: x + p)),
        (
            "whole power",
            Operation(lambda x, p: x**p, lambda x, p: x.raised(x.c[0] ** p, p), lambda x: _away_from_zero(x)),
        ),
        _linear("sum", lambda c, p: np.sum(c, axis=-1) if c.ndim else c * 1),
        _linear("total", lambda c, p: np.sum(c)),
        _linear("turned", lambda c, p: np.transpose(c) if c.ndim == 2 else c[::-1] if c.ndim else c * 1),
        _linear("running", lambda c, p: np.cumsum(c, axis=-1) if c.ndim else c * 1),
        _linear("part", lambda c, p: c[..., 1:] if c.ndim and c.shape[-1] > 1 else c * 1),
        _linear("picked", lambda c, p: c[..., [0, -1, 0]] if c.ndim else c * 1),
        _linear("joined", lambda c, p: np.concatenate([c, 2.0 * c], axis=-1) if c.ndim else c * 1),
        ("matmul", Operation(lambda x, y, p: x @ y, lambda x, y, p: x.product(y, lambda a, b: a @ b))),
    ]
)
TWO = {"add", "subtract", "multiply", "divide", "arctan2", "hypot", "power", "matmul"}


class Program(NamedTuple):
    """Quantities a + t b, and steps that make further ones."""

    starts: list[tuple[np.ndarray, np.ndarray]]
    steps: list[Step]

    def run(self, start: list[Any], jets: bool) -> Any:
        """The sum of the last quantity."""
        made = list(start)
        for name, arguments, parameter in self.steps:
            operation = OPERATIONS[name]
            made.append((operation.jets if jets else operation.library)(*[made[a] for a in arguments], parameter))
        return made[-1].map(np.sum) if jets else np.sum(made[-1])

    def taylor(self, order: int, noise: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives 1 to ``order`` by t, and the sizes of what they are sums of."""
        numbers = extended(noise, 2.0**-52)
        wide = [[np.asarray(v, np.longdouble) for v in pair] for pair in self.starts]
        jets = [Jet(numbers, [a, b, *[0 * a] * (order - 1)]) for a, b in wide]
        out = self.run(jets, jets=True)
        factorials = np.cumprod(np.arange(1, order + 1, dtype=np.longdouble))
        return np.array(out.c[1:]) * factorials, np.array(out.m[1:]) * factorials


LARGEST = 1e40


def random_program(rng: np.random.Generator) -> Program:
    """Up to 12 operations that stay in the domains of the functions and in a range that four derivatives fit in."""
    shapes = [(), (3,), (2, 3)]
    starts = []
    for _ in range(rng.integers(1, 4)):
        shape = shapes[rng.integers(3)]
        size = 10.0 ** (rng.uniform(-8, 8) if rng.random() < 0.3 else rng.uniform(-1, 1))
        starts.append((size * rng.uniform(-1, 1, shape), size * rng.uniform(-1, 1, shape)))
    program = Program(starts, [])
    numbers = extended()
    wide = [[np.asarray(v, np.longdouble) for v in pair] for pair in starts]
    made = [Jet(numbers, [a, b, 0 * a, 0 * a, 0 * a]) for a, b in wide]
    names = list(OPERATIONS)
    length = rng.integers(2, 13)
    for _ in range(200):
        if len(program.steps) == length:
            break
        name = names[rng.integers(len(names))]
        arguments = tuple(int(rng.integers(max(0, len(made) - 4), len(made))) for _ in range(2 if name in TWO else 1))
        parameter: Any = float(rng.choice([0.5, -2.0, 3.0, 1e-3])) if name in ("scale", "shift") else None
        if name == "whole power":
            parameter = int(rng.choice([-3, -2, -1, 3, 4, 5]))
        operation, given = OPERATIONS[name], [made[a] for a in arguments]
        values = [x.c[0] for x in given]
        try:
            np.broadcast_shapes(*[v.shape for v in values])
            fits = operation.accepts(*values) and all(v.size for v in values)
        except ValueError:
            fits = False
        if name == "matmul":
            fits = (
                all(v.ndim for v in values) and values[0].shape[-1] == values[1].shape[-2 if values[1].ndim > 1 else 0]
            )
        if not fits:
            continue
        out = operation.jets(*given, parameter)
        if all(np.all(np.isfinite(c)) and np.all(np.abs(c) < LARGEST) for c in out.c):
            made.append(out)
            program.steps.append(Step(name, arguments, parameter))
    return program


def by_parameter(program: Program, order: int, mode: Callable[..., list[Any]]) -> list[Any]:
    """d^n/dt^n of the program on a + t b."""
    t = ad.Tensor(0.0)
    out = program.run([a + t * b for a, b in program.starts], jets=False)
    return mode(out.node, t.node, order)


def by_directions(program: Program, order: int) -> list[Any]:
    """The same by reverse mode over arrays: each time the gradient along the direction."""
    graph = ad.Graph()
    tensors = [ad.Tensor(a) for a, _ in program.starts]
    out = program.run(tensors, jets=False)
    found = []
    for _ in range(order):
        gradients = graph.gradient(out, tensors, as_tensors=True)
        out = sum([np.sum(g * b) for g, (_, b) in zip(gradients, program.starts)], start=0.0)
        found.append(out.value)
    return found


def by_nested_grad(program: Program, order: int) -> list[Any]:
    """The same by nested transformations."""

    def f(t: Any) -> Any:
        return program.run([a + t * b for a, b in program.starts], jets=False)

    found = []
    for _ in range(order):
        f = ad.grad(f)
        found.append(f(0.0))
    return found


def check_program(program: Program, seed: int) -> None:
    order = 4
    wanted, sizes = program.taylor(order)
    noisy = [program.taylor(order, np.random.default_rng([seed, i]))[0] for i in range(4)]
    # What errors in all quantities do, and the rounding of the derivatives themselves.
    tolerance = 64 * np.max([np.abs(run - wanted) for run in noisy], axis=0) + 32 * 2.0**-52 * sizes + 1e-290
    assert np.all(np.isfinite(tolerance))
    ways = {
        "forward": by_parameter(program, order, forwards),
        "reverse": by_parameter(program, order, backwards),
        "directions": by_directions(program, order),
        "nested": by_nested_grad(program, 3),
    }
    for way, found in ways.items():
        for n, value in enumerate(found):
            error = abs(np.longdouble(value) - wanted[n])
            assert error <= tolerance[n], (
                f"derivative {n + 1} by {way} (seed {seed}): {value}, not {wanted[n]}; "
                f"{float(error / tolerance[n]):.3g} times what is allowed\n{program}"
            )


@pytest.mark.filterwarnings("ignore::autodiff.errors.IndependentWarning")
@pytest.mark.parametrize("part", range(8))
def test_random_programs(part: int) -> None:
    count = int(os.environ.get("AUTODIFF_FUZZ", "96")) // 8
    for seed in range(part * count, (part + 1) * count):
        program = random_program(np.random.default_rng(seed))
        if program.steps and np.any(program.taylor(1)[0] != 0):
            check_program(program, seed)
