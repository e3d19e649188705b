"""Modules that are imported when they are first needed.

Where a process forks in the middle of another thread's import, whoever imports that module in the child would wait for
ever. So a fork waits for the imports that are made here, and they for the fork. They do not wait for one another: a
module may start threads that import, and wait for these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import get_ident
from time import monotonic, sleep
from typing import Any

from .forks import around_forks

# Seconds that one waits for the other: longer than either takes, unless it waits for the first.
PATIENCE = 10.0

# The threads that import, once for each import, and those that fork.
_importing: list[int] = []
_forking: list[int] = []


def imported(name: str) -> Any:
    """A module by its full name."""
    with importing():
        return import_module(name)


@contextmanager
def importing() -> Iterator[None]:
    """Within it, whatever imports modules."""
    waits = get_ident() not in _importing
    while True:
        with _listed(_importing):
            if not (waits and _others(_forking)):
                yield
                return
        waits = _wait_for(_forking)


@contextmanager
def _listed(threads: list[int]) -> Iterator[None]:
    threads.append(get_ident())
    try:
        yield
    finally:
        threads.remove(get_ident())


def _others(threads: list[int]) -> list[int]:
    return [thread for thread in threads if thread != get_ident()]


def _wait_for(threads: list[int]) -> bool:
    """Whether the others ended in time."""
    until = monotonic() + PATIENCE
    while _others(threads) and monotonic() < until:
        sleep(1e-3)
    return not _others(threads)


def _between_imports() -> Callable[[], None]:
    process, thread = os.getpid(), get_ident()
    _forking.append(thread)
    try:
        _wait_for(_importing)
    except BaseException:
        _forking.remove(thread)
        raise

    def end() -> None:
        _forking.remove(thread)
        if os.getpid() != process:
            # The other threads are not in the child.
            for threads in (_importing, _forking):
                threads[:] = [thread] * threads.count(thread)

    return end


around_forks(_between_imports)
