"""Plans of Array API libraries as a whole: gradients, what outputs share, what is overwritten, long programs."""

import gc
import itertools
import threading
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff import background, ops
from autodiff.core.avals import FLOAT64, INDEX_DTYPE, intern_aval
from autodiff.differentiate import derivative
from autodiff.nodes import Slot, Variable
from autodiff.plan import Program, build, compile_nodes
from autodiff_backends.numpy import backend as numpy_
from autodiff_backends.numpy.reference import Interpreted

X = np.array([[0.5, -1.5, 2.0], [0.25, 3.0, -0.75]])
Y = np.array([1.5, -0.5, 0.25])


def perceptron(x, y):
    hidden = np.maximum(x @ np.diag([1.0, 2.0, 3.0]) + y, 0)
    return np.sum(np.log(np.sum(np.exp(hidden - np.max(hidden, axis=1, keepdims=True)), axis=1)) ** 2)


def written(x, y):
    z = x * 2.0
    z[0] = y
    z[:, 1] += x[:, 2]
    z[1, [0, 0, 2]] = y * 3
    return np.sum(z * z)


def selected(x, y):
    rows = x[[0, 1, 1, 0]] * y
    return np.sum(np.where(rows > 0, np.sqrt(np.abs(rows)), rows * 0.5)) + np.prod(y[::-1]) * x[1, -1]


def running(x, y):
    return np.sum(np.cumsum(x, axis=1) * np.cumprod(y)) + np.sum(np.concatenate([x, x.T.reshape(2, 3)]) ** 3)


def on_complex(x, y):
    z = np.exp((0.5 + 1j) * x) * (y + 2j)
    return np.sum(np.abs(z.conj() * z + 1j * x) ** 2)


def of_numbers(x, y):
    rate = ad.Tensor(0.1) * 3.0
    for step in range(5):
        x = x - rate / (step + 1) * np.tanh(x) * y
    return np.linalg.norm(x)


LOSSES = [perceptron, written, selected, running, on_complex, of_numbers]


def gradients(loss, backend, dtype, order=1):
    """A plan of a loss and its derivatives, and what it is called with."""
    x, y = ad.Tensor(X.astype(dtype)), ad.Tensor(Y.astype(dtype))
    out = loss(x, y)
    nodes = [x.node, y.node]
    outputs = [out.node, *[node for node in derivative(out.node, nodes, order) if node is not None]]
    return compile_nodes(nodes, outputs, backend, derivatives=True), (X.astype(dtype), Y.astype(dtype))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients(library, loss, dtype, order):
    wanted, values = gradients(loss, ad.get_backend("numpy"), dtype, order)
    plan, _ = gradients(loss, library, dtype, order)
    given = [library.asarray(v) for v in values]
    for _ in range(2):
        for found, expected in zip(plan(*given), wanted(*values)):
            assert library.device_of(found) == library.device
            found = library.to_numpy(found)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, 2e-5 if dtype is np.float32 else 1e-12, 1e-6)
    for value, array in zip(values, given):
        np.testing.assert_array_equal(library.to_numpy(array), value)


def variable(aval):
    return Variable(aval, None, Slot(None))


VECTOR = variable(intern_aval((4,), FLOAT64))
VALUE = np.array([1.0, 2.0, 3.0, 4.0])


def memory(library, array):
    return library.to_numpy(array) if library.device == "cpu" else array._array


def test_outputs_share_memory_with_nothing(library):
    doubled = VECTOR * 2.0
    outputs = [
        VECTOR,
        VECTOR,
        doubled,
        doubled,
        ops.reshape(doubled, (2, 2)),
        ops.reshape(VECTOR, (2, 2)),
        ops.broadcast_to(ops.sum(doubled, (0,)), (3,)),
        ops.take_slices(doubled * 3.0, slice(1, 3)),
        ops.transpose(ops.reshape(doubled * 5.0, (2, 2))),
        ops.full((3,), 1.0, FLOAT64),
        ops.real(ops.exp(VECTOR * 1j)),
        ops.flip(VECTOR, (0,)),
    ]
    plan = compile_nodes([VECTOR], outputs, library)
    value = library.asarray(VALUE)
    first, second = plan(value), plan(value)
    arrays = [memory(library, a) for a in (value, *first, *second)]
    for one, other in itertools.combinations(arrays, 2):
        assert not np.shares_memory(one, other)
    for array in arrays[1:]:
        array.reshape(-1)[...] = 99.0
    np.testing.assert_array_equal(library.to_numpy(value), VALUE)
    for array, expected in zip(plan(value), compile_nodes([VECTOR], outputs, ad.get_backend("numpy"))(VALUE)):
        np.testing.assert_array_equal(library.to_numpy(array), expected)


def write(x, item, values):
    return ops.write_index(x, item, values, lambda node: node.value)


def test_what_is_needed_later_is_not_overwritten(library):
    made = ops.exp(VECTOR)
    other = ops.sin(VECTOR)
    view = ops.reshape(made, (2, 2))
    crossing = ops.cos(VECTOR)
    outputs = [
        write(made, 0, 9.0),  # needed again by the view
        ops.sum(view, (0,)),
        write(other, 1, 8.0),
        other,
        write(write(ops.tan(VECTOR), 0, 7.0), 2, 6.0),  # needed by nothing else
        write(crossing, slice(0, 3), ops.take_slices(crossing, slice(1, 4))),  # both are one array
        write(VECTOR, 3, 5.0),
    ]
    program = build([VECTOR], outputs)
    plan = library.compile(program)
    value = library.asarray(VALUE)
    for found, expected in zip(plan(value), Interpreted(program)(VALUE)):
        np.testing.assert_allclose(library.to_numpy(found), expected, 1e-14)
    np.testing.assert_array_equal(library.to_numpy(value), VALUE)


def test_indices_are_arguments(library):
    """One plan for any numbers in an index."""
    spec = ("i", 2)
    program = Program([intern_aval((3, 4), FLOAT64), intern_aval((), INDEX_DTYPE, spec=spec)])
    values = program.call(ops.index, 0, 1)
    program.outputs = (values, program.call(ops.index_add, 0, 1, values), program.call(ops.index_set, 0, 1, values))
    plan = library.compile(program)
    x = np.arange(12.0).reshape(3, 4)
    for idx in [(0, slice(0, 2, 1)), (2, slice(3, 1, -1)), (1, slice(2, None, -2)), (1, slice(0, 4, 2))]:
        for found, expected in zip(plan(library.asarray(x), idx), Interpreted(program)(x, idx)):
            np.testing.assert_array_equal(library.to_numpy(found), expected)


def test_numbers_stay_numbers(library):
    number = variable(intern_aval((), FLOAT64, True))
    first = ops.index(VECTOR, ops.static_index(("i",), (0,)))
    chosen = ops.where(ops.less(first, number), number, 2.0)
    outputs = [ops.sin(number) * number, chosen, number * VECTOR, ops.less(number, 1.0), ops.broadcast_to(number, (2,))]
    plan = compile_nodes([number, VECTOR], outputs, library)
    sine, chosen, product, less, filled = plan(3.0, library.asarray(VALUE))
    assert (sine, chosen) == (np.sin(3.0) * 3.0, 3.0)
    assert type(sine) is type(chosen) is float
    np.testing.assert_array_equal(library.to_numpy(product), VALUE * 3)
    np.testing.assert_array_equal(library.to_numpy(filled), [3.0, 3.0])
    assert library.aval_of(less) == ((), np.dtype(bool))
    assert not library.to_numpy(less)


def test_a_function_has_one_name(library):
    number = variable(intern_aval((), FLOAT64, True))
    node = number
    for _ in range(5):
        node = ops.sin(node) + ops.cos(node)
    wide = variable(intern_aval((3,), np.dtype(np.uint32)))
    total = wide
    for _ in range(5):
        total = ops.minimum(total + wide, wide)
    source = compile_nodes([number, wide], [node, total], library).source
    names = [line.partition(":")[0] for line in source.splitlines() if line.startswith("#")]
    assert len(names) == len(set(names)) > 4
    assert not any(name.endswith("_") for name in names)


def test_values_are_freed_after_their_last_use(library):
    node = VECTOR
    for _ in range(50):
        node = ops.sin(node)
    plan = compile_nodes([VECTOR], [node], library)
    value = library.asarray(VALUE)
    alive = []
    peak = [0]
    name = "sin"
    # Warnings are silenced in a context of the call's own.
    names = getattr(plan._run, "__wrapped__", plan._run).__globals__
    sin = names[name]

    def counted(x):
        result = sin(x)
        alive.append(weakref.ref(result))
        peak[0] = max(peak[0], sum(ref() is not None for ref in alive))
        return result

    names[name] = counted
    gc.disable()
    try:
        plan(value)
    finally:
        gc.enable()
    assert len(alive) == 50
    assert peak[0] == 2


def test_source_shows_what_is_called(library):
    plan = compile_nodes([VECTOR], [ops.sin(VECTOR) * 2.0], library)
    assert "sin(x0)" in plan.source
    assert "# x0: float64[4]" in plan.source
    assert (plan.n_operations, plan.n_launches) == (2, 2)


def test_plans_die_without_the_collector(library):
    plan = compile_nodes([VECTOR], [ops.sin(VECTOR)], library)
    ref = weakref.ref(plan)
    gc.disable()
    try:
        del plan
        assert ref() is None
    finally:
        gc.enable()


def test_long_programs_are_interpreted_until_they_are_called_again(library, monkeypatch):
    monkeypatch.setattr(numpy_, "LONGEST_AT_ONCE", 20)
    node, number = VECTOR, variable(intern_aval((), FLOAT64, True))
    for i in range(20):
        node = ops.sin(node) * number + write(node, i % 4, 0.5)
    program = build([VECTOR, number], [node, VECTOR, number * 2.0])
    plan = library.compile(program)
    expected = Interpreted(program)(VALUE, 0.5)
    sources = []
    for _ in range(4):
        *found, doubled = plan(library.asarray(VALUE), 0.5)
        assert doubled == 1.0
        for one, other in zip(found, expected):
            np.testing.assert_allclose(library.to_numpy(one), other, 1e-13)
        sources.append("def run" in plan.source)
        background.wait()
    assert sources == [False, False, False, True]
    assert plan.n_operations == len(program.applications())


def test_plans_run_in_threads(library):
    plan, values = gradients(written, library, np.float64)
    given = [library.asarray(v) for v in values]
    expected = [library.to_numpy(a) for a in plan(*given)]
    failures = []

    def work():
        for _ in range(20):
            for found, wanted in zip(plan(*given), expected):
                if not np.array_equal(library.to_numpy(found), wanted):
                    failures.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_empty_program(library):
    assert library.compile(Program([]))() == ()
