"""Rows for functions that rearrange, join, split and select."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from .case import Case, answer, booleans, case, complexes, integers, real, signed, spaced


def rearranging() -> list[Case]:
    rows = []
    for order in ["C", "F"]:
        rows += [case(np.reshape, real(2, 3), shape, order=order) for shape in [(3, 2), 6, -1, (1, -1), (3, -1, 2)]]
        rows += [case(np.ravel, real(2, 3, 2), order=order), case(np.reshape, real(), (1, 1), order=order)]
    rows += [
        case(np.reshape, real(0, 3), (3, 0)),
        case(np.reshape, real(2, 2), [4]),
        case(np.reshape, complexes(2, 2), (4,)),
        case(np.ravel, real(2, 2)),
        case(np.ravel, real(2, 2), "F"),
        case(np.ravel, real()),
        case(np.transpose, real(2, 3)),
        case(np.transpose, real(2, 3, 2), (1, 2, 0)),
        case(np.transpose, real(2, 1, 3), axes=(-1, 0, 1)),
        case(np.transpose, real()),
        case(np.permute_dims, real(2, 3, 2), (2, 0, 1)),
        case(np.matrix_transpose, real(2, 3, 4)),
        case(np.swapaxes, real(2, 3, 4), 0, -1),
        case(np.moveaxis, real(2, 3, 4), 0, -1),
        case(np.moveaxis, real(2, 3, 4), (0, 1), (-1, 0)),
        case(np.moveaxis, real(2, 3, 4), [2, 0], [0, 1]),
        case(np.rollaxis, real(2, 3, 4), 2),
        case(np.rollaxis, real(2, 3, 4), 0, 3),
        case(np.rollaxis, real(2, 3, 4), -1, 1),
        case(np.expand_dims, real(2, 3), 0),
        case(np.expand_dims, real(2, 3), -1),
        case(np.expand_dims, real(2, 3), (0, 2)),
        case(np.expand_dims, real(), (0, 1)),
        case(np.squeeze, real(1, 3, 1)),
        case(np.squeeze, real(1, 3, 1), 0),
        case(np.squeeze, real(1, 3, 1), axis=(0, -1)),
        case(np.squeeze, real(1, 1)),
        case(np.atleast_1d, real()),
        case(np.atleast_1d, real(2, 2)),
        case(np.atleast_1d, real(), real(3)),
        case(np.atleast_2d, real()),
        case(np.atleast_2d, real(3)),
        case(np.atleast_3d, real(3)),
        case(np.atleast_3d, real(2, 3)),
        case(np.atleast_3d, real(), real(1, 2, 3)),
        case(np.flip, real(2, 3)),
        case(np.flip, real(2, 3), 0),
        case(np.flip, real(2, 3), axis=(0, -1)),
        case(np.flip, real()),
        case(np.fliplr, real(2, 3)),
        case(np.flipud, real(2, 3)),
        case(np.flipud, real(3)),
        case(np.copy, real(2, 3)),
        case(np.copy, real(2, 3), order="F"),
    ]
    if hasattr(np, "astype"):
        rows += [case(np.astype, real(3), np.float64, single=False), answer(np.astype, real(3), np.int64)]
        rows += [case(np.astype, real(3), np.complex128, single=False)]
    for shift in [0, 1, -1, 4, 7]:
        rows += [case(np.roll, real(4), shift), case(np.roll, real(2, 3), shift), case(np.roll, real(2, 3), shift, 1)]
    rows += [
        case(np.roll, real(2, 3), (1, -1), (0, 1)),
        case(np.roll, real(2, 3), 1, (0, 1)),
        case(np.roll, real(2, 3), (1, 2), 1),
        case(np.roll, real(2, 3), (1, 2), (1, 1)),
        case(np.roll, real(0, 3), 1),
        case(np.roll, real(), 1),
    ]
    return rows


def repeating() -> list[Case]:
    rows = [
        case(np.broadcast_to, real(*shape), target)
        for shape, target in [
            ((), (3,)),
            ((3,), (2, 3)),
            ((2, 1), (2, 3)),
            ((1, 1), (4, 2, 3)),
            ((1,), (0,)),
            ((2,), (2,)),
        ]
    ]
    rows += [case(np.broadcast_to, real(), 3), case(np.broadcast_to, real(1, 2), shape=(3, 2), subok=True)]
    rows += [
        case(np.broadcast_arrays, real(3, 1), real(2)),
        case(np.broadcast_arrays, real(), real(1, 2), real(3, 1)),
        case(np.broadcast_arrays, real(3)),
    ]
    for reps in [2, (2,), (2, 1), (1, 2), (2, 3, 1), 0, (), [1, 2], np.array([2, 1])]:
        rows += [case(np.tile, real(2, 3), reps)]
    rows += [case(np.tile, real(), 3), case(np.tile, real(3), (2, 2)), case(np.tile, real(2, 1, 2), 2)]
    rows += [
        case(np.repeat, real(3), 2),
        case(np.repeat, real(2, 3), 2),
        case(np.repeat, real(2, 3), 2, axis=0),
        case(np.repeat, real(2, 3), [1, 0, 2], axis=1),
        case(np.repeat, real(2, 3), np.array([2, 3]), axis=-2),
        case(np.repeat, real(2, 3), np.array([2]), axis=1),
        case(np.repeat, real(), 3),
        case(np.repeat, real(3), 0),
    ]
    return rows


def joining() -> list[Case]:
    rows: list[Case] = []
    pair = [real(2, 3), real(2, 3)]
    rows += [case(np.concatenate, pair), case(np.concatenate, pair, axis=1), case(np.concatenate, tuple(pair), -1)]
    rows += [
        case(np.concatenate, [real(2, 3), real(1, 3), real(0, 3)]),
        case(np.concatenate, [real(2, 3), real(4)], axis=None),
        case(np.concatenate, [real(), real(2)], axis=None),
        case(np.concatenate, [real(2), np.ones(3), complexes(1)], single=False),
        case(np.concatenate, [real(2), np.arange(3)]),
        case(np.concatenate, [real(2), real(2)], dtype=np.float64, casting="safe", single=False),
        case(np.concatenate, [real(2)]),
        case(np.stack, pair),
        case(np.stack, pair, axis=1),
        case(np.stack, pair, -1),
        case(np.stack, [real(), real(), 2.0], single=False),
        case(np.stack, [real(3), np.ones(3)], dtype="f8", single=False),
    ]
    for f in [np.vstack, np.hstack, np.dstack, np.column_stack]:
        rows += [case(f, [real(3), real(3)]), case(f, (real(2, 3), real(2, 3))), case(f, [real(3)])]
        rows += [case(f, [real(), real()]), case(f, [real(2, 1, 2), real(2, 1, 2)])]
    rows += [
        case(np.column_stack, [real(2), real(2, 3)]),
        case(np.vstack, [real(3), real(2, 3)], dtype="f8", single=False),
    ]
    rows += [case(np.hstack, [real(2, 1), real(2, 3)], casting="same_kind")]
    rows += [
        case(np.split, real(6), 3),
        case(np.split, real(6), [1, 4]),
        case(np.split, real(6), [2, 2, 9]),
        case(np.split, real(6), [-2]),
        case(np.split, real(2, 4), 2, axis=1),
        case(np.split, real(2, 4), np.array([1, 3]), -1),
        case(np.split, real(4, 0), 2),
    ]
    return rows


def splitting() -> list[Case]:
    rows = [case(np.array_split, real(7), 3), case(np.array_split, real(2, 5), 3, axis=1)]
    rows += [case(np.array_split, real(5), [1, 3]), case(np.array_split, real(2), 4)]
    rows += [case(np.hsplit, real(4), 2), case(np.hsplit, real(2, 4), [1, 3]), case(np.vsplit, real(4, 2), 2)]
    rows += [case(np.dsplit, real(1, 2, 4), 2), case(np.append, real(3), real(2)), case(np.append, real(3), 2.5)]
    rows += [case(np.append, real(2, 3), real(1, 3), axis=0), case(np.append, real(2, 3), real(2))]
    rows += [case(np.rot90, real(2, 3), k) for k in range(-2, 5)] + [case(np.rot90, real(2, 3, 2), 1, (0, 2))]
    rows += [case(np.rot90, real(2, 3, 2), k=-1, axes=(-1, 1))]
    for n in [0, 1, 2, 5]:
        rows += [case(np.diff, real(4), n), case(np.diff, real(2, 4), n=n, axis=0), case(np.diff, real(2, 4), n)]
    rows += [case(np.diff, real(3), prepend=0.5), case(np.diff, real(3), prepend=real(2), append=real())]
    rows += [
        case(np.diff, real(2, 3), axis=0, append=real(1, 3)),
        answer(np.diff, booleans(4)),
        case(np.diff, complexes(3)),
    ]
    rows += [
        case(np.meshgrid, real(2), real(3)),
        case(np.meshgrid, real(2), real(3), indexing="ij"),
        case(np.meshgrid, real(2)),
    ]
    rows += [case(np.meshgrid, real(2), real(3), real(2), sparse=True), case(np.meshgrid, real(), real(2), real(1))]
    return rows


def padding() -> list[Case]:
    rows = []
    for width in [0, 1, (2, 1), ((1, 2), (0, 1)), ((2,), (1,))]:
        rows += [case(np.pad, real(2, 3), width), case(np.pad, real(2, 3), width, mode="edge")]
        rows += [case(np.pad, real(2, 3), width, mode="wrap"), case(np.pad, real(3, 3), width, mode="reflect")]
        rows += [case(np.pad, real(2, 3), width, mode="symmetric")]
    rows += [case(np.pad, real(3), (2, 1), constant_values=1.5), case(np.pad, real(2, 2), 1, constant_values=real())]
    rows += [case(np.pad, real(2, 2), 1, constant_values=real(2, 2)), case(np.pad, real(3), 7, mode="reflect")]
    rows += [
        case(np.pad, real(), 0),
        case(np.pad, complexes(2), 1),
        case(np.pad, real(3), 1, "constant", constant_values=(1, 2)),
    ]
    return rows


def windows() -> list[Case]:
    f = np.lib.stride_tricks.sliding_window_view
    rows = [case(f, real(4), size) for size in (1, 3, 4, (2,), [2])] + [case(f, complexes(3), 2)]
    rows += [case(f, real(3, 4), (2, 3)), case(f, real(3, 4), (2, 3), (1, 0)), case(f, real(2, 3, 4), 2, axis=1)]
    rows += [case(f, real(2, 3, 4), window_shape=(2, 2), axis=(-1, 0)), case(f, real(5), (2, 3), axis=(0, 0))]
    rows += [case(f, real(40), 36), case(f, real(2, 36), 33, axis=1), case(f, real(3, 4), (), axis=())]
    rows += [case(f, real(), ()), case(f, real(2, 0), 2, axis=0), case(f, real(3), 0), case(f, real(2, 3), 0, axis=0)]
    rows += [case(f, real(3), 2, writeable=True), answer(f, integers(4), 2)]
    return rows


def _set(*index: Any) -> Any:
    def write(x: Any, value: Any) -> Any:
        out = np.copy(x)
        out[index if len(index) != 1 else index[0]] = value
        return out

    return write


INDICES: list[Any] = [
    0, -1, slice(None), slice(1, None), slice(None, None, -1), slice(2, 0, -1), slice(0, 0), Ellipsis, None,
    (0, 1), (slice(None), -1), (Ellipsis, 0), (None, 0), (0, None, slice(None, None, 2)), (0, Ellipsis, None),
    [0, 2, 0], np.array([0, -1]), np.array([[0, 1], [2, 2]]), np.array([True, False, True]), np.zeros(0, int), [],
    (np.array([0, 2, 0]), np.array([1, 1, 1])), (slice(None), np.array([1, 1, 0])), (np.array([2, 0]), slice(1, 3)),
    (np.array([0, 1]), None, np.array([1, 2])), (0, np.array([1, 1])), np.ix_([0, 2], [1, 3, 1]),
    np.arange(12).reshape(3, 4) % 3 == 0, (slice(None), np.array([True, False, True, True])),
    (np.array([[0], [2]]), np.array([1, 3])), (np.int64(1), np.uint8(2)), np.array(1), (np.array([0, 1]), -1),
]  # fmt: skip
DEEP_INDICES: list[Any] = [
    (slice(None), 0, np.array([0, 1])), (0, slice(None), np.array([0, 1])),
    (np.array([0, 1]), slice(None), np.array([1, 1])),
    (Ellipsis, np.array([1, 0])), (slice(None, None, -1), np.array([[True, False, True], [False, True, False]])),
    (np.array([0, 0]), Ellipsis), (None, 1, ..., None, 0),
]  # fmt: skip


def indexing() -> list[Case]:
    rows = []
    for i in INDICES:
        rows += [case(lambda x, i=i: x[i], real(3, 4), covers=f"Tensor.__getitem__[{i!r}]".replace("\n", ""))]
    for i in DEEP_INDICES:
        rows += [case(lambda x, i=i: x[i], real(2, 2, 3), covers=f"Tensor.__getitem__[{i!r}]".replace("\n", ""))]
    for i in INDICES:
        label = f"Tensor.__setitem__[{i!r}]".replace("\n", "")
        shape = np.zeros((3, 4))[i].shape
        rows += [case(_set(i), real(3, 4), real(*shape), covers=label), case(_set(i), real(3, 4), real(), covers=label)]
    rows += [
        case(_set(slice(None)), real(3, 4), real(1, 4), covers="Tensor.__setitem__ broadcast"),
        case(_set(0), real(3, 4), real(1, 1, 4), covers="Tensor.__setitem__ leading ones"),
        case(lambda x: x[()], real(), covers="Tensor.__getitem__[()]"),
        case(lambda x: x[...], real(), covers="Tensor.__getitem__[...] 0-d"),
        case(lambda x: x[None], real(), covers="Tensor.__getitem__[None] 0-d"),
        case(lambda x, i: x[i], real(3, 4), integers(2, high=3), covers="Tensor.__getitem__[Tensor]"),
        case(lambda x, m: x[m], real(3, 4), booleans(3, 4), covers="Tensor.__getitem__[boolean Tensor]"),
        case(lambda x: x[x > 0], signed(3, 4), covers="Tensor.__getitem__[x > 0]"),
        case(lambda x: list(x), real(3, 2), covers="Tensor.__iter__"),
        case(np.take, real(3, 4), [0, 2, 0]),
        case(np.take, real(3, 4), 5),
        case(np.take, real(3, 4), [[0, 1], [2, 2]], axis=0),
        case(np.take, real(3, 4), np.array([1, -1]), axis=-1),
        case(np.take, real(3, 4), [5, -7], axis=1, mode="wrap"),
        case(np.take, real(3, 4), [5, -7], axis=1, mode="clip"),
        case(np.take, real(3, 4), integers(2, high=3), 0),
        case(np.take, real(3, 4), np.zeros(0, int), axis=0),
    ]
    return rows


def diagonals() -> list[Case]:
    rows = []
    for k in [0, 1, -1, 2, -5]:
        rows += [case(np.diag, real(3, 4), k), case(np.diag, real(3), k), case(np.tril, real(3, 4), k)]
        rows += [case(np.triu, real(3, 4), k), case(np.diagonal, real(3, 4), k), case(np.trace, real(3, 4), k)]
    rows += [
        case(np.diagonal, real(2, 3, 4), 1, 0, 2),
        case(np.diagonal, real(2, 3, 4), axis1=2, axis2=1),
        case(np.diagonal, real(2, 3, 4), offset=-1, axis1=-1, axis2=0),
        case(np.trace, real(2, 3, 4), 0, 1, 2),
        case(np.trace, real(3, 3), dtype="f8", single=False),
        case(np.tril, real(2, 3, 3)),
        case(np.triu, real(3)),
        case(np.tril, complexes(2, 2)),
    ]
    return rows


def selecting() -> list[Case]:
    mask = np.array([[True, False, True], [False, True, True]])
    return [
        case(np.where, mask, real(2, 3), real(2, 3)),
        case(np.where, mask, real(3), real(2, 1)),
        case(np.where, mask, real(), real(1)),
        case(np.where, mask, real(2, 3), 0.0),
        case(np.where, mask, 1, real(2, 3)),
        case(np.where, booleans(2, 3), real(2, 3), real(3)),
        case(np.where, booleans(3, 1), real(2), real(1)),
        case(np.where, integers(2, 3, high=2), real(2, 3), real(2, 3)),
        case(np.where, True, real(2), real(2, 2)),
        case(np.where, mask, complexes(2, 3), real(2, 3)),
        case(np.where, booleans(0, 3), real(0, 3), real(3)),
        answer(np.where, booleans(2, 3)),
        answer(np.nonzero, integers(2, 3, high=2)),
        answer(np.argwhere, integers(2, 3, high=2)),
        answer(np.flatnonzero, integers(2, 3, high=2)),
        case(np.clip, spaced(2, 3), -0.3, 0.3),
        case(np.clip, spaced(2, 3), -0.3, None),
        case(np.clip, spaced(2, 3), None, 0.3),
        case(np.clip, spaced(2, 3), a_min=-0.3, a_max=0.3),
        case(np.clip, spaced(2, 3), real(3, low=-0.4, high=-0.3), real(2, 1, low=0.4, high=0.5)),
        case(np.clip, spaced(), -0.5, 0.5),
        case(np.clip, spaced(2, 3), 0, 1),
        case(np.clip, spaced(0), 0, 1),
        answer(np.clip, integers(3), 1, 5),
        case(np.nan_to_num, real(2, 3)),
        case(np.nan_to_num, real(), nan=1.0, posinf=2.0, neginf=-2.0),
        answer(np.nan_to_num, integers(3)),
        case(np.compress, np.array([True, False, True]), real(3)),
        case(np.compress, [1, 0, 1], real(2, 3), axis=1),
        case(np.compress, [False, True], real(2, 3), 0),
        case(np.compress, np.array([True, False, True]), real(2, 3)),
        case(np.extract, mask, real(2, 3)),
        case(np.extract, booleans(2, 3), real(2, 3)),
        case(np.select, [mask, ~mask], [real(2, 3), real(3)]),
        case(np.select, [mask], [real(2, 3)], real()),
        case(np.select, [booleans(2, 3), mask], [real(2, 3), real(2, 1)], 2.5),
        case(np.take_along_axis, real(3, 4), integers(2, 4, high=3), 0),
        case(np.take_along_axis, real(3, 4), np.array([[0], [1], [1]]), axis=1),
        case(np.take_along_axis, real(2, 3), np.array([0, 0, 5, -1]), axis=None),
        case(np.take_along_axis, real(2, 1, 3), np.array([[[2, 0]]]), axis=-1),
    ]


def clipping_by_keyword() -> list[Case]:
    """The names of the Array API, in NumPy from 2.1 on."""
    if np.lib.NumpyVersion(np.__version__) < "2.1.0":
        return []
    return [case(np.clip, spaced(2, 3), min=-0.3, max=0.3), case(np.clip, spaced(2, 3), max=0.3)]


def creating() -> list[Case]:
    rows = []
    for f in [np.zeros_like, np.ones_like]:
        rows += [case(f, real(2, 3), gradient="zero"), case(f, real(2, 3), shape=(3,), gradient="zero")]
        rows += [answer(f, real(2, 3), dtype=int), answer(f, integers(2, 3)), case(f, complexes(2), gradient="zero")]
    rows += [
        case(lambda x: np.empty_like(x) * 0, real(2, 3), covers=np.empty_like, gradient="zero"),
        case(np.full_like, real(2, 3), real(), independent=True),
        case(np.full_like, real(2, 3), real(3), independent=True),
        case(np.full_like, real(2, 3), real(2, 1), independent=True),
        case(np.full_like, real(2, 3), 2.5, gradient="zero"),
        case(np.full_like, real(2, 3), real(2), independent=True, shape=(4, 2)),
        case(lambda x: np.full((2, 3), x, like=x), real(3), covers=np.full),
        case(lambda x: np.full(2, x, np.float64, like=x), real(), covers=np.full, single=False),
        case(np.full_like, real(3), real(), independent=True, dtype=np.float64, single=False),
    ]
    return rows


def like() -> list[Case]:
    """Functions that ask a Tensor by ``like=``, and those that join what is in lists."""
    calls: dict[Any, tuple[Any, ...]] = {
        np.zeros: ((2, 3),), np.ones: (2,), np.empty: ((0, 2),), np.eye: (2, 3), np.identity: (2,), np.arange: (4.0,),
        np.tri: (3, 2, -1),
    }  # fmt: skip
    rows = [
        case(lambda x, f=f, args=args: f(*args, like=x) * x[0], real(1), covers=f, independent=False)
        for f, args in calls.items()
    ]
    for f in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray):
        rows += [case(lambda x, f=f: f(x, like=x), real(2, 3), covers=f)]
        rows += [case(lambda x, y, f=f: f([[x, y], (y, 2 * x)], like=x), real(3), real(3), covers=f)]
        rows += [case(lambda x, f=f: f([x[0], 1.5], dtype=np.float64, like=x), real(1), covers=f, single=False)]
    rows += [case(lambda x: np.array([x[0], 2], ndmin=3, like=x), real(1), covers=np.array)]
    return rows


def _saved(f: Any) -> Any:
    def size(x: Any) -> int:
        stream = io.BytesIO()
        f(stream, x)
        return len(stream.getvalue())

    return size


def about() -> list[Case]:
    """Questions about an array; a Tensor answers as its value does."""
    return [
        answer(np.shape, real(2, 3)),
        answer(np.ndim, real(2, 3)),
        answer(np.size, real(2, 3)),
        answer(np.size, real(2, 3), 1),
        answer(np.iscomplexobj, real(2)),
        answer(np.iscomplexobj, complexes(2)),
        answer(np.isrealobj, real(2)),
        answer(np.result_type, real(2), complexes(2)),
        answer(np.result_type, real(2), np.float32),
        answer(np.allclose, real(2, 3), real(2, 3)),
        answer(np.allclose, real(2, 3), real(2, 3), atol=10.0),
        answer(np.isclose, real(2, 3), 0.1, atol=0.5),
        answer(np.array_equal, real(3), real(3)),
        answer(np.array_equiv, real(3), real(2, 3)),
        answer(np.array_repr, integers(3)),
        answer(np.array_str, integers(3)),
        answer(np.array2string, integers(3)),
        answer(np.argsort, spaced(2, 3)),
        answer(np.argsort, spaced(2, 3), axis=0, kind="stable"),
        answer(np.searchsorted, np.arange(5.0), real(3)),
        answer(np.can_cast, real(2), "f4"),
        answer(np.shares_memory, real(2), real(2)),
        answer(np.may_share_memory, real(2), real(2)),
        answer(_saved(np.save), real(3), covers=np.save),
        answer(_saved(np.savez), real(3), covers=np.savez),
        answer(_saved(np.savez_compressed), real(3), covers=np.savez_compressed),
        answer(_saved(np.savetxt), real(3), covers=np.savetxt),
    ]


CASES = [
    *rearranging(), *repeating(), *joining(), *splitting(), *padding(), *windows(), *indexing(), *diagonals(),
    *selecting(), *clipping_by_keyword(), *creating(), *like(), *about(),
]  # fmt: skip
