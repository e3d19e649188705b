"""Sparse Jacobians and Hessians of recorded nodes, found again by the structure that these have."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine import Engine, Walk, positions_of
from ..errors import DifferentiationError
from ..matrices import Options, is_forward, real_only
from ..nodes import Node
from ..plan import Collected, on_host
from ..plan.cache import BYTES_AN_OPERATION
from ..vectors import captured
from ..walks import slopes
from .compressed import Compressed
from .layout import Cut, Found, moved
from .sets import Sets, identity, stacked, union
from .walk import Pattern, patterns
from .ways import FEW, Group, all_one_way, cost, grouped, symmetric

# Of one structure, of how many values of its indices plans are kept.
VARIANTS_KEPT = 8


class Variants:
    """What is known of one structure, by the values of its indices."""

    __slots__ = ("known", "n_operations")

    def __init__(self, first: Compressed):
        self.known: tuple[Compressed, ...] = (first,)
        # As many as take this memory: caches count in operations.
        self.n_operations = first.nbytes // BYTES_AN_OPERATION

    def found(self, collected: Collected, make: Callable[[], Compressed]) -> Compressed:
        """The one for these values."""
        for one in self.known:
            if one.holds(collected):
                return one
        made = make()
        self.known = (made, *self.known)[:VARIANTS_KEPT]
        return made


def _kept(
    engine: Engine,
    collected: Collected,
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    what: tuple[Any, ...],
    make: Callable[[], Compressed],
    record: bool,
) -> list[Any]:
    key = (collected.key, positions_of(collected, inputs), len(outputs), *what, "sparse")
    variants: Variants = engine.cache.get(key, lambda: Variants(make()))

    def run(walk: Walk, outputs: Sequence[Node], inputs: Sequence[Node], given: Sequence[Node]) -> list[Any]:
        if record:
            return engine.nodes(walk, outputs, inputs, captured(given))
        return engine.values(walk, collected, outputs, inputs, given)

    return variants.found(collected, make).matrices(run, collected, outputs, inputs, record)


def jacobian_entries(
    engine: Engine,
    collected: Collected,
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    options: Options,
    name: str,
    record: bool = False,
) -> list[Any]:
    """For each output and each input the sparse Jacobian; axes are flattened in C order.

    With ``record`` entries are Tensors, for what is recorded around.
    """
    forward = is_forward(options.mode, outputs, inputs, name)
    # Either way gives the same, unless dtypes differ: products have those of the results, or those of the arguments.
    dtypes = {node.aval.dtype for node in (*outputs, *inputs)}
    either = options.mode == "auto" and len(dtypes) <= 1 and all(dtype.kind != "c" for dtype in dtypes)
    distinct = list(dict.fromkeys(inputs))

    def make() -> Compressed:
        pattern = patterns(outputs, distinct)
        whole = stacked(pattern.sets)
        found = _by_cut(pattern, whole, outputs, distinct, collected) if either or not forward else None
        if found is None or found.number > FEW:
            groups = grouped(whole, either, forward)
            if found is None or cost(groups) <= found.number:
                found = _Way(whole, groups, distinct, None)
        products = Found(found.whole, found.groups, outputs, found.columns, options.chunk, 1, found.cut)
        terms = _as_they_are(whole) if found.cut is None else moved(found.whole, found.cut.onto, whole.width)
        return Compressed(
            _guards(pattern.looked, collected),
            products.products,
            products.blocks(outputs, distinct, *terms, forward),
        )

    found = _kept(engine, collected, outputs, distinct, (1, options, forward, either), make, record)
    return _for_each(found, inputs, distinct, len(outputs), 1)


def hessian_entries(
    engine: Engine,
    collected: Collected,
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    options: Options,
    name: str,
    record: bool = False,
) -> list[Any]:
    """For each output, which is one number, and each two inputs the sparse matrix of second derivatives."""
    real_only(outputs, inputs, name)
    for y in outputs:
        if y.aval.size != 1:
            raise DifferentiationError(
                f"{name}: with sparse=True it is of a result of one element, and this one is {y.aval!r}; sum it "
                "(np.sum), or take one element"
            )
    distinct = list(dict.fromkeys(inputs))
    one_dtype = len({x.aval.dtype for x in distinct}) <= 1
    blocks = []
    for y in outputs:

        def make(y: Node = y) -> Compressed:
            pattern = patterns(slopes([y], distinct, ()), distinct)
            whole = stacked(pattern.sets)
            # The second derivatives of a function are symmetric, whatever the walk knows of them.
            whole = union([whole, whole.transposed()])
            products = Found(whole, symmetric(whole, one_dtype), distinct, distinct, options.chunk, 2, None)
            blocks = products.blocks(distinct, distinct, *_as_they_are(whole), False)
            return Compressed(_guards(pattern.looked, collected), products.products, blocks)

        found = _kept(engine, collected, [y], distinct, (2, options, outputs.index(y)), make, record)
        blocks += _for_each(found, inputs, distinct, 1, 2)
    return blocks


def _as_they_are(whole: Sets) -> tuple[Sets, Sets]:
    """A pattern whose entries are found one by one."""
    count = len(whole.members)
    return whole, identity(count, 0, count)


class _Way(NamedTuple):
    """One way to find the entries: those of a pattern by groups, with respect to the inputs or to a cut."""

    whole: Sets
    groups: list[Group]
    columns: list[Node]
    cut: Cut | None

    @property
    def number(self) -> int:
        """How many products it takes."""
        return cost(self.groups)


def _by_cut(
    pattern: Pattern, whole: Sets, outputs: Sequence[Node], inputs: list[Node], collected: Collected
) -> _Way | None:
    """Entries by rows, with respect to what only moves elements of inputs; None if that is the inputs, or no better.

    Of ``x[1:] * x[:-1]`` no two elements read the same element of ``x[1:]``, so all rows are one product.
    """
    nodes, longest = [*pattern.cut], _longest_column(whole)
    if longest <= 1 or set(nodes) <= set(inputs):
        return None
    by_cut = stacked(patterns(outputs, nodes, inputs).sets)
    if _longest_column(by_cut) >= longest:
        return None
    onto = np.concatenate([_onto(pattern.cut[x]) for x in nodes])
    cut = Cut(tuple([collected.numbers[x] for x in nodes]), onto)
    return _Way(by_cut, [all_one_way(by_cut, False)], nodes, cut)


def _longest_column(whole: Sets) -> int:
    return int(np.bincount(whole.members).max(initial=0))


def _onto(sets: Sets) -> Any:
    """For each element the one that it is; -1 for a constant."""
    found = np.full(sets.rows, -1)
    found[sets.row_of_each()] = sets.members
    return found


def _for_each(found: list[Any], inputs: Sequence[Node], distinct: list[Node], count: int, order: int) -> list[Any]:
    """Blocks for inputs, of which the same may be given twice, from those for distinct ones."""
    if len(inputs) == len(distinct):
        return found
    n, own = len(distinct), [distinct.index(x) for x in inputs]
    places = [
        sum([j * n ** (order - 1 - k) for k, j in enumerate(those)]) for those in itertools.product(own, repeat=order)
    ]
    seen: set[int] = set()
    blocks = []
    for i in itertools.product(range(count), places):
        place = i[0] * n**order + i[1]
        blocks.append(copy.copy(found[place]) if place in seen else found[place])
        seen.add(place)
    return blocks


def _guards(looked: Iterable[Node], collected: Collected) -> list[tuple[int, Any]]:
    """The leaves that a pattern depends on, and their values."""
    places = {leaf: i for i, leaf in enumerate(collected.leaves)}
    found: dict[int, Any] = {}
    stack = [*looked]
    seen = set(stack)
    while stack:
        node = stack.pop()
        place = places.get(node)
        if place is None:
            fresh = [x for x in node.inputs if x not in seen]
            seen.update(fresh)
            stack += fresh
        elif node.aval.literal is None:
            found[place] = node.value if node.aval.spec is not None else on_host(node)
    return list(found.items())
