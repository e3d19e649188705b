"""Stages as text: what is computed for each block of rows and what once, for people to read."""

from __future__ import annotations

from autodiff.core.primitives import Signature

from .layout import Partition
from .stages import GATHERED, TOTAL, Entry, Parts, Taken
from .staging import Staged


def source_of(staged: Staged) -> str:
    """All stages, in order. ``v7`` is the value of that number in the program, and ``rows`` those of one block."""
    parts = [_stage(place, stage.parts) for place, stage in enumerate(staged.stages.values())]
    if staged.gathered:
        joined = [f"v{number} along axis {value.rows.axis}" for number, value in staged.gathered.items()]
        parts.insert(0, f"# joined, because they are needed whole: {', '.join(joined)}")
    return "\n\n".join(parts)


def _stage(place: int, parts: Parts) -> str:
    partition = parts.partition
    extent = "once" if partition is None else f"for each of {len(partition.sizes)} blocks of the {partition.rows} rows"
    lines = [f"# stage {place}: {extent}"]
    lines += [f"# v{x.entry.number}: {_aval(x.entry, partition)}{_origin(x)}" for x in parts.inputs]
    entries = [*[x.entry for x in parts.inputs], *parts.made]
    lines += [_application(x, made, entries, partition) for x in parts.made if (made := x.signature) is not None]
    numbers = [f"v{entries[place].number}" for place in parts.outputs]
    count = len(parts.combine)
    lines += [f"total {v} by {ufunc.__name__}" for v, ufunc in zip(numbers[:count], parts.combine, strict=True)]
    if numbers[count:]:
        lines.append(f"result {', '.join(numbers[count:])}")
    return "\n".join(lines)


def _application(entry: Entry, signature: Signature, entries: list[Entry], partition: Partition | None) -> str:
    arguments = [entries[a] for a in entry.arguments]
    words = [f"v{a.number}" if a.aval.literal is None else repr(a.aval) for a in arguments]
    # The result says what its shape is.
    words += [f"{k}={v!r}" for k, v in signature.keywords.items() if k != "shape"]
    return f"v{entry.number} = {signature.primitive.name}({', '.join(words)}) : {_aval(entry, partition)}"


def _aval(entry: Entry, partition: Partition | None) -> str:
    """Shape and dtype, with ``rows`` for the axis that is cut, or ``2*rows`` if it has two elements of each."""
    aval, axis = entry.aval, entry.axis
    if partition is None or axis is None or aval.spec is not None:
        return repr(aval)
    sizes = list(map(str, aval.shape))
    scale = aval.shape[axis] // partition.rows
    sizes[axis] = "rows" if scale == 1 else f"{scale}*rows"
    return f"{aval.dtype.name}[{', '.join(sizes)}]"


def _origin(taken: Taken) -> str:
    if taken.source.kind == TOTAL:
        return ", a total"
    if taken.source.kind == GATHERED:
        return ", joined"
    return ", of which each block takes its rows" if taken.cut and taken.entry.aval.spec is None else ""
