"""Plans that hold no more bytes than a limit: compiled for a program in which values are computed again."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..backend import Backend, Plan
from ..core.program import Program
from ..errors import OutOfMemoryError
from .costs import nbytes
from .liveness import Values
from .memory import Held, TooLittle, held, least, rewritten, texts
from .specialize import Specialized
from .tiers import Tiered
from .wrapped import Wrapped

# What a backend makes of a program may hold more than the values that are needed at each place: then it is given a
# program for a lower limit, so many times at most.
TRIES = 3


class Memory(NamedTuple):
    """What a call of a plan holds.

    Parameters
    ----------
    peak_bytes : int or None
        At most, beside its arguments; None where that is not known.
    stored : tuple of str
        The values that are there then, under a limit.
    again : tuple of str
        The values that are computed again for the limit.
    """

    peak_bytes: int | None
    stored: tuple[str, ...] = ()
    again: tuple[str, ...] = ()


class Limited(Wrapped):
    """A plan under a limit.

    Parameters
    ----------
    plan : Plan
    memory : Memory
        What it holds.
    """

    __slots__ = ("memory",)

    def __init__(self, plan: Plan, memory: Memory):
        super().__init__(plan)
        self.memory = memory

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        return self._plan(*values)


def limited(program: Program, backend: Backend, limit: int) -> Plan:
    """A plan of a program that holds at most so many bytes, and computes as little as possible again."""
    values = Values(program)
    found = held(values)
    plan, peak = _made(program, backend, found)
    if peak <= limit:
        return _of(program, plan, peak, found)
    try:
        found = within = held(values, limit)
        target = limit
        for _ in range(TRIES if within.again else 0):
            plan, peak = _made(rewritten(program, found.steps), backend, found)
            if peak <= limit:
                return _of(program, plan, peak, found)
            target -= peak - limit
            found = held(values, target)
    except TooLittle:
        if found.peak > limit:
            raise _impossible(program, values, limit) from None
    made = rewritten(program, within.steps)
    return _of(program, backend.frugal(made) or backend.compile(made), within.peak, within)


def _made(program: Program, backend: Backend, found: Held) -> tuple[Plan, int]:
    """The plan of a backend, and how many bytes it holds."""
    plan = backend.compile(program)
    if isinstance(plan, Tiered):
        # What comes later is not known yet.
        plan = backend.frugal(program) or plan
    peak = getattr(plan, "peak_bytes", None)
    return plan, found.peak if peak is None else peak


def _of(program: Program, plan: Plan, peak: int, found: Held) -> Limited:
    return Limited(plan, Memory(peak, tuple(texts(program, found.stored)), tuple(texts(program, found.again))))


def memory_of(plan: Plan) -> Memory:
    """What a call of any plan holds."""
    while isinstance(plan, (Wrapped, Specialized)):
        if isinstance(plan, Limited):
            return plan.memory
        plan = plan.answering
    return Memory(getattr(plan, "peak_bytes", None))


def _impossible(program: Program, values: Values, limit: int) -> OutOfMemoryError:
    largest = max(values.size, key=values.size.__getitem__)
    (text,) = texts(program, [largest])
    return OutOfMemoryError(
        f"memory_limit={limit}: the least that does is {least(values, limit)} bytes, results included and arguments "
        f"not; the largest value is {text} of {nbytes(program.avals[largest])} bytes. Give a higher limit, or compute "
        "on fewer rows at once"
    )
