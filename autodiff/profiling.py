"""``profile``: what each operation of a plan takes, by the line that recorded it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .backend import Backend, Part
from .callers import line_at
from .core.primitives import Signature
from .display import html
from .display.flames import Flame, drawn
from .display.pictures import Picture
from .display.texts import TIMES, columns
from .display.texts import seconds as seconds_text
from .display.texts import size as size_text
from .errors import BackendError
from .nodes import Node
from .noting import UNPLACED, Note, notes
from .plan import compile_nodes, tier_of
from .plan.costs import nbytes
from .plan.timing import Log, OneByOne, Timing, median_call, medians

# Calls, and seconds for them, at most: of the whole, and with a look at the clock after each part.
CALLS, SECONDS = 200, 0.25

# Rows of a table.
MOST_ROWS = 40

UNKNOWN = "recorded without its line"
AROUND = "around the operations"


class Row(NamedTuple):
    """What operations of one kind and one line take, in a call.

    Parameters
    ----------
    seconds : float
        Of all of them; the median of the calls.
    operation : str
        What they are. For a kernel, which is compiled as one: how many operations are in it.
    number : int
        How many.
    bytes : int
        What they read and write: all operands and results. Views move nothing. What a kernel keeps in registers is not
        moved, so this is what its operations would move one by one.
    line : str
        File and number of the line, and its text; empty if it is not known, or for a kernel of several.
    scope : str
        The scopes that it was recorded in.
    derivative_of : str
        The operation that it is in the derivative of; empty for what was recorded.
    inside : tuple of Row
        For operations whose time is only known together: which they are. Their ``seconds`` are NaN.
    """

    seconds: float
    operation: str
    number: int
    bytes: int
    line: str
    scope: str = ""
    derivative_of: str = ""
    inside: tuple[Row, ...] = ()

    @property
    def title(self) -> str:
        """The operation, and what it is in the derivative of."""
        several = f" {TIMES}{self.number}" if self.number > 1 and not self.inside else ""
        return f"{self.operation}{several}" + (f", derivative of {self.derivative_of}" if self.derivative_of else "")


class Profile:
    """What a call takes: from ``Graph.profile``. Printed it is a table; notebooks show it as one.

    Parameters
    ----------
    name : str
        What is called.
    backend : str
        What computes it, and where.
    tier : str
        Which plan answers, and why.
    seconds : float
        What a call takes, without looks at the clock: the median of many.
    rows : list of Row
        What its operations take, the longest first. They may take less than the call, since calls have a cost of their
        own, or a little more, since looking at the clock has one.
    remarks : list of str
        What is to be known of the figures.
    """

    __slots__ = ("backend", "name", "remarks", "rows", "seconds", "tier")

    def __init__(self, name: str, backend: str, tier: str, seconds: float, rows: list[Row], remarks: list[str]):
        self.name, self.backend, self.tier = name, backend, tier
        self.seconds, self.rows, self.remarks = seconds, rows, remarks

    @property
    def rest(self) -> float:
        """Seconds of a call that are in no operation."""
        return max(self.seconds - sum([row.seconds for row in self.rows]), 0.0)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        cells = [_cells(row, self._whole) for row in self._shown()]
        return "\n".join([self._title, columns(HEADER, cells, left=(4, 5)), *self._below()])

    def _repr_html_(self) -> str:
        cells = [_cells(row, self._whole) for row in self._shown()]
        parts = [html.table(HEADER, cells, left=(4, 5)), *[html.note(remark) for remark in self._below()]]
        return html.card(html.head("Profile", self._title, []), *parts, self.flame().svg)

    def flame(self) -> Picture:
        """The same as a picture: a call, its scopes, their lines, and the operations of these.

        Returns
        -------
        Picture
            Notebooks show it. It has the text ``svg``, and ``save(path)``.
        """
        root = Flame("all", self.name)
        for row in self.rows:
            path = [("scope", name) for name in row.scope.split("/") if row.scope]
            if row.line or not row.inside:
                path.append(("line", _place(row.line) or UNKNOWN))
            kind = "kernel" if row.inside else "derived" if row.derivative_of else "operation"
            flame = root.add([*path, (kind, row.title)], row.seconds)
            flame.tip = "\n".join([f"{one.title}  {_place(one.line)}" for one in row.inside])
        if self.rest:
            root.add([("rest", AROUND)], self.rest)
        return drawn(root, self.remarks[0] if self.remarks else "")

    @property
    def _whole(self) -> float:
        return max(self.seconds, sum([row.seconds for row in self.rows]))

    @property
    def _title(self) -> str:
        return f"{self.name} on {self.backend}: {seconds_text(self.seconds)} a call"

    def _shown(self) -> list[Row]:
        found = []
        for row in self.rows[:MOST_ROWS]:
            found.append(row)
            found += row.inside
        if self.rest:
            found.append(Row(self.rest, AROUND, 0, 0, ""))
        return found

    def _below(self) -> list[str]:
        left = self.rows[MOST_ROWS:]
        more = [f"{len(left)} more rows take {seconds_text(sum([row.seconds for row in left]))}"] if left else []
        return [*more, f"answered by {self.tier}", *self.remarks]


HEADER = ("time", "share", "number", "bytes", "operation", "line")


def _cells(row: Row, whole: float) -> tuple[str, ...]:
    known = row.seconds == row.seconds
    return (
        seconds_text(row.seconds) if known else "·",
        f"{row.seconds / whole:.1%}" if known and whole else "·",
        str(row.number) if row.number else "",
        size_text(row.bytes) if row.bytes else "",
        row.title if known else f"  {row.title}",
        _place(row.line) + (f"  [{row.scope}]" if row.scope else "") if row.number else "",
    )


def _place(line: str) -> str:
    """A line without the folders of its file."""
    return os.path.basename(line.partition(",")[0]) + line[len(line.partition(",")[0]) :] if line else ""


# --- taking it -------------------------------------------------------------------------------------------------------


def profiled(
    name: str, again: Callable[[Callable[..., Any]], Callable[[], Any]], call: Callable[[], Any], answering: Any
) -> Profile:
    """The profile of a call.

    Parameters
    ----------
    name : str
        What is called.
    again : callable
        Given what compiles nodes, it compiles the same anew, and gives a call of that. It notes where nodes come from.
    call : callable
        The call itself.
    answering : object
        What answers it: it has a ``plan``.
    """
    plan = getattr(answering, "plan", None)
    log: Log = []
    homes: list[Backend] = []

    def compiled(alone: bool, inputs: Any, outputs: Any, backend: Backend, *args: Any, **kwargs: Any) -> Any:
        if "lazy" in backend.home.capabilities.features:
            raise BackendError(
                f"profile: {backend.label} is lazy, and decides itself what it computes; use its own profiler"
            )
        homes.append(backend)
        return compile_nodes(inputs, outputs, Timing(backend, plan, log, alone), *args, **kwargs, tracked=True)  # type: ignore[arg-type]

    with np.errstate(all="ignore"):
        timed = again(partial(compiled, False))
        backend = homes[-1]
        whole = median_call(call, backend.synchronize, CALLS, SECONDS)
        found = medians(timed, log, CALLS, SECONDS)
        alone = not found
        if alone:
            # NumPy's plan was left in each call, for what IEEE arithmetic gives.
            timed = again(partial(compiled, True))
            found = medians(timed, log, CALLS, SECONDS)
    tier = (tier_of(plan) if plan is not None else None) or backend.tier
    rows = rows_of(found)
    return Profile(name, backend.label, tier, whole, rows, _remarks(found, rows, alone or _is_alone(log)))


def _is_alone(log: Log) -> bool:
    return any(isinstance(timed, OneByOne) for timed, _ in log)


def _remarks(found: list[tuple[Part, float]], rows: list[Row], alone: bool) -> list[str]:
    remarks = []
    if any(part.kind == "kernel" for part, _ in found):
        remarks.append("a kernel is compiled as one: of what is in it (·) only the sum is measured")
    if any(part.kind == "together" for part, _ in found):
        remarks.append("what is computed together, block by block, is measured together (·)")
    if alone:
        remarks.append("each operation was called by itself, which may take longer than in the plan")
    if any(not (row.line or row.derivative_of) for one in rows for row in (one.inside or (one,))):
        remarks.append(
            f"lines are noted in autodiff.record_lines(): what has none was {UNKNOWN}, or made by the compiler"
        )
    return remarks


def rows_of(found: list[tuple[Part, float]]) -> list[Row]:
    """What parts take, those of one kind and line together, the longest first."""
    rows: dict[Any, Row] = {}
    kernels: Counter[str] = Counter()
    for part, seconds in found:
        inside = _inside(part)
        lines = {(row.line, row.scope) for row in inside}
        if len(inside) == 1:
            row = inside[0]._replace(seconds=seconds)
        else:
            what = "kernel" if part.kind == "kernel" else "together"
            kernels[what] += 1
            line, scope = next(iter(lines)) if len(lines) == 1 else ("", _common([row.scope for row in inside]))
            total = sum([row.number for row in inside])
            row = Row(
                seconds,
                f"{what} {kernels[what]}",
                total,
                sum([r.bytes for r in inside]),
                line,
                scope,
                "",
                tuple(inside),
            )
        key = row[1:2] + row[4:]
        known = rows.get(key)
        if known is not None:
            row = row._replace(
                seconds=known.seconds + row.seconds, number=known.number + row.number, bytes=known.bytes + row.bytes
            )
        rows[key] = row
    return sorted(rows.values(), key=lambda row: -row.seconds)


def _common(scopes: list[str]) -> str:
    parts = [scope.split("/") for scope in scopes]
    same = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        same.append(names[0])
    return "/".join(same)


def _inside(part: Part) -> list[Row]:
    """The operations of a part, those of one kind and line together."""
    rows: dict[Any, Row] = {}
    for signature, origin in part.operations:
        note = notes.get(origin, UNPLACED) if isinstance(origin, Node) else UNPLACED
        line = line_at(note.file, note.number) if note.number else ""
        key = signature.title, line, note.scope, note.name
        known = rows.get(key)
        moved = _moved(signature)
        rows[key] = (
            Row(float("nan"), signature.title, 1, moved, line, "/".join(note.scope), _derivative_of(note, signature))
            if known is None
            else known._replace(number=known.number + 1, bytes=known.bytes + moved)
        )
    return list(rows.values())


def _derivative_of(note: Note, signature: Signature) -> str:
    # What joins derivatives, or begins them, is for no operation.
    return note.name if note.order else "the result" if signature.is_derived else ""


def _moved(signature: Signature) -> int:
    """Bytes of the operands and the result."""
    return 0 if signature.is_view else sum(map(nbytes, signature.inputs)) + nbytes(signature.out)
