"""The layout of graphviz's ``dot``, where that is installed: it has layers, too, and fewer arrows cross."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from .layered import Layout, Pair, layers

# Points of an inch, in which `dot` says where things are.
INCH = 72.0
PATIENCE = 20.0
STRAIGHT = 10


def placed(boxes: Sequence[tuple[float, float]], edges: Sequence[Pair], floors: Sequence[int]) -> Layout | None:
    """Place vertices of these widths and heights; None where there is no ``dot``, or it fails."""
    program = shutil.which("dot")
    if program is None or not boxes:
        return None
    layer = layers(floors, edges)
    try:
        ran = subprocess.run(
            [program, "-Tplain"],
            input=_source(boxes, edges, layer),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return _layout(ran.stdout, boxes, edges, layer)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def _source(boxes: Sequence[tuple[float, float]], edges: Sequence[Pair], layer: Sequence[int]) -> str:
    """What ``dot`` is told: layers are as they are, the rungs of a ladder that nobody sees."""
    lines = ['digraph{nodesep=.3;ranksep=.4;node[shape=box,fixedsize=true,label=""]']
    lines += [f"{i}[width={w / INCH:.3f},height={h / INCH:.3f}]" for i, (w, h) in enumerate(boxes)]
    # Side branches may bend, so that what goes on is straight.
    through = {b for _, b in edges} & {a for a, _ in edges}
    lines += [f"{a}->{b}[weight={STRAIGHT if a in through and b in through else 1}]" for a, b in edges]
    for rung in range(max(layer) + 1):
        same = [str(i) for i, own in enumerate(layer) if own == rung]
        lines.append(f"rung{rung}[style=invis,width=.01,height=.01]")
        lines.append(f"{{rank=same;rung{rung};{';'.join(same)}}}")
        if rung:
            lines.append(f"rung{rung - 1}->rung{rung}[style=invis]")
    return "\n".join([*lines, "}"])


def _layout(text: str, boxes: Sequence[tuple[float, float]], edges: Sequence[Pair], layer: Sequence[int]) -> Layout:
    """What ``dot`` said: vertices by their middles, arrows by their points in the layers between."""
    places: dict[str, tuple[float, float]] = {}
    ways: dict[Pair, list[tuple[float, float]]] = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["node"]:
            places[words[1]] = float(words[2]) * INCH, float(words[3]) * INCH
        elif words[:1] == ["edge"] and "rung" not in line:
            numbers = [float(word) * INCH for word in words[4 : 4 + 2 * int(words[3])]]
            ways[int(words[1]), int(words[2])] = list(zip(numbers[::2], numbers[1::2], strict=True))
    bends = {}
    for a, b in edges:
        between = [places[f"rung{rung}"][1] for rung in range(layer[a] + 1, layer[b])]
        bends[a, b] = [min([(abs(height - y), x) for x, height in ways[a, b]])[1] for y in between]
    x = [places[str(i)][0] for i in range(len(boxes))]
    ends = [end for place, (w, _) in zip(x, boxes, strict=True) for end in (place - w / 2, place + w / 2)]
    ends += [place for points in bends.values() for place in points]
    left, right = min(ends), max(ends)
    shifted = {pair: [place - left for place in points] for pair, points in bends.items()}
    return Layout([place - left for place in x], list(layer), shifted, right - left)
