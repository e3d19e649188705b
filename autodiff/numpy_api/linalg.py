"""NumPy's linear algebra of Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..tensor import node_of, wrap
from .calling import Handler


def _solve(a: Any, b: Any) -> Any:
    return wrap(ops.solve(node_of(a), node_of(b)))


@functools.lru_cache(16)
def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    """The named tuple that a function gives, which NumPy does not export."""
    return type(function(np.eye(1)))


def _svd(a: Any, full_matrices: Any = True, compute_uv: Any = True, hermitian: Any = False) -> Any:
    found = wrap(ops.svd(node_of(a), full_matrices, compute_uv, hermitian))
    return _named(np.linalg.svd)(*found) if compute_uv else found[0]


TABLE: dict[Any, Handler] = {
    np.linalg.solve: _solve,
    np.linalg.svd: _svd,
}
