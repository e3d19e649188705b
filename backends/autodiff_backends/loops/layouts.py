"""In which order values lie in memory: as they are read, where that is another order than they are computed in.

A value that is transposed is a statement over one iteration space, and its readers walk through another. Written over
the readers' space it is in one loop with them, and need not be stored.
"""

from __future__ import annotations

from .accesses import Access, contiguous
from .forms import Statement
from .statements import Lowering

# For each axis of the new iteration space the axis of the old one; None for one of size 1.
Order = tuple[int | None, ...]


def lay_out(lowering: Lowering) -> None:
    """Compute elementwise values in the order in which all of their readers read them."""
    statements = lowering.statements
    fixed = {*lowering.inputs.values(), *lowering.outputs}
    writers: dict[int, list[int]] = {}
    readers: dict[int, list[tuple[int, int]]] = {}
    for i, (_, target, operands) in enumerate(statements):
        writers.setdefault(target.storage, []).append(i)
        for place, access in enumerate(operands):
            readers.setdefault(access.storage, []).append((i, place))
    # From the last on: what is written in another order may read its operands so, too.
    for i in range(len(statements) - 1, -1, -1):
        statement = statements[i]
        storage = statement.target.storage
        if storage in fixed or len(writers[storage]) > 1 or storage not in readers:
            continue
        shape = _read_over(statements, readers[storage])
        order = None if shape is None else _order(statement, statements, readers[storage])
        if shape is None or order is None:
            continue
        moved = _over(statement, shape, order)
        if moved == statement or _jumps(moved) > _jumps(statement) + 1:
            continue
        statements[i] = moved
        for reader, place in readers[storage]:
            statements[reader] = _reading(statements[reader], place, moved.target)


def _read_over(statements: list[Statement], readers: list[tuple[int, int]]) -> tuple[int, ...] | None:
    """The iteration space of all readers, if it is one, and they read the same elements in it."""
    first, place = readers[0]
    shape, access = statements[first].form.shape, statements[first].operands[place]
    for i, k in readers:
        form = statements[i].form
        if form.shape != shape or statements[i].operands[k] != access or form.is_anywhere(k):
            return None
    return shape


def _order(statement: Statement, statements: list[Statement], readers: list[tuple[int, int]]) -> Order | None:
    """How the readers' axes are those of a statement that writes a whole storage; None if they are not."""
    form, target, _ = statement
    if form.reduces is not None or form.indexed or target.offset or target.strides != contiguous(form.shape):
        return None
    i, place = readers[0]
    shape, access = statements[i].form.shape, statements[i].operands[place]
    if access.offset:
        return None
    own = {(n, step): axis for axis, (n, step) in enumerate(zip(form.shape, target.strides, strict=True)) if n != 1}
    found: list[int | None] = []
    for n, step in zip(shape, access.strides, strict=True):
        axis = None if n == 1 else own.pop((n, step), -1)
        if axis == -1:
            return None
        found.append(axis)
    return None if own else tuple(found)


def _over(statement: Statement, shape: tuple[int, ...], order: Order) -> Statement:
    """A statement over the same elements in another order."""
    form, target, operands = statement

    def moved(access: Access) -> Access:
        return access._replace(strides=tuple([0 if axis is None else access.strides[axis] for axis in order]))

    target = target._replace(strides=contiguous(shape))
    operands = tuple(map(moved, operands))
    steps = (target.strides, *[access.strides for access in operands])
    return Statement(form._replace(shape=shape, strides=steps), target, operands)


def _reading(statement: Statement, place: int, access: Access) -> Statement:
    """A statement one of whose operands lies in another order."""
    form, target, operands = statement
    operands = (*operands[:place], access, *operands[place + 1 :])
    steps = (form.strides[0], *[a.strides for a in operands])
    return Statement(form._replace(strides=steps), target, operands)


def _jumps(statement: Statement) -> int:
    """How many operands are not read one element after the other."""
    long = [axis for axis, n in enumerate(statement.form.shape) if n > 1]
    return sum([a.strides[long[-1]] not in (0, 1) for a in statement.operands]) if long else 0
