"""Recurrences as an operation, whose derivatives are recurrences; and the steps of Runge and Kutta as one.

A state c becomes step(c, u, p), with one u after another. The tangents of all states are those of the same recurrence
of states and tangents together. The cotangents of states are those of a recurrence backwards, which is given the
states; from these, what belongs to u and p is one batch of all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..batch import Batch
from ..called import Call
from ..convert import as_node
from ..core.avals import intern_aval
from ..differentiate import Forward, reverse
from ..memo import Memo
from ..nodes import Node, Operation
from ..progress import counted
from ..tracing import unknowns
from .equations import Array, Equation, equation_of
from .evolve import Evolve

_known: Memo[Any, Recurrence] = Memo(1 << 9)
_grids: Memo[Any, Grid] = Memo(1 << 9)


class Recurrence(Call):
    """The states of a recurrence after each of its steps.

    Its operands are the first state, what each step is given (along the first axis), and those of the equation.

    Parameters
    ----------
    name : str
        For messages.
    equation : Equation
        From a state and what a step is given to the next state.
    count : int
        How many steps there are.
    """

    __slots__ = ("_count", "_equation")

    def __init__(self, name: str, equation: Equation, count: int):
        self.name = name
        state = equation.given[0]
        self.outputs = (intern_aval((count, *state.shape), state.dtype),)
        self._equation = equation
        self._count = count

    @classmethod
    def of(cls, name: str, equation: Equation, count: int) -> Recurrence:
        """The one with these."""
        key = (name, equation, count)
        return _known.get(key) or _known.put(key, cls(*key))

    def run(self, *values: Any) -> tuple[Array, ...]:
        state, given, *operands = values
        plan = self._equation.plan("step", self._equation.record)
        out = np.empty(self.outputs[0].shape, self.outputs[0].dtype)
        for i in counted(range(self._count), self.name, self._count):
            (state,) = plan(state, given[i], *operands)
            out[i] = state
        return (out,)

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Sequence[Node | None]:
        first, given, *operands = op.inputs
        t_first, t_given, *rest = tangents
        n, m = first.aval.size, given.aval.shape[1]
        names = [ops.identity(p) if t is not None else p for p, t in zip(operands, rest, strict=True)]
        both, both_given = unknowns([intern_aval((2 * n,), first.aval.dtype), intern_aval((2 * m,), given.aval.dtype)])
        c, d = _halves(both, n)
        u, v = _halves(both_given, m)
        (after,) = self._equation.record([c, u], names)
        moved = {c: d, u: v, **{name: t for name, t in zip(names, rest, strict=True) if t is not None}}
        change = Forward(moved)(after)
        change = ops.zeros_like(d) if change is None else change
        start = ops.concatenate([first, ops.zeros_like(first) if t_first is None else t_first], 0)
        all_given = ops.concatenate([given, ops.zeros_like(given) if t_given is None else t_given], 1)
        found = recurrence(self.name, [both, both_given], [after, change], start, all_given, self._count)
        return [ops.take_slices(found, slice(None), slice(n, 2 * n))]

    def pull(self, ct: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        (given_ct,) = ct
        if given_ct is None:
            return [None] * len(positions)
        first, given, *operands = op.inputs
        n, m, dtype = first.aval.size, given.aval.shape[1], first.aval.dtype
        states = ops.outputs(op)[0]
        before = ops.concatenate([ops.reshape(first, (1, n)), ops.take_slices(states, slice(0, self._count - 1))], 0)
        # Backwards: the cotangent of a state by that of the one after it.
        adjoint, known = unknowns([first.aval, intern_aval((2 * n + m,), dtype)])
        c, rest = _halves(known, n)
        own, u = _halves(rest, n)
        c = ops.identity(c)
        (after,) = self._equation.record([c, ops.astype(u, given.aval.dtype)], operands)
        (pulled,) = reverse([after], [adjoint + own], [c])
        pulled = ops.zeros_like(adjoint) if pulled is None else pulled
        everything = ops.concatenate([before, given_ct, ops.astype(given, dtype)], 1)
        found = recurrence(
            self.name, [adjoint, known], [pulled], ops.zeros_like(first), ops.flip(everything, (0,)), self._count
        )
        adjoints = ops.flip(found, (0,))
        later = ops.take_slices(adjoints, slice(1, None))
        arriving = given_ct + ops.concatenate([later, ops.zeros(intern_aval((1, n), dtype))], 0)
        results: dict[int, Node | None] = {0: ops.reshape(ops.take_slices(adjoints, slice(0, 1)), (n,))}
        others = [i for i in positions if i > 0]
        if others:
            results.update(zip(others, self._of_steps(before, given, arriving, operands, others), strict=True))
        return [results[i] for i in positions]

    def _of_steps(
        self, before: Node, given: Node, arriving: Node, operands: Sequence[Node], positions: Sequence[int]
    ) -> list[Node | None]:
        """The cotangents of what steps are given, and of operands: those of all steps in one batch."""
        c, u, ct = unknowns([self._equation.given[0], self._equation.given[1], self._equation.given[0]])
        names = [ops.identity(p) if i + 2 in positions else p for i, p in enumerate(operands)]
        (after,) = self._equation.record([c, u], names)
        pulled = reverse([after], [ct], [u if i == 1 else names[i - 2] for i in positions])
        batch = Batch(self._count, {c: before, u: given, ct: arriving})
        every = iter(batch.of_all([x for x in pulled if x is not None]))
        found = [None if x is None else next(every) for x in pulled]
        pairs = zip(positions, found, strict=True)
        return [x if x is None or i == 1 else ops.sum(x, (0,)) for i, x in pairs]


def _halves(x: Node, n: int) -> tuple[Node, Node]:
    """The first elements of a vector, and the others."""
    return ops.take_slices(x, slice(0, n)), ops.take_slices(x, slice(n, None))


def recurrence(name: str, given: list[Node], after: list[Node], first: Node, steps: Node, count: int) -> Node:
    """The states of a recurrence that was recorded for a given state and what a step is given."""
    equation, operands = equation_of(given, [ops.concatenate(after, 0) if len(after) > 1 else after[0]])
    call = Recurrence.of(name, equation, count)
    return ops.outputs(ops.call_p(first, steps, *operands, rule=call))[0]


class Grid(Call):
    """The steps that SciPy takes from each time to the next: where each begins, and its length, as parts of the whole.

    No derivative passes: steps are what they are. There is room for some; the others have no length.

    Parameters
    ----------
    evolved : Evolve
        The solution. The operands are those of it.
    room : int
        Steps from one time to the next at most.
    """

    __slots__ = ("_evolved", "_room")

    def __init__(self, evolved: Evolve, room: int):
        self.name = evolved.name
        self._evolved = evolved
        self._room = room
        (states,) = evolved.outputs
        self.outputs = (intern_aval((2, states.shape[0] - 1, room), states.dtype),)

    @classmethod
    def of(cls, evolved: Evolve, room: int) -> Grid:
        """The one with these."""
        key = (evolved, room)
        return _grids.get(key) or _grids.put(key, cls(*key))

    def passes(self, position: int) -> bool:
        return False

    def run(self, *values: Any) -> tuple[Array, ...]:
        state, times, *operands = values
        self._evolved.check_times(times)
        run = self._evolved.run_for(operands)
        out = np.zeros(self.outputs[0].shape, np.float64)
        out[0] = 1
        for i, (begin, end) in enumerate(pairwise(times)):
            if begin == end:
                continue
            found = run.solved(np.asarray(state, np.float64), np.array([begin, end], np.float64), every=True)
            state = found.y[:, -1]
            marks = (found.t - found.t[0]) / (found.t[-1] - found.t[0])
            steps = len(marks) - 1
            if steps > self._room:
                raise run.failed(
                    f"it takes {steps} steps from t={begin:.6g} to t={end:.6g}, and there is room for {self._room} "
                    "(max_steps=)",
                    end,
                )
            out[0, i, :steps] = marks[:-1]
            out[1, i, :steps] = np.diff(marks)
        return (out.astype(self.outputs[0].dtype),)


def by_steps(
    name: str, equation: Equation, evolved: Evolve, first: Node, times: Node, operands: list[Node], room: int
) -> Node:
    """The states at times, as the steps of a method of Runge and Kutta, at which SciPy's are."""
    n, dtype = first.aval.size, first.aval.dtype
    count = times.aval.size
    if count == 1:
        return ops.reshape(first, (1, n))
    (grid,) = ops.outputs(ops.call_p(first, times, *operands, rule=Grid.of(evolved, room)))
    whole = ops.astype(times, dtype)
    begins = ops.reshape(ops.take_slices(whole, slice(0, count - 1)), (count - 1, 1))
    lengths = ops.reshape(ops.take_slices(whole, slice(1, count)), (count - 1, 1)) - begins
    starts, parts = [ops.reshape(ops.take_slices(grid, slice(i, i + 1)), (count - 1, room)) for i in (0, 1)]
    total = (count - 1) * room
    columns = [ops.reshape(x, (total, 1)) for x in (begins + starts * lengths, parts * lengths)]
    state, given = unknowns([first.aval.at(None), intern_aval((2,), dtype)])
    begin, length = [ops.reshape(ops.take_slices(given, slice(i, i + 1)), ()) for i in (0, 1)]
    after = _runge_kutta(evolved, equation, operands, state, begin, length)
    steps = recurrence(name, [state, given], [after], first, ops.concatenate(columns, 1), total)
    last = ops.take_slices(ops.reshape(steps, (count - 1, room, n)), slice(None), slice(room - 1, room))
    return ops.concatenate([ops.reshape(first, (1, n)), ops.reshape(last, (count - 1, n))], 0)


def _runge_kutta(
    evolved: Evolve, equation: Equation, operands: list[Node], state: Node, begin: Node, length: Node
) -> Node:
    """A step of the method, by the coefficients that SciPy has for it."""
    method = evolved.method
    slopes: list[Node] = []
    for row, place in zip(method.A[: method.n_stages], method.C[: method.n_stages], strict=True):
        at = state if not slopes else state + length * _combined(row, slopes)
        time = ops.astype(begin + length * as_node(float(place)), equation.given[1].dtype)
        slopes += equation.record([at, time], operands)
    return state + length * _combined(method.B, slopes)


def _combined(weights: Array, slopes: list[Node]) -> Node:
    total: Node | None = None
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            term = slope * as_node(float(weight))
            total = term if total is None else total + term
    assert total is not None
    return total
