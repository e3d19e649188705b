"""Which entries of a matrix are found by columns, and which by rows: a few dense lines are taken apart."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .colouring import Colours, alone, columns_apart, in_turn, star
from .sets import Ints, Sets, of_entries

# So few products are not worth looking for fewer: two plans cost more, and colouring takes longest of all.
FEW = 4
# So few colours are no more than a star colouring needs as a rule.
FEW_COLOURS = 3


class Group(NamedTuple):
    """Entries that are found together.

    Parameters
    ----------
    forward : bool
        Whether by columns, in forward mode, or by rows.
    colours : Colours
        Of the columns, or rows.
    entries : ndarray
        Which.
    across : bool or ndarray of bool
        Whether each, or all, are found as the entry across the diagonal.
    """

    forward: bool
    colours: Colours
    entries: Ints
    across: Any = False


def grouped(whole: Sets, either: bool, forward: bool) -> list[Group]:
    """How the entries of a matrix are found with few products; ``forward`` says in which mode, unless it may be either.

    All by columns, all by rows, or those of a few dense lines one way and the rest the other: what is fewest.
    """
    if not either:
        return [all_one_way(whole, forward)]
    rows, columns = whole.counts, np.bincount(whole.members, minlength=whole.width)
    # No way needs fewer products than its longest line has entries: the one that may be better is tried first.
    first = int(rows.max(initial=0)) <= int(columns.max(initial=0))
    best = [all_one_way(whole, first)]
    if cost(best) > int((columns if first else rows).max(initial=0)):
        best = min(best, [all_one_way(whole, not first)], key=cost)
    for by_rows, counts in ((True, rows), (False, columns)):
        for most in _limits(counts):
            if cost(best) > FEW and most < cost(best):
                best = min(best, _apart(whole, counts, most, by_rows), key=cost)
    return best


def cost(groups: list[Group]) -> int:
    """How many products they take."""
    return sum([group.colours.number for group in groups])


def all_one_way(whole: Sets, forward: bool) -> Group:
    """All entries by columns, or all by rows."""
    return _group(whole, np.arange(len(whole.members)), forward)


def _group(whole: Sets, entries: Ints, forward: bool) -> Group:
    """Some entries by columns or by rows: other entries of the same lines may be mixed up."""
    row, column = whole.row_of_each()[entries], whole.members[entries]
    if forward:
        colours = columns_apart(of_entries(row, column, whole.rows, whole.width))
    else:
        colours = columns_apart(of_entries(column, row, whole.width, whole.rows))
    return Group(forward, colours, entries)


def _limits(counts: Ints) -> list[int]:
    """Numbers of entries such that lines with more may better be taken apart, the most promising first."""
    distinct, times = np.unique(counts, return_counts=True)
    beyond = len(counts) - np.cumsum(times)
    order = np.argsort(distinct + beyond, kind="stable")
    return [int(distinct[i]) for i in order[:2] if 0 < distinct[i] < distinct[-1]]


def _apart(whole: Sets, counts: Ints, most: int, by_rows: bool) -> list[Group]:
    """The lines of more entries than ``most`` one way, and the others the other way."""
    line = whole.row_of_each() if by_rows else whole.members
    long = counts[line] > most
    return [_group(whole, np.nonzero(long)[0], not by_rows), _group(whole, np.nonzero(~long)[0], by_rows)]


def symmetric(whole: Sets, one_dtype: bool) -> list[Group]:
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
    return [Group(True, best, entries, True)]
