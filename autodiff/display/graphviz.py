"""The layout of graphviz's ``dot``, where that is installed: it has layers, too, and fewer arrows cross."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from .layered import Layout, Pair

# Points of an inch, in which `dot` says where things are.
INCH = 72.0
PATIENCE = 20.0


def placed(boxes: Sequence[tuple[float, float]], edges: Sequence[Pair], floors: Sequence[int]) -> Layout | None:
    """Place vertices of these widths and heights; None where there is no ``dot``, or it fails."""
    program = shutil.which("dot")
    if program is None or not boxes:
        return None
    try:
        ran = subprocess.run(
            [program, "-Tplain"],
            input=_source(boxes, edges, floors),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return _layout(ran.stdout, boxes, edges)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def _source(boxes: Sequence[tuple[float, float]], edges: Sequence[Pair], floors: Sequence[int]) -> str:
    lines = ['digraph{nodesep=.3;ranksep=.4;node[shape=box,fixedsize=true,label=""]']
    lines += [f"{i}[width={w / INCH:.3f},height={h / INCH:.3f}]" for i, (w, h) in enumerate(boxes)]
    lines += [f"{a}->{b}" for a, b in edges]
    # Nothing is above the first layer that it may have: below the rungs of a ladder that nobody sees.
    for i in range(max(floors)):
        lines.append(f"rung{i}[style=invis,width=.01,height=.01]")
        lines.append(f"rung{i}->rung{i + 1}[style=invis,weight=100]" if i + 1 < max(floors) else "")
    lines += [f"rung{floor - 1}->{i}[style=invis,weight=0]" for i, floor in enumerate(floors) if floor]
    return "\n".join([*lines, "}"])


def _layout(text: str, boxes: Sequence[tuple[float, float]], edges: Sequence[Pair]) -> Layout:
    """What ``dot`` said: vertices by layers, arrows by their points in the layers between."""
    places: dict[str, tuple[float, float]] = {}
    ways: dict[Pair, list[tuple[float, float]]] = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["node"]:
            places[words[1]] = float(words[2]) * INCH, -float(words[3]) * INCH
        elif words[:1] == ["edge"] and "rung" not in line:
            numbers = [float(word) * INCH for word in words[4 : 4 + 2 * int(words[3])]]
            ways[int(words[1]), int(words[2])] = [(x, -y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    heights = sorted({round(y) for _, y in places.values()})
    layer = [heights.index(round(places[str(i)][1])) for i in range(len(boxes))]
    bends = {}
    for a, b in edges:
        between = heights[layer[a] + 1 : layer[b]]
        bends[a, b] = [min(ways[a, b], key=lambda point, y=y: abs(point[1] - y))[0] for y in between]  # type: ignore[misc]
    edges_x = [x for points in bends.values() for x in points]
    left = min([places[str(i)][0] - w / 2 for i, (w, _) in enumerate(boxes)] + edges_x)
    right = max([places[str(i)][0] + w / 2 for i, (w, _) in enumerate(boxes)] + edges_x)
    shifted = {pair: [x - left for x in points] for pair, points in bends.items()}
    return Layout([places[str(i)][0] - left for i in range(len(boxes))], layer, shifted, right - left)
