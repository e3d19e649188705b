"""Derivatives of Fourier transforms, which are linear; the matrix of one is symmetric."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..convert import as_node
from ..nodes import Node
from .rows import Linear, Rule


def _weighted(half: Node, n: int, axis: int, inner: float) -> Node:
    """Half of a spectrum times the weights of its numbers, whose mirror images are not there."""
    shape = [1] * half.aval.ndim
    shape[axis] = half.aval.shape[axis]
    weights = ops.half_weights(n, inner).astype(np.empty(0, half.aval.dtype).real.dtype)
    return half * as_node(weights.reshape(shape))


def _rfft(ct: Node, out: Node, x: Node, axis: int, norm: str) -> Node:
    n = x.aval.shape[axis]
    half = _weighted(ops.conjugate(ct), n, axis, 0.5)
    return ops.irfft_p(half, n=n, axis=axis, norm=ops.OPPOSITE[norm])


def _irfft(ct: Node, out: Node, x: Node, n: int, axis: int, norm: str) -> Node:
    half = ops.rfft_p(ct, axis=axis, norm=ops.OPPOSITE[norm])
    return _weighted(ops.conjugate(half), n, axis, 2.0)


RULES: list[Rule] = [
    Linear(ops.fft_p, (lambda ct, out, x, axis, norm: ops.fft_p(ct, axis=axis, norm=norm),)),
    Linear(ops.ifft_p, (lambda ct, out, x, axis, norm: ops.ifft_p(ct, axis=axis, norm=norm),)),
    Linear(ops.rfft_p, (_rfft,)),
    Linear(ops.irfft_p, (_irfft,)),
]
