"""Rows for linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Case, Draw, answer, case, complexes, integers, invertible, real, signed, spread

# Some NumPy refuses where nothing is, and gives complex numbers for norms, before some release.
VERSION = np.lib.NumpyVersion(np.__version__)

# A vector has one axis; batch axes broadcast; with three matrices of three rows some libraries see vectors.
SOLVE_SHAPES = [
    ((1, 1), (1,)), ((3, 3), (3,)), ((3, 3), (3, 1)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 3, 3), (3, 2)),
    ((3, 3, 3), (3, 3)), ((3, 3), (2, 3, 2)), ((2, 1, 3, 3), (4, 3, 1)), ((0, 0), (0,)), ((0, 0), (0, 2)),
    ((3, 3), (3, 0)), ((0, 3, 3), (3, 2)),
]  # fmt: skip


def solve() -> list[Case]:
    rows = [case(np.linalg.solve, invertible(*a), real(*b)) for a, b in SOLVE_SHAPES]
    either = invertible(2, 2, kind="complex invertible")
    rows += [case(np.linalg.solve, either, complexes(2)), case(np.linalg.solve, either, real(2, 2))]
    rows += [
        case(np.linalg.solve, invertible(2, 2), complexes(2)),
        case(np.linalg.solve, invertible(2, 2), integers(2)),
        case(np.linalg.solve, np.array([[2, 1], [1, 3]]), real(2, 2)),
        case(np.linalg.solve, [[2.0, 1.0], [1.0, 3.0]], real(2)),
        case(np.linalg.solve, invertible(2, 2), [1, 2]),
    ]
    return rows


SVD_SHAPES = [(3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 1, 2, 3), (1, 1), (1, 3), (0, 3, 2), (3, 0), (0, 0)]


def decomposed(a: Any, full_matrices: Any = True, hermitian: Any = False) -> list[Any]:
    """The singular values, and what of the singular vectors does not depend on signs, phases and bases."""
    u, s, vh = np.linalg.svd(a, full_matrices, hermitian=hermitian)
    k = s.shape[-1]
    v = np.conj(np.swapaxes(vh, -1, -2))
    parts = [s, (u[..., :k] * np.tanh(s)[..., None, :]) @ vh[..., :k, :]]
    for w in (u, v):
        first, rest = w[..., :1], w[..., k:]
        parts += [x @ np.conj(np.swapaxes(x, -1, -2)) for x in (first, rest)]
    return parts


def svd() -> list[Case]:
    rows = []
    for shape in SVD_SHAPES:
        for full in (True, False):
            rows += [case(decomposed, spread(*shape), full, covers=np.linalg.svd, rtol=1e-5)]
            rows += [case(decomposed, spread(*shape, kind="complex spread"), full, covers=np.linalg.svd, rtol=1e-5)]
        rows.append(case(np.linalg.svd, spread(*shape), compute_uv=False))
    for kind in ("spread", "complex spread"):
        rows.append(case(decomposed, spread(3, 3, kind=kind), True, True, covers=np.linalg.svd, rtol=1e-5))
    rows.append(case(np.linalg.svd, integers(3, 2), compute_uv=False))
    return rows


def definite(*shape: int, kind: str = "invertible") -> Draw:
    """Matrices of which either triangle is that of a positive definite one."""
    return Draw(shape, kind, -0.5, 0.5)


SQUARE = [(3, 3), (1, 1), (2, 3, 3), (2, 1, 2, 2), (0, 0), (0, 2, 2), (4, 4)]


def of_squares() -> list[Case]:
    rows = []
    for function in (np.linalg.inv, np.linalg.det, np.linalg.slogdet):
        rows += [case(function, invertible(*shape)) for shape in SQUARE]
        rows += [case(function, invertible(*shape, kind="complex invertible")) for shape in [(1, 1), (2, 3, 3), (4, 4)]]
    for n in (-3, -1, 0, 1, 2, 3, 5, 6):
        rows.append(case(np.linalg.matrix_power, invertible(2, 2), n, independent=n == 0))
    rows += [case(np.linalg.matrix_power, invertible(2, 2, 2, kind="complex invertible"), n) for n in (-2, 4)]
    rows += [answer(np.linalg.matrix_power, integers(2, 2), n) for n in (0, 3)]
    rows += [case(np.linalg.det, real(*shape)) for shape in [(2, 2), (3, 3), (4, 4)]]
    rows += [case(np.linalg.det, invertible(5, 5)), case(np.linalg.det, invertible(2, 5, 5, kind="complex invertible"))]
    rows += [
        case(np.linalg.tensorinv, invertible(6, 6), ind=1),
        case(tensor_inverse, invertible(6, 6), covers=np.linalg.tensorinv),
    ]
    rows += [
        case(np.linalg.tensorsolve, invertible(4, 4), real(4)),
        case(tensor_solution, invertible(6, 6), real(3, 2)),
    ]
    return rows


def tensor_inverse(a: Any) -> Any:
    return np.linalg.tensorinv(np.reshape(a, (2, 3, 6)))


def tensor_solution(a: Any, b: Any) -> Any:
    return np.linalg.tensorsolve(np.reshape(a, (3, 3, 2, 2)), b, axes=(1,))


def cholesky() -> list[Case]:
    rows = []
    for upper in (False, True):
        rows += [case(np.linalg.cholesky, definite(*shape), upper=upper) for shape in SQUARE[:-1]]
        for shape in [(1, 1), (3, 3), (2, 2, 2)]:
            rows.append(case(np.linalg.cholesky, definite(*shape, kind="complex invertible"), upper=upper))
    return rows


def hermitian(a: Any, UPLO: Any = "L") -> list[Any]:
    """The eigenvalues, and what of the eigenvectors does not depend on signs and phases."""
    w, v = np.linalg.eigh(a, UPLO)
    vh = np.conj(np.swapaxes(v, -1, -2))
    first = v[..., :1]
    return [w, (v * np.sin(w)[..., None, :]) @ vh, first @ np.conj(np.swapaxes(first, -1, -2)), np.abs(v)]


def eigh() -> list[Case]:
    rows = []
    for uplo in ("L", "U"):
        for kind in ("invertible", "complex invertible"):
            for shape in [(3, 3), (1, 1), (2, 2, 2)]:
                rows.append(case(hermitian, invertible(*shape, kind=kind), uplo, covers=np.linalg.eigh, rtol=1e-5))
                rows.append(case(np.linalg.eigvalsh, invertible(*shape, kind=kind), uplo, rtol=1e-5))
    rows += [case(hermitian, real(*shape), covers=np.linalg.eigh) for shape in [(0, 0), (0, 2, 2)]]
    rows += [case(np.linalg.eigvalsh, real(*shape), UPLO="l") for shape in [(0, 0), (0, 2, 2)]]
    rows += [case(np.linalg.eigvalsh, integers(3, 3))]
    return rows


def apart(a: Any) -> Any:
    return a + np.diag(2.0 * np.arange(a.shape[-1])).astype(a.dtype)


def general(a: Any) -> list[Any]:
    """The eigenvalues, and what of the eigenvectors does not depend on phases. NumPy gives real ones if all are."""
    w, v = np.linalg.eig(apart(a))
    w, v = w + 0j, v + 0j
    return [w, (v * np.sin(w)[..., None, :]) @ np.linalg.inv(v), np.abs(v)]


def general_values(a: Any) -> Any:
    return np.linalg.eigvals(apart(a)) + 0j


def eig() -> list[Case]:
    rows = []
    for shape in [(3, 3), (1, 1), (2, 2, 2), (0, 0), (0, 2, 2)]:
        for kind in ("invertible", "complex invertible"):
            rows.append(case(general, invertible(*shape, kind=kind), covers=np.linalg.eig, rtol=1e-5))
            rows.append(case(general_values, invertible(*shape, kind=kind), covers=np.linalg.eigvals, rtol=1e-5))
    rows += [case(np.linalg.eigvals, complexes(2, 2))]
    return rows


def factored(a: Any, mode: Any = "reduced") -> list[Any]:
    """The factors, and of what is added to them the space."""
    q, r = np.linalg.qr(a, mode)
    k = min(a.shape[-2:])
    rest = q[..., k:]
    return [q[..., :k], r, rest @ np.conj(np.swapaxes(rest, -1, -2))]


def qr() -> list[Case]:
    rows = []
    for shape in [(3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3), (1, 1), (1, 3), (3, 1), (0, 3, 2), (3, 0), (0, 0)]:
        for kind in ("spread", "complex spread"):
            draw = spread(*shape, kind=kind)
            rows += [case(factored, draw, mode, covers=np.linalg.qr, rtol=1e-5) for mode in ("reduced", "complete")]
            rows.append(case(np.linalg.qr, draw, mode="r", rtol=1e-5))
    rows.append(case(np.linalg.qr, integers(3, 2), mode="r"))
    return rows


def least_squares(a: Any, b: Any, rcond: Any = None) -> list[Any]:
    x, residuals, rank, s = np.linalg.lstsq(a, b, rcond)
    return [x, residuals, np.asarray(rank) if isinstance(rank, np.generic) else rank, s]


def pseudo_inverses() -> list[Case]:
    rows = []
    for shape in [(3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1), (0, 3, 2), (3, 0), (0, 0)]:
        rows += [case(np.linalg.pinv, spread(*shape, kind=kind)) for kind in ("spread", "complex spread")]
    rows += [
        case(np.linalg.pinv, spread(3, 2), 1e-10),
        case(pinv_by_tolerance, spread(2, 3), None, covers=np.linalg.pinv),
        case(pinv_by_tolerance, spread(2, 2, 3), np.array([1e-5, 1e-3]), covers=np.linalg.pinv),
        case(np.linalg.pinv, spread(2, 2), hermitian=True),
        case(np.linalg.pinv, integers(3, 2)),
    ]
    for a in [(3, 3), (4, 2), (2, 4), (3, 1), (3, 0), (0, 2)]:
        for kind, right in (("spread", real), ("complex spread", complexes)):
            draw = spread(*a, kind=kind)
            rows += [case(least_squares, draw, right(a[0]), covers=np.linalg.lstsq)]
            rows += [case(least_squares, draw, right(a[0], columns), covers=np.linalg.lstsq) for columns in (2, 0)]
    rows += [case(least_squares, spread(4, 2), real(4), 1e-3, covers=np.linalg.lstsq)]
    rows += [case(least_squares, spread(4, 2), integers(4), -1, covers=np.linalg.lstsq)]
    rows += [case(least_squares, spread(4, 2), complexes(4), covers=np.linalg.lstsq)]
    return rows


def pinv_by_tolerance(a: Any, rtol: Any) -> Any:
    return np.linalg.pinv(a, rtol=rtol)


def products() -> list[Case]:
    rows = [case(np.linalg.multi_dot, [real(*shape) for shape in shapes]) for shapes in [
        [(2, 3), (3, 2)], [(3,), (3,)], [(2, 3), (3,)], [(3,), (3, 2), (2, 2)], [(4, 2), (2, 3), (3, 4)],
        [(2, 4), (4, 3), (3, 2), (2, 1)], [(3,), (3, 2), (2, 3), (3, 2), (2,)],
    ]]  # fmt: skip
    rows += [case(np.linalg.multi_dot, [complexes(2, 2), real(2, 2), integers(2, 2)])]
    rows += [case(np.linalg.cross, real(2, 3), real(3)), case(np.linalg.cross, real(3, 2), complexes(3, 1), axis=0)]
    rows += [case(np.linalg.outer, real(2), complexes(3)), case(np.linalg.outer, real(1), integers(2))]
    rows += [case(np.linalg.trace, real(2, 3, 4), offset=k) for k in (0, 1, -1, -5)]
    rows += [
        case(np.linalg.trace, complexes(2, 2)),
        case(np.linalg.trace, integers(2, 2), dtype=np.float64, single=False),
    ]
    rows += [case(np.linalg.diagonal, real(2, 3, 4), offset=k) for k in (0, 2, -1)]
    rows += [case(np.linalg.tensordot, real(2, 3), real(3, 2), axes=axes) for axes in (0, 1, ((0, 1), (1, 0)))]
    rows += [case(np.linalg.matrix_transpose, complexes(2, 3, 1))]
    rows += [
        case(np.linalg.vecdot, complexes(2, 3), complexes(3)),
        case(np.linalg.vecdot, real(3, 2), real(3, 1), axis=0),
    ]
    rows += [case(np.linalg.matmul, real(2, 3), real(3)), case(np.linalg.matmul, complexes(2, 2, 3), real(3, 1))]
    return rows


def singular_cond(a: Any, p: Any) -> Any:
    # Whichever way it is factored, with or without fused products.
    return np.isinf(np.linalg.cond(np.stack([a, 0 * a]), p))


def norms() -> list[Case]:
    rows = []
    for order in (2, -2, "nuc"):
        rows += [case(np.linalg.norm, spread(*shape), order) for shape in [(3, 3), (2, 3), (3, 1)]]
        rows += [case(np.linalg.norm, spread(2, 3, kind="complex spread"), order)]
        rows += [case(np.linalg.norm, spread(2, 3, 2), order, (0, 1), True)]
        rows += [case(np.linalg.norm, spread(2, 3, 2), order, (2, -2))]
        rows += [case(np.linalg.matrix_norm, spread(2, 3, 2), ord=order, keepdims=True)]
    if VERSION >= "2.3.0":
        rows += [case(np.linalg.norm, real(0, 3), order) for order in (2, "nuc")]
    rows += [case(np.linalg.matrix_norm, signed(2, 3, 2), ord=order) for order in ("fro", 1, -1, np.inf, -np.inf)]
    rows += [case(np.linalg.matrix_norm, complexes(2, 3)), case(np.linalg.svdvals, spread(2, 3, 2))]
    for order in (2, 1, 3, 0.5, np.inf, -np.inf):
        rows += [case(np.linalg.vector_norm, signed(2, 3, 2), ord=order, axis=axis) for axis in (None, 0, -1, (0, 2))]
        rows += [case(np.linalg.vector_norm, signed(2, 3), ord=order, keepdims=True)]
    rows += [case(np.linalg.vector_norm, signed()), case(np.linalg.vector_norm, complexes(3))]
    rows += [case(np.linalg.vector_norm, integers(3)), case(np.linalg.vector_norm, signed(3), ord=0, gradient="zero")]
    for p in (None, 2, -2, "fro", "nuc", 1, -1, np.inf, -np.inf):
        rows += [case(np.linalg.cond, spread(3, 3), p)]
        if VERSION >= "2.3.0" or p in (None, 2, -2):
            rows += [case(np.linalg.cond, spread(2, 2, 2, kind="complex spread"), p)]
    rows += [case(np.linalg.cond, spread(3, 2)), case(np.linalg.cond, spread(2, 3), p=-2)]
    rows += [answer(singular_cond, real(2), p, covers=np.linalg.cond) for p in (1, "fro")]
    rows += [
        answer(np.linalg.matrix_rank, spread(3, 2)),
        answer(np.linalg.matrix_rank, spread(2, 3, 3, kind="complex spread")),
        answer(np.linalg.matrix_rank, spread(2, 3, 3), 1.5),
        answer(np.linalg.matrix_rank, spread(2, 3, 3), np.array([1.5, 0.1])),
        answer(np.linalg.matrix_rank, spread(2, 3, 3), rtol=np.array([0.5, 0.1])),
        answer(np.linalg.matrix_rank, spread(3, 3), rtol=0.5, hermitian=True),
        answer(np.linalg.matrix_rank, real(3)),
        answer(np.linalg.matrix_rank, integers(3, 3)),
        *([answer(np.linalg.matrix_rank, real(0, 3))] if VERSION >= "2.4.0" else []),
    ]
    return rows


CASES: list[Case] = [
    *solve(), *svd(), *of_squares(), *cholesky(), *eigh(), *eig(), *qr(), *pseudo_inverses(), *products(), *norms(),
]  # fmt: skip
