"""The derivative of two operations on one Python float: nothing but overhead."""

from __future__ import annotations

from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.workload import Contestant, Numbers, Target, Timed, Workload

NAME = "scalar"
POINTS = (3.0, 0.5, -1.25, 7.5)


def polynomial(x: Any) -> Any:
    """x^2 + x."""
    return x**2 + x


def _numbers(derivative: Any) -> Numbers:
    return [np.asarray(derivative)]


def grad(ad: ModuleType, _case: None) -> Timed:
    """Record and replay at each call."""
    derivative, points = ad.grad(polynomial), cycle(POINTS)
    return Timed(lambda: derivative(next(points)), _numbers)


def traced_function(ad: ModuleType, _case: None) -> Timed:
    """Trace once, then replay."""
    derivative, points = ad.function(ad.grad(polynomial)), cycle(POINTS)
    return Timed(lambda: derivative(next(points)), _numbers)


def jax_jit(jax: ModuleType, _case: None) -> Timed:
    """Compile once; gives a 0-d array."""
    derivative, points = jax.jit(jax.grad(polynomial)), cycle(POINTS)
    return Timed(lambda: derivative(next(points)).block_until_ready(), _numbers)


def torch_eager(torch: ModuleType, _case: None) -> Timed:
    """Make a 0-d tensor and differentiate; gives a 0-d tensor."""
    points = cycle(POINTS)

    def step() -> Any:
        x = torch.tensor(next(points), dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(polynomial(x), x)[0]

    return Timed(step, _numbers)


def hips_autograd(autograd: ModuleType, _case: None) -> Timed:
    """Trace at each call."""
    derivative, points = autograd.grad(polynomial), cycle(POINTS)
    return Timed(lambda: derivative(next(points)), _numbers)


def mygrad_backward(mg: ModuleType, _case: None) -> Timed:
    """Make a 0-d tensor and differentiate; gives a 0-d array."""
    points = cycle(POINTS)

    def step() -> Any:
        x = mg.tensor(next(points))
        polynomial(x).backward()
        return x.grad

    return Timed(step, _numbers)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Derivative of x^2 + x at a Python float, another one at each step, from float to whatever the "
        "library gives. `autodiff` is `ad.grad`, `autodiff function` is `ad.function(ad.grad(...))`; JAX is "
        "compiled already."
    ),
    contestants=(
        Contestant("autodiff", grad),
        Contestant("autodiff function", traced_function, library="autodiff"),
        Contestant("jax", jax_jit),
        Contestant("torch", torch_eager),
        Contestant("autograd", hips_autograd),
        Contestant("mygrad", mygrad_backward),
    ),
    targets=(
        Target(10 / 49, against="autograd"),  # 10 us on the machine where autograd takes 49 us
        Target(0.5, against="jax"),
    ),
    checked_steps=len(POINTS),
)
