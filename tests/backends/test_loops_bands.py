"""Groups executed some rows at a time: every reader finds what it would find without, at any size of blocks."""

import math
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
import autodiff.machine
from autodiff.machine import UNKNOWN_CACHES, cache_bytes
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm import source, told
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


# --- the backend -----------------------------------------------------------------------------------------------------


def weighted(x, w):
    """A softmax along rows and a layer norm along columns, and sums over both axes."""
    made = softmax(x, -1) * layer_norm(x * w, 0)
    return np.sum(made * w) + np.max(np.sum(x * x, axis=0))


@pytest.fixture
def small_caches(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(llvm_, "cache_bytes", {1: 1 << 10, 2: 1 << 14}.__getitem__)


@pytest.mark.usefixtures("small_caches")
@pytest.mark.parametrize("shape", [(97, 33), (1, 4000), (4000, 1), (0, 5), (61, 1, 31)])
def test_arrays_of_any_strides(shape):
    """As by NumPy, from arrays that are turned, spread and transposed."""
    random = np.random.default_rng(0)
    x, w = (random.normal(size=shape) for _ in range(2))
    spread = np.zeros((*shape[:-1], 2 * shape[-1]))
    spread[..., ::2] = x
    function = ad.value_and_grad(weighted if 0 not in shape else lambda x, w: np.sum(softmax(x, -1) * w), (0, 1))
    expected = ad.function(function, backend="numpy")(x, w)
    compute = ad.function(function, backend="llvm")
    given = [(x, w), (x[::-1].copy()[::-1], w), (spread[..., ::2], np.asfortranarray(w)), (x.T.copy().T, w)]
    for one, other in given:
        for _ in range(2):
            value, gradients = compute(one, other)
            np.testing.assert_allclose(value, expected[0], rtol=1e-12)
            for found, wanted in zip(gradients, expected[1], strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def nobody_calls(self, *values):
    raise AssertionError("a flag is up")


def said_by(function, *values):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function(*values)
    return {str(warning.message) for warning in found}


@pytest.mark.usefixtures("small_caches")
def test_what_is_said_of_floating_point(monkeypatch):
    """Rows without any such number say nothing, though their vectors have a rest; others say what NumPy says."""
    random = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        x, w = (random.normal(size=(301, 37)).astype(dtype) for _ in range(2))
        function = ad.value_and_grad(lambda x, w: np.sum(np.log(softmax(x, -1)) * w))
        compute, plain = (ad.function(function, backend=name) for name in ("llvm", "numpy"))
        with monkeypatch.context() as patch:
            patch.setattr(told.Told, "__call__", nobody_calls)
            for _ in range(3):
                compute(x, w)
        x[300, 5] = -1e4
        said = said_by(plain, x, w)
        assert any("divide by zero" in text for text in said)
        assert said_by(compute, x, w) == said
        assert said_by(compute, x, w) == said
        x[300, 5] = np.nan
        with np.errstate(all="ignore"):
            value, gradient = compute(x, w)
        assert np.isnan(value)
        np.testing.assert_array_equal(np.isnan(gradient).any(axis=1), np.arange(301) == 300)


@pytest.mark.usefixtures("small_caches")
def test_large_angles_in_sums_over_rows():
    """A loop that is done again for an angle that is too large adds nothing twice."""
    x = np.random.default_rng(0).normal(size=(301, 37))
    x[[0, 150, 300], [3, 0, 36]] = 1e6

    def sums(x):
        turned = np.sin(x - np.max(x, axis=1, keepdims=True))
        return np.sum(turned, axis=0), np.sum(turned * np.sum(x, axis=1, keepdims=True)), np.cos(x)

    compute, plain = (ad.function(sums, backend=name) for name in ("llvm", "numpy"))
    for _ in range(3):
        for one, other in zip(compute(x), plain(x), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)


def test_blocks_of_the_middle_of_three_axes(as_program, monkeypatch):
    """The last block has fewer rows, and what lies before and behind it is not one with them."""
    monkeypatch.setattr(schedules, "LARGEST_GROUP", 1)
    x = ad.Tensor(np.random.default_rng(0).normal(size=(3, 7, 5)))
    e = np.exp(x - np.max(x, axis=(0, 2), keepdims=True))
    y = np.tanh(np.sin(e))
    schedule = assert_right(as_program([x], [y / np.sum(y, axis=(0, 2), keepdims=True)]), [x.value], 4_000)
    assert {(band.n_rows, band.block > 1) for band in schedule.segments[0].bands} == {(7, True)}


@pytest.mark.usefixtures("small_caches")
def test_sums_over_all_rows_lose_nothing(monkeypatch):
    """However many blocks and threads there are."""
    monkeypatch.setattr(source, "SMALLEST_SHARED", 0)
    # Equal terms, so that all additions round the same way.
    x = np.full((20_001, 3), 0.7)
    function = ad.function(lambda x: np.sum(x * np.max(x, axis=1, keepdims=True)), backend="llvm")
    expected = math.fsum((x * x).ravel())
    for threads in (1, 3):
        ad.set_num_threads(threads)
        try:
            for _ in range(2):
                assert float(function(x)) == pytest.approx(expected, rel=1e-15)
        finally:
            ad.set_num_threads(None)


def test_the_caches_of_a_processor(tmp_path, monkeypatch):
    for i, (level, kind, size) in enumerate([(1, "Data", 48), (1, "Instruction", 32), (2, "Unified", 2048)]):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, text in {"level": level, "type": kind, "size": f"{size}K"}.items():
            (folder / name).write_text(f"{text}\n")
    monkeypatch.setattr(autodiff.machine, "CACHES", str(tmp_path))
    read = cache_bytes.__wrapped__
    assert [read(level) for level in (1, 2)] == [48 << 10, 2 << 20]
    monkeypatch.setattr(autodiff.machine, "CACHES", str(tmp_path / "none"))
    assert [read(level) for level in (1, 2)] == list(UNKNOWN_CACHES.values())
