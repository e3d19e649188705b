"""What stands in for CuPy where there is no GPU: NumPy's arrays that say on which device they are, and a device."""

from __future__ import annotations

import gc
import threading
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np

from autodiff.backend import Backend
from autodiff_backends.cupy.backend import CupyBackend
from autodiff_backends.cupy.plan import CupyPlan
from autodiff_backends.cupy.products import product_of
from autodiff_backends.loops.regions import LOOPS
from autodiff_backends.numpy.reference import Interpreted

from .cuda_emulation import EmulatedDevice
from .cupy_modules import NAMES, Memory, check_loops, modules

# The devices made current, the innermost last; and those that were waited for.
current = [0]
waited: list[int] = []


class Array(np.ndarray):
    """An array on a device."""

    def __array_finalize__(self, source):
        self.number = getattr(source, "number", None)

    @property
    def device(self):
        return SimpleNamespace(id=self.number)

    def copy(self, order="C"):
        return made(np.array(self.view(np.ndarray), order=order))

    def __getitem__(self, item):
        # One element is an array, too.
        return OnDevice(self.number).made(super().__getitem__(item))

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        name, memory = f"cupy.{ufunc.__name__}", OnDevice(self.number)
        check_loops(name, NAMES[name], inputs)
        with np.errstate(all="ignore"):
            return memory.made(getattr(ufunc, method)(*memory.read(name, inputs), **memory.read(name, keywords)))


# Libraries are known by the packages of their classes.
Array.__module__ = "cupy"


def made(array, number=None):
    """An array of NumPy as one on a device, by default the current one."""
    found = np.asarray(array).view(Array)
    found.number = current[-1] if number is None else number
    return found


class OnDevice(Memory):
    """Arrays that say on which device they are, by default the current one: no function takes one on the host."""

    def __init__(self, number=None):
        self.number = number

    def read(self, name, value):
        if isinstance(value, dict):
            return {key: self.read(name, x) for key, x in value.items()}
        if isinstance(value, (tuple, list)):
            return type(value)([self.read(name, x) for x in value])
        if isinstance(value, Array):
            return value.view(np.ndarray)
        if isinstance(value, np.ndarray):
            raise TypeError(f"{name}: Unsupported type {type(value)}")
        return value

    def made(self, value):
        if isinstance(value, (tuple, list)):
            return tuple([self.made(x) for x in value])
        return made(value, self.number) if isinstance(value, (np.ndarray, np.generic)) else value


# Modules of CuPy with arrays of NumPy, and with those on devices.
PLAIN = modules(Memory())
CUPY = PLAIN["cupy"]
ON_DEVICE = modules(OnDevice())


class Device:
    """The current device within a block."""

    def __init__(self, number):
        self.id = number

    def __enter__(self):
        current.append(self.id)

    def __exit__(self, *_):
        current.pop()

    def synchronize(self):
        waited.append(self.id)


class OutOfMemory(MemoryError):
    pass


class Library:
    """NumPy as CuPy, on several devices, with room for arrays of so many bytes."""

    ndarray = Array
    room = 1 << 20
    freed = 0

    def __init__(self):
        self.cuda = SimpleNamespace(Device=Device)

    def __getattr__(self, name):
        return getattr(ON_DEVICE["cupy"], name)

    def array(self, value, dtype=None, copy=True, order="K"):
        found = np.array(np.asarray(value), dtype, order=order)
        if found.nbytes > self.room:
            raise OutOfMemory(f"Out of memory allocating {found.nbytes:,} bytes")
        return made(found)

    def asarray(self, value, dtype=None, order=None):
        if hasattr(value, "__cuda_array_interface__"):
            return made(np.frombuffer(value.memory, np.float32))
        found = np.asarray(value, dtype, order=order)
        same = isinstance(value, Array) and np.shares_memory(found, value) and found.flags == value.flags
        return value if same else made(found)

    def zeros(self, shape, dtype):
        return made(np.zeros(shape, dtype))

    def from_dlpack(self, value):
        return made(value.array)

    def asnumpy(self, array):
        assert current[-1] == array.number
        return np.array(array)

    def get_default_memory_pool(self):
        return SimpleNamespace(free_all_blocks=self.free)

    def free(self):
        self.freed += 1


def dtypes_of(signature):
    """Of the operands and the result."""
    return {signature.out.dtype, *[aval.dtype for aval in signature.inputs]}


class EmulatedProduct:
    """A product of matrices, which reads what cuBLAS reads."""

    def __init__(self, plan, out, device):
        self.plan, self.shape, self.dtype, self.device = plan, out.shape, out.dtype, device

    def reads(self, x, y):
        return self.plan.planned(x, y) is not None

    def start(self, x, y, out):
        assert self.reads(x, y)
        assert self.device.is_regular(out)
        # NumPy's products differ in their last bits with where operands are; cuBLAS's do not, nor do these.
        self.device.started(lambda: np.copyto(out, np.matmul(np.array(x, order="C"), np.array(y, order="C"))))

    def __call__(self, x, y):
        if not self.reads(x, y):
            x, y = self.device.regular(x), self.device.regular(y)
        out = self.device.empty(self.shape, self.dtype)
        self.start(x, y, out)
        return out


class Gpu(EmulatedDevice):
    """A device as plans use it, with kernels compiled as C++. ``handle`` is the current stream.

    What is launched during a capture is done only when it is replayed. ``is_captured`` says that the user captures;
    ``captures`` counts, ``broken`` is an error that they end with, ``lost`` the launches at the end of each graph that
    are not replayed.
    """

    handle = 0
    is_captured = False
    captures = 0
    broken = None
    lost = 0

    def __init__(self, library=CUPY, number=0):
        super().__init__()
        self.xp, self.number = library, number
        self._thread = threading.local()

    def module(self, name):
        return (PLAIN if self.xp is CUPY else ON_DEVICE)[name]

    def scope(self):
        return Device(self.number)

    def stream(self):
        return self.handle

    def empty(self, shape, dtype):
        return self._mine(super().empty(shape, dtype))

    def workspaces(self, places, nbytes):
        memory = self.empty((nbytes,), np.dtype(np.uint8))
        return memory, [memory[place:] for place in places]

    def is_regular(self, array):
        assert self.xp is CUPY or array.number == self.number == current[-1]
        return array.flags.c_contiguous and not array.ctypes.data % 16

    def regular(self, array):
        return array if self.is_regular(array) else self._mine(self.aligned(array))

    def _mine(self, array):
        return array if self.xp is CUPY else made(array)

    def load(self, source):
        launch = super().load(source)

        return partial(self.started, launch)

    def started(self, work, *arguments):
        """Do work, or have it captured."""
        recorded = getattr(self._thread, "recorded", None)
        if recorded is None:
            work(*arguments)
        else:
            recorded.append(partial(work, *arguments))

    def assign(self, target, source):
        assert target.flags.c_contiguous
        assert (target.shape, target.dtype) == (source.shape, source.dtype)
        self.started(np.copyto, target, source)

    def copy(self, pairs):
        for target, source in pairs:
            assert self.is_regular(target)
            assert self.is_regular(source)
            self.assign(target, source)

    def call(self, function, operands, target):
        self.started(lambda: np.copyto(target, function(*operands)))

    def apart(self):
        return nullcontext()

    def product(self, signature):
        plan = product_of(signature.out.shape, *[aval.shape for aval in signature.inputs], dtypes_of(signature))
        return None if plan is None else EmulatedProduct(plan, signature.out, self)

    def workspace(self):
        return None

    def capturing(self):
        return self.is_captured

    def capture(self, launches):
        assert not gc.isenabled()
        self._thread.recorded = recorded = []
        try:
            launches()
        finally:
            self._thread.recorded = None
        self.captures += 1
        if self.broken is not None:
            raise self.broken

        def replay():
            for launch in recorded[: len(recorded) - self.lost]:
                launch()

        return replay

    def free(self):
        pass


class Emulated(Backend):
    """The CuPy backend on an emulated GPU; its arrays are NumPy's."""

    name = "emulated"
    capabilities = CupyBackend.capabilities

    def __init__(self):
        self.on = Gpu()
        self.plans = []

    def compile(self, program):
        self.plans.append(CupyPlan(program, self.on, self.label))
        return self.plans[-1]


class ByNumPy:
    """What kernels compute, computed by NumPy; it cannot be captured."""

    n_launches, nbytes, bindable, exact = 1, 0, False, True
    takes, makes = (), []

    def __init__(self, program):
        self._plan = Interpreted(program)
        self.n_operations, self.source = self._plan.n_operations, self._plan.source

    def __call__(self, *values):
        memory = OnDevice()
        return memory.made(self._plan(*memory.read("kernel", values)))


class CalledPlan(CupyPlan):
    """A plan without kernels."""

    def _region(self, kind, program):
        return ByNumPy(program) if kind == LOOPS else super()._region(kind, program)


class Called(CupyBackend):
    """The CuPy backend without its kernels, which a compiler takes an hour for: what it calls of CuPy's library."""

    def __init__(self):
        library = Library()
        library.room = 1 << 40
        super().__init__(library, 0, 1)
        self._on = Gpu(library)

    def compile(self, program):
        return CalledPlan(program, self._on, self.label)
