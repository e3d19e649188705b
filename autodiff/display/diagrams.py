"""Diagrams: boxes and arrows as plain data. ``layered`` and ``graphviz`` place them, ``ink`` draws them."""

from __future__ import annotations

from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass(slots=True)
class Vertex:
    """A box.

    Parameters
    ----------
    kind : str
        How it looks: a key of ``ink.LOOKS``.
    label, detail : str
        The two lines in it.
    tip : str
        What is shown where somebody points at it.
    block : int
        Which column it is in: the first one is read downwards, the second one upwards.
    count : int
        How many things it stands for.
    """

    kind: str
    label: str
    detail: str = ""
    tip: str = ""
    block: int = 0
    count: int = 1
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        """How wide it is, for about the widths of its letters."""
        text = max(7.1 * len(self.label), 5.9 * len(self.detail))
        return max(44.0, text + 22.0) + (self.badge if self.count > 1 else 0.0)

    @property
    def badge(self) -> float:
        """How wide the number of what it stands for is."""
        return 12.0 + 7.0 * len(str(self.count))

    @property
    def height(self) -> float:
        """How high it is."""
        return 38.0 if self.detail else 26.0


@dataclass(slots=True)
class Edge:
    """An arrow between the vertices of two numbers.

    Parameters
    ----------
    source, target : int
    carried : bool
        Whether it goes from one repetition to the next.
    """

    source: int
    target: int
    carried: bool = False
    points: list[Point] = field(default_factory=list)


@dataclass(slots=True)
class Diagram:
    """Boxes and arrows.

    Parameters
    ----------
    vertices : list of Vertex
    edges : list of Edge
    headings : tuple of str
        What is above the columns.
    remarks : list of str
        What is said below.
    """

    vertices: list[Vertex]
    edges: list[Edge]
    headings: tuple[str, ...] = ()
    remarks: list[str] = field(default_factory=list)
