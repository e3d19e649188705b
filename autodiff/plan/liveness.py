"""The values of a program as memory: what is a view of what, how large values are, and where they are used."""

from __future__ import annotations

from .. import ops
from ..core.primitives import Signature
from ..core.program import Program
from .costs import nanoseconds, nbytes, working


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
            if self.size[number] and waiting(program, number) is not None:
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
        if signature.out.size <= 1:
            return
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


def waiting(program: Program, number: int) -> int | None:
    """Which argument of an application can be an array that is known later; None if there is none."""
    for place, a in enumerate(program.arguments[number]):
        aval = program.avals[a]
        if aval.spec is None and not aval.weak and aval.literal is None:
            return place
    return None
