"""``python -m benchmarks``: measure the workloads, each in a process of its own, and report."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import resident
from benchmarks.libraries import ROOT
from benchmarks.places import CPU
from benchmarks.plots import save_plots
from benchmarks.processes import Budget, add_peak_memory, describe_machine, measure_in_process
from benchmarks.report import compare, markdown
from benchmarks.results import Measurement
from benchmarks.saved import save
from benchmarks.workloads import load_workload, workload_names

OUTPUT = ROOT / "benchmarks" / "results"

FULL_SECONDS, QUICK_SECONDS = 2340, 340
"""What all workloads together may take. A case for which no time is left is not measured, and the report says so."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status counts the workloads that failed, and no time is ever a failure."""
    arguments = _parse(argv)
    machine = describe_machine()
    measurements: list[Measurement] = []
    failed: list[str] = []
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else FULL_SECONDS)
    workloads = [load_workload(name) for name in arguments.only]
    budget = Budget(seconds, [workload.in_brief() for workload in workloads] if arguments.quick else workloads)
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            measurement = measure_in_process(name, Path(folder), quick=arguments.quick, seconds=budget.share())
            if measurement is None:
                failed.append(name)
                continue
            measurements.append(measurement)
            if resident.is_measurable() and not arguments.quick:
                add_peak_memory(measurement, Path(folder))
            if measurement.failures:
                failed.append(name)
            print(f"{name} took {measurement.seconds:.0f} s", file=sys.stderr, flush=True)
            # After each of them: what was measured until the command is stopped is there.
            _save(arguments.output, measurements, machine, failed, quick=arguments.quick, pictures={})
    pictures = save_plots(measurements, _made(arguments.output))
    print(_save(arguments.output, measurements, machine, failed, quick=arguments.quick, pictures=pictures))
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _save(
    folder: Path,
    measurements: Sequence[Measurement],
    machine: dict[str, str],
    failed: Sequence[str],
    *,
    quick: bool,
    pictures: dict[str, str],
) -> str:
    """Write report and data; the report's text."""
    comparisons = compare(measurements)
    text = markdown(comparisons, machine, failed=failed, quick=quick, pictures=pictures)
    save(folder, text, comparisons, machine, place=CPU, failed=failed, quick=quick)
    return text


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = workload_names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = ", ".join(names)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=known)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    spent = f"to take no longer than about that, by default {FULL_SECONDS}, and {QUICK_SECONDS} if quick"
    parser.add_argument("--seconds", type=float, help=spent)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the report, the data and the pictures")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
