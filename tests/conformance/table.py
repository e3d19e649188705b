"""The one table of operations that the sweep runs over."""

from __future__ import annotations

from . import (
    count_cases,
    fft_cases,
    join_cases,
    linalg_cases,
    method_cases,
    polynomial_cases,
    product_cases,
    quantile_cases,
    reduction_cases,
    scimath_cases,
    scipy_cases,
    set_cases,
    shape_cases,
    signal_cases,
    sorting_cases,
    special_cases,
    stats_cases,
    tensor_cases,
    ufunc_cases,
    writing_cases,
)
from .case import Case

CASES: list[Case] = [
    *ufunc_cases.CASES,
    *method_cases.CASES,
    *reduction_cases.CASES,
    *shape_cases.CASES,
    *sorting_cases.CASES,
    *join_cases.CASES,
    *polynomial_cases.CASES,
    *quantile_cases.CASES,
    *set_cases.CASES,
    *count_cases.CASES,
    *product_cases.CASES,
    *signal_cases.CASES,
    *scimath_cases.CASES,
    *linalg_cases.CASES,
    *fft_cases.CASES,
    *special_cases.CASES,
    *scipy_cases.CASES,
    *stats_cases.CASES,
    *writing_cases.CASES,
    *tensor_cases.CASES,
]
