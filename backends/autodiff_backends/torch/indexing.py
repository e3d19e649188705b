"""Reading and writing parts of tensors by PyTorch's indexing, which has no negative steps and takes integers first."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch

from ..array_api.indexing import AxisOrder, Index, Spec, axis_order, region_index

Tensor = Any


def forwards(idx: Index, spec: Spec) -> tuple[Index, list[int]]:
    """An index whose slices all read forwards, and the axes of the region that are to be reversed after it."""
    entries, reversed_axes, axis = [], [], 0
    for entry, value in zip(spec, idx, strict=True):
        if type(value) is slice and value.step is not None and value.step < 0:
            if entry > 1:
                reversed_axes.append(axis)
            value = (
                slice(value.start + (entry - 1) * value.step, value.start + 1, -value.step) if entry else slice(0, 0)
            )
        entries.append(value)
        axis += entry != "i"
    return tuple(entries), reversed_axes


@lru_cache(1024)
def _without_integers(spec: Spec) -> AxisOrder:
    """PyTorch's rule is NumPy's for an index without integers: these are taken first."""
    return axis_order(tuple([entry for entry in spec if entry != "i"]))


def read(x: Tensor, idx: Index, *, spec: Spec) -> Tensor:
    """``x[idx]`` without index arrays, whichever way its slices read."""
    entries, reversed_axes = forwards(idx, spec)
    region = x[entries]
    return torch.flip(region, reversed_axes) if reversed_axes else region


def index(x: Tensor, idx: Index, *arrays: Tensor, spec: Spec) -> Tensor:
    """``x[idx]`` with index arrays."""
    entries, reversed_axes = forwards(region_index(idx, spec), spec)
    region = x[entries]
    if reversed_axes:
        region = torch.flip(region, reversed_axes)
    rest = iter(arrays)
    taken = region[tuple([next(rest) if entry == "a" else slice(None) for entry in spec if entry != "i"])]
    own, wanted = _without_integers(spec), axis_order(spec)
    if own.before == wanted.before:
        return taken
    return torch.permute(taken, own.to_front(taken.ndim - len(own.rest)))


def index_add(x: Tensor, idx: Index, values: Tensor, *arrays: Tensor, spec: Spec) -> Tensor:
    """``x`` with ``values`` added at ``idx``, to repeated positions each time."""
    result = torch.clone(x, memory_format=torch.contiguous_format)
    add_to(result, idx, values, *arrays, spec=spec)
    return result


def index_set(x: Tensor, idx: Index, values: Tensor, *arrays: Tensor, spec: Spec) -> Tensor:
    """``x`` with ``x[idx] = values`` done; the last of repeated positions stays."""
    result = torch.clone(x, memory_format=torch.contiguous_format)
    write_to(result, idx, values, *arrays, spec=spec)
    return result


def add_to(target: Tensor, idx: Index, values: Tensor, *arrays: Tensor, spec: Spec) -> Tensor:
    """``target`` itself, with ``values`` added at ``idx``."""
    region, values = _opposite(target, idx, values, arrays, spec)
    if arrays:
        region.index_put_(arrays, values, accumulate=True)
    elif target.dtype is torch.bool:
        region.logical_or_(values)
    else:
        region.add_(values)
    return target


def write_to(target: Tensor, idx: Index, values: Tensor, *arrays: Tensor, spec: Spec) -> Tensor:
    """``target`` itself, with ``values`` at ``idx``."""
    region, values = _opposite(target, idx, values, arrays, spec)
    if arrays:
        region.index_put_(arrays, _last_of_repeated(region, values, arrays))
    else:
        region.copy_(values)
    return target


def _opposite(
    target: Tensor, idx: Index, values: Tensor, arrays: tuple[Tensor, ...], spec: Spec
) -> tuple[Tensor, Tensor]:
    """The region of a tensor that is written to, and the values in its order; axes of index arrays first."""
    entries, reversed_axes = forwards(region_index(idx, spec), spec)
    region = target[entries]
    if arrays:
        axes = _without_integers(spec)
        ndim = values.ndim - len(axes.rest)
        region = torch.permute(region, (*axes.arrays, *axes.rest))
        values = torch.permute(values, axis_order(spec).to_front(ndim))
        reversed_axes = [ndim + axes.rest.index(axis) for axis in reversed_axes]
    return region, torch.flip(values, reversed_axes) if reversed_axes else values


def _last_of_repeated(region: Tensor, values: Tensor, arrays: tuple[Tensor, ...]) -> Tensor:
    """The values with those of repeated positions all equal to the last one, so that their order does not matter."""
    sizes = region.shape[: len(arrays)]
    places: Any = 0
    for array, size in zip(torch.broadcast_tensors(*arrays), sizes, strict=True):
        places = places * size + torch.where(array < 0, array + size, array)
    places = places.reshape(-1)
    order = torch.arange(places.shape[0], device=places.device)
    last = torch.zeros(math.prod(sizes), dtype=order.dtype, device=places.device)
    last.scatter_reduce_(0, places, order, "amax")
    ndim = values.ndim - (region.ndim - len(arrays))
    rows = values.reshape(places.shape[0], *values.shape[ndim:])
    return rows[last[places]].reshape(values.shape)
