"""What a function records: it is called with nodes of which only abstract values are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from .core.avals import Aval
from .errors import TraceError
from .nodes import NO_SLOT, Argument, Node, Unknown
from .unrecorded import recorded

T = TypeVar("T")


class ValueNeeded(Exception):
    """A function whose record should do for all values looked at one."""


# Two kinds of unknown values: a user is told of the first. The second is about functions of this library.
UNKNOWN = Unknown(
    TraceError,
    "a value was needed while autodiff.function traces a function, where only shapes and dtypes of its arguments are "
    "known: print, float(), an if on a number, or a conversion to an array. Use np.where instead, or call the function "
    "without autodiff.function",
    lines=True,
)
BATCHED = Unknown(
    TraceError,
    "a value was needed while autodiff.vmap batches a function, which is called once for all elements: print, float(), "
    "an if, a boolean mask, or a conversion to an array. Use np.where instead of if, or give what is looked at as an "
    "argument with in_axes=None",
    lines=True,
)
RULE = Unknown(
    TraceError,
    "a value was needed of a cotangent or tangent that a rule of autodiff.custom_vjp or custom_jvp is given: these "
    "have no values when the rule is recorded. Use np.where instead of if",
    lines=True,
)
WITHHELD = Unknown(ValueNeeded, "a recipe does not know values")


def unknowns(avals: Iterable[Aval], value: Unknown = WITHHELD) -> list[Node]:
    """Nodes of which nothing else is known."""
    return [Argument(aval, value, NO_SLOT) for aval in avals]


def trace(function: Callable[..., T], avals: Iterable[Aval], value: Unknown = UNKNOWN) -> tuple[list[Node], T]:
    """Nodes of these abstract values, and what a function of nodes gives for them."""
    given = unknowns(avals, value)
    return given, recorded(function, *given)
