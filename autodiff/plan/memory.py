"""Which values of a program stay, and which are computed again, so that a plan holds no more bytes than a limit.

The program is gone through in order, with the values that are there. Where the next one does not fit, the one that is
dropped is cheap to compute again, large, and not needed for long; where one is needed that was dropped, it is computed
again from what is there, and so are those that it is made of. (Kirisame et al. 2021, "Dynamic Tensor
Rematerialization", do this while a program runs; here it is known in advance when a value is needed next.)

Arguments and constants are not counted: they are there before and after the call.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from .. import ops
from ..background import check
from ..core.avals import INDEX_DTYPE, intern_aval
from ..core.primitives import Signature
from ..core.program import Program
from ..ops import INTEGER
from .costs import nbytes
from .liveness import Values, waiting

# How much it counts how long a value is not needed: a program is gone through in each of these ways, and the cheapest
# result is taken.
WAYS = (0.5, 1.0, 0.0)

# Values that are looked at to tell what has to be computed again for one, or what needs it, at most.
LOOKED_AT = 500

# Up to so many values are all compared when one has to be dropped. Of more, each is compared as it was when it was
# looked at last, and one that is dropped may be so much worse than the best.
FEW, NEAR_BEST = 64, 1.02

# A limit is too low if values are computed again so many times, of as many as there are.
MOST_AGAIN = 3


# How near the lowest limit is told.
NEAR = 1.03


class Step(NamedTuple):
    """A value that is computed, and one after which it is computed again; None the first time."""

    number: int
    after: int | None


class Held(NamedTuple):
    """How a program is gone through.

    Parameters
    ----------
    steps : list of Step
    peak : int
        Bytes that are held at most.
    cost : float
        Nanoseconds for what is computed again.
    stored : tuple of int
        The values that are there when most is held.
    """

    steps: list[Step]
    peak: int
    cost: float
    stored: tuple[int, ...]

    @property
    def again(self) -> list[int]:
        """The values that are computed again, in order."""
        return [step.number for step in self.steps if step.after is not None]


class TooLittle(Exception):
    """The limit is too low for some value."""


class Walk:
    """A program gone through once.

    Parameters
    ----------
    values : Values
    limit : float
        Bytes at most.
    exponent : float
        How much it counts how long a value is not needed.
    most : float
        Nanoseconds for what is computed again, beyond which another way is better.
    """

    def __init__(self, values: Values, limit: float, exponent: float = WAYS[0], most: float = math.inf):
        self._v = values
        self._limit = limit
        self._exponent = exponent
        self._most = most
        self._now = 0
        self._bytes = 0
        self._there: set[int] = set()
        self._known: set[int] = set()
        # Bases with memory that are there, in the order in which they came; those in use by how many.
        self._bases: dict[int, None] = {}
        self._pinned: dict[int, int] = {}
        # Bases that are not there any more and will be needed.
        self._dropped: set[int] = set()
        # Those that may be dropped, by their scores when they were ranked.
        self._ranked: list[tuple[float, int]] | None = None
        self._steps: list[Step] = []
        self._cost = 0.0
        self._peak = 0
        self._stored: tuple[int, ...] = ()

    def run(self) -> Held:
        """Go through the program; TooLittle if something does not fit."""
        v = self._v
        for place, (number, _, _) in enumerate(v.applications):
            check()
            self._now = place
            self._make(number)
            self._now = place + 1
            for a in (*v.own[number], number):
                self._free_if_done(v.base[a])
                self._rank(v.base[a])
        self._give_out()
        return Held(self._steps, self._peak, self._cost, self._stored)

    def _give_out(self) -> None:
        """Results are copied one after another, and what nobody needs any more is freed meanwhile."""
        v = self._v
        outputs = v.program.outputs
        for number in outputs:
            if number in v.base:
                if number not in self._there:
                    self._make(number)
                self._pin(v.base[number], 1)
        self._now = v.end + 1
        for number in outputs:
            size = nbytes(v.program.avals[number])
            self._room(size)
            self._bytes += size
            if number in v.base:
                self._pin(v.base[number], -1)
                self._free_if_done(v.base[number])

    # --- computing ---------------------------------------------------------------------------------------------------

    def _make(self, wanted: int) -> None:
        """Compute a value, and before it those that it needs and that are not there."""
        v = self._v
        stack: list[tuple[int, set[int]]] = [(wanted, set())]
        while stack:
            number, held = stack[-1]
            missing = None
            for a in v.own[number]:
                if a in self._there:
                    if a not in held:
                        held.add(a)
                        self._pin(v.base[a], 1)
                elif missing is None:
                    missing = a
            if missing is not None:
                stack.append((missing, set()))
                continue
            stack.pop()
            if number not in self._there:
                self._compute(number)
            # What is above it in the stack needs it: it does not go meanwhile.
            if stack:
                stack[-1][1].add(number)
                self._pin(v.base[number], 1)
            for a in held:
                self._pin(v.base[a], -1)
            if stack:
                for a in held:
                    self._free_if_done(v.base[a])

    def _compute(self, number: int) -> None:
        v = self._v
        after = None
        if number in self._known:
            after = self._latest()
            self._cost += v.cost[number]
            if self._cost > self._most or len(self._steps) > (1 + MOST_AGAIN) * v.end:
                raise TooLittle
        size = v.size[number]
        self._room(size + v.working[number])
        base = v.base[number]
        if size:
            self._bytes += size
            self._bases[base] = None
        self._there.add(number)
        self._known.add(number)
        self._dropped.discard(base)
        self._steps.append(Step(number, after))
        if after is not None:
            for other in (number, *v.own[number], *v.children.get(number, ())):
                self._rank(v.base[other])

    def _latest(self) -> int:
        """A value that is there, and came as late as any."""
        avals = self._v.program.avals
        for step in reversed(self._steps):
            aval = avals[step.number]
            if step.number in self._there and aval.spec is None and not aval.weak and aval.size:
                return step.number
        raise TooLittle

    def _pin(self, base: int, by: int) -> None:
        self._pinned[base] = self._pinned.get(base, 0) + by

    # --- dropping ----------------------------------------------------------------------------------------------------

    def _room(self, size: int) -> None:
        """Drop values until there is room for another."""
        while self._bytes + size > self._limit:
            self._drop(self._cheapest())
        if self._bytes + size > self._peak:
            self._peak, self._stored = self._bytes + size, tuple(self._bases)

    def _drop(self, base: int) -> None:
        v = self._v
        self._there.difference_update(v.views[base])
        del self._bases[base]
        self._bytes -= v.size[base]
        if self._next_use(base) is not None:
            self._dropped.add(base)

    def _free_if_done(self, base: int) -> None:
        """Drop a base that nothing needs; but what cannot be computed again stays, since others may have to be."""
        may_go = self._limit == math.inf or base in self._v.droppable
        if may_go and base in self._bases and not self._pinned.get(base) and self._needed(base) is None:
            self._drop(base)

    def _cheapest(self) -> int:
        """The base that is dropped next: cheap for its size, and not needed for long."""
        droppable, pinned = self._v.droppable, self._pinned
        if len(self._bases) <= FEW:
            few = [b for b in self._bases if not pinned.get(b) and b in droppable]
            if not few:
                raise TooLittle
            return min(few, key=self._score)
        if self._ranked is None or len(self._ranked) > 4 * len(self._bases):
            self._ranked = [(self._least_score(b), b) for b in self._bases if b in droppable]
            heapify(self._ranked)
        ranked, aside = self._ranked, []
        found = None
        while found is None:
            if not ranked:
                raise TooLittle
            _, base = heappop(ranked)
            if base not in self._bases:
                continue
            if pinned.get(base):
                aside.append(base)
                continue
            # With others dropped, and with time, it is worse than it was.
            score = self._score(base)
            if ranked and score > NEAR_BEST * ranked[0][0]:
                heappush(ranked, (score, base))
            else:
                found = base
        for base in aside:
            self._rank(base)
        return found

    def _rank(self, base: int) -> None:
        """Look at a base anew when something is dropped, since it may be dropped sooner than before."""
        if self._ranked is not None and base in self._bases and base in self._v.droppable:
            heappush(self._ranked, (self._least_score(base), base))

    def _least_score(self, base: int) -> float:
        """What ``_score`` is if nothing else has to be computed again."""
        v = self._v
        use = self._next_use(base)
        later = (v.end if use is None else use) - self._now + 1
        return float(v.cost[base] / (v.size[base] * float(later) ** self._exponent))

    def _score(self, base: int) -> float:
        v = self._v
        needed = self._needed(base)
        if needed is None:
            return 0.0
        cost = v.cost[base] + self._cost_of_others(base)
        return float(cost / (v.size[base] * float(needed - self._now + 1) ** self._exponent))

    def _next_use(self, base: int) -> int | None:
        uses = self._v.uses.get(base, ())
        place = bisect_left(uses, self._now)
        return uses[place] if place < len(uses) else None

    def _needed(self, base: int) -> int | None:
        """When a base is needed next: used, or to compute one again that was dropped."""
        soonest = self._next_use(base)
        if not self._dropped:
            return soonest
        v = self._v
        seen: set[int] = set()
        stack = list(v.views[base])
        while stack and len(seen) < LOOKED_AT:
            for child in v.children.get(stack.pop(), ()):
                if child in self._known and child not in self._there and child not in seen:
                    seen.add(child)
                    use = self._next_use(v.base[child]) if v.base[child] in self._dropped else None
                    if use is None:
                        stack.append(child)
                    elif soonest is None or use < soonest:
                        soonest = use
        return soonest

    def _cost_of_others(self, base: int) -> float:
        """Of what is not there, and would be needed to compute a base again."""
        v = self._v
        seen: set[int] = set()
        stack = list(v.own[base])
        total = 0.0
        while stack and len(seen) < LOOKED_AT:
            number = stack.pop()
            if number not in self._there and number not in seen:
                seen.add(number)
                total += v.cost[number]
                stack += v.own[number]
        return total


def held(values: Values, limit: float = math.inf) -> Held:
    """The cheapest way through a program that holds no more than a limit; TooLittle if none was found."""
    if limit == math.inf:
        return Walk(values, limit).run()
    best: Held | None = None
    for way in WAYS:
        try:
            best = Walk(values, limit, way, math.inf if best is None else best.cost).run()
        except TooLittle:
            continue
    if best is None:
        raise TooLittle
    return best


def least(values: Values, limit: int) -> int:
    """The lowest limit, above one that is too low, that something is found for; within a few percent."""
    low, high = limit, Walk(values, math.inf).run().peak
    while high > low * NEAR:
        middle = math.isqrt(low * high)
        try:
            high = Walk(values, middle).run().peak
        except TooLittle:
            low = middle
    return high


def rewritten(program: Program, steps: list[Step]) -> Program:
    """The program that computes values in these steps."""
    result = program.emptied()
    result.quiet = program.quiet
    numbers = {i: i for i in range(program.n_inputs)}
    for number, value in program.constants.items():
        numbers[number] = result.constant(program.avals[number], value)
    met: set[tuple[Signature, tuple[int, ...]]] = set()
    for number, after in steps:
        result.follow(program, number)
        signature = program.signatures[number]
        assert signature is not None
        arguments = tuple([numbers[a] for a in program.arguments[number]])
        # What is the same would be one value.
        while after is not None and (signature, arguments) in met:
            place = waiting(program, number)
            assert place is not None
            late = result.call(ops.after_p, arguments[place], _first(result, numbers[after]))
            arguments = (*arguments[:place], late, *arguments[place + 1 :])
        met.add((signature, arguments))
        # (``apply`` might let complex factors change places, which rounds otherwise.)
        numbers[number] = result.append(signature, arguments)
    result.outputs = tuple([numbers[n] for n in program.outputs])
    return result


def _first(program: Program, number: int) -> int:
    """The first element of a value."""
    ndim = program.avals[number].ndim
    if not ndim:
        return number
    value = (0,) * ndim
    idx = program.constant(intern_aval((), INDEX_DTYPE, literal=value, spec=(INTEGER,) * ndim), value)
    return program.call(ops.index, number, idx)


def texts(program: Program, numbers: list[int] | tuple[int, ...]) -> Iterator[str]:
    """What values are, for a reader."""
    for number in numbers:
        signature = program.signatures[number]
        yield f"{signature.primitive.name} {signature.out!r}" if signature is not None else repr(program.avals[number])
