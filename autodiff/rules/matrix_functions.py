"""Derivatives of functions of matrices, matrix equations and banded systems.

A cotangent of complex numbers is the conjugate of the gradient, so that transposes stand where adjoints would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..nodes import Node
from ..operator import Operator
from .rows import Explicit, Rule

transpose, matmul = ops.matrix_transpose, ops.matmul


def _derivative(function: Operator, a: Node, direction: Node) -> Node:
    """That of a function of matrices in a direction: the upper right block of f([[a, direction], [0, a]])."""
    n = a.aval.shape[-1]
    above = ops.concatenate([a, direction], -1)
    below = ops.concatenate([ops.full(a.aval.shape, 0, a.aval.dtype), a], -1)
    both = function(ops.concatenate([above, below], -2))
    ndim = a.aval.ndim
    return ops.take_range(ops.take_range(both, ndim - 2, 0, n), ndim - 1, n, 2 * n)


def _of_matrices(function: Operator) -> Rule:
    def pull(ct: Node, out: Node, a: Node) -> Node:
        return _derivative(function, transpose(a), ct)

    def push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> Node:
        return _derivative(function, inputs[0], tangents[0])

    return Explicit(function, (pull,), push, "Higham 2008, Functions of Matrices, (3.16)")


def _sqrtm_pull(ct: Node, x: Node, a: Node) -> Node:
    xt = transpose(x)
    return ops.solve_sylvester_p(xt, xt, ct)


def _sqrtm_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> Node:
    return ops.solve_sylvester_p(x, x, tangents[0])


# --- the equation a x + x b = c --------------------------------------------------------------------------------------


def _sylvester_right(ct: Node, x: Node, a: Node, b: Node, c: Node) -> Node:
    return ops.solve_sylvester_p(transpose(a), transpose(b), ct)


def _sylvester_first(ct: Node, x: Node, a: Node, b: Node, c: Node) -> Node:
    return -matmul(_sylvester_right(ct, x, a, b, c), transpose(x))


def _sylvester_second(ct: Node, x: Node, a: Node, b: Node, c: Node) -> Node:
    return -matmul(transpose(x), _sylvester_right(ct, x, a, b, c))


def _sylvester_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node | None]) -> Node:
    a, b, _ = inputs
    da, db, dc = tangents
    moved = [dc, da and -matmul(da, x), db and -matmul(x, db)]
    return ops.solve_sylvester_p(a, b, _sum(moved))


def _sum(parts: Sequence[Node | None]) -> Node:
    first, *rest = [part for part in parts if part is not None]
    for part in rest:
        first = first + part
    return first


# --- factors with exchanged rows -------------------------------------------------------------------------------------

# Of a' = l u, the matrix whose rows have been exchanged, with packed = l - 1 + u. Beyond the square part,
# l2 = a2' u^-1 and u2 = l^-1 a2'.


def _block(x: Node, rows: tuple[int, int], columns: tuple[int, int]) -> Node:
    ndim = x.aval.ndim
    return ops.take_range(ops.take_range(x, ndim - 2, *rows), ndim - 1, *columns)


def _divided(x: Node, upper: Node) -> Node:
    """x u^-1."""
    return transpose(ops.solve_triangular_p(transpose(upper), transpose(x), lower=True))


def _divided_transposed(x: Node, upper: Node) -> Node:
    """x u^-T."""
    return transpose(ops.solve_triangular_p(upper, transpose(x), lower=False))


def _factors(packed: Node) -> tuple[int, Node, Node]:
    """The size of the square part, and its two factors."""
    k = min(packed.aval.shape[-2:])
    square = _block(packed, (0, k), (0, k))
    return k, ops.unit_lower(square), ops.triangle(square, upper=True)


def _lu_pull(cts: Sequence[Node | None], out: Node, a: Node) -> Node | None:
    ct = cts[0]
    if ct is None:
        return None
    packed, _, order = ops.outputs(out)
    m, n = packed.aval.shape[-2:]
    k, lower, upper = _factors(packed)
    square = _block(ct, (0, k), (0, k))
    of_lower, of_upper = ops.triangle(square, -1), ops.triangle(square, upper=True)
    right = below = None
    if n > k:
        right = ops.solve_triangular_p(transpose(lower), _block(ct, (0, k), (k, n)), lower=False)
        of_lower = of_lower - matmul(right, transpose(_block(packed, (0, k), (k, n))))
    if m > k:
        below = _divided_transposed(_block(ct, (k, m), (0, k)), upper)
        of_upper = of_upper - matmul(transpose(_block(packed, (k, m), (0, k))), below)
    inner = ops.triangle(matmul(transpose(lower), of_lower), -1)
    inner = inner + ops.triangle(matmul(of_upper, transpose(upper)), upper=True)
    found = _divided_transposed(ops.solve_triangular_p(transpose(lower), inner, lower=False), upper)
    if right is not None:
        found = ops.concatenate([found, right], -1)
    if below is not None:
        found = ops.concatenate([found, below], -2)
    return _exchanged_back(found, order)


def _permutation(order: Node, dtype: np.dtype[Any]) -> Node:
    """The matrices by which rows are put into this order."""
    return ops.astype(ops.equal(ops.expand_dims(order, -1), ops.positions(order.aval.shape[-1])), dtype)


def _exchanged_back(x: Node, order: Node) -> Node:
    return matmul(transpose(_permutation(order, x.aval.dtype)), x)


def _lu_push(out: Node, inputs: Sequence[Node], tangents: Sequence[Node]) -> tuple[Node | None, ...]:
    packed, _, order = ops.outputs(out)
    m, n = packed.aval.shape[-2:]
    k, lower, upper = _factors(packed)
    da = matmul(_permutation(order, tangents[0].aval.dtype), tangents[0])
    inner = _divided(ops.solve_triangular_p(lower, _block(da, (0, k), (0, k)), lower=True), upper)
    d_lower = matmul(lower, ops.triangle(inner, -1))
    d_upper = matmul(ops.triangle(inner, upper=True), upper)
    found: Node = d_lower + d_upper
    if n > k:
        changed = _block(da, (0, k), (k, n)) - matmul(d_lower, _block(packed, (0, k), (k, n)))
        found = ops.concatenate([found, ops.solve_triangular_p(lower, changed, lower=True)], -1)
    if m > k:
        changed = _block(da, (k, m), (0, k)) - matmul(_block(packed, (k, m), (0, k)), d_upper)
        found = ops.concatenate([found, _divided(changed, upper)], -2)
    return found, None, None


# --- banded systems --------------------------------------------------------------------------------------------------


def _banded_right(ct: Node, x: Node, ab: Node, b: Node, lower: int, upper: int) -> Node:
    return ops.solve_banded_p(ops.banded_transpose(ab, lower, upper), ct, lower=upper, upper=lower)


def _banded_left(ct: Node, x: Node, ab: Node, b: Node, lower: int, upper: int) -> Node:
    return -ops.banded_outer(_banded_right(ct, x, ab, b, lower, upper), x, lower, upper)


def _banded_push(x: Node, inputs: Sequence[Node], tangents: Sequence[Node | None], *, lower: int, upper: int) -> Node:
    dab, db = tangents
    moved = [db, dab and -ops.banded_product(dab, x, lower, upper)]
    return ops.solve_banded_p(inputs[0], _sum(moved), lower=lower, upper=upper)


RULES: list[Rule] = [
    _of_matrices(ops.expm_p),
    _of_matrices(ops.logm_p),
    Explicit(ops.sqrtm_p, (_sqrtm_pull,), _sqrtm_push, "of x x = a; Higham 2008, 6.1"),
    Explicit(
        ops.solve_sylvester_p,
        (_sylvester_first, _sylvester_second, _sylvester_right),
        _sylvester_push,
        "of a x + x b = c",
    ),
    Explicit(ops.lu_factor_p, (_lu_pull,), _lu_push, "de Hoog, Anderssen and Lukas 2011; rows keep their order"),
    Explicit(ops.solve_banded_p, (_banded_left, _banded_right), _banded_push, "of a x = b"),
]
