"""NumPy's covariances and correlations of Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import flag, integer
from ..convert import as_node, describe, literal, numeric_dtype
from ..core.avals import FLOAT64
from ..errors import ArgumentError, DTypeError, ShapeError
from ..nodes import Node
from ..plan import concrete
from ..tensor import node_of, wrap
from .calling import Handler


def _variables(x: Node, rowvar: bool, dtype: np.dtype[Any], name: str) -> Node:
    """Observations of variables, one variable in each row."""
    if x.aval.ndim > 2:
        raise ShapeError(f"{name}({x.aval!r}): observations have one dimension or two")
    rows = x if x.aval.ndim == 2 else ops.reshape(x, (1, -1))
    return ops.astype(ops.matrix_transpose(rows) if not rowvar and x.aval.ndim == 2 else rows, dtype)


def _weights(given: Any, size: int, name: str, whole: bool) -> Node | None:
    """Weights of observations as doubles; what they may not be is an error where they are known."""
    if given is None:
        return None
    w = node_of(given)
    if w.aval.dtype.kind not in "biuf":
        raise DTypeError(f"cov: {name}={describe(given)} must be of real numbers")
    w = ops.astype(w, FLOAT64)
    if w.aval.shape != (size,):
        raise ShapeError(f"cov: {name} of shape {w.aval.shape} for {size} observations; give one for each")
    known = concrete(w)
    if known is not None and np.any(np.asarray(known) < 0):
        raise ArgumentError(f"cov: {name}={describe(given)} must not be negative")
    if known is not None and whole and np.any(known != np.around(known)):
        raise DTypeError(f"cov: {name}={describe(given)} must be whole numbers; aweights= takes any")
    return w


def _cov(m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None, fweights: Any = None,
         aweights: Any = None, *, dtype: Any = None) -> Any:  # fmt: skip
    result = _covariance(m, y, rowvar, bias, ddof, fweights, aweights, dtype, "cov")
    return wrap(ops.reshape(result, [n for n in result.aval.shape if n != 1]))


def _covariance(
    m: Any, y: Any, rowvar: Any, bias: Any, ddof: Any, fweights: Any, aweights: Any, dtype: Any, name: str
) -> Node:
    in_rows, biased = flag(rowvar, f"{name}: rowvar"), flag(bias, f"{name}: bias")
    if isinstance(ddof, (float, np.floating)) and float(ddof).is_integer():
        ddof = int(ddof)
    free = (0 if biased else 1) if ddof is None else integer(ddof, f"{name}: ddof")
    given = [ops.strong(node_of(x)) for x in ((m,) if y is None else (m, y))]
    wanted = np.result_type(*[x.aval.dtype for x in given], FLOAT64)
    if dtype is not None:
        wanted = numeric_dtype(dtype, f"{name}: dtype")
    rows = [_variables(x, in_rows, wanted, name) for x in given]
    if y is not None and given[1].aval.ndim == 2 and given[1].aval.shape[0] == 1:
        # As NumPy: one row is one variable, either way.
        rows[1] = ops.astype(given[1], wanted)
    if not rows[0].aval.shape[0]:
        return ops.full((0, 0), 0, FLOAT64)
    if len({x.aval.shape[1] for x in rows}) > 1:
        raise ShapeError(f"{name}({given[0].aval!r}, {given[1].aval!r}): the numbers of observations differ")
    x = ops.concatenate(rows, 0) if len(rows) > 1 else rows[0]
    count = x.aval.shape[1]
    frequencies = _weights(fweights, count, "fweights", whole=True)
    shares = _weights(aweights, count, "aweights", whole=False)
    w = frequencies if shares is None else shares if frequencies is None else frequencies * shares
    degrees: Node
    mean: Node
    if w is None:
        degrees = literal(float(max(count - free, 0)))
        mean = ops.divide(ops.sum(x, (1,)), literal(float(count)))
    else:
        total = ops.sum(w, (0,))
        lost = 0.0 if not free else free if shares is None else free * ops.sum(w * shares, (0,)) / total
        degrees = ops.maximum(total - lost, 0.0)
        # The mean is of the larger dtype, and what is subtracted from goes on in its own.
        mean = ops.astype(ops.sum(x * w, (1,)) / total, wanted)
    x = ops.subtract(x, ops.expand_dims(mean, (1,)))
    weighted = x if w is None else x * w
    products = ops.matmul(x, ops.conjugate(ops.matrix_transpose(weighted)))
    return products * ops.divide(as_node(1.0), degrees)


def _corrcoef(x: Any, y: Any = None, rowvar: Any = True, *, dtype: Any = None) -> Any:
    c = _covariance(x, y, rowvar, False, None, None, None, dtype, "corrcoef")
    size = c.aval.shape[0]
    if size == 1:
        c = ops.reshape(c, ())
        return wrap(ops.divide(c, c))
    numbers = as_node(np.arange(size))
    variances = ops.take_along(c, ops.reshape(numbers, (size, 1)), 1) if size else ops.reshape(c, (0, 1))
    deviations = ops.sqrt(ops.real(variances) if c.aval.dtype.kind == "c" else variances)
    c = ops.divide(ops.divide(c, deviations), ops.reshape(deviations, (1, size)))
    if c.aval.dtype.kind != "c":
        return wrap(_within_one(c))
    return wrap(_within_one(ops.real(c)) + _within_one(ops.imag(c)) * 1j)


def _within_one(x: Node) -> Node:
    """``x`` from -1 to 1, beyond which it is by rounding only: the derivative is that of ``x``."""
    return x + ops.stop_gradient(ops.minimum(ops.maximum(x, -1), 1) - x)


TABLE: dict[Any, Handler] = {
    np.cov: _cov,
    np.corrcoef: _corrcoef,
}
