"""Rows for functions of polynomials."""

from __future__ import annotations

import numpy as np

from .case import Case, case, complexes, integers, positive, real

AT = np.array([-1.0, -0.5, 0.25, 1.0])


def coefficients() -> list[Case]:
    rows = [case(f, real(m), real(n)) for f in (np.polyadd, np.polysub, np.polymul) for m, n in [(3, 2), (1, 4)]]
    rows += [case(np.polyadd, real(), [1.0, 2.0, 3.0])]
    rows += [case(np.polymul, complexes(2), real(3))]
    return [
        *rows,
        case(lambda x, y: np.polymul(np.concatenate([[0.0], x]), y), real(2), real(2), covers=np.polymul),
        case(np.polydiv, real(5), positive(3), single=False),
        case(np.polydiv, real(2), positive(3), independent=True),
        case(np.polydiv, complexes(3), complexes(2), single=False),
        case(np.polyval, real(3), real(2, 2)),
        case(np.polyval, real(3, 2), real(2)),
        case(np.polyval, real(0), real(2), independent=True),
        case(np.polyval, [1.0, 2.0, 3.0], real()),
        case(np.polyval, complexes(3), real()),
        case(np.polyder, real(4), 2),
        case(np.polyder, real(2), m=3),
        case(np.polyder, complexes(3), 0),
        case(np.polyint, real(3)),
        case(np.polyint, real(3), 2, k=real()),
        case(np.polyint, real(2), m=2, k=real(2)),
        case(np.polyint, complexes(2), m=0),
        case(np.vander, real(3)),
        case(np.vander, real(2), N=4, increasing=True),
        case(np.vander, complexes(2), 0, gradient="zero"),
        case(np.vander, integers(2), 3, gradient="none"),
    ]


def zeros() -> list[Case]:
    return [
        case(np.roots, positive(4), rtol=1e-5),
        case(lambda p: np.roots(np.concatenate([[0.0], p, [0.0]])), positive(3), covers=np.roots, rtol=1e-5),
        case(np.roots, complexes(3), rtol=1e-5),
        case(np.poly, real(3)),
        case(np.poly, complexes(2)),
        case(lambda x: np.poly(np.concatenate([x, np.conj(x)])), complexes(2), covers=np.poly),
        case(lambda m: np.real(np.poly(m)), real(2, 2), covers=np.poly),
    ]


def fits() -> list[Case]:
    return [
        case(np.polyfit, AT, real(4), 2),
        case(np.polyfit, positive(4), real(4), 1, rtol=1e-5),
        case(np.polyfit, AT, real(4, 2), 1, w=positive(4)),
        case(lambda y: np.polyfit(AT, y, 2, full=True)[0], real(4), covers=np.polyfit),
        case(lambda y: np.polyfit(AT, y, 1, rcond=1e-9, full=True)[1], real(4), covers=np.polyfit),
        case(np.polyfit, AT, real(4), 1, cov=True),
        case(np.polyfit, AT, real(4, 2), 1, w=positive(4), cov="unscaled"),
    ]


CASES = [*coefficients(), *zeros(), *fits()]
