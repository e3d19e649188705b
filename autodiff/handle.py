"""``Handle``: what stands for a node, its versions, and its value as a number. ``Tensor`` adds NumPy's interface."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from itertools import compress
from threading import Lock
from typing import Any, Self

import numpy as np

from . import ops
from .arguments import flag
from .backend import Backend
from .convert import as_array, as_node, aval_on, is_complex
from .core.avals import FLOAT64, Aval, broadcast_shape, intern_aval
from .core.primitives import Primitive
from .errors import ArgumentError, AutodiffError, BackendError, DTypeError, IndexingError, ShapeError
from .nodes import Constant, Node, Slot, Unknown, Variable, freeze
from .plan import evaluate, fetched, looked_at, on_host
from .registry import backend_of
from .watching import refuse_change, refuse_detached, traces


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


NUMPYS_FUNCTIONS = (
    "Write it with NumPy's functions (np.sqrt, not math.sqrt), and write elements into a Tensor "
    "(ad.Tensor(np.zeros(n))), not into an array"
)


class Handle:
    """A reference to a node that can be made to stand for another: by ``assign``, or by an operation in place."""

    __slots__ = ("__weakref__", "_node", "_slot")

    _node: Node
    _slot: Slot | None

    def __init__(
        self, data: Any, dtype: Any = None, constant: bool = False, copy: bool = True, name: str | None = None
    ):
        if name is not None and not isinstance(name, str):
            raise ArgumentError(f"Tensor: name={name!r} is no string")
        if constant is not False:
            constant = flag(constant, "Tensor: constant")
        if copy is not True:
            copy = flag(copy, "Tensor: copy")
        block = placing.get()
        if block is not None:
            block = block_here()
        place = None if block is None else block.place
        as_it_is = type(data) is np.ndarray and dtype is None and place is None
        if as_it_is and data.dtype.kind in "fc" and data.dtype.isnative:
            array = data.copy() if copy else data.view()
            array.flags.writeable = False
            aval = intern_aval(array.shape, array.dtype)
        else:
            array, aval = _placed(plain(data, "Tensor()"), dtype, constant, copy, place)
        self._slot = slot = Slot(array, name)
        self._node = Constant(aval, array, slot) if constant else Variable(aval, array, slot)

    @property
    def node(self) -> Node:
        """The node that this handle stands for now."""
        return self._node

    @property
    def name(self) -> str | None:
        """The name given at creation."""
        return None if self._slot is None else self._slot.name

    @property
    def constant(self) -> bool:
        """Whether this is data that no derivative is taken with respect to."""
        return isinstance(self._node, Constant)

    @property
    def value(self) -> Any:
        """The array, computed now if it was not yet; read-only. A Python number for a weak scalar."""
        value = self._node.value
        if value is None or traces or self._node.aval.literal is not None:
            value = looked_at(self._node)
            if type(value) is Unknown:
                value._refuse()
        return value

    _i = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._node.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the elements."""
        return self._node.aval.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._node.aval.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._node.aval.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._node.aval.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.itemsize

    # --- versions ----------------------------------------------------------------------------------------------------

    def _named_slot(self) -> Slot:
        """The slot of this handle, made when it first stands for another node than at its creation."""
        if self._slot is None:
            slot = Slot(None)
            slot.node = weakref.ref(self._node)
            self._node.renamed = self._slot = slot
        return self._slot

    def _name(self, name: str) -> None:
        """Name what was made by an operation."""
        slot = Slot(None, name)
        slot.node = weakref.ref(self._node)
        self._node.renamed = self._slot = slot

    def _rebind(self, node: Node, what: str) -> None:
        """Let the handle stand for another node, as an operation in place does."""
        refuse_change(self._node, self._slot, what)
        old = self._node.aval
        if node.aval.shape != old.shape:
            raise ShapeError(
                f"{what}: the result has shape {node.aval.shape}, but a Tensor of shape {old.shape} keeps its shape; "
                "write t = ... instead"
            )
        if node.aval.dtype != old.dtype:
            if not np.can_cast(node.aval.dtype, old.dtype, "same_kind"):
                raise DTypeError(
                    f"{what}: the result is {node.aval.dtype}, which does not go into a Tensor of {old.dtype}; "
                    "write t = ... instead, or .astype"
                )
            node = ops.astype(node, old.dtype)
        self._stand_for(node)

    def _stand_for(self, node: Node) -> None:
        """Let the handle stand for a result of operations, as a version of what it is."""
        slot, reference = self._named_slot(), weakref.ref(node)
        # On one line, and without a call: no interrupt comes between these.
        node.renamed, slot.value, slot.node, self._node = slot, None, reference, node

    def assign(self, value: Any, copy: bool = True) -> Self:
        """Give the variable a new value: a new version, which earlier graphs do not see.

        Parameters
        ----------
        value : array_like
            Of the same shape; converted to the same dtype. A Tensor is taken at its value, without its history.
        copy : bool, optional
            False to use the memory of ``value``; it must then not change.

        Returns
        -------
        Tensor
            This handle.

        Raises
        ------
        ShapeError
            If the shape differs.
        DTypeError
            If the value cannot be converted.
        """
        if traces:
            refuse_change(self._node, self._slot, "assign")
        if copy is not True:
            copy = flag(copy, "assign: copy")
        aval = self._node.aval
        if type(value) is not np.ndarray or value.dtype != aval.dtype or copy or aval.place is not None:
            value = self._taken(plain(value, "assign"), aval, copy)
        if type(value) is np.ndarray and not copy:
            value = value.view()
        slot, value, node = self._version(value)
        # On one line, and without a call: no interrupt comes between the two.
        slot.value, self._node = value, node
        return self

    def _version(self, value: Any) -> tuple[Slot, Any, Node]:
        """A new version that nothing refers to yet: the slot, and what goes there and into the handle.

        The value is an array of the variable's dtype, where the variable is, that nobody writes to.
        """
        node, slot = self._node, self._slot
        if traces:
            refuse_change(node, slot, "assign")
        aval = node.aval
        if value.shape != aval.shape:
            raise ShapeError(
                f"assign: the value has shape {value.shape} and dtype {aval.dtype}, but the variable"
                f"{f' {self.name!r}' if self.name else ''} has shape {aval.shape}; a variable keeps its shape "
                "(np.broadcast_to or reshape the value, or make a new Tensor)"
            )
        if type(value) is np.ndarray:
            value.flags.writeable = False
        if aval.place is not None:
            (value,) = aval.place.keep([value], [self._node.value])
        if aval.weak:
            aval = intern_aval(aval.shape, aval.dtype)
        if slot is None:
            slot = self._named_slot()
        return slot, value, (Constant if isinstance(node, Constant) else Variable)(aval, value, slot)

    def _taken(self, value: Any, aval: Aval, copy: bool) -> Any:
        """A value in the dtype of the variable, where the variable is."""
        place, source = aval.place, backend_of(value)
        if source is not None and source is not place:
            raise BackendError(
                f"assign: the value is on backend {source.label}, but the variable"
                f"{f' {self.name!r}' if self.name else ''} is {aval!r}; put the variable there "
                f"(ad.Graph(backend={source.name!r}).add_variables), or bring the value to the host (np.asarray)"
            )
        if source is None:
            try:
                if aval.dtype.kind != "c" and is_complex(value):
                    raise DTypeError(f"assign: complex values do not go into a variable of {aval.dtype}; take np.real")
                value = as_array(value, aval.dtype, copy=True if copy and place is None else None)
            except AutodiffError as error:
                error.within("assign")
                raise
            return value if place is None else place.asarray(value, copy=copy)
        assert place is not None
        _, dtype = place.aval_of(value)
        if dtype.kind == "c" and aval.dtype.kind != "c":
            raise DTypeError(f"assign: complex values do not go into a variable of {aval.dtype}; take np.real")
        return place.asarray(value, aval.dtype, copy=copy)

    def assign_add(self, value: Any) -> Self:
        """Add to the variable's value: a new version, without history.

        Parameters
        ----------
        value : array_like
            Broadcast to the shape of the variable.

        Returns
        -------
        Tensor
            This handle.
        """
        return self.assign(self._updated(ops.add, value, "assign_add"), copy=False)

    def assign_sub(self, value: Any) -> Self:
        """Subtract from the variable's value: a new version, without history.

        Parameters
        ----------
        value : array_like
            Broadcast to the shape of the variable.

        Returns
        -------
        Tensor
            This handle.
        """
        return self.assign(self._updated(ops.subtract, value, "assign_sub"), copy=False)

    def _updated(self, primitive: Primitive, value: Any, what: str) -> Any:
        """The variable's value and another, added or subtracted where the variable is."""
        aval, present, value = self._node.aval, self.value, plain(value, what)
        on_numpy = isinstance(present, (np.ndarray, float, complex))
        increment: Any = as_array(value, copy=None) if on_numpy else as_node(value)
        try:
            fits = broadcast_shape(increment.shape, aval.shape) == aval.shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(
                f"{what}: a value of shape {increment.shape} and dtype {increment.dtype} does not broadcast to the "
                f"variable's shape {aval.shape}"
            )
        if on_numpy:
            assert primitive.numpy_ufunc is not None
            return primitive.numpy_ufunc(present, increment)
        return evaluate(primitive(Constant(aval, present), increment))

    def _put(self, place: Backend) -> None:
        """Let the handle stand for the same quantity on a backend."""
        node = self._node
        if node.inputs:
            self._stand_for(ops.place(node, place))
            return
        array = freeze(place.asarray(fetched(node, place), node.aval.dtype))
        aval = intern_aval(node.aval.shape, node.aval.dtype, place=place)
        slot = self._named_slot()
        moved = Constant(aval, array, slot) if isinstance(node, Constant) else Variable(aval, array, slot)
        slot.value, self._node = array, moved

    # --- as a number -------------------------------------------------------------------------------------------------

    def item(self, *index: Any) -> Any:
        """See `numpy.ndarray.item`."""
        value = np.asarray(self._number("item()"))
        try:
            return value.item(*index)
        except (IndexError, ValueError, TypeError, OverflowError) as error:
            kind = IndexingError if isinstance(error, (IndexError, OverflowError)) else ArgumentError
            raise kind(
                f"item of {self._node.aval!r}: {error}; give the position of one element: an integer, or one an axis"
            ) from None

    def tolist(self) -> Any:
        """See `numpy.ndarray.tolist`."""
        return np.asarray(self._number("tolist()")).tolist()

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(f"the truth of a Tensor of shape {self.shape} is ambiguous; use np.any() or np.all()")
        return bool(on_host(self._node))

    def __float__(self) -> float:
        return float(self._single("float", self._number("float()")))

    def __int__(self) -> int:
        return int(self._single("int", on_host(self._node)))

    def __complex__(self) -> complex:
        return complex(self._single("complex", self._number("complex()")))

    def __floor__(self) -> int:
        return math.floor(self._single("floor", on_host(self._node)))  # type: ignore[no-any-return]

    def __ceil__(self) -> int:
        return math.ceil(self._single("ceil", on_host(self._node)))  # type: ignore[no-any-return]

    def __trunc__(self) -> int:
        return math.trunc(self._single("trunc", on_host(self._node)))  # type: ignore[no-any-return]

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise DTypeError(f"only an integer Tensor without dimensions is an index, not {self._node.aval!r}")
        return int(on_host(self._node))

    def _number(self, asked: str) -> Any:
        """The value for numbers that record nothing; an error where a derivative would be lost with them."""
        refuse_detached(self._node, asked, NUMPYS_FUNCTIONS)
        return on_host(self._node)

    def _single(self, what: str, value: Any) -> Any:
        if self.size != 1:
            raise ShapeError(f"{what}() of a Tensor of shape {self.shape}: only one element converts to a number")
        return np.asarray(value).item()


def _placed(data: Any, dtype: Any, constant: bool, copy: bool, place: Backend | None) -> tuple[Any, Aval]:
    """An array that only the Tensor writes to, on a backend if that is asked for or it comes from one, and its Aval."""
    source = backend_of(data)
    if source is None:
        array: Any = _converted(data, dtype, constant, copy and place is None)
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


def plain(value: Any, asked: str) -> Any:
    """The value of a Tensor, anything else as it is; an error where a derivative would be lost."""
    if isinstance(value, Handle):
        refuse_detached(value._node, asked, "Compute with the Tensor itself, or with t.copy(), which record")
        return value.value
    return value
