"""Bodies: what a function recorded, as structure. Loops repeat one, and branches choose between several.

A body has no nodes and none of the user's data: arrays and Tensors that a function takes from outside of itself are
inputs of its body. Equal bodies are one object, so a loop that is recorded again is the same operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..backend import Backend, Plan
from ..core.avals import Aval
from ..core.primitives import Primitive
from ..memo import Interned
from ..nodes import Constant, Node, Operation, Step, operations_since, record_steps
from ..plan import build, compile_nodes
from ..static_keys import static_key
from ..tracing import unknowns

BODIES_KEPT = 1 << 10

# Longer bodies are not written out for people to read.
LONGEST_SHOWN = 200


class Body:
    """Steps from inputs to outputs. Interned, compared by identity.

    Parameters
    ----------
    inputs : tuple of Aval
    constants : tuple of (Aval, object)
        What is part of the structure: numbers, indices, arrays that rules made.
    steps : tuple of Step
        Numbers count the inputs, the constants, and the steps.
    outputs : tuple of int
    avals : tuple of Aval
        Of the outputs.
    """

    __slots__ = ("__weakref__", "_plans", "avals", "constants", "inputs", "known", "outputs", "steps")

    def __init__(
        self,
        inputs: tuple[Aval, ...],
        constants: tuple[tuple[Aval, Any], ...],
        steps: tuple[Step, ...],
        outputs: tuple[int, ...],
        avals: tuple[Aval, ...],
    ):
        self.inputs = inputs
        self.constants = constants
        self.steps = steps
        self.outputs = outputs
        self.avals = avals
        # What was derived from it: each is made once.
        self.known: dict[Any, Any] = {}
        self._plans: dict[Backend, Plan] = {}

    def record(self, given: Sequence[Node]) -> list[Node]:
        """What is made of these."""
        nodes = [*given, *[Constant(aval, value) for aval, value in self.constants]]
        record_steps(nodes, self.steps)
        return [nodes[i] for i in self.outputs]

    def names(self) -> tuple[list[Node], list[Node]]:
        """Nodes that stand for the inputs, and what is made of these."""
        given = unknowns(self.inputs)
        return given, self.record(given)

    @property
    def direct(self) -> list[int | None]:
        """For each output the input that it is; None if it is computed."""
        count = len(self.inputs)
        return [i if i < count else None for i in self.outputs]

    def plan(self, backend: Backend) -> Plan:
        """What computes the outputs that are no inputs, on a backend; compiled once."""
        found = self._plans.get(backend)
        if found is None:
            given, outputs = self.names()
            inside = set(given)
            derived = any(signature.is_derived for signature, _ in self.steps)
            made = [node for node in dict.fromkeys(outputs) if node not in inside]
            # Two threads may compile it; one of the plans stays.
            found = self._plans.setdefault(backend, compile_nodes(given, made, backend, derivatives=derived))
        return found

    @property
    def n_operations(self) -> int:
        """Primitives that it applies."""
        return len(self.steps)

    def __str__(self) -> str:
        if len(self.steps) > LONGEST_SHOWN:
            return repr(self)
        given, outputs = self.names()
        return str(build(given, outputs))

    def __repr__(self) -> str:
        return f"<body of {len(self.steps)} operations from {list(self.inputs)} to {list(self.avals)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        steps = [(s.primitive, s.inputs, s.params, s.is_derived, arguments) for s, arguments in self.steps]
        return _restored, (self.inputs, self.constants, steps, self.outputs, self.avals)


_bodies: Interned[Any, Body] = Interned(BODIES_KEPT)


def _interned(
    inputs: tuple[Aval, ...],
    constants: tuple[tuple[Aval, Any], ...],
    steps: tuple[Step, ...],
    outputs: tuple[int, ...],
    avals: tuple[Aval, ...],
) -> Body:
    key = (inputs, tuple([(aval, static_key(value)) for aval, value in constants]), steps, outputs)
    return _bodies.get(key) or _bodies.put(key, Body(inputs, constants, steps, outputs, avals))


def _restored(
    inputs: tuple[Aval, ...],
    constants: tuple[tuple[Aval, Any], ...],
    steps: Iterable[tuple[Primitive, tuple[Aval, ...], tuple[Any, ...], bool, tuple[int, ...]]],
    outputs: tuple[int, ...],
    avals: tuple[Aval, ...],
) -> Body:
    made = []
    for primitive, operands, params, is_derived, arguments in steps:
        signature = primitive.signature(operands, params)
        made.append((signature.derived if is_derived else signature, arguments))
    return _interned(inputs, constants, tuple(made), outputs, avals)


def _belongs(node: Node, closed: bool) -> bool:
    """Whether a leaf is part of the structure; of a body that is ``closed`` all are that no Tensor stands for."""
    if not isinstance(node, Constant):
        return False
    return node.aval.literal is not None or node.aval.spec is not None or (closed and node.slot is None)


def beside(
    given: Iterable[Node], found: Sequence[Node], inside: Iterable[Operation], closed: bool = False
) -> list[Node]:
    """What operations take, and what is found, that is not given and no part of the structure."""
    own = {*given, *inside}
    taken = dict.fromkeys([*[x for op in inside for x in op.inputs], *found])
    return [x for x in taken if x not in own and not _belongs(x, closed)]


def body_of(given: Sequence[Node], found: Sequence[Node], inside: Iterable[Operation] | None = None) -> Body:
    """The body from nodes to nodes.

    ``inside`` has the operations that belong to it, in order; by default all of which ``found`` is made, from what is
    given on: nothing is taken beside, but what rules made.
    """
    inside = operations_since(found, -1, given) if inside is None else [*inside]
    numbers: dict[Node, int] = {}
    for i, node in enumerate(given):
        numbers.setdefault(node, i)
    own = {*numbers, *inside}
    constants = [x for x in dict.fromkeys([*[x for op in inside for x in op.inputs], *found]) if x not in own]
    assert all(_belongs(x, True) for x in constants), "a body takes what it is not given"
    numbers |= {x: place for place, x in enumerate([*constants, *inside], len(given))}
    return _interned(
        tuple([x.aval for x in given]),
        tuple([(x.aval, x.value) for x in constants]),
        tuple([(op.signature, tuple([numbers[x] for x in op.inputs])) for op in inside]),
        tuple([numbers[x] for x in found]),
        tuple([x.aval for x in found]),
    )


def derived(body: Body, key: Any, make: Callable[[], Any]) -> Any:
    """What was derived from a body under a key, made once."""
    found = body.known.get(key)
    if found is None:
        found = body.known.setdefault(key, make())
    return found
