"""Opaque functions, which plans call as they are; and rules for batches."""

import gc
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

X, Y = np.array([0.3, 0.5]), 2.0
XS = np.stack([X, 2 * X])


def made(vectorized=False, rule="jvp"):
    calls = []

    @ad.primitive(infer=lambda x, y, word: {"a": x, "b": ad.ShapeDtype(x.shape[:-1])}, vectorized=vectorized)
    def f(x, y, word):
        assert type(x) is np.ndarray
        assert word == "word"
        calls.append(x.shape)
        return {"a": np.exp(x) * np.asarray(y)[..., None], "b": np.sum(x, -1)}

    if rule == "jvp":

        @f.defjvp
        def _rule(primals, tangents):
            x, y, word = primals
            tx, ty, _ = tangents
            out = f(x, y, word)
            return out, {"a": out["a"] * tx + np.exp(x) * ty, "b": np.sum(tx, -1)}

    elif rule == "vjp":

        def backward(residuals, ct):
            x, y = residuals
            slope = np.exp(x)
            return ct["a"] * slope * y + ct["b"], np.sum(ct["a"] * slope), None

        f.defvjp(lambda x, y, word: (f(x, y, word), (x, y)), backward)
    return f, calls


def loss(f):
    def of(x, y):
        out = f(x, y, "word")
        return np.sum(out["a"] ** 2) + out["b"] ** 3

    return of


def plain(x, y, word):
    return {"a": np.exp(x) * y, "b": np.sum(x)}


USES = {
    "value": lambda g: g(X, Y),
    "grad": lambda g: ad.grad(g, (0, 1))(X, Y),
    "jvp": lambda g: ad.jvp(g, (X, Y), (X, 1.0)),
    "hessian": lambda g: ad.hessian(g, (0, 1))(X, Y),
    "third order": lambda g: ad.jacobian(ad.hessian(g))(X, Y),
    "forward twice": lambda g: ad.jvp(lambda x: ad.jvp(lambda x: g(x, Y), (x,), (X,))[1], (X,), (X,)),
    "batch": lambda g: ad.vmap(g, (0, None))(XS, Y),
    "batch of numbers": lambda g: ad.vmap(g, (None, 0))(X, X),
    "batch of batches": lambda g: ad.vmap(ad.vmap(g, (0, None)), (None, 0))(XS, X),
    "batch of gradients": lambda g: ad.vmap(ad.grad(g, (0, 1)), (0, None))(XS, Y),
    "gradient of a batch": lambda g: ad.grad(lambda x: np.sum(ad.vmap(g, (0, None))(x, Y)))(XS),
    "Hessian of a batch": lambda g: ad.hessian(lambda y: np.sum(ad.vmap(g, (0, None))(XS, y)))(Y),
    "traced": lambda g: ad.function(ad.grad(g, (0, 1)))(X, Y),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", ["jvp", "vjp", "jvp vectorized"])
def test_as_what_is_recorded(kind, use):
    f, _ = made("vectorized" in kind, kind.split()[0])
    found, expected = USES[use](loss(f)), USES[use](loss(plain))
    for one, other in zip(np.atleast_1d(*_leaves(found)), np.atleast_1d(*_leaves(expected)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def _leaves(x):
    return [leaf for part in x for leaf in _leaves(part)] if isinstance(x, (tuple, list)) else [np.asarray(x), 0.0]


def test_nothing_is_called_before_a_value_is_wanted():
    f, calls = made(rule=None)
    out = f(ad.Tensor(X), Y, "word")
    assert not calls
    assert out["a"].shape == (2,)
    assert out["b"].shape == ()
    np.testing.assert_allclose(out["b"].value, 0.8)
    assert calls == [(2,)]


def test_one_call_for_a_batch_if_it_takes_one():
    f, calls = made(vectorized=True)
    ad.vmap(lambda x: f(x, Y, "word")["b"])(np.ones((3, 2)))
    assert calls == [(3, 2)]
    f, calls = made()
    ad.vmap(lambda x: f(x, Y, "word")["b"])(np.ones((3, 2)))
    assert calls == [(2,)] * 3
    assert ad.vmap(lambda x: f(x, Y, "word")["b"])(np.ones((0, 2))).shape == (0,)


def test_without_a_rule_there_is_no_derivative():
    f, _ = made(rule=None)
    for take in (ad.grad, lambda g: lambda x: ad.jvp(g, (x,), (x,))):
        with pytest.raises(errors.MissingRuleError, match="primitive f has no derivative"):
            take(lambda x: f(x, Y, "word")["b"])(X)
    # What does not depend on the argument needs none.
    np.testing.assert_allclose(ad.grad(lambda x: np.sum(x * f(X, Y, "word")["b"]))(X), 0.8)


def test_another_function_is_another_plan():
    def of(scale):
        return ad.primitive(lambda x: scale * x, infer=lambda x: x)

    t = ad.Tensor(X)
    for scale in (2.0, 3.0, 2.0, 4.0):
        np.testing.assert_array_equal((of(scale)(t) + 1).value, scale * X + 1)


def test_static_arguments_are_part_of_the_structure():
    f = ad.primitive(lambda x, n: x**n, infer=lambda x, n: x)
    t = ad.Tensor(X)
    for n in (2, 3, True, 2):
        np.testing.assert_array_equal(f(t, n).value, X**n)


def test_what_the_function_does_to_its_arrays_stays_inside():
    kept = []

    @ad.primitive(infer=lambda x: x)
    def f(x):
        kept.append(x)
        x += 1
        return x

    t = ad.Tensor(X)
    y = np.exp(t)
    out = (f(y) + f(y) * 2).value
    np.testing.assert_allclose(out, 3 * (np.exp(X) + 1))
    kept[0][:] = 99
    np.testing.assert_allclose(y.value, np.exp(X))
    np.testing.assert_allclose((f(y) * 1.0).value, np.exp(X) + 1)


def test_integers_and_several_dtypes():
    both = (ad.ShapeDtype((3,), "int64"), ad.ShapeDtype((), "float32"))
    f = ad.primitive(lambda x: (np.argsort(x), np.float32(x.sum())), infer=both)
    order, total = f(ad.Tensor([3.0, 1.0, 2.0]))
    assert order.dtype == np.int64
    assert order.value.tolist() == [1, 2, 0]
    assert total.dtype == np.float32
    assert total.value == 6


def test_a_primitive_goes_with_its_last_user():
    f = ad.primitive(lambda x: x, infer=lambda x: x)
    f(ad.Tensor(X))
    found = weakref.ref(f)
    del f
    gc.collect()
    assert found() is None


class Model:
    def __init__(self, scale):
        self.scale = scale

    @ad.primitive(infer=lambda self, x: x)
    def method(self, x):
        return self.scale * x


def test_a_method():
    np.testing.assert_array_equal(Model(3).method(ad.Tensor(X)).value, 3 * X)
    np.testing.assert_array_equal(Model(4).method(ad.Tensor(X)).value, 4 * X)


def test_functions_of_numba_and_scipy():
    numba = pytest.importorskip("numba")
    signal = pytest.importorskip("scipy.signal")

    @ad.primitive(infer=lambda x: x)
    @numba.njit
    def cumulated(x):
        out = np.empty_like(x)
        total = 0.0
        for i in range(x.size):
            total += x[i]
            out[i] = total
        return out

    cumulated.defvjp(lambda x: (cumulated(x), None), lambda _, ct: (np.flip(cumulated(np.flip(ct))),))
    np.testing.assert_allclose(ad.grad(lambda x: np.sum(cumulated(x) ** 2))(X), [2 * 0.3 + 2 * 0.8, 2 * 0.8])
    ad.testing.check_grads(lambda x: np.sum(cumulated(x) ** 3), (X,), 2)

    filtered = ad.primitive(lambda x: signal.lfilter([1.0], [1.0, -0.5], x), infer=lambda x: x)
    filtered.defvjp(lambda x: (filtered(x), None), lambda _, ct: (np.flip(filtered(np.flip(ct))),))
    ad.testing.check_grads(lambda x: np.sum(filtered(x) ** 3), (X,), 2)


BAD = {
    "no function": (lambda: ad.primitive(3, infer=1), errors.ArgumentError, "3 is not callable"),
    "no shapes": (lambda: ad.primitive(np.sin), errors.ArgumentError, "infer= is needed"),
    "vectorized": (lambda: ad.primitive(np.sin, infer=1, vectorized=3), errors.AutodiffError, "vectorized"),
    "infer": (
        lambda: ad.primitive(np.sin, infer=lambda x: {"p": 3})(ad.Tensor(X)),
        errors.ArgumentError,
        r"infer gives int 3 for the result\['p'\]",
    ),
    "shape": (
        lambda: ad.primitive(lambda x: {"p": x[:1]}, infer=lambda x: {"p": x})(ad.Tensor(X))["p"].value,
        errors.ShapeError,
        r"the result\['p'\] is an array of shape \(1,\) and dtype float64, but infer says that it is float64\[2\]",
    ),
    "dtype": (
        lambda: ad.primitive(lambda x: x > 0, infer=lambda x: x)(ad.Tensor(X)).value,
        errors.DTypeError,
        "dtype bool, but infer says that it is float64",
    ),
    "structure": (
        lambda: ad.primitive(lambda x: (x, x), infer=lambda x: x)(ad.Tensor(X)).value,
        errors.ArgumentError,
        "returned",
    ),
    "without Tensors": (
        lambda: ad.primitive(lambda x: x[:1], infer=lambda x: x)(X),
        errors.ShapeError,
        r"primitive <lambda>: the result is an array of shape \(1,\)",
    ),
    "a size": (lambda: ad.ShapeDtype((2, -3)), errors.AutodiffError, "ShapeDtype"),
    "no size": (lambda: ad.ShapeDtype("a"), errors.AutodiffError, "ShapeDtype"),
    "no dtype": (lambda: ad.ShapeDtype(2, "what"), errors.DTypeError, "ShapeDtype: dtype"),
    "by name": (lambda: made()[0](x=X), errors.ArgumentError, "by name"),
    "unhashable": (
        lambda: ad.primitive(lambda x, s: x, infer=lambda x, s: x)(ad.Tensor(X), {1, 2}),
        errors.ArgumentError,
        "cannot be hashed",
    ),
    "rule": (lambda: made()[0].defjvp(3), errors.ArgumentError, "not callable"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit(case):
    call, error, match = BAD[case]
    with pytest.raises(error, match=match):
        call()


def test_on_other_libraries():
    pytest.importorskip("array_api_strict")
    f, calls = made()
    graph = ad.Graph(backend="array_api_strict")
    t = graph.tensor(X)
    out = loss(f)(t, Y)
    (found,) = graph.gradient(out, [t])
    assert type(found).__module__.startswith("array_api_strict")
    assert calls
    np.testing.assert_allclose(ad.get_backend("array_api_strict").to_numpy(found), ad.grad(loss(plain))(X, Y))


# --- rules of batches ------------------------------------------------------------------------------------------------


def batching():
    seen = []

    @ad.custom_batch
    def f(x, p):
        return np.sum(np.sin(x) * p["a"])

    @f.defbatch
    def _rule(size, batched, x, p):
        seen.append((size, batched))
        x = x if batched[0] else np.broadcast_to(x, (size, *x.shape))
        a = p["a"] if batched[1]["a"] else np.broadcast_to(p["a"], (size,))
        return np.sum(np.sin(x) * a[:, None], axis=1)

    return f, seen


def test_a_rule_makes_batches():
    f, seen = batching()

    def usual(x, p):
        return np.sum(np.sin(x) * p["a"])

    p, ps = {"a": 2.0}, {"a": np.array([2.0, 3.0])}
    uses = [
        lambda g: ad.vmap(g, (0, None))(XS, p),
        lambda g: ad.vmap(g, (None, 0))(X, ps),
        lambda g: ad.vmap(g)(XS, ps),
        lambda g: ad.grad(lambda x: np.sum(ad.vmap(g)(x, ps) ** 2))(XS),
        lambda g: ad.hessian(lambda x: np.sum(ad.vmap(g)(x, ps) ** 2))(XS),
        lambda g: ad.vmap(ad.grad(g))(XS, ps),
        lambda g: ad.vmap(ad.value_and_grad(g))(XS, ps)[1],
        lambda g: ad.grad(g)(X, p),
        lambda g: g(X, p),
    ]
    for use in uses:
        np.testing.assert_allclose(use(f), use(usual))
    assert (2, (True, {"a": False})) in seen
    assert (2, (False, {"a": True})) in seen


def test_a_rule_for_a_primitive():
    calls = []
    one = ad.primitive(lambda x: calls.append(x.shape) or np.sum(x), infer=ad.ShapeDtype(()))
    several = ad.primitive(lambda x: calls.append(x.shape) or np.sum(x, 1), infer=lambda x: ad.ShapeDtype(x.shape[:1]))
    total = ad.custom_batch(one)
    total.defbatch(lambda size, batched, x: several(x))
    np.testing.assert_allclose(ad.vmap(total)(XS), [0.8, 1.6])
    assert calls == [(2, 2)]


def test_rules_of_batches_that_do_not_fit():
    outside = ad.Tensor(2.0)
    for rule, error, match in [
        (lambda size, batched, x: x, errors.ShapeError, r"is float64\[2, 2\], but for 2 elements"),
        (lambda size, batched, x: (np.sum(x, 1),), errors.ArgumentError, "must return what the function does"),
        (lambda size, batched, x: np.sum(x, 1) * outside, errors.DifferentiationError, "of the outside"),
    ]:
        f = ad.custom_batch(np.sum)
        f.defbatch(rule)
        with pytest.raises(error, match=match):
            ad.vmap(f)(XS)
    with pytest.raises(errors.ArgumentError, match="no rule yet; call defbatch"):
        ad.vmap(ad.custom_batch(np.sum))(XS)
    with pytest.raises(errors.ArgumentError, match="not callable"):
        ad.custom_batch(np.sum).defbatch(3)
