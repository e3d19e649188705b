"""Special functions: ufuncs of SciPy, from the module that has them, and primitives of their derivatives.

DLMF: NIST Digital Library of Mathematical Functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..convert import literal
from ..core.avals import Aval, intern_aval
from ..core.parameters import Static
from ..nodes import Node
from ..operator import Operator
from .derived import derive
from .elementwise import (
    absolute,
    divide,
    exp,
    expm1,
    floor,
    imag,
    infer_elementwise,
    infer_outputs,
    less,
    log,
    log1p,
    logical_and,
    logical_or,
    minimum,
    multiply,
    real,
    sin,
    sqrt,
    square,
    where,
)

# Ufuncs by the number of their outputs; those that begin with an underscore are what SciPy's functions without it call.
UFUNCS = {
    1: """
    bdtrik bdtrin btdtria btdtrib chdtriv chndtrinc fdtridfd gdtrib nbdtrik nbdtrin pdtrik stdtridf
    agm bdtr bdtrc bdtri bei beip ber berp besselpoly beta betainc betaincc betainccinv betaincinv betaln binom
    boxcox boxcox1p chdtr chdtrc chdtri chndtr chndtrix cosdg cosm1 cotdg dawsn ellipe ellipeinc ellipk ellipkinc
    ellipkm1 elliprc elliprd elliprf elliprg entr erf erfc erfcinv erfcx erfi erfinv eval_chebyc eval_chebys
    eval_chebyt eval_chebyu eval_gegenbauer eval_genlaguerre eval_hermite eval_hermitenorm eval_jacobi
    eval_laguerre eval_legendre eval_sh_chebyt eval_sh_chebyu eval_sh_jacobi eval_sh_legendre exp1 exp10 expi
    expit expn exprel fdtr fdtrc fdtri gamma gammainc gammaincc gammainccinv gammaincinv gammaln gammasgn gdtr
    gdtrc gdtria gdtrix hankel1 hankel1e hankel2 hankel2e huber hyp0f1 hyp1f1 hyp2f1 hyperu i0 i0e i1 i1e
    inv_boxcox inv_boxcox1p it2struve0 itmodstruve0 itstruve0 iv ive j0 j1 jv jve k0 k0e k1 k1e kei keip ker kerp
    kl_div kn kolmogi kolmogorov kv kve log_expit log_ndtr log_wright_bessel loggamma logit lpmv
    mathieu_a mathieu_b modstruve nbdtr nbdtrc nbdtri ndtr ndtri ndtri_exp nrdtrimn nrdtrisd obl_cv
    owens_t pdtr pdtrc pdtri poch powm1 pro_cv pseudo_huber psi
    radian rel_entr rgamma round sindg spence stdtr stdtrit struve tandg tklmbda voigt_profile wofz wright_bessel
    wrightomega xlog1py xlogy y0 y1 yn yv yve zetac
    """,
    2: "fresnel it2i0k0 it2j0y0 iti0k0 itj0y0 mathieu_cem mathieu_modcem1 mathieu_modcem2 mathieu_modsem1 "
    "mathieu_modsem2 mathieu_sem modfresnelm modfresnelp obl_ang1 obl_ang1_cv obl_rad1 obl_rad1_cv obl_rad2 "
    "obl_rad2_cv pbdv pbvv pbwa pro_ang1 pro_ang1_cv pro_rad1 pro_rad1_cv pro_rad2 pro_rad2_cv shichi sici",
    4: "airy airye ellipj itairy kelvin",
}  # fmt: skip
PRIVATE = ("_lambertw", "_riemann_zeta", "_zeta")


def _special(name: str, outputs: int = 1, module: str = "scipy.special") -> Operator:
    """A ufunc of SciPy; other libraries have it in a module ``special`` of their namespace, or not."""
    public = name.lstrip("_")
    return Operator(
        name,
        infer_elementwise if outputs == 1 else infer_outputs,
        several=outputs > 1,
        kind="elementwise" if outputs == 1 else "other",
        module=module,
        meaning=lambda xp, *arrays: getattr(xp.special, public)(*arrays),
        needs=(f"special.{public}",),
    )


CARDS: dict[str, Operator] = {
    **{name: _special(name, outputs) for outputs, names in UFUNCS.items() for name in names.split()},
    **{name: _special(name, module="scipy.special._ufuncs") for name in PRIVATE},
}


def __getattr__(name: str) -> Operator:
    try:
        return CARDS[name]
    except KeyError:
        raise AttributeError(name) from None


# --- primitives of derivatives ---------------------------------------------------------------------------------------


def _infer_together(primitive: Any, *avals: Aval, **params: Any) -> Aval:
    out = avals[0]
    for aval in avals[1:]:
        out = infer_elementwise(multiply, out, aval)
    # What integers are divided to.
    return (
        infer_elementwise(divide, out, out) if out.dtype.kind in "biu" else intern_aval(out.shape, out.dtype, out.weak)
    )


def _define(name: str, composition: Callable[..., Node], *params: str) -> Operator:
    return derive(name, composition, params=dict.fromkeys(params, Static), infer=_infer_together)


def inside(condition: Node, safe: float, *nodes: Node) -> list[Node]:
    """The nodes where a formula is used, and a number at which it is finite elsewhere: no NaN comes from there."""
    return [where(condition, x, safe) for x in nodes]


def sine_of_pi(x: Node, turns: float = 0.0) -> Node:
    """sin(pi (x + turns)), exact where it is 0: the multiples of 2 are taken off before pi is multiplied by."""
    whole = real(x) if x.aval.dtype.kind == "c" else x
    return sin(literal(math.pi) * (x - 2 * floor(0.5 * whole + 0.5) + turns))


# B_2, B_4, ..., B_20.
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def _asymptotic_terms(order: int) -> list[tuple[float, int]]:
    """psi^(n)(x) is (-1)^(n + 1) times the sum of c x^-p over these; without log(x) if n = 0 (DLMF 5.11.2, 5.15.9)."""
    n, f = order, math.factorial
    head = [(float(f(n - 1)), n)] if n else []
    tail = [(b * f(2 * k + n - 1) / f(2 * k), 2 * k + n) for k, b in enumerate(BERNOULLI, 1)]
    return [*head, (f(n) / 2, n + 1), *tail]


def _cotangent_derivative(x: Node, order: int) -> Node:
    """The derivative of that order, 1 or more, of cot(pi x) by pi x: a polynomial in it times 1 / sin(pi x)^2."""
    inverse = 1 / sine_of_pi(x)
    cotangent = sine_of_pi(x, 0.5) * inverse
    # With s = 1 / sin^2: (s p(c))' = s (-2 c p - (1 + c^2) p').
    p = np.polynomial.Polynomial([-1.0])
    c = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order - 1):
        p = -2 * c * p - (1 + c * c) * p.deriv()
    value: Node = literal(float(p.coef[-1]))
    for k in p.coef[-2::-1]:
        value = value * cotangent + literal(float(k))
    return value * inverse * inverse


def _polygamma(x: Node, order: int) -> Node:
    sign = literal(-((-1.0) ** order) * math.factorial(order))
    if x.aval.dtype.kind != "c":
        return sign * CARDS["_zeta"](literal(float(order + 1)), x)
    # Reflected to the right half-plane, then moved to where the asymptotic expansion is exact to the last digit.
    left = less(real(x), 0.5)
    z = where(left, 1 - x, x)
    steps = 16 + 2 * order
    total: Node = literal(0.0)
    for k in range(steps):
        total = total + (z + k) ** -(order + 1)
    total, far = math.factorial(order) * total, 1 / (z + steps)
    for c, p in _asymptotic_terms(order):
        total = total + literal(c) * far**p
    total = -((-1) ** order) * total
    mirrored = (-1) ** order * total - literal(math.pi ** (order + 1)) * _cotangent_derivative(
        where(left, x, 0.5), order
    )
    return where(left, mirrored, total)


# The derivative of psi of an order, which is 1 or more.
polygamma = _define("polygamma", _polygamma, "order")


def _psi_step(x: Node, d: Node, order: int) -> Node:
    """The recurrence, then the asymptotic expansion: sums of terms of one sign, however small the step is."""
    y = x + d
    regular = logical_and(less(0, x), less(0, y))
    u, v = inside(regular, 1.0, x, d)
    sign = literal((-1.0) ** (order + 1))
    total: Node = literal(0.0)
    steps = 10
    for k in range(steps):
        at = u + k
        total = total - math.factorial(order) * at ** -(order + 1) * expm1(-(order + 1) * log1p(v / at))
    far = u + steps
    ratio = log1p(v / far)
    rest: Node = literal(0.0)
    for c, p in reversed(_asymptotic_terms(order)):
        rest = rest + literal(c) * far**-p * expm1(-p * ratio)
    # Of psi itself the terms of the expansion are taken from a logarithm.
    near = (ratio - rest + total) if order == 0 else sign * (rest - total)
    w, z = where(regular, 1, x), where(regular, 1, y)
    if order == 0:
        return where(regular, near, CARDS["psi"](z) - CARDS["psi"](w))
    return where(regular, near, polygamma(z, order=order) - polygamma(w, order=order))


# psi^(n)(x + d) - psi^(n)(x) for real numbers, without cancellation.
psi_step = _define("psi_step", _psi_step, "order")


# --- densities of distributions --------------------------------------------------------------------------------------


def _stirling_rest(a: Node) -> Node:
    """log Gamma(a) - (a - 1/2) log(a) + a - log(2 pi) / 2 (DLMF 5.11.1)."""
    large = less(10, a)
    b = where(large, a, 11.0)
    inverse = 1 / b
    square_: Node = inverse * inverse
    value: Node = literal(0.0)
    for k, bernoulli in reversed(list(enumerate(BERNOULLI, 1))):
        value = value * square_ + literal(bernoulli / (2 * k * (2 * k - 1)))
    c = where(large, 1.0, a)
    direct = CARDS["gammaln"](c) - (c - 0.5) * log(c) + c - 0.5 * math.log(2 * math.pi)
    return where(large, value * inverse, direct)


def _log1p_rest(x: Node) -> Node:
    """log(1 + x) - x without cancellation."""
    return -0.5 * x * x * CARDS["hyp2f1"](1.0, 2.0, 3.0, -x)


# Parameters from which on a density is a product of huge and tiny numbers, so that it is computed near its maximum.
_LARGE = 10.0


def _gamma_density(a: Node, x: Node) -> Node:
    far = logical_and(less(_LARGE, a), less(0, x))
    b, y = where(far, a, 2 * _LARGE), where(far, x, 1.0)
    peaked = exp(b * _log1p_rest((y - b) / b) - _stirling_rest(b)) * sqrt(b / literal(2 * math.pi)) / y
    c, z = where(far, 1.0, a), where(far, 1.0, x)
    direct = exp(CARDS["xlogy"](c - 1, z) - z - CARDS["gammaln"](c))
    return where(far, peaked, where(less(x, 0), math.nan, direct))


# x^(a - 1) exp(-x) / Gamma(a).
gamma_density = _define("gamma_density", _gamma_density)


def _beta_density(a: Node, b: Node, x: Node) -> Node:
    far = logical_and(less(_LARGE, minimum(a, b)), logical_and(less(0, x), less(x, 1)))
    p, q, y = where(far, a, 2 * _LARGE), where(far, b, 2 * _LARGE), where(far, x, 0.5)
    n = p + q
    off = y - p / n
    power = p * _log1p_rest(off * n / p) + q * _log1p_rest(-off * n / q)
    power = power + _stirling_rest(n) - _stirling_rest(p) - _stirling_rest(q)
    peaked = exp(power) * sqrt(p * (q / n) / literal(2 * math.pi)) / (y * (1 - y))
    c, d, z = where(far, 1.0, a), where(far, 1.0, b), where(far, 0.5, x)
    direct = exp(CARDS["xlogy"](c - 1, z) + CARDS["xlog1py"](d - 1, -z) - CARDS["betaln"](c, d))
    return where(far, peaked, where(less(x * (1 - x), 0), math.nan, direct))


# x^(a - 1) (1 - x)^(b - 1) / B(a, b).
beta_density = _define("beta_density", _beta_density)


# --- the error function ----------------------------------------------------------------------------------------------

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
_FAR = 8.0


def erfcx_slope(x: Node) -> Node:
    """The derivative of erfcx: 2 x erfcx(x) - 2 / sqrt(pi), and where that cancels its expansion (DLMF 7.12.1)."""
    if x.aval.dtype.kind == "c":
        # Where exp(x^2) is tiny, or the real part is positive.
        a, b = real(x), imag(x)
        sector = logical_or(less(0, a), less(50, (b - a) * (b + a)))
        far = logical_and(less(_FAR, absolute(x)), sector)
    else:
        far = less(_FAR, x)
    y, z = where(far, x, _FAR), where(far, 0.0, x)
    inverse = square(1 / y)
    value: Node = literal(0.0)
    for k in range(20, -1, -1):
        value = literal(math.prod(range(1, 2 * k + 2, 2)) * (-0.5) ** k / math.sqrt(math.pi)) + value * inverse
    return where(far, -value * inverse, 2 * z * CARDS["erfcx"](z) - TWO_OVER_ROOT_PI)


def _normal_hazard(x: Node) -> Node:
    return literal(math.sqrt(2 / math.pi)) / CARDS["erfcx"](literal(-math.sqrt(0.5)) * x)


# The derivative of log_ndtr, exp(-x^2 / 2) / sqrt(2 pi) / ndtr(x).
normal_hazard = _define("normal_hazard", _normal_hazard)


# --- scaled Bessel functions, and elliptic integrals -----------------------------------------------------------------


def _ellipem1(p: Node) -> Node:
    return CARDS["ellipe"](1 - p)


# ellipe(1 - p), which for a small p is differentiated by p itself.
ellipem1 = _define("ellipem1", _ellipem1)

# The same as jve, yve and ive, with the exponent of the scale as an argument of its own: it depends on the argument by
# an absolute value; and ive of real numbers.
jve_scaled = _define("jve_scaled", lambda v, z, size: CARDS["jve"](v, z))
yve_scaled = _define("yve_scaled", lambda v, z, size: CARDS["yve"](v, z))
ive_scaled = _define("ive_scaled", lambda v, z, size: CARDS["ive"](v, z))
real_ive = _define("real_ive", CARDS["ive"])
