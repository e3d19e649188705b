"""NumPy's methods that are functions of the same name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dispatch import FUNCTIONS
from ..ops import normalize_axis
from .valued import Valued


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that is a NumPy function of the Tensor."""

    def method(self: Methods, *args: Any, **kwargs: Any) -> Any:
        handler = FUNCTIONS.get(function)
        return function(self, *args, **kwargs) if handler is None else handler(self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"See `numpy.{function.__name__}`."
    return method


def _spread(args: tuple[Any, ...]) -> Any:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    return args[0] if len(args) == 1 and not isinstance(args[0], (int, np.integer)) else args


class Methods(Valued):
    """What NumPy's arrays have as methods."""

    __slots__ = ()

    sum = _method(np.sum)
    prod = _method(np.prod)
    mean = _method(np.mean)
    var = _method(np.var)
    std = _method(np.std)
    max = _method(np.max)
    min = _method(np.min)
    all = _method(np.all)
    any = _method(np.any)
    argmax = _method(np.argmax)
    argmin = _method(np.argmin)
    cumsum = _method(np.cumsum)
    cumprod = _method(np.cumprod)
    clip = _method(np.clip)
    ravel = _method(np.ravel)
    squeeze = _method(np.squeeze)
    swapaxes = _method(np.swapaxes)
    diagonal = _method(np.diagonal)
    trace = _method(np.trace)
    repeat = _method(np.repeat)
    take = _method(np.take)
    round = _method(np.round)
    dot = _method(np.dot)
    nonzero = _method(np.nonzero)
    put = _method(np.put)
    argsort = _method(np.argsort)
    argpartition = _method(np.argpartition)
    searchsorted = _method(np.searchsorted)
    choose = _method(np.choose)

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        """See `numpy.ndarray.sort`."""
        place = normalize_axis(axis, self.ndim, "sort")
        self._rebind(FUNCTIONS[np.sort](self, place, kind, order, stable=stable)._node, "sort")

    def partition(self, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> None:
        """See `numpy.ndarray.partition`."""
        place = normalize_axis(axis, self.ndim, "partition")
        self._rebind(FUNCTIONS[np.partition](self, kth, place, kind, order)._node, "partition")

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        """See `numpy.ndarray.compress`."""
        return FUNCTIONS[np.compress](condition, self, axis, out)

    def flatten(self, order: str = "C") -> Any:
        """See `numpy.ndarray.flatten`."""
        return FUNCTIONS[np.ravel](FUNCTIONS[np.copy](self), order)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """See `numpy.ndarray.reshape`."""
        return FUNCTIONS[np.reshape](self, _spread(shape), order)

    def transpose(self, *axes: Any) -> Any:
        """See `numpy.ndarray.transpose`."""
        return FUNCTIONS[np.transpose](self, _spread(axes) if axes else None)
