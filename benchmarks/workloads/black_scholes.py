"""Greeks of European options: a long elementwise expression of five arrays, differentiated in four of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "black_scholes"


def pose(options: int) -> Problem:
    """Spot prices, volatilities, rates and times to maturity; strikes."""
    random = np.random.default_rng(0)
    ranges = ((80, 120), (0.1, 0.4), (0.0, 0.05), (0.25, 2.0), (80, 120))
    *variables, strikes = (random.uniform(low, high, options) for low, high in ranges)
    return Problem(variables, [strikes])


def cdf(xp: Any, x: Any) -> Any:
    """The normal distribution, nearly: what every library has the functions for."""
    return 0.5 * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def total_price(xp: Any, spot: Any, volatility: Any, rate: Any, time: Any, strike: Any) -> Any:
    """Sum of the prices of calls."""
    deviation = volatility * xp.sqrt(time)
    d1 = (xp.log(spot / strike) + (rate + 0.5 * volatility**2) * time) / deviation
    d2 = d1 - deviation
    return xp.sum(spot * cdf(xp, d1) - strike * xp.exp(-rate * time) * cdf(xp, d2))


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Black-Scholes prices of calls, summed, and the gradients with respect to each option's spot price, "
        "volatility, rate and time (delta, vega, rho, theta), float64. The normal distribution is approximated."
    ),
    contestants=contestants(total_price, pose),
    cases=tuple(Case(f"{count:,}", count, size=count) for count in (1_000, 100_000, 1_000_000)),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=(Row("Black-Scholes greeks, 1,000 to 1,000,000 options"),),
    size_unit="options",
    max_rounds=15,
)
