"""Any library that follows the Array API standard, PyTorch among them: its arrays, and its functions one by one.

Libraries are reached through ``array_api_compat``, and imported when their backend is first asked for.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import array_api_compat as compat
import numpy as np

from autodiff.backend import Backend, Capabilities, Plan
from autodiff.core.program import Program
from autodiff.errors import BackendError, DTypeError, ShapeError
from autodiff.importing import imported
from autodiff.registry import get_backend

from ..numpy.backend import SHORTEST_INTERPRETED
from ..optional import no_dtype, required
from .calls import DTYPES, missing, standard_call
from .reductions import copy as copied
from .source import Dialect, compile_program, interpret_program

# What no plan can do without; all of it is in the standard since 2022.12.
_NEEDED = ("asarray", "astype", "broadcast_to", "full", "isdtype", "permute_dims", "reshape", "take", "where")


class ArrayApiBackend(Backend):
    """A namespace of the Array API standard on one of its devices.

    Parameters
    ----------
    namespace : module
        Its functions.
    device : object, optional
        As the library names it; its default device if not given.
    """

    def __init__(self, namespace: Any, device: Any = None):
        lacking = [name for name in _NEEDED if not hasattr(namespace, name)]
        if lacking:
            raise BackendError(
                f"{namespace.__name__} is no namespace of the Array API standard of 2022.12 or later: it has no "
                f"{', '.join(lacking)}"
            )
        self.name = namespace.__name__
        self._namespace = namespace
        self._kind = type(namespace.empty(0))
        self._default = compat.device(namespace.empty(0))
        self.device = self._default if device is None else device
        self._info = namespace.__array_namespace_info__() if hasattr(namespace, "__array_namespace_info__") else None
        self._devices = {self.device: self}

    @property
    def namespace(self) -> Any:
        """The module of the library's functions."""
        return self._namespace

    @cached_property
    def _dtypes(self) -> dict[np.dtype[Any], Any]:
        """The library's dtypes on the device by NumPy's."""
        if self._info is not None:
            named = self._info.dtypes(device=self.device)
        else:
            named = {d.name: getattr(self._namespace, d.name) for d in DTYPES if hasattr(self._namespace, d.name)}
        return {dtype: named[dtype.name] for dtype in DTYPES if dtype.name in named}

    @cached_property
    def capabilities(self) -> Capabilities:
        """What it can do, as far as the namespace says."""
        features = set()
        if compat.is_writeable_array(self._namespace.empty(0)):
            features.add("in-place")
        if self._info is None or self._info.capabilities().get("data-dependent shapes"):
            features.add("data-dependent shapes")
        return Capabilities(frozenset(self._dtypes), frozenset(features), missing(self._namespace))

    # --- plans -------------------------------------------------------------------------------------------------------

    def compile(self, program: Program) -> Plan:
        """Calls of the standard's functions, one after another."""
        return compile_program(program, self._dialect)

    def interpret(self, program: Program) -> Plan | None:
        """The same, without a source for the whole, if the program is not so short that one is made as fast."""
        return interpret_program(program, self._dialect) if len(program.avals) > SHORTEST_INTERPRETED else None

    @cached_property
    def _dialect(self) -> Dialect:
        xp = self._namespace
        return Dialect(
            functions=xp,
            namespace=xp,
            device=self.device,
            call=standard_call,
            dtype=self._computed_in,
            convert=xp.astype,
            copy=lambda array: copied(xp, array),
            constant=self.asarray,
            quiet=True,
        )

    def _computed_in(self, dtype: np.dtype[Any]) -> Any:
        """The library's dtype for operands; for half precision, single precision, which has all its numbers."""
        return self._dtypes.get(dtype) or self._dtypes[np.dtype(np.float32)]

    # --- arrays ------------------------------------------------------------------------------------------------------

    def owns(self, value: Any) -> bool:
        """Whether a value is an array of this library, on whichever device."""
        return isinstance(value, self._kind)

    def aval_of(self, array: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and NumPy's dtype of an array of this library."""
        shape = tuple(array.shape)
        if not all(isinstance(size, int) for size in shape):
            raise ShapeError(f"an array of {self.name} has the shape {shape}, of which not all sizes are known")
        for dtype, own in self._dtypes.items():
            if own == array.dtype:
                return shape, dtype
        # Another device may have more dtypes.
        for dtype in DTYPES:
            if getattr(self._namespace, dtype.name, None) == array.dtype:
                return shape, dtype
        raise DTypeError(
            f"an array of {self.name} of shape {shape} has dtype {array.dtype}, which NumPy has not; convert it first"
        )

    def asarray(self, value: Any, dtype: np.dtype[Any] | None = None, copy: bool = False) -> Any:
        """An array of this library on its device, from one of NumPy's or its own, or from a number."""
        if not self.owns(value):
            array = np.asarray(value, dtype)
            self._own_dtype(array.dtype)
            return self._namespace.asarray(array, device=self.device, copy=copy or None)
        given = self.aval_of(value)[1]
        wanted = self._own_dtype(given if dtype is None else np.dtype(dtype))
        if given.kind == "c" and np.dtype(dtype or given).kind != "c":
            value = self._namespace.real(value)
        array = value
        if array.dtype != wanted:
            array = self._namespace.astype(array, wanted)
        if compat.device(array) != self.device:
            array = compat.to_device(array, self.device)
        return copied(self._namespace, array) if copy and array is value else array

    def _own_dtype(self, dtype: np.dtype[Any]) -> Any:
        found = self._dtypes.get(dtype)
        if found is None:
            raise no_dtype(self, dtype)
        return found

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        """The elements on the host."""
        if compat.device(array) != self._default:
            array = compat.to_device(array, self._default)
        try:
            # NumPy takes any error of a buffer written in Python for "it has none": one that interrupts would be lost.
            shared: Any = memoryview(array)
        except (TypeError, BufferError):
            shared = array
        result = np.asarray(shared)
        # What NumPy knows no protocol of is an object to it.
        return result if result.dtype.kind != "O" else np.from_dlpack(array)

    def device_of(self, array: Any) -> Any:
        """Where an array of this library is."""
        return compat.device(array)

    def at(self, device: Any) -> Backend:
        """The same namespace on another device, given as an object of the library or by its name."""
        found = self._devices.get(device) if device.__hash__ is not None else None
        if found is not None:
            return found
        own = self._device(device)
        other = ArrayApiBackend(self._namespace, own)
        other._devices = self._devices
        return self._devices.setdefault(own, other)

    def _device(self, device: Any) -> Any:
        known = list(self._info.devices()) if self._info is not None else [self._default]
        for own in known:
            if own is not None and (own == device or str(own) == device):
                return own
        if isinstance(device, str) and not isinstance(self._default, str):
            try:
                return type(self._default)(device)
            except (TypeError, ValueError):
                pass
        names = ", ".join(_short(own) for own in known)
        raise BackendError(f"backend {self.name!r} has no device {device!r}; it has {names}")

    @property
    def label(self) -> str:
        """Its name, and its device if that is not the default."""
        return self.name if self.device == self._default else f"{self.name} ({_short(self.device)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.name, self.device)


def _short(device: Any) -> str:
    """What a device is called: of ``Device('name')`` the name."""
    found = re.fullmatch(r"[\w.]*\(['\"](.*)['\"]\)", str(device))
    return str(device) if found is None else found[1]


def _restored(name: str, device: Any) -> Backend:
    return get_backend(imported(name), device)


# --- those that are asked for by name or by namespace ----------------------------------------------------------------

_backends: dict[Any, ArrayApiBackend] = {}


def for_namespace(namespace: Any) -> ArrayApiBackend:
    """The backend of any namespace of the Array API standard: the same object each time.

    Parameters
    ----------
    namespace : module
        Of functions; or an object that has them as attributes.

    Returns
    -------
    ArrayApiBackend
        On the default device of the library.

    Raises
    ------
    BackendError
        If it lacks what the standard has had since 2022.12.
    """
    found = _backends.get(namespace)
    return found if found is not None else _backends.setdefault(namespace, ArrayApiBackend(namespace))


def array_api_strict() -> ArrayApiBackend:
    """The backend of array-api-strict, which does what the standard says and nothing else: for tests.

    Returns
    -------
    ArrayApiBackend
        On its CPU device.

    Raises
    ------
    BackendError
        If the package is not installed.
    """
    return for_namespace(required("array_api_strict", "array-api-strict"))
