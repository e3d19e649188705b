"""Functions of ``scipy.linalg`` that NumPy has in another form: systems, factorisations, eigenvalues."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from .. import ops
from ..arguments import word
from ..convert import describe
from ..errors import ArgumentError, ShapeError, UnsupportedError
from ..nodes import Node
from ..numpy_api.calling import Handler
from ..numpy_api.creation import joined
from ..numpy_api.linalg import TABLE as NUMPYS
from ..tensor import Tensor, node_of, wrap
from . import matrices
from .arguments import CONVERTED, inexact, matrix
from .replacing import replace_functions

# --- systems ---------------------------------------------------------------------------------------------------------

GENERAL = (None, "general", "gen", "banded")
POSITIVE, SYMMETRIC, HERMITIAN = ("pos", "positive definite"), ("sym", "symmetric"), ("her", "hermitian")
STRUCTURES = ("diagonal", "tridiagonal", "upper triangular", "lower triangular", *POSITIVE, *SYMMETRIC, *HERMITIAN)


def _structured(a: Node, assume_a: Any, lower: bool, name: str) -> Node:
    """The matrices that ``a`` stands for: of some only a part is looked at."""
    if assume_a in GENERAL:
        return a
    structure = word(assume_a, f"{name}: assume_a", STRUCTURES)
    if structure == "diagonal":
        return ops.where(ops.eye(a.aval.shape[-1]), a, 0)
    if structure == "tridiagonal":
        return ops.triangle(ops.triangle(a, 1), -1, upper=True)
    if "triangular" in structure:
        return ops.triangle(a, upper=structure[0] == "u")
    if structure in SYMMETRIC and a.aval.dtype.kind == "c":
        return ops.triangle(a, 0, not lower) + ops.matrix_transpose(ops.triangle(a, 1 if not lower else -1, not lower))
    return ops.from_triangle(a, not lower)


def _solve(
    a: Any,
    b: Any,
    lower: Any = False,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    check_finite: Any = True,
    assume_a: Any = None,
    transposed: Any = False,
) -> Any:
    x, y = joined(a), joined(b)
    if x.aval.ndim < 2:
        x = ops.reshape(x, (*(1,) * (2 - x.aval.ndim), *x.aval.shape))
    x = matrix(wrap(x), "solve", square=True)
    if y.aval.ndim == 0:
        y = ops.reshape(y, (1,))
    if transposed and x.aval.dtype.kind == "c":
        raise UnsupportedError("solve: transposed=True is for real matrices; give a.T, or a.conj().T")
    if x.aval.size == 1:
        dtype = ops.matrix_dtype("solve", x, y)
        one = ops.reshape(x, ()) if y.aval.ndim == 1 else x
        return wrap(ops.astype(y, dtype) / ops.astype(one, dtype))
    if transposed:
        x, lower = ops.matrix_transpose(x), not lower
        turned = {"upper triangular": "lower triangular", "lower triangular": "upper triangular"}
        assume_a = turned.get(assume_a, assume_a)
    if assume_a in POSITIVE:
        return wrap(_substituted(ops.cholesky(x, not lower), y, lower))
    if assume_a in ("upper triangular", "lower triangular"):
        return wrap(ops.solve_triangular(x, y, assume_a[0] == "l"))
    return wrap(ops.solve(_structured(x, assume_a, lower, "solve"), y))


def _substituted(factor: Node, b: Node, lower: bool) -> Node:
    """The solution for a matrix with this Cholesky factor."""
    first, second = (factor, ops.adjoint(factor)) if lower else (ops.adjoint(factor), factor)
    return ops.solve_triangular(second, ops.solve_triangular(first, b, True), False)


def _solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: Any = False,
    unit_diagonal: Any = False,
    overwrite_b: Any = False,
    check_finite: Any = True,
) -> Any:
    x = matrix(a, "solve_triangular", square=True)
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ArgumentError(f"solve_triangular: trans={describe(trans)} must be 0, 1, 2, 'N', 'T' or 'C'")
    if unit_diagonal:
        x = ops.where(ops.eye(x.aval.shape[-1]), 1, x)
    if trans not in (0, "N"):
        # Which triangle is looked at is said of the matrix that is given.
        x = ops.matrix_transpose(x) if trans in (1, "T") else ops.adjoint(x)
        lower = not lower
    return wrap(ops.solve_triangular(x, joined(b), lower))


def _cholesky(a: Any, lower: Any = False, overwrite_a: Any = False, check_finite: Any = True) -> Any:
    return wrap(ops.cholesky(matrix(a, "cholesky", square=True), not lower))


def _cho_factor(a: Any, lower: Any = False, overwrite_a: Any = False, check_finite: Any = True) -> Any:
    return _cholesky(a, lower), lower


def _pair(value: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ArgumentError(f"{name}={describe(value)} must be the two things that the function before it gave")
    return value[0], value[1]


def _cho_solve(c_and_lower: Any, b: Any, overwrite_b: Any = False, check_finite: Any = True) -> Any:
    c, lower = _pair(c_and_lower, "cho_solve: c_and_lower")
    return wrap(_substituted(matrix(c, "cho_solve", square=True), joined(b), bool(lower)))


def _inv(
    a: Any, overwrite_a: Any = False, check_finite: Any = True, *, assume_a: Any = None, lower: Any = False
) -> Any:
    return wrap(ops.inv(_structured(matrix(a, "inv", square=True), assume_a, lower, "inv")))


def _det(a: Any, overwrite_a: Any = False, check_finite: Any = True) -> Any:
    found = ops.det(matrix(a, "det", square=True))
    # SciPy multiplies in double precision.
    return wrap(ops.astype(found, np.result_type(found.aval.dtype, np.float64)))


# --- factors with exchanged rows -------------------------------------------------------------------------------------


def _lu_factor(a: Any, overwrite_a: Any = False, check_finite: Any = True) -> Any:
    packed, exchanges, _ = ops.outputs(ops.lu_factor_p(matrix(a, "lu_factor")))
    return wrap(packed), wrap(exchanges)


def _order(piv: Any, m: int) -> Node:
    """In which order rows are after exchanges."""
    node = node_of(piv)
    if node.inputs and node.inputs[0].primitive is ops.lu_factor_p:
        return ops.outputs(node.inputs[0])[2]
    # Integers have no derivative.
    return joined(ops.order_of(np.asarray(piv.value if isinstance(piv, Tensor) else piv), m))


def _in_order(x: Node, order: Node, back: bool = False) -> Node:
    """Rows in another order, or back in that which they had."""
    rows = ops.equal(ops.expand_dims(order, -1), ops.positions(order.aval.shape[-1]))
    return ops.matmul(ops.astype(ops.matrix_transpose(rows) if back else rows, x.aval.dtype), x)


def _lu_solve(lu_and_piv: Any, b: Any, trans: Any = 0, overwrite_b: Any = False, check_finite: Any = True) -> Any:
    packed, piv = _pair(lu_and_piv, "lu_solve: lu_and_piv")
    x, y = matrix(packed, "lu_solve", square=True), joined(b)
    if trans not in (0, 1, 2):
        raise ArgumentError(f"lu_solve: trans={describe(trans)} must be 0, 1 or 2")
    order = _order(piv, x.aval.shape[-1])
    if y.aval.ndim == 0:
        raise ShapeError(f"lu_solve: b={y.aval!r} must be a vector, or matrices")
    columns = ops.expand_dims(y, 1) if y.aval.ndim == 1 else y
    columns = ops.astype(columns, ops.matrix_dtype("lu_solve", x, y))
    lower, upper = ops.unit_lower(x), ops.triangle(x, upper=True)
    if trans:
        turn = ops.matrix_transpose if trans == 1 else ops.adjoint
        found = ops.solve_triangular(turn(lower), ops.solve_triangular(turn(upper), columns, True), False)
        found = _in_order(found, order, back=True)
    else:
        found = ops.solve_triangular(lower, _in_order(columns, order), True)
        found = ops.solve_triangular(upper, found, False)
    return wrap(ops.squeeze(found, (-1,)) if y.aval.ndim == 1 else found)


def _lu(
    a: Any, permute_l: Any = False, overwrite_a: Any = False, check_finite: Any = True, p_indices: Any = False
) -> Any:
    x = matrix(a, "lu")
    *_, m, n = x.aval.shape
    k = min(m, n)
    packed, _, order = ops.outputs(ops.lu_factor_p(x))
    ndim = packed.aval.ndim
    below = ops.triangle(ops.take_range(packed, ndim - 1, 0, k), -1)
    on_diagonal = ops.equal(ops.expand_dims(ops.positions(m), 1), ops.positions(k))
    lower = ops.where(on_diagonal, 1, below)
    upper = ops.triangle(ops.take_range(packed, ndim - 2, 0, k), upper=True)
    if permute_l:
        return wrap(_in_order(lower, order, back=True)), wrap(upper)
    places = ops.equal(ops.expand_dims(ops.positions(m), 1), ops.expand_dims(order, -2))
    if p_indices:
        indices = ops.sum(ops.where(places, ops.positions(m), 0), (ndim - 1,))
        return wrap(ops.astype(indices, np.dtype(np.int32))), wrap(lower), wrap(upper)
    return wrap(ops.astype(places, ops.real_dtype(x.aval.dtype))), wrap(lower), wrap(upper)


# --- orthogonal factors, singular values and eigenvalues -------------------------------------------------------------


def _qr(
    a: Any,
    overwrite_a: Any = False,
    lwork: Any = None,
    mode: Any = "full",
    pivoting: Any = False,
    check_finite: Any = True,
) -> Any:
    word(mode, "qr: mode", ("full", "qr", "r", "economic", "raw"))
    if mode == "raw" or pivoting:
        raise UnsupportedError(
            "qr: mode='raw' and pivoting=True are not recorded for Tensors; mode='full', 'economic' and 'r' are"
        )
    q, r = ops.qr(matrix(a, "qr"), "reduced" if mode == "economic" else "complete")
    return (wrap(r),) if mode == "r" else (wrap(q), wrap(r))


def _svd(
    a: Any,
    full_matrices: Any = True,
    compute_uv: Any = True,
    overwrite_a: Any = False,
    check_finite: Any = True,
    lapack_driver: Any = "gesdd",
) -> Any:
    found = wrap(ops.svd(matrix(a, "svd"), full_matrices, bool(compute_uv)))
    return tuple(found) if compute_uv else found[0]


def _svdvals(a: Any, overwrite_a: Any = False, check_finite: Any = True) -> Any:
    return _svd(a, compute_uv=False)


def _spectrum(
    name: str, vectors: bool, a: Any, b: Any, lower: bool, type: Any, by_index: Any, by_value: Any
) -> tuple[Node, ...]:
    x = matrix(a, name, square=True)
    if by_value is not None:
        raise UnsupportedError(f"{name}: subset_by_value chooses by values, on which no shape depends here")
    if b is not None and type != 1:
        raise UnsupportedError(f"{name}: type={describe(type)} is not recorded for Tensors; type=1 is")
    factor = None
    if b is None:
        found = ops.eigh(x, not lower, vectors)
    else:
        # With b = f f^H, (f^-1 a f^-H) (f^H v) = (f^H v) w.
        y = matrix(b, name, square=True)
        dtype = ops.matrix_dtype(name, x, y)
        x, y = ops.astype(x, dtype), ops.astype(y, dtype)
        factor = ops.cholesky(ops.from_triangle(y, not lower))
        left = ops.solve_triangular(factor, ops.from_triangle(x, not lower), True)
        found = ops.eigh(ops.solve_triangular(factor, ops.adjoint(left), True), False, vectors)
    if by_index is not None:
        low, high = map(int, by_index)
        n = x.aval.shape[-1]
        if not 0 <= low <= high < n:
            raise ArgumentError(f"{name}: subset_by_index={describe(by_index)} must be two of the integers below {n}")
        found = tuple([ops.take_range(part, part.aval.ndim - 1, low, high + 1) for part in found])
    if factor is None or not vectors:
        return found
    return found[0], ops.solve_triangular(ops.adjoint(factor), found[1], False)


def _eigh(
    a: Any,
    b: Any = None,
    *,
    lower: Any = True,
    eigvals_only: Any = False,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    type: Any = 1,
    check_finite: Any = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: Any = None,
) -> Any:
    found = _spectrum("eigh", not eigvals_only, a, b, lower, type, subset_by_index, subset_by_value)
    return wrap(found[0]) if eigvals_only else tuple(wrap(found))


def _eigvalsh(
    a: Any,
    b: Any = None,
    *,
    lower: Any = True,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    type: Any = 1,
    check_finite: Any = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: Any = None,
) -> Any:
    return wrap(_spectrum("eigvalsh", False, a, b, lower, type, subset_by_index, subset_by_value)[0])


def _general(name: str, a: Any, b: Any, homogeneous_eigvals: Any) -> Node:
    if homogeneous_eigvals:
        raise UnsupportedError(f"{name}: homogeneous_eigvals=True is not recorded for Tensors")
    x = matrix(a, name, square=True)
    return x if b is None else ops.solve(matrix(b, name, square=True), x)


def _eig(
    a: Any,
    b: Any = None,
    left: Any = False,
    right: Any = True,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    check_finite: Any = True,
    homogeneous_eigvals: Any = False,
) -> Any:
    if left:
        raise UnsupportedError("eig: left=True is not recorded for Tensors; give the conjugate transpose for those")
    x = _general("eig", a, b, homogeneous_eigvals)
    return tuple(wrap(ops.eig(x))) if right else wrap(ops.eig(x, vectors=False)[0])


def _eigvals(
    a: Any, b: Any = None, overwrite_a: Any = False, check_finite: Any = True, homogeneous_eigvals: Any = False
) -> Any:
    return wrap(ops.eig(_general("eigvals", a, b, homogeneous_eigvals), vectors=False)[0])


# --- least squares and subspaces -------------------------------------------------------------------------------------


def _pinv(a: Any, *, atol: Any = None, rtol: Any = None, return_rank: Any = False, check_finite: Any = True) -> Any:
    return _inverted(matrix(a, "pinv"), atol, rtol, return_rank)


def _pinvh(
    a: Any, atol: Any = None, rtol: Any = None, lower: Any = True, return_rank: Any = False, check_finite: Any = True
) -> Any:
    return _inverted(ops.from_triangle(matrix(a, "pinvh", square=True), not lower), atol, rtol, return_rank)


def _inverted(x: Node, atol: Any, rtol: Any, return_rank: Any) -> Any:
    if 0 in x.aval.shape[-2:]:
        found = ops.matrix_transpose(x)
        return (wrap(found), 0) if return_rank else wrap(found)
    dtype = ops.real_dtype(x.aval.dtype)
    least: Node = ops.stop_gradient(
        joined(max(x.aval.shape[-2:]) * float(np.finfo(dtype).eps) if rtol is None else rtol)
    )
    s = ops.stop_gradient(ops.svd(x, compute_uv=False)[0])
    greatest = ops.amax(s, axes=(s.aval.ndim - 1,))
    if atol is not None:
        least = least + ops.stop_gradient(joined(atol)) / ops.where(ops.equal(greatest, 0), 1, greatest)
    least = ops.broadcast_to(ops.astype(least, dtype), greatest.aval.shape)
    found = wrap(ops.pinv_p(x, least))
    if not return_rank:
        return found
    large = ops.greater(s, ops.expand_dims(least * greatest, -1))
    return found, wrap(ops.sum(large, (s.aval.ndim - 1,)))


def _lstsq(
    a: Any,
    b: Any,
    cond: Any = None,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    check_finite: Any = True,
    lapack_driver: Any = None,
) -> Any:
    x, y = [ops.astype(v, CONVERTED.get(v.aval.dtype, v.aval.dtype)) for v in inexact(a, b)]
    # SciPy computes in the precision of what it is given.
    cond = float(np.finfo(ops.matrix_dtype("lstsq", x, y)).eps) if cond is None else cond
    solution, squares, rank, s = NUMPYS[np.linalg.lstsq](wrap(x), wrap(y), cond)
    return solution, squares[0] if y.aval.ndim == 1 and squares.size else squares, rank.astype(np.int64), s


def _basis(A: Any, rcond: Any, name: str) -> tuple[Node, Node, int]:
    """Singular vectors, and how many are of values that are not 0."""
    x = matrix(A, name)
    if x.aval.ndim != 2:
        raise UnsupportedError(f"{name}({x.aval!r}): of a stack each matrix may have its own rank; give one matrix")
    u, s, vh = ops.svd(x)
    rcond = max(x.aval.shape) * float(np.finfo(s.aval.dtype).eps) if rcond is None else rcond
    # How many there are is a question of values.
    return u, vh, int(np.sum(wrap(s) > np.max(wrap(s)) * rcond)) if s.aval.size else 0


def _null_space(
    A: Any, rcond: Any = None, *, overwrite_a: Any = False, check_finite: Any = True, lapack_driver: Any = "gesdd"
) -> Any:
    _, vh, rank = _basis(A, rcond, "null_space")
    return wrap(ops.adjoint(ops.take_range(vh, 0, rank, vh.aval.shape[0])))


def _orth(A: Any, rcond: Any = None) -> Any:
    u, _, rank = _basis(A, rcond, "orth")
    return wrap(ops.take_range(u, 1, 0, rank))


def _norm(a: Any, ord: Any = None, axis: Any = None, keepdims: Any = False, check_finite: Any = True) -> Any:
    return np.linalg.norm(wrap(joined(a)), ord, axis, keepdims)


def _polar(a: Any, side: Any = "right") -> Any:
    word(side, "polar: side", ("right", "left"))
    w, s, vh = ops.svd(matrix(a, "polar"), full_matrices=False)
    scaled = ops.adjoint(vh) * ops.expand_dims(s, -2) if side == "right" else w * ops.expand_dims(s, -2)
    return wrap(ops.matmul(w, vh)), wrap(ops.matmul(scaled, vh if side == "right" else ops.adjoint(w)))


TABLE: dict[str, Handler] = {
    "solve": _solve,
    "solve_triangular": _solve_triangular,
    "cholesky": _cholesky,
    "cho_factor": _cho_factor,
    "cho_solve": _cho_solve,
    "inv": _inv,
    "det": _det,
    "lu": _lu,
    "lu_factor": _lu_factor,
    "lu_solve": _lu_solve,
    "qr": _qr,
    "svd": _svd,
    "svdvals": _svdvals,
    "eigh": _eigh,
    "eigvalsh": _eigvalsh,
    "eig": _eig,
    "eigvals": _eigvals,
    "pinv": _pinv,
    "pinvh": _pinvh,
    "lstsq": _lstsq,
    "null_space": _null_space,
    "orth": _orth,
    "norm": _norm,
    "polar": _polar,
    **matrices.TABLE,
}

# What looks at how operands were made, or at values.
LOOKING = ("solve", "solve_triangular", "cho_solve", "cho_factor", "lu_solve", "null_space", "orth")

_BASIS = "it is one of many, and no derivative says which"
_PACKED = "it is kept as LAPACK does, without a derivative here"
UNRECORDED: dict[str, str] = {
    **dict.fromkeys(("schur", "rsf2csf", "cdf2rdf", "hessenberg", "qz", "ordqz", "cossin", "ldl"), _BASIS),
    **dict.fromkeys(("qr_multiply", "qr_delete", "qr_insert", "qr_update"), "write it with scipy.linalg.qr"),
    "rq": "write it with scipy.linalg.qr of the matrix with rows and columns reversed",
    **dict.fromkeys(("cholesky_banded", "cho_solve_banded"), _PACKED),
    **dict.fromkeys(
        ("eig_banded", "eigvals_banded", "eigh_tridiagonal", "eigvalsh_tridiagonal"),
        "write it with scipy.linalg.eigh of the whole matrix",
    ),
    **dict.fromkeys(("solve_continuous_are", "solve_discrete_are"), "their equations have no derivative here yet"),
    "funm": "a function of Python is called with numbers; expm, logm and sqrtm are recorded",
    "expm_cond": "it estimates, and has no derivative",
    "matrix_balance": "powers of 2 that depend on values scale it",
    "clarkson_woodruff_transform": "it draws at random",
}


def register(module: ModuleType) -> None:
    """Replace functions of the module."""
    replace_functions(module, TABLE, UNRECORDED, LOOKING)
