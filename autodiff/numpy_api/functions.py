"""The table of NumPy's array functions on Tensors, of its parts by topic.

Each handler has the signature of the function it stands for; most are compositions of primitives.
"""

from __future__ import annotations

from typing import Any

from . import answers, creation, fft, linalg, products, reductions, selecting, shapes, writing
from .calling import Handler, checked
from .looks import looking
from .memo import memoised

# Those of answers are about values.
RECORDING = (reductions, shapes, selecting, products, linalg, fft)


def function_table() -> dict[Any, Handler]:
    """All NumPy functions, other than ufuncs, that take Tensors."""
    recording = [pair for topic in RECORDING for pair in topic.TABLE.items()]
    handlers = {f: looking(f, memoised(checked(f, handler))) for f, handler in recording}
    own = writing.TABLE | creation.TABLE
    return handlers | {f: checked(f, handler) for f, handler in own.items()} | answers.TABLE
