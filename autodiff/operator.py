"""Primitives that record."""

from __future__ import annotations

from typing import Any, final

from .convert import as_node
from .core.avals import Aval, intern_aval
from .core.primitives import Primitive
from .nodes import Node, Operation, operation


def infer_like(primitive: Primitive, x: Aval, *others: Aval, **params: Any) -> Aval:
    """A result of the shape and dtype of the first operand, for cards."""
    return intern_aval(x.shape, x.dtype)


@final
class Operator(Primitive):
    """A primitive that can be called: with nodes, or what becomes one, it records an Operation."""

    __slots__ = ()

    def __call__(self, *inputs: Any, **params: Any) -> Operation:
        nodes = tuple([x if isinstance(x, Node) else as_node(x) for x in inputs])
        key = tuple([x.aval for x in nodes])
        if self.params:
            values = tuple([params[name] for name in self.params])
            return operation(self.signatures.get(key + values) or self.signature(key, values), nodes)
        return operation(self.signatures.get(key) or self.signature(key), nodes)
