"""Derivatives of special functions where plain formulas lose digits, against mpmath: of first and second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special

import autodiff as ad


def _normal(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _gammainc(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def _betainc(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, 0, x, regularized=True)


def _kolmogorov(x: Any) -> Any:
    return 1 - mp.jtheta(4, 0, mp.exp(-2 * x * x))


# A function of SciPy, the same in mpmath, which argument is differentiated, and where.
ORACLES: list[tuple[np.ufunc, Callable[..., Any], int, list[tuple[float, ...]]]] = [
    (special.erfcx, lambda x: mp.exp(x * x) * mp.erfc(x), 0, [(-5.0,), (0.0,), (7.9,), (8.1,), (1e3,), (1e6,)]),
    (special.dawsn, lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), 0, [(1e-4,), (8.0,), (77.0,), (1e3,)]),
    (special.log_ndtr, lambda x: mp.log(_normal(x)), 0, [(-1e5,), (-30.0,), (-1.0,), (0.1,), (5.0,)]),
    (special.exprel, lambda x: mp.expm1(x) / x, 0, [(-1e6,), (-1e-9,), (1e-5,), (300.0,)]),
    (special.rgamma, mp.rgamma, 0, [(-10.0,), (-0.9999999,), (0.0,), (3.5,)]),
    (special.psi, lambda x: mp.psi(0, x), 0, [(-20.7,), (1e-10,), (1e6,)]),
    (special.betaln, lambda a, b: mp.log(mp.beta(a, b)), 0, [(1e8, 2.0), (3.0, 1e-9), (20.0, 30.0)]),
    (special.boxcox, lambda x, p: (x**p - 1) / p, 1, [(0.5, 1e-9), (3.0, 0.5), (100.0, 2.0)]),
    (special.inv_boxcox, lambda y, p: (p * y + 1) ** (1 / p), 1, [(0.5, 1e-6), (0.2, -3.0)]),
    (special.pseudo_huber, lambda d, r: d * d * (mp.sqrt(1 + (r / d) ** 2) - 1), 0, [(2.0, 1e-4), (0.1, 50.0)]),
    (special.i0e, lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), 0, [(-30.0,), (0.5,), (1e6,)]),
    (special.k1e, lambda x: mp.besselk(1, x) * mp.exp(x), 0, [(0.1,), (49.0,), (60.0,), (1e6,)]),
    (special.kve, lambda v, x: mp.besselk(v, x) * mp.exp(x), 1, [(2.5, 0.1), (2.5, 60.0), (2.5, 1e8)]),
    (special.spence, lambda z: mp.polylog(2, 1 - z), 0, [(1e-3,), (0.9999,), (1.0,), (1.7,), (100.0,)]),
    (special.ellipk, mp.ellipk, 0, [(-1e6,), (1e-9,), (0.51,), (0.9999,)]),
    (special.ellipkinc, mp.ellipf, 1, [(0.3, 1e-9), (10.0, 0.3), (1e-3, 0.5), (0.8, -5.0)]),
    (special.elliprd, mp.elliprd, 0, [(1.0, 1.0, 1.0), (1.0, 1.01, 1.03), (2.0, 0.3, 40.0)]),
    (special.gammainc, _gammainc, 0, [(0.01, 0.5), (1.0, 1.0), (10.1, 30.0), (200.0, 190.0)]),
    (special.gammainc, _gammainc, 1, [(0.1, 1e-9), (9.9, 2.0), (1e4, 1.01e4)]),
    (special.betainc, _betainc, 1, [(0.01, 2.0, 0.3), (50.0, 40.0, 0.55), (5.0, 0.3, 1e-5)]),
    (special.kolmogorov, _kolmogorov, 0, [(0.3,), (0.89999,), (0.90001,), (3.0,), (5.0,)]),
    (special.betainc, _betainc, 2, [(0.5, 0.7, 0.2), (500.0, 400.0, 0.55)]),
]


@pytest.mark.parametrize(
    ("ufunc", "oracle", "place", "points"), ORACLES, ids=[f"{row[0].__name__}-{row[2]}" for row in ORACLES]
)
def test_derivatives_where_formulas_lose_digits(
    ufunc: np.ufunc, oracle: Callable[..., Any], place: int, points: list[tuple[float, ...]]
) -> None:
    columns = [np.array(column) for column in zip(*points, strict=True)]
    x = ad.Tensor(columns[place])
    y = ufunc(*[x if i == place else column for i, column in enumerate(columns)])
    for order in (1, 2):
        found = ad.Graph().gradient(np.sum(y), [x], order)[0]
        with mp.workdps(90):
            for point, value in zip(points, found, strict=True):
                numbers = [mp.mpf(number) for number in point]
                step = (abs(numbers[place]) or 1) * mp.mpf(10) ** -20

                def at(n: int, numbers: Any = numbers, step: Any = step) -> Any:
                    moved = [number + n * step if i == place else number for i, number in enumerate(numbers)]
                    return oracle(*moved)

                expected = (at(1) - at(-1)) / (2 * step) if order == 1 else (at(1) - 2 * at(0) + at(-1)) / step**2
                assert abs(value - expected) <= 1e-9 * abs(expected), (order, point, value, float(expected))
