"""Stages as text: what is computed for each block of rows and what once, for people to read."""

from __future__ import annotations

from autodiff.nodes import Aval

from ._dask_layout import Group
from ._dask_staging import Staged
from ._dask_stages import GATHERED, GIVEN, TOTAL, Entry, Stage, Taken


def source_of(staged: Staged) -> str:
    """All stages, in order. ``v7`` is the value of that number in the program, and ``rows`` those of one block."""
    lines = []
    for number, rows in staged.gathered.items():
        lines.append(f"v{number} is needed whole: its blocks are joined along axis {rows.rows.axis}")
    parts = [_stage(place, stage) for place, stage in enumerate(staged.stages.values())]
    return "\n\n".join(["\n".join(lines), *parts] if lines else parts)


def _stage(place: int, stage: Stage) -> str:
    lines = [f"stage {place}: {_extent(stage.group)}"]
    lines += [
        f"    v{taken.entry.number}: {_aval(taken.entry.aval, _cut(taken))}{_origin(taken)}" for taken in stage.inputs
    ]
    entries = [*[taken.entry for taken in stage.inputs], *stage.made]
    for entry in stage.made:
        if entry.signature is not None:
            words = [_word(entries[a]) for a in entry.arguments]
            words += [f"{k}={v!r}" for k, v in entry.signature.keywords.items() if k != "shape"]
            aval = _aval(entry.aval, entry.axis)
            lines.append(f"    v{entry.number} = {entry.signature.primitive.name}({', '.join(words)}) : {aval}")
    numbers = [f"v{entries[place].number}" for place in stage.outputs]
    count = len(stage.combine)
    for number, ufunc in zip(numbers[:count], stage.combine, strict=True):
        lines.append(f"    total {number}, by {ufunc.__name__}")
    if numbers[count:]:
        lines.append(f"    result {', '.join(numbers[count:])}")
    return "\n".join(lines)


def _extent(group: Group | None) -> str:
    return "once" if group is None else f"for each of {len(group.sizes)} blocks of {group.rows} rows"


def _cut(taken: Taken) -> int | None:
    return taken.entry.axis


def _origin(taken: Taken) -> str:
    if taken.source.kind == TOTAL:
        return ", a total"
    if taken.source.kind == GATHERED:
        return ", joined"
    return ", cut" if taken.cut and taken.source.kind != GIVEN else ""


def _word(entry: Entry) -> str:
    return f"v{entry.number}" if entry.aval.literal is None else repr(entry.aval)


def _aval(aval: Aval, axis: int | None) -> str:
    """Shape and dtype, with ``rows`` for the axis that is cut."""
    if axis is None or aval.spec is not None:
        return repr(aval)
    return f"{aval.dtype.name}[{', '.join(['rows' if a == axis else str(n) for a, n in enumerate(aval.shape)])}]"
