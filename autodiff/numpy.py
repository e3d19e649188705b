"""NumPy, with creation functions that make Tensors where derivatives are taken.

``import autodiff.numpy as np`` in place of ``import numpy as np`` lets a program fill buffers: ``y = np.zeros(n)`` is a
Tensor in a function that a transformation runs and in the block of a graph (``with graph:``), so that what depends on
Tensors may be written into it. Elsewhere it is an array. Functions take lists of Tensors as NumPy's take lists of
numbers: ``np.mean([t, u])``. What takes no Tensors is NumPy's own object.

>>> import autodiff as ad
>>> import autodiff.numpy as np
>>> def powers(x):
...     y = np.zeros(3)
...     for i in range(3):
...         y[i] = x**i
...     return np.sum(y)
>>> ad.grad(powers)(3.0)
7.0
>>> np.zeros(2)
array([0., 0.])
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy  # noqa: ICN001  (the name np is for what this is imported as)

from .dispatch import MODULE
from .numpy_api.creation import NAMESPACE
from .numpy_api.lists import of_module
from .numpy_api.namespace import FUNCTIONS, MODULES
from .tracebacks import boundary

if TYPE_CHECKING:
    from numpy import *  # noqa: F403

__all__ = list(numpy.__all__)

globals().update(NAMESPACE | FUNCTIONS)

MODULE["numpy"] = sys.modules[__name__]


@boundary
def __getattr__(name: str) -> Any:
    found = globals()[name] = MODULES[name]() if name in MODULES else of_module(numpy, name)
    return found


def __dir__() -> list[str]:
    return dir(numpy)
