"""Derivatives of linear algebra; the formulas are from Giles, Collected matrix derivative results (2008)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import ops
from ..convert import as_node
from ..nodes import Node
from .rows import Explicit, Rule, total


def _solve_left(ct: Node, x: Node, a: Node, b: Node) -> Node:
    return -ops.matmul(_solve_right(ct, x, a, b), ops.matrix_transpose(x))


def _solve_right(ct: Node, x: Node, a: Node, b: Node) -> Node:
    return ops.solve_p(ops.matrix_transpose(a), ct)


def _solve_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node | None]) -> Node:
    a, _ = inputs
    da, db = tangents
    if da is None:
        assert db is not None
        return ops.solve_p(a, db)
    moved = ops.matmul(da, x)
    return ops.solve_p(a, -moved if db is None else db - moved)


def _columns(a: Node, start: int, stop: int) -> Node:
    whole = stop - start == a.aval.shape[-1]
    return a if whole else ops.take_range(a, a.aval.ndim - 1, start, stop)


def _diagonal(s: Node) -> Node:
    """Diagonal matrices."""
    n = s.aval.shape[-1]
    return ops.where(as_node(np.eye(n, dtype=bool)), ops.expand_dims(s, -1), 0)


def _gaps(s: Node) -> Node:
    """1 / (s_j^2 - s_i^2), and 0 on the diagonal."""
    n = s.aval.shape[-1]
    first, second = ops.expand_dims(s, -1), ops.expand_dims(s, -2)
    same = as_node(np.eye(n, dtype=bool))
    return ops.where(same, 0, ops.reciprocal(ops.where(same, 1, (second - first) * (second + first))))


class _Decomposed:
    """A singular value decomposition, with v in place of its adjoint, cut into the k columns that s belongs to."""

    def __init__(self, out: Node, a: Node):
        found = ops.outputs(out)
        if len(found) == 1:
            found = ops.outputs(ops.svd_p(a, full_matrices=False, compute_uv=True))
        self.u, self.s, vh = found
        self.v = ops.adjoint(vh)
        self.k = self.s.aval.shape[-1]
        self.u1, self.v1 = _columns(self.u, 0, self.k), _columns(self.v, 0, self.k)
        # As rows, by which columns are multiplied.
        self.row = ops.expand_dims(self.s, -2)

    def rest(self, w: Node) -> Node | None:
        """The columns beyond k; None if there are none."""
        n = w.aval.shape[-1]
        return _columns(w, self.k, n) if n > self.k else None


def _outside(w1: Node, x: Node) -> Node:
    """What of the columns of ``x`` is not in the space of those of ``w1``."""
    return x - ops.matmul(w1, ops.matmul(ops.adjoint(w1), x))


def _svd_pull(cts: Sequence[Node | None], out: Node, a: Node, *, full_matrices: bool, compute_uv: bool) -> Node:
    """The cotangent of the matrix. Of what is free (phases, and the basis of what u and v add), nothing is asked."""
    gu, gs, gv = cts if compute_uv else (None, cts[0], None)
    d = _Decomposed(out, a)
    # Formulas are for gradients, which cotangents of complex numbers are the conjugates of.
    gu, gv = gu and ops.conjugate(gu), gv and ops.matrix_transpose(gv)
    inner: Node | None = gs and _diagonal(gs)
    left = right = None
    for g, w, w1, is_left in ((gu, d.u, d.u1, True), (gv, d.v, d.v1, False)):
        if g is None:
            continue
        turned = ops.matmul(ops.adjoint(w1), _columns(g, 0, d.k))
        spread = _gaps(d.s) * turned
        both = spread + ops.adjoint(spread)
        part = both * d.row if is_left else both * ops.expand_dims(d.s, -1)
        if a.aval.dtype.kind == "c":
            phase = ops.imag(turned) / (2 * d.row)
            part = part + _diagonal_of(1j * phase if is_left else -1j * phase)
        inner = part if inner is None else inner + part
        if w.aval.shape[-2] > d.k:
            away = _outside(w1, _columns(g, 0, d.k))
            rest = d.rest(w)
            if rest is not None:
                g2 = _columns(g, d.k, w.aval.shape[-1])
                away = away - ops.matmul(rest, ops.matmul(ops.adjoint(g2), w1))
            if is_left:
                left = ops.matmul(away / d.row, ops.adjoint(d.v1))
            else:
                right = ops.matmul(d.u1, ops.adjoint(away / d.row))
    assert inner is not None
    found = total([ops.matmul(ops.matmul(d.u1, inner), ops.adjoint(d.v1)), left, right])
    assert found is not None
    return ops.conjugate(found)


def _diagonal_of(x: Node) -> Node:
    """The matrices without what is not on their diagonals."""
    return ops.where(as_node(np.eye(x.aval.shape[-1], dtype=bool)), x, 0)


def _svd_push(
    out: Node, inputs: Sequence[Node], tangents: Sequence[Node], *, full_matrices: bool, compute_uv: bool
) -> tuple[Node, ...]:
    """The tangents of u, s and vh; of what is free, none."""
    (a,), (da,) = inputs, tangents
    d = _Decomposed(out, a)
    dp = ops.matmul(ops.adjoint(d.u1), ops.matmul(da, d.v1))
    ds = ops.real(ops.sum(_diagonal_of(dp), (dp.aval.ndim - 1,)))
    if not compute_uv:
        return (ds,)
    column, gaps, dp_h = ops.expand_dims(d.s, -1), _gaps(d.s), ops.adjoint(dp)
    du = gaps * (dp * d.row + column * dp_h)
    dv = gaps * (column * dp + dp_h * d.row)
    if a.aval.dtype.kind == "c":
        phase = _diagonal_of(1j * (ops.imag(dp) / (2 * d.row)))
        du, dv = du + phase, dv - phase
    moved = []
    for w, w1, turned, along in (
        (d.u, d.u1, du, ops.matmul(da, d.v1)),
        (d.v, d.v1, dv, ops.matmul(ops.adjoint(da), d.u1)),
    ):
        dw: Node = ops.matmul(w1, turned)
        if w.aval.shape[-2] > d.k:
            scaled = along / d.row
            dw = dw + _outside(w1, scaled)
            rest = d.rest(w)
            if rest is not None:
                # What is added stays orthogonal to the columns that move.
                back = ops.matmul(ops.adjoint(scaled), rest)
                dw = ops.concatenate([dw, -ops.matmul(w1, back)], -1)
        moved.append(dw)
    return moved[0], ds, ops.adjoint(moved[1])


RULES: list[Rule] = [
    Explicit(ops.svd_p, (_svd_pull,), _svd_push, "Giles 2008; Wan and Zhang 2019, arXiv:1909.02659"),
    Explicit(ops.solve_p, (_solve_left, _solve_right), _solve_push, "Giles 2008, 2.3.1"),
]
