"""What SciPy adds to NumPy's linear algebra: triangular matrices, and one factorisation for all that asks for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff_backends.numpy import lapack, small

RNG = np.random.default_rng(5)


def matrix(n: int, *batch: int, dtype: str = "f8") -> np.ndarray:
    a = RNG.normal(size=(*batch, n, n)) / n
    if dtype in "FD":
        a = a + 1j * RNG.normal(size=(*batch, n, n)) / n
    return (a + 2 * np.eye(n)).astype(dtype)


@pytest.fixture(params=["with SciPy", "without SciPy"])
def scipy(request, monkeypatch):
    if request.param == "without SciPy":
        monkeypatch.setattr(lapack, "scipy_linalg", lambda: None)
    return request.param


@pytest.mark.parametrize("dtype", ["f4", "f8", "F", "D"])
@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("lower", [True, False])
def test_triangular_matrices(scipy, dtype, batch, lower):
    for n in (3, lapack.LEAST_TRIANGULAR + 7):
        a = (np.tril if lower else np.triu)(matrix(n, *batch, dtype=dtype))
        for given in (a, np.asfortranarray(a), np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2)):
            for b in (RNG.normal(size=(n, 2)).astype(dtype), RNG.normal(size=(2, n)).astype(dtype).T):
                found = lapack.solve_triangular(given, b, lower)
                expected = np.linalg.solve(a, b)
                assert found.dtype == expected.dtype
                np.testing.assert_allclose(found, expected, rtol=1e-3 if dtype in ("f4", "F") else 1e-11, atol=1e-5)
        singular = a.copy()
        singular[..., 1, 1] = 0
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            lapack.solve_triangular(singular, np.ones((n, 1), dtype), lower)


@pytest.mark.parametrize("dtype", ["f8", "D"])
def test_factors(scipy, dtype):
    for n in (2, lapack.LEAST_FACTORED + 5):
        a = matrix(n, dtype=dtype)[::-1].copy()
        b = RNG.normal(size=(n, 3)).astype(dtype)
        factors = lapack.lu(a)
        np.testing.assert_allclose(lapack.lu_solve(factors, b, False), np.linalg.solve(a, b), rtol=1e-11)
        np.testing.assert_allclose(lapack.lu_solve(factors, b, True), np.linalg.solve(a.T, b), rtol=1e-11)
        for found, expected in zip(lapack.lu_slogdet(factors), np.linalg.slogdet(a), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-11)
            assert np.asarray(found).dtype == expected.dtype
        singular = np.zeros((n, n), dtype)
        assert lapack.lu_slogdet(lapack.lu(singular)) == (0, -np.inf)
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            lapack.lu_solve(lapack.lu(singular), b, False)


def solves(a, x, b):
    """Whether a x is b, but for what the rounding of elements of x makes; matrices may be nearly singular."""
    wide = "D" if np.iscomplexobj(a) else "d"
    missed = np.abs(a.astype(wide) @ x.astype(wide) - b)
    sizes = np.abs(a).max((-1, -2), keepdims=True) * np.abs(x).max((-1, -2), keepdims=True)
    assert (missed <= 32 * np.finfo(a.dtype).eps * (1 + sizes)).all()


@pytest.mark.parametrize("dtype", ["f4", "f8", "F", "D"])
@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("batch", [(small.LEAST_MATRICES,), (2, small.BLOCK + 5)])
def test_many_small_matrices(dtype, n, batch):
    a, b = RNG.normal(size=(*batch, n, n)), RNG.normal(size=(*batch, n, 2))
    if dtype in "FD":
        a, b = a + 1j * RNG.normal(size=a.shape), b + 1j * RNG.normal(size=b.shape)
    # Rows in every order, zeros among them.
    a[np.abs(a) < 0.2] = 0
    a = (a + 3 * np.eye(n)[RNG.permuted(np.tile(np.arange(n), (*batch, 1)), axis=-1)]).astype(dtype)
    b = b.astype(dtype)
    rtol = 1e-3 if dtype in ("f4", "F") else 1e-9
    factors = lapack.lu(a)
    for transposed in (False, True):
        x = lapack.lu_solve(factors, b, transposed)
        assert (x.dtype, x.shape) == (b.dtype, b.shape)
        solves(a.swapaxes(-1, -2) if transposed else a, x, b)
    for found, expected in zip(lapack.lu_slogdet(factors), np.linalg.slogdet(a), strict=True):
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
        assert found.dtype == expected.dtype
    solves(a, lapack.inv(a), np.eye(n))
    np.testing.assert_allclose(lapack.lu_det(factors), np.linalg.det(a), rtol=rtol, atol=rtol)
    # Products of pivots that leave the range on the way.
    great, digits = (1e30, 1e-4) if dtype in ("f4", "F") else (1e200, 1e-12)
    uneven = np.broadcast_to(np.diag([2 * great, 3 / great if n == 2 else 3 * great, 1 / great, 1.0][:n]), a.shape)
    uneven = uneven.astype(dtype)
    np.testing.assert_allclose(lapack.lu_det(lapack.lu(uneven)), np.linalg.det(uneven), rtol=digits)
    a[..., 7, :, :] = 1
    sign, log = lapack.lu_slogdet(lapack.lu(a))
    assert (sign[..., 7] == 0).all()
    assert (log[..., 7] == -np.inf).all()
    assert np.isfinite(np.delete(log, 7, -1)).all()
    for function in (lapack.inv, lambda a: lapack.lu_solve(lapack.lu(a), b, False)):
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            function(a)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_derivatives_of_many_small_matrices(n):
    a = RNG.normal(size=(small.LEAST_MATRICES, n, n)) + 3 * np.eye(n)
    b = RNG.normal(size=(small.LEAST_MATRICES, n, 1))

    def total(a: Any, b: Any) -> Any:
        return np.sum(np.linalg.solve(a, b) ** 2) + np.sum(np.linalg.slogdet(a)[1]) + np.sum(np.linalg.inv(a) ** 3)

    def slopes(a: np.ndarray, b: np.ndarray) -> Any:
        return ad.grad(lambda a, b: np.sum(ad.grad(total)(a, b) * (a + 1)))(a, b)

    found = slopes(a, b)
    for i in (0, 17):
        np.testing.assert_allclose(found[i], slopes(a[i : i + 1], b[i : i + 1])[0], rtol=1e-9, atol=1e-10)


def likelihood(a: Any, y: Any) -> Any:
    return y @ np.linalg.solve(a, y) + np.linalg.slogdet(a)[1] + np.linalg.det(a / 2)


@pytest.mark.parametrize("n", [5, 40])
def test_a_plan_has_one_factorisation_of_a_matrix(n):
    pytest.importorskip("scipy")
    a, y = matrix(n), RNG.normal(size=n)
    graph = ad.Graph()
    t, v = graph.tensor(a), graph.tensor(y)
    total = v @ np.linalg.solve(t, v) + np.linalg.slogdet(t)[1] + np.linalg.det(t) / 2.0**n
    first = graph.gradient(total, [t], as_tensors=True)[0]
    compiled = graph.compile(np.sum(first * a.T), [t], [t, v])
    if n > lapack.LEAST_FACTORED:
        assert compiled.source.count(" lu(") == 1
        assert "meaning_s" not in compiled.source
        assert "meaning_det" not in compiled.source
    value, (second,) = compiled(a, y)

    def slope(x: np.ndarray) -> Any:
        inverse = np.linalg.inv(x)
        s = np.linalg.solve(x, y)
        g = -np.outer(inverse.T @ y, s) + inverse.T + np.linalg.det(x) / 2.0**n * inverse.T
        return np.sum(g * a.T)

    np.testing.assert_allclose(value, slope(a), rtol=1e-10)
    h = 1e-6
    for i, j in ((0, 0), (1, 3), (4, 2)):
        e = np.zeros((n, n))
        e[i, j] = h
        np.testing.assert_allclose(second[i, j], (slope(a + e) - slope(a - e)) / (2 * h), rtol=1e-6, atol=1e-5)


def test_the_way_around_is_that_without_scipy(monkeypatch):
    a, y = matrix(40), RNG.normal(size=40)
    found = ad.grad(likelihood)(a, y)
    monkeypatch.setattr(lapack, "scipy_linalg", lambda: None)
    np.testing.assert_allclose(ad.grad(lambda a, y: likelihood(a, y) * 1.0)(a, y), found, rtol=1e-9)
