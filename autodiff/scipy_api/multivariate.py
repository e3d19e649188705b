"""Distributions of vectors in ``scipy.stats`` on Tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..errors import ShapeError, UnsupportedError
from ..nodes import Node
from ..ops import special as s
from ..tensor import wrap
from .arguments import real
from .replacing import replace_method, unsupported


class Frozen:
    """A distribution with parameters, some of which are Tensors."""

    def __init__(self, dist: Any, *args: Any, **kwargs: Any):
        self._dist = dist
        self._args = args
        self._kwargs = kwargs

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._dist, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, *self._args, **self._kwargs, **kwargs)

        return call


def _squeezed(x: Node) -> Node:
    return ops.squeeze(x, tuple([axis for axis, n in enumerate(x.aval.shape) if n == 1]))


# --- the normal distribution -----------------------------------------------------------------------------------------


def _normal_parameters(name: str, mean: Any, cov: Any, allow_singular: Any) -> tuple[Node, Node]:
    """The mean, and the Cholesky factor of the covariance."""
    if allow_singular:
        raise UnsupportedError(
            f"{name}: allow_singular=True is not recorded for Tensors: which rank it is depends on values"
        )
    c = real(1.0 if cov is None else getattr(cov, "covariance", cov), f"{name}: cov")
    m = None if mean is None else real(mean, f"{name}: mean")
    dim = (c.aval.shape[0] if c.aval.ndim == 2 else 1) if m is None else m.aval.size
    if c.aval.shape in ((), (dim,)):
        c = ops.where(ops.eye(dim), c, 0) if dim > 1 else ops.reshape(c, (1, 1))
    m = ops.full((dim,), 0, c.aval.dtype) if m is None else m
    m = ops.reshape(m, (1,)) if dim == 1 else m
    if m.aval.shape != (dim,) or c.aval.shape != (dim, dim):
        raise ShapeError(f"{name}: mean={m.aval!r} must be a vector, and cov={c.aval!r} a matrix of its size")
    return m, ops.cholesky(c)


def _log_determinant(factor: Node) -> Node:
    return 2 * ops.sum(ops.log(_diagonal(factor)), (0,))


def _diagonal(a: Node) -> Node:
    """The diagonal of a matrix."""
    return ops.sum(ops.where(ops.eye(a.aval.shape[-1]), a, 0), (1,))


def _normal_logpdf(x: Any, mean: Any = None, cov: Any = 1, allow_singular: Any = False) -> Node:
    m, factor = _normal_parameters("multivariate_normal.logpdf", mean, cov, allow_singular)
    (dim,) = m.aval.shape
    y = real(x, "multivariate_normal.logpdf: x")
    if y.aval.ndim < 2:
        y = ops.reshape(y, (y.aval.size, 1) if dim == 1 else (1, y.aval.size))
    off = y - m
    *batch, _ = off.aval.shape
    columns = ops.matrix_transpose(ops.reshape(off, (math.prod(batch), dim)))
    white = ops.solve_triangular(factor, columns, True)
    distances = ops.reshape(ops.sum(white * white, (0,)), tuple(batch))
    return _squeezed(-0.5 * (dim * math.log(2 * math.pi) + _log_determinant(factor) + distances))


def _normal_entropy(mean: Any = None, cov: Any = 1) -> Node:
    m, factor = _normal_parameters("multivariate_normal.entropy", mean, cov, False)
    return 0.5 * (m.aval.size * (math.log(2 * math.pi) + 1) + _log_determinant(factor))


# --- of parts of a whole ---------------------------------------------------------------------------------------------


def _dirichlet_logpdf(x: Any, alpha: Any) -> Node:
    y, a = real(x, "dirichlet.logpdf: x"), real(alpha, "dirichlet.logpdf: alpha")
    if a.aval.ndim != 1 or not 0 < y.aval.ndim < 3:
        raise ShapeError(f"dirichlet.logpdf({y.aval!r}, {a.aval!r}): it takes a vector alpha, and vectors as columns")
    (k,) = a.aval.shape
    if y.aval.shape[0] == k - 1:
        rest = ops.expand_dims(1 - ops.sum(y, (0,)), 0)
        y = ops.concatenate([y, rest], 0)
    if y.aval.shape[0] != k:
        raise ShapeError(f"dirichlet.logpdf: x={y.aval!r} must have {k} rows, or one less")
    powers = a - 1 if y.aval.ndim == 1 else ops.expand_dims(a - 1, 1)
    log_beta = ops.sum(s.gammaln(a), (0,)) - s.gammaln(ops.sum(a, (0,)))
    return _squeezed(ops.sum(s.xlogy(powers, y), (0,)) - log_beta)


def _multinomial_logpmf(x: Any, n: Any, p: Any) -> Node:
    k, count, q = (real(v, "multinomial.logpmf") for v in (x, n, p))
    # As SciPy has it: the last one is what the others leave.
    last = q.aval.ndim - 1
    size = q.aval.shape[-1] if q.aval.ndim else 0
    if not size or k.aval.shape[-1:] != (size,):
        raise ShapeError(
            f"multinomial.logpmf({k.aval!r}, {q.aval!r}): both must have as many elements in their last axis"
        )
    first = ops.take_range(q, last, 0, size - 1)
    q = ops.concatenate([first, ops.expand_dims(1 - ops.sum(first, (last,)), -1)], last)
    terms = s.xlogy(k, q) - s.gammaln(k + 1)
    found = s.gammaln(count + 1) + ops.sum(terms, (terms.aval.ndim - 1,))
    fits = ops.equal(ops.sum(k, (k.aval.ndim - 1,)), count)
    return ops.where(fits, found, -math.inf)


def _exponential(function: Callable[..., Node]) -> Callable[..., Node]:
    return lambda *args, **kwargs: ops.exp(function(*args, **kwargs))


RECORDED: dict[str, dict[str, Callable[..., Node]]] = {
    "multivariate_normal": {
        "logpdf": _normal_logpdf,
        "pdf": _exponential(_normal_logpdf),
        "entropy": _normal_entropy,
    },
    "dirichlet": {"logpdf": _dirichlet_logpdf, "pdf": _exponential(_dirichlet_logpdf)},
    "multinomial": {"logpmf": _multinomial_logpmf, "pmf": _exponential(_multinomial_logpmf)},
}
# Parameters with which SciPy makes the class of what is frozen, and what those are called there.
FROZEN: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {
    "multivariate_normal": ((), ("mean", "cov")),
    "dirichlet": (([1.0, 1.0],), ("alpha",)),
    "multinomial": ((1, [0.5, 0.5]), ("n", "p")),
}
METHODS = ("logpdf", "pdf", "logpmf", "pmf", "cdf", "logcdf", "rvs", "entropy", "fit", "marginal", "mean", "cov", "var")


def _method(name: str, method: str) -> Callable[..., Any]:
    function = RECORDED[name].get(method)

    def record(dist: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if function is None:
            raise unsupported(f"scipy.stats.{name}.{method}", f"{', '.join(RECORDED[name])} are")
        return wrap(function(*args, **kwargs))

    return record


def register(module: Any) -> None:
    """Replace methods of the classes of distributions."""
    for name, methods in RECORDED.items():
        dist = getattr(module, name)
        for method in METHODS:
            if method in vars(type(dist)):
                replace_method(type(dist), method, _method(name, method))
        replace_method(type(dist), "__call__", lambda dist, args, kwargs: Frozen(dist, *args, **kwargs))
        values, parameters = FROZEN[name]
        frozen = type(dist(*values))
        for method in methods:
            if method in vars(frozen):
                replace_method(frozen, method, _of_frozen(dist, method, parameters))


def _of_frozen(dist: Any, method: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
    def record(frozen: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return getattr(dist, method)(*args, **{key: getattr(frozen, key) for key in parameters}, **kwargs)

    return record
