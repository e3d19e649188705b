"""Pieces of HTML, readable on light and on dark ground: colours are those around, or between the two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as _escaped

# Characters of code that are shown, and of any other text.
LONGEST_CODE = 20_000
LONGEST_TEXT = 400

_GREY = "rgba(128,128,128,"
STYLE = (
    "<style>"
    f".autodiff{{display:inline-block;max-width:100%;border:1px solid {_GREY}.35);border-radius:6px;"
    "padding:.5em .8em;font:13px/1.45 system-ui,sans-serif;text-align:left}"
    ".autodiff .ad-head{margin-bottom:.3em}.autodiff .ad-head b{font-size:1.05em}"
    f".autodiff .ad-tag{{display:inline-block;margin-left:.45em;padding:0 .5em;border-radius:9px;"
    f"background:{_GREY}.16);font-size:.9em}}"
    ".autodiff .ad-note{opacity:.7;font-size:.9em}"
    ".autodiff table.ad-table{border-collapse:collapse;margin:.25em 0;border:none}"
    f".autodiff .ad-table td,.autodiff .ad-table th{{border:none;border-bottom:1px solid {_GREY}.2);"
    "padding:.12em .6em;text-align:right;background:none;color:inherit;font-size:12px;white-space:nowrap;"
    "font-variant-numeric:tabular-nums;max-width:44em;overflow:hidden;text-overflow:ellipsis}"
    ".autodiff .ad-table th{font-weight:600;opacity:.75}"
    ".autodiff .ad-table .ad-left{text-align:left}"
    ".autodiff .ad-values td{font-family:ui-monospace,Menlo,Consolas,monospace;border:none}"
    ".autodiff .ad-scroll{overflow-x:auto}"
    f".autodiff pre.ad-code{{margin:.3em 0 0;padding:.5em;max-height:24em;overflow:auto;border-radius:4px;"
    f"background:{_GREY}.1);color:inherit;font:12px/1.4 ui-monospace,Menlo,Consolas,monospace}}"
    ".autodiff details>summary{cursor:pointer;opacity:.8}"
    "</style>"
)


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """The beginning of a text, and how much is left out."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text) - longest} more characters)"


def escape(text: object, longest: int = LONGEST_TEXT) -> str:
    """A text that is nothing but text, in HTML and in SVG, and not too long. What XML cannot hold becomes a mark."""
    letters = str(text)[: 2 * longest]
    plain = "".join([c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in letters])
    return _escaped(shortened(plain, longest))


def head(kind: str, name: str | None, tags: Iterable[str]) -> str:
    """What is shown, its name, and what is said of it in short."""
    named = f" {escape(name)}" if name else ""
    tagged = "".join([f'<span class="ad-tag">{escape(tag)}</span>' for tag in tags])
    return f'<div class="ad-head"><b>{escape(kind)}</b>{named}{tagged}</div>'


def note(text: str) -> str:
    """A remark."""
    return f'<div class="ad-note">{escape(text)}</div>'


def code(summary: str, text: str) -> str:
    """Code that is shown when somebody asks for it."""
    shown = f'<pre class="ad-code">{escape(text, LONGEST_CODE)}</pre>'
    return f"<details><summary>{escape(summary)}</summary>{shown}</details>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], left: Iterable[int] = ()) -> str:
    """A table; columns with the numbers ``left`` are texts."""
    classes = dict.fromkeys(left, ' class="ad-left"')

    def cells(kind: str, row: Sequence[object]) -> str:
        found = [f"<{kind}{classes.get(i, '')}>{escape(cell)}</{kind}>" for i, cell in enumerate(row)]
        return f"<tr>{''.join(found)}</tr>"

    first, body = cells("th", header), "".join([cells("td", row) for row in rows])
    inside = f'<table class="ad-table"><thead>{first}</thead><tbody>{body}</tbody></table>'
    return f'<div class="ad-scroll">{inside}</div>'


def card(*pieces: str) -> str:
    """All of it, in a frame."""
    return f'{STYLE}<div class="autodiff">{"".join(pieces)}</div>'
