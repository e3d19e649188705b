"""A result whose derivative somebody has written."""

from __future__ import annotations

from typing import Any

from ..core.avals import Aval, intern_aval
from ..core.parameters import Static
from ..core.primitives import Primitive
from ..operator import Operator
from .derived import COMPOSITIONS


def _infer_custom(primitive: Primitive, out: Aval, *inputs: Aval, rule: Any) -> Aval:
    return intern_aval(out.shape, out.dtype, out.weak)


# The first operand. Derivatives do not pass through that one, but through the others, by the rule: it has the methods
# ``pull``, ``push`` and ``batched`` (see ``written``). Backends do not meet this primitive.
custom_p = Operator("custom", _infer_custom, params={"rule": Static}, core="->")
COMPOSITIONS[custom_p] = lambda out, *inputs, rule: out

# The first operand, too. Derivatives pass through that one alone; a batch is made by the rule, of the others.
batched_p = Operator("batched", _infer_custom, params={"rule": Static}, core="->")
COMPOSITIONS[batched_p] = lambda out, *inputs, rule: out
