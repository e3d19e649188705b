"""Views are NumPy's: what is written into one shows in all others. Random programs run on a Tensor and on an array."""

from __future__ import annotations

import gc
import os
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

# In the nightly session more.
PROGRAMS = int(os.environ.get("AUTODIFF_VIEW_PROGRAMS", "120"))


class Program:
    """A random sequence of looks, writes and reads: the same one for a Tensor and for an array."""

    def __init__(self, seed: int, data: Any, decided: list[bool] | None = None):
        self.rng = np.random.default_rng(seed)
        self.handles: list[Any] = [data]
        # Where NumPy gave an array another shape in place, and where it refused: the other run does as this one.
        self.decided: list[bool] = []
        self.replayed = None if decided is None else iter(decided)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            x = self.handles[self.rng.integers(len(self.handles))]
            kind = self.rng.integers(11)
            if kind == 10:
                self.reshape(x)
            elif kind < 5:
                found = self.look(x)
                if len(self.handles) < 8:
                    self.handles.append(found)
                else:
                    self.handles[self.rng.integers(1, 8)] = found
            else:
                self.write(x)

    def entry(self, size: int) -> Any:
        rng = self.rng
        match rng.integers(5):
            case 0 if size:
                return int(rng.integers(-size, size))
            case 1:
                return slice(None, None, -1)
            case 2:
                start = int(rng.integers(0, size + 1))
                return slice(start, int(rng.integers(start, size + 1)))
            case 3:
                return slice(int(rng.integers(0, size + 1)), None, 2)
        return slice(None)

    def item(self, x: Any) -> Any:
        """A basic index that leaves an axis."""
        entries = [self.entry(n) for n in x.shape[: self.rng.integers(0, x.ndim + 1)]]
        if entries and all(isinstance(e, int) for e in entries) and len(entries) == x.ndim:
            entries[0] = slice(None)
        if self.rng.integers(4) == 0:
            entries.insert(int(self.rng.integers(len(entries) + 1)), None)
        elif self.rng.integers(4) == 0 or not entries:
            entries.append(Ellipsis)
        return tuple(entries)

    def look(self, x: Any) -> Any:
        rng = self.rng
        match rng.integers(12):
            case 0:
                return x.T
            case 9:
                return x.view()
            case 10:
                return x.real
            case 11:
                return x.imag if x.dtype.kind == "c" else x[...]
            case 1:
                return np.swapaxes(x, 0, -1) if x.ndim else x
            case 2:
                return np.expand_dims(x, int(rng.integers(x.ndim + 1)))
            case 3:
                return np.flip(x)
            case 4:
                return np.squeeze(x)[...]  # a squeeze that squeezes nothing is the array itself
            case 5 if x.ndim and x.shape[0] % 2 == 0:
                return np.split(x, 2)[int(rng.integers(2))]
            case 6:
                return np.moveaxis(x, 0, -1) if x.ndim else x
            case 7 if x.size:
                factor = next((n for n in (2, 3, 5) if x.size % n == 0), 1)
                return x.reshape(factor, -1)
        return x[self.item(x)]

    def reshape(self, x: Any) -> None:
        """Another shape in place, where NumPy has it."""
        factor = next((n for n in (2, 3, 5) if x.size and x.size % n == 0), 1)
        shape = [(factor, -1), (-1, factor), (-1,), (1, *x.shape)][self.rng.integers(4)]
        if not x.size or x.ndim > 5 or (self.replayed is not None and not next(self.replayed)):
            return
        try:
            x.shape = shape
        except AttributeError:
            self.decided.append(False)
        else:
            self.decided.append(True)

    def write(self, x: Any) -> None:
        rng = self.rng
        number = float(rng.integers(1, 9)) / 4
        other = self.handles[rng.integers(len(self.handles))]
        if x.dtype.kind != "c" and other.dtype.kind == "c":
            other = other.real
        match rng.integers(11):
            case 7 if x.size:
                x.flat[int(rng.integers(x.size))] = number
            case 8:
                x.flat[:: int(rng.integers(1, 4))] = [number, 2 * number]
            case 9 if x.size:
                x.flat = x.flat[::-1][: int(rng.integers(1, x.size + 1))]
            case 10:
                x.real = np.cos(x.real)
            case 0:
                x += number
            case 1:
                x *= number / 2
            case 2:
                x[self.item(x)] = number
            case 3:
                x[self.item(x)] -= number
            case 4:
                x[...] = np.sin(x) * number
            case 5 if other.size and other.shape == x.shape:
                x[...] = other
            case _:
                x[...] = x * 0.5 + np.sum(other) / (1 + other.size)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs_do_what_numpy_does():
    ambiguous = 0
    for seed in range(PROGRAMS):
        shape = [(4, 3), (6,), (2, 3, 4), (1, 6), (4, 1, 2), (0, 3)][seed % 6]
        data = np.random.default_rng(seed).normal(size=shape)
        if seed % 4 == 3:
            data = data + 1j * data[::-1]
        array, tensor = data.copy(), ad.Tensor(data)
        there = Program(seed, array)
        there.run(24)
        here = Program(seed, tensor, there.decided)
        try:
            here.run(24)
            found = [np.asarray(x) for x in here.handles]
        except errors.UnsupportedError:
            # The order of elements in memory is not known.
            ambiguous += 1
            continue
        for one, other in zip(found, there.handles, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-300, err_msg=str(seed))
    assert ambiguous <= PROGRAMS // 50


def test_derivatives_pass_through_writes_into_views():
    for seed in range(PROGRAMS // 10):
        data = np.random.default_rng(seed).normal(size=(4, 3))

        first = Program(seed, data * 1.0)
        first.run(12)

        def total(x: Any, seed: int = seed, decided: list[bool] = first.decided) -> Any:
            program = Program(seed, x * 1.0, decided)
            program.run(12)
            return sum(np.sum(np.sin(h)) for h in program.handles)

        try:
            gradient = ad.grad(total)(data)
        except errors.UnsupportedError:
            continue
        way = np.random.default_rng(seed + 1).normal(size=data.shape)
        step = 1e-6
        expected = (total(data + step * way) - total(data - step * way)) / (2 * step)
        np.testing.assert_allclose(np.sum(gradient * way), expected, rtol=2e-5, atol=1e-6, err_msg=str(seed))


def test_rows_of_a_loop_are_written_into():
    data = np.arange(12.0).reshape(3, 4)
    t = ad.Tensor(data)
    for row in t:
        row -= row.mean()
    np.testing.assert_allclose(t.value, data - data.mean(1, keepdims=True))


def test_an_element_is_a_number_and_no_view():
    t = ad.Tensor([1.0, 2.0])
    element, view = t[0], t[0, ...]
    t[0] = 5.0
    assert (element.value, view.value) == (1.0, 5.0)
    element += 1.0
    assert t.value.tolist() == [5.0, 2.0]
    view += 1.0
    assert t.value.tolist() == [6.0, 2.0]


@pytest.mark.parametrize(
    "item",
    [
        0, -1, slice(1), (0, 1), (0, ...), (0, 1, ...), ..., None, (None, 0), (slice(None), 1), np.int64(1),
        np.array(1), (np.array(1), ...), (np.array(1), None), [0], np.array([True, False]), (slice(None), [0, 1]),
        (np.int64(0), None),
    ],
    ids=repr,
)  # fmt: skip
def test_an_index_gives_a_view_where_numpy_gives_one(item):
    x = np.arange(6.0).reshape(2, 3)
    found = x[item]
    shared = isinstance(found, np.ndarray) and np.shares_memory(found, x)
    t = ad.Tensor(x)
    view = t[item]
    t += 10.0
    np.testing.assert_array_equal(view.value, np.asarray(x[item]) + 10 * shared)


@pytest.mark.parametrize(
    "copied",
    [
        lambda t: t[[0, 1]],
        lambda t: t[t > -np.inf].reshape(2, 3),
        lambda t: t.copy(),
        lambda t: t.flatten().reshape(2, 3),
        lambda t: +t,
        lambda t: t.astype(np.float64),
        lambda t: np.roll(t, 0),
        lambda t: np.concatenate([t]),
        lambda t: t.T.reshape(-1).reshape(2, 3),
    ],
)
def test_copies_are_copies(copied):
    data = np.arange(6.0).reshape(2, 3)
    for first in (True, False):
        t, x = ad.Tensor(data), data.copy()
        c, y = copied(t), copied(x)
        for a, b in ((t, c), (x, y)) if first else ((c, t), (y, x)):
            a[0, 0] = 9.0
            b[1, 1] = 7.0
        np.testing.assert_array_equal(t.value, x)
        np.testing.assert_array_equal(c.value, y)


def test_what_numpy_has_read_only_is_read_only():
    t = ad.Tensor(np.arange(6.0).reshape(2, 3))
    for view in (np.broadcast_to(t, (4, 2, 3)), t.diagonal(), np.diag(t), np.broadcast_arrays(t, 1.0)[0]):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1.0
        t[0, 0] += 1.0
        assert float(view.ravel()[0]) == t.value[0, 0]


def test_a_reshape_of_what_has_an_unknown_order_says_so():
    t = ad.Tensor(np.arange(6.0).reshape(2, 3)).T * 2.0
    view = t.reshape(-1)
    with pytest.raises(errors.UnsupportedError, match="order of its elements in memory"):
        view[0] = 1.0
    # Axes of one element change nothing in memory.
    t[:, None, :][0] = 1.0
    assert t.value[0].tolist() == [1.0, 1.0]


def test_earlier_results_keep_their_values_and_their_derivatives():
    x = ad.Tensor([1.0, 2.0, 3.0])
    view = x[1:]
    before = np.sum(view**2)
    view *= 10.0
    after = np.sum(x**2)
    assert (float(before), float(after)) == (13.0, 1301.0)
    graph = ad.Graph()
    assert graph.gradient(before, [view])[0].tolist() == [4.0, 6.0]
    assert graph.gradient(after, [view])[0].tolist() == [40.0, 60.0]


def test_a_view_of_a_variable_follows_it():
    w = ad.Tensor([1.0, 2.0])
    view = w[1:]
    w.assign([3.0, 4.0])
    assert view.value.tolist() == [4.0]
    view.assign([7.0])
    assert w.value.tolist() == [3.0, 7.0]
    ad.optim.SGD([w], rate=1.0).step([np.ones(2)])
    assert view.value.tolist() == [6.0]
    with pytest.raises(errors.ArgumentError, match="view of another"):
        ad.optim.SGD([view], rate=1.0).step([np.ones(1)])


def test_views_of_what_is_put_on_a_backend_are_there_too(backend):
    x = ad.Tensor([1.0, 2.0, 3.0]) * 1.0
    view = x[1:]
    x._put(backend.home)
    assert view.node.aval.place is backend.home
    view += 1.0
    assert x.tolist() == [1.0, 3.0, 4.0]


def test_a_traced_function_reads_views_of_the_outside_as_they_are():
    base = ad.Tensor([1.0, 2.0, 3.0])
    view = base[1:]
    f = ad.function(lambda x: np.sum(view * x))
    assert float(f(np.ones(2))) == 5.0
    base[1] = 10.0
    assert float(f(np.ones(2))) == 13.0
    view[1] = 0.5
    assert float(f(np.ones(2))) == 10.5


def test_views_are_written_while_a_function_is_traced():
    def f(x):
        y = x * 1.0
        for row in y:
            row[1:] += row[:1]
        return y

    data = np.arange(6.0).reshape(2, 3)
    traced = ad.function(f)
    for _ in range(3):
        np.testing.assert_array_equal(traced(data), f(data))
    outside = ad.Tensor(data)
    with pytest.raises(errors.TraceError, match="of the outside"):
        ad.function(lambda x: outside[0].__iadd__(x))(np.ones(3))


def test_a_traced_function_that_writes_into_a_reshape_takes_arrays_in_c_order():
    def f(x):
        y = x * 2.0
        y.reshape(-1)[1] = 0.0
        return y

    data = np.arange(6.0).reshape(2, 3)
    traced = ad.function(f)
    np.testing.assert_array_equal(traced(data), f(data))
    with pytest.raises(errors.ArgumentError, match="not in C order"):
        traced(np.asfortranarray(data))


def test_views_that_are_gone_are_forgotten():
    t = ad.Tensor(np.zeros((4, 4)))
    kept = [t[i] for i in range(4)]
    for _ in range(2000):
        t[1:]
    gc.collect()
    assert len(t._tie) < 200
    t += 1.0
    assert all(row.value.tolist() == [1.0] * 4 for row in kept)
    assert len(t._tie) == 4


# --- shape and size in place -----------------------------------------------------------------------------------------


def test_another_shape_in_place_is_shared_with_nobodys_shape():
    t = ad.Tensor(np.arange(6.0))
    view, row = t[1:4], t[:2]
    t.shape = (2, 3)
    t[0] = 9.0
    assert (view.tolist(), row.tolist()) == ([9.0, 9.0, 3.0], [9.0, 9.0])
    t.shape = (3, -1)
    view[0] = 7.0
    assert t.tolist() == [[9.0, 7.0], [9.0, 3.0], [4.0, 5.0]]
    assert t.base is None
    assert t[1].base is not None
    x = np.arange(6.0).reshape(2, 3)
    for wrong in (x.T, ad.Tensor(x).T):
        with pytest.raises((AttributeError, ValueError), match=r"modification|would have to be copied"):
            wrong.shape = (6,)
    with pytest.raises(errors.ShapeError, match="shape"):
        t.shape = (4, 2)


def test_a_variable_of_another_shape_is_still_one():
    for constant in (False, True):
        w = ad.Tensor(np.arange(6.0), constant=constant, name="w")
        w.shape = (2, 3)
        assert (w.constant, w.name, w.shape) == (constant, "w", (2, 3))
    w = ad.Tensor(np.arange(6.0))
    w.shape = (2, 3)
    ad.optim.SGD([w], rate=1.0).step([np.ones((2, 3))])
    assert w.tolist() == [[-1.0, 0.0, 1.0], [2.0, 3.0, 4.0]]
    (gradient,) = ad.Graph().gradient(np.sum(w**2), [w])
    assert gradient.tolist() == [[-2.0, 0.0, 2.0], [4.0, 6.0, 8.0]]


def test_derivatives_pass_through_another_shape_and_size():
    def f(x):
        y = x * 2.0
        part = y[1:]
        y.shape = (2, 3)
        part *= y[0, 0]
        z = y[1] * x[0]
        z.resize(4)
        z[3] = x[1]
        x.shape = (3, 2)
        return np.sum(y**2) + np.sum(z * np.arange(1.0, 5)) + np.sum(x[1])

    x, way = np.linspace(0.5, 2.0, 6), np.array([0.3, -0.2, 0.5, 0.1, -0.7, 0.4])
    expected = (f(x + 1e-6 * way) - f(x - 1e-6 * way)) / 2e-6
    for transform in (ad.grad, lambda f: ad.function(ad.grad(f))):
        np.testing.assert_allclose(transform(f)(x) @ way, expected, rtol=1e-6)
    assert x.shape == (6,)


def test_a_traced_function_is_told_that_a_tensor_it_uses_has_become_another():
    for change in (lambda t: t.resize(3), lambda t: setattr(t, "shape", (2, 1))):
        t = ad.Tensor([1.0, 2.0])
        f = ad.function(lambda x, t=t: x * np.sum(t))
        assert float(f(1.0)) == 3.0
        change(t)
        with pytest.raises(errors.TraceError, match="trace again"):
            f(1.0)
        f.clear_cache()
        assert float(f(1.0)) == 3.0
        g = ad.function(lambda x, t=t, change=change: change(t) or x)
        with pytest.raises(errors.TraceError, match="of the outside"):
            g(1.0)


def test_what_has_views_is_not_resized():
    for make in (np.array, ad.Tensor):
        t = make([1.0, 2.0, 3.0])
        view = t[1:]
        with pytest.raises(ValueError, match="resize"):
            t.resize(5)
        with pytest.raises(ValueError, match="own"):
            view.resize(5)
    with pytest.raises(errors.UnsupportedError, match="order of its elements"):
        (ad.Tensor(np.ones((2, 3))).T * 2.0).resize(2)
    t = ad.Tensor([1.0, 2.0, 3.0])
    t.resize()
    t.resize(None)
    t.resize((2, 1), refcheck=False)
    assert t.tolist() == [[1.0], [2.0]]


def test_a_flat_iterator_is_numpys():
    for x in (np.arange(6.0).reshape(2, 3), ad.Tensor(np.arange(6.0).reshape(2, 3))):
        flat = x.flat
        assert (float(next(flat)), flat.index, flat.coords, len(flat)) == (0.0, 1, (0, 1), 6)
        assert [float(element) for element in flat] == [1.0, 2.0, 3.0, 4.0, 5.0]
        assert flat.base is x
        assert (x.flat == 3).tolist() == (np.arange(6) == 3).tolist()
        assert (x.flat[1:3] < 2).tolist() == [True, False]
        assert (float(np.sum(x.flat)), np.exp(x.flat).shape, x.flat.copy().shape) == (15.0, (6,), (6,))
        for wrong in (7, (0, 0), None):
            with pytest.raises(IndexError):
                x.flat[wrong]
        with pytest.raises(IndexError):
            x.flat[6] = 1.0


def test_parts_of_complex_numbers_are_views():
    for make in (lambda x: x.copy(), ad.Tensor):
        z = make(np.array([1.0 + 2.0j, np.inf - 1.0j]))
        real, pairs = z.real, z.view(np.float64)
        z.imag = np.inf
        real[0] = -0.0
        assert z.tolist() == [complex(-0.0, np.inf), complex(np.inf, np.inf)]
        assert np.signbit(np.asarray(z.real))[0]
        assert pairs.tolist() == [-0.0, np.inf, np.inf, np.inf]
        x = make(np.ones(2))
        assert x.real is x
        with pytest.raises(TypeError, match="imag"):
            x.imag = 1.0
    with pytest.raises(errors.ArgumentError, match="read-only"):
        ad.Tensor([1j]).view(float)[0] = 1.0
    with pytest.raises(errors.UnsupportedError, match="bits"):
        ad.Tensor([1.0]).view(np.int64)
