"""Derivatives of orders 1 to 8 of one expression: how compile time and code grow with the order."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import tiers
from benchmarks.compilers import NUMPY, function_on, graph_on, torch_compile
from benchmarks.gradients import ours
from benchmarks.workload import RECORDED, STEP, Case, Contestant, Numbers, Row, Target, Timed, Workload

NAME = "plotter"
ORDERS = range(1, 9)
FEW = tuple(f"order {n}" for n in ORDERS[:3])
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


def define_by_run(backend: str) -> Callable[[ModuleType, int], Timed]:
    """Record the curve and ask for its derivative at each step."""

    def build(ad: ModuleType, order: int) -> Timed:
        graph = graph_on(ad, backend)
        a = ad.Tensor(POINTS)
        graph.add_variables(a)

        def operations(n: int) -> int:
            counted = graph_on(ad, NUMPY)
            # Long programs are generated from the third call on, in the background.
            for _ in range(3):
                counted.gradient(curve(np, a), [a], n)
            ad.background.wait()
            counted.gradient(curve(np, a), [a], n)
            return generated_operations(counted.source(curve(np, a), [a], n))

        def facts() -> Mapping[str, float]:
            count = operations(order)
            return {OPERATIONS: count} | ({GROWTH: count / operations(order - 1)} if order > 1 else {})

        return Timed(lambda: graph.gradient(curve(np, a), [a], order)[0], _numbers, facts)

    return build


def traced_function(backend: str) -> Callable[[ModuleType, int], Timed]:
    """Trace nested gradients once, then replay."""

    def build(ad: ModuleType, order: int) -> Timed:
        derivative = function_on(ad, nth_derivative(ad.grad, np, order), backend)
        return Timed(lambda: derivative(POINTS), _numbers, tier=tiers.of_function(ad, derivative))

    return build


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


def torch_compiled(torch: ModuleType, order: int) -> Timed:
    """Nested gradients, compiled."""
    derivative = torch_compile(torch, nth_derivative(torch.func.grad, torch, order))
    a = torch.from_numpy(POINTS)
    return Timed(lambda: derivative(a), _numbers)


def hips_autograd(autograd: ModuleType, order: int) -> Timed:
    """Nested gradients, traced at every call."""
    derivative = nth_derivative(autograd.grad, autograd.numpy, order)
    return Timed(lambda: derivative(POINTS), _numbers)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"Derivative n of sin(a^2 tanh a), {POINTS.size} points, float64. `autodiff` records the curve anew "
        "at each step, with a fresh graph for each first call; `autodiff function` and JAX replay nested "
        "gradients of sums. MyGrad has no higher derivatives; PyTorch takes "
        "minutes to compile more than a few. `operations` counts calls and operators in the "
        "generated source."
    ),
    contestants=(
        *ours(define_by_run, traced_function),
        Contestant("jax", jax_jit),
        Contestant("torch", torch_eager),
        Contestant("torch compile", torch_compiled, library="torch", cases=FEW, max_first_calls=1),
        Contestant("autograd", hips_autograd),
    ),
    cases=tuple(Case(f"order {n}", n, size=n) for n in ORDERS),
    targets=(
        Target(0.1, contestants=RECORDED, against="jax", first_call=True),
        Target(1.0, contestants=RECORDED, against="jax"),
        Target(2.0, metric=GROWTH, cases=tuple(f"order {n}" for n in ORDERS[1:])),
    ),
    rows=(Row("derivative n of sin(a² tanh a), n = 1 to 8"),),
    size_unit="order",
    units={STEP: "s", OPERATIONS: "", GROWTH: ""},
)
