"""Where values live: arrays of another library, put there, kept there, and never moved without being asked."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import pickle
import subprocess
import sys
import threading
import warnings
import weakref
import zipfile

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


@pytest.fixture
def upper(shelves):
    return shelves.backend


@pytest.fixture
def lower(shelves):
    return shelves.backend.at("lower")


def on(array, backend):
    """The elements of an array, which must be on a backend."""
    assert backend.owns(array)
    assert backend.device_of(array) == backend.device
    return backend.to_numpy(array)


def square_sum(w):
    return np.sum((X @ w) ** 2)


GRADIENT = 2 * X.T @ (X @ np.array([1.0, -1.0]))


# --- putting ---------------------------------------------------------------------------------------------------------


def test_add_variables_puts_values_on_the_backend(upper):
    graph = ad.Graph(backend="shelves")
    w = ad.Tensor([1.0, -1.0], name="w")
    graph.add_variables(w)
    np.testing.assert_array_equal(on(w.value, upper), [1.0, -1.0])
    assert (w.name, w.shape, w.dtype) == ("w", (2,), np.float64)
    (gradient,) = graph.gradient(square_sum(w), [w])
    np.testing.assert_allclose(on(gradient, upper), GRADIENT)


def test_gradient_of_what_was_recorded_before_its_variable_was_put_there(upper):
    graph = ad.Graph(backend="shelves")
    w = ad.Tensor([1.0, -1.0])
    loss = square_sum(w)
    graph.add_variables(w)
    value, (gradient,) = graph.value_and_gradient(loss, [w])
    np.testing.assert_allclose(on(gradient, upper), GRADIENT)
    np.testing.assert_allclose(on(value, upper), loss.value)
    assert isinstance(loss.value, np.ndarray)  # nobody has put the loss anywhere


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradient_of_what_nobody_has_put_anywhere_is_computed_on_the_backend(order):
    xp = pytest.importorskip("array_api_strict")
    w = ad.Tensor([1.0, -1.0])
    for _ in range(2):
        (gradient,) = ad.Graph(backend=xp).gradient(w**3, [w], order)
        np.testing.assert_allclose(np.asarray(gradient), [[3.0, 3.0], [6.0, -6.0], [6.0, 6.0]][order - 1])
        assert isinstance(gradient, type(xp.empty(0)))


def test_results_of_operations_are_put_where_they_are_computed(upper):
    graph = ad.Graph(backend="shelves")
    w = ad.Tensor([1.0, -1.0])
    first = w * 3
    graph.add_variables(first)
    np.testing.assert_array_equal(on(first.value, upper), [3.0, -3.0])
    loss = np.sum(first * w)
    np.testing.assert_array_equal(on(loss.value, upper), 6.0)
    gradients = graph.gradient(loss, [first, w])
    np.testing.assert_array_equal(on(gradients[0], upper), [1.0, -1.0])
    np.testing.assert_array_equal(on(gradients[1], upper), [6.0, -6.0])


def test_adding_again_does_nothing(upper):
    graph = ad.Graph(backend="shelves")
    w = ad.Tensor([1.0])
    graph.add_variables(w)
    node = w.node
    graph.add_variables(w)
    assert w.node is node


def test_add_variables_brings_a_variable_from_another_device(upper, lower):
    w = ad.Graph(backend=upper).tensor([1.0, -1.0])
    ad.Graph(backend=lower).add_variables(w)
    np.testing.assert_array_equal(on(w.value, lower), [1.0, -1.0])
    ad.Graph(backend="numpy").add_variables(w)
    np.testing.assert_array_equal(w.value, [1.0, -1.0])
    assert w.node.aval.place is ad.get_backend("numpy")


def test_graph_makes_tensors(upper):
    graph = ad.Graph(backend="shelves")
    t = graph.tensor([1, 2], name="t")
    assert (t.dtype, t.name, t.constant) == (np.float64, "t", False)
    on(t.value, upper)
    counts = graph.tensor([1, 2], constant=True)
    assert counts.dtype == np.int64
    assert counts.constant
    assert graph.tensor([1, 2], dtype="float32").dtype == np.float32


def test_data_of_the_same_library_are_put_on_the_device(upper, lower):
    array = lower.asarray(X)
    np.testing.assert_array_equal(on(ad.Graph(backend=upper).tensor(array).value, upper), X)
    np.testing.assert_array_equal(on(array, lower), X)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="NumPy 2.0 exports no read-only memory")
def test_memory_is_shared_by_dlpack(shelves, monkeypatch):
    """In: data of another library on the same device. Out: a Tensor is its value."""
    array = np.arange(3.0)
    monkeypatch.setattr(shelves.Shelved, "__dlpack__", lambda self, **kw: self.array.__dlpack__(**kw), raising=False)
    monkeypatch.setattr(shelves.Shelved, "__dlpack_device__", lambda self: (1, 0), raising=False)
    graph = ad.Graph(backend="numpy")
    shared = graph.tensor(shelves.Shelved(array, "upper"), copy=False)
    assert np.shares_memory(shared.value, array)
    assert not np.shares_memory(graph.tensor(shelves.Shelved(array, "upper")).value, array)
    t = ad.Tensor(array)
    assert t.__dlpack_device__() == (1, 0)
    assert np.shares_memory(np.from_dlpack(t), t.value)
    assert not np.from_dlpack(t).flags.writeable


def test_tensors_in_the_block_of_a_graph(upper, lower):
    with ad.Graph(backend=upper) as graph:
        first = ad.Tensor([1.0])
        with ad.Graph(backend=lower):
            second = ad.Tensor([1.0])
        with pytest.raises(RuntimeError, match="mine"), graph:
            raise RuntimeError("mine")
        third = ad.Tensor(np.ones(1))
    outside = ad.Tensor([1.0])
    assert [t.node.aval.place for t in (first, second, third, outside)] == [upper, lower, upper, None]


def test_the_block_of_one_thread_is_not_that_of_another(upper):
    seen = []
    with ad.Graph(backend=upper):
        thread = threading.Thread(target=lambda: seen.append(ad.Tensor([1.0]).node.aval.place))
        thread.start()
        thread.join()
    assert seen == [None]


def test_blocks_entered_by_a_stack_and_by_hand(upper, lower):
    first, second = ad.Graph(backend=upper), ad.Graph(backend=lower)
    places = []

    def note():
        places.append(ad.Tensor([1.0]).node.aval.place)

    with contextlib.ExitStack() as stack:
        assert stack.enter_context(first) is first
        note()
        assert second.__enter__() is second
        with first, second:
            note()
        note()
        second.__exit__(None, None, None)
        note()
    note()
    assert places == [upper, lower, lower, upper, None]


def test_tasks_have_blocks_of_their_own(upper, lower):
    places = []

    async def work(graph):
        for _ in range(3):
            with graph:
                await asyncio.sleep(0)
                places.append(ad.Tensor([1.0]).node.aval.place is graph.backend)
            await asyncio.sleep(0)
            places.append(ad.Tensor([1.0]).node.aval.place is None)

    async def both():
        with ad.Graph(backend=upper):
            pass
        await asyncio.gather(work(ad.Graph(backend=upper)), work(ad.Graph(backend=lower)))

    asyncio.run(both())
    assert places == [True] * 12


def test_a_block_that_was_left_keeps_no_graph(upper):
    graph = ad.Graph(backend=upper)
    with graph:
        ad.Tensor([1.0])
    reference = weakref.ref(graph)
    del graph
    assert reference() is None


def test_a_tensor_of_another_librarys_array_stays_there(shelves, lower):
    array = lower.asarray(X)
    t = ad.Tensor(array)
    assert t.node.aval.place is lower
    assert t.value is not array
    np.testing.assert_array_equal(on(t.value, lower), X)
    np.testing.assert_array_equal(on(ad.Tensor(lower.asarray(np.array([1, 2]))).value, lower), [1.0, 2.0])
    np.testing.assert_array_equal(on(np.sum(t * 2, axis=0).value, lower), [18.0, 24.0])


def test_a_graph_without_a_backend_computes_where_the_data_are(lower):
    t = ad.Tensor(lower.asarray(X))
    (gradient,) = ad.Graph().gradient(np.sum(t**2), [t])
    np.testing.assert_array_equal(on(gradient, lower), 2 * X)


# --- constants -------------------------------------------------------------------------------------------------------


def test_numpys_constants_are_brought_once(upper, monkeypatch):
    graph = ad.Graph(backend=upper)
    w = graph.tensor([1.0, -1.0])
    loss = square_sum(w)
    brought = []
    original = type(upper).asarray
    monkeypatch.setattr(
        type(upper),
        "asarray",
        lambda self, value, *args, **kw: brought.append(value) or original(self, value, *args, **kw),
    )
    for _ in range(3):
        graph.gradient(loss, [w])
        graph.gradient(loss, [w], 2)
    np.testing.assert_array_equal(np.concatenate(brought), X)
    assert graph.explain(loss, [w]).brought == ("float64[3, 2]",)


def test_what_was_brought_is_freed_with_its_node(upper):
    graph = ad.Graph(backend=upper)
    w = graph.tensor([1.0, -1.0])
    gc.disable()
    try:
        loss = square_sum(w)
        (constant,) = [x for x in loss.node.inputs[0].inputs[0].inputs[0].inputs if x.aval.place is None]
        graph.gradient(loss, [w])
        kept = weakref.ref(constant)
        del constant, loss
        assert kept() is None
    finally:
        gc.enable()


def test_arrays_of_the_backend_are_operands(upper, lower):
    graph = ad.Graph(backend=upper)
    w = graph.tensor([1.0, -1.0])
    there = w * upper.asarray(np.array([2.0, 3.0]))
    np.testing.assert_array_equal(on(graph.gradient(there, [w])[0], upper), [2.0, 3.0])
    with pytest.raises(errors.BackendError, match=r"upper.*lower"):
        w * lower.asarray(np.array([2.0, 3.0]))


# --- mixing ----------------------------------------------------------------------------------------------------------


def test_two_backends_in_one_operation_are_an_error_at_its_line(upper, lower):
    a, b = ad.Graph(backend=upper).tensor([1.0]), ad.Graph(backend=lower).tensor([1.0])
    with pytest.raises(errors.BackendError, match=r"^add: .*shelves \(upper\).*shelves \(lower\).*\.to\("):
        a + b
    c = ad.Graph(backend="numpy").tensor([1.0])
    with pytest.raises(errors.BackendError, match=r"^multiply: .*numpy.*shelves"):
        c * a
    with pytest.raises(errors.BackendError, match=r"^concatenate: .*upper.*lower"):
        np.concatenate([a, b])


def test_a_graph_does_not_compute_what_is_elsewhere(upper, lower):
    t = ad.Graph(backend=lower).tensor([1.0])
    for graph in (ad.Graph(backend=upper), ad.Graph(backend="numpy")):
        with pytest.raises(errors.BackendError, match=r"the graph computes on .*lower"):
            graph.gradient(t * 2, [t])
        with pytest.raises(errors.BackendError, match="lower"):
            graph.gradient(t * 2, [t], as_tensors=True)
        moved = t * 2
        with pytest.raises(errors.BackendError, match="lower"):
            graph.add_variables(moved)
    with pytest.raises(errors.BackendError, match=r"lower.*numpy"), ad.Graph(backend="numpy"):
        ad.Tensor(t.value)


def test_numpy_does_not_get_a_value_without_being_asked(upper):
    t = ad.Graph(backend=upper).tensor([3.0, 1.0])
    for ask in (np.argwhere, lambda x: np.allclose(x, 1.0), lambda x: np.array_equal(x, [x, x])):
        with pytest.raises(errors.BackendError, match=r"upper.*np\.asarray.*\.to\('numpy'\)"):
            ask(t)
    v = ad.Tensor([1.0, 1.0])
    for put in (v.assign, v.assign_add, v.assign_sub):
        with pytest.raises(errors.BackendError, match="upper"):
            put(t)


# --- taking back -----------------------------------------------------------------------------------------------------


def test_values_are_brought_to_the_host_explicitly(upper):
    t = ad.Graph(backend=upper).tensor([[1.5]])
    assert isinstance(np.asarray(t), np.ndarray)
    assert (float(t), t.item(), t.tolist(), bool(t), f"{t:.1f}") == (1.5, 1.5, [[1.5]], True, "1.5")
    assert (repr(t), str(t)) == ("Tensor([[1.5]], backend='shelves (upper)')", "[[1.5]]")
    assert 1.5 in t
    back = t.to("numpy")
    np.testing.assert_array_equal(back.value, [[1.5]])
    assert back.node.aval.place is ad.get_backend("numpy")


def test_to_is_a_copy_without_history(upper, lower):
    t = ad.Tensor([1.0, 2.0], name="t")
    there = t.to("shelves", "lower")
    assert there.name == "t"
    np.testing.assert_array_equal(on(there.value, lower), [1.0, 2.0])
    across = (there * 2).to(upper)
    np.testing.assert_array_equal(on(across.value, upper), [2.0, 4.0])
    with pytest.warns(ad.IndependentWarning):
        ad.Graph().gradient(across * 2, [there.to(upper)])
    assert ad.Tensor([1, 2], constant=True).to(upper).constant


# --- versions --------------------------------------------------------------------------------------------------------


def test_assignment_goes_where_the_variable_is(upper, lower):
    graph = ad.Graph(backend=upper)
    w = graph.tensor([1.0, -1.0], dtype="float32")
    w.assign(np.array([2, 3]))
    np.testing.assert_array_equal(on(w.value, upper), [2.0, 3.0])
    assert w.value.dtype == np.float32
    w.assign(upper.asarray(np.array([4.0, 5.0])))
    assert w.value.dtype == np.float32
    w.assign_sub(upper.asarray(np.array([1.0, 1.0], "float32")))
    w.assign_add(0.5)
    np.testing.assert_array_equal(on(w.value, upper), [3.5, 4.5])
    assert w.value.dtype == np.float32
    with pytest.raises(errors.BackendError, match=r"lower.*upper"):
        w.assign(lower.asarray(np.array([4.0, 5.0])))
    with pytest.raises(errors.ShapeError, match=r"\(3,\)"):
        w.assign([1.0, 2.0, 3.0])
    with pytest.raises(errors.ShapeError, match=r"\(3,\)"):
        w.assign_add(np.ones(3))
    with pytest.raises(errors.DTypeError, match="complex"):
        w.assign(np.array([1j, 2]))
    np.testing.assert_array_equal(on(w.value, upper), [3.5, 4.5])


def test_an_assigned_array_is_the_variables_own(upper):
    w = ad.Graph(backend=upper).tensor([1.0])
    array = upper.asarray(np.array([2.0]))
    w.assign(array)
    array.array[:] = 9
    np.testing.assert_array_equal(np.asarray(w), [2.0])


def test_operations_in_place(upper):
    graph = ad.Graph(backend=upper)
    w = graph.tensor([1.0, 2.0])
    y = w * 1
    y += np.array([1.0, 1.0])
    np.testing.assert_array_equal(on(y.value, upper), [2.0, 3.0])
    np.testing.assert_array_equal(on(graph.gradient(y * y, [w])[0], upper), [4.0, 6.0])


def test_training_compiles_once(upper):
    graph = ad.Graph(backend=upper)
    w = ad.Tensor([1.0, -1.0])
    graph.add_variables(w)
    losses = []
    for _ in range(5):
        value, (gradient,) = graph.value_and_gradient(square_sum(w), [w])
        w.assign_sub(0.01 * on(gradient, upper))
        losses.append(float(upper.to_numpy(value)))
    assert losses == sorted(losses, reverse=True)
    assert graph.cache_info()[:2] == (4, 1)


# --- transformations -------------------------------------------------------------------------------------------------


def test_functional_forms_compute_where_the_arguments_are(upper, lower):
    w = lower.asarray(np.array([1.0, -1.0]))
    np.testing.assert_allclose(on(ad.grad(square_sum)(w), lower), GRADIENT)
    value, gradient = ad.value_and_grad(square_sum)(w)
    np.testing.assert_allclose(on(value, lower), 2.0 + 1.0)
    np.testing.assert_allclose(on(gradient, lower), GRADIENT)
    step = ad.function(ad.value_and_grad(square_sum))
    for _ in range(2):
        np.testing.assert_allclose(on(step(w)[1], lower), GRADIENT)
    np.testing.assert_allclose(step(np.array([1.0, -1.0]))[1], GRADIENT)
    np.testing.assert_allclose(on(step(upper.asarray(np.array([1.0, -1.0])))[1], upper), GRADIENT)
    assert step.cache_info()[:2] == (1, 3)
    # A Python number gives one, wherever it was computed.
    assert ad.grad(lambda s: np.sum(s * ad.Tensor(w)))(2.0) == 0.0


def test_function_with_a_backend_brings_its_arguments(upper, lower):
    scale = ad.Tensor(2.0)
    scaled = ad.function(lambda x: np.sum(x * scale, axis=0), backend=upper)
    np.testing.assert_array_equal(on(scaled(X), upper), [18.0, 24.0])
    scale.assign(3.0)
    np.testing.assert_array_equal(on(scaled(x=X), upper), [27.0, 36.0])
    with pytest.raises(errors.BackendError, match=r"lower.*upper"):
        scaled(lower.asarray(X))


def test_derivatives_of_derivatives(upper):
    graph = ad.Graph(backend=upper)
    w = graph.tensor([1.0, 2.0])
    (slope,) = graph.gradient(w**3, [w], as_tensors=True)
    np.testing.assert_array_equal(on(slope.value, upper), [3.0, 12.0])
    np.testing.assert_array_equal(on(graph.gradient(slope**2, [w])[0], upper), [36.0, 288.0])
    # What is zero everywhere is so on the backend too.
    (constant,) = graph.gradient(3 * w, [w], as_tensors=True)
    np.testing.assert_array_equal(on(constant.value, upper), [3.0, 3.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.IndependentWarning)
        (zero,) = graph.gradient(w, [graph.tensor([1.0])])
    np.testing.assert_array_equal(on(zero, upper), [0.0])


def test_compiled_gradient_takes_arrays_of_either(upper, lower):
    graph = ad.Graph(backend=upper)
    w = graph.tensor([1.0, -1.0])
    compiled = graph.compile(square_sum(w), [w], [w])
    for argument in (np.array([1.0, -1.0]), [1, -1], upper.asarray(np.array([1.0, -1.0])), w):
        np.testing.assert_allclose(on(compiled(argument)[1][0], upper), GRADIENT)
    with pytest.raises(errors.ShapeError):
        compiled([1.0])


def test_indices_on_the_backend(upper):
    graph = ad.Graph(backend=upper)
    w = graph.tensor([1.0, 2.0, 3.0])
    mask = upper.asarray(np.array([True, False, True]))
    loss = np.sum(np.where(ad.Tensor(mask, constant=True), w, 0.0) ** 2)
    np.testing.assert_array_equal(on(graph.gradient(loss, [w])[0], upper), [2.0, 0.0, 6.0])


# --- pickles ---------------------------------------------------------------------------------------------------------


def test_pickles_and_copies_stay_where_they_were(upper):
    w = ad.Tensor([1.0, 2.0])
    ad.Graph(backend="shelves").add_variables(w)
    y = w**2
    for again in (copy.deepcopy(y), copy.copy(y)):
        np.testing.assert_array_equal(on(again.value, upper), [1.0, 4.0])
    assert pickle.loads(pickle.dumps(y.node.aval)) is y.node.aval


# --- what cannot be had ----------------------------------------------------------------------------------------------


def test_what_a_backend_lacks_is_named_before_anything_runs(upper):
    w = ad.Graph(backend=upper).tensor([1.0, 2.0])
    upper.counts.clear()
    with pytest.raises(errors.BackendError, match=r"^cumsum is not available on backend shelves \(upper\)"):
        ad.Graph().gradient(np.cumsum(np.exp(w)), [w])
    assert not upper.counts
    with pytest.raises(errors.DTypeError, match=r"complex128.*shelves"):
        (w * 1j).value


def test_devices(shelves, upper):
    assert ad.get_backend("shelves", "lower") is upper.at("lower")
    assert repr(ad.Graph("shelves", device="lower")).startswith("Graph(backend='shelves (lower)'")
    with pytest.raises(errors.BackendError, match="no shelf 'middle'"):
        ad.Graph(backend="shelves", device="middle")
    with pytest.raises(errors.BackendError, match=r"'numpy' has no device 'cuda'"):
        ad.Graph(device="cuda")


# --- a package of somebody else's ------------------------------------------------------------------------------------

WHEEL = {
    "shelves-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: shelves\nVersion: 1.0\n",
    "shelves-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "shelves-1.0.dist-info/entry_points.txt": "[autodiff.backends]\nshelves = shelves:backend\n",
}

PROGRAM = """
import autodiff as ad
import numpy as np
assert "shelves" in ad.backends()
x = ad.Tensor([1.0, 2.0])
graph = ad.Graph(backend="shelves", device="lower")
graph.add_variables(x)
(gradient,) = graph.gradient(np.sum(x**2), [x])
print(type(gradient).__name__, gradient.shelf, np.asarray(ad.Tensor(gradient)))
"""


def test_an_installed_package_offers_its_backend(shelves, tmp_path):
    wheel = tmp_path / "shelves-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        files = {"shelves.py": shelves.source, **WHEEL}
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr("shelves-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in files))
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target, wheel]
    subprocess.run(pip, check=True, capture_output=True)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(target)!r}){PROGRAM}"]
    result = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("Shelved lower [2. 4.]", "")


def test_outputs_that_were_looked_at_on_the_host_are_brought_together(backend):
    x = ad.Tensor(np.random.default_rng(0).random((3, 3)))
    u, s, vh = np.linalg.svd(x)
    assert s.value.shape == (3,)
    y = np.sum(s**2) + np.sum(u[:, :1] * (u @ np.diag([1.0, 2.0, 3.0]) @ u.T @ vh.T)[:, :1])
    (expected,) = ad.Graph().gradient(y, [x])
    for _ in range(3):
        (found,) = ad.Graph(backend=backend).gradient(y, [x])
        np.testing.assert_allclose(backend.home.to_numpy(found), expected, rtol=1e-9)
