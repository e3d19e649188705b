"""``python -m benchmarks``: measure the workloads, each in a process of its own, and report."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from benchmarks import resident
from benchmarks.compare import Comparison, geometric_mean
from benchmarks.libraries import ROOT, measuring_environment
from benchmarks.plots import save_plots
from benchmarks.report import compare, headlines, markdown
from benchmarks.results import Measurement, Remark, Series
from benchmarks.workload import PEAK_MEMORY, STEP
from benchmarks.workloads import load_workload, workload_names

OUTPUT = ROOT / "benchmarks" / "results"
TIMEOUT = 900
"""Seconds after which a workload has failed; none takes half of it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status counts the workloads that failed, and no time is ever a failure."""
    arguments = _parse(argv)
    machine = describe_machine()
    measurements: list[Measurement] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            measurement = measure_in_process(name, Path(folder), quick=arguments.quick)
            if measurement is None:
                failed.append(name)
                continue
            measurements.append(measurement)
            if resident.is_measurable():
                add_peak_memory(measurement, Path(folder), quick=arguments.quick)
            if measurement.failures:
                failed.append(name)
            print(f"{name} took {measurement.seconds:.0f} s", file=sys.stderr, flush=True)
    text = _save(arguments.output, measurements, machine, failed, quick=arguments.quick)
    print(text)
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def measure_in_process(name: str, folder: Path, *, quick: bool) -> Measurement | None:
    """Measure one workload in a fresh process; None if that failed (it has said why)."""
    result = folder / f"{name}.json"
    done = _in_process(["benchmarks.measure", name, str(result), *["--quick"] * quick], folder)
    return Measurement.from_json(json.loads(result.read_text())) if done else None


def add_peak_memory(measurement: Measurement, folder: Path, *, quick: bool) -> None:
    """Measure peak memory of the largest case, each contestant in a fresh process; if quick, of the fastest alone."""
    workload = load_workload(measurement.workload)
    timed = [series for series in measurement.series if series.metric == STEP and series.warm]
    if not timed or not workload.rows:
        return
    largest = timed[-1].case
    contestants = [series.contestant for series in timed if series.case == largest]
    if quick:
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


def _in_process(arguments: Sequence[str], folder: Path) -> bool:
    """Run a module of this package in a process of its own; whether it succeeded."""
    command = [sys.executable, "-m", *arguments]
    try:
        process = subprocess.run(command, cwd=ROOT, env=measuring_environment(folder), check=False, timeout=TIMEOUT)
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


def _save(
    folder: Path, measurements: Sequence[Measurement], machine: dict[str, str], failed: Sequence[str], *, quick: bool
) -> str:
    """Write report, data and pictures; the report's text."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = save_plots(measurements, folder)
    text = markdown(measurements, machine, failed=failed, quick=quick, pictures=pictures)
    (folder / "report.md").write_text(text, encoding="utf-8")
    rows = headlines(compare(measurements))
    data = {
        "quick": quick,
        "failed": list(failed),
        "machine": machine,
        "geometric mean": geometric_mean([row.ratio.median for row in rows]) if rows else None,
        "headline": [asdict(row) for row in rows],
        "measurements": [measurement.to_json() for measurement in measurements],
    }
    (folder / "results.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    return text


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = workload_names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = ", ".join(names)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=known)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the report, the data and the pictures")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
