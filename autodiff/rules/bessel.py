"""Derivatives of Bessel, Struve, Kelvin and Airy functions: recurrences, and the equations of what has w' as output."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .. import ops
from ..convert import literal
from ..nodes import Node
from ..operator import Operator
from ..ops import special as s
from .rows import Derivative, Elementwise, Explicit, Rule, total
from .special import ORDER, ROOT_PI, SHAPE, is_complex, moved, row, several, via


def _neighbours(f: Operator, first: float, second: float) -> Derivative:
    """A multiple of the function of the order below, and one of that of the order above."""

    def derivative(out: Node, v: Node, z: Node, *size: Node) -> Node:
        below, above = f(moved(v, -1), z, *size), f(moved(v, 1), z, *size)
        return first * (below + above if first == second else below - above)

    return derivative


def _hankel_slope(f: Operator, turn: complex) -> Derivative:
    plain = _neighbours(f, 0.5, -0.5)
    return lambda out, v, z: plain(out, v, z) + turn * out


# Where the terms of the recurrence of scaled functions nearly cancel, and confluent hypergeometric functions do not.
_FAR, _HIGHEST = 50.0, 10.0


def _far(v: Node | float, z: Node) -> Node:
    if not isinstance(v, Node):
        return ops.less(_FAR + v * v, z)
    return ops.logical_and(ops.less(_FAR + ops.square(v), z), ops.less(ops.absolute(v), _HIGHEST))


def _kve_slope(out: Node, v: Node, z: Node) -> Node:
    """By the recurrence, or as sqrt(pi) (2z)^v U(v + 1/2, 2v + 1, 2z) (DLMF 10.39.6, 13.3.22)."""
    if is_complex(z):
        return out - 0.5 * (s.kve(moved(v, -1), z) + s.kve(moved(v, 1), z))
    far = _far(v, z)
    y, x, w = ops.where(far, z, 2 * _FAR), ops.where(far, 1.0, z), ops.where(far, v, 1.0)
    near = out - 0.5 * (s.kve(moved(v, -1), x) + s.kve(moved(v, 1), x))
    tail = ROOT_PI * (2 * w + 1) * (2 * y) ** w * s.hyperu(w + 1.5, 2 * w + 2, 2 * y)
    return ops.where(far, w / y * out - tail, near)


def _k0e_slope(z: Node) -> Node:
    far = _far(0, z)
    y, x = ops.where(far, z, 2 * _FAR), ops.where(far, 1.0, z)
    return ops.where(far, -ROOT_PI * s.hyperu(1.5, 2.0, 2 * y), s.k0e(x) - s.k1e(x))


def _i0e_slope(out: Node, x: Node) -> Node:
    """exp(-|x|) I_0(x) is M(1/2, 1, -2|x|) (DLMF 10.39.5, 13.3.15); 0 at 0, by symmetry."""
    return -ops.sign(x) * s.hyp1f1(1.5, 2.0, -2 * ops.absolute(x))


def _i1e_slope(out: Node, x: Node) -> Node:
    size = ops.absolute(x)
    return 0.5 * (s.hyp1f1(1.5, 3.0, -2 * size) - size * s.hyp1f1(2.5, 4.0, -2 * size))


def _ive(v: Node, z: Node) -> Node:
    return s.ive_scaled(v, z, ops.absolute(ops.real(z))) if is_complex(z) else s.real_ive(v, z)


def _ive_slope(out: Node, v: Node, x: Node) -> Node:
    """By the recurrence, or as (x / 2)^v M(v + 1/2, 2v + 1, -2x) / Gamma(v + 1) (DLMF 10.39.5)."""
    far = _far(v, x)
    y, z, w = ops.where(far, x, 2 * _FAR), ops.where(far, 1.0, x), ops.where(far, v, 1.0)
    near = 0.5 * (s.ive(moved(v, -1), z) + s.ive(moved(v, 1), z)) - ops.sign(z) * out
    tail = (0.5 * y) ** w * s.rgamma(w + 1) * s.hyp1f1(w + 1.5, 2 * w + 2, -2 * y)
    return ops.where(far, w / y * out - tail, near)


def _damped(scaled: Operator, plain: Operator) -> Callable[[Node, Node], Node]:
    """Which of real numbers is the plain function."""
    return lambda v, z: scaled(v, z, ops.absolute(ops.imag(z))) if is_complex(z) else plain(v, z)


def _struve_term(v: Node, x: Node) -> Node:
    """What makes the recurrence of Struve functions another one than that of Bessel functions."""
    return 0.5 * (0.5 * x) ** v * s.rgamma(v + 1.5) / ROOT_PI


def _struve_slope(out: Node, v: Node, x: Node) -> Node:
    """For large x by the order below only: the term and the function of the order above nearly cancel."""
    small = ops.less(x, 1)
    y, z = ops.where(small, x, 0.5), ops.where(small, 2.0, x)
    near = 0.5 * (s.struve(moved(v, -1), y) - s.struve(moved(v, 1), y)) + _struve_term(v, y)
    return ops.where(small, near, s.struve(moved(v, -1), z) - v / z * out)


def _modstruve_slope(out: Node, v: Node, x: Node) -> Node:
    return 0.5 * (s.modstruve(moved(v, -1), x) + s.modstruve(moved(v, 1), x)) + _struve_term(v, x)


def _without_one(x: Node, sign: int) -> Node:
    """(I_0(x) - 1) / x, or (J_0(x) - 1) / x, by the series for small x (DLMF 10.2.2)."""
    small = ops.less(ops.absolute(x), 1)
    y, z = ops.where(small, x, 0), ops.where(small, 1.0, x)
    q: Node = 0.25 * ops.square(y)
    value: Node = literal(0.0)
    for k in range(10, 0, -1):
        value = literal(sign**k / math.factorial(k) ** 2) + value * q
    return ops.where(small, 0.25 * y * value, ((s.i0 if sign > 0 else s.j0)(z) - 1) / z)


def _airye_parts(out: Node, z: Node) -> tuple[list[Node], Node, Node]:
    """Derivatives as of analytic functions, the root of z, and the sign of the scale's exponent."""
    a, da, b, db = ops.outputs(out)
    # The exponents are 2/3 z^(3/2), of Bi its real part's absolute value.
    left = ops.less(ops.real(z), 0)
    root = ops.sqrt(z) if is_complex(z) else ops.where(left, 0, ops.sqrt(ops.where(left, 1, z)))
    return [da + root * a, z * a + root * da, db, z * b], root, ops.sign(ops.real(z * root))


def _airye_pull(cts: Sequence[Node | None], out: Node, z: Node) -> Node | None:
    factors, root, sign = _airye_parts(out, z)
    found = total([ct * d for ct, d in zip(cts, factors, strict=True) if ct is not None])
    scaled = total([ct * b for ct, b in zip(cts[2:], ops.outputs(out)[2:], strict=True) if ct is not None])
    return total([found, scaled and -sign * ops.real(scaled) * root])


def _airye_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> tuple[Node, ...]:
    factors, root, sign = _airye_parts(out, *inputs)
    (t,) = tangents
    scale = sign * ops.real(root * t)
    _, _, b, db = ops.outputs(out)
    return factors[0] * t, factors[1] * t, factors[2] * t - scale * b, factors[3] * t - scale * db


def _over(y: Node, x: Node) -> Node:
    """y / x where y is 0 at 0 with a higher order."""
    zero = ops.equal(x, 0)
    return ops.where(zero, 0, y / ops.where(zero, 1, x))


def _beip_slope(out: Node, x: Node) -> Node:
    zero = ops.equal(x, 0)
    return s.ber(x) - ops.where(zero, 0.5, out / ops.where(zero, 1, x))


RULES: list[Rule] = [
    row("j0", "DLMF 10.6.3", lambda out, x: -s.j1(x)),
    row("j1", "DLMF 10.6.1", lambda out, x: 0.5 * (s.j0(x) - s.jv(2, x))),
    row("y0", "DLMF 10.6.3", lambda out, x: -s.y1(x)),
    row("y1", "DLMF 10.6.1", lambda out, x: 0.5 * (s.y0(x) - s.yv(2, x))),
    row("i0", "DLMF 10.29.3", lambda out, x: s.i1(x)),
    row("i1", "DLMF 10.29.1", lambda out, x: 0.5 * (s.i0(x) + s.iv(2, x))),
    row("k0", "DLMF 10.29.3", lambda out, x: -s.k1(x)),
    row("k1", "DLMF 10.29.1", lambda out, x: -0.5 * (s.k0(x) + s.kv(2, x))),
    row("jv", "DLMF 10.6.1", ORDER, _neighbours(s.jv, 0.5, -0.5)),
    row("yv", "DLMF 10.6.1", ORDER, _neighbours(s.yv, 0.5, -0.5)),
    row("yn", "DLMF 10.6.1", ORDER, _neighbours(s.yv, 0.5, -0.5)),
    row("iv", "DLMF 10.29.1", ORDER, _neighbours(s.iv, 0.5, 0.5)),
    row("kv", "DLMF 10.29.1", ORDER, _neighbours(s.kv, -0.5, -0.5)),
    row("kn", "DLMF 10.29.1", ORDER, _neighbours(s.kv, -0.5, -0.5)),
    row("hankel1", "DLMF 10.6.1", ORDER, _neighbours(s.hankel1, 0.5, -0.5)),
    row("hankel2", "DLMF 10.6.1", ORDER, _neighbours(s.hankel2, 0.5, -0.5)),
    row("hankel1e", "DLMF 10.6.1", ORDER, _hankel_slope(s.hankel1e, -1j)),
    row("hankel2e", "DLMF 10.6.1", ORDER, _hankel_slope(s.hankel2e, 1j)),
    row("i0e", "0 at 0, by symmetry", _i0e_slope),
    row("i1e", "DLMF 10.39.5", _i1e_slope),
    row("k0e", "DLMF 10.29.3, 10.39.6", lambda out, x: _k0e_slope(x)),
    row("k1e", "DLMF 10.29.4, 10.39.6", lambda out, x: -_k0e_slope(x) - out / x),
    row("kve", "DLMF 10.29.1, 10.39.6", ORDER, _kve_slope),
    via("ive", "DLMF 10.29.1", _ive),
    Elementwise(s.real_ive, (ORDER, _ive_slope), "DLMF 10.29.1, 10.39.5"),
    via("jve", "DLMF 10.6.1", _damped(s.jve_scaled, s.jv)),
    via("yve", "DLMF 10.6.1", _damped(s.yve_scaled, s.yv)),
    *[
        Elementwise(card, (ORDER, _neighbours(card, 0.5, sign), lambda out, v, z, size: -out), "DLMF 10.6, 10.29")
        for card, sign in ((s.jve_scaled, -0.5), (s.yve_scaled, -0.5), (s.ive_scaled, 0.5))
    ],
    row("struve", "DLMF 11.4.23, 11.4.25", ORDER, _struve_slope),
    row("modstruve", "DLMF 11.4.24, 11.4.26", ORDER, _modstruve_slope),
    row("itstruve0", "DLMF 11.7", lambda out, x: s.struve(0, x)),
    row("it2struve0", "DLMF 11.7", lambda out, x: -s.struve(0, x) / x),
    row("itmodstruve0", "DLMF 11.7", lambda out, x: s.modstruve(0, x)),
    several("itj0y0", "DLMF 10.22", lambda outs, x: (s.j0(x), s.y0(x))),
    several("iti0k0", "DLMF 10.43", lambda outs, x: (s.i0(x), s.k0(x))),
    several("it2j0y0", "DLMF 10.22", lambda outs, x: (-_without_one(x, -1), -s.y0(x) / x)),
    several("it2i0k0", "DLMF 10.43", lambda outs, x: (_without_one(x, 1), -s.k0(x) / x)),
    row(
        "besselpoly",
        "DLMF 10.6.1",
        lambda out, a, p, v: s.besselpoly(a, p + 1, moved(v, -1)) - s.besselpoly(a, p + 1, moved(v, 1)),
        SHAPE,
        ORDER,
    ),
    # w'' = i w - w' / x for ber + i bei and ker + i kei.
    row("ber", "DLMF 10.63", lambda out, x: s.berp(x)),
    row("bei", "DLMF 10.63", lambda out, x: s.beip(x)),
    row("ker", "DLMF 10.63", lambda out, x: s.kerp(x)),
    row("kei", "DLMF 10.63", lambda out, x: s.keip(x)),
    row("berp", "DLMF 10.61.3", lambda out, x: -s.bei(x) - _over(out, x)),
    row("beip", "DLMF 10.61.3", _beip_slope),
    row("kerp", "DLMF 10.61.3", lambda out, x: -s.kei(x) - out / x),
    row("keip", "DLMF 10.61.3", lambda out, x: s.ker(x) - out / x),
    several(
        "kelvin",
        "DLMF 10.61.3",
        lambda outs, x: (outs[2], outs[3], 1j * outs[0] - outs[2] / x, 1j * outs[1] - outs[3] / x),
    ),
    several("airy", "DLMF 9.2.1", lambda outs, z: (outs[1], z * outs[0], outs[3], z * outs[2])),
    Explicit(s.airye, (_airye_pull,), _airye_push, "DLMF 9.2.1"),
    several(
        "itairy",
        "DLMF 9.10",
        lambda outs, x: (*ops.outputs(s.airy(x))[::2], *ops.outputs(s.airy(-x))[::2]),
    ),
]  # fmt: skip
