"""Every slice and index, in reads, writes and additions, compared with NumPy; and errors where NumPy has them."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.ops.indices import canonical_slice

from . import checks

ENDS = [None, *range(-8, 9)]
STEPS = [None, -3, -2, -1, 1, 2, 3]
SLICES = [slice(*ends) for ends in itertools.product(ENDS, ENDS, STEPS)]


def values(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(1.0, 1 + int(np.prod(shape))).reshape(shape)


def agrees(data: np.ndarray, item: Any, backend: Any = None, gradients: bool = True) -> None:
    """Reading, writing and adding give what NumPy gives, and derivatives what the transposed operation gives."""
    graph = ad.Graph(backend=backend)
    expected = data[item]
    x = graph.tensor(data)
    read = x[item]
    assert read.shape == expected.shape, item
    np.testing.assert_array_equal(checks.host(read), expected, err_msg=repr(item))
    new = -values(expected.shape)
    written, added = graph.tensor(data) * 1, graph.tensor(data) * 1
    written[item] = new
    np.add.at(added, item, new)
    result, total = data.copy(), data.copy()
    result[item] = new
    np.add.at(total, item, new)
    np.testing.assert_array_equal(checks.host(written), result, err_msg=repr(item))
    np.testing.assert_array_equal(checks.host(added), total, err_msg=repr(item))
    if gradients and expected.size:
        (gradient,) = graph.gradient(np.sum(x[item] * new), [x])
        spread = np.zeros_like(data)
        np.add.at(spread, item, new)
        np.testing.assert_array_equal(checks.host(gradient), spread, err_msg=repr(item))


@pytest.mark.parametrize("size", range(7))
def test_every_slice(size: int) -> None:
    data = values((size,))
    different = {}
    for item in SLICES:
        canonical, count = canonical_slice(item, size)
        np.testing.assert_array_equal(data[canonical], data[item], err_msg=repr(item))
        assert ad.Tensor(data)[item].shape == (count,) == data[item].shape
        # What is read again means the same.
        assert canonical_slice(canonical, size) == (canonical, count)
        different[canonical.start, canonical.stop, canonical.step] = item
    for item in different.values():
        agrees(data, item)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_slices_on_every_backend(backend: Any, size: int) -> None:
    data = values((size, 2))
    for ends in itertools.product([None, -5, -2, -1, 0, 1, 3, 5], [None, -5, -3, -1, 0, 2, 4], [-2, -1, 1, 2]):
        item = slice(*ends)
        x = ad.Graph(backend=backend).tensor(data)
        np.testing.assert_array_equal(checks.host(x[item]), data[item], err_msg=repr(item))
    for item in (slice(-5, None, -1), slice(None, None, -1), slice(1, None, -2), slice(2, 0)):
        agrees(data, item, backend)


LOOKUP = np.array([0, 1])
FORMS: list[Any] = [
    (slice(None), LOOKUP, Ellipsis, LOOKUP),
    (slice(None), LOOKUP, LOOKUP, Ellipsis),
    (Ellipsis, slice(None), LOOKUP, LOOKUP),
    (slice(None), 0, Ellipsis, LOOKUP),
    (LOOKUP, Ellipsis, slice(None), LOOKUP),
    (LOOKUP, None, LOOKUP),
    (0, Ellipsis, slice(None), LOOKUP),
    (0, Ellipsis, LOOKUP),
    (slice(None, None, -1), LOOKUP, Ellipsis, -LOOKUP),
    (LOOKUP[:, None], Ellipsis, LOOKUP, LOOKUP),
    (range(2), [0, 2]),
    (range(1, -1, -1),),
    range(2),
    (np.int64(1), np.array(-1), np.uint8(3)),
    (slice(np.int64(0), np.int8(1)), LOOKUP.astype(np.uint8)),
    (LOOKUP.astype(np.int8), -1 - LOOKUP.astype(np.int32)),
    [],
    (slice(None), []),
    (slice(None), (0, 2)),
    True,
    False,
    np.bool_(True),
    np.array(False),
    (True, False),
    (Ellipsis, True),
    (slice(None), True),
    (0, True),
    (0, slice(None), True),
    (0, True, 0),
    (True, Ellipsis, 0),
    (slice(None), LOOKUP, True, LOOKUP),
    (True, None, LOOKUP),
    (LOOKUP, Ellipsis, True, LOOKUP),
    (False, LOOKUP[:1]),
    [True, False],
    (slice(None), [True, False, True]),
    (np.array([[True, False, True], [False, False, True]]),),
    (np.array([[True, False, True], [False, False, True]]), Ellipsis, 2),
    (slice(None), np.zeros((3, 4), bool)),
    (None, Ellipsis, None),
    (),
]


@pytest.mark.parametrize("item", FORMS, ids=repr)
def test_forms(item: Any, backend: Any) -> None:
    with warnings.catch_warnings():
        # The result does not depend on what it takes nothing of.
        warnings.simplefilter("ignore", ad.errors.IndependentWarning)
        agrees(values((2, 3, 4)), item, backend)


def test_indices_compose_with_every_kind_of_entry() -> None:
    entries = [0, -1, slice(None, None, -1), slice(-5, None, -1), None, True, False, Ellipsis, LOOKUP, -1 - LOOKUP, [1]]
    data = values((2, 3))
    valid = 0
    for count in range(1, 5):
        for item in itertools.product(entries, repeat=count):
            try:
                expected = data[item]
            except IndexError:
                with pytest.raises(ad.errors.IndexingError):
                    ad.Tensor(data)[item]
                continue
            read = ad.Tensor(data)[item]
            assert read.shape == expected.shape, item
            valid += 1
            if valid % 8 == 0:
                agrees(data, item, gradients=valid % 32 == 0)
    assert valid > 2000


sizes = st.integers(0, 4)
slices = st.builds(slice, *[st.none() | st.integers(-6, 6)] * 2, st.none() | st.integers(-3, 3).filter(bool))


@st.composite
def indexed(draw: Any) -> tuple[np.ndarray, Any]:
    """An array and an index that fits it."""
    shape = tuple(draw(st.lists(sizes, min_size=1, max_size=4)))
    together = draw(st.sampled_from([(), (1,), (2,), (2, 1), (1, 3)]))
    items: list[Any] = []
    ellipsis = draw(st.integers(0, 2 * len(shape)))
    for axis, n in enumerate(shape):
        if axis == ellipsis:
            items.append(Ellipsis)
        kinds = ["slice", "slice"] + (["integer", "array", "mask"] if n else ["slice"])
        match draw(st.sampled_from(kinds)):
            case "slice":
                items.append(draw(slices))
            case "integer":
                items.append(draw(st.integers(-n, n - 1)))
            case "array":
                places = draw(st.lists(st.integers(-n, n - 1), min_size=6, max_size=6))
                wanted = draw(st.sampled_from([together, together[-1:], ()]))
                items.append(np.resize(np.array(places), wanted))
            case "mask":
                items.append(np.arange(n) == draw(st.integers(0, n - 1)))
        if draw(st.integers(0, 9)) == 0:
            items.append(None)
    if ellipsis >= len(shape) and draw(st.booleans()):
        items = items[: draw(st.integers(0, len(items)))]
    return values(shape), tuple(items)


@settings(max_examples=200, deadline=None)
@given(indexed())
def test_random_indices(case: tuple[np.ndarray, Any]) -> None:
    data, item = case
    agrees(data, item)


@settings(max_examples=60, deadline=None)
@given(indexed(), indexed())
def test_random_indices_of_results(first: tuple[np.ndarray, Any], second: tuple[np.ndarray, Any]) -> None:
    data, item = first
    part = data[item]
    try:
        expected = part[second[1]]
    except IndexError:
        with pytest.raises(ad.errors.IndexingError):
            ad.Tensor(data)[item][second[1]]
        return
    np.testing.assert_array_equal(np.asarray(ad.Tensor(data)[item][second[1]]), expected)


# --- errors ----------------------------------------------------------------------------------------------------------

WRONG: list[Any] = [
    3,
    -4,
    (0, 5),
    (0, 0, 0),
    (0, 0, None, 0),
    1.0,
    "a",
    type(None),
    {0: 1},
    {0},
    slice(None, None, 0),
    slice(0.5, None),
    slice("a", "b"),
    [0.5],
    [0, 3],
    [[0, 1], [2]],
    ["a"],
    np.array([0.0]),
    np.array([], float),
    np.array([1j]),
    (np.array([0, 1]), np.array([0, 1, 2])),
    (LOOKUP, False),
    (Ellipsis, Ellipsis),
    np.array([True, False]),
    (np.array([True]), 0),
    np.ones((3, 5), bool),
    np.ones((3, 4, 1), bool),
    np.float64(1),
    2**70,
    -(2**70),
    np.array([2**63], np.uint64),
    object(),
]


@pytest.mark.parametrize("item", WRONG, ids=lambda item: repr(item).partition(" at 0x")[0])
def test_wrong_indices_are_errors_of_numpys_class(item: Any) -> None:
    data = values((3, 4))
    with pytest.raises(Exception) as numpys:
        data[item]
    x = ad.Tensor(data)
    builtin = next(c for c in (IndexError, ValueError, TypeError) if isinstance(numpys.value, c))
    for attempt in (lambda: x[item], lambda: x.__setitem__(item, 1.0), lambda: np.add.at(x, item, 1.0)):
        with pytest.raises(ad.errors.AutodiffError) as own:
            attempt()
        assert isinstance(own.value, builtin), own.value
    np.testing.assert_array_equal(x.value, data)
