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
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.libraries import measuring_environment
from benchmarks.report import markdown
from benchmarks.results import Measurement
from benchmarks.workloads import workload_names

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "benchmarks" / "results"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status counts the workloads that failed, and no time is ever a failure."""
    arguments = _parse(argv)
    machine = describe_machine()
    measurements: list[Measurement] = []
    failed: list[str] = []
    for name in arguments.only:
        print(f"{name} ...", file=sys.stderr, flush=True)
        measurement = measure_in_process(name, quick=arguments.quick)
        if measurement is None:
            failed.append(name)
        else:
            measurements.append(measurement)
            print(f"{name} took {measurement.seconds:.0f} s", file=sys.stderr, flush=True)
    text = markdown(measurements, machine, failed=failed, quick=arguments.quick)
    _save(arguments.output, text, measurements, machine)
    print(text)
    return len(failed)


def measure_in_process(name: str, *, quick: bool) -> Measurement | None:
    """Measure one workload in a fresh process; None if that failed (it has said why)."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "measurement.json"
        command = [sys.executable, "-m", "benchmarks.measure", name, str(result), *["--quick"] * quick]
        process = subprocess.run(command, cwd=ROOT, env=measuring_environment(), check=False)
        return None if process.returncode else Measurement.from_json(json.loads(result.read_text()))


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


def _save(folder: Path, text: str, measurements: Sequence[Measurement], machine: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text)
    data = {"machine": machine, "measurements": [measurement.to_json() for measurement in measurements]}
    (folder / "results.json").write_text(json.dumps(data, indent=1))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = workload_names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = ", ".join(names)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=known)
    parser.add_argument("--quick", action="store_true", help="few rounds and small sizes")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for report.md and results.json")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
