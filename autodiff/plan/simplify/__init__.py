"""Algebraic simplification: rows of equations, each saying where it holds, applied while a program is built.

A row applies where a value is about to be made, so everything below it is already simple. A replacement is
taken only if it has the shape and dtype that was asked for.
"""

from . import arithmetic, arrays, sums
from .arithmetic import FINAL_ROWS, ROWS
from .rows import DERIVED, EXACT, IN_SUMS, POWERS, WATCHED, Number, Rewriter, Row, Special, Var

SPECIAL = [*arithmetic.SPECIAL, *arrays.SPECIAL, *sums.SPECIAL]

ALWAYS = {
    "broadcast": arrays.strip_broadcasts,
    "numbers": arithmetic.fold,
    "number": arithmetic.one_kind_of_number,
}

# What gives the same derivatives, and what gives only the same values.
simplify_graph = Rewriter([*ROWS, *SPECIAL], ALWAYS)
simplify = Rewriter([*ROWS, *FINAL_ROWS, *SPECIAL], ALWAYS)

__all__ = [
    "ALWAYS",
    "DERIVED",
    "EXACT",
    "FINAL_ROWS",
    "IN_SUMS",
    "POWERS",
    "ROWS",
    "SPECIAL",
    "WATCHED",
    "Number",
    "Rewriter",
    "Row",
    "Special",
    "Var",
    "simplify",
    "simplify_graph",
]
