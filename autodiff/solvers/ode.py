"""Ordinary differential equations: ``odeint``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arguments import count, word
from ..called import Call
from ..containers import flatten
from ..core.avals import FLOAT64, intern_aval
from ..errors import ArgumentError, ShapeError, shown
from ..memo import Memo
from ..nodes import Node
from ..tensor import Tensor, wrap
from ..tracebacks import boundary
from ..transforms.calls import scalar
from .equations import (
    Array,
    Equation,
    Unknowns,
    called,
    checked_function,
    equation_of,
    finished,
    one_number,
    unknown,
)
from .evolve import Evolve, evolve
from .implicit import DENSE, Problem, implicit
from .integrating import METHODS, Integrator
from .recurrence import by_steps
from .roots import polished

# Evaluations of an equation, if nobody says how many.
EVALUATIONS = 1_000_000
# Steps from one time to the next, if nobody says how many, and the methods whose steps are formulas.
STEPS = 100
ADJOINTS = ("continuous", "discrete")
EXPLICIT = ("DOP853", "RK45", "RK23")


def _positive(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value > 0:
        raise ArgumentError(f"{what}={shown(value)} must be a positive number")
    return float(value)


@boundary
def odeint(
    function: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    method: str = "DOP853",
    rtol: float = 1e-8,
    atol: float = 1e-8,
    max_step: float = np.inf,
    max_evaluations: int = EVALUATIONS,
    adjoint: str = "continuous",
    max_steps: int = STEPS,
    event: Callable[..., Any] | None = None,
) -> Any:
    """The solution of an ordinary differential equation, ``dy/dt = function(y, t, *args)``, with derivatives.

    Parameters
    ----------
    function : callable
        Written with NumPy; takes a state, a time and ``args``, and returns what has the structure and the shapes of the
        state. It is recorded, once, and may use Tensors of the outside.
    y0 : array_like or container of arrays
        The state at the first time. Nested lists of numbers are an array.
    t : array_like
        The times, one axis of them, which increase or decrease.
    *args
        Further arguments of the function.
    method : {"DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA"}, optional
        That of ``scipy.integrate.solve_ivp``. The last three are for stiff equations, and are given the Jacobian.
    rtol, atol : float, optional
        The error of a step, beside the state and at least; of derivatives, too.
    max_step : float, optional
        The longest step.
    max_evaluations : int, optional
        Evaluations of the function at most, for one solution.
    adjoint : {"continuous", "discrete"}, optional
        Whether derivatives are those of the solution, or those of what the method computes: of each of its steps. The
        latter are exact for the value, at any tolerance, for the methods "DOP853", "RK45" and "RK23".
    max_steps : int, optional
        With ``adjoint="discrete"``: steps from one time to the next at most, for which there is room in memory.
    event : callable, optional
        ``event(y, t, *args)``, a number: the solution ends where it passes zero, before the last time.

    Returns
    -------
    array or container
        The state at each time, with an axis of times before its own. With ``event`` a pair: the time when the event
        takes place, and the state then.

    Raises
    ------
    ConvergenceError
        When the value is computed, if the solution ends before the last time, or there is no event.
    ShapeError, ArgumentError
        If the function returns another shape or structure than that of the state.
    UnsupportedError
        If SciPy is not installed.

    Notes
    -----
    The derivative of a solution is a solution of another equation, that of tangents or of adjoints, which SciPy
    integrates with steps of its own; adjoints begin anew at each of the times, and go along the solution as it is
    forward in time, so that what decays does them no harm. With ``adjoint="discrete"`` SciPy says where steps are, and
    they are a recurrence, whose derivatives are recurrences. Either is recorded like everything else, so that it has
    derivatives itself, in either mode and of any order: by ``y0``, ``t``, ``args`` and Tensors of the outside. The time
    of an event is a root, and has the derivatives of one.

    Examples
    --------
    >>> import autodiff as ad
    >>> import math
    >>> decay = lambda rate: ad.odeint(lambda y, t: -rate * y, 1.0, [0.0, 1.0])[-1]
    >>> round(ad.grad(decay)(2.0), 6), round(-math.exp(-2.0), 6)
    (-0.135335, -0.135335)
    >>> time, state = ad.odeint(
    ...     lambda y, t: {"x": y["v"], "v": -9.81}, {"x": 10.0, "v": 0.0}, [0.0, 9.0], event=lambda y, t: y["x"]
    ... )
    >>> round(float(time), 6), round(float(state["v"]), 6)
    (1.427843, -14.007141)
    """
    name = "odeint"
    checked_function(function, name)
    word(method, f"{name}: method", tuple(METHODS))
    integrator = Integrator(
        method,
        _positive(rtol, f"{name}: rtol"),
        _positive(atol, f"{name}: atol"),
        _positive(max_step, f"{name}: max_step"),
        count(max_evaluations, f"{name}: max_evaluations"),
    )
    word(adjoint, f"{name}: adjoint", ADJOINTS)
    room = count(max_steps, f"{name}: max_steps")
    if adjoint == "discrete" and (method not in EXPLICIT or event is not None):
        raise ArgumentError(
            f"{name}: adjoint='discrete' differentiates the steps of {', '.join(EXPLICIT)}, without an event; "
            "adjoint='continuous' is for all methods"
        )
    start = Unknowns(y0, f"{name}: y0")
    times = _times(t)
    y, now = unknown(start.flat.aval), unknown(intern_aval((), times.aval.dtype))
    begin = y
    slope = _slope(function, start, y, now, args)
    if event is not None:
        return _until(event, start, times, [y, now], slope, args, integrator, (y0, t, args))
    n, what = times.aval.size, f"{name}: the solution"
    if adjoint == "continuous":
        flat = evolve(what, [y, now], slope, start.flat, times, integrator, n)
    else:
        equation, operands = equation_of([y, now], [slope])
        evolved = Evolve.of(what, equation, n, None, integrator)
        flat = by_steps(what, equation, evolved, start.flat, times, operands, room)
    return start.returned(finished(start.apart(flat, (n,)), begin, (y0, t, args)), lead=True)


def _times(t: Any) -> Node:
    """The times as a node of one axis, of floating numbers."""
    if isinstance(t, (list, tuple)) and any(isinstance(x, Tensor) for x in flatten(t)[0]):
        found = Unknowns(t, "odeint: t").flat
    else:
        given = Unknowns(t if isinstance(t, Tensor) else np.asarray(t), "odeint: t")
        (found,) = given.apart(given.flat)
    if found.aval.ndim != 1 or not found.aval.size:
        raise ShapeError(f"odeint: t must be one axis of at least one time, but is {found.aval!r}")
    return found if found.aval.dtype.itemsize >= 4 else ops.astype(found, FLOAT64)


def _slope(function: Callable[..., Any], start: Unknowns, y: Node, now: Node, args: Sequence[Any]) -> Node:
    """The slope that a function returns, checked to be like the state, as a vector."""
    out = called(function, [start.rebuilt(y), wrap(now), *args], [y, now], "odeint")
    return start.vector_of(out, "odeint", "y0")


# --- events ----------------------------------------------------------------------------------------------------------

_known: Memo[Any, First] = Memo(1 << 8)


class First(Call):
    """When an event takes place, as SciPy finds it: no derivative passes, since a root is looked for from there.

    Its operands are the first state, the times, those of the equation of the state, and those of the event.

    Parameters
    ----------
    name : str
        For messages.
    evolved : Evolve
        The solution.
    event : Equation
        From a state and a time to a number.
    count : int
        How many operands the equation of the state has.
    """

    __slots__ = ("_count", "_event", "_evolved")

    def __init__(self, name: str, evolved: Evolve, event: Equation, count: int):
        self.name = name
        self.outputs = (intern_aval((1,), event.given[1].dtype),)
        self._evolved = evolved
        self._event = event
        self._count = count

    @classmethod
    def of(cls, name: str, evolved: Evolve, event: Equation, count: int) -> First:
        """The one with these."""
        key = (name, evolved, event, count)
        return _known.get(key) or _known.put(key, cls(*key))

    def passes(self, position: int) -> bool:
        return False

    def run(self, *values: Any) -> tuple[Array, ...]:
        state, times, *rest = values
        times = np.asarray(times, np.float64)
        ends = np.array([times[0], times[-1]])
        operands, beside = rest[: self._count], rest[self._count :]
        run = self._evolved.run_for(operands)
        plan = self._event.plan("event", self._event.record)
        given = self._event.given

        def event(t: float, y: Array) -> float:
            return plan(np.asarray(y, given[0].dtype), np.asarray(t, given[1].dtype), *beside)[0].item()  # type: ignore[no-any-return]

        event.terminal = True  # type: ignore[attr-defined]
        found = run.solved(np.asarray(state, np.float64), ends, events=event)
        if found.status != 1:
            raise run.failed("there was no event before the last time", ends[-1])
        return (np.array(found.t_events[0][:1], self.outputs[0].dtype),)


def _event_solver(problem: Problem) -> Array:
    """The time, made better."""
    return polished(problem, problem.start, True, "the event is no root", None)


def _until(
    event: Callable[..., Any],
    start: Unknowns,
    times: Node,
    given: list[Node],
    slope: Node,
    args: tuple[Any, ...],
    integrator: Integrator,
    everything: Any,
) -> tuple[Any, Any]:
    """The time of an event, and the state then."""
    name = "odeint: the time of the event"
    checked_function(event, "odeint: event")
    y, now = given
    value = one_number(called(event, [start.rebuilt(y), wrap(now), *args], given, "odeint"), "odeint: event")
    equation, operands = equation_of(given, [slope])
    happens, beside = equation_of(given, [ops.reshape(ops.astype(value, now.aval.dtype), (1,))])
    evolved = Evolve.of(name, equation, 2, None, integrator)
    call = First.of(name, evolved, happens, len(operands))
    (about,) = ops.outputs(ops.call_p(start.flat, times, *operands, *beside, rule=call))
    first = ops.take_slices(times, slice(0, 1))

    def state_at(time: Node) -> Node:
        both = ops.concatenate([first, time], 0)
        states = ops.outputs(ops.call_p(start.flat, both, *operands, rule=evolved))[0]
        return ops.reshape(ops.take_slices(states, slice(1, 2)), start.flat.aval.shape)

    time = unknown(intern_aval((1,), times.aval.dtype))
    (left,) = happens.record([state_at(time), ops.reshape(time, ())], beside)
    when = implicit(name, time, [left], about, _event_solver, DENSE)
    parts = [ops.reshape(when, ()), *start.apart(state_at(when))]
    moment, *state = finished(parts, y, everything)
    return scalar(moment), start.returned(state)
