"""Plans of dask arrays against NumPy's: passes over blocks of rows, totals, what needs whole arrays; and laziness."""

import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from types import MethodType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import errors
from autodiff.differentiate import derivative
from autodiff.plan import collect, compile_nodes

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
Task = pytest.importorskip("dask.task_spec").Task

ROOT = Path(__file__).parents[2]
N = 23
SIZES = (7, 7, 9)
rng = np.random.default_rng(0)
X, Y, Z = rng.normal(size=(N, 4)), rng.normal(size=N), rng.normal(size=(N, 4))
W, V = rng.normal(size=(4, 3)), rng.normal(size=3)
LABELS = rng.integers(0, 4, N)
WORDS = rng.normal(size=(N, 2, 4))


@pytest.fixture(autouse=True)
def one_thread():
    """Tasks run where they are asked for; several threads are a test of their own."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def lazy():
    return ad.get_backend("dask")


class Recorded:
    """A function of arrays with its gradients, ready to be compiled."""

    def __init__(self, function, arrays, wrt=()):
        tensors = [
            ad.Tensor(a, constant=np.asarray(a).dtype.kind not in "fc", dtype=np.asarray(a).dtype) for a in arrays
        ]
        results = function(*tensors)
        self.outputs = [t.node for t in (results if isinstance(results, tuple) else (results,))]
        self.outputs += derivative(self.outputs[0], [tensors[i].node for i in wrt], 1) if wrt else []
        self.trace = collect(self.outputs)

    def compiled(self, name):
        return compile_nodes(self.trace.leaves, self.outputs, ad.get_backend(name), derivatives=True)

    def values(self, chunks):
        """Values of the leaves as dask arrays; ``chunks`` gives those of an array, by its shape."""
        values = []
        for leaf in self.trace.leaves:
            if leaf.aval.weak or leaf.aval.spec is not None:
                values.append(leaf.value)
            else:
                values.append(da.from_array(np.asarray(leaf.value), chunks(leaf.aval.shape), name=False))
        return values

    def assert_numpys(self, results, rtol=1e-12):
        for found, node, wanted in zip(
            results, self.outputs, self.compiled("numpy")(*self.trace.values()), strict=True
        ):
            assert isinstance(found, da.Array)
            assert (found.shape, found.dtype) == (node.shape, node.dtype)
            np.testing.assert_allclose(found.compute(), wanted, rtol, rtol, strict=True)


def in_rows(shape):
    """Each axis of N elements in three blocks."""
    return tuple([SIZES if n == N else n for n in shape])


def tasks(array):
    """How many tasks compute an array, without those that hold its inputs."""
    (graph,) = dask.optimize(array)
    return sum(str(key).lstrip("('").startswith("autodiff") for key in graph.dask.to_dict())


def network(x, y, w, v):
    return np.mean((np.tanh(x @ w) @ v - y) ** 2)


def deep(x, y, w, v):
    h = np.tanh(x @ w)
    for _ in range(20):
        h = np.sin(h) * 1.1 + np.cos(h * h)
    return np.mean((h @ v - y) ** 2)


def logistic_loss(x, y, w):
    return np.mean(np.log1p(np.exp(-np.sign(y) * (x @ w)))) + 0.1 * np.sum(w * w)


def softmax_loss(x, labels, w):
    logits = x @ w
    logits = logits - np.max(logits, axis=1, keepdims=True)
    return -np.mean(np.sum((labels[:, None] == np.arange(3)) * logits, 1) - np.log(np.sum(np.exp(logits), axis=1)))


def written(x):
    y = x * 2
    y[:, 1] = y[:, 0] * x[:, 3]
    y[:, 2] += 1.0
    return y


def rows_written(x, i):
    y = np.tanh(x)
    y[i] = x[:, :1] * 2.0
    return y


# --- what is computed block by block ---------------------------------------------------------------------------------

# Each with its arrays, what it is differentiated by, and the passes over the rows that it takes.
PASSES = {
    "linear regression": (lambda x, y, w: np.sum((x @ w - y) ** 2), (X, Y, W[:, 0]), (2,), 1),
    "logistic regression": (logistic_loss, (X, Y, W[:, 0]), (2,), 1),
    "softmax regression": (softmax_loss, (X, LABELS, W), (2,), 1),
    "network": (network, (X, Y, W, V), (2, 3), 1),
    "gradient by the rows": (network, (X, Y, W, V), (0, 1), 1),
    "norm": (lambda x, y, w: np.linalg.norm(x @ w - y), (X, Y, W[:, 0]), (2,), 2),
    "centred": (lambda x: x - np.mean(x, axis=0), (X,), (), 2),
    "standardized": (lambda x: (x - np.mean(x, axis=0)) / np.std(x, axis=0), (X,), (), 3),
    "softmax": (lambda x: np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True), (X,), (0,), 1),
    "softmax over rows": (lambda x: np.exp(x) / np.sum(np.exp(x), axis=0), (X,), (), 2),
    "columns": (lambda x, w: np.tanh(w.T @ x.T), (X, W), (1,), 1),
    "sequences": (lambda x, w: np.tanh(np.tensordot(x, w, 1)), (WORDS, W), (0, 1), 1),
    "flattened sequences": (lambda x, w: np.tanh(x.reshape(-1, 4) @ w).reshape(N, 6), (WORDS, W), (1,), 1),
    "batch of products": (lambda x, z: x @ np.swapaxes(z, 1, 2), (WORDS, WORDS + 1), (0,), 1),
    "einsum": (lambda x, z, w: np.einsum("ni,nj,ij->n", x, z, w), (X, Z, W @ W.T), (2,), 1),
    "gram": (lambda x: x.T @ x, (X,), (), 1),
    "sums": (lambda x: (np.sum(x), np.sum(x, axis=0), np.sum(x, axis=1)), (X,), (), 1),
    "products": (lambda x: (np.prod(x), np.prod(x, axis=0), np.prod(x, axis=1)), (X,), (), 1),
    "extrema": (lambda x: (np.max(x, axis=0), np.min(x), np.max(x, axis=1)), (X,), (), 1),
    "gradient of extrema": (lambda x: np.max(x, axis=0) * np.array([1.0, 2, 3, 4]), (X,), (0,), 3),
    "truth": (lambda x: (np.all(x > -9), np.any(x > 1, axis=0), np.all(x > 0, axis=1)), (X,), (), 1),
    "integers": (lambda i: (np.sum(i), np.max(i), i // 2), (LABELS,), (), 1),
    "positions in rows": (lambda x: np.argmax(x, axis=1), (X,), (), 1),
    "running sums in rows": (lambda x: np.cumsum(x, axis=1) ** 2, (X,), (0,), 1),
    "columns chosen": (lambda x: x[:, 1] * x[:, ::-1].T + x[:, [0, 0, 2, 1]].T, (X,), (0,), 1),
    "new axis": (lambda x: (x[:, None] * x[:, :, None])[..., 0], (X,), (0,), 1),
    "columns written": (written, (X,), (0,), 1),
    "columns joined": (lambda x, y: np.concatenate([x, y[:, None]], axis=1) ** 2, (X, Y), (0, 1), 1),
    "embedding": (lambda i, w: w[i] ** 2, (LABELS, W), (1,), 1),
    "choice": (lambda x, z: np.where(x > z, x * z, 0.5), (X, Z), (0,), 1),
    "complex": (lambda x, y: np.abs(np.sum(np.exp(1j * x) * y[:, None])), (X, Y), (0,), 2),
    "rows repeated": (lambda x, w: np.broadcast_to(w[0], (N, 3)) * np.ones((N, 1)) * x[:, :3], (X, W), (1,), 1),
    "singular values": (lambda a: np.sum(np.linalg.svd(a)[1] ** 3, axis=1), (WORDS,), (0,), 1),
    "several outputs": (lambda x: np.modf(x)[0] * np.frexp(x)[0], (X,), (0,), 1),
    "transforms": (lambda x: np.abs(np.fft.fft(x, axis=1)), (X,), (0,), 1),
    "solutions": (lambda x: np.linalg.solve(W.T @ W, x[:, :3].T), (X,), (0,), 1),
    "column by row": (lambda x: np.sum(x.T, axis=0)[:, None] * np.arange(5.0), (X,), (0,), 1),
}


@pytest.mark.parametrize("name", PASSES)
def test_passes_over_the_rows(name):
    function, arrays, wrt, passes = PASSES[name]
    recorded = Recorded(function, arrays, wrt)
    plan = recorded.compiled("dask")
    recorded.assert_numpys(plan(*recorded.values(in_rows)), 1e-11)
    assert plan.source.count("blocks of the") == passes
    assert "joined" not in plan.source
    # As they are from another cut, after which the first is still known.
    recorded.assert_numpys(plan(*recorded.values(lambda shape: shape)), 1e-11)
    assert "blocks of the" not in plan.source
    assert plan.source.count("# stage") == 1


@pytest.mark.parametrize("function", [network, deep])
def test_tasks_grow_by_less_than_three_for_a_block_however_many_operations_there_are(function):
    counts = []
    for blocks in (10, 100):
        arrays = (rng.normal(size=(blocks * 2, 4)), rng.normal(size=blocks * 2), W, V)
        recorded = Recorded(function, arrays, (2, 3))
        values = recorded.values(lambda shape, rows=blocks * 2: tuple([2 if n == rows else n for n in shape]))
        _, gradient, _ = recorded.compiled("dask")(*values)
        counts.append(tasks(gradient))
    # One for the block, and the eighth of one that combines.
    assert counts[1] - counts[0] < 90 * 1.2


def centred_again_and_again(x):
    for _ in range(60):
        x = np.tanh(x - np.mean(x, axis=0))
    return x


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_products_of_one_pass_are_kept_for_the_next(order):
    def function(x, w):
        product = x @ w
        results = product, product * np.mean(x)
        return tuple([results[i] for i in order])

    recorded = Recorded(function, (X, W))
    plan = recorded.compiled("dask")
    recorded.assert_numpys(plan(*recorded.values(in_rows)))
    assert plan.source.count("blocks of the") == 2
    assert plan.source.count("matmul") == 1


def test_a_pass_does_not_compute_all_before_it_again():
    recorded = Recorded(centred_again_and_again, (X,))
    plan = recorded.compiled("dask")
    recorded.assert_numpys(plan(*recorded.values(in_rows)), 1e-11)
    passes = [text for text in plan.source.split("# stage ") if "blocks of the" in text]
    assert len(passes) == 61
    assert max(text.count("tanh") for text in passes) < 30


def test_large_values_that_depend_on_no_rows_are_computed_once():
    recorded = Recorded(lambda x, a: np.tanh(x @ np.cos(a @ a)[:4]), (X, rng.normal(size=(80, 80))))
    plan = recorded.compiled("dask")
    recorded.assert_numpys(plan(*recorded.values(in_rows)), 1e-11)
    _, once, blocks = plan.source.split("# stage ")
    assert "cos" in once
    assert "cos" not in blocks


def test_the_number_of_operations_is_that_of_the_program():
    recorded = Recorded(network, (X, Y, W, V), (2, 3))
    plan = recorded.compiled("dask")
    assert plan.n_launches == 1
    assert plan.source.count(" = ") == plan.n_operations > 10
    plan(*recorded.values(in_rows))
    assert plan.n_launches == 2


# --- what needs whole arrays -----------------------------------------------------------------------------------------

WHOLE = {
    "running sums": (lambda x: np.cumsum(np.tanh(x), axis=0) * x, (X,), (0,)),
    "positions": (lambda x: np.argmax(x * 2, axis=0), (X,), ()),
    "shifts": (lambda x: np.tanh(x)[1:] - np.tanh(x)[:-1], (X,), (0,)),
    "one row": (lambda x: np.tanh(x)[3] * x, (X,), (0,)),
    "rows reversed": (lambda x: x[::-1] * x, (X,), (0,)),
    "rows gathered": (lambda x, i: x[i] * x, (X, LABELS), (0,)),
    "rows written": (rows_written, (X, LABELS), (0,)),
    "rows joined": (lambda x, z: np.concatenate([x, z]) ** 2, (X, Z), (0, 1)),
    "flattened columns": (lambda x: np.reshape((x * 2).T, -1) ** 2, (X,), (0,)),
    "distances": (lambda x, z: np.sum((x[:, None] - z[None]) ** 2, axis=-1), (X, Z), (0, 1)),
    "symmetric": (lambda a: a @ a.T + np.tanh(a) * a.T, (rng.normal(size=(N, N)),), (0,)),
    "two numbers of rows": (lambda x, z: np.tanh(x) @ np.tanh(z).T, (X, Z[:11]), (0, 1)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_blocks_are_joined_where_the_program_needs_it(name):
    recorded = Recorded(*WHOLE[name])
    plan = recorded.compiled("dask")
    recorded.assert_numpys(
        plan(*recorded.values(lambda s: tuple([(6, 5) if n == 11 else m for n, m in zip(s, in_rows(s))])))
    )
    assert "# joined" in plan.source


# Too large to be computed in each block again, though their singular values are not.
MATRIX, MATRICES = rng.normal(size=(70, 70)), rng.normal(size=(90, 8, 8))

TAKEN_APART = {
    "of a matrix": (lambda a, x: np.linalg.svd(a)[1] * x[:, :1] + np.linalg.svd(a)[0][0, 0], (MATRIX, X), (0, 1)),
    "of matrices": (lambda a, x: np.sum(np.linalg.svd(a, compute_uv=False)) * x, (MATRICES, X), (0, 1)),
    "in a later pass": (lambda a: np.linalg.svd(a)[1] * np.sum(np.linalg.svd(a)[1]), (WORDS,), (0,)),
    "along other axes": (lambda x: np.modf(x.T @ x)[0] + np.sum(np.modf(x)[1]), (X,), (0,)),
}


@pytest.mark.parametrize("name", TAKEN_APART)
def test_several_outputs_are_taken_apart_where_they_are_computed(name):
    recorded = Recorded(*TAKEN_APART[name])
    recorded.assert_numpys(recorded.compiled("dask")(*recorded.values(in_rows)))


def test_several_outputs_that_are_known_are_taken_apart(lazy):
    t = ad.Tensor(da.from_array(WORDS, chunks=(7, 2, 4)))
    left, values, right = np.linalg.svd(t, full_matrices=False)
    np.testing.assert_allclose(left.value.compute() * 1, np.linalg.svd(WORDS, full_matrices=False)[0])
    product = (left * values[:, None]) @ right
    np.testing.assert_allclose(product.value.compute(), WORDS)


def test_only_what_needs_whole_arrays_is_joined():
    recorded = Recorded(lambda x: np.sum(np.tanh(x) * np.cumsum(x, axis=0)), (X,))
    plan = recorded.compiled("dask")
    recorded.assert_numpys(plan(*recorded.values(in_rows)))
    _, once, in_blocks = plan.source.split("# stage ")
    assert "cumsum" in once
    assert "tanh" not in once
    assert "blocks of the 23 rows" in in_blocks
    assert "tanh" in in_blocks


# --- how arrays are cut ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunks", "blocks"),
    [
        ({X.shape: ((7, 16), 4), Y.shape: (5, 18)}, 2),
        ({X.shape: ((7, 16), (2, 2)), Y.shape: N}, 2),
        ({X.shape: (N, (2, 2)), Y.shape: (5, 18)}, 2),
        ({X.shape: ((0, 7, 0, 0, 16), 4), Y.shape: ((7, 16, 0),)}, 2),
        ({X.shape: (1, 4), Y.shape: N}, N),
        ({X.shape: (N, 4), Y.shape: ((1,) * N,)}, N),
    ],
    ids=["unequal", "both axes", "columns", "empty blocks", "single rows", "one in rows"],
)
def test_blocks_are_those_of_the_largest_array_in_rows(chunks, blocks):
    recorded = Recorded(network, (X, Y, W, V), (0, 2, 3))
    plan = recorded.compiled("dask")
    recorded.assert_numpys(plan(*recorded.values(lambda shape: chunks.get(shape, shape))), 1e-11)
    assert f"{blocks} blocks" in plan.source


def test_arrays_in_columns_are_cut_there():
    recorded = Recorded(lambda w, x: np.sum(np.tanh(w.T @ x), axis=0), (W, X.T), (0,))
    plan = recorded.compiled("dask")
    recorded.assert_numpys(plan(*recorded.values(in_rows)))
    assert "float64[4, rows]" in plan.source


def test_blocks_of_whole_rows_are_no_larger_than_dask_makes_them(lazy):
    a = rng.normal(size=(40, 40))
    recorded = Recorded(lambda x: np.sum(np.tanh(x), axis=1), (a,))
    with dask.config.set({"array.chunk-size": "1kiB"}):
        (result,) = recorded.compiled("dask")(*recorded.values(lambda shape: (20, 20)))
    assert max(result.chunks[0]) * a[0].nbytes <= 1024
    recorded.assert_numpys([result])


@pytest.mark.parametrize("shape", [(0, 3), (4, 0)])
def test_empty_arrays(shape):
    recorded = Recorded(lambda x, w: (np.sum(x * 2, axis=0) + w, x + w), (np.ones(shape), np.ones(shape[1])), (1,))
    recorded.assert_numpys(recorded.compiled("dask")(*recorded.values(lambda s: (2, *s[1:]))))


def test_single_precision_stays():
    arrays = [a.astype(np.float32) for a in (X, Y, W, V)]
    recorded = Recorded(network, arrays, (0, 2))
    results = recorded.compiled("dask")(*recorded.values(in_rows))
    assert {result.dtype for result in results} == {np.dtype(np.float32)}
    recorded.assert_numpys(results, 1e-5)


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(st.lists(st.tuples(*[st.integers(0, 63)] * 3, st.integers(0, 3)), min_size=2, max_size=16), st.integers(0, 3))
def test_random_programs(random_graph, instructions, style):
    _, outputs = random_graph(instructions, unsupported=True)
    recorded = Recorded(lambda: tuple(outputs), ())
    chunks = [lambda s: (1,) * len(s), lambda s: (1, *s[1:])[: len(s)], lambda s: (*s[:-1], 1)[: len(s)], lambda s: s]
    with np.errstate(all="ignore"):
        recorded.assert_numpys(recorded.compiled("dask")(*recorded.values(chunks[style])), 1e-5)


# --- laziness --------------------------------------------------------------------------------------------------------


def test_a_call_computes_nothing():
    def fail(block):
        raise AssertionError("a block was computed")

    recorded = Recorded(network, (X, Y, W, V), (0, 2))
    values = recorded.values(in_rows)
    values[0] = values[0].map_blocks(fail, meta=np.empty((0, 0)))
    results = recorded.compiled("dask")(*values)
    with pytest.raises(AssertionError, match="a block was computed"):
        results[0].compute()


def test_the_whole_array_is_never_in_memory():
    blocks, rows = 64, 1000

    def make(block_id):
        return np.sin(np.arange(rows * 50.0) * (block_id[0] + 1)).reshape(rows, 50)

    x = da.map_blocks(make, chunks=((rows,) * blocks, 50), meta=np.empty((0, 0)))
    w = ad.Tensor(rng.normal(size=50))
    leaf = ad.Tensor(np.broadcast_to(1.0, x.shape), copy=False)
    loss = np.mean(np.tanh(leaf @ w) ** 2)
    (gradient,) = derivative(loss.node, [w.node], 1)
    plan = compile_nodes([leaf.node, w.node], [loss.node, gradient], ad.get_backend("dask"), derivatives=True)
    results = plan(x, da.from_array(w.value, -1))
    tracemalloc.start()
    found = dask.compute(*results)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 8
    assert peak > x.nbytes / blocks
    wanted = compile_nodes([leaf.node, w.node], [loss.node, gradient], ad.get_backend("numpy"))(x.compute(), w.value)
    for one, other in zip(found, wanted):
        np.testing.assert_allclose(one, other, rtol=1e-11)


def test_plans_are_safe_in_threads():
    recorded = Recorded(network, (X, Y, W, V), (0, 2, 3))
    plan = recorded.compiled("dask")
    failures = []

    def work(sizes):
        try:
            for _ in range(5):
                recorded.assert_numpys(
                    plan(*recorded.values(lambda s: tuple([sizes if n == N else n for n in s]))), 1e-11
                )
        except BaseException as error:
            failures.append(error)

    with dask.config.set(scheduler="threads"):
        threads = [threading.Thread(target=work, args=(sizes,)) for sizes in (SIZES, (11, 12), 5, N)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


# --- values ----------------------------------------------------------------------------------------------------------


def test_indices_are_data(lazy):
    first, second = (Recorded(lambda x, column=column: x[:, column] * x[:, 0], (X,)) for column in (1, 3))
    assert first.trace.key == second.trace.key
    plan = compile_nodes(first.trace.leaves, first.outputs, lazy)
    first.assert_numpys(plan(*first.values(in_rows)))
    second.assert_numpys(plan(*second.values(in_rows)))


def test_an_index_that_takes_other_rows_cuts_the_program_again(lazy):
    recorded = Recorded(lambda x: x[::-1, 1:] * 2.0, (X,))
    plan = compile_nodes(recorded.trace.leaves, recorded.outputs, lazy)
    values = recorded.values(in_rows)
    index = next(i for i, v in enumerate(values) if isinstance(v, tuple))
    recorded.assert_numpys(plan(*values))
    assert "# joined" in plan.source
    values[index] = (slice(0, N, 1), values[index][1])
    (result,) = plan(*values)
    np.testing.assert_array_equal(result.compute(), X[:, 1:] * 2.0)
    assert "# joined" not in plan.source


def test_inputs_and_repeated_results_are_arrays_of_their_own():
    x = ad.Tensor(X)
    y = np.tanh(x)
    recorded = Recorded(lambda: (x, y, y, x), ())
    values = recorded.values(in_rows)
    results = recorded.compiled("dask")(*values)
    assert len({result.name for result in (*results, *values)}) == 5
    recorded.assert_numpys(results)
    persisted = results[0].persist()
    assert not np.may_share_memory(persisted.blocks[0].compute(), values[0].blocks[0].compute())


def test_python_numbers_are_computed():
    number = ad.Tensor(2.5, constant=True)
    x = ad.Tensor(X)
    recorded = Recorded(lambda: (np.where(np.sum(x) > 0, 1.5, 2.5) * 1.0, x * number), ())
    results = recorded.compiled("dask")(*recorded.values(in_rows))
    assert type(results[0]) is float
    assert results[0] == (1.5 if X.sum() > 0 else 2.5)
    np.testing.assert_allclose(results[1].compute(), X * 2.5)


def test_stages_travel_to_other_processes_and_are_compiled_there_once():
    recorded = Recorded(network, (X, Y, W, V), (2,))
    _, gradient = recorded.compiled("dask")(*recorded.values(in_rows))
    graph = {key: pickle.loads(pickle.dumps(task)) for key, task in gradient.dask.to_dict().items()}
    stages = {t.func.__self__ for t in graph.values() if isinstance(t, Task) and isinstance(t.func, MethodType)}
    assert len(stages) == 2
    found = da.Array(graph, gradient.name, gradient.chunks, gradient.dtype).compute()
    np.testing.assert_array_equal(found, gradient.compute())


# --- arrays ----------------------------------------------------------------------------------------------------------


def test_arrays_of_the_backend(lazy):
    x = da.from_array(X, (5, 2))
    assert lazy.name == "dask"
    assert lazy.device == "cpu"
    assert lazy.namespace is da
    assert lazy.owns(x)
    assert not lazy.owns(X)
    assert ad.registry.backend_of(x) is lazy
    assert pickle.loads(pickle.dumps(lazy)) is lazy
    assert lazy.aval_of(x) == ((N, 4), np.dtype(np.float64))
    np.testing.assert_array_equal(lazy.to_numpy(x), X)


def test_arrays_from_numpy_are_cut_between_rows(lazy):
    with dask.config.set({"array.chunk-size": "256B"}):
        x = lazy.asarray(X, np.dtype(np.float32))
    assert x.chunksize == (16, 4)
    assert x.dtype == np.float32
    assert lazy.asarray(2.5).shape == ()
    assert lazy.asarray(np.zeros((3, 0))).shape == (3, 0)
    np.testing.assert_array_equal(x.compute(), X.astype(np.float32))


def test_copies_have_memory_of_their_own(lazy):
    array = X.copy()
    x = lazy.asarray(array, copy=True)
    array[...] = 0
    np.testing.assert_array_equal(x.compute(), X)
    assert lazy.asarray(x) is x
    y = lazy.asarray(x, copy=True)
    x[0] = 0
    np.testing.assert_array_equal(y.compute(), X)
    assert lazy.asarray(x, np.dtype(np.float32)).dtype == np.float32


def test_arrays_that_cannot_be_recorded(lazy):
    x = da.from_array(X)
    with pytest.raises(errors.ShapeError, match=r"unknown shape \(nan, 4\).*compute_chunk_sizes"):
        lazy.aval_of(x[x[:, 0] > 0])
    with pytest.raises(errors.DTypeError, match=r"shape \(2,\) and dtype datetime64\[s\].*astype"):
        lazy.aval_of(da.from_array(np.zeros(2, "M8[s]")))
    with pytest.raises(errors.DTypeError, match=r"blocks of numpy\.ma.*map_blocks"):
        lazy.aval_of(da.from_array(np.ma.masked_array(X)))


# --- variables hold blocks -------------------------------------------------------------------------------------------


class Passes:
    """Data in three chunks, and how often each was looked at."""

    def __init__(self):
        self.count = 0
        self.rows = da.from_array(X, chunks=(8, 4)).map_blocks(self._counted, dtype=X.dtype)

    def _counted(self, block):
        self.count += 1
        return block


def trained(update, steps=10):
    """Parameters after some steps, and the numbers of tasks in them and in gradients after each."""
    graph = ad.Graph(backend="dask")
    passes = Passes()
    x = graph.tensor(passes.rows, constant=True)
    parameters = [graph.tensor(W), graph.tensor(V)]
    step = update(parameters)
    tasks, counts = [], []
    for _ in range(steps):
        w, v = parameters
        passes.count = 0
        gradients = graph.gradient(np.mean((np.tanh(x @ w) @ v - Y) ** 2), parameters)
        step(gradients)
        tasks.append([len(a.dask) for a in (w.value, v.value, *gradients)])
        counts.append(passes.count)
    return [p.value.compute() for p in parameters], tasks, counts


def subtracting(parameters):
    return lambda gradients: [p.assign_sub(0.1 * g) for p, g in zip(parameters, gradients)]


def adding(parameters):
    return lambda gradients: [p.assign_add(-0.1 * g) for p, g in zip(parameters, gradients)]


def assigning(parameters):
    return lambda gradients: [p.assign(p.value - 0.1 * g) for p, g in zip(parameters, gradients)]


def stepping(kind):
    return lambda parameters: kind(parameters, 0.1).step


UPDATES = {
    "assign_sub": subtracting,
    "assign_add": adding,
    "assign": assigning,
    "SGD": stepping(ad.optim.SGD),
    "Adam": stepping(ad.optim.Adam),
}


@pytest.mark.parametrize("name", UPDATES)
def test_the_history_of_a_variable_does_not_grow(name):
    found, tasks, counts = trained(UPDATES[name])
    assert all(sizes == tasks[1] for sizes in tasks[2:]), tasks
    # The new values of a step come from one pass over the data, made when the next step takes them.
    assert counts[1:] == [3] * 9
    x, parameters = ad.Tensor(X, constant=True), [ad.Tensor(W), ad.Tensor(V)]
    step = UPDATES[name](parameters)
    for _ in range(10):
        w, v = parameters
        step(ad.Graph().gradient(np.mean((np.tanh(x @ w) @ v - Y) ** 2), parameters))
    for value, parameter in zip(found, parameters):
        np.testing.assert_allclose(value, parameter.value, rtol=1e-12)


def test_values_that_no_plan_takes_hold_at_most_one_step(lazy):
    average = ad.Graph(backend="dask").tensor(X)
    tasks = []
    for _ in range(8):
        average.assign(0.9 * average.value + 0.1 * da.ones((N, 4)))
        tasks.append(len(average.value.dask))
    assert max(tasks) == max(tasks[:2])
    np.testing.assert_allclose(average.value.compute(), 0.9**8 * X + 1 - 0.9**8)


def test_what_is_assigned_stays_in_blocks(lazy):
    x = da.from_array(X, chunks=(8, 4))
    w = ad.Graph(backend="dask").tensor(x)
    w.assign(x + 1.0)
    kept = w.value
    ad.Graph(backend="dask").gradient(np.sum(w**2), [w])
    assert w.value is kept
    assert kept.chunks == x.chunks
    assert len(kept.dask) == 3
    assert kept.__dask_keys__() == [[(kept.name, i, 0)] for i in range(3)]
    np.testing.assert_array_equal(kept.compute(), X + 1.0)


def test_an_array_of_the_user_is_left_as_it_is():
    w = ad.Graph(backend="dask").tensor(X)
    mine = da.from_array(X, chunks=(8, 4)) * 2.0
    w.assign(mine, copy=False)
    tasks = len(mine.dask)
    ad.Graph(backend="dask").gradient(np.sum(w**2), [w])
    assert len(mine.dask) == tasks
    mine[0] = 0.0
    np.testing.assert_array_equal(w.value.compute(), X * 2)


def test_a_graph_recorded_before_keeps_the_old_value():
    graph = ad.Graph(backend="dask")
    w = graph.tensor(V)
    w.assign(da.from_array(V) * 2.0)
    y = np.sum(w**3)
    for _ in range(3):
        w.assign(w.value + 1.0)
    np.testing.assert_allclose(graph.gradient(y, [w])[0].compute(), 12 * V**2)
    np.testing.assert_allclose(w.value.compute(), 2 * V + 3)


@given(st.lists(st.sampled_from(["gradient", "sub", "scale", "swap", "look", "adam", "numpy"]), max_size=14))
@settings(max_examples=25, deadline=None)
def test_any_run_of_assignments_is_right_and_its_history_short(actions):
    graph = ad.Graph(backend="dask")
    lazily, plainly = [graph.tensor(V), graph.tensor(2 * V)], [ad.Tensor(V), ad.Tensor(2 * V)]
    worlds = []
    for w, v in (lazily, plainly):
        worlds.append([w, v, ad.Graph(backend="dask" if w is lazily[0] else None), ad.optim.Adam([w, v], 0.1)])
    gradients = [[0 * V, 0 * V] for _ in worlds]
    for action in actions:
        for k, (w, v, own, adam) in enumerate(worlds):
            if action == "gradient":
                gradients[k] = own.gradient(np.sum(np.sin(w) * v**2), [w, v])
            elif action == "sub":
                w.assign_sub(0.1 * gradients[k][0])
                v.assign_sub(0.1 * gradients[k][1])
            elif action == "scale":
                w.assign(w.value * 0.5 + 1.0)
            elif action == "swap":
                one, other = w.value, v.value
                w.assign(other)
                v.assign(one)
            elif action == "look":
                np.asarray(w.value)
            elif action == "adam":
                adam.step(gradients[k])
            else:
                v.assign(V)
    for lazy_one, plain_one in zip(lazily, plainly):
        np.testing.assert_allclose(lazy_one.value.compute(), plain_one.value, rtol=1e-10, atol=1e-12)
        assert len(lazy_one.value.dask) < 60


def test_values_that_are_dropped_are_forgotten():
    from autodiff_backends.dask import kept as _dask_kept

    w = ad.Graph(backend="dask").tensor(V)
    before = len(_dask_kept._lazy)
    w.assign(da.from_array(V) * 2.0)
    assert len(_dask_kept._lazy) == before + 1
    del w
    assert len(_dask_kept._lazy) == before


def test_a_value_that_cannot_be_computed_says_so_when_it_is_used():
    def fail(block):
        raise ZeroDivisionError("here")

    w = ad.Graph(backend="dask").tensor(V)
    w.assign(da.from_array(V).map_blocks(fail, dtype=V.dtype))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="here"):
            ad.Graph(backend="dask").gradient(np.sum(w**2), [w])
    w.assign(V)
    np.testing.assert_allclose(ad.Graph(backend="dask").gradient(np.sum(w**2), [w])[0].compute(), 2 * V)


def test_threads_that_use_the_same_variables():
    graph = ad.Graph(backend="dask")
    w = graph.tensor(X)
    for k in range(5):
        w.assign(w.value * 1.5)
        results = []

        def work(results=results):
            results.append(graph.gradient(np.sum(w**2), [w])[0].compute())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 4
        for result in results:
            np.testing.assert_allclose(result, 2 * X * 1.5 ** (k + 1))


MISSING = """
import sys
sys.modules["dask"] = None
import autodiff as ad
try:
    ad.get_backend("dask")
except ad.errors.BackendError as error:
    print(error)
"""


def test_a_missing_package_is_named():
    path = os.pathsep.join([str(ROOT), str(ROOT / "backends")])
    command = [sys.executable, "-c", MISSING]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path})
    assert 'pip install "dask[array]"' in run.stdout


OUTLIVING = """
import atexit, threading, time
import numpy as np, autodiff as ad, dask.array as da

a = np.linspace(-1, 1, 1000)

def step(when):
    graph = ad.Graph(backend="dask")
    x = graph.tensor(da.from_array(a, chunks=250))
    (slope,) = graph.gradient(np.sum(np.sin(x) * x), [x])
    assert np.allclose(ad.get_backend("dask").to_numpy(slope), np.cos(a) * a + np.sin(a))
    x.assign(slope)
    slope = ad.get_backend("dask").to_numpy(graph.gradient(np.sum(x * x), [x])[0])
    assert np.allclose(slope, 2 * (np.cos(a) * a + np.sin(a)))
    print(when, flush=True)

def outlive():
    threading.main_thread().join()
    time.sleep(0.1)
    step("after")

step("main")
threading.Thread(target=outlive).start()
atexit.register(step, "exit")
"""


def test_what_outlives_the_main_thread_is_computed_without_threads():
    result = subprocess.run([sys.executable, "-c", OUTLIVING], check=False, capture_output=True, text=True, timeout=120)
    assert (result.stderr, result.stdout.split()) == ("", ["main", "after", "exit"])
