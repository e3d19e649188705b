"""Captured launches: many kernels of one plan started as one CUDA graph, on arrays that do not move.

What a graph is worth is that a call costs the host one launch. What is captured is compared once with plain launches,
bit for bit (but for sums that the device adds up in any order); a plan for which that fails is never captured again.
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

# A call of a graph costs the host three launches, two of which copy all arrays of one side, and for each array about
# half of one. What is captured is to be worth more, and so many launches at least.
MIN_LAUNCHES = 8
LAUNCHES_FOR_A_GRAPH, LAUNCHES_FOR_A_COPY = 3, 0.5
# Of the arrays that each captured stream keeps.
MAX_BYTES = 64 << 20
# The call on a stream that captures; those before have loaded all kernels.
CAPTURING_CALL = 3
# Of the largest element: how far sums may differ that are added up in any order.
CLOSE = 1e-2
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
        Of all that is kept.
    """
    costs = LAUNCHES_FOR_A_GRAPH + LAUNCHES_FOR_A_COPY * n_copies
    return n_launches >= MIN_LAUNCHES and n_launches > costs and nbytes <= MAX_BYTES


class Bound(NamedTuple):
    """The launches of a plan, and the arrays that these and nothing else take, kept as long as what is captured.

    Parameters
    ----------
    inputs : dict of int to array
        By the place of the value that is copied in before the launches.
    outputs : list of array
        What is copied out after them.
    launches : list of callable
        They do nothing but start work on the current stream.
    kept : list
        Memory that the launches know by its address.
    """

    inputs: dict[int, Any]
    outputs: list[Any]
    launches: list[Callable[[], None]]
    kept: list[Any]

    def start(self) -> None:
        """Start all launches on the current stream."""
        for launch in self.launches:
            launch()


class Launching(Protocol):
    """A plan of launches.

    Attributes
    ----------
    exact : bool
        Whether its results are the same to the last bit in each call.
    """

    exact: bool

    def launched(self, values: Sequence[Any]) -> list[Any]:
        """The outputs of a call, by launches one after another."""
        ...

    def bound(self, values: Sequence[Any]) -> Bound:
        """The launches, on new arrays in place of the arrays among these values."""
        ...

    def numbers(self, values: Sequence[Any]) -> Any:
        """What tells the Python numbers among these values from others."""
        ...


class _OfStream:
    """What is known of one stream: how often the plan was called on it in a row with the same numbers, and then what
    was captured with these.
    """

    __slots__ = ("bound", "calls", "numbers", "replay")

    def __init__(self) -> None:
        self.calls = 0
        self.numbers: Any = None
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
        numbers = plan.numbers(values)
        if numbers != of_stream.numbers:
            # They are part of what is captured; what changes all the time is never captured.
            of_stream.calls, of_stream.numbers, of_stream.bound = 0, numbers, None
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
        self._take(bound, values)
        replay()
        device.copy(list(zip(outputs, bound.outputs, strict=True)))
        return outputs

    def _take(self, bound: Bound, values: Sequence[Any]) -> None:
        """Copy the values of a call to where the launches read them."""
        self._device.copy([(target, values[number]) for number, target in bound.inputs.items()])

    def _capture(self, of_stream: _OfStream, plan: Launching, values: Sequence[Any], wanted: list[Any]) -> str:
        """Capture on a stream, and compare with the outputs of plain launches; what went wrong, or nothing."""
        try:
            # On the user's stream, whose later work may have the memory when it is given up.
            bound = plan.bound(values)
            bound.kept.append(self._device.workspace())
            with self._device.apart() as memory:
                bound.kept.append(memory)
                # Nothing is loaded for the first time while it is captured.
                self._take(bound, values)
                bound.start()
                with _one_capture:
                    replay = uncollected(partial(self._device.capture, bound.start))
            # No memory that had these outputs before may pass for what the graph computes.
            for array, right in zip(bound.outputs, wanted, strict=True):
                self._bits(array)[...] = ~self._bits(right)
            found = self._replayed(bound, replay, values)
            same = self._same if plan.exact else self._close
            if not all(same(x, y) for x, y in zip(found, wanted, strict=True)):
                return "a captured CUDA graph gives other numbers than its kernels do"
        except Exception as error:
            return f"they cannot be captured as a CUDA graph ({type(error).__name__}: {error})"
        of_stream.bound, of_stream.replay = bound, replay
        return ""

    def _same(self, found: Any, wanted: Any) -> bool:
        return bool((self._bits(found) == self._bits(wanted)).all())

    def _close(self, found: Any, wanted: Any) -> bool:
        """Whether arrays differ by no more than the order of a long sum may make of them."""
        xp = self._device.xp
        if wanted.dtype.kind not in "fc" or not wanted.size:
            return self._same(found, wanted)
        scale = xp.abs(wanted).max()
        return bool(xp.isclose(found, wanted, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True).all())

    def _bits(self, array: Any) -> Any:
        return array.reshape(-1).view(self._device.xp.uint8)
