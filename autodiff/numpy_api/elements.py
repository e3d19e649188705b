"""NumPy's functions of each element that are no ufuncs, and what asks which elements are of a kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import DTypeError, UnsupportedError
from ..nodes import Constant, Node
from ..tensor import Tensor, node_of, wrap
from .calling import Handler, put


def _fix(x: Any, out: Any = None) -> Any:
    return put(out, ops.trunc(ops.strong(node_of(x))), "fix")


def _infinite(negative: bool, name: str) -> Handler:
    def handler(x: Any, out: Any = None) -> Any:
        node = node_of(x)
        if node.aval.dtype.kind == "c":
            raise DTypeError(f"{name}({node.aval!r}): a complex number has no sign; take its real or imaginary part")
        sign = ops.signbit(node)
        found = ops.logical_and(ops.isinf(node), sign if negative else ops.logical_not(sign))
        return put(out, found, name)

    return handler


def _is_real(x: Any) -> Any:
    node = ops.strong(node_of(x))
    if node.aval.dtype.kind == "c":
        return wrap(ops.equal(ops.imag(node), 0))
    return wrap(ops.full(node.aval.shape, True, np.dtype(bool)))


def _is_complex(x: Any) -> Any:
    node = ops.strong(node_of(x))
    if node.aval.dtype.kind == "c":
        return wrap(ops.not_equal(ops.imag(node), 0))
    return wrap(ops.full(node.aval.shape, False, np.dtype(bool)))


def _real_if_close(a: Any, tol: Any = 100) -> Any:
    """The real part if no imaginary part is larger than that many times the precision: what is seen now decides."""
    x = node_of(a)
    if x.aval.dtype.kind != "c":
        return a if isinstance(a, Tensor) else wrap(ops.strong(x))
    limit = np.finfo(x.aval.dtype).eps * tol if tol > 1 else tol
    close = ops.less(ops.absolute(ops.imag(x)), limit)
    return np.real(a) if wrap(ops.all_true(close, axes=tuple(range(x.aval.ndim)))) else a


def _i0(x: Any) -> Any:
    node = ops.strong(node_of(x))
    if node.aval.dtype.kind == "c":
        raise DTypeError(f"i0({node.aval!r}): NumPy has no i0 for complex arrays; scipy.special.iv(0, z) is one")
    kind = node.aval.dtype if node.aval.dtype.kind == "f" else np.dtype(np.float64)
    try:
        _ = ops.special.i0.numpy_ufunc
    except ImportError:
        raise UnsupportedError(
            "i0: its derivatives are Bessel functions of SciPy, which is not installed: pip install scipy"
        ) from None
    # SciPy has none in half precision.
    wide = np.promote_types(kind, np.float32)
    return wrap(ops.astype(ops.special.i0(ops.astype(node, wide)), kind))


# --- not a number ----------------------------------------------------------------------------------------------------


def _replacement(value: Any, x: Node) -> Node:
    """What replaces an element that is not a number. It does not enlarge the array."""
    found = node_of(value)
    if found.aval.dtype.kind == "c":
        raise DTypeError(f"nan_to_num: a complex number does not go into {x.aval!r}; take its real part")
    return ops.broadcast_to(ops.number_in(found, x.aval.dtype, "nan_to_num"), x.aval.shape)


def _finite(x: Node, nan: Any, posinf: Any, neginf: Any) -> Node:
    limits = np.finfo(x.aval.dtype)
    # Beyond every float in extended precision, and a number of the structure else.
    number: Any = float if limits.max <= np.finfo(np.float64).max else np.asarray
    high = number(limits.max) if posinf is None else posinf
    low = number(limits.min) if neginf is None else neginf
    nan, high, low = [_replacement(v, x) for v in (nan, high, low)]
    result = ops.where(ops.isnan(x), nan, x)
    result = ops.where(ops.equal(x, np.inf), high, result)
    return ops.where(ops.equal(x, -np.inf), low, result)


def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    node = ops.strong(node_of(x))
    result: Node
    if node.aval.dtype.kind not in "fc":
        result = ops.identity(node)
    elif node.aval.dtype.kind == "f":
        result = _finite(node, nan, posinf, neginf)
    else:
        for given in (nan, posinf, neginf):
            value = None if given is None else node_of(given)
            if isinstance(value, Constant) and not np.isfinite(value.value).all():
                raise UnsupportedError(
                    "nan_to_num: of complex Tensors parts are not replaced by numbers that are not finite; use np.where"
                )
        real, imaginary = [_finite(part, nan, posinf, neginf) for part in (ops.real(node), ops.imag(node))]
        result = real + ops.astype(imaginary, node.aval.dtype) * 1j
    if copy or not isinstance(x, Tensor):
        return wrap(result)
    x._rebind(result, "nan_to_num with copy=False")
    return x


TABLE: dict[Any, Handler] = {
    np.fix: _fix,
    np.isneginf: _infinite(True, "isneginf"),
    np.isposinf: _infinite(False, "isposinf"),
    np.isreal: _is_real,
    np.iscomplex: _is_complex,
    np.real_if_close: _real_if_close,
    np.i0: _i0,
    np.nan_to_num: _nan_to_num,
}
