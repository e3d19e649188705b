"""Sparse matrices from compressed products: how entries are found, kept for one structure and its indices."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..core.avals import intern_aval
from ..engine import Engine, Walk, positions_of
from ..errors import DifferentiationError
from ..matrices import Options, Run, is_forward, real_only
from ..nodes import NO_SLOT, Argument, Node, Unknown, freeze
from ..places import bring
from ..plan import Collected, on_host
from ..plan.cache import BYTES_AN_OPERATION
from ..tensor import wrap
from ..vectors import captured
from ..walks import compressed_columns, compressed_rows, slopes
from .colouring import Colours, alone, columns_apart, in_turn, star
from .dense import Group, grouped
from .pattern import part
from .recorded import Form, Recorded, host
from .sets import Ints, Sets, stacked, union
from .walk import Looked, patterns

# Of one structure, of how many values of its indices plans are kept.
VARIANTS_KEPT = 8
# So few colours are no more than a star colouring needs as a rule.
FEW_COLOURS = 3


class Products(NamedTuple):
    """One batch of products: directions of one colour each, and the walk that takes them."""

    walk: Walk
    forward: bool
    colours: Colours
    chunk: int | None
    # Kept if all are taken at once.
    seeds: list[Node]

    def results(self, run: Run, outputs: Sequence[Node], inputs: Sequence[Node]) -> list[list[Any]]:
        """What the walk gives, in parts along the first axis: for each node values or nodes."""
        if self.chunk is None:
            return [[x] for x in run(self.walk, outputs, self.seeds)]
        nodes, (of, count) = inputs if self.forward else outputs, self.colours
        parts = [
            run(self.walk, outputs, _seeds(nodes, of, first, min(first + self.chunk, count)))
            for first in range(0, count, self.chunk)
        ]
        return [list(those) for those in zip(*parts, strict=True)]


class Block(NamedTuple):
    """How the matrix of one output and one input is made: of which products, and where in these its entries are."""

    form: Form
    sources: tuple[tuple[int, int], ...]
    takes: Ints
    dtype: np.dtype[Any]

    def values(self, results: Sequence[Sequence[Sequence[Any]]]) -> Any:
        """The entries, from values."""
        parts = [x.reshape(-1) for p, k in self.sources for x in results[p][k]]
        if not parts:
            return np.zeros(0, self.dtype)
        return (parts[0] if len(parts) == 1 else np.concatenate(parts)).take(self.takes).astype(self.dtype, copy=False)

    def node(self, results: Sequence[Sequence[Sequence[Node]]]) -> Node:
        """The entries, from nodes."""
        parts = [ops.reshape(x, (-1,)) for p, k in self.sources for x in results[p][k]]
        if not parts:
            return ops.zeros(intern_aval((0,), self.dtype))
        whole = parts[0] if len(parts) == 1 else ops.concatenate(parts, 0)
        return ops.astype(ops.take(whole, self.takes, 0), self.dtype)


class Compressed:
    """How the entries of all blocks are computed, for one structure and the values of its indices."""

    def __init__(self, guards: list[tuple[int, Any]], products: list[Products], blocks: list[Block]):
        self._guards = guards
        self._products = products
        self._blocks = blocks

    @property
    def nbytes(self) -> int:
        """What its arrays take."""
        arrays = [a for block in self._blocks for a in (block.form.starts, block.form.members, block.takes)]
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

    def matrices(self, run: Run, outputs: Sequence[Node], inputs: Sequence[Node], record: bool) -> list[Any]:
        """The blocks: sparse arrays, or those of Tensors. ``run`` gives values, or nodes if these are recorded."""
        results: Any = [products.results(run, outputs, inputs) for products in self._products]
        if record:
            return [Recorded(block.form, wrap(block.node(results))) for block in self._blocks]
        results = [[[host(x) for x in parts] for parts in several] for several in results]
        return [block.form.filled(block.values(results)) for block in self._blocks]


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

    def run(walk: Walk, outputs: Sequence[Node], given: Sequence[Node]) -> list[Any]:
        if record:
            return engine.nodes(walk, outputs, inputs, captured(given))
        return engine.values(walk, collected, outputs, inputs, given)

    return variants.found(collected, make).matrices(run, outputs, inputs, record)


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
        sets, looked = patterns(outputs, distinct)
        whole = stacked(sets)
        groups, guards = grouped(whole, either, forward), _guards(looked, collected)
        return _compressed(whole, groups, outputs, distinct, guards, options.chunk, 1, forward)

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
    real_only((*outputs, *inputs), name)
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
            sets, looked = patterns(slopes([y], distinct, ()), distinct)
            whole = stacked(sets)
            # The second derivatives of a function are symmetric, whatever the walk knows of them.
            whole = union([whole, whole.transposed()])
            groups, guards = _symmetric(whole, one_dtype), _guards(looked, collected)
            return _compressed(whole, groups, distinct, distinct, guards, options.chunk, 2, False)

        blocks += _for_each(
            _kept(engine, collected, [y], distinct, (2, options, outputs.index(y)), make, record),
            inputs,
            distinct,
            1,
            2,
        )
    return blocks


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


def _guards(looked: Looked, collected: Collected) -> list[tuple[int, Any]]:
    """The leaves that a pattern depends on, and their values."""
    places = {leaf: i for i, leaf in enumerate(collected.leaves)}
    found: dict[int, Any] = {}
    stack, seen = list(looked), set(looked)
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


def _symmetric(whole: Sets, one_dtype: bool) -> list[Group]:
    """How a symmetric matrix is compressed: its columns, coloured so that each entry or the one across is found.

    The one across is taken where both are: it is the one that a whole Hessian has. If dtypes differ, no other is.
    """
    least = int(whole.counts.max(initial=0))
    entries = np.arange(len(whole.members))
    best = in_turn(whole, least)
    if best is None or best.number > FEW_COLOURS:
        starred = star(whole) if one_dtype else None
        if best is None and (starred is None or starred.number > least):
            best = columns_apart(whole)
        if starred is not None and (best is None or starred.number < best.number):
            # In order of columns the entries are those across from what they are in order of rows.
            across = alone(whole, starred.of)[np.argsort(whole.members, kind="stable")]
            return [Group(True, starred, entries, across)]
    assert best is not None
    return [Group(True, best, entries, np.ones(len(entries), bool))]


def _compressed(
    whole: Sets,
    groups: Sequence[Group],
    rows: Sequence[Node],
    columns: Sequence[Node],
    guards: list[tuple[int, Any]],
    chunk: int | None,
    order: int,
    of_rows: bool,
) -> Compressed:
    """The products that groups of entries need, and where in these the entries are.

    ``rows`` and ``columns`` are the nodes whose elements, one after another, the rows and columns are. A block has the
    dtype of its rows, or else that of its columns, whatever its entries are found by.
    """
    ends = _Ends(rows), _Ends(columns)
    row, column = whole.row_of_each(), whole.members.astype(np.intp)
    sources = np.zeros(len(row), np.intp)
    places = np.zeros(len(row), np.intp)
    products: list[Products] = []
    numbers: list[tuple[int, int]] = []
    sizes: list[int] = []
    for forward, colours, entries, across in groups:
        if not colours.number:
            continue
        walk = Walk(compressed_columns, (order,)) if forward else Walk(compressed_rows)
        given = columns if forward else rows
        seeds = [] if chunk is not None else _seeds(given, colours.of, 0, colours.number)
        # What entries have a colour by, and where in the product of that colour they are.
        coloured, place = (column, row) if forward else (row, column)
        coloured, place = coloured[entries], place[entries]
        coloured, place = np.where(across, place, coloured), np.where(across, coloured, place)
        own = ends[0] if forward else ends[1]
        which = own.of(place)
        sources[entries] = len(numbers) + which
        places[entries] = colours.of[coloured] * own.sizes[which] + place - own.first[which]
        numbers += [(len(products), k) for k in range(len(own.sizes))]
        products.append(Products(walk, forward, colours, chunk, seeds))
        sizes += (colours.number * own.sizes).tolist()
    blocks = []
    for a, b in itertools.product(range(len(rows)), range(len(columns))):
        sets, inside = part(whole, ends[0].range(a), ends[1].range(b))
        used = np.unique(sources[inside]).tolist() if len(inside) else []
        offsets = np.zeros(len(numbers) + 1, np.intp)
        offsets[used] = np.cumsum([0, *[sizes[s] for s in used]])[:-1] if used else 0
        takes = places[inside] + offsets[sources[inside]]
        blocks.append(
            Block(
                Form(sets),
                tuple([numbers[s] for s in used]),
                takes,
                (rows[a] if of_rows else columns[b]).aval.dtype,
            )
        )
    return Compressed(guards, products, blocks)


class _Ends:
    """Where the elements of nodes begin, one after another."""

    def __init__(self, nodes: Sequence[Node]):
        self.sizes = np.array([x.aval.size for x in nodes], np.intp)
        self.first = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.intp)

    def of(self, places: Ints) -> Ints:
        """Which node each place is in."""
        if len(self.sizes) == 1:
            return np.zeros(len(places), np.intp)
        return np.searchsorted(self.first, places, side="right") - 1

    def range(self, i: int) -> tuple[int, int]:
        """Where a node begins and ends."""
        return int(self.first[i]), int(self.first[i + 1])


def _seeds(nodes: Sequence[Node], colours: Ints, first: int, last: int) -> list[Node]:
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
