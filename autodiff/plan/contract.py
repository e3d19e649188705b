"""Sums of products that nothing else needs as inner and matrix products, which do not store the products.

A sum chooses the order of its additions, so this is done to what a user wrote too: each product is what it was, or is
not rounded at all. Half precision is left alone, where a product that is not rounded does not overflow either.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from .. import ops
from ..core.avals import Aval
from ..core.primitives import Signature
from ..core.program import Program, prune

CONTRACTED = (np.dtype(np.float32), np.dtype(np.float64))

# Longer rows are added up by NumPy, in pairs: a matrix product adds up in few lanes.
LONGEST_ROW = 1 << 11


def contract_sums(program: Program) -> Program:
    """The same program with every sum of a product contracted, if the product has no other use."""
    uses = Counter(a for number in program.live() for a in program.arguments[number])
    uses.update(program.outputs)

    def contracted(result: Program, number: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if signature.primitive is not ops.sum_p or uses[program.arguments[number][0]] != 1:
            return None
        return sum_of_product(result, signature, arguments)

    return prune(prune(program, contracted))


def sum_of_product(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(x * y) = the inner product of x and y; a matrix product where one of them is repeated along the rest."""
    (value,) = arguments
    if p.heads[value] not in (ops.multiply, ops.square) or signature.out.dtype not in CONTRACTED:
        return None
    parts = p.arguments[value]
    first, second = parts if len(parts) == 2 else parts * 2
    full = p.avals[value]
    if full.size == 1:
        return None  # one number is best left to scalar arithmetic
    if p.avals[first] is p.avals[second] is full:
        return p.call(ops.inner_product, first, second, params=signature.params)
    if full.ndim != 2 or len(signature.params[0]) != 1:
        return None
    ((axis,),) = signature.params
    if full.shape[axis] == 1:
        # NumPy's product with one number leaves out a factor of 0, beside NaN too.
        return None
    for x, y in ((first, second), (second, first)):
        if p.avals[x] is full and p.avals[y].dtype == full.dtype:
            repeated = (1,) * (2 - p.avals[y].ndim) + p.avals[y].shape
            fits = axis == 0 or full.shape[axis] <= LONGEST_ROW
            if fits and repeated[1 - axis] == 1 and repeated[axis] == full.shape[axis]:
                return _matrix_by_vector(p, x, y, axis, signature.out)
    return None


def _matrix_by_vector(p: Program, matrix: int, vector: int, axis: int, out: Aval) -> int:
    """The sum over an axis of a matrix times a vector along that axis, as a matrix product."""
    length = p.avals[matrix].shape[axis]
    if axis == 1:
        column = p.call(ops.reshape_p, vector, params=((length, 1),))
        product = p.call(ops.matmul_p, matrix, column)
    else:
        row = p.call(ops.reshape_p, vector, params=((1, length),))
        product = p.call(ops.matmul_p, row, matrix)
    return p.call(ops.reshape_p, product, params=(out.shape,))
