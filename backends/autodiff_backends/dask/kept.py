"""What variables keep: the blocks of their values, not the tasks that made them.

A value that is assigned stays lazy until a plan takes it. Then it is persisted, and all others that were assigned
meanwhile with it: new values of many parameters come from one gradient, which is computed once for all of them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import dask
import dask.array as da

# By identity, since dask compares arrays element by element.
_lazy: dict[int, weakref.ref[Any]] = {}
# By process: in the child of a fork, nobody would open the lock of its parent.
_locks: defaultdict[int, Any] = defaultdict(threading.RLock)


def keep(values: Sequence[Any], before: Iterable[Any]) -> list[Any]:
    """Arrays of our own for values, to be persisted when they are next used.

    What is ``before`` and was never used is part of the new tasks, so these are persisted now: no history is longer
    than one step.
    """
    kept = [da.Array(x.dask, x.name, x.chunks, meta=x._meta) for x in values]
    with _locks[os.getpid()]:
        unused = [x for x in before if _lazy.pop(id(x), None) is not None]
        for x in kept:
            if len(x.dask) > x.npartitions:
                _lazy[id(x)] = weakref.ref(x, _forgetting(id(x)))
    if unused:
        settle(kept)
    return kept


def _forgetting(key: int) -> Any:
    """What forgets an array that is no more, unless another has its place by now."""

    def forget(ref: weakref.ref[Any]) -> None:
        # Without the lock: its owner may wait for the thread that calls this. The place is not taken yet.
        if _lazy.get(key) is ref:
            _lazy.pop(key, None)

    return forget


def settle(arrays: Iterable[Any]) -> None:
    """Persist all that was assigned, if one of these arrays is among it."""
    if not _lazy or not any(id(x) in _lazy for x in arrays):
        return
    with _locks[os.getpid()]:
        found = [x for x in [ref() for ref in list(_lazy.values())] if x is not None]
        # One call, so that what they have in common is computed once.
        for x, persisted in zip(found, computed(partial(dask.persist, *found)), strict=True):
            x.dask, x._name = persisted.dask, persisted.name
            x._cached_keys = None
            _lazy.pop(id(x), None)


# What is raised by threads that take no more work, and by a system that gives no more threads.
_NO_THREADS = ("cannot schedule new futures", "can't start new thread")


def computed(work: Callable[..., Any]) -> Any:
    """What dask computes; by this thread alone while the interpreter ends, or where there are no more threads."""
    try:
        return work()
    except RuntimeError as error:
        if not str(error).startswith(_NO_THREADS):
            raise
        return work(scheduler="synchronous")
