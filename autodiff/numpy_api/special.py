"""The ufuncs of ``scipy.special`` on Tensors. SciPy is never imported here: who has such a ufunc has imported it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..dispatch import UFUNCS

TABLE: dict[str, Callable[..., Any]] = {
    "erf": ops.erf,
}


def from_scipy(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """What records a ufunc of SciPy; None if it is another's, or not recorded."""
    module = sys.modules.get("scipy.special")
    if module is None:
        return None
    UFUNCS.update({getattr(module, name): function for name, function in TABLE.items()})
    return UFUNCS.get(ufunc)
