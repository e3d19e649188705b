"""Special functions on CuPy: those that it has, and those that are computed otherwise than it does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy
import scipy.special

import autodiff as ad
from autodiff_backends.cupy.special import IN_DOUBLE, SPECIAL, SPECIAL_OF_COMPLEX, Special

from .cupy_modules import NAMES
from .cupy_standin import ON_DEVICE, made

OWN = sorted(name for name in vars(Special) if not name.startswith("_"))
RELEASE = tuple(int(part) for part in scipy.__version__.split(".")[:2])
EDGES = [
    0.0,
    -0.0,
    1,
    -1,
    2,
    0.5,
    0.5 + 1e-9,
    0.4999,
    1e-300,
    1e-20,
    1e-8,
    -1e-8,
    20,
    -20,
    100,
    -100,
    -100.5,
    499.5,
    501,
]
EDGES += [499.5, 501, 700, 1000, -1000, 1e5, 1e10, 1e300, -1e300, np.inf, -np.inf, np.nan]
FEW = [0.0, 1.0, -1.0, 0.5, 1e-10, 2.0, 30.0, 200.0, np.nan]


def test_cupy_has_them():
    for name in SPECIAL | IN_DOUBLE:
        assert f"cupyx.scipy.special.{name.lstrip('_')}" in NAMES, name
    for name in SPECIAL_OF_COMPLEX:
        assert "D->D" in NAMES[f"cupyx.scipy.special.{name}"].loops


@pytest.mark.skipif(RELEASE < (1, 17), reason="at poles and where formulas cancel older releases have other numbers")
@pytest.mark.parametrize("name", OWN)
def test_what_is_computed_otherwise_is_scipys(name: str) -> None:
    function = getattr(scipy.special, name)
    points = {1: [*EDGES, *np.linspace(-9, 9, 1001)], 2: EDGES, 3: FEW}[function.nin]
    arrays = [np.array(x, float) for x in zip(*itertools.product(points, repeat=function.nin), strict=True)]
    special = Special(ON_DEVICE["cupy"], ON_DEVICE["cupyx.scipy.special"])
    found = np.asarray(getattr(special, name)(*[made(x) for x in arrays]))
    with np.errstate(all="ignore"):
        wanted = function(*arrays)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=4e-15, atol=1e-300)


def test_single_precision_is_rounded_once(cupy_called: ad.Backend) -> None:
    x = np.linspace(0.5, 90, 50, dtype="f4")
    t = ad.Graph(backend=cupy_called).tensor(x)
    for name in ("beta", "k0e", "i1e"):
        function = getattr(scipy.special, name)
        found, wanted = (function(a, a) if function.nin == 2 else function(a) for a in (t, x))
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=2.5e-7)


def test_what_cupy_lacks_is_an_error_before_anything_runs(cupy_called: ad.Backend) -> None:
    t = ad.Graph(backend=cupy_called).tensor(np.eye(2))
    for function in (scipy.special.j0, scipy.special.dawsn):
        with pytest.raises(ad.errors.BackendError, match="is not available on backend cupy"):
            np.asarray(function(t))
