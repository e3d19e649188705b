"""What a fresh process waits for: the first gradient, and machine code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.cold import FIRST, LONGEST, READY, WARM
from benchmarks.libraries import ROOT
from benchmarks.workload import Case, Contestant, Measured, Sample, Target, UnavailableError, Workload

NAME = "cold"
CASES = {
    "100 operations": ("chain", 100, FIRST, 5e-3),
    "1,000 operations": ("chain", 1_000, FIRST, 30e-3),
    "10,000 operations": ("chain", 10_000, FIRST, 300e-3),
    "a first kernel": ("kernel", 100_000, READY, 0.1),
    "LSTM, 1,023 steps": ("lstm", 1_023, READY, 0.4),
    "GRU, 50 steps": ("gru", 50, READY, 0.5),
    "Kalman filter, 100 steps": ("kalman", 100, READY, 0.5),
    "neural ODE, 100 steps": ("neural_ode", 100, READY, 0.5),
}
"""By name, the program and its size, and a target for one of its times in seconds."""

CHAINS = tuple(name for name, (program, *_) in CASES.items() if program == "chain")
QUICK = (*CHAINS[:2], "a first kernel", "GRU, 50 steps")

TIMEOUT = 120.0


def in_process(library: str, backend: str) -> Callable[[ModuleType, tuple[str, int]], Measured]:
    """Start a Python for each sample. What was compiled is kept nowhere that a later one would find it."""

    def build(_module: ModuleType, parameter: tuple[str, int]) -> Measured:
        def sample() -> Sample:
            with tempfile.TemporaryDirectory() as folder:
                result = Path(folder) / "result.json"
                command = [sys.executable, "-m", "benchmarks.cold", library, backend, *map(str, parameter), str(result)]
                environment = {**os.environ, "AUTODIFF_CACHE_DIR": folder}
                try:
                    done = subprocess.run(
                        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT
                    )
                except subprocess.TimeoutExpired as error:
                    raise UnavailableError(f"took longer than {TIMEOUT:.0f} s") from error
                if done.returncode:
                    raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
                return Sample(json.loads(result.read_text()))

        return Measured(sample)

    return build


def _contestant(name: str, library: str = "autodiff", backend: str = "", **options: Any) -> Contestant:
    return Contestant(name, in_process(library, backend), library, chosen=backend, **options)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Fresh processes, with nothing kept on disk: seconds until the first gradient is there, and until a call was "
        "answered by machine code, of a function that is called again and again; the longest of the calls until then "
        "but the first; and a later call. Chains of small operations, and the programs of other workloads. Ours is "
        "`ad.function`; JAX's loops are `jax.lax.scan`."
    ),
    contestants=(
        _contestant("autodiff"),
        _contestant("autodiff numpy", backend="numpy"),
        _contestant("autodiff llvm", backend="llvm"),
        # More operations than that without a loop of its own it compiles for minutes.
        _contestant("jax", "jax", cases=[name for name in CASES if name not in CHAINS[2:]]),
    ),
    cases=tuple(
        Case(name, (program, size), quick=name in QUICK, size=size, variant="chain" if name in CHAINS else name)
        for name, (program, size, *_) in CASES.items()
    ),
    targets=tuple(Target(limit, metric=metric, cases=(name,)) for name, (_, _, metric, limit) in CASES.items()),
    size_unit="operations",
    units=dict.fromkeys((FIRST, READY, LONGEST, WARM), "s"),
    max_rounds=1,
    max_first_calls=1,
)
