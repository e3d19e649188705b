"""Measure one workload in this process: ``python -m benchmarks.measure NAME RESULT [--quick] [--place PLACE] ...``.

The parent (``python -m benchmarks``, ``python -m benchmarks.gpu``) starts one such process per workload, so that the
threads and the memory of one workload's libraries do not disturb another's.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import ModuleType

from benchmarks.agreement import DisagreementError, require_agreement
from benchmarks.compilers import finish_compiling, give_compilers
from benchmarks.gpu.workloads import gpu_workloads
from benchmarks.libraries import LIBRARIES
from benchmarks.places import CPU, PLACES
from benchmarks.results import Measurement, Remark, Series
from benchmarks.tiers import MACHINE_CODE
from benchmarks.timing import (
    FULL,
    LEAST_CALLS,
    LEAST_ROUNDS,
    QUICK,
    TRIAL_CALLS,
    Effort,
    call_for,
    calls_per_block,
    run_block,
    run_once,
)
from benchmarks.workload import (
    STEP,
    Case,
    Contestant,
    Entry,
    Measured,
    Numbers,
    Timed,
    UnavailableError,
    Workload,
)
from benchmarks.workloads import load_workload


def measure(workload: Workload, *, quick: bool = False, seconds: float | None = None) -> Measurement:
    """Measure every case of a workload on every contestant whose library is installed.

    A contestant that raises is left out of its case, and a case whose contestants disagree is not timed; the
    measurement's remarks say so. Of ``seconds``, each case gets an equal share of what is left; but for the first, none
    is begun when nothing is.
    """
    started = perf_counter()
    modules = _load_libraries(workload)
    cases = [case for case in workload.cases if case.quick or not quick]
    effort = QUICK if quick else FULL
    runs = []
    for index, case in enumerate(cases):
        share = None if seconds is None else (started + seconds - perf_counter()) / (len(cases) - index)
        run = _CaseRun(workload, case, modules, effort if share is None else effort.within(max(share, 0.0)))
        runs.append(run)
        if share is None:
            run.measure()
        elif share > 0 or index == 0:
            give_compilers(max(share, LEAST_COMPILE_SECONDS))
            run.measure()
        else:
            run.skip()
    names = dict.fromkeys(contestant.library for contestant in workload.contestants)
    return Measurement(
        workload=workload.name,
        seconds=perf_counter() - started,
        missing=[c.name for c in workload.contestants if c.library not in modules],
        versions={name: LIBRARIES[name].version for name in names},
        series=[series for run in runs for series in run.series],
        remarks=[remark for run in runs for remark in run.remarks],
    )


def _load_libraries(workload: Workload) -> dict[str, ModuleType]:
    names = dict.fromkeys(contestant.library for contestant in workload.contestants)
    return {name: LIBRARIES[name].load() for name in names if LIBRARIES[name].installed}


LEAST_COMPILE_SECONDS = 15.0
"""What a compiler is given even where time is short: without it, the best peer may be missing."""


class _CaseRun:
    """One case: first calls, the agreement check, then interleaved warm rounds."""

    def __init__(self, workload: Workload, case: Case, modules: Mapping[str, ModuleType], effort: Effort) -> None:
        self._workload = workload
        self._case = case
        self._modules = modules
        self._contestants = [
            c for c in workload.contestants if c.library in modules and (c.cases is None or case.name in c.cases)
        ]
        self._effort = effort
        self._rounds = min(effort.rounds, workload.max_rounds)
        self._series: dict[tuple[str, str], Series] = {}
        self.remarks: list[Remark] = []

    @property
    def series(self) -> list[Series]:
        """What was measured until now."""
        return list(self._series.values())

    def measure(self) -> None:
        """Measure the case, or remark why not."""
        entries = self._open_and_check()
        if entries is None:
            self._series.clear()
            return
        self._open_again(entries)
        self._count_facts(entries)
        self._settle(entries)
        self._run_rounds(entries)

    def skip(self) -> None:
        """Remark that there was no time."""
        self._remark("", "no time was left for it", failed=False)

    def _open_and_check(self) -> dict[str, Entry] | None:
        """An entry of each contestant that works; None if they disagree."""
        entries: dict[str, Entry] = {}
        numbers: dict[str, Sequence[Numbers]] = {}
        for contestant in self._contestants:
            try:
                entry, first = self._open(contestant)
                further = 0 if isinstance(entry, Measured) else self._workload.checked_steps - 1
                computed = [first, *(run_once(entry)[1] for _ in range(further))]
            except Exception as error:
                self._leave_out(contestant, error)
            else:
                entries[contestant.name] = entry
                if not contestant.yardstick:
                    numbers[contestant.name] = computed
        where = f"{self._workload.name}, case {self._case.name}"
        rtol = self._workload.rtol if self._case.rtol is None else self._case.rtol
        try:
            require_agreement(numbers, where, rtol=rtol, atol=self._workload.atol)
        except DisagreementError as error:
            self._remark("", str(error), failed=True)
            return None
        return entries

    def _leave_out(self, contestant: Contestant, error: Exception) -> None:
        if isinstance(error, UnavailableError):
            self._remark(contestant.name, str(error), failed=False)
        else:
            traceback.print_exception(error)
            self._remark(contestant.name, f"{type(error).__name__}: {error}", failed=True)
        for metric, name in list(self._series):
            if name == contestant.name:
                del self._series[metric, name]

    def _remark(self, contestant: str, text: str, *, failed: bool) -> None:
        self.remarks.append(Remark(self._case.name, contestant, text, failed))
        print(f"  {self._case.name}: {contestant} {'FAILED: ' if failed else ''}{text}", file=sys.stderr, flush=True)

    def _open_again(self, entries: dict[str, Entry]) -> None:
        """Replace entries by fresh ones, for the spread of first calls."""
        bound = min(self._effort.first_calls, self._workload.max_first_calls)
        started = perf_counter()
        for count in range(1, bound):
            for contestant in self._contestants:
                if contestant.name in entries and count < contestant.max_first_calls:
                    entries[contestant.name], _ = self._open(contestant)
            if perf_counter() - started > self._effort.case_seconds:
                break

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

    def _settle(self, entries: Mapping[str, Entry]) -> None:
        """Call ours until machine code answers or time is up, where nobody has chosen what answers.

        What was chosen is there after a few calls, and the work of the background.
        """
        for contestant in self._contestants:
            entry = entries.get(contestant.name)
            if not isinstance(entry, Timed) or contestant.role != "ours":
                continue
            ad = self._modules[contestant.library]
            call_for(entry, 0.0, LEAST_CALLS)
            finish_compiling(ad)
            if not contestant.default:
                continue
            slice_seconds, ended = self._effort.settle_seconds / 8, perf_counter() + self._effort.settle_seconds
            while perf_counter() < ended:
                call_for(entry, slice_seconds, TRIAL_CALLS)
                finish_compiling(ad)
                if self._tier(contestant.name, entry) == MACHINE_CODE:
                    break

    def _tier(self, name: str, entry: Timed) -> str:
        """What answers; a remark, once, where that cannot be said."""
        try:
            return entry.tier()
        except Exception as error:
            traceback.print_exception(error)
            text = f"what answers is not known: {type(error).__name__}: {error}"
            if Remark(self._case.name, name, text, failed=True) not in self.remarks:
                self._remark(name, text, failed=True)
            return ""

    def _run_rounds(self, entries: Mapping[str, Entry]) -> None:
        calls = {name: calls_per_block(entry, self._effort.block_seconds) for name, entry in entries.items()}
        gc.collect()
        gc.freeze()  # the modules of five libraries are no part of anybody's collections
        started = perf_counter()
        for count in range(self._rounds):
            if count >= LEAST_ROUNDS and perf_counter() - started > self._effort.case_seconds:
                break
            for name, entry in entries.items():
                for metric, value in run_block(entry, calls[name]).items():
                    self._of(metric, name).warm.append(value)
        gc.unfreeze()
        for name, entry in entries.items():
            if isinstance(entry, Timed):
                self._of(STEP, name).tier = self._tier(name, entry)

    def _of(self, metric: str, contestant: str) -> Series:
        return self._series.setdefault((metric, contestant), Series(self._case.name, metric, contestant))


def main() -> None:
    """Measure the workload named on the command line and write its measurement as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure")
    parser.add_argument("name")
    parser.add_argument("result", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--place", choices=PLACES, default=CPU.name)
    parser.add_argument("--seconds", type=float, help="to take no longer than about that")
    arguments = parser.parse_args()
    place = PLACES[arguments.place]
    workload = load_workload(arguments.name) if place is CPU else gpu_workloads(place)[arguments.name]
    if arguments.quick and place is CPU:
        workload = workload.in_brief()
    measurement = measure(workload, quick=arguments.quick, seconds=arguments.seconds)
    arguments.result.write_text(json.dumps(measurement.to_json()))


if __name__ == "__main__":
    main()
