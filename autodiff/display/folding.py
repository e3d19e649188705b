"""Long lists of operations as few: those of one scope are one, and what repeats is drawn once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

# Repetitions that are folded: at least so many, of a body of so many operations at most. The last figure bounds the
# comparisons of all.
FEWEST = 3
LONGEST_BODY = 256
MOST_COMPARED = 1 << 24
# Of boxes of neighbours there are so many times fewer than there may be boxes.
FEWER = 5


@dataclass(slots=True)
class Fold:
    """One box, for operations.

    Parameters
    ----------
    turns : list of list of int
        The operations of each repetition.
    name : str
        That of a scope; empty for what has none.
    run : int
        The number of what repeats together; -1 for what is there once.
    """

    turns: list[list[int]]
    name: str = ""
    run: int = -1

    @property
    def members(self) -> list[int]:
        """All operations."""
        return [i for turn in self.turns for i in turn]


def folded(
    letters: Sequence[Hashable], scopes: Sequence[tuple[str, ...]], halves: Sequence[int], most: int
) -> list[Fold]:
    """What is drawn of operations in order: by scope, by repetition, at last by nearness, until it is not too much.

    Parameters
    ----------
    letters : sequence
        What each operation is: equal ones are alike.
    scopes : sequence of tuple of str
        The names it belongs to, the outermost first.
    halves : sequence of int
        Which column it is in: no box is in both.
    most : int
        How many boxes there may be.
    """
    found = [Fold([[i]]) for i in range(len(letters))]
    for depth in range(max(map(len, scopes), default=0), 0, -1):
        if len(found) <= most:
            break
        found = _by_scope(scopes, halves, depth)
    if len(found) > most:
        found = _by_repetition(found, list(zip(letters, halves, strict=True)))
    if len(found) > most:
        found = _by_nearness(found, halves, most)
    return found


def _by_scope(scopes: Sequence[tuple[str, ...]], halves: Sequence[int], depth: int) -> list[Fold]:
    """What follows one another in one scope is one box: then arrows still lead forward."""
    found = []
    for (scope, _), members in groupby(range(len(scopes)), key=lambda i: (scopes[i][:depth], halves[i])):
        numbers = list(members)
        if scope:
            found.append(Fold([numbers], "/".join(scope)))
        else:
            found += [Fold([[i]]) for i in numbers]
    return found


def _by_repetition(folds: list[Fold], letters: Sequence[Hashable]) -> list[Fold]:
    words = [tuple([letters[i] for i in fold.members]) for fold in folds]
    table = {word: i for i, word in enumerate(dict.fromkeys(words))}
    result: list[Fold] = []
    last = 0
    for run, (start, period, count) in enumerate(repetitions(np.array([table[word] for word in words]))):
        result += folds[last:start]
        for offset in range(period):
            same = [folds[start + offset + turn * period] for turn in range(count)]
            names = [fold.name for fold in same]
            name = names[0] if names[0] == names[-1] else f"{names[0]} … {names[-1]}"
            result.append(Fold([fold.members for fold in same], name, run))
        last = start + period * count
    return result + folds[last:]


def repetitions(word: np.ndarray) -> list[tuple[int, int, int]]:
    """What repeats in a word: where it begins, how long it is, and how often it is there; the longest first chosen."""
    found: list[tuple[int, int, int]] = []
    parts = [(0, len(word))]
    while parts:
        begin, end = parts.pop()
        best = _longest(word[begin:end])
        if best is not None:
            start, period, count = best[0] + begin, best[1], best[2]
            found.append((start, period, count))
            parts += [(begin, start), (start + period * count, end)]
    return sorted(found)


def _longest(word: np.ndarray) -> tuple[int, int, int] | None:
    """The repetition that takes most of a word; of several the shortest body, and the first."""
    n = len(word)
    best, most = None, 0
    for period in range(1, min(n // FEWEST, LONGEST_BODY, max(MOST_COMPARED // max(n, 1), 1)) + 1):
        differs = np.flatnonzero(word[period:] != word[:-period])
        # Between two places that differ each letter is that one period later.
        ends = np.append(differs, n - period)
        starts = np.append(0, differs + 1)
        counts = (ends - starts) // period + 1
        i = int(np.argmax(counts))
        taken = int(counts[i]) * period
        if counts[i] >= FEWEST and taken > most:
            best, most = (int(starts[i]), period, int(counts[i])), taken
    return best


def _by_nearness(folds: list[Fold], halves: Sequence[int], most: int) -> list[Fold]:
    """Neighbours together: for what has no structure that is seen. Everything leads to everything, so they are few."""
    length = -(-len(folds) // max(most // FEWER, 1))
    result = []
    for _, members in groupby(folds, key=lambda fold: halves[fold.members[0]]):
        several = list(members)
        for i in range(0, len(several), length):
            chunk = several[i : i + length]
            names = list(dict.fromkeys([fold.name for fold in chunk if fold.name]))
            result.append(Fold([[n for fold in chunk for n in fold.members]], ", ".join(names[:2])))
    return result
