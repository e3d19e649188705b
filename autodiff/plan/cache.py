"""Plans by structural key: bounded, least recently used out first, counted."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..whole import uncollected

DEFAULT_CAPACITY = 512


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
    """

    hits: int
    misses: int
    entries: int
    capacity: int
    compile_seconds: float


class Entry:
    """A cached value and when it was last asked for."""

    __slots__ = ("used", "uses", "value")

    def __init__(self, value: Any, used: int):
        self.value = value
        self.used = used
        self.uses = 0


class PlanCache:
    """Maps structural keys to compiled plans. Safe to use from several threads at once."""

    __slots__ = ("_clock", "_entries", "_hits", "_lock", "_misses", "_seconds", "capacity")

    def __init__(self, capacity: int = DEFAULT_CAPACITY):
        self.capacity = capacity
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all plans and counts."""
        with self._lock:
            self._entries: dict[Any, Entry] = {}
            self._clock = itertools.count(1)
            self._hits = 0
            self._misses = 0
            self._seconds = 0.0

    def get(self, key: Any, compile: Callable[[], Any]) -> Any:
        """The plan for ``key``, compiled now if it is not there."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.used = next(self._clock)
            entry.uses += 1
            return entry.value
        return self._miss(key, compile)

    def _miss(self, key: Any, compile: Callable[[], Any]) -> Any:
        # Compiled outside the lock: two threads may do the same work once, but none waits for another's.
        start = time.perf_counter()
        value = uncollected(compile)
        seconds = time.perf_counter() - start
        with self._lock:
            self._misses += 1
            self._seconds += seconds
            entry = self._entries.get(key)
            if entry is None:
                if len(self._entries) >= self.capacity:
                    oldest = min(self._entries, key=lambda k: self._entries[k].used)
                    self._hits += self._entries.pop(oldest).uses
                entry = self._entries[key] = Entry(value, next(self._clock))
            return entry.value

    def values(self) -> list[Any]:
        """The plans held, least recently used first."""
        with self._lock:
            return [e.value for e in sorted(self._entries.values(), key=lambda e: e.used)]

    def info(self) -> CacheInfo:
        """Counts so far."""
        with self._lock:
            hits = self._hits + sum(e.uses for e in self._entries.values())
            return CacheInfo(hits, self._misses, len(self._entries), self.capacity, self._seconds)
