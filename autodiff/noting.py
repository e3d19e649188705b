"""Where operations were recorded: their lines while somebody asks for these, the scopes that are open, and only then.

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
    scope : tuple of str
        The names of the scopes that it was recorded in, or what it is in the derivative of; the outermost first.
    """

    file: str
    number: int
    name: str
    order: int
    scope: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The line as text."""
        return line_at(self.file, self.number)


class Noting(NamedTuple):
    """What is noted of an operation.

    Parameters
    ----------
    lines : bool
        Whether its line is.
    origins : bool
        Whether it is of what a walk makes which operation that is for.
    scope : tuple of str
        The scopes that are open.
    """

    lines: bool
    origins: bool
    scope: tuple[str, ...]


NOTHING = Noting(False, False, ())
UNPLACED = Note("", 0, "", 0)

notes: WeakKeyDictionary[Node, Note] = WeakKeyDictionary()

# What runs in any thread: nothing is asked while there is none.
searches: dict[object, Search] = {}
_notings: dict[object, Noting] = {}
_search: ContextVar[Search | None] = ContextVar("search", default=None)
_noting: ContextVar[Noting] = ContextVar("noting", default=NOTHING)

_made = Operation.__init__


def _made_and_noted(self: Operation) -> None:
    # What it is will be known when the line has been recorded.
    noted = _noting.get()
    if noted is not NOTHING:
        file, number = place() if noted.lines else ("", 0)
        notes[self] = Note(file, number, "", 0, noted.scope)


@contextmanager
def _noted(noted: Noting) -> Iterator[None]:
    """Note this of what is recorded meanwhile."""
    key = object()
    token = _noting.set(noted)
    try:
        _notings[key] = noted
        _settle()
        yield
    finally:
        _notings.pop(key, None)
        _settle()
        _noting.reset(token)


def _settle() -> None:
    """Let what makes an operation be right for what is noted. Other threads may begin or end meanwhile: who is last to
    change it looks again."""
    while True:
        is_noted = bool(_notings)
        Operation.__init__ = _made_and_noted if is_noted else _made  # type: ignore[method-assign, assignment]
        if bool(_notings) == is_noted:
            return


@contextmanager
def noting_lines() -> Iterator[None]:
    """Note the lines of what is recorded meanwhile, and what it is for."""
    with _noted(_noting.get()._replace(lines=True, origins=True)):
        yield


@contextmanager
def noting_origins() -> Iterator[None]:
    """Note what walks make things for meanwhile, but no lines: it is not a user who records."""
    with _noted(_noting.get()._replace(lines=False, origins=True)):
        yield


@contextmanager
def noting_scope(name: str) -> Iterator[None]:
    """Note that what is recorded meanwhile belongs to something of this name."""
    noted = _noting.get()
    with _noted(noted._replace(scope=(*noted.scope, name))):
        yield


def notes_origins() -> bool:
    """Whether it is noted in this context what walks make things for."""
    return bool(_notings) and _noting.get().origins


def search() -> Search | None:
    """What is looked for in this context."""
    return _search.get() if searches else None


@contextmanager
def searching(infinite: bool) -> Iterator[None]:
    """Look for where NaN began meanwhile."""
    key, found = object(), Search(infinite)
    token = _search.set(found)
    try:
        with noting_lines():
            searches[key] = found
            yield
    finally:
        searches.pop(key, None)
        _search.reset(token)


@contextmanager
def unsearched() -> Iterator[None]:
    """Look for nothing, and note nothing, meanwhile."""
    token, noted = _search.set(None), _noting.set(NOTHING)
    try:
        yield
    finally:
        _search.reset(token)
        _noting.reset(noted)


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
        own = notes.get(op) or UNPLACED
        note = own._replace(name=own.name or op.signature.title, order=own.order + order)
        stack = [x for found in made for x in (found if type(found) is tuple else (found,))]
        while stack:
            node = stack.pop()
            if node is not None and node.inputs and node.sequence > self._begin and node not in self._done:
                self._done.add(node)
                notes[node] = note
                stack += node.inputs


def attribution() -> Attribution | None:
    """For a walk that begins; None while nobody asks."""
    return Attribution() if notes_origins() else None
