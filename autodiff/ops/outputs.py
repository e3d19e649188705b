"""Primitives with several outputs: one Operation whose value is a tuple, and the primitive that takes one of them."""

from __future__ import annotations

from typing import Any

from ..core.avals import Aval
from ..core.parameters import Output
from ..core.primitives import Primitive
from ..nodes import Node
from ..operator import Operator


def _infer_part(primitive: Primitive, outputs: Aval, *, index: int) -> Aval:
    return outputs.parts[index]


def _part(xp: Any, outputs: tuple[Any, ...], *, index: int) -> Any:
    return outputs[index]


# Derivatives pass through it in the walkers of `differentiate`, which keep those of all outputs together.
part_p = Operator("part", _infer_part, params={"index": Output}, view=True, meaning=_part)


def outputs(node: Node) -> tuple[Node, ...]:
    """All outputs of an application of a primitive that has several."""
    return tuple([part_p(node, index=i) for i in range(len(node.aval.parts))])
