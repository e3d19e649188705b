"""Interrupts at chosen places, as a signal handler that raises makes them.

CPython lets a handler in where a function begins, after a call, and before a loop begins anew. ``points`` finds the
places where it may that a call comes through, and the beginnings of lines as well; ``interrupted`` makes the call once
more and raises at one of them.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple


class Interrupt(BaseException):
    """As KeyboardInterrupt, which the test run itself may get."""


class Point(NamedTuple):
    """A place in code where the handler raises.

    ``offset`` is that of the instruction before which it does, -1 for the beginning; one more than that of a call of a
    function in C for its end.
    """

    code: CodeType
    offset: int

    def __str__(self) -> str:
        lines = [line for start, end, line in self.code.co_lines() if start <= self.offset < end]
        return f"{self.code.co_filename}:{lines[0] if lines else self.code.co_firstlineno} ({self.code.co_qualname})"


@functools.lru_cache(4096)
def _layout(code: CodeType) -> tuple[dict[int, Any], set[int], set[int]]:
    """Of instructions by offset: what handles an exception, which let one in, which begin lines elsewhere."""
    instructions = list(dis.get_instructions(code))
    handlers: dict[int, Any] = {}
    for entry in dis._parse_exception_table(code):  # type: ignore[attr-defined]
        handlers.update(dict.fromkeys(range(entry.start, entry.end, 2), entry.target))
    letting_in = {i.offset for i in instructions if i.opname.startswith(("CALL", "JUMP_BACKWARD"))}
    entries = {i.offset for i, before in zip(instructions[1:], instructions) if before.opname == "PUSH_EXC_INFO"}
    return handlers, letting_in, {i.offset for i in instructions if i.starts_line} - entries


def _follow(call: Callable[[], Any], own: str, reach: Callable[[Point], None], only: CodeType | None = None) -> None:
    """Make a call, and tell of the points that it reaches in code other than that of the file ``own``."""

    def begun(frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code.co_filename == own or not (only is None or code == only):
            return None
        handlers, letting_in, lines = _layout(code)
        before = -1

        def executes(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal before
            if event == "opcode":
                i, j = before, frame.f_lasti
                before = j
                # What follows in another region clears up: there the exception comes to the handler of the call.
                if i >= 0 and (i in letting_in or j in lines) and handlers.get(i) == handlers.get(j):
                    reach(Point(code, j))
            return executes

        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        reach(Point(code, -1))
        return executes

    def ended(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "c_return" and code.co_filename not in (own, __file__) and (only is None or code == only):
            reach(Point(code, frame.f_lasti + 1))

    outer = sys.gettrace(), sys.getprofile()
    sys.settrace(begun)
    sys.setprofile(ended)
    try:
        call()
    finally:
        sys.setprofile(outer[1])
        sys.settrace(outer[0])


def points(call: Callable[[], Any], own: str) -> Counter[Point]:
    """The points that a call comes through, and how often."""
    found: Counter[Point] = Counter()
    _follow(call, own, lambda point: found.update((point,)))
    return found


def interrupted(call: Callable[[], Any], own: str, at: Point, number: int = 1) -> bool:
    """Whether a call was interrupted when it came to a point for the time of this number."""
    left = number

    def reach(point: Point) -> None:
        nonlocal left
        if point == at:
            left -= 1
            if not left:
                raise Interrupt

    try:
        _follow(call, own, reach, at.code)
    except Interrupt:
        return True
    return False
