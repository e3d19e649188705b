"""Indices that are known only when a plan runs: negative ones count from the end, those out of range are errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.plan.ranges import SMALLEST_CUT
from autodiff.tensor import wrap

from . import checks

SHAPE = (3, 4)


def _written(x: Any, i: Any) -> Any:
    y = x * 1
    y[i] = 7.0
    return y


def _added(x: Any, i: Any) -> Any:
    y = x * 1
    np.add.at(y, i, 7.0)
    return y


# Functions of an array and of indices into it, and the axes that the indices are for.
USES: dict[str, tuple[Callable[..., Any], int]] = {
    "first axis": (lambda x, i: x[i] * 2, 0),
    "last axis": (lambda x, i: x[:, i] * 2, 1),
    "after an ellipsis": (lambda x, i: x[..., i] * 2, 1),
    "beside an integer": (lambda x, i: x[2, i] * 2, 1),
    "beside a reversed slice": (lambda x, i: x[::-1, i] * 2, 1),
    "beside another array": (lambda x, i: x[np.array([0]), i] * 2, 1),
    "take": (lambda x, i: np.take(x, i, axis=0) * 2, 0),
    "computed": (lambda x, i: x[(i * 2) // 2] * 2, 0),
    "set": (_written, 0),
    "add": (_added, 0),
    "set in columns": (lambda x, i: _written(x, (slice(None), i)), 1),
}


def gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, i: ad.grad(lambda x: np.sum(f(x, i) ** 2))(x)


def hessian(f: Callable[..., Any]) -> Callable[..., Any]:
    return gradient(lambda x, i: ad.grad(lambda x: np.sum(f(x, i) ** 3))(x))


def data() -> np.ndarray:
    return np.arange(1.0, 13.0).reshape(SHAPE) / 4


def called(f: Callable[..., Any], backend: Any) -> Callable[..., Any]:
    """``f`` traced for a backend, with arrays of NumPy."""
    traced = ad.function(f, backend=backend)
    there = ad.get_backend(backend).home

    def call(x: np.ndarray, i: Any) -> np.ndarray:
        given = [there.asarray(np.asarray(a)) for a in (x, i)] if checks.away(backend) else [x, i]
        return np.asarray(checks.host(traced(*given)))

    return call


# How often positions are repeated: plans check few and many in other ways.
TIMES = pytest.mark.parametrize("times", [1, SMALLEST_CUT // 2 + 1])


@TIMES
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("dtype", [np.int64, np.int8])
def test_replay_is_what_numpy_does(use: str, dtype: Any, times: int, backend: Any) -> None:
    f, axis = USES[use]
    call, derivative = called(f, backend), called(gradient(f), backend)
    n = SHAPE[axis]
    for i in ([0, 1], [-1, 0], [-n, n - 1], [1, 1], [n - 1, -1]):
        positions = np.array(i * times, dtype)
        np.testing.assert_array_equal(call(data(), positions), f(data(), positions))
        np.testing.assert_allclose(derivative(data(), positions), gradient(f)(data(), positions))


@TIMES
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("order", [lambda f: f, gradient, hessian], ids=["value", "gradient", "second"])
def test_out_of_range_at_replay_names_index_axis_size_and_line(use: str, order: Any, times: int, backend: Any) -> None:
    f, axis = USES[use]
    n = SHAPE[axis]
    call = called(order(f), backend)
    call(data(), np.array([0, 1] * times))
    for wrong in (n, -n - 1, 10**12, -(2**62)):
        with pytest.raises(ad.errors.IndexingError, match=rf"index {wrong} is out of range for axis {axis} ") as error:
            call(data(), np.array([1] * (2 * times - 1) + [wrong]))
        assert f"with size {n} of float64[3, 4]" in str(error.value)
        assert f"{__file__}, line " in str(error.value)
    # The plan is as good as it was.
    call(data(), np.array([-1, 1] * times))


@pytest.mark.parametrize("place", [2, -1, np.array(2), np.array([2]), np.array([[2], [-1]])])
def test_shapes_of_positions(place: Any, backend: Any) -> None:
    call = called(lambda x, i: x[:, i, None], backend)
    np.testing.assert_array_equal(call(data(), np.asarray(place)), data()[:, place, None])
    with pytest.raises(ad.errors.IndexingError, match="index 4 "):
        call(data(), np.full_like(place, 4))


def test_empty_positions(backend: Any) -> None:
    call = called(lambda x, i: x[i], backend)
    assert call(data(), np.zeros((2, 0), int)).shape == (2, 0, 4)
    with pytest.raises(ad.errors.IndexingError, match="axis 0 has size 0"):
        call(np.zeros((0, 4)), np.array([0]))
    assert call(np.zeros((0, 4)), np.zeros(0, int)).shape == (0, 4)


def test_unsigned_positions() -> None:
    f = ad.function(lambda x, i: x[i])
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64):
        np.testing.assert_array_equal(f(data(), np.array([2, 0], dtype)), data()[[2, 0]])
        with pytest.raises(ad.errors.IndexingError, match="index 255 "):
            f(data(), np.array([0, 255], dtype))
    with pytest.raises(ad.errors.IndexingError, match=str(2**63 - 1)):
        f(data(), np.array([0, 2**64 - 1], np.uint64))


def test_several_positions_are_told_apart() -> None:
    line = sys._getframe().f_lineno

    def f(x: Any, i: Any, j: Any) -> Any:
        first = x[i]
        second = x[:, j]
        return np.sum(first) + np.sum(second)

    traced = ad.function(f)
    traced(data(), np.array([0]), np.array([0]))
    with pytest.raises(IndexError, match=rf"index 3 .* axis 0 with size 3 .*, line {line + 3} "):
        traced(data(), np.array([3]), np.array([0]))
    with pytest.raises(IndexError, match=rf"index 3 .* axis 0 with size 3 .*, line {line + 3} "):
        traced(data(), np.array([3]), np.array([9]))
    with pytest.raises(IndexError, match=rf"index 9 .* axis 1 with size 4 .*, line {line + 4} "):
        traced(data(), np.array([0]), np.array([9]))


def test_the_line_is_no_part_of_the_structure() -> None:
    """Two lines that record alike share a plan, and each is named by its own errors."""
    read, unknown = ops.read_index, lambda node: None
    graph = ad.Graph()
    x = ad.Tensor(data())
    for k in (0, 1, 2, 3):
        i = ad.Tensor(np.array([k, 1]), constant=True)
        here = sys._getframe().f_lineno
        results = [
            wrap(read(x.node, i.node, unknown)),
            wrap(read(x.node, i.node, unknown)),
        ]
        for line, y in enumerate(results, here + 2):
            if k < 3:
                graph.gradient(np.sum(y**2), [x])
            else:
                with pytest.raises(IndexError, match=f", line {line} "):
                    graph.gradient(np.sum(y**2), [x])
    assert graph.cache_info().misses == 1


@pytest.mark.parametrize(("mode", "changed"), [("wrap", lambda i: i % 3), ("clip", lambda i: np.clip(i, 0, 2))])
def test_take_that_changes_positions(mode: Any, changed: Any) -> None:
    f = ad.function(lambda x, i: np.take(x, i, axis=0, mode=mode))
    for i in ([0, 1], [-1, 7], [-9, 3]):
        np.testing.assert_array_equal(f(data(), np.array(i)), np.take(data(), i, axis=0, mode=mode))
        np.testing.assert_array_equal(np.take(ad.Tensor(data()), i, axis=0, mode=mode), data()[changed(np.array(i))])


def test_along_an_axis() -> None:
    f = ad.function(lambda x, i: np.take_along_axis(x, i, axis=1))
    i = np.array([[0], [-1], [2]])
    np.testing.assert_array_equal(f(data(), i), np.take_along_axis(data(), i, axis=1))
    with pytest.raises(IndexError, match=r"index 4 .*axis 1"):
        f(data(), i + 2)


def test_masks_are_traced_for_what_they_choose() -> None:
    for f in (lambda x: x[x > 1] * 2, lambda x: x[np.any(x > 1)] * 2):
        traced = ad.function(f)
        for sign in (1, -1, 1):
            np.testing.assert_array_equal(traced(sign * data()), f(sign * data()))
