"""Which line of the user's program is being run. Imports nothing of this package."""

from __future__ import annotations

import sys

# Code that is no user's: this library's, and NumPy's, which calls it.
_OWN = (__name__.partition(".")[0], "numpy", "autodiff_backends")


def users_line() -> str:
    """The file and the line of the first frame outside this library and NumPy, as ``file:line``."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OWN:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
