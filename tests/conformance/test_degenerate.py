"""Singular matrices and equal values: what is well defined is right, and all else is NaN or an error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad

IDENTITY = np.eye(3)


def gradient(function: Any, a: Any) -> np.ndarray:
    return np.asarray(ad.grad(function)(np.asarray(a, float)))


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def tangent(function: Any, a: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The directional derivative, in forward mode."""
    t = ad.Tensor(a)
    found = ad.differentiate.Forward({t.node: ad.Tensor(v).node})(function(t).node)
    assert found is not None
    return np.asarray(ad.tensor.wrap(found))


# --- equal values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [np.linalg.eigvalsh, lambda a: np.linalg.eigh(a)[0], np.linalg.svdvals])
def test_functions_of_a_spectrum_with_equal_values(values):
    close(gradient(lambda a: np.sum(values(a)), IDENTITY), IDENTITY)
    close(gradient(lambda a: np.prod(values(a)), np.diag([2.0, 2.0, 3.0])), np.diag([6.0, 6.0, 4.0]))


def test_the_greatest_of_equal_values_has_the_shortest_subgradient():
    close(gradient(lambda a: np.linalg.eigvalsh(a)[-1], IDENTITY), IDENTITY / 3)
    close(gradient(lambda a: np.linalg.norm(a, 2), np.diag([2.0, 2.0, 1.0])), np.diag([0.5, 0.5, 0]))
    close(gradient(lambda a: np.linalg.norm(a, 2), np.zeros((2, 2))), np.zeros((2, 2)))
    close(gradient(lambda a: np.linalg.norm(a, "nuc"), np.diag([2.0, 0.0])), np.diag([1.0, 0]))
    close(tangent(np.linalg.eigvalsh, np.diag([1.0, 1.0, 2.0]), np.diag([3.0, 1.0, 5.0])), [2, 2, 5])


def projector(a: Any) -> Any:
    """Onto the eigenvector of the greatest eigenvalue."""
    v = np.linalg.eigh(a)[1][:, -1:]
    return v @ v.T


def best_of_rank_one(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a)
    return (u[:, :1] * s[:1]) @ vh[:1]


@pytest.mark.parametrize("function", [projector, best_of_rank_one])
@pytest.mark.parametrize("a", [np.diag([1.0, 1.0, 2.0]), np.diag([0.0, 0.0, 2.0])], ids=["equal", "zero"])
def test_what_equal_values_have_no_part_in(function, a):
    w = np.arange(9.0).reshape(3, 3) + np.eye(3)
    found = gradient(lambda x: np.sum(w * function((x + x.T) / 2)), a)
    h = 1e-6
    for i, j in np.ndindex(3, 3):
        v = np.zeros((3, 3))
        v[i, j] += h / 2
        v[j, i] += h / 2
        expected = np.sum(w * (function(a + v) - function(a - v))) / (2 * h)
        np.testing.assert_allclose(found[i, j], expected, atol=1e-8)


def test_what_no_cotangent_says_is_nan():
    w = np.arange(9.0).reshape(3, 3)

    def rebuilt(a: Any) -> Any:
        values, vectors = np.linalg.eigh(a)
        return np.sum(w * ((vectors * values) @ vectors.T))

    def rebuilt_from_singular(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a)
        return np.sum(w * ((u * s) @ vh))

    for function in (rebuilt, rebuilt_from_singular):
        for a in (IDENTITY, np.zeros((3, 3)), np.diag([1.0, 1.0, 2.0])):
            assert np.isnan(gradient(function, a)).any()
    assert np.isnan(gradient(lambda a: np.linalg.eigh(a)[1][0, 0], IDENTITY)).any()
    assert np.isnan(tangent(lambda a: np.linalg.eigh(a)[1], IDENTITY, np.ones((3, 3)))).any()
    # A column in no direction that is certain.
    assert np.isnan(gradient(lambda a: np.sum(np.linalg.svd(a, False)[0]), [[1.0, 0], [0, 0], [0, 0]])).any()


def test_one_singular_value_that_is_zero():
    w = np.arange(9.0).reshape(3, 3)

    def rebuilt(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a)
        return np.sum(w * ((u * s) @ vh))

    close(gradient(rebuilt, np.diag([3.0, 2.0, 0.0])), w)
    close(tangent(best_of_rank_one, np.diag([3.0, 0.0]), np.array([[1.0, 2.0], [3.0, 4.0]])), [[1, 2], [3, 0]])


# --- singular matrices -----------------------------------------------------------------------------------------------


def minors(a: np.ndarray) -> np.ndarray:
    n = len(a)
    found = np.empty_like(a)
    for i, j in np.ndindex(n, n):
        found[i, j] = (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1))
    return found


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("lost", [1, 2])
def test_determinants_of_singular_matrices(n, lost):
    a = np.random.default_rng(n).integers(-3, 4, (n, n)).astype(float)
    a[:, :lost] = 0
    a[0, 1:] += 1
    close(gradient(np.linalg.det, a), minors(a))
    stacked = np.stack([a, a + 5 * np.eye(n)])
    found = gradient(lambda x: np.sum(np.linalg.det(x)), stacked)
    np.testing.assert_allclose(found, [minors(x) for x in stacked], rtol=1e-9, atol=1e-9)


def test_second_derivatives_of_determinants_of_singular_matrices():
    for n in (2, 3, 4):
        a = np.zeros((n, n))
        a[1:, 1:] = np.eye(n - 1)
        # det(a + t v) = t v_00 + t^2 (v_00 tr(v') - v_0. v_.0) + ...
        v = np.random.default_rng(n).normal(size=(n, n))
        second = 2 * (v[0, 0] * np.trace(v[1:, 1:]) - v[0, 1:] @ v[1:, 0])
        found = ad.grad(ad.grad(lambda t, a=a, v=v: np.linalg.det(a + t * v)))(0.0)
        np.testing.assert_allclose(found, second, rtol=1e-12)
    with pytest.raises(np.linalg.LinAlgError):
        ad.grad(ad.grad(lambda t: np.linalg.det(np.diag([0.0, 1, 1, 1, 1]) + t * np.ones((5, 5)))))(0.0)


@pytest.mark.parametrize(
    "function", [np.linalg.inv, lambda a: np.linalg.solve(a, np.ones(2)), lambda a: np.linalg.cholesky(a - 1)]
)
def test_errors_of_numpy_come_with_the_value(function):
    t = ad.Tensor(np.ones((2, 2)))
    y = function(t)
    with pytest.raises(np.linalg.LinAlgError):
        y.value


def test_least_squares_that_have_many_solutions():
    a = ad.Tensor([[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]])
    x, residuals, rank, s = np.linalg.lstsq(a, [1.0, 1.0, 1.0])
    e = np.linalg.lstsq(a.value, [1.0, 1.0, 1.0])
    close(x.value, e[0])
    assert np.isnan(residuals.value).all()
    assert int(rank) == e[2] == 1
    close(s.value, e[3])


# --- structure -------------------------------------------------------------------------------------------------------


def test_triangular_factors_are_solved_as_such():
    a = np.array([[4.0, 1.0], [1.0, 3.0]])
    t = ad.Tensor(a)
    factor = np.linalg.cholesky(t)
    r = np.linalg.qr(t)[1]
    for solved in (factor, factor.T, np.conj(factor), r, r.T, factor.T.T):
        for _ in range(20):  # not only until calls are known
            x = np.linalg.solve(solved, np.ones(2))
        assert "solve_triangular" in {node.primitive.name for node in ad.nodes.history(x.node) if node.primitive}
        close(x.value, np.linalg.solve(solved.value, np.ones(2)))
    for other in (t, factor + t, np.linalg.qr(np.ones((2, 3)) * t[0, 0])[1][:, :2], np.linalg.qr(t)[0]):
        x = np.linalg.solve(other, np.ones(2))
        assert x.node.inputs[0].primitive.name == "solve"


def test_named_tuples_are_numpys():
    t = ad.Tensor(np.diag([1.0, 2.0]))
    for function in (np.linalg.svd, np.linalg.eigh, np.linalg.eig, np.linalg.qr, np.linalg.slogdet):
        found = function(t)
        assert type(found) is type(function(t.value))
        assert all(isinstance(part, ad.Tensor) for part in found)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda a: np.linalg.norm(a, "nuc"), "svd"),
        (lambda a: np.sum(np.linalg.eigvalsh(a) ** 3), "eigh"),
        (lambda a: np.sum(np.real(np.linalg.eigvals(a) ** 3)), "eig"),
        (lambda a: np.sum(np.linalg.qr(a, mode="r") ** 3), "qr"),
        (lambda a: np.sum(np.linalg.pinv(a)) + np.linalg.norm(a, "nuc"), "svd"),
    ],
)
def test_values_and_derivatives_have_one_factorisation(function, name):
    a = np.arange(9.0).reshape(3, 3) + 4 * np.eye(3)
    graph = ad.Graph()
    t = graph.tensor(a)
    compiled = graph.compile(function(t), [t], [t])
    calls = [line for line in compiled.source.splitlines() if f"meaning_{name}(" in line or f" {name}(" in line]
    assert len(calls) == 1
    close(compiled(a)[0], function(a))


@pytest.mark.parametrize("shape", [(3, 3), (4, 3)])
def test_singular_values_that_are_left_out(shape):
    """Where they are 0 the rank is kept; where they are not, the formula would be finite and wrong."""
    rng = np.random.default_rng(0)
    u, _, vh = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    v, b = rng.normal(size=shape), rng.normal(size=shape[0])
    for function in (
        lambda a: np.sum(np.linalg.pinv(a, 0.5) ** 2),
        lambda a: np.sum(np.linalg.lstsq(a, b.astype(a.dtype), 0.5)[0] ** 2),
    ):
        for dtype, last in [(np.float64, 0.0), (np.float32, 0.0), (np.float64, 1.0)]:
            a = ((u * [2.4, 1.7, last]) @ vh).astype(dtype)
            found = [np.asarray(ad.grad(function)(a)), tangent(function, a, v.astype(dtype))]
            assert all(np.isnan(x).all() if last else np.isfinite(x).all() for x in found)
    # By the right-hand side it is linear, whatever is left out.
    a = (u * [2.4, 1.7, 1.0]) @ vh
    found = ad.grad(lambda b: np.sum(np.linalg.lstsq(a, b, 0.5)[0]))(b)
    close(found, np.linalg.pinv(a, 0.5).sum(0))
