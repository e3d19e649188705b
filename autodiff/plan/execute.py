"""From nodes to values: programs compiled for a backend, and the evaluation of a node that somebody looks at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..backend import Backend, Plan
from ..core.avals import LINE
from ..core.parameters import Own
from ..core.program import Program, prune, rebuild
from ..errors import TraceError
from ..nodes import Node, Unknown, freeze, is_fixed, operations_since
from ..noting import search
from ..places import bring_leaves, brought, elsewhere
from ..progress import stage
from ..registry import computing, get_backend
from ..watching import is_tracing, note_look, present_value
from ..whole import silent
from .build import below, build, transcribe
from .cache import PlanCache
from .collect import Collected, collect
from .contract import contract_sums
from .costs import nanoseconds
from .covered import covered, thinned
from .diagonals import without_zeros
from .expand import expand, expand_as_recorded
from .limited import limited
from .ranges import checked
from .searching import Searching
from .simplify import simplify
from .specialize import Make, Specialized
from .tiers import Tiered
from .vectors import with_vectors
from .watch import Watched, folded

# Reductions of arrays this large are worth keeping when a node above them is evaluated.
LARGE = 1 << 14

evaluations = PlanCache(1024)

# Longer programs are computed as they were recorded, at first: simplifying them and making source takes 25 us a node or
# more, as long as thirty calls. A gradient of 100 operations is there in 3 ms so, and would be in 15.
LONGEST_SIMPLIFIED = 200

# Walks to a value that are shorter keep nothing on their way. Longer ones keep a state, of this many bytes for each of
# their nodes, so that what is kept takes no more than a few times the memory of the nodes; and of any size when they
# are as long as the last figure.
SHORTEST_WALK = 8
BYTES_A_NODE = 1 << 12
LONGEST_WALK = 64


def compile_nodes(
    inputs: Sequence[Node],
    outputs: Iterable[Node],
    backend: Backend,
    derivatives: bool = False,
    *,
    asked: int | None = None,
    memory_limit: int | None = None,
    tracked: bool = False,
) -> Plan:
    """A plan from the values of ``inputs`` to those of ``outputs``: the passes, in their order.

    ``derivatives`` says that outputs are derivatives; where these choose between elements, those not chosen may
    be inf or NaN without a warning. A plan of derivatives is compiled for the index values it meets. ``asked`` says
    how many of the outputs are results, if others are kept for later. ``memory_limit`` is how many bytes it may hold;
    what answers until it is made would not keep to that, so nothing does. ``tracked`` says that programs are to know
    the nodes that their values come from.
    """
    stage("compiling")
    outputs = tuple(outputs)
    if search():
        return Searching(inputs, outputs, backend, lambda: compile_nodes(inputs, outputs, backend, derivatives), asked)

    def chooses(program: Program) -> bool:
        return ops.masked_multiply in program.heads or (derivatives and ops.where_p in program.heads)

    def compiled(program: Program) -> Plan:
        return backend.compile(program) if memory_limit is None else limited(program, backend.steady, memory_limit)

    def finish(program: Program) -> Plan:
        program = without_zeros(thinned(covered(prune(program))))
        program = contract_sums(with_vectors(expand(program, backend.primitives)))
        program.quiet = chooses(program)
        plan = checked(program, backend, compiled)
        assert plan is not None
        return plan

    def interpret(program: Program) -> Plan | None:
        if memory_limit is not None:
            return None
        program = expand_as_recorded(program, backend.primitives)
        program.quiet = chooses(program)
        return checked(program, backend, backend.interpret)

    def planned(make: Make) -> Plan:
        # Looking at a value makes a device wait, and a lazy library compute.
        if backend.home is not get_backend():
            return finish(make(False))
        program = make(True)
        live = set(program.live())
        witnesses = tuple([number for number in dict.fromkeys(program.witnesses or ()) if number in live])
        if not witnesses:
            return finish(program)
        count = len(program.outputs)
        program.outputs += folded(program, witnesses)
        return Watched(finish(program), count, make(False), finish)

    def better(program: Program) -> Plan:
        if derivatives and known:
            return Specialized(program, known, simplify, planned, interpret)
        return planned(lambda watched: rebuild(program, simplify, {}, watched))

    known = {
        i: x.value
        for i, x in enumerate(inputs)
        if x.aval.spec is not None and x.aval.literal is None and x.aval is not LINE and not x.aval.parts
    }
    nodes = below(inputs, outputs)
    if len(nodes) > LONGEST_SIMPLIFIED and not tracked:
        program = transcribe(inputs, outputs, nodes)
        plan = interpret(program)
        if plan is not None:
            return Tiered(plan, lambda: better(program), "compiling a long plan")
    if derivatives and known:
        return better(build(inputs, outputs, nodes=nodes, tracked=tracked))
    return planned(lambda watched: build(inputs, outputs, simplify, watched, nodes, tracked))


def expensive(node: Node) -> bool:
    """Whether a value is kept when something above it is looked at, rather than computed again."""
    signature = node.signature
    if signature is None:
        return False
    kind = signature.primitive.kind
    return kind in ("contraction", "routine") or (kind == "reduction" and signature.inputs[0].size >= LARGE)


# --- evaluation ------------------------------------------------------------------------------------------------------


class Evaluation:
    """A plan for a node, and for those below it that are expensive or of the state.

    Attributes
    ----------
    plan : Plan
    kept : list of int
        The numbers of those that it gives beside the node.
    moved : list of int
        Leaves that have to be brought to its backend.
    """

    __slots__ = ("kept", "moved", "plan")

    def __init__(self, node: Node, collected: Collected, home: Backend, state: Collection[Node]):
        # What nobody has put on a device is not kept there, nor what is computed again for derivatives.
        kept = [
            n
            for n in collected.numbers
            if n is not node
            and n.value is None
            and n.inputs
            and (n in state or expensive(n))
            and n.aval.place is node.aval.place
        ]
        if any(n.signature is not None and n.signature.primitive is ops.pack_p for n in collected.numbers):
            outside = set(operations_since([node], 0, (), ops.entered))
            kept = [n for n in kept if n in outside]
        outputs = [part for n in kept for part in (ops.outputs(n) if n.aval.parts else (n,))]
        self.plan = compile_nodes(collected.leaves, [node, *outputs], computing(node.aval.place), asked=1)
        self.kept = [collected.numbers[n] for n in kept]
        self.moved = elsewhere(collected.leaves, home)

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self.plan.n_operations


def _state(collected: Collected) -> list[Node]:
    """What is new to a walk begins with these: they were computed before, for another value, and had no reason to stay.

    A loop that looks at a value in each step would compute all steps before again.
    """
    numbers = collected.numbers
    found = {
        x: None
        for node in numbers
        if node.value is None and not hasattr(node, "met")
        for x in node.inputs
        if x.value is None and hasattr(x, "met")
    }
    size = sum([max(x.aval.size, 1) * x.aval.dtype.itemsize for x in found])
    return list(found) if len(numbers) >= min(LONGEST_WALK, size // BYTES_A_NODE) else []


def looked_at(node: Node) -> Any:
    """The value of a node, which somebody looks at: traces that are being made hear of it."""
    value = evaluate(node)
    if type(value) is not Unknown:
        note_look(node)
    return value


def evaluate(node: Node) -> Any:
    """The value of a node, computed now if it has none; it and expensive nodes below it keep their values."""
    if node.value is not None:
        if node.aval.literal is not None and not node.aval.weak and node.aval.spec is None:
            # A number of the structure that stands for an array.
            return freeze(np.asarray(node.value, node.aval.dtype))
        return node.value
    home = node.aval.place or get_backend()
    collected = collect((node,))
    for leaf in collected.leaves:
        # Asked before a plan is made: an array library would say that it is no array of its own.
        if type(leaf.value) is Unknown:
            leaf.value._refuse()
    is_long = len(collected.numbers) >= SHORTEST_WALK
    state = _state(collected) if is_long else []
    key = (collected.key, *[collected.numbers[x] for x in state]) if state else collected.key
    found = evaluations.get(key, lambda: Evaluation(node, collected, home, state))
    values = collected.values()
    values = found.plan(*(bring_leaves(values, collected.leaves, found.moved, home) if found.moved else values))
    if found.kept:
        nodes, rest = list(collected.numbers), iter(values[1:])
        for number in found.kept:
            parts = nodes[number].aval.parts
            nodes[number].value = freeze(tuple([next(rest) for _ in parts]) if parts else next(rest))
    if is_long:
        for x in collected.numbers:
            x.met = True
    node.value = freeze(values[0])
    return node.value


# What is shown without having been asked for takes no longer, as estimated: the compilation and the computation.
LONGEST_PEEK, PEEK_NANOSECONDS = 1_000, 1e8


def peeked(node: Node) -> Any:
    """The value of a node for somebody who may not be interested: nothing is kept of it, and no trace hears of it.

    None if it would take long, or is not known.
    """
    home = node.aval.place or get_backend()
    if "lazy" in home.capabilities.features:
        return None
    if node.value is not None:
        return None if type(node.value) is Unknown else node.value
    collected = collect((node,))
    if search() or len(collected.numbers) > LONGEST_PEEK or any(type(x.value) is Unknown for x in collected.leaves):
        return None
    signatures = [x.signature for x in collected.numbers if x.signature is not None and x.value is None]
    # Nobody knows how long a function of a user takes, or a loop.
    if any(Own in made.primitive.params.values() for made in signatures):
        return None
    if sum(map(nanoseconds, signatures)) > PEEK_NANOSECONDS:
        return None
    found = evaluations.get(collected.key, lambda: Evaluation(node, collected, home, []))
    values = bring_leaves(collected.values(), collected.leaves, found.moved, home)
    return silent(found.plan, *values)[0]


def on_host(node: Node) -> Any:
    """The value of a node as NumPy's array or a Python number, computed now if it has none; fetched once."""
    value = looked_at(node)
    if type(value) is Unknown:
        value._refuse()
    return value if node.aval.place is None else brought(node, get_backend())


def deciding(node: Node) -> Any:
    """The value on the host of what decides a shape.

    Where a function is traced it is that of the call at hand, and the trace holds for as long as it is the same.
    """
    try:
        return on_host(node)
    except TraceError:
        value = present_value(node)
        if value is None:
            raise
        return value


def concrete(node: Node, decides: bool = False) -> Any:
    """The value of an index on the host, or None if it is not known, or may be another when a trace is replayed.

    That of a mask which ``decides`` the shape of a result is asked for as such.
    """
    if not decides and is_tracing() and node.aval.dtype.kind in "iu" and not is_fixed(node):
        return None
    try:
        return deciding(node) if decides else on_host(node)
    except TraceError:
        return None
