"""Plans that know the numbers in indices.

The numbers in an index are data, so that ``x[i]`` in a loop over ``i`` is one structure. Yet most are the same at
every call (``x[1:]``, ``gates[:n]``), and knowing them makes better programs: equal slices are one value, and
slices that do not overlap need no addition into zeros. A plan is therefore compiled for the index values it meets,
and compiled again without those that turn out to vary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..backend import Plan
from .program import Program, Rewrite, rebuild

Make = Callable[[bool], Program]

# After this many times that known index values changed, none is taken as known.
MOST_CHANGES = 3


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
    """

    __slots__ = ("_changes", "_compile", "_current", "_program", "_rewrite")

    def __init__(self, program: Program, known: Mapping[int, Any], rewrite: Rewrite, compile: Callable[[Make], Plan]):
        self._program = program
        self._rewrite = rewrite
        self._compile = compile
        self._changes = 0
        self._current = self._made(known)

    def _made(self, known: Mapping[int, Any]) -> tuple[Plan, list[int], list[Any]]:
        plan = self._compile(lambda watched: rebuild(self._program, self._rewrite, known, watched))
        return plan, list(known), list(known.values())

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self._current[0].n_operations

    @property
    def n_launches(self) -> int:
        """Kernels and library functions that one call starts."""
        plan = self._current[0]
        return getattr(plan, "n_launches", plan.n_operations)

    @property
    def source(self) -> str:
        """What is executed at present."""
        return self._current[0].source

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        plan, places, known = self._current
        if [values[i] for i in places] != known:
            # Two threads may generalize at once; either result is right for both.
            plan = self._generalize(values, places, known)
        return plan(*values)

    def _generalize(self, values: tuple[Any, ...], places: list[int], known: list[Any]) -> Plan:
        self._changes += 1
        same = {i: k for i, k in zip(places, known, strict=True) if values[i] == k}
        self._current = self._made(same if self._changes < MOST_CHANGES else {})
        return self._current[0]
