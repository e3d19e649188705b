"""Calls that threads share: each is made by whoever is free, at worst all of them by the thread that asks.

So nothing depends on helpers: not where the system gives no more threads, not while the interpreter ends, not in the
child of a fork. Nothing here waits for a lock either, but to start helpers: signal handlers may come at any time.
"""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import RLock, get_ident
from time import monotonic, sleep
from typing import Any

# The threads that help, and those that they help.
serving: dict[int, int] = {}

# Seconds that a fork waits for helpers: longer than any of their calls takes, unless one waits for the fork.
PATIENCE = 5.0


class Job:
    """Calls, and what came of them.

    Parameters
    ----------
    calls : list of callable

    Attributes
    ----------
    caller : int
        The thread that asks for them.
    """

    __slots__ = ("_context", "_ended", "_helpers", "_left", "_outcomes", "_paused", "caller")

    def __init__(self, calls: list[Callable[[], Any]]):
        self._left = deque(enumerate(calls))
        self._outcomes: list[tuple[Any, BaseException | None] | None] = [None] * len(calls)
        self._ended: SimpleQueue[None] = SimpleQueue()
        # NumPy's error state is a context variable; each helper gets a copy of the caller's.
        self._context = copy_context()
        self.caller = get_ident()
        self._helpers: list[None] = []
        self._paused = False

    def help(self) -> None:
        """Make calls until none is left."""
        context = self._context.copy()
        self._helpers.append(None)
        serving[get_ident()] = self.caller
        try:
            while self._left and not self._paused:
                context.run(self._make_one)
        finally:
            self._helpers.pop()

    def results(self) -> list[Any]:
        """Make the calls that nobody else makes, and wait for the others: also after an error, so that nobody writes
        to the arrays of a call that has ended."""
        try:
            while self._left:
                self._make_one()
            # Nothing is counted: an interrupt after the end of a call would leave a count that is one too high.
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

    def pause(self) -> None:
        """The caller forks, in the middle: what helpers have begun is ended before, since in the child nobody would."""
        self._paused = True
        until = monotonic() + PATIENCE
        while self._helpers and monotonic() < until:
            sleep(1e-4)

    def resume(self) -> None:
        """The fork is over."""
        self._paused = False


class Team:
    """The threads that help in this process. They wait for jobs as long as it lives."""

    def __init__(self) -> None:
        # By process: in the child of a fork, nobody would open the lock of its parent.
        self._starting: defaultdict[int, Any] = defaultdict(RLock)
        self.begin()

    def begin(self) -> None:
        """Begin without any: a forked process has none of its parent's."""
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._helpers: list[None] = []
        # Those whose results are waited for.
        self._open: list[Job] = []

    def results(self, job: Job, wanted: int) -> list[Any]:
        """Those of a job, with so many helpers if they are there, or the system gives as many."""
        if len(self._helpers) < wanted:
            with self._starting[os.getpid()], suppress(RuntimeError):  # no more threads, or none any more
                while len(self._helpers) < wanted:
                    start_new_thread(self._help, ())
                    self._helpers.append(None)
        # In the child of a fork it is another list.
        opened = self._open
        opened.append(job)
        try:
            # Where as many jobs wait as there are helpers, nobody would come in time.
            for _ in range(min(wanted, len(self._helpers) - self._jobs.qsize())):
                self._jobs.put(job)
            return job.results()
        finally:
            opened.remove(job)

    def _help(self) -> None:
        while True:
            self._jobs.get().help()

    def _interrupted(self) -> list[Job]:
        """Jobs of this thread, into which a signal handler came."""
        return [job for job in list(self._open) if job.caller == get_ident()]

    def pause(self) -> None:
        """This thread is about to fork."""
        for job in self._interrupted():
            job.pause()

    def resume(self) -> None:
        """It has."""
        for job in self._interrupted():
            job.resume()


_team = Team()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_team.pause, after_in_parent=_team.resume, after_in_child=_team.begin)


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """The results of calls, made in this thread and in those that are free to help."""
    return [calls[0]()] if len(calls) == 1 else _team.results(Job(calls), len(calls) - 1)


def shares(extent: int, count: int, block: int = 1) -> list[tuple[int, int]]:
    """``range(extent)`` in at most ``count`` parts of whole blocks, but for the last."""
    step = -(-extent // count)
    step = max(-(-step // block) * block, 1)
    return [(start, min(start + step, extent)) for start in range(0, extent, step)] or [(0, 0)]
