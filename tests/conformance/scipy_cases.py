"""Rows for SciPy's functions that are no ufuncs: of special functions and linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft, linalg, special

from .case import Case, Draw, answer, case, complexes, composed, integers, invertible, positive, real, spaced, spread

# --- scipy.special ---------------------------------------------------------------------------------------------------


def exponentials() -> list[Case]:
    rows = [case(special.logsumexp, real(*shape)) for shape in [(), (1,), (3,), (2, 3)]]
    rows += [case(special.logsumexp, real(2, 3), axis=axis, keepdims=True) for axis in (0, -1, (0, 1))]
    rows += [
        case(special.logsumexp, real(2, 3), axis=1, b=positive(3)),
        case(special.logsumexp, real(3), b=[1.0, -2.0, 0.5], return_sign=True),
        case(special.logsumexp, np.array([2.0, 2.0, 1.0]), b=positive(3)),
        case(weighted, real(2), b=[0.0, 1.0, 1.0], covers=special.logsumexp),
        case(special.logsumexp, real(0, 3), axis=1),
        case(special.logsumexp, complexes(3)),
        case(special.logsumexp, complexes(2, 3), axis=0, return_sign=True),
        case(special.logsumexp, integers(3)),
    ]
    for function in (special.softmax, special.log_softmax):
        rows += [case(function, real(*shape)) for shape in [(), (1,), (3,), (2, 3)]]
        rows += [case(function, real(2, 3), axis=axis) for axis in (0, -1, (0, 1))]
        rows += [case(function, real(3, low=-800, high=800)), case(function, integers(2, 2))]
    return rows


def weighted(a: Any, b: Any) -> Any:
    """What is weighted by 0 does not count."""
    return special.logsumexp(np.concatenate([[np.inf], a]), b=b, keepdims=True)


def counts() -> list[Case]:
    rows = [
        case(special.comb, positive(3, low=3.2, high=5.0), 2),
        case(special.comb, 5.5, positive(2, 1, low=0.3, high=2.7)),
        case(special.comb, [3.0, 1.0], positive(2, low=1.2, high=2.7)),
        case(special.comb, positive(3), positive(3), repetition=True),
        case(special.comb, integers(3), 2),
        case(special.perm, positive(3, low=3.2, high=5.0), 2),
        case(special.perm, 5.5, positive(3, low=0.3, high=2.7)),
        case(special.factorial, positive(3)),
        case(special.factorial, real(3, low=-2.0, high=-0.5), gradient="zero"),
        # SciPy gives double precision, of which single precision is exact.
        case(special.multigammaln, positive(2, 2, low=2.2, high=5.0), 3, single=False),
        case(special.multigammaln, positive(), 1, single=False),
        *[case(special.polygamma, n, positive(3), single=False) for n in (0, 2, [[0], [1]])],
        *[case(special.diric, real(3, low=-7.0, high=7.0), n) for n in (4, 5)],
        case(special.diric, real(3), 1, independent=True),
    ]
    return rows


# --- scipy.linalg ----------------------------------------------------------------------------------------------------

SQUARES = [(3, 3), (1, 1), (2, 3, 3)]
KINDS = ("invertible", "complex invertible")
A, B, C = invertible(3, 3), invertible(3, 3), invertible(3, 3, kind="complex invertible")


def systems() -> list[Case]:
    rows = [
        case(linalg.solve, invertible(*a), real(*b)) for a, b in [((3, 3), (3,)), ((2, 3, 3), (3, 2)), ((1, 1), (3,))]
    ]
    rows += [
        case(linalg.solve, C, complexes(3, 1)),
        case(linalg.solve, A, integers(3)),
        case(linalg.solve, A, real(3, 0)),
    ]
    for structure in ("gen", "diagonal", "tridiagonal", "upper triangular", "lower triangular", "pos", "sym", "her"):
        rows.append(case(linalg.solve, A, real(3, 2), assume_a=structure))
        if structure != "tridiagonal":
            rows.append(case(linalg.solve, C, complexes(3), assume_a=structure, lower=structure in ("pos", "sym")))
    rows += [case(linalg.solve, A, real(3), transposed=True, assume_a=s) for s in ("gen", "lower triangular", "pos")]
    for trans in (0, 1, 2, "T"):
        rows.append(case(linalg.solve_triangular, C, complexes(3, 2), trans=trans, lower=trans == 1))
    rows += [
        case(linalg.solve_triangular, A, real(3), unit_diagonal=True, lower=True),
        case(linalg.solve_triangular, invertible(2, 3, 3), real(3, 1)),
    ]
    for lower in (False, True):
        for kind in KINDS:
            rows.append(case(linalg.cholesky, definite(3, 3, kind=kind), lower=lower))
            rows.append(
                case(by_cholesky, definite(2, 2, 2, kind=kind), complexes(2, 1), lower, covers=linalg.cho_solve)
            )
    rows += [case(linalg.cholesky, definite(2, 2, 2)), case(factor, definite(3, 3), covers=linalg.cho_factor)]
    for function in (linalg.inv, linalg.det):
        # SciPy's determinants of single precision are multiplied in double.
        single = function is linalg.inv
        rows += [case(function, invertible(*shape), single=single) for shape in SQUARES] + [
            case(function, C, single=single)
        ]
    rows += [case(linalg.inv, A, assume_a=s, lower=True) for s in ("pos", "upper triangular")]
    return rows


def definite(*shape: int, kind: str = "invertible") -> Draw:
    """Matrices of which either triangle is that of a positive definite one."""
    return Draw(shape, kind, -0.5, 0.5)


def factor(a: Any) -> Any:
    """The part of the factor that has a meaning."""
    return np.triu(linalg.cho_factor(a)[0])


def by_cholesky(a: Any, b: Any, lower: Any) -> Any:
    return linalg.cho_solve(linalg.cho_factor(a, lower=lower), b)


def by_lu(a: Any, b: Any, trans: Any = 0) -> Any:
    return linalg.lu_solve(linalg.lu_factor(a), b, trans)


def packed(a: Any) -> Any:
    return linalg.lu_factor(a)[0]


def exchanges(a: Any) -> Any:
    return linalg.lu_factor(a)[1]


# Rows are exchanged.
TURNED = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])


def turned(a: Any) -> Any:
    return linalg.lu(TURNED @ a, permute_l=True)


def factors() -> list[Case]:
    rows = [case(linalg.lu, invertible(3, 3), **words) for words in ({}, {"permute_l": True}, {"p_indices": True})]
    rows += [case(linalg.lu, spread(*shape)) for shape in [(4, 2), (2, 4), (2, 2, 3), (1, 1)]] + [case(linalg.lu, C)]
    rows += [case(turned, A, covers=linalg.lu), answer(exchanges, A, covers=linalg.lu_factor)]
    rows += [case(packed, x, covers=linalg.lu_factor) for x in (A, C, invertible(2, 3, 3))]
    rows += [
        case(by_lu, A, real(3), covers=linalg.lu_solve),
        case(by_lu, invertible(2, 3, 3), real(3, 1), covers=linalg.lu_solve),
    ]
    rows += [case(by_lu, C, complexes(3, 2), trans, covers=linalg.lu_solve) for trans in (1, 2)]
    for mode in ("full", "economic", "r"):
        rows += [
            case(linalg.qr, spread(3, 2), mode=mode),
            case(linalg.qr, spread(2, 3, kind="complex spread"), mode=mode),
        ]
    rows += [case(linalg.svdvals, spread(3, 2)), case(linalg.svd, spread(2, 3), compute_uv=False)]
    rows += [
        case(singular, spread(3, 2, kind="complex spread"), full, covers=linalg.svd, rtol=1e-5)
        for full in (True, False)
    ]
    for lower in (True, False):
        rows += [case(hermitian, C, lower, covers=linalg.eigh, rtol=1e-5), case(linalg.eigvalsh, A, lower=lower)]
    rows += [
        case(linalg.eigh, A, eigvals_only=True, subset_by_index=[1, 2], rtol=1e-5),
        case(generalised, A, definite(3, 3), covers=linalg.eigh, rtol=1e-5),
        case(linalg.eigvalsh, A, definite(3, 3), rtol=1e-5),
        case(general, A, covers=linalg.eig, rtol=1e-5),
        case(linalg.eig, apart(3), right=False, rtol=1e-5),
        case(linalg.eigvals, C, rtol=1e-5),
        case(linalg.eigvals, C, A, rtol=1e-5),
    ]
    return rows


def singular(a: Any, full: Any) -> list[Any]:
    u, s, vh = linalg.svd(a, full_matrices=full)
    k = s.shape[-1]
    return [s, (u[..., :k] * np.tanh(s)) @ vh[..., :k, :]]


def hermitian(a: Any, lower: Any) -> list[Any]:
    w, v = linalg.eigh(a, lower=lower)
    return [w, (v * np.sin(w)) @ np.conj(v.T)]


def generalised(a: Any, b: Any) -> list[Any]:
    w, v = linalg.eigh(a, b)
    return [w, (v * np.sin(w)) @ np.conj(v.T)]


def apart(n: int) -> Draw:
    return invertible(n, n, kind="complex invertible")


def general(a: Any) -> list[Any]:
    w, v = linalg.eig(a + np.diag(2.0 * np.arange(3)))
    return [w + 0j, ((v + 0j) * np.sin(w + 0j)) @ np.linalg.inv(v + 0j)]


def subspaces() -> list[Case]:
    rows = [case(linalg.pinv, spread(*shape)) for shape in [(3, 2), (2, 3), (2, 2, 3)]]
    rows += [
        case(linalg.pinv, spread(3, 3), atol=0.2, return_rank=True, single=False),
        case(linalg.pinv, spread(3, 2), rtol=0.5),
    ]
    rows += [case(linalg.pinvh, A, lower=lower) for lower in (True, False)]
    rows += [case(linalg.lstsq, spread(4, 2), real(4, 2)), case(linalg.lstsq, spread(4, 2), real(4))]
    rows += [case(projector, spread(2, 4), linalg.null_space, covers=linalg.null_space, rtol=1e-5)]
    rows += [case(projector, spread(4, 2), linalg.orth, covers=linalg.orth, rtol=1e-5)]
    rows += [case(linalg.norm, real(2, 3), ord) for ord in (None, 1, np.inf, "fro", 2)]
    rows += [case(linalg.norm, real(2, 3), axis=1, keepdims=True)]
    rows += [case(linalg.polar, spread(*shape), side=side) for shape in [(3, 3), (3, 2)] for side in ("right", "left")]
    rows += [case(linalg.orthogonal_procrustes, spread(3, 2), spread(3, 2))]
    return rows


def projector(a: Any, basis: Any) -> Any:
    q = basis(a)
    return q @ np.conj(q.T)


def of_matrices() -> list[Case]:
    rows = [case(linalg.expm, real(*shape)) for shape in [(3, 3), (1, 1), (2, 3, 3), (0, 0)]]
    rows += [
        case(linalg.expm, real(3, 3, low=-4, high=4), rtol=1e-5),
        case(linalg.expm, complexes(2, 2)),
        case(of_diagonal, real(3), covers=linalg.expm),
    ]
    near = definite(3, 3)
    for function in (linalg.logm, linalg.sqrtm):
        rows += [
            # SciPy's logarithm warns of what single precision is exact to.
            case(function, x, single=function is linalg.sqrtm)
            for x in (near, definite(2, 2, 2), C, definite(1, 1))
        ]
    rows += [
        case(sign_of, real(2, 2, low=-0.3, high=0.3), covers=linalg.signm),
        *[case(linalg.fractional_matrix_power, near, t, single=t == 2) for t in (0.5, -1.3, 2)],
        case(power_of, near, positive(), covers=linalg.fractional_matrix_power, single=False),
        case(linalg.expm_frechet, real(3, 3), real(3, 3), single=False),
        case(linalg.expm_frechet, real(2, 2), real(2, 2), compute_expm=False, single=False),
    ]
    for function in (linalg.cosm, linalg.sinm, linalg.tanm, linalg.coshm, linalg.sinhm, linalg.tanhm):
        rows += [case(function, real(2, 2, low=-0.6, high=0.6)), case(function, complexes(2, 2, high=0.6))]
    return rows


def of_diagonal(d: Any) -> Any:
    return linalg.expm(np.diag(d))


def sign_of(a: Any) -> Any:
    """Of matrices with eigenvalues on either side."""
    return linalg.signm(a + np.array([[2.0, 1.0], [0.5, -1.0]], dtype=a.dtype))


def power_of(a: Any, t: Any) -> Any:
    """SciPy gives complex numbers for an exponent that is an array."""
    return np.real(linalg.fractional_matrix_power(a, t))


def equations() -> list[Case]:
    rows = [
        case(linalg.solve_sylvester, A, B, real(3, 3)),
        case(linalg.solve_sylvester, invertible(3, 3), invertible(2, 2), real(3, 2)),
        case(linalg.solve_sylvester, C, invertible(3, 3, kind=KINDS[1]), complexes(3, 3)),
        case(linalg.solve_sylvester, invertible(2, 2, 2), invertible(2, 2), real(2, 1, 2, 2)),
        *[case(linalg.solve_continuous_lyapunov, x, y) for x, y in [(A, real(3, 3)), (C, complexes(3, 3))]],
        *[
            case(linalg.solve_discrete_lyapunov, real(2, 2, low=-0.4, high=0.4), real(2, 2), method=m, single=False)
            for m in (None, "bilinear")
        ],
        case(linalg.solve_discrete_lyapunov, complexes(2, 2, low=0.05, high=0.3), complexes(2, 2), single=False),
    ]
    bands = positive(3, 5, low=-0.3, high=0.3)
    for lower, upper in [(1, 1), (0, 2), (2, 0)]:
        rows.append(case(by_bands, bands, real(5), lower, upper, covers=linalg.solve_banded))
    rows += [
        case(by_bands, complexes(4, 5, high=0.5), complexes(5, 2), 1, 2, covers=linalg.solve_banded),
        case(by_bands, positive(2, 3, 4, low=-0.3, high=0.3), real(4, 2), 1, 1, covers=linalg.solve_banded),
        *[
            case(by_half, positive(3, 5, low=-0.3, high=0.3), real(5, 2), lower, covers=linalg.solveh_banded)
            for lower in (True, False)
        ],
        case(by_half, complexes(2, 4, high=0.5), complexes(4), False, covers=linalg.solveh_banded),
    ]
    first = positive(4, low=0.1, high=0.4)
    rows += [
        case(by_toeplitz, first, first, real(4), covers=linalg.solve_toeplitz),
        case(by_toeplitz, first, None, real(4, 2), covers=linalg.solve_toeplitz),
        case(linalg.solve_circulant, positive(4), real(4)),
        case(linalg.solve_circulant, complexes(3), complexes(2, 3), baxis=1, outaxis=-1),
        case(linalg.solve_circulant, spaced(3), real(3, 2), singular="lstsq"),
        case(times_toeplitz, real(3), real(4), real(4, 2), covers=linalg.matmul_toeplitz),
    ]
    return rows


def by_bands(ab: Any, b: Any, lower: Any, upper: Any) -> Any:
    """Made diagonally dominant."""
    middle = np.arange(ab.shape[-2])[:, None] == upper
    return linalg.solve_banded((lower, upper), ab + 3.0 * middle, b)


def by_half(ab: Any, b: Any, lower: Any) -> Any:
    middle = np.arange(ab.shape[-2])[:, None] == (0 if lower else ab.shape[-2] - 1)
    return linalg.solveh_banded(ab + 4.0 * middle, b, lower=lower)


def by_toeplitz(c: Any, r: Any, b: Any) -> Any:
    c = c + np.array([3.0, 0.0, 0.0, 0.0])
    return linalg.solve_toeplitz(c if r is None else (c, r), b)


def times_toeplitz(c: Any, r: Any, x: Any) -> Any:
    return linalg.matmul_toeplitz((c, r), x)


def special_matrices() -> list[Case]:
    rows = [
        case(linalg.toeplitz, real(3)),
        case(linalg.toeplitz, complexes(3)),
        case(linalg.toeplitz, real(3), real(4)),
        case(linalg.toeplitz, real(2, 3), real(4)),
        case(linalg.toeplitz, real()),
        case(linalg.hankel, real(3)),
        case(linalg.hankel, real(3), real(4)),
        case(linalg.circulant, real(3)),
        case(linalg.circulant, real(2, 3)),
        case(linalg.block_diag, real(2, 3), real(2), 1.5),
        case(linalg.block_diag, real(2, 1, 2), complexes(1, 1)),
        case(linalg.block_diag, real(2, 0), real(2, 2)),
        case(linalg.companion, positive(4)),
        case(linalg.companion, positive(2, 3)),
        case(linalg.khatri_rao, real(2, 3), real(4, 3)),
        *[case(linalg.convolution_matrix, real(n), 3, mode) for n in (2, 4) for mode in ("full", "same", "valid")],
        case(linalg.fiedler, real(4)),
        case(linalg.leslie, real(3), real(2)),
        case(linalg.diagsvd, real(2), 2, 3),
        case(linalg.diagsvd, real(2), 3, 2),
    ]
    return rows


def transforms() -> list[Case]:
    rows = [
        case(getattr(fft, name), complexes(5), norm=norm)
        for name in ("fft", "ifft", "irfft", "hfft")
        for norm in (None, "ortho")
    ]
    rows += [case(getattr(fft, name), real(2, 5), n=4, axis=0, workers=1) for name in ("fft", "rfft", "ihfft")]
    rows += [case(getattr(fft, name), real(2, 3)) for name in ("fft2", "ifft2", "rfft2", "fftn", "ifftn", "rfftn")]
    rows += [case(getattr(fft, name), complexes(2, 3)) for name in ("irfft2", "irfftn")]
    rows += [case(fft.fftn, real(2, 3), s=(4, 2)), case(fft.fftshift, real(5)), case(fft.ifftshift, real(2, 3), axes=1)]
    return rows


CASES: list[Case] = [
    *composed([*exponentials(), *counts(), *systems(), *subspaces(), *special_matrices(), *transforms()]),
    *factors(),
    *of_matrices(),
    *equations(),
]
