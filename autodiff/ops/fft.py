"""Discrete Fourier transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arguments import integers
from ..convert import as_node
from ..core.avals import Aval, intern_aval
from ..core.parameters import Axis, Static
from ..core.primitives import Primitive
from ..errors import ArgumentError, DTypeError, ShapeError, shown
from ..nodes import Node
from ..operator import Operator, infer_like
from .elementwise import astype, conjugate
from .indexing import take_range
from .shapes import concatenate, normalize_axis, zeros

# A norm -> that of the transposed transform, and of the opposite direction.
OPPOSITE = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _infer_rfft(primitive: Primitive, x: Aval, *, axis: int, norm: str) -> Aval:
    shape = (*x.shape[:axis], x.shape[axis] // 2 + 1, *x.shape[axis + 1 :])
    return intern_aval(shape, complex_dtype(x.dtype))


def _infer_irfft(primitive: Primitive, x: Aval, *, n: int, axis: int, norm: str) -> Aval:
    return intern_aval((*x.shape[:axis], n, *x.shape[axis + 1 :]), np.empty(0, x.dtype).real.dtype)


def _transform(name: str, infer: Callable[..., Aval], **params: Any) -> Operator:
    def meaning(xp: Any, x: Any, **params: Any) -> Any:
        return getattr(xp.fft, name)(x, **params)

    return Operator(
        name,
        infer,
        params={**params, "axis": Axis, "norm": Static},
        kind="routine",
        meaning=meaning,
        needs=(f"fft.{name}",),
    )


# Of complex numbers; of real ones; and of the n // 2 + 1 numbers that half of a Hermitian spectrum has.
fft_p = _transform("fft", infer_like)
ifft_p = _transform("ifft", infer_like)
rfft_p = _transform("rfft", _infer_rfft)
irfft_p = _transform("irfft", _infer_irfft, n=Static)


def complex_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What NumPy transforms numbers of a dtype to: of the same precision, and at least single."""
    return np.result_type(np.result_type(dtype, 1.0), np.complex64)


def _of_length(x: Node, n: int, axis: int) -> Node:
    """``x`` cut off, or with zeros added, so that it is ``n`` long."""
    size = x.aval.shape[axis]
    if n <= size:
        return x if n == size else take_range(x, axis, 0, n)
    shape = (*x.aval.shape[:axis], n - size, *x.aval.shape[axis + 1 :])
    return concatenate([x, zeros(intern_aval(shape, x.aval.dtype))], axis)


def _check_length(name: str, x: Node, n: int) -> None:
    if n < 1:
        raise ShapeError(f"{name}({x.aval!r}): there is no transform of {n} points; a length must be at least 1")


def _transformed(primitive: Operator, x: Node, given: Node, size: int, norm: str | None, **params: Any) -> Node:
    """The transform of ``x``, which is what was ``given`` in the dtype and the length that are needed."""
    norm = norm or "backward"
    plain = "forward" if primitive.name[0] == "i" else "backward"
    if given.aval.dtype != np.float16 or norm == plain:
        return primitive(x, **params, norm=norm)
    # The factor of numbers in half precision is rounded to that, as NumPy does it.
    root = np.sqrt(size, dtype=np.float16) if norm == "ortho" else size
    return primitive(x, **params, norm=plain) * float(np.reciprocal(root, dtype=np.float16))


def _complex(primitive: Operator) -> Callable[..., Node]:
    name = primitive.name

    def transform(x: Any, n: int | None = None, axis: Any = -1, norm: str | None = None) -> Node:
        given = as_node(x)
        axis = normalize_axis(axis, given.aval.ndim, name)
        n = given.aval.shape[axis] if n is None else n
        _check_length(name, given, n)
        whole = _of_length(astype(given, complex_dtype(given.aval.dtype)), n, axis)
        return _transformed(primitive, whole, given, n, norm, axis=axis)

    return transform


# The discrete Fourier transform along an axis, cut off or with zeros added if a length is given; and its inverse.
fft = _complex(fft_p)
ifft = _complex(ifft_p)


def rfft(x: Any, n: int | None = None, axis: Any = -1, norm: str | None = None) -> Node:
    """The transform of real numbers, without that half of it which the other half says."""
    x = as_node(x)
    if x.aval.dtype.kind == "c":
        raise DTypeError(f"rfft({x.aval!r}): it is of real numbers; fft is of complex ones")
    axis = normalize_axis(axis, x.aval.ndim, "rfft")
    n = x.aval.shape[axis] if n is None else n
    _check_length("rfft", x, n)
    whole = _of_length(astype(x, np.empty(0, complex_dtype(x.aval.dtype)).real.dtype), n, axis)
    return _transformed(rfft_p, whole, x, n, norm, axis=axis)


def irfft(x: Any, n: int | None = None, axis: Any = -1, norm: str | None = None) -> Node:
    """The inverse of ``rfft``: ``n`` real numbers, by default an even number of them."""
    x = as_node(x)
    axis = normalize_axis(axis, x.aval.ndim, "irfft")
    n = 2 * (x.aval.shape[axis] - 1) if n is None else n
    _check_length("irfft", x, n)
    half = _of_length(astype(x, complex_dtype(x.aval.dtype)), n // 2 + 1, axis)
    result = _transformed(irfft_p, half, x, n, norm, n=n, axis=axis)
    # NumPy transforms half precision in single, and gives half back here alone.
    return astype(result, np.float16) if x.aval.dtype == np.float16 else result


def hfft(x: Any, n: int | None = None, axis: Any = -1, norm: str | None = None) -> Node:
    """The real transform of Hermitian numbers, of which a half is given."""
    return irfft(_conjugated(x), n, axis, OPPOSITE[norm or "backward"])


def ihfft(x: Any, n: int | None = None, axis: Any = -1, norm: str | None = None) -> Node:
    """The inverse of ``hfft``: half of what is Hermitian."""
    return conjugate(rfft(x, n, axis, OPPOSITE[norm or "backward"]))


def _conjugated(x: Any) -> Node:
    x = as_node(x)
    return conjugate(x) if x.aval.dtype.kind == "c" else x


def _lengths_and_axes(name: str, x: Node, s: Any, axes: Any, halved: bool) -> tuple[list[int], list[int]]:
    """The length and the axis of each transform; ``halved`` says that half of the last axis is given."""
    shape = x.aval.shape
    if axes is None:
        count = x.aval.ndim if s is None else len(integers(s, f"{name}: s"))
        places = list(range(x.aval.ndim - count, x.aval.ndim))
    else:
        places = [normalize_axis(a, x.aval.ndim, name) for a in integers(axes, f"{name}: axes")]
    if s is None:
        sizes = [shape[a] for a in places]
        if halved and sizes:
            sizes[-1] = 2 * (sizes[-1] - 1)
    else:
        sizes = integers(s, f"{name}: s")
        if len(sizes) != len(places):
            raise ArgumentError(f"{name}: s={shown(tuple(sizes))} and axes={tuple(places)} have different lengths")
        sizes = [shape[a] if n == -1 else n for n, a in zip(sizes, places, strict=True)]
    return sizes, places


def over_axes(
    name: str, x: Any, s: Any, axes: Any, norm: str | None, each: Callable[..., Node], last: Callable[..., Node]
) -> Node:
    """Transforms over several axes, ``last`` over the last one and ``each`` over the others, as NumPy orders them."""
    y: Node = as_node(x)
    sizes, places = _lengths_and_axes(name, y, s, axes, last is irfft)
    steps = list(zip([*[each] * (len(places) - 1), last], sizes, places, strict=False))
    if not steps and last is not each:
        raise ArgumentError(f"{name}({y.aval!r}): at least one axis is needed")
    for function, n, axis in steps if last is irfft else reversed(steps):
        y = function(y, n, axis, norm)
    return y
