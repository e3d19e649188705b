"""What other libraries get silently wrong: each was observed by running them against finite differences."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import autodiff as ad


def gradients(y: Any, *xs: ad.Tensor) -> list[np.ndarray]:
    return ad.Graph().gradient(y, list(xs))


def same(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("reps", [2, (2,)])
def test_tile_with_reps_shorter_than_the_array(reps: Any) -> None:
    x = ad.Tensor([[1.0, 2.0], [3.0, 4.0]])
    w = np.arange(8.0).reshape(2, 4)
    same(gradients(w * np.tile(x, reps), x), [w[:, :2] + w[:, 2:]])


def test_where_with_branches_that_broadcast() -> None:
    x, y = ad.Tensor([1.0, 2.0]), ad.Tensor(5.0)
    condition = np.array([[True, False], [True, True], [False, False]])
    g, h = gradients(np.where(condition, x, y), x, y)
    same(g, [2, 1])
    same(h, 3)
    assert (g.shape, h.shape) == ((2,), ())


@pytest.mark.parametrize(("function", "share"), [(np.sum, 1.0), (np.mean, 0.5)])
def test_sums_of_a_part(function: Any, share: float) -> None:
    x = ad.Tensor([1.0, 2.0, 3.0])
    same(gradients(function(x, where=np.array([True, False, True])), x), [[share, 0, share]])


def test_norm_that_keeps_its_axis() -> None:
    x = ad.Tensor([[3.0, 4.0], [0.0, 2.0]])
    same(gradients(np.linalg.norm(x, axis=1, keepdims=True), x), [[[0.6, 0.8], [0, 1]]])


def test_full_with_an_array() -> None:
    """NumPy's full asks nobody unless like= is given: then it is a plain array, which no gradient is taken of."""
    x = ad.Tensor([1.0, 2.0])
    same(gradients(np.full((3, 2), x, like=x), x), [[3, 3]])
    with pytest.raises(ad.errors.DifferentiationError, match="not a Tensor"):
        gradients(np.full((3, 2), x), x)


def test_product_with_a_zero() -> None:
    x = ad.Tensor([0.0, 2.0, 3.0])
    same(gradients(np.prod(x), x), [[6, 0, 0]])


def test_plain_tensordot() -> None:
    x = ad.Tensor([[1.0, 2.0], [3.0, 4.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(gradients(np.tensordot(x, x, 1), x), [[[7, 11], [9, 13]]])


def test_operand_that_changes_afterwards() -> None:
    x, c = ad.Tensor([1.0, 2.0]), np.array([3.0, 4.0])
    y = x * c
    picked, where, index = x[np.array([0])], np.array([True, False]), np.array([0, 0])
    z, gathered = np.where(where, x, 0), x[index]
    c[:] = 5
    where[:] = True
    index[:] = 1
    same(gradients(y, x), [[3, 4]])
    same(gradients(z, x), [[1, 0]])
    same(gradients(gathered, x), [[2, 0]])
    same(y.value, [3, 8])
    same(gathered.value, [1, 1])
    same(picked.value, [1])


def test_data_that_changes_afterwards() -> None:
    data = np.array([1.0, 2.0])
    x = ad.Tensor(data)
    y = x**2
    data[:] = 7
    same(gradients(y, x), [[2, 4]])


def test_gradient_does_not_share_memory() -> None:
    x = ad.Tensor([1.0, 2.0])
    graph = ad.Graph()
    y = x * 2.0
    (first,) = graph.gradient(y, [x])
    first[:] = 99
    (second,) = graph.gradient(y, [x])
    same(second, [2, 2])
    (through,) = graph.gradient(np.sum(x + 0.0), [x])
    through += 1
    same(graph.gradient(np.sum(x + 0.0), [x])[0], [1, 1])


def test_repeated_indices_accumulate() -> None:
    x = ad.Tensor([1.0, 2.0, 3.0])
    same(gradients(x[[0, 0, 1]], x), [[2, 1, 0]])
    same(gradients(np.take(x, [0, 0, 1]), x), [[2, 1, 0]])
    same(gradients(x[np.ix_([0, 2, 0])], x), [[2, 0, 1]])
    same(gradients(x[np.array([-1, 2])], x), [[0, 0, 2]])


def test_only_the_last_of_repeated_writes_counts() -> None:
    x, v = ad.Tensor([1.0, 2.0, 3.0]), ad.Tensor([10.0, 20.0])
    y = x * 1
    y[np.array([1, 1])] = v
    same(y.value, [1, 20, 3])
    g, h = gradients(y, x, v)
    same(g, [1, 0, 1])
    same(h, [0, 1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ii", np.eye(2)), ("ii->i", np.eye(2)), ("ii->", np.eye(2)), ("...j->j", np.ones((2, 2)))],
)
def test_einsum_of_one_operand(text: str, expected: np.ndarray) -> None:
    x = ad.Tensor([[1.0, 2.0], [3.0, 4.0]])
    same(gradients(np.einsum(text, x), x), [expected])


def test_order_f_gradient() -> None:
    x = ad.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    w = np.arange(6.0)
    same(gradients(np.ravel(x, order="F") * w, x), [w.reshape(2, 3, order="F")])
    same(gradients(x.reshape(3, 2, order="F") * w.reshape(3, 2), x), [w.reshape(3, 2).reshape(2, 3, order="F")])


def test_memory_order_is_no_property_of_a_tensor() -> None:
    """'A' and 'K' mean 'C', whatever the layout of the array that the Tensor was made from."""
    data = np.asfortranarray([[1.0, 2.0], [3.0, 4.0]])
    same(np.ravel(ad.Tensor(data), order="A").value, [1, 2, 3, 4])
    same(np.ravel(ad.Tensor(data), order="K").value, [1, 2, 3, 4])
    same(np.reshape(ad.Tensor(data), 4, order="A").value, [1, 2, 3, 4])


def test_a_variable_that_does_not_matter() -> None:
    x, y = ad.Tensor([1.0, 2.0]), ad.Tensor(np.ones((2, 1), np.float32))
    with pytest.warns(ad.errors.IndependentWarning, match="variable 1"):
        _, g = gradients(x * 2, x, y)
    assert (g.shape, g.dtype) == ((2, 1), np.float32)
    assert not g.any()


def test_nested_derivatives_do_not_mix() -> None:
    """Perturbation confusion: d/dx (x d/dy (x + y)) is 1."""
    same(ad.grad(lambda x: x * ad.grad(lambda y: x + y)(1.0))(2.0), 1.0)
    same(ad.grad(lambda x: x * ad.grad(lambda y: x * y * y)(3.0))(2.0), 24.0)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_modf_keeps_the_sign_of_zero(kind: str) -> None:
    """-5.0 has the fractional part -0.0, whose derivative is 1 as everywhere."""
    values = np.array([-5.0, -0.0, 0.0, 5.5, -2.25, -np.inf, np.inf], kind)
    x = ad.Tensor(values)
    for found, expected in zip(np.modf(x), np.modf(values), strict=True):
        np.testing.assert_array_equal(found.value, expected)
        np.testing.assert_array_equal(np.signbit(found.value), np.signbit(expected))
    same(gradients(np.modf(x)[0], x), [[1, 1, 1, 1, 1, 0, 0]])


@pytest.mark.skipif(not hasattr(np, "cumulative_sum"), reason="of NumPy 2.1")
@pytest.mark.parametrize("keywords", [{}, {"axis": 0}, {"axis": -1}, {"include_initial": True}])
def test_running_sums_of_one_number(keywords: Any) -> None:
    x = ad.Tensor(2.5)
    found, expected = np.cumulative_sum(x, **keywords), np.cumulative_sum(x.value, **keywords)
    np.testing.assert_array_equal(found.value, expected)
    same(gradients(found, x), [1.0])


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (8,)])
def test_tanh_far_out(kind: str, shape: tuple[int, ...]) -> None:
    x = ad.Tensor(np.full(shape, 20, kind))
    (slope,) = gradients(np.tanh(x * np.ones(shape, kind)), x)
    assert (slope.shape, slope.dtype) == (x.shape, x.dtype)
    np.testing.assert_allclose(slope, 1 / np.cosh(20.0) ** 2, rtol=1e-5)


def test_complex_numbers_written_into_real_ones() -> None:
    x = ad.Tensor([1.0, 2.0]) * 2
    with pytest.raises(TypeError, match="complex"):
        x[0] = 1j


@pytest.mark.parametrize(
    ("function", "values", "initial"),
    [
        (np.prod, [-2e272, 5e64, 1.5], 5e-324),
        (np.prod, [1e-300, 1e-300], 1e300),
        (np.sum, [1.0, 2.0], -0.0),
    ],
)
def test_a_reduction_begins_with_its_start(function: Any, values: Any, initial: float) -> None:
    """Without it the elements overflow, or underflow."""
    x = ad.Tensor(values)
    for keywords in ({}, {"axis": 0, "keepdims": True}, {"where": np.ones(len(values), bool)}):
        expected = function(np.array(values), initial=initial, **keywords)
        found = function(x, initial=initial, **keywords)
        assert found.shape == np.shape(expected)
        np.testing.assert_allclose(found.value, expected, rtol=1e-15)


def test_a_start_has_a_derivative() -> None:
    x, start = ad.Tensor(np.arange(1.0, 25.0).reshape(2, 3, 4)), ad.Tensor(0.5)
    g, h = gradients(np.prod(x, axis=(0, 2), initial=start), x, start)
    expected = np.prod(x.value, axis=(0, 2), keepdims=True)
    same(g, 0.5 * expected / x.value)
    same(h, np.sum(expected))


@pytest.mark.parametrize("decimals", [-3, -1, 0, 1, 3])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i4"])
def test_round_to_every_bit(decimals: int, kind: str) -> None:
    values = np.random.default_rng(0).normal(size=500) * 10.0 ** np.random.default_rng(1).integers(
        0, 2 if kind == "f2" else 5, 500
    )
    values = values.astype(kind)
    np.testing.assert_array_equal(
        np.round(ad.Tensor(values, constant=True), decimals).value, np.round(values, decimals)
    )


BEYOND = 10**19


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize(
    "function",
    [
        lambda a: np.where(a > 2, a, BEYOND),
        lambda a: np.select([a > 2], [a], BEYOND),
        lambda a: np.full_like(a, BEYOND),
        lambda a: np.max(a, initial=BEYOND),
        lambda a: np.sum(a, initial=BEYOND),
        lambda a: np.clip(a, None, BEYOND),
        lambda a: np.pad(a, 1, constant_values=BEYOND),
        lambda a: np.multiply(a, BEYOND, dtype="float64"),
        lambda a: np.maximum(a, BEYOND, out=a * 1.0),
        lambda a: _written(a * 1.0),
    ],
)
def test_integers_beyond_int64_beside_floats(function: Any, kind: str) -> None:
    values = np.array([1.0, 2.0, 3.0], kind)
    expected = function(values)
    for found in (function(ad.Tensor(values)).value, ad.function(function)(values)):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def _written(a: Any) -> Any:
    a[1:] = BEYOND
    return a


@pytest.mark.parametrize("number", [1e308, -1e200, 1e-300])
@pytest.mark.parametrize(
    "function", [np.fmax, np.maximum, np.hypot, np.arctan2, np.copysign, np.logaddexp, np.multiply]
)
def test_numbers_beyond_single_precision(backend: ad.Backend, function: Any, number: float) -> None:
    """They are infinite, or zero, beside single precision; PyTorch refuses to fill an array with them."""
    values = np.array([1.0, -2.0], np.float32)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = backend.home.to_numpy(function(ad.Graph(backend).tensor(values), number).value)
        expected = function(values, number)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "bool"])
@pytest.mark.parametrize("function", [np.power, np.float_power, np.hypot, np.arctan2, np.logaddexp, np.multiply])
def test_derivatives_beside_small_integers_are_as_precise(function: Any, kind: str) -> None:
    """The logarithm of an int8 is half precision, its square wraps around."""
    whole, point = np.array([1, 3, 100]).astype(kind), np.array([0.3, 1.7, 2.5])
    x = ad.Tensor(point)
    (found,) = gradients(function(ad.Tensor(whole, constant=True), x), x)
    (expected,) = gradients(function(whole.astype(float), x), x)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("rcond", [0.5, 1.0, 2.0, 0.0, -1.0, np.inf, np.nan, np.nextafter(1.0, 0.0)])
def test_what_lstsq_takes_for_its_own_precision(rcond: float) -> None:
    """LAPACK ignores a tolerance of 0, less, 1 and more; taken at its word, it gave zeros, or 1e20."""
    a, b = np.diag([1.0, 1e-3, 1e-20]), np.ones(3)
    x, _, rank, _ = np.linalg.lstsq(a, b, rcond)
    for tolerance in (rcond, ad.Tensor(rcond)):
        found = np.linalg.lstsq(ad.Tensor(a), b, tolerance)
        np.testing.assert_allclose(found[0].value, x, rtol=1e-12)
        assert found[2].value == rank


@pytest.mark.parametrize("function", [np.tril_indices_from, np.triu_indices_from])
def test_the_diagonal_of_indices_of_triangles_may_be_a_tensor(function: Any) -> None:
    """It was taken for its shape, and so for 0."""
    x = ad.Tensor(np.ones((3, 4)))
    # NumPy refuses halves from 2.5 on.
    for k in (1, -1, 0.5)[: None if np.lib.NumpyVersion(np.__version__) < "2.5.0" else 2]:
        for one, other in zip(function(x, ad.Tensor(k)), function(np.ones((3, 4)), k)):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["u1", "u8", "i8"])
def test_unsigned_integers_have_negatives_where_numpy_means_them(kind: str) -> None:
    """The step of `np.gradient` and the reflections of `np.pad` were negated in their dtype."""
    whole = np.array([[1, 5, 2], [7, 3, 9], [4, 8, 6]], kind)
    step = np.array(2, kind)
    for one, other in zip(
        np.gradient(ad.Tensor(whole, constant=True), 0.5, step, edge_order=2),
        np.gradient(whole, 0.5, step, edge_order=2),
    ):
        np.testing.assert_allclose(one.value, other)
    found = np.pad(ad.Tensor(whole, constant=True), 3, "reflect", reflect_type="odd")
    np.testing.assert_array_equal(found.value, np.pad(whole, 3, "reflect", reflect_type="odd"))


def test_bits_of_truths_and_the_largest_number_of_extended_precision() -> None:
    truths = np.array([True, False])
    found = np.bitwise_count(ad.Tensor(truths, constant=True))
    np.testing.assert_array_equal(found.value, np.bitwise_count(truths))
    assert found.dtype == np.uint8
    large = np.array([np.inf, -np.inf], np.longdouble)
    np.testing.assert_array_equal(np.nan_to_num(ad.Tensor(large)).value, np.nan_to_num(large))


def test_complex_weights_of_polyfit_are_refused() -> None:
    x = ad.Tensor([0.0, 1.0, 2.0])
    with pytest.raises(ad.errors.DTypeError, match=r"w=complex128.* must be real"):
        np.polyfit(x, x, 1, w=np.ones(3) * 1j)
