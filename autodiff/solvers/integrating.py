"""Solutions of ordinary differential equations in numbers, by SciPy: of whole states, and of parts of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..errors import ConvergenceError
from ..nodes import Node
from ..progress import Task, begun
from ..walks import jacobian
from ..whole import silent
from .equations import Array, Equation, scipy_module

# Those of scipy.integrate.solve_ivp; True where it takes the derivative by the state.
METHODS = {"RK23": False, "RK45": False, "DOP853": False, "Radau": True, "BDF": True, "LSODA": True}

# Some of the elements of a state, such as those that stay when it is kicked: runs of them, True for those that are
# meant, and how many these are.
Keep = tuple[tuple[bool, int], ...]

# Methods whose solutions between steps are smooth and exact enough to be part of an equation: of others, and of stiff
# ones.
SMOOTH = ("DOP853", "Radau")

# What arrives somewhere may differ from what is known to arrive there, for the tolerances, by this.
FARTHEST = 1e3


def mask(runs: Keep) -> Array:
    """Which elements runs are of."""
    return np.repeat([stays for stays, _ in runs], [length for _, length in runs])


@dataclass(frozen=True, slots=True)
class Known:
    """The elements of a state that are known when it arrives at a time, before it gets its kick.

    Parameters
    ----------
    runs : Keep
        Which these are.
    stable : bool
        Whether they are to be computed from there, the other way round; otherwise it is looked whether they arrive.
    """

    runs: Keep
    stable: bool


@dataclass(frozen=True, slots=True)
class Integrator:
    """``scipy.integrate.solve_ivp``.

    Parameters
    ----------
    method : str
        SciPy's name.
    rtol, atol : float
        The error of a step, beside the state and at least.
    max_step : float
        The longest step.
    limit : int
        Evaluations of the equation at most.
    """

    method: str
    rtol: float
    atol: float
    max_step: float
    limit: int


def chosen(x: Node, runs: Keep) -> list[Node]:
    """The parts along the last axis that are meant."""
    parts = []
    start = 0
    for meant, length in runs:
        if meant:
            parts.append(ops.take_slices(x, *(slice(None),) * (x.aval.ndim - 1), slice(start, start + length)))
        start += length
    return parts


class Run:
    """One solution by SciPy.

    Parameters
    ----------
    name : str
        For messages.
    equation : Equation
        From a state and a time to the slope of the state.
    integrator : Integrator
    operands : sequence
        The values of those of the equation.
    """

    __slots__ = (
        "_background",
        "_equation",
        "_evaluations",
        "_integrator",
        "_jacobian",
        "_name",
        "_operands",
        "_part",
        "_slope",
        "_span",
        "_task",
        "_time",
    )

    def __init__(self, name: str, equation: Equation, integrator: Integrator, operands: Sequence[Any]):
        self._name = name
        self._equation = equation
        self._integrator = integrator
        self._operands = operands
        self._slope = equation.plan("slope", equation.record)
        self._jacobian: Any = None
        if METHODS[integrator.method]:
            self._jacobian = equation.plan(
                "matrix", lambda given, rest: jacobian(equation.record(given, rest), given[:1], (), True), derived=True
            )
        self._evaluations = 0
        self._time = 0.0
        # What is told how far it is, if somebody listens, and from when to when it goes.
        self._task: Task | None = None
        self._span = (0.0, 0.0)
        # Which elements are computed, if not all, and a function of the time that gives the whole state otherwise.
        self._part: Any = None
        self._background: Any = None

    @contextmanager
    def watched(self, times: Array) -> Iterator[None]:
        """In the block it is told how far between the first and the last of these times the solution is."""
        self._task = task = begun(self._name, 100)
        if task is None:
            yield
            return
        self._span = (float(times[0]), float(times[-1]))
        try:
            yield
        finally:
            self._task = None
            task.end()

    def _at(self, t: float, y: Array) -> list[Any]:
        state, time = self._equation.given
        if self._part is not None:
            whole = self._background(t)
            whole[self._part] = y
            y = whole
        return [np.asarray(y, state.dtype), np.asarray(t, time.dtype), *self._operands]

    def slope(self, t: float, y: Array) -> Array:
        """The slope of a state, of double precision."""
        self._evaluations += 1
        if not np.isfinite(t):
            raise self.failed("the state is not finite", self._time)
        self._time = t
        if self._task is not None:
            first, last = self._span
            self._task.at(max(self._task.done, int(100 * (t - first) / (last - first))) if last != first else 100)
        if self._evaluations > self._integrator.limit:
            raise self.failed(f"it took more than {self._integrator.limit} evaluations (max_evaluations=)", t)
        return np.asarray(self._slope(*self._at(t, y))[0], np.float64)

    def matrix(self, t: float, y: Array) -> Array:
        """The derivative of the slope by the state."""
        found = np.asarray(self._jacobian(*self._at(t, y))[0], np.float64)
        return found if self._part is None else found[np.ix_(self._part, self._part)]

    def failed(self, reason: str, time: float) -> ConvergenceError:
        """The error that says how far the solution came."""
        return ConvergenceError(
            f"{self._name} was not found beyond t={time:.6g}: {reason} ({self._integrator.method}, "
            f"{self._evaluations} evaluations)"
        )

    def __call__(self, state: Array, times: Array) -> Array:
        """The states at the times but the first one."""
        if not np.all(np.isfinite(state)):
            raise self.failed("the state is not finite", times[0])
        if times[-1] == times[0] or not state.size:
            return np.broadcast_to(state, (len(times) - 1, *state.shape))
        fresh = np.diff(times, prepend=np.nan) != 0
        found = self.solved(state, times[fresh])
        return np.asarray(found.y.T[np.cumsum(fresh) - 1][1:])

    def arrived(self, state: Array, times: Array, arriving: Array | None, known: Known | None) -> Array:
        """The state at the second of two times; some elements of it may be known."""
        if known is None or arriving is None or times[0] == times[1]:
            (found,) = self(state, times)
            return np.array(found)
        which = mask(known.runs)
        if not known.stable:
            (found,) = self(state, times)
            self._check_arrival(found[which], arriving, times[1])
            return np.array(found)
        # What is known does not depend on the rest.
        self._only(known.runs, lambda t: np.zeros(state.shape))
        path = self.solved(arriving, times[::-1], method=SMOOTH[self._jacobian is not None], dense_output=True).sol

        def known_at(t: float) -> Array:
            whole = np.empty(state.shape)
            whole[which] = path(t)
            return whole

        self._only(tuple([(not meant, length) for meant, length in known.runs]), known_at)
        found = np.empty(state.shape)
        found[which] = arriving
        found[~which] = self.solved(state[~which], times).y[:, -1]
        return found

    def _only(self, runs: Keep, background: Callable[[float], Array]) -> None:
        """Let some elements be computed only, the others being what ``background`` gives for a time."""
        equation = self._equation

        def outputs(given: list[Node], operands: list[Node]) -> list[Node]:
            (slope,) = equation.record(given, operands)
            return [ops.concatenate(chosen(slope, runs), 0)]

        self._part, self._background = mask(runs), background
        self._slope = equation.plan(("slope", runs), outputs)

    def _check_arrival(self, found: Array, arriving: Array, time: float) -> None:
        """An error where errors have grown."""
        integrator = self._integrator
        allowed = FARTHEST * (integrator.atol + integrator.rtol * np.max(np.abs(arriving), initial=0.0))
        error = np.max(np.abs(found - arriving), initial=0.0)
        if not error <= allowed:
            raise self.failed(
                f"solved backwards it is off by {error:.3g}, since it grows so fast there; take the second derivative "
                "in forward mode (ad.hessian, ad.hvp do), give more times, or adjoint='discrete'",
                time,
            )

    def solved(self, state: Array, times: Array, every: bool = False, method: str | None = None, **more: Any) -> Any:
        """What SciPy gives at the times, or at the end of every step; an error if it fails."""
        integrate = scipy_module("integrate", self._name)
        integrator = self._integrator
        options: dict[str, Any] = {} if self._jacobian is None else {"jac": self.matrix}
        found = silent(
            integrate.solve_ivp,
            self.slope,
            (times[0], times[-1]),
            state,
            method=method or integrator.method,
            t_eval=None if every else times,
            rtol=integrator.rtol,
            atol=integrator.atol,
            max_step=integrator.max_step,
            **options,
            **more,
        )
        if found.status < 0 or not np.all(np.isfinite(found.y)):
            raise self.failed(
                str(found.message).rstrip(".") if found.status < 0 else "the state is not finite", self._time
            )
        return found
