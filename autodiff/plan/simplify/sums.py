"""Rows of sums: what a sum is moved past, and when."""

from __future__ import annotations

from ... import ops
from ...core.avals import Aval
from ...core.primitives import Signature
from ...core.program import NUMBER, Program
from .rows import DERIVED, IN_SUMS, WATCHED, Special, holds, weak_number

add, subtract, multiply, negative = ops.add, ops.subtract, ops.multiply, ops.negative


def sum_of_broadcast(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(broadcast(x)) over axes where x is repeated = n * (sum over the others).

    One rounding instead of many. NumPy's sums begin with 0, so that none of what a user wrote is -0.
    """
    (value,) = arguments
    if not p.is_primitive(value, ops.broadcast_to_p) or signature.out.dtype.kind not in "fc":
        return None
    (source,) = p.arguments[value]
    (axes,) = signature.params
    shape, inner = p.avals[value].shape, p.avals[source].shape
    extra = len(shape) - len(inner)
    count = 1
    rest = []
    for a in axes:
        if a < extra or (inner[a - extra] == 1 and shape[a] != 1):
            count *= shape[a]
        else:
            rest.append(a)
    if count <= 1 or not holds(signature.out.dtype, count):
        return None
    kept = tuple([n for a, n in enumerate(shape) if a not in axes or a in rest])
    dropped = [n for a, n in enumerate(shape) if a >= extra and (a not in axes or a in rest)]
    small = tuple([inner[a - extra] for a in range(extra, len(shape)) if a not in axes or a in rest])
    reduced = p.call(ops.reshape_p, source, params=(small,)) if small != inner else source
    if rest:
        survivors = [a for a in range(len(shape)) if a not in axes or a in rest]
        if len(dropped) != len(kept):
            return None
        reduced = p.call(ops.sum_p, reduced, params=(tuple([survivors.index(a) for a in rest]),))
    total = p.call(multiply, reduced, weak_number(p, float(count)))
    if not p.derived and not rest:
        total = p.call(add, total, weak_number(p, 0.0))
    if p.avals[total].shape != signature.out.shape:
        total = p.call(ops.broadcast_to_p, total, params=(signature.out.shape,))
    return total


def sum_of_transpose(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(transpose(x)) = transpose(sum(x)), which shows what is summed."""
    (value,) = arguments
    (axes,) = signature.params
    if p.heads[value] is not ops.transpose_p:
        return None
    (order,) = p.signatures[value].params  # type: ignore[union-attr]
    reduced = [order[a] for a in axes]
    left = [a for a in order if a not in reduced]
    total = p.call(ops.sum_p, p.arguments[value][0], params=(tuple(sorted(reduced)),))
    return p.call(ops.transpose_p, total, params=(tuple([sorted(left).index(a) for a in left]),))


def sum_of_scaled(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(c * x) = c * sum(x) where |c| is at least 1, and sum(-x) = -sum(x): a smaller sum does not overflow."""
    (value,) = arguments
    if signature.out.dtype.kind not in "fc":
        return None
    if p.heads[value] is negative:
        return p.call(negative, p.call(ops.sum_p, p.arguments[value][0], params=signature.params))
    if p.heads[value] is multiply:
        for number, other in (p.arguments[value], p.arguments[value][::-1]):
            if p.heads[number] is NUMBER and p.avals[other] is p.avals[value] and abs(p.avals[number].literal) >= 1:
                return p.call(multiply, number, p.call(ops.sum_p, other, params=signature.params))
    return None


def sum_of_repeated_factor(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(x * y) = sum(x) * y over axes along which y is the same everywhere."""
    (value,) = arguments
    if p.heads[value] is not multiply or signature.out.dtype.kind not in "fc":
        return None
    (axes,) = signature.params
    full = p.avals[value]
    for x, y in (p.arguments[value], p.arguments[value][::-1]):
        if p.avals[x] is full and _same_along(p.avals[y], full, axes):
            sizes = (1,) * (full.ndim - p.avals[y].ndim) + p.avals[y].shape
            kept = tuple([n for a, n in enumerate(sizes) if a not in axes])
            total = _witness(p, x, axes)
            return p.call(multiply, total, p.call(ops.reshape_p, y, params=(kept,)) if p.avals[y].ndim else y)
    return None


def sum_of_matrix_product(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(x @ y) over columns = x @ sum(y), and over rows = sum(x) @ y."""
    (value,) = arguments
    (axes,) = signature.params
    full = p.avals[value]
    if p.heads[value] is not ops.matmul_p or len(axes) != 1 or full.dtype.kind not in "fc":
        return None
    x, y = p.arguments[value]
    if axes[0] == full.ndim - 1:
        y = _kept_sum(p, y, p.avals[y].ndim - 1)
    elif axes[0] == full.ndim - 2:
        x = _kept_sum(p, x, p.avals[x].ndim - 2)
    else:
        return None
    return p.call(ops.reshape_p, p.call(ops.matmul_p, x, y), params=(signature.out.shape,))


def sum_of_sum(p: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """sum(x + y) = sum(x) + sum(y) if that moves the sum into a product.

    Where x and y nearly cancel, no digits are lost that the rounding of the product has left.
    """
    (value,) = arguments
    if p.heads[value] not in (add, subtract) or signature.out.dtype.kind not in "fc":
        return None
    x, y = p.arguments[value]
    (axes,) = signature.params
    if p.avals[x] is not p.avals[y] or not (_sums_inside(p, x, axes) or _sums_inside(p, y, axes)):
        return None
    return p.call(p.signatures[value].primitive, *[_witness(p, z, axes) for z in (x, y)])  # type: ignore[union-attr]


def _witness(p: Program, value: int, axes: tuple[int, ...]) -> int:
    """A sum that may leave the range where what it replaces does not."""
    total = p.call(ops.sum_p, value, params=(axes,))
    assert p.witnesses is not None
    p.witnesses.append(total)
    return total


def _sums_inside(p: Program, value: int, axes: tuple[int, ...]) -> bool:
    """Whether the sum over these axes moves into a product, so that the product is smaller."""
    while p.heads[value] is ops.transpose_p:
        (order,) = p.signatures[value].params  # type: ignore[union-attr]
        axes = tuple([order[a] for a in axes])
        (value,) = p.arguments[value]
    full = p.avals[value]
    if p.heads[value] is ops.matmul_p:
        return len(axes) == 1 and axes[0] >= full.ndim - 2
    return p.heads[value] is multiply and any(
        p.avals[x] is full and _same_along(p.avals[y], full, axes)
        for x, y in (p.arguments[value], p.arguments[value][::-1])
    )


def _same_along(part: Aval, full: Aval, axes: tuple[int, ...]) -> bool:
    """Whether a factor of a product of the shape ``full`` is the same everywhere along ``axes``."""
    sizes = (1,) * (full.ndim - part.ndim) + part.shape
    return (part.weak or part.dtype == full.dtype) and all(sizes[a] == 1 for a in axes)


def _kept_sum(p: Program, value: int, axis: int) -> int:
    """A sum over one axis that stays, at size 1."""
    shape = p.avals[value].shape
    return p.call(
        ops.reshape_p,
        _witness(p, value, (axis,)),
        params=((*shape[:axis], 1, *shape[axis + 1 :]),),
    )


SPECIAL = [
    Special(ops.sum_p, sum_of_broadcast, IN_SUMS),
    Special(ops.sum_p, sum_of_scaled, DERIVED, "the factor"),
    Special(ops.sum_p, sum_of_repeated_factor, WATCHED),
    Special(ops.sum_p, sum_of_matrix_product, WATCHED),
    Special(ops.sum_p, sum_of_transpose, IN_SUMS),
    Special(ops.sum_p, sum_of_sum, WATCHED),
]
