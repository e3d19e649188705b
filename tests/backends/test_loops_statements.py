"""Programs as statements over strided memory: executed one by one, they are what the interpreter computes."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autodiff as ad
from autodiff import errors, ops
from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.plan import evaluate
from autodiff_backends.llvm.expressions import is_written, number_of
from autodiff_backends.llvm.values import number_text
from autodiff_backends.loops.accesses import contiguous, reshaped
from autodiff_backends.loops.costs import supported
from autodiff_backends.loops.forms import COPY, GATHER, literal_text
from autodiff_backends.loops.statements import Lowering
from autodiff_backends.numpy.reference import Interpreted

A = np.arange(1.0, 7.0).reshape(2, 3)


@pytest.fixture
def check(as_program, run_statements):
    """Lower a program of Tensors, compare its outputs with the interpreter's, and give the lowering back."""

    def run(inputs, *outputs):
        inputs = [ad.Tensor(x, constant=True) if isinstance(x, np.ndarray) else x for x in inputs]
        program = as_program(inputs, outputs)
        values = [x.value for x in inputs]
        lowering = Lowering(program)
        with np.errstate(all="ignore"):
            expected = Interpreted(program)(*values)
        for found, wanted in zip(run_statements(lowering, values), expected, strict=True):
            assert (found.shape, found.dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
            np.testing.assert_allclose(found, wanted, rtol=1e-13)
        return lowering

    return run


def names(lowering):
    """What is executed, but for the conversion of numbers."""
    return [s.form.name for s in lowering.statements if s.form.name != "astype"]


# --- views -----------------------------------------------------------------------------------------------------------


@st.composite
def views(draw):
    """A view with any steps, of distinct elements or not, and a shape of as many elements."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, max_side=4))
    steps = draw(st.permutations(contiguous(shape)))
    strides = tuple(
        draw(st.sampled_from([own, step, -own, 2 * own, 0])) for own, step in zip(contiguous(shape), steps, strict=True)
    )
    rest, to = int(np.prod(shape)), []
    while rest > 1:
        factor = draw(st.sampled_from([n for n in range(2, rest + 1) if rest % n == 0]))
        to.append(factor)
        rest //= factor
    for _ in range(draw(st.integers(0, 2))):
        to.insert(draw(st.integers(0, len(to))), 1)
    return shape, strides, tuple(draw(st.permutations(to)))


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="NumPy 2.0 cannot refuse to copy")
@settings(derandomize=True, deadline=None, database=None, max_examples=1000)
@given(views())
def test_reshaped_has_a_view_where_numpy_has_one(case):
    shape, strides, to = case
    memory = np.arange(4000.0)
    view = np.lib.stride_tricks.as_strided(memory[2000:], shape, [8 * s for s in strides])
    found = reshaped(shape, strides, to)
    try:
        expected = np.reshape(view, to, copy=False)
    except ValueError:
        assert found is None
        return
    assert found is not None
    result = np.lib.stride_tricks.as_strided(memory[2000:], to, [8 * s for s in found])
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.T,
        lambda x: x[::-1, ::-2],
        lambda x: x[-1],
        lambda x: x[1, -1],
        lambda x: x[None, :, None, 1:],
        lambda x: x[..., None],
        lambda x: x[2:, :],
        lambda x: x[:, 3:0:-1],
        lambda x: x.reshape(3, 2),
        lambda x: x.T.reshape(3, 1, 2, 1),
        lambda x: x[:, ::2].reshape(2, 2, 1),
        lambda x: np.broadcast_to(x[0], (4, 3)),
        lambda x: np.broadcast_to(x[:, :1], (2, 5)).T[1],
        lambda x: np.broadcast_to(x, (0, 2, 3)).reshape(3, 0),
        lambda x: ad.stop_gradient(np.real(x)),
    ],
)
def test_views_are_accesses(check, view):
    x = ad.Tensor(A)
    lowering = check([x], view(x) * 2.0)
    assert len(lowering.statements) == (0 if view(x).size == 0 else 1)
    assert len(lowering.storages) == 2
    alone = check([x], view(x))
    assert names(alone) == [COPY][: len(lowering.statements)]


def test_reshape_that_is_no_view_copies(check):
    x = ad.Tensor(A)
    for view in (x.T.reshape(6), np.broadcast_to(x, (2, 2, 3)).reshape(12)):
        assert names(check([x], view * 2.0)) == [COPY, "multiply"]


# --- index arrays ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        ([0, -1, 0],),
        (slice(None), [[2, -3], [1, 1]]),
        ([[1], [-2]], [0, 2, -1]),
        (slice(None, None, -1), None, [2, 0]),
        ([1, 0], None, slice(1, None)),
        ([1, 0], None, [2, 2]),
        (1, [2, 0]),
        ([1, -1], 2),
        (np.zeros((0, 2), int),),
        (A > 2.5,),
    ],
    ids=str,
)
def test_what_index_arrays_pick_is_one_statement(check, part):
    x = ad.Tensor(A)
    assert names(check([x], x[part] * 2.0)) == ([GATHER, "multiply"] if A[part].size else [])
    check([x], x.T[::-1].T[part], (x * 0.5)[part])


def test_index_arrays_that_are_computed(check):
    x, places = ad.Tensor(A), ad.Tensor(np.array([1, 0, -1], np.int16), constant=True)
    # The values of one storage, read and picked from in one loop.
    y = x[0] * 2.0
    for parts in ((places - 1, places), (places[0], places), (slice(None), places[:, None])):
        nodes = tuple([getattr(part, "node", part) for part in parts])
        check([x, places], ops.indexing.read_index(x.node, nodes, evaluate))
    check([x, places], y + y[places] * y)


# --- writing into a part ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [(0,), (slice(None), -1), (slice(None, None, -1), slice(0, 2)), (Ellipsis, None)])
def test_writes_are_in_place_where_nobody_else_reads(check, part):
    x = ad.Tensor(A)
    base = x * 2.0
    values = np.cos(np.ones(A[part].shape))
    for write in ("set", "add"):
        function = ops.indexing.write_index if write == "set" else ops.indexing.add_index
        node = function(base.node, part, values, lambda n: n.value)
        lowering = check([x], node)
        assert names(lowering) == ["multiply", COPY if write == "set" else "add"]
        # The input, the values, and the result.
        assert len(lowering.storages) == 3


def test_a_base_with_another_reader_is_copied(check):
    x = ad.Tensor(A)
    base = x * 2.0
    changed = ops.indexing.add_index(base.node, 0, 1.5, lambda n: n.value)
    assert names(check([x], changed, base.node))[:3] == ["multiply", COPY, "add"]
    assert names(check([x], changed, (base * 3.0).node))[:3] == ["multiply", COPY, "add"]
    # A view reads too.
    assert names(check([x], changed, (base[0] * 3.0).node))[:3] == ["multiply", COPY, "add"]
    # What is added is read from the base itself.
    doubled = ops.indexing.add_index(base.node, 0, base[0].node, lambda n: n.value)
    assert names(check([x], doubled)) == ["multiply", COPY, "add"]


def test_inputs_and_views_of_inputs_are_never_written_to(check):
    x = ad.Tensor(A)
    for base in (x, x.T.T, x.reshape(3, 2), ad.stop_gradient(x)):
        for function in (ops.indexing.add_index, ops.indexing.write_index):
            assert names(check([x], function(base.node, 0, 7.0, lambda n: n.value)))[0] == COPY


def test_chains_of_writes_work_in_one_storage(check):
    x = ad.Tensor(A)
    y = x * 2.0
    for i in range(3):
        y[:, i] = x[:, i - 1] + float(i) * 1.5
    assert len([s for s in check([x], y).storages if s.size == 6]) == 2
    # This one reads a part of what it writes to.
    y[0] += x[1]
    assert len([s for s in check([x], y).storages if s.size == 6]) == 3


def test_writes_of_nothing_and_into_nothing(check):
    x = ad.Tensor(A)
    y = x * 2.0
    y[0:0] = 3.0
    y[:, 1:1] += 2.0
    check([x], y)
    empty = ad.Tensor(np.zeros((0, 3)))
    z = empty * 2.0
    z[:, 0] = 1.5
    check([empty], z, np.sum(z, axis=0), np.sum(z), np.prod(z))


def test_products_of_no_elements_are_no_statements(check):
    """What only a write of nothing reads would be left over, in a loop with others that has no place for it."""
    x, w = ad.Tensor(A), ad.Tensor(A.T @ A)
    nothing = x @ w[:, 3:]
    assert nothing.shape == (2, 0)
    y = x @ w
    y[:, 3:] += nothing
    assert names(check([x, w], y)).count("matmul") == 1


def test_writes_cast_to_the_dtype_of_the_base(check):
    x = ad.Tensor(A)
    counts = ad.Tensor(np.arange(6), constant=True)
    counts[1::2] = 2
    y = np.float32(1) * x.astype(np.float32)
    y[0] = x[1]
    check([x, ad.Tensor(np.arange(6), constant=True)], y)
    flags = x > 2.0
    flags[0] = True
    check([x], flags, counts)


# --- joining, products, reductions -----------------------------------------------------------------------------------


def test_concatenations_are_copies_into_one_storage(check):
    x, y, z = ad.Tensor(A), ad.Tensor(A[:, :1]), ad.Tensor(np.zeros((2, 0)))
    lowering = check([x, y, z], np.concatenate([x, y[::-1], z, x[:, ::-1]], axis=1))
    assert names(lowering) == [COPY] * 3
    assert len(lowering.storages) == 4
    check([x], np.concatenate([x.T, x.T[::2]]), np.stack([x, x * 2, x], axis=-1))
    whole, single = ad.Tensor(np.arange(3), constant=True), ad.Tensor(np.ones(2, np.float32))
    check([whole, single, x], np.concatenate([whole, single, x[0]]))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((2, 3), (3, 4)),
        ((1, 1), (1, 1)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((2, 3), (5, 3, 1)),
        ((2, 0), (0, 3)),
        ((0, 3), (3, 2)),
        ((4, 0, 2, 3), (1, 3, 2)),
    ],
)
def test_matmul_is_a_sum_over_three_axes(check, first, second):
    rng = np.random.default_rng(0)
    x, y = ad.Tensor(rng.normal(size=first)), ad.Tensor(rng.normal(size=second))
    check([x, y], np.matmul(x, y))
    back = np.matmul(np.swapaxes(y, -1, -2)[..., ::-1], np.swapaxes(x, -1, -2)[..., ::-1, :])
    check([x, y], back)


def test_matmul_of_integers_and_truth_values(check):
    integers = np.arange(6).reshape(2, 3)
    x, y = ad.Tensor(integers, constant=True), ad.Tensor(integers.T + 1, constant=True)
    check([x, y], x @ y, (x > 2) @ (y > 3))


def test_outer_products_sum_nothing(check):
    rng = np.random.default_rng(0)
    x, y = ad.Tensor(rng.normal(size=(2, 3, 1))), ad.Tensor(rng.normal(size=(1, 4)))
    assert names(check([x, y], np.tanh(x @ y))) == ["multiply", "tanh"]
    check([x, y], x.mT.astype(np.float32)[..., :1].mT @ y, (x > 0) @ (y > 0))


@pytest.mark.parametrize("shape", [(2, 3, 4), (3,), (), (0, 3), (3, 0), (1, 1)])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "all", "any"])
def test_reductions_over_any_axes(check, as_program, name, shape):
    x = ad.Tensor(np.random.default_rng(0).normal(size=shape))
    primitive = PRIMITIVES[name]
    n = len(shape)
    for axes in [(), tuple(range(n)), *[(i,) for i in range(n)], *([(0, n - 1)] if n > 1 else [])]:
        operand = x.node if name not in ("all", "any") else (x > 0).node
        if name in ("max", "min") and 0 in shape:
            if any(shape[a] == 0 for a in axes):
                continue  # refused where it is recorded
            # What an extremum of nothing begins with would not matter, but NumPy's way is NumPy's.
            program = as_program([operand], [primitive(operand, axes=axes)])
            assert is_supported(program) == [False]
            continue
        if operand is x.node:
            check([x], primitive(operand, axes=axes))
        else:
            check([x], primitive(operand, axes=axes), operand)


def test_inner_products_of_what_is_broadcast(check):
    x = ad.Tensor(A)
    product = PRIMITIVES["inner_product"]
    for axes in ((0,), (1,), (0, 1)):
        y = np.broadcast_to(x[0], (2, 3))
        check([x], product(x.node, y.node, axes=axes), product(x.node, x[::-1].node, axes=axes))


# --- leaves and outputs ----------------------------------------------------------------------------------------------


def test_numbers_of_the_structure_are_literals(check):
    x = ad.Tensor(A)
    lowering = check([x], x * 2 + np.where(x > 1, 0.5, -1.0), x - np.float64(3.7))
    literals = {text for s in lowering.statements for text in s.form.literals if text is not None}
    assert {"0.5", "-1.0", "1", "2"} <= {text.removesuffix(".0") if text != "-1.0" else text for text in literals}
    assert len(lowering.inputs) <= 2


@pytest.mark.parametrize(
    "value", [0, -3, 2**63 - 1, 0.1, -0.0, 1e300, 1e-320, np.inf, -np.inf, True, False, np.float32(0.1), np.int8(-4)]
)
@pytest.mark.parametrize("dtype", ["?", "i8", "f4", "f8"])
def test_literals_mean_their_number(value, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "i" and (isinstance(value, (float, np.floating)) or abs(int(value)) > 2**62):
        return
    with np.errstate(over="ignore", under="ignore"):
        found = meant(literal_text(value), dtype)
        expected = np.asarray(value).astype(dtype)
    assert found == expected
    if dtype.kind == "f":
        assert np.signbit(found) == np.signbit(value)


def meant(literal, dtype):
    """The number that LLVM reads for a literal."""
    text = number_text(number_of(literal), dtype)
    if dtype.kind == "f":
        (found,) = struct.unpack(">d", bytes.fromhex(text.removeprefix("0x")))
        assert dtype.type(found) == found or np.isnan(found), "more digits than the dtype has"
        return dtype.type(found)
    return text == "true" if dtype.kind == "b" else int(text)


def test_not_a_number_is_a_literal():
    assert np.isnan(meant(literal_text(np.nan), np.dtype("f8")))
    assert np.isnan(meant(literal_text(-np.nan), np.dtype("f4")))


def test_every_output_has_a_storage_of_its_own(check):
    x = ad.Tensor(A)
    y = x * 3.0
    lowering = check([x], y, y, y.T, x, x[0], y * 0.25, ad.stop_gradient(y), ops.full((2,), 1.5, np.dtype(float)))
    assert len(lowering.outputs) == 8


def test_what_is_computed_after_others_that_have_more_axes(check):
    x, y = ad.Tensor(np.arange(3.0)), ad.Tensor(np.arange(6.0).reshape(2, 3))
    check([x, y], ops.after_p(x.node, y.node), ops.exp(ops.after_p(ops.sin(x.node), ops.cos(y.node))))


def test_scalars_and_weak_numbers(check):
    x = ad.Tensor(2.5)
    check([x], x * x, np.sin(x), x.reshape(1, 1), np.sum(x), np.broadcast_to(x, (2, 2)))


@settings(derandomize=True, deadline=None, database=None, max_examples=150)
@given(st.lists(st.tuples(*[st.integers(0, 47)] * 3, st.integers(0, 3)), min_size=1, max_size=14))
def test_random_programs_are_what_the_interpreter_computes(as_program, random_graph, run_statements, instructions):
    leaves, outputs = random_graph(instructions, at_arrays=True)
    program = as_program(leaves, outputs)
    values = [x.value for x in leaves]
    expected = Interpreted(program)(*values)
    for found, wanted in zip(run_statements(Lowering(program), values), expected, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-6 if wanted.dtype == np.float32 else 1e-12, atol=1e-12)


# --- what is supported -----------------------------------------------------------------------------------------------


def is_supported(program, largest=1000, is_written=is_written):
    return [supported(program, made, is_written, largest) for made in program.applications()]


def test_dtypes_sizes_and_indices_decide_what_is_supported(as_program, variable):
    x = ad.Tensor(A)
    assert is_supported(as_program([x], [np.sin(x)])) == [True]
    assert is_supported(as_program([x], [np.sin(x)]), largest=5) == [False]
    assert is_supported(as_program([x], [np.sin(x)]), is_written=lambda signature: False) == [False]
    assert is_supported(as_program([x], [x[1]])) == [True]
    assert is_supported(as_program([x], [x[[1, 0]]])) == [True]
    assert is_supported(as_program([x], [np.cumsum(x, axis=0)])) == [False]
    for dtype in ("complex128", "float16", "longdouble"):
        y = ad.Tensor(A.astype(dtype))
        if y.dtype != np.float64:
            assert not any(is_supported(as_program([y], [np.exp(y)])))
    # An index that is an input is not known.
    y = x[1]
    index = y.node.inputs[1]
    assert is_supported(as_program([x.node, index], [y.node])) == [False]
    assert intern_aval((), index.aval.dtype, spec=index.aval.spec) is index.aval


@pytest.mark.parametrize("name", ["remainder", "fmod", "power", "reciprocal", "floor_divide", "gcd", "lcm", "ldexp"])
def test_integer_arithmetic_that_machines_do_otherwise_is_left_to_numpy(as_program, variable, name):
    """Division by zero, the smallest integer by -1, negative powers."""
    primitive = PRIMITIVES[name]
    for dtype in ("i8", "u1", "f8", "f4"):
        x = variable(np.ones(3, dtype))
        try:
            program = as_program([x], [primitive(*[x] * primitive.numpy_ufunc.nin)])
        except errors.DTypeError:
            continue
        assert is_supported(program) == [dtype[0] == "f" and name not in ("floor_divide", "ldexp")]


def test_loops_in_half_precision_are_left_to_numpy(as_program, variable):
    x = variable(np.array([True, False]))
    assert is_supported(as_program([x], [ops.signbit(x)])) == [False]
    x = variable(np.array([1.0, -1.0]))
    assert is_supported(as_program([x], [ops.signbit(x)])) == [True]
