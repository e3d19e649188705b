"""Results whose derivative somebody has written, or that are computed again for their derivative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.avals import Aval, intern_aval, several
from ..core.parameters import Own
from ..core.primitives import Primitive
from ..nodes import Node, Operation
from ..operator import Operator
from .derived import COMPOSITIONS
from .elementwise import broadcast_shapes
from .indexing import index, static_index
from .indices import INTEGER


def _infer_custom(primitive: Primitive, out: Aval, *inputs: Aval, rule: Any) -> Aval:
    return out if out.parts else intern_aval(out.shape, out.dtype, out.weak)


# The first operand. Derivatives do not pass through that one, but through the others, by the rule: it has the methods
# ``pull``, ``push`` and ``batched`` (see ``written`` and ``recomputed``). Backends do not meet this primitive.
custom_p = Operator("custom", _infer_custom, params={"rule": Own}, core="->")
COMPOSITIONS[custom_p] = lambda out, *inputs, rule: out


# The first operand, too. Derivatives pass through that one alone; a batch is made by the rule, of the others.
batched_p = Operator("batched", _infer_custom, params={"rule": Own}, core="->")
COMPOSITIONS[batched_p] = lambda out, *inputs, rule: out


def entered(op: Operation) -> Sequence[Node]:
    """The inputs that a walk goes on to which makes nodes anew: not those that a rule makes anew by itself."""
    return op.inputs[1:] if op.signature.primitive is custom_p and op.params["rule"].renews else op.inputs


# Several nodes as the outputs of one, so that one rule is that of all. Programs have the nodes themselves.
pack_p = Operator(
    "pack",
    lambda primitive, *outputs: several(outputs),
    several=True,
    view=True,
    meaning=lambda xp, *arrays: tuple(arrays),
)


def _infer_after(primitive: Primitive, *inputs: Aval) -> Aval:
    return intern_aval(broadcast_shapes(primitive.name, inputs), inputs[0].dtype)


def _first(xp: Any, x: Any, *others: Any) -> Any:
    arrays = [other for other in others if getattr(other, "ndim", 0)]
    return xp.broadcast_arrays(xp.asarray(x), *arrays)[0] if arrays else xp.asarray(x)


# The first operand, but not before the others are known, which are single elements. So what is computed of it is not
# what was computed of the operand itself, and is computed later.
after_p = Operator("after", _infer_after, kind="elementwise", view=True, meaning=_first)


def after(x: Node, others: Sequence[Node]) -> Node:
    """``x`` when all of the others, which are not empty, are known."""
    return after_p(x, *[first_element(other) for other in others]) if others else x


def first_element(x: Node) -> Node:
    """The first element of an array that has one, without axes."""
    ndim = x.aval.ndim
    return index(x, static_index((INTEGER,) * ndim, (0,) * ndim)) if ndim else x
