"""NumPy's methods that are functions of the same name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

import numpy as np

from .. import ops
from ..arguments import flag
from ..convert import numeric_dtype
from ..dispatch import FUNCTIONS, MODULE
from ..errors import ArgumentError, MissingAttributeError, UnsupportedError, shown
from ..reasons import REASONS
from ..tracebacks import boundaries, boundary, hide
from ..unrecorded import recorded
from . import views
from .flat import Flat
from .valued import Valued

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    Axes = SupportsIndex | Sequence[SupportsIndex] | None


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that is a NumPy function of the Tensor."""

    def method(self: Methods, *args: Any, **kwargs: Any) -> Any:
        try:
            handler = FUNCTIONS.get(function)
            return function(self, *args, **kwargs) if handler is None else handler(self, *args, **kwargs)
        except Exception as error:
            hide(error)
            raise

    method.__name__ = function.__name__
    method.__doc__ = f"See `numpy.{function.__name__}`."
    return method


def _missing(name: str) -> property:
    """What arrays have and a Tensor has not: an error that says why."""
    reason = REASONS[f"numpy.ndarray.{name}"]

    @boundary
    def refuse(self: Methods) -> Any:
        raise MissingAttributeError(f"a Tensor has no {name}: {reason}")

    return property(refuse, doc=f"Not there: {reason}.")


def _spread(args: tuple[Any, ...]) -> Any:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    return args[0] if len(args) == 1 and not isinstance(args[0], (int, np.integer)) else args


@boundaries
class Methods(Valued):
    """What NumPy's arrays have as methods."""

    __slots__ = ()

    # What a type checker reads: the signatures of NumPy's functions.
    if TYPE_CHECKING:

        def sum(
            self,
            axis: Axes = ...,
            dtype: DTypeLike | None = ...,
            out: Any = ...,
            keepdims: bool = ...,
            initial: Any = ...,
            where: Any = ...,
        ) -> Self: ...
        def prod(
            self,
            axis: Axes = ...,
            dtype: DTypeLike | None = ...,
            out: Any = ...,
            keepdims: bool = ...,
            initial: Any = ...,
            where: Any = ...,
        ) -> Self: ...
        def mean(
            self,
            axis: Axes = ...,
            dtype: DTypeLike | None = ...,
            out: Any = ...,
            keepdims: bool = ...,
            *,
            where: Any = ...,
        ) -> Self: ...
        def var(
            self,
            axis: Axes = ...,
            dtype: DTypeLike | None = ...,
            out: Any = ...,
            ddof: float = ...,
            keepdims: bool = ...,
            *,
            where: Any = ...,
            mean: Any = ...,
            correction: float = ...,
        ) -> Self: ...
        def std(
            self,
            axis: Axes = ...,
            dtype: DTypeLike | None = ...,
            out: Any = ...,
            ddof: float = ...,
            keepdims: bool = ...,
            *,
            where: Any = ...,
            mean: Any = ...,
            correction: float = ...,
        ) -> Self: ...
        def max(
            self, axis: Axes = ..., out: Any = ..., keepdims: bool = ..., initial: Any = ..., where: Any = ...
        ) -> Self: ...
        def min(
            self, axis: Axes = ..., out: Any = ..., keepdims: bool = ..., initial: Any = ..., where: Any = ...
        ) -> Self: ...
        def all(self, axis: Axes = ..., out: Any = ..., keepdims: bool = ..., *, where: Any = ...) -> Self: ...
        def any(self, axis: Axes = ..., out: Any = ..., keepdims: bool = ..., *, where: Any = ...) -> Self: ...
        def argmax(self, axis: SupportsIndex | None = ..., out: Any = ..., *, keepdims: bool = ...) -> Self: ...
        def argmin(self, axis: SupportsIndex | None = ..., out: Any = ..., *, keepdims: bool = ...) -> Self: ...
        def cumsum(self, axis: SupportsIndex | None = ..., dtype: DTypeLike | None = ..., out: Any = ...) -> Self: ...
        def cumprod(self, axis: SupportsIndex | None = ..., dtype: DTypeLike | None = ..., out: Any = ...) -> Self: ...
        def clip(
            self, a_min: Any = ..., a_max: Any = ..., out: Any = ..., *, min: Any = ..., max: Any = ...
        ) -> Self: ...
        def ravel(self, order: str = ...) -> Self: ...
        def squeeze(self, axis: Axes = ...) -> Self: ...
        def swapaxes(self, axis1: SupportsIndex, axis2: SupportsIndex) -> Self: ...
        def diagonal(
            self, offset: SupportsIndex = ..., axis1: SupportsIndex = ..., axis2: SupportsIndex = ...
        ) -> Self: ...
        def trace(
            self,
            offset: SupportsIndex = ...,
            axis1: SupportsIndex = ...,
            axis2: SupportsIndex = ...,
            dtype: DTypeLike | None = ...,
            out: Any = ...,
        ) -> Self: ...
        def repeat(self, repeats: Any, axis: SupportsIndex | None = ...) -> Self: ...
        def take(self, indices: Any, axis: SupportsIndex | None = ..., out: Any = ..., mode: str = ...) -> Self: ...
        def round(self, decimals: SupportsIndex = ..., out: Any = ...) -> Self: ...
        def dot(self, b: Any, out: Any = ...) -> Self: ...
        def nonzero(self) -> tuple[Self, ...]: ...
        def put(self, ind: Any, v: Any, mode: str = ...) -> None: ...
        def argsort(
            self,
            axis: SupportsIndex | None = ...,
            kind: str | None = ...,
            order: None = ...,
            *,
            stable: bool | None = ...,
        ) -> Self: ...
        def argpartition(
            self, kth: Any, axis: SupportsIndex | None = ..., kind: str = ..., order: None = ...
        ) -> Self: ...
        def searchsorted(self, v: Any, side: str = ..., sorter: Any = ...) -> Self: ...
        def choose(self, choices: Any, out: Any = ..., mode: str = ...) -> Self: ...
    else:
        sum = _method(np.sum)
        prod = _method(np.prod)
        mean = _method(np.mean)
        var = _method(np.var)
        std = _method(np.std)
        max = _method(np.max)
        min = _method(np.min)
        all = _method(np.all)
        any = _method(np.any)
        argmax = _method(np.argmax)
        argmin = _method(np.argmin)
        cumsum = _method(np.cumsum)
        cumprod = _method(np.cumprod)
        clip = _method(np.clip)
        ravel = _method(np.ravel)
        squeeze = _method(np.squeeze)
        swapaxes = _method(np.swapaxes)
        diagonal = _method(np.diagonal)
        trace = _method(np.trace)
        repeat = _method(np.repeat)
        take = _method(np.take)
        round = _method(np.round)
        dot = _method(np.dot)
        nonzero = _method(np.nonzero)
        put = _method(np.put)
        argsort = _method(np.argsort)
        argpartition = _method(np.argpartition)
        searchsorted = _method(np.searchsorted)
        choose = _method(np.choose)

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        """See `numpy.ndarray.sort`."""
        place = ops.normalize_axis(axis, self.ndim, "sort")
        self._rebind(FUNCTIONS[np.sort](self, place, kind, order, stable=stable)._node, "sort")

    def partition(self, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> None:
        """See `numpy.ndarray.partition`."""
        place = ops.normalize_axis(axis, self.ndim, "partition")
        self._rebind(FUNCTIONS[np.partition](self, kth, place, kind, order)._node, "partition")

    def compress(self, condition: Any, axis: SupportsIndex | None = None, out: Any = None) -> Self:
        """See `numpy.ndarray.compress`."""
        return FUNCTIONS[np.compress](condition, self, axis, out)  # type: ignore[no-any-return]

    ctypes = _missing("ctypes")
    flags = _missing("flags")
    setfield = _missing("setfield")
    setflags = _missing("setflags")
    strides = _missing("strides")

    @property
    @boundary
    def flat(self) -> Flat:
        """The elements one after the other: an iterator, and a vector to read and write; see `numpy.ndarray.flat`."""
        return Flat(self)

    @flat.setter
    @boundary
    def flat(self, value: Any) -> None:
        Flat(self)[...] = value

    @property
    @boundary
    def base(self) -> Any:
        """What this is a view of; None if it is no view."""
        view = views.view_of(self)
        return None if view is None or view.owns else view.base

    @property
    def device(self) -> Any:
        """Where the value is, as its library names it."""
        place = self._node.aval.place
        return "cpu" if place is None else place.device

    def to_device(self, device: Any, /, *, stream: Any = None) -> Self:
        """See `numpy.ndarray.to_device`: the Tensor itself, if it is there. ``to`` goes elsewhere."""
        if stream is not None:
            raise UnsupportedError(f"to_device: stream={shown(stream)} means nothing here; leave it out")
        if device != self.device:
            raise ArgumentError(
                f"to_device: {shown(device)} is not {self.device!r}, where the Tensor {self._node.aval!r} is; write "
                "t.to(backend, device)"
            )
        return self

    def __array_namespace__(self, *, api_version: Any = None) -> Any:
        """`autodiff.numpy`, whose functions take Tensors, and create some where derivatives are taken."""
        np.empty(0).__array_namespace__(api_version=api_version)  # an error if NumPy is of another version
        return MODULE["numpy"]

    def view(self, dtype: Any = None) -> Self:
        """See `numpy.ndarray.view`: of all elements; of a complex Tensor also as pairs of numbers, to be read only."""
        x = self._node
        wanted = x.aval.dtype if dtype is None or dtype is np.ndarray else numeric_dtype(dtype, "view: dtype")
        if wanted == x.aval.dtype:
            return FUNCTIONS[np.reshape](self, self.shape)  # type: ignore[no-any-return]
        if x.aval.dtype.kind != "c" or wanted != ops.real(x).aval.dtype or not x.aval.ndim:
            raise UnsupportedError(
                f"view: {x.aval!r} as {wanted} is not recorded, since it would read numbers from the bits of others; "
                "write t.astype(dtype) for the same numbers"
            )
        # How it is made from this one is known in a block, too, in which nothing else is recorded.
        pairs = recorded(lambda: FUNCTIONS[np.stack]([FUNCTIONS[np.real](self), FUNCTIONS[np.imag](self)], -1))
        return views.look(FUNCTIONS[np.reshape](pairs, (*x.aval.shape[:-1], -1)), self, read_only=True)  # type: ignore[no-any-return]

    def resize(self, *new_shape: Any, refcheck: bool = True) -> None:
        """See `numpy.ndarray.resize`: in place, with zeros for what is new. Not of a view, and of what has views."""
        flag(refcheck, "resize: refcheck")
        if new_shape not in ((), (None,)):
            shape = ops.normalize_shape(_spread(new_shape), "resize", argument="new_shape")
            views.resize_in_place(self, shape)

    def flatten(self, order: str = "C") -> Self:
        """See `numpy.ndarray.flatten`."""
        try:
            return FUNCTIONS[np.ravel](FUNCTIONS[np.copy](self), order)  # type: ignore[no-any-return]
        except Exception as error:
            hide(error)
            raise

    def reshape(self, *shape: SupportsIndex | Sequence[SupportsIndex], order: str = "C") -> Self:
        """See `numpy.ndarray.reshape`."""
        try:
            return FUNCTIONS[np.reshape](self, _spread(shape), order)  # type: ignore[no-any-return]
        except Exception as error:
            hide(error)
            raise

    def transpose(self, *axes: SupportsIndex | Sequence[SupportsIndex] | None) -> Self:
        """See `numpy.ndarray.transpose`."""
        try:
            return FUNCTIONS[np.transpose](self, _spread(axes) if axes else None)  # type: ignore[no-any-return]
        except Exception as error:
            hide(error)
            raise
