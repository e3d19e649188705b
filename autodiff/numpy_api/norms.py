"""NumPy's norms of vectors and matrices, ranks and condition numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..convert import describe
from ..errors import ArgumentError, DTypeError, shown
from ..nodes import Node
from ..tensor import node_of, wrap
from .calling import Handler


def _vector_norm(x: Node, order: Any, axes: tuple[int, ...], name: str) -> Node:
    """The norm along ``axes``, with the minimum-norm subgradient 0 at 0."""
    if isinstance(order, np.ndarray) and order.ndim:
        raise ArgumentError(f"{name}: ord={describe(order)} is no order of a vector norm")
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
    if order in (None, "fro", "f"):
        return _vector_norm(x, 2, tuple(sorted(axes)), "norm")
    if order in (2, -2, "nuc"):
        (s,) = ops.svd(ops.moveaxis(x, axes, (-2, -1)), compute_uv=False)
        last = (s.aval.ndim - 1,)
        # They are in order. The greatest of none is 0.
        return ops.sum(s, last) if order == "nuc" or not s.aval.shape[-1] else _nth(s, 0 if order == 2 else -1)
    if order not in (1, -1, np.inf, -np.inf):
        raise ArgumentError(f"norm: ord={shown(order)} is no order of a matrix norm")
    summed, kept = axes if order in (1, -1) else axes[::-1]
    sums = ops.sum(ops.absolute(x), (summed,))
    return _extreme(sums, order, (kept - (summed < kept),))


def _nth(s: Node, i: int) -> Node:
    """One of the values in the last axis."""
    place = i % s.aval.shape[-1]
    last = s.aval.ndim - 1
    return ops.squeeze(ops.take_range(s, last, place, place + 1), last)


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


def _norm_of_vectors(x: Any, /, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Any:
    node = node_of(x)
    node = ops.astype(node, ops.default_float(node))
    axes = ops.normalize_axes(axis, node.aval.ndim, "vector_norm")
    result = _vector_norm(node, ord, axes, "vector_norm")
    return wrap(ops.keep_axes(result, node, axes) if keepdims else result)


def _norm_of_matrices(x: Any, /, *, keepdims: Any = False, ord: Any = "fro") -> Any:
    return _norm(x, ord, (-2, -1), keepdims)


def _cond(x: Any, p: Any = None) -> Any:
    node = node_of(x)
    if p is not None and not isinstance(p, (str, int, float, np.generic)):
        raise ArgumentError(f"cond: p={describe(p)} is no order of a norm")
    ops.check_matrices("cond", node)
    if 0 in node.aval.shape[-2:]:
        raise ArgumentError(f"cond({node.aval!r}): an empty matrix has no condition number")
    by_singular_values = p in (None, 2, -2)
    if not by_singular_values:
        ops.check_square("cond", node)
    node = ops.astype(node, ops.matrix_dtype("cond", node))
    if by_singular_values:
        (s,) = ops.svd(node, compute_uv=False)
        ends = _nth(s, 0), _nth(s, -1)
        least, greatest = ends if p == -2 else ends[::-1]
        result: Node = greatest / least
    else:
        # A singular matrix is no error here.
        singular = ops.equal(ops.slogdet(node)[1], -np.inf)
        inverse = ops.inv(ops.where(ops.expand_dims(singular, (-1, -2)), ops.identity_like(node), node))
        norms = [_matrix_norm(a, p, (a.aval.ndim - 2, a.aval.ndim - 1)) for a in (node, inverse)]
        result = ops.where(singular, np.inf, norms[0] * norms[1])
    axes = (node.aval.ndim - 2, node.aval.ndim - 1)
    unknown = ops.any_true(ops.isnan(node), axes=axes)
    return wrap(ops.where(ops.logical_and(ops.isnan(result), ops.logical_not(unknown)), np.inf, result))


def _matrix_rank(A: Any, tol: Any = None, hermitian: Any = False, *, rtol: Any = None) -> Any:
    node = node_of(A)
    if node.aval.ndim < 2:
        return wrap(
            ops.astype(ops.any_true(ops.not_equal(node, 0), axes=tuple(range(node.aval.ndim))), np.dtype(np.intp))
        )
    (s,) = ops.svd(node, compute_uv=False, hermitian=hermitian)
    last = (s.aval.ndim - 1,)
    if tol is None:
        rtol = max(node.aval.shape[-2:]) * np.finfo(s.aval.dtype).eps if rtol is None else rtol
        least: Node = ops.keep_axes(_extreme(s, np.inf, last), s, last) * _each(rtol)
    elif rtol is not None:
        raise ArgumentError("matrix_rank: tol and rtol cannot both be given")
    else:
        least = _each(tol)
    large: Node = ops.greater(s, least)
    return wrap(ops.sum(large, (large.aval.ndim - 1,)))


def _each(tolerance: Any) -> Node:
    """A tolerance, one number or one a matrix, beside singular values."""
    node = node_of(tolerance)
    return node if node.aval.weak else ops.expand_dims(node, -1)


TABLE: dict[Any, Handler] = {
    np.linalg.norm: _norm,
    np.linalg.vector_norm: _norm_of_vectors,
    np.linalg.matrix_norm: _norm_of_matrices,
    np.linalg.cond: _cond,
    np.linalg.matrix_rank: _matrix_rank,
}
