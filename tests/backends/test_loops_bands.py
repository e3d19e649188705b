"""Groups executed some rows at a time: every reader finds what it would find without, at any size of blocks."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
import autodiff.machine
from autodiff_backends.llvm import source
from autodiff_backends.llvm.backend import is_product, is_watched
from autodiff_backends.loops import bands
from autodiff_backends.loops import schedule as schedules
from autodiff_backends.loops.accesses import Access, contiguous
from autodiff_backends.loops.bands import Places, Rules, arrange, places
from autodiff_backends.loops.layouts import lay_out
from autodiff_backends.loops.schedule import Schedule
from autodiff_backends.loops.statements import Lowering
from autodiff_backends.numpy.reference import Interpreted

from ..conftest import kernels_at_once
from .schedule_execution import compiled, execute
from .test_loops_schedule import assert_memory_is_nobody_elses, assert_order_is_kept

deterministic = settings(derandomize=True, deadline=None, database=None)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    kernels_at_once(monkeypatch)
    monkeypatch.setattr(bands, "SHORTEST_PIECE", 1)


def in_bands(program, block=1, longest=1 << 30):
    """A schedule with blocks of about so many bytes."""
    lowering = Lowering(program)
    lay_out(lowering)
    rules = Rules(block, longest, 0, is_watched, is_product)
    return Schedule(lowering, rolling=False, arrange=partial(arrange, rules))


def assert_right(program, values, block=1):
    schedule = in_bands(program, block)
    assert_order_of_bands(schedule)
    assert_memory_is_nobody_elses(schedule)
    expected = Interpreted(program)(*values)
    found = [execute(schedule, values)]
    try:
        ad.set_num_threads(3)
        found += compiled(schedule, values)
    finally:
        ad.set_num_threads(None)
    single = any(aval.dtype == np.float32 for aval in program.avals if aval.spec is None)
    for made in found:
        for one, other in zip(made, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4 if single else 1e-11, atol=1e-4 if single else 1e-11)
    return schedule


def assert_order_of_bands(schedule):
    """Without bands it would be a schedule in order, and all groups of a band have its rows."""
    plain = Schedule(schedule.lowering, rolling=False)
    for segment, other in zip(schedule.segments, plain.segments, strict=True):
        assert sorted(j for g in segment.groups for j in g.members) == list(range(segment.period))
        for g, group in enumerate(segment.groups):
            assert all(segment.group_of[j] == g for j in group.members)
            inside = [band for band in segment.bands if band.begin <= g < band.end]
            assert len(inside) == (group.rows is not None)
        assert segment.local == other.local
    assert_order_is_kept(plain)


# --- what is in a row ------------------------------------------------------------------------------------------------


@deterministic
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(0, 3),
    st.lists(st.sampled_from([None, slice(None, None, -1), slice(1, None), slice(None, None, 2)]), max_size=4),
)
def test_rows_that_are_found_are_apart(shape, axis, entries):
    """No element is in two rows, and the rows of all accesses that lie alike are the same."""
    axis %= len(shape)
    array = np.arange(np.prod(shape)).reshape(shape)
    view = array[tuple([entry if entry is not None else slice(None) for entry in entries[: len(shape)]])]
    if view.size == 0 or view.shape[axis] == 1:
        return
    offset = int(view.ravel()[0])
    access = Access(0, offset, tuple([step // view.itemsize for step in view.strides]))
    found = places(access, view.shape, (axis,), array.size)
    if found is None:
        assert view.shape != array.shape or any(entry is not None for entry in entries[: len(shape)])
        return
    step, period = found
    assert period == step * view.shape[axis]
    for row, elements in enumerate(np.moveaxis(view, axis, 0)):
        assert set((elements.ravel() % period // step).tolist()) == {row}


def test_rows_of_an_array():
    whole = Access(0, 0, contiguous((4, 5, 6)))
    assert places(whole, (4, 5, 6), (0,), 120) == Places(30, 120)
    assert places(whole, (4, 5, 6), (0, 1), 120) == Places(6, 120)
    assert places(whole, (4, 5, 6), (1,), 120) == Places(6, 30)
    assert places(whole, (4, 5, 6), (2,), 120) == Places(1, 6)
    # From the second row on, the same row again and again, and rows that end later than they are far apart.
    assert places(Access(0, 6, (30, 6, 1)), (4, 4, 6), (1,), 120) is None
    assert places(Access(0, 0, (0, 6, 1)), (4, 5, 6), (0,), 120) is None
    assert places(Access(0, 0, (1, 1)), (4, 3), (0,), 4) is None


# --- programs --------------------------------------------------------------------------------------------------------


def along(reduce, x, c):
    return reduce(x, axis=c % x.ndim, keepdims=c % 2 == 0) if x.ndim else reduce(x)


STEPS = [
    lambda x, y, c: x * y,
    lambda x, y, c: x - np.max(x, axis=-1 - c % x.ndim, keepdims=True),
    lambda x, y, c: x / (np.sum(y * y, axis=-1 - c % y.ndim, keepdims=True) + 1.0),
    lambda x, y, c: np.tanh(x) * np.sum(x * y, axis=-1, keepdims=True),
    lambda x, y, c: along(np.sum, x, c),
    lambda x, y, c: along(np.max, x + y, c),
    lambda x, y, c: np.sum(np.sin(x)) + y,
    lambda x, y, c: np.sum(x, axis=tuple(range(max(x.ndim - 1, 1)))) * y,
    lambda x, y, c: np.exp(-x * x) + y[..., ::-1],
    lambda x, y, c: x.T,
    lambda x, y, c: x[::-1] - y,
    lambda x, y, c: np.concatenate([x, y * 0.5], axis=c % x.ndim),
    lambda x, y, c: x[..., 1:] * y[..., :-1],
    lambda x, y, c: x.reshape(-1, x.shape[-1]),
    lambda x, y, c: (x > y).astype(np.float32) * y,
    lambda x, y, c: x.astype(np.float32),
    lambda x, y, c: x[[0, -1, 0]] * y[:1],
]

programs = st.lists(
    st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)),
    min_size=5,
    max_size=14,
)
shapes = st.sampled_from([(1, 7), (5, 1), (3, 4), (9, 5), (4, 17), (2, 3, 5), (3, 1, 6), (2, 2, 2, 3)])


@pytest.mark.parametrize(("largest", "smallest_shared"), [(128, 0), (1, float("inf"))])
def test_random_programs_over_rows(as_program, monkeypatch, largest, smallest_shared):
    monkeypatch.setattr(schedules, "LARGEST_GROUP", largest)
    monkeypatch.setattr(source, "SMALLEST_SHARED", smallest_shared)
    seen = []

    @settings(deterministic, max_examples=40)
    @given(programs, shapes, st.sampled_from([1, 200, 600]))
    def check(steps, shape, block):
        random = np.random.default_rng(0)
        leaves = [ad.Tensor(random.normal(size=s)) for s in (shape, shape, shape[-1:])]
        values = list(leaves)
        for step, first, second, choice in steps:
            x, y = values[-1 - first % len(values)], values[-1 - second % len(values)]
            try:
                value = STEPS[step](x, y, choice)
            except (TypeError, ValueError, IndexError):
                continue
            if value.ndim and 0 < value.size <= 300:
                values.append(value)
        outputs = values[len(leaves) :][-3:] or [leaves[0] * 2.0]
        program = as_program(leaves, outputs)
        if any(segment.bands for segment in in_bands(program, block).segments):
            seen.append(program)
            assert_right(program, [x.value for x in leaves], block)

    check()
    # Others have no bands.
    assert len(seen) > 10


def softmax(x, axis):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x, axis):
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def layer_norm(x, axis):
    centered = x - np.mean(x, axis=axis, keepdims=True)
    return centered / np.sqrt(np.mean(centered * centered, axis=axis, keepdims=True) + 1e-5)


SHAPES = {-1: [(1, 5), (13, 8), (2, 3, 9)], 0: [(5, 1), (9, 13), (4, 3, 5)]}
FUNCTIONS = {"softmax": softmax, "log_softmax": log_softmax, "layer_norm": layer_norm}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("axis", SHAPES)
def test_normalisations_and_their_gradients_are_one_pass(as_program, monkeypatch, name, axis):
    """Nothing of the full size is written but results."""
    monkeypatch.setattr(source, "SMALLEST_SHARED", 0)
    random = np.random.default_rng(0)
    for shape, dtype in zip(SHAPES[axis], (np.float64, np.float64, np.float32), strict=True):
        x, w = (ad.Tensor(random.normal(size=shape).astype(dtype)) for _ in range(2))
        made = FUNCTIONS[name](x, axis)
        loss = np.sum(made * w)
        outputs = [loss, *ad.Graph().gradient(loss, [x], as_tensors=True)]
        schedule = assert_right(as_program([x, w], outputs), [x.value, w.value])
        if 1 not in shape:
            ((band,),) = [segment.bands for segment in schedule.segments]
            # (A sum over all, and what is done with it, may be outside.)
            assert len(schedule.segments[0].groups) - (band.end - band.begin) <= 1
            assert schedule.workspaces[np.dtype(dtype)] < 8 * x.size / band.n_rows + 8 * x.shape[0]


def test_blocks_of_the_middle_of_three_axes(as_program, monkeypatch):
    """The last block has fewer rows, and what lies before and behind it is not one with them."""
    monkeypatch.setattr(schedules, "LARGEST_GROUP", 1)
    x = ad.Tensor(np.random.default_rng(0).normal(size=(3, 7, 5)))
    e = np.exp(x - np.max(x, axis=(0, 2), keepdims=True))
    y = np.tanh(np.sin(e))
    schedule = assert_right(as_program([x], [y / np.sum(y, axis=(0, 2), keepdims=True)]), [x.value], 4_000)
    assert {(band.n_rows, band.block > 1) for band in schedule.segments[0].bands} == {(7, True)}
