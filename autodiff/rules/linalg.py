"""Derivatives of linear algebra; the formulas are from Giles, Collected matrix derivative results (2008)."""

from __future__ import annotations

from collections.abc import Sequence

from .. import ops
from ..nodes import Node
from .rows import Explicit, Rule


def _solve_left(ct: Node, x: Node, a: Node, b: Node) -> Node:
    return -ops.matmul(_solve_right(ct, x, a, b), ops.matrix_transpose(x))


def _solve_right(ct: Node, x: Node, a: Node, b: Node) -> Node:
    return ops.solve_p(ops.matrix_transpose(a), ct)


def _solve_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node | None]) -> Node:
    a, _ = inputs
    da, db = tangents
    if da is None:
        assert db is not None
        return ops.solve_p(a, db)
    moved = ops.matmul(da, x)
    return ops.solve_p(a, -moved if db is None else db - moved)


RULES: list[Rule] = [
    Explicit(ops.solve_p, (_solve_left, _solve_right), _solve_push, "Giles 2008, 2.3.1"),
]
