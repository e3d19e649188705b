"""Questions about Tensors, whose answers have no derivative: taken of shapes, dtypes and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import backend_of
from ..nodes import Node, away_from_numpy
from ..tensor import Tensor, node_of
from .calling import Handler


def _on_values(function: Callable[..., Any]) -> Handler:
    """A NumPy function whose answer has no derivative, on the values."""

    def handler(*args: Any, **kwargs: Any) -> Any:
        name = f"np.{function.__name__}"
        plain = [_plain(x, name) for x in args]
        return function(*plain, **{k: _plain(v, name) for k, v in kwargs.items()})

    return handler


def _plain(x: Any, name: str) -> Any:
    if isinstance(x, Tensor):
        value = x.value
        owner = backend_of(value)
        if owner is not None:
            raise away_from_numpy(name, owner)
        return np.asarray(value)
    if isinstance(x, (list, tuple)):
        return type(x)([_plain(part, name) for part in x])
    return x


def _about(answer: Callable[[Node], Any]) -> Handler:
    return lambda a, *args: answer(node_of(a)) if not args else answer(node_of(a), *args)


def _size(x: Node, axis: Any = None) -> int:
    return x.aval.size if axis is None else x.aval.shape[axis]


def _result_type(*args: Any) -> Any:
    return np.result_type(*[x.dtype if isinstance(x, Tensor) else x for x in args])


def _named(names: Sequence[str], make: Callable[[str], Handler]) -> dict[Any, Handler]:
    return {getattr(np, name): make(name) for name in names if hasattr(np, name)}


# Functions whose answers have no derivative, taken of the values.
ANSWERS = (
    "allclose", "argsort", "argwhere", "array2string", "array_equal", "array_equiv", "array_repr", "array_str",
    "can_cast", "flatnonzero", "isclose", "may_share_memory", "save", "savez", "searchsorted", "shares_memory",
)  # fmt: skip


TABLE: dict[Any, Handler] = {
    np.shape: _about(lambda x: x.aval.shape),
    np.ndim: _about(lambda x: x.aval.ndim),
    np.size: _about(_size),
    np.iscomplexobj: _about(lambda x: x.aval.dtype.kind == "c"),
    np.isrealobj: _about(lambda x: x.aval.dtype.kind != "c"),
    np.result_type: _result_type,
    **_named(ANSWERS, lambda name: _on_values(getattr(np, name))),
}
