"""Rows for ``np.emath``: real results inside of the real domains, complex ones as soon as one element is outside."""

from __future__ import annotations

import numpy as np

from .case import Case, case, complexes, integers, positive, real

INSIDE, NEGATIVE, BEYOND = real(3, low=0.1, high=0.8), real(2, 3, low=-3.0, high=-0.5), real(3, low=1.2, high=3.0)

CASES: list[Case] = [
    *[case(f, x) for f in (np.emath.sqrt, np.emath.log, np.emath.log2, np.emath.log10) for x in (INSIDE, NEGATIVE)],
    *[case(f, x) for f in (np.emath.arccos, np.emath.arcsin, np.emath.arctanh) for x in (INSIDE, BEYOND)],
    case(np.emath.sqrt, complexes(3)),
    case(np.emath.sqrt, real(0)),
    case(np.emath.sqrt, integers(3, low=-4)),
    *[case(np.emath.power, x, 1.5) for x in (INSIDE, NEGATIVE)],
    case(np.emath.power, positive(3), real(3)),
    case(np.emath.power, integers(3, low=1), -2),
    *[case(np.emath.logn, 2.0, x) for x in (INSIDE, NEGATIVE)],
    case(np.emath.logn, real(3, low=-3.0, high=-1.5), positive(3)),
]
