"""A gated recurrent unit over a batch of sequences: matrix products with gates between them, in a Python loop."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants, jax_jit
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Contestant, Row, Workload

NAME = "gru"
SIZES = {"10 steps, 4 x 16": (10, 4, 16), "50 steps, 16 x 32": (50, 16, 32), "50 steps, 64 x 128": (50, 64, 128)}
FEW = ("10 steps, 4 x 16",)


def pose(size: tuple[int, int, int]) -> Problem:
    """Matrices of inputs and of states, biases, the first state; the inputs; float64."""
    steps, batch, units = size
    random = np.random.default_rng(0)
    shapes = ((units, 3 * units), (units, 3 * units), (3 * units,), (batch, units))
    variables = [random.normal(0, units**-0.5, shape) for shape in shapes]
    return Problem(variables, [random.normal(0, 1, (steps, batch, units))])


def sigmoid(xp: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)), or PyTorch's own."""
    return xp.sigmoid(x) if xp.__name__ == "torch" else 1 / (1 + xp.exp(-x))


def unit(xp: Any, W: Any, U: Any, b: Any, h: Any, x: Any) -> Any:
    """The next state."""
    n = h.shape[1]
    given, kept = x @ W + b, h @ U
    reset = sigmoid(xp, given[:, :n] + kept[:, :n])
    update = sigmoid(xp, given[:, n : 2 * n] + kept[:, n : 2 * n])
    new = xp.tanh(given[:, 2 * n :] + reset * kept[:, 2 * n :])
    return (1 - update) * new + update * h


def in_loop(xp: Any, W: Any, U: Any, b: Any, h: Any, inputs: Any) -> Any:
    """How large the last state is."""
    for t in range(inputs.shape[0]):
        h = unit(xp, W, U, b, h, inputs[t])
    return xp.sum(h * h)


def in_scan(jax: ModuleType, W: Any, U: Any, b: Any, h: Any, inputs: Any) -> Any:
    """The loop as one operation of JAX."""
    h, _ = jax.lax.scan(lambda h, x: (unit(jax.numpy, W, U, b, h, x), None), h, inputs)
    return jax.numpy.sum(h * h)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "A gated recurrent unit, steps, batch x units, the sum of squares of the last state and its gradients by all "
        "parameters and the first state, float64. `jax` and `torch compile` unroll the Python loop, which takes too "
        "long to compile for more than a few steps; `jax scan` says the loop in `jax.lax.scan`."
    ),
    contestants=(
        *contestants(in_loop, pose, peers=("jax", "torch", "torch compile"), only={"jax": FEW, "torch compile": FEW}),
        Contestant("jax scan", jax_jit(in_scan, pose), library="jax"),
    ),
    cases=tuple(Case(name, size, size=size[0] * size[1] * size[2] ** 2) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("gated recurrent unit, 10 steps of 4 x 16 to 50 of 64 x 128"),),
    group=HELD_OUT,
    size_unit="products of two numbers",
    rtol=1e-8,
    max_rounds=11,
    max_first_calls=2,
)
