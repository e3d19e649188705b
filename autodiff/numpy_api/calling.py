"""What handlers share: arguments left out, dtypes by name, ``out=``, functions of nodes as handlers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..errors import DTypeError, UnsupportedError
from ..nodes import Node
from ..tensor import Tensor, node_of, wrap

Handler = Callable[..., Any]
NOT_GIVEN = object()


def truth(x: Node) -> Node:
    """Which elements are true, as booleans."""
    return x if x.aval.dtype.kind == "b" else ops.not_equal(x, 0)


def masked(where: Any) -> bool:
    """Whether a reduction is to leave elements out."""
    return where is not True and where is not np._NoValue


def dtype_named(dtype: Any, name: str) -> np.dtype[Any]:
    """A numeric dtype; an error naming the function if it is none."""
    try:
        wanted: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise DTypeError(f"{name}: dtype={dtype!r} is no dtype that NumPy knows: {error}") from None
    if wanted.kind not in "biufc":
        raise DTypeError(f"{name}: dtype={wanted} is not numeric")
    return wanted


def converted(nodes: Sequence[Node], dtype: Any, casting: Any, name: str) -> list[Node]:
    """Arguments in the dtype asked for, where the casting rule allows it."""
    wanted = dtype_named(dtype, name)
    for node in nodes:
        dtype = node.aval.dtype
        # Python numbers are of no size, but of a kind.
        fits = ops.holds(wanted, dtype) if node.aval.weak else np.can_cast(dtype, wanted, casting)
        if not fits and casting != "unsafe":
            raise DTypeError(
                f"{name}: {node.aval!r} does not convert to dtype={wanted} by casting={casting!r}; use .astype"
            )
    return [ops.astype(node, wanted) for node in nodes]


def put(out: Any, result: Any, what: str) -> Any:
    """A result, given to the Tensor in ``out`` if there is one."""
    if isinstance(out, tuple):
        if isinstance(result, tuple):
            return tuple([put(o, r, what) for o, r in zip(out, result, strict=True)])
        (out,) = out
    if out is None:
        return wrap(result)
    if not isinstance(out, Tensor):
        raise UnsupportedError(
            f"{what}: the result depends on a Tensor, and writing it into out= of type {type(out).__name__} would lose "
            "its derivative; give a Tensor as out=, or write x = x + t instead of x += t"
        )
    out._rebind(result, f"{what} with out=")
    return out


def of_node(function: Callable[..., Node]) -> Handler:
    """A function from nodes to a node, with NumPy's order of arguments."""

    def handler(a: Any, *args: Any, **kwargs: Any) -> Any:
        return wrap(function(node_of(a), *args, **kwargs))

    return handler


def of_two(function: Callable[..., Node]) -> Handler:
    """A function from two nodes to a node."""

    def handler(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        return wrap(function(node_of(a), node_of(b), *args, **kwargs))

    return handler
