"""What handlers of SciPy's functions take from their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..nodes import Node
from ..numpy_api.creation import joined

HALF, SINGLE, DOUBLE = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)


def inexact(*values: Any) -> list[Node]:
    """Arguments as arrays of one dtype that is no integer."""
    nodes = [joined(x) for x in values]
    dtype = np.result_type(*[x.aval.dtype for x in nodes])
    if dtype.kind in "biu":
        dtype = DOUBLE
    return [ops.astype(x, dtype) for x in nodes]


def double(x: Node) -> Node:
    """In double precision, which some of SciPy's functions compute in whatever they are given."""
    return ops.astype(x, np.result_type(x.aval.dtype, DOUBLE))


def matrix(a: Any, name: str, square: bool = False) -> Node:
    """Matrices in a dtype that LAPACK has."""
    node = joined(a)
    if node.aval.dtype == HALF:
        node = ops.astype(node, SINGLE)
    (ops.check_square if square else ops.check_matrices)(name, node)
    return ops.astype(node, ops.matrix_dtype(name, node))
