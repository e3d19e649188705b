"""Rows for the ufuncs of SciPy."""

from __future__ import annotations

import numpy as np
from scipy import special

from .case import Case, case, complexes, integers, real


def erf() -> list[Case]:
    rows = [case(special.erf, real(*shape)) for shape in [(), (0,), (1,), (3,), (2, 3), (2, 1, 4), (600,)]]
    rows += [case(special.erf, complexes(3)), case(special.erf, integers(3))]
    rows += [case(special.erf, real(3, low=-5.0, high=5.0)), case(special.erf, real(2), dtype=np.float64)]
    return rows


CASES: list[Case] = erf()
