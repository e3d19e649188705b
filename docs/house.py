"""Draw the house from the code: rooms in the layers that pyproject.toml states, and who imports whom.

A room is a module or a package at the top of ``autodiff``, or a backend's folder. An arrow is left out where a longer
way of arrows leads to the same room.
"""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tests.import_graph import Graph, import_graph, modules

from .markdown import COMMAND

SETTINGS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = modules()

# Rooms by layers, highest first.
Layers = list[list[str]]

# Sizes in pixels: of a room and a layer, between rooms, of a letter, around it all and beside each building.
ROOM, LAYER, GAP, LETTER, MARGIN, BESIDE = 24, 46, 14, 7, 16, 90
# How far an arrow goes out for each layer that it passes, and at most.
BULGE, MOST = 11, 130

STYLE = """\
<style>
text { font: 12px sans-serif; fill: #222 }
.title { font-weight: bold }
.note { fill: #666 }
rect { fill: #dfe9f5; stroke: #5b6b7d }
.seen { fill: #fde9c8 }
.paper { fill: white; stroke: none }
path { fill: none; stroke: #8fa0b3; stroke-width: 1.1 }
marker path { fill: #8fa0b3; stroke: none }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">
<path d="M0 0 L8 4 L0 8 z"/>
</marker></defs>"""

HEAD = f"""\
# The house

<!-- Written by `{COMMAND}` from imports, layers and docstrings; change those instead. -->

Rooms from the top layer down. An arrow leads from a room to one that it imports, unless a longer way of arrows does. No
room imports one above it, or itself by way of others. Backends import the orange ones and nothing else of `autodiff`,
which finds backends by name.

![The rooms of the library and who imports whom](pictures/house.svg)

What each module holds, in the first line of its docstring:
"""


def room_of(module: str) -> str:
    """The room that a module is in: the first two parts of its name."""
    return ".".join(module.split(".")[:2])


def rooms() -> Graph:
    """Each room with those that it imports."""
    found: Graph = {}
    for module, others in import_graph().items():
        found.setdefault(room_of(module), set()).update(map(room_of, others))
    return {room: others - {room} for room, others in found.items() if "." in room}


def layers(package: str) -> Layers:
    """The rooms of a package by the layers of its contract."""
    contracts = SETTINGS["tool"]["importlinter"]["contracts"]
    (stated,) = [c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == [package]]
    rows = [[f"{package}.{name}" for name in re.findall(r"\w+", row)] for row in stated]
    return [there for row in rows if (there := [room for room in row if room in MODULES])]


def summary(module: str) -> str:
    """The first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    return (docstring or "").split("\n")[0].replace("``", "`")


def short(room: str) -> str:
    """The name of a room within its package, as a file or a folder."""
    name = room.rpartition(".")[2]
    return f"{name}/" if MODULES[room].name == "__init__.py" else name


# --- the page --------------------------------------------------------------------------------------------------------


def page() -> str:
    """docs/house.md."""
    parts = [HEAD]
    for package in ("autodiff", "autodiff_backends"):
        rows = [f"## {package}\n", "| room | module | |", "|---|---|---|"]
        for room in [room for row in layers(package) for room in sorted(row)]:
            for module in [name for name in MODULES if room_of(name) == room]:
                inner = f"`{module[len(room) + 1 :]}`" if module != room else ""
                rows.append(f"| {'' if inner else f'`{short(room)}`'} | {inner} | {summary(module)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


# --- the picture -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """Where a room is drawn: its left upper corner, and its width."""

    x: int
    y: int
    width: int

    @property
    def middle(self) -> int:
        """The middle between left and right."""
        return self.x + self.width // 2


def picture() -> str:
    """docs/pictures/house.svg."""
    graph = rooms()
    buildings = {package: layers(package) for package in ("autodiff", "autodiff_backends")}
    above = [room for row in buildings["autodiff_backends"] for room in row]
    seen = set().union(*[graph[room] for room in above])
    left, drawn = BESIDE, []
    for package, rows in buildings.items():
        own = {room for row in rows for room in row}
        arrows = reduced({room: graph[room] & own for room in own})
        lines, width = building(package, arranged(rows, arrows), arrows, seen - set(above), left)
        drawn += lines
        left += width + BESIDE
    height = MARGIN + 30 + LAYER * max(map(len, buildings.values()))
    note = f'<text x="{left - MARGIN}" y="{height - MARGIN}" text-anchor="end" class="note">'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left} {height}" width="{left}" height="{height}">',
            STYLE,
            f'<rect class="paper" width="{left}" height="{height}"/>',
            *drawn,
            f"{note}orange: what backends import</text>",
            "</svg>\n",
        ]
    )


def reduced(graph: Graph) -> Graph:
    """The graph without the arrows that longer ways stand for."""
    reach: Graph = {}

    def reached(room: str) -> set[str]:
        if room not in reach:
            reach[room] = set().union(*[{other, *reached(other)} for other in graph[room]])
        return reach[room]

    return {room: others - set().union(*[reached(other) for other in others]) for room, others in graph.items()}


def arranged(rows: Layers, arrows: Graph) -> Layers:
    """The rooms of each layer in an order in which few arrows cross: near those that they share arrows with."""
    rows = [sorted(row) for row in rows]
    users: Graph = {room: {user for user, others in arrows.items() if room in others} for room in arrows}
    place: dict[str, float] = {}
    for neighbours in [users, arrows] * 4:
        place |= {room: (i + 0.5) / len(row) for row in rows for i, room in enumerate(row)}
        for row in rows:
            wanted = {room: [place[other] for other in sorted(neighbours[room])] or [place[room]] for room in row}
            row.sort(key=lambda room: (round(sum(wanted[room]) / len(wanted[room]), 6), room))
            place |= {room: (i + 0.5) / len(row) for i, room in enumerate(row)}
    return rows


def building(title: str, rows: Layers, arrows: Graph, seen: set[str], left: int) -> tuple[list[str], int]:
    """One package, arrows behind rooms; and how wide it is."""
    widths = {room: LETTER * len(short(room)) + 20 for row in rows for room in row}
    width = max([sum(widths[room] + GAP for room in row) for row in rows])
    boxes: dict[str, Box] = {}
    for place, row in enumerate(rows):
        x = left + (width - sum(widths[room] + GAP for room in row)) // 2
        for room in row:
            boxes[room] = Box(x, MARGIN + 30 + LAYER * place, widths[room])
            x += widths[room] + GAP
    middle = left + width // 2
    lines = [f'<text x="{middle}" y="{MARGIN + 12}" text-anchor="middle" class="title">{title}</text>']
    for room, box in boxes.items():
        lines += [
            f'<path d="{way(box, boxes[other], middle)}" marker-end="url(#tip)"/>' for other in sorted(arrows[room])
        ]
    for room, box in boxes.items():
        shade = ' class="seen"' if room in seen else ""
        lines += [
            f"<g><title>{escape(summary(room))}</title>",
            f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{ROOM}" rx="3"{shade}/>',
            f'<text x="{box.middle}" y="{box.y + 16}" text-anchor="middle">{short(room)}</text></g>',
        ]
    return lines, width


def way(start: Box, end: Box, middle: int) -> str:
    """An arrow to the layer below goes from bottom to top, one to a deeper layer around the rooms between."""
    span = (end.y - start.y) // LAYER
    if span == 1:
        x, y, to, below = start.middle, start.y + ROOM, end.middle, end.y
        bend = (below - y) // 2
        return f"M{x} {y} C{x} {y + bend} {to} {below - bend} {to} {below - 1}"
    if start.middle + end.middle >= 2 * middle - LETTER:
        x, to, side = start.x + start.width, end.x + end.width, 1
        out = max(x, to) + min(BULGE * span, MOST)
    else:
        x, to, side = start.x, end.x, -1
        out = min(x, to) - min(BULGE * span, MOST)
    return f"M{x} {start.y + ROOM // 2} C{out} {start.y + ROOM} {out} {end.y} {to + side} {end.y + ROOM // 2}"
