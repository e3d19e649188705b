"""One training step of a small network: where the cost of recording and of replaying shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.workload import Case, Contestant, Numbers, Target, Timed, Workload

NAME = "xor_step"
HIDDEN = 160

TENSORS = "x and y are tensors"
ARRAYS = "x and y are arrays"

Samples = list[tuple[Any, Any]]


def initial_parameters() -> list[np.ndarray]:
    """W1 (160, 2), B1 (160, 1), W2 (1, 160), B2 (1, 1), float64."""
    random = np.random.default_rng(0)
    return [random.random(shape) for shape in ((HIDDEN, 2), (HIDDEN, 1), (1, HIDDEN), (1, 1))]


def xor_samples() -> Samples:
    """The four rows of XOR: x (2, 1), y (1, 1), float64."""
    rows = ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))
    return [(np.array([[a], [b]], dtype=np.float64), np.array([[y]], dtype=np.float64)) for a, b, y in rows]


def error(xp: Any, parameters: Sequence[Any], x: Any, y: Any) -> Any:
    """Squared error (1, 1), in the functions of the namespace `xp`."""
    W1, B1, W2, B2 = parameters
    A1 = xp.tanh(xp.matmul(W1, x) + B1)
    return (y - (xp.matmul(W2, A1) + B2)) ** 2


def scalar_loss(xp: Any) -> Callable[..., Any]:
    """The error as a 0-d loss, for transformations that demand one."""
    return lambda W1, B1, W2, B2, x, y: xp.sum(error(xp, (W1, B1, W2, B2), x, y))


def gradient_by_hand(parameters: Sequence[np.ndarray], x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Error and its four gradients in plain NumPy."""
    W1, B1, W2, B2 = parameters
    A1 = np.tanh(W1 @ x + B1)
    residual = (W2 @ A1 + B2) - y
    dB2 = 2 * residual
    dB1 = (W2.T @ dB2) * (1 - A1 * A1)
    return [residual**2, dB1 @ x.T, dB1, dB2 @ A1.T, dB2]


def _feed(case: str, convert: Callable[[np.ndarray], Any]) -> Callable[[], tuple[Any, Any]]:
    """Give the next sample: converted ahead of time, or an array that is converted in the step."""
    if case == TENSORS:
        return cycle([(convert(x), convert(y)) for x, y in xor_samples()]).__next__
    arrays = cycle(xor_samples())

    def converted() -> tuple[Any, Any]:
        x, y = next(arrays)
        return convert(x), convert(y)

    return converted


def _numbers(result: tuple[Any, Sequence[Any]]) -> Numbers:
    value, gradients = result
    return [np.asarray(value).reshape(1, 1), *map(np.asarray, gradients)]


def define_by_run(ad: ModuleType, case: str) -> Timed:
    """Record the step afresh each time; the cached plan computes the error and its gradients."""
    parameters = [ad.Tensor(array) for array in initial_parameters()]
    graph = ad.Graph()
    graph.clear_cache()
    graph.add_variables(*parameters)
    feed = _feed(case, lambda array: ad.Tensor(array, copy=False))

    def step() -> Any:
        x, y = feed()
        return graph.value_and_gradient(error(np, parameters, x, y), parameters)

    return Timed(step, _numbers)


def traced_function(ad: ModuleType, _case: str) -> Timed:
    """Trace once, then replay on arrays."""
    parameters = initial_parameters()
    value_and_grad = ad.function(ad.value_and_grad(scalar_loss(np), argnums=(0, 1, 2, 3)))
    samples = cycle(xor_samples())

    def step() -> Any:
        return value_and_grad(*parameters, *next(samples))

    return Timed(step, _numbers)


def jax_jit(jax: ModuleType, case: str) -> Timed:
    """Compile once; the parameters, and in one case the samples, are JAX's arrays already."""
    parameters = [jax.numpy.asarray(array) for array in initial_parameters()]
    value_and_grad = jax.jit(jax.value_and_grad(scalar_loss(jax.numpy), argnums=(0, 1, 2, 3)))
    feed = _feed(case, jax.numpy.asarray) if case == TENSORS else cycle(xor_samples()).__next__

    def step() -> Any:
        return jax.block_until_ready(value_and_grad(*parameters, *feed()))

    return Timed(step, _numbers)


def torch_eager(torch: ModuleType, case: str) -> Timed:
    """Define-by-run PyTorch."""
    parameters = [torch.from_numpy(array).requires_grad_() for array in initial_parameters()]
    feed = _feed(case, torch.from_numpy)

    def step() -> Any:
        E = error(torch, parameters, *feed())
        return E.detach(), torch.autograd.grad(E, parameters)

    return Timed(step, _numbers)


def hips_autograd(autograd: ModuleType, _case: str) -> Timed:
    """HIPS autograd, whose tensors are NumPy's arrays."""
    parameters = initial_parameters()
    value_and_grad = autograd.value_and_grad(scalar_loss(autograd.numpy), argnum=(0, 1, 2, 3))
    samples = cycle(xor_samples())

    def step() -> Any:
        return value_and_grad(*parameters, *next(samples))

    return Timed(step, _numbers)


def mygrad_backward(mg: ModuleType, case: str) -> Timed:
    """Define-by-run MyGrad."""
    parameters = [mg.tensor(array) for array in initial_parameters()]
    feed = _feed(case, lambda array: mg.tensor(array, constant=True, copy=False))

    def step() -> Any:
        E = error(mg, parameters, *feed())
        E.backward()
        return E.data, [parameter.grad for parameter in parameters]

    return Timed(step, _numbers)


def by_hand(_numpy: ModuleType, _case: str) -> Timed:
    """The same gradients written out: what NumPy itself costs."""
    parameters = initial_parameters()
    samples = cycle(xor_samples())
    return Timed(lambda: gradient_by_hand(parameters, *next(samples)), lambda arrays: arrays)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"XOR network with {HIDDEN} hidden units, one sample, float64: squared error and its four gradients. "
        "`autodiff` records anew at each step; `autodiff function` replays a traced function. "
        "Samples are each library's own tensors, or NumPy arrays that it converts within the step."
    ),
    contestants=(
        Contestant("autodiff", define_by_run),
        Contestant("autodiff function", traced_function, library="autodiff"),
        Contestant("jax", jax_jit),
        Contestant("torch", torch_eager),
        Contestant("autograd", hips_autograd),
        Contestant("mygrad", mygrad_backward),
        Contestant("numpy", by_hand),
    ),
    cases=(Case(TENSORS, TENSORS), Case(ARRAYS, ARRAYS)),
    targets=(
        Target(0.5, against="torch"),
        Target(1.1, against="jax"),
        Target(0.6, contestant="autodiff function", against="jax"),
    ),
    checked_steps=5,
)
