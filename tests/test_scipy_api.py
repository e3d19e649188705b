"""How SciPy's functions come to take Tensors: when their module is imported, for Tensors only, and not for ever."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy import fft, linalg, special, stats

import autodiff as ad
from autodiff import scipy_api
from autodiff.scipy_api.replacing import REPLACEMENTS, holds_tensor

SCRIPT = """
import sys
{first}
{second}
x = np.array([[1.0, 2.0], [0.5, 3.0]])
got = ad.grad(lambda t: np.sum(linalg.expm(t)))(x)
want = linalg.expm_frechet(x.T, np.ones((2, 2)))[1]
np.testing.assert_allclose(got, want, rtol=1e-12)
"""
OURS, THEIRS = "import numpy as np, autodiff as ad", "from scipy import linalg"


@pytest.mark.parametrize(
    ("first", "second"), [(OURS, THEIRS), (THEIRS, OURS), (OURS, "import scipy; linalg = scipy.linalg")]
)
def test_the_order_of_imports_does_not_matter(first: str, second: str) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT.format(first=first, second=second)], check=True, timeout=120)


def test_nothing_of_scipy_is_imported_for_it() -> None:
    code = "import autodiff, sys; assert not [m for m in sys.modules if m.partition('.')[0] == 'scipy']"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    code = "import autodiff, sys; assert not [m for m in sys.modules if m.startswith('autodiff.scipy_api.l')]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_functions_look_like_scipys() -> None:
    original = inspect.unwrap(linalg.expm)
    assert original is not linalg.expm
    assert (linalg.expm.__name__, linalg.expm.__doc__) == ("expm", original.__doc__)
    assert inspect.signature(linalg.solve) == inspect.signature(inspect.unwrap(linalg.solve))
    assert pickle.loads(pickle.dumps(linalg.expm)) is linalg.expm
    # Whoever had SciPy's own before can still pickle it.
    assert pickle.loads(pickle.dumps(original)) is original


def test_arrays_are_scipys_own() -> None:
    x = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert type(linalg.expm(x)) is np.ndarray
    assert type(linalg.expm(ad.Tensor(x))) is ad.Tensor
    with pytest.raises(ValueError, match="infs or NaNs"):
        linalg.solve(np.full((2, 2), np.nan), x)
    with pytest.raises(TypeError):
        linalg.expm()


def test_tensors_are_found_in_sequences() -> None:
    t = ad.Tensor([1.0, 2.0])
    assert holds_tensor([1, (2, [t])])
    assert not holds_tensor([1, (2, [np.ones(2)]), "text", {"a": t}])
    assert type(linalg.block_diag([[1.0]], [t])) is ad.Tensor
    assert type(linalg.toeplitz(c=np.ones(2), r=t)) is ad.Tensor
    assert type(special.logsumexp([t[0], 3.0])) is ad.Tensor


def test_scipys_own_functions_come_back() -> None:
    wrapped = linalg.expm
    scipy_api.uninstall()
    try:
        assert linalg.expm is inspect.unwrap(wrapped)
        assert REPLACEMENTS not in sys.meta_path
        # What was taken before says so where a derivative would be lost.
        with pytest.raises(ad.errors.DetachedError, match="expm"):
            ad.grad(lambda t: np.sum(linalg.expm(t)))(np.eye(2))
        with pytest.raises(ad.errors.DetachedError, match="fft"):
            ad.grad(lambda t: np.sum(np.abs(fft.fft(t))))(np.ones(3))
    finally:
        scipy_api.install()
    assert linalg.expm is wrapped
    scipy_api.install()
    assert linalg.expm is wrapped


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: linalg.solve(t, np.ones(3)), r"scipy.linalg.solve\(.*as many rows"),
        (lambda t: linalg.solve(t, np.ones(2), assume_a="odd"), "scipy.linalg.solve: assume_a=str 'odd' is not one of"),
        (lambda t: linalg.expm(t[0]), "scipy.linalg.expm"),
        (lambda t: linalg.expm(t, 3), r"scipy.linalg.expm: too many positional arguments; Tensors take .*expm\(A\)"),
        (lambda t: linalg.schur(t), "scipy.linalg.schur is not recorded for Tensors: it is one of many"),
        (lambda t: linalg.qr(t, pivoting=True), "scipy.linalg.qr: .*pivoting"),
        (lambda t: linalg.solve_banded((1, 1), t, np.ones(2)), "scipy.linalg.solve_banded: .*must have 3 rows"),
        (lambda t: special.softmax(t, axis=3), "scipy.special.softmax: .*out of range"),
        (lambda t: special.comb(t, 2, exact=True), "scipy.special.comb: exact=True"),
        (lambda t: stats.norm.rvs(loc=t), "scipy.stats.norm.rvs is not recorded for Tensors"),
        (lambda t: stats.poisson.ppf(0.3, t), "scipy.stats.poisson.ppf is not recorded for Tensors: .*search"),
        (lambda t: stats.skewnorm.cdf(t, 1.0), "scipy.stats.skewnorm.cdf is not recorded for Tensors"),
        (lambda t: stats.levy.logpdf(t), "scipy.stats.levy.logpdf is not recorded for Tensors: no method"),
        (lambda t: stats.multivariate_normal(t[0], t).rvs(), "scipy.stats.multivariate_normal.rvs is not recorded"),
        (lambda t: stats.multivariate_normal.logpdf(t, cov=t, allow_singular=True), "allow_singular=True"),
        (lambda t: fft.dct(t), "scipy.fft.dct is not recorded for Tensors: transforms that NumPy has are"),
        (lambda t: special.polygamma(t, 1.0), "scipy.special.polygamma: .*integers"),
    ],
)
def test_errors_name_the_function_and_what_to_do(call: object, message: str) -> None:
    with pytest.raises(ad.AutodiffError, match=message):
        call(ad.Tensor(np.eye(2)))  # type: ignore[operator]


def test_a_real_matrix_without_a_real_root_is_an_error() -> None:
    with pytest.raises(ad.errors.ArgumentError, match=r"sqrtm of a real matrix .*astype"):
        np.asarray(linalg.sqrtm(ad.Tensor([[-1.0, 0.0], [0.0, -2.0]])))
    root = np.asarray(linalg.sqrtm(ad.Tensor([[-1.0 + 0j, 0.0], [0.0, -2.0]])))
    np.testing.assert_allclose(root @ root, [[-1, 0], [0, -2]], atol=1e-15)


def test_an_equation_without_a_solution_is_an_error() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        np.asarray(linalg.solve_sylvester(ad.Tensor(np.eye(2)), -np.eye(2), np.ones((2, 2))))


def test_a_factor_is_that_of_its_matrix() -> None:
    """Exchanges of rows may be given as numbers, too."""
    a, b = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 0.5], [1.0, 5.0, 1.0]]), np.arange(3.0)
    packed, exchanges = linalg.lu_factor(a)
    t = ad.Tensor(packed)
    np.testing.assert_allclose(np.asarray(linalg.lu_solve((t, exchanges), b)), np.linalg.solve(a, b), rtol=1e-14)
    gradient = ad.grad(lambda a: np.sum(linalg.lu_solve(linalg.lu_factor(a), b) ** 2))(a)
    expected = ad.grad(lambda a: np.sum(np.linalg.solve(a, b) ** 2))(a)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_triangular_systems_are_solved_as_such() -> None:
    a, b = 3 * np.eye(40) + 0.01 * np.ones((40, 40)), np.ones(40)
    graph = ad.Graph()
    t = graph.tensor(a)
    x = linalg.cho_solve(linalg.cho_factor(t, lower=True), b)
    source = graph.source(np.sum(x), [t])
    assert "solve_triangular" in source
    assert "linalg.solve" not in source


OUTSIDE = np.array([-np.inf, -1.5, -1.0, 0.0, 0.5, 1.0, 2.0, 9.0, np.nan])
DISTRIBUTIONS = "norm expon uniform lognorm invgamma beta pareto truncnorm t gamma chi2 maxwell"


@pytest.mark.parametrize("name", DISTRIBUTIONS.split())
@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"])
@pytest.mark.parametrize("keywords", [{}, {"loc": 0.25, "scale": 2.0}, {"scale": -1.0}])
def test_distributions_beyond_their_support(name: str, method: str, keywords: dict[str, float]) -> None:
    """The value is SciPy's everywhere, and no derivative is NaN where the value is a number inside of the support."""
    distribution = getattr(stats, name)
    shapes = {"truncnorm": (-1.0, 1.5), "beta": (2.5, 3.0)}.get(name, (3.5,) * distribution.numargs)
    function = getattr(distribution, method)
    with np.errstate(all="ignore"):
        expected = function(OUTSIDE, *shapes, **keywords)
        found = np.asarray(function(ad.Tensor(OUTSIDE), *shapes, **keywords))
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
    # At the ends of the support there may be a derivative on one side only.
    x = OUTSIDE[np.isfinite(expected) & ~np.isin(OUTSIDE, distribution.support(*shapes, **keywords))]
    if x.size:
        gradient = ad.grad(lambda x, *shapes: np.sum(function(x, *shapes, **keywords)))(x, *shapes)
        assert np.isfinite(gradient).all()


def test_quantiles_at_the_ends() -> None:
    q = np.array([-0.1, 0.0, 0.5, 1.0, 1.1])
    for name, shapes in [("norm", ()), ("expon", ()), ("beta", (2.0, 3.0)), ("pareto", (2.0,))]:
        for method in ("ppf", "isf"):
            function = getattr(getattr(stats, name), method)
            np.testing.assert_allclose(
                np.asarray(function(ad.Tensor(q), *shapes, loc=1.0, scale=2.0)),
                function(q, *shapes, 1.0, 2.0),
                rtol=1e-14,
            )


def test_a_frozen_distribution_of_numbers_takes_tensors() -> None:
    normal = stats.multivariate_normal([0.0, 1.0], [[2.0, 0.3], [0.3, 1.0]])
    x = np.array([0.5, 0.25])
    assert np.asarray(normal.logpdf(ad.Tensor(x))) == pytest.approx(normal.logpdf(x), rel=1e-14)
    gradient = ad.grad(normal.logpdf)(x)
    np.testing.assert_allclose(gradient, -np.linalg.solve(normal.cov, x - normal.mean), rtol=1e-12)
    assert stats.norm(1.0, 2.0).logpdf(ad.Tensor(0.5)).shape == ()


def test_densities_are_recorded_once() -> None:
    """A call that was met before records its operations again, and does no other work."""
    x, loc = ad.Tensor(np.ones(3)), ad.Tensor(0.5)
    first, second = (stats.norm.logpdf(x, loc, 2.0).node for _ in range(2))
    assert first.signature is second.signature


def test_transforms_of_arrays_are_scipys() -> None:
    x = np.arange(5.0)
    assert type(fft.dct(x)) is np.ndarray
    assert fft.fft(x.astype(np.float32)).dtype == np.complex64
    with fft.set_backend("scipy", only=True):
        assert type(fft.fft(x)) is np.ndarray
    assert type(fft.fft(ad.Tensor(x))) is ad.Tensor
