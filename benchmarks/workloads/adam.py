"""Steps of an optimizer: every parameter and both of its moments read and written once, however many there are."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.compilers import DEFAULT, loaded, torch_compile
from benchmarks.gradients import ours
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Contestant, Numbers, Row, Target, Timed, Workload

NAME = "adam"
RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8
SIZES = {
    "20-16-16-1": (20, 16, 16, 1),
    "100 parameters of 64": (64,) * 51,
    "784-512-512-10": (784, 512, 512, 10),
}

Arrays = list[np.ndarray]


def pose(layers: tuple[int, ...]) -> tuple[Arrays, Arrays]:
    """Weights and biases of a network, and a gradient of each; float32."""
    random = np.random.default_rng(0)
    shapes = [shape for rows, columns in pairwise(layers) for shape in ((rows, columns), (columns,))]
    both = [[random.normal(0, 1, shape).astype(np.float32) for shape in shapes] for _ in range(2)]
    return both[0], both[1]


def with_optimizer(backend: str) -> Any:
    """Ours."""

    def build(ad: ModuleType, layers: tuple[int, ...]) -> Timed:
        parameters, gradients = pose(layers)
        tensors = [ad.Tensor(array) for array in parameters]
        chosen = None if backend == DEFAULT else loaded(ad, backend)
        optimizer = ad.optim.Adam(tensors, RATE, BETAS, EPSILON, backend=chosen)
        return Timed(lambda: optimizer.step(gradients), lambda _: [np.array(tensor.value) for tensor in tensors])

    return build


def with_jax(jax: ModuleType, layers: tuple[int, ...]) -> Timed:
    """Written out, compiled, into the memory of what it replaces."""
    np = jax.numpy
    parameters, gradients = ([np.asarray(array) for array in arrays] for arrays in pose(layers))
    state = [parameters, [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters], np.zeros(())]

    def one(p: Any, m: Any, v: Any, g: Any, t: Any) -> tuple[Any, Any, Any]:
        m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g * g
        corrected = [(x / (1 - beta**t)).astype(p.dtype) for x, beta in zip((m, v), BETAS)]
        return p - RATE * corrected[0] / (np.sqrt(corrected[1]) + EPSILON), m, v

    def step(parameters: Any, means: Any, squares: Any, t: Any, gradients: Any) -> Any:
        new = [one(*arrays, t + 1) for arrays in zip(parameters, means, squares, gradients)]
        return *([part[i] for part in new] for i in range(3)), t + 1

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))

    def call() -> Any:
        state[:] = jax.block_until_ready(compiled(*state, gradients))

    return Timed(call, lambda _: [np.array(p) for p in state[0]])


def _with_torch(torch: ModuleType, layers: tuple[int, ...], **options: Any) -> tuple[Any, Any]:
    parameters, gradients = pose(layers)
    tensors = [torch.from_numpy(array).requires_grad_() for array in parameters]
    for tensor, gradient in zip(tensors, gradients):
        tensor.grad = torch.from_numpy(gradient)
    optimizer = torch.optim.Adam(tensors, lr=RATE, betas=BETAS, eps=EPSILON, **options)

    def numbers(_result: Any) -> Numbers:
        return [tensor.detach().numpy().copy() for tensor in tensors]

    return optimizer, numbers


def torch_default(torch: ModuleType, layers: tuple[int, ...]) -> Timed:
    """As PyTorch does it by itself."""
    optimizer, numbers = _with_torch(torch, layers)
    return Timed(optimizer.step, numbers)


def torch_fused(torch: ModuleType, layers: tuple[int, ...]) -> Timed:
    """By PyTorch's own kernel."""
    optimizer, numbers = _with_torch(torch, layers, fused=True)
    return Timed(optimizer.step, numbers)


def torch_compiled(torch: ModuleType, layers: tuple[int, ...]) -> Timed:
    """Compiled."""
    optimizer, numbers = _with_torch(torch, layers, capturable=False)
    return Timed(torch_compile(torch, optimizer.step), numbers)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "A step of Adam on the parameters of networks, of given gradients, float32. `torch fused` is PyTorch's kernel, "
        "JAX's step is written out and writes into the memory of the last one's results."
    ),
    contestants=(
        *ours(with_optimizer),
        Contestant("jax", with_jax),
        Contestant("torch", torch_default),
        Contestant("torch fused", torch_fused, library="torch"),
        Contestant("torch compile", torch_compiled, "torch", cases=tuple(SIZES)[:1], max_first_calls=1),
    ),
    cases=tuple(
        Case(name, layers, size=sum((rows + 1) * columns for rows, columns in pairwise(layers)))
        for name, layers in SIZES.items()
    ),
    targets=(HELD_OUT_ROW, Target(1.0, against="torch fused", cases=tuple(SIZES)[-1:])),
    rows=(Row("a step of Adam, 6 to 100 parameters"),),
    group=HELD_OUT,
    size_unit="numbers in the parameters",
    rtol=1e-5,
    max_rounds=15,
    max_first_calls=2,
)
