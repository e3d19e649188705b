"""A value, an index or an application for one block: the same with fewer rows along the axis that is cut."""

from __future__ import annotations

from typing import Any

from autodiff.axes import AxisLabels, extent
from autodiff.core.avals import INDEX_DTYPE, Aval, intern_aval, several
from autodiff.core.parameters import Shape
from autodiff.core.primitives import Signature


def is_cut_by(signature: Signature, axes: AxisLabels, label: int, rows: int) -> bool:
    """Whether blocks of a label hold whole rows everywhere; only a reshape may make more or fewer elements of a row."""
    pairs = zip((*signature.inputs, signature.out), (*axes.operands, axes.out), strict=True)
    shapes = [(extent(x), labels) for x, labels in pairs if x.spec is None or x.parts]
    sizes = [n for shape, labels in shapes for n, own in zip(shape, labels, strict=True) if own == label]
    return all(n > 0 and n % rows == 0 for n in sizes) and (label in axes.out or axes.combine is not None)


def block_aval(aval: Aval, axis: int | None, rows: int, size: int) -> Aval:
    """What is known of a block of ``size`` rows of a value that is cut along an axis into ``rows``."""
    if axis is None:
        return aval
    if aval.parts:
        return several([block_aval(part, axis, rows, size) for part in aval.parts])
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
    if axis is None:
        return signature.params
    pairs = zip(signature.params, signature.primitive.params.values(), strict=True)
    return tuple([block_shape(value, axis, rows, size) if kind is Shape else value for value, kind in pairs])
