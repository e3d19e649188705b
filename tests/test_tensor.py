"""``Tensor``: NumPy's operators and methods, the handle, laziness, dtypes, containers, pickling."""

import copy
import operator
import pickle

import numpy as np
import pytest
from numpy.lib import recfunctions

import autodiff as ad
from autodiff import errors

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[0.7, 4.1, -1.3], [1.6, -0.35, 3.2]])
INTEGERS = np.array([[6, 3, 1], [2, 5, 7]])


def gradient(y, x):
    """The gradient of the sum of ``y`` with respect to ``x``."""
    return ad.Graph().gradient(y, [x])[0]


def slope(function, x, step=1e-6):
    """The gradient of ``sum(function(x))`` by central differences."""
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[place] = step
        result[place] = (np.sum(function(x + shift)) - np.sum(function(x - shift))) / (2 * step)
    return result


def same(actual, expected):
    """Equal values, shape and dtype."""
    np.testing.assert_array_equal(np.asarray(actual), expected)
    assert np.shape(actual) == np.shape(expected)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype


# --- operators -------------------------------------------------------------------------------------------------------

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
BITWISE = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]
OTHERS = [B, 2, -1.5, B[0], np.float64(0.5), np.float32(0.5), [[1.0], [2.0]]]


@pytest.mark.parametrize("other", OTHERS, ids=repr)
@pytest.mark.parametrize("function", [*ARITHMETIC, *COMPARISONS], ids=lambda f: f.__name__)
def test_binary_operator(function, other):
    same(function(ad.Tensor(A), other), function(A, other))
    same(function(other, ad.Tensor(A)), function(other, A))
    if isinstance(other, np.ndarray):
        same(function(ad.Tensor(A), ad.Tensor(other)), function(A, other))


@pytest.mark.parametrize("function", ARITHMETIC, ids=lambda f: f.__name__)
def test_binary_operator_differentiates_in_both_places(function):
    x = ad.Tensor(A)
    np.testing.assert_allclose(gradient(function(x, B), x), slope(lambda a: function(a, B), A), atol=1e-6)
    np.testing.assert_allclose(gradient(function(B, x), x), slope(lambda a: function(B, a), A), atol=1e-6)


def test_dtypes_of_other_packages_are_refused_with_what_to_write():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for call in (
        lambda: ad.Tensor([1.0], dtype=ml_dtypes.bfloat16),
        lambda: ad.Tensor([1.0]).astype("bfloat16"),
        lambda: np.zeros_like(ad.Tensor([1.0]), dtype=ml_dtypes.float8_e4m3fn),
    ):
        with pytest.raises(errors.DTypeError, match=r"is a dtype of another package, not of NumPy's own.*'float32'"):
            call()
    with pytest.raises(errors.DTypeError, match=r"dtype is bfloat16.*convert it, for example with"):
        ad.Tensor([1.0]) + np.ones(1, ml_dtypes.bfloat16)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 5, 7, -1, -2, 0.5, 1.5, -0.5, np.array([1.0, 2.0, 3.0])], ids=repr)
def test_power(exponent):
    x = ad.Tensor(np.abs(A))
    np.testing.assert_allclose((x**exponent).value, np.abs(A) ** exponent, rtol=1e-14)
    np.testing.assert_allclose(gradient(x**exponent, x), slope(lambda a: a**exponent, np.abs(A)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("base", [2, 2.0, 0.5, np.array([1.0, 2.0, 3.0])], ids=repr)
def test_reflected_power(base):
    x = ad.Tensor(A)
    same(base**x, base**A)
    np.testing.assert_allclose(gradient(base**x, x), slope(lambda a: base**a, A), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", BITWISE, ids=lambda f: f.__name__)
def test_bitwise_operator(function):
    x = ad.Tensor(INTEGERS, constant=True)
    same(function(x, 2), function(INTEGERS, 2))
    same(function(2, x), function(2, INTEGERS))
    same(function(INTEGERS, x), function(INTEGERS, INTEGERS))


@pytest.mark.parametrize("function", [operator.neg, operator.pos, operator.abs], ids=lambda f: f.__name__)
def test_unary_operator(function):
    x = ad.Tensor(A)
    same(function(x), function(A))
    np.testing.assert_allclose(gradient(function(x), x), slope(function, A), atol=1e-6)


def test_invert():
    same(~ad.Tensor(INTEGERS, constant=True), ~INTEGERS)
    same(~(ad.Tensor(A) > 0), A <= 0)


@pytest.mark.parametrize("pair", [(A, B), (A, 2.0), (7.5, A), (A, B[0])], ids=["arrays", "number", "reflected", "rows"])
def test_divmod(pair):
    expected = divmod(*pair)
    x = ad.Tensor(A)
    actual = divmod(*[x if p is A else p for p in pair])
    assert isinstance(actual, tuple)
    for part, wanted in zip(actual, expected):
        same(part, wanted)
    for part, wanted in zip(np.divmod(*[x if p is A else p for p in pair]), expected):
        same(part, wanted)


@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (3, 2)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3, 2)), ((2, 1, 4, 3), (5, 3, 2))],
)
def test_matmul(shapes):
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=s) for s in shapes)
    x, y = ad.Tensor(left), ad.Tensor(right)
    for product in (x @ y, x @ right, left @ y, np.matmul(x, y)):
        np.testing.assert_allclose(product.value, left @ right, rtol=1e-13)
        assert product.shape == (left @ right).shape
    np.testing.assert_allclose(gradient(x @ right, x), slope(lambda a: a @ right, left), atol=1e-7)
    np.testing.assert_allclose(gradient(left @ y, y), slope(lambda a: left @ a, right), atol=1e-7)


@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"])
def test_in_place_operator(name):
    function = getattr(operator, name)
    x = ad.Tensor(np.abs(A))
    other = x
    result = function(x, 2.0)
    assert result is x
    same(other, function(np.abs(A), 2.0))


def test_in_place_matmul():
    square = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = ad.Tensor(square)
    x @= square
    same(x, square @ square)


@pytest.mark.parametrize("name", ["iand", "ior", "ixor", "ilshift", "irshift"])
def test_in_place_bitwise_operator(name):
    x = ad.Tensor(INTEGERS, constant=True)
    function = getattr(operator, name)
    same(function(x, 1), function(INTEGERS.copy(), 1))


def test_in_place_shows_in_every_name_of_the_handle():
    x = ad.Tensor([1.0, 2.0])
    y = x
    y += 1
    y *= 3
    np.testing.assert_array_equal(x.value, [6.0, 9.0])
    assert y is x


def test_in_place_differentiates_what_came_before():
    x = ad.Tensor([1.0, 2.0])
    y = x * 1.0
    y *= y
    y += x
    np.testing.assert_array_equal(gradient(y, x), [3.0, 5.0])


def test_in_place_does_not_change_what_was_recorded_before():
    x = ad.Tensor([1.0, 2.0])
    y = x * 3
    x += 100
    np.testing.assert_array_equal(y.value, [3.0, 6.0])


def test_in_place_keeps_shape_and_dtype():
    x = ad.Tensor(np.ones((3, 1)))
    with pytest.raises(errors.ShapeError, match=r"\(3, 4\).*\(3, 1\)"):
        x += np.ones(4)
    single = ad.Tensor(np.ones(2, np.float32))
    single += np.ones(2)
    assert single.dtype == np.float32
    integers = ad.Tensor([1, 2], constant=True)
    with pytest.raises(errors.DTypeError, match=r"float64.*int64"):
        integers += 0.5
    np.testing.assert_array_equal(integers.value, [1, 2])


def test_array_in_place_with_a_tensor_refuses_to_lose_the_gradient():
    array = np.ones(2)
    with pytest.raises(errors.UnsupportedError, match="out="):
        array += ad.Tensor([1.0, 2.0])
    np.testing.assert_array_equal(array, 1.0)


def test_operators_leave_unknown_classes_their_turn():
    class Other:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "mine"

        __rmatmul__ = __radd__

    assert ad.Tensor([1.0]) + Other() == "mine"
    assert ad.Tensor([1.0]) @ Other() == "mine"


@pytest.mark.parametrize("function", COMPARISONS, ids=lambda f: f.__name__)
def test_comparisons_are_boolean_and_never_differentiate(function):
    x = ad.Tensor(A)
    result = function(x, 0.5)
    assert result.dtype == np.bool_
    with pytest.raises(errors.DifferentiationError):
        ad.Graph().gradient(result, [x])
    np.testing.assert_array_equal(gradient(x * result, x), function(A, 0.5).astype(float))


# --- indexing --------------------------------------------------------------------------------------------------------

CUBE = np.arange(24.0).reshape(2, 3, 4)
MASK = CUBE[0] % 3 == 0
INDICES = [
    0,
    -1,
    np.int64(1),
    (1, 2),
    (1, -2, 3),
    slice(None),
    slice(1, None),
    (slice(None), slice(None, None, -1)),
    (slice(None), slice(2, None, -2), slice(1, 3)),
    (slice(5, 9),),
    ...,
    (..., 1),
    (1, ..., 2),
    None,
    (None, 1, ..., None),
    [0, 0, 1],
    np.array([[0, 1], [1, 0]]),
    (slice(None), [2, 0]),
    (slice(None), [2, 0], [1, 1]),
    ([0, 1], slice(None), [1, -1]),
    (0, slice(None), [1, 3]),
    ([0], ..., [[1], [3]]),
    (np.array([True, False]),),
    (0, MASK),
    (slice(None), MASK),
    CUBE > 7,
    np.zeros((2, 3, 4), bool),
    np.ix_([0, 1], [2, 0], [3]),
    (None, [1, 0], None, 2),
    [],
]


@pytest.mark.parametrize("index", INDICES, ids=[str(i) for i in range(len(INDICES))])
def test_getitem(index):
    x = ad.Tensor(CUBE)
    weights = np.cos(np.arange(CUBE[index].size)).reshape(CUBE[index].shape)
    same(x[index], CUBE[index])
    np.testing.assert_allclose(
        gradient(x[index] * weights + 0 * np.sum(x), x), slope(lambda a: a[index] * weights, CUBE), atol=1e-6
    )


@pytest.mark.parametrize("index", INDICES, ids=[str(i) for i in range(len(INDICES))])
def test_setitem(index):
    expected = CUBE * 2
    values = np.sin(np.arange(CUBE[index].size)).reshape(CUBE[index].shape) + 1
    expected[index] = values
    x, v = ad.Tensor(CUBE), ad.Tensor(values)
    y = x * 2
    y[index] = v
    same(y, expected)

    def written(cube, inserted):
        result = cube * 2
        result[index] = inserted
        return result**2

    by_x, by_v = ad.Graph().gradient(y**2 + 0 * np.sum(x) + 0 * np.sum(v), [x, v])
    np.testing.assert_allclose(by_x, slope(lambda a: written(a, values), CUBE), atol=1e-4)
    np.testing.assert_allclose(by_v, slope(lambda a: written(CUBE, a), values), atol=1e-4)


def test_index_of_tensors():
    x = ad.Tensor(CUBE)
    same(x[ad.Tensor(1, constant=True)], CUBE[1])
    same(x[ad.Tensor([1, 0, 1], constant=True)], CUBE[[1, 0, 1]])
    same(x[:, ad.Tensor([1, 0], constant=True), 2], CUBE[:, [1, 0], 2])
    same(x[x > 7], CUBE[CUBE > 7])
    np.testing.assert_array_equal(gradient(np.sum(x[x > 7] ** 2), x), np.where(CUBE > 7, 2 * CUBE, 0))


def test_setitem_gives_the_handle_a_new_node_and_leaves_the_old_one():
    x = ad.Tensor([1.0, 2.0, 3.0])
    y = x * 2
    same_handle = y
    before = y.node
    part = y[:2]
    y[0] = 10.0
    assert y.node is not before
    np.testing.assert_array_equal(same_handle.value, [10.0, 4.0, 6.0])
    np.testing.assert_array_equal(part.value, [10.0, 4.0])  # a view
    np.testing.assert_array_equal(gradient(y * y, x), [0.0, 16.0, 24.0])


def test_setitem_of_a_part_shows_in_place():
    x = ad.Tensor([1.0, 2.0, 3.0])
    x[1:] += 5
    np.testing.assert_array_equal(x.value, [1.0, 7.0, 8.0])


def test_setitem_with_a_mask_and_broadcasting():
    x = ad.Tensor(A)
    y = x + 0.0
    y[y < 0] = 0.0
    same(y, np.where(A < 0, 0.0, A))
    y[:, 1] = 7
    y[...] += 1
    expected = np.where(A < 0, 0.0, A)
    expected[:, 1] = 7
    same(y, expected + 1)


def test_setitem_keeps_the_dtype():
    x = ad.Tensor(np.ones(3, np.float32))
    x[0] = np.float64(2.5)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.value, np.array([2.5, 1, 1], np.float32))


# --- as a container and a number -------------------------------------------------------------------------------------


def test_iteration_and_length():
    x = ad.Tensor(A)
    rows = list(x)
    assert len(x) == len(rows) == 2
    for row, expected in zip(rows, A):
        same(row, expected)
    first, second = x
    np.testing.assert_array_equal(gradient(first * second, x), A[::-1])


@pytest.mark.parametrize("function", [len, iter, list], ids=lambda f: f.__name__)
def test_no_iteration_without_dimensions(function):
    with pytest.raises(TypeError, match="without dimensions") as caught:
        function(ad.Tensor(1.0))
    assert isinstance(caught.value, errors.AutodiffError)


def test_conversions_to_numbers():
    assert float(ad.Tensor(2.5)) == 2.5
    assert float(ad.Tensor([[2.5]])) == 2.5
    assert int(ad.Tensor(2.5)) == 2
    assert complex(ad.Tensor(1 + 2j)) == 1 + 2j
    assert type(float(ad.Tensor(2.5))) is float
    assert operator.index(ad.Tensor(3, constant=True)) == 3
    assert [10, 20, 30][ad.Tensor(1, constant=True)] == 20
    with pytest.raises(errors.ShapeError, match=r"float.*\(2, 3\)"):
        float(ad.Tensor(A))
    with pytest.raises(TypeError):
        operator.index(ad.Tensor(3.0))


def test_truth():
    assert ad.Tensor(1.0)
    assert not ad.Tensor([0.0])
    assert ad.Tensor([1.0, 2.0])[1] > 1
    with pytest.raises(ValueError, match=r"ambiguous.*np\.any"):
        bool(ad.Tensor([1.0, 2.0]))


def test_contains():
    x = ad.Tensor(A)
    assert 3.0 in x
    assert 99 not in x
    assert ad.Tensor(0.25) in x


def test_array_protocol():
    x = ad.Tensor(A)
    same(np.asarray(x), A)
    same(np.array(x * 2, dtype=np.float32), (A * 2).astype(np.float32))
    copied = np.array(x)
    copied[:] = 0
    same(x, A)
    assert np.asarray(x) is not None
    same(np.asarray(x, dtype=int), A.astype(int))


def test_values_are_read_only():
    x = ad.Tensor(A)
    for value in (x.value, x._i, np.asarray(x), (x * 2).value, np.sum(x).value, x[0].value):
        assert not value.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            value[...] = 0
    same(x, A)


def test_repr_and_str():
    assert repr(ad.Tensor([1, 2])) == "Tensor([1., 2.])"
    assert repr(ad.Tensor([1.0], dtype="float32", name="w")) == "Tensor([1.], dtype=float32, name='w')"
    assert repr(ad.Tensor([1.0, 2.0]) > 1) == "Tensor([False,  True])"
    assert repr(ad.Tensor(2.0) * 3) == "Tensor(6.)"
    assert str(ad.Tensor([1.0, 2.0])) == "[1. 2.]"


def test_format():
    x = ad.Tensor(2.5)
    assert f"{x:.3f}" == "2.500"
    assert f"{x * 2}" == "5.0"
    assert f"{ad.Tensor([3.0]):5.1f}" == "  3.0"
    assert f"{ad.Tensor([1.0, 2.0])}" == "[1. 2.]"
    with pytest.raises(errors.ShapeError):
        f"{ad.Tensor([1.0, 2.0]):.2f}"


def test_hashable_by_identity():
    x, y = ad.Tensor([1.0]), ad.Tensor([1.0])
    assert len({x, y, x}) == 2


# --- the handle ------------------------------------------------------------------------------------------------------


def test_attributes():
    x = ad.Tensor(A, dtype="float32", name="x")
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == ((2, 3), 2, 6, 4, 24)
    assert (x.dtype, x.name, x.constant) == (np.float32, "x", False)
    assert ad.Tensor(A, constant=True).constant
    assert not hasattr(x, "__dict__")
    z = ad.Tensor(A + 1j * B)
    same(z.real, A)
    same(z.imag, B)
    same(ad.Tensor(A).real, A)
    same(ad.Tensor(A).imag, np.zeros_like(A))
    same(ad.Tensor(CUBE).T, CUBE.T)
    same(ad.Tensor(CUBE).mT, CUBE.mT)


def test_assign_is_a_new_version_in_the_slot():
    x = ad.Tensor(A)
    y = x**2
    node = x.node
    assert x.assign(B) is x
    assert x.node is not node
    assert x.node.slot is node.slot
    same(x, B)
    same(y, A**2)
    same(gradient(y, x), 2 * A)  # at the values that y was recorded with
    same(gradient(x**2, x), 2 * B)


def test_assign_copies_and_converts():
    value = np.array([1.0, 2.0])
    x = ad.Tensor([0.0, 0.0], dtype="float32")
    x.assign(value)
    value[:] = 9
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.value, [1, 2])
    assert value.flags.writeable
    x.assign(ad.Tensor([3.0, 4.0]) * 2)
    np.testing.assert_array_equal(x.value, [6, 8])
    assert x.node.inputs == ()


def test_assigned_values_are_read_only():
    x = ad.Tensor([0.0, 0.0])
    for value in ([1.0, 2.0], np.array([1.0, 2.0]), ad.Tensor([1.0, 2.0]) * 2, np.float64(1.0) * np.ones(2)):
        for assign in (x.assign, x.assign_add, x.assign_sub, lambda v: x.assign(np.asarray(v), copy=False)):
            assign(value)
            assert not x.value.flags.writeable


def test_assign_without_copy_shares_memory_but_leaves_the_callers_array_alone():
    value = np.array([1.0, 2.0])
    x = ad.Tensor([0.0, 0.0]).assign(value, copy=False)
    assert np.shares_memory(x.value, value)
    assert value.flags.writeable


def test_assign_add_and_sub():
    x = ad.Tensor(A)
    y = x * 1
    assert x.assign_add(B) is x
    same(x, A + B)
    x.assign_sub(ad.Tensor(B))
    same(x, A + B - B)
    x.assign_add(1)
    same(x, A + B - B + 1)
    same(y, A)
    scalar = ad.Tensor(1.0)
    scalar.assign_add(1)
    same(scalar, np.array(2.0))
    with pytest.raises(errors.ShapeError):
        scalar.assign_add(np.ones(3))


@pytest.mark.parametrize("duplicate", [ad.Tensor.copy, np.copy, copy.copy, copy.deepcopy], ids=lambda f: f.__qualname__)
def test_copy_records(duplicate):
    x = ad.Tensor(A, name="x")
    same(gradient(duplicate(x * 2) * duplicate(x), x), 4 * A)
    z = duplicate(x)
    z.assign(B)
    same(x, A)
    z = duplicate(x)
    z[0] = 0.0
    same(x, A)
    z *= x
    same(gradient(z, x)[1], 2 * A[1])


def test_what_copies_keep():
    x = ad.Tensor(A, name="x")
    assert x.copy().name == "x"
    c = ad.Tensor([1, 2], constant=True)
    for duplicate in (ad.Tensor.copy, copy.copy, copy.deepcopy):
        other = duplicate(c)
        assert other.constant
        assert other.dtype == np.int64
        other[0] = 5
        same(c, [1, 2])


def test_astype():
    x = ad.Tensor(A)
    y = x.astype(np.float32) * 2
    assert y.dtype == np.float32
    result = gradient(y, x)
    same(result, np.full_like(A, 2.0))
    assert (x > 0).astype(float).dtype == np.float64
    with pytest.raises(errors.DTypeError, match="casting='safe'"):
        x.astype(np.int64, casting="safe")


def test_item_and_tolist():
    x = ad.Tensor(A)
    assert x.item(1, 2) == -1.0
    assert x.tolist() == A.tolist()
    assert type(ad.Tensor([2.0]).item()) is float


METHODS = {
    "sum": [{}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}],
    "prod": [{}, {"axis": -1}],
    "mean": [{}, {"axis": 1, "keepdims": True}],
    "var": [{}, {"axis": 0, "ddof": 1}],
    "std": [{}, {"axis": 1}],
    "max": [{}, {"axis": 0}],
    "min": [{}, {"axis": -1, "keepdims": True}],
    "cumsum": [{}, {"axis": 1}],
    "cumprod": [{"axis": 0}],
    "clip": [{"min": -0.5, "max": 2.0}],
    "ravel": [{}],
    "flatten": [{}, {"order": "F"}],
    "squeeze": [{}],
    "swapaxes": [{"axis1": 0, "axis2": 1}],
    "diagonal": [{}, {"offset": 1}],
    "trace": [{}],
    "repeat": [{"repeats": 2, "axis": 1}, {"repeats": [1, 2], "axis": 0}],
    "take": [{"indices": [1, 0, 1], "axis": 1}],
    "dot": [{"b": B.T}],
    "transpose": [{}],
    "conj": [{}],
    "conjugate": [{}],
}


@pytest.mark.parametrize(("name", "keywords"), [(n, k) for n, cases in METHODS.items() for k in cases], ids=repr)
def test_method_and_its_gradient(name, keywords):
    x = ad.Tensor(A)
    numpy_keywords = {"axis1": keywords["axis1"], "axis2": keywords["axis2"]} if name == "swapaxes" else keywords
    positional = name in ("swapaxes", "dot")

    def call(array):
        method = getattr(array, name)
        return method(*numpy_keywords.values()) if positional else method(**numpy_keywords)

    expected = call(A)
    np.testing.assert_allclose(call(x).value, expected, rtol=1e-14)
    assert call(x).shape == expected.shape
    weights = np.cos(np.arange(expected.size)).reshape(expected.shape)
    np.testing.assert_allclose(gradient(call(x) * weights, x), slope(lambda a: call(a) * weights, A), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "args"), [("all", ()), ("any", (0,)), ("argmax", ()), ("argmin", (1,)), ("round", (1,))]
)
def test_method_without_gradient(name, args):
    same(getattr(ad.Tensor(A), name)(*args), getattr(A, name)(*args))


def test_reshape_and_transpose_take_axes_both_ways():
    x = ad.Tensor(CUBE)
    same(x.reshape(4, -1), CUBE.reshape(4, -1))
    same(x.reshape((6, 4)), CUBE.reshape((6, 4)))
    same(x.reshape(-1), CUBE.reshape(-1))
    same(x.reshape(4, 6, order="F"), CUBE.reshape(4, 6, order="F"))
    same(x.transpose(2, 0, 1), CUBE.transpose(2, 0, 1))
    same(x.transpose((1, 0, 2)), CUBE.transpose((1, 0, 2)))


def test_nonzero_and_fill():
    x = ad.Tensor(A)
    for found, expected in zip((x > 0).nonzero(), (A > 0).nonzero()):
        np.testing.assert_array_equal(found, expected)
    x.fill(2.0)
    same(x, np.full_like(A, 2.0))


# --- NumPy functions -------------------------------------------------------------------------------------------------


def test_ufunc_out():
    x, out = ad.Tensor(A), ad.Tensor(np.zeros_like(A))
    assert np.multiply(x, 2, out=out) is out
    same(out, A * 2)
    np.testing.assert_array_equal(gradient(out, x), np.full_like(A, 2.0))


def test_ufunc_where():
    x, out = ad.Tensor(A), ad.Tensor(B)
    np.multiply(x, x, out=out, where=A > 0)
    same(out, np.where(A > 0, A * A, B))
    np.testing.assert_array_equal(gradient(out, x), np.where(A > 0, 2 * A, 0))
    with pytest.raises(errors.ArgumentError, match=r"np\.where"):
        np.sin(x, where=A > 0)


def test_ufunc_dtype():
    result = np.add(ad.Tensor(A), 1, dtype=np.float32)
    same(result, np.add(A, 1, dtype=np.float32))
    with pytest.raises(TypeError):
        np.add(ad.Tensor(A), 1, dtype=np.int64)


def test_ufunc_methods():
    x = ad.Tensor(A)
    same(np.add.reduce(x), np.add.reduce(A))
    same(np.multiply.reduce(x, axis=1, keepdims=True), np.multiply.reduce(A, axis=1, keepdims=True))
    same(np.add.accumulate(x, axis=1), np.add.accumulate(A, axis=1))
    same(np.subtract.outer(x, B[0]), np.subtract.outer(A, B[0]))
    np.testing.assert_allclose(
        gradient(np.multiply.outer(x, B[0]), x), slope(lambda a: np.multiply.outer(a, B[0]), A), atol=1e-7
    )
    target = ad.Tensor(np.zeros(3))
    np.add.at(target, [0, 0, 2], x[0])
    np.testing.assert_array_equal(target.value, [-0.5, 0.0, 0.5])
    np.testing.assert_array_equal(gradient(target * np.array([1.0, 2.0, 3.0]), x), [[1, 1, 3], [0, 0, 0]])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.less.reduce(x),
        lambda x: np.less.accumulate(x),
        lambda x: np.less.reduceat(x, [0, 1]),
        lambda x: recfunctions.structured_to_unstructured(x),
        lambda x: np.sin(x, subok=False),
    ],
)
def test_what_is_not_recorded_says_so(call):
    x = ad.Tensor(np.eye(2))
    with pytest.raises(TypeError, match=r"np\.|numpy\.|sin") as caught:
        call(x)
    assert isinstance(caught.value, errors.UnsupportedError)
    same(x, np.eye(2))


def test_unsupported_function_says_how_to_add_it():
    name = r"numpy\.lib\.recfunctions\.structured_to_unstructured"
    with pytest.raises(errors.UnsupportedError, match=rf"{name}.*@autodiff\.implements\({name}\)"):
        recfunctions.structured_to_unstructured(ad.Tensor(A))


# --- dtypes (DESIGN, section 2) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([1, 2], "float64"),
        (3, "float64"),
        (True, "float64"),
        ([1.0], "float64"),
        (1 + 2j, "complex128"),
        (np.array([1, 2]), "float64"),
        (np.array([True]), "float64"),
        (np.array([1, 2], np.uint8), "float64"),
        (np.array([1.0], np.float16), "float16"),
        (np.array([1.0], np.float32), "float32"),
        (np.float32(1.0), "float32"),
        (np.array([1.0], np.complex64), "complex64"),
        (np.array([1.0], ">f8"), "float64"),
    ],
)
def test_dtype_of_new_tensors(data, expected):
    x = ad.Tensor(data)
    assert x.dtype == np.dtype(expected)
    assert x.dtype.isnative
    np.testing.assert_array_equal(x.value, data)


def test_constants_keep_integers():
    assert ad.Tensor([1, 2], constant=True).dtype == np.int64
    assert ad.Tensor(np.array([1], np.uint8), constant=True).dtype == np.uint8
    assert ad.Tensor([True], constant=True).dtype == np.bool_
    assert ad.Tensor([1, 2], dtype=int).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("other", [2, 2.5, np.float32(2), np.float64(2), np.ones(2, np.float32), np.int64(3)], ids=repr)
@pytest.mark.parametrize(
    "function", [operator.add, operator.mul, operator.truediv, operator.pow], ids=lambda f: f.__name__
)
def test_promotion_is_numpys_and_the_gradient_keeps_the_variables(function, other, dtype):
    array = np.array([1.5, 2.5], dtype)
    x = ad.Tensor(array)
    y = function(x, other)
    # The ufunc, not the operator: that of NumPy 2.0 has a short cut for x ** 2.0 which forgets the dtype of the 2.0.
    ufunc = {"add": np.add, "mul": np.multiply, "truediv": np.divide, "pow": np.power}[function.__name__]
    assert y.dtype == y.value.dtype == ufunc(array, other).dtype
    result = gradient(y.real if y.dtype.kind == "c" else y, x)
    assert (result.dtype, result.shape) == (array.dtype, array.shape)


@pytest.mark.parametrize("item", [(), ..., None])
def test_an_indexed_python_scalar_is_an_array(item):
    def loss(x):
        total = np.sum(x[item] * np.ones(2, np.float32))
        assert total.dtype == np.float64
        return total

    assert ad.grad(loss)(2.5) == 2.0


def test_python_scalars_stay_weak_through_recorded_scalars():
    assert ad.grad(lambda s, x: np.sum(x * (s * 2)), argnums=1)(2.0, np.ones(2, np.float32)).dtype == np.float32


def test_python_integer_that_does_not_fit():
    with pytest.raises(errors.DTypeError, match="300"):
        ad.Tensor(np.array([1], np.uint8), constant=True) + 300


# --- laziness and captured values ------------------------------------------------------------------------------------


def test_nothing_is_computed_before_somebody_looks():
    x = ad.Tensor(A)
    y = np.sin(x) * 2
    z = np.sum(y)
    assert y.node.value is None
    assert z.node.value is None
    float(z)
    assert z.node.value is not None


@pytest.mark.parametrize(
    "look",
    [
        lambda t: t._i,
        lambda t: t.value,
        np.asarray,
        str,
        repr,
        float,
        bool,
        int,
        lambda t: t.item(),
        lambda t: t.tolist(),
        lambda t: f"{t:.1f}",
        lambda t: 1.0 in t,
        lambda t: np.allclose(t, 1),
    ],
)
def test_looking_computes(look):
    t = np.sum(ad.Tensor(A) * 2)
    assert t.node.value is None
    look(t)
    np.testing.assert_array_equal(t.node.value, np.sum(A * 2))


def test_shape_and_dtype_need_no_value():
    t = ad.Tensor(A) @ ad.Tensor(B).T
    assert (t.shape, t.dtype, t.ndim, t.size, len(t)) == ((2, 2), np.float64, 2, 4, 2)
    assert np.shape(t) == (2, 2)
    assert np.ndim(t) == 2
    assert np.size(t) == 4
    assert t.node.value is None


def test_errors_appear_where_the_operation_is_recorded():
    x = ad.Tensor(A)
    with pytest.raises(errors.ShapeError):
        x + np.ones(4)
    with pytest.raises(errors.ShapeError):
        x @ x
    with pytest.raises(errors.IndexingError):
        x[2]
    with pytest.raises(errors.DTypeError):
        x & 1


@pytest.mark.parametrize(
    "record",
    [
        lambda x, c: x * c,
        lambda x, c: c + x * c,
        lambda x, c: np.multiply(x, c),
        lambda x, c: np.where(c > 0, x * c, c),
    ],
)
def test_mutated_operand_changes_nothing(record):
    x, c = ad.Tensor(A), B.copy()
    y = record(x, c)
    expected = record(A, B)
    c[:] = 100
    same(y, expected)
    np.testing.assert_allclose(gradient(record(x, B), x), slope(lambda a: record(a, B), A), atol=1e-6)
    z = record(x, d := B.copy())
    d[:] = 100
    np.testing.assert_allclose(gradient(z, x), slope(lambda a: record(a, B), A), atol=1e-6)


def test_mutated_index_changes_nothing():
    x, index = ad.Tensor(A), np.array([0, 1])
    y = x[index]
    index[:] = 1
    same(y, A)


def test_data_is_copied_unless_asked():
    array = A.copy()
    x, shared = ad.Tensor(array), ad.Tensor(array, copy=False)
    assert np.shares_memory(shared.value, array)
    array[:] = 0
    same(x, A)
    assert array.flags.writeable


def test_expensive_values_are_kept_and_cheap_ones_recomputed():
    x = ad.Tensor(A)
    product = x @ B.T
    cheap = product * 2
    np.sum(cheap).value
    assert product.node.value is not None
    assert cheap.node.value is None
    assert not product.node.value.flags.writeable


@pytest.mark.parametrize(
    "array", [A.T, A[:, ::-1], np.asfortranarray(A), np.broadcast_to(A[0], (4, 3)), A[::-1, 1:], A[:0]], ids=range(6)
)
def test_memory_layout_does_not_matter(array):
    array.flags.writeable = False
    x = ad.Tensor(array)
    same(x * 2, array * 2)
    same(np.ravel(x), np.ravel(array))
    same(x.reshape(-1, order="F"), array.reshape(-1, order="F"))
    np.testing.assert_array_equal(gradient(x * x, x), 2 * array)


# --- pickling and copying --------------------------------------------------------------------------------------------

COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "oldest pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_pickled_graph_is_complete(duplicate):
    x = ad.Tensor(A, name="x")
    y = np.sum(np.tanh(x[0] ** 2) * np.matmul(x, B.T)[:, 1:] + x.astype(np.float32)[0, 1])
    other_x, other_y = duplicate((x, y))
    assert other_x is not x
    assert other_x.name == "x"
    same(other_y, y.value)
    np.testing.assert_array_equal(gradient(other_y, other_x), gradient(y, x))
    other_x.assign(B)
    same(x, A)
    assert other_x.dtype is not None
    np.testing.assert_array_equal(gradient(other_y, other_x), gradient(y, x))  # one slot, the old version


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_pickled_values_are_read_only(duplicate):
    x = ad.Tensor(A)
    y = x * 2
    y.value
    for t in duplicate([x, y]):
        assert not t.value.flags.writeable


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_pickled_constants_stay_constants(duplicate):
    c = duplicate(ad.Tensor([1, 2], constant=True))
    assert c.constant
    assert c.dtype == np.int64


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_deep_graph_is_pickled_without_recursion(duplicate):
    x = ad.Tensor(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    z = y * 2
    other_x, other_y, other_z = duplicate((x, y, z))
    assert other_z.node.inputs[0] is other_y.node or other_z.node.inputs[1] is other_y.node
    assert float(other_z) == 200_002.0
    by_x, by_y = ad.Graph().gradient(other_z, [other_x, other_y])
    assert (by_x, by_y) == (2.0, 2.0)


def test_results_are_repeated_in_a_larger_out():
    x, out = ad.Tensor([1.0, 2.0, 4.0]), ad.Tensor(np.zeros((2, 3)))
    np.negative(x, out=out)
    same(out, np.negative(x.value, out=np.zeros((2, 3))))
    same(gradient(out, x), [-2.0, -2.0, -2.0])
    parts = ad.Tensor(np.zeros((2, 3))), ad.Tensor(np.zeros((2, 3)))
    np.modf(x / 2, out=parts)
    for part, expected in zip(parts, np.modf(x.value / 2, out=(np.zeros((2, 3)), np.zeros((2, 3))))):
        same(part, expected)
    for wrong in (np.zeros(4), np.zeros(())):
        with pytest.raises(errors.ShapeError):
            np.negative(x, out=ad.Tensor(wrong))


@pytest.mark.parametrize("number", [300, -1, 2**70])
def test_a_number_that_does_not_fit_is_not_chosen(number):
    x = ad.Tensor(np.array([1, 2], np.uint8), constant=True)
    mask = np.array([True, False])
    for choice in (lambda x: np.where(mask, x, number), lambda x: np.where(mask, number, x)):
        with pytest.raises(OverflowError, match=r"does not fit"):
            choice(x)
        with pytest.raises(OverflowError):
            ad.function(choice)(x.value)


def test_setting_a_value_is_an_error_that_says_what_to_write():
    t = ad.Tensor([1.0, 2.0])
    with pytest.raises(AttributeError, match=r"^a Tensor's value cannot be set: t.assign\(v\) gives it a new one"):
        t.value = np.ones(2)
    np.testing.assert_array_equal(t.value, [1.0, 2.0])
