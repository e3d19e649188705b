"""Objects that are known as long as somebody else has them. Imports nothing of this package."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

# Objects that are known at most: of more, the latest.
MOST_KNOWN = 256


class Alive:
    """Some objects, each once, in the order in which they came. A copy, or what is unpickled, knows none."""

    __slots__ = ("_references",)

    def __init__(self) -> None:
        self._references: list[weakref.ref[Any]] = []

    def add(self, objects: Iterable[Any]) -> None:
        """Know objects from now on."""
        known = [x for x in self._references if x() is not None]
        here = {id(x()) for x in known}
        new = {id(x): weakref.ref(x) for x in objects if id(x) not in here}
        self._references = [*known, *new.values()][-MOST_KNOWN:]

    def __iter__(self) -> Any:
        found = [reference() for reference in self._references]
        return iter([x for x in found if x is not None])

    def __reduce__(self) -> tuple[Any, ...]:
        return Alive, ()
