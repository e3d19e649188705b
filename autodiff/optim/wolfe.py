"""A length of a step that fulfils Wolfe's strong conditions: a bracket by cubic interpolation, which is then narrowed.

Nocedal and Wright, "Numerical optimization", 2006, algorithms 3.5 and 3.6, and equation 3.59.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Vector = np.ndarray[Any, Any]
# The loss, its gradient and its slope at a distance along the direction.
Along = Callable[[float], tuple[float, Vector, float]]

# Of the slope at the beginning: by how much a loss must fall, and how much of the slope may be left.
FALL, SLOPE_LEFT = 1e-4, 0.9
# How much closer to the ends of a bracket than this fraction of it a trial does not go twice in a row.
MARGIN = 0.1
# A bracket that is looked for grows by at least and at most these.
LEAST_GROWTH, MOST_GROWTH = 0.01, 10.0


class Trial(NamedTuple):
    """A distance that was tried, and what was found there."""

    t: float
    loss: float
    gradient: Vector
    slope: float


def line_search(
    along: Along, t: float, loss: float, gradient: Vector, slope: float, narrow: float, most: int
) -> tuple[float, Vector, float, int]:
    """The loss and gradient at a length that suits, the length, and how many were tried.

    Parameters
    ----------
    along : callable
        What is searched.
    t : float
        The length to begin with.
    loss, gradient, slope
        Where the search begins.
    narrow : float
        A bracket of less is narrowed no further.
    most : int
        Trials at most, after the first.
    """
    start = Trial(0.0, loss, gradient, slope)

    def high(trial: Trial) -> bool:
        # NaN and infinity are too far.
        return not trial.loss <= loss + FALL * trial.t * slope

    def level(trial: Trial) -> bool:
        return abs(trial.slope) <= -SLOPE_LEFT * slope

    previous, trial, tried = start, Trial(t, *along(t)), 1
    bracket = (start, trial)
    while tried <= most:
        if high(trial) or (tried > 2 and trial.loss >= previous.loss):
            bracket = (previous, trial)
            break
        if level(trial):
            return trial.loss, trial.gradient, trial.t, tried
        if trial.slope >= 0:
            bracket = (previous, trial)
            break
        least, largest = trial.t + LEAST_GROWTH * (trial.t - previous.t), trial.t * MOST_GROWTH
        t = _interpolated(previous, trial, least, largest)
        previous, trial, tried = trial, Trial(t, *along(t)), tried + 1
        bracket = (start, trial)

    low, far = sorted(bracket, key=lambda found: found.loss if not math.isnan(found.loss) else math.inf)
    stuck = False
    while tried <= most and not abs(far.t - low.t) < narrow:
        left, right = min(low.t, far.t), max(low.t, far.t)
        t = _interpolated(*((low, far) if low.t <= far.t else (far, low)), left, right)
        margin = MARGIN * (right - left)
        if min(right - t, t - left) < margin:
            # So close to an end twice in a row, or beyond it, would take many trials.
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        trial, tried = Trial(t, *along(t)), tried + 1
        if high(trial) or trial.loss >= low.loss:
            far = trial
            if far.loss < low.loss:
                low, far = far, low
        else:
            if level(trial):
                return trial.loss, trial.gradient, trial.t, tried
            if trial.slope * (far.t - low.t) >= 0:
                far = low
            low = trial
    return low.loss, low.gradient, low.t, tried


def _interpolated(a: Trial, b: Trial, least: float, largest: float) -> float:
    """Where a cubic through both points, with their slopes, has its minimum; the middle if it has none."""
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    # NaN, of a loss that is none, is no minimum.
    if not square >= 0 or not math.isfinite(square):
        return (least + largest) / 2
    d2 = math.sqrt(square)
    span = b.slope - a.slope + 2 * d2
    if not span:
        return (least + largest) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / span), least), largest)
