"""The interpreter: what each primitive means on NumPy arrays, and plans that call one after another."""

import gc
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff import background, ops
from autodiff.core.avals import FLOAT64, intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.nodes import Slot, Variable
from autodiff.plan import Program, build
from autodiff_backends.numpy import backend as numpy_
from autodiff_backends.numpy import reference, runtime
from autodiff_backends.numpy.reference import Interpreted, function_for

VECTOR = intern_aval((3,), FLOAT64)


def variable(value=None, aval=VECTOR):
    return Variable(aval, value, Slot(value))


UFUNCS = [
    p
    for p in PRIMITIVES.values()
    if p.module == "numpy" and p.numpy_ufunc is not None and p.name == p.numpy_ufunc.__name__
]
ELEMENTWISE = [p for p in UFUNCS if p.kind == "elementwise"]


@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda p: p.name)
def test_ufunc_primitives_are_numpys(primitive):
    kinds = [t.split("->")[0] for t in primitive.numpy_ufunc.types]
    checked = 0
    for dtypes in {kind for kind in kinds if set(kind) <= set("dfDl?")}:
        arrays = [np.array([1, 2, 3]).astype(code) for code in dtypes]
        signature = primitive.signature(tuple(intern_aval(a.shape, a.dtype) for a in arrays))
        with np.errstate(all="ignore"):
            result = function_for(signature)(*arrays)
            expected = primitive.numpy_ufunc(*arrays)
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == expected.dtype == signature.out.dtype
        assert signature.out.shape == (3,)
        checked += 1
    assert checked


def test_masked_multiply_has_no_nan_where_nothing_was_chosen():
    signature = ops.masked_multiply.signature((VECTOR, VECTOR))
    function = function_for(signature)
    result = function(np.array([0.0, 2.0, 0.0]), np.array([np.nan, 3.0, np.inf]))
    np.testing.assert_array_equal(result, [0.0, 6.0, 0.0])


def test_weak_results_are_python_numbers():
    weak = intern_aval((), FLOAT64, True)
    x = variable(aval=weak)
    plan = Interpreted(build([x], [ops.sin(x) * x, x]))
    results = plan(2.0)
    assert results == (np.sin(2.0) * 2.0, 2.0)
    assert [type(r) for r in results] == [float, float]


def test_results_are_new_arrays():
    x = variable()
    plan = Interpreted(build([x], [x, x, ops.broadcast_to(x, (2, 3)), ops.sin(x), ops.sum(x, (0,))]))
    value = np.arange(3.0)
    first, second = plan(value), plan(value)
    arrays = [value, *first, *second]
    for i, one in enumerate(arrays):
        assert isinstance(one, np.ndarray)
        assert one.flags.writeable
        assert not any(np.shares_memory(one, other) for other in arrays[i + 1 :])


def test_values_are_freed_after_their_last_use():
    x = variable()
    node = ops.exp(x)
    for _ in range(50):
        node = ops.sin(node)
    plan = Interpreted(build([x], [node]))
    alive = []
    peak = [0]

    class Counting(np.ndarray):
        def __array_finalize__(self, obj):
            alive.append(weakref.ref(self))
            peak[0] = max(peak[0], sum(ref() is not None for ref in alive))

    gc.disable()
    try:
        plan(np.arange(3.0).view(Counting))
    finally:
        gc.enable()
    assert len(alive) >= 50
    assert peak[0] < 10


def test_programs_show_what_they_do():
    x = variable()
    plan = Interpreted(build([x], [ops.sin(x)]))
    assert "sin(v0)" in plan.source
    assert plan.n_operations == 1


def test_long_programs_are_interpreted_until_they_are_called_again(monkeypatch):
    x = variable()
    node = x
    for _ in range(5_000):
        node = ops.sin(node)
    program = build([x], [node])
    plan = ad.get_backend("numpy").compile(program)
    expected = np.ones(3)
    for _ in range(5_000):
        expected = np.sin(expected)
    for _ in range(3):
        assert "def run" not in plan.source
        np.testing.assert_array_equal(plan(np.ones(3))[0], expected)
    # The third call has it generated, in the background.
    background.wait()
    for _ in range(2):
        np.testing.assert_array_equal(plan(np.ones(3))[0], expected)
        assert "def run" in plan.source
    assert plan.n_operations == 5_000

    monkeypatch.setattr(reference, "SOURCE_SHOWN", 100)
    assert "5000 operations" in Interpreted(program).source
    monkeypatch.setattr(numpy_, "LONGEST_GENERATED", 100)
    assert isinstance(ad.get_backend("numpy").compile(program), Interpreted)


def test_quiet_programs_do_not_warn():
    x = variable()
    program = build([x], [ops.log(x)])
    with pytest.warns(RuntimeWarning):
        Interpreted(program)(np.zeros(3))
    program.quiet = True
    Interpreted(program)(np.zeros(3))


def test_empty_program():
    assert Interpreted(Program([]))() == ()


def test_many_additions_at_rows_and_at_elements():
    """Index arrays beside slices, and index arrays alone, which are added at by one number each."""
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 64, (64, 40)), rng.integers(0, 96, (64, 40))
    assert rows.size >= runtime.SMALLEST_FLAT
    for index in ((rows, slice(0, 96, 1)), (slice(0, 64, 1), columns), (rows, columns), (rows, 5)):
        found, wanted = np.zeros((64, 96)), np.zeros((64, 96))
        values = rng.normal(size=found[index].shape)
        runtime.add_at(found, index, values)
        np.add.at(wanted, index, values)
        np.testing.assert_array_equal(found, wanted)
