"""Rows for functions of sampled functions, and for those of each element that are no ufuncs."""

from __future__ import annotations

import numpy as np

from .case import Case, answer, between, booleans, case, complexes, integers, positive, real, signed, spaced

MODES = ("full", "same", "valid")
KNOTS = np.array([-1.0, -0.2, 0.5, 1.0])
AT = np.array([-1.3, -0.9, 0.7, 1.4])


def correlations() -> list[Case]:
    rows = [case(np.correlate, real(m), real(n), mode) for mode in MODES for m, n in [(4, 2), (2, 3)]]
    rows += [case(np.correlate, complexes(3), complexes(2), mode=mode) for mode in MODES[1:]]
    return [*rows, case(np.correlate, real(2), complexes(3)), answer(np.convolve, integers(3), integers(2))]


def gradients() -> list[Case]:
    rows = []
    uneven = np.array([0.0, 0.5, 2.0, 2.5])
    for order in (1, 2):
        rows += [
            case(np.gradient, real(order + 1), edge_order=order),
            case(np.gradient, real(3, 3), 0.5, positive(), edge_order=order),
            case(np.gradient, real(2, 4), uneven, axis=-1, edge_order=order),
            case(lambda x, s, order=order: np.gradient(x, np.cumsum(s), axis=(0,), edge_order=order),
                 real(4, 1), positive(4), covers=np.gradient),
        ]  # fmt: skip
    return [
        *rows,
        case(np.gradient, real(2, 3)),
        case(np.gradient, real(3), [0.0, 2.0, 4.0]),
        case(np.gradient, complexes(2, 2), axis=(1, 0)),
    ]


def integrals() -> list[Case]:
    return [
        case(np.trapezoid, real(4)),
        case(np.trapezoid, real(2, 3), dx=positive()),
        case(np.trapezoid, real(2, 3), real(3)),
        case(np.trapezoid, real(3, 2), x=real(3, 2), axis=0),
        case(np.trapezoid, real(3, 2), real(3), axis=-2),
        case(np.trapezoid, real(0, 2), axis=0),
        case(np.trapezoid, complexes(3), real(3)),
    ]


def interpolation() -> list[Case]:
    def moved(x: object, xp: object, fp: object, **keywords: object) -> object:
        return np.interp(AT + 0.005 * x, KNOTS + 0.005 * xp, fp, **keywords)

    rows = [
        case(moved, real(4), real(4), fp, covers=np.interp, single=False, **keywords)
        for fp, keywords in [
            (real(4), {"left": real(), "right": 2.0}),
            (real(4), {"period": positive(low=2.6, high=2.65)}),
            (real(4), {"period": -2.1}),
            (complexes(4), {"right": 1.5 - 2j}),
        ]
    ]
    return [
        *rows,
        case(np.interp, real(low=0.0, high=0.4), KNOTS, [1.0, 2.0, 4.0, 3.0], single=False),
        case(np.interp, AT, [0.0], real(1), single=False),
        case(np.interp, real(0), KNOTS, real(4), single=False),
    ]


def phases() -> list[Case]:
    return [
        case(np.unwrap, real(4, low=-9, high=9)),
        case(np.unwrap, real(3, 2, low=-9, high=9), axis=0),
        case(np.unwrap, real(3, low=-9, high=9), discont=4.0),
        case(np.unwrap, real(3, low=-9, high=9), period=positive(low=3.0, high=3.1)),
        case(np.unwrap, real(1)),
        answer(np.unwrap, integers(6), period=4),
    ]


def elements() -> list[Case]:
    rows = [case(np.around, between(2, 3), gradient="zero"), case(np.fix, between(2, 3), gradient="zero")]
    rows += [answer(f, x) for f in (np.isneginf, np.isposinf) for x in (real(3), integers(2), real())]
    rows += [answer(f, x) for f in (np.isreal, np.iscomplex) for x in (real(3), complexes(3), integers(2), complexes())]
    rows += [
        case(np.real_if_close, complexes(3)),
        case(np.real_if_close, real(3)),
        case(lambda x: np.real_if_close(x + 1e-16j), real(3), covers=np.real_if_close, single=False),
        case(np.i0, signed(2, 3)),
        case(np.i0, real(0)),
        case(lambda x: np.i0(0 * x), real(2), covers=np.i0),
        case(np.nan_to_num, complexes(2, 3)),
        case(
            lambda x, y, z: np.nan_to_num(x * np.array([1, np.nan, np.inf, -np.inf]), nan=y, neginf=z),
            spaced(4),
            real(),
            real(4),
            covers=np.nan_to_num,
        ),
        case(lambda x: np.nan_to_num(2 * x, copy=False), spaced(2), covers=np.nan_to_num),
        answer(np.bitwise_count, integers(3, low=-9)),
        answer(np.packbits, booleans(2, 9), axis=1),
        answer(lambda x: np.unpackbits(x.astype(np.uint8), count=11), integers(3), covers=np.unpackbits),
        answer(np.common_type, real(2), complexes(2)),
        answer(np.min_scalar_type, real(2)),
    ]
    return rows


CASES = [
    *correlations(), *gradients(), *integrals(), *interpolation(), *phases(), *elements(),
]  # fmt: skip

CASES += [
    *[case(np.ediff1d, real(*shape)) for shape in [(4,), (2, 3), (1,), ()]],
    case(np.ediff1d, real(3), to_begin=real()),
    case(np.ediff1d, real(3), to_end=real(2, 2), to_begin=[0.0, 1.0]),
]

CASES += [
    *[case(np.convolve, real(m), real(n), mode) for m, n in [(4, 2), (2, 3)] for mode in MODES],
    *[case(np.convolve, complexes(3), complexes(2), mode=mode) for mode in MODES],
    case(np.convolve, real(1), real(1)),
    case(np.convolve, real(3), [0.0, 1.0, 0.5]),
    case(np.convolve, real(3), real()),
    case(np.convolve, complexes(2), real(3)),
]
