"""Calls of NumPy functions met before, recorded again without doing the work of their handlers.

A handler records the same for arguments of the same abstract values, types and static values, unless it looks at the
values of arrays. Running it on Tensors without values shows whether it does.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..containers import maker
from ..convert import NUMERIC_KINDS, as_node
from ..core.avals import intern_aval
from ..nodes import Constant, Node
from ..recipe import Recipes, Record, recipe
from ..tensor import Tensor, wrap
from .calling import Handler

# Arguments written out in a key at most: what is longer takes longer to compare than to do again.
LONGEST_KEY = 256


def memoised(handler: Handler) -> Handler:
    """The handler, whose work is done once for calls that record the same."""
    recipes = Recipes()

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        key: list[Any] = []
        given: list[Any] = []
        # As _describe does; the common kinds are here, since a call costs as much as the rest.
        for arg in args:
            if type(arg) is Tensor:
                node = arg._node
                given.append(node)
                key.append(node.aval)
            elif type(arg) is int or arg is None:
                key.append(arg)
            elif not _describe(arg, key, given):
                return handler(*args, **kwargs)
        if kwargs:
            for name, arg in kwargs.items():
                key.append(name)
                if type(arg) is int or arg is None:
                    key.append(arg)
                elif type(arg) is bool:
                    key += (bool, arg)
                elif not _describe(arg, key, given):
                    return handler(*args, **kwargs)
        whole = tuple(key)
        record = recipes.get(whole)
        if record is not None:
            return wrap(record(*given))
        result = handler(*args, **kwargs)
        recipes.met(whole, _recipe, handler, given, args, kwargs)
        return result

    return call


def _describe(arg: Any, key: list[Any], given: list[Any]) -> bool:
    """Write an argument into a key, and what is data in it into ``given``; False if that cannot be done."""
    # Arguments that are written alike record alike: data as abstract values, None and integers as they are, all else
    # after its type, since 1, 1.0 and True are equal.
    kind = type(arg)
    if kind is Tensor:
        given.append(arg._node)
        key.append(arg._node.aval)
    elif kind is int or arg is None:
        key.append(arg)
    elif kind is float or kind is complex:
        node = as_node(arg)
        given.append(node)
        key.append(node.aval)
    elif kind is np.ndarray:
        dtype = arg.dtype
        if dtype.kind not in NUMERIC_KINDS or not dtype.isnative:
            return False
        given.append(arg)
        key += (kind, intern_aval(arg.shape, dtype))
    elif kind is bool or kind is str or kind is type:
        key += (kind, arg)
    elif kind is tuple or kind is list:
        if len(arg) + len(key) > LONGEST_KEY:
            return False
        key += (kind, len(arg))
        for part in arg:
            if not _describe(part, key, given):
                return False
    elif isinstance(arg, np.dtype):
        key += (np.dtype, arg)
    elif arg is Ellipsis or arg is np._NoValue:
        key += (object, arg)
    else:
        return False
    return True


# What is data in arguments, as _describe finds it.
_DATA = (Tensor, float, complex, np.ndarray)


def _replaced(arg: Any, tensors: Iterator[Tensor]) -> Any:
    """An argument with these Tensors for the data in it."""
    kind = type(arg)
    if kind is tuple or kind is list:
        return maker(kind)([_replaced(part, tensors) for part in arg])
    return next(tensors) if kind in _DATA else arg


def _recipe(handler: Handler, given: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Record | None:
    """What the handler records for data like ``given``, as a function of it; None if that depends on values."""

    def record(*nodes: Node) -> Any:
        tensors = [wrap(node) for node in nodes]
        rest = iter(tensors)
        result = handler(*[_replaced(arg, rest) for arg in args], **{k: _replaced(v, rest) for k, v in kwargs.items()})
        if any(tensor._node is not node for tensor, node in zip(tensors, nodes, strict=True)):
            return None  # it was given as out=
        parts = result if isinstance(result, (tuple, list)) else (result,)
        if any(type(part) is not Tensor or part._slot or any(part is x for x in tensors) for part in parts):
            return None  # not a new Tensor
        return maker(type(result))([part._node for part in parts]) if parts is result else result._node

    avals = tuple([intern_aval(x.shape, x.dtype) if type(x) is np.ndarray else x.aval for x in given])
    found = recipe(record, avals)
    arrays = [i for i, x in enumerate(given) if type(x) is np.ndarray]
    if found is None or not arrays:
        return found

    def capturing(*given: Any) -> Any:
        nodes = list(given)
        for i in arrays:
            nodes[i] = Constant(avals[i], given[i].copy())
        return found(*nodes)

    return capturing
