"""A call of something that is no primitive: a plan hands arrays of the host over, and takes arrays of the host back."""

from __future__ import annotations

from typing import Any

from ..core.avals import Aval, several
from ..core.parameters import Own
from ..core.primitives import Primitive
from ..operator import Operator
from ..registry import backend_of


def _infer_call(primitive: Primitive, *inputs: Aval, rule: Any) -> Aval:
    return several(rule.outputs)


def _called(xp: Any, *operands: Any, rule: Any, spec: Any = None) -> tuple[Any, ...]:
    """What the rule gives for operands on the host, where they came from."""
    owner = next((found for x in operands if (found := backend_of(x)) is not None), None)
    if owner is None:
        return rule.run(*operands)  # type: ignore[no-any-return]
    on_host = [x if (own := backend_of(x)) is None else own.to_numpy(x) for x in operands]
    return tuple([owner.asarray(x, x.dtype, copy=True) for x in rule.run(*on_host)])


# What is called is a parameter, an object with the attribute ``outputs`` and the methods ``run``, ``pull``, ``push``
# and ``batched`` (see ``called``). No axis passes through it.
call_p = Operator("call", _infer_call, several=True, params={"rule": Own}, kind="routine", core="->", meaning=_called)
