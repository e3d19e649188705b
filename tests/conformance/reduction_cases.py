"""Rows for reductions: over axes of every form, with every keyword."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Case, answer, booleans, case, complexes, integers, positive, real, signed, spaced

MASK = np.array([[True, False, True], [False, True, True]])
AXES: list[dict[str, Any]] = [
    {},
    {"axis": 0},
    {"axis": -1},
    {"axis": (0, 1)},
    {"axis": (-1, 0), "keepdims": True},
    {"axis": 1, "keepdims": True},
    {"axis": None, "keepdims": True},
    {"axis": ()},
]


def _out(function: Any) -> Any:
    """The reduction written into a given array."""

    def into(x: Any, **keywords: Any) -> Any:
        out = np.zeros_like(np.copy(x)[0])
        function(x, axis=0, out=out, **keywords)
        return out * 3

    return into


def sums_and_products() -> list[Case]:
    rows = []
    for f in [np.sum, np.prod, np.mean]:
        rows += [case(f, signed(2, 3), **axes) for axes in AXES]
        rows += [case(f, signed(*shape)) for shape in [(), (1,), (5,), (1, 3), (2, 1, 2)]]
        rows += [case(f, real(2, 1, 3), axis=(0, 2)), case(f, real(2, 1, 3), axis=1), case(f, real(3, 0), axis=0)]
        rows += [case(f, signed(2, 3), where=MASK, **axes) for axes in AXES[:6]]
        rows += [case(f, signed(2, 3), where=np.array([True, False, True])), case(f, signed(2, 3), where=MASK[:, :1])]
        rows += [case(f, signed(2, 3), axis=1, where=booleans(3))] if f is not np.mean else []
        rows += [case(f, complexes(2, 3), **axes) for axes in AXES[:3]]
        rows += [case(f, signed(2, 3), axis=1, dtype=np.float64, single=False), case(f, signed(2, 3), 1)]
        rows += [case(f, real(3), dtype="complex128", single=False), case(_out(f), real(2, 3), covers=f)]
        rows += [answer(f, integers(2, 3), axis=0)] if f is not np.mean else []
        rows += [answer(f, booleans(2, 3))] if f is not np.mean else []
    for f in [np.sum, np.prod]:
        rows += [case(f, real(0)), case(f, real(0, 3), axis=0), case(f, real(2, 3), initial=1.5)]
        rows += [case(f, real(2, 3), axis=1, initial=real()), case(f, real(2, 3), axis=1, initial=2, where=MASK)]
    rows += [case(np.prod, real(*shape)) for shape in [(7,), (8,), (2, 5)]]
    return rows


def spread() -> list[Case]:
    rows = []
    for f in [np.var, np.std]:
        rows += [case(f, spaced(2, 3), **axes) for axes in AXES[:7]]
        rows += [case(f, spaced(2, 3), ddof=1, **axes) for axes in AXES[:3]]
        rows += [case(f, spaced(2, 3), where=MASK, **axes) for axes in AXES[:7]]
        rows += [
            case(f, spaced(2, 3), where=MASK, axis=1, ddof=0.5),
            case(f, spaced(5)),
            case(f, spaced(4), None, None),
        ]
        rows += [case(f, spaced(2, 3), correction=1), case(f, spaced(2, 3), axis=1, mean=real(2, 1), rtol=1e-5)]
        rows += [case(f, complexes(2, 3)), case(f, complexes(2, 3), axis=1, ddof=1)]
        rows += [case(f, spaced(2, 3), axis=0, dtype=np.float64, single=False), case(_out(f), spaced(2, 3), covers=f)]
    return rows


def extrema() -> list[Case]:
    rows = []
    for f in [np.max, np.min, np.amax, np.amin, np.ptp]:
        rows += [case(f, spaced(2, 3), **axes) for axes in AXES[:7]]
        rows += [case(f, spaced(*shape)) for shape in [(), (1,), (5,), (2, 1, 2)]]
        rows += [case(f, spaced(2, 1, 3), axis=(0, 2)), case(f, spaced(0, 3), axis=1)]
        rows += [case(_out(f), spaced(2, 3), covers=f)]
    for f in [np.max, np.min]:
        rows += [case(f, spaced(2, 3), axis=1, initial=0.02), case(f, spaced(2, 3), initial=real())]
        rows += [
            case(f, spaced(2, 3), axis=1, initial=0.02, where=MASK),
            case(f, spaced(0, 2), axis=0, initial=1.0, independent=True),
        ]
        rows += [case(f, spaced(2, 0), axis=0), case(f, spaced(2, 3), initial=-1, where=MASK)]
        rows += [answer(f, integers(2, 3), axis=1)]
    for f in [np.argmax, np.argmin]:
        rows += [answer(f, spaced(2, 3), **axes) for axes in [{}, {"axis": 0}, {"axis": -1, "keepdims": True}]]
        rows += [answer(f, spaced(2, 3), keepdims=True), answer(f, spaced())]
    return rows


def running() -> list[Case]:
    rows = []
    for f in [np.cumsum, np.cumprod]:
        rows += [case(f, signed(2, 3), **axes) for axes in AXES[:3]]
        rows += [case(f, signed(*shape)) for shape in [(), (1,), (7,), (0,), (2, 1, 2)]]
        rows += [case(f, complexes(3)), case(f, real(2, 3), axis=1, dtype="f8", single=False)]
        rows += [case(f, positive(2, 2, 2), axis=1), answer(f, integers(2, 3), axis=0)]
    return rows


def averages() -> list[Case]:
    rows = [case(np.average, real(2, 3), **axes) for axes in AXES[:7]]
    rows += [
        case(np.average, real(2, 3), weights=positive(2, 3)),
        case(np.average, real(2, 3), axis=1, weights=positive(3)),
        case(np.average, real(2, 3), 0, positive(2), keepdims=True),
        case(np.average, real(2, 3), axis=1, weights=positive(3), returned=True),
        case(np.average, real(2, 3), axis=0, returned=True),
        case(np.average, real(2, 3), axis=(0, 1), weights=positive(2, 3), returned=True, keepdims=True),
        case(np.average, real(3), weights=[1, 2, 3], single=False),
        case(np.average, integers(3), weights=positive(3), single=False),
        case(np.average, complexes(3), weights=positive(3)),
    ]
    if hasattr(np, "cumulative_sum"):
        for f in [np.cumulative_sum, np.cumulative_prod]:
            rows += [case(f, real(4)), case(f, real(2, 3), axis=1), case(f, real(2, 3), axis=-2, include_initial=True)]
            rows += [case(f, real(3), dtype="f8", single=False), answer(f, integers(3), include_initial=True)]
    return rows


def truth() -> list[Case]:
    rows = []
    for f in [np.all, np.any]:
        rows += [answer(f, booleans(2, 3), **axes) for axes in AXES]
        rows += [answer(f, real(2, 3), axis=0, where=MASK), answer(f, integers(2, 3, high=2)), answer(f, real())]
    rows += [answer(np.count_nonzero, integers(2, 3, high=2), **axes) for axes in AXES[:7]]
    return rows


CASES = [*sums_and_products(), *spread(), *extrema(), *running(), *averages(), *truth()]
