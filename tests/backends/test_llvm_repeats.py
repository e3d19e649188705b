"""Loops of steps as one kernel, against Python's loops: what is carried, handed on, permuted, stacked, reversed."""

import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff.plan import execute
from autodiff_backends.llvm import arguments, machine, repeats
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm.repeats import Repeated

from .. import loops

pytest.importorskip("llvmlite")

RNG = np.random.default_rng(3)
W, X, H = RNG.normal(size=(3, 3)) / 2, RNG.normal(size=(7, 3)), RNG.normal(size=3)


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """What was made a kernel of all steps, also where it does not pay."""
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))
    # Not only from the third call on.
    monkeypatch.setattr(execute, "LONGEST_SIMPLIFIED", 10_000)
    found = []

    class Noted(Repeated):
        def __init__(self, text, known):
            super().__init__(text, known)
            found.append(self)

    monkeypatch.setattr(llvm_, "Repeated", Noted)
    return found


def network(scan, number=1.0):
    """With a number that makes it another structure, which no other test has compiled."""

    def f(w, x, h):
        def step(h, x):
            h = np.tanh(w @ h + x)
            return h, h * x * number

        last, ys = scan(step, h, x)
        return np.sum(last * last) + np.sum(np.sin(ys))

    return f


def fibonacci(scan):
    """What is carried changes places, and results are the same value, or elements."""

    def f(a, b, x):
        def step(state, x):
            a, b, _ = state
            new = a + b * x
            return (b, new, new * 0.5), (a, new, x, b, new)

        last, ys = scan(step, (a, b, a * b), x)
        return sum(np.sum(np.cos(y) * (i + 1)) for i, y in enumerate([*last, *ys]))

    return f


def doubled(scan):
    """One value is carried in two places, and is no result."""

    def f(a, b, x):
        def step(state, x):
            a, b = state
            new = np.sin(a * b + x)
            return (new, new), a - b * 0.5

        (a, b), ys = scan(step, (a, b), x)
        return np.sum(a * b) + np.sum(ys * ys)

    return f


def counting(scan):
    """Whole numbers and truth values beside; what stays as it is; the same array as an element and as a constant."""

    def f(w, x, h):
        def step(state, x):
            h, kept, count, ever = state
            h = np.where(ever, h * 0.5, h) + x * kept
            return (h, kept, count + 2, ever | (np.sum(h) > 1)), (count, ever, kept)

        last, (counts, evers, kepts) = scan(step, (h, w, 0, False), x)
        return np.sum(last[0] * last[2]) + np.sum(counts * evers) + np.sum(kepts * x) + np.sum(last[1])

    return f


def rotated(scan):
    """Three places in a ring, and one that takes an element as it is."""

    def f(a, b, x):
        def step(state, x):
            a, b, c, d = state
            return (b, c, a, x), a * d

        last, ys = scan(step, (a, b, a - b, b), x)
        return np.sum(ys * ys) + sum(np.sum(v * (i + 1.5)) for i, v in enumerate(last))

    return f


CASES = [
    (network, (W, X, H)),
    (fibonacci, (H, H * 2, X)),
    (doubled, (H, H * 2, X)),
    (counting, (H, X, H * 0.3)),
    (rotated, (H, H[::-1], X)),
]
LAYOUTS = [lambda a: a, np.asfortranarray, lambda a: np.repeat(a, 2, 0)[::2], lambda a: a[::-1]]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("case", "arguments"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_a_loop_is_pythons(case, arguments, reverse, made):
    ours, python = (case(lambda *a, loop=loop: loop(*a, reverse=reverse)) for loop in (ad.scan, loops.scan))
    for layout in LAYOUTS:
        given = [layout(a) for a in arguments]
        expected = np.asarray(python(*given))
        np.testing.assert_allclose(ad.function(ours, backend="llvm")(*given), expected, rtol=1e-12)
        every = tuple(range(len(given)))
        found = ad.function(ad.grad(ours, every), backend="llvm")(*given)
        for one, wanted in zip(found, ad.grad(python, every)(*given), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-9, atol=1e-12)
    # The loop, and its reverse.
    assert len(made) >= 2


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("case", "arguments"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_long_loops_are_several_calls(case, arguments, reverse, monkeypatch, made):
    """Between which signals are handled. The number of steps makes it another loop than those of other tests."""
    monkeypatch.setattr(repeats, "LONGEST_CALL", 0.0)
    ours, python = (case(lambda *a, loop=loop: loop(*a, reverse=reverse)) for loop in (ad.scan, loops.scan))
    given = [np.concatenate([a, a[:1]]) if a.shape == X.shape else a for a in arguments]
    value, slope = ad.function(ad.value_and_grad(ours), backend="llvm")(*given)
    expected, wanted = ad.value_and_grad(python)(*given)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, wanted, rtol=1e-9, atol=1e-12)
    assert len(made) >= 2
    assert {kernel._together for kernel in made} == {1}


@pytest.mark.parametrize("length", [1, 2, 50])
def test_one_text_is_for_any_number_of_steps(length, made):
    x = RNG.normal(size=(length, 3))
    function = ad.function(ad.value_and_grad(network(ad.scan)), backend="llvm")
    value, gradient = function(W, x, H)
    wanted, slope = ad.value_and_grad(network(loops.scan))(W, x, H)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-9)
    texts = {kernel.source for kernel in made}
    ad.function(ad.value_and_grad(network(ad.scan)), backend="llvm")(W, RNG.normal(size=(length + 3, 3)), H)
    assert {kernel.source for kernel in made} == texts


def test_second_derivatives_and_batches():
    def second(scan):
        f = network(scan)
        return ad.vmap(ad.grad(lambda h: np.sum(ad.grad(f, 2)(W, X, h) ** 2)))

    many = RNG.normal(size=(4, 3))
    found = ad.function(second(ad.scan), backend="llvm")(many)
    np.testing.assert_allclose(found, second(loops.scan)(many), rtol=1e-9)

    def tangents(scan):
        return lambda x: ad.jvp(lambda x: ad.vmap(network(scan), (None, 1, 1))(W, x, many.T), (x,), (x * x,))

    x = RNG.normal(size=(7, 4, 3))
    for one, wanted in zip(ad.function(tangents(ad.scan), backend="llvm")(x), tangents(loops.scan)(x)):
        np.testing.assert_allclose(one, wanted, rtol=1e-9)


def test_numbers_of_python_and_many_operands(made):
    """More than are parameters one by one."""
    many = [RNG.normal(size=3) for _ in range(20)]

    def f(loop):
        def g(rate, *arrays):
            def body(i, h):
                for a in arrays:
                    h = h + rate * a * h * 0.01
                return h - 0.1 * i

            return np.sum(loop(0, 9, body, H) ** 2)

        return g

    every = tuple(range(21))
    found = ad.function(ad.grad(f(ad.fori_loop), every), backend="llvm")(0.5, *many)
    for one, wanted in zip(found, ad.grad(f(loops.fori_loop), every)(0.5, *many), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-9)
    assert made


def test_empty_arrays_and_results_alone():
    def f(scan):
        def g(x, empty):
            last, ys = scan(lambda e, x: (e * 2, np.sum(x * x)), empty, x)
            return np.sum(ys) + np.sum(last)

        return g

    empty = np.zeros((0, 2))
    found = ad.function(ad.grad(f(ad.scan), (0, 1)), backend="llvm")(X, empty)
    np.testing.assert_allclose(found[0], 2 * X)
    assert found[1].shape == (0, 2)


def test_results_share_no_memory(made):
    def f(h, x):
        def step(state, x):
            a, _ = state
            return (a, x), (a, x * 2)

        return ad.scan(step, (h, h), x)

    loop = ad.function(f, backend="llvm")
    results = [array for _ in range(2) for pair in loop(H, X) for array in pair]
    assert made
    given = [H, X]
    for i, one in enumerate(results):
        assert one.flags.writeable
        assert not any(np.may_share_memory(one, other) for other in [*results[:i], *given])


def test_eight_threads_call_one_loop():
    loop = ad.function(network(ad.scan), backend="llvm")
    python = network(loops.scan)
    cases = [(W * (k + 1) / 8, RNG.normal(size=(50, 3)), H + k) for k in range(8)]
    expected = [float(np.asarray(python(*case))) for case in cases]
    np.testing.assert_allclose(loop(*cases[0]), expected[0])
    barrier, wrong = threading.Barrier(8), []

    def work(k):
        barrier.wait()
        for _ in range(100):
            found = float(loop(*cases[k]))
            if abs(found - expected[k]) > 1e-9:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_other_layouts_are_called_by_ctypes(monkeypatch, made):
    for module in (repeats, llvm_):
        monkeypatch.setattr(module, "holds", lambda: False)
    found = ad.function(ad.grad(network(ad.scan, 4.0)), backend="llvm")(W, X, H)
    np.testing.assert_allclose(found, ad.grad(network(loops.scan, 4.0))(W, X, H), rtol=1e-9)
    assert made
    assert all(isinstance(kernel._kernel, arguments.Direct) for kernel in made)


def test_what_is_no_kernel_is_called_step_by_step(made):
    """A cumulative sum in a step, and a loop in a loop, which is a kernel itself."""

    def f(scan):
        def inner(x):
            return scan(lambda h, v: (np.sin(h + v), h * v), 0.5, x)

        def g(x, h):
            def step(h, x):
                last, ys = inner(np.cumsum(x) * h)
                return np.tanh(h + last), np.sum(ys)

            last, ys = scan(step, h, x)
            return np.sum(last) + np.sum(ys * ys)

        return g

    found = ad.function(ad.grad(f(ad.scan), (0, 1)), backend="llvm")(X, 0.3)
    for one, wanted in zip(found, ad.grad(f(loops.scan), (0, 1))(X, 0.3), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-9)
    assert made


def test_other_arrays_are_refused(made):
    """What the text is compiled for is checked before an address is taken."""
    ad.function(network(ad.scan, 2.0), backend="llvm")(W, X, H)
    (kernel,) = made
    with pytest.raises(TypeError, match="a loop was called with"):
        kernel([W, H[:2], X])
    with pytest.raises(TypeError, match="a loop was called with"):
        kernel([W, H.astype("f4"), X])


def test_what_llvm_does_not_take_is_called_step_by_step(monkeypatch, made):
    monkeypatch.setattr(machine, "attributes", lambda _: "attributes #0 = { unheard_of }")
    with pytest.warns(RuntimeWarning, match="this version of LLVM cannot compile"):
        found = ad.function(ad.grad(network(ad.scan, 3.0)), backend="llvm")(W, X, H)
    np.testing.assert_allclose(found, ad.grad(network(loops.scan, 3.0))(W, X, H), rtol=1e-9)
    assert made == []


def test_steps_of_loops_that_end_by_themselves_are_kernels():
    def f(loop):
        return lambda x: np.sum(loop(lambda s: np.sum(s * s) < 50.0, lambda s: s * 1.5 + 0.1, x) ** 2)

    found = ad.function(ad.value_and_grad(f(ad.while_loop)), backend="llvm")(H)
    value, slope = ad.value_and_grad(f(ad.while_loop))(H)
    np.testing.assert_allclose(found[0], value, rtol=1e-12)
    np.testing.assert_allclose(found[1], slope, rtol=1e-9)
