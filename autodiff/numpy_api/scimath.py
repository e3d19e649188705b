"""``np.emath``: functions that are complex where an element is outside of their real domain, as NumPy decides it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..nodes import Node
from ..plan import deciding
from ..tensor import node_of, wrap
from .calling import Handler


def _outside(x: Node, real_domain: Callable[[Node], Node]) -> bool:
    """Whether an element is outside of the domain. The dtype depends on that, so it is looked at; a NaN is not."""
    found = ops.logical_and(ops.logical_not(real_domain(x)), ops.equal(x, x))
    return bool(deciding(ops.any_true(found, axes=tuple(range(x.aval.ndim)))))


def _not_negative(x: Node) -> Node:
    return ops.less_equal(0, x)


def _up_to_one(x: Node) -> Node:
    return ops.less_equal(ops.absolute(x), 1)


def _complex_outside(x: Any, real_domain: Callable[[Node], Node]) -> Any:
    node = ops.strong(node_of(x))
    dtype = node.aval.dtype
    if dtype.kind in "bc" or not _outside(node, real_domain):
        return wrap(node)
    single = (dtype.kind in "iu" and dtype.itemsize <= 2) or dtype == np.float32
    return wrap(ops.astype(node, np.dtype(np.complex64 if single else np.complex128)))


def _unary(function: Callable[..., Any], real_domain: Callable[[Node], Node]) -> Handler:
    return lambda x: function(_complex_outside(x, real_domain))


def _power(x: Any, p: Any) -> Any:
    exponent = ops.strong(node_of(p))
    if exponent.aval.dtype.kind == "i" and _outside(exponent, _not_negative):
        exponent = ops.astype(exponent, np.dtype(np.float64))
    return np.power(_complex_outside(x, _not_negative), wrap(exponent))


def _logn(n: Any, x: Any) -> Any:
    return np.log(_complex_outside(x, _not_negative)) / np.log(_complex_outside(n, _not_negative))


TABLE: dict[Any, Handler] = {
    **{getattr(np.emath, f.__name__): _unary(f, _not_negative) for f in (np.sqrt, np.log, np.log2, np.log10)},
    **{getattr(np.emath, f.__name__): _unary(f, _up_to_one) for f in (np.arccos, np.arcsin, np.arctanh)},
    np.emath.power: _power,
    np.emath.logn: _logn,
}
