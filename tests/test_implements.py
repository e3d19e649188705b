"""Functions of other packages that are given handlers for Tensors."""

import sys
import types

import numpy as np
import pytest

import autodiff as ad
from autodiff import dispatch, errors, implementing

X = np.array([1.0, 2.0])


@pytest.fixture(autouse=True)
def _as_before():
    """What a test gives handlers has none afterwards."""
    before = dict(dispatch.UFUNCS)
    yield
    for ufunc in dispatch.OVERRIDDEN:
        if ufunc in before:
            dispatch.UFUNCS[ufunc] = before[ufunc]
        else:
            dispatch.UFUNCS.pop(ufunc, None)
    dispatch.OVERRIDDEN.clear()
    implementing._handlers.clear()
    implementing._replaced.clear()
    implementing._replacements.put_back()


def slope(function):
    return ad.grad(lambda x: np.sum(function(x)))(X)


def test_ufuncs_of_python_functions():
    cube, both = np.frompyfunc(lambda x: x**3, 1, 1), np.frompyfunc(lambda x, y, z: (x * y, z), 3, 2)
    ad.implements(cube)(lambda x: x**3)
    ad.implements(both)(lambda x, y, z: (x * y, z + 0.0))
    np.testing.assert_allclose(slope(cube), 3 * X**2)
    np.testing.assert_allclose(slope(lambda x: both(x, x, 1.0)[0]), 2 * X)
    assert cube(X).tolist() == [1.0, 8.0]
    out = ad.Tensor(np.zeros(2))
    assert cube(ad.Tensor(X), out=out) is out
    np.testing.assert_allclose(out.value, X**3)
    masked = cube(ad.Tensor(X), out=ad.Tensor(np.zeros(2)), where=np.array([True, False]))
    np.testing.assert_allclose(masked.value, [1.0, 0.0])


def test_ufuncs_of_numpy_and_scipy():
    special = pytest.importorskip("scipy.special")
    seen = []

    @ad.implements(np.arctan2)
    def _arctan2(y, x):
        seen.append((y, x))
        return np.arctan(y / x)

    np.testing.assert_allclose(slope(lambda x: np.arctan2(x, 1.0)), 1 / (1 + X**2))
    assert all(isinstance(operand, ad.Tensor) for pair in seen for operand in pair)
    # One that is not recorded, and one of four operands.
    with pytest.raises(errors.UnsupportedError):
        special.smirnov(3, ad.Tensor(X))
    ad.implements(special.smirnov)(lambda n, x: np.exp(-x))
    np.testing.assert_allclose(slope(lambda x: special.smirnov(3, x)), -np.exp(-X))
    ad.implements(special.hyp2f1)(lambda a, b, c, z: (1 - z) ** -a)
    np.testing.assert_allclose(slope(lambda x: special.hyp2f1(1.0, 1.0, 1.0, x / 4)), 0.25 / (1 - X / 4) ** 2)


def test_ufuncs_of_numba():
    numba = pytest.importorskip("numba")

    @numba.vectorize(["float64(float64)"])
    def square(x):
        return x * x

    @numba.guvectorize(["(float64[:],float64[:])"], "(n)->()")
    def total(x, out):
        out[0] = x.sum()

    with pytest.raises(errors.UnsupportedError, match="implements"):
        square(ad.Tensor(X))
    ad.implements(square)(lambda x: x**2)
    ad.implements(total)(lambda x: np.sum(x, -1))
    np.testing.assert_allclose(slope(square), 2 * X)
    np.testing.assert_allclose(slope(total), 1.0)
    np.testing.assert_allclose(square(X), X**2)


def test_functions_of_other_packages():
    signal = pytest.importorskip("scipy.signal")
    before = signal.lfilter
    calls = []

    @ad.implements(signal.lfilter)
    def _lfilter(b, a, x):
        calls.append(x)
        return ad.primitive(lambda x: before(b, a, x), infer=lambda x: x)(x)

    t = ad.Tensor(X)
    assert isinstance(signal.lfilter([1.0], [1.0, -0.5], t), ad.Tensor)
    np.testing.assert_allclose(signal.lfilter([1.0], [1.0, -0.5], t).value, [1.0, 2.5])
    np.testing.assert_allclose(signal.lfilter([1.0], [1.0, -0.5], X), [1.0, 2.5])
    assert len(calls) == 2
    assert before is not signal.lfilter
    assert signal.lfilter.__doc__ == before.__doc__
    # The handler that was given last.
    ad.implements(signal.lfilter)(lambda b, a, x: 3 * x)
    np.testing.assert_allclose(slope(lambda x: signal.lfilter([1.0], [1.0], x)), 3.0)
    ad.implements(before)(lambda b, a, x: 4 * x)
    np.testing.assert_allclose(slope(lambda x: signal.lfilter([1.0], [1.0], x)), 4.0)


def test_places_of_a_function():
    """A package that defines a function in a private module, and shows it in two public ones."""

    def module(name, **names):
        found = sys.modules[name] = types.ModuleType(name)
        vars(found).update(names)
        return found

    private = module("thepackage._core")
    source = "def half(x, *, by=2):\n    return x / by\nclass Box:\n    def get(self, x):\n        return x * 2\n"
    exec(source, vars(private))
    one = module("thepackage", half=private.half)
    other = module("thepackage.more", half=private.half, another=private.half)
    try:
        original = private.half
        ad.implements(one.half)(lambda x, by=2: 10 * x * by)
        np.testing.assert_allclose(slope(one.half), 20.0)
        np.testing.assert_allclose(slope(lambda x: other.half(by=3, x=x)), 30.0)
        assert private.half is original is other.another
        ad.implements(private.Box.get)(lambda self, x: x * 7)
        np.testing.assert_allclose(slope(private.Box().get), 7.0)
        assert private.Box().get(1.0) == 2.0
    finally:
        for name in ("thepackage._core", "thepackage", "thepackage.more"):
            del sys.modules[name]


def local(x):
    def inner(x):
        return x

    return inner


@pytest.mark.parametrize("what", [3, None, np.asarray, len, np.poly1d, local(1), lambda x: x])
def test_what_is_no_function_of_another_package(what):
    with pytest.raises(errors.ArgumentError, match="implements: "):
        ad.implements(what)
