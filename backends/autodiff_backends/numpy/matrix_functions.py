"""Functions of matrices, matrix equations and banded systems by SciPy, where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.core.primitives import PRIMITIVES
from autodiff.errors import ArgumentError

from . import lapack

Array = np.ndarray[Any, Any]


def _meant(name: str, *arrays: Array, **params: Any) -> Any:
    """What the card of a primitive says."""
    meaning: Any = PRIMITIVES[name].meaning
    return meaning(np, *arrays, **params)


def _each(function: Callable[..., Any], out: Array, *stacks: Array) -> Array:
    """A function of one matrix each, of all in stacks."""
    batch = out.shape[:-2]
    stacks = tuple([np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in stacks])
    for i in np.ndindex(batch):
        out[i] = function(*[x[i] for x in stacks])
    return out


def expm(a: Array) -> Array:
    """The exponentials of matrices."""
    scipy = lapack.scipy_linalg()
    found: Array = _meant("expm", a) if scipy is None else scipy.expm(a)
    return found


def logm(a: Array) -> Array:
    """The principal logarithms of matrices."""
    return _each(lambda x: _real("logm", x, lapack.scipy_linalg().logm(x)), np.empty(a.shape, a.dtype), a)


def sqrtm(a: Array) -> Array:
    """The principal square roots of matrices."""
    return _each(lambda x: _real("sqrtm", x, lapack.scipy_linalg().sqrtm(x)), np.empty(a.shape, a.dtype), a)


def _real(name: str, a: Array, found: Any) -> Any:
    if a.dtype.kind != "c" and np.iscomplexobj(found):
        raise ArgumentError(
            f"{name} of a real matrix {a.dtype}{list(a.shape)} is complex here, and its dtype may not depend on "
            "values: give a complex matrix, t.astype(complex)"
        )
    return found


def solve_sylvester(a: Array, b: Array, c: Array) -> Array:
    """The solution x of a x + x b = c."""
    scipy = lapack.scipy_linalg()
    if scipy is None or not (a.size and b.size):
        found: Array = _meant("solve_sylvester", a, b, c)
        return found
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], c.shape[:-2])
    return _each(_solve_one_sylvester, np.empty((*batch, *c.shape[-2:]), c.dtype), a, b, c)


def _solve_one_sylvester(a: Array, b: Array, c: Array) -> Array:
    # As SciPy's function of this name, which does not tell when there is no solution.
    scipy = lapack.scipy_linalg()
    r, u = scipy.schur(a, output="real")
    s, v = scipy.schur(b.conj().T, output="real")
    y, scale, info = scipy.get_lapack_funcs("trsyl", (r, s, c))(r, s, u.conj().T @ c @ v, tranb="C")
    if info:
        raise np.linalg.LinAlgError("Singular matrix: an eigenvalue of a is one of -b")
    found: Array = u @ (scale * y) @ v.conj().T
    return found


def order_of(exchanges: Array, m: int) -> Array:
    """In which order rows are after these exchanges."""
    *batch, _ = exchanges.shape
    order = np.broadcast_to(np.arange(m), (*batch, m)).copy()
    if len(batch):
        stacks = np.moveaxis(order, -1, 0), np.moveaxis(exchanges, -1, 0)
        for j, chosen in enumerate(stacks[1]):
            rows = np.take_along_axis(stacks[0], chosen[None], 0)[0]
            np.put_along_axis(stacks[0], chosen[None], stacks[0][j][None], 0)
            stacks[0][j] = rows
    else:
        for j, row in enumerate(exchanges.tolist()):
            order[j], order[row] = order[row], order[j]
    return order


def lu_factor(a: Array) -> tuple[Array, Array, Array]:
    """Both factors in one matrix, the exchanges of rows, and the order of rows after these."""
    scipy = lapack.scipy_linalg()
    *batch, m, n = a.shape
    packed, exchanges = np.empty(a.shape, a.dtype), np.empty((*batch, min(m, n)), np.int32)
    if a.size:
        getrf = scipy.get_lapack_funcs("getrf", (a,))
        for i in np.ndindex(*batch):
            packed[i], exchanges[i], _ = getrf(a[i])
    return packed, exchanges, order_of(exchanges, m)


def solve_banded(ab: Array, b: Array, lower: int, upper: int) -> Array:
    """The solution of a x = b, of a matrix given by its diagonals."""
    scipy = lapack.scipy_linalg()
    if scipy is None or not b.size:
        found: Array = _meant("solve_banded", ab, b, lower=lower, upper=upper)
        return found
    batch = np.broadcast_shapes(ab.shape[:-2], b.shape[:-2])

    def solve(ab: Array, b: Array) -> Any:
        return scipy.solve_banded((lower, upper), ab, b, check_finite=False)

    return _each(solve, np.empty((*batch, *b.shape[-2:]), b.dtype), ab, b)


# What computes the primitives of these names, with their parameters by name.
ROUTINES: tuple[Callable[..., Any], ...] = (expm, logm, sqrtm, solve_sylvester, lu_factor, solve_banded)
