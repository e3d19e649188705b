"""Arrays of one element, which plans compute with Python's floats: types, signs of zeros and infinities are NumPy's."""

import numpy as np
import pytest

import autodiff as ad

CASES = {
    "max0": (lambda x: np.maximum(x, 0), np.array([-1.0])),
    "max0b": (lambda x: np.maximum(0, x), np.array([-1.0])),
    "min": (lambda x: np.minimum(x, -2), np.array([3.0])),
    "clip": (lambda x: np.clip(x, 0, 1), np.array([-1.0])),
    "clip0d": (lambda x: np.clip(x, 0, 1), np.array(-1.0)),
    "where": (lambda x: np.where(x > 1, x > 0, 0.5) * x, np.array(2.0)),
    "where2": (lambda x: np.where(x > 1, 1, x), np.array([2.0])),
    "zero": (lambda x: np.maximum(x, -0.0), np.array([0.0])),
    "zero2": (lambda x: np.maximum(x, 0.0), np.array([-0.0])),
    "sum-0": (lambda x: np.sum(x) * 1, np.array([-0.0])),
    "sumk": (lambda x: np.sum(x, keepdims=True), np.array([[-0.0]])),
    "mean": (lambda x: np.mean(x), np.array([-0.0])),
    "bool": (lambda x: (x > 0) * x + (x > 1), np.array([2.0])),
    "bool2": (lambda x: ((x > 0) & (x < 3)) * 1.0, np.array([2.0])),
    "b3": (lambda x: np.equal((x > 0) + (x > 1), x > -1), np.array([2.0])),
    "pow": (lambda x: x**1e3, np.array([10.0])),
    "exp": (lambda x: np.exp(x) * 0, np.array([1000.0])),
    "div": (lambda x: 1 / x, np.array([-0.0])),
    "mod": (lambda x: x % 0.0, np.array([1.0])),
    "overflow": (lambda x: x * x * 1e-10, np.array([1e200])),
    "intcmp": (lambda x: x == 2**53 + 1, np.array([2.0**53])),
    "bigint": (lambda x: x * 10**300, np.array([1e-300])),
    "sqrt-": (lambda x: np.sqrt(x), np.array([-1.0])),
    "sqrt-0": (lambda x: np.sqrt(x), np.array([-0.0])),
    "abs": (lambda x: abs(x) * -1, np.array([-0.0])),
    "f32": (lambda x: np.maximum(x, 0) * 2**30 * 2**30, np.array([1e20], np.float32)),
    "hyp": (lambda x: np.hypot(x, 1e308), np.array([1e308])),
    "log": (lambda x: np.log(x), np.array([0.0])),
    "asin": (lambda x: np.arcsin(x), np.array([2.0])),
    "pow0": (lambda x: x**0.5, np.array([-np.inf])),
    "pow3": (lambda x: x**3.0, np.array([-2.0])),
    "powneg": (lambda x: (-x) ** 0.3, np.array([2.0])),
    "round": (lambda x: np.square(x) * 1, np.array([1e200])),
    "fold": (lambda x: x * 0 + np.float64(3) * 2, np.array([1.0])),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_one_element_is_what_numpy_makes_of_it(name):
    function, value = CASES[name]
    wanted = np.asarray(function(value))
    x = ad.Tensor(value, dtype=value.dtype)
    found = [function(x).value, ad.function(function)(value), ad.Graph().value_and_gradient(function(x) * 1.0, [x])[0]]
    for result, expected in zip(found, [wanted, wanted, wanted * 1.0], strict=True):
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
        if expected.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))
