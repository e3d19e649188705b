"""Reading and writing parts of arrays in the functions of the Array API standard, which has no scatter.

The parts that integers, slices and new axes select are a *region*; index arrays select rows of it, once their axes
are the first and are taken as one. Additions to repeated rows are summed after a stable sort.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import array_api_compat as compat

from autodiff.axes import arrays_stand

from .elementwise import Array, Namespace

Spec = tuple[Any, ...]
Index = tuple[Any, ...]


class AxisOrder(NamedTuple):
    """Where the axes of a region are in the result of indexing.

    Parameters
    ----------
    arrays : tuple of int
        The axes of the region that index arrays are for.
    rest : tuple of int
        Its other axes.
    before : int
        How many of the others are before the axes of the index arrays in the result.
    """

    arrays: tuple[int, ...]
    rest: tuple[int, ...]
    before: int

    def to_front(self, ndim: int) -> tuple[int, ...]:
        """Axes of the result with the ``ndim`` axes of the index arrays first."""
        return (*range(self.before, self.before + ndim), *range(self.before), *self._after(ndim))

    def from_front(self, ndim: int) -> tuple[int, ...]:
        """The inverse permutation."""
        return (*range(ndim, ndim + self.before), *range(ndim), *self._after(ndim))

    def _after(self, ndim: int) -> range:
        return range(ndim + self.before, ndim + len(self.rest))


@lru_cache(1024)
def axis_order(spec: Spec) -> AxisOrder:
    """Where NumPy puts the axes of index arrays and the others."""
    entries = [entry for entry in spec if entry != "i"]
    arrays = tuple([i for i, entry in enumerate(entries) if entry == "a"])
    rest = tuple([i for i, entry in enumerate(entries) if entry != "a"])
    return AxisOrder(arrays, rest, arrays_stand(spec))


def region_index(idx: Index, spec: Spec) -> Index:
    """The index without its arrays: their axes are taken whole. What selects nothing is within any bounds."""
    entries = zip(spec, idx, strict=True)
    return tuple([slice(None) if entry == "a" else slice(0, 0) if entry == 0 else value for entry, value in entries])


def _rows(xp: Namespace, region: Array, axes: AxisOrder) -> tuple[Array, list[int]]:
    """The region with the axes of index arrays taken as one, the first; and their sizes."""
    sizes = [region.shape[axis] for axis in axes.arrays]
    rest = [region.shape[axis] for axis in axes.rest]
    moved = xp.permute_dims(region, (*axes.arrays, *axes.rest))
    return xp.reshape(moved, (math.prod(sizes), *rest)), sizes


def _places(xp: Namespace, arrays: tuple[Array, ...], sizes: list[int]) -> Array:
    """The rows that index arrays mean together; negative ones count from the end."""
    result: Any = None
    for array, size in zip(xp.broadcast_arrays(*arrays) if len(arrays) > 1 else arrays, sizes, strict=True):
        places = xp.astype(array, xp.int64)
        places = xp.where(places < 0, places + size, places)
        result = places if result is None else result * size + places
    return result


def index(xp: Namespace, x: Array, idx: Index, *arrays: Array, spec: Spec) -> Array:
    """``x[idx]``."""
    region = x[region_index(idx, spec)]
    if not arrays:
        return region
    axes = axis_order(spec)
    rows, sizes = _rows(xp, region, axes)
    places = _places(xp, arrays, sizes)
    taken = xp.take(rows, xp.reshape(places, (-1,)), axis=0)
    taken = xp.reshape(taken, (*places.shape, *rows.shape[1:]))
    return xp.permute_dims(taken, axes.from_front(places.ndim)) if axes.before else taken


def index_set(xp: Namespace, x: Array, idx: Index, values: Array, *arrays: Array, spec: Spec) -> Array:
    """``x`` with ``x[idx] = values`` done; the last of repeated positions stays."""
    return _written(xp, x, idx, values, arrays, spec, add=False)


def index_add(xp: Namespace, x: Array, idx: Index, values: Array, *arrays: Array, spec: Spec) -> Array:
    """``x`` with ``values`` added at ``idx``, to repeated positions each time."""
    return _written(xp, x, idx, values, arrays, spec, add=True)


def _written(
    xp: Namespace, x: Array, idx: Index, values: Array, arrays: tuple[Array, ...], spec: Spec, add: bool
) -> Array:
    basic = region_index(idx, spec)
    if not arrays:
        return _put(xp, x, basic, _plus(xp, x[basic], values) if add else values)
    region = x[basic]
    axes = axis_order(spec)
    rows, sizes = _rows(xp, region, axes)
    places = _places(xp, arrays, sizes)
    if axes.before:
        values = xp.permute_dims(values, axes.to_front(places.ndim))
    values = xp.reshape(values, (math.prod(places.shape), *rows.shape[1:]))
    rows = _scattered(xp, rows, xp.reshape(places, (-1,)), values, add)
    rows = xp.reshape(rows, (*sizes, *rows.shape[1:]))
    order = (*axes.arrays, *axes.rest)
    region = xp.permute_dims(rows, tuple([order.index(axis) for axis in range(len(order))]))
    return _put(xp, x, basic, region)


def _plus(xp: Namespace, x: Array, y: Array) -> Array:
    return xp.logical_or(x, y) if xp.isdtype(x.dtype, "bool") else x + y


def _scattered(xp: Namespace, rows: Array, places: Array, values: Array, add: bool) -> Array:
    """``rows`` with ``values`` set at or added to ``places``, which may repeat.

    Sorted stably, equal places are neighbours in their order, and the last of each has (after a segmented scan) the
    sum of all; each row looks up the last of its own.
    """
    count, length = places.shape[0], rows.shape[0]
    if not count or not length:
        return rows
    order = xp.argsort(places, stable=True)
    places = xp.take(places, order, axis=0)
    values = xp.take(values, order, axis=0)
    beside = (1,) * (rows.ndim - 1)
    step = 1
    while add and step < count:
        equal = xp.reshape(places[step:] == places[:-step], (count - step, *beside))
        sums = xp.where(equal, _plus(xp, values[step:, ...], values[:-step, ...]), values[step:, ...])
        values = xp.concat((values[:step, ...], sums), axis=0)
        step *= 2
    numbers = xp.arange(length, dtype=places.dtype, device=compat.device(places))
    last = xp.astype(xp.searchsorted(places, numbers, side="right"), places.dtype) - 1
    last = xp.where(last < 0, last + 1, last)
    found = xp.reshape(xp.take(places, last, axis=0) == numbers, (length, *beside))
    new = xp.take(values, last, axis=0)
    return xp.where(found, _plus(xp, rows, new) if add else new, rows)


def _put(xp: Namespace, x: Array, basic: Index, region: Array) -> Array:
    """``x`` with a region of it replaced."""
    entries = [entry for entry in basic if entry is not None]
    shape = [len(range(size)[entry]) for entry, size in zip(entries, x.shape, strict=True) if type(entry) is slice]
    region = xp.reshape(region, tuple(shape))
    if compat.is_writeable_array(x):
        result = xp.asarray(x, device=compat.device(x), copy=True)
        result[tuple(entries)] = region
        return result
    return _put_by_selection(xp, x, entries, region)


def _put_by_selection(xp: Namespace, x: Array, entries: list[Any], region: Array) -> Array:
    """The same for arrays that cannot be written to: the region spread along each axis, and chosen where it is."""
    device = compat.device(x)
    inside = xp.ones((), dtype=xp.bool, device=device)
    for axis, (entry, size) in enumerate(zip(entries, x.shape, strict=True)):
        places = range(size)[entry] if type(entry) is slice else range(entry, entry + 1)
        if type(entry) is not slice:
            region = xp.expand_dims(region, axis=axis)
        if not places:
            return xp.asarray(x, device=device, copy=True)
        if places == range(size):
            continue
        source = [places.index(i) if i in places else 0 for i in range(size)]
        region = xp.take(region, xp.asarray(source, dtype=xp.int64, device=device), axis=axis)
        chosen = xp.asarray([i in places for i in range(size)], dtype=xp.bool, device=device)
        inside = inside & xp.reshape(chosen, (size, *[1] * (x.ndim - axis - 1)))
    return xp.where(inside, region, x)
