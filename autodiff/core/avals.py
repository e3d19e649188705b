"""Abstract values: what is known of an array before it is computed, and of an index."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import BackendError, ShapeError, shown
from ..memo import Interned

# Abstract values kept at most, beside those that somebody holds: shapes that depend
# on data would make them grow without end.
AVALS_KEPT = 1 << 14

# The first entry of the form of several outputs; the others are their abstract values.
OUTPUTS = "outputs"


class Aval:
    """Abstract value: what is known of an array before it is computed. Interned, compared by identity.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    weak : bool
        True for what came from a Python scalar, which does not decide the dtype of a result (NEP 50).
    literal : int, float, bool, complex or None
        A value that is part of the structure, such as the 2 of ``x ** 2``.
    differentiable : bool
        Whether a value of this kind can carry a derivative: floating or complex, and no index.
    spec : tuple or None
        The form of what is no array: of an index (see ``ops.indexing``), or of several outputs. None for arrays.
    parts : tuple of Aval
        The outputs of a primitive that has several, whose values are a tuple; empty for everything else.
    place : Backend or None (a type above this module)
        Where the array is, if somebody said so; None for what goes wherever it is needed, such as NumPy's constants.
    """

    __slots__ = (
        "__weakref__",
        "differentiable",
        "dtype",
        "literal",
        "ndim",
        "parts",
        "place",
        "shape",
        "size",
        "spec",
        "weak",
    )

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        weak: bool,
        literal: Any,
        spec: tuple[Any, ...] | None,
        place: Any,
    ):
        self.shape = shape
        self.dtype = dtype
        self.weak = weak
        self.literal = literal
        self.spec = spec
        self.place = place
        self.ndim = len(shape)
        self.size = math.prod(shape)
        self.parts: tuple[Aval, ...] = spec[1:] if spec and spec[0] == OUTPUTS else ()
        self.differentiable: bool = any(x.differentiable for x in self.parts) if self.parts else dtype.kind in "fc"

    def __repr__(self) -> str:
        if self.parts:
            return f"({', '.join(map(repr, self.parts))})"
        if self.spec is not None:
            return f"index{list(self.spec)}"
        if self.literal is not None:
            return shown(self.literal)
        where = "" if self.place is None else f" on {self.place.label}"
        return f"{self.dtype.name}{list(self.shape)}{where}" if not self.weak else f"weak {self.dtype.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return intern_aval, (self.shape, self.dtype, self.weak, self.literal, self.spec, self.place)

    def at(self, place: Any) -> Aval:
        """The same on another backend, or on none."""
        if self.place is place:
            return self
        if self.parts:
            return several([part.at(place) for part in self.parts], place)
        return intern_aval(self.shape, self.dtype, self.weak, self.literal, self.spec, place)


_avals: Interned[Any, Aval] = Interned(AVALS_KEPT)


_hot_avals = _avals.hot


# Of NumPy's arrays; the latter in bytes.
MOST_DIMENSIONS = 64


LARGEST_ARRAY = 2**63 - 1


def intern_aval(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    weak: bool = False,
    literal: Any = None,
    spec: tuple[Any, ...] | None = None,
    place: Any = None,
) -> Aval:
    """The one Aval with these fields."""
    if literal is not None:
        # The type and the repr tell 2 from 2.0 and True, and -0.0 from 0.0, which compare equal. (Integers have no
        # more than one form, and of more than 4,300 digits no repr.)
        kind = type(literal)
        key: Any = (shape, dtype, weak, kind, literal if kind is int else repr(literal), spec)
    elif spec is not None:
        key = spec
    else:
        key = (shape, dtype, weak)
    if place is not None:
        key = (place, key)
    found = _hot_avals.get(key) or _avals.get(key)
    if found is None:
        if len(shape) > MOST_DIMENSIONS:
            raise ShapeError(
                f"the result has {len(shape)} dimensions, and NumPy's arrays have at most {MOST_DIMENSIONS}; reshape "
                "to fewer before"
            )
        if math.prod(shape) * dtype.itemsize > LARGEST_ARRAY:
            raise ShapeError(f"an array of shape {shown(shape)} and dtype {dtype} is too big for NumPy to address")
        found = _avals.put(key, Aval(shape, dtype, weak, literal, spec, place))
    return found


def several(parts: Iterable[Aval], place: Any = None) -> Aval:
    """What is known of the outputs of a primitive that has several: at run time they are a tuple."""
    return intern_aval((), INDEX_DTYPE, spec=(OUTPUTS, *parts), place=place)


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that shapes broadcast to; ValueError if they do not. (NumPy does it for up to 32 axes.)"""
    ndim = max(map(len, shapes), default=0)
    sizes = [1] * ndim
    for shape in shapes:
        for axis, size in enumerate(shape, ndim - len(shape)):
            if size != 1 and size != sizes[axis]:
                if sizes[axis] != 1:
                    raise ValueError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
                sizes[axis] = size
    return tuple(sizes)


INDEX_DTYPE = np.dtype(object)


FLOAT64 = np.dtype(np.float64)


INT64 = np.dtype(np.int64)


BOOL = np.dtype(np.bool_)


WEAK_FLOAT = intern_aval((), FLOAT64, weak=True)


WEAK_INT = intern_aval((), INT64, weak=True)


WEAK_COMPLEX = intern_aval((), np.dtype(np.complex128), weak=True)


# What and where in the user's program, for the message of an error that only a plan's run can find.
LINE = intern_aval((), INDEX_DTYPE, spec=("line",))


def common_place(name: str, avals: Iterable[Aval]) -> Any:
    """The one backend that arguments are on; an error naming both if there are two."""
    found: Aval | None = None
    for aval in avals:
        if aval.place is not None:
            if found is not None and found.place is not aval.place:
                assert found.place is not None
                raise BackendError(
                    f"{name}: one argument, {found!r}, and another, {aval!r}, live on different backends; bring one to "
                    f"the other, for example with t.to({found.place.name!r})"
                )
            found = aval
    return None if found is None else found.place


def has_integers(spec: tuple[Any, ...]) -> bool:
    """Whether there are integers in an index of the form ``spec``."""
    return "i" in spec


def index_with_arrays(spec: tuple[Any, ...], index: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """An index of the form ``spec`` with its index arrays, which are operands of their own, in their places."""
    rest = iter(arrays)
    return tuple([next(rest) if entry == "a" else value for entry, value in zip(spec, index, strict=True)])
