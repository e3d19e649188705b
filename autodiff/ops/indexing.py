"""Reading and writing parts of arrays: ``index``, ``index_add``, ``index_set``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..convert import as_node
from ..core.avals import INDEX_DTYPE, INT64, Aval, index_with_arrays, intern_aval
from ..core.primitives import Primitive, Signature
from ..errors import DTypeError, IndexingError
from ..memo import Memo
from ..nodes import Constant, Node, operation
from ..operator import Operator, infer_like
from ..recipe import Composite
from .elementwise import astype, equal, holds, number_in, strong, where
from .indices import ARRAY, INTEGER, NEWAXIS, Concrete, Normalized, canonical_slice, indexed_shape
from .shapes import broadcast_to, full, reshape, reshape_p


def _infer_index(primitive: Primitive, x: Aval, index: Aval, *arrays: Aval) -> Aval:
    return intern_aval(indexed_shape(index, arrays), x.dtype)


def _read(xp: Any, x: Any, idx: Any, *arrays: Any, spec: tuple[Any, ...]) -> Any:
    return x[index_with_arrays(spec, idx, arrays)]


def _added(xp: Any, x: Any, idx: Any, values: Any, *arrays: Any, spec: tuple[Any, ...]) -> Any:
    out = xp.asarray(x, copy=True)
    xp.add.at(out, index_with_arrays(spec, idx, arrays), values)
    return out


def _set(xp: Any, x: Any, idx: Any, values: Any, *arrays: Any, spec: tuple[Any, ...]) -> Any:
    out = xp.asarray(x, copy=True)
    out[index_with_arrays(spec, idx, arrays)] = values
    return out


index = Operator("index", _infer_index, kind="indexing", view=lambda avals: len(avals) == 2, meaning=_read)
index_add = Operator(
    "index_add",
    infer_like,
    kind="indexing",
    writes=True,
    cheap=True,
    reduces=np.add,
    meaning=_added,
    needs=("add.at",),
)
index_set = Operator("index_set", infer_like, kind="indexing", writes=True, cheap=True, meaning=_set)


def normalize_index(x: Aval, item: Any, concrete: Concrete) -> tuple[Constant, tuple[Node, ...]]:
    """The index node and index arrays for ``x[item]``, checked against the shape of ``x``.

    ``concrete(node)`` gives the value of a node, or None where only structure is known. For an index without a single
    True or False, and whose ellipsis, if it has one, takes axes: ``read_index`` takes any.
    """
    found = Normalized(x, item, concrete)
    if found.source != x.shape or found.taken != found.shape:
        raise IndexingError(f"index of {x!r}: a single True or False, or an ellipsis without axes, changes its form")
    return found.node, found.arrays


def static_index(spec: tuple[Any, ...], value: tuple[Any, ...]) -> Constant:
    """An index whose numbers are part of the structure, as derivative rules write them."""
    return Constant(intern_aval((), INDEX_DTYPE, literal=value, spec=spec), value)


def take_slices(x: Node, *slices: slice) -> Node:
    """``x[slices]`` with the slices part of the structure; axes beyond them are taken whole."""
    spec, value = [], []
    for size, entry in zip(x.aval.shape, slices + (slice(None),) * (x.aval.ndim - len(slices)), strict=True):
        entry, count = canonical_slice(entry, size)
        spec.append(count)
        value.append(entry)
    return index(x, static_index(tuple(spec), tuple(value)))


def take_range(x: Node, axis: int, start: int, stop: int) -> Node:
    """``x`` from ``start`` to ``stop`` along an axis. Where that is is data: parts of one size are one structure."""
    spec: list[Any] = [*x.aval.shape]
    value = [slice(0, n, 1) for n in spec]
    spec[axis], value[axis] = stop - start, slice(start, stop, 1)
    return index(x, Constant(intern_aval((), INDEX_DTYPE, spec=tuple(spec)), tuple(value)))


def flip(x: Node, axes: tuple[int, ...]) -> Node:
    """``x`` read backwards along ``axes``."""
    return take_slices(x, *[slice(None, None, -1) if i in axes else slice(None) for i in range(x.aval.ndim)])


def take(x: Node, positions: Any, axis: int) -> Node:
    """``x`` at integer ``positions`` along an axis (checked by the caller), in their shape."""
    spec = [*x.aval.shape]
    value: list[Any] = [slice(0, n, 1) for n in spec]
    spec[axis] = ARRAY  # type: ignore[call-overload]
    value[axis] = None
    return index(x, static_index(tuple(spec), tuple(value)), as_node(positions))


class _Form:
    """What indices that differ in their integers only have in common.

    ``value`` has integers to be put at the ``places`` of axes of known sizes; ``signature`` is that of reading, by a
    reshape if that is all it is (None if not even that), so that the derivative is one too.
    """

    __slots__ = ("aval", "gives_view", "places", "reshapes", "shape", "signature", "value", "whole")

    def __init__(self, x: Aval, item: Any):
        found = Normalized(x, item, _no_value)
        spec = found.node.aval.spec
        assert spec is not None
        self.aval = found.node.aval
        self.whole = found.node.value
        self.value = list(self.whole)
        axes = iter(x.shape)
        sizes = [1 if entry == NEWAXIS else next(axes) for entry in spec]
        self.places = [(place, sizes[place]) for place, entry in enumerate(spec) if entry == INTEGER]
        self.shape = found.shape
        # What has no axes is a number in NumPy, unless there is an ellipsis.
        self.gives_view = bool(self.shape) or item is Ellipsis or (type(item) is tuple and Ellipsis in item)
        backwards = any(type(v) is slice and v.step < 0 and n > 1 for v, n in zip(self.value, spec, strict=True))
        self.reshapes = math.prod(self.shape) == x.size and x.size > 0 and not backwards
        self.signature: Signature | None = None
        if not self.reshapes:
            self.signature = index.signature((x, self.aval))
        elif self.shape != x.shape or x.weak:
            self.signature = reshape_p.signature((x,), (self.shape,))


def _no_value(node: Node) -> Any:
    raise IndexingError("a basic index has no arrays")


# Forms by abstract value and index, with `int` for integers.
FORMS_KEPT = 1 << 12
# What the ends of a slice may be.
ENDS = frozenset((type(None), int))
_forms: Memo[Any, _Form] = Memo(FORMS_KEPT)
_hot_forms = _forms.hot


def basic_index(x: Aval, item: Any) -> tuple[_Form, tuple[Any, ...]] | None:
    """The form and the value of an index of integers, slices, ``...`` and None; None for any other index."""
    kind = type(item)
    if kind is int:
        # What loops do, so it is written out: 0.5 us less.
        form = _hot_forms.get((x, int))
        if form is not None and -x.shape[0] <= item < x.shape[0]:
            return form, (item if item >= 0 else item + x.shape[0], *form.whole[1:])
    key: list[Any] = [x]
    numbers: list[int] = []
    for entry in item if kind is tuple else (item,):
        kind = type(entry)
        if kind is int:
            key.append(int)
            numbers.append(entry)
        elif kind is slice:
            start, stop, step = entry.start, entry.stop, entry.step
            if type(start) not in ENDS or type(stop) not in ENDS or (step is not None and type(step) is not int):
                return None
            # Slices can be looked up from Python 3.12 on.
            key += (slice, start, stop, step)
        elif entry is None or entry is Ellipsis:
            key.append(entry)
        else:
            return None
    whole = tuple(key)
    form = _hot_forms.get(whole) or _forms.get(whole)
    if form is None:
        form = _forms.put(whole, _Form(x, item))
    if not numbers:
        return form, form.whole
    value = form.value.copy()
    for (place, size), number in zip(form.places, numbers, strict=True):
        if not -size <= number < size:
            Normalized(x, item, _no_value)  # raises the error that says so
        value[place] = number + size if number < 0 else number
    return form, tuple(value)


def read_basic(x: Node, form: _Form, value: tuple[Any, ...]) -> Node:
    """``x`` at a basic index of which this is known."""
    if form.signature is None:
        return x
    return operation(form.signature, (x,) if form.reshapes else (x, Constant(form.aval, value)))


def read_index(x: Node, item: Any, concrete: Concrete) -> Node:
    """``x[item]``."""
    known = basic_index(x.aval, item)
    if known is not None:
        return read_basic(x, *known)
    found = Normalized(x.aval, item, concrete)
    if found.arrays:
        return reshape(index(reshape(x, found.source), found.node, *found.arrays), found.shape)
    # Its integers had other types, or were Tensors.
    known = basic_index(x.aval, found.node.value)
    assert known is not None
    return read_basic(x, *known)


_write_basic = Composite(
    lambda x, node, values: index_set(x, node, _fitted(x, values, indexed_shape(node.aval, ()))),
)


def write_index(x: Node, item: Any, values: Any, concrete: Concrete) -> Node:
    """``x`` with ``x[item] = values`` done, as NumPy does it: the last of repeated positions stays."""
    known = basic_index(x.aval, item)
    if known is not None:
        form, value = known
        return _write_basic(x, Constant(form.aval, value), as_node(values))  # type: ignore[no-any-return]
    masked = _unknown_mask(x.aval, item, concrete)
    if masked is not None:
        written = _where_true(x, *masked, as_node(values))
        if written is not None:
            return written
    return _written(index_set, x, Normalized(x.aval, item, concrete), values)


def _unknown_mask(x: Aval, item: Any, concrete: Concrete) -> tuple[Node, int] | None:
    """A mask whose values are not known, and the axis it begins at, if an index is that and whole axes only."""
    entries = list(item) if type(item) is tuple else [item]
    masks = [
        place for place, e in enumerate(entries) if isinstance(e, Node) and e.aval.dtype.kind == "b" and e.aval.ndim
    ]
    if len(masks) != 1:
        return None
    (place,) = masks
    mask = entries.pop(place)
    others = [e is Ellipsis or (type(e) is slice and e == slice(None)) for e in entries]
    if not all(others) or entries.count(Ellipsis) > 1 or concrete(mask) is not None:
        return None
    after = len(entries) - place
    axis = x.ndim - mask.aval.ndim - after if Ellipsis in entries[:place] else place
    fits = axis >= 0 and mask.aval.shape == x.shape[axis : axis + mask.aval.ndim]
    return (mask, axis) if fits and len(entries) - entries.count(Ellipsis) + mask.aval.ndim <= x.ndim else None


def _where_true(x: Node, mask: Node, axis: int, values: Node) -> Node | None:
    """``x`` with values where a mask is true that begins at an axis; None if there is one for each such place."""
    rest = x.aval.ndim - axis - mask.aval.ndim
    counted = values.aval.ndim - rest - 1
    if counted >= 0 and values.aval.shape[counted] != 1:
        return None
    if counted >= 0:
        shape = values.aval.shape
        values = reshape(values, (*shape[:counted], *[1] * mask.aval.ndim, *shape[counted + 1 :]))
    whole = _fitted(x, values, x.aval.shape)
    return where(reshape(mask, (*mask.aval.shape, *[1] * rest)), whole, x)


def is_written(x: Node, item: Any, values: Node) -> bool:
    """Whether ``x`` is what writing ``values`` at a basic index has made."""
    if x.signature is None or x.signature.primitive is not index_set or x.inputs[2] is not values:
        return False
    known = basic_index(x.aval, item)
    return known is not None and x.inputs[1].aval is known[0].aval and bool(x.inputs[1].value == known[1])


def add_index(x: Node, item: Any, values: Any, concrete: Concrete) -> Node:
    """``x`` with ``values`` added at ``item``, repeated positions each time (``np.add.at``)."""
    node = as_node(values, x.aval)
    if x.aval.dtype.kind not in "fc":
        node = strong(node)
    place = Normalized(x.aval, item, concrete)
    # NumPy adds in the larger dtype, and converts each of the sums; of integers it is the same in the end.
    if not holds(x.aval.dtype, node.aval.dtype):
        raise DTypeError(f"cannot add {node.aval!r} to parts of {x.aval!r}; convert one of them with .astype")
    return _written(index_add, x, place, astype(node, x.aval.dtype))


def _written(primitive: Primitive, x: Node, place: Normalized, values: Any) -> Node:
    """``x`` with values set at or added to a place."""
    fitted = reshape(_fitted(x, values, place.shape), place.taken)
    return reshape(primitive(reshape(x, place.source), place.node, fitted, *place.arrays), x.aval.shape)


def _fitted(x: Node, values: Any, shape: tuple[int, ...]) -> Node:
    """``values`` in the dtype of ``x`` and the shape of the place they go to."""
    node = as_node(values)
    if node.aval.dtype.kind == "c" and x.aval.dtype.kind not in "cb" and not node.aval.weak:
        raise DTypeError(f"cannot write complex values {node.aval!r} into {x.aval!r}; take np.real of them")
    extra = node.aval.ndim - len(shape)
    if extra > 0 and node.aval.shape[:extra] == (1,) * extra:
        node = reshape(node, node.aval.shape[extra:])
    if node.aval.dtype != x.aval.dtype or node.aval.weak:
        node = number_in(node, x.aval.dtype, f"writing into {x.aval!r}")
    return broadcast_to(node, shape)


def last_written(x: Node, idx: Node, values: Node, arrays: tuple[Node, ...]) -> Node:
    """Where ``values`` remain after ``index_set``: false for positions that a later one overwrites."""
    size = values.aval.size
    order = reshape(Constant(intern_aval((size,), INT64), np.arange(size)), values.aval.shape)
    written = index_set(full(x.aval.shape, 0, INT64), idx, order, *arrays)
    return equal(index(written, idx, *arrays), order)


def surviving(x: Node, idx: Node, values: Node, arrays: tuple[Node, ...]) -> Node:
    """``values`` with zeros where a later one overwrites them; all of them if positions cannot repeat."""
    if not arrays:
        return values
    return where(last_written(x, idx, values, arrays), values, 0)
