"""Which axes of operands and result belong together: along those a primitive can be computed block by block.

Axes with one label are cut together. A label that the result has not is summed over (or multiplied, or compared):
then the results for blocks are partial, and combined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.avals import INDEX_DTYPE, Aval, broadcast_shape, intern_aval
from autodiff.core.primitives import Signature

# A label for each axis; None for one that cannot be cut.
Labels = tuple[int | None, ...]


class Axes(NamedTuple):
    """The labels of the axes of each operand and of the result, and what combines partial results.

    The axes of an index are the places of its entries.
    """

    operands: tuple[Labels, ...]
    out: Labels
    combine: np.ufunc | None = None


def axes_of(signature: Signature, whole: Sequence[bool] = ()) -> Axes:
    """How the axes of an application belong together; ``whole`` says which entries of an index take a whole axis."""
    name = signature.primitive.name
    if signature.primitive.kind == "elementwise" or name == "broadcast_to":
        return _broadcast(signature)
    if signature.primitive.kind == "reduction":
        return _reduction(signature)
    if name in INDEXING:
        return INDEXING[name](signature, whole)
    if name in BY_NAME:
        return BY_NAME[name](signature)
    return Axes(tuple([(None,) * x.ndim for x in signature.inputs]), (None,) * signature.out.ndim)


def is_cut_by(signature: Signature, axes: Axes, label: int, rows: int) -> bool:
    """Whether blocks of a label hold whole rows everywhere; only a reshape may make more or fewer elements of a row."""
    shapes = [(x.shape, labels) for x, labels in zip(signature.inputs, axes.operands, strict=True) if x.spec is None]
    shapes.append((signature.out.shape, axes.out))
    sizes = [n for shape, labels in shapes for n, own in zip(shape, labels, strict=True) if own == label]
    return all(n > 0 and n % rows == 0 for n in sizes) and (label in axes.out or axes.combine is not None)


def _aligned(shape: tuple[int, ...], out: tuple[int, ...], first: int = 0) -> Labels:
    """Labels of what is broadcast to ``out``, whose labels count from ``first``; none where it is repeated."""
    offset = len(out) - len(shape)
    return tuple([first + offset + i if n == out[offset + i] else None for i, n in enumerate(shape)])


def _broadcast(signature: Signature) -> Axes:
    out = signature.out.shape
    return Axes(tuple([_aligned(x.shape, out) for x in signature.inputs]), tuple(range(len(out))))


def _reduction(signature: Signature) -> Axes:
    labels = tuple(range(signature.inputs[0].ndim))
    (gone,) = signature.params
    return Axes(
        (labels,) * len(signature.inputs), tuple([i for i in labels if i not in gone]), signature.primitive.reduces
    )


def _transpose(signature: Signature) -> Axes:
    (order,) = signature.params
    return Axes((tuple(range(len(order))),), order)


def _reshape(signature: Signature) -> Axes:
    """Axes that have as many elements before them belong together, if cutting both gives the same elements."""
    before, after = signature.inputs[0].shape, signature.out.shape
    operand: list[int | None] = [None] * len(before)
    out: list[int | None] = [None] * len(after)
    if 0 not in before:
        places = {math.prod(after[:j]): j for j, n in enumerate(after) if n != 1}
        for i, n in enumerate(before):
            j = places.get(math.prod(before[:i]))
            if n != 1 and j is not None:
                operand[i] = out[j] = i
    return Axes((tuple(operand),), tuple(out))


def _along(signature: Signature) -> Axes:
    """All axes but the one that the primitive works along, which the result has or has not."""
    (axis,) = signature.params
    labels = tuple([None if i == axis else i for i in range(signature.inputs[0].ndim)])
    out = labels if signature.out.ndim == len(labels) else labels[:axis] + labels[axis + 1 :]
    return Axes((labels,) * len(signature.inputs), out)


def _matmul(signature: Signature) -> Axes:
    x, y = signature.inputs
    batch = signature.out.shape[:-2]
    row, column, summed = len(batch), len(batch) + 1, len(batch) + 2
    left = (*_aligned(x.shape[:-2], batch), row, summed)
    right = (*_aligned(y.shape[:-2], batch), summed, column)
    return Axes((left, right), tuple(range(summed)), signature.primitive.reduces)


# --- indices ---------------------------------------------------------------------------------------------------------


class _Form(NamedTuple):
    """How an index belongs to what it takes: labels are the axes of the elements that it names."""

    array: Labels
    entries: Labels
    arrays: tuple[Labels, ...]
    taken: Labels


def _form(x: Aval, index: Aval, arrays: tuple[Aval, ...], whole: Sequence[bool]) -> _Form:
    spec = index.spec
    assert spec is not None
    together = broadcast_shape(*[a.shape for a in arrays]) if arrays else ()
    named = [i for i, entry in enumerate(spec) if entry in ("i", "a")]
    adjacent = bool(named) and named[-1] - named[0] + 1 == len(named)
    first = named[0] if arrays and adjacent else 0
    # Axes that index arrays make stand where the arrays stood, if those are adjacent, else in front.
    places = iter([i if i < first else i + len(together) for i in range(len(spec) - len(named))])
    sizes = iter(x.shape)
    array: list[int | None] = []
    entries: list[int | None] = []
    for entry, is_whole in zip(spec, whole, strict=True):
        place = None if entry in ("i", "a") else next(places)
        size = None if entry == "n" else next(sizes)
        entries.append(place if is_whole and entry == size else None)
        if size is not None:
            array.append(entries[-1])
    labels = tuple([_aligned(a.shape, together, first) for a in arrays])
    ndim = len(together) + len(spec) - len(named)
    known = {label for part in (*labels, entries) for label in part}
    return _Form(tuple(array), tuple(entries), labels, tuple([i if i in known else None for i in range(ndim)]))


def _index(signature: Signature, whole: Sequence[bool]) -> Axes:
    x, index, *arrays = signature.inputs
    form = _form(x, index, tuple(arrays), whole)
    return Axes((form.array, form.entries, *form.arrays), form.taken)


def _index_write(signature: Signature, whole: Sequence[bool]) -> Axes:
    x, index, values, *arrays = signature.inputs
    form = _form(x, index, tuple(arrays), whole)
    assert len(form.taken) == values.ndim
    return Axes((form.array, form.entries, form.taken, *form.arrays), form.array, signature.primitive.reduces)


def takes_whole(aval: Aval, value: tuple[Any, ...]) -> tuple[bool, ...]:
    """For each entry of an index whether it is a slice of all that it counts, in order."""
    spec = aval.spec
    assert spec is not None
    return tuple([type(v) is slice and v == slice(0, n, 1) for n, v in zip(spec, value, strict=True)])


BY_NAME: dict[str, Callable[[Signature], Axes]] = {
    "argmax": _along,
    "argmin": _along,
    "concatenate": _along,
    "cumprod": _along,
    "cumsum": _along,
    "matmul": _matmul,
    "reshape": _reshape,
    "transpose": _transpose,
}

INDEXING: dict[str, Callable[[Signature, Sequence[bool]], Axes]] = {
    "index": _index,
    "index_add": _index_write,
    "index_set": _index_write,
}


# --- the same for one block ------------------------------------------------------------------------------------------


def block_aval(aval: Aval, axis: int | None, rows: int, size: int) -> Aval:
    """What is known of a block of ``size`` rows of a value that is cut along an axis into ``rows``."""
    if axis is None:
        return aval
    if aval.spec is not None:
        spec = (*aval.spec[:axis], aval.spec[axis] // rows * size, *aval.spec[axis + 1 :])
        literal = None if aval.literal is None else block_index(aval.literal, axis, spec[axis])
        return intern_aval((), INDEX_DTYPE, literal=literal, spec=spec)
    return intern_aval(block_shape(aval.shape, axis, rows, size), aval.dtype)


def block_index(value: tuple[Any, ...], place: int, length: int) -> tuple[Any, ...]:
    """An index that takes all of a whole axis, as one that takes all of a block."""
    return (*value[:place], slice(0, length, 1), *value[place + 1 :])


def block_shape(shape: tuple[int, ...], axis: int, rows: int, size: int) -> tuple[int, ...]:
    """The shape of ``size`` of the ``rows`` that an axis is cut into."""
    return (*shape[:axis], shape[axis] // rows * size, *shape[axis + 1 :])


def block_params(signature: Signature, axis: int | None, rows: int, size: int) -> tuple[Any, ...]:
    """The parameters of a primitive whose result is cut along an axis: a shape among them is that of the block."""
    if axis is None or signature.primitive.params != ("shape",):
        return signature.params
    return (block_shape(signature.params[0], axis, rows, size),)
