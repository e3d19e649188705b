"""Functions of matrices, matrix equations and banded systems: what SciPy has beyond NumPy's linear algebra."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.avals import Aval, broadcast_shape, intern_aval, several
from ..core.parameters import Static
from ..core.primitives import Primitive
from ..nodes import Node
from ..operator import Operator, infer_like
from .elementwise import where
from .indexing import take_range, take_slices
from .linalg import eye, triangle
from .reductions import sum
from .shapes import concatenate, expand_dims, full, matrix_transpose

# --- functions of matrices -------------------------------------------------------------------------------------------


# The numerator of the Padé approximant of degree 13, and up to which norm it is exact (Higham 2005, table 2.3).
_PADE = [64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1]  # fmt: skip
_PADE_NORM = 5.371920351148152


def _expm(xp: Any, a: Any) -> Any:
    """By scaling and squaring, of all matrices alike."""
    own: Callable[[Any], Any] | None = getattr(xp.linalg, "matrix_exp", None)
    if own is not None:
        return own(a)
    if 0 in a.shape:
        return xp.asarray(a, copy=True)
    norm = float(xp.max(xp.sum(xp.abs(a), axis=-2)))
    squarings = max(0, math.ceil(math.log2(norm / _PADE_NORM))) if math.isfinite(norm) and norm > 0 else 0
    a = a * 0.5**squarings
    one = xp.tril(xp.triu(xp.ones_like(a)))
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    c = [float(x) for x in _PADE]
    odd = a6 @ (c[13] * a6 + c[11] * a4 + c[9] * a2) + c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * one
    even = a6 @ (c[12] * a6 + c[10] * a4 + c[8] * a2) + c[6] * a6 + c[4] * a4 + c[2] * a2 + c[0] * one
    odd = a @ odd
    found = xp.linalg.solve(even - odd, even + odd)
    for _ in range(squarings):
        found = found @ found
    return found


expm_p = Operator("expm", infer_like, core="..->..", kind="routine", meaning=_expm, needs=("linalg.solve",))

# The principal ones. Those of real matrices are real, or an error.
logm_p = Operator(
    "logm",
    infer_like,
    core="..->..",
    kind="routine",
    meaning=lambda xp, a: xp.linalg.logm(a),
    needs=("linalg.logm",),
)
sqrtm_p = Operator(
    "sqrtm",
    infer_like,
    core="..->..",
    kind="routine",
    meaning=lambda xp, a: xp.linalg.sqrtm(a),
    needs=("linalg.sqrtm",),
)

# --- the equation a x + x b = c --------------------------------------------------------------------------------------


def _infer_sylvester(primitive: Primitive, a: Aval, b: Aval, c: Aval) -> Aval:
    batch = broadcast_shape(broadcast_shape(a.shape[:-2], b.shape[:-2]), c.shape[:-2])
    return intern_aval((*batch, a.shape[-1], b.shape[-1]), c.dtype)


def _solve_sylvester(xp: Any, a: Any, b: Any, c: Any) -> Any:
    """As one system for all elements of x, row by row."""
    m, n = a.shape[-1], b.shape[-1]
    rows, columns = (xp.asarray(np.eye(k), dtype=c.dtype, device=c.device) for k in (m, n))
    left = a[..., :, None, :, None] * columns[:, None, :]
    right = rows[:, None, :, None] * xp.moveaxis(b, -1, -2)[..., None, :, None, :]
    system = left + right
    found = xp.linalg.solve(
        xp.reshape(system, (*system.shape[:-4], m * n, m * n)), xp.reshape(c, (*c.shape[:-2], m * n, 1))
    )
    return xp.reshape(found, (*found.shape[:-2], m, n))


# Of one dtype and of as many axes.
solve_sylvester_p = Operator(
    "solve_sylvester",
    _infer_sylvester,
    core="..,..,..->..",
    kind="routine",
    meaning=_solve_sylvester,
    needs=("linalg.solve",),
)

# --- factors with exchanged rows -------------------------------------------------------------------------------------


def _infer_lu_factor(primitive: Primitive, a: Aval) -> Aval:
    *batch, m, n = a.shape
    exchanges = intern_aval((*batch, min(m, n)), np.dtype(np.int32))
    return several([intern_aval(a.shape, a.dtype), exchanges, intern_aval((*batch, m), np.dtype(np.int64))])


def order_of(exchanges: Any, m: int) -> Any:
    """In which order rows are after these exchanges."""
    found = np.broadcast_to(np.arange(m), (*exchanges.shape[:-1], m)).copy()
    for batch in np.ndindex(exchanges.shape[:-1]):
        order = found[batch]
        for i, j in enumerate(exchanges[batch]):
            order[i], order[j] = order[j], order[i]
    return found


def _lu_factor(xp: Any, a: Any) -> tuple[Any, ...]:
    packed, exchanges = xp.linalg.lu_factor(a)
    # Those of PyTorch begin with 1.
    exchanges = exchanges - 1
    order = order_of(np.asarray(exchanges.tolist(), dtype=np.int32).reshape(exchanges.shape), a.shape[-2])
    return packed, exchanges, xp.asarray(order, device=a.device)


# Both factors in one matrix, which row each was exchanged with, and in which order rows are then.
lu_factor_p = Operator(
    "lu_factor",
    _infer_lu_factor,
    several=True,
    core="..->..,.,.",
    kind="routine",
    meaning=_lu_factor,
    needs=("linalg.lu_factor",),
)


def unit_lower(packed: Node) -> Node:
    """The lower factor, of which the diagonal is 1, of what holds both."""
    return where(eye(packed.aval.shape[-1]), 1, triangle(packed, -1))


# --- banded systems --------------------------------------------------------------------------------------------------


def _infer_solve_banded(primitive: Primitive, ab: Aval, b: Aval, *, lower: int, upper: int) -> Aval:
    return intern_aval((*broadcast_shape(ab.shape[:-2], b.shape[:-2]), *b.shape[-2:]), b.dtype)


def _solve_banded(xp: Any, ab: Any, b: Any, *, lower: int, upper: int) -> Any:
    n = ab.shape[-1]
    below = xp.asarray(np.arange(n)[:, None] - np.arange(n), dtype=xp.int64, device=ab.device)
    whole = 0 * ab[..., :1, :]
    for k in range(lower + upper + 1):
        whole = whole + xp.where(below == k - upper, ab[..., k : k + 1, :], xp.zeros_like(ab[..., k : k + 1, :]))
    return xp.linalg.solve(whole, b)


# Of matrices given by their diagonals, in LAPACK's order: element (i, j) is in row upper + i - j, column j.
solve_banded_p = Operator(
    "solve_banded",
    _infer_solve_banded,
    params={"lower": Static, "upper": Static},
    core="..,.j->.j",
    kind="routine",
    meaning=_solve_banded,
    needs=("linalg.solve",),
)


def shifted(x: Node, by: int, axis: int) -> Node:
    """What was at i, at i + by; zeros come in."""
    n = x.aval.shape[axis]
    if by == 0 or n == 0:
        return x
    axis %= x.aval.ndim
    kept = [slice(None)] * x.aval.ndim
    kept[axis] = slice(None, max(n - by, 0)) if by > 0 else slice(min(-by, n), None)
    shape = list(x.aval.shape)
    shape[axis] = min(abs(by), n)
    zeros = full(tuple(shape), 0, x.aval.dtype)
    rest = take_slices(x, *kept)
    return concatenate([zeros, rest] if by > 0 else [rest, zeros], axis)


def banded_transpose(ab: Node, lower: int, upper: int) -> Node:
    """The diagonals of the transposed matrix."""
    rows = [shifted(_row(ab, k), k - upper, -1) for k in reversed(range(lower + upper + 1))]
    return concatenate(rows, ab.aval.ndim - 2)


def banded_product(ab: Node, x: Node, lower: int, upper: int) -> Node:
    """A matrix given by its diagonals, times others."""
    total: Node | None = None
    for k in range(lower + upper + 1):
        part = shifted(matrix_transpose(_row(ab, k)) * x, k - upper, -2)
        total = part if total is None else total + part
    assert total is not None
    return total


def banded_outer(y: Node, x: Node, lower: int, upper: int) -> Node:
    """The diagonals of y x^T."""
    rows = [expand_dims(sum(shifted(y, upper - k, -2) * x, (x.aval.ndim - 1,)), -2) for k in range(lower + upper + 1)]
    return concatenate(rows, x.aval.ndim - 2)


def _row(ab: Node, k: int) -> Node:
    return take_range(ab, ab.aval.ndim - 2, k, k + 1)
