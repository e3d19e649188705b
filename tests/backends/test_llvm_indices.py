"""Reads at index arrays and writes there in machine code: exactly what NumPy computes, and no other memory."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm.backend import BACKEND, Kernel, Staged
from autodiff_backends.loops.schedule import MOST_ANYWHERE
from autodiff_backends.numpy.reference import Interpreted

pytest.importorskip("llvmlite")

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _everywhere(monkeypatch):
    """Kernels also where they do not pay."""
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))


@pytest.fixture
def compiled(as_program):
    """A program as one kernel, and whether it gives what NumPy gives, to the last bit or nearly."""

    def check(inputs, outputs, rtol=0.0):
        program = as_program(inputs, outputs)
        plan = BACKEND.compile(program)
        assert isinstance(plan, (Kernel, Staged))
        values = [x.value for x in inputs]
        with np.errstate(all="ignore"):
            wanted = Interpreted(program)(*values)
        for _ in range(2):
            for found, right in zip(plan(*values), wanted, strict=True):
                assert found.dtype == right.dtype
                np.testing.assert_allclose(found, right, rtol=rtol, atol=0, strict=True)
        return plan

    return check


def added(x, place, values):
    """An array like ``x`` to which values are added at a place, and what a gradient adds to one of zeros."""
    y = x * 1.5
    np.add.at(y, place, values)
    return [y, ad.grad(lambda x: np.sum(x[place] * values))(x)]


def written(x, place, values):
    y = x * 1.5
    y[place] = values
    return [y]


# Rows, and how many indices there are: none, fewer and more than are put aside at once, all the same.
SIZES = [(3, 0), (1, 1), (1, 600), (7, 5), (200, 511), (200, 512), (17, 1025)]


@pytest.mark.parametrize(("n", "m", "dtype"), [*[(*size, "f8") for size in SIZES], (200, 513, "f4")])
def test_sizes(compiled, n, m, dtype):
    x, rows = (ad.Tensor(RNG.normal(size=shape).astype(dtype)) for shape in ((n,), (n, 5)))
    v, w = (ad.Tensor(RNG.normal(size=shape).astype(dtype)) for shape in ((m,), (m, 5)))
    i, k = RNG.integers(-n, n, m), RNG.integers(-5, 5, m)
    outputs = [x[i] * v, rows[i] - w, rows[i, k] * v, rows.T[:, i]]
    outputs += [*added(x, i, v), *added(rows, i, w), *added(rows.T, (slice(None), i), w.T)]
    outputs += [*added(rows, (i, k), v), *written(x, i, v), *written(rows, i, w), *written(rows, (i, k), v)]
    compiled([x, rows, v, w], outputs)


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i8", "f4"])
def test_dtypes(compiled, dtype):
    with np.errstate(all="ignore"):
        x, v = (ad.Tensor(RNG.normal(0, 99, n).astype(dtype), constant=True) for n in (9, 40))
    outputs = []
    for of_indices in ("i1", "i2", "i4", "i8", "u1", "u4", "u8"):
        i = RNG.integers(0 if of_indices[0] == "u" else -9, 9, 40).astype(of_indices)
        y, z = x.copy(), x.copy()
        y[0] = v[1]
        np.add.at(y, i, v)
        z[i] = v
        outputs += [x[i], y, z]
    compiled([x, v], outputs)


def test_layouts(compiled):
    """Indices, arrays and values that are not contiguous, backwards, broadcast, of several dimensions, and numbers."""
    x, v = ad.Tensor(RNG.normal(size=(6, 8, 5))), ad.Tensor(RNG.normal(size=(4, 3, 5)))
    i, k = np.repeat(RNG.integers(-6, 6, (4, 6)), 2, axis=1)[::-1, ::4], RNG.integers(-8, 8, 3)[::-1]
    outputs = [x[i, k] * v, x[::-1, k[0]][i] - v, x[i[:, :1], k] / v, x[:, k, ::-2], x[i[0], :, k[:1] % 5]]
    outputs += [*added(x, (i, k), v), *added(x, (i[:, 0], k[1], slice(None, None, -2)), v[:, 1, ::2])]
    outputs += [*added(x, (slice(1, 5), k), v[..., None, :, 0].transpose(0, 2, 1)), *added(x, i, 0.5)]
    outputs += [*written(x[:, ::2], (i, k % 4), v), *written(x, (k, ..., k % 5), 2.5)]
    outputs += [*written(x, (slice(None), None, i % 6), -1.0), *added(x, (np.zeros((2, 1), int), k, 0), v[:1, :, 0])]
    compiled([x, v], outputs)


def test_masks_and_axes(compiled):
    x, mask = ad.Tensor(RNG.normal(size=(30, 20))), RNG.random((30, 20)) < 0.4
    order = np.argsort(x.value, axis=1)
    along = np.take_along_axis(x, order[:, ::-3], axis=1)
    outputs = [x[mask] ** 2, np.take(x, order[0], axis=0) * 2, along, ad.grad(lambda x: np.sum(x[mask] ** 2))(x)]
    outputs += [ad.grad(lambda x: np.sum(np.take_along_axis(x, order[:, ::-3], axis=1) ** 2))(x)]
    compiled([x], outputs)


def test_additions_are_made_in_the_order_of_the_indices(compiled):
    """A large number among small ones, at a place that comes again, in runs of every length."""
    for m in (3, 100, 512, 1500):
        v = np.where(np.arange(m) % 7 == 3, 1e16, 1.0) * np.where(np.arange(m) % 2, -1.0, 1.0)
        x, values = ad.Tensor(np.zeros(2)), ad.Tensor(v)
        y = x * 1.0
        np.add.at(y, np.arange(m) % 2 * 0, np.multiply(values, 1.0 + 0.0 * x[0]))
        np.add.at(y, np.arange(m) % 2, values)
        compiled([x, values], [y])


def test_the_last_of_repeated_places_stays(compiled):
    x, v = ad.Tensor(np.zeros(3)), ad.Tensor(RNG.normal(size=1300))
    compiled([x, v], written(x, np.arange(1300) % 2, v * 2.0))


def test_reads_sums_and_additions_are_one_loop(compiled):
    """Also where what is added is computed, and where a sum of all is."""
    x, v = ad.Tensor(RNG.normal(size=50)), ad.Tensor(RNG.normal(size=700))
    i, j = RNG.integers(0, 50, 700), RNG.integers(-50, 50, 700)

    def loss(x):
        return np.mean((x[i] * v - x[j]) ** 2)

    plan = compiled([x, v], [loss(x), ad.grad(loss)(x)], rtol=1e-13)
    # A sum in runs of its own, beside what is put aside; and the array that is begun with zeros.
    assert plan.source.count("call ptr @llvm.stacksave") == 1


def test_more_are_written_than_one_loop_puts_aside(compiled):
    x, v = ad.Tensor(RNG.normal(size=20)), ad.Tensor(RNG.normal(size=600))
    outputs = []
    for k in range(2 * MOST_ANYWHERE + 1):
        y = x * float(k)
        np.add.at(y, RNG.integers(0, 20, 600), v * (k + 0.5))
        outputs.append(y)
    assert compiled([x, v], outputs).source.count("call ptr @llvm.stacksave") == 3


def test_what_is_added_is_added_once_where_angles_are_too_large(compiled):
    """The loop is done again then, but not what it has put aside."""
    angles = np.linspace(-3, 3, 1200)
    angles[[5, 700, 1199]] = 1e9, -1e12, 3e8
    x, v, rows = ad.Tensor(np.ones(7)), ad.Tensor(angles), ad.Tensor(angles.reshape(100, 12))
    i, k = RNG.integers(-7, 7, 1200), RNG.integers(0, 12, 100)
    y, z, columns = x * 1.0, ad.Tensor(np.ones((100, 12))) * x[0], ad.Tensor(np.ones((12, 9))) * x[0]
    np.add.at(y, i, np.sin(v))
    np.add.at(z, np.arange(100)[::-1] // 2, np.cos(rows))
    np.add.at(columns, k, np.sin(rows[:, :9]) * np.tan(rows[:, 2:11]))
    compiled([x, v, rows], [y, z, columns], rtol=1e-13)


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8", "u1", "u8"])
def test_no_other_memory_is_read_or_written(as_program, dtype):
    """Positions that nobody has checked; they are before results are given out."""
    limits = np.iinfo(dtype)
    x, i = ad.Tensor(np.arange(1.0, 6.0)), ad.Tensor(np.array([0, 1, 2, 3], dtype), constant=True)
    place = ops.static_index((ops.ARRAY,), (None,))
    read = ops.index(x.node, place, i.node)
    write = ops.index_add(ops.zeros_like(x.node), place, ops.full((4,), 2.0, np.dtype(float)), i.node)
    plan = BACKEND.compile(as_program([x, i], [read, write]))
    assert isinstance(plan, (Kernel, Staged))
    wrong = np.array([limits.min, limits.max, 5, 1 if limits.min == 0 else -6], dtype)
    picked, found = plan(x.value, wrong)
    assert set(picked) <= set(x.value)
    assert found.sum() == 8.0


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8", "u1", "u8"])
def test_remainders_of_integers_by_a_positive_number(compiled, dtype):
    limits = np.iinfo(dtype)
    x = ad.Tensor(np.array([limits.min, limits.min + 1, limits.max, 0, 1, 6, 7, 8, 50, 100], dtype), constant=True)
    compiled([x], [x % 7, x % 1, np.remainder(x, 100), x % limits.max])


def test_remainders_of_integers_by_others_are_numpys(as_program):
    x, y = (ad.Tensor(np.array([-(2**63), -1, 0, 5]), constant=True) for _ in range(2))
    with np.errstate(divide="ignore"):
        for other in (0, -1, True, y):
            program = as_program([x, y], [np.remainder(x, other)])
            assert not all(llvm_.is_supported(program, made) for made in program.applications())
            np.testing.assert_array_equal(
                BACKEND.compile(program)(x.value, y.value), Interpreted(program)(x.value, y.value)
            )


def test_threads_compute_what_is_added_where_that_takes_longest(as_program, monkeypatch):
    monkeypatch.setattr(llvm_, "thread_count", lambda: 2)
    x, v = ad.Tensor(RNG.normal(size=50)), ad.Tensor(RNG.normal(size=300_000))
    i = RNG.integers(0, 50, 300_000)

    def plan(f):
        y = x * 1.0
        np.add.at(y, i, f(v))
        return BACKEND.compile(as_program([x, v], [y]))

    slow = plan(lambda v: v**1.3 * np.exp(-v))
    assert [extent for _, run in slow._runs for _, extent in run] == [None, 300_000, None]
    assert isinstance(plan(lambda v: v * 2.0), Kernel)
