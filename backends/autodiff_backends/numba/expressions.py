"""The expression of one element: how each elementwise primitive is written in compiled loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.primitives import PRIMITIVES, Primitive, by_primitive

from ..loops.costs import ARITHMETIC
from ..loops.statements import Form, first_of, operand_dtypes

DType = np.dtype[Any]
BOOL = np.dtype(bool)


def cast(text: str, dtype: DType, to: DType) -> str:
    """``text`` of one dtype as another."""
    if dtype == to:
        return text
    return f"({text} != 0)" if to.kind == "b" else f"np.{to.name}({text})"


def number(literal: str, to: DType) -> str:
    """A number of the structure in a dtype."""
    if to.kind == "b":
        return repr(literal not in ("0", "0.0", "-0.0", "False"))
    whole = literal.lstrip("-").isdigit()
    if to.kind == "f" and whole:
        literal += ".0"
    return literal if to == np.float64 or (to == np.int64 and whole) else f"np.{to.name}({literal})"


Operand = Callable[[int, DType], str]


class Override(NamedTuple):
    """What compiled loops have of their own for a primitive; anything else is a call of its ufunc for one element.

    Parameters
    ----------
    operator : str, optional
        How it is written, as a template of the operands in the dtypes of the ufunc.
    kinds : str
        The kinds of number for which it is written so.
    text : callable, optional
        How a primitive without a ufunc is written: ``text(operand, out, vectorised)``, where ``operand(place, dtype)``
        is an operand in a dtype, ``out`` is that of the result and ``vectorised`` the functions of ``fn``.
    left : str
        The kinds of number for which compiled arithmetic is not NumPy's: integers that overflow, are divided by zero
        (which may end the process), raised to a negative power, or shifted or scaled by large ones; and floating
        quotients at infinity.
    cost : tuple of float, optional
        Nanoseconds of one element in loops, and in NumPy.
    single : tuple of float, optional
        The same in single precision, if that is different.
    vectorised : bool
        Whether there is arithmetic without branches for float64: in ``functions.py``, or by such a function.
    angle : bool
        Whether that is for angles that are not too large.
    """

    operator: str | None = None
    kinds: str = "f"
    text: Callable[[Operand, DType, frozenset[str]], str] | None = None
    left: str = ""
    cost: tuple[float, float] | None = None
    single: tuple[float, float] | None = None
    vectorised: bool = False
    angle: bool = False


def _logistic(operand: Operand, out: DType, vectorised: frozenset[str]) -> str:
    one = number("1", out)
    return f"({one} / ({one} + {_module('exp', out, vectorised)}.exp(-{_atom(operand(0, out))})))"


def _tanh_slope(operand: Operand, out: DType, vectorised: frozenset[str]) -> str:
    exact = cast(f"fn.tanh_slope({operand(1, np.dtype(np.float64))})", np.dtype(np.float64), out)
    if out == np.float64:
        return exact
    # In single precision no function is vectorised, and a branch costs nothing.
    square = f"{operand(0, out)} * {operand(0, out)}"
    return f"({number('1', out)} - {square} if {square} < {number('0.99', out)} else {exact})"


_FAST, _MEDIUM, _SLOW, _SLOWEST = (4.0, 0.6), (6.0, 0.8), (11.0, 0.9), (13.0, 1.2)

NOTHING = Override()
OVERRIDES: dict[Primitive, Override] = by_primitive(
    {
        "add": Override("{0} + {1}"),
        "subtract": Override("{0} - {1}"),
        "multiply": Override("{0} * {1}"),
        "divide": Override("{0} / {1}", cost=ARITHMETIC),
        "negative": Override("-{0}"),
        "absolute": Override("abs({0})"),
        "square": Override("{0} * {0}", kinds="biuf"),
        "equal": Override("{0} == {1}"),
        "not_equal": Override("{0} != {1}"),
        "less": Override("{0} < {1}"),
        "less_equal": Override("{0} <= {1}"),
        "greater": Override("{0} > {1}"),
        "greater_equal": Override("{0} >= {1}"),
        **dict.fromkeys(("isinf", "floor", "ceil", "rint", "trunc", "copysign"), Override(cost=ARITHMETIC)),
        **dict.fromkeys(("remainder", "fmod", "sign", "gcd", "lcm"), Override(left="iu")),
        **dict.fromkeys(("ldexp", "left_shift", "right_shift"), Override(left="iu")),
        "floor_divide": Override(left="iuf"),
        "reciprocal": Override(left="iu", cost=ARITHMETIC),
        "power": Override(left="iu", cost=_SLOW),
        "sqrt": Override(cost=(0.2, 0.9)),
        **dict.fromkeys(("exp", "log"), Override(cost=_FAST, vectorised=True)),
        **dict.fromkeys(("exp2", "log2", "log10"), Override(cost=_FAST)),
        **dict.fromkeys(("expm1", "log1p"), Override(cost=_MEDIUM, vectorised=True)),
        "cbrt": Override(cost=_MEDIUM),
        "logaddexp": Override(vectorised=True),
        **dict.fromkeys(("sin", "cos"), Override(single=(2.1, 0.4), vectorised=True, angle=True)),
        "tanh": Override(cost=_SLOW, vectorised=True),
        **dict.fromkeys(("sinh", "cosh", "tan", "arctan", "arcsin", "arccos"), Override(cost=_SLOW)),
        **dict.fromkeys(("arcsinh", "arccosh", "arctanh", "arctan2"), Override(cost=_SLOWEST)),
        "astype": Override(text=lambda x, out, vectorised: x(0, out)),
        "where": Override(text=lambda x, out, vectorised: f"({x(1, out)} if {x(0, BOOL)} else {x(2, out)})"),
        "masked_multiply": Override(
            text=lambda x, out, vectorised: f"({x(0, out)} * {x(1, out)} if {x(0, out)} != 0 else {number('0', out)})"
        ),
        "root_of_squares": Override(text=lambda x, out, vectorised: f"np.sqrt({x(0, out)})", cost=ARITHMETIC),
        "logistic": Override(text=_logistic, cost=_FAST, vectorised=True),
        "tanh_slope": Override(text=_tanh_slope, vectorised=True),
    }
)

# The functions of float64 that are there as arithmetic without branches; some for angles that are not too large.
VECTORISED = frozenset(p.name for p, row in OVERRIDES.items() if row.vectorised and row.text is None)
ANGLES = frozenset(p.name for p, row in OVERRIDES.items() if row.angle)

MULTIPLY = PRIMITIVES["multiply"]


def expression(form: Form, words: list[str], vectorised: frozenset[str] = frozenset()) -> str:
    """The element of the target, for the elements of the operands; these functions as vectorised arithmetic."""
    texts = iter(words)
    out = form.dtypes[0]
    dtypes = operand_dtypes(form)
    operands = [next(texts) if literal is None else literal for literal in form.literals]

    def operand(place: int, to: DType) -> str:
        literal = form.literals[place]
        return cast(operands[place], dtypes[place], to) if literal is None else number(literal, to)

    primitive, reduces = form.primitive, form.reduces is not None
    if primitive is None or (reduces and len(operands) == 1):
        return operand(0, out)
    row = OVERRIDES.get(MULTIPLY if reduces else primitive, NOTHING)
    if row.text is not None:
        return row.text(operand, out, vectorised)
    if form.signature is None or reduces:
        assert row.operator is not None
        return _grouped(row.operator.format(_atom(operand(0, out)), _atom(operand(1, out))))
    ufunc = primitive.numpy_ufunc
    assert ufunc is not None
    loop = form.signature.loop_dtypes
    arguments = [_atom(operand(i, dtype)) for i, dtype in enumerate(loop[: ufunc.nin])]
    if row.operator is not None and loop[0].kind in row.kinds:
        text = row.operator.format(*arguments)
    else:
        module = _module(ufunc.__name__, loop[0], vectorised)
        text = f"{module}.{ufunc.__name__}({', '.join(arguments)})"
    return cast(_grouped(text), loop[-1], out)


def _module(name: str, dtype: DType, vectorised: frozenset[str]) -> str:
    """Where a function for one element is from."""
    return "fn" if name in vectorised and dtype == np.float64 else "np"


def _atom(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def _grouped(text: str) -> str:
    return f"({text})" if " " in text or text.startswith("-") else text


def initial(reduces: np.ufunc, dtype: DType) -> str:
    """What a reduction begins with."""
    first = first_of(reduces, dtype)
    if reduces.identity is not None or dtype.kind == "b":
        return number(repr(int(first)), dtype)
    text = str(first) if dtype.kind in "iu" else "-np.inf" if first < 0 else "np.inf"
    return f"np.{dtype.name}({text})"


_COMBINED: dict[np.ufunc, str] = {
    np.add: "{} + {}",
    np.multiply: "{} * {}",
    np.maximum: "np.maximum({}, {})",
    np.minimum: "np.minimum({}, {})",
    np.logical_and: "{} and {}",
    np.logical_or: "{} or {}",
}


def accumulate(reduces: np.ufunc, total: str, text: str, dtype: DType) -> str:
    """One more element of a reduction."""
    template = "fn.add({}, {})" if reduces is np.add and dtype.kind == "f" else _COMBINED[reduces]
    return template.format(total, text)
