"""Derivatives of Fourier transforms, which are linear; the matrix of one is symmetric."""

from __future__ import annotations

from .. import ops
from .rows import Linear, Rule

RULES: list[Rule] = [
    Linear(ops.fft_p, (lambda ct, out, x, axis, norm: ops.fft_p(ct, axis=axis, norm=norm),)),
]
