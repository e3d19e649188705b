"""Structural zeros: what each direction of a Jacobian does not reach is neither computed nor stored.

The directions are the rows of an identity matrix. Slices of it, and products of it with arrays, have few elements that
are not zero, and where these are follows from the program. Such a value is a sum of *terms*: arrays without the axis of
the directions, and for each of their elements the direction that it belongs to. Operations that are linear go through
terms; the whole array is made where something else needs it, by writes along its diagonals. What is known to be zero is
zero, beside infinities and NaN too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import ops
from ..core.avals import INDEX_DTYPE, broadcast_shape, intern_aval
from ..core.primitives import PYTHON_TYPES, Primitive, Signature
from ..core.program import Program, _applied
from .regions import Region, runs_of
from .simplify import simplify

Places = npt.NDArray[np.int64]

# Elements that are computed in the time that a call takes.
ELEMENTS_A_CALL = 1 << 10

# More writes of slices than this are one at an array of positions.
MOST_RUNS = 64

# Elementwise primitives, and the operands in which they are linear: in one of them, or in both together.
LINEAR: dict[Primitive, tuple[int, ...]] = {
    ops.add: (0, 1),
    ops.subtract: (0, 1),
    ops.negative: (0,),
    ops.multiply: (0, 1),
    ops.masked_multiply: (0, 1),
    ops.divide: (0,),
    ops.where_p: (1, 2),
    ops.astype_p: (0,),
    ops.conjugate: (0,),
    ops.real: (0,),
    ops.identity: (0,),
    ops.stop_gradient: (0,),
}


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
        return _without(self.shape, self.axis)

    def is_worth_it(self) -> bool:
        """Whether its terms are computed faster than the whole."""
        count = len(self.terms)
        size, n = math.prod(self.shape), self.shape[self.axis]
        return count == 1 or (count < n and size - size // n * count > ELEMENTS_A_CALL * (count - 1))


def _without(sequence: Sequence[Any], place: int) -> tuple[Any, ...]:
    return (*sequence[:place], *sequence[place + 1 :])


def without_zeros(program: Program) -> Program:
    """The same program, in which directions are followed by themselves as far as that is less work."""
    if ops.as_diagonal_p not in program.heads:
        return program
    return Diagonals(program).result


class Diagonals:
    """A program in the making, and which values of the old one are sums of terms in it.

    Attributes
    ----------
    result : Program
    """

    def __init__(self, program: Program):
        self.result = Program(program.avals[: program.n_inputs])
        self._numbers: dict[int, int] = {i: i for i in range(program.n_inputs)}
        self._spreads: dict[int, Spread] = {}
        for number in program.live():
            signature, arguments = program.signatures[number], program.arguments[number]
            if number in program.constants:
                self._numbers[number] = self.result.constant(program.avals[number], program.constants[number])
            elif signature is not None:
                self._make(number, signature, arguments)
        self.result.outputs = tuple([self._whole(number) for number in program.outputs])
        self.result.quiet = program.quiet

    def _make(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        found: Spread | int | None = None
        if signature.is_derived and signature.out.size:
            found = self._followed(signature, arguments)
        if found is None:
            values = tuple([self._whole(a) for a in arguments])
            self._numbers[number] = _applied(self.result, signature, values)
        elif isinstance(found, int):
            self._numbers[number] = found
        elif found.is_worth_it():
            self._spreads[number] = found
        else:
            self._numbers[number] = self._simpler(self._written, found)

    def _followed(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        primitive = signature.primitive
        if primitive is ops.as_diagonal_p:
            begun: Spread | None = self._simpler(self._begun, arguments[0])
            return begun
        if not any(a in self._spreads for a in arguments):
            return None
        rule = Diagonals._elementwise if primitive.kind == "elementwise" else RULES.get(primitive)
        found: Spread | int | None = None if rule is None else self._simpler(rule, self, signature, arguments)
        return found

    def _simpler(self, rule: Callable[..., Any], *given: Any) -> Any:
        """What a rule gives, whose operations are simplified: they are of derivatives."""
        self.result.derived, self.result.rewrite = True, simplify
        try:
            return rule(*given)
        finally:
            self.result.derived, self.result.rewrite = False, None

    def _whole(self, number: int) -> int:
        """The number of a value that somebody needs as an array."""
        if number not in self._numbers:
            self._numbers[number] = self._simpler(self._written, self._spreads[number])
        return self._numbers[number]

    # --- small parts -------------------------------------------------------------------------------------------------

    def _shape(self, value: int) -> tuple[int, ...]:
        return self.result.avals[value].shape

    def _reshaped(self, value: int, shape: tuple[int, ...]) -> int:
        return value if self._shape(value) == shape else self.result.call(ops.reshape_p, value, params=(shape,))

    def _repeated(self, value: int, shape: tuple[int, ...]) -> int:
        return value if self._shape(value) == shape else self.result.call(ops.broadcast_to_p, value, params=(shape,))

    def _zeros(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        zero = self.result.literal(PYTHON_TYPES[dtype.kind](0), intern_aval((), dtype))
        return self._repeated(zero, shape) if shape else zero

    def _is_zero(self, value: int) -> bool:
        if self.result.is_primitive(value, ops.broadcast_to_p):
            (value,) = self.result.arguments[value]
        aval = self.result.avals[value]
        return aval.literal is not None and aval.spec is None and aval.literal == 0

    def _known_zero(self, number: int) -> bool:
        return number in self._numbers and self._is_zero(self._numbers[number])

    def _index(self, region: Region) -> int:
        aval = intern_aval((), INDEX_DTYPE, literal=region.entries, spec=region.spec)
        return self.result.constant(aval, region.entries)

    def _dropped(self, value: int, axis: int, ndim: int) -> int | None:
        """A value beside terms: without the axis of the directions, along which it has to be the same."""
        shape = self._shape(value)
        place = axis - (ndim - len(shape))
        if place < 0:
            return value
        return self._reshaped(value, _without(shape, place)) if shape[place] == 1 else None

    def _lifted(self, spread: Spread, ndim: int) -> Spread:
        """With ones before its axes, so that it has so many."""
        more = (1,) * (ndim - len(spread.shape))
        if not more:
            return spread
        shape = (*more, *spread.shape)
        axis = spread.axis + len(more)
        terms = [Term(self._reshaped(v, _without(shape, axis)), p.reshape(*more, *p.shape)) for v, p in spread.terms]
        return Spread(tuple(terms), axis, shape)

    def _merged(self, terms: Sequence[Term]) -> tuple[Term, ...]:
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

    # --- rules -------------------------------------------------------------------------------------------------------

    def _begun(self, argument: int) -> Spread | None:
        if argument in self._spreads:
            return None
        value = self._numbers[argument]
        shape = self._shape(value)
        n = shape[-1]
        if n < 2:
            return None
        places = np.arange(n).reshape((1,) * (len(shape) - 1) + (n,))
        return Spread((Term(value, places),), len(shape) - 1, (*shape, n))

    def _elementwise(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        primitive, shape = signature.primitive, signature.out.shape
        spread = [i for i, a in enumerate(arguments) if a in self._spreads]
        if not set(spread) <= set(LINEAR.get(primitive, ())):
            return None
        if primitive is ops.add or primitive is ops.subtract:
            return self._sum(signature, arguments)
        if len(spread) > 1:
            return None
        (place,) = spread
        if primitive is ops.where_p and not self._known_zero(arguments[3 - place]):
            return None
        x = self._lifted(self._spreads[arguments[place]], len(shape))
        if x.shape[x.axis] != shape[x.axis]:
            return None
        operands = [0 if i == place else self._dropped(self._numbers[a], x.axis, len(shape))
                    for i, a in enumerate(arguments)]  # fmt: skip
        if None in operands:
            return None
        terms = []
        for value, places in x.terms:
            operands[place] = value
            one = self.result.call(primitive, *operands, params=signature.params)  # type: ignore[arg-type]
            if self.result.avals[one].dtype != signature.out.dtype:
                return None
            terms.append(Term(self._repeated(one, _without(shape, x.axis)), places))
        return Spread(tuple(terms), x.axis, shape)

    def _sum(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        shape, minus = signature.out.shape, signature.primitive is ops.subtract
        parts: list[tuple[Spread, bool]] = []
        dense = None
        for place, a in enumerate(arguments):
            if a in self._spreads:
                spread = self._lifted(self._spreads[a], len(shape))
                dtype = self.result.avals[spread.terms[0].value].dtype
                if spread.shape[spread.axis] != shape[spread.axis] or dtype != signature.out.dtype:
                    return None
                parts.append((spread, minus and place == 1))
            elif not self._known_zero(a):
                dense = place
        first = parts[0][0]
        if any(spread.axis != first.axis for spread, _ in parts):
            return None
        terms = []
        for spread, negated in parts:
            for value, places in spread.terms:
                value = self.result.call(ops.negative, value) if negated else value
                terms.append(Term(self._repeated(value, _without(shape, first.axis)), places))
        found = Spread(self._merged(terms), first.axis, shape)
        if dense is None:
            return found if found.terms else self._zeros(shape, signature.out.dtype)
        base = self._numbers[arguments[dense]]
        if self.result.avals[base] is not signature.out or (minus and dense == 1):
            return None
        return self._written(found, base)

    def _reshape(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | None:
        x, shape = self._spreads[arguments[0]], signature.out.shape
        n, before = x.shape[x.axis], math.prod(x.shape[: x.axis])
        fitting = [a for a, size in enumerate(shape) if size == n and math.prod(shape[:a]) == before]
        if not fitting:
            return None
        axis = fitting[0]
        rest = _without(shape, axis)
        terms = [Term(self._reshaped(v, rest), _reshaped_places(p, x.rest, rest)) for v, p in x.terms]
        return Spread(tuple(terms), axis, shape)

    def _transpose(self, signature: Signature, arguments: tuple[int, ...]) -> Spread:
        x, (order,) = self._spreads[arguments[0]], signature.params
        rest = tuple([a - (a > x.axis) for a in order if a != x.axis])
        terms = [Term(self.result.call(ops.transpose_p, v, params=(rest,)), p.transpose(rest)) for v, p in x.terms]
        return Spread(tuple(terms), order.index(x.axis), signature.out.shape)

    def _broadcast_to(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | None:
        shape = signature.out.shape
        x = self._lifted(self._spreads[arguments[0]], len(shape))
        if x.shape[x.axis] != shape[x.axis]:
            return None
        terms = [Term(self._repeated(v, _without(shape, x.axis)), p) for v, p in x.terms]
        return Spread(tuple(terms), x.axis, shape)

    def _region(self, index: int, shape: tuple[int, ...], count: int) -> Region | None:
        """What an index of ``count`` operands takes, if the program knows."""
        aval = self.result.avals[self._numbers[index]]
        if count or aval.literal is None or aval.spec is None:
            return None
        return Region(aval.spec, aval.literal, shape)

    def _read(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        x = self._spreads[arguments[0]]
        region = self._region(arguments[1], x.shape, len(arguments) - 2)
        axis = None if region is None else region.after(x.axis)
        if region is None or axis is None:
            return None
        part = region.without(x.axis)
        index = self._index(part)
        terms = [Term(self.result.call(ops.index, v, index), part.read(p)) for v, p in x.terms]
        terms = [term for term in terms if (term.places >= 0).any()]
        return Spread(tuple(terms), axis, signature.out.shape) if terms else self._zeros_like(signature)

    def _zeros_like(self, signature: Signature) -> int:
        return self._zeros(signature.out.shape, signature.out.dtype)

    def _write(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        """What is written into zeros, or among other terms."""
        base, index, values, *arrays = arguments
        shape = signature.out.shape
        region = self._region(index, shape, len(arrays))
        if region is None or not (base in self._spreads or self._known_zero(base)):
            return None
        if values in self._spreads:
            new = self._spreads[values]
            axis = region.before(new.axis)
            if axis is None or region.shape != new.shape:
                return None
        elif self._known_zero(values):
            axis = self._spreads[base].axis
            if region.after(axis) is None:
                return None
            new = Spread((), axis, region.shape)
        else:
            return None
        known = self._spreads.get(base, Spread((), axis, shape))
        if known.axis != axis:
            return None
        part = region.without(axis)
        place, dtype = self._index(part), signature.out.dtype
        terms = list(known.terms)
        if signature.primitive is ops.index_set:
            zeros = self._zeros(part.shape, dtype)
            terms = [Term(self.result.call(ops.index_set, v, place, zeros), part.written(p, -1)) for v, p in terms]
        for value, places in new.terms:
            whole = part.written(np.full((1,) * len(known.rest), -1), places)
            zeros = self._zeros(known.rest, dtype)
            terms.append(Term(self.result.call(ops.index_add, zeros, place, value), whole))
        terms = list(self._merged(terms))
        return Spread(tuple(terms), axis, shape) if terms else self._zeros_like(signature)

    def _total(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        return self._summed(self._spreads[arguments[0]], signature.params[0], signature.out.shape)

    def _summed(self, x: Spread, axes: Sequence[int], shape: tuple[int, ...]) -> Spread | int | None:
        """The sum over some axes: over all that directions change along, which takes elements to their directions."""
        if x.axis in axes:
            return None
        gone = {a - (a > x.axis) for a in axes}
        varying = {d for _, p in x.terms for d, size in enumerate(p.shape) if size > 1}
        rest = len(x.rest)
        if not varying & gone:
            axis = x.axis - sum(a < x.axis for a in axes)
            summed = tuple(sorted(gone))
            terms = []
            for value, places in x.terms:
                part = self.result.call(ops.sum_p, value, params=(summed,))
                terms.append(Term(part, places.reshape([places.shape[d] for d in range(rest) if d not in gone])))
            return Spread(tuple(terms), axis, shape)
        if not varying <= gone:
            return None
        along = sorted(varying)
        alike = tuple(sorted(gone - varying))
        kept = [d for d in range(rest) if d not in gone]
        before = x.axis - sum(a < x.axis for a in axes)
        order = [*kept[:before], *along, *kept[before:]]
        left = [d for d in range(rest) if d not in alike]
        count = math.prod(x.rest[d] for d in along)
        flat = (*[x.rest[d] for d in kept[:before]], count, *[x.rest[d] for d in kept[before:]])
        total: int | None = None
        for value, places in x.terms:
            if alike:
                value = self.result.call(ops.sum_p, value, params=(alike,))
            value = self.result.call(ops.transpose_p, value, params=(tuple([left.index(d) for d in order]),))
            value = self._reshaped(value, flat)
            sizes = [x.rest[d] if d in varying else 1 for d in range(rest)]
            targets = np.broadcast_to(places, sizes).ravel()
            if total is None and np.array_equal(targets, np.arange(shape[before])):
                total = value
            else:
                if total is None:
                    total = self._zeros(shape, self.result.avals[value].dtype)
                total = self._put(total, before, targets, value, True)
        return total

    def _matmul(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        left = arguments[0] in self._spreads
        if left and arguments[1] in self._spreads:
            return None
        shape = signature.out.shape
        ndim = len(shape)
        x = self._lifted(self._spreads[arguments[0 if left else 1]], ndim)
        other = self._numbers[arguments[1 if left else 0]]
        summed, free = (ndim - 1, ndim - 2) if left else (ndim - 2, ndim - 1)
        if x.axis == summed or self.result.avals[other].dtype != signature.out.dtype:
            return None
        along = summed - (x.axis < summed)
        if all(p.shape[along] == 1 for _, p in x.terms):
            if x.axis == free or x.shape[x.axis] != shape[x.axis]:
                return None
            factor = self._dropped(other, x.axis, ndim)
            if factor is None:
                return None
            terms = []
            for value, places in x.terms:
                pair = (value, factor) if left else (factor, value)
                terms.append(Term(self.result.call(ops.matmul_p, *pair), places))
            return Spread(tuple(terms), x.axis, shape)
        # The product before it is summed: with an axis more, the last but one, along which the sum is.
        if left:
            wide, axis = Spread(x.terms, x.axis, (*x.shape, 1)), x.axis
            sizes = self._shape(other)
            beside = self._reshaped(other, (*sizes[:-2], 1, *sizes[-2:]))
        else:
            wide, axis = Spread(x.terms, x.axis, (*x.shape[:-2], 1, *x.shape[-2:])), x.axis + (x.axis >= ndim - 2)
            beside = self._reshaped(other, (*self._shape(other), 1))
        factor = self._dropped(beside, axis, ndim + 1)
        if factor is None:
            return None
        full = broadcast_shape(wide.shape, self._shape(beside))
        if full[axis] != wide.shape[axis]:
            return None
        rest = _without(wide.shape, axis)
        terms = []
        for value, places in x.terms:
            moved = places.reshape((*places.shape, 1) if left else _inserted(places.shape, ndim - 2, axis, x.axis))
            product = self.result.call(ops.multiply, self._reshaped(value, rest), factor)
            terms.append(Term(self._repeated(product, _without(full, axis)), moved))
        return self._summed(Spread(tuple(terms), axis, full), (ndim - 1,), shape)

    def _concatenate(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | None:
        (along,), shape = signature.params, signature.out.shape
        found = [self._spreads.get(a) for a in arguments]
        axes = {spread.axis for spread in found if spread is not None}
        if axes == {along} or len(axes) > 1:
            return None
        if any(spread is None and not self._known_zero(a) for spread, a in zip(found, arguments, strict=True)):
            return None
        (axis,) = axes
        place = along - (along > axis)
        sizes = [
            self._shape(self._numbers[a]) if spread is None else spread.shape
            for spread, a in zip(found, arguments, strict=True)
        ]
        terms = []
        for i in range(max(len(spread.terms) for spread in found if spread is not None)):
            values, parts = [], []
            for spread, whole in zip(found, sizes, strict=True):
                rest = _without(whole, axis)
                if spread is not None and i < len(spread.terms):
                    value, places = spread.terms[i]
                else:
                    value, places = self._zeros(rest, signature.out.dtype), np.full((1,) * len(rest), -1)
                if self.result.avals[value].dtype != signature.out.dtype:
                    return None
                values.append(value)
                parts.append((places, rest[place]))
            alike = broadcast_shape(*[(*p.shape[:place], 1, *p.shape[place + 1 :]) for p, _ in parts])
            joined = [np.broadcast_to(p, (*alike[:place], n, *alike[place + 1 :])) for p, n in parts]
            terms.append(
                Term(
                    self.result.call(ops.concatenate_p, *values, params=(place,)),
                    np.concatenate(joined, axis=place),
                )
            )
        return Spread(self._merged(terms), axis, shape)

    # --- the whole ---------------------------------------------------------------------------------------------------

    def _written(self, x: Spread, base: int | None = None) -> int:
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
            return self.result.call(ops.add, base, self._written(x))
        flat = (*rest[:low], n * count, *rest[high:])
        whole = self._zeros(flat, dtype) if base is None else self._reshaped(base, flat)
        steps = np.arange(count)
        known: list[Places] = []
        for value, places in x.terms:
            own = np.broadcast_to(places, [s if low <= d < high else 1 for d, s in enumerate(rest)]).ravel()
            targets = np.where(own < 0, -1, steps * n + own if behind else own * count + steps)
            adds = base is not None or any(((own == other) & (own >= 0)).any() for other in known)
            known.append(own)
            value = self._reshaped(value, (*rest[:low], count, *rest[high:]))
            whole = self._put(whole, low, targets, value, adds)
        whole = self._reshaped(whole, (*rest[:place], n, *rest[place:]))
        return whole if place == x.axis else self.result.call(ops.transpose_p, whole, params=(tuple(order),))

    def _put(self, whole: int, axis: int, targets: Places, value: int, adds: bool) -> int:
        """Elements along an axis added at, or written to, positions along it; none at those of -1."""
        primitive = ops.index_add if adds else ops.index_set
        shape, sizes = self._shape(whole), self._shape(value)
        runs = runs_of(targets)
        if len(runs) > MOST_RUNS:
            own = np.flatnonzero(targets >= 0)
            if len(own) < len(targets):
                value = self._taken(value, axis, own)
            index, array = self._positions(shape, axis, targets[own])
            return self.result.call(primitive, whole, index, value, array)
        for own_slice, slice_there in runs:
            part = Region.along(sizes, axis, own_slice)
            piece = value if part.is_all else self.result.call(ops.index, value, self._index(part))
            whole = self.result.call(primitive, whole, self._index(Region.along(shape, axis, slice_there)), piece)
        return whole

    def _taken(self, value: int, axis: int, positions: Places) -> int:
        index, array = self._positions(self._shape(value), axis, positions)
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


def _inserted(shape: tuple[int, ...], place: int, axis: int, old: int) -> tuple[int, ...]:
    """The shape of places to which an axis of size 1 is added, at a place of the whole."""
    at = place - (old < place)
    return (*shape[:at], 1, *shape[at:])


def _reshaped_places(places: Places, old: tuple[int, ...], new: tuple[int, ...]) -> Places:
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


RULES: dict[Primitive, Any] = {
    ops.reshape_p: Diagonals._reshape,
    ops.transpose_p: Diagonals._transpose,
    ops.broadcast_to_p: Diagonals._broadcast_to,
    ops.index: Diagonals._read,
    ops.index_add: Diagonals._write,
    ops.index_set: Diagonals._write,
    ops.sum_p: Diagonals._total,
    ops.matmul_p: Diagonals._matmul,
    ops.concatenate_p: Diagonals._concatenate,
}
