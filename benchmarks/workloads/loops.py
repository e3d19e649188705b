"""What ordinary loops of NumPy code cost: each call of a gradient in turn, an operation."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from statistics import median
from time import perf_counter, thread_time
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.programs import PROGRAMS
from benchmarks.workload import Case, Contestant, Measured, Sample, Target, Workload

NAME = "loops"
PHASES = ("record", "first gradient", "second", "third", "later", "worst later", "settled")
# Calls after the third, in which a better plan is made in the background; and calls when it is there.
LATER, SETTLED = 12, 3
MOST_AN_OPERATION = 25e-6

Parameter = tuple[str, int]
# Records, and gives what takes the gradient of that: the value and the gradients.
Record = Callable[[], Callable[[], list[Any]]]


def posed(ad: ModuleType, parameter: Parameter) -> tuple[Callable[..., Any], list[Any]]:
    """The program as a function of its arrays, and these."""
    name, thousands = parameter
    program, arguments = PROGRAMS[name]
    arrays, options = arguments(thousands)
    namespace = importlib.import_module(f"{ad.__name__}.numpy")
    return lambda *tensors: program(namespace, *tensors, *options), arrays


def define_by_run(ad: ModuleType, parameter: Parameter) -> Measured:
    """Recorded anew for each gradient, in the block of a graph."""
    f, arrays = posed(ad, parameter)
    count = operations(ad, f, arrays)

    def sample() -> Sample:
        graph = ad.Graph()

        def record() -> Callable[[], list[Any]]:
            with graph:
                tensors = [ad.Tensor(x) for x in arrays]
                y = f(*tensors)
            return lambda: [*graph.gradient(y, tensors), y.value]

        return phases(ad, record, count)

    return Measured(sample)


def transformed(ad: ModuleType, parameter: Parameter) -> Measured:
    """By ``ad.value_and_grad``, which records in each call."""
    f, arrays = posed(ad, parameter)
    count = operations(ad, f, arrays)
    derivative = ad.value_and_grad(f, tuple(range(len(arrays))))
    return Measured(lambda: phases(ad, lambda: lambda: together(derivative(*arrays)), count))


def traced(ad: ModuleType, parameter: Parameter) -> Measured:
    """By ``ad.function`` of that, which records once."""
    f, arrays = posed(ad, parameter)
    count = operations(ad, f, arrays)

    def sample() -> Sample:
        derivative = ad.function(ad.value_and_grad(f, tuple(range(len(arrays)))))
        return phases(ad, lambda: lambda: together(derivative(*arrays)), count)

    return Measured(sample)


def together(results: tuple[Any, tuple[Any, ...]]) -> list[Any]:
    """The gradients and the value."""
    value, gradients = results
    return [*gradients, value]


def operations(ad: ModuleType, f: Callable[..., Any], arrays: list[Any]) -> int:
    """How many a call records."""
    with ad.Graph():
        y = f(*[ad.Tensor(x) for x in arrays])
    nodes = importlib.import_module(f"{ad.__name__}.nodes")
    return sum(1 for node in nodes.history(y.node) if node.inputs)


def phases(ad: ModuleType, record: Record, count: int) -> Sample:
    """Calls in turn, timed one by one."""
    background = importlib.import_module(f"{ad.__name__}.background")
    recorded, taken, waited = [], [], []
    result: list[Any] = []
    background.wait()
    for call in range(3 + LATER + SETTLED):
        if call == 3 + LATER:
            background.wait()
        begin = thread_time()
        gradient = record()
        middle, start = thread_time(), perf_counter()
        result = gradient()
        waited.append((perf_counter() - start) / count)
        taken.append((thread_time() - middle) / count)
        recorded.append((middle - begin) / count)
    first, second, third, *later = taken
    worst = max(waited[3 : 3 + LATER])
    metrics = (median(recorded), first, second, third, median(later[:LATER]), worst, min(later[LATER:]))
    return Sample(dict(zip(PHASES, metrics, strict=True)), [np.array(x) for x in result])


CASES = tuple(
    Case(f"{name}, {thousands},000 operations", (name, thousands), quick=thousands == 1, size=thousands, variant=name)
    for name in PROGRAMS
    for thousands in (1, 10)
)

WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Ordinary loops of NumPy code of about 1,000 and 10,000 recorded operations. `autodiff` records anew for each "
        "gradient of a graph; `autodiff grad` does so inside `ad.value_and_grad`, and `autodiff function` traces that "
        "once: their calls record, or trace, too. Times are an operation, and the calling thread's own; *later* is the "
        "median of twelve calls after the third, in which a better plan is made in the background, *worst later* the "
        "longest of them by the clock, and *settled* a call when that is there. Only the first sample of `autodiff "
        "grad` compiles."
    ),
    contestants=(
        Contestant("autodiff", define_by_run),
        Contestant("autodiff grad", transformed, library="autodiff"),
        # What is traced may not look at values of its arguments.
        Contestant(
            "autodiff function",
            traced,
            library="autodiff",
            cases=[case.name for case in CASES if case.variant != "looking"],
        ),
    ),
    cases=CASES,
    targets=(Target(MOST_AN_OPERATION, contestants=("autodiff",), metric="first gradient"),),
    size_unit="thousand operations",
    units=dict.fromkeys(PHASES, "s/op"),
    rtol=1e-8,
    max_rounds=1,
    max_first_calls=1,
)
