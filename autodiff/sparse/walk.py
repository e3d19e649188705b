"""The pattern of a Jacobian: which elements of inputs the elements of outputs may depend on, node by node.

A walk like the others: what a primitive does to sets of elements follows from its card. A set may be too large, where
a card does not say more, and is never too small.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..axes import Labels, axis_labels, extent, takes_whole
from ..differentiate import Flows, active_operations, passes_wholly
from ..errors import BackendError
from ..nodes import Node, Operation, Unknown, history
from ..plan import on_host
from .sets import Ints, Sets, check_memory, empty, identity, of_entries, stacked, union

# So many sets are not made one before something needs it.
MOST_PARTS = 8


class Pattern(NamedTuple):
    """What a walk finds.

    Parameters
    ----------
    sets : list of Sets
        For each output the elements of all inputs, one after another, that its elements may depend on.
    looked : dict of Node to None
        What the pattern depends on beside the structure: indices, whose values were looked at.
    cut : dict of Node to Sets
        Nodes through which everything passes: the last ones on each way from the inputs that only move elements. Each
        of their elements is one of the inputs, or a constant.
    """

    sets: list[Sets]
    looked: dict[Node, None]
    cut: dict[Node, Sets]


def patterns(outputs: Sequence[Node], inputs: Sequence[Node], made_of: Sequence[Node] | None = None) -> Pattern:
    """Which elements of inputs the elements of outputs may depend on.

    If inputs are ``made_of`` others, they are variables of their own nevertheless.
    """
    return _Walk(outputs, inputs, made_of)()


class _Walk:
    """One walk. Sets are kept no longer than somebody needs them, and what is met again is not made again.

    Those of a node are the union of several, which is made when something else than elementwise operations needs it.
    """

    def __init__(self, outputs: Sequence[Node], inputs: Sequence[Node], made_of: Sequence[Node] | None):
        self._outputs = outputs
        self._flows = _needed(active_operations(outputs, inputs, made_of is not None)[0], outputs)
        self._varying = {*inputs, *(made_of or ())}
        self._looked: dict[Node, None] = {}
        self._width = sum([x.aval.size for x in inputs])
        self._sets: dict[Node, tuple[Sets, ...]] = {}
        first = 0
        for x in inputs:
            self._sets[x] = (identity(x.aval.size, first, self._width),)
            first += x.aval.size
        # What only moves elements of inputs.
        self._plain = set(inputs)
        self._made: weakref.WeakValueDictionary[Any, Sets] = weakref.WeakValueDictionary()

    def __call__(self) -> Pattern:
        uses: dict[Node, int] = dict.fromkeys(self._outputs, 1)
        for op, positions in self._flows.items():
            for i in positions:
                uses[op.inputs[i]] = uses.get(op.inputs[i], 0) + 1
        cut = {y: self._whole_of(y) for y in self._outputs if y in self._plain}
        for op, positions in self._flows.items():
            self._sets[op] = self._of(op, positions)
            operands = [op.inputs[i] for i in positions]
            if op not in self._plain:
                cut.update({x: self._whole_of(x) for x in operands if x in self._plain})
            elif op in self._outputs:
                cut[op] = self._whole_of(op)
            for x in operands:
                uses[x] -= 1
                if not uses[x]:
                    del self._sets[x]
        sets = [self._whole_of(y) if y in self._sets else empty(y.aval.size, self._width) for y in self._outputs]
        return Pattern(sets, self._looked, cut)

    def _once(self, key: Any, make: Callable[[], Sets]) -> Sets:
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = make()
        return found

    def _union(self, several: Iterable[Sets]) -> tuple[Sets, ...]:
        distinct = {sets.number: sets for sets in several}
        if len(distinct) <= MOST_PARTS:
            return tuple(distinct.values())
        return (self._once(("union", *sorted(distinct)), lambda: union([*distinct.values()])),)

    def _whole_of(self, x: Node) -> Sets:
        parts = self._sets[x]
        if len(parts) > 1:
            key = ("union", *sorted([sets.number for sets in parts]))
            parts = self._sets[x] = (self._once(key, lambda: union(parts)),)
        return parts[0]

    def _of(self, op: Operation, positions: tuple[int, ...]) -> tuple[Sets, ...]:
        check_memory(op.aval.size)
        positions = passes_wholly(op, positions)
        if not positions:
            return (empty(math.prod(extent(op.aval)), self._width),)
        primitive = op.signature.primitive
        if primitive is ops.part_p:
            return (self._part(op),)
        if primitive is ops.custom_p:
            return (self._whole(op, positions),)
        if primitive.kind == "elementwise" or (primitive.several and primitive.core is None):
            shape = extent(op.aval)
            return self._union([part for i in positions for part in self._broadcast(op.inputs[i], shape)])
        if primitive.kind == "indexing":
            return self._indexed(op, positions)
        if primitive is ops.concatenate_p or (primitive.kind == "view" and primitive.meaning is not None):
            return (self._moved(op, positions, op.inputs, op.signature.params),)
        return self._labelled(op, positions)

    # --- elements that stay what they are ----------------------------------------------------------------------------

    def _broadcast(self, x: Node, shape: tuple[int, ...]) -> tuple[Sets, ...]:
        if x.aval.shape == shape:
            return self._sets[x]
        sets = self._whole_of(x)
        key = ("broadcast", sets.number, x.aval.shape, shape)
        return (self._once(key, lambda: sets.taken(np.broadcast_to(_numbered(x.aval.shape), shape).ravel())),)

    def _part(self, op: Operation) -> Sets:
        """One of several outputs: the axes that all have come first, and each place of these has one set."""
        (x,) = op.inputs
        sets = self._whole_of(x)
        size = op.aval.size
        return sets if size == sets.rows else sets.taken(np.repeat(np.arange(sets.rows), size // (sets.rows or 1)))

    def _moved(self, op: Operation, positions: tuple[int, ...], values: Sequence[Any], key: tuple[Any, ...]) -> Sets:
        """What only moves elements moves their numbers likewise."""
        if all(op.inputs[i] in self._plain for i in positions):
            self._plain.add(op)
        own = [self._whole_of(op.inputs[i]) for i in positions]

        def make() -> Sets:
            arguments, first = list(values), 0
            for i, x in enumerate(op.inputs):
                if i in positions:
                    arguments[i] = _numbered(x.aval.shape, first)
                    first += x.aval.size
                elif isinstance(arguments[i], Node):
                    arguments[i] = np.full(x.aval.shape, -1)
            signature = op.signature
            found = signature.meaning("numpy")(np, *arguments, **signature.meaning_keywords)
            return (own[0] if len(own) == 1 else stacked(own)).taken(np.asarray(found).ravel())

        return self._once((op.signature, positions, *[sets.number for sets in own], key), make)

    # --- indices -----------------------------------------------------------------------------------------------------

    def _indexed(self, op: Operation, positions: tuple[int, ...]) -> tuple[Sets, ...]:
        x, index, *rest = op.inputs
        spec = index.aval.spec
        assert spec is not None
        count = len(rest) - spec.count(ops.ARRAY)
        place = self._value(index)
        arrays = [self._value(array) for array in rest[count:]]
        if place is None or any(array is None for array in arrays):
            whole = None if place is None else takes_whole(index.aval, place)
            return self._labelled(op, positions, whole)
        key = (_hashable(place), *rest[count:])
        if op.signature.primitive is not ops.index_add:
            return (self._moved(op, positions, [x, place, *rest[:count], *arrays], key),)
        sets = [*self._sets[x]] if 0 in positions else []
        if 2 in positions:
            read = ops.index.meaning
            assert read is not None
            targets = read(np, _numbered(x.aval.shape), place, *arrays, spec=spec)
            added = self._whole_of(rest[0])
            sets.append(
                self._once(
                    ("add", added.number, x.aval.shape, spec, *key),
                    lambda: added.merged(np.asarray(targets).ravel(), x.aval.size),
                )
            )
        return self._union(sets)

    def _value(self, node: Node) -> Any:
        """The value of an index or an index array; None if it is not known, or depends on the inputs."""
        if type(node.value) is Unknown:
            return None
        below = history(node) if node.inputs else [node]
        if any(x in self._varying or type(x.value) is Unknown for x in below):
            return None
        if node.aval.literal is None:
            self._looked[node] = None
        return node.value if node.aval.spec is not None else on_host(node)

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _labelled(
        self, op: Operation, positions: tuple[int, ...], whole: Sequence[bool] | None = None
    ) -> tuple[Sets, ...]:
        """What is taken as a whole along the axes that its card does not name, place by place of the others."""
        try:
            labels = axis_labels(op.signature, whole)
        except BackendError:
            return (self._whole(op, positions),)
        shape, out = extent(op.aval), labels.out
        if op.aval.parts:
            # The axes of the batch alone: of several outputs the others differ.
            batch = [label for label in out if label is not None]
            shape, out = shape[: len(batch)], tuple(batch)
        return self._union([self._block(op.inputs[i], labels.operands[i], shape, out) for i in positions])

    def _block(self, x: Node, labels: Labels, shape: tuple[int, ...], out: Labels) -> Sets:
        """All elements of an operand that agree with one of the result in the axes that both have."""
        sets = self._whole_of(x)
        sizes = {label: n for label, n in zip(out, shape, strict=True) if label is not None}
        known = [label is not None and sizes.get(label) == n for label, n in zip(labels, x.aval.shape, strict=True)]
        common = [label for label, is_known in zip(labels, known, strict=True) if label is not None and is_known]

        def make() -> Sets:
            kept = tuple([n if is_known else 1 for n, is_known in zip(x.aval.shape, known, strict=True)])
            groups = np.broadcast_to(_numbered(kept), x.aval.shape).ravel()
            merged = sets if kept == x.aval.shape else sets.merged(groups, math.prod(kept))
            # The axes that both have, in the order of the result, and ones for its others.
            numbers = _numbered(tuple([sizes[label] for label in common]))
            numbers = numbers.transpose([common.index(label) for label in out if label in common])
            numbers = numbers.reshape([n if label in common else 1 for label, n in zip(out, shape, strict=True)])
            return merged.taken(np.broadcast_to(numbers, shape).ravel())

        return self._once(("block", sets.number, x.aval.shape, labels, shape, out), make)

    def _whole(self, op: Operation, positions: tuple[int, ...]) -> Sets:
        """Everything depends on everything."""
        several = [self._whole_of(op.inputs[i]) for i in positions]
        members = np.concatenate([sets.members for sets in several])
        once = of_entries(np.zeros(len(members), np.intp), members, 1, self._width)
        return once.taken(np.zeros(1 if op.aval.parts else op.aval.size, np.intp))


def _needed(flows: Flows, outputs: Sequence[Node]) -> Flows:
    """Those operations through which a derivative passes all the way."""
    needed = set(outputs)
    for op in reversed(flows):
        if op in needed:
            needed.update([op.inputs[i] for i in flows[op]])
    return {op: positions for op, positions in flows.items() if op in needed}


def _numbered(shape: tuple[int, ...], first: int = 0) -> Ints:
    """The numbers of elements, in their places."""
    return np.arange(first, first + math.prod(shape)).reshape(shape)


def _hashable(place: tuple[Any, ...]) -> tuple[Any, ...]:
    """An index without arrays as part of a key."""
    return tuple([(e.start, e.stop, e.step) if isinstance(e, slice) else e for e in place])
