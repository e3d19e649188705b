"""NumPy's products of Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import ORDERS, word
from ..convert import describe
from ..errors import ArgumentError, DTypeError, ShapeError, UnsupportedError, shown
from ..nodes import Node
from ..tensor import node_of, wrap
from .calling import Handler, converted, of_two, put


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    return put(out, ops.dot(node_of(a), node_of(b)), "dot")


def _vdot(a: Any, b: Any, /) -> Any:
    x, y = (ops.reshape(node_of(v), (-1,)) for v in (a, b))
    return wrap(ops.dot(ops.conjugate(x) if x.aval.dtype.kind == "c" else x, y))


def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return put(out, ops.outer(node_of(a), node_of(b)), "outer")


def _check_optimize(optimize: Any) -> None:
    """What NumPy takes for a way to order products, which is not followed here."""
    if optimize is not None and not isinstance(optimize, bool):
        path = isinstance(optimize, (tuple, list)) and optimize
        word(optimize[0] if path else optimize, "einsum: optimize", ("greedy", "optimal", "einsum_path"))


def _einsum(*operands: Any, out: Any = None, optimize: Any = True, dtype: Any = None, order: str = "K",
            casting: str = "safe") -> Any:  # fmt: skip
    _check_optimize(optimize)
    word(order, "einsum: order", ORDERS)
    arguments = list(operands)
    # Operands, or operands and their sublists by turns, perhaps with a list of output labels at the end.
    places = range(1, len(arguments)) if isinstance(arguments[0], str) else range(0, len(arguments) // 2 * 2, 2)
    nodes = [node_of(arguments[i]) for i in places]
    if dtype is not None:
        nodes = converted(nodes, dtype, casting, "einsum")
    for i, node in zip(places, nodes, strict=True):
        arguments[i] = node
    return put(out, ops.einsum(*arguments, optimize=optimize), "einsum")


def _kron(a: Any, b: Any) -> Any:
    x, y = ops.strong(node_of(a)), ops.strong(node_of(b))
    ndim = max(x.aval.ndim, y.aval.ndim)
    rows, columns = [(1,) * (ndim - v.aval.ndim) + v.aval.shape for v in (x, y)]
    left = ops.reshape(x, [n for size in rows for n in (size, 1)])
    right = ops.reshape(y, [n for size in columns for n in (1, size)])
    return wrap(ops.reshape(left * right, [m * n for m, n in zip(rows, columns, strict=True)]))


def _cross(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = [ops.moveaxis(node_of(v), at, -1) for v, at in ((a, axisa), (b, axisb))]
    if x.aval.shape[-1] != 3 or y.aval.shape[-1] != 3:
        raise ShapeError(
            f"cross({x.aval!r}, {y.aval!r}): both need three components along their axis (NumPy deprecates two)"
        )

    def turned(v: Node, *order: int) -> Node:
        return ops.take(v, np.array(order), v.aval.ndim - 1)

    result: Node = turned(x, 1, 2, 0) * turned(y, 2, 0, 1) - turned(x, 2, 0, 1) * turned(y, 1, 2, 0)
    return wrap(ops.moveaxis(result, -1, axisc))


def _vector_norm(x: Node, order: Any, axes: tuple[int, ...], name: str) -> Node:
    """The norm along ``axes``, with the minimum-norm subgradient 0 at 0."""
    if order is None or order == 2:
        parts = (ops.real(x), ops.imag(x)) if x.aval.dtype.kind == "c" else (x,)
        squares = [ops.square(part) for part in parts]
        return ops.root_of_squares(ops.sum(squares[0] if len(squares) == 1 else squares[0] + squares[1], axes))
    if order == 0:
        return ops.sum(ops.astype(ops.not_equal(x, 0), ops.real(x).aval.dtype), axes)
    sizes = ops.absolute(x)
    if order in (np.inf, -np.inf):
        return _extreme(sizes, order, axes)
    if order == 1:
        return ops.sum(sizes, axes)
    if not isinstance(order, (int, float, np.integer, np.floating)):
        raise ArgumentError(f"{name}: ord={shown(order)} is no order of a vector norm")
    total = ops.sum(sizes**order, axes)
    zero = ops.equal(total, 0)
    # In extended precision a Python float would not do.
    root = np.reciprocal(np.asarray(order, dtype)) if (dtype := total.aval.dtype) == np.longdouble else 1 / order
    return ops.where(zero, 0 if order > 0 else np.inf, ops.where(zero, 1, total) ** root)


def _extreme(sizes: Node, order: float, axes: tuple[int, ...]) -> Node:
    """The greatest or the least; the greatest of none is 0, the least of none an error."""
    if order > 0 and any(sizes.aval.shape[a] == 0 for a in axes):
        return ops.full(ops.reduced_shape(sizes.aval.shape, axes), 0, sizes.aval.dtype)
    return (ops.amax if order > 0 else ops.amin)(sizes, axes=axes)


def _matrix_norm(x: Node, order: Any, axes: tuple[int, int]) -> Node:
    """The norms of a matrix that need no singular values."""
    if order in (None, "fro", "f"):
        return _vector_norm(x, 2, tuple(sorted(axes)), "norm")
    if order in (2, -2, "nuc"):
        raise UnsupportedError(f"norm: ord={shown(order)} of a matrix needs singular values, which are not recorded")
    if order not in (1, -1, np.inf, -np.inf):
        raise ArgumentError(f"norm: ord={shown(order)} is no order of a matrix norm")
    summed, kept = axes if order in (1, -1) else axes[::-1]
    sums = ops.sum(ops.absolute(x), (summed,))
    return _extreme(sums, order, (kept - (summed < kept),))


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    node = node_of(x)
    if not (ord is None or isinstance(ord, (int, float, np.integer, np.floating, str))):
        raise DTypeError(f"norm: ord={describe(ord)} must be a number, None, or for a matrix 'fro' or 'nuc'")
    node = ops.astype(node, ops.default_float(node))
    ndim = node.aval.ndim
    if axis is None and ord is None:
        places = tuple(range(ndim))
    else:
        wanted = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        places = tuple([ops.normalize_axis(a, ndim, "norm") for a in wanted])
        if len(places) not in (1, 2) or len(set(places)) != len(places):
            raise ArgumentError(
                f"norm({node.aval!r}, ord={shown(ord)}, axis={axis!r}): one or two different axes are needed"
            )
    if len(places) == 2 and (axis is not None or ord is not None):
        result = _matrix_norm(node, ord, (places[0], places[1]))
    else:
        result = _vector_norm(node, ord, places, "norm")
    return wrap(ops.keep_axes(result, node, places) if keepdims else result)


TABLE: dict[Any, Handler] = {
    np.dot: _dot,
    np.vdot: _vdot,
    np.inner: of_two(ops.inner),
    np.outer: _outer,
    np.tensordot: of_two(ops.tensordot),
    np.einsum: _einsum,
    np.kron: _kron,
    np.cross: _cross,
    np.linalg.norm: _norm,
}
