"""Write what is made of the code, pages and a stub: ``python -m docs.generate`` where every backend's library is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from . import drawn, functions, house, stubs, support, walks
from .markdown import COMMAND, anchor

DOCS = Path(__file__).parent

DECISIONS_HEAD = f"""\
# Decisions

<!-- Written by `{COMMAND}` from the headings of docs/decisions/; add a decision there, under a heading of its own. -->

What was decided by measurement, or against the obvious, with the figures. Times are medians on a shared machine of two
cores (Python 3.11, NumPy 2.4); ratios are what carries over. `python -m benchmarks` measures again.
"""


def decisions_page() -> str:
    """docs/decisions.md: an index of the pages in docs/decisions/."""
    parts = [DECISIONS_HEAD]
    for page in sorted((DOCS / "decisions").glob("*.md")):
        title, *headings = re.findall(r"^##? (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        links = [f"[{heading}](decisions/{page.name}#{anchor(heading)})" for heading in headings]
        parts.append(f"**[{title}](decisions/{page.name})**: {', '.join(links)}.\n")
    return "\n".join(parts)


def internals_page() -> str:
    """docs/internals.md, whose walks are made of calls."""
    page = (DOCS / "internals.md").read_text(encoding="utf-8")
    begin, end = "<!-- walks: begin -->\n", "<!-- walks: end -->"
    return f"{page[: page.index(begin)]}{begin}\n{walks.text()}\n{page[page.index(end) :]}"


PAGES: dict[str, Callable[[], str]] = {
    "decisions.md": decisions_page,
    "functions.md": functions.page,
    "house.md": house.page,
    "internals.md": internals_page,
    "pictures/derivative.svg": drawn.derivative,
    "pictures/house.svg": house.picture,
    "pictures/loop.svg": drawn.loop,
    "support.md": support.page,
}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write(), encoding="utf-8")
    # What type checkers read of autodiff.numpy is written with them.
    stubs.STUB.write_text(stubs.text(), encoding="utf-8")
