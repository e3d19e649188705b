"""Sums of loops of compiled loops."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff as ad

pytest.importorskip("llvmlite")


def test_several_long_sums_of_one_loop():
    """Each keeps what its additions lose, over both axes of a matrix that is not walked in one go."""
    a = np.random.default_rng(0).normal(size=(50, 50))
    graph = ad.Graph(backend="llvm")
    t, s = graph.tensor(a), graph.tensor(0.5)
    both = t + t.T
    total = np.sum(both * t) * s + np.sum(np.exp(both) * s) + np.sum(both * a)
    found = [np.asarray(x) for x in graph.gradient(total, [s])]
    expected = np.sum((a + a.T) * a) + np.sum(np.exp(a + a.T))
    np.testing.assert_allclose(found, [expected], rtol=1e-12)


def test_the_likelihood_of_a_gaussian_process():
    n = 50
    x = np.linspace(0.0, 5.0, n)
    squares, y = (x[:, None] - x) ** 2, np.sin(x)

    def likelihood(length, amplitude, noise):
        covariance = np.exp(2 * amplitude - 0.5 * squares * np.exp(-2 * length)) + np.exp(2 * noise) * np.eye(n)
        factor = np.linalg.cholesky(covariance)
        return 0.5 * np.sum(np.linalg.solve(factor, y) ** 2) + np.sum(np.log(np.diagonal(factor)))

    values = (0.1, -0.2, -2.0)
    graph = ad.Graph(backend="llvm")
    tensors = [graph.tensor(v) for v in values]
    found = [float(x) for x in graph.gradient(likelihood(*tensors), tensors)]
    for i, gradient in enumerate(found):
        h = 1e-6
        up, down = (likelihood(*[v + (sign * h if i == j else 0) for j, v in enumerate(values)]) for sign in (1, -1))
        assert gradient == pytest.approx((up - down) / (2 * h), rel=1e-6)
