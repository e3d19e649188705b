"""What is not recorded, or makes no sense, raises an error of this library at the user's line; never a wrong number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib import recfunctions

import autodiff as ad
from autodiff.errors import ArgumentError, AutodiffError, DTypeError, IndexingError, ShapeError, UnsupportedError

X = ad.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
V = ad.Tensor([1.0, 2.0, 3.0])
Z = ad.Tensor(np.array([1 + 2j, 3j]))
MASK = np.array([True, False, True])

UNSUPPORTED: list[tuple[str, Callable[[], Any]]] = [
    ("raw", lambda: np.linalg.qr(X, mode="raw")),
    ("not finite", lambda: np.nan_to_num(Z, nan=np.inf)),
    ("less.reduceat", lambda: np.less.reduceat(V, [0, 1])),
    ("less.reduce", lambda: np.less.reduce(V)),
    ("less.accumulate", lambda: np.less.accumulate(V)),
    ("add.at", lambda: np.add.at(np.zeros(3), [0], V[0])),
    ("out=", lambda: np.add(V, V, out=np.zeros(3))),
    ("out=", lambda: np.sum(X, axis=0, out=np.zeros(3))),
    ("out=", lambda: np.dot(X, V, out=np.zeros(2))),
    ("signature", lambda: np.add(V, V, signature="dd->d")),
    ("subok", lambda: np.add(V, V, subok=False)),
    ("subok=True", lambda: np.lib.stride_tricks.sliding_window_view(V, 2, subok=True)),
    ("casting", lambda: np.clip(V, 0, 1, casting="unsafe")),
]
SHAPES: list[tuple[str, Callable[[], Any]]] = [
    ("do not broadcast", lambda: X + np.ones((3, 2))),
    ("do not broadcast", lambda: np.where(np.ones((2, 2), bool), X, 0)),
    ("matmul", lambda: X @ X),
    ("matmul", lambda: V @ np.ones((2, 2))),
    ("matmul", lambda: np.matmul(V, 2.0)),
    ("matmul", lambda: np.ones((3, 2, 3)) @ ad.Tensor(np.ones((2, 3, 4)))),
    ("dot", lambda: np.dot(X, X)),
    ("inner", lambda: np.inner(X, np.ones(2))),
    ("tensordot", lambda: np.tensordot(X, np.ones((3, 2)))),
    ("reshape", lambda: X.reshape(4, 2)),
    ("reshape", lambda: np.reshape(X, (-1, -1))),
    ("broadcast_to", lambda: np.broadcast_to(X, (3, 3))),
    ("squeeze", lambda: np.squeeze(X, 0)),
    ("concatenate", lambda: np.concatenate([X, np.ones((2, 2))])),
    ("concatenate", lambda: np.concatenate([V, 1.0])),
    ("stack", lambda: np.stack([X, V])),
    ("longer than axis 1", lambda: np.lib.stride_tricks.sliding_window_view(X, (1, 4))),
    ("shape", lambda: np.lib.stride_tricks.sliding_window_view(V, -1)),
    ("einsum", lambda: np.einsum("ij,jk", X, X)),
    ("einsum", lambda: np.einsum("i", X)),
    ("einsum", lambda: np.einsum("ii", X)),
    ("cross", lambda: np.cross(V[:2], V[:2])),
    ("average", lambda: np.average(X, axis=0, weights=np.ones(3))),
    ("where=", lambda: np.sum(V, where=np.ones((2, 3), bool))),
    ("where=", lambda: np.mean(V, where=np.ones((2, 3), bool))),
    ("where=", lambda: np.var(V, where=np.ones((2, 3), bool))),
    ("where=", lambda: np.max(V, initial=0.0, where=np.ones((2, 3), bool))),
    ("where=", lambda: np.all(V, where=np.ones((2, 3), bool))),
]
ARGUMENTS: list[tuple[str, Callable[[], Any]]] = [
    ("axis 2", lambda: np.sum(X, axis=2)),
    ("axis -3", lambda: np.mean(X, axis=-3)),
    ("twice", lambda: np.sum(X, axis=(0, -2))),
    ("axis", lambda: np.cumsum(X, axis=5)),
    ("axis", lambda: np.argmax(X, axis=3)),
    ("axis", lambda: np.take(X, [0], axis=4)),
    ("axis", lambda: np.repeat(X, 2, axis=2)),
    ("1 sizes for 2 axes", lambda: np.lib.stride_tricks.sliding_window_view(X, 2)),
    ("axis 2", lambda: np.lib.stride_tricks.sliding_window_view(X, 2, axis=2)),
    ("permutation", lambda: np.transpose(X, (0, 0))),
    ("order", lambda: np.reshape(X, 6, order="Z")),
    ("initial", lambda: np.max(V, where=MASK)),
    ("extremum", lambda: np.max(ad.Tensor(np.zeros(0)))),
    ("extremum", lambda: np.argmin(ad.Tensor(np.zeros((0, 2))), axis=0)),
    ("where", lambda: np.add(V, V, where=MASK)),
    ("equal parts", lambda: np.split(V, 2)),
    ("shift", lambda: np.roll(X, (1, 2, 3), (0, 1))),
    ("repeats", lambda: np.repeat(V, [1, 2])),
    ("mode", lambda: np.take(V, [0], mode="nearest")),
    ("einsum", lambda: np.einsum("i,j", V)),
    ("einsum", lambda: np.einsum("ij->ik", X)),
    ("einsum", lambda: np.einsum("ij->ii", X)),
    ("einsum", lambda: np.einsum("i*", V)),
    ("ddof", lambda: np.var(V, ddof=1, correction=1)),
    ("diagonal", lambda: np.diagonal(V)),
    ("where", lambda: np.where(MASK, V)),
    ("ord", lambda: np.linalg.norm(V, "fro")),
    ("axes", lambda: np.linalg.norm(X, axis=(0, 0))),
    ("at least 0", lambda: np.pad(V, -1)),
    ("pad_width", lambda: np.pad(V, ((1, 2), (3, 4)))),
    ("dimensions", lambda: np.vsplit(V, 1)),
    ("axis", lambda: np.cumulative_sum(X) if hasattr(np, "cumulative_sum") else np.sum(X, axis=7)),
    ("take_along_axis", lambda: np.take_along_axis(X, np.array([0]), axis=0)),
    ("conditions", lambda: np.select([MASK], [V, V])),
    ("axes", lambda: np.rot90(X, axes=(0, 0))),
]
DTYPES: list[tuple[str, Callable[[], Any]]] = [
    ("no loop", lambda: np.floor(Z)),
    ("no loop", lambda: np.arctan2(Z, Z)),
    ("no loop", lambda: V & V),
    ("no loop", lambda: np.gcd(V, V)),
    ("fabs", lambda: np.fabs(Z)),
    ("dtype", lambda: np.sum(V, dtype="nonsense")),
    ("dtype", lambda: np.add(V, V, dtype=str)),
    ("convert", lambda: np.add(V, V, dtype=int)),
    ("convert", lambda: V.astype(int, casting="safe")),
    ("convert", lambda: np.concatenate([V, V], dtype=int)),
    ("convert", lambda: np.stack([V, V], dtype="f4", casting="safe")),
    ("convert", lambda: np.hstack([Z, V[:2]], dtype=float)),
    ("convert", lambda: np.einsum("i,i->", V, V, dtype="f4")),
    ("object", lambda: V + np.array([object(), 1, 2])),
    ("numeric array", lambda: V + "text"),
    ("numeric", lambda: V.astype("datetime64[s]")),
]
INDICES: list[tuple[str, Callable[[], Any]]] = [
    ("out of range", lambda: V[3]),
    ("out of range", lambda: V[-4]),
    ("out of range", lambda: V[[0, 3]]),
    ("out of range", lambda: np.take(V, 7)),
    ("2 indices", lambda: V[0, 0]),
    ("does not fit", lambda: V[np.array([True, False])]),
    ("ellipsis", lambda: X[..., ...]),
    ("no index", lambda: V["a"]),
    ("no index", lambda: V[1.0]),
    ("integer and boolean arrays, not float64", lambda: V[np.array([1.0])]),
    ("integers or booleans", lambda: V[V]),
    ("out of range", lambda: X.__setitem__((0, 3), 1.0)),
]


def rows(table: list[tuple[str, Callable[[], Any]]], error: type[Exception]) -> list[Any]:
    return [pytest.param(error, words, call, id=f"{error.__name__}-{i}") for i, (words, call) in enumerate(table)]


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        *rows(UNSUPPORTED, UnsupportedError),
        *rows(SHAPES, ShapeError),
        *rows(ARGUMENTS, ArgumentError),
        *rows(DTYPES, DTypeError),
        *rows(INDICES, IndexingError),
    ],
)
def test_error(error: type[Exception], words: str, call: Callable[[], Any]) -> None:
    with pytest.raises(error, match=words) as caught:
        call()
    assert isinstance(caught.value, AutodiffError)
    # Everything is as it was.
    np.testing.assert_array_equal(ad.Graph().gradient(np.sum(V**2), [V])[0], [2, 4, 6])


def test_in_place_on_an_array_is_refused_by_numpy_or_here() -> None:
    data = np.ones(3)
    with pytest.raises(UnsupportedError, match="x = x"):
        data += V
    np.testing.assert_array_equal(data, 1)


def test_unknown_function_says_how_to_add_it() -> None:
    with pytest.raises(UnsupportedError, match=r"structured_to_unstructured.*autodiff\.implements"):
        recfunctions.structured_to_unstructured(V)


def test_every_function_of_numpy_records_or_refuses() -> None:
    """No function that dispatches to other classes falls back to object arrays."""
    functions = {getattr(np, name) for name in dir(np) if hasattr(getattr(np, name), "_implementation")}
    assert len(functions) > 200
    silent = []
    for function in functions:
        try:
            result = function(V)
        except (TypeError, ValueError, LookupError, NotImplementedError, AttributeError):
            continue
        parts = result if isinstance(result, (tuple, list)) else [result]
        silent += [function.__name__ for part in parts if isinstance(part, np.ndarray) and part.dtype == object]
    assert not silent
