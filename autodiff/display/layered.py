"""A layered layout: arrows lead from layer to layer, cross seldom, and are straight where that is possible.

After Sugiyama, Tagawa and Toda (1981): layers by the longest paths, an order in each by the means of neighbours, and
places by least squares in that order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 12
GAP = 22.0
NARROW = 12.0

Pair = tuple[int, int]


@dataclass(slots=True)
class Layout:
    """Where things are.

    Parameters
    ----------
    x : list of float
        The middle of each vertex.
    layer : list of int
        The layer of each.
    bends : dict of pair to list of float
        Of an arrow over several layers the places in the layers between.
    width : float
    """

    x: list[float]
    layer: list[int]
    bends: dict[Pair, list[float]]
    width: float


def layers(floors: Sequence[int], edges: Sequence[Pair]) -> list[int]:
    """The layer of each vertex: below all that leads to it, and as near as that allows to what it leads to.

    Vertices are numbered so that an arrow leads to a higher number. ``floors`` are the first layers that they may have.
    """
    found = list(floors)
    for source, target in sorted(edges, key=lambda pair: pair[1]):
        found[target] = max(found[target], found[source] + 1)
    incoming = {target for _, target in edges}
    nearest: dict[int, int] = {}
    for source, target in edges:
        nearest[source] = min(nearest.get(source, found[target]), found[target])
    for vertex, below in nearest.items():
        if vertex not in incoming:
            found[vertex] = below - 1
    return found


def fitted(wanted: Sequence[float], weights: Sequence[float], room: Sequence[float]) -> list[float]:
    """Places nearest to those wanted, in this order, each at least so far from the one before.

    It is an isotonic regression, solved by pooling neighbours that would be in the wrong order.
    """
    offsets, total = [], 0.0
    for space in room:
        total += space
        offsets.append(total)
    # Blocks: their mean, weight, and length.
    pools: list[list[float]] = []
    for place, weight, offset in zip(wanted, weights, offsets, strict=True):
        pools.append([place - offset, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, heavy, length = pools.pop()
            last = pools[-1]
            last[0] = (last[0] * last[1] + mean * heavy) / (last[1] + heavy)
            last[1] += heavy
            last[2] += length
    means = [mean for mean, _, length in pools for _ in range(int(length))]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


class _Drawing:
    """Vertices, and those that stand for arrows in the layers between."""

    def __init__(self, widths: Sequence[float], edges: Sequence[Pair], floors: Sequence[int]):
        self.layer = layers(floors, edges)
        self.widths = list(widths)
        self.is_real = [True] * len(widths)
        self.chains: dict[Pair, list[int]] = {}
        self.above: list[list[int]] = [[] for _ in widths]
        self.below: list[list[int]] = [[] for _ in widths]
        for source, target in dict.fromkeys(edges):
            chain = []
            last = source
            for layer in range(self.layer[source] + 1, self.layer[target]):
                chain.append(len(self.widths))
                self.widths.append(NARROW)
                self.is_real.append(False)
                self.layer.append(layer)
                self.above.append([])
                self.below.append([])
                self._join(last, chain[-1])
                last = chain[-1]
            self._join(last, target)
            self.chains[source, target] = chain
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for vertex in self._by_depth():
            self.rows[self.layer[vertex]].append(vertex)

    def _join(self, source: int, target: int) -> None:
        self.below[source].append(target)
        self.above[target].append(source)

    def _by_depth(self) -> list[int]:
        """Vertices as they are met by a walk up from the ends: what belongs together is together."""
        found: dict[int, None] = {}
        ends = [v for v in range(len(self.widths)) if not self.below[v]]
        for end in ends:
            stack = [end]
            while stack:
                vertex = stack.pop()
                if vertex not in found:
                    found[vertex] = None
                    stack += self.above[vertex][::-1]
        return list(found)

    def crossings(self) -> int:
        """How many arrows cross."""
        total = 0
        for row in self.rows[:-1]:
            place = {v: i for i, v in enumerate(self.rows[self.layer[row[0]] + 1])} if row else {}
            ends: list[int] = []
            for v in row:
                targets = sorted([place[w] for w in self.below[v]])
                total += sum([sum([e > t for e in ends]) for t in targets])
                ends += targets
        return total

    def order(self) -> None:
        """Order each layer by the means of neighbours, down and up, and keep what crosses least."""
        best, fewest = [row[:] for row in self.rows], self.crossings()
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            near = self.above if down else self.below
            place = {v: float(i) for row in self.rows for i, v in enumerate(row)}
            for row in self.rows if down else self.rows[::-1]:
                means = {v: sum([place[w] for w in near[v]]) / len(near[v]) if near[v] else place[v] for v in row}
                row.sort(key=means.__getitem__)
                place.update({v: float(i) for i, v in enumerate(row)})
            count = self.crossings()
            if count < fewest:
                best, fewest = [row[:] for row in self.rows], count
            if not count:
                break
        self.rows = best

    def _strength(self, v: int, w: int) -> float:
        """How straight an arrow is to be: those that pass by most of all, those of side branches least."""
        if not (self.is_real[v] or self.is_real[w]):
            return 4.0
        is_aside = any(not (self.above[u] and self.below[u]) for u in (v, w))
        return 0.1 if is_aside else 1.0

    def place(self) -> list[float]:
        """Where the middles of vertices are."""
        x = [0.0] * len(self.widths)
        rooms = []
        for row in self.rows:
            room = [0.0] if row else []
            for before, after in pairwise(row):
                gap = GAP if self.is_real[before] or self.is_real[after] else NARROW
                room.append((self.widths[before] + self.widths[after]) / 2 + gap)
            rooms.append(room)
            for v, place in zip(row, fitted([0.0] * len(row), [1.0] * len(row), room), strict=True):
                x[v] = place
        for sweep in range(3 * SWEEPS):
            down = sweep % 2 == 0
            last = sweep >= 3 * SWEEPS - 2
            for i in range(len(self.rows)) if down else range(len(self.rows) - 1, -1, -1):
                row = self.rows[i]
                wanted, weights = [], []
                for v in row:
                    near = [*self.above[v], *self.below[v]] if last else self.above[v] if down else self.below[v]
                    near = near or [*self.above[v], *self.below[v]]
                    strength = [self._strength(v, w) for w in near]
                    total = sum(strength)
                    wanted.append(
                        sum([s * x[w] for s, w in zip(strength, near, strict=True)]) / total if near else x[v]
                    )
                    weights.append(max(total, 0.05))
                for v, place in zip(row, fitted(wanted, weights, rooms[i]), strict=True):
                    x[v] = place
        return x


def layered(widths: Sequence[float], edges: Sequence[Pair], floors: Sequence[int]) -> Layout:
    """Place vertices of these widths. See ``layers``."""
    drawing = _Drawing(widths, edges, floors)
    drawing.order()
    x = drawing.place()
    left = min([place - width / 2 for place, width in zip(x, drawing.widths, strict=True)], default=0.0)
    right = max([place + width / 2 for place, width in zip(x, drawing.widths, strict=True)], default=0.0)
    x = [place - left for place in x]
    count = len(widths)
    bends = {pair: [x[v] for v in chain] for pair, chain in drawing.chains.items()}
    return Layout(x[:count], drawing.layer[:count], bends, right - left)
