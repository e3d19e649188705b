"""Roots and fixed points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arguments import count, word
from ..errors import ArgumentError, ShapeError, shown
from ..static_keys import static_key
from ..tracebacks import boundary
from .equations import (
    Array,
    Unknowns,
    called,
    checked_args,
    checked_function,
    finished,
    results_of,
    scipy_module,
    unknown,
    vector,
)
from .implicit import DENSE, LARGEST_MATRIX, Iterative, Linear, Problem, implicit
from .linear import METHODS as LINEAR_METHODS
from .linear import Krylov

# Those of scipy.optimize.root; True where it takes the derivative.
METHODS = {
    "hybr": True,
    "lm": True,
    "broyden1": False,
    "broyden2": False,
    "anderson": False,
    "linearmixing": False,
    "diagbroyden": False,
    "excitingmixing": False,
    "krylov": False,
    "df-sane": False,
}
FIXED = ("iteration", "anderson", "root")

# Steps of Newton's method after a solver of SciPy's: what it found is a start, and derivatives are taken at the end.
POLISHING = 8
# A solution is none if a step of Newton's method from there is longer than this, for its length.
LONGEST_LAST_STEP = 1e-2
# A residual is none if it is smaller than this, for that where the search began.
SMALL = 1e-6


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a solver of SciPy's, as what can be compared.

    Parameters
    ----------
    key : object
        What tells them apart.
    values : mapping
        The options.
    """

    key: Any
    values: Mapping[str, Any] = field(compare=False)


def options_of(options: Any, name: str) -> Options:
    """Options checked to be a dict."""
    if options is not None and not isinstance(options, Mapping):
        raise ArgumentError(f"{name}: options={shown(options)} must be a dict of options of SciPy's solver")
    values = dict(options or {})
    found = Options(static_key(values), values)
    try:
        hash(found)
    except TypeError as error:
        raise ArgumentError(f"{name}: options={shown(options)} must hold numbers and texts ({error})") from None
    return found


def tolerance(tol: Any, dtype: np.dtype[Any], name: str) -> float:
    """A tolerance; what the precision allows, if none is given."""
    if tol is None:
        return float(np.sqrt(np.finfo(dtype).eps))
    if isinstance(tol, bool) or not isinstance(tol, (int, float, np.number)) or not tol > 0:
        raise ArgumentError(f"{name}: tol={shown(tol)} must be a positive number")
    return float(tol)


def linear_by(linear: Any, dtype: np.dtype[Any], name: str) -> Linear:
    """How linear systems are solved, by its name."""
    word(linear, f"{name}: linear", LINEAR_METHODS)
    return DENSE if linear == "dense" else Iterative(Krylov.of(linear, None, None, dtype))


def polished(problem: Problem, x: Array, converged: bool, reason: str, iterations: Any) -> Array:
    """A solution made better by short steps of Newton's method as long as that helps; an error if it is none."""
    residual = problem.residual(x)
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(residual))):
        raise problem.failed(f"{reason}; a number is not finite", x, iterations)
    for _ in range(POLISHING):
        error = np.max(np.abs(residual))
        if not error:
            break
        step = problem.linear.step(problem, x, -residual)
        length = np.max(np.abs(step)) / (1 + np.max(np.abs(x)))
        if not length <= LONGEST_LAST_STEP:
            if not np.isfinite(length) and converged and (x.size > LARGEST_MATRIX or _is_small(problem, error)):
                # With a singular matrix steps say nothing, and there is none of one that is too large.
                break
            raise problem.failed(f"{reason}; there is none near, by Newton's method", x, iterations)
        other = problem.residual(x + step)
        if not np.max(np.abs(other)) < error:
            break
        x, residual = x + step, other
    return x


def _is_small(problem: Problem, error: float) -> bool:
    """Whether a residual is as nothing beside that where the search began."""
    return bool(error <= SMALL * np.max(np.abs(problem.residual(problem.start)), initial=1.0))


@dataclass(frozen=True, slots=True)
class RootFinder:
    """``scipy.optimize.root``.

    Parameters
    ----------
    method : str
        SciPy's name.
    tol : float
        How close the solution is.
    options : Options
        What SciPy's method takes beside.
    """

    method: str
    tol: float
    options: Options

    def __call__(self, problem: Problem) -> Array:
        optimize = scipy_module("optimize", problem.name)
        found = optimize.root(
            problem.residual,
            problem.start,
            jac=problem.matrix if METHODS[self.method] else None,
            method=self.method,
            tol=self.tol,
            options=dict(self.options.values) or None,
        )
        x = np.asarray(found.x, np.float64).reshape(problem.start.shape)
        reason = " ".join(str(found.message).split()).rstrip(".")
        return polished(problem, x, bool(found.success), reason, found.get("nit"))


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Iteration of x = f(x).

    Parameters
    ----------
    tol : float
        How close the solution is.
    maxiter : int
        Iterations at most.
    """

    tol: float
    maxiter: int

    def __call__(self, problem: Problem) -> Array:
        x = problem.start
        for _ in range(self.maxiter):
            step = problem.residual(x)
            x = x + step
            if not np.all(np.isfinite(x)):
                raise problem.failed("the iteration leaves the finite numbers", x - step)
            if np.max(np.abs(step), initial=0.0) <= self.tol * (1 + np.max(np.abs(x), initial=0.0)):
                return polished(problem, x, True, "", None)
        raise problem.failed("the iteration does not converge", x, self.maxiter)


@boundary
def root(
    function: Callable[..., Any],
    x0: Any,
    args: Any = (),
    *,
    method: str = "hybr",
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    linear: str = "dense",
) -> Any:
    """A root of a function, ``function(x, *args) = 0``, with derivatives by all that the function depends on.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns as many real numbers as there are unknowns, as an array or a container of them. It
        is recorded, once, and may use Tensors of the outside.
    x0 : array_like or container of arrays
        Where the search begins. Nested lists of numbers are an array.
    args : tuple, optional
        Further arguments of the function.
    method : str, optional
        That of ``scipy.optimize.root``: "hybr", "lm", "broyden1", "krylov", "df-sane" ... The derivative is given to
        those that take it.
    tol : float, optional
        Of SciPy's method. The solution is made better by Newton's method afterwards, as far as that goes.
    options : dict, optional
        Of SciPy's method.
    linear : {"dense", "gmres", "bicgstab", "cg", "minres", "lgmres"}, optional
        How the linear systems of derivatives are solved: with the matrix, or by products with it alone.

    Returns
    -------
    array, number or container
        The root, in the structure of ``x0``: Tensors where derivatives pass, or where a Tensor was given.

    Raises
    ------
    ConvergenceError
        When the value is computed, if there is no root to be found.
    ShapeError
        If the function returns more or fewer numbers than there are unknowns.
    TraceError
        If the function looks at an unknown.
    UnsupportedError
        If SciPy is not installed.

    Notes
    -----
    Derivatives are those of the implicit function theorem, recorded at the root. A singular Jacobian there is NumPy's
    ``LinAlgError`` when a derivative is computed. There is no derivative by ``x0``: it only says which root is found.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.root(lambda x, a: x**2 - a, 1.0, (4.0,))
    2.0
    >>> ad.grad(lambda a: ad.root(lambda x: x**2 - a, 1.0))(4.0)
    0.25
    """
    name = "root"
    checked_function(function, name)
    word(method, f"{name}: method", tuple(METHODS))
    args = checked_args(args, name)
    start = Unknowns(x0, f"{name}: x0")
    dtype = start.flat.aval.dtype
    solver = RootFinder(method, tolerance(tol, dtype, name), options_of(options, name))
    x = unknown(start.flat.aval)
    nodes, _ = results_of(called(function, [start.rebuilt(x), *args], [x], name), name)
    f = vector(nodes, dtype)
    if f.aval.size != x.aval.size:
        raise ShapeError(
            f"{name}: the function returned {f.aval.size} numbers, but there are {x.aval.size} unknowns in x0"
        )
    flat = implicit(f"{name}: the root", x, [f], start.flat, solver, linear_by(linear, dtype, name))
    return start.returned(finished(start.apart(flat), x, (x0, args)))


@boundary
def fixed_point(
    function: Callable[..., Any],
    x0: Any,
    args: Any = (),
    *,
    method: str = "iteration",
    tol: float | None = None,
    maxiter: int = 1000,
    linear: str = "dense",
) -> Any:
    """A fixed point of a function, ``function(x, *args) = x``, with derivatives by all that the function depends on.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns what has the structure and shapes of ``x0``. It is recorded, once.
    x0 : array_like or container of arrays
        Where the iteration begins.
    args : tuple, optional
        Further arguments of the function.
    method : {"iteration", "anderson", "root"}, optional
        The iteration itself; SciPy's method "anderson", which mixes several steps; or a search for the root of
        ``function(x) - x``, which finds fixed points that do not attract.
    tol : float, optional
        How long the last step is at most, beside the solution.
    maxiter : int, optional
        Iterations at most.
    linear : str, optional
        As for ``root``.

    Returns
    -------
    array, number or container
        The fixed point, in the structure of ``x0``.

    Raises
    ------
    ConvergenceError
        When the value is computed, if the iteration does not converge.
    ShapeError, ArgumentError
        If the function returns another shape, or another structure.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> round(ad.fixed_point(np.cos, 1.0), 6)
    0.739085
    >>> ad.grad(lambda a: ad.fixed_point(lambda x: 0.5 * (x + a / x), 1.0))(4.0)
    0.25
    """
    name = "fixed_point"
    checked_function(function, name)
    word(method, f"{name}: method", FIXED)
    maxiter = count(maxiter, f"{name}: maxiter")
    args = checked_args(args, name)
    start = Unknowns(x0, f"{name}: x0")
    dtype = start.flat.aval.dtype
    tol = tolerance(tol, dtype, name)
    x = unknown(start.flat.aval)
    f = start.vector_of(called(function, [start.rebuilt(x), *args], [x], name), name, "x0") - x
    solver: Any = FixedPoint(tol, maxiter)
    if method != "iteration":
        limit = {"maxiter": maxiter} if method == "anderson" else None
        solver = RootFinder("anderson" if limit else "hybr", tol, options_of(limit, name))
    flat = implicit(f"{name}: the fixed point", x, [f], start.flat, solver, linear_by(linear, dtype, name))
    return start.returned(finished(start.apart(flat), x, (x0, args)))
