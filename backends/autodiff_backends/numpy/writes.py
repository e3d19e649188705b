"""Which writes by index share an array, and which of them need no addition.

A write takes the array of its base if nothing else needs that any more; parts of it that were read before and are
needed later are copied, which is less than the whole. A chain of writes that begins with zeros may assign where nothing
has been added yet, and what is assigned may be computed in its place.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from autodiff.core.primitives import PRIMITIVES, Primitive
from autodiff.core.program import NUMBER, Application, Program

# Where a write goes: the elements of each axis.
Box = tuple[range, ...]

BROADCAST_TO, INDEX = PRIMITIVES["broadcast_to"], PRIMITIVES["index"]

# As long as copying so many elements takes the call that copies them.
ELEMENTS_A_CALL = 512

# Where more than that many bounds overlap, a box may have an element in common with one of them.
BOUNDS_SEARCHED = 64

# np.negative of NumPy 2.4.6 takes neighbours of its operand, where that is every fourth float32 or every eighth float64
# of memory and the result is strided too.
NEGATING = frozenset((PRIMITIVES["negative"], PRIMITIVES["logistic"]))


class Writes:
    """The writes of a program.

    Attributes
    ----------
    heirs : dict of int to int
        The write that takes the array of a write, as nothing else needs that any more.
    copied : set of int
        Reads of parts that are copied, since a write takes the array before they are needed for the last time.
    fills : set of int
        Numbers repeated that are only needed as bases of writes.
    firsts : dict of int to int
        The first write of the chain of each write, for chains that begin with those.
    untouched : set of int
        Writes to where all is zero before.
    complete : set of int
        First writes of chains that leave nothing of their base.
    placed : dict of int to int
        Values only needed by a write to where all is zero, which may be computed there.
    """

    __slots__ = (
        "_ends", "_lasts", "_places", "_program", "_uses", "complete", "copied", "fills", "firsts", "heirs", "placed",
        "untouched",
    )  # fmt: skip

    def __init__(self, program: Program, applications: Sequence[Application], places: Mapping[int, int]):
        """``places`` are those of applications in the order in which they are computed."""
        self._program = program
        self._places = places
        self.heirs: dict[int, int] = {}
        self.copied: set[int] = set()
        self.fills: set[int] = set()
        self.firsts: dict[int, int] = {}
        self.untouched: set[int] = set()
        self.complete: set[int] = set()
        self.placed: dict[int, int] = {}
        self._uses: dict[int, list[int]] = {number: [-1] for number in program.outputs}
        bases: dict[int, list[int]] = {}
        for number, _, arguments in applications:
            for argument in arguments:
                self._uses.setdefault(argument, []).append(number)
            if self._writes(number):
                bases.setdefault(arguments[0], []).append(number)
        if not bases:
            return
        # Where views are looked into for the last time.
        self._ends: dict[int, float] = {}
        views = [number for number, signature, _ in applications if signature.is_view]
        for number in reversed(views):
            self._ends[number] = max([self._end(user, number) for user in self._uses[number]])
        for base, writes in bases.items():
            if self.filling(base) is not None:
                if self._uses[base] == writes:
                    self.fills.add(base)
            elif -1 not in self._uses[base]:
                self._inherit(base, max(writes, key=places.__getitem__))
        # Heirs are younger, so theirs is known.
        self._lasts: dict[int, int] = {}
        for number in sorted(self.heirs, reverse=True):
            self._lasts[number] = self.last(self.heirs[number])
        for base in self.fills:
            for first in bases[base]:
                self._follow(first, base)

    def _end(self, user: int, number: int) -> float:
        """Where a user of a value looks at it for the last time: a view of it does as long as it is needed itself."""
        if user == -1:
            return math.inf
        end = self._ends.get(user)
        return self._places[user] if end is None or self._program.arguments[user][0] != number else end

    def _inherit(self, base: int, write: int) -> None:
        """Let a write, the last one into an array, take it: if all that reads it is done by then, or can be copied."""
        program = self._program
        signature, place = program.signatures[base], self._places[write]
        if signature is None or signature.is_view or base in program.arguments[write][1:]:
            return
        late = []
        for user in self._uses[base]:
            end = self._end(user, base)
            if user == write or end < place:
                continue
            if self._places[user] >= place or program.heads[user] is not INDEX or len(program.arguments[user]) > 2:
                return
            # NumPy assigns between parts of one array as if they were apart.
            if end > place or len(program.arguments[write]) > 3:
                late.append(user)
        # A single element is looked at sooner, which costs nothing.
        sizes = [size + ELEMENTS_A_CALL for number in late if (size := program.avals[number].size) > 1]
        if 2 * sum(sizes) > program.avals[base].size + ELEMENTS_A_CALL:
            return
        self.copied.update(late)
        if self._writes(base):
            self.heirs[base] = write

    def _writes(self, number: int) -> bool:
        head = self._program.heads[number]
        return isinstance(head, Primitive) and head.writes

    def filling(self, number: int) -> int | None:
        """The number that a value repeats everywhere, if it is one of the structure."""
        if self._program.heads[number] is not BROADCAST_TO:
            return None
        (value,) = self._program.arguments[number]
        known = self._program.heads[value] is NUMBER and value in self._program.constants
        return value if known else None

    def last(self, number: int) -> int:
        """The last write into the array of this one."""
        return self._lasts.get(number, number)

    def _follow(self, first: int, base: int) -> None:
        """A chain that begins with a number repeated."""
        filling = self.filling(base)
        touched = Touched()
        left = self._program.avals[first].size
        # Whether it is known what has been written so far, and up to which place something of it was read.
        known = filling is not None and self._program.avals[filling].literal == 0
        read: float = -1
        number: int | None = first
        while number is not None:
            self.firsts[number] = first
            box = self._box(number)
            known = known and box is not None
            if known and box is not None:
                if not touched.meets(box):
                    self.untouched.add(number)
                    self._offer_place(number, read)
                    left -= _size(box)
                    if not left and read < 0:
                        self.complete.add(first)
                touched.add(box)
            heir = self.heirs.get(number)
            if heir is not None:
                for user in self._uses[number]:
                    if user != heir:
                        read = max(read, self._places[user] if user in self.copied else self._end(user, number))
            number = heir

    def _offer_place(self, number: int, read: float) -> None:
        """Elementwise results can be computed into any view of their shape, after what was ``read`` of the array."""
        base, idx, values, *_ = self._program.arguments[number]
        aval, signature = self._program.avals[values], self._program.signatures[values]
        place = [1 if n == "n" else n for n in self._program.avals[idx].spec or () if n != "i"]
        if (
            self._uses[values] == [number]
            and self._places.get(values, -1) > read
            and signature is not None
            and signature.primitive.kind == "elementwise"
            and signature.primitive not in NEGATING
            and aval.dtype == self._program.avals[base].dtype
            and aval.ndim
            and aval.shape == tuple(place)
        ):
            self.placed[values] = number

    def _box(self, number: int) -> Box | None:
        """Where a write goes, if the program knows."""
        base, idx, *rest = self._program.arguments[number]
        entries: tuple[Any, ...] | None = self._program.avals[idx].literal
        if entries is None or len(rest) > 1:
            return None
        sizes = iter(self._program.avals[base].shape)
        places = [(entry, next(sizes)) for entry in entries if entry is not None]
        return tuple([range(*e.indices(n)) if isinstance(e, slice) else range(e, e + 1) for e, n in places])


def _size(box: Box) -> int:
    return math.prod([len(places) for places in box])


class Touched:
    """Boxes, and whether another may have an element in common with one of them, found without looking at each.

    Of an axis its bounds count: that strides may keep boxes apart is not seen.
    """

    __slots__ = ("_apart", "_inner", "_starts", "_stops")

    def __init__(self) -> None:
        # What the boxes cover of their first axis, in order.
        self._starts: list[int] = []
        self._stops: list[int] = []
        # The rest of the boxes, by their bounds on the first axis, and whether no two of these overlap.
        self._inner: dict[tuple[int, int], Touched] = {}
        self._apart = True

    def _covered(self, start: int, stop: int) -> slice:
        """Which parts of what is covered overlap these bounds."""
        return slice(bisect_right(self._stops, start), bisect_left(self._starts, stop))

    def add(self, box: Box) -> None:
        """Note a box."""
        bounds = _bounds(box[0]) if box else (0, 1)
        start, stop = bounds
        if start == stop:
            return
        part = self._covered(start, stop)
        if bounds not in self._inner:
            self._apart = self._apart and not self._starts[part]
            self._inner[bounds] = Touched()
        self._starts[part], self._stops[part] = (
            [min([start, *self._starts[part]])],
            [max([stop, *self._stops[part]])],
        )
        if len(box) > 1:
            self._inner[bounds].add(box[1:])

    def meets(self, box: Box) -> bool:
        """Whether a box may have an element in common with one that was noted."""
        bounds = start, stop = _bounds(box[0]) if box else (0, 1)
        if start == stop or not self._starts[self._covered(start, stop)]:
            return False
        if len(box) <= 1:
            return True
        inner = self._inner
        if self._apart and bounds in inner:
            return inner[bounds].meets(box[1:])
        if len(inner) > BOUNDS_SEARCHED:
            return True
        return any(a < stop and start < b and rest.meets(box[1:]) for (a, b), rest in inner.items())


def _bounds(places: range) -> tuple[int, int]:
    return (min(places[0], places[-1]), max(places[0], places[-1]) + 1) if places else (0, 0)
