"""Derivatives of elementwise primitives: one expression in the output and the inputs a row.

A complex derivative of a real function is du/dx - i du/dy. DLMF: NIST Digital Library of Mathematical Functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..convert import literal
from ..nodes import Node
from .rows import NONDIFFERENTIABLE, ZERO, Explicit, Rule, Via, binary, unary, without

# Numbers of a rule are structure, not data.
LN2 = literal(math.log(2.0))
LOG2_E = literal(math.log2(math.e))
LOG10_E = literal(math.log10(math.e))
THIRD = literal(1 / 3)


# Smaller exponents of the structure are treated as data are: a tiny number times a power may be out of range.
SMALLEST_EXPONENT = 1 / 64


def _power_by_base(out: Node, x: Node, y: Node) -> Node | float:
    exponent: float | None = y.aval.literal
    if exponent is not None:
        if exponent in (0, 1):
            return exponent
        if abs(exponent) >= SMALLEST_EXPONENT:
            return exponent * x if exponent == 2 else exponent * x ** (exponent - 1)
    x, y = _in_dtype_of(out, x), _in_dtype_of(out, y)
    return ops.power_part(x, y, polynomial=(((0,), 1),), order=1)


def _in_dtype_of(out: Node, x: Node) -> Node:
    return x if x.aval.weak or out.aval.weak else ops.astype(x, out.aval.dtype)


def _log_of_base(x: Node) -> Node:
    return ops.log(ops.where(ops.equal(x, 0), 1, x))


def _power_by_exponent(out: Node, x: Node, y: Node) -> Node:
    return out * _log_of_base(x)


def _power_part_by_exponent(out: Node, x: Node, y: Node, **params: Any) -> Node:
    along = out * _log_of_base(x)
    rest = ops.power_part_by_exponent(x, y, **params)
    return along if rest is None else along + rest


def _softmax_weight(x: Node, y: Node, scale: Node | float = 1) -> Node:
    """logistic(x - y), without inf - inf. It needs no value of logaddexp, which costs more than this."""
    distance: Node = x - y
    if not any(z.aval.literal is not None and math.isfinite(z.aval.literal) for z in (x, y)):
        distance = ops.where(ops.logical_and(ops.isinf(x), ops.equal(x, y)), 0, distance)
    return ops.logistic(scale * distance)


def _greater_share(out: Node, x: Node, y: Node) -> Node:
    """1 where x is the greater, 1/2 where equal, else 0."""
    if y.aval.literal == 0:
        return ops.heaviside(x, 0.5)
    if x.aval.literal == 0:
        return ops.heaviside(-y, 0.5)
    return ops.where(ops.equal(x, y), 0.5, ops.astype(ops.greater(x, y), out.dtype))


def _less_share(out: Node, x: Node, y: Node) -> Node:
    return _greater_share(out, y, x)


def _beats(x: Node, y: Node, wins: Node) -> Node:
    """A share that also takes all where the other argument is NaN (fmax and fmin)."""
    return ops.where(ops.equal(x, y), 0.5, ops.astype(ops.logical_or(wins, ops.isnan(y)), ops.common_dtype([x, y])))


def _root_slope(out: Node, x: Node) -> Node:
    zero = ops.equal(out, 0)
    return ops.where(zero, 0, 0.5 / ops.where(zero, 1, out))


def _cosine(x: Node, y: Node) -> Node:
    return ops.polar(x, y, u=1, v=0, r=0, origin=True)


def _angle_share(x: Node, y: Node) -> Node:
    """x / (x^2 + y^2)."""
    return ops.polar(x, y, u=1, v=0, r=1, origin=False)


def _polar_by_x(out: Node, x: Node, y: Node, u: int, v: int, r: int, origin: bool) -> Node | float:
    """By x, the cosine turns by sine^2 / radius, the sine by -cosine sine / radius, 1/radius by -cosine / radius^2."""
    grows = u * ops.polar(x, y, u=u - 1, v=v + 2, r=r + 1, origin=origin) if u else None
    falls = (v + r) * ops.polar(x, y, u=u + 1, v=v, r=r + 1, origin=origin) if v + r else None
    if grows is None:
        return 0.0 if falls is None else -falls
    return grows if falls is None else grows - falls


def _polar_by_y(out: Node, x: Node, y: Node, u: int, v: int, r: int, origin: bool) -> Node | float:
    return _polar_by_x(out, y, x, v, u, r, origin)


def _on_branch(w: Node, inverse: Node) -> Node:
    """w or -w, whichever is 1 / inverse: on the cut of a complex function, the side is that of the function."""
    aligned = ops.real(w) * ops.real(inverse) - ops.imag(w) * ops.imag(inverse)
    return ops.where(ops.less(aligned, 0), -w, w)


def _arcsin_slope(out: Node, x: Node) -> Node:
    if _is_complex(x):
        return _on_branch(ops.root_lorentzian(1j * x), ops.cos(out))
    return 1 / ops.sqrt(ops.one_minus_square(x))


def _arccos_slope(out: Node, x: Node) -> Node:
    if _is_complex(x):
        return -_on_branch(ops.root_lorentzian(1j * x), ops.sin(out))
    return -1 / ops.sqrt(ops.one_minus_square(x))


def _arcsinh_slope(out: Node, x: Node) -> Node:
    slope = ops.root_lorentzian(x)
    return _on_branch(slope, ops.cosh(out)) if _is_complex(x) else slope


def _arccosh_slope(out: Node, x: Node) -> Node:
    if _is_complex(x):
        return _on_branch(1j * ops.root_lorentzian(1j * x), ops.sinh(out))
    return 1 / (ops.sqrt(x - 1) * ops.sqrt(x + 1))


def _arctanh_slope(out: Node, x: Node) -> Node:
    return ops.lorentzian(1j * x) if _is_complex(x) else 1 / ops.one_minus_square(x)


def _tan_slope(out: Node, x: Node) -> Node:
    return ops.complex_tan_slope(out, x) if _is_complex(x) else ops.tan_slope(out, x)


def _tanh_slope(out: Node, x: Node) -> Node:
    return ops.complex_tanh_slope(out, x) if _is_complex(x) else ops.tanh_slope(out, x)


def _is_complex(x: Node) -> bool:
    return x.aval.dtype.kind == "c"


def _chosen_factor(out: Node, ct: Node, d: Node) -> Node:
    """d, and 0 where it is inf or NaN for an element that was not chosen. A chosen one may have ct = 0 too."""
    return ops.where(ops.equal(ct, 0), ops.where(ops.isfinite(d), d, 0), d)


def _sign(x: Node) -> Node:
    """z / |z|, which for real numbers is piecewise constant."""
    if not _is_complex(x):
        return ops.stop_gradient(ops.sign(x))
    zero = ops.equal(x, 0)
    angle = ops.arctan2(ops.imag(x), ops.where(zero, 1, ops.real(x)))
    return ops.where(zero, 0, ops.exp(1j * angle))


MAX_SOURCE = "ties share evenly: minimum-norm subgradient of a convex function"
POWER_SOURCE = "x^0 = 1 everywhere, and d/dy 0^y = 0 (by continuity from y > 0)"


def _frexp_pull(cts: Sequence[Node | None], out: Node, x: Node) -> Node | None:
    _, exponent = ops.outputs(out)
    return cts[0] and ops.ldexp(cts[0], ops.negative(exponent))


def _frexp_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> tuple[Node | None, None]:
    return _frexp_pull(tangents, out, *inputs), None


def _modf_pull(cts: Sequence[Node | None], out: Node, x: Node) -> Node | None:
    return cts[0] and ops.where(ops.isinf(x), 0, cts[0])


def _modf_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> tuple[Node | None, None]:
    return _modf_pull(tangents, out, *inputs), None


RULES: list[Rule] = [
    binary(ops.add, lambda out, x, y: 1, lambda out, x, y: 1),
    binary(ops.subtract, lambda out, x, y: 1, lambda out, x, y: -1),
    binary(ops.multiply, lambda out, x, y: y, lambda out, x, y: x),
    binary(ops.divide, lambda out, x, y: 1 / y, lambda out, x, y: -out / y),
    binary(ops.remainder, lambda out, x, y: 1, lambda out, x, y: -ops.floor_divide(x, y), "x - y floor(x/y)"),
    binary(ops.fmod, lambda out, x, y: 1, lambda out, x, y: -ops.rint((x - out) / y), "x - y trunc(x/y)"),
    binary(ops.power, _power_by_base, _power_by_exponent, POWER_SOURCE),
    binary(ops.float_power, _power_by_base, _power_by_exponent, POWER_SOURCE),
    binary(
        ops.masked_multiply,
        _chosen_factor,
        lambda out, ct, d: ct,
        "zero where the element was not chosen, at every order",
        masks=True,
    ),
    unary(ops.negative, lambda out, x: -1),
    unary(ops.identity, lambda out, x: 1),
    unary(ops.astype_p, lambda out, x, dtype: 1),
    unary(ops.absolute, lambda out, x: ops.conjugate(ops.sign(x)), "minimum-norm subgradient: 0 at 0"),
    unary(ops.real, lambda out, x: 1),
    unary(ops.imag, lambda out, x: -1j),
    unary(ops.reciprocal, lambda out, x: -out * out),
    unary(ops.square, lambda out, x: 2 * x),
    unary(ops.sqrt, lambda out, x: 0.5 / out, "inf at 0, by continuity"),
    unary(ops.root_of_squares, _root_slope, "minimum-norm subgradient of a norm: 0 at 0"),
    unary(ops.cbrt, lambda out, x: THIRD / out / out),
    unary(ops.exp, lambda out, x: out, "DLMF 4.2.31"),
    unary(ops.exp2, lambda out, x: out * LN2),
    unary(ops.expm1, lambda out, x: ops.exp(x)),
    unary(ops.log, lambda out, x: 1 / x, "DLMF 4.2.1"),
    unary(ops.log2, lambda out, x: LOG2_E / x),
    unary(ops.log10, lambda out, x: LOG10_E / x),
    unary(ops.log1p, lambda out, x: 1 / (1 + x)),
    binary(
        ops.logaddexp,
        lambda out, x, y: _softmax_weight(x, y),
        lambda out, x, y: _softmax_weight(y, x),
        "the softmax weights; equal infinities share evenly",
    ),
    binary(
        ops.logaddexp2,
        lambda out, x, y: _softmax_weight(x, y, LN2),
        lambda out, x, y: _softmax_weight(y, x, LN2),
        "the softmax weights to base 2; equal infinities share evenly",
    ),
    unary(ops.logistic, lambda out, x: ops.logistic_slope(x)),
    unary(ops.sin, lambda out, x: ops.cos(x), "DLMF 4.20.1"),
    unary(ops.cos, lambda out, x: -ops.sin(x), "DLMF 4.20.2"),
    unary(ops.tan, _tan_slope, "DLMF 4.20.3"),
    unary(ops.arcsin, _arcsin_slope, "DLMF 4.24.7"),
    unary(ops.arccos, _arccos_slope, "DLMF 4.24.8"),
    unary(ops.arctan, lambda out, x: ops.lorentzian(x), "DLMF 4.24.9"),
    binary(
        ops.arctan2,
        lambda out, y, x: _angle_share(x, y),
        lambda out, y, x: -_angle_share(y, x),
        "NaN at the origin, where there is neither a derivative nor a subgradient",
    ),
    binary(
        ops.hypot,
        lambda out, x, y: _cosine(x, y),
        lambda out, x, y: _cosine(y, x),
        "minimum-norm subgradient of a norm: 0 at 0",
    ),
    unary(ops.sinh, lambda out, x: ops.cosh(x), "DLMF 4.34.1"),
    unary(ops.cosh, lambda out, x: ops.sinh(x), "DLMF 4.34.2"),
    unary(ops.tanh, _tanh_slope, "DLMF 4.34.8"),
    unary(ops.arcsinh, _arcsinh_slope, "DLMF 4.38.9"),
    unary(ops.arccosh, _arccosh_slope, "DLMF 4.38.10"),
    unary(ops.arctanh, _arctanh_slope, "DLMF 4.38.11"),
    unary(ops.one_minus_square, lambda out, x: -2 * x),
    unary(ops.lorentzian, lambda out, x: -2 * (x * out) * out),
    unary(ops.root_lorentzian, lambda out, x: -(x * out) * out * out),
    binary(ops.tanh_slope, ZERO, lambda out, tanh, x: -2 * tanh * out),
    binary(ops.complex_tanh_slope, ZERO, lambda out, tanh, x: -2 * tanh * out),
    binary(ops.tan_slope, ZERO, lambda out, tan, x: 2 * tan * out),
    binary(ops.complex_tan_slope, ZERO, lambda out, tan, x: 2 * tan * out),
    binary(ops.polar, _polar_by_x, _polar_by_y),
    binary(ops.power_part, lambda out, x, y, **params: ops.power_part_by_base(x, y, **params), _power_part_by_exponent),
    unary(ops.logistic_slope, lambda out, x: -ops.tanh(0.5 * x) * out),
    unary(ops.sinc, lambda out, x, order: ops.sinc(x, order=order + 1), "DLMF 3.6"),
    unary(ops.degrees, lambda out, x: 180 / math.pi),
    unary(ops.radians, lambda out, x: math.pi / 180),
    binary(ops.maximum, _greater_share, lambda out, x, y: _greater_share(out, y, x), MAX_SOURCE, masks=True),
    binary(ops.minimum, _less_share, lambda out, x, y: _less_share(out, y, x), "-maximum(-x, -y)", masks=True),
    binary(
        ops.fmax,
        lambda out, x, y: _beats(x, y, ops.greater(x, y)),
        lambda out, x, y: _beats(y, x, ops.greater(y, x)),
        MAX_SOURCE,
        masks=True,
    ),
    binary(
        ops.fmin,
        lambda out, x, y: _beats(x, y, ops.less(x, y)),
        lambda out, x, y: _beats(y, x, ops.less(y, x)),
        MAX_SOURCE,
        masks=True,
    ),
    binary(ops.copysign, lambda out, x, y: ops.sign(x) * ops.copysign(1.0, y), ZERO, "|x| sign(y)"),
    binary(ops.heaviside, ZERO, lambda out, x, y: ops.astype(ops.equal(x, 0), out.dtype), masks=True),
    binary(ops.nextafter, lambda out, x, y: 1, ZERO),
    binary(ops.ldexp, lambda out, x, y: ops.ldexp(ops.ones_like(x), y), NONDIFFERENTIABLE, "x 2^y"),
    Explicit(ops.frexp_p, (_frexp_pull,), _frexp_push, "x 2^-n"),
    Explicit(ops.modf_p, (_modf_pull,), _modf_push, "x - trunc(x); 0 at an infinity"),
    Via(ops.sign, _sign, "0 at 0"),
    *without(ZERO, ops.floor, ops.ceil, ops.trunc, ops.rint, ops.floor_divide, ops.spacing,
             ops.stop_gradient),
    *without(
        NONDIFFERENTIABLE,
        ops.equal, ops.not_equal, ops.less, ops.less_equal, ops.greater, ops.greater_equal,
        ops.logical_and, ops.logical_or, ops.logical_xor, ops.logical_not,
        ops.bitwise_and, ops.bitwise_or, ops.bitwise_xor, ops.invert, ops.left_shift, ops.right_shift,
        ops.gcd, ops.lcm, ops.isnan, ops.isinf, ops.isfinite, ops.signbit,
    ),
]  # fmt: skip
