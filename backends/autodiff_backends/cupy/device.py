"""A CUDA device through CuPy: memory, kernels, the current stream. Plans use nothing else of the GPU.

So a plan runs on whatever has the methods of ``Device``; tests give it NumPy, and kernels compiled as C++.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable
from weakref import WeakValueDictionary

import numpy as np

from autodiff.core.primitives import Signature
from autodiff.errors import BackendError, OutOfMemoryError
from autodiff.importing import imported

from ..cuda.copies import copies
from ..cuda.launches import BLOCKS, THREADS, VECTOR_BYTES
from ..loops.files import keep_kernel, kernel_name, read_kernel
from . import products
from .products import HOPPER, WORKSPACE, WORKSPACE_SINCE_HOPPER, Cublas, library_of, product_of

# Kernels load aligned vectors of so many bytes; workspaces begin where CuPy's arrays do.
ALIGNMENT = 16
WORKSPACE_ALIGNMENT = 512

# NVRTC is called directly: what CuPy compiles flushes subnormal numbers to zero, which NumPy does not. A product and a
# sum are rounded each, as NumPy rounds them: compensated arithmetic lives on that.
OPTIONS = ("-std=c++17", "--fmad=false")

# Arrays that one launch copies.
MOST_COPIES = 64

# The handle of the default stream that each thread has its own of.
PER_THREAD_STREAM = 2

Result = TypeVar("Result")

Launch = Callable[[str, tuple[int, ...], tuple[int, ...], tuple[Any, ...]], None]


@runtime_checkable
class Product(Protocol):
    """A matrix product that can be captured: called with two operands it makes a new array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def reads(self, x: Any, y: Any) -> bool:
        """Whether operands can be read where they are; regular ones always can."""
        ...

    def start(self, x: Any, y: Any, out: Any) -> None:
        """Write the product of operands that can be read into a regular array."""
        ...

    def __call__(self, x: Any, y: Any) -> Any:
        """The product, a new array."""
        ...


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

    def is_regular(self, array: Any) -> bool:
        """Whether kernels can read an array where it is: it is C-contiguous and aligned."""
        ...

    def regular(self, array: Any) -> Any:
        """The array as kernels read it: itself if it is regular."""
        ...

    def load(self, source: str) -> Launch:
        """The kernels of a source: called with a name, a grid, a block and the arguments."""
        ...

    def copy(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Copy arrays (the second of each pair) into others of the same shape and dtype, all of them regular."""
        ...

    def assign(self, target: Any, source: Any) -> None:
        """Copy an array, whichever way it lies in memory, into a regular one of the same shape and dtype."""
        ...

    def call(self, function: Callable[..., Any], operands: Sequence[Any], target: Any) -> None:
        """Assign what a function of the library gives."""
        ...

    def apart(self) -> AbstractContextManager[Any]:
        """Within it memory comes from a pool of its own, which is yielded: as long as it lives nobody else has it."""
        ...

    def product(self, signature: Signature) -> Product | None:
        """A matrix product that can be captured; None if there is none for this signature."""
        ...

    def workspace(self) -> Any:
        """Memory that products on the current stream compute in, if that is none of theirs alone."""
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


class CublasProduct:
    """A matrix product by cuBLAS, of arrays on a device.

    Parameters
    ----------
    plan : products.Product
    shape : tuple of int
    dtype : numpy.dtype
        Of the result.
    device : CupyDevice
    """

    __slots__ = ("_device", "_plan", "dtype", "shape")

    def __init__(self, plan: products.Product, shape: tuple[int, ...], dtype: np.dtype[Any], device: CupyDevice):
        self._plan, self.shape, self.dtype, self._device = plan, shape, dtype, device

    def reads(self, x: Any, y: Any) -> bool:
        """Whether operands can be read where they are."""
        return self._plan.planned(x, y) is not None

    def start(self, x: Any, y: Any, out: Any) -> None:
        """Start the product of operands that can be read; the result is C-contiguous."""
        planned = self._plan.planned(x, y)
        assert planned is not None
        name, arguments = planned
        self._device.multiply(name, arguments(x.data.ptr, y.data.ptr, out.data.ptr))

    def __call__(self, x: Any, y: Any) -> Any:
        """The product, a new array."""
        if not self.reads(x, y):
            x, y = self._device.regular(x), self._device.regular(y)
        out = self._device.empty(self.shape, self.dtype)
        self.start(x, y, out)
        return out


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
        # By how many arrays they copy, which is MOST_COPIES at most.
        self._copiers: dict[int, Launch] = {}
        self._products: Cublas | None = None
        self._sought = False
        self._capturing = threading.local()

    def module(self, name: str) -> Any:
        """A module of CuPy, imported when it is first needed."""
        return imported(name)

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

    def is_regular(self, array: Any) -> bool:
        """Whether an array is C-contiguous and begins at a multiple of 16 bytes."""
        return bool(array.flags.c_contiguous and not array.data.ptr % ALIGNMENT)

    def regular(self, array: Any) -> Any:
        """The array itself, or a copy that is C-contiguous and aligned."""
        return array if self.is_regular(array) else array.copy()

    def load(self, source: str) -> Launch:
        """Kernels compiled by NVRTC, once for each source; kept on disk too."""
        kernels = self._loaded.get(source)
        if kernels is None:
            kernels = self._loaded[source] = Kernels(self._module(source))
        return kernels

    def copy(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Copied by a kernel, many arrays by one launch."""
        for first in range(0, len(pairs), MOST_COPIES):
            some = pairs[first : first + MOST_COPIES]
            launch = self._copiers.get(len(some))
            if launch is None:
                launch = self._copiers.setdefault(len(some), self.load(copies(len(some))))
            copy_together(some, launch)

    def assign(self, target: Any, source: Any) -> None:
        """Copied by CuPy."""
        target[...] = source

    def call(self, function: Callable[..., Any], operands: Sequence[Any], target: Any) -> None:
        """Assign what a function of CuPy gives."""
        target[...] = function(*operands)

    @contextmanager
    def apart(self) -> Iterator[Any]:
        """Within it CuPy takes memory from a pool of its own."""
        pool = self.xp.cuda.MemoryPool()
        with self.xp.cuda.using_allocator(pool.malloc):
            yield pool

    def product(self, signature: Signature) -> Product | None:
        """A product by cuBLAS, of two operands that have the dtype of the result."""
        out = signature.out
        x, y = signature.inputs
        plan = product_of(out.shape, x.shape, y.shape, {x.dtype, y.dtype, out.dtype})
        if plan is None or self._cublas() is None:
            return None
        return CublasProduct(plan, out.shape, out.dtype, self)

    def workspace(self) -> Any:
        """That of the current stream, once there are products."""
        cublas = self._products
        return None if cublas is None else cublas.workspace(self.stream())

    def multiply(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Start a function of cuBLAS on the current stream.

        What is captured computes, when it is replayed, in the memory of the stream that it is replayed on.
        """
        cublas = self._cublas()
        assert cublas is not None
        handle = self.xp.cuda.get_current_stream().ptr
        memory = getattr(self._capturing, "workspace", None)
        if memory is None:
            if self.capturing():
                # The graph would compute in memory that is somebody else's by the time it is replayed.
                raise BackendError(
                    "backend 'cupy': a matrix product cannot be captured in a CUDA graph of your own; call the plan "
                    "outside the capture (many small launches are captured without being asked for)"
                )
            memory = cublas.workspace(self.stream())
        cublas.start(name, arguments, handle, memory)

    def _cublas(self) -> Cublas | None:
        """cuBLAS, where CuPy's can be found. Called within ``scope``."""
        if self._products is None and not self._sought:
            cuda = self.xp.cuda
            library = library_of(cuda.runtime.runtimeGetVersion())
            hopper = int(cuda.Device(self.number).compute_capability) >= HOPPER
            if library is not None:
                size = WORKSPACE_SINCE_HOPPER if hopper else WORKSPACE
                self._products = Cublas(library, cuda.alloc, size)
            self._sought = True
        return self._products

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
        self._capturing.workspace = self.workspace()
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
            self._capturing.workspace = None
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


def copy_together(pairs: Sequence[tuple[Any, Any]], launch: Launch) -> None:
    """Copy arrays into others by one launch of the kernel for so many."""
    sizes = [target.nbytes for target, _ in pairs]
    blocks = min(BLOCKS, max(1, -(-max(sizes) // (VECTOR_BYTES * THREADS))))
    arguments: list[Any] = []
    for (target, source), size in zip(pairs, sizes, strict=True):
        arguments += target, source, np.int64(size)
    launch("copies", (blocks, len(pairs), 1), (THREADS, 1, 1), tuple(arguments))


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
