"""Hamiltonian Monte Carlo: gradients asked for inside a Python loop, at points that depend on earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import tiers
from benchmarks.compilers import function_on, graph_on, torch_compile
from benchmarks.gradients import ours
from benchmarks.workload import BEST_PEER, RECORDED, Case, Contestant, Numbers, Row, Target, Timed, Workload

NAME = "hmc"
STEPS = 20
SIZES = {"100 x 5": (100, 5), "1,000 x 20": (1_000, 20), "10,000 x 50": (10_000, 50)}

Size = tuple[int, int]
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def pose(size: Size) -> Arrays:
    """Position and momentum; samples and their labels, 0 or 1."""
    rows, columns = size
    random = np.random.default_rng(0)
    samples = random.normal(0, 1, (rows, columns))
    labels = (samples @ random.normal(0, 1, columns) + random.normal(0, 1, rows) > 0).astype(np.float64)
    return random.normal(0, 0.1, columns), random.normal(0, 1, columns), samples, labels


def step_size(samples: Any) -> float:
    """Stable for that many samples."""
    return float(0.2 / samples.shape[0] ** 0.5)


def softplus(xp: Any, x: Any) -> Any:
    """log(1 + exp(x)), or PyTorch's own, whose `logaddexp` takes no numbers."""
    return xp.nn.functional.softplus(x) if xp.__name__ == "torch" else xp.logaddexp(0.0, x)


def log_posterior(xp: Any, q: Any, samples: Any, labels: Any) -> Any:
    """Of the weights of a logistic regression with a normal prior."""
    logits = samples @ q
    return xp.sum(labels * logits - softplus(xp, logits)) - 0.5 * xp.sum(q * q)


def leapfrog(gradient: Callable[[Any], Any], q: Any, p: Any, step: float) -> tuple[Any, Any]:
    """Position and momentum at the end of a trajectory."""
    p = p + 0.5 * step * gradient(q)
    for _ in range(STEPS - 1):
        q = q + step * p
        p = p + step * gradient(q)
    q = q + step * p
    return q, p + 0.5 * step * gradient(q)


def _numbers(result: tuple[Any, Any]) -> Numbers:
    return [np.asarray(part) for part in result]


def define_by_run(backend: str) -> Callable[[ModuleType, Size], Timed]:
    """Record the density anew at each point."""

    def build(ad: ModuleType, size: Size) -> Timed:
        q, p, *data = pose(size)
        step = step_size(data[0])
        graph = graph_on(ad, backend)
        samples, labels = (ad.Tensor(array, constant=True) for array in data)

        def gradient(q: Any) -> Any:
            position = ad.Tensor(q)
            graph.add_variables(position)
            return graph.gradient(log_posterior(np, position, samples, labels), [position])[0]

        return Timed(lambda: leapfrog(gradient, q, p, step), _numbers)

    return build


def traced_gradient(backend: str) -> Callable[[ModuleType, Size], Timed]:
    """Trace the gradient once; the loop is Python's."""

    def build(ad: ModuleType, size: Size) -> Timed:
        q, p, *data = pose(size)
        step = step_size(data[0])
        gradient = function_on(ad, ad.grad(lambda q, *data: log_posterior(np, q, *data)), backend)

        def trajectory() -> Any:
            return leapfrog(lambda q: gradient(q, *data), q, p, step)

        return Timed(trajectory, _numbers, tier=tiers.of_function(ad, gradient))

    return build


def traced_trajectory(ad: ModuleType, size: Size) -> Timed:
    """Trace the whole trajectory, gradients and all."""
    q, p, *data = pose(size)
    step = step_size(data[0])
    gradient = ad.grad(lambda q, *data: log_posterior(np, q, *data))
    trajectory = ad.function(lambda q, p, *data: leapfrog(lambda q: gradient(q, *data), q, p, step))
    return Timed(lambda: trajectory(q, p, *data), _numbers)


def jax_gradient(jax: ModuleType, size: Size) -> Timed:
    """Compile the gradient; the loop is Python's."""
    arrays = pose(size)
    step = step_size(arrays[2])
    q, p, *data = (jax.numpy.asarray(array) for array in arrays)
    gradient = jax.jit(jax.grad(lambda q, *data: log_posterior(jax.numpy, q, *data)))
    return Timed(
        lambda: jax.block_until_ready(leapfrog(lambda q: gradient(q, *data), q, p, step)),
        _numbers,
    )


def jax_trajectory(jax: ModuleType, size: Size) -> Timed:
    """Compile the whole trajectory, unrolled."""
    arrays = pose(size)
    step = step_size(arrays[2])
    q, p, *data = (jax.numpy.asarray(array) for array in arrays)
    gradient = jax.grad(lambda q, *data: log_posterior(jax.numpy, q, *data))
    trajectory = jax.jit(lambda q, p, *data: leapfrog(lambda q: gradient(q, *data), q, p, step))
    return Timed(lambda: jax.block_until_ready(trajectory(q, p, *data)), _numbers)


def torch_eager(torch: ModuleType, size: Size) -> Timed:
    """Define-by-run PyTorch."""
    arrays = pose(size)
    step = step_size(arrays[2])
    q, p, *data = (torch.from_numpy(array) for array in arrays)

    def gradient(q: Any) -> Any:
        position = q.detach().requires_grad_()
        return torch.autograd.grad(log_posterior(torch, position, *data), position)[0]

    return Timed(lambda: leapfrog(gradient, q, p, step), _numbers)


def torch_compiled(torch: ModuleType, size: Size) -> Timed:
    """Compile the density, and with it its gradient; the loop is Python's."""
    arrays = pose(size)
    step = step_size(arrays[2])
    q, p, *data = (torch.from_numpy(array) for array in arrays)
    density = torch_compile(torch, lambda q: log_posterior(torch, q, *data))

    def gradient(q: Any) -> Any:
        position = q.detach().requires_grad_()
        return torch.autograd.grad(density(position), position)[0]

    return Timed(lambda: leapfrog(gradient, q, p, step), _numbers)


def hips_autograd(autograd: ModuleType, size: Size) -> Timed:
    """HIPS autograd traces the density at each point."""
    q, p, *data = pose(size)
    step = step_size(data[0])
    gradient = autograd.grad(lambda q: log_posterior(autograd.numpy, q, *data))
    return Timed(lambda: leapfrog(gradient, q, p, step), _numbers)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"A trajectory of {STEPS} leapfrog steps for the posterior of a logistic regression, samples x features, "
        "float64: a gradient at each step, from which the next point follows. Of `autodiff`, `autodiff function` and "
        "`jax` only the gradient is recorded or compiled; `... trajectory` compiles the whole loop."
    ),
    contestants=(
        *ours(define_by_run, traced_gradient),
        Contestant("autodiff trajectory", traced_trajectory, library="autodiff"),
        Contestant("jax", jax_gradient),
        Contestant("jax trajectory", jax_trajectory, library="jax"),
        Contestant("torch", torch_eager),
        Contestant("torch compile", torch_compiled, library="torch", max_first_calls=1),
        Contestant("autograd", hips_autograd),
    ),
    cases=tuple(Case(name, size, size=size[0] * size[1]) for name, size in SIZES.items()),
    targets=(
        Target(1.0, contestants=RECORDED, against="jax"),
        Target(1.0, contestants=("autodiff trajectory",), against=BEST_PEER),
    ),
    rows=(Row("HMC, 20 leapfrog steps, 100 x 5 to 10,000 x 50"),),
    size_unit="numbers in the samples",
    max_rounds=11,
    max_first_calls=2,
)
