"""Simplification: what it makes of programs, and what it leaves alone. The rows have a test of their own each."""

import math
import operator

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, ops
from autodiff.convert import as_node
from autodiff.plan import Program, build, prune, simplify
from autodiff.plan.simplify import simplify_graph
from autodiff_backends.numpy.reference import Interpreted

RNG = np.random.default_rng(7)


def run(program, values):
    with np.errstate(all="ignore"):
        return Interpreted(program)(*values)


EXACT = [
    (lambda i: operator.neg(-i), "x"),
    (lambda i: i + 0, "x"),
    (lambda i: i * 1, "x"),
    (lambda i: i**1, "x"),
    (lambda i: i + i, "add"),
    (lambda i: i * -1, "multiply"),
    (lambda i: i**3, "power"),
    (lambda i: i - (-i), "subtract"),
]


@pytest.mark.parametrize(("function", "last"), EXACT, ids=range(len(EXACT)))
@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8"])
def test_integers_are_left_exact(function, last, dtype):
    value = np.array([1, 100, 5], dtype)
    x = ad.Tensor(value, constant=True)
    try:
        y = function(x)
    except errors.DTypeError:
        return  # -1 does not fit unsigned integers
    program = prune(build([x.node], [y.node], simplify.simplify))
    (number,) = program.outputs
    signature = program.signatures[number]
    assert (signature.primitive.name if signature else "x") == last
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(run(program, [value])[0], function(value))


# --- folding, numbers, broadcasts ------------------------------------------------------------------------------------


def simplified(x, y):
    return prune(build([x.node], [y.node], simplify.simplify))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: as_node(2.0) * 0.5 + 1.0, 2.0),
        (lambda: ops.sqrt(as_node(2.0)), math.sqrt(2.0)),
        (lambda: ops.where_p(ops.greater(as_node(2.0), 1.0), as_node(0.5), as_node(-1.0)), None),
        (lambda: ops.full((), 0.5, np.dtype("float32")) * 2, 1.0),
    ],
    ids=range(4),
)
def test_numbers_are_folded(make, expected):
    node = make()
    program = prune(build([], [node], simplify.simplify))
    assert program.avals[program.outputs[0]].dtype == node.dtype
    if expected is not None:
        assert program.applications() == []
        assert Interpreted(program)()[0] == expected


@pytest.mark.parametrize(
    "make",
    [lambda: as_node(1.0) / 0.0, lambda: ops.log(as_node(-1.0)), lambda: ops.exp(as_node(64.0) * 64)],
    ids=range(3),
)
def test_infinite_numbers_are_not_folded_but_computed(make):
    program = build([], [make()], simplify.simplify)
    with np.errstate(all="ignore"):
        assert not np.isfinite(Interpreted(program)()[0])


def test_integer_and_float_numbers_are_one_in_floating_arithmetic():
    x = ad.Tensor([1.0, 2.0])
    program = simplified(x, np.sin(x * 2) + np.sin(2.0 * x))
    assert sum(made.primitive.name == "sin" for _, made, _ in program.applications()) == 1


def test_broadcast_numbers_stay_numbers():
    x = ad.Tensor(np.ones((4, 3)))
    program = simplified(x, np.exp(np.broadcast_to(0.5, (4, 3)) * 2.0) * x)
    assert all(program.avals[n].shape in ((), (4, 3)) for n in program.live())
    assert not any(made.primitive is ops.broadcast_to_p for _, made, _ in program.applications())


def test_plans_of_derivatives_are_short():
    """What simplification is for: the gradient of a sum of squares is one product."""
    x = ad.Tensor(np.ones((4, 3)))
    (d,) = ad.Graph().gradient(np.sum(x**2), [x], as_tensors=True)
    assert len(simplified(x, d).applications()) == 1
    (d,) = ad.Graph().gradient(np.sum(x * 3), [x], as_tensors=True)
    assert len(simplified(x, d).applications()) == 1  # a broadcast


def test_stopped_gradients_stay_stopped_where_derivatives_follow():
    x = ad.Tensor(np.ones(3))
    y = ad.stop_gradient(x) * x
    kept = build([x.node], [y.node], simplify_graph)
    assert any(kept.is_primitive(n, ops.stop_gradient) for n in kept.live())
    gone = prune(build([x.node], [y.node], simplify.simplify))
    assert not any(gone.is_primitive(n, ops.stop_gradient) for n in gone.live())


def test_rewriting_needs_the_dtype_asked_for():
    """A row whose replacement has another dtype is not taken: x * 1.0 in float64 of a float32 array."""
    x = ad.Tensor(np.ones(3, np.float32))
    y = x * np.float64(1.0) + np.zeros((), np.float64)
    assert simplified(x, y).avals[-1].dtype == np.float64
    flags = ad.Tensor([True, False], constant=True)
    program = simplified(flags, flags * 1)
    assert program.avals[program.outputs[0]].dtype == np.int64
    assert isinstance(program, Program)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 0.0])
def test_no_row_hides_an_infinity(value):
    """x * 0, x - x and 0 / x are not simplified: they are NaN where x is."""
    x = ad.Tensor([value])
    with np.errstate(all="ignore"):
        for y in (x * 0, x * 0.0, x - x, 0 / x, x / x, x**0 * 1, x + (-x), x * 2 - x * 2):
            program = simplified(x, y)
            expected = Interpreted(build([x.node], [y.node]))(x.value)[0]
            np.testing.assert_array_equal(Interpreted(program)(x.value)[0], expected)


CHAINS = {
    "factors that do not vary": lambda y, w: y * 1.0001,
    "negatives of products": lambda y, w: -(y * 0.999),
    "numbers": lambda y, w: 0.5 * (y * 2.0 * w[0, 0]),
    "products": lambda y, w: 1.001 * (y * y) ** 0.5,
    "matrix products": lambda y, w: w @ y,
    "views": lambda y, w: y.T.reshape(-1).reshape(3, 3),
    "sums": lambda y, w: y + 0.001 * w,
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_rows_do_not_recurse_down_a_chain(name, axis):
    values, matrix = RNG.uniform(0.5, 1, (3, 3)), np.eye(3)
    x, w = ad.Tensor(values), ad.Tensor(matrix)
    y, wanted = x, values
    for _ in range(2_000):
        y, wanted = CHAINS[name](y, w), CHAINS[name](wanted, matrix)
    total = np.sum(y, axis=axis)
    np.testing.assert_allclose(total.value, np.sum(wanted, axis=axis), rtol=1e-9)
    (slope,) = ad.Graph().gradient(np.sum(total), [x])
    assert slope.shape == (3, 3)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("number", [0.5, 0.25, 64.0, -2.0, 0.3])
def test_numbers_do_not_gather_to_infinity(number, dtype):
    """1,200 products by 0.5 * 2: what is gathered stays within range, though 2^-1200 is not."""
    values = np.array([1.5, -1.0], dtype)
    w = ad.Tensor(np.full(2, 1 / number, dtype), dtype=dtype)
    x = ad.Tensor(values, dtype=dtype)
    y = x
    for _ in range(1_200):
        y = number * (y * w)
    np.testing.assert_allclose(y.value, values, rtol=1e-3)
    (slope,) = ad.Graph().gradient(np.sum(number * (y * w)), [x])
    np.testing.assert_allclose(slope, 1, rtol=1e-3)
