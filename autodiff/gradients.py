"""Compiled gradients: nodes in, values or nodes out. ``Graph`` and the transformations are façades of this."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from .backend import Backend, Plan
from .callers import user_frame
from .compiled import CompiledGradient, Explanation, Made
from .convert import describe
from .core.avals import Aval
from .differentiate import derivative
from .engine import Engine, Found, Recipe, Walk, collected_of, recipe_of
from .errors import ArgumentError, IndependentWarning
from .flows import body_of
from .growth import RECORDED_STEPS, Growth
from .memo import Memo
from .nodes import Node, Variable, freeze, is_fixed, renamed
from .noting import notes_origins, noting_origins, searches
from .ops import zeros
from .places import bring_leaves, brought, elsewhere
from .plan import Collected, collect_below, compile_nodes, memory_of, tier_of
from .plan.cache import Entry
from .plan.recognised import LONGEST, USES, Recognised
from .progress import stage
from .registry import get_backend
from .tensor.handle import Handle
from .watching import taken_at_all, warn_taken

# A longer plan that gives the value too is used where the value is at hand: compiling another one takes 20 us an
# operation, computing the value 1 us.
LONGEST_TWICE = 1_000

# What is seen of a result at once is its last operation, beside what is asked for. Structures that are alike so far are
# tried one after the other: of many that takes longer than a key.
MET_KEPT = 512
MET_AT_ONCE = 2

# The numbers of variables in what was collected. For one that the result does not depend on, what is known of it.
Positions = tuple["int | Aval", ...]


class Gradient:
    """A compiled gradient.

    Attributes
    ----------
    plan : Plan
    with_value : bool
        Whether the value is the first output.
    home : Backend
        Where it computes.
    keeps : bool
        Whether the value is one that the node keeps: not if it is on a device, and nobody has put the node there.
    moved : list of int
        The inputs that have to be brought there.
    """

    __slots__ = ("home", "keeps", "moved", "plan", "with_value")

    def __init__(self, plan: Plan, with_value: bool, home: Backend, keeps: bool, moved: list[int]):
        self.plan = plan
        self.with_value = with_value
        self.home = home
        self.keeps = keeps
        self.moved = moved

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self.plan.n_operations


class Gradients(Engine):
    """The engine of gradients, which are called most: of one root, whose value is asked for with them.

    ``wrt`` is never empty. ``handles`` are its Tensors: one that was assigned to since stands for the node that the
    result was recorded with.

    Parameters
    ----------
    capacity : int
        Plans kept at most.
    backend : Backend, optional
        What computes; what the result is on if not given.
    memory_limit : int, optional
        Bytes that a plan may hold beside its arguments.
    alone : bool, optional
        Whether only that is recognised which belongs to no larger derivative: what functions make of arguments.
    """

    __slots__ = ("_alone", "_growth", "_met")

    def __init__(
        self, capacity: int, backend: Backend | None = None, memory_limit: int | None = None, alone: bool = False
    ):
        super().__init__(capacity, backend, memory_limit)
        self._alone = alone
        self._growth = Growth()
        # By what is seen of a result at once: the entries of what it was lately.
        self._met: Memo[Any, tuple[weakref.ref[Entry], ...]] = Memo(MET_KEPT)

    def evaluate(
        self, root: Node, wrt: list[Node], n: int = 1, handles: Sequence[Handle] = ()
    ) -> tuple[Any, list[Any]]:
        """The value of ``root``, if there is one at hand by then, and its derivatives of order ``n``."""
        return self.computed(root, *(self.again(root, wrt, n) or self.found(root, wrt, n, handles)))

    def computed(self, root: Node, compiled: Gradient, values: list[Any]) -> tuple[Any, list[Any]]:
        """The value of ``root``, and its derivatives, from a compiled gradient and the values that it takes."""
        results = compiled.plan(*values)
        if not compiled.with_value:
            value = root.value
            return value if compiled.keeps or value is None else brought(root, compiled.home), [*results]
        value = results[0]
        if compiled.keeps and root.value is None:
            root.value = value if type(value) is float else freeze(value)
        return value, [*results[1:]]

    def record(self, root: Node, wrt: list[Node], n: int = 1, handles: Sequence[Handle] = ()) -> list[Node]:
        """Derivatives as nodes, recorded again from a cached recipe."""
        collected, positions = self.collected(root, wrt, handles)
        if notes_origins():
            recipe: Any = self._recipe(root, collected, positions, wrt, n)
        else:
            recipe = self.cache.get(
                (collected.key, positions, n, "recorded"), lambda: self._recipe(root, collected, positions, wrt, n)
            )
        return recipe.record([*collected.numbers, root])  # type: ignore[no-any-return]

    def products(
        self, walk: Walk, root: Node, wrt: list[Node], handles: Sequence[Handle], given: Sequence[Node], record: bool
    ) -> list[Any]:
        """What a walk gives for a recorded result: values, or nodes if these are to be recorded."""
        inputs = self.versions(root, wrt, handles)
        if record:
            return self.nodes(walk, [root], inputs, given)
        collected = collected_of([root], inputs)
        self._growth.note(collected, inputs)
        return self.values(walk, collected, [root], inputs, given)

    def versions(self, root: Node, wrt: list[Node], handles: Sequence[Handle]) -> list[Node]:
        """The nodes that a result was recorded with, for variables that were assigned to since."""
        collected, positions = self.collected(root, wrt, handles)
        nodes = [*collected.numbers, root]
        pairs = zip(positions, wrt, strict=True)
        return [x if isinstance(position, Aval) else nodes[position] for position, x in pairs]

    def compile(
        self, root: Node, wrt: list[Node], handles: Sequence[Handle], inputs: Sequence[Handle]
    ) -> CompiledGradient:
        """The value and the derivatives as a function of the values of ``inputs``."""
        collected, positions = self._collected_of_versions(root, wrt, handles)
        _warn_independent(positions)
        nodes = [*collected.numbers, root]
        taken: list[Node] = []
        _, numbers = self._collected_of_versions(root, [x.node for x in inputs], inputs)
        for i, (x, number) in enumerate(zip(inputs, numbers, strict=True)):
            if isinstance(number, Aval):
                raise ArgumentError(f"compile: inputs[{i}], {describe(x)}, is not in the history of dy")
            if nodes[number] in taken:
                raise ArgumentError(f"compile: inputs[{i}], {describe(x)}, is given twice")
            taken.append(nodes[number])
        found = derivatives(root, nodes, positions, 1)
        rest = [leaf for leaf in collected.leaves if leaf not in taken and not leaf.inputs and not is_fixed(leaf)]
        backend = self.computing([root])
        plan = compile_nodes([*taken, *rest], [root, *found], backend, True, memory_limit=self._memory_limit)
        home = backend.home
        bound = bring_leaves([leaf.value for leaf in rest], rest, elsewhere(rest, home), home)
        made = Made(body_of([*taken, *rest], [root, *found]), backend, self._memory_limit)
        return CompiledGradient(plan, [node.aval for node in taken], bound, home, made)

    def source(self, root: Node, wrt: list[Node], n: int, handles: Sequence[Handle]) -> str:
        """The code that computes the derivatives."""
        return self.found(root, wrt, n, handles)[0].plan.source

    def explain(self, root: Node, wrt: list[Node], n: int, handles: Sequence[Handle]) -> Explanation:
        """What the derivatives cost."""
        compiled, _ = self.found(root, wrt, n, handles)
        plan, leaves = compiled.plan, root.collected.leaves
        return Explanation(
            (self.backend or compiled.home).label,
            plan.n_operations,
            getattr(plan, "n_launches", plan.n_operations),
            tuple([repr(leaves[i].aval) for i in compiled.moved]),
            plan.source,
            *memory_of(plan),
            tier=tier_of(plan) or self._tier(root),
        )

    def recorded(self, root: Node, wrt: list[Node], n: int, handles: Sequence[Handle]) -> list[Node]:
        """The derivatives as they are recorded, each knowing what it is the derivative of."""
        with noting_origins():
            collected, positions = self.collected(root, wrt, handles)
            return derivatives(root, [*collected.numbers, root], positions, n)

    def timed(
        self, root: Node, wrt: list[Node], n: int, handles: Sequence[Handle], compile: Callable[..., Plan]
    ) -> Callable[[], tuple[Any, ...]]:
        """A call of the derivatives, whose nodes are made and compiled anew."""
        collected, positions = self.collected(root, wrt, handles)
        with noting_origins():
            compiled = self._made(root, collected, positions, n, n == 1 and root.value is None, compile)
        values = collected.values()
        if compiled.moved:
            values = bring_leaves(values, collected.leaves, compiled.moved, compiled.home)
        return lambda: compiled.plan(*values)

    def _tier(self, root: Node) -> str:
        backend = self.computing([root])
        if self._memory_limit is not None and backend.steady is not backend:
            return f"{backend.steady.name}: a memory limit keeps the plan that was planned"
        return backend.tier

    # --- finding plans -----------------------------------------------------------------------------------------------

    def collected(self, root: Node, wrt: list[Node], handles: Sequence[Handle] = ()) -> tuple[Collected, Positions]:
        """The structure of ``root`` back to ``wrt``, and where ``wrt`` are in it; a warning for those that are not."""
        floor = min([x.sequence for x in wrt] or [root.sequence])
        collected: Collected | None = root.collected
        if collected is None or collected.floor > floor:
            collected = root.collected = collect_below(root, floor)
        found: tuple[Any, ...] = tuple([collected.numbers.get(x) for x in wrt])
        if None in found:
            collected, found = self._collected_of_versions(root, wrt, handles)
            _warn_independent(found)
        if taken_at_all:
            warn_taken([*collected.numbers, root], found)
        return collected, found

    def _collected_of_versions(
        self, root: Node, wrt: list[Node], handles: Sequence[Handle]
    ) -> tuple[Collected, Positions]:
        """As ``collected`` where a variable has a newer version than the one ``root`` was recorded with."""
        collected: Collected | None = root.collected
        if collected is None or collected.floor > 0:
            collected = root.collected = collect_below(root, 0)
        numbers = collected.numbers
        newest: dict[Any, Node] = {}
        for node in [*numbers, root]:
            slot = node.slot if isinstance(node, Variable) else renamed(node)
            if slot is not None:
                other = newest.get(slot)
                if other is None or other.sequence < node.sequence:
                    newest[slot] = node
        found: list[int | Aval] = []
        for node, handle in zip_longest(wrt, handles):
            if node not in numbers and node is not root and handle is not None and handle._slot in newest:
                node = newest[handle._slot]
            # The zeros for what the result does not depend on have a shape and a dtype, which the key must know.
            found.append(len(numbers) if node is root else numbers.get(node, node.aval))
        return collected, tuple(found)

    def found(self, root: Node, wrt: list[Node], n: int, handles: Sequence[Handle]) -> tuple[Gradient, list[Any]]:
        """The compiled gradient and the values it takes."""
        collected, positions = self.collected(root, wrt, handles)
        with_value = n == 1 and root.value is None
        key = (collected.key, positions, n, with_value)
        entry = self.cache.entry(key, lambda: self._compiled(root, collected, positions, wrt, n, with_value))
        found = entry.value
        if entry.uses >= USES:
            self._meet(entry, collected, positions, (root.signature, n, len(wrt), with_value))
        if not found.moved:
            return found, collected.values()
        return found, bring_leaves(collected.values(), collected.leaves, found.moved, found.home)

    def again(self, root: Node, wrt: list[Node], n: int = 1) -> tuple[Gradient, list[Any]] | None:
        """The compiled gradient of a structure that is recognised, and the values it takes.

        None if it is none of those that were met lately.
        """
        # What has not been asked for lately is noted again by its key.
        met = self._met.hot.get((root.signature, n, len(wrt), n == 1 and root.value is None))
        if met is None or taken_at_all or searches:
            return None
        for reference in met:
            entry = reference()
            if entry is None:
                continue
            code = entry.recognised.call or entry.recognised.get()
            found = None if code is None else code(root, wrt)
            if found is not None:
                entry.used = next(self.cache.clock)
                entry.uses += 1
                compiled: Gradient = entry.value
                if compiled.moved:
                    found = bring_leaves([leaf.value for leaf in found], found, compiled.moved, compiled.home)
                return compiled, found
        return None

    def _meet(self, entry: Entry, collected: Collected, positions: Positions, seen: Any) -> None:
        """Let a structure be recognised from now on."""
        if entry.recognised is None:
            numbers = tuple([x for x in positions if not isinstance(x, Aval)])
            is_fit = seen[0] is not None and len(collected.numbers) <= LONGEST and numbers == positions
            entry.recognised = (
                Recognised(collected.key, numbers, not entry.value.moved, self._alone) if is_fit else False
            )
        if entry.recognised:
            others = [x for x in self._met.get(seen) or () if x() not in (entry, None)]
            self._met.replace(seen, (weakref.ref(entry), *others[: MET_AT_ONCE - 1]))

    def _compiled(
        self, root: Node, collected: Collected, positions: Positions, wrt: list[Node], n: int, with_value: bool
    ) -> Gradient:
        if n == 1 and not with_value:
            other = self.cache.held((collected.key, positions, n, True))
            if other is not None and other.n_operations > LONGEST_TWICE:
                return other  # type: ignore[no-any-return]
        self._growth.note(collected, wrt)
        return self._made(root, collected, positions, n, with_value)

    def _made(
        self,
        root: Node,
        collected: Collected,
        positions: Positions,
        n: int,
        with_value: bool,
        compile: Callable[..., Plan] | None = None,
    ) -> Gradient:
        found = derivatives(root, [*collected.numbers, root], positions, n)
        outputs = [root, *found] if with_value else found
        backend = self.computing([root])
        make = compile or compile_nodes
        plan = make(collected.leaves, outputs, backend, True, memory_limit=self._memory_limit)
        home = backend.home
        keeps = root.aval.place is home or (root.aval.place is None and home is get_backend())
        return Gradient(plan, with_value, home, keeps, elsewhere(collected.leaves, home))

    def _recipe(
        self, root: Node, collected: Collected, positions: Positions, wrt: list[Node], n: int
    ) -> Recipe | Found:
        self._growth.note(collected, wrt, RECORDED_STEPS)
        home = self.computing([root]).home
        return recorded_derivatives(root, collected, positions, n, None if home is get_backend() else home)


def derivatives(root: Node, nodes: list[Node], positions: Positions, n: int) -> list[Node]:
    """Derivatives of ``root`` as nodes; zeros where there is no connection."""
    stage("differentiating")
    connected = [nodes[position] for position in positions if not isinstance(position, Aval)]
    found = iter(derivative(root, connected, n) if connected else [])
    results = []
    for position in positions:
        node = None if isinstance(position, Aval) else next(found)
        if node is None:
            node = zeros(position if isinstance(position, Aval) else nodes[position].aval)
        results.append(node)
    return results


def _warn_independent(positions: Positions) -> None:
    """Warn of each variable that a result does not depend on."""
    for i, position in enumerate(positions):
        if isinstance(position, Aval):
            warnings.warn(
                f"the result does not depend on variable {i}, a Tensor {position!r}: its gradient is zero. Was it "
                "computed from the value (t.value, np.asarray(t)) instead of the Tensor?",
                IndependentWarning,
                stacklevel=user_frame()[1],
            )


def recorded_derivatives(
    root: Node, collected: Collected, positions: Positions, n: int, place: Backend | None
) -> Recipe | Found:
    """The derivative in terms of the collected nodes, simplified as far as it stays differentiable.

    What does not depend on anything that is on a backend is said to be on ``place``.
    """
    nodes = [*collected.numbers, root]
    return recipe_of(nodes, derivatives(root, nodes, positions, n), place)
