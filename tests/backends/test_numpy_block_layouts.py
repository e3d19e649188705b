"""Blocks over every memory layout, dtype and awkward size: the same numbers as one call an operation."""

import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff.differentiate import derivative
from autodiff.plan import build, prune
from autodiff.plan.expand import expand
from autodiff.plan.simplify import simplify
from autodiff_backends.numpy import blocks as _numpy_blocks
from autodiff_backends.numpy import groups as _numpy_groups
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated

BLOCK = 8  # elements of float64
SHAPES = [
    (0,),
    (1,),
    (BLOCK - 1,),
    (BLOCK,),
    (BLOCK + 1,),
    (5 * BLOCK + 3,),
    (40, 3),
    (5, 3),
    (3, 4, 5),
    (0, 3),
    (16, 1),
]
LAYOUTS = {
    "contiguous": np.array,
    "negative stride": lambda x: x[::-1],
    "every other": lambda x: np.repeat(x, 2, axis=0)[::2],
    "Fortran": np.asfortranarray,
}


@pytest.fixture(autouse=True)
def tiny_blocks(monkeypatch):
    monkeypatch.setattr(_numpy_blocks, "SMALLEST_BLOCKED", 1)
    monkeypatch.setattr(_numpy_groups, "SMALLEST_THREADED", 1)
    monkeypatch.setattr(_numpy_groups, "BLOCK_BYTES", 8 * BLOCK)
    ad.set_num_threads(2)
    yield
    ad.set_num_threads(None)


def compiled(inputs, outputs):
    """The program of some outputs, its blocked plan and the interpreter."""
    nodes = [x.node for x in inputs]
    program = prune(build(nodes, [y if not isinstance(y, ad.Tensor) else y.node for y in outputs], simplify))
    program = expand(program, ad.get_backend().primitives)
    program.quiet = True
    return Generated(program), Interpreted(program)


def assert_same(plan, exact, inputs, dtype):
    tolerance = {np.float32: 2e-5, np.float64: 1e-12, np.complex128: 1e-11}[dtype]
    for found, wanted in zip(plan(*inputs), exact(*inputs)):
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_equal_whole_arrays(shape, dtype):
    rng = np.random.default_rng(0)
    x = ad.Tensor(rng.normal(size=shape).astype(dtype))
    row = ad.Tensor(rng.normal(size=shape[1:]).astype(dtype))
    mixed = ad.Tensor(rng.normal(size=shape[::-1]))

    y = np.tanh(x * row + mixed.T) * 2.5 + x
    z = y * y if dtype is np.complex128 else np.where(y > 0, y * y, np.maximum(row, 0.1))
    loss = np.sum(np.real(z * np.exp(-x * x)))
    gradients = derivative(loss.node, [x.node, row.node, mixed.node], 1)
    plan, exact = compiled([x, row, mixed], [loss, y, *gradients])
    if shape == (BLOCK,):
        assert "run_blocks" in plan.source
    assert_same(plan, exact, [x.value, row.value, mixed.value], dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(37,), (19, 4)])
def test_layouts(layout, shape):
    x = ad.Tensor(np.zeros(shape))
    plan, exact = compiled([x], [np.sin(x) * x, np.sum(np.exp(x) + x)])
    values = LAYOUTS[layout](np.random.default_rng(1).normal(size=shape))
    assert_same(plan, exact, [values], np.float64)


def test_special_values_pass_through():
    x = ad.Tensor(np.zeros(21))
    plan, exact = compiled([x], [np.maximum(x, 0) * 2, np.sum(x * x)])
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e308, 1e-308] * 3)
    with np.errstate(over="ignore"):
        pairs = list(zip(plan(values), exact(values)))
    for found, wanted in pairs:
        np.testing.assert_array_equal(found, wanted)


def test_warnings_are_numpys():
    x = ad.Tensor(np.zeros(100))
    node = (np.log(x) + 1).node
    plan = Generated(prune(build([x.node], [node], simplify)))
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        plan(np.zeros(100))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        plan(np.zeros(100))
    with np.errstate(divide="ignore"):
        assert np.all(plan(np.zeros(100))[0] == -np.inf)
    np.testing.assert_allclose(plan(np.ones(100))[0], 1)  # usable after the error


def test_results_share_no_memory_between_calls():
    x = ad.Tensor(np.zeros(50))
    plan, _ = compiled([x], [np.exp(x) * x, np.exp(x)])
    values = np.linspace(0, 1, 50)
    first, second = plan(values), plan(values)
    arrays = [*first, *second, values]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[i + 1 :])


def test_concurrent_calls():
    x = ad.Tensor(np.zeros(500))
    plan, exact = compiled([x], [np.sum(np.sin(x) * x), np.cos(x) * x])
    wrong = []

    def work(seed):
        values = np.random.default_rng(seed).normal(size=500)
        wanted = exact(values)
        for _ in range(50):
            for a, b in zip(plan(values), wanted):
                if not np.allclose(a, b, rtol=1e-12, atol=1e-12):
                    wrong.append(seed)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_number_of_threads(count):
    ad.set_num_threads(count)
    x = ad.Tensor(np.zeros(101))
    plan, exact = compiled([x], [np.sum(x * x + 1), np.tanh(x * x)])
    assert_same(plan, exact, [np.linspace(-1, 1, 101)], np.float64)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_bad_thread_counts(count):
    with pytest.raises(ad.errors.ArgumentError, match="set_num_threads"):
        ad.set_num_threads(count)


def test_environment_sets_the_default(monkeypatch):
    ad.set_num_threads(None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    from autodiff.machine import thread_count

    assert thread_count() == 3
