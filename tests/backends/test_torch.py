"""PyTorch's tensors: there and back, on devices, and what of them has no counterpart in NumPy."""

import pickle
import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, ops
from autodiff.core.avals import FLOAT64, intern_aval
from autodiff.plan import Program

torch = pytest.importorskip("torch")

VALUE = np.array([[1.0, -2.0, 4.0], [0.5, 3.0, 0.0]])


@pytest.fixture
def pytorch():
    return ad.get_backend("torch")


def test_memory_is_shared_on_the_cpu(pytorch):
    value = VALUE.copy()
    tensor = pytorch.asarray(value)
    tensor[0, 0] = 7.0
    assert value[0, 0] == 7.0
    assert np.shares_memory(pytorch.to_numpy(tensor), value)
    assert not np.shares_memory(pytorch.to_numpy(pytorch.asarray(value, copy=True)), value)
    assert pytorch.asarray(tensor).data_ptr() == tensor.data_ptr()
    assert pytorch.asarray(tensor, copy=True).data_ptr() != tensor.data_ptr()


def test_readonly_memory_is_shared_without_a_warning(pytorch):
    value = VALUE.copy()
    value.flags.writeable = False
    assert np.shares_memory(pytorch.to_numpy(pytorch.asarray(value)), value)
    assert not value.flags.writeable


@pytest.mark.parametrize(
    "value",
    [
        *(VALUE[::-1], VALUE[:, ::-2], VALUE.T, VALUE[:0], VALUE[:1, :1][::-1], VALUE.astype(">f8")),
        *(np.float64(2.5), np.array(1.5), True, 2, 1j),
    ],
)
def test_any_array_becomes_a_tensor(pytorch, value):
    tensor = pytorch.asarray(value)
    wanted = np.asarray(value)
    assert pytorch.aval_of(tensor) == (wanted.shape, wanted.dtype.newbyteorder("="))
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(pytorch.to_numpy(tensor), wanted)


def test_all_dtypes_there_and_back(pytorch):
    assert len(pytorch.capabilities.dtypes) == 14
    for dtype in pytorch.capabilities.dtypes:
        tensor = pytorch.asarray(VALUE.astype(dtype))
        assert pytorch.aval_of(tensor) == (VALUE.shape, dtype)
        np.testing.assert_array_equal(pytorch.to_numpy(tensor), VALUE.astype(dtype))


def test_views_of_tensors_are_resolved(pytorch):
    z = torch.tensor([1 + 2j, 3 - 1j])
    for tensor in (z.conj(), z.conj().imag, torch.tensor([[1.0, 2.0]]).T, torch.ones(3).expand(2, 3)):
        found = pytorch.asarray(tensor)
        assert found.is_contiguous()
        assert not found.is_conj()
        assert not found.is_neg()
        np.testing.assert_array_equal(pytorch.to_numpy(found), tensor.resolve_conj().resolve_neg().numpy())
        np.testing.assert_array_equal(pytorch.to_numpy(tensor), tensor.resolve_conj().resolve_neg().numpy())


def test_gradients_of_pytorchs_own_stop(pytorch):
    tensor = torch.ones(3, requires_grad=True)
    found = pytorch.asarray(tensor)
    assert not found.requires_grad
    np.testing.assert_array_equal(pytorch.to_numpy(tensor * 2), 2.0)


def test_dtypes_that_numpy_lacks_say_so(pytorch):
    tensor = torch.ones((2, 3), dtype=torch.bfloat16)
    for convert in (pytorch.asarray, pytorch.aval_of, pytorch.to_numpy):
        with pytest.raises(
            errors.DTypeError, match=r"shape \(2, 3\) has dtype torch.bfloat16, .*\.to\(torch\.float32\)"
        ):
            convert(tensor)
    assert pytorch.asarray(tensor, np.dtype(np.float32)).dtype is torch.float32
    with pytest.raises(errors.DTypeError, match=r"to_dense"):
        pytorch.asarray(torch.eye(2).to_sparse())
    if np.dtype(np.longdouble) != FLOAT64:
        with pytest.raises(errors.DTypeError, match="no dtype float128"):
            pytorch.asarray(VALUE.astype(np.longdouble))


@pytest.mark.filterwarnings("error")
def test_complex_tensors_become_real(pytorch):
    found = pytorch.asarray(torch.tensor([1 + 2j]), FLOAT64)
    np.testing.assert_array_equal(pytorch.to_numpy(found), [1.0])


def test_devices(pytorch):
    assert pytorch.device == "cpu"
    assert repr(pytorch) == "<backend torch>"
    assert pytorch.at("cpu") is pytorch is pytorch.at(torch.device("cpu")) is ad.get_backend("torch", "cpu")
    assert pytorch.device_of(torch.ones(2)) == "cpu"
    assert ad.get_backend(torch) is pytorch
    assert pickle.loads(pickle.dumps(pytorch)) is pytorch
    pytorch.synchronize()
    for device in ("meta", "nonsense", 1.5):
        with pytest.raises(errors.BackendError, match=f"torch.*{device}"):
            pytorch.at(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_an_absent_gpu_is_named(pytorch):
    for device in ("cuda", "cuda:1"):
        with pytest.raises(errors.BackendError, match=f"no device '{device}' on this machine"):
            ad.get_backend("torch", device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(pytorch):
    there = pytorch.at("cuda")
    assert there.device == f"cuda:{torch.cuda.current_device()}"
    program = Program([intern_aval(VALUE.shape, FLOAT64)])
    program.outputs = (program.call(ops.exp, 0),)
    (found,) = there.compile(program)(there.asarray(VALUE))
    there.synchronize()
    assert there.device_of(found) == there.device
    np.testing.assert_allclose(there.to_numpy(found), np.exp(VALUE), 1e-14)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
@pytest.mark.parametrize("shapes", [((2, 2, 3), (3, 2)), ((2, 0), (0, 3)), ((1, 5), (4, 5, 2))])
def test_integers_are_multiplied_without_blas(pytorch, monkeypatch, dtype, shapes):
    """GPUs have no product of integer matrices; it is tried here on the CPU."""
    functions, calls = (sys.modules[f"autodiff_backends.torch.{name}"] for name in ("functions", "calls"))
    monkeypatch.setattr(functions, "PRODUCTS", 8)
    x, y = ((np.arange(np.prod(shape)) - 3).astype(dtype).reshape(shape) for shape in shapes)
    signature = ops.matmul_p.signature((intern_aval(x.shape, x.dtype), intern_aval(y.shape, y.dtype)))
    call = calls.gpu_call(signature)
    found = pytorch.to_numpy(call.meaning(pytorch.asarray(x), pytorch.asarray(y)))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, x @ y)


def test_numbers_and_arrays_of_other_precision(pytorch):
    """A number that varies is no array, and one that is known is."""
    program = Program([intern_aval((3,), np.dtype(np.float32)), intern_aval((), FLOAT64, True)])
    half = program.literal(0.5, intern_aval((), FLOAT64, True))
    program.outputs = (program.call(ops.multiply, 0, 1), program.call(ops.multiply, 0, half))
    plan = pytorch.compile(program)
    assert "mul(x0, x1)" in plan.source
    assert "mul(x0, k0)" in plan.source
    for found, expected in zip(plan(torch.tensor([1.0, 2.0, 4.0]), 0.1), ([0.1, 0.2, 0.4], [0.5, 1.0, 2.0])):
        assert found.dtype is torch.float32
        np.testing.assert_array_equal(found.numpy(), np.array(expected, np.float32))


def test_every_primitive_of_arrays_has_a_call():
    calls = sys.modules["autodiff_backends.torch.calls"]
    standard = sys.modules["autodiff_backends.array_api.calls"].OVERRIDES
    arrays = {primitive for primitive, row in standard.items() if row.call is not None and not row.kinds}
    assert {p for p in arrays if p not in calls.OVERRIDES or calls.OVERRIDES[p].call is None} == {ops.where_p}


def test_writes_go_into_arrays_that_nothing_else_needs(pytorch):
    x = intern_aval((4,), FLOAT64)
    program = Program([x])
    index = ops.static_index((2,), (slice(0, 2, 1),))
    made = program.call(ops.exp, 0)
    part = program.call(ops.index, 0, program.constant(index.aval, index.value))
    for _ in range(3):
        made = program.call(ops.index_set, made, program.constant(index.aval, index.value), part)
        part = program.call(ops.sin, part)
    program.outputs = (made,)
    source = pytorch.compile(program).source
    assert source.count("= write_to(") == 3
    assert "index_set(" not in source


def test_powers_of_infinities_and_zeros():
    x = np.array([-np.inf, np.inf, 4.0, -0.0, 0.0])
    power = ad.function(lambda x, exponent: (x**exponent, x**-0.5), backend="torch")
    with np.errstate(divide="ignore"):
        expected = x**-0.5
    for found in power(x, -0.5):
        np.testing.assert_array_equal(np.asarray(found), expected)
