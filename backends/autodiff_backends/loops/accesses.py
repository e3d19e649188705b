"""How a value looks into a storage: offsets and steps of views, slices and gathers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from autodiff.axes import arrays_stand


class Access(NamedTuple):
    """Elements of a storage: the offset of the first and the step along each axis, in elements."""

    storage: int
    offset: int
    strides: tuple[int, ...]

    def span(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """The first and the last element touched."""
        ends = [(n - 1) * s for n, s in zip(shape, self.strides, strict=True)]
        return self.offset + sum(min(e, 0) for e in ends), self.offset + sum(max(e, 0) for e in ends)


def spaced(pieces: Sequence[Access], axis: int) -> Access | None:
    """One look for those at equal distances in a storage, such as sliding windows; None if they are not."""
    first = pieces[0]
    if len(pieces) == 1:
        return None
    step = pieces[1].offset - first.offset
    if any(piece != first._replace(offset=first.offset + i * step) for i, piece in enumerate(pieces)):
        return None
    return first._replace(strides=(*first.strides[:axis], step, *first.strides[axis + 1 :]))


class Gather(NamedTuple):
    """What an index with arrays takes, to be read or written.

    Attributes
    ----------
    access : Access
        Over the result, as if every index array were 0.
    indexed : tuple of (int, int)
        For each index array the size and the step of the axis it picks from.
    before : int
        How many axes of the result stand before those that index arrays, broadcast together, run along.
    """

    access: Access
    indexed: tuple[tuple[int, int], ...]
    before: int


def disjoint(one: Access, shape: tuple[int, ...], other: Access, other_shape: tuple[int, ...]) -> bool:
    """Whether two accesses of a storage certainly have no element in common."""
    (a, b), (c, d) = one.span(shape), other.span(other_shape)
    if b < c or d < a:
        return True
    # All of one's elements, and all of the other's, are at the same place in periods of this length.
    period = math.gcd(*one.strides, *other.strides)
    return period > 1 and (one.offset - other.offset) % period != 0


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The steps of a C-contiguous array; 0 along axes of size 1, so that equal accesses have equal steps."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step if n != 1 else 0)
        step *= max(n, 1)
    return tuple(reversed(strides))


def standard(access: Access, shape: tuple[int, ...]) -> Access:
    """The same elements with steps of 0 along axes of size 1."""
    return access._replace(strides=tuple([0 if n == 1 else s for n, s in zip(shape, access.strides, strict=True)]))


def reshaped(shape: tuple[int, ...], strides: tuple[int, ...], to: tuple[int, ...]) -> tuple[int, ...] | None:
    """The steps of a view in another shape, or None if there is none."""
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    result = [0] * len(to)
    place = 0
    axes = [i for i, n in enumerate(to) if n != 1]
    while axes:
        # The fewest axes, old and new, that hold the same number of elements.
        taken, wanted = [axes.pop(0)], [place]
        place += 1
        new_size, old_size = to[taken[0]], old[wanted[0]][0]
        while new_size != old_size:
            if new_size < old_size:
                taken.append(axes.pop(0))
                new_size *= to[taken[-1]]
            else:
                wanted.append(place)
                old_size *= old[place][0]
                place += 1
        if any(old[i][1] != old[i + 1][0] * old[i + 1][1] for i in wanted[:-1]):
            return None
        step = old[wanted[-1]][1]
        for axis in reversed(taken):
            result[axis] = step
            step *= to[axis]
    return tuple(result)


def sliced(access: Access, shape: tuple[int, ...], entries: Sequence[Any]) -> Access:
    """The part of an access that a basic index takes."""
    offset = access.offset
    strides = []
    axis = 0
    for entry in entries:
        if entry is None:
            strides.append(0)
            continue
        step = access.strides[axis]
        if isinstance(entry, slice):
            start, _, stride = entry.indices(shape[axis])
            offset += start * step
            strides.append(stride * step)
        else:
            offset += entry * step
        axis += 1
    return Access(access.storage, offset, tuple(strides))


def array_axes(spec: Sequence[Any]) -> list[int]:
    """The axes that an index of this form has arrays for."""
    axes = [form for form in spec if form != "n"]
    return [axis for axis, form in enumerate(axes) if form == "a"]


def gathered(
    access: Access, shape: tuple[int, ...], spec: Sequence[Any], entries: Sequence[Any], together: int
) -> Gather:
    """What an index with arrays takes, these having ``together`` axes when broadcast."""
    indexed = [(shape[axis], access.strides[axis]) for axis in array_axes(spec)]
    basic = [0 if form == "a" else entry for form, entry in zip(spec, entries, strict=True)]
    taken = sliced(access, shape, basic)
    before = arrays_stand(spec)
    strides = (*taken.strides[:before], *(0,) * together, *taken.strides[before:])
    return Gather(taken._replace(strides=strides), tuple(indexed), before)
