"""The oracle of derivatives, which knows no rule of the library: NumPy's functions on truncated Taylor series."""

from __future__ import annotations

from .series import FUNCTIONS, MONOMIALS, ORDER, REDUCTIONS, UFUNCS, Series, Unsuitable, as_series, kink, variable
from .series_arrays import ARRAYS
from .series_elementwise import ELEMENTWISE, SERIES
from .series_reductions import REDUCING

UFUNCS.update(ELEMENTWISE)
REDUCTIONS.update(REDUCING)
FUNCTIONS.update(ARRAYS)

__all__ = ["MONOMIALS", "ORDER", "SERIES", "Series", "Unsuitable", "as_series", "kink", "variable"]
