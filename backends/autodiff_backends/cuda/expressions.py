"""The expression of one element in CUDA C++: how each elementwise primitive is written, and what reductions do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.primitives import PRIMITIVES, Primitive, Signature, by_primitive

from ..loops.forms import Form, first_of, operand_dtypes
from .functions import NAMES
from .types import BOOL, C_NAMES, FLOAT16, arithmetic, cast, number, text_of

DType = np.dtype[Any]

_COMPARISONS = {
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
}

# Of a signed and an unsigned integer of 64 bits, for which C++ has no common type.
_MIXED = {
    "equal": "np_same({0}, {1})",
    "not_equal": "!np_same({0}, {1})",
    "less": "np_below({0}, {1})",
    "less_equal": "!np_below({1}, {0})",
    "greater": "np_below({1}, {0})",
    "greater_equal": "!np_below({0}, {1})",
}

_LOGIC = {
    "logical_and": "np_truth({0}) && np_truth({1})",
    "logical_or": "np_truth({0}) || np_truth({1})",
    "logical_xor": "np_truth({0}) != np_truth({1})",
    "logical_not": "!np_truth({0})",
}

_EXTREMA = {name: f"np_{name}({{0}}, {{1}})" for name in ("maximum", "minimum", "fmax", "fmin")}

_BOOL = {
    **_COMPARISONS,
    **_LOGIC,
    "conjugate": "{0}",
    **dict.fromkeys(("add", "maximum", "fmax", "bitwise_or"), "{0} || {1}"),
    **dict.fromkeys(("multiply", "minimum", "fmin", "bitwise_and"), "{0} && {1}"),
    **dict.fromkeys(("absolute", "square", "floor", "ceil", "trunc"), "{0}"),
    "bitwise_xor": "{0} != {1}",
    "invert": "!{0}",
    "isnan": "false",
    "isinf": "false",
    "isfinite": "true",
}

_INTEGER = {
    **_COMPARISONS,
    **_LOGIC,
    "conjugate": "{0}",
    **_EXTREMA,
    **{
        name: f"np_{name}({{0}}, {{1}})"
        for name in ("add", "subtract", "multiply", "floor_divide", "remainder", "fmod")
    },
    **{name: f"np_{name}({{0}}, {{1}})" for name in ("power", "left_shift", "right_shift", "gcd", "lcm")},
    **{name: f"np_{name}({{0}})" for name in ("negative", "absolute", "sign", "reciprocal")},
    "square": "np_multiply({0}, {0})",
    "bitwise_and": "{0} & {1}",
    "bitwise_or": "{0} | {1}",
    "bitwise_xor": "{0} ^ {1}",
    "invert": "~{0}",
    **dict.fromkeys(("floor", "ceil", "trunc"), "{0}"),
    "isnan": "false",
    "isinf": "false",
    "isfinite": "true",
}

_ARITHMETIC = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "square": "{0} * {0}",
}

# SciPy's functions: CUDA's, and those written by the definitions of compiled loops.
SPECIAL = {
    "erf": "m_erf({0})",
    "erfc": "m_erfc({0})",
    **{name: f"f_{name}({'{0}, {1}' if count == 2 else '{0}'})" for name, count in NAMES.items()},
}

_FLOAT = {
    **_COMPARISONS,
    **_LOGIC,
    "conjugate": "{0}",
    **_EXTREMA,
    **_ARITHMETIC,
    **{name: f"m_{name}({{0}})" for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt")},
    **SPECIAL,
    **{name: f"m_{name}({{0}})" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"arc{name}": f"m_a{name}({{0}})" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: f"m_{name}({{0}})" for name in ("floor", "ceil", "trunc", "rint")},
    **{name: f"m_{name}({{0}}, {{1}})" for name in ("hypot", "fmod", "copysign", "nextafter")},
    **{
        name: f"np_{name}({{0}}, {{1}})"
        for name in ("floor_divide", "remainder", "heaviside", "logaddexp", "logaddexp2")
    },
    **{name: f"np_{name}({{0}})" for name in ("sign", "isnan", "isinf", "isfinite", "signbit", "spacing")},
    **dict.fromkeys(("power", "float_power"), "m_pow({0}, {1})"),
    "arctan2": "m_atan2({0}, {1})",
    "absolute": "m_fabs({0})",
    "reciprocal": "1 / {0}",
    "degrees": "{0} * ({T})57.29577951308232",
    "radians": "{0} * ({T})0.017453292519943295",
    "ldexp": "np_ldexp({0}, {1})",
}

# Where not the single precision number decides but the half one.
_HALF = {"nextafter": "half_nextafter({0}, {1})", "spacing": "half_spacing({0})"}

_COMPLEX = {
    **_COMPARISONS,
    **_LOGIC,
    **_EXTREMA,
    **_ARITHMETIC,
    **{name: f"c_{name}({{0}})" for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rint")},
    **{name: f"c_{name}({{0}})" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"arc{name}": f"c_a{name}({{0}})" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: f"c_{name}({{0}})" for name in ("sign", "reciprocal", "conjugate")},
    **{name: f"np_{name}({{0}})" for name in ("isnan", "isinf", "isfinite")},
    **dict.fromkeys(("power", "float_power"), "c_pow({0}, {1})"),
    "absolute": "c_abs({0})",
}


class Operands:
    """The operands of a form, as text in whatever dtype is asked for.

    Parameters
    ----------
    form : Form
    words : list of str
        Those in memory, in their own dtypes.
    """

    def __init__(self, form: Form, words: list[str]):
        self.form = form
        self.dtypes = operand_dtypes(form)
        texts = iter(words)
        self._words = [next(texts) if literal is None else literal for literal in form.literals]

    def __call__(self, place: int, to: DType) -> str:
        """An operand in a dtype, as something that operators may stand beside."""
        if self.form.literals[place] is None:
            text = cast(self._words[place], self.dtypes[place], to)
        else:
            text = number(self._words[place], self._own(place), to)
        return f"({text})" if text[0] in "-(!" and not _enclosed(text) else text

    def _own(self, place: int) -> DType | None:
        """The dtype that a number of the structure has; None for Python numbers and those that take the target's."""
        signature = self.form.signature
        if signature is None or place >= len(signature.inputs) or signature.inputs[place].weak:
            return None
        return signature.inputs[place].dtype


def _enclosed(text: str) -> bool:
    """Whether the first parenthesis is closed by the last one."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[0] == "(" and place == len(text) - 1
    return False


# --- primitives without a ufunc --------------------------------------------------------------------------------------


def _masked_multiply(operands: Operands, out: DType) -> str:
    wide = arithmetic(out)
    zero = text_of(np.zeros((), wide))
    return cast(f"(np_truth({operands(0, wide)}) ? {_multiplied(operands, wide)} : {zero})", wide, out)


def _root_of_squares(operands: Operands, out: DType) -> str:
    wide = arithmetic(out)
    return cast(f"{'c' if wide.kind == 'c' else 'm'}_sqrt({operands(0, wide)})", wide, out)


def _logistic(operands: Operands, out: DType) -> str:
    wide = arithmetic(out)
    one = text_of(np.ones((), wide))
    exponential = f"{'c' if wide.kind == 'c' else 'm'}_exp(-{operands(0, wide)})"
    return cast(f"({one} / ({one} + {exponential}))", wide, out)


def _tanh_slope(operands: Operands, out: DType) -> str:
    wide = arithmetic(out)
    return cast(f"np_tanh_slope({operands(1, wide)})", wide, out)


def _real(operands: Operands, out: DType) -> str:
    own = operands.dtypes[0]
    return f"({operands(0, own)}).re" if own.kind == "c" else operands(0, own)


def _imag(operands: Operands, out: DType) -> str:
    own = operands.dtypes[0]
    return f"({operands(0, own)}).im" if own.kind == "c" else text_of(np.zeros((), own))


# --- the table -------------------------------------------------------------------------------------------------------


class Override(NamedTuple):
    """How a primitive is written in CUDA C++.

    Parameters
    ----------
    text : callable, optional
        ``text(operands, dtype)`` of a primitive without a ufunc.
    kinds : mapping of str to str
        Templates of a ufunc by the kind of number that its loop computes with.
    mixed : str, optional
        That for a signed and an unsigned integer of 64 bits.
    half : str, optional
        That where not the single precision number decides but the half one.
    """

    text: Callable[[Operands, DType], str] | None = None
    kinds: Mapping[str, str] = {}
    mixed: str | None = None
    half: str | None = None


def _templates() -> dict[str, Override]:
    """The rows of ufuncs."""
    tables = {"b": _BOOL, "i": _INTEGER, "u": _INTEGER, "f": _FLOAT, "c": _COMPLEX}
    names = {name for table in tables.values() for name in table}
    return {
        name: Override(
            kinds={kind: table[name] for kind, table in tables.items() if name in table},
            mixed=_MIXED.get(name),
            half=_HALF.get(name),
        )
        for name in names
    }


NOTHING = Override()
OVERRIDES: dict[Primitive, Override] = by_primitive(
    {
        **_templates(),
        "astype": Override(lambda x, out: x(0, out)),
        "where": Override(lambda x, out: f"{x(0, BOOL)} ? {x(1, out)} : {x(2, out)}"),
        "masked_multiply": Override(_masked_multiply),
        "root_of_squares": Override(_root_of_squares),
        "logistic": Override(_logistic),
        "tanh_slope": Override(_tanh_slope),
        "real": Override(_real),
        "imag": Override(_imag),
    }
)


def is_written(signature: Signature) -> bool:
    """Whether there is an expression of an elementwise application."""
    return OVERRIDES.get(signature.primitive, NOTHING).text is not None or template(signature) is not None


def template(signature: Signature) -> str | None:
    """How a ufunc is written in its loop's dtypes; None if it is not."""
    ufunc = signature.primitive.numpy_ufunc
    if ufunc is None or ufunc.nout != 1:
        return None
    loop = signature.loop_dtypes
    if any(dtype not in C_NAMES for dtype in loop):
        return None
    row = OVERRIDES.get(signature.primitive, NOTHING)
    if loop[0] == FLOAT16 and row.half is not None:
        return row.half
    if ufunc.nin == 2 and {dtype.kind for dtype in loop[:2]} == {"i", "u"}:
        return row.mixed
    return row.kinds.get(loop[0].kind)


def expression(form: Form, words: list[str]) -> str:
    """The element of the target of an elementwise form, for the elements of the operands in memory."""
    operands = Operands(form, words)
    out = form.dtypes[0]
    primitive = form.primitive
    if primitive is None:
        return operands(0, out)
    text = OVERRIDES.get(primitive, NOTHING).text
    if text is not None:
        return text(operands, out)
    if form.signature is None:
        wide = arithmetic(out)
        assert primitive.numpy_ufunc is not None
        return cast(f"({combine(primitive.numpy_ufunc, operands(0, wide), operands(1, wide), wide)})", wide, out)
    return _ufunc(form.signature, operands, out)


def _ufunc(signature: Signature, operands: Operands, out: DType) -> str:
    """In the dtypes of its loop, single precision for half."""
    text = template(signature)
    ufunc = signature.primitive.numpy_ufunc
    assert text is not None
    assert ufunc is not None
    loop = signature.loop_dtypes
    as_bits = loop[0] == FLOAT16 and OVERRIDES[signature.primitive].half is not None
    dtypes = [dtype if as_bits else arithmetic(dtype) for dtype in loop]
    words = []
    for place, dtype in enumerate(dtypes[: ufunc.nin]):
        if loop[place] == FLOAT16 and not as_bits and operands.dtypes[place] != FLOAT16:
            # Python's 3.7 is the nearest half to begin with.
            words.append(cast(operands(place, FLOAT16), FLOAT16, dtype))
        else:
            words.append(operands(place, dtype))
    text = text.format(*words, T=C_NAMES[dtypes[0]])
    # Small integers are computed with as `int`, and must be cut before they are anything else.
    result = f"({C_NAMES[loop[-1]]})({text})" if loop[-1].kind in "iu" else f"({text})"
    return cast(cast(result, dtypes[-1], loop[-1]), loop[-1], out)


# --- reductions ------------------------------------------------------------------------------------------------------


def accumulator(dtype: DType) -> DType:
    """What a reduction is computed in."""
    return arithmetic(dtype)


def term(form: Form, words: list[str]) -> str:
    """What one element gives to a reduction, in the dtype of its accumulator."""
    operands = Operands(form, words)
    wide = accumulator(form.dtypes[0])
    return _multiplied(operands, wide) if len(form.literals) == 2 else operands(0, wide)


_COMBINED: dict[np.ufunc, str] = {
    np.maximum: "np_maximum({0}, {1})",
    np.minimum: "np_minimum({0}, {1})",
    np.logical_and: "{0} && {1}",
    np.logical_or: "{0} || {1}",
}


def combine(reduces: np.ufunc, total: str, text: str, dtype: DType) -> str:
    """Two parts of a reduction put together."""
    template = _COMBINED.get(reduces) or OVERRIDES[PRIMITIVES[reduces.__name__]].kinds[dtype.kind]
    return template.format(total, text)


def _multiplied(operands: Operands, dtype: DType) -> str:
    return combine(np.multiply, operands(0, dtype), operands(1, dtype), dtype)


def initial(reduces: np.ufunc, dtype: DType) -> str:
    """What a reduction begins with, in the dtype of its accumulator."""
    return text_of(np.array(first_of(reduces, dtype)))
