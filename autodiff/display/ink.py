"""Diagrams as SVG. Boxes have a ground of their own; the rest is grey that is seen on light and on dark paper."""

from __future__ import annotations

from itertools import pairwise
from zlib import crc32

from .diagrams import Diagram, Edge, Point, Vertex
from .graphviz import placed as placed_by_dot
from .html import escape
from .layered import Layout, layered
from .pictures import Picture
from .texts import TIMES

# Of each kind of box the ground, the line, the text, and how round it is.
LOOKS = {
    "variable": ("#dbeafe", "#3b82f6", "#1e3a8a", 13.0),
    "constant": ("#f1f5f9", "#94a3b8", "#334155", 13.0),
    "operation": ("#ffffff", "#64748b", "#0f172a", 5.0),
    "derived": ("#ffedd5", "#f97316", "#7c2d12", 5.0),
    "group": ("#ede9fe", "#8b5cf6", "#4c1d95", 8.0),
    "derived group": ("#fef3c7", "#d97706", "#78350f", 8.0),
    "result": ("#dcfce7", "#16a34a", "#14532d", 13.0),
    "gradient": ("#fee2e2", "#dc2626", "#7f1d1d", 13.0),
}
PAPER = "#8b95a5"
ARROWS = ("#8b95a5", "#f59e5b")
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,sans-serif"

MARGIN, BETWEEN, HEADING = 18.0, 84.0, 30.0
# Between layers.
STEP = 66.0
LINE = 18.0
# Beside a box whose arrow leads to itself.
LOOP = 26.0
# How far the cards behind a box that repeats stand out.
STACK = 6.0


def picture(diagram: Diagram) -> Picture:
    """A diagram, placed and drawn."""
    width, height = _place(diagram)
    # Pages hold many pictures, and one that is hidden hides its heads of arrows.
    key = f"{crc32(''.join(_body(diagram, '')).encode('utf-8', 'replace')):x}"
    body = _body(diagram, key)
    top = height
    for remark in diagram.remarks:
        body.append(_text(MARGIN, top, remark, 11, PAPER, anchor="start"))
        top += LINE
        width = max(width, 2 * MARGIN + 5.8 * len(remark))
    return Picture(document(width, top + MARGIN / 2, "".join(body), _heads(key)))


def _body(diagram: Diagram, key: str) -> list[str]:
    """Arrows, whose heads have a name with this key, and what they lead to."""
    edges = [_edge(diagram, edge, key) for edge in diagram.edges]
    return [*edges, *[_vertex(vertex) for vertex in diagram.vertices], *_headings(diagram)]


def _heads(key: str) -> str:
    """Those of arrows."""
    heads = "".join(
        [
            f'<marker id="ad-{key}-{i}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6.5" markerHeight="6.5" '
            f'orient="auto-start-reverse"><path d="M0.5 0.8L7.5 4L0.5 7.2z" fill="{colour}"/></marker>'
            for i, colour in enumerate(ARROWS)
        ]
    )
    return f"<defs>{heads}</defs>"


def document(width: float, height: float, body: str, definitions: str = "") -> str:
    """A whole SVG document."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONT}">{definitions}{body}</svg>'
    )


def _place(diagram: Diagram) -> Point:
    """Give vertices and arrows their places; the width and height of all.

    The second column begins where the first ends, and what takes something of that is beside it.
    """
    vertices = diagram.vertices
    left = MARGIN
    placed: list[tuple[list[int], list[Edge], Layout, float]] = []
    layer_of: dict[int, int] = {}
    for block in sorted({v.block for v in vertices}):
        numbers = [i for i, v in enumerate(vertices) if v.block == block]
        local = {number: i for i, number in enumerate(numbers)}
        inner = [e for e in diagram.edges if not e.carried and e.source in local and e.target in local]
        pairs = [(local[e.source], local[e.target]) for e in inner]
        loops = {e.source for e in diagram.edges if e.source == e.target}
        boxes = [(vertices[n].width + LOOP * (n in loops), vertices[n].height) for n in numbers]
        floors = [0] * len(numbers)
        deepest = max(layer_of.values(), default=0)
        for e in diagram.edges:
            if e.source in layer_of and e.target in local:
                floors[local[e.target]] = max(floors[local[e.target]], deepest - layer_of[e.source])
        layout = placed_by_dot(boxes, pairs, floors) or layered([w for w, _ in boxes], pairs, floors)
        layer_of.update({n: layout.layer[i] for n, i in local.items()})
        for n, i in local.items():
            vertices[n].x = left + layout.x[i]
        placed.append((numbers, inner, layout, left))
        left += layout.width + BETWEEN
    bottom = STEP * max(layer_of.values(), default=0)
    above = MARGIN + 19.0 + (HEADING if diagram.headings else 0.0)
    for upwards, (numbers, inner, layout, start) in enumerate(placed):
        depth = STEP * max(layout.layer, default=0)
        sign, origin = (-1, above + bottom) if upwards else (1, above + bottom - depth)
        local = {number: i for i, number in enumerate(numbers)}
        for n, i in local.items():
            vertices[n].y = origin + sign * STEP * layout.layer[i]
        for edge in inner:
            pair = local[edge.source], local[edge.target]
            first = layout.layer[pair[0]] + 1
            bends = enumerate(layout.bends.get(pair, []), first)
            edge.points = [(start + x, origin + sign * STEP * layer) for layer, x in bends]
    return left - BETWEEN + MARGIN, above + bottom + 19.0 + MARGIN + (LINE if diagram.remarks else 0.0)


def _headings(diagram: Diagram) -> list[str]:
    """What is above the columns."""
    found = []
    for block, heading in enumerate(diagram.headings):
        column = [v for v in diagram.vertices if v.block == block]
        if column:
            middle = (min([v.x - v.width / 2 for v in column]) + max([v.x + v.width / 2 for v in column])) / 2
            found.append(_text(middle, MARGIN + 6, heading, 13, PAPER, "600"))
    return found


def _edge(diagram: Diagram, edge: Edge, key: str) -> str:
    a, b = diagram.vertices[edge.source], diagram.vertices[edge.target]
    colour = b.block if a.block == b.block else 0
    style = f'fill="none" stroke="{ARROWS[colour]}" marker-end="url(#ad-{key}-{colour})"'
    if a.block != b.block:
        # From what was recorded to what needs it: across.
        start, end = (a.x + a.width / 2, a.y), (b.x - b.width / 2 - 2, b.y)
        bend = max((end[0] - start[0]) / 2, 30.0)
        path = f"M{_p(start)}C{_p((start[0] + bend, start[1]))} {_p((end[0] - bend, end[1]))} {_p(end)}"
        return f'<path d="{path}" {style} stroke-width="1" stroke-opacity=".55"/>'
    if edge.carried:
        side = 1 if a.x >= b.x else -1
        start, end = (a.x + side * a.width / 2, a.y), (b.x + side * (b.width / 2 + 2), b.y)
        reach = side * (34.0 + 0.12 * abs(a.y - b.y))
        far = max(start[0], end[0]) if side > 0 else min(start[0], end[0])
        if edge.source == edge.target:
            start, end, reach = (start[0] + 6, a.y - 9), (end[0] + 4, a.y + 7), LOOP
        path = f"M{_p(start)}C{_p((far + reach, start[1]))} {_p((far + reach, end[1]))} {_p(end)}"
        return f'<path d="{path}" {style} stroke-width="1.3" stroke-dasharray="5 3"/>'
    way = 1.0 if b.y >= a.y else -1.0
    points = [
        (a.x, a.y + way * a.height / 2),
        *edge.points,
        (b.x, b.y - way * (b.height / 2 + 2) - (STACK if b.count > 1 and way > 0 else 0.0)),
    ]
    path = f"M{_p(points[0])}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path += f"C{_p((x0, middle))} {_p((x1, middle))} {_p((x1, y1))}"
    return f'<path d="{path}" {style} stroke-width="1.3"/>'


def _vertex(v: Vertex) -> str:
    ground, line, ink, roundness = LOOKS[v.kind]
    x, y = v.x - v.width / 2, v.y - v.height / 2
    boxes = [
        f'<rect x="{x + shift:.1f}" y="{y - shift:.1f}" width="{v.width:.1f}" height="{v.height:.1f}" '
        f'rx="{roundness:g}" fill="{ground}" stroke="{line}" stroke-width="1.2"/>'
        for shift in ((STACK, STACK / 2, 0.0) if v.count > 1 else (0.0,))
    ]
    middle = v.x - (v.badge / 2 if v.count > 1 else 0.0)
    lines = [_text(middle, v.y - 2 if v.detail else v.y + 4, v.label, 12, ink, "600")]
    if v.detail:
        lines.append(_text(middle, v.y + 12, v.detail, 10, ink, opacity=0.75))
    if v.count > 1:
        lines.append(_text(x + v.width - 8, v.y + 4, f"{TIMES}{v.count}", 11, line, "700", "end"))
    tip = f"<title>{escape(v.tip)}</title>" if v.tip else ""
    return f"<g>{tip}{''.join(boxes)}{''.join(lines)}</g>"


def _text(
    x: float,
    y: float,
    text: str,
    size: int,
    ink: str,
    weight: str = "400",
    anchor: str = "middle",
    opacity: float = 1.0,
) -> str:
    faded = f' opacity="{opacity:g}"' if opacity < 1 else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{ink}"{faded}>{escape(text)}</text>'
    )


def _p(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
