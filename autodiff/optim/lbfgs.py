"""``LBFGS``: steps along directions of a quasi-Newton method, for a loss that is evaluated several times in a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arguments import count, flag, number
from ..convert import describe
from ..errors import ArgumentError, DTypeError
from ..places import bring, home_of
from ..registry import get_backend
from ..tracebacks import boundaries
from ..unrecorded import recorded
from .formulas import Momentum
from .keeping import Beside
from .optimizer import Optimizer, Rate
from .wolfe import line_search

Vector = np.ndarray[Any, Any]
# Gives the loss and its gradients at the present parameters.
Evaluate = Callable[[], tuple[Any, Any]]

# A pair of differences whose product is less would make a matrix that is not positive definite.
LEAST_CURVATURE = 1e-10


class Memory(NamedTuple):
    """What a search remembers of the ones before.

    Parameters
    ----------
    changes, differences : ndarray
        Of parameters and of gradients, the newest last; rows from ``pairs`` on are empty.
    pairs, iterations : int
        Rows in use, and iterations so far.
    scale : float
        Of the first guess of the inverse Hessian.
    direction, gradient : ndarray
        The last ones.
    length : float
        Of the last step, in directions.
    """

    changes: Vector
    differences: Vector
    pairs: int
    iterations: int
    scale: float
    direction: Vector
    gradient: Vector
    length: float


@boundaries
class LBFGS(Optimizer):
    """The quasi-Newton method of limited memory: few steps for a loss without noise and up to some 10,000 parameters.

    ``step`` is given a function, and evaluates it several times.

    Parameters
    ----------
    parameters : list of Tensor
        What is trained, or nested lists, tuples and dicts. All of one dtype, floating or complex.
    rate : float or callable, optional
        The length of a step to begin with, in directions; or a function of the number of steps taken so far.
    iterations : int, optional
        Directions of a step at most.
    evaluations : int, optional
        Evaluations of the loss in a step at most; one and a quarter times ``iterations`` if not given.
    history : int, optional
        How many iterations before shape a direction.
    gradient_tolerance : float, optional
        A step ends where no element of the gradient is larger.
    change_tolerance : float, optional
        A step ends where neither a parameter nor the loss changes by more.
    line_search : bool, optional
        False to go ``rate`` along each direction; True to search for a length that fulfils Wolfe's conditions.

    Raises
    ------
    DifferentiationError
        If a parameter is no Tensor, is constant, or has a dtype without derivatives.
    DTypeError
        If parameters are of several dtypes.
    ArgumentError
        If a number makes no sense, there are no parameters, or one is given twice.

    Notes
    -----
    The defaults are PyTorch's, but for the line search, which is on, and a history of 10 in place of 100. A complex
    parameter is one of pairs of real numbers. Directions are computed on the host. ``autodiff.minimize`` finds the
    minimum of a function, with derivatives by what that depends on.

    References
    ----------
    Nocedal and Wright, "Numerical optimization", 2006, algorithms 7.4 and 7.5; 3.5 and 3.6 for the line search.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([-1.0, 2.0])
    >>> graph = ad.Graph()
    >>> def evaluate():
    ...     loss = 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2
    ...     return loss, graph.gradient(loss, [w])
    >>> optimizer = ad.optim.LBFGS([w])
    >>> for _ in range(4):
    ...     loss = optimizer.step(evaluate)
    >>> w.value.round(4)
    array([1., 1.])
    """

    takes_gradients = False

    def __init__(
        self,
        parameters: Any,
        rate: Rate = 1.0,
        iterations: int = 20,
        evaluations: int | None = None,
        history: int = 10,
        gradient_tolerance: float = 1e-7,
        change_tolerance: float = 1e-9,
        line_search: bool = True,
    ):
        # What moves is moved by gradient descent without momentum: it has no moments.
        super().__init__(parameters, rate, Momentum(0.0, False))
        if len({p.dtype for p in self._parameters}) > 1:
            found = ", ".join(sorted({str(p.dtype) for p in self._parameters}))
            raise DTypeError(f"LBFGS: parameters are of dtypes {found}; give them one (.astype)")
        self._iterations = count(iterations, "LBFGS: iterations")
        self._evaluations = (
            self._iterations * 5 // 4 if evaluations is None else count(evaluations, "LBFGS: evaluations")
        )
        self._gradient_tolerance = number(gradient_tolerance, "LBFGS: gradient_tolerance")
        self._change_tolerance = number(change_tolerance, "LBFGS: change_tolerance")
        self._searches = flag(line_search, "LBFGS: line_search", ArgumentError)
        dtype = np.finfo(self._parameters[0].dtype).dtype
        size = sum(p.size * (2 if p.dtype.kind == "c" else 1) for p in self._parameters)
        rows, empty = count(history, "LBFGS: history"), np.zeros(size, dtype)
        self._memory = Memory(
            np.zeros((rows, size), dtype), np.zeros((rows, size), dtype), 0, 0, 1.0, empty, empty, 0.0
        )
        self._keepers.append(self)

    # --- a step ------------------------------------------------------------------------------------------------------

    def step(self, gradients: Evaluate) -> float:  # type: ignore[override]  # it has a loss to return
        """Go down several directions, each by a length that suits the loss.

        Parameters
        ----------
        gradients : callable
            Takes nothing; returns the loss and its gradients at the parameters as they are then, ``(loss,
            graph.gradient(loss, parameters))`` for one. The same numbers give the same results.

        Returns
        -------
        float
            The loss at the parameters before the step.

        Raises
        ------
        ArgumentError
            If it is no function, or does not return two things.
        """
        if not callable(gradients):
            raise ArgumentError(
                f"LBFGS.step takes a function that returns the loss and its gradients, not {describe(gradients)}"
            )
        begin = self._point()
        memory, steps = self._memory, self.steps
        try:
            first, found, memory = self._searched(gradients, begin, memory)
        except BaseException:
            # The loss was evaluated at other parameters meanwhile.
            self._go(begin, steps)
            raise
        self._go(found, steps + 1, [(self, "_memory", memory)])
        return first

    def _searched(self, evaluate: Evaluate, x: Vector, memory: Memory) -> tuple[float, Vector, Memory]:
        """The first loss, where a step ends, and what it remembers."""
        loss, gradient = self._evaluated(evaluate)
        first, evaluations = loss, 1
        if not np.max(np.abs(gradient), initial=0) > self._gradient_tolerance:
            return first, x, memory
        rate = number(self.rate(self.steps) if callable(self.rate) else self.rate, "step: rate")
        for iteration in range(1, self._iterations + 1):
            memory = _learned(memory, gradient)
            direction = _direction(memory, gradient)
            length = rate
            if memory.iterations == 1:
                length *= min(1.0, 1.0 / float(np.sum(np.abs(gradient))))
            slope = float(gradient @ direction)
            memory = memory._replace(direction=direction, gradient=gradient, length=length)
            if slope > -self._change_tolerance:
                break
            before = loss
            if self._searches:

                def along(t: float, x: Vector = x, direction: Vector = direction) -> tuple[float, Vector, float]:
                    value, g = self._evaluated(evaluate, x + x.dtype.type(t) * direction)
                    return value, g, float(g @ direction)

                largest = float(np.max(np.abs(direction)))
                loss, gradient, length, n = line_search(
                    along,
                    length,
                    loss,
                    gradient,
                    slope,
                    self._change_tolerance / largest,
                    self._evaluations - evaluations,
                )
                memory = memory._replace(length=length)
                x = x + x.dtype.type(length) * direction
                evaluations += n
            else:
                x = x + x.dtype.type(length) * direction
                if iteration < self._iterations:
                    loss, gradient = self._evaluated(evaluate, x)
                    evaluations += 1
            if iteration == self._iterations or evaluations >= self._evaluations:
                break
            if not np.max(np.abs(gradient)) > self._gradient_tolerance:
                break
            if np.max(np.abs(length * direction)) <= self._change_tolerance:
                break
            if abs(loss - before) < self._change_tolerance:
                break
        return first, x, memory

    def _evaluated(self, evaluate: Evaluate, x: Vector | None = None) -> tuple[float, Vector]:
        """Loss and gradient, at the present parameters or at others."""
        if x is not None:
            self._go(x, self.steps)
        # Also where nothing is recorded around it.
        found = recorded(evaluate)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise ArgumentError(
                f"LBFGS.step: the function returned {describe(found)}; it must return the loss and its gradients"
            )
        loss, gradients = found
        uphill = [np.conj(bring(g, get_backend())) for g in self._checked(gradients)]
        return float(loss), _flat(uphill)

    def _point(self) -> Vector:
        """The parameters as one vector of real numbers."""
        return _flat([bring(p.value, get_backend()) for p in self._parameters])

    def _go(self, x: Vector, steps: int, beside: Beside = ()) -> None:
        """Let the parameters be those of a vector."""
        values, at = [], 0
        for p in self._parameters:
            n = p.size * (2 if p.dtype.kind == "c" else 1)
            array = x[at : at + n].copy().view(p.dtype).reshape(p.shape)
            values.append(bring(array, home_of(p.value)))
            at += n
        self._commit(values, self._moments, steps, beside)

    # --- state -------------------------------------------------------------------------------------------------------

    def _state_arrays(self) -> dict[str, Any]:
        """What the search remembers, which is saved with the parameters."""
        memory = self._memory
        counts = np.array([memory.pairs, memory.iterations], np.int64)
        numbers = np.array([memory.scale, memory.length])
        return {
            "search.counts": counts,
            "search.numbers": numbers,
            "search.changes": memory.changes,
            "search.differences": memory.differences,
            "search.direction": memory.direction,
            "search.gradient": memory.gradient,
        }

    def _state_from(self, arrays: Sequence[Any]) -> Beside:
        """What changes if these arrays are what the search remembers."""
        (pairs, iterations), (scale, length) = arrays[0].tolist(), arrays[1].tolist()
        changes, differences, direction, gradient = arrays[2:]
        if not 0 <= pairs <= len(changes) or iterations < pairs:
            raise ArgumentError(f"load: {pairs} pairs of {iterations} iterations are those of no search")
        memory = Memory(changes, differences, pairs, iterations, scale, direction, gradient, length)
        return [(self, "_memory", memory)]


def _flat(arrays: Sequence[Any]) -> Vector:
    """Arrays of one dtype as a vector of real numbers; complex ones as pairs."""
    real = np.finfo(arrays[0].dtype).dtype
    return np.concatenate([np.ascontiguousarray(a).reshape(-1).view(real) for a in arrays])


def _learned(memory: Memory, gradient: Vector) -> Memory:
    """With what the last iteration has shown, if there was one."""
    memory = memory._replace(iterations=memory.iterations + 1)
    if memory.iterations == 1:
        return memory
    y = gradient - memory.gradient
    s = memory.direction * memory.direction.dtype.type(memory.length)
    ys = float(y @ s)
    if not ys > LEAST_CURVATURE:
        return memory
    # New arrays: a step that fails leaves what was remembered as it was.
    changes, differences, pairs = memory.changes.copy(), memory.differences.copy(), memory.pairs
    if pairs == len(changes):
        changes[:-1], differences[:-1] = memory.changes[1:], memory.differences[1:]
        pairs -= 1
    changes[pairs], differences[pairs] = s, y
    return memory._replace(changes=changes, differences=differences, pairs=pairs + 1, scale=ys / float(y @ y))


def _direction(memory: Memory, gradient: Vector) -> Vector:
    """Minus the inverse Hessian, as far as it is known, times the gradient: algorithm 7.4, in two loops."""
    pairs = [*zip(memory.changes[: memory.pairs], memory.differences[: memory.pairs], strict=True)]
    q: Vector = -gradient
    factors = []
    for s, y in reversed(pairs):
        factors.append((s @ q) / (y @ s))
        q = q - factors[-1] * y
    q = q * q.dtype.type(memory.scale)
    for (s, y), factor in zip(pairs, reversed(factors), strict=True):
        q = q + (factor - (y @ q) / (y @ s)) * s
    return q
