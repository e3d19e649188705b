"""Dtypes and values that went wrong: elements that are Python numbers in plans, integers of any size, complex order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad

from . import checks

ONE: list[tuple[str, Callable[[Any], Any]]] = [
    ("maximum", lambda x: np.maximum(x, 0)),
    ("maximum of booleans", lambda x: np.maximum(x, True)),
    ("minimum", lambda x: np.minimum(0, x)),
    ("clip", lambda x: np.clip(x, 0, 1)),
    ("where", lambda x: np.where(x > 1, x > 0, 0.5) * x),
    ("booleans added", lambda x: ((x > 0) + (x > 0)) * x),
    ("booleans multiplied", lambda x: ((x > 0) * (x > 0)) + x),
    ("converted to booleans", lambda x: x.astype(bool) * x),
    ("large integers", lambda x: (x * 0 + 2.0**53) == 2**53 + 1),
    ("NaN", lambda x: np.maximum(x * np.nan, 1)),
    ("NaN second", lambda x: np.maximum(1, x * np.nan)),
    ("ldexp", lambda x: np.ldexp(x, 3)),
    ("cumsum", lambda x: np.cumsum(x, dtype="i4")),
]


@pytest.mark.parametrize("value", [-1.0, 0.5, 2.5])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2,)])
@pytest.mark.parametrize("f", [f for _, f in ONE], ids=[name for name, _ in ONE])
def test_elements_that_are_python_numbers(f: Any, shape: Any, value: float, backend: Any) -> None:
    data = np.full(shape, value)
    with np.errstate(all="ignore"):
        expected = f(data)
        with checks.capable(backend):
            result = f(ad.Graph(backend=backend).tensor(data))
            got = checks.host(result)
    assert (result.dtype, result.shape) == (np.asarray(expected).dtype, np.shape(expected))
    assert (got.dtype, got.shape) == (np.asarray(expected).dtype, np.shape(expected))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i4", "i8", "u8"])
def test_python_integers_are_compared_by_value(dtype: str) -> None:
    limits = np.iinfo(dtype)
    data = np.array([limits.min, 1, limits.max], dtype)
    x = ad.Tensor(data, constant=True)
    for number in (
        -1,
        0,
        1,
        300,
        2**40,
        2**63 - 1,
        2**63,
        2**64,
        2**70,
        -(2**63),
        -(2**70),
        limits.min - 1,
        limits.max + 1,
    ):
        for compare in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal):
            np.testing.assert_array_equal(compare(x, number), compare(data, number))
            np.testing.assert_array_equal(compare(number, x), compare(number, data))


def test_python_integers_that_do_not_fit() -> None:
    i = ad.Tensor(np.ones(2, np.int8), constant=True)
    for call in (
        lambda: i + 300,
        lambda: np.full_like(i, 300),
        lambda: i.__setitem__(0, -200),
        lambda: np.max(i, initial=1000),
        lambda: np.where([True, False], i, 2**70),
    ):
        with pytest.raises(ad.errors.RangeError, match="does not fit int8"):
            call()
    with pytest.raises(OverflowError):
        ad.Tensor([1.0]) * 10**400


def test_python_integers_of_any_size_beside_floats(backend: Any) -> None:
    graph = ad.Graph(backend=backend)
    x = graph.tensor(np.array([1.0, 2.0], np.float32))
    y = x * 2**70 + x**2 * 2**65
    np.testing.assert_array_equal(checks.host(y), np.float32([1, 2]) * 2**70 + np.float32([1, 4]) * 2**65)
    (g,) = graph.gradient(np.sum(y), [x])
    assert checks.host(g).dtype == np.float32
    np.testing.assert_allclose(checks.host(g), [2.0**70 + 2.0**66, 2.0**70 + 2.0**67])


def test_integers_have_no_negative_powers(backend: Any) -> None:
    i = ad.Tensor(np.array([2, 3]), constant=True)
    with pytest.raises(ad.errors.ArgumentError, match="negative integer powers"):
        i**-1
    power = ad.function(lambda x, n: x**n, backend=backend)
    there = ad.get_backend(backend).home
    given = [there.asarray(a) if checks.away(backend) else a for a in (np.array([2, 3]), np.array([0, 3]))]
    np.testing.assert_array_equal(checks.host(power(*given)), [1, 27])
    given[1] = given[1] - 1
    with pytest.raises(ad.errors.ArgumentError, match="exponent -1"):
        power(*given)


Z = np.array([[1 + 2j, 1 + 3j, -4j], [2 - 1j, 2 - 1j, 0]])
W = np.array([1 + 2j, 1 - 3j, 2])
NAN = np.array([[1 + 2j, complex(np.nan, 1), 3], [complex(1, np.nan), 5, complex(np.nan, 2)]])
ORDERED: list[tuple[Callable[[Any], Any], Any]] = [
    (lambda z: np.max(z), [[0, 0, 0], [0.5, 0.5, 0]]),
    (lambda z: np.max(z, axis=0), [[0, 0, 0], [1, 1, 1]]),
    (lambda z: np.min(z, axis=1, keepdims=True), [[0, 0, 1], [0, 0, 1]]),
    (lambda z: np.maximum(z, W), [[0.5, 1, 0], [1, 1, 0]]),
    (lambda z: np.minimum(z, W[::-1]), [[1, 0, 1], [1, 0, 1]]),
    (lambda z: np.clip(z, 1, 2 + 1j), [[1, 1, 0], [1, 1, 0]]),
    (lambda z: np.ptp(z, axis=0), [[-1, -1, -1], [1, 1, 1]]),
]


@pytest.mark.parametrize(("f", "slopes"), ORDERED, ids=range(len(ORDERED)))
def test_complex_numbers_are_ordered_as_numpy_does(f: Any, slopes: Any, backend: Any) -> None:
    """By real parts, then by imaginary parts; ties share evenly."""
    graph = ad.Graph(backend=backend)
    for data in (Z, NAN):
        expected = f(data)
        got = checks.host(f(graph.tensor(data)))
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        np.testing.assert_array_equal(got[~np.isnan(expected)], expected[~np.isnan(expected)])
    z = graph.tensor(Z)
    (g,) = graph.gradient(np.sum(np.real(f(z) * (1 + 2j))), [z])
    np.testing.assert_allclose(checks.host(g), np.array(slopes) * (1 + 2j))


@pytest.mark.parametrize(
    ("first", "second"), [((5, 5, 0), (0, 5)), ((5, 0, 3), (3, 2)), ((0, 4, 3), (3, 2)), ((2, 4, 3), (3, 0))]
)
def test_gradients_of_products_of_empty_arrays(first: Any, second: Any, backend: Any) -> None:
    graph = ad.Graph(backend=backend)
    x, y = graph.tensor(np.ones(first)), graph.tensor(np.ones(second))
    for g, shape in zip(graph.gradient(np.sum(x @ y), [x, y]), (first, second)):
        assert checks.host(g).shape == shape
        np.testing.assert_array_equal(checks.host(g), 0)


def test_masks_are_never_ignored() -> None:
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    x = ad.Tensor([1.0, 2.0, 3.0])
    for call in (
        lambda: ad.function(np.sum)(masked),
        lambda: ad.function(lambda parts: np.sum(parts["a"]))({"a": masked}),
        lambda: ad.grad(np.sum)(masked),
        lambda: x * masked,
        lambda: np.where(masked > 1, x, 0),
        lambda: x[np.ma.array([0, 1], mask=[False, True])],
        lambda: ad.Tensor(masked),
        lambda: np.sum(x, where=np.ma.array([True, True, False], mask=[True, False, False])),
    ):
        with pytest.raises(ad.errors.AutodiffError, match="masked"):
            call()


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrices_are_no_arrays() -> None:
    matrix = np.asmatrix(np.eye(2))
    for function in (ad.function(lambda x: x * x), ad.grad(np.sum), ad.Tensor):
        with pytest.raises(ad.errors.DTypeError, match=r"np\.matrix"):
            function(matrix)


def test_numbers_of_the_structure_are_arrays_when_looked_at() -> None:
    x = ad.Tensor(np.array(3.0, np.float32))
    for y in (np.imag(x), np.max(ad.Tensor(np.zeros(0, np.float32)), initial=2), np.full_like(x, 1)):
        assert isinstance(y.value, np.ndarray)
        assert np.asarray(y).dtype == y.value.dtype == y.dtype == np.float32
