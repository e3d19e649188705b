"""NumPy's functions that choose between several arrays, or functions, for each element."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import items
from ..convert import as_array
from ..errors import ArgumentError, DTypeError, IndexingError
from ..nodes import Node
from ..plan import concrete, on_host
from ..tensor import Tensor, node_of, wrap
from .calling import Handler, put
from .selecting import positions_in


def _choose(a: Any, choices: Any, out: Any = None, mode: Any = "raise") -> Any:
    nodes = [ops.strong(node_of(x)) for x in items(choices, "choose: choices", "a sequence of arrays")]
    if not nodes:
        raise ArgumentError("choose: there is nothing to choose from; give one array at least")
    dtype = ops.common_dtype(nodes)
    number = node_of(a)
    shape = ops.broadcast_shapes("choose", (number.aval, *[x.aval for x in nodes]))
    each = [ops.expand_dims(ops.broadcast_to(ops.astype(x, dtype), shape), (0,)) for x in nodes]
    stacked = ops.concatenate(each, 0)
    chosen = ops.broadcast_to(positions_in(stacked, 0, a, mode, "choose"), shape)
    _check_choices(chosen, len(nodes), mode)
    item: list[Any] = [chosen]
    for axis, n in enumerate(shape):
        item.append(np.arange(n).reshape([-1 if axis == i else 1 for i in range(len(shape))]))
    return put(out, ops.read_index(stacked, tuple(item), concrete), "choose")


def _check_choices(chosen: Node, count: int, mode: Any) -> None:
    """NumPy counts no choices from the end."""
    known = concrete(chosen) if mode == "raise" else None
    if known is not None and np.any((np.asarray(known) < 0) | (np.asarray(known) >= count)):
        raise ArgumentError(f"choose: choices are from 0 to {count - 1}; give mode='wrap' or 'clip' for others")


def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    node = ops.strong(node_of(x))
    functions = items(funclist, "piecewise: funclist")
    conditions = _conditions(condlist, node)
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.logical_or.reduce(conditions, axis=0) if conditions else np.ones(node.aval.shape, bool))
    if len(functions) != len(conditions):
        raise ArgumentError(
            f"piecewise: {len(functions)} functions for {len(conditions)} conditions; give one for each, and one for "
            "the rest if there is one"
        )
    result: Tensor = wrap(ops.zeros_like(node))
    values = wrap(node)
    for condition, function in zip(conditions, functions, strict=True):
        if condition.shape != node.aval.shape:
            raise IndexingError(f"piecewise: a condition of shape {condition.shape} for {node.aval!r}")
        if callable(function):
            chosen = values[condition]
            if not chosen.size:
                continue
            function = function(chosen, *args, **kw)
        part = node_of(function)
        if part.aval.dtype.kind == "c" and node.aval.dtype.kind != "c":
            raise DTypeError(f"piecewise({node.aval!r}): a function gives complex numbers; make the argument complex")
        result[condition] = wrap(ops.astype(part, node.aval.dtype))
    return result


def _conditions(condlist: Any, x: Node) -> list[Any]:
    """Conditions as arrays of truths: which elements a function is called with has to be known."""
    given = condlist
    if isinstance(given, Tensor):
        given = np.asarray(on_host(given._node))
    if not isinstance(given, (list, tuple, np.ndarray)) or (isinstance(given, np.ndarray) and not given.ndim):
        given = [given]
    each = [np.asarray(on_host(c._node)) if isinstance(c, Tensor) else c for c in given]
    if each and x.aval.ndim and not isinstance(each[0], (list, np.ndarray)):
        # One condition, which is not in a list of its own.
        each = [each]
    return [as_array(condition).astype(bool) for condition in each]


TABLE: dict[Any, Handler] = {
    np.choose: _choose,
    np.piecewise: _piecewise,
}
