"""The CuPy backend where there is no GPU: why it cannot be had, and arrays and devices of a library that stands in."""

from __future__ import annotations

import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from autodiff import errors, registry
from autodiff.backend import FEATURES
from autodiff_backends.cupy import backend as cupy_
from autodiff_backends.cupy.backend import CupyBackend

from .cupy_standin import Device, Library, current, waited

# --- why it cannot be had --------------------------------------------------------------------------------------------


class CUDARuntimeError(RuntimeError):
    pass


def machine(driver=13000, devices=2, broken=None):
    """CuPy on a machine with a driver of a version (0: none), and devices (or the error of counting them)."""

    def count():
        if isinstance(devices, str):
            raise CUDARuntimeError(devices)
        return devices

    def nvrtc():
        if broken == "nvrtc":
            raise RuntimeError("Failure finding libnvrtc.so\nsearched here and there")
        return 13, 5

    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver, getDeviceCount=count, getDevice=lambda: 1, CUDARuntimeError=CUDARuntimeError
    )
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime, nvrtc=SimpleNamespace(getVersion=nvrtc)))


@pytest.fixture
def modules(monkeypatch):
    """What is imported by name: modules, or errors."""
    found = {"cupy": machine(), cupy_.CUBLAS: object()}

    def import_module(name):
        if isinstance(found[name], Exception):
            raise found[name]
        return found[name]

    monkeypatch.setattr(cupy_, "imported", import_module)
    return found


def test_the_current_device_is_the_default(modules):
    found = cupy_.cupy()
    assert (found.name, found.device, found.label) == ("cupy", 1, "cupy (1)")


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        (
            "cupy",
            ModuleNotFoundError("No module named 'cupy'", name="cupy"),
            r"pip install cupy-cuda13x.*autodiff-numpy\[cupy",
        ),
        ("cupy", ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock"), r"lacks a module.*fastrlock"),
        ("cupy", ImportError("libcudart.so.13: cannot open"), r"cannot be imported: libcudart"),
        ("cupy", machine(driver=0), r"no NVIDIA driver"),
        ("cupy", machine(devices=0), r"finds no GPU"),
        ("cupy", machine(devices="cudaErrorNoDevice: no CUDA-capable device is detected"), r"finds no GPU"),
        ("cupy", machine(devices="cudaErrorInsufficientDriver: too old"), r"driver does not work.*Insufficient"),
        ("cupy", machine(broken="nvrtc"), r"NVRTC is missing.*cupy-cuda13x\[ctk\].*libnvrtc.so\)$"),
        (cupy_.CUBLAS, ImportError("libcublas.so.13: cannot open"), r"cuBLAS is missing.*\[ctk\].*libcublas"),
    ],
)
def test_what_is_missing_is_said(modules, name, module, message):
    modules[name] = module
    with pytest.raises(errors.BackendError, match=message) as caught:
        cupy_.cupy()
    assert "backend 'cupy'" in str(caught.value)


def test_this_machine():
    """The package as it is installed here, if it is, asked for by name."""
    cupy = pytest.importorskip("cupy")
    if cupy.cuda.is_available():
        assert registry.get_backend("cupy") is registry.get_backend("cupy", device=registry.get_backend("cupy").device)
    else:
        with pytest.raises(errors.BackendError, match=r"driver|GPU"):
            registry.get_backend("cupy")


def test_nothing_imports_cupy_unasked():
    program = (
        "import sys, autodiff, autodiff_backends.cupy.backend; autodiff.backends(); autodiff.Tensor([1.0]) + 1; "
        "print([m for m in sys.modules if m.startswith('cupy')])"
    )
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


# --- arrays and devices ----------------------------------------------------------------------------------------------


@pytest.fixture
def cupy():
    waited.clear()
    return CupyBackend(Library(), 0, 3)


def test_what_it_is(cupy):
    assert repr(cupy) == "<backend cupy (0)>"
    assert cupy.namespace is cupy._xp
    assert cupy.capabilities.features <= set(FEATURES)
    assert np.dtype("f2") in cupy.capabilities.dtypes
    assert np.dtype("g") not in cupy.capabilities.dtypes
    assert not cupy.owns(np.ones(3))
    assert cupy.owns(cupy.asarray([1.0]))


NAMED_BY = [1, "cuda:1", "gpu:1", Device(1), np.int64(1)]


@pytest.mark.parametrize("device", NAMED_BY, ids=lambda device: type(device).__name__)
def test_one_backend_for_each_device(cupy, device):
    other = cupy.at(device)
    assert (other.device, other.name, other.label) == (1, "cupy", "cupy (1)")
    assert other is cupy.at(1)
    assert other.at(0) is cupy
    assert other.at("cuda") is cupy
    assert other.at(2) is cupy.at(2)


@pytest.mark.parametrize("device", [3, -1, "cuda:3", "cpu", "cuda:x", "", None, 1.0, True], ids=repr)
def test_there_is_no_such_device(cupy, device):
    with pytest.raises(errors.BackendError, match=r"no device.*there are 3.*0 to 2"):
        cupy.at(device)


def test_devices_are_asked_for_by_name(cupy, monkeypatch):
    monkeypatch.setitem(registry._loaded, "cupy", cupy)
    assert registry.get_backend("cupy", device="cuda:2") is cupy.at(2)
    assert pickle.loads(pickle.dumps(cupy.at(2))) is cupy.at(2)


@pytest.mark.parametrize("value", [3, 2.5, 1j, True, [1.0, 2.0], np.float32(2), np.ones((2, 3), "f4").T], ids=repr)
def test_values_of_the_host(cupy, value):
    found = cupy.at(1).asarray(value)
    assert cupy.device_of(found) == 1
    assert found.dtype == np.asarray(value).dtype
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(cupy.at(1).to_numpy(found), value)
    assert cupy.asarray(value, np.dtype("c8")).dtype == np.complex64


def test_arrays_of_the_device_are_shared_unless_copied(cupy):
    x = cupy.asarray(np.ones((2, 3)))
    assert cupy.asarray(x) is x
    assert not np.shares_memory(cupy.asarray(x, copy=True), x)
    assert cupy.asarray(x, np.dtype("f4")).dtype == np.float32
    backwards = cupy.asarray(x.T)
    assert backwards.flags.c_contiguous
    np.testing.assert_array_equal(backwards, x.T)


def test_arrays_move_between_devices(cupy):
    x = cupy.at(2).asarray(np.arange(6.0).reshape(2, 3))
    found = cupy.asarray(x.T, np.dtype("f4"))
    assert (cupy.device_of(x), cupy.device_of(found)) == (2, 0)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, x.T)


def test_arrays_of_other_libraries_on_a_gpu_are_shared(cupy):
    memory = np.arange(3, dtype=np.float32)
    interface = SimpleNamespace(__cuda_array_interface__={}, memory=memory)
    assert np.shares_memory(cupy.asarray(interface), memory)
    for kind in (2, 13):
        capsule = SimpleNamespace(__dlpack_device__=lambda kind=kind: (kind, 0), array=memory)
        assert np.shares_memory(cupy.asarray(capsule), memory)
        assert not np.shares_memory(cupy.asarray(capsule, copy=True), memory)


def test_arrays_of_other_libraries_on_the_host_are_copied(cupy):
    torch = pytest.importorskip("torch")
    x = torch.arange(3.0)
    found = cupy.asarray(x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(found), [0.0, 1.0, 2.0])
    x[0] = 5.0
    assert found[0] == 0.0


@pytest.mark.parametrize("value", [np.ones(2, "g"), np.array(["a"]), np.array([None])], ids=repr)
def test_other_dtypes_are_refused(cupy, value):
    with pytest.raises(errors.DTypeError, match=rf"cupy \(0\).*{value.dtype}"):
        cupy.asarray(value)
    with pytest.raises(errors.DTypeError, match=r"longdouble|float128|float96"):
        cupy.asarray([1.0], np.dtype("g"))


def test_arrays_that_do_not_fit(cupy):
    large = np.ones((500, 1000))
    with pytest.raises(errors.OutOfMemoryError, match=r"cupy \(0\) makes float64\[500, 1000\].*allocating 4,000,000"):
        cupy.asarray(large)
    assert cupy._xp.freed == 2
    assert cupy.asarray(large[:5]).shape == (5, 1000)


def test_waiting_is_for_the_device(cupy):
    cupy.at(2).synchronize()
    assert waited == [2]


def test_the_users_device_stays_current(cupy):
    with Device(2):
        cupy.at(1).to_numpy(cupy.at(1).asarray([1.0]))
        assert current[-1] == 2
