"""Draws with Tensors for parameters: they are NumPy's, and have the derivatives that finite differences have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff import errors
from autodiff.numpy_api.draws import FAMILIES, UNRECORDED

PARAMETERS = {
    "loc": np.array([[0.5], [-1.0]]), "scale": np.array([1.0, 0.3, 2.0]), "mean": np.array([0.1, 0.2, 0.3]),
    "sigma": np.array([0.5, 1.0, 0.2]), "low": np.array([0.0, -1.0, 0.7]), "high": np.array([[1.0], [5.0]]),
    "a": np.array([0.5, 1.5, 3.0]), "left": np.array([-1.0, 0.0, 0.5]), "mode": np.array([-0.5, 0.2, 0.7]),
    "right": np.array([[1.0], [2.0]]),
}  # fmt: skip
COVARIANCE = np.array([[2.0, 0.5], [0.5, 1.0]])
TABLE = np.arange(6.0).reshape(3, 2)
SEEDED = (lambda random: random.default_rng(3), lambda random: random.RandomState(3))


def parameters(name: str) -> list[np.ndarray]:
    return [PARAMETERS[key] for key in FAMILIES[name].parameters]


@pytest.mark.parametrize("size", [None, (4, 2, 3)])
@pytest.mark.parametrize("name", FAMILIES)
def test_draws_are_numpys_and_leave_the_generator_where_numpys_is(name: str, size: Any) -> None:
    args = parameters(name)
    for seeded in SEEDED:
        ours, numpys = seeded(anp.random), seeded(np.random)
        found = getattr(ours, name)(*map(ad.Tensor, args), size=size)
        expected = getattr(numpys, name)(*args, size=size)
        assert isinstance(found, ad.Tensor)
        np.testing.assert_allclose(found.value, expected, rtol=1e-14)
        assert ours.normal() == numpys.normal()
    state = np.random.get_state()
    try:
        np.random.seed(3)
        found = getattr(anp.random, name)(*map(ad.Tensor, args), size=size)
        np.random.seed(3)
        np.testing.assert_allclose(found.value, getattr(np.random, name)(*args, size=size), rtol=1e-14)
    finally:
        np.random.set_state(state)


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_of_draws(name: str) -> None:
    args = parameters(name)

    def loss(*values: Any) -> Any:
        return np.sum(getattr(anp.random.default_rng(5), name)(*values) ** 2)

    for i, (value, gradient) in enumerate(zip(args, ad.grad(loss, tuple(range(len(args))))(*args), strict=True)):
        way = np.random.default_rng(i).normal(size=value.shape) * 1e-6
        ends = [loss(*args[:i], value + sign * way, *args[i + 1 :]) for sign in (1, -1)]
        np.testing.assert_allclose(np.sum(gradient * way), (ends[0] - ends[1]) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, t: rng.gamma([1.0, 2.0], t[0] + 1),
        lambda rng, t: rng.multivariate_normal(t[0], COVARIANCE, 5),
        lambda rng, t: rng.choice(t[:, 0], 4),
        lambda rng, t: rng.choice(t[:, 0], 2, False, [0.2, 0.3, 0.5]),
        lambda rng, t: rng.permutation(t),
    ],
    ids=["gamma", "multivariate_normal", "choice", "weighted choice", "permutation"],
)
def test_other_draws_are_numpys(draw: Any) -> None:
    for seeded in SEEDED:
        found = draw(seeded(anp.random), ad.Tensor(TABLE))
        assert isinstance(found, ad.Tensor)
        np.testing.assert_allclose(found.value, draw(seeded(np.random), TABLE), rtol=1e-14)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, t: rng.choice(t, 4, axis=1, shuffle=False),
        lambda rng, t: rng.permutation(t, axis=1),
        lambda rng, t: rng.permuted(t),
        lambda rng, t: rng.permuted(t, axis=0),
        lambda rng, t: rng.multivariate_normal(t[0], COVARIANCE, method="eigh"),
        lambda rng, t: rng.multivariate_normal([1, 2], np.eye(2) + t[:2] @ t[:2].T, (2, 3), method="cholesky"),
    ],
    ids=["choice", "permutation", "permuted", "permuted along", "multivariate_normal", "of a covariance"],
)
def test_draws_of_generators_only_are_numpys(draw: Any) -> None:
    found = draw(anp.random.default_rng(3), ad.Tensor(TABLE))
    np.testing.assert_allclose(found.value, draw(np.random.default_rng(3), TABLE), rtol=1e-13)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_tensor_is_shuffled_in_place(axis: int) -> None:
    array, tensor = TABLE.copy(), ad.Tensor(TABLE)
    shuffled = 2 * tensor
    np.random.default_rng(3).shuffle(array, axis=axis)
    anp.random.default_rng(3).shuffle(shuffled, axis=axis)
    np.testing.assert_array_equal(shuffled.value, 2 * array)
    (gradient,) = ad.Graph().gradient(np.sum(shuffled * np.arange(6.0).reshape(3, 2)), [tensor])
    assert sorted(gradient.ravel()) == [0, 2, 4, 6, 8, 10]


def test_without_tensors_it_is_numpy() -> None:
    rng = anp.random.default_rng(0)
    assert isinstance(rng, np.random.Generator)
    assert anp.random.default_rng(rng) is rng
    np.testing.assert_array_equal(rng.normal(size=3), np.random.default_rng(0).normal(size=3))
    np.testing.assert_array_equal(anp.random.RandomState(1).poisson(3, 4), np.random.RandomState(1).poisson(3, 4))
    assert anp.random.default_rng(1).integers(0, ad.Tensor(9, dtype=int)) == np.random.default_rng(1).integers(0, 9)
    assert anp.random.PCG64 is np.random.PCG64


@pytest.mark.parametrize("name", sorted(UNRECORDED))
def test_draws_without_a_derivative_say_why(name: str) -> None:
    kind = anp.random.default_rng if hasattr(np.random.Generator, name) else anp.random.RandomState
    with pytest.raises(errors.UnsupportedError, match=f"random.{name} is not recorded for Tensors: "):
        getattr(kind(0), name)(ad.Tensor(0.5))


RNG = anp.random.default_rng(0)
ONE = ad.Tensor(1.0)


@pytest.mark.parametrize(
    ("draw", "error", "text"),
    [
        (lambda: RNG.normal(ONE, -1.0), errors.ArgumentError, "normal: scale must not be negative"),
        (lambda: RNG.weibull(ad.Tensor([1.0]), size=(2, 3), b=1), errors.ArgumentError, "it takes a, size; b"),
        (lambda: RNG.triangular(ONE, 2.0), errors.ArgumentError, "right does not fit"),
        (lambda: RNG.normal(ad.Tensor([1.0, 2.0]), size=3), errors.ShapeError, "random.normal"),
        (lambda: RNG.gamma(ONE), errors.UnsupportedError, "but for the scale"),
        (lambda: RNG.choice(3, p=ad.Tensor([0.2, 0.8, 0.0])), errors.UnsupportedError, "by p"),
        (lambda: RNG.multivariate_normal([0, 0], ad.Tensor(COVARIANCE)), errors.UnsupportedError, "cholesky"),
        (lambda: RNG.shuffle([ONE, ONE]), errors.ArgumentError, "shuffle"),
    ],
)
def test_wrong_draws_say_what_is_wrong(draw: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        draw()


def test_numpys_own_generator_names_the_remedy() -> None:
    with pytest.raises(errors.DetachedError, match=r"np\.random of"):
        ad.grad(lambda x: np.sum(np.random.default_rng(0).normal(x)))(np.ones(2))
