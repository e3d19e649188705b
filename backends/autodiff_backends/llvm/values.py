"""Values in LLVM's text: numbers that write an instruction whenever they are computed with."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from autodiff.whole import silent

from ..loops.elementary import split_product

DType = np.dtype[Any]
BOOL, INT32, INT64, FLOAT32, FLOAT64 = (np.dtype(code) for code in ("?", "i4", "i8", "f4", "f8"))


class Unwritten(Exception):
    """A statement that has no expression here, though one of its kind has."""


def type_of(dtype: DType) -> str:
    """The type of a register."""
    if dtype.kind == "f" and dtype in (FLOAT32, FLOAT64):
        return "double" if dtype == FLOAT64 else "float"
    if dtype.kind not in "biu":
        raise Unwritten(f"{dtype} is no number of a kernel")
    return "i1" if dtype.kind == "b" else f"i{8 * dtype.itemsize}"


def in_memory(dtype: DType) -> str:
    """The type of an element of an array."""
    return "i8" if dtype.kind == "b" else type_of(dtype)


def number_text(value: Any, dtype: DType) -> str:
    """A number as an operand."""
    if dtype.kind == "f":
        # Also of single precision: the bits of the double that has the same value.
        return f"0x{struct.unpack('<Q', struct.pack('<d', float(silent(dtype.type, value))))[0]:016X}"
    if dtype.kind == "b":
        return "true" if value else "false"
    bits = 8 * dtype.itemsize
    whole = int(value) & ((1 << bits) - 1)
    return str(whole - (1 << bits) if dtype.kind == "i" and whole >> (bits - 1) else whole)


class Writer(Protocol):
    """Where values write: ``code.Code``."""

    exact: bool

    @property
    def has_fma(self) -> bool:
        """Whether the processor multiplies and adds in one instruction."""

    def emit(self, text: str) -> str:
        """An instruction; how its result is called."""

    def constant(self, value: Any, dtype: DType) -> Value:
        """A number of the source."""

    def intrinsic(self, name: str, *operands: Value) -> Value:
        """What LLVM has a function for."""

    def library(self, name: str, *operands: Value) -> Value:
        """The C library's function."""

    def note(self, outside: Value) -> None:
        """Remember that a number was out of the usual range of a function, if it was."""

    def function(self, name: str, make: Callable[..., Value], *operands: Value) -> Value:
        """A function of the module."""


def constant(code: Writer, value: Any, dtype: DType) -> Value:
    """A number of the source."""
    return Value(code, dtype, number_text(value, dtype))


# By operator: the instruction for floating numbers and for integers.
_ARITHMETIC = {"+": ("fadd", "add"), "-": ("fsub", "sub"), "*": ("fmul", "mul"), "/": ("fdiv", "")}
# By operator: how floating numbers, signed and unsigned ones are compared. NaN differs from everything.
_COMPARED = {
    "<": ("olt", "slt", "ult"),
    "<=": ("ole", "sle", "ule"),
    ">": ("ogt", "sgt", "ugt"),
    ">=": ("oge", "sge", "uge"),
    "==": ("oeq", "eq", "eq"),
    "!=": ("une", "ne", "ne"),
}


class Value:
    """A number in a register, or of the source.

    Parameters
    ----------
    code : Writer
        Where it is computed with.
    dtype : numpy.dtype
    text : str
        What instructions call it.
    """

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("code", "dtype", "text")

    def __init__(self, code: Writer, dtype: DType, text: str):
        self.code = code
        self.dtype = dtype
        self.text = text

    @property
    def typed(self) -> str:
        """With its type, as an argument."""
        return f"{type_of(self.dtype)} {self.text}"

    def like(self, value: Any) -> Value:
        """A value as it is, or a number in this one's dtype."""
        return value if isinstance(value, Value) else constant(self.code, value, self.dtype)

    def _new(self, text: str, dtype: DType | None = None) -> Value:
        return Value(self.code, self.dtype if dtype is None else dtype, self.code.emit(text))

    # --- arithmetic --------------------------------------------------------------------------------------------------

    def _computed(self, operator: str, other: Any, swapped: bool = False, flags: str = "") -> Value:
        instruction = _ARITHMETIC[operator][self.dtype.kind != "f"]
        a, b = self.text, self.like(other).text
        if swapped:
            a, b = b, a
        return self._new(f"{instruction}{flags} {type_of(self.dtype)} {a}, {b}")

    def __add__(self, other: Any) -> Value:
        return self._computed("+", other)

    def __radd__(self, other: Any) -> Value:
        return self._computed("+", other, swapped=True)

    def __sub__(self, other: Any) -> Value:
        return self._computed("-", other)

    def __rsub__(self, other: Any) -> Value:
        return self._computed("-", other, swapped=True)

    def __mul__(self, other: Any) -> Value:
        return self._computed("*", other)

    def __rmul__(self, other: Any) -> Value:
        return self._computed("*", other, swapped=True)

    def __truediv__(self, other: Any) -> Value:
        return self._computed("/", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._computed("/", other, swapped=True)

    def __neg__(self) -> Value:
        if self.dtype.kind == "f":
            return self._new(f"fneg {self.typed}")
        return self._new(f"sub {type_of(self.dtype)} 0, {self.text}")

    def __abs__(self) -> Value:
        if self.dtype.kind == "f":
            return self.code.intrinsic("fabs", self)
        return self if self.dtype.kind in "ub" else (self < 0).select(-self, self)

    def rest(self, other: Any) -> Value:
        """What a division of integers leaves, with the sign of this one."""
        return self._new(f"{'srem' if self.dtype.kind == 'i' else 'urem'} {self.typed}, {self.like(other).text}")

    def added(self, term: Value, flags: str) -> Value:
        """The sum, with flags that say what the compiler may do with this addition."""
        return self._computed("+", term, flags=f" {flags}")

    def times(self, other: Value, flags: str) -> Value:
        """The product, with flags."""
        return self._computed("*", other, flags=f" {flags}")

    def fma(self, factor: Any, term: Any) -> Value:
        """``self * factor + term``, rounded once where the processor does that."""
        product: Value
        if not self.code.has_fma:
            product = self * factor
            return product.__add__(term)
        return self.code.intrinsic("fma", self, self.like(factor), self.like(term))

    def product(self, factor: Any) -> tuple[Value, Value]:
        """``self * factor``, and what its rounding lost."""
        factor = self.like(factor)
        if not self.code.has_fma:
            split: tuple[Value, Value] = split_product(self, factor)
            return split
        result: Value = self * factor
        return result, self.code.intrinsic("fma", self, factor, -result)

    def rint(self) -> Value:
        """The nearest integer, as a floating number."""
        return self.code.intrinsic("rint", self)

    def sqrt(self) -> Value:
        """The square root."""
        return self.code.intrinsic("sqrt", self)

    def copysign(self, other: Any) -> Value:
        """The magnitude of this with the sign of the other."""
        return self.code.intrinsic("copysign", self, self.like(other))

    # --- comparisons and bits ----------------------------------------------------------------------------------------

    def _compared(self, operator: str, other: Any) -> Value:
        predicates = _COMPARED[operator]
        predicate = predicates["fi".find(self.dtype.kind) if self.dtype.kind in "fi" else 2]
        instruction = "fcmp" if self.dtype.kind == "f" else "icmp"
        return self._new(f"{instruction} {predicate} {self.typed}, {self.like(other).text}", BOOL)

    def __lt__(self, other: Any) -> Value:
        return self._compared("<", other)

    def __le__(self, other: Any) -> Value:
        return self._compared("<=", other)

    def __gt__(self, other: Any) -> Value:
        return self._compared(">", other)

    def __ge__(self, other: Any) -> Value:
        return self._compared(">=", other)

    def __eq__(self, other: object) -> Value:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: object) -> Value:  # type: ignore[override]
        return self._compared("!=", other)

    def _bitwise(self, instruction: str, other: Any) -> Value:
        return self._new(f"{instruction} {self.typed}, {self.like(other).text}")

    def __and__(self, other: Any) -> Value:
        return self._bitwise("and", other)

    def __or__(self, other: Any) -> Value:
        return self._bitwise("or", other)

    def __xor__(self, other: Any) -> Value:
        return self._bitwise("xor", other)

    def __invert__(self) -> Value:
        return self._bitwise("xor", True if self.dtype.kind == "b" else -1)

    def __lshift__(self, other: Any) -> Value:
        return self._bitwise("shl", other)

    def __rshift__(self, other: Any) -> Value:
        return self._bitwise("ashr" if self.dtype.kind == "i" else "lshr", other)

    def select(self, yes: Any, no: Any) -> Value:
        """The first where this is true, else the second; one of them is a value."""
        known: Value = yes if isinstance(yes, Value) else no
        first, second = known.like(yes), known.like(no)
        return first._new(f"select i1 {self.text}, {first.typed}, {second.typed}")

    # --- other types -------------------------------------------------------------------------------------------------

    def bits(self) -> Value:
        """The bits of a floating number as a signed integer."""
        to = INT64 if self.dtype == FLOAT64 else INT32
        return self._new(f"bitcast {self.typed} to {type_of(to)}", to)

    def number(self) -> Value:
        """The floating number with these bits."""
        to = FLOAT64 if self.dtype.itemsize == 8 else FLOAT32
        return self._new(f"bitcast {self.typed} to {type_of(to)}", to)

    def cast(self, to: DType) -> Value:
        """The number in another dtype, as NumPy converts it."""
        own = self.dtype
        if own == to:
            return self
        if to.kind == "b":
            return self != 0
        if to.kind == "f":
            return self._to_float(to)
        return self._to_whole(to) if own.kind == "f" else self._resized(to)

    def _to_float(self, to: DType) -> Value:
        own = self.dtype
        if own.kind == "f":
            return self._new(
                f"{'fpext' if to.itemsize > own.itemsize else 'fptrunc'} {self.typed} to {type_of(to)}", to
            )
        return self._new(f"{'sitofp' if own.kind == 'i' else 'uitofp'} {self.typed} to {type_of(to)}", to)

    def _resized(self, to: DType) -> Value:
        own = self.dtype
        bits, wanted = (1 if own.kind == "b" else 8 * own.itemsize), 8 * to.itemsize
        if bits == wanted:
            return Value(self.code, to, self.text)
        how = "trunc" if bits > wanted else "sext" if own.kind == "i" else "zext"
        return self._new(f"{how} {self.typed} to {type_of(to)}", to)

    def _to_whole(self, to: DType) -> Value:
        """Towards zero; what is out of range becomes the smallest integer of the type that C computes in."""
        if to == np.uint64:
            # Values from 2^63 on are beyond signed ones.
            far = self >= 2.0**63
            whole = far.select(self - 2.0**63, self)._to_whole(INT64)
            return Value(self.code, to, (whole ^ far._resized(INT64)._shifted(63)).text)
        wide = INT64 if to in (INT64, np.uint32) else INT32
        limit = 2.0 ** (8 * wide.itemsize - 1)
        inside = (self >= -limit) & (self < limit)
        if wide == INT32 and self.dtype == FLOAT64:
            inside = (self > -limit - 1) & (self < limit)
        found = self._new(f"fptosi {self.typed} to {type_of(wide)}", wide)
        return inside.select(found, int(-limit))._resized(to)

    def _shifted(self, bits: int) -> Value:
        return self << bits
