"""The expression of one element: how each elementwise primitive is written in compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..loops.statements import COPY, Form, operand_dtypes

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
    if to.kind == "b":
        return repr(literal not in ("0", "0.0", "-0.0", "False"))
    whole = literal.lstrip("-").isdigit()
    if to.kind == "f" and whole:
        literal += ".0"
    return literal if to == np.float64 or (to == np.int64 and whole) else f"np.{to.name}({literal})"


def expression(form: Form, words: list[str], vectorised: frozenset[str] = frozenset()) -> str:
    """The element of the target, for the elements of the operands; these functions as vectorised arithmetic."""
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
        return f"({one} / ({one} + {_module('exp', out, vectorised)}.exp(-{_atom(as_(0, out))})))"
    if name == "tanh_slope":
        exact = cast(f"fn.tanh_slope({as_(1, np.dtype(np.float64))})", np.dtype(np.float64), out)
        if out == np.float64:
            return exact
        # In single precision no function is vectorised, and a branch costs nothing.
        square = f"{as_(0, out)} * {as_(0, out)}"
        return f"({number('1', out)} - {square} if {square} < {number('0.99', out)} else {exact})"
    if name == "where":
        return f"({as_(1, out)} if {as_(0, np.dtype(bool))} else {as_(2, out)})"
    if name == "masked_multiply":
        return f"({as_(0, out)} * {as_(1, out)} if {as_(0, out)} != 0 else {number('0', out)})"
    if form.signature is None or name in ("inner_product", "matmul"):
        both = "{} + {}" if name == "add" else "{} * {}"
        return _grouped(both.format(_atom(as_(0, out)), _atom(as_(1, out))))
    ufunc = form.signature.primitive.numpy_ufunc
    assert ufunc is not None
    loop = form.signature.loop_dtypes
    arguments = [_atom(as_(i, dtype)) for i, dtype in enumerate(loop[: ufunc.nin])]
    template = OPERATORS.get(ufunc.__name__)
    if ufunc.__name__ == "square":
        text = f"{arguments[0]} * {arguments[0]}"
    elif template is not None and loop[0].kind == "f":
        text = template.format(*arguments)
    else:
        module = _module(ufunc.__name__, loop[0], vectorised)
        text = f"{module}.{ufunc.__name__}({', '.join(arguments)})"
    return cast(_grouped(text), loop[-1], out)


def _module(name: str, dtype: np.dtype[Any], vectorised: frozenset[str]) -> str:
    """Where a function for one element is from."""
    return "fn" if name in vectorised and dtype == np.float64 else "np"


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


def accumulate(name: str, total: str, text: str, dtype: np.dtype[Any]) -> str:
    """One more element of a reduction."""
    if name in ("sum", "inner_product", "matmul") and dtype.kind == "f":
        return f"fn.add({total}, {text})"
    if name in ("max", "min"):
        return f"np.{name}imum({total}, {text})"
    if name in ("all", "any"):
        return f"{total} {'and' if name == 'all' else 'or'} {text}"
    return f"{total} {'*' if name == 'prod' else '+'} {text}"
