"""The twelve evaluations of GradBench, held to finite differences, to closed forms and to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad

from . import gradbench

RNG = np.random.default_rng(5)


def differences(function: Any, x: Any, step: float = 1e-3) -> Any:
    """The Jacobian by differences of fourth order; the axes of the result, and then those of x."""
    x = np.asarray(x, np.float64)
    columns = []
    for place in np.ndindex(x.shape):
        e = np.zeros(x.shape)
        e[place] = step
        near, far = function(x + e) - function(x - e), function(x + 2 * e) - function(x - 2 * e)
        columns.append((8 * near - far) / (12 * step))
    result = np.stack(columns, axis=-1)
    return result.reshape(result.shape[:-1] + x.shape)


def assert_slope(gradient: Any, function: Any, x: Any) -> None:
    expected = differences(function, x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-7 * np.max(np.abs(expected)))


def test_hello():
    assert (gradbench.square(3.0), gradbench.double(3.0)) == (9.0, 6.0)


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (gradbench.log_sum_exp, RNG.normal(size=7)),
        (lambda x: gradbench.polynomial_fit(x, 12), RNG.normal(size=4)),
        (gradbench.determinant_by_minors, RNG.normal(size=(4, 4))),
        (gradbench.determinant_by_elimination, RNG.normal(size=(4, 4))),
        (lambda x: gradbench.runge_kutta(x, 5), RNG.normal(size=4)),
    ],
    ids=["lse", "llsq", "det by minors", "det by elimination", "ode"],
)
def test_small(function, x):
    value, gradient = ad.value_and_grad(function)(x)
    np.testing.assert_allclose(value, function(x), rtol=1e-12)
    assert_slope(gradient, function, x)


def test_log_sum_exp_of_large_numbers():
    x = np.array([1000.0, 999.0, -1000.0])
    np.testing.assert_allclose(ad.grad(gradbench.log_sum_exp)(x), np.exp(x - 1000) / np.sum(np.exp(x - 1000)))


def test_determinant_is_that_of_numpy():
    a = RNG.normal(size=(5, 5))
    expected = np.linalg.det(a) * np.linalg.inv(a).T
    for function in (gradbench.determinant_by_minors, gradbench.determinant_by_elimination):
        np.testing.assert_allclose(function(a), np.linalg.det(a))
        np.testing.assert_allclose(ad.grad(function)(a), expected)


def test_gmm():
    k, d, n = 3, 3, 6
    arguments = [RNG.normal(size=k), RNG.normal(size=(k, d)), RNG.normal(size=(k, d + d * (d - 1) // 2))]
    rest = (RNG.normal(size=(n, d)), 0.7, 2)
    gradients = ad.grad(gradbench.mixture, argnums=(0, 1, 2))(*arguments, *rest)
    for i, gradient in enumerate(gradients):

        def of_one(x, i=i):
            return gradbench.mixture(*arguments[:i], x, *arguments[i + 1 :], *rest)

        assert_slope(gradient, of_one, arguments[i])


def bundle(cameras: int = 3, points: int = 5) -> tuple[Any, ...]:
    observed = np.array([(c, p) for c in range(cameras) for p in range(points) if (c + p) % 2])
    near = RNG.normal(size=(cameras, 11)) * 0.1
    near[0, :3] = 0.0
    near[:, 6] += 1.5
    places = RNG.normal(size=(points, 3)) * 0.3 + [0.0, 0.0, 4.0]
    return near, places, RNG.uniform(0.5, 1, len(observed)), observed, RNG.normal(size=(len(observed), 2))


def test_bundle_adjustment():
    near, places, weights, observed, features = bundle()
    (by_camera, by_point, by_weight), of_weights = gradbench.bundle_blocks(near, places, weights, observed, features)
    assert_slope(of_weights, lambda w: np.sum(1 - w**2), weights)
    for argument, blocks, whose in [(0, by_camera, observed[:, 0]), (1, by_point, observed[:, 1])]:

        def errors(x, argument=argument):
            arguments = [near, places, weights]
            arguments[argument] = x
            return gradbench.bundle(*arguments, observed, features)[0]

        dense = differences(errors, (near, places)[argument])
        one = np.arange(len(observed))
        np.testing.assert_allclose(blocks, dense[one, :, whose], rtol=1e-6, atol=1e-8)
        dense[one, :, whose] = 0
        assert not dense.any()
    weighted = gradbench.bundle(near, places, np.ones(len(weights)), observed, features)[0]
    np.testing.assert_allclose(by_weight, weighted)


def hand(bones: int = 22, vertices: int = 9, correspondences: int = 7) -> gradbench.Hand:
    relatives = np.tile(np.eye(4), (bones, 1, 1))
    relatives[:, :3] += RNG.normal(size=(bones, 3, 4)) * 0.2
    weights = RNG.uniform(size=(bones, vertices))
    positions = np.concatenate([RNG.normal(size=(3, vertices)), np.ones((1, vertices))])
    return gradbench.Hand(
        parents=[-1, 0, *[0 if i % 4 == 2 else i - 1 for i in range(2, bones)]],
        relatives=relatives,
        inverse_absolutes=np.linalg.inv(relatives),
        positions=positions,
        weights=weights / weights.sum(axis=0),
        triangles=RNG.integers(0, vertices, (6, 3)),
        is_mirrored=True,
        correspondences=RNG.integers(0, 6, correspondences),
        points=RNG.normal(size=(correspondences, 3)),
    )


def test_hand_tracking():
    model, theta = hand(), RNG.normal(size=26) * 0.3
    jacobian = ad.jacobian(gradbench.hand_errors, mode="forward")(theta, model)
    assert_slope(jacobian, lambda theta: gradbench.hand_errors(theta, model), theta)


def test_hand_tracking_inside_triangles():
    model, theta, us = hand(), RNG.normal(size=26) * 0.3, RNG.uniform(size=(7, 2))
    jacobian = gradbench.hand_jacobian_inside(theta, us, model)
    by_us = differences(lambda us: gradbench.hand_errors_inside(theta, us, model), us).reshape(7, 3, 7, 2)
    np.testing.assert_allclose(jacobian[:, :2].reshape(7, 3, 2), by_us[np.arange(7), :, np.arange(7)], atol=1e-8)
    assert_slope(jacobian[:, 2:], lambda theta: gradbench.hand_errors_inside(theta, us, model), theta)


def test_kmeans():
    points, centroids = RNG.normal(size=(20, 2)), RNG.normal(size=(3, 2))
    direction = gradbench.newton_direction(centroids, points)
    # Newton's step goes to the means of the clusters.
    nearest = np.argmin(np.sum((points[:, None] - centroids) ** 2, axis=2), axis=1)
    means = np.stack([points[nearest == i].mean(axis=0) for i in range(3)])
    np.testing.assert_allclose(centroids - direction, means)
    assert_slope(ad.grad(gradbench.clustering)(centroids, points), lambda c: gradbench.clustering(c, points), centroids)
    diagonal = np.diagonal(ad.hessian(gradbench.clustering)(centroids, points).reshape(6, 6))
    np.testing.assert_allclose(diagonal, np.repeat(2.0 * np.bincount(nearest), 2))


def test_lstm():
    b, layers = 3, 2
    gates, ends = RNG.normal(size=(2 * layers, 4 * b)), RNG.normal(size=(3, b))
    state, sequence = RNG.normal(size=(2 * layers, b)), RNG.integers(0, 2, (6, b)).astype(float)
    before = state.copy()
    by_gates, by_ends = ad.grad(gradbench.characters, argnums=(0, 1))(gates, ends, state, sequence)
    assert np.array_equal(state, before)
    assert_slope(by_gates, lambda gates: gradbench.characters(gates, ends, state, sequence), gates)
    assert_slope(by_ends, lambda ends: gradbench.characters(gates, ends, state, sequence), ends)


MODES = [outer + inner for outer in "fr" for inner in "fr"]


@pytest.mark.parametrize("modes", MODES)
def test_saddle(modes):
    for found in gradbench.saddle(*modes, np.array([1.0, 1.0]), eta=0.2):
        np.testing.assert_allclose(found, np.zeros(2), atol=1e-4)


@pytest.mark.parametrize("modes", MODES)
def test_particle(modes):
    outer, inner = modes

    def landing(w):
        return gradbench.landing(w, gradbench.GRADIENTS[inner], 2.0)

    slope = gradbench.GRADIENTS[outer](landing)
    np.testing.assert_allclose(slope(0.1), differences(landing, 0.1)[()], rtol=1e-6)
    np.testing.assert_allclose(gradbench.GRADIENTS[outer](slope)(0.1), differences(slope, 0.1)[()], rtol=1e-6)


def test_particle_lands_where_it_should():
    w = gradbench.particle("r", "f", 6e-3, 2.0)
    assert isinstance(w, float)
    assert gradbench.landing(w, ad.grad, 2.0) < 1e-6
