"""The buffers that plans work in, kept between calls: within one bound for the whole process.

Memory that is given back to the system and taken again is paid for page by page: touching 800 kB for the first time
takes 240 us, and 15 us after that.

A call takes a set of buffers out of its plan's list and puts it back at its end: two operations on a list are all that
a warm call does here. What a call works in is in no list, so no call is ever disturbed. Now and then the sets in lists
are put aside, and calls that need one take it back. When there is to be more than the bound, what lies aside is
dropped, that of the oldest plans first.

There are no locks and no running totals, which a signal handler, a finalizer or a fork in the middle could leave wrong:
what counts is what is alive, as weak references say.
"""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from ..errors import ArgumentError, shown
from ..tracebacks import boundary

DEFAULT_LIMIT = 1 << 28

# A set of buffers: arrays, of which the first is not a view; or what has these in it.
Buffers = tuple[Any, ...]


class Taker(Protocol):
    """What takes a set of buffers at the end of a call."""

    def append(self, buffers: Buffers, /) -> None:
        """Take it."""


class Owner(Protocol):
    """What has sets of buffers that no call works in."""

    def put_aside(self) -> None:
        """Put aside what is spare."""

    def drop(self) -> int:
        """Drop what lies aside; how many bytes that gives back."""


class Workspaces:
    """The sets of buffers of one plan.

    Parameters
    ----------
    make : callable
        Makes a set.
    nbytes : int
        Of a set.
    first : callable, optional
        Gives an array of a set that is not a view.

    Attributes
    ----------
    spare : list
        Those that no call works in. Popping and appending are atomic, so no two calls work in the same buffers.
    """

    __slots__ = ("__weakref__", "_aside", "_first", "_make", "_nbytes", "spare")

    def __init__(
        self, make: Callable[[], Buffers], nbytes: int, first: Callable[[Buffers], Any] = operator.itemgetter(0)
    ):
        self.spare: list[Buffers] = []
        self._aside: list[Buffers] = []
        self._make = make
        self._first = first
        self._nbytes = nbytes

    def take(self) -> tuple[Buffers, Taker]:
        """A set for a call that finds none in ``spare``, and what takes it at the end of the call."""
        try:
            return self._aside.pop(), self.spare
        except IndexError:
            return self._make(), self

    def append(self, buffers: Buffers) -> None:
        """Keep a new set, if it is within the bound."""
        if self._nbytes:
            if self._nbytes > kept.limit:
                return
            kept.add(self, self._first(buffers), self._nbytes)
        self.spare.append(buffers)
        kept.keep_within()

    def put_aside(self) -> None:
        """Put aside what is spare."""
        with suppress(IndexError):
            while True:
                self._aside.append(self.spare.pop())

    def drop(self) -> int:
        """Drop what lies aside; how many bytes that gives back."""
        dropped, self._aside = self._aside, []
        return len(dropped) * self._nbytes


class _Set(weakref.ref[Any]):
    """A set of buffers that is kept, as long as it is alive."""

    __slots__ = ("nbytes", "number", "owner")

    nbytes: int
    number: int
    owner: weakref.ref[Owner]


class Kept:
    """All sets of buffers that are kept between calls.

    Attributes
    ----------
    limit : int
        Bytes at most.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT):
        self.limit = limit
        self._numbers = itertools.count()
        # By number, the oldest first.
        self._sets: dict[int, _Set] = {}
        # Bytes that may be added before what is there is counted again.
        self._room = 0

    def add(self, owner: Owner, array: Any, nbytes: int) -> None:
        """Count a set for as long as ``array``, which is in it, is alive."""
        added = _Set(array, self._gone)
        added.owner, added.nbytes, added.number = weakref.ref(owner), nbytes, next(self._numbers)
        self._sets[added.number] = added
        self._room -= nbytes

    def forget(self, owner: Owner) -> None:
        """Count none of the sets of an owner any more: others have those that are alive."""
        for number, x in list(self._sets.items()):
            if x.owner() is owner:
                self._sets.pop(number, None)

    def _gone(self, gone: _Set) -> None:
        self._sets.pop(gone.number, None)

    @property
    def nbytes(self) -> int:
        """Bytes held now, those that calls work in included."""
        # A list, made at one stroke: sets come and go meanwhile.
        return sum([x.nbytes for x in list(self._sets.values())])

    def keep_within(self) -> None:
        """Give back what is beyond the bound, and an eighth more, so that this is not done again at the next set."""
        if self._room >= 0:
            return
        owners = [x for x in dict.fromkeys([x.owner() for x in list(self._sets.values())]) if x is not None]
        excess = self.nbytes - self.limit
        if excess > 0:
            excess += self.limit // 8
        # The second time it is about what was used since they were last put aside: all, at the worst.
        for _ in range(2):
            for owner in owners:
                if excess > 0:
                    excess -= owner.drop()
            for owner in owners:
                owner.put_aside()
        self._room = min(self.limit // 4, self.limit - self.nbytes)

    def set_limit(self, limit: int) -> None:
        """Have another bound, from now on."""
        self.limit, self._room = limit, -1
        self.keep_within()


kept = Kept()


@boundary
def set_buffer_limit(nbytes: int | None) -> None:
    """Set how many bytes of buffers plans on the CPU may keep between calls, all of them together.

    Parameters
    ----------
    nbytes : int or None
        0 to keep none: each call then makes its own. None for the default, 256 MiB. What is beyond it is given back at
        once, except for buffers that calls work in meanwhile.

    Raises
    ------
    ArgumentError
        If it is no integer of at least 0.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.set_buffer_limit(64 * 2**20)
    >>> ad.set_buffer_limit(None)
    """
    if nbytes is not None and (isinstance(nbytes, bool) or not isinstance(nbytes, int) or nbytes < 0):
        raise ArgumentError(f"set_buffer_limit: {shown(nbytes)} must be an integer of at least 0, or None")
    kept.set_limit(DEFAULT_LIMIT if nbytes is None else nbytes)
