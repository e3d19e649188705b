"""What handlers of SciPy's functions take from their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import DTypeError
from ..nodes import Node
from ..numpy_api.creation import joined

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
# What LAPACK has not, and what SciPy computes in instead.
CONVERTED = {np.dtype(np.float16): SINGLE, np.dtype(np.longdouble): DOUBLE, np.dtype(np.clongdouble): np.dtype("D")}


def inexact(*values: Any) -> list[Node]:
    """Arguments as arrays of one dtype that is no integer."""
    nodes = [joined(x) for x in values]
    dtype = np.result_type(*[x.aval.dtype for x in nodes])
    if dtype.kind in "biu":
        dtype = DOUBLE
    return [ops.astype(x, dtype) for x in nodes]


def double(x: Node) -> Node:
    """In double precision, which some of SciPy's functions compute in whatever they are given."""
    return ops.astype(x, np.dtype("D") if x.aval.dtype.kind == "c" else DOUBLE)


def real(x: Any, name: str) -> Node:
    """Real numbers in double precision."""
    node = joined(x)
    if node.aval.dtype.kind == "c":
        raise DTypeError(f"{name}: {node.aval!r} must be real; take t.real, or np.abs(t)")
    return double(node)


def matrix(a: Any, name: str, square: bool = False) -> Node:
    """Matrices in a dtype that LAPACK has."""
    node = joined(a)
    node = ops.astype(node, CONVERTED.get(node.aval.dtype, node.aval.dtype))
    (ops.check_square if square else ops.check_matrices)(name, node)
    return ops.astype(node, ops.matrix_dtype(name, node))
