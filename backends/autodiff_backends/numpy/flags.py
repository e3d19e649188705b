"""What NumPy says of plans, of divisions by zero, overflows and invalid values: told at the user's line, by operation.

A plan runs in a context of its own, where NumPy notes these instead of warning. That takes 50 to 100 ns a call, where
setting NumPy's error state takes 1,400. If there is a note afterwards, the program is run once more, operation by
operation, in the error state of the user: this ignores, warns, raises or calls, as he said, and it is known of which
operation. A note that an interrupt has left is therefore told to nobody.
"""

from __future__ import annotations

import warnings
from contextvars import Context
from functools import partial
from threading import get_ident
from typing import Any

import numpy as np

from autodiff.callers import user_frame
from autodiff.core.primitives import Signature

from .workers import serving

# NumPy's words, by their names in its error state.
WORDS = {"divide": "divide by zero", "over": "overflow", "under": "underflow", "invalid": "invalid value"}

# What nobody is to hear of where elements that are not chosen are computed, too.
UNCHOSEN = {"divide": "ignore", "invalid": "ignore"}

# What was noted in plans that are running, by the threads that called them.
noted: dict[int, set[str]] = {}


def _note(word: str, flag: int) -> None:
    thread = get_ident()
    noted.setdefault(serving.get(thread, thread), set()).add(word)


def _prepared(state: dict[str, Any]) -> Context:
    context = Context()
    context.run(np.seterrcall, _note)
    context.run(partial(np.seterr, **{"all": "call", **state}))
    return context


# Each call enters a copy of one of these.
LOUD, QUIET = _prepared({}), _prepared(UNCHOSEN)


def forget() -> None:
    """A plan that this thread called has ended with an error: what was noted in it is nobody's."""
    noted.pop(get_ident(), None)


class Telling:
    """The error state of the user, where the operation is known.

    Parameters
    ----------
    quiet : bool
        Whether nobody is to hear of divisions by zero and invalid values.

    Attributes
    ----------
    is_wanted : bool
        Whether anything was noted in the plan that this thread has called that it does not ignore.
    signature : Signature
        The operation that is being computed.
    """

    signature: Signature

    def __init__(self, quiet: bool):
        self._state: dict[str, Any] = {**dict(np.geterr()), **(UNCHOSEN if quiet else {})}
        self._handler: Any = np.geterrcall()
        heard = {word for name, word in WORDS.items() if self._state[name] != "ignore"}
        self.is_wanted = not heard.isdisjoint(noted.pop(get_ident(), ()))
        self._told: set[tuple[str, Signature]] = set()

    def errstate(self) -> Any:
        """The error state as a context manager."""
        state: dict[str, Any] = {
            name: "call" if action in ("warn", "log") else action for name, action in self._state.items()
        }
        return np.errstate(**state, call=self._called)

    def _called(self, word: str, flag: int) -> None:
        action = next(self._state[name] for name, one in WORDS.items() if one == word)
        if action == "call":
            self._handler(word, flag)
        elif action == "log":
            self._handler.write(f"Warning: {self._text(word)}\n")
        elif (word, self.signature) not in self._told:
            self._told.add((word, self.signature))
            warnings.warn(self._text(word), RuntimeWarning, stacklevel=user_frame()[1])

    def _text(self, word: str) -> str:
        of = " of a derivative" if self.signature.is_derived else ""
        return (
            f"{word} encountered in {self.signature!r}{of}, which is computed here; ad.debug_nans(inf=True) names the "
            "line that recorded it"
        )

    def raised(self, error: FloatingPointError) -> FloatingPointError:
        """NumPy's error as one that names the operation."""
        return FloatingPointError(self._text(str(error).partition(" encountered")[0]))
