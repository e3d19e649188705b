"""Functions that write into what they are given do so as NumPy does, and derivatives pass through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

X = np.arange(12.0).reshape(3, 4) + 0.5
MASK = X % 2 < 1
V = np.array([10.0, 20.0, 30.0])

CALLS: dict[str, Any] = {
    "copyto": lambda x, v: np.copyto(x, v[:, None]),
    "copyto masked": lambda x, v: np.copyto(x, v[:, None] * 2, where=MASK),
    "copyto number": lambda x, v: np.copyto(x[1:], 3 * v[0], casting="unsafe"),
    "copyto view": lambda x, v: np.copyto(x[1:, ::2], v[1:, None]),
    "put": lambda x, v: np.put(x, [0, -1, 5], v),
    "put fewer": lambda x, v: np.put(x, [0, 2, 4, 6], v[:2]),
    "put wrap": lambda x, v: np.put(x, [12, -13], v[0], mode="wrap"),
    "put clip": lambda x, v: np.put(x, [[40], [-3]], v[:2], mode="clip"),
    "put method": lambda x, v: x.put([1, 1], v[:2]),
    "place": lambda x, v: np.place(x, MASK, v),
    "place other shape": lambda x, v: np.place(x, MASK.ravel(), v[:1]),
    "putmask": lambda x, v: np.putmask(x, MASK, v),
    "putmask same shape": lambda x, v: np.putmask(x, x > 5, x * 2 + v[0]),
    "fill_diagonal": lambda x, v: np.fill_diagonal(x, v[0]),
    "fill_diagonal vector": lambda x, v: np.fill_diagonal(x, v),
    "fill_diagonal tall": lambda x, v: np.fill_diagonal(x.reshape(6, 2), v[:2]),
    "fill_diagonal wrap": lambda x, v: np.fill_diagonal(x.reshape(6, 2), v[:2], wrap=True),
    "fill_diagonal cube": lambda x, v: np.fill_diagonal(x.reshape(-1)[:8].reshape(2, 2, 2), v[:2]),
    "put_along_axis": lambda x, v: np.put_along_axis(x, np.array([[1], [3], [0]]), v[:, None], 1),
    "put_along_axis flat": lambda x, v: np.put_along_axis(x, np.array([1, 7]), v[:2], None),
    "fill": lambda x, v: x[1].fill(v[1]),
    "row loop": lambda x, v: [row.__isub__(row.mean() * v[0]) for row in x],
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_is_written_is_what_numpy_writes(call):
    array = X.copy()
    call(array, V)
    tensor = ad.Tensor(X)
    call(tensor, ad.Tensor(V))
    np.testing.assert_array_equal(tensor.value, array)
    tensor = ad.Tensor(X)
    call(tensor, V)
    np.testing.assert_array_equal(tensor.value, array)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_derivatives_pass_through_what_is_written(call):
    weights = np.random.default_rng(0).normal(size=X.shape)

    def total(x: Any, v: Any) -> Any:
        y = x * 1.0
        call(y, v)
        return np.sum(weights * y**2)

    found = ad.grad(total, (0, 1))(X, V)
    traced = ad.function(ad.grad(total, (0, 1)))(X, V)
    for place, argument in enumerate((X, V)):
        np.testing.assert_array_equal(found[place], traced[place])
        way = np.random.default_rng(1).normal(size=argument.shape)
        given = [X, V]
        ends = []
        for sign in (1, -1):
            given[place] = argument + sign * 1e-6 * way
            ends.append(total(*given))
        np.testing.assert_allclose(np.sum(found[place] * way), (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: np.copyto(np.zeros(3), t), errors.UnsupportedError, "an object of class ndarray would lose"),
        (lambda t: np.copyto(t, 1j * t), errors.DTypeError, "does not convert to float64"),
        (lambda t: np.copyto(t, np.zeros(4)), errors.ShapeError, "copyto"),
        (lambda t: np.put(t, [3], 1.0), errors.IndexingError, "out of"),
        (lambda t: np.put(t, [0], 1.0, mode="wild"), errors.ArgumentError, "put: mode=str 'wild' is not one of"),
        (lambda t: np.place(t, [True], 1.0), errors.ArgumentError, "a mask of shape"),
        (lambda t: np.place(t, [True] * 3, []), errors.ArgumentError, "no values to place"),
        (lambda t: np.fill_diagonal(t, 1.0), errors.ArgumentError, "has no diagonal"),
        (lambda t: np.put_along_axis(t, np.array([[0]]), 1.0, 0), errors.ArgumentError, "as many dimensions"),
    ],
)
def test_wrong_calls_say_what_is_wrong_and_change_nothing(call, error, words):
    t = ad.Tensor([1.0, 2.0, 3.0])
    with pytest.raises(error, match=words):
        call(t)
    assert t.value.tolist() == [1.0, 2.0, 3.0]


# Writing where a mask is true whose values nobody knows yet: one value for all that it chooses.
MASKED: dict[str, Any] = {
    "number": lambda x, v: x.__setitem__(x < 5, v[0]),
    "rows": lambda x, v: x.__setitem__(x[:, 0] > 3, x[0] * v[0]),
    "rows of one": lambda x, v: x.__setitem__((x[:, 0] > 3, slice(None)), x[1:2] * v[0]),
    "columns": lambda x, v: x.__setitem__((slice(None), x[0] < 2), v[:, None]),
    "last axis": lambda x, v: x.__setitem__((Ellipsis, x[0] < 2), 2 * v[1]),
    "first axes": lambda x, v: x.__setitem__((x > 5, Ellipsis), v[2]),
    "view": lambda x, v: x.T[1:].__setitem__(x.T[1:] > 4, v[0]),
    "nothing": lambda x, v: x.__setitem__(x > 100, v[0]),
}


@pytest.mark.parametrize("call", MASKED.values(), ids=MASKED)
def test_where_an_unknown_mask_is_true_one_value_is_written(call):
    weights = np.random.default_rng(0).normal(size=X.shape)

    def written(x: Any, v: Any) -> Any:
        y = x * 1.0
        call(y, v)
        return y

    def total(x: Any, v: Any) -> Any:
        return np.sum(weights * written(x, v) ** 2)

    np.testing.assert_array_equal(ad.function(written)(X, V), written(X, V))
    for one, other in zip(ad.function(ad.grad(total, (0, 1)))(X, V), ad.grad(total, (0, 1))(X, V), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


# One value for each place: how many there are is looked at.
COUNTED: dict[str, Any] = {
    "each": lambda x, v: x.__setitem__(x > 8, v[0] * x[x > 8]),
    "rows": lambda x, v: x.__setitem__(x[:, 0] > 3, v[:2, None] * x[:2]),
    "in part": lambda x, v: x.__setitem__((slice(0, 2), x[0] > 1), v[0]),
}


@pytest.mark.parametrize("call", COUNTED.values(), ids=COUNTED)
def test_where_an_unknown_mask_is_true_values_that_differ_are_written(call):
    test_where_an_unknown_mask_is_true_one_value_is_written(call)


def test_what_does_not_fit_where_an_unknown_mask_is_true():
    for call, words in (
        (lambda x: x.__setitem__(x > 5, x[0, :3]), "float64.3. .*(7,)"),
        (lambda x: x.__setitem__(x[0] > 5, 1.0), "boolean index of shape"),
        (lambda x: x.__setitem__(x > 5, 1j * x[0, 0]), "complex"),
    ):
        with pytest.raises(errors.AutodiffError, match=words):
            ad.function(lambda x, call=call: call(x))(X)
