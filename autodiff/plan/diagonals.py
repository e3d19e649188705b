"""Structural zeros: what each direction of a Jacobian does not reach is neither computed nor stored.

The directions are the rows of an identity matrix. Slices of it, and products of it with arrays, have few elements that
are not zero, and where these are follows from the program. Such a value is a sum of *terms*: arrays without the axis of
the directions, and for each of their elements the direction that it belongs to. Operations that are linear go through
terms; the whole array is made where something else needs it, by writes along its diagonals. What is known to be zero is
zero, beside infinities and NaN too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core.avals import broadcast_shape
from ..core.primitives import Primitive, Signature
from ..core.program import Program, _applied
from .regions import Region
from .terms import Spread, Term, Terms, reshaped_places, without

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


def without_zeros(program: Program) -> Program:
    """The same program, in which directions are followed by themselves as far as that is less work."""
    if ops.as_diagonal_p not in program.heads:
        return program
    return Diagonals(program).result


class Diagonals(Terms):
    """A program in the making, and which values of the old one are sums of terms in it."""

    def __init__(self, program: Program):
        super().__init__(program.emptied())
        self._numbers: dict[int, int] = {i: i for i in range(program.n_inputs)}
        self._spreads: dict[int, Spread] = {}
        for number in program.live():
            self.result.follow(program, number)
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
            self._numbers[number] = self.simpler(self.written, found)

    def _followed(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        primitive = signature.primitive
        if primitive is ops.as_diagonal_p:
            begun: Spread | None = self.simpler(self._begun, arguments[0])
            return begun
        if not any(a in self._spreads for a in arguments):
            return None
        rule = Diagonals._elementwise if primitive.kind == "elementwise" else RULES.get(primitive)
        found: Spread | int | None = None if rule is None else self.simpler(rule, self, signature, arguments)
        return found

    def _whole(self, number: int) -> int:
        """The number of a value that somebody needs as an array."""
        if number not in self._numbers:
            self._numbers[number] = self.simpler(self.written, self._spreads[number])
        return self._numbers[number]

    # --- rules -------------------------------------------------------------------------------------------------------

    def _known_zero(self, number: int) -> bool:
        return number in self._numbers and self.is_zero(self._numbers[number])

    def _begun(self, argument: int) -> Spread | None:
        if argument in self._spreads:
            return None
        value = self._numbers[argument]
        shape = self.shape(value)
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
        x = self.lifted(self._spreads[arguments[place]], len(shape))
        if x.shape[x.axis] != shape[x.axis]:
            return None
        operands = [0 if i == place else self.dropped(self._numbers[a], x.axis, len(shape))
                    for i, a in enumerate(arguments)]  # fmt: skip
        if None in operands:
            return None
        terms = []
        for value, places in x.terms:
            operands[place] = value
            one = self.result.call(primitive, *operands, params=signature.params)  # type: ignore[arg-type]
            if self.result.avals[one].dtype != signature.out.dtype:
                return None
            terms.append(Term(self.repeated(one, without(shape, x.axis)), places))
        return Spread(tuple(terms), x.axis, shape)

    def _sum(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        shape, minus = signature.out.shape, signature.primitive is ops.subtract
        parts: list[tuple[Spread, bool]] = []
        dense = None
        for place, a in enumerate(arguments):
            if a in self._spreads:
                spread = self.lifted(self._spreads[a], len(shape))
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
                terms.append(Term(self.repeated(value, without(shape, first.axis)), places))
        found = Spread(self.merged(terms), first.axis, shape)
        if dense is None:
            return found if found.terms else self.zeros(shape, signature.out.dtype)
        base = self._numbers[arguments[dense]]
        if self.result.avals[base] is not signature.out or (minus and dense == 1):
            return None
        return self.written(found, base)

    def _reshape(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | None:
        x, shape = self._spreads[arguments[0]], signature.out.shape
        n, before = x.shape[x.axis], math.prod(x.shape[: x.axis])
        fitting = [a for a, size in enumerate(shape) if size == n and math.prod(shape[:a]) == before]
        if not fitting:
            return None
        axis = fitting[0]
        rest = without(shape, axis)
        terms = [Term(self.reshaped(v, rest), reshaped_places(p, x.rest, rest)) for v, p in x.terms]
        return Spread(tuple(terms), axis, shape)

    def _transpose(self, signature: Signature, arguments: tuple[int, ...]) -> Spread:
        x, (order,) = self._spreads[arguments[0]], signature.params
        rest = tuple([a - (a > x.axis) for a in order if a != x.axis])
        terms = [Term(self.result.call(ops.transpose_p, v, params=(rest,)), p.transpose(rest)) for v, p in x.terms]
        return Spread(tuple(terms), order.index(x.axis), signature.out.shape)

    def _broadcast_to(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | None:
        shape = signature.out.shape
        x = self.lifted(self._spreads[arguments[0]], len(shape))
        if x.shape[x.axis] != shape[x.axis]:
            return None
        terms = [Term(self.repeated(v, without(shape, x.axis)), p) for v, p in x.terms]
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
        index = self.index(part)
        terms = [Term(self.result.call(ops.index, v, index), part.read(p)) for v, p in x.terms]
        terms = [term for term in terms if (term.places >= 0).any()]
        return Spread(tuple(terms), axis, signature.out.shape) if terms else self._zeros_like(signature)

    def _zeros_like(self, signature: Signature) -> int:
        return self.zeros(signature.out.shape, signature.out.dtype)

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
        place, dtype = self.index(part), signature.out.dtype
        terms = list(known.terms)
        if signature.primitive is ops.index_set:
            zeros = self.zeros(part.shape, dtype)
            terms = [Term(self.result.call(ops.index_set, v, place, zeros), part.written(p, -1)) for v, p in terms]
        for value, places in new.terms:
            whole = part.written(np.full((1,) * len(known.rest), -1), places)
            zeros = self.zeros(known.rest, dtype)
            terms.append(Term(self.result.call(ops.index_add, zeros, place, value), whole))
        terms = list(self.merged(terms))
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
            value = self.reshaped(value, flat)
            sizes = [x.rest[d] if d in varying else 1 for d in range(rest)]
            targets = np.broadcast_to(places, sizes).ravel()
            if total is None and np.array_equal(targets, np.arange(shape[before])):
                total = value
            else:
                if total is None:
                    total = self.zeros(shape, self.result.avals[value].dtype)
                total = self.put(total, before, targets, value, True)
        return total

    def _matmul(self, signature: Signature, arguments: tuple[int, ...]) -> Spread | int | None:
        left = arguments[0] in self._spreads
        if left and arguments[1] in self._spreads:
            return None
        shape = signature.out.shape
        ndim = len(shape)
        x = self.lifted(self._spreads[arguments[0 if left else 1]], ndim)
        other = self._numbers[arguments[1 if left else 0]]
        summed, free = (ndim - 1, ndim - 2) if left else (ndim - 2, ndim - 1)
        if x.axis == summed or self.result.avals[other].dtype != signature.out.dtype:
            return None
        along = summed - (x.axis < summed)
        if all(p.shape[along] == 1 for _, p in x.terms):
            if x.axis == free or x.shape[x.axis] != shape[x.axis]:
                return None
            factor = self.dropped(other, x.axis, ndim)
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
            sizes = self.shape(other)
            beside = self.reshaped(other, (*sizes[:-2], 1, *sizes[-2:]))
        else:
            wide, axis = Spread(x.terms, x.axis, (*x.shape[:-2], 1, *x.shape[-2:])), x.axis + (x.axis >= ndim - 2)
            beside = self.reshaped(other, (*self.shape(other), 1))
        factor = self.dropped(beside, axis, ndim + 1)
        if factor is None:
            return None
        full = broadcast_shape(wide.shape, self.shape(beside))
        if full[axis] != wide.shape[axis]:
            return None
        rest = without(wide.shape, axis)
        terms = []
        for value, places in x.terms:
            moved = places.reshape((*places.shape, 1) if left else _inserted(places.shape, ndim - 2, axis, x.axis))
            product = self.result.call(ops.multiply, self.reshaped(value, rest), factor)
            terms.append(Term(self.repeated(product, without(full, axis)), moved))
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
            self.shape(self._numbers[a]) if spread is None else spread.shape
            for spread, a in zip(found, arguments, strict=True)
        ]
        terms = []
        for i in range(max(len(spread.terms) for spread in found if spread is not None)):
            values, parts = [], []
            for spread, whole in zip(found, sizes, strict=True):
                rest = without(whole, axis)
                if spread is not None and i < len(spread.terms):
                    value, places = spread.terms[i]
                else:
                    value, places = self.zeros(rest, signature.out.dtype), np.full((1,) * len(rest), -1)
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
        return Spread(self.merged(terms), axis, shape)


def _inserted(shape: tuple[int, ...], place: int, axis: int, old: int) -> tuple[int, ...]:
    """The shape of places to which an axis of size 1 is added, at a place of the whole."""
    at = place - (old < place)
    return (*shape[:at], 1, *shape[at:])


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
