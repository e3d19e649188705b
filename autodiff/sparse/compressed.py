"""Sparse matrices from compressed products: how their entries are computed, kept for one structure and its indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..convert import as_node
from ..core.avals import intern_aval
from ..engine import Walk
from ..nodes import NO_SLOT, Argument, Node, Unknown, freeze
from ..places import bring
from ..plan import Collected, on_host
from ..tensor import wrap
from .colouring import Colours
from .recorded import Form, Recorded, host
from .sets import Ints

# Gives values, or nodes, for a walk, its outputs, its inputs, and what it is given.
RunBy = Callable[[Walk, Sequence[Node], Sequence[Node], Sequence[Node]], list[Any]]


class Products(NamedTuple):
    """One batch of products: directions of one colour each, and the walk that takes them."""

    walk: Walk
    forward: bool
    colours: Colours
    chunk: int | None
    # Kept if all are taken at once.
    seeds: list[Node]
    # Of nodes in what was collected, in place of the inputs.
    numbers: tuple[int, ...] | None

    def results(
        self, run: RunBy, collected: Collected, outputs: Sequence[Node], inputs: Sequence[Node]
    ) -> list[list[Any]]:
        """What the walk gives, in parts along the first axis: for each node values or nodes."""
        if self.numbers is not None:
            known = [*collected.numbers]
            inputs = [known[i] for i in self.numbers]
        if self.chunk is None:
            return [[x] for x in run(self.walk, outputs, inputs, self.seeds)]
        nodes, (of, count) = inputs if self.forward else outputs, self.colours
        parts = [
            run(self.walk, outputs, inputs, seeds_of(nodes, of, first, min(first + self.chunk, count)))
            for first in range(0, count, self.chunk)
        ]
        return [list(those) for those in zip(*parts, strict=True)]


class Block(NamedTuple):
    """How the matrix of one output and one input is made: of which products, and where in these its entries are."""

    form: Form
    sources: tuple[tuple[int, int], ...]
    takes: Ints
    # What is added beside, where an entry is a sum: to which, and where that is.
    more: tuple[Ints, Ints] | None
    dtype: np.dtype[Any]

    def values(self, results: Sequence[Sequence[Sequence[Any]]]) -> Any:
        """The entries, from values."""
        parts = [x.reshape(-1) for p, k in self.sources for x in results[p][k]]
        if not parts:
            return np.zeros(0, self.dtype)
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        found = whole.take(self.takes)
        if self.more is not None:
            np.add.at(found, self.more[0], whole.take(self.more[1]))
        return found.astype(self.dtype, copy=False)

    def node(self, results: Sequence[Sequence[Sequence[Node]]]) -> Node:
        """The entries, from nodes."""
        parts = [ops.reshape(x, (-1,)) for p, k in self.sources for x in results[p][k]]
        if not parts:
            return ops.zeros(intern_aval((0,), self.dtype))
        whole = parts[0] if len(parts) == 1 else ops.concatenate(parts, 0)
        found = ops.take(whole, self.takes, 0)
        if self.more is not None:
            index = ops.static_index((ops.ARRAY,), (None,))
            found = ops.index_add(found, index, ops.take(whole, self.more[1], 0), as_node(self.more[0]))
        return ops.astype(found, self.dtype)


class Compressed:
    """How the entries of all blocks are computed, for one structure and the values of its indices."""

    def __init__(self, guards: list[tuple[int, Any]], products: list[Products], blocks: list[Block]):
        self._guards = guards
        self._products = products
        self._blocks = blocks

    @property
    def nbytes(self) -> int:
        """What its arrays take."""
        arrays = [
            array
            for block in self._blocks
            for array in (block.form.starts, block.form.members, block.takes, *(block.more or ()))
        ]
        arrays += [seed.value for products in self._products for seed in products.seeds]
        return sum([getattr(array, "nbytes", 0) for array in arrays])

    def holds(self, collected: Collected) -> bool:
        """Whether the indices are those that the pattern was found for."""
        for i, known in self._guards:
            leaf = collected.leaves[i]
            if type(leaf.value) is Unknown:
                return False
            if leaf.aval.spec is not None:
                if leaf.value is not known and leaf.value != known:
                    return False
            else:
                # A trace that is being made hears that somebody looks.
                value = on_host(leaf)
                if value is not known and not np.array_equal(value, known):
                    return False
        return True

    def matrices(
        self, run: RunBy, collected: Collected, outputs: Sequence[Node], inputs: Sequence[Node], record: bool
    ) -> list[Any]:
        """The blocks: sparse arrays, or those of Tensors. ``run`` gives values, or nodes if these are recorded."""
        results: Any = [products.results(run, collected, outputs, inputs) for products in self._products]
        if record:
            return [Recorded(block.form, wrap(block.node(results))) for block in self._blocks]
        results = [[[host(x) for x in parts] for parts in several] for several in results]
        return [block.form.filled(block.values(results)) for block in self._blocks]


def seeds_of(nodes: Sequence[Node], colours: Ints, first: int, last: int) -> list[Node]:
    """For each node the directions of some colours: ones at the elements that have each, zeros elsewhere."""
    found: list[Node] = []
    begin = 0
    for x in nodes:
        aval = x.aval
        own = colours[begin : begin + aval.size]
        begin += aval.size
        (wanted,) = np.nonzero((own >= first) & (own < last))
        array: Any = np.zeros((last - first, aval.size), aval.dtype)
        array[own[wanted] - first, wanted] = 1
        array = array.reshape(last - first, *aval.shape)
        kept = intern_aval(array.shape, aval.dtype, place=aval.place)
        found.append(Argument(kept, freeze(array if aval.place is None else bring(array, aval.place)), NO_SLOT))
    return found
