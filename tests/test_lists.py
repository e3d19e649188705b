"""Functions of ``autodiff.numpy`` for lists of Tensors, beside NumPy's for lists of numbers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as adnp
from autodiff import errors
from autodiff.dispatch import FUNCTIONS, UFUNCS

V = np.array([0.25, 0.5, 0.875])

CALLS = {
    "sum": lambda xp, x: xp.sum(x),
    "mean, axis": lambda xp, x: xp.mean([x, x[::-1]], axis=1),
    "var": lambda xp, x: xp.var(x),
    "max": lambda xp, x: xp.max(x),
    "cumsum": lambda xp, x: xp.cumsum(x),
    "dot": lambda xp, x: xp.dot(x, [1.0, 2.0, 4.0]),
    "inner, keyword": lambda xp, x: xp.clip(x, a_min=[0.3, x[0], 0.0], a_max=1.0),
    "exp": lambda xp, x: xp.exp(x),
    "maximum": lambda xp, x: xp.maximum([x[0], x[1]], [x[2], 0.1]),
    "add.reduce": lambda xp, x: xp.add.reduce(x),
    "multiply.outer": lambda xp, x: xp.multiply.outer(x, x),
    "linalg.norm": lambda xp, x: xp.linalg.norm(x),
    "linalg.solve": lambda xp, x: xp.linalg.solve([[2.0, x[0]], [0.0, x[1]]], x[1:]),
    "fft.fft": lambda xp, x: xp.fft.fft(x).real,
    "nested": lambda xp, x: xp.transpose([[x[0], 1.0], [x[1], x[2]]]),
    "stack": lambda xp, x: xp.stack([xp.array(x), xp.array(x) ** 2]),
    "concatenate": lambda xp, x: xp.concatenate([xp.array(x), [1.0]]),
    "where": lambda xp, x: xp.where([True, False, True], x, 0.0),
    "interp": lambda xp, x: xp.interp([0.3, x[1]], [0.0, 1.0], [x[0], x[2]]),
}


@pytest.mark.parametrize("name", CALLS)
def test_lists_of_tensors(name):
    call = CALLS[name]
    expected = call(np, list(V))
    weights = np.random.default_rng(0).normal(size=np.shape(expected))

    def total(x):
        return np.sum(call(adnp, [x[0], x[1], x[2]]) * weights)

    np.testing.assert_allclose(call(adnp, list(map(ad.Tensor, V))).value, expected, rtol=1e-15)
    found, h = ad.grad(total)(V), 1e-6
    steps = [(np.sum(call(np, list(V + d)) * weights) - np.sum(call(np, list(V - d)) * weights)) for d in h * np.eye(3)]
    np.testing.assert_allclose(found, np.array(steps) / (2 * h), rtol=1e-7, atol=1e-9)


def test_lists_of_numbers_are_numpys():
    assert type(adnp.exp([0.0, 1.0])) is np.ndarray
    assert type(adnp.sum((1, 2), axis=0)) is np.int64
    assert (adnp.pi, adnp.float32, adnp.exp.nin) == (np.pi, np.float32, 1)


def test_parts_that_do_not_fit():
    with pytest.raises(errors.ShapeError, match=r"the parts of a list have the shapes \(\), \(2,\)"):
        adnp.sum([ad.Tensor(1.0), ad.Tensor([1.0, 2.0])])


def test_modules_of_modules():
    assert adnp.linalg.LinAlgError is np.linalg.LinAlgError
    assert set(adnp.fft.__all__) == set(np.fft.__all__)
    assert pickle.loads(pickle.dumps(adnp.linalg.inv))(np.eye(2)).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_every_function_that_takes_tensors_is_there():
    for function in [*FUNCTIONS, *UFUNCS]:
        if getattr(np, function.__name__, None) is function:
            own = getattr(adnp, function.__name__)
            assert getattr(own, "numpys", own) is function or hasattr(own, "__wrapped__")
            assert pickle.loads(pickle.dumps(own)) is own
