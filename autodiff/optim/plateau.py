"""A rate that shrinks when a measure of success no longer gets better: the only schedule with a state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arguments import count, number, word
from ..convert import describe
from ..errors import ArgumentError
from ..tracebacks import boundaries
from .keeping import Beside


class Course(NamedTuple):
    """Where a rate is: itself, the best value so far, values since that were no better, and those to be ignored."""

    rate: float
    best: float
    worse: float
    waiting: float


@boundaries
class ReduceOnPlateau:
    """A rate that is multiplied with a factor when a value, such as a loss, has not got better for some time.

    The value is told by ``report``, such as once an epoch. While it is the rate of an optimizer, its state is a part of
    that one's (``state_dict``, ``save``).

    Parameters
    ----------
    rate : float
        The first rate.
    factor : float, optional
        What the rate is multiplied with; less than 1.
    patience : int, optional
        How many reports in a row may be no better before the rate shrinks at the next one.
    threshold : float, optional
        By what fraction of the best value so far a value must be better to be so.
    mode : {"min", "max"}, optional
        Whether less is better, or more.
    cooldown : int, optional
        Reports after a change that do not count as no better.
    minimum : float, optional
        What the rate does not fall below.

    Raises
    ------
    ArgumentError
        If a number makes no sense.

    Notes
    -----
    As PyTorch's ``ReduceLROnPlateau`` with its defaults, of which two details differ: the threshold is a fraction of
    the magnitude of the best value, so that negative values must get better, too; and a change of less than 1e-8 is
    made.

    Examples
    --------
    >>> import autodiff as ad
    >>> schedule = ad.optim.ReduceOnPlateau(1.0, factor=0.5, patience=1)
    >>> [schedule.report(loss) for loss in (3.0, 2.0, 2.0, 2.5, 2.0, 2.0)]
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        rate: float,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        mode: str = "min",
        cooldown: int = 0,
        minimum: float = 0.0,
    ):
        what = "ReduceOnPlateau"
        self._factor = number(factor, f"{what}: factor", below=1.0)
        self._patience = count(patience, f"{what}: patience", 0)
        self._threshold = number(threshold, f"{what}: threshold")
        word(mode, f"{what}: mode", ("min", "max"))
        # What is better is more of this times the value.
        self._sign = -1.0 if mode == "min" else 1.0
        self._cooldown = count(cooldown, f"{what}: cooldown", 0)
        self._minimum = number(minimum, f"{what}: minimum")
        self._course = Course(number(rate, f"{what}: rate"), -self._sign * math.inf, 0.0, 0.0)

    def __repr__(self) -> str:
        rate, best, worse, _ = self._course
        return f"ReduceOnPlateau({rate!r}, best={best!r}, {worse:.0f} since)"

    def __call__(self, step: int) -> float:
        """The rate now, whatever the number of steps."""
        return self._course.rate

    def report(self, value: Any) -> float:
        """Take note of a value.

        Parameters
        ----------
        value : float or Tensor
            A single number. NaN is no better than anything.

        Returns
        -------
        float
            The rate from now on.
        """
        try:
            found = float(value)
        except (TypeError, ValueError):
            raise ArgumentError(f"report: value={describe(value)} must be a number") from None
        rate, best, worse, waiting = self._course
        least = best if math.isinf(best) else best + self._sign * self._threshold * abs(best)
        worse += 1.0
        if self._sign * found > self._sign * least:
            best, worse = found, 0.0
        if waiting:
            waiting, worse = waiting - 1.0, 0.0
        if worse > self._patience:
            # A rate that is less already stays.
            rate, waiting, worse = min(rate, max(rate * self._factor, self._minimum)), float(self._cooldown), 0.0
        self._course = Course(rate, best, worse, waiting)
        return rate

    def _state_arrays(self) -> dict[str, Any]:
        """The state as an array, which an optimizer saves with its own."""
        return {"plateau": np.array(self._course)}

    def _state_from(self, arrays: Sequence[Any]) -> Beside:
        """What changes if this array is the state."""
        return [(self, "_course", Course(*arrays[0].tolist()))]
