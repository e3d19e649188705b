"""Whether a training loop leaks: growth of the process over many steps."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import resident
from benchmarks.workload import Contestant, Measured, Sample, Target, Workload
from benchmarks.workloads.xor_step import error, gradient_by_hand, initial_parameters, xor_samples

NAME = "memory"
WARM_UP = 1_000
STEPS = 10_000
LEARNING_RATE = 0.01
GROWTH = f"growth over {STEPS:,} steps"

# Less than 27 bytes a step: no Python object is that small, so one leaked a step is seen.
NOTHING = 256 * 1024


def ours(ad: ModuleType, _case: None) -> Measured:
    """Record, differentiate and assign at each step."""
    parameters = [ad.Tensor(array) for array in initial_parameters()]
    graph = ad.Graph()
    graph.add_variables(*parameters)
    samples = cycle(xor_samples())

    def train() -> None:
        x, y = next(samples)
        E = error(np, parameters, ad.Tensor(x), ad.Tensor(y))
        for parameter, gradient in zip(parameters, graph.gradient(E, parameters), strict=True):
            parameter.assign(parameter.value - LEARNING_RATE * gradient)

    return _measured(train, lambda: [np.array(parameter.value) for parameter in parameters])


def by_hand(_numpy: ModuleType, _case: None) -> Measured:
    """The same loop in plain NumPy: what the method of measuring sees where nothing can leak."""
    parameters = initial_parameters()
    samples = cycle(xor_samples())

    def train() -> None:
        _, *gradients = gradient_by_hand(parameters, *next(samples))
        for index, gradient in enumerate(gradients):
            parameters[index] = parameters[index] - LEARNING_RATE * gradient

    return _measured(train, lambda: [array.copy() for array in parameters])


def _measured(train: Callable[[], Any], state: Callable[[], list[np.ndarray]]) -> Measured:
    """Warm up once, then measure the growth over each window of steps."""
    for _ in range(WARM_UP):
        train()

    def sample() -> Sample:
        gc.collect()
        before = resident.current_bytes()
        for _ in range(STEPS):
            train()
        return Sample({GROWTH: resident.current_bytes() - before}, state())

    return Measured(sample)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"Growth of resident memory over windows of {STEPS:,} XOR training steps (gradient descent; "
        f"{WARM_UP:,} steps of warm-up before the first window), the cyclic collector on as usual. "
        "The plain NumPy loop shows the method's own noise."
    ),
    contestants=(
        Contestant("autodiff", ours),
        Contestant("numpy", by_hand),
    ),
    targets=(Target(NOTHING, metric=GROWTH, first_call=True), Target(NOTHING, metric=GROWTH)),
    units={GROWTH: "B"},
    rtol=1e-6,  # rounding differences pass through 11,000 steps
    max_rounds=5,
    max_first_calls=1,
)
