"""NumPy's functions that give views of what they take."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..tensor.views import look
from .calling import Handler

# Each function, and whether NumPy's view is read-only.
VIEWS: dict[Any, bool] = {
    **dict.fromkeys((np.reshape, np.ravel, np.transpose, np.permute_dims, np.matrix_transpose, np.swapaxes), False),
    **dict.fromkeys((np.moveaxis, np.rollaxis, np.expand_dims, np.squeeze, np.flip, np.fliplr, np.flipud), False),
    **dict.fromkeys((np.rot90, np.real, np.imag, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit), False),
    **dict.fromkeys((np.diagonal, np.diag, np.broadcast_to, np.lib.stride_tricks.sliding_window_view), True),
}

if hasattr(np, "unstack"):  # NumPy 2.1
    VIEWS[np.unstack] = False

# Those that give a view of each argument.
EACH: dict[Any, bool] = {
    **dict.fromkeys((np.atleast_1d, np.atleast_2d, np.atleast_3d), False),
    np.broadcast_arrays: True,
}


def looking(function: Any, handler: Handler) -> Handler:
    """The handler, whose results are views of the first Tensor, or each of its argument; of others as it is."""
    if function in EACH:
        return _each(handler, EACH[function])
    if function not in VIEWS:
        return handler
    read_only = VIEWS[function]

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = handler(*args, **kwargs)
        base = args[0] if args else next(iter(kwargs.values()))
        if type(base) is Tensor:
            for part in result if isinstance(result, (list, tuple)) else (result,):
                look(part, base, read_only)
        return result

    return call


def _each(handler: Handler, read_only: bool) -> Handler:
    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = handler(*args, **kwargs)
        for part, base in zip(result if isinstance(result, (list, tuple)) else (result,), args, strict=True):
            if type(base) is Tensor:
                look(part, base, read_only)
        return result

    return call
