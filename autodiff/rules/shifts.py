"""Which extrema a result does not depend on: the maximum that is taken out of a softmax and added again.

``log(sum(exp(x - m))) + m`` and ``exp(x - m) / sum(exp(x - m))`` are the same for every ``m``. Their derivative with
respect to ``m`` is found to be zero here, where the walker would make ``1 - s * (1 / s)``, spread over ties. Where
``m`` is infinite or NaN, so is what reaches ``x`` on the other ways.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from .. import ops
from ..core.primitives import Primitive
from ..nodes import Node, Operation


class Shift(NamedTuple):
    """How a value moves with t, added to the extremum: its derivative is ``factor``, or ``factor`` times itself.

    ``axes`` has the axis of t that each axis of the value runs along; None where t is the same everywhere.
    """

    factor: float
    relative: bool
    axes: tuple[int | None, ...]


Move = Callable[..., "Shift | None"]

# A path from an extremum to where it has cancelled is short; nothing longer is searched.
LONGEST_SEARCH = 64


def _aligned(out: Node, *parts: Shift | None) -> tuple[int | None, ...] | None:
    """The axes of t along a broadcast result; None if two parts run along it differently."""
    known = [(None,) * (out.aval.ndim - len(s.axes)) + s.axes for s in parts if s is not None]
    return known[0] if all(axes == known[0] for axes in known) else None


def _sum(op: Operation, x: Shift | None, y: Shift | None, sign: int = 1) -> Shift | None:
    axes = _aligned(op, x, y)
    if axes is None:
        return None
    if (x is not None and x.relative) or (y is not None and y.relative):
        same = x is not None and y is not None and x.relative and y.relative and x.factor == y.factor
        return Shift(x.factor, True, axes) if same and x is not None else None
    return Shift((x.factor if x else 0) + sign * (y.factor if y else 0), False, axes)


def _difference(op: Operation, x: Shift | None, y: Shift | None) -> Shift | None:
    return _sum(op, x, y, -1)


def _product(op: Operation, x: Shift | None, y: Shift | None, sign: int = 1) -> Shift | None:
    axes = _aligned(op, x, y)
    if axes is None:
        return None
    if (x is None or x.relative) and (y is None or y.relative):
        return Shift((x.factor if x else 0) + sign * (y.factor if y else 0), True, axes)
    number = op.inputs[1 if x else 0].aval.literal
    moving = x or y
    if number is None or moving is None or (sign < 0 and not (x and number)):
        return None
    return Shift(moving.factor * number if sign > 0 else moving.factor / number, False, axes)


def _quotient(op: Operation, x: Shift | None, y: Shift | None) -> Shift | None:
    return _product(op, x, y, -1)


def _power(op: Operation, x: Shift | None, y: Shift | None) -> Shift | None:
    exponent = op.inputs[1].aval.literal
    return Shift(x.factor * exponent, True, x.axes) if x and x.relative and exponent is not None else None


def _to_power(exponent: float) -> Move:
    return lambda op, x: Shift(x.factor * exponent, True, x.axes) if x.relative else None


def _exp(op: Operation, x: Shift) -> Shift | None:
    return None if x.relative else x._replace(relative=True)


def _log(op: Operation, x: Shift) -> Shift | None:
    return x._replace(relative=False) if x.relative else None


def _negative(op: Operation, x: Shift) -> Shift:
    return x if x.relative else x._replace(factor=-x.factor)


def _same(op: Operation, x: Shift) -> Shift:
    return x


def _reshape(op: Operation, x: Shift) -> Shift | None:
    before, after = op.inputs[0].aval.shape, op.aval.shape
    if [n for n in before if n != 1] != [n for n in after if n != 1]:
        return None
    kept = iter([axis for axis, n in zip(x.axes, before, strict=True) if n != 1])
    return x._replace(axes=tuple([next(kept) if n != 1 else None for n in after]))


def _transpose(op: Operation, x: Shift) -> Shift:
    return x._replace(axes=tuple([x.axes[a] for a in op.params["axes"]]))


def _broadcast(op: Operation, x: Shift) -> Shift:
    return x._replace(axes=(None,) * (op.aval.ndim - len(x.axes)) + x.axes)


def _reduce_sum(op: Operation, x: Shift) -> Shift | None:
    reduced = op.params["axes"]
    if not x.relative or any(x.axes[a] is not None for a in reduced):
        return None
    return x._replace(axes=tuple([axis for a, axis in enumerate(x.axes) if a not in reduced]))


def _matmul(op: Operation, x: Shift | None, y: Shift | None) -> Shift | None:
    """Rows that move by one factor each: the weights of attention before they are divided by their sum."""
    if x is None or y is not None or not x.relative or x.axes[-1] is not None:
        return None
    return x._replace(axes=(None,) * (op.aval.ndim - len(x.axes)) + x.axes)


MOVES: dict[Primitive, Move] = {
    ops.add: _sum,
    ops.subtract: _difference,
    ops.multiply: _product,
    ops.divide: _quotient,
    ops.power: _power,
    ops.square: _to_power(2),
    ops.sqrt: _to_power(0.5),
    ops.reciprocal: _to_power(-1),
    ops.exp: _exp,
    ops.log: _log,
    ops.negative: _negative,
    ops.identity: _same,
    ops.place_p: _same,
    ops.reshape_p: _reshape,
    ops.transpose_p: _transpose,
    ops.broadcast_to_p: _broadcast,
    ops.sum_p: _reduce_sum,
    ops.matmul_p: _matmul,
}


def _irrelevant(extrema: Sequence[Operation], users: dict[Node, list[Operation]], outputs: set[Node]) -> bool:
    """Whether no output moves with ``extrema``, which are equal."""
    start = tuple([a if n != 1 else None for a, n in enumerate(extrema[0].aval.shape)])
    shifts: dict[Node, Shift] = dict.fromkeys(extrema, Shift(1, False, start))
    seen: set[Node] = set(extrema)
    queue: list[tuple[int, Operation]] = []
    fresh: Sequence[Operation] = extrema
    while True:
        for node in fresh:
            if node in outputs:
                return False
            for user in users.get(node, ()):
                if user not in seen:
                    seen.add(user)
                    heapq.heappush(queue, (user.sequence, user))
        if not queue:
            return True
        # The oldest first, so that all inputs of an operation are known.
        op = heapq.heappop(queue)[1]
        moved = [shifts.get(x) for x in op.inputs]
        fresh = ()
        if any(moved):
            move = MOVES.get(op.primitive)  # type: ignore[arg-type]
            shift = move(op, *moved) if move else None
            if shift is None or len(seen) > LONGEST_SEARCH:
                return False
            if shift.factor != 0:
                shifts[op] = shift
                fresh = (op,)


def irrelevant_extrema(
    operations: Collection[Operation], inputs: Callable[[Operation], Iterable[Node]], outputs: Iterable[Node]
) -> set[Node]:
    """The real maxima and minima among ``operations`` that no output depends on.

    ``inputs`` gives those of an operation that a derivative passes through.
    """
    # A maximum that is written twice is two operations.
    extrema: dict[tuple[Any, ...], list[Operation]] = {}
    for op in operations:
        if op.primitive in (ops.amax, ops.amin) and op.aval.dtype.kind == "f":
            extrema.setdefault((op.signature, op.inputs), []).append(op)
    if not extrema:
        return set()
    users: dict[Node, list[Operation]] = {}
    for op in operations:
        for x in inputs(op):
            users.setdefault(x, []).append(op)
    ends = set(outputs)
    return {op for equal in extrema.values() if _irrelevant(equal, users, ends) for op in equal}
