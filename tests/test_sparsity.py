"""Patterns of derivatives, and sparse Jacobians and Hessians: held to whole matrices."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.sparse.sets import Sets, identity, of_entries, stacked, union

from .fuzz.sparse import wrong

scipy_sparse = pytest.importorskip("scipy.sparse")
RNG = np.random.default_rng(13)
PROGRAMS = int(os.environ.get("FUZZ_PROGRAMS", "2000")) // 60


def heat(u):
    return u[2:] - 2 * u[1:-1] + u[:-2] + u[1:-1] ** 2


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_random_programs():
    found, looked = wrong(range(PROGRAMS))
    assert not found, "\n\n".join([f"{len(found)} programs", *found[:5]])
    assert looked > PROGRAMS // 2


# --- patterns --------------------------------------------------------------------------------------------------------

X = RNG.normal(size=6)
M = RNG.normal(size=(3, 4))
DIAGONAL = np.eye(6, dtype=bool)
PATTERNS = {
    "elementwise": (lambda x: np.sin(x) * x, X, DIAGONAL),
    "broadcasting": (lambda x: x[:, None] * np.ones(2), X, np.repeat(DIAGONAL, 2, axis=0)),
    "a slice": (lambda x: x[4:0:-2], X, DIAGONAL[4:0:-2]),
    "an index array": (lambda x: x[[1, 1, 5]], X, DIAGONAL[[1, 1, 5]]),
    "a mask": (lambda x: x[np.array([True, False] * 3)], X, DIAGONAL[::2]),
    "writing": (lambda x: written(x, slice(1, 3), x[4:]), X, DIAGONAL[[0, 4, 5, 3, 4, 5]]),
    "writing twice": (lambda x: written(x, [1, 1], x[4:]), X, DIAGONAL[[0, 5, 2, 3, 4, 5]]),
    "adding at": (lambda x: added(x, [0, 0], x[4:]), X, DIAGONAL | (np.arange(6) == 0)[:, None] * (np.arange(6) > 3)),
    "joining": (lambda x: np.concatenate([x[2:], x[:2]]), X, np.roll(DIAGONAL, -2, axis=0)),
    "turning": (lambda x: np.transpose(x.reshape(2, 3)), X, DIAGONAL[[0, 3, 1, 4, 2, 5]]),
    "sums": (lambda x: np.sum(x.reshape(2, 3), axis=1), X, np.kron(np.eye(2, dtype=bool), np.ones((1, 3), bool))),
    "products of matrices": (lambda x: x @ M.T, M, np.kron(np.eye(3, dtype=bool), np.ones((3, 4), bool))),
    "sorting": (lambda x: np.sort(x, axis=0), M, np.kron(np.ones((3, 3), bool), np.eye(4, dtype=bool))),
    "transforms": (lambda x: np.fft.fft(x), M, np.kron(np.eye(3, dtype=bool), np.ones((4, 4), bool))),
    "several outputs": (lambda x: np.modf(x)[0] * np.frexp(x)[0], X, DIAGONAL),
    "matrices of a stack": (
        lambda x: np.linalg.qr(np.exp(x.reshape(3, 2, 2)))[1],
        np.arange(12.0),
        np.kron(np.eye(3, dtype=bool), np.ones((4, 4), bool)),
    ),
    "positions that depend on values": (lambda x: x[np.argsort(x)], X, np.ones((6, 6), bool)),
    "some of these": (lambda x: x[np.argsort(x[:, 0])], M, np.kron(np.ones((3, 3), bool), np.eye(4, dtype=bool))),
    "nothing": (lambda x: np.sign(x) + ad.stop_gradient(x) + (x > 0) + np.floor(x), X, np.zeros((6, 6), bool)),
    "a choice": (lambda x: np.where(x > 0, x, x[::-1]), X, DIAGONAL | DIAGONAL[::-1]),
    "a choice by others": (lambda x: np.where(x[::-1] > 0, x, 0.0), X, DIAGONAL),
    "only what counts": (lambda x: x * ad.stop_gradient(np.sum(x)), X, DIAGONAL),
}


def written(x, place, values):
    y = x.copy()
    y[place] = values
    return y


def added(x, place, values):
    y = x.copy()
    np.add.at(y, place, values)
    return y


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(name):
    function, x, expected = PATTERNS[name]
    found = ad.sparsity(function, x)
    np.testing.assert_array_equal(found.toarray(), expected)
    assert found.shape == expected.shape
    assert found.nnz == expected.sum()
    np.testing.assert_array_equal(np.stack([found.rows, found.columns]), np.nonzero(expected))
    np.testing.assert_array_equal(found.tocsr().toarray(), expected)


def test_patterns_of_hessians():
    def pattern(function, x=X):
        return ad.sparsity(function, x, order=2).toarray()

    band = DIAGONAL | np.eye(6, k=1, dtype=bool) | np.eye(6, k=-1, dtype=bool)
    np.testing.assert_array_equal(pattern(rosenbrock), band)
    np.testing.assert_array_equal(pattern(lambda x: np.sum(3 * x)), np.zeros((6, 6), bool))
    np.testing.assert_array_equal(pattern(lambda x: np.sum(x**2) + np.sum(x)), DIAGONAL)
    np.testing.assert_array_equal(pattern(lambda x: x[0] * x[5] + x[2]), DIAGONAL[::-1] & (DIAGONAL[0] | DIAGONAL[5]))
    np.testing.assert_array_equal(pattern(lambda x: np.log(np.sum(np.exp(x)))), np.ones((6, 6), bool))


def test_containers_and_choices():
    def function(p, q, k):
        return {"a": p["x"] * q, "b": [np.sum(p["y"]) * k]}

    p, q = {"x": X, "y": M}, RNG.normal(size=6)
    found = ad.sparsity(function, p, q, k=2.0, argnums=(0, 1))
    assert [part.shape for part in found["a"][0].values()] == [(6, 6), (6, 12)]
    np.testing.assert_array_equal(found["a"][1].toarray(), DIAGONAL)
    assert found["b"][0][0]["y"].nnz == 12
    by_name = ad.sparsity(function, p, q, k=2.0, argnames="k")
    assert by_name["b"][0].shape == (1, 1)
    assert ad.sparsity(lambda x, y: np.sum(x * y), X, q, argnums=(0, 1), order=2)[0][1].nnz == 6
    with pytest.raises(errors.ArgumentError, match="order=3"):
        ad.sparsity(heat, X, order=3)


def test_pictures():
    eye = ad.sparsity(lambda x: x * x, np.ones(4))
    assert str(eye) == repr(eye) == "Sparsity(shape=(4, 4), nnz=4, 25.00%)\n⠑⢄"
    assert repr(ad.sparsity(lambda x: x[:0], np.ones(4))) == "Sparsity(shape=(0, 4), nnz=0)"
    lines = repr(ad.sparsity(lambda x: x * x[::-1], np.ones(10_000))).splitlines()[1:]
    assert len(lines) == 24
    assert {len(line) for line in lines} == {48}
    assert ord(lines[0][0]) > 0x2800
    assert lines[0][20] == chr(0x2800)
    assert eye == ad.sparsity(np.sin, np.ones(4))
    assert eye != ad.sparsity(lambda x: x[::-1], np.ones(4))


def test_drawing():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    ax = ad.sparsity(heat, np.ones(5)).spy(markersize=3)
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 1, 2, 3, 2, 3, 4])
    np.testing.assert_array_equal(line.get_ydata(), [0, 0, 0, 1, 1, 1, 2, 2, 2])


# --- matrices --------------------------------------------------------------------------------------------------------


def check(found, expected):
    assert isinstance(found, scipy_sparse.csr_array)
    assert found.has_canonical_format
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.toarray(), expected.reshape(found.shape), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_jacobian(mode, chunk_size):
    functions = [
        heat,
        lambda x: x[1:] ** 2 * x[1:] + x[:-1],
        lambda x: x.reshape(2, 3) ** 2 * x[:3],
        lambda x: np.append(np.sum(x**2), x[1:] * x[0]),
    ]
    for function in functions:
        options = {"mode": mode, "chunk_size": chunk_size}
        found = ad.jacobian(function, sparse=True, **options)(X)
        check(found, ad.jacobian(function, **options)(X))


@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_hessian(chunk_size):
    functions = [
        rosenbrock,
        lambda x: np.sum(x[0] * x**2) + np.sum(np.sin(x)),
        lambda x: np.sum(x.reshape(2, 3) @ M) ** 2,
        lambda x: np.sum(x),
        lambda x: np.prod(x[::2]) + x[1] ** 3,
    ]
    for function in functions:
        found = ad.hessian(function, sparse=True, chunk_size=chunk_size)(X)
        check(found, ad.hessian(function)(X))


def test_few_products_for_arrows():
    n = 400

    def function(x):
        return np.append(np.sum(x**2), x[1:] * x[0])

    x = RNG.normal(size=n)
    graph = ad.Graph()
    t = ad.Tensor(x)
    check(graph.jacobian(function(t), [t], sparse=True)[0], np.asarray(ad.jacobian(function)(x)))
    check(
        graph.hessian(np.sum(t[0] * t**2), [t], sparse=True)[0][0],
        np.asarray(ad.hessian(lambda x: np.sum(x[0] * x**2))(x)),
    )
    kept = [one for variants in graph._gradients.cache.values() for one in getattr(variants, "known", ())]
    assert sorted([sum(products.colours.number for products in one._products) for one in kept]) == [2, 3]


def test_arguments_and_results():
    def function(p, y):
        return {"a": p["x"][1:] * p["x"][:-1] * y, "b": (np.sum(p["m"], axis=1), y)}

    p, y = {"x": X, "m": M}, 2.0
    found = ad.jacobian(function, (0, 1), sparse=True)(p, y)
    dense = ad.jacobian(function, (0, 1))(p, np.asarray(y))
    check(found["a"][0]["x"], dense["a"][0]["x"])
    check(found["a"][1], dense["a"][1])
    check(found["b"][0][0]["m"], dense["b"][0][0]["m"])
    assert found["b"][1][1].toarray() == [[1.0]]
    twice = ad.jacobian(lambda x, y: x * y**2, (0, 1, 0), sparse=True)(X, X)
    check(twice[2], np.diag(X**2))
    assert twice[0] is not twice[2]
    for i, row in enumerate(ad.hessian(lambda x, y: np.sum(x * y**2), (1, 0, 1), sparse=True)(X, X)):
        for j, block in enumerate(row):
            check(block, np.diag(np.array([[2, 2, 2], [2, 0, 2], [2, 2, 2]])[i, j] * X))
    several = ad.hessian(lambda x: [np.sum(x**3), {"b": x[0] * x[1]}], sparse=True)(X)
    check(several[0], np.diag(6 * X))
    assert several[1]["b"].nnz == 2
    value, aux = ad.jacobian(lambda x: (x**2, [np.sum(x), "word"]), has_aux=True, sparse=True)(X)
    check(value, np.diag(2 * X))
    assert aux == [np.sum(X), "word"]
    check(ad.jacobian(lambda x: x**2, sparse=True)(3), np.array([[6.0]]))
    check(ad.jacobian(lambda x, k: k["s"] * x, argnames="k", sparse=True)(X, k={"s": 2.0})["s"], X)


def test_dtypes():
    for kind in ("f4", "f8", "g"):
        check(ad.jacobian(lambda x: x**2, sparse=True)(X.astype(kind)), np.diag(2 * X.astype(kind)))
        assert ad.hessian(lambda x: np.sum(x**3), sparse=True)(X.astype(kind)).dtype == np.dtype(kind)
    with pytest.raises(errors.DTypeError, match="no sparse arrays of float16; convert"):
        ad.jacobian(lambda x: x**2, sparse=True)(X.astype("f2"))
    check(ad.jacobian(lambda x: x * 2j, sparse=True)(X), 2j * np.eye(6))
    z = X + 1j
    check(ad.jacobian(lambda z: np.real(z**2), sparse=True)(z), np.diag(2 * z))
    for call in (
        lambda: ad.jacobian(np.exp, sparse=True)(z),
        lambda: ad.jacobian(lambda z: np.real(z), mode="forward", sparse=True)(z),
        lambda: ad.hessian(lambda z: np.real(np.sum(z**2)), sparse=True)(z),
        lambda: ad.sparsity(lambda z: np.real(np.sum(z**2)), z, order=2),
    ):
        with pytest.raises(errors.DifferentiationError):
            call()


def test_no_elements_and_no_dependence():
    for mode in ("auto", "forward", "reverse"):
        assert ad.jacobian(lambda x: x[:0], mode=mode, sparse=True)(X).shape == (0, 6)
        assert ad.jacobian(lambda x: np.sum(x) * np.ones(3), mode=mode, sparse=True)(X[:0]).shape == (3, 0)
        found = ad.jacobian(lambda x: np.ones(3), mode=mode, sparse=True)(X)
        assert (found.shape, found.nnz, found.dtype) == ((3, 6), 0, np.float64)
    assert ad.hessian(lambda x: np.sum(x), sparse=True)(X).nnz == 0
    assert ad.hessian(lambda x: np.sum(x**2), sparse=True)(X[:0]).shape == (0, 0)
    assert ad.jacobian(lambda x: [], sparse=True)(X) == []


def test_a_changed_index_is_another_pattern():
    x = RNG.normal(size=6)
    jacobian = ad.jacobian(lambda x, i: x[i] ** 2 * x[:3], sparse=True)
    hessian = ad.hessian(lambda x, i: np.sum(x[i] ** 2 * x[:3]), sparse=True)
    for i in ([0, 1, 2], [3, 4, 5], [5, 5, 1], [0, 1, 2]):
        i = np.array(i)
        check(jacobian(x, i), np.asarray(ad.jacobian(lambda x, i=i: x[i] ** 2 * x[:3])(x)))
        check(hessian(x, i), np.asarray(ad.hessian(lambda x, i=i: np.sum(x[i] ** 2 * x[:3]))(x)))
    for start in (0, 2, 3):
        check(
            ad.jacobian(lambda x, s=start: x[s : s + 3] * x[5 - s], sparse=True)(x),
            np.asarray(ad.jacobian(lambda x, s=start: x[s : s + 3] * x[5 - s])(x)),
        )
    mask = ad.jacobian(lambda x: x[x > 0][:2] ** 2, sparse=True)
    for y in (np.array([1.0, -1.0, 2.0, 3.0]), np.array([-1.0, 1.0, 2.0, 3.0])):
        check(mask(y), np.asarray(ad.jacobian(lambda x: x[x > 0][:2] ** 2)(y)))


def test_an_index_that_is_computed_from_another():
    x, graph = ad.Tensor(RNG.normal(size=6)), ad.Graph()
    for i in ([0, 1], [2, 3], [5, 4]):
        places = ad.Tensor(np.array(i), constant=True)
        y = x[places % 4] ** 2
        check(graph.jacobian(y, [x], sparse=True)[0], np.asarray(graph.jacobian(y, [x])[0]))


def test_results_are_the_callers():
    jacobian = ad.jacobian(heat, sparse=True)
    first = jacobian(X)
    expected = first.toarray()
    first.data[:] = 0
    first.eliminate_zeros()
    first.indices[:] = 0
    np.testing.assert_array_equal(jacobian(X).toarray(), expected)
    again = ad.sparsity(heat, X)
    again.columns[:] = 0
    np.testing.assert_array_equal(again.toarray(), expected != 0)


def test_graphs():
    x, y, graph = ad.Tensor(X), ad.Tensor([1.0, 2.0]), ad.Graph()
    z = x[1:] * x[:-1] * y[0]
    for sparse, dense in zip(graph.jacobian(z, [x, y], sparse=True), graph.jacobian(z, [x, y])):
        check(sparse, dense)
    f = np.sum(z**2)
    for sparse, dense in zip(graph.hessian(f, [x, y], sparse=True), graph.hessian(f, [x, y])):
        for one, other in zip(sparse, dense):
            check(one, other)
    before = graph.jacobian(z, [x], sparse=True)[0].toarray()
    x.assign(2 * X)
    np.testing.assert_array_equal(graph.jacobian(z, [x], sparse=True)[0].toarray(), before)
    assert graph.jacobian(z, [], sparse=True) == []
    assert graph.hessian(f, [], sparse=True) == []
    with pytest.raises(errors.ArgumentError, match="as_tensors=True cannot be had"):
        graph.jacobian(z, [x], sparse=True, as_tensors=True)


def test_traced():
    """What is traced once is replayed: entries are computed by the plan, and their places are known."""
    for transform, function in [(ad.jacobian, heat), (ad.hessian, rosenbrock)]:
        for chunk_size in (None, 2):
            traced = ad.function(transform(function, sparse=True, chunk_size=chunk_size))
            for x in (X, 2 * X, X[:5]):
                check(traced(x), np.asarray(transform(function)(x)))
    several = ad.function(ad.jacobian(lambda x, y: [x[1:] * y, np.sum(y)], (0, 1), sparse=True))
    found = several(X, 2.0)
    check(found[0][0], 2.0 * np.eye(6)[1:])
    assert found[1][0].nnz == 0
    assert several(X, 2.0)[0][0].indices is not found[0][0].indices
    # An index that a trace is given may be any; one of the outside may be another one later.
    places = ad.function(ad.jacobian(lambda x, i: x[i] ** 2, sparse=True))
    outside = ad.Tensor(np.array([1, 1]), constant=True)
    captured = ad.function(ad.jacobian(lambda x: x[outside] ** 2, sparse=True))
    for i in ([0, 1], [3, 4], [5, 5]):
        expected = 2 * X[i][:, None] * np.eye(6)[i]
        check(places(X, np.array(i)), expected)
        outside.assign(np.array(i))
        check(captured(X), expected)


def test_inside_of_other_transformations():
    weights = RNG.normal(size=6)

    def curved(x):
        return np.sum(np.sin(x) * x[::-1] ** 2)

    def entries(transform):
        return lambda x: np.sum(weights @ transform(x).toarray() ** 2)

    found = ad.grad(entries(ad.hessian(curved, sparse=True)))(X)
    expected = ad.grad(lambda x: np.sum(weights @ ad.hessian(curved)(x) ** 2))(X)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    found = ad.grad(lambda x: np.sum(ad.jacobian(lambda y: np.sin(y * x[::-1]), sparse=True)(x).data ** 2))(X)
    expected = ad.grad(lambda x: np.sum(ad.jacobian(lambda y: np.sin(y * x[::-1]))(x) ** 2))(X)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    batch = ad.vmap(ad.jacobian(lambda x: x[1:] * x[:-1], sparse=True))(M)
    assert (batch.shape, batch.data.shape) == ((3, 4), (3, 6))
    for one, x in zip(batch.data, M):
        matrix = scipy_sparse.csr_array((one, batch.indices, batch.indptr), batch.shape)
        check(matrix, np.asarray(ad.jacobian(lambda x: x[1:] * x[:-1])(x)))
    assert ad.vmap(lambda x: ad.jacobian(heat, sparse=True)(x).toarray())(M).shape == (3, 2, 4)
    # What does not depend on the outer argument is numbers, as everywhere.
    inner = ad.jacobian(heat, sparse=True)
    np.testing.assert_allclose(ad.grad(lambda x: np.sum(x**2) * inner(X).sum())(X), 2 * X * inner(X).sum())
    with pytest.raises(AttributeError):
        ad.grad(lambda x: inner(x).tocsc())(X)
    scale, graph = ad.Tensor(2.0), ad.Graph()
    matrix = ad.jacobian(lambda x: scale * x**2, sparse=True)(X)
    check(matrix.value, np.diag(4 * X))
    np.testing.assert_allclose(graph.gradient(np.sum(matrix.data), [scale])[0], np.sum(2 * X))
    assert repr(matrix).startswith("Recorded(shape=(6, 6), nnz=6, data=Tensor([")


def test_wrong_calls():
    with pytest.raises(errors.DifferentiationError, match=r"one element, and this one is float64\[6\]; sum it"):
        ad.hessian(lambda x: x**2, sparse=True)(X)
    with pytest.raises(errors.DTypeError, match="jacobian: sparse="):
        ad.jacobian(heat, sparse="yes")
    with pytest.raises(errors.RangeError, match="depends on so many elements"):
        ad.jacobian(lambda x: x * np.sum(x), sparse=True)(np.ones(1_000_000))


def test_without_scipy():
    code = (
        "import sys; sys.modules['scipy'] = sys.modules['scipy.sparse'] = None\n"
        "import numpy as np, autodiff as ad\n"
        "print(ad.sparsity(np.sin, np.ones(2)).nnz)\n"
        "try:\n    ad.jacobian(np.sin, sparse=True)\n"
        "except ad.errors.BackendError as error:\n    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.startswith("2\n")
    assert "pip install scipy" in found


def test_solvers_of_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    x0 = np.full(20, 0.5)

    def residuals(x):
        return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x])

    found = optimize.least_squares(residuals, x0, jac=ad.jacobian(residuals, sparse=True))
    np.testing.assert_allclose(found.x, 1.0, rtol=1e-6)
    found = optimize.minimize(
        rosenbrock, x0, jac=ad.grad(rosenbrock), hess=ad.hessian(rosenbrock, sparse=True), method="trust-constr"
    )
    np.testing.assert_allclose(found.x, 1.0, rtol=1e-4)


def test_memory_is_linear():
    """Of a hundred thousand variables a whole matrix would take 80 GB."""
    x = np.linspace(0.0, 1.0, 100_000)
    hessian = ad.hessian(rosenbrock, sparse=True)
    tracemalloc.start()
    found = hessian(x)
    assert tracemalloc.get_traced_memory()[1] < 100_000 * 1000
    tracemalloc.stop()
    np.testing.assert_allclose(found.diagonal()[1:-1], 202 + 1200 * x[1:-1] ** 2 - 400 * x[2:], rtol=1e-12)
    np.testing.assert_allclose(found.diagonal(1), -400 * x[:-1], rtol=1e-12)


# --- sets ------------------------------------------------------------------------------------------------------------


def test_sets():
    sets = of_entries(np.array([2, 0, 2, 2]), np.array([1, 3, 0, 1]), 3, 4)
    assert (sets.starts.tolist(), sets.members.tolist()) == ([0, 1, 1, 3], [3, 0, 1])
    assert [sets.single, identity(3, 1, 4).single] == [False, True]
    assert sets.taken(np.array([2, -1, 0])).members.tolist() == [0, 1, 3]
    assert identity(3, 1, 4).taken(np.array([2, -1, 0])).members.tolist() == [3, 1]
    assert sets.merged(np.array([0, 0, 0]), 1).members.tolist() == [0, 1, 3]
    assert union([sets, identity(3, 0, 4)]).members.tolist() == [0, 3, 1, 0, 1, 2]
    assert stacked([sets, sets]).starts.tolist() == [0, 1, 1, 3, 4, 4, 6]
    turned = sets.transposed()
    assert (turned.starts.tolist(), turned.members.tolist()) == ([0, 1, 2, 2, 3], [2, 2, 0])
    with pytest.raises(errors.RangeError, match="more places than can be numbered"):
        of_entries(np.array([0]), np.array([0]), 2**40, 2**40)
    assert isinstance(sets, Sets)


def test_backends(backend):
    graph = ad.Graph(backend=backend)
    x = graph.tensor(X)
    check(graph.jacobian(heat(x), [x], sparse=True)[0], np.asarray(ad.jacobian(heat)(X)))
    check(graph.jacobian(heat(x), [x], sparse=True, mode="forward", chunk_size=2)[0], np.asarray(ad.jacobian(heat)(X)))
    check(graph.hessian(rosenbrock(x), [x], sparse=True)[0][0], np.asarray(ad.hessian(rosenbrock)(X)))
    traced = ad.function(ad.jacobian(heat, sparse=True), backend=backend)
    check(traced(X), np.asarray(ad.jacobian(heat)(X)))


def test_rules_that_somebody_has_written():
    @ad.custom_jvp
    def cubed(x):
        return x**3

    cubed.defjvp(lambda primals, tangents: (primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]))

    def function(x):
        return cubed(x[1:]) * x[:-1]

    check(ad.jacobian(function, sparse=True)(X), np.asarray(ad.jacobian(function)(X)))
    check(ad.hessian(lambda x: np.sum(function(x)), sparse=True)(X), ad.hessian(lambda x: np.sum(function(x)))(X))
