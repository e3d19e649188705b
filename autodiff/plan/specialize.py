"""Plans that know the numbers in indices.

The numbers in an index are data, so that ``x[i]`` in a loop over ``i`` is one structure. Yet most are the same at
every call (``x[1:]``, ``gates[:n]``), and knowing them makes better programs: equal slices are one value, and
slices that do not overlap need no addition into zeros. A plan is therefore compiled for the index values it meets,
and compiled again without those that turn out to vary: in the background, while the program as it was recorded is
interpreted, where the backend can do that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..backend import Plan
from ..background import Later, enabled
from ..core.program import Program, Rewrite, rebuild

Make = Callable[[bool], Program]

# After this many times that known index values changed, none is taken as known.
MOST_CHANGES = 3


class Known(NamedTuple):
    """A plan, and the values that inputs must have for it."""

    plan: Plan
    places: list[int]
    values: list[Any]


def _compiled(program: Program, rewrite: Rewrite, compile: Callable[[Make], Plan], known: Mapping[int, Any]) -> Known:
    # A copy at one stroke: values that change are taken out meanwhile.
    known = dict(known)
    plan = compile(lambda watched: rebuild(program, rewrite, known, watched))
    return Known(plan, list(known), list(known.values()))


def _drop_changed(same: dict[int, Any], values: tuple[Any, ...]) -> None:
    """Take out what is other than it was. Threads may do so at once."""
    for i in [i for i, value in same.copy().items() if values[i] != value]:
        same.pop(i, None)


class Specialized:
    """A plan for the values that some inputs have had at every call so far.

    Parameters
    ----------
    program : Program
        As recorded and differentiated, not simplified: what other plans are made from.
    known : mapping of int to object
        Index values by the number of their input.
    rewrite : callable
        Simplifies, knowing them.
    compile : callable
        Makes a plan, given what builds the program: a function of whether witnesses are looked at.
    interpret : callable
        Makes one that is there at once, to answer until another is compiled; or gives None.
    """

    __slots__ = ("_changes", "_compiled", "_current", "_interim", "_interpret", "_later", "_program", "_same")

    def __init__(
        self,
        program: Program,
        known: Mapping[int, Any],
        rewrite: Rewrite,
        compile: Callable[[Make], Plan],
        interpret: Callable[[Program], Plan | None] = lambda program: None,
    ):
        self._program = program
        self._compiled = partial(_compiled, program, rewrite, compile)
        self._interpret = interpret
        self._changes = 0
        self._current = self._compiled(known)
        self._interim: Plan | None = None
        self._later: Later[Known] | None = None
        # What the plan in the making will know.
        self._same: dict[int, Any] = {}

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self._current.plan.n_operations

    @property
    def n_launches(self) -> int:
        """Kernels and library functions that one call starts."""
        plan = self._current.plan
        return getattr(plan, "n_launches", plan.n_operations)

    @property
    def answering(self) -> Plan:
        """The plan that answers at present."""
        return self._current.plan

    @property
    def source(self) -> str:
        """What is executed at present."""
        return self._current.plan.source

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        plan, places, known = self._current
        if [values[i] for i in places] != known:
            plan = self._other(values)
        return plan(*values)

    def _other(self, values: tuple[Any, ...]) -> Plan:
        """A plan that is right for these values too. Threads may come here at once; any result is right for all."""
        later = self._later
        if later is not None:
            better = later.get()
            if better is not None:
                self._current = better
                self._later = self._interim = None
                return self._fitting(values, better)
            _drop_changed(self._same, values)
        return self._interim or self._begun(values)

    def _fitting(self, values: tuple[Any, ...], current: Known) -> Plan:
        return current.plan if [values[i] for i in current.places] == current.values else self._other(values)

    def _begun(self, values: tuple[Any, ...]) -> Plan:
        """Begin to compile another plan, and give one to use meanwhile."""
        self._changes += 1
        _, places, known = self._current
        same = dict(zip(places, known, strict=True)) if self._changes < MOST_CHANGES else {}
        _drop_changed(same, values)
        self._same = same
        interim = self._interpret(self._program) if enabled() else None
        if interim is None:
            # Another thread may put its own there meanwhile.
            current = self._current = self._compiled(same)
            return current.plan
        later = Later(partial(self._compiled, same), "compiling a plan for other index values")
        self._interim, self._later = interim, later
        return interim
