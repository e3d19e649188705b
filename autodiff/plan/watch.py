"""Plans that may leave the range where the programs that they replace do not, and look whether they have.

A sum pushed into a product is the same sum, and saves much of what a mixture model's gradient costs; but it may
overflow before a small factor comes. So the sum itself is looked at after each call: where it is finite nothing has
been lost, and where it is not the program is computed as it was before rewriting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Plan
from ..core.program import Program
from ..whole import apart
from .wrapped import Wrapped


@apart
def _called(plan: Plan, values: tuple[Any, ...], seen: list[Any]) -> tuple[Any, ...]:
    # An overflow may be one that the careful plan does not have: it warns, if it has.
    with np.errstate(over="call", invalid="call", call=lambda *error: seen.append(error)):
        return plan(*values)


class Watched(Wrapped):
    """A plan that gives its witnesses after its results, and what is computed where these are not finite.

    Parameters
    ----------
    plan : Plan
    count : int
        How many results it has, without the witnesses.
    careful : Program
        Gives the same results, and is finite wherever these are.
    compile : callable
        Makes a plan of it, when it is first needed.
    """

    __slots__ = ("_careful", "_compile", "_count", "_program")

    def __init__(self, plan: Plan, count: int, careful: Program, compile: Callable[[Program], Plan]):
        super().__init__(plan)
        self._count = count
        self._program = careful
        self._compile = compile
        self._careful: Plan | None = None

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        seen: list[Any] = []
        results = _called(self._plan, values, seen)
        if not seen:
            for value in results[self._count :]:
                if not np.isfinite(value).all():
                    break
            else:
                return results[: self._count]
        if self._careful is None:
            self._careful = self._compile(self._program)
        return self._careful(*values)
