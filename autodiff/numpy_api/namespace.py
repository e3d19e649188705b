"""What ``autodiff.numpy`` has of its own where NumPy's function asks no operand what to do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import integer
from ..tensor import Tensor, node_of, wrap
from ..tracebacks import hide
from .creation import NAMESPACE
from .draws import random
from .elements import TABLE as ELEMENTS
from .lists import submodule
from .vectorizing import vectorize


def kaiser(M: Any, beta: Any) -> Any:
    """``numpy.kaiser``, whose shape may be a Tensor."""
    try:
        if not isinstance(beta, Tensor):
            return NAMESPACE["kaiser"](M, beta)
        count, bend = integer(M, "kaiser: M"), node_of(beta)
        i0: Any = ELEMENTS[np.i0]
        if count < 2:
            return wrap(ops.full((max(count, 0),), 1, np.dtype(np.float64)))
        middle = (count - 1) / 2.0
        half = np.sqrt(1 - ((np.arange(count) - middle) / middle) ** 2.0)
        return i0(wrap(bend * half)) / i0(wrap(ops.astype(ops.strong(bend), np.float64)))
    except Exception as error:
        hide(error)
        raise


FUNCTIONS: dict[str, Any] = {"kaiser": kaiser, "vectorize": vectorize}

# Modules of NumPy's, made when they are first asked for: NumPy imports them then, too.
MODULES: dict[str, Callable[[], Any]] = {
    "random": random,
    **{name: functools.partial(submodule, getattr(np, name)) for name in ("linalg", "fft")},
}
