"""NumPy's products of Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..nodes import Node
from ..tensor import node_of, wrap
from .calling import Handler, dtype_named, of_two, put


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    return put(out, ops.dot(node_of(a), node_of(b)), "dot")


def _vdot(a: Any, b: Any, /) -> Any:
    x, y = (ops.reshape(node_of(v), (-1,)) for v in (a, b))
    return wrap(ops.dot(ops.conjugate(x) if x.aval.dtype.kind == "c" else x, y))


def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return put(out, ops.outer(node_of(a), node_of(b)), "outer")


def _einsum(*operands: Any, out: Any = None, optimize: Any = True, dtype: Any = None, order: str = "K",
            casting: str = "safe") -> Any:  # fmt: skip
    if operands and isinstance(operands[0], str):
        nodes = [operands[0], *[node_of(x) for x in operands[1:]]]
    else:
        pairs = len(operands) // 2 * 2
        nodes = [node_of(x) if i < pairs and i % 2 == 0 else x for i, x in enumerate(operands)]
    if dtype is not None:
        nodes = [ops.astype(x, dtype_named(dtype, "einsum")) if isinstance(x, Node) else x for x in nodes]
    return put(out, ops.einsum(*nodes, optimize=optimize), "einsum")


TABLE: dict[Any, Handler] = {
    np.dot: _dot,
    np.vdot: _vdot,
    np.inner: of_two(ops.inner),
    np.outer: _outer,
    np.tensordot: of_two(ops.tensordot),
    np.einsum: _einsum,
}
