"""Elementwise primitives in CUDA C++: what NumPy computes, in every dtype, on ordinary and special values."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from autodiff.backend import OF_COMPLEX
from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES, Primitive
from autodiff.errors import DTypeError
from autodiff.ops import COMPOSITIONS
from autodiff.plan import Program
from autodiff_backends.cuda.expressions import SPECIAL
from autodiff_backends.cuda.functions import NAMES
from autodiff_backends.cuda.kernels import supported
from autodiff_backends.cuda.types import C_NAMES, number
from autodiff_backends.cupy.backend import CupyBackend
from autodiff_backends.loops.forms import literal_text
from autodiff_backends.numpy.reference import Interpreted

INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
FLOATS = ["f2", "f4", "f8"]
COMPLEX = ["c8", "c16"]
MIXED = [("i8", "u8"), ("u8", "i8"), ("i4", "f4"), ("f2", "f8"), ("?", "i1"), ("?", "f2"), ("f4", "c8"), ("c8", "f8")]
MIXED += [("f4", "i4"), ("f2", "i8"), ("u1", "i1")]

# Others are the bare processor's answer in NumPy: an infinite quotient as an integer.
UNDEFINED = {"reciprocal": lambda x, y: x == 0}

LEFT_OUT = {PRIMITIVES["where"], PRIMITIVES["astype"], *COMPOSITIONS}


def has_text(primitive: Primitive) -> bool:
    """Whether kernels have it from CUDA: NumPy's functions, and some of SciPy's."""
    return primitive.module == "numpy" or primitive.name in SPECIAL.keys() - NAMES.keys()


ELEMENTWISE = [p for p in PRIMITIVES.values() if p.kind == "elementwise" and p not in LEFT_OUT and has_text(p)]


def special_values(code: str) -> Any:
    """Values of a dtype where functions have their edges."""
    dtype = np.dtype(code)
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        signed = [-1, -2, -3, -7, -100] if dtype.kind == "i" else []
        edges = [limits.max, limits.max - 1, limits.min, limits.min + 1]
        return np.array([0, 1, 2, 3, 5, 7, 8, 12, 31, 32, 63, 64, 100, *signed, *edges], dtype)
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        edges = [limits.max, -limits.max, limits.tiny, limits.smallest_subnormal, -limits.smallest_subnormal]
        plain = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.0, 10.25, -7.75, 1e-8, -3e-5, 100.0, 0.9999, 1.5, -1.5]
        return np.array([*plain, np.pi, 6e4, np.inf, -np.inf, np.nan, limits.eps, *edges], dtype)
    parts = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-5, 20.0, -30.0]
    return np.array([complex(x, y) for x in parts for y in parts], dtype)


def infinite_values(code: str) -> Any:
    """Complex numbers with infinite and undefined parts."""
    parts = [0.0, -1.5, np.inf, -np.inf, np.nan]
    return np.array([complex(x, y) for x in parts for y in parts], code)


def assert_close(found: Any, expected: Any, name: str) -> None:
    """Equal but for the last bits of functions; NaN is NaN, of any sign."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), name
    if expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, expected, name)
        return
    epsilon = np.finfo(expected.dtype).eps
    if expected.dtype.kind == "f":
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(found.astype("f8"), expected.astype("f8"), rtol=8 * epsilon, err_msg=name)
        return
    # Parts of a complex number are as exact as the larger of them, and powers as exact as their logarithm is small.
    relative = (1000 if "power" in name else 100) * epsilon
    with np.errstate(all="ignore"):
        size = np.where(np.isfinite(expected), np.abs(expected.astype("c16")), 0)
        for one, other in ((found.real, expected.real), (found.imag, expected.imag)):
            near = np.abs(one.astype("f8") - other) <= relative * size + 10 * epsilon
            near |= np.isclose(one, other, relative, 0, equal_nan=True)
            assert near.all(), f"{name}: {found[~near][:5]} is not {expected[~near][:5]}"


def elementwise_program(x: Any, y: Any, names: set[str] | None = None) -> tuple[Program, list[str]]:
    """Every elementwise primitive there is for two operands, as one program; and their names."""
    program = Program([intern_aval(a.shape, a.dtype) for a in (x, y)])
    made = []
    for primitive in ELEMENTWISE:
        if names is not None and primitive.name not in names:
            continue
        if x.dtype.kind == "c" and primitive.name + OF_COMPLEX in CupyBackend.capabilities.missing:
            continue
        count = 1 if primitive.numpy_ufunc is None else primitive.numpy_ufunc.nin
        try:
            made.append((program.call(primitive, *range(count)), primitive.name))
        except DTypeError:
            continue
    program.outputs = tuple([n for n, _ in made])
    return program, [name for _, name in made]


@pytest.fixture
def agree(run_kernels):
    """Compare the primitives of a program on two operands with NumPy's functions."""

    def check(x: Any, y: Any, names: set[str] | None = None) -> None:
        x, y = (np.ascontiguousarray(a) for a in np.broadcast_arrays(x[:, None], y[None, :]))
        program, made = elementwise_program(x, y, names)
        assert all(supported(program, made) for made in program.applications())
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = Interpreted(program)(x, y)
        _, outputs = run_kernels(program, [x, y])
        for name, found, wanted in zip(made, outputs, expected):
            left_out = UNDEFINED.get(name)
            if left_out is not None and wanted.dtype.kind in "iu":
                kept = ~left_out(x, y)
                found, wanted = found[kept], wanted[kept]
            assert_close(found, wanted, name)

    return check


NO_INTEGER_POWER = {p.name for p in ELEMENTWISE} - {"power"}


@pytest.mark.parametrize("code", ["?", *FLOATS, *COMPLEX])
def test_every_primitive(agree, code):
    with np.errstate(all="ignore"):
        agree(special_values(code), special_values(code))


@pytest.mark.parametrize("code", INTEGERS)
def test_every_primitive_of_integers(agree, code):
    """Overflow, division by zero and large shifts included. NumPy has no negative powers of integers."""
    values = special_values(code)
    agree(values, values, NO_INTEGER_POWER)
    agree(values, values[values >= 0], {"power"})


@pytest.mark.parametrize(("first", "second"), MIXED)
def test_operands_of_two_dtypes(agree, first, second):
    integers = np.result_type(first, second).kind in "iu"
    with np.errstate(all="ignore"):
        agree(special_values(first), special_values(second), NO_INTEGER_POWER if integers else None)


@pytest.mark.parametrize("code", COMPLEX)
def test_complex_infinities(agree, code):
    """Where NumPy's own formulas say what comes out."""
    names = {"add", "subtract", "negative", "conjugate", "real", "imag", "absolute", "sqrt", "exp", "log", "sign"}
    names |= {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan", "isinf", "isfinite"}
    names |= {"maximum", "minimum", "fmax", "fmin", "logical_and", "logical_or", "logical_not", "rint", "identity"}
    values = infinite_values(code)
    agree(values, values, names)


def test_complex_functions_near_their_cuts(agree):
    beside = [1e-300, -1e-300, 0.0, -0.0, 1e-17, -1e-17]
    values = np.array([complex(x, y) for x in (-3.0, -1.0, -0.5, 0.5, 1.0, 3.0, 1e200, -1e200) for y in beside])
    names = {f"arc{name}" for name in ("sin", "cos", "sinh", "cosh", "tan", "tanh")} | {"sqrt", "log"}
    agree(values, values[:1], names)
    agree(values.imag + 1j * values.real, values[:1], names)


CASTS = ["?", *INTEGERS, *FLOATS, *COMPLEX]


@pytest.mark.parametrize("code", CASTS)
def test_conversions(run_kernels, code):
    """To every dtype, of what fits it; integers are cut, halves are rounded once."""
    whole = np.arange(0, 100, 7)
    if code in FLOATS:
        whole = np.concatenate([whole, whole + 0.25, [1e-7, 2e-8, 60000.0, 0.1]]).astype(code)
    if code in ("f4", "f8"):
        # Between two halves, but not in the middle; out of their range; too small for any.
        whole = np.concatenate([whole, [1.00048828125 + 1e-7, 65519.0, 65520.0, 2.0**-25, 2.0**-24 * 1.5]]).astype(code)
    array = special_values(code) if code in INTEGERS else whole.astype(code)
    program = Program([intern_aval(array.shape, array.dtype)])
    wanted = [np.dtype(c) for c in CASTS if code not in COMPLEX or c in ("?", *COMPLEX)]
    if code in ("f4", "f8"):
        wanted = [d for d in wanted if d.kind not in "iu" or d.itemsize > 2]
    program.outputs = tuple([program.call(PRIMITIVES["astype"], 0, params=(dtype,)) for dtype in wanted])
    _, outputs = run_kernels(program, [array])
    with np.errstate(all="ignore"):
        for found, dtype in zip(outputs, wanted):
            np.testing.assert_array_equal(found, array.astype(dtype), f"{code} as {dtype}", strict=True)


def test_halves_round_as_numpy_rounds_them(run_kernels):
    """Every half there is, and what lies between two of them."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    program = Program([intern_aval(halves.shape, halves.dtype)])
    astype = PRIMITIVES["astype"]
    wide = program.call(astype, 0, params=(np.dtype(np.float64),))
    moved = program.call(PRIMITIVES["multiply"], wide, program.constant(intern_aval((), np.dtype("f8")), 1 + 2.0**-11))
    program.outputs = (wide, program.call(astype, moved, params=(halves.dtype,)))
    _, (found, rounded) = run_kernels(program, [halves])
    np.testing.assert_array_equal(found, halves.astype(np.float64))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(rounded, (halves.astype(np.float64) * (1 + 2.0**-11)).astype(np.float16))


@pytest.mark.parametrize("code", ["f2", "f4", "f8", "c8", "c16", "i4", "?"])
def test_choices_and_what_has_no_ufunc(run_kernels, code):
    with np.errstate(all="ignore"):
        x, y = (np.ascontiguousarray(a) for a in np.broadcast_arrays(*np.ix_(*[special_values(code)[:12]] * 2)))
    condition = np.arange(x.size).reshape(x.shape) % 3 == 0
    program = Program([intern_aval(a.shape, a.dtype) for a in (condition, x, y)])
    where, masked = PRIMITIVES["where"], PRIMITIVES["masked_multiply"]
    program.outputs = (program.call(where, 0, 1, 2), program.call(where, 0, program.call(masked, 1, 2), 1))
    with np.errstate(all="ignore"):
        expected = Interpreted(program)(condition, x, y)
    for found, wanted in zip(run_kernels(program, [condition, x, y])[1], expected):
        np.testing.assert_array_equal(found, wanted)


VALUES = [0, 1, -1, 2, 300, -(2**63), 2**63 - 1, True, False, 0.1, -0.0, 1e-40, 1e300, np.inf, -np.inf, np.nan, 1 - 2j]


@pytest.mark.parametrize("code", CASTS)
def test_numbers_of_the_structure(run_kernels, code):
    dtype = np.dtype(code)
    program = Program([])
    values = [v for v in VALUES if np.can_cast(np.min_scalar_type(v), dtype, "same_kind") and abs(v) != np.inf] + [1]
    if dtype.kind in "fc":
        values += [np.inf, -np.inf, np.nan]
    if dtype.kind in "iu":
        values = [v for v in values if np.iinfo(dtype).min <= v <= np.iinfo(dtype).max]
    program.outputs = tuple([program.literal(v, intern_aval((), dtype)) for v in values])
    with np.errstate(all="ignore"):
        expected = [np.asarray(v).astype(dtype) for v in values]
    for found, wanted in zip(run_kernels(program, [])[1], expected):
        np.testing.assert_array_equal(found, wanted, strict=True)


def test_numbers_are_written_in_their_precision():
    assert number("0.1", None, np.dtype("f4")) == "0.1f"
    assert number("0.1", np.dtype("f4"), np.dtype("f8")) == repr(float(np.float32(0.1)))
    assert number(literal_text(-np.inf), None, np.dtype("f8")) == "-INF_F64"
    assert set(C_NAMES) == {np.dtype(code) for code in CASTS}
