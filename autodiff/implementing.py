"""``implements``: functions of other packages made to take Tensors, by functions that somebody has written."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType
from typing import Any, TypeVar

import numpy as np

from .dispatch import FUNCTIONS, OVERRIDDEN, UFUNCS
from .errors import ArgumentError, shown
from .nodes import Node
from .replacing import Replacements
from .scipy_api.replacing import holds_tensor
from .tensor import wrap
from .tensor.tensor import node_of
from .tracebacks import boundary, calling

F = TypeVar("F", bound=Callable[..., Any])

# What is called for Tensors, by functions that ask no operand; and these, by the function that took their place.
_handlers: dict[Any, Callable[..., Any]] = {}
_replaced: dict[Any, Any] = {}
_replacements = Replacements({})

# What no attribute of a module may be replaced by a function of: other code looks at more of it than a call.
FUNCTIONS_OF_PYTHON = (FunctionType, BuiltinFunctionType)


@boundary
def implements(function: Callable[..., Any]) -> Callable[[F], F]:
    """Make a function of another package take Tensors, by a function written with functions that do.

    Parameters
    ----------
    function : callable
        A function of NumPy; a ufunc of NumPy, SciPy, Numba (``vectorize``) or ``numpy.frompyfunc``; or any function or
        method that a module of another package has under its name.

    Returns
    -------
    callable
        A decorator for the handler, which gets the arguments of the call as they are; for a ufunc the operands, as
        Tensors. It returns a Tensor, or a tuple of them where a ufunc has several results.

    Raises
    ------
    ArgumentError
        If ``function`` is none of these.

    Notes
    -----
    NumPy asks its operands what a function does with them, and so do ufuncs. Any other function is replaced, in the
    public modules of its package that have it, by one that looks for a Tensor among its arguments, also in lists and
    tuples, and calls the function itself if there is none. A name that was taken from a module before
    (``from scipy.signal import lfilter``) stays what it was. A handler takes the place of one of this library.

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
    >>> cube = np.frompyfunc(lambda x: x**3, 1, 1)
    >>> @ad.implements(cube)
    ... def of_tensors(x):
    ...     return x**3
    >>> ad.grad(cube)(2.0)
    12.0
    """
    function = getattr(function, "numpys", function)  # that of autodiff.numpy
    function = _replaced.get(function, function) if callable(function) and _hashable(function) else function
    if _is_ufunc(function):
        return functools.partial(_for_ufunc, function)
    if callable(function) and hasattr(function, "_implementation"):
        return functools.partial(_for_numpy, function)
    if not isinstance(function, FUNCTIONS_OF_PYTHON):
        raise ArgumentError(
            f"implements: {shown(function)} is no function of another package; ad.primitive makes an operation of "
            "whatever can be called with arrays"
        )
    owners = list(_owners(function))
    if not owners or (function.__module__ or "").partition(".")[0] in ("builtins", "numpy"):
        raise ArgumentError(
            f"implements: {shown(function)} asks no operand what to do, and no module of another package has it under "
            "its name; call your function directly"
        )
    return functools.partial(_for_others, function, owners)


def _hashable(function: Any) -> bool:
    return type(function).__hash__ is not None


def _is_ufunc(function: Any) -> bool:
    """Whether it is a ufunc, or one of Numba's, which are no instances of NumPy's class."""
    return isinstance(function, np.ufunc) or (
        hasattr(function, "ufunc") and hasattr(function, "nin") and hasattr(function, "nout")
    )


def _for_numpy(function: Any, handler: F) -> F:
    FUNCTIONS[function] = handler
    return handler


def _for_ufunc(ufunc: Any, handler: F) -> F:
    def of_nodes(*nodes: Node) -> Any:
        result = handler(*[wrap(node) for node in nodes])
        return tuple([node_of(part) for part in result]) if isinstance(result, tuple) else node_of(result)

    # Ufuncs of Numba are one for NumPy, and another inside, which may be the one that NumPy's protocol names.
    for one in dict.fromkeys((ufunc, getattr(ufunc, "ufunc", ufunc))):
        OVERRIDDEN[one] = of_nodes
        if one in UFUNCS:
            UFUNCS[one] = of_nodes
    return handler


def _for_others(function: Any, owners: list[tuple[Any, str]], handler: F) -> F:
    known = function in _handlers
    _handlers[function] = handler
    if not known:
        call = _dispatching(function)
        _replaced[call] = function
        for owner, name in owners:
            _replacements.replace(owner, name, call)
    return handler


def _dispatching(function: Any) -> Callable[..., Any]:
    """The function, or its handler where there is a Tensor."""

    @functools.wraps(function)
    @boundary
    @calling
    def call(*args: Any, **kwargs: Any) -> Any:
        if holds_tensor(args) or (kwargs and holds_tensor(kwargs.values())):
            return _handlers[function](*args, **kwargs)
        return function(*args, **kwargs)

    return call


def _owners(function: Any) -> Iterator[tuple[Any, str]]:
    """The public modules of its package that have a function, or the class; the module that defines it if none does."""
    home, path = function.__module__ or "", function.__qualname__.split(".")
    if "<locals>" in path:
        return
    if len(path) > 1:
        owner: Any = sys.modules.get(home)
        for name in path[:-1]:
            owner = getattr(owner, name, None)
        if owner is not None and vars(owner).get(path[-1]) is function:
            yield owner, path[-1]
        return
    name, package = path[0], home.partition(".")[0]
    found = [
        key
        for key, module in list(sys.modules.items())
        if (key == package or key.startswith(f"{package}.")) and getattr(module, "__dict__", {}).get(name) is function
    ]
    public = [key for key in found if key == "__main__" or not any(part.startswith("_") for part in key.split("."))]
    for key in public or found:
        yield sys.modules[key], name
