"""Arrays with few elements that are not zero, as sums of terms, and how the whole of such an array is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import ops
from ..core.avals import INDEX_DTYPE, intern_aval
from ..core.primitives import PYTHON_TYPES
from ..core.program import Program
from .regions import Region, runs_of
from .simplify import simplify

Places = npt.NDArray[np.int64]

# Elements that are computed in the time that a call takes.
ELEMENTS_A_CALL = 1 << 10

# More writes of slices than this are one at an array of positions.
MOST_RUNS = 64


class Term(NamedTuple):
    """Elements that are not zero: a value without the axis of the directions, and the direction of each.

    A direction of -1 is that of none. The places have size 1 along axes along which they are the same.
    """

    value: int
    places: Places


class Spread(NamedTuple):
    """The sum of terms, whose axis of directions is one of a shape."""

    terms: tuple[Term, ...]
    axis: int
    shape: tuple[int, ...]

    @property
    def rest(self) -> tuple[int, ...]:
        """The shape of the terms."""
        return without(self.shape, self.axis)

    def is_worth_it(self) -> bool:
        """Whether its terms are computed faster than the whole."""
        count = len(self.terms)
        size, n = math.prod(self.shape), self.shape[self.axis]
        return count == 1 or (count < n and size - size // n * count > ELEMENTS_A_CALL * (count - 1))


def without(sequence: Sequence[Any], place: int) -> tuple[Any, ...]:
    return (*sequence[:place], *sequence[place + 1 :])


class Terms:
    """What makes terms, and writes the whole of them, in a program in the making.

    Attributes
    ----------
    result : Program
    """

    def __init__(self, result: Program):
        self.result = result

    def simpler(self, rule: Callable[..., Any], *given: Any) -> Any:
        """What a rule gives, whose operations are simplified: they are of derivatives."""
        self.result.derived, self.result.rewrite = True, simplify
        try:
            return rule(*given)
        finally:
            self.result.derived, self.result.rewrite = False, None

    def shape(self, value: int) -> tuple[int, ...]:
        return self.result.avals[value].shape

    def reshaped(self, value: int, shape: tuple[int, ...]) -> int:
        return value if self.shape(value) == shape else self.result.call(ops.reshape_p, value, params=(shape,))

    def repeated(self, value: int, shape: tuple[int, ...]) -> int:
        return value if self.shape(value) == shape else self.result.call(ops.broadcast_to_p, value, params=(shape,))

    def zeros(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        zero = self.result.literal(PYTHON_TYPES[dtype.kind](0), intern_aval((), dtype))
        return self.repeated(zero, shape) if shape else zero

    def is_zero(self, value: int) -> bool:
        if self.result.is_primitive(value, ops.broadcast_to_p):
            (value,) = self.result.arguments[value]
        aval = self.result.avals[value]
        return aval.literal is not None and aval.spec is None and aval.literal == 0

    def index(self, region: Region) -> int:
        aval = intern_aval((), INDEX_DTYPE, literal=region.entries, spec=region.spec)
        return self.result.constant(aval, region.entries)

    def dropped(self, value: int, axis: int, ndim: int) -> int | None:
        """A value beside terms: without the axis of the directions, along which it has to be the same."""
        shape = self.shape(value)
        place = axis - (ndim - len(shape))
        if place < 0:
            return value
        return self.reshaped(value, without(shape, place)) if shape[place] == 1 else None

    def lifted(self, spread: Spread, ndim: int) -> Spread:
        """With ones before its axes, so that it has so many."""
        more = (1,) * (ndim - len(spread.shape))
        if not more:
            return spread
        shape = (*more, *spread.shape)
        axis = spread.axis + len(more)
        terms = [Term(self.reshaped(v, without(shape, axis)), p.reshape(*more, *p.shape)) for v, p in spread.terms]
        return Spread(tuple(terms), axis, shape)

    def merged(self, terms: Sequence[Term]) -> tuple[Term, ...]:
        """Terms added to each other where no element is of two directions."""
        found: list[Term] = []
        for value, places in terms:
            if not (places >= 0).any():
                continue
            for i, (other, known) in enumerate(found):
                if ((places == known) | (places < 0) | (known < 0)).all():
                    found[i] = Term(self.result.call(ops.add, other, value), np.maximum(places, known))
                    break
            else:
                found.append(Term(value, places))
        return tuple(found)

    # --- the whole ---------------------------------------------------------------------------------------------------

    def written(self, x: Spread, base: int | None = None) -> int:
        """The whole array, or its sum with another: terms are written along diagonals."""
        n, rest = x.shape[x.axis], x.rest
        varying = [d for d in range(len(rest)) if any(p.shape[d] > 1 for _, p in x.terms)]
        low, high = (varying[0], varying[-1] + 1) if varying else (x.axis, x.axis)
        count = math.prod(rest[low:high])
        # Directions stand beside the axes along which they change: these are one axis then, and diagonals are slices.
        behind = x.axis >= high
        place = high if behind else low
        dtype = self.result.avals[x.terms[0].value].dtype
        order = [d + (d >= place) for d in range(len(rest))]
        order.insert(x.axis, place)
        if base is not None and place != x.axis:
            return self.result.call(ops.add, base, self.written(x))
        flat = (*rest[:low], n * count, *rest[high:])
        whole = self.zeros(flat, dtype) if base is None else self.reshaped(base, flat)
        steps = np.arange(count)
        known: list[Places] = []
        for value, places in x.terms:
            own = np.broadcast_to(places, [s if low <= d < high else 1 for d, s in enumerate(rest)]).ravel()
            targets = np.where(own < 0, -1, steps * n + own if behind else own * count + steps)
            adds = base is not None or any(((own == other) & (own >= 0)).any() for other in known)
            known.append(own)
            value = self.reshaped(value, (*rest[:low], count, *rest[high:]))
            whole = self.put(whole, low, targets, value, adds)
        whole = self.reshaped(whole, (*rest[:place], n, *rest[place:]))
        return whole if place == x.axis else self.result.call(ops.transpose_p, whole, params=(tuple(order),))

    def put(self, whole: int, axis: int, targets: Places, value: int, adds: bool) -> int:
        """Elements along an axis added at, or written to, positions along it; none at those of -1."""
        primitive = ops.index_add if adds else ops.index_set
        shape, sizes = self.shape(whole), self.shape(value)
        runs = runs_of(targets)
        if len(runs) > MOST_RUNS:
            own = np.flatnonzero(targets >= 0)
            if len(own) < len(targets):
                value = self._taken(value, axis, own)
            index, array = self._positions(shape, axis, targets[own])
            return self.result.call(primitive, whole, index, value, array)
        for own_slice, slice_there in runs:
            part = Region.along(sizes, axis, own_slice)
            piece = value if part.is_all else self.result.call(ops.index, value, self.index(part))
            whole = self.result.call(primitive, whole, self.index(Region.along(shape, axis, slice_there)), piece)
        return whole

    def _taken(self, value: int, axis: int, positions: Places) -> int:
        index, array = self._positions(self.shape(value), axis, positions)
        return self.result.call(ops.index, value, index, array)

    def _positions(self, shape: tuple[int, ...], axis: int, positions: Places) -> tuple[int, int]:
        """An index of positions along one axis, and these."""
        entries: list[Any] = [slice(0, n, 1) for n in shape]
        spec: list[Any] = [*shape]
        entries[axis], spec[axis] = None, ops.ARRAY
        index = self.result.constant(
            intern_aval((), INDEX_DTYPE, literal=tuple(entries), spec=tuple(spec)), tuple(entries)
        )
        return index, self.result.constant(intern_aval(positions.shape, positions.dtype), positions)


def reshaped_places(places: Places, old: tuple[int, ...], new: tuple[int, ...]) -> Places:
    """Places for a shape that is read as another, of size 1 still where they are the same."""
    wide: list[int] = []
    result: list[int] = []
    i = j = 0
    while i < len(old) or j < len(new):
        begin, start = i, j
        left = right = 1
        while True:
            if left == right and (i > begin or j > start):
                break
            if (left <= right and i < len(old)) or j == len(new):
                left *= old[i]
                i += 1
            else:
                right *= new[j]
                j += 1
        varies = any(size > 1 for size in places.shape[begin:i])
        wide += old[begin:i] if varies else [1] * (i - begin)
        result += new[start:j] if varies else [1] * (j - start)
    return np.broadcast_to(places, wide).reshape(result)
