"""What a fork waits for, so that its child is left with no lock that nobody opens."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from threading import get_ident
from typing import Any

Ending = Callable[[], Any]

_beginnings: list[Callable[[], Ending]] = []

# By the thread that forks: what is to be ended, for each fork that it is in. What was added meanwhile has not begun.
_begun: defaultdict[int, list[list[Ending]]] = defaultdict(list)


def around_forks(begin: Callable[[], Ending]) -> None:
    """Call a function before forks, in the order of these calls, and what it returns after, in the reverse order."""
    _beginnings.append(begin)


def _begin() -> None:
    endings: list[Ending] = []
    _begun[get_ident()].append(endings)
    endings.extend(begin() for begin in tuple(_beginnings))


def _end() -> None:
    forks = _begun[get_ident()]
    for end in reversed(forks.pop()):
        end()
    if not forks:
        del _begun[get_ident()]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_begin, after_in_parent=_end, after_in_child=_end)
