"""``Tensor``: NumPy's operators, methods and protocols. What its functions do with Tensors is said in ``dispatch``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import GenericAlias
from typing import Any, ClassVar
from weakref import ref

import numpy as np

from .. import ops
from ..arguments import ORDERS, casts, flag, word
from ..backend import Backend
from ..containers import maker
from ..convert import as_node, describe, numeric_dtype
from ..core.avals import Aval
from ..core.primitives import Primitive
from ..dispatch import FUNCTIONS, UFUNC_METHODS, UFUNCS, unsupported
from ..errors import ArgumentError, AutodiffError, DTypeError
from ..nodes import Constant, Node, Operation, Slot, history, ticks
from ..operator import Operator
from ..places import bring, made_on
from ..plan import concrete, looked_at
from ..recipe import Composite
from ..registry import get_backend
from ..tracebacks import boundaries, boundary, hide
from ..unrecorded import blocks, recorded
from ..watching import fresh, recorded_functions, refuse_detached, traces, wrapping
from .foreign import PLAIN, PRIORITY, decides, leaves, left_alone, left_alone_in_place, not_understood, operand
from .indices import gives_view, index_nodes
from .methods import Methods
from .views import NOTED, Views, look, remade

# What no basic index is.
NO_FORM: tuple[None, tuple[()]] = None, ()


def wrap(result: Any) -> Any:
    """A Tensor for a node; tuples and lists element by element."""
    if isinstance(result, Node):
        tensor = _new(Tensor)
        tensor._node = fresh(result) if traces else result
        tensor._slot = tensor._tie = None
        return tensor
    if isinstance(result, (tuple, list)):
        return maker(type(result))([wrap(part) for part in result])
    return result


wrapping.append(wrap)
recorded_functions.append(FUNCTIONS)


def stand_in(node: Node) -> Any:
    """A Tensor for a node that stands for an argument: derivatives pass to it, in whatever block that is."""
    return wrap(node) if not blocks else recorded(wrap, node)


def node_of(value: Any) -> Node:
    """The node of a Tensor; a constant node for anything else that is an array or a number."""
    return value._node if type(value) is Tensor else as_node(value)


def _binary(name: str, primitive: Primitive, reflected: bool = False) -> Callable[[Tensor, Any], Tensor]:
    """An operator method that records ``primitive``. The hot path: 0.6 us, of which 0.2 us are the node."""
    signatures = primitive.signatures
    ufunc = primitive.numpy_ufunc
    assert ufunc is not None
    if reflected:

        def operator(self: Tensor, other: Any) -> Any:
            try:
                y = self._node
                try:
                    x = other._node if type(other) is Tensor else operand(other, y.aval)
                except DTypeError as error:
                    return not_understood(name, other, error)
                if x is None:
                    return left_alone(name, self, other, ufunc)
                key = (x.aval, y.aval)
                node, tensor = Operation(), _new(Tensor)
                node.signature = signature = signatures.get(key) or primitive.signature(key)
                node.inputs, node.aval = (x, y), signature.out
                node.value, node.collected, node.sequence = None, None, next(ticks)
                tensor._node, tensor._slot, tensor._tie = node, None, None
                return tensor
            except Exception as error:
                hide(error)
                raise

    else:

        def operator(self: Tensor, other: Any) -> Any:
            try:
                x = self._node
                try:
                    y = other._node if type(other) is Tensor else operand(other, x.aval)
                except DTypeError as error:
                    return not_understood(name, other, error)
                if y is None:
                    return left_alone(name, self, other, ufunc)
                key = (x.aval, y.aval)
                node, tensor = Operation(), _new(Tensor)
                node.signature = signature = signatures.get(key) or primitive.signature(key)
                node.inputs, node.aval = (x, y), signature.out
                node.value, node.collected, node.sequence = None, None, next(ticks)
                tensor._node, tensor._slot, tensor._tie = node, None, None
                return tensor
            except Exception as error:
                hide(error)
                raise

    return operator


def _binary_function(
    name: str, function: Composite, ufunc: np.ufunc, reflected: bool = False
) -> Callable[[Tensor, Any], Tensor]:
    """An operator method for a function composed of primitives."""

    def operator(self: Tensor, other: Any) -> Any:
        try:
            try:
                node = operand(other, self._node.aval)
            except DTypeError as error:
                return not_understood(name, other, error)
            if node is None:
                return left_alone(name, self, other, ufunc)
            return wrap(function(node, self._node) if reflected else function(self._node, node))
        except Exception as error:
            hide(error)
            raise

    return operator


def _unary(primitive: Primitive) -> Callable[[Tensor], Tensor]:
    signatures = primitive.signatures

    def operator(self: Tensor) -> Tensor:
        try:
            x = self._node
            key = (x.aval,)
            node, tensor = Operation(), _new(Tensor)
            node.signature = signature = signatures.get(key) or primitive.signature(key)
            node.inputs, node.aval = (x,), signature.out
            node.value, node.collected, node.sequence = None, None, next(ticks)
            tensor._node, tensor._slot, tensor._tie = node, None, None
            return tensor
        except Exception as error:
            hide(error)
            raise

    return operator


_matmul = Composite(ops.matmul)
_transpose = Composite(ops.transpose)
_matrix_transpose = Composite(ops.matrix_transpose)


def _in_place(name: str) -> Callable[[Tensor, Any], Tensor]:
    """An augmented assignment: the handle gets the result, which must keep its shape and kind of dtype."""

    plain_name, own_name = f"__{name}__", f"__i{name}__"

    def operator(self: Tensor, other: Any) -> Tensor:
        try:
            result = getattr(self, plain_name)(other)
            if type(result) is not Tensor:
                return left_alone_in_place(own_name, other)  # type: ignore[no-any-return]
            self._rebind(result._node, own_name)
            return self
        except Exception as error:
            hide(error)
            raise

    return operator


@boundaries
class Tensor(Methods):
    """An array whose history is recorded, so that it can be differentiated.

    Operations on it compute nothing: they check shapes and dtypes and record. A value is computed when it is
    looked at (``value``, ``print``, ``float``, ``if``, ``np.asarray``).

    Parameters
    ----------
    data : array_like
        Numbers. Lists and integer or boolean arrays become float64 unless ``dtype`` or ``constant`` says
        otherwise.
    dtype : dtype, optional
        What to convert to.
    constant : bool, optional
        True for data that no derivative is taken with respect to; integers then stay integers.
    copy : bool, optional
        False to use the memory of ``data``; it must then not change.
    name : str, optional
        Shown in ``repr``.

    Raises
    ------
    DTypeError
        If NumPy cannot convert ``data``, or would only to objects or strings.
    ShapeError
        If ``data`` is ragged.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> a = ad.Tensor([1, 2, 3])
    >>> np.sum(a**2)
    Tensor(14.)
    """

    __slots__ = ()
    __array_priority__ = PRIORITY
    __class_getitem__: Any = classmethod(GenericAlias)

    @property
    def T(self) -> Tensor:
        """The axes reversed."""
        return look(wrap(_transpose(self._node)), self)  # type: ignore[no-any-return]

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return look(wrap(_matrix_transpose(self._node)), self)  # type: ignore[no-any-return]

    @property
    @boundary
    def real(self) -> Tensor:
        """The real part, a view: what is written into it is written into the Tensor. That of a real one is itself."""
        return FUNCTIONS[np.real](self) if self.dtype.kind == "c" else self

    @real.setter
    @boundary
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    @boundary
    def imag(self) -> Tensor:
        """The imaginary part, a view; zeros for a real Tensor."""
        return FUNCTIONS[np.imag](self)  # type: ignore[no-any-return]

    @imag.setter
    @boundary
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise DTypeError(f"imag = : a Tensor {self._node.aval!r} has no imaginary part to write into; use .astype")
        self.imag[...] = value

    def copy(self, order: str = "C") -> Tensor:
        """See `numpy.ndarray.copy`.

        Returns
        -------
        Tensor
            What is done to it in place leaves this one alone. It is recorded: derivatives pass to this one. A constant
            stays one. ``ad.Tensor(t.value)`` is a new variable with this value and no history.
        """
        try:
            node = self._node
            word(order, "copy: order", ORDERS)
            if isinstance(node, Constant):
                return Tensor(self.value, dtype=self.dtype, constant=True, name=self.name)
            tensor: Tensor = wrap(ops.identity(node))
            if self.name is not None:
                tensor._name(self.name)
            return tensor
        except Exception as error:
            hide(error)
            raise

    def to(self, backend: str | Backend | Any, device: Any = None) -> Tensor:
        """A new variable with this value on another backend, and no history.

        Parameters
        ----------
        backend : str, Backend or namespace
            As ``autodiff.Graph`` takes it; ``"numpy"`` brings the value to the host.
        device : object, optional
            As the library names its devices.

        Returns
        -------
        Tensor
            Detached, as by ``copy``: no derivative passes from it to this one.

        Raises
        ------
        BackendError
            If there is no such backend or device.

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.Tensor([1.0, 2.0]).to("numpy")
        Tensor([1., 2.])
        """
        refuse_detached(self._node, "to()", "Put the values that the function starts from there before it is called")
        home = get_backend(backend, device).home
        array = bring(looked_at(self._node), home, self.dtype, copy=True)
        return made_on(home, Tensor, array, self.dtype, self.constant, False, self.name)  # type: ignore[no-any-return]

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Tensor:
        """See `numpy.ndarray.astype`."""
        try:
            wanted = numeric_dtype(dtype, "astype: dtype")
            word(order, "astype: order", ORDERS)
            flag(subok, "astype: subok")
            flag(copy, "astype: copy")
            if not casts(self.dtype, wanted, casting, "astype"):
                raise DTypeError(f"astype: {self.dtype} does not convert to {wanted} by casting={casting!r}")
            return wrap(ops.astype(self._node, wanted))  # type: ignore[no-any-return]
        except Exception as error:
            hide(error)
            raise

    # --- operators ---------------------------------------------------------------------------------------------------

    __add__ = _binary("__add__", ops.add)
    __radd__ = _binary("__radd__", ops.add, reflected=True)
    __sub__ = _binary("__sub__", ops.subtract)
    __rsub__ = _binary("__rsub__", ops.subtract, reflected=True)
    __mul__ = _binary("__mul__", ops.multiply)
    __rmul__ = _binary("__rmul__", ops.multiply, reflected=True)
    __truediv__ = _binary("__truediv__", ops.divide)
    __rtruediv__ = _binary("__rtruediv__", ops.divide, reflected=True)
    __floordiv__ = _binary("__floordiv__", ops.floor_divide)
    __rfloordiv__ = _binary("__rfloordiv__", ops.floor_divide, reflected=True)
    __mod__ = _binary("__mod__", ops.remainder)
    __rmod__ = _binary("__rmod__", ops.remainder, reflected=True)
    __pow__ = _binary("__pow__", ops.power)
    __rpow__ = _binary("__rpow__", ops.power, reflected=True)
    __matmul__ = _binary_function("__matmul__", _matmul, np.matmul)
    __rmatmul__ = _binary_function("__rmatmul__", _matmul, np.matmul, reflected=True)
    __and__ = _binary("__and__", ops.bitwise_and)
    __rand__ = _binary("__rand__", ops.bitwise_and, reflected=True)
    __or__ = _binary("__or__", ops.bitwise_or)
    __ror__ = _binary("__ror__", ops.bitwise_or, reflected=True)
    __xor__ = _binary("__xor__", ops.bitwise_xor)
    __rxor__ = _binary("__rxor__", ops.bitwise_xor, reflected=True)
    __lshift__ = _binary("__lshift__", ops.left_shift)
    __rlshift__ = _binary("__rlshift__", ops.left_shift, reflected=True)
    __rshift__ = _binary("__rshift__", ops.right_shift)
    __rrshift__ = _binary("__rrshift__", ops.right_shift, reflected=True)
    __lt__ = _binary("__lt__", ops.less)
    __le__ = _binary("__le__", ops.less_equal)
    __gt__ = _binary("__gt__", ops.greater)
    __ge__ = _binary("__ge__", ops.greater_equal)
    # Without a word of their own, checkers take the bool of ``object`` for these.
    __eq__: ClassVar[Callable[[Tensor, Any], Tensor]] = _binary("__eq__", ops.equal)  # type: ignore[assignment]
    __ne__: ClassVar[Callable[[Tensor, Any], Tensor]] = _binary("__ne__", ops.not_equal)  # type: ignore[assignment]
    __hash__ = object.__hash__
    __neg__ = _unary(ops.negative)
    __abs__ = _unary(ops.absolute)
    __invert__ = _unary(ops.invert)
    __iadd__ = _in_place("add")
    __isub__ = _in_place("sub")
    __imul__ = _in_place("mul")
    __itruediv__ = _in_place("truediv")
    __ifloordiv__ = _in_place("floordiv")
    __imod__ = _in_place("mod")
    __ipow__ = _in_place("pow")
    __imatmul__ = _in_place("matmul")
    __iand__ = _in_place("and")
    __ior__ = _in_place("or")
    __ixor__ = _in_place("xor")
    __ilshift__ = _in_place("lshift")
    __irshift__ = _in_place("rshift")

    def __pos__(self) -> Tensor:
        try:
            return UFUNCS[np.positive](self._node) if self.dtype.kind == "b" else wrap(ops.identity(self._node))  # type: ignore[no-any-return]
        except Exception as error:
            hide(error)
            raise

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    # --- as a container and a number ---------------------------------------------------------------------------------

    def __getitem__(self, item: Any) -> Tensor:
        try:
            x, tensor = self._node, _new(Tensor)
            form, value = ops.basic_index(x.aval, item) or NO_FORM
            if form is None:
                node = ops.read_index(x, index_nodes(item), concrete)
                is_view = gives_view(item, node.aval.ndim)
            else:
                node = ops.read_basic(x, form, value)
                is_view = form.gives_view
            tensor._node, tensor._slot, tensor._tie = fresh(node) if traces else node, None, None
            if is_view:
                views = self._tie
                if type(views) is Views and node is not x:
                    # As ``look`` does; written out, since slices are what loops read.
                    tensor._tie = self
                    views.append(ref(tensor))
                    if not len(views) % NOTED:
                        views.prune()
                else:
                    look(tensor, self)
            return tensor
        except Exception as error:
            hide(error)
            raise

    def __setitem__(self, item: Any, value: Any) -> None:
        try:
            node = self._node
            if type(value) is Tensor and ops.is_written(node, item, value._node):
                # ``t[1:] += x`` has written into the view already.
                return
            try:
                node = ops.write_index(node, index_nodes(item), node_of(value), concrete)
            except AutodiffError as error:
                error.within(f"writing into {node.aval!r}")
                raise
            self._rebind(node, "__setitem__")
        except Exception as error:
            hide(error)
            raise

    def __delitem__(self, item: Any) -> None:
        raise ArgumentError(f"elements of a Tensor {self._node.aval!r} cannot be deleted; np.delete gives a new one")

    def __iter__(self) -> Iterator[Tensor]:
        try:
            if not self.shape:
                raise DTypeError("iteration over a Tensor without dimensions; write t[None] for one with one")
            return (self[i] for i in range(self.shape[0]))
        except Exception as error:
            hide(error)
            raise

    # --- NumPy's protocols -------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        try:
            if method == "__call__" and not keywords:
                function = UFUNCS.get(ufunc)
                if function is not None:
                    x = self._node
                    beside = x.aval
                    # No ufunc of this table takes more than two. Comprehensions would take 0.15 us each.
                    nodes: tuple[Node, ...]
                    key: tuple[Aval, ...]
                    if len(inputs) == 1:
                        nodes, key = (x,), (beside,)
                    else:
                        a, b = inputs
                        if type(a) is not Tensor and type(a) not in PLAIN and decides(a):
                            return NotImplemented
                        if type(b) is not Tensor and type(b) not in PLAIN and decides(b):
                            return NotImplemented
                        try:
                            y = a._node if type(a) is Tensor else as_node(a, beside)
                            z = b._node if type(b) is Tensor else as_node(b, beside)
                        except AutodiffError as error:
                            error.within(ufunc.__name__)
                            raise
                        nodes, key = (y, z), (y.aval, z.aval)
                    if type(function) is not Operator:
                        return wrap(function(*nodes))
                    node, tensor = Operation(), _new(Tensor)
                    node.signature = signature = function.signatures.get(key) or function.signature(key)
                    node.inputs, node.aval = nodes, signature.out
                    node.value, node.collected, node.sequence = None, None, next(ticks)
                    tensor._node, tensor._slot, tensor._tie = node, None, None
                    return tensor
            for x in (*inputs, *keywords.get("out", ())):
                if decides(x):
                    return NotImplemented
            try:
                return UFUNC_METHODS[method](ufunc, inputs, keywords)
            except AutodiffError as error:
                error.within(ufunc.__name__ + ("" if method == "__call__" else f".{method}"))
                raise
        except Exception as error:
            hide(error)
            raise

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            # Classes that need no closer look are told in 50 ns.
            if len(types) > 1 and not _PLAIN_AND_OURS.issuperset(types) and leaves(types, (args, kwargs)):
                return NotImplemented
            handler = FUNCTIONS.get(function)
            if handler is None:
                raise unsupported(function)
            return handler(*args, **kwargs)
        except Exception as error:
            hide(error)
            raise

    # --- NumPy's methods ---------------------------------------------------------------------------------------------

    def conjugate(self) -> Tensor:
        """See `numpy.ndarray.conjugate`."""
        try:
            # Unlike np.conjugate it leaves booleans as they are.
            return wrap((ops.conjugate if self.dtype.kind == "c" else ops.identity)(self._node))  # type: ignore[no-any-return]
        except Exception as error:
            hide(error)
            raise

    conj = conjugate

    def fill(self, value: Any) -> None:
        """See `numpy.ndarray.fill`."""
        if node_of(value).aval.ndim:
            raise ArgumentError(f"fill: {describe(value)} must be one number; write t[...] = value for an array")
        self[...] = value

    # --- pickling ----------------------------------------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        # The whole history, inputs first: when pickle reaches a node, its inputs are in its memo already,
        # so it never recurses over the graph.
        refuse_detached(self._node, "pickle", "Give the Tensor itself to what needs it")
        return _restore, (history(self._node), self._slot)

    def __copy__(self) -> Tensor:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self.copy()


_new = Tensor.__new__
_PLAIN_AND_OURS = PLAIN | {Tensor}


class _Stale(Tensor):
    """A Tensor, that is a view, whose base has changed: who reads its node makes it a Tensor with a new one."""

    __slots__ = ()

    _node = property(remade)


_Stale.__name__ = _Stale.__qualname__ = "Tensor"
Tensor._live, Tensor._stale = Tensor, _Stale
# For Python's message about a call that does not fit.
Tensor.__init__.__qualname__ = "Tensor"


def _restore(nodes: list[Node], slot: Slot | None) -> Tensor:
    tensor: Tensor = wrap(nodes[-1])
    tensor._slot = slot
    return tensor
