"""Derivatives as walks: from recorded nodes to those of products with their derivatives.

``outputs`` are what was recorded, ``inputs`` what derivatives are taken with respect to, ``given`` the vectors of a
product. What a transformation needs is one of these, or several in a row: all are nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import ops
from .batch import Batch
from .core.avals import Aval
from .differentiate import Forward, derivative, marked, reverse
from .nodes import Node, now
from .tracing import unknowns

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


def _pulled(outputs: Nodes, inputs: Nodes, cotangents: Nodes, apart: bool = False) -> list[Node]:
    return _or_zeros(reverse(outputs, cotangents, inputs, apart), inputs)


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


def mixed_slope(outputs: Nodes, inputs: Nodes, given: Nodes) -> list[Node]:
    """The derivative of the sum of one output by the first input, of the sum of that by the second, and so on."""
    begin = now()
    (current,) = outputs
    for x in inputs:
        (current,) = _slopes(current, [x])
    return _marked([current], begin)


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


# --- whole matrices --------------------------------------------------------------------------------------------------


def directions(aval: Aval) -> Node:
    """The directions along each element of an array: an identity matrix, its rows in the shape of the array."""
    return ops.reshape(ops.as_diagonal(ops.full((aval.size,), 1, aval.dtype)), (aval.size, *aval.shape))


def _rows(output: Node, inputs: Nodes, cotangents: Node) -> list[Node]:
    """For several cotangents of an output, along the first axis, the cotangents of inputs: a batch of reverse mode."""
    (one,) = unknowns([output.aval])
    return Batch(cotangents.aval.shape[0], {one: cotangents}).of_all(_pulled([output], inputs, [one]))


def _columns(outputs: Nodes, wrt: Node, tangents: Node) -> list[Node]:
    """For several tangents of an input, along the first axis, the tangents of outputs: a batch of forward mode."""
    (one,) = unknowns([wrt.aval])
    return Batch(tangents.aval.shape[0], {one: tangents}).of_all(_pushed(outputs, [wrt], [one]))


def _blocks_by_rows(outputs: Nodes, inputs: Nodes) -> list[Node]:
    blocks: list[Node] = []
    for y in outputs:
        if not y.aval.ndim:
            blocks += _slopes(y, inputs)
            continue
        found = _rows(y, inputs, directions(y.aval))
        blocks += [ops.reshape(rows, y.aval.shape + x.aval.shape) for rows, x in zip(found, inputs, strict=True)]
    return blocks


def _blocks_by_columns(outputs: Nodes, inputs: Nodes) -> list[Node]:
    by_input = []
    for x in inputs:
        if x.aval.ndim:
            found = _columns(outputs, x, directions(x.aval))
            by_input.append([_turned(c, x.aval, y.aval) for c, y in zip(found, outputs, strict=True)])
        else:
            by_input.append(_pushed(outputs, [x], [ops.ones_like(x)]))
    return [blocks[i] for i in range(len(outputs)) for blocks in by_input]


def _turned(columns: Node, x: Aval, y: Aval) -> Node:
    """Columns along the first axis as a block: the axes of the output, and then those of the input."""
    parts = ops.reshape(columns, x.shape + y.shape)
    return ops.transpose(parts, (*range(x.ndim, x.ndim + y.ndim), *range(x.ndim)))


def jacobian(outputs: Nodes, inputs: Nodes, given: Nodes, forward: bool) -> list[Node]:
    """For each output and each input the block of its derivatives, from one batch of forward or of reverse mode."""
    begin = now()
    return _marked((_blocks_by_columns if forward else _blocks_by_rows)(outputs, inputs), begin)


def hessian(outputs: Nodes, inputs: Nodes, given: Nodes) -> list[Node]:
    """For each output and each two inputs the block of second derivatives: forward over reverse mode."""
    begin = now()
    firsts = _blocks_by_rows(outputs, inputs)
    if all(not y.aval.ndim for y in outputs):
        # Columns are rows, since the matrix is symmetric: nothing has to be turned.
        return _marked(_symmetric_blocks(firsts, inputs), begin)
    return _marked(_blocks_by_columns(firsts, inputs), begin)


def _symmetric_blocks(slopes: Nodes, inputs: Nodes) -> list[Node]:
    """Blocks of second derivatives from slopes, which are those of several outputs one after another."""
    by_input = []
    for x in inputs:
        found = _columns(slopes, x, directions(x.aval))
        by_input.append([ops.reshape(c, x.aval.shape + s.aval.shape) for c, s in zip(found, slopes, strict=True)])
    n = len(inputs)
    # Of an output the derivative of each slope by x is that of the slope by x by each input.
    return [block for first in range(0, len(slopes), n or 1) for rows in by_input for block in rows[first : first + n]]


def jacobian_rows(outputs: Nodes, inputs: Nodes, given: Nodes) -> list[Node]:
    """For some cotangents of one output the rows of all blocks."""
    begin = now()
    return _marked(_rows(outputs[0], inputs, given[0]), begin)


def jacobian_columns(outputs: Nodes, inputs: Nodes, given: Nodes, which: int) -> list[Node]:
    """For some tangents of one input the columns of all blocks, along the first axis."""
    begin = now()
    return _marked(_columns(outputs, inputs[which], given[0]), begin)


def hessian_columns(outputs: Nodes, inputs: Nodes, given: Nodes, which: int) -> list[Node]:
    """For some tangents of one input the columns of all blocks of second derivatives, along the first axis."""
    begin = now()
    return _marked(_columns(_blocks_by_rows(outputs, inputs), inputs[which], given[0]), begin)


# --- compressed matrices ---------------------------------------------------------------------------------------------


def compressed_columns(outputs: Nodes, inputs: Nodes, given: Nodes, order: int) -> list[Node]:
    """For some tangents of all inputs together those of outputs, or of the first derivatives of their sums."""
    begin = now()
    if order > 1:
        outputs = [slope for y in outputs for slope in _slopes(y, inputs)]
    ones = unknowns([x.aval for x in inputs])
    pushed = _pushed(outputs, inputs, ones)
    return _marked(Batch(given[0].aval.shape[0], dict(zip(ones, given, strict=True))).of_all(pushed), begin)


def compressed_rows(outputs: Nodes, inputs: Nodes, given: Nodes, apart: bool) -> list[Node]:
    """For some cotangents of all outputs together those of inputs, which are variables of their own if ``apart``."""
    begin = now()
    ones = unknowns([y.aval for y in outputs])
    pulled = _pulled(outputs, inputs, ones, apart)
    return _marked(Batch(given[0].aval.shape[0], dict(zip(ones, given, strict=True))).of_all(pulled), begin)
