"""A CUDA device as plans use it: kernels compiled once and kept on disk, memory freed where it does not suffice."""

from __future__ import annotations

import gc
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from autodiff import errors
from autodiff_backends.cupy.device import PER_THREAD_STREAM, CupyDevice, retried
from autodiff_backends.loops import files as kernel_files

SOURCE = 'extern "C" __global__ void twice(float* x) { x[0] *= 2.0f; }'


class CompileError(Exception):
    pass


class Library:
    """What CupyDevice uses of CuPy, recording."""

    def __init__(self):
        self.compiled, self.loaded, self.launched, self.scopes = [], [], [], []
        self.handle = 7
        self.damaged = b"damaged"
        library = self

        class Module:
            def load(self, binary):
                if binary == library.damaged:
                    raise RuntimeError("CUDA_ERROR_INVALID_IMAGE")
                library.loaded.append(binary)
                self.binary = binary

            def get_function(self, name):
                return lambda grid, block, arguments: library.launched.append(
                    (self.binary, name, grid, block, arguments)
                )

        def compile_using_nvrtc(source, options):
            if "broken" in source:
                raise CompileError("k.cu(1): error: broken")
            library.compiled.append((source, options))
            return source.encode(), None

        def device(number):
            library.scopes.append(number)
            scope = nullcontext()
            scope.compute_capability = "90"
            return scope

        self.cuda = SimpleNamespace(
            Device=device,
            function=SimpleNamespace(Module=Module),
            compiler=SimpleNamespace(compile_using_nvrtc=compile_using_nvrtc, CompileException=CompileError),
            nvrtc=SimpleNamespace(getVersion=lambda: (13, 5)),
            get_current_stream=lambda: SimpleNamespace(ptr=self.handle),
        )


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def test_kernels_are_compiled_once_and_launched_by_name():
    library = Library()
    device = CupyDevice(library, 0)
    kernels = device.load(SOURCE)
    assert device.load(SOURCE) is kernels
    for _ in range(2):
        kernels("twice", (2, 1, 1), (32, 1, 1), (1, 2))
    assert library.launched == [(SOURCE.encode(), "twice", (2, 1, 1), (32, 1, 1), (1, 2))] * 2
    assert len(library.compiled) == 1
    del kernels
    gc.collect()
    assert len(device._loaded) == 0


def test_subnormal_numbers_are_not_flushed():
    library = Library()
    CupyDevice(library, 0).load(SOURCE)
    ((_, options),) = library.compiled
    assert not [o for o in options if "ftz" in o or "fast" in o]


def test_machine_code_is_kept_on_disk(folder):
    first, second, other = Library(), Library(), Library()
    CupyDevice(first, 0).load(SOURCE)
    (file,) = folder.iterdir()
    assert file.read_bytes().endswith(SOURCE.encode())
    CupyDevice(second, 1).load(SOURCE)
    assert second.compiled == []
    assert second.loaded == [SOURCE.encode()]
    other.cuda.nvrtc.getVersion = lambda: (14, 0)
    CupyDevice(other, 0).load(SOURCE)
    assert len(other.compiled) == 1
    assert len(list(folder.iterdir())) == 2


def test_damaged_files_are_compiled_anew(folder):
    CupyDevice(Library(), 0).load(SOURCE)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        file.write_bytes(damaged)
        library = Library()
        CupyDevice(library, 0).load(SOURCE)
        assert library.loaded == [SOURCE.encode()], at
        assert len(library.compiled) == 1
        assert file.read_bytes() == whole


def test_what_the_driver_does_not_take_is_compiled_anew(folder):
    writer = Library()
    writer.cuda.compiler.compile_using_nvrtc = lambda source, options: (writer.damaged, None)
    with pytest.raises(RuntimeError, match="INVALID_IMAGE"):
        CupyDevice(writer, 0).load(SOURCE)
    library = Library()
    CupyDevice(library, 0).load(SOURCE)
    assert len(library.compiled) == 1
    (file,) = folder.iterdir()
    assert file.read_bytes().endswith(SOURCE.encode())


@pytest.mark.parametrize("place", ["0", "file/folder"])
def test_nothing_need_be_kept(place, folder, monkeypatch):
    (folder / "file").write_text("no folder")
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, "0" if place == "0" else str(folder / place))
    library = Library()
    CupyDevice(library, 0).load(SOURCE)
    assert library.loaded == [SOURCE.encode()]
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_kernel_that_does_not_compile_is_a_clear_error():
    with pytest.raises(errors.BackendError, match=r"NVRTC.*k\.cu\(1\): error: broken"):
        CupyDevice(Library(), 0).load("broken")


def test_cupys_compiler_takes_the_options(monkeypatch):
    """CuPy's own function, which asks a GPU for its architecture only."""
    cupy = pytest.importorskip("cupy")
    pytest.importorskip("cuda.pathfinder")
    try:
        cupy.cuda.nvrtc.getVersion()
    except RuntimeError as error:
        pytest.skip(f"NVRTC is not installed: {error}")
    monkeypatch.setattr(
        cupy.cuda.compiler, "_get_arch_for_options_for_nvrtc", lambda arch=None: ("-arch=sm_90", "cubin")
    )
    device = CupyDevice(cupy, 0)
    assert device._compile(SOURCE).startswith(b"\x7fELF")
    with pytest.raises(errors.BackendError, match="undefined"):
        device._compile('extern "C" __global__ void f(float* x) { x[0] = nothing; }')


def test_arrays_of_cupy_that_kernels_cannot_read_are_copied():
    cupy = pytest.importorskip("cupy")
    memory = cupy.cuda.UnownedMemory(1 << 40, 1 << 10, None, device_id=0)

    def array(shape, offset=0):
        return cupy.ndarray(shape, np.float32, cupy.cuda.MemoryPointer(memory, offset))

    device = CupyDevice(cupy, 0)
    for good in (array((4, 3)), array((4, 3), 16), array((0,)), array(())):
        assert device.regular(good) is good
    if cupy.cuda.is_available():
        return  # nobody's memory must not be copied where that would be tried
    for bad in (array((4, 3)).T, array((4, 3), 4), array((8,))[::2]):
        with pytest.raises(RuntimeError, match="cudaError"):  # of the copy
            device.regular(bad)


def test_streams_are_told_apart():
    library = Library()
    device = CupyDevice(library, 0)
    first = device.stream()
    assert device.stream() == first
    library.handle = 8
    assert device.stream() != first
    library.handle = PER_THREAD_STREAM
    keys = {device.stream(), device.stream()}
    thread = threading.Thread(target=lambda: keys.add(device.stream()))
    thread.start()
    thread.join()
    assert len(keys) == 2


class Memory:
    """A device with room for so many bytes, some of them kept for later until they are freed."""

    def __init__(self, room, kept=0):
        self.room, self.kept, self.freed, self.entered = room, kept, 0, 0

    def scope(self):
        self.entered += 1
        return nullcontext()

    def make(self, size):
        if size > self.room - self.kept:
            raise MemoryError(f"Out of memory allocating {size} bytes")
        return bytes(size)

    def free(self):
        self.freed += 1
        self.kept = 0


def test_memory_kept_for_later_is_freed_when_it_is_needed():
    device = Memory(100, kept=50)
    assert len(retried(lambda: device.make(80), device, "test")) == 80
    assert (device.freed, device.entered) == (1, 2)
    retried(lambda: device.make(80), device, "test")
    assert (device.freed, device.entered) == (1, 3)


def test_too_large_arrays_are_a_clear_error_and_the_next_call_works():
    device = Memory(100)
    with pytest.raises(errors.OutOfMemoryError, match=r"^x computes y.*allocating 200 bytes.*smaller") as caught:
        retried(lambda: device.make(200), device, "x computes y")
    assert isinstance(caught.value, MemoryError)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert len(retried(lambda: device.make(100), device, "test")) == 100


def test_a_failed_attempt_keeps_no_arrays():
    device = Memory(100)
    alive = []

    class Array:
        def __init__(self):
            alive.append(1)

        def __del__(self):
            alive.pop()

    def make():
        first = Array()
        assert len(alive) == 1, "the first attempt's array is still there"
        device.make(200)
        return first

    with pytest.raises(errors.OutOfMemoryError):
        retried(make, device, "test")
    assert alive == []


def test_other_errors_are_not_hidden():
    device = Memory(100)
    with pytest.raises(ZeroDivisionError):
        retried(lambda: 1 / 0, device, "test")
    assert device.freed == 0
