"""Modules that are imported when they are first needed.

Where a process forks in the middle of another thread's import, whoever imports that module in the child would wait for
ever. So a fork waits for the imports that are made here, and they for the fork. They do not wait for one another: a
module may start threads that import, and wait for these.
"""

from __future__ import annotations

import os
import sys
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

# Whether this process was forked in the middle of an import, since that waited for something that the fork held.
_torn = False


def imported(name: str) -> Any:
    """A module by its full name."""
    with importing():
        if _torn and not _is_there(name):
            raise ImportError(
                f"{name} cannot be imported in this process: it was forked while another thread was importing modules, "
                "and would wait for that for ever; compute once before threads fork"
            )
        return import_module(name)


def _is_there(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


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
            global _torn  # noqa: PLW0603  (a fact of the process)
            _torn = _torn or bool(_others(_importing))
            # The other threads are not in the child.
            for threads in (_importing, _forking):
                threads[:] = [thread] * threads.count(thread)

    return end


around_forks(_between_imports)
