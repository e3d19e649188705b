"""Linear systems whose matrix is never made: ``linear_solve``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..arguments import count, word
from ..errors import ArgumentError, ShapeError, shown
from ..tracebacks import boundary
from ..vectors import alike
from ..whole import silent
from .equations import Array, Unknowns, called, checked_function, finished, scipy_module, unknown
from .implicit import DENSE, Iterative, Linear, Problem, Solver, implicit, is_linear, is_regular

METHODS = ("dense", "gmres", "bicgstab", "cg", "minres", "lgmres")

# An iteration begins anew while the true residual is this much larger than what was asked for, so many times; rounding
# may leave it larger by the last figure.
SLACK, REFINED, ROUNDED = 10.0, 3, 1e4
# Vectors that GMRES keeps between restarts.
RESTART = 50


@dataclass(frozen=True, slots=True)
class Krylov:
    """A linear system solved by products with its matrix: iterative methods of ``scipy.sparse.linalg``.

    Parameters
    ----------
    method : str
        SciPy's name.
    rtol : float
        The largest residual, beside the right side.
    maxiter : int or None
        Iterations at most.
    """

    method: str
    rtol: float
    maxiter: int | None

    @classmethod
    def of(cls, method: str, tol: float | None, maxiter: int | None, dtype: np.dtype[Any]) -> Krylov:
        """With a tolerance that fits a precision, unless one is given."""
        if tol is None:
            tol = float(max(np.finfo(dtype).eps ** 0.75, 1e-12))
        return cls(method, tol, maxiter)

    def __call__(self, problem: Problem) -> Array:
        right = -problem.residual(np.zeros_like(problem.start))
        x, wrong = self.solved(lambda v: problem.residual(v) + right, right, problem.start)
        if wrong:
            raise problem.failed(wrong, x)
        return x

    def solved(self, product: Callable[[Array], Array], right: Array, start: Array) -> tuple[Array, str]:
        """The solution of a system, by products with its matrix, and what is wrong with it, if anything is."""
        sparse = scipy_module("sparse.linalg", "solvers")
        length, n = np.linalg.norm(right), right.size
        if not np.isfinite(length):
            return np.full_like(start, np.nan), ""
        if not length:
            return np.zeros_like(start), ""
        matrix = sparse.LinearOperator((n, n), lambda v: product(v.ravel()), dtype=np.float64)
        options: dict[str, Any] = {"maxiter": self.maxiter or max(10 * n, 100)}
        if self.method != "minres":
            options["atol"] = 0.0
        if self.method == "gmres":
            options["restart"] = min(n, RESTART)
        solve = getattr(sparse, self.method)
        x, residual, info = start, right - product(start), 0
        error = np.linalg.norm(residual) / length
        for _ in range(REFINED):
            if not error > SLACK * self.rtol:
                break
            step, info = silent(solve, matrix, residual, rtol=self.rtol / error, **options)
            x = x + step
            residual = right - product(x)
            error = silent(np.linalg.norm, residual) / length
            if info:
                break
        if error <= (SLACK if info else ROUNDED) * self.rtol:
            return x, ""
        definite = ", or not symmetric and positive" if self.method in ("cg", "minres") else ""
        steps = f" after {info} iterations" if info > 0 else ""
        return x, (
            f"{self.method} ended{steps} with a residual of {error:.3g} beside the right side (rtol={self.rtol:.3g}); "
            f"is the matrix singular{definite}?"
        )


@dataclass(frozen=True, slots=True)
class Whole:
    """A linear system solved with its matrix."""

    def __call__(self, problem: Problem) -> Array:
        zeros = np.zeros_like(problem.start)
        matrix = problem.matrix(zeros)
        if not is_regular(matrix):
            raise np.linalg.LinAlgError("Singular matrix")
        return np.linalg.solve(matrix, -problem.residual(zeros))


@boundary
def linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    x0: Any = None,
    *,
    method: str = "gmres",
    tol: float | None = None,
    maxiter: int | None = None,
) -> Any:
    """The solution of ``matvec(x) = b``, with derivatives by ``b`` and by all that ``matvec`` depends on.

    Parameters
    ----------
    matvec : callable
        A linear function, written with NumPy; returns what has the structure and the shapes of ``b``, and takes that.
        It is recorded, once, and may use Tensors of the outside.
    b : array_like or container of arrays
        The right side.
    x0 : array_like or container of arrays, optional
        Where the iteration begins; at zero if not given.
    method : {"gmres", "bicgstab", "cg", "minres", "lgmres", "dense"}, optional
        Of ``scipy.sparse.linalg``; "cg" for a symmetric and positive matrix, "minres" for a symmetric one. "dense"
        makes the matrix.
    tol : float, optional
        The largest residual, beside ``b``: 1e-12 for double precision, if not given.
    maxiter : int, optional
        Iterations at most.

    Returns
    -------
    array, number or container
        The solution, in the structure of ``b``.

    Raises
    ------
    ConvergenceError
        When the value is computed, if the method does not converge.
    ArgumentError
        If ``matvec`` is not linear.
    ShapeError
        If ``matvec`` returns another shape.

    Notes
    -----
    Reverse mode solves with the transposed matrix, whose products with vectors are those of the transposed function.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> b = np.array([1.0, 2.0, 3.0])
    >>> ad.linear_solve(lambda x: 2 * x, b)
    array([0.5, 1. , 1.5])
    >>> ad.grad(lambda a: np.sum(ad.linear_solve(lambda x: a * x, b, method="cg")))(2.0)
    -1.5
    """
    name = "linear_solve"
    checked_function(matvec, name)
    word(method, f"{name}: method", METHODS)
    if maxiter is not None:
        maxiter = count(maxiter, f"{name}: maxiter")
    if tol is not None and (isinstance(tol, bool) or not isinstance(tol, (int, float, np.number)) or not tol > 0):
        raise ArgumentError(f"{name}: tol={shown(tol)} must be a positive number")
    right = Unknowns(b, f"{name}: b")
    dtype = right.flat.aval.dtype
    start = ops.zeros_like(right.flat)
    if x0 is not None:
        begin = Unknowns(x0, f"{name}: x0")
        if begin.flat.aval.shape != right.flat.aval.shape or not alike(begin.structure, right.structure):
            raise ShapeError(f"{name}: x0 must have the structure and the shapes of b")
        start = ops.astype(begin.flat, dtype)
    x = unknown(right.flat.aval)
    product = right.vector_of(called(matvec, [right.rebuilt(x)], [x], name), name, "b", "matvec")
    if not is_linear(product, x):
        raise ArgumentError(f"{name}: matvec is not linear in its argument; ad.root finds roots of other functions")
    krylov = Krylov.of(method, tol, maxiter, dtype)
    linear: Linear = DENSE if method == "dense" else Iterative(krylov)
    solver: Solver = Whole() if method == "dense" else krylov
    flat = implicit(f"{name}: the solution", x, [product - right.flat], start, solver, linear)
    return right.returned(finished(right.apart(flat), x, (b, x0)))
