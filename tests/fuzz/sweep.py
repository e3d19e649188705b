"""Many programs: which way each one runs, what went wrong, and the smallest program that shows it.

``python -m tests.fuzz.sweep 0 20000 --backend torch`` from the root of the checkout.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .derivatives import check_orders, check_transformations
from .generate import Failing, generate
from .program import Program
from .shrink import shrink
from .taylor import Unsuitable
from .ways import WAYS, Runner, capable

# How often each way is taken.
SCHEDULE = [
    "values",
    "orders",
    "function",
    "looked",
    "values",
    "function",
    "transformations",
    "orders",
    "failing",
    "captured",
]
ULPS = {"numpy": 1.0, "llvm": 2.0}


@dataclass(frozen=True)
class Finding:
    """A program that fails, with the way it was run and what was said."""

    seed: int
    way: str
    error: str
    message: str
    source: str

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.way}: {self.error}: {self.message}\n{self.source}"


def runner(backend: str | Any | None) -> Runner:
    name = backend if isinstance(backend, str) else getattr(backend, "name", None)
    return Runner(None if name in (None, "numpy") else backend, ULPS.get(name or "numpy", 4.0))


def drawn(seed: int) -> tuple[str, Program | Failing]:
    """The way of a seed, and its program."""
    way = SCHEDULE[seed % len(SCHEDULE)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return way, generate(
            seed, way in ("orders", "transformations"), failing=way == "failing", arguments=way == "transformations"
        )


def take(runner: Runner, way: str, program: Program | Failing) -> str:
    """Run a program one way; a word says what it came to. Raises what is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with capable(runner.backend):
                if isinstance(program, Failing):
                    return runner.failing(program)
                if way == "orders":
                    check_orders(runner, program)
                elif way == "transformations":
                    check_transformations(runner, program)
                elif way != "failing":
                    WAYS[way](runner, program)
                return way if way != "failing" else "nothing refused"
        except Unsuitable as reason:
            return str(reason)
        except NotImplementedError as reason:
            return f"not on this backend: {reason}"


def find(runner: Runner, seed: int, small: bool = True) -> tuple[str, Finding | None]:
    """Run the program of a seed; what it came to, and the finding if it fails."""
    way, program = drawn(seed)
    try:
        return take(runner, way, program), None
    except Exception as error:
        if isinstance(program, Failing):
            return "wrong", Finding(seed, way, type(error).__name__, _first_line(error), program.program.source())
        kind = signature(error)
        if small:

            def fails(candidate: Program) -> bool:
                try:
                    take(runner, way, candidate)
                except Exception as other:
                    return signature(other) == kind
                return False

            program = shrink(program, fails)
            try:
                take(runner, way, program)
            except Exception as other:
                error = other
        return "wrong", Finding(seed, way, type(error).__name__, _first_line(error), program.source())


def signature(error: BaseException) -> str:
    """The kind of a failure: the class, and the message without what differs from program to program."""
    return type(error).__name__ + re.sub(r"[\W\d_].*", "", re.sub(r"^[xv]\d+(\[.*?\])? ", "", _first_line(error)))


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]


def _part(job: tuple[Any, int, int, int, bool]) -> tuple[collections.Counter[str], list[Finding]]:
    backend, first, last, stride, small = job
    counts: collections.Counter[str] = collections.Counter()
    findings = []
    run = runner(backend)
    for seed in range(first, last, stride):
        word, finding = find(run, seed, small)
        counts[word] += 1
        if finding is not None:
            findings.append(finding)
    return counts, findings


def sweep(
    backend: Any, first: int, count: int, processes: int = 1, small: bool = True
) -> tuple[collections.Counter[str], list[Finding]]:
    """Run ``count`` programs; how many came to what, and all that failed."""
    jobs = [(backend, first + i, first + count, processes, small) for i in range(processes)]
    counts: collections.Counter[str] = collections.Counter()
    findings: list[Finding] = []
    for more, found in _results(jobs):
        counts += more
        findings += found
    return counts, findings


def _results(jobs: list[Any]) -> Iterator[tuple[collections.Counter[str], list[Finding]]]:
    if len(jobs) == 1:
        yield _part(jobs[0])
        return
    with multiprocessing.get_context("spawn").Pool(len(jobs)) as pool:
        yield from pool.imap_unordered(_part, jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="do not shrink what fails")
    options = parser.parse_args()
    counts, findings = sweep(options.backend, options.first, options.count, options.processes, not options.whole)
    for finding in findings:
        print(finding, end="\n\n")  # noqa: T201
    for word, n in counts.most_common():
        print(f"{n:7d}  {word}")  # noqa: T201
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
