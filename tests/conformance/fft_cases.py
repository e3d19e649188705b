"""Rows for Fourier transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case, booleans, case, complexes, integers, real

NORMS = (None, "backward", "ortho", "forward")
SHAPES = [(1,), (2,), (5,), (8,), (2, 3), (2, 1, 4), (0, 3)]


def of_complex(function: Callable[..., Any]) -> list[Case]:
    rows = [case(function, real(*shape)) for shape in SHAPES]
    rows += [case(function, complexes(*shape)) for shape in [(4,), (2, 3)]]
    rows += [case(function, integers(4)), case(function, booleans(4))]
    for n in (1, 2, 3, 5):
        rows += [case(function, real(3), n), case(function, complexes(3, 2), n=n, axis=0)]
    rows += [case(function, real(2, 3, 4), axis=axis) for axis in (0, 1, -2, 2)]
    for norm in NORMS:
        rows += [case(function, real(4), norm=norm), case(function, complexes(2, 3), None, 0, norm)]
    return rows


def of_real(function: Callable[..., Any]) -> list[Case]:
    rows = [case(function, real(*shape)) for shape in SHAPES]
    rows += [case(function, integers(4)), case(function, booleans(5))]
    rows += [case(function, real(4), n) for n in (1, 2, 3, 5, 6)]
    rows += [case(function, real(2, 3, 4), axis=axis) for axis in (0, 1, -2)]
    rows += [case(function, real(size), None, -1, norm) for norm in NORMS for size in (4, 5)]
    return rows


def of_hermitian(function: Callable[..., Any]) -> list[Case]:
    rows = [case(function, complexes(*shape)) for shape in [(2,), (3,), (4,), (2, 3), (3, 1, 4), (0, 3)]]
    rows += [case(function, real(4)), case(function, integers(4)), case(function, booleans(3))]
    rows += [case(function, complexes(3), n) for n in (1, 2, 3, 4, 5, 6, 7)]
    rows += [case(function, complexes(2, 3, 4), axis=axis) for axis in (0, 1, -2)]
    rows += [case(function, complexes(3), n, norm=norm) for norm in NORMS for n in (4, 5)]
    return rows


def over_axes() -> list[Case]:
    rows = []
    for two, many, draw in (
        (np.fft.fft2, np.fft.fftn, complexes),
        (np.fft.ifft2, np.fft.ifftn, complexes),
        (np.fft.rfft2, np.fft.rfftn, real),
        (np.fft.irfft2, np.fft.irfftn, complexes),
    ):
        for function in (two, many):
            rows += [case(function, draw(*shape)) for shape in [(2, 3), (3, 2), (2, 3, 2)]]
            rows += [case(function, draw(3, 2, 3), axes=axes) for axes in [(0, 2), (2, 0), (-1,), [1, 2]]]
            rows += [case(function, draw(2, 3), s=s, axes=(0, 1)) for s in [(3, 2), (1, 4), (-1, 5)]]
            rows += [case(function, draw(2, 3), norm=norm) for norm in NORMS[2:]]
        rows += [case(many, draw(3)), case(many, draw(2, 2, 3), (3, 2, 4), (2, 0, 1), "ortho"), case(two, real(3, 3))]
    rows += [case(np.fft.fftn, complexes(2, 3), axes=(1, 1)), case(np.fft.fft2, integers(2, 3))]
    return rows


def shifted() -> list[Case]:
    rows = []
    for function in (np.fft.fftshift, np.fft.ifftshift):
        rows += [case(function, real(*shape)) for shape in [(4,), (5,), (1,), (2, 3), (0, 2)]]
        rows += [case(function, complexes(2, 3), axes=axes) for axes in (0, -1, (0, 1), [1])]
    return rows


CASES: list[Case] = [
    *[row for function in (np.fft.fft, np.fft.ifft) for row in of_complex(function)],
    *[row for function in (np.fft.rfft, np.fft.ihfft) for row in of_real(function)],
    *[row for function in (np.fft.irfft, np.fft.hfft) for row in of_hermitian(function)],
    *over_axes(),
    *shifted(),
]
