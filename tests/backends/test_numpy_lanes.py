"""Batches of small arrays are computed with the axis of the batch last, and give the same."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff as ad
from autodiff_backends.numpy import lanes

RNG = np.random.default_rng(2)
MATRIX = RNG.normal(size=(2, 3))


def updated(x):
    y = x * 1.0
    y[1:] += x[:-1] ** 2
    y[0] = 0.0
    return y


# Functions of one small array; derivatives of each are taken for a batch.
FUNCTIONS = [
    (lambda x: np.tanh(MATRIX @ np.sin(x)) * x[:2], (3,)),
    (lambda x: np.outer(x, x) / (1 + np.dot(x, x)), (3,)),
    (lambda x: np.cross(x, x[::-1] ** 2), (3,)),
    (lambda x: np.concatenate([x[:1], x[1:, None].ravel() * x[:-1]]), (4,)),
    (lambda x: (x.T @ x)[0] + np.sum(x, axis=0), (3, 2)),
    (lambda x: np.where(x > 0, x, 0.5 * x).reshape(3, 2).T.sum(axis=1), (2, 3)),
    (lambda x: np.linalg.solve(x + 3 * np.eye(2), x[0]), (2, 2)),
    (lambda x: np.sort(x)[::2] * np.max(x), (5,)),
    (lambda x: np.cumsum(x)[[0, 0, 2]] * x[:3], (4,)),
    (updated, (4,)),
]


@pytest.fixture
def turned(monkeypatch):
    """Turn small batches too; how many values of plans were turned."""
    monkeypatch.setattr(lanes, "SMALLEST_BATCH", 3)
    monkeypatch.setattr(lanes, "FEWEST_OPERATIONS", 1)
    found = []

    class Counted(lanes.Lanes):
        def __init__(self, program, size):
            super().__init__(program, size)
            found.append(len(self._turned))

    monkeypatch.setattr(lanes, "Lanes", Counted)
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("place", range(len(FUNCTIONS)))
def test_one_by_one_and_together(turned, place, dtype):
    function, shape = FUNCTIONS[place]
    batch = RNG.normal(size=(7, *shape)).astype(dtype)
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    for derivative in (function, ad.jacobian(function), ad.hessian(lambda x: np.sum(np.sin(function(x))))):
        together = ad.vmap(derivative)(batch)
        alone = np.stack([derivative(x) for x in batch])
        assert together.dtype == alone.dtype
        np.testing.assert_allclose(together, alone, **tolerance)
    assert max(turned) > 5


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool", "complex128", "float32"])
@pytest.mark.usefixtures("turned")
def test_what_numpy_computes(dtype):
    """Of arrays that a user has, as NumPy gives it."""
    values = (RNG.normal(size=(9, 4)) * 5).astype(dtype)
    row = np.arange(4).astype(dtype)

    def function(xp, x):
        y = xp.stack([x + row, x * row], axis=1)
        products = y @ xp.reshape(x, (9, 4, 1)), xp.reshape(x, (9, 4, 1)) @ xp.reshape(x, (9, 1, 4))
        return xp.sum(y, axis=2), xp.sum(y * y), products[0], products[1], xp.max(y, axis=1), x[:, 1:] + x[:, :-1]

    t = ad.Tensor(values, constant=True)
    for found, expected in zip(function(np, t), function(np, values), strict=True):
        assert found.dtype == expected.dtype
        tolerance = 1e-2 if dtype == "float16" else 1e-5
        np.testing.assert_allclose(np.asarray(found), expected, rtol=tolerance, atol=tolerance)


def test_large_batches_are_turned():
    x = RNG.normal(size=(2_000, 5))
    graph = ad.Graph()
    t = graph.tensor(x)
    y = np.sum((t[:, 1:] - t[:, :-1] ** 2) ** 2)
    assert "(4, 2000)" in graph.source(y, [t])
    (gradient,) = graph.gradient(y, [t])
    r = x[:, 1:] - x[:, :-1] ** 2
    expected = np.zeros(x.shape)
    expected[:, 1:] += 2 * r
    expected[:, :-1] -= 4 * r * x[:, :-1]
    np.testing.assert_allclose(gradient, expected)
