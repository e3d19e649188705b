"""Where values are, and how they are brought to where they are needed.

A place is a backend: an array library on one device. NumPy's is the host. None is nowhere in particular: such an array
goes wherever it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from itertools import compress
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .backend import Backend
from .convert import as_array, aval_on
from .core.avals import FLOAT64, Aval, intern_aval
from .errors import BackendError
from .nodes import Node, freeze
from .registry import backend_of, get_backend
from .whole import apart

# --- arrays ----------------------------------------------------------------------------------------------------------


def home_of(array: Any) -> Backend:
    """The place of an array, or of a number."""
    return get_backend(backend_of(array))


def bring(array: Any, place: Backend, dtype: np.dtype[Any] | None = None, copy: bool = False) -> Any:
    """An array on a place, or the several outputs of a primitive; what is another library's by way of the host."""
    if type(array) is tuple:
        return tuple([bring(part, place, dtype, copy) for part in array])
    if not place.owns(array):
        source = backend_of(array)
        if source is not None:
            array = source.to_numpy(array)
    return place.asarray(array, dtype, copy=copy)


def taken(value: Any, aval: Aval, place: Backend | None, copy: bool = False) -> Any:
    """A value as an array in the dtype of ``aval``, on a place whose own it may be; NumPy's if that is None."""
    if place is None:
        return as_array(value, aval.dtype, copy=copy or None)
    if isinstance(value, np.ndarray) or not place.owns(value):
        value = as_array(value, aval.dtype, copy=None)
    return place.asarray(value, aval.dtype, copy=copy)


def placed(
    data: Any, place: Backend | None = None, dtype: Any = None, constant: bool = False, copy: bool = False
) -> tuple[Any, Aval]:
    """An array on a place, or where it is if that is None; and what is known of it.

    Nobody writes to it. It is floating, unless it is a constant or has a dtype that was asked for.
    """
    if type(data) is np.ndarray and place is None and dtype is None and data.dtype.kind in "fc" and data.dtype.isnative:
        # The common case, in 0.7 us less.
        array: Any = freeze(data.copy() if copy else data.view())
        return array, intern_aval(array.shape, array.dtype)
    source = backend_of(data)
    if source is None:
        array = _converted(data, dtype, constant, copy and place is None)
        if place is not None:
            array = place.asarray(array, copy=copy)
        if not copy and isinstance(array, np.ndarray):
            array = array.view()
        return freeze(array), intern_aval(array.shape, array.dtype) if place is None else aval_on(place, array)
    given = aval_on(source, data)
    if place is None:
        place = source
    elif not place.owns(data):
        data = _shared(data, source, place)
    wanted = given.dtype if dtype is None else _wanted(dtype)
    if dtype is None and not constant and given.dtype.kind in "biu":
        wanted = FLOAT64
    return freeze(place.asarray(data, wanted, copy=copy)), intern_aval(given.shape, wanted, place=place)


def _shared(array: Any, source: Backend, place: Backend) -> Any:
    """An array of another library on the same device, in the same memory; an error if the backend cannot use that."""
    try:
        return place.namespace.from_dlpack(array)
    except (AttributeError, BufferError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise BackendError(
            f"an array of backend {source.label} cannot be put on backend {place.label}: {error}; bring it to the host "
            "first (np.asarray of a Tensor of it)"
        ) from error


def _wanted(dtype: Any) -> np.dtype[Any]:
    """A dtype that was asked for; an error if there is none such."""
    found: np.dtype[Any] = as_array(0, dtype).dtype
    return found


def _converted(data: Any, dtype: Any, constant: bool, copy: bool) -> np.ndarray[Any, Any]:
    """An array of a numeric dtype; floating unless something else was asked for."""
    # With copy=False memory is shared where that is possible, as in np.asarray.
    array = as_array(data, dtype, copy=True if copy else None)
    keeps = constant or dtype is not None or array.dtype.kind == "c"
    given = isinstance(data, (np.ndarray, np.generic))
    if not keeps and (array.dtype.kind in "biu" or not given):
        array = array.astype(FLOAT64, copy=False)
    return array


# --- values of nodes -------------------------------------------------------------------------------------------------

# Values of nodes on other places than their own: NumPy's constants on a device, an index from a device on the host.
_brought: WeakKeyDictionary[Node, dict[Backend, Any]] = WeakKeyDictionary()


def brought(node: Node, place: Backend) -> Any:
    """The value of a node, which has one, on a place; brought there once."""
    if node.aval.place is place:
        return node.value
    places = _brought.get(node)
    if places is None:
        places = _brought.setdefault(node, {})
    value = places.get(place)
    if value is None:
        value = places[place] = freeze(bring(node.value, place))
    return value


def elsewhere(leaves: Sequence[Node], place: Backend) -> list[int]:
    """Which leaves have to be brought to a place for its plans: arrays that nobody has put anywhere."""
    if place is get_backend():
        return []
    avals = [x.aval for x in leaves]
    return [i for i, a in enumerate(avals) if a.place is None and not a.weak and (a.spec is None or a.parts)]


def bring_leaves(values: list[Any], leaves: Sequence[Node], moved: Sequence[int], place: Backend) -> list[Any]:
    """The values of leaves, those that are ``moved`` on the place."""
    for i in moved:
        values[i] = brought(leaves[i], place)
    return values


# --- where Tensors are made ------------------------------------------------------------------------------------------


class Placing:
    """A block in which Tensors are made on a backend, and the one around it.

    It is in force while its lock is held. A ``with`` statement enters and leaves it by two calls into C, so that no
    interrupt comes between what it does and what is done to the block.

    Parameters
    ----------
    place : Backend or None
    graph : Graph, optional
        What entering it gives.

    Attributes
    ----------
    ways : dict
        What enters and leaves it, until a ``with`` statement has taken them.
    """

    __slots__ = ("held", "outer", "place", "ways")

    def __init__(self, place: Backend | None, graph: Any = None):
        self.place = place
        self.outer = block_here()
        self.held = Lock()
        # ``acquire`` is called when the selection is asked for, and selects the graph.
        enter = partial(next, compress((graph,), iter(self.held.acquire, False)))
        self.ways: dict[str, Callable[..., Any]] = {"__enter__": enter, "__exit__": self.held.__exit__}


# The block that this thread is in (``with graph:``), if it is in force.
placing: ContextVar[Placing | None] = ContextVar("placing", default=None)


def block_here() -> Placing | None:
    """The innermost block in force."""
    block = placing.get()
    while block is not None and not block.held.locked():
        block = block.outer
    return block


@apart
def made_on(place: Backend | None, make: Callable[..., Any], *args: Any) -> Any:
    """What is made of arguments, Tensors on a place."""
    block = Placing(place)
    block.held.acquire()
    placing.set(block)
    return make(*args)


class Way:
    """``__enter__`` or ``__exit__`` of a graph. A ``with`` statement takes both before it calls the first of them."""

    def __set_name__(self, owner: Any, name: str) -> None:
        self._name = name

    def __get__(self, graph: Any, owner: Any = None) -> Callable[..., Any]:
        if graph is None:
            # As contextlib.ExitStack asks for them.
            return lambda graph, *exception: self.__get__(graph)(*exception)
        block = placing.get()
        while block is not None and not block.ways and not block.held.locked():
            # It was left.
            block = block.outer
        way = None if block is None else block.ways.pop(self._name, None)
        if way is None:
            block = Placing(graph._place, graph)
            way = block.ways.pop(self._name)
            placing.set(block)
        return way
