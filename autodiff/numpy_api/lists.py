"""NumPy's functions for lists of Tensors. NumPy asks no list what it holds; ``autodiff.numpy`` looks into it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ..dispatch import FUNCTIONS
from ..registry import OURS
from ..spelling import no_attribute
from ..tensor import wrap
from ..tracebacks import boundary, calling, hide
from .creation import holds_tensors, joined

# Functions that take several arrays in a list, and ask each.
_NAMES = """
apply_over_axes block broadcast_arrays choose column_stack common_type concat concatenate dstack einsum einsum_path
gradient histogram2d histogramdd hstack ix_ lexsort linalg.multi_dot meshgrid min_scalar_type piecewise
ravel_multi_index result_type row_stack select stack vstack
"""
OF_SEVERAL = frozenset(_NAMES.split())


def _given(value: Any) -> Any:
    """An argument; one Tensor for a list or tuple that holds some."""
    return wrap(joined(value)) if isinstance(value, (list, tuple)) and holds_tensors(value) else value


def taking_lists(function: Callable[..., Any], path: str) -> Callable[..., Any]:
    """A function that takes lists and tuples of Tensors, too, as NumPy's takes those of numbers.

    ``path`` is where ``autodiff.numpy`` has it. NumPy's own function is its attribute ``numpys``.
    """

    @functools.wraps(function, updated=())
    @calling
    def call(*args: Any, **kwargs: Any) -> Any:
        # Written out: a generator takes 0.5 us.
        try:
            for x in args:
                if type(x) is list or type(x) is tuple:
                    break
            else:
                if not kwargs:
                    return function(*args)
                for x in kwargs.values():
                    if type(x) is list or type(x) is tuple:
                        break
                else:
                    return function(*args, **kwargs)
            return function(*map(_given, args), **{name: _given(value) for name, value in kwargs.items()})
        except Exception as error:
            hide(error)
            raise

    call.__module__, call.__qualname__ = OURS, path
    call.numpys = function  # type: ignore[attr-defined]
    if isinstance(function, np.ufunc):
        for name in dir(np.ufunc):
            if name[0] != "_":
                value = getattr(function, name)
                setattr(call, name, taking_lists(value, f"{path}.{name}") if callable(value) else value)
    return call


def of_module(module: ModuleType, name: str) -> Any:
    """What a module of NumPy has under a name, as ``autodiff.numpy`` has it."""
    if not hasattr(module, name):
        raise no_attribute(module.__name__.replace("numpy", OURS, 1), name, dir(module))
    found = getattr(module, name)
    path = f"{module.__name__}.{name}".removeprefix("numpy.")
    takes_tensors = isinstance(found, np.ufunc) or (callable(found) and found in FUNCTIONS)
    return taking_lists(found, path) if takes_tensors and path not in OF_SEVERAL else found


def submodule(module: ModuleType) -> ModuleType:
    """A module of NumPy's in which functions take lists of Tensors, too."""
    made = ModuleType(module.__name__.replace("numpy", OURS, 1), module.__doc__)

    @boundary
    def find(name: str) -> Any:
        found = vars(made)[name] = of_module(module, name)
        return found

    vars(made).update(__getattr__=find, __dir__=lambda: dir(module), __all__=list(module.__all__))
    return made
