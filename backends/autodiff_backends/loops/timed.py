"""Plans of regions that say what each region takes: for ``Graph.profile``, never for answers."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from autodiff.backend import Part, Plan, Timed
from autodiff.core.program import Program

from .regions import Composed, Cuts, Region


def kernel_part(program: Program, numbers: list[int], cuts: Cuts) -> Part:
    """What a kernel computes."""
    return Part.of("kernel", program, [n for n in numbers if not cuts.is_view(program, n)])


class TimedKernel:
    """A kernel, which is timed as a whole.

    Attributes
    ----------
    parts : list of Part
        One.
    n_operations : int
    source : str
    """

    def __init__(self, plan: Plan, program: Program, cuts: Cuts):
        self._plan = plan
        self.parts = [kernel_part(program, [n for n, _, _ in program.applications()], cuts)]
        self.n_operations, self.source = plan.n_operations, plan.source

    def seconds(self, *values: Any) -> tuple[tuple[Any, ...], list[float] | None]:
        """The results, and what the kernel has taken."""
        begin = perf_counter()
        results = self._plan(*values)
        return results, [perf_counter() - begin]


class _Step:
    """A region's plan, which notes what it takes."""

    def __init__(self, timed: Timed, log: list[list[float] | None]):
        self.timed, self._log = timed, log
        self.n_operations, self.source = timed.n_operations, timed.source

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        results, seconds = self.timed.seconds(*values)
        self._log.append(seconds)
        return results


class TimedRegions:
    """A plan of regions.

    Attributes
    ----------
    parts : list of Part
        Kernels, and the parts of other regions.
    n_operations : int
    source : str
    """

    def __init__(self, program: Program, found: list[Region], cuts: Cuts, compile: Callable[[str, Program], Timed]):
        self._log: list[list[float] | None] = []
        self._plan = Composed(program, found, cuts, lambda kind, part: _Step(compile(kind, part), self._log))
        self.parts: list[Part] = []
        for (step, _, _), region in zip(self._plan.steps, self._plan.regions, strict=True):
            assert isinstance(step, _Step)
            if isinstance(step.timed, TimedKernel):
                # One plan may be of several regions.
                self.parts.append(kernel_part(program, [n for n, _, _ in region.members], cuts))
            else:
                self.parts += step.timed.parts
        self.n_operations, self.source = self._plan.n_operations, self._plan.source

    def seconds(self, *values: Any) -> tuple[tuple[Any, ...], list[float] | None]:
        """The results, and what the parts have taken."""
        self._log.clear()
        results = self._plan(*values)
        if None in self._log:
            return results, None
        return results, [seconds for found in self._log for seconds in found or ()]
