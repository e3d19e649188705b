"""Anything as a node or as an array of NumPy."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from .backend import Backend
from .core.avals import BOOL, WEAK_COMPLEX, WEAK_FLOAT, WEAK_INT, Aval, intern_aval
from .errors import AutodiffError, BackendError, DTypeError, RangeError, ShapeError, shown
from .nodes import Constant, Node, Reference
from .registry import backend_of


def aval_on(place: Backend, array: Any) -> Aval:
    """What is known of an array of a backend; its shape as a plain tuple, since libraries have tuples of their own."""
    shape, dtype = place.aval_of(array)
    return intern_aval(tuple([int(n) for n in shape]), np.dtype(dtype), place=place)


# Python floats are data, so that a decaying learning rate does not change the structure; these few are
# worth simplifying. Small integers are structure; a counter that runs far would compile without end.
LITERAL_FLOATS = (0.0, 1.0, -1.0, 2.0, 0.5)
LITERAL_INTEGER_BOUND = 64


def literal(value: Any, dtype: np.dtype[Any] | None = None) -> Constant:
    """A constant whose value is part of the structure; weak unless a dtype is given."""
    if dtype is not None:
        return Constant(intern_aval((), dtype, False, value), value)
    kind = BOOL if type(value) is bool else np.dtype(type(value))
    return Constant(intern_aval((), kind, type(value) is not bool, value), value)


# Made once: recording x ** 2 makes one node, not two. Zeros are equal, and differ in sign.
_literal_integers = {v: literal(v) for v in range(-LITERAL_INTEGER_BOUND, LITERAL_INTEGER_BOUND + 1)}


_literal_floats = {v: literal(v) for v in LITERAL_FLOATS if v}


_literal_zeros = {sign: literal(sign * 0.0) for sign in (1.0, -1.0)}


def as_node(value: Any, beside: Aval | None = None) -> Node:
    """A node for anything an array function takes: copied, so that later changes to it do not matter.

    ``beside`` is what the value is an operand with: beside integers a Python int must fit their dtype, so it is
    part of the structure, where that is checked.
    """
    kind = type(value)
    if kind is float:
        if value:
            return _literal_floats.get(value) or Constant(WEAK_FLOAT, value)
        return _literal_zeros[math.copysign(1.0, value)]
    if kind is int:
        found = _literal_integers.get(value)
        if found is not None:
            return found
        if -(2**63) <= value < 2**63:
            return literal(value) if beside and beside.dtype.kind in "iu" else Constant(WEAK_INT, value)
        return _long(value, beside)
    if kind is np.ndarray:
        dtype = value.dtype
        if dtype.kind in NUMERIC_KINDS and dtype.isnative:
            return Constant(intern_aval(value.shape, dtype), value.copy())
    if isinstance(value, Node):
        return value
    if kind is bool:
        return literal(value)
    if kind is complex:
        return Constant(WEAK_COMPLEX, value)
    if isinstance(value, Reference):
        return value._node
    owner = backend_of(value)
    if owner is not None:
        return Constant(aval_on(owner, value), owner.asarray(value, copy=True))
    array = as_array(value)
    return Constant(intern_aval(array.shape, array.dtype), array)


def _long(value: int, beside: Aval | None) -> Constant:
    """A Python int beyond int64: a float beside floats; else of the structure, where it is checked against a dtype."""
    if beside is None or beside.dtype.kind not in "fc":
        return literal(value)
    try:
        return Constant(WEAK_FLOAT, float(value))
    except OverflowError:
        raise RangeError(
            f"int {shown(value)}, beside {beside!r}, is larger than any number that NumPy has; the largest is about "
            "1.8e308"
        ) from None


NUMERIC_KINDS = "biufc"
# What ``isbuiltin`` is of dtypes that packages have added, such as bfloat16 of ml_dtypes.
REGISTERED = 2


def numeric_dtype(dtype: Any, what: str) -> np.dtype[Any]:
    """A dtype of numbers or truths; ``what`` is the function and the argument that it was given as."""
    wanted: np.dtype[Any] | None = None
    reason = "give a name such as 'float64', or t.dtype"
    # NumPy would ask whatever has such an attribute for its dtype, a Tensor too.
    if isinstance(dtype, (np.dtype, type, str)) or not hasattr(dtype, "shape"):
        try:
            wanted = np.dtype(dtype)
        except (TypeError, ValueError) as error:
            reason = f"{str(error)[:100]}; {reason}"
    if wanted is None:
        given = repr(dtype) if isinstance(dtype, str) else describe(dtype)
        raise DTypeError(f"{what}={given[:80]} is no dtype that NumPy knows: {reason}")
    if wanted.isbuiltin == REGISTERED:
        raise DTypeError(
            f"{what}={wanted} is a dtype of another package, not of NumPy's own: derivatives are not recorded for it; "
            "give 'float32', or 'float16' for as few bytes"
        )
    if wanted.kind not in NUMERIC_KINDS:
        raise DTypeError(f"{what}={wanted} is not numeric: derivatives are recorded for numbers only; {reason}")
    return wanted


def is_masked(value: Any) -> bool:
    """Whether it is a masked array, which nothing is before somebody has imported them."""
    return isinstance(value, getattr(sys.modules.get("numpy.ma"), "MaskedArray", ()))


def as_array(value: Any, dtype: Any = None, copy: bool | None = True) -> np.ndarray[Any, Any]:
    """``value`` as a NumPy array of a numeric dtype in native byte order; an error that says what it is if not."""
    if not isinstance(value, np.ndarray):
        owner = backend_of(value)
        if owner is not None:
            raise away_from_numpy("this call", owner)
    wanted = dtype if dtype is None or isinstance(dtype, np.dtype) else numeric_dtype(dtype, "dtype")
    if is_masked(value):
        raise DTypeError(
            "cannot make an array from a masked array: its mask would be lost; fill it with .filled(value)"
        )
    if isinstance(value, np.matrix):
        raise DTypeError("a np.matrix multiplies as no array does: give np.asarray(m), and write @ for matrix products")
    try:
        array = np.array(value, dtype=None if isinstance(value, np.ndarray) else wanted, copy=copy, subok=False)
        if wanted is not None and array.dtype != wanted and array.dtype.kind in NUMERIC_KINDS:
            array = array.astype(wanted)
        if type(value) is not np.ndarray and wanted is not None and wanted.kind in "fc":
            _refuse_none(value, array)
    except AutodiffError:
        raise  # a Tensor among the values, which refuses
    except (ValueError, TypeError, OverflowError) as error:
        kind = (
            DTypeError if isinstance(error, TypeError) else ShapeError if "inhomogeneous" in str(error) else DTypeError
        )
        raise kind(
            f"cannot make a numeric array{'' if wanted is None else f' of dtype {wanted}'} from {describe(value)}: "
            f"{error}"
        ) from None
    if array.dtype.kind not in NUMERIC_KINDS:
        raise DTypeError(
            f"cannot make a numeric array from {describe(value)}: its dtype is {array.dtype}, and derivatives are "
            "recorded for boolean, integer, floating and complex arrays only; convert it, for example with "
            ".astype('float64')"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def is_complex(value: Any) -> bool:
    """Whether an array, or what would be made one, has imaginary parts."""
    owner = None if type(value) is np.ndarray else backend_of(value)
    dtype = as_array(value, copy=None).dtype if owner is None else owner.aval_of(value)[1]
    return bool(dtype.kind == "c")


def _refuse_none(value: Any, array: np.ndarray[Any, Any]) -> None:
    """An error where NumPy would make NaN of None."""
    if np.isnan(array).any() and np.array(value).dtype == object:
        raise DTypeError(f"cannot make a numeric array from {describe(value)}: None is no number; write np.nan")


def away_from_numpy(what: str, place: Backend) -> BackendError:
    """The error for an array of another library where NumPy's is needed."""
    return BackendError(
        f"{what} computes with NumPy's arrays, but an array of backend {place.label} was given, and none is brought to "
        "the host without being asked for: np.asarray(tensor) or tensor.to('numpy') does so, and "
        f"ad.Graph(backend={place.name!r}) computes where it is"
    )


def describe(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    owner = backend_of(value)
    if owner is not None:
        shape, dtype = owner.aval_of(value)
        return f"an array of backend {owner.label}, of shape {shape} and dtype {dtype}"
    node = getattr(value, "_node", None)
    if isinstance(node, Node):
        # Its value is nobody's business here: computing it may take long.
        return f"a Tensor {node.aval!r}"
    return f"{type(value).__name__} {shown(value)}"
