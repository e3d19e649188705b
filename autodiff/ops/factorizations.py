"""Factorisations of matrices, and what is composed of them; stacks of matrices in leading axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..convert import as_node
from ..core.avals import Aval, intern_aval, several
from ..core.parameters import Static
from ..core.primitives import Primitive
from ..nodes import Node
from ..operator import Operator
from .contractions import matmul
from .derived import COMPOSITIONS
from .elementwise import astype, greater, reciprocal, where
from .linalg import adjoint, check_matrices, check_square, from_triangle, matrix_dtype, meant_adjoint, real_dtype
from .outputs import outputs
from .reductions import amax, keep_axes
from .shapes import expand_dims

# --- singular values -------------------------------------------------------------------------------------------------


def _infer_svd(primitive: Primitive, a: Aval, *, full_matrices: bool, compute_uv: bool) -> Aval:
    *batch, m, n = a.shape
    k = min(m, n)
    values = intern_aval((*batch, k), real_dtype(a.dtype))
    if not compute_uv:
        return several([values])
    left, right = (m, n) if full_matrices else (k, k)
    return several([intern_aval((*batch, m, left), a.dtype), values, intern_aval((*batch, right, n), a.dtype)])


def _svd(xp: Any, a: Any, *, full_matrices: bool, compute_uv: bool) -> tuple[Any, ...]:
    if compute_uv:
        return tuple(xp.linalg.svd(a, full_matrices=full_matrices))
    values = getattr(xp.linalg, "svdvals", None)
    return (xp.linalg.svd(a, compute_uv=False) if values is None else values(a),)


svd_p = Operator(
    "svd",
    _infer_svd,
    several=True,
    core="..->..,.,..",
    params={"full_matrices": Static, "compute_uv": Static},
    kind="routine",
    meaning=_svd,
    needs=("linalg.svd",),
)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> tuple[Node, ...]:
    """The singular value decomposition u, s, vh of matrices; (s,) alone if ``compute_uv`` is false."""
    a = as_node(a)
    check_matrices("svd", a)
    a = astype(a, matrix_dtype("svd", a))
    if hermitian:
        check_square("svd", a)
        a = from_triangle(a)
    return outputs(svd_p(a, full_matrices=full_matrices, compute_uv=compute_uv))


def _inverted(s: Node, rcond: Node) -> Node:
    """The inverses of those singular values that are greater than ``rcond`` times the greatest, and 0."""
    if 0 in s.aval.shape:
        return s
    last = (s.aval.ndim - 1,)
    large = greater(s, expand_dims(rcond, -1) * keep_axes(amax(s, axes=last), s, last))
    return where(large, reciprocal(where(large, s, 1)), 0)


def _infer_pinv(primitive: Primitive, a: Aval, rcond: Aval) -> Aval:
    return intern_aval((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)


def _pinv(a: Node, rcond: Node) -> Node:
    u, s, vh = outputs(svd_p(a, full_matrices=False, compute_uv=True))
    return matmul(adjoint(vh) * expand_dims(_inverted(s, rcond), -2), adjoint(u))


# Of matrices and of what is too small beside the greatest singular value, one number or one a matrix. Its derivative is
# not that of the composition: singular values may be equal.
pinv_p = Operator("pinv", _infer_pinv, core="..,->..", kind="routine")
COMPOSITIONS[pinv_p] = _pinv


def _infer_lstsq(primitive: Primitive, a: Aval, b: Aval, rcond: Aval) -> Aval:
    return intern_aval((*b.shape[:-2], a.shape[-1], b.shape[-1]), b.dtype)


def _lstsq(a: Node, b: Node, rcond: Node) -> Node:
    u, s, vh = outputs(svd_p(a, full_matrices=False, compute_uv=True))
    return matmul(adjoint(vh), expand_dims(_inverted(s, rcond), -1) * matmul(adjoint(u), b))


# The shortest of the x for which a x is nearest to b, of one dtype.
lstsq_p = Operator("lstsq", _infer_lstsq, core="..,.j,->.j", kind="routine")
COMPOSITIONS[lstsq_p] = _lstsq

# --- eigenvalues -----------------------------------------------------------------------------------------------------


def _infer_eigh(primitive: Primitive, a: Aval, *, upper: bool, vectors: bool) -> Aval:
    values = intern_aval(a.shape[:-1], real_dtype(a.dtype))
    return several([values, intern_aval(a.shape, a.dtype)] if vectors else [values])


def _eigh(xp: Any, a: Any, *, upper: bool, vectors: bool) -> tuple[Any, ...]:
    # The standard does not say which triangle is looked at.
    near, far = (xp.triu(a), xp.triu(a, k=1)) if upper else (xp.tril(a), xp.tril(a, k=-1))
    whole = near + meant_adjoint(xp, far)
    return tuple(xp.linalg.eigh(whole)) if vectors else (xp.linalg.eigvalsh(whole),)


# The eigenvalues of the Hermitian matrices that one triangle stands for, in ascending order, and the eigenvectors.
eigh_p = Operator(
    "eigh",
    _infer_eigh,
    several=True,
    core="..->.,..",
    params={"upper": Static, "vectors": Static},
    kind="routine",
    meaning=_eigh,
    needs=("linalg.eigh",),
)


def eigh(a: Any, upper: bool = False, vectors: bool = True) -> tuple[Node, ...]:
    """Eigenvalues and eigenvectors of Hermitian matrices; the eigenvalues alone if ``vectors`` is false."""
    name = "eigh" if vectors else "eigvalsh"
    a = as_node(a)
    check_square(name, a)
    return outputs(eigh_p(astype(a, matrix_dtype(name, a)), upper=upper, vectors=vectors))


def _infer_eig(primitive: Primitive, a: Aval, *, vectors: bool) -> Aval:
    dtype = np.result_type(a.dtype, np.complex64)
    values = intern_aval(a.shape[:-1], dtype)
    return several([values, intern_aval(a.shape, dtype)] if vectors else [values])


def _eig(xp: Any, a: Any, *, vectors: bool) -> tuple[Any, ...]:
    # NumPy gives real numbers if all of them are; which dtype a result has is no question of values here.
    found = xp.linalg.eig(a) if vectors else (xp.linalg.eigvals(a),)
    return tuple([x + 0j for x in found])


eig_p = Operator(
    "eig",
    _infer_eig,
    several=True,
    core="..->.,..",
    params={"vectors": Static},
    kind="routine",
    meaning=_eig,
    needs=("linalg.eig", "linalg.eigvals"),
)


def eig(a: Any, vectors: bool = True) -> tuple[Node, ...]:
    """Eigenvalues and eigenvectors of square matrices, as complex numbers; the values alone if asked for."""
    name = "eig" if vectors else "eigvals"
    a = as_node(a)
    check_square(name, a)
    return outputs(eig_p(astype(a, matrix_dtype(name, a)), vectors=vectors))


# --- orthogonal and triangular factors -------------------------------------------------------------------------------


def _infer_qr(primitive: Primitive, a: Aval, *, mode: str) -> Aval:
    *batch, m, n = a.shape
    k = m if mode == "complete" else min(m, n)
    right = intern_aval((*batch, k, n), a.dtype)
    return several([right] if mode == "r" else [intern_aval((*batch, m, k), a.dtype), right])


def _qr(xp: Any, a: Any, *, mode: str) -> tuple[Any, ...]:
    # The standard has no mode "r".
    return (xp.linalg.qr(a, mode="reduced")[1],) if mode == "r" else tuple(xp.linalg.qr(a, mode=mode))


qr_p = Operator(
    "qr",
    _infer_qr,
    several=True,
    core="..->..,..",
    params={"mode": Static},
    kind="routine",
    meaning=_qr,
    needs=("linalg.qr",),
)


def qr(a: Any, mode: str = "reduced") -> tuple[Node, ...]:
    """The factors q and r of matrices; (r,) alone if the mode is "r"."""
    a = as_node(a)
    check_matrices("qr", a)
    return outputs(qr_p(astype(a, matrix_dtype("qr", a)), mode=mode))
