"""Order: sorted arrays, positions in order, elements of given ranks, and positions in what is sorted.

NaN comes last, and complex numbers are ordered by their real and then by their imaginary parts, as NumPy has it. The
meanings are those of libraries that order real numbers only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.avals import INT64, Aval, broadcast_shape, intern_aval
from ..core.parameters import Axis, Static
from ..core.primitives import Primitive
from ..nodes import Constant, Node
from ..operator import Operator, infer_like
from .indexing import index, static_index
from .indices import ARRAY
from .shapes import reshape, transpose

# --- what they mean --------------------------------------------------------------------------------------------------


def _is(x: Any, kind: str) -> bool:
    """Whether an array of any library is of a kind of numbers."""
    return kind in str(x.dtype)


def _take_along(xp: Any, x: Any, positions: Any, axis: int) -> Any:
    """Elements at positions along an axis, which every library has for flat arrays."""
    rows, ordered = xp.moveaxis(x, axis, -1), xp.moveaxis(positions, axis, -1)
    length, shape = rows.shape[-1], ordered.shape
    # A library may be on a device: the numbers of rows come from an array that is there.
    ones = xp.ones_like(xp.reshape(ordered, (-1, shape[-1])))
    number = xp.cumulative_sum(ones, axis=0) - ones
    flat = xp.reshape(xp.reshape(ordered, (-1, shape[-1])) + length * number, (-1,))
    return xp.moveaxis(xp.reshape(xp.take(xp.reshape(rows, (-1,)), flat, axis=0), shape), -1, axis)


def meant_argsort(xp: Any, x: Any, *, axis: int, stable: bool) -> Any:
    """The positions that sort an array, equal elements in their order."""
    if _is(x, "bool"):
        x = xp.astype(x, xp.uint8)
    if not _is(x, "complex"):
        return xp.astype(xp.argsort(x, axis=axis, stable=True), xp.int64)
    real, imag = xp.real(x), xp.imag(x)
    unreal, unimag = xp.isnan(real), xp.isnan(imag)
    # NaN comes last: first those whose real part is a number. The last key decides first.
    keys = [xp.where(unimag, xp.zeros_like(imag), imag), xp.where(unreal, xp.zeros_like(real), real)]
    keys.append(xp.astype(unreal, real.dtype) * 2 + xp.astype(unimag, real.dtype))
    positions = meant_argsort(xp, keys[0], axis=axis, stable=True)
    for key in keys[1:]:
        further = meant_argsort(xp, _take_along(xp, key, positions, axis), axis=axis, stable=True)
        positions = _take_along(xp, positions, further, axis)
    return positions


def meant_sort(xp: Any, x: Any, *, axis: int, stable: bool) -> Any:
    """A sorted array."""
    if _is(x, "bool"):
        return xp.astype(xp.sort(xp.astype(x, xp.uint8), axis=axis), xp.bool)
    if _is(x, "complex"):
        return _take_along(xp, x, meant_argsort(xp, x, axis=axis, stable=True), axis)
    return xp.sort(x, axis=axis, stable=stable)


def _rank(xp: Any, x: Any) -> Any:
    """Where each element is when those along the last axis are sorted."""
    return meant_argsort(xp, meant_argsort(xp, x, axis=-1, stable=True), axis=-1, stable=True)


def _batched(xp: Any, x: Any, others: Any) -> Any:
    """An array whose axes but the last are broadcast with those of another."""
    if len(others.shape) == 1:
        return x
    return xp.broadcast_to(x, (*broadcast_shape(tuple(x.shape[:-1]), tuple(others.shape[:-1])), x.shape[-1]))


def meant_search_of_each(xp: Any, a: Any, v: Any, *, right: bool) -> Any:
    """A search in vectors of a stack, one or several in each: the rank of what is looked for among all."""
    batch = broadcast_shape(tuple(a.shape[:-1]), tuple(v.shape))
    a, v = xp.broadcast_to(a, (*batch, a.shape[-1])), xp.expand_dims(xp.broadcast_to(v, batch), axis=-1)
    return _rank(xp, xp.concat([a, v] if right else [v, a], axis=-1))[..., -1 if right else 0]


def _meant_searchsorted(xp: Any, a: Any, v: Any, *, right: bool) -> Any:
    if len(a.shape) > 1:
        return meant_search_of_each(xp, a, v, right=right)
    """Before which elements of a sorted vector others belong."""
    side = "right" if right else "left"
    if _is(a, "bool"):
        a, v = xp.astype(a, xp.uint8), xp.astype(v, xp.uint8)
    if _is(a, "float"):
        # Libraries differ in where NaN belongs.
        missing = xp.isnan(a)
        numbers = a.shape[0] - xp.sum(xp.astype(missing, xp.int64))
        found = xp.searchsorted(xp.where(missing, xp.full_like(a, xp.inf), a), v, side=side)
        found = xp.minimum(xp.astype(found, xp.int64), numbers)
        return xp.where(xp.isnan(v), xp.full_like(found, a.shape[0]) if right else numbers, found)
    if not _is(a, "complex"):
        return xp.astype(xp.searchsorted(a, v, side=side), xp.int64)
    # Of all together the ones of ``v`` that come before do not count.
    flat = xp.reshape(v, (-1,))
    together = _rank(xp, xp.concat([a, flat] if right else [flat, a]))
    mine = together[a.shape[0] :] if right else together[: flat.shape[0]]
    return xp.reshape(mine - _rank(xp, flat), v.shape)


def _meant_ranked(xp: Any, x: Any, ranks: Any) -> Any:
    ordered = meant_sort(xp, _batched(xp, x, ranks), axis=-1, stable=False)
    if len(ranks.shape) == 1:
        return xp.take(ordered, ranks, axis=-1)
    return _take_along(xp, ordered, xp.broadcast_to(ranks, (*ordered.shape[:-1], ranks.shape[-1])), -1)


def _beside_ranks(x: Aval, ranks: Aval) -> tuple[int, ...]:
    return broadcast_shape(x.shape[:-1], ranks.shape[:-1])


# --- cards -----------------------------------------------------------------------------------------------------------


def _infer_positions(primitive: Primitive, x: Aval, *args: Aval, **params: Any) -> Aval:
    return intern_aval(x.shape, INT64)


# ``stable`` says that equal elements stay in their order: of zeros it decides the sign, of positions which is first.
sort_p = Operator(
    "sort",
    infer_like,
    params={"axis": Axis, "stable": Static},
    kind="routine",
    meaning=meant_sort,
    needs=("sort",),
)
argsort_p = Operator(
    "argsort",
    _infer_positions,
    params={"axis": Axis, "stable": Static},
    kind="routine",
    meaning=meant_argsort,
    needs=("argsort",),
)

# Along the last axis. The second operand has the ranks whose elements, and positions, are where sorting has them.
partition_p = Operator(
    "partition",
    lambda primitive, x, ranks: intern_aval((*_beside_ranks(x, ranks), x.shape[-1]), x.dtype),
    core=".,.->.",
    kind="routine",
    meaning=lambda xp, x, ranks: meant_sort(xp, _batched(xp, x, ranks), axis=-1, stable=False),
    needs=("sort",),
)
argpartition_p = Operator(
    "argpartition",
    lambda primitive, x, ranks: intern_aval((*_beside_ranks(x, ranks), x.shape[-1]), INT64),
    core=".,.->.",
    kind="routine",
    meaning=lambda xp, x, ranks: meant_argsort(xp, _batched(xp, x, ranks), axis=-1, stable=False),
    needs=("argsort",),
)
# The elements of these ranks alone.
ranked_p = Operator(
    "ranked",
    lambda primitive, x, ranks: intern_aval((*_beside_ranks(x, ranks), ranks.shape[-1]), x.dtype),
    core=".,i->i",
    kind="routine",
    meaning=_meant_ranked,
    needs=("sort",),
)

# Before which elements of a sorted vector others belong; after equal ones if it is to be on the right of them.
searchsorted_p = Operator(
    "searchsorted",
    lambda primitive, a, v, *, right: intern_aval(broadcast_shape(a.shape[:-1], v.shape), INT64),
    params={"right": Static},
    core=".,->",
    kind="routine",
    meaning=_meant_searchsorted,
    needs=("searchsorted",),
)


# --- from nodes to nodes ---------------------------------------------------------------------------------------------


def sort(x: Node, axis: int, stable: bool = False) -> Node:
    """``x`` sorted along an axis."""
    return sort_p(x, axis=axis, stable=stable)


def argsort(x: Node, axis: int, stable: bool = True) -> Node:
    """The positions that sort ``x`` along an axis."""
    return argsort_p(x, axis=axis, stable=stable)


def take_along(x: Node, positions: Node, axis: int) -> Node:
    """Elements at positions from 0 along an axis (not checked), one for each place of the other axes."""
    arrays = []
    for i, n in enumerate(x.aval.shape):
        shape = tuple([n if i == j else 1 for j in range(x.aval.ndim)])
        numbers = Constant(intern_aval(shape, INT64), np.arange(n).reshape(shape))
        arrays.append(positions if i == axis else numbers)
    return index(x, static_index((ARRAY,) * x.aval.ndim, (None,) * x.aval.ndim), *arrays)


def lines(x: Node, axes: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
    """``x`` with some axes as one, which is the last; and the sizes of the others."""
    kept = [i for i in range(x.aval.ndim) if i not in axes]
    shape = tuple([x.aval.shape[i] for i in kept])
    return reshape(transpose(x, (*kept, *axes)), (*shape, math.prod([x.aval.shape[i] for i in axes]))), shape
