"""A picture: SVG that notebooks show, and that is saved to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Picture:
    """An SVG picture. Notebooks show it; ``save`` writes it to a file.

    Parameters
    ----------
    svg : str
        The picture, a whole document.

    Attributes
    ----------
    svg : str
        The same.
    """

    __slots__ = ("svg",)

    def __init__(self, svg: str):
        self.svg = svg

    def save(self, path: Any) -> None:
        """Write the picture to a file.

        Parameters
        ----------
        path : str or path-like
            ``graph.svg``, for one.
        """
        Path(path).write_text(self.svg, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg}</div>'

    def __repr__(self) -> str:
        return f"<an SVG picture of {len(self.svg)} characters; .save(path) writes it to a file>"
