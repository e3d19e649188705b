"""Plans that are exchanged for faster ones once they are called often enough to pay for making these.

What pays is decided by the time that calls take, which is looked at in a few calls, each twice as late as the one
before at most, and by the time that making a faster plan will take. That is predicted from the length of the program,
in units of what this process takes to make the first kind of plan, and corrected by what making the others took: no
figure is of one machine. When the faster plan is there it and the first one answer in turn for a few calls, and the one
that was faster stays.
"""

from __future__ import annotations

import itertools
import sys
import time
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any, ClassVar, NamedTuple

from ..backend import Plan
from ..background import Cancelled, Later, enabled
from ..callers import user_frame
from .specialize import Specialized
from .wrapped import Wrapped

# A call that is looked at first: the one before does what is only done once.
FIRST_LOOK = 2

# The part of the time for which a faster plan is tried though less is estimated: estimates may be far too low (softmax:
# 1 % estimated, 55 % measured), and the trial says what is true.
WORTH_A_TRIAL = 0.3

# Calls of each of two plans that are compared.
TRIALS = 5

# Units that making a faster plan takes, a unit being what an operation takes in a plan of the first kind; for any
# program, and for each of its operations. The clock and a process's own figures soon correct both.
FOR_ANY, FOR_EACH = 1_000.0, 8.0

# Seconds of a unit at most, while fewer plans were made than the second figure. (What making the first faster plan took
# corrects it.)
NOMINAL_UNIT, FEW = 4e-5, 4

# Operations that the first kind of plan takes as many units for as for its own, whatever it is.
FOR_A_PLAN = 8

# The time of this thread alone, where the system has it: others, and pauses, are none of its costs. (That of Windows
# goes on in steps of 16 ms: most plans would seem to be made in no time.)
clock: Callable[[], float] = perf_counter if sys.platform == "win32" else getattr(time, "thread_time", perf_counter)


class Compiling:
    """What making faster plans takes in this process."""

    def __init__(self) -> None:
        self._unit, self._count = NOMINAL_UNIT, 0
        self._predicted = self._taken = 0.0

    def unit(self, operations: int, seconds: float) -> None:
        """Note how long a plan of the first kind took to make."""
        # The shortest: the first plans wait for imports, and any for other processes.
        unit = seconds / (operations + FOR_A_PLAN)
        self._unit = unit if self._count == FEW else min(self._unit, unit)
        self._count += 1

    def note(self, operations: int, seconds: float) -> None:
        """Note how long a faster plan took to make."""
        self._predicted += self._cost(operations)
        self._taken += seconds

    def _cost(self, operations: int) -> float:
        return self._unit * (FOR_ANY + FOR_EACH * operations)

    def seconds(self, operations: int) -> float:
        """What making a faster plan will take."""
        factor = self._taken / self._predicted if self._predicted else 1.0
        return factor * self._cost(operations)


COMPILING = Compiling()


class Made:
    """A faster plan, and the seconds that it took to make."""

    __slots__ = ("plan", "seconds")

    def __init__(self, plan: Plan, seconds: float):
        self.plan = plan
        self.seconds = seconds


class Outcome:
    """What came of a task that has made no plan.

    Attributes
    ----------
    saved : float or None
        The part of the time that a faster plan is estimated to save; None if there will be none.
    error : str
        Why not.
    """

    __slots__ = ("error", "saved")

    def __init__(self, saved: float | None, error: str = ""):
        self.saved = saved
        self.error = error


class Done(NamedTuple):
    """What came of a task that was done before anybody called the plan."""

    found: Made | Outcome

    def get(self) -> Made | Outcome:
        """What came of it."""
        return self.found


class Task(ABC):
    """How a faster plan is made.

    Attributes
    ----------
    what : str
        What is made, for messages.
    operations : int
        How long the program is.
    """

    what: ClassVar[str]
    operations: int

    @abstractmethod
    def nominal(self) -> float:
        """Seconds of a call of the first plan, as estimated from the program alone."""

    @abstractmethod
    def saved(self) -> float:
        """The part of the time that the faster plan is estimated to save."""

    @abstractmethod
    def make(self) -> Plan:
        """The faster plan."""

    def run(self, calls: int | None = None, seconds: float = 0.0) -> Made | Outcome:
        """The faster plan, if it pays after so many calls of so many seconds (and in any case if there are none)."""
        try:
            if calls is not None:
                saved = self.saved()
                if saved <= 0 or calls * seconds * max(saved, WORTH_A_TRIAL) <= COMPILING.seconds(self.operations):
                    return Outcome(saved)
            start = clock()
            plan = self.make()
            taken = clock() - start
        except Cancelled:
            raise
        except Exception as error:
            return Outcome(None, f"{self.what} failed: {type(error).__name__}: {error}")
        COMPILING.note(self.operations, taken)
        return Made(plan, taken)


class Hot(partial[tuple[Any, ...]]):
    """A plan that is exchanged for a faster one: a call of it is a call of what answers, and nothing beside.

    Parameters
    ----------
    plan : Plan
        The first one.
    task : Task
        Makes the faster one.
    made : Made or Outcome, optional
        What came of the task, if it was done.
    """

    __slots__ = ("_state",)
    _state: _State

    def __new__(cls, plan: Plan, task: Task, made: Made | Outcome | None = None) -> Hot:
        state = _State(plan, task, made)
        self = super().__new__(cls, state)
        self._state = state
        state.holder = weakref.ref(self)
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a plan cannot be pickled")

    @property
    def answering(self) -> Plan:
        """The plan that answers at present."""
        return self._state.answering

    @property
    def is_exchanged(self) -> bool:
        """Whether it is settled that the faster plan answers."""
        return self._state.is_exchanged

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self.answering.n_operations

    @property
    def n_launches(self) -> int:
        """Kernels and library functions that one call starts."""
        return getattr(self.answering, "n_launches", self.n_operations)

    @property
    def peak_bytes(self) -> int | None:
        """What one call holds at most."""
        return getattr(self.answering, "peak_bytes", None)

    @property
    def source(self) -> str:
        """What is executed at present."""
        return self.answering.source

    @property
    def tier(self) -> str:
        """Which plan answers, and why."""
        return self._state.text()


class _State:
    """Which plan answers, and what is known of both. Threads may call it at once: any of the plans is right for all.

    It is what is called until the faster plan is there and has shown that it is faster.
    """

    __slots__ = (
        "_calls",
        "_fast",
        "_later",
        "_look",
        "_reason",
        "_seconds",
        "_slow",
        "_task",
        "_turns",
        "answering",
        "holder",
    )

    holder: weakref.ref[Hot]

    def __init__(self, plan: Plan, task: Task, made: Made | Outcome | None = None):
        # Until it is settled which plan answers: it has the program.
        self._task: Task | None = task
        self._slow = self.answering = plan
        self._fast: Made | None = None
        self._calls = itertools.count(1)
        # It is taken by who calls first, who is told what has gone wrong.
        self._later: Later[Made | Outcome] | Done | None = None if made is None else Done(made)
        self._look = FIRST_LOOK if made is None else 0
        self._turns: Iterator[Plan] | None = None
        # The shortest call of each plan so far.
        self._seconds: dict[Plan, float] = {}
        self._reason = "too few calls to pay for machine code" if made is None else "machine code is there from now on"

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        calls = next(self._calls)
        if calls < self._look:
            return self._slow(*values)
        return self._looking(calls, values)

    def _looking(self, calls: int, values: tuple[Any, ...]) -> tuple[Any, ...]:
        later, turns = self._later, self._turns
        if turns is not None:
            plan = next(turns, None)
            if plan is None:
                self._decide()
                return self.answering(*values)
            return self._timed(plan, values)
        if later is not None:
            found = later.get()
            if found is not None:
                self._later = None
                self.take(found, calls)
            return self.answering(*values)
        task = self._task
        if task is None:
            # Another thread has settled it meanwhile, or was interrupted there.
            self._settle(self.answering)
            return self.answering(*values)
        if not enabled():
            # The same call in every run: nothing is measured.
            return self._begun(task, calls, task.nominal())(*values)
        results = self._timed(self._slow, values)
        self._begun(task, calls, self._seconds[self._slow])
        return results

    def _timed(self, plan: Plan, values: tuple[Any, ...]) -> tuple[Any, ...]:
        start = perf_counter()
        results = plan(*values)
        seconds = perf_counter() - start
        self._seconds[plan] = min(seconds, self._seconds.get(plan, seconds))
        return results

    def _begun(self, task: Task, calls: int, seconds: float) -> Plan:
        """Begin to make the faster plan if it may pay, whatever part of the time it saves; the plan that answers."""
        predicted = COMPILING.seconds(task.operations)
        if calls * seconds <= predicted:
            self._reason = f"{calls} calls do not pay for {task.what}, which takes about {_short(predicted)}"
            self._look = _next_look(calls, predicted / max(seconds, 1e-9))
            return self.answering
        self._reason = f"{task.what} since call {calls}"
        self._look = 0
        later = self._later = Later(partial(task.run, calls, seconds), task.what)
        if not enabled():
            found = later.get()
            self._later = None
            assert found is not None
            self.take(found, calls)
        return self.answering

    def take(self, found: Made | Outcome, calls: int = 0) -> None:
        """Take what came of the task, unless another thread has done that, and more."""
        task = self._task
        if task is None:
            return
        if isinstance(found, Made):
            self._fast = found
            if not enabled() or not TRIALS:
                self._settle(found.plan)
                return
            self._look = 0
            # The faster one first, whose first call does what is only done once.
            self._turns = iter([found.plan, self._slow] * TRIALS)
        elif found.saved is None:
            self._reason = found.error
            self._settle(self._slow)
            _tell(found.error)
        elif found.saved <= 0:
            self._reason = "machine code is estimated to save nothing"
            self._settle(self._slow)
        else:
            self._reason = f"machine code, estimated to save {found.saved:.0%}, has not paid yet"
            seconds = found.saved * (self._seconds.get(self._slow) or task.nominal())
            self._look = _next_look(calls, COMPILING.seconds(task.operations) / max(seconds, 1e-9))

    def _decide(self) -> None:
        """The plan that was faster is the one from now on."""
        fast = self._fast
        assert fast is not None
        seconds = self._seconds
        self._settle(min((fast.plan, self._slow), key=lambda plan: seconds.get(plan, float("inf"))))

    def _settle(self, plan: Plan) -> None:
        """From now on a call of the holder is a call of this plan."""
        self.answering = plan
        self._turns = self._task = None
        holder = self.holder()
        if holder is None:
            return
        # A plan that is a builtin with nothing around is called as such. (Both plans live on in this, which the holder
        # has: another thread may be in either of them.)
        called = plan.func if isinstance(plan, partial) and not (plan.args or plan.keywords) else plan
        # One call of C: a call that comes at the same time gets the one or the other.
        holder.__setstate__((called, (), {}, None))  # type: ignore[attr-defined]

    @property
    def is_exchanged(self) -> bool:
        """Whether it is settled that the faster plan answers."""
        return self._fast is not None and self.answering is self._fast.plan

    def text(self) -> str:
        """Which plan answers, and why."""
        fast, seconds = self._fast, self._seconds
        measured = seconds.get(self._slow)
        slow = "" if measured is None else f", {_short(measured)} a call"
        if fast is None:
            return f"numpy{slow}: {self._reason}"
        took = f"compiled in {_short(fast.seconds)}"
        if fast.plan not in seconds:
            return f"llvm, {took}" if self.answering is fast.plan else f"numpy{slow}: {took}, not tried yet"
        if measured is None:
            return f"numpy and llvm in turn, to compare them: {took}, {_short(seconds[fast.plan])} a call"
        both = f"{_short(seconds[fast.plan])} a call where NumPy's plan takes {_short(measured)}"
        if self._turns is not None:
            return f"numpy and llvm in turn, to compare them: {both}"
        return f"llvm, {took}: {both}" if self.answering is fast.plan else f"numpy: machine code takes {both}"


def _next_look(calls: int, paying: float) -> int:
    """The call to look at next: twice as late as the last one, or when so many calls will pay."""
    return min(2 * calls, max(int(paying), calls) + 1)


def _short(seconds: float) -> str:
    """A time as people read it."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


# What was said already: where no plan can be made for one reason, that is said once.
_said: set[str] = set()
MOST_SAID = 100


def _tell(error: str) -> None:
    if error not in _said and len(_said) < MOST_SAID:
        _said.add(error)
        warnings.warn(f"{error}, so the slower plan stays", RuntimeWarning, stacklevel=user_frame()[1])


def tier_of(plan: Plan) -> str | None:
    """What a plan, or one in it, says of its tiers; None if it has none."""
    while isinstance(plan, (Wrapped, Specialized)):
        plan = plan.answering
    return plan.tier if isinstance(plan, Hot) else None
