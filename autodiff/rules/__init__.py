"""Derivative rules: rows of one table, by topic. Nothing happens on import but the building of the table."""

from . import arrays, elementwise, factorizations, fft, linalg
from .arrays import sum_to
from .rows import NONDIFFERENTIABLE, NOT_IMPLEMENTED, ZERO, Rule, State, Via, build_table, total
from .shifts import irrelevant_extrema

TABLE = build_table(elementwise.RULES, arrays.RULES, linalg.RULES, factorizations.RULES, fft.RULES)

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
