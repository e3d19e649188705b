"""The derivative that somebody has written, or of what is computed again: a rule is a parameter of the operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..core.primitives import Signature
from ..nodes import Node, Operation
from .rows import ZERO, Rule, without


class Written(Rule):
    """What the parameter ``rule`` of the operation says, of all inputs but the first, which is the result itself."""

    __slots__ = ()

    def passed(self, signature: Signature) -> tuple[int, ...]:
        """The arguments that the rule is of: not the result itself, nor what the rule takes beside."""
        rule = signature.keywords["rule"]
        return tuple([i for i, aval in enumerate(signature.inputs) if aval.differentiable and rule.passes(i - 1)])

    def pull(self, ct: Any, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        found = op.params["rule"].pull(ct, op.inputs[1:])
        return [found[i - 1] for i in positions]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Node | None:
        return op.params["rule"].push(op.inputs[1:], tangents[1:])  # type: ignore[no-any-return]


class Called(Rule):
    """What the parameter ``rule`` of the operation says."""

    __slots__ = ()

    def passed(self, signature: Signature) -> tuple[int, ...]:
        """What it says."""
        rule = signature.keywords["rule"]
        return tuple([i for i, aval in enumerate(signature.inputs) if aval.differentiable and rule.passes(i)])

    def pull(self, ct: Any, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        return op.params["rule"].pull(ct, op, positions)  # type: ignore[no-any-return]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Any:
        return op.params["rule"].push(op, tangents)


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
    First(ops.batched_p, (), "that of what the function is made of: ``custom_batch``"),
    Called(ops.call_p, (), "as what is called says: that of a solver is the implicit function theorem"),
    *without(ZERO, ops.pack_p),
    First(ops.after_p, ()),
]
