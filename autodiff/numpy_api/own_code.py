"""NumPy's own Python code, run on Tensors: that of ``numpy.polynomial``, whose functions ask no operand what to do.

A function is made again of NumPy's code with other global names: ``np`` makes Tensors, and the functions that it calls
are made again, too. So it computes what NumPy computes, in the same order, whatever release of NumPy is installed. When
a module is imported, its public functions are replaced by ones that call what was made again if a Tensor is among their
arguments. `uninstall` puts NumPy's own back.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .. import ops
from ..convert import numeric_dtype
from ..errors import TraceError
from ..importing import imported
from ..plan import on_host
from ..replacing import Replacements
from ..tensor import Tensor, wrap
from .creation import array, holds_tensors

PACKAGE = "numpy.polynomial"
UTILITIES = "polyutils"
BASES = ("polynomial", "chebyshev", "legendre", "hermite", "hermite_e", "laguerre")


def _filled(value: int, name: str) -> Callable[..., Any]:
    def create(shape: Any, dtype: Any = float) -> Any:
        return wrap(ops.full(ops.normalize_shape(shape, name), value, numeric_dtype(dtype, f"{name}: dtype")))

    return create


class _Numpy:
    """NumPy, whose arrays are Tensors."""

    ndarray = (np.ndarray, Tensor)
    array = asarray = asanyarray = staticmethod(array)
    zeros = staticmethod(_filled(0, "zeros"))
    empty = staticmethod(_filled(0, "empty"))
    ones = staticmethod(_filled(1, "ones"))

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


# --- functions made again --------------------------------------------------------------------------------------------


def _again(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    """A function of NumPy's code with other global names."""
    made = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _module(name: str) -> ModuleType:
    module: ModuleType = imported(f"{PACKAGE}.{name}")
    return module


def _own(value: Any) -> Any:
    """NumPy's code, of which a function that dispatches is made."""
    return _own(value.__wrapped__) if hasattr(value, "__wrapped__") else value


def _functions(module: ModuleType, of: ModuleType) -> dict[str, FunctionType]:
    """What a module calls functions whose code is in a module: itself, or the utilities."""
    found = {name: _own(value) for name, value in vars(module).items() if callable(value)}
    return {name: f for name, f in found.items() if isinstance(f, FunctionType) and f.__globals__ is vars(of)}


def _import(name: str, names: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """What an import inside of a function made again gives: of the same package what is made again."""
    if level and name in BASES:
        return SimpleNamespace(**_names(name))
    return __import__(name, names, local, fromlist, level)


def _trimmed(seq: Any) -> Any:
    """Coefficients up to the last that is not zero; all of them where a trace does not know their values."""
    if not isinstance(seq, Tensor):
        return _own(_module(UTILITIES).trimseq)(seq)
    try:
        places = np.flatnonzero(on_host(seq._node))
    except TraceError:
        return seq
    count = int(places[-1]) + 1 if places.size else 1
    return seq if count >= len(seq) else seq[:count]


@functools.cache
def _names(name: str) -> dict[str, Any]:
    """The global names of a module, for Tensors."""
    module, utilities = _module(name), _module(UTILITIES)
    names = {**vars(module), "np": _Numpy(), "__builtins__": {**vars(builtins), "__import__": _import}}
    names.update({key: _again(function, names) for key, function in _functions(module, module).items()})
    if module is utilities:
        names["trimseq"] = _trimmed
    else:
        made = _names(UTILITIES)
        names.update({key: made[f.__name__] for key, f in _functions(module, utilities).items()})
        names["pu"] = SimpleNamespace(**made)
    return names


# --- in their place --------------------------------------------------------------------------------------------------


def _dispatching(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function of NumPy's, made again where Tensors are among its arguments."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if holds_tensors((*args, *kwargs.values())):
            return _names(name)[function.__name__](*args, **kwargs)
        return function(*args, **kwargs)

    return call


def _formatting(function: Callable[..., Any]) -> Callable[..., Any]:
    """How a coefficient is written: as its value."""

    @functools.wraps(function)
    def write(x: Any, *args: Any, **kwargs: Any) -> Any:
        return function(np.asarray(on_host(x._node))[()] if isinstance(x, Tensor) else x, *args, **kwargs)

    return write


def register(module: ModuleType) -> None:
    """Replace the public functions of a module, and those that its classes call."""
    name = module.__name__.rpartition(".")[2]
    calls: dict[Any, Any] = {}
    for of, place in {id(module): (module, name), id(_module(UTILITIES)): (_module(UTILITIES), UTILITIES)}.values():
        for key, function in _functions(module, of).items():
            original = vars(module)[key]
            call = _formatting(original) if key == "format_float" else _dispatching(original, place)
            calls[function] = call
            if not key.startswith("_"):
                REPLACEMENTS.replace(module, key, call)
    for kind in [value for value in vars(module).values() if isinstance(value, type)]:
        for key, value in [*vars(kind).items()]:
            if isinstance(value, staticmethod) and _own(value.__func__) in calls:
                REPLACEMENTS.replace(kind, key, staticmethod(calls[_own(value.__func__)]))


REPLACEMENTS = Replacements({f"{PACKAGE}.{name}": __name__ for name in (UTILITIES, *BASES)})
install = REPLACEMENTS.install
uninstall = REPLACEMENTS.uninstall
