"""What kernels say of floating point: as NumPy's plans do, at the user's line and by operation.

The processor notes divisions by zero, overflows and the like in flags, whatever computes. A kernel looks at these at
its end. If one is up that somebody may want to hear of, NumPy's plan of the same program is called as well, and says
what it always says, in the error state of the user: that warns, raises, calls or ignores. So a flag that a kernel
raises where NumPy has nothing to say costs time, and is no wrong warning.
"""

from __future__ import annotations

import platform
import sys
from functools import cache
from typing import Any

import numpy as np

from autodiff.backend import Plan
from autodiff.core.program import Program

from ..numpy.backend import BACKEND as NUMPY
from ..numpy.flags import WORDS

# The bits of C's ``fetestexcept`` for "divide", "over", "under" and "invalid", by processor.
BITS = {
    **dict.fromkeys(("x86_64", "amd64", "x64"), (4, 8, 16, 1)),
    **dict.fromkeys(("aarch64", "arm64"), (2, 4, 8, 1)),
}
# Microsoft's C library has bits of its own, the same for all.
BITS_OF_WINDOWS = (8, 4, 2, 16)


@cache
def bits() -> dict[str, int]:
    """The bits of flags by NumPy's words; none where they are not known."""
    found = BITS_OF_WINDOWS if sys.platform == "win32" else BITS.get(platform.machine().lower())
    return dict(zip(WORDS.values(), found, strict=True)) if found else {}


def mask(quiet: bool) -> int:
    """The flags that a program looks at: where elements are not chosen, nothing is said of what gives NaN for them."""
    heard = [WORDS["over"], WORDS["under"]] if quiet else WORDS.values()
    return sum([bits().get(word, 0) for word in heard])


class Told:
    """Says what a call of a kernel has noted. It is called with the arguments of the kernel.

    Parameters
    ----------
    program : Program
        That the kernel computes.
    """

    __slots__ = ("_plan", "_program")

    def __init__(self, program: Program):
        self._program = program
        self._plan: Plan | None = None

    def __call__(self, *values: Any) -> None:
        if all(action == "ignore" for action in np.geterr().values()):
            return
        if self._plan is None:
            self._plan = NUMPY.compile(self._program)
        self._plan(*values)
