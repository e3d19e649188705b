"""NumPy's products of Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import ORDERS, word
from ..errors import ShapeError
from ..nodes import Node
from ..tensor import node_of, wrap
from .calling import Handler, converted, of_two, put


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    return put(out, ops.dot(node_of(a), node_of(b)), "dot")


def _vdot(a: Any, b: Any, /) -> Any:
    x, y = (ops.reshape(node_of(v), (-1,)) for v in (a, b))
    return wrap(ops.dot(ops.conjugate(x) if x.aval.dtype.kind == "c" else x, y))


def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return put(out, ops.outer(node_of(a), node_of(b)), "outer")


def _check_optimize(optimize: Any) -> None:
    """What NumPy takes for a way to order products, which is not followed here."""
    if optimize is not None and not isinstance(optimize, bool):
        path = isinstance(optimize, (tuple, list)) and optimize
        word(optimize[0] if path else optimize, "einsum: optimize", ("greedy", "optimal", "einsum_path"))


def _einsum(*operands: Any, out: Any = None, optimize: Any = True, dtype: Any = None, order: str = "K",
            casting: str = "safe") -> Any:  # fmt: skip
    _check_optimize(optimize)
    word(order, "einsum: order", ORDERS)
    arguments = list(operands)
    # Operands, or operands and their sublists by turns, perhaps with a list of output labels at the end.
    places = range(1, len(arguments)) if isinstance(arguments[0], str) else range(0, len(arguments) // 2 * 2, 2)
    nodes = [node_of(arguments[i]) for i in places]
    if dtype is not None:
        nodes = converted(nodes, dtype, casting, "einsum")
    for i, node in zip(places, nodes, strict=True):
        arguments[i] = node
    return put(out, ops.einsum(*arguments, optimize=optimize), "einsum")


def _kron(a: Any, b: Any) -> Any:
    x, y = ops.strong(node_of(a)), ops.strong(node_of(b))
    ndim = max(x.aval.ndim, y.aval.ndim)
    rows, columns = [(1,) * (ndim - v.aval.ndim) + v.aval.shape for v in (x, y)]
    left = ops.reshape(x, [n for size in rows for n in (size, 1)])
    right = ops.reshape(y, [n for size in columns for n in (1, size)])
    return wrap(ops.reshape(left * right, [m * n for m, n in zip(rows, columns, strict=True)]))


def cross(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Any:
    """NumPy's ``cross``."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = [ops.moveaxis(node_of(v), at, -1) for v, at in ((a, axisa), (b, axisb))]
    if x.aval.shape[-1] != 3 or y.aval.shape[-1] != 3:
        raise ShapeError(
            f"cross({x.aval!r}, {y.aval!r}): both need three components along their axis (NumPy deprecates two)"
        )

    def turned(v: Node, by: int) -> Node:
        # Slices: derivatives of what positions take are added at positions, which takes ten times as long.
        parts = [slice(by, None), slice(None, by)]
        before = (slice(None),) * (v.aval.ndim - 1)
        return ops.concatenate([ops.take_slices(v, *before, part) for part in parts], -1)

    result: Node = turned(x, 1) * turned(y, 2) - turned(x, 2) * turned(y, 1)
    return wrap(ops.moveaxis(result, -1, axisc))


TABLE: dict[Any, Handler] = {
    np.dot: _dot,
    np.vdot: _vdot,
    np.inner: of_two(ops.inner),
    np.outer: _outer,
    np.tensordot: of_two(ops.tensordot),
    np.einsum: _einsum,
    np.kron: _kron,
    np.cross: cross,
}
