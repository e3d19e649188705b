"""What a user wrote is computed as it was written, on every backend: NumPy's bits, in the order of the source.

Derivatives may be rounded differently; what is finite stays finite, and what is not zero does not become zero.
"""

import math

import numpy as np
import pytest

import autodiff as ad

from ..plan.expressions import EXACT, data, random_program, run
from ..plan.numbers import same_bits

# Places where a result leaves the range on the way if numbers are gathered or moved.
HUGE, TINY = 1e308, 1e-300


def ways(backend, function, *arrays):
    """The value of a function of Tensors: looked at, from ``ad.function``, and beside a gradient."""
    graph = ad.Graph(backend=backend)
    tensors = [graph.tensor(a, dtype=np.asarray(a).dtype) for a in arrays]
    with np.errstate(all="ignore"):
        looked = np.asarray(function(*tensors))
        traced = ad.function(function, backend=backend)(*[t.value for t in tensors])
        beside, _ = graph.value_and_gradient(function(*tensors), tensors)
    return [np.asarray(_on_host(v)) for v in (looked, traced, beside)]


def _on_host(value):
    owner = ad.registry.backend_of(value)
    return value if owner is None or isinstance(value, np.ndarray) else owner.to_numpy(value)


def assert_bits(found, wanted):
    for value in found:
        np.testing.assert_array_equal(value, wanted)
        np.testing.assert_array_equal(np.signbit(value), np.signbit(wanted))
        assert value.dtype == np.asarray(wanted).dtype


F64, F32 = np.float64, np.float32

WRITTEN = {
    "numbers that meet beyond the range": (lambda x: x * 1e200 * 1e200, [TINY, -0.0, 1.0]),
    "numbers that meet below it": (lambda x: x * 1e-200 * 1e-200, [1e300, -1.5]),
    "integers of Python": (lambda x: x * 10**9 * 10**10, [1.5, -2.0]),
    "integers that wrap around": (lambda x: x * 2**32 * 2**32, [1.0, 3.0]),
    "integers before": (lambda x: 10**10 * (10**9 * x), [1.5, -2.0]),
    "sums that leave the range": (lambda x: (x + -HUGE) + x, [HUGE, 1e300]),
    "like terms": (lambda x: (x * 3.0 - x) - x * 2.0, [1e308, 0.1, 1 / 3]),
    "negative zeros": (lambda x: -(0.0 - x) + -0.0, [0.0, -0.0, 1.0]),
    "zero added": (lambda x: x + 0.0, [-0.0, 0.0]),
    "zero subtracted from": (lambda x: 0.0 - x, [-0.0, 0.0]),
    "differences turned round": (lambda x: -(x - 1.0), [1.0, 2.0]),
    "products by -1": (lambda x: x * -1 * -1, [0.0, -0.0, np.inf]),
    "quotients": (lambda x: x * 3.0 / 7.0, [1.0, 5.0, 0.1]),
    "reciprocals": (lambda x: x * (1 / (x + 2.0)), [1.0, 5.0, 0.1]),
    "squares below the range": (lambda x: x**-2, [1e160, -3e155, 1e-160, 4.0]),
    "powers": (lambda x: x**2 + x**-1, [1e150, 0.1, -7.0]),
    "halves": (lambda x: 0.5 * (x * x), [1.3e154, 1e-162, 3.0]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_arithmetic_is_as_written(backend, name):
    function, values = WRITTEN[name]
    x = np.array(values)
    with np.errstate(all="ignore"):
        assert_bits(ways(backend, function, x), function(x))


@pytest.mark.parametrize("name", WRITTEN)
def test_arithmetic_of_one_element_is_as_written(backend, name):
    function, values = WRITTEN[name]
    for value in values:
        x = np.array([value])
        with np.errstate(all="ignore"):
            assert_bits(ways(backend, function, x), function(x))


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (lambda x: x * 1e25 * 1e25, 1e-30),
        (lambda x: x * 1e-25 * 1e-25, 1e30),
        (lambda x: x * 3.0 * 7.0, 1 / 3),
        (lambda x: (x + 1e8) - 1e8, 3.0),
        (lambda x: x * 2**40 * 2**40, 1e-10),
    ],
    ids=range(5),
)
def test_single_precision_is_as_written(backend, function, value):
    x = np.array([value, -value], F32)
    with np.errstate(all="ignore"):
        assert_bits(ways(backend, function, x), function(x))


def test_half_precision_is_as_written():
    x = np.array([0.5, -1e-3, 3.0], np.float16)
    with np.errstate(all="ignore"):
        assert_bits(ways("numpy", lambda x: x * 300.0 * 300.0, x), x * 300.0 * 300.0)
        assert_bits(ways("numpy", lambda x: x * 1e-3 * 1e-3 * 1e3, x), x * 1e-3 * 1e-3 * 1e3)


def test_numbers_that_are_data_do_not_gather(backend):
    """Floats and arrays without axes, given to a traced function: their values are not known."""
    f = ad.function(lambda x, a, b: x * a * b, backend=backend)
    graph = ad.Graph(backend=backend)
    x = np.array([TINY, 1e-100])
    given = graph.tensor(x).value
    wanted = x * 1e200 * 1e150
    np.testing.assert_array_equal(_on_host(f(given, 1e200, 1e150)), wanted)
    scalars = [graph.tensor(np.array(v)).value for v in (1e200, 1e150)]
    np.testing.assert_array_equal(_on_host(f(given, *scalars)), wanted)
    g = ad.function(ad.grad(lambda x, a, b: np.sum(np.sin(x) * a * b)), backend=backend)
    small = graph.tensor(np.array([1e-5])).value
    assert np.isfinite(_on_host(g(small, 1e200, 1e-250))).all()
    assert (_on_host(g(small, 1e-200, 1e-200)) == 0).all()
    np.testing.assert_allclose(_on_host(g(small, 1e-200, 1e200)), np.cos(1e-5), rtol=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_random_expressions_are_as_written(backend, seed):
    """What hypothesis does on NumPy (``plan/test_rewriting_properties.py``), a little of it on every backend."""
    program = random_program(seed)
    arrays = data(program)
    with np.errstate(all="ignore"):
        wanted = np.asarray(run(program, EXACT, arrays))
        graph = ad.Graph(backend=backend)
        tensors = [graph.tensor(a, dtype=a.dtype) for a in arrays]
        found = np.asarray(run(program, EXACT, tensors))
    assert found.dtype == wanted.dtype
    assert same_bits(found, wanted).all(), f"{found!r} is not {wanted!r}: {program}"


SUMS = {
    "scaled down": (lambda x: np.sum(x * 1e-10), [HUGE] * 4),
    "scaled down by a half": (lambda x: np.sum(0.5 * x), [HUGE] * 3),
    "a mean of halves": (lambda x: np.mean(0.25 * x), [HUGE] * 4),
    "of a repeated factor": (lambda x: np.sum(x[:, None] * np.array([1e-10, 1e-9])), [HUGE] * 4),
    "of a sum": (lambda x: np.sum(x * 1e-3 - x * 1e-3), [HUGE] * 3),
    "of rows of a product": (lambda x: np.sum(x.reshape(2, 2) @ np.array([[1e-10, 1e-9], [1e-8, 0.0]]), 1), [HUGE] * 4),
    "of a product": (lambda x: np.sum(x.reshape(2, 2) * 1e-3 @ np.ones((2, 2)), 1), [HUGE / 4] * 4),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_stay_finite(backend, name):
    function, values = SUMS[name]
    x = np.array(values)
    wanted = function(x)
    assert np.isfinite(wanted).all()
    for value in ways(backend, lambda x: np.sum(function(x) * 1e-5), x):
        np.testing.assert_allclose(value, np.sum(wanted * 1e-5), rtol=1e-14, atol=1e280)


def test_columns_of_a_product_are_summed_after_it(backend):
    """sum(x @ y) is not x @ sum(y), which may leave the range."""
    x = np.full((2, 3), 1e-10)
    y = np.full((3, 4), HUGE / 8)
    for value in ways(backend, lambda x, y: np.sum(x @ y, 1), x, y)[:2]:
        np.testing.assert_allclose(value, np.sum(x @ y, 1), rtol=1e-14)


def test_single_precision_sums_stay_finite(backend):
    x = np.full(5, 3e38, F32)
    for value in ways(backend, lambda x: np.sum(x * 0.001), x):
        np.testing.assert_allclose(value, 1.5e36, rtol=1e-6)


def test_half_precision_accumulates_as_numpy_does():
    x = np.full(3000, 0.1, np.float16)
    for value in ways("numpy", np.sum, x):
        assert value == np.sum(x)
    y = np.array([300.0, 300.0], np.float16)
    with np.errstate(all="ignore"):
        for value in ways("numpy", lambda y: np.sum(y * y * np.array([1, -1], np.float16)), y):
            assert np.isnan(value)


@pytest.mark.parametrize("size", [7, 300, 5_000, 100_000])
def test_long_sums_are_as_accurate_as_numpy(backend, size):
    """Errors in units in the last place of a sum: some for runs, none that grows with the length."""
    rng = np.random.default_rng(size)
    x, y = rng.uniform(0.5, 1, (2, size))
    exact = {"sum": math.fsum(x), "product": float(np.sum(x.astype(np.longdouble) * y))}
    for found in ways(backend, np.sum, x):
        assert abs(float(found) - exact["sum"]) <= 10 * np.spacing(exact["sum"])
    for found in ways(backend, lambda x, y: np.sum(x * y), x, y):
        assert abs(float(found) - exact["product"]) <= 10 * np.spacing(exact["product"])


# --- compensated arithmetic ------------------------------------------------------------------------------------------


def two_sum(a, b):
    """Knuth: the sum and what it has lost."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def split(a, factor):
    """Veltkamp: the upper half of the digits, and the lower."""
    c = factor * a
    high = c - (c - a)
    return high, a - high


def two_product(a, b, factor):
    """Dekker: the product and what it has lost."""
    p = a * b
    (a1, a2), (b1, b2) = split(a, factor), split(b, factor)
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def kahan(x):
    """The sum of the rows, compensated."""
    total = compensation = x[0] * 0.0
    for i in range(x.shape[0]):
        y = x[i] - compensation
        t = total + y
        compensation = (t - total) - y
        total = t
    return total


def part_of(function, place):
    """One of the results of a function."""
    return lambda *args: function(*args)[place]


FACTORS = {F64: 2.0**27 + 1, F32: 2.0**12 + 1}


@pytest.mark.parametrize("dtype", [F64, F32])
def test_kahan_summation_survives(backend, dtype):
    x = (np.random.default_rng(1).uniform(1, 2, (40, 9)) * np.logspace(0, 5, 40)[:, None]).astype(dtype)
    wanted = kahan(x)
    assert not np.array_equal(wanted, np.add.accumulate(x)[-1])
    assert_bits(ways(backend, kahan, x), wanted)


@pytest.mark.parametrize("dtype", [F64, F32])
def test_two_sum_survives(backend, dtype):
    rng = np.random.default_rng(2)
    a, b = (rng.normal(size=(2, 50)) * np.logspace(0, 6, 50)[::-1]).astype(dtype)
    for place in (0, 1):
        assert_bits(ways(backend, part_of(two_sum, place), a, b), two_sum(a, b)[place])
    assert np.any(two_sum(a, b)[1])


@pytest.mark.parametrize("dtype", [F64, F32])
def test_two_product_survives(backend, dtype):
    a, b = np.random.default_rng(3).normal(size=(2, 50)).astype(dtype)
    factor = FACTORS[dtype]
    high, low = two_product(a, b, factor)
    wide = a.astype(np.longdouble) * b
    np.testing.assert_array_equal(high + wide * 0 + low.astype(np.longdouble), high.astype(np.longdouble) + low)
    assert np.any(low)
    for place, wanted in enumerate((high, low)):
        assert_bits(ways(backend, part_of(lambda a, b: two_product(a, b, factor), place), a, b), wanted)


def test_double_double_products_survive(backend):
    """A sum of products in twice the digits: what is left of 30 terms that cancel."""

    def dot(a, b):
        total, rest = a[0] * 0.0, a[0] * 0.0
        for i in range(a.shape[0]):
            p, lost = two_product(a[i], b[i], FACTORS[F64])
            total, more = two_sum(total, p)
            rest = rest + (more + lost)
        return total + rest

    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 15, 4)) * 1e8
    a, b = np.concatenate([a, a]), np.concatenate([b, -b * (1 + 1e-15)])
    assert_bits(ways(backend, dot, a, b), dot(a, b))


# --- derivatives -----------------------------------------------------------------------------------------------------


def test_derivatives_stay_finite_and_are_not_lost(backend):
    graph = ad.Graph(backend=backend)

    def slope(function, x):
        t = graph.tensor(x, dtype=x.dtype)
        with np.errstate(all="ignore"):
            return _on_host(graph.gradient(function(t), [t])[0])

    found = slope(lambda x: np.sum(np.exp(x) * 1e-25 * 1e-25), np.array([80.0], F32))
    np.testing.assert_allclose(found, np.exp(F32(80)) * F32(1e-25) * F32(1e-25), rtol=1e-5)
    found = slope(lambda x: np.sum(np.sin(x * 1e-200) * 1e200 * 1e200) * 1e-200, np.array([1.0]))
    np.testing.assert_allclose(found, 1.0, rtol=1e-12)
    found = slope(lambda x: np.sum(np.exp(x) * 1e-300 * 1e-300), np.array([700.0]))
    np.testing.assert_allclose(found, np.exp(700.0) * 1e-300 * 1e-300, rtol=1e-6)
    found = slope(lambda x: np.sum(x**-2), np.array([1e107]))
    np.testing.assert_allclose(found, -2e-321, rtol=0.01)


def test_a_derivative_that_is_recorded_stays_one(backend):
    """Of its value and of what is computed with it: a user's product with it is a user's product."""
    graph = ad.Graph(backend=backend)
    x = graph.tensor(np.array([0.5, 1.0]))
    (slope,) = graph.gradient(np.sum(np.sin(x)), [x], as_tensors=True)
    with np.errstate(all="ignore"):
        assert np.isinf(np.asarray(slope * 1e200 * 1e200 * 1e-300)).all()
        assert (np.asarray(slope * 1e-200 * 1e-200 * 1e300) == 0).all()
