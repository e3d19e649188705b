"""What a fork waits for, so that its child is left with no lock that nobody opens."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from threading import get_ident
from typing import Any

Block = Callable[[], AbstractContextManager[Any]]

_blocks: list[Block] = []

# By the thread that forks: what it is in. Whatever was added meanwhile, it leaves what it entered.
_entered: dict[int, ExitStack] = {}


def fork_within(block: Block) -> None:
    """Let forks be made in such a block, in that of earlier ones."""
    _blocks.append(block)


def _enter() -> None:
    stack = _entered[get_ident()] = ExitStack()
    for block in tuple(_blocks):
        stack.enter_context(block())


def _leave() -> None:
    _entered.pop(get_ident()).close()


def _leave_in_child() -> None:
    _leave()
    _entered.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_enter, after_in_parent=_leave, after_in_child=_leave_in_child)
