"""Graphs and compiled functions as notebooks show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .html import card, code, head, note, table
from .texts import seconds as seconds_text
from .texts import size as size_text

# What is shown of lists; the sources of so many plans are there to be opened.
MOST_VARIABLES, MOST_PLANS, MOST_SOURCES = 24, 12, 3

# Operations, bytes held at most, what answers, source.
PlanRow = tuple[int, "int | None", str, str]


def graph(backend: str, variables: Sequence[tuple[str, str]], cache: Any, plans: Sequence[PlanRow]) -> str:
    """A Graph: where it computes, its variables, and what it has compiled."""
    tags = [
        backend,
        f"{cache.entries} of {cache.capacity} compiled",
        f"{cache.hits} hits, {cache.misses} misses",
        f"{seconds_text(cache.compile_seconds)} compiling" if cache.compile_seconds else "nothing compiled",
    ]
    pieces = [head("Graph", None, tags)]
    if variables:
        pieces.append(table(("variable", "shape and dtype"), variables[:MOST_VARIABLES], left=(0, 1)))
        pieces += _more(variables, MOST_VARIABLES, "variables")
    return card(*pieces, *_plans("gradient", plans))


def function(kind: str, signature: str, where: str, plans: Sequence[PlanRow]) -> str:
    """A compiled function: its name and signature, and its plans."""
    pieces = [head(kind, signature, [where] if plans else [where, "not called yet"])]
    return card(*pieces, *_plans("trace", plans))


def explanation(lines: Sequence[str], source: str) -> str:
    """What a gradient costs."""
    return card(head("Explanation", None, []), *map(note, lines), code("source", source))


def _plans(what: str, plans: Sequence[PlanRow]) -> list[str]:
    if not plans:
        return []
    rows = [
        (f"{what} {i + 1}", operations, "" if peak is None else size_text(peak), tier)
        for i, (operations, peak, tier, _) in enumerate(plans[:MOST_PLANS])
    ]
    sources = [code(f"source of {what} {i + 1}", source) for i, (*_, source) in enumerate(plans[:MOST_SOURCES])]
    found = table(("latest first", "operations", "holds at most", "answered by"), rows, left=(0, 3))
    return [found, *_more(plans, MOST_PLANS, f"{what}s"), *sources]


def _more(found: Sequence[Any], most: int, what: str) -> list[str]:
    return [note(f"{len(found) - most} more {what}")] if len(found) > most else []
