"""Which extrema a result does not depend on: the maximum that is taken out of a softmax and added again.

``log(sum(exp(x - m))) + m`` and ``exp(x - m) / sum(exp(x - m))`` are the same for every ``m``. Their derivative with
respect to ``m`` is found to be zero here, where the walker would make ``1 - s * (1 / s)``, spread over ties. Where
``m`` is infinite or NaN, so is what reaches ``x`` on the other ways.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from .. import ops
from ..axes import carried
from ..core.primitives import Primitive
from ..nodes import Node, Operation


class Shift(NamedTuple):
    """How a value moves with t, added to the extremum: its derivative is ``factor``, or ``factor`` times itself."""

    factor: float
    relative: bool


Move = Callable[..., "Shift | None"]
# The axis of t that each axis of a value runs along; None where t is the same everywhere.
Along = tuple[int | None, ...]

# A path from an extremum to where it has cancelled is short; nothing longer is searched.
LONGEST_SEARCH = 64


def _sum(op: Operation, x: Shift | None, y: Shift | None, sign: int = 1) -> Shift | None:
    if (x and x.relative) or (y and y.relative):
        return x if x == y else None
    return Shift((x.factor if x else 0) + sign * (y.factor if y else 0), False)


def _bilinear(op: Operation, x: Shift | None, y: Shift | None, sign: int = 1) -> Shift | None:
    if (x and not x.relative) or (y and not y.relative):
        return None
    return Shift((x.factor if x else 0) + sign * (y.factor if y else 0), True)


def _product(op: Operation, x: Shift | None, y: Shift | None) -> Shift | None:
    number, moving = op.inputs[1 if x else 0].aval.literal, x or y
    if number is None or moving is None or moving.relative:
        return _bilinear(op, x, y)
    return Shift(moving.factor * number, False)


def _quotient(op: Operation, x: Shift | None, y: Shift | None) -> Shift | None:
    number = op.inputs[1].aval.literal
    if x is None or x.relative or not number:
        return _bilinear(op, x, y, -1)
    return Shift(x.factor / number, False)


def _power(op: Operation, x: Shift | None, y: Shift | None) -> Shift | None:
    exponent = op.inputs[1].aval.literal
    return Shift(x.factor * exponent, True) if x and x.relative and exponent is not None else None


def _to_power(exponent: float) -> Move:
    return lambda op, x: Shift(x.factor * exponent, True) if x.relative else None


def _exp(op: Operation, x: Shift) -> Shift | None:
    return None if x.relative else Shift(x.factor, True)


def _log(op: Operation, x: Shift) -> Shift | None:
    return Shift(x.factor, False) if x.relative else None


def _negative(op: Operation, x: Shift) -> Shift:
    return x if x.relative else Shift(-x.factor, False)


def _same(op: Operation, x: Shift) -> Shift:
    return x


def _total(op: Operation, x: Shift) -> Shift | None:
    return x if x.relative else None


MOVES: dict[Primitive, Move] = {
    ops.add: _sum,
    ops.subtract: functools.partial(_sum, sign=-1),
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
    ops.reshape_p: _same,
    ops.transpose_p: _same,
    ops.broadcast_to_p: _same,
    ops.sum_p: _total,
    ops.matmul_p: _bilinear,
}


def _irrelevant(extrema: Sequence[Operation], users: dict[Node, list[Operation]], outputs: set[Node]) -> bool:
    """Whether no output moves with ``extrema``, which are equal."""
    start = tuple([a if n != 1 else None for a, n in enumerate(extrema[0].aval.shape)])
    shifts: dict[Node, Shift] = dict.fromkeys(extrema, Shift(1, False))
    along: dict[Node, Along] = dict.fromkeys(extrema, start)
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
            # What moves along different axes of t neither cancels nor adds up.
            moving = [(i, along[x]) for i, x in enumerate(op.inputs) if x in shifts]
            ways = {carried(op.signature, i, own) for i, own in moving}
            way = ways.pop()
            if ways or way is None:
                return False
            if shift.factor != 0:
                shifts[op], along[op] = shift, way
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
