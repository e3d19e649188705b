"""Rows of arrays: views of views, numbers repeated, choices, additions at places."""

from __future__ import annotations

from ... import ops
from ...core.primitives import Signature
from ...core.program import NUMBER, Program
from .rows import DERIVED, EXACT, IN_SUMS, Special

add, multiply, negative = ops.add, ops.multiply, ops.negative


def reshape_chain(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """reshape(reshape(x)) = reshape(x), and reshape to the same shape = x."""
    (value,) = arguments
    if p.avals[value] is signature.out:
        return value
    if p.is_primitive(value, ops.reshape_p):
        return p.call(ops.reshape_p, p.arguments[value][0], params=signature.params)
    return None


def reshape_of_number(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """reshape(number) = broadcast(number), repeated or not: a number stays known as such."""
    (value,) = arguments
    if p.is_primitive(value, ops.broadcast_to_p):
        (value,) = p.arguments[value]
    if p.heads[value] is NUMBER or (value != arguments[0] and p.avals[value].ndim == 0):
        return p.call(ops.broadcast_to_p, value, params=(signature.out.shape,))
    return None


def reshape_of_scaled(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """reshape(c * x) = c * reshape(x): a number goes outward, where it meets others."""
    (value,) = arguments
    if p.heads[value] is multiply:
        for number, factor in (p.arguments[value], p.arguments[value][::-1]):
            if p.heads[number] is NUMBER and p.avals[factor] is p.avals[value]:
                return p.call(multiply, number, p.call(ops.reshape_p, factor, params=signature.params))
    return None


def transpose_chain(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """transpose(transpose(x, p), q) = transpose(x, p after q), and the identity permutation = x."""
    (value,) = arguments
    (axes,) = signature.params
    if axes == tuple(range(len(axes))):
        return value
    if p.is_primitive(value, ops.transpose_p):
        inner = p.signatures[value].params[0]  # type: ignore[union-attr]
        return p.call(ops.transpose_p, p.arguments[value][0], params=(tuple([inner[a] for a in axes]),))
    if p.is_primitive(value, ops.broadcast_to_p):
        (source,) = p.arguments[value]
        if p.avals[source].ndim == 0:
            return p.call(ops.broadcast_to_p, source, params=(signature.out.shape,))
    return None


def broadcast_chain(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """broadcast(broadcast(x)) = broadcast(x), and to the same shape = x."""
    (value,) = arguments
    if p.avals[value] is signature.out:
        return value
    if p.is_primitive(value, ops.broadcast_to_p):
        return p.call(ops.broadcast_to_p, p.arguments[value][0], params=signature.params)
    return None


def select_same(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """where(c, x, x) = x."""
    return arguments[1] if arguments[1] == arguments[2] else None


def matmul_of_negative(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """(-x) @ y = -(x @ y), where the product is not larger than the factor."""
    if signature.out.dtype.kind not in "fc":
        return None
    for place, value in enumerate(arguments):
        if p.is_primitive(value, negative) and signature.out.size <= p.avals[value].size:
            inner = list(arguments)
            inner[place] = p.arguments[value][0]
            return p.call(negative, p.call(signature.primitive, *inner))
    return None


def matmul_by_number(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """x @ y = x * y where one is a 1 x 1 matrix."""
    first, second = (p.avals[a] for a in arguments)
    if first.ndim == second.ndim == 2 and (first.shape == (1, 1) or second.shape == (1, 1)):
        return p.call(multiply, *arguments)
    return None


def index_of_repeated(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """broadcast(number)[i] = broadcast(number), of any number."""
    value = arguments[0]
    if len(arguments) == 2 and p.is_primitive(value, ops.broadcast_to_p):
        (source,) = p.arguments[value]
        if p.avals[source].ndim == 0:
            return p.call(ops.broadcast_to_p, source, params=(signature.out.shape,))
    return None


def index_of_set(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """index_set(x, i, v)[i] = v."""
    if len(arguments) == 2 and p.is_primitive(arguments[0], ops.index_set):
        _, idx, values, *arrays = p.arguments[arguments[0]]
        if idx == arguments[1] and not arrays and p.avals[values] is signature.out:
            return values
    return None


def index_of_added(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """index_add(0, i, v)[i] = v; zeros at these places are enough."""
    if len(arguments) == 2 and p.is_primitive(arguments[0], ops.index_add):
        base, idx, values, *arrays = p.arguments[arguments[0]]
        if idx == arguments[1] and not arrays and p.avals[values] is signature.out and _untouched(p, base, idx):
            return values
    return None


def index_add_to_sum(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """x + index_add(0, i, v) = index_add(x, i, v): cotangents of parts gathered in place.

    Not where a place may be there twice: its parts are added up first.
    """
    for value, other in (arguments, arguments[::-1]):
        if p.is_primitive(value, ops.index_add) and p.avals[value] is p.avals[other] is signature.out:
            base, idx, values, *arrays = p.arguments[value]
            if _is_zeros(p, base) and not arrays:
                return p.call(ops.index_add, other, idx, values, *arrays)
    return None


def index_add_again(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """index_add(index_add(0, i, u), i, v) = index_add(0, i, u + v), also with writes to other places between.

    Zeros at these places are enough.
    """
    base, idx, values, *arrays = arguments
    between: list[tuple[int, ...]] = []
    while not arrays and p.is_primitive(base, ops.index_add) and len(between) < WRITES_SEARCHED:
        inner, place, others, *more = p.arguments[base]
        if place == idx and not more:
            if p.avals[others] is not p.avals[values] or not _untouched(p, inner, idx):
                return None
            total = p.call(ops.index_add, inner, idx, p.call(add, others, values))
            for part in reversed(between):
                total = p.call(ops.index_add, total, *part)
            return total
        if more or not _disjoint(p, place, idx):
            return None
        between.append((place, others))
        base = inner
    return None


# How many writes are looked through for one to the same places.
WRITES_SEARCHED = 32


def _untouched(p: Program, value: int, idx: int) -> bool:
    """Whether an array is zero at the places of an index: made so, or set so, and written to elsewhere at most."""
    for _ in range(WRITES_SEARCHED):
        if _is_zeros(p, value):
            return True
        sets = p.is_primitive(value, ops.index_set)
        if not sets and not p.is_primitive(value, ops.index_add):
            return False
        value, place, values, *arrays = p.arguments[value]
        if sets and place == idx and not arrays and _is_zeros(p, values):
            return True
        if arrays or not _disjoint(p, place, idx):
            return False
    return False


def _disjoint(p: Program, first: int, second: int) -> bool:
    """Whether two indices without arrays are known to have no element in common."""
    ours, theirs = p.avals[first].literal, p.avals[second].literal
    if ours is None or theirs is None or None in ours or None in theirs:
        return False
    return any(_apart(a, b) for a, b in zip(ours, theirs, strict=False))


def _apart(first: object, second: object) -> bool:
    """Whether two entries of an index, for the same axis, have no place in common."""
    ours, theirs = _reach(first), _reach(second)
    return ours is not None and theirs is not None and (ours[1] <= theirs[0] or theirs[1] <= ours[0])


def _reach(entry: object) -> tuple[int, int] | None:
    """The first place of an entry of a normalised index, and the place after its last one; None for other entries."""
    if isinstance(entry, slice):
        stop = entry.stop if entry.stop is not None else -1 if entry.step < 0 else None
        if stop is None:
            return None
        places = range(entry.start, stop, entry.step)
        if not places:
            return 0, 0
        ends = places[0], places[-1]
        return min(ends), max(ends) + 1
    return (entry, entry + 1) if isinstance(entry, int) and entry >= 0 else None


def _is_zeros(p: Program, value: int) -> bool:
    if p.is_primitive(value, ops.broadcast_to_p):
        (value,) = p.arguments[value]
    literal = p.avals[value].literal
    return literal is not None and p.avals[value].spec is None and literal == 0


def strip_broadcasts(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """f(broadcast(x), y) = f(x, y) if y has the full shape, and f(broadcast(x)) = broadcast(f(x))."""
    inner = tuple([p.arguments[a][0] if p.is_primitive(a, ops.broadcast_to_p) else a for a in arguments])
    value = p.call(signature.primitive, *inner, params=signature.params)
    if p.avals[value].dtype != signature.out.dtype:
        return None
    if p.avals[value].shape != signature.out.shape:
        value = p.call(ops.broadcast_to_p, value, params=(signature.out.shape,))
    return value


SPECIAL = [
    Special(ops.reshape_p, reshape_chain, EXACT),
    Special(ops.reshape_p, reshape_of_number, EXACT),
    Special(ops.reshape_p, reshape_of_scaled, DERIVED),
    Special(ops.transpose_p, transpose_chain, EXACT),
    Special(ops.broadcast_to_p, broadcast_chain, EXACT),
    Special(ops.where_p, select_same, EXACT),
    Special(ops.matmul_p, matmul_of_negative, DERIVED),
    Special(ops.matmul_p, matmul_by_number, IN_SUMS),
    Special(ops.index, index_of_repeated, EXACT),
    Special(ops.index, index_of_set, EXACT),
    Special(ops.index, index_of_added, DERIVED),
    Special(add, index_add_to_sum, DERIVED),
    Special(ops.index_add, index_add_again, DERIVED),
]
