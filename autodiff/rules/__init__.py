"""Derivative rules: rows of one table, by topic. Nothing happens on import but the building of the table."""

from . import (
    arrays,
    bessel,
    custom,
    elementwise,
    equations,
    factorizations,
    fft,
    flows,
    gamma,
    linalg,
    matrix_functions,
    sorting,
    special,
)
from .arrays import sum_to
from .rows import NONDIFFERENTIABLE, NOT_IMPLEMENTED, ZERO, Rule, State, Via, build_table, total
from .shifts import irrelevant_extrema

TOPICS = (
    elementwise,
    arrays,
    linalg,
    factorizations,
    matrix_functions,
    fft,
    sorting,
    special,
    gamma,
    bessel,
    equations,
    custom,
    flows,
)
TABLE = build_table(*[topic.RULES for topic in TOPICS])

__all__ = [
    "NONDIFFERENTIABLE",
    "NOT_IMPLEMENTED",
    "TABLE",
    "ZERO",
    "Rule",
    "State",
    "Via",
    "build_table",
    "irrelevant_extrema",
    "sum_to",
    "total",
]
