"""sin and cos together: accuracy against 50 digits, special values, layouts, and the plans that use them."""

import os
import subprocess
import sys

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff_backends import sine_cosine
from autodiff_backends.numpy.trigonometry import LARGEST, SMALLEST_TOGETHER

RNG = np.random.default_rng(3)


def both(x):
    sine, cosine = np.empty(x.shape), np.empty(x.shape)
    sine_cosine(x, sine, cosine)
    return sine, cosine


def worst_ulps(x):
    """The largest errors of sin and cos, in units in the last place of the exact value."""
    errors = []
    with mpmath.workdps(50):
        for function, found in zip((mpmath.sin, mpmath.cos), both(x)):
            exact = [function(mpmath.mpf(v)) for v in x.tolist()]
            units = np.spacing(np.abs(np.array([float(e) for e in exact])))
            errors.append(max(abs(float((mpmath.mpf(f) - e) / u)) for f, e, u in zip(found.tolist(), exact, units)))
    return max(errors)


NEAR = np.arange(-700, 700) * 50
POINTS = {
    "one turn": RNG.uniform(-7, 7, 2000),
    "many turns": RNG.uniform(-1000, 1000, 2000),
    "the largest": RNG.uniform(0.9, 1, 2000) * LARGEST,
    "quarters of a turn": NEAR * (np.pi / 2),
    "next to quarters": np.nextafter(NEAR * (np.pi / 2), np.inf),
    "near quarters": NEAR * (np.pi / 2) + RNG.uniform(-1e-7, 1e-7, NEAR.size),
    "eighths": (NEAR + 0.5) * (np.pi / 2),
    "tiny": RNG.choice([-1, 1], 1000) * 10.0 ** -RNG.uniform(0, 307, 1000),
    "integers": np.arange(-1000.0, 1000.0),
    "beyond": 10.0 ** RNG.uniform(5, 300, 500),
}


@pytest.mark.parametrize("name", POINTS)
def test_accuracy(name):
    assert worst_ulps(POINTS[name]) < 2


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan, 1e300, -2 * LARGEST])
def test_special_values_are_numpys(special):
    x = RNG.normal(size=100)
    x[7] = special
    with np.errstate(invalid="ignore"):
        sine, cosine = both(x)
        np.testing.assert_array_equal(sine, np.sin(x))
        np.testing.assert_array_equal(cosine, np.cos(x))


def test_zeros_and_nothing():
    np.testing.assert_array_equal(both(np.zeros(3)), [[0, 0, 0], [1, 1, 1]])
    assert [part.shape for part in both(np.zeros((0, 3)))] == [(0, 3), (0, 3)]


def test_the_argument_may_be_overwritten():
    x = RNG.normal(size=50)
    sine, cosine = both(x)
    for place in range(2):
        outs = [np.empty(50), np.empty(50)]
        outs[place] = x.copy()
        sine_cosine(outs[place], *outs)
        np.testing.assert_array_equal(outs, [sine, cosine])
    large = 1e9 * x
    outs = [large.copy(), np.empty(50)]
    sine_cosine(outs[0], *outs)
    np.testing.assert_array_equal(outs, [np.sin(large), np.cos(large)])


def test_any_layout():
    x = RNG.normal(size=(20, 30, 4))
    outs = np.empty((2, 4, 30, 20)).transpose(0, 3, 2, 1)
    sine_cosine(x[::-1, :, ::-1], *outs)
    np.testing.assert_array_equal(outs, both(x[::-1, :, ::-1].copy()))


@pytest.mark.parametrize("shape", [(SMALLEST_TOGETHER,), (70_001,), (300, 200)])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.sin(x),
        lambda x: np.cos(np.exp(x) * x),
        lambda x: np.sin(x) * np.cos(x) + np.sin(2 * x),
        lambda x: np.cos(x) + x,
    ],
    ids=range(4),
)
def test_plans(shape, function):
    value = RNG.uniform(-3, 3, shape)
    x = ad.Tensor(value)
    y = function(x)
    graph = ad.Graph()
    (slope,) = graph.gradient(np.sum(y), [x])
    (half,) = ad.Graph().gradient(np.sum(function(x[:5] if len(shape) == 1 else x[:5, :5])), [x])
    place = (slice(5),) * len(shape)
    np.testing.assert_allclose(slope[place], half[place], rtol=1e-13, atol=1e-14)
    (both_used,) = graph.gradient(np.sum(np.sin(x) * np.cos(x)), [x])
    np.testing.assert_allclose(both_used, np.cos(2 * value), rtol=1e-11, atol=1e-14)
    assert "sine_cosine(" in graph.source(np.sum(np.sin(x) * np.cos(x)), [x])


def test_small_and_single_precision_stay_with_numpy():
    graph = ad.Graph()
    for value in (np.ones(SMALLEST_TOGETHER - 1), np.ones(100_000, np.float32)):
        x = ad.Tensor(value, dtype=value.dtype)
        assert "sine_cosine" not in graph.source(np.sum(np.sin(x)), [x])


def test_one_alone_stays_with_numpy():
    x = ad.Tensor(np.ones(100_000))
    np.testing.assert_array_equal(np.sin(x).value, np.sin(np.ones(100_000)))


CROWDED = """
import threading, time
import numpy as np
from autodiff_backends import masked_product, sine_cosine

def in_threads(function):
    barrier = threading.Barrier(33)
    def work(seed):
        x = np.random.default_rng(seed).normal(size=1 << 14)
        first, second = np.empty(x.size), np.empty(x.size)
        barrier.wait()
        for _ in range(3):
            function(x, first, second)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(32)]
    for thread in threads: thread.start()
    barrier.wait()
    begin = time.perf_counter()
    for thread in threads: thread.join()
    return time.perf_counter() - begin

def numpys(x, first, second):
    np.sin(x, first)
    np.cos(x, second)

wanted = in_threads(numpys)
for function in (sine_cosine, lambda x, first, second: masked_product(x, x, first)):
    print(in_threads(function) / wanted)
"""


def test_in_many_threads_none_wakes_those_of_blas():
    """It took 490 times as long as NumPy's sine and cosine, as every call waited for OpenBLAS's own threads."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", CROWDED]
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, env=environment)
    assert max(map(float, result.stdout.split())) < 20, result.stdout
