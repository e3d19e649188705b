"""Rows of arithmetic: signs, ones and zeros, numbers that meet, like terms, powers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...core.primitives import PYTHON_TYPES, Signature
from ...core.program import NUMBER, Program
from ...whole import apart
from .rows import DERIVED, EXACT, EXTENDED, POWERS, Bindings, Row, Special, c, d, holds, weak_number, x, y

add, subtract, multiply, divide = ops.add, ops.subtract, ops.multiply, ops.divide
negative, square, power = ops.negative, ops.square, ops.power


def _same_size(program: Program, bound: Bindings) -> bool:
    """Moving a sign from x to x*y costs nothing only if x*y is not larger; a number y stays outermost."""
    first, second = program.avals[bound[x]], program.avals[bound[y]]
    return first.size >= second.size and second.literal is None


def _product(first: Any, second: Any) -> Any:
    """The product of two numbers; None where it is zero and they are not."""
    value = first * second
    return value if value or not (first and second) else None


def _quotient(first: Any, second: Any) -> Any:
    value = first / second if second and abs(first) < LARGEST_EXACT and abs(second) < LARGEST_EXACT else None
    return value if value or not first else None


# Up to here integers are doubles.
LARGEST_EXACT = 2**53

# What gives no zero with a sign, whatever it is given.
UNSIGNED = {ops.square, ops.absolute, ops.exp, ops.exp2, ops.cosh, ops.logistic, ops.cos, ops.sum_p}


def _negated(c: Any) -> Any:
    """-c; of the integer 0 and of False it is -0.0, which times 1 is -0 as the negative of 0 times 1 is."""
    return -c if c or isinstance(c, (float, complex)) else -0.0


def _no_negative_zero(program: Program, bound: Bindings) -> bool:
    """Whether a value is never -0, which is what adding 0 changes."""
    value = bound[x]
    for _ in range(8):
        head, arguments = program.heads[value], program.arguments[value]
        if head in UNSIGNED:
            return True
        if head in (ops.reshape_p, ops.transpose_p, ops.broadcast_to_p):
            (value,) = arguments
        elif head is add:
            # A sum is -0 if both parts are.
            value = arguments[0] if program.heads[arguments[0]] is not None else arguments[1]
        else:
            return False
    return False


# "f" stands for real, "c" for complex floating numbers. A product with a complex number has terms in the zero parts,
# so that infinities become NaN; and a difference of products has zeros of either sign.
ROWS = [
    Row((add, x, 0), x, "x + 0 = x", exact="iu", derived="fc"),
    Row((add, x, 0), x, "x + 0 = x where x is never -0", exact="f", guard=_no_negative_zero),
    Row((add, x, -0.0), x, "x + (-0) = x", exact="f", derived="c"),
    Row((subtract, x, 0), x, "x - 0 = x", exact="iufc"),
    Row((subtract, 0, x), (negative, x), "0 - x = -x", derived="fc"),
    Row((multiply, x, 1), x, "x * 1 = x", exact="iuf", derived="c"),
    Row((divide, x, 1), x, "x / 1 = x", exact="f", derived="c"),
    Row((multiply, x, -1), (negative, x), "x * -1 = -x", exact="f", derived="c"),
    Row((negative, (negative, x)), x, "-(-x) = x", exact="iufc"),
    Row((add, x, (negative, y)), (subtract, x, y), "x + (-y) = x - y", exact="fc"),
    Row((subtract, x, (negative, y)), (add, x, y), "x - (-y) = x + y", exact="fc"),
    Row((negative, (subtract, x, y)), (subtract, y, x), "-(x - y) = y - x", derived="fc"),
    Row((multiply, (negative, x), (negative, y)), (multiply, x, y), "(-x) * (-y) = x * y", exact="fc"),
    Row((multiply, c, (negative, x)), (multiply, _negated, x), "c * (-x) = (-c) * x", exact="f", derived="c"),
    Row((negative, (multiply, c, x)), (multiply, _negated, x), "-(c * x) = (-c) * x", exact="f", derived="c"),
    Row((multiply, (negative, x), y), (negative, (multiply, x, y)), "(-x) * y = -(x * y)", exact="f", derived="c",
        guard=_same_size),
    Row((divide, (negative, x), y), (negative, (divide, x, y)), "(-x) / y = -(x / y)", exact="f", derived="c",
        guard=_same_size),
    Row((add, x, (multiply, -1.0, y)), (subtract, x, y), "x + (-1) * y = x - y", exact="f", derived="c"),
    Row((divide, (multiply, c, x), d), (multiply, _quotient, x), "c * x / d = (c / d) * x", derived="fc"),
    Row((multiply, x, (divide, 1, y)), (divide, x, y), "x * (1 / y) = x / y", derived="f"),
    Row((multiply, c, (multiply, d, x)), (multiply, _product, x), "c * (d * x) = (c * d) * x", derived="fc"),
    Row((add, x, x), (multiply, 2, x), "x + x = 2 * x", exact="f", derived="c"),
    Row((add, x, (multiply, c, x)), (multiply, lambda c: c + 1, x), "x + c * x = (c + 1) * x", derived="fc"),
    Row((add, (multiply, c, x), (multiply, d, x)), (multiply, lambda c, d: c + d, x),
        "c * x + d * x = (c + d) * x", derived="fc"),
    Row((multiply, x, x), (square, x), "x * x = x^2", exact="f", derived="c"),
    Row((power, x, 0.5), (ops.sqrt, x), "x^0.5 = sqrt x", exact="f", derived="c"),
    Row((power, x, 1), x, "x^1 = x", exact="iufc"),
    Row((power, x, 2), (square, x), "x^2 = x * x", exact="iufc"),
    Row((power, x, 3), (multiply, x, (square, x)), "x^3 = x * x^2", exact="f", derived="c", scope=POWERS),
    Row((power, x, 4), (square, (square, x)), "x^4 = (x^2)^2", exact="f", derived="c", scope=POWERS),
    Row((power, x, 5), (multiply, x, (square, (square, x))), "x^5 = x * (x^2)^2", derived="fc"),
    Row((power, x, -1), (divide, 1, x), "x^-1 = 1 / x", exact="f"),
    Row((power, x, -1), (ops.reciprocal, x), "x^-1 = reciprocal x", exact="c"),
    Row((power, x, -2), (square, (divide, 1, x)), "x^-2 = (1 / x)^2", exact="f", scope=POWERS),
    Row((power, x, -2), (divide, 1, (square, x)), "x^-2 = 1 / x^2", derived="c"),
    Row((ops.reciprocal, x), (divide, 1, x), "reciprocal x = 1 / x", exact="f", derived="c"),
    Row((ops.identity, x), x, "a fresh name for x is x", exact="biufc"),
]  # fmt: skip

# Not for programs that are differentiated further.
FINAL_ROWS = [Row((ops.stop_gradient, x), x, "what stops a derivative is x", exact="biufc")]


def sign_of_number(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """-(x * (b * y)) = x * ((-b) * y) where b has no dimensions: one pass over the array less."""
    out = signature.out
    if out.ndim == 0 or out.dtype.kind != "f":
        return None
    around: list[tuple[int, bool]] = []
    (product,) = arguments
    while len(around) < FACTORS_SEARCHED and p.heads[product] is multiply and p.avals[product] is out:
        first, second = p.arguments[product]
        inner, other = (first, second) if not p.avals[first].ndim else (second, first)
        if not p.avals[inner].ndim:
            if p.avals[inner].dtype.kind not in "fc" or p.heads[inner] is NUMBER:
                return None  # rows of numbers are above
            value = p.call(multiply, p.call(negative, inner), other)
            for factor, is_first in reversed(around):
                value = p.call(multiply, *((factor, value) if is_first else (value, factor)))
            return value
        is_first = p.heads[second] is multiply and p.heads[first] is not multiply
        factor, product = (first, second) if is_first else (second, first)
        around.append((factor, is_first))
    return None


# How far into a product a factor of zero dimensions is looked for.
FACTORS_SEARCHED = 4


def numbers_of_factors(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """(c * x) * (d * y) = ((c * d) * x) * y where (c * d) * x lies between x and c * x, or x * ((c * d) * y) likewise.

    Then it leaves the range nowhere: x and c * x were there already.
    """
    if signature.out.dtype.kind != "f" or signature.out.dtype in EXTENDED:
        return None
    (first, left), (second, right) = (_number_and_factor(p, a) for a in arguments)
    if left is None or right is None:
        return None
    number = first * second
    if not holds(signature.out.dtype, number) or not number:
        return None
    choices = [(left, right, second), (right, left, first)]
    if p.avals[right].size < p.avals[left].size:
        choices.reverse()
    for scaled, other, moved in choices:
        if (abs(moved) >= 1 and abs(number) <= 1) or (abs(moved) < 1 and abs(number) >= 1):
            return p.call(multiply, p.call(multiply, weak_number(p, number), scaled), other)
    return None


def _number_and_factor(p: Program, value: int) -> tuple[Any, int | None]:
    """A product of a number and a value of one dtype; no value if it is something else."""
    if p.heads[value] is multiply:
        for number, factor in (p.arguments[value], p.arguments[value][::-1]):
            if p.heads[number] is NUMBER and p.avals[factor] is p.avals[value]:
                return p.avals[number].literal, factor
    return 1, None


SPECIAL: list[Special] = [
    Special(negative, sign_of_number, EXACT),
    Special(multiply, numbers_of_factors, DERIVED, "both factors"),
]


# --- what is tried first ----------------------------------------------------------------------------------------------


def fold(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """f(numbers) = a number, if it is finite and a Python number can hold it."""
    out = signature.out
    ufunc = signature.primitive.numpy_ufunc
    if ufunc is None or out.dtype.kind not in "fcb" or out.dtype in EXTENDED:
        return None
    values = [p.avals[a].literal if p.avals[a].weak else p.avals[a].dtype.type(p.avals[a].literal) for a in arguments]
    result = _quietly(ufunc, values, out.dtype)
    if not np.isfinite(result):
        return None
    return p.literal(result, out)


@apart
def _quietly(ufunc: np.ufunc, values: list[Any], dtype: np.dtype[Any]) -> Any:
    with np.errstate(all="ignore"):
        return dtype.type(ufunc(*values)).item()


ARITHMETIC = {add, subtract, multiply, divide}


def one_kind_of_number(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """2 * x = 2.0 * x in floating arithmetic: one number, so that equal expressions are seen to be."""
    if signature.primitive not in ARITHMETIC or signature.out.dtype.kind != "f":
        return None
    changed = list(arguments)
    for place, value in enumerate(arguments):
        aval = p.avals[value]
        if type(aval.literal) is int and aval.weak and abs(aval.literal) <= LARGEST_EXACT:
            changed[place] = weak_number(p, float(aval.literal))
    return None if changed == list(arguments) else p.call(signature.primitive, *changed)


def astype_same(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """astype(x, dtype of x) = x, and of a number a number."""
    (value,) = arguments
    aval, out = p.avals[value], signature.out
    if aval.literal is not None and aval.spec is None and out.dtype.kind in "fc":
        exact = type(aval.literal) is not int or abs(aval.literal) <= LARGEST_EXACT
        if not exact or not holds(out.dtype, aval.literal):
            return None
        return p.literal(PYTHON_TYPES[out.dtype.kind](out.dtype.type(aval.literal)), out)
    return value if aval is out else None


SPECIAL.append(Special(ops.astype_p, astype_same, EXACT, "the one that is converted"))

__all__ = ["DERIVED", "FINAL_ROWS", "ROWS", "SPECIAL", "fold", "one_kind_of_number"]
