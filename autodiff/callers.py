"""The user's line: where a call came into this library from, and through which function of another package."""

from __future__ import annotations

import linecache
import os
import site
import sys
from types import CodeType, FrameType
from typing import NamedTuple

PACKAGE = __name__.partition(".")[0]
PACKAGES = (PACKAGE, f"{PACKAGE}_backends")
# Code below these is a package that somebody installed, or Python's own. (`sysconfig` knows them too, for 2 ms.)
_SITES = [folder for folder in (*site.getsitepackages(), site.USER_SITE) if folder and folder.endswith("-packages")]
_INSTALLED = (os.path.dirname(os.__file__), *_SITES, "<frozen ")

# Packages that compute for this one.
_NAMES = "array_api_compat array_api_strict cupy dask distributed llvmlite numpy scipy torch"
LIBRARIES = frozenset(_NAMES.split())

UNKNOWN_LINE = "an unknown line"


class Caller(NamedTuple):
    """Where a call came from.

    Parameters
    ----------
    line : str
        File and number of the line of the user's code, and its text where it can be read.
    function : str or None
        The function of another package that the line called, if the call came through one.
    """

    line: str
    function: str | None


def in_package(frame: FrameType) -> bool:
    """Whether a frame runs code of this package, or code that it generated."""
    if str(frame.f_globals.get("__name__", "")).partition(".")[0] in PACKAGES:
        return True
    return frame.f_code.co_filename.startswith(f"<{PACKAGE}")


def called_by_package(frame: FrameType) -> bool:
    """Whether a frame, below one of this package, runs what this package calls to compute: no function of a user's."""
    name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return name in LIBRARIES or (_installed(frame.f_code) and not frame.f_code.co_filename.startswith(tuple(_SITES)))


def user_frame() -> tuple[FrameType, int]:
    """The first frame outside of this package, and how far up it is, as ``stacklevel`` counts."""
    frame = sys._getframe(1)
    depth = 1
    while frame.f_back is not None and in_package(frame):
        frame = frame.f_back
        depth += 1
    return frame, depth


def caller() -> Caller:
    """The innermost line of a user's code; that of a foreign package if there is none."""
    found, foreign = _innermost()
    if found is None:
        return Caller(UNKNOWN_LINE, None)
    function = None if foreign is None or foreign is found else _qualified(foreign)
    return Caller(_line(found), function)


def place() -> tuple[str, int]:
    """File and number of the line that ``caller`` gives, which takes a fifth of the time; see ``line_at``."""
    found, _ = _innermost()
    return ("", 0) if found is None else (found.f_code.co_filename, found.f_lineno)


def line_at(file: str, number: int) -> str:
    """A line as text, from its place."""
    if not number:
        return UNKNOWN_LINE
    text = linecache.getline(file, number).strip()
    return f"{file}, line {number}" + (f" ({text})" if text else "")


def _innermost() -> tuple[FrameType | None, FrameType | None]:
    """The innermost frame of a user's code, and that of another package which it called, if there is one."""
    frame: FrameType | None = sys._getframe(2)
    innermost: FrameType | None = None
    foreign: FrameType | None = None
    while frame is not None:
        if not in_package(frame):
            if innermost is None:
                innermost = frame
            if not _installed(frame.f_code):
                break
            # Decorators of other packages put a function around what is called.
            if foreign is None or "<locals>" not in frame.f_code.co_qualname:
                foreign = frame
        frame = frame.f_back
    return frame or innermost, foreign


def line_of(error: BaseException) -> str | None:
    """The line of a user's code in which an error came up."""
    found = None
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if not in_package(frame) and not _installed(frame.f_code):
            found = _line(frame, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _installed(code: CodeType) -> bool:
    return code.co_filename.startswith(_INSTALLED)


def _qualified(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"


def _line(frame: FrameType, number: int | None = None) -> str:
    file, number = frame.f_code.co_filename, frame.f_lineno if number is None else number
    text = linecache.getline(file, number, frame.f_globals).strip()
    return f"{file}, line {number}" + (f" ({text})" if text else "")
