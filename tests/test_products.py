"""Products of derivatives and vectors, and gradients of other kinds."""

import dataclasses
import inspect
import itertools
import math
import re
from collections import namedtuple

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.transforms.calls import ENGINE

RNG = np.random.default_rng(5)
X, V, Y = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
M = RNG.normal(size=(4, 4)) + 4 * np.eye(4)
Pair = namedtuple("Pair", "first second")


def smooth(x, y):
    """A vector of everything: products, linear algebra, choices, indices, writes."""
    z = np.tanh(x @ M) * y
    z[1:, ::2] = np.where(x[1:, ::2] > 0, x[1:, ::2] ** 2, np.sin(x[1:, ::2]))
    return np.concatenate([np.linalg.solve(M, z.T).sum(0), np.cumsum(y)[[0, 2, 2]], np.max(z, 1)])


def along(function, at, direction, step=1e-4):
    """The derivative along a direction, by differences of fourth order."""

    def f(h):
        return np.asarray(function(*[np.asarray(a) + h * np.asarray(d) for a, d in zip(at, direction, strict=True)]))

    return (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step)


def plain(x, y):
    """``smooth`` for arrays, which it writes to."""
    return smooth(x.copy(), y)


def test_forward_and_reverse_mode_agree_with_differences():
    t, u = V, np.cos(Y)
    value, tangent = ad.jvp(smooth, (X, Y), (t, u))
    np.testing.assert_allclose(value, plain(X, Y), rtol=1e-12)
    expected = along(plain, (X, Y), (t, u))
    np.testing.assert_allclose(tangent, expected, rtol=1e-7, atol=1e-9)
    again, pushforward = ad.linearize(smooth, X, Y)
    np.testing.assert_array_equal(again, value)
    np.testing.assert_allclose(pushforward(t, u), tangent, rtol=1e-12)
    ct = np.arange(1.0, 10.0)
    back, pullback = ad.vjp(smooth, X, Y)
    np.testing.assert_array_equal(back, value)
    gx, gy = pullback(ct)
    assert (gx.shape, gy.shape) == (X.shape, Y.shape)
    np.testing.assert_allclose(np.sum(gx * t) + np.sum(gy * u), np.sum(ct * expected), rtol=1e-8)


def energy(x):
    return np.sum(np.sin(x) * x[::-1] ** 2) + np.prod(1 + x[0] ** 2) * np.sum(np.exp(-(x**2)))


def test_products_with_the_hessian():
    expected = along(ad.grad(energy), (X,), (V,))
    for product in (ad.hvp(energy), ad.vhp(energy), lambda x, v: ad.jvp(ad.grad(energy), (x,), (v,))[1]):
        np.testing.assert_allclose(product(X, V), expected, rtol=1e-7, atol=1e-8)
    blocks = ad.hvp(lambda x, c, y: np.sum(c * x**2 @ y), argnums=(0, 2))(X, (V, Y), 3.0, Y)
    assert [b.shape for b in blocks] == [X.shape, Y.shape]
    np.testing.assert_allclose(blocks[0], 6 * (V * Y + X * Y))
    assert ad.hvp(lambda x, scale: scale * x**3)(2.0, 1.0, scale=10.0) == 120.0
    value, aux = ad.hvp(lambda x: (x**3, {"twice": 2 * x}), has_aux=True)(2.0, 1.0)
    assert (value, aux) == (12.0, {"twice": 4.0})


def test_generalised_gauss_newton():
    def model(w):
        return np.tanh(w @ M)

    def loss(z):
        return np.sum(np.log1p(z**2) + z)

    jacobian = np.stack([ad.vjp(model, Y)[1](row)[0] for row in np.eye(4)])
    z = np.tanh(Y @ M)
    curvature = np.diag(2 * (1 - z**2) / (1 + z**2) ** 2)
    np.testing.assert_allclose(ad.ggnvp(model, loss)(Y, V[0]), jacobian.T @ curvature @ jacobian @ V[0])
    np.testing.assert_allclose(ad.ggnvp(model)(Y, V[0]), jacobian.T @ jacobian @ V[0])


def test_python_numbers():
    assert ad.jvp(np.sin, (0.0,), (2,)) == (0.0, 2.0)
    value, pullback = ad.vjp(lambda x, y: {"p": x * y, "s": [x + y]}, 2.0, 3)
    assert value == {"p": 6.0, "s": [5.0]}
    assert pullback({"p": 10.0, "s": [1.0]}) == (31.0, 21.0)
    assert all(type(g) is float for g in pullback({"p": 10.0, "s": [1.0]}))
    assert ad.nth_derivative(lambda x: x**5, 3)(2.0) == 240.0
    assert ad.nth_derivative(np.sin, 0)(0.5) == np.sin(0.5)
    assert type(ad.holomorphic_grad(np.exp)(1j)) is complex
    assert ad.holomorphic_grad(lambda z, w: z * w**2, argnums=(0, 1))(1j, 2 + 0j) == (4, 4j)
    assert ad.jvp(lambda x: 3.0, (1.0,), (1.0,)) == (3.0, 0.0)
    assert type(ad.jvp(lambda x: x * np.ones(2), (1.0,), (1.0,))[1]) is np.ndarray


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "F", "D"])
def test_dtypes_and_degenerate_shapes(dtype):
    for shape in [(), (0,), (2, 0), (1, 3)]:
        x = np.ones(shape, dtype)
        for out in (*ad.jvp(lambda a: a * a, (x,), (x,)), *ad.vjp(lambda a: a * a, x)[1](x)):
            assert (out.shape, out.dtype) == (x.shape, x.dtype)
    if np.dtype(dtype).kind == "f":
        assert ad.elementwise_grad(lambda a: a**3)(np.array([2], dtype)).dtype == dtype
    z = np.array([1 + 2j])
    np.testing.assert_allclose(ad.jvp(lambda a: a**2, (z,), (1j * z,))[1], 2j * z**2)
    np.testing.assert_allclose(ad.jvp(lambda a: np.abs(a) ** 2, (z,), (np.array([1j]),))[1], [4.0])


# --- composition -----------------------------------------------------------------------------------------------------

STEPS = {
    "grad": ad.grad,
    "jvp": lambda g: lambda x: ad.jvp(g, (x,), (1.0,))[1],
    "vjp": lambda g: lambda x: ad.vjp(g, x)[1](1.0)[0],
    "linearize": lambda g: lambda x: ad.linearize(g, x)[1](1.0),
    "elementwise": ad.elementwise_grad,
}


def test_any_mix_to_depth_four():
    def f(x):
        return np.sin(x) * x**3

    s, c, x = math.sin(0.7), math.cos(0.7), 0.7
    expected = s * (x**3 - 36 * x) + c * (24 - 12 * x**2)
    mixes = [
        *itertools.product(["grad", "jvp", "linearize"], repeat=4),
        *[2 * two for two in itertools.permutations(STEPS, 2)],
    ]
    for steps in mixes:
        g = f
        for step in steps:
            g = STEPS[step](g)
        result = g(x)
        assert type(result) is float
        assert result == pytest.approx(expected, rel=1e-11), steps


def test_nested_derivatives_do_not_mix_up_their_variables():
    assert ad.jvp(lambda x: x * ad.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1] == 1.0
    assert ad.grad(lambda x: ad.vjp(lambda y: x * y * y, 3.0)[1](x)[0])(2.0) == 24.0
    assert ad.jvp(lambda x: ad.jvp(lambda y: x * y, (3.0,), (x,))[1], (2.0,), (1.0,)) == (4.0, 4.0)
    w = ad.Tensor([2.0, 3.0])
    value, tangent = ad.jvp(lambda x: w * x, (np.ones(2),), (np.ones(2),))
    assert isinstance(tangent, ad.Tensor)
    np.testing.assert_array_equal(ad.Graph().gradient(np.sum(value * tangent), [w])[0], 2 * w.value)


def test_a_vector_of_a_product_may_be_differentiated():
    pullback = ad.vjp(lambda x: x**2, 3.0)[1]
    assert ad.grad(lambda ct: pullback(ct)[0])(1.0) == 6.0
    t = ad.Tensor(V)
    product = ad.hvp(energy)(X, t)
    np.testing.assert_allclose(ad.Graph().gradient(np.sum(product * V), [t])[0], ad.hvp(energy)(X, V), rtol=1e-9)


def test_vectors_are_captured():
    """Who writes into an array afterwards changes no result that is computed later."""
    w, t = ad.Tensor(2.0), np.ones(3)
    _, tangent = ad.jvp(lambda x: w * x, (np.ones(3),), (t,))
    t[:] = 7
    np.testing.assert_array_equal(tangent, [2.0, 2.0, 2.0])


def test_traced_once():
    calls = []

    def f(x, v):
        calls.append(1)
        return ad.hvp(energy)(x, v), ad.jvp(energy, (x,), (v,)), ad.vjp(energy, x)[1](2.0)

    step = ad.function(f)
    for _ in range(3):
        found = step(X, V)
    assert len(calls) == 1
    np.testing.assert_allclose(found[0], ad.hvp(energy)(X, V))
    np.testing.assert_allclose(found[2][0], 2 * ad.grad(energy)(X))


def test_the_second_call_compiles_nothing():
    def called(scale):
        ad.jvp(energy, (scale * X,), (V,))
        ad.hvp(energy)(scale * X, V)
        ad.linearize(energy, scale * X)[1](V)
        ad.grad(lambda x: ad.jvp(energy, (x,), (V,))[1])(scale * X)

    called(1.0)
    misses = ENGINE.cache.info().misses
    called(2.0)
    assert ENGINE.cache.info().misses == misses


def test_an_index_is_data():
    """The same structure at another place is another result."""
    for i in (0, 2, 1):
        for call in (
            lambda f: ad.jvp(f, (Y,), (Y,))[1],
            lambda f: ad.linearize(f, Y)[1](Y),
            lambda f: ad.vjp(f, Y)[1](1.0)[0].sum() * Y[i],  # noqa: B023
        ):
            np.testing.assert_allclose(call(lambda x: x[i] ** 2), 2 * Y[i] ** 2)  # noqa: B023


def test_a_linear_part_computes_nothing_twice():
    seen = []

    def f(x):
        seen.append(1)
        return np.linalg.inv(x) @ np.exp(x)

    _, pullback = ad.vjp(f, M)
    for row in np.eye(4):
        expected = ad.grad(lambda x: np.sum(f(x) * row))(M)  # noqa: B023
        np.testing.assert_allclose(pullback(np.tile(row, (4, 1)))[0], expected, rtol=1e-9)
    assert len(seen) == 5
    split = next(v for v in reversed(ENGINE.cache.values()) if hasattr(v, "second"))
    assert not re.search(r"\binv\b", split.second.source)
    assert "exp(" not in split.second.source


# --- arguments -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Layer:
    """Parameters, and a word that is none."""

    weight: object
    bias: object
    kind: str = dataclasses.field(default="tanh", metadata={"static": True})

    def __call__(self, x):
        return getattr(np, self.kind)(x @ self.weight + self.bias)


class Point:
    """A class that has to be registered."""

    def __init__(self, x, y, label):
        self.x, self.y, self.label = x, y, label


ad.register_container(Point, lambda p: ((p.x, p.y), p.label), lambda label, parts: Point(*parts, label))


def test_dataclasses_and_registered_classes_are_containers():
    layer = Layer(M, 0.5)
    slopes = ad.grad(lambda p: np.sum(p["layers"][0](Y)))({"layers": [layer]})["layers"][0]
    assert type(slopes) is Layer
    assert slopes.kind == "tanh"
    assert type(slopes.bias) is float
    np.testing.assert_allclose(slopes.weight, np.outer(Y, 1 - np.tanh(Y @ M + 0.5) ** 2))
    value, tangent = ad.jvp(lambda p: Point(p.x * p.y, p.x, p.label), (Point(2.0, 3.0, "a"),), (Point(1.0, 0.0, "a"),))
    assert (value.x, value.y, value.label, tangent.x, tangent.y) == (6.0, 2.0, "a", 3.0, 1.0)
    with pytest.raises(errors.ArgumentError, match="nested as"):
        ad.jvp(lambda p: p.x, (Point(2.0, 3.0, "a"),), (Point(1.0, 0.0, "b"),))
    step = ad.function(lambda layer, x: layer(x))
    np.testing.assert_allclose(step(layer, Y), layer(Y))
    np.testing.assert_allclose(step(Layer(2 * M, 0.5), Y), Layer(2 * M, 0.5)(Y))
    np.testing.assert_allclose(step(Layer(M, 0.5, "sin"), Y), np.sin(Y @ M + 0.5))
    assert step.cache_info().misses == 2


def test_bad_registrations():
    with pytest.raises(errors.ArgumentError, match="no class"):
        ad.register_container(Pair, tuple, tuple)
    with pytest.raises(errors.ArgumentError, match="registered already"):
        ad.register_container(Point, lambda p: ((), None), lambda rest, parts: None)
    with pytest.raises(errors.ArgumentError, match="callable"):
        ad.register_container(float, None, tuple)


def test_arguments_by_name():
    def f(x, y=2.0, *, scale):
        return scale * x * y**2

    assert ad.grad(f, argnames="scale")(3.0, 2.0, scale=5.0) == 12.0
    assert ad.grad(f, argnames="y")(3.0, 2.0, scale=5.0) == 60.0
    assert ad.grad(f, argnames=("scale", "x"))(3.0, 2.0, scale=5.0) == {"scale": 12.0, "x": 20.0}
    assert ad.grad(f, argnums=0, argnames=["scale"])(3.0, 2.0, scale=5.0) == (20.0, {"scale": 12.0})
    assert ad.value_and_grad(f, argnames="x")(3.0, scale=1.0) == (12.0, 4.0)
    assert ad.hvp(f, argnames="y")(3.0, 1.0, 2.0, scale=5.0) == 30.0
    with pytest.raises(errors.ArgumentError, match=r"argnames names 'y'.*called without it; its parameters are x, y"):
        ad.grad(f, argnames="y")(3.0, scale=1.0)
    for names in ((), (1,), 3):
        with pytest.raises(errors.ArgumentError, match="argnames="):
            ad.grad(f, argnames=names)


def test_results_beside():
    def f(x):
        return np.sum(x**2), {"x": x * 2, "word": "text", "none": None}

    gradient, aux = ad.grad(f, has_aux=True)(Y)
    np.testing.assert_allclose(gradient, 2 * Y)
    assert type(aux["x"]) is np.ndarray
    assert (aux["word"], aux["none"]) == ("text", None)
    (value, aux), gradient = ad.value_and_grad(f, has_aux=True)(Y)
    np.testing.assert_allclose(aux["x"], 2 * Y)
    value, tangent, aux = ad.jvp(f, (Y,), (Y,), has_aux=True)
    np.testing.assert_allclose((value, tangent), (np.sum(Y**2), 2 * np.sum(Y**2)))
    aux = ad.vjp(f, Y, has_aux=True)[2]
    np.testing.assert_allclose(aux["x"], 2 * Y)
    assert ad.elementwise_grad(lambda x: (x**2, x), has_aux=True)(3.0) == (6.0, 3.0)
    second = ad.grad(lambda x: np.sum(ad.grad(f, has_aux=True)(x)[1]["x"] ** 2))(Y)
    np.testing.assert_allclose(second, 8 * Y)


SAME_ARGUMENTS = {
    **{name: getattr(ad, name) for name in ("grad", "value_and_grad", "elementwise_grad", "holomorphic_grad")},
    **{name: getattr(ad, name) for name in ("jacobian", "hessian", "vmap", "function", "custom_vjp", "custom_jvp")},
    "nth_derivative": lambda f: ad.nth_derivative(f, 2),
}
WITH_A_VECTOR = {name: getattr(ad, name) for name in ("hvp", "vhp", "ggnvp")}


@pytest.mark.parametrize("name", [*SAME_ARGUMENTS, *WITH_A_VECTOR])
def test_names_docstrings_and_signatures_are_kept(name):
    def named(x, y: float = 2.0, *, z=1):
        """What it says."""
        return x * y * z

    found = (SAME_ARGUMENTS | WITH_A_VECTOR)[name](named)
    assert (found.__name__, found.__doc__) == ("named", "What it says.")
    # A product takes a vector after the first argument.
    assert (inspect.signature(found) == inspect.signature(named)) == (name in SAME_ARGUMENTS)


def test_a_derivative_at_a_constant_point_within_another_is_a_number():
    found = []

    def cubic(y):
        return y**3

    def outer(x):
        found[:] = [
            ad.grad(cubic)(2.0),
            *ad.value_and_grad(cubic)(2.0),
            *ad.jvp(cubic, (2.0,), (1.0,)),
            *ad.vjp(cubic, 2.0)[1](1.0),
            ad.linearize(cubic, 2.0)[1](1.0),
            ad.hvp(cubic)(2.0, 1.0),
            ad.jacobian(cubic)(2),
            ad.hessian(cubic)(2.0),
            ad.nth_derivative(cubic, 2)(2.0),
            ad.elementwise_grad(cubic)(2.0),
        ]
        return x * found[0]

    for transform in (ad.grad(outer), lambda x: ad.jvp(outer, (x,), (1.0,))[1], ad.hessian(outer), ad.function(outer)):
        transform(1.5)
        assert {type(value) for value in found} == {float}
        assert found == [12.0, 8.0, 12.0, 8.0, *[12.0] * 8]


WRONG = {
    "shape of a tangent": (
        lambda: ad.jvp(np.sin, (np.ones(3),), (np.ones(2),)),
        errors.ShapeError,
        r"tangents\[0\].*\(2,\).*float64\[3\]",
    ),
    "within a container": (
        lambda: ad.jvp(lambda p: p["a"][1], ({"a": [1.0, Y]},), ({"a": [1.0, Y[:2]]},)),
        errors.ShapeError,
        r"tangents\[0\]\['a'\]\[1\]",
    ),
    "structure": (lambda: ad.jvp(lambda p: p["a"], ({"a": Y},), ([Y],)), errors.ArgumentError, r"\{'a': \*\}.*\[\*\]"),
    "number of tangents": (lambda: ad.jvp(np.sin, (Y,), (Y, Y)), errors.ArgumentError, "1 entry.*not 2"),
    "primals": (lambda: ad.jvp(np.sin, Y, (Y,)), errors.ArgumentError, r"write \(x,\)"),
    "tangents": (lambda: ad.jvp(np.sin, (Y,), Y), errors.ArgumentError, "tangents=.*tuple"),
    "complex tangent": (lambda: ad.jvp(np.sin, (Y,), (Y * 1j,)), errors.DTypeError, "no imaginary part"),
    "integers": (lambda: ad.jvp(np.argmax, (Y,), (Y,)), errors.DifferentiationError, "int64.*has_aux"),
    "words": (lambda: ad.vjp(lambda x: {"a": "word"}, Y), errors.DifferentiationError, r"'word' at result\['a'\]"),
    "shape of a cotangent": (lambda: ad.vjp(np.sin, Y)[1](Y[:2]), errors.ShapeError, "cotangent.*(2,)"),
    "several cotangents": (lambda: ad.vjp(np.sin, Y)[1](Y, Y), errors.ArgumentError, "takes one"),
    "no vector": (lambda: ad.hvp(energy)(X), errors.ArgumentError, r"hvp\(f\)\(x, v"),
    "hvp of a vector": (lambda: ad.hvp(np.sin)(Y, Y), errors.DifferentiationError, "hvp: .*scalar"),
    "aux": (lambda: ad.grad(energy, has_aux=True)(X), errors.DifferentiationError, "pair"),
    "no function": (lambda: ad.jvp(3, (Y,), (Y,)), errors.ArgumentError, "not callable"),
    "path of an argument": (
        lambda: ad.grad(lambda p: p)({"a": [1.0, "x"]}),
        errors.DTypeError,
        r"grad: args\[0\]\['a'\]\[1\]",
    ),
    "complex elementwise": (
        lambda: ad.elementwise_grad(np.exp)(np.ones(2) * 1j),
        errors.DifferentiationError,
        "holomorphic_grad",
    ),
    "several results": (lambda: ad.elementwise_grad(lambda x: [x])(Y), errors.DifferentiationError, "one array"),
    "real argument": (lambda: ad.holomorphic_grad(np.exp)(1.0), errors.DifferentiationError, r"args\[0\].*complex"),
    "real result": (lambda: ad.holomorphic_grad(np.abs)(1j), errors.DifferentiationError, "grad differentiates real"),
    "order": (lambda: ad.nth_derivative(np.sin, -1), errors.ArgumentError, "n=-1"),
    "several arguments": (lambda: ad.nth_derivative(np.sin, 1, (0, 1)), errors.ArgumentError, "one argument"),
    "loss": (lambda: ad.ggnvp(np.sin, 3), errors.ArgumentError, "loss"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
