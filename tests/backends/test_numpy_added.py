"""Adding at places of arrays: numbers and rows, as ``np.add.at`` does it."""

import numpy as np
import pytest

import autodiff as ad
from autodiff_backends.numpy import runtime
from autodiff_backends.numpy.runtime import SMALLEST_FLAT, add_at

RNG = np.random.default_rng(0)


def assert_added(shape, index, values):
    for out in (np.zeros(shape), np.zeros(shape[::-1]).T, np.zeros((*shape, 2))[..., 1]):
        expected = out.copy()
        add_at(out, index, values)
        np.add.at(expected, index, values)
        np.testing.assert_array_equal(out, expected)


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(runtime, "SMALLEST_FLAT", 0)


@pytest.mark.parametrize("shape", [(5, 3), (4, 1, 3), (6, 0), (0, 3), (2, 3, 4, 2)], ids=str)
@pytest.mark.parametrize("places", [(7,), (2, 3), (), (0,)], ids=str)
def test_rows_and_numbers(shape, places):
    for axes in range(1, len(shape) + 1):
        if 0 in shape[:axes] and 0 not in places:
            continue
        index = tuple(RNG.integers(-n, n, places) if n else np.zeros(places, int) for n in shape[:axes])
        values = RNG.integers(-9, 9, (*places, *shape[axes:])).astype(float)
        for some in (values, values[..., :1] if values.ndim else values, np.float64(2.0)):
            assert_added(shape, index, some)


def test_broadcast_places_and_slices():
    i, j = RNG.integers(-5, 5, (4, 1)), RNG.integers(0, 3, (1, 6)).astype(np.uint8)
    assert_added((5, 3, 2), (i, j), RNG.integers(-9, 9, (4, 6, 2)).astype(float))
    assert_added((5, 3, 2), (slice(None), j[0]), RNG.integers(-9, 9, (5, 6, 2)).astype(float))
    assert_added((5, 3, 2), (np.array([True, False, True, True, False]),), np.ones((3, 3, 2)))


def test_gradients_of_rows():
    table, places = RNG.normal(size=(50, 16)), RNG.integers(-50, 50, SMALLEST_FLAT // 8)
    found = ad.grad(lambda table: np.sum(np.sin(table[places]) ** 2))(table)
    expected = np.zeros_like(table)
    np.add.at(expected, places, np.sin(2.0 * table[places]))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
