"""Whole plans of the CuPy backend where there is no GPU: NumPy for CuPy's arrays, kernels compiled as C++."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import errors, registry
from autodiff.plan.execute import compile_nodes
from autodiff_backends.cupy.backend import CupyBackend
from autodiff_backends.cupy.plan import CallPlan, CupyPlan, KernelPlan
from autodiff_backends.loops.regions import Composed
from autodiff_backends.numpy.reference import Interpreted

from .cuda_emulation import NO_COMPILER
from .cupy_standin import Array, Emulated, Gpu, Library

pytestmark = pytest.mark.skipif(NO_COMPILER is not None, reason=str(NO_COMPILER))


@pytest.fixture
def emulated(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    found = Emulated()
    ad.register_backend(found.name, found)
    return found


# --- models: a loss and what it is differentiated by -----------------------------------------------------------------


def normal(rng, *shape, dtype=np.float64, scale=1.0):
    return ad.Tensor((rng.normal(size=shape) * scale).astype(dtype))


def xor(rng):
    x, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])
    weights = [normal(rng, 2, 8), normal(rng, 8), normal(rng, 8, 1), normal(rng, 1)]
    hidden = np.tanh(x @ weights[0] + weights[1])
    out = 1 / (1 + np.exp(-(hidden @ weights[2] + weights[3])))
    return np.sum((out - y) ** 2), weights


def network(rng):
    x = rng.normal(size=(96, 64)).astype(np.float32)
    y = rng.normal(size=(96, 1)).astype(np.float32)
    sizes = [(64, 64), (64,), (64, 48), (48,), (48, 1), (1,)]
    weights = [normal(rng, *size, dtype=np.float32, scale=0.1) for size in sizes]
    hidden = np.tanh(x @ weights[0] + weights[1])
    hidden = np.maximum(hidden @ weights[2] + weights[3], 0)
    return np.mean((hidden @ weights[4] + weights[5] - y) ** 2), weights


def classes(rng):
    x, labels = rng.normal(size=(30, 7)), rng.integers(0, 5, 30)
    w, b = normal(rng, 7, 5), normal(rng, 5)
    scores = x @ w + b
    largest = np.max(scores, axis=1, keepdims=True)
    normalizer = np.log(np.sum(np.exp(scores - largest), axis=1)) + largest[:, 0]
    return np.mean(normalizer - scores[np.arange(30), labels]) + 0.01 * np.sum(w**2), [w, b]


def mixture(rng):
    x = rng.normal(size=(40, 3))
    weights, means, scales = normal(rng, 4), normal(rng, 4, 3), normal(rng, 4, 3, scale=0.3)
    squares = np.sum(((x[:, None, :] - means) * np.exp(scales)) ** 2, axis=2)
    terms = weights + np.sum(scales, axis=1) - 0.5 * squares
    largest = np.max(terms, axis=1)
    total = np.sum(np.log(np.sum(np.exp(terms - largest[:, None]), axis=1)) + largest)
    return total - 40 * np.log(np.sum(np.exp(weights))), [weights, means, scales]


def convolution(rng):
    images = rng.normal(size=(3, 8, 8))
    kernel, bias = normal(rng, 9, 4), normal(rng, 4)
    rows = np.arange(6)[:, None, None, None] + np.arange(3)[None, None, :, None]
    columns = np.arange(6)[None, :, None, None] + np.arange(3)[None, None, None, :]
    x = ad.Tensor(images)
    patches = x[:, rows, columns].reshape(3, 36, 9)
    return np.sum(np.tanh(patches @ kernel + bias) ** 2), [kernel, bias, x]


def signal(rng):
    w = ad.Tensor(rng.normal(size=6) + 1j * rng.normal(size=6))
    t = rng.normal(size=(5, 1))
    waves = np.exp(1j * t * w) * np.conj(w) / (2 + w * w)
    return np.sum(np.abs(waves) ** 2) + np.sum(np.real(waves) * np.imag(waves.sum(axis=0))), [w]


def recurrence(rng):
    w, h = normal(rng, 4, 4, scale=0.5), normal(rng, 3, 4)
    x = rng.normal(size=(6, 3, 4))
    for t in range(6):
        h = np.tanh(h @ w + x[t])
    return np.sum(h * h), [w]


def written(rng):
    x, v = normal(rng, 5, 4), normal(rng, 6, 4)
    y = x * 2.0
    y[np.array([0, 3, 3, 0, 1, 3])] = v
    y[1:3] += v[:2] * x[0]
    running = np.cumsum(y, axis=0)[np.array([4, 4, 0])] * np.cumprod(x[:3] + 2.0, axis=1)
    return np.sum(running**2) + np.sum(x[np.argmax(x, axis=0), np.arange(4)]), [x, v]


def numbers(rng):
    x = normal(rng, 3, 4)
    scale = ad.Tensor(0.5)
    return np.sum(np.sin(x * scale) * np.float32(0.25)) / np.sum(x**2) + np.std(x), [x, scale]


MODELS = {f.__name__: f for f in (xor, network, classes, mixture, convolution, signal, recurrence, written, numbers)}
SECOND = ("xor", "mixture", "convolution", "numbers")


@pytest.mark.parametrize(("name", "order"), [*[(n, 1) for n in MODELS], *[(n, 2) for n in SECOND]])
def test_models(emulated, name, order):
    loss, variables = MODELS[name](np.random.default_rng(3))
    derivatives = ad.Graph().gradient(loss, variables, order, as_tensors=True)
    leaves, outputs = [v.node for v in variables], [t.node for t in (loss, *derivatives)]
    values = [v.value for v in variables]
    wanted = compile_nodes(leaves, outputs, ad.get_backend("numpy"), derivatives=True)(*values)
    plan = compile_nodes(leaves, outputs, emulated, derivatives=True)
    for found in (plan(*values), plan(*values)):
        for one, other in zip(found, wanted, strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype
            rtol = 2e-4 if one.dtype == np.float32 else 1e-10
            np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * max(1e-2, np.abs(other).max(initial=0)))


def test_graphs_run_on_it(emulated):
    """Define-by-run: each step records anew, and finds the plan of the first."""
    found = []
    for name in ("numpy", "emulated"):
        graph = ad.Graph(backend=name)
        loss, weights = xor(np.random.default_rng(0))
        graph.add_variables(*weights)
        for _ in range(3):
            x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
            hidden = np.tanh(x @ weights[0] + weights[1])
            loss = np.sum((hidden @ weights[2] + weights[3] - x[:, :1]) ** 2)
            for w, g in zip(weights, graph.gradient(loss, weights)):
                w.assign(w.value - 0.1 * g)
        found.append([w.value for w in weights])
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, rtol=1e-10)
    assert len(emulated.plans) == 1


@pytest.fixture
def cupy(monkeypatch):
    """The backend of CuPy itself, with a stand-in for the library, on two emulated GPUs."""
    found = CupyBackend(Library(), 0, 2)
    for number in range(2):
        found.at(number)._on = Gpu(found.namespace, number)
    monkeypatch.setitem(registry._loaded, "cupy", found)
    monkeypatch.setattr(registry, "_owners", WeakKeyDictionary())
    return found


@pytest.mark.parametrize("device", [0, 1])
def test_training_on_a_device(cupy, device):
    """Variables on a GPU stay there; data of NumPy are brought there; gradients and values are the library's."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(20, 3)), rng.integers(0, 4, 20)
    start = rng.normal(size=(3, 4))

    def step(graph, w):
        scores = x @ w
        largest = np.max(scores, axis=1, keepdims=True)
        loss = np.mean(np.log(np.sum(np.exp(scores - largest), axis=1)) + largest[:, 0] - scores[np.arange(20), labels])
        (gradient,) = graph.gradient(loss, [w])
        w.assign(w.value - 0.5 * gradient)
        return float(loss)

    on_host, on_device = ad.Graph(), ad.Graph(backend="cupy", device=device)
    v, w = ad.Tensor(start), ad.Tensor(start)
    on_device.add_variables(w)
    for _ in range(3):
        assert step(on_device, w) == pytest.approx(step(on_host, v), rel=1e-10)
    assert isinstance(w.value, Array)
    assert w.value.device.id == device
    assert on_device.cache_info().misses == 1
    np.testing.assert_allclose(np.asarray(w), v.value, rtol=1e-10)


def test_tensors_of_two_gpus_do_not_meet(cupy):
    x, y = (ad.Graph(backend="cupy", device=i).tensor([1.0, 2.0]) for i in range(2))
    with pytest.raises(errors.BackendError, match=r"cupy \(0\).*cupy \(1\)"):
        x * y
    np.testing.assert_array_equal(np.asarray(x * y.to("cupy", 0)), [1.0, 4.0])
    assert (y.to("cupy", 0)).value.device.id == 0


def test_a_number_is_picked_from_as_it_is(emulated):
    """A kernel that gathers from a Python number, which is no array."""

    def powers(x):
        y = x * 1.0
        np.power.at(y, np.array([0, 2, 0, 0]), 1.5)
        return np.sum(y)

    results = []
    for graph in (ad.Graph(backend=emulated), ad.Graph(backend="numpy")):
        x = graph.tensor(np.array([1.5, 2.0, 3.0]))
        value, (gradient,) = graph.value_and_gradient(powers(x), [x])
        results.append(np.array([float(value), *gradient]))
    np.testing.assert_allclose(*results, rtol=1e-14)


def test_few_launches(emulated):
    """A step of a network is its products and what is between them."""
    loss, weights = network(np.random.default_rng(0))
    derivatives = ad.Graph().gradient(loss, weights, as_tensors=True)
    compile_nodes([w.node for w in weights], [t.node for t in (loss, *derivatives)], emulated)
    (plan,) = emulated.plans
    parts = [part for part, _, _ in plan._plan._plan.steps]
    assert {type(part) for part in parts} == {KernelPlan, CallPlan}
    assert plan.n_launches == sum(part.n_launches for part in parts)
    # Three products of matrices forwards, five backwards; a kernel or two after each.
    assert plan.n_launches <= 20
    emulated.on.launched.clear()
    plan(*[w.value for w in weights])
    assert len(emulated.on.launched) == sum(part.n_launches for part in parts if isinstance(part, KernelPlan))
    assert "__global__" in plan.source
    assert "matmul(" in plan.source


# --- plans -----------------------------------------------------------------------------------------------------------


def compiled(program):
    return CupyPlan(program, Gpu(), "test")


def test_outputs_are_arrays_of_their_own(as_program):
    x = ad.Tensor(np.linspace(0.1, 1.2, 12).reshape(3, 4))
    running = np.cumsum(np.tanh(x * 2.0)[:, ::-1], axis=1)
    fixed = ad.Tensor(np.array([3.0, 4.0]), constant=True)
    outputs = [running, running.T, running, x, x[1], x.T, fixed, np.sum(running), x * 2.0]
    program = as_program([x], outputs)
    for chosen in (outputs, outputs[:3], [x, x.T, fixed], [running.T], [x[1], x * 2.0]):
        program = as_program([x], chosen)
        plan = compiled(program)
        first, second = plan(x.value), plan(x.value)
        for one, wanted in zip(second, Interpreted(program)(x.value), strict=True):
            assert type(one) is np.ndarray
            assert one.flags.c_contiguous
            np.testing.assert_allclose(one, wanted, rtol=1e-12)
        arrays = [*first, *second, x.value, *[c for c in program.constants.values() if isinstance(c, np.ndarray)]]
        for i, one in enumerate(arrays):
            assert not any(np.may_share_memory(one, other) for other in arrays[:i])


def test_inputs_may_lie_in_memory_in_any_way(as_program):
    x = ad.Tensor(np.linspace(0.1, 1.2, 12).reshape(3, 4))
    plan = compiled(as_program([x], [np.sin(x) * 2.0, np.cumsum(x, axis=1)]))
    wanted = plan(x.value)
    odd = np.empty(13)[1:].reshape(3, 4)
    odd[...] = x.value
    for value in (np.asfortranarray(x.value), x.value[::-1].copy()[::-1], odd):
        for one, other in zip(plan(value), wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_numbers_of_python(as_program, variable):
    x, t, n = variable(np.arange(6, dtype=np.float32)), variable(0.1), variable(3)
    program = as_program([x, t, n], [x * t * t, x * n, t * n, np.float32(1) * t])
    plan = compiled(program)
    found = plan(x.value, 0.1, 3)
    for one, wanted in zip(found, Interpreted(program)(x.value, 0.1, 3), strict=True):
        assert type(one) is type(wanted)
        assert np.asarray(one).dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(one, wanted, rtol=1e-6)
    assert "host" in plan.source
    assert plan.n_operations >= 4


def test_a_number_that_an_array_decides(as_program, variable):
    b, t = variable(np.array(True)), variable(0.5)
    program = as_program([b, t], [ad.ops.where(b, t, t * 2.0)])
    plan = compiled(program)
    assert plan(np.array(True), 0.5) == (0.5,)
    assert plan(np.array(False), 0.5) == (1.0,)


def test_indices_that_are_given_with_each_call(as_program):
    """A basic index that is no part of the structure is a call of the library."""
    x = ad.Tensor(np.arange(12.0).reshape(3, 4))
    y = x * 2.0
    y[1] = x[0] * 3.0
    nodes = [n for n in _ancestors(y.node) if n.aval.spec is not None]
    program = as_program([x.node, *nodes], [y.node])
    plan = compiled(program)
    np.testing.assert_array_equal(plan(x.value, *[n.value for n in nodes])[0], y.value)
    (changed,) = plan(x.value, *[(2, *n.value[1:]) for n in nodes])
    np.testing.assert_array_equal(changed[2], x.value[2] * 3.0)


def _ancestors(node):
    found, stack = [], [node]
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend(node.inputs)
    return list(dict.fromkeys(found))[::-1]


def test_counters_are_of_one_stream(as_program):
    x = ad.Tensor(np.linspace(0.0, 1.0, 300_000))
    device = Gpu()
    plan = CupyPlan(as_program([x], [np.sum(np.sin(x))]), device, "test")
    for handle in (0, 1, 0):
        device.handle = handle
        np.testing.assert_allclose(plan(x.value)[0], np.sum(np.sin(x.value)), rtol=1e-12)
    counters = plan._plan._counters
    assert set(counters) == {0, 1}
    for arrays in counters.values():
        assert all(not a.any() for a in arrays)


def test_memory_that_does_not_suffice(as_program):
    x = ad.Tensor(np.ones((3, 4)))

    class Small(Gpu):
        fails, freed = 0, 0

        def empty(self, shape, dtype):
            if self.fails:
                self.fails -= 1
                raise MemoryError("Out of memory allocating 96 bytes")
            return super().empty(shape, dtype)

        def free(self):
            self.freed += 1

    device = Small()
    plan = CupyPlan(as_program([x], [np.sin(x)]), device, "cupy (0)")
    device.fails = 1
    np.testing.assert_array_equal(plan(x.value)[0], np.sin(1.0))
    device.fails = 2
    with pytest.raises(errors.OutOfMemoryError, match=r"cupy \(0\) computes float64\[3, 4\].*allocating 96 bytes"):
        plan(x.value)
    np.testing.assert_array_equal(plan(x.value)[0], np.sin(1.0))
    plan = CupyPlan(as_program([x], [np.sin(x) * float(i) for i in range(2, 8)]), device, "cupy (0)")
    device.fails = 2
    with pytest.raises(errors.OutOfMemoryError, match=r"float64\[3, 4\] and 2 more, for which"):
        plan(x.value)


def test_arrays_without_elements(as_program):
    x = ad.Tensor(np.linspace(0.1, 1.2, 12).reshape(3, 4))
    empty = np.sin(x)[:0] * 2.0
    outputs = [
        x[:, :0],
        x[3:].T,
        empty,
        np.sum(empty, axis=0),
        np.sum(empty),
        empty.T @ x[:0],
        np.concatenate([empty, x]),
    ]
    for chosen in ([outputs[0]], [outputs[2]], outputs[:3], outputs):
        program = as_program([x], chosen)
        for one, wanted in zip(compiled(program)(x.value), Interpreted(program)(x.value), strict=True):
            assert one.shape == wanted.shape
            assert one.dtype == wanted.dtype
            np.testing.assert_allclose(one, wanted, rtol=1e-12)


def test_a_plan_is_made_of_regions(as_program):
    x = ad.Tensor(np.ones((3, 4)))
    assert isinstance(compiled(as_program([x], [np.sin(x)]))._plan, KernelPlan)
    assert isinstance(compiled(as_program([x], [np.cumsum(x, axis=0)]))._plan, CallPlan)
    assert isinstance(compiled(as_program([x], [np.sin(np.cumsum(x, axis=0))]))._plan, Composed)
    assert compiled(as_program([x], [x])).n_launches == 0


@settings(derandomize=True, deadline=None, database=None, max_examples=15)
@given(st.lists(st.tuples(*[st.integers(0, 63)] * 3, st.integers(0, 3)), min_size=2, max_size=12))
def test_random_programs(as_program, random_graph, instructions):
    leaves, outputs = random_graph(instructions, True)
    program = as_program(leaves, outputs)
    values = [x.value for x in leaves]
    for one, wanted in zip(compiled(program)(*values), Interpreted(program)(*values), strict=True):
        assert one.dtype == wanted.dtype
        rtol = 1e-5 if wanted.dtype in (np.float32, np.complex64) else 1e-10
        np.testing.assert_allclose(one, wanted, rtol=rtol, atol=rtol)
