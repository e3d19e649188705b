"""Timing of one entry: its first call, and blocks of warm calls long enough for the clock.

A step that is waited for apart from its call has two times: that of a block of steps which are started one after
another and waited for at the end, and that until a step returns.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from time import perf_counter
from typing import Any

from benchmarks.workload import HOST, STEP, Entry, Measured, Numbers, Timed


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure.

    Parameters
    ----------
    rounds : int
        Interleaved rounds of warm blocks.
    block_seconds : float
        Least duration of a block of calls.
    first_calls : int
        Fresh entries of which the first call is timed.
    case_seconds : float
        No further round or fresh entry is begun once a case's rounds or entries have taken that long.
    settle_seconds : float, optional
        How long ours is called before the rounds at most, so that what is called often is found to be.
    """

    rounds: int
    block_seconds: float
    first_calls: int
    case_seconds: float
    settle_seconds: float = 0.0

    def within(self, seconds: float) -> Effort:
        """The effort for a case of which first calls and rounds are to take no longer than that, together."""
        return replace(self, case_seconds=min(self.case_seconds, seconds / 2))


LEAST_ROUNDS = 3
"""Rounds that are made however long they take: fewer have no spread."""

LEAST_CALLS = 4
"""Calls before the rounds, however long they take: from the third on a better plan may be made."""

TRIAL_CALLS = 12
"""Calls, however long they take, in which a plan that was made in the background is compared with the one before."""

HOST_CALLS = 8
"""Steps that are started without waiting, at most, to time the host: so few that no queue of a device is full."""

FULL = Effort(rounds=15, block_seconds=0.01, first_calls=3, case_seconds=5.0, settle_seconds=2.0)
QUICK = Effort(rounds=9, block_seconds=0.003, first_calls=1, case_seconds=2.0, settle_seconds=0.5)


class Laps:
    """A stopwatch: each `lap` gives the seconds since the one before."""

    def __init__(self) -> None:
        self._last = perf_counter()

    def lap(self) -> float:
        """Seconds since the previous lap, or since the start."""
        now = perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed


def run_once(entry: Entry) -> tuple[Mapping[str, float], Numbers]:
    """Run an entry once: its metrics, and the numbers it computed."""
    if isinstance(entry, Measured):
        sample = entry.sample()
        return sample.metrics, sample.numbers
    started = perf_counter()
    result = entry.step()
    if entry.wait is not None:
        entry.wait(result)
    elapsed = perf_counter() - started
    return {STEP: elapsed}, entry.numbers(result)


def calls_per_block(entry: Entry, block_seconds: float) -> int:
    """How many calls make a block of that duration; one for an entry that measures itself."""
    if isinstance(entry, Measured):
        return 1
    calls = 1
    while (elapsed := _seconds(entry, calls)) < block_seconds:
        calls = max(2 * calls, int(calls * block_seconds / max(elapsed, 1e-9)))
    return calls


def call_for(entry: Timed, seconds: float, calls: int) -> None:
    """Call an entry that long, and that many times at least."""
    started = perf_counter()
    for count in itertools.count(1):
        entry.step()
        if count >= calls and perf_counter() - started > seconds:
            break


def run_block(entry: Entry, calls: int) -> Mapping[str, float]:
    """Metrics of a warm block, per call.

    The garbage that others left is collected first and, in a block of many calls, one call goes
    untimed, so that nobody pays for its predecessor. The collector stays on, as in users' programs.
    """
    gc.collect()
    if isinstance(entry, Measured):
        return entry.sample().metrics
    if calls > 1:
        _seconds(entry, 1)
    metrics = {STEP: _seconds(entry, calls) / calls}
    if entry.wait is not None:
        few = min(calls, HOST_CALLS)
        metrics[HOST] = _host_seconds(entry.step, entry.wait, few) / few
    return metrics


def _seconds(entry: Timed, calls: int) -> float:
    """Seconds until that many steps are done."""
    step, wait = entry.step, entry.wait
    started = perf_counter()
    for _ in repeat(None, calls if wait is None else calls - 1):
        step()
    if wait is not None:
        wait(step())
    return perf_counter() - started


def _host_seconds(step: Callable[[], Any], wait: Callable[[Any], Any], calls: int) -> float:
    """Seconds until that many steps have returned; a device may be at work on them yet."""
    started = perf_counter()
    for _ in repeat(None, calls - 1):
        step()
    result = step()
    elapsed = perf_counter() - started
    wait(result)
    return elapsed
