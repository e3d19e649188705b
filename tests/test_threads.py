"""Eight threads at once: recording, evaluating, nested derivatives, one plan, one cache; no wrong value."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
import autodiff_backends
from autodiff.core.avals import FLOAT64, intern_aval
from autodiff.numpy_api.memo import memoised
from autodiff.ops import indexing
from autodiff.plan import execute

THREADS = 8


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work: Callable[[int], None]) -> None:
    """Run ``work(seed)`` in eight threads, started together; raise what the first one raised."""
    barrier = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(seed: int) -> None:
        barrier.wait()
        try:
            work(seed)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def values(seed: int, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_one_graph_and_one_structure():
    graph = ad.Graph()

    def work(seed):
        for step in range(60):
            a = values(seed * 1000 + step)
            x = ad.Tensor(a)
            y = np.sum(np.sin(x) * x**2)
            value, (gradient,) = graph.value_and_gradient(y, [x])
            np.testing.assert_allclose(gradient, np.cos(a) * a**2 + 2 * a * np.sin(a), rtol=1e-12)
            np.testing.assert_allclose(value, np.sum(np.sin(a) * a**2), rtol=1e-12)

    at_once(work)
    info = graph.cache_info()
    assert info.entries == 1
    assert info.misses <= THREADS


def test_recipes_in_tables_too_small_for_them(monkeypatch):
    monkeypatch.setattr(indexing, "FORMS_KEPT", 3)
    centered = memoised(lambda t, axis: np.stack([t - np.mean(t, axis, keepdims=True), t * 0.3], axis))

    def work(seed):
        for step in range(60):
            a = values(seed * 1000 + step, (2 + step % 3, 4))
            x = ad.Tensor(a)
            i, axis = step % 2, (step + seed) % 2
            expected = np.stack([a - a.mean(axis, keepdims=True), a * 0.3], axis)
            np.testing.assert_allclose(centered(x, axis).value, expected)
            np.testing.assert_array_equal(x[i, seed % 4 :].value, a[i, seed % 4 :])
            np.testing.assert_allclose((x @ x.T).value, a @ a.T)

    at_once(work)


def test_many_structures_in_a_cache_too_small_for_them():
    graph = ad.Graph(cache_size=2)

    def work(seed):
        for step in range(40):
            power, size = 2 + (seed + step) % 5, 1 + step % 3
            a = values(seed, (size,))
            x = ad.Tensor(a)
            (gradient,) = graph.gradient(np.sum(x**power), [x])
            np.testing.assert_allclose(gradient, power * a ** (power - 1), rtol=1e-12)

    at_once(work)
    assert graph.cache_info().entries <= 2


def test_nested_gradients():
    def work(seed):
        for step in range(15):
            x = 0.3 + seed + step / 7

            def f(t, x=x):
                inner = ad.grad(lambda u: t * np.sin(u) * u)(t)
                return inner * t + ad.grad(lambda u: u**3)(x) * t

            # t * d/du(t sin(u) u) at u = t: t^2 (sin t + t cos t)
            expected = 2 * x * (np.sin(x) + x * np.cos(x)) + x**2 * (2 * np.cos(x) - x * np.sin(x)) + 3 * x**2
            assert ad.grad(f)(x) == pytest.approx(expected, rel=1e-11)
            assert ad.grad(ad.grad(ad.grad(np.exp)))(x) == pytest.approx(np.exp(x), rel=1e-12)

    at_once(work)


def test_one_lazy_tensor_looked_at_by_all():
    for round_ in range(30):
        a = values(round_)
        x = ad.Tensor(a)
        product = x @ a.T
        y = np.sum(np.tanh(product) * product + round_)
        seen = [None] * THREADS

        def work(seed, y=y, product=product, seen=seen):
            seen[seed] = (float(y), product.value.copy())

        at_once(work)
        expected = float(np.sum(np.tanh(a @ a.T) * (a @ a.T) + round_))
        for total, matrix in seen:
            assert total == pytest.approx(expected, rel=1e-12)
            np.testing.assert_allclose(matrix, a @ a.T, rtol=1e-12)


def test_one_result_differentiated_by_all():
    graph = ad.Graph()
    for round_ in range(20):
        a = values(round_)
        x, w = ad.Tensor(a), ad.Tensor(2 * a)
        y = np.sum(np.exp(x / 3) * w)

        def work(seed, a=a, x=x, w=w, y=y):
            dx = [x, w] if seed % 2 else [w, x]
            found = dict(zip(dx, graph.gradient(y, dx)))
            np.testing.assert_allclose(found[x], np.exp(a / 3) * 2 * a / 3, rtol=1e-12)
            np.testing.assert_allclose(found[w], np.exp(a / 3), rtol=1e-12)
            (second,) = graph.gradient(y, [x], 2)
            np.testing.assert_allclose(second, np.exp(a / 3) * 2 * a / 9, rtol=1e-12)

        at_once(work)


def test_one_compiled_gradient():
    x = ad.Tensor(values(0))
    run = ad.Graph().compile(np.sum(np.tanh(np.sin(x) * np.exp(-x)) ** 2), [x], [x])

    def work(seed):
        a = values(seed)
        expected_value, (expected,) = run(a)
        expected_value, expected = expected_value.copy(), expected.copy()
        for _ in range(200):
            value, (gradient,) = run(a)
            np.testing.assert_array_equal(value, expected_value)
            np.testing.assert_array_equal(gradient, expected)
        inner = np.sin(a) * np.exp(-a)
        np.testing.assert_allclose(expected_value, np.sum(np.tanh(inner) ** 2), rtol=1e-12)

    at_once(work)


def test_one_function_traced_by_all_at_once():
    w = ad.Tensor([1.0, 2.0, 3.0, 4.0])

    @ad.function
    def step(x, rate):
        value, gradient = ad.value_and_grad(lambda t: np.sum(np.sin(t * w)))(x)
        return value, x - rate * gradient

    def work(seed):
        for i in range(30):
            a = values(seed * 100 + i, (1 + i % 2, 4))
            value, moved = step(a, 0.1 * seed)
            np.testing.assert_allclose(value, np.sum(np.sin(a * w.value)), rtol=1e-12)
            np.testing.assert_allclose(moved, a - 0.1 * seed * np.cos(a * w.value) * w.value, rtol=1e-11)

    at_once(work)
    assert step.cache_info().entries == 2


def test_threads_with_their_own_variables_train_alone():
    graph = ad.Graph()

    def train(seed):
        w = ad.Tensor(values(seed, (4,)))
        target = values(seed + 100, (4,))
        for _ in range(40):
            loss = np.sum((w - target) ** 2)
            w.assign(w.value - 0.3 * graph.gradient(loss, [w])[0])
        return w.value, target

    results = [None] * THREADS

    def work(seed):
        results[seed] = train(seed)

    at_once(work)
    for found, target in results:
        np.testing.assert_allclose(found, target, atol=1e-10)


def test_errors_in_one_thread_do_not_reach_another():
    def work(seed):
        for step in range(30):
            if seed % 2:
                with pytest.raises(ad.errors.ShapeError):
                    ad.grad(lambda x: np.sum(x @ np.ones(7)))(np.ones(3))
                with pytest.raises(ad.errors.TraceError):
                    ad.function(lambda x: float(np.sum(x)))(np.ones(3))
            else:
                a = values(seed + step)
                np.testing.assert_allclose(ad.grad(lambda x: np.sum(x**3))(a), 3 * a**2, rtol=1e-12)
                assert ad.function(lambda x: np.sum(x))(a) == pytest.approx(np.sum(a))

    at_once(work)


def test_avals_stay_interned():
    """One object for one abstract value: identity is what keys compare by."""
    for round_ in range(20):
        shape = (round_, 7919)
        found = [None] * THREADS

        def work(seed, shape=shape, found=found):
            found[seed] = intern_aval(shape, FLOAT64)

        at_once(work)
        assert all(aval is found[0] for aval in found)


def test_evaluations_share_their_cache():
    execute.evaluations.clear()

    def work(seed):
        for step in range(30):
            a = values(seed + step, (2, 2))
            np.testing.assert_allclose((np.cbrt(ad.Tensor(a)) * 3).value, np.cbrt(a) * 3, rtol=1e-12)

    at_once(work)
    assert execute.evaluations.info().entries <= 2


# --- a signal handler, or a finalizer, at any line -------------------------------------------------------------------

# Of 9,000 lines for the first gradient of a structure, so many are passed over each time.
STEP = 1 if "NIGHTLY" in os.environ else 97

LIBRARY = tuple(str(Path(package.__file__).parent) for package in (ad, autodiff_backends))


def come_in(at: int, handler: Callable[[], None], work: Callable[[], None]) -> int:
    """Do ``work``, and what a handler does at one of the library's lines in it; how many lines there are."""
    lines = 0

    def local(frame, event, _):
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == at:
                handler()
        return local

    sys.settrace(lambda frame, event, _: local if frame.f_code.co_filename.startswith(LIBRARY) else None)
    try:
        work()
    finally:
        sys.settrace(None)
    return lines


def first_gradient(graph, a):
    """Recorded and compiled for the first time."""
    x = ad.Tensor(a)
    value, (slope,) = graph.value_and_gradient(np.sum(np.sin(x) * x[1] * x), [x])
    wanted = a[1] * (np.cos(a) * a + np.sin(a))
    wanted[1] += np.sum(np.sin(a) * a)
    np.testing.assert_allclose(slope, wanted, rtol=1e-12)
    np.testing.assert_allclose(value, np.sum(np.sin(a) * a[1] * a), rtol=1e-12)


def reading_and_computing(graph, seen):
    """What a handler may do: say what was compiled so far, and compute something new, on the same graph."""
    assert "compiled gradients" in repr(graph)
    assert graph.cache_info().entries <= 2
    assert "numpy" in ad.backends()
    graph.clear_cache()
    first_gradient(graph, np.linspace(0.5, 1.5, 2 + len(seen) % 5))
    seen.append(None)


def test_a_handler_may_come_in_at_any_line():
    """In a thread, so that one that waits for itself is a failure."""
    seen, problems = [], []

    def work():
        try:
            at, lines = 1, 1
            while at <= lines:
                graph, a = ad.Graph(), np.linspace(-1.0, 1.0, 3 + at % 4)
                lines = come_in(at, partial(reading_and_computing, graph, seen), partial(first_gradient, graph, a))
                at += STEP
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(3600 if STEP == 1 else 120)
    assert not thread.is_alive(), "a handler waits for what it came into"
    if problems:
        raise problems[0]
    assert len(seen) > 50
