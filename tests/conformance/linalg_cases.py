"""Rows for linear algebra."""

from __future__ import annotations

import numpy as np

from .case import Case, case, complexes, integers, invertible, real

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


CASES: list[Case] = solve()
