"""Plans by structural key: bounded, least recently used out first, counted."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..machine import memory_bytes
from ..noting import search, searches
from ..progress import making
from ..whole import uncollected

DEFAULT_CAPACITY = 512

# A plan takes 1 to 2 kB for each of its operations. All of one cache have this part of the memory that the process may
# have, so that a history which grows in a loop, and with it each new plan, does not take all; but a few are kept
# whatever they take, since what is called in turn would be compiled in turn.
PART_OF_MEMORY = 8
BYTES_AN_OPERATION = 2_000
ALWAYS_KEPT = 16


class CacheInfo(NamedTuple):
    """What a cache of plans has done.

    Parameters
    ----------
    hits : int
        Look-ups that found a plan.
    misses : int
        Look-ups that had to compile one.
    entries : int
        Plans held now.
    capacity : int
        Plans held at most.
    compile_seconds : float
        Time spent differentiating and compiling, in seconds.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> graph, w = ad.Graph(), ad.Tensor([1.0, 2.0])
    >>> for _ in range(3):
    ...     _ = graph.gradient(np.sum(w**2), [w])
    >>> info = graph.cache_info()
    >>> info.hits, info.misses, info.entries
    (2, 1, 1)
    """

    hits: int
    misses: int
    entries: int
    capacity: int
    compile_seconds: float


class Entry:
    """A cached value, of how many operations it is, when it was last asked for, and what recognises its structure."""

    __slots__ = ("__weakref__", "operations", "recognised", "used", "uses", "value")

    def __init__(self, value: Any, used: int):
        self.value = value
        self.operations: int = getattr(value, "n_operations", 0)
        self.used = used
        self.uses = 0
        self.recognised: Any = None


class PlanCache:
    """Maps structural keys to compiled plans.

    Safe to use from several threads at once, from a signal handler in between, and in the child of a fork: there is no
    lock, only single operations on a dictionary, and sums between which Python lets nobody in.
    """

    __slots__ = ("_entries", "_hits", "_misses", "_seconds", "capacity", "clock")

    def __init__(self, capacity: int = DEFAULT_CAPACITY):
        self.capacity = capacity
        # What its entries count time by.
        self.clock = itertools.count(1)
        self.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> PlanCache:
        """A table of its own with the same plans, of which nothing changes but who answers."""
        copied = type(self)(self.capacity)
        copied._entries = {key: Entry(entry.value, 0) for key, entry in self._entries.copy().items()}
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        # An empty one: plans are compiled again where they are asked for, or found on disk.
        return type(self), (self.capacity,)

    def clear(self) -> None:
        """Forget all plans and counts."""
        self._entries: dict[Any, Entry] = {}
        self._hits = 0
        self._misses = 0
        self._seconds = 0.0

    def get(self, key: Any, compile: Callable[[], Any]) -> Any:
        """The plan for ``key``, compiled now if it is not there; anew where somebody looks for the lines of NaN."""
        if searches and search():
            return compile()
        entry = self._entries.get(key)
        if entry is not None:
            entry.used = next(self.clock)
            entry.uses += 1
            return entry.value
        return self._miss(key, compile).value

    def entry(self, key: Any, compile: Callable[[], Any]) -> Entry:
        """What ``get`` gives, with what is known of it."""
        if searches and search():
            return Entry(compile(), 0)
        entry = self._entries.get(key)
        if entry is None:
            return self._miss(key, compile)
        entry.used = next(self.clock)
        entry.uses += 1
        return entry

    def found(self, key: Any) -> Entry | None:
        """What ``entry`` gives; None if it would have to be compiled."""
        entry = self._entries.get(key)
        if entry is None or searches:
            return None
        entry.used = next(self.clock)
        entry.uses += 1
        return entry

    def held(self, key: Any) -> Any:
        """The plan for ``key``, None if there is none."""
        entry = None if search() else self._entries.get(key)
        return None if entry is None else entry.value

    def _miss(self, key: Any, compile: Callable[[], Any]) -> Entry:
        # Two threads may do the same work once, but none waits for another's.
        start = time.perf_counter()
        task = making()
        value = uncollected(compile)
        seconds = time.perf_counter() - start
        if task is not None:
            task.made(getattr(value, "n_operations", 0), seconds)
        self._misses += 1
        self._seconds += seconds
        entries = self._entries
        entry = entries.setdefault(key, Entry(value, next(self.clock)))
        while len(entries) > self.capacity or self._too_large():
            oldest = min(entries.copy().items(), key=lambda item: item[1].used)[0]
            evicted = entries.pop(oldest, None)
            if evicted is not None:
                self._hits += evicted.uses
        return entry

    def _too_large(self) -> bool:
        """Whether the plans take more memory than they may."""
        if len(self._entries) <= ALWAYS_KEPT:
            return False
        operations = sum([entry.operations for entry in self._entries.copy().values()])
        return operations * BYTES_AN_OPERATION > memory_bytes() // PART_OF_MEMORY

    def values(self) -> list[Any]:
        """The plans held, least recently used first."""
        return [e.value for e in sorted(self._entries.copy().values(), key=lambda e: e.used)]

    def info(self) -> CacheInfo:
        """Counts so far."""
        entries = self._entries.copy()
        hits = self._hits + sum(e.uses for e in entries.values())
        return CacheInfo(hits, self._misses, len(entries), self.capacity, self._seconds)
