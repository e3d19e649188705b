"""Derivative rules: rows of one table, by topic. Nothing happens on import but the building of the table."""

from . import arrays, bessel, custom, elementwise, equations, factorizations, fft, gamma, linalg, special
from .arrays import sum_to
from .rows import NONDIFFERENTIABLE, NOT_IMPLEMENTED, ZERO, Rule, State, Via, build_table, total
from .shifts import irrelevant_extrema

SCIPYS = [*special.RULES, *gamma.RULES, *bessel.RULES, *equations.RULES]
TABLE = build_table(
    elementwise.RULES, arrays.RULES, linalg.RULES, factorizations.RULES, fft.RULES, custom.RULES, SCIPYS
)

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
