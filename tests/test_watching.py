"""Transformations that run: nothing is detached in silence, nested ones keep their Tensors, in place stays inside."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import errors
from autodiff.watching import watched

V = np.array([1.0, 2.0, 4.0])


def derivative(function, x, step=1e-30):
    """The gradient of an analytic function of an array, which it may change, by complex steps."""
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * step
        result[place] = np.imag(function(moved)) / step
    return result


# --- what would lose a derivative is an error ------------------------------------------------------------------------


def written(x):
    out = np.zeros(3)
    for i in range(3):
        out[i] = x[i]
    return np.sum(out) + x[0]


def written_whole(x):
    out = np.zeros(3)
    out[:] = x
    return np.sum(out) + x[0]


def added(x):
    out = np.zeros(3)
    out += x
    return np.sum(out) + x[0]


class Unaware:
    """A class that converts what it is multiplied with."""

    def __matmul__(self, other):
        return np.eye(3) @ np.asanyarray(other)


DETACHING = {
    "float": lambda x: float(x[0]) * x[0],
    "complex": lambda x: np.real(complex(x[0])) * x[0],
    "math": lambda x: x[0] ** 2 * math.sqrt(x[0]),
    "fsum": lambda x: math.fsum(x) * x[0],
    "array of parts": lambda x: np.sum(np.array([x[0] ** 2, x[1]])),
    "array of Tensors": lambda x: np.sum(np.array([x, 2 * x])),
    "mean of a list": lambda x: np.mean([x[0], x[1]]),
    "sum of a list": lambda x: np.sum([x[0], 2 * x[1]]),
    "ufunc of a list": lambda x: np.sum(np.exp([x[0], x[1]])),
    "where of a list": lambda x: np.sum(np.where([True, False], [x[0], x[1]], 0.0)),
    "asarray": lambda x: np.sum(np.asarray(x) * x),
    "asarray of a part": lambda x: np.asarray(x[1:])[0] * x[0],
    "float64": lambda x: np.float64(x[0]) * x[0],
    "item": lambda x: x[0] * x[1].item(),
    "tolist": lambda x: sum(x.tolist()) * x[0],
    "elements written": written,
    "array written": written_whole,
    "array added to": added,
    "full": lambda x: np.sum(np.full(3, x[0])),
    "vectorize": lambda x: np.sum(np.vectorize(lambda v: v * 2.0)(x)),
    "dlpack": lambda x: np.sum(np.from_dlpack(x) * x),
    "pickle": lambda x: np.sum(pickle.loads(pickle.dumps(x)) * x),
    "Tensor": lambda x: np.sum(ad.Tensor(x) * x),
    "Tensor of a list": lambda x: np.sum(ad.Tensor([x[0], x[1]])),
    "assign": lambda x: np.sum(ad.Tensor(np.zeros(3)).assign(x)),
    "assign_add": lambda x: np.sum(ad.Tensor(np.zeros(3)).assign_add(x)),
    "to": lambda x: np.sum(x.to("numpy") * x),
    "a class that does not know Tensors": lambda x: np.sum(Unaware() @ x),
    "random": lambda x: np.random.default_rng(0).normal(x[0]) * x[0],
}
TRANSFORMATIONS = {
    "grad": ad.grad,
    "value_and_grad": ad.value_and_grad,
    "grad of grad": lambda f: ad.grad(lambda x: np.sum(ad.grad(f)(x))),
    "grad within grad": lambda f: ad.grad(lambda x: ad.grad(lambda y: f(x) * y)(2.0)),
    "of a dict": lambda f: lambda x: ad.grad(lambda d: f(d["x"]))({"x": x}),
    "of a Tensor": lambda f: lambda x: ad.grad(f)(ad.Tensor(x)),
    "function": lambda f: ad.function(ad.grad(f)),
    "function alone": ad.function,
}


@pytest.mark.parametrize("transform", TRANSFORMATIONS.values(), ids=TRANSFORMATIONS)
@pytest.mark.parametrize("function", DETACHING.values(), ids=DETACHING)
def test_what_loses_a_derivative_is_an_error_at_the_users_line(function, transform):
    with pytest.raises((errors.DetachedError, errors.TraceError, errors.UnsupportedError)) as caught:
        transform(function)(V)
    if caught.type is not errors.UnsupportedError:
        assert "test_watching.py, line" in str(caught.value)
    assert not watched
    # Outside of transformations these are NumPy's functions of values. (NumPy 2.0 exports no read-only memory.)
    if function is not added and not (function is DETACHING["dlpack"] and np.__version__.startswith("2.0.")):
        np.asarray(function(ad.Tensor(V)))


def test_the_error_says_who_asked_and_what_to_write():
    with pytest.raises(
        errors.DetachedError,
        match=r"float\(\) .* float64\[\] .*autodiff\.grad .*test_watching.*np\.sqrt.*stop_gradient",
    ):
        ad.grad(lambda x: x[0] * math.sqrt(x[1]))(V)
    with pytest.raises(
        errors.DetachedError, match=r"^NumPy does not look .* np\.mean was given one, such as in a list: .*np\.stack"
    ):
        ad.value_and_grad(lambda x: np.mean([x[0], x[1]]))(V)
    with pytest.raises(errors.DetachedError, match=r"^numpy\.\S*vectorize.* does not know Tensors: .*array"):
        ad.grad(DETACHING["vectorize"])(V)


FIRST = np.array([1.0, 0.0, 0.0])
P = np.array([1.25, 2.5, 4.75])
# Functions that look at values in ways that have no derivative, and their gradients at P.
NOT_DETACHING = {
    "if": (lambda x: x[0] ** 2 if x[0] > 0 else x[1], 2 * P * FIRST),
    "int": (lambda x: x[0] ** 2 * int(x[1]), 4 * P * FIRST),
    "floor": (lambda x: x[0] ** 2 * math.floor(x[1]) * math.ceil(x[1]) * math.trunc(x[1]), 24 * P * FIRST),
    "index": (lambda x: x[int(np.argmax(x))] ** 2, 2 * P * FIRST[::-1]),
    "print": (lambda x: x[0] ** 2 * bool(f"{x} {x!r} {x[0]:.3f} {x[0]!s}"), 2 * P * FIRST),
    "comparison": (lambda x: np.sum(np.asarray(x > 2) * x**2), 2 * P * (P > 2)),
    "allclose": (lambda x: x[0] ** 2 if np.allclose(x, P) else x[1], 2 * P * FIRST),
    "value": (lambda x: np.sum(x.value * x**2), 2 * P * P),
    "stop_gradient": (lambda x: np.sum(np.asarray(ad.stop_gradient(x)) * x**2), 2 * P * P),
    "number of what is not watched": (lambda x: np.sum(x**2) * float(ad.Tensor(2.0) * 3.0), 12 * P),
    "copies": (lambda x: np.sum(x.copy() * copy.copy(x) * copy.deepcopy(x) * np.copy(x)), 4 * P**3),
    "max": (lambda x: max(x) ** 2, 2 * P * FIRST[::-1]),
    "sorted": (lambda x: sorted(x)[0] ** 2, 2 * P * FIRST),
    "contains": (lambda x: x[0] ** 2 if 2.5 in x else x[1], 2 * P * FIRST),
    "shape": (lambda x: x[0] ** 2 * len(x) * x.size, 18 * P * FIRST),
}


@pytest.mark.parametrize(("function", "expected"), NOT_DETACHING.values(), ids=NOT_DETACHING)
def test_what_has_no_derivative_by_nature_works(function, expected):
    np.testing.assert_allclose(ad.grad(function)(P), expected)
    np.testing.assert_allclose(ad.grad(lambda d: function(d["x"]))({"x": P})["x"], expected)


def test_values_may_be_taken_when_the_transformation_has_ended():
    kept = []
    ad.grad(lambda x: kept.append(x * 2) or np.sum(x))(V)
    np.testing.assert_array_equal(np.asarray(kept[0]), 2 * V)
    assert float(kept[0][0]) == 2.0


def number_of(value):
    return np.sum(value) if value.shape else value


CONVERSIONS = {
    "float": lambda v: float(number_of(v)),
    "asarray": np.asarray,
    "item": lambda v: number_of(v).item(),
    "tolist": lambda v: np.sum(v.tolist()),
    "math": lambda v: math.atan(number_of(v)),
    "array": lambda v: np.array([number_of(v), 1.0]).sum(),
    "Tensor": lambda v: ad.Tensor(v),
    "assign": lambda v: ad.Tensor(np.zeros(v.shape)).assign(v),
}
# (function, whether a derivative passes through)
STEPS = {
    "sin": (lambda a, b: np.sin(a), True, False),
    "product": (lambda a, b: a * b, True, True),
    "sum": (lambda a, b: np.sum(a) + b, True, True),
    "chosen": (lambda a, b: np.where(a > b, a, b), True, True),
    "part": (lambda a, b: a[..., -1:] if np.ndim(a) else a + 0.0, True, False),
    "copy": (lambda a, b: a.copy(), True, False),
    "floor": (lambda a, b: np.floor(a), False, False),
    "sign": (lambda a, b: np.sign(a), False, False),
    "stopped": (lambda a, b: ad.stop_gradient(a), False, False),
    "compared": (lambda a, b: (a > b) * 1.0, False, False),
}
program = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(list(STEPS)), st.sampled_from(list(CONVERSIONS))),
        st.integers(0, 10),
        st.integers(0, 10),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=300)
@given(program, st.sampled_from(["grad", "value_and_grad", "grad within grad", "of a Tensor", "of a dict"]))
def test_conversions_are_errors_exactly_where_a_derivative_passes(steps, transformation):
    """Random programs that convert now and then, beside their own account of what a derivative passes through."""
    expected = []

    def run(x):
        del expected[:]
        values = [(x, True), (ad.Tensor(V), False)]
        for name, i, j in steps:
            a, first = values[i % len(values)]
            b, second = values[j % len(values)]
            if name in STEPS:
                function, by_first, by_second = STEPS[name]
                values.append((function(a, b), (first and by_first) or (second and by_second)))
            else:
                expected.append(first)
                values.append((ad.Tensor(CONVERSIONS[name](a), constant=True), False))
                assert not first, "nothing was said of a derivative that is lost"
        return sum([np.sum(value) for value, _ in values])

    try:
        TRANSFORMATIONS[transformation](run)(V)
    except errors.DetachedError:
        assert expected[-1], "there was no derivative to lose"
    assert not watched


# --- what may have lost one is a warning ------------------------------------------------------------------------------


def test_values_that_functions_of_other_packages_took():
    graph, x = ad.Graph(), ad.Tensor(V)
    first = x[0]
    part = np.mean([first, x[1]])  # of a list, which NumPy asks nobody about
    y = first * part
    with pytest.warns(
        ad.DetachedWarning, match=r"mean took the value of a Tensor float64\[\] at .*test_watching.*part = "
    ) as caught:
        graph.gradient(y, [x])
    assert {one.filename for one in caught} == {__file__}
    # Once: it was said.
    graph.gradient(y, [x])


def test_values_that_users_took_or_that_no_derivative_passes_through():
    graph, x, w = ad.Graph(), ad.Tensor(V), ad.Tensor(2.0)
    np.testing.assert_allclose(x, V)
    np.array_repr(x)
    y = np.sum(x * np.asarray(x) * x.value) + float(x[0])
    graph.gradient(y, [x])
    losses = []
    for _ in range(3):
        loss = np.sum((w * x) ** 2)
        losses.append(loss)
        graph.gradient(loss, [w])
        np.mean(losses)
        np.median([x[0], x[1]])  # data: the derivative is that by w
    constant = ad.Tensor(V, constant=True)
    np.mean([constant[0], constant[1]])
    graph.gradient(np.sum(constant * w), [w])


# --- nested transformations ------------------------------------------------------------------------------------------


def test_inner_derivatives_keep_the_tensors_of_the_outside():
    inner = lambda x: x * ad.grad(lambda y: x * y)(2.0)  # noqa: E731
    assert ad.grad(inner)(3.0) == 6.0
    result = ad.grad(inner)(ad.Tensor(3.0))
    assert isinstance(result, ad.Tensor)
    assert float(result) == 6.0
    x = ad.Tensor(3.0)
    np.testing.assert_array_equal(ad.Graph().gradient(inner(x), [x]), [6.0])
    np.testing.assert_array_equal(ad.Graph().gradient(inner(x), [x], 2), [2.0])


def test_gradient_penalty_over_a_closure():
    w, data = ad.Tensor([0.5, -1.0]), np.array([[1.0, 2.0], [3.0, -1.0]])

    def penalty(w):
        slopes = ad.grad(lambda x: np.sum(np.tanh(x @ w)))(data)
        return np.sum(slopes**2)

    def plain(w):
        slopes = (1 - np.tanh(data @ w) ** 2)[:, None] * w
        return np.sum(slopes**2)

    expected = derivative(plain, w.value)
    np.testing.assert_allclose(ad.Graph().gradient(penalty(w), [w])[0], expected)
    np.testing.assert_allclose(ad.grad(penalty)(w.value), expected)
    np.testing.assert_allclose(ad.function(ad.grad(penalty))(w.value), expected)


def test_a_nested_gradient_at_constant_points_is_a_number():
    result = ad.grad(lambda x: ad.grad(lambda y: np.sin(x) * np.sin(y))(2.0))(1.0)
    assert type(result) is float
    assert result == pytest.approx(np.cos(1.0) * np.cos(2.0))
    # Constants, and what no derivative passes through, are no Tensors of the outside.
    c, w = ad.Tensor(3.0, constant=True), ad.Tensor(3.0)
    assert type(ad.grad(lambda x: c * x)(2.0)) is float
    assert type(ad.grad(lambda x: ad.stop_gradient(w) * x)(2.0)) is float
    assert type(ad.grad(lambda x: x if w > 0 else -x)(2.0)) is float
    assert isinstance(ad.grad(lambda x: w * x)(2.0), ad.Tensor)


@pytest.mark.parametrize("result", [True, np.True_, np.bool_(False)], ids=repr)
def test_a_truth_value_is_no_result(result):
    with pytest.raises(errors.DifferentiationError, match="truth value"):
        ad.grad(lambda x: result)(1.0)
    with pytest.raises(errors.DifferentiationError):
        ad.grad(lambda x: np.allclose(x, x))(1.0)


# --- in place on arguments -------------------------------------------------------------------------------------------


def assign_part(x, i, j, c):
    x[i] = c * x[j]


IN_PLACE = {
    "multiplied": lambda x, i, j, c: x.__imul__(c),
    "added": lambda x, i, j, c: x.__iadd__(c),
    "centred": lambda x, i, j, c: x.__isub__(np.mean(x)),
    "squared": lambda x, i, j, c: x.__ipow__(2),
    "divided": lambda x, i, j, c: x.__itruediv__(3.0 + x * x),
    "element": assign_part,
    "slice": lambda x, i, j, c: x.__setitem__(slice(None, None, 2), x[::2] * c + x[j]),
    "mask": lambda x, i, j, c: x.__setitem__(np.arange(3) == i, c),
    "repeated": lambda x, i, j, c: x.__setitem__([i, j, i], x[[j, i, j]] * c),
    "out": lambda x, i, j, c: np.exp(x * 0.1, out=x),
    "out of two": lambda x, i, j, c: np.multiply(x, x, out=x),
    "filled": lambda x, i, j, c: x.__setitem__(Ellipsis, np.sum(x) * c),
}
changes = st.lists(
    st.tuples(st.sampled_from(list(IN_PLACE)), st.integers(0, 2), st.integers(0, 2), st.sampled_from([-1.5, 0.5, 2.0])),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=200)
@given(changes, st.sampled_from(["array", "Tensor", "dict", "list", "traced", "traced function of it", "second"]))
def test_what_is_done_to_arguments_in_place_is_differentiated_and_stays_inside(steps, given_as):
    def f(x):
        for name, i, j, c in steps:
            IN_PLACE[name](x, i, j, c)
        return np.sum(np.sin(x) * np.arange(1, 4))

    x = np.array([0.3, -0.7, 0.9])
    expected = derivative(f, x)
    kept = x.copy()
    if given_as == "array":
        found = ad.grad(f)(x)
    elif given_as == "Tensor":
        t = ad.Tensor(x)
        found = ad.grad(f)(t).value
        np.testing.assert_array_equal(t.value, kept)
    elif given_as == "dict":
        d = {"x": x, "other": [1.0]}
        found = ad.grad(lambda d: f(d["x"]) * d["other"][0])(d)["x"]
        assert d["x"] is x
    elif given_as == "list":
        (found, _) = ad.grad(lambda parts: f(parts[0]) + parts[1])([x, 2.0])
    elif given_as == "traced":
        traced = ad.function(ad.grad(f))
        traced(x + 1)
        found = traced(x)
    elif given_as == "second":
        found = ad.grad(lambda a, b: f(b) * a, (0, 1))(1.0, x)[1]
    else:
        traced = ad.function(f)
        traced(x + 1)
        found = ad.grad(traced)(x)
        np.testing.assert_allclose(traced(x), f(x.copy()), rtol=1e-12)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(x, kept)


def test_numbers_changed_in_place():
    def f(x):
        x *= 3
        x += 1.0
        return x**2

    assert ad.grad(f)(2.0) == 2 * 7 * 3.0
    assert type(ad.grad(f)(2.0)) is float
    assert ad.function(ad.grad(f))(2.0) == 42.0
