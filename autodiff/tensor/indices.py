"""What an index of a Tensor is made of, and whether it gives a view."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nodes import Reference

_BASIC = frozenset((int, slice, type(None), type(Ellipsis)))


def gives_view(item: Any, ndim: int) -> bool:
    """Whether an index that leaves so many axes gives a view.

    NumPy copies where an entry is an array, even one without axes; and what has no axes is a number, unless there is an
    ellipsis.
    """
    parts = item if type(item) is tuple else (item,)
    if not _BASIC.issuperset([int if isinstance(x, np.integer) else type(x) for x in parts]):
        return False
    return ndim > 0 or any(x is Ellipsis for x in parts)


def index_nodes(item: Any) -> Any:
    """An index with nodes in place of Tensors."""
    if type(item) is tuple:
        return tuple([x._node if isinstance(x, Reference) else x for x in item])
    return item._node if isinstance(item, Reference) else item
