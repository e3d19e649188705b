"""Linear algebra: primitives of matrices, and stacks of them in leading axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..convert import as_node
from ..core.avals import Aval, broadcast_shape, intern_aval, several
from ..core.parameters import Static
from ..core.primitives import Primitive
from ..errors import DTypeError, ShapeError
from ..nodes import Node
from ..operator import Operator
from .elementwise import astype, conjugate, real, where
from .outputs import outputs
from .shapes import expand_dims, matrix_transpose, reshape, squeeze


def _infer_solve(primitive: Primitive, a: Aval, b: Aval) -> Aval:
    try:
        batch = broadcast_shape(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"solve({a!r}, {b!r}): the batch axes {a.shape[:-2]} and {b.shape[:-2]} do not broadcast"
        ) from None
    return intern_aval((*batch, *b.shape[-2:]), b.dtype)


# Both operands are matrices, or stacks of them, of one dtype and of as many axes; `solve` below sees to that.
solve_p = Operator(
    "solve",
    _infer_solve,
    kind="routine",
    core="..,.j->.j",
    meaning=lambda xp, a, b: xp.linalg.solve(a, b),
    needs=("linalg.solve",),
)


def _infer_svd(primitive: Primitive, a: Aval, *, full_matrices: bool, compute_uv: bool) -> Aval:
    *batch, m, n = a.shape
    k = min(m, n)
    values = intern_aval((*batch, k), a.dtype if a.dtype.kind == "f" else np.empty(0, a.dtype).real.dtype)
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


def matrix_dtype(name: str, *nodes: Node) -> np.dtype[Any]:
    """What NumPy computes linear algebra of these in: single precision, double, or the complex ones."""
    dtype = np.result_type(*[x.aval.dtype for x in nodes])
    if dtype.kind in "biu":
        return np.dtype(np.float64)
    if dtype.char not in "fdFD":
        raise DTypeError(
            f"{name}({', '.join([repr(x.aval) for x in nodes])}): NumPy has no linear algebra of {dtype}; convert with "
            ".astype, for example to float64"
        )
    return dtype


def check_square(name: str, a: Node) -> None:
    """An error for what is no square matrix, or stack of such."""
    if a.aval.ndim < 2 or a.aval.shape[-1] != a.aval.shape[-2]:
        raise ShapeError(
            f"{name}({a.aval!r}): the last two axes must make square matrices; their sizes are {a.aval.shape[-2:]}"
        )


def solve(a: Any, b: Any) -> Node:
    """The solution x of a x = b: of a vector if ``b`` has one axis, else of matrices."""
    a, b = as_node(a), as_node(b)
    check_square("solve", a)
    dtype = matrix_dtype("solve", a, b)
    a, b = astype(a, dtype), astype(b, dtype)
    if b.aval.ndim == 0 or b.aval.shape[-1 if b.aval.ndim == 1 else -2] != a.aval.shape[-1]:
        raise ShapeError(
            f"solve({a.aval!r}, {b.aval!r}): the second array must have as many rows as the matrices, "
            f"{a.aval.shape[-1]}; a vector has one axis, and stands for one column"
        )
    is_vector = b.aval.ndim == 1
    if is_vector:
        b = expand_dims(b, 1)
    ndim = max(a.aval.ndim, b.aval.ndim)
    # With as many axes nobody can take a matrix for a stack of vectors, as some libraries do.
    a, b = [reshape(v, (*(1,) * (ndim - v.aval.ndim), *v.aval.shape)) for v in (a, b)]
    x = solve_p(a, b)
    return squeeze(x, (-1,)) if is_vector else x


def adjoint(a: Node) -> Node:
    """The conjugate transpose of matrices."""
    return matrix_transpose(conjugate(a) if a.aval.dtype.kind == "c" else a)


def _check_matrices(name: str, a: Node) -> None:
    if a.aval.ndim < 2:
        raise ShapeError(f"{name}({a.aval!r}): it takes matrices, or stacks of them, which have two axes or more")


def from_triangle(a: Node, upper: bool = False) -> Node:
    """The Hermitian matrices of which ``a`` has one triangle; what the other one has is not looked at."""
    n = a.aval.shape[-1]
    kept = np.triu(np.ones((n, n), bool)) if upper else np.tril(np.ones((n, n), bool))
    mirrored = where(as_node(kept), a, adjoint(a))
    return where(as_node(np.eye(n, dtype=bool)), real(a), mirrored) if a.aval.dtype.kind == "c" else mirrored


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> tuple[Node, ...]:
    """The singular value decomposition u, s, vh of matrices; (s,) alone if ``compute_uv`` is false."""
    a = as_node(a)
    _check_matrices("svd", a)
    a = astype(a, matrix_dtype("svd", a))
    if hermitian:
        check_square("svd", a)
        a = from_triangle(a)
    return outputs(svd_p(a, full_matrices=full_matrices, compute_uv=compute_uv))
