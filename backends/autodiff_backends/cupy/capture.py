"""Captured launches: many kernels of one plan started as one CUDA graph, on arrays that do not move.

What a graph is worth is that a call costs the host one launch. What is captured is compared once with plain launches,
bit for bit; a plan for which that fails is never captured again.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from autodiff.whole import uncollected

from .device import Device

# The copy of an array costs about what a launch does, so a graph has to be worth more launches than there are copies.
MIN_LAUNCHES = 16
LAUNCHES_FOR_A_COPY = 2
# Of the arrays that each captured stream keeps.
MAX_BYTES = 64 << 20
# The call on a stream that captures; those before have loaded all kernels.
CAPTURING_CALL = 3
# How many streams of a plan are remembered.
MAX_STREAMS = 4

# The first line of a source.
CAPTURED = f"// launched one by one in the first {CAPTURING_CALL} calls on a stream, as one captured CUDA graph later"

# Handles that the garbage collector destroys meanwhile would break a capture, so it is paused; one capture at a time.
_one_capture = threading.RLock()


def pays(n_launches: int, n_copies: int, nbytes: int) -> bool:
    """Whether launches are to be captured.

    Parameters
    ----------
    n_launches : int
    n_copies : int
        Arrays that a call takes and makes.
    nbytes : int
        Of these and of the workspaces.
    """
    return n_launches >= MIN_LAUNCHES and n_launches > LAUNCHES_FOR_A_COPY * n_copies and nbytes <= MAX_BYTES


class Bound(NamedTuple):
    """Arrays that a plan's launches take and nothing else does, kept as long as what is captured.

    Parameters
    ----------
    inputs : dict of int to array
        By the place of the value that is copied in before the launches.
    outputs : list of array
        What is copied out after them.
    arguments : list
        Of the launches.
    memory : object
        Of the workspaces.
    """

    inputs: dict[int, Any]
    outputs: list[Any]
    arguments: list[Any]
    memory: Any


class Launching(Protocol):
    """A plan of launches."""

    def launched(self, values: Sequence[Any]) -> list[Any]:
        """The outputs of a call, by launches one after another."""
        ...

    def bound(self) -> Bound:
        """New arrays for the launches."""
        ...

    def launch_all(self, arguments: list[Any]) -> None:
        """Start the launches on the current stream."""
        ...


class _OfStream:
    """What is known of one stream: how often the plan was called on it, and then what was captured."""

    __slots__ = ("bound", "calls", "replay")

    def __init__(self) -> None:
        self.calls = 0
        self.bound: Bound | None = None
        self.replay: Callable[[], None] | None = None


class Captures:
    """The captured launches of one plan, stream by stream. The plan is given with each call: nothing here keeps it."""

    def __init__(self, device: Device):
        self._device = device
        self._streams: OrderedDict[Hashable, _OfStream] = OrderedDict()
        # Two threads may be on one stream: a call is enqueued as a whole, and not in the middle of another.
        self._lock = threading.RLock()
        self._inside = False
        self._failed = False

    def __call__(self, plan: Launching, values: Sequence[Any]) -> list[Any]:
        """The outputs of a call: new arrays."""
        # What the user captures himself must not refer to arrays that later calls overwrite.
        if self._failed or self._device.capturing():
            return plan.launched(values)
        with self._lock:
            if self._inside:
                # A signal handler, or a finalizer, came into a call of this thread.
                return plan.launched(values)
            self._inside = True
            try:
                outputs, problem = self._called(plan, values)
            finally:
                self._inside = False
        if problem:
            warnings.warn(
                f"backend 'cupy' launches the kernels of a plan one by one from now on, which is slower: {problem}; "
                "please report this",
                RuntimeWarning,
                stacklevel=2,
            )
        return outputs

    def _called(self, plan: Launching, values: Sequence[Any]) -> tuple[list[Any], str]:
        """The outputs of a call, and why nothing is captured any more, if that is so."""
        of_stream = self._of_stream(self._device.stream())
        if of_stream.bound is not None and of_stream.replay is not None:
            return self._replayed(of_stream.bound, of_stream.replay, values), ""
        of_stream.calls += 1
        outputs = plan.launched(values)
        problem = self._capture(of_stream, plan, values, outputs) if of_stream.calls >= CAPTURING_CALL else ""
        if problem:
            self._failed = True
            self._streams.clear()
        return outputs, problem

    def _of_stream(self, stream: Hashable) -> _OfStream:
        """The entry of a stream. The one not used for longest goes: with too many streams none is ever captured."""
        found = self._streams.get(stream)
        if found is None:
            found = self._streams[stream] = _OfStream()
            if len(self._streams) > MAX_STREAMS:
                self._streams.popitem(last=False)
        self._streams.move_to_end(stream)
        return found

    def _replayed(self, bound: Bound, replay: Callable[[], None], values: Sequence[Any]) -> list[Any]:
        device = self._device
        outputs = [device.empty(array.shape, array.dtype) for array in bound.outputs]
        for number, target in bound.inputs.items():
            device.copy_into(target, values[number])
        replay()
        for target, source in zip(outputs, bound.outputs, strict=True):
            device.copy_into(target, source)
        return outputs

    def _capture(self, of_stream: _OfStream, plan: Launching, values: Sequence[Any], wanted: list[Any]) -> str:
        """Capture on a stream, and compare with the outputs of plain launches; what went wrong, or nothing."""
        try:
            # On the user's stream, whose later work may have the memory when it is given up.
            bound = plan.bound()
            with _one_capture:
                replay = uncollected(partial(self._device.capture, partial(plan.launch_all, bound.arguments)))
            # No memory that had these outputs before may pass for what the graph computes.
            for array, right in zip(bound.outputs, wanted, strict=True):
                self._bits(array)[...] = ~self._bits(right)
            found = self._replayed(bound, replay, values)
            if not all(bool((self._bits(x) == self._bits(y)).all()) for x, y in zip(found, wanted, strict=True)):
                return "a captured CUDA graph gives other numbers than its kernels do"
        except Exception as error:
            return f"they cannot be captured as a CUDA graph ({type(error).__name__}: {error})"
        of_stream.bound, of_stream.replay = bound, replay
        return ""

    def _bits(self, array: Any) -> Any:
        return array.reshape(-1).view(self._device.xp.uint8)
