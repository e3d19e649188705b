"""What generated pages share."""

from __future__ import annotations

import re
from collections.abc import Iterable

COMMAND = "python -m docs.generate"


def table(*rows: Iterable[str]) -> str:
    """A table in Markdown, its heading first."""
    lines = ["| " + " | ".join([cell.replace("|", r"\|") for cell in row]) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(list(rows[0])), *lines[1:]])


def anchor(heading: str) -> str:
    """The anchor of a heading, as its readers' browsers know it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
