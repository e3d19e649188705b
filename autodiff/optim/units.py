"""What a step is compiled for: large arrays one by one, and all small ones of a dtype as one array."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.avals import Aval, intern_aval
from ..plan.costs import nbytes

# Arrays of so many bytes are copied to a place beside others and back in less time than a NumPy plan takes for one more
# operand. Machine code takes 0.7 of the time for each by itself, but is compiled for each, too: few are left alone.
LARGEST_JOINED = 1 << 12
FEWEST_JOINED = 64


class Member(NamedTuple):
    """A parameter among those that are one unit: its number, its place there, and its shape."""

    number: int
    begin: int
    end: int
    shape: tuple[int, ...]


class Units:
    """How parameters make the arrays that a step is compiled for.

    Parameters
    ----------
    avals : sequence of Aval
        Of the parameters.
    joins : bool, optional
        True to make one array of small ones of a dtype; they are NumPy's.

    Attributes
    ----------
    avals : list of Aval
        Of the units.
    """

    __slots__ = ("_count", "_members", "avals")

    def __init__(self, avals: Sequence[Aval], joins: bool = False):
        self._count = len(avals)
        small = Counter([aval.dtype for aval in avals if joins and nbytes(aval) <= LARGEST_JOINED])
        many = {dtype for dtype, n in small.items() if n >= FEWEST_JOINED}
        found: dict[Any, list[Member]] = {}
        for i, aval in enumerate(avals):
            is_joined = aval.dtype in many and nbytes(aval) <= LARGEST_JOINED
            members = found.setdefault(aval.dtype if is_joined else i, [])
            begin = members[-1].end if members else 0
            members.append(Member(i, begin, begin + aval.size, aval.shape))
        # Units in the order of their first parameters; one parameter is a unit as it is.
        self._members = list(found.values())
        self.avals = [
            avals[members[0].number]
            if len(members) == 1
            else intern_aval((members[-1].end,), avals[members[0].number].dtype)
            for members in self._members
        ]

    def joined(self, arrays: Sequence[Any], kinds: int = 1) -> list[Any]:
        """The arrays of the units from those of the parameters, of which each may have several kinds in a row."""
        if len(self._members) == self._count:
            return list(arrays)
        return [
            arrays[members[0].number * kinds + kind]
            if len(members) == 1
            else np.concatenate([arrays[m.number * kinds + kind].ravel() for m in members])
            for members in self._members
            for kind in range(kinds)
        ]

    def parted(self, arrays: Sequence[Any], kinds: int = 1) -> list[Any]:
        """The arrays of the parameters from those of the units; each has memory of its own."""
        if len(self._members) == self._count:
            return list(arrays)
        found: list[Any] = [None] * (self._count * kinds)
        rest = iter(arrays)
        for members in self._members:
            for kind in range(kinds):
                array = next(rest)
                if len(members) == 1:
                    found[members[0].number * kinds + kind] = array
                    continue
                for number, begin, end, shape in members:
                    found[number * kinds + kind] = array[begin:end].reshape(shape).copy()
        return found


class Moments(NamedTuple):
    """The moments of units, those of each unit in a row."""

    units: Units
    arrays: Sequence[Any]
