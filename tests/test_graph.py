"""``Graph``: derivatives, their values and Tensors, the cache of compiled gradients, generated source."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import errors, gradients
from autodiff.plan import execute

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[0.7, 4.1, -1.3], [1.6, -0.35, 3.2]])


def slope(function, x, step=1e-6):
    """The gradient of ``sum(function(x))`` by central differences."""
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[place] = step
        result[place] = (np.sum(function(x + shift)) - np.sum(function(x - shift))) / (2 * step)
    return result


@pytest.fixture
def graph():
    return ad.Graph()


# --- gradients -------------------------------------------------------------------------------------------------------


def test_first_gradient_of_the_issue(graph):
    a = ad.Tensor([1, 2, 3, 4])
    b = a**2
    graph.add_variables(a)
    (result,) = graph.gradient(b, [a])
    np.testing.assert_array_equal(result, [2.0, 4.0, 6.0, 8.0])
    assert type(result) is np.ndarray
    assert type(graph.gradient(b, [a])) is list


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_order_of_an_elementwise_function(graph, n):
    x = ad.Tensor(A)
    derivatives = [
        3 * A**2 * np.exp(-A) - A**3 * np.exp(-A),
        (A**3 - 6 * A**2 + 6 * A) * np.exp(-A),
        (-(A**3) + 9 * A**2 - 18 * A + 6) * np.exp(-A),
        (A**3 - 12 * A**2 + 36 * A - 24) * np.exp(-A),
    ]
    (result,) = graph.gradient(x**3 * np.exp(-x), [x], n)
    np.testing.assert_allclose(result, derivatives[n - 1], rtol=1e-12, atol=1e-12)
    (keyword,) = graph.gradient(x**3 * np.exp(-x), [x], n=n)
    np.testing.assert_array_equal(keyword, result)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_order_of_a_function_that_mixes_elements(graph, n):
    """Each order is the derivative of the sum of the previous one."""

    def previous(array):
        x = ad.Tensor(array)
        return ad.Graph().gradient(np.tanh(x @ A.T) * np.sum(x**2), [x], n - 1)[0]

    x = ad.Tensor(B / 3)
    (result,) = graph.gradient(np.tanh(x @ A.T) * np.sum(x**2), [x], n)
    np.testing.assert_allclose(result, slope(previous, B / 3), rtol=1e-5, atol=1e-5)


def test_several_variables_in_the_order_asked(graph):
    x, y, z = ad.Tensor(A), ad.Tensor(B), ad.Tensor(2.0)
    e = x * y**2 * z
    by_z, by_x, by_y = graph.gradient(e, [z, x, y])
    np.testing.assert_allclose(by_x, B**2 * 2)
    np.testing.assert_allclose(by_y, 4 * A * B)
    np.testing.assert_allclose(by_z, np.sum(A * B**2))
    assert by_z.shape == ()


def test_intermediate_variable(graph):
    x = ad.Tensor(A)
    middle = x**2
    y = np.sin(middle) + x
    by_middle, by_x = graph.gradient(y, [middle, x])
    np.testing.assert_allclose(by_middle, np.cos(A**2))
    np.testing.assert_allclose(by_x, np.cos(A**2) * 2 * A + 1)
    (second,) = graph.gradient(y, [middle], 2)
    np.testing.assert_allclose(second, -np.sin(A**2))


def test_intermediate_variable_that_has_a_value(graph):
    x = ad.Tensor(A)
    middle = x @ B.T
    y = np.sum(middle**2)
    y.value
    assert middle.node.value is not None
    by_x, by_middle = graph.gradient(y, [x, middle])
    np.testing.assert_allclose(by_middle, 2 * A @ B.T)
    np.testing.assert_allclose(by_x, 2 * A @ B.T @ B)
    (again,) = graph.gradient(middle**2, [x])
    np.testing.assert_allclose(again, by_x)


def test_same_variable_twice_and_dy_itself(graph):
    x = ad.Tensor(A)
    y = x**2
    first, itself, second = graph.gradient(y, [x, y, x])
    np.testing.assert_array_equal(first, 2 * A)
    np.testing.assert_array_equal(second, 2 * A)
    np.testing.assert_array_equal(itself, np.ones_like(A))
    assert not np.shares_memory(first, second)
    (of_leaf,) = graph.gradient(x, [x])
    np.testing.assert_array_equal(of_leaf, np.ones_like(A))


def test_no_variables(graph):
    y = ad.Tensor(A) ** 2
    assert graph.gradient(y, []) == []
    assert "def run" in graph.source(y, [])
    assert graph.explain(y, []).operations == 1
    assert graph.explain(ad.Tensor(A), []).operations == 0


def test_complex_convention(graph):
    """For a complex variable du/dx - i du/dy."""
    points = np.array([1 + 2j, -0.5 + 0.3j])
    z = ad.Tensor(points)
    (result,) = graph.gradient((z**2).real, [z])
    np.testing.assert_allclose(result, 2 * points)
    (modulus,) = graph.gradient(np.abs(z), [z])
    np.testing.assert_allclose(modulus, points.conj() / np.abs(points))
    (imaginary,) = graph.gradient(z.imag, [z])
    np.testing.assert_allclose(imaginary, [-1j, -1j])
    x = ad.Tensor(A)
    (real,) = graph.gradient(np.real(np.exp(1j * x)), [x])
    assert real.dtype == np.float64
    np.testing.assert_allclose(real, -np.sin(A))


def test_unconnected_variables_have_zero_gradients_and_a_warning(graph):
    x, other = ad.Tensor(A), ad.Tensor(np.ones(3, np.float32))
    y = x**2
    with pytest.warns(ad.IndependentWarning, match=r"variable 1.*float32\[3\]") as caught:
        by_x, by_other = graph.gradient(y, [x, other])
    np.testing.assert_array_equal(by_x, 2 * A)
    np.testing.assert_array_equal(by_other, np.zeros(3))
    assert (by_other.dtype, by_other.shape) == (np.float32, (3,))
    assert caught[0].filename == __file__


def test_variables_that_only_integers_depend_on_have_zero_gradients(graph):
    x = ad.Tensor(A)
    (result,) = graph.gradient(np.floor(x) + np.sign(x) + (x > 0) * 1.0, [x])
    np.testing.assert_array_equal(result, np.zeros_like(A))


def test_gradient_at_the_values_recorded_with(graph):
    x = ad.Tensor(A)
    old = x**2
    x.assign(B)
    new = x**2
    np.testing.assert_array_equal(graph.gradient(old, [x])[0], 2 * A)
    np.testing.assert_array_equal(graph.gradient(new, [x])[0], 2 * B)
    x.assign(A + B)
    np.testing.assert_array_equal(graph.gradient(new, [x])[0], 2 * B)


def test_result_shared_by_many_paths(graph):
    x = ad.Tensor(1.0)
    y = x
    for _ in range(60):
        y = y + y
    assert graph.gradient(y, [x])[0] == 2.0**60


def test_weak_numbers_and_shapes_of_results(graph):
    x = ad.Tensor(np.ones((1, 3), np.float32))
    (result,) = graph.gradient(x * 2.5 + np.ones((4, 1), np.float32), [x])
    assert (result.shape, result.dtype) == ((1, 3), np.float32)
    np.testing.assert_array_equal(result, np.full((1, 3), 10.0))


def test_value_and_gradient(graph):
    x = ad.Tensor(A)
    y = np.sum(np.tanh(x))
    value, gradients = graph.value_and_gradient(y, [x])
    np.testing.assert_allclose(value, np.sum(np.tanh(A)))
    np.testing.assert_allclose(gradients[0], 1 - np.tanh(A) ** 2)
    assert graph.cache_info().misses == 1
    assert not value.flags.writeable
    again, _ = graph.value_and_gradient(y, [x])
    np.testing.assert_array_equal(again, value)


def test_value_comes_from_the_same_plan(graph, monkeypatch):
    x = ad.Tensor(A)
    y = np.sum(np.tanh(x))
    graph.gradient(y, [x])
    monkeypatch.setattr("autodiff.tensor.handle.evaluate", lambda node: pytest.fail("evaluated again"))
    assert float(y) == pytest.approx(np.sum(np.tanh(A)))


# --- gradients as Tensors --------------------------------------------------------------------------------------------


def test_gradient_penalty(graph):
    def penalised(array):
        x = ad.Tensor(array)
        y = np.sum(np.tanh(x @ A.T) ** 2)
        (slope_of_y,) = ad.Graph().gradient(y, [x])
        return y.value + np.sum((np.sqrt(np.sum(slope_of_y**2, axis=1)) - 1) ** 2)

    x = ad.Tensor(B)
    y = np.sum(np.tanh(x @ A.T) ** 2)
    (recorded,) = graph.gradient(y, [x], as_tensors=True)
    assert isinstance(recorded, ad.Tensor)
    assert recorded.shape == x.shape
    loss = y + np.sum((np.sqrt(np.sum(recorded**2, axis=1)) - 1) ** 2)
    np.testing.assert_allclose(loss.value, penalised(B), rtol=1e-12)
    (result,) = graph.gradient(loss, [x])
    np.testing.assert_allclose(result, slope(penalised, B), rtol=1e-5, atol=1e-6)


def test_gradients_as_tensors_equal_gradients_at_every_order(graph):
    x, w = ad.Tensor(B), ad.Tensor(A)
    y = np.sum(np.exp(x * w / 10)) * np.sum(x)
    for n in (1, 2, 3):
        arrays = graph.gradient(y, [x, w], n)
        tensors = graph.gradient(y, [x, w], n, as_tensors=True)
        for array, tensor in zip(arrays, tensors):
            np.testing.assert_allclose(tensor.value, array, rtol=1e-12, atol=1e-12)


def test_order_by_order_equals_at_once(graph):
    x = ad.Tensor(A)
    current = np.sin(x) * x**2
    for n in (1, 2, 3, 4):
        direct = graph.gradient(np.sin(x) * x**2, [x], n)[0]
        (current,) = graph.gradient(current, [x], as_tensors=True)
        np.testing.assert_allclose(current.value, direct, rtol=1e-12, atol=1e-12)


def test_unconnected_gradients_as_tensors(graph):
    x, other = ad.Tensor(A), ad.Tensor(B)
    with pytest.warns(ad.IndependentWarning):
        (zeros,) = graph.gradient(x * 2, [other], as_tensors=True)
    np.testing.assert_array_equal(zeros.value, np.zeros_like(B))
    np.testing.assert_array_equal(graph.gradient(zeros + x, [x])[0], np.ones_like(A))


def test_recorded_gradients_hit_the_cache(graph):
    results = []
    for value in (A, B):
        x = ad.Tensor(value)
        (d,) = graph.gradient(np.sum(x**3), [x], as_tensors=True)
        results.append(graph.gradient(np.sum(d**2), [x])[0])
    np.testing.assert_allclose(results[0], 36 * A**3)
    np.testing.assert_allclose(results[1], 36 * B**3)
    assert graph.cache_info()[:3] == (2, 2, 2)


# --- nothing aliases -------------------------------------------------------------------------------------------------

ALIASING = {
    "identity": lambda x, w: x * 1 + w * 0,
    "sum": lambda x, w: np.sum(x) + np.sum(w),
    "product": lambda x, w: x * w,
    "linear": lambda x, w: x - w,
    "view": lambda x, w: x.T.reshape(2, 3) * w,
    "constant slope": lambda x, w: 3 * x + 2 * w,
    "slice": lambda x, w: x[:, 1:] + w[:, 1:],
    "matmul": lambda x, w: x @ w.T,
}


@pytest.mark.parametrize("function", ALIASING.values(), ids=ALIASING)
@pytest.mark.parametrize("n", [1, 2])
def test_results_alias_nothing(graph, function, n):
    x, w = ad.Tensor(A), ad.Tensor(B)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.IndependentWarning)
        y = function(x, w)
        first = graph.gradient(y, [x, w, x], n)
        kept = [array.copy() for array in first]
        second = graph.gradient(y, [x, w, x], n)
    everything = [*first, *second, x.value, w.value, y.value]
    for i, one in enumerate(everything):
        for other in everything[i + 1 :]:
            assert not np.shares_memory(one, other)
    for array in first:
        assert array.flags.writeable
        array[...] = 99
    for array, wanted in zip(second, kept):
        np.testing.assert_array_equal(array, wanted)
    for array, wanted in zip(graph.gradient(function(x, w), [x, w, x], n), kept):
        np.testing.assert_array_equal(array, wanted)
    np.testing.assert_array_equal(x.value, A)


def test_later_calls_leave_earlier_results_alone(graph):
    def step(value):
        x = ad.Tensor(value)
        y = np.sum(np.sin(x) * x)
        return graph.value_and_gradient(y, [x])

    first_value, (first,) = step(A)
    kept = first.copy(), first_value.copy()
    for shift in range(5):
        step(A + shift)
    np.testing.assert_array_equal(first, kept[0])
    np.testing.assert_array_equal(first_value, kept[1])


# --- the cache -------------------------------------------------------------------------------------------------------


def test_training_loop_compiles_once(graph):
    rng = np.random.default_rng(0)
    w, b = ad.Tensor(rng.normal(size=(4, 3))), ad.Tensor(np.zeros((4, 1)))
    target = rng.normal(size=(4, 3))
    losses = []
    rate = 0.1
    for step in range(30):
        batch = rng.normal(size=(3, 5))
        loss = np.mean((np.tanh(w @ batch + b) - np.tanh(target @ batch)) ** 2)
        scaled = loss * (1 + rate)  # a float that changes is data
        by_w, by_b = graph.gradient(scaled, [w, b])
        rate *= 0.99
        w.assign(w._i - 0.3 * by_w)
        b.assign_sub(0.3 * by_b)
        losses.append(float(loss))
        assert graph.cache_info()[:3] == (step, 1, 1)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_indexing_in_a_loop_compiles_once(graph):
    x = ad.Tensor(np.arange(12.0).reshape(6, 2))
    for i in range(6):
        (result,) = graph.gradient(np.sum(x[i] ** 2 + x[i : i + 1]), [x])
        expected = np.zeros((6, 2))
        expected[i] = 2 * x.value[i] + 1
        np.testing.assert_array_equal(result, expected)
    assert graph.cache_info()[:2] == (5, 1)


@pytest.mark.parametrize(
    "second",
    [
        lambda x: np.sum(x**3),
        lambda x: np.sum(np.sin(x)),
        lambda x: np.sum(x**2, axis=0),
        lambda x: np.sum(x**2) + 0 * np.sum(x),
        lambda x: np.sum(x**2) * 2,
    ],
)
def test_another_structure_is_another_entry(graph, second):
    x = ad.Tensor(A)
    graph.gradient(np.sum(x**2), [x])
    graph.gradient(second(x), [x])
    assert graph.cache_info()[:3] == (0, 2, 2)


def test_order_and_variables_are_part_of_the_structure(graph):
    x, y = ad.Tensor(A), ad.Tensor(B)
    e = np.sin(x * y)
    graph.gradient(e, [x])
    for dx, n in (([x], 2), ([y], 1), ([x, y], 1), ([y, x], 1)):
        graph.gradient(np.sin(x * y), dx, n)
    assert graph.cache_info()[:3] == (0, 5, 5)
    np.testing.assert_allclose(graph.gradient(np.sin(x * y), [y, x])[0], np.cos(A * B) * A)
    assert graph.cache_info().hits == 1


@pytest.mark.parametrize("other", [B[:, :2], B.astype(np.float32)], ids=["shape", "dtype"])
def test_new_shape_or_dtype_compiles_another_and_keeps_the_old(graph, other):
    def step(value):
        x = ad.Tensor(value)
        return graph.gradient(np.sum(x**2), [x])[0]

    step(A)
    result = step(other)
    np.testing.assert_array_equal(result, 2 * other)
    assert result.dtype == other.dtype
    assert graph.cache_info()[:3] == (0, 2, 2)
    step(B)
    step(other)
    assert graph.cache_info()[:3] == (2, 2, 2)


def test_second_gradient_of_the_same_dy(graph):
    x = ad.Tensor(A)
    y = np.sum(np.sin(x))
    first = graph.gradient(y, [x])[0]
    second = graph.gradient(y, [x])[0]  # the value of y is known now, which may be another plan
    third = graph.gradient(y, [x])[0]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    assert graph.cache_info().misses <= 2
    assert graph.cache_info().hits >= 1


def test_cache_is_bounded_and_drops_the_least_recently_used():
    graph = ad.Graph(cache_size=2)

    def step(n):
        x = ad.Tensor(np.ones(n))
        graph.gradient(np.sum(x**2), [x])

    for n in (1, 2, 1, 3):  # 2 goes
        step(n)
    info = graph.cache_info()
    assert (info.entries, info.capacity, info.misses, info.hits) == (2, 2, 3, 1)
    step(1)
    assert graph.cache_info().misses == 3
    step(2)
    assert graph.cache_info().misses == 4
    for n in range(1, 30):
        step(n)
    assert graph.cache_info().entries == 2


def test_clear_cache(graph):
    x = ad.Tensor(A)
    graph.gradient(x**2, [x])
    assert graph.cache_info().compile_seconds > 0
    graph.clear_cache()
    assert graph.cache_info()[:3] == (0, 0, 0)
    assert graph.cache_info().compile_seconds == 0
    np.testing.assert_array_equal(graph.gradient(x**2, [x])[0], 2 * A)
    assert graph.cache_info()[:3] == (0, 1, 1)


def test_graphs_do_not_share_their_caches():
    x = ad.Tensor(A)
    one, other = ad.Graph(), ad.Graph()
    one.gradient(x**2, [x])
    assert other.cache_info().misses == 0


def test_repr_tells_what_is_cached(graph):
    x = ad.Tensor(A)
    graph.gradient(x**2, [x])
    graph.gradient(x**2, [x])
    assert repr(graph) == "Graph(backend='numpy', 1 compiled gradients, 1 hits)"


# --- compile ---------------------------------------------------------------------------------------------------------


def test_compiled_gradient_takes_new_values(graph):
    x, w = ad.Tensor(A), ad.Tensor(B)
    run = graph.compile(np.sum(np.sin(x) * w), [x, w], [x, w])
    for a, b in ((A, B), (B, A), (A + 1, B - 1)):
        value, (by_x, by_w) = run(a, b)
        np.testing.assert_allclose(value, np.sum(np.sin(a) * b))
        np.testing.assert_allclose(by_x, np.cos(a) * b)
        np.testing.assert_allclose(by_w, np.sin(a))


def test_compiled_gradient_keeps_the_other_values(graph):
    x, w = ad.Tensor(A), ad.Tensor(B)
    run = graph.compile(np.sum(x * w), [x, w], [x])
    w.assign(np.zeros_like(B))
    value, (by_x, by_w) = run(2 * A)
    np.testing.assert_allclose(value, np.sum(2 * A * B))
    np.testing.assert_array_equal(by_x, B)
    np.testing.assert_array_equal(by_w, 2 * A)


def test_compiled_gradient_of_an_intermediate_input(graph):
    x = ad.Tensor(A)
    middle = x * 3
    run = graph.compile(np.sum(middle**2 * x), [x, middle], [middle])
    value, (by_x, by_middle) = run(B)
    np.testing.assert_allclose(value, np.sum(B**2 * A))
    np.testing.assert_allclose(by_middle, 2 * B * A)
    np.testing.assert_allclose(by_x, B**2 + 3 * 2 * B * A)


def test_compiled_gradient_after_values_are_known(graph):
    x = ad.Tensor(A)
    y = np.sum((x @ B.T) ** 2)
    y.value
    value, (by_x,) = graph.compile(y, [x], [x])(np.ones_like(A))
    np.testing.assert_allclose(value, np.sum((np.ones_like(A) @ B.T) ** 2))
    np.testing.assert_allclose(by_x, 2 * np.ones_like(A) @ B.T @ B)


def test_compiled_gradient_records_nothing(graph, monkeypatch):
    x = ad.Tensor(A)
    run = graph.compile(np.sum(np.tanh(x)), [x], [x])
    monkeypatch.setattr("autodiff.nodes.Operation.__init__", lambda *args: pytest.fail("recorded"))
    run(B)


def test_compiled_gradient_results_are_its_callers(graph):
    x = ad.Tensor(A)
    run = graph.compile(x * 1, [x], [x])
    argument = B.copy()
    value, (gradient,) = run(argument)
    value[...] = 0
    gradient[...] = 0
    np.testing.assert_array_equal(argument, B)
    value, (gradient,) = run(argument)
    np.testing.assert_array_equal(value, B)
    np.testing.assert_array_equal(gradient, np.ones_like(A))


def test_compiled_gradient_checks_and_converts_its_arguments(graph):
    x = ad.Tensor(A)
    run = graph.compile(np.sum(x**2), [x], [x])
    value, _ = run(B.tolist())
    np.testing.assert_allclose(value, np.sum(B**2))
    value, _ = run(ad.Tensor(B))
    np.testing.assert_allclose(value, np.sum(B**2))
    with pytest.raises(errors.ShapeError, match=r"\(3,\).*float64\[2, 3\]"):
        run(np.ones(3))
    with pytest.raises(errors.ArgumentError, match="1 array, not 2"):
        run(A, B)
    with pytest.raises(errors.ArgumentError, match="not in the history"):
        graph.compile(np.sum(x**2), [x], [ad.Tensor(B)])
    with pytest.raises(errors.ArgumentError, match=r"inputs"):
        graph.compile(np.sum(x**2), [x], [x, x])
    with pytest.raises(errors.ArgumentError, match=r"inputs\[0\]"):
        graph.compile(np.sum(x**2), [x], [A])


# --- source ----------------------------------------------------------------------------------------------------------

SOURCES = {
    "polynomial": lambda x: np.sum(3 * x**3 - x / 7),
    "network": lambda x: np.sum(np.tanh(B @ x.T)),
    "choice": lambda x: np.sum(np.where(x > 0, x, 0.1 * x) + np.maximum(x, 0)),
    "index": lambda x: np.sum(x[[0, 0, 1]] ** 2) + x[1, 2],
    "scalars": lambda x: np.sum(x) * np.sin(np.sum(x**2)),
    "complex": lambda x: np.sum(np.real(np.exp(1j * x) * (1 + 2j))),
    "single": lambda x: np.sum(x.astype(np.float32) ** 2),
}


@pytest.mark.parametrize("function", SOURCES.values(), ids=SOURCES)
def test_source_compiles_and_runs(graph, function):
    x = ad.Tensor(A)
    y = function(x)
    source = graph.source(y, [x])
    expected = graph.gradient(y, [x])[0]
    (entry,) = graph._gradients.cache.values()
    trace = y.node.collected
    namespace = {}
    exec(compile(source, "<source>", "exec"), namespace)
    results = namespace["run"](namespace["workspace"](), *trace.values())
    np.testing.assert_allclose(results[-1], expected)
    assert entry.plan.source == source
    assert not any(line != line.rstrip() for line in source.splitlines())


def test_source_is_readable(graph):
    x = ad.Tensor(A)
    source = graph.source(np.sum(np.sin(x)), [x])
    assert "x0: float64[2, 3]" in source
    assert "cos(x0" in source


def test_names_never_reach_the_source(graph):
    evil = "__import__('os')"
    x = ad.Tensor(A, name=evil)
    c = ad.Tensor(B, name=evil, constant=True)
    y = np.sum(x * c + x[0])
    assert evil in repr(x)
    assert "import" not in graph.source(y, [x]).replace("from numpy import", "").replace("import math", "")
    assert evil not in graph.compile(y, [x], [x]).source
    np.testing.assert_array_equal(graph.gradient(y, [x])[0], B + np.array([[2.0], [0.0]]))


def test_source_of_higher_orders_shares_subexpressions(graph, monkeypatch):
    """The generated operations of the plotter's function grow by less than two an order."""
    monkeypatch.setattr(execute, "LONGEST_SIMPLIFIED", 10_000)
    a = ad.Tensor(np.arange(-2, 2, 0.01))
    counts = []
    for n in range(1, 7):
        d = np.sin((a**2) * np.tanh(a))
        graph.gradient(d, [a], n)
        counts.append(graph._gradients.cache.values()[-1].plan.n_operations)
    growth = np.diff(counts) / counts[:-1]
    assert max(growth) < 2
    assert counts[-1] < 200


# --- backends --------------------------------------------------------------------------------------------------------


def test_graph_takes_a_backend_by_name_or_object():
    assert ad.Graph("numpy").backend is ad.Graph().backend
    assert ad.Graph(backend=ad.get_backend("numpy")).backend.name == "numpy"


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None])
def test_cache_size_is_checked(size):
    with pytest.raises(errors.ArgumentError, match="cache_size"):
        ad.Graph(cache_size=size)


# --- what a key knows ------------------------------------------------------------------------------------------------

OPERANDS = [
    lambda: ad.Tensor([1.0, 2.0]),
    lambda: ad.Tensor(np.ones((2, 1), np.float32)),
    lambda: ad.Tensor(np.ones((3, 2), np.complex64)),
    lambda: ad.Tensor(2.0),
    lambda: ad.Tensor(np.zeros((0, 2))),
    lambda: ad.Tensor(np.float16(0.5)),
]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.lists(st.integers(0, 5), min_size=1, max_size=3), st.booleans()), max_size=8
    )
)
def test_plans_are_found_for_what_they_were_made_for_only(calls):
    """One graph for results that depend on some of the variables gives what a new graph for each gives."""
    shared = ad.Graph()
    for used, asked, of_asked in calls:
        variables = [OPERANDS[i]() for i in asked]
        x = variables[0] if of_asked else OPERANDS[used]()
        y = np.sum(np.real(x * np.conj(x)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ad.IndependentWarning)
            found, expected = shared.gradient(y, variables), ad.Graph().gradient(y, variables)
        for one, other, variable in zip(found, expected, variables):
            assert (one.shape, one.dtype) == (other.shape, other.dtype) == (variable.shape, variable.dtype)
            np.testing.assert_array_equal(one, other)


def test_zeros_of_another_shape_at_the_second_call():
    f = ad.grad(lambda a, b: np.sum(a**2), (0, 1))
    for b in (np.ones(3), np.ones(4), np.ones((2, 2), np.float32), 2.0, 1j, np.ones(3)):
        with pytest.warns(ad.IndependentWarning):
            zeros = f(np.ones(2), b)[1]
        assert type(zeros) is type(b)
        assert np.shape(zeros) == np.shape(b)
        assert np.asarray(zeros).dtype == np.asarray(b).dtype
        assert not np.any(zeros)


@pytest.mark.parametrize("as_tensors", [False, True])
def test_independence_is_told_at_every_call_at_the_users_line(as_tensors):
    graph, x, y = ad.Graph(), ad.Tensor([1.0]), ad.Tensor([2.0])
    for _ in range(3):
        with pytest.warns(ad.IndependentWarning, match=r"variable 1, a Tensor float64\[1\]") as caught:
            graph.gradient(np.sum(x**2), [x, y], as_tensors=as_tensors)
        assert [w.filename for w in caught] == [__file__]


def test_a_long_gradient_is_compiled_once_whether_its_value_is_at_hand_or_not(monkeypatch):
    monkeypatch.setattr(gradients, "LONGEST_TWICE", 20)
    compiled = []
    real = gradients.compile_nodes
    monkeypatch.setattr(gradients, "compile_nodes", lambda *args, **kw: compiled.append(args) or real(*args, **kw))
    x = ad.Tensor([0.5, 1.5])
    for steps, count in ((20, 1), (2, 2)):
        y = x
        for _ in range(steps):
            y = np.sin(y) * 1.1
        y = np.sum(y)
        graph = ad.Graph()
        del compiled[:]
        (first,) = graph.gradient(y, [x])
        value = y.value
        (second,) = graph.gradient(y, [x])
        assert len(compiled) == count
        np.testing.assert_array_equal(first, second)
        assert y.value is value
