"""Which axes of the operands and the results of a primitive belong together.

All of it follows from the primitive's card: from its kind, its ``core``, or the type of a parameter. Blocks of rows,
and what runs along an axis, are followed through a program with it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .core.avals import Aval, broadcast_shape
from .core.parameters import Axes, Axis, Output, Permutation, Shape
from .core.primitives import Signature
from .errors import BackendError

# A label for each axis; None for one that cannot be cut.
Labels = tuple[int | None, ...]


class AxisLabels(NamedTuple):
    """The labels of the axes of each operand and of the result. The axes of an index are the places of its entries.

    Axes with one label are cut together, and the blocks of the result are computed from those of operands. Axes of
    different sizes may share a label: then each block has as many of its rows as it has of others. A label that the
    result lacks is summed over (or multiplied, or compared): ``combine`` makes the result from those for blocks, if
    the operand ``base``, which is part of each of them, is the neutral element.
    """

    operands: tuple[Labels, ...]
    out: Labels
    combine: np.ufunc | None = None
    base: int | None = None


def axis_labels(signature: Signature, whole: Sequence[bool] | None = None) -> AxisLabels:
    """How the axes of an application belong together.

    ``whole`` says which entries of its index take a whole axis; if it is not given, the structure has to know.
    """
    primitive = signature.primitive
    if primitive.kind == "elementwise" or (primitive.several and primitive.core is None):
        return _broadcast(signature)
    if primitive.several and primitive.core == "->":
        return _apart(signature)
    if primitive.kind == "indexing":
        return _indexed(signature, whole)
    if primitive.core is not None:
        return _mapped(signature, primitive.core)
    for value, kind in zip(signature.params, primitive.params.values(), strict=True):
        if kind in BY_TYPE:
            return BY_TYPE[kind](signature, value)
    raise BackendError(
        f"the card of {primitive.name!r} does not say which axes belong together; give it core=, or a parameter of "
        "the type Axis, Axes, Permutation or Shape"
    )


def extent(aval: Aval) -> tuple[int, ...]:
    """The sizes of the axes that have labels: of several outputs the first ones, as far as these are the same."""
    if not aval.parts:
        return aval.shape
    sizes = zip(*[part.shape for part in aval.parts], strict=False)
    return tuple([n for n, *_ in itertools.takewhile(lambda those: len({*those}) == 1, sizes)])


def carried(signature: Signature, position: int, along: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What runs along each axis of the result if ``along`` runs along those of an operand; None if some is lost."""
    shape, out = extent(signature.inputs[position]), extent(signature.out)
    if signature.primitive.kind == "elementwise" and shape == out:
        return along  # 3 us less for most operations
    labels = axis_labels(signature)
    own = zip(labels.operands[position], shape, along, strict=True)
    runs = {(label, size): what for label, size, what in own if what is not None}
    axes = zip(labels.out, out, strict=True)
    found = tuple([None if label is None else runs.pop((label, size), None) for label, size in axes])
    return None if runs else found


# --- by what a card says ---------------------------------------------------------------------------------------------


def _aligned(shape: tuple[int, ...], out: tuple[int, ...], first: int = 0) -> Labels:
    """Labels of what is broadcast to ``out``, whose labels count from ``first``; none where it is repeated."""
    if shape == out:
        return tuple(range(first, first + len(out)))
    offset = len(out) - len(shape)
    return tuple([first + offset + i if n == out[offset + i] else None for i, n in enumerate(shape)])


def _broadcast(signature: Signature) -> AxisLabels:
    """Of a ufunc, which may have several outputs."""
    out = extent(signature.out)
    return AxisLabels(tuple([_aligned(x.shape, out) for x in signature.inputs]), tuple(range(len(out))))


def _apart(signature: Signature) -> AxisLabels:
    """No axis passes through it."""
    return AxisLabels(tuple([(None,) * len(extent(x)) for x in signature.inputs]), (None,) * len(extent(signature.out)))


def _mapped(signature: Signature, core: str) -> AxisLabels:
    """The last axes are those that ``core`` names; those before them are broadcast, and are all that outputs share."""
    operands, _, result = core.partition("->")
    cores = [*zip(map(extent, signature.inputs), operands.split(","), strict=True)]
    batch = signature.out.shape[: signature.out.ndim - len(result)]
    if signature.out.parts:
        batch = broadcast_shape(*[shape[: len(shape) - len(names)] for shape, names in cores])
        result = "." * (len(extent(signature.out)) - len(batch))
    letters = dict.fromkeys([c for c in operands if c not in ".,"])
    own: dict[str, int | None] = {c: i for i, c in enumerate(letters, len(batch))}
    labels = []
    for shape, names in cores:
        labels.append(_aligned(shape[: len(shape) - len(names)], batch) + tuple([own.get(c) for c in names]))
    return AxisLabels(tuple(labels), (*range(len(batch)), *[own.get(c) for c in result]), signature.primitive.reduces)


def _along(signature: Signature, axes: int | tuple[int, ...]) -> AxisLabels:
    """All axes but those that the primitive works along, which the result has or lacks; these too if it reduces."""
    worked = axes if isinstance(axes, tuple) else (axes,)
    ndim, reduces = signature.inputs[0].ndim, signature.primitive.reduces
    labels = tuple([None if i in worked and reduces is None else i for i in range(ndim)])
    out = labels if signature.out.ndim == ndim else tuple([labels[i] for i in range(ndim) if i not in worked])
    return AxisLabels((labels,) * len(signature.inputs), out, reduces)


def _permuted(signature: Signature, order: tuple[int, ...]) -> AxisLabels:
    return AxisLabels((tuple(range(len(order))),), order)


def _in_order(signature: Signature, after: tuple[int, ...]) -> AxisLabels:
    """Elements keep their order: axes with as many elements before them belong together, though not in size."""
    before = signature.inputs[0].shape
    places = {math.prod(after[:j]): j for j, n in enumerate(after) if n != 1}
    operand: list[int | None] = [None] * len(before)
    out: list[int | None] = [None] * len(after)
    for i, n in enumerate(before):
        count = math.prod(before[:i])
        if n != 1 and count and count in places:
            operand[i] = out[places[count]] = i
    return AxisLabels((tuple(operand),), tuple(out))


def _one_of(signature: Signature, output: int) -> AxisLabels:
    labels = tuple(range(len(extent(signature.inputs[0]))))
    return AxisLabels((labels,), labels + (None,) * (signature.out.ndim - len(labels)))


BY_TYPE: dict[Any, Callable[[Signature, Any], AxisLabels]] = {
    Axis: _along,
    Axes: _along,
    Permutation: _permuted,
    Shape: _in_order,
    Output: _one_of,
}


# --- indices ---------------------------------------------------------------------------------------------------------


def takes_whole(index: Aval, value: tuple[Any, ...]) -> tuple[bool, ...]:
    """For each entry of an index whether it is a slice of all that it counts, in order."""
    assert index.spec is not None
    return tuple([type(v) is slice and v == slice(0, n, 1) for n, v in zip(index.spec, value, strict=True)])


def arrays_stand(spec: Sequence[Any]) -> int:
    """Before which axis the axes of index arrays are: where these and integers stood, if side by side, else first."""
    named = [i for i, entry in enumerate(spec) if entry in ("i", "a")]
    return named[0] if named[-1] - named[0] + 1 == len(named) else 0


def _indexed(signature: Signature, whole: Sequence[bool] | None) -> AxisLabels:
    """Labels are the axes of what is read or written; those of an array are labelled where an entry takes all."""
    x, index, *rest = signature.inputs
    spec = index.spec
    assert spec is not None
    count = len(rest) - spec.count("a")
    written, arrays = rest[:count], [a.shape for a in rest[count:]]
    together = broadcast_shape(*arrays)
    first = arrays_stand(spec) if arrays else 0
    if whole is None:
        whole = [False] * len(spec) if index.literal is None else takes_whole(index, index.literal)
    sizes = iter(x.shape)
    is_all = [entry != "n" and (entry == next(sizes)) and taken for entry, taken in zip(spec, whole, strict=True)]
    others = [i for i, entry in enumerate(spec) if entry not in ("i", "a")]
    places = {i: k if k < first else k + len(together) for k, i in enumerate(others)}
    entries = tuple([places[i] if taken else None for i, taken in enumerate(is_all)])
    array = tuple([label for label, entry in zip(entries, spec, strict=True) if entry != "n"])
    positions = [_aligned(shape, together, first) for shape in arrays]
    known = {*entries, *itertools.chain(*positions)}
    region = tuple([i if i in known else None for i in range((*written, signature.out)[0].ndim)])
    if not written:
        return AxisLabels((array, entries, *positions), region)
    return AxisLabels((array, entries, region, *positions), array, signature.primitive.reduces, base=0)
