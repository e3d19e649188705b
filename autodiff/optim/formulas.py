"""How each method turns a gradient into a step: the formulas, as NumPy code on Tensors that stand for arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .clipping import squared_magnitude


class Formula(Protocol):
    """A method of optimization, for one parameter. Numbers are data: only the structure decides what is compiled."""

    @property
    def structure(self) -> tuple[Any, ...]:
        """What distinguishes the operations that ``update`` records."""
        ...

    @property
    def moments(self) -> dict[str, bool]:
        """The names of the arrays that are kept for each parameter, and whether they are real if it is complex."""
        ...

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        """What ``update`` takes in the step of this number, from 1 on."""
        ...

    def update(self, p: Any, g: Any, moments: Sequence[Any], *numbers: Any) -> tuple[Any, Sequence[Any]]:
        """The new parameter and the new moments, for a gradient that points uphill."""
        ...


@dataclass(frozen=True)
class Momentum:
    """Gradient descent, with or without momentum (of Polyak or Nesterov)."""

    momentum: float
    nesterov: bool

    @property
    def structure(self) -> tuple[Any, ...]:
        """Whether there is momentum, and which kind."""
        return self.momentum > 0, self.nesterov

    @property
    def moments(self) -> dict[str, bool]:
        """The velocity."""
        return {"velocity": False} if self.momentum else {}

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        """Rate and momentum."""
        return rate, self.momentum

    def update(self, p: Any, g: Any, moments: Sequence[Any], *numbers: Any) -> tuple[Any, Sequence[Any]]:
        """Along the velocity, or along the gradient."""
        rate, momentum = numbers
        if not moments:
            return p - rate * g, ()
        velocity = momentum * moments[0] + g
        return p - rate * (g + momentum * velocity if self.nesterov else velocity), (velocity,)


@dataclass(frozen=True)
class MeanSquare:
    """Gradients divided by the root of a running mean of their squares."""

    decay: float
    epsilon: float
    momentum: float
    centered: bool

    @property
    def structure(self) -> tuple[Any, ...]:
        """Whether there is momentum, and whether the mean is subtracted."""
        return self.momentum > 0, self.centered

    @property
    def moments(self) -> dict[str, bool]:
        """Means of squares and, if asked for, of gradients; and the velocity."""
        found = {"mean_square": True}
        if self.centered:
            found["mean"] = False
        if self.momentum:
            found["velocity"] = False
        return found

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        """Rate and options."""
        return rate, self.decay, self.epsilon, self.momentum

    def update(self, p: Any, g: Any, moments: Sequence[Any], *numbers: Any) -> tuple[Any, Sequence[Any]]:
        """Along the divided gradient, or along its velocity."""
        rate, decay, epsilon, momentum = numbers
        mean_square = decay * moments[0] + (1 - decay) * squared_magnitude(g)
        kept, variance = [mean_square], mean_square
        if self.centered:
            mean = decay * moments[1] + (1 - decay) * g
            kept.append(mean)
            # Of gradients that hardly vary, rounding may make the difference negative.
            variance = np.maximum(mean_square - squared_magnitude(mean), 0)
        direction = g / (np.sqrt(variance) + epsilon)
        if self.momentum:
            direction = momentum * moments[-1] + direction
            kept.append(direction)
        return p - rate * direction, kept


@dataclass(frozen=True)
class AdaptiveMoments:
    """A running mean of gradients divided by the root of one of their squares, both without the bias of zeros."""

    beta1: float
    beta2: float
    epsilon: float
    amsgrad: bool

    @property
    def structure(self) -> tuple[Any, ...]:
        """Whether it divides by the greatest mean so far."""
        return (self.amsgrad,)

    @property
    def moments(self) -> dict[str, bool]:
        """First and second moment, and the greatest second moment if that is used."""
        found = {"first_moment": False, "second_moment": True}
        return found | {"greatest_second_moment": True} if self.amsgrad else found

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        """Factors and epsilon of the efficient form at the end of section 2 of the paper, and both betas."""
        scale = math.sqrt(1 - self.beta2**step)
        return rate * scale / (1 - self.beta1**step), self.epsilon * scale, self.beta1, self.beta2

    def update(self, p: Any, g: Any, moments: Sequence[Any], *numbers: Any) -> tuple[Any, Sequence[Any]]:
        """Along the first moment, divided by the root of the second."""
        rate, epsilon, beta1, beta2 = numbers
        first = beta1 * moments[0] + (1 - beta1) * g
        second = beta2 * moments[1] + (1 - beta2) * squared_magnitude(g)
        kept, greatest = [first, second], second
        if self.amsgrad:
            greatest = np.maximum(moments[2], second)
            kept.append(greatest)
        return p - rate * first / (np.sqrt(greatest) + epsilon), kept


@dataclass(frozen=True)
class SignedMomentum:
    """The sign of a mix of a running mean of gradients and of the newest: a step of the same size everywhere."""

    beta1: float
    beta2: float

    @property
    def structure(self) -> tuple[Any, ...]:
        """One form only."""
        return ()

    @property
    def moments(self) -> dict[str, bool]:
        """The running mean."""
        return {"first_moment": False}

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        """Rate and both betas."""
        return rate, self.beta1, self.beta2

    def update(self, p: Any, g: Any, moments: Sequence[Any], *numbers: Any) -> tuple[Any, Sequence[Any]]:
        """Along the sign of the mix; the mean is of other weights."""
        rate, beta1, beta2 = numbers
        (mean,) = moments
        return p - rate * np.sign(beta1 * mean + (1 - beta1) * g), (beta2 * mean + (1 - beta2) * g,)
