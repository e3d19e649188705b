"""Order at its corners: ties, NaN, slices without numbers, arguments that nobody knows yet, and what is written to."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.dispatch import FUNCTIONS

from .checks import away, host

NAN = np.nan
KINDS = "?bhilBHILefdFD"


def gradient(function: Any, *arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.IndependentWarning)
        return ad.grad(function)(*[np.asarray(x, float) for x in arguments])


def same(actual: Any, expected: Any) -> None:
    actual = host(actual)
    np.testing.assert_array_equal(actual, expected)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype


# --- ties ------------------------------------------------------------------------------------------------------------


def test_at_ties_derivatives_go_as_in_a_stable_sort():
    x = [2.0, 1.0, 2.0, 1.0]
    weights = np.array([1.0, 10.0, 100.0, 1000.0])
    same(gradient(lambda t: np.sum(np.sort(t) * weights), x), [100.0, 1, 1000, 10])
    same(gradient(lambda t: np.sum(np.sort(t, kind="quicksort") * weights), x), [100.0, 1, 1000, 10])
    same(gradient(np.median, [1.0, 1, 1]), [0.0, 1, 0])
    same(gradient(lambda t: np.quantile(t, 0.25), [1.0, 1, 1, 1, 1]), [0.0, 1, 0, 0, 0])
    same(gradient(lambda t: np.sum(np.unique(t) * [1.0, 10.0]), x), [10.0, 1, 0, 0])
    # Whatever is where, elements and derivatives go together.
    parts = np.partition(np.array(x), 1)
    found = gradient(lambda t: np.sum(np.partition(t, 1) * weights), x)
    assert sorted(found[:2].tolist() + found[2:].tolist()) == weights.tolist()
    same(np.sort(weights[parts == 1]), np.sort(found[np.array(x) == 1]))


@pytest.mark.parametrize("size", [100, 5000])
def test_a_stable_order_of_any_numbers(size):
    rng = np.random.default_rng(size)
    for x in [
        rng.integers(0, 9, size),
        rng.integers(0, 9, size) * 1.0,
        np.where(rng.random(size) < 0.1, NAN, rng.integers(0, 9, size)),
        np.where(rng.random(size) < 0.5, 0.0, -0.0),
        rng.integers(0, 3, (2, size)).astype("f4"),
        rng.integers(0, 3, (size, 2)) * 1j,
    ]:
        for axis in range(x.ndim):
            same(np.argsort(ad.Tensor(x, dtype=x.dtype), axis, stable=True), np.argsort(x, axis, stable=True))


# --- NaN and infinities, by dtype ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", KINDS)
def test_where_nan_belongs(code, backend):
    graph = ad.Graph(backend=backend)
    if np.dtype(code) not in graph.backend.capabilities.dtypes:
        pytest.skip(f"no {np.dtype(code)}")
    x = np.array([3, 1, 2, 2, 0, 7, 5, 1]).astype(code)
    if x.dtype.kind in "fc":
        x[3], x[6], x[7], x[0] = NAN, np.inf, -np.inf, -0.0
    if x.dtype.kind == "c":
        x[1], x[2] = complex(1, NAN), complex(NAN, 1)
    t = graph.tensor(x, dtype=x.dtype, constant=x.dtype.kind in "biu")
    ordered = np.sort(x)
    s = graph.tensor(ordered, dtype=x.dtype, constant=x.dtype.kind in "biu")
    same(np.sort(t, kind="stable"), np.sort(x, kind="stable"))
    same(np.argsort(t, stable=True), np.argsort(x, stable=True))
    same(np.partition(t, 3)[3], ordered[3])
    for side in ("left", "right"):
        same(np.searchsorted(s, t, side), np.searchsorted(ordered, x, side))
    same(np.unique(t), np.unique(x))


def test_medians_and_quantiles_of_slices_with_nan():
    x = np.array([[1.0, NAN, 3.0], [4.0, 6.0, 5.0]])
    t = ad.Tensor(x)
    same(np.median(t, axis=1), np.median(x, axis=1))
    same(np.quantile(t, [0.5, 1], axis=1), np.quantile(x, [0.5, 1], axis=1))
    same(gradient(lambda t: np.median(t, axis=1)[1], x), [[0.0, 0, 0], [0, 0, 1]])
    assert np.isnan(gradient(lambda t: np.median(t[0]), x)).any()


def test_slices_without_numbers_are_nan():
    x = np.array([[NAN, NAN], [1.0, NAN]])
    t = ad.Tensor(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for f in (np.nanmax, np.nanmin, np.nanmean, np.nanmedian, np.nanvar, np.nanstd, np.nansum, np.nanprod):
            same(f(t, axis=1), f(x, axis=1))
        same(np.nanquantile(t, 0.3, axis=1), np.nanquantile(x, 0.3, axis=1))
        same(np.nanmax(t, axis=1, initial=NAN), [NAN, 1.0])
        same(np.median(ad.Tensor(np.zeros((0, 2))), axis=0), [NAN, NAN])
    with pytest.raises(errors.ArgumentError, match="nanargmax"):
        np.nanargmax(t, axis=1)
    same(gradient(np.nanmax, [NAN, 1.0, 3.0, 3.0]), [0, 0, 0.5, 0.5])
    same(gradient(np.nanstd, [NAN, 2.0, 2.0]), [0.0, 0, 0])


# --- small integers --------------------------------------------------------------------------------------------------


def test_quantiles_of_small_integers_do_not_overflow():
    # NumPy 2.4 has 128.
    t = ad.Tensor(np.array([-100, 100], "i1"), dtype="i1", constant=True)
    assert float(np.quantile(t, 0.5)) == 0


# --- what nobody knows yet -------------------------------------------------------------------------------------------


def test_quantiles_of_traced_functions():
    traced = ad.function(lambda x, q: np.quantile(x, q))
    skipping = ad.function(lambda x, q: np.nanquantile(x, q, axis=1))
    x = np.array([3.0, 1, 2, 5, 4])
    for q in (0.3, 0.7):
        np.testing.assert_allclose(traced(x, q), np.quantile(x, q), rtol=1e-15)
        rows = np.array([x, [NAN, 1, 2, NAN, 7]])
        np.testing.assert_allclose(skipping(rows, q), np.nanquantile(rows, q, axis=1), rtol=1e-15)
    for q in (1.5, -0.1, NAN):
        with pytest.raises(errors.IndexingError, match="quantile that is not in range"):
            traced(x, q)
    assert gradient(lambda q: np.quantile(x, q), 0.3) == 4.0


def test_positions_of_traced_functions():
    traced = ad.function(lambda x: x[np.nanargmax(x)] * 2)
    assert traced(np.array([1.0, NAN, 3.0])) == 6
    assert traced(np.array([7.0, 5.0, NAN])) == 14
    with pytest.raises(errors.IndexingError):
        traced(np.array([NAN, NAN, NAN]))


def test_what_depends_on_values_is_traced_anew():
    edges = ad.Tensor([0.0, 1.0, 2.0])
    traced = ad.function(lambda x: np.digitize(x, edges) * 1.0)
    same(traced(np.array([0.5, 1.5])), [1.0, 2.0])
    edges.assign([2.0, 1.0, 0.0])
    same(traced(np.array([0.5, 1.5])), [2.0, 1.0])
    unique = ad.function(np.unique)
    for x in ([1.0, 1.0, 3.0], [2.0, 2.0, 4.0], [1.0, 2.0, 3.0]):
        same(unique(np.array(x)), np.unique(x))
    assert unique.cache_info().misses == 1


# --- in place --------------------------------------------------------------------------------------------------------


def test_sorting_a_view_sorts_its_base():
    t = ad.Tensor([3.0, 1, 2, 0])
    part = t[1:]
    assert part.sort() is None
    same(t, [3.0, 0, 1, 2])
    t.partition(0)
    assert float(part[0]) == float(t[1])
    rows = ad.Tensor([[3.0, 1], [0, 2]])
    rows.T.sort()
    same(rows, [[0.0, 1], [3, 2]])
    kept = np.array([2.0, 1.0])
    same(gradient(lambda x: x.sort() or np.sum(x * [1.0, 10.0]), kept), [10.0, 1])
    same(kept, [2.0, 1])
    assert np.median(ad.Tensor(kept), overwrite_input=True) == 1.5


# --- words of older versions -----------------------------------------------------------------------------------------


def test_interpolation_is_the_older_name_of_method():
    t = ad.Tensor([1.0, 2.0, 4.0])
    with pytest.warns(DeprecationWarning, match="method="):
        found = FUNCTIONS[np.quantile](t, 0.3, interpolation="higher")
    assert float(found) == 2
    with pytest.warns(DeprecationWarning, match="method="), pytest.raises(errors.ArgumentError, match="two names"):
        FUNCTIONS[np.quantile](t, 0.3, method="lower", interpolation="higher")


# --- weights ---------------------------------------------------------------------------------------------------------


def test_weights_that_make_no_quantile():
    x = np.array([1.0, 2, 3])
    asked = ad.function(lambda w: np.quantile(x, 0.5, weights=w, method="inverted_cdf"))
    assert asked(np.array([1.0, 0, 0])) == 1
    for w in ([0.0, 0, 0], [1.0, -1, 2], [NAN, 1, 1]):
        assert np.isnan(asked(np.array(w)))
        with pytest.raises(errors.ArgumentError, match="weights"):
            np.quantile(ad.Tensor(x), 0.5, weights=w, method="inverted_cdf")


def test_correlations_beyond_one_by_rounding_have_their_derivative():
    x = np.array([0.1, 0.2, 0.3, 0.7])
    c = np.corrcoef(ad.Tensor([x, 3 * x]))
    assert np.max(np.abs(np.asarray(c))) <= 1
    np.testing.assert_allclose(gradient(lambda t: np.corrcoef(t, 3 * t)[0, 1], x), 0, atol=1e-12)


def test_sets_on_another_library_come_from_it(backend):
    graph = ad.Graph(backend=backend)
    t = graph.tensor([3.0, 1.0, 3.0])
    values, positions = np.unique(t, return_index=True)
    same(values, [1.0, 3.0])
    assert type(positions) is np.ndarray
    assert not away(backend) or graph.backend.home.owns(values.value)
