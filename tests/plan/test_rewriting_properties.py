"""Random expressions over the whole range of each dtype: a value is NumPy's, and no rewriting loses a derivative."""

import operator

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import ops
from autodiff.differentiate import derivative
from autodiff.plan import build, collect, prune
from autodiff.plan.simplify import simplify, simplify_graph
from autodiff_backends.numpy.reference import Interpreted

from .expressions import EXACT, NUMBERS, ROOTS, SHAPES, Program, Step, data, exact_for, run
from .numbers import same_bits

# The same examples each time and on each machine, however slow.
seeded = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)

DTYPES = ["float16", "float32", "float64", "complex64", "complex128"]
REDUCED = {
    "sum": lambda x, n: np.sum(x),
    "sum of rows": lambda x, n: np.sum(x, -1) if np.ndim(x) else np.sum(x),
    "sum of columns": lambda x, n: np.sum(x, 0) if np.ndim(x) else np.sum(x),
    "scaled sum": lambda x, n: np.sum(x * n),
    "sum of products": lambda x, n: np.sum(x * x),
    "sum of a difference": lambda x, n: np.sum(x - n),
    "sum of repeats": lambda x, n: np.sum(np.broadcast_to(x, (4, *np.shape(x))), 0),
    "mean": lambda x, n: np.mean(x),
    "product": lambda x, n: x @ np.transpose(x) if np.ndim(x) else x,
    "columns of a product": lambda x, n: np.sum(x @ np.transpose(x), -1) if np.ndim(x) == 2 else np.sum(x),
}


def steps(names, least, most):
    step = st.builds(
        Step, st.sampled_from(sorted(names)), st.integers(0, 30), st.integers(0, 30), st.sampled_from(NUMBERS)
    )
    return st.lists(step, min_size=least, max_size=most)


def programs(names, dtypes=DTYPES, least=1, most=12):
    shapes = st.lists(st.sampled_from(SHAPES), min_size=2, max_size=3)
    return st.builds(Program, steps(names, least, most), st.sampled_from(dtypes), shapes, st.integers(0, 10**6))


def ways(function, arrays):
    """A value looked at, from a traced function, and beside a gradient."""
    tensors = [ad.Tensor(a, dtype=a.dtype) for a in arrays]
    y = function(tensors)
    yield "looked at", y.value
    traced = ad.function(lambda *args: function(list(args)))
    yield "traced", traced(*arrays)
    yield "traced again", traced(*arrays)
    z = function(tensors)
    if any(z.node is t.node for t in tensors):
        return
    yield "beside a gradient", ad.Graph().value_and_gradient(z, tensors[:1])[0]


@pytest.mark.filterwarnings("ignore")
class TestValues:
    @given(programs({**EXACT, **ROOTS}))
    @settings(seeded, max_examples=800)
    def test_arithmetic_is_bit_for_bit(self, program):
        names = exact_for(program.dtype, {**EXACT, **ROOTS})
        arrays = data(program)
        wanted = np.asarray(run(program, names, arrays))
        assume(wanted.dtype.kind in "fc")
        event(program.dtype)
        for way, found in ways(lambda values: run(program, names, values), arrays):
            assert found.dtype == wanted.dtype, way
            assert found.shape == wanted.shape, way
            assert same_bits(found, wanted).all(), f"{way}: {found!r} is not {wanted!r}"

    @given(programs(EXACT, ["float32", "float64"], most=8))
    @settings(seeded, max_examples=20)
    def test_blocks_of_large_arrays_are_bit_for_bit(self, program):
        arrays = data(program, [(33_000,), (33_000,), (1,)])
        wanted = np.asarray(run(program, EXACT, arrays))
        for way, found in ways(lambda values: run(program, EXACT, values), arrays):
            assert same_bits(found, wanted).all(), way

    @given(programs(EXACT, most=6), st.sampled_from(sorted(REDUCED)), st.sampled_from(NUMBERS))
    @settings(seeded, max_examples=600)
    def test_sums_are_within_their_bound(self, program, reduction, number):
        arrays, names = data(program), exact_for(program.dtype)

        def function(values):
            return REDUCED[reduction](run(program, names, values), number)

        wanted = np.asarray(function(arrays))
        assume(wanted.dtype.kind in "fc")
        wide = [a.astype(np.clongdouble if a.dtype.kind == "c" else np.longdouble) for a in arrays]
        inner = np.asarray(run(program, names, arrays))
        bound, least = _bound(inner, reduction, number), np.finfo(wanted.dtype).smallest_subnormal
        event(f"{program.dtype} bounded {bool(np.all(np.isfinite(bound)))} {len(wide)}")
        for way, found in ways(function, arrays):
            assert found.dtype == wanted.dtype, way
            assert found.shape == wanted.shape, way
            for part in (np.real, np.imag):
                distance = np.abs(part(found).astype(np.longdouble) - part(wanted))
                within = same_bits(part(found), part(wanted)) | (distance <= bound + 4 * inner.size * float(least))
                assert (within | ~np.isfinite(bound)).all(), f"{way}: {found!r} is not {wanted!r} within {bound!r}"


def _bound(inner, reduction, number):
    """What rounding may change in a sum; infinite if its parts may leave the range in one order or another."""
    info = np.finfo(inner.dtype)
    sizes = np.abs(inner).astype(np.longdouble)
    terms = (
        sizes * abs(number)
        if reduction == "scaled sum"
        else sizes + abs(number)
        if "difference" in reduction
        else sizes
    )
    if "product" in reduction:
        terms = np.sum(sizes) * sizes + sizes**2
    total = 4 * np.sum(terms) + np.sum(sizes)
    if not total < info.max / 8:
        return np.longdouble(np.inf)
    return 4 * (8 + np.log2(max(1, inner.size))) * np.longdouble(float(info.eps)) * total


# --- derivatives -----------------------------------------------------------------------------------------------------

PRODUCTS = {
    "multiply": lambda x, y, n: x * y,
    "divide": lambda x, y, n: x / y,
    "scaled": lambda x, y, n: x * n,
    "scaled before": lambda x, y, n: n * x,
    "divided": lambda x, y, n: x / (n or 1),
    "negative": lambda x, y, n: -x,
    "square": lambda x, y, n: x**2,
    "cube": lambda x, y, n: x**3,
    "inverse": lambda x, y, n: x**-1,
    "inverse square": lambda x, y, n: x**-2,
    "exponential": lambda x, y, n: np.exp(x),
    "root": lambda x, y, n: np.sqrt(abs(x)),
}
SMOOTH = {
    **PRODUCTS,
    "add": lambda x, y, n: x + y,
    "subtract": lambda x, y, n: x - y,
    "number added": lambda x, y, n: x + n,
    "sine": lambda x, y, n: np.sin(x),
    "tangent": lambda x, y, n: np.tanh(x),
    "picked": lambda x, y, n: x[..., :1] * n if np.ndim(x) else x,
    "sum": lambda x, y, n: np.sum(x, 0) if np.ndim(x) else x,
    "mean": lambda x, y, n: np.mean(x, -1) if np.ndim(x) else x,
    "product": lambda x, y, n: x @ np.transpose(x) if np.ndim(x) == 2 else x,
    "sum of products": lambda x, y, n: np.sum(x * y),
}


def both(program, names, order):
    """Derivatives without rewriting, with all that they are made of, and with it: (naive program, values), values."""
    arrays = data(program)
    tensors = [ad.Tensor(a, dtype=a.dtype) for a in arrays]
    y = run(program, names, tensors)
    y = np.sum(y)
    trace = collect([y.node])
    wrt = [t.node for t in tensors if t.node in trace.numbers]
    assume(wrt)
    assume(y.node.inputs)
    found = [node for node in derivative(y.node, wrt, order) if node is not None]
    assume(found)
    leaves = [node for node in dict.fromkeys([*trace.leaves, *wrt]) if not node.inputs]
    naive = prune(build(leaves, found))
    every = [n for n in naive.live() if naive.avals[n].dtype.kind in "fc" and naive.avals[n].spec is None]
    outputs, naive.outputs = naive.outputs, (*naive.outputs, *every)
    values = [leaf.value for leaf in leaves]
    given_values = [np.asarray(v) for v in Interpreted(naive)(*values)]
    naive.outputs = outputs
    rewritten = [prune(build(leaves, found, rewrite)) for rewrite in (simplify, simplify_graph)]
    results = [[np.asarray(v) for v in Interpreted(program)(*values)] for program in rewritten]
    results.append(ad.Graph().gradient(y, [t for t in tensors if t.node in wrt], order))
    return naive, dict(zip(every, given_values[len(outputs) :], strict=True)), given_values[: len(outputs)], results


def stays_in_range(naive, values):
    """Whether nothing on the way is infinite or may be so in another order of the same sum."""
    for number, value in values.items():
        if not np.isfinite(value).all():
            return False
        if naive.heads[number] in (ops.sum_p, ops.matmul_p, ops.inner_product):
            sizes = [np.sum(np.abs(values[a]).astype(np.longdouble)) for a in naive.arguments[number]]
            if not np.prod(sizes) < np.finfo(value.dtype).max / 4:
                return False
        if not np.all(np.abs(value) <= np.finfo(value.dtype).max * (1 - 1e-3)):
            return False
    return True


def stays_normal(values):
    """Whether nothing on the way is below the normal numbers, or was and became zero."""
    return all(np.all(np.abs(value) >= 1024 * np.finfo(value.dtype).smallest_normal) for value in values.values())


@pytest.mark.filterwarnings("ignore")
class TestDerivatives:
    @given(programs(SMOOTH, ["float32", "float64"], most=8), st.integers(1, 3))
    @settings(seeded, max_examples=800)
    def test_what_is_finite_stays_finite(self, program, order):
        naive, values, _, results = both(program, SMOOTH, order)
        finite = stays_in_range(naive, values)
        event(f"finite {finite}")
        if finite:
            for result in results:
                assert all(np.isfinite(value).all() for value in result), str(naive)

    @given(programs(PRODUCTS, ["float32", "float64"], most=6))
    @settings(seeded, max_examples=600)
    def test_products_lose_nothing(self, program):
        """Without sums in which terms cancel, derivatives agree to the last digits, and none becomes zero."""
        naive, values, wanted, results = both(program, PRODUCTS, 1)
        normal = stays_in_range(naive, values) and stays_normal(values)
        positive = not any(naive.heads[n] in (ops.add, ops.subtract) for n in values)
        event(f"normal {normal and positive}")
        if normal and positive:
            for result in results[:2]:
                for value, other in zip(result, wanted, strict=True):
                    rtol = 200 * float(np.finfo(value.dtype).eps)
                    np.testing.assert_allclose(value, other, rtol=rtol, err_msg=str(naive))


def test_operators_are_those_of_python():
    """What the table of steps relies on: one expression is NumPy's for arrays and records for Tensors."""
    x = np.array([1.0, 2.0])
    t = ad.Tensor(x)
    for function in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
        assert same_bits(function(t, 2).value, function(x, 2)).all()
