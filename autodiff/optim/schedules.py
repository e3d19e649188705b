"""Learning-rate schedules: the rate as a function of how many steps were taken. Any such function will do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..arguments import count, number
from ..convert import describe
from ..errors import ArgumentError, shown
from ..tracebacks import boundaries


@boundaries
@dataclass(frozen=True)
class Constant:
    """The same rate for ever.

    Parameters
    ----------
    rate : float
        The rate.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.optim.Constant(0.1)(1000)
    0.1
    """

    rate: float

    def __post_init__(self) -> None:
        number(self.rate, "Constant: rate")

    def __call__(self, step: int) -> float:
        """The rate after ``step`` steps."""
        return self.rate


@boundaries
@dataclass(frozen=True)
class StepDecay:
    """The rate times a factor after every so many steps.

    Parameters
    ----------
    rate : float
        The first rate.
    every : int
        Steps with the same rate.
    factor : float, optional
        What the rate is then multiplied with.

    Examples
    --------
    >>> import autodiff as ad
    >>> schedule = ad.optim.StepDecay(0.5, every=100, factor=0.5)
    >>> [schedule(step) for step in (0, 99, 100, 200)]
    [0.5, 0.5, 0.25, 0.125]
    """

    rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        number(self.rate, "StepDecay: rate")
        count(self.every, "StepDecay: every")
        number(self.factor, "StepDecay: factor")

    def __call__(self, step: int) -> float:
        """The rate after ``step`` steps."""
        return self.rate * self.factor ** (step // self.every)


@boundaries
@dataclass(frozen=True)
class Exponential:
    """The rate times a factor after every step.

    Parameters
    ----------
    rate : float
        The first rate.
    factor : float
        What each rate is multiplied with to give the next.

    Examples
    --------
    >>> import autodiff as ad
    >>> schedule = ad.optim.Exponential(1.0, factor=0.5)
    >>> [schedule(step) for step in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    rate: float
    factor: float

    def __post_init__(self) -> None:
        number(self.rate, "Exponential: rate")
        number(self.factor, "Exponential: factor")

    def __call__(self, step: int) -> float:
        """The rate after ``step`` steps."""
        return self.rate * self.factor**step


@boundaries
@dataclass(frozen=True)
class Linear:
    """A straight line from the rate to a final one, if asked for after a warm-up.

    Parameters
    ----------
    rate : float
        The greatest rate.
    steps : int
        Steps until the final rate, which then stays; the warm-up is part of them.
    final : float, optional
        The final rate.
    warm_up : int, optional
        First steps, in which the rate grows in a straight line: ``rate / warm_up``, ``2 * rate / warm_up`` ...

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017 (the warm-up).

    Examples
    --------
    >>> import autodiff as ad
    >>> schedule = ad.optim.Linear(1.0, steps=6, warm_up=2)
    >>> [schedule(step) for step in range(8)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0
    warm_up: int = 0

    def __post_init__(self) -> None:
        _check_course(self, "Linear")

    def __call__(self, step: int) -> float:
        """The rate after ``step`` steps."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        return self.rate + (self.final - self.rate) * _progress(self, step)


@boundaries
@dataclass(frozen=True)
class Cosine:
    """Half a wave of the cosine from the rate to a final one, if asked for after a warm-up.

    Parameters
    ----------
    rate : float
        The greatest rate.
    steps : int
        Steps until the final rate, which then stays; the warm-up is part of them.
    final : float, optional
        The final rate.
    warm_up : int, optional
        First steps, in which the rate grows in a straight line: ``rate / warm_up``, ``2 * rate / warm_up`` ...

    Notes
    -----
    At the fraction s of the steps after the warm-up, the rate is
    ``final + (rate - final) * (1 + cos(pi * s)) / 2``.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, equation 5.

    Examples
    --------
    >>> import autodiff as ad
    >>> schedule = ad.optim.Cosine(1.0, steps=6, warm_up=2)
    >>> [round(schedule(step), 3) for step in range(8)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0
    warm_up: int = 0

    def __post_init__(self) -> None:
        _check_course(self, "Cosine")

    def __call__(self, step: int) -> float:
        """The rate after ``step`` steps."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        return self.final + (self.rate - self.final) * (1 + math.cos(math.pi * _progress(self, step))) / 2


@boundaries
@dataclass(frozen=True)
class CosineRestarts:
    """Half waves of the cosine, each from the rate to a final one, after which the rate is the first again.

    Parameters
    ----------
    rate : float
        The rate at the beginning of each wave.
    steps : int
        Steps of the first wave.
    factor : int, optional
        How many times as long as the one before each wave is.
    final : float, optional
        What the rate comes close to at the end of each wave.

    Notes
    -----
    At the fraction s of the steps of a wave, the rate is ``final + (rate - final) * (1 + cos(pi * s)) / 2``. With
    ``WarmUp`` it grows to the first rate before.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, equation 5.

    Examples
    --------
    >>> import autodiff as ad
    >>> schedule = ad.optim.CosineRestarts(1.0, steps=2, factor=2)
    >>> [round(schedule(step), 3) for step in range(8)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0, 0.962]
    """

    rate: float
    steps: int
    factor: int = 1
    final: float = 0.0

    def __post_init__(self) -> None:
        number(self.rate, "CosineRestarts: rate")
        count(self.steps, "CosineRestarts: steps")
        count(self.factor, "CosineRestarts: factor")
        number(self.final, "CosineRestarts: final")

    def __call__(self, step: int) -> float:
        """The rate after ``step`` steps."""
        length = self.steps
        if self.factor == 1:
            step %= length
        while step >= length:
            step -= length
            length *= self.factor
        return self.final + (self.rate - self.final) * (1 + math.cos(math.pi * step / length)) / 2


@boundaries
@dataclass(frozen=True)
class WarmUp:
    """A straight line up to the first rate of another schedule, which follows.

    Parameters
    ----------
    schedule : float or callable
        What follows: a rate, or any schedule, which counts its steps from the end of the warm-up.
    steps : int
        Steps in which the rate grows: those of ``rate / steps``, ``2 * rate / steps`` ... for the first ``rate``.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.

    Examples
    --------
    >>> import autodiff as ad
    >>> schedule = ad.optim.WarmUp(ad.optim.Exponential(1.0, factor=0.5), steps=4)
    >>> [schedule(step) for step in range(7)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.25]
    """

    schedule: float | Callable[[int], float]
    steps: int

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            try:
                number(self.schedule, "WarmUp: schedule")
            except ArgumentError as error:
                raise ArgumentError(f"{error}, or a schedule, not {describe(self.schedule)}") from None
        count(self.steps, "WarmUp: steps")

    def __call__(self, step: int) -> float:
        """The rate after ``step`` steps."""
        after = max(step - self.steps, 0)
        rate = self.schedule(after) if callable(self.schedule) else self.schedule
        return rate * (step + 1) / self.steps if step < self.steps else rate


def _check_course(schedule: Linear | Cosine, what: str) -> None:
    number(schedule.rate, f"{what}: rate")
    number(schedule.final, f"{what}: final")
    count(schedule.warm_up, f"{what}: warm_up", 0)
    count(schedule.steps, f"{what}: steps")
    if schedule.steps <= schedule.warm_up:
        raise ArgumentError(
            f"{what}: steps={shown(schedule.steps)} must be more than warm_up={shown(schedule.warm_up)}"
        )


def _progress(schedule: Linear | Cosine, step: int) -> float:
    """The fraction of the steps after the warm-up that have been taken."""
    return min((step - schedule.warm_up) / (schedule.steps - schedule.warm_up), 1.0)
