"""Jacobians and Hessians whose zeros are known beforehand, held to those computed from directions that are data."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff as ad
from autodiff.engine import Walk
from autodiff.plan import build, prune, terms
from autodiff.plan.diagonals import without_zeros
from autodiff.plan.regions import runs_of
from autodiff.plan.simplify import simplify
from autodiff.walks import hessian, jacobian

RNG = np.random.default_rng(3)
MATRIX, ROWS = RNG.normal(size=(4, 7)), RNG.normal(size=(3, 4))


def written(x):
    y = x * 1.0
    y[1:] += x[:-1] ** 2
    y[0] = 0.0
    y[-1] *= 2.0
    return y


def stencil(u):
    middle = u[1:-1, 1:-1]
    return middle + 0.1 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * middle) * middle


def over(x):
    return np.concatenate([x[:1], np.sin(x[1:-1]) * x[2:], x[-1:], np.zeros(2)])


# Functions of arrays of a shape; each goes another way through the directions.
FUNCTIONS = [
    (np.sin, (7,)),
    (lambda x: x[::-1] * x, (7,)),
    (lambda x: x[1::2] - x[:-1:2], (8,)),
    (lambda x: x[None] / (1 + x[:, None] ** 2), (7,)),
    (lambda x: x.T.reshape(2, -1)[:, ::2], (4, 3)),
    (lambda x: np.where(x > 0, x, 0) * x, (3, 4)),
    (lambda x: MATRIX @ (x * x), (7,)),
    (lambda x: (x * 2) @ MATRIX.T, (7,)),
    (lambda x: ROWS @ x, (4, 2)),
    (lambda x: x @ ROWS.T, (2, 4)),
    (lambda x: x[:, None, :] @ ROWS.T, (2, 4)),
    (lambda x: np.sum(x**2, axis=0), (3, 4)),
    (lambda x: np.sum(x[:, 1:] * x[:, :-1], axis=1), (3, 4)),
    (lambda x: x - np.mean(x), (7,)),
    (lambda x: np.stack([x, x[::-1], 0 * x], axis=1)[:, ::-1], (7,)),
    (lambda x: np.maximum(x, 0.1) * np.abs(x), (7,)),
    (lambda x: x[[0, 0, 2]] ** 2, (5,)),
    (lambda x: np.cumsum(x) * x, (5,)),
    (lambda x: np.exp(1j * x), (5,)),
    (lambda x: (x * 1j) * (2 - 1j) + x[::-1], (5,)),
    (written, (7,)),
    (stencil, (5, 6)),
    (over, (9,)),
    (lambda x: x[0] * x, (1,)),
    (lambda x: x * x[2], (5,)),
]


@pytest.fixture(params=[1, terms.ELEMENTS_A_CALL], ids=["always", "where it is faster"])
def eager(request, monkeypatch):
    """With several terms for each element even if the whole has few."""
    monkeypatch.setattr(terms, "ELEMENTS_A_CALL", request.param)


@pytest.mark.parametrize("place", range(len(FUNCTIONS)))
@pytest.mark.usefixtures("eager")
def test_whole_and_in_parts(place):
    function, shape = FUNCTIONS[place]
    for dtype in ("float64", "float32"):
        x = RNG.normal(size=shape).astype(dtype)
        tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}

        def total(x):
            return np.sum(np.sin(np.real(function(x))))

        modes = ["forward"] if np.iscomplexobj(function(x)) else ["forward", "reverse"]
        pairs = [(ad.jacobian(function, mode=m), ad.jacobian(function, mode=m, chunk_size=3)) for m in modes]
        pairs.append((ad.hessian(total), ad.hessian(total, chunk_size=3)))
        for whole, parts in pairs:
            found, expected = whole(x), parts(x)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, **tolerance)
        batch = np.stack([x, x + 1, -x])
        found, expected = ad.vmap(pairs[-1][0])(batch), np.stack([pairs[-1][1](x) for x in batch])
        np.testing.assert_allclose(found, expected, **tolerance)


def program_of(walk, function, n):
    x = ad.Tensor(RNG.normal(size=n))
    y = function(x).node
    (found,) = Walk(walk, (True,) if walk is jacobian else ())([y], [x.node], ())
    return build([x.node], [found], simplify)


@pytest.mark.parametrize(
    ("walk", "function"),
    [
        (jacobian, np.tanh),
        (jacobian, lambda x: x[1:] * x[:-1]),
        (hessian, lambda x: np.sum(np.sin(x) ** 3)),
        (hessian, lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2)),
    ],
)
def test_nothing_large_is_computed(walk, function):
    n = 200
    program = prune(without_zeros(program_of(walk, function, n)))
    for _, signature, _ in program.applications():
        is_whole = signature.out.size > 2 * n
        assert not is_whole or signature.is_view or signature.primitive.writes, signature


def test_few_elements_are_computed_whole():
    program = without_zeros(program_of(hessian, lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2), 5))
    assert any(s.out.shape == (5, 4) and s.primitive.kind == "elementwise" for _, s, _ in program.applications())


def test_zeros_stay_zeros_beside_infinities():
    with np.errstate(divide="ignore", invalid="ignore"):
        jacobian = ad.jacobian(lambda x: x / np.array([0.0, 1.0, 0.0]) + x[::-1])(np.ones(3))
    np.testing.assert_array_equal(jacobian, [[np.inf, 0, 1], [0, 2, 0], [1, 0, np.inf]])


def test_what_a_user_multiplies_is_multiplied():
    with np.errstate(invalid="ignore"):
        result = ad.jacobian(lambda x: (np.eye(3) * x) @ np.array([np.inf, 1.0, 1.0]))(np.ones(3))
    assert np.isnan(result[1, 0]) or np.isnan(result[1, 1])


def test_runs():
    cases = [[0, 1, 2], [5, 3, 1], [-1, 4, 5, -1, 9], [0, 0, 0], [7], [-1], [3, 1, 4, 1, 5], [0, 10, 20, 21, 22]]
    for targets in map(np.array, cases):
        found = np.zeros(30, int)
        for own, there in runs_of(targets):
            found[there] += 1 + np.arange(len(targets))[own]
        expected = np.zeros(30, int)
        np.add.at(expected, targets[targets >= 0], 1 + np.flatnonzero(targets >= 0))
        np.testing.assert_array_equal(found, expected)
