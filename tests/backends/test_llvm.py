"""Compiled kernels against the interpreter: every primitive, dtypes, layouts, regions, threads, kernels on disk."""

import itertools
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import errors, gradients
from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.ops import COMPOSITIONS
from autodiff.plan import execute
from autodiff.registry import get_backend
from autodiff.tensor import wrap
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm import told
from autodiff_backends.llvm.backend import BACKEND, Kernel, Staged, is_supported
from autodiff_backends.llvm.values import Unwritten, type_of
from autodiff_backends.loops import files as kernel_files
from autodiff_backends.loops.regions import Composed
from autodiff_backends.numpy.reference import Interpreted

pytest.importorskip("llvmlite")

ROOT = Path(__file__).parents[2]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 3.0, 0.3, 710.0, -1e30, 1e-42, 5e-324, np.inf, -np.inf, np.nan]
INTEGERS = [0, 1, -1, 2, 3, -7, 63, 64, 100, 2**62, 2**63 - 1, -(2**63)]
# The farthest from NumPy, in units of the last place, that a compiled function may be.
ULPS = 4


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Kernels of these tests go to a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("kernels")
        patch.setenv(kernel_files.CACHE_VARIABLE, str(path))
        yield path


@pytest.fixture
def everywhere(monkeypatch):
    """Kernels also where they do not pay."""
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))


def interpreted(program, values):
    with np.errstate(all="ignore"):
        return Interpreted(program)(*values)


def assert_close(found, wanted, ulps=ULPS, scale=0.0):
    """Equal but for some units in the last place (of ``scale`` if that is larger); zeros may differ in sign."""
    assert type(found) is type(wanted)
    assert np.shape(found) == np.shape(wanted)
    if np.asarray(wanted).dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted, strict=True)
        return
    assert np.asarray(found).dtype == np.asarray(wanted).dtype
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(np.abs(wanted), np.asarray(scale, np.asarray(wanted).dtype)))
        finite = np.isfinite(wanted)
        np.testing.assert_array_equal(np.where(finite, 0, found), np.where(finite, 0, wanted))
        apart = np.where(finite, np.abs(np.subtract(found, wanted)) / unit, 0)
    assert np.max(apart, initial=0) <= ulps


def assert_kernel(program, values, ulps=ULPS, scale=0.0):
    plan = BACKEND.compile(program)
    assert isinstance(plan, (Kernel, Staged))
    for found, wanted in zip(plan(*values), interpreted(program, values), strict=True):
        assert_close(found, wanted, ulps, scale)
    return plan


# --- primitives ------------------------------------------------------------------------------------------------------


def applications(operands):
    """Every elementwise primitive that takes these operands, and is compiled for them."""
    for primitive in PRIMITIVES.values():
        known = primitive.module == "numpy" and primitive not in COMPOSITIONS
        if primitive.kind == "elementwise" and not primitive.params and known:
            ufunc = primitive.numpy_ufunc
            count = ufunc.nin if ufunc is not None else {"where": 3, "masked_multiply": 2}.get(primitive.name, 1)
            try:
                yield primitive, primitive(*operands[3 - count :])
            except errors.AutodiffError:
                continue


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize(("dtype", "most_left_out"), [("f8", 4), ("f4", 4), ("i8", 15), ("?", 45)])
def test_every_elementwise_primitive(as_program, variable, dtype, most_left_out):
    """On all pairs of special values; one kernel for all of them."""
    special = {"f": FLOATS, "i": INTEGERS, "?": [True, False]}[dtype[0]]
    with np.errstate(all="ignore"):
        special = np.array(special).astype(dtype)
    x, y = (variable(grid.ravel()) for grid in np.meshgrid(special, special))
    operands = [variable(np.arange(x.aval.size) % 3 == 0), x, y]
    compiled, left_out = [], []
    for primitive, node in applications(operands):
        program = as_program(operands, [node])
        known = all(is_supported(program, made) for made in program.applications())
        (compiled if known else left_out).append((primitive.name, node))
    assert len(compiled) >= 30
    assert len(left_out) <= most_left_out, [name for name, _ in left_out]
    program = as_program(operands, [node for _, node in compiled])
    values = [operand.value for operand in operands]
    plan = BACKEND.compile(program)
    assert isinstance(plan, (Kernel, Staged))
    with np.errstate(all="ignore"):
        results = plan(*values)
    for (name, _), found, wanted in zip(compiled, results, interpreted(program, values), strict=True):
        try:
            assert_close(found, wanted)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
def test_everything_that_is_not_elementwise(as_program, variable, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-9, 9, shape).astype(dtype) for shape in [(3, 4, 5), (4, 5), (5, 6), (0, 5)]]
    if dtype != "i8":
        arrays = [(a * 0.37).astype(dtype) for a in arrays]
    leaves = [variable(a) for a in arrays]
    x, y, z, empty = (ad.Tensor(a, constant=True) for a in arrays)
    leaves = [t.node for t in (x, y, z, empty)]
    outputs = []
    for name in ("sum", "prod", "max", "min"):
        outputs += [PRIMITIVES[name](x.node, axes=axes) for axes in [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)]]
    for name in ("all", "any"):
        outputs += [PRIMITIVES[name]((x > 0).node, axes=axes) for axes in [(), (0,), (2,), (0, 1, 2)]]
    for axes in [(0,), (2,), (0, 1, 2)]:
        outputs.append(PRIMITIVES["inner_product"](x.node, np.broadcast_to(y, (3, 4, 5)).node, axes=axes))
    written = x[0] * y
    written[1:, ::-2] = y[1:, :3]
    written[0] += y[-1]
    tensors = [y @ z, x @ z, x[:, ::-1] @ z[:, 0], z.T @ y.T, np.concatenate([y[::-1], empty, x[1]]), written]
    tensors += [np.sum(empty, axis=0), np.sum(empty), (y > 0) @ (z > 0), x.T.reshape(10, 6), x[None, 1, ..., ::-1]]
    tensors += [y.astype(t) for t in ("f8", "f4", "i8", "i1", "u1", "?")]
    outputs += [t.node for t in tensors]
    scale = 60 * float(np.max(np.abs(arrays[0]))) ** 2
    products = [o for o in outputs if getattr(o, "primitive", None) is PRIMITIVES["prod"]]
    rest = [o for o in outputs if o not in products]
    # The terms are at most 60; each addition is off by half a unit of the sum of absolute values at most.
    assert_kernel(as_program(leaves, rest), arrays, ulps=30, scale=scale)
    if dtype == "i8":
        assert_kernel(as_program(leaves, products), arrays)
    else:
        plan = BACKEND.compile(as_program(leaves, products))
        for found, wanted in zip(plan(*arrays), interpreted(as_program(leaves, products), arrays), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=60 * np.finfo(dtype).eps)


@pytest.mark.usefixtures("everywhere")
def test_dtypes_promote_and_overflow_as_numpys(as_program, variable):
    """All pairs of some dtypes, and of dtypes with Python numbers: one kernel."""
    leaves = {}
    for dtype in ("?", "i1", "u1", "i4", "u8", "i8", "f4", "f8"):
        with np.errstate(all="ignore"):
            leaves[dtype] = variable(np.array([0, 1, 2, 100, 127, -128, 3]).astype(dtype))
    leaves["int"], leaves["float"] = variable(3), variable(2.5)
    outputs = []
    for (first, x), (second, y) in itertools.product(leaves.items(), repeat=2):
        if {first, second} <= {"int", "float"}:
            continue
        for name in ("multiply", "greater") if first != second else ("add", "subtract", "absolute", "negative"):
            try:
                outputs.append(PRIMITIVES[name](*[x, y][: PRIMITIVES[name].numpy_ufunc.nin]))
            except errors.AutodiffError:
                continue
    outputs = [o for o in outputs if o.dtype != np.float16]
    program = as_program(list(leaves.values()), outputs)
    assert {str(o.dtype) for o in outputs} >= {"bool", "int8", "uint8", "int16", "int64", "float32", "float64"}
    assert_kernel(program, [leaf.value for leaf in leaves.values()])


def test_integer_division_by_minus_one_does_not_end_the_process(as_program, variable):
    """The smallest integer by -1 overflows, which is a trap in machine code."""
    x, y = variable(np.array([-(2**63), 5])), variable(np.array([-1, 0]))
    outputs = [PRIMITIVES[name](x, y) for name in ("remainder", "floor_divide", "fmod")]
    program = as_program([x, y], outputs)
    with np.errstate(all="ignore"):
        found = BACKEND.compile(program)(x.value, y.value)
    for one, wanted in zip(found, interpreted(program, [x.value, y.value]), strict=True):
        np.testing.assert_array_equal(one, wanted)


@pytest.mark.usefixtures("everywhere")
def test_integers_to_negative_powers_are_an_error_as_in_numpy():
    x = ad.Tensor([1, 2], constant=True)
    with pytest.raises(ValueError, match="negative integer powers"):
        ad.function(lambda a, b: a**b, backend="llvm")(x.value, np.array([-1, 2]))


WARNING = {
    "divide": ([0.0, 1.0], lambda x: 1.0 / x),
    "log of 0": ([0.0, 1.0], np.log),
    "log of -1": ([-1.0, 1.0], np.log),
    "log1p": ([-2.0, 1.0], np.log1p),
    "log2": ([-1.0, 1.0], np.log2),
    "arccosh": ([0.5, 2.0], np.arccosh),
    "arctanh": ([0.5, 2.0], np.arctanh),
    "overflow": ([1e200, 1.0], lambda x: x * x),
    "exp": ([1e3, 1.0], np.exp),
    "sqrt": ([-1.0, 1.0], np.sqrt),
    "underflow": ([1e-200, 1.0], lambda x: x * x),
    "nothing": ([0.5, 2.0], lambda x: np.tanh(x) * np.log(x)),
    "a comparison of NaN": ([np.nan, 2.0], lambda x: np.maximum(x, 1.0)),
}


def heard(plan, values):
    """What a plan says, in each of NumPy's ways."""
    said = []
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        plan(*values)
    said += [str(one.message) for one in found]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        plan(*values)
    with np.errstate(all="call", call=lambda word, flag: said.append(word)):
        plan(*values)
    try:
        with np.errstate(all="raise"):
            plan(*values)
    except FloatingPointError as error:
        said.append(str(error))
    return said


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("case", WARNING)
def test_kernels_warn_as_numpy_does(case, quiet, as_program):
    data, function = WARNING[case]
    x = ad.Tensor(np.concatenate([np.ones(9), data]))
    program = as_program([x], [function(x) * 2.0])
    program.quiet = quiet
    plan = BACKEND.compile(program)
    assert isinstance(plan, Kernel)
    wanted = heard(get_backend("numpy").compile(program), [x.value])
    assert heard(plan, [x.value]) == wanted
    if not quiet:
        assert bool(wanted) == (case not in ("nothing", "a comparison of NaN"))
    if case not in ("log1p", "arccosh"):
        # What was noted is of one call.
        assert heard(plan, [np.full(x.value.shape, 0.75)]) == []


@pytest.mark.usefixtures("everywhere")
def test_false_alarms_are_looked_at_ever_more_rarely(as_program, monkeypatch):
    """The exponential of infinity is an overflow to the processor only. An error that is wanted comes all the same."""
    x = np.array([np.inf, 1.0, 2.0])
    program = as_program([t := ad.Tensor(x)], [np.exp(t) * 2.0])
    plan = BACKEND.compile(program)
    looks = []
    real = told._is_noted
    monkeypatch.setattr(told, "_is_noted", lambda *args: looks.append(args) or real(*args))
    for _ in range(2000):
        plan(x)
    assert 3 <= len(looks) <= 20
    x[1] = 1e3
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow encountered in exp"):
        plan(x)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("size", [1, 3, 5, 6, 7, 9, 10, 12, 15, 17])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_loops_of_any_length_raise_no_flags_of_their_own(as_program, monkeypatch, size, dtype):
    """What is computed beyond the end of an array raises none."""
    monkeypatch.setattr(told.Told, "__call__", pytest.fail)
    x = np.linspace(0.5, 0.75, 4 * size, dtype=dtype)
    t = ad.Tensor(x)
    parts = [t[i * size : (i + 1) * size] for i in range(4)]
    program = as_program([t], [np.sum(parts[0] / parts[1]), np.log(parts[2]) / parts[3], 1.0 / parts[0]])
    plan = BACKEND.compile(program)
    assert isinstance(plan, Kernel)
    plan(x)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("place", [0, -1])
def test_what_any_thread_has_noted_is_told(place, as_program):
    x = np.ones(1 << 21)
    x[place] = 1e3
    program = as_program([t := ad.Tensor(x)], [np.sum(np.exp(t))])
    plan = BACKEND.compile(program)
    assert isinstance(plan, Staged)
    ad.set_num_threads(2)
    try:
        with pytest.warns(RuntimeWarning, match=r"overflow encountered in exp\(float64\[2097152\]\)"):
            plan(x)
        x[place] = 1.0
        plan(x)
    finally:
        ad.set_num_threads(None)


# --- unrolled loops --------------------------------------------------------------------------------------------------


def recurrent(w, u, x, steps):
    h, loss = np.zeros(4), 0.0
    for i in range(steps):
        h = np.tanh(w @ h + u @ x[i])
        loss = loss + np.sum(h * h * h)
    return loss


def pendulum(angle, rate, step, steps):
    for _ in range(steps):
        middle_angle = angle + step / 2 * rate
        middle_rate = rate - step / 2 * np.sin(angle)
        angle, rate = angle + step * middle_rate, rate - step * np.sin(middle_angle)
    return angle * angle + rate


def inputs_of(function):
    rng = np.random.default_rng(0)
    if function is recurrent:
        return [rng.normal(size=shape) * 0.5 for shape in [(4, 4), (4, 2), (50, 2)]]
    return [np.array(0.5), np.array(0.1), np.array(0.01)]


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("function", [recurrent, pendulum])
def test_unrolled_loops_are_one_source_for_any_number_of_steps(function, monkeypatch):
    # Without the calls that the longer one is interpreted for, nor the plan that it has in common with another call.
    monkeypatch.setattr(execute, "LONGEST_SIMPLIFIED", 10_000)
    monkeypatch.setattr(gradients, "LONGEST_TWICE", 10_000)
    arrays = inputs_of(function)
    sources = []
    for steps in (10, 50):
        tensors = [ad.Tensor(a) for a in arrays]
        graph, plain = ad.Graph(backend="llvm"), ad.Graph()
        out = function(*tensors, steps)
        found = graph.gradient(out, tensors[:2])
        for one, wanted in zip(found, plain.gradient(out, tensors[:2]), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-11)
        np.testing.assert_allclose(ad.function(function, backend="llvm")(*arrays, steps), out.value, rtol=1e-12)
        sources.append(graph.source(out, tensors[:2]))
    assert sources[0] == sources[1]
    assert "@kernel(" in sources[0]


def test_a_recorded_loop_over_parts_finds_its_plan():
    """``x[i]`` with another ``i`` is the same structure, on this backend too."""
    x, w = ad.Tensor(np.linspace(0, 1, 60).reshape(20, 3)), ad.Tensor([0.3, -0.2, 0.1])
    graph, plain = ad.Graph(backend="llvm"), ad.Graph()
    for i in range(20):
        loss = np.sum(np.tanh(x[i] * w)) ** 2
        (found,) = graph.gradient(loss, [w])
        np.testing.assert_allclose(found, plain.gradient(loss, [w])[0], rtol=1e-13)
    assert graph.cache_info()[:2] == (19, 1)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("order", [1, 2, 3])
def test_higher_orders(order):
    x = ad.Tensor([0.3, -0.7, 1.1])
    y = np.sum(np.sin(x**2 * np.tanh(x)))
    (found,) = ad.Graph(backend="llvm").gradient(y, [x], order)
    np.testing.assert_allclose(found, ad.Graph().gradient(y, [x], order)[0], rtol=1e-12)


@pytest.mark.usefixtures("everywhere")
def test_functions_with_containers_and_numbers():
    def step(parameters, rate, name):
        value, slopes = ad.value_and_grad(lambda p: np.sum(np.tanh(p["w"] @ p["w"]) * p["b"]))(parameters)
        return value, {k: parameters[k] - rate * slopes[k] for k in parameters}, name

    parameters = {"w": np.array([[0.1, 0.2], [0.3, 0.4]]), "b": 0.5}
    value, updated, name = ad.function(step, backend="llvm")(parameters, 0.1, "text")
    expected = step(parameters, 0.1, "text")
    np.testing.assert_allclose(value, expected[0].value if isinstance(expected[0], ad.Tensor) else expected[0])
    np.testing.assert_allclose(updated["w"], np.asarray(expected[1]["w"]), rtol=1e-13)
    assert float(updated["b"]) == pytest.approx(float(expected[1]["b"]), rel=1e-13)
    assert name == "text"


# --- arrays and numbers ----------------------------------------------------------------------------------------------


def read_only(a):
    a.flags.writeable = False
    return a


def unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:]
    result = memory.view(a.dtype).reshape(a.shape)
    result[...] = a
    assert not result.flags.aligned
    return result


LAYOUTS = {
    "contiguous": lambda a: a,
    "transposed": lambda a: np.asfortranarray(a),
    "every second": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "read-only": lambda a: read_only(a.copy()),
    "unaligned": unaligned,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
}


@pytest.mark.usefixtures("everywhere")
def test_any_layout_of_inputs(as_program):
    a = np.arange(6.0).reshape(2, 3)
    x, y = ad.Tensor(a), ad.Tensor(a + 1)
    program = as_program([x, y], [x * y, x.T @ y, np.sum(x, axis=0)])
    plan = BACKEND.compile(program)
    assert isinstance(plan, (Kernel, Staged))
    for first, second in itertools.product(LAYOUTS.values(), repeat=2):
        values = [first(a), second(a + 1)]
        before = [np.array(value) for value in values]
        for found, wanted in zip(plan(*values), interpreted(program, values), strict=True):
            assert_close(found, wanted)
        for value, kept in zip(values, before, strict=True):
            np.testing.assert_array_equal(value, kept)


@pytest.mark.usefixtures("everywhere")
def test_numbers_in_and_out(as_program, variable):
    numbers = [variable(0.25 * (i + 1)) for i in range(20)]
    three, x, single = variable(3), variable(np.array([1.0, 2.0])), variable(np.array(1.5))
    multiply, add = PRIMITIVES["multiply"], PRIMITIVES["add"]
    total = x
    for number in numbers:
        total = multiply(total, number)
    outputs = [total, multiply(numbers[0], numbers[1]), add(three, three), add(three, numbers[0]), add(single, three)]
    leaves = [x, single, three, *numbers]
    assert [o.aval.weak for o in outputs] == [False, True, True, True, False]
    for kept in (outputs, outputs[1:]):  # more numbers than become parameters, and few
        program = as_program(leaves, kept)
        plan = assert_kernel(program, [leaf.value for leaf in leaves])
        assert [type(v) for v in plan(*[leaf.value for leaf in leaves])][-4:] == [float, int, float, np.ndarray]


@pytest.mark.usefixtures("everywhere")
def test_results_are_new_arrays(as_program):
    x = ad.Tensor(np.arange(6.0).reshape(2, 3))
    y = x * 2.0
    program = as_program([x], [x, x.T, y, y, y[0], x[:, 1:], np.broadcast_to(y[0], (2, 3)), np.sum(y), y @ y.T])
    plan = BACKEND.compile(program)
    assert isinstance(plan, (Kernel, Staged))
    first, second = plan(x.value), plan(x.value)
    everything = [*first, *second, x.value, *itertools.chain(*getattr(plan, "_spare", ()))]
    for one, other in itertools.combinations(everything, 2):
        assert not np.may_share_memory(one, other)
    for array in first:
        assert array.flags.writeable
        assert array.flags.c_contiguous
        array[...] = 99
    for one, wanted in zip(second, interpreted(program, [x.value]), strict=True):
        assert_close(one, wanted)


@pytest.mark.usefixtures("everywhere")
def test_empty_arrays_and_programs_without_operations(as_program):
    x, y = ad.Tensor(np.zeros((0, 3))), ad.Tensor([1.0, 2.0])
    program = as_program([x, y], [x * 2.0, np.sum(x, axis=0), np.sum(x), y, x.T @ x])
    for found, wanted in zip(BACKEND.compile(program)(x.value, y.value), interpreted(program, [x.value, y.value])):
        assert_close(found, wanted)
    alone = as_program([y], [y])
    (found,) = BACKEND.compile(alone)(y.value)
    assert not np.may_share_memory(found, y.value)
    np.testing.assert_array_equal(found, y.value)


@pytest.mark.parametrize("threads", [1, 3])
def test_large_arrays_are_shared_by_threads(as_program, threads):
    """Stages that threads share: elementwise, sums of all and of rows, with negative steps and transposed operands."""
    rng = np.random.default_rng(0)
    x, y = ad.Tensor(rng.normal(size=(700, 900))), ad.Tensor(rng.normal(size=(900, 700)))
    value = (x[::-1, ::-1] * y.T - 0.5) * (x + 1.0) / (y.T * y.T + 2.0) + x * 0.3 + (x - y.T) * (x[:, ::-1] + 0.1)
    program = as_program([x, y], [value, np.sum(value * x), np.max(value, axis=0), np.sum(value, axis=1) * 2.0])
    ad.set_num_threads(threads)
    try:
        plan = BACKEND.compile(program)
        assert isinstance(plan, (Kernel, Staged))
        assert any(extent is not None for _, stages in plan._runs for _, extent in stages)
        found = plan(x.value, y.value)
    finally:
        ad.set_num_threads(None)
    for one, wanted in zip(found, interpreted(program, [x.value, y.value]), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-10, atol=1e-10)


def test_eight_threads_call_one_plan(as_program):
    x, w = ad.Tensor(np.ones(50)), ad.Tensor(np.ones((50, 50)))
    value = x
    for _ in range(6):
        value = np.sqrt(np.abs(np.sum(w * value, axis=1) * 0.01 + value * x) + 0.5)
    plan = BACKEND.compile(as_program([x, w], [value, np.sum(value)]))
    assert isinstance(plan, (Kernel, Staged))
    rng = np.random.default_rng(0)
    cases = [(rng.normal(size=50), rng.normal(size=(50, 50))) for _ in range(8)]
    expected = [plan(*case) for case in cases]
    barrier = threading.Barrier(8)
    wrong = []

    def work(k):
        barrier.wait()
        for _ in range(300):
            wrong.extend(k for one, wanted in zip(plan(*cases[k]), expected[k]) if not np.array_equal(one, wanted))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len({tuple(e[0].tolist()) for e in expected}) == 8


# --- regions ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("everywhere")
def test_parts_that_are_not_compiled_are_left_to_numpy(as_program):
    x = ad.Tensor(np.linspace(0.1, 1.2, 12).reshape(3, 4))
    running = np.cumsum(np.tanh(x * 2.0)[:, ::-1], axis=1)
    chosen = running.T[[0, 2, 2]] * np.sin(running.T[1:])
    complicated = np.real(np.exp(1j * chosen) * 2.0) + chosen[::-1]
    fixed = ad.Tensor(np.array([3.0, 4.0]), constant=True)
    outputs = [complicated, running, running.T, running, x, x[1], chosen[None, 0], np.sum(complicated), fixed, x * 2.0]
    program = as_program([x], outputs)
    plan = BACKEND.compile(program)
    assert isinstance(plan, Composed)
    assert plan.source.count("@kernel(") >= 3
    assert plan.n_operations >= 8
    first, second = plan(x.value), plan(x.value)
    for one, wanted in zip(second, interpreted(program, [x.value]), strict=True):
        assert type(one) is type(wanted)
        assert one.dtype == wanted.dtype
        np.testing.assert_allclose(one, wanted, rtol=1e-14)
    constants = [v for v in program.constants.values() if isinstance(v, np.ndarray)]
    for one, other in itertools.combinations([*first, *second, x.value, *constants], 2):
        assert not np.may_share_memory(one, other)


def test_kernels_are_made_where_they_pay_only(as_program):
    small, x = ad.Tensor([1.0, 2.0]), ad.Tensor(np.ones(20_000))
    assert not isinstance(BACKEND.compile(as_program([x], [np.tanh(x)])), (Kernel, Composed))
    w = ad.Tensor(np.ones((300, 300)))
    assert not isinstance(BACKEND.compile(as_program([w], [w @ w])), (Kernel, Composed))
    # Beside many small operations, too.
    value = (w @ w)[0, :2]
    for i in range(40):
        value = value * small[i % 2] + small
    plan = BACKEND.compile(as_program([w, small], [value]))
    assert isinstance(plan, Composed)
    assert ["@kernel(" in step.source for step, _, _ in plan.steps] == [False, True]


def test_kernels_that_would_be_too_long_are_left_to_numpy(as_program, monkeypatch):
    monkeypatch.setattr(llvm_, "LONGEST_KERNEL", 3)
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))
    x = ad.Tensor([1.0, 2.0])
    y = np.sum(np.sin(x) * x + np.cos(x)) * x
    plan = BACKEND.compile(as_program([x], [y]))
    assert not isinstance(plan, (Kernel, Composed))
    np.testing.assert_allclose(plan(x.value)[0], y.value)


@pytest.mark.parametrize("count", [3, 40])
def test_parts_that_hand_over_many_values(as_program, variable, count):
    x = variable(np.linspace(0.1, 0.9, 6))
    values, large = [x], ad.Tensor(np.ones((300, 300)))
    for _ in range(count):
        values.append(np.sin(wrap(values[-1]) * wrap(x)).node)
    products = (large @ large)[:6, :count].node
    total = np.sum(wrap(products) * np.stack([wrap(v) for v in values[1:]], 1))
    program = as_program([x, large.node], [total.node, *values[1:]])
    plan = BACKEND.compile(program)
    assert isinstance(plan, Composed)
    assert sum("@kernel(" in step.source for step, _, _ in plan.steps)
    given = [x.value, large.value]
    for found, wanted in zip(plan(*given), interpreted(program, given), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.usefixtures("everywhere")
@settings(derandomize=True, deadline=None, database=None, max_examples=100)
@given(st.lists(st.tuples(*[st.integers(0, 63)] * 3, st.integers(0, 3)), min_size=2, max_size=16), st.booleans())
def test_random_programs(as_program, random_graph, instructions, unsupported):
    leaves, outputs = random_graph(instructions, unsupported, at_arrays=True)
    program = as_program(leaves, outputs)
    values = [x.value for x in leaves]
    found, again = (BACKEND.compile(program)(*values) for _ in range(2))
    for one, other, wanted in zip(found, again, interpreted(program, values), strict=True):
        assert one.dtype == other.dtype == wanted.dtype
        rtol = 1e-6 if wanted.dtype in (np.float32, np.complex64) else 1e-12
        np.testing.assert_allclose(one, wanted, rtol=rtol, atol=1e-12)
        np.testing.assert_array_equal(one, other)
    assert not any(np.may_share_memory(a, b) for a, b in itertools.combinations([*found, *again, *values], 2))


@pytest.mark.usefixtures("everywhere")
def test_random_programs_compiled(as_program, random_graph):
    """A few in one kernel."""
    rng = np.random.default_rng(1)
    leaves, outputs = [], []
    for _ in range(12):
        some, results = random_graph(rng.integers(0, 47, (12, 4)) % [48, 48, 48, 4], at_arrays=True)
        leaves += some
        outputs += results
    program = as_program(leaves, outputs)
    values = [x.value for x in leaves]
    plan = BACKEND.compile(program)
    assert isinstance(plan, (Kernel, Staged))
    for found, wanted in zip(plan(*values), interpreted(program, values), strict=True):
        # Single precision is among the steps, with sums in double that NumPy does not have.
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("everywhere")
def test_what_llvm_does_not_take_is_left_to_numpy(as_program, monkeypatch):
    """An older version may not know all of the text."""
    x = ad.Tensor(np.linspace(0.1, 0.9, 6))
    program = as_program([x], [np.sin(x) * 0.123])
    monkeypatch.setattr("autodiff_backends.llvm.machine.attributes", lambda _: "attributes #0 = { unheard_of }")
    with pytest.warns(RuntimeWarning, match="'llvm': NumPy executes a part that this version of LLVM cannot compile"):
        plan = BACKEND.compile(program)
    assert not isinstance(plan, (Kernel, Staged))
    np.testing.assert_allclose(plan(x.value)[0], np.sin(x.value) * 0.123)


@pytest.mark.usefixtures("everywhere")
def test_functions_that_are_called_as_they_are():
    running = ad.primitive(np.cumsum, infer=lambda x: x)
    x = np.linspace(0.1, 0.9, 6)
    step = ad.function(lambda x: running(np.sin(x)) * 2.0, backend="llvm")
    np.testing.assert_allclose(step(x), np.cumsum(np.sin(x)) * 2.0)


@pytest.mark.usefixtures("everywhere")
def test_a_kernel_says_what_it_holds(as_program, variable):
    x = variable(np.ones((100, 4)))
    program = as_program([x], [x * x + x])
    plan = BACKEND.compile(program)
    assert isinstance(plan, (Kernel, Staged))
    # One result of 400 numbers.
    assert plan.peak_bytes >= 400 * 8
    # What holds less, where a limit asks for it.
    assert isinstance(BACKEND.frugal(program), Interpreted)


def test_signs_of_zeros_and_complex_numbers_beside_kernels(as_program, monkeypatch):
    """Found by random programs: ``np.sign(-0.0)`` is 0.0, and a complex number in a result is no kernel's."""
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))
    x = ad.Tensor(np.array([-0.0, 0.0, np.nan, -np.inf, 2.0, -3.0]))
    (sign,) = BACKEND.compile(as_program([x], [np.sign(x * 1.0)]))(x.value)
    np.testing.assert_array_equal(sign, np.sign(x.value))
    np.testing.assert_array_equal(np.signbit(sign), np.signbit(np.sign(x.value)))
    zeros = np.zeros(3, complex)
    found = BACKEND.compile(as_program([x], [np.tanh(x * 2.0), ad.ops.zeros(intern_aval((3,), zeros.dtype))]))(x.value)
    np.testing.assert_array_equal(found[1], zeros)


@pytest.mark.parametrize("code", ["e", "g", "F", "D", "G"])
def test_no_kernel_moves_numbers_of_dtypes_that_it_does_not_have(as_program, monkeypatch, code):
    """Found by random programs: a half among the results was copied as a float, past the end of its array."""
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))
    with pytest.raises(Unwritten):
        type_of(np.dtype(code))
    x = ad.Tensor(np.arange(9).reshape(3, 3).astype(code), constant=True)
    y = ad.Tensor(np.linspace(0, 1, 9))
    looks = [x, x.T, x[::-1], x[1], np.broadcast_to(x, (2, 3, 3))]
    for chosen in (looks, [x], []):
        program = as_program([x, y], [np.tanh(y) * 2.0, *chosen])
        plan = BACKEND.compile(program)
        assert not chosen or isinstance(plan, Composed)
        for one, wanted in zip(plan(x.value, y.value), Interpreted(program)(x.value, y.value), strict=True):
            assert one.dtype == wanted.dtype
            np.testing.assert_allclose(one, wanted, rtol=1e-14)


@pytest.mark.parametrize("code", ["e", "D"])
def test_steps_that_hand_on_what_no_kernel_has(monkeypatch, code):
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))

    def step(carry, x):
        total, kept = carry
        return (np.tanh(total + x), kept), (total * 2.0, kept)

    def loop(total, kept, xs):
        return ad.scan(step, (total, kept), xs)

    values = np.zeros(3), np.arange(3).astype(code), np.linspace(0, 1, 12).reshape(4, 3)
    (total, kept), (totals, all_kept) = ad.function(loop, backend="llvm")(*values)
    np.testing.assert_array_equal(kept, values[1])
    np.testing.assert_array_equal(all_kept, np.stack([values[1]] * 4))
    wanted, wanted_all = ad.function(loop, backend="numpy")(*values)
    np.testing.assert_allclose(total, wanted[0], rtol=1e-14)
    np.testing.assert_allclose(totals, wanted_all[0], rtol=1e-14)


def test_several_arrays_are_handed_from_call_to_call_around_a_kernel(as_program, monkeypatch):
    """Factors of matrices, with which one system is solved before a kernel and another one after it."""
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))
    rng = np.random.default_rng(0)
    a, b = ad.Tensor(rng.normal(size=(5000, 3, 3)) + 3 * np.eye(3)), ad.Tensor(rng.normal(size=(5000, 3, 1)))
    loss = np.sum(np.linalg.solve(a, b) ** 2)
    program = as_program([a, b], [loss, *ad.Graph().gradient(loss, [a, b], as_tensors=True)])
    plan = BACKEND.compile(program)
    assert isinstance(plan, Composed)
    assert len(plan.steps) > 2
    for one, wanted in zip(plan(a.value, b.value), Interpreted(program)(a.value, b.value), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-11, atol=1e-13)
