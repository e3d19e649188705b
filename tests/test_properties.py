"""Random programs: the plan is the naive evaluation, the gradient is the finite difference, every way is one."""

import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autodiff as ad
from autodiff.containers import flatten, unflatten
from autodiff.plan import build, collect, prune
from autodiff.plan.expand import expand
from autodiff.plan.simplify import simplify, simplify_graph
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated

# The same examples each time and on each machine, however slow.
settings.register_profile(
    "deterministic",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
deterministic = settings(settings.get_profile("deterministic"))
more = settings(deterministic, max_examples=300)

SHAPES = [(2, 3), (3,), (1, 3), (2, 1), (), (3, 3), (2, 1, 3), (1,)]


# --- programs as data ------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One instruction: a name, the places of two operands, a number that decides parameters."""

    name: str
    first: int
    second: int
    choice: int


def _axis(x: Any, choice: int) -> Any:
    axes: list[Any] = [None, *range(-x.ndim, x.ndim)]
    if x.ndim >= 2:
        axes.append((0, x.ndim - 1))
    return axes[choice % len(axes)]


def _index(x: Any, choice: int) -> Any:
    if not x.ndim or 0 in x.shape:
        return (None, ...)
    last = x.shape[-1] - 1
    items = [0, -1, (..., None), (..., slice(None, None, -1)), (..., [0, last, 0]), (None, 0), (..., slice(0, 1))]
    return items[choice % len(items)]


def _write(x: Any, y: Any, choice: int) -> Any:
    if not x.ndim or y.ndim:
        return None
    result = x * 1.0
    result[_index(x, choice * 2) if choice % 2 else 0] = y
    return result


# Nothing here jumps where operands happen to be equal, so that last bits stay last bits.
UNARY = {
    "negative": lambda x, c: -x,
    "sine": lambda x, c: np.sin(x),
    "tangent": lambda x, c: np.tanh(x),
    "exponential": lambda x, c: np.exp(-x * x),
    "square": lambda x, c: np.square(x),
    "root": lambda x, c: np.sqrt(x * x + 1),
    "logarithm": lambda x, c: np.log1p(np.abs(x)),
    "modulus": lambda x, c: np.abs(x),
    "power": lambda x, c: x ** (c % 5),
    "scaled": lambda x, c: x * [2, 0.5, -1, 3.7, 0.1, 1, -2.0][c % 7],
    "shifted": lambda x, c: [1, 0, 2.5, -1.0][c % 4] - x,
    "reciprocal": lambda x, c: (1 + c % 2) / (x * x + 1),
    "sum": lambda x, c: np.sum(x, axis=_axis(x, c), keepdims=bool(c % 3 == 0)),
    "mean": lambda x, c: x.mean(axis=_axis(x, c)),
    "maximal": lambda x, c: np.max(x, axis=_axis(x, c)),
    "variance": lambda x, c: np.var(x, axis=_axis(x, c)),
    "product": lambda x, c: np.prod(np.tanh(x), axis=_axis(x, c)),
    "running": lambda x, c: np.cumsum(x, axis=-1 if x.ndim else None),
    "transposed": lambda x, c: x.T,
    "flat": lambda x, c: np.ravel(x) if c % 2 else x.reshape(-1, 1),
    "part": lambda x, c: x[_index(x, c)],
    "repeated": lambda x, c: np.broadcast_to(x, (2, *x.shape)),
    "single": lambda x, c: (x.astype(np.float32) * 0).astype(np.float64) + x if c % 4 == 0 else x * np.float64(1.5),
}
BINARY = {
    "add": lambda x, y, c: x + y,
    "subtract": lambda x, y, c: x - y,
    "multiply": lambda x, y, c: x * y,
    "divide": lambda x, y, c: x / (y * y + 0.5),
    "larger": lambda x, y, c: np.maximum(x, y),
    "smaller": lambda x, y, c: np.minimum(x, y),
    "distance": lambda x, y, c: np.hypot(x, y + 0.1),
    "angle": lambda x, y, c: np.arctan2(x, y * y + 1),
    "chosen": lambda x, y, c: np.where(x > y, x - y, (y - x) * 0.3),
    "masked": lambda x, y, c: np.where(x > 0.2137, np.sqrt(np.abs(x)), y),
    "softplus": lambda x, y, c: np.logaddexp(x, y),
    "real power": lambda x, y, c: (np.abs(x) + 0.2) ** y,
    "matmul": lambda x, y, c: x @ y if x.ndim and y.ndim else None,
    "outer": lambda x, y, c: np.outer(x, y),
    "joined": lambda x, y, c: np.concatenate([np.ravel(x), np.ravel(y)]),
    "written": _write,
}
NAMES = [*UNARY, *BINARY]

steps = st.builds(Step, st.sampled_from(NAMES), st.integers(0, 9), st.integers(0, 9), st.integers(0, 11))
programs = st.tuples(
    st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3),
    st.lists(steps, min_size=2, max_size=12),
    st.integers(0, 2**16),
)
KINKED = {"larger", "smaller", "chosen", "maximal", "modulus", "logarithm"}


def execute(program: list[Step], inputs: list[Any]) -> list[Any]:
    """All values of a program, by NumPy for arrays and by recording for Tensors; what does not fit is left out."""
    values = list(inputs)
    for step in program:
        x, y = values[-1 - step.first % len(values)], values[-1 - step.second % len(values)]
        try:
            out = UNARY[step.name](x, step.choice) if step.name in UNARY else BINARY[step.name](x, y, step.choice)
        except (ValueError, IndexError):
            continue
        if out is not None and out.size <= 4096:
            values.append(out)
    return values


def make(program: tuple[Any, ...], dtype: Any = np.float64) -> tuple[list[Step], list[np.ndarray]]:
    shapes, instructions, seed = program
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    with np.errstate(all="ignore"):
        values = execute(instructions, arrays)
    assume(len(values) > len(arrays))
    assume(all(np.all(np.isfinite(v)) and np.all(np.abs(v) < 1e4) for v in values))
    return instructions, arrays


def loss(instructions: list[Step], inputs: list[Any]) -> Any:
    """One number that depends on the last three values."""
    values = execute(instructions, inputs)
    return sum(np.sum(np.sin(v)) for v in values[-3:])


def gradients(instructions: list[Step], arrays: list[np.ndarray], n: int = 1) -> tuple[Any, list[np.ndarray]]:
    tensors = [ad.Tensor(a) for a in arrays]
    total = loss(instructions, tensors) + 0.0 * sum(np.sum(t) for t in tensors)
    return total, ad.Graph().gradient(total, tensors, n)


# --- properties ------------------------------------------------------------------------------------------------------


@more
@given(programs)
def test_plan_equals_naive_evaluation(program):
    instructions, arrays = make(program)
    expected = execute(instructions, arrays)
    recorded = execute(instructions, [ad.Tensor(a) for a in arrays])
    assert len(recorded) == len(expected)
    event(f"{len(expected) - len(arrays)} operations")
    for t, wanted in zip(reversed(recorded), reversed(expected)):  # the last first: one plan for all of it
        assert t.shape == np.shape(wanted)
        assert t.dtype == wanted.dtype == t.value.dtype
        np.testing.assert_allclose(t.value, wanted, rtol=1e-9, atol=1e-9)


@deterministic
@given(programs)
def test_plan_equals_naive_evaluation_in_single_precision(program):
    instructions, arrays = make(program, np.float32)
    expected = execute(instructions, arrays)
    recorded = execute(instructions, [ad.Tensor(a) for a in arrays])
    for t, wanted in zip(reversed(recorded), reversed(expected)):
        assert t.shape == np.shape(wanted)
        assert t.dtype == wanted.dtype == t.value.dtype
        scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
        np.testing.assert_allclose(t.value / scale, wanted / scale, rtol=2e-2, atol=2e-3)


@more
@given(programs)
def test_gradient_equals_finite_differences(program):
    instructions, arrays = make(program)
    _, found = gradients(instructions, arrays)
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=a.shape) for a in arrays]

    def along(step):
        with np.errstate(all="ignore"):
            return float(loss(instructions, [a + step * d for a, d in zip(arrays, directions)]))

    # Two steps, so that a kink between them shows, and is left out.
    estimates = [(along(h) - along(-h)) / (2 * h) for h in (1e-5, 1e-6)]
    slope = sum(float(np.sum(g * d)) for g, d in zip(found, directions))
    for g, a in zip(found, arrays):
        assert (g.shape, g.dtype) == (a.shape, a.dtype)
    assume(abs(estimates[0] - estimates[1]) < 1e-4 * max(1, abs(slope)))
    assert slope == pytest.approx(estimates[0], rel=1e-4, abs=1e-4)


@deterministic
@given(programs)
def test_second_order_equals_differences_of_the_first(program):
    instructions, arrays = make(program)
    assume(not any(step.name in KINKED for step in instructions))
    (array, *rest) = arrays
    direction = np.random.default_rng(1).normal(size=array.shape)

    def first(a):
        with np.errstate(all="ignore"):
            return gradients(instructions, [a, *rest])[1][0]

    (t, *others) = [ad.Tensor(a) for a in arrays]
    total = loss(instructions, [t, *others]) + 0.0 * sum(np.sum(x * x) for x in (t, *others))
    (d,) = ad.Graph().gradient(total, [t], as_tensors=True)
    (product,) = ad.Graph().gradient(np.sum(d * direction) + 0.0 * np.sum(t), [t])
    estimates = [(first(array + h * direction) - first(array - h * direction)) / (2 * h) for h in (1e-4, 1e-5)]
    scale = max(1.0, float(np.max(np.abs(product), initial=0.0)))
    assume(np.max(np.abs(estimates[0] - estimates[1]), initial=0.0) < 1e-4 * scale)
    np.testing.assert_allclose(product / scale, estimates[1] / scale, rtol=1e-3, atol=1e-3)


def nodes_of(program: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
    instructions, arrays = make(program)
    tensors = [ad.Tensor(a) for a in arrays]
    total = loss(instructions, tensors) + 0.0 * sum(np.sum(t) for t in tensors)
    derived = ad.Graph().gradient(total, tensors, as_tensors=True)
    return [t.node for t in tensors], [total.node, *[d.node for d in derived]]


@deterministic
@given(programs)
def test_simplified_equals_unsimplified_and_source_equals_interpreter(program):
    inputs, outputs = nodes_of(program)
    values = [node.value for node in inputs]
    results = []
    for rewrite in (None, simplify_graph, simplify):
        compiled = expand(prune(build(inputs, outputs, rewrite)), ad.get_backend("numpy").primitives)
        compiled.quiet = True
        with np.errstate(all="ignore"):
            results += [
                Interpreted(compiled)(*values),
                Generated(expand(compiled, ad.get_backend().primitives))(*values),
            ]
        for result in results[-2:]:
            for one, wanted, node in zip(result, results[0], outputs):
                assert (np.shape(one), one.dtype) == (node.shape, node.dtype)
                scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
                np.testing.assert_allclose(one / scale, wanted / scale, rtol=1e-8, atol=1e-8)
    # The interpreter is the definition: generated code differs in the last bits at most.
    for generated, interpreted in zip(results[5], results[4]):
        np.testing.assert_allclose(generated, interpreted, rtol=1e-12, atol=1e-12)


@deterministic
@given(programs)
def test_every_way_to_a_gradient_is_one(program):
    instructions, arrays = make(program)
    total, found = gradients(instructions, arrays)
    positions = tuple(range(len(arrays)))

    def f(*inputs):
        return loss(instructions, list(inputs)) + 0.0 * sum(np.sum(x) for x in inputs)

    def nearly(actual, wanted):
        for one, other in zip(actual, wanted):
            scale = max(1.0, float(np.max(np.abs(other), initial=0.0)))
            np.testing.assert_allclose(np.asarray(one) / scale, other / scale, rtol=1e-9, atol=1e-9)

    value, functional = ad.value_and_grad(f, positions)(*arrays)
    nearly(functional, found)
    nearly([value], [total.value])
    replayed = ad.function(ad.grad(f, positions))
    nearly(replayed(*arrays), found)
    nearly(replayed(*arrays), found)
    tensors = [ad.Tensor(a) for a in arrays]
    run = ad.Graph().compile(f(*tensors), tensors, tensors)
    nearly(run(*arrays)[1], found)
    total = f(*tensors)
    total.value
    nearly(ad.Graph().gradient(total, tensors), found)  # with values at hand
    nearly([t.value for t in ad.Graph().gradient(total, tensors, as_tensors=True)], found)


@deterministic
@given(programs, st.integers(0, 2**16))
def test_recording_again_hits_the_cache_with_other_values(program, seed):
    instructions, arrays = make(program)
    shapes, _, _ = program
    _, others = make((shapes, instructions, seed))
    graph = ad.Graph()
    keys = []
    for inputs in (arrays, others):
        tensors = [ad.Tensor(a) for a in inputs]
        total = loss(instructions, tensors) + 0.0 * sum(np.sum(t) for t in tensors)
        keys.append(collect([total.node]).key)
        found = graph.gradient(total, tensors)
        for one, wanted in zip(found, gradients(instructions, inputs)[1]):
            np.testing.assert_array_equal(one, wanted)
    assert keys[0] == keys[1]
    assert graph.cache_info()[:3] == (1, 1, 1)


@deterministic
@given(programs)
def test_pickled_programs_are_equal(program):
    instructions, arrays = make(program)
    tensors = [ad.Tensor(a) for a in arrays]
    total = loss(instructions, tensors) + 0.0 * sum(np.sum(t) for t in tensors)
    others, other = pickle.loads(pickle.dumps((tensors, total)))
    assert collect([other.node]).key == collect([total.node]).key
    for one, wanted in zip(ad.Graph().gradient(other, others), ad.Graph().gradient(total, tensors)):
        np.testing.assert_array_equal(one, wanted)
    np.testing.assert_array_equal(other.value, total.value)


# --- indices, broadcasting, containers -------------------------------------------------------------------------------

floats = st.floats(-4, 4, width=32)
small_shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)


@st.composite
def indexed(draw: st.DrawFn) -> tuple[np.ndarray, Any]:
    shape = draw(small_shapes)
    array = np.arange(float(np.prod(shape))).reshape(shape) + 1
    kind = draw(st.sampled_from(["basic", "integers", "mixed", "mask"]))
    if kind == "basic":
        return array, draw(hnp.basic_indices(shape, allow_newaxis=True))
    if kind == "integers":
        return array, draw(hnp.integer_array_indices(shape))
    if kind == "mask":
        count = draw(st.integers(1, len(shape)))
        return array, draw(hnp.arrays(bool, shape[:count]))
    position = draw(hnp.arrays(np.intp, draw(st.sampled_from([(2,), (1, 3), ()])), elements=st.integers(-1, 0)))
    rest = draw(hnp.basic_indices(shape[1:], allow_newaxis=True)) if len(shape) > 1 else ()
    return array, (position, *(rest if isinstance(rest, tuple) else (rest,)))


@more
@given(indexed())
def test_any_index_reads_and_scatters_as_numpys(case):
    array, index = case
    x = ad.Tensor(array)
    part = array[index]
    read = x[index]
    assert read.shape == part.shape
    np.testing.assert_array_equal(read.value, part)
    weights = np.cos(np.arange(part.size)).reshape(part.shape)
    expected = np.zeros_like(array)
    np.add.at(expected, index, weights)
    (found,) = ad.Graph().gradient(np.sum(read * weights) + 0.0 * np.sum(x), [x])
    np.testing.assert_allclose(found, expected, atol=1e-12)


@more
@given(indexed())
def test_any_index_writes_as_numpys(case):
    array, index = case
    values = np.sin(np.arange(np.size(array[index])) + 1.0).reshape(np.shape(array[index]))
    expected = array * 2
    expected[index] = values
    x, v = ad.Tensor(array), ad.Tensor(values)
    y = x * 2
    y[index] = v
    np.testing.assert_array_equal(y.value, expected)
    weights = np.cos(np.arange(array.size)).reshape(array.shape)
    by_x, by_v = ad.Graph().gradient(np.sum(y * weights) + 0.0 * np.sum(x) + 0.0 * np.sum(v), [x, v])
    order = np.full(array.shape, -1.0)
    order[index] = np.arange(values.size).reshape(values.shape)
    kept = order[index] == np.arange(values.size).reshape(values.shape)
    np.testing.assert_allclose(by_x, np.where(order < 0, 2 * weights, 0.0), atol=1e-12)
    np.testing.assert_allclose(by_v, np.where(kept, weights[index], 0.0), atol=1e-12)


@more
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3),
    st.sampled_from(["add", "multiply", "where"]),
)
def test_any_broadcast_is_summed_back(shapes, name):
    first, second = shapes.input_shapes
    rng = np.random.default_rng(0)
    a, b, weights = rng.normal(size=first), rng.normal(size=second), rng.normal(size=shapes.result_shape)
    x, y = ad.Tensor(a), ad.Tensor(b)
    out, by_first, by_second = {
        "add": (x + y, np.ones_like(weights), np.ones_like(weights)),
        "multiply": (x * y, np.broadcast_to(b, weights.shape), np.broadcast_to(a, weights.shape)),
        "where": (np.where(weights > 0, x, y), (weights > 0) * 1.0, (weights <= 0) * 1.0),
    }[name]
    assert out.shape == shapes.result_shape
    found = ad.Graph().gradient(np.sum(out * weights) + 0.0 * np.sum(x) + 0.0 * np.sum(y), [x, y])
    for result, array, local in zip(found, (a, b), (by_first, by_second)):
        full = local * weights
        extra = full.ndim - array.ndim
        axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(array.shape) if n == 1)
        np.testing.assert_allclose(result, full.sum(axis=axes, keepdims=True).reshape(array.shape), atol=1e-10)


@deterministic
@given(small_shapes.flatmap(lambda s: st.tuples(st.just(s), hnp.valid_tuple_axes(len(s)))), st.booleans())
def test_any_axes_are_reduced_as_numpys(case, keepdims):
    shape, axis = case
    array = np.random.default_rng(0).normal(size=shape)
    for function in (np.sum, np.mean, np.max, np.min, np.prod, np.var, np.any):
        x = ad.Tensor(array)
        out, expected = function(x, axis=axis, keepdims=keepdims), function(array, axis=axis, keepdims=keepdims)
        assert out.shape == np.shape(expected)
        np.testing.assert_allclose(out.value, expected, rtol=1e-12, atol=1e-14)


trees = st.recursive(
    st.integers() | st.none() | st.text(max_size=2),
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=2), parts, max_size=3) | st.tuples(parts, parts)
    ),
    max_leaves=12,
)


@deterministic
@given(trees)
def test_any_container_is_put_together_again(tree):
    leaves, structure = flatten(tree)
    assert unflatten(structure, iter(leaves)) == tree
    assert flatten(unflatten(structure, iter(leaves)))[1] == structure
