"""Where CPython and NumPy keep what kernels read of arrays, and the functions of theirs that kernels call.

Kernels are builtins: they get objects, check that these are the arrays they are compiled for, and read the address of
the elements from the object. Both layouts are part of published interfaces (``PyArrayObject_fields``); they are checked
against arrays that are made for it before the first kernel is.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from autodiff.errors import BackendError
from autodiff.importing import imported

# C order, and each element where the processor wants it: ``NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED``.
REGULAR = 0x0001 | 0x0100

POINTER = ctypes.sizeof(ctypes.c_void_p)


class Layout(NamedTuple):
    """Byte offsets: of the class of an object, of the fields of an array, of the items of a tuple."""

    type: int = object.__basicsize__ - POINTER
    data: int = object.__basicsize__
    ndim: int = object.__basicsize__ + POINTER
    shape: int = object.__basicsize__ + 2 * POINTER
    dtype: int = object.__basicsize__ + 5 * POINTER
    flags: int = object.__basicsize__ + 6 * POINTER
    items: int = tuple.__basicsize__


LAYOUT = Layout()

# Functions of NumPy by their places in its table, which never change.
NUMPY_FUNCTIONS = {"PyArray_NewFromDescr": 94}


@cache
def holds() -> bool:
    """Whether arrays and tuples are laid out as kernels read them."""
    if POINTER != 8 or sys.implementation.name != "cpython":
        return False
    # The empty array has no axes that could be read.
    samples = [np.zeros(()), np.arange(6.0).reshape(2, 3), np.zeros((3, 4), np.int8)[:, ::2], np.zeros(0, bool)]
    return all(map(_is_as_read, samples)) and _items((1.5, None, "x")) == [id(x) for x in (1.5, None, "x")]


def _items(values: tuple[Any, ...]) -> list[int]:
    return [
        ctypes.c_void_p.from_address(id(values) + LAYOUT.items + i * POINTER).value or 0 for i in range(len(values))
    ]


def _is_as_read(array: Any) -> bool:
    at = id(array)

    def pointer(offset: int) -> int:
        return ctypes.c_void_p.from_address(at + offset).value or 0

    if pointer(LAYOUT.type) != id(np.ndarray) or pointer(LAYOUT.data) != array.ctypes.data:
        return False
    if ctypes.c_int.from_address(at + LAYOUT.ndim).value != array.ndim or pointer(LAYOUT.dtype) != id(array.dtype):
        return False
    flags = ctypes.c_int.from_address(at + LAYOUT.flags).value & REGULAR
    if (flags == REGULAR) != (array.flags.c_contiguous and array.flags.aligned):
        return False
    shape = [ctypes.c_ssize_t.from_address(pointer(LAYOUT.shape) + i * POINTER).value for i in range(array.ndim)]
    return shape == list(array.shape)


@cache
def _numpy_table() -> int:
    """The address of NumPy's functions."""
    try:
        # Private, and there in every NumPy 2.
        table = imported("numpy._core._multiarray_umath")._ARRAY_API

        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        return int(pointer(table, None))
    except (ImportError, AttributeError) as error:
        raise BackendError(
            f"backend 'llvm': this NumPy ({np.__version__}) does not say where its functions are"
        ) from error


@cache
def _c_library() -> Any:
    """The functions of C, most of which Python itself has loaded."""
    return ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)


@cache
def address_of(name: str) -> int:
    """Where something is that a kernel imports by name."""
    kind, _, what = name.partition(".")
    if kind == "dtype":
        return id(np.dtype(what))
    if kind == "type":
        return id({"ndarray": np.ndarray, "TypeError": TypeError}[what])
    if kind == "numpy":
        place = ctypes.c_void_p.from_address(_numpy_table() + NUMPY_FUNCTIONS[what] * POINTER)
        return place.value or 0
    library = ctypes.pythonapi if kind == "python" else _c_library()
    return ctypes.cast(getattr(library, what), ctypes.c_void_p).value or 0
