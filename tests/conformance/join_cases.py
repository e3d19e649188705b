"""Rows for putting arrays together of parts, taking parts out of them, and calling a function for each part."""

from __future__ import annotations

import numpy as np

from .case import Case, answer, booleans, case, complexes, integers, positive, real


def parts() -> list[Case]:
    return [
        case(np.block, real(3)),
        case(np.block, [real(2), real(), real(1)]),
        case(np.block, [[real(2, 2), real(2, 1)], [np.zeros((1, 2)), real()]]),
        case(np.block, [[real(2)], [complexes(2)]]),
        case(np.block, [[[real(1, 1, 2)], [real(2)]]]),
        case(np.insert, real(3), 1, real()),
        case(np.insert, real(3), [0, 2], real(2)),
        case(np.insert, real(2, 3), 1, real(2), axis=1),
        case(np.insert, real(2, 3), [1], real(2, 1), axis=1),
        case(np.insert, real(2, 3), np.array([2, 0, 2]), real(), axis=-1),
        case(np.insert, real(2, 3), slice(0, 2), real(3), axis=0),
        case(np.insert, real(2), [], real(0)),
        case(np.delete, real(4), 1),
        case(np.delete, real(2, 3), [0, -1], axis=1),
        case(np.delete, real(2, 3), slice(None, None, 2), 0),
        case(np.delete, real(2, 3), np.array([True, False, True, False, False, True])),
        case(np.delete, real(3), integers(2, high=3)),
        case(np.resize, real(2, 3), (4,)),
        case(np.resize, real(3), (2, 4)),
        case(np.resize, real(3), (0, 2), independent=True),
        case(np.diagflat, real(2, 2)),
        case(np.diagflat, real(2), k=-1),
        case(np.diagflat, real()),
        case(np.ix_, real(2), real(3)),
        answer(np.ix_, booleans(3), integers(2)),
        answer(np.tril_indices_from, real(2, 3)),
        answer(np.triu_indices_from, real(2, 3), k=1),
        answer(np.diag_indices_from, real(2, 2)),
        answer(np.unravel_index, integers(3), (3, 3)),
        answer(np.ravel_multi_index, (integers(2, high=3), integers(2, high=2)), (3, 2)),
        answer(lambda x, y: np.einsum_path("ij,jk", x, y)[0], real(2, 2), real(2, 2), covers=np.einsum_path),
    ]


def unstacking() -> list[Case]:
    """New in NumPy 2.1."""
    if not hasattr(np, "unstack"):
        return []
    return [case(np.unstack, real(2, 3)), case(np.unstack, real(2, 3), axis=-1), case(np.unstack, complexes(2))]


def steps() -> list[Case]:
    return [
        case(np.linspace, real(), real()),
        case(np.linspace, real(2), real(), 4),
        case(np.linspace, real(2), real(3, 1), 3, axis=-1),
        case(np.linspace, real(), 2.0, 3, endpoint=False, retstep=True),
        case(np.linspace, 0, real(2), num=1),
        case(np.linspace, real(2), 1, num=0, independent=True),
        case(np.linspace, real(), 1.0, 3, dtype=np.float64, single=False),
        case(np.linspace, complexes(), real(), 3),
        answer(np.linspace, real(), 9.0, 4, dtype=int),
        case(np.logspace, real(), real(2), 3),
        case(np.logspace, real(), real(), 3, base=positive()),
        case(np.logspace, real(2), 1.0, 3, endpoint=False, base=positive(2), axis=-1),
        case(np.geomspace, positive(), positive(2), 4),
        case(np.geomspace, -3.0, real(low=-2.0, high=-1.0), num=3, endpoint=False),
        case(np.geomspace, positive(2), 5.0, 4, axis=1, dtype=np.float64, single=False),
        case(np.geomspace, complexes(), complexes(), 3),
        case(np.geomspace, positive(), 5.0, 0, independent=True),
    ]


def functions() -> list[Case]:
    return [
        case(np.apply_along_axis, np.sum, 0, real(2, 3)),
        case(np.apply_along_axis, np.diag, 1, real(2, 3)),
        case(np.apply_along_axis, lambda row, k: [row[0] * k, row[1]], -1, real(2, 3), 2.0),
        case(np.apply_along_axis, np.cumsum, 1, real(2, 3, 2)),
        case(np.apply_over_axes, np.sum, real(2, 3, 2), (0, -1)),
        case(np.apply_over_axes, lambda x, axis: x**2, real(2, 3), 1),
    ]


CASES = [*parts(), *unstacking(), *steps(), *functions()]
