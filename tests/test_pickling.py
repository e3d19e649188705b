"""What is pickled and copied: by pickle and cloudpickle, to processes that are spawned, by joblib and by dask."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import multiprocessing.reduction
import pickle
import subprocess
import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff.containers import LEAF
from autodiff.nodes import NO_SLOT
from autodiff.transforms.custom import NUMBER, OPERAND

# A user's module, whose functions have names.
MODULE = """
import io
import pickle
import types

import numpy as np

import autodiff as ad

calls = 0


def loss(w, x):
    global calls
    calls += 1
    return np.sum(np.tanh(w * x) ** 2)


def wave(x):
    return np.sin(x) * x


@ad.function
def decorated(w, x):
    return np.sum(w * x)


@ad.grad
def slope(w):
    return np.sum(w**3)


@ad.custom_vjp
def clipped(x):
    return np.clip(x, 0.0, 1.0)


def forward(x):
    return clipped(x), None


def backward(_, ct):
    return (ct * 2.0,)


clipped.defvjp(forward, backward)


@ad.custom_jvp
def sine(x):
    return np.sin(x)


@sine.defjvp
def sine_rule(primals, tangents):
    return np.sin(primals[0]), 3.0 * tangents[0]


@ad.custom_batch
def batched(x):
    return x * 2.0


@batched.defbatch
def batched_rule(size, along, x):
    return x * 2.0


def like(x, n):
    return x


@ad.primitive(infer=like)
def called(x, n):
    return np.sin(x) * n


@called.defjvp
def called_rule(primals, tangents):
    return called(*primals), np.cos(primals[0]) * primals[1] * tangents[0]


class ByCode(pickle.Pickler):
    def reducer_override(self, value):
        is_lambda = isinstance(value, types.FunctionType) and value.__name__ == "<lambda>"
        return (eval, ("lambda x: x**2",)) if is_lambda else NotImplemented


def send(value):
    stream = io.BytesIO()
    ByCode(stream).dump(value)
    return stream.getvalue()


class Bound:
    def __init__(self, w):
        self.w = w
        self.fast = ad.function(self.loss)
        self.slope = ad.function(ad.grad(self.loss))

    def loss(self, x):
        return np.sum(self.w * x**2)


class Model:
    def __init__(self, w):
        self.w = ad.Tensor(w)
        self.slope = ad.grad(self.loss)

    def loss(self, x):
        return np.sum(self.w.value * x)

    @ad.function
    def predict(self, x):
        return np.sum(self.w * x)
"""

W, X = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.25, -0.5])


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    (folder / "pickled_user.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("pickled_user")
    sys.path.remove(str(folder))
    sys.modules.pop("pickled_user")


def _pickled(protocol):
    return lambda value: pickle.loads(pickle.dumps(value, protocol))


def _by_value(value):
    cloudpickle = pytest.importorskip("cloudpickle")
    return cloudpickle.loads(cloudpickle.dumps(value))


WAYS = {
    "pickle": _pickled(pickle.DEFAULT_PROTOCOL),
    "oldest": _pickled(2),
    "cloudpickle": _by_value,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
pickles = pytest.mark.parametrize("way", [WAYS["pickle"], WAYS["cloudpickle"]], ids=["pickle", "cloudpickle"])

# What is made of functions, and how it is called.
FUNCTIONS = {
    "grad": (lambda m: ad.grad(m.loss, argnums=(0, 1)), (W, X)),
    "grad by name": (lambda m: ad.grad(function=m.loss, argnames="x"), (W, X)),
    "grad of grad": (lambda m: ad.grad(lambda_free(ad.grad(m.wave))), (1.5,)),
    "value_and_grad": (lambda m: ad.value_and_grad(m.loss, memory_limit=1 << 20), (W, X)),
    "elementwise_grad": (lambda m: ad.elementwise_grad(m.wave), (X,)),
    "nth_derivative": (lambda m: ad.nth_derivative(m.wave, 3), (X,)),
    "holomorphic_grad": (lambda m: ad.holomorphic_grad(m.wave), (1.0 + 2.0j,)),
    "jacobian": (lambda m: ad.jacobian(m.wave, mode="forward"), (X,)),
    "hessian": (lambda m: ad.hessian(m.loss), (W, X)),
    "hvp": (lambda m: ad.hvp(m.loss), (W, X, X)),
    "vhp": (lambda m: ad.vhp(m.loss), (W, X, X)),
    "ggnvp": (lambda m: ad.ggnvp(m.wave), (W, X)),
    "vmap": (lambda m: ad.vmap(ad.grad(m.loss), in_axes=(None, 0)), (W, np.stack([X, W]))),
    "checkpoint": (lambda m: ad.grad(ad.checkpoint(m.loss, policy="everything_saveable")), (W, X)),
    "function": (lambda m: ad.function(ad.value_and_grad(m.loss), cache_size=3), (W, X)),
    "decorated": (lambda m: m.decorated, (W, X)),
    "decorated grad": (lambda m: m.slope, (W,)),
    "custom_vjp": (lambda m: ad.elementwise_grad(m.clipped), (X,)),
    "custom_jvp": (lambda m: ad.elementwise_grad(m.sine), (X,)),
    "custom_batch": (lambda m: ad.vmap(m.batched), (X,)),
    "primitive": (lambda m: ad.jacobian(m.called), (X, 2)),
    "method": (lambda m: m.Model(W).predict, (X,)),
    "method of a transformed": (lambda m: m.Model(W).slope, (X,)),
    "pullback": (lambda m: ad.vjp(m.wave, X)[1], (W,)),
    "pullback of a container": (lambda m: ad.vjp(m.wave, 2.0)[1], (1.0,)),
    "pushforward": (lambda m: ad.linearize(m.loss, W, X)[1], (X, W)),
}


def lambda_free(function):
    return function


def assert_same(found, wanted):
    """The same bits in the same structure."""
    if isinstance(wanted, (tuple, list)):
        assert type(found) is type(wanted)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted):
            assert_same(one, other)
    else:
        assert type(found) is type(wanted)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["function", "pullback", "vmap"])
def test_machine_code_is_made_again(name, user, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("AUTODIFF_TIERS", "llvm")
    test_functions_do_the_same(name, WAYS["pickle"], user)


@ways
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_do_the_same(name, way, user):
    make, args = FUNCTIONS[name]
    function = make(user)
    wanted = function(*args)
    before = user.calls
    again = way(function)
    # Nobody's function is called for it.
    assert user.calls == before
    assert_same(again(*args), wanted)
    assert_same(function(*args), wanted)


@pytest.mark.parametrize("way", [WAYS["pickle"], WAYS["cloudpickle"], WAYS["deepcopy"]])
@pytest.mark.parametrize("first", [True, False])
def test_functions_of_methods_are_those_of_the_copy(way, first, user):
    model = user.Bound(W)
    model.fast(X), model.slope(X)
    again = way(model) if first else way(model.fast)._function.__self__
    again.w = 2.0 * W
    np.testing.assert_allclose(again.fast(X), 2.0 * model.fast(X))
    np.testing.assert_allclose(again.slope(X), 2.0 * model.slope(X))


@ways
@pytest.mark.parametrize("name", ["decorated", "slope", "clipped", "sine", "batched", "called"])
def test_what_has_a_name_is_itself(name, way, user):
    value = getattr(user, name)
    assert way(value) is value


def test_attributes_are_those_of_the_function(user):
    again = pickle.loads(pickle.dumps(ad.grad(user.loss)))
    assert (again.__name__, again.__module__, again.__wrapped__) == ("loss", "pickled_user", user.loss)
    assert repr(again) == "<grad of loss>"


def test_settings_stay(user):
    function = pickle.loads(pickle.dumps(ad.function(user.loss, cache_size=3, backend="numpy", memory_limit=1 << 20)))
    function(W, X)
    assert function.cache_info()[:4] == (0, 1, 1, 3)
    assert function._backend is ad.get_backend("numpy")
    assert function._limit == 1 << 20


# --- what plain pickle refuses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ad.grad, ad.function, ad.custom_vjp, ad.vmap, lambda f: ad.function(ad.grad(f))])
def test_a_lambda_is_refused_with_a_remedy(make):
    function = make(lambda x: x**2)
    for dumps in (pickle.dumps, multiprocessing.reduction.ForkingPickler.dumps):
        with pytest.raises(pickle.PicklingError, match=r"<lambda> of .* cannot be pickled.*use cloudpickle"):
            dumps(function)
    assert _by_value(function)(3.0) == function(3.0) if make is not ad.vmap else _by_value(function) is not None


def test_a_name_that_stands_for_another_function_is_no_name(user, monkeypatch):
    slope = ad.grad(user.wave)
    monkeypatch.setattr(user, "wave", user.loss)
    with pytest.raises(pickle.PicklingError, match="stands for something else there"):
        pickle.dumps(slope)


def test_a_pickler_that_sends_code_is_not_refused(user):
    assert pickle.loads(user.send(ad.grad(lambda x: x**2)))(3.0) == 6.0


# --- Tensors and graphs ----------------------------------------------------------------------------------------------


@pickles
def test_a_tensor_and_its_graph_are_still_one_anothers(way):
    w, graph = ad.Tensor(W, name="w"), ad.Graph(backend="numpy", cache_size=7, memory_limit=1 << 20)
    graph.add_variables(w)
    y = np.sum(w**3)
    wanted = graph.gradient(y, [w])
    again = way({"w": w, "y": y, "graph": graph, "twice": w})
    assert again["w"] is again["twice"]
    assert again["w"].name == "w"
    assert again["graph"].backend is graph.backend
    assert again["graph"].cache_info()[:4] == (0, 0, 0, 7)
    assert_same(again["graph"].gradient(again["y"], [again["w"]]), wanted)
    # What is done to one of them leaves the others alone.
    again["w"].assign(np.ones(3))
    assert_same(again["graph"].gradient(again["y"], [again["w"]]), wanted)
    assert_same(w.value, W)


@pickles
@pytest.mark.parametrize("order", [1, -1])
def test_versions_are_those_of_one_tensor(way, order):
    w = ad.Tensor(W)
    w *= 2.0
    c = w.copy()
    c += 1.0
    y = np.sum(w**2 * c**3)
    graph = ad.Graph()
    wanted = graph.gradient(y, [w, c])
    w.assign(np.zeros(3))
    c[0] = 7.0
    assert_same(graph.gradient(y, [w, c]), wanted)
    y, w, c = way((y, w, c)[::order])[::order]
    assert_same(graph.gradient(y, [w, c]), wanted)
    assert_same(c.value[0], np.float64(7.0))


def test_a_view_that_was_pickled_is_an_array_of_its_own():
    x = ad.Tensor(W)
    again, view = pickle.loads(pickle.dumps((x, x[1:])))
    view[0] = 9.0
    assert_same(again.value, W)


def test_a_function_looks_at_the_tensor_that_is_pickled_beside_it(user):
    model = user.Model(W)
    model, w = pickle.loads(pickle.dumps((model, model.w)))
    assert model.w is w
    before = model.predict(X)
    w.assign(2.0 * W)
    np.testing.assert_allclose(model.predict(X), 2.0 * before)


@pickles
@pytest.mark.parametrize("name", ["called", "clipped", "sine", "batched"])
def test_a_tensor_of_a_function_with_rules(name, way, user):
    x, function = ad.Tensor(X), getattr(user, name)
    y = np.sum(function(x, 2) if name == "called" else function(x))
    wanted = ad.Graph().gradient(y, [x])
    y, z = way((y, x))
    assert_same(ad.Graph().gradient(y, [z]), wanted)


@pickles
@pytest.mark.parametrize("limit", [None, 1 << 20])
def test_a_compiled_gradient(way, limit, user):
    w, x, data = ad.Tensor(W), ad.Tensor(X), ad.Tensor([3.0, 1.0, 2.0])
    y = np.sum(np.tanh(w * x) * data[np.array([2, 0, 1])])
    compiled = ad.Graph(memory_limit=limit).compile(y, [w, x], [x, w])
    again = way(compiled)
    assert_same(again(W, X), compiled(W, X))
    assert again.source == compiled.source
    assert_same(way(again)(W, X), compiled(W, X))
    assert copy.deepcopy(compiled) is compiled


@pytest.mark.parametrize("make", [lambda f, x: ad.vjp(f, x)[1], lambda f, x: ad.linearize(f, x)[1]])
def test_pickling_is_no_recursion_over_the_graph(make):
    def long(x):
        for _ in range(3_000):
            x = x * 1.0001
        return x

    part = make(long, X)
    assert_same(pickle.loads(pickle.dumps(part))(X), part(X))


@ways
def test_there_is_one_of_each(way):
    node = ad.Tensor(W).node
    for value in (
        node.aval,
        np.sin(ad.Tensor(W)).node.primitive,
        ad.get_backend(),
        LEAF,
        NO_SLOT,
        OPERAND,
        NUMBER,
        ad.grad,
    ):
        assert way(value) is value


# --- optimizers ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Weights:
    w: ad.Tensor
    b: ad.Tensor


def _train(optimizer, parameters, steps):
    graph = ad.Graph()
    for _ in range(steps):
        y = np.sum(np.sin(parameters.w) * parameters.b)
        optimizer.step(Weights(*graph.gradient(y, [parameters.w, parameters.b])))


@pytest.mark.parametrize("way", [WAYS["pickle"], WAYS["cloudpickle"], WAYS["deepcopy"]])
@pytest.mark.parametrize(
    "make",
    [
        lambda p: ad.optim.SGD(p, 0.1, momentum=0.9),
        lambda p: ad.optim.RMSprop(p, 0.01),
        lambda p: ad.optim.AdamW(p, ad.optim.Cosine(0.1, 50), clip_norm=1.0),
    ],
)
def test_training_goes_on_where_it_was(make, way):
    parameters = Weights(ad.Tensor(W), ad.Tensor(X))
    optimizer = make(parameters)
    _train(optimizer, parameters, 3)
    other, others = way((optimizer, parameters))
    assert repr(other) == repr(optimizer)
    for going, own in ((optimizer, parameters), (other, others)):
        _train(going, own, 3)
    assert_same([others.w.value, others.b.value], [parameters.w.value, parameters.b.value])
    assert others.w is not parameters.w


# --- other processes -------------------------------------------------------------------------------------------------

# The program itself has the functions, by decorators and without.
MAIN = """
import multiprocessing, pickle, sys
import numpy as np
import autodiff as ad


def loss(w, x):
    return np.sum((w * x) ** 2)


@ad.function
def fast(w, x):
    return np.sum(w * x)


@ad.custom_vjp
def twice(x):
    return x * 2.0


twice.defvjp(lambda x: (x * 2.0, None), lambda _, ct: (ct * 3.0,))


@ad.grad
def slope(x):
    return x**3


def through(f, *args):
    return np.asarray(f(*args)).tolist()


W, X = np.array([1.0, 2.0]), np.array([3.0, 4.0])
TASKS = [
    (ad.grad(loss), W, X), (fast, W, X), (ad.grad(twice), 1.0), (slope, 2.0),
]
WANTED = [[18.0, 64.0], 11.0, 3.0, 12.0]

if __name__ == "__main__":
    if sys.argv[1] == "spawn":
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.starmap(through, TASKS)
    elif sys.argv[1] == "loky":
        import joblib
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(through)(*task) for task in TASKS)
        local = 5.0
        slopes = joblib.Parallel(n_jobs=2)(joblib.delayed(ad.grad(lambda x: local * x))(x) for x in (1.0, 2.0))
        assert slopes == [5.0, 5.0]
    elif sys.argv[1] == "dask":
        from distributed import Client
        with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
            found = client.gather([client.submit(through, *task) for task in TASKS])
            graph, w = client.submit(lambda g, w: (g, w), ad.Graph(), ad.Tensor(W)).result()
            assert graph.gradient(np.sum(w**2), [w])[0].tolist() == [2.0, 4.0]
    assert found == WANTED, found
"""


@pytest.mark.parametrize(("way", "package"), [("spawn", "numpy"), ("loky", "joblib"), ("dask", "distributed")])
def test_functions_of_a_program_go_to_other_processes(way, package, tmp_path):
    pytest.importorskip(package)
    file = tmp_path / "main.py"
    file.write_text(MAIN)
    command = [sys.executable, str(file), way]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert not run.returncode, run.stderr
