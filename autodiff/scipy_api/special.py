"""Functions of ``scipy.special`` that are no ufuncs. (Many of these call ufuncs only, and need no handler.)"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from .. import ops
from ..arguments import integer
from ..convert import describe, literal
from ..errors import ArgumentError, ShapeError, UnsupportedError
from ..nodes import Node
from ..numpy_api.calling import Handler
from ..numpy_api.creation import joined
from ..ops import special as s
from ..tensor import wrap
from .arguments import double, inexact, real
from .replacing import replace_functions

# --- sums of exponentials --------------------------------------------------------------------------------------------


def _finite_maximum(x: Node, axes: tuple[int, ...]) -> Node:
    """The greatest elements, with the axes kept, and 0 for those that are infinite; without a derivative."""
    if not axes:
        found = x
    elif any(x.aval.shape[axis] == 0 for axis in axes):
        found = ops.full(ops.reduced_shape(x.aval.shape, axes, keepdims=True), 0, x.aval.dtype)
    else:
        found = ops.keep_axes(ops.amax(x, axes=axes), x, axes)
    found = ops.stop_gradient(found)
    return ops.where(ops.isfinite(found), found, 0)


def _summed(x: Node, axes: tuple[int, ...]) -> Node:
    return ops.keep_axes(ops.sum(x, axes), x, axes)


def _logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: Any = False) -> Any:
    if b is None:
        (x,) = inexact(a)
        weights = None
    else:
        x, weights = inexact(a, b)
        shape = ops.broadcast_shapes("logsumexp", (x.aval, weights.aval))
        x, weights = ops.broadcast_to(x, shape), ops.broadcast_to(weights, shape)
    axes = ops.normalize_axes(axis, x.aval.ndim, "logsumexp")
    log, sign = (_log_total_complex if x.aval.dtype.kind == "c" else _log_total)(x, weights, axes, return_sign)
    parts = [log] if sign is None else [log, sign]
    if not keepdims:
        parts = [ops.squeeze(part, axes) if axes else part for part in parts]
    return wrap(parts[0] if sign is None else tuple(parts))


def _shifted_by_greatest(x: Node, weights: Node | None, axes: tuple[int, ...]) -> tuple[Node, Node]:
    """The real or complex numbers without the greatest real part of what counts, and that."""
    real = ops.real(x)
    if weights is None:
        greatest = _finite_maximum(real, axes)
        return x - greatest, greatest
    counts = ops.not_equal(weights, 0)
    greatest = _finite_maximum(ops.where(counts, real, -math.inf), axes)
    off = x - greatest
    # What is weighted by 0 does not count, even if it is infinite.
    finite = ops.isfinite(ops.exp(ops.stop_gradient(ops.real(off))))
    return ops.where(ops.logical_or(counts, finite), off, -math.inf), greatest


def _log_total(x: Node, weights: Node | None, axes: tuple[int, ...], signed: bool) -> tuple[Node, Node | None]:
    """log(sum(weights * exp(x))) of real numbers; signed, of its size, and its sign.

    The greatest terms are taken out of the sum, so that it is log1p of what the others add. They have derivatives by
    expm1, which is 0 there.
    """
    off, greatest = _shifted_by_greatest(x, weights, axes)
    is_greatest = ops.equal(ops.stop_gradient(off), 0)
    terms = ops.where(is_greatest, ops.expm1(ops.where(is_greatest, off, 0)), ops.exp(ops.where(is_greatest, 0, off)))
    rest = _summed(terms if weights is None else weights * terms, axes)
    ones = ops.astype(is_greatest, x.aval.dtype)
    head = _summed(ones if weights is None else weights * ones, axes)
    # Where the greatest terms cancel, the rest is all there is: log1p(rest - 1) is its logarithm.
    none = ops.equal(head, 0)
    head = ops.where(none, 1, head)
    ratio = ops.where(none, rest - 1, rest / head)
    if weights is None:
        log, sign = ops.log1p(ratio) + ops.log(head), ops.sign(1 + ratio)
    else:
        sign = ops.sign(1 + ratio) * ops.sign(head)
        log = ops.log1p(ops.where(ops.less(ratio, -1), -2 - ratio, ratio)) + ops.log(ops.absolute(head))
    log = log + greatest
    if signed:
        return log, sign
    return (log if weights is None else ops.where(ops.less(sign, 0), math.nan, log)), None


def _log_total_complex(x: Node, weights: Node | None, axes: tuple[int, ...], signed: bool) -> tuple[Node, Node | None]:
    off, greatest = _shifted_by_greatest(x, weights, axes)
    terms = ops.exp(off)
    total = _summed(terms if weights is None else weights * terms, axes)
    if not signed:
        return ops.log(total) + greatest, None
    size = ops.absolute(total)
    return ops.log(size) + greatest, total / ops.where(ops.equal(size, 0), 1, size)


def _shifted(x: Any, axis: Any, name: str) -> tuple[Node, tuple[int, ...]]:
    (node,) = inexact(x)
    axes = ops.normalize_axes(axis, node.aval.ndim, name)
    if any(node.aval.shape[a] == 0 for a in axes):
        raise ShapeError(f"{name}({node.aval!r}, axis={describe(axis)}): an empty axis has no greatest element")
    return node - _finite_maximum(node, axes), axes


def _softmax(x: Any, axis: Any = None) -> Any:
    node, axes = _shifted(x, axis, "softmax")
    powers = ops.exp(node)
    return wrap(powers / _summed(powers, axes))


def _log_softmax(x: Any, axis: Any = None) -> Any:
    node, axes = _shifted(x, axis, "log_softmax")
    return wrap(node - ops.log(_summed(ops.exp(node), axes)))


# --- factorials and binomials ----------------------------------------------------------------------------------------


def _within(n: Node, k: Node) -> Node:
    return ops.logical_and(ops.logical_and(ops.less_equal(k, n), ops.greater_equal(n, 0)), ops.greater_equal(k, 0))


def _inexactly(exact: Any, name: str) -> None:
    if exact:
        raise UnsupportedError(
            f"{name}: exact=True counts in integers of any size, which Tensors do not hold; leave it"
        )


def _comb(N: Any, k: Any, *, exact: Any = False, repetition: Any = False) -> Any:
    _inexactly(exact, "comb")
    n, m = inexact(N, k)
    if repetition:
        one = ops.logical_and(ops.equal(m, 0), ops.greater_equal(n, 0))
        return wrap(ops.where(one, 1, s.binom(n + m - 1, m)))
    return wrap(ops.where(_within(n, m), s.binom(n, m), 0))


def _perm(N: Any, k: Any, exact: Any = False) -> Any:
    _inexactly(exact, "perm")
    n, m = inexact(N, k)
    inside = _within(n, m)
    return wrap(ops.where(inside, s.poch(ops.where(inside, n - m + 1, 1), ops.where(inside, m, 1)), 0))


def _factorial(n: Any, exact: Any = False, extend: Any = "zero") -> Any:
    _inexactly(exact, "factorial")
    (x,) = inexact(n)
    if extend != "zero" or x.aval.dtype.kind == "c":
        raise UnsupportedError(
            "factorial: extend='complex' is not recorded for Tensors; write scipy.special.gamma(n + 1)"
        )
    negative = ops.less(x, 0)
    return wrap(double(ops.where(negative, 0, s.gamma(ops.where(negative, 0, x) + 1))))


def _multigammaln(a: Any, d: Any) -> Any:
    x = double(joined(a))
    d = integer(d, "multigammaln: d", low=1)
    total: Node = literal(0.25 * d * (d - 1) * math.log(math.pi))
    for j in range(d):
        total = total + s.gammaln(x - 0.5 * j)
    # SciPy raises where it is not defined; which values an argument has is not known here.
    return wrap(ops.where(ops.less_equal(x, 0.5 * (d - 1)), math.nan, total))


def _polygamma(n: Any, x: Any) -> Any:
    orders = np.asarray(n)
    if orders.dtype.kind not in "iu" or (orders.size and orders.min() < 0):
        raise ArgumentError(
            f"polygamma: n={describe(n)} must be integers from 0 on: there is no derivative by an order"
        )
    z = real(x, "polygamma")

    def of_order(order: int) -> Node:
        return s.polygamma(z, order=order) if order else s.psi(z)

    if not orders.ndim:
        return wrap(of_order(int(orders)))
    ops.broadcast_shapes("polygamma", (joined(orders).aval, z.aval))
    found: Node = literal(math.nan)
    for order in np.unique(orders):
        found = ops.where(joined(orders == order), of_order(int(order)), found)
    return wrap(found)


def _diric(x: Any, n: Any) -> Any:
    n = integer(n, "diric: n")
    z = real(x, "diric")
    if n < 1:
        return wrap(ops.where(ops.isfinite(z), math.nan, z))
    # sin(n x / 2) / (n sin(x / 2)) as the sum of cosines that it is: no 0 / 0, and exact derivatives.
    count = n // 2
    total = 0 * z
    for k in range(1, count + 1):
        total = total + ops.cos(z * (k if n % 2 else k - 0.5))
    return wrap((2 * total + (1.0 if n % 2 else 0.0)) / float(n))


TABLE: dict[str, Handler] = {
    "logsumexp": _logsumexp,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "comb": _comb,
    "perm": _perm,
    "factorial": _factorial,
    "multigammaln": _multigammaln,
    "polygamma": _polygamma,
    "diric": _diric,
}

_SPHERICAL = "write it with jv, yv, iv and kv: spherical_jn(n, z) is sqrt(pi / (2 z)) jv(n + 1/2, z)"
_INTEGERS = "it is defined for integers; write it with scipy.special.gamma"

UNRECORDED: dict[str, str] = {
    **dict.fromkeys(("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"), _SPHERICAL),
    **dict.fromkeys(("factorial2", "factorialk", "stirling2"), _INTEGERS),
    **dict.fromkeys(
        ("lqn", "lqmn", "lmbda", "pbdn_seq", "pbdv_seq", "pbvv_seq", "riccati_jn", "riccati_yn"),
        "it gives a sequence of orders for one number",
    ),
    **dict.fromkeys(("ellip_harm", "ellip_harm_2", "ellip_normal"), "ellipsoidal harmonics have no derivative here"),
}

LOOKING: tuple[str, ...] = ()


def register(module: ModuleType) -> None:
    """Replace functions of the module."""
    replace_functions(module, TABLE, UNRECORDED, LOOKING)
