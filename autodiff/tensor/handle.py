"""``Handle``: what stands for a node, and its versions. ``Valued`` and ``Tensor`` add what is done with it."""

from __future__ import annotations

import weakref
from typing import Any, ClassVar, Never, Self

import numpy as np

from .. import ops
from ..arguments import flag
from ..backend import Backend
from ..convert import as_array, as_node, is_complex
from ..core.avals import Aval, broadcast_shape, intern_aval
from ..core.primitives import Primitive
from ..errors import ArgumentError, AutodiffError, BackendError, DTypeError, MissingAttributeError, ShapeError
from ..nodes import Constant, Node, Reference, Slot, Unknown, Variable, freeze
from ..places import block_here, bring, placed, placing, taken
from ..plan import evaluate, looked_at
from ..registry import backend_of
from ..tracebacks import boundaries, hide
from ..unrecorded import blocks
from ..watching import refuse_change, refuse_detached, traces
from . import views
from .settling import is_settled, settled


@boundaries
class Handle(Reference):
    """A reference to a node that can be made to stand for another: by ``assign``, or by an operation in place."""

    __slots__ = ("__weakref__", "_node", "_slot", "_tie")

    _node: Node
    _slot: Slot | None
    # See ``views``; None for what has no views and is none.
    _tie: Any
    # The class, and that of a view whose base has changed since it was read.
    _live: ClassVar[Any]
    _stale: ClassVar[Any]

    def __init__(
        self, data: Any, dtype: Any = None, constant: bool = False, copy: bool = True, name: str | None = None
    ):
        try:
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
            if type(data) is not np.ndarray:
                data = plain(data, "Tensor()")
            array, aval = placed(data, place, dtype, constant, copy)
            self._tie = None
            self._slot = slot = Slot(array, name)
            self._node = Constant(aval, array, slot) if constant else Variable(aval, array, slot)
        except Exception as error:
            hide(error)
            raise

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
        try:
            value = self._node.value
            if value is None or traces or self._node.aval.literal is not None:
                value = looked_at(self._node)
                if type(value) is Unknown:
                    value._refuse()
            return value
        except Exception as error:
            hide(error)
            raise

    @value.setter
    def value(self, value: Never) -> None:
        # (A checker finds it, whatever is assigned.)
        raise MissingAttributeError(
            "a Tensor's value cannot be set: t.assign(v) gives it a new one without history, and t[...] = v is recorded"
        )

    _i = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes. Another shape of as many elements may be assigned."""
        return self._node.aval.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        views.reshape_in_place(self, ops.normalize_shape(shape, "shape", self.shape))

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
        if blocks:
            node = settled(node)
        if self._tie is None or not views.written(self, node, what):
            if blocks and isinstance(self._node, (Variable, Constant)) and is_settled(node):
                # Where nothing is recorded, a variable stays one.
                self.assign(node.value, copy=False)
            else:
                self._stand_for(node)

    def _stand_for(self, node: Node) -> None:
        """Let the handle stand for a result of operations, as a version of what it is."""
        views.forget(self)
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
        try:
            if traces:
                refuse_change(self._node, self._slot, "assign")
            if copy is not True:
                copy = flag(copy, "assign: copy")
            aval = self._node.aval
            if self._tie is not None and views.view_of(self) is not None:
                self._rebind(Constant(aval, self._taken(plain(value, "assign"), aval, copy)), "assign")
                return self
            if type(value) is not np.ndarray or value.dtype != aval.dtype or copy or aval.place is not None:
                value = self._taken(plain(value, "assign"), aval, copy)
            if type(value) is np.ndarray and not copy:
                value = value.view()
            slot, value, node = self._version(value)
            # On one line, and without a call: no interrupt comes between the two.
            slot.value, self._node = value, node
            return self
        except Exception as error:
            hide(error)
            raise

    def _version(self, value: Any) -> tuple[Slot, Any, Node]:
        """A new version that nothing refers to yet: the slot, and what goes there and into the handle.

        The value is an array of the variable's dtype, where the variable is, that nobody writes to.
        """
        node, slot = self._node, self._slot
        if traces:
            refuse_change(node, slot, "assign")
        if self._tie is not None:
            if views.view_of(self) is not None:
                raise ArgumentError(
                    f"a Tensor {node.aval!r} that is a view of another one is no variable of its own; give that one"
                )
            views.forget(self)
        aval = node.aval
        if value.shape != aval.shape:
            raise ShapeError(
                f"assign: the value has shape {value.shape} and dtype {aval.dtype}, but the variable"
                f"{f' {self.name!r}' if self.name else ''} has shape {aval.shape}; a variable keeps its shape "
                "(np.broadcast_to or reshape the value, or make a new Tensor)"
            )
        value = freeze(value)
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
        try:
            if aval.dtype.kind != "c" and is_complex(value):
                raise DTypeError(f"complex values do not go into a variable of {aval.dtype}; take np.real")
            return taken(value, aval, place, copy)
        except AutodiffError as error:
            error.within("assign")
            raise

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
        try:
            return self.assign(self._updated(ops.add, value, "assign_add"), copy=False)
        except Exception as error:
            hide(error)
            raise

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
        try:
            return self.assign(self._updated(ops.subtract, value, "assign_sub"), copy=False)
        except Exception as error:
            hide(error)
            raise

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
        if views.view_of(self) is not None:
            # There it is a copy.
            self._tie = None
        views.forget(self)
        if node.inputs:
            self._stand_for(ops.place(node, place))
            return
        array = freeze(bring(looked_at(node), place, node.aval.dtype))
        aval = intern_aval(node.aval.shape, node.aval.dtype, place=place)
        slot = self._named_slot()
        moved = Constant(aval, array, slot) if isinstance(node, Constant) else Variable(aval, array, slot)
        slot.value, self._node = array, moved


def plain(value: Any, asked: str) -> Any:
    """The value of a Tensor, anything else as it is; an error where a derivative would be lost."""
    if isinstance(value, Handle):
        refuse_detached(value._node, asked, "Compute with the Tensor itself, or with t.copy(), which record")
        return value.value
    return value
