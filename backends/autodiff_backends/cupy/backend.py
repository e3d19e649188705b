"""CuPy: programs as generated CUDA kernels and calls of CUDA's libraries, one backend for each GPU."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autodiff.backend import COMPLEX_DTYPES, REAL_DTYPES, Backend, Capabilities, Plan
from autodiff.core.program import Program
from autodiff.errors import BackendError, DTypeError
from autodiff.importing import imported

from .calls import OVERRIDES
from .device import CupyDevice, retried
from .namespace import lacking
from .plan import CupyPlan

# What `pip install` takes, for messages.
PACKAGE = "cupy-cuda13x"

CUBLAS = "cupy_backends.cuda.libs.cublas"
NO_GPU = "the NVIDIA driver finds no GPU (see nvidia-smi and the variable CUDA_VISIBLE_DEVICES)"

# DLPack's numbers of CUDA's memory: that of a GPU, and managed memory.
CUDA_MEMORY = (2, 13)


class CupyBackend(Backend):
    """Arrays are ``cupy.ndarray`` on one GPU; work is started on CuPy's current stream and not waited for.

    Matrix products are those of cuBLAS, in TF32 only where CuPy is told so (``CUPY_TF32=1``).

    Parameters
    ----------
    xp : module
        CuPy.
    device : int
        The number of the GPU.
    count : int
        How many there are.
    """

    name = "cupy"
    primitives = frozenset(("tanh_slope",))
    capabilities = Capabilities(
        REAL_DTYPES | COMPLEX_DTYPES | {np.dtype(np.float16)},
        frozenset(("in-place", "scatter-add", "data-dependent shapes", "asynchronous")),
        lacking(OVERRIDES),
    )

    def __init__(self, xp: Any, device: int, count: int):
        self._xp = xp
        self._on = CupyDevice(xp, device)
        self._count = count
        self.device = device
        # The backends of all devices, by number; they have one dictionary in common.
        self._siblings: dict[int, CupyBackend] = {device: self}

    def compile(self, program: Program) -> Plan:
        """Kernels for all that can be in one, calls of the library for the rest."""
        return CupyPlan(program, self._on, self.label)

    # --- arrays ------------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> Any:
        """CuPy."""
        return self._xp

    def owns(self, value: Any) -> bool:
        """Whether a value is a ``cupy.ndarray``."""
        return isinstance(value, self._xp.ndarray)

    def asarray(self, value: Any, dtype: np.dtype[Any] | None = None, copy: bool = False) -> Any:
        """A C-contiguous array on the device; what another library has there is shared unless ``copy`` is True."""
        array = self._shared(value)
        if array is None:
            value = np.asarray(value, dtype, order="C")
            self._check_dtype(value.dtype)
            return self._attempt(value, lambda: self._xp.array(value))
        wanted = array.dtype if dtype is None else np.dtype(dtype)
        if array is value and not copy and wanted == array.dtype and self._is_ours(array):
            return array
        self._check_dtype(wanted)
        if array.device.id != self.device:
            # `copy` moves between devices, which `asarray` does not; the memory is new then.
            return self._attempt(array, lambda: array.copy(order="C").astype(wanted, copy=False))
        convert = self._xp.array if copy else self._xp.asarray
        return self._attempt(array, lambda: convert(array, wanted, order="C"))

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        """A copy on the host, when all that was started on the stream before is done."""
        with self._on.scope():
            result: np.ndarray[Any, Any] = self._xp.asnumpy(array)
        return result

    def device_of(self, array: Any) -> int:
        """The number of the GPU that an array is on."""
        number: int = array.device.id
        return number

    def at(self, device: Any) -> Backend:
        """The backend of a GPU: its number, ``"cuda:1"``, or a ``cupy.cuda.Device``."""
        if type(device) is int and device == self.device:
            return self
        number = _device_number(device, self._xp)
        if number is None or not 0 <= number < self._count:
            raise BackendError(
                f"backend 'cupy' has no device {device!r}; there are {self._count}: give a number from 0 to "
                f"{self._count - 1}, or 'cuda:0'"
            )
        found = self._siblings.get(number)
        if found is None:
            other = CupyBackend(self._xp, number, self._count)
            other._siblings = self._siblings
            found = self._siblings.setdefault(number, other)
        return found

    def synchronize(self) -> None:
        """Wait until all work started on the device is done, on every stream."""
        self._xp.cuda.Device(self.device).synchronize()

    # --- what arrays are made of -------------------------------------------------------------------------------------

    def _shared(self, value: Any) -> Any:
        """A value in the memory of a GPU as CuPy's array, without a copy; None for all others."""
        if isinstance(value, self._xp.ndarray):
            return value
        if isinstance(value, (np.ndarray, np.generic, int, float, complex)):
            return None
        if hasattr(value, "__dlpack_device__"):
            return self._xp.from_dlpack(value) if value.__dlpack_device__()[0] in CUDA_MEMORY else None
        if hasattr(value, "__cuda_array_interface__"):
            return self._xp.asarray(value)
        return None

    def _is_ours(self, array: Any) -> bool:
        """Whether an array of CuPy is one as ``asarray`` makes them."""
        on_device: bool = array.flags.c_contiguous and array.device.id == self.device
        return on_device and array.dtype in self.capabilities.dtypes

    def _check_dtype(self, dtype: Any) -> None:
        if dtype not in self.capabilities.dtypes:
            raise DTypeError(f"backend {self.label} has no arrays of dtype {dtype}; convert with .astype first")

    def _attempt(self, array: Any, make: Callable[[], Any]) -> Any:
        return retried(make, self._on, f"backend {self.label} makes {array.dtype}{list(array.shape)}")


def _device_number(device: Any, xp: Any) -> int | None:
    """The number that a device is named by, if it is one."""
    if isinstance(device, str):
        found = re.fullmatch(r"(?:cuda|gpu)(?::(\d+))?", device)
        return None if found is None else int(found[1] or 0)
    if isinstance(device, xp.cuda.Device):
        return int(device.id)
    return int(device) if isinstance(device, (int, np.integer)) and not isinstance(device, bool) else None


# --- whether it can be used here -------------------------------------------------------------------------------------


def cupy() -> CupyBackend:
    """The backend of the GPU that is CuPy's current device.

    Returns
    -------
    CupyBackend

    Raises
    ------
    BackendError
        If CuPy is not installed, or there is no driver, no GPU, or not all of CUDA's libraries: it says which.
    """
    xp = _library()
    count = _device_count(xp)
    _check_cuda_libraries(xp)
    return CupyBackend(xp, int(xp.cuda.runtime.getDevice()), count)


def _library() -> Any:
    try:
        return imported("cupy")
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise BackendError(f"backend 'cupy': CuPy is installed but lacks a module: {error}") from error
        raise BackendError(
            f"backend 'cupy' needs the package cupy: pip install {PACKAGE} (for CUDA 12: cupy-cuda12x), "
            "or pip install 'autodiff-numpy[cupy]'"
        ) from error
    except ImportError as error:
        raise BackendError(f"backend 'cupy': CuPy is installed but cannot be imported: {error}") from error


def _device_count(xp: Any) -> int:
    runtime = xp.cuda.runtime
    reason = "this machine has no NVIDIA driver, so no GPU that CUDA can use"
    try:
        if runtime.driverGetVersion():
            count = int(runtime.getDeviceCount())
            if count:
                return count
            reason = NO_GPU
    except runtime.CUDARuntimeError as error:
        reason = NO_GPU if "NoDevice" in str(error) else f"the NVIDIA driver does not work with this CuPy: {error}"
    raise BackendError(f"backend 'cupy': {reason}")


def _check_cuda_libraries(xp: Any) -> None:
    """What compiles kernels and multiplies matrices is loaded by CuPy when it first needs it; better now than then."""
    for name, load in (("NVRTC", xp.cuda.nvrtc.getVersion), ("cuBLAS", partial(imported, CUBLAS))):
        try:
            load()
        except (ImportError, OSError, RuntimeError) as error:
            raise BackendError(
                f"backend 'cupy': CUDA's library {name} is missing: pip install '{PACKAGE}[ctk]', or install the CUDA "
                f"Toolkit ({str(error).partition(chr(10))[0]})"
            ) from error
