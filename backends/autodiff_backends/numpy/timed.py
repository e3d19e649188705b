"""Generated plans that say what each of their statements takes: for ``Graph.profile``, never for answers."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter_ns
from typing import Any

from autodiff.backend import Part
from autodiff.core.program import Application, Program

from .blocks import Group
from .source import Generated
from .writer import Writer

# Looks at the clock, one after another, by which it is known what one takes.
LOOKS = 101


class StampedWriter(Writer):
    """Writes a look at the clock after the statements of each operation, or group.

    Attributes
    ----------
    parts : list of Part
        What is between two looks.
    """

    def __init__(self, program: Program):
        super().__init__(program)
        self.parts: list[Part] = []

    def write(self) -> None:
        """Generate all statements."""
        self.lines.append("stamp()")
        super().write()

    def write_item(self, place: int, item: Group | Application) -> None:
        """Generate the statements of one operation, or of a group."""
        before = len(self.lines)
        super().write_item(place, item)
        if len(self.lines) == before:
            return  # a view, or what another statement has done
        self.lines.append("stamp()")
        if isinstance(item, Group):
            numbers = [number for number, _, _ in item.members]
        else:
            numbers = [item[0], *[self.partners[n] for n in item[:1] if n in self.partners]]
        self.parts.append(Part.of("together" if len(numbers) > 1 else "operation", self.program, numbers))


class Timed(Generated):
    """The plan of a program with looks at the clock in it.

    Attributes
    ----------
    parts : list of Part
        What time is taken of, in order.
    """

    def __init__(self, program: Program):
        self._stamps: list[int] = []
        self.parts: list[Part] = []
        super().__init__(program)
        self._own = self._cost()

    def _writer(self, program: Program) -> Writer:
        writer = StampedWriter(program)
        stamps = self._stamps

        def stamp() -> None:
            stamps.append(perf_counter_ns())

        writer.objects["stamp"] = self._stamp = stamp
        self.parts = writer.parts
        return writer

    def _cost(self) -> int:
        """Nanoseconds of a look at the clock."""
        for _ in range(LOOKS):
            self._stamp()
        found = sorted([b - a for a, b in pairwise(self._stamps)])
        self._stamps.clear()
        return found[len(found) // 2]

    def seconds(self, *values: Any) -> tuple[tuple[Any, ...], list[float] | None]:
        """The results, and what the parts have taken; None if the plan was left, for what IEEE arithmetic gives."""
        self._stamps.clear()
        results = self(*values)
        stamps = self._stamps
        if len(stamps) != len(self.parts) + 1:
            return results, None
        return results, [max(b - a - self._own, 0) * 1e-9 for a, b in pairwise(stamps)]
