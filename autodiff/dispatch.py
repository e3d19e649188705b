"""Which handler a NumPy function has for Tensors. ``numpy_api`` fills these tables, ``Tensor`` looks in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import UnsupportedError

# ufunc -> function from nodes to a node or a tuple of them; NumPy function -> handler taking its arguments.
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
# Called for ufunc methods and keywords: (ufunc, method, inputs, keywords).
UFUNC_METHODS: dict[str, Callable[..., Any]] = {}


def unsupported(function: Any) -> UnsupportedError:
    """The error for a NumPy function that Tensors have no handler for."""
    if isinstance(function, np.ufunc):
        if set("".join(function.types)) <= set("O->"):
            return UnsupportedError(
                f"the ufunc {function.__name__} computes with Python objects, as np.frompyfunc makes it, and has no "
                "derivative: write np.vectorize of `import autodiff.numpy as np`, or a function of arrays"
            )
        return UnsupportedError(
            f"the ufunc {function.__name__} is not recorded for Tensors: write it with functions that are, or use "
            "np.asarray(t) to compute with the value, which no derivative passes through"
        )
    module = (getattr(function, "__module__", "") or "numpy").replace("numpy._core", "numpy")
    name = f"{module}.{getattr(function, '__name__', function)}"
    return UnsupportedError(
        f"{name} is not recorded for Tensors: write it with functions that are, use np.asarray(t) to compute with the "
        f"value, which no derivative passes through, or add a handler with @autodiff.implements({name})"
    )
