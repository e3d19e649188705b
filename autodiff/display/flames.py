"""Flame pictures: what takes how long, and what of it its parts take, one row a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .html import escape
from .ink import PAPER, document
from .pictures import Picture
from .texts import seconds as seconds_text

WIDTH, ROW, MARGIN = 900.0, 24.0, 8.0
NARROWEST = 0.4
LETTER = 6.9
# Of each kind the ground and the text.
FLAMES = {
    "all": ("#cbd5e1", "#0f172a"),
    "scope": ("#ddd6fe", "#2e1065"),
    "line": ("#bfdbfe", "#172554"),
    "operation": ("#93c5fd", "#172554"),
    "derived": ("#fdba74", "#431407"),
    "kernel": ("#c4b5fd", "#2e1065"),
    "rest": ("#e5e7eb", "#374151"),
}


@dataclass(slots=True)
class Flame:
    """Something that takes time, and what it consists of."""

    kind: str
    label: str
    seconds: float = 0.0
    tip: str = ""
    parts: list[Flame] = field(default_factory=list)

    def part(self, kind: str, label: str) -> Flame:
        """The part of a kind and name, a new one if there is none."""
        for part in self.parts:
            if part.kind == kind and part.label == label:
                return part
        self.parts.append(Flame(kind, label))
        return self.parts[-1]

    def add(self, path: Sequence[tuple[str, str]], seconds: float) -> Flame:
        """So much time, of a part of a part, by kinds and names; gives the last of these."""
        self.seconds += seconds
        return self.part(*path[0]).add(path[1:], seconds) if path else self


def drawn(root: Flame, remark: str = "") -> Picture:
    """The picture."""
    pieces: list[str] = []
    deepest = 0
    stack = [(root, MARGIN, WIDTH - 2 * MARGIN, 0)]
    whole = root.seconds or 1.0
    while stack:
        flame, left, width, depth = stack.pop()
        if width < NARROWEST:
            continue
        deepest = max(deepest, depth)
        pieces.append(_bar(flame, left, width, MARGIN + ROW * depth, whole))
        for part in sorted(flame.parts, key=lambda part: -part.seconds):
            share = width * part.seconds / flame.seconds if flame.seconds else 0.0
            stack.append((part, left, share, depth + 1))
            left += share
    height = 2 * MARGIN + ROW * (deepest + 1)
    if remark:
        pieces.append(f'<text x="{MARGIN}" y="{height + 8:.0f}" font-size="11" fill="{PAPER}">{escape(remark)}</text>')
        height += 18
    return Picture(document(WIDTH, height, "".join(pieces)))


def _bar(flame: Flame, left: float, width: float, top: float, whole: float) -> str:
    ground, ink = FLAMES[flame.kind]
    share = f"{flame.seconds / whole:.1%}"
    text = f"{flame.label}  {seconds_text(flame.seconds)}"
    room = int((width - 8) / LETTER)
    shown = text if len(text) <= room else f"{text[: room - 1]}…" if room > 2 else ""
    tip = "\n".join([text, f"{share} of a call", *([flame.tip] if flame.tip else [])])
    label = (
        f'<text x="{left + 5:.1f}" y="{top + 15:.1f}" font-size="11" fill="{ink}">{escape(shown)}</text>'
        if shown
        else ""
    )
    return (
        f"<g><title>{escape(tip)}</title>"
        f'<rect x="{left:.2f}" y="{top:.1f}" width="{max(width - 0.8, 0.2):.2f}" height="{ROW - 2:.1f}" rx="2.5" '
        f'fill="{ground}"/>{label}</g>'
    )
