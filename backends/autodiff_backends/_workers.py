"""Calls that threads share: each is made by whoever is free, at worst all of them by the thread that asks.

So nothing depends on helpers: not where the system gives no more threads, not while the interpreter ends, not in the
child of a fork. Nothing here waits for a lock either, but to start helpers: signal handlers may come at any time.
"""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import RLock, get_ident
from time import sleep
from typing import Any


class Job:
    """Calls, and what came of them.

    Parameters
    ----------
    calls : list of callable
    """

    __slots__ = ("_context", "_ended", "_left", "_outcomes")

    def __init__(self, calls: list[Callable[[], Any]]):
        self._left = deque(enumerate(calls))
        self._outcomes: list[tuple[Any, BaseException | None] | None] = [None] * len(calls)
        self._ended: SimpleQueue[None] = SimpleQueue()
        # NumPy's error state is a context variable; each helper gets a copy of the caller's.
        self._context = copy_context()

    def help(self) -> None:
        """Make calls until none is left, or somebody forks."""
        context = self._context.copy()
        while self._left and not _team.forks:
            context.run(self._make_one)

    def results(self) -> list[Any]:
        """Make the calls that nobody else makes, and wait for the others: also after an error, so that nobody writes
        to the arrays of a call that has ended."""
        try:
            while self._left:
                self._make_one()
            # Not counted: who is interrupted after one has ended would wait for one too many.
            while None in self._outcomes:
                self._ended.get()
        finally:
            self._left.clear()
        results, errors = zip(*self._outcomes, strict=True)
        # An interrupt before all others, else the first.
        for error in sorted(filter(None, errors), key=lambda error: isinstance(error, Exception)):
            raise error
        return list(results)

    def _make_one(self) -> None:
        try:
            number, call = self._left.popleft()
        except IndexError:
            return
        try:
            self._outcomes[number] = call(), None
        except BaseException as error:
            self._outcomes[number] = None, error
        self._ended.put(None)


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """The results of calls, made in this thread and in those that are free to help."""
    if len(calls) == 1:
        return [calls[0]()]
    job = Job(calls)
    for _ in range(_team.free(len(calls) - 1)):
        _team.jobs.put(job)
    return job.results()


def shares(extent: int, count: int, block: int = 1) -> list[tuple[int, int]]:
    """``range(extent)`` in at most ``count`` parts of whole blocks, but for the last."""
    step = -(-extent // count)
    step = max(-(-step // block) * block, 1)
    return [(start, min(start + step, extent)) for start in range(0, extent, step)] or [(0, 0)]


# --- helpers ----------------------------------------------------------------------------------------------------------


class Team:
    """The helpers of this process, which wait for jobs as long as it lives."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin without helpers: a forked process has none of its parent's."""
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        # An entry for each fork that waits for those at work.
        self.forks: list[None] = []
        self._helpers: list[None] = []
        self._at_work: list[int] = []
        self._starting = RLock()

    def free(self, count: int) -> int:
        """How many of ``count`` helpers will come soon; they are started if the system gives as many."""
        if len(self._helpers) < count:
            with self._starting, suppress(RuntimeError):  # no more threads, or none any more
                while len(self._helpers) < count:
                    start_new_thread(self._help, ())
                    self._helpers.append(None)
        return min(count, len(self._helpers) - self.jobs.qsize())

    def _help(self) -> None:
        ident = get_ident()
        while True:
            job = self.jobs.get()
            self._at_work.append(ident)
            try:
                job.help()
            finally:
                self._at_work.remove(ident)
            del job

    def pause(self) -> None:
        """Begin nothing new, and wait for what has begun: in the child of a fork, nobody would end it."""
        self.forks.append(None)
        while any(ident != get_ident() for ident in list(self._at_work)):
            sleep(1e-4)

    def resume(self) -> None:
        """One fork is over."""
        self.forks.pop()


_team = Team()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_team.pause, after_in_parent=_team.resume, after_in_child=_team.begin)
