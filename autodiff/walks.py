"""Derivatives as walks: from recorded nodes to those of products with their derivatives.

``outputs`` are what was recorded, ``inputs`` what derivatives are taken with respect to, ``given`` the vectors of a
product. What a transformation needs is one of these, or several in a row: all are nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import ops
from .differentiate import Forward, derivative, marked, reverse
from .nodes import Node, now

Nodes = Sequence[Node]


def _or_zeros(found: Sequence[Node | None], like: Nodes) -> list[Node]:
    """What was found, and zeros where there is no connection."""
    return [ops.zeros_like(x) if node is None else node for node, x in zip(found, like, strict=True)]


def _pushed(outputs: Nodes, inputs: Nodes, tangents: Nodes) -> list[Node]:
    given: dict[Node, Node] = {}
    for x, t in zip(inputs, tangents, strict=True):
        given[x] = given[x] + t if x in given else t
    forward = Forward(given)
    return _or_zeros([forward(y) for y in outputs], outputs)


def _pulled(outputs: Nodes, inputs: Nodes, cotangents: Nodes) -> list[Node]:
    return _or_zeros(reverse(outputs, cotangents, inputs), inputs)


def _slopes(output: Node, inputs: Nodes) -> list[Node]:
    return _pulled([output], inputs, [ops.ones_like(output)])


def _marked(found: list[Node], begin: int) -> list[Node]:
    marked(found, begin)
    return found


def push(outputs: Nodes, inputs: Nodes, given: Nodes) -> list[Node]:
    """The tangents of outputs for those of inputs: forward mode."""
    begin = now()
    return _marked(_pushed(outputs, inputs, given), begin)


def pull(outputs: Nodes, inputs: Nodes, given: Nodes) -> list[Node]:
    """The cotangents of inputs for those of outputs: reverse mode."""
    begin = now()
    return _marked(_pulled(outputs, inputs, given), begin)


def slopes(outputs: Nodes, inputs: Nodes, given: Nodes, order: int = 1) -> list[Node]:
    """The derivatives of an order of the sum of one output; each order is that of the sum of the one before."""
    (output,) = outputs
    return _or_zeros(derivative(output, inputs, order), inputs)


def hessian_product(outputs: Nodes, inputs: Nodes, given: Nodes) -> list[Node]:
    """The Hessian of the sum of one output times what is given: forward over reverse mode."""
    begin = now()
    (output,) = outputs
    return _marked(_pushed(_slopes(output, inputs), inputs, given), begin)


def product_hessian(outputs: Nodes, inputs: Nodes, given: Nodes) -> list[Node]:
    """What is given times the Hessian of the sum of one output: reverse over reverse mode."""
    begin = now()
    (output,) = outputs
    return _marked(_pulled(_slopes(output, inputs), inputs, given), begin)


def gauss_newton_product(outputs: Nodes, inputs: Nodes, given: Nodes, count: int) -> list[Node]:
    """The Jacobian transposed, the Hessian of the last output, the Jacobian, and what is given: their product.

    Of the inputs ``count`` are those of a model; the others stand for its results, of which the last output is made.
    """
    begin = now()
    *results, loss = outputs
    variables, stand_ins = inputs[:count], inputs[count:]
    tangents = _pushed(results, variables, given)
    curved = _pushed(_slopes(loss, stand_ins), stand_ins, tangents)
    return _marked(_pulled(results, variables, curved), begin)
