"""Tracebacks that end at the user's line: what users call takes the library's frames out of an error that leaves it.

A frame that catches an error, changes its traceback and raises it again by a bare ``raise`` is not in the traceback
any more. So nothing is done until there is an error: a ``try`` costs nothing, and what is too short for the call of
another function has one of its own, with ``hide``; the rest is a ``boundary``.
``AUTODIFF_TRACEBACKS=full`` in the environment leaves all frames where they are.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from itertools import pairwise
from types import CodeType, FunctionType, TracebackType
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .callers import called_by_package, in_package
from .errors import AutodiffError
from .spelling import explain_keyword

VARIABLE = "AUTODIFF_TRACEBACKS"

# What is raised on purpose, by this library or by what computes for it. Any other error that begins in a frame of this
# library is a mistake of the library, and keeps all frames: who mends it needs them.
ON_PURPOSE = (AutodiffError, FloatingPointError, MemoryError, OSError, Warning, np.linalg.LinAlgError)

# Functions of this library that call those of users, or of other packages as users call them. What is wrong there is no
# mistake of the library.
CALLING: set[CodeType] = set()

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


def hide(error: BaseException) -> None:
    """Take the frames of this library, and those below them of what it calls, out of the traceback of an error.

    Frames of functions that users gave stay, wherever they are, and so do those of other packages that users called.
    The errors that this one came from, came up beside, or is a group of, are treated in the same way.
    """
    if os.environ.get(VARIABLE) == "full":
        return
    found: list[tuple[BaseException | None, bool]] = [(error, False)]
    seen = set()
    while found:
        one, handled = found.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if not _hidden(one, handled):
            continue
        # What one of ours came from was handled, so it is no mistake.
        handled = handled or isinstance(one, AutodiffError)
        found += [(one.__cause__, handled), (one.__context__, handled)]
        if isinstance(one, BaseExceptionGroup):
            found += [(each, handled) for each in one.exceptions]


def _hidden(error: BaseException, handled: bool) -> bool:
    """Take frames out of the traceback of one error; whether that may be done."""
    kept: list[TracebackType] = []
    number, ours, caller = 0, False, None
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if in_package(frame):
            ours, caller = True, frame.f_code
        else:
            ours = ours and called_by_package(frame)
        if not ours:
            kept.append(trace)
        number += 1
        trace = trace.tb_next
    if ours and not (handled or isinstance(error, ON_PURPOSE) or caller in CALLING):
        return False
    if len(kept) < number:
        for outer, inner in pairwise((*kept, None)):
            assert outer is not None
            outer.tb_next = inner
        error.__traceback__ = kept[0] if kept else None
    return True


def calling(function: F) -> F:
    """A function that calls those of users, or of other packages for them."""
    CALLING.add(function.__code__)
    return function


def boundary(function: Callable[P, T]) -> Callable[P, T]:
    """A function that users call: errors leave it as errors of the line that called it.

    An unknown keyword is an error that says what may have been meant.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            trace = error.__traceback__
            if trace is not None and trace.tb_next is None and isinstance(error, TypeError):
                # It is about the call: the function was not entered.
                explain_keyword(error, function, kwargs)
                error.__traceback__ = None
            else:
                hide(error)
            raise

    return call


def boundaries(owner: C) -> C:
    """A class whose methods users call: but for those that begin with one underscore, and those that use ``hide``."""
    for name, function in list(vars(owner).items()):
        own = name.startswith("_") and not name.startswith("__")
        if type(function) is FunctionType and not own and not is_boundary(function):
            setattr(owner, name, boundary(function))
    return owner


def is_boundary(function: Any) -> bool:
    """Whether errors that leave a function have no frames of this library."""
    return "hide" in function.__code__.co_names
