"""How much memory a plan takes at its peak, beside evaluating the same derivative operation by operation."""

import tracemalloc

import numpy as np
import pytest

import autodiff as ad
from autodiff.plan import build, compile_nodes
from autodiff.registry import get_backend
from autodiff_backends.numpy.reference import Interpreted

N = 200_000
MEBIBYTE = 1 << 20


def smoothed(x, w):
    for _ in range(4):
        inner = x[1:-1] + 0.1 * (x[2:] + x[:-2] - 2 * x[1:-1])
        x = x * 1.0
        x[1:-1] = inner
    return np.sum(x * w)


def log_softmax(x, w):
    shifted = x - np.max(x, axis=1, keepdims=True)
    return np.sum(w * (shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))))


FUNCTIONS = {
    "elementwise": (lambda x, w: np.sum(np.sin(x * x * np.tanh(x)) * w), (N,), (N,)),
    "slices": (lambda x, w: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2) + np.sum(w), (N,), (3,)),
    "layers": (lambda x, w: np.mean(np.maximum(np.tanh(x @ w) @ w.T, 0) ** 2), (2_000, 100), (100, 100)),
    "log-softmax": (log_softmax, (2_000, 100), (2_000, 100)),
    "written": (smoothed, (N,), (N,)),
}


def peak(call, values):
    """Bytes that a call holds at most, above what was there before, its results included."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        results = call(*values)
        return tracemalloc.get_traced_memory()[1] - before, results
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_peak_is_below_evaluation_operation_by_operation(name):
    function, *shapes = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    tensors = [ad.Tensor(rng.uniform(0.5, 1.5, shape)) for shape in shapes]
    y = function(*tensors)
    inputs = [t.node for t in tensors]
    outputs = [y.node, *[t.node for t in ad.Graph().gradient(y, tensors, as_tensors=True)]]
    values = [node.value for node in inputs]
    program = build(inputs, outputs)
    plan = compile_nodes(inputs, outputs, get_backend("numpy"), derivatives=True)

    # Each operation's result is kept until its last reader is done, or (a tape) until the end.
    freed, wanted = peak(Interpreted(program), values)
    tape = sum(
        s.out.size * s.out.dtype.itemsize for s in program.signatures if s is not None and s.primitive.kind != "view"
    )
    first, results = peak(plan, values)
    warm, _ = peak(plan, values)
    for result, value in zip(results, wanted, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-9, atol=1e-9)
    assert first < tape
    # Buffers are there before they are needed, and results are in none of them; warm calls find the buffers.
    assert first < 1.4 * freed + MEBIBYTE / 4
    assert warm < freed
