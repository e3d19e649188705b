"""``Handle``: what stands for a node, its versions, and its value as a number. ``Tensor`` adds NumPy's interface."""

from __future__ import annotations

import weakref
from typing import Any, Self

import numpy as np

from . import ops
from .errors import ArgumentError, DTypeError, ShapeError
from .nodes import FLOAT64, Constant, Node, Slot, Unknown, Variable, as_array, intern_aval, rebound
from .plan import evaluate


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
        if type(data) is np.ndarray and dtype is None and data.dtype.kind in "fc" and data.dtype.isnative:
            array = data.copy() if copy else data.view()
        else:
            array = _converted(plain(data), dtype, constant, copy)
        array.flags.writeable = False
        aval = intern_aval(array.shape, array.dtype)
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
        if value is None:
            return evaluate(self._node)
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
            self._slot = rebound[self._node] = Slot(None)
        return self._slot

    def _rebind(self, node: Node, what: str) -> None:
        """Let the handle stand for another node, as an operation in place does."""
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
        slot = self._named_slot()
        slot.value = None
        slot.node = weakref.ref(node)
        rebound[node] = slot
        self._node = node

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
        aval = self._node.aval
        if type(value) is not np.ndarray or value.dtype != aval.dtype or copy:
            if isinstance(value, Handle):
                value = value.value
            if aval.dtype.kind != "c" and np.iscomplexobj(value):
                raise DTypeError(f"assign: complex values do not go into a variable of {aval.dtype}; take np.real")
            value = as_array(value, aval.dtype, copy=True if copy else None)
        if value.shape != aval.shape:
            raise ShapeError(
                f"assign: the value has shape {value.shape} and dtype {value.dtype}, but the variable"
                f"{f' {self.name!r}' if self.name else ''} has shape {aval.shape}; a variable keeps its shape "
                "(np.broadcast_to or reshape the value, or make a new Tensor)"
            )
        if not copy:
            value = value.view()
        value.flags.writeable = False
        if aval.weak:
            aval = intern_aval(aval.shape, aval.dtype)
        slot = self._named_slot()
        slot.value = value
        self._node = Constant(aval, value, slot) if isinstance(self._node, Constant) else Variable(aval, value, slot)
        return self

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
        return self.assign(self.value + self._increment(value, "assign_add"), copy=False)

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
        return self.assign(self.value - self._increment(value, "assign_sub"), copy=False)

    def _increment(self, value: Any, what: str) -> np.ndarray[Any, Any]:
        array = as_array(plain(value), copy=None)
        try:
            fits = np.broadcast_shapes(array.shape, self.shape) == self.shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(
                f"{what}: a value of shape {array.shape} and dtype {array.dtype} does not broadcast to the variable's "
                f"shape {self.shape}"
            )
        return array

    # --- as a number -------------------------------------------------------------------------------------------------

    def item(self, *index: Any) -> Any:
        """See `numpy.ndarray.item`."""
        return np.asarray(self.value).item(*index)

    def tolist(self) -> Any:
        """See `numpy.ndarray.tolist`."""
        return np.asarray(self.value).tolist()

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(f"the truth of a Tensor of shape {self.shape} is ambiguous; use np.any() or np.all()")
        return bool(self.value)

    def __float__(self) -> float:
        return float(self._single("float"))

    def __int__(self) -> int:
        return int(self._single("int"))

    def __complex__(self) -> complex:
        return complex(self._single("complex"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise DTypeError(f"only an integer Tensor without dimensions is an index, not {self._node.aval!r}")
        return int(self.value)

    def _single(self, what: str) -> Any:
        if self.size != 1:
            raise ShapeError(f"{what}() of a Tensor of shape {self.shape}: only one element converts to a number")
        return np.asarray(self.value).item()


def _converted(data: Any, dtype: Any, constant: bool, copy: bool) -> np.ndarray[Any, Any]:
    """An array of a numeric dtype that only the Tensor writes to; floating unless something else was asked for."""
    # With copy=False memory is shared where that is possible, as in np.asarray.
    array = as_array(data, dtype, copy=True if copy else None)
    keeps = constant or dtype is not None or array.dtype.kind == "c"
    given = isinstance(data, (np.ndarray, np.generic))
    if not keeps and (array.dtype.kind in "biu" or not given):
        array = array.astype(FLOAT64, copy=False)
    return array if copy else array.view()


def plain(value: Any) -> Any:
    """The value of a Tensor, anything else as it is."""
    return value.value if isinstance(value, Handle) else value
