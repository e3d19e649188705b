"""NumPy's Fourier transforms of Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import integer, word
from ..tensor import node_of
from .calling import Handler, put

_NORMS = ("backward", "ortho", "forward")


def _fft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> Any:
    n = None if n is None else integer(n, "fft: n")
    norm = None if norm is None else word(norm, "fft: norm", _NORMS)
    return put(out, ops.fft(node_of(a), n, axis, norm), "fft")


TABLE: dict[Any, Handler] = {
    np.fft.fft: _fft,
}
