"""The engine of transformations: a walk gives nodes for nodes, and this finds what it gave before.

A *walk* is a function from recorded nodes to nodes: reverse or forward mode, batching, or several in a row. What it
gives for one structure is kept under the key of that structure: as a plan where values are wanted, as a recipe where
nodes are, so that it is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .backend import Backend, Plan
from .core.avals import Aval, common_place
from .core.primitives import Primitive
from .errors import BackendError
from .nodes import Constant, Node, Step, record_steps
from .noting import Note, notes, notes_origins, search
from .ops import Prefixed, place_p
from .places import brought, elsewhere
from .plan import Collected, PlanCache, below, build, collect, compile_nodes
from .plan.simplify import simplify_graph
from .progress import stage
from .registry import computing, get_backend
from .tracing import unknowns


class Walk(NamedTuple):
    """What gives nodes for nodes.

    Parameters
    ----------
    function : callable
        ``function(outputs, inputs, given, *parameters)``: a list of nodes, made of what was recorded between
        ``inputs`` and ``outputs``, and of what is ``given`` beside, such as tangents.
    parameters : tuple
        Hashable.
    derived : bool
        Whether the nodes are derivatives.
    """

    function: Callable[..., list[Node]]
    parameters: tuple[Any, ...] = ()
    derived: bool = True

    def __call__(self, outputs: Sequence[Node], inputs: Sequence[Node], given: Sequence[Node]) -> list[Node]:
        """The nodes for these."""
        stage("differentiating")
        return self.function(outputs, inputs, given, *self.parameters)


class Recipe:
    """A derivative as operations to record again on other nodes of the same structure."""

    __slots__ = ("constants", "notes", "outputs", "prefixed", "steps")

    def __init__(
        self,
        steps: list[Step],
        constants: list[Constant],
        outputs: tuple[int, ...],
        prefixed: Sequence[tuple[int, tuple[Any, ...], Aval]] = (),
        notes: Sequence[Note | None] = (),
    ):
        self.steps = steps
        self.constants = constants
        self.outputs = outputs
        # Indices with entries before those of an index of what was collected: its number, the entries, and their form.
        self.prefixed = prefixed
        # Where the steps come from, in a recipe that is used once, since somebody asks.
        self.notes = notes

    @property
    def n_operations(self) -> int:
        """Primitives that it records."""
        return len(self.steps)

    def record(self, nodes: list[Node]) -> list[Node]:
        """The derivative's nodes, for what was collected, in the order of their numbers."""
        indices = [Constant(aval, (*entries, *nodes[i].value)) for i, entries, aval in self.prefixed]
        nodes = [*nodes, *indices, *self.constants]
        record_steps(nodes, self.steps)
        if self.notes:
            made = zip(nodes[-len(self.steps) :], self.notes, strict=True)
            notes.update({node: note for node, note in made if note is not None})
        return [nodes[i] for i in self.outputs]


class Found(NamedTuple):
    """A derivative as it was found: what is noted of its nodes is not in a recipe."""

    outputs: list[Node]

    def record(self, nodes: list[Node]) -> list[Node]:
        """The derivative's nodes."""
        return self.outputs


def recipe_of(
    nodes: Sequence[Node],
    found: Sequence[Node],
    place: Backend | None,
    prefixed: Sequence[tuple[int, tuple[Any, ...], Aval]] = (),
) -> Recipe | Found:
    """How ``found`` is made of ``nodes``, simplified as far as it stays differentiable.

    What does not depend on anything that is on a backend is said to be on ``place``. The last ``nodes`` are the
    ``prefixed`` indices.
    """
    if search():
        return Found([x if place in (None, x.aval.place) else place_p(x, backend=place) for x in found])
    program = build(nodes, found, simplify_graph, tracked=notes_origins())
    number_of = {i: i for i in range(len(nodes))}
    constants: list[Constant] = []
    steps: list[Step] = []
    origins: list[Note | None] = []
    live = program.live()
    for number in live:
        if number in program.constants:
            number_of[number] = len(nodes) + len(constants)
            constants.append(Constant(program.avals[number], program.constants[number]))
    avals = [node.aval for node in [*nodes, *constants]]

    def step(primitive: Primitive, params: tuple[Any, ...], arguments: tuple[int, ...], derived: bool) -> int:
        # Programs have no places, so signatures are made anew.
        signature = primitive.signature(tuple([avals[a] for a in arguments]), params)
        steps.append((signature.derived if derived else signature, arguments))
        avals.append(signature.out)
        return len(avals) - 1

    for number in live:
        signature = program.signatures[number]
        if signature is not None:
            arguments = tuple([number_of[a] for a in program.arguments[number]])
            number_of[number] = step(signature.primitive, signature.params, arguments, signature.is_derived)
            if program.origins is not None:
                origins.append(notes.get(program.origins[number]))
    outputs = [number_of[i] for i in program.outputs]
    if place is not None:
        outputs = [i if avals[i].place is place else step(place_p, (place,), (i,), False) for i in outputs]
    if origins:
        origins += [None] * (len(steps) - len(origins))
    return Recipe(steps, constants, tuple(outputs), prefixed, origins)


def _prefixed(leaves: Sequence[Node], found: Sequence[Node]) -> list[tuple[Prefixed, int, tuple[Any, ...]]]:
    """The indices among ``found`` that are made of an index among ``leaves``: which, and the entries before its own."""
    numbers = {node: i for i, node in enumerate(leaves)}
    result = []
    for node in found:
        if isinstance(node, Prefixed):
            source, entries = node.origin()
            if source in numbers:
                result.append((node, numbers[source], entries))
    return result


class Compiled:
    """A plan for what a walk gave.

    Attributes
    ----------
    plan : Plan
    home : Backend
        Where it computes.
    """

    __slots__ = ("_moved", "_prefixed", "_taken", "home", "plan")

    def __init__(
        self,
        leaves: Sequence[Node],
        given: Sequence[Node],
        outputs: Sequence[Node],
        backend: Backend,
        derived: bool,
        *,
        asked: int | None = None,
        memory_limit: int | None = None,
    ):
        nodes = below((*leaves, *given), outputs)
        used = {*outputs, *[x for node in nodes for x in node.inputs]}
        indices = _prefixed(leaves, nodes)
        leaves = [*leaves, *given]
        # The stand-ins of a function that was batched are leaves, too, and nothing depends on them any more.
        self._taken = [i for i, leaf in enumerate(leaves) if leaf in used]
        self._prefixed = [(i, entries) for _, i, entries in indices]
        taken = [*[leaves[i] for i in self._taken], *[node for node, _, _ in indices]]
        self.home = backend.home
        self._moved = elsewhere(taken, self.home)
        if not derived:
            # A batch of derivatives is of derivatives, too.
            derived = any(node.signature is not None and node.signature.is_derived for node in nodes)
        self.plan: Plan = compile_nodes(
            taken, outputs, backend, derivatives=derived, asked=asked, memory_limit=memory_limit
        )

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self.plan.n_operations

    def __call__(self, leaves: Sequence[Node], given: Sequence[Node] = ()) -> Sequence[Any]:
        """The values of the outputs, for the values of these leaves and of what is given."""
        leaves = [*leaves, *given]
        values = [leaves[i].value for i in self._taken]
        for i in self._moved:
            values[i] = brought(leaves[self._taken[i]], self.home)
        for i, entries in self._prefixed:
            values.append((*entries, *leaves[i].value))
        return self.plan(*values)


class Split:
    """Two plans for what a walk gave: of all that does not depend on what is given, and of the rest.

    Attributes
    ----------
    first : Compiled
        Gives the values of the outputs, and residuals: what the second one takes.
    """

    __slots__ = ("_count", "_given", "_kept", "first", "second")

    def __init__(
        self,
        leaves: Sequence[Node],
        outputs: Sequence[Node],
        given: Sequence[Node],
        found: Sequence[Node],
        backend: Backend,
        memory_limit: int | None = None,
    ):
        inside = set(given)
        varying = {*leaves, *given}
        needed: dict[Node, None] = {}
        nodes = below(leaves, found)
        # Indices that are made of no leaf are known.
        of_leaves = {node for node, _, _ in _prefixed(leaves, nodes)}
        if search():
            # What has been computed before has no line.
            needed = {x: None for node in nodes for x in node.inputs if x in varying and x not in inside}
            nodes = []
        for node in nodes:
            if any(x in varying for x in node.inputs) or node in of_leaves:
                varying.add(node)
            if any(x in inside for x in node.inputs):
                inside.add(node)
                needed.update(dict.fromkeys(x for x in node.inputs if x in varying and x not in given))
        needed = {x: None for x in needed if x not in inside}
        if nodes:
            needed.update(dict.fromkeys(x for x in found if x in varying and x not in inside))
        kept = list(needed)
        indices = [x for x in kept if x.aval.spec is not None]
        residuals = [x for x in kept if x.aval.spec is None]
        self._count = len(outputs)
        self._given = len(given)
        first = [*outputs, *residuals]
        self.first = Compiled(leaves, (), first, backend, True, asked=len(outputs), memory_limit=memory_limit)
        places = {leaf: i for i, leaf in enumerate(leaves)}
        origins = {node: (i, entries) for node, i, entries in _prefixed(leaves, indices)}
        self._kept = [origins[x] if x in origins else (places[x], ()) for x in indices]
        self.second: Plan = compile_nodes(
            [*indices, *residuals, *given], found, backend, True, memory_limit=memory_limit
        )

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call of each."""
        return self.first.n_operations + self.second.n_operations

    def __call__(self, leaves: Sequence[Node]) -> tuple[list[Any], Callable[[Sequence[Any]], Sequence[Any]]]:
        """The values of the outputs, and a function of what is given."""
        values = list(self.first(leaves))
        indices = [(*entries, *leaves[i].value) for i, entries in self._kept]
        residuals = values[self._count :]
        return values[: self._count], lambda given: self.second(*indices, *residuals, *given)


class Engine:
    """Walks, and what is known of them by the structure of the graph.

    Parameters
    ----------
    capacity : int
        Plans kept at most.
    backend : Backend, optional
        What computes; what the result is on if not given.
    memory_limit : int, optional
        Bytes that a plan may hold beside its arguments.

    Attributes
    ----------
    cache : PlanCache
        What was compiled.
    """

    __slots__ = ("_memory_limit", "backend", "cache")

    def __init__(self, capacity: int, backend: Backend | None = None, memory_limit: int | None = None):
        self.backend = backend
        self._memory_limit = memory_limit
        self.cache = PlanCache(capacity)

    def values(
        self,
        walk: Walk,
        collected: Collected,
        outputs: Sequence[Node],
        inputs: Sequence[Node],
        given: Sequence[Node] = (),
        also: Sequence[Node] = (),
    ) -> list[Any]:
        """The values of ``also``, and of what the walk gives.

        ``collected`` is that of ``collected_of``. Nothing of it depends on what is given, which has values.
        """
        avals = tuple([node.aval for node in given])
        key = (collected.key, positions_of(collected, inputs), len(outputs), len(also), avals, walk)

        def make() -> Compiled:
            found = walk(outputs, inputs, given)
            backend = self.computing([*outputs, *given])
            return Compiled(
                collected.leaves, given, [*also, *found], backend, walk.derived, memory_limit=self._memory_limit
            )

        found: Compiled = self.cache.get(key, make)
        return list(found(collected.leaves, given))

    def nodes(
        self, walk: Walk, outputs: Sequence[Node], inputs: Sequence[Node], given: Sequence[Node] = ()
    ) -> list[Node]:
        """What the walk gives."""
        floor = min([x.sequence for x in inputs], default=0)
        # Nothing that is older depends on the inputs.
        collected = collect((*outputs, *given), floor, floor)
        key = (collected.key, positions_of(collected, inputs), len(outputs), len(given), walk, "recorded")

        def make() -> Recipe | Found:
            found, nodes = walk(outputs, inputs, given), list(collected.numbers)
            indices = _prefixed(nodes, below(nodes, found))
            home = self.computing([*outputs, *given]).home
            return recipe_of(
                [*nodes, *[node for node, _, _ in indices]],
                found,
                None if home is get_backend() else home,
                [(i, entries, node.aval) for node, i, entries in indices],
            )

        recipe: Recipe | Found = make() if notes_origins() else self.cache.get(key, make)
        return recipe.record([*collected.numbers])

    def split(
        self,
        walk: Walk,
        collected: Collected,
        outputs: Sequence[Node],
        inputs: Sequence[Node],
        given: Sequence[Aval],
        also: Sequence[Node],
    ) -> tuple[list[Any], Callable[[Sequence[Any]], Sequence[Any]]]:
        """The values of ``also``, and what the walk gives as a function of the values of what is given."""
        key = (collected.key, positions_of(collected, inputs), len(outputs), tuple(given), walk, "split")

        def make() -> Split:
            names = unknowns(given)
            found, backend = walk(outputs, inputs, names), self.computing([*outputs, *names])
            return Split(collected.leaves, also, names, found, backend, self._memory_limit)

        found: Split = self.cache.get(key, make)
        return found(collected.leaves)

    def computing(self, nodes: Sequence[Node]) -> Backend:
        """The backend that something is computed on."""
        place: Backend | None = common_place("a transformation", [node.aval for node in nodes])
        if self.backend is None:
            return computing(place)
        if place is None or place is self.backend.home:
            return self.backend
        root = next(node for node in nodes if node.aval.place is place)
        raise BackendError(
            f"the graph computes on {self.backend.label}, but dy, {root.aval!r}, is not there; use a graph of that "
            "backend, or put the variables on this one (add_variables) before dy is computed from them"
        )


def collected_of(roots: Sequence[Node], inputs: Sequence[Node]) -> Collected:
    """The structure that nodes have, back to ``inputs`` and to what has a value that does not depend on them."""
    return collect(roots, min([x.sequence for x in inputs], default=0))


def positions_of(collected: Collected, inputs: Sequence[Node]) -> tuple[int | Aval, ...]:
    """Where inputs are in what was collected; of those that it does not depend on what is known of them."""
    numbers = collected.numbers
    return tuple([numbers.get(x, x.aval) for x in inputs])
