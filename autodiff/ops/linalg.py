"""Linear algebra: primitives of matrices, and stacks of them in leading axes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..convert import as_node
from ..core.avals import Aval, broadcast_shape, intern_aval, several
from ..core.parameters import Static
from ..core.primitives import Primitive
from ..errors import DTypeError, ShapeError
from ..nodes import Node
from ..operator import Operator, infer_like
from .contractions import matmul
from .derived import COMPOSITIONS
from .elementwise import astype, conjugate, equal, greater_equal, less_equal, real, strong, where
from .indexing import take_range
from .outputs import outputs, part_p
from .shapes import (
    broadcast_to,
    concatenate,
    expand_dims,
    full,
    matrix_transpose,
    reshape,
    reshape_p,
    squeeze,
    transpose,
    transpose_p,
)


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


inv_p = Operator(
    "inv",
    infer_like,
    core="..->..",
    kind="routine",
    meaning=lambda xp, a: xp.linalg.inv(a),
    needs=("linalg.inv",),
)


def _infer_solve_triangular(primitive: Primitive, a: Aval, b: Aval, *, lower: bool) -> Aval:
    return _infer_solve(primitive, a, b)


def _solve_triangular(xp: Any, a: Any, b: Any, *, lower: bool) -> Any:
    function = getattr(xp.linalg, "solve_triangular", None)
    return xp.linalg.solve(a, b) if function is None else function(a, b, upper=not lower)


# The same of matrices with zeros in one triangle. Where a library has nothing of its own for them, solving is that.
solve_triangular_p = Operator(
    "solve_triangular",
    _infer_solve_triangular,
    params={"lower": Static},
    core="..,.j->.j",
    kind="routine",
    meaning=_solve_triangular,
    needs=("linalg.solve",),
)


# The lower factor, of what the lower triangle says.
cholesky_p = Operator(
    "cholesky",
    infer_like,
    core="..->..",
    kind="routine",
    meaning=lambda xp, a: xp.linalg.cholesky(a),
    needs=("linalg.cholesky",),
)

det_p = Operator(
    "det",
    lambda primitive, a: intern_aval(a.shape[:-2], a.dtype),
    core="..->",
    kind="routine",
    meaning=lambda xp, a: xp.linalg.det(a),
    needs=("linalg.det",),
)


def _infer_slogdet(primitive: Primitive, a: Aval) -> Aval:
    return several([intern_aval(a.shape[:-2], a.dtype), intern_aval(a.shape[:-2], real_dtype(a.dtype))])


slogdet_p = Operator(
    "slogdet",
    _infer_slogdet,
    several=True,
    core="..->,",
    kind="routine",
    meaning=lambda xp, a: tuple(xp.linalg.slogdet(a)),
    needs=("linalg.slogdet",),
)


def meant_transpose(xp: Any, a: Any) -> Any:
    """The last two axes of an array of any library exchanged."""
    return xp.moveaxis(a, -1, -2)


def meant_adjoint(xp: Any, a: Any) -> Any:
    """The conjugate transpose of matrices of any library."""
    return meant_transpose(xp, xp.conj(a) if "complex" in str(a.dtype) else a)


def _cofactors(xp: Any, a: Any) -> Any:
    """det(a) / a, transposed; of a singular matrix, for which that is 0 / 0, by its singular values."""
    one = xp.tril(xp.triu(xp.ones_like(a)))
    det = xp.linalg.det(a)[..., None, None]
    singular = det == 0
    found = det * meant_transpose(xp, xp.linalg.inv(xp.where(singular, one, a)))
    if not bool(xp.any(singular)):
        return found
    u, s, vh = xp.linalg.svd(xp.where(singular, a, one))
    # The product of all singular values but one.
    s = xp.where(one == 1, xp.ones_like(s[..., None, :]), s[..., None, :])
    minors = xp.prod(s, axis=-1)[..., None, :]
    sign = (xp.linalg.det(u) * xp.linalg.det(vh))[..., None, None]
    return xp.where(singular, sign * meant_transpose(xp, meant_adjoint(xp, (u * minors) @ vh)), found)


# The derivative of the determinant by each element.
cofactors_p = Operator(
    "cofactors",
    infer_like,
    core="..->..",
    kind="routine",
    meaning=_cofactors,
    needs=("linalg.det", "linalg.inv", "linalg.svd"),
)


# What a backend may make of several applications to one matrix: its factors are found once. Nobody records these. The
# matrix itself stands for its factors where a library shows none.


def _infer_lu(primitive: Primitive, a: Aval) -> Aval:
    return several([intern_aval(a.shape, a.dtype), intern_aval(a.shape[:-1], np.dtype(np.int32))])


lu_p = Operator(
    "lu",
    _infer_lu,
    several=True,
    core="..->..,.",
    kind="routine",
    meaning=lambda xp, a: (xp.asarray(a, copy=True), xp.zeros(a.shape[:-1], dtype=xp.int32)),
)
lu_slogdet_p = Operator(
    "lu_slogdet",
    lambda primitive, factors: _infer_slogdet(primitive, factors.parts[0]),
    several=True,
    core=".->,",
    kind="routine",
    meaning=lambda xp, factors: tuple(xp.linalg.slogdet(factors[0])),
    needs=("linalg.slogdet",),
)
lu_det_p = Operator(
    "lu_det",
    lambda primitive, factors: intern_aval(factors.parts[0].shape[:-2], factors.parts[0].dtype),
    core=".->",
    kind="routine",
    meaning=lambda xp, factors: xp.linalg.det(factors[0]),
    needs=("linalg.det",),
)


def _lu_solve(xp: Any, factors: tuple[Any, ...], b: Any, *, transposed: bool) -> Any:
    return xp.linalg.solve(meant_transpose(xp, factors[0]) if transposed else factors[0], b)


lu_solve_p = Operator(
    "lu_solve",
    lambda primitive, factors, b, transposed: _infer_solve(primitive, factors.parts[0], b),
    params={"transposed": Static},
    core=".,.j->.j",
    kind="routine",
    meaning=_lu_solve,
    needs=("linalg.solve",),
)


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the parts of numbers."""
    return np.empty(0, dtype).real.dtype


def matrix_dtype(name: str, *nodes: Node) -> np.dtype[Any]:
    """What NumPy computes linear algebra of these in: single precision, double, or the complex ones."""
    dtypes = [x.aval.dtype for x in nodes]
    for dtype in dtypes:
        if dtype.kind not in "biu" and dtype.char not in "fdFD":
            raise DTypeError(
                f"{name}({', '.join([repr(x.aval) for x in nodes])}): NumPy has no linear algebra of {dtype}; convert "
                "with .astype, for example to float64"
            )
    # Whole numbers are double precision here, of whatever size they are.
    return np.result_type(*[np.dtype(np.float64) if dtype.kind in "biu" else dtype for dtype in dtypes])


def check_square(name: str, a: Node) -> None:
    """An error for what is no square matrix, or stack of such."""
    if a.aval.ndim < 2 or a.aval.shape[-1] != a.aval.shape[-2]:
        raise ShapeError(
            f"{name}({a.aval!r}): the last two axes must make square matrices; their sizes are {a.aval.shape[-2:]}"
        )


def known_triangle(a: Node) -> bool | None:
    """Whether matrices are lower triangular (True) or upper (False), if that is known of what made them."""
    turned = False
    while a.inputs:
        (x,), primitive = a.inputs[:1], a.primitive
        if primitive is cholesky_p:
            return not turned
        if primitive is part_p and x.primitive is not None and x.primitive.name == "qr":
            is_r = a.params["index"] == len(x.aval.parts) - 1
            return turned if is_r and a.aval.shape[-1] == a.aval.shape[-2] else None
        if primitive is transpose_p:
            row, column = a.params["axes"][-2:]
            if (row, column) == (a.aval.ndim - 1, a.aval.ndim - 2):
                turned = not turned
            elif (row, column) != (a.aval.ndim - 2, a.aval.ndim - 1):
                return None
        elif primitive is not conjugate and (primitive is not reshape_p or x.aval.shape[-2:] != a.aval.shape[-2:]):
            return None
        a = x
    return None


def _system(name: str, a: Any, b: Any) -> tuple[Node, Node, bool]:
    """Matrices and right-hand sides of one dtype and as many axes, and whether that was a vector."""
    a, b = as_node(a), as_node(b)
    check_square(name, a)
    dtype = matrix_dtype(name, a, b)
    a, b = astype(a, dtype), astype(b, dtype)
    if b.aval.ndim == 0 or b.aval.shape[-1 if b.aval.ndim == 1 else -2] != a.aval.shape[-1]:
        raise ShapeError(
            f"{name}({a.aval!r}, {b.aval!r}): the second array must have as many rows as the matrices, "
            f"{a.aval.shape[-1]}; a vector has one axis, and stands for one column"
        )
    is_vector = b.aval.ndim == 1
    if is_vector:
        b = expand_dims(b, 1)
    # With as many axes nobody can take a matrix for a stack of vectors, as some libraries do.
    ndim = max(a.aval.ndim, b.aval.ndim)
    a, b = [reshape(v, (*(1,) * (ndim - v.aval.ndim), *v.aval.shape)) for v in (a, b)]
    return a, b, is_vector


def solve(a: Any, b: Any) -> Node:
    """The solution x of a x = b: of a vector if ``b`` has one axis, else of matrices."""
    a, b, is_vector = _system("solve", a, b)
    lower = known_triangle(a)
    x = solve_p(a, b) if lower is None else solve_triangular_p(a, b, lower=lower)
    return squeeze(x, (-1,)) if is_vector else x


def solve_triangular(a: Any, b: Any, lower: bool) -> Node:
    """The same for what one triangle of the matrices says."""
    a, b, is_vector = _system("solve_triangular", a, b)
    if known_triangle(a) != lower:
        a = triangle(a, upper=not lower)
    x = solve_triangular_p(a, b, lower=lower)
    return squeeze(x, (-1,)) if is_vector else x


def adjoint(a: Node) -> Node:
    """The conjugate transpose of matrices."""
    return matrix_transpose(conjugate(a) if a.aval.dtype.kind == "c" else a)


@functools.lru_cache(16)
def positions(n: int) -> Node:
    """The numbers from 0 on: one constant, so that equal applications are one. Masks of matrices are made of it."""
    return as_node(np.arange(n))


def eye(n: int) -> Node:
    """Which elements of matrices are on the diagonal."""
    return equal(expand_dims(positions(n), 1), positions(n))


def _infer_as_diagonal(primitive: Primitive, s: Aval) -> Aval:
    return intern_aval((*s.shape, s.shape[-1]), s.dtype)


# Matrices that are zero but for their diagonals, which plans of derivatives follow by themselves.
as_diagonal_p = Operator("as_diagonal", _infer_as_diagonal, core=".->..")


def as_diagonal(s: Node) -> Node:
    """Diagonal matrices."""
    return as_diagonal_p(strong(s))


COMPOSITIONS[as_diagonal_p] = lambda s: where(eye(s.aval.shape[-1]), expand_dims(s, -1), 0)


def identity_like(a: Node) -> Node:
    """The identity matrix, for matrices like these."""
    n = a.aval.shape[-1]
    return reshape(astype(eye(n), a.aval.dtype), (*(1,) * (a.aval.ndim - 2), n, n))


def _inside(shape: tuple[int, ...], k: int, upper: bool) -> Node:
    """Which elements of matrices are in a triangle: on and below a diagonal, or above and on it."""
    rows, columns = expand_dims(positions(shape[0]), 1), positions(shape[1])
    return (less_equal if upper else greater_equal)(rows + k if k else rows, columns)


def _square(name: str, a: Any) -> Node:
    a = as_node(a)
    check_square(name, a)
    return astype(a, matrix_dtype(name, a))


def inv(a: Any) -> Node:
    """The inverses of matrices."""
    return inv_p(_square("inv", a))


def det(a: Any) -> Node:
    """The determinants of matrices."""
    return det_p(_square("det", a))


def slogdet(a: Any) -> tuple[Node, ...]:
    """The signs of determinants, and the logarithms of their sizes."""
    return outputs(slogdet_p(_square("slogdet", a)))


# Of so many rows minors are cheaper as sums of products than by a factorisation, and exact for singular matrices.
MOST_ROWS_EXPANDED = 4


def cofactors(a: Node) -> Node:
    """The derivative of the determinant by each element of matrices."""
    *batch, n, _ = a.aval.shape
    if n > MOST_ROWS_EXPANDED:
        return cofactors_p(a)
    if n < 2:
        return full(a.aval.shape, 1, a.aval.dtype)
    ndim = a.aval.ndim
    # Each element of all matrices is a row in memory.
    planes = reshape(transpose(a, (ndim - 2, ndim - 1, *range(ndim - 2))), (n * n, -1 if a.aval.size else 0))
    minors: dict[tuple[tuple[int, ...], tuple[int, ...]], Node]
    minors = {((i,), (j,)): take_range(planes, 0, n * i + j, n * i + j + 1) for i in range(n) for j in range(n)}

    def minor(rows: tuple[int, ...], columns: tuple[int, ...]) -> Node:
        found = minors.get((rows, columns))
        if found is None:
            for k, column in enumerate(columns):
                part = minors[rows[:1], (column,)] * minor(rows[1:], columns[:k] + columns[k + 1 :])
                found = part if found is None else found - part if k % 2 else found + part
            assert found is not None
            minors[rows, columns] = found
        return found

    def without(i: int) -> tuple[int, ...]:
        return tuple([j for j in range(n) if j != i])

    signed = [minor(without(i), without(j)) * (-1) ** (i + j) for i in range(n) for j in range(n)]
    matrices = reshape(concatenate(signed, 0), (n, n, *batch))
    return transpose(matrices, (*range(2, ndim), 0, 1))


def cholesky(a: Any, upper: bool = False) -> Node:
    """The lower factor l of a = l l^H, of what the lower triangle says; or the upper one, of the upper triangle."""
    a = _square("cholesky", a)
    return adjoint(cholesky_p(adjoint(a))) if upper else cholesky_p(a)


def check_matrices(name: str, a: Node) -> None:
    """An error for what is no matrix, or stack of such."""
    if a.aval.ndim < 2:
        raise ShapeError(f"{name}({a.aval!r}): it takes matrices, or stacks of them, which have two axes or more")


def triangle(a: Node, k: int = 0, upper: bool = False) -> Node:
    """Matrices with zeros outside of a triangle: on and below a diagonal, or above and on it."""
    return where(_inside(a.aval.shape[-2:], k, upper), a, 0)


def from_triangle(a: Node, upper: bool = False) -> Node:
    """The Hermitian matrices of which ``a`` has one triangle; what the other one has is not looked at."""
    mirrored = where(_inside(a.aval.shape[-2:], 0, upper), a, adjoint(a))
    return where(eye(a.aval.shape[-1]), real(a), mirrored) if a.aval.dtype.kind == "c" else mirrored


def to_triangle(a: Node, upper: bool = False) -> Node:
    """The gradient of one triangle for that of the Hermitian matrices that it stands for."""
    inside = triangle(a + adjoint(a), 1 if upper else -1, upper)
    return where(eye(a.aval.shape[-1]), real(a), inside)


def matrix_power(a: Any, n: int) -> Node:
    """A matrix times itself, by squares as NumPy does it; for negative ``n`` its inverse."""
    a = as_node(a)
    check_square("matrix_power", a)
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        return broadcast_to(identity_like(a), a.aval.shape)
    if n == 3:
        return matmul(matmul(a, a), a)
    result: Node | None = None
    while n:
        n, bit = divmod(n, 2)
        if bit:
            result = a if result is None else matmul(result, a)
        if n:
            a = matmul(a, a)
    assert result is not None
    return result
