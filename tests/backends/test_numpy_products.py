"""Stacks of products in one matrix, or shared by threads: NumPy's matmul."""

import numpy as np
import pytest

import autodiff as ad
from autodiff_backends.numpy import products as products_
from autodiff_backends.numpy.products import is_stack, products

SHAPES = [
    ((5, 3, 4), (4, 2)),
    ((2, 5, 3, 4), (4, 1)),
    ((7, 3, 4), (7, 4, 5)),
    ((2, 7, 3, 4), (7, 4, 5)),
    ((3, 4), (6, 4, 5)),
    ((6, 1, 3, 4), (1, 5, 4, 2)),
    ((1, 1, 4), (9, 4, 1)),
]


@pytest.fixture(params=[1, 3])
def threads(request):
    ad.set_num_threads(request.param)
    yield request.param
    ad.set_num_threads(None)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_products_are_matmuls(shapes, dtype, threads, monkeypatch):
    monkeypatch.setattr(products_, "SMALLEST_STACK", 1)
    rng = np.random.default_rng(0)
    first, second = (rng.integers(-9, 9, shape).astype(dtype) for shape in shapes)
    expected = np.matmul(first, second)
    # Contiguous, with steps of any sign, and transposed.
    wide, turned = np.repeat(first, 2, -1)[..., ::2], np.ascontiguousarray(first.swapaxes(-1, -2)).swapaxes(-1, -2)
    for x in (first, wide, turned, first[..., ::-1][..., ::-1]):
        np.testing.assert_array_equal(products(x, second), expected, strict=True)
        for out in (np.empty_like(expected), np.empty((*expected.shape, 2), dtype)[..., 0]):
            assert products(x, second, out) is out
            np.testing.assert_array_equal(out, expected)


def test_what_is_worth_it():
    assert is_stack((8, 128, 64), (64, 64), (8, 128, 64))
    assert is_stack((8, 4, 128, 16), (8, 4, 16, 128), (8, 4, 128, 128))
    assert not is_stack((2, 3, 4), (2, 4, 5), (2, 3, 5))
    # BLAS has work for threads in each of them.
    assert not is_stack((8, 512, 512), (8, 512, 512), (8, 512, 512))
    assert not is_stack((128, 64), (64, 64), (128, 64))
    assert not is_stack((0, 3, 4), (4, 5), (0, 3, 5))


def test_plans_share_stacks(threads):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(24, 64, 40)), rng.normal(size=(40, 8))
    function = ad.function(lambda x, w: (np.sin(x @ np.transpose(x, (0, 2, 1))), x @ w), backend="numpy")
    for found, wanted in zip(function(x, w), (np.sin(x @ x.transpose(0, 2, 1)), x @ w), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)
