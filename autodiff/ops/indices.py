"""What NumPy takes for an index: checked against a shape, and made a form, numbers and index arrays.

An index is an input of the primitives that read and write, not a parameter: its *form* (which entries are integers,
slices of what length, new axes, arrays) is in the structure, the numbers in it are data. So ``x[i]`` in a loop over
``i`` is one structure, and its compiled plan is found again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..axes import arrays_stand
from ..callers import caller
from ..convert import as_array, as_node, describe, literal
from ..core.avals import INDEX_DTYPE, INT64, LINE, Aval, intern_aval
from ..core.parameters import Static
from ..core.primitives import Primitive
from ..errors import ArgumentError, AutodiffError, DTypeError, IndexingError, ShapeError, shown
from ..nodes import Constant, Node
from ..operator import Operator
from ..registry import backend_of
from .elementwise import astype, broadcast_shapes, minimum

INTEGER, NEWAXIS, ARRAY = "i", "n", "a"


class Prefixed(Constant):
    """An index with an entry before those of another one. Who has another value of that makes another one of this.

    Parameters
    ----------
    source : Node
        An index, which has a value.
    form : int or str
        What is known of the entry.
    entry : slice or None
    """

    __slots__ = ("_entry", "_source")

    def __init__(self, source: Node, form: Any, entry: Any):
        spec, literal = source.aval.spec, source.aval.literal
        assert spec is not None
        value = (entry, *source.value)
        aval = intern_aval((), INDEX_DTYPE, literal=None if literal is None else value, spec=(form, *spec))
        super().__init__(aval, value)
        self._source = source
        self._entry = entry

    def origin(self) -> tuple[Node, tuple[Any, ...]]:
        """The index that it is made of in the end, and all entries before those of that."""
        if isinstance(self._source, Prefixed):
            source, entries = self._source.origin()
            return source, (self._entry, *entries)
        return self._source, (self._entry,)


# The value of a node on the host, and whether it decides a shape; None where it is not known.
Concrete = Callable[..., Any]

# Elements of an index array that are looked at one by one.
FEW = 16


def _advanced_shape(spec: tuple[Any, ...], arrays: tuple[Aval, ...]) -> tuple[int, ...]:
    """The shape of ``x[index]`` with index arrays."""
    together = broadcast_shapes("index", arrays)
    before = arrays_stand(spec)
    sizes = [1 if entry == NEWAXIS else entry for entry in spec if entry not in (INTEGER, ARRAY)]
    return (*sizes[:before], *together, *sizes[before:])


def indexed_shape(index: Aval, arrays: tuple[Aval, ...]) -> tuple[int, ...]:
    """The shape of ``x[index]``."""
    assert index.spec is not None
    if arrays:
        return _advanced_shape(index.spec, arrays)
    return tuple([1 if entry == NEWAXIS else entry for entry in index.spec if entry != INTEGER])


def canonical_slice(entry: slice, size: int) -> tuple[slice, int]:
    """A slice of an axis with its ends written out, and how many elements it takes.

    The ends mean the same when they are read again: what goes back to the first element has no end, and what takes
    nothing is ``0:0:1``, since -1 would mean the last element.
    """
    start, stop, step = entry.indices(size)
    count = len(range(start, stop, step))
    if not count:
        return slice(0, 0, 1), 0
    return slice(start, None if stop < 0 else stop, step), count


# --- positions that are known only when a plan runs ------------------------------------------------------------------


def _infer_in_range(primitive: Primitive, positions: Aval, line: Aval, *, size: int, axis: int) -> Aval:
    return intern_aval(positions.shape, INT64)


# Positions on an axis of ``size``, counted from the front; an IndexingError naming the user's line if one is out of
# range. The line is an input, so the structure does not depend on it. Backends do not meet this primitive:
# ``plan.ranges`` writes it in others.
in_range = Operator("in_range", _infer_in_range, params={"size": Static, "axis": Static}, core=",->")

LARGEST = np.iinfo(np.int64).max


def _signed(positions: Node) -> Node:
    """Positions as int64; those beyond its range become its largest number, which is out of range as well."""
    if positions.aval.dtype == np.uint64:
        positions = minimum(positions, literal(LARGEST, positions.aval.dtype))
    return astype(positions, INT64)


def checked_later(positions: Node, size: int, axis: int, x: Aval) -> Node:
    """Positions that nobody knows yet, to be checked when they are."""
    if not positions.aval.size:
        return positions
    if not size:
        raise IndexingError(f"index of {x!r}: axis {axis} has size 0, and so no element that an index could mean")
    line = Constant(LINE, f"{x!r}, indexed at {caller().line}")
    return in_range(_signed(positions), line, size=size, axis=axis)


# --- checks ----------------------------------------------------------------------------------------------------------


def _check_positions(array: np.ndarray[Any, Any], size: int, axis: int, x: Aval) -> None:
    if not array.size:
        return
    # For a few elements Python's own min takes a quarter of the time of NumPy's.
    values = array.ravel().tolist() if array.size <= FEW else array
    low, high = (values.min(), values.max()) if values is array else (min(values), max(values))
    if low < -size or high >= size:
        wrong = array[(array < -size) | (array >= size)].flat[0]
        raise _out_of_range(int(wrong), size, axis, x)


def _out_of_range(number: int, size: int, axis: int, x: Aval) -> IndexingError:
    return IndexingError(f"index {shown(number)} is out of range for axis {axis} with size {size} of {x!r}")


def _no_index(item: Any, x: Aval, why: str) -> IndexingError:
    return IndexingError(
        f"index of {x!r}: {describe(item)} is no index; use integers, slices, ..., None, or "
        f"integer and boolean arrays{why}"
    )


def _index_array(item: Any, x: Aval) -> np.ndarray[Any, Any]:
    """An index array of integers or booleans."""
    try:
        array = as_array(item)
    except ShapeError as error:
        error.within(f"index of {x!r}")
        raise
    except AutodiffError as error:
        raise _no_index(item, x, f" ({error})") from None
    if not array.size and not isinstance(item, (np.ndarray, np.generic)):
        return array.astype(np.intp)
    if array.dtype.kind not in "iub":
        raise _no_index(item, x, f", not {array.dtype}")
    if array.dtype.kind == "u":
        # Libraries take unsigned integers for something else, or not at all.
        return np.minimum(array, LARGEST).astype(np.int64) if array.dtype == np.uint64 else array.astype(np.int64)
    return array


def _entry(entry: Any, x: Aval) -> Any:
    """One entry of an index: None, ..., an integer, a slice, a node, or an array of integers or booleans."""
    kind = type(entry)
    if kind is int or kind is slice or entry is None or entry is Ellipsis or isinstance(entry, Node):
        return entry
    if kind is not bool and not isinstance(entry, (np.ndarray, np.bool_, list, tuple)):
        if backend_of(entry) is not None:
            return as_node(entry)
        try:
            return operator.index(entry)
        except TypeError:
            pass
    return _index_array(entry, x)


def _axes_used(entry: Any) -> int:
    """How many axes of the array an entry is for."""
    if entry is None or entry is Ellipsis:
        return 0
    aval = entry.aval if isinstance(entry, Node) else entry
    if isinstance(aval, (np.ndarray, Aval)) and aval.dtype.kind == "b":
        return len(aval.shape)
    return 1


def _expanded(item: Any, x: Aval) -> tuple[list[Any], int | None]:
    """The entries without the ellipsis, which is written out; and before which one it stood, if it takes no axes."""
    items = [_entry(entry, x) for entry in (item if type(item) is tuple else (item,))]
    places = [place for place, entry in enumerate(items) if entry is Ellipsis]
    if len(places) > 1:
        raise IndexingError(f"index of {x!r}: only one ellipsis (...) is allowed")
    used = sum([_axes_used(entry) for entry in items])
    if used > x.ndim:
        raise IndexingError(
            f"index of {x!r}: {used} indices for an array of {x.ndim} dimensions; give at most {x.ndim}"
        )
    at = places[0] if places else len(items)
    rest = [slice(None)] * (x.ndim - used)
    return [*items[:at], *rest, *items[at + len(places) :]], at if places and not rest else None


# --- the index as a form ---------------------------------------------------------------------------------------------


class Normalized:
    """An index checked against the shape of an array.

    Parameters
    ----------
    x : Aval
        The array.
    item : object
        As it stands between brackets, with nodes in place of Tensors.
    concrete : callable
        The value of a node, or None where only its structure is known.

    Attributes
    ----------
    node : Constant
        Its form and its numbers.
    arrays : tuple of Node
        The index arrays, one for each array entry of the form.
    source : tuple of int
        The shape that the array is to be given first: with an axis of size 1 for each single True or False.
    taken : tuple of int
        The shape that is then read or written.
    shape : tuple of int
        The shape that it has in NumPy: without axes of size 1 that only say where an ellipsis stood.
    """

    __slots__ = ("_axis", "_concrete", "_sizes", "_spec", "_value", "_x", "arrays", "node", "shape", "source", "taken")

    def __init__(self, x: Aval, item: Any, concrete: Concrete):
        self._x = x
        self._concrete = concrete
        self._axis = 0
        self._spec: list[Any] = []
        self._value: list[Any] = []
        self._sizes: list[int] = []
        arrays: list[Node] = []
        items, empty_ellipsis = _expanded(item, x)
        separator: int | None = None
        for place, entry in enumerate(items):
            if place == empty_ellipsis:
                separator = len(self._spec)
            arrays += self._append(entry)
        separator = self._separate(separator) if arrays and separator is not None else None
        spec = tuple(self._spec)
        self.arrays = tuple(arrays)
        self.node = Constant(intern_aval((), INDEX_DTYPE, spec=spec), tuple(self._value))
        self.source = tuple(self._sizes)
        try:
            self.taken = indexed_shape(self.node.aval, tuple([a.aval for a in arrays]))
        except ShapeError as error:
            raise IndexingError(f"index of {x!r}: {error}") from None
        self.shape = self.taken
        if separator is not None:
            # Axes of arrays come first, then those of the other entries.
            others = [place for place, entry in enumerate(spec) if entry not in (INTEGER, ARRAY)]
            axis = len(self.taken) - len(others) + others.index(separator)
            self.shape = self.taken[:axis] + self.taken[axis + 1 :]

    def _separate(self, place: int) -> int | None:
        """Put a new axis where an ellipsis without axes stands between index arrays, which are separated by it."""
        advanced = [i for i, entry in enumerate(self._spec) if entry in (INTEGER, ARRAY)]
        if not advanced[0] < place <= advanced[-1]:
            return None
        self._spec.insert(place, NEWAXIS)
        self._value.insert(place, None)
        return place

    def _append(self, entry: Any) -> list[Node]:
        """Add an entry; the index arrays that it is made of."""
        x, axis = self._x, self._axis
        if type(entry) is int:
            size = x.shape[axis]
            if not -size <= entry < size:
                raise _out_of_range(entry, size, axis, x)
            self._put(INTEGER, entry + size if entry < 0 else entry)
        elif type(entry) is slice:
            try:
                value, count = canonical_slice(entry, x.shape[axis])
            except (TypeError, ValueError) as error:
                kind = DTypeError if isinstance(error, TypeError) else ArgumentError
                raise kind(f"slice {entry} of axis {axis} of {x!r}: {error}") from None
            self._put(count, value)
        elif entry is None:
            self._spec.append(NEWAXIS)
            self._value.append(None)
        elif isinstance(entry, Node):
            return self._array(entry, self._concrete(entry))
        else:
            return self._array(Constant(intern_aval(entry.shape, entry.dtype), entry), entry)
        return []

    def _put(self, form: Any, value: Any = None, size: int | None = None) -> None:
        """Add an entry for the next axis, or for an axis of ``size`` that the array is given."""
        self._spec.append(form)
        self._value.append(value)
        if size is None:
            size = self._x.shape[self._axis]
            self._axis += 1
        self._sizes.append(size)

    def _array(self, node: Node, known: Any) -> list[Node]:
        x, axis = self._x, self._axis
        kind = node.aval.dtype.kind
        if kind == "b":
            return self._mask(self._concrete(node, True) if known is None else known)
        if kind not in "iu":
            raise IndexingError(
                f"index of {x!r}: an index array must be of integers or booleans, not {node.aval.dtype}"
            )
        size = x.shape[axis]
        if known is None:
            self._put(ARRAY)
            return [checked_later(node, size, axis, x)]
        known = np.asarray(known)
        _check_positions(known, size, axis, x)
        if not known.ndim:
            self._put(INTEGER, int(known) % size)
            return []
        self._put(ARRAY)
        return [node if kind == "i" else _signed(node)]

    def _mask(self, known: Any) -> list[Node]:
        x, axis = self._x, self._axis
        if known is None:
            raise IndexingError(
                f"index of {x!r}: the shape of the result depends on the values of a boolean Tensor, which differ from "
                "element to element of a batch; np.where keeps the shape"
            )
        known = np.asarray(known)
        if not known.ndim:
            # It takes all or nothing of an axis that is there for it.
            self._put(ARRAY, size=1)
            return [_positions(np.zeros(int(known), np.intp))]
        shape = x.shape[axis : axis + known.ndim]
        if known.shape != shape:
            raise IndexingError(f"boolean index of shape {known.shape} does not fit the axes of size {shape} of {x!r}")
        for _ in shape:
            self._put(ARRAY)
        return [_positions(places) for places in np.nonzero(known)]


def _positions(places: np.ndarray[Any, Any]) -> Node:
    return Constant(intern_aval(places.shape, places.dtype), places)
