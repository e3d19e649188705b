"""What a traced function depends on beside its arguments: Tensors of the outside, and values that it looked at."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Backend
from ..core.avals import common_place
from ..errors import TraceError
from ..nodes import Constant, Node, Slot, Unknown, history, is_fixed, renamed
from ..places import bring, elsewhere
from ..plan import below, compile_nodes, evaluate, looked_at
from ..registry import get_backend
from ..watching import Look, derivative_from, note_look, slot_of, traces, watched, watched_nodes


class Transparent(Exception):
    """The function uses an argument of an enclosing derivative or trace, so its calls are recorded there."""


class Captured:
    """What a trace uses of the outside: where the present values are of the Tensors that stood for nodes.

    It holds no values: a Tensor that is given another one lets go of the old one.
    """

    __slots__ = ("_avals", "_home", "_moved", "sources")

    def __init__(self, nodes: list[Node], begin: int, home: Backend):
        # A slot, from which the present value is read; or a node, until its Tensor stands for another.
        self.sources: list[Slot | Node] = [_lasting_slot(node, begin) or node for node in nodes]
        self._avals = [node.aval for node in nodes]
        self._home = home
        # Values that are brought to the backend, by their numbers: as they were found, and there.
        self._moved: dict[int, tuple[Any, Any]] = dict.fromkeys(elsewhere(nodes, home), (None, None))

    def values(self) -> list[Any]:
        """The present values, where the plan computes."""
        values = []
        for number, source in enumerate(self.sources):
            if type(source) is Slot and source.value is not None and not traces:
                # The common case: a Tensor that was given a value, and no trace around that hears of it.
                values.append(source.value)
                continue
            if isinstance(source, Node):
                slot = renamed(source)
                if slot is None:
                    values.append(looked_at(source))
                    continue
                source = self.sources[number] = slot
            value = _present(source)
            if traces:
                # What is recorded by a trace around this one depends on it.
                note_look(Constant(self._avals[number], value, source))
            values.append(value)
        for number, (value, there) in self._moved.items():
            if values[number] is not value:
                there = bring(values[number], self._home)
                self._moved[number] = (values[number], there)
            values[number] = there
        return values


def _lasting_slot(node: Node, begin: int) -> Slot | None:
    """The slot of a node; None for what the trace made and then changed in place: calls begin with the node itself."""
    slot = slot_of(node)
    return slot if slot is None or slot.made < begin or slot.value is node.value else None


def _present(slot: Slot) -> Any:
    """The newest value in a slot."""
    if slot.value is None and slot.node is not None:
        node = slot.node()
        if node is None:
            raise TraceError(
                "a Tensor that the traced function uses was changed in place and is gone; trace again (clear_cache)"
            )
        if derivative_from(node) is not None:
            raise Transparent
        return evaluate(node)
    return slot.value


class Guard:
    """Values that a function looked at while it was traced: the trace holds as long as they are what they were.

    Parameters
    ----------
    looks : list of Look
        Of nodes whose values may be others later.
    arguments : list of Node
        What stands for the arguments of the function, if any of these values depends on one.
    present : Present
        What the function saw of its arguments.
    captured : list of Node
        What else these values are made of.
    begin : int
        Where the trace begins.
    """

    __slots__ = ("_captured", "_depends", "_met", "_plan", "_seen", "lines")

    def __init__(self, looks: list[Look], arguments: list[Node], present: Present, captured: list[Node], begin: int):
        nodes = [look.node for look in looks]
        self.lines = [look.line for look in looks]
        backend = common_place("autodiff.function", [node.aval for node in nodes]) or get_backend()
        self._depends = bool(arguments)
        self._captured = Captured(captured, begin, backend.home)
        self._plan = compile_nodes([*arguments, *captured], nodes, backend)
        outside = self._captured.values()
        # What the trace was made for is what was seen then: this plan may round a sum in another way.
        computed = self._looked_at(present.given(arguments), outside)
        self._seen = [present.seen(node, value) for node, value in zip(nodes, computed, strict=True)]
        self._met = [_reference(value) for value in outside]

    def _looked_at(self, values: Sequence[Any], outside: list[Any]) -> list[Any]:
        results = self._plan(*values, *outside) if self._depends else self._plan(*outside)
        return [np.asarray(bring(x, get_backend())) for x in results]

    def holds(self, values: Sequence[Any]) -> bool:
        """Whether the function would see the same today, with these values of its arguments."""
        outside = self._captured.values()
        if not self._depends and all(there() is value for there, value in zip(self._met, outside, strict=True)):
            return True
        now = self._looked_at(values, outside)
        if any(a.tobytes() != b.tobytes() for a, b in zip(now, self._seen, strict=True)):
            return False
        self._met = [_reference(value) for value in outside]
        return True


def _reference(value: Any) -> Callable[[], Any]:
    """A weak reference, where there can be one: a cache holds no data."""
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: value


def guard_of(looks: list[Look], arguments: list[Node], present: Present, begin: int) -> Guard | None:
    """What has to stay as it is for a trace to hold; None if nothing that was looked at can change."""
    unique = {look.node: look for look in looks}
    given = set(arguments)
    outside = outside_of(list(unique), begin, given)
    moving = given.union([x for x in outside if _may_change(x)])
    made = below([*arguments, *outside], unique)
    for node in made:
        if any(x in moving for x in node.inputs):
            moving.add(node)
    changing = [look for node, look in unique.items() if node in moving]
    if not changing:
        return None
    captured = outside_of([look.node for look in changing], begin, given)
    depends = any(x in given for node in made for x in node.inputs) or any(look.node in given for look in changing)
    return Guard(changing, arguments if depends else [], present, captured, begin)


class Present:
    """The values that nodes of a trace have in the call for which it is made.

    Parameters
    ----------
    arguments : list of Node
    values : sequence
        Those of the arguments.
    begin : int
        Where the trace begins.

    Notes
    -----
    What was computed for one node is kept for the next, so that a loop which asks in each step computes it once.
    """

    __slots__ = ("_begin", "_known")

    def __init__(self, arguments: list[Node], values: Sequence[Any], begin: int):
        self._known = dict(zip(arguments, values, strict=True))
        self._begin = begin

    def given(self, arguments: list[Node]) -> list[Any]:
        """The values of arguments."""
        return [self._known[node] for node in arguments]

    def seen(self, node: Node, otherwise: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What was seen of a node, in the form of what else it would be."""
        if node not in self._known:
            return otherwise
        return np.asarray(bring(self._known[node], get_backend()), otherwise.dtype)

    def __call__(self, node: Node) -> Any:
        """The value on the host; None if it depends on what another transformation does not know."""
        if node not in self._known and not self._compute(node):
            return None
        return bring(self._known[node], get_backend())

    def _compute(self, node: Node) -> bool:
        known, leaves, made = self._known, [], []
        seen = {node}
        stack = [node]
        while stack:
            x = stack.pop()
            if x not in known and x.sequence >= self._begin and x.inputs:
                made.append(x)
                new = [y for y in dict.fromkeys(x.inputs) if y not in seen]
                seen.update(new)
                stack += new
            elif not is_fixed(x):
                if x not in known and type(x.value) is Unknown:
                    return False
                leaves.append(x)
        backend = common_place("autodiff.function", [x.aval for x in leaves]) or get_backend()
        kept = [x for x in made if not x.aval.parts and (x is node or not x.aval.weak)]
        values = [known[x] if x in known else bring(evaluate(x), backend) for x in leaves]
        known.update(zip(kept, compile_nodes(leaves, kept, backend)(*values), strict=True))
        return True


def _may_change(node: Node) -> bool:
    """Whether a Tensor that stood for a node of the outside can be given another one."""
    return bool(node.inputs) or slot_of(node) is not None


def outside_of(outputs: list[Node], begin: int, arguments: set[Node]) -> list[Node]:
    """The nodes older than a trace that its outputs are made of, and the arrays in it; but no fixed leaves."""
    found: list[Node] = []
    seen = set(outputs)
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node.sequence >= begin and node.inputs:
            for x in node.inputs:
                if x not in seen:
                    seen.add(x)
                    stack.append(x)
        elif node not in arguments and not is_fixed(node):
            found.append(node)
    if watched:
        ends = watched_nodes()
        if any(node in ends for node in history(*found)):
            raise Transparent
    return found
