"""What belongs to the state of an optimizer beside parameters and moments: it is saved and restored with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

# Attributes that change together with the rest of a state: whose, which, and their new values.
Beside = Sequence[tuple[object, str, Any]]


class Keeper(Protocol):
    """Something with a state that training goes on from: a schedule, sums of gradients, a search."""

    def _state_arrays(self) -> dict[str, Any]:
        """The arrays of the state by name, always of the same names, shapes and dtypes."""
        ...

    def _state_from(self, arrays: Sequence[Any]) -> Beside:
        """What changes if these arrays, in the order of ``_state_arrays``, are the state; nothing is changed yet."""
        ...
