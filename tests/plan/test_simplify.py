"""Simplification: every row by its values before and after, on each kind of array that it can meet."""

import itertools
import math
import operator

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, ops
from autodiff.nodes import Constant, Slot, Variable, as_node, intern_aval
from autodiff.plan import Program, build, prune, simplify
from autodiff.plan.simplify import FINAL_ROWS, ROWS, SPECIAL, Number, Row, Var, simplify_graph
from autodiff_backends._numpy_reference import Interpreted

DTYPES = ["float64", "float32", "complex128", "complex64", "float16", "int64", "uint8", "int8", "bool"]
NUMBERS = [(2, 3), (2.0, 0.5), (-1, 2.0), (0.5, -1.0), (5, 7), (0, 0.0)]
RNG = np.random.default_rng(7)


def sample(shape, dtype):
    """Values of both signs, none near zero, some of them equal."""
    dtype = np.dtype(dtype)
    values = RNG.choice([-3.0, -2.0, -1.25, 0.5, 1.0, 2.0, 3.0], size=shape)
    if dtype.kind == "c":
        return (values + 1j * RNG.choice([-2.0, 0.75, 1.0], size=shape)).astype(dtype)
    if dtype.kind == "u":
        return np.abs(values).astype(dtype)
    return values.astype(dtype)


def run(program, values):
    with np.errstate(all="ignore"):
        return Interpreted(program)(*values)


def assert_same(before, after, dtype):
    """Equal values; the rows may re-associate, so floats in the last bits."""
    dtype = np.dtype(dtype)
    assert np.shape(before) == np.shape(after)
    assert np.asarray(before).dtype == np.asarray(after).dtype
    if dtype.kind in "fc":
        tolerance = 32 * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(after, before, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(after, before)


# --- rows of patterns ------------------------------------------------------------------------------------------------


class Instance:
    """A pattern written down with arrays for its variables and numbers for its numbers."""

    def __init__(self, row, dtype, shapes, numbers):
        self.values = []
        self.nodes = []
        self._row, self._dtype, self._shapes = row, dtype, itertools.cycle(shapes)
        self._numbers = iter(numbers)
        self._bound = {}
        node = self.node(row.pattern)
        self.program = build(self.nodes, [node])
        self.program.quiet = True
        (self.number,) = self.program.outputs
        self.signature = self.program.signatures[self.number]
        self.arguments = self.program.arguments[self.number]

    def node(self, pattern):
        if isinstance(pattern, Var):
            if pattern not in self._bound:
                self._bound[pattern] = self._leaf(pattern)
            return self._bound[pattern]
        if isinstance(pattern, tuple):
            return pattern[0](*[self.node(part) for part in pattern[1:]])
        return as_node(pattern)

    def _leaf(self, pattern):
        if isinstance(pattern, Number):
            return as_node(next(self._numbers))
        value = sample(next(self._shapes), self._dtype)
        node = Variable(intern_aval(value.shape, value.dtype), value, Slot(value))
        self.nodes.append(node)
        self.values.append(value)
        return node

    def apply(self):
        """The value that the row gives, or None, and whether it is taken as it stands."""
        found = self._row(self.program, self.signature, self.arguments)
        if found is None:
            return None, False
        aval, out = self.program.avals[found], self.signature.out
        return found, (aval.dtype, aval.weak) == (out.dtype, out.weak)

    def compare(self, found):
        program = self.program
        shape = self.signature.out.shape
        if program.avals[found].shape != shape:
            found = program.call(ops.broadcast_to_p, found, params=(shape,))
        program.outputs = (self.number, found)
        assert_same(*run(program, self.values), self.signature.out.dtype)


ALL_ROWS = [*ROWS, *FINAL_ROWS]
ALL_SPECIAL = SPECIAL


def label(row):
    return row.equation if isinstance(row, Row) else row[1].__name__ + " of " + row[0].name


@pytest.mark.parametrize("row", ALL_ROWS, ids=label)
def test_row_applies_to_arrays_and_keeps_values_shapes_and_dtypes(row):
    for dtype in ("float64", "float32"):
        applied = 0
        for numbers in NUMBERS:
            instance = Instance(row, dtype, [(2, 3)], numbers)
            found, taken = instance.apply()
            if found is None:
                continue
            assert taken, f"{dtype} with {numbers}: {instance.program.avals[found]!r} for {instance.signature.out!r}"
            instance.compare(found)
            applied += 1
        assert applied, f"{row.equation} never applies to {dtype}"


@pytest.mark.parametrize("row", ALL_ROWS, ids=label)
@pytest.mark.parametrize("dtype", DTYPES)
def test_row_is_right_wherever_it_applies(row, dtype):
    shapes = [[(2, 3)], [()], [(1,), (4,)], [(3, 1), (2,)], [(4,), (1,)], [(2, 3), ()], [(), (2, 3)], [(0, 2)]]
    for shape, numbers in itertools.product(shapes, NUMBERS):
        try:
            instance = Instance(row, dtype, shape, numbers)
            found, taken = instance.apply()
        except (errors.DTypeError, errors.ArgumentError):
            continue  # what NumPy has no loop for, or refuses, is never recorded
        if taken:
            with np.errstate(all="ignore"):
                instance.compare(found)


@pytest.mark.parametrize("row", ALL_ROWS, ids=label)
def test_row_saves_work(row):
    """A replacement is not larger than what it replaces, but for powers, which become products."""
    instance = Instance(row, "float64", [(2, 3)], (2.0, 3.0))
    found, _ = instance.apply()
    if found is None or row.primitive is ops.power:
        return
    before, after = (_size(instance.program, number) for number in (instance.number, found))
    assert after <= before


def _size(program, number):
    kept, program.outputs = program.outputs, (number,)
    size = len(program.applications())
    program.outputs = kept
    return size


@pytest.mark.parametrize("row", ALL_ROWS, ids=label)
def test_row_is_found_by_the_rewriter(row):
    """The filter by heads does not lose rows: the whole set simplifies what one row does."""
    applied = False
    for numbers in NUMBERS:
        instance = Instance(row, "float64", [(2, 3)], numbers)
        found, _ = instance.apply()
        if found is None:
            continue
        simplified = simplify.simplify(instance.program, instance.signature, instance.arguments)
        assert simplified is not None, f"{row.equation} with {numbers} is not found"
        instance.compare(simplified)
        applied = True
    assert applied


@pytest.mark.parametrize("row", ALL_ROWS, ids=label)
def test_equation_is_written_down(row):
    assert "=" in row.equation or "is" in row.equation
    assert row.primitive is row.pattern[0]


EXACT = [
    (lambda i: operator.neg(-i), "x"),
    (lambda i: i + 0, "x"),
    (lambda i: i * 1, "x"),
    (lambda i: i**1, "x"),
    (lambda i: i + i, "add"),
    (lambda i: i * -1, "multiply"),
    (lambda i: i**3, "power"),
    (lambda i: i - (-i), "subtract"),
]


@pytest.mark.parametrize(("function", "last"), EXACT, ids=range(len(EXACT)))
@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8"])
def test_integers_are_left_exact(function, last, dtype):
    value = np.array([1, 100, 5], dtype)
    x = ad.Tensor(value, constant=True)
    try:
        y = function(x)
    except errors.DTypeError:
        return  # -1 does not fit unsigned integers
    program = prune(build([x.node], [y.node], simplify.simplify))
    (number,) = program.outputs
    signature = program.signatures[number]
    assert (signature.primitive.name if signature else "x") == last
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(run(program, [value])[0], function(value))


# --- rows that look at parameters or shapes --------------------------------------------------------------------------


def leaf(shape, dtype="float64"):
    value = sample(shape, dtype)
    return Variable(intern_aval(value.shape, value.dtype), value, Slot(value))


def spread(x, *shape):
    return ops.broadcast_to(x, shape)


def of_one(function):
    return function(leaf((2, 3)))


def of_two(function, dtype="float64", shape=(3,)):
    return function(leaf((3,), dtype), leaf(shape, dtype))


def zeros(*shape):
    return ops.full(shape, 0, np.dtype(float))


def static(size, start=0):
    return ops.static_index((slice_length(size),), (slice(start, start + 2, 1),))


def slice_length(size):
    return min(2, size)


# For each row, by its function and primitive: what it applies to, and what it must leave alone.
SPECIAL_CASES = {
    ("_astype_same", "astype"): (
        [
            lambda: ops.astype_p(leaf((2, 3)), dtype=np.dtype("float64")),
            lambda: ops.astype_p(as_node(2), dtype=np.dtype("float64")),
            lambda: ops.astype_p(as_node(0.5), dtype=np.dtype("float32")),
            lambda: ops.astype_p(as_node(True), dtype=np.dtype("complex64")),
        ],
        [
            lambda: ops.astype_p(leaf((2, 3)), dtype=np.dtype("float32")),
            lambda: ops.astype_p(leaf((2, 3), "int64"), dtype=np.dtype("float64")),
        ],
    ),
    ("_reshape_chain", "reshape"): (
        [
            lambda: ops.reshape_p(ops.reshape_p(leaf((2, 6)), shape=(3, 4)), shape=(12,)),
            lambda: ops.reshape_p(leaf((2, 6)), shape=(2, 6)),
            lambda: ops.reshape_p(ops.reshape_p(leaf((2, 6)), shape=(12,)), shape=(2, 6)),
        ],
        [lambda: ops.reshape_p(leaf((2, 6)), shape=(12,))],
    ),
    ("_reshape_of_number", "reshape"): (
        [
            lambda: ops.reshape_p(spread(as_node(2.0), 2, 6), shape=(3, 4)),
            lambda: ops.reshape_p(spread(leaf(()), 2, 6), shape=(12,)),
            lambda: ops.reshape_p(as_node(2.0), shape=(1, 1)),
        ],
        [lambda: ops.reshape_p(leaf(()), shape=(1, 1)), lambda: ops.reshape_p(spread(leaf((6,)), 2, 6), shape=(12,))],
    ),
    ("_transpose_chain", "transpose"): (
        [
            lambda: ops.transpose_p(ops.transpose_p(leaf((2, 3, 4)), axes=(1, 2, 0)), axes=(2, 1, 0)),
            lambda: ops.transpose_p(ops.transpose_p(leaf((2, 3, 4)), axes=(1, 2, 0)), axes=(1, 2, 0)),
            lambda: ops.transpose_p(leaf((2, 3)), axes=(0, 1)),
            lambda: ops.transpose_p(spread(leaf(()), 2, 3), axes=(1, 0)),
        ],
        [
            lambda: ops.transpose_p(leaf((2, 3)), axes=(1, 0)),
            lambda: ops.transpose_p(spread(leaf((3,)), 2, 3), axes=(1, 0)),
        ],
    ),
    ("_broadcast_chain", "broadcast_to"): (
        [
            lambda: ops.broadcast_to_p(ops.broadcast_to_p(leaf((3,)), shape=(2, 3)), shape=(4, 2, 3)),
            lambda: ops.broadcast_to_p(ops.broadcast_to_p(leaf((2, 1)), shape=(2, 3)), shape=(4, 2, 3)),
            lambda: ops.broadcast_to_p(leaf((2, 3)), shape=(2, 3)),
        ],
        [lambda: ops.broadcast_to_p(leaf((3,)), shape=(2, 3))],
    ),
    ("_scalars_together", "multiply"): (
        [
            lambda: 0.5 * (leaf(()) * leaf((3,))),
            lambda: leaf(()) * (leaf((3,)) * (leaf(()) * leaf((3,)))),
            lambda: ((leaf((4, 3)) * leaf(())) * leaf((3,))) * as_node(2.5),
            lambda: as_node(2.5) * (leaf((3,), "float32") * (leaf((), "float32") * leaf((3,), "float32"))),
            lambda: as_node(2.5) * (leaf((3,), "complex64") * leaf((), "complex64")),
        ],
        [
            lambda: leaf(()) * (leaf(()) * leaf(())),
            lambda: leaf((), "float32") * (leaf(()) * leaf((3,))),
            lambda: leaf(()) * (leaf((3,), "float32") * leaf((), "float32")),
            lambda: leaf((3,)) * (leaf(()) * leaf((3,))),
            lambda: (leaf(()) * leaf(())) * (leaf(()) * leaf((3,))),
            lambda: as_node(60.0) * ((60.0 * (30.0 * leaf(()))) * leaf((3,))),
            lambda: leaf((), "int64") * (leaf((), "int64") * leaf((3,), "int64")),
            lambda: leaf(()) * (leaf(()) + leaf((3,))),
        ],
    ),
    ("_negative_scalar", "negative"): (
        [
            lambda: -(leaf(()) * leaf((3,))),
            lambda: -(leaf((4, 3), "float32") * (leaf((), "float32") * leaf((4, 3), "float32"))),
            lambda: -(leaf((4, 3)) * ((leaf(()) * leaf(())) * leaf((4, 3)))),
        ],
        [
            lambda: -(leaf((4, 3)) * leaf((4, 3))),
            lambda: -(leaf(()) * leaf(())),
            lambda: -(2.0 * leaf((3,))),
            lambda: -((leaf(()) * (leaf(()) * leaf(()))) * leaf((3,))),
        ],
    ),
    ("_number_to_smaller_factor", "multiply"): (
        [
            lambda: 2 * (leaf((4, 3)) * leaf((3,))),
            lambda: (leaf((4, 1), "float32") * leaf((4, 3), "float32")) * 0.5,
            lambda: 2 * (leaf((4, 1)) * leaf((1, 3))),
        ],
        [
            lambda: 2 * (leaf((4, 3)) * leaf((4, 3))),
            lambda: 2 * (leaf((4, 3)) * leaf((3,), "float32")),
            lambda: 2 * (leaf((4, 3), "int64") * leaf((3,), "int64")),
            lambda: leaf((3,)) * (leaf((4, 3)) * leaf((3,))),
        ],
    ),
    ("_sum_of_scaled", "sum"): (
        [
            lambda: ops.sum_p(2 * leaf((3, 2)), axes=(0,)),
            lambda: ops.sum_p(leaf((3, 2), "complex128") * 0.5, axes=(0, 1)),
            lambda: ops.sum_p(-leaf((3, 2), "float32"), axes=(1,)),
        ],
        [
            lambda: ops.sum_p(leaf((3,), "int64") * 2, axes=(0,)),
            lambda: ops.sum_p(leaf((3,)) * leaf((3,)), axes=(0,)),
        ],
    ),
    ("_sum_of_repeated_factor", "sum"): (
        [
            lambda: ops.sum_p(leaf((4, 3, 2)) * leaf((4, 1, 2)), axes=(1,)),
            lambda: ops.sum_p(leaf((4, 3)) * leaf((3,)), axes=(0,)),
            lambda: ops.sum_p(leaf((4, 1), "complex128") * leaf((4, 3), "complex128"), axes=(1,)),
            lambda: ops.sum_p(leaf((4, 3)) * leaf((1, 1)), axes=(0, 1)),
        ],
        [
            lambda: ops.sum_p(leaf((4, 3)) * leaf((4, 3)), axes=(1,)),
            lambda: ops.sum_p(leaf((4, 1)) * leaf((1, 3)), axes=(1,)),
            lambda: ops.sum_p(leaf((4, 3)) * leaf((3,), "float32"), axes=(0,)),
            lambda: ops.sum_p(leaf((4, 3), "int64") * leaf((3,), "int64"), axes=(0,)),
        ],
    ),
    ("_sum_of_matrix_product", "sum"): (
        [
            lambda: ops.sum_p(ops.matmul_p(leaf((3, 4)), leaf((4, 2))), axes=(0,)),
            lambda: ops.sum_p(ops.matmul_p(leaf((3, 4)), leaf((4, 2))), axes=(1,)),
            lambda: ops.sum_p(ops.matmul_p(leaf((5, 3, 4)), leaf((4, 2), "float64")), axes=(2,)),
            lambda: ops.sum_p(ops.matmul_p(leaf((5, 3, 4)), leaf((1, 4, 2))), axes=(1,)),
        ],
        [
            lambda: ops.sum_p(ops.matmul_p(leaf((5, 3, 4)), leaf((5, 4, 2))), axes=(0,)),
            lambda: ops.sum_p(ops.matmul_p(leaf((3, 4)), leaf((4, 2))), axes=(0, 1)),
            lambda: ops.sum_p(ops.matmul_p(leaf((3, 4), "int64"), leaf((4, 2), "int64")), axes=(0,)),
        ],
    ),
    ("_sum_of_transpose", "sum"): (
        [
            lambda: ops.sum_p(ops.transpose_p(leaf((2, 3, 4)), axes=(1, 2, 0)), axes=(0,)),
            lambda: ops.sum_p(ops.transpose_p(leaf((2, 3, 4, 5)), axes=(3, 1, 0, 2)), axes=(1,)),
            lambda: ops.sum_p(ops.transpose_p(leaf((2, 3, 4, 5)), axes=(3, 1, 0, 2)), axes=(0, 2)),
            lambda: ops.sum_p(ops.transpose_p(leaf((2, 3), "int64"), axes=(1, 0)), axes=(0, 1)),
        ],
        [lambda: ops.sum_p(leaf((2, 3)), axes=(0,))],
    ),
    ("_sum_of_sum", "sum"): (
        [
            lambda: ops.sum_p(ops.matmul_p(leaf((3, 4)), leaf((4, 2))) + leaf((3, 2)), axes=(0,)),
            lambda: ops.sum_p(
                leaf((3, 2)) - ops.transpose_p(ops.matmul_p(leaf((2, 4)), leaf((4, 3))), axes=(1, 0)), axes=(1,)
            ),
            lambda: ops.sum_p(leaf((4, 3, 2)) * leaf((3, 2)) - leaf((4, 3, 2)), axes=(0,)),
            lambda: ops.sum_p(
                leaf((4, 3), "complex64") + leaf((4, 1), "complex64") * leaf((4, 3), "complex64"), axes=(1,)
            ),
        ],
        [
            lambda: ops.sum_p(leaf((4, 3)) + leaf((4, 3)), axes=(0,)),
            lambda: ops.sum_p(leaf((4, 3)) * leaf((3,)) + leaf((4, 3)), axes=(1,)),
            lambda: ops.sum_p(leaf((4, 3)) * leaf((3,)) - leaf((3,)), axes=(0,)),
            lambda: ops.sum_p(ops.matmul_p(leaf((5, 3, 4)), leaf((5, 4, 2))) + leaf((5, 3, 2)), axes=(0,)),
            lambda: ops.sum_p(leaf((4, 3), "int64") * leaf((3,), "int64") + leaf((4, 3), "int64"), axes=(0,)),
        ],
    ),
    ("_sum_of_broadcast", "sum"): (
        [
            lambda: ops.sum_p(spread(leaf((3,)), 4, 3), axes=(0,)),
            lambda: ops.sum_p(spread(leaf((3,)), 4, 3), axes=(0, 1)),
            lambda: ops.sum_p(spread(leaf((2, 1)), 4, 2, 3), axes=(0, 2)),
            lambda: ops.sum_p(spread(leaf((2, 1)), 4, 2, 3), axes=(0, 1, 2)),
            lambda: ops.sum_p(spread(leaf((2, 1)), 4, 2, 3), axes=(2,)),
            lambda: ops.sum_p(spread(leaf(()), 4, 3), axes=(0, 1)),
            lambda: ops.sum_p(spread(leaf((1, 3), "complex64"), 4, 3), axes=(0,)),
            lambda: ops.sum_p(spread(leaf((2, 1), "float32"), 2, 3), axes=(1,)),
            lambda: ops.sum_p(spread(leaf((3,)), 0, 3), axes=(0,)),
        ],
        [
            lambda: ops.sum_p(spread(leaf((3,)), 4, 3), axes=(1,)),
            lambda: ops.sum_p(spread(leaf((3,), "int64"), 4, 3), axes=(0,)),
            lambda: ops.sum_p(leaf((4, 3)), axes=(0,)),
        ],
    ),
    ("_matmul_of_negative", "matmul"): (
        [
            lambda: ops.matmul_p(-leaf((2, 3)), leaf((3, 2))),
            lambda: ops.matmul_p(leaf((2, 3)), -leaf((3, 2))),
            lambda: ops.matmul_p(-leaf((5, 2, 3)), leaf((3, 2))),
        ],
        [
            lambda: ops.matmul_p(-leaf((4, 1)), leaf((1, 4))),
            lambda: ops.matmul_p(-leaf((2, 3), "int64"), leaf((3, 2), "int64")),
            lambda: ops.matmul_p(leaf((2, 3)), leaf((3, 2))),
        ],
    ),
    ("_matmul_by_number", "matmul"): (
        [
            lambda: ops.matmul_p(leaf((1, 1)), leaf((1, 4))),
            lambda: ops.matmul_p(leaf((4, 1)), leaf((1, 1))),
            lambda: ops.matmul_p(leaf((1, 1)), leaf((1, 1))),
        ],
        [
            lambda: ops.matmul_p(leaf((4, 1)), leaf((1, 4))),
            lambda: ops.matmul_p(leaf((5, 1, 1)), leaf((5, 1, 1))),
        ],
    ),
    ("_index_add_to_sum", "add"): (
        [
            lambda: leaf((3,)) + ops.index_add(zeros(3), static(3), leaf((2,))),
            lambda: ops.index_add(zeros(3), static(3), leaf((2,))) + leaf((3,)),
        ],
        [
            lambda: leaf((3,)) + ops.index_add(leaf((3,)), static(3), leaf((2,))),
            lambda: leaf((4, 3)) + ops.index_add(zeros(3), static(3), leaf((2,))),
            lambda: leaf((3,)) + leaf((3,)),
        ],
    ),
    ("_index_add_again", "index_add"): (
        [
            lambda: ops.index_add(ops.index_add(leaf((3,)), static(3), leaf((2,))), static(3), leaf((2,))),
            lambda: ops.index_add(
                ops.index_add(ops.index_add(zeros(3), static(3), leaf((2,))), static(3, 1), leaf((2,))),
                static(3),
                leaf((2,)),
            ),
        ],
        [
            lambda: ops.index_add(ops.index_add(leaf((3,)), static(3), leaf((2,))), static(3, 1), leaf((2,))),
            lambda: ops.index_add(ops.index_set(leaf((3,)), static(3), leaf((2,))), static(3), leaf((2,))),
            lambda: ops.index_add(leaf((3,)), static(3), leaf((2,))),
            lambda: ops.index_add(ops.index_add(leaf((3,)), static(3), leaf((2,))), static(3), leaf((1,))),
        ],
    ),
    ("_like_terms", "add"): (
        [
            lambda: of_two(lambda x, y: (x * 2.0 + y) + x),
            lambda: of_two(lambda x, y: (x - y) + (y * 3 + x)),
            lambda: of_two(lambda x, y: (x - -y) + (y * 0.5 - x * 2)),
            lambda: of_two(lambda x, y: (x + y) + (y + x * -1.0) * 1 + x, "complex128"),
            lambda: of_two(lambda x, y: (x * 2.0 + y) + x, "float32"),
        ],
        [
            lambda: leaf((3,)) * 2.0 + leaf((3,)),
            lambda: of_two(lambda x, y: (x + y) + x, "int64"),
            lambda: of_two(lambda x, y: (x + y) + x, shape=(2, 3)),
        ],
    ),
    ("_like_terms", "subtract"): (
        [
            lambda: of_two(lambda x, y: (x * 3 + y) - x),
            lambda: of_two(lambda x, y: (x * 2.0 - y) - (x * 0.5 + y)),
        ],
        [lambda: of_two(lambda x, y: (x * 2.0 + y) - (x * 2.0 - y))],
    ),
    ("_select_same", "where"): (
        [lambda: of_one(lambda x: ops.where_p(ops.greater(x, 0), x, x))],
        [lambda: ops.where_p(ops.greater(leaf((3,)), 0), leaf((3,)), leaf((3,)))],
    ),
}


def special(function, primitive):
    return (function.__name__, primitive.name)


def apply_alone(row, make):
    node = make()
    leaves = sorted({n for n in ad.nodes.history(node) if isinstance(n, Variable)}, key=lambda n: n.sequence)
    program = build(leaves, [node])
    (number,) = program.outputs
    signature = program.signatures[number]
    found = row(program, signature, program.arguments[number])
    return program, leaves, number, found


def test_every_special_row_has_its_cases():
    assert {special(function, primitive) for primitive, function in SPECIAL} == set(SPECIAL_CASES)
    assert all(function.__doc__ and "=" in function.__doc__ for _, function in SPECIAL)


@pytest.mark.parametrize("entry", SPECIAL, ids=lambda entry: f"{entry[1].__name__}-{entry[0].name}")
def test_special_row(entry, verify):
    primitive, row = entry
    applies, leaves_alone = SPECIAL_CASES[special(row, primitive)]
    for make in applies:
        program, leaves, number, found = apply_alone(row, make)
        assert found is not None, str(program)
        out = program.avals[number]
        assert (program.avals[found].dtype, program.avals[found].weak) == (out.dtype, out.weak)
        if program.avals[found].shape != out.shape:
            found = program.call(ops.broadcast_to_p, found, params=(out.shape,))
        program.outputs = (number, found)
        verify(program)
        assert_same(*run(program, [n.value for n in leaves]), out.dtype)
        if len(out.shape):
            simplified = prune(build(leaves, [make_again(program, number, leaves)], simplify.simplify))
            verify(simplified)
    for make in leaves_alone:
        program, _, number, found = apply_alone(row, make)
        taken = found is not None and program.avals[found] is program.avals[number]
        assert not taken, str(program)


def make_again(program, number, leaves):
    """The nodes of a program's value."""
    nodes = {}
    for i in range(number + 1):
        signature = program.signatures[i]
        if i < program.n_inputs:
            nodes[i] = leaves[i]
        elif signature is None:
            nodes[i] = Constant(program.avals[i], program.constants[i])
        else:
            nodes[i] = signature.primitive(*[nodes[a] for a in program.arguments[i]], **signature.keywords)
    return nodes[number]


# --- folding, numbers, broadcasts ------------------------------------------------------------------------------------


def simplified(x, y):
    return prune(build([x.node], [y.node], simplify.simplify))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: as_node(2.0) * 0.5 + 1.0, 2.0),
        (lambda: ops.sqrt(as_node(2.0)), math.sqrt(2.0)),
        (lambda: ops.where_p(ops.greater(as_node(2.0), 1.0), as_node(0.5), as_node(-1.0)), None),
        (lambda: ops.full((), 0.5, np.dtype("float32")) * 2, 1.0),
    ],
    ids=range(4),
)
def test_numbers_are_folded(make, expected):
    node = make()
    program = prune(build([], [node], simplify.simplify))
    assert program.avals[program.outputs[0]].dtype == node.dtype
    if expected is not None:
        assert program.applications() == []
        assert Interpreted(program)()[0] == expected


@pytest.mark.parametrize(
    "make",
    [lambda: as_node(1.0) / 0.0, lambda: ops.log(as_node(-1.0)), lambda: ops.exp(as_node(64.0) * 64)],
    ids=range(3),
)
def test_infinite_numbers_are_not_folded_but_computed(make):
    program = build([], [make()], simplify.simplify)
    with np.errstate(all="ignore"):
        assert not np.isfinite(Interpreted(program)()[0])


def test_integer_and_float_numbers_are_one_in_floating_arithmetic():
    x = ad.Tensor([1.0, 2.0])
    program = simplified(x, np.sin(x * 2) + np.sin(2.0 * x))
    assert sum(program.signatures[n].primitive.name == "sin" for n in program.applications()) == 1


def test_broadcast_numbers_stay_numbers():
    x = ad.Tensor(np.ones((4, 3)))
    program = simplified(x, np.exp(np.broadcast_to(0.5, (4, 3)) * 2.0) * x)
    assert all(program.avals[n].shape in ((), (4, 3)) for n in program.live())
    assert not any(program.is_primitive(n, ops.broadcast_to_p) for n in program.applications())


def test_plans_of_derivatives_are_short():
    """What simplification is for: the gradient of a sum of squares is one product."""
    x = ad.Tensor(np.ones((4, 3)))
    (d,) = ad.Graph().gradient(np.sum(x**2), [x], as_tensors=True)
    assert len(simplified(x, d).applications()) == 1
    (d,) = ad.Graph().gradient(np.sum(x * 3), [x], as_tensors=True)
    assert len(simplified(x, d).applications()) == 1  # a broadcast


def test_stopped_gradients_stay_stopped_where_derivatives_follow():
    x = ad.Tensor(np.ones(3))
    y = ad.stop_gradient(x) * x
    kept = build([x.node], [y.node], simplify_graph)
    assert any(kept.is_primitive(n, ops.stop_gradient) for n in kept.live())
    gone = prune(build([x.node], [y.node], simplify.simplify))
    assert not any(gone.is_primitive(n, ops.stop_gradient) for n in gone.live())


def test_rewriting_needs_the_dtype_asked_for():
    """A row whose replacement has another dtype is not taken: x * 1.0 in float64 of a float32 array."""
    x = ad.Tensor(np.ones(3, np.float32))
    y = x * np.float64(1.0) + np.zeros((), np.float64)
    assert simplified(x, y).avals[-1].dtype == np.float64
    flags = ad.Tensor([True, False], constant=True)
    program = simplified(flags, flags * 1)
    assert program.avals[program.outputs[0]].dtype == np.int64
    assert isinstance(program, Program)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 0.0])
def test_no_row_hides_an_infinity(value):
    """x * 0, x - x and 0 / x are not simplified: they are NaN where x is."""
    x = ad.Tensor([value])
    with np.errstate(all="ignore"):
        for y in (x * 0, x * 0.0, x - x, 0 / x, x / x, x**0 * 1, x + (-x), x * 2 - x * 2):
            program = simplified(x, y)
            expected = Interpreted(build([x.node], [y.node]))(x.value)[0]
            np.testing.assert_array_equal(Interpreted(program)(x.value)[0], expected)


CHAINS = {
    "factors that do not vary": lambda y, w: y * 1.0001,
    "negatives of products": lambda y, w: -(y * 0.999),
    "numbers": lambda y, w: 0.5 * (y * 2.0 * w[0, 0]),
    "products": lambda y, w: 1.001 * (y * y) ** 0.5,
    "matrix products": lambda y, w: w @ y,
    "views": lambda y, w: y.T.reshape(-1).reshape(3, 3),
    "sums": lambda y, w: y + 0.001 * w,
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_rows_do_not_recurse_down_a_chain(name, axis):
    values, matrix = RNG.uniform(0.5, 1, (3, 3)), np.eye(3)
    x, w = ad.Tensor(values), ad.Tensor(matrix)
    y, wanted = x, values
    for _ in range(2_000):
        y, wanted = CHAINS[name](y, w), CHAINS[name](wanted, matrix)
    total = np.sum(y, axis=axis)
    np.testing.assert_allclose(total.value, np.sum(wanted, axis=axis), rtol=1e-9)
    (slope,) = ad.Graph().gradient(np.sum(total), [x])
    assert slope.shape == (3, 3)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("number", [0.5, 0.25, 64.0, -2.0, 0.3])
def test_numbers_do_not_gather_to_infinity(number, dtype):
    """1,200 products by 0.5 * 2: what is gathered stays within range, though 2^-1200 is not."""
    values = np.array([1.5, -1.0], dtype)
    w = ad.Tensor(np.full(2, 1 / number, dtype), dtype=dtype)
    x = ad.Tensor(values, dtype=dtype)
    y = x
    for _ in range(1_200):
        y = number * (y * w)
    np.testing.assert_allclose(y.value, values, rtol=1e-3)
    (slope,) = ad.Graph().gradient(np.sum(number * (y * w)), [x])
    np.testing.assert_allclose(slope, 1, rtol=1e-3)
