"""How a function of SciPy is replaced by one that knows Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from types import ModuleType
from typing import Any

import numpy as np

from ..arguments import flag
from ..errors import AutodiffError, UnsupportedError
from ..numpy_api.calling import Handler, checked
from ..numpy_api.memo import memoised
from ..replacing import Replacements
from ..tensor import Tensor
from ..tracebacks import calling, hide

Table = dict[str, Handler]

# What SciPy's functions take under these names, whichever of them it is.
CHECKS: dict[str, Callable[[Any, str], Any]] = dict.fromkeys(
    ("keepdims", "return_sign", "lower", "permute_l", "p_indices", "unit_diagonal", "full_matrices", "eigvals_only"),
    flag,
)

# Modules of SciPy, and where their handlers are.
_PACKAGE = __name__.rpartition(".")[0]
REPLACEMENTS = Replacements({f"scipy.{name}": f"{_PACKAGE}.{name}" for name in ("fft", "linalg", "special", "stats")})

# What was made, by its module and its name: one thing, however often it is put in place.
_made: dict[tuple[str, str], Callable[..., Any]] = {}


def holds_tensor(arguments: Iterable[Any]) -> bool:
    """Whether a Tensor is among arguments, or in lists and tuples of these."""
    for x in arguments:
        kind = type(x)
        if isinstance(x, Tensor) or ((kind is tuple or kind is list) and holds_tensor(x)):
            return True
    return False


def _as_array(x: Any) -> Any:
    """A list of numbers as the array that SciPy makes of it."""
    return np.asarray(x) if type(x) is list and not holds_tensor(x) else x


def dispatching(module: str, function: Callable[..., Any], handler: Handler) -> Callable[..., Any]:
    """SciPy's function, which calls the handler for Tensors."""

    @functools.wraps(function)
    @calling
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            if not (holds_tensor(args) or (kwargs and holds_tensor(kwargs.values()))):
                return function(*args, **kwargs)
            return handler(*map(_as_array, args), **{name: _as_array(x) for name, x in kwargs.items()})
        except Exception as error:
            if isinstance(error, AutodiffError) and str(error).startswith(function.__name__):
                error.args = (f"{module}.{error}",)
            hide(error)
            raise

    # Pickles name a function by where it is found.
    call.__module__ = module
    return call


def unsupported(name: str, reason: str) -> UnsupportedError:
    """The error for a function, or a method, that has no handler."""
    return UnsupportedError(
        f"{name} is not recorded for Tensors: {reason}; np.asarray(t) gives the value, which no derivative passes "
        "through"
    )


def refusing(name: str, reason: str) -> Handler:
    """A handler that says why there is none."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise unsupported(name, reason)

    return refuse


def replace_functions(
    module: ModuleType, table: Table, unrecorded: dict[str, str], looking: Collection[str] = ()
) -> None:
    """Replace what has a handler in the public module, or a reason for none; SciPy's private modules keep their own.

    Handlers of functions in ``looking`` look at values, or at how operands were made.
    """
    for name in (*table, *unrecorded):
        function = getattr(module, name, None)
        # What the installed SciPy does not have is not there.
        if function is None:
            continue
        key = module.__name__, name
        call = _made.get(key)
        if call is None:
            if name in unrecorded:
                handler = refusing(name, unrecorded[name])
            else:
                handler = checked(function, table[name], CHECKS)
                handler = handler if name in looking else memoised(handler)
            call = _made[key] = dispatching(module.__name__, function, handler)
        REPLACEMENTS.replace(module, name, call)


def replace_method(owner: type, name: str, record: Callable[..., Any]) -> None:
    """Replace a method, of which ``record(object, args, kwargs)`` gives the result for Tensors."""
    key = f"{owner.__module__}.{owner.__qualname__}", name
    if key not in _made:
        _made[key] = _method(vars(owner)[name], record)
    REPLACEMENTS.replace(owner, name, _made[key])


def _method(function: Callable[..., Any], record: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    @calling
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if holds_tensor(args) or (kwargs and holds_tensor(kwargs.values())):
                return record(self, args, kwargs)
            return function(self, *args, **kwargs)
        except Exception as error:
            hide(error)
            raise

    return call
