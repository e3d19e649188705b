"""Functions of many elements in parts, and the memory that loops take."""

import numpy as np
import pytest

import autodiff as ad

from . import loops

RNG = np.random.default_rng(6)
H = RNG.normal(size=3)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 13])
def test_associative_scans(n):
    rates, inputs = RNG.normal(size=(n, 2)), RNG.normal(size=(n, 2))

    def after(first, second):
        return first["a"] * second["a"], second["a"] * first["b"] + second["b"]

    def ours(a, b, **keywords):
        pair = lambda x, y: dict(zip("ab", after(x, y), strict=True))  # noqa: E731
        return ad.associative_scan(pair, {"a": a, "b": b}, **keywords)["b"]

    def python(a, b):
        rows, total = [], 0.0
        for i in range(n):
            total = a[i] * total + b[i]
            rows.append(total)
        return np.stack(rows) if rows else b * 1.0

    loops.close(ours(rates, inputs), python(rates, inputs))
    loops.close(ours(rates.T, inputs.T, axis=-1), python(rates, inputs).T)
    loops.close(ours(rates[::-1], inputs[::-1], reverse=True)[::-1], python(rates, inputs))
    if n > 1:
        losses = [lambda a, b, f=f: np.sum(f(a, b) ** 2) for f in (ours, python)]
        loops.close(*[ad.grad(f, (0, 1))(rates, inputs) for f in losses])


@pytest.mark.parametrize("size", [1, 3, 4, 10, 99])
def test_batches_are_reduced(size):
    data, targets = RNG.normal(size=(10, 3)), RNG.normal(size=10)

    def loss(w, x, y):
        residuals = x @ w - y
        return {"sum": np.sum(residuals**2), "worst": np.abs(w) @ np.max(np.abs(x), axis=0)}

    def total(w):
        parts = ad.map_reduce(lambda batch: np.sum((batch["x"] @ w - batch["y"]) ** 2), {"x": data, "y": targets}, size)
        peak_ = ad.map_reduce(lambda x: np.max(x @ w), data, size, np.maximum)
        return parts + peak_

    whole = lambda w: loss(w, data, targets)["sum"] + np.max(data @ w)  # noqa: E731
    loops.close(*[ad.value_and_grad(f)(H) for f in (total, whole)])
    loops.close(*[ad.hessian(f)(H) for f in (total, whole)])


# --- memory -----------------------------------------------------------------------------------------------------------


def test_memory_is_linear_in_the_steps_and_near_their_square_root_with_checkpoints():
    w = np.full(4_000, 0.9)

    def gradient(length, **keywords):
        def loss(x):
            return np.sum(ad.scan(lambda c, _: (np.sin(c * w), None), x, length=length, **keywords)[0])

        return lambda: ad.grad(loss)(w)

    linear = [loops.peak(gradient(n)) / w.nbytes for n in (100, 400)]
    root = [loops.peak(gradient(n, checkpoint=True)) / w.nbytes for n in (100, 400)]
    assert 3 < linear[1] / linear[0] < 5
    assert root[1] / root[0] < 2.6
    assert root[1] < 100 < linear[1] / 4 + 300


def test_batches_take_the_memory_of_one_batch(tmp_path):
    rows, columns = 4_000, 50
    path = tmp_path / "data"
    np.memmap(path, np.float64, "w+", shape=(rows, columns))[:] = RNG.normal(size=(rows, columns))
    data = np.memmap(path, np.float64, "r", shape=(rows, columns))
    gradient = ad.grad(lambda w: ad.map_reduce(lambda x: np.sum(np.sin(np.exp(x * w))), data, 100))
    w = np.full(columns, 0.1)
    assert loops.peak(lambda: gradient(w)) < 10 * 100 * columns * 8 < rows * columns * 8 / 3
    np.testing.assert_allclose(gradient(w), ad.grad(lambda w: np.sum(np.sin(np.exp(np.array(data) * w))))(w))
