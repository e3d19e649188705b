"""The derivative of two operations on one Python float: nothing but overhead."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import tiers
from benchmarks.compilers import function_on, torch_compile
from benchmarks.gradients import ours
from benchmarks.workload import RECORDED, TRACED, Case, Contestant, Numbers, Row, Target, Timed, Workload

NAME = "scalar"
POINTS = (-0.9, -0.7, -0.4, -0.2)
ONCE = "once"
TIMES = {ONCE: 1, "10 times": 10, "100 times": 100}


def repeated(times: int) -> Callable[[Any], Any]:
    """x^2 + x of x^2 + x of ... of x; between -1 and 0 it stays there."""

    def polynomial(x: Any) -> Any:
        for _ in range(times):
            x = x**2 + x
        return x

    return polynomial


def _numbers(derivative: Any) -> Numbers:
    return [np.asarray(derivative)]


def grad(ad: ModuleType, times: int) -> Timed:
    """Record and replay at each call."""
    derivative, points = ad.grad(repeated(times)), cycle(POINTS)
    return Timed(lambda: derivative(next(points)), _numbers)


def traced_function(backend: str) -> Callable[[ModuleType, int], Timed]:
    """Trace once, then replay."""

    def build(ad: ModuleType, times: int) -> Timed:
        derivative, points = function_on(ad, ad.grad(repeated(times)), backend), cycle(POINTS)
        return Timed(lambda: derivative(next(points)), _numbers, tier=tiers.of_function(ad, derivative))

    return build


def jax_jit(jax: ModuleType, times: int) -> Timed:
    """Compile once; gives a 0-d array."""
    derivative, points = jax.jit(jax.grad(repeated(times))), cycle(POINTS)
    return Timed(lambda: derivative(next(points)).block_until_ready(), _numbers)


def torch_eager(torch: ModuleType, times: int) -> Timed:
    """Make a 0-d tensor and differentiate; gives a 0-d tensor."""
    polynomial, points = repeated(times), cycle(POINTS)

    def step() -> Any:
        x = torch.tensor(next(points), dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(polynomial(x), x)[0]

    return Timed(step, _numbers)


def torch_compiled(torch: ModuleType, times: int) -> Timed:
    """Make a 0-d tensor; the derivative is compiled."""
    derivative, points = torch_compile(torch, torch.func.grad(repeated(times))), cycle(POINTS)
    return Timed(lambda: derivative(torch.tensor(next(points), dtype=torch.float64)), _numbers)


def hips_autograd(autograd: ModuleType, times: int) -> Timed:
    """Trace at each call."""
    derivative, points = autograd.grad(repeated(times)), cycle(POINTS)
    return Timed(lambda: derivative(next(points)), _numbers)


def mygrad_backward(mg: ModuleType, times: int) -> Timed:
    """Make a 0-d tensor and differentiate; gives a 0-d array."""
    polynomial, points = repeated(times), cycle(POINTS)

    def step() -> Any:
        x = mg.tensor(next(points))
        polynomial(x).backward()
        return x.grad

    return Timed(step, _numbers)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Derivative of x^2 + x, applied once or repeatedly, at a Python float, another one at each step, from float "
        "to whatever the library gives. `autodiff` is `ad.grad`, `autodiff function` is `ad.function(ad.grad(...))`; "
        "JAX is compiled already. PyTorch takes forever to compile repetitions, since it writes out x^2 + x of x^2 + x."
    ),
    contestants=(
        Contestant("autodiff", grad),
        *ours(traced=traced_function),
        Contestant("jax", jax_jit),
        Contestant("torch", torch_eager),
        Contestant("torch compile", torch_compiled, library="torch", cases=(ONCE,), max_first_calls=1),
        Contestant("autograd", hips_autograd),
        Contestant("mygrad", mygrad_backward),
    ),
    cases=tuple(Case(name, times, size=times) for name, times in TIMES.items()),
    targets=(
        # 10 us on the machine where autograd takes 49 us
        Target(10 / 49, contestants=RECORDED, against="autograd", cases=(ONCE,)),
        Target(0.5, contestants=RECORDED, against="jax", cases=(ONCE,)),
        Target(3e-6, contestants=RECORDED, cases=(ONCE,)),
        Target(0.3e-6, contestants=TRACED, cases=(ONCE,)),
    ),
    rows=(
        Row("x² + x at a Python float, ad.grad", (ONCE,), RECORDED),
        Row("x² + x at a Python float, ad.function", (ONCE,), TRACED),
    ),
    size_unit="times",
    checked_steps=len(POINTS),
)
