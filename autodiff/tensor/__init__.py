"""``Tensor``: a handle to a node, with NumPy's operators and methods."""

from typing import TYPE_CHECKING

from .tensor import Tensor, node_of, wrap

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    # A Tensor as NumPy's annotations have it: they say that np.sin(t) is an array, and np.linalg.norm(t) a number.
    Recorded = Tensor | np.ndarray[Any, Any] | np.generic

__all__ = ["Tensor", "node_of", "wrap"]
