"""``Tensor``: a handle to a node, with NumPy's operators and methods."""

from .settling import recording_nothing
from .tensor import Tensor, node_of, stand_in, wrap
from .unrecorded import no_grad

__all__ = ["Tensor", "no_grad", "node_of", "recording_nothing", "stand_in", "wrap"]
