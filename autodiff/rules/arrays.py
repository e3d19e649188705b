"""Derivatives of primitives that rearrange, read, write, reduce and contract arrays."""

from __future__ import annotations

import itertools
import math
from typing import Any

from .. import ops
from ..nodes import Node
from .rows import NONDIFFERENTIABLE, Linear, Multilinear, Rule, Via, Walked, without


def sum_to(ct: Node, shape: tuple[int, ...]) -> Node:
    """The transpose of broadcasting ``shape`` to the shape of ``ct``: sums over what was repeated."""
    if ct.aval.shape == shape:
        return ct
    extra = ct.aval.ndim - len(shape)
    ones = [extra + i for i, n in enumerate(shape) if n == 1 and ct.aval.shape[extra + i] != 1]
    return ops.reshape(ops.sum(ct, (*range(extra), *ones)), shape)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def _concatenated_parts(ct: Node, out: Node, *parts: Node, axis: int) -> list[Node]:
    stops = itertools.accumulate([x.aval.shape[axis] for x in parts], initial=0)
    return [ops.take_range(ct, axis, *ends) for ends in itertools.pairwise(stops)]


def _index_add_values(ct: Node, out: Node, x: Node, idx: Node, values: Node, *arrays: Node) -> Node:
    return ops.index(ct, idx, *arrays)


def _index_set_parts(ct: Node, out: Node, x: Node, idx: Node, values: Node, *arrays: Node) -> list[Node | None]:
    # Read before it is written to, so that a chain of writes may work in one array.
    read = ops.surviving(x, idx, ops.index(ct, idx, *arrays), arrays)
    return [ops.index_set(ct, idx, ops.zeros_like(values), *arrays), None, read]


def _matmul_right(ct: Node, out: Node, x: Node, y: Node) -> Node:
    """x^T ct; a stack of matrices times one matrix is one tall product."""
    if y.aval.ndim == 2 and x.aval.ndim > 2:
        rows = math.prod(x.aval.shape[:-1])
        x, ct = [ops.reshape(v, (rows, v.aval.shape[-1])) for v in (x, ct)]
    return ops.matmul(ops.matrix_transpose(x), ct)


def _shared_extremum(x: Node, extremum: Node, axes: tuple[int, ...]) -> Node:
    """The extremum as the mean of the elements that attain it; NaN passes on as NaN."""
    nan = ops.isnan(extremum)
    attained = ops.logical_or(ops.equal(x, ops.spread(extremum, x, axes)), ops.spread(nan, x, axes))
    count = ops.sum(ops.astype(attained, x.aval.dtype), axes)
    chosen = ops.sum(ops.where(attained, x, 0), axes)
    return chosen / ops.where(nan, extremum, count)


def _amax(x: Node, axes: tuple[int, ...]) -> Node:
    return _shared_extremum(x, ops.stop_gradient(ops.amax(x, axes=axes)), axes)


def _amin(x: Node, axes: tuple[int, ...]) -> Node:
    return _shared_extremum(x, ops.stop_gradient(ops.amin(x, axes=axes)), axes)


def _prod(x: Node, axes: tuple[int, ...]) -> Node:
    """Pairwise multiplication: log2(n) products whose derivatives are right however many zeros there are.

    Neighbours are paired: they are multiplied in NumPy's product too, so that fewer products are out of range.
    """
    kept = [i for i in range(x.aval.ndim) if i not in axes]
    x = ops.transpose(x, [*kept, *axes])
    shape = x.aval.shape[: len(kept)]
    length = 1
    for n in x.aval.shape[len(kept) :]:
        length *= n
    x = ops.reshape(x, (*shape, length))
    if not length:
        return ops.full(shape, 1, x.aval.dtype)
    whole = [slice(None)] * len(kept)
    while length > 1:
        even = length - length % 2
        pairs: Node = ops.take_slices(x, *whole, slice(0, even, 2)) * ops.take_slices(x, *whole, slice(1, even, 2))
        if length % 2:
            pairs = ops.concatenate([pairs, ops.take_slices(x, *whole, slice(even, length))], len(kept))
        x, length = pairs, even // 2 + length % 2
    return ops.reshape(x, shape)


def _cumprod(x: Node, axis: int) -> Node:
    """A scan by doubling (Hillis and Steele 1986): log2(n) products, right with zeros."""
    whole = [slice(None)] * axis
    length = x.aval.shape[axis]
    shift = 1
    while shift < length:
        head = ops.take_slices(x, *whole, slice(0, shift))
        tail = ops.take_slices(x, *whole, slice(shift, None)) * ops.take_slices(x, *whole, slice(0, length - shift))
        x = ops.concatenate([head, tail], axis)
        shift *= 2
    return x


def _spread_sum(ct: Node, out: Node, x: Node, axes: tuple[int, ...]) -> Node:
    return ops.spread(ct, x, axes)


def _running_sum(ct: Node, out: Node, x: Node, axis: int) -> Node:
    return ops.flip(ops.cumsum(ops.flip(ct, (axis,)), axis), (axis,))


TIES = "ties share evenly: minimum-norm subgradient"


def _variadic(*leading: Any, rest: int = 32) -> tuple[Any, ...]:
    """Argument states followed by index arrays, however many."""
    return (*leading, *[NONDIFFERENTIABLE] * rest)


# Whole overlaps and any overlaps are each other's transposes.
OTHER_MODE = {"full": "valid", "valid": "full"}


def _convolved_second(ct: Node, out: Node, a: Node, v: Node, mode: str) -> Node:
    last = (a.aval.ndim - 1,)
    if mode == "full":
        return ops.convolve(ct, ops.flip(a, last), "valid")
    return ops.flip(ops.convolve(a, ops.flip(ct, last), "valid"), last)


RULES: list[Rule] = [
    Walked(ops.part_p, ()),
    Linear(ops.place_p, (lambda ct, out, x, backend: ct,)),
    Linear(ops.conjugate, (lambda ct, out, x: ops.conjugate(ct),)),
    Linear(
        ops.of_parts_p,
        (
            lambda ct, out, x, y: sum_to(ops.real(ct), x.aval.shape),
            lambda ct, out, x, y: sum_to(-ops.imag(ct), y.aval.shape),
        ),
    ),
    Linear(
        ops.where_p,
        (
            NONDIFFERENTIABLE,
            lambda ct, out, c, x, y: ops.where(c, ct, 0),
            lambda ct, out, c, x, y: ops.where(c, 0, ct),
        ),
        masks=True,
    ),
    Linear(ops.reshape_p, (lambda ct, out, x, shape: ops.reshape(ct, x.aval.shape),)),
    Linear(ops.transpose_p, (lambda ct, out, x, axes: ops.transpose(ct, _inverse(axes)),)),
    Linear(ops.broadcast_to_p, (lambda ct, out, x, shape: sum_to(ct, x.aval.shape),)),
    Linear(ops.concatenate_p, _concatenated_parts),
    Linear(
        ops.index,
        _variadic(lambda ct, out, x, idx, *arrays: ops.index_add(ops.zeros_like(x), idx, ct, *arrays)),
        masks=True,
    ),
    Linear(
        ops.index_add,
        _variadic(lambda ct, out, x, idx, values, *arrays: ct, NONDIFFERENTIABLE, _index_add_values),
    ),
    Linear(ops.index_set, _index_set_parts, masks=True),
    Linear(ops.sum_p, (_spread_sum,)),
    Linear(ops.cumsum_p, (_running_sum,)),
    Via(ops.prod_p, _prod, "exact with zeros at every order"),
    Via(ops.cumprod_p, _cumprod, "exact with zeros at every order"),
    Via(ops.amax, _amax, TIES, masks=True),
    Via(ops.amin, _amin, TIES, masks=True),
    Multilinear(
        ops.matmul_p,
        (lambda ct, out, x, y: ops.matmul(ct, ops.matrix_transpose(y)), _matmul_right),
    ),
    Multilinear(
        ops.convolve_p,
        (
            lambda ct, out, a, v, mode: ops.convolve(ct, ops.flip(v, (v.aval.ndim - 1,)), OTHER_MODE[mode]),
            _convolved_second,
        ),
        "the correlation with the other vector",
    ),
    Multilinear(
        ops.inner_product,
        (
            lambda ct, out, x, y, axes: ops.spread(ct, x, axes) * y,
            lambda ct, out, x, y, axes: ops.spread(ct, x, axes) * x,
        ),
    ),
    *without(NONDIFFERENTIABLE, ops.all_true, ops.any_true, ops.argmax, ops.argmin, ops.in_range),
]
