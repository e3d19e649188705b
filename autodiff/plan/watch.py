"""Plans that may leave the range where the programs that they replace do not, and look whether they have.

A sum pushed into a product is the same sum, and saves much of what a mixture model's gradient costs; but it may
overflow before a small factor comes. So the sum itself is looked at after each call: where it is finite nothing has
been lost, and where it is not the program is computed as it was before rewriting. A loop that was written out has
hundreds of such sums, of which the plan makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..backend import Plan
from ..core.program import Program
from ..whole import apart
from .wrapped import Wrapped

# To look at so many costs a microsecond each, and leaves the plan as it is.
FEW = 4


def folded(program: Program, witnesses: Sequence[int]) -> tuple[int, ...]:
    """In place of many witnesses the sum of all of each dtype: it is finite only where all of them are.

    Where they are and it overflows, the careful program is computed to no purpose; so those of a small range stay.
    """
    if len(witnesses) <= FEW:
        return tuple(witnesses)
    totals: dict[Any, int] = {}
    rest = []
    for witness in witnesses:
        aval = program.avals[witness]
        if aval.dtype.itemsize < np.dtype(np.float32).itemsize:
            rest.append(witness)
            continue
        axes = tuple(range(aval.ndim))
        one = program.call(ops.sum_p, witness, params=(axes,)) if axes else witness
        total = totals.get(aval.dtype)
        totals[aval.dtype] = one if total is None else program.call(ops.add, total, one)
    return (*totals.values(), *rest)


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
