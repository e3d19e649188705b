"""Plans that know the numbers in indices: right for all others too, and compiled a bounded number of times."""

import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.plan import specialize
from autodiff.registry import get_backend

DATA = np.linspace(-1.0, 2.0, 12)


class Counting(ad.Backend):
    """NumPy, remembering the programs it compiled."""

    name = "counting"

    def __init__(self):
        self.programs = []

    def compile(self, program):
        self.programs.append(program)
        return get_backend("numpy").compile(program)


def stencil(x, i):
    return np.sum((x[1:] - x[:-1]) ** 2) * x[i] + np.sum(x[2:8] * x[:-1][:6])


def expected(i):
    difference = np.diff(DATA)
    gradient = np.zeros_like(DATA)
    gradient[1:] += 2 * difference
    gradient[:-1] -= 2 * difference
    gradient *= DATA[i]
    gradient[i] += np.sum(difference**2)
    gradient[2:8] += DATA[:6]
    gradient[:6] += DATA[2:8]
    return gradient


def test_every_index_value_is_right_and_compiles_few_plans():
    backend = Counting()
    graph = ad.Graph(backend=backend)
    for i in [0, 5, 3, 11, 0, -1, 5, 7]:
        x = ad.Tensor(DATA)
        (gradient,) = graph.gradient(stencil(x, i), [x])
        np.testing.assert_allclose(gradient, expected(i), rtol=1e-13, atol=1e-13)
    assert graph.cache_info().misses == 1
    assert len(backend.programs) == 2
    # What varied is data; the slices that did not are still known.
    first, second = (sum(a.spec is not None for a in p.avals[p.n_inputs :]) for p in backend.programs)
    assert 0 < second < first


def test_known_equal_slices_are_one_value():
    backend = Counting()
    x = ad.Tensor(DATA)
    ad.Graph(backend=backend).gradient(np.sum(np.exp(x[1:]) * np.sin(x[1:])), [x])
    (program,) = backend.programs
    assert sum(made.primitive is ops.index for _, made, _ in program.applications()) == 1


def test_values_that_keep_changing_end_specialization():
    backend = Counting()
    graph = ad.Graph(backend=backend)
    for start in range(6):
        x = ad.Tensor(DATA)
        # One index more changes each time than the time before.
        places = [max(0, start - k) for k in range(6)]
        y = sum(x[p] * x[p : p + 3][1] * (k + 1.0) for k, p in enumerate(places))
        gradient = np.zeros_like(DATA)
        for k, p in enumerate(places):
            gradient[p] += (k + 1.0) * DATA[p + 1]
            gradient[p + 1] += (k + 1.0) * DATA[p]
        np.testing.assert_allclose(graph.gradient(y, [x])[0], gradient, rtol=1e-13)
    assert graph.cache_info().misses == 1
    assert len(backend.programs) == 1 + specialize.MOST_CHANGES


def test_second_order():
    graph = ad.Graph()
    for i in (2, 4, 4, 1):
        x = ad.Tensor(DATA)
        y = x[i] ** 3 * x[i + 1]
        hessian_rows = np.zeros_like(DATA)
        # The derivative of the sum of the gradient.
        hessian_rows[i] = 6 * DATA[i] * DATA[i + 1] + 3 * DATA[i] ** 2
        hessian_rows[i + 1] = 3 * DATA[i] ** 2
        np.testing.assert_allclose(graph.gradient(y, [x], 2)[0], hessian_rows, rtol=1e-12)


def test_no_user_data_is_kept():
    graph = ad.Graph()
    x = ad.Tensor(np.full(1000, 2.0))
    graph.gradient(np.sum(x[1:] * x[:-1]), [x])
    (compiled,) = graph._gradients.cache.values()
    plan = compiled.plan
    assert type(plan) is specialize.Specialized
    assert all(a.literal is not None or a.spec is None for a in plan._program.avals[plan._program.n_inputs :])
    assert not any(isinstance(v, np.ndarray) and v.size == 1000 for v in plan._program.constants.values())


@pytest.mark.parametrize("order", [1, 2])
def test_functions_and_compiled_gradients_know_their_indices(order):
    def f(x):
        return np.sum(x[1:] ** 3 * x[:-1])

    x = ad.Tensor(DATA)
    (wanted,) = ad.Graph().gradient(f(x), [x], order)
    differentiate = ad.grad(f) if order == 1 else ad.grad(lambda x: np.sum(ad.grad(f)(x)))
    np.testing.assert_allclose(ad.function(differentiate)(DATA), wanted, rtol=1e-13)
    if order == 1:
        compiled = ad.Graph().compile(f(x), [x], [x])
        assert "index" not in compiled.source.split("def run")[0]
        np.testing.assert_allclose(compiled(DATA)[1][0], wanted, rtol=1e-13)


def test_a_call_that_comes_into_another_at_any_line_is_right_and_so_is_the_other():
    """A signal handler's, or another thread's: what a plan knows is of the call that it is made for."""
    data = np.linspace(0.1, 1.0, 20)
    lines = 0

    def checked(graph, i):
        x = ad.Tensor(data)
        (slope,) = graph.gradient(x[i] * x[i] + np.sum(x[1:] * x[:-1]), [x])
        wanted = 2 * data * (np.arange(20) == i)
        wanted[1:] += data[:-1]
        wanted[:-1] += data[1:]
        np.testing.assert_allclose(slope, wanted, rtol=1e-12)

    def traced(at, graph, j):
        nonlocal lines
        lines = 0

        def local(frame, event, _):
            nonlocal lines
            lines += event == "line"
            if lines == at and event == "line":
                checked(graph, j)
            return local

        return lambda frame, event, _: local if frame.f_code.co_filename == specialize.__file__ else None

    at = most = 0
    while at <= most:
        at += 1
        graph = ad.Graph()
        checked(graph, 0)
        for i, j in [(1, 2), (3, 3), (4, 5), (5, 6)]:
            before = sys.gettrace()
            sys.settrace(traced(at, graph, j))
            try:
                checked(graph, i)
            finally:
                sys.settrace(before)
            most = max(most, lines)
    assert at > 20
