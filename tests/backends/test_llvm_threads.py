"""Loops that are repeated, with threads in each iteration."""

import numpy as np
import pytest

import autodiff as ad
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm import source
from autodiff_backends.llvm.backend import BACKEND, Staged
from autodiff_backends.numpy.reference import Interpreted

pytest.importorskip("llvmlite")


def heat(x, rate):
    """Steps with sums of all, and of columns, that later ones depend on."""
    total = 0.0
    for _ in range(5):
        x = x + rate * (np.roll(x, 1, 0) + np.roll(x, -1, 0) + np.roll(x, 1, 1) + np.roll(x, -1, 1) - 4.0 * x)
        x = np.tanh(x - np.sum(x, 0) * 0.01)
        total = total + np.sum(np.sin(x)) + np.max(x)
    return x, total


def network(x, w):
    """Products of matrices in each step."""
    h, total = x[0], 0.0
    for k in range(1, 7):
        h = np.tanh(h @ w + x[k])
        total = total + np.mean(h * h)
    return h, total


def many(*inputs):
    """An input for each step."""
    y = inputs[0]
    for x in inputs[1:]:
        y = np.sin(y * x + 0.5) - np.sum(x, 0)
    return y, np.sum(y, 1)


def messages(x, w):
    """Rows and columns that are read and added to at places that come again."""
    i, j = np.array([0, 3, -1, 3, 0, 6, 2, 3]), np.arange(8) % 7
    total = 0.0
    for _ in range(5):
        y = np.tanh(x * w)
        np.add.at(y, i, np.sin(x[j] - x[i] * w))
        np.add.at(y, (slice(None), i), 0.25 * x[:, j])
        x = y
        total = total + np.sum(x[0])
    return x, total


RNG = np.random.default_rng(0)
CASES = {
    "stencil": (heat, [RNG.normal(size=(31, 17)), RNG.normal(size=())]),
    "network": (network, [RNG.normal(size=(7, 13, 9)), RNG.normal(size=(9, 9))]),
    "messages": (messages, [RNG.normal(size=(7, 300)), RNG.normal(size=())]),
    "inputs": (many, [RNG.normal(size=(6, 11)) for _ in range(20)]),
}


@pytest.mark.parametrize("is_direct", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_iterations_are_shared_by_threads(as_program, monkeypatch, case, is_direct):
    monkeypatch.setattr(source, "SMALLEST_SHARED", 0)
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))
    monkeypatch.setattr(llvm_, "SMALLEST_TRAFFIC", float("inf"))
    if is_direct:
        monkeypatch.setattr(llvm_, "holds", lambda: False)
    function, values = CASES[case]
    inputs = [ad.Tensor(value) for value in values]

    def scalar(*inputs):
        first, second = function(*inputs)
        return np.sum(first * 2.0) + np.sum(second)

    slopes = ad.grad(scalar, tuple(range(len(inputs))))(*inputs)
    program = as_program(inputs, [*function(*inputs), *slopes])
    plan = BACKEND.compile(program)
    assert isinstance(plan, Staged)
    assert max([count for count, _ in plan._runs]) > 2
    wanted = Interpreted(program)(*values)
    try:
        for threads in (1, 2, 5):
            ad.set_num_threads(threads)
            for one, other in zip(plan(*values), wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-10)
    finally:
        ad.set_num_threads(None)
