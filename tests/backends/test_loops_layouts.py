"""What is not copied: windows and other pieces at equal distances, matrices that are no views, transposed values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm import source
from autodiff_backends.llvm.backend import BACKEND, Kernel, Staged
from autodiff_backends.loops.forms import COPY
from autodiff_backends.loops.layouts import lay_out
from autodiff_backends.loops.statements import Lowering
from autodiff_backends.numpy.reference import Interpreted

pytest.importorskip("llvmlite")

RNG = np.random.default_rng(0)
windows = np.lib.stride_tricks.sliding_window_view


@pytest.fixture
def check(as_program, run_statements, monkeypatch):
    """Statements one by one, as they are and laid out, and kernels with threads: what the interpreter computes."""
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))
    monkeypatch.setattr(source, "SMALLEST_SHARED", 0)

    def run(inputs, *outputs):
        program = as_program(inputs, outputs)
        values = [x.value for x in inputs]
        with np.errstate(all="ignore"):
            expected = Interpreted(program)(*values)
        lowering = Lowering(program)
        found = [run_statements(lowering, values)]
        lay_out(lowering)
        found.append(run_statements(lowering, values))
        plan = BACKEND.compile(program)
        assert isinstance(plan, (Kernel, Staged))
        try:
            for threads in (1, 3):
                ad.set_num_threads(threads)
                found.append(plan(*values))
        finally:
            ad.set_num_threads(None)
        for results in found:
            for one, wanted in zip(results, expected, strict=True):
                assert (np.shape(one), np.asarray(one).dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
                single = np.asarray(wanted).dtype == np.float32
                np.testing.assert_allclose(one, wanted, *([1e-4, 1e-4] if single else [1e-11, 1e-12]))
        return lowering

    return run


def variable(*shape, dtype=np.float64):
    return ad.Tensor(RNG.normal(size=shape).astype(dtype))


def copies(lowering):
    return [s.form.shape for s in lowering.statements if s.form.name == COPY]


# --- pieces at equal distances ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [
        lambda x: [x[k : k + 4] for k in range(3)],
        lambda x: [x[k : k + 4] for k in (2, 1, 0)],
        lambda x: [x[2 * k : 2 * k + 3] for k in range(3)],
        lambda x: [x[6 - k :: -1][:2] for k in range(3)],
        lambda x: [x[1:5]] * 3,
    ],
)
def test_pieces_at_equal_distances_are_one_look(check, pieces):
    x = variable(8)
    for axis in (0, 1):
        together = np.stack(pieces(x), axis)
        assert not copies(check([x], together * 2.0))
        check([x], together)


@pytest.mark.parametrize(
    "pieces",
    [
        lambda x, y: [x[0:4], x[1:5], x[3:7]],
        lambda x, y: [x[0:4], y[1:5], x[2:6]],
        lambda x, y: [x[0:4], x[1:5], x[5:1:-1]],
        lambda x, y: [x[0:4], np.zeros(4), np.zeros(4)],
    ],
)
def test_other_pieces_are_copied(check, pieces):
    x, y = variable(8), variable(8)
    assert copies(check([x, y], np.stack(pieces(x, y)) * 2.0, y * 2.0))


def test_pieces_keep_what_was_before_a_write(check):
    x = variable(8)
    y = np.sin(x)
    window = windows(y, 3) * 1.0
    y[2:4] = 5.0
    check([x], window, y * 2.0, windows(y, 3) * 3.0)


# --- matrices that are no views --------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_products_of_what_is_no_view(as_program, run_statements, data):
    """Any axes, in any order, as rows and columns of either operand or of both."""
    ndim = data.draw(st.integers(2, 4))
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * ndim))
    order = data.draw(st.permutations(range(ndim)))
    n = data.draw(st.integers(0, ndim))
    x = variable(*shape)
    moved = np.transpose(x, order)
    matrix = np.reshape(moved, (int(np.prod(moved.shape[:n])), -1))
    rows, columns = matrix.shape
    other, left = variable(columns, 3), variable(5, rows)
    outputs = [matrix @ other, left @ matrix, matrix.T @ left.T, matrix @ matrix.T, matrix.T @ matrix, np.sum(matrix)]
    program = as_program([x, other, left], outputs[: data.draw(st.integers(1, 6))])
    values = [x.value, other.value, left.value]
    lowering = Lowering(program)
    for found, wanted in zip(run_statements(lowering, values), Interpreted(program)(*values), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("size", "width"), [(12, 3), (7, 5), (20, 1), (19, 2)])
def test_convolutions_copy_no_windows(check, size, width, dtype):
    x, w = variable(3, 2, size, size, dtype=dtype), variable(5, 2, width, width, dtype=dtype)
    v = windows(x, (width, width), axis=(2, 3))
    y = np.tanh(np.einsum("nchwij,ocij->nohw", v, w))
    gradients = ad.grad(
        lambda x, w: np.sum(np.tanh(np.einsum("nchwij,ocij->nohw", windows(x, (width, width), axis=(2, 3)), w))), (0, 1)
    )(x, w)
    lowering = check([x, w], y, *gradients)
    n = size - width + 1
    assert not any(np.prod(shape) >= 3 * 2 * n * n * width * width for shape in copies(lowering)) or width == 1


def test_both_operands_and_other_terms(check):
    x, y = variable(3, 4, 5, 6), variable(5, 3, 7, 6)
    a = np.reshape(np.transpose(x, (1, 2, 0, 3)), (20, 18))
    b = np.reshape(np.transpose(y, (1, 3, 0, 2)), (18, 35))
    c = np.reshape(np.transpose(y, (3, 1, 2, 0)), (18, 35))
    assert not copies(check([x, y], np.sin(a @ b)))
    # The terms are axes of 6 by 3 in one, and of 3 by 6 in the other.
    assert copies(check([x, y], np.sin(a @ c)))
    check([x, y], a @ b, a * 2.0, b.T @ a.T)
    check([x, y], a @ np.full((18, 2), 0.5), np.full((2, 20), 2.0) @ a)


# --- transposed values -----------------------------------------------------------------------------------------------


def test_what_is_read_transposed_is_computed_so(check):
    x, y, a = variable(40), variable(30), variable(30, 40)
    outer = np.reshape(x, (40, 1)) @ np.reshape(y, (1, 30))
    lowering = check([x, y, a], outer.T + a * 2.0)
    assert {s.form.shape for s in lowering.statements if len(s.form.shape) == 2} == {(30, 40)}
    # Two readers in one order; in two; a sum; what is an output.
    check([x, y, a], np.sin(outer.T) + np.exp(outer.T * 0.1))
    check([x, y, a], np.sin(outer.T) + a, np.cos(outer) * 2.0)
    check([x, y, a], np.sum(outer.T * a, 0), np.max(np.sin(outer), 1))
    check([x, y, a], outer, outer.T * a)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0), (2, 1, 0), (0, 2, 1)])
def test_axes_in_any_order(check, order):
    x = variable(3, 1, 5, 4)
    y = np.transpose(np.sin(np.reshape(x, (3, 5, 4))) * 2.0, order)
    check([x], y + 1.0, np.sum(np.exp(y), 1))
    check([x], np.sum(np.reshape(np.exp(y), (*y.shape, 1)), 0))


# --- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(9, 7, 3), (5, 40, 6), (2, 30, 7), (300, 2), (30, 1, 4), (7, 300), (1000, 25), (3, 5, 260)]
)
def test_sums_over_each_axis_by_threads(check, shape, dtype):
    x, y = variable(*shape, dtype=dtype), variable(*shape, dtype=dtype)
    some = (0, -1, (0, -1))
    check([x, y], np.exp(x), *[np.sum(x * y, a) for a in some], *[np.max(np.sin(x), a) for a in some], np.prod(x))


def test_long_sums_of_rows_are_as_exact_as_numpys(as_program):
    rng = np.random.default_rng(1)
    x, y = (ad.Tensor(rng.random((2, 3, 200_000))) for _ in range(2))
    program = as_program([x, y], [np.sum(x * y, -1)])
    (found,) = BACKEND.compile(program)(x.value, y.value)
    exact = np.sum(x.value.astype(np.longdouble) * y.value, -1)
    assert np.max(np.abs(found - exact) / exact) < 1e-15
