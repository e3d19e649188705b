"""NumPy's ufuncs on Tensors: which primitive or composition each is, and their keywords and methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import ORDERS, word
from ..convert import as_node, literal
from ..core.avals import INT64, broadcast_shape
from ..core.primitives import PRIMITIVES
from ..dispatch import OVERRIDDEN, UFUNCS, unsupported
from ..errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from ..nodes import Node
from ..recipe import Composite
from ..tensor import Tensor, node_of
from .calling import converted, mask, put
from .special import from_scipy


def _fabs(x: Node) -> Node:
    if x.aval.dtype.kind == "c":
        raise DTypeError(f"fabs({x.aval!r}): NumPy has no fabs for complex arrays; use np.abs")
    return ops.absolute(ops.astype(x, ops.result_dtype(np.fabs, (x.aval,))[0]))


def _divmod(x: Node, y: Node) -> tuple[Node, Node]:
    return ops.floor_divide(x, y), ops.remainder(x, y)


def _check_cores(name: str, least: tuple[int, int], x: Node, y: Node) -> None:
    """Operands with as many dimensions as a product of vectors needs, which do not broadcast where it sums."""
    for node, ndim in zip((x, y), least, strict=True):
        if node.aval.ndim < ndim:
            raise ShapeError(
                f"{name}({x.aval!r}, {y.aval!r}): {node.aval!r} has too few dimensions, {ndim} or more are needed"
            )
    first, second = x.aval.shape[-1], y.aval.shape[-least[1]]
    if first != second:
        raise ShapeError(f"{name}({x.aval!r}, {y.aval!r}): the lengths {first} and {second} must be the same")


def _vecdot(x: Node, y: Node) -> Node:
    _check_cores("vecdot", (1, 1), x, y)
    dtype, _ = ops.result_dtype(np.vecdot, (x.aval, y.aval))
    if x.aval is y.aval and x.aval.ndim and x.aval.dtype.kind == "f":
        return ops.inner_product(x, y, axes=_last(x, y))
    products: Node = ops.conjugate(x) * y if x.aval.dtype.kind == "c" else x * y
    return ops.astype(ops.sum(products, _last(x, y)), dtype)


def _last(x: Node, y: Node) -> tuple[int, ...]:
    return (max(x.aval.ndim, y.aval.ndim) - 1,)


def _matvec(x: Node, y: Node) -> Node:
    _check_cores("matvec", (2, 1), x, y)
    return ops.squeeze(ops.matmul(x, ops.expand_dims(y, -1)), -1)


def _vecmat(x: Node, y: Node) -> Node:
    _check_cores("vecmat", (1, 2), x, y)
    row = ops.conjugate(x) if x.aval.dtype.kind == "c" else x
    return ops.squeeze(ops.matmul(ops.expand_dims(row, -2), y), -2)


def _positive(x: Node) -> Node:
    if x.aval.dtype.kind == "b":
        raise DTypeError(f"positive({x.aval!r}): NumPy has no positive for booleans")
    return ops.identity(x)


def _bitwise_count(x: Node) -> Node:
    """How many bits of the magnitude are set: those of pairs, of fours, of eights and so on are added."""
    if x.aval.dtype.kind not in "iub":
        raise DTypeError(f"bitwise_count({x.aval!r}): NumPy counts the bits of integers only")
    x = ops.strong(x)
    # The least integer of a dtype has a magnitude in a wider one only.
    x = ops.astype(ops.absolute(ops.astype(x, INT64)) if x.aval.dtype.kind == "i" else x, np.uint64)

    def those(places: int) -> Node:
        return literal(places, np.dtype(np.uint64))

    x = x - ops.bitwise_and(ops.right_shift(x, those(1)), those(0x5555555555555555))
    x = ops.bitwise_and(x, those(0x3333333333333333)) + ops.bitwise_and(
        ops.right_shift(x, those(2)), those(0x3333333333333333)
    )
    x = ops.bitwise_and(x + ops.right_shift(x, those(4)), those(0x0F0F0F0F0F0F0F0F))
    for width in (8, 16, 32):
        x = x + ops.right_shift(x, those(width))
    return ops.astype(ops.bitwise_and(x, those(127)), np.uint8)


INT32 = np.dtype(np.int32)


def _ldexp(x: Node, exponent: Node) -> Node:
    # A Python number would take the dtype of x, and NumPy has no such loop.
    if exponent.aval.weak and exponent.aval.dtype == INT64:
        exponent = ops.number_in(exponent, INT32, "ldexp")
    return ops.ldexp(x, exponent)


# ufuncs that are no primitive of the same name.
COMPOSED: dict[np.ufunc, Callable[..., Any]] = {
    np.matmul: ops.matmul,
    np.positive: _positive,
    np.fabs: _fabs,
    np.modf: ops.modf,
    np.frexp: ops.frexp,
    np.ldexp: _ldexp,
    np.divmod: _divmod,
    np.bitwise_count: _bitwise_count,
    np.deg2rad: ops.radians,
    np.rad2deg: ops.degrees,
    **{
        getattr(np, name): function
        for name, function in (("vecdot", _vecdot), ("matvec", _matvec), ("vecmat", _vecmat))
        if hasattr(np, name)
    },
}


def ufunc_table() -> dict[np.ufunc, Callable[..., Any]]:
    """All ufuncs that are recorded."""
    table: dict[np.ufunc, Callable[..., Any]] = {
        p.numpy_ufunc: p
        for p in PRIMITIVES.values()
        if p.module == "numpy" and p.numpy_ufunc is not None and p.name == p.numpy_ufunc.__name__
    }
    return {**table, **{ufunc: Composite(function) for ufunc, function in COMPOSED.items()}}


def call(ufunc: np.ufunc, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """``ufunc(*inputs, out=, where=, dtype=, casting=, order=, subok=)``."""
    name = ufunc.__name__
    function = OVERRIDDEN.get(ufunc) or UFUNCS.get(ufunc) or from_scipy(ufunc)
    if function is None:
        raise unsupported(ufunc)
    out = keywords.pop("out", None)
    where = keywords.pop("where", True)
    dtype = keywords.pop("dtype", None)
    casting = keywords.pop("casting", "same_kind")
    order = word(keywords.pop("order"), f"{name}: order", ORDERS) if "order" in keywords else "K"
    subok = keywords.pop("subok", True)
    if keywords or order == "F" or subok is not True:
        given = sorted(keywords) or (["order"] if order == "F" else ["subok"])
        raise UnsupportedError(f"{name}: the keyword {given[0]!r} is not supported for Tensors; leave it out")
    beside = next((x._node.aval for x in inputs if isinstance(x, Tensor)), None)
    nodes = [x._node if type(x) is Tensor else as_node(x, beside) for x in inputs]
    if dtype is not None:
        nodes = converted(nodes, dtype, casting, name)
    result = function(*nodes)
    if where is not True:
        result = _masked(result, mask(where, f"{name}: where"), out, name)
    return put(out, result if out is None else _repeated(result, out), name)


def _repeated(result: Any, out: Any) -> Any:
    """Results repeated along axes that only ``out`` has, as NumPy writes them."""
    outs = out if isinstance(out, tuple) else (out,)
    results = result if isinstance(result, tuple) else (result,)
    fitted = []
    for r, o in zip(results, outs, strict=True):
        larger = isinstance(o, Tensor) and r.aval.shape != o.shape and _broadcasts(r.aval.shape, o.shape)
        fitted.append(ops.broadcast_to(r, o.shape) if larger else r)
    return tuple(fitted) if isinstance(result, tuple) else fitted[0]


def _broadcasts(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    try:
        return broadcast_shape(shape, larger) == larger
    except ValueError:
        return False


def _masked(result: Any, where: Node, out: Any, name: str) -> Any:
    """Results where a mask is true, elsewhere what ``out`` held."""
    if out is None or (isinstance(out, tuple) and any(o is None for o in out)):
        raise ArgumentError(
            f"{name}: where= without out= leaves the other elements undefined in NumPy; give out= (a Tensor), or use "
            "np.where(mask, f(x), other)"
        )
    outs = out if isinstance(out, tuple) else (out,)
    results = result if isinstance(result, tuple) else (result,)
    masked = tuple(
        [ops.where(where, ops.astype(r, node_of(o).aval.dtype), node_of(o)) for r, o in zip(results, outs, strict=True)]
    )
    return masked if isinstance(result, tuple) else masked[0]
