"""Links of the Markdown pages, which lead to files where these lie, made to lead to pages of the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:)([^)\s#]+)(#[^)\s]*)?\)")
SESSION = re.compile(r"^```python\n(?=>>>)", re.MULTILINE)

# Pages whose text lies outside of this folder.
OUTSIDE = {"contributing": "CONTRIBUTING.md", "changes": "CHANGELOG.md"}
# Pages with pages below them, which are generated or read where they lie.
BELOW = {
    "benchmarks": ["benchmarks-figures", "benchmarks-gpu", "benchmarks-gpu-figures"],
    "decisions": ["decisions/*"],
    "internals": ["internals/*"],
}
# Folders of programs, and those of their pages.
PROGRAMS = {"examples": "gallery", "docs/tutorials": "learn"}


def mend(app: Sphinx, page: str, source: list[str]) -> None:
    """Give a page the text and the links that it has on the site."""
    docs = Path(app.srcdir)
    root = docs.parent
    file = Path(app.env.doc2path(page))
    if file.suffix != ".md":
        return
    if page in OUTSIDE:
        file = root / OUTSIDE[page]
        source[0] = file.read_text(encoding="utf-8")

    def mended(match: re.Match[str]) -> str:
        mark, label, path, anchor = match.groups()
        target = leads_to((file.parent / path).resolve(), docs)
        if target is None:
            # What is in a clone only.
            return label
        return f"{mark}[{label}]({target}{anchor or ''})"

    below = "\n".join(["", "```{toctree}", ":hidden:", ":glob:", "", *BELOW[page], "```", ""]) if page in BELOW else ""
    # The lexer of Python does not know what a session prints.
    source[0] = SESSION.sub("```pycon\n", LINK.sub(mended, source[0])) + below


def leads_to(target: Path, docs: Path) -> str | None:
    """Where a file is on the site, from its top."""
    root = docs.parent
    for page, name in OUTSIDE.items():
        if target == root / name:
            return f"/{page}.md"
    if target == root / "README.md":
        return "/index.md"
    for folder, pages in PROGRAMS.items():
        if target == root / folder:
            return f"/{pages}/index.rst"
        if target.parent == root / folder:
            return f"/{pages}/{target.stem}.rst"
    if target.is_relative_to(docs):
        return f"/{target.relative_to(docs).as_posix()}"
    return None
