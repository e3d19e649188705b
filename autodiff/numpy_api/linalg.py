"""NumPy's linear algebra of Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..tensor import node_of, wrap
from .calling import Handler


def _solve(a: Any, b: Any) -> Any:
    return wrap(ops.solve(node_of(a), node_of(b)))


TABLE: dict[Any, Handler] = {
    np.linalg.solve: _solve,
}
