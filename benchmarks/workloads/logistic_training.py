"""Training a logistic regression: gradient descent with momentum, a gradient at each step of a Python loop."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import tiers
from benchmarks.compilers import function_on, graph_on, torch_compile
from benchmarks.gradients import ours
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Contestant, Numbers, Row, Timed, Workload

NAME = "logistic_training"
STEPS, RATE, MOMENTUM = 20, 0.5, 0.9
SIZES = {"200 x 10": (200, 10), "5,000 x 50": (5_000, 50), "50,000 x 100": (50_000, 100)}

Size = tuple[int, int]


def pose(size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first weights; samples and their labels, -1 or 1."""
    rows, columns = size
    random = np.random.default_rng(0)
    samples = random.normal(0, 1, (rows, columns))
    labels = np.where(samples @ random.normal(0, 1, columns) + random.normal(0, 1, rows) > 0, 1.0, -1.0)
    return np.zeros(columns), samples, labels


def loss(xp: Any, w: Any, samples: Any, labels: Any) -> Any:
    """Mean logistic loss, and a penalty."""
    margins = labels * (samples @ w)
    losses = xp.nn.functional.softplus(-margins) if xp.__name__ == "torch" else xp.logaddexp(0.0, -margins)
    return xp.mean(losses) + 1e-3 * xp.sum(w * w)


def trained(gradient: Callable[[Any], Any], w: Any) -> Any:
    """The weights after all steps."""
    velocity = 0.0
    for _ in range(STEPS):
        velocity = MOMENTUM * velocity - RATE * gradient(w)
        w = w + velocity
    return w


def _numbers(w: Any) -> Numbers:
    return [np.asarray(w)]


def define_by_run(backend: str) -> Callable[[ModuleType, Size], Timed]:
    """Record the loss anew at each step."""

    def build(ad: ModuleType, size: Size) -> Timed:
        w, *data = pose(size)
        graph = graph_on(ad, backend)
        samples, labels = (ad.Tensor(array, constant=True) for array in data)

        def gradient(w: Any) -> Any:
            weights = ad.Tensor(w)
            graph.add_variables(weights)
            return graph.gradient(loss(np, weights, samples, labels), [weights])[0]

        return Timed(lambda: trained(gradient, w), _numbers)

    return build


def traced(backend: str) -> Callable[[ModuleType, Size], Timed]:
    """Trace the gradient once."""

    def build(ad: ModuleType, size: Size) -> Timed:
        w, *data = pose(size)
        gradient = function_on(ad, ad.grad(lambda w, *data: loss(np, w, *data)), backend)

        def step() -> Any:
            return trained(lambda w: gradient(w, *data), w)

        return Timed(step, _numbers, tier=tiers.of_function(ad, gradient))

    return build


def jax_gradient(jax: ModuleType, size: Size) -> Timed:
    """Compile the gradient; the loop is Python's."""
    w, *data = (jax.numpy.asarray(array) for array in pose(size))
    gradient = jax.jit(jax.grad(lambda w, *data: loss(jax.numpy, w, *data)))
    return Timed(lambda: trained(lambda w: gradient(w, *data), w).block_until_ready(), _numbers)


def jax_training(jax: ModuleType, size: Size) -> Timed:
    """Compile the whole loop."""
    w, *data = (jax.numpy.asarray(array) for array in pose(size))
    gradient = jax.grad(lambda w, *data: loss(jax.numpy, w, *data))
    function = jax.jit(lambda w, *data: trained(lambda w: gradient(w, *data), w))
    return Timed(lambda: function(w, *data).block_until_ready(), _numbers)


def torch_eager(torch: ModuleType, size: Size, function: Callable[..., Any] | None = None) -> Timed:
    """Define-by-run PyTorch."""
    w, *data = (torch.from_numpy(array) for array in pose(size))
    function = function or (lambda w, *data: loss(torch, w, *data))

    def gradient(w: Any) -> Any:
        weights = w.detach().requires_grad_()
        return torch.autograd.grad(function(weights, *data), weights)[0]

    return Timed(lambda: trained(gradient, w), _numbers)


def torch_compiled(torch: ModuleType, size: Size) -> Timed:
    """Compile the loss, and with it its gradient; the loop is Python's."""
    return torch_eager(torch, size, torch_compile(torch, lambda w, *data: loss(torch, w, *data)))


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"Logistic regression, samples x features, {STEPS} steps of gradient descent with momentum, float64. The loop "
        "is Python's, a gradient at each step; `jax training` compiles all of it."
    ),
    contestants=(
        *ours(define_by_run, traced),
        Contestant("jax", jax_gradient),
        Contestant("jax training", jax_training, library="jax"),
        Contestant("torch", torch_eager),
        Contestant("torch compile", torch_compiled, library="torch", max_first_calls=1),
    ),
    cases=tuple(Case(name, size, size=size[0] * size[1]) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("training a logistic regression, 200 x 10 to 50,000 x 100"),),
    group=HELD_OUT,
    size_unit="numbers in the samples",
    rtol=1e-8,
    max_rounds=11,
    max_first_calls=2,
)
