"""NumPy, with creation functions that make Tensors where derivatives are taken.

``import autodiff.numpy as np`` in place of ``import numpy as np`` lets a program fill buffers: ``y = np.zeros(n)`` is a
Tensor in a function that a transformation runs and in the block of a graph (``with graph:``), so that what depends on
Tensors may be written into it. Elsewhere it is an array. Lists of Tensors may be given to ``array``, ``r_`` and ``c_``.
Everything else is NumPy's own object.

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

from typing import TYPE_CHECKING, Any

import numpy  # noqa: ICN001  (the name np is for what this is imported as)

from .numpy_api.creation import NAMESPACE
from .numpy_api.namespace import FUNCTIONS, MODULES

if TYPE_CHECKING:
    from numpy import *  # noqa: F403

__all__ = list(numpy.__all__)

globals().update({name: getattr(numpy, name) for name in numpy.__all__ if name not in MODULES})
globals().update(NAMESPACE | FUNCTIONS)


def __getattr__(name: str) -> Any:
    return MODULES[name]() if name in MODULES else getattr(numpy, name)


def __dir__() -> list[str]:
    return dir(numpy)
