"""NumPy's functions on Tensors. ``install`` fills the tables that ``Tensor`` dispatches with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..dispatch import FUNCTIONS, UFUNC_METHODS, UFUNCS
from ..errors import ArgumentError, shown
from . import own_code
from .functions import function_table
from .methods import METHODS
from .ufuncs import ufunc_table

F = TypeVar("F", bound=Callable[..., Any])


def install() -> None:
    """Fill the tables of ``Tensor``."""
    UFUNCS.update(ufunc_table())
    UFUNC_METHODS.update(METHODS)
    FUNCTIONS.update(function_table())
    own_code.install()


def implements(function: Callable[..., Any]) -> Callable[[F], F]:
    """Make a NumPy function take Tensors, by a function written with functions that do.

    Parameters
    ----------
    function : callable
        A NumPy function that dispatches through ``__array_function__``.

    Returns
    -------
    callable
        A decorator for the handler, which gets the arguments of the call as they are.

    Raises
    ------
    ArgumentError
        If ``function`` is a ufunc or no NumPy function.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> from numpy.lib import recfunctions
    >>> @ad.implements(recfunctions.apply_along_fields)
    ... def apply_along_fields(func, arr):
    ...     return func(arr, axis=-1)
    >>> ad.grad(lambda x: recfunctions.apply_along_fields(np.sum, x**2))(np.array([1.0, 3.0]))
    array([2., 6.])
    """
    function = getattr(function, "numpys", function)  # that of autodiff.numpy
    if isinstance(function, np.ufunc) or not callable(function) or not hasattr(function, "_implementation"):
        raise ArgumentError(
            f"implements: {shown(function)} is no NumPy function that dispatches to other classes; call yours directly"
        )

    def register(handler: F) -> F:
        FUNCTIONS[function] = handler
        return handler

    return register
