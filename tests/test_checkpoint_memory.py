"""``checkpoint``: what a function computes inside is computed again for its derivatives, and is not stored."""

import re
import tracemalloc

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.plan import execute

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 3))
X = RNG.normal(size=(4, 3))
V = RNG.normal(size=(3, 3))


def block(w, x):
    hidden = np.tanh(x @ w)
    return {"out": np.sin(hidden @ w.T) + x[::-1], "sums": (hidden.sum(axis=0), np.max(hidden))}


def loss(function):
    def value(w, x=X):
        first = function(w, x)
        second = function(w * first["sums"][1], first["out"])
        return np.sum(second["out"] ** 2 * first["sums"][0]) + second["sums"][1]

    return value


PLAIN = loss(block)
KINDS = {
    "nothing": ad.checkpoint(block),
    "dots": ad.checkpoint(block, policy="dots_saveable"),
    "everything": ad.checkpoint(policy="everything_saveable")(block),
    "some": ad.checkpoint(block, policy=lambda op: op.primitive.name in ("tanh", "reshape", "transpose")),
    "limited": ad.checkpoint(block, memory_limit=100),
    "nested": ad.checkpoint(lambda w, x: ad.checkpoint(block)(w, ad.checkpoint(np.sin)(np.arcsin(x / 9) * 1.0) * 9)),
}


def slope_of_slope(f):
    return ad.grad(lambda w: np.sum(ad.grad(lambda u: np.sum(ad.grad(f)(u) ** 2))(w) * V))


def vector(f):
    def of_rows(w):
        return np.stack([f(w), f(w * 2)])

    return of_rows


TRANSFORMED = {
    "grad": lambda f: ad.grad(f)(W),
    "value": lambda f: ad.value_and_grad(f, argnums=(0, 1))(W, X),
    "jvp": lambda f: ad.jvp(f, (W,), (V,)),
    "linearize": lambda f: ad.linearize(f, W)[1](V),
    "vjp": lambda f: ad.vjp(f, W)[1](2.0),
    "hvp": lambda f: ad.hvp(f)(W, V),
    "vhp": lambda f: ad.vhp(f)(W, V),
    "hessian": lambda f: ad.hessian(f)(W),
    "rows": lambda f: ad.jacobian(vector(f), mode="reverse")(W),
    "columns": lambda f: ad.jacobian(vector(f), mode="forward")(W),
    "per sample": lambda f: ad.vmap(ad.grad(f, argnums=(0, 1)), in_axes=(None, 0))(W, np.stack([X, -X])),
    "third": lambda f: slope_of_slope(f)(W),
    "batched Hessians": lambda f: ad.vmap(ad.hessian(f))(np.stack([W, V])),
    "slope of rows": lambda f: ad.grad(lambda w: np.sum(ad.vmap(f)(np.stack([w, 2 * w])) ** 2))(W),
    "traced": lambda f: ad.function(ad.grad(f))(W),
}


def close(found, wanted):
    ours, structure = ad.containers.flatten(found)
    theirs, other = ad.containers.flatten(wanted)
    assert structure == other
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TRANSFORMED)
def test_derivatives_are_those_of_the_function(name, kind):
    close(TRANSFORMED[name](loss(KINDS[kind])), TRANSFORMED[name](PLAIN))


def test_orders_of_graphs_and_other_backends(backend):
    graph = ad.Graph(backend=backend)
    w = graph.tensor(W)
    plain, again = PLAIN(w, graph.tensor(X)), loss(KINDS["nothing"])(w, graph.tensor(X))
    for order in (1, 2):
        (found,), (wanted,) = graph.gradient(again, [w], order), graph.gradient(plain, [w], order)
        np.testing.assert_allclose(backend.to_numpy(found), backend.to_numpy(wanted), rtol=1e-9, atol=1e-9)
    assert float(again) == float(plain)


def test_tensors_of_the_outside_keywords_and_other_results():
    outside = ad.Tensor(2.0)

    @ad.checkpoint
    def function(x, *, power, names):
        """Doc."""
        y = np.exp(x * outside) ** power
        return y, x, np.argmax(y), names, 1.5, [x > 0]

    assert (function.__name__, function.__doc__) == ("function", "Doc.")
    x = ad.Tensor([0.25, -0.5])
    y, same, largest, names, number, (positive,) = function(x, power=2, names="ab")
    assert (same.node, int(largest), names, number, positive.value.tolist()) == (x.node, 0, "ab", 1.5, [True, False])
    slope = 2 * np.exp(4 * x.value)
    found = ad.Graph().gradient(y * same, [x, outside])
    close(found, [2 * slope * x.value + np.exp(4 * x.value), np.sum(x.value**2 * slope)])
    # Without Tensors it is the function.
    assert type(ad.checkpoint(lambda x: x * 2.0)(3.0)) is float
    assert ad.checkpoint(lambda: None)() is None


def test_what_is_done_in_place_and_looked_at():
    @ad.checkpoint
    def function(x, out):
        x = np.copy(x)
        x[1:] *= x[:-1]
        if x[0] > 0:
            x = np.where(x > 0, np.sqrt(x), 0)
        out += x
        return x * out

    def value(function):
        def f(x):
            out = ad.Tensor(np.ones(3)) * x
            return np.sum(function(x, out)) + np.sum(out**2)

        return f

    x = np.array([1.5, 2.0, -0.5])
    close(ad.grad(value(function))(x), ad.grad(value(function.__wrapped__))(x))


def test_random_numbers_are_not_drawn_again():
    rng = ad.numpy.random.default_rng(3)
    used = []

    @ad.checkpoint
    def noisy(x):
        noise = rng.normal(size=x.shape)
        used.append(np.asarray(noise))
        return np.sin(x * noise) * rng.normal(x, 2.0)

    x = np.array([0.5, -1.5, 2.0])
    found = ad.grad(lambda x: np.sum(noisy(x)))(x)
    assert len(used) == 1
    other = np.random.default_rng(3)
    noise, normal = other.normal(size=3), other.normal(size=3)
    np.testing.assert_array_equal(used[0], noise)
    close(found, noise * np.cos(x * noise) * (x + 2 * normal) + np.sin(x * noise))


# --- memory ----------------------------------------------------------------------------------------------------------

LAYERS, ROWS, WIDTH = 16, 1000, 20
LAYER = ROWS * WIDTH * 8
WEIGHTS = list(RNG.normal(size=(LAYERS, WIDTH, WIDTH)) / 5)
DATA = RNG.normal(size=(ROWS, WIDTH))


def layers(h, weights):
    for w in weights:
        h = np.tanh(h @ w)
    return h


def network(segment, length):
    def value(weights, data=DATA):
        h = data
        for i in range(0, LAYERS, length):
            h = segment(h, weights[i : i + length])
        return np.sum(h**2)

    return value


def peak(call):
    """Bytes that a call holds at most, above what was there before; and what it gives."""
    call()
    ad.set_buffer_limit(0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        return tracemalloc.get_traced_memory()[1] - before, result
    finally:
        tracemalloc.stop()
        ad.set_buffer_limit(None)


def test_peak_is_that_of_blocks_and_one_block():
    whole, wanted = peak(lambda: ad.grad(network(layers, LAYERS))(WEIGHTS))
    # Each layer stores its product and its result.
    assert whole > 2 * LAYERS * LAYER
    for length in (1, 2, 4):
        found, gradients = peak(lambda n=length: ad.grad(network(ad.checkpoint(layers), n))(WEIGHTS))
        assert found < (LAYERS // length + 2 * length + 4) * LAYER
        for a, b in zip(gradients, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


def test_peak_of_nested_blocks():
    inner = ad.checkpoint(layers)
    outer = ad.checkpoint(lambda h, weights: inner(inner(h, weights[:2]), weights[2:]))
    nested, _ = peak(lambda: ad.grad(network(outer, 4))(WEIGHTS))
    flat, _ = peak(lambda: ad.grad(network(ad.checkpoint(layers), 4))(WEIGHTS))
    assert nested < flat - 2 * LAYER


def test_second_derivatives_do_not_store_the_inside_either():
    def product(segment):
        return lambda: ad.vhp(network(segment, 4))(WEIGHTS, WEIGHTS)

    whole, wanted = peak(product(layers))
    found, products = peak(product(ad.checkpoint(layers)))
    assert found < 0.6 * whole
    close(products, wanted)


def test_what_was_looked_at_before_does_not_stay():
    weights = [ad.Tensor(w) for w in WEIGHTS]
    graph = ad.Graph()

    def gradients(segment):
        def call():
            y = network(segment, 4)(weights, ad.Tensor(DATA, constant=True))
            assert float(y) > 0
            return graph.gradient(y, weights)

        return call

    whole, _ = peak(gradients(layers))
    found, _ = peak(gradients(ad.checkpoint(layers)))
    assert found < 0.6 * whole


def test_what_is_stored_is_not_computed_again(monkeypatch):
    # What is interpreted at first has no source.
    monkeypatch.setattr(execute, "LONGEST_SIMPLIFIED", 1_000)
    graph, weights = ad.Graph(), [ad.Tensor(w) for w in WEIGHTS]

    def counts(**keywords):
        y = network(ad.checkpoint(layers, **keywords), 4)(weights)
        source = graph.source(y, weights)
        return source.count("dot("), source.count("tanh(")

    plain = counts(policy="everything_saveable")
    assert counts() == (plain[0] + LAYERS, plain[1] + LAYERS)
    assert counts(policy="dots_saveable") == (plain[0], plain[1] + LAYERS)
    # Of each block one fits, of those that take longest to compute.
    assert counts(memory_limit=LAYER) == (plain[0] + LAYERS, plain[1] + LAYERS - LAYERS // 4)
    assert counts(memory_limit=8 * LAYER) == plain


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_graph_keeps_to_its_limit():
    weights, data = [ad.Tensor(w) for w in WEIGHTS], ad.Tensor(DATA, constant=True)

    def gradients(graph):
        return lambda: graph.gradient(network(layers, LAYERS)(weights, data), weights)

    free = ad.Graph()
    whole, wanted = peak(gradients(free))
    planned = free.explain(network(layers, LAYERS)(weights, data), weights).peak_bytes
    # (Blocks of ufuncs and Python's own objects are beside what is planned.)
    beside = 1 << 17
    assert whole <= planned + beside
    for part in (2, 4):
        graph = ad.Graph(memory_limit=planned // part)
        found, results = peak(gradients(graph))
        explanation = graph.explain(network(layers, LAYERS)(weights, data), weights)
        assert explanation.peak_bytes <= planned // part
        assert found <= explanation.peak_bytes + beside
        assert any("tanh float64[1000, 20]" in text for text in explanation.recomputed)
        assert explanation.stored
        assert f"holds {explanation.peak_bytes} bytes" in str(explanation)
        for a, b in zip(results, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_limit_that_is_too_low():
    weights = [ad.Tensor(w) for w in WEIGHTS]
    y = network(layers, LAYERS)(weights)
    message = r"memory_limit=300000: the least that does is (\d+) bytes, .* matmul float64\[1000, 20\] of 160000 bytes"
    with pytest.raises(errors.OutOfMemoryError, match=message) as caught:
        ad.Graph(memory_limit=300_000).gradient(y, weights)
    least = int(re.search(r"least that does is (\d+)", str(caught.value))[1])
    wanted = ad.Graph().gradient(y, weights)
    for a, b in zip(ad.Graph(memory_limit=least).gradient(y, weights), wanted, strict=True):
        np.testing.assert_array_equal(a, b)


LIMITED = {
    "grad": lambda f, limit: ad.grad(f, memory_limit=limit)(WEIGHTS),
    "value": lambda f, limit: ad.value_and_grad(f, memory_limit=limit)(WEIGHTS)[1],
    "function": lambda f, limit: ad.function(ad.grad(f), memory_limit=limit)(WEIGHTS),
}


@pytest.mark.parametrize("name", LIMITED)
def test_transformations_with_a_limit(name):
    f = network(layers, LAYERS)
    transformed = LIMITED[name]
    whole, wanted = peak(lambda: transformed(f, None))
    found, results = peak(lambda: transformed(f, whole // 3))
    assert found < whole / 2
    for a, b in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_derivative_of_a_graph_keeps_to_the_limit():
    free, graph = ad.Graph(), ad.Graph(memory_limit=100_000)
    x = ad.Tensor(np.linspace(0.1, 0.9, 1000))

    def f(x):
        for _ in range(6):
            x = np.sin(x) * np.concatenate([x[1:], x[:1]])
        return np.sum(np.exp(x))

    wanted = [g.gradient(f(x), [x], 2)[0] for g in (free, graph)]
    np.testing.assert_array_equal(*wanted)
    np.testing.assert_array_equal(*[g.hvp(f(x), [x], [np.ones(1000)])[0] for g in (free, graph)])
    np.testing.assert_array_equal(*[g.compile(f(x), [x], [x])(x.value)[1][0] for g in (free, graph)])
    with pytest.raises(errors.OutOfMemoryError):
        graph.hessian(f(x), [x])


def test_limits_on_other_backends(backend):
    graph = ad.Graph(backend=backend, memory_limit=LAYER * 12)
    weights = [graph.tensor(w) for w in WEIGHTS]
    with graph:
        y = network(layers, LAYERS)(weights, graph.tensor(DATA))
    found = graph.gradient(y, weights)
    for a, b in zip(found, ad.grad(network(layers, LAYERS))(WEIGHTS), strict=True):
        np.testing.assert_allclose(backend.to_numpy(a), b, rtol=1e-9, atol=1e-9)
    assert graph.explain(y, weights).recomputed


# --- wrong calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ad.checkpoint(3), "checkpoint: 3 is not callable"),
        (lambda: ad.checkpoint(np.sin, policy="all"), "policy='all' must be one of 'nothing_saveable'"),
        (lambda: ad.Graph(memory_limit=0), "Graph: memory_limit"),
        (lambda: ad.grad(np.sin, memory_limit=2.5), "grad: memory_limit"),
        (lambda: ad.function(np.sin, memory_limit=-1), "function: memory_limit"),
        (lambda: ad.checkpoint(np.sin, memory_limit=0), "checkpoint: memory_limit"),
        (lambda: ad.checkpoint(np.sin, memory_limit=8, policy="dots_saveable"), "give one of them"),
    ],
)
def test_errors(call, message):
    with pytest.raises(errors.ArgumentError, match=message):
        call()
