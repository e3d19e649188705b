"""Loops over arrays that lie in memory in different orders, in square patches: run as C++ and held to NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff as ad
from autodiff_backends.cuda import bodies

from .cuda_emulation import NO_COMPILER
from .cupy_standin import Emulated

pytestmark = pytest.mark.skipif(NO_COMPILER is not None, reason=str(NO_COMPILER))


@pytest.fixture
def patched(monkeypatch):
    """How many loops were in patches, which now begin at a hundred elements."""
    found = []
    patches = bodies._patches

    def counted(nest, runs, crossed):
        found.append(nest.shape)
        return patches(nest, runs, crossed)

    monkeypatch.setattr(bodies, "VECTORS_FROM", 100)
    monkeypatch.setattr(bodies, "_patches", counted)
    return found


def compared(loss, *arrays):
    """The loss and its gradients by kernels, held to those of NumPy's plans."""
    results = []
    for graph in (ad.Graph(backend=Emulated()), ad.Graph(backend="numpy")):
        tensors = [graph.tensor(array) for array in arrays]
        value, gradients = graph.value_and_gradient(loss(*tensors), tensors)
        results.append([value, *gradients])
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(48, 48), (65, 33), (64, 50), (16, 129)], ids=str)
def test_a_matrix_beside_a_transposed_one(shape, patched):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=shape), rng.normal(size=shape[::-1])
    compared(lambda x, y: np.sum(np.tanh(x * y.T)), x, y)
    assert patched


@pytest.mark.parametrize(
    ("shape", "axes", "used"),
    [
        ((3, 33, 34), (0, 2, 1), True),
        ((3, 33, 34), (2, 1, 0), False),
        ((33, 5, 34), (2, 1, 0), True),
        ((18, 16, 17, 2), (3, 1, 0, 2), False),
        ((18, 16, 17), (1, 2, 0), True),
    ],
    ids=str,
)
def test_axes_in_another_order(shape, axes, used, patched):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=[shape[axis] for axis in axes]), rng.normal(size=shape)
    compared(lambda x, y: np.sum(np.tanh(x * np.transpose(y, axes))), x, y)
    # Short axes are no side of a patch.
    assert bool(patched) == used


def test_rows_of_a_matrix_beside_a_transposed_one(patched):
    rng = np.random.default_rng(2)
    x, y, z = rng.normal(size=(40, 21)), rng.normal(size=(21, 40)), rng.normal(size=(3, 40, 21))
    compared(lambda x, y: np.sum(np.sum(np.tanh(x * y.T), axis=0) ** 2), x, y)
    compared(lambda z, y: np.sum(np.sum(np.tanh(z * y.T), axis=(1, 2)) ** 2), z, y)
    assert patched
