"""Long work says how far it is: events, bars, and a line in the log."""

import io
import logging
import sys
import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff import background, progress
from autodiff.errors import ArgumentError, UnsupportedError


@pytest.fixture
def events(monkeypatch):
    """The events of work that begin at once, however short it is."""
    monkeypatch.setattr(progress, "LONG", 0.0)
    monkeypatch.setattr(progress, "BETWEEN", 0.0)
    found = []
    ad.set_progress(found.append)
    yield found
    ad.set_progress(False)


def of(events, what):
    """The events of work of this name, by its number."""
    found = {}
    for event in events:
        if event.what == what:
            found.setdefault(event.task, []).append(event)
    return [*found.values()]


def check(task, total=None):
    """The events of one piece of work: done and seconds grow, and the last one says that it ended."""
    assert [event.ended for event in task] == [False] * (len(task) - 1) + [True]
    assert all(event.total == total for event in task)
    done, seconds = [event.done for event in task], [event.seconds for event in task]
    assert done == sorted(done)
    assert seconds == sorted(seconds)
    assert seconds[0] >= 0
    return done[-1]


def inverted(c, x):
    # No loop of machine code has this.
    return np.linalg.inv(c + x), None


def test_a_scan_in_python_tells_its_steps(events):
    # The backend of NumPy has no loops of machine code.
    f = ad.function(lambda c, xs: ad.scan(inverted, c, xs)[0], backend="numpy")
    f(3 * np.eye(2), np.ones(7))
    (task,) = of(events, "scan")
    assert check(task, 7) == 7
    events.clear()
    ad.grad(lambda c: np.sum(f(c, np.ones(5))))(3 * np.eye(2))
    assert check(of(events, "scan")[0], 5) == 5
    assert check(of(events, "scan, backwards")[0], 5) == 5


def test_what_is_computed_again_for_a_checkpoint_is_told(events):
    def f(c):
        return np.sum(ad.scan(inverted, c, np.ones(9), checkpoint=True)[0])

    ad.grad(f)(3 * np.eye(2))
    assert [check(task, 3) for task in of(events, "scan, backwards") if task[0].total == 3]


def test_a_while_loop_tells_its_steps_but_not_how_many_there_are(events):
    def f(x):
        return ad.while_loop(lambda c: np.sum(c) < 100.0, lambda c: np.linalg.inv(np.linalg.inv(c)) * 2.0, x)

    ad.function(f, backend="numpy")(np.eye(2))
    (task,) = of(events, "while_loop")
    assert check(task) == 6
    events.clear()
    with ad.Graph(backend="numpy") as graph:
        x = ad.Tensor(np.eye(2))
        graph.gradient(np.sum(f(x)), [x])
    assert check(of(events, "while_loop, again for its derivative")[0], 6) == 6


def test_odeint_tells_percents_of_the_time(events):
    ad.odeint(lambda y, t: -y, np.ones(2), [0.0, 1.0, 5.0])
    (task,) = of(events, "odeint")
    assert check(task, 100) == 100
    events.clear()
    # Its derivative goes backwards, in several pieces.
    ad.grad(lambda y: np.sum(ad.odeint(lambda y, t: -y, y, [0.0, 1.0, 5.0])))(np.ones(2))
    assert all(check(task, 100) >= 95 for task in of(events, "odeint"))
    assert len(of(events, "odeint")) == 2
    events.clear()
    ad.odeint(lambda y, t: -y, np.ones(2), [0.0, 1.0], adjoint="discrete", max_steps=20)
    assert of(events, "odeint")


@pytest.mark.parametrize("solver", [ad.minimize, ad.root, ad.least_squares, ad.fixed_point])
def test_solvers_tell_evaluations(events, solver):
    def f(x):
        y = 0.5 * np.tanh(x) - 0.1
        return np.sum((y - 1) ** 2 + x**2) if solver is ad.minimize else y

    solver(f, np.zeros(2))
    (task,) = of(events, solver.__name__)
    assert check(task) >= 2


def test_a_solver_that_fails_ends_its_work(events):
    with pytest.raises(ad.errors.ConvergenceError):
        ad.root(lambda x: x**2 + 1, 1.0)
    (task,) = of(events, "root")
    check(task)


def test_compiling_tells_what_it_does(events, caplog):
    x = ad.Tensor(np.ones(3))
    with caplog.at_level(logging.INFO, "autodiff"):
        ad.Graph(backend="numpy").gradient(np.sum(np.sin(x) ** 2), [x])
    (task,) = of(events, "compiling")
    assert [event.ended for event in task] == [False] * (len(task) - 1) + [True]
    doing = list(dict.fromkeys(event.doing for event in task))
    assert doing == ["differentiating", "compiling", ""]
    (record,) = caplog.records
    assert record.name == "autodiff"
    assert record.levelno == logging.INFO
    assert "operations in" in record.message
    assert "compiling" in record.message or "s ()" in record.message


def test_what_is_compiled_inside_of_something_is_told_with_it(events):
    f = ad.function(lambda x: ad.grad(lambda y: np.sum(np.tanh(y) ** 3))(x), backend="numpy")
    f(np.ones(3))
    (task,) = of(events, "compiling")
    assert "tracing" in [event.doing for event in task]


def test_nothing_is_logged_of_what_takes_no_second(caplog):
    x = ad.Tensor(np.ones(3))
    with caplog.at_level(logging.INFO, "autodiff"):
        ad.Graph(backend="numpy").gradient(np.sum(np.cos(x) ** 2), [x])
    assert not caplog.records


def test_an_error_while_something_is_compiled_leaves_no_trace_of_it(events):
    def bad(x):
        return np.sum(x + np.ones(7))

    f = ad.function(bad)
    for _ in range(2):
        with pytest.raises(ad.errors.ShapeError):
            f(np.ones(3))
    events.clear()
    ad.function(lambda x: x * 3.5, backend="numpy")(np.ones(3))
    assert len(of(events, "compiling")) == 1


def test_work_in_the_background_is_told_when_it_is_done(events, caplog, monkeypatch):
    monkeypatch.setenv(background.VARIABLE, "1")
    with caplog.at_level(logging.INFO, "autodiff"):
        later = background.Later(lambda: 3, "compiling by a test")
        background.wait()
    assert later.get() == 3
    assert [(event.what, event.ended) for event in events] == [("compiling by a test", True)]
    assert "compiling by a test took" in caplog.text

    def fails(event):
        raise OSError("of the listener")

    ad.set_progress(fails)
    later = background.Later(lambda: 4, "compiling by a test")
    background.wait()
    assert later.get() == 4
    assert "of the listener" in caplog.text


def test_an_error_of_the_listener_stops_the_work(events):
    class Enough(Exception):
        pass

    def stop(event):
        if event.what == "scan" and event.done >= 3:
            raise Enough

    ad.set_progress(stop)
    f = ad.function(lambda c, xs: ad.scan(inverted, c, xs)[0], backend="numpy")
    with pytest.raises(Enough):
        f(3 * np.eye(2), np.ones(7))


def test_threads_have_their_own_work(events):
    def compiled(k):
        ad.function(lambda x: np.tanh(x) * k, backend="numpy")(np.ones(3))

    threads = [threading.Thread(target=compiled, args=(k + 0.5,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(of(events, "compiling")) == 4


def test_nobody_listens_at_the_beginning_and_after_false():
    steps = range(3)
    assert progress.counted(steps, "scan", 3) is steps
    assert progress.begun("scan") is None


def test_short_work_says_nothing():
    found = []
    try:
        ad.set_progress(found.append)
        assert [*progress.counted(range(3), "scan", 3)] == [0, 1, 2]
        assert not found
    finally:
        ad.set_progress(False)


def test_bars(events, monkeypatch):
    pytest.importorskip("tqdm")
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    ad.set_progress(True)
    ad.function(lambda c, xs: ad.scan(inverted, c, xs)[0], backend="numpy")(3 * np.eye(2), np.ones(7))
    assert "scan: " in text.getvalue()
    assert "/7" in text.getvalue()
    assert "compiling: " in text.getvalue()
    assert not progress.listeners[0]._bars


def test_bars_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(UnsupportedError, match=r"tqdm, which is not installed; pip install tqdm"):
        ad.set_progress(True)
    assert not progress.listeners


def test_wrong_arguments():
    with pytest.raises(ArgumentError, match=r"set_progress: 'yes' is neither"):
        ad.set_progress("yes")
