"""The elementary functions that CUDA has none for, as C++ written by the definitions that compiled loops share."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..loops.functions import SINGLE, function_of
from .types import C_NAMES, text_of

DType = np.dtype[Any]
BOOL, INT32, INT64, FLOAT32, FLOAT64 = (np.dtype(code) for code in ("?", "i4", "i8", "f4", "f8"))

# By name, the operands. CUDA is told not to join products and sums, so that what these say is what is computed.
NAMES = {
    **dict.fromkeys(("erfcx", "gammaln", "psi", "expit", "log_expit", "logit", "entr", "ndtr", "log_ndtr"), 1),
    **dict.fromkeys(("xlogy", "xlog1py", "rel_entr", "kl_div"), 2),
}


class Term:
    """A number in C++ that writes a line whenever it is computed with, as in ``loops.elementary``.

    Parameters
    ----------
    lines : list of str
        Of the function.
    dtype : numpy.dtype
    text : str
        What lines call it.
    """

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("dtype", "lines", "text")

    def __init__(self, lines: list[str], dtype: DType, text: str):
        self.lines = lines
        self.dtype = dtype
        self.text = text

    def _like(self, value: Any) -> Term:
        if isinstance(value, Term):
            return value
        text = text_of(np.asarray(value).astype(self.dtype))
        return Term(self.lines, self.dtype, f"({text})" if text[0] == "-" else text)

    def _new(self, text: str, dtype: DType | None = None) -> Term:
        found = Term(self.lines, self.dtype if dtype is None else dtype, f"t{len(self.lines)}")
        self.lines.append(f"const {C_NAMES[found.dtype]} {found.text} = {text};")
        return found

    def _joined(self, operator: str, other: Any, dtype: DType | None = None) -> Term:
        return self._new(f"{self.text} {operator} {self._like(other).text}", dtype)

    def __add__(self, other: Any) -> Term:
        return self._joined("+", other)

    def __radd__(self, other: Any) -> Term:
        return self._like(other)._joined("+", self)

    def __sub__(self, other: Any) -> Term:
        return self._joined("-", other)

    def __rsub__(self, other: Any) -> Term:
        return self._like(other)._joined("-", self)

    def __mul__(self, other: Any) -> Term:
        return self._joined("*", other)

    def __rmul__(self, other: Any) -> Term:
        return self._like(other)._joined("*", self)

    def __truediv__(self, other: Any) -> Term:
        return self._joined("/", other)

    def __rtruediv__(self, other: Any) -> Term:
        return self._like(other)._joined("/", self)

    def __neg__(self) -> Term:
        return self._new(f"-{self.text}")

    def __abs__(self) -> Term:
        return self._called("fabs")

    def __lt__(self, other: Any) -> Term:
        return self._joined("<", other, BOOL)

    def __le__(self, other: Any) -> Term:
        return self._joined("<=", other, BOOL)

    def __gt__(self, other: Any) -> Term:
        return self._joined(">", other, BOOL)

    def __ge__(self, other: Any) -> Term:
        return self._joined(">=", other, BOOL)

    def __eq__(self, other: object) -> Term:  # type: ignore[override]
        return self._joined("==", other, BOOL)

    def __ne__(self, other: object) -> Term:  # type: ignore[override]
        return self._joined("!=", other, BOOL)

    def __and__(self, other: Any) -> Term:
        return self._joined("&", other)

    def __or__(self, other: Any) -> Term:
        return self._joined("|", other)

    def __lshift__(self, bits: int) -> Term:
        return self._new(f"{self.text} << {bits}")

    def __rshift__(self, bits: int) -> Term:
        return self._new(f"{self.text} >> {bits}")

    def _called(self, name: str, *others: Any) -> Term:
        words = ", ".join([self.text, *[self._like(x).text for x in others]])
        return self._new(f"{name}{'f' if self.dtype == FLOAT32 else ''}({words})")

    def fma(self, factor: Any, term: Any) -> Term:
        """``self * factor + term``, rounded once."""
        return self._called("fma", factor, term)

    def product(self, factor: Any) -> tuple[Term, Term]:
        """``self * factor``, and what its rounding lost."""
        result: Term = self * factor
        return result, self.fma(factor, -result)

    def rint(self) -> Term:
        """The nearest integer, as a floating number."""
        return self._called("rint")

    def sqrt(self) -> Term:
        """The square root."""
        return self._called("sqrt")

    def copysign(self, other: Any) -> Term:
        """The magnitude of this with the sign of the other."""
        return self._called("copysign", other)

    def select(self, yes: Any, no: Any) -> Term:
        """The first where this is true, else the second; one of them is no Python number."""
        known: Term = yes if isinstance(yes, Term) else no
        return known._new(f"{self.text} ? {known._like(yes).text} : {known._like(no).text}")

    def bits(self) -> Term:
        """The bits of a floating number as a signed integer."""
        single = self.dtype == FLOAT32
        return self._new(
            f"__{'float_as_int' if single else 'double_as_longlong'}({self.text})", INT32 if single else INT64
        )

    def number(self) -> Term:
        """The floating number with these bits."""
        single = self.dtype == INT32
        return self._new(
            f"__{'int_as_float' if single else 'longlong_as_double'}({self.text})", FLOAT32 if single else FLOAT64
        )

    def cast(self, to: DType) -> Term:
        """The number in another dtype."""
        return self._new(f"({C_NAMES[to]}){self.text}", to)


def _written(name: str, dtype: DType) -> str:
    lines: list[str] = []
    words = [f"x{i}" for i in range(NAMES[name])]
    result = function_of(name, dtype, exact=True)(*[Term(lines, dtype, word) for word in words])
    return _definition(name, dtype, [*lines, f"return {result.text};"])


def _definition(name: str, dtype: DType, lines: list[str]) -> str:
    kind = C_NAMES[dtype]
    parameters = ", ".join([f"{kind} x{i}" for i in range(NAMES[name])])
    body = "".join([f"    {line}\n" for line in lines])
    return f"FN {kind} f_{name}({parameters}) {{\n{body}}}\n"


@cache
def part(name: str) -> str:
    """The part of a prelude that defines a function for both precisions."""
    double = _written(name, FLOAT64)
    if name in SINGLE:
        return double + _written(name, FLOAT32)
    words = ", ".join([f"(double)x{i}" for i in range(NAMES[name])])
    return double + _definition(name, FLOAT32, [f"return (float)f_{name}({words});"])
