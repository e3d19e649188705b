"""The form of a statement: what it does to one element of each operand, apart from where these are."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.primitives import PRIMITIVES, Primitive, Signature

from .accesses import Access

# What loops are generated for; complex numbers and extended precision are not among them.
DTYPES = {np.dtype(code) for code in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")}

# Primitives that combine elements, by name: forms know no more of them.
REDUCTIONS = {
    p.name: p.reduces for p in PRIMITIVES.values() if p.kind in ("reduction", "contraction") and p.reduces is not None
}

# The names of the expressions that copy their operand: as it is, or what index arrays pick of it.
COPY, GATHER = "copy", "gather"

# Of those that add to what index arrays pick, and that write there: one place after the other, in the order of the
# iteration space, since a place may come again.
ADD_AT, SET_AT = "add at", "set at"


def first_of(reduces: np.ufunc, dtype: np.dtype[Any]) -> Any:
    """What a reduction begins with: the number that leaves all others as they are."""
    if reduces.identity is not None:
        return dtype.type(reduces.identity)
    greatest = reduces is np.maximum
    if dtype.kind == "b":
        return np.bool_(not greatest)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return dtype.type(limits.min if greatest else limits.max)
    infinity = -math.inf if greatest else math.inf
    return dtype.type(complex(infinity, infinity) if dtype.kind == "c" else infinity)


class Form(NamedTuple):
    """What a statement does apart from where its storages are: equal forms can be one loop's body.

    Attributes
    ----------
    name : str
        The expression, or the reduction.
    shape : tuple of int
        The iteration space.
    reduced : tuple of int
        Its axes that are summed (multiplied, compared) over; empty for an elementwise statement.
    signature : Signature or None
        Of the expression; None for a copy.
    literals : tuple
        For each operand the text of its number, or None if it is in memory.
    strides : tuple of tuple of int
        Steps of the target, then of each operand in memory.
    dtypes : tuple of numpy.dtype
        Likewise.
    indexed : tuple of (int, int)
        Of a statement with index arrays, which are its last operands: for each of these the size and the step of the
        axis it picks from. The first operand is what is picked from; it is the target too where something is written
        there, which is the second operand.
    """

    name: str
    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    signature: Signature | None
    literals: tuple[str | None, ...]
    strides: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[Any], ...]
    indexed: tuple[tuple[int, int], ...] = ()

    @property
    def primitive(self) -> Primitive | None:
        """Whose expression it is; None for what copies and what gathers."""
        return PRIMITIVES.get(self.name)

    @property
    def writes_anywhere(self) -> bool:
        """Whether index arrays say where it writes."""
        return self.name in (ADD_AT, SET_AT)

    def is_anywhere(self, place: int) -> bool:
        """Whether an operand, or the target (-1), may be any element: an access is as if all indices were 0."""
        return bool(self.indexed) and (place == 0 or (place < 0 and self.writes_anywhere))

    @property
    def reduces(self) -> np.ufunc | None:
        """What a reduction combines elements with, or products of two; None for other statements."""
        return REDUCTIONS.get(self.name)


class Statement(NamedTuple):
    """A form, and where its target and the operands in memory begin."""

    form: Form
    target: Access
    operands: tuple[Access, ...]


class Storage(NamedTuple):
    """Contiguous memory of one dtype."""

    size: int
    dtype: np.dtype[Any]


def literal_text(value: Any) -> str:
    """A number as source."""
    if isinstance(value, (complex, np.complexfloating)):
        return repr(complex(value))
    if isinstance(value, (bool, np.bool_)):
        return repr(bool(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value)) if math.isfinite(value) else f"float('{float(value)}')"
    return repr(int(value))


def operand_dtypes(form: Form) -> list[np.dtype[Any]]:
    """The dtype of each operand, literal or not."""
    dtypes = iter(form.dtypes[1:])
    found = []
    for place, literal in enumerate(form.literals):
        if literal is None:
            found.append(next(dtypes))
        elif form.signature is not None:
            found.append(form.signature.inputs[place].dtype)
        else:
            found.append(form.dtypes[0])
    return found
