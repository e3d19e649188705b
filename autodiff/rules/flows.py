"""The derivatives of loops and branches: the flow of control is a parameter of the operation, and knows its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..nodes import Node, Operation
from .rows import Rule


class Own(Rule):
    """What the parameter ``rule`` of the operation says."""

    __slots__ = ()

    def passes(self, position: int) -> bool:
        """Whether a derivative could pass through this argument."""
        return True

    def pull(self, ct: Any, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        return op.params["rule"].pull(ct, op, positions)  # type: ignore[no-any-return]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Any:
        return op.params["rule"].push(op, tangents)


RULES: list[Rule] = [Own(ops.flow_p, (), "that of what is repeated, or of the branch that is taken")]
