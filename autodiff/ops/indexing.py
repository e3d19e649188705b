"""Reading and writing parts of arrays: ``index``, ``index_add``, ``index_set``.

An index is an input, not a parameter: its *form* (which entries are integers, slices of what length, new
axes, arrays) is in the structure, the numbers in it are data. So ``x[i]`` in a loop over ``i`` is one
structure, and its compiled plan is found again.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import backend_of
from ..errors import ArgumentError, IndexingError, shown
from ..nodes import (
    INDEX_DTYPE,
    INT64,
    Aval,
    Constant,
    Node,
    Operation,
    Primitive,
    Signature,
    as_array,
    as_node,
    intern_aval,
    on_forgetting,
)
from ..recipe import Composite
from .elementwise import astype, broadcast_shapes, equal, where
from .shapes import broadcast_to, full, reshape, reshape_p

INTEGER, NEWAXIS, ARRAY = "i", "n", "a"


def _advanced_shape(shape: tuple[int, ...], spec: tuple[Any, ...], arrays: tuple[Aval, ...]) -> tuple[int, ...]:
    """The shape of ``x[index]`` by NumPy's rule: broadcast index arrays stand where they stood, if together."""
    together = broadcast_shapes("index", arrays)
    advanced = [i for i, entry in enumerate(spec) if entry in (INTEGER, ARRAY)]
    adjacent = advanced[-1] - advanced[0] + 1 == len(advanced)
    before = advanced[0] if adjacent else 0
    sizes = [1 if entry == NEWAXIS else entry for entry in spec if entry not in (INTEGER, ARRAY)]
    return (*sizes[:before], *together, *sizes[before:])


def indexed_shape(shape: tuple[int, ...], index: Aval, arrays: tuple[Aval, ...]) -> tuple[int, ...]:
    """The shape of ``x[index]`` for ``x`` of shape ``shape``."""
    assert index.spec is not None
    if arrays:
        return _advanced_shape(shape, index.spec, arrays)
    return tuple([1 if entry == NEWAXIS else entry for entry in index.spec if entry != INTEGER])


def _infer_index(primitive: Primitive, x: Aval, index: Aval, *arrays: Aval) -> Aval:
    return intern_aval(indexed_shape(x.shape, index, arrays), x.dtype)


def _infer_index_write(primitive: Primitive, x: Aval, index: Aval, values: Aval, *arrays: Aval) -> Aval:
    return intern_aval(x.shape, x.dtype)


index = Primitive("index", _infer_index)
index_add = Primitive("index_add", _infer_index_write)
index_set = Primitive("index_set", _infer_index_write)

Concrete = Callable[[Node], Any]

# Elements of an index array that are looked at one by one.
FEW = 16


def _index_array(item: Any, concrete: Concrete) -> tuple[Node, Any]:
    """An index array as a node, and its value if it is known."""
    if isinstance(item, Node):
        return item, concrete(item)
    if isinstance(item, (list, tuple)) and len(item) == 0:
        item = np.zeros(0, np.intp)
    array = as_array(item)
    return Constant(intern_aval(array.shape, array.dtype), array), array


def _expand(item: Any, x: Aval) -> tuple[Any, ...]:
    """The index as a tuple with the ellipsis written out, and arrays of other libraries than NumPy as nodes."""
    items = item if type(item) is tuple else (item,)
    items = tuple([entry if backend_of(entry) is None else as_node(entry) for entry in items])
    used = 0
    ellipsis = None
    for place, entry in enumerate(items):
        if entry is Ellipsis:
            if ellipsis is not None:
                raise IndexingError(f"index of {x!r}: only one ellipsis (...) is allowed")
            ellipsis = place
        elif entry is not None:
            used += _axes_used(entry)
    if used > x.ndim:
        raise IndexingError(f"index of {x!r}: {used} indices for an array of {x.ndim} dimensions")
    rest = (slice(None),) * (x.ndim - used)
    if ellipsis is None:
        return items + rest
    return items[:ellipsis] + rest + items[ellipsis + 1 :]


def _axes_used(entry: Any) -> int:
    if type(entry) is int or type(entry) is slice:
        return 1
    if isinstance(entry, (bool, np.bool_)):
        return 0
    aval = getattr(entry, "aval", entry)
    if isinstance(aval, (np.ndarray, np.generic, Aval)) and aval.dtype.kind == "b":
        return len(aval.shape)
    if isinstance(entry, list):
        array = np.asarray(entry)
        return array.ndim if array.dtype.kind == "b" else 1
    return 1


def _check_integers(array: Any, size: int, axis: int, x: Aval) -> None:
    if not array.size:
        return
    # For a few elements Python's own min takes a quarter of the time of NumPy's.
    values = array.ravel().tolist() if array.size <= FEW else array
    low, high = (values.min(), values.max()) if values is array else (min(values), max(values))
    if low < -size or high >= size:
        wrong = array[(array < -size) | (array >= size)].flat[0]
        raise IndexingError(f"index {wrong} is out of range for axis {axis} with size {size} of {x!r}")


def normalize_index(x: Aval, item: Any, concrete: Concrete) -> tuple[Constant, tuple[Node, ...]]:
    """The index node and index arrays for ``x[item]``, checked against the shape of ``x``.

    ``concrete(node)`` gives the value of a node, or None where only structure is known.
    """
    spec: list[Any] = []
    value: list[Any] = []
    arrays: list[Node] = []
    axis = 0
    for entry in _expand(item, x):
        if type(entry) is int:
            size = x.shape[axis]
            if not -size <= entry < size:
                raise IndexingError(f"index {shown(entry)} is out of range for axis {axis} with size {size} of {x!r}")
            spec.append(INTEGER)
            value.append(entry + size if entry < 0 else entry)
            axis += 1
        elif type(entry) is slice:
            try:
                start, stop, step = entry.indices(x.shape[axis])
            except (TypeError, ValueError) as error:
                raise IndexingError(f"slice {entry} of axis {axis} of {x!r}: {error}") from None
            spec.append(len(range(start, stop, step)))
            value.append(slice(start, None if stop < 0 else stop, step))
            axis += 1
        elif entry is None:
            spec.append(NEWAXIS)
            value.append(None)
        else:
            axis = _array_entry(entry, x, axis, concrete, (spec, value, arrays))
    node = Constant(intern_aval((), INDEX_DTYPE, spec=tuple(spec)), tuple(value))
    if len(arrays) > 1:
        broadcast_shapes("index", tuple([a.aval for a in arrays]))
    return node, tuple(arrays)


def _array_entry(
    entry: Any, x: Aval, axis: int, concrete: Concrete, out: tuple[list[Any], list[Any], list[Node]]
) -> int:
    """Append an integer, boolean or array entry; the axis after it."""
    spec, value, arrays = out
    if not isinstance(entry, (Node, np.ndarray, list, tuple, bool, np.bool_)):
        try:
            number = operator.index(entry)
        except TypeError:
            raise IndexingError(
                f"index of {x!r}: {type(entry).__name__} {repr(entry)[:40]} is no index; use integers, slices, ..., "
                "None, or integer and boolean arrays"
            ) from None
        size = x.shape[axis]
        if not -size <= number < size:
            raise IndexingError(f"index {number} is out of range for axis {axis} with size {size} of {x!r}")
        spec.append(INTEGER)
        value.append(number % size)
        return axis + 1
    node, known = _index_array(entry, concrete)
    if node.aval.dtype.kind == "b":
        if known is None:
            raise IndexingError(
                f"index of {x!r}: the shape of the result depends on the values of a boolean Tensor, which are not "
                "known while a function is traced; np.where keeps the shape"
            )
        shape = x.shape[axis : axis + known.ndim]
        if known.shape != shape:
            raise IndexingError(f"boolean index of shape {known.shape} does not fit the axes of size {shape} of {x!r}")
        # A 0-d mask takes all or nothing along a new axis, as in NumPy.
        places = np.nonzero(known) if known.ndim else (np.zeros(int(known), np.intp),)
        if not known.ndim:
            raise IndexingError(f"index of {x!r}: a single True or False is not supported as an index; use a slice")
        for place in places:
            spec.append(ARRAY)
            value.append(None)
            arrays.append(Constant(intern_aval(place.shape, place.dtype), place))
        return axis + len(shape)
    if node.aval.dtype.kind not in "iu":
        raise IndexingError(f"index of {x!r}: an index array must be of integers or booleans, not {node.aval.dtype}")
    if known is not None:
        _check_integers(np.asarray(known), x.shape[axis], axis, x)
    if known is not None and node.aval.ndim == 0:
        spec.append(INTEGER)
        value.append(int(known) % x.shape[axis])
        return axis + 1
    spec.append(ARRAY)
    value.append(None)
    arrays.append(node)
    return axis + 1


def static_index(spec: tuple[Any, ...], value: tuple[Any, ...]) -> Constant:
    """An index whose numbers are part of the structure, as derivative rules write them."""
    return Constant(intern_aval((), INDEX_DTYPE, literal=value, spec=spec), value)


def take_slices(x: Node, *slices: slice) -> Node:
    """``x[slices]`` with the slices part of the structure; axes beyond them are taken whole."""
    spec, value = [], []
    for size, entry in zip(x.aval.shape, slices + (slice(None),) * (x.aval.ndim - len(slices)), strict=True):
        start, stop, step = entry.indices(size)
        spec.append(len(range(start, stop, step)))
        value.append(slice(start, None if stop < 0 else stop, step))
    return index(x, static_index(tuple(spec), tuple(value)))


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

    __slots__ = ("aval", "places", "reshapes", "shape", "signature", "value", "writing")

    def __init__(self, x: Aval, item: Any):
        node, _ = normalize_index(x, item, _no_value)
        spec = node.aval.spec
        assert spec is not None
        self.writing: Composite | None = None
        self.aval = node.aval
        self.value = list(node.value)
        axes = iter(x.shape)
        sizes = [1 if entry == NEWAXIS else next(axes) for entry in spec]
        self.places = [(place, sizes[place]) for place, entry in enumerate(spec) if entry == INTEGER]
        self.shape = indexed_shape(x.shape, node.aval, ())
        backwards = any(type(v) is slice and v.step < 0 and n > 1 for v, n in zip(node.value, spec, strict=True))
        self.reshapes = math.prod(self.shape) == x.size and x.size > 0 and not backwards
        self.signature: Signature | None = None
        if not self.reshapes:
            self.signature = index.signature((x, node.aval))
        elif self.shape != x.shape or x.weak:
            self.signature = reshape_p.signature((x,), (self.shape,))


def _no_value(node: Node) -> Any:
    raise IndexingError("a basic index has no arrays")


# Forms by abstract value and index, with `int` for integers. A table that is full is emptied.
_forms: dict[Any, _Form] = {}
FORMS_KEPT = 1 << 12
on_forgetting.append(_forms.clear)


def _basic(x: Aval, item: Any) -> tuple[_Form, tuple[Any, ...]] | None:
    """The form and the value of an index of integers, slices, ``...`` and None; None for any other index."""
    if type(item) is int:
        # What loops do, so it is written out: 0.5 us less.
        form = _forms.get((x, int))
        if form is not None and -x.shape[0] <= item < x.shape[0]:
            return form, (item if item >= 0 else item + x.shape[0], *form.value[1:])
    key: list[Any] = [x]
    numbers: list[int] = []
    for entry in item if type(item) is tuple else (item,):
        if type(entry) is int:
            key.append(int)
            numbers.append(entry)
        elif type(entry) is slice:
            ends = (entry.start, entry.stop, entry.step)
            for end in ends:
                if end is not None and type(end) is not int:
                    return None
            # Slices can be looked up from Python 3.12 on.
            key += (slice, *ends)
        elif entry is None or entry is Ellipsis:
            key.append(entry)
        else:
            return None
    whole = tuple(key)
    form = _forms.get(whole)
    if form is None:
        form = _Form(x, item)
        if len(_forms) >= FORMS_KEPT:
            _forms.clear()
        _forms[whole] = form
    value = form.value
    if numbers:
        value = value.copy()
        for (place, size), number in zip(form.places, numbers, strict=True):
            if not -size <= number < size:
                normalize_index(x, item, _no_value)  # raises the error that says so
            value[place] = number + size if number < 0 else number
    return form, tuple(value)


def _read_basic(x: Node, form: _Form, value: tuple[Any, ...]) -> Node:
    if form.signature is None:
        return x
    return Operation(form.signature, (x,) if form.reshapes else (x, Constant(form.aval, value)))


def read_index(x: Node, item: Any, concrete: Concrete) -> Node:
    """``x[item]``."""
    basic = _basic(x.aval, item)
    if basic is not None:
        return _read_basic(x, *basic)
    node, arrays = normalize_index(x.aval, item, concrete)
    if arrays:
        return index(x, node, *arrays)
    # Its integers had other types, or were Tensors.
    basic = _basic(x.aval, node.value)
    assert basic is not None
    return _read_basic(x, *basic)


def write_index(x: Node, item: Any, values: Any, concrete: Concrete) -> Node:
    """``x`` with ``x[item] = values`` done, as NumPy does it: the last of repeated positions stays."""
    basic = _basic(x.aval, item)
    if basic is not None:
        form, value = basic
        if form.writing is None:
            form.writing = Composite(lambda x, node, values: index_set(x, node, _fitted(x, values, form.shape)))
        return form.writing(x, Constant(form.aval, value), as_node(values))  # type: ignore[no-any-return]
    node, arrays = normalize_index(x.aval, item, concrete)
    shape = indexed_shape(x.aval.shape, node.aval, tuple([a.aval for a in arrays]))
    return index_set(x, node, _fitted(x, values, shape), *arrays)


def add_index(x: Node, item: Any, values: Any, concrete: Concrete) -> Node:
    """``x`` with ``values`` added at ``item``, repeated positions each time (``np.add.at``)."""
    node, arrays = normalize_index(x.aval, item, concrete)
    shape = indexed_shape(x.aval.shape, node.aval, tuple([a.aval for a in arrays]))
    return index_add(x, node, _fitted(x, values, shape), *arrays)


def _fitted(x: Node, values: Any, shape: tuple[int, ...]) -> Node:
    """``values`` in the dtype of ``x`` and the shape of the place they go to."""
    node = as_node(values)
    if node.aval.dtype.kind == "c" and x.aval.dtype.kind != "c":
        raise ArgumentError(f"cannot write complex values {node.aval!r} into {x.aval!r}; take np.real of them")
    extra = node.aval.ndim - len(shape)
    if extra > 0 and node.aval.shape[:extra] == (1,) * extra:
        node = reshape(node, node.aval.shape[extra:])
    return broadcast_to(astype(node, x.aval.dtype), shape)


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
