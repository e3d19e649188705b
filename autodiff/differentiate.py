"""Reverse and forward mode, graph to graph: the walkers that apply the rule rows.

Un-broadcasting, casting to the input's dtype, projection to the reals and accumulation happen here and nowhere else.
Memory and time are linear in the graph, and nothing recurses over it.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import ops
from .errors import ArgumentError, MissingRuleError, shown
from .machine import memory_bytes
from .nodes import Node, Operation, Primitive
from .rules import NONDIFFERENTIABLE, TABLE, ZERO, Via, irrelevant_extrema, sum_to, total

# Orders that are nobody's mistake; how many more are foreseen; and of how many a polynomial may have, which then ends.
UNCHECKED_ORDERS, LOOKED_AHEAD, LONGEST_POLYNOMIAL = 4, 8, 256
# Of memory, with what compiling it takes (measured: 300 for the node, 700 while it is compiled).
BYTES_PER_OPERATION = 1000


def _argument_rule(primitive: Primitive, position: int) -> bool:
    """Whether a derivative passes through this argument; an error if it should but has no rule."""
    rule = TABLE[primitive]
    argument = rule.argument(position)
    if callable(argument):
        return True
    if argument is ZERO or argument is NONDIFFERENTIABLE:
        return False
    raise MissingRuleError(
        f"{primitive.name} cannot be differentiated with respect to its argument {position}: {argument.reason}"
    )


def passes(op: Node, position: int) -> bool:
    """Whether a derivative could pass through this argument."""
    assert op.primitive is not None
    return TABLE[op.primitive].argument(position) not in (ZERO, NONDIFFERENTIABLE)


def _flow(op: Operation, active: set[Node]) -> list[int]:
    """The inputs of ``op`` that a derivative passes through."""
    if not op.aval.differentiable:
        return []
    assert op.signature is not None
    primitive = op.signature.primitive
    return [
        i for i, x in enumerate(op.inputs) if x in active and x.aval.differentiable and _argument_rule(primitive, i)
    ]


def active_operations(outputs: Sequence[Node], wrt: Sequence[Node]) -> tuple[list[Operation], set[Node]]:
    """Operations between ``wrt`` and ``outputs``, inputs first, and the set of all nodes that depend on ``wrt``."""
    floor = min(node.sequence for node in wrt)
    seen = set(outputs)
    stack = [node for node in outputs if node.sequence > floor]
    between: list[Operation] = []
    while stack:
        node = stack.pop()
        if node.inputs:
            between.append(node)  # type: ignore[arg-type]
            for x in node.inputs:
                if x.sequence >= floor and x not in seen:
                    seen.add(x)
                    stack.append(x)
    between.sort(key=lambda op: op.sequence)
    active = set(wrt)
    result = []
    for op in between:
        if _flow(op, active):
            active.add(op)
            result.append(op)
    return result, active


def _fit(ct: Node, x: Node) -> Node:
    """A cotangent brought to the shape and dtype of the input it belongs to."""
    if ct.aval.shape != x.aval.shape:
        ct = sum_to(ct, x.aval.shape)
    if ct.aval.dtype != x.aval.dtype:
        ct = ops.astype(ct, x.aval.dtype)  # complex to real takes the real part: the projection
    return ct


def reverse(outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]) -> list[Node | None]:
    """Cotangents of ``wrt``, given those of ``outputs``; None where nothing depends on it."""
    operations, active = active_operations(outputs, wrt)
    active -= irrelevant_extrema(operations, lambda op: [op.inputs[i] for i in _flow(op, active)], outputs)
    pending: dict[Node, Node] = {}
    # Nodes all of whose cotangent contributions are zero for elements that were not chosen.
    masked: dict[Node, bool] = {}
    for node, ct in zip(outputs, cotangents, strict=True):
        if node in active:
            pending[node] = pending[node] + ct if node in pending else ct
            masked[node] = False
    kept = set(wrt)
    results: dict[Node, Node] = {}
    for op in reversed(operations):
        if op not in pending:
            continue
        ct = pending.pop(op)
        if op in kept:
            results[op] = ct
        mask = masked[op]
        assert op.signature is not None
        rule = TABLE[op.signature.primitive]
        positions = _flow(op, active)
        if isinstance(rule, Via):
            pulled = _reverse_composition(rule, op, ct, positions)
        else:
            pulled = [rule.pull(ct, op, i, mask) for i in positions]
        mask = rule.masks or (mask and op.signature.primitive.kind in ("elementwise", "view"))
        for i, contribution in zip(positions, pulled, strict=True):
            if contribution is not None:
                x = op.inputs[i]
                contribution = _fit(contribution, x)
                if x in pending:
                    pending[x] = pending[x] + contribution
                    masked[x] = masked[x] and mask
                else:
                    pending[x] = contribution
                    masked[x] = mask
    return [results.get(node, pending.get(node)) for node in wrt]


def _composition(rule: Via, op: Operation) -> tuple[Node, list[Node]]:
    """The equivalent composition of an operation on fresh names of its inputs, so that a walk ends at them."""
    names: list[Node] = [ops.identity(x) for x in op.inputs]
    return rule.composition(*names, **op.params), names


def _reverse_composition(rule: Via, op: Operation, ct: Node, positions: list[int]) -> list[Node | None]:
    out, names = _composition(rule, op)
    return reverse([out], [ct], [names[i] for i in positions])


class Forward:
    """Forward mode with respect to one node, remembering the tangent of every node it has met.

    Differentiating the derivative again walks only what is new, so that nested derivatives share their parts.
    """

    def __init__(self, wrt: Node, tangent: Node):
        self.wrt = wrt
        self.tangents: dict[Node, Node | None] = {wrt: tangent}

    def __call__(self, output: Node) -> Node | None:
        """The tangent of ``output``; None if it does not depend on ``wrt``."""
        tangents = self.tangents
        floor = self.wrt.sequence
        stack = [output]
        fresh: dict[Node, None] = {}
        while stack:
            node = stack.pop()
            if node not in tangents and node not in fresh:
                fresh[node] = None
                # No further back than a derivative passes: a composition may hold its own primitive beyond.
                stack.extend([x for i, x in enumerate(node.inputs) if x.sequence > floor and passes(node, i)])
        for node in sorted(fresh, key=lambda n: n.sequence):
            tangents[node] = self._tangent(node) if isinstance(node, Operation) else None
        return tangents[output]

    def _tangent(self, op: Operation) -> Node | None:
        tangents = self.tangents
        positions = _flow(op, {x for x in op.inputs if tangents.get(x) is not None})
        if not positions:
            return None
        assert op.signature is not None
        rule = TABLE[op.signature.primitive]
        incoming = [tangents[x] if i in positions else None for i, x in enumerate(op.inputs)]
        if isinstance(rule, Via):
            out, names = _composition(rule, op)
            pushed = total([Forward(names[i], t)(out) for i, t in enumerate(incoming) if t is not None])
        else:
            pushed = rule.push(op, incoming)
        if pushed is None:
            return None
        if pushed.aval.dtype != op.aval.dtype:
            pushed = ops.astype(pushed, op.aval.dtype)
        return ops.broadcast_to(pushed, op.aval.shape)


def _elementwise_part(output: Node, wrt: Node) -> tuple[Node, Node] | None:
    """The pair (h, s) if ``output`` is a function of s = sum(h) or s = h, and h an elementwise function of ``wrt``.

    Elementwise: each element of h depends on the element of ``wrt`` at its place alone.
    """
    shape, dtype = wrt.aval.shape, wrt.aval.dtype
    if dtype.kind == "c":
        return None
    operations, active = active_operations([output], [wrt])
    if output not in active:
        return None
    for place, op in enumerate(operations):  # noqa: B007  (used after the loop)
        assert op.signature is not None
        if op.signature.primitive.kind != "elementwise" or op.aval.shape != shape or op.aval.dtype != dtype:
            break
    else:
        return output, output
    if op.signature.primitive is not ops.sum_p or op.aval.shape != () or op.inputs[0].aval.shape != shape:
        return None
    # All that follows must reach ``wrt`` through this sum.
    after = {op, *operations[place + 1 :]}
    if any(x in active and x not in after for later in operations[place + 1 :] for x in later.inputs):
        return None
    return op.inputs[0], op


def derivative(output: Node, wrt: Sequence[Node], order: int) -> list[Node | None]:
    """For each of ``wrt`` the derivative of that order: each time of the sum of the previous one.

    One reverse sweep gives the first derivatives with respect to several nodes. The derivative of an
    elementwise function, or of its sum, is taken in forward mode: it needs no values from a forward sweep kept,
    and parts of lower orders are shared with higher ones. All others are repeated reverse sweeps.
    """
    if order == 1 and len(wrt) > 1:
        return _derived(reverse([output], [ops.ones_like(output)], wrt), output)
    results: list[Node | None] = []
    for x in wrt:
        current: Node | None = output
        forward = Forward(x, ops.ones_like(x))
        begin = before = ops.ones_like(x).sequence
        growth = 0
        for n in range(1, order + 1):
            current = None if current is None else _next_order(current, x, forward)
            if current is None:
                break
            if n < order and n > UNCHECKED_ORDERS:
                now = current.sequence
                _check_growth(n, order, now - begin, now - before, growth)
                before, growth = now, now - before
        results.append(current)
    return _derived(results, output)


def _derived(results: list[Node | None], output: Node) -> list[Node | None]:
    """The same nodes, those that differentiating has made marked as derivatives: all that are younger than ``output``.

    They are marked before anybody else sees them, and once for all: what is recorded with them keeps them as they are.
    """
    stack = [node for node in results if node is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node.signature is not None and node.sequence > output.sequence:
            node.signature = node.signature.derived
            for x in node.inputs:
                if x not in seen:
                    seen.add(x)
                    stack.append(x)
    return results


def _check_growth(n: int, order: int, recorded: int, last: int, previous: int) -> None:
    """Raise an error if the orders that remain are more than fits into memory.

    Parameters
    ----------
    n, order : int
        How many orders there are, and how many there are to be.
    recorded, last, previous : int
        Operations recorded for all of them, for the last and for the one before.
    """
    left = order - n
    # Nested functions double at each order. A polynomial ends, so nobody looks far ahead at once.
    ratio = min(max(last / previous, 1.0), 2.0) if previous else 1.0
    expected = recorded + last * ratio ** min(left, LOOKED_AHEAD)
    if n >= LONGEST_POLYNOMIAL:
        # What has grown so long goes on: the difference of two orders never gets less.
        expected = max(expected, recorded + last * left)
    if expected * BYTES_PER_OPERATION > memory_bytes() / 2:
        raise ArgumentError(
            f"the derivative of order n={shown(order)} does not fit into memory: up to order {n} it has {recorded} "
            f"operations, {last} of them in the last order; ask for a lower order"
        )


def _next_order(current: Node, x: Node, forward: Forward) -> Node | None:
    part = _elementwise_part(current, x)
    if part is None:
        return reverse([current], [ops.ones_like(current)], [x])[0]
    inner, total_of = part
    tangent = forward(inner)
    if tangent is None or current is total_of:
        # The sum of a 0-d function is the function; that of a larger one has been summed for this reason.
        return tangent
    weight = reverse([current], [ops.ones_like(current)], [total_of])[0]
    return None if weight is None else _fit(tangent * weight, x)
