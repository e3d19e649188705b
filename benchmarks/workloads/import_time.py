"""What ``import autodiff`` costs a program, as a whole process."""

from __future__ import annotations

import os
import subprocess
import sys
from time import perf_counter
from types import ModuleType

from benchmarks.workload import Contestant, Measured, Sample, Target, Workload

NAME = "import_time"
PROCESS = "whole process"


def import_in_process(module: ModuleType, _case: None) -> Measured:
    """Start a Python that imports the module and ends."""
    command = [sys.executable, "-c", f"import {module.__name__}"]
    # As for an installed package: byte code is written once and read ever after.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def sample() -> Sample:
        started = perf_counter()
        subprocess.run(command, check=True, env=environment)
        return Sample({PROCESS: perf_counter() - started})

    return Measured(sample)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "A Python process that imports the library and ends, wall time; `python` imports nothing. "
        "The first sample may write byte code and fill the file cache."
    ),
    contestants=tuple(Contestant(library, import_in_process) for library in ("autodiff", "numpy", "python")),
    targets=(Target(1.3, metric=PROCESS, against="numpy"),),
    units={PROCESS: "s"},
    max_first_calls=1,
)
