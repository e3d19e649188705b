"""A loop that is one operation: a small recurrent network over thousands of steps, by ``scan`` of each library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Builder, Problem, define_by_run, jax_jit, ours, traced_function
from benchmarks.workload import Case, Contestant, Row, Timed, Workload

NAME = "scan"
UNITS = 8
SIZES = {"100 steps": 100, "1,000 steps": 1_000, "10,000 steps": 10_000}


def pose(steps: int) -> Problem:
    """Weights, biases and the first state, all variable; what each step is given."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(UNITS, UNITS)) / UNITS
    return Problem([weights, rng.normal(size=UNITS), np.zeros(UNITS)], [rng.normal(size=(steps, UNITS))])


def loss(scan: Callable[..., Any], xp: Any, weights: Any, biases: Any, state: Any, inputs: Any) -> Any:
    """How large the state is after all steps."""

    def step(state: Any, x: Any) -> tuple[Any, None]:
        return xp.tanh(weights @ state + biases + x), None

    last, _ = scan(step, state, inputs)
    return xp.sum(last**2)


def with_scan(make: Callable[..., Builder], backend: str) -> Builder:
    """Ours, whose ``scan`` is known when the library is."""
    return lambda ad, parameter: _timed(make, backend, ad, parameter)


def _timed(make: Callable[..., Builder], backend: str, ad: ModuleType, parameter: Any) -> Timed:
    return make(partial(loss, ad.scan), pose, backend)(ad, parameter)


def in_jax(jax: ModuleType, *arrays: Any) -> Any:
    """The loop as one operation of JAX."""
    return loss(jax.lax.scan, jax.numpy, *arrays)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"h = tanh(W h + b + x) with {UNITS} units, the sum of squares of the last state, and its gradient by W, b and "
        "the first state: `ad.scan`, and `jax.lax.scan` compiled. A step of ours is a call of a plan, one "
        "of JAX's machine code in a loop."
    ),
    contestants=(
        *ours(partial(with_scan, define_by_run), partial(with_scan, traced_function)),
        Contestant("jax scan", jax_jit(in_jax, pose), library="jax"),
    ),
    cases=tuple(Case(name, steps, size=steps) for name, steps in SIZES.items()),
    rows=(Row("recurrent network, 1,000 steps of 8 units by scan", ("1,000 steps",)),),
    size_unit="steps",
    max_rounds=11,
    max_first_calls=2,
)
