"""Rows for Fourier transforms."""

from __future__ import annotations

import numpy as np

from .case import Case, booleans, case, complexes, integers, real


def fft() -> list[Case]:
    rows = [case(np.fft.fft, real(*shape)) for shape in [(1,), (2,), (5,), (8,), (2, 3), (2, 1, 4), (0, 3)]]
    rows += [case(np.fft.fft, complexes(*shape)) for shape in [(4,), (2, 3)]]
    rows += [case(np.fft.fft, integers(4)), case(np.fft.fft, booleans(4))]
    for n in (1, 2, 3, 5):
        rows += [case(np.fft.fft, real(3), n), case(np.fft.fft, complexes(3, 2), n=n, axis=0)]
    rows += [case(np.fft.fft, real(2, 3, 4), axis=axis) for axis in (0, 1, -2, 2)]
    for norm in (None, "backward", "ortho", "forward"):
        rows += [case(np.fft.fft, real(4), norm=norm), case(np.fft.fft, complexes(2, 3), None, 0, norm)]
    return rows


CASES: list[Case] = fft()
