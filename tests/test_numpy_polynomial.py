"""``numpy.polynomial`` with Tensors: every function and method gives NumPy's numbers, and derivatives of them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff import errors
from autodiff.numpy_api import own_code

BASES = {
    "polynomial": ("poly", "Polynomial"), "chebyshev": ("cheb", "Chebyshev"), "legendre": ("leg", "Legendre"),
    "hermite": ("herm", "Hermite"), "hermite_e": ("herme", "HermiteE"), "laguerre": ("lag", "Laguerre"),
}  # fmt: skip
RNG = np.random.default_rng(0)
C, D = RNG.uniform(0.5, 2, 4), RNG.uniform(0.5, 2, 3)
MATRIX, CUBE = RNG.uniform(0.5, 2, (3, 3)), RNG.uniform(0.5, 2, (2, 3, 2))
X, Y = RNG.uniform(-0.8, 0.8, (2, 3)), RNG.uniform(-0.8, 0.8, (2, 3))
AT, SAMPLES = np.linspace(-0.9, 0.8, 6), RNG.normal(size=6)

# Functions by what follows the name of the base: calls of these, with arrays that have derivatives.
CALLS: dict[str, list[tuple[Any, ...]]] = {
    **{name: [(C, D), (D, C)] for name in ("add", "sub", "mul", "div")},
    "mulx": [(C,)],
    "pow": [(D, 3)],
    "val": [(X, C), (X[0], MATRIX), (X[0], MATRIX, False), (0.5, C)],
    "val2d": [(X, Y, MATRIX)],
    "val3d": [(X, Y, X, CUBE)],
    "grid2d": [(X[0], Y[0], MATRIX)],
    "grid3d": [(X[0], Y[0], X[1], CUBE)],
    "der": [(C, 2, 3.0), (MATRIX, 1, 1, 1)],
    "int": [(C,), (C, 2, [1, 2], 0.5, 2.0), (MATRIX, 1, [], 0, 1, 1)],
    "fromroots": [(D,)],
    "vander": [(AT, 3)],
    "vander2d": [(X, Y, [1, 2])],
    "vander3d": [(X, Y, X, [1, 1, 2])],
    "fit": [(AT, SAMPLES, 2), (AT, np.stack([SAMPLES, AT], 1), 1), (AT, SAMPLES, [0, 2], None, False, AT + 1.5)],
    "companion": [(D,)],
    "roots": [(D,)],
    "trim": [(C,)],
    "weight": [(X,)],
    "valfromroots": [(X[0], D), (X, MATRIX), (X[0], MATRIX, False)],
}


def leaves(found: Any) -> list[Any]:
    return [leaf for part in found for leaf in leaves(part)] if isinstance(found, (tuple, list)) else [found]


def check(function: Callable[..., Any], args: tuple[Any, ...], turn: int = 0) -> None:
    """Values are NumPy's; derivatives, looked at in each third turn, those of finite differences."""
    places = [i for i, x in enumerate(args) if isinstance(x, np.ndarray)]
    expected = leaves(function(*args))
    found = leaves(function(*[ad.Tensor(x) if i in places else x for i, x in enumerate(args)]))
    for x, e in zip(found, expected, strict=True):
        assert isinstance(x, ad.Tensor)
        # Eigenvalues are complex, whatever their values.
        assert x.dtype in (np.asarray(e).dtype, np.result_type(e, complex))
        assert x.shape == np.shape(e)
        np.testing.assert_allclose(x.value, e, rtol=1e-12, atol=1e-13)
        assert not isinstance(e, ad.Tensor)

    if turn % 3:
        return

    def loss(*arrays: Any) -> Any:
        given = list(args)
        for i, x in zip(places, arrays, strict=True):
            given[i] = x
        return sum(np.sum(np.real(x) ** 2) for x in leaves(function(*given)))

    arrays = [args[i] for i in places]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.IndependentWarning)
        gradients = ad.grad(loss, tuple(range(len(arrays))))(*arrays)
    ways = [np.random.default_rng(1).normal(size=x.shape) for x in arrays]
    ends = [loss(*[x + sign * 1e-6 * way for x, way in zip(arrays, ways, strict=True)]) for sign in (1, -1)]
    total = sum(np.sum(g * way) for g, way in zip(gradients, ways, strict=True))
    np.testing.assert_allclose(total, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", CALLS)
def test_functions(base: str, name: str) -> None:
    function = BASES[base][0] + name
    module = getattr(np.polynomial, base)
    if not hasattr(module, function):
        assert name in ("weight", "valfromroots")
        return
    for args in CALLS[name]:
        check(getattr(module, function), args, [*BASES].index(base) + [*CALLS].index(name))


@pytest.mark.parametrize("base", [base for base in BASES if base != "polynomial"])
def test_changes_of_base(base: str) -> None:
    prefix = BASES[base][0]
    for function in (f"poly2{prefix}", f"{prefix}2poly"):
        check(getattr(getattr(np.polynomial, base), function), (C,))


def test_every_function_is_called() -> None:
    for base, (prefix, _) in BASES.items():
        public = {
            name
            for name in getattr(np.polynomial, base).__all__
            if callable(getattr(np.polynomial, base).__dict__[name])
        }
        tested = {prefix + name for name in CALLS} | {f"poly2{prefix}", f"{prefix}2poly", BASES[base][1]}
        # Quadrature rules and lines have numbers for arguments, and interpolation a function.
        assert public - tested <= {
            f"{prefix}gauss",
            f"{prefix}line",
            f"{prefix}interpolate",
            f"{prefix}pts1",
            f"{prefix}pts2",
            # Since NumPy 2.5; it is replaced as the others are, and calls what they call.
            f"{prefix}valnd",
        }


METHODS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "value": (lambda kind, c, x: kind(c)(x), (C, AT)),
    "domain": (lambda kind, c, d, x: kind(c, domain=d, window=[-1, 3])(x), (C, np.array([0.0, 2.0]), AT)),
    "sum": (lambda kind, c, d: kind(c) + kind(d) - 2 * kind(d) / 3 + 1, (C, D)),
    "product": (lambda kind, c, d: -kind(c) * kind(d) ** 2, (C, D)),
    "times a Tensor": (lambda kind, c, s: s * kind(c), (C, np.array(2.0))),
    "quotient": (lambda kind, c, d: kind(c) // kind(d), (C, D)),
    "remainder": (lambda kind, c, d: divmod(kind(c), kind(d))[1], (C, D)),
    "derivative": (lambda kind, c: kind(c).deriv(2), (C,)),
    "integral": (lambda kind, c: kind(c).integ(2, k=[1, 2], lbnd=0.3), (C,)),
    "composition": (lambda kind, c, d: kind(c)(kind(d)), (C, D)),
    "cut": (lambda kind, c: kind(c).cutdeg(2) + kind(c).truncate(2).trim(), (C,)),
    "samples": (lambda kind, c: kind(c).linspace(5)[1], (C,)),
    "fit": (lambda kind, x, y: kind.fit(x, y, 2), (AT, SAMPLES)),
    "from roots": (lambda kind, r: kind.fromroots(r), (D,)),
    "roots": (lambda kind, c: kind(c).roots(), (C,)),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_classes(base: str, method: str) -> None:
    function, args = METHODS[method]

    def call(*given: Any) -> Any:
        found = function(getattr(np.polynomial, BASES[base][1]), *given)
        return getattr(found, "coef", found)

    check(call, args, [*BASES].index(base) + [*METHODS].index(method))


def test_what_a_trace_does_not_know_is_kept() -> None:
    """Which coefficients are zero decides shapes; while a function is traced, none is."""

    def products(c: Any, d: Any) -> Any:
        return np.polymul(c, d), np.polynomial.chebyshev.chebmul(c, d), *np.polydiv(c, d), np.roots(c)

    for c in (C, C[::-1].copy()):
        traced = ad.function(products)(c, D)
        for found, expected in zip(traced, products(c, D), strict=True):
            np.testing.assert_allclose(np.asarray(found)[-len(expected) :], expected, rtol=1e-10)
    kept = ad.function(np.polymul)(np.array([0.0, 1.0]), D)
    np.testing.assert_array_equal(np.asarray(kept), [0.0, *D])


def test_a_polynomial_is_numpys() -> None:
    p, numpys = np.polynomial.Polynomial(ad.Tensor(C)), np.polynomial.Polynomial(C)
    assert type(p) is type(numpys)
    q = p.convert(kind=np.polynomial.Chebyshev)
    np.testing.assert_allclose(q.coef.value, numpys.convert(kind=np.polynomial.Chebyshev).coef)
    assert str(p) == str(numpys)
    assert p == p
    assert p.degree() == 3
    with pytest.raises(TypeError, match="Polynomial types differ"):
        p + q


def test_numpys_functions_can_be_put_back() -> None:
    replaced = np.polynomial.polynomial.polyfit
    try:
        own_code.uninstall()
        original = np.polynomial.polynomial.polyfit
        assert original is replaced.__wrapped__
        assert np.polynomial.Polynomial._val is np.polynomial.polynomial.polyval
        with pytest.raises(errors.DetachedError, match="Import it after autodiff"):
            ad.grad(lambda y: np.sum(original(AT, y, 1)))(SAMPLES)
    finally:
        own_code.install()
    assert np.polynomial.polynomial.polyfit is not original


@pytest.mark.parametrize("first", ["numpy.polynomial", "autodiff"])
def test_whichever_is_imported_first(first: str) -> None:
    code = f"""
import {first}, sys
import autodiff as ad, numpy as np
assert ("numpy.polynomial" in sys.modules) == ({first!r} == "numpy.polynomial")
assert type(np.polynomial.chebyshev.chebval(0.5, ad.Tensor([1.0, 2.0]))) is ad.Tensor
assert type(np.polynomial.Legendre(ad.Tensor([1.0, 2.0]))(0.5)) is ad.Tensor
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_poly1d_has_tensors_for_coefficients() -> None:
    def loss(c: Any) -> Any:
        p = np.poly1d(c)
        return (p**2 + p.deriv() * 3 - p / 2)(0.7) + p.integ()(2.0)

    expected = [(loss(C + h) - loss(C - h)) / 2e-6 for h in 1e-6 * np.eye(4)]
    np.testing.assert_allclose(ad.grad(loss)(C), expected, rtol=1e-6)
    np.testing.assert_allclose(np.polyadd(ad.Tensor(D), np.poly1d([1.0, 2.0])).coeffs.value, D + np.array([0, 1, 2]))


# --- vectorize -------------------------------------------------------------------------------------------------------


def test_vectorize_calls_a_function_for_each_element() -> None:
    def branch(a: Any, b: Any) -> Any:
        return a * b if a > b else a + b

    calls = anp.vectorize(branch)(ad.Tensor([1.0, 3.0]), [[2.0], [0.0]])
    np.testing.assert_array_equal(calls.value, np.vectorize(branch)([1.0, 3.0], [[2.0], [0.0]]))
    np.testing.assert_array_equal(
        ad.grad(lambda x: np.sum(anp.vectorize(branch)(x, 2.0) ** 2))(np.array([1.0, 3.0])), [6, 24]
    )
    first, second = anp.vectorize(lambda x: (x, 2 * x), otypes=["f4", float])(ad.Tensor([1.0, 2.0]))
    assert (first.dtype, second.dtype) == ("f4", "f8")
    assert isinstance(anp.vectorize(branch)([1.0], 2.0), np.ndarray)


def test_vectorize_by_signature() -> None:
    def both(x: Any, y: Any) -> Any:
        return np.stack([x @ y, np.sum(x)])

    found = anp.vectorize(both, signature="(n),(n)->(k)")(ad.Tensor(MATRIX), MATRIX[0])
    np.testing.assert_allclose(found.value, np.vectorize(both, signature="(n),(n)->(k)")(MATRIX, MATRIX[0]))
    chosen = anp.vectorize(lambda x, p: np.sum(p * x), excluded={1})(ad.Tensor([1.0, 2.0]), np.array([1, 2]))
    np.testing.assert_array_equal(chosen.value, [3, 6])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda t: anp.vectorize(lambda x: x)(x=t), "x is given by name"),
        (lambda t: anp.vectorize(lambda x: x, signature="(n)->()")(t[0]), "fewer axes than the signature"),
        (lambda t: anp.vectorize(lambda x: x, signature="(n),(n)->()")(t), "names 2 arguments, 1 are given"),
        (lambda t: anp.vectorize(lambda x: x)(t[:0]), "of no elements"),
        (lambda t: np.frompyfunc(lambda x: x, 1, 1)(t), "computes with Python objects"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(errors.AutodiffError, match=text):
        call(ad.Tensor([1.0, 2.0]))


def test_strides_are_refused_with_a_reason() -> None:
    with pytest.raises(errors.DetachedError, match="reads memory by strides"):
        ad.grad(lambda x: np.sum(np.lib.stride_tricks.as_strided(x, (2, 2), (8, 8))))(D)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_kaiser_by_its_shape(count: int) -> None:
    np.testing.assert_allclose(anp.kaiser(count, ad.Tensor(8.0)).value, np.kaiser(count, 8.0), rtol=1e-14)
    slope = (np.kaiser(count, 3 + 1e-6) - np.kaiser(count, 3 - 1e-6)).sum() / 2e-6
    np.testing.assert_allclose(ad.grad(lambda b: np.sum(anp.kaiser(count, b)) + 0 * b)(3.0), slope, atol=1e-8)
