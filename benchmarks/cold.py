"""How long a fresh process waits: ``python -m benchmarks.cold LIBRARY BACKEND PROGRAM SIZE RESULT``.

Everything that a library caches in a process or on disk is cold; that it is imported is not counted, but for what it
imports on demand. Started by `benchmarks.workloads.cold`, many times.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import tiers
from benchmarks.compilers import DEFAULT, finish_compiling, function_on
from benchmarks.gradients import Problem
from benchmarks.libraries import LIBRARIES
from benchmarks.tiers import MACHINE_CODE
from benchmarks.workloads import gru, kalman, lstm, neural_ode

FIRST, READY, LONGEST, WARM = "first gradient", "machine code ready", "longest call until then", "later call"
"""What is measured, in seconds; all but `LONGEST` and `WARM` since the function was made."""

LONGEST_WAIT = 20.0
"""Seconds after which machine code is no longer waited for."""

CALLS_AFTER = 5

Loss = Callable[..., Any]


def chain(xp: Any, x: Any, operations: int) -> Any:
    """The sum of so many operations on eight numbers, of which no two are alike."""
    for step in range(operations // 3):
        x = xp.sin(x * (1 + 1 / (step + 2))) + 0.1
    return xp.sum(x)


def kernel(xp: Any, x: Any, _operations: int) -> Any:
    """The smallest expression that is worth machine code."""
    return xp.sum(xp.sin(x * x * xp.tanh(x)))


PROGRAMS: dict[str, tuple[Loss, Loss, Callable[[int], Problem]]] = {
    "chain": (chain, lambda jax, *a: chain(jax.numpy, *a), lambda n: Problem([np.linspace(0, 1, 8)], [], [n])),
    "kernel": (kernel, lambda jax, *a: kernel(jax.numpy, *a), lambda n: Problem([np.linspace(0, 2, n)], [], [n])),
    "lstm": (lstm.in_loop, lstm.in_scan, lstm.pose),
    "gru": (gru.in_loop, gru.in_scan, lambda steps: gru.pose((steps, 16, 32))),
    "kalman": (kalman.in_loop, kalman.in_scan, kalman.pose),
    "neural_ode": (neural_ode.in_loop, neural_ode.in_scan, lambda steps: neural_ode.pose((steps, 8, 32))),
}
"""By name, the loss as it is written for NumPy, as it is written best for JAX, and what they are evaluated at."""


def ours(ad: ModuleType, backend: str, loss: Loss, problem: Problem) -> dict[str, float]:
    """Call a function until machine code answers, if it will, as a program does that has something to do."""
    arrays = (*problem.variables, *problem.data)
    places = tuple(range(len(problem.variables)))
    started = perf_counter()
    function = function_on(ad, ad.value_and_grad(lambda *a: loss(np, *a, *problem.options), argnums=places), backend)
    tier = tiers.of_function(ad, function)
    taken: list[float] = []

    def call() -> None:
        begin = perf_counter()
        function(*arrays)
        taken.append(perf_counter() - begin)

    call()
    found = {FIRST: perf_counter() - started}
    if backend == MACHINE_CODE:
        # Its plans are made from the third call on, whatever they save.
        call()
        call()
        finish_compiling(ad)
        call()
        found |= {READY: perf_counter() - started, LONGEST: max(taken[1:])}
    elif backend == DEFAULT and tiers.are_there(ad):
        while perf_counter() - started < LONGEST_WAIT:
            call()
            if tier() == MACHINE_CODE:
                found |= {READY: perf_counter() - started, LONGEST: max(taken[1:])}
                break
    for _ in range(CALLS_AFTER):
        call()
    return found | {WARM: median(taken[-CALLS_AFTER:])}


def of_jax(jax: ModuleType, loss: Loss, problem: Problem) -> dict[str, float]:
    """JAX's first call compiles all there is."""
    arrays = [jax.numpy.asarray(array) for array in (*problem.variables, *problem.data)]
    places = tuple(range(len(problem.variables)))
    started = perf_counter()
    function = jax.jit(jax.value_and_grad(lambda *a: loss(jax, *a, *problem.options), argnums=places))
    jax.block_until_ready(function(*arrays))
    first = perf_counter() - started
    taken = []
    for _ in range(CALLS_AFTER):
        begin = perf_counter()
        jax.block_until_ready(function(*arrays))
        taken.append(perf_counter() - begin)
    return {FIRST: first, READY: first, WARM: median(taken)}


def main() -> None:
    """Measure what is named on the command line and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold")
    for name in ("library", "backend", "program"):
        parser.add_argument(name)
    parser.add_argument("size", type=int)
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args()
    in_numpy, in_jax, pose = PROGRAMS[arguments.program]
    problem = pose(arguments.size)
    module = LIBRARIES[arguments.library].load()
    if arguments.library == "jax":
        found = of_jax(module, in_jax, problem)
    else:
        found = ours(module, arguments.backend, in_numpy, problem)
    arguments.result.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
