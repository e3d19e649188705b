"""Work that nobody should wait for: better plans are made by a thread while those at hand go on answering.

One thread does all of it, and lives only while there is work. The interpreter waits at its end for the piece in hand,
and drops the rest. A fork does not wait (for what may itself wait for a lock that the fork has, such as that of
``logging``): in the child the piece in hand is begun anew, when somebody asks for it.
``AUTODIFF_BACKGROUND=0`` has everything done at once, by the thread that asks: then it is the same call in every run
that is the first to use the better plan.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import warnings
import weakref
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from threading import get_ident
from time import perf_counter, sleep
from typing import Any, Generic, TypeVar

from .progress import beat, listeners, made_beside
from .whole import uncollected

VARIABLE = "AUTODIFF_BACKGROUND"

T = TypeVar("T")


class Cancelled(Exception):
    """The process is ending, and nobody waits for this work."""


class Later(Generic[T]):
    """The result of work in the background. Work whose ``Later`` nobody holds any more is not begun.

    Parameters
    ----------
    work : callable
        Makes the result. It must not refer to the holder of this object, which would be a reference cycle.
    what : str
        What is made, for the message if that fails.
    """

    __slots__ = ("__weakref__", "_context", "_error", "_result", "_what", "_work")

    def __init__(self, work: Callable[[], T], what: str):
        self._work: Callable[[], T] | None = work
        self._what = what
        self._result: T | None = None
        self._error: Exception | None = None
        # NumPy's error state among others: the work may not warn of what its asker has silenced.
        self._context: Context | None = copy_context()
        if enabled():
            _queue.append(weakref.ref(self))
            _start()
        else:
            self._made()

    def get(self) -> T | None:
        """The result, None while there is none. Says once, to the thread that asks, why there never will be one."""
        if self._work is not None:
            # Nothing happens here but in the child of a fork, which has no thread yet.
            _start()
        elif self._error is not None:
            error, self._error = self._error, None
            warnings.warn(
                f"{self._what} failed, so the slower plan stays: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
        return self._result

    def run(self) -> None:
        """Do the work, whatever comes of it."""
        try:
            self._made()
        except Cancelled:
            pass
        except Exception as error:
            # Its traceback would keep what the work was made of.
            self._error = error.with_traceback(None)
            self._work = None

    def _made(self) -> None:
        work, context = self._work, self._context
        assert work is not None
        assert context is not None
        # A copy: in the child of a fork, a thread that is no more may have entered it.
        begin = perf_counter()
        self._result = uncollected(partial(context.copy().run, work))
        seconds = perf_counter() - begin
        self._context = None
        # Last: who sees that there is no work left finds the result.
        self._work = None
        made_beside(self._what, seconds)


def enabled() -> bool:
    """Whether work is done in the background."""
    return os.environ.get(VARIABLE) != "0"


# Seconds of work between pauses, and of a pause.
SLICE = 1e-3
SHORTEST_PAUSE = 1e-4
LONGEST_PAUSE = 2e-2

# The thread at work, when it resumed, and how long it goes on.
_ident = 0
_resumed = 0.0
_slice = SLICE

_queue: deque[weakref.ref[Later[Any]]] = deque()

# Held while the thread does a piece of work.
_working = threading.Lock()


def _ending() -> bool:
    """Whether the main thread has ended, after which no thread may be started."""
    return sys.is_finalizing() or not threading.main_thread().is_alive()


class _Worker:
    """A thread has work in hand, or will, as long as this lives: nothing has to be undone if none comes of it."""

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        global _worker  # noqa: PLW0603  (there is one thread for the process)
        _worker = weakref.ref(self)


_worker: weakref.ref[_Worker] | None = None


def _at_work() -> bool:
    """Whether there is a thread that will see what is in the queue."""
    return _worker is not None and _worker() is not None


def _start() -> None:
    """Have a thread, if there is work and none."""
    if not _queue or _at_work() or _ending():
        return
    try:
        # ``Thread.start`` waits until the thread has begun; one that an interrupt comes to then may never begin.
        start_new_thread(_work_off, ([_Worker()],))
        return
    except RuntimeError:
        # The system gives no more threads, or none at all.
        pass
    while _queue:
        _do_next()


def _work_off(workers: list[_Worker]) -> None:
    """Do what is in the queue, in a thread of its own."""
    global _ident, _resumed, _slice  # noqa: PLW0603
    while _queue:
        with _working:
            _ident, _resumed, _slice = get_ident(), perf_counter(), SLICE
            _switch_often()
            _do_next()
            _switch_as_before()
            _ident = 0
    workers.clear()
    # Who has added to the queue meanwhile may have seen the worker.
    _start()


# Seconds after which a thread that waits for the interpreter's lock gets it, while there is work; and before.
SWITCH = 5e-4
_before: list[float] = []


def _switch_often() -> None:
    """Let threads have the lock after a tenth of the usual time: so long is a call held up, and so long waits LLVM."""
    before = sys.getswitchinterval()
    if before > SWITCH:
        _before[:] = [before]
        sys.setswitchinterval(SWITCH)


def _switch_as_before() -> None:
    """Undo this, unless somebody has set another time meanwhile."""
    while _before:
        before = _before.pop()
        if abs(sys.getswitchinterval() - SWITCH) < 1e-6:
            sys.setswitchinterval(before)


def _do_next() -> None:
    """Do a piece of work. It is in the queue until it is done: what ends before, or forks, leaves it there."""
    if _ending():
        _queue.clear()
    try:
        first = _queue[0]
    except IndexError:
        return
    later = first()
    if later is not None:
        later.run()
    with suppress(ValueError):
        _queue.remove(first)


def is_at_work() -> bool:
    """Whether this is the thread that works in the background: nobody waits for what it makes."""
    return get_ident() == _ident


def check() -> None:
    """Let other threads go on, and stop if the process is ending: called in the loops of long work.

    A third of the time is the work's. Without this, a thread that gives the interpreter's lock away with each NumPy
    call would get it back 5 ms later, a hundred calls' time.
    """
    if is_at_work():
        _pause()
    elif listeners:
        beat()


def _pause() -> None:
    global _resumed, _slice  # noqa: PLW0603
    now = perf_counter()
    worked = now - _resumed
    if worked < _slice:
        return
    if _ending():
        raise Cancelled
    pause = min(max(2 * worked - _waited(), SHORTEST_PAUSE), LONGEST_PAUSE)
    sleep(pause)
    _resumed = perf_counter()
    # A thread that never gives the lock away has had its time while this one waited for it.
    _slice = max(SLICE, _resumed - now - pause)


def _waited() -> float:
    """How long the lock was waited for after the last pause."""
    return _slice if _slice > SLICE else 0.0


def wait() -> None:
    """Wait until all that was asked for is done: for tests and measurements."""
    while _queue or _at_work():
        _start()
        sleep(SHORTEST_PAUSE)


def _begin_anew() -> None:
    """In the child of a fork there is no thread. One begins when somebody asks for a result."""
    global _ident, _worker, _working
    _ident, _worker, _working = 0, None, threading.Lock()
    _switch_as_before()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


@atexit.register
def _end() -> None:
    with _working:
        _queue.clear()
