"""``python -m benchmarks.gpu``: measure on a CUDA GPU, each workload in a process of its own, and report.

The exit status is 0, 1 if a workload failed (no time is ever a failure), or 2 if there is no GPU that we compute on.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import autodiff as ad
from benchmarks.compilers import loaded
from benchmarks.gpu.report import GPU, compare_on
from benchmarks.gpu.workloads import gpu_workloads
from benchmarks.libraries import ROOT
from benchmarks.places import CUDA, REHEARSAL, Place
from benchmarks.processes import Budget, describe_machine, measure_in_process
from benchmarks.report import markdown
from benchmarks.results import Measurement
from benchmarks.saved import save
from benchmarks.workload import UnavailableError

OUTPUT = ROOT / "benchmarks" / "results" / "gpu"

NO_GPU = 2
"""Exit status."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    arguments = _parse(argv)
    place = REHEARSAL if arguments.rehearse else CUDA
    if reasons := what_is_missing(place):
        print("There is nothing to measure on, because none of our backends can be had there:", file=sys.stderr)
        print("\n".join(f"- {reason}" for reason in reasons), file=sys.stderr)
        print("--rehearse runs everything on the processor, in small sizes.", file=sys.stderr)
        return NO_GPU
    machine = describe_machine() | (describe_gpu() if place is CUDA else {"gpu": "none, this is a rehearsal"})
    measurements: list[Measurement] = []
    failed: list[str] = []
    workloads = gpu_workloads(place)
    budget = Budget(arguments.seconds, [workloads[name] for name in arguments.only])
    text = ""
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            measurement = measure_in_process(
                name, Path(folder), quick=arguments.quick, place=place, seconds=budget.share()
            )
            if measurement is not None:
                measurements.append(measurement)
            if measurement is None or measurement.failures:
                failed.append(name)
            # After each of them: what was measured until the command is stopped is there.
            comparisons = compare_on(measurements, place)
            text = markdown(comparisons, machine, failed=failed, quick=arguments.quick, edition=GPU)
            save(arguments.output, text, comparisons, machine, place=place, failed=failed, quick=arguments.quick)
    print(text)
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def what_is_missing(place: Place) -> list[str]:
    """Why each of our backends cannot compute there; nothing if one of them can."""
    reasons = []
    for backend, device in place.backends.items():
        try:
            loaded(ad, backend, device).home.asarray(np.zeros(1))
        except (UnavailableError, ad.errors.BackendError) as error:
            reasons.append(f"{backend}: {error}")
        else:
            return []
    return reasons


def describe_gpu() -> dict[str, str]:
    """Name, driver and memory of the first GPU, if NVIDIA's tool is there to say."""
    if shutil.which("nvidia-smi") is None:
        return {"gpu": "unknown (no nvidia-smi)"}
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return {"gpu": lines[0] if lines else "unknown"}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = list(gpu_workloads(CUDA))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    known = ", ".join(names)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=known)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--seconds", type=float, help="to take no longer than about that, all workloads together")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the report and the data")
    parser.add_argument("--rehearse", action="store_true", help="on the processor, in small sizes: does it run?")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
