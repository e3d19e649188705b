"""Tensors beside objects of other classes: who decides is who decides beside an ndarray (NEP 13 and 18)."""

import decimal
import fractions
import operator

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.containers import transform
from autodiff.tensor import foreign

A = np.array([1.0, 2.0])

BINARY = {
    name: getattr(operator, f"__{name}__")
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
}
BINARY |= {"lshift": operator.lshift, "rshift": operator.rshift}
COMPARED = {name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")}
IN_PLACE = {name: getattr(operator, f"__i{name}__") for name in BINARY}
EVERY = {**BINARY, **COMPARED}


def answering(cls):
    """A class with all operators, which say who was asked."""
    for name in BINARY:
        setattr(cls, f"__{name}__", lambda self, other, name=name: f"{name} of mine")
        setattr(cls, f"__r{name}__", lambda self, other, name=name: f"{name} reflected in mine")
    for name in COMPARED:
        setattr(cls, f"__{name}__", lambda self, other, name=name: f"{name} of mine")
    cls.__hash__ = object.__hash__
    return cls


@answering
class NoUfuncs:
    __array_ufunc__ = None


@answering
class Ufuncs:
    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        return f"ufunc {ufunc.__name__} of mine"


class UfuncsAlone:
    """As an operand of NumPy's functions only."""

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        return f"ufunc {ufunc.__name__} with {[type(x).__name__ for x in inputs]}"


@answering
class High:
    __array_priority__ = 1e6

    def __array__(self, dtype=None, copy=None):
        return np.array(A, dtype)


@answering
class Low:
    __array_priority__ = -1e9

    def __array__(self, dtype=None, copy=None):
        return np.array(A, dtype)


@answering
class Converted:
    def __array__(self, dtype=None, copy=None):
        return np.array(A, dtype)


@answering
class Unknown:
    """NumPy knows nothing of it."""


class Units(np.ndarray):
    """As the quantities of astropy: an ndarray with a word about ufuncs."""

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        return f"ufunc {ufunc.__name__} of units"


class Nothing:
    pass


def outcome(function, x, other):
    """What comes of an operator: an answer, numbers, or the kind of error."""
    try:
        found = function(x, other)
    except TypeError:
        return "TypeError"
    if isinstance(found, str):
        return found
    return np.asarray(found)


INTEGERS = ("and", "or", "xor", "lshift", "rshift")


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (cls, name)
        for cls in (NoUfuncs, High, Low, Converted)
        for name in EVERY
        if name not in INTEGERS or cls in (NoUfuncs, High)
    ],
)
def test_who_decides_is_who_does_beside_an_ndarray(cls, name):
    data = np.array([3, 5]) if name in INTEGERS else A
    x = ad.Tensor(data, constant=True)
    for function in (EVERY[name], lambda a, b: EVERY[name](b, a)):
        found, wanted = outcome(function, x, cls()), outcome(function, data, cls())
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", EVERY)
def test_a_class_with_a_word_about_ufuncs_decides(name):
    x = ad.Tensor(A)
    mirrored = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}.get(name, name)
    reflected = f"{mirrored} of mine" if name in COMPARED else f"{name} reflected in mine"
    assert EVERY[name](x, Ufuncs()) == reflected
    assert EVERY[name](Ufuncs(), x) == f"{name} of mine"
    assert EVERY[name](x, Unknown()) == reflected
    assert EVERY[name](Unknown(), x) == f"{name} of mine"
    assert getattr(ad.Tensor, f"__{name}__")(x, Unknown()) is NotImplemented
    assert getattr(ad.Tensor, f"__{name}__")(x, Ufuncs()) is NotImplemented


@pytest.mark.parametrize("name", EVERY)
def test_a_class_with_ufuncs_and_no_operators_is_asked_through_them(name):
    x = ad.Tensor(A)
    for first, second in [(x, UfuncsAlone()), (UfuncsAlone(), x)]:
        wanted = EVERY[name](*[A if t is x else t for t in (first, second)])
        assert EVERY[name](first, second) == wanted.replace("ndarray", "Tensor")


@pytest.mark.parametrize("name", [n for n in EVERY if n != "matmul"])
def test_quantities_decide(name):
    quantity = A.view(Units)
    x = ad.Tensor(A)
    for first, second in [(x, quantity), (quantity, x)]:
        assert EVERY[name](first, second) == EVERY[name](*[A if t is x else t for t in (first, second)])


def test_ufuncs_leave_it_to_the_class():
    x = ad.Tensor(A)
    assert np.multiply(x, UfuncsAlone()) == "ufunc multiply with ['Tensor', 'UfuncsAlone']"
    assert np.multiply(UfuncsAlone(), x) == "ufunc multiply with ['UfuncsAlone', 'Tensor']"
    assert np.arctan2(x, A.view(Units)) == "ufunc arctan2 of units"
    assert np.multiply(x, 2.0, out=UfuncsAlone()) == "ufunc multiply with ['Tensor', 'float']"
    assert np.add.at(x, [0], UfuncsAlone()).startswith("ufunc add with")
    with pytest.raises(TypeError, match="does not support ufuncs"):
        np.multiply(x, NoUfuncs())


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_a_tensor_stays_a_tensor(name):
    for other in (NoUfuncs(), Unknown(), Ufuncs(), UfuncsAlone(), A.view(Units)):
        x = ad.Tensor(A)
        with pytest.raises(errors.DTypeError, match=rf"__i{name}__: .*{type(other).__name__}.*write t = t"):
            IN_PLACE[name](x, other)
        np.testing.assert_array_equal(x.value, A)
    assert IN_PLACE[name](ad.Tensor(A), High()) == f"{name} reflected in mine"
    assert IN_PLACE[name](A.copy(), High()) == f"{name} reflected in mine"


@pytest.mark.parametrize(
    "other",
    [Nothing(), None, "text", b"text", {}, {1}, object, fractions.Fraction(1, 2), decimal.Decimal(2)],
    ids=lambda o: type(o).__name__,
)
@pytest.mark.parametrize("name", ["add", "mul", "mod", "or", "lt", "eq"])
def test_what_nobody_understands_is_our_error(name, other):
    x = ad.Tensor(A)
    with pytest.raises(errors.DTypeError, match="numeric array from"):
        EVERY[name](x, other)


@pytest.mark.parametrize("other", [[1.0, 2.0], (1.0, 2.0), range(2), memoryview(A), np.float16(2), 2, 2.0, 2j, True])
def test_what_numpy_converts_is_an_operand(other):
    x = ad.Tensor(A)
    for function in (operator.mul, lambda a, b: b * a):
        found = function(x, other)
        assert type(found) is ad.Tensor
        np.testing.assert_array_equal(found.value, A * np.asarray(other))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_matrices_of_numpy_are_refused():
    # Their * is a product of matrices, a Tensor's is elementwise.
    x, matrix = ad.Tensor(np.ones((2, 2))), np.matrix([[1.0, 2.0], [3.0, 4.0]])
    for function in (operator.mul, operator.pow, operator.imul, lambda a, b: b * a):
        with pytest.raises(errors.DTypeError, match=r"np\.matrix.*with @ for products"):
            function(x, matrix)


def test_an_answer_may_be_a_tensor_which_is_differentiated():
    class Metres:
        """A number and its unit."""

        def __init__(self, number):
            self.number = number

        def __rmul__(self, other):
            return Metres(other * self.number)

        def __radd__(self, other):
            return NotImplemented

    x = ad.Tensor(A)
    length = x * Metres(3.0)
    assert type(length) is Metres
    (found,) = ad.Graph().gradient(np.sum(length.number**2), [x])
    np.testing.assert_array_equal(found, 18 * A)
    with pytest.raises(TypeError, match=r"unsupported operand type.*'Tensor' and 'Metres'"):
        x + Metres(3.0)


def test_classes_below_a_tensor_are_tensors():
    class Mine(ad.Tensor):
        __slots__ = ()

    x, y = ad.Tensor(A), Mine(A)
    for found in (x * y, y * x, np.multiply(x, y), np.multiply(y, x)):
        np.testing.assert_array_equal(found.value, A * A)
    x += y
    np.testing.assert_array_equal(x.value, 2 * A)


def test_every_operator_has_its_reflection():
    names = [name for name in vars(ad.Tensor) if name.startswith("__r") and name[3:-2] in BINARY]
    assert sorted(f"__r{name}__" for name in BINARY) == sorted(names)
    assert set(foreign.REFLECTED) == {f"__{name}__" for name in EVERY}


class Functions:
    """What has a unit, and says what NumPy's functions do with it."""

    def __init__(self, value, unit):
        self.value, self.unit = value, unit

    def __array_function__(self, function, types, args, kwargs):
        return Functions(function(*transform(bare, args), **transform(bare, kwargs)), self.unit)


class Length(np.ndarray):
    """The same as a subclass of NumPy's arrays."""

    def __array_function__(self, function, types, args, kwargs):
        return Functions(function(*transform(bare, args), **transform(bare, kwargs)), "m")


def bare(x):
    return x.value if isinstance(x, Functions) else x.view(np.ndarray) if isinstance(x, Length) else x


FUNCTIONS = {
    "dot": lambda t, q: np.dot(t, q),
    "reflected dot": lambda t, q: np.dot(q, t),
    "where": lambda t, q: np.where(t > 1, q, t),
    "concatenate": lambda t, q: np.concatenate([t, q]),
    "keyword": lambda t, q: np.clip(t, a_min=q, a_max=None),
    "einsum": lambda t, q: np.einsum("i,j->ij", t, q),
}


@pytest.mark.parametrize("call", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("quantity", [Functions(3 * A, "m"), (3 * A).view(Length)], ids=["object", "subclass"])
def test_functions_are_left_to_a_class_that_answers_them(call, quantity):
    found = call(ad.Tensor(A), quantity)
    assert type(found) is Functions
    assert found.unit == "m"
    assert isinstance(found.value, ad.Tensor)
    np.testing.assert_array_equal(found.value, call(A, 3 * A))
    slope = ad.grad(lambda t: np.sum(call(t, quantity).value ** 2))(A)
    np.testing.assert_array_equal(slope, ad.grad(lambda t: np.sum(call(t, 3 * A) ** 2))(A))


def test_functions_that_nobody_answers():
    class Refusing:
        def __array_function__(self, function, types, args, kwargs):
            return NotImplemented

    with pytest.raises(TypeError, match=r"no implementation found for 'numpy\.dot'"):
        np.dot(ad.Tensor(A), Refusing())


def test_masked_arrays_and_lists_are_operands_of_functions():
    assert type(np.dot(ad.Tensor(A), [1.0, 2.0])) is ad.Tensor
    with pytest.raises(errors.AutodiffError):
        np.dot(ad.Tensor(A), np.ma.array(A, mask=[True, False]))
