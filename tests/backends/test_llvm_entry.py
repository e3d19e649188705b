"""Kernels as builtins: what they are called with, what they give, and sizes at which vectors end."""

import copy
import ctypes
import itertools
import math
import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff.core.primitives import PRIMITIVES
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm import layout, machine
from autodiff_backends.llvm.backend import BACKEND, Kernel, Staged
from autodiff_backends.numpy.reference import Interpreted

llvm = pytest.importorskip("llvmlite.binding")

SIZES = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 511, 512, 513, 1025]


@pytest.fixture(autouse=True)
def everywhere(monkeypatch):
    """Kernels also where they do not pay."""
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))


def assert_as_interpreted(plan, program, values, rtol=1e-13):
    with np.errstate(all="ignore"):
        expected = Interpreted(program)(*values)
    for found, wanted in zip(plan(*values), expected, strict=True):
        assert type(found) is type(wanted)
        assert np.asarray(found).dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol, strict=True)


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_sizes_at_which_vectors_end(as_program, dtype):
    """All of them in one kernel: functions with a usual range, sums, reversed and strided reading."""
    rng = np.random.default_rng(0)
    leaves = [ad.Tensor(rng.normal(size=n).astype(dtype)) for n in SIZES]
    outputs = []
    for x in leaves:
        y = np.sin(x) * 2 + np.exp(x[::-1]) - x
        outputs += [y, np.sum(y), np.sum(y * x, axis=0, keepdims=True), np.tanh(x)[::2], x > 0]
        outputs += [np.max(x), np.prod(x[:5])] if x.size else []
    program = as_program(leaves, outputs)
    plan = BACKEND.compile(program)
    assert isinstance(plan, (Kernel, Staged))
    assert_as_interpreted(plan, program, [x.value for x in leaves], 1e-12 if dtype == "f8" else 1e-4)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 1, 5), (2, 7, 9), (4, 16, 17), (8, 3, 65)])
def test_products_and_sums_over_each_axis(as_program, sizes):
    n, k, m = sizes
    rng = np.random.default_rng(0)
    a, b = ad.Tensor(rng.normal(size=(n, k))), ad.Tensor(rng.normal(size=(k, m)))
    product = a @ b
    outputs = [product, a.T @ product, product @ b.T, np.sum(product, axis=0), np.sum(product, axis=1)]
    outputs += [np.max(product, axis=0), np.sum(np.cos(product), axis=0), np.sum(np.exp(product * 0.1))]
    program = as_program([a, b], outputs)
    assert_as_interpreted(BACKEND.compile(program), program, [a.value, b.value])


def test_a_processor_without_wide_vectors(as_program, monkeypatch):
    """Nor an instruction that multiplies and adds: products are rounded before they are added."""
    plain = copy.copy(machine.processor())
    plain.name, plain.features, plain.has_fma, plain.vector_bytes, plain.about = "generic", "", False, 16, b"plain"
    for module in (machine, llvm_):
        monkeypatch.setattr(module, "processor", lambda: plain)
    rng = np.random.default_rng(0)
    for dtype, rtol in (("f8", 1e-12), ("f4", 1e-4)):
        x, a, b = (ad.Tensor(rng.normal(size=shape).astype(dtype)) for shape in (100, (5, 7), (7, 11)))
        outputs = [np.exp(x), np.log(abs(x)), np.tanh(x), np.sin(x), np.arctan(x), np.floor(x), a @ b, b.T @ a.T]
        outputs += [np.sum(np.cos(a), axis=0), np.max(x), np.cbrt(x), np.rint(x)]
        program = as_program([x, a, b], outputs)
        plan = BACKEND.compile(program)
        assert type(plan) is Kernel
        assert "llvm.fma" not in plan.source
        assert_as_interpreted(plan, program, [x.value, a.value, b.value], rtol)


@pytest.mark.parametrize("far", [65_537.0, -1e9, 1e22, 1e308, np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_large_angles_are_exact(as_program, far, dtype):
    """In a loop over elements, in sums of all, and in sums of rows."""
    x = np.linspace(-3.0, 3.0, 2_000).astype(dtype)
    with np.errstate(over="ignore"):
        x[1_234] = far
    t, rows = ad.Tensor(x), ad.Tensor(x.reshape(50, 40))
    outputs = [np.sin(t), np.sum(np.cos(t)), np.sum(np.sin(rows), axis=0), np.max(np.cos(rows), axis=1)]
    program = as_program([t, rows], outputs)
    plan = BACKEND.compile(program)
    assert_as_interpreted(plan, program, [t.value, rows.value], 1e-12 if dtype == "f8" else 1e-4)


def test_large_angles_in_loops_that_write_what_they_read():
    x = np.linspace(-3.0, 3.0, 2_000)
    x[7] = 1e9

    @ad.function(backend="llvm")
    def f(x):
        y = ad.Tensor(np.zeros(2_000)) + x * 2
        y[...] = np.sin(y) + y
        y[...] += np.cos(x) * y
        return np.exp(-(y * y)) + np.tanh(y) / (1 + np.log1p(y * y)) + np.sqrt(np.exp(-y * y) + 1)

    y = 2 * x
    y = np.sin(y) + y
    y = y + np.cos(x) * y
    wanted = np.exp(-(y * y)) + np.tanh(y) / (1 + np.log1p(y * y)) + np.sqrt(np.exp(-y * y) + 1)
    np.testing.assert_allclose(f(x), wanted, rtol=1e-12)


def test_functions_of_scipy(as_program):
    """Against the C library's, which SciPy's are up to 20 units in the last place from."""
    pytest.importorskip("scipy")
    x = np.append(np.linspace(-6.0, 8.0, 500), [np.inf, -np.inf, np.nan, 0.0, 5e-324])
    for dtype in ("f8", "f4"):
        t = ad.Tensor(x.astype(dtype))
        plan = BACKEND.compile(as_program([t], [PRIMITIVES["erf"](t.node), PRIMITIVES["erfc"](t.node)]))
        assert type(plan) is Kernel
        for found, function in zip(plan(t.value), (math.erf, math.erfc)):
            wanted = np.array([function(v) for v in t.value.astype(float)], dtype)
            np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(dtype).eps, atol=1e-45 if dtype == "f4" else 0)


def test_only_sums_are_added_in_another_order(as_program):
    """Compensated arithmetic survives: what a rounding has lost is no zero for the compiler."""
    rng = np.random.default_rng(0)
    x, y = ad.Tensor(rng.normal(size=100) * 1e8), ad.Tensor(rng.normal(size=100))
    total = x + y
    part = total - x
    lost = (x - (total - part)) + (y - part)
    program = as_program([x, y], [total, lost, x * y - 0.5, x * y + x])
    plan = BACKEND.compile(program)
    for found, wanted in zip(plan(x.value, y.value), Interpreted(program)(x.value, y.value)):
        np.testing.assert_array_equal(found, wanted)
    assert np.any(plan(x.value, y.value)[1])


def test_the_text_is_verified_and_vectorised(as_program):
    x = ad.Tensor(np.linspace(0, 1, 1_000))
    plan = BACKEND.compile(as_program([x], [np.exp(x) * np.tanh(x) + np.log(x + 1)]))
    module = llvm.parse_assembly(plan.source, llvm.create_context())
    module.verify()
    target = machine.processor().machine(2)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    assert " x double>" in str(module)


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.fixture
def kernel(as_program, variable):
    """Of an array of two numbers and a Python number."""
    x, s = variable(np.array([1.0, 2.0])), variable(0.5)
    plan = BACKEND.compile(as_program([x, s], [_times(x, s)]))
    assert type(plan) is Kernel
    return plan


def _times(x, s):
    return PRIMITIVES["multiply"](x, s)


def test_what_a_kernel_takes(kernel):
    class Own(np.ndarray):
        pass

    x = np.array([1.0, 2.0])
    same = [x, x[::-1][::-1], np.array([1.0, 9.0, 2.0])[::2], x.view(Own), x.view(np.dtype("<f8"))]
    for value in same:
        (found,) = kernel(value, 0.5)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, [0.5, 1.0])
    np.testing.assert_array_equal(kernel(x, np.float64(0.5))[0], [0.5, 1.0])
    np.testing.assert_array_equal(kernel(x, 3)[0], [3.0, 6.0])


@pytest.mark.parametrize(
    "values",
    [
        (),
        (np.array([1.0, 2.0]),),
        (np.array([1.0]), 0.5),
        (np.array([[1.0, 2.0]]), 0.5),
        (np.array([1, 2]), 0.5),
        (np.array([1.0, 2.0], np.float32), 0.5),
        ([1.0, 2.0], 0.5),
        (None, 0.5),
        (np.array([1.0, 2.0]), "text"),
        (np.array([1.0, 2.0]), None),
    ],
    ids=repr,
)
def test_what_it_does_not_take_is_an_error(kernel, values):
    for _ in range(3):
        with pytest.raises(TypeError):
            kernel(*values)
    np.testing.assert_array_equal(kernel(np.array([1.0, 2.0]), 0.5)[0], [0.5, 1.0])


def test_nothing_is_kept_of_arguments_and_results(kernel):
    x = np.array([1.0, 2.0])
    strided = np.arange(4.0)[::2]
    counts = [sys.getrefcount(o) for o in (x, strided, x.dtype, np.ndarray)]
    for _ in range(1_000):
        kernel(x, 0.5)
        kernel(strided, 0.5)
        with pytest.raises(TypeError):
            kernel(x, None)
    now = [sys.getrefcount(o) for o in (x, strided, x.dtype, np.ndarray)]
    assert all(abs(a - b) < 100 for a, b in zip(counts, now))
    (result,) = kernel(x, 0.5)
    assert result.flags.owndata
    assert sys.getrefcount(result) == sys.getrefcount(x)


def test_integers_that_do_not_fit_are_pythons_error(as_program, variable):
    three = variable(3)
    plan = BACKEND.compile(as_program([three], [_times(three, three)]))
    assert plan(5) == (25,)
    assert plan(-1) == (1,)
    with pytest.raises(OverflowError):
        plan(2**70)


def test_layouts_are_what_kernels_read():
    assert layout.holds()
    array = np.arange(6.0).reshape(2, 3)
    assert ctypes.c_void_p.from_address(id(array) + layout.LAYOUT.data).value == array.ctypes.data


@pytest.mark.parametrize("many", [False, True])
def test_other_layouts_are_called_by_ctypes(as_program, monkeypatch, many):
    monkeypatch.setattr(llvm_, "holds", lambda: False)
    rng = np.random.default_rng(0)
    large, *small = (ad.Tensor(rng.normal(size=n)) for n in (500_000, *[3] * (20 if many else 1)))
    outputs = [
        np.exp(np.sin(large)) * 2 + large,
        np.sum(np.sqrt(abs(large))),
        np.sum(sum(small)) * 3.0,
        small[-1][::-1],
    ]
    program = as_program([large, *small], outputs)
    plan = BACKEND.compile(program)
    assert type(plan) is Staged
    assert "PyTuple" not in plan.source
    for step in (1, -1):
        assert_as_interpreted(plan, program, [x.value[::step] for x in (large, *small)], 1e-12)
    with pytest.raises(TypeError):
        plan(*[x.value.astype("f4") for x in (large, *small)])


@pytest.mark.parametrize("size", [100, 3_000, 400_000])
def test_workspaces_on_the_stack_of_its_own_and_kept(as_program, size):
    """Values that several loops read: in memory that is small, not so small, and large."""
    x = ad.Tensor(np.linspace(0.0, 1.0, size))
    y = np.exp(x)
    z = y / np.sum(y)
    w = np.sin(z[::-1]) + y
    program = as_program([x], [np.sum(w * z), w[::-1] * np.sum(z * y)])
    plan = BACKEND.compile(program)
    assert type(plan) is (Staged if size > 300_000 else Kernel)
    for _, value in itertools.product(range(3), (x.value, x.value * 0.5)):
        assert_as_interpreted(plan, program, [value], 1e-11)
