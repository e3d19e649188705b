"""Discrete Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..convert import as_node
from ..core.avals import Aval, intern_aval
from ..core.parameters import Axis, Static
from ..core.primitives import Primitive
from ..errors import ShapeError
from ..nodes import Node
from ..operator import Operator
from .elementwise import astype
from .indexing import take_range
from .shapes import concatenate, normalize_axis, zeros


def _infer_fft(primitive: Primitive, x: Aval, *, axis: int, norm: str) -> Aval:
    return intern_aval(x.shape, x.dtype)


# Of complex numbers.
fft_p = Operator(
    "fft",
    _infer_fft,
    params={"axis": Axis, "norm": Static},
    kind="routine",
    meaning=lambda xp, x, axis, norm: xp.fft.fft(x, axis=axis, norm=norm),
    needs=("fft.fft",),
)


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


def fft(x: Any, n: int | None = None, axis: Any = -1, norm: str | None = None) -> Node:
    """The discrete Fourier transform of ``x`` along an axis, cut off or with zeros added if a length is given."""
    x = as_node(x)
    axis = normalize_axis(axis, x.aval.ndim, "fft")
    n = x.aval.shape[axis] if n is None else n
    if n < 1:
        raise ShapeError(f"fft({x.aval!r}): there is no transform of {n} points; a length must be at least 1")
    x = _of_length(astype(x, complex_dtype(x.aval.dtype)), n, axis)
    return fft_p(x, axis=axis, norm=norm or "backward")
