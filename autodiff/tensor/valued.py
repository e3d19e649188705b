"""A Tensor's value as what Python and other libraries ask for: a number, a text, an array of NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..convert import describe
from ..core.avals import FLOAT64
from ..errors import ArgumentError, DTypeError, IndexingError, ShapeError, TraceError, UnsupportedError
from ..importing import imported
from ..nodes import Unknown
from ..plan import deciding, on_host, peeked
from ..registry import get_backend
from ..tracebacks import boundaries, boundary, hide
from ..watching import INTO_A_TENSOR, note_taken, refuse_detached
from .handle import Handle

NUMPYS_FUNCTIONS = f"Write it with NumPy's functions (np.sqrt, not math.sqrt). Elements: {INTO_A_TENSOR}"


@boundaries
class Valued(Handle):
    """A handle whose value can be looked at. What would take it as plain numbers is refused in a transformation."""

    __slots__ = ()

    # --- as a number -------------------------------------------------------------------------------------------------

    def item(self, *index: Any) -> Any:
        """See `numpy.ndarray.item`."""
        try:
            value = np.asarray(self._number("item()"))
            try:
                return value.item(*index)
            except (IndexError, ValueError, TypeError, OverflowError) as error:
                kind = IndexingError if isinstance(error, (IndexError, OverflowError)) else ArgumentError
                raise kind(
                    f"item of {self._node.aval!r}: {error}; give the position of one element: an integer, or one "
                    "an axis"
                ) from None
        except Exception as error:
            hide(error)
            raise

    def tolist(self) -> Any:
        """See `numpy.ndarray.tolist`."""
        return np.asarray(self._number("tolist()")).tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """See `numpy.ndarray.tobytes`."""
        return self._bytes("tobytes", self._number("tobytes()"), order)  # type: ignore[no-any-return]

    @property
    @boundary
    def data(self) -> memoryview:
        """The memory of the value, which is read-only."""
        return np.asarray(self._number("data")).data

    def getfield(self, dtype: Any, offset: int = 0) -> Any:
        """See `numpy.ndarray.getfield`: of the value, whose bits have no derivative."""
        return self._bytes("getfield", self._number("getfield()"), dtype, offset)

    def byteswap(self, inplace: bool = False) -> Any:
        """See `numpy.ndarray.byteswap`: of the value, whose bits have no derivative."""
        if inplace:
            raise UnsupportedError("byteswap: inplace=True would write bits, not numbers; leave it out")
        return self._bytes("byteswap", self._number("byteswap()"))

    def tofile(self, fid: Any, sep: str = "", format: str = "%s") -> None:
        """See `numpy.ndarray.tofile`."""
        self._bytes("tofile", on_host(self._node), fid, sep, format)

    def dump(self, file: Any) -> None:
        """See `numpy.ndarray.dump`: the value, without history."""
        self._bytes("dump", on_host(self._node), file)

    def dumps(self) -> bytes:
        """See `numpy.ndarray.dumps`: the value, without history."""
        return self._bytes("dumps", self._number("dumps()"))  # type: ignore[no-any-return]

    def _bytes(self, method: str, value: Any, *args: Any) -> Any:
        """What a method of ndarray does with the bytes of the value; its errors as ours, but for those of files."""
        try:
            return getattr(np.asarray(value), method)(*args)
        except (TypeError, ValueError, OverflowError) as error:
            kind = DTypeError if isinstance(error, TypeError) else ArgumentError
            raise kind(f"{method} of {self._node.aval!r}: {error}") from None

    def __bool__(self) -> bool:
        try:
            if self.size != 1:
                raise ShapeError(f"the truth of a Tensor of shape {self.shape} is ambiguous; use np.any() or np.all()")
            return bool(self._known())
        except Exception as error:
            hide(error)
            raise

    def __float__(self) -> float:
        try:
            return float(self._single("float", self._number("float()")))
        except Exception as error:
            hide(error)
            raise

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
        try:
            if self.dtype.kind not in "iu" or self.ndim:
                raise DTypeError(f"only an integer Tensor without dimensions is an index, not {self._node.aval!r}")
            return int(deciding(self._node))
        except Exception as error:
            hide(error)
            raise

    def _number(self, asked: str) -> Any:
        """The value for numbers that record nothing; an error where a derivative would be lost with them."""
        refuse_detached(self._node, asked, NUMPYS_FUNCTIONS)
        return on_host(self._node)

    def _known(self) -> Any:
        """The value on the host. Truths decide what is done, and a trace that looks at them holds for these."""
        return deciding(self._node) if self.dtype.kind == "b" else on_host(self._node)

    def _single(self, what: str, value: Any) -> Any:
        if self.size != 1:
            raise ShapeError(f"{what}() of a Tensor of shape {self.shape}: only one element converts to a number")
        return np.asarray(value).item()

    # --- as text and as an array -------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        try:
            value = np.asarray(on_host(self._node))
        except TraceError:
            return f"Tensor(<{self._node.aval!r}, being traced>)"
        text = np.array2string(value, separator=", ", prefix="Tensor(")
        dtype = "" if self.dtype in (FLOAT64, np.dtype(np.int64), np.dtype(bool)) else f", dtype={self.dtype}"
        name = f", name={self.name!r}" if self.name else ""
        place = self._node.aval.place
        where = "" if place is None or place is get_backend() else f", backend={place.label!r}"
        return f"Tensor({text}{dtype}{name}{where})"

    def _repr_html_(self) -> str:
        """What notebooks show. It takes no long time, and changes nothing: what would is not computed."""
        node = self._node
        home = node.aval.place or get_backend()
        value = peeked(node)
        if node.value is not None and type(node.value) is Unknown:
            missing = "being traced: it has no value"
        elif "lazy" in home.capabilities.features:
            missing = f"{home.label} computes it when t.value is asked for"
        else:
            missing = "not computed yet; t.value or print(t) computes it"
        if value is not None and not home.owns(value):
            value, home = np.asarray(value, self.dtype), get_backend()
        kind = "constant" if self.constant else "variable" if node.signature is None else node.signature.title
        shown = imported("autodiff.display.arrays")
        where = (node.aval.place or home).label
        return str(shown.tensor(self.name, self.shape, self.dtype, where, kind, value, home.to_numpy, missing))

    def __str__(self) -> str:
        return str(on_host(self._node))

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        return format(self._single("format", on_host(self._node)), spec)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        try:
            refuse_detached(
                self._node,
                "a conversion to an array (np.asarray, np.array)",
                "Give the Tensor to functions of NumPy that are recorded, join Tensors by np.stack or np.concatenate, "
                f"and {INTO_A_TENSOR}. np.random of that module draws with Tensors for parameters",
            )
            note_taken(self._node)
            return np.array(self._known(), dtype=dtype, copy=copy)
        except Exception as error:
            hide(error)
            raise

    def __dlpack__(self, **keywords: Any) -> Any:
        refuse_detached(self._node, "__dlpack__", "Give the Tensor itself to functions that are recorded")
        return self.value.__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.value.__dlpack_device__()  # type: ignore[no-any-return]

    def __contains__(self, value: Any) -> bool:
        try:
            return bool(np.any(on_host(self._node) == (on_host(value._node) if isinstance(value, Handle) else value)))
        except (TypeError, ValueError, OverflowError) as error:
            raise ArgumentError(f"in: {describe(value)} cannot be compared with {self._node.aval!r}: {error}") from None

    def __len__(self) -> int:
        try:
            if not self.shape:
                raise DTypeError("len() of a Tensor without dimensions; write t[None] for one with one")
            return self.shape[0]
        except Exception as error:
            hide(error)
            raise
