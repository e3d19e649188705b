"""What CuPy's library is called for means what NumPy's reference says, as far as NumPy can stand for CuPy."""

import numpy as np
import pytest

from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff_backends.cupy.calls import call_for
from autodiff_backends.cupy.device import CupyDevice
from autodiff_backends.cupy.namespace import Namespace
from autodiff_backends.loops.statements import looks
from autodiff_backends.numpy.reference import function_for

from .cupy_standin import Gpu

FUNCTIONS = Namespace(Gpu())
DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
rng = np.random.default_rng(5)


def some(shape, dtype):
    values = rng.normal(size=shape) * 3
    return (values + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def check(primitive, arrays, params=(), spec=None, idx=None):
    """One application, called as a plan calls it, against the reference."""
    avals = [intern_aval(a.shape, a.dtype) for a in arrays]
    values = list(arrays)
    if spec is not None:
        avals.insert(1, intern_aval((), np.dtype(object), spec=spec))
        values.insert(1, idx)
    signature = PRIMITIVES[primitive].signature(tuple(avals), params)
    before = [a.copy() for a in arrays]
    found = np.asarray(call_for(signature, FUNCTIONS)(*values))
    wanted = np.asarray(function_for(signature)(*values))
    assert found.shape == signature.out.shape
    assert found.dtype == signature.out.dtype
    rtol = 1e-2 if found.dtype == np.float16 else 1e-5 if found.dtype.char in "fF" else 1e-13
    np.testing.assert_allclose(found, wanted.astype(found.dtype), rtol=rtol, atol=rtol)
    for array, old in zip(arrays, before):
        np.testing.assert_array_equal(array, old, "an argument was written to")
        assert looks(signature) or not np.may_share_memory(found, array)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (1, 4, 5)), ((2, 1, 3, 4), (7, 4, 5)), ((3, 4), (2, 4, 5))],
)
def test_products(dtype, left, right):
    check("matmul", [some(left, dtype), some(right, dtype)])


@pytest.mark.parametrize(("left", "right"), [("f4", "f8"), ("i4", "f4"), ("i1", "u1"), ("?", "i2"), ("f8", "c8")])
def test_products_of_several_dtypes(left, right):
    check("matmul", [some((3, 4), left), some((4, 2), right)])


@pytest.mark.parametrize(
    ("left", "right"), [((0, 4), (4, 5)), ((3, 0), (0, 5)), ((2, 3, 0), (0, 5)), ((0, 3, 4), (4, 5)), ((1, 1), (1, 1))]
)
def test_products_without_elements(left, right):
    check("matmul", [some(left, "f8"), some(right, "f8")])


def test_products_of_transposed_arrays():
    check("matmul", [some((4, 3), "f8").T, some((5, 4), "f8").T])
    check("matmul", [some((4, 3, 2), "f8").transpose(2, 1, 0), some((5, 4), "f8").T])


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("dtype", ["i4", "i8", "f2", "f4", "f8", "c16"])
def test_running(name, dtype):
    for axis in range(2):
        check(name, [some((3, 4), dtype)], (axis,))
        check(name, [some((3, 0), dtype)], (axis,))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name):
    for axis in range(2):
        found = check(name, [np.array([[3.0, 1.0, 3.0], [np.nan, 5.0, 0.0]])], (axis,))
        assert found.dtype == np.int64


def test_joined():
    check("concatenate", [some((2, 3), "f4"), some((2, 1), "f4")], (1,))


INDICES = {
    "one": (("a", 5), (None, slice(None)), [[3, 0, 3, -1]], (4, 5)),
    "last axis": ((4, "a"), (slice(None), None), [[[4, 0], [-5, 4]]], (4, 2, 2)),
    "two together": (("a", "a"), (None, None), [[0, 0, 3], [1, 1, -1]], (3,)),
    "two apart": (("a", 2, "a"), (None, slice(1, 5, 2), None), [[0, 0, 3], [1, 1, -1]], (3, 2)),
    "with an integer": (("a", 2, "i"), (None, slice(None, None, -3), 1), [[0, 2, 0]], (3, 2)),
    "with a new axis": (("a", "n", 5), (None, None, slice(None)), [[1, 1]], (2, 1, 5)),
    "single": (("a", "a"), (None, None), [3, -2], ()),
    "single of many": (("a", 5), (None, slice(None)), [[2]], (1, 5)),
    "none": (("a", 5), (None, slice(None)), [np.zeros(0, np.int64)], (0, 5)),
}
SHAPES = {"two apart": (4, 6, 5), "with an integer": (4, 5, 3)}


def arranged(name, integers="i8"):
    spec, idx, arrays, shape = INDICES[name]
    return spec, idx, [np.asarray(a, integers) for a in arrays], shape, SHAPES.get(name, (4, 5))


@pytest.mark.parametrize("name", INDICES)
def test_picked(name):
    spec, idx, arrays, _, whole = arranged(name)
    check("index", [some(whole, "f4"), *arrays], spec=spec, idx=idx)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", INDICES)
def test_added_repeatedly(name, dtype):
    spec, idx, arrays, shape, whole = arranged(name)
    check("index_add", [some(whole, dtype), some(shape, dtype), *arrays], spec=spec, idx=idx)


def test_small_integers_wrap_around():
    x = np.full(3, 100, np.int8)
    found = check("index_add", [x, np.full(4, 50, np.int8), np.zeros(4, np.int64)], spec=("a",), idx=(None,))
    assert found[0] == np.int8(300 - 256)


@pytest.mark.parametrize("dtype", ["?", "i8", "f4", "c16"])
@pytest.mark.parametrize("name", INDICES)
def test_written(name, dtype):
    spec, idx, arrays, shape, whole = arranged(name)
    check("index_set", [some(whole, dtype), some(shape, dtype), *arrays], spec=spec, idx=idx)


@pytest.mark.parametrize("integers", ["i4", "u1", "u8"])
def test_dtypes_of_index_arrays(integers):
    spec, idx = ("a", 5), (None, slice(None))
    arrays = [np.array([0, 3, 3], integers)]
    for name in ("index_add", "index_set"):
        check(name, [some((4, 5), "f8"), some((3, 5), "f8"), *arrays], spec=spec, idx=idx)
    check("index", [some((4, 5), "f8"), *arrays], spec=spec, idx=idx)


class OutOfOrder:
    """NumPy, but where positions repeat an assignment leaves any of the values, as on a GPU."""

    ndarray = np.ndarray

    def __getattr__(self, name):
        return getattr(np, name)

    class Array(np.ndarray):
        def __setitem__(self, entries, values):
            backwards = tuple(e[::-1] if isinstance(e, np.ndarray) else e for e in entries)
            values = values[::-1] if np.ndim(values) else values
            self.view(np.ndarray)[backwards] = values


def test_the_last_of_repeated_positions_stays_whatever_the_order():
    arrays = [np.array([2, 0, 2, 2, 1]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])]
    x = np.zeros(4).view(OutOfOrder.Array)
    values = arrays[1]
    avals = [intern_aval((4,), x.dtype), intern_aval((), np.dtype(object), spec=("a",))]
    avals += [intern_aval((5,), values.dtype), intern_aval((5,), arrays[0].dtype)]
    signature = PRIMITIVES["index_set"].signature(tuple(avals))
    backwards = x.copy()
    backwards[arrays[0],] = values
    assert backwards[2] == 1.0  # what a plain assignment may leave
    found = call_for(signature, OutOfOrder())(x, (None,), values, arrays[0])
    np.testing.assert_array_equal(found, [2.0, 5.0, 4.0, 0.0])


BASIC = [
    ((3,), (slice(1, 4),), (5,)),
    (("i",), (2,), (5,)),
    (("n", 2, "i"), (None, slice(None, None, -2), 1), (4, 3)),
    (("i", "i"), (1, 2), (4, 3)),
    ((0,), (slice(2, 2),), (4,)),
]


@pytest.mark.parametrize(("spec", "idx", "shape"), BASIC)
@pytest.mark.parametrize("dtype", ["?", "i4", "f8"])
def test_basic_indices(spec, idx, shape, dtype):
    x = some(shape, dtype)
    part = np.asarray(x[idx])
    check("index", [x], spec=spec, idx=idx)
    for name in ("index_add", "index_set"):
        check(name, [x, some(part.shape, dtype)], spec=spec, idx=idx)


def test_other_looks_share_memory():
    x = some((4, 3), "f8")
    for name, params in [
        ("reshape", ((2, 6),)),
        ("transpose", ((1, 0),)),
        ("broadcast_to", ((2, 4, 3),)),
        ("identity", ()),
        ("stop_gradient", ()),
        ("real", ()),
        ("conjugate", ()),
    ]:
        assert np.may_share_memory(check(name, [x], params), x)
    # What is computed after others, which are operands too.
    for first, *others in [(x, some((), "f8"), some((), "i4")), (x[0, 0, ...], some((2,), "f8"))]:
        assert np.may_share_memory(check("after", [np.asarray(first), *others]), x)


def test_parts_of_complex_numbers_are_no_looks():
    for name in ("real", "conjugate"):
        assert not looks(PRIMITIVES[name].signature((intern_aval((3,), np.dtype("c16")),)))


def test_looks_at_arrays_of_cupy_need_no_gpu():
    """Views of CuPy's own arrays have the shapes that programs say; the memory is nobody's and never touched."""
    cupy = pytest.importorskip("cupy")
    memory = cupy.cuda.UnownedMemory(1 << 40, 96, None, device_id=0)
    x = cupy.ndarray((4, 3), np.float64, cupy.cuda.MemoryPointer(memory, 0))
    aval, functions = intern_aval((4, 3), x.dtype), Namespace(CupyDevice(cupy, 0))
    for name, params in [("reshape", ((2, 6),)), ("transpose", ((1, 0),)), ("broadcast_to", ((2, 4, 3),))]:
        signature = PRIMITIVES[name].signature((aval,), params)
        assert call_for(signature, functions)(x).shape == signature.out.shape
    for spec, idx in [(("n", 2, "i"), (None, slice(None, None, -2), 1)), (("i", "i"), (1, 2))]:
        signature = PRIMITIVES["index"].signature((aval, intern_aval((), np.dtype(object), spec=spec)))
        found = call_for(signature, functions)(x, idx)
        assert isinstance(found, cupy.ndarray)
        assert found.shape == signature.out.shape
