"""Extrema that a result does not depend on get no derivative, and all others do."""

import itertools

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.differentiate import active_operations, reverse
from autodiff.nodes import history
from autodiff.rules.shifts import LONGEST_SEARCH, irrelevant_extrema

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3))
V = RNG.normal(size=(3, 2))


def log_sum_exp(x, axis=-1):
    m = np.max(x, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(x - m), axis=axis)) + np.squeeze(m, axis)


def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def attention(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return (e @ V) / np.sum(e, axis=1)[:, None]


def attention_from_the_left(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return (V.T @ e.T) / np.sum(e, axis=1)


def in_other_shapes(x):
    e = np.exp(x.T - np.max(x, axis=1))
    return np.reshape(np.reshape(e, (3, 1, 4)), (3, 4)).T.reshape(2, 2, 3) / np.sum(e, axis=0).reshape(2, 2, 1)


def with_axes_taken_apart(x):
    e = np.exp(x.T - np.max(x.T, axis=1, keepdims=True))
    return e.reshape(3, 2, 2) / np.sum(e, axis=1)[:, None, None]


def smooth_minimum(x):
    m = np.min(x, axis=0)
    return m - np.log(np.sum(np.exp(-(x - m)), axis=0))


def normalized(x):
    e = 3 * np.exp(0.5 * (x.T - x.T.max(axis=0)))
    return np.sqrt(np.square(e) / np.sum(e**2, axis=0)) * np.reciprocal(1 / X.T)


IRRELEVANT = {
    "log-sum-exp of rows": log_sum_exp,
    "log-sum-exp of columns": lambda x: log_sum_exp(x, 0),
    "log-sum-exp of all": lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x),
    "softmax": softmax,
    "softmax of columns": lambda x: softmax(x, 0),
    "log-softmax": lambda x: (
        (x - np.max(x, axis=1, keepdims=True))
        - np.log(np.sum(np.exp(x - np.max(x, axis=1, keepdims=True)), axis=1, keepdims=True))
    ),
    "attention": attention,
    "attention from the left": attention_from_the_left,
    "axes taken apart": with_axes_taken_apart,
    "smooth minimum": smooth_minimum,
    "normalized": normalized,
    "twice": lambda x: log_sum_exp(softmax(x)),
    "difference": lambda x: np.exp(x - np.max(x)) / np.exp(X - np.max(x)),
    "numbers": lambda x: np.sin(2 * (x - np.max(x)) / 4 + 0.5 * np.max(x)),
}
RELEVANT = {
    "a maximum": lambda x: np.max(x, axis=1),
    "a distance": lambda x: x - np.max(x),
    "a square": lambda x: (x - np.max(x)) ** 2,
    "not scaled back": lambda x: np.exp(x - np.max(x)) / np.sum(np.exp(x), axis=1, keepdims=True),
    "added twice": lambda x: log_sum_exp(x) + np.max(x, axis=1),
    "other axes": lambda x: np.exp(x[:3] - np.max(x[:3], axis=1)) / np.exp(x[:3] - np.max(x[:3], axis=1)[:, None]),
    "summed along": lambda x: np.sum(np.exp(-np.max(x, axis=1))) * np.exp(np.max(x, axis=1)),
    "one more": lambda x: (np.sum(np.exp(x - np.max(x))) + 1) * np.exp(np.max(x)),
    "a sine": lambda x: np.sin(x - np.max(x)) + np.cos(np.max(x)),
    "a product along": lambda x: (np.exp(-np.max(x, axis=0)) * X) @ V * np.sum(np.exp(np.max(x, axis=0))),
    "products": lambda x: (x - np.max(x)) * np.max(x),
    "an exponent": lambda x: np.abs(X) ** np.max(x) / np.exp(np.max(x)),
    "an axis taken apart": in_other_shapes,
    "a reordered axis": lambda x: np.reshape(np.exp(np.max(x[:, None] + X, axis=2)), (2, 8)) / 2,
}


def found(function):
    x = ad.Tensor(X)
    y = np.sum(function(x)).node
    operations, active = active_operations([y], [x.node])
    inputs = lambda op: [z for z in op.inputs if z in active]  # noqa: E731
    extrema = {op for op in operations if op.primitive in (ops.amax, ops.amin)}
    assert extrema
    return irrelevant_extrema(operations, inputs, [y]), extrema


@pytest.mark.parametrize("name", IRRELEVANT)
def test_irrelevant(name):
    irrelevant, extrema = found(IRRELEVANT[name])
    assert irrelevant == extrema


@pytest.mark.parametrize("name", RELEVANT)
def test_relevant(name):
    irrelevant, extrema = found(RELEVANT[name])
    assert irrelevant < extrema


@pytest.mark.parametrize(("name", "order"), [*itertools.product([*IRRELEVANT, *RELEVANT], [1, 2])])
def test_derivatives(name, order):
    """Against differences of values, or of first derivatives, in a direction."""
    function = {**IRRELEVANT, **RELEVANT}[name]
    weights = np.cos(np.arange(function(X).size)).reshape(function(X).shape)

    def value(x):
        return np.sum(function(x) * weights)

    def slope(x):
        t = ad.Tensor(x)
        return ad.Graph().gradient(value(t), [t])[0]

    direction, step = RNG.normal(size=X.shape), 1e-6
    ahead, behind = X + step * direction, X - step * direction
    x = ad.Tensor(X)
    (d,) = ad.Graph().gradient(value(x), [x], as_tensors=True)
    if order == 1:
        got, wanted = np.sum(d.value * direction), (value(ahead) - value(behind)) / (2 * step)
    else:
        (got,) = ad.Graph().gradient(np.sum(d * direction), [x])
        wanted = (slope(ahead) - slope(behind)) / (2 * step)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-7)


def test_gradients_are_short():
    """The gradient of a log-sum-exp is exp(x - m) * (1 / s), and no share of the maximum."""
    x = ad.Tensor(X)
    (d,) = ad.Graph().gradient(np.sum(log_sum_exp(x)), [x], as_tensors=True)
    names = {node.primitive.name for node in history(d.node) if node.primitive}
    assert not names & {"where", "equal", "isnan"}


def test_what_is_not_finite_stays_so():
    for special in (np.inf, np.nan):
        x = ad.Tensor([[special, 1.0, 2.0], [0.0, 1.0, -np.inf]])
        with np.errstate(all="ignore"):
            (d,) = ad.Graph().gradient(np.sum(log_sum_exp(x)), [x])
        assert np.isnan(d[0]).all()
        np.testing.assert_allclose(d[1], [1 / (1 + np.e), np.e / (1 + np.e), 0])


def test_with_respect_to_the_maximum_itself():
    x = ad.Tensor(X)
    m = np.max(x, axis=1, keepdims=True)
    y = np.sum(np.log(np.sum(np.exp(x - m), axis=1, keepdims=True)) + m)
    (d,) = ad.Graph().gradient(y, [m])
    np.testing.assert_allclose(d, 0, atol=1e-15)
    (outputs,) = reverse([m.node], [ops.ones_like(m.node)], [x.node])
    assert outputs is not None


def test_long_searches_end():
    x = ad.Tensor(X)
    m = np.max(x)
    y = x - m
    for _ in range(LONGEST_SEARCH):
        y = y + 1.0
    operations, active = active_operations([(y + m).node], [x.node])
    assert irrelevant_extrema(operations, lambda op: [z for z in op.inputs if z in active], [(y + m).node]) == set()
