"""NumPy's functions on Tensors. ``install`` fills the tables that ``Tensor`` dispatches with."""

from __future__ import annotations

from ..dispatch import FUNCTIONS, UFUNC_METHODS, UFUNCS
from . import own_code
from .functions import function_table
from .methods import METHODS
from .ufuncs import ufunc_table


def install() -> None:
    """Fill the tables of ``Tensor``."""
    UFUNCS.update(ufunc_table())
    UFUNC_METHODS.update(METHODS)
    FUNCTIONS.update(function_table())
    own_code.install()
