"""Derivatives of orders 1 to 8 of one expression: how compile time and code grow with the order."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.workload import STEP, Case, Contestant, Numbers, Target, Timed, Workload

NAME = "plotter"
ORDERS = range(1, 9)
OPERATIONS = "operations"
GROWTH = "operations / those of the order before"
POINTS = np.arange(-2, 2, 0.01)


def curve(xp: Any, a: Any) -> Any:
    """sin(a^2 tanh a), in the functions of the namespace `xp`."""
    return xp.sin((a**2) * xp.tanh(a))


def nth_derivative(grad: Callable[..., Any], xp: Any, order: int) -> Callable[[Any], Any]:
    """Elementwise derivative as nested gradients of sums."""

    def differentiated(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return grad(lambda a: xp.sum(function(a)))  # type: ignore[no-any-return]

    derivative: Callable[[Any], Any] = lambda a: curve(xp, a)  # noqa: E731 (rebound below)
    for _ in range(order):
        derivative = differentiated(derivative)
    return derivative


def generated_operations(source: str) -> int:
    """Number of operations that generated Python executes at each call: the calls and operators in ``run``."""
    counted = (ast.Call, ast.BinOp, ast.UnaryOp)
    (run,) = [part for part in ast.parse(source).body if isinstance(part, ast.FunctionDef) and part.name == "run"]
    return sum(isinstance(node, counted) for node in ast.walk(run))


def _numbers(derivative: Any) -> Numbers:
    return [np.asarray(derivative)]


def define_by_run(ad: ModuleType, order: int) -> Timed:
    """Record the curve and ask for its derivative at each step."""
    a = ad.Tensor(POINTS)
    graph = ad.Graph()
    graph.clear_cache()
    graph.add_variables(a)

    def operations(n: int) -> int:
        return generated_operations(graph.source(curve(np, a), [a], n))

    def facts() -> Mapping[str, float]:
        count = operations(order)
        return {OPERATIONS: count} | ({GROWTH: count / operations(order - 1)} if order > 1 else {})

    return Timed(lambda: graph.gradient(curve(np, a), [a], order)[0], _numbers, facts)


def traced_function(ad: ModuleType, order: int) -> Timed:
    """Trace nested gradients once, then replay."""
    ad.Graph().clear_cache()
    derivative = ad.function(nth_derivative(ad.grad, np, order))
    return Timed(lambda: derivative(POINTS), _numbers)


def jax_jit(jax: ModuleType, order: int) -> Timed:
    """Nested gradients under one jit."""
    derivative = jax.jit(nth_derivative(jax.grad, jax.numpy, order))
    a = jax.numpy.asarray(POINTS)
    return Timed(lambda: derivative(a).block_until_ready(), _numbers)


def torch_eager(torch: ModuleType, order: int) -> Timed:
    """Differentiate the recorded gradient again and again."""
    a = torch.from_numpy(POINTS).requires_grad_()

    def step() -> Any:
        derivative = curve(torch, a)
        for remaining in range(order, 0, -1):
            (derivative,) = torch.autograd.grad(derivative.sum(), a, create_graph=remaining > 1)
        return derivative

    return Timed(step, _numbers)


def hips_autograd(autograd: ModuleType, order: int) -> Timed:
    """Nested gradients, traced at every call."""
    derivative = nth_derivative(autograd.grad, autograd.numpy, order)
    return Timed(lambda: derivative(POINTS), _numbers)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"Derivative n of sin(a^2 tanh a), {POINTS.size} points, float64. `autodiff` records the curve anew "
        "at each step, with a fresh graph for each first call; `autodiff function` and JAX replay nested "
        "gradients of sums. MyGrad has no higher derivatives. `operations` counts calls and operators in the "
        "generated source."
    ),
    contestants=(
        Contestant("autodiff", define_by_run),
        Contestant("autodiff function", traced_function, library="autodiff"),
        Contestant("jax", jax_jit),
        Contestant("torch", torch_eager),
        Contestant("autograd", hips_autograd),
    ),
    cases=tuple(Case(f"order {n}", n) for n in ORDERS),
    targets=(
        Target(0.1, against="jax", first_call=True),
        Target(1.0, against="jax"),
        Target(2.0, metric=GROWTH, cases=tuple(f"order {n}" for n in ORDERS[1:])),
    ),
    units={STEP: "s", OPERATIONS: "", GROWTH: ""},
)
