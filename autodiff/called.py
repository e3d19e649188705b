"""What is called when a plan runs: opaque functions and solvers, their derivatives, and a batch of their calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import ops
from .batch import Batch
from .core.avals import Aval, intern_aval
from .errors import MissingRuleError
from .memo import Memo
from .nodes import Node, Operation
from .tracing import unknowns


class Call(ABC):
    """A parameter of ``ops.call_p``: what runs, on arrays of the host, and how derivatives pass.

    Equal calls are one object, so that the structural key of a graph tells them apart.

    Attributes
    ----------
    outputs : tuple of Aval
        What is known of the results.
    name : str
        For messages, and for texts of programs.
    """

    __slots__ = ("__weakref__", "name", "outputs")

    name: str
    outputs: tuple[Aval, ...]

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def passes(self, position: int) -> bool:
        """Whether a derivative passes through this operand."""
        return True

    @abstractmethod
    def run(self, *values: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """The results, new arrays that have the avals of ``outputs``."""

    def pull(self, ct: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        """Cotangents of the operands at ``positions``, for those of the results."""
        raise MissingRuleError(f"{self.name} has no derivative: none was given, and nobody knows what it computes")

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Sequence[Node | None]:
        """Tangents of the results, for those of the operands."""
        raise MissingRuleError(f"{self.name} has no derivative: none was given, and nobody knows what it computes")

    def batched(self, batch: Batch, op: Operation) -> Node:
        """The operation for a whole batch: one call after another."""
        found = batch(op.inputs)
        along = tuple([node is not None for node in found])
        return ops.call_p(
            *[x if whole is None else whole for x, whole in zip(op.inputs, found, strict=True)],
            rule=Mapped.of(self, batch.size, along),
        )


_mapped: Memo[object, Mapped] = Memo(1 << 9)


class Mapped(Call):
    """A call for each element of a batch, one after another.

    Parameters
    ----------
    call : Call
        That of one element.
    size : int
        How many elements there are.
    along : tuple of bool
        Which operands have an axis of elements, their first one.
    """

    __slots__ = ("_along", "_call", "_size")

    def __init__(self, call: Call, size: int, along: tuple[bool, ...]):
        self.name = call.name
        self.outputs = tuple([intern_aval((size, *aval.shape), aval.dtype) for aval in call.outputs])
        self._call = call
        self._size = size
        self._along = along

    @classmethod
    def of(cls, call: Call, size: int, along: tuple[bool, ...]) -> Mapped:
        """The one with these."""
        key = (call, size, along)
        return _mapped.get(key) or _mapped.put(key, cls(*key))

    def passes(self, position: int) -> bool:
        return self._call.passes(position)

    def run(self, *values: Any) -> tuple[np.ndarray[Any, Any], ...]:
        results = tuple([np.empty(aval.shape, aval.dtype) for aval in self.outputs])
        for i in range(self._size):
            operands = [v[i] if along else v for v, along in zip(values, self._along, strict=True)]
            for result, part in zip(results, self._call.run(*operands), strict=True):
                result[i] = part
        return results

    def pull(self, ct: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        one, given = self._element(op)
        parts = []
        for whole, aval in zip(ct, self._call.outputs, strict=True):
            parts.append(None if whole is None else self._stand_in(whole, aval, given))
        found = self._whole(given, self._call.pull(parts, one, positions))
        # What all elements have in common gets the sum of their cotangents.
        pairs = zip(positions, found, strict=True)
        return [node if node is None or self._along[i] else ops.sum(node, (0,)) for i, node in pairs]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Sequence[Node | None]:
        one, given = self._element(op)
        parts = []
        for t, x, along in zip(tangents, one.inputs, self._along, strict=True):
            parts.append(self._stand_in(t, x.aval, given) if along and t is not None else t)
        return self._whole(given, self._call.push(one, parts))

    def _element(self, op: Operation) -> tuple[Operation, dict[Node, Node]]:
        """The call of one element, and what its operands and itself stand for."""
        given: dict[Node, Node] = {}
        operands = []
        for x, along in zip(op.inputs, self._along, strict=True):
            aval = intern_aval(x.aval.shape[1:], x.aval.dtype, place=x.aval.place) if along else x.aval
            operands.append(self._stand_in(x, aval, given) if along else x)
        one = ops.call_p(*operands, rule=self._call)
        given[one] = op
        return one, given

    def _stand_in(self, whole: Node, aval: Aval, given: dict[Node, Node]) -> Node:
        (one,) = unknowns([aval])
        given[one] = whole
        return one

    def _whole(self, given: dict[Node, Node], found: Sequence[Node | None]) -> list[Node | None]:
        """For what is made of one element what is made of all."""
        every = iter(Batch(self._size, given).of_all([node for node in found if node is not None]))
        return [None if node is None else next(every) for node in found]
