"""Sums pushed into products: as much is saved as before, and nothing leaves the range that did not."""

import warnings

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.core.avals import intern_aval
from autodiff.core.program import Program
from autodiff.plan import execute
from autodiff.plan.watch import FEW, Watched, folded

X = np.arange(12.0).reshape(4, 3) / 7
T = np.array([[1.0, -0.5], [0.25, 2.0], [0.5, 1.0]])


def loss(b, weights, scale):
    """Its gradient is the sum of the rows of ``weights @ T.T``: the sum of those of ``weights``, times ``T.T``."""
    return np.sum(((b + X) @ (T * scale)) * weights)


def gradient(weights, scale):
    b = ad.Tensor(np.zeros(3))
    return ad.Graph().gradient(loss(b, weights, scale), [b])[0]


def wanted(weights, scale):
    return np.sum(weights @ (T * scale).T, 0)


def test_a_sum_goes_into_a_matrix_product():
    """One row goes through the product, not four."""
    b = ad.Tensor(np.zeros(3))
    source = ad.Graph().source(loss(b, np.ones((4, 2)), 1.0), [b])
    assert "reshape((1, 2))" in source, source
    np.testing.assert_allclose(gradient(np.ones((4, 2)), 1.0), wanted(np.ones((4, 2)), 1.0))


@pytest.mark.parametrize("scale", [1e-10, 1e-100])
def test_where_it_leaves_the_range_the_product_is_summed(scale):
    weights = np.full((4, 2), 1e308)
    found = gradient(weights, scale)
    np.testing.assert_allclose(found, wanted(weights, scale), rtol=1e-14)


def test_a_plan_goes_on_after_a_sum_has_left_the_range():
    step = ad.function(ad.grad(loss), backend="numpy")
    b = np.zeros(3)
    for size in (1.0, 1e308, 2.0, 1e308, -3.0):
        weights = np.full((4, 2), size)
        np.testing.assert_allclose(step(b, weights, 1e-10), wanted(weights, 1e-10), rtol=1e-14)


def test_overflows_of_the_user_are_warned_of():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        np.dot(np.full((2, 2), 1e308), np.full((2, 2), 1e10))
    if not told:
        pytest.skip("np.dot of this NumPy does not tell of overflows")
    with pytest.warns(RuntimeWarning, match="overflow|invalid"):
        gradient(np.full((4, 2), 1e308), 1e10)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_infinite_data_give_what_they_give(value):
    weights = np.ones((4, 2))
    weights[1, 0] = value
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(gradient(weights, 1.0), wanted(weights, 1.0))


def test_what_a_user_wrote_is_not_pushed():
    b = ad.Tensor(np.full((4, 3), 1e-10))
    big = np.full((3, 2), 1e308)
    assert np.isfinite(np.sum(b @ big, 1).value).all()
    assert np.isfinite(np.sum(ad.Tensor(np.full((4, 3), 1e308)) * np.full(3, 1e-10), 0).value).all()


def test_a_plan_has_what_plans_have():
    class Plan:
        n_operations, source = 3, "text"

        def __call__(self, x):
            return x * 2, x

    made = []

    def compile(program):
        made.append(program)
        return lambda x: (x * 3,)

    watched = Watched(Plan(), 1, "careful", compile)
    assert (watched.n_operations, watched.n_launches, watched.source) == (3, 3, "text")
    assert watched(np.array(1.0)) == (2.0,)
    assert made == []
    assert watched(np.array(np.inf)) == (np.inf,)
    watched(np.array(-np.inf))
    assert made == ["careful"]


def steps(biases, weights, scale):
    """Several of these losses together, each with sums of its own to look at."""
    return sum([loss(b, w, scale) for b, w in zip(biases, weights)])


BIASES = [np.zeros(3) for _ in range(12)]
WEIGHTS = np.ones((12, 4, 2))


@pytest.mark.parametrize("library", ["numpy", "llvm"])
def test_many_sums_are_looked_at_as_one(library, monkeypatch):
    if library == "llvm":
        pytest.importorskip("llvmlite")
    seen = []
    monkeypatch.setattr(execute, "folded", lambda *given: seen.append((given[1], folded(*given))) or seen[-1][1])
    step = ad.function(ad.grad(lambda *a: steps(a[:-2], *a[-2:]), tuple(range(12))), backend=library)
    for place, size in ((0, 1.0), (5, 1e308), (11, 1e308), (3, -2.0)):
        weights = WEIGHTS.copy()
        weights[place] = size
        found = step(*BIASES, weights, 1e-10)
        for one, gradient in zip(weights, found, strict=True):
            np.testing.assert_allclose(gradient, wanted(one, 1e-10), rtol=1e-14)
    assert [(len(witnesses) >= 12, len(numbers)) for witnesses, numbers in seen] == [(True, 1)]


def test_only_few_sums_and_those_of_a_small_range_are_looked_at_apart():
    program = Program([intern_aval((3,), np.dtype(name)) for name in ["f8"] * 4 + ["f4", "f2"]])
    sums = [program.call(ops.sum_p, 0, params=((0,),)), *range(1, 6)]
    assert folded(program, sums[:FEW]) == tuple(sums[:FEW])
    double, single, half = folded(program, sums)
    assert [program.avals[x].dtype for x in (double, single)] == [np.float64, np.float32]
    assert [program.avals[x].ndim for x in (double, single)] == [0, 0]
    assert half == sums[-1]
