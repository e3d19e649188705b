"""Functions whose batches are made by a rule that somebody has written: ``custom_batch``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from .. import ops
from ..batch import Batch
from ..containers import Structure, flatten, unflatten
from ..errors import ArgumentError, ShapeError, shown
from ..memo import Memo
from ..nodes import Node, Operation, now
from ..static_keys import static_key
from ..tensor import Tensor, wrap
from ..tracebacks import boundaries, boundary
from ..unrecorded import recorded
from ..vectors import alike, drawn
from .calls import Results
from .custom import OPERAND, _Custom

P = ParamSpec("P")
T = TypeVar("T")

# Structures of arguments that are known of one function.
RULES_KEPT = 1 << 8


class _Rule:
    """The rule of one result: how a batch of it is made."""

    __slots__ = ("_batch", "_index", "_leaves", "_structure")

    def __init__(self, batch: Callable[..., Any], leaves: Sequence[Any], structure: Structure, index: int):
        self._batch = batch
        # The leaves of the arguments, with OPERAND in the places of Tensors.
        self._leaves = leaves
        self._structure = structure
        self._index = index

    def batched(self, batch: Batch, op: Operation) -> Node:
        """The result of all elements."""
        out, *operands = op.inputs
        rest = iter(zip(operands, batch(operands), strict=True))
        leaves: list[Any] = []
        along: list[bool] = []
        for leaf in self._leaves:
            node, whole = next(rest) if leaf is OPERAND else (None, None)
            leaves.append(leaf if node is None else wrap(node if whole is None else whole))
            along.append(whole is not None)
        args = unflatten(self._structure, iter(leaves))
        found = recorded(self._batch, batch.size, unflatten(self._structure, iter(along)), args)[self._index]
        wanted = batch.aval_of_all(out.aval)
        if found.aval.shape != wanted.shape:
            raise ShapeError(
                f"custom_batch: result {self._index} of the rule is {found.aval!r}, but for {batch.size} elements it "
                f"must be {wanted!r}"
            )
        return ops.astype(found, wanted.dtype)


@boundaries
class CustomBatch(_Custom[P, T]):
    """A function with a rule for its batches. Made by ``custom_batch``.

    Parameters
    ----------
    function : callable
        What is computed for one element.

    Examples
    --------
    >>> import autodiff as ad
    >>> @ad.custom_batch
    ... def double(x):
    ...     return 2 * x
    >>> isinstance(double, ad.CustomBatch), double(3.0)
    (True, 6.0)
    """

    _name = "custom_batch"
    _hint = "defbatch(rule)"

    def __init__(self, function: Callable[P, T]):
        super().__init__(function)
        self._rules: Memo[Any, _Rule] = Memo(RULES_KEPT)

    def defbatch(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Say how a batch is computed.

        Parameters
        ----------
        rule : callable
            Takes the number of elements; the arguments with True for each array that has an axis of elements, its
            first one; and the arguments. Returns what the function returns, with such an axis for each array.

        Returns
        -------
        callable
            The rule, so that this can be a decorator.

        Raises
        ------
        ArgumentError
            If it is not callable.
        """
        if not callable(rule):
            raise ArgumentError(f"custom_batch: the rule {shown(rule)} of {self._title} is not callable")
        self._rule = rule
        self._rules.clear()
        return rule

    def _recorded(self, leaves: list[Any], structure: Structure) -> Any:
        named, _, begin = self._named(leaves)
        own = [leaf._node for leaf in named if isinstance(leaf, Tensor)]
        out = self._function(*unflatten(structure, iter(named)))
        results = Results(out, f"custom_batch: {self._title}")
        self._check_closed(results.nodes, own, begin)
        kept = [OPERAND if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        nodes = []
        for i, node in enumerate(results.nodes):
            key = (structure, tuple([static_key(leaf) for leaf in kept]), results.structure, i)
            rule = self._rules.get(key)
            if rule is None:
                rule = self._rules.put(key, _Rule(self._batches(results.structure), kept, structure, i))
            nodes.append(ops.batched_p(node, *own, rule=rule))
        return results.rebuilt([wrap(node) for node in nodes])

    def _batches(self, expected: Structure) -> Callable[..., list[Node]]:
        """A function of the size, of what has an axis of elements, and of the arguments."""
        assert self._rule is not None
        return functools.partial(self._batched, self._rule, expected)

    def _batched(
        self, rule: Callable[..., Any], expected: Structure, size: int, along: tuple[Any, ...], args: tuple[Any, ...]
    ) -> list[Node]:
        begin = now()
        out = rule(size, along, *args)
        what = f"custom_batch: the rule of {self._title}"
        results = Results(out, what)
        if not alike(results.structure, expected):
            raise ArgumentError(
                f"{what} must return what the function does, {drawn(expected)}, not {drawn(results.structure)}"
            )
        own = [leaf._node for leaf in flatten(args)[0] if isinstance(leaf, Tensor)]
        self._check_closed(results.nodes, own, begin)
        return results.nodes


@boundary
def custom_batch(function: Callable[P, T]) -> CustomBatch[P, T]:
    """A function whose batches, in ``vmap``, are made by a rule, and not by what it records for one element.

    Parameters
    ----------
    function : callable
        Written with NumPy, or a ``primitive``; takes arguments by position.

    Returns
    -------
    CustomBatch
        Called as the function is. Its method ``defbatch(rule)`` takes the rule.

    Raises
    ------
    ArgumentError
        If it is not callable; when called, if it has no rule yet, or the rule returns another structure.
    DifferentiationError
        When called, if it uses a Tensor that is no argument.
    ShapeError
        In ``vmap``, if the rule returns another shape.

    Notes
    -----
    The derivative is that of the function, or of its own rule. That of a batch in ``vmap`` is that of what the rule
    computes; what is differentiated first, and then batched, takes values from the rule.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> @ad.custom_batch
    ... def total(x):
    ...     return np.sum(x)
    >>> @total.defbatch
    ... def rule(size, batched, x):
    ...     return np.sum(x, axis=1)
    >>> ad.vmap(total)(np.ones((2, 3)))
    array([3., 3.])
    """
    return CustomBatch(function)
