"""Measure one workload in this process: ``python -m benchmarks.measure NAME RESULT [--quick]``.

The parent (``python -m benchmarks``) starts one such process per workload, so that the threads and
the memory of one workload's libraries do not disturb another's.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import ModuleType

from benchmarks.agreement import require_agreement
from benchmarks.libraries import LIBRARIES
from benchmarks.results import Measurement, Series
from benchmarks.timing import FULL, QUICK, Effort, calls_per_block, run_block, run_once
from benchmarks.workload import Case, Contestant, Entry, Measured, Numbers, Timed, Workload
from benchmarks.workloads import load_workload


def measure(workload: Workload, *, quick: bool = False) -> Measurement:
    """Measure every case of a workload on every contestant whose library is installed.

    Raises
    ------
    DisagreementError
        If the contestants of a case computed different numbers; nothing was timed warm then.
    """
    started = perf_counter()
    modules = _load_libraries(workload)
    series: list[Series] = []
    for case in workload.cases:
        if case.quick or not quick:
            series += _CaseRun(workload, case, modules, QUICK if quick else FULL).measure()
    names = dict.fromkeys(contestant.library for contestant in workload.contestants)
    return Measurement(
        workload=workload.name,
        seconds=perf_counter() - started,
        missing=[c.name for c in workload.contestants if c.library not in modules],
        versions={name: LIBRARIES[name].version for name in names},
        series=series,
    )


def _load_libraries(workload: Workload) -> dict[str, ModuleType]:
    names = dict.fromkeys(contestant.library for contestant in workload.contestants)
    return {name: LIBRARIES[name].load() for name in names if LIBRARIES[name].installed}


class _CaseRun:
    """One case: first calls, the agreement check, then interleaved warm rounds."""

    def __init__(self, workload: Workload, case: Case, modules: Mapping[str, ModuleType], effort: Effort) -> None:
        self._workload = workload
        self._case = case
        self._modules = modules
        self._contestants = [
            c for c in workload.contestants if c.library in modules and (c.cases is None or case.name in c.cases)
        ]
        self._rounds = min(effort.rounds, workload.max_rounds)
        self._first_calls = min(effort.first_calls, workload.max_first_calls)
        self._block_seconds = effort.block_seconds
        self._series: dict[tuple[str, str], Series] = {}

    def measure(self) -> list[Series]:
        entries = self._open_and_check()
        for _ in range(self._first_calls - 1):
            entries = {contestant.name: self._open(contestant)[0] for contestant in self._contestants}
        self._count_facts(entries)
        self._run_rounds(entries)
        return list(self._series.values())

    def _open_and_check(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        numbers: dict[str, Sequence[Numbers]] = {}
        for contestant in self._contestants:
            entry, first = self._open(contestant)
            further = 0 if isinstance(entry, Measured) else self._workload.checked_steps - 1
            entries[contestant.name] = entry
            numbers[contestant.name] = [first, *(run_once(entry)[1] for _ in range(further))]
        where = f"{self._workload.name}, case {self._case.name}"
        require_agreement(numbers, where, rtol=self._workload.rtol, atol=self._workload.atol)
        return entries

    def _open(self, contestant: Contestant) -> tuple[Entry, Numbers]:
        """Build a fresh entry and time its first call."""
        gc.collect()
        entry = contestant.build(self._modules[contestant.library], self._case.parameter)
        metrics, numbers = run_once(entry)
        for metric, value in metrics.items():
            self._of(metric, contestant.name).first.append(value)
        return entry, numbers

    def _count_facts(self, entries: Mapping[str, Entry]) -> None:
        for name, entry in entries.items():
            if isinstance(entry, Timed):
                for metric, value in entry.facts().items():
                    self._of(metric, name).warm.append(value)

    def _run_rounds(self, entries: Mapping[str, Entry]) -> None:
        calls = {name: calls_per_block(entry, self._block_seconds) for name, entry in entries.items()}
        gc.collect()
        gc.freeze()  # the modules of five libraries are no part of anybody's collections
        for _ in range(self._rounds):
            for name, entry in entries.items():
                for metric, value in run_block(entry, calls[name]).items():
                    self._of(metric, name).warm.append(value)
        gc.unfreeze()

    def _of(self, metric: str, contestant: str) -> Series:
        return self._series.setdefault((metric, contestant), Series(self._case.name, metric, contestant))


def main() -> None:
    """Measure the workload named on the command line and write its measurement as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure")
    parser.add_argument("name")
    parser.add_argument("result", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    measurement = measure(load_workload(arguments.name), quick=arguments.quick)
    arguments.result.write_text(json.dumps(measurement.to_json()))


if __name__ == "__main__":
    main()
