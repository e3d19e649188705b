"""Derivatives that somebody has written: linear maps as they were recorded, and the operation that has one.

A rule that gives cotangents, or tangents, is called once when the function is, with nodes of which nothing is known but
shapes and dtypes. What it records from these on is a *body*; what it takes beside is an input of the operation. So
nothing that a rule looks at outside of itself is remembered, and either mode is the other one transposed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from . import ops
from .batch import Batch
from .core.avals import Aval
from .differentiate import reverse
from .errors import DifferentiationError, MissingRuleError
from .memo import Memo
from .nodes import Node, Operation, Step, operations_since, record_steps
from .tracing import unknowns


class Body:
    """A linear map from what is given, which takes residuals beside.

    Parameters
    ----------
    given : tuple of Aval
    steps : tuple of Step
        Numbers count what is given, the residuals, and the steps.
    outputs : tuple of int or None
        None for what is zero.
    """

    __slots__ = ("_outputs", "_steps", "given")

    def __init__(self, given: tuple[Aval, ...], steps: tuple[Step, ...], outputs: tuple[int | None, ...]):
        self.given = given
        self._steps = steps
        self._outputs = outputs

    def record(self, given: Sequence[Node], residuals: Sequence[Node]) -> list[Node | None]:
        """What is made of these."""
        nodes = [*given, *residuals]
        record_steps(nodes, self._steps)
        return [None if i is None else nodes[i] for i in self._outputs]


_bodies: Memo[object, Body] = Memo(1 << 9)
_rules: Memo[object, Written] = Memo(1 << 9)


def body_of(given: Sequence[Node], found: Sequence[Node | None], what: str) -> tuple[Body, list[Node]]:
    """What was recorded between nodes, and the nodes that it takes beside; ``what`` is for an error."""
    inside = depending(given, [node for node in found if node is not None])
    outputs: list[Node | None] = []
    for i, node in enumerate(found):
        if node is not None and node not in inside and node not in given:
            if not ops.is_zeros(node):
                raise DifferentiationError(
                    f"{what}: part {i} of what the rule returned, {node.aval!r}, does not depend on what it was given; "
                    "a derivative is linear in that, and zero is None"
                )
            node = None
        outputs.append(node)
    return body_with(given, inside, outputs)


def body_with(
    given: Sequence[Node], inside: Collection[Operation], outputs: Sequence[Node | None]
) -> tuple[Body, list[Node]]:
    """Operations, inputs first, as a body, and the nodes beside those given that they or the outputs are made of."""
    numbers: dict[Node, int] = {node: i for i, node in enumerate(given)}
    made = set(inside)
    beside: dict[Node, int] = {}
    for x in [*[x for op in inside for x in op.inputs], *[x for x in outputs if x is not None]]:
        if x not in numbers and x not in made:
            beside.setdefault(x, len(given) + len(beside))
    numbers.update(beside)
    steps: list[Step] = []
    # (A node may be given twice.)
    for number, op in enumerate(inside, len(given) + len(beside)):
        steps.append((op.signature, tuple([numbers[x] for x in op.inputs])))
        numbers[op] = number
    found = tuple([None if node is None else numbers[node] for node in outputs])
    key = (tuple([node.aval for node in given]), tuple(steps), found)
    body = _bodies.get(key) or _bodies.put(key, Body(*key))
    return body, list(beside)


def depending(given: Sequence[Node], found: Sequence[Node]) -> dict[Operation, None]:
    """The operations on what is given, inputs first."""
    floor = min([node.sequence for node in given], default=0)
    inside: dict[Operation, None] = {}
    for op in operations_since(found, floor):
        if any(x in inside or x in given for x in op.inputs):
            inside[op] = None
    return inside


class Written:
    """The rule of one result: how cotangents are pulled to its arguments, and tangents pushed.

    Parameters
    ----------
    body : Body
        From cotangents of all results to those of all arguments; or from tangents of all arguments to all results.
    pushes : bool
        Whether it is of tangents.
    index : int
        Which result it is of.
    arguments : int
        How many arguments there are; operands after these are residuals.
    """

    __slots__ = ("_arguments", "_body", "_index", "_pushes")

    renews = False

    def __init__(self, body: Body, pushes: bool, index: int, arguments: int):
        self._body = body
        self._pushes = pushes
        self._index = index
        self._arguments = arguments

    def passes(self, position: int) -> bool:
        """Whether a derivative passes through this operand: it is an argument."""
        return 0 <= position < self._arguments

    def pull(self, ct: Node, operands: Sequence[Node]) -> list[Node | None]:
        """Cotangents of the operands."""
        residuals = operands[self._arguments :]
        found: list[Node | None]
        if self._pushes:
            names = unknowns(self._body.given)
            out = self._body.record(names, residuals)[self._index]
            found = [None] * len(names) if out is None else _transposed([out], [ct], names)
        else:
            found = self._body.record(self._only(ct), residuals)
        return [*found, *[None] * len(residuals)]

    def push(self, operands: Sequence[Node], tangents: Sequence[Node | None]) -> Node | None:
        """The tangent of the result."""
        residuals, own = operands[self._arguments :], tangents[: self._arguments]
        if all(t is None for t in own):
            return None
        if self._pushes:
            pairs = zip(own, self._body.given, strict=True)
            given = [ops.zeros(aval) if t is None else t for t, aval in pairs]
            return self._body.record(given, residuals)[self._index]
        names = unknowns(self._body.given)
        pairs_ = zip(self._body.record(names, residuals), own, strict=True)
        live = [(out, t) for out, t in pairs_ if out is not None and t is not None]
        return _transposed([out for out, _ in live], [t for _, t in live], [names[self._index]])[0]

    def _only(self, ct: Node) -> list[Node]:
        """The cotangents of all results, of which the others are zero."""
        given = [ops.zeros(aval) for aval in self._body.given]
        given[self._index] = ct
        return given

    def batched(self, batch: Batch, op: Operation) -> Node:
        """The operation for a whole batch."""
        out, *operands = op.inputs
        arguments, residuals = operands[: self._arguments], operands[self._arguments :]
        names = unknowns(self._body.given)
        wholes = unknowns([batch.aval_of_all(aval) for aval in self._body.given])
        found = self._body.record(names, residuals)
        live = [node for node in found if node is not None]
        every = iter(batch.with_stand_ins(dict(zip(names, wholes, strict=True))).of_all(live))
        body, beside = body_of(wholes, [None if node is None else next(every) for node in found], "vmap")
        return written(body, self._pushes, self._index, batch.of_all([out])[0], batch.of_all(arguments), beside)


def _transposed(outputs: Sequence[Node], vectors: Sequence[Node], names: Sequence[Node]) -> list[Node | None]:
    """The transpose of a linear map, from names to outputs, of vectors."""
    found = reverse(outputs, vectors, names)
    if depending(names, [node for node in found if node is not None]):
        raise DifferentiationError(
            "the rule of a custom_vjp or custom_jvp is not linear in what it is given (it clips it, for one), so it "
            "has no transpose: forward mode through custom_vjp, or reverse mode through custom_jvp"
        )
    return found


class Beyond:
    """The rule of a function that its own rule calls, and that rule again: from some order on there is none."""

    __slots__ = ("_message",)

    renews = False

    def __init__(self, message: str):
        self._message = message

    def passes(self, position: int) -> bool:
        """Whether a derivative passes through this operand: it would have to."""
        return position >= 0

    def pull(self, ct: Node, operands: Sequence[Node]) -> list[Node | None]:
        """An error."""
        raise MissingRuleError(self._message)

    def push(self, operands: Sequence[Node], tangents: Sequence[Node | None]) -> Node | None:
        """An error."""
        raise MissingRuleError(self._message)

    def batched(self, batch: Batch, op: Operation) -> Node:
        """The operation for a whole batch."""
        return ops.custom_p(*batch.of_all(op.inputs), rule=self)


def written(
    body: Body, pushes: bool, index: int, out: Node, arguments: Sequence[Node], residuals: Sequence[Node]
) -> Node:
    """A result that has a derivative of its own."""
    key = (body, pushes, index, len(arguments))
    rule = _rules.get(key) or _rules.put(key, Written(*key))
    return ops.custom_p(out, *arguments, *residuals, rule=rule)
