"""Notices loops that differentiate with respect to what they update: the history grows, and no plan is found again.

``w = w - rate * g`` makes a result of operations of a variable. The next gradient is taken with respect to that, which
is another structure, and so on: each step compiles, and is longer than the one before. ``w.assign_sub(rate * g)`` is
what was meant.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

from .callers import user_frame
from .errors import GrowthWarning
from .nodes import Node
from .plan import Collected
from .watching import is_tracing

# So many compilations in a row that each continue the one before.
STEPS = 16
# More may be meant where derivatives are recorded: one may be taken through all steps of an inner problem, or of an
# integrator, in the first iteration of an outer loop.
RECORDED_STEPS = 64

# Lines of the user's that are remembered.
LINES = 64


class _Step(NamedTuple):
    """A compilation: what derivatives were taken with respect to, and how many it continues."""

    nodes: list[weakref.ref[Node]]
    length: int
    repeats: int


class Growth:
    """What a graph compiled, by the line that asked for it. Looked at when a plan is not found, never else."""

    __slots__ = ("_lines", "_warned")

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int], _Step] = {}
        self._warned: dict[tuple[str, int], object] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Lines of a process.
        return Growth, ()

    def note(self, collected: Collected, wrt: Sequence[Node], steps: int = STEPS) -> None:
        """A plan is compiled for this structure; warn if it continues so many compiled before it from the same line.

        A function that is traced does what it does once, however often it is called.
        """
        if is_tracing():
            return
        frame, depth = user_frame()
        line = frame.f_code.co_filename, frame.f_lineno
        # Single operations on dictionaries: this may be entered by several threads, and by a signal handler in between.
        before = self._lines.pop(line, None)
        count = 0 if before is None or not _continues(before, collected, wrt) else before.repeats + 1
        self._lines[line] = _Step([weakref.ref(node) for node in wrt], len(collected.numbers), count)
        for oldest in list(self._lines)[:-LINES]:
            self._lines.pop(oldest, None)
        mine = object()
        if count < steps or len(self._warned) >= LINES or self._warned.setdefault(line, mine) is not mine:
            return
        warnings.warn(_message(wrt, count), GrowthWarning, stacklevel=depth)


def _continues(before: _Step, collected: Collected, nodes: Sequence[Node]) -> bool:
    """Whether what a structure is differentiated with respect to was made of what another was, and it is longer."""
    if len(collected.numbers) <= before.length:
        return False
    for ref, node in zip(before.nodes, nodes, strict=False):
        # A variable, at first, and then a result of operations on what was there a step before.
        older = ref()
        if older is not None and older is not node and node.inputs and older in collected.numbers:
            return True
    return False


def _message(wrt: Sequence[Node], count: int) -> str:
    i = next(i for i, x in enumerate(wrt) if x.inputs)
    return (
        f"variable {i} of this gradient, a Tensor {wrt[i].aval!r}, is a result of operations on that of "
        f"the call before, {count} times in a row by now: its history grows, and each call compiles a longer one. To "
        "update a variable write w.assign_sub(rate * g) instead of w = w - rate * g, or use ad.optim"
    )
