"""Solutions of ordinary differential equations as an operation, whose derivatives are operations of the same kind.

A state y follows y' = f(y, t, p) from one of several times to the next. At each time it is noted, and then it may get a
*kick*: y becomes keep * y + kick, where ``keep`` says which elements stay (the others are set). The family is closed:

- The tangent of a solution is a solution of the equation that f and its derivative make together, with kicks.
- Cotangents are a solution, too, backwards in time: of y itself, set at each time to what was noted; of the adjoint,
  whose slope is -J' a, and which is kicked by the cotangents of what was noted; and of the integral of a' df/dp, the
  cotangent of p.

So each derivative, of any order and in any mode, is one more of these, which SciPy integrates with its own steps.

Where a state decays it grows backwards, and so do errors. But the state that a solution arrives with, backwards, is
*known*: it is what the other solution began with. From there it is computed the other way round, and interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..batch import Batch
from ..called import Call
from ..core.avals import intern_aval
from ..differentiate import Forward, reverse
from ..errors import ArgumentError
from ..memo import Memo
from ..nodes import Node, Operation
from ..tracing import unknowns
from .equations import Array, Equation, equation_of, scipy_module, vector
from .integrating import Integrator, Keep, Known, Run, chosen, mask

_known: Memo[Any, Evolve] = Memo(1 << 9)


class Evolve(Call):
    """The states of a solution at given times.

    Its operands are the first state, the times, the kicks if there are any, what is known to arrive if that is so, and
    those of the equation.

    Parameters
    ----------
    name : str
        For messages.
    equation : Equation
        From a state and a time to the slope of the state.
    count : int
        How many times there are.
    keep : Keep or None
        None if there are no kicks.
    integrator : Integrator
    known : Known, optional
        What is known of states that arrive; only if there are kicks.
    """

    __slots__ = ("_count", "_equation", "_integrator", "_keep", "_known")

    def __init__(
        self,
        name: str,
        equation: Equation,
        count: int,
        keep: Keep | None,
        integrator: Integrator,
        known: Known | None = None,
    ):
        self.name = name
        state = equation.given[0]
        self.outputs = (intern_aval((count, *state.shape), state.dtype),)
        self._equation = equation
        self._count = count
        self._keep = keep
        self._integrator = integrator
        self._known = known

    @classmethod
    def of(
        cls,
        name: str,
        equation: Equation,
        count: int,
        keep: Keep | None,
        integrator: Integrator,
        known: Known | None = None,
    ) -> Evolve:
        """The one with these."""
        key = (name, equation, count, keep, integrator, known)
        return _known.get(key) or _known.put(key, cls(*key))

    # --- numbers -----------------------------------------------------------------------------------------------------

    def run(self, *values: Any) -> tuple[Array, ...]:
        first, times, *rest = values
        times = np.asarray(times, np.float64)
        kicks = None if self._keep is None else np.asarray(rest.pop(0), np.float64)
        known = None if self._known is None else np.asarray(rest.pop(0), np.float64)
        self.check_times(times)
        out = np.empty(self.outputs[0].shape, np.float64)
        state = np.asarray(first, np.float64)
        run = self.run_for(rest)
        with run.watched(times):
            if kicks is None:
                out[:1] = state
                if self._count > 1:
                    out[1:] = run(state, times)
            else:
                stays = mask(self._keep or ())
                for i in range(self._count):
                    out[i] = state
                    state = np.where(stays, state, 0.0) + kicks[i]
                    if i + 1 < self._count:
                        arriving = None if known is None else known[i + 1]
                        state = run.arrived(state, times[i : i + 2], arriving, self._known)
        return (out.astype(self.outputs[0].dtype),)

    def run_for(self, operands: Sequence[Any]) -> Run:
        """A solution for values of the operands of the equation."""
        return Run(self.name, self._equation, self._integrator, operands)

    def check_times(self, times: Array) -> None:
        """An error for times that are in no order."""
        steps = np.diff(times)
        if not (np.all(steps >= 0) or np.all(steps <= 0)):
            raise ArgumentError(f"{self.name}: the times must increase, or decrease, but are {times!r}")

    @property
    def method(self) -> Any:
        """SciPy's class of the method."""
        return getattr(scipy_module("integrate", self.name), self._integrator.method)

    # --- nodes -------------------------------------------------------------------------------------------------------

    def _taken(self, operands: Sequence[Any]) -> tuple[Any, Any, Any, Any, list[Any]]:
        """Of operands, or their tangents: first state, times, kicks, what is known, and those of the equation."""
        first, times, *rest = operands
        kicks = None if self._keep is None else rest.pop(0)
        known = None if self._known is None else rest.pop(0)
        return first, times, kicks, known, rest

    def _slopes(self, states: Node, times: Node, operands: list[Node]) -> Node:
        """The slope of each state at its time."""
        given = unknowns([self._equation.given[0], intern_aval((), self._equation.given[1].dtype)])
        (slope,) = self._equation.record(given, operands)
        (found,) = Batch(self._count, dict(zip(given, (states, times), strict=True))).of_all([slope])
        return found

    def _kept(self, states: Node) -> Node:
        """States, or parts of them along the last axis, with zeros for what a kick sets."""
        if self._keep is None or all(stays for stays, _ in self._keep):
            return states
        parts = []
        start = 0
        for stays, length in self._keep:
            part = ops.take_slices(states, slice(None), slice(start, start + length))
            parts.append(part if stays else ops.zeros_like(part))
            start += length
        return ops.concatenate(parts, 1)

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Sequence[Node | None]:
        states = ops.outputs(op)[0]
        first, times, kicks, known, operands = self._taken(op.inputs)
        t_first, t_times, t_kicks, t_known, rest = self._taken(tangents)
        n = first.aval.size
        t_state = ops.zeros_like(first) if t_first is None else t_first
        # The equation of the state and of its tangent.
        both, time = unknowns([intern_aval((2 * n,), first.aval.dtype), self._equation.given[1]])
        y, d = ops.take_slices(both, slice(0, n)), ops.take_slices(both, slice(n, 2 * n))
        names = [ops.identity(p) if t is not None else p for p, t in zip(operands, rest, strict=True)]
        (slope,) = self._equation.record([y, time], names)
        moved = {y: d, **{name: t for name, t in zip(names, rest, strict=True) if t is not None}}
        change = Forward(moved)(slope)
        change = ops.zeros_like(d) if change is None else change
        t_out: Node | None = None
        t_kick = t_kicks
        if t_times is not None:
            column = ops.reshape(ops.astype(t_times, first.aval.dtype), (self._count, 1))
            before = self._slopes(states, times, operands) * column
            t_out = before
            if kicks is None:
                # At the first time the state is what was given, whenever that is.
                t_state = t_state - ops.reshape(ops.take_slices(before, slice(0, 1)), (n,))
            else:
                after = self._slopes(self._kept(states) + kicks, times, operands) * column
                late = _but_first(before)
                t_out = late
                jump = self._kept(late) - after
                t_kick = jump if t_kick is None else t_kick + jump
                if known is not None:
                    moving = self._known_part(before)
                    t_known = -moving if t_known is None else t_known - moving
        start = ops.concatenate([first, t_state], 0)
        keep = None if self._keep is None else self._keep * 2
        t_kick = None if kicks is None else ops.zeros_like(kicks) if t_kick is None else t_kick
        all_kicks = None if kicks is None else ops.concatenate([kicks, t_kick], 1)
        if self._known is not None:
            t_known = ops.zeros_like(known) if t_known is None else t_known
            known = ops.concatenate([known, t_known], 1)
        twice = self._known and Known(self._known.runs * 2, self._known.stable)
        found = self._evolved([both, time], [slope, change], start, times, keep, all_kicks, twice, known)
        tangent = ops.take_slices(found, slice(None), slice(n, 2 * n))
        return [tangent if t_out is None else tangent + t_out]

    def pull(self, ct: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        (given,) = ct
        if given is None:
            return [None] * len(positions)
        states = ops.outputs(op)[0]
        first, times, kicks, _, operands = self._taken(op.inputs)
        offset = len(op.inputs) - len(operands)
        wanted = [i - offset for i in positions if i >= offset]
        n, dtype = first.aval.size, first.aval.dtype
        sizes = [operands[i].aval.size for i in wanted]
        length = 2 * n + sum(sizes)
        # The equation backwards in time: of the state, of the adjoint, and of the cotangents of operands.
        all_of_it, back = unknowns([intern_aval((length,), dtype), self._equation.given[1]])
        y, a = ops.take_slices(all_of_it, slice(0, n)), ops.take_slices(all_of_it, slice(n, 2 * n))
        names = [ops.identity(p) if i in wanted else p for i, p in enumerate(operands)]
        (slope,) = self._equation.record([y, -back], names)
        pulled = reverse([slope], [a], [y, *[names[i] for i in wanted]])
        pairs = zip(pulled, [y, *[operands[i] for i in wanted]], strict=True)
        parts = [ops.zeros_like(x) if c is None else c for c, x in pairs]
        turned = ops.flip(states, (0,)), ops.flip(given, (0,))
        kick = [*turned, ops.zeros(intern_aval((self._count, sum(sizes)), dtype))]
        keep = ((False, n), *(self._keep or ((True, n),)), (True, sum(sizes)))
        begun = states if kicks is None else self._kept(states) + kicks
        known = Known(((True, n), (False, length - n)), self._known is None)
        found = self._evolved(
            [all_of_it, back],
            [-slope, vector(parts, dtype)],
            ops.zeros(intern_aval((length,), dtype)),
            -ops.flip(times, (0,)),
            keep,
            ops.concatenate(kick, 1),
            known,
            ops.flip(begun, (0,)),
        )
        after = ops.flip(ops.take_slices(found, slice(None), slice(n, 2 * n)), (0,))
        results: dict[int, Node | None] = {}
        before = given + self._kept(after)
        results[0] = ops.reshape(ops.take_slices(before, slice(0, 1)), (n,))
        if 1 in positions:
            results[1] = self._of_times(states, times, kicks, operands, before, after)
        if kicks is not None:
            results[2] = after
        if self._known is not None:
            # It follows from the rest.
            results[3] = None
        start = 2 * n
        last = ops.take_slices(found, slice(self._count - 1, self._count))
        for i, size in zip(wanted, sizes, strict=True):
            part = ops.take_slices(last, slice(None), slice(start, start + size))
            results[i + offset] = ops.reshape(part, operands[i].aval.shape)
            start += size
        return [results[i] for i in positions]

    def _of_times(
        self, states: Node, times: Node, kicks: Node | None, operands: list[Node], before: Node, after: Node
    ) -> Node:
        """The cotangent of times: what arrives there later has moved on, and what starts there starts later."""
        arriving = ops.sum(before * self._slopes(states, times, operands), (1,))
        # Nothing arrives at the first time.
        arriving = _but_first(arriving)
        begun = states if kicks is None else self._kept(states) + kicks
        leaving = ops.sum(after * self._slopes(begun, times, operands), (1,))
        return ops.astype(arriving - leaving, times.aval.dtype)

    def _evolved(
        self,
        given: list[Node],
        slopes: list[Node],
        first: Node,
        times: Node,
        keep: Keep | None,
        kicks: Node | None,
        known: Known | None,
        arriving: Node | None,
    ) -> Node:
        """What is noted of a state with slopes that were recorded."""
        equation, operands = equation_of(given, [ops.concatenate(slopes, 0)])
        call = Evolve.of(self.name, equation, self._count, keep, self._integrator, known)
        beside = [x for x in (kicks, arriving) if x is not None]
        return ops.outputs(ops.call_p(first, times, *beside, *operands, rule=call))[0]

    def _known_part(self, states: Node) -> Node:
        """The columns that are known."""
        assert self._known is not None
        return ops.concatenate(chosen(states, self._known.runs), 1)


def _but_first(x: Node) -> Node:
    """The same along the first axis, with zero in the first place."""
    return ops.concatenate([ops.zeros_like(ops.take_slices(x, slice(0, 1))), ops.take_slices(x, slice(1, None))], 0)


def evolve(
    name: str, given: list[Node], slope: Node, first: Node, times: Node, integrator: Integrator, count: int
) -> Node:
    """The states at times, of a slope that was recorded for a given state and time."""
    equation, operands = equation_of(given, [slope])
    return ops.outputs(ops.call_p(first, times, *operands, rule=Evolve.of(name, equation, count, None, integrator)))[0]
