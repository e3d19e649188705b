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
from heapq import nsmallest
from typing import NamedTuple

from .. import ops
from ..background import check
from ..core.avals import INDEX_DTYPE, intern_aval
from ..core.primitives import Signature
from ..core.program import Program
from ..ops import INTEGER
from .costs import nanoseconds, nbytes, working

# How much it counts how long a value is not needed: a program is gone through in each of these ways, and the cheapest
# result is taken.
WAYS = (0.5, 1.0, 0.0)

# Values that are compared with care when one has to be dropped, and others that are looked at for each.
COMPARED, LOOKED_AT = 64, 100

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


class Values:
    """What is true of the values of a program, however it is gone through.

    A *base* is a value with memory of its own; views of it are there when it is.
    """

    def __init__(self, program: Program):
        self.program = program
        self.applications = program.applications()
        self.end = len(self.applications)
        # Values whose elements may not be one after another; and those that no product takes as they are.
        self._strided: set[int] = set()
        self._odd: set[int] = set()
        self.base: dict[int, int] = {}
        self.size: dict[int, int] = {}
        # What an application takes beside its result while it is computed.
        self.working: dict[int, int] = {}
        self.cost: dict[int, float] = {}
        # Those that can be computed again: where nothing tells a value from the first time it cannot.
        self.droppable: set[int] = set()
        # What a value is made of, and what is made of it, of what is computed.
        self.own: dict[int, list[int]] = {}
        self.children: dict[int, list[int]] = {}
        # Where values with a base are used, and views of it; at the end for what leaves the plan.
        self.uses: dict[int, list[int]] = {}
        for place, (number, signature, arguments) in enumerate(self.applications):
            is_view = self._is_view(signature, arguments)
            base = self.base.get(arguments[0], arguments[0]) if is_view else number
            self.base[number] = base
            self._note_layout(number, signature, arguments, is_view)
            self.size[number] = 0 if is_view else nbytes(signature.out)
            self.working[number] = 0 if is_view else working(signature) + self._copies(signature, arguments)
            self.cost[number] = 0.0 if is_view else nanoseconds(signature)
            if self.size[number] and _waiting(program, number) is not None:
                self.droppable.add(number)
            self.own[number] = [a for a in dict.fromkeys(arguments) if a in self.base]
            for a in self.own[number]:
                self.children.setdefault(a, []).append(number)
                self.uses.setdefault(self.base[a], []).append(place)
        for number in program.outputs:
            if number in self.base:
                self.uses.setdefault(self.base[number], []).append(self.end)
        self.views: dict[int, list[int]] = {}
        for number, base in self.base.items():
            self.views.setdefault(base, []).append(number)

    def _is_view(self, signature: Signature, arguments: tuple[int, ...]) -> bool:
        """Whether a value has no memory of its own: a reshape has if its operand is no run of elements."""
        if not signature.is_view or not arguments:
            return False
        return signature.primitive is not ops.reshape_p or arguments[0] not in self._strided

    def _note_layout(self, number: int, signature: Signature, arguments: tuple[int, ...], is_view: bool) -> None:
        primitive = signature.primitive
        if is_view and primitive not in (ops.reshape_p, ops.transpose_p) and primitive.kind != "elementwise":
            self._strided.add(number)
            self._odd.add(number)
        elif is_view and primitive is ops.transpose_p:
            self._strided.add(number)
            if signature.out.ndim > 2 or arguments[0] in self._odd:
                self._odd.add(number)
        elif primitive.kind == "elementwise":
            # Results are laid out as operands are.
            self._strided.update({number} if not self._strided.isdisjoint(arguments) else ())
            self._odd.update({number} if is_view and arguments[0] in self._odd else ())

    def _copies(self, signature: Signature, arguments: tuple[int, ...]) -> int:
        """Bytes of the operands that a product copies."""
        if signature.primitive.kind != "contraction":
            return 0
        return sum([nbytes(self.program.avals[a]) for a in set(arguments) if a in self._odd])


def _waiting(program: Program, number: int) -> int | None:
    """Which argument of an application can be an array that is known later; None if there is none."""
    for place, a in enumerate(program.arguments[number]):
        aval = program.avals[a]
        if aval.spec is None and not aval.weak and aval.literal is None:
            return place
    return None


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
            for a in {*v.own[number], number}:
                self._free_if_done(v.base[a])
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
        if base in self._bases and not self._pinned.get(base) and self._needed(base) is None:
            self._drop(base)

    def _cheapest(self) -> int:
        """The base that is dropped next: cheap for its size, and not needed for long."""
        v, now = self._v, self._now
        found = [b for b in self._bases if not self._pinned.get(b) and b in v.droppable]
        if not found:
            raise TooLittle
        if len(found) > COMPARED:
            rough = {b: v.cost[b] / v.size[b] / ((self._next_use(b) or now) - now + 1) for b in found}
            found = nsmallest(COMPARED, found, rough.__getitem__)
        return min(found, key=self._score)

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
    result = Program(program.avals[: program.n_inputs])
    result.quiet = program.quiet
    numbers = {i: i for i in range(program.n_inputs)}
    for number, value in program.constants.items():
        numbers[number] = result.constant(program.avals[number], value)
    met: set[tuple[Signature, tuple[int, ...]]] = set()
    for number, after in steps:
        signature = program.signatures[number]
        assert signature is not None
        arguments = tuple([numbers[a] for a in program.arguments[number]])
        if after is not None and (signature, arguments) in met:
            # What is the same would be one value.
            place = _waiting(program, number)
            assert place is not None
            late = result.call(ops.after_p, arguments[place], _first(result, numbers[after]))
            arguments = (*arguments[:place], late, *arguments[place + 1 :])
        met.add((signature, arguments))
        numbers[number] = result.apply(signature, arguments)
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
