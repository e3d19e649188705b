"""Rows for NumPy's ufuncs: each over shapes, kinds of number, keywords and methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case, Draw, answer, between, booleans, case, complexes, integers, positive, real, signed, spaced

Domain = Callable[..., Draw]


def inside(low: float, high: float) -> Domain:
    """Uniform in an interval."""
    return lambda *shape: real(*shape, low=low, high=high)


SHAPES = [(), (3,), (0,), (1, 3), (2, 0), (2, 2)]
PAIRS = [((), ()), ((3,), ()), ((), (1,)), ((3, 1), (4,)), ((2, 1, 3), (1, 2, 1)), ((0,), (1,)), ((2, 2), (2, 2))]

SMOOTH: list[tuple[np.ufunc, Domain]] = [
    (np.negative, real),
    (np.positive, real),
    (np.absolute, signed),
    (np.fabs, signed),
    (np.conjugate, real),
    (np.reciprocal, signed),
    (np.square, real),
    (np.sqrt, positive),
    (np.cbrt, signed),
    (np.exp, real),
    (np.exp2, real),
    (np.expm1, real),
    (np.log, positive),
    (np.log2, positive),
    (np.log10, positive),
    (np.log1p, inside(-0.5, 2)),
    (np.sin, real),
    (np.cos, real),
    (np.tan, inside(-1, 1)),
    (np.arcsin, inside(-0.8, 0.8)),
    (np.arccos, inside(-0.8, 0.8)),
    (np.arctan, real),
    (np.sinh, real),
    (np.cosh, real),
    (np.tanh, real),
    (np.arcsinh, real),
    (np.arccosh, inside(1.4, 3)),
    (np.arctanh, inside(-0.8, 0.8)),
    (np.degrees, real),
    (np.radians, real),
    (np.deg2rad, real),
    (np.rad2deg, real),
    (np.modf, between),
    (np.frexp, inside(1.1, 1.9)),
]
PIECEWISE_CONSTANT = [np.sign, np.floor, np.ceil, np.trunc, np.rint, np.spacing]
PREDICATES = [np.isnan, np.isinf, np.isfinite, np.logical_not]
COMPLEX = [
    np.negative, np.positive, np.absolute, np.conjugate, np.reciprocal, np.square, np.sqrt, np.exp, np.exp2, np.expm1,
    np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh,
    np.tanh, np.arcsinh, np.arccosh, np.arctanh, np.sign,
]  # fmt: skip

# Both arguments drawn from the domain.
PAIRWISE: list[tuple[np.ufunc, Domain, Domain]] = [
    (np.add, real, real),
    (np.subtract, real, real),
    (np.multiply, real, real),
    (np.divide, real, signed),
    (np.power, positive, real),
    (np.float_power, positive, real),
    (np.remainder, inside(5.2, 5.8), inside(2.2, 2.5)),
    (np.fmod, inside(-5.8, -5.2), inside(2.2, 2.5)),
    (np.divmod, inside(-5.8, -5.2), inside(2.2, 2.5)),
    (np.maximum, inside(-1, 0), inside(-1.5, 1.5)),
    (np.minimum, inside(-1, 0), inside(-1.5, 1.5)),
    (np.fmax, inside(-1, 0), inside(-1.5, 1.5)),
    (np.fmin, inside(-1, 0), inside(-1.5, 1.5)),
    (np.hypot, signed, signed),
    (np.arctan2, signed, signed),
    (np.logaddexp, real, real),
    (np.logaddexp2, real, real),
    (np.copysign, signed, signed),
    (np.heaviside, signed, real),
    (np.nextafter, real, real),
]
COMPLEX_PAIRWISE = [np.add, np.subtract, np.multiply, np.divide, np.power, np.float_power]
COMPARISONS = [np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal]
LOGIC = [np.logical_and, np.logical_or, np.logical_xor]
INTEGER = [np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.gcd, np.lcm, np.left_shift, np.right_shift]


def unary_cases() -> list[Case]:
    rows = [case(f, domain(*shape)) for f, domain in SMOOTH for shape in SHAPES]
    rows += [case(f, between(*shape), gradient="zero") for f in PIECEWISE_CONSTANT for shape in SHAPES]
    rows += [case(f, complexes(*shape)) for f in COMPLEX for shape in [(), (2, 2)]]
    rows += [answer(f, real(*shape)) for f in [*PREDICATES, np.signbit] for shape in SHAPES]
    rows += [answer(f, complexes(3)) for f in PREDICATES]
    rows += [answer(np.invert, integers(2, 3)), answer(np.invert, booleans(3)), answer(np.logical_not, booleans(3))]
    return rows


def binary_cases() -> list[Case]:
    rows = [case(f, first(*a), second(*b)) for f, first, second in PAIRWISE for a, b in PAIRS]
    rows += [case(f, complexes(*a), complexes(*b)) for f in COMPLEX_PAIRWISE for a, b in PAIRS[:4]]
    rows += [case(f, complexes(2, 1), positive(3)) for f in COMPLEX_PAIRWISE]
    rows += [case(f, positive(2, 1), complexes(3)) for f in COMPLEX_PAIRWISE]
    rows += [case(np.floor_divide, inside(5.2, 5.8)(*a), inside(2.2, 2.5)(*b), gradient="zero") for a, b in PAIRS]
    rows += [case(np.ldexp, real(*a), integers(*b, high=4)) for a, b in PAIRS]
    rows += [answer(f, spaced(*a), spaced(*b)) for f in COMPARISONS for a, b in PAIRS]
    rows += [answer(f, integers(2, 3), integers(3)) for f in [*COMPARISONS, *LOGIC]]
    rows += [answer(f, complexes(3), complexes(3)) for f in [np.equal, np.not_equal]]
    rows += [answer(f, real(2, 3), booleans(3)) for f in LOGIC]
    rows += [answer(f, integers(2, 3), integers(3)) for f in INTEGER]
    rows += [answer(f, booleans(2, 3), booleans(3)) for f in INTEGER[:3]]
    return rows


def with_number_cases() -> list[Case]:
    """One argument a number that is no Tensor: a Python scalar (weak), a NumPy scalar, an array, an int."""
    numbers = [2, 3, -1, 2.0, 0.5, 1.7, np.float64(1.3), np.array([1.5, 2.5])]
    arithmetic = [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.hypot, np.arctan2]
    rows = []
    for f in arithmetic:
        rows += [case(f, real(3, 2, low=2.6, high=2.9), n) for n in numbers]
        rows += [case(f, n, real(3, 2, low=2.6, high=2.9)) for n in numbers]
    rows += [
        case(np.power, positive(3), n) for n in [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 0.0, 0.5, 1.0, 2.0, 3.0, -0.5, 1.7]
    ]
    rows += [case(np.power, signed(2), n) for n in [-2, -1, 0, 1, 2, 3, 4, 5, 2.0]]
    rows += [case(np.power, n, real(3)) for n in [1, 2, 2.0, 0.5, 1.7, np.float64(3.0)]]
    rows += [case(np.power, positive(2, 3), np.array([2, 3, 0]))]
    rows += [case(np.float_power, positive(3), n, single=False) for n in [2, 0.5, 0, 1]]
    rows += [case(np.remainder, inside(5.2, 5.8)(3), 2), case(np.remainder, 7, inside(2.2, 2.3)(3))]
    rows += [case(np.multiply, complexes(3), 2j), case(np.add, real(3), 1j), case(np.multiply, 1 + 2j, real(2, 2))]
    return rows


def _into(x: Any, y: Any) -> Any:
    out = np.copy(x)
    returned = np.multiply(x, y, out=out)
    assert returned is out
    return out * 2


def _into_where(x: Any, y: Any) -> Any:
    out = np.copy(x)
    np.multiply(x, y, out=out, where=np.array([True, False, True]))
    return out


def _into_pair(x: Any, y: Any) -> Any:
    first, second = np.copy(x), np.copy(x)
    np.divmod(x, y, out=(first, second))
    return first + second


def _into_self(x: Any) -> Any:
    out = np.copy(x)
    np.exp(out, out=out)
    np.sin(out, out)
    return out


def _add_at(x: Any, values: Any) -> Any:
    out = np.copy(x)
    np.add.at(out, np.array([0, 2, 0]), values)
    return out


def _subtract_at(x: Any, values: Any) -> Any:
    out = np.copy(x)
    np.subtract.at(out, (np.array([0, 1, 0]), slice(None)), values)
    return out


MASK = np.array([[True, False, True], [False, True, True]])


def keyword_cases() -> list[Case]:
    return [
        case(_into, real(2, 3), real(3), covers="ufunc out="),
        case(_into_where, real(2, 3), real(3), covers="ufunc where="),
        case(_into_pair, inside(5.2, 5.8)(3), inside(2.2, 2.5)(3), covers="ufunc out=(,)"),
        case(_into_self, real(3), covers="ufunc out= its operand"),
        case(np.add, real(3), real(3), dtype=np.float64, single=False),
        case(np.multiply, real(3), 2, dtype="complex128", single=False, covers="ufunc dtype="),
        case(np.sin, real(3), order="C", covers="ufunc order="),
    ]


def method_cases() -> list[Case]:
    rows = []
    for f in [np.add, np.multiply, np.maximum, np.minimum]:
        label = f"np.{f.__name__}.reduce"
        rows += [
            case(f.reduce, spaced(4), covers=label),
            case(f.reduce, spaced(2, 3), covers=label),
            case(f.reduce, spaced(2, 3), 1, covers=label),
            case(f.reduce, spaced(2, 3), axis=None, covers=label),
            case(f.reduce, spaced(2, 3), axis=(0, 1), keepdims=True, covers=label),
            case(f.reduce, spaced(2, 3), axis=-1, initial=0.7, covers=label),
            case(f.reduce, spaced(2, 3), axis=1, initial=0.7, where=MASK, covers=label),
        ]
    rows += [answer(f.reduce, booleans(2, 3), axis=1, covers=f"np.{f.__name__}.reduce") for f in LOGIC[:2]]
    rows += [
        case(np.add.reduce, real(2, 3), axis=0, dtype="f8", single=False, covers="np.add.reduce"),
        case(np.add.accumulate, real(2, 3), covers="np.add.accumulate"),
        case(np.add.accumulate, real(2, 3), axis=1, covers="np.add.accumulate"),
        case(np.multiply.accumulate, real(2, 3), -1, covers="np.multiply.accumulate"),
        case(np.multiply.outer, real(2), real(2, 2), covers="np.multiply.outer"),
        case(np.subtract.outer, real(), real(3), covers="np.subtract.outer"),
        case(np.hypot.outer, positive(2), positive(3), covers="np.hypot.outer"),
        case(_add_at, real(3, 2), real(3, 2), covers="np.add.at"),
        case(_add_at, real(3), real(), covers="np.add.at"),
        case(_subtract_at, real(2, 2), real(2), covers="np.subtract.at"),
    ]
    return rows


def gufunc_cases() -> list[Case]:
    shapes = [
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (4, 3, 1)),
        ((2, 1, 2, 3), (3, 3, 2)), ((5, 2, 3), (3,)), ((3,), (5, 3, 2)), ((1, 1), (1, 3)), ((2, 0), (0, 3)),
        ((0, 2), (2, 3)), ((0, 2, 3), (3, 2)), ((1, 3), (3, 1)), ((2, 2), (1, 1, 2, 2)),
    ]  # fmt: skip
    rows = [case(np.matmul, real(*a), real(*b)) for a, b in shapes]
    rows += [case(np.matmul, complexes(*a), complexes(*b)) for a, b in shapes[:5]]
    rows += [case(np.matmul, complexes(2, 3), real(3, 2)), case(np.matmul, real(3), complexes(3, 2))]
    rows += [case(np.matmul, real(2, 2), np.arange(4.0).reshape(2, 2)), case(np.matmul, np.eye(2), real(2, 3))]
    pairs = {
        "vecdot": [((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3)), ((0,), (0,))],
        "matvec": [((2, 3), (3,)), ((4, 2, 3), (3,)), ((2, 3), (4, 3)), ((1, 2, 3), (4, 3))],
        "vecmat": [((3,), (3, 2)), ((4, 3), (3, 2)), ((3,), (4, 3, 2)), ((2, 3), (2, 3, 1))],
    }
    for name, forms in pairs.items():
        if hasattr(np, name):
            f = getattr(np, name)
            rows += [case(f, real(*a), real(*b)) for a, b in forms]
            rows += [case(f, complexes(*a), complexes(*b)) for a, b in forms[:2]]
    return rows


CASES = [
    *unary_cases(),
    *binary_cases(),
    *with_number_cases(),
    *keyword_cases(),
    *method_cases(),
    *gufunc_cases(),
]
