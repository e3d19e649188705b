"""Matrix products by a handle of cuBLAS of our own, which CUDA graphs may capture; CuPy's own refuses that.

A product is planned once, from the layouts of its operands, and started many times. All of it works with addresses:
nothing is allocated when a product is started, so a graph that has captured it can be replayed.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from autodiff.errors import BackendError
from autodiff.memo import Memo

# cuBLAS computes in memory that it is given: what its documentation recommends for Hopper and later, and before.
WORKSPACE_SINCE_HOPPER, WORKSPACE = 32 << 20, 4 << 20
HOPPER = 90
# Streams that have such memory; that of the one not used for longest is given up.
MAX_WORKSPACES = 8

# The letter of a dtype in the names of cuBLAS's functions, and the C type of a real number.
LETTERS = {
    np.dtype(np.float32): ("S", ctypes.c_float),
    np.dtype(np.float64): ("D", ctypes.c_double),
    np.dtype(np.complex64): ("C", ctypes.c_float),
    np.dtype(np.complex128): ("Z", ctypes.c_double),
}

LARGEST_INT = (1 << 31) - 1

# Layouts of operands that a product remembers.
LAYOUTS = 8

# A function of cuBLAS, and its arguments for the addresses of the operands and of the result.
Planned = tuple[str, Callable[[int, int, int], tuple[Any, ...]]]

_INT, _LONG, _POINTER = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
_GEMM = [_POINTER, _INT, _INT, _INT, _INT, _INT, _POINTER]
_GEMM += [_POINTER, _INT, _POINTER, _INT, _POINTER, _POINTER, _INT]
_BATCHED = [_POINTER, _INT, _INT, _INT, _INT, _INT, _POINTER]
_BATCHED += [_POINTER, _INT, _LONG, _POINTER, _INT, _LONG, _POINTER, _POINTER, _INT, _LONG, _INT]


class Matrices(NamedTuple):
    """How cuBLAS reads a stack of matrices.

    Parameters
    ----------
    transposed : int
        1 if columns lie one after another in memory, 0 if rows do.
    leading : int
        Elements from one row (or column) to the next.
    stride : int
        Elements from one matrix to the next; 0 where all are the same.
    """

    transposed: int
    leading: int
    stride: int


def matrices(
    shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, batch: tuple[int, ...]
) -> Matrices | None:
    """How a stack of matrices lies, broadcast to ``batch``; None if cuBLAS cannot read it there."""
    if any(stride % itemsize for stride in strides):
        return None
    rows, columns = shape[-2:]
    down, across = (stride // itemsize for stride in strides[-2:])
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        transposed, leading = 0, max(columns, down if rows > 1 else 1)
    elif (down == 1 or rows == 1) and (across >= rows or columns == 1):
        transposed, leading = 1, max(rows, across if columns > 1 else 1)
    else:
        return None
    stride = _one_stride(shape[:-2], [s // itemsize for s in strides[:-2]], batch)
    return None if stride is None or leading > LARGEST_INT else Matrices(transposed, leading, stride)


def _one_stride(shape: tuple[int, ...], strides: list[int], batch: tuple[int, ...]) -> int | None:
    """The distance between neighbours of a stack in C order, where it is the same for all."""
    missing = len(batch) - len(shape)
    every = [0] * missing + [0 if n == 1 else s for n, s in zip(shape, strides, strict=True)]
    found, span = None, 1
    for size, stride in zip(reversed(batch), reversed(every), strict=True):
        if size == 1:
            continue
        if found is None:
            found = stride
        elif stride != found * span:
            return None
        span *= size
    return found or 0


class Cublas:
    """cuBLAS on one device: a handle, and memory for each stream that it is used on.

    Parameters
    ----------
    library : object
        The functions of cuBLAS, by their names.
    allocate : callable
        New memory of so many bytes, with its address in ``ptr``.
    nbytes : int
        Of the memory for each stream.
    """

    def __init__(self, library: Any, allocate: Callable[[int], Any], nbytes: int):
        self._library, self._allocate, self._nbytes = library, allocate, nbytes
        self._workspaces: OrderedDict[Hashable, Any] = OrderedDict()
        self._functions: dict[str, Any] = {}
        self._handle = _POINTER()
        self._check(library.cublasCreate_v2(ctypes.byref(self._handle)), "cublasCreate")
        # What the handle is set to. It is of all threads, so it is set and used under one lock.
        self._set: tuple[int, Any] | None = None
        self._lock = threading.RLock()

    def workspace(self, stream: Hashable) -> Any:
        """The memory that products started on a stream compute in, one after another."""
        found = self._workspaces.get(stream)
        if found is None:
            found = self._workspaces.setdefault(stream, self._allocate(self._nbytes))
            if len(self._workspaces) > MAX_WORKSPACES:
                self._workspaces.popitem(last=False)
        return found

    def start(self, name: str, arguments: tuple[Any, ...], handle: int, workspace: Any) -> None:
        """Call a function of cuBLAS for the stream of this handle."""
        function = self._functions.get(name) or self._function(name)
        with self._lock:
            if self._set is None or self._set[0] != handle or self._set[1] is not workspace:
                self._set = None
                # A new stream makes cuBLAS forget the memory.
                self._check(self._library.cublasSetStream_v2(self._handle, _POINTER(handle)), "cublasSetStream")
                size = ctypes.c_size_t(self._nbytes)
                self._check(
                    self._library.cublasSetWorkspace_v2(self._handle, _POINTER(workspace.ptr), size),
                    "cublasSetWorkspace",
                )
                self._set = handle, workspace
            self._check(function(self._handle, *arguments), name)

    def _function(self, name: str) -> Any:
        function = getattr(self._library, name)
        function.argtypes = _BATCHED if "Batched" in name else _GEMM
        self._functions[name] = function
        return function

    def _check(self, status: int, name: str) -> None:
        if status:
            raise BackendError(f"backend 'cupy': cuBLAS's {name} failed with status {status}")


class Product:
    """The product of two stacks of matrices in one dtype that cuBLAS has.

    Parameters
    ----------
    shape : tuple of int
        Of the result.
    inner : int
        Columns of the first operand's matrices.
    dtype : numpy.dtype
        Of operands and result.
    """

    __slots__ = ("_batch", "_inner", "_itemsize", "_letter", "_one", "_plans", "_shape", "_zero")

    def __init__(self, shape: tuple[int, ...], inner: int, dtype: np.dtype[Any]):
        self._shape, self._inner, self._itemsize = shape, inner, dtype.itemsize
        self._batch = shape[:-2]
        self._letter, real = LETTERS[dtype]
        parts = 2 if dtype.kind == "c" else 1
        self._one, self._zero = (real * parts)(1), (real * parts)()
        # By the shapes and strides of the operands.
        self._plans: Memo[Any, tuple[Planned | None]] = Memo(LAYOUTS)

    def planned(self, x: Any, y: Any) -> Planned | None:
        """The function of cuBLAS and its arguments, of addresses; None for operands that it cannot read."""
        key = x.shape, x.strides, y.shape, y.strides
        found = self._plans.hot.get(key) or self._plans.get(key) or self._plans.put(key, (self._plan(x, y),))
        return found[0]

    def _plan(self, x: Any, y: Any) -> Planned | None:
        left = matrices(x.shape, x.strides, self._itemsize, self._batch)
        right = matrices(y.shape, y.strides, self._itemsize, self._batch)
        if left is None or right is None:
            return None
        rows, columns, inner, count = *self._shape[-2:], self._inner, prod(self._batch)
        # cuBLAS stores columns, for which our rows are the transposed matrix: z.T = y.T @ x.T.
        before = right.transposed, left.transposed, columns, rows, inner, self._one
        zero = self._zero
        if not right.stride and not left.transposed and left.stride == rows * left.leading:
            # One matrix on the right of many: all rows are those of a single product.
            rows, count = rows * count, 1
            before = right.transposed, left.transposed, columns, rows, inner, self._one
        if count == 1:
            name = f"cublas{self._letter}gemm_v2"
            lefts, rights = left.leading, right.leading
            return name, lambda a, b, c: (*before, b, rights, a, lefts, zero, c, columns)
        name = f"cublas{self._letter}gemmStridedBatched"
        size = rows * columns
        return name, lambda a, b, c: (
            *before, b, right.leading, right.stride, a, left.leading, left.stride, zero, c, columns, size, count
        )  # fmt: skip


def product_of(
    shape: tuple[int, ...], left: tuple[int, ...], right: tuple[int, ...], dtypes: set[np.dtype[Any]]
) -> Product | None:
    """A product that cuBLAS can do by this module; None for other dtypes or batches, and for what has no elements.

    Parameters
    ----------
    shape, left, right : tuple of int
        Of the result and of the operands.
    dtypes : set of numpy.dtype
        Of all three.
    """
    (dtype, *others) = dtypes
    if others or dtype not in LETTERS or not prod(shape) or not left[-1] or min(len(left), len(right)) < 2:
        return None
    # What CuPy computes in less precision, because it is told to, is left to it.
    if dtype.char in "fF" and os.environ.get("CUPY_TF32", "0") not in ("", "0"):
        return None
    if prod(shape[:-1]) > LARGEST_INT or max(*left, *right) > LARGEST_INT:
        return None
    contiguous = [matrices(x, _c_strides(x), 1, shape[:-2]) for x in (left, right)]
    return None if None in contiguous else Product(shape, left[-1], dtype)


def _c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of elements that lie one after another."""
    return tuple([prod(shape[axis + 1 :]) for axis in range(len(shape))])


def library_of(cuda_version: int) -> Any:
    """The functions of the cuBLAS that CuPy has loaded; None if it cannot be found.

    Parameters
    ----------
    cuda_version : int
        That CuPy was built for: 13020 is 13.2.
    """
    major = cuda_version // 1000
    name = f"cublas64_{major}.dll" if sys.platform == "win32" else f"libcublas.so.{major}"
    try:
        # It is loaded already, so that its name alone finds it.
        library = ctypes.CDLL(name)
    except OSError:
        return None
    wanted = ("cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2")
    return library if all(hasattr(library, function) for function in wanted) else None
