"""Plans that are made in the background: nobody waits, nothing is lost, and a process ends and forks as it should."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import background
from autodiff.background import Later
from autodiff.plan import execute, specialize
from autodiff.registry import get_backend
from autodiff_backends.numpy import backend as numpy_
from autodiff_backends.numpy.reference import Interpreted

DATA = np.linspace(0.1, 1.0, 20)


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch):
    # What is made in the background here are plans for other values, after one that is simplified at once.
    monkeypatch.setattr(execute, "LONGEST_SIMPLIFIED", 1_000)
    monkeypatch.setenv("AUTODIFF_TIERS", "numpy")
    monkeypatch.delenv(background.VARIABLE, raising=False)
    yield
    background.wait()


@pytest.fixture
def gate():
    """Work that waits until it is let go."""
    event = threading.Event()
    yield event
    event.set()


def test_nobody_waits_for_the_work(gate):
    later = Later(lambda: gate.wait(10) and "done", "waiting")
    assert later.get() is None
    gate.set()
    background.wait()
    assert later.get() == "done"
    assert not background._at_work()


def test_pieces_of_work_are_done_in_order():
    done = []
    pieces = [Later(lambda i=i: done.append(i) or i, "counting") for i in range(50)]
    background.wait()
    assert done == list(range(50))
    assert [later.get() for later in pieces] == done


def test_work_that_nobody_wants_any_more_is_not_begun(gate):
    done = []
    first = Later(lambda: gate.wait(10), "waiting")
    second = Later(lambda: done.append(2), "nothing")
    third = Later(lambda: done.append(3), "nothing")
    del second
    gate.set()
    background.wait()
    assert done == [3]
    assert first.get()
    assert third.get() is None


def test_failures_are_told_once_to_who_asks():
    later = Later(lambda: 1 // 0, "dividing")
    background.wait()
    with pytest.warns(RuntimeWarning, match="dividing failed, so the slower plan stays: ZeroDivisionError"):
        assert later.get() is None
    assert later.get() is None


def test_the_error_state_is_that_of_who_asked():
    with np.errstate(divide="raise", over="ignore"):
        later = Later(np.geterr, "asking")
        background.wait()
        assert later.get() == np.geterr()


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(background.VARIABLE, "0")
    assert Later(threading.current_thread, "asking").get() is threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        Later(lambda: 1 // 0, "dividing")


def test_without_threads_the_work_is_done_at_once(monkeypatch):
    def start(function, arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background, "start_new_thread", start)
    assert Later(threading.current_thread, "asking").get() is threading.current_thread()


def test_the_collector_runs_again_after_a_failure():
    later = Later(lambda: 1 // 0, "dividing")
    background.wait()
    assert gc.isenabled()
    with pytest.warns(RuntimeWarning):
        later.get()


# --- plans -----------------------------------------------------------------------------------------------------------


def varying(x, i):
    y = x * 0.5
    for _ in range(60):
        y = np.sin(y) * x + 0.1
    return np.sum(y[1:] * y[:-1]) + y[i] ** 2


def expected(i):
    return ad.Graph(backend=get_backend("numpy")).gradient(varying(x := ad.Tensor(DATA), i), [x])[0]


@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])
def test_a_changed_index_is_answered_at_once_and_compiled_meanwhile(name, monkeypatch):
    wanted = [expected(i) for i in range(6)]
    backend = get_backend(name)
    compiled = []
    compile_now = type(backend).compile

    def compile(self, program):
        compiled.append(threading.current_thread() is threading.main_thread())
        return compile_now(self, program)

    monkeypatch.setattr(type(backend), "compile", compile)
    graph = ad.Graph(backend=backend)
    for i in range(6):
        x = graph.tensor(DATA)
        (found,) = graph.gradient(varying(x, i), [x])
        np.testing.assert_allclose(backend.to_numpy(found), wanted[i], rtol=1e-12)
        if i == 3:
            background.wait()
    assert compiled == [True, False]
    (plan,) = [found.plan for found in graph._gradients.cache.values()]
    assert plan._later is None
    assert plan._interim is None
    assert len(plan._current.places) == 2


def test_switched_off_plans_are_compiled_by_who_asks(monkeypatch):
    monkeypatch.setenv(background.VARIABLE, "0")
    monkeypatch.setattr(numpy_, "LONGEST_AT_ONCE", 20)
    graph = ad.Graph()
    x = ad.Tensor(DATA)
    for i in range(6):
        np.testing.assert_allclose(graph.gradient(varying(x, i), [x])[0], expected(i), rtol=1e-12)
    (compiled,) = graph._gradients.cache.values()
    assert compiled.plan._interim is None
    assert compiled.plan._changes == 1
    # Interpreted twice, and then generated.
    assert "def run(" in compiled.plan.source
    assert not background._at_work()


def test_what_changes_while_a_plan_is_made_is_not_known_to_it(gate):
    backend = get_backend("numpy")

    class Slow(ad.Backend):
        name = "slow"
        compiled = 0

        def compile(self, program):
            return backend.compile(program)

        def interpret(self, program):
            return Interpreted(program)

    x = ad.Tensor(DATA)
    graph = ad.Graph(backend=Slow())
    blocker = Later(lambda: gate.wait(10), "waiting")
    for i, j in [(1, 1), (2, 1), (2, 5), (3, 6)]:
        (found,) = graph.gradient(np.sum(x[i] * x[j] * x[4:]), [x])
        wanted = DATA[i] * DATA[j] * (np.arange(20) >= 4.0)
        wanted[i] += DATA[j] * DATA[4:].sum()
        wanted[j] += DATA[i] * DATA[4:].sum()
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    (compiled,) = graph._gradients.cache.values()
    assert compiled.plan._changes == 1
    gate.set()
    background.wait()
    for i, j in [(7, 8), (3, 3)]:
        (found,) = graph.gradient(np.sum(x[i] * x[j] * x[4:]), [x])
    assert blocker.get()
    assert compiled.plan._changes == 1
    assert len(compiled.plan._current.places) == 1


def test_changes_end_in_a_plan_that_knows_nothing():
    graph = ad.Graph()
    x = ad.Tensor(DATA)
    for k in range(8):
        # One index more changes each time than the time before.
        places = [max(0, k - place) for place in range(6)]
        y = varying(x, 0) + sum(x[i] * x[19] for i in places)
        wanted = expected(0)
        for i in places:
            wanted[i] += DATA[19]
            wanted[19] += DATA[i]
        np.testing.assert_allclose(graph.gradient(y, [x])[0], wanted, rtol=1e-12)
        background.wait()
    (compiled,) = graph._gradients.cache.values()
    assert compiled.plan._changes == specialize.MOST_CHANGES
    assert compiled.plan._current.places == []


def test_plans_being_made_die_with_their_graph(gate):
    blocker = Later(lambda: gate.wait(10), "waiting")
    graph = ad.Graph()
    x = ad.Tensor(DATA)
    for i in range(2):
        graph.gradient(varying(x, i), [x])
    (compiled,) = graph._gradients.cache.values()
    later = weakref.ref(compiled.plan._later)
    gc.disable()
    try:
        graph.clear_cache()
        del compiled
        assert later() is None
    finally:
        gc.enable()
    gate.set()
    background.wait()
    assert blocker.get()


def test_a_plan_that_cannot_be_made_leaves_the_slower_one(monkeypatch):
    graph = ad.Graph()
    x = ad.Tensor(DATA)
    graph.gradient(varying(x, 0), [x])

    def compile(self, program):
        raise MemoryError("no more")

    monkeypatch.setattr(numpy_.NumpyBackend, "compile", compile)
    first = graph.gradient(varying(x, 1), [x])[0]
    background.wait()
    with pytest.warns(RuntimeWarning, match=r"other index values failed.*MemoryError: no more"):
        second = graph.gradient(varying(x, 1), [x])[0]
    third = graph.gradient(varying(x, 1), [x])[0]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


def test_threads_that_ask_meanwhile_are_answered_right():
    wanted = [expected(i) for i in range(6)]
    for _ in range(5):
        graph = ad.Graph()
        failures = []

        def work(seed, graph=graph, failures=failures):
            for k in range(12):
                x = ad.Tensor(DATA)
                i = (seed + k) % 6
                if not np.allclose(graph.gradient(varying(x, i), [x])[0], wanted[i], rtol=1e-12, atol=0):
                    failures.append((seed, k))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


@given(
    st.lists(
        st.tuples(st.integers(-20, 19), st.integers(-20, 19), st.integers(0, 10), st.booleans()),
        min_size=2,
        max_size=8,
    )
)
@settings(max_examples=25, deadline=None)
def test_any_run_of_index_values_is_right_whenever_plans_come(calls):
    graph = ad.Graph()
    for i, j, start, waits in calls:
        x = ad.Tensor(DATA)
        y = x
        for _ in range(50):
            y = np.sin(y) * x
        part = y[start : start + 10]
        (found,) = graph.gradient(y[i] * x[j] + np.sum(part * x[:10]) + part[3], [x])
        # The same, every index written as a product with zeros and ones.
        unit = np.eye(20)
        z = ad.Tensor(DATA)
        y = z
        for _ in range(50):
            y = np.sin(y) * z
        rows = unit[start : start + 10]
        value = np.sum(y * unit[i]) * np.sum(z * unit[j]) + np.sum((rows @ y) * (unit[:10] @ z)) + np.sum(y * rows[3])
        (wanted,) = ad.Graph().gradient(value, [z])
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
        if waits:
            background.wait()
    (compiled,) = graph._gradients.cache.values()
    assert compiled.plan._changes <= specialize.MOST_CHANGES


# --- processes -------------------------------------------------------------------------------------------------------

PROGRAM = """
import numpy as np, autodiff as ad, os, sys, atexit, threading, time
from autodiff import background
from autodiff.background import Later
"""


def run(program):
    command = [sys.executable, "-W", "error", "-c", PROGRAM + program]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_a_process_ends_after_the_piece_in_hand():
    start = time.perf_counter()
    result = run("""
pieces = [Later(lambda: time.sleep(0.5) or print("one", flush=True), "sleeping") for _ in range(100)]
time.sleep(0.1)
print("end", flush=True)
""")
    assert result.stderr == ""
    assert result.stdout.split() == ["end", "one"]
    assert time.perf_counter() - start < 30


def test_long_work_stops_at_its_next_part_when_the_process_ends():
    result = run("""
def work():
    while True:
        time.sleep(0.05)
        background.check()
later = Later(work, "for ever")
time.sleep(0.1)
""")
    assert (result.returncode, result.stderr) == (0, "")


def test_plans_still_answer_at_exit():
    result = run("""
x = ad.Tensor(np.linspace(0, 1, 400))
graph = ad.Graph()
def f(i):
    y = x
    for _ in range(100):
        y = np.sin(y) * x
    return graph.gradient(y[i] + np.sum(y[1:]), [x])[0].sum()
f(1)
@atexit.register
def _():
    assert f(2) == f(2)
    print("answered")
""")
    assert (result.stdout.split(), result.stderr) == (["answered"], "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_the_child_of_a_fork_begins_the_piece_in_hand_anew_and_keeps_the_rest():
    result = run("""
done = []
first = Later(lambda: time.sleep(0.3) or done.append(1) or 1, "sleeping")
second = Later(lambda: done.append(2) or 2, "counting")
time.sleep(0.1)
begin = time.perf_counter()
pid = os.fork()
assert time.perf_counter() - begin < 0.1, "a fork waited"
if not pid:
    assert first.get() is second.get() is None
    background.wait()
    assert (first.get(), second.get(), done) == (1, 2, [1, 2])
    third = Later(lambda: 3, "more")
    background.wait()
    os._exit(0 if third.get() == 3 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
background.wait()
assert done == [1, 2]
print("ok")
""")
    assert (result.stdout.split(), result.stderr) == (["ok"], "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_forks_from_several_threads():
    result = run("""
kept = []
def work():
    for _ in range(5):
        kept.append(Later(lambda: time.sleep(0.01) or 1, "sleeping"))
        pid = os.fork()
        if not pid:
            later = Later(lambda: 5, "counting")
            background.wait()
            os._exit(later.get())
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
import warnings
warnings.simplefilter("ignore")
threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads: t.start()
for t in threads: t.join()
background.wait()
print(sum(later.get() for later in kept))
""")
    assert (result.stdout.split(), result.stderr) == (["15"], "")
