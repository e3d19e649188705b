"""Bounded tables of what can be made again. Imports nothing of this package."""

from __future__ import annotations

from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """A table that keeps what was asked for lately, in two generations. The younger one is looked into first.

    When it is full it becomes the older one, and what the older one had and nobody asked for since is dropped. So a
    loop keeps what it uses, however much else comes by. Dropping costs no search, and no look-up takes a lock: each
    step is one operation on a dict, which threads, signal handlers and finalizers may do at any time. Where two of
    them meet, an entry may be lost; it is made again.

    Parameters
    ----------
    kept : int
        Entries held at most, over both generations: at least 2.

    Attributes
    ----------
    hot : dict
        The younger generation, the same dict for ever: ``hot.get`` is a look-up for places where the call of a method
        (60 ns, of the 600 that recording an operation takes) counts. What it does not find, ``get`` may.
    """

    __slots__ = ("_most_hot", "_older", "hot")

    def __init__(self, kept: int):
        self._most_hot = kept // 2
        self.hot: dict[K, V] = {}
        self._older: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """What is kept under a key, which is young again by that; None if nothing is."""
        found = self.hot.get(key)
        if found is None:
            found = self._older.get(key)
            if found is not None:
                return self.put(key, found)
        return found

    def put(self, key: K, value: V) -> V:
        """Keep a value, which is not None. Gives what is kept: another thread may have been first."""
        hot = self.hot
        if len(hot) >= self._most_hot and key not in hot:
            self._age()
        return hot.setdefault(key, value)

    def _age(self) -> None:
        """Let the younger generation be the older one."""
        self._older = self.hot.copy()
        self.hot.clear()

    def replace(self, key: K, value: V) -> None:
        """Keep a value in place of another."""
        self.put(key, value)
        self.hot[key] = value

    def clear(self) -> None:
        """Forget all."""
        self._older = {}
        self.hot.clear()

    def __len__(self) -> int:
        return len(self._older.keys() | self.hot.keys())

    def __reduce__(self) -> tuple[Any, ...]:
        # What can be made again is not pickled, nor copied.
        return type(self), (2 * self._most_hot,)


class Interned(Memo[K, V]):
    """A table of objects that are compared by identity: as long as anybody holds one, its key gives this one.

    What leaves the younger generation is noted weakly first, so that it is found at every moment. (Noting it when it is
    made would take 1 us of the 3 that a new object takes; most tables never fill.)
    """

    __slots__ = ("_aged", "_alive")

    def __init__(self, kept: int):
        super().__init__(kept)
        # Whether anything can be elsewhere than in the younger generation.
        self._aged = False
        self._alive: WeakValueDictionary[K, V] = WeakValueDictionary()

    def get(self, key: K) -> V | None:
        """The object of a key; None if there is none."""
        found = self.hot.get(key)
        if found is None and self._aged:
            found = super().get(key)
            if found is None:
                found = self._alive.get(key)
                if found is not None:
                    return self.put(key, found)
        return found

    def _age(self) -> None:
        self._aged = True
        # Before the rest, since finalizers of what this drops may come here too.
        self._older = older = {}
        for key, value in list(self.hot.items()):
            self._alive[key] = older[key] = value
            self.hot.pop(key, None)
