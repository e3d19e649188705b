"""Plans that look for where NaN began: operations as they were recorded, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..backend import Backend, Plan
from ..core.primitives import Signature
from ..errors import NotFiniteError
from ..memo import Memo
from ..nodes import NO_SLOT, Argument, Node, Operation, Unknown, Variable, is_fixed, operation
from ..noting import UNPLACED, notes, search, unsearched
from ..tracing import WITHHELD
from ..whole import silent
from .build import below, transcribe
from .collect import collect
from .expand import expand_as_recorded
from .ranges import checked

# Plans of one operation, by backend and signature.
_single: Memo[Any, Plan] = Memo(1 << 9)

# Of the text of an array.
LONGEST_SHOWN = 160


class Judge(NamedTuple):
    """What is looked for in values.

    Parameters
    ----------
    infinite : bool
        Whether infinities are, beside NaN.
    home : Backend
        Where the values are.
    """

    infinite: bool
    home: Backend

    def array(self, value: Any) -> np.ndarray[Any, Any]:
        """A value on the host."""
        return np.asarray(self.home.to_numpy(value) if self.home.owns(value) else value)

    def elements(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Which elements are bad."""
        if array.dtype.kind not in "fc":
            return np.zeros(array.shape, bool)
        return np.asarray(~np.isfinite(array) if self.infinite else np.isnan(array))

    def __call__(self, value: Any) -> bool:
        """Whether an element of a value is bad; those of indices are not looked at."""
        if isinstance(value, tuple):
            return any(hasattr(part, "dtype") and self(part) for part in value)
        return bool(self.elements(self.array(value)).any())


class Searching:
    """A plan that computes every node by itself. Where a result is NaN, it says in which of them that began.

    NaN that does not reach a result is no matter: where it was not chosen, or the plan that is usually made has none.

    Parameters
    ----------
    inputs, outputs : sequence of Node
    backend : Backend
        Where it computes.
    usual : callable
        Makes the plan that would be here if nobody looked.
    asked : int, optional
        How many of the outputs are results; the others are kept for later. All if not given.
    """

    def __init__(
        self,
        inputs: Sequence[Node],
        outputs: Sequence[Node],
        backend: Backend,
        usual: Callable[[], Plan],
        asked: int | None = None,
    ):
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._asked = self._outputs[:asked]
        self._home = backend.home
        self._usual = usual
        self._plan: Plan | None = None
        self._nodes = below(inputs, outputs)

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return sum([bool(node.inputs) for node in self._nodes])

    @property
    def source(self) -> str:
        """The code that would run if nobody looked."""
        return self._ordinary().source

    def _ordinary(self) -> Plan:
        if self._plan is None:
            with unsearched():
                self._plan = self._usual()
        return self._plan

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        looked_for = search()
        if looked_for is None:
            return self._ordinary()(*values)
        judge = Judge(looked_for.infinite, self._home)
        results, error = self._computed(values, judge)
        if error is None:
            return results
        results = silent(self._ordinary(), *values)
        if any(judge(value) for value in results[: len(self._asked)]):
            raise error
        return results

    def _computed(self, values: Sequence[Any], judge: Judge) -> tuple[tuple[Any, ...], NotFiniteError | None]:
        """The results, or what is to be said of one that is bad."""
        known: dict[Node, Any] = {}
        for node, value in zip(self._inputs, values, strict=True):
            known.setdefault(node, value)
        given = dict(known)
        # A number of the structure, or of a rule, is what somebody wrote: it begins in what takes it.
        bad = {node for node, value in known.items() if not is_fixed(node) and judge(value)}
        # What is to be said of each node in which something began.
        begun: dict[Node, str] = {}
        last = {x: node for node in self._nodes for x in node.inputs}
        for node in self._nodes:
            value = known[node] = self._value(node, known)
            if node.inputs and judge(value):
                bad.add(node)
                if not any(x in bad for x in node.inputs):
                    begun[node] = _described(node, value, known, judge)
            for x in node.inputs:
                if last[x] is node and x not in self._outputs:
                    known.pop(x, None)
        if not any(node in bad for node in self._asked):
            seen = {id(value) for value in values}
            return tuple([self._own(node, known[node], seen) for node in self._outputs]), None
        reached = _reached([node for node in self._asked if node in bad], bad)
        for node, value in given.items():
            if node in reached:
                return (), self._given(node, value, reached, judge)
        return (), NotFiniteError(next(begun[node] for node in self._nodes if node in reached and node in begun))

    def _own(self, node: Node, value: Any, seen: set[int]) -> Any:
        """A result that shares no memory with inputs and other results."""
        if node.aval.literal is not None and not node.aval.weak and node.aval.spec is None:
            # A number of the structure that stands for an array.
            return self._home.asarray(value, node.aval.dtype)
        if hasattr(value, "dtype") and id(value) in seen:
            return self._home.asarray(value, copy=True)
        seen.add(id(value))
        return value

    def _value(self, node: Node, known: Mapping[Node, Any]) -> Any:
        """The value of a node from those of its inputs."""
        signature = node.signature
        if signature is None:
            if type(node.value) is Unknown:
                node.value._refuse()
            return self._home.asarray(node.value) if isinstance(node.value, np.ndarray) else node.value
        values = [known[x] for x in node.inputs]
        if signature.primitive is ops.place_p:
            return values[0]
        if signature.primitive is ops.part_p:
            return values[0][node.params["index"]]
        results = _plan_of(signature, self._home)(*values)
        return results if signature.out.parts else results[0]

    def _given(self, leaf: Node, value: Any, reached: set[Node], judge: Judge) -> NotFiniteError:
        """What to say of a bad input: where it began if it was computed before, else that it was given."""
        if isinstance(leaf, Operation):
            leaves = [x for x in collect((leaf,), 0).leaves if not x.inputs]
            _, error = Searching(leaves, [leaf], self._home, self._usual)._computed([x.value for x in leaves], judge)
            if error is not None:
                return error
        name = leaf.slot.name if isinstance(leaf, Variable) else None
        array = judge.array(value)
        word, elements = _which(array, judge)
        reader = next((node for node in self._nodes if leaf in node.inputs and node in reached), None)
        read = "" if reader is None else f"; what takes it first is {_title(reader)}"
        return NotFiniteError(
            f"debug_nans: {word} was given: {elements} of an input{f' {name!r}' if name else ''}, "
            f"{leaf.aval!r} = {_shortened(array)}{read}"
        )


def check_compiled(plan: Plan, results: Sequence[Any], home: Backend) -> None:
    """An error where somebody looks for NaN, and a plan that was made before gives it."""
    looked_for = search()
    if looked_for is None or type(plan) is Searching:
        return
    judge = Judge(looked_for.infinite, home)
    if any(judge(value) for value in results):
        raise NotFiniteError(
            f"debug_nans: there is {'NaN or an infinity' if looked_for.infinite else 'NaN'} in the results of what was "
            "compiled before debug_nans was on; compile it inside to see where that began"
        )


def _reached(roots: Sequence[Node], bad: set[Node]) -> set[Node]:
    """The bad nodes that roots are made of by way of bad ones."""
    reached = set(roots)
    stack = list(roots)
    while stack:
        for x in stack.pop().inputs:
            if x in bad and x not in reached:
                reached.add(x)
                stack.append(x)
    return reached


def _plan_of(signature: Signature, home: Backend) -> Plan:
    """A plan of one operation. It does not warn: what is bad and of consequence is an error."""
    plan = _single.get((home, signature))
    if plan is None:
        with unsearched():
            inputs = [Argument(a, WITHHELD if a.literal is None else a.literal, NO_SLOT) for a in signature.inputs]
            node = operation(signature, tuple(inputs))
            outputs = ops.outputs(node) if signature.out.parts else (node,)
            program = transcribe(inputs, outputs, below(inputs, outputs))
            program = expand_as_recorded(program, home.primitives)
            program.quiet = True
            plan = checked(program, home, home.compile)
        assert plan is not None
        _single.put((home, signature), plan)
    return plan


# --- what is said ----------------------------------------------------------------------------------------------------


def _which(array: np.ndarray[Any, Any], judge: Judge) -> tuple[str, str]:
    """What the first bad element is, and how many there are and where."""
    bad = judge.elements(array)
    place = _first(bad)
    word = "NaN" if np.isnan(array[place]) else "an infinity"
    if bad.size == 1:
        return word, "the only element"
    return word, f"{int(bad.sum())} of the {bad.size} elements, the first at {list(place)},"


def _first(bad: np.ndarray[Any, Any]) -> tuple[int, ...]:
    return tuple([int(i) for i in np.argwhere(bad)[0]])


def _described(node: Node, value: Any, known: Mapping[Node, Any], judge: Judge) -> str:
    """Where something began: the operation, its line, and what it was given."""
    arrays = map(judge.array, value if isinstance(value, tuple) else (value,))
    array = next(one for one in arrays if judge.elements(one).any())
    word, elements = _which(array, judge)
    operands = []
    infinite = False
    for i, x in enumerate(node.inputs):
        if isinstance(known[x], tuple):
            continue
        operand = judge.array(known[x])
        infinite = infinite or (operand.dtype.kind in "fc" and bool(np.isinf(operand).any()))
        kind = "" if is_fixed(x) else f"{x.aval!r} = "
        there = _element(node, operand, array.shape, _first(judge.elements(array)))
        operands.append(f"operand {i} is {kind}{_shortened(operand)}{there}")
    text = f"debug_nans: {word} began in {_title(node)}: {elements} of its result {node.aval!r}"
    if operands:
        text += f"; {', '.join(operands)}"
    return f"{text}. debug_nans(inf=True) says where the infinity began" if infinite and word == "NaN" else text


def _title(node: Node) -> str:
    """An operation, and its line."""
    assert node.signature is not None
    name = node.signature.title
    note = notes.get(node) or UNPLACED
    scope = f", in scope {'/'.join(note.scope)}" if note.scope else ""
    where = f"at {note.line}{scope}" if note.number else f"which was recorded before debug_nans was on{scope}"
    if note.order:
        which = "the derivative" if note.order == 1 else f"the derivative of order {note.order}"
        return f"{name} in {which} of {note.name}, {where}"
    if not note.number:
        return f"{name}, {where}"
    return f"{name} in a derivative that is taken {where}" if node.signature.is_derived else f"{name} {where}"


def _shortened(array: np.ndarray[Any, Any]) -> str:
    text = np.array2string(array, threshold=8, edgeitems=2, precision=6, max_line_width=10**6)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]} ..."


def _element(node: Node, operand: np.ndarray[Any, Any], shape: tuple[int, ...], place: tuple[int, ...]) -> str:
    """The element of an operand that a bad one was made of, where an operation is element by element."""
    assert node.signature is not None
    if node.signature.primitive.kind != "elementwise" or operand.size == 1:
        return ""
    return f" ({np.broadcast_to(operand, shape)[place].item()!r} there)"
