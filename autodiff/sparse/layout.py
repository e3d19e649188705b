"""Where the entries of sparse matrices are in the products that give them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..engine import Walk
from ..errors import DTypeError
from ..nodes import Node
from ..walks import compressed_columns, compressed_rows
from .compressed import Block, Products, seeds_of
from .pattern import part
from .recorded import Form
from .sets import Ints, Sets, of_entries
from .ways import Group


class Cut(NamedTuple):
    """Nodes that products are of in place of the inputs, whose elements theirs are.

    Parameters
    ----------
    numbers : tuple of int
        Of the nodes, in what was collected.
    onto : ndarray of int
        For each of their elements, one after another, that of the inputs; -1 for a constant.
    """

    numbers: tuple[int, ...]
    onto: Ints


class Ends:
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


class Found:
    """Products, and for each entry of a pattern where it is in them.

    Attributes
    ----------
    products : list of Products
    sources, places : ndarray of int
        For each entry the number of an array that products give, and where in this it is.
    numbers : list of (int, int)
        Of each array: of which products, and of which of their nodes.
    sizes : list of int
        Of each array.
    """

    def __init__(
        self,
        whole: Sets,
        groups: Sequence[Group],
        rows: Sequence[Node],
        columns: Sequence[Node],
        chunk: int | None,
        order: int,
        cut: Cut | None,
    ):
        ends = Ends(rows), Ends(columns)
        row, column = whole.row_of_each(), whole.members.astype(np.intp)
        self.sources = np.zeros(len(row), np.intp)
        self.places = np.zeros(len(row), np.intp)
        self.products: list[Products] = []
        self.numbers: list[tuple[int, int]] = []
        self.sizes: list[int] = []
        for forward, colours, entries, across in groups:
            if not colours.number:
                continue
            walk = Walk(compressed_columns, (order,)) if forward else Walk(compressed_rows, (cut is not None,))
            seeds = [] if chunk is not None else seeds_of(columns if forward else rows, colours.of, 0, colours.number)
            # What entries have a colour by, and where in the product of that colour they are.
            coloured, place = (column, row) if forward != (across is True) else (row, column)
            if len(entries) < len(row):
                coloured, place = coloured[entries], place[entries]
            if not isinstance(across, bool):
                coloured, place = np.where(across, place, coloured), np.where(across, coloured, place)
            own = ends[0] if forward else ends[1]
            which = own.of(place)
            self.sources[entries] = len(self.numbers) + which
            place = place - own.first[which]
            place += colours.of[coloured] * own.sizes[which]
            self.places[entries] = place
            self.numbers += [(len(self.products), k) for k in range(len(own.sizes))]
            numbers = None if cut is None else cut.numbers
            self.products.append(Products(walk, forward, colours, chunk, seeds, numbers))
            self.sizes += (colours.number * own.sizes).tolist()

    def blocks(
        self, rows: Sequence[Node], columns: Sequence[Node], whole: Sets, terms: Sets, of_rows: bool
    ) -> list[Block]:
        """The matrices of each of the nodes by each of others: ``terms`` says of which entries here each is the sum.

        A block has the dtype of its rows, or else that of its columns, whatever its entries are found by.
        """
        ends, blocks = (Ends(rows), Ends(columns)), []
        for a, b in itertools.product(range(len(rows)), range(len(columns))):
            sets, inside = part(whole, ends[0].range(a), ends[1].range(b))
            own = terms.taken(inside)
            used = np.unique(self.sources[own.members]).tolist()
            offsets = np.zeros(len(self.numbers) + 1, np.intp)
            offsets[used] = [*itertools.accumulate([self.sizes[s] for s in used], initial=0)][:-1]
            takes = self.places[own.members] + offsets[self.sources[own.members]]
            sources = tuple([self.numbers[s] for s in used])
            dtype = (rows[a] if of_rows else columns[b]).aval.dtype
            if dtype == np.float16:
                raise DTypeError(
                    "sparse=True: SciPy has no sparse arrays of float16; convert the argument, for example with "
                    ".astype(np.float32), or leave out sparse=True"
                )
            first, more = takes, None
            if not own.single:
                beside = np.ones(len(takes), bool)
                beside[own.starts[:-1]] = False
                first, more = takes[~beside], (own.row_of_each()[beside], takes[beside])
            blocks.append(Block(Form(sets), sources, first, more, dtype))
        return blocks


def moved(whole: Sets, onto: Ints, width: int) -> tuple[Sets, Sets]:
    """A pattern by elements of a cut as one by those of inputs, and the entries of which each of its own is the sum."""
    row, column = whole.row_of_each(), onto[whole.members]
    (kept,) = np.nonzero(column >= 0)
    places = row[kept] * width + column[kept]
    order = np.argsort(places, kind="stable")
    kept, places = kept[order], places[order]
    sets = of_entries(row[kept], column[kept], whole.rows, width)
    fresh = np.nonzero(np.diff(places, prepend=-1))[0]
    return sets, Sets(np.append(fresh, len(kept)), kept, len(whole.members))
