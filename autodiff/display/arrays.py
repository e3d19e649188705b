"""Values of arrays as tables: corners of large ones, and nothing of an array that is not shown is fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from .html import card, escape, head, note
from .texts import size as size_text

# Along an axis so many are shown from each end; twice as many and one more are all shown.
EDGE = 4
DOTS = "…"

# Where a part of an array begins and ends, or a gap.
Piece = slice | None


def pieces(length: int) -> list[Piece]:
    """What is shown along an axis."""
    if length <= 2 * EDGE + 1:
        return [slice(0, length)]
    return [slice(0, EDGE), None, slice(length - EDGE, length)]


def values(array: Any, to_numpy: Callable[[Any], Any], shape: Sequence[int]) -> str:
    """The elements of an array, or of its first matrix and its last ones' corners, as a table."""
    rest = len(shape) - 2
    leading = (0,) * max(rest, 0)
    rows, columns = (1, *shape) if len(shape) == 1 else (1, 1) if not shape else tuple(shape[-2:])
    down, across = pieces(rows), pieces(columns)
    blocks: dict[tuple[int, int], Any] = {}
    for (i, r), (j, c) in product(enumerate(down), enumerate(across)):
        if r is not None and c is not None:
            index = (*leading, *((r, c) if len(shape) > 1 else (c,) if shape else ()))
            part = np.asarray(to_numpy(array[index] if index else array))
            blocks[i, j] = part.reshape(r.stop - r.start, c.stop - c.start)
    lines = []
    for i, r in enumerate(down):
        height = 1 if r is None else r.stop - r.start
        for k in range(height):
            cells = []
            for j, c in enumerate(across):
                width = 1 if c is None else c.stop - c.start
                found = [DOTS] * width if r is None or c is None else [_element(x) for x in blocks[i, j][k]]
                cells += found
            lines.append(f"<tr>{''.join([f'<td>{escape(cell)}</td>' for cell in cells])}</tr>")
    caption = ""
    if rest > 0:
        where = ", ".join([*map(str, leading), ":", ":"])
        caption = note(f"[{where}], the first of {int(np.prod(shape[:-2]))} matrices")
    table = f'<table class="ad-table ad-values"><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="ad-scroll">{table}</div>{caption}'


def _element(x: Any) -> str:
    return np.array2string(np.asarray(x), separator=", ")


def tensor(
    name: str | None,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    where: str,
    kind: str,
    array: Any,
    to_numpy: Callable[[Any], Any],
    missing: str,
) -> str:
    """A Tensor: ``array`` is what ``to_numpy`` brings to the host, or None, and then ``missing`` says why."""
    count = int(np.prod(shape, dtype=float))
    tags = [str(tuple(shape)), str(dtype), where, size_text(count * dtype.itemsize), kind]
    if array is None:
        shown = note(missing)
    elif not count:
        shown = note("no elements")
    else:
        shown = values(array, to_numpy, shape)
    return card(head("Tensor", name, tags), shown)
