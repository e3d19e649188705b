"""The table of NumPy's array functions on Tensors, of its parts by topic.

Each handler has the signature of the function it stands for; most are compositions of primitives.
"""

from __future__ import annotations

from typing import Any

from . import (
    answers,
    choosing,
    counting,
    creation,
    elements,
    fft,
    joins,
    linalg,
    nans,
    norms,
    padding,
    polynomials,
    products,
    quantiles,
    reductions,
    scimath,
    selecting,
    sets,
    shapes,
    signals,
    sorting,
    statistics,
    writing,
)
from .calling import Handler, checked
from .looks import looking
from .memo import memoised

# Those of answers are about values.
RECORDING = (
    reductions,
    shapes,
    selecting,
    sorting,
    quantiles,
    nans,
    sets,
    counting,
    statistics,
    choosing,
    products,
    linalg,
    norms,
    fft,
    signals,
    elements,
    scimath,
    polynomials,
    joins,
    padding,
)


def function_table() -> dict[Any, Handler]:
    """All NumPy functions, other than ufuncs, that take Tensors."""
    found = {f: checked(f, handler) for topic in RECORDING for f, handler in topic.TABLE.items()}
    handlers = {f: looking(f, h if f in linalg.LOOKING else memoised(h)) for f, h in found.items()}
    own = writing.TABLE | creation.TABLE
    return handlers | {f: checked(f, handler) for f, handler in own.items()} | answers.TABLE
