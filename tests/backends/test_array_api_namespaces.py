"""Backends of Array API namespaces: arrays there and back, devices, and libraries that lack something."""

import pickle
import sys
import types

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, ops
from autodiff.core.avals import FLOAT64, INDEX_DTYPE, intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.ops import COMPOSITIONS
from autodiff.plan import Program
from autodiff_backends import optional
from autodiff_backends import torch as torch_package
from autodiff_backends.array_api import backend as array_api
from autodiff_backends.array_api import calls as _array_api_calls
from autodiff_backends.numpy.reference import Interpreted

strict = pytest.importorskip("array_api_strict")

VALUE = np.array([[1.0, -2.0], [0.5, 3.0]])


@pytest.fixture
def strictly():
    return ad.get_backend("array_api_strict")


# --- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info < (3, 12), reason="buffers are written in Python from 3.12 on")
def test_interrupt_while_a_buffer_is_asked_for(strictly, monkeypatch):
    def interrupted(self, flags):
        raise KeyboardInterrupt

    array = strictly.asarray(VALUE)
    monkeypatch.setattr(type(array), "__buffer__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        strictly.to_numpy(array)


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1", "device2"])
def test_arrays_there_and_back(strictly, device):
    there = strictly.at(device)
    assert there.device == strict.Device(device)
    for dtype in strictly.capabilities.dtypes:
        value = VALUE.astype(dtype)
        array = there.asarray(value)
        assert there.owns(array)
        assert there.aval_of(array) == ((2, 2), dtype)
        assert there.device_of(array) == there.device
        back = there.to_numpy(array)
        assert type(back) is np.ndarray
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, value)


def test_numbers_and_readonly_arrays_become_arrays(strictly):
    assert strictly.aval_of(strictly.asarray(2.5)) == ((), np.dtype(np.float64))
    assert strictly.aval_of(strictly.asarray(2, np.dtype(np.float32))) == ((), np.dtype(np.float32))
    value = VALUE[::-1, ::2].copy()
    value.flags.writeable = False
    np.testing.assert_array_equal(strictly.to_numpy(strictly.asarray(value)), value)


def test_own_arrays_are_converted_and_moved(strictly):
    there = strictly.at("device1")
    array = strictly.asarray(VALUE)
    assert strictly.asarray(array) is array
    copied = strictly.asarray(array, copy=True)
    copied[0, 0] = 9.0
    assert float(array[0, 0]) == 1.0
    moved = there.asarray(array, np.dtype(np.float32))
    assert there.aval_of(moved) == ((2, 2), np.dtype(np.float32))
    assert there.device_of(moved) == there.device
    real = strictly.asarray(strictly.asarray(VALUE + 1j), FLOAT64)
    np.testing.assert_array_equal(strictly.to_numpy(real), VALUE)


def test_nothing_else_is_owned(strictly):
    assert not any(strictly.owns(value) for value in (VALUE, 1.0, [1.0], None, VALUE[0, 0]))


# --- devices ---------------------------------------------------------------------------------------------------------


def test_devices_are_objects_or_names(strictly):
    there = strictly.at("device1")
    assert there is strictly.at(strict.Device("device1")) is there.at("device1")
    assert there.at(strictly.device) is strictly
    assert ad.get_backend("array_api_strict", "device1") is there
    assert strictly.label == "array_api_strict"
    assert "device1" in there.label


@pytest.mark.parametrize("device", ["nowhere", 3, None, ["device1"]])
def test_unknown_devices_are_named(strictly, device):
    with pytest.raises(errors.BackendError, match="has no device"):
        strictly.at(device)


def test_a_device_without_double_precision(strictly):
    there = strictly.at("no_float64")
    assert FLOAT64 not in there.capabilities.dtypes
    assert there.capabilities.dtypes < strictly.capabilities.dtypes
    with pytest.raises(errors.DTypeError, match=r"no dtype float64; convert .* float32"):
        there.asarray(VALUE)
    array = there.asarray(VALUE, np.dtype(np.float32))
    program = Program([intern_aval((2, 2), np.dtype(np.float32))])
    program.outputs = (program.call(ops.exp, 0),)
    (result,) = there.compile(program)(array)
    np.testing.assert_allclose(there.to_numpy(result), np.exp(VALUE), 1e-6)


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
def test_backends_are_pickled_by_name(strictly, device):
    there = strictly.at(device)
    assert pickle.loads(pickle.dumps(there)) is there


# --- other namespaces ------------------------------------------------------------------------------------------------


def namespace_without(*names):
    """array-api-strict under another name, without some functions."""
    result = types.ModuleType("foreign")
    result.__dict__.update({name: value for name, value in vars(strict).items() if name not in names})
    result.__name__ = "foreign"
    return result


# What no standard has.
BEYOND = {f"foreign has no function linalg.{name}" for name in ("logm", "lu_factor", "sqrtm")}


def test_any_namespace_is_a_backend():
    namespace = namespace_without()
    backend = ad.get_backend(namespace)
    assert backend is ad.get_backend(namespace) is array_api.for_namespace(namespace)
    assert backend.name == backend.label == "foreign"
    assert backend.namespace is namespace
    # What NumPy has none of itself.
    assert set(backend.capabilities.missing.values()) == {"foreign has no module special", *BEYOND}


def test_known_namespaces_are_known_backends(strictly):
    assert ad.get_backend(strict) is strictly is array_api.for_namespace(strict)


def test_an_object_may_be_a_namespace():
    """Its functions are other objects each time they are asked for."""

    class Namespace:
        __name__ = "an_object"

        def __getattr__(self, name):
            value = getattr(strict, name)
            return (lambda *args, **kwargs: value(*args, **kwargs)) if isinstance(value, types.FunctionType) else value

    backend = ad.get_backend(Namespace())
    program = Program([intern_aval((3,), FLOAT64)])
    value = program.call(ops.exp, program.call(ops.exp, 0))
    program.outputs = (program.call(ops.add, value, 0),)
    plan = backend.compile(program)
    assert plan.source.count("# exp") == 1
    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(backend.to_numpy(plan(backend.asarray(x))[0]), np.exp(np.exp(x)) + x, 1e-14)


def test_a_namespace_of_before_the_standard_says_so():
    with pytest.raises(errors.BackendError, match=r"no namespace of the Array API .* 2022\.12 .* take"):
        array_api.for_namespace(namespace_without("take"))


def test_missing_packages_are_named(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(optional, "imported", absent)
    with pytest.raises(errors.BackendError, match="pip install array-api-strict"):
        array_api.array_api_strict()
    with pytest.raises(errors.BackendError, match="pip install torch"):
        torch_package.torch()


# In the standard since 2023.12 or later.
RECENT = ("clip", "copysign", "cumulative_sum", "cumulative_prod", "hypot", "maximum", "minimum", "nextafter")
RECENT += ("reciprocal", "searchsorted", "signbit")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", RECENT)
def test_what_a_namespace_lacks_is_declared(name):
    """A primitive either is computed without the function, or says that it is missing."""
    backend = array_api.ArrayApiBackend(namespace_without(name))
    others = {"foreign has no module special", *BEYOND}
    missing = {p: why for p, why in backend.capabilities.missing.items() if why not in others}
    assert missing
    assert all(reason == f"foreign has no function {name}" for reason in missing.values())
    vector = intern_aval((3,), FLOAT64)
    spec = ("a",)
    inputs = {"index_add": (vector, intern_aval((), INDEX_DTYPE, spec=spec), vector, intern_aval((3,), np.dtype("i8")))}
    inputs["index_set"] = inputs["index_add"]
    params = {"cumsum": (0,), "cumprod": (0,), "argmax": (0,), "argmin": (0,)}
    x = np.array([0.5, 0.75, 0.25])
    for primitive in [p for p in PRIMITIVES.values() if p.module == "numpy"]:
        if primitive.name not in params and primitive.name not in inputs and primitive.numpy_ufunc is None:
            continue
        avals = inputs.get(primitive.name, (vector,) * getattr(primitive.numpy_ufunc, "nin", 1))
        try:
            signature = primitive.signature(avals, params.get(primitive.name, ()))
        except errors.DTypeError:
            continue
        program = Program(avals)
        made = program.apply(signature, tuple(range(len(avals))))
        parts = range(len(signature.out.parts))
        program.outputs = tuple([program.call(ops.part_p, made, params=(i,)) for i in parts]) or (made,)
        values = [x, (None,), x, np.array([2, 2, 0])] if len(avals) == 4 else [x] * len(avals)
        given = [backend.asarray(v) if isinstance(v, np.ndarray) else v for v in values]
        if primitive.name in missing:
            with pytest.raises(AttributeError, match=name):
                backend.compile(program)(*given)
        else:
            for found, wanted in zip(backend.compile(program)(*given), Interpreted(program)(*values), strict=True):
                np.testing.assert_allclose(backend.to_numpy(found), wanted, 1e-12)


def test_arrays_that_cannot_be_written_to(monkeypatch):
    """Writing is choosing between the array and what is written, spread to its shape."""
    monkeypatch.setattr(strict._array_object.Array, "__setitem__", None)
    monkeypatch.setattr("array_api_compat.is_writeable_array", lambda array: False)
    backend = array_api.ArrayApiBackend(namespace_without())
    assert "in-place" not in backend.capabilities.features
    x = np.arange(24.0).reshape(2, 3, 4)
    entries = [0, 1, slice(0, 2, 1), slice(2, None, -1), slice(3, 0, -2), slice(1, 1, 1), slice(0, 0, 1)]
    rng = np.random.default_rng(0)
    checked = 0
    for primitive in (ops.index_set, ops.index_add):
        for first in (0, slice(0, 2, 1), slice(1, None, -1), slice(1, 2, 1)):
            for last in entries:
                idx = (first, None, slice(0, 3, 1), last)
                spec = ("i" if type(first) is int else len(range(2)[first]), "n", 3)
                spec += ("i" if type(last) is int else len(range(4)[last]),)
                program = Program([intern_aval(x.shape, FLOAT64), intern_aval((), INDEX_DTYPE, spec=spec)])
                values = rng.normal(size=x[idx].shape)
                known = program.constant(intern_aval(values.shape, FLOAT64), values)
                program.outputs = (program.call(primitive, 0, 1, known),)
                (expected,) = Interpreted(program)(x, idx)
                (found,) = backend.compile(program)(backend.asarray(x), idx)
                np.testing.assert_array_equal(backend.to_numpy(found), expected)
                checked += 1
    assert checked == 56


def test_no_meaning_is_without_a_primitive():
    executed = {name for name, primitive in PRIMITIVES.items() if primitive not in COMPOSITIONS}
    own = {primitive.name for primitive in _array_api_calls.OVERRIDES}
    assert own <= executed
    assert all(PRIMITIVES[name].meaning is not None for name in executed - own - {"place", "in_range"})
