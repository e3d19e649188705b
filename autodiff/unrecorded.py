"""Blocks in which nothing is recorded: which of them this thread, or this task, is in. ``tensor`` keeps to it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Block(NamedTuple):
    """A block, and what was running when it began.

    Parameters
    ----------
    watching : frozenset of int
        The transformations of this thread.
    tracing : object
        The function that was being traced; None if none was.
    """

    watching: frozenset[int]
    tracing: object


# Those of all threads: nothing is asked while there is none.
blocks: dict[object, Block] = {}
current: ContextVar[Block | None] = ContextVar("block", default=None)


def recorded(function: Callable[..., T], *args: Any) -> T:
    """What a function gives that records whatever block it is called in: it does so once for many calls."""
    if not blocks or current.get() is None:
        return function(*args)
    token = current.set(None)
    try:
        return function(*args)
    finally:
        current.reset(token)
