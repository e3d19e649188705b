"""Generated source against the interpreter: every primitive, scalars in Python floats, buffers, aliasing."""

import itertools
import math
import re

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, ops
from autodiff.convert import as_node
from autodiff.core.avals import FLOAT64, intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.nodes import Constant, Slot, Variable
from autodiff.plan import Program, build, prune
from autodiff.plan.simplify import simplify
from autodiff_backends.numpy import primitives
from autodiff_backends.numpy import values as plan_values
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Bare, Generated

SPECIAL_VALUES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 3.0, 710.0, -1e308, 1e-320, np.inf, -np.inf, np.nan]
# Those of SciPy are held to SciPy in the sweep.
ELEMENTWISE = [
    p
    for p in PRIMITIVES.values()
    if p.kind == "elementwise" and not p.params and p not in ops.COMPOSITIONS and p.module == "numpy"
]


def variable(value):
    """A leaf with a value: a Python number is weak."""
    weak = isinstance(value, (int, float, complex)) and not isinstance(value, (bool, np.generic))
    array = np.asarray(value)
    return Variable(intern_aval(array.shape, array.dtype, weak), value if weak else array, Slot(None))


def run(plan_class, program, nodes):
    program.quiet = True
    with np.errstate(all="ignore"):
        return plan_class(program)(*[node.value for node in nodes])


def assert_equal_plans(nodes, outputs, rewrite=None, rtol=1e-14):
    program = prune(build(nodes, outputs, rewrite))
    expected = run(Interpreted, program, nodes)
    results = run(Generated, program, nodes)
    for result, wanted, node in zip(results, expected, outputs):
        assert np.shape(result) == np.shape(wanted) == node.shape
        assert np.asarray(result).dtype == np.asarray(wanted).dtype == node.dtype
        assert isinstance(result, np.ndarray) != node.aval.weak
        if np.asarray(wanted).dtype.itemsize < 8:
            rtol = 1e-6
        np.testing.assert_allclose(result, wanted, rtol=rtol)
        if node.dtype.kind == "f":
            zeros = np.equal(wanted, 0)
            signs = np.signbit(np.where(zeros, result, 0.0)), np.signbit(np.where(zeros, wanted, 0.0))
            np.testing.assert_array_equal(*signs)


def count_inputs(primitive):
    if primitive.numpy_ufunc is not None:
        return primitive.numpy_ufunc.nin
    return {"where": 3, "tanh_slope": 2}.get(primitive.name, 1)


LEAVES = {
    "array": lambda dtype: np.array([1, 2, 3]).astype(dtype),
    "column": lambda dtype: np.array([[1], [2]]).astype(dtype),
    "single": lambda dtype: np.array([2]).astype(dtype),
    "zero-dimensional": lambda dtype: np.array(2).astype(dtype),
    "weak": lambda dtype: np.dtype(dtype).type(2).item(),
    "empty": lambda dtype: np.zeros((0, 3), dtype),
}


@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda p: p.name)
def test_elementwise_primitive_on_every_kind_of_operand(primitive):
    checked = 0
    for dtype in ("float64", "float32", "complex128", "int64", "bool"):
        for kinds in itertools.product(LEAVES, repeat=count_inputs(primitive)):
            values = [LEAVES[kind](dtype) for kind in kinds]
            if primitive.name == "where":
                values[0] = np.asarray(values[0]) > 1
            nodes = [variable(value) for value in values]
            try:
                out = primitive(*nodes)
            except (errors.ShapeError, errors.DTypeError):
                continue
            assert_equal_plans(nodes, [out])
            if len(nodes) == 2:
                assert_equal_plans(nodes, [primitive(out, nodes[1])] if out.dtype == nodes[0].dtype else [out])
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("name", [p.name for p, row in primitives.OVERRIDES.items() if row.scalar is not None])
@pytest.mark.parametrize("weak", [False, True], ids=["zero-dimensional", "weak"])
def test_scalar_template_is_ieee(name, weak):
    """Where Python's floats raise, the plan falls back to what NumPy gives."""
    primitive = PRIMITIVES[name]
    count = count_inputs(primitive)
    values = [x if weak else np.array(x) for x in SPECIAL_VALUES]
    for arguments in itertools.product(values, repeat=min(count, 2)):
        if name == "where":
            arguments = (np.array(bool(arguments[0] > 0)), *arguments)
        if name == "power" and arguments[1] == 0.5:
            continue  # NumPy takes the square root of a single element only, which differs at -0.0 and -inf
        if name == "tanh_slope":
            arguments = (np.tanh(arguments[1]) if not weak else math.tanh(arguments[1]), arguments[1])
        nodes = [variable(x) for x in arguments]
        assert_equal_plans(nodes, [primitive(*nodes)])


@pytest.mark.parametrize("name", ["reshape", "transpose", "broadcast_to", "astype", "sum", "prod", "max", "min"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_single_elements_pass_through(name, shape):
    x = variable(np.full(shape, 2.5))
    made = {
        "reshape": lambda: ops.reshape(x, (1, 1, 1)),
        "transpose": lambda: ops.transpose_p(x, axes=tuple(range(len(shape)))[::-1]),
        "broadcast_to": lambda: ops.broadcast_to_p(x, shape=(1, 1)),
        "astype": lambda: ops.astype_p(ops.sin(x), dtype=np.dtype("float32")),
        "sum": lambda: ops.sum_p(x, axes=tuple(range(len(shape)))),
        "prod": lambda: ops.prod_p(x, axes=tuple(range(len(shape)))),
        "max": lambda: ops.amax(x, axes=tuple(range(len(shape)))),
        "min": lambda: ops.amin(x, axes=tuple(range(len(shape)))),
    }[name]()
    assert_equal_plans([x], [made, ops.cos(made)])


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("primitive", [p for p in ELEMENTWISE if count_inputs(p) == 2], ids=lambda p: p.name)
def test_single_elements_twice_keep_their_axes(primitive, shape):
    """Both operands are Python floats by then, and one of them has to bring the axes."""
    x = variable(np.full(shape, 1.5))
    try:
        out = primitive(x * 2.0, x * 2.0)
    except errors.DTypeError:
        pytest.skip("integers only")
    assert_equal_plans([x], [out])


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "complex64"])
def test_single_elements_of_other_dtypes_convert_exactly(dtype):
    x = variable(np.ones((1,), dtype))
    for target in ("float64", "float32", "int64", "bool", "complex128"):
        if np.dtype(dtype).kind == "c" and np.dtype(target).kind != "c":
            continue
        out = ops.astype_p(x, dtype=np.dtype(target))
        assert_equal_plans([x], [out, ops.multiply(out, out)])


A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[0.7, 4.1, -1.3], [1.6, -0.35, 3.2]])


def written(x, w):
    y = x * 2
    y[0, [0, 0, 2]] = w[1]
    y[1] += w[0] * y[0]
    z = y * 1
    z[:, 1] = 5.0
    return y * z + y


GRAPHS = {
    "reuse of buffers": lambda x, w: np.sin(np.cos(x * w) + x) * np.exp(x - w) + np.tanh(x * w),
    "views of buffers": lambda x, w: (x * w).T.reshape(2, 3) + np.sin((x * w).ravel()[::2])[:, None][:2],
    "views of inputs": lambda x, w: x.T.reshape(2, 3)[::-1] + np.broadcast_to(w[0], (2, 3)) * 2,
    "writes": written,
    "reductions": lambda x, w: np.sum(x * w, axis=0) * np.max(x, axis=1)[:, None] + np.mean(w) - np.prod(x),
    "products": lambda x, w: (x @ w.T) @ (w @ x.T) + np.sum(x @ w.T),
    "outer product to one element": lambda x, w: x[:1] @ w[:1].T * x + w,
    "batches": lambda x, w: np.matmul(x[None], w.T[None] * np.ones((4, 1, 1))),
    "joined": lambda x, w: np.concatenate([x * 2, w, np.stack([x[0], w[1]])], axis=0) ** 2,
    "running": lambda x, w: np.cumsum(x, axis=1) * np.cumprod(w, axis=0),
    "positions": lambda x, w: x[np.argmax(w, axis=0), np.arange(3)] * np.argmin(x),
    "choice": lambda x, w: np.where(x > w, x, np.where(w > 0, 2.0, w)) + np.clip(x, -1, 1),
    "truth": lambda x, w: np.all(x > 0, axis=0) * w + np.any(w < 0, axis=1)[:, None],
    "scalars": lambda x, w: np.sum(x) / np.sum(w) * np.sqrt(np.sum(x * x)) * x + np.sum(w) ** 3,
    "single": lambda x, w: x.astype(np.float32) * w.astype(np.float32)[0] * 2.5 + np.float32(1),
    "complex": lambda x, w: np.real((x + 1j * w) ** 2) + np.imag(np.exp(1j * x)) * np.abs(w + 2j),
    "numbers": lambda x, w: 2 * x + 0.5 * w - 1 / x + 3.7 / w + 2**w,
    "large broadcast": lambda x, w: np.sum(np.broadcast_to(x, (3000, 2, 3)) * 2, axis=0) + w,
    "integers": lambda x, w: np.floor_divide(x, 0.7) + np.remainder(w, 0.3) + np.sign(x),
    "exponents": lambda x, w: np.frexp(x * w)[0] * np.ldexp(x, np.frexp(w)[1]),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("layout", ["plain", "transposed", "reversed", "one array", "read-only"])
def test_generated_plans_equal_interpreted_ones(name, layout):
    a, b = A.copy(), B.copy()
    if layout == "transposed":
        a, b = np.asfortranarray(a), np.asfortranarray(b)
    elif layout == "reversed":
        a, b = a[::-1, ::-1], b[:, ::-1]
    elif layout == "one array":
        b = a
    elif layout == "read-only":
        a.flags.writeable = b.flags.writeable = False
    kept = a.copy(), b.copy()
    x, w = ad.Tensor(a, copy=False), ad.Tensor(b, copy=False)
    y = GRAPHS[name](x, w)
    outputs = [y.node, *[t.node for t in ad.Graph().gradient(y, [x, w], as_tensors=True)]]
    for rewrite in (None, simplify):
        assert_equal_plans([x.node, w.node], outputs, rewrite, rtol=1e-12)
    np.testing.assert_array_equal(a, kept[0])
    np.testing.assert_array_equal(b, kept[1])


@pytest.mark.parametrize("name", GRAPHS)
def test_calls_share_no_memory(name):
    x, w = ad.Tensor(A), ad.Tensor(B)
    y = GRAPHS[name](x, w)
    outputs = [y.node, *[t.node for t in ad.Graph().gradient(y, [x, w], as_tensors=True)], y.node, x.node]
    program = prune(build([x.node, w.node], outputs, simplify))
    plan = Generated(program)
    first, second = plan(A, B), plan(A, B)
    arrays = [A, B, *first, *second]
    for i, one in enumerate(arrays):
        for other in arrays[i + 1 :]:
            assert not np.shares_memory(one, other)
    kept = [array.copy() for array in second]
    plan(B, A)
    for array, wanted in zip(second, kept):
        np.testing.assert_array_equal(array, wanted)


def chain(length, shape=(3,)):
    x = variable(np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape))
    node = x
    for i in range(length):
        node = ops.sin(node) if i % 2 else ops.cos(node)
    return x, node


def test_a_chain_works_in_place_in_one_buffer():
    x, node = chain(20)
    plan = Generated(build([x], [node]))
    assert plan.source.count("empty((3,)") == 1
    assert plan.n_operations == 20


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex64"])
@pytest.mark.parametrize("shape", [(6, 3), (2, 5, 10), (2, 3, 1, 4), (4, 0, 3), (0, 5), (3, 4, 40), (2, 3, 0)])
def test_sums_of_rows(shape, dtype):
    rng = np.random.default_rng(9)
    nodes = [variable(rng.normal(size=shape).astype(dtype)) for _ in range(2)]
    x, y = nodes
    last = (len(shape) - 1,)
    swapped = ops.transpose(ops.reshape(x, shape[::-1]), tuple(range(len(shape)))[::-1])
    sums = [ops.sum_p(ops.exp(x), axes=last), ops.sum_p(swapped, axes=last), ops.inner_product(x, y, axes=last)]
    squares = ops.inner_product(swapped, ops.sin(y), axes=last)
    outputs = [*sums, squares, *[ops.sin(z) for z in (*sums, squares)]]
    program = prune(build(nodes, outputs))
    values = [node.value for node in nodes]
    for found, wanted in zip(Generated(program)(*values), Interpreted(program)(*values)):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-12 if dtype == "float64" else 1e-4, atol=1e-5)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, complex(np.nan, -np.inf), 0.1, True])
def test_numbers_that_are_not_finite_are_written(number):
    x = variable(np.array([1.0, -np.inf, np.inf]))
    for shape in ((), (2, 1)):
        value = np.full(shape, number)
        constant = Constant(intern_aval(shape, value.dtype), value)
        assert_equal_plans([x], [ops.where(ops.equal(x, 1.0), constant, x)])


def _static(*entries):
    """An index of the structure: slices of one axis, or integers."""
    spec = tuple([e.stop - e.start if isinstance(e, slice) else "i" for e in entries])
    return ops.indexing.static_index(spec, entries)


def _zeros(*shape, value=0.0):
    return ops.broadcast_to(as_node(value), shape)


HEAD, TAIL, THIRD = _static(slice(0, 3, 1)), _static(slice(1, 4, 1)), _static(2)
CHAINS = {
    "zeros": lambda x, y, part: [ops.index_add(ops.index_add(_zeros(4), HEAD, x), TAIL, x * 2)],
    "zeros used twice": lambda x, y, part: [ops.index_add(_zeros(4), HEAD, x), ops.index_add(_zeros(4), TAIL, x)],
    "zeros used elsewhere": lambda x, y, part: [ops.index_add(_zeros(4), HEAD, x), _zeros(4) * y],
    "zeros that leave": lambda x, y, part: [ops.index_add(_zeros(4), HEAD, x), _zeros(4)],
    "ones": lambda x, y, part: [ops.index_set(_zeros(4, value=1.0), HEAD, x)],
    "infinities": lambda x, y, part: [ops.index_set(_zeros(4, value=-np.inf), HEAD, x)],
    "an input": lambda x, y, part: [ops.index_set(part, THIRD, ops.sum(ops.exp(x), (0,)))],
    "a part that leaves": lambda x, y, part: [part, ops.index_add(part, TAIL, x)],
    "a part that is read": lambda x, y, part: [ops.index_add(part, TAIL, x) * part],
    "a base that is added": lambda x, y, part: [ops.index_add(part, HEAD, ops.index(part, TAIL))],
    "inside": lambda x, y, part: [ops.exp(ops.index_add(ops.index_add(_zeros(4), HEAD, x), TAIL, x))],
    "a view that leaves": lambda x, y, part: [ops.reshape(ops.index_add(_zeros(4), HEAD, x), (2, 2))],
    "two that branch": lambda x, y, part: [ops.index_add(part, TAIL, x), ops.index_set(part, HEAD, x)],
    "single precision": lambda x, y, part: [
        ops.index_add(_zeros(4, value=SINGLE), HEAD, ops.astype(x, SINGLE.aval.dtype))
    ],
}
SINGLE = ops.astype(as_node(0.0), np.dtype(np.float32))


def written(name):
    """Inputs and outputs: arrays of three and four elements, and writes that begin with one into the second."""
    x, y = variable(np.array([1.5, -2.0, 0.25])), variable(np.array([3.0, 4.0, -5.0, 0.5]))
    return [x, y], CHAINS[name](x, y, ops.index_add(y, HEAD, x))


@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_writes(name):
    nodes, outputs = written(name)
    assert_equal_plans(nodes, outputs)
    plan = Generated(prune(build(nodes, outputs)))
    first = plan(*[node.value for node in nodes])
    kept = [np.array(value) for value in first]
    plan(*[node.value + 1 for node in nodes])
    np.testing.assert_equal(first, kept)


def test_a_chain_that_leaves_is_written_where_it_leaves_from():
    text = Generated(prune(build(*written("zeros")))).source
    assert "= zeros((4,), 'float64')" in text
    assert "copyto" not in text
    assert " array(v" not in text
    text = Generated(prune(build(*written("an input")))).source
    assert text.count("array(x1)") == 1
    assert "copyto" not in text


def test_buffers_are_kept_between_calls():
    x, node = chain(4)
    plan = Generated(build([x], [node]))
    plan(x.value)
    (buffers,) = plan._spare
    plan(x.value)
    assert plan._spare == [buffers]


def test_single_elements_of_buffers_are_those_of_each_call():
    x, y = variable(np.array([0.5, 1.5])), variable(np.array([[2.0, 1.0], [3.0, 4.0]]))
    halves = ops.multiply(ops.argmax(y, axis=1), as_node(0.5))
    elements = [ops.index(halves, ops.static_index(("i",), (i,))) for i in range(2)]
    program = prune(build([x, y], [ops.add(ops.tanh(ops.multiply(x, elements[1])), ops.multiply(x, elements[0]))]))
    plan = Generated(program)
    for values in (y.value, y.value[::-1].copy()):
        np.testing.assert_array_equal(plan(x.value, values)[0], Interpreted(program)(x.value, values)[0])


def test_a_failing_call_leaves_the_plan_usable():
    x, node = chain(4)
    plan = Generated(build([x], [node]))
    with pytest.raises((TypeError, ValueError)):
        plan(np.array(["text"] * 3))
    np.testing.assert_allclose(plan(x.value)[0], np.sin(np.cos(np.sin(np.cos(x.value)))))


def test_the_fall_back_is_exact_and_leaves_the_plan_usable():
    x = variable(1.0)
    plan = Generated(build([x], [ops.exp(x) / x, ops.sin(x)]))
    with np.errstate(all="ignore"):
        assert plan(1000.0) == (np.inf, np.sin(1000.0))
        assert plan(0.0) == (np.inf, 0.0)
    assert plan(1.0) == (np.exp(1.0), np.sin(1.0))
    with pytest.warns(RuntimeWarning):
        plan(0.0)


def test_errors_that_are_not_arithmetic_are_not_hidden():
    x = variable(np.ones(3))
    plan = Generated(build([x], [ops.cos(ops.sin(x))]))
    with pytest.raises(ValueError, match=r"broadcast|shape|out"):
        plan(np.ones(4))


def test_source_stands_alone_and_holds_no_user_text():
    x = variable(np.ones(3))
    positions = np.array([0, 0, 2])
    node = ops.sum(ops.take(x * 2.5 + as_node(np.float32(3.5)), positions, 0) ** 3, (0,))
    program = prune(build([x], [node], simplify))
    plan = Generated(program)
    namespace = {}
    exec(compile(plan.source, "<source>", "exec"), namespace)
    (result,) = namespace["run"](namespace["workspace"](), np.arange(3.0))
    np.testing.assert_allclose(result, plan(np.arange(3.0))[0])
    words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"#.*", "", plan.source)))
    own = re.compile(
        r"[vxsbc]\d+|buffers|workspace|run|def|return|from|import|numpy|math|with|if|else|and|or|not|in|None|True|False|out"
    )
    known = set(dir(np)) | set(dir(np.ndarray)) | {"axis", "dtype", "ndmin", "reduce", "where"}
    assert [word for word in words - known if not own.fullmatch(word)] == []


def test_storage_gives_free_buffers_again():
    storage = plan_values.Storage()
    vector, matrix = intern_aval((3,), FLOAT64), intern_aval((2, 3), FLOAT64)
    first = storage.take(vector)
    second = storage.take(vector)
    third = storage.take(matrix)
    assert len({first, second, third}) == 3
    storage.give(first)
    assert storage.take(matrix) != first
    assert storage.take(vector) == first
    assert storage.take(intern_aval((3,), np.dtype(np.float32))) not in (first, second)
    assert storage.nbytes == 3 * 8 * 2 + 6 * 8 * 2 + 3 * 4


def test_empty_program():
    assert Generated(Program([]))() == ()


def test_the_backend_compiles_to_source():
    assert "def run(" in ad.get_backend("numpy").compile(Program([])).source


def test_plans_of_numbers_are_functions_that_nothing_is_around():
    def plan_of(function, value):
        traced = ad.function(function)
        traced(value)
        (variants,) = traced._cache.values()
        return variants[0].plan

    plan = plan_of(lambda x: 1.0 / x + np.sqrt(x), 4.0)
    assert isinstance(plan, Bare)
    assert plan(4.0) == (2.25,)
    assert plan.n_operations == 3
    assert "def run(" in plan.source
    with np.errstate(all="ignore"):
        assert plan(0.0) == (np.inf,)
        assert np.isnan(plan(-1.0)[0])
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert plan(0.0) == (np.inf,)
    for function, value in [(lambda x: x + 1.0, A), (lambda x: x + np.ones(2), 1.0), (np.exp, np.float32(1.0))]:
        assert not isinstance(plan_of(function, value), Bare)
