"""Programs as scientists write them, with ``autodiff.numpy``: loops, buffers, views, in-place updates."""

from __future__ import annotations

import threading
from typing import Any

import numpy  # noqa: ICN001
import pytest

import autodiff as ad
import autodiff.numpy as np
from autodiff import errors

from . import programs

N = 6
RNG = numpy.random.default_rng(0)
MATRIX = RNG.normal(size=(N, N)) + N * numpy.eye(N)
VECTOR = RNG.normal(size=N)
GRID = RNG.normal(size=(N, N))


def jacobi(grid: Any) -> Any:
    a, b = np.copy(grid), np.zeros(grid.shape)
    b[...] = a
    for _ in range(3):
        b[1:-1, 1:-1] = 0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1])
        a[1:-1, 1:-1] = 0.5 * (b[1:-1, 1:-1] + b[1:-1, :-2])
    return np.sum(a**2)


def seidel(grid: Any) -> Any:
    a = np.copy(grid)
    for i in range(1, N - 1):
        a[i, 1:-1] += a[i - 1, :-2] + a[i - 1, 1:-1] + a[i + 1, 2:]
        for j in range(1, N - 1):
            a[i, j] += a[i, j - 1]
            a[i, j] /= 3.0
    return np.sum(np.sin(a))


def cholesky(matrix: Any) -> Any:
    a = np.copy(matrix @ matrix.T)
    a[0, 0] = np.sqrt(a[0, 0])
    for i in range(1, N):
        for j in range(i):
            a[i, j] -= np.dot(a[i, :j], a[j, :j])
            a[i, j] /= a[j, j]
        a[i, i] -= np.dot(a[i, :i], a[i, :i])
        a[i, i] = np.sqrt(a[i, i])
    return np.sum(np.log(np.diag(a)))


def lu(matrix: Any) -> Any:
    a = np.copy(matrix)
    for i in range(N):
        for j in range(i):
            a[i, j] = (a[i, j] - a[i, :j] @ a[:j, j]) / a[j, j]
        for j in range(i, N):
            a[i, j] -= a[i, :i] @ a[:i, j]
    return np.sum(np.log(np.abs(np.diag(a))))


def triangular_solve(matrix: Any) -> Any:
    x = np.empty(N)
    for i in range(N):
        x[i] = (VECTOR[i] - matrix[i, :i] @ x[:i]) / matrix[i, i]
    return np.sum(x**2)


def gram_schmidt(matrix: Any) -> Any:
    a, q, r = np.copy(matrix), np.zeros((N, N)), np.zeros((N, N))
    for k in range(N):
        r[k, k] = np.sqrt(np.dot(a[:, k], a[:, k]))
        q[:, k] = a[:, k] / r[k, k]
        for j in range(k + 1, N):
            r[k, j] = np.dot(q[:, k], a[:, j])
            a[:, j] -= q[:, k] * r[k, j]
    return np.sum(r * GRID) + np.sum(q**3)


def durbin(vector: Any) -> Any:
    y = np.empty(N)
    alpha, beta = -vector[0], 1.0
    y[0] = -vector[0]
    for k in range(1, N):
        beta *= 1.0 - alpha * alpha * 0.1
        alpha = -(vector[k] + np.dot(np.flip(vector[:k]), y[:k])) / (3.0 + beta)
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return np.sum(y)


def covariance(data: Any) -> Any:
    a = data - np.mean(data, axis=0)
    result = np.zeros((N, N))
    for i in range(N):
        result[i, i:] = a[:, i] @ a[:, i:] / (N - 1)
        result[i:, i] = result[i, i:]
    return np.sum(np.tanh(result))


def centred_rows(data: Any) -> Any:
    a = np.array(data)
    for row in a:
        row -= row.mean()
        row /= np.sqrt(np.sum(row * row))
    return np.sum(a[:, 0] * a[:, -1] ** 2)


def spring(vector: Any) -> Any:
    x, v = np.zeros((20, N)), np.zeros(N)
    x[0] = vector
    for t in range(1, 20):
        v -= 0.1 * np.sin(x[t - 1])
        x[t] = x[t - 1] + 0.1 * v
    return np.sum(x[-1] ** 2)


def windows(grid: Any) -> Any:
    out = np.zeros((N - 2, N - 2))
    kernel = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])
    for i in range(N - 2):
        for j in range(N - 2):
            out[i, j] = np.sum(grid[i : i + 3, j : j + 3] * kernel)
    return np.sum(np.maximum(out, 0.0))


def masked(grid: Any) -> Any:
    a = np.copy(grid)
    a[a < 0] *= 0.1
    np.fill_diagonal(a, np.sum(a, axis=0))
    np.copyto(a[0], a[1] ** 2)
    return np.sum(a**2)


def escape(grid: Any) -> Any:
    z = np.zeros(grid.shape)
    inside = np.ones(grid.shape, dtype=bool)
    for _ in range(4):
        z[inside] = z[inside] ** 2 + grid[inside]
        inside[np.abs(z) > 2] = False
    return np.sum(z)


def table(vector: Any) -> Any:
    rows = np.array([[x, x**2, np.sin(x)] for x in vector])
    return np.sum(np.r_[rows[0], rows[:, 1], 1.0] ** 2) + np.sum(np.c_[vector, vector[::-1]][:, 1] ** 3)


def left_behind(vector: Any) -> Any:
    """Points leave a set that shrinks, with their places in a table."""
    rows, columns = np.mgrid[0:2, 0:3]
    start = np.reshape(vector, (2, 3)) * (1 + 0.5j)
    kept = np.zeros(start.shape, dtype=np.complex128)
    rows.shape = columns.shape = 6
    point = np.reshape(start, 6) * 1.0
    for _ in range(4):
        if not len(point):
            break
        np.multiply(point, point, point)
        far = abs(point) > 1.5
        kept[rows[far], columns[far]] = point[far]
        np.logical_not(far, far)
        point, rows, columns = point[far], rows[far], columns[far]
    return np.sum(np.abs(kept) ** 2) + np.sum(np.abs(point) ** 2)


def settled(vector: Any) -> Any:
    """Smoothed until little changes."""
    u, change = np.copy(vector), 1.0
    while change > 0.05:
        before = u.copy()
        u[1:-1] = 0.5 * (u[:-2] + u[2:])
        change = np.sum(abs(u - before))
    return np.sum(u**2)


PROGRAMS = {
    **dict.fromkeys((jacobi, seidel, covariance, centred_rows, windows, masked), GRID),
    **dict.fromkeys((cholesky, lu, triangular_solve, gram_schmidt), MATRIX),
    **dict.fromkeys((durbin, spring, table, left_behind, settled), VECTOR),
    escape: GRID,
}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_gradients_of_programs(program):
    data = PROGRAMS[program]
    kept = data.copy()
    value, gradient = ad.value_and_grad(program)(data)
    np.testing.assert_array_equal(data, kept)
    np.testing.assert_allclose(value, program(data), rtol=1e-12)
    way = numpy.random.default_rng(1).normal(size=data.shape)
    step = 1e-6
    expected = (program(data + step * way) - program(data - step * way)) / (2 * step)
    np.testing.assert_allclose(numpy.sum(gradient * way), expected, rtol=1e-5, atol=1e-7)
    tensor, graph = ad.Tensor(data), ad.Graph()
    with graph:
        recorded = program(tensor)
    np.testing.assert_allclose(graph.gradient(recorded, [tensor])[0], gradient, rtol=1e-9, atol=1e-12)
    traced = ad.function(ad.grad(program))
    for _ in range(2):
        np.testing.assert_allclose(traced(data), gradient, rtol=1e-9, atol=1e-12)


def test_elsewhere_it_is_numpy():
    assert (np.pi, np.float32, np.linalg.LinAlgError) == (numpy.pi, numpy.float32, numpy.linalg.LinAlgError)
    assert type(np.sin([0.0, 1.0])) is type(np.linalg.inv(np.eye(2))) is numpy.ndarray
    assert set(numpy.__all__) <= set(dir(np))
    for made in (np.zeros(3), np.array([1, 2]), np.r_[1:3, 4], np.arange(3), np.eye(2), np.asarray([1.0])):
        assert type(made) is numpy.ndarray
    with pytest.raises(AttributeError):
        np.no_such_name


def test_what_is_created_where_derivatives_are_taken_is_a_tensor():
    with ad.Graph():
        assert isinstance(np.zeros(3), ad.Tensor)
        assert np.arange(3).dtype == np.int64
        assert isinstance(np.zeros_like(numpy.ones(3)), ad.Tensor)
        assert isinstance(np.array(["a"]), numpy.ndarray)
    assert isinstance(np.zeros(3), numpy.ndarray)
    other = []

    def f(x):
        thread = threading.Thread(target=lambda: other.append(type(np.zeros(1))))
        thread.start()
        thread.join()
        assert isinstance(np.zeros(1), ad.Tensor)
        return x

    ad.grad(f)(1.0)
    assert other == [numpy.ndarray]


def test_like_makes_tensors_of_numpys_own_functions():
    t = ad.Tensor([1.0, 2.0])
    for made in (
        numpy.zeros(2, like=t), numpy.ones((1, 2), like=t), numpy.empty(2, like=t), numpy.eye(2, like=t),
        numpy.identity(2, like=t), numpy.arange(3, like=t), numpy.tri(2, like=t), numpy.full(2, t[0], like=t),
        numpy.asarray([t[0], 2.0], like=t), numpy.array([[t[0]], [3.0]], like=t), numpy.asanyarray([1], like=t),
        numpy.ascontiguousarray(t, like=t), numpy.asfortranarray([t], like=t),
    ):  # fmt: skip
        assert isinstance(made, ad.Tensor)
    assert np.asarray(t) is t
    assert np.array(t) is not t
    assert ad.grad(lambda x: np.sum(np.array([x, 2 * x], ndmin=2) ** 2))(3.0) == 30.0


def test_lists_of_tensors_of_different_shapes_say_which():
    t = ad.Tensor([1.0, 2.0])
    with pytest.raises(errors.ShapeError, match=r"array: the parts of a list have the shapes \(\), \(2,\)"):
        np.array([t, 1.0])
    with pytest.raises(errors.UnsupportedError, match="text"):
        np.r_["r", t]


# --- programs of many fields -----------------------------------------------------------------------------------------


def outcome(function: Any, arguments: Any) -> Any:
    """A number made of all that a program returns and of what it leaves in its floating arguments."""
    result = function(*arguments)
    returned = result if isinstance(result, tuple) else () if result is None else (result,)
    parts = [*returned, *[x for x in arguments if x.dtype.kind == "f"]]
    return sum([np.sum(np.sin(0.3 * x + 0.1 * i) * np.cos(x)) for i, x in enumerate(parts)])


@pytest.mark.parametrize("program", programs.PROGRAMS, ids=lambda p: p.function.__name__)
def test_programs_run_as_they_are(program):
    def loss(*arguments: Any) -> Any:
        return outcome(program.function, arguments)

    given = program.arguments
    kept = [x.copy() for x in given]
    rng = numpy.random.default_rng(3)
    value, gradients = ad.value_and_grad(loss, program.argnums)(*given)
    for x, before in zip(given, kept, strict=True):
        np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(value, loss(*[x.copy() for x in given]), rtol=1e-10)
    step = 1e-6
    for place, gradient in zip(program.argnums, gradients, strict=True):
        way = rng.normal(size=given[place].shape)
        ends = [loss(*[x + s * step * way if i == place else x.copy() for i, x in enumerate(given)]) for s in (1, -1)]
        assert gradient.shape == given[place].shape
        np.testing.assert_allclose(np.sum(gradient * way), (ends[0] - ends[1]) / (2 * step), rtol=2e-5, atol=1e-7)
        # By itself, the others being plain arrays that are written into.
        np.testing.assert_allclose(ad.grad(loss, place)(*given), gradient, rtol=1e-8, atol=1e-10)
    graph = ad.Graph()
    tensors = [ad.Tensor(x) if x.dtype.kind == "f" else x for x in given]
    with graph:
        recorded = loss(*[t * 1.0 if isinstance(t, ad.Tensor) else t for t in tensors])
    found = graph.gradient(recorded, [tensors[i] for i in program.argnums])
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)
    traced = ad.function(ad.grad(loss, program.argnums))
    for _ in range(2):
        for one, other in zip(traced(*given), gradients, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ad.function(loss)(*given), value, rtol=1e-10)
