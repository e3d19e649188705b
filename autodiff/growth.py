"""Notices loops that differentiate with respect to what they update: the history grows, and no plan is found again.

``w = w - rate * g`` makes a result of operations of a variable. The next gradient is taken with respect to that, which
is another structure, and so on: each step compiles, and is longer than the one before. ``w.assign_sub(rate * g)`` is
what was meant.
"""

from __future__ import annotations

import sys
import threading
import warnings
import weakref
from collections.abc import Sequence
from typing import NamedTuple

from .errors import GrowthWarning
from .handle import Handle
from .nodes import Node
from .plan import Trace

# So many compilations in a row that each continue the one before. Fewer may be meant: the steps of an inner problem, in
# the first iteration of an outer one, through all of which a derivative is taken.
STEPS = 16

# Lines of the user's that are remembered.
LINES = 64


class _Step(NamedTuple):
    """A compilation: what derivatives were taken with respect to, and how many it continues."""

    nodes: list[weakref.ref[Node]]
    length: int
    repeats: int


class Growth:
    """What a graph compiled, by the line that asked for it. Looked at when a plan is not found, never else."""

    __slots__ = ("_lines", "_lock", "_warned")

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int], _Step] = {}
        self._warned: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    def note(self, trace: Trace, wrt: Sequence[Handle]) -> None:
        """A plan is compiled for this structure; warn if it continues those compiled before it from the same line."""
        depth, line = _caller()
        nodes = [x.node for x in wrt]
        with self._lock:
            before = self._lines.pop(line, None)
            count = 0 if before is None or not _continues(before, trace, nodes) else before.repeats + 1
            if len(self._lines) >= LINES:
                del self._lines[next(iter(self._lines))]
            self._lines[line] = _Step([weakref.ref(node) for node in nodes], len(trace.numbers), count)
            if count < STEPS or line in self._warned or len(self._warned) >= LINES:
                return
            self._warned.add(line)
        warnings.warn(_message(wrt, count), GrowthWarning, stacklevel=depth)


def _continues(before: _Step, trace: Trace, nodes: list[Node]) -> bool:
    """Whether what a structure is differentiated with respect to was made of what another was, and it is longer."""
    if len(trace.numbers) <= before.length:
        return False
    for ref, node in zip(before.nodes, nodes, strict=False):
        # A variable, at first, and then a result of operations on what was there a step before.
        older = ref()
        if older is not None and older is not node and node.inputs and older in trace.numbers:
            return True
    return False


def _message(wrt: Sequence[Handle], count: int) -> str:
    place = next(i for i, x in enumerate(wrt) if x.node.inputs)
    return (
        f"variable {place} of this gradient, a Tensor {wrt[place].node.aval!r}, is a result of operations on that of "
        f"the call before, {count} times in a row by now: its history grows, and each call compiles a longer one. To "
        "update a variable write w.assign_sub(rate * g) instead of w = w - rate * g, or use ad.optim"
    )


def _caller() -> tuple[int, tuple[str, int]]:
    """How many frames up the first one outside this package is, and its line."""
    package = __name__.partition(".")[0]
    frame = sys._getframe(1)
    depth = 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame = frame.f_back
        depth += 1
    return depth, (frame.f_code.co_filename, frame.f_lineno)
