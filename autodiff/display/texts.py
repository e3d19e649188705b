"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence

TIMES = "\N{MULTIPLICATION SIGN}"


def seconds(value: float) -> str:
    """A time: ``1.23 ms``."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e9:.0f} ns"


def size(count: float) -> str:
    """An amount of memory: ``1.5 MB``, a MB being a million bytes."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"


def shape(sizes: Sequence[int]) -> str:
    """A shape: ``3 × 4``; that of a number is ``scalar``."""
    return f" {TIMES} ".join(map(str, sizes)) if sizes else "scalar"


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> str:
    """A table as text; columns with the numbers ``left`` begin at the left."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = [c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), *map(line, rows)])
