"""Derivatives of what sorts: elements keep theirs wherever they go."""

from __future__ import annotations

from .. import ops
from ..nodes import Node
from .rows import NONDIFFERENTIABLE, Rule, Via, without


def _sort(x: Node, axis: int, stable: bool) -> Node:
    return ops.take_along(x, ops.argsort(x, axis), axis)


def _partition(x: Node, ranks: Node) -> Node:
    """Sorted, and put where the elements of the same ranks are: whatever order a library leaves the others in."""
    result = ops.partition_p(x, ranks)
    x, last = ops.broadcast_to(x, result.aval.shape), result.aval.ndim - 1
    there = ops.argsort(result, last)
    # The inverse of a permutation is what sorts it.
    order = ops.take_along(ops.argsort(x, last), ops.argsort(there, last), last)
    return ops.take_along(x, order, last)


def _ranked(x: Node, ranks: Node) -> Node:
    if ranks.aval.ndim > 1:
        shape = ops.ranked_p.signature((x.aval, ranks.aval)).out.shape
        x, ranks = ops.broadcast_to(x, (*shape[:-1], x.aval.shape[-1])), ops.broadcast_to(ranks, shape)
    last = x.aval.ndim - 1
    order = ops.argsort(x, last)
    chosen = ops.take(order, ranks, last) if ranks.aval.ndim == 1 else ops.take_along(order, ranks, last)
    return ops.take_along(x, chosen, last)


TIES = "equal elements count in their order, as in a stable sort"

RULES: list[Rule] = [
    Via(ops.sort_p, _sort, TIES, masks=True),
    Via(ops.partition_p, _partition, TIES, masks=True),
    Via(ops.ranked_p, _ranked, TIES, masks=True),
    *without(NONDIFFERENTIABLE, ops.argsort_p, ops.argpartition_p, ops.searchsorted_p),
]
