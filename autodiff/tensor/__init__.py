"""``Tensor``: a handle to a node, with NumPy's operators and methods."""

from .tensor import Tensor, node_of, wrap

__all__ = ["Tensor", "node_of", "wrap"]
