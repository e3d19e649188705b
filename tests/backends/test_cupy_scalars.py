"""Numbers that are made of Python numbers alone are computed on the host, and by NumPy's reference."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff_backends.cupy.scalars import split
from autodiff_backends.numpy.reference import Interpreted


@pytest.fixture
def check(as_program, variable):
    """The split of a program of a function of some values; both parts together give what the whole does."""

    def run(function, *values):
        leaves = [variable(v) for v in values]
        program = as_program(leaves, function(*leaves))
        host, device, given = split(program)
        numbers = () if host is None else host(*values)
        assert all(type(n) in (int, float, complex) for n in numbers)
        assert len(numbers) == device.n_inputs - program.n_inputs
        results = list(Interpreted(device)(*values, *numbers))
        for place, number in sorted(given.items()):
            results.insert(place, (*values, *numbers)[number])
        for found, wanted in zip(results, Interpreted(program)(*values), strict=True):
            assert type(found) is type(wanted)
            np.testing.assert_array_equal(found, wanted)
        assert not [n for n in device.outputs if n < device.n_inputs and device.avals[n].weak]
        return host, device

    return run


def names(program):
    return [made.primitive.name for _, made, _ in program.applications()]


def test_numbers_are_computed_apart(check):
    x = np.arange(3.0)
    host, device = check(lambda x, t: [ops.multiply(x, ops.sin(t * t)), x * (t * t)], x, 0.5)
    assert host.n_operations == 2
    assert names(device) == ["multiply", "multiply"]


def test_numbers_may_be_all_there_is(check):
    host, device = check(lambda t, u: [t * u, ops.sin(t)], 0.5, 3)
    assert host.n_operations == 2
    assert device.outputs == ()


def test_numbers_stand_among_results(check):
    host, device = check(lambda x, t: [t, x * t, t * t, x + t, t * t], np.arange(3.0), 0.5)
    assert host.n_operations == 1
    assert len(device.outputs) == 2


@pytest.mark.parametrize("value", [2, 0.5, 1j])
def test_inputs_are_no_work(check, value):
    host, device = check(lambda x, t: [x * t, t], np.arange(3.0) + 1j, value)
    assert host is None
    assert names(device) == ["multiply"]


def test_comparisons_are_made_where_they_are_needed(check):
    x = np.arange(3.0)

    def chosen(x, t, u):
        return [x * ops.where(ops.less(t * 2.0, u), t, u * 3.0), ops.less(t * 2.0, u)]

    host, device = check(chosen, x, 0.5, 0.25)
    assert names(device) == ["less", "multiply"]
    assert host.n_operations == 4


def test_numbers_that_an_array_decides_stay(check):
    x = np.arange(3.0)
    host, device = check(lambda x, b, t: [x * ops.where(b, t, t * 2.0)], x, np.array(True), 0.5)
    assert host.n_operations == 1
    assert names(device) == ["where", "multiply"]


def test_constants_and_quiet_are_kept(check, as_program, variable):
    x = ad.Tensor([1.0, 2.0])
    t = variable(0.5)
    program = as_program([x.node, t], [x.node * np.array([3.0, 4.0]) * (t * t)])
    program.quiet = True
    host, device, _ = split(program)
    assert device.quiet
    (found,) = Interpreted(device)(x.value, 0.5, *host(x.value, 0.5))
    np.testing.assert_array_equal(found, [0.75, 2.0])
