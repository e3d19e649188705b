"""Linear algebra on NumPy where it has more than the array API standard; SciPy's BLAS is used where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Rows from which substitution by BLAS beats a factorisation by NumPy: 8 us a matrix are the calls.
LEAST_TRIANGULAR = 24


@cache
def _substitution(dtype: np.dtype[Any]) -> Callable[..., Array] | None:
    """BLAS's routine for triangular matrices, by SciPy; None if there is no SciPy."""
    try:
        scipy = import_module("scipy.linalg")
    except ImportError:
        return None
    found: Callable[..., Array] = scipy.get_blas_funcs("trsm", dtype=dtype)
    return found


def solve_triangular(a: Array, b: Array, lower: bool) -> Array:
    """The solution of a x = b for matrices with zeros in one triangle."""
    function = _substitution(b.dtype) if a.shape[-1] >= LEAST_TRIANGULAR and b.size else None
    if function is None:
        return np.linalg.solve(a, b)
    if not np.diagonal(a, axis1=-2, axis2=-1).all():
        raise np.linalg.LinAlgError("Singular matrix")
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


def eigh(a: Array, upper: bool, vectors: bool) -> tuple[Array, ...]:
    """Eigenvalues and eigenvectors of what one triangle stands for."""
    uplo = "U" if upper else "L"
    return tuple(np.linalg.eigh(a, uplo)) if vectors else (np.linalg.eigvalsh(a, uplo),)


def qr(a: Array, mode: str) -> tuple[Array, ...]:
    """The factors, or the triangular one alone."""
    found = np.linalg.qr(a, mode)
    return (found,) if mode == "r" else tuple(found)


# Primitive -> what computes it, with the primitive's parameters by name.
ROUTINES: dict[str, Callable[..., Any]] = {"solve_triangular": solve_triangular, "eigh": eigh, "qr": qr}
