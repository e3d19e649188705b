"""``ad.function``: traces, what they hold for, and replays."""

import dataclasses
import decimal
import enum
import fractions
import functools
import math
import warnings
import zlib
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import errors
from autodiff.static_keys import static_key
from autodiff.transforms import functions

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[0.7, 4.1, -1.3], [1.6, -0.35, 3.2]])
V = np.array([1.0, 2.0, 4.0])
Layer = namedtuple("Layer", "weight bias")


class Counted:
    """A function that counts how often its Python code runs."""

    def __init__(self, function):
        self.function = function
        self.runs = 0

    def __call__(self, *args, **kwargs):
        self.runs += 1
        return self.function(*args, **kwargs)


def test_function_is_traced_once_for_each_shape_and_dtype():
    counted = Counted(lambda x: np.sum(np.sin(x) * 2.0))
    f = ad.function(counted)
    for shift in range(5):
        result = f(A + shift)
        assert type(result) is np.ndarray
        np.testing.assert_allclose(result, np.sum(np.sin(A + shift) * 2))
    assert counted.runs == 1
    f(A[:, :2])
    f(A.astype(np.float32))
    assert counted.runs == 3
    f(B)
    f(B[:, :2])
    f(B.astype(np.float32))
    assert counted.runs == 3
    assert f.cache_info()[:3] == (7, 3, 3)
    f.clear_cache()
    f(A)
    assert counted.runs == 4


def test_function_takes_python_floats_as_data():
    counted = Counted(lambda x, rate: x * rate)
    f = ad.function(counted)
    for rate in (0.5, 0.25, 1.0, 2.0, 0.0, -3.5, float("inf")):
        np.testing.assert_array_equal(f(A, rate), A * rate)
    assert counted.runs == 1
    scalar = ad.function(lambda x: x**2 + 1)
    assert scalar(3.0) == 10.0
    assert type(scalar(3.0)) is float


def test_function_takes_other_arguments_as_structure():
    def f(x, n, mode="sum", flag=False, nothing=None):
        out = getattr(np, mode)(x**n)
        return -out if flag else out

    counted = Counted(f)
    f = ad.function(counted)
    assert f(A, 2) == pytest.approx(np.sum(A**2))
    assert f(A, 3) == pytest.approx(np.sum(A**3))
    assert f(A, 2, mode="mean") == pytest.approx(np.mean(A**2))
    assert f(A, 2, flag=True) == pytest.approx(-np.sum(A**2))
    assert f(A, 1) == pytest.approx(np.sum(A))
    assert f(A, True) == pytest.approx(np.sum(A))  # True equals 1, and is another structure
    assert counted.runs == 6
    f(B, 3)
    assert counted.runs == 6
    with pytest.raises(errors.ArgumentError, match="hashable"):
        f(A, {1, 2})


def test_function_takes_and_returns_containers():
    @ad.function
    def f(p, *, q):
        return {"sum": p["a"] + q[0], "parts": [p["b"] * 2.0, (q[1], 7, "text")], "layer": Layer(p["a"], None)}

    result = f({"a": A, "b": 1.5}, q=(B, np.float32(2)))
    np.testing.assert_array_equal(result["sum"], A + B)
    assert result["parts"][0] == 3.0
    assert result["parts"][1][0] == 2
    assert result["parts"][1][1:] == (7, "text")
    np.testing.assert_array_equal(result["layer"].weight, A)
    assert result["layer"].bias is None
    assert ad.function(list)() == []


def test_function_without_arguments_and_without_tensors():
    w = ad.Tensor([1.0, 2.0])
    f = ad.function(lambda: np.sum(w * 3))
    assert f() == 9.0
    w.assign([2.0, 2.0])
    assert f() == 12.0
    assert ad.function(lambda x: 5)(A) == 5


def test_function_reads_captured_variables_at_their_present_value():
    w, c = ad.Tensor(A), ad.Tensor(B, constant=True)
    counted = Counted(lambda x: np.sum(w * x + c))
    f = ad.function(counted)
    for _ in range(3):
        np.testing.assert_allclose(f(B), np.sum(w.value * B + c.value))
        w.assign(w.value * 0.5)
        c.assign(c.value + 1)
    assert counted.runs == 1
    w += 1  # now the result of an operation
    np.testing.assert_allclose(f(B), np.sum(w.value * B + c.value))
    w[0] = 0.0
    np.testing.assert_allclose(f(B), np.sum(w.value * B + c.value))
    w.assign(A)
    np.testing.assert_allclose(f(B), np.sum(A * B + c.value))


def test_function_keeps_captured_results_of_operations():
    w = ad.Tensor(A)
    doubled = w * 2
    f = ad.function(lambda x: np.sum(doubled * x))
    np.testing.assert_allclose(f(B), np.sum(2 * A * B))
    w.assign(B)
    np.testing.assert_allclose(f(B), np.sum(2 * A * B))
    doubled.assign(A)
    np.testing.assert_allclose(f(B), np.sum(A * B))


def test_function_that_traced_after_an_operation_in_place():
    w = ad.Tensor(A)
    w += 1
    f = ad.function(lambda x: np.sum(w * x))
    np.testing.assert_allclose(f(B), np.sum((A + 1) * B))
    w.assign(A)
    np.testing.assert_allclose(f(B), np.sum(A * B))


def test_function_of_captured_arrays_copies_them():
    c = B.copy()
    f = ad.function(lambda x: x * c)
    f(A)
    c[:] = 0
    np.testing.assert_array_equal(f(A), A * B)


def test_function_results_alias_nothing():
    w = ad.Tensor(A)
    f = ad.function(lambda x: (x, x.T, x * 2, w, np.ones(2), x * 2))
    x = B.copy()
    first, second = f(x), f(x)
    everything = [x, w.value, *first, *second]
    for i, one in enumerate(everything):
        for other in everything[i + 1 :]:
            assert not np.shares_memory(one, other)
    kept = [array.copy() for array in second]
    for array in first:
        array[...] = 99
    for array, wanted in zip(second, kept):
        np.testing.assert_array_equal(array, wanted)
    for array, wanted in zip(f(x), kept):
        np.testing.assert_array_equal(array, wanted)


def test_function_nested_in_grad_and_grad_in_function():
    f = ad.function(lambda x: np.sum(np.sin(x) * x))
    expected = np.cos(A) * A + np.sin(A)
    np.testing.assert_allclose(ad.grad(f)(A), expected)
    counted = Counted(ad.value_and_grad(lambda x: np.sum(np.sin(x) * x)))
    step = ad.function(counted)
    for _ in range(3):
        value, gradient = step(A)
        np.testing.assert_allclose(value, np.sum(np.sin(A) * A))
        np.testing.assert_allclose(gradient, expected)
    assert counted.runs == 1
    second = ad.function(ad.grad(lambda x: np.sum(ad.grad(f)(x) ** 2)))
    np.testing.assert_allclose(second(A), 2 * expected * (2 * np.cos(A) - A * np.sin(A)))
    nested = ad.function(lambda x: f(x) * 2)
    np.testing.assert_allclose(nested(A), 2 * np.sum(np.sin(A) * A))


def test_function_of_tensors_records():
    f = ad.function(lambda x: np.sum(x**3))
    x = ad.Tensor(A)
    y = f(x) * 2
    assert isinstance(y, ad.Tensor)
    np.testing.assert_allclose(ad.Graph().gradient(y, [x])[0], 6 * A**2)


def test_function_as_a_method():
    class Model:
        def __init__(self, scale):
            self.weight = ad.Tensor([scale, 2 * scale])

        @ad.function
        def predict(self, x):
            """Document."""
            return np.sum(self.weight * x)

    one, other = Model(1.0), Model(10.0)
    x = np.array([1.0, 1.0])
    assert one.predict(x) == 3.0
    assert other.predict(x) == 30.0
    one.weight.assign([0.0, 0.0])
    assert one.predict(x) == 0.0
    assert Model.predict.__doc__ == "Document."
    assert Model.predict(other, x) == 30.0


def test_function_with_options():
    @ad.function(cache_size=2)
    def f(x):
        return x * 2

    for n in range(1, 5):
        f(np.ones(n))
    assert f.cache_info().entries == 2
    assert isinstance(f, ad.Function)
    assert f.__name__ == "f"


NEEDS_A_VALUE = {
    "truth of a number": lambda x: x if np.sum(x) else -x,
    "float": lambda x: x * float(np.sum(x)),
    "int": lambda x: x * int(np.sum(x)),
    "array": lambda x: x * np.asarray(x),
    "value": lambda x: x.value * 2,
    "item": lambda x: x[0].item() * x,
    "format": lambda x: x * len(f"{np.sum(x):.3f}"),
    "print": lambda x: x * len(str(x)),
    "value of the argument": lambda x: x * x._i[0],
    "contains": lambda x: x * (1.0 in x),
    "operator on the value": lambda x: 2 * x.value,
}


@pytest.mark.parametrize("function", NEEDS_A_VALUE.values(), ids=NEEDS_A_VALUE)
def test_function_that_needs_a_value_says_so(function):
    with pytest.raises(errors.TraceError, match=r"autodiff\.function.*np\.where") as caught:
        ad.function(function)(np.array([1.0, 2.0]))
    assert isinstance(caught.value, RuntimeError)
    assert ad.function(lambda x: np.sum(x))(A) == np.sum(A)


def test_repr_while_tracing_is_for_debuggers():
    seen = []
    ad.function(lambda x: seen.append((repr(x), repr(x * 2))) or x)(np.ones(3))
    assert all("float64[3]" in text for text in seen[0])


def test_function_with_indices_and_shapes():
    @ad.function
    def f(x, i):
        return x[i] + x.shape[0] + len(x) + x.ndim

    np.testing.assert_array_equal(f(A, 1), A[1] + 6)
    np.testing.assert_array_equal(f(A, np.array([0, 0])), A[[0, 0]] + 6)


def test_function_at_values_where_python_raises_and_ieee_does_not():
    f = ad.function(lambda x, y: (x / y, np.log(x), np.exp(x * 1000), x**0.5))
    with np.errstate(all="ignore"):
        results = f(0.0, 0.0)
        assert np.isnan(results[0])
        assert results[1] == -np.inf
        assert f(1.0, 0.0)[0] == np.inf
        assert f(1.0, 1.0)[2] == np.inf
        assert np.isnan(f(-1.0, 1.0)[3])


# --- what is part of the structure -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Settings:
    """A value with an equality of its own."""

    power: object
    scale: object = 1


class Kind(enum.IntEnum):
    """Members equal integers."""

    ONE = 1


# Values that Python or NumPy hold to be equal, though functions tell them apart.
CONFUSABLE = [
    [0, 0.0, -0.0, False, 0j, complex(0, -0.0), complex(-0.0, 0.0), fractions.Fraction(0), decimal.Decimal("0")],
    [1, True, 1 + 0j, Kind.ONE, fractions.Fraction(1), decimal.Decimal("1"), decimal.Decimal("1.00"), "1", b"1"],
    [complex(-1, 0.0), complex(-1, -0.0), -1],
    [None, (), frozenset(), "", False],
    [range(0), range(0, 0, 2), (0, 0, 1)],
]
confusable = st.sampled_from([value for group in CONFUSABLE for value in group])
structures = st.recursive(
    confusable,
    lambda inner: st.one_of(
        st.builds(Settings, inner, inner),
        st.tuples(inner, inner),
        st.lists(inner, max_size=2),
        st.dictionaries(confusable, inner, max_size=2),
    ),
    max_leaves=4,
)


def without_data(value):
    """Floats given to a traced function are data: its structure has them in fields of objects and as keys only."""
    if isinstance(value, Settings):
        return value
    if isinstance(value, (tuple, list)):
        return type(value)([without_data(part) for part in value])
    if isinstance(value, dict):
        return {key: without_data(part) for key, part in value.items()}
    return None if type(value) is float else value


@settings(deadline=None, max_examples=200)
@given(st.lists(structures, min_size=2, max_size=8))
def test_values_that_differ_have_other_keys_and_traces(values):
    values = [without_data(value) for value in values]
    for one in values:
        for other in values:
            assert (static_key(one) == static_key(other)) == (repr(one) == repr(other))
    f = ad.function(lambda x, value: x * float(zlib.crc32(repr(value).encode())))
    for value in [*values, *values]:
        assert f(2.0, value) == 2.0 * zlib.crc32(repr(value).encode())


@pytest.mark.parametrize("group", CONFUSABLE, ids=repr)
@pytest.mark.parametrize(
    "hold",
    [lambda v: v, lambda v: Settings(v), lambda v: Settings(2, Settings(v)), lambda v: {v: 1}, lambda v: [{v: None}]],
    ids=["itself", "field", "nested field", "key", "nested key"],
)
def test_what_is_equal_and_not_the_same_is_traced_again(hold, group):
    f = ad.function(lambda x, held: x * 2.0 if not seen.append(repr(held)) else x)
    for value in group:
        if type(value) is float and hold(value) is value:
            continue  # data
        seen = []
        f(1.0, hold(value))
        assert seen == [repr(hold(value))], "an old trace was found"
        f(1.0, hold(value))
        assert len(seen) == 1


def test_complex_arguments_on_both_sides_of_a_branch_cut():
    f = ad.function(lambda x, c: x * np.sqrt(c))
    for c in (complex(-1, 0.0), complex(-1, -0.0), complex(-1, 0.0)):
        np.testing.assert_array_equal(f(V, c), V * np.sqrt(c))


def test_keys_of_dicts_come_back_as_they_were_given():
    f = ad.function(lambda d: {key: 2 * value for key, value in d.items()})
    assert [type(key) for key in f({1: 1.0})] == [int]
    assert [type(key) for key in f({True: 1.0})] == [bool]
    assert [type(key) for key in f({1.0: 1.0})] == [float]


# --- values that are looked at ---------------------------------------------------------------------------------------

S = 3  # the size of what is looked at


def looks(s, i, m, w):
    """Functions of an array that look at Tensors of the outside, in every way there is."""
    half = ad.function(lambda y: np.sum(y * w))
    return {
        "if": lambda x: x if s > 0 else -x,
        "if of a computation": lambda x: x if np.sum(w) * s > 0 else -x,
        "float": lambda x: x * float(s),
        "value": lambda x: x * s.value,
        "item": lambda x: x + s.item(),
        "asarray": lambda x: x * np.asarray(w),
        "asarray of a computation": lambda x: x * np.asarray(w * s),
        "int": lambda x: x[int(i)],
        "index": lambda x: x[i],
        "range": lambda x: x * len(range(i + 1)) if i >= 0 else x,
        "index of a computation": lambda x: x[i - 1],
        "slice": lambda x: x[: int(i) + 1],
        "mask": lambda x: x[m],
        "mask of a computation": lambda x: x[w > 0],
        "written": lambda x: np.concatenate([x, x[m] * 2.0]),
        "tolist": lambda x: sum(w.tolist()) * x,
        "iteration": lambda x: x * sum(float(v) for v in w),
        "while": lambda x: functools.reduce(lambda a, _: a * 2.0, range(max(int(i), 0)), x),
        "format": lambda x: x * len(f"{s:.1f}"),
        "repr": lambda x: x * len(repr(s)),
        "in": lambda x: x if 2.0 in w else -x,
        "max": lambda x: x * max(w, key=float),
        "floor": lambda x: x * math.floor(s),
        "another traced function": lambda x: x * half(np.ones(S)),
        "a look within a traced function": lambda x: x * ad.function(lambda y: y * float(s))(2.0),
        "a gradient at a value": lambda x: x * ad.grad(lambda y: y**3)(float(s)),
        "a gradient that looks": lambda x: ad.grad(lambda y: np.sum(y * y) if s > 0 else np.sum(y))(x),
    }


NAMES = list(looks(*[ad.Tensor(1.0)] * 4))


def state(rng):
    """Other values for what is looked at."""
    return (
        float(rng.choice([-2.5, -1.0, 0.5, 2.0, 10.0])),
        int(rng.integers(-S, S)),
        rng.random(S) > 0.5,
        rng.choice([-2.0, -1.0, 0.5, 2.0], S),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_holds_only_for_the_values_that_it_looked_at(name):
    rng = np.random.default_rng(NAMES.index(name))
    tensors = [
        ad.Tensor(value, constant=kind in "ib", dtype=dtype)
        for value, dtype, kind in zip(state(rng), (float, int, bool, float), "fibf")
    ]
    function = looks(*tensors)[name]
    traced = ad.function(function)
    history = [state(rng) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.RetraceWarning)
        for values in [*history, *history[::-1], *history]:
            for tensor, value in zip(tensors, values):
                tensor.assign(value)
            result, expected = traced(V), function(ad.Tensor(V))
            np.testing.assert_array_equal(result, np.asarray(expected))
            np.testing.assert_array_equal(traced(V * 2), np.asarray(function(ad.Tensor(V * 2))))


def test_a_trace_is_not_made_again_while_what_it_looked_at_stays():
    runs = []
    s, w = ad.Tensor(2.0), ad.Tensor(V)
    f = ad.function(lambda x: runs.append(1) or (x * w if s > 0 else -x * w))
    for value in (2.0, 3.0, 5.0):
        s.assign(value)  # still positive
        w.assign(V * value)
        np.testing.assert_array_equal(f(V), V * V * value)
    assert len(runs) == 1
    s.assign(-1.0)
    np.testing.assert_array_equal(f(V), -V * V * 5)
    s.assign(4.0)
    np.testing.assert_array_equal(f(V), V * V * 5)
    assert len(runs) == 2  # the first trace was kept


def test_what_is_looked_at_and_always_another_gives_a_warning_once():
    s = ad.Tensor(1.0)
    f = ad.function(lambda x: x * float(s))

    def call(value):
        s.assign(value)
        assert f(2.0) == 2.0 * value

    for value in range(1, 9):
        call(value)
    with pytest.warns(ad.RetraceWarning, match=r"float\(s\).*np\.where") as caught:
        call(9)
    for value in range(10, 30):
        call(value)
    assert len(caught) == 1
    assert caught[0].filename == __file__


# Values of arguments that decide a shape.
SHAPES = {
    "mask": lambda x: x[x > 0] ** 2,
    "reduced": lambda x: x[x > 0].sum() + x[x < 0].size,
    "mask of an argument": lambda x, m: x[m] * 2.0,
    "nonzero": lambda x: x[np.nonzero(np.maximum(x, 0.0))],
    "where": lambda x: x[np.where(x > 0)],
    "argwhere": lambda x: x[np.argwhere(x > 0)],
    "flatnonzero": lambda x: x * np.flatnonzero(x > 0).size,
    "compress": lambda x: np.compress(x > 0, x),
    "extract": lambda x: np.extract(np.maximum(x, 0.0), x),
    "unique": lambda x: np.unique(np.concatenate([x, x])),
    "unique and where": lambda x: np.unique(x, return_index=True)[0],
    "range": lambda x: x * len(range(np.count_nonzero(x > 0))),
    "bincount": lambda x: np.bincount((x > 0).astype(int) + (x > 2), weights=x),
    "delete": lambda x: np.delete(x, x > 0),
    "ix": lambda x: np.outer(x, x)[np.ix_(x > 0, x > 0)],
    "trim": lambda x: np.trim_zeros(np.maximum(x, 0.0)),
    "sets": lambda x: np.concatenate([np.setdiff1d(x, [1.0]), np.intersect1d(x, [3.0]), np.union1d(x, [1.0])]),
    "a gradient": lambda x: ad.grad(lambda y: np.sum(y[y > 0] ** 3))(x)[x > 0],
    "a traced function": lambda x: ad.function(lambda y: y[y > 0] * w_outside)(x),
    "a traced function of an array": lambda x: x * ad.function(lambda y: y[y > w_outside])(V).size,
    "if": lambda x: x if np.sum(x) > 0 else -x,
    "a mask in an array": lambda x: x * PLACES[x > 0].size,
    "while": lambda x: halved(x),
    "a loop": lambda x: functools.reduce(lambda z, _: np.where(z > 9, z, z * z)[z < 50], range(3), x + 2.0),
}
w_outside = ad.Tensor(3.0)
PLACES = np.arange(4)


def halved(x):
    while np.sum(np.abs(x)) > 1:
        x = x / 2
    return x


@pytest.mark.parametrize("f", SHAPES.values(), ids=SHAPES)
def test_a_trace_holds_only_for_the_shapes_that_values_of_its_arguments_decide(f):
    one, other = np.array([1.0, -2.0, 3.0, -0.5]), np.array([-1.0, 2.0, 3.0, 5.0])
    rest = (one > 0,) if "m" in f.__code__.co_varnames else ()
    runs = []
    traced = ad.function(lambda *args: runs.append(1) or f(*args))
    gradient = ad.function(ad.grad(lambda *args: np.sum(f(*args) ** 2)))
    for x in (one, other, one, other, -one):
        np.testing.assert_allclose(traced(x, *rest), np.asarray(f(ad.Tensor(x), *rest)), rtol=1e-14)
        expected = ad.grad(lambda *args: np.sum(f(*args) ** 2))(x, *rest)
        np.testing.assert_allclose(gradient(x, *rest), expected, rtol=1e-14)
    assert len(runs) <= 3, "a trace is found again"
    x = one.copy()
    traced(x, *rest)
    x[:] = other  # the same array
    np.testing.assert_allclose(traced(x, *rest), np.asarray(f(ad.Tensor(x), *rest)), rtol=1e-14)


def test_what_the_guard_rounds_in_another_way_is_traced_again(monkeypatch):
    """The trace is for what was seen: where the guard's plan says otherwise, it does not hold."""
    from autodiff.transforms import guards

    compute = guards.Guard._looked_at
    others = iter([True])
    monkeypatch.setattr(
        guards.Guard, "_looked_at", lambda *args: [~x if next(others, False) else x for x in compute(*args)]
    )
    f = ad.function(lambda x: x[x > 1])
    for x in (V, V * [5, 0, 0], V):
        np.testing.assert_array_equal(f(x), x[x > 1])


def test_a_mask_of_an_argument_and_of_the_outside():
    w = ad.Tensor(0.0)
    runs = []
    f = ad.function(lambda x: runs.append(1) or x[x > w] * w)
    for value, left in ((0.0, 3), (1.0, 2), (1.5, 2), (3.0, 1), (0.0, 3)):
        w.assign(value)
        result = f(V)
        assert result.tolist() == (V[value < V] * value).tolist()
        assert result.size == left
    assert len(runs) == 3
    with pytest.raises(errors.IndexingError, match=r"batch; np\.where"):
        ad.function(ad.vmap(lambda x: x[x > 0]))(V[:, None])


def test_a_mask_that_is_another_one_at_each_call_gives_a_warning():
    f = ad.function(lambda x: np.sum(x[x > 0]))
    for n in range(1, 9):
        assert f(np.arange(12.0) - n) == np.sum(np.arange(12 - n))
    with pytest.warns(ad.RetraceWarning, match=r"x\[x > 0\].*np\.where for an if or a mask"):
        assert f(np.arange(12.0) - 9) == 3


def test_an_argument_that_is_looked_at_is_an_error_that_names_the_line():
    def scaled(x):
        return x * float(np.sum(x))  # the line

    with pytest.raises(
        errors.TraceError, match=r"test_tracing\.py, line \d+ \(return x \* float\(np\.sum\(x\)\).*# the line"
    ):
        ad.function(scaled)(V)


def test_a_tensor_made_in_a_trace_may_be_written_to():
    def filled(x):
        out = ad.Tensor(np.zeros(3))
        for i in range(3):
            out[i] = x[i] ** 2
        out *= 2.0
        return out

    f = ad.function(filled)
    for x in (V, V + 1, V):
        np.testing.assert_array_equal(f(x), 2 * x**2)
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(filled(x)))(V), 4 * V)
    assert type(ad.grad(lambda x: np.sum(filled(x)))(V)) is np.ndarray


@pytest.mark.parametrize(
    "change",
    [
        lambda w, x: w.__setitem__(0, x),
        lambda w, x: w.assign(np.zeros(3)),
        lambda w, x: w.__imul__(2.0),
        lambda w, x: np.exp(w, out=w),
        lambda w, x: w.assign_sub(1.0),
        lambda w, x: w.fill(0.0),
    ],
)
@pytest.mark.parametrize("make", [lambda: ad.Tensor(V), lambda: ad.Tensor(V) * 2, lambda: ad.Tensor(V, constant=True)])
def test_a_tensor_of_the_outside_is_not_changed_by_a_trace(make, change):
    w = make()
    before = w.value

    def changes(x):
        change(w, x)
        return x * 2

    with pytest.raises(errors.TraceError, match=r"test_tracing\.py.*of the outside.*assign it after the call"):
        ad.function(changes)(1.0)
    np.testing.assert_array_equal(w.value, before)


@pytest.mark.parametrize(
    "part",
    [
        lambda w: w[...],
        lambda w: w[:],
        np.squeeze,
        np.atleast_1d,
        lambda w: w.reshape(3),
        lambda w: np.swapaxes(w, 0, 0),
    ],
)
def test_views_of_a_tensor_of_the_outside_are_not_written_into_by_a_trace(part):
    w = ad.Tensor(V)

    def changes(x, v):
        v += x
        v[0] = 0.0
        return v * w

    with pytest.raises(errors.TraceError, match=r"test_tracing\.py.*of the outside.*assign it after the call"):
        ad.function(lambda x: changes(x, part(w)))(V)
    f = ad.function(lambda x: changes(x, part(w).copy()))
    for value in (V, V + 1):
        w.assign(value)
        np.testing.assert_array_equal(f(V), np.array([0, *(value + V)[1:]]) * value)
    np.testing.assert_array_equal(w.value, V + 1)


def test_a_value_of_an_argument_on_another_backend_is_not_known_either(backend):
    f = ad.function(lambda x: x * float(np.sum(x)), backend=backend)
    with pytest.raises(errors.TraceError, match=r"np\.where"):
        f(V)


def test_truths_and_masks_of_an_argument_on_another_backend_are_looked_at(backend):
    f = ad.function(lambda x: x[x > 0] * 2 if np.any(x > 3) else x, backend=backend)
    for x in (V, -V, V - 2, V):
        expected = x[x > 0] * 2 if np.any(x > 3) else x
        np.testing.assert_array_equal(ad.get_backend(backend).to_numpy(f(x)), expected)


def test_a_traced_function_whose_tensor_a_derivative_passes_through_is_recorded():
    w = ad.Tensor(np.zeros(3))
    h = ad.function(lambda y: np.sum(y * w))
    h(np.ones(3))

    def through(x):
        w[0] = x
        return h(np.ones(3)) * 1.0

    assert ad.grad(through)(2.0) == 1.0
    assert h(np.ones(3)) == 2.0

    x = ad.Tensor([1.0, 2.0])
    g = ad.grad(lambda t: ad.function(lambda y: np.sum(y * t))(np.ones(2)))
    np.testing.assert_array_equal(g(x).value, [1.0, 1.0])


def test_a_trace_that_failed_leaves_nothing_behind():
    def fails(x):
        raise KeyError("mine")

    for transform in (ad.function, ad.grad):
        with pytest.raises(KeyError):
            transform(fails)(V)
    from autodiff import watching

    assert not watching.watched
    assert not watching.traces


# --- calls that are compared with the latest ones first --------------------------------------------------------------


class Sub(np.ndarray):
    """Not taken for a plain array."""


CALLS = [
    np.ones(3),
    np.ones((3, 1)),
    np.ones(3, np.float32),
    np.ones(3, np.int64),
    np.ones(3, ">f8"),
    np.ones(3).view(Sub),
    np.ones(()),
    1.0,
    1,
    True,
    np.float64(1.0),
    np.float32(1.0),
    1.0 + 0j,
    [np.ones(3)],
    ad.Tensor(np.ones(3)),
]


@pytest.mark.parametrize("often", range(len(CALLS)))
def test_a_call_unlike_the_latest_ones_is_not_mistaken(often):
    seen = []

    @ad.function
    def f(x, y=2.0):
        seen.append(None)
        return (x[0] if isinstance(x, list) else x) * y + 1

    for _ in range(2 * functions.CALLS_NOTED):
        f(CALLS[often])
    for x in CALLS:
        plain, found = (x[0] if isinstance(x, list) else x), f(x)
        expected = np.asarray(plain.value if isinstance(plain, ad.Tensor) else plain) * 2.0 + 1
        assert isinstance(found, ad.Tensor) == isinstance(x, ad.Tensor)
        np.testing.assert_array_equal(np.asarray(found), expected)
        assert np.asarray(found).shape == expected.shape
    assert f(CALLS[0], 3.0)[0] == 4.0
    assert f(CALLS[0], y=3.0)[0] == 4.0
    with pytest.raises(TypeError):
        f(CALLS[0], 1.0, 1.0)
    with pytest.raises(TypeError):
        f()


def test_guards_and_captured_values_hold_for_calls_like_the_latest_ones():
    outside = ad.Tensor(2.0)

    @ad.function
    def f(x):
        return x * 2.0 if x[0] > 0 else x * outside

    up, down = np.ones(2), -np.ones(2)
    for i in range(4 * functions.CALLS_NOTED):
        outside.assign(float(i))
        np.testing.assert_array_equal(f(up), [2.0, 2.0])
        np.testing.assert_array_equal(f(down), -float(i) * np.ones(2))


def test_a_cleared_cache_is_empty_for_the_latest_call_too():
    f = ad.function(lambda x: x * 2.0)
    for _ in range(2 * functions.CALLS_NOTED):
        f(1.0)
    assert f.cache_info()[:3] == (2 * functions.CALLS_NOTED - 1, 1, 1)
    f.clear_cache()
    f(1.0)
    assert f.cache_info()[:3] == (0, 1, 1)
