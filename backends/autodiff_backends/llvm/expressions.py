"""The expression of one element: how each elementwise primitive is written in LLVM's loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.primitives import PRIMITIVES, Primitive, Signature, by_primitive

from ..loops.costs import ARITHMETIC, SCALAR_FUNCTION, Costs
from ..loops.forms import DTYPES, Form, operand_dtypes
from ..loops.functions import FUNCTIONS, LIMITED, function_of
from .code import Code
from .values import BOOL, FLOAT32, INT64, DType, Unwritten, Value, type_of

Operand = Callable[[int, DType], Value]
# From operands in the dtypes of the loop to the result.
Computed = Callable[..., Value]


class Override(NamedTuple):
    """What loops have for a primitive; anything else is left to NumPy.

    Parameters
    ----------
    kinds : mapping of str to callable
        What computes a ufunc, by the kinds of number that its loop computes with. Those that are missing are where
        machine code is not NumPy's: integers divided by zero, or raised to a negative power.
    own : callable, optional
        What computes a primitive without a ufunc: ``own(code, operand, out)``, where ``operand(place, dtype)`` is an
        operand in a dtype, and ``out`` that of the result.
    cost : tuple of float, optional
        Nanoseconds of one element in loops, and in NumPy.
    single : tuple of float, optional
        The same in single precision, if that is different.
    mixed : bool
        Whether a signed and an unsigned number are computed with as well.
    divided : callable, optional
        What computes integers divided by a positive number of the structure.
    """

    kinds: Mapping[str, Computed] = {}
    own: Callable[[Code, Operand, DType], Value] | None = None
    cost: tuple[float, float] | None = None
    single: tuple[float, float] | None = None
    mixed: bool = False
    divided: Computed | None = None


# --- functions -------------------------------------------------------------------------------------------------------


def elementary(name: str, *operands: Value) -> Value:
    """An elementary function: our own arithmetic, or the exact one of numbers that may be out of its range."""
    code = operands[0].code
    limit = LIMITED.get(name)
    if limit is None or not code.exact:
        if limit is not None:
            code.note(limit.outside(*operands))
        return code.function(name, function_of(name, operands[0].dtype), *operands)
    if limit.exact is None:
        return code.library(name, *operands)
    return code.function(f"exact.{name}", function_of(name, operands[0].dtype, exact=True), *operands)


def library(name: str) -> Computed:
    """A function of the C library."""
    return lambda *operands: operands[0].code.library(name, *operands)


def _maximum(x: Value, y: Value) -> Value:
    return (
        (x.code.intrinsic("smax" if x.dtype.kind == "i" else "umax", x, y)) if x.dtype.kind in "iu" else _greater(x, y)
    )


def _greater(x: Value, y: Value) -> Value:
    return ((x >= y) | (x != x)).select(x, y)


def _minimum(x: Value, y: Value) -> Value:
    if x.dtype.kind in "iu":
        return x.code.intrinsic("smin" if x.dtype.kind == "i" else "umin", x, y)
    return ((x <= y) | (x != x)).select(x, y)


def _sign(x: Value) -> Value:
    if x.dtype.kind == "u":
        return (x != 0).select(1, x)
    # Of -0.0 it is 0.0, of NaN that NaN.
    return (x > 0).select(1, (x < 0).select(-1, (x == 0).select(0, x)))


def _heaviside(x: Value, middle: Value) -> Value:
    return (x > 0).select(1.0, (x < 0).select(0.0, (x == 0.0).select(middle, x)))


def _remainder(x: Value, y: Value) -> Value:
    """As Python's: it has the sign of the divisor."""
    rest = x.code.library("fmod", x, y)
    moved = ((y < 0) != (rest < 0)).select(rest + y, rest)
    return (rest == 0.0).select(x.code.constant(0.0, x.dtype).copysign(y), moved)


def _whole_remainder(x: Value, y: Value) -> Value:
    """Of an integer by a positive one."""
    rest = x.rest(y)
    return rest if x.dtype.kind == "u" else (rest < 0).select(rest + y, rest)


def _left_shift(x: Value, y: Value) -> Value:
    bits = 8 * x.dtype.itemsize
    inside = Value(y.code, np.dtype(f"u{y.dtype.itemsize}"), y.text) < bits
    return inside.select(x << (y & (bits - 1)), 0)


def _right_shift(x: Value, y: Value) -> Value:
    bits = 8 * x.dtype.itemsize
    inside = Value(y.code, np.dtype(f"u{y.dtype.itemsize}"), y.text) < bits
    return inside.select(x >> (y & (bits - 1)), (x < 0).select(-1, x ^ x) if x.dtype.kind == "i" else x ^ x)


def _rounded(name: str) -> Computed:
    return lambda x: x.code.intrinsic(name, x)


def _masked_multiply(code: Code, x: Operand, out: DType) -> Value:
    mask = x(0, out)
    return (mask != 0).select(_multiplied(mask, x(1, out)), 0)


def _multiplied(x: Value, y: Value) -> Value:
    return x & y if x.dtype.kind == "b" else x * y


def _over(kinds: str, computed: Computed) -> dict[str, Computed]:
    return dict.fromkeys(kinds, computed)


def _compared(compare: Callable[..., Any]) -> Override:
    """For a signed and an unsigned number too: a negative one is less than all others."""

    def mixed(x: Value, y: Value) -> Any:
        if x.dtype.kind == y.dtype.kind:
            return compare(x, y)
        negative, is_so = (x < 0, compare(-1, 0)) if x.dtype.kind == "i" else (y < 0, compare(0, -1))
        unsigned = [Value(v.code, np.dtype(f"u{v.dtype.itemsize}"), v.text) for v in (x, y)]
        return negative.select(x.code.constant(is_so, BOOL), compare(*unsigned))

    return Override(_over("bf", compare) | _over("iu", mixed), mixed=True)


def _true(computed: Computed) -> Override:
    return Override(_over("biuf", computed))


def _elementary(name: str, loops: float, vectors: float, single: tuple[float, float], own: Any = None) -> Override:
    kinds = {} if own else {"f": partial(elementary, name)}
    return Override(kinds, own, cost=(loops, vectors), single=single)


ADD = PRIMITIVES["add"]
NOTHING = Override()
OVERRIDES: dict[Primitive, Override] = by_primitive(
    {
        "add": Override({"b": lambda x, y: x | y} | _over("iuf", lambda x, y: x + y)),
        "subtract": Override(_over("iuf", lambda x, y: x - y)),
        "multiply": Override(_over("biuf", _multiplied)),
        "divide": Override({"f": lambda x, y: x / y}, cost=ARITHMETIC),
        "negative": Override(_over("iuf", lambda x: -x)),
        "absolute": Override(_over("biuf", abs)),
        "conjugate": Override(_over("iuf", lambda x: x)),
        "square": Override(_over("iuf", lambda x: x * x)),
        "reciprocal": Override({"f": lambda x: 1.0 / x}, cost=ARITHMETIC),
        "sqrt": Override({"f": lambda x: x.sqrt()}, cost=(0.2, 0.9)),
        "equal": _compared(lambda x, y: x == y),
        "not_equal": _compared(lambda x, y: x != y),
        "less": _compared(lambda x, y: x < y),
        "less_equal": _compared(lambda x, y: x <= y),
        "greater": _compared(lambda x, y: x > y),
        "greater_equal": _compared(lambda x, y: x >= y),
        "logical_and": _true(lambda x, y: (x != 0) & (y != 0)),
        "logical_or": _true(lambda x, y: (x != 0) | (y != 0)),
        "logical_xor": _true(lambda x, y: (x != 0) ^ (y != 0)),
        "logical_not": _true(lambda x: x == 0),
        "bitwise_and": Override(_over("biu", lambda x, y: x & y), cost=ARITHMETIC),
        "bitwise_or": Override(_over("biu", lambda x, y: x | y), cost=ARITHMETIC),
        "bitwise_xor": Override(_over("biu", lambda x, y: x ^ y), cost=ARITHMETIC),
        "invert": Override(_over("biu", lambda x: ~x), cost=ARITHMETIC),
        "left_shift": Override(_over("iu", _left_shift), cost=ARITHMETIC),
        "right_shift": Override(_over("iu", _right_shift), cost=ARITHMETIC),
        "maximum": Override({"b": lambda x, y: x | y} | _over("iuf", _maximum)),
        "minimum": Override({"b": lambda x, y: x & y} | _over("iuf", _minimum)),
        "fmax": Override(
            {"b": lambda x, y: x | y, "f": lambda x, y: ((x >= y) | (y != y)).select(x, y)} | _over("iu", _maximum),
            cost=ARITHMETIC,
        ),
        "fmin": Override(
            {"b": lambda x, y: x & y, "f": lambda x, y: ((x <= y) | (y != y)).select(x, y)} | _over("iu", _minimum),
            cost=ARITHMETIC,
        ),
        "sign": Override(_over("iuf", _sign)),
        "heaviside": Override({"f": _heaviside}, cost=ARITHMETIC),
        "isnan": _true(lambda x: x != x),
        "isfinite": Override(_over("biu", lambda x: x == x) | {"f": lambda x: abs(x) < math.inf}),
        "isinf": Override({"f": lambda x: abs(x) == math.inf} | _over("biu", lambda x: x != x), cost=ARITHMETIC),
        "signbit": Override({"f": lambda x: x.bits() < 0}, cost=ARITHMETIC),
        "copysign": Override({"f": lambda x, y: x.copysign(y)}, cost=ARITHMETIC),
        "rint": Override({"f": _rounded("rint")}, cost=ARITHMETIC),
        **{
            name: Override({"f": _rounded(name)} | _over("biu", lambda x: x), cost=ARITHMETIC)
            for name in ("floor", "ceil", "trunc")
        },
        "degrees": Override({"f": lambda x: x * (180.0 / math.pi)}, cost=ARITHMETIC),
        "radians": Override({"f": lambda x: x * (math.pi / 180.0)}, cost=ARITHMETIC),
        "fmod": Override({"f": library("fmod")}),
        "remainder": Override({"f": _remainder}, divided=_whole_remainder),
        "nextafter": Override({"f": library("nextafter")}),
        "power": _elementary("power", 6.0, 2.8, (2.3, 1.0)),
        "float_power": Override({"f": partial(elementary, "power")}, cost=(6.0, 2.8)),
        "exp": _elementary("exp", 0.9, 0.6, (0.4, 0.2)),
        "exp2": _elementary("exp2", 1.0, 0.6, (1.1, 0.4)),
        "expm1": _elementary("expm1", 1.6, 1.5, (0.6, 0.5)),
        "log": _elementary("log", 1.2, 0.6, (0.5, 0.2)),
        "log2": _elementary("log2", 1.4, 0.6, (1.6, 0.5)),
        "log10": _elementary("log10", 1.4, 0.6, (1.6, 0.5)),
        "log1p": _elementary("log1p", 1.6, 1.6, (0.7, 0.7)),
        "logaddexp": _elementary("logaddexp", 4.0, 18.0, (1.6, 16.0)),
        "logaddexp2": _elementary("logaddexp2", 2.4, 9.0, (2.5, 9.0)),
        "sin": _elementary("sin", 1.4, 9.0, (0.5, 0.4)),
        "cos": _elementary("cos", 1.4, 9.0, (0.5, 0.4)),
        "tanh": _elementary("tanh", 1.4, 0.9, (0.5, 0.4)),
        "sinh": _elementary("sinh", 1.7, 0.9, (1.8, 0.6)),
        "cosh": _elementary("cosh", 1.7, 0.9, (1.8, 0.6)),
        "arctan": _elementary("arctan", 1.7, 0.9, (1.8, 0.6)),
        "tan": _elementary("tan", 1.8, 9.0, (1.9, 1.5)),
        **{name: _elementary(name, 2.0, 1.2, (2.1, 0.8)) for name in ("arcsin", "arccos")},
        **{name: _elementary(name, 2.2, 9.0, (2.3, 4.0)) for name in ("arcsinh", "arccosh", "arctanh")},
        "arctan2": _elementary("arctan2", 2.4, 9.0, (2.5, 4.0)),
        "cbrt": _elementary("cbrt", 2.2, 6.0, (2.3, 4.0)),
        "hypot": _elementary("hypot", 1.2, 6.0, (1.3, 2.0)),
        "erf": _elementary("erf", 4.6, 13.0, (0.8, 14.0)),
        "erfc": _elementary("erfc", 4.7, 13.0, (4.8, 14.0)),
        "erfcx": _elementary("erfcx", 6.2, 27.0, (6.2, 27.0)),
        "gammaln": _elementary("gammaln", 5.8, 19.0, (5.8, 19.0)),
        "psi": _elementary("psi", 3.6, 12.0, (3.6, 12.0)),
        "expit": _elementary("expit", 1.4, 5.9, (0.6, 3.9)),
        "log_expit": _elementary("log_expit", 3.7, 17.0, (1.5, 14.0)),
        "logit": _elementary("logit", 5.5, 12.0, (5.5, 12.0)),
        "xlogy": _elementary("xlogy", 1.3, 6.0, (1.3, 6.0)),
        "xlog1py": _elementary("xlog1py", 1.7, 6.2, (1.7, 6.2)),
        "entr": _elementary("entr", 1.4, 5.6, (1.4, 5.6)),
        "rel_entr": _elementary("rel_entr", 7.9, 12.0, (7.9, 12.0)),
        "kl_div": _elementary("kl_div", 4.4, 7.6, (4.4, 7.6)),
        "ndtr": _elementary("ndtr", 5.4, 13.0, (5.4, 13.0)),
        "log_ndtr": _elementary("log_ndtr", 19.0, 22.0, (19.0, 22.0)),
        "astype": Override(own=lambda code, x, out: x(0, out)),
        "where": Override(own=lambda code, x, out: x(0, BOOL).select(x(1, out), x(2, out))),
        "masked_multiply": Override(own=_masked_multiply),
        "root_of_squares": Override(own=lambda code, x, out: x(0, out).sqrt(), cost=ARITHMETIC),
        "logistic": _elementary(
            "logistic", 1.2, 0.9, (0.6, 0.4), own=lambda code, x, out: elementary("logistic", x(0, out))
        ),
        "tanh_slope": _elementary(
            "tanh_slope", 1.4, 0.9, (0.6, 0.4), own=lambda code, x, out: elementary("tanh_slope", x(1, out))
        ),
    }
)
assert {name for name in FUNCTIONS if name not in PRIMITIVES} == set()


def is_written(signature: Signature) -> bool:
    """Whether there is an expression of an elementwise application."""
    row = OVERRIDES.get(signature.primitive, NOTHING)
    if row.own is not None:
        return True
    ufunc = signature.primitive.numpy_ufunc
    if ufunc is None or ufunc.nout != 1 or not row.kinds:
        return False
    loop = signature.loop_dtypes
    kinds = {dtype.kind for dtype in loop[: ufunc.nin]}
    known = set(row.kinds)
    if row.divided is not None and _is_positive(signature.inputs[1].literal):
        known |= {"i", "u"}
    return DTYPES.issuperset(loop) and (len(kinds) == 1 or row.mixed) and kinds <= known


def _is_positive(literal: Any) -> bool:
    return type(literal) is int and literal > 0


def _element_cost(primitive: Primitive, dtype: DType) -> tuple[float, float]:
    row = OVERRIDES.get(primitive, NOTHING)
    if row.single is not None and dtype == FLOAT32:
        return row.single
    return row.cost or SCALAR_FUNCTION


# Products of up to 64 by 64 by 64.
COSTS = Costs(_element_cost, product=(0.06, 0.05), largest_product=1 << 18)


# --- statements ------------------------------------------------------------------------------------------------------


def number_of(literal: str) -> Any:
    """The number of the structure that a text stands for."""
    if literal in ("True", "False"):
        return literal == "True"
    if literal.lstrip("-").isdigit():
        return int(literal)
    return float(literal.removeprefix("float('").removesuffix("')"))


def literal(code: Code, text: str, to: DType) -> Value:
    """A number of the structure, in a dtype."""
    type_of(to)  # which there is none of for complex numbers
    value = number_of(text)
    if to.kind in "iu":
        limits = np.iinfo(to)
        if not math.isfinite(value) or not limits.min <= value <= limits.max:
            raise Unwritten(f"{text} is no {to}")
    return code.constant(value, to)


def expression(code: Code, form: Form, values: list[Value]) -> Value:
    """The element of the target, for the elements of the operands in memory (or a register)."""
    given = iter(values)
    words = [next(given) if literal is None else None for literal in form.literals]
    out = form.dtypes[0]
    dtypes = operand_dtypes(form)

    def operand(place: int, to: DType) -> Value:
        word = words[place]
        if word is not None:
            return word.cast(to)
        text = form.literals[place]
        assert text is not None
        return literal(code, text, to)

    primitive, reduces = form.primitive, form.reduces is not None
    if primitive is None or (reduces and len(words) == 1):
        return operand(0, out)
    if reduces:
        x, y = operand(0, out), operand(1, out)
        # A product of these sums may be added to them without being rounded before, as BLAS does it.
        return x.times(y, "contract") if out.kind == "f" else _multiplied(x, y)
    row = OVERRIDES[primitive]
    if row.own is not None:
        return row.own(code, operand, out)
    if form.signature is None:
        return row.kinds[out.kind](operand(0, out), operand(1, out))
    ufunc = primitive.numpy_ufunc
    assert ufunc is not None
    loop = form.signature.loop_dtypes
    arguments = [operand(i, dtype) for i, dtype in enumerate(loop[: ufunc.nin])]
    computed = row.kinds.get(loop[0].kind, row.divided)
    assert computed is not None
    result = computed(*arguments)
    assert result.dtype == loop[-1], (primitive.name, dtypes)
    return result.cast(out)


def plus(x: Value, y: Value) -> Value:
    """The sum; of truths, whether one is true."""
    return OVERRIDES[ADD].kinds[x.dtype.kind](x, y)


def place_of(code: Code, form: Form, indices: list[Value]) -> Value:
    """Where index arrays mean, after where all of them are 0: for the elements of those in memory (or a register)."""
    found = code.integer(0)
    given = iter(indices)
    for text, (size, step) in zip(form.literals[-len(form.indexed) :], form.indexed, strict=True):
        index = next(given) if text is None else literal(code, text, INT64)
        place = _counted(index, size) * step
        found = place if found.text == "0" else found + place
    return found


def _counted(index: Value, size: int) -> Value:
    """An index from the front. One that is refused before results are given out takes the last element there is, and
    no other memory."""
    if index.dtype.kind == "u" and index.dtype.itemsize == INT64.itemsize:
        index = index.code.intrinsic("umin", index, index.like(size - 1))
    whole = index.cast(INT64)
    return whole.code.intrinsic("umin", (whole < 0).select(whole + size, whole), whole.like(size - 1))


_COMBINED: dict[np.ufunc, Computed] = {
    np.multiply: _multiplied,
    np.maximum: OVERRIDES[PRIMITIVES["maximum"]].kinds["f"],
    np.minimum: OVERRIDES[PRIMITIVES["minimum"]].kinds["f"],
    np.logical_and: lambda x, y: x & y,
    np.logical_or: lambda x, y: x | y,
}


def accumulate(reduces: np.ufunc, total: Value, term: Value, in_any_order: bool = True) -> Value:
    """One more element of a reduction; a sum may be added up in any order."""
    kind = total.dtype.kind
    if reduces is np.add:
        if kind == "f":
            return total.added(term, "reassoc contract" if in_any_order else "contract")
        return total | term if kind == "b" else total + term
    if kind == "f" and reduces in (np.maximum, np.minimum):
        return total.code.intrinsic(reduces.__name__, total, term)
    if kind == "b":
        return total | term if reduces in (np.maximum, np.logical_or) else total & term
    return _COMBINED[reduces](total, term)
