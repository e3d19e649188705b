"""The functional form: ``grad``, ``value_and_grad``, ``function``, ``stop_gradient``."""

import functools
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[0.7, 4.1, -1.3], [1.6, -0.35, 3.2]])
Layer = namedtuple("Layer", "weight bias")


def slope(function, x, step=1e-6):
    """The gradient of a scalar function by central differences."""
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[place] = step
        result[place] = (function(x + shift) - function(x - shift)) / (2 * step)
    return result


# --- grad and value_and_grad -----------------------------------------------------------------------------------------


def test_python_numbers_in_and_out():
    for argument in (3.0, 3):
        result = ad.grad(lambda x: x**2 + x)(argument)
        assert type(result) is float
        assert result == 7.0
    value, gradient = ad.value_and_grad(lambda x: x**3)(2.0)
    assert (value, gradient) == (8.0, 12.0)
    assert type(value) is type(gradient) is float
    assert ad.grad(lambda x: x * 2.0)(True) == 2.0


def test_python_complex_number():
    result = ad.grad(lambda z: np.real(z**2))(1 + 2j)
    assert type(result) is complex
    assert result == 2 + 4j


@pytest.mark.parametrize("array", [A, A.astype(np.float32), A[0], np.array(2.5), A + 1j * B, A[:0]], ids=repr)
def test_arrays_keep_shape_and_dtype(array):
    result = ad.grad(lambda x: np.sum(np.real(x * np.conj(x))))(array)
    assert type(result) is np.ndarray
    assert (result.shape, result.dtype) == (array.shape, array.dtype)
    np.testing.assert_allclose(result, 2 * np.conj(array))


def test_integer_arrays_and_lists_become_floats():
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(x**2))(np.array([1, 2])), [2.0, 4.0])
    assert ad.grad(lambda x: x[0] * x[1])([2, 3.0]) == [3.0, 2.0]


def test_tensor_in_tensor_out():
    x = ad.Tensor(A)
    result = ad.grad(lambda t: np.sum(t**3))(x)
    assert isinstance(result, ad.Tensor)
    np.testing.assert_allclose(result.value, 3 * A**2)
    (second,) = ad.Graph().gradient(result, [x])
    np.testing.assert_allclose(second, 6 * A)


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [
        (0, 12.0),
        (1, 8.0),
        (-1, 3.0),
        ((0,), (12.0,)),
        ((0, 1), (12.0, 8.0)),
        ([2, 0], (16.0 / 3, 12.0)),
        ((-2, 0), (8.0, 12.0)),
        ((0, 0), (12.0, 12.0)),
    ],
)
def test_argnums(argnums, expected):
    def f(x, y, z):
        return x * y * z if argnums != -1 else 3.0 * z

    result = ad.grad(f, argnums)(*((2.0, 3.0, 4.0) if argnums != [2, 0] else (4.0 / 3, 4.0, 3.0)))
    assert type(result) is type(expected)
    np.testing.assert_allclose(result, expected)


def test_keyword_arguments_are_passed_on():
    def f(x, power=2, *, scale=1.0):
        return scale * x**power

    assert ad.grad(f)(2.0, power=3, scale=10.0) == 120.0
    assert ad.grad(f)(2.0, 3) == 12.0
    assert ad.grad(f).__name__ == "f"


def test_nested_containers():
    parameters = {
        "layers": [Layer(A, np.ones(2)), Layer(B[:1, :2], 0.5)],
        "scale": (2.0, OrderedDict(z=3.0, a=np.float32(1.5))),
    }

    def loss(p, x):
        for layer in p["layers"]:
            x = np.tanh(layer.weight @ x + layer.bias)
        scale, rest = p["scale"]
        return np.sum(x) * scale * rest["z"] + rest["a"] ** 2

    x = np.array([0.1, 0.2, -0.3])
    value, gradient = ad.value_and_grad(loss)(parameters, x)
    assert list(gradient) == ["layers", "scale"]
    assert [type(layer) for layer in gradient["layers"]] == [Layer, Layer]
    assert type(gradient["scale"]) is tuple
    assert type(gradient["scale"][1]) is OrderedDict
    assert list(gradient["scale"][1]) == ["z", "a"]
    assert type(gradient["scale"][0]) is float
    np.testing.assert_allclose(value, loss(parameters, x))

    def by_weight(weight):
        layers = [Layer(weight, np.ones(2)), parameters["layers"][1]]
        return loss({**parameters, "layers": layers}, x)

    np.testing.assert_allclose(gradient["layers"][0].weight, slope(by_weight, A), atol=1e-8)
    assert gradient["layers"][0].bias.shape == (2,)
    np.testing.assert_allclose(gradient["scale"][1]["a"], 3.0)


def test_empty_container():
    assert ad.grad(lambda p, x: x * 2.0, argnums=0)([], 1.0) == []


def test_unused_argument_has_zero_gradient_and_a_warning_at_the_users_line():
    with pytest.warns(ad.IndependentWarning) as caught:
        result = ad.grad(lambda x, y: x * 1.7 + x**3, argnums=(0, 1))(2.0, A)
    assert result[0] == 1.7 + 12.0
    np.testing.assert_array_equal(result[1], np.zeros_like(A))
    assert caught[0].filename == __file__


def test_side_results_by_closure():
    seen = []
    ad.grad(lambda x: seen.append(x.value) or x**2)(3.0)
    assert seen == [3.0]


def test_control_flow_on_values():
    def f(x):
        total = 0.0
        while total < 10:
            total = total + x * x if x > 0 else total - x
        return total

    assert ad.grad(f)(2.0) == 12.0
    assert ad.grad(f)(-4.0) == -3.0


def test_higher_orders():
    f, expected = np.sin, [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]
    for derivative in expected:
        f = ad.grad(f)
        result = f(0.5)
        assert type(result) is float
        assert result == pytest.approx(derivative(0.5), rel=1e-12)


def test_hessian_row_by_row():
    def rosenbrock(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    x = np.array([0.5, -0.3, 0.8])
    rows = [ad.grad(lambda t, i=i: ad.grad(rosenbrock)(t)[i])(x) for i in range(3)]
    numeric = [slope(lambda t, i=i: ad.grad(rosenbrock)(t)[i], x) for i in range(3)]
    np.testing.assert_allclose(rows, numeric, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(rows, np.transpose(rows), atol=1e-12)


# --- perturbation confusion ------------------------------------------------------------------------------------------

grad = ad.grad
CONFUSION = {
    "sum": (lambda x: x * grad(lambda y: x + y)(1.0), 1.0, 1.0),
    "product": (lambda x: x * grad(lambda y: x * y)(2.0), 3.0, 6.0),
    "inner at the outer variable": (lambda x: grad(lambda y: x * y)(x), 3.0, 1.0),
    "inner at a function of it": (lambda x: grad(lambda y: x * y**2)(x**2), 2.0, 6 * 2.0**2),
    "three levels": (lambda x: grad(lambda y: grad(lambda z: x * y * z)(y))(x), 2.0, 1.0),
    "three levels, powers": (lambda x: grad(lambda y: y**2 * grad(lambda z: (x * y * z) ** 2)(x))(x), 1.0, 48.0),
    "inner constant": (lambda x: x * grad(lambda y: y**3)(2.0), 3.0, 12.0),
    "closure over a product": (lambda x: grad(lambda y, w=x * x: w * np.sin(y))(x), 0.7, None),
    "inner value": (lambda x: ad.value_and_grad(lambda y: x * y**2)(x)[0], 2.0, 12.0),
    "value and slope": (
        lambda x: functools.reduce(lambda a, b: a * b, ad.value_and_grad(lambda y: x * y**2)(x)),
        2.0,
        160.0,
    ),
    "curried": (lambda x: grad(functools.partial(lambda a, b: a**2 * b**3, x))(x), 2.0, 12 * 2.0**3),
    "inner stopped": (lambda x: grad(lambda y: ad.stop_gradient(x) * y * y)(x), 3.0, 6.0),
}


@pytest.mark.parametrize(("function", "point", "expected"), CONFUSION.values(), ids=CONFUSION)
def test_no_perturbation_confusion(function, point, expected):
    result = grad(function)(point)
    assert type(result) is float
    if expected is None:
        step = 1e-6
        expected = (float(function(point + step)) - float(function(point - step))) / (2 * step)
        assert result == pytest.approx(expected, rel=1e-8)
    else:
        assert result == pytest.approx(expected, rel=1e-14)


def test_inner_result_that_depends_on_the_outer_variable_alone():
    with pytest.warns(ad.IndependentWarning):
        assert grad(lambda x: x + grad(lambda y: x * x)(1.0))(3.0) == 1.0


def test_confusion_with_arrays():
    def f(x):
        inner = grad(lambda y: np.sum(x * y**2))(x[::-1])
        return np.sum(inner * x)

    expected = slope(lambda a: float(np.sum(2 * a * a[::-1] * a)), A[0])
    np.testing.assert_allclose(grad(f)(A[0]), expected, rtol=1e-7)


def test_graph_inside_grad():
    def f(x):
        (d,) = ad.Graph().gradient(np.sum(x**3), [x], as_tensors=True)
        return np.sum(d**2)

    np.testing.assert_allclose(grad(f)(A), 36 * A**3)


# --- stop_gradient ---------------------------------------------------------------------------------------------------


def test_stop_gradient():
    assert grad(lambda x: x * ad.stop_gradient(x))(3.0) == 3.0
    assert grad(grad(lambda x: x**2 * ad.stop_gradient(x)))(3.0) == 6.0
    x = ad.Tensor(A)
    np.testing.assert_array_equal(ad.stop_gradient(x * 2).value, A * 2)
    assert ad.stop_gradient(3.0) == 3.0
    stopped = ad.stop_gradient({"a": [x, 1.0]})
    assert isinstance(stopped["a"][0], ad.Tensor)
    assert stopped["a"][1] == 1.0
    assert grad(lambda x: np.exp(ad.stop_gradient(x)))(3.0) == 0.0


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [ad.grad, ad.value_and_grad], ids=["grad", "value_and_grad"])
@pytest.mark.parametrize(
    ("function", "args", "error", "message"),
    [
        (lambda x: x * 2.0, (A,), errors.DifferentiationError, r"scalar.*float64\[2, 3\].*np\.sum"),
        (lambda x: (x, x), (1.0,), errors.DifferentiationError, "scalar.*tuple"),
        (lambda x: x > 0, (1.0,), errors.DifferentiationError, "bool"),
        (lambda z: z**2, (1 + 2j,), errors.DifferentiationError, r"complex.*np\.real"),
        (lambda x: x, ("text",), errors.DTypeError, "text"),
        (lambda x: x, (None,), errors.DTypeError, "None"),
        (lambda x: x, (np.array([object()]),), errors.DTypeError, "object"),
        (lambda x: x, (ad.Tensor([1, 2], constant=True),), errors.DifferentiationError, r"args\[0\].*int64"),
        (lambda x: x, (), errors.ArgumentError, "argnums=0.*0 positional"),
    ],
)
def test_bad_call(transform, function, args, error, message):
    with pytest.raises(error, match=message) as caught:
        transform(function)(*args)
    assert isinstance(caught.value, errors.AutodiffError)
    assert ad.grad(lambda x: x**2)(3.0) == 6.0


@pytest.mark.parametrize("argnums", ["x", 1.0, (), True, (0, "a"), [None]], ids=repr)
@pytest.mark.parametrize("transform", [ad.grad, ad.value_and_grad], ids=["grad", "value_and_grad"])
def test_bad_argnums(transform, argnums):
    with pytest.raises(errors.ArgumentError, match=rf"{transform.__name__}: argnums"):
        transform(lambda x: x, argnums)


@pytest.mark.parametrize("transform", [ad.grad, ad.value_and_grad, ad.function], ids=lambda t: t.__name__)
def test_not_callable(transform):
    with pytest.raises(errors.ArgumentError, match="callable"):
        transform(3)


def test_the_users_own_errors_pass_through():
    def f(x):
        raise KeyError("mine")

    for transform in (ad.grad, ad.value_and_grad, ad.function):
        with pytest.raises(KeyError, match="mine"):
            transform(f)(1.0)
    assert ad.grad(lambda x: x**2)(3.0) == 6.0
