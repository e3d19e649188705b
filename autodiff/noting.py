"""The lines at which operations were recorded: noted while somebody looks for where NaN began, and only then.

Recording costs nothing more otherwise: what makes an operation is another function meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from .callers import line_at, place
from .nodes import Node, Operation, now


class Search(NamedTuple):
    """What is looked for.

    Parameters
    ----------
    infinite : bool
        Whether infinities are, beside NaN.
    """

    infinite: bool


class Note(NamedTuple):
    """Where an operation comes from.

    Parameters
    ----------
    file, number
        The line that recorded it, or that recorded what it is in the derivative of.
    name : str
        The primitive of that; empty where it is the operation itself.
    order : int
        Of which derivative; 0 for an operation that somebody wrote.
    """

    file: str
    number: int
    name: str
    order: int

    @property
    def line(self) -> str:
        """The line as text."""
        return line_at(self.file, self.number)


notes: WeakKeyDictionary[Node, Note] = WeakKeyDictionary()

# What runs in any thread: nothing is asked while there is none.
searches: dict[object, Search] = {}
_search: ContextVar[Search | None] = ContextVar("search", default=None)

_made = Operation.__init__


def _made_and_noted(self: Operation) -> None:
    # What it is will be known when the line has been recorded.
    if _search.get() is not None:
        notes[self] = Note(*place(), "", 0)


def search() -> Search | None:
    """What is looked for in this context."""
    return _search.get() if searches else None


@contextmanager
def searching(infinite: bool) -> Iterator[None]:
    """Look for where NaN began meanwhile."""
    key, found = object(), Search(infinite)
    token = _search.set(found)
    try:
        searches[key] = found
        Operation.__init__ = _made_and_noted  # type: ignore[method-assign, assignment]
        yield
    finally:
        searches.pop(key, None)
        if not searches:
            Operation.__init__ = _made  # type: ignore[method-assign]
        _search.reset(token)


@contextmanager
def unsearched() -> Iterator[None]:
    """Look for nothing meanwhile."""
    token = _search.set(None)
    try:
        yield
    finally:
        _search.reset(token)


class Attribution:
    """Says of what a walk makes where it comes from: of the operations that it walks over."""

    __slots__ = ("_begin", "_done")

    def __init__(self) -> None:
        self._begin = now()
        self._done: set[Node] = set()

    def __call__(self, op: Node, made: Iterable[Any], order: int = 1) -> None:
        """Note that nodes, and what they are made of since the walk began, are of the derivative of ``op``.

        Parameters
        ----------
        op : Node
            An operation. Nothing is noted of what is for another node.
        made : iterable of Node, tuple of Node, or None
            What was made for it.
        order : int, optional
            0 if it is the same operation in another form.
        """
        if op.signature is None:
            return
        own = notes.get(op) or Note("", 0, "", 0)
        note = own._replace(name=own.name or op.signature.title, order=own.order + order)
        stack = [x for found in made for x in (found if type(found) is tuple else (found,))]
        while stack:
            node = stack.pop()
            if node is not None and node.inputs and node.sequence > self._begin and node not in self._done:
                self._done.add(node)
                notes[node] = note
                stack += node.inputs


def attribution() -> Attribution | None:
    """For a walk that begins; None while nobody looks for anything."""
    return Attribution() if searches and _search.get() is not None else None
