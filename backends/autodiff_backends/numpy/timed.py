"""Generated plans that say what each of their statements takes: for ``Graph.profile``, never for answers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from threading import get_ident
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
    """Writes a look at the clock after the statements of each operation, and in groups after those of each block.

    Attributes
    ----------
    parts : list of Part
        What time is taken of.
    spans : list of list of int
        What is between two looks: the members of a group, which share the time as their blocks do, or none for what is
        one part.
    """

    def __init__(self, program: Program):
        super().__init__(program)
        self.parts: list[Part] = []
        self.spans: list[list[int]] = []

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
            members = [number for number, _, _ in item.members]
            self.spans.append(members)
            self.parts += [Part.of("operation", self.program, [number]) for number in members]
            return
        self.spans.append([])
        numbers = [n for n in (item[0], self.partners.get(item[0])) if n is not None]
        self.parts.append(Part.of("together" if len(numbers) > 1 else "operation", self.program, numbers))

    def before_block(self) -> list[str]:
        """A look at the clock."""
        return ["lap(-1)"]

    def after_member(self, number: int) -> list[str]:
        """A look at the clock."""
        return [f"lap({number})"]


class Timed(Generated):
    """The plan of a program with looks at the clock in it.

    Attributes
    ----------
    parts : list of Part
        What time is taken of, in order.
    """

    parts: list[Part]

    def __init__(self, program: Program):
        self._stamps: list[int] = []
        # Of each block of a member of a group: its number, and nanoseconds. Threads add to it.
        self._laps: list[tuple[int, int]] = []
        super().__init__(program)
        self._own = self._cost()

    def _writer(self, program: Program) -> Writer:
        writer = StampedWriter(program)
        stamps, laps = self._stamps, self._laps
        last: dict[int, int] = {}

        def stamp() -> None:
            stamps.append(perf_counter_ns())

        def lap(number: int) -> None:
            now, thread = perf_counter_ns(), get_ident()
            if number >= 0:
                laps.append((number, now - last[thread]))
            last[thread] = perf_counter_ns()

        writer.objects["stamp"] = self._stamp = stamp
        writer.objects["lap"] = lap
        self.parts, self._spans = writer.parts, writer.spans
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
        self._laps.clear()
        results = self(*values)
        if len(self._stamps) != len(self._spans) + 1:
            return results, None
        shares: Counter[int] = Counter()
        for number, nanoseconds in self._laps:
            shares[number] += nanoseconds
        found: list[float] = []
        for span, (begin, end) in zip(self._spans, pairwise(self._stamps), strict=True):
            taken = max(end - begin - self._own, 0) * 1e-9
            whole = sum([shares[number] for number in span])
            found += [taken * shares[number] / max(whole, 1) for number in span] if span else [taken]
        return results, found
