"""Transformations of transformations, to depth four in any mix, held against differences in a hundred digits.

A program takes a vector and gives one, and so does each layer around it: what a layer means is written twice, with this
library and with differences and loops. A layer uses its own argument inside of the function that it transforms, too,
so that variables of different levels meet. NESTING=20000 in the environment makes so many examples.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.nodes import now

EXAMPLES = int(os.environ.get("NESTING", "40"))
fuzz = settings(
    derandomize="NESTING" not in os.environ,
    deadline=None,
    database=None,
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
)

N = 3
DIGITS = 110
STEP = mpmath.mpf(10) ** -20

Vector = Any
Function = Callable[[Vector], Vector]


# --- programs --------------------------------------------------------------------------------------------------------


class Exact:
    """NumPy's functions on arrays of mpmath's numbers; what this has not, NumPy does on objects."""

    def __init__(self) -> None:
        for name in ("exp", "sin", "cos", "tanh", "sqrt", "log"):
            setattr(self, name, np.frompyfunc(getattr(mpmath, name), 1, 1))
        self.arctan = np.frompyfunc(mpmath.atan, 1, 1)
        self.log1p = np.frompyfunc(lambda x: mpmath.log(1 + x), 1, 1)
        self.expm1 = np.frompyfunc(lambda x: mpmath.exp(x) - 1, 1, 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


EXACT = Exact()


def _written(xp: Any, x: Any, y: Any, k: int) -> Any:
    """A part of a copy is written to, through a view."""
    z = x.copy()
    z[k % N] = y[0] * 0.5
    part = z[1:]
    part[0] += y[k % N] * x[0]
    return z


def _scattered(xp: Any, x: Any, y: Any, k: int) -> Any:
    z = x * 1
    z[[0, k % N]] = y[[1, 2]] * 0.5
    z *= y
    return z


def _matrix(xp: Any, x: Any, y: Any, k: int) -> Any:
    m = x[:, None] * y[None, :] * 0.3
    return (m if k % 2 else m.T) @ x


def _rows(xp: Any, x: Any, y: Any, k: int) -> Any:
    m = xp.stack([x, y * 0.5, x * y])
    return xp.sum(m * m[::-1], axis=k % 2)


# Smooth, of moderate size: a fourth derivative of what is made of a few is a number, too.
STEPS: dict[str, Callable[[Any, Any, Any, int], Any]] = {
    "sin": lambda xp, x, y, k: xp.sin(x),
    "tanh": lambda xp, x, y, k: xp.tanh(x * y),
    "exp": lambda xp, x, y, k: xp.exp(xp.sin(x)) * 0.4,
    "log1p": lambda xp, x, y, k: xp.log1p(x * x),
    "arctan": lambda xp, x, y, k: xp.arctan(x + y),
    "sqrt": lambda xp, x, y, k: xp.sqrt(1.5 + xp.cos(x)),
    "quotient": lambda xp, x, y, k: x / (2 + y * y),
    "power": lambda xp, x, y, k: x ** (2 + k % 2) * 0.5,
    "product": lambda xp, x, y, k: x * y,
    "difference": lambda xp, x, y, k: x - y[::-1],
    "sum": lambda xp, x, y, k: x * xp.sum(y) * 0.3,
    "mean of squares": lambda xp, x, y, k: xp.mean(x * x) - y,
    "cumsum": lambda xp, x, y, k: xp.cumsum(x) * 0.5,
    "dot": lambda xp, x, y, k: (x @ y) * x * 0.3,
    "matrix": _matrix,
    "rows": _rows,
    "gather": lambda xp, x, y, k: x[[k % N, 0, k % N]] * y,
    "slices": lambda xp, x, y, k: xp.concatenate([x[1:], y[:1]]),
    "written": _written,
    "scattered": _scattered,
}


class Step(NamedTuple):
    """A function, the places of its operands among the values so far, and what decides details."""

    name: str
    first: int
    second: int
    detail: int


def program_of(steps: list[Step], xp: Any) -> Function:
    def program(x: Vector) -> Vector:
        values = [x * 1]
        for step in steps:
            operands = values[step.first % len(values)], values[step.second % len(values)]
            values.append(STEPS[step.name](xp, *operands, step.detail))
        return sum(values[-2:]) if len(values) > 2 else values[-1]

    return program


# --- layers ----------------------------------------------------------------------------------------------------------

WEIGHTS = np.array([0.75, -0.5, 1.25])
BATCH = np.array([1.0, 0.5])


def _direction(xp: Any, x: Vector, k: int) -> Vector:
    """A vector that is constant, or made of the variable of the level around."""
    return (WEIGHTS * 1, xp.sin(x), x[::-1] * 0.5)[k % 3]


def _along(f: Function, x: Vector, v: Vector) -> Vector:
    return (f(x + STEP * v) - f(x - STEP * v)) / (2 * STEP)


def _slopes(f: Function, x: Vector) -> Vector:
    """The gradient of a function that gives a number."""
    units = np.eye(N, dtype=int).astype(object)
    return np.array([_along(f, x, unit) for unit in units], object)


def _weighted(xp: Any, f: Function, x: Vector, k: int) -> Callable[[Vector], Any]:
    """A number made of what a function gives, and of the variable of the level around."""
    return lambda y: xp.sum(f(y) * _direction(xp, x, k))


class Layer(NamedTuple):
    """A transformation: with this library, what it means, and how many derivatives it takes."""

    ours: Callable[[Function, int], Function]
    meant: Callable[[Function, int], Function]
    orders: int


def _vmapped(f: Function, k: int) -> Function:
    axis = k % 2

    def function(x: Vector) -> Vector:
        rows = ad.vmap(f, in_axes=axis, out_axes=axis)(np.stack([x, x * 0.5], axis))
        return np.sum(rows, axis=axis)

    return function


def _vmapped_beside(f: Function, k: int) -> Function:
    # What is the same for all elements comes from outside, or by in_axes=None.
    def function(x: Vector) -> Vector:
        if k % 2:
            return np.sum(ad.vmap(lambda c: f(x * c) * c)(BATCH), axis=0)
        return np.sum(ad.vmap(lambda c, y: f(y * c) * c, in_axes=(0, None))(BATCH, x), axis=0)

    return function


LAYERS: dict[str, Layer] = {
    "grad": Layer(
        lambda f, k: lambda x: ad.grad(_weighted(np, f, x, k))(x),
        lambda f, k: lambda x: _slopes(_weighted(EXACT, f, x, k), x),
        1,
    ),
    "value_and_grad": Layer(
        lambda f, k: lambda x: np.multiply(*ad.value_and_grad(_weighted(np, f, x, k))(x)),
        lambda f, k: lambda x: _weighted(EXACT, f, x, k)(x) * _slopes(_weighted(EXACT, f, x, k), x),
        1,
    ),
    "vjp": Layer(
        lambda f, k: lambda x: ad.vjp(f, x)[1](_direction(np, x, k))[0],
        lambda f, k: lambda x: _slopes(_weighted(EXACT, f, x, k), x),
        1,
    ),
    "jvp": Layer(
        lambda f, k: lambda x: ad.jvp(f, (x,), (_direction(np, x, k),))[1],
        lambda f, k: lambda x: _along(f, x, _direction(EXACT, x, k)),
        1,
    ),
    "linearize": Layer(
        lambda f, k: lambda x: ad.linearize(f, x)[1](_direction(np, x, k)),
        lambda f, k: lambda x: _along(f, x, _direction(EXACT, x, k)),
        1,
    ),
    "jacobian": Layer(
        lambda f, k: lambda x: ad.jacobian(f, mode=("forward", "reverse")[k % 2])(x) @ _direction(np, x, k),
        lambda f, k: lambda x: _along(f, x, _direction(EXACT, x, k)),
        1,
    ),
    "hvp": Layer(
        lambda f, k: lambda x: ad.hvp(lambda y: np.sum(f(y)))(x, _direction(np, x, k)),
        lambda f, k: lambda x: _along(
            lambda y: _slopes(lambda z: np.sum(f(z)), y), x, _direction(EXACT, x, k)
        ),
        2,
    ),
    "hessian": Layer(
        lambda f, k: lambda x: ad.hessian(_weighted(np, f, x, k))(x) @ WEIGHTS,
        lambda f, k: lambda x: _along(lambda y: _slopes(_weighted(EXACT, f, x, k), y), x, WEIGHTS),
        2,
    ),
    "vmap": Layer(_vmapped, lambda f, k: lambda x: f(x) + f(x * mpmath.mpf(0.5)), 0),
    "vmap beside": Layer(_vmapped_beside, lambda f, k: lambda x: f(x) + f(x * mpmath.mpf(0.5)) * mpmath.mpf(0.5), 0),
    "function": Layer(lambda f, k: lambda x: ad.function(f)(x), lambda f, k: f, 0),
}  # fmt: skip

DEEPEST = 4


@st.composite
def stacks(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Layers, the innermost first: up to four, of up to four derivatives."""
    found: list[tuple[str, int]] = []
    orders = 0
    for _ in range(draw(st.integers(1, DEEPEST))):
        names = [name for name, layer in LAYERS.items() if orders + layer.orders <= DEEPEST]
        name = draw(st.sampled_from(names))
        orders += LAYERS[name].orders
        found.append((name, draw(st.integers(0, 5))))
    return found


step = st.builds(Step, st.sampled_from(list(STEPS)), st.integers(0, 4), st.integers(0, 4), st.integers(0, 2))
points = st.lists(st.sampled_from([-1.25, -0.75, -0.25, 0.375, 0.5, 0.875, 1.5]), min_size=N, max_size=N).map(np.array)


# A derivative of a linear function is constant.
@pytest.mark.filterwarnings("ignore::autodiff.IndependentWarning")
@fuzz
@given(st.lists(step, min_size=1, max_size=5), stacks(), points, st.sampled_from(["called", "traced", "again"]))
def test_any_nesting_is_what_differences_and_loops_give(steps, stack, x, way):
    ours, meant = program_of(steps, np), program_of(steps, EXACT)
    for name, detail in stack:
        ours, meant = LAYERS[name].ours(ours, detail), LAYERS[name].meant(meant, detail)
    if way == "again":
        # What is found in the cache is of other values.
        ours(x[::-1] * 0.75)
    found = np.asarray(ad.function(ours)(x) if way == "traced" else ours(x))
    with mpmath.workdps(DIGITS):
        expected = meant(np.array([mpmath.mpf(v) for v in x], object))
        expected = np.array([float(v) for v in expected])
    size = np.max(np.abs(expected), initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * size)


# --- what it costs ---------------------------------------------------------------------------------------------------


def chain(length: int) -> Function:
    def program(x: Vector) -> Vector:
        for _ in range(length):
            x = np.tanh(x * 0.9 + 0.1)
        return x

    return program


def recorded(names: tuple[str, ...], length: int) -> int:
    """How many nodes a first call makes: the work of recording, differentiating and batching."""
    function = chain(length)
    for name in names:
        function = LAYERS[name].ours(function, 0)
    begin = now()
    function(np.array([0.5, -0.25, 1.0]))
    return now() - begin


MIXES = {
    "reverse": ("grad", "grad", "grad", "grad"),
    "forward": ("jvp", "jvp", "jvp", "jvp"),
    "forward over reverse": ("vjp", "jvp", "grad", "linearize"),
    "Hessians": ("hvp", "hessian"),
    "batches": ("jvp", "vmap", "grad", "vmap"),
}


@pytest.mark.parametrize("mix", MIXES)
def test_what_is_compiled_grows_with_the_program(mix):
    names = MIXES[mix]
    for depth in range(1, len(names) + 1):
        # Rules that were asked often enough are recipes, which record less on the way.
        for length in (5, 6, 7):
            recorded(names[:depth], length)
        short, long = recorded(names[:depth], 20), recorded(names[:depth], 80)
        assert long < 4.5 * short


@pytest.mark.parametrize("mix", MIXES)
def test_what_is_compiled_grows_by_a_factor_for_each_level(mix):
    names = MIXES[mix]
    counts = [recorded(names[:depth], 30) for depth in range(1, len(names) + 1)]
    # The nodes of a level are about three for each of the level inside; batches are made of these once more.
    for inner, outer, name in zip(counts, counts[1:], names[1:], strict=False):
        assert outer < 6.5 ** max(LAYERS[name].orders, 1) * inner
