"""Functions with derivatives that somebody has written."""

import itertools

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

X = np.array([0.3, 0.7, -1.2])
P = {"a": 2.0, "b": np.array([1.0, 2.0, 3.0])}


def plain(x, p, word="w"):
    return {"s": np.sin(x) * p["a"] * p["b"], "c": [np.cos(x) + p["a"]]}


@ad.custom_vjp
def by_cotangents(x, p, word="w"):
    """Sines and cosines."""
    return plain(x, p)


def backward(residuals, ct):
    x, p = residuals
    s, (c,) = ct["s"], ct["c"]
    return (
        s * np.cos(x) * p["a"] * p["b"] - c * np.sin(x),
        {"a": np.sum(s * np.sin(x) * p["b"]) + np.sum(c), "b": s * np.sin(x) * p["a"]},
        None,
    )


by_cotangents.defvjp(lambda x, p, word="w": (plain(x, p), (x, p)), backward)


@ad.custom_jvp
def by_tangents(x, p, word="w"):
    return plain(x, p)


@by_tangents.defjvp
def _rule(primals, tangents):
    x, p, _ = primals
    tx, tp, none = tangents
    assert none is None
    slope = np.cos(x) * p["a"] * p["b"] * tx + np.sin(x) * (tp["a"] * p["b"] + p["a"] * tp["b"])
    return plain(x, p), {"s": slope, "c": [-np.sin(x) * tx + tp["a"]]}


def loss(function):
    def f(x, p):
        out = function(x, p, "word")
        return np.sum(out["s"] ** 2 * x) + np.sum(out["c"][0] * np.exp(x))

    return f


XS, PS = np.stack([X, 2 * X]), {"a": np.array([2.0, 3.0]), "b": np.ones((2, 3))}
USES = {
    "value": lambda f: f(X, P),
    "grad": lambda f: ad.grad(f, (0, 1))(X, P),
    "jvp": lambda f: ad.jvp(f, (X, P), (X, {"a": 1.0, "b": X})),
    "jvp by one": lambda f: ad.jvp(lambda x: f(x, P), (X,), (X,)),
    "vjp": lambda f: ad.vjp(f, X, P)[1](2.0),
    "linearize": lambda f: ad.linearize(f, X, P)[1](X, P),
    "hvp": lambda f: ad.hvp(f)(X, X, P),
    "vhp": lambda f: ad.vhp(f, (0, 1))(X, (X, P), P),
    "hessian": lambda f: ad.hessian(f, (0, 1))(X, P),
    "third order": lambda f: ad.grad(lambda p: np.sum(ad.hessian(f)(X, p)))(P),
    "batch": lambda f: ad.vmap(f, (0, None))(XS, P),
    "batch of gradients": lambda f: ad.vmap(ad.grad(f, (0, 1)))(XS, PS),
    "batch of gradients, one for all": lambda f: ad.vmap(ad.grad(f, (0, 1)), (0, None))(XS, P),
    "batch of Hessians": lambda f: ad.vmap(ad.hessian(f), (None, 0))(X, PS),
    "gradient of a batch": lambda f: ad.grad(lambda x: np.sum(ad.vmap(f, (0, None))(x, P)))(XS),
    "Jacobian of a batch": lambda f: ad.jacobian(ad.vmap(f, (0, None)), mode="forward")(XS, P),
    "traced": lambda f: ad.function(ad.grad(f, (0, 1)))(X, P),
}


def leaves(tree):
    return ad.containers.flatten(tree)[0]


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("function", [by_cotangents, by_tangents], ids=["custom_vjp", "custom_jvp"])
def test_as_the_function_itself(function, use):
    for one, other in zip(leaves(use(loss(function))), leaves(use(loss(plain))), strict=True):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def clipped(low, high):
    @ad.custom_vjp
    def f(x):
        return x

    f.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, low, high),))
    return f


def test_the_rule_is_what_counts():
    assert ad.grad(lambda x: 10 * clipped(-1.0, 1.0)(x))(3.0) == 1.0
    assert ad.jacobian(lambda x: clipped(-np.inf, 0.0)(x) * -3, mode="reverse")(2.0) == -3.0
    with pytest.raises(errors.DifferentiationError, match=r"not linear .* no transpose"):
        ad.jvp(clipped(-1.0, 1.0), (2.0,), (1.0,))

    @ad.custom_jvp
    def f(x):
        return np.log(x)

    f.defjvp(lambda primals, tangents: (f(primals[0]), tangents[0] / np.maximum(primals[0], 1e-3)))
    assert (ad.grad(f)(1e-6), ad.jvp(f, (2.0,), (1.0,))[1]) == (1000.0, 0.5)
    assert ad.grad(ad.grad(f))(1e-6) == 0.0
    assert ad.vmap(ad.grad(f))(np.array([1e-6, 2.0])).tolist() == [1000.0, 0.5]


def test_a_rule_may_call_its_function():
    @ad.custom_jvp
    def f(x):
        return np.exp(x)

    f.defjvp(lambda primals, tangents: ((y := f(primals[0])), y * tangents[0] * 2))
    g = f
    for order in range(1, 4):
        g = ad.grad(g)
        np.testing.assert_allclose(g(0.5), 2.0**order * np.exp(0.5))
    with pytest.raises(errors.MissingRuleError, match="followed so to order 3"):
        ad.grad(g)(0.5)

    @ad.custom_vjp
    def h(x):
        return np.exp(x)

    def forward(x):
        y = h(x)
        return y, y

    h.defvjp(forward, lambda y, ct: (3 * y * ct,))
    np.testing.assert_allclose(ad.grad(ad.grad(h))(0.5), 9 * np.exp(0.5))


@pytest.mark.parametrize("use", [lambda g: ad.jvp(g, (0.5,), (1.0,))[1], lambda g: ad.grad(g)(0.5)])
def test_a_rule_that_calls_its_function_is_followed_in_forward_mode(use):
    """As far as in reverse mode: what a rule takes beside has tangents of its own, and these are not needed."""

    @ad.custom_jvp
    def f(x):
        return np.exp(x)

    f.defjvp(lambda primals, tangents: ((y := f(primals[0])), y * tangents[0]))
    g = ad.grad(lambda x: f(x) ** 2)
    np.testing.assert_allclose(use(g), 4 * np.exp(1.0))
    np.testing.assert_allclose(use(ad.grad(g)), 8 * np.exp(1.0))
    np.testing.assert_allclose(ad.hessian(lambda x: np.sum(f(x) ** 2))(np.zeros(2)), 4 * np.eye(2))


def test_nothing_outside_is_remembered():
    """What a rule takes of the outside may be another thing at the next call, which finds the same plan."""
    factor = np.array(1.0)

    @ad.custom_vjp
    def f(x):
        return x**2

    f.defvjp(lambda x: (x**2, x), lambda x, ct: (ct * x * factor,))
    for value in (2.0, 5.0, -1.0):
        factor = np.array(value)
        assert ad.grad(f)(3.0) == 3 * value
        assert ad.jvp(f, (3.0,), (1.0,))[1] == 3 * value
        assert ad.vmap(ad.grad(f))(np.array([3.0])) == [3 * value]


def test_plain_arrays_see_the_function():
    seen = []

    @ad.custom_vjp
    def f(x):
        seen.append(type(x))
        return x * 2

    assert f(2.0) == 4.0
    np.testing.assert_array_equal(f(X), 2 * X)
    assert seen == [float, np.ndarray]
    assert (by_cotangents.__name__, by_cotangents.__doc__) == ("by_cotangents", "Sines and cosines.")


def test_methods():
    class Model:
        scale = 3.0

        @ad.custom_vjp
        def apply(self, x):
            return self.scale * x

    Model.apply.defvjp(lambda self, x: (self.scale * x, self.scale), lambda scale, ct: (None, 10 * scale * ct))
    assert ad.grad(Model().apply)(1.0) == 30.0


def test_any_mix_to_depth_three():
    @ad.custom_jvp
    def f(x):
        return np.sin(x)

    f.defjvp(lambda primals, tangents: (np.sin(primals[0]), np.cos(primals[0]) * tangents[0]))
    steps = {
        "grad": ad.grad,
        "jvp": lambda g: lambda x: ad.jvp(g, (x,), (1.0,))[1],
        "jacobian": ad.jacobian,
        "vmap": lambda g: lambda x: ad.vmap(g)(np.stack([x, x]) if isinstance(x, ad.Tensor) else np.array([x, x]))[1],
    }
    turns = [np.sin, np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v)]
    for mix in itertools.product(steps, repeat=3):
        g = f
        for step in mix:
            g = steps[step](g)
        np.testing.assert_allclose(np.asarray(g(0.4)), turns[3 - mix.count("vmap")](0.4), rtol=1e-12, err_msg=str(mix))


def vjp_of(forward, backward):
    @ad.custom_vjp
    def f(*args):
        return args[0] * 2

    f.defvjp(forward, backward)
    return f


def jvp_of(rule):
    @ad.custom_jvp
    def f(*args):
        return args[0] * 2

    f.defjvp(rule)
    return f


def fine(x):
    return x * 2, x


W = ad.Tensor([1.0, 2.0, 3.0])
WRONG = {
    "no function": (lambda: ad.custom_vjp(3), errors.ArgumentError, "custom_vjp: 3 is not callable"),
    "no rule": (lambda: ad.grad(ad.custom_vjp(np.sin))(1.0), errors.ArgumentError, r"sin has no rule.*defvjp\("),
    "no rule for tangents": (lambda: ad.grad(ad.custom_jvp(np.sin))(1.0), errors.ArgumentError, r"defjvp\(rule\)"),
    "rules": (lambda: ad.custom_vjp(np.sin).defvjp(None, np.cos), errors.ArgumentError, "forward=None"),
    "rule": (lambda: ad.custom_jvp(np.sin).defjvp(2), errors.ArgumentError, "the rule 2"),
    "names": (lambda: ad.custom_vjp(np.sin)(x=1.0), errors.ArgumentError, "called with x by name"),
    "forward": (lambda: vjp_of(lambda x: x, fine)(W), errors.DifferentiationError, "forward of f must return a pair"),
    "number of cotangents": (
        lambda: vjp_of(fine, lambda x, ct: (ct, ct))(W),
        errors.ArgumentError,
        "tuple of 1 cotangents.*not 2 entries",
    ),
    "no tuple": (lambda: vjp_of(fine, lambda x, ct: ct)(W), errors.ArgumentError, "tuple of 1 cotangents"),
    "structure": (lambda: vjp_of(fine, lambda x, ct: ([ct],))(W), errors.ArgumentError, r"part \[0\] must be nested"),
    "shape": (
        lambda: vjp_of(fine, lambda x, ct: (ct[:2],))(W),
        errors.ShapeError,
        r"part \[0\] is .*\[2\], but belongs to.*\[3\]",
    ),
    "dtype": (lambda: vjp_of(fine, lambda x, ct: (ct * 1j,))(W), errors.DTypeError, "no imaginary part"),
    "not linear": (lambda: vjp_of(fine, lambda x, ct: (x,))(W), errors.DifferentiationError, "does not depend on what"),
    "a look": (
        lambda: vjp_of(fine, lambda x, ct: (ct if ct[0] > 0 else -ct,))(W),
        errors.TraceError,
        "cotangent or tangent.*np.where",
    ),
    "outside": (
        lambda: vjp_of(lambda x: (x * W, x), lambda x, ct: (ct,))(ad.Tensor([1.0, 2.0, 3.0])),
        errors.DifferentiationError,
        "Tensor .* of the outside",
    ),
    "pair": (lambda: jvp_of(lambda p, t: p[0])(W), errors.DifferentiationError, "pair .result, tangent."),
    "shape of a tangent": (
        lambda: jvp_of(lambda p, t: (p[0], t[0][:2]))(W),
        errors.ShapeError,
        "the tangent is .*but belongs to",
    ),
    "structure of a tangent": (
        lambda: jvp_of(lambda p, t: (p[0], [t[0]]))(W),
        errors.ArgumentError,
        "tangent must be nested",
    ),
    "constant tangent": (lambda: jvp_of(lambda p, t: (p[0], p[0]))(W), errors.DifferentiationError, "does not depend"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_zero_is_none():
    f = vjp_of(lambda x, y: (x * 2, None), lambda _, ct: (ct, None))
    assert ad.grad(lambda x, y: f(x, y) * y, (0, 1))(3.0, 4.0) == (4.0, 6.0)
    g = jvp_of(lambda p, t: (p[0] * 2, None))
    assert ad.jvp(g, (3.0,), (1.0,)) == (6.0, 0.0)
