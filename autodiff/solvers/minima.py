"""Minima of functions, and of sums of squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..arguments import word
from ..differentiate import reverse
from ..nodes import Node
from ..tracebacks import boundary
from .equations import (
    Array,
    Unknowns,
    called,
    checked_args,
    checked_function,
    finished,
    one_number,
    results_of,
    scipy_module,
    unknown,
    vector,
)
from .implicit import DENSE, LARGEST_MATRIX, Problem, implicit
from .roots import Options, linear_by, options_of, polished, tolerance

# Those of scipy.optimize.minimize that need no bounds; True where it takes the matrix of second derivatives.
METHODS = {
    "BFGS": False,
    "L-BFGS-B": False,
    "CG": False,
    "TNC": False,
    "Newton-CG": True,
    "dogleg": True,
    "trust-ncg": True,
    "trust-krylov": True,
    "trust-exact": True,
}
SQUARES = ("trf", "dogbox", "lm")


# A curvature is negative if it is, beside the largest one, by more than this.
NEGATIVE = 1e-6


def _lowest(problem: Problem, x: Array, converged: bool, reason: str, iterations: Any) -> Array:
    """A minimum made better; an error if it is none, or one of another kind of stationary points."""
    x = polished(problem, x, converged, reason, iterations)
    if problem.linear is DENSE and 0 < x.size <= LARGEST_MATRIX:
        matrix = problem.matrix(x)
        allowed = NEGATIVE * np.max(np.abs(matrix)) * np.eye(x.size)
        try:
            np.linalg.cholesky((matrix + matrix.T) / 2 + allowed)
        except np.linalg.LinAlgError:
            if matrix.any():
                raise problem.failed(
                    "the gradient is zero, but there is a direction that leads down", x, iterations
                ) from None
    return x


@dataclass(frozen=True, slots=True)
class Minimizer:
    """``scipy.optimize.minimize``, given the derivatives. The equation is of the gradient, and of the value.

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

        def value_and_slope(x: Array) -> tuple[float, Array]:
            slope, value = problem.values(x)
            return float(value), slope

        found = optimize.minimize(
            value_and_slope,
            problem.start,
            jac=True,
            hess=problem.matrix if METHODS[self.method] else None,
            method=self.method,
            tol=self.tol,
            options=dict(self.options.values) or None,
        )
        return _lowest(problem, np.asarray(found.x), bool(found.success), str(found.message), found.get("nit"))


@dataclass(frozen=True, slots=True)
class SquaresFinder:
    """``scipy.optimize.least_squares``, given the derivatives. The equation is of the gradient, and of residuals.

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
        found = optimize.least_squares(
            lambda x: problem.values(x)[1],
            problem.start,
            jac=lambda x: problem.matrix(x, 1),
            method=self.method,
            ftol=self.tol,
            xtol=self.tol,
            gtol=self.tol,
            **self.options.values,
        )
        return _lowest(problem, np.asarray(found.x), bool(found.success), str(found.message), found.get("nfev"))


def _slope(value: Node, x: Node) -> Node:
    """The gradient of a number that was recorded; zeros if nothing depends on the unknowns."""
    (found,) = reverse([value], [ops.ones_like(value)], [x])
    return ops.zeros_like(x) if found is None else found


@boundary
def minimize(
    function: Callable[..., Any],
    x0: Any,
    args: Any = (),
    *,
    method: str = "BFGS",
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    linear: str = "dense",
) -> Any:
    """Where a function has a minimum, with derivatives by all that the function depends on.

    Parameters
    ----------
    function : callable
        Written with NumPy, ``function(x, *args)``; returns one real number. It is recorded, once, and may use Tensors
        of the outside.
    x0 : array_like or container of arrays
        Where the search begins. Nested lists of numbers are an array.
    args : tuple, optional
        Further arguments of the function.
    method : str, optional
        That of ``scipy.optimize.minimize``: "BFGS", "L-BFGS-B", "CG", "TNC", "Newton-CG", "dogleg", "trust-ncg",
        "trust-krylov" or "trust-exact". Gradients, and Hessians for those that take them, are computed.
    tol : float, optional
        Of SciPy's method. The solution is made better by Newton's method afterwards, as far as that goes.
    options : dict, optional
        Of SciPy's method.
    linear : str, optional
        As for ``root``.

    Returns
    -------
    array, number or container
        The minimum's place, in the structure of ``x0``.

    Raises
    ------
    ConvergenceError
        When the value is computed, if there is no minimum to be found.
    ShapeError
        If the function returns no number.

    Notes
    -----
    The place is a root of the gradient, and its derivatives are those of this root: systems of the Hessian there. There
    are no bounds and no constraints.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> place = lambda a: ad.minimize(lambda x: np.sum((x - a) ** 2) + np.sum(x**2), np.zeros(2))
    >>> place(np.array([1.0, 3.0]))
    array([0.5, 1.5])
    >>> ad.jacobian(place)(np.array([1.0, 3.0]))
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    name = "minimize"
    checked_function(function, name)
    word(method, f"{name}: method", tuple(METHODS))
    args = checked_args(args, name)
    start = Unknowns(x0, f"{name}: x0")
    dtype = start.flat.aval.dtype
    solver = Minimizer(method, tolerance(tol, dtype, name), options_of(options, name))
    x = unknown(start.flat.aval)
    value = one_number(called(function, [start.rebuilt(x), *args], [x], name), name)
    flat = implicit(
        f"{name}: the minimum", x, [_slope(value, x), value], start.flat, solver, linear_by(linear, dtype, name)
    )
    return start.returned(finished(start.apart(flat), x, (x0, args)))


@boundary
def least_squares(
    function: Callable[..., Any],
    x0: Any,
    args: Any = (),
    *,
    method: str = "trf",
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    linear: str = "dense",
) -> Any:
    """Where the sum of squares of residuals has a minimum, with derivatives by all that these depend on.

    Parameters
    ----------
    function : callable
        Written with NumPy, ``function(x, *args)``; returns real residuals, as an array or a container of them. It is
        recorded, once, and may use Tensors of the outside.
    x0 : array_like or container of arrays
        Where the search begins. Nested lists of numbers are an array.
    args : tuple, optional
        Further arguments of the function.
    method : {"trf", "dogbox", "lm"}, optional
        That of ``scipy.optimize.least_squares``, which is given the Jacobian.
    tol : float, optional
        Of SciPy's method. The solution is made better by Newton's method afterwards, as far as that goes.
    options : dict, optional
        Further keywords of SciPy's function: ``loss`` is not among them, since it would change the minimum.
    linear : str, optional
        As for ``root``.

    Returns
    -------
    array, number or container
        The minimum's place, in the structure of ``x0``.

    Raises
    ------
    ConvergenceError
        When the value is computed, if there is no minimum to be found.

    Notes
    -----
    Derivatives are those of the root of the gradient, with the whole Hessian, and not that of Gauss and Newton.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> t = np.array([0.0, 1.0, 2.0])
    >>> fit = lambda y: ad.least_squares(lambda p: p[0] + p[1] * t - y, [0.0, 0.0])
    >>> fit(np.array([1.0, 3.0, 5.0])).round(6)
    array([1., 2.])
    >>> ad.jacobian(lambda y: fit(y)[0])(np.array([1.0, 3.0, 5.0])).round(6)
    array([ 0.833333,  0.333333, -0.166667])
    """
    name = "least_squares"
    checked_function(function, name)
    word(method, f"{name}: method", SQUARES)
    args = checked_args(args, name)
    start = Unknowns(x0, f"{name}: x0")
    dtype = start.flat.aval.dtype
    given = options_of(options, name)
    for key in given.values:
        word(key, f"{name}: options", ("max_nfev", "x_scale", "tr_solver", "tr_options", "verbose"))
    solver = SquaresFinder(method, tolerance(tol, dtype, name), given)
    x = unknown(start.flat.aval)
    nodes, _ = results_of(called(function, [start.rebuilt(x), *args], [x], name), name)
    residuals = vector(nodes, dtype)
    half = ops.sum(residuals * residuals, (0,)) * 0.5
    flat = implicit(
        f"{name}: the minimum", x, [_slope(half, x), residuals], start.flat, solver, linear_by(linear, dtype, name)
    )
    return start.returned(finished(start.apart(flat), x, (x0, args)))
