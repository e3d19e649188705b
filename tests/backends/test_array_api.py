"""Plans of Array API libraries: every primitive on every dtype against what it means in NumPy, and whole gradients."""

import itertools
import math

import numpy as np
import pytest

from autodiff import errors, ops
from autodiff.core.avals import INDEX_DTYPE, intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.ops import COMPOSITIONS
from autodiff.plan import Program
from autodiff_backends.numpy.reference import Interpreted

DTYPES = [np.dtype(code) for code in "?bhilBHILefdFD"]

# --- how a plan is compared ------------------------------------------------------------------------------------------

TOLERANCE = {"e": 4e-3, "f": 4e-6, "d": 2e-13, "F": 8e-6, "D": 2e-12}

# Which of two zeros it is may differ.
UNSIGNED_ZERO = {"maximum", "minimum", "fmax", "fmin", "nextafter", "logaddexp2", "inner_product", "max", "min"}

ABSOLUTE = {"logaddexp2": 1e-7}


def compare(backend, primitive, values, params=(), weak=()):
    """Compare a primitive's plan with its meaning; True if the library has all dtypes and NumPy has a loop."""
    avals = [
        intern_aval((), INDEX_DTYPE, spec=value[0]) if type(value) is tuple else aval_of(value, i in weak)
        for i, value in enumerate(values)
    ]
    values = [value[1] if type(value) is tuple else value for value in values]
    try:
        signature = primitive.signature(tuple(avals), params)
    except (errors.DTypeError, errors.ArgumentError):
        return False
    if any(a.dtype not in backend.capabilities.dtypes for a in (*avals, signature.out) if a.spec is None):
        return False
    program = Program(avals)
    program.outputs = (program.apply(signature, tuple(range(len(avals)))),)
    with np.errstate(all="ignore"):
        (expected,) = Interpreted(program)(*values)
    given = [backend.asarray(v) if isinstance(v, np.ndarray) else v for v in values]
    before = [np.array(v) for v in values if isinstance(v, np.ndarray)]
    with np.errstate(all="ignore"):
        (found,) = backend.compile(program)(*given)
    for array, kept in zip([v for v in given if backend.owns(v)], before):
        np.testing.assert_array_equal(backend.to_numpy(array), kept, "an input was written to")
    if not signature.out.weak:
        assert backend.device_of(found) == backend.device, signature
        assert backend.aval_of(found) == (signature.out.shape, signature.out.dtype), signature
        found = backend.to_numpy(found)
    same = agree(np.asarray(found), np.asarray(expected).astype(signature.out.dtype), primitive.name)
    if not same.all():
        operands = [v[~same] if np.shape(v) == same.shape else v for v in values]
        pytest.fail(f"{signature} of {operands}: {found[~same]} instead of {expected[~same]}")
    return True


def agree(found, expected, name):
    """Which elements are as expected; one NaN in a complex number is as good as another."""
    rtol, atol = TOLERANCE.get(expected.dtype.char, 0), ABSOLUTE.get(name, 0)
    if expected.dtype.kind in "fc":
        atol = max(atol, 2 * float(np.finfo(expected.dtype).smallest_subnormal))
    with np.errstate(invalid="ignore"):
        same = np.isclose(found, expected, rtol, atol, equal_nan=True)
    if expected.dtype.kind == "f" and name not in UNSIGNED_ZERO:
        same &= (expected != 0) | (np.signbit(found) == np.signbit(expected))
    return same


def aval_of(value, weak=False):
    array = np.asarray(value)
    return intern_aval(array.shape, array.dtype, weak)


# --- elementwise primitives ------------------------------------------------------------------------------------------


def special(dtype):
    """Numbers of a dtype where functions have their corners."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        negative = {-1, -2, -5, -7, limits.min} if dtype.kind == "i" else set()
        return np.array(sorted({0, 1, 2, 3, 5, 7, 12, limits.max // 2, limits.max} | negative), dtype)
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        plain = [0.0, 1.0, 0.5, 1.5, 2.5, 3.0, 7.25, 0.1, 100.0, limits.max, limits.tiny, limits.smallest_subnormal]
        return np.array([*plain, *[-x for x in plain], limits.eps, math.inf, -math.inf, math.nan], dtype)
    numbers = [0, 1, -1, 1j, -1j, 1 + 1j, -2.5 + 0.5j, 0.3 - 0.7j, 3 - 4j, complex(math.nan, 1), complex(1, math.nan)]
    return np.array(numbers, dtype)


def finite(*arrays):
    """Where no operand is so large or small that a complex result overflows: how is a matter of the formula."""
    with np.errstate(all="ignore"):
        sizes = [np.abs(x.astype(complex)) for x in arrays]
    return np.all([np.isnan(size) | (size == 0) | ((size > 1e-3) & (size < 50)) for size in sizes], axis=0)


def no_overflow(x, y):
    """Where a quotient is a number: PyTorch's vectorised remainder is NaN elsewhere."""
    with np.errstate(all="ignore"):
        return ~np.isfinite(x) | ~np.isfinite(y) | (y == 0) | np.isfinite(np.divide(x, y))


def complex_only(condition):
    return lambda *arrays: condition(*arrays) if any(x.dtype.kind == "c" for x in arrays) else np.True_


def nonnegative_integers(x, y):
    """NumPy raises an error for negative integer powers of integers."""
    return (y >= 0) | (y.dtype.kind in "fc") | (x.dtype.kind in "fc")


def compared(name, library):
    """Which elements of operands are compared, where a result is undefined or a library is known to differ."""
    conditions = [lambda *arrays: np.True_]
    if name == "power":
        conditions += [nonnegative_integers]
    if name == "reciprocal":
        conditions += [lambda x: (x != 0) | (x.dtype.kind not in "iu")]
    if library == "torch":
        # The imaginary part of infinity plus a number is NaN.
        if name in ("add", "subtract", "power", "float_power"):
            conditions += [complex_only(finite)]
        if name in ("fmod", "remainder"):
            conditions += [no_overflow]
        if name == "log1p":
            conditions += [lambda x: (x == 0) | ~(abs(x) < 1e-40)]
        # NumPy's spacing of negative numbers in half precision is positive, or that on the other side.
        if name == "spacing":
            conditions += [lambda x: (x >= 0) | (x.dtype not in (np.float16, np.int8))]
    return lambda *arrays: np.logical_and.reduce([np.broadcast_to(c(*arrays), arrays[0].shape) for c in conditions])


# Those of SciPy are held to SciPy in the sweep.
EXECUTED = {name: p for name, p in PRIMITIVES.items() if p not in COMPOSITIONS and p.module == "numpy"}
ELEMENTWISE = [p for p in EXECUTED.values() if p.kind == "elementwise" and p.name not in ("where", "astype")]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda p: p.name)
def test_elementwise_primitives_of_all_dtypes(library, primitive):
    count = 1 if primitive.numpy_ufunc is None else primitive.numpy_ufunc.nin
    chosen = compared(primitive.name, library.name)
    checked = 0
    for dtypes in itertools.product(DTYPES, repeat=count):
        arrays = np.meshgrid(*[special(dtype) for dtype in dtypes], indexing="ij", copy=True)
        arrays = [array.ravel() for array in arrays]
        mask = chosen(*arrays)
        checked += compare(library, primitive, [array[mask] for array in arrays])
    assert checked


@pytest.mark.parametrize("primitive", [p for p in ELEMENTWISE if p.numpy_ufunc is not None], ids=lambda p: p.name)
def test_python_numbers_are_weak(library, primitive):
    operands = [np.array([1.0, 2.5], np.float32), np.array([3, 1], np.int8), np.array([2.0 + 1j], np.complex64)]
    operands += [np.array(2.0, np.float32), np.array([True, False])]
    checked = 0
    for number in (2, 0.5, 1.0 + 2.0j):
        if primitive.numpy_ufunc.nin == 1:
            checked += compare(library, primitive, [number], weak=(0,))
            continue
        checked += compare(library, primitive, [number, number], weak=(0, 1))
        for array in operands:
            checked += compare(library, primitive, [array, number], weak=(1,))
            checked += compare(library, primitive, [number, array], weak=(0,))
    assert checked


@pytest.mark.parametrize("name", ["add", "power", "less", "where", "maximum", "heaviside", "arctan2"])
def test_known_numbers_are_weak(library, name):
    primitive = PRIMITIVES[name]
    for number, dtype in itertools.product((0.5, 2, 0.0, math.inf), (np.float32, np.float64)):
        x = np.array([1.5, -2.0, 0.0, math.nan, math.inf, np.finfo(dtype).smallest_subnormal], dtype)
        for weak in (True, False):
            program = Program([aval_of(x), aval_of(x > 0)])
            known = program.literal(number, intern_aval((), np.dtype(type(number) if weak else dtype), weak))
            arguments = (1, 0, known) if name == "where" else (0, known)
            swapped = (1, known, 0) if name == "where" else (known, 0)
            program.outputs = tuple([program.call(primitive, *a) for a in (arguments, swapped)])
            with np.errstate(all="ignore"):
                expected = Interpreted(program)(x, x > 0)
            found = library.compile(program)(library.asarray(x), library.asarray(x > 0))
            for one, other in zip(found, expected):
                one = library.to_numpy(one)
                assert one.dtype == other.dtype
                np.testing.assert_allclose(one, other, 1e-6)


# --- the others ------------------------------------------------------------------------------------------------------

rng = np.random.default_rng(0)


def sample(shape, dtype):
    """Small numbers, with ties."""
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    numbers = rng.integers(0 if dtype.kind == "u" else -3, 4, shape)
    return np.asarray(numbers * (0.5 + 0.5j) + 1 if dtype.kind == "c" else numbers / (1 + (dtype.kind == "f"))).astype(
        dtype
    )


SHAPES = [(), (3,), (1,), (0,), (2, 3), (0, 3), (2, 3, 4), (3, 0, 2), (33,)]


def arrays_of(shapes=SHAPES, count=1):
    for dtype, shape in itertools.product(DTYPES, shapes):
        yield [sample(shape, dtype) for _ in range(count)]


def reductions(count=1, whole=False):
    for values in arrays_of(count=count):
        x = values[0]
        if whole and ops.sum_dtype(x.dtype) != x.dtype:
            continue
        axes = {(), tuple(range(x.ndim)), *[(a,) for a in range(x.ndim)], (0, x.ndim - 1) if x.ndim > 1 else ()}
        for choice in sorted(axes):
            yield values, (choice,)
            if x.dtype.kind in "fc" and x.size > 4 and count == 1:
                with_nan = x.copy()
                with_nan.flat[[1, 4]] = np.nan
                yield [with_nan], (choice,)


def along_axes(count=1, whole=False):
    for values, (axes,) in reductions(count, whole):
        if len(axes) == 1:
            yield values, axes


def products():
    shapes = [((2, 3), (3, 4)), ((2, 2, 3), (3, 1)), ((2, 2, 3), (2, 3, 4)), ((0, 3), (3, 2)), ((2, 0), (0, 2))]
    for left, right in itertools.product(DTYPES, DTYPES):
        for first, second in [*shapes, ((2, 1, 2, 3), (2, 3, 2))]:
            yield [sample(first, left), sample(second, right)], ()


def parts_of_numbers():
    for dtype, shape in itertools.product((np.dtype(code) for code in "fd"), SHAPES):
        yield [sample(shape, dtype), sample(shape, dtype)], ()
        yield [sample(shape, dtype), special(dtype)[:1].reshape((1,) * len(shape))], ()


def solved():
    """Triangular matrices of small whole numbers, on which every library is exact."""
    for dtype in (np.dtype(code) for code in "fdFD"):
        for shape in ((2,), (3, 2), (1, 3, 1)):
            rows = shape[-2] if len(shape) > 1 else 2
            matrix = np.triu(np.full((*shape[:-2], rows, rows), 2, dtype))
            yield [matrix, sample((*shape[:-2], rows, shape[-1]), dtype) * 4], ()


def conversions():
    for given, wanted in itertools.product(DTYPES, DTYPES):
        numbers = [0, 1, 2, 3, 100, *([-1, -100] if given.kind == "i" else [])]
        numbers += [0.5, 2.5, -0.0] if given.kind in "fc" else []
        yield [np.array(numbers, given)], (wanted,)
        if given.kind == "f" and wanted.kind in "fcb":
            yield [special(given)], (wanted,)


def choices():
    for dtype in DTYPES:
        x = special(dtype)
        yield [np.resize([True, False], len(x)), x, x[::-1].copy()], ()
        yield [np.array([[True], [False]]), x, x[:1]], ()


A = np.array
INDICES = [
    ((5, 4), (1,)),
    ((5, 4), (slice(1, 4),)),
    ((5, 4), (slice(None, None, -1), slice(3, 0, -2))),
    ((5, 4), (None, 2, slice(None))),
    ((5, 4), (slice(2, 2),)),
    ((0, 3), (slice(None, None, -1),)),
    ((), (None,)),
    ((), ()),
    ((3, 4, 5), (1, 2, 3)),
    ((5, 4), (A([0, 0, -1]),)),
    ((5, 4), (A([[0, 1], [1, -2]]),)),
    ((5, 4), (slice(None), A([3, 3, 0]))),
    ((5, 4), (A([0, 1, 1]), A([2, 3, 3]))),
    ((5, 4), (A([0, 1, 1])[:, None], A([2, 3]))),
    ((5, 4), (A([], int),)),
    ((5, 4), (A([], int), A([], int))),
    ((3, 4, 5), (A([0, 1, 1]), slice(1, 3), A([2, 3, 3]))),
    ((3, 4, 5), (0, slice(None), A([2, 3, 3]))),
    ((3, 4, 5), (slice(None), 1, A([2, 3, 3]))),
    ((3, 4, 5), (slice(None), A([1, 1]), 1)),
    ((3, 4, 5), (A([1, 1]), slice(None, None, -2), 1)),
    ((3, 4, 5), (A([1, 1]), 1, slice(None, None, -2))),
    ((3, 4, 5), (slice(None, None, -1), A([1, 1]), A([0, 0]))),
    ((3, 4, 5), (None, A([1, 1]), slice(None), None, A([0, 0]))),
    ((3, 4, 5), (slice(0, 2), None, A([[1, 1]]), A([0, 0]))),
    ((3, 4, 5), (Ellipsis, A(2), A([1, 1]))),
    ((3, 4, 5), (A([0, 1, 1]), None, A([2, 3, 3]), slice(4, 0, -2))),
    ((6,), (A([5, 5, 5, 0, 1, 5]),)),
    ((0,), (A([], int),)),
    ((1, 4), (A([0, 0], np.int32),)),
    ((4, 1), (A([0, 3], np.uint8), slice(None))),
    ((7,), (A([True, False, True, True, False, False, True]),)),
    ((2, 3), (slice(0, 0), A([0, 0]))),
    ((4, 0), (A([1, 1]),)),
]


def indices(write=False):
    for (shape, item), dtype in itertools.product(INDICES, DTYPES):
        x = sample(shape, dtype)
        node, arrays = ops.normalize_index(aval_of(x), item, lambda node: node.value)
        read = ops.indexed_shape(node.aval, tuple([a.aval for a in arrays]))
        values = [sample(read, dtype)] if write else []
        yield [x, (node.aval.spec, node.value), *values, *[np.asarray(a.value) for a in arrays]], ()


CASES = {
    "sum": lambda: reductions(whole=True),
    "prod": lambda: reductions(whole=True),
    "inner_product": lambda: reductions(count=2, whole=True),
    "max": reductions,
    "min": reductions,
    "all": reductions,
    "any": reductions,
    "argmax": along_axes,
    "argmin": along_axes,
    "cumsum": lambda: along_axes(whole=True),
    "cumprod": lambda: along_axes(whole=True),
    "concatenate": lambda: along_axes(count=3),
    "of_parts": parts_of_numbers,
    "solve": solved,
    "matmul": products,
    "where": choices,
    "astype": conversions,
    "reshape": lambda: ((values, ((1, *values[0].shape[::-1]),)) for values in arrays_of()),
    "transpose": lambda: ((values, (tuple(range(values[0].ndim))[::-1],)) for values in arrays_of()),
    "broadcast_to": lambda: ((values, ((2, *values[0].shape),)) for values in arrays_of()),
    "index": indices,
    "index_add": lambda: indices(write=True),
    "index_set": lambda: indices(write=True),
}


def test_every_primitive_has_cases():
    # A program that is compiled is on one backend, and its positions are checked beside it. The conformance table holds
    # routines, which are a library's own, and what has several outputs.
    routines = {name for name, p in EXECUTED.items() if p.kind == "routine"}
    elsewhere = routines | {"place", "in_range", "part", "pack", "frexp", "modf", "convolve"}
    assert {p.name for p in ELEMENTWISE} | set(CASES) == set(EXECUTED) - (elsewhere - set(CASES))


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("name", CASES)
def test_primitives_of_arrays(library, name):
    assert sum(compare(library, PRIMITIVES[name], values, params) for values, params in CASES[name]())


@pytest.mark.parametrize("name", ["index", "index_add", "index_set"])
def test_known_indices(library, name):
    for values, _ in itertools.islice(indices(write=name != "index"), 0, None, len(DTYPES)):
        x, (spec, item), *rest = [
            v.astype(float) if isinstance(v, np.ndarray) and v.dtype == bool else v for v in values
        ]
        program = Program([aval_of(x), *[aval_of(v) for v in rest]])
        idx = program.constant(intern_aval((), INDEX_DTYPE, literal=item, spec=spec), item)
        program.outputs = (program.call(PRIMITIVES[name], 0, idx, *range(1, len(rest) + 1)),)
        (expected,) = Interpreted(program)(x, *rest)
        (found,) = library.compile(program)(*[library.asarray(v) for v in (x, *rest)])
        np.testing.assert_array_equal(library.to_numpy(found), expected)
