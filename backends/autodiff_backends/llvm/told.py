"""What kernels say of floating point: as NumPy's plans do, at the user's line and by operation.

The processor notes divisions by zero, overflows and the like in flags, whatever computes. A kernel looks at these at
its end. If one is up that somebody may want to hear of, NumPy's plan of the same program is called as well, and says
what it always says, in the error state of the user: that warns, raises, calls or ignores. So a flag that a kernel
raises where NumPy has nothing to say costs time, and is no wrong warning. Where that happens call after call, as on
infinite data, it is looked at ever more rarely; but not where the user wants an error.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from autodiff.backend import Repetition
from autodiff.core.program import Program
from autodiff.whole import apart

from ..numpy.backend import BACKEND as NUMPY
from ..numpy.flags import WORDS

# The bits of C's ``fetestexcept`` for "divide", "over", "under" and "invalid", by processor.
BITS = {
    **dict.fromkeys(("x86_64", "amd64", "x64"), (4, 8, 16, 1)),
    **dict.fromkeys(("aarch64", "arm64"), (2, 4, 8, 1)),
}
# Microsoft's C library has bits of its own, the same for all.
BITS_OF_WINDOWS = (8, 4, 2, 16)

# After so many false alarms in a row some are not looked at, twice as many after each further one, up to a bound.
PATIENCE, MOST_SKIPPED = 8, 1024


@cache
def bits() -> dict[str, int]:
    """The bits of flags by NumPy's words; none where they are not known."""
    found = BITS_OF_WINDOWS if sys.platform == "win32" else BITS.get(platform.machine().lower())
    return dict(zip(WORDS.values(), found, strict=True)) if found else {}


def mask(quiet: bool) -> int:
    """The flags that a program looks at: where elements are not chosen, nothing is said of what gives NaN for them."""
    heard = [WORDS["over"], WORDS["under"]] if quiet else WORDS.values()
    return sum([bits().get(word, 0) for word in heard])


class Told:
    """Says what a call of a kernel has noted. It is called with the arguments of the kernel.

    Parameters
    ----------
    make : callable
        Makes what computes the same by NumPy's plans.
    """

    __slots__ = ("_false", "_make", "_plan", "_skipped")

    def __init__(self, make: Callable[[], Callable[..., Any]]):
        self._make = make
        self._plan: Callable[..., Any] | None = None
        # False alarms in a row, and how many more are not looked at.
        self._false = self._skipped = 0

    def __call__(self, *values: Any) -> None:
        actions = set(np.geterr().values())
        if actions == {"ignore"}:
            return
        if self._skipped and actions.isdisjoint(("raise", "call")):
            self._skipped -= 1
            return
        if self._plan is None:
            self._plan = self._make()
        if _is_noted(self._plan, values):
            self._false = 0
            self._plan(*values)
        else:
            self._false += 1
            self._skipped = min((1 << self._false) // PATIENCE, MOST_SKIPPED)


def of_plan(program: Program) -> Told:
    """For the kernel of a program."""
    return Told(partial(NUMPY.compile, program))


def of_steps(program: Program, loop: Repetition) -> Told:
    """For a loop whose step is a program."""
    return Told(partial(_in_steps, program, loop))


def _in_steps(program: Program, loop: Repetition) -> Callable[..., None]:
    """A loop by NumPy's plan of its step, of which nobody wants the results."""
    plan = NUMPY.compile(program)
    first, count = loop.consts + loop.carry, len(loop.inputs)

    def run(*values: Any) -> None:
        carried = values[loop.consts : first]
        rows = [np.moveaxis(array, axis, 0) for array, axis in zip(values[first:], loop.along, strict=True)]
        for i in range(loop.length)[:: -1 if loop.reverse else 1]:
            given = [*values[: loop.consts], *carried, *[array[i] for array in rows]]
            made = plan(*given)
            carried = tuple([given[n] if n < count else made[n - count] for n in loop.outputs[: loop.carry]])

    return run


@apart
def _is_noted(plan: Callable[..., Any], values: tuple[Any, ...]) -> bool:
    """Whether NumPy has something to say that the user does not ignore."""
    seen: list[str] = []
    state: dict[str, Any] = {name: "ignore" if action == "ignore" else "call" for name, action in np.geterr().items()}
    with np.errstate(**state, call=lambda word, flag: seen.append(word)):
        plan(*values)
    return bool(seen)
