"""Algebraic simplification: rows of (pattern, replacement), each with its equation.

A row applies where a value is about to be made, so everything below it is already simple. A replacement is
taken only if it has the shape and dtype that was asked for. Values may differ in the last bits where an
equation re-associates (see ``docs/decisions.md``), and signs of zeros are not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..nodes import Aval, Primitive, Signature, intern_aval
from ..ops.elementwise import PYTHON_TYPES
from .program import NUMBER, Program

# --- patterns --------------------------------------------------------------------------------------------------------


class Var:
    """Matches any value, the same one at each of its places."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name


class Number(Var):
    """Matches a number of the structure."""

    __slots__ = ()


x, y, z = Var("x"), Var("y"), Var("z")
c, d = Number("c"), Number("d")

Pattern = Any  # Var, a Python number, or (primitive, pattern, ...)
Replacement = Any  # the same, or a function of the bindings giving a number
Bindings = dict[Var, int]
Guard = Callable[[Program, Bindings], bool]


def _match(program: Program, pattern: Pattern, number: int, bound: Bindings) -> bool:
    if isinstance(pattern, Var):
        known = bound.get(pattern)
        if known is not None:
            return known == number
        if isinstance(pattern, Number) and program.avals[number].literal is None:
            return False
        bound[pattern] = number
        return True
    if isinstance(pattern, tuple):
        if not program.is_primitive(number, pattern[0]):
            return False
        return _match_arguments(program, pattern, program.arguments[number], bound)
    literal = program.avals[number].literal
    return literal is not None and type(literal) is not bool and literal == pattern


def _match_arguments(program: Program, pattern: Pattern, arguments: tuple[int, ...], bound: Bindings) -> bool:
    parts = pattern[1:]
    if len(parts) == 2 and pattern[0].commutative:
        attempt = dict(bound)
        if _match(program, parts[0], arguments[0], attempt) and _match(program, parts[1], arguments[1], attempt):
            bound.update(attempt)
            return True
        arguments = (arguments[1], arguments[0])
    return all(_match(program, part, number, bound) for part, number in zip(parts, arguments, strict=True))


def _construct(program: Program, replacement: Replacement, bound: Bindings, aval: Aval) -> int:
    if isinstance(replacement, Var):
        return bound[replacement]
    if isinstance(replacement, tuple):
        arguments = [_construct(program, part, bound, aval) for part in replacement[1:]]
        return program.call(replacement[0], *arguments)
    if callable(replacement):
        replacement = replacement(*[program.avals[bound[v]].literal for v in (c, d) if v in bound])
    # A number takes the dtype of the result if weak would lose it (a result made of numbers only).
    kind = type(replacement)
    return program.constant(_weak(kind, replacement), replacement)


def _weak(kind: type, value: Any) -> Aval:
    return intern_aval((), np.dtype(kind), True, value)


class Row:
    """One equation, read from left to right."""

    __slots__ = ("equation", "guard", "pattern", "primitive", "replacement")

    def __init__(self, pattern: Pattern, replacement: Replacement, equation: str, guard: Guard | None = None):
        self.primitive: Primitive = pattern[0]
        self.pattern = pattern
        self.replacement = replacement
        self.equation = equation
        self.guard = guard

    def __call__(self, program: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        bound: Bindings = {}
        if not _match_arguments(program, self.pattern, arguments, bound):
            return None
        if self.guard is not None and not self.guard(program, bound):
            return None
        return _construct(program, self.replacement, bound, signature.out)


def _same_size(program: Program, bound: Bindings) -> bool:
    """Moving a number from x to x*y costs nothing only if x*y is not larger; a number y stays outermost."""
    first, second = program.avals[bound[x]], program.avals[bound[y]]
    return first.size >= second.size and second.literal is None


# Numbers gather outside of products only up to this magnitude, or down to its inverse: a product of a thousand halves
# and a thousand twos is 1, but 2^1000 and 2^-1000 are near the ends of double precision.
LARGEST_GATHERED = 2.0**16


def _moderate(value: Any) -> bool:
    return bool(1 / LARGEST_GATHERED <= abs(value) <= LARGEST_GATHERED)


def _scaled(program: Program, value: int) -> bool:
    """Whether a value is a number times another: what has gathered, up to that magnitude."""
    return program.heads[value] is multiply and any(program.heads[a] is NUMBER for a in program.arguments[value])


def _inexact(program: Program, bound: Bindings) -> bool:
    return all(program.avals[v].dtype.kind in "fc" for v in bound.values() if program.avals[v].literal is None)


add, subtract, multiply, divide = ops.add, ops.subtract, ops.multiply, ops.divide
negative, square, power = ops.negative, ops.square, ops.power

ROWS = [
    Row((add, x, 0), x, "x + 0 = x"),
    Row((subtract, x, 0), x, "x - 0 = x"),
    Row((subtract, 0, x), (negative, x), "0 - x = -x", _inexact),
    Row((multiply, x, 1), x, "x * 1 = x"),
    Row((divide, x, 1), x, "x / 1 = x"),
    Row((multiply, x, -1), (negative, x), "x * -1 = -x", _inexact),
    Row((negative, (negative, x)), x, "-(-x) = x"),
    Row((add, x, (negative, y)), (subtract, x, y), "x + (-y) = x - y", _inexact),
    Row((subtract, x, (negative, y)), (add, x, y), "x - (-y) = x + y", _inexact),
    Row((negative, (subtract, x, y)), (subtract, y, x), "-(x - y) = y - x", _inexact),
    Row((multiply, (negative, x), (negative, y)), (multiply, x, y), "(-x) * (-y) = x * y", _inexact),
    Row((multiply, c, (negative, x)), (multiply, lambda c: -c, x), "c * (-x) = (-c) * x", _inexact),
    Row((negative, (multiply, c, x)), (multiply, lambda c: -c, x), "-(c * x) = (-c) * x", _inexact),
    Row((multiply, (negative, x), y), (negative, (multiply, x, y)), "(-x) * y = -(x * y)",
        lambda p, b: _inexact(p, b) and _same_size(p, b)),
    Row((divide, (negative, x), y), (negative, (divide, x, y)), "(-x) / y = -(x / y)",
        lambda p, b: _inexact(p, b) and _same_size(p, b)),
    Row((add, x, (multiply, -1.0, y)), (subtract, x, y), "x + (-1) * y = x - y", _inexact),
    Row((divide, (multiply, c, x), d), (multiply, lambda c, d: c / d, x), "c * x / d = (c / d) * x",
        lambda p, b: _inexact(p, b) and p.avals[b[d]].literal != 0
        and _moderate(p.avals[b[c]].literal / p.avals[b[d]].literal)),
    Row((multiply, x, (divide, 1, y)), (divide, x, y), "x * (1 / y) = x / y", _inexact),
    Row((multiply, c, (multiply, d, x)), (multiply, lambda c, d: c * d, x), "c * (d * x) = (c * d) * x",
        lambda p, b: _inexact(p, b) and _moderate(p.avals[b[c]].literal * p.avals[b[d]].literal)),
    Row((multiply, (multiply, c, x), y), (multiply, c, (multiply, x, y)), "(c * x) * y = c * (x * y)",
        lambda p, b: _inexact(p, b) and _same_size(p, b) and not _scaled(p, b[x])),
    Row((add, x, x), (multiply, 2, x), "x + x = 2 * x", _inexact),
    Row((add, x, (multiply, c, x)), (multiply, lambda c: c + 1, x), "x + c * x = (c + 1) * x", _inexact),
    Row((add, (multiply, c, x), (multiply, d, x)), (multiply, lambda c, d: c + d, x),
        "c * x + d * x = (c + d) * x", _inexact),
    Row((add, (multiply, (square, x), y), (multiply, c, (multiply, x, z))),
        (multiply, x, (add, (multiply, x, y), (multiply, c, z))), "x^2 y + c x z = x (x y + c z)", _inexact),
    Row((multiply, x, x), (square, x), "x * x = x^2", _inexact),
    Row((power, x, 0.5), (ops.sqrt, x), "x^0.5 = sqrt x", _inexact),
    Row((power, x, 1), x, "x^1 = x"),
    Row((power, x, 2), (square, x), "x^2 = x * x"),
    Row((power, x, 3), (multiply, x, (square, x)), "x^3 = x * x^2", _inexact),
    Row((power, x, 4), (square, (square, x)), "x^4 = (x^2)^2", _inexact),
    Row((power, x, 5), (multiply, x, (square, (square, x))), "x^5 = x * (x^2)^2", _inexact),
    Row((power, x, -1), (divide, 1, x), "x^-1 = 1 / x", _inexact),
    Row((power, x, -2), (divide, 1, (square, x)), "x^-2 = 1 / x^2", _inexact),
    Row((ops.reciprocal, x), (divide, 1, x), "reciprocal x = 1 / x", _inexact),
    Row((ops.identity, x), x, "a fresh name for x is x"),
]  # fmt: skip

# Not for programs that are differentiated further.
FINAL_ROWS = [Row((ops.stop_gradient, x), x, "what stops a derivative is x")]


# --- rows that look at parameters or shapes --------------------------------------------------------------------------


def _astype_same(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """astype(x, dtype of x) = x, and of a number a number."""
    (value,) = arguments
    aval = p.avals[value]
    if aval.literal is not None and aval.spec is None and signature.out.dtype.kind in "fc":
        dtype = signature.out.dtype
        return p.literal(PYTHON_TYPES[dtype.kind](dtype.type(aval.literal)), signature.out)
    return value if aval is signature.out else None


def _reshape_chain(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """reshape(reshape(x)) = reshape(x), and reshape to the same shape = x."""
    (value,) = arguments
    if p.avals[value] is signature.out:
        return value
    if p.is_primitive(value, ops.reshape_p):
        return p.call(ops.reshape_p, p.arguments[value][0], params=signature.params)
    return None


def _reshape_of_number(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """reshape(number) = broadcast(number), repeated or not: a number stays known as such."""
    (value,) = arguments
    if p.is_primitive(value, ops.broadcast_to_p):
        (value,) = p.arguments[value]
    if p.heads[value] is NUMBER or (value != arguments[0] and p.avals[value].ndim == 0):
        return p.call(ops.broadcast_to_p, value, params=(signature.out.shape,))
    return None


def _transpose_chain(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """transpose(transpose(x, p), q) = transpose(x, p after q), and the identity permutation = x."""
    (value,) = arguments
    (axes,) = signature.params
    if axes == tuple(range(len(axes))):
        return value
    if p.is_primitive(value, ops.transpose_p):
        inner = p.signatures[value].params[0]  # type: ignore[union-attr]
        return p.call(ops.transpose_p, p.arguments[value][0], params=(tuple([inner[a] for a in axes]),))
    if p.is_primitive(value, ops.broadcast_to_p):
        (source,) = p.arguments[value]
        if p.avals[source].ndim == 0:
            return p.call(ops.broadcast_to_p, source, params=(signature.out.shape,))
    return None


def _broadcast_chain(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """broadcast(broadcast(x)) = broadcast(x), and to the same shape = x."""
    (value,) = arguments
    if p.avals[value] is signature.out:
        return value
    if p.is_primitive(value, ops.broadcast_to_p):
        return p.call(ops.broadcast_to_p, p.arguments[value][0], params=signature.params)
    return None


def _sum_of_broadcast(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(broadcast(x)) over axes where x is repeated = n * (sum over the others)."""
    (value,) = arguments
    if not p.is_primitive(value, ops.broadcast_to_p) or signature.out.dtype.kind not in "fc":
        return None
    (source,) = p.arguments[value]
    (axes,) = signature.params
    shape, inner = p.avals[value].shape, p.avals[source].shape
    extra = len(shape) - len(inner)
    count = 1
    rest = []
    for a in axes:
        if a < extra or (inner[a - extra] == 1 and shape[a] != 1):
            count *= shape[a]
        else:
            rest.append(a)
    if count == 1:
        return None
    kept = tuple([n for a, n in enumerate(shape) if a not in axes or a in rest])
    dropped = [n for a, n in enumerate(shape) if a >= extra and (a not in axes or a in rest)]
    small = tuple([inner[a - extra] for a in range(extra, len(shape)) if a not in axes or a in rest])
    reduced = p.call(ops.reshape_p, source, params=(small,)) if small != inner else source
    if rest:
        survivors = [a for a in range(len(shape)) if a not in axes or a in rest]
        if len(dropped) != len(kept):
            return None
        reduced = p.call(ops.sum_p, reduced, params=(tuple([survivors.index(a) for a in rest]),))
    total = p.call(multiply, reduced, p.constant(_weak(float, float(count)), float(count)))
    if p.avals[total].shape != signature.out.shape:
        total = p.call(ops.broadcast_to_p, total, params=(signature.out.shape,))
    return total


def _matmul_of_negative(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """(-x) @ y = -(x @ y), where the product is not larger than the factor."""
    if signature.out.dtype.kind not in "fc":
        return None
    for place, value in enumerate(arguments):
        if p.is_primitive(value, negative) and signature.out.size <= p.avals[value].size:
            inner = list(arguments)
            inner[place] = p.arguments[value][0]
            return p.call(negative, p.call(signature.primitive, *inner))
    return None


def _matmul_by_number(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """x @ y = x * y where one is a 1 x 1 matrix."""
    first, second = (p.avals[a] for a in arguments)
    if first.ndim == second.ndim == 2 and (first.shape == (1, 1) or second.shape == (1, 1)):
        return p.call(multiply, *arguments)
    return None


def _index_add_to_sum(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """x + index_add(0, i, v) = index_add(x, i, v): cotangents of parts gathered in place."""
    for value, other in (arguments, arguments[::-1]):
        if p.is_primitive(value, ops.index_add) and p.avals[value] is p.avals[other] is signature.out:
            base, idx, values, *arrays = p.arguments[value]
            if _is_zeros(p, base):
                return p.call(ops.index_add, other, idx, values, *arrays)
    return None


def _index_add_again(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """index_add(index_add(x, i, u), i, v) = index_add(x, i, u + v), also with writes to other places between."""
    base, idx, values, *arrays = arguments
    between: list[tuple[int, ...]] = []
    while not arrays and p.is_primitive(base, ops.index_add) and len(between) < SUM_SEARCHED:
        inner, place, others, *more = p.arguments[base]
        if place == idx and not more:
            if p.avals[others] is not p.avals[values]:
                return None
            total = p.call(ops.index_add, inner, idx, p.call(add, others, values))
            for part in reversed(between):
                total = p.call(ops.index_add, total, *part)
            return total
        between.append((place, others, *more))
        base = inner
    return None


# How many parts of a sum are looked through for like terms.
SUM_SEARCHED = 32


def _like_terms(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """a*x + ... + b*x = (a + b)*x + ...: the terms that product rules repeat."""
    out = signature.out
    if out.dtype.kind not in "fc":
        return None
    coefficients: dict[int, Any] = {}
    stack = [(arguments[1], 1 if signature.primitive is add else -1), (arguments[0], 1)]
    repeated = False
    for _ in range(SUM_SEARCHED):
        if not stack:
            break
        value, scale = stack.pop()
        head, parts = p.heads[value], p.arguments[value]
        if p.avals[value] is not out:
            return None
        if (head is add or head is subtract) and p.avals[parts[0]] is out and p.avals[parts[1]] is out:
            stack += [(parts[1], scale if head is add else -scale), (parts[0], scale)]
        elif head is negative:
            stack.append((parts[0], -scale))
        elif head is multiply and p.heads[parts[0]] is NUMBER and p.avals[parts[0]].ndim == 0:
            stack.append((parts[1], scale * p.avals[parts[0]].literal))
        elif head is multiply and p.heads[parts[1]] is NUMBER and p.avals[parts[1]].ndim == 0:
            stack.append((parts[0], scale * p.avals[parts[1]].literal))
        else:
            repeated |= value in coefficients
            coefficients[value] = coefficients.get(value, 0) + scale
    if not repeated or stack or 0 in coefficients.values():
        return None
    return _linear_combination(p, coefficients)


def _linear_combination(p: Program, coefficients: dict[int, Any]) -> int:
    """The sum of numbers times values."""
    total = None
    for value, scale in coefficients.items():
        size = p.constant(_weak(type(scale), abs(scale)), abs(scale)) if not isinstance(scale, complex) else None
        if size is None:
            term, sign = p.call(multiply, p.constant(_weak(complex, scale), scale), value), add
        else:
            term = value if abs(scale) == 1 else p.call(multiply, size, value)
            sign = add if scale > 0 else subtract
        if total is None:
            total = term if sign is add else p.call(negative, term)
        else:
            total = p.call(sign, total, term)
    assert total is not None
    return total


def _is_zeros(p: Program, value: int) -> bool:
    if p.is_primitive(value, ops.broadcast_to_p):
        (value,) = p.arguments[value]
    literal = p.avals[value].literal
    return literal is not None and p.avals[value].spec is None and literal == 0


def _select_same(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """where(c, x, x) = x."""
    return arguments[1] if arguments[1] == arguments[2] else None


def _number_to_smaller_factor(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """c * (x * y) = x * (c * y) where y is repeated along x."""
    if signature.out.dtype.kind not in "fc":
        return None
    for number, product in (arguments, arguments[::-1]):
        if p.heads[number] is NUMBER and p.heads[product] is multiply:
            for x, y in (p.arguments[product], p.arguments[product][::-1]):
                small = p.avals[y].size < signature.out.size and p.heads[y] is not NUMBER
                if small and p.avals[y].dtype == signature.out.dtype:
                    return p.call(multiply, x, p.call(multiply, number, y))
    return None


# How far into a product a factor of zero dimensions is looked for, and how many of them gather.
FACTORS_SEARCHED = 4
SCALARS_GATHERED = 2


def _scalars_together(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """a * (x * (b * y)) = (a * b) * (x * y) where a and b have no dimensions: one pass over the array less."""
    for scalar, product in (arguments, arguments[::-1]):
        if not p.avals[scalar].ndim and _keeps(p, scalar, signature.out):
            return _with_inner_scalar(p, product, signature.out, scalar)
    return None


def _negative_scalar(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """-(x * (b * y)) = (-b) * (x * y) where b has no dimensions."""
    return _with_inner_scalar(p, arguments[0], signature.out, None)


def _with_inner_scalar(p: Program, product: int, out: Aval, scalar: int | None) -> int | None:
    """``product`` times ``scalar``, or negated, where a factor of ``product`` has no dimensions."""
    if out.ndim == 0 or out.dtype.kind not in "fc":
        return None
    around: list[int] = []
    while len(around) < FACTORS_SEARCHED and p.heads[product] is multiply and p.avals[product] is out:
        x, y = p.arguments[product]
        inner, other = (x, y) if not p.avals[x].ndim else (y, x)
        if not p.avals[inner].ndim:
            # Numbers have rows of their own for meeting numbers.
            numbers = p.heads[inner] is NUMBER and (scalar is None or p.heads[scalar] is NUMBER)
            if numbers or not _keeps(p, inner, out) or p.avals[other] is not out:
                return None
            number, count = _scalar_factors(p, [inner] if scalar is None else [inner, scalar])
            if not _moderate(number) or count > SCALARS_GATHERED:
                return None
            for factor in reversed(around):
                other = p.call(multiply, factor, other)
            total = p.call(negative, inner) if scalar is None else p.call(multiply, scalar, inner)
            return p.call(multiply, total, other)
        product, factor = (x, y) if p.heads[x] is multiply else (y, x)
        around.append(factor)
    return None


def _scalar_factors(p: Program, scalars: list[int]) -> tuple[Any, int]:
    """The product of the numbers among the factors of values without dimensions, and how many other factors."""
    number: Any = 1.0
    count = 0
    while scalars and count <= SCALARS_GATHERED:
        value = scalars.pop()
        if p.heads[value] is NUMBER:
            number *= p.avals[value].literal
        elif p.heads[value] in (multiply, negative):
            scalars += p.arguments[value]
        else:
            count += 1
    return number, count


def _keeps(p: Program, scalar: int, out: Aval) -> bool:
    """Whether a factor of zero dimensions is as exact in another place of a product."""
    return p.avals[scalar].weak or p.avals[scalar].dtype == out.dtype


def _sum_of_scaled(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(c * x) = c * sum(x), and sum(-x) = -sum(x); not in half precision, where sum(x) may overflow."""
    (value,) = arguments
    if signature.out.dtype.kind not in "fc" or signature.out.dtype.itemsize < 4:
        return None
    if p.heads[value] is negative:
        return p.call(negative, p.call(ops.sum_p, p.arguments[value][0], params=signature.params))
    if p.heads[value] is multiply:
        for number, other in (p.arguments[value], p.arguments[value][::-1]):
            if p.heads[number] is NUMBER and p.avals[other] is p.avals[value]:
                return p.call(multiply, number, p.call(ops.sum_p, other, params=signature.params))
    return None


def _sum_of_repeated_factor(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(x * y) = sum(x) * y over axes along which y is the same everywhere."""
    (value,) = arguments
    if p.heads[value] is not multiply or signature.out.dtype.kind not in "fc":
        return None
    (axes,) = signature.params
    full = p.avals[value]
    for x, y in (p.arguments[value], p.arguments[value][::-1]):
        if p.avals[x] is full and _same_along(p.avals[y], full, axes):
            sizes = (1,) * (full.ndim - p.avals[y].ndim) + p.avals[y].shape
            kept = tuple([n for a, n in enumerate(sizes) if a not in axes])
            total = p.call(ops.sum_p, x, params=(axes,))
            return p.call(multiply, total, p.call(ops.reshape_p, y, params=(kept,)) if p.avals[y].ndim else y)
    return None


def _sum_of_matrix_product(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(x @ y) over columns = x @ sum(y), and over rows = sum(x) @ y."""
    (value,) = arguments
    (axes,) = signature.params
    full = p.avals[value]
    if p.heads[value] is not ops.matmul_p or len(axes) != 1 or full.dtype.kind not in "fc":
        return None
    x, y = p.arguments[value]
    if axes[0] == full.ndim - 1:
        y = _kept_sum(p, y, p.avals[y].ndim - 1)
    elif axes[0] == full.ndim - 2:
        x = _kept_sum(p, x, p.avals[x].ndim - 2)
    else:
        return None
    return p.call(ops.reshape_p, p.call(ops.matmul_p, x, y), params=(signature.out.shape,))


def _sum_of_transpose(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(transpose(x)) = transpose(sum(x)), which shows what is summed."""
    (value,) = arguments
    (axes,) = signature.params
    if p.heads[value] is not ops.transpose_p:
        return None
    (order,) = p.signatures[value].params  # type: ignore[union-attr]
    reduced = [order[a] for a in axes]
    left = [a for a in order if a not in reduced]
    total = p.call(ops.sum_p, p.arguments[value][0], params=(tuple(sorted(reduced)),))
    return p.call(ops.transpose_p, total, params=(tuple([sorted(left).index(a) for a in left]),))


def _sum_of_sum(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(x + y) = sum(x) + sum(y) if that moves the sum into a product.

    Where x and y nearly cancel, no digits are lost that the rounding of the product has left.
    """
    (value,) = arguments
    if p.heads[value] not in (add, subtract) or signature.out.dtype.kind not in "fc":
        return None
    x, y = p.arguments[value]
    (axes,) = signature.params
    if p.avals[x] is not p.avals[y] or not (_sums_inside(p, x, axes) or _sums_inside(p, y, axes)):
        return None
    return p.call(p.signatures[value].primitive, *[p.call(ops.sum_p, z, params=(axes,)) for z in (x, y)])  # type: ignore[union-attr]


def _sums_inside(p: Program, value: int, axes: tuple[int, ...]) -> bool:
    """Whether the sum over these axes moves into a product, so that the product is smaller."""
    while p.heads[value] is ops.transpose_p:
        (order,) = p.signatures[value].params  # type: ignore[union-attr]
        axes = tuple([order[a] for a in axes])
        (value,) = p.arguments[value]
    full = p.avals[value]
    if p.heads[value] is ops.matmul_p:
        return len(axes) == 1 and axes[0] >= full.ndim - 2
    return p.heads[value] is multiply and any(
        p.avals[x] is full and _same_along(p.avals[y], full, axes)
        for x, y in (p.arguments[value], p.arguments[value][::-1])
    )


def _same_along(part: Aval, full: Aval, axes: tuple[int, ...]) -> bool:
    """Whether a factor of a product of the shape ``full`` is the same everywhere along ``axes``."""
    sizes = (1,) * (full.ndim - part.ndim) + part.shape
    return (part.weak or part.dtype == full.dtype) and all(sizes[a] == 1 for a in axes)


def _kept_sum(p: Program, value: int, axis: int) -> int:
    """A sum over one axis that stays, at size 1."""
    shape = p.avals[value].shape
    return p.call(
        ops.reshape_p,
        p.call(ops.sum_p, value, params=((axis,),)),
        params=((*shape[:axis], 1, *shape[axis + 1 :]),),
    )


SPECIAL: list[tuple[Primitive, Callable[[Program, Signature, tuple[int, ...]], int | None]]] = [
    (ops.astype_p, _astype_same),
    (ops.reshape_p, _reshape_chain),
    (ops.reshape_p, _reshape_of_number),
    (ops.transpose_p, _transpose_chain),
    (ops.broadcast_to_p, _broadcast_chain),
    (ops.sum_p, _sum_of_broadcast),
    (ops.sum_p, _sum_of_scaled),
    (ops.sum_p, _sum_of_repeated_factor),
    (ops.sum_p, _sum_of_matrix_product),
    (ops.sum_p, _sum_of_transpose),
    (ops.sum_p, _sum_of_sum),
    (ops.matmul_p, _matmul_of_negative),
    (ops.matmul_p, _matmul_by_number),
    (multiply, _scalars_together),
    (negative, _negative_scalar),
    (multiply, _number_to_smaller_factor),
    (add, _index_add_to_sum),
    (ops.index_add, _index_add_again),
    (add, _like_terms),
    (subtract, _like_terms),
    (ops.where_p, _select_same),
]


def _fold(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """f(numbers) = a number, if it is finite and a Python number can hold it."""
    out = signature.out
    ufunc = signature.primitive.numpy_ufunc
    if ufunc is None or out.dtype.kind not in "fcb" or out.dtype in EXTENDED:
        return None
    values = [p.avals[a].literal if p.avals[a].weak else p.avals[a].dtype.type(p.avals[a].literal) for a in arguments]
    with np.errstate(all="ignore"):
        result = out.dtype.type(ufunc(*values)).item()
    if not np.isfinite(result):
        return None
    return p.literal(result, out)


EXTENDED = {np.dtype(np.longdouble), np.dtype(np.clongdouble)} - {np.dtype(np.float64), np.dtype(np.complex128)}

ARITHMETIC = {add, subtract, multiply, divide}


def _one_kind_of_number(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """2 * x = 2.0 * x in floating arithmetic: one number, so that equal expressions are seen to be."""
    if signature.primitive not in ARITHMETIC or signature.out.dtype.kind != "f":
        return None
    changed = list(arguments)
    for place, value in enumerate(arguments):
        aval = p.avals[value]
        if type(aval.literal) is int and aval.weak:
            changed[place] = p.constant(_weak(float, float(aval.literal)), float(aval.literal))
    return None if changed == list(arguments) else p.call(signature.primitive, *changed)


def _strip_broadcasts(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """f(broadcast(x), y) = f(x, y) if y has the full shape, and f(broadcast(x)) = broadcast(f(x))."""
    inner = tuple([p.arguments[a][0] if p.is_primitive(a, ops.broadcast_to_p) else a for a in arguments])
    value = p.call(signature.primitive, *inner, params=signature.params)
    if p.avals[value].dtype != signature.out.dtype:
        return None
    if p.avals[value].shape != signature.out.shape:
        value = p.call(ops.broadcast_to_p, value, params=(signature.out.shape,))
    return value


Rule = Callable[[Program, Signature, "tuple[int, ...]"], "int | None"]


def _head(pattern: Pattern) -> Any:
    """What the head of a value must be for a pattern to match; None for anything."""
    if isinstance(pattern, Number) or not isinstance(pattern, (Var, tuple)):
        return NUMBER
    return pattern[0] if isinstance(pattern, tuple) else None


def _possible(row: Rule, heads: tuple[Any, ...], same: bool) -> bool:
    """Whether a row can match arguments with these heads, equal to each other or not."""
    if not isinstance(row, Row):
        return True
    parts = row.pattern[1:]
    if len(parts) == 2 and parts[0] is parts[1] and not same:
        return False
    wanted = tuple([_head(part) for part in parts])
    orders = (wanted, wanted[::-1]) if row.primitive.commutative else (wanted,)
    return any(all(w is None or w is h for w, h in zip(order, heads, strict=True)) for order in orders)


class Rewriter:
    """The simpler value that equals an application, or None if no row applies."""

    __slots__ = ("_candidates", "_rows")

    def __init__(self, rows: list[Row], special: list[tuple[Primitive, Rule]]):
        self._rows: dict[Primitive, list[Rule]] = {}
        for row in rows:
            self._rows.setdefault(row.primitive, []).append(row)
        for primitive, function in special:
            self._rows.setdefault(primitive, []).append(function)
        # The rows worth trying, by the heads of the arguments: trying all of them was 80% of compile time.
        self._candidates: dict[Any, tuple[Rule, ...]] = {}

    def __call__(self, program: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        heads = program.heads
        primitive = signature.primitive
        found = tuple([heads[a] for a in arguments])
        if primitive.kind == "elementwise":
            if ops.broadcast_to_p in found:
                stripped = _strip_broadcasts(program, signature, arguments)
                if stripped is not None:
                    return stripped
            elif found.count(NUMBER) == len(found):
                folded = _fold(program, signature, arguments)
                if folded is not None:
                    return folded
            elif NUMBER in found:
                same_kind = _one_kind_of_number(program, signature, arguments)
                if same_kind is not None:
                    return same_kind
        same = len(arguments) == 2 and arguments[0] == arguments[1]
        key = (primitive, found, same)
        candidates = self._candidates.get(key)
        if candidates is None:
            rows = self._rows.get(primitive, ())
            candidates = self._candidates[key] = tuple([row for row in rows if _possible(row, found, same)])
        out = signature.out
        for row in candidates:
            value = row(program, signature, arguments)
            if value is not None:
                aval = program.avals[value]
                if aval.dtype == out.dtype and aval.weak == out.weak:
                    if aval.shape == out.shape:
                        return value
                    return program.call(ops.broadcast_to_p, value, params=(out.shape,))
        return None


# What gives the same derivatives, and what gives only the same values.
simplify_graph = Rewriter(ROWS, SPECIAL)
simplify = Rewriter(ROWS + FINAL_ROWS, SPECIAL)
