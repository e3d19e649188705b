"""Numbers of ``elementary`` as arrays of NumPy: what functions give, without any compiler."""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementary import split_product

INTEGERS = {np.dtype(np.float32): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.int64)}
FLOATS = {integer: number for number, integer in INTEGERS.items()}


class Evaluated:
    """A number, or a condition, for each element of an array."""

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    def _like(self, other: Any) -> Any:
        return other.array if isinstance(other, Evaluated) else self.array.dtype.type(other)

    def __add__(self, other: Any) -> Evaluated:
        return Evaluated(self.array + self._like(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Evaluated:
        return Evaluated(self.array - self._like(other))

    def __rsub__(self, other: Any) -> Evaluated:
        return Evaluated(self._like(other) - self.array)

    def __mul__(self, other: Any) -> Evaluated:
        return Evaluated(self.array * self._like(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Evaluated:
        return Evaluated(self.array / self._like(other))

    def __rtruediv__(self, other: Any) -> Evaluated:
        return Evaluated(self._like(other) / self.array)

    def __neg__(self) -> Evaluated:
        return Evaluated(-self.array)

    def __abs__(self) -> Evaluated:
        return Evaluated(abs(self.array))

    def __lt__(self, other: Any) -> Evaluated:
        return Evaluated(self.array < self._like(other))

    def __le__(self, other: Any) -> Evaluated:
        return Evaluated(self.array <= self._like(other))

    def __gt__(self, other: Any) -> Evaluated:
        return Evaluated(self.array > self._like(other))

    def __ge__(self, other: Any) -> Evaluated:
        return Evaluated(self.array >= self._like(other))

    def __eq__(self, other: object) -> Evaluated:  # type: ignore[override]
        return Evaluated(self.array == self._like(other))

    def __ne__(self, other: object) -> Evaluated:  # type: ignore[override]
        return Evaluated(self.array != self._like(other))

    def __and__(self, other: Any) -> Evaluated:
        return Evaluated(self.array & self._like(other))

    def __or__(self, other: Any) -> Evaluated:
        return Evaluated(self.array | self._like(other))

    def __lshift__(self, other: Any) -> Evaluated:
        return Evaluated(self.array << self._like(other))

    def __rshift__(self, other: Any) -> Evaluated:
        return Evaluated(self.array >> self._like(other))

    def fma(self, factor: Any, term: Any) -> Evaluated:
        """``self * factor + term``, with more digits in between where NumPy has such a dtype."""
        wide = np.float64 if self.array.dtype == np.float32 else np.longdouble
        product = self.array.astype(wide) * np.asarray(self._like(factor)).astype(wide)
        return Evaluated((product + np.asarray(self._like(term)).astype(wide)).astype(self.array.dtype))

    def product(self, factor: Any) -> tuple[Evaluated, Evaluated]:
        """``self * factor``, and what its rounding lost."""
        return split_product(self, Evaluated(np.asarray(self._like(factor))))

    def rint(self) -> Evaluated:
        """The nearest integer."""
        return Evaluated(np.rint(self.array))

    def sqrt(self) -> Evaluated:
        """The square root."""
        return Evaluated(np.sqrt(self.array))

    def copysign(self, other: Any) -> Evaluated:
        """The magnitude of this with the sign of the other."""
        return Evaluated(np.copysign(self.array, self._like(other)))

    def select(self, yes: Any, no: Any) -> Evaluated:
        """The first where this holds, else the second; one of them is no Python number."""
        known = yes if isinstance(yes, Evaluated) else no
        return Evaluated(np.where(self.array, known._like(yes), known._like(no)))

    def bits(self) -> Evaluated:
        """As an integer."""
        return Evaluated(self.array.view(INTEGERS[self.array.dtype]))

    def number(self) -> Evaluated:
        """As a floating number."""
        return Evaluated(self.array.view(FLOATS[self.array.dtype]))

    def cast(self, to: Any) -> Evaluated:
        """In another dtype."""
        return Evaluated(self.array.astype(to))
