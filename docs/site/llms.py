"""``llms.txt``: the pages of the site in one list, for programs that read (https://llmstxt.org)."""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

QUADRANTS = {
    "learn/index": "Tutorials",
    "howto/index": "How-to guides",
    "gallery/index": "Gallery",
    "explanation": "Explanation",
    "reference": "Reference",
}
HEAD = """\
# autodiff

> Derivatives of plain NumPy code. NumPy functions on a Tensor are recorded, differentiated symbolically to any order,
> compiled once and replayed. Install `autodiff-numpy`, and `import autodiff as ad`.
"""


def write(app: Sphinx, failed: Exception | None) -> None:
    """Write the list beside the pages."""
    if failed is None and app.builder.format == "html":
        (Path(app.outdir) / "llms.txt").write_text(text(app), encoding="utf-8")


def text(app: Sphinx) -> str:
    """The list: a heading for each quadrant, a line for each page."""
    lines = [HEAD]
    for quadrant, title in QUADRANTS.items():
        lines.append(f"## {title}\n")
        for page in below(app, quadrant):
            name = app.env.titles[page].astext()
            lines.append(f"- [{name}]({app.builder.get_target_uri(page)}){first_sentence(app, page)}")
        lines.append("")
    return "\n".join(lines)


def below(app: Sphinx, page: str) -> list[str]:
    """All pages below one, in the order of the table of contents."""
    found: list[str] = []
    for child in app.env.toctree_includes.get(page, []):
        if child not in found:
            found += [child, *below(app, child)]
    return list(dict.fromkeys(found))


def first_sentence(app: Sphinx, page: str) -> str:
    """What a page begins with, as far as it is a sentence."""
    for paragraph in app.env.get_doctree(page).findall(nodes.paragraph):
        words = " ".join(paragraph.astext().split())
        match = re.match(r"[A-Z].{10,300}?\.(?=\s|$)", words)
        if match and not isinstance(paragraph.parent, nodes.Admonition):
            return f": {match[0]}"
    return ""
