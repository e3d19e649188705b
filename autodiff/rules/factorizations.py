"""Derivatives of factorisations.

Of what a factorisation leaves free (signs, phases, the bases that are added) nothing is asked. Where values are equal,
their vectors are free, too, and the derivative of a function of values and vectors is 0 / 0 there: its limit is in no
cotangent. It is 0 where nothing is asked of these values and vectors, as of those that a projector leaves out, and else
NaN. Where values alone are asked for, equal ones share the mean of their cotangents. Those of functions of the spectrum
are equal anyway, and of the greatest value this is the shortest subgradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..convert import literal
from ..nodes import Node
from .linalg import adjoint, conj, diagonal, transpose
from .rows import NONDIFFERENTIABLE, Explicit, Rule, total

matmul = ops.matmul


def row(s: Node) -> Node:
    """As rows, by which columns of matrices are multiplied."""
    return ops.expand_dims(s, -2)


def column(s: Node) -> Node:
    """As columns, by which rows of matrices are multiplied."""
    return ops.expand_dims(s, -1)


def _quiet(values: Node | None, *vectors: Node | None) -> Node | None:
    """Of which values and vectors nothing is asked: their cotangents are 0."""
    found = values and ops.equal(values, 0)
    for g in vectors:
        if g is not None:
            still = ops.all_true(ops.equal(g, 0), axes=(g.aval.ndim - 2,))
            found = still if found is None else ops.logical_and(found, still)
    return found


def _pairs(quiet: Node | None) -> Node:
    """The pairs of values and vectors of which nothing is asked."""
    assert quiet is not None
    return ops.logical_and(row(quiet), column(quiet))


def _divided(x: Node, gap: Node, free: Node) -> Node:
    """x / gap; where the gap is 0, 0 if ``free`` and else NaN."""
    closed = ops.equal(gap, 0)
    return ops.where(closed, ops.where(free, 0.0, literal(float("nan"))), x / ops.where(closed, 1, gap))


def _shared(g: Node, s: Node) -> Node:
    """The mean of ``g`` over equal values."""
    alike = ops.astype(ops.equal(column(s), row(s)), s.aval.dtype)
    return ops.sum(alike * row(g), (s.aval.ndim,)) / ops.sum(alike, (s.aval.ndim,))


def _skew(x: Node) -> Node:
    return x - adjoint(x)


def _columns(a: Node, start: int, stop: int) -> Node:
    whole = stop - start == a.aval.shape[-1]
    return a if whole else ops.take_range(a, a.aval.ndim - 1, start, stop)


def _outside(w: Node, x: Node) -> Node:
    """What of the columns of ``x`` is not in the space of those of ``w``."""
    return x - matmul(w, matmul(adjoint(w), x))


# --- singular values -------------------------------------------------------------------------------------------------


class _Decomposed:
    """A singular value decomposition, with v in place of its adjoint, cut into the k columns that s belongs to."""

    def __init__(self, out: Node, a: Node):
        found = ops.outputs(out)
        if len(found) == 1:
            found = ops.outputs(ops.svd_p(a, full_matrices=False, compute_uv=True))
        self.u, self.s, vh = found
        self.v = adjoint(vh)
        self.k = self.s.aval.shape[-1]
        self.u1, self.v1 = _columns(self.u, 0, self.k), _columns(self.v, 0, self.k)

    def rest(self, w: Node) -> Node | None:
        """The columns beyond k; None if there are none."""
        n = w.aval.shape[-1]
        return _columns(w, self.k, n) if n > self.k else None

    def turned(self, both: Node, apart: Node, free: Node, free_apart: Node) -> Node:
        """How far columns turn into each other: both / (s_j - s_i) + apart / (s_j + s_i), halved."""
        near, far = row(self.s) - column(self.s), row(self.s) + column(self.s)
        still = ops.logical_or(ops.eye(self.k), free)
        return _divided(both, 2 * near, still) + _divided(apart, 2 * far, free_apart)


def _svd_pull(cts: Sequence[Node | None], out: Node, a: Node, *, full_matrices: bool, compute_uv: bool) -> Node:
    gu, gs, gv = cts if compute_uv else (None, cts[0], None)
    d = _Decomposed(out, a)
    if gu is None and gv is None:
        assert gs is not None
        # The size of a number has the slope 0 at 0.
        g = ops.where(ops.equal(d.s, 0), 0, _shared(gs, d.s))
        return conj(matmul(d.u1 * row(g), adjoint(d.v1)))
    gu, gv = gu and conj(gu), gv and transpose(gv)
    pu = gu and matmul(adjoint(d.u1), _columns(gu, 0, d.k))
    pv = gv and matmul(adjoint(d.v1), _columns(gv, 0, d.k))
    ku, kv = pu and _skew(pu), pv and _skew(pv)
    both, apart = total([ku, kv]), total([ku, kv and -kv])
    assert both is not None
    assert apart is not None
    quiet = _quiet(gs, gu and _columns(gu, 0, d.k), gv and _columns(gv, 0, d.k))
    free = _pairs(quiet)
    # A real vector of the value 0 has a sign, and no phase.
    inner = d.turned(both, apart, free, free if a.aval.dtype.kind == "c" else ops.logical_or(ops.eye(d.k), free))
    if gs is not None:
        inner = inner + ops.as_diagonal(gs)
    left = gu and _beyond(d, gu, d.u, d.u1, quiet)
    right = gv and _beyond(d, gv, d.v, d.v1, quiet)
    found = total(
        [
            matmul(matmul(d.u1, inner), adjoint(d.v1)),
            left and matmul(left, adjoint(d.v1)),
            right and matmul(d.u1, adjoint(right)),
        ]
    )
    assert found is not None
    return conj(found)


def _beyond(d: _Decomposed, g: Node, w: Node, w1: Node, quiet: Node | None) -> Node | None:
    """What of the gradient is for changes that are not in the space of the first k columns; None if that is all."""
    if w.aval.shape[-2] == d.k:
        return None
    away = _outside(w1, _columns(g, 0, d.k))
    rest = d.rest(w)
    if rest is not None:
        away = away - matmul(rest, matmul(adjoint(_columns(g, d.k, w.aval.shape[-1])), w1))
    assert quiet is not None
    return _divided(away, row(d.s), ops.logical_and(row(quiet), ops.equal(away, 0)))


def _svd_push(
    out: Node, inputs: Sequence[Node], tangents: Sequence[Node], *, full_matrices: bool, compute_uv: bool
) -> tuple[Node, ...]:
    (a,), (da,) = inputs, tangents
    d = _Decomposed(out, a)
    dp = matmul(adjoint(d.u1), matmul(da, d.v1))
    ds = ops.real(diagonal(dp))
    if not compute_uv:
        return (ops.where(ops.equal(d.s, 0), 0, _shared(ds, d.s)),)
    both, apart = dp + adjoint(dp), _skew(dp)
    free = ops.equal(both, 0), ops.equal(apart, 0)
    du, dv = d.turned(both, apart, *free), d.turned(both, -apart, *free)
    moved = []
    for w, w1, turned, along in (
        (d.u, d.u1, du, matmul(da, d.v1)),
        (d.v, d.v1, dv, matmul(adjoint(da), d.u1)),
    ):
        dw: Node = matmul(w1, turned)
        if w.aval.shape[-2] > d.k:
            away = _outside(w1, along)
            scaled = _divided(away, row(d.s), ops.equal(away, 0))
            dw = dw + scaled
            rest = d.rest(w)
            if rest is not None:
                # What is added stays orthogonal to the columns that move.
                dw = ops.concatenate([dw, -matmul(w1, matmul(adjoint(scaled), rest))], -1)
        moved.append(dw)
    return moved[0], ds, adjoint(moved[1])


# --- eigenvalues -----------------------------------------------------------------------------------------------------


def _with_vectors(primitive: Any, out: Node, a: Node, **params: Any) -> tuple[Node, ...]:
    found = ops.outputs(out)
    return found if len(found) == 2 else ops.outputs(primitive(a, **params, vectors=True))


def _of_vectors(p: Node, w: Node, free: Node) -> Node:
    """How far eigenvectors turn into each other: p_ij / (w_j - w_i)."""
    return _divided(p, row(w) - column(w), ops.logical_or(ops.eye(w.aval.shape[-1]), free))


def _eigh_pull(cts: Sequence[Node | None], out: Node, a: Node, *, upper: bool, vectors: bool) -> Node:
    w, v = _with_vectors(ops.eigh_p, out, a, upper=upper)
    gw, gv = cts if vectors else (cts[0], None)
    if gv is None:
        assert gw is not None
        found = matmul(v * row(_shared(gw, w)), adjoint(v))
    else:
        inner = _of_vectors(_skew(matmul(adjoint(v), conj(gv))) * 0.5, w, _pairs(_quiet(gw, gv)))
        found = matmul(matmul(v, inner if gw is None else inner + ops.as_diagonal(gw)), adjoint(v))
    return conj(ops.to_triangle(found, upper))


def _eigh_push(
    out: Node, inputs: Sequence[Node], tangents: Sequence[Node], *, upper: bool, vectors: bool
) -> tuple[Node, ...]:
    w, v = _with_vectors(ops.eigh_p, out, inputs[0], upper=upper)
    c = matmul(adjoint(v), matmul(ops.from_triangle(tangents[0], upper), v))
    dw = ops.real(diagonal(c))
    if not vectors:
        return (_shared(dw, w),)
    return dw, matmul(v, _of_vectors(c, w, ops.equal(c, 0)))


def _eig_pull(cts: Sequence[Node | None], out: Node, a: Node, *, vectors: bool) -> Node:
    w, v = _with_vectors(ops.eig_p, out, a)
    gw, gv = cts if vectors else (cts[0], None)
    gw, vh = gw and conj(gw), adjoint(v)
    if gv is None:
        assert gw is not None
        inner = ops.as_diagonal(_shared(gw, w))
    else:
        inner = _of_vectors(matmul(vh, _kept(v, conj(gv))), conj(w), _pairs(_quiet(gw, gv)))
        inner = inner if gw is None else inner + ops.as_diagonal(gw)
    return conj(ops.solve_p(vh, matmul(inner, vh)))


def _kept(v: Node, x: Node) -> Node:
    """The change of vectors that stay of length 1; orthogonal projections are their own adjoint."""
    return x - v * ops.expand_dims(ops.sum(ops.real(conj(v) * x), (v.aval.ndim - 2,)), -2)


def _eig_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node], *, vectors: bool) -> tuple[Node, ...]:
    w, v = _with_vectors(ops.eig_p, out, inputs[0])
    c = ops.solve_p(v, matmul(tangents[0], v))
    if not vectors:
        return (_shared(diagonal(c), w),)
    return diagonal(c), _kept(v, matmul(v, _of_vectors(c, w, ops.equal(c, 0))))


# --- orthogonal and triangular factors -------------------------------------------------------------------------------


class _Factored:
    """The factors q and r, cut into the k columns of q and rows of r that are there in the mode "reduced"."""

    def __init__(self, out: Node, a: Node):
        found = ops.outputs(out)
        if len(found) == 1:
            found = ops.outputs(ops.qr_p(a, mode="reduced"))
        self.q, r = found
        self.k = min(a.aval.shape[-2:])
        self.q1 = _columns(self.q, 0, self.k)
        self.r = ops.take_range(r, r.aval.ndim - 2, 0, self.k) if r.aval.shape[-2] > self.k else r
        # Triangular; what is beyond it are products of q and the matrix.
        self.r1 = _columns(self.r, 0, self.k)
        m = self.q.aval.shape[-1]
        self.q2 = _columns(self.q, self.k, m) if m > self.k else None


def _padded(x: Node, axis: int, count: int) -> Node:
    """``x`` with zeros added."""
    if not count:
        return x
    shape = list(x.aval.shape)
    shape[axis] = count
    return ops.concatenate([x, ops.full(tuple(shape), 0, x.aval.dtype)], axis)


def _lower_skew(m: Node) -> Node:
    """The adjoint of ``_rotation``."""
    found = ops.triangle(_skew(m), -1)
    return found + ops.as_diagonal(1j * ops.imag(diagonal(m))) if m.aval.dtype.kind == "c" else found


def _rotation(c: Node) -> Node:
    """The skew part that leaves c - it upper triangular with a real diagonal."""
    lower = ops.triangle(c, -1)
    found = _skew(lower)
    return found + ops.as_diagonal(1j * ops.imag(diagonal(c))) if c.aval.dtype.kind == "c" else found


def _qr_pull(cts: Sequence[Node | None], out: Node, a: Node, *, mode: str) -> Node:
    gq, gr = cts if mode != "r" else (None, cts[0])
    d = _Factored(out, a)
    gq, gr = gq and conj(gq), gr and conj(gr)
    if gr is not None and gr.aval.shape[-2] > d.k:
        gr = ops.take_range(gr, gr.aval.ndim - 2, 0, d.k)
    gq1 = gq and _columns(gq, 0, d.k)
    if gq is not None and d.q2 is not None:
        gq1 = gq1 - matmul(d.q2, matmul(adjoint(_columns(gq, d.k, gq.aval.shape[-1])), d.q1))
    inner = total([gq1 and matmul(adjoint(d.q1), gq1), gr and -matmul(gr, adjoint(d.r))])
    assert inner is not None
    found = matmul(d.q1, _lower_skew(inner))
    if gq1 is not None and a.aval.shape[-2] > d.k:
        found = found + _outside(d.q1, gq1)
    # Divided by r^H from the right.
    found = adjoint(ops.solve_triangular_p(d.r1, adjoint(found), lower=False))
    found = _padded(found, -1, a.aval.shape[-1] - d.k)
    return conj(found if gr is None else found + matmul(d.q1, gr))


def _qr_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node], *, mode: str) -> tuple[Node, ...]:
    (a,), (da,) = inputs, tangents
    d = _Factored(out, a)
    left = transpose(_columns(da, 0, d.k))
    z = transpose(ops.solve_triangular_p(transpose(d.r1), left, lower=True))
    c = matmul(adjoint(d.q1), z)
    turned = _rotation(c)
    dr: Node = matmul(adjoint(d.q1), da) - matmul(turned, d.r)
    if mode == "r":
        return (dr,)
    dq: Node = matmul(d.q1, turned)
    if a.aval.shape[-2] > d.k:
        dq = dq + (z - matmul(d.q1, c))
    if d.q2 is not None:
        dq = ops.concatenate([dq, -matmul(d.q1, matmul(adjoint(dq), d.q2))], -1)
        dr = ops.concatenate(
            [dr, ops.full((*dr.aval.shape[:-2], d.q2.aval.shape[-1], dr.aval.shape[-1]), 0, dr.aval.dtype)], -2
        )
    return dq, dr


# --- pseudo-inverses -------------------------------------------------------------------------------------------------

# Of matrices that keep their rank: if that changes, so do these by more than any bound. Where singular values have been
# left out that are not 0 but for rounding, these formulas do not hold, and the derivative is NaN.
LEFT_OUT = 1000


def _missed(a: Node, p: Node, x: Node) -> Node:
    """What of the columns of ``x`` no column of ``a`` reaches."""
    return x - matmul(a, matmul(p, x))


def _of_rank(a: Node, p: Node, found: Node) -> Node:
    """What was found, where the columns that ``p`` reaches are all of ``a``."""
    if 0 in a.aval.shape[-2:]:
        return found
    axes = (a.aval.ndim - 2, a.aval.ndim - 1)
    sizes = [ops.amax(ops.absolute(ops.stop_gradient(x)), axes=axes) for x in (_missed(a, p, a), a)]
    eps = float(np.finfo(a.aval.dtype).eps)
    whole = ops.less_equal(sizes[0], LEFT_OUT * max(a.aval.shape[-2:]) * eps * sizes[1])
    return ops.where(ops.expand_dims(whole, (-1, -2)), found, math.nan)


def _pinv_pull(ct: Node, p: Node, a: Node, rcond: Node) -> Node:
    g, ph = conj(ct), adjoint(p)
    gh = adjoint(g)
    first = matmul(_missed(a, p, gh), matmul(p, ph))
    third = matmul(matmul(ph, p), adjoint(_missed(p, a, g)))
    return _of_rank(a, p, conj(first + third - matmul(matmul(ph, g), ph)))


def _pinv_push(p: Node, inputs: Sequence[Node], tangents: Sequence[Node | None]) -> Node:
    a, da = inputs[0], tangents[0]
    assert da is not None
    ph, dah = adjoint(p), adjoint(da)
    second = matmul(p, adjoint(_missed(a, p, matmul(da, p))))
    third = _missed(p, a, matmul(dah, matmul(ph, p)))
    return _of_rank(a, p, second + third - matmul(matmul(p, da), p))


def _lstsq_left(ct: Node, x: Node, a: Node, b: Node, rcond: Node) -> Node:
    p = ops.pinv_p(a, rcond)
    g, ph = conj(ct), adjoint(p)
    y = matmul(ph, g)
    second = matmul(b - matmul(a, x), adjoint(matmul(p, y)))
    third = matmul(matmul(ph, x), adjoint(_missed(p, a, g)))
    return _of_rank(a, p, conj(second + third - matmul(y, adjoint(x))))


def _lstsq_right(ct: Node, x: Node, a: Node, b: Node, rcond: Node) -> Node:
    return matmul(transpose(ops.pinv_p(a, rcond)), ct)


def _lstsq_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node | None]) -> Node:
    a, b, rcond = inputs
    da, db, _ = tangents
    p = ops.pinv_p(a, rcond)
    if da is None:
        assert db is not None
        return matmul(p, db)
    dah, ph = adjoint(da), adjoint(p)
    change = matmul(ph, matmul(dah, b - matmul(a, x))) - matmul(da, x)
    found = matmul(p, change if db is None else change + db)
    return _of_rank(a, p, found + _missed(p, a, matmul(dah, matmul(ph, x))))


RULES: list[Rule] = [
    Explicit(ops.svd_p, (_svd_pull,), _svd_push, "Giles 2008, 3.2; Wan and Zhang 2019, arXiv:1909.02659"),
    Explicit(ops.eigh_p, (_eigh_pull,), _eigh_push, "Giles 2008, 3.1"),
    Explicit(ops.eig_p, (_eig_pull,), _eig_push, "Giles 2008, 3.1; vectors stay of length 1"),
    Explicit(ops.qr_p, (_qr_pull,), _qr_push, "Walter and Lehmann 2010, arXiv:1001.1654; Roberts 2020"),
    Explicit(ops.pinv_p, (_pinv_pull, NONDIFFERENTIABLE), _pinv_push, "Golub and Pereyra 1973, 4.12"),
    Explicit(ops.lstsq_p, (_lstsq_left, _lstsq_right, NONDIFFERENTIABLE), _lstsq_push, "Golub and Pereyra 1973, 4.12"),
]
