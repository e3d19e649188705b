"""Large results are given again when nobody has them any more, and never before."""

import threading
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff.plan.workspaces import kept
from autodiff_backends.numpy.results import MOST_KEPT, SMALLEST_KEPT, Results

SHAPE, DTYPE = (SMALLEST_KEPT // 64, 8), np.dtype(np.float64)


@pytest.fixture
def one():
    """The only array of new results, and where its elements are."""
    results = Results([(SHAPE, DTYPE)])

    def make():
        (array,) = results.arrays()
        return array

    make.results = results
    return make


def test_what_was_dropped_is_given_again(one):
    array = one()
    place = array.ctypes.data
    del array
    array = one()
    assert array.ctypes.data == place
    other = one()
    assert not np.may_share_memory(array, other)
    # No more than so many are kept.
    more = [one() for _ in range(5)]
    assert len({id(x) for x in (array, other, *more)}) == 7
    assert len(one.results._spare[0]) == MOST_KEPT


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a,
        lambda a: a[2:3, ::-1],
        lambda a: a.reshape(-1)[:0],
        memoryview,
        lambda a: a.ctypes,
        lambda a: np.from_dlpack(a),
        lambda a: {"key": [a]},
        lambda a: a.flat,
        weakref.ref,
    ],
)
def test_what_somebody_has_is_not(one, hold):
    array = one()
    place = array.ctypes.data
    held = hold(array)
    del array
    for _ in range(3):
        assert one().ctypes.data != place
    del held


@pytest.mark.parametrize(
    "change",
    [
        lambda a: setattr(a, "shape", SHAPE[::-1]),
        lambda a: a.setflags(write=False),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_was_changed_is_not(one, change):
    change(one())
    for _ in range(2):
        array = one()
        assert array.shape == SHAPE
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_within_the_bound(one):
    before = kept.nbytes
    one()
    assert kept.nbytes == before + np.prod(SHAPE) * 8
    assert one.results.drop() == np.prod(SHAPE) * 8
    assert kept.nbytes == before
    try:
        ad.set_buffer_limit(0)
        one()
        assert not one.results._spare[0]
    finally:
        ad.set_buffer_limit(None)


def test_small_results_are_new():
    results = Results([((3,), DTYPE), ((), DTYPE)])
    first, second = results.arrays(), results.arrays()
    assert not any(a is b for a, b in zip(first, second, strict=True))


def test_threads_never_have_the_same(one):
    def work(seed):
        for k in range(200):
            array = one()
            array[...] = seed * 1000 + k
            wrong.extend([seed] * int((array != seed * 1000 + k).any()))

    wrong = []
    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_results_of_plans_are_not_written_to_again():
    pytest.importorskip("llvmlite")
    x = np.linspace(0.0, 1.0, SMALLEST_KEPT // 4).reshape(2, -1)
    function = ad.function(lambda x: np.sin(x) * 2.0, backend="llvm")
    # Rows of results that are gone, and results that are arguments of the next call.
    rows = [function(x + k)[0] for k in range(4)]
    for k, row in enumerate(rows):
        np.testing.assert_allclose(row, np.sin(x[0] + k) * 2.0, rtol=1e-12)
    value, expected = x, x
    for _ in range(4):
        value, expected = function(value), np.sin(expected) * 2.0
    np.testing.assert_allclose(value, expected, rtol=1e-12)
