"""Derivatives of linear algebra; the formulas are from Giles, Collected matrix derivative results (2008).

None of them makes an inverse: they solve, with triangular matrices where there are some. In these rules g is the
gradient, of which a cotangent of complex numbers is the conjugate.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import ops
from ..nodes import Node
from .rows import NONDIFFERENTIABLE, Explicit, Linear, Rule, without

transpose, adjoint, solve = ops.matrix_transpose, ops.adjoint, ops.solve_p


def conj(x: Node) -> Node:
    """The conjugate; of real numbers, they themselves."""
    return ops.conjugate(x) if x.aval.dtype.kind == "c" else x


def diagonal(a: Node) -> Node:
    """The diagonals of matrices."""
    return ops.sum(ops.where(ops.eye(a.aval.shape[-1]), a, 0), (a.aval.ndim - 1,))


def trace(a: Node) -> Node:
    """The traces of matrices, as matrices of one element."""
    return ops.expand_dims(ops.sum(diagonal(a), (a.aval.ndim - 2,)), (-1, -2))


# --- solving ---------------------------------------------------------------------------------------------------------


def _solve_left(ct: Node, x: Node, a: Node, b: Node) -> Node:
    return -ops.matmul(_solve_right(ct, x, a, b), transpose(x))


def _solve_right(ct: Node, x: Node, a: Node, b: Node) -> Node:
    return solve(transpose(a), ct)


def _solve_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node | None]) -> Node:
    a, _ = inputs
    return solve(a, _moved(x, tangents))


def _moved(x: Node, tangents: Sequence[Node | None]) -> Node:
    """By what the right-hand side has changed, if x is to be the same: b' - a' x."""
    da, db = tangents
    if da is None:
        assert db is not None
        return db
    return -ops.matmul(da, x) if db is None else db - ops.matmul(da, x)


def _triangular_left(ct: Node, x: Node, a: Node, b: Node, lower: bool) -> Node:
    return ops.triangle(-ops.matmul(_triangular_right(ct, x, a, b, lower), transpose(x)), upper=not lower)


def _triangular_right(ct: Node, x: Node, a: Node, b: Node, lower: bool) -> Node:
    return ops.solve_triangular_p(transpose(a), ct, lower=not lower)


def _triangular_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node | None], *, lower: bool) -> Node:
    a, _ = inputs
    da, db = tangents
    da = da and ops.triangle(da, upper=not lower)
    return ops.solve_triangular_p(a, _moved(x, (da, db)), lower=lower)


def _inv_pull(ct: Node, x: Node, a: Node) -> Node:
    return -ops.matmul(ops.matmul(transpose(x), ct), transpose(x))


def _inv_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> Node:
    return -ops.matmul(ops.matmul(x, tangents[0]), x)


# --- the Cholesky factor ---------------------------------------------------------------------------------------------


def _half(a: Node) -> Node:
    """The lower triangular x for which x + x^H is ``a``, if that is Hermitian; its diagonal is real."""
    return ops.where(ops.eye(a.aval.shape[-1]), ops.real(a) * 0.5, ops.triangle(a, -1))


def _cholesky_pull(ct: Node, out: Node, a: Node) -> Node:
    upper = adjoint(out)
    half = ops.solve_triangular_p(upper, _half(ops.matmul(upper, conj(ct))), lower=False)
    found = ops.solve_triangular_p(upper, adjoint(half), lower=False)
    return conj(ops.to_triangle(adjoint(found)))


def _cholesky_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> Node:
    left = ops.solve_triangular_p(out, ops.from_triangle(tangents[0]), lower=True)
    both = ops.solve_triangular_p(out, adjoint(left), lower=True)
    return ops.matmul(out, _half(both))


# --- determinants ----------------------------------------------------------------------------------------------------


def _det_pull(ct: Node, out: Node, a: Node) -> Node:
    return ops.expand_dims(ct, (-1, -2)) * ops.cofactors(a)


def _det_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> Node:
    return _contracted(ops.cofactors(inputs[0]), tangents[0])


def _contracted(x: Node, y: Node) -> Node:
    return ops.sum(x * y, (x.aval.ndim - 2, x.aval.ndim - 1))


def _cofactors_pull(ct: Node, out: Node, a: Node) -> Node:
    w = solve(a, ct)
    return trace(w) * out - ops.matmul(out, transpose(w))


def _cofactors_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> Node:
    (a,), (da,) = inputs, tangents
    change = ops.expand_dims(_contracted(out, da), (-1, -2))
    moved = ops.where(ops.eye(a.aval.shape[-1]), change, 0) - ops.matmul(transpose(da), out)
    return solve(transpose(a), moved)


def _inverse_transposed(a: Node) -> Node:
    """The derivative of log(det), as the solution of a^T x = 1."""
    return solve(transpose(a), ops.identity_like(a))


def _slogdet_pull(cts: Sequence[Node | None], out: Node, a: Node) -> Node | None:
    of_sign, ct = cts
    if a.aval.dtype.kind == "c" and of_sign is not None:
        # The sign is exp(i arg(det)), of which the derivative is the imaginary part of that of log(det).
        turned = 1j * ops.imag(of_sign * ops.outputs(out)[0])
        ct = turned if ct is None else ct + turned
    return ct and ops.expand_dims(ct, (-1, -2)) * _inverse_transposed(a)


def _slogdet_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> tuple[Node | None, Node]:
    change = _contracted(_inverse_transposed(inputs[0]), tangents[0])
    if change.aval.dtype.kind != "c":
        return None, change
    return ops.outputs(out)[0] * (1j * ops.imag(change)), ops.real(change)


RULES: list[Rule] = [
    Linear(ops.as_diagonal_p, (lambda ct, out, s: diagonal(ct),)),
    Explicit(ops.solve_p, (_solve_left, _solve_right), _solve_push, "Giles 2008, 2.3.1"),
    Explicit(ops.solve_triangular_p, (_triangular_left, _triangular_right), _triangular_push, "Giles 2008, 2.3.1"),
    # The inverse is what was asked for.
    Explicit(ops.inv_p, (_inv_pull,), _inv_push, "Giles 2008, 2.2.3"),
    Explicit(ops.cholesky_p, (_cholesky_pull,), _cholesky_push, "Giles 2008; Murray 2016, arXiv:1602.07527"),
    Explicit(ops.det_p, (_det_pull,), _det_push, "Giles 2008, 2.2.4"),
    Explicit(
        ops.cofactors_p,
        (_cofactors_pull,),
        _cofactors_push,
        "Giles 2008, of det(a) / a; singular: an error",
    ),
    Explicit(ops.slogdet_p, (_slogdet_pull,), _slogdet_push, "Giles 2008, 2.2.4"),
    # Derivatives are taken before plans are made.
    *without(NONDIFFERENTIABLE, ops.lu_p, ops.lu_solve_p, ops.lu_slogdet_p, ops.lu_det_p),
]
