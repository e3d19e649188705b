"""``Tensor``: a handle to a node, with NumPy's operators and methods."""

from typing import TYPE_CHECKING

from .settling import recording_nothing
from .tensor import Tensor, node_of, stand_in, wrap
from .unrecorded import no_grad

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    # A Tensor as NumPy's annotations have it: they say that np.sin(t) is an array, and np.linalg.norm(t) a number.
    Recorded = Tensor | np.ndarray[Any, Any] | np.generic

__all__ = ["Tensor", "no_grad", "node_of", "recording_nothing", "stand_in", "wrap"]
