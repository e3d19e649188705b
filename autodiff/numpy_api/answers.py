"""Questions about Tensors, whose answers have no derivative: taken of shapes, dtypes and values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..containers import is_container, transform
from ..convert import away_from_numpy
from ..errors import ArgumentError, AutodiffError, DTypeError, IndexingError, OutOfMemoryError, TraceError
from ..plan import deciding
from ..registry import backend_of
from ..tensor import Tensor, node_of
from .calling import Handler, truth


def _on_values(function: Callable[..., Any]) -> Handler:
    """A NumPy function whose answer has no derivative, on the values."""

    def handler(*args: Any, **kwargs: Any) -> Any:
        name = f"np.{function.__name__}"
        return _asked(function, [_plain(x, name) for x in args], {k: _plain(v, name) for k, v in kwargs.items()})

    return handler


def _positions(function: Callable[..., Any]) -> Handler:
    """One that gives the positions of true elements: in a function that is traced their number decides shapes."""
    ask = _on_values(function)

    def handler(a: Any) -> Any:
        try:
            return ask(a)
        except TraceError:
            return function(deciding(truth(node_of(a))))

    return handler


def _asked(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    """What NumPy's function says; its errors as ours."""
    try:
        return function(*args, **kwargs)
    except AutodiffError:
        raise
    except (TypeError, ValueError, LookupError, OverflowError, AttributeError, MemoryError) as error:
        kinds: dict[type[Exception], type[AutodiffError]] = {
            IndexError: IndexingError,
            TypeError: DTypeError,
            AttributeError: DTypeError,
            MemoryError: OutOfMemoryError,
        }
        kind = next((ours for theirs, ours in kinds.items() if isinstance(error, theirs)), ArgumentError)
        raise kind(f"{function.__name__}: {error}") from None


def _plain(x: Any, name: str) -> Any:
    """An argument with the values of the Tensors in it."""
    if isinstance(x, Tensor):
        value = x.value
        owner = backend_of(value)
        if owner is not None:
            raise away_from_numpy(name, owner)
        return np.asarray(value)
    return transform(lambda leaf: _plain(leaf, name), x) if is_container(x) else x


def _size(a: Any, axis: Any = None) -> int:
    aval = node_of(a).aval
    axes = ops.normalize_axes(axis, aval.ndim, "size")
    return math.prod([aval.shape[i] for i in axes])


def _result_type(*arrays_and_dtypes: Any) -> Any:
    return _asked(np.result_type, [x.dtype if isinstance(x, Tensor) else x for x in arrays_and_dtypes], {})


def _typed(x: Any) -> Any:
    """An array of the dtype of a Tensor; of one without dimensions its value, which NumPy looks at."""
    if not isinstance(x, Tensor):
        return x
    return np.empty(0, x.dtype) if x.ndim else _plain(x, "np.min_scalar_type")


def _of_shapes(function: Callable[..., Any]) -> Handler:
    """A NumPy function that asks arrays for their shapes only."""

    def handler(*args: Any, **kwargs: Any) -> Any:
        return _asked(function, [_shaped(x) for x in args], {k: _shaped(v) for k, v in kwargs.items()})

    return handler


def _shaped(x: Any) -> Any:
    """An array of the shape of a Tensor, which takes no memory."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape) if isinstance(x, Tensor) else x


def _named(names: Sequence[str], make: Callable[[str], Handler]) -> dict[Any, Handler]:
    return {getattr(np, name): make(name) for name in names if hasattr(np, name)}


# Functions whose answers have no derivative, taken of the values.
ANSWERS = (
    "allclose", "argwhere", "array2string", "array_equal", "array_equiv", "array_repr", "array_str",
    "can_cast", "flatnonzero", "isclose", "may_share_memory", "packbits", "ravel_multi_index", "save", "savetxt",
    "savez", "savez_compressed", "shares_memory", "unpackbits", "unravel_index",
)  # fmt: skip


# Those taken of shapes.
OF_SHAPES = ("diag_indices_from", "einsum_path")


def _diagonal(k: Any) -> Any:
    """Which diagonal: the number that a Tensor is, as an integer where it is one (`ad.Tensor(1)` is 1.0)."""
    if not isinstance(k, Tensor):
        return k
    number = np.asarray(deciding(k._node)).item()
    return int(number) if isinstance(number, float) and number.is_integer() else number


TABLE: dict[Any, Handler] = {
    np.shape: lambda a: node_of(a).aval.shape,
    np.ndim: lambda a: node_of(a).aval.ndim,
    np.size: _size,
    np.iscomplexobj: lambda x: node_of(x).aval.dtype.kind == "c",
    np.isrealobj: lambda x: node_of(x).aval.dtype.kind != "c",
    np.result_type: _result_type,
    np.min_scalar_type: lambda a, /: _asked(np.min_scalar_type, [_typed(a)], {}),
    np.common_type: lambda *arrays: _asked(np.common_type, [_typed(a) for a in arrays], {}),
    np.tril_indices_from: lambda arr, k=0: _asked(np.tril_indices_from, [_shaped(arr), _diagonal(k)], {}),
    np.triu_indices_from: lambda arr, k=0: _asked(np.triu_indices_from, [_shaped(arr), _diagonal(k)], {}),
    **_named(OF_SHAPES, lambda name: _of_shapes(getattr(np, name))),
    **_named(ANSWERS, lambda name: _on_values(getattr(np, name))),
    np.argwhere: _positions(np.argwhere),
    np.flatnonzero: _positions(np.flatnonzero),
}
