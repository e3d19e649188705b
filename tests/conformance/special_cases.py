"""Rows for the ufuncs of SciPy: shapes, each function by every argument that has a derivative, and complex numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from scipy import special

from .case import Case, Draw, case, complexes, integers, positive, real, signed

SHAPES = [(), (0,), (1,), (3,), (2, 3), (2, 1, 4)]


def shapes() -> list[Case]:
    """Of one argument, of two and three, of an order, and of several outputs."""
    rows = [case(special.erf, real(*shape)) for shape in [*SHAPES, (600,)]]
    rows += [case(special.erf, integers(3)), case(special.erf, real(2), dtype=np.float64)]
    rows += [case(special.xlogy, positive(*shape), positive(*shape)) for shape in SHAPES]
    rows += [case(special.betaln, positive(2, 1), positive(3)), case(special.betaln, positive(), positive(2))]
    rows += [case(special.xlogy, positive(3), 2), case(special.xlogy, integers(3, low=1), positive(3))]
    rows += [case(special.betainc, 2, 1.5, unit(*shape)) for shape in SHAPES]
    rows += [case(special.jv, integers(2, 1), positive(3)), case(special.jv, 2, integers(3))]
    rows += [case(special.sici, positive(*shape)) for shape in SHAPES]
    rows += [case(special.expit, real(700)), case(special.gammaln, real(3, low=-0.9, high=-0.1))]
    return rows


def unit(*shape: int) -> Draw:
    return real(*shape, low=0.2, high=0.8)


REAL, POSITIVE, UNIT, NEGATIVE = real(3), positive(3), unit(3), real(3, low=-3.0, high=-0.5)
ABOVE = positive(3, low=2.5, high=4.0)

# Of one real argument.
UNARY: dict[Draw, str] = {
    REAL: """
    airy bei beip cosdg cosm1 dawsn ellipe erf erfc erfcx erfi exp10 exp2 expit expm1 exprel fresnel i0 i0e i1 i1e
    itairy j0 j1 log_expit log_ndtr ndtr sindg tandg wrightomega
    """,
    POSITIVE: """
    airye ber berp cbrt cotdg ellipkm1 entr exp1 expi gamma gammaln it2i0k0 it2j0y0 it2struve0 iti0k0 itj0y0
    itmodstruve0 itstruve0 k0 k0e k1 k1e kei keip kelvin ker kerp kolmogorov log1p loggamma modfresnelm
    modfresnelp psi rgamma shichi sici spence y0 y1
    """,
    UNIT: "ellipk erfcinv erfinv kolmogi logit ndtri",
    NEGATIVE: "ndtri_exp",
}
# Of one complex argument.
COMPLEX = """
airy airye dawsn erf erfc erfcx erfi exp1 expi expm1 fresnel gamma log1p log_ndtr loggamma ndtr psi rgamma shichi sici
spence wofz wrightomega
"""
CONSTANT = {REAL: "round", POSITIVE: "gammasgn"}

# Of several arguments: integers and floats are what has no derivative there.
# Some of SciPy's do not end in single precision.
SPHEROIDAL = re.compile("(obl|pro)_")

CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("agm beta betaln boxcox boxcox1p elliprc inv_boxcox inv_boxcox1p kl_div poch", (POSITIVE, POSITIVE)),
    ("powm1 pseudo_huber rel_entr xlog1py xlogy", (POSITIVE, POSITIVE)),
    ("binom huber", (ABOVE, POSITIVE)),
    ("elliprd elliprf elliprg radian", (POSITIVE, POSITIVE, POSITIVE)),
    ("ellipeinc ellipj ellipkinc owens_t", (UNIT, UNIT)),
    ("chdtr chdtrc gammainc gammaincc gammainccinv gammaincinv", (POSITIVE, UNIT)),
    ("stdtr stdtrit", (ABOVE, UNIT)),
    ("betainc betaincc betainccinv betaincinv", (POSITIVE, ABOVE, UNIT)),
    ("fdtr fdtrc fdtri", (ABOVE, POSITIVE, UNIT)),
    ("hyp0f1 iv ive jv jve kv kve", (1.5, POSITIVE)),
    ("modstruve pbdv pbwa struve yv yve", (1.5, POSITIVE)),
    ("eval_chebyc eval_chebys eval_chebyt eval_chebyu eval_hermite expn kn yn", (2, POSITIVE)),
    ("eval_hermitenorm eval_laguerre eval_legendre eval_sh_chebyt eval_sh_chebyu", (3, UNIT)),
    ("eval_sh_legendre pdtr pdtrc pdtri", (3, UNIT)),
    ("chdtri pbvv", (1.5, UNIT)),
    ("hyp1f1", (0.7, 1.5, UNIT)),
    ("hyperu log_wright_bessel wright_bessel", (0.7, 1.5, POSITIVE)),
    ("bdtr bdtrc bdtri eval_gegenbauer eval_genlaguerre nbdtr nbdtrc nbdtri", (2, 5, UNIT)),
    ("mathieu_modcem1 mathieu_modcem2 mathieu_modsem1 mathieu_modsem2", (2, 0.7, UNIT)),
    ("mathieu_cem mathieu_sem", (2, 0.7, real(3, low=10.0, high=80.0))),
    ("gdtr gdtrc", (POSITIVE, 1.5, UNIT)),
    ("besselpoly", (POSITIVE, 1.5, 1.0)),
    ("chndtr", (POSITIVE, 2.5, POSITIVE)),
    ("chndtrix", (UNIT, 2.5, POSITIVE)),
    ("eval_jacobi", (2, 0.5, 1.5, UNIT)),
    ("eval_sh_jacobi", (2, 2.5, 1.5, UNIT)),
    ("gdtria", (0.3, 1.5, POSITIVE)),
    ("gdtrix", (POSITIVE, 1.5, UNIT)),
    ("hyp2f1", (0.7, 1.5, 2.2, UNIT)),
    ("lpmv", (1, 2, UNIT)),
    ("obl_ang1 obl_rad1 obl_rad2 pro_ang1", (1, 3, 1.3, UNIT)),
    ("pro_rad1 pro_rad2", (1, 3, 1.3, real(2, low=2.2, high=3.0))),
    ("obl_ang1_cv obl_rad1_cv obl_rad2_cv", (1, 3, 1.3, special.obl_cv(1, 3, 1.3), UNIT)),
    ("pro_ang1_cv", (1, 3, 1.3, special.pro_cv(1, 3, 1.3), UNIT)),
    ("pro_rad1_cv pro_rad2_cv", (1, 3, 1.3, special.pro_cv(1, 3, 1.3), real(2, low=2.2, high=3.0))),
    ("nrdtrimn", (UNIT, POSITIVE, REAL)),
    ("nrdtrisd", (REAL, real(3, low=0.6, high=0.9), REAL)),
    ("tklmbda", (real(3, low=-0.5, high=0.5), POSITIVE)),
    ("voigt_profile", (REAL, POSITIVE, POSITIVE)),
]
# Inverses that SciPy solves equations for, some to few digits only.
INVERSES: list[tuple[str, tuple[Any, ...]]] = [
    ("chdtriv pdtrik stdtridf", (real(3, low=0.6, high=0.7), positive(3, low=0.8, high=1.2))),
    ("btdtria", (UNIT, POSITIVE, UNIT)),
    ("btdtrib gdtrib", (POSITIVE, UNIT, UNIT)),
    ("bdtrik nbdtrik", (real(3, low=0.4, high=0.6), positive(3, low=8.0, high=9.0), real(3, low=0.4, high=0.6))),
    ("bdtrin nbdtrin", (positive(3, low=3.0, high=4.0), real(3, low=0.4, high=0.6), real(3, low=0.4, high=0.6))),
    ("fdtridfd", (ABOVE, real(3, low=0.6, high=0.7), positive(3, low=1.8, high=2.2))),
    ("chndtrinc", (ABOVE, 1.5, real(3, low=0.2, high=0.4))),
]

# SciPy has no single precision of these that works, or warns.
DOUBLE = """
bdtr bdtrc bdtri mathieu_cem mathieu_modcem1 mathieu_modcem2 mathieu_modsem1 mathieu_modsem2 mathieu_sem
"""
# With a complex last argument.
OF_ORDER = "hankel1 hankel1e hankel2 hankel2e hyp0f1 iv ive jv jve kv kve yv yve"


def functions() -> list[Case]:
    rows = [case(getattr(special, name), draw) for draw, names in UNARY.items() for name in names.split()]
    rows += [case(getattr(special, name), complexes(3)) for name in COMPLEX.split()]
    rows += [
        case(getattr(special, name), *arguments, single=name not in DOUBLE.split() and not SPHEROIDAL.match(name))
        for names, arguments in CALLS
        for name in names.split()
    ]
    rows += [
        case(getattr(special, name), *arguments, single=False, rtol=1e-4)
        for names, arguments in INVERSES
        for name in names.split()
    ]
    rows += [case(getattr(special, name), 1.5, complexes(3)) for name in OF_ORDER.split()]
    rows += [case(special.hyp1f1, 0.7, 1.5, complexes(2)), case(special.hyp2f1, 0.7, 1.5, 2.2, complexes(2, high=0.6))]
    rows += [case(special.xlogy, complexes(3), complexes(3)), case(special.xlog1py, complexes(3), complexes(3))]
    rows += [case(getattr(special, name), draw, gradient="zero") for draw, name in CONSTANT.items()]
    # Without a derivative by any argument; zeta is one ufunc of one argument, and another of two.
    rows += [case(f, 2, integers(3)) for f in (special.mathieu_a, special.mathieu_b)]
    rows += [case(f, 1, 3, integers(3), single=False) for f in (special.obl_cv, special.pro_cv)]
    rows += [case(special.zetac, integers(3, low=2)), case(special.zeta, integers(3, low=2))]
    rows += [case(special.zeta, 1.5, POSITIVE, covers=(special.zeta, special._ufuncs._zeta))]
    rows += [case(special.lambertw, POSITIVE), case(special.lambertw, complexes(3), -1)]
    return rows


def ranges() -> list[Case]:
    """Where a derivative is computed in another way than near 1."""
    rows = [case(f, real(3, low=9.0, high=12.0)) for f in (special.erfcx, special.dawsn)]
    rows += [case(special.log_ndtr, real(3, low=-30.0, high=-20.0)), case(special.spence, real(3, low=2.0, high=4.0))]
    rows += [case(f, 1, real(3, low=60.0, high=80.0), single=False) for f in (special.kve, special.ive)]
    rows += [case(special.wofz, complexes(3, low=8.0, high=9.0)), case(special.rgamma, real(3, low=-3.5, high=-2.5))]
    rows += [case(special.betaln, positive(3, low=50.0, high=60.0), positive(3)), case(special.i0e, signed(3))]
    rows += [
        case(special.gammainc, 40.5, real(3, low=35.0, high=50.0)),
        case(special.ellipkinc, real(3, low=4, high=5), UNIT),
    ]
    rows += [case(special.betainc, 40.5, 30.5, unit(3)), case(special.ellipk, real(2, low=-2e3, high=-1.5e3))]
    return rows


CASES: list[Case] = shapes() + functions() + ranges()
