"""NumPy's own Python code, run on Tensors: that of ``numpy.polynomial``, whose functions ask no operand what to do.

A function is made again of NumPy's code with other global names: ``np`` makes Tensors, and the functions that it calls
are made again, too. So it computes what NumPy computes, in the same order, whatever release of NumPy is installed.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from importlib import import_module
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .. import ops
from ..convert import numeric_dtype
from ..plan import on_host
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


def _again(function: Any, names: dict[str, Any]) -> FunctionType:
    """A function of NumPy's code with other global names."""
    function = getattr(function, "_implementation", function)
    made = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _functions(module: ModuleType) -> dict[str, Any]:
    """The functions whose code is in a module."""
    found = {name: getattr(value, "_implementation", value) for name, value in vars(module).items()}
    return {name: f for name, f in found.items() if isinstance(f, FunctionType) and f.__globals__ is vars(module)}


def _import(name: str, names: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """What an import inside of a function made again gives: of the same package what is made again."""
    if level and name in BASES:
        return SimpleNamespace(**_names(name))
    return __import__(name, names, local, fromlist, level)


def _module(name: str) -> ModuleType:
    return import_module(f"{PACKAGE}.{name}")


@functools.cache
def _names(name: str) -> dict[str, Any]:
    """The global names of a module, for Tensors."""
    module = _module(name)
    names = {**vars(module), "np": _Numpy(), "__builtins__": {**vars(builtins), "__import__": _import}}
    names.update({key: _again(function, names) for key, function in _functions(module).items()})
    if name != UTILITIES:
        names["pu"] = SimpleNamespace(**_names(UTILITIES))
        names.update({key: _names(UTILITIES)[f.__name__] for key, f in _borrowed(module).items()})
    return names


def _borrowed(module: ModuleType) -> dict[str, Any]:
    """Functions of the utilities that a module gives a name of its own."""
    return {key: f for key, f in vars(module).items() if getattr(f, "__globals__", None) is vars(_module(UTILITIES))}


def _dispatching(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function of NumPy's, made again where Tensors are among its arguments."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if holds_tensors((*args, *kwargs.values())):
            return _names(name)[function.__name__](*args, **kwargs)
        return function(*args, **kwargs)

    return call


def _class(of: type, name: str, names: dict[str, Any]) -> type:
    """A class of polynomials that may have Tensors for coefficients, derived from NumPy's."""
    body: dict[str, Any] = {"__module__": f"autodiff.{PACKAGE}", "__doc__": of.__doc__}
    for key, value in (*vars(of.__mro__[1]).items(), *vars(of).items()):
        if isinstance(value, staticmethod):
            function = value.__func__
            body[key] = staticmethod(_dispatching(function, name)) if function.__name__ in _names(name) else value
        elif isinstance(value, classmethod):
            body[key] = classmethod(_again(value.__func__, names))
        elif isinstance(value, FunctionType) and value.__globals__ is not vars(functools):
            body[key] = _again(value, names)
    return type(of)(of.__name__, (of,), body)


def _formatted(x: Any, parens: bool = False) -> Any:
    """A coefficient as NumPy writes it."""
    return _module(UTILITIES).format_float(np.asarray(on_host(x._node))[()] if isinstance(x, Tensor) else x, parens)


@functools.cache
def polynomial() -> ModuleType:
    """``numpy.polynomial``, whose functions and classes take Tensors."""
    package = ModuleType(f"autodiff.{PACKAGE}", np.polynomial.__doc__)
    vars(package).update({name: value for name, value in vars(np.polynomial).items() if not name.startswith("_")})
    utilities, base = _module(UTILITIES), _module("_polybase")
    calls = SimpleNamespace(**vars(utilities))
    vars(calls).update({key: _dispatching(f, UTILITIES) for key, f in _functions(utilities).items()})
    calls.format_float = _formatted
    names = {**vars(base), "pu": calls}
    for name in BASES:
        original = _module(name)
        module = ModuleType(f"autodiff.{PACKAGE}.{name}", original.__doc__)
        vars(module).update({key: value for key, value in vars(original).items() if not key.startswith("__")})
        vars(module).update({key: _dispatching(getattr(original, key), name) for key in _functions(original)})
        vars(module).update({key: _dispatching(f, UTILITIES) for key, f in _borrowed(original).items()})
        for key, value in vars(original).items():
            if isinstance(value, type) and issubclass(value, base.ABCPolyBase) and value is not base.ABCPolyBase:
                vars(module)[key] = _class(value, name, names)
                setattr(package, key, vars(module)[key])
        setattr(package, name, module)
    return package
