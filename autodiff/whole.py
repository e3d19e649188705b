"""What an interrupt cannot tear: an exception of a signal handler, such as Ctrl-C, may come nearly anywhere.

CPython lets handlers in where a function begins, after a call, and where a loop begins anew. So state changes by one
assignment at the end, or by one call into C. What has to be undone is undone by one call into C, prepared before; or
there is nothing to undo, since it was done in a context of its own.
"""

from __future__ import annotations

import functools
import gc
import os
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context
from operator import call
from threading import Lock, get_ident, main_thread
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T")


def commit(objects: Iterable[object], names: Iterable[str], values: Iterable[object]) -> None:
    """Set an attribute of each object to a value: all of them or none."""
    deque(map(setattr, objects, names, values), maxlen=0)


def apart(function: Callable[..., T]) -> Callable[..., T]:
    """The function of positions, with context variables of its own in each call, NumPy's error state among them.

    What it sets there is gone when it ends, however it does. (``np.errstate`` alone does not restore the state if an
    interrupt comes just before its end.)
    """

    @functools.wraps(function)
    def called(*args: Any) -> T:
        return copy_context().run(function, *args)

    return called


def silent(function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
    """What a function gives, whatever NumPy would say of floating point in it."""
    return copy_context().run(_ignoring, function, args, keywords)  # type: ignore[no-any-return]


def _ignoring(function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        return function(*args, **keywords)


def sheltered(work: Callable[[], T]) -> T:
    """What ``work`` gives, which a thread does that no handler comes to: handlers run in the main thread only.

    It is for libraries that an interrupt would leave with a lock held. Who is interrupted does not wait for the end.
    """
    if get_ident() != main_thread().ident:
        return work()
    outcome: list[tuple[T, None] | tuple[None, BaseException]] = []
    ended = Lock()
    ended.acquire()

    def do() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))
        finally:
            ended.release()

    try:
        start_new_thread(copy_context().run, (do,))
    except RuntimeError:
        # The system gives no more threads, or none at all.
        return work()
    ended.acquire()
    ((result, error),) = outcome
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


# --- the collector ---------------------------------------------------------------------------------------------------

# An entry for each call that has paused it.
_pausing: dict[object, None] = {}


def uncollected(work: Callable[[], T]) -> T:
    """What ``work`` gives. The collector of cycles, which is the process's, is off meanwhile, unless it was before.

    Compiling makes many objects that live on and no cycles; walking them again and again takes a third of the time to
    compile a program of 100,000 operations. Of calls that overlap the first to end turns it on.
    """
    if not gc.isenabled():
        return work()
    mark = object()
    ending: list[Callable[[], Any]] = [gc.enable, functools.partial(_pausing.pop, mark, None)]
    resume = map(call, ending)
    try:
        _pausing[mark] = None
        gc.disable()
        return work()
    finally:
        list(resume)


def _resume_in_child() -> None:
    """The thread that paused it is not in a forked process."""
    if _pausing:
        gc.enable()
        _pausing.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_resume_in_child)
