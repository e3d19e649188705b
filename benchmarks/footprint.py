"""Peak memory of one contestant, in this process: ``python -m benchmarks.footprint NAME CASE CONTESTANT RESULT``.

Measured is resident memory, by the kernel, so that every allocator counts alike: temporaries of NumPy, arenas of JAX
and PyTorch, buffers that a plan keeps between calls. A fresh process, since an allocator or a buffer pool that another
contestant has filled would hide what this one needs.
"""

from __future__ import annotations

import argparse
import gc
import json
from pathlib import Path

from benchmarks import resident
from benchmarks.libraries import LIBRARIES
from benchmarks.workload import Case, Contestant, Timed, UnavailableError, Workload
from benchmarks.workloads import load_workload

WARM_UP = 3

RESOLUTION = 1 << 20
"""Less than that is the noise of pages that interpreter and allocator touch for the first time."""


def peak_of_warm_call(workload: Workload, case: Case, contestant: Contestant) -> int | None:
    """Bytes by which the process's peak in a warm call exceeds its level before the first; None if unavailable.

    The inputs stand before, so they do not count. Results, temporaries, compiled code and all that is kept between
    calls do; what only the compiler needed does not. The smallest case goes first and is dropped, so that modules and
    threads that a library starts on demand do not count either.
    """
    module = LIBRARIES[contestant.library].load()
    smallest = workload.cases[0]
    try:
        if smallest is not case and (contestant.cases is None or smallest.name in contestant.cases):
            _warmed(contestant.build(module, smallest.parameter))
        entry = contestant.build(module, case.parameter)
        resident.reset_peak()
        before = resident.current_bytes()
        entry = _warmed(entry)
        resident.reset_peak()
        result = entry.step()
        peak = resident.peak_bytes() - before
        del result
    except UnavailableError:
        return None
    return max(peak, 0)


def _warmed(entry: object) -> Timed:
    """The entry after some calls."""
    assert isinstance(entry, Timed), "memory is measured where the harness makes the calls"
    for _ in range(WARM_UP):
        entry.step()
    gc.collect()
    return entry


def main() -> None:
    """Measure what is named on the command line and write the bytes, or null, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint")
    for name in ("workload", "case", "contestant"):
        parser.add_argument(name)
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args()
    workload = load_workload(arguments.workload)
    (case,) = [case for case in workload.cases if case.name == arguments.case]
    (contestant,) = [one for one in workload.contestants if one.name == arguments.contestant]
    arguments.result.write_text(json.dumps(peak_of_warm_call(workload, case, contestant)))


if __name__ == "__main__":
    main()
