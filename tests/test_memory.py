"""Memory: graphs die by reference counting alone, plans hold no data, training grows nothing, depth is no limit."""

import contextlib
import copy
import gc
import pickle
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest

import autodiff as ad
from autodiff.nodes import Node, history

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[0.7, 4.1, -1.3], [1.6, -0.35, 3.2]])


@pytest.fixture(autouse=True, scope="module")
def _others_are_not_collected() -> Iterator[None]:
    """What was there before is left alone: tens of thousands of collected tests are walked in each collection else."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """The cyclic collector off, with nothing left for it from before."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def track(node: Node) -> list[weakref.ref[Any]]:
    """Weak references to a graph's nodes and to their arrays."""
    nodes = [n for n in history(node) if n.aval.literal is None]
    arrays = [n.value for n in nodes if isinstance(n.value, np.ndarray)]
    return [weakref.ref(thing) for thing in (*nodes, *arrays)]


def alive(references: list[weakref.ref[Any]]) -> list[Any]:
    return [ref() for ref in references if ref() is not None]


# --- graphs ----------------------------------------------------------------------------------------------------------


def _look(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    y.value


def _gradient(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    graph.gradient(y, [x])


def _twice(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    graph.gradient(y, [x])
    graph.gradient(y, [x])
    graph.gradient(y, [x], 2)


def _value_and_gradient(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    graph.value_and_gradient(y, [x, y])


def _print(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    repr(y), str(y), repr(y.node), repr(x.node)


def _penalty(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    (d,) = graph.gradient(y, [x], as_tensors=True)
    graph.gradient(np.sum(d**2) + np.sum(y), [x])


def _compile(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    run = graph.compile(y, [x], [x])
    run(A)


def _source(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    graph.source(y, [x])


def _pickle(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    pickle.loads(pickle.dumps(y))
    copy.deepcopy(y)


def _in_place(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    y += 1
    y[0] = 0.0
    graph.gradient(y, [x])
    y.assign(np.zeros((2, 3)))


def _function(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    f = ad.function(lambda t: np.sum(np.sin(t) * y))
    f(A)
    f(A)


def _unconnected(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.IndependentWarning)
        graph.gradient(y, [ad.Tensor(B)])


def _error(graph: ad.Graph, x: ad.Tensor, y: ad.Tensor) -> None:
    for bad in (
        lambda: graph.gradient(y > 0, [x]),
        lambda: y + np.ones(7),
        lambda: y[9],
        lambda: graph.gradient(A, [x]),
    ):
        with contextlib.suppress(ad.AutodiffError):
            bad()


USES = [_look, _gradient, _twice, _value_and_gradient, _print, _penalty, _compile, _source, _pickle, _in_place,
        _function, _unconnected, _error]  # fmt: skip
GRAPHS: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "elementwise": lambda x: np.sin(x) * B + x * 2.5,
    "product": lambda x: np.tanh(x @ B.T) @ B,
    "indices": lambda x: x[[0, 1]] * x[0] + x[x > -9].reshape(2, 3),
}


def _run(graph: ad.Graph, use: Callable[..., None], name: str) -> list[weakref.ref[Any]]:
    x = ad.Tensor(A)
    y = GRAPHS[name](x)
    references = track(y.node)
    use(graph, x, y)
    references += track(y.node)
    return references


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__.strip("_"))
def test_graph_dies_by_reference_counting(use, name):
    graph = ad.Graph()
    with without_collector():
        for _ in range(3):  # compiling first, then finding the plan
            references = _run(graph, use, name)
            assert len(references) > 5
            assert alive(references) == []


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__.strip("_"))
def test_warm_use_leaves_no_garbage_cycles(use, name):
    graph = ad.Graph()
    if use in (_compile, _function, _error):
        # These make plans, or tracebacks, each time; what they leave must not be nodes or arrays.
        allowed: tuple[type, ...] = (Node, np.ndarray, ad.Tensor)
    else:
        allowed = (object,)
    with without_collector():
        for _ in range(2):
            _run(graph, use, name)
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            _run(graph, use, name)
            gc.collect()
            garbage = [thing for thing in gc.garbage if isinstance(thing, allowed)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
    assert garbage == []


FUNCTIONAL: dict[str, Callable[[np.ndarray], Any]] = {
    "grad": lambda a: ad.grad(lambda x: np.sum(np.sin(x) * B))(a),
    "value_and_grad": lambda a: ad.value_and_grad(lambda x: np.sum(np.sin(x) * B))(a),
    "grad of grad": lambda a: ad.grad(lambda x: np.sum(ad.grad(lambda t: np.sum(t**3))(x) ** 2))(a),
    "containers": lambda a: ad.grad(lambda p: np.sum(p["a"] * p["b"][0]))({"a": a, "b": [a * 2]}),
    "number": lambda a: ad.grad(ad.grad(lambda x: x**3 * np.sin(x)))(float(a[0, 0])),
}


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_functional_form_leaves_nothing(name):
    references: list[weakref.ref[Any]] = []
    nodes: list[weakref.ref[Any]] = []
    real = ad.nodes.Operation.__init__

    def recording(self, *args):
        real(self, *args)
        nodes.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch, without_collector():
        patch.setattr(ad.nodes.Operation, "__init__", recording)
        for _ in range(3):
            argument = A.copy()
            references.append(weakref.ref(argument))
            FUNCTIONAL[name](argument)
            del argument
        assert len(nodes) > 5
        assert alive(references) == []
        assert alive(nodes) == []
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            FUNCTIONAL[name](A)
            gc.collect()
            garbage = [thing for thing in gc.garbage if isinstance(thing, (Node, np.ndarray, ad.Tensor))]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
    assert garbage == []


# --- plans hold no data ----------------------------------------------------------------------------------------------


def test_cached_plans_hold_no_user_data():
    graph = ad.Graph()
    with without_collector():
        x, c = ad.Tensor(A), ad.Tensor(B, constant=True)
        operand, index, mask = B + 1, np.array([1, 0]), A > 0
        y = np.sum(np.where(mask, x * operand, c)[index] * 3.7)
        gradients = [*graph.gradient(y, [x]), *graph.gradient(y, [x], 2)]
        (d,) = graph.gradient(y, [x], as_tensors=True)
        d.value
        references = track(d.node) + track(y.node) + [weakref.ref(a) for a in (operand, index, mask, *gradients)]
        del x, c, operand, index, mask, y, gradients, d
        assert alive(references) == []
        assert graph.cache_info().entries == 3


def test_traces_of_functions_hold_no_arguments_and_no_old_values():
    w = ad.Tensor(A)
    f = ad.function(lambda x: np.sum(np.sin(w) * x))
    with without_collector():
        argument = B.copy()
        result = f(argument)
        references = [weakref.ref(argument), weakref.ref(result), weakref.ref(w.value)]
        del argument, result
        w.assign(B)
        f(A)
        assert alive(references) == []


def test_compiled_gradient_holds_what_it_keeps_and_nothing_else():
    graph = ad.Graph()
    with without_collector():
        x, w = ad.Tensor(A), ad.Tensor(B)
        y = np.sum(np.sin(x) * w)
        run = graph.compile(y, [x], [x])
        inputs, kept = weakref.ref(x.value), weakref.ref(w.value)
        nodes = track(y.node)
        del x, w, y
        assert inputs() is None
        assert kept() is not None
        assert not any(isinstance(thing, Node) for thing in alive(nodes))
        del run
        assert kept() is None


def test_dropped_plans_die_by_reference_counting():
    graph = ad.Graph(backend="numpy", cache_size=1)
    with without_collector():
        x = ad.Tensor(A)
        graph.gradient(np.sum(np.sin(x) ** 3), [x])
        (entry,) = graph._gradients.cache.values()
        plan = weakref.ref(entry.plan)
        code = weakref.ref(entry.plan._run)
        del entry
        graph.gradient(np.sum(np.cos(x) ** 3), [x])
        assert plan() is None
        assert code() is None


def test_graph_dies_with_its_cache():
    with without_collector():
        graph = ad.Graph()
        x = ad.Tensor(A)
        graph.gradient(x**2, [x])
        reference = weakref.ref(graph)
        del graph
        assert reference() is None


def test_values_die_when_their_version_is_gone():
    with without_collector():
        x = ad.Tensor(A)
        y = x * 2
        old = weakref.ref(x.value)
        x.assign(B)
        assert old() is not None  # y was recorded with it
        y.value
        del y
        assert old() is None


# --- training --------------------------------------------------------------------------------------------------------

GROWTH = 2 << 20


def grown(step: Callable[[], Any], count: int, warm: int) -> int:
    """Bytes by which ``count`` steps grow the process, the collector off."""
    process = psutil.Process()
    with without_collector():
        for _ in range(warm):
            step()
        before = process.memory_info().rss
        for _ in range(count):
            step()
        return int(process.memory_info().rss - before)


def test_ten_thousand_training_steps_grow_nothing():
    graph = ad.Graph()
    rng = np.random.default_rng(0)
    inputs = ad.Tensor([[[0], [0]], [[0], [1]], [[1], [0]], [[1], [1]]], dtype="float64")
    targets = ad.Tensor([[0], [1], [1], [0]], dtype="float64")
    shapes = [(160, 2), (160, 1), (1, 160), (1, 1)]
    parameters = [ad.Tensor(rng.random(shape)) for shape in shapes]

    def step():
        w1, b1, w2, b2 = parameters
        for x, y in zip(inputs, targets):
            error = (y - (np.matmul(w2, np.tanh(np.matmul(w1, x) + b1)) + b2)) ** 2
            f"{error}"
            for parameter, gradient in zip(parameters, graph.gradient(error, parameters)):
                parameter.assign(parameter._i - 0.01 * gradient)

    assert grown(step, 2_500, 500) < GROWTH
    assert graph.cache_info().entries == 1


def _descend(w: ad.Tensor, graph: ad.Graph) -> None:
    loss = np.sum(w**2)
    w.assign_sub(1e-3 * graph.gradient(loss, [w])[0])
    v = w * 1.0
    v += 1
    v[0] = 2.0
    float(np.sum(v))


def _penalised(graph: ad.Graph, i: int) -> None:
    x = ad.Tensor(np.full(1000, float(i)))
    (d,) = graph.gradient(np.sum(x**3), [x], as_tensors=True)
    graph.gradient(np.sum(d**2), [x])


def _fails() -> None:
    with contextlib.suppress(ad.errors.ShapeError):
        ad.grad(lambda x: np.sum(x @ np.ones(7)))(np.ones(1000))


def _shaped(graph: ad.Graph, i: int) -> None:
    x = ad.Tensor(np.ones(1 + i % 16))
    graph.gradient(np.sum(np.sin(x)), [x])


VARIABLE = ad.Tensor(np.ones(1000))
GRAPH, SMALL = ad.Graph(), ad.Graph(cache_size=4)
FUNCTION = ad.function(lambda x, r: np.sum(x * r))
LOOPS: dict[str, Callable[[int], Any]] = {
    "in place": lambda i: _descend(VARIABLE, GRAPH),
    "grad": lambda i: ad.grad(lambda x: np.sum(x**2 * (1 + i * 1e-3)))(np.ones(1000)),
    "function": lambda i: FUNCTION(np.full(1000, float(i)), i * 0.1),
    "fresh function": lambda i: ad.function(lambda x: np.sum(x))(np.ones(10)),
    "as tensors": lambda i: _penalised(GRAPH, i),
    "errors": lambda i: _fails(),
    "new shapes": lambda i: _shaped(SMALL, i),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_grow_nothing(name):
    step = LOOPS[name]
    steps = iter(range(10**9))
    assert grown(lambda: step(next(steps)), 600, 300) < GROWTH


# --- depth -----------------------------------------------------------------------------------------------------------

DEPTH = 200_000


@pytest.fixture
def _shallow_stack() -> Iterator[None]:
    """A recursion limit that nothing which recurses over a graph of this depth gets through."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        depth += 1
        frame = frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 120)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("_shallow_stack")
def test_a_chain_of_two_hundred_thousand_operations():
    with without_collector():
        x = ad.Tensor(0.5)
        y, expected, slope = x, 0.5, 1.0
        for i in range(DEPTH // 2):
            y = np.sin(y) if i % 2 else y * 1.3
            slope *= np.cos(expected) if i % 2 else 1.3
            expected = np.sin(expected) if i % 2 else expected * 1.3
        for _ in range(DEPTH // 2):
            y = y + x
        expected += DEPTH // 2 * 0.5
        references = [weakref.ref(node) for node in history(y.node)[:: DEPTH // 10]]
        assert float(y) == pytest.approx(expected, rel=1e-9)
        value, (gradient,) = ad.Graph().value_and_gradient(y, [x])
        assert value == pytest.approx(expected, rel=1e-9)
        assert gradient == pytest.approx(slope + DEPTH // 2, rel=1e-9)
        assert len(repr(y.node).splitlines()) < 50
        assert repr(y) == f"Tensor({np.array2string(y.value)})"
        again = pickle.loads(pickle.dumps(y))
        assert float(again) == float(y)
        more = weakref.ref(again.node)
        del again
        assert more() is None
        middle = references[5]()
        assert middle is not None
        del middle
        del y
        assert alive(references[1:]) == []
        assert x.node.value == 0.5


@pytest.mark.usefixtures("_shallow_stack")
@pytest.mark.parametrize("kind", ["doubling", "wide", "writes", "second order", "as tensors", "function"])
def test_deep_graphs_of_other_forms(kind):
    depth = 5_000
    graph = ad.Graph()
    with without_collector():
        x = ad.Tensor(np.linspace(0.1, 0.3, 3))
        if kind == "wide":
            y = np.sum(np.stack([x * float(i) for i in range(depth)]), axis=0)
            (result,) = graph.gradient(y, [x])
            np.testing.assert_allclose(result, np.full(3, depth * (depth - 1) / 2))
        elif kind == "writes":
            y = x * 1.0
            for i in range(depth):
                y[i % 3] = y[i % 3] + 1.0
            (result,) = graph.gradient(y, [x])
            np.testing.assert_array_equal(result, np.ones(3))
        elif kind == "function":

            def body(t):
                for _ in range(depth):
                    t = np.sin(t)
                return np.sum(t)

            y = ad.Tensor(ad.function(body)(x.value))
            assert 0 < float(y) < 1
            result = ad.grad(body)(x.value)
            assert np.all(result > 0)
        else:
            y = x
            for _ in range(50 if kind == "doubling" else depth):
                y = y + y if kind == "doubling" else y * 0.9999 + x * y * 1e-4
            if kind == "doubling":
                np.testing.assert_array_equal(graph.gradient(y, [x])[0], np.full(3, 2.0**50))
            elif kind == "second order":
                (result,) = graph.gradient(y, [x], 2)
                assert np.all(np.isfinite(result))
                assert np.all(result > 0)
            else:
                (d,) = graph.gradient(y, [x], as_tensors=True)
                np.testing.assert_allclose(d.value, graph.gradient(y, [x])[0], rtol=1e-9)
        references = [weakref.ref(n) for n in history(y.node)[1:] if isinstance(n, ad.Operation)]
        d = None
        del y, d
        assert alive(references) == []
