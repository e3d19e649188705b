"""Linear algebra on NumPy where it has more than the array API standard; SciPy's BLAS is used where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from autodiff.importing import imported

from . import small
from .small import factors, is_small

Array = np.ndarray[Any, Any]

# Rows from which substitution by BLAS beats a factorisation by NumPy: 8 us a matrix are the calls.
LEAST_TRIANGULAR = 24
LEAST_FACTORED = 32


@lru_cache(32)
def scipy_linalg() -> Any:
    """SciPy's linear algebra; None if it is not installed."""
    try:
        return imported("scipy.linalg")
    except ImportError:
        return None


@lru_cache(32)
def _blas(name: str, dtype: np.dtype[Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = scipy_linalg().get_blas_funcs(name, dtype=dtype)
    return found


@lru_cache(32)
def _lapack(name: str, dtype: np.dtype[Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = scipy_linalg().get_lapack_funcs(name, dtype=dtype)
    return found


def _check_regular(a: Array) -> None:
    """NumPy's error for a matrix whose triangular factor has a zero on the diagonal."""
    if not np.diagonal(a, axis1=-2, axis2=-1).all():
        raise np.linalg.LinAlgError("Singular matrix")


def solve_triangular(a: Array, b: Array, lower: bool) -> Array:
    """The solution of a x = b for matrices with zeros in one triangle."""
    if a.shape[-1] < LEAST_TRIANGULAR or not b.size or scipy_linalg() is None:
        return np.linalg.solve(a, b)
    _check_regular(a)
    function = _blas("trsm", b.dtype)
    if a.ndim == b.ndim == 2:
        return _substituted(function, a, b, lower)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    out = np.empty(b.shape, b.dtype)
    for i in np.ndindex(batch):
        out[i] = _substituted(function, a[i], b[i], lower)
    return out


def _substituted(function: Callable[..., Array], a: Array, b: Array, lower: bool) -> Array:
    # x^T a^T = b^T, since BLAS takes columns for what NumPy has as rows.
    if a.flags.f_contiguous:
        return function(1.0, a, b.T, side=1, lower=lower, trans_a=1).T
    return function(1.0, a.T, b.T, side=1, lower=not lower).T


# --- factors of a general matrix -------------------------------------------------------------------------------------


def has_factors(shape: tuple[int, ...]) -> bool:
    """Whether matrices of a shape are worth factors of their own here: many small ones, or a large one by SciPy."""
    return is_small(shape) or (len(shape) == 2 and shape[0] >= LEAST_FACTORED and scipy_linalg() is not None)


def lu(a: Array) -> tuple[Array, Array]:
    """The triangular factors in one matrix, and the exchanges of rows; the matrix itself if it is not worth them."""
    if not has_factors(a.shape):
        return a.copy(), np.zeros(a.shape[:-1], np.int32)
    return factors(a) if is_small(a.shape) else _lapack("getrf", a.dtype)(a)[:2]


def lu_solve(factors: tuple[Array, Array], b: Array, transposed: bool) -> Array:
    """The solution of a x = b, or of that with the transposed matrix."""
    a, exchanges = factors
    if not has_factors(a.shape) or not b.size:
        return np.linalg.solve(a.swapaxes(-1, -2) if transposed else a, b)
    _check_regular(a)
    if is_small(a.shape):
        return small.solve(a, exchanges, b, transposed)
    found: Array = _lapack("getrs", a.dtype)(a, exchanges, b, trans=int(transposed))[0]
    return found


def lu_slogdet(factors: tuple[Array, Array]) -> tuple[Any, Any]:
    """The sign of the determinant, and the logarithm of its size."""
    a, exchanges = factors
    if not has_factors(a.shape):
        return tuple(np.linalg.slogdet(a))
    diagonal = np.diagonal(a, axis1=-2, axis2=-1)
    sizes = np.abs(diagonal)
    singular = ~sizes.all(-1)
    odd = np.count_nonzero(exchanges != np.arange(a.shape[-1]), axis=-1) % 2
    with np.errstate(divide="ignore", invalid="ignore"):
        sign = np.prod(diagonal / sizes, axis=-1) * np.where(odd, -1, 1).astype(a.dtype)
        log = np.sum(np.log(sizes), axis=-1)
    return np.where(singular, a.dtype.type(0), sign), np.where(singular, sizes.dtype.type(-np.inf), log)


def lu_det(factors: tuple[Array, Array]) -> Any:
    """The determinant: of small matrices a product, where nothing is near the ends of the range."""
    a, exchanges = factors
    found = small.det(a, exchanges) if is_small(a.shape) else None
    if found is None:
        # As NumPy has it.
        sign, log = lu_slogdet(factors)
        found = sign * np.exp(log)
    return found


def inv(a: Array) -> Array:
    """The inverses of matrices."""
    return lu_solve(lu(a), np.eye(a.shape[-1], dtype=a.dtype), False) if is_small(a.shape) else np.linalg.inv(a)


def cholesky(a: Array) -> Array:
    """The lower factors of what lower triangles say."""
    if a.ndim > 2 or len(a) < LEAST_FACTORED or scipy_linalg() is None:
        return np.linalg.cholesky(a)
    # The upper factor of the transposed matrix, which is as LAPACK wants it in memory: NumPy would copy it twice.
    factor, info = _lapack("potrf", a.dtype)(a.T, lower=0, clean=1)
    if info:
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    found: Array = factor.T
    return found


def eigh(a: Array, upper: bool, vectors: bool) -> tuple[Array, ...]:
    """Eigenvalues and eigenvectors of what one triangle stands for."""
    uplo: Any = "U" if upper else "L"
    return tuple(np.linalg.eigh(a, uplo)) if vectors else (np.linalg.eigvalsh(a, uplo),)


def qr(a: Array, mode: Any) -> tuple[Array, ...]:
    """The factors, or the triangular one alone."""
    found: Any = np.linalg.qr(a, mode)
    return (found,) if mode == "r" else tuple(found)


# What computes the primitives of these names, with their parameters by name.
ROUTINES: tuple[Callable[..., Any], ...] = (solve_triangular, lu, lu_solve, lu_slogdet, lu_det, inv, cholesky, eigh, qr)
