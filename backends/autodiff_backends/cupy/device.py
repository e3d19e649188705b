"""A CUDA device through CuPy: memory, kernels, the current stream. Plans use nothing else of the GPU.

So a plan runs on whatever has the methods of ``Device``; tests give it NumPy, and kernels compiled as C++.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from autodiff.errors import BackendError, OutOfMemoryError

from ..loops.files import keep_kernel, kernel_name, read_kernel

# Kernels load aligned vectors of so many bytes; workspaces begin where CuPy's arrays do.
ALIGNMENT = 16
WORKSPACE_ALIGNMENT = 512

# NVRTC is called directly: what CuPy compiles flushes subnormal numbers to zero, which NumPy does not. A product and a
# sum are rounded each, as NumPy rounds them: compensated arithmetic lives on that.
OPTIONS = ("-std=c++17", "--fmad=false")

# The handle of the default stream that each thread has its own of.
PER_THREAD_STREAM = 2

Result = TypeVar("Result")

Launch = Callable[[str, tuple[int, ...], tuple[int, ...], tuple[Any, ...]], None]


class Device(Protocol):
    """What a plan needs of a device. All but ``free`` and ``module`` is called within ``scope``."""

    @property
    def xp(self) -> Any:
        """The namespace of functions of its arrays."""
        ...

    def module(self, name: str) -> Any:
        """A module of the library that the namespace does not have, by its full name."""
        ...

    def scope(self) -> AbstractContextManager[Any]:
        """Makes it the one that memory comes from and kernels are launched on."""
        ...

    def stream(self) -> Hashable:
        """What work that is started now comes after in turn."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """A new array with whatever the memory holds."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """A new array of zeros."""
        ...

    def workspaces(self, places: Sequence[int], nbytes: int) -> tuple[Any, list[Any]]:
        """New memory, and what kernels take for arrays at these places of it; it has to be kept until they are."""
        ...

    def regular(self, array: Any) -> Any:
        """The array as kernels read it, C-contiguous and aligned: itself if it is that."""
        ...

    def load(self, source: str) -> Launch:
        """The kernels of a source: called with a name, a grid, a block and the arguments."""
        ...

    def copy_into(self, target: Any, source: Any) -> None:
        """Copy an array into a C-contiguous one of the same shape and dtype."""
        ...

    def capturing(self) -> bool:
        """Whether work that is started now is not done but captured, by the user."""
        ...

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        """What does launches again, on the stream that is current when it is called; they are not done now."""
        ...

    def free(self) -> None:
        """Give memory that is kept for later arrays back to the device."""
        ...


class Kernels:
    """The kernels of one source on one device, by name."""

    __slots__ = ("__weakref__", "_functions", "_module")

    def __init__(self, module: Any):
        self._module = module
        self._functions: dict[str, Any] = {}

    def __call__(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        function = self._functions.get(name)
        if function is None:
            function = self._functions[name] = self._module.get_function(name)
        function(grid, block, arguments)


class CupyDevice:
    """A CUDA device.

    Parameters
    ----------
    xp : module
        CuPy.
    number : int
        Of the device.
    """

    def __init__(self, xp: Any, number: int):
        self.xp = xp
        self.number = number
        self._loaded: WeakValueDictionary[str, Kernels] = WeakValueDictionary()

    def module(self, name: str) -> Any:
        """A module of CuPy, imported when it is first needed."""
        return import_module(name)

    def scope(self) -> AbstractContextManager[Any]:
        """Within it CuPy's current device is this one; the stream is the one current on it."""
        device: AbstractContextManager[Any] = self.xp.cuda.Device(self.number)
        return device

    def stream(self) -> Hashable:
        """The current stream, by its handle; each thread has its own behind the handle of the per-thread one."""
        handle: int = self.xp.cuda.get_current_stream().ptr
        return handle if handle != PER_THREAD_STREAM else (handle, threading.get_ident())

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Memory from CuPy's pool."""
        return self.xp.ndarray(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Memory from CuPy's pool, zeroed on the current stream."""
        return self.xp.zeros(shape, dtype)

    def workspaces(self, places: Sequence[int], nbytes: int) -> tuple[Any, list[Any]]:
        """One piece of memory from CuPy's pool, and addresses in it, which cost less than arrays."""
        memory = self.xp.cuda.alloc(nbytes)
        begin = memory.ptr
        return memory, [begin + place for place in places]

    def regular(self, array: Any) -> Any:
        """The array itself, or a copy that is C-contiguous and aligned."""
        if array.flags.c_contiguous and not array.data.ptr % ALIGNMENT:
            return array
        return array.copy()

    def load(self, source: str) -> Launch:
        """Kernels compiled by NVRTC, once for each source; kept on disk too."""
        kernels = self._loaded.get(source)
        if kernels is None:
            kernels = self._loaded[source] = Kernels(self._module(source))
        return kernels

    def copy_into(self, target: Any, source: Any) -> None:
        """Copied by the driver on the current stream, without a kernel."""
        target.data.copy_from_device_async(self.regular(source).data, target.nbytes)

    def capturing(self) -> bool:
        """Whether the current stream is being captured, which the default stream cannot be."""
        cuda = self.xp.cuda
        handle = cuda.get_current_stream().ptr
        return bool(handle and cuda.runtime.streamIsCapturing(handle))

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        """A CUDA graph, captured on a stream of its own that waits for nothing on others."""
        cuda = self.xp.cuda
        # A block ``with stream`` would forget a stream that was made current by its method ``use``.
        before, stream = cuda.get_current_stream(), cuda.Stream(non_blocking=True)
        stream.use()
        try:
            stream.begin_capture()
            try:
                launches()
            finally:
                # A stream is to leave the capture in any case; after an error this may raise another.
                graph = stream.end_capture()
        finally:
            before.use()
        replay: Callable[[], None] = graph.launch
        return replay

    def free(self) -> None:
        """Empty CuPy's pool of what no array uses."""
        with self.scope():
            self.xp.get_default_memory_pool().free_all_blocks()

    def _module(self, source: str) -> Any:
        about = self._about(source)
        name = kernel_name("kernels", about, ".cubin")
        kept = read_kernel(name, about)
        if kept is not None:
            try:
                return self._from_binary(kept)
            except Exception:
                # What another driver does not take (it has its own errors) is written anew.
                pass
        binary = self._compile(source)
        keep_kernel(name, about, binary)
        return self._from_binary(binary)

    def _from_binary(self, binary: bytes) -> Any:
        module = self.xp.cuda.function.Module()
        module.load(binary)
        return module

    def _about(self, source: str) -> bytes:
        """All that the machine code of a source depends on."""
        cuda = self.xp.cuda
        about = (cuda.Device(self.number).compute_capability, cuda.nvrtc.getVersion(), OPTIONS, source)
        return repr(about).encode()

    def _compile(self, source: str) -> bytes:
        compiler = self.xp.cuda.compiler
        try:
            binary: bytes
            binary, _ = compiler.compile_using_nvrtc(source, OPTIONS)
        except compiler.CompileException as error:
            raise BackendError(f"backend 'cupy': NVRTC does not compile a generated kernel: {error}") from error
        return binary


def retried(make: Callable[[], Result], device: Device, what: str) -> Result:
    """What ``make`` gives on a device; where memory does not suffice it is freed, and that is tried once more.

    Parameters
    ----------
    make : callable
    device : Device
    what : str
        What is going on, for the message.

    Raises
    ------
    OutOfMemoryError
        If the second attempt fails as well.
    """
    try:
        with device.scope():
            return make()
    except MemoryError:
        # Outside this block, where the error refers to no array of the failed attempt any more.
        pass
    device.free()
    try:
        with device.scope():
            return make()
    except MemoryError as error:
        reason = str(error)
    device.free()
    raise OutOfMemoryError(
        f"{what}, for which the device lacks memory ({reason}); drop arrays that are not needed, or take smaller "
        "batches or float32"
    )
