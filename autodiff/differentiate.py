"""Reverse and forward mode, graph to graph: the walkers that apply the rule rows.

Un-broadcasting, casting to the input's dtype, projection to the reals and accumulation happen here and nowhere else.
Memory and time are linear in the graph, and nothing recurses over it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from . import ops
from .core.avals import Aval
from .core.primitives import Signature
from .errors import ArgumentError, shown
from .machine import memory_bytes
from .nodes import Node, Operation, by_sequence, operation, operations_since
from .noting import attribution
from .progress import beat, listeners
from .recipe import Recipes, Record, recorded
from .rules import TABLE, Via, irrelevant_extrema, sum_to
from .tracing import unknowns

# Orders that are nobody's mistake; how many more are foreseen; and of how many a polynomial may have, which then ends.
UNCHECKED_ORDERS, LOOKED_AHEAD, LONGEST_POLYNOMIAL = 4, 8, 256
# Of memory, with what compiling it takes (measured: 300 for the node, 700 while it is compiled).
BYTES_PER_OPERATION = 1000


def _passed(signature: Signature) -> tuple[int, ...]:
    """The arguments that a derivative could pass through."""
    found = signature.passed
    if found is None:
        found = ()
        if signature.out.differentiable:
            found = TABLE[signature.primitive].passed(signature)
        signature.passed = found
    return found


def passes(op: Node, position: int) -> bool:
    """Whether a derivative could pass through this argument."""
    return position in _passed(op.signature)  # type: ignore[arg-type]


def passes_wholly(op: Operation, positions: tuple[int, ...]) -> tuple[int, ...]:
    """The arguments through which a derivative passes, of those through which one could: a composition may end it."""
    rule = TABLE[op.signature.primitive]
    if not isinstance(rule, Via):
        return positions
    out, names = _composition(rule, op)
    return tuple([i for i in positions if out in active_operations([out], [names[i]])[1]])


# Operations, inputs first, and for each the inputs that a derivative passes through.
Flows = dict[Operation, tuple[int, ...]]


def active_operations(outputs: Sequence[Node], wrt: Sequence[Node], apart: bool = False) -> tuple[Flows, set[Node]]:
    """Operations between ``wrt`` and ``outputs``, and the set of all nodes that depend on ``wrt``.

    With ``apart`` each of ``wrt`` is a variable of its own, and what it is made of does not count.
    """
    floor = min([node.sequence for node in wrt], default=math.inf)
    active = set(wrt)
    flows: Flows = {}
    for op in operations_since(outputs, floor, wrt if apart else ()):
        inputs = op.inputs
        positions = tuple([i for i in _passed(op.signature) if inputs[i] in active])
        if positions:
            active.add(op)
            flows[op] = positions
    return flows, active


def _fit(ct: Node, x: Node) -> Node:
    """A cotangent brought to the shape and dtype of the input it belongs to."""
    if ct.aval.shape != x.aval.shape:
        ct = sum_to(ct, x.aval.shape)
    if ct.aval.dtype != x.aval.dtype:
        ct = ops.astype(ct, x.aval.dtype)  # complex to real takes the real part: the projection
    return ct


def reverse(
    outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node], apart: bool = False
) -> list[Node | None]:
    """Cotangents of ``wrt``, given those of ``outputs``; None where nothing depends on it.

    With ``apart`` none of ``wrt`` depends on another one, whatever it is made of.
    """
    flows, active = active_operations(outputs, wrt, apart)
    irrelevant = irrelevant_extrema(flows, lambda op: [op.inputs[i] for i in flows[op]], outputs)
    if irrelevant:
        active -= irrelevant
        flows = {op: tuple([i for i in flows[op] if op.inputs[i] not in irrelevant]) for op in flows}
    kept = set(wrt)
    # Cotangents (of several outputs a tuple, with None for zero), and whether all that they are sums of is zero for
    # elements that were not chosen.
    pending: dict[Node, tuple[Any, bool]] = {}
    for node, ct in zip(outputs, cotangents, strict=True):
        if node in active:
            pending[node] = (pending[node][0] + ct if node in pending else ct, False)
    results: dict[Node, Node] = {}
    attribute = attribution()
    while flows:
        if listeners:
            beat()
        op, positions = flows.popitem()
        found = pending.pop(op, None)
        if found is None:
            continue
        ct, mask = found
        if op in kept:
            results[op] = ct
        signature, inputs = op.signature, op.inputs
        primitive = signature.primitive
        if primitive is ops.part_p:
            (whole,) = inputs
            pending[whole] = (_with_part(pending.get(whole), op, ct), False)
            continue
        if primitive is ops.index and positions and len(inputs) == 2 and inputs[0] in pending:
            # What is for a part of an array is added to that part, with no zeros for the others.
            x, idx = inputs
            total, mask = pending[x]
            pending[x] = (ops.index_add(total, idx, ct), mask)
            if attribute:
                attribute(op, pending[x][:1])
            continue
        of_outputs = type(ct) is tuple
        known = tuple([one and one.aval for one in ct]) if of_outputs else ct.aval
        key = (signature, known, positions, mask)
        record = _pulls.get(key)
        if record is not None:
            pulled = record(*ct, op, *inputs) if of_outputs else record(ct, op, *inputs)
        else:
            pulled = _pull(ct, op, positions, mask)
            _pulls.met(key, _pull_recipe, *key)
        if attribute:
            attribute(op, pulled)
        mask = TABLE[primitive].masks or (mask and primitive.kind in ("elementwise", "view"))
        for i, contribution in zip(positions, pulled, strict=True):
            if contribution is not None:
                x = inputs[i]
                other = pending.get(x)
                if other is None:
                    pending[x] = (contribution, mask)
                else:
                    pending[x] = (_accumulated(other[0], contribution), other[1] and mask)
                    if attribute:
                        attribute(x if x.inputs else op, pending[x][:1])
    results.update({node: ct for node, (ct, _) in pending.items()})
    return [results.get(node) for node in wrt]


# What rules record depends on abstract values; a rule that was met this often is no longer asked.
RULES_ASKED = 8
_pulls, _pushes = Recipes(after=RULES_ASKED), Recipes(after=RULES_ASKED)


def _with_part(found: tuple[Any, bool] | None, op: Operation, ct: Node) -> tuple[Node | None, ...]:
    """The cotangents of several outputs, with one more for that which ``op`` takes."""
    (whole,) = op.inputs
    cotangents: list[Node | None] = [None] * len(whole.aval.parts) if found is None else list(found[0])
    index = op.params["index"]
    other = cotangents[index]
    cotangents[index] = ct if other is None else other + ct
    return tuple(cotangents)


def _pull(ct: Any, op: Operation, positions: Sequence[int], mask: bool) -> list[Node | None]:
    """The cotangents that an operation passes to its inputs at ``positions``."""
    rule = TABLE[op.signature.primitive]
    if isinstance(rule, Via):
        out, names = _composition(rule, op)
        pulled = reverse([out], [ct], [names[i] for i in positions])
    else:
        pulled = rule.pull(ct, op, positions, mask)
    return [None if v is None else _fit(v, op.inputs[i]) for i, v in zip(positions, pulled, strict=True)]


def _pull_recipe(signature: Signature, ct: Any, positions: tuple[int, ...], mask: bool) -> Record | None:
    inputs = unknowns(signature.inputs)
    op = operation(signature, tuple(inputs))
    cotangents = tuple([aval and unknowns([aval])[0] for aval in (ct if type(ct) is tuple else (ct,))])
    pulled = _pull(cotangents if type(ct) is tuple else cotangents[0], op, positions, mask)
    return recorded([*cotangents, op, *inputs], pulled)


def _accumulated(total: Node, contribution: Node) -> Node:
    """The sum of two cotangents; what is for a part of an array only is added to that part.

    Not where a place may be there twice: its parts are added up first.
    """
    for part, rest in ((total, contribution), (contribution, total)):
        if part.primitive is ops.index_add and len(part.inputs) == 3 and ops.is_zeros(part.inputs[0]):
            return operation(part.signature, (rest, *part.inputs[1:]))  # type: ignore[arg-type]
    return total + contribution


def _composition(rule: Via, op: Operation) -> tuple[Node, list[Node]]:
    """The equivalent composition of an operation on fresh names of its inputs, so that a walk ends at them."""
    names: list[Node] = [ops.identity(x) for x in op.inputs]
    return rule.composition(*names, **op.params), names


class Forward:
    """Forward mode for given tangents of nodes, remembering the tangent of every node it has met.

    Differentiating the derivative again walks only what is new, so that nested derivatives share their parts.
    """

    def __init__(self, given: Mapping[Node, Node]):
        # Of several outputs a tuple.
        self.tangents: dict[Node, Any] = dict(given)
        self._floor = min([node.sequence for node in given], default=math.inf)

    def __call__(self, output: Node) -> Node | None:
        """The tangent of ``output``; None if it does not depend on any of the nodes whose tangents are given."""
        tangents = self.tangents
        floor = self._floor
        stack = [output]
        fresh: list[Operation] = []
        while stack:
            node = stack.pop()
            if node not in tangents:
                tangents[node] = None
                if isinstance(node, Operation):
                    fresh.append(node)
                    inputs = node.inputs
                    # No further back than a derivative passes: a composition may hold its own primitive beyond.
                    stack += [inputs[i] for i in _passed(node.signature) if inputs[i].sequence > floor]
        fresh.sort(key=by_sequence)
        attribute = attribution()
        for op in fresh:
            if listeners:
                beat()
            signature, inputs = op.signature, op.inputs
            incoming = [tangents.get(inputs[i]) for i in _passed(signature)]
            if signature.primitive is ops.part_p:
                tangents[op] = incoming[0] and incoming[0][op.params["index"]] if incoming else None
                continue
            key = (signature, *[t and t.aval for t in incoming])
            record = _pushes.get(key)
            if record is not None:
                tangents[op] = record(op, *inputs, *incoming)
            else:
                tangents[op] = _push(op, incoming)
                _pushes.met(key, _push_recipe, *key)
            if attribute:
                attribute(op, (tangents[op],))
        found: Node | None = tangents[output]
        return found


def _push(op: Operation, incoming: Sequence[Node | None]) -> Any:
    """The tangent of an operation for those of the inputs that a derivative could pass through."""
    if incoming.count(None) == len(incoming):
        return None
    tangents: list[Node | None] = [None] * len(op.inputs)
    for i, t in zip(_passed(op.signature), incoming, strict=True):
        tangents[i] = t
    rule = TABLE[op.signature.primitive]
    if isinstance(rule, Via):
        out, names = _composition(rule, op)
        return _fitted(Forward({names[i]: t for i, t in enumerate(tangents) if t is not None})(out), op.aval)
    pushed = rule.push(op, tangents)
    if op.aval.parts:
        return tuple([_fitted(one, aval) for one, aval in zip(pushed, op.aval.parts, strict=True)])
    return _fitted(pushed, op.aval)


def _fitted(tangent: Node | None, aval: Aval) -> Node | None:
    """A tangent of the dtype and shape of what it belongs to."""
    if tangent is None:
        return None
    if tangent.aval.dtype != aval.dtype:
        tangent = ops.astype(tangent, aval.dtype)
    return ops.broadcast_to(tangent, aval.shape)


def _push_recipe(signature: Signature, *tangents: Aval | None) -> Record | None:
    inputs = unknowns(signature.inputs)
    incoming = [None if aval is None else unknowns([aval])[0] for aval in tangents]
    op = operation(signature, tuple(inputs))
    return recorded([op, *inputs, *incoming], _push(op, incoming))


def _elementwise_part(output: Node, wrt: Node) -> tuple[Node, Node] | None:
    """The pair (h, s) if ``output`` is a function of s = sum(h) or s = h, and h an elementwise function of ``wrt``.

    Elementwise: each element of h depends on the element of ``wrt`` at its place alone.
    """
    shape, dtype = wrt.aval.shape, wrt.aval.dtype
    if dtype.kind == "c":
        return None
    flows, active = active_operations([output], [wrt])
    if output not in active:
        return None
    operations = list(flows)
    for place, op in enumerate(operations):  # noqa: B007  (used after the loop)
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
        results = reverse([output], [ops.ones_like(output)], wrt)
        marked(results, output.sequence)
        return results
    results = []
    for x in wrt:
        current: Node | None = output
        forward = Forward({x: ops.ones_like(x)})
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
    marked(results, output.sequence)
    return results


def marked(results: Sequence[Node | None], begin: int) -> None:
    """Mark what differentiating has made as derivatives: all nodes that are younger than when it began.

    They are marked before anybody else sees them, and once for all: what is recorded with them keeps them as they are.
    """
    stack = [node for node in results if node is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if isinstance(node, Operation) and node.sequence > begin:
            node.signature = node.signature.derived
            for x in ops.entered(node):
                if x not in seen:
                    seen.add(x)
                    stack.append(x)


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
    if weight is None:
        return None
    attribute = attribution()
    found = _fit(tangent * weight, x)
    if attribute:
        attribute(inner, (found,))
    return found
