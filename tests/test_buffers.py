"""What depends on a Tensor, written into an array of NumPy: an error in transformations, never a lost derivative."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as adnp
from autodiff import errors

X = np.array([0.5, 1.5, 2.5])


def item(t: Any, buffer: Any) -> None:
    buffer[0] = t[1]


def whole(t: Any, buffer: Any) -> None:
    buffer[:] = t


def augmented_item(t: Any, buffer: Any) -> None:
    buffer[0] += t[0]


def augmented(t: Any, buffer: Any) -> None:
    buffer += t


def augmented_slice(t: Any, buffer: Any) -> None:
    buffer[:2] -= t[:2]


def masked(t: Any, buffer: Any) -> None:
    buffer[np.array([True, False, True])] = t[:2]


def out_of_ufunc(t: Any, buffer: Any) -> None:
    np.exp(t, out=buffer)


def out_of_sum(t: Any, buffer: Any) -> None:
    np.sum(t, out=buffer[:1].reshape(()))


def copyto(t: Any, buffer: Any) -> None:
    np.copyto(buffer, t)


def add_at(t: Any, buffer: Any) -> None:
    np.add.at(buffer, [0, 0, 2], t)


def put(t: Any, buffer: Any) -> None:
    np.put(buffer, [0, 2], t[:2])


def place(t: Any, buffer: Any) -> None:
    np.place(buffer, np.array([True, False, True]), t)


def putmask(t: Any, buffer: Any) -> None:
    np.putmask(buffer, np.array([True, False, True]), t)


def put_along_axis(t: Any, buffer: Any) -> None:
    np.put_along_axis(buffer, np.array([2, 0]), t[:2], 0)


def method_put(t: Any, buffer: Any) -> None:
    buffer.put([0, 2], t[:2])


def fill(t: Any, buffer: Any) -> None:
    buffer.fill(t[0])


def flat_item(t: Any, buffer: Any) -> None:
    buffer.flat[1] = t[0]


def flat(t: Any, buffer: Any) -> None:
    buffer.flat = t


def fill_diagonal(t: Any, buffer: Any) -> None:
    np.fill_diagonal(buffer[:1].reshape(1, 1), t[0])


WRITES = [
    item, whole, augmented_item, augmented, augmented_slice, masked, out_of_ufunc, out_of_sum, copyto, add_at, put,
    place, putmask, put_along_axis, method_put, fill, flat_item, flat, fill_diagonal,
]  # fmt: skip


def line_of(write: Any) -> str:
    """The line that writes, as messages name it."""
    return f"{re.escape(__file__)}, line {write.__code__.co_firstlineno + 1} "


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
def test_written_into_an_array_it_is_an_error_with_the_line_and_remedies(write):
    def f(x: Any) -> Any:
        buffer = np.ones(3)
        write(x, buffer)
        return np.sum(buffer)

    for transform in (ad.grad, ad.value_and_grad, lambda f: ad.function(ad.grad(f))):
        with pytest.raises((errors.DetachedError, errors.UnsupportedError)) as caught:
            transform(f)(X)
        message = str(caught.value)
        assert re.search(line_of(write), message)
        assert "np.zeros(n, like=t)" in message
        assert "`import autodiff.numpy as np`" in message
    # While a function is traced there is no value to write: an error, too.
    with pytest.raises((errors.TraceError, errors.UnsupportedError, ValueError)):
        ad.function(f)(X)


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
def test_written_into_a_tensor_it_is_what_numpy_writes(write):
    """Both remedies."""
    expected = np.ones(3)
    write(X, expected)

    def with_like(x: Any) -> Any:
        buffer = np.ones(3, like=x)
        write(x, buffer)
        return buffer

    def with_ours(x: Any) -> Any:
        buffer = adnp.ones(3)
        write(x, buffer)
        return buffer

    way, step = np.array([0.3, -0.2, 0.7]), 1e-6
    for f in (with_like, with_ours):
        np.testing.assert_array_equal(ad.function(f)(X), expected)
        ends = []
        for sign in (1, -1):
            buffer = np.ones(3)
            write(X + sign * step * way, buffer)
            ends.append(np.sum(buffer**2))
        found = ad.grad(lambda x, f=f: np.sum(f(x) ** 2))(X)
        np.testing.assert_allclose(found @ way, (ends[0] - ends[1]) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
def test_elsewhere_values_are_written_or_it_is_an_error(write):
    """Outside of transformations NumPy's own writing takes values; what is asked of a Tensor is an error."""
    expected = np.ones(3)
    write(X, expected)
    for block in (None, ad.Graph()):
        buffer = np.ones(3)
        try:
            if block is None:
                write(ad.Tensor(X), buffer)
            else:
                with block:
                    write(ad.Tensor(X), buffer)
        except errors.UnsupportedError:
            np.testing.assert_array_equal(buffer, np.ones(3))
        else:
            np.testing.assert_array_equal(buffer, expected)


def test_what_has_no_derivative_is_written_anywhere():
    def f(x):
        buffer = np.zeros(3)
        buffer[0] = np.argmax(x)
        buffer[1:] = ad.stop_gradient(x)[1:]
        buffer[int(x[0])] += float(np.sum(x > 1))
        return np.sum(buffer * x)

    assert ad.grad(f)(X).tolist() == [4.0, 1.5, 2.5]


def test_an_error_that_a_user_catches_is_no_other_errors_cause():
    def f(x):
        buffer = np.zeros(3)
        try:
            buffer[0] = x[0]
        except (TypeError, ValueError):
            raise ValueError("mine") from None
        return np.sum(x)

    with pytest.raises(ValueError, match="mine"):
        ad.grad(f)(X)


# --- arrays that are arguments, and no derivative is taken with respect to them --------------------------------------


def relax(steps: int, a: Any, b: Any) -> Any:
    """A program whose buffers are arguments."""
    for _ in range(steps):
        b[1:-1] = 0.33 * (a[:-2] + a[1:-1] + a[2:])
        a[1:-1] = 0.33 * (b[:-2] + b[1:-1] + b[2:])
        b *= 0.5
    return np.sum(a * b)


def test_an_argument_that_is_not_differentiated_is_written_into_and_stays_as_it_was():
    a, b = np.random.default_rng(0).normal(size=(2, 6))
    kept = a.copy(), b.copy()
    step, way = 1e-6, np.linspace(-1, 1, 6)
    expected = [
        (relax(3, a + step * way, b.copy()) - relax(3, a - step * way, b.copy())) / (2 * step),
        (relax(3, a.copy(), b + step * way) - relax(3, a.copy(), b - step * way)) / (2 * step),
    ]
    for place in (1, 2):
        for transform in (ad.grad, lambda *args: ad.function(ad.grad(*args))):
            found = transform(relax, place)(3, a, b)
            np.testing.assert_allclose(found @ way, expected[place - 1], rtol=1e-6)
    np.testing.assert_allclose(ad.grad(lambda a, *, b: relax(3, a, b))(a, b=b) @ way, expected[0], rtol=1e-6)
    np.testing.assert_array_equal(a, kept[0])
    np.testing.assert_array_equal(b, kept[1])


def test_integers_among_the_arguments_are_positions():
    places, mask = np.array([0, 2, 2]), np.array([True, False, True])

    def f(x, places, mask, scale):
        assert type(places) is type(mask) is np.ndarray
        table = [1.0, 2.0, 3.0]
        return np.sum(x[places]) * table[places[1]] + np.sum(x[mask]) * scale

    assert ad.grad(f)(X, places, mask, 2.0).tolist() == [5.0, 0.0, 8.0]


def test_what_nobody_can_write_to_is_not_copied():
    data = np.ones(3)
    data.setflags(write=False)
    seen = []

    def f(x, data):
        seen.append(data.node.value)
        data[0] = x[0]
        return np.sum(data * x)

    assert ad.grad(f)(X, data).tolist() == [2 * X[0], 1.0, 1.0]
    assert seen[0] is data
    assert data.tolist() == [1.0, 1.0, 1.0]
    writable = np.ones(3)
    assert ad.grad(f)(X, writable).tolist() == [2 * X[0], 1.0, 1.0]
    assert seen[1] is not writable
