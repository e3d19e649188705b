"""The elementary functions by name, for each precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import elementary, gammas, inverses, powers, probabilities

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
        inverses.erfcx,
        powers.power,
        gammas.gammaln,
        gammas.psi,
        probabilities.expit,
        probabilities.log_expit,
        probabilities.logit,
        probabilities.xlogy,
        probabilities.xlog1py,
        probabilities.entr,
        probabilities.rel_entr,
        probabilities.kl_div,
        probabilities.ndtr,
        probabilities.log_ndtr,
    )
}
SINGLE: dict[str, Callable[..., Any]] = {
    f.__name__.removesuffix("_single"): f
    for f in (
        elementary.exp_single,
        elementary.log_single,
        elementary.log1p_single,
        elementary.expm1_single,
        elementary.logaddexp_single,
        elementary.tanh_single,
        elementary.tanh_slope_single,
        elementary.logistic_single,
        elementary.sin_single,
        elementary.cos_single,
        inverses.erf_single,
        powers.power_single,
        probabilities.expit_single,
        probabilities.log_expit_single,
    )
}


class Limit(NamedTuple):
    """What is done about a function that is for a usual range only.

    Parameters
    ----------
    outside : callable
        Whether an operand is out of that range.
    exact : callable or None
        The function of all numbers; None for the C library's.
    """

    outside: Callable[[Any], Any]
    exact: Callable[[Any], Any] | None = None


def _is_large(x: Any) -> Any:
    return abs(x) > elementary.LARGEST_ANGLE


def _is_negative(x: Any) -> Any:
    return x < 0.0


LIMITED = {
    **dict.fromkeys(("sin", "cos", "tan"), Limit(_is_large)),
    "gammaln": Limit(_is_negative, gammas.gammaln_exact),
    "psi": Limit(_is_negative, gammas.psi_exact),
}


def function_of(name: str, dtype: np.dtype[Any], exact: bool = False) -> Callable[..., Any]:
    """A function for numbers of a dtype: in double precision if there is none for single; maybe of all numbers."""
    limit = LIMITED.get(name)
    everywhere = limit.exact if exact and limit is not None else None
    own = FUNCTIONS[name] if everywhere is None else everywhere
    if dtype == FLOAT64:
        return own
    single = SINGLE.get(name)
    if single is not None:
        return single

    def in_double(*operands: Any) -> Any:
        return own(*[x.cast(FLOAT64) for x in operands]).cast(FLOAT32)

    return in_double
