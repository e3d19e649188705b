"""``checkpoint``: a function whose inside is not stored for derivatives, but computed again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from .. import ops
from ..arguments import count
from ..containers import flatten, unflatten
from ..errors import ArgumentError, shown
from ..nodes import Operation, now, operations_since
from ..plan.costs import nanoseconds, nbytes
from ..recomputed import recomputed_since
from ..tensor import Tensor, wrap
from ..tracebacks import boundary

P = ParamSpec("P")
T = TypeVar("T")

# Whether the result of an operation is stored.
Policy = Callable[[Operation], Any]

# By the names that JAX has for them.
POLICIES: dict[str, Policy] = {
    "nothing_saveable": lambda op: False,
    "everything_saveable": lambda op: True,
    "dots_saveable": lambda op: op.signature.primitive.kind == "contraction",
}


@overload
def checkpoint(f: Callable[P, T], *, policy: str | Policy = ..., memory_limit: int | None = ...) -> Callable[P, T]: ...
@overload
def checkpoint(
    f: None = ..., *, policy: str | Policy = ..., memory_limit: int | None = ...
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
@boundary
def checkpoint(
    f: Callable[..., Any] | None = None,
    *,
    policy: str | Policy = "nothing_saveable",
    memory_limit: int | None = None,
) -> Any:
    """A function of which derivatives do not store what is computed inside, but compute it again.

    Parameters
    ----------
    f : callable
        Written with NumPy. It is called as ever, with any arguments; Tensors that it uses from outside are
        differentiated as without this.
    policy : str or callable, optional
        What is stored all the same: "nothing_saveable", "everything_saveable", "dots_saveable" (results of products),
        or a function of an ``Operation`` inside, which returns whether its result is stored.
    memory_limit : int, optional
        Instead of a policy: bytes of results inside that may be stored, those first which take longest to compute
        for their size.

    Returns
    -------
    callable
        Gives what ``f`` gives.

    Raises
    ------
    ArgumentError
        If ``f`` is not callable, the policy is none of those, both a policy and a limit are given, or the limit is no
        integer of at least 1.

    Notes
    -----
    Random numbers that ``f`` draws are data, and are not drawn again. Forward mode stores nothing anyway, and computes
    nothing twice. Derivatives of any order compute again what is inside, and functions may be nested.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> @ad.checkpoint
    ... def block(w, x):
    ...     return np.tanh(np.tanh(x @ w) @ w.T)
    >>> w, x = np.array([[0.5, 0.25]]), np.ones((1, 1))
    >>> ad.grad(lambda w: np.sum(block(w, block(w, x))))(w)
    array([[0.51794159, 0.27501417]])
    """
    if f is None:
        return lambda g: checkpoint(g, policy=policy, memory_limit=memory_limit)
    if not callable(f):
        raise ArgumentError(f"checkpoint: {shown(f)} is not callable; give the function")
    choose = _chooser(policy, memory_limit)

    @functools.wraps(f)
    @boundary
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        begin = now()
        leaves, structure = flatten(f(*args, **kwargs))
        # What is older was no work of the function, and what has no derivative needs nothing of the inside for it.
        places = [
            i
            for i, leaf in enumerate(leaves)
            if isinstance(leaf, Tensor)
            and leaf._node.sequence > begin
            and leaf._node.inputs
            and leaf._node.aval.differentiable
        ]
        nodes = [leaves[i]._node for i in places]
        inside = [
            op for op in operations_since(nodes, begin, (), ops.entered) if not op.aval.parts and not op.aval.weak
        ]
        stored = choose(inside)
        if len(stored) < len(inside):
            for i, node in zip(places, recomputed_since(begin, nodes, stored), strict=True):
                leaves[i] = wrap(node)
        return unflatten(structure, iter(leaves))

    return checkpointed


# What is stored of operations.
Chooser = Callable[[Sequence[Operation]], list[Operation]]


def _chooser(policy: Any, memory_limit: Any) -> Chooser:
    if memory_limit is not None:
        limit = count(memory_limit, "checkpoint: memory_limit")
        if policy != "nothing_saveable":
            raise ArgumentError(
                f"checkpoint: policy={shown(policy)} and memory_limit={limit} both say what is stored; give one of them"
            )
        return functools.partial(_costliest, limit)
    if isinstance(policy, str) and policy in POLICIES:
        policy = POLICIES[policy]
    if not callable(policy):
        raise ArgumentError(
            f"checkpoint: policy={shown(policy)} must be one of {', '.join(map(repr, POLICIES))}, or a function of an "
            "Operation that returns whether its result is stored"
        )
    return lambda inside: [op for op in inside if policy(op)]


def _costliest(limit: int, inside: Sequence[Operation]) -> list[Operation]:
    """Results that take longest to compute for their size, as many as fit."""
    arrays = [(nbytes(op.aval), op) for op in inside if not op.signature.is_view]
    chosen = set()
    for size, op in sorted(arrays, key=lambda pair: -nanoseconds(pair[1].signature) / max(pair[0], 1)):
        if size <= limit:
            limit -= size
            chosen.add(op)
    return [op for op in inside if op in chosen]
