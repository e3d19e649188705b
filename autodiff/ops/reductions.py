"""Primitives over whole axes: sums, products, extrema, truth, positions, running sums and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..convert import numeric_dtype
from ..core.avals import BOOL, INT64, Aval, intern_aval
from ..core.parameters import Axes, Axis
from ..core.primitives import Primitive
from ..errors import ArgumentError
from ..nodes import Node
from ..operator import Operator, infer_like
from .elementwise import astype
from .shapes import broadcast_to, normalize_axis, reshape


def reduced_shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool = False) -> tuple[int, ...]:
    """``shape`` without ``axes``, or with size 1 there."""
    if keepdims:
        return tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What NumPy adds and multiplies up in: small integers and booleans in the platform's integer."""
    return dtype if dtype.kind in "fc" else np.add.reduce(np.empty(0, dtype)).dtype


def _infer_reduction(primitive: Primitive, x: Aval, *, axes: tuple[int, ...]) -> Aval:
    return intern_aval(reduced_shape(x.shape, axes), x.dtype)


def _infer_extremum(primitive: Primitive, x: Aval, *, axes: tuple[int, ...]) -> Aval:
    if any(x.shape[a] == 0 for a in axes):
        raise ArgumentError(
            f"{primitive.name}({x!r}, axis={axes}): an empty array has no extremum; give initial= to say what it is"
        )
    return intern_aval(reduced_shape(x.shape, axes), x.dtype)


def _infer_truth(primitive: Primitive, x: Aval, *, axes: tuple[int, ...]) -> Aval:
    return intern_aval(reduced_shape(x.shape, axes), BOOL)


def _reduction(name: str, infer: Callable[..., Aval], ufunc: np.ufunc) -> Operator:
    return Operator(
        name,
        infer,
        params={"axes": Axes},
        kind="reduction",
        cheap=True,
        reduces=ufunc,
        meaning=lambda xp, x, axes: getattr(xp, name)(x, axis=axes),
    )


def _along(name: str, infer: Callable[..., Aval], standard: str | None = None) -> Operator:
    """What works along one axis, and what the standard calls it."""
    function = standard or name
    return Operator(
        name,
        infer,
        params={"axis": Axis},
        meaning=lambda xp, x, axis: getattr(xp, function)(x, axis=axis),
        needs=(function,),
    )


sum_p = _reduction("sum", _infer_reduction, np.add)
prod_p = _reduction("prod", _infer_reduction, np.multiply)
amax = _reduction("max", _infer_extremum, np.maximum)
amin = _reduction("min", _infer_extremum, np.minimum)
all_true = _reduction("all", _infer_truth, np.logical_and)
any_true = _reduction("any", _infer_truth, np.logical_or)


def sum(x: Node, axes: tuple[int, ...]) -> Node:
    """The sum over ``axes``, in NumPy's dtype for it."""
    x = astype(x, sum_dtype(x.aval.dtype))
    return sum_p(x, axes=axes) if axes else x


def prod(x: Node, axes: tuple[int, ...]) -> Node:
    """The product over ``axes``, in NumPy's dtype for it."""
    x = astype(x, sum_dtype(x.aval.dtype))
    return prod_p(x, axes=axes) if axes else x


def _infer_inner_product(primitive: Primitive, x: Aval, y: Aval, *, axes: tuple[int, ...]) -> Aval:
    return intern_aval(reduced_shape(x.shape, axes), x.dtype)


# sum(x * y) for two arrays of one shape and dtype, without the products being stored.
inner_product = Operator(
    "inner_product",
    _infer_inner_product,
    params={"axes": Axes},
    kind="reduction",
    cheap=True,
    commutative=True,
    reduces=np.add,
    meaning=lambda xp, x, y, axes: xp.sum(xp.multiply(x, y), axis=axes),
)


def keep_axes(y: Node, x: Node, axes: tuple[int, ...]) -> Node:
    """A reduction ``y`` of ``x`` with its reduced axes back at size 1."""
    return reshape(y, reduced_shape(x.aval.shape, axes, keepdims=True))


def spread(y: Node, x: Node, axes: tuple[int, ...]) -> Node:
    """A reduction ``y`` of ``x`` over ``axes``, repeated to the shape of ``x``: the transpose of a sum."""
    return broadcast_to(keep_axes(y, x, axes), x.aval.shape)


def _infer_position(primitive: Primitive, x: Aval, *, axis: int) -> Aval:
    if x.shape[axis] == 0:
        raise ArgumentError(f"{primitive.name}({x!r}, axis={axis}): an empty axis has no extremum")
    return intern_aval(reduced_shape(x.shape, (axis,)), INT64)


argmax = _along("argmax", _infer_position)
argmin = _along("argmin", _infer_position)


cumsum_p = _along("cumsum", infer_like, "cumulative_sum")
cumprod_p = _along("cumprod", infer_like, "cumulative_prod")


def _running(primitive: Primitive, x: Node, axis: Any, dtype: Any, name: str) -> Node:
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    if x.aval.ndim == 0:
        x = reshape(x, (1,))
    place = normalize_axis(axis, x.aval.ndim, name)
    wanted = sum_dtype(x.aval.dtype) if dtype is None else numeric_dtype(dtype, f"{name}: dtype")
    # NumPy adds small integers up in larger ones, unless it is told otherwise: then they wrap around.
    return astype(primitive(astype(astype(x, wanted), sum_dtype(wanted)), axis=place), wanted)


def cumsum(x: Node, axis: Any = None, dtype: Any = None) -> Node:
    """Running sums along an axis; ``axis=None`` flattens first."""
    return _running(cumsum_p, x, axis, dtype, "cumsum")


def cumprod(x: Node, axis: Any = None, dtype: Any = None) -> Node:
    """Running products along an axis; ``axis=None`` flattens first."""
    return _running(cumprod_p, x, axis, dtype, "cumprod")
