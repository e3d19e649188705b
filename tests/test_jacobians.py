"""Whole matrices of derivatives, of functions and of recorded Tensors; products of recorded Tensors."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.transforms.calls import ENGINE

RNG = np.random.default_rng(2)
X, W, B = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
MODES = ["auto", "forward", "reverse"]


def outputs(x, p):
    y = np.tanh(x @ p["w"] + p["b"])
    z = np.cumsum(p["b"])
    z[1:3] = x[0, :2] ** 2
    return {"y": y**2, "rest": [np.sum(np.sin(x) * p["w"][:, 0]), z[[0, 2, 2, 1]]]}


def flat(tree):
    """The arrays of nested dicts, lists and tuples in order."""
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in flat(part)]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in flat(part)]
    return [tree]


def differences(function, x, step=1e-4):
    """The Jacobian by differences of fourth order: the axes of the result, then those of the argument."""
    columns = []
    for place in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[place] = step
        near, far = function(x + d) - function(x - d), function(x + 2 * d) - function(x - 2 * d)
        columns.append((8 * near - far) / (12 * step))
    return np.moveaxis(np.array(columns), 0, -1).reshape(*np.shape(columns[0]), *x.shape)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_size", [None, 1, 3, 100])
def test_jacobian_of_containers(mode, chunk_size):
    p = {"w": W, "b": B}
    found = ad.jacobian(outputs, argnums=(0, 1), mode=mode, chunk_size=chunk_size)(X, p)
    assert list(found) == ["y", "rest"]
    assert [type(part) for part in (found["y"], found["rest"], found["y"][1])] == [tuple, list, dict]
    blocks = flat(found)
    results = [lambda x, p, i=i: np.asarray(flat(outputs(ad.Tensor(x), p))[i]) for i in range(3)]
    for i, result in enumerate(results):
        for j, (by, at) in enumerate(
            [(lambda x, r=result: r(x, p), X), (lambda w, r=result: r(X, {"w": w, "b": B}), W)]
        ):
            expected = differences(by, at)
            assert blocks[3 * i + j].shape == expected.shape
            np.testing.assert_allclose(blocks[3 * i + j], expected, rtol=1e-7, atol=1e-8)


def energy(x):
    return np.sum(np.sin(x) * x[::-1] ** 2) + np.prod(1 + x[0] ** 2) * np.sum(np.exp(-(x**2)))


@pytest.mark.parametrize("chunk_size", [None, 1, 4])
def test_hessian(chunk_size):
    found = ad.hessian(energy, chunk_size=chunk_size)(X)
    np.testing.assert_allclose(found, differences(ad.grad(energy), X), rtol=1e-7, atol=1e-8)
    by_rows = ad.jacobian(ad.grad(energy), mode="reverse")(X)
    np.testing.assert_allclose(found, by_rows, rtol=1e-12, atol=1e-13)
    blocks = ad.hessian(lambda x, y: np.sum(np.outer(x, y) ** 2 * y), argnums=(0, 1), chunk_size=chunk_size)(B, X[0])
    np.testing.assert_allclose(blocks[0][1], np.swapaxes(blocks[1][0], 0, 1))
    np.testing.assert_allclose(blocks[0][1], 6 * np.outer(B, X[0] ** 2))
    vector = ad.hessian(lambda x: np.sin(x) * x[0], chunk_size=chunk_size)(B)
    assert vector.shape == (4, 4, 4)
    np.testing.assert_allclose(vector, differences(ad.jacobian(lambda x: np.sin(x) * x[0]), B), rtol=1e-7, atol=1e-9)
    several = ad.hessian(lambda x, y: [x**2 * y, x * y**3], argnums=(0, 1), chunk_size=chunk_size)(2.0, 3.0)
    assert several == [((6.0, 4.0), (4.0, 0.0)), ((0.0, 27.0), (27.0, 36.0))]


@pytest.mark.parametrize("mode", MODES)
def test_integers_beside_what_is_differentiated(mode):
    """An array of integers that a linear operation takes has no tangent: it is not its own."""
    k, chosen = np.array([5, 6, 7, 8]), np.array([True, False, True, False])
    functions = [
        lambda x: np.where(chosen, k, x),
        lambda x: np.where(chosen, x, k.astype("i4")),
        lambda x: np.concatenate([x, k]),
        lambda x: np.stack([k, x]),
        lambda x: np.where(~chosen, x, np.uint8(3)),
        lambda x: np.where(chosen, k > 6, x),
    ]
    for function in functions:
        found = ad.jacobian(function, mode=mode)(B)
        np.testing.assert_allclose(found, differences(lambda x, f=function: np.asarray(f(x)), B), atol=1e-9)


def test_python_numbers():
    assert ad.jacobian(lambda x: x**2)(3.0) == 6.0
    assert type(ad.jacobian(lambda x: x**2)(3)) is float
    assert ad.hessian(lambda x, y: x**2 * y, argnums=(0, 1))(2.0, 3.0) == ((6.0, 4.0), (4.0, 0.0))
    mixed = ad.jacobian(lambda x: (x**2, {"a": x * np.ones(2)}))(2.0)
    assert mixed[0] == 4.0
    np.testing.assert_array_equal(mixed[1]["a"], [1.0, 1.0])
    assert ad.jacobian(lambda x, y: x * y, argnames=("y",))(2.0, y=np.float64(3.0)) == {"y": 2.0}
    assert ad.jacobian(lambda x: x)([]) == []


def test_results_beside():
    for chunk_size in (None, 1):
        found, aux = ad.jacobian(lambda x: (x**2, {"k": 3 * x}), has_aux=True, chunk_size=chunk_size)(B)
        np.testing.assert_allclose(found, np.diag(2 * B))
        np.testing.assert_allclose(aux["k"], 3 * B)
    found, aux = ad.hessian(lambda x: (np.sum(x**3), "word"), has_aux=True)(B)
    assert aux == "word"


@pytest.mark.parametrize("mode", MODES)
def test_no_elements_and_no_dependence(mode):
    assert ad.jacobian(lambda x: x[:0], mode=mode)(B).shape == (0, 4)
    assert ad.jacobian(lambda x: np.sum(x) * np.ones(3), mode=mode)(B[:0]).shape == (3, 0)
    np.testing.assert_array_equal(ad.jacobian(lambda x: np.ones(3), mode=mode)(B), np.zeros((3, 4)))
    assert ad.hessian(lambda x: np.sum(x**2))(B[:0]).shape == (0, 0)
    single = ad.jacobian(lambda x: x * x, mode=mode)(B.astype("f4"))
    assert single.dtype == np.float32


def test_complex_numbers():
    np.testing.assert_allclose(ad.jacobian(lambda x: x * (1 + 2j))(B), np.eye(4) * (1 + 2j))
    z = B + 1j
    np.testing.assert_allclose(ad.jacobian(lambda z: np.real(z**2))(z), np.diag(2 * z))
    for call in (
        lambda: ad.jacobian(np.exp)(z),
        lambda: ad.jacobian(lambda z: np.real(z), mode="forward")(z),
        lambda: ad.jacobian(lambda x: x * 1j, mode="reverse")(B),
        lambda: ad.hessian(lambda z: np.real(np.sum(z**2)))(z),
    ):
        with pytest.raises(errors.DifferentiationError, match="complex128"):
            call()


# --- composition -----------------------------------------------------------------------------------------------------


def test_in_and_around_other_transformations():
    cubes = ad.hessian(lambda x: np.sum(x**3))
    np.testing.assert_allclose(ad.grad(lambda x: np.sum(cubes(x) ** 2))(B), 72 * B)
    np.testing.assert_allclose(ad.vmap(cubes)(X), [np.diag(6 * x) for x in X])
    np.testing.assert_allclose(ad.jacobian(ad.vmap(np.sin))(B), np.diag(np.cos(B)))
    np.testing.assert_allclose(ad.jacobian(ad.jacobian(lambda x: x**3))(B)[1, 1, 1], 6 * B[1])
    np.testing.assert_allclose(ad.function(ad.jacobian(lambda x: x @ W))(X[0]), W.T)
    value, tangent = ad.jvp(ad.jacobian(lambda x: x**2), (B,), (B,))
    np.testing.assert_allclose(value, tangent)
    newton = ad.function(
        lambda x: x - np.linalg.solve(ad.hessian(energy)(x).reshape(6, 6), ad.grad(energy)(x).ravel()).reshape(2, 3)
    )
    expected = X - np.linalg.solve(ad.hessian(energy)(X).reshape(6, 6), ad.grad(energy)(X).ravel()).reshape(2, 3)
    np.testing.assert_allclose(newton(X), expected)


def test_one_plan_without_a_loop():
    ad.jacobian(lambda x: np.tanh(x @ W))(X)
    misses = ENGINE.cache.info().misses
    ad.jacobian(lambda x: np.tanh(x @ W))(2 * X)
    assert ENGINE.cache.info().misses == misses
    small, large = [ad.jacobian(lambda x: np.tanh(x) * x[0])(np.ones(n)) for n in (3, 30)]
    assert (small.shape, large.shape) == ((3, 3), (30, 30))
    plans = ENGINE.cache.values()[-2:]
    assert plans[0].n_operations == plans[1].n_operations < 30


def test_an_index_is_data():
    for i in (0, 2, 1):
        np.testing.assert_array_equal(ad.jacobian(lambda x: x[i : i + 2] * 2)(B), 2 * np.eye(4)[i : i + 2])  # noqa: B023
        np.testing.assert_array_equal(ad.hessian(lambda x: x[i] ** 2)(B), 2 * np.diag(np.arange(4) == i))  # noqa: B023


# --- of recorded Tensors ---------------------------------------------------------------------------------------------


def test_graph_methods():
    x, w, graph = ad.Tensor(X), ad.Tensor(W), ad.Graph()
    y = np.tanh(x @ w) * x[0, 0]
    s = np.sum(y**2)
    f = lambda x, w: np.tanh(x @ w) * x[0, 0]  # noqa: E731
    g = lambda x, w: np.sum(f(x, w) ** 2)  # noqa: E731
    v = [np.cos(X), np.sin(W)]
    for found, expected in [
        (graph.jvp(y, [x, w], v), ad.jvp(f, (X, W), v)[1]),
        (graph.vjp(y, [x, w], np.ones((2, 4))), ad.vjp(f, X, W)[1](np.ones((2, 4)))),
        (graph.hvp(s, [x, w], v), ad.hvp(g, (0, 1))(X, v, W)),
        (graph.jacobian(y, [x, w]), ad.jacobian(f, (0, 1))(X, W)),
        (graph.jacobian(y, [x, w], mode="reverse", chunk_size=3), ad.jacobian(f, (0, 1))(X, W)),
        (graph.hessian(s, [x, w]), ad.hessian(g, (0, 1))(X, W)),
        (graph.hessian(s, [x, w], chunk_size=5), ad.hessian(g, (0, 1))(X, W)),
    ]:
        for one, other in zip(flat(found), flat(expected), strict=True):
            assert type(one) is np.ndarray
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    misses = graph.cache_info().misses
    x2, w2 = ad.Tensor(2 * X), ad.Tensor(W)
    graph.hvp(np.sum((np.tanh(x2 @ w2) * x2[0, 0]) ** 2), [x2, w2], v)
    assert graph.cache_info().misses == misses


def test_graph_methods_know_the_versions_of_variables():
    x, graph = ad.Tensor(B), ad.Graph()
    y = np.sum(x**3)
    x.assign(np.zeros(4))
    np.testing.assert_allclose(graph.hvp(y, [x], [np.ones(4)])[0], 6 * B)
    np.testing.assert_allclose(graph.hessian(y, [x])[0][0], np.diag(6 * B))
    np.testing.assert_allclose(graph.jvp(y, [x], [np.ones(4)]), np.sum(3 * B**2))
    z = ad.Tensor(B)
    with pytest.warns(errors.IndependentWarning):
        np.testing.assert_array_equal(graph.jacobian(y, [z])[0], np.zeros(4))


def test_graph_methods_give_tensors():
    x, v, graph = ad.Tensor(B), ad.Tensor(np.ones(4)), ad.Graph()
    y = np.sum(x**3)
    product = graph.hvp(y, [x], [v], as_tensors=True)[0]
    np.testing.assert_allclose(graph.gradient(np.sum(product**2), [x, v]), [72 * B, 72 * B**2])
    matrix = graph.hessian(y, [x], as_tensors=True)[0][0]
    np.testing.assert_allclose(graph.gradient(np.sum(matrix), [x])[0], np.full(4, 6.0))
    blocks = graph.jacobian(x**2, [x], as_tensors=True, chunk_size=3)
    np.testing.assert_allclose(graph.gradient(np.sum(blocks[0]), [x])[0], np.full(4, 2.0))
    np.testing.assert_allclose(graph.hvp(y, [x], [v])[0], 6 * B)


def test_mixed_partial_derivatives():
    x, z, graph = ad.Tensor(B), ad.Tensor(B + 2), ad.Graph()
    found = graph.gradient(x**2 * z**3, [x, z], mixed=True)
    np.testing.assert_allclose(found, 6 * B * (B + 2) ** 2)
    np.testing.assert_allclose(graph.gradient(x**2 * z**3, [z, x, z], mixed=True), 12 * B * (B + 2))
    assert isinstance(graph.gradient(x * z, [x, z], mixed=True, as_tensors=True), ad.Tensor)
    for dx, n in ([], 1), ([x], 2):
        with pytest.raises(errors.ArgumentError, match="mixed=True is one derivative"):
            graph.gradient(x * z, dx, n, mixed=True)


x0, y0 = ad.Tensor(B), ad.Tensor(B) * 2
WRONG = {
    "mode": (lambda: ad.jacobian(np.sin, mode="backward"), errors.ArgumentError, "mode=.*'auto', 'forward', 'reverse'"),
    "chunk_size": (lambda: ad.jacobian(np.sin, chunk_size=0), errors.ArgumentError, "chunk_size=0"),
    "integers": (lambda: ad.jacobian(np.argmax)(B), errors.DifferentiationError, "int64"),
    "no function": (lambda: ad.hessian(2), errors.ArgumentError, "hessian: 2 is not callable"),
    "vectors": (lambda: ad.Graph().hvp(np.sum(x0), [x0], B), errors.ArgumentError, "v=.*list of 1 array, one"),
    "number of vectors": (lambda: ad.Graph().jvp(x0**2, [x0], []), errors.ArgumentError, "list of 1 array, one"),
    "shape of a vector": (lambda: ad.Graph().jvp(x0**2, [x0], [B[:2]]), errors.ShapeError, r"v\[0\].*float64\[4\]"),
    "shape of a cotangent": (lambda: ad.Graph().vjp(x0**2, [x0], B[:2]), errors.ShapeError, r"vjp: v .*float64\[4\]"),
    "dx": (lambda: ad.Graph().hessian(np.sum(x0), x0), errors.ArgumentError, "hessian: dx must be a list"),
    "dy": (lambda: ad.Graph().jacobian(3.0, [x0]), errors.DifferentiationError, "jacobian: dy"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("outer", [ad.jacobian, ad.hessian])
def test_some_columns_at_a_time_inside_another_transformation(outer):
    x = np.array([0.5, -1.0, 2.0])
    whole, parts = ad.jacobian(np.sin), ad.jacobian(np.sin, chunk_size=2)
    np.testing.assert_allclose(outer(parts)(x), outer(whole)(x))
    fourth, in_parts = ad.hessian(lambda x: np.sum(x**4)), ad.hessian(lambda x: np.sum(x**4), chunk_size=1)
    np.testing.assert_allclose(outer(in_parts)(x), outer(fourth)(x))
