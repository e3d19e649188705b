"""The elementary functions by name, for each precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import elementary, inverses

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        elementary.exp,
        elementary.exp2,
        elementary.expm1,
        elementary.log,
        elementary.log2,
        elementary.log10,
        elementary.log1p,
        elementary.logaddexp,
        elementary.logaddexp2,
        elementary.logistic,
        elementary.tanh,
        elementary.tanh_slope,
        elementary.sinh,
        elementary.cosh,
        elementary.sin,
        elementary.cos,
        elementary.tan,
        elementary.arctan,
        inverses.arctan2,
        inverses.arcsin,
        inverses.arccos,
        inverses.arcsinh,
        inverses.arccosh,
        inverses.arctanh,
        inverses.cbrt,
        inverses.hypot,
        inverses.erf,
        inverses.erfc,
    )
}
SINGLE: dict[str, Callable[..., Any]] = {
    f.__name__.removesuffix("_single"): f
    for f in (
        elementary.exp_single,
        elementary.log_single,
        elementary.tanh_single,
        elementary.tanh_slope_single,
        elementary.logistic_single,
        elementary.sin_single,
        elementary.cos_single,
    )
}

# Those that are for angles up to ``LARGEST_ANGLE``.
ANGLES = frozenset(("sin", "cos", "tan"))


def function_of(name: str, dtype: np.dtype[Any]) -> Callable[..., Any]:
    """A function for numbers of a dtype: in double precision if there is none for single."""
    if dtype == FLOAT64:
        return FUNCTIONS[name]
    own = SINGLE.get(name)
    if own is not None:
        return own

    def in_double(*operands: Any) -> Any:
        return FUNCTIONS[name](*[x.cast(FLOAT64) for x in operands]).cast(FLOAT32)

    return in_double
