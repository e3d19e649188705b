"""From nodes to values: programs compiled for a backend, and the evaluation of a node that somebody looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .. import ops
from ..backend import Backend, Plan, get_backend
from ..errors import TraceError
from ..nodes import UNKNOWN, Node, freeze
from .cache import PlanCache
from .collect import Trace, collect
from .contract import contract_sums
from .program import Program, build, prune
from .simplify import simplify
from .specialize import Specialized

# Reductions of arrays this large are worth keeping when a node above them is evaluated.
LARGE = 1 << 14

evaluations = PlanCache(1024)


def compile_nodes(inputs: Sequence[Node], outputs: Iterable[Node], backend: Backend, derivatives: bool = False) -> Plan:
    """A plan from the values of ``inputs`` to those of ``outputs``: the passes, in their order.

    ``derivatives`` says that outputs are derivatives; where these choose between elements, those not chosen may
    be inf or NaN without a warning. A plan of derivatives is compiled for the index values it meets.
    """

    def finish(program: Program) -> Plan:
        program = contract_sums(prune(program))
        program.quiet = ops.masked_multiply in program.heads or (derivatives and ops.where_p in program.heads)
        return backend.compile(program)

    known = {i: x.value for i, x in enumerate(inputs) if x.aval.spec is not None and x.aval.literal is None}
    if derivatives and known:
        return Specialized(build(inputs, outputs), known, simplify, finish)
    return finish(build(inputs, outputs, simplify))


def expensive(node: Node) -> bool:
    """Whether a value is kept when something above it is looked at, rather than computed again."""
    signature = node.signature
    if signature is None:
        return False
    kind = signature.primitive.kind
    return kind == "contraction" or (kind == "reduction" and signature.inputs[0].size >= LARGE)


def _compile_evaluation(node: Node, trace: Trace, backend: Backend) -> tuple[Plan, list[int]]:
    kept = [n for n in trace.numbers if n is not node and n.value is None and n.inputs and expensive(n)]
    plan = compile_nodes(trace.leaves, [node, *kept], backend)
    return plan, [trace.numbers[n] for n in kept]


def evaluate(node: Node) -> Any:
    """The value of a node, computed now if it has none; it and expensive nodes below it keep their values."""
    if node.value is not None:
        return node.value
    backend = get_backend()
    trace = collect((node,))
    plan, kept = evaluations.get(trace.key, lambda: _compile_evaluation(node, trace, backend))
    values = plan(*trace.values())
    if kept:
        nodes = list(trace.numbers)
        for number, value in zip(kept, values[1:], strict=True):
            nodes[number].value = freeze(value)
    node.value = freeze(values[0])
    return node.value


def concrete(node: Node) -> Any:
    """The value of a node, or None while only structure is traced."""
    try:
        value = evaluate(node)
    except TraceError:
        return None
    return None if value is UNKNOWN else value
