"""Long work says what it does: as bars of tqdm, or to a function, if asked; what was compiled for long to ``logging``.

Nothing is timed in a loop that nobody looks at: ``counted`` gives back what it is given.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from .errors import ArgumentError, UnsupportedError, shown
from .importing import imported
from .tracebacks import boundary

T = TypeVar("T")

# Seconds that work takes before anything is said of it, and between two events.
LONG = 1.0
BETWEEN = 0.1

LOGGER = "autodiff"


class Progress(NamedTuple):
    """How far long work is: what the function that ``set_progress`` was given is called with.

    Parameters
    ----------
    task : int
        A number of the work, the same for all its events.
    what : str
        What it is: "compiling", or the function that was called, such as "odeint".
    doing : str
        A part of it, such as "differentiating".
    done : int
        Steps done; operations written, evaluations of a function, or percents of the time of a differential equation.
    total : int or None
        How many there are, if that is known.
    seconds : float
        Since it began.
    ended : bool
        Whether this is its last event.

    Examples
    --------
    >>> import autodiff as ad
    >>> event = ad.Progress(1, "odeint", "integrating", 40, 100, 1.5, ended=False)
    >>> f"{event.what}: {event.done / event.total:.0%}"
    'odeint: 40%'
    """

    task: int
    what: str
    doing: str
    done: int
    total: int | None
    seconds: float
    ended: bool


Listener = Callable[[Progress], None]

# Who listens, if anybody does. Loops that are not to be slowed down ask this themselves.
listeners: list[Listener] = []
_numbers = itertools.count(1)


class Task:
    """Work that may take long, and says so to who listens.

    Parameters
    ----------
    what : str
        What follows a colon is not shown.
    total : int, optional
    """

    __slots__ = ("__weakref__", "_due", "_told", "begin", "doing", "done", "number", "total", "what")

    def __init__(self, what: str, total: int | None = None):
        self.what = what.partition(":")[0]
        self.total = total
        self.number = next(_numbers)
        self.done = 0
        self.doing = ""
        self.begin = perf_counter()
        self._due = self.begin + LONG
        self._told = False

    def at(self, done: int) -> None:
        """So much is done."""
        self.done = done
        now = perf_counter()
        if now >= self._due:
            self._due = now + BETWEEN
            self._tell(now, False)

    def end(self) -> None:
        """It has ended, however it did."""
        now = perf_counter()
        if self._told or now - self.begin >= LONG:
            self._tell(now, True)

    def _tell(self, now: float, ended: bool) -> None:
        for listener in listeners:
            self._told = not ended
            listener(Progress(self.number, self.what, self.doing, self.done, self.total, now - self.begin, ended))


def begun(what: str, total: int | None = None) -> Task | None:
    """Work that begins, if somebody listens."""
    return Task(what, total) if listeners else None


def counted(steps: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Steps of a loop, which are counted if somebody listens."""
    return _counted(steps, Task(what, total)) if listeners else steps


def _counted(steps: Iterable[T], task: Task) -> Iterator[T]:
    try:
        for done, step in enumerate(steps, 1):
            yield step
            task.at(done)
    finally:
        task.end()


# --- compiling -------------------------------------------------------------------------------------------------------


class Making(Task):
    """A plan that is made now, because somebody waits for it."""

    __slots__ = ("_since", "stages")

    def __init__(self) -> None:
        super().__init__("compiling")
        self.doing = "recording"
        self._since = self.begin
        self.stages: dict[str, float] = {}

    def enter(self, stage: str) -> None:
        """Another part begins."""
        now = perf_counter()
        self.stages[self.doing] = self.stages.get(self.doing, 0.0) + now - self._since
        self.doing, self._since = stage, now
        if listeners:
            self.at(self.done)

    def made(self, operations: int, seconds: float) -> None:
        """It is there: if that took long, it is said."""
        if seconds < LONG:
            return
        self.enter("")
        self.done = operations
        self.end()
        parts = ", ".join([f"{stage} {spent:.2f} s" for stage, spent in self.stages.items() if spent >= 0.01])
        log(f"compiled {operations:,} operations in {seconds:.2f} s ({parts}); what is recorded alike finds them")


class _Here(threading.local):
    making: Any = None


_here = _Here()


def making() -> Making | None:
    """A plan that begins to be made; None for what is made inside of another one.

    Nothing has to be undone: it is being made as long as the caller holds this.
    """
    outer = _here.making
    if outer is not None and outer() is not None:
        return None
    task = Making()
    _here.making = weakref.ref(task)
    return task


def stage(name: str) -> None:
    """What the plan that is made now comes to."""
    reference = _here.making
    task = None if reference is None else reference()
    if task is not None:
        task.enter(name)


def beat() -> None:
    """An operation more was written: called in the loops of long work, if somebody listens."""
    reference = _here.making
    task = None if reference is None else reference()
    if task is not None:
        task.at(task.done + 1)


def made_beside(what: str, seconds: float) -> None:
    """Say what was made, while other plans answer, if it took long."""
    if seconds < LONG:
        return
    log(f"{what} took {seconds:.2f} s")
    for listener in listeners:
        try:
            listener(Progress(next(_numbers), what, "", 1, 1, seconds, True))
        except Exception:
            # Nobody waits for this who could be told.
            imported("logging").getLogger(LOGGER).exception("the function given to set_progress failed")


def log(message: str) -> None:
    """A line at level INFO. (Who logs has imported ``logging``; others need not wait for that.)"""
    imported("logging").getLogger(LOGGER).info(message)


# --- who listens -----------------------------------------------------------------------------------------------------


class Bars:
    """Progress as bars of tqdm, which go when the work has ended."""

    def __init__(self) -> None:
        try:
            self._tqdm = imported("tqdm.auto").tqdm
        except ImportError:
            raise UnsupportedError(
                "set_progress: bars need tqdm, which is not installed; pip install tqdm, or give a function, as in "
                "ad.set_progress(print)"
            ) from None
        self._bars: dict[int, Any] = {}

    def __call__(self, event: Progress) -> None:
        bar = self._bars.get(event.task)
        if bar is None:
            if event.ended:
                return
            bar = self._bars[event.task] = self._tqdm(total=event.total, desc=event.what, leave=False)
            bar.start_t -= event.seconds
        bar.n = event.done
        bar.set_postfix_str(event.doing, refresh=True)
        if event.ended:
            del self._bars[event.task]
            bar.close()


@boundary
def set_progress(progress: bool | Listener) -> None:
    """Show how far work is that takes longer than a second, or no longer.

    Parameters
    ----------
    progress : bool or callable
        True for bars of tqdm, in a terminal or a notebook. A function for events: it is called with a ``Progress`` ten
        times a second, and when the work has ended, in the thread that works. False for neither, as at the beginning.

    Raises
    ------
    UnsupportedError
        If bars are asked for, and tqdm is not installed.
    ArgumentError
        If it is none of these.

    Notes
    -----
    Work is a compilation (which differentiates, too), a loop whose steps run in Python (``scan``, ``while_loop``,
    ``fori_loop``, what is computed again for a checkpoint), ``odeint``, and the search of ``minimize``,
    ``least_squares``, ``root`` and ``fixed_point``. It is about all threads.

    Whatever is set, a compilation that took longer than a second is a line of the logger "autodiff" at level INFO.

    Examples
    --------
    >>> import autodiff as ad
    >>> import logging
    >>> logging.basicConfig(level=logging.INFO)  # for what was compiled for long
    >>> ad.set_progress(lambda event: print(f"{event.what}: {event.done} of {event.total}"))
    >>> ad.set_progress(False)
    """
    if isinstance(progress, bool):
        listeners[:] = [Bars()] if progress else []
    elif callable(progress):
        listeners[:] = [progress]
    else:
        raise ArgumentError(f"set_progress: {shown(progress)} is neither True, False nor a function of an event")
