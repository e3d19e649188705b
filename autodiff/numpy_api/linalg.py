"""NumPy's linear algebra of Tensors."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arguments import integer, integers, items, word
from ..convert import describe
from ..core.avals import FLOAT64, intern_aval
from ..errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from ..nodes import Node
from ..tensor import node_of, wrap
from .calling import Handler, of_node, of_two, put
from .products import cross
from .selecting import diagonal, trace


@functools.lru_cache(16)
def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    """The named tuple that a function gives, which NumPy does not export."""
    return type(function(np.eye(1)))


def _svd(a: Any, full_matrices: Any = True, compute_uv: Any = True, hermitian: Any = False) -> Any:
    found = wrap(ops.svd(node_of(a), full_matrices, compute_uv, hermitian))
    return _named(np.linalg.svd)(*found) if compute_uv else found[0]


def _svdvals(x: Any, /) -> Any:
    return _svd(x, compute_uv=False)


def _slogdet(a: Any) -> Any:
    return _named(np.linalg.slogdet)(*wrap(ops.slogdet(node_of(a))))


def _cholesky(a: Any, /, *, upper: Any = False) -> Any:
    return wrap(ops.cholesky(node_of(a), upper))


def _is_upper(UPLO: Any, name: str) -> bool:
    return word(UPLO, f"{name}: UPLO", ("L", "U", "l", "u")) in "Uu"


def _eigh(a: Any, UPLO: Any = "L") -> Any:
    return _named(np.linalg.eigh)(*wrap(ops.eigh(node_of(a), _is_upper(UPLO, "eigh"))))


def _eigvalsh(a: Any, UPLO: Any = "L") -> Any:
    return wrap(ops.eigh(node_of(a), _is_upper(UPLO, "eigvalsh"), vectors=False)[0])


def _eig(a: Any) -> Any:
    return _named(np.linalg.eig)(*wrap(ops.eig(node_of(a))))


def _eigvals(a: Any) -> Any:
    return wrap(ops.eig(node_of(a), vectors=False)[0])


def _qr(a: Any, mode: Any = "reduced") -> Any:
    if isinstance(mode, str) and mode == "raw":
        raise UnsupportedError(
            "qr: mode='raw' gives reflections as LAPACK keeps them, which have no derivative here; mode='reduced' and "
            "mode='complete' give factors"
        )
    found = wrap(ops.qr(node_of(a), word(mode, "qr: mode", ("reduced", "complete", "r"))))
    return found[0] if mode == "r" else _named(np.linalg.qr)(*found)


# --- least squares ---------------------------------------------------------------------------------------------------


def _tolerance(rcond: Any, a: Node) -> Node:
    """A tolerance beside singular values, in their dtype; it has no derivative."""
    node = ops.strong(node_of(rcond))
    if node.aval.dtype.kind == "c":
        raise DTypeError(f"rcond={describe(rcond)} must be real")
    return ops.astype(ops.stop_gradient(node), ops.real_dtype(a.aval.dtype))


def _pinv(a: Any, rcond: Any = None, hermitian: Any = False, *, rtol: Any = np._NoValue) -> Any:
    node = node_of(a)
    ops.check_matrices("pinv", node)
    if 0 in node.aval.shape[-2:]:
        return wrap(ops.matrix_transpose(ops.identity(node)))
    node = ops.astype(node, ops.matrix_dtype("pinv", node))
    if rcond is not None and rtol is not np._NoValue:
        raise ArgumentError("pinv: rtol and rcond cannot both be given")
    if rcond is None:
        rcond = 1e-15 if rtol is np._NoValue else rtol
    if rcond is None:
        rcond = max(node.aval.shape[-2:]) * float(np.finfo(node.aval.dtype).eps)
    if hermitian:
        ops.check_square("pinv", node)
        node = ops.from_triangle(node)
    tolerance = _tolerance(rcond, node)
    batch = node.aval.shape[:-2]
    if tolerance.aval.ndim and ops.broadcast_shapes("pinv", (tolerance.aval, intern_aval(batch, FLOAT64))) != batch:
        raise ShapeError(f"pinv({node.aval!r}): rcond={describe(rcond)} must be one number, or one for each matrix")
    return wrap(ops.pinv_p(node, tolerance))


def _as_lapack(tolerance: Node) -> Node:
    """A tolerance as LAPACK takes it: what is no part of one means its own precision, and NaN means none."""
    no_part = ops.logical_or(ops.less_equal(tolerance, 0), ops.greater_equal(tolerance, 1))
    found = ops.where(no_part, 2.0**-53, ops.where(ops.equal(tolerance, tolerance), tolerance, 0.0))
    return ops.astype(found, tolerance.aval.dtype)


def _lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    x, y = node_of(a), node_of(b)
    if x.aval.ndim != 2 or y.aval.ndim not in (1, 2) or x.aval.shape[0] != y.aval.shape[0]:
        raise ShapeError(
            f"lstsq({x.aval!r}, {y.aval!r}): it takes a matrix, and a vector or a matrix with as many rows"
        )
    dtype = ops.matrix_dtype("lstsq", x, y)
    x, y = ops.astype(x, dtype), ops.astype(y, dtype)
    columns = ops.expand_dims(y, 1) if y.aval.ndim == 1 else y
    m, n = x.aval.shape
    # NumPy computes in double precision, and asks for that.
    tolerance = _tolerance(max(m, n) * float(np.finfo(np.float64).eps) if rcond is None else rcond, x)
    if tolerance.aval.ndim:
        raise ShapeError(f"lstsq: rcond={describe(rcond)} must be one number")
    if rcond is not None:
        tolerance = _as_lapack(tolerance)
    _, s, _ = ops.svd(x, full_matrices=False)
    large = ops.greater(s, tolerance * ops.amax(s, axes=(0,))) if min(m, n) else ops.not_equal(s, 0)
    rank = ops.astype(ops.sum(large, (0,)), np.dtype(np.int32))
    found = ops.lstsq_p(x, columns, tolerance)
    rest = ops.absolute(columns - ops.matmul(x, found))
    # NumPy gives none if the rank is not full; which shape a result has is no question of values here.
    squares = ops.where(ops.equal(rank, n), ops.sum(rest * rest, (0,)), np.nan)
    none = ops.full((0,), 0, ops.real_dtype(dtype))
    solution = ops.squeeze(found, (1,)) if y.aval.ndim == 1 else found
    return wrap((solution, squares if m > n else none, rank, s))


# --- products --------------------------------------------------------------------------------------------------------


def _matrix_power(a: Any, n: Any) -> Any:
    return wrap(ops.matrix_power(node_of(a), n))


def _multi_dot(arrays: Any, *, out: Any = None) -> Any:
    nodes = [node_of(x) for x in items(arrays, "multi_dot: arrays")]
    if len(nodes) < 2:
        raise ArgumentError(f"multi_dot: {len(nodes)} arrays are given, and at least two are needed")
    first, last = nodes[0].aval.ndim == 1, nodes[-1].aval.ndim == 1
    if first:
        nodes[0] = ops.expand_dims(nodes[0], 0)
    if last:
        nodes[-1] = ops.expand_dims(nodes[-1], 1)
    for x in nodes:
        if x.aval.ndim != 2:
            raise ShapeError(f"multi_dot({x.aval!r}): it takes matrices, and vectors as the first and the last one")
    for x, y in itertools.pairwise(nodes):
        if x.aval.shape[1] != y.aval.shape[0]:
            raise ShapeError(f"multi_dot({x.aval!r}, {y.aval!r}): the shapes do not fit")
    result = _product(nodes, _cuts([nodes[0].aval.shape[0], *[x.aval.shape[1] for x in nodes]]), 0, len(nodes))
    return put(out, ops.squeeze(result, (0,) * first + (1,) * last), "multi_dot")


def _cuts(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to cut products of the matrices from i to j in two, for the fewest multiplications."""
    count = len(sizes) - 1
    costs = {(i, i + 1): 0 for i in range(count)}
    cuts: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length

            def cost(k: int, i: int = i, j: int = j) -> int:
                return costs[i, k] + costs[k, j] + sizes[i] * sizes[k] * sizes[j]

            cuts[i, j] = min(range(i + 1, j), key=cost)
            costs[i, j] = cost(cuts[i, j])
    return cuts


def _product(nodes: Sequence[Node], cuts: dict[tuple[int, int], int], i: int, j: int) -> Node:
    if j == i + 1:
        return nodes[i]
    k = cuts[i, j]
    return ops.dot(_product(nodes, cuts, i, k), _product(nodes, cuts, k, j))


def _tensorinv(a: Any, ind: Any = 2) -> Any:
    node, ind = node_of(a), integer(ind, "tensorinv: ind")
    if ind <= 0:
        raise ArgumentError(f"tensorinv: ind={ind} must be at least 1")
    shape = node.aval.shape
    if not shape:
        raise ShapeError(f"tensorinv({node.aval!r}): a number has no axes; write 1 / a")
    rows, columns = shape[:ind], shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise ShapeError(f"tensorinv({node.aval!r}, ind={ind}): the first {ind} axes and the others differ in size")
    matrix = ops.reshape(node, (math.prod(rows), math.prod(columns)))
    return wrap(ops.reshape(ops.inv(matrix), (*columns, *rows)))


def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    x, y = node_of(a), node_of(b)
    ndim = x.aval.ndim
    if axes is not None:
        moved = [ops.normalize_axis(axis, ndim, "tensorsolve") for axis in integers(axes, "tensorsolve: axes")]
        x = ops.transpose(x, [axis for axis in range(ndim) if axis not in moved] + moved)
    shape = x.aval.shape[y.aval.ndim - ndim :] if y.aval.ndim != ndim else x.aval.shape
    size = math.prod(shape)
    if x.aval.size != size**2 or y.aval.size != size:
        raise ShapeError(
            f"tensorsolve({x.aval!r}, {y.aval!r}): the axes of the first array that the second one does not have, "
            f"{shape}, must have as many elements as those that it has"
        )
    return wrap(ops.reshape(ops.solve(ops.reshape(x, (size, size)), ops.reshape(y, (size,))), shape))


# --- NumPy's names of the array API standard -------------------------------------------------------------------------


def _cross(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    return cross(x1, x2, axis=axis)


def _outer(x1: Any, x2: Any, /) -> Any:
    x, y = node_of(x1), node_of(x2)
    if x.aval.ndim != 1 or y.aval.ndim != 1:
        raise ShapeError(f"outer({x.aval!r}, {y.aval!r}): both must have one axis")
    return wrap(ops.outer(x, y))


def _trace(x: Any, /, *, offset: Any = 0, dtype: Any = None) -> Any:
    return trace(x, offset, -2, -1, dtype)


def _diagonal(x: Any, /, *, offset: Any = 0) -> Any:
    return diagonal(x, offset, -2, -1)


def _tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return wrap(ops.tensordot(node_of(x1), node_of(x2), axes))


def _vecdot(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    x, y = (ops.moveaxis(node_of(v), axis, -1) for v in (x1, x2))
    return np.vecdot(wrap(x), wrap(y))


def _matmul(x1: Any, x2: Any, /) -> Any:
    return np.matmul(x1, x2)


# What looks at how operands were made: triangular matrices are solved as such.
LOOKING = (np.linalg.solve,)

TABLE: dict[Any, Handler] = {
    np.linalg.solve: of_two(ops.solve),
    np.linalg.inv: of_node(ops.inv),
    np.linalg.det: of_node(ops.det),
    np.linalg.slogdet: _slogdet,
    np.linalg.cholesky: _cholesky,
    np.linalg.svd: _svd,
    np.linalg.svdvals: _svdvals,
    np.linalg.eigh: _eigh,
    np.linalg.eigvalsh: _eigvalsh,
    np.linalg.eig: _eig,
    np.linalg.eigvals: _eigvals,
    np.linalg.qr: _qr,
    np.linalg.pinv: _pinv,
    np.linalg.lstsq: _lstsq,
    np.linalg.matrix_power: _matrix_power,
    np.linalg.multi_dot: _multi_dot,
    np.linalg.tensorinv: _tensorinv,
    np.linalg.tensorsolve: _tensorsolve,
    np.linalg.cross: _cross,
    np.linalg.outer: _outer,
    np.linalg.trace: _trace,
    np.linalg.diagonal: _diagonal,
    np.linalg.tensordot: _tensordot,
    np.linalg.matrix_transpose: of_node(ops.matrix_transpose),
    np.linalg.vecdot: _vecdot,
    np.linalg.matmul: _matmul,
}
