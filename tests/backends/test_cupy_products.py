"""Matrix products by cuBLAS's conventions, on a cuBLAS that computes with NumPy from nothing but the arguments."""

from __future__ import annotations

import ctypes
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff_backends.cupy.calls import capturable
from autodiff_backends.cupy.capture import CAPTURING_CALL
from autodiff_backends.cupy.plan import Captured, CupyPlan
from autodiff_backends.cupy.products import LETTERS, MAX_WORKSPACES, Cublas, product_of
from autodiff_backends.numpy.reference import Interpreted

from .cuda_emulation import NO_COMPILER
from .cupy_standin import Gpu

needs_compiler = pytest.mark.skipif(NO_COMPILER is not None, reason=str(NO_COMPILER))


class Library:
    """cuBLAS in column-major order, which reads and writes memory by addresses, and notes what it is set to."""

    def __init__(self):
        self.log = []
        self.status = 0
        for letter, (dtype, _) in {letter: (dtype, real) for dtype, (letter, real) in LETTERS.items()}.items():
            setattr(self, f"cublas{letter}gemm_v2", _Function(dtype, batched=False))
            setattr(self, f"cublas{letter}gemmStridedBatched", _Function(dtype, batched=True))

    def cublasCreate_v2(self, handle):
        handle._obj.value = 77
        return self.status

    def cublasSetStream_v2(self, handle, stream):
        self.log.append(("stream", stream.value))
        return self.status

    def cublasSetWorkspace_v2(self, handle, address, nbytes):
        self.log.append(("workspace", address.value, nbytes.value))
        return self.status


class _Function:
    """gemm, checked as cuBLAS checks it."""

    def __init__(self, dtype, batched):
        self.dtype, self.batched = np.dtype(dtype), batched
        self.argtypes = []

    def __call__(self, handle, *arguments):
        assert len(arguments) + 1 == len(self.argtypes)
        assert handle.value == 77
        for kind, value in zip(self.argtypes[1:], arguments, strict=True):
            if kind in (ctypes.c_int, ctypes.c_longlong):
                assert type(value) is int
                assert 0 <= value < 1 << 31
        transa, transb, m, n, k, alpha, *rest = arguments
        if self.batched:
            a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c, count = rest
        else:
            a, lda, b, ldb, beta, c, ldc = rest
            stride_a = stride_b = stride_c = 0
            count = 1
        assert alpha[0] == 1
        assert not any(beta)
        assert len(alpha) == len(beta) == (2 if self.dtype.kind == "c" else 1)
        assert lda >= max(1, k if transa else m)
        assert ldb >= max(1, n if transb else k)
        assert ldc >= max(1, m)
        for i in range(count):
            left = self._columns(a, i * stride_a, lda, *((k, m) if transa else (m, k)))
            right = self._columns(b, i * stride_b, ldb, *((n, k) if transb else (k, n)))
            out = self._columns(c, i * stride_c, ldc, m, n)
            out[...] = (left.T if transa else left) @ (right.T if transb else right)
        return 0

    def _columns(self, address, offset, leading, rows, columns):
        """A matrix stored column by column."""
        size = (columns - 1) * leading + rows
        memory = (ctypes.c_char * (size * self.dtype.itemsize)).from_address(address + offset * self.dtype.itemsize)
        return np.lib.stride_tricks.as_strided(
            np.frombuffer(memory, self.dtype), (rows, columns), (self.dtype.itemsize, leading * self.dtype.itemsize)
        )


def new_cublas():
    places = itertools.count(4096, 4096)
    return Cublas(Library(), lambda nbytes: SimpleNamespace(ptr=next(places), nbytes=nbytes), 512)


def looks_of(rng, shape, dtype):
    """An array of a shape, lying in memory in one of many ways."""
    values = rng.normal(size=shape) + (1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else 0)
    values = values.astype(dtype)
    way = rng.integers(7)
    if way == 0:
        return values
    if way == 1:
        return np.ascontiguousarray(values.swapaxes(-1, -2)).swapaxes(-1, -2)
    if way == 2:
        return np.concatenate([values, values], axis=-1)[..., : shape[-1]]
    if way == 3:
        return np.repeat(values, 2, axis=-2)[..., ::2, :]
    if way == 4:
        return values[..., ::-1, :]
    if way == 5:
        return np.broadcast_to(values[..., :1, :], shape)
    axes = [*rng.permutation(len(shape) - 2), len(shape) - 2, len(shape) - 1]
    return np.ascontiguousarray(values.transpose(axes)).transpose(np.argsort(axes))


def batches(rng):
    """The leading axes of two operands."""
    whole = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 4)))
    parts = [tuple(1 if rng.random() < 0.3 else n for n in whole)[rng.integers(0, len(whole) + 1) :] for _ in range(2)]
    return parts


@pytest.mark.parametrize("seed", range(4))
def test_products_of_all_layouts(seed):
    rng, cublas = np.random.default_rng(seed), new_cublas()
    read = 0
    for _ in range(300):
        left, right = batches(rng)
        m, k, n = (int(x) for x in rng.choice([1, 1, 2, 3, 5], 3))
        dtype = rng.choice(list(LETTERS))
        x, y = looks_of(rng, (*left, m, k), dtype), looks_of(rng, (*right, k, n), dtype)
        wanted = np.matmul(x, y)
        product = product_of(wanted.shape, x.shape, y.shape, {x.dtype, y.dtype, wanted.dtype})
        if product is None:
            continue
        assert product.planned(np.ascontiguousarray(x), np.ascontiguousarray(y)) is not None
        planned = product.planned(x, y)
        if planned is None:
            continue
        read += 1
        out = np.full(wanted.shape, np.nan, dtype)
        name, arguments = planned
        cublas.start(name, arguments(x.ctypes.data, y.ctypes.data, out.ctypes.data), 5, cublas.workspace(5))
        np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-5)
    assert read > 120


def test_what_cublas_has_no_product_of():
    f4, f8, f2 = (np.dtype(code) for code in ("f4", "f8", "f2"))
    for shape, left, right, dtypes in (
        ((2, 2), (2, 3), (3, 2), {f4, f8}),
        ((2, 2), (2, 3), (3, 2), {f2}),
        ((2, 2), (2, 0), (0, 2), {f8}),
        ((0, 2), (0, 3), (3, 2), {f8}),
        # No stride leads from each matrix of the first operand to the next.
        ((2, 5, 2, 2), (2, 1, 2, 3), (2, 5, 3, 2), {f8}),
    ):
        assert product_of(shape, left, right, dtypes) is None


def test_less_precision_that_was_asked_for_is_cupys(monkeypatch):
    f4, f8 = np.dtype("f4"), np.dtype("f8")
    monkeypatch.setenv("CUPY_TF32", "1")
    assert product_of((2, 2), (2, 3), (3, 2), {f4}) is None
    assert product_of((2, 2), (2, 3), (3, 2), {f8}) is not None


def test_each_stream_has_memory_of_its_own():
    cublas = new_cublas()
    log = cublas._library.log
    x = np.ones((2, 2))
    name, arguments = product_of(x.shape, x.shape, x.shape, {x.dtype}).planned(x, x)
    out = np.empty((2, 2))
    for stream in (5, 5, 6, 5):
        cublas.start(name, arguments(x.ctypes.data, x.ctypes.data, out.ctypes.data), stream, cublas.workspace(stream))
    five, six = cublas.workspace(5).ptr, cublas.workspace(6).ptr
    # A stream that is set makes cuBLAS forget the memory.
    assert log == [
        *[("stream", 5), ("workspace", five, 512)],
        *[("stream", 6), ("workspace", six, 512)],
        *[("stream", 5), ("workspace", five, 512)],
    ]
    for stream in range(100):
        cublas.workspace(stream)
    assert len(cublas._workspaces) == MAX_WORKSPACES


def test_what_fails_says_so():
    library = Library()
    library.status = 13
    with pytest.raises(errors.BackendError, match="cublasCreate failed with status 13"):
        Cublas(library, lambda nbytes: None, 512)


# --- captured with all else -------------------------------------------------------------------------------------------


ROWS, WIDTH = 64, 96


def perceptron(x, y, *layers):
    """The loss of a network whose products are too large for kernels."""
    h = x
    for w, b in zip(layers[::2], layers[1::2], strict=True):
        h = np.tanh(h @ w + b)
    return np.mean((h - y) ** 2)


def perceptron_values(seed):
    rng = np.random.default_rng(seed)
    sizes = [(ROWS, WIDTH), (ROWS, WIDTH), *[(WIDTH, WIDTH), (WIDTH,)] * 3]
    return [rng.normal(size=size) * 0.2 for size in sizes]


@pytest.fixture(scope="module")
def training(as_program):
    leaves = [ad.Tensor(value) for value in perceptron_values(0)]
    loss = perceptron(*leaves)
    return as_program(leaves, [loss, *ad.Graph().gradient(loss, leaves[2:], as_tensors=True)])


@needs_compiler
def test_a_plan_with_products_is_one_graph(training):
    device = Gpu()
    plan = CupyPlan(training, device, "test")
    assert isinstance(plan._plan, Captured)
    assert plan.n_launches >= 8 + 2
    kept = []
    for call in range(1, CAPTURING_CALL + 4):
        given = perceptron_values(call)
        if call == CAPTURING_CALL + 1:
            # However they lie in memory.
            given = [np.asfortranarray(array) for array in given]
        found = plan(*given)
        kept.append((found, [array.copy() for array in found]))
        assert device.captures == (call >= CAPTURING_CALL)
        for one, wanted in zip(found, Interpreted(training)(*perceptron_values(call)), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-9, atol=1e-12)
    # Nothing that was given out is written to by later calls.
    for found, then in kept:
        for one, other in zip(found, then, strict=True):
            np.testing.assert_array_equal(one, other)


@needs_compiler
def test_numbers_are_the_same_to_the_last_bit_before_and_after(training):
    plan = CupyPlan(training, Gpu(), "test")
    first, *others = [plan(*perceptron_values(1)) for _ in range(CAPTURING_CALL + 2)]
    for found in others:
        for one, other in zip(found, first, strict=True):
            np.testing.assert_array_equal(one, other)


@needs_compiler
def test_outputs_that_are_inputs_and_constants_are_captured_as_copies(as_program):
    leaves = [ad.Tensor(value) for value in perceptron_values(0)]
    loss = perceptron(*leaves)
    gradients = ad.Graph().gradient(loss, leaves[2:], as_tensors=True)
    outputs = [loss, *gradients, leaves[2], leaves[2].T, np.broadcast_to(leaves[3], (2, WIDTH)), gradients[0]]
    program = as_program(leaves, outputs)
    device = Gpu()
    plan = CupyPlan(program, device, "test")
    for call in range(CAPTURING_CALL + 2):
        given = perceptron_values(call)
        found = plan(*given)
        for one, wanted in zip(found, Interpreted(program)(*given), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-9, atol=1e-12)
        for i, one in enumerate(found):
            assert not any(np.may_share_memory(one, other) for other in (*found[:i], *given))
    assert device.captures == 1


@needs_compiler
def test_what_waits_for_the_host_is_not_captured(as_program):
    """The kernels around it still are, where that pays."""
    leaves = [ad.Tensor(value) for value in perceptron_values(0)]
    solved = np.linalg.solve(leaves[2] + WIDTH * np.eye(WIDTH), leaves[4])
    loss = perceptron(*leaves[:2], solved, *leaves[3:])
    program = as_program(leaves, [loss, *ad.Graph().gradient(loss, leaves[2:], as_tensors=True)])
    device = Gpu()
    plan = CupyPlan(program, device, "test")
    assert not isinstance(plan._plan, Captured)
    for call in range(CAPTURING_CALL + 1):
        given = perceptron_values(call)
        for one, wanted in zip(plan(*given), Interpreted(program)(*given), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-7, atol=1e-10)


@needs_compiler
def test_additions_at_places_are_captured_and_held_to_what_their_order_makes_of_them(as_program):
    rng = np.random.default_rng(3)
    leaves = [ad.Tensor(value) for value in perceptron_values(0)]
    places = ad.Tensor(rng.integers(0, ROWS, (ROWS, 3)), constant=True)
    rows = leaves[0][places].sum(axis=1)
    loss = perceptron(rows, *leaves[1:])
    program = as_program([*leaves, places], [loss, *ad.Graph().gradient(loss, leaves, as_tensors=True)])
    device = Gpu()
    plan = CupyPlan(program, device, "test")
    assert isinstance(plan._plan, Captured)
    assert not plan._plan.exact
    for call in range(CAPTURING_CALL + 2):
        given = [*perceptron_values(call), rng.integers(0, ROWS, (ROWS, 3))]
        for one, wanted in zip(plan(*given), Interpreted(program)(*given), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-9, atol=1e-12)
    assert device.captures == 1


def test_calls_that_bring_numbers_to_the_device_are_not_captured(as_program):
    x, places = ad.Tensor(np.ones((4, 5, 6))), ad.Tensor(np.array([1, 2]), constant=True)
    signatures = []
    for item in (places, (slice(1, 3), places), (2, places), (places, slice(None), 1)):
        program = as_program([x, places], [x[item]])
        signatures += [s for _, s, _ in program.applications() if s.primitive.name == "index" and len(s.inputs) > 2]
    assert [capturable(signature) for signature in signatures] == [True, True, False, False]
