"""What NumPy says of a plan: at the user's line, of the operation, in the user's error state."""

import inspect
import io
import threading
import warnings

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.core.avals import intern_aval
from autodiff.nodes import Slot, Variable
from autodiff.plan import build
from autodiff_backends.numpy.flags import noted
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated

KINDS = {
    "overflow": (lambda x: np.exp(x * 1000.0), r"overflow encountered in exp\(float64\[2\]\), which is computed here"),
    "divide by zero": (lambda x: 1.0 / (x - 1.0), r"divide by zero encountered in divide\(1.0, float64\[2\]\)"),
    "invalid value": (lambda x: np.sqrt(x - 2.0), r"invalid value encountered in sqrt\(float64\[2\]\)"),
}


def plan_of(kind):
    x = Variable(intern_aval((2,), np.dtype(float)), np.ones(2), Slot(None))
    return kind(build([x], [ops.exp(x)]))


@pytest.mark.parametrize("word", KINDS)
def test_a_warning_is_at_the_line_that_asks(word):
    function, message = KINDS[word]
    y = function(ad.Tensor([1.0, 0.0]))
    with pytest.warns(RuntimeWarning, match=message) as told:
        y.value
    (one,) = told
    lines, first = inspect.getsourcelines(test_a_warning_is_at_the_line_that_asks)
    asked = first + next(i for i, line in enumerate(lines) if "y.value" in line)
    assert (one.filename, one.lineno) == (__file__, asked)


def test_an_operation_of_a_derivative_is_said_to_be_one():
    with pytest.warns(RuntimeWarning, match=r"divide by zero encountered in divide.* of a derivative, which is comp"):
        ad.grad(lambda x: np.sum(np.sqrt(x)))(np.array([0.0, 1.0]))


def test_what_is_repeated_is_told_again_and_once_a_call():
    y = np.exp(ad.Tensor([1000.0])) + np.exp(ad.Tensor([1000.0]) * 2.0)
    plan = plan_of(Generated)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        y.value
        plan(np.full(2, 1e3))
        plan(np.zeros(2))
        plan(np.full(2, 1e3))
    assert len(told) == 3


@pytest.mark.parametrize("kind", [Generated, Interpreted])
def test_the_error_state_is_the_users(kind):
    plan, large = plan_of(kind), np.array([1000.0, -1000.0])
    with np.errstate(all="ignore"):
        plan(large)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match=r"overflow encountered in exp\(float64"):
        plan(large)
    plan(np.zeros(2))
    said = []
    with np.errstate(over="call", under="call", call=lambda *what: said.append(what)):
        plan(large)
    # The number has a bit for each kind, as NumPy gives it.
    assert sorted(said) == [("overflow", 6), ("underflow", 6)]
    log = io.StringIO()
    with np.errstate(over="log", call=log):
        plan(large)
    assert log.getvalue().startswith("Warning: overflow encountered in exp(float64[2])")
    with np.errstate(over="ignore", under="warn"), pytest.warns(RuntimeWarning, match="underflow encountered in exp"):
        plan(large)
    # Here warnings are errors.
    with pytest.raises(RuntimeWarning, match="overflow encountered in exp"):
        plan(large)
    assert not noted


def test_what_is_not_chosen_is_not_told_of():
    x = ad.Tensor([-1.0, 0.0, 4.0])
    ad.Graph().gradient(np.where(x > 0, np.sqrt(x), 0.0), [x])
    with pytest.warns(RuntimeWarning, match="overflow"):
        ad.Graph().gradient(np.where(x > 0, np.exp(1000.0 * x), 0.0), [x])


def test_a_plan_that_ends_with_an_error_leaves_no_note():
    plan = plan_of(Generated)
    x = ad.Tensor(np.full((2, 2), 1000.0))
    with np.errstate(over="raise"), pytest.raises((FloatingPointError, np.linalg.LinAlgError)):
        np.linalg.cholesky(-np.exp(x)).value
    assert not noted
    plan(np.zeros(2))


def test_notes_of_other_threads_are_theirs():
    plan, ends = plan_of(Generated), threading.Barrier(4)
    told = []

    def work(size):
        with np.errstate(over="call", call=lambda *what: told.append(size)):
            for _ in range(200):
                plan(np.full(2, size))
        ends.wait()

    threads = [threading.Thread(target=work, args=(size,)) for size in (1.0, 1000.0, 2.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [1000.0] * 200


def test_long_plans_that_are_interpreted_tell_too():
    y = ad.Tensor([1.0, 2.0])
    for _ in range(1_200):
        y = y * 1.0 + 0.0
    y = np.log(y - 1.0)
    with pytest.warns(RuntimeWarning, match="divide by zero encountered in log"):
        y.value
