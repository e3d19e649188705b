"""Derivatives of Fourier transforms, which are linear; the matrix of one is symmetric."""

from __future__ import annotations

from .. import ops
from ..nodes import Node
from .rows import Linear, Rule


def _weighted(half: Node, n: int, axis: int, inner: float) -> Node:
    """Half of a spectrum of ``n`` numbers, those multiplied of which the other half has a mirror image."""
    place = ops.positions(half.aval.shape[axis])
    alone = ops.equal(place, 0)
    if n % 2 == 0:
        alone = ops.logical_or(alone, ops.equal(place, n // 2))
    mask = ops.reshape(alone, [-1 if i == axis else 1 for i in range(half.aval.ndim)])
    return ops.where(mask, half, half * inner)


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
