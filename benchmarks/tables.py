"""Tables of the reports, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.compare import Duel

NONE = "-"
MISSING = "missing"


def answered(duel: Duel) -> str:
    """Who of ours, and by which tier."""
    return f"{duel.ours}: {duel.tier}" if duel.tier else duel.ours


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, or of a remark if it has no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ["Nothing was measured."]
    return [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *lines]
