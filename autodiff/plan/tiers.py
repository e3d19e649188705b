"""Plans that answer with what is there at once, and are made better once it is clear that they are called again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ..backend import Plan
from ..background import Later
from .wrapped import Wrapped

# Calls that the first plan answers.
CALLS_AT_ONCE = 2


class Tiered(Wrapped):
    """A plan that answers until another is made, in the background, from its third call on.

    Parameters
    ----------
    plan : Plan
    make : callable
        Makes the better one.
    what : str
        What that is, for the message if it fails.
    """

    __slots__ = ("_calls", "_later", "_make", "_what")

    def __init__(self, plan: Plan, make: Callable[[], Plan], what: str):
        super().__init__(plan)
        self._make: Callable[[], Plan] | None = make
        self._what = what
        self._calls = itertools.count(1)
        self._later: Later[Plan] | None = None

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        make = self._make
        if make is not None and next(self._calls) > CALLS_AT_ONCE:
            self._improve(make)
        return self._plan(*values)

    def _improve(self, make: Callable[[], Plan]) -> None:
        """Take the better plan if it is there. Two threads may begin one at once; both get the same."""
        later = self._later
        if later is None:
            later = self._later = Later(make, self._what)
        plan = later.get()
        if plan is not None:
            self._plan = plan
            self._make = self._later = None
