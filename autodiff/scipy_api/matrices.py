"""Functions of ``scipy.linalg`` that NumPy has nothing like: of matrices, their equations, and special matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import integer, word
from ..errors import ArgumentError, ShapeError, UnsupportedError
from ..nodes import Node
from ..numpy_api.calling import Handler
from ..numpy_api.creation import joined
from ..tensor import Tensor, wrap
from .arguments import double, inexact, matrix

# --- functions of matrices -------------------------------------------------------------------------------------------


def _expm_of(x: Node) -> Node:
    return ops.exp(x) if x.aval.shape[-1] == 1 else ops.expm_p(x)


def _expm(A: Any) -> Any:
    node = joined(A)
    if node.aval.ndim < 2 and node.aval.size == 1:
        return wrap(ops.exp(ops.reshape(node, (1, 1))))
    return wrap(_expm_of(matrix(A, "expm", square=True)))


def _no_estimate(disp: Any, name: str) -> None:
    if disp is False:
        raise UnsupportedError(f"{name}: disp=False gives an estimate of the error, which has no derivative; leave it")


def _logm(A: Any, disp: Any = True) -> Any:
    _no_estimate(disp, "logm")
    return wrap(ops.logm_p(matrix(A, "logm", square=True)))


def _sqrtm(A: Any, disp: Any = True, blocksize: Any = 64) -> Any:
    _no_estimate(disp, "sqrtm")
    return wrap(ops.sqrtm_p(matrix(A, "sqrtm", square=True)))


def _signm(A: Any, disp: Any = True) -> Any:
    _no_estimate(disp, "signm")
    x = matrix(A, "signm", square=True)
    return wrap(ops.solve(ops.sqrtm_p(ops.matmul(x, x)), x))


def _fractional_matrix_power(A: Any, t: Any) -> Any:
    if not isinstance(t, Tensor) and t == int(t):
        return wrap(ops.matrix_power(joined(A), int(t)))
    x = matrix(A, "fractional_matrix_power", square=True)
    return wrap(_expm_of(joined(t) * ops.logm_p(x)))


def _expm_frechet(A: Any, E: Any, method: Any = None, compute_expm: Any = True, check_finite: Any = True) -> Any:
    a, e = [double(x) for x in inexact(A, E)]
    ops.check_square("expm_frechet", a)
    if a.aval.shape != e.aval.shape or a.aval.ndim != 2:
        raise ShapeError(f"expm_frechet({a.aval!r}, {e.aval!r}): it takes two square matrices of one size")
    n = a.aval.shape[-1]
    blocks = [[a, e], [ops.full((n, n), 0, a.aval.dtype), a]]
    both = ops.expm_p(ops.concatenate([ops.concatenate(row, 1) for row in blocks], 0))
    derivative = ops.take_slices(both, slice(n), slice(n, None))
    return (wrap(ops.take_slices(both, slice(n), slice(n))), wrap(derivative)) if compute_expm else wrap(derivative)


def _parts(name: str, A: Any) -> tuple[Node, Node, bool]:
    """expm(i a) and expm(-i a), and whether ``a`` is real, so that the second is the conjugate of the first."""
    x = matrix(A, name, square=True)
    if x.aval.dtype.kind != "c":
        first = _expm_of(1j * x)
        return first, first, True
    return _expm_of(1j * x), _expm_of(-1j * x), False


def _cosine(name: str, A: Any) -> Node:
    first, second, is_real = _parts(name, A)
    return ops.real(first) if is_real else 0.5 * (first + second)


def _sine(name: str, A: Any) -> Node:
    first, second, is_real = _parts(name, A)
    return ops.imag(first) if is_real else -0.5j * (first - second)


def _hyperbolic(name: str, A: Any, sign: float) -> Node:
    x = matrix(A, name, square=True)
    return 0.5 * (_expm_of(x) + sign * _expm_of(-x))


# --- equations -------------------------------------------------------------------------------------------------------


def _sylvester(name: str, *operands: Any) -> Node:
    a, b, q = [matrix(x, name) for x in operands]
    dtype = ops.matrix_dtype(name, a, b, q)
    for x in (a, b):
        ops.check_square(name, x)
    if q.aval.shape[-2:] != (a.aval.shape[-1], b.aval.shape[-1]):
        raise ShapeError(
            f"{name}({a.aval!r}, {b.aval!r}, {q.aval!r}): the right-hand side must have as many rows as "
            "the first matrix, and as many columns as the second"
        )
    ndim = max(x.aval.ndim for x in (a, b, q))
    a, b, q = [ops.astype(ops.reshape(x, (*(1,) * (ndim - x.aval.ndim), *x.aval.shape)), dtype) for x in (a, b, q)]
    return ops.solve_sylvester_p(a, b, q)


def _solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    return wrap(_sylvester("solve_sylvester", a, b, q))


def _solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    x = matrix(a, "solve_continuous_lyapunov", square=True)
    return wrap(_sylvester("solve_continuous_lyapunov", wrap(x), wrap(ops.adjoint(x)), q))


def _solve_discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    # x = a x a^H + q by the bilinear map, for which no eigenvalue of a may be -1; or as one system of all elements.
    name = "solve_discrete_lyapunov"
    x, y = [double(matrix(v, name, square=True)) for v in (a, q)]
    n = x.aval.shape[-1]
    if method is None:
        method = "bilinear" if n >= 10 else "direct"
    if word(str(method).lower(), f"{name}: method", ("direct", "bilinear")) == "direct":
        dtype = ops.matrix_dtype(name, x, y)
        x, y = ops.astype(x, dtype), ops.astype(y, dtype)
        conjugate = ops.conjugate(x) if dtype.kind == "c" else x
        # Row by row, the elements of a x a^H are those of x times the products of elements of a.
        pairs = ops.expand_dims(x, (-3, -1)) * ops.expand_dims(conjugate, (-4, -2))
        products = ops.reshape(pairs, (*x.aval.shape[:-2], n * n, n * n))
        system = ops.identity_like(products) - products
        found = ops.solve(system, ops.reshape(y, (*y.aval.shape[:-2], n * n, 1)))
        return wrap(ops.reshape(found, (*found.aval.shape[:-2], n, n)))
    one = ops.identity_like(x)
    plus = x + one
    # b = (x + 1)^-1 (x - 1), and c = 2 (x + 1)^-1 y (x + 1)^-H.
    b = ops.solve(plus, x - one)
    c = 2 * ops.adjoint(ops.solve(plus, ops.adjoint(ops.solve(plus, y))))
    return wrap(_sylvester(name, wrap(b), wrap(ops.adjoint(b)), wrap(-c)))


# --- structured systems ----------------------------------------------------------------------------------------------


def _banded(ab: Any, b: Any, lower: int, upper: int, name: str) -> Any:
    x, y = matrix(ab, name), joined(b)
    dtype = ops.matrix_dtype(name, x, y)
    is_vector = y.aval.ndim == 1
    columns = ops.expand_dims(y, 1) if is_vector else y
    if columns.aval.ndim < 2 or columns.aval.shape[-2] != x.aval.shape[-1]:
        raise ShapeError(f"{name}({x.aval!r}, {y.aval!r}): both must have as many elements along a diagonal")
    if lower + upper + 1 != x.aval.shape[-2]:
        raise ShapeError(
            f"{name}: {x.aval!r} must have {lower + upper + 1} rows: {lower} diagonals below, {upper} above"
        )
    ndim = max(x.aval.ndim, columns.aval.ndim)
    x, columns = [
        ops.astype(ops.reshape(v, (*(1,) * (ndim - v.aval.ndim), *v.aval.shape)), dtype) for v in (x, columns)
    ]
    found = ops.solve_banded_p(x, columns, lower=lower, upper=upper)
    return wrap(ops.squeeze(found, (-1,)) if is_vector else found)


def _solve_banded(
    l_and_u: Any, ab: Any, b: Any, overwrite_ab: Any = False, overwrite_b: Any = False, check_finite: Any = True
) -> Any:
    lower, upper = (integer(k, "solve_banded: l_and_u", low=0) for k in l_and_u)
    return _banded(ab, b, lower, upper, "solve_banded")


def _solveh_banded(
    ab: Any,
    b: Any,
    overwrite_ab: Any = False,
    overwrite_b: Any = False,
    lower: Any = False,
    check_finite: Any = True,
) -> Any:
    x = matrix(ab, "solveh_banded")
    k = x.aval.shape[-2] - 1
    rows = [ops.take_range(x, x.aval.ndim - 2, i, i + 1) for i in range(k + 1)]
    mirrored = [ops.conjugate(row) for row in rows] if x.aval.dtype.kind == "c" else rows
    if lower:
        middle, below = rows[0], rows[1:]
        above = [ops.shifted(mirrored[i], i, -1) for i in range(k, 0, -1)]
    else:
        middle, above = rows[k], rows[:k]
        below = [ops.shifted(mirrored[k - i], -i, -1) for i in range(1, k + 1)]
    middle = ops.astype(ops.real(middle), x.aval.dtype)
    whole = ops.concatenate([*above, middle, *below], x.aval.ndim - 2)
    return _banded(wrap(whole), b, k, k, "solveh_banded")


def _solve_toeplitz(c_or_cr: Any, b: Any, check_finite: Any = True) -> Any:
    first, row = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return wrap(ops.solve(_toeplitz(first, row).node, joined(b)))


def _matmul_toeplitz(c_or_cr: Any, x: Any, check_finite: Any = False, workers: Any = None) -> Any:
    first, row = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return wrap(ops.matmul(double(_toeplitz(first, row).node), double(joined(x))))


def _solve_circulant(
    c: Any, b: Any, singular: Any = "raise", tol: Any = None, caxis: Any = -1, baxis: Any = 0, outaxis: Any = 0
) -> Any:
    word(singular, "solve_circulant: singular", ("raise", "lstsq"))
    x, y = _vector(c), _vector(b)
    n = x.shape[caxis]
    if n != y.shape[baxis]:
        raise ShapeError(f"solve_circulant({x.node.aval!r}, {y.node.aval!r}): the axes must be of one size")
    values: Any = np.fft.fft(np.moveaxis(x, caxis, -1), axis=-1)
    sizes = np.abs(values)
    if tol is None:
        tol = np.max(sizes, axis=-1, keepdims=True) * n * float(np.finfo(np.float64).eps)
    zero = sizes <= tol
    # SciPy raises where it is singular; which values an argument has is not known here.
    missing = np.nan if singular == "raise" else 0.0
    parts = np.fft.fft(np.moveaxis(y, baxis, -1), axis=-1) / np.where(zero, 1, values)
    found: Any = np.fft.ifft(np.where(zero, missing, parts), axis=-1)
    is_real = x.dtype.kind != "c" and y.dtype.kind != "c"
    return np.moveaxis(found.real if is_real else found, -1, outaxis)


# --- special matrices ------------------------------------------------------------------------------------------------


def _vector(x: Any) -> Any:
    node = joined(x)
    return wrap(node if node.aval.ndim else ops.reshape(node, (1,)))


def _picked(values: Any, places: np.ndarray[Any, Any]) -> Any:
    """The elements along the last axis at these places."""
    return np.take(values, places, axis=-1)


def _differences(m: int, n: int) -> np.ndarray[Any, Any]:
    return np.arange(m)[:, None] - np.arange(n)


def _toeplitz(c: Any, r: Any = None) -> Any:
    column = _vector(c)
    row: Any = np.conj(column) if r is None else _vector(r)
    batch = np.broadcast_shapes(column.shape[:-1], row.shape[:-1])
    m, n = column.shape[-1], row.shape[-1]
    parts = [np.broadcast_to(x, (*batch, x.shape[-1])) for x in (column[..., ::-1], row[..., 1:])]
    values = np.concatenate(parts, axis=-1)
    return _picked(values, m - 1 - _differences(m, n))


def _hankel(c: Any, r: Any = None) -> Any:
    column: Any = np.ravel(_vector(c))
    row: Any = np.ravel(_vector(np.zeros(column.size, column.dtype) if r is None else r))
    values = np.concatenate([column, row[1:]])
    return _picked(values, np.arange(column.size)[:, None] + np.arange(row.size))


def _circulant(c: Any) -> Any:
    column = _vector(c)
    n = column.shape[-1]
    return _picked(column, _differences(n, n) % n if n else _differences(0, 0))


def _block_diag(*arrs: Any) -> Any:
    nodes = [joined(x) for x in arrs]
    nodes = [ops.reshape(x, (*(1,) * (2 - x.aval.ndim), *x.aval.shape)) for x in nodes]
    dtype = np.result_type(*[x.aval.dtype for x in nodes])
    batch = np.broadcast_shapes(*[x.aval.shape[:-2] for x in nodes])
    nodes = [ops.broadcast_to(ops.astype(x, dtype), (*batch, *x.aval.shape[-2:])) for x in nodes]
    widths = [x.aval.shape[-1] for x in nodes]
    rows = []
    for i, x in enumerate(nodes):
        height = x.aval.shape[-2]
        left, right = ops.full((*batch, height, sum(widths[:i])), 0, dtype), sum(widths[i + 1 :])
        rows.append(ops.concatenate([left, x, ops.full((*batch, height, right), 0, dtype)], len(batch) + 1))
    return wrap(ops.concatenate(rows, len(batch)))


def _companion(a: Any) -> Any:
    x = _vector(a)
    n = x.shape[-1] - 1
    if n < 1:
        raise ArgumentError(f"companion({x.node.aval!r}): the last axis must have two elements at least")
    row = -x[..., 1:] / (1.0 * x[..., :1])
    below = np.broadcast_to(np.eye(n - 1, n, dtype=row.dtype), (*x.shape[:-1], n - 1, n))
    return np.concatenate([row[..., None, :], below], axis=-2)


def _khatri_rao(a: Any, b: Any) -> Any:
    x, y = (wrap(joined(v)) for v in (a, b))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ShapeError(f"khatri_rao({x.node.aval!r}, {y.node.aval!r}): it takes matrices of as many columns")
    return np.reshape(x[:, None, :] * y[None, :, :], (x.shape[0] * y.shape[0], x.shape[1]))


def _convolution_matrix(a: Any, n: Any, mode: Any = "full") -> Any:
    x, n = _vector(a), integer(n, "convolution_matrix: n", low=1)
    word(mode, "convolution_matrix: mode", ("full", "valid", "same"))
    m = x.shape[-1]
    trim = 0 if mode == "full" else min(n, m) - 1
    first = trim // 2 if mode == "same" else trim
    last = trim - first if mode == "same" else trim
    places = _differences(m + n - 1, n)[first : m + n - 1 - last]
    return np.where((places >= 0) & (places < m), _picked(x, np.clip(places, 0, m - 1)), 0)


def _fiedler(a: Any) -> Any:
    x = _vector(a)
    return np.abs(x[..., :, None] - x[..., None, :])


def _leslie(f: Any, s: Any) -> Any:
    x, y = _vector(f), _vector(s)
    if x.ndim != 1 or y.ndim != 1 or x.size != y.size + 1 or y.size < 1:
        raise ShapeError(f"leslie({x.node.aval!r}, {y.node.aval!r}): the first vector must have one element more")
    return np.concatenate([x[None], np.diag(y) @ np.eye(y.size, x.size, dtype=y.dtype)])


def _diagsvd(s: Any, M: Any, N: Any) -> Any:
    x = _vector(s)
    rows, columns = integer(M, "diagsvd: M", low=0), integer(N, "diagsvd: N", low=0)
    if x.size not in (rows, columns):
        raise ArgumentError(
            f"diagsvd: {x.node.aval!r} must have as many elements as there are rows, {rows}, or columns, {columns}"
        )
    return (
        np.diag(x) @ np.eye(x.size, columns, dtype=x.dtype)
        if x.size == rows
        else np.eye(rows, x.size, dtype=x.dtype) @ np.diag(x)
    )


def _orthogonal_procrustes(A: Any, B: Any, check_finite: Any = True) -> Any:
    a, b = inexact(A, B)
    if a.aval.ndim != 2 or a.aval.shape != b.aval.shape:
        raise ShapeError(f"orthogonal_procrustes({a.aval!r}, {b.aval!r}): it takes two matrices of one shape")
    u, w, vh = ops.svd(ops.matmul(ops.adjoint(a), b), full_matrices=False)
    return wrap(ops.matmul(u, vh)), wrap(ops.sum(w, (0,)))


TABLE: dict[str, Handler] = {
    "expm": _expm,
    "logm": _logm,
    "sqrtm": _sqrtm,
    "signm": _signm,
    "fractional_matrix_power": _fractional_matrix_power,
    "expm_frechet": _expm_frechet,
    "cosm": lambda A: wrap(_cosine("cosm", A)),
    "sinm": lambda A: wrap(_sine("sinm", A)),
    "tanm": lambda A: wrap(ops.solve(_cosine("tanm", A), _sine("tanm", A))),
    "coshm": lambda A: wrap(_hyperbolic("coshm", A, 1)),
    "sinhm": lambda A: wrap(_hyperbolic("sinhm", A, -1)),
    "tanhm": lambda A: wrap(ops.solve(_hyperbolic("tanhm", A, 1), _hyperbolic("tanhm", A, -1))),
    "solve_sylvester": _solve_sylvester,
    "solve_continuous_lyapunov": _solve_continuous_lyapunov,
    "solve_lyapunov": _solve_continuous_lyapunov,
    "solve_discrete_lyapunov": _solve_discrete_lyapunov,
    "solve_banded": _solve_banded,
    "solveh_banded": _solveh_banded,
    "solve_toeplitz": _solve_toeplitz,
    "solve_circulant": _solve_circulant,
    "matmul_toeplitz": _matmul_toeplitz,
    "toeplitz": _toeplitz,
    "hankel": _hankel,
    "circulant": _circulant,
    "block_diag": _block_diag,
    "companion": _companion,
    "khatri_rao": _khatri_rao,
    "convolution_matrix": _convolution_matrix,
    "fiedler": _fiedler,
    "leslie": _leslie,
    "diagsvd": _diagsvd,
    "orthogonal_procrustes": _orthogonal_procrustes,
}
