"""Rows for linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Case, case, complexes, integers, invertible, real, spread

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


CASES: list[Case] = solve() + svd()
