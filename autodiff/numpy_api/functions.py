"""The table of NumPy's array functions on Tensors, of its parts by topic.

Each handler has the signature of the function it stands for; most are compositions of primitives.
"""

from __future__ import annotations

from typing import Any

from . import answers, fft, linalg, norms, products, reductions, selecting, shapes
from .calling import Handler, checked
from .memo import memoised

# Those of answers are about values.
RECORDING = (reductions, shapes, selecting, products, linalg, norms, fft)


def function_table() -> dict[Any, Handler]:
    """All NumPy functions, other than ufuncs, that take Tensors."""
    recording = [pair for topic in RECORDING for pair in topic.TABLE.items()]
    return {function: memoised(checked(function, handler)) for function, handler in recording} | answers.TABLE
