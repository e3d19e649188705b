"""dtypes: NumPy 2's promotion in values, the variable's dtype in gradients, complex numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.convert import as_node
from autodiff.tensor import wrap

from .ufunc_cases import PAIRWISE, SMOOTH

MIXTURES: list[Callable[[Any], Any]] = [
    lambda x: x + 1,
    lambda x: x * 1.5,
    lambda x: 2 - x,
    lambda x: x / 3,
    lambda x: x**2,
    lambda x: x**0.7,
    lambda x: 2.0**x,
    lambda x: x * np.float64(1.5),
    lambda x: x * np.float32(1.5),
    lambda x: x + np.arange(3),
    lambda x: x + np.arange(3, dtype=np.int8),
    lambda x: np.add(x, [1, 2, 3]),
    lambda x: x * True,
    lambda x: x * np.ones(3),
    lambda x: x * np.ones(3, np.float32),
    lambda x: np.where(x > 0, x, 0),
    lambda x: np.where(x > 0, x, 0.5),
    lambda x: np.where(x > 0, 1, x),
    lambda x: np.where(x > 0, x, np.float64(0.5)),
    lambda x: np.maximum(x, 0),
    lambda x: np.maximum(0.5, x),
    lambda x: np.clip(x, 0, 1),
    lambda x: np.mean(x),
    lambda x: np.mean(x, where=np.array([True, False, True])),
    lambda x: np.sum(x),
    lambda x: np.sum(x, initial=0.5),
    lambda x: np.prod(x),
    lambda x: np.std(x),
    lambda x: np.var(x, ddof=1),
    lambda x: np.max(x, initial=0.1),
    lambda x: np.cumsum(x),
    lambda x: np.tile(x, 2),
    lambda x: np.einsum("i,i->", x, x),
    lambda x: np.einsum("i,->i", x, 2.0),
    lambda x: np.einsum("i,i->", x, np.ones(3)),
    lambda x: np.dot(x, x),
    lambda x: np.dot(x, 2.0),
    lambda x: np.inner(2.0, x),
    lambda x: np.outer(x, 2.0),
    lambda x: np.matmul(x, np.ones(3)),
    lambda x: np.concatenate([x, [1.0]]),
    lambda x: np.stack([x[0], 2.0]),
    lambda x: np.hypot(x, 2.0),
    lambda x: np.logaddexp(x, 0),
    lambda x: np.arctan2(x, 1.0),
    lambda x: np.sinc(x),
    lambda x: np.angle(x),
    lambda x: np.real(x),
    lambda x: x[0] * 2.5,
    lambda x: x.astype(np.float64),
    lambda x: np.add(x, 1, dtype=np.float64),
    lambda x: np.abs(x * 1j),
    lambda x: x % 2,
    lambda x: np.round(x, 1),
    lambda x: np.sum(x * np.float16(2)),
]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("f", MIXTURES, ids=range(len(MIXTURES)))
def test_promotion_is_numpys_and_gradients_keep_the_dtype(f: Any, dtype: Any) -> None:
    data = np.array([0.5, 1.25, 2.0], dtype)
    expected = f(data)
    x = ad.Tensor(data)
    y = f(x)
    got = np.asarray(y.value)
    assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    # Half precision in NumPy's own sums depends on the order of additions.
    tolerance = 4e-3 if dtype == np.float16 else 32 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(got.astype(float), expected.astype(float), rtol=tolerance, atol=tolerance)
    (g,) = ad.Graph().gradient(y, [x])
    assert (g.dtype, g.shape) == (dtype, data.shape)
    with np.errstate(all="ignore"):
        (h,) = ad.Graph().gradient(y, [x], 2) if y.dtype.kind == "f" else (g,)
    assert h.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(("f", "domain"), SMOOTH, ids=lambda v: getattr(v, "__name__", ""))
def test_unary_ufuncs_in_low_precision(f: Any, domain: Any, dtype: Any) -> None:
    rng = np.random.default_rng(3)
    wide = domain(4).sample(rng).astype(dtype)
    tolerance = 2e-2 if dtype == np.float16 else 1e-4
    for data in (wide, wide[0]):
        low, high = ad.Tensor(data), ad.Tensor(data.astype(float))
        values, exact = f(low), f(high)
        for v, e in zip([values] if isinstance(values, ad.Tensor) else values, [exact] if f.nout == 1 else exact):
            assert v.dtype == (dtype if e.dtype.kind == "f" else e.dtype)
            assert np.asarray(v.value).dtype == v.dtype
            if e.dtype.kind == "f":
                (g,), (h,) = ad.Graph().gradient(v, [low]), ad.Graph().gradient(e, [high])
                assert (g.dtype, g.shape) == (dtype, data.shape)
                np.testing.assert_allclose(g.astype(float), h, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("f", "first", "second"), PAIRWISE, ids=lambda v: getattr(v, "__name__", ""))
def test_binary_ufuncs_in_half_precision(f: Any, first: Any, second: Any) -> None:
    rng = np.random.default_rng(3)
    a, b = first(4).sample(rng).astype(np.float16), second(4).sample(rng).astype(np.float16)
    x, y = ad.Tensor(a), ad.Tensor(b)
    expected = f(a, b)
    result = f(x, y)
    for r, e in zip([result] if f.nout == 1 else result, [expected] if f.nout == 1 else expected):
        assert r.dtype == e.dtype == np.asarray(r.value).dtype
        for g in ad.Graph().gradient(r, [x, y]):
            assert g.dtype == np.float16


def test_gradient_of_a_mixed_expression_keeps_each_dtype() -> None:
    x, y = ad.Tensor(np.ones(2, np.float32)), ad.Tensor(np.ones((2, 2)))
    z = ad.Tensor(np.array(2 + 1j, np.complex64))
    gx, gy, gz = ad.Graph().gradient(np.sum(np.real((y @ x) * z)), [x, y, z])
    assert (gx.dtype, gy.dtype, gz.dtype) == (np.float32, np.float64, np.complex64)


# The convention du/dx - i du/dy; jax.grad (0.10.2, float64), which shares it, gives the same values but at 0.
COMPLEX = [
    (lambda z: np.real(z**2), 1 + 2j, 2 + 4j),
    (lambda z: np.abs(z), 1 + 2j, 0.4472135954999579 - 0.8944271909999159j),
    (lambda z: np.abs(z), 0j, 0),
    (lambda z: np.abs(z) ** 2, 1 + 2j, 2 - 4j),
    (lambda z: np.angle(z), 1 + 2j, -0.4 - 0.2j),
    (lambda z: np.imag(z), 1 + 2j, -1j),
    (lambda z: np.imag(np.exp(z)), 1 + 2j, 2.4717266720048188 + 1.1312043837568135j - 2 * 1.1312043837568135j * 0),
    (lambda z: np.real(np.conj(z) * z), 1 + 2j, 2 - 4j),
    (lambda z: np.real(z) * np.imag(z), 1 + 2j, 2 - 1j),
]


@pytest.mark.parametrize(("f", "z", "expected"), COMPLEX, ids=range(len(COMPLEX)))
def test_complex_convention(f: Any, z: complex, expected: complex) -> None:
    for data in (np.array(z), np.array([z, z])):
        x = ad.Tensor(data)
        (g,) = ad.Graph().gradient(f(x), [x])
        np.testing.assert_allclose(g, np.full(data.shape, expected), rtol=1e-12, atol=1e-15)
        assert g.dtype == np.complex128


def test_angle_of_zero_has_no_derivative() -> None:
    z = ad.Tensor(np.array([0j]))
    with np.errstate(invalid="ignore"):
        assert np.isnan(ad.Graph().gradient(np.angle(z), [z])[0]).all()


def test_real_to_complex_to_real_stays_real() -> None:
    r = ad.Tensor([1.0, 2.0])
    (g,) = ad.Graph().gradient(np.abs(np.exp(1j * r) + 1) ** 2, [r])
    assert g.dtype == np.float64
    np.testing.assert_allclose(g, -2 * np.sin([1.0, 2.0]))


def test_conjugate_in_the_adjoint_of_a_complex_product() -> None:
    a, b = np.array([[1 + 2j, 3j], [2, 1 - 1j]]), np.array([[1j, 2], [1 + 1j, -1]])
    x = ad.Tensor(a)
    (g,) = ad.Graph().gradient(np.sum(np.real(x @ b)), [x])
    # u = Re sum(x b): du/dx_ij - i du/dy_ij = sum_k b_jk.
    np.testing.assert_allclose(g, np.broadcast_to(b.sum(1), (2, 2)))


def test_integers_and_booleans_become_float_or_stay_constant() -> None:
    assert ad.Tensor([1, 2]).dtype == np.float64
    assert ad.Tensor(np.array([True])).dtype == np.float64
    k = ad.Tensor(np.arange(3), constant=True)
    assert k.dtype == np.int64
    x = ad.Tensor([1.0, 2.0, 3.0])
    with pytest.raises(ad.errors.DifferentiationError, match="constant"):
        ad.Graph().gradient(np.sum(x * k), [k])
    np.testing.assert_array_equal(ad.Graph().gradient(np.sum(x * k), [x])[0], [0, 1, 2])


@pytest.mark.parametrize("f", [np.argmax, lambda x: x > 1, np.isnan, lambda x: x.astype(int), np.count_nonzero])
def test_results_that_are_no_numbers_to_differentiate(f: Any) -> None:
    x = ad.Tensor([1.0, 2.0])
    with pytest.raises(ad.errors.DifferentiationError, match="no derivative"):
        ad.Graph().gradient(f(x), [x])


def test_empty_arrays() -> None:
    x = ad.Tensor(np.zeros((0, 3)))
    for f in [
        np.sum,
        np.prod,
        lambda t: np.max(t, initial=0.0),
        lambda t: np.einsum("ij->", t),
        lambda t: t @ np.ones(3),
    ]:
        with np.errstate(all="ignore"):
            result = f(x)
        if result.size:
            assert result.value == f(np.zeros((0, 3)))
    (g,) = ad.Graph().gradient(np.sum(x), [x])
    assert g.shape == (0, 3)


@pytest.mark.skipif(np.dtype(np.longdouble) == np.dtype(np.float64), reason="long double is double on this system")
def test_extended_dtype_is_kept() -> None:
    x = ad.Tensor(np.array([1, 2], np.longdouble) / 3)
    (first,) = ad.Graph().gradient(np.sum(np.sin(x) ** 2 / 3 + x * 0.5), [x])
    assert first.dtype == np.longdouble
    exact = 2 * np.sin(x.value) * np.cos(x.value) / 3 + np.longdouble(0.5)
    np.testing.assert_allclose(first, exact, rtol=1e-15)


def test_weak_numbers_stay_weak_after_a_cast() -> None:
    x = ad.Tensor(np.array([0.1, -0.2], np.float32))
    number = as_node(0.02)
    chosen = wrap(ops.maximum(ops.where(ops.greater(x.node, 0), x.node, number), number))
    assert chosen.dtype == np.asarray(chosen.value).dtype == np.float32


def test_bounds_of_clip_promote_with_what_is_clipped_at_once() -> None:
    """Pairs of bounds: arrays, numbers of Python and of NumPy. Two steps came to float64 for some."""
    arrays = [np.ones(3, code) for code in "?bHiefd"]
    bounds = [*arrays, 1, 2.5, 300, np.float32(1.5), np.int8(3)]

    def as_tensor(value: Any) -> Any:
        return ad.Tensor(value, constant=True) if isinstance(value, np.ndarray) else value

    def answer(*operands: Any) -> Any:
        try:
            found = np.asarray(np.clip(*operands))
        except (TypeError, ValueError, OverflowError) as error:
            return next(kind for kind in (OverflowError, TypeError, ValueError) if isinstance(error, kind))
        return found.dtype, found.tolist()

    for x in arrays:
        for low, high in itertools.product(bounds, bounds):
            wanted = answer(x, low, high)
            assert answer(*[as_tensor(value) for value in (x, low, high)]) == wanted, (x.dtype, low, high)


@pytest.mark.parametrize("code", ["b", "B", "l", "L"])
def test_integers_have_no_decimals_to_round(code: str) -> None:
    """They come back to the last digit, which float64 has not."""
    x = np.array([np.iinfo(code).max - 7, 27], code)
    for decimals in (0, 1, 3, 20):
        found = np.round(ad.Tensor(x, constant=True), decimals)
        assert found.dtype == x.dtype
        np.testing.assert_array_equal(found.value, np.round(x, decimals))
