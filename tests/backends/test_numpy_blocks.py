"""Large arrays in blocks on several threads: the same values as all at once, whatever the sizes."""

import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff.plan import build, prune
from autodiff.plan.simplify import simplify
from autodiff_backends.numpy import blocks, groups, runtime
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated


@pytest.fixture(params=[1, 3, 4], ids=lambda n: f"{n} threads")
def _small_blocks(request, monkeypatch):
    """Blocks of a few elements, so that small arrays go through many of them."""
    monkeypatch.setattr(blocks, "SMALLEST_BLOCKED", 6)
    monkeypatch.setattr(groups, "SMALLEST_THREADED", 30)
    monkeypatch.setattr(groups, "BLOCK_BYTES", 64)
    monkeypatch.setattr(blocks, "thread_count", lambda: request.param)


def choice(x, w):
    return np.where(x > w, np.sqrt(np.abs(x)), np.maximum(x, w * 0.3)) + np.clip(x, -0.5, 0.5)


GRAPHS = {
    "chain": lambda x, w: np.sin(x**2 * np.tanh(w)) * np.exp(-x),
    "sum": lambda x, w: np.sum(np.sin(x) * w),
    "several sums": lambda x, w: np.sum(x * w) + np.sum(np.exp(x)) * np.sum(w**2),
    "sum used by its group": lambda x, w: (x - np.mean(x)) / np.std(x) * w,
    "softmax": lambda x, w: np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x))) * w,
    "rows": lambda x, w: x * x[..., :1] + w[..., -1:] * w,
    "columns": lambda x, w: (x + w[:1]) * np.cos(x) * w[0],
    "choice": choice,
    "single precision": lambda x, w: np.sum((x.astype(np.float32) * w.astype(np.float32)) ** 2 + np.float32(2.5)),
    "numbers": lambda x, w: (2.5 * x + 0.1) / (w * w + 1.7) - x * np.sum(w),
    "complex": lambda x, w: np.real(np.exp(1j * x) * (w + 2j)),
    "views": lambda x, w: np.sin(x.T).T * w[::-1] + np.cos(x.reshape(-1)).reshape(x.shape),
    "products": lambda x, w: np.tanh(x @ w.T) @ w + np.sin(x) if x.ndim == 2 else np.sin(x) * (x @ w),
    "comparison": lambda x, w: (x > 0) * w + (x < w) * x + np.isnan(x) * 1.0,
    "wide": lambda x, w: sum(np.sin(x * float(i)) * w for i in range(6)),
}
SHAPES = [(7,), (64,), (101,), (5, 7), (40, 3), (3, 40), (1, 50), (50, 1), (9, 4, 3)]


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("name", GRAPHS)
def test_blocks_equal_the_interpreter(name, verify_plan):
    for shape in SHAPES:
        if name == "products" and len(shape) > 2:
            continue
        verify_plan(GRAPHS[name], shape)


@pytest.fixture
def verify_plan():
    def check(function, shape):
        rng = np.random.default_rng(3)
        arrays = rng.normal(size=shape), rng.normal(size=shape)
        tensors = [ad.Tensor(a) for a in arrays]
        y = function(*tensors)
        outputs = [y.node, *[d.node for d in ad.Graph().gradient(y, tensors, as_tensors=True)]]
        program = prune(build([t.node for t in tensors], outputs, simplify))
        program.quiet = True
        expected = Interpreted(program)(*arrays)
        plan = Generated(program)
        for layout in (arrays, [np.asfortranarray(a) for a in arrays], [a[::-1][::-1] for a in arrays]):
            results = plan(*layout)
            for result, wanted, node in zip(results, expected, outputs):
                assert (result.shape, result.dtype) == (node.shape, node.dtype)
                tolerance = 1e-4 if "float32" in plan.source else 1e-11
                np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance, err_msg=plan.source)
            for one, other in itertools.combinations([*layout, *results], 2):
                assert not np.shares_memory(one, other)

    return check


@pytest.mark.usefixtures("_small_blocks")
def test_large_groups_are_written_as_blocks():
    x = ad.Tensor(np.linspace(-1, 1, 100))
    source = ad.Graph().source(np.sum(np.sin(x) * np.exp(x)), [x])
    assert "run_blocks" in source


@pytest.mark.usefixtures("_small_blocks")
def test_special_values_stay_in_their_places():
    value = np.linspace(-1, 1, 101)
    value[[3, 50, 99]] = [np.nan, np.inf, 0.0]
    x = ad.Tensor(value)
    with np.errstate(all="ignore"):
        y = np.where(x > 0, np.log(np.abs(x)), x * 2)
        expected = np.where(value > 0, np.log(np.abs(value)), value * 2)
        np.testing.assert_array_equal(y.value, expected)
        (d,) = ad.Graph().gradient(np.sum(y), [x])
        np.testing.assert_allclose(d, np.where(value > 0, 1 / value, 2.0))


@pytest.mark.usefixtures("_small_blocks")
def test_warnings_and_errors_of_blocks_reach_the_caller():
    x = ad.Tensor(np.linspace(0, 1, 101))
    with pytest.warns(RuntimeWarning, match="divide"):
        (np.sin(x) / (x * 1.5)[:1] + np.cos(x)).value
    y = np.cos(x) / x + 1
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        y.value
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(y.value[1:], np.cos(x.value[1:]) / x.value[1:] + 1)


def test_ranges_cover_everything_once():
    for extent, block, threads in itertools.product([1, 2, 7, 64, 100, 101], [1, 3, 16, 200], [1, 2, 5, 16]):
        seen = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "thread_count", lambda threads=threads: threads)
            blocks.run_blocks(lambda start, stop, seen=seen: seen.append((start, stop)), extent, block, True)
        covered = sorted(i for start, stop in seen for i in range(start, stop))
        assert covered == list(range(extent))


def test_results_come_in_order_and_errors_are_raised():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "thread_count", lambda: 4)
        starts = blocks.run_blocks(lambda start, stop: start, 100, 10, True)
        assert starts == sorted(starts)

        def fail(start, stop):
            if start:
                raise FloatingPointError("mine")

        with pytest.raises(FloatingPointError, match="mine"):
            blocks.run_blocks(fail, 100, 10, True)
        assert blocks.run_blocks(lambda start, stop: start, 100, 10, True) == starts


def test_large_arrays_in_eight_threads():
    graph = ad.Graph()
    values = [np.random.default_rng(seed).normal(size=200_000) for seed in range(8)]
    wrong = []

    def work(a):
        for _ in range(3):
            x = ad.Tensor(a, copy=False)
            value, (gradient,) = graph.value_and_gradient(np.sum(np.sin(x * x) * np.tanh(x)), [x])
            expected = 2 * a * np.cos(a * a) * np.tanh(a) + np.sin(a * a) / np.cosh(a) ** 2
            if not (np.allclose(gradient, expected) and np.isclose(value, np.sum(np.sin(a * a) * np.tanh(a)))):
                wrong.append(a)

    threads = [threading.Thread(target=work, args=(a,)) for a in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


FORKED = """
import os, signal, warnings
import numpy as np
import autodiff as ad
from autodiff_backends.numpy import blocks as _numpy_blocks

warnings.simplefilter("ignore", DeprecationWarning)
_numpy_blocks.thread_count = lambda: 2
x = ad.Tensor(np.ones(300_000))
graph = ad.Graph()

def step():
    return graph.gradient(np.sum(np.sin(x) * np.exp(x)), [x])[0][0]

expected = step()
child = os.fork()
if not child:
    signal.alarm(20)
    os._exit(0 if step() == expected else 1)
assert os.waitpid(child, 0)[1] == 0, "the child hung or was wrong"
assert step() == expected
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_forked_process_has_its_own_threads():
    result = subprocess.run([sys.executable, "-c", FORKED], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("size", [5, runtime.SMALLEST_MASKED + 3])
def test_selection_by_bits_is_exact(size, dtype):
    rng = np.random.default_rng(2)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], dtype)

    def sample():
        return np.where(rng.random(size) < 0.5, rng.choice(special, size), rng.normal(size=size)).astype(dtype)

    x, y, condition = sample(), sample(), rng.random(size) < 0.5
    for first, second in [(x, y), (x, dtype(0)), (dtype(2), y), (np.float32(1), y)]:
        out = np.empty(size, dtype)
        runtime.choose(condition, first, second, out)
        wanted = np.where(condition, first, second).astype(dtype)
        np.testing.assert_array_equal(out.view(np.uint8), wanted.view(np.uint8))
    # In code of plans, a condition of no dimensions is a number of Python's.
    for whole, wanted in [(True, x), (False, y), (np.array(True), x), (np.False_, y)]:
        runtime.choose(whole, x, y, out)
        np.testing.assert_array_equal(out.view(np.uint8), wanted.view(np.uint8))

    ct = np.where(condition, x, 0).astype(dtype)
    with np.errstate(invalid="ignore"):
        runtime.masked_product(ct, y, out)
        np.testing.assert_array_equal(out, np.where(ct == 0, 0, ct * y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logaddexp_is_numpys(dtype):
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30, 1e-30, 5.0], dtype)
    x, y = (values.ravel() for values in np.meshgrid(special, special))
    rng = np.random.default_rng(4)
    for first, second in [(x, y), (rng.normal(0, 20, (2, 500)).astype(dtype)), (dtype(0), y), (x, dtype(-3))]:
        out = np.empty(np.broadcast(first, second).shape, dtype)
        runtime.log_add_exp(first, second, out)
        with np.errstate(invalid="ignore"):
            wanted = np.logaddexp(first, second)
        # Where the maximum and the logarithm cancel, both formulas have the rounding of the maximum.
        np.testing.assert_allclose(out, wanted, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(600,), (300, 200)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_plans_with_logaddexp(shape, dtype):
    values = np.random.default_rng(5).normal(size=shape).astype(dtype)
    x = ad.Tensor(values, dtype=dtype)
    y = np.logaddexp(x * 2, 0) + np.logaddexp(x, np.logaddexp(x * x, x + 1))
    program = prune(build([x.node], [y.node], simplify))
    plan = Generated(program)
    np.testing.assert_allclose(plan(values)[0], Interpreted(program)(values)[0], rtol=8 * np.finfo(dtype).eps)
    assert ("log_add_exp(" in plan.source) == (dtype != "float16")


def test_selections_leave_their_operands_alone(monkeypatch):
    monkeypatch.setattr(blocks, "SMALLEST_BLOCKED", 1 << 30)  # one call an operation, in buffers
    shape = (2, runtime.SMALLEST_MASKED)
    x, y = ad.Tensor(np.zeros(shape)), ad.Tensor(np.zeros(shape))
    chosen = np.where(x > y, x * 2, y * 3)
    out = np.where(chosen > 1, chosen * x, x * 5) + chosen
    program = prune(build([x.node, y.node], [out.node, (chosen * 2).node], simplify))
    values = np.random.default_rng(3).normal(size=(2, *shape))
    for found, wanted in zip(Generated(program)(*values), Interpreted(program)(*values)):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("size", [3, 100, 300])
def test_a_condition_may_be_of_any_dtype(size):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, size, size))
    conditions = [rng.integers(-2, 3, (size, size)), rng.choice([0.0, 0.5, 2.0, np.nan], (size, size)), x > y]
    for condition in [*conditions, conditions[1].astype(np.float32), conditions[1] + 1j]:
        first, second = ad.Tensor(x), ad.Tensor(y)
        chosen = np.where(condition, first, second)
        np.testing.assert_array_equal(chosen, np.where(condition, x, y))
        for result, share in zip(ad.Graph().gradient(chosen, [first, second]), (condition != 0, condition == 0)):
            np.testing.assert_array_equal(result, share * 1.0)
    for function in (np.tril, np.triu):
        t = ad.Tensor(x)
        np.testing.assert_array_equal(function(t), function(x))
        np.testing.assert_array_equal(ad.Graph().gradient(np.sum(function(t) ** 2), [t])[0], 2 * function(x))
