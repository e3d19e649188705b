"""The derivative that somebody has written, or of what is computed again: a rule is a parameter of the operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..nodes import Node, Operation
from .rows import ZERO, Rule, without


class Written(Rule):
    """What the parameter ``rule`` of the operation says, of all inputs but the first, which is the result itself."""

    __slots__ = ()

    def passes(self, position: int) -> bool:
        """Whether a derivative could pass through this argument."""
        return position > 0

    def pull(self, ct: Any, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        found = op.params["rule"].pull(ct, op.inputs[1:])
        return [found[i - 1] for i in positions]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Node | None:
        return op.params["rule"].push(op.inputs[1:], tangents[1:])  # type: ignore[no-any-return]


class First(Rule):
    """The first operand, whatever the others are."""

    __slots__ = ()

    def passes(self, position: int) -> bool:
        """Whether a derivative could pass through this argument."""
        return position == 0

    def pull(self, ct: Any, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        return [ct for _ in positions]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Node | None:
        return tangents[0]


RULES: list[Rule] = [
    Written(ops.custom_p, (), "as it was written: ``custom_vjp``, ``custom_jvp``; computed again: ``checkpoint``"),
    *without(ZERO, ops.pack_p),
    First(ops.after_p, ()),
]
