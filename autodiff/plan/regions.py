"""Parts of arrays that a program knows: indices of slices and integers, and slices for positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import ops

Places = npt.NDArray[np.int64]


class Region(NamedTuple):
    """An index without arrays, for an array of some shape."""

    spec: tuple[Any, ...]
    entries: tuple[Any, ...]
    source: tuple[int, ...]

    @classmethod
    def along(cls, source: tuple[int, ...], axis: int, part: slice) -> Region:
        """A slice along one axis, and all of the others."""
        entries, spec = [slice(0, n, 1) for n in source], [*source]
        entries[axis], spec[axis] = part, len(range(*part.indices(source[axis])))
        return cls(tuple(spec), tuple(entries), source)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is taken."""
        return tuple([1 if s == ops.NEWAXIS else s for s in self.spec if s != ops.INTEGER])

    @property
    def is_all(self) -> bool:
        """Whether everything is taken, as it is."""
        return self.shape == self.source and all(self._takes_all(i) for i in range(len(self.entries)))

    def _takes_all(self, place: int) -> bool:
        entry, axis = self.entries[place], self._axes()[place]
        if axis is None or not isinstance(entry, slice):
            return False
        n = self.source[axis]
        return range(*entry.indices(n)) == range(n)

    def _axes(self) -> list[int | None]:
        """The axis of the array for each entry; None for a new one."""
        found: list[int | None] = []
        axis = 0
        for form in self.spec:
            found.append(None if form == ops.NEWAXIS else axis)
            axis += form != ops.NEWAXIS
        return found

    def _after(self) -> list[int | None]:
        """The axis of the result for each entry; None for an integer."""
        found: list[int | None] = []
        axis = 0
        for form in self.spec:
            found.append(None if form == ops.INTEGER else axis)
            axis += form != ops.INTEGER
        return found

    def after(self, axis: int) -> int | None:
        """Where an axis of the array is in the result; None unless all of it is."""
        place = self._axes().index(axis)
        return self._after()[place] if self._takes_all(place) else None

    def before(self, axis: int) -> int | None:
        """Where an axis of the result is in the array; None unless all of it is."""
        place = self._after().index(axis)
        return self._axes()[place] if self._takes_all(place) else None

    def without(self, axis: int) -> Region:
        """The same for an array without an axis."""
        place = self._axes().index(axis)

        def other(sequence: Sequence[Any], i: int) -> tuple[Any, ...]:
            return (*sequence[:i], *sequence[i + 1 :])

        return Region(other(self.spec, place), other(self.entries, place), other(self.source, axis))

    def _fitted(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """The index for an array that has size 1 along some axes, along which it is the same."""
        found: list[Any] = []
        for entry, axis in zip(self.entries, self._axes(), strict=True):
            if axis is None or shape[axis] > 1 or self.source[axis] == 1:
                found.append(entry)
            else:
                found.append(slice(None) if isinstance(entry, slice) else 0)
        return tuple(found)

    def read(self, places: Places) -> Places:
        """Of places those that are taken."""
        found: Places = places[self._fitted(places.shape)]
        return found

    def written(self, places: Places, values: Any) -> Places:
        """Places where those that are taken are others."""
        values = np.asarray(values)
        shape = [*places.shape]
        for place, (axis, after) in enumerate(zip(self._axes(), self._after(), strict=True)):
            if axis is not None and not (
                self._takes_all(place) and (not values.ndim or (after is not None and values.shape[after] == 1))
            ):
                shape[axis] = self.source[axis]
        result = np.broadcast_to(places, shape).copy()
        result[self._fitted(tuple(shape))] = values
        return result


def runs_of(targets: Places) -> list[tuple[slice, slice]]:
    """Pairs of slices: of elements, and of where these are, for targets that are not -1."""
    own = np.flatnonzero(targets >= 0)
    there = targets[own]
    steps = np.stack([np.diff(own), np.diff(there)])
    changes = np.flatnonzero((np.diff(steps) != 0).any(axis=0)) + 1
    found = []
    start, count = 0, len(own)
    while start < count:
        # Steps from ``start`` on are alike up to the next change.
        after = changes[np.searchsorted(changes, start, "right") :][:1]
        stop = int(after[0]) if len(after) else count - 1
        stop = min(max(stop, start), count - 1)
        if stop > start and steps[1, start] == 0:
            stop = start
        step, jump = (int(steps[0, start]), int(steps[1, start])) if stop > start else (1, 1)
        first, last = int(own[start]), int(own[stop])
        if jump < 0:
            first, last, step, jump = last, first, -step, -jump
            low, high = int(there[stop]), int(there[start])
        else:
            low, high = int(there[start]), int(there[stop])
        end: int | None = last + (1 if step > 0 else -1)
        found.append((slice(first, None if end == -1 else end, step), slice(low, high + 1, jump)))
        start = stop + 1
    return found
