"""Colours for the rows and columns of sparse matrices: those of one colour are computed together.

What follows from a pattern alone. A colour is a number from 0, and -1 stands for what has no entries to be found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .sets import Ints, Sets

# Rows with more entries than this are not compared pair by pair for a colouring in turn.
LONGEST_ROW = 64
# Of so many entries a colouring in turn is taken with one colour too many: one after another they take half a second.
LARGE = 1 << 20


class Colours(NamedTuple):
    """A colour for each of some columns (or rows), and how many there are."""

    of: Ints
    number: int


def _counted(colours: Ints) -> Colours:
    """Colours that are used, numbered from 0."""
    known = colours >= 0
    used, numbers = np.unique(colours[known], return_inverse=True)
    found = np.full(len(colours), -1)
    found[known] = numbers
    return Colours(found, len(used))


def columns_apart(rows: Sets) -> Colours:
    """Colours for columns, no two of which have entries in one row: a distance-2 colouring of a bipartite graph.

    No colouring has fewer colours than the longest row has entries; one that has as many is taken at once, and of large
    patterns one that has one more.
    """
    least = int(rows.counts.max(initial=0))
    if least <= 1:
        return _counted(np.where(np.bincount(rows.members, minlength=rows.width) > 0, 0, -1))
    best = in_turn(rows, least)
    if best is not None and best.number <= least + (len(rows.members) > LARGE):
        return best
    columns = rows.transposed()
    for order in (np.argsort(-_conflicts(rows, columns), kind="stable"), np.arange(rows.width)):
        found = _greedy(columns, rows.rows, order)
        if best is None or found.number < best.number:
            best = found
        if best.number == least:
            break
    assert best is not None
    return best


def _conflicts(rows: Sets, columns: Sets) -> Ints:
    """For each column how many entries its rows have: as a rule, with how many others it is in conflict."""
    counts = rows.counts[columns.members]
    sums = np.concatenate([[0], np.cumsum(counts)])
    found: Ints = sums[columns.starts[1:]] - sums[columns.starts[:-1]]
    return found


def in_turn(rows: Sets, least: int) -> Colours | None:
    """A colouring that repeats itself, if one with few colours does: as bands and grids have.

    With ``p`` colours it fits if no two entries of a row are a multiple of ``p`` apart.
    """
    if least > LONGEST_ROW:
        return None
    apart = np.zeros(rows.width, bool)
    members, ends = rows.members, np.repeat(rows.starts[1:], rows.counts)
    places = np.arange(len(members))
    for step in range(1, least):
        places = places[places + step < ends[places]]
        apart[members[places + step] - members[places]] = True
    least = max(least, 1)
    for p in range(least, 2 * least + 1):
        if not apart[p::p].any():
            used = np.bincount(members, minlength=rows.width) > 0
            return _counted(np.where(used, np.arange(rows.width) % p, -1))
    return None


def _greedy(columns: Sets, count: int, order: Ints) -> Colours:
    """The first colour that no column has which a column shares a row with, one after another.

    The colours in a row are the bits of one integer, so that each entry is one operation.
    """
    taken = [0] * count
    members, starts = columns.members.tolist(), columns.starts.tolist()
    colours = np.full(columns.rows, -1)
    found: list[int] = []
    those: list[int] = []
    for column in order.tolist():
        own = members[starts[column] : starts[column + 1]]
        if not own:
            continue
        others = 0
        for row in own:
            others |= taken[row]
        bit = ~others & (others + 1)
        for row in own:
            taken[row] |= bit
        those.append(column)
        found.append(bit.bit_length() - 1)
    colours[those] = found
    return _counted(colours)


# --- symmetric matrices ----------------------------------------------------------------------------------------------


def star(matrix: Sets) -> Colours:
    """Colours for the columns of a symmetric matrix, such that each entry or the one across is alone in its row.

    A star colouring of its graph: neighbours differ, and no path of four has two colours (Gebremedhin, Tarafdar, Manne
    and Pothen, "New acyclic and star coloring algorithms with application to computing Hessians", 2007). Those with
    most neighbours come first, so that a dense row has a colour of its own.
    """
    members, starts = matrix.members.tolist(), matrix.starts.tolist()
    n = matrix.rows
    bits = [0] * n
    # For each vertex: the colours of its neighbours, those that several of them have, and those of neighbours that
    # have another neighbour of its own colour.
    once, twice, beyond = [0] * n, [0] * n, [0] * n
    colours = np.full(n, -1)
    for vertex in np.argsort(-matrix.counts, kind="stable").tolist():
        neighbours = members[starts[vertex] : starts[vertex + 1]]
        if not neighbours:
            continue
        others = once[vertex]
        for w in neighbours:
            others |= beyond[w] if bits[w] else once[w]
        bit = ~others & (others + 1)
        bits[vertex] = bit
        colours[vertex] = bit.bit_length() - 1
        for w in neighbours:
            if w == vertex:
                continue
            if not once[w] & bit:
                once[w] |= bit
                continue
            if not twice[w] & bit:
                twice[w] |= bit
                if bits[w]:
                    for x in members[starts[w] : starts[w + 1]]:
                        if bits[x] == bit:
                            beyond[x] |= bits[w]
            elif bits[w]:
                beyond[vertex] |= bits[w]
    return _counted(colours)


def alone(rows: Sets, colours: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """For each entry whether its colour is that of no other entry of its row: then a product of the colour is it."""
    count = int(colours.max(initial=0)) + 1
    keys = rows.row_of_each() * count + colours[rows.members]
    _, where, times = np.unique(keys, return_inverse=True, return_counts=True)
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = times[where] == 1
    return found
