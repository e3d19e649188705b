"""NumPy's functions of polynomials that are given by their coefficients, that of the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import check_memory, flag, integer, word
from ..convert import describe
from ..core.avals import FLOAT64, INT64
from ..errors import ArgumentError, DTypeError, ShapeError, TraceError
from ..nodes import Node
from ..plan import on_host
from ..tensor import node_of, wrap
from .calling import Handler


def _coefficients(p: Any) -> Node:
    """Coefficients as an array of one dimension at least."""
    node = ops.strong(node_of(p.coeffs if isinstance(p, np.poly1d) else p))
    return node if node.aval.ndim else ops.reshape(node, (1,))


def _as_given(result: Node, *given: Any) -> Any:
    """A polynomial where one was given."""
    return np.poly1d(wrap(result)) if any(isinstance(p, np.poly1d) for p in given) else wrap(result)


def _vector(p: Any, name: str) -> Node:
    node = _coefficients(p)
    if node.aval.ndim != 1:
        raise ShapeError(f"{name}: the coefficients {node.aval!r} must be a vector")
    return node


def _seen(node: Node) -> Any:
    """Values that decide which shape a result has; None where a trace does not know them, and all is kept."""
    try:
        return np.asarray(on_host(node))
    except TraceError:
        return None


def _from_first(node: Node) -> Node:
    """Coefficients from the first on that is not zero; their values say which that is, as in NumPy."""
    values = _seen(node)
    if values is None:
        return node
    set_ = np.flatnonzero(values)
    if not set_.size:
        return ops.zeros_like(ops.take_slices(node, slice(0, 1))) if node.aval.size else ops.full((1,), 0, INT64)
    return ops.take_slices(node, slice(int(set_[0]), None)) if set_[0] else node


def _polyval(p: Any, x: Any) -> Any:
    coefficients = _several(p, "polyval")
    rows = [ops.take_slices(coefficients, slice(i, i + 1)) for i in range(coefficients.aval.shape[0])]
    rows = [ops.reshape(row, row.aval.shape[1:]) for row in rows]
    if isinstance(x, np.poly1d):
        composed = np.poly1d([0])
        for row in rows:
            composed = composed * x + wrap(row)
        return composed
    at = ops.strong(node_of(x))
    y = ops.zeros_like(at)
    for row in rows:
        y = y * at + row
    return wrap(y)


def _aligned(name: str, a1: Any, a2: Any) -> tuple[Node, Node]:
    nodes = [_vector(a, name) for a in (a1, a2)]
    size = max(node.aval.size for node in nodes)
    first, second = [
        ops.concatenate([ops.full((size - node.aval.size,), 0, node.aval.dtype), node], 0)
        if node.aval.size < size
        else node
        for node in nodes
    ]
    return first, second


def _polyadd(a1: Any, a2: Any) -> Any:
    first, second = _aligned("polyadd", a1, a2)
    return _as_given(first + second, a1, a2)


def _polysub(a1: Any, a2: Any) -> Any:
    first, second = _aligned("polysub", a1, a2)
    return _as_given(first - second, a1, a2)


def _polymul(a1: Any, a2: Any) -> Any:
    first, second = [_from_first(_vector(a, "polymul")) for a in (a1, a2)]
    product = wrap(first), wrap(second)
    return _as_given(node_of(np.convolve(*product)), a1, a2)


def _polydiv(u: Any, v: Any) -> Any:
    """Long division; what is left is shorter where its first values are about zero, as in NumPy."""
    given: list[Node] = [_vector(a, "polydiv") + 0.0 for a in (u, v)]
    rest, divisor = [ops.astype(x, ops.common_dtype(given)) for x in given]
    count = divisor.aval.size
    steps = max(rest.aval.size - count + 1, 0)
    scale = 1.0 / ops.take_slices(divisor, slice(0, 1))
    quotient = []
    for k in range(steps):
        factor = scale * ops.take_slices(rest, slice(k, k + 1))
        quotient.append(factor)
        reduced = ops.take_slices(rest, slice(k, k + count)) - factor * divisor
        parts = [ops.take_slices(rest, slice(0, k)), reduced, ops.take_slices(rest, slice(k + count, None))]
        rest = ops.concatenate([part for part in parts if part.aval.size], 0)
    q = ops.concatenate(quotient, 0) if quotient else ops.full((1,), 0, rest.aval.dtype)
    values = _seen(rest)
    # All before the last is about zero, or what has been divided in a trace.
    large = np.flatnonzero(~np.isclose(values, 0, rtol=1e-14)) if values is not None else np.array([steps])
    first = min(int(large[0]) if large.size else rest.aval.size, rest.aval.size - 1)
    rest = ops.take_slices(rest, slice(first, None)) if first else rest
    return _as_given(q, u, v), _as_given(rest, u, v)


def _several(p: Any, name: str) -> Node:
    """The coefficients of a polynomial, which a number has none of."""
    node: Node = _coefficients(p)
    if not (isinstance(p, np.poly1d) or np.ndim(p)):
        raise ShapeError(f"{name}: p={describe(p)} must be a vector of coefficients")
    return node


def _order(m: Any, name: str) -> int:
    return integer(int(m) if isinstance(m, (float, np.floating)) and m % 1 == 0 else m, f"{name}: m", low=0)


def _polyder(p: Any, m: Any = 1) -> Any:
    node: Node = _several(p, "polyder")
    # What is left of fewer derivatives than there are powers; then nothing is.
    for _ in range(min(_order(m, "polyder"), node.aval.size)):
        degree = node.aval.shape[0] - 1
        node = ops.take_slices(node, slice(0, -1)) * np.arange(degree, 0, -1)
    return _as_given(node, p)


def _polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    order = _order(m, "polyint")
    check_memory((order,), FLOAT64, "polyint")
    constants = ops.full((order,), 0, FLOAT64) if k is None else _coefficients(k)
    if constants.aval.shape == (1,) and order > 1:
        constants = ops.broadcast_to(constants, (order,))
    if constants.aval.shape[0] < order:
        raise ArgumentError(
            f"polyint: k has {constants.aval.shape[0]} constants of integration for {order}; give one, or one for each"
        )
    node = _several(p, "polyint")
    for i in range(order):
        powers = np.arange(node.aval.shape[0], 0, -1)
        node = ops.concatenate([node / powers, ops.take_slices(constants, slice(i, i + 1))], 0)
    return _as_given(node, p)


def _roots(p: Any) -> Any:
    """The eigenvalues of the companion matrix; which first and last coefficients are zero is seen in their values."""
    node = _vector(p, "roots")
    values = _seen(node)
    set_ = np.arange(node.aval.size) if values is None else np.flatnonzero(values)
    if not set_.size:
        return wrap(ops.full((0,), 0, FLOAT64))
    zeros = node.aval.size - 1 - int(set_[-1])
    node = ops.take_slices(node, slice(int(set_[0]), int(set_[-1]) + 1))
    node = node if node.aval.dtype.kind in "fc" else ops.astype(node, np.float64)
    degree = node.aval.size - 1
    if not degree:
        return wrap(ops.full((zeros,), 0, FLOAT64))
    row = -ops.take_slices(node, slice(1, None)) / ops.take_slices(node, slice(0, 1))
    below = np.eye(degree - 1, degree, dtype=node.aval.dtype)
    companion = ops.concatenate([ops.reshape(row, (1, degree)), below], 0)
    found = node_of(np.linalg.eigvals(wrap(companion)))
    return wrap(ops.concatenate([found, ops.full((zeros,), 0, found.aval.dtype)], 0) if zeros else found)


def _poly(seq_of_zeros: Any) -> Any:
    """The product of all x - zero; a real one if its values say that complex zeros come in pairs."""
    zeros = _coefficients(seq_of_zeros)
    shape = zeros.aval.shape
    if len(shape) == 2 and shape[0] == shape[1] != 0:
        zeros = node_of(np.linalg.eigvals(wrap(zeros)))
    elif len(shape) != 1:
        raise ShapeError(f"poly: {zeros.aval!r} must be zeros, in a vector, or a square matrix")
    else:
        zeros = ops.astype(zeros, np.mintypecode(zeros.aval.dtype.char))
    one = ops.full((1,), 1, zeros.aval.dtype)
    product = one
    for i in range(zeros.aval.size):
        product = ops.convolve(product, ops.concatenate([one, -ops.take_slices(zeros, slice(i, i + 1))], 0), "full")
    if not zeros.aval.size:
        return 1.0
    if zeros.aval.dtype.kind == "c":
        values = _seen(zeros)
        if values is not None and np.all(np.sort(values) == np.sort(values.conj())):
            product = ops.real(product)
    return wrap(product)


def powers(x: Node, count: int, increasing: bool) -> Node:
    """The powers of a vector along a new last axis, each the one before times the vector."""
    x = ops.astype(x, np.promote_types(x.aval.dtype, int))
    columns = [ops.full((x.aval.size, min(count, 1)), 1, x.aval.dtype)]
    if count > 1:
        columns.append(ops.cumprod(ops.broadcast_to(ops.expand_dims(x, 1), (x.aval.size, count - 1)), 1))
    matrix = ops.concatenate(columns, 1)
    return matrix if increasing else ops.flip(matrix, (1,))


def _vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    node = ops.strong(node_of(x))
    if node.aval.ndim != 1:
        raise ShapeError(f"vander({node.aval!r}): it takes a vector")
    count = node.aval.size if N is None else integer(N, "vander: N", low=0)
    return wrap(powers(node, count, flag(increasing, "vander: increasing")))


def _polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: bool | str = False
) -> Any:
    """Least squares; NumPy warns where the rank is not full, which is no question of values here."""
    at, values = [ops.strong(node_of(v)) + 0.0 for v in (x, y)]
    order = integer(deg, "polyfit: deg", low=0) + 1
    if at.aval.ndim != 1 or not at.aval.size:
        raise ShapeError(f"polyfit: x={at.aval!r} must be a vector that is not empty")
    if values.aval.ndim not in (1, 2) or values.aval.shape[0] != at.aval.size:
        raise ShapeError(f"polyfit: y={values.aval!r} must be a vector or a matrix of as many rows as x={at.aval!r}")
    rcond = at.aval.size * np.finfo(at.aval.dtype).eps if rcond is None else rcond
    matrix = powers(at, order, increasing=False)
    if w is not None:
        weights = ops.strong(node_of(w)) + 0.0
        if weights.aval.dtype.kind == "c":
            raise DTypeError(f"polyfit: w={weights.aval!r} must be real: weights are of distances (np.abs)")
        if weights.aval.shape != at.aval.shape:
            raise ShapeError(f"polyfit: w={weights.aval!r} must be of the shape of x={at.aval!r}")
        column = ops.expand_dims(weights, 1)
        matrix = matrix * column
        values = values * (column if values.aval.ndim == 2 else weights)
    scale = ops.sqrt(ops.sum(matrix * matrix, (0,)))
    matrix = matrix / scale
    found, *rest = [node_of(part) for part in np.linalg.lstsq(wrap(matrix), wrap(values), rcond)]
    found = found / (ops.expand_dims(scale, 1) if values.aval.ndim == 2 else scale)
    if flag(full, "polyfit: full"):
        return (wrap(found), *wrap(tuple(rest)), rcond)
    if isinstance(cov, str):
        word(cov, "polyfit: cov", ("unscaled",))
    elif not flag(cov, "polyfit: cov"):
        return wrap(found)
    covariance = node_of(np.linalg.inv(wrap(ops.matmul(ops.transpose(matrix), matrix)))) / ops.outer(scale, scale)
    if not isinstance(cov, str):
        if at.aval.size <= order:
            raise ArgumentError(
                f"polyfit: {at.aval.size} points are too few for cov=True and deg={order - 1}; more than deg + 1 are "
                "needed, or cov='unscaled'"
            )
        factor = rest[0] / (at.aval.size - order)
        covariance = covariance * factor if values.aval.ndim == 1 else ops.expand_dims(covariance, 2) * factor
    elif values.aval.ndim == 2:
        covariance = ops.expand_dims(covariance, 2) * 1
    return wrap(found), wrap(covariance)


TABLE: dict[Any, Handler] = {
    np.polyval: _polyval,
    np.polyadd: _polyadd,
    np.polysub: _polysub,
    np.polymul: _polymul,
    np.polydiv: _polydiv,
    np.polyder: _polyder,
    np.polyint: _polyint,
    np.roots: _roots,
    np.poly: _poly,
    np.vander: _vander,
    np.polyfit: _polyfit,
}
