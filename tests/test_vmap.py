"""Functions of one element, applied to all elements of a batch at once."""

import itertools
from collections import namedtuple

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.nodes import history
from autodiff.transforms.calls import ENGINE

RNG = np.random.default_rng(8)
X, Y, W = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4))
A = RNG.normal(size=(5, 3, 3)) + 3 * np.eye(3)
I = np.array([2, 0, 1, 1, 2])
Pair = namedtuple("Pair", "first second")


def looped(function, *args):
    """The same by a loop over the first axis of all arguments."""
    return np.stack(
        [np.asarray(function(*[ad.Tensor(a, constant=a.dtype.kind in "ib") for a in one])) for one in zip(*args)]
    )


def written(x, i, v):
    x[i] = v
    x[1:] += 1.5
    return x


def added(x, i, v):
    np.add.at(x, np.stack([i, 0]), v)
    return x * 2


# Functions of one row, each with what the rows are of.
BATCHED_INDICES = {
    "read": (lambda x, i: x[i], X, I),
    "read several": (lambda x, i: x[np.stack([i, 0 * i, -i - 1])], X, I),
    "read what is the same": (lambda i: ad.Tensor(W)[i], I),
    "read columns of what is the same": (lambda i: ad.Tensor(W)[:, i], I),
    "separated": (lambda a, i: a[None, i, :, None][..., 0], A, I),
    "two arrays": (lambda a, i: a[i, i], A, I),
    "two separated arrays": (lambda a, i: a[:, None][np.stack([i, i]), :, np.stack([i, 0 * i])], A, I),
    "known arrays": (lambda a: a[[0, 2, 2], :, None], A),
    "known separated arrays": (lambda a: a[:, None][[0, 1], :, [2, 2]], A),
    "known array behind": (lambda a: a[..., [0, 2]], A),
    "an array and an integer": (lambda a: a[1, [0, 2, 1]], A),
    "write": (written, X, I, Y[:, 0]),
    "write rows": (written, A, I, Y),
    "write what is not batched": (lambda v: written(ad.Tensor(np.zeros(3)), 1, v), Y[:, 0]),
    "write at what is batched": (lambda i: written(ad.Tensor(np.zeros(3)), i, 2.0), I),
    "write the same": (lambda x: written(x, [0, 2], np.array([5.0, 6.0])), X),
    "write separated": (lambda a, v: written(a[:, None] * 1, (slice(None), 0, [0, 2]), v[:, None]), A, Y),
    "add": (added, X, I, Y[:, 0]),
    "take along": (lambda x, i: np.take_along_axis(x, np.stack([i, 2 - i]), 0), X, I),
}


@pytest.mark.parametrize("row", BATCHED_INDICES.values(), ids=BATCHED_INDICES)
def test_indices_and_writes(row):
    function, *args = row
    np.testing.assert_array_equal(ad.vmap(function)(*args), looped(function, *args))


LINEAR_ALGEBRA = {
    "product with what is the same": (lambda x: x @ W, X),
    "on the left": (lambda x: W.T @ x, X),
    "matrices on the left": (lambda a: W.T @ a, A),
    "matrices on the right": (lambda a: a @ W, A),
    "both": (lambda a, x: a @ x, A, X),
    "solve": (np.linalg.solve, A, X),
    "one matrix": (lambda x: np.linalg.solve(A[0], x), X),
    "one matrix, several sides": (lambda a: np.linalg.solve(A[0], a), A),
    "one side": (lambda a: np.linalg.solve(a, np.arange(3.0)), A),
    "inverse": (np.linalg.inv, A),
    "determinant": (np.linalg.det, A),
    "eigenvalues": (lambda a: np.linalg.eigvalsh(a + a.T), A),
    "cholesky": (lambda a: np.linalg.cholesky(a @ a.T), A),
    "least squares": (lambda a: np.linalg.lstsq(a[:, :2], np.arange(3.0))[0], A),
    "einsum": (lambda a, x: np.einsum("ij,j,ik->ki", a, x, W), A, X),
}


@pytest.mark.parametrize("row", LINEAR_ALGEBRA.values(), ids=LINEAR_ALGEBRA)
def test_linear_algebra(row):
    function, *args = row
    np.testing.assert_allclose(ad.vmap(function)(*args), looped(function, *args), rtol=1e-10, atol=1e-12)


def test_what_is_the_same_is_factorised_once():
    y = ad.vmap(lambda x: np.linalg.solve(A[0], x))(ad.Tensor(X))
    assert [node.shape for node in history(y.node) if getattr(node.primitive, "name", "") == "solve"] == [(3, 5)]


# --- axes ------------------------------------------------------------------------------------------------------------


def test_axes_of_arguments_and_results():
    f = lambda x, y: np.outer(x, y)  # noqa: E731
    expected = np.einsum("ni,nj->nij", X, Y)
    np.testing.assert_array_equal(ad.vmap(f)(X, Y), expected)
    np.testing.assert_array_equal(ad.vmap(f, in_axes=(1, 0))(X.T, Y), expected)
    np.testing.assert_array_equal(ad.vmap(f, in_axes=(-1, -2))(X.T, Y), expected)
    np.testing.assert_array_equal(ad.vmap(f, out_axes=2)(X, Y), np.moveaxis(expected, 0, 2))
    np.testing.assert_array_equal(ad.vmap(f, out_axes=-2)(X, Y), np.moveaxis(expected, 0, 1))
    np.testing.assert_array_equal(ad.vmap(f, in_axes=(None, 0))(X[0], Y), np.einsum("i,nj->nij", X[0], Y))


def test_containers_names_and_what_is_the_same():
    def f(p, pair, *, scale):
        return {"sum": p["w"] @ pair.first + p["b"], "rest": (pair.second, scale, 2.0, True, np.arange(2))}

    out = ad.vmap(f, in_axes=({"w": None, "b": 0}, 0))({"w": W.T, "b": X[:, 0]}, Pair(X, [I]), scale=Y)
    np.testing.assert_allclose(out["sum"], X @ W + X[:, :1])
    second, scale, two, true, places = out["rest"]
    assert second[0].dtype == I.dtype
    np.testing.assert_array_equal(second[0], I)
    np.testing.assert_array_equal(scale, Y)
    np.testing.assert_array_equal(two, np.full(5, 2.0))
    assert true.dtype == bool
    np.testing.assert_array_equal(places, np.tile([0, 1], (5, 1)))
    out = ad.vmap(lambda x: (x, 3.0), out_axes=(0, None))(X)
    assert float(out[1]) == 3.0
    assert ad.vmap(lambda: 2.0, axis_size=3)().tolist() == [2.0, 2.0, 2.0]
    assert ad.vmap(lambda x, word: x * len(word), in_axes=(0, None))(X[:, 0], "abc").shape == (5,)


def test_dtypes_are_those_of_one_element():
    """A weak number that differs from element to element stays as weak as it was."""
    x = np.ones((4, 2), np.float32)
    for f in (
        lambda a: np.where(a[0] > 0, 1.0, 2.0) * a,
        lambda a: a * 2.5 + a[0] ** 2,
        lambda a: np.sum(a) + np.where(np.any(a > 0), 3, 4),
        lambda a: np.clip(a, 0.5, None) // 1,
    ):
        one = np.asarray(f(ad.Tensor(x[0])))
        assert ad.vmap(f)(x).dtype == one.dtype == np.float32
    assert ad.vmap(np.argmax)(x).dtype == np.int64
    assert ad.vmap(lambda a: a > 0)(x).dtype == bool


def test_no_elements():
    out = ad.vmap(lambda x, a: (x @ W, np.linalg.inv(a), np.max(x), x[[0, 1]]))(X[:0], A[:0])
    assert [o.shape for o in out] == [(0, 4), (0, 3, 3), (0,), (0, 2)]


# --- composition -----------------------------------------------------------------------------------------------------


def test_nested():
    f = lambda x, y: np.sin(x) * y - x[0]  # noqa: E731
    expected = np.sin(X)[:, None] * Y[None] - X[:, :1, None]
    np.testing.assert_allclose(ad.vmap(ad.vmap(f, (None, 0)), (0, None))(X, Y), expected)
    np.testing.assert_allclose(ad.vmap(lambda x: ad.vmap(lambda y: f(x, y))(Y))(X), expected)
    np.testing.assert_allclose(ad.vmap(ad.vmap(lambda v: v**2))(X), X**2)
    np.testing.assert_allclose(ad.vmap(ad.vmap(lambda v: v**2, axis_size=3), in_axes=1, out_axes=1)(X.T), X.T**2)


def model(w, x):
    hidden = np.tanh(x @ w["a"])
    return np.sum(np.where(hidden > 0, hidden**2, np.exp(hidden)))


def test_per_sample_gradients():
    w = {"a": W}
    each = ad.vmap(ad.grad(model), in_axes=(None, 0))(w, X)["a"]
    np.testing.assert_allclose(each, [ad.grad(model)(w, x)["a"] for x in X], rtol=1e-12)
    value, slopes = ad.vmap(ad.value_and_grad(model), in_axes=(None, 0))(w, X)
    assert value.shape == (5,)
    np.testing.assert_allclose(slopes["a"], each)


STEPS = {
    "grad": lambda g: lambda x: ad.grad(lambda t: np.sum(g(t)))(x),
    "jvp": lambda g: lambda x: ad.jvp(g, (x,), (np.ones(np.shape(x)),))[1],
    "vmap": ad.vmap,
}


def test_any_mix_with_derivatives():
    """An elementwise function: a batch of it is itself, and so each derivative is one more order."""
    x = np.linspace(0.3, 1.2, 6).reshape(1, 2, 3)
    turns = [np.sin, np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin]
    for steps in itertools.product(STEPS, repeat=4):
        if steps.count("vmap") > 3:
            continue
        g = np.sin
        for step in reversed(steps):
            g = STEPS[step](g)
        expected = turns[4 - steps.count("vmap")](x)
        np.testing.assert_allclose(g(x), expected, rtol=1e-12, err_msg=str(steps))


def test_gradients_of_batches_and_tensors_of_the_outside():
    w = ad.Tensor(W)
    out = ad.vmap(lambda x: np.tanh(x @ w))(X)
    assert isinstance(out, ad.Tensor)
    np.testing.assert_allclose(
        ad.Graph().gradient(np.sum(out), [w])[0], ad.grad(lambda w: np.sum(np.tanh(X @ w)))(W), rtol=1e-12
    )
    x = ad.Tensor(X)
    np.testing.assert_allclose(ad.Graph().gradient(np.sum(ad.vmap(np.sin)(x) ** 2), [x])[0], np.sin(2 * X), rtol=1e-12)


def test_traced_and_cached():
    calls = []

    def f(x):
        calls.append(1)
        return np.tanh(x @ W) ** 2

    step = ad.function(ad.vmap(ad.grad(lambda x: np.sum(f(x)))))
    first = step(X)
    np.testing.assert_allclose(step(2 * X), ad.grad(lambda x: np.sum(f(x)))(2 * X), rtol=1e-12)
    np.testing.assert_allclose(step(X), first)
    assert len(calls) == 2
    ad.vmap(f)(X)
    misses = ENGINE.cache.info().misses
    ad.vmap(f)(2 * X)
    assert ENGINE.cache.info().misses == misses


def test_an_index_is_data():
    """The same structure at other places is another result, of a plan and of what is recorded from a recipe."""
    for i in (0, 2, 1):
        np.testing.assert_array_equal(ad.vmap(lambda x: x[i] * 2)(X), X[:, i] * 2)  # noqa: B023
        x = ad.Tensor(X)
        out = ad.vmap(lambda x: x[i : i + 1] * 2)(x)  # noqa: B023
        np.testing.assert_array_equal(ad.Graph().gradient(np.sum(out), [x])[0], 2.0 * (np.arange(3) == [[i]] * 5))
        nested = ad.vmap(ad.vmap(lambda x: x[i]))(A)  # noqa: B023
        np.testing.assert_array_equal(nested, A[:, :, i])


def test_arguments_are_left_alone():
    x = X.copy()

    def f(v):
        v *= 2
        return v

    np.testing.assert_array_equal(ad.vmap(f)(x), 2 * X)
    np.testing.assert_array_equal(x, X)


LOOKS = {
    "if": lambda x: x if np.sum(x) > 0 else -x,
    "float": lambda x: x * float(x[0]),
    "array": lambda x: np.asarray(x),
    "value": lambda x: x.value,
    "print": lambda x: str(x),
    "range": lambda x: sum(range(int(x[0]))),
}


@pytest.mark.parametrize("function", LOOKS.values(), ids=LOOKS)
def test_looks_are_errors(function):
    for transformed in (ad.vmap(function), ad.vmap(lambda x: ad.grad(lambda y: np.sum(y * function(x)))(x))):
        with pytest.raises(errors.TraceError, match=r"autodiff\.vmap batches.*np\.where.*test_vmap"):
            transformed(X)


def test_masks_are_errors():
    with pytest.raises(errors.IndexingError, match=r"np\.where keeps the shape"):
        ad.vmap(lambda x: x[x > 0])(X)


def test_indices_out_of_range_are_errors():
    with pytest.raises(errors.IndexingError, match="out of range"):
        ad.vmap(lambda x, i: x[i])(X, I + 1)


WRONG = {
    "no function": (lambda: ad.vmap(3), errors.ArgumentError, "not callable"),
    "in_axes": (lambda: ad.vmap(np.sin, in_axes="0"), errors.ArgumentError, "in_axes='0'"),
    "a truth": (lambda: ad.vmap(np.sin, in_axes=True), errors.ArgumentError, "in_axes=True"),
    "number of in_axes": (lambda: ad.vmap(np.sin, in_axes=(0, 0))(X), errors.ArgumentError, "2 entries.*1 positional"),
    "structure of in_axes": (
        lambda: ad.vmap(lambda p: p["a"], in_axes=({"b": 0},))({"a": X}),
        errors.ArgumentError,
        r"nested as args\[0\]",
    ),
    "no such axis": (lambda: ad.vmap(np.sin, in_axes=2)(X), errors.AxisError, r"args\[0\].*no axis 2"),
    "no axes": (lambda: ad.vmap(np.add)(X, 2.0), errors.AxisError, r"args\[1\] is the number 2.0.*in_axes=None"),
    "sizes": (
        lambda: ad.vmap(lambda a, b: a)(X, {"b": [Y[:2]]}),
        errors.ShapeError,
        r"args\[1\]\['b'\]\[0\] has 2 .*by args\[0\]",
    ),
    "axis_size": (lambda: ad.vmap(np.sin, axis_size=4)(X), errors.ShapeError, "5 elements.*axis_size there are 4"),
    "nothing mapped": (lambda: ad.vmap(np.sin, in_axes=None)(X), errors.ArgumentError, "axis_size="),
    "out_axes": (lambda: ad.vmap(np.sin, out_axes=2)(X), errors.AxisError, "out_axes=2.*2 axes"),
    "structure of out_axes": (
        lambda: ad.vmap(np.sin, out_axes=(0, 0))(X),
        errors.ArgumentError,
        "out_axes must be nested as result is",
    ),
    "not the same": (lambda: ad.vmap(np.sin, out_axes=None)(X), errors.UnsupportedError, "not the same for all"),
    "words": (lambda: ad.vmap(lambda x: "word")(X), errors.DifferentiationError, "returned str 'word'"),
    "objects": (lambda: ad.vmap(np.sin)(np.array(["a"])), errors.DTypeError, r"vmap: args\[0\]"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_names_and_docstrings_are_kept():
    def named(x):
        """What it says."""
        return x

    assert (ad.vmap(named).__name__, ad.vmap(named).__doc__) == ("named", "What it says.")
