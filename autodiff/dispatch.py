"""Which handler a NumPy function has for Tensors. ``numpy_api`` fills these tables, ``Tensor`` looks in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import UnsupportedError
from .reasons import REASONS

# ufunc -> function from nodes to a node or a tuple of them; NumPy function -> handler taking its arguments.
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
# Handlers that somebody has given to ufuncs. The table above has those of this library's.
OVERRIDDEN: dict[Any, Callable[..., Any]] = {}
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
# By the name "numpy": the module whose functions take Tensors and create some.
MODULE: dict[str, Any] = {}
# Called for ufunc methods and keywords: (ufunc, method, inputs, keywords).
UFUNC_METHODS: dict[str, Callable[..., Any]] = {}


def unsupported(function: Any) -> UnsupportedError:
    """The error for a NumPy function that Tensors have no handler for."""
    name = full_name(function)
    what = f"the ufunc {function.__name__}" if isinstance(function, np.ufunc) else name
    of_objects = isinstance(function, np.ufunc) and set("".join(function.types)) <= set("O->")
    reason = REASONS["numpy.frompyfunc"] if of_objects else REASONS.get(name)
    if reason is not None:
        return UnsupportedError(f"{what} is not recorded for Tensors: {reason}")
    value = "np.asarray(t) to compute with the value, which no derivative passes through"
    written = f"{what} is not recorded for Tensors: write it with functions that are,"
    if isinstance(function, np.ufunc):
        if set("".join(function.types)) <= set("O->"):
            return UnsupportedError(
                f"{what} computes with Python objects, as np.frompyfunc makes it, and has no derivative: write "
                "np.vectorize of `import autodiff.numpy as np`, or a function of arrays"
            )
        return UnsupportedError(f"{written} use {value}, or add a handler with @autodiff.implements")
    return UnsupportedError(f"{written} use {value}, or add a handler with @autodiff.implements({name})")


def full_name(function: Any) -> str:
    """What a function of NumPy is called, with its module as users import it."""
    module = getattr(function, "__module__", "") or "numpy"
    return f"{module.replace('numpy._core', 'numpy')}.{getattr(function, '__name__', function)}"
