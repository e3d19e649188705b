"""Groups executed some rows at a time, on the backend: vectors, strides, threads, floating-point warnings."""

import math
import warnings

import numpy as np
import pytest

import autodiff as ad
import autodiff.machine
from autodiff.machine import UNKNOWN_CACHES, cache_bytes
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm import source, told

from .test_loops_bands import layer_norm, log_softmax, softmax

pytest.importorskip("llvmlite")


def weighted(x, w):
    """A softmax along rows and a layer norm along columns, and sums over both axes."""
    made = softmax(x, -1) * layer_norm(x * w, 0)
    return np.sum(made * w) + np.max(np.sum(x * x, axis=0))


@pytest.fixture
def small_caches(monkeypatch):
    monkeypatch.setattr(llvm_, "cache_bytes", {1: 1 << 10, 2: 1 << 14}.__getitem__)


@pytest.mark.usefixtures("small_caches")
@pytest.mark.parametrize("shape", [(97, 33), (1, 4000), (4000, 1), (0, 5), (61, 1, 31)])
def test_arrays_of_any_strides(shape):
    """As by NumPy, from arrays that are turned, spread and transposed."""
    random = np.random.default_rng(0)
    x, w = (random.normal(size=shape) for _ in range(2))
    spread = np.zeros((*shape[:-1], 2 * shape[-1]))
    spread[..., ::2] = x
    function = ad.value_and_grad(weighted if 0 not in shape else lambda x, w: np.sum(softmax(x, -1) * w), (0, 1))
    expected = ad.function(function, backend="numpy")(x, w)
    compute = ad.function(function, backend="llvm")
    given = [(x, w), (x[::-1].copy()[::-1], w), (spread[..., ::2], np.asfortranarray(w)), (x.T.copy().T, w)]
    for one, other in given:
        for _ in range(2):
            value, gradients = compute(one, other)
            np.testing.assert_allclose(value, expected[0], rtol=1e-12)
            for found, wanted in zip(gradients, expected[1], strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def nobody_calls(self, *values):
    raise AssertionError("a flag is up")


def said_by(function, *values):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function(*values)
    return {str(warning.message) for warning in found}


@pytest.mark.usefixtures("small_caches")
def test_what_is_said_of_floating_point(monkeypatch):
    """Rows without any such number say nothing, though their vectors have a rest; others say what NumPy says."""
    # Blocks of more than one row.
    monkeypatch.setattr(llvm_, "cache_bytes", lambda level: 1 << 14)
    random = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        x, w = (random.normal(size=(301, 37)).astype(dtype) for _ in range(2))
        entropy = ad.function(ad.value_and_grad(lambda x, w: np.sum(log_softmax(x, -1) * w) / 301.0), backend="llvm")
        function = ad.value_and_grad(lambda x, w: np.sum(np.log(softmax(x, -1)) * w))
        compute, plain = (ad.function(function, backend=name) for name in ("llvm", "numpy"))
        with monkeypatch.context() as patch:
            patch.setattr(told.Told, "__call__", nobody_calls)
            for _ in range(3):
                entropy(x, w)
                compute(x, w)
        x[300, 5] = -1e4
        said = said_by(plain, x, w)
        assert any("divide by zero" in text for text in said)
        assert said_by(compute, x, w) == said
        assert said_by(compute, x, w) == said
        x[300, 5] = np.nan
        with np.errstate(all="ignore"):
            value, gradient = compute(x, w)
        assert np.isnan(value)
        np.testing.assert_array_equal(np.isnan(gradient).any(axis=1), np.arange(301) == 300)


@pytest.mark.usefixtures("small_caches")
def test_large_angles_in_sums_over_rows():
    """A loop that is done again for an angle that is too large adds nothing twice."""
    x = np.random.default_rng(0).normal(size=(301, 37))
    x[[0, 150, 300], [3, 0, 36]] = 1e6

    def sums(x):
        turned = np.sin(x - np.max(x, axis=1, keepdims=True))
        return np.sum(turned, axis=0), np.sum(turned * np.sum(x, axis=1, keepdims=True)), np.cos(x)

    compute, plain = (ad.function(sums, backend=name) for name in ("llvm", "numpy"))
    for _ in range(3):
        for one, other in zip(compute(x), plain(x), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)


@pytest.mark.usefixtures("small_caches")
def test_sums_over_all_rows_lose_nothing(monkeypatch):
    """However many blocks and threads there are."""
    monkeypatch.setattr(source, "SMALLEST_SHARED", 0)
    # Equal terms, so that all additions round the same way.
    x = np.full((20_001, 3), 0.7)
    function = ad.function(lambda x: np.sum(x * np.max(x, axis=1, keepdims=True)), backend="llvm")
    expected = math.fsum((x * x).ravel())
    for threads in (1, 3):
        ad.set_num_threads(threads)
        try:
            for _ in range(2):
                assert float(function(x)) == pytest.approx(expected, rel=1e-15)
        finally:
            ad.set_num_threads(None)


def test_the_caches_of_a_processor(tmp_path, monkeypatch):
    for i, (level, kind, size) in enumerate([(1, "Data", 48), (1, "Instruction", 32), (2, "Unified", 2048)]):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, text in {"level": level, "type": kind, "size": f"{size}K"}.items():
            (folder / name).write_text(f"{text}\n")
    monkeypatch.setattr(autodiff.machine, "CACHES", str(tmp_path))
    read = cache_bytes.__wrapped__
    assert [read(level) for level in (1, 2)] == [48 << 10, 2 << 20]
    monkeypatch.setattr(autodiff.machine, "CACHES", str(tmp_path / "none"))
    assert [read(level) for level in (1, 2)] == list(UNKNOWN_CACHES.values())
