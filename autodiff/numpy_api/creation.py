"""NumPy's functions that create arrays: of Tensors where they are given some, and by ``like=``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import ORDERS, flag, word
from ..convert import numeric_dtype
from ..dispatch import FUNCTIONS
from ..errors import ShapeError, UnsupportedError
from ..nodes import Node
from ..places import block_here
from ..plan import on_host
from ..registry import OURS
from ..tensor import Tensor, node_of, wrap
from ..tracebacks import calling, hide
from ..watching import is_transforming
from .calling import Handler


def made(array: Any) -> Any:
    """A new array as a Tensor: a variable, or a constant if it has no derivatives."""
    return Tensor(array, dtype=array.dtype if array.dtype.kind in "biu" else None, copy=False)


def _like(function: Callable[..., Any]) -> Handler:
    """``function(..., like=t)``, which NumPy asks ``t`` for."""

    @functools.wraps(function)
    def handler(*args: Any, **kwargs: Any) -> Any:
        return made(np.asarray(function(*args, **kwargs)))

    return handler


def holds_tensors(value: Any) -> bool:
    """Whether a Tensor is in nested lists and tuples."""
    return isinstance(value, Tensor) or (isinstance(value, (list, tuple)) and any(map(holds_tensors, value)))


def joined(value: Any) -> Node:
    """Nested lists and tuples as one array, as ``np.array`` makes it of numbers."""
    if not isinstance(value, (list, tuple)) or not holds_tensors(value):
        return ops.strong(node_of(value))
    parts = [joined(part) for part in value]
    shapes = {part.aval.shape for part in parts}
    if len(shapes) > 1:
        raise ShapeError(
            f"array: the parts of a {type(value).__name__} have the shapes {', '.join(map(str, sorted(shapes)))}; an "
            "array needs parts of one shape"
        )
    return ops.stack(parts, 0)


def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: Any = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    device: Any = None,
) -> Any:
    """A new Tensor of what is given, which may hold Tensors; derivatives pass to these."""
    try:
        word(order, "array: order", ORDERS)
        flag(subok, "array: subok")
        node = joined(object)
        if dtype is not None:
            node = ops.astype(node, numeric_dtype(dtype, "array: dtype"))
        shape = (1,) * (ndmin - node.aval.ndim) + node.aval.shape
        node = ops.reshape(node, shape)
        if copy is not True and isinstance(object, Tensor) and node is object._node:
            return object
        return wrap(ops.identity(node))
    except Exception as error:
        hide(error)
        raise


def _as_array(a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: Any = None) -> Any:
    return array(a, dtype, copy=copy, order=order or "K")


def _contiguous(a: Any, dtype: Any = None) -> Any:
    return array(a, dtype, copy=None, ndmin=1)


TABLE: dict[Any, Handler] = {
    **{f: _like(f) for f in (np.zeros, np.ones, np.empty, np.eye, np.identity, np.arange, np.tri)},
    np.array: array,
    np.asarray: _as_array,
    np.asanyarray: _as_array,
    np.ascontiguousarray: _contiguous,
    np.asfortranarray: _contiguous,
}


# --- where derivatives are taken -------------------------------------------------------------------------------------


def _recorded() -> bool:
    """Whether what is created takes part in what is recorded: in a transformation, and in the block of a graph."""
    return is_transforming() or block_here() is not None


def _creating(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose result is a Tensor where derivatives are taken."""

    @functools.wraps(function)
    @calling
    def create(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
            is_numbers = isinstance(result, np.ndarray) and result.dtype.kind in "biufc"
            return made(result) if is_numbers and _recorded() else result
        except Exception as error:
            hide(error)
            raise

    create.__module__ = OURS
    return create


def _joining(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which takes Tensors, also in lists."""
    create = _creating(function)

    @functools.wraps(function)
    def join(object: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if holds_tensors(object):
                return FUNCTIONS[function](object, *args, **kwargs)
            return create(object, *args, **kwargs)
        except Exception as error:
            hide(error)
            raise

    join.__module__ = OURS
    return join


def _finite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """``asarray_chkfinite``: an error if the value has an infinity or a NaN; of a Tensor itself, too."""
    try:
        result = _OWN_ASARRAY(a, dtype, order)
        np.asarray_chkfinite(on_host(result._node) if isinstance(result, Tensor) else result)
        return result
    except Exception as error:
        hide(error)
        raise


def _required(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    """``require``: a Tensor has no memory that could be of the wrong kind."""
    try:
        if holds_tensors(a):
            return _OWN_ASARRAY(a, dtype)
        return np.require(a, dtype, requirements) if like is None else np.require(a, dtype, requirements, like=like)
    except Exception as error:
        hide(error)
        raise


class _Enumerated:
    """``ndenumerate``: the positions and elements of an array or a Tensor."""

    def __init__(self, arr: Any):
        self.iter = arr.flat if isinstance(arr, Tensor) else np.asarray(arr).flat

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> tuple[tuple[int, ...], Any]:
        position = self.iter.coords
        return position, next(self.iter)


class _Concatenator:
    """``np.r_`` or ``np.c_``, which takes Tensors."""

    def __init__(self, own: Any, axis: int):
        self._own = own
        self._axis = axis

    def __getitem__(self, key: Any) -> Any:
        try:
            parts = key if isinstance(key, tuple) else (key,)
            if not any(map(holds_tensors, parts)):
                return self._own[key]
            if any(isinstance(part, str) for part in parts):
                raise UnsupportedError("np.r_ and np.c_ with a text take no Tensors; use np.concatenate or np.stack")
            arrays = [node_of(self._own[x]) if isinstance(x, slice) else joined(x) for x in parts]
            arrays = [ops.reshape(x, (1,)) if not x.aval.ndim else x for x in arrays]
            if self._axis:
                arrays = [ops.reshape(x, (x.aval.size, 1)) if x.aval.ndim == 1 else x for x in arrays]
            return wrap(ops.concatenate(arrays, -self._axis))
        except Exception as error:
            hide(error)
            raise

    def __len__(self) -> int:
        return 0


_OWN_ASARRAY = _joining(np.asarray)
_NEW = """
zeros ones empty full eye identity arange linspace logspace geomspace tri zeros_like ones_like empty_like full_like copy
diag diagflat fromfunction fromiter frombuffer vander indices hamming hanning bartlett blackman kaiser
"""
_OF_OBJECTS = "array asarray asanyarray ascontiguousarray asfortranarray"

# What ``autodiff.numpy`` has of its own.
NAMESPACE: dict[str, Any] = {
    **{name: _creating(getattr(np, name)) for name in _NEW.split()},
    **{name: _joining(getattr(np, name)) for name in _OF_OBJECTS.split()},
    "asarray_chkfinite": _finite,
    "require": _creating(_required),
    "ndenumerate": _Enumerated,
    "r_": _Concatenator(np.r_, 0),
    "c_": _Concatenator(np.c_, 1),
}
