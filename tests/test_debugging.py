"""Where NaN began: named with its line, in values and derivatives, and only where it matters."""

from __future__ import annotations

import inspect
import re
import threading
import warnings

import numpy as np
import pytest

import autodiff as ad
from autodiff import noting
from autodiff.errors import ArgumentError, DTypeError, NotFiniteError
from autodiff.nodes import Operation

from .conformance import checks
from .conformance.table import CASES

RECORDS = Operation.__init__

# What is cached beside, and NaN in passing, is nobody's here.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def root(x):
    return np.sqrt(x - 1.0)  # a root


def length(x):
    squares = x**2
    return np.sqrt(np.sum(squares))  # a length


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


ROOT = rf"NaN began in sqrt at {re.escape(__file__)}, line {line_of(root, '# a root')} \(return np.sqrt"
# Forward, the derivative of the root is zero times infinity; reverse, that of the squares is.
LENGTH = (
    rf"NaN began in multiply in the derivative of sqrt, at {re.escape(__file__)}, line {line_of(length, 'a length')}"
)
SQUARES = rf"NaN began in multiply in the derivative of power, at .*, line {line_of(length, 'squares = ')} \(squares ="
ZERO = np.zeros(3)
LOW = np.array([2.0, 0.5])


def summed(function):
    return lambda x: np.sum(function(x))


def looked_at(x):
    return root(ad.Tensor(x)).value


def by_graph(x):
    t = ad.Tensor(x)
    return ad.Graph().gradient(length(t), [t])


def by_compile(x):
    t = ad.Tensor(x)
    return ad.Graph().compile(length(t), [t], [t])(x)


FOUND = {
    "value": (looked_at, LOW, ROOT),
    "grad": (ad.grad(summed(root)), LOW, ROOT),
    "traced": (ad.function(root), LOW, ROOT),
    "vmap": (ad.vmap(root), LOW, ROOT),
    "gradient": (ad.grad(length), ZERO, SQUARES),
    "value_and_grad": (ad.value_and_grad(length), ZERO, SQUARES),
    "graph": (by_graph, ZERO, SQUARES),
    "compile": (by_compile, ZERO, SQUARES),
    "vjp": (lambda x: ad.vjp(length, x)[1](1.0), ZERO, SQUARES),
    "jvp": (lambda x: ad.jvp(length, (x,), (x,)), ZERO, LENGTH),
    "linearize": (lambda x: ad.linearize(length, x)[1](x), ZERO, LENGTH),
    "hvp": (lambda x: ad.hvp(length)(x, x + 1), ZERO, "NaN began in .* in the derivative of .*line"),
    "hessian": (ad.hessian(length), ZERO, "NaN began in .* in the derivative of .*line"),
    "jacobian": (ad.jacobian(length, mode="reverse"), ZERO, SQUARES),
    "per sample": (ad.vmap(ad.grad(length)), np.stack([ZERO, ZERO + 1]), SQUARES),
    "nested": (ad.grad(lambda x: np.sum(ad.grad(length)(x))), ZERO, SQUARES),
    "traced gradient": (ad.function(ad.grad(length)), ZERO, SQUARES),
    "gradient of what is traced": (ad.grad(ad.function(length)), ZERO, SQUARES),
    "second order": (ad.grad(ad.grad(lambda x: np.sqrt(x) * x)), 0.0, "in the derivative of order 2 of sqrt, at"),
}


@pytest.mark.parametrize("name", FOUND)
def test_the_first_operation_is_named_with_its_line(name):
    call, x, message = FOUND[name]
    # What is in the caches is right, and has no lines.
    call(x)
    with ad.debug_nans(), pytest.raises(NotFiniteError, match=message):
        call(x)
    call(x)
    assert not noting.searches
    assert Operation.__init__ is RECORDS


def test_operands_are_shown_and_the_element_that_it_began_in():
    with ad.debug_nans(), pytest.raises(NotFiniteError) as caught:
        ad.grad(summed(root))(np.array([2.0, 0.25]))
    assert isinstance(caught.value, FloatingPointError)
    assert re.search(
        r"1 of the 2 elements, the first at \[1\], of its result float64\[2\]; operand 0 is float64\[2\] = "
        r"\[ ?1\. +-0.75\] \(-0.75 there\)",
        str(caught.value),
    )
    assert len(str(caught.value)) < 1000


def test_long_arrays_are_shortened():
    with ad.debug_nans(), pytest.raises(NotFiniteError) as caught:
        looked_at(np.linspace(5.0, 0.0, 10_000).reshape(100, 100))
    assert "the first at [80, 0]" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_what_does_not_reach_a_result_is_no_matter():
    x = np.array([-1.0, 0.0, 4.0])
    with ad.debug_nans():
        np.testing.assert_array_equal(ad.grad(lambda x: np.sum(np.where(x > 0, np.log(x), 0.0)))(x), [0.0, 0.0, 0.25])
        np.testing.assert_array_equal(np.nansum(ad.Tensor([np.nan, 1.0])).value, 1.0)
        assert ad.grad(lambda x: np.log(x)[2])(x)[2] == 0.25
        # What is kept on the way to a value is not the value: a product that is NaN in part.
        t = ad.Tensor([[np.nan, 0.0], [0.0, 1.0]])
        assert (t @ t)[1, 1].value == 1.0


def test_nan_that_was_given_is_said_to_have_been():
    with ad.debug_nans():
        with pytest.raises(
            NotFiniteError, match=r"NaN was given: 1 of the 2 elements, the first at \[1\], of an input, "
        ):
            ad.grad(lambda x: np.sum(x * x))(np.array([1.0, np.nan]))
        with pytest.raises(NotFiniteError, match=r"of an input 'weights', .*; what takes it first is exp at .*test"):
            np.exp(ad.Tensor([np.nan], name="weights")).value
        # A number that somebody wrote is in what takes it.
        with pytest.raises(NotFiniteError, match=r"NaN began in add at .*operand 1 is nan"):
            (ad.Tensor([1.0]) + float("nan")).value


def test_infinities():
    with ad.debug_nans(), pytest.raises(NotFiniteError, match=r"operand 1 .* = inf. debug_nans\(inf=True\) says where"):
        ad.grad(length)(ZERO)
    with ad.debug_nans():
        assert np.isinf(np.exp(ad.Tensor(1000.0)).value)
    with ad.debug_nans(inf=True):
        with pytest.raises(NotFiniteError, match=r"an infinity began in divide in the derivative of sqrt.*a length"):
            ad.grad(length)(ZERO)
        with pytest.raises(NotFiniteError, match="an infinity began in exp at"):
            np.exp(ad.Tensor(1000.0)).value


def test_what_was_recorded_and_computed_before():
    t = ad.Tensor([-1.0, 1.0])
    y = np.sqrt(t)
    z = np.sqrt(t * 0.0) * 0.0
    assert np.isnan(y.value[0])
    compiled = ad.Graph().compile(np.sum(y), [t], [t])
    with ad.debug_nans():
        # A value that is kept is computed again, to see where it began.
        with pytest.raises(NotFiniteError, match="NaN began in sqrt, which was recorded before debug_nans was on"):
            (y * 2.0).value
        with pytest.raises(NotFiniteError, match="compiled before debug_nans was on; compile it inside"):
            compiled(t.value)
        np.testing.assert_array_equal(compiled([4.0, 1.0])[1][0], [0.25, 0.5])
        with pytest.raises(NotFiniteError, match="in the derivative of sqrt, which was recorded before"):
            ad.Graph().gradient(z, [t])


def test_what_was_compiled_inside_is_an_ordinary_plan_afterwards():
    t = ad.Tensor([-1.0, 1.0])
    with ad.debug_nans():
        compiled = ad.Graph().compile(np.sum(np.sqrt(t)), [t], [t])
    assert np.isnan(compiled(t.value)[0])
    assert "sqrt" in compiled.source


def test_custom_rules():
    @ad.custom_vjp
    def logarithm(x):
        return np.log(x)

    logarithm.defvjp(lambda x: (np.log(x), x), lambda x, ct: ((ct - ct) / (x - x),))
    with ad.debug_nans(), pytest.raises(NotFiniteError, match="NaN began in divide in the derivative of custom, at"):
        ad.grad(logarithm)(0.5)


def test_it_is_about_the_thread_that_enters_it_and_may_be_nested():
    def other():
        results.append(looked_at(LOW))
        results.append(len(noting.notes))

    results = []
    with ad.debug_nans():
        with ad.debug_nans(inf=True):
            pass
        noted = len(noting.notes)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with pytest.raises(NotFiniteError):
            looked_at(LOW)
    assert np.isnan(results[0][1])
    assert results[1] == noted
    with pytest.raises(ZeroDivisionError), ad.debug_nans():
        raise ZeroDivisionError
    assert Operation.__init__ is RECORDS
    assert not noting.searches


def test_wrong_calls():
    with pytest.raises(DTypeError, match="debug_nans: inf=str 'yes' must be True or False"):
        ad.debug_nans(inf="yes")
    with pytest.raises(TypeError):
        ad.debug_nans(True)
    assert issubclass(NotFiniteError, ad.AutodiffError)
    assert not issubclass(NotFiniteError, ArgumentError)


def test_on_every_backend(backend):
    graph = ad.Graph(backend=backend)
    with ad.debug_nans():
        t = graph.tensor([4.0, 0.0, 1.0])
        with pytest.raises(NotFiniteError, match=r"NaN began in multiply in the derivative of sqrt, at .*test_de"):
            graph.gradient(np.sum(np.sqrt(t * t)), [t])
        (found,) = graph.gradient(np.sum(np.sqrt(t[::2] * t[::2] + 3.0)), [t])
        with pytest.raises(NotFiniteError, match="NaN began in log at"):
            np.log(t - 2.0).value
    np.testing.assert_allclose(backend.to_numpy(found), [4 / np.sqrt(19), 0.0, 0.5])


# Not the first rows of each function, which are alike.
ONE = [case for case in CASES if case.draws and case.gradient == "smooth"]
SOME = ONE[5::31]


@pytest.mark.parametrize("case", SOME, ids=[case.name for case in SOME])
def test_results_are_the_same(case):
    def results():
        tensors = [ad.Tensor(a) if a.dtype.kind in "fc" else a for a in case.arrays()]
        outs = [x for x in checks.leaves(case(*tensors)) if isinstance(x, ad.Tensor) and x.dtype.kind in "fc"]
        variables = [t for t in tensors if isinstance(t, ad.Tensor)]
        slopes = ad.Graph().gradient(outs[0], variables) if outs else []
        return [*[out.value for out in outs], *slopes]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = results()
        with ad.debug_nans():
            found = results()
    for one, other in zip(found, expected, strict=True):
        assert (type(one), np.shape(one), np.result_type(one)) == (type(other), np.shape(other), np.result_type(other))
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
