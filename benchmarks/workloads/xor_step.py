"""One training step of a small network: where the cost of recording and of replaying shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import tiers
from benchmarks.compilers import function_on, graph_on, torch_compile
from benchmarks.gradients import ours
from benchmarks.workload import RECORDED, TRACED, Case, Contestant, Numbers, Row, Target, Timed, Workload

NAME = "xor_step"
HIDDEN = 160

TENSORS = "x and y are tensors"
ARRAYS = "x and y are arrays"

SEED = tuple(f"{HIDDEN} units, {samples}" for samples in (TENSORS, ARRAYS))
"""The cases of the seed example's network."""

Form = tuple[int, str]
"""The number of hidden units, and what the samples are."""

Samples = list[tuple[Any, Any]]


def initial_parameters(hidden: int = HIDDEN) -> list[np.ndarray]:
    """W1 (hidden, 2), B1 (hidden, 1), W2 (1, hidden), B2 (1, 1), float64."""
    random = np.random.default_rng(0)
    return [random.random(shape) for shape in ((hidden, 2), (hidden, 1), (1, hidden), (1, 1))]


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


def _feed(samples: str, convert: Callable[[np.ndarray], Any]) -> Callable[[], tuple[Any, Any]]:
    """Give the next sample: converted ahead of time, or an array that is converted in the step."""
    if samples == TENSORS:
        return cycle([(convert(x), convert(y)) for x, y in xor_samples()]).__next__
    arrays = cycle(xor_samples())

    def converted() -> tuple[Any, Any]:
        x, y = next(arrays)
        return convert(x), convert(y)

    return converted


def _numbers(result: tuple[Any, Sequence[Any]]) -> Numbers:
    value, gradients = result
    return [np.asarray(value).reshape(1, 1), *map(np.asarray, gradients)]


def define_by_run(backend: str) -> Callable[[ModuleType, Form], Timed]:
    """Record the step afresh each time; the cached plan computes the error and its gradients."""

    def build(ad: ModuleType, form: Form) -> Timed:
        hidden, samples = form
        graph = graph_on(ad, backend)
        parameters = [ad.Tensor(array) for array in initial_parameters(hidden)]
        graph.add_variables(*parameters)
        feed = _feed(samples, lambda array: ad.Tensor(array, copy=False))

        def record() -> Any:
            return error(np, parameters, *feed())

        def step() -> Any:
            return graph.value_and_gradient(record(), parameters)

        return Timed(step, _numbers, tier=tiers.of_graph(graph, record, parameters))

    return build


def traced_function(backend: str) -> Callable[[ModuleType, Form], Timed]:
    """Trace once, then replay on arrays."""

    def build(ad: ModuleType, form: Form) -> Timed:
        parameters = initial_parameters(form[0])
        value_and_grad = function_on(ad, ad.value_and_grad(scalar_loss(np), argnums=(0, 1, 2, 3)), backend)
        samples = cycle(xor_samples())

        def step() -> Any:
            return value_and_grad(*parameters, *next(samples))

        return Timed(step, _numbers, tier=tiers.of_function(ad, value_and_grad))

    return build


def jax_jit(jax: ModuleType, form: Form) -> Timed:
    """Compile once; the parameters, and in one case the samples, are JAX's arrays already."""
    parameters = [jax.numpy.asarray(array) for array in initial_parameters(form[0])]
    value_and_grad = jax.jit(jax.value_and_grad(scalar_loss(jax.numpy), argnums=(0, 1, 2, 3)))
    feed = _feed(form[1], jax.numpy.asarray) if form[1] == TENSORS else cycle(xor_samples()).__next__

    def step() -> Any:
        return jax.block_until_ready(value_and_grad(*parameters, *feed()))

    return Timed(step, _numbers)


def torch_eager(torch: ModuleType, form: Form) -> Timed:
    """Define-by-run PyTorch."""
    parameters = [torch.from_numpy(array).requires_grad_() for array in initial_parameters(form[0])]
    feed = _feed(form[1], torch.from_numpy)

    def step() -> Any:
        E = error(torch, parameters, *feed())
        return E.detach(), torch.autograd.grad(E, parameters)

    return Timed(step, _numbers)


def torch_compiled(torch: ModuleType, form: Form) -> Timed:
    """PyTorch with the error compiled, and with it its backward pass."""
    parameters = [torch.from_numpy(array).requires_grad_() for array in initial_parameters(form[0])]
    compiled = torch_compile(torch, lambda *arguments: error(torch, arguments[:4], *arguments[4:]))
    feed = _feed(form[1], torch.from_numpy)

    def step() -> Any:
        E = compiled(*parameters, *feed())
        return E.detach(), torch.autograd.grad(E, parameters)

    return Timed(step, _numbers)


def hips_autograd(autograd: ModuleType, form: Form) -> Timed:
    """HIPS autograd, whose tensors are NumPy's arrays."""
    parameters = initial_parameters(form[0])
    value_and_grad = autograd.value_and_grad(scalar_loss(autograd.numpy), argnum=(0, 1, 2, 3))
    samples = cycle(xor_samples())

    def step() -> Any:
        return value_and_grad(*parameters, *next(samples))

    return Timed(step, _numbers)


def mygrad_backward(mg: ModuleType, form: Form) -> Timed:
    """Define-by-run MyGrad."""
    parameters = [mg.tensor(array) for array in initial_parameters(form[0])]
    feed = _feed(form[1], lambda array: mg.tensor(array, constant=True, copy=False))

    def step() -> Any:
        E = error(mg, parameters, *feed())
        E.backward()
        return E.data, [parameter.grad for parameter in parameters]

    return Timed(step, _numbers)


def by_hand(_numpy: ModuleType, form: Form) -> Timed:
    """The same gradients written out: what NumPy itself costs."""
    parameters = initial_parameters(form[0])
    samples = cycle(xor_samples())
    return Timed(lambda: gradient_by_hand(parameters, *next(samples)), lambda arrays: arrays)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "XOR network, one sample, float64: squared error and its four gradients. "
        "`autodiff` records anew at each step; `autodiff function` replays a traced function. "
        "Samples are each library's own tensors, or NumPy arrays that it converts within the step."
    ),
    contestants=(
        *ours(define_by_run, traced_function),
        Contestant("jax", jax_jit),
        Contestant("torch", torch_eager),
        Contestant("torch compile", torch_compiled, library="torch", max_first_calls=1),
        Contestant("autograd", hips_autograd),
        Contestant("mygrad", mygrad_backward),
        Contestant("numpy", by_hand),
    ),
    cases=(
        *(Case(f"{hidden:,} units, {TENSORS}", (hidden, TENSORS), size=hidden) for hidden in (16, HIDDEN, 1_600)),
        Case(f"{HIDDEN} units, {ARRAYS}", (HIDDEN, ARRAYS), size=HIDDEN, variant=ARRAYS),
    ),
    targets=(
        Target(0.5, contestants=RECORDED, against="torch", cases=SEED),
        Target(1.1, contestants=RECORDED, against="jax", cases=SEED),
        Target(0.6, contestants=TRACED, against="jax", cases=SEED),
        Target(0.1, contestants=TRACED, against="jax", cases=SEED[:1]),
        Target(1.8e-6, contestants=TRACED, cases=SEED[:1]),
    ),
    rows=(
        Row(f"XOR step, {HIDDEN} units, define-by-run", SEED, RECORDED),
        Row(f"XOR step, {HIDDEN} units, ad.function", SEED, TRACED),
    ),
    size_unit="hidden units",
    checked_steps=5,
)
