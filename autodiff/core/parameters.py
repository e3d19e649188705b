"""The types of static parameters, which stand on cards: what a parameter is says what it does to axes and shapes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NewType

import numpy as np

# An axis of every operand, counted from the front. The primitive works along it, and the result has it or lacks it.
Axis = NewType("Axis", int)

# Several of them, sorted.
Axes = NewType("Axes", tuple[int, ...])

# The axis of the operand that each axis of the result is.
Permutation = NewType("Permutation", tuple[int, ...])

# The shape of the result.
Shape = NewType("Shape", tuple[int, ...])

# Which of several outputs is taken.
Output = NewType("Output", int)

# The dtype of the result.
DType = np.dtype

# Anything that has nothing to do with axes.
Static = Hashable


class Held:
    """A static parameter that is an object: no text says what it is, and a plan that is a text holds it beside."""

    __slots__ = ("__weakref__",)
