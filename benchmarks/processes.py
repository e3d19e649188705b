"""Measuring processes: each workload in one of its own, and what a reader must know of the machine that they run on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from benchmarks.compare import Comparison
from benchmarks.libraries import ROOT, measuring_environment
from benchmarks.places import CPU, Place
from benchmarks.results import Measurement, Remark, Series
from benchmarks.workload import PEAK_MEMORY, STEP, Workload
from benchmarks.workloads import load_workload

TIMEOUT = 900
"""Seconds after which a workload has failed; none takes half of it."""


class Budget:
    """The time that a command may take: of what is left each workload gets a share, for as many cases as it has.

    Parameters
    ----------
    seconds : float or None
        From now on; None for as long as it takes.
    workloads : sequence of Workload
        In their order.
    """

    def __init__(self, seconds: float | None, workloads: Sequence[Workload]) -> None:
        self._end = None if seconds is None else perf_counter() + seconds
        self._cases = [len(workload.cases) for workload in workloads]

    def share(self) -> float | None:
        """What the next workload gets."""
        left = sum(self._cases)
        cases = self._cases.pop(0)
        return None if self._end is None else max(self._end - perf_counter(), 0.0) * cases / left


def measure_in_process(
    name: str, folder: Path, *, quick: bool, place: Place = CPU, seconds: float | None = None
) -> Measurement | None:
    """Measure one workload in a fresh process; None if that failed (it has said why)."""
    result = folder / f"{name}.json"
    arguments = ["benchmarks.measure", name, str(result), "--place", place.name, *["--quick"] * quick]
    if seconds is not None:
        arguments += ["--seconds", str(seconds)]
    done = _in_process(arguments, folder, place)
    return Measurement.from_json(json.loads(result.read_text())) if done else None


def add_peak_memory(measurement: Measurement, folder: Path) -> None:
    """Measure peak memory of the largest case, of the headline's contestants, each in a fresh process."""
    workload = load_workload(measurement.workload)
    timed = [series for series in measurement.series if series.metric == STEP and series.warm]
    if not timed or not workload.rows:
        return
    largest = timed[-1].case
    duel = Comparison(workload, measurement).duel(largest)
    contestants = [] if duel is None else [duel.ours, duel.peer]
    started = perf_counter()
    for contestant in contestants:
        result = folder / "footprint.json"
        if not _in_process(["benchmarks.footprint", workload.name, largest, contestant, str(result)], folder):
            measurement.remarks.append(Remark(largest, contestant, "its memory could not be measured", failed=True))
        elif (peak := json.loads(result.read_text())) is not None:
            measurement.series.append(Series(largest, PEAK_MEMORY, contestant, warm=[peak]))
    measurement.seconds += perf_counter() - started


def _in_process(arguments: Sequence[str], folder: Path, place: Place = CPU) -> bool:
    """Run a module of this package in a process of its own; whether it succeeded."""
    command = [sys.executable, "-m", *arguments]
    try:
        environment = measuring_environment(folder, place)
        process = subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        print(f"{' '.join(arguments)}: no result after {TIMEOUT} s", file=sys.stderr, flush=True)
        return False
    return process.returncode == 0


def describe_machine() -> dict[str, str]:
    """What a reader must know about the machine to judge the figures."""
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "load at start": load,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
