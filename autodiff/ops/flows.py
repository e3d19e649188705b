"""Loops and branches: one operation with several outputs, whose parameter says which flow of control it is."""

from __future__ import annotations

from typing import Any

from ..core.avals import Aval
from ..core.parameters import Own
from ..core.primitives import Primitive
from ..operator import Operator


def _infer_flow(primitive: Primitive, *inputs: Aval, rule: Any) -> Aval:
    return rule.infer(inputs)  # type: ignore[no-any-return]


def _run(xp: Any, *arrays: Any, rule: Any) -> tuple[Any, ...]:
    return rule.run(xp, arrays)  # type: ignore[no-any-return]


# What is computed, its derivatives and its batch are methods of the parameter (see ``flows``).
flow_p = Operator("flow", _infer_flow, several=True, params={"rule": Own}, kind="routine", meaning=_run)
