"""The expression of one element: how each elementwise primitive is written in compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.nodes import Aval

from ._loops_statements import COPY, Form

WEAK = {"b": bool, "i": int, "f": float}

# For floating operands; anything else is a call of the ufunc for one element.
OPERATORS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
    "absolute": "abs({})",
    "positive": "{}",
    "equal": "{} == {}",
    "not_equal": "{} != {}",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
    "greater": "{} > {}",
    "greater_equal": "{} >= {}",
}

# Numbers that reductions begin with where it is not 0 or 1: what every element is at least, or at most.
EXTREMES = {"max": ("-np.inf", "min"), "min": ("np.inf", "max")}


def cast(text: str, dtype: np.dtype[Any], to: np.dtype[Any]) -> str:
    """``text`` of one dtype as another."""
    if dtype == to:
        return text
    return f"({text} != 0)" if to.kind == "b" else f"np.{to.name}({text})"


def number(literal: str, to: np.dtype[Any]) -> str:
    """A number of the structure in a dtype."""
    if to.kind == "f" and literal.lstrip("-").isdigit():
        literal += ".0"
    if to == np.float64 or (to == np.int64 and literal.lstrip("-").isdigit()) or to.kind == "b":
        return cast(literal, to, to) if to.kind != "b" else repr(literal not in ("0", "0.0", "False"))
    return f"np.{to.name}({literal})"


def operand_dtypes(form: Form) -> list[np.dtype[Any]]:
    """The dtype of each operand, literal or not."""
    dtypes = iter(form.dtypes[1:])
    found = []
    for place, literal in enumerate(form.literals):
        if literal is None:
            found.append(next(dtypes))
        elif form.signature is not None:
            found.append(form.signature.inputs[place].dtype)
        else:
            found.append(form.dtypes[0])
    return found


def expression(form: Form, words: list[str]) -> str:
    """The element of the target, for the elements of the operands in memory."""
    texts = iter(words)
    out = form.dtypes[0]
    dtypes = operand_dtypes(form)
    operands = [next(texts) if literal is None else literal for literal in form.literals]

    def as_(place: int, to: np.dtype[Any]) -> str:
        literal = form.literals[place]
        return cast(operands[place], dtypes[place], to) if literal is None else number(literal, to)

    name = form.name
    if name in (COPY, "astype", "sum", "prod", "max", "min", "all", "any"):
        return as_(0, out)
    if name == "root_of_squares":
        return f"np.sqrt({as_(0, out)})"
    if name == "logistic":
        one = number("1", out)
        return f"({one} / ({one} + np.exp(-{_atom(as_(0, out))})))"
    if name == "where":
        return f"({as_(1, out)} if {as_(0, np.dtype(bool))} else {as_(2, out)})"
    if name == "masked_multiply":
        return f"({as_(0, out)} * {as_(1, out)} if {as_(0, out)} != 0 else {number('0', out)})"
    if form.signature is None or name in ("inner_product", "matmul"):
        both = "{} + {}" if name == "add" else "{} * {}"
        return _grouped(both.format(_atom(as_(0, out)), _atom(as_(1, out))))
    ufunc = form.signature.primitive.numpy_ufunc
    assert ufunc is not None
    loop = ufunc.resolve_dtypes((*[_kind(a) for a in form.signature.inputs], None))
    arguments = [_atom(as_(i, dtype)) for i, dtype in enumerate(loop[: ufunc.nin])]
    template = OPERATORS.get(ufunc.__name__)
    if ufunc.__name__ == "square":
        text = f"{arguments[0]} * {arguments[0]}"
    elif template is not None and loop[0].kind == "f":
        text = template.format(*arguments)
    else:
        text = f"np.{ufunc.__name__}({', '.join(arguments)})"
    return cast(_grouped(text), loop[-1], out)


def _kind(aval: Aval) -> Any:
    """What promotion sees: a dtype, or a Python type for weak numbers."""
    return WEAK[aval.dtype.kind] if aval.weak else aval.dtype


def _atom(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def _grouped(text: str) -> str:
    return f"({text})" if " " in text or text.startswith("-") else text


def initial(name: str, dtype: np.dtype[Any]) -> str:
    """What a reduction begins with."""
    if name in EXTREMES:
        infinite, extreme = EXTREMES[name]
        if dtype.kind == "f":
            return f"np.{dtype.name}({infinite})"
        if dtype.kind == "b":
            return repr(name == "min")
        return f"np.{dtype.name}({getattr(np.iinfo(dtype), extreme)})"
    if name in ("all", "any"):
        return repr(name == "all")
    return number("1" if name == "prod" else "0", dtype)


# Adds two numbers of one floating dtype; the name of a function that every kernel's module imports.
ADD = "add_in_any_order"


def accumulate(name: str, total: str, text: str, dtype: np.dtype[Any]) -> str:
    """One more element of a reduction."""
    if name in ("sum", "inner_product", "matmul") and dtype.kind == "f":
        return f"{ADD}({total}, {text})"
    if name in ("max", "min"):
        return f"np.{name}imum({total}, {text})"
    if name in ("all", "any"):
        return f"{total} {'and' if name == 'all' else 'or'} {text}"
    return f"{total} {'*' if name == 'prod' else '+'} {text}"
