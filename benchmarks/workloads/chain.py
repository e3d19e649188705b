"""A long chain of small operations: cost per operation of each phase of a graph's life, and its memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import resident
from benchmarks.timing import Laps
from benchmarks.workload import Case, Contestant, Measured, Sample, Target, Workload

NAME = "chain"
PHASES = ("record", "evaluate", "differentiate", "free")
TOTAL = "all phases"
PEAK = "peak memory"
START = np.linspace(-1e-4, 1e-4, 8)
CASES = (
    Case("10,000 operations", 10_000, size=10_000),
    Case("100,000 operations", 100_000, size=100_000),
    Case("1,000,000 operations", 1_000_000, quick=False, size=1_000_000),
)

Life = Callable[[], tuple[dict[str, float], list[np.ndarray]]]


def chain(sin: Callable[[Any], Any], x: Any, operations: int) -> Any:
    """Apply that many operations, a multiple of five.

    Five together are the identity up to third order in a small x, so neither the value nor the
    derivative of a million of them overflows, vanishes or becomes subnormal.
    """
    for _ in range(operations // 5):
        x = x * 1.25
        x = x + 1e-5
        x = sin(x)
        x = x / 1.25
        x = x - 8e-6
    return x


def ours(ad: ModuleType, operations: int) -> Measured:
    """Recording is lazy, so evaluation and differentiation are phases of their own."""
    start = ad.Tensor(START)
    graph = ad.Graph()
    graph.clear_cache()
    graph.add_variables(start)

    def life() -> tuple[dict[str, float], list[np.ndarray]]:
        laps, seconds = Laps(), {}
        end = chain(np.sin, start, operations)
        seconds["record"] = laps.lap()
        value = end.value
        seconds["evaluate"] = laps.lap()
        gradients = graph.gradient(end, [start])
        seconds["differentiate"] = laps.lap()
        numbers = [np.array(value), np.array(gradients[0])]
        laps.lap()
        del end, value, gradients
        seconds["free"] = laps.lap()
        return seconds, numbers

    return _measured(life, operations)


def torch_eager(torch: ModuleType, operations: int) -> Measured:
    """Recording computes the values at once, so evaluation is no phase of its own."""
    start = torch.from_numpy(START).requires_grad_()

    def life() -> tuple[dict[str, float], list[np.ndarray]]:
        laps, seconds = Laps(), {}
        end = chain(torch.sin, start, operations)
        seconds["record"] = laps.lap()
        gradients = torch.autograd.grad(end.sum(), start, retain_graph=True)
        seconds["differentiate"] = laps.lap()
        numbers = [end.detach().numpy().copy(), gradients[0].numpy().copy()]
        laps.lap()
        del end, gradients
        seconds["free"] = laps.lap()
        return seconds, numbers

    return _measured(life, operations)


def _measured(life: Life, operations: int) -> Measured:
    """Seconds per operation of each phase, and the peak of memory above the level before."""

    def sample() -> Sample:
        measurable = resident.is_measurable()
        if measurable:
            resident.reset_peak()
            before = resident.current_bytes()
        seconds, numbers = life()
        metrics = {phase: time / operations for phase, time in seconds.items()}
        metrics[TOTAL] = sum(metrics.values())
        if measurable:
            metrics[PEAK] = resident.peak_bytes() - before
        return Sample(metrics, numbers)

    return Measured(sample)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "A chain of operations on 8 float64 numbers: recorded, evaluated, differentiated, freed. Time is per "
        "operation; linear time means the same figure at every size. The first sample compiles, later ones "
        "replay. PyTorch computes while it records. Peak memory is above the level before; pages that an "
        "allocator keeps lower the later samples of it, so read its first."
    ),
    contestants=(Contestant("autodiff", ours), Contestant("torch", torch_eager)),
    cases=CASES,
    # Linear time, with room for leaving the processor's caches: a quadratic algorithm would show a 10.
    targets=tuple(
        Target(2.0, metric=TOTAL, base_case=tenth, first_call=first, cases=(size,))
        for tenth, size in pairwise(case.name for case in CASES)
        for first in (True, False)
    ),
    units={**dict.fromkeys((*PHASES, TOTAL), "s/op"), PEAK: "B"},
    max_rounds=5,
    max_first_calls=1,
)
