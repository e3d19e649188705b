"""Derivatives of what sorts: elements keep theirs wherever they go."""

from __future__ import annotations

from .. import ops
from ..nodes import Node
from .rows import NONDIFFERENTIABLE, Rule, Via, without


def _sort(x: Node, axis: int, stable: bool) -> Node:
    return ops.take_along(x, ops.argsort(x, axis), axis)


def _partition(x: Node, ranks: Node) -> Node:
    """Sorted, and put where the elements of the same ranks are: whatever order a library leaves the others in."""
    last = x.aval.ndim - 1
    there = ops.argsort(ops.partition_p(x, ranks), last)
    # The inverse of a permutation is what sorts it.
    order = ops.take_along(ops.argsort(x, last), ops.argsort(there, last), last)
    return ops.take_along(x, order, last)


def _ranked(x: Node, ranks: Node) -> Node:
    last = x.aval.ndim - 1
    return ops.take_along(x, ops.take(ops.argsort(x, last), ranks, last), last)


TIES = "equal elements count in their order, as in a stable sort"

RULES: list[Rule] = [
    Via(ops.sort_p, _sort, TIES, masks=True),
    Via(ops.partition_p, _partition, TIES, masks=True),
    Via(ops.ranked_p, _ranked, TIES, masks=True),
    *without(NONDIFFERENTIABLE, ops.argsort_p, ops.argpartition_p, ops.searchsorted_p),
]
