"""Loops whose history grows are told so, once, at their line; loops that are right are not."""

import gc
import linecache
import warnings
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff import growth

X = np.linspace(0.1, 1.0, 12).reshape(4, 3)
Y = np.array([1.0, -1.0, 0.5, 2.0])
W = np.array([0.3, -0.2, 0.1])


def loss(w):
    return np.mean((np.tanh(X @ w) - Y) ** 2)


def trained(update, steps=growth.STEPS + 4, graph=None, **options):
    graph = ad.Graph() if graph is None else graph
    w = ad.Tensor(W)
    for _ in range(steps):
        (g,) = graph.gradient(loss(w), [w], **options)
        w = update(w, g)
    return w, graph


def subtracted(w, g):
    w -= 0.1 * g
    return w


UPDATES = {
    "w - g": lambda w, g: w - 0.1 * g,
    "w -= g": subtracted,
    "decay": lambda w, g: 0.99 * w - 0.1 * g / np.sqrt(1e-8 + np.sum(g**2)),
    "clip": lambda w, g: np.clip(w - 0.1 * g, -1, 1),
    "named": lambda w, g: np.subtract(w, np.multiply(0.1, g)),
}


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("as_tensors", [False, True])
def test_updates_by_operations_are_told(name, as_tensors):
    steps = growth.RECORDED_STEPS if as_tensors else growth.STEPS
    with pytest.warns(ad.GrowthWarning, match=r"variable 0 .*float64\[3\].*write w\.assign_sub\(rate \* g\)") as caught:
        trained(UPDATES[name], steps + 4, as_tensors=as_tensors)
    (warning,) = caught
    assert warning.filename == __file__
    assert "graph.gradient(loss(w)" in linecache.getline(__file__, warning.lineno)


def test_values_and_gradients_are_told_too():
    graph = ad.Graph()

    def train():
        w, b = ad.Tensor(W), ad.Tensor(0.5)
        for _ in range(growth.STEPS + 4):
            _, (gw, gb) = graph.value_and_gradient(loss(w) + b**2, [w, b])
            b = b - 0.1 * gb
            w.assign_sub(0.1 * gw)

    with pytest.warns(ad.GrowthWarning, match="variable 1"):
        train()


def test_each_line_of_a_graph_is_told_once():
    graph = ad.Graph()
    with pytest.warns(ad.GrowthWarning) as caught:
        trained(UPDATES["w - g"], graph=graph)
    assert len(caught) == 1
    graph.clear_cache()
    trained(UPDATES["w - g"], graph=graph)


def test_it_takes_several_steps():
    trained(UPDATES["w - g"], growth.STEPS)


def test_as_an_error_it_leaves_everything_usable():
    graph = ad.Graph()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ad.GrowthWarning)
        with pytest.raises(ad.GrowthWarning):
            trained(UPDATES["w - g"], graph=graph)
        w, _ = trained(UPDATES["w - g"], graph=graph)
    other, _ = trained(lambda w, g: w.assign_sub(0.1 * g))
    np.testing.assert_allclose(w.value, other.value, rtol=1e-13)


# --- no false alarms: warnings are errors here -----------------------------------------------------------------------


def test_variables_that_are_assigned():
    _, graph = trained(lambda w, g: w.assign_sub(0.1 * g), 20)
    assert graph.cache_info().misses == 1


def test_variables_that_are_made_anew():
    trained(lambda w, g: ad.Tensor((w - 0.1 * g).value))
    trained(lambda w, g: ad.Tensor(w.value - 0.1 * g))


def test_results_that_were_looked_at_are_found_again():
    def update(w, g):
        w = w - 0.1 * g
        assert w.value.shape == (3,)
        return w

    _, graph = trained(update)
    assert graph.cache_info().misses <= 3


def test_products_that_grow():
    graph = ad.Graph()
    x = ad.Tensor(W)
    y = x
    for n in range(24):
        y = y * x
        np.testing.assert_allclose(graph.gradient(np.sum(y), [x])[0], (n + 2) * W ** (n + 1), rtol=1e-12)


def test_sequences_of_every_length():
    graph = ad.Graph()
    w = ad.Tensor(W)
    for length in range(1, 24):
        h = w
        for t in range(length):
            h = np.tanh(h * w + X[t % 4])
        graph.gradient(np.sum(h), [w])
        w.assign_sub(0.1)


def test_a_state_that_is_carried_on():
    # Truncated backpropagation without the truncation: the variable is the same, the history of the loss is not.
    graph = ad.Graph()
    w = ad.Tensor(W)
    h = w * 0
    for t in range(24):
        h = np.tanh(h + w * X[t % 4])
        graph.gradient(np.sum(h), [w])


def test_higher_orders_one_by_one():
    graph = ad.Graph()
    x = ad.Tensor(W)
    y = np.sum(np.exp(x) * x)
    for _ in range(8):
        (g,) = graph.gradient(y, [x], as_tensors=True)
        y = np.sum(g)


def test_unrolled_updates_of_an_inner_problem():
    graph = ad.Graph()
    start = ad.Tensor(W)
    for _ in range(3):
        w = start
        for _ in range(30):
            (g,) = graph.gradient(loss(w), [w], as_tensors=True)
            w = w - 0.1 * g
        (g,) = graph.gradient(loss(w), [start])
        start.assign_sub(0.1 * g)
    assert graph.cache_info().misses == 31


def test_steps_that_a_traced_function_unrolls():
    slope = ad.grad(loss)

    @ad.function
    def descended(w):
        for _ in range(growth.RECORDED_STEPS + 8):
            w = w - 0.1 * slope(w)
        return w

    descended(W)


def test_intermediate_results_of_one_expression():
    graph = ad.Graph()
    x = ad.Tensor(W)
    layers = [x]
    for _ in range(24):
        layers.append(np.tanh(layers[-1]))
    y = np.sum(layers[-1])
    for layer in layers:
        graph.gradient(y, [layer])
    for layer in reversed(layers):
        graph.gradient(y, [layer])


def test_nothing_is_kept_alive_and_tables_are_bounded(monkeypatch):
    monkeypatch.setattr(growth, "LINES", 3)
    graph = ad.Graph()
    for i in range(6):
        source = "\n" * i + "graph.gradient(np.sum(x**2), [x])"
        x = ad.Tensor(np.ones(i + 1))
        exec(compile(source, "lines", "exec"), {"graph": graph, "np": np, "x": x})
    assert len(graph._gradients._growth._lines) == 3
    ref = weakref.ref(x)
    gc.disable()
    try:
        del x
        assert ref() is None
    finally:
        gc.enable()
