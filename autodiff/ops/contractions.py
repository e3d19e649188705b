"""Matrix products, and everything that is a matrix product after rearranging: dot, tensordot, einsum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import integer, integers, items, single, whole
from ..convert import as_node
from ..core.avals import Aval, broadcast_shape, intern_aval
from ..core.parameters import Static
from ..core.primitives import Primitive
from ..errors import ArgumentError, ShapeError, shown
from ..nodes import Node
from ..operator import Operator
from .elementwise import astype, listed, multiply, not_equal, result_dtype, strong
from .indexing import index, static_index
from .reductions import sum as sum_over
from .shapes import broadcast_to, common_dtype, expand_dims, normalize_axis, reshape, squeeze, transpose


def _infer_matmul(primitive: Primitive, x: Aval, y: Aval) -> Aval:
    if x.shape[-1] != y.shape[-2]:
        raise ShapeError(
            f"matmul({x!r}, {y!r}): the last axis of the first array (size {x.shape[-1]}) and the last but one of "
            f"the second (size {y.shape[-2]}) must have the same size; one of them may want transposing (.T, .mT)"
        )
    try:
        batch = broadcast_shape(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"matmul({x!r}, {y!r}): the batch axes {x.shape[:-2]} and {y.shape[:-2]} do not broadcast"
        ) from None
    dtype, _ = result_dtype(np.matmul, (x, y))
    return intern_aval((*batch, x.shape[-2], y.shape[-1]), dtype)


# Both operands have two or more dimensions; `matmul` below lifts vectors to that.
matmul_p = Operator(
    "matmul",
    _infer_matmul,
    kind="contraction",
    core="ik,kj->ij",
    loop=np.matmul,
    reduces=np.add,
    meaning=lambda xp, x, y: xp.matmul(x, y),
)


def matmul(x: Any, y: Any) -> Node:
    """NumPy's ``@``: vectors are taken as a row on the left and a column on the right."""
    x, y = as_node(x), as_node(y)
    if x.aval.ndim >= 2 and y.aval.ndim >= 2:
        return matmul_p(x, y)
    if x.aval.ndim == 0 or y.aval.ndim == 0:
        raise ShapeError(
            f"matmul({x.aval!r}, {y.aval!r}): needs at least one dimension on each side; use * for scalars"
        )
    left = expand_dims(x, 0) if x.aval.ndim == 1 else x
    right = expand_dims(y, 1) if y.aval.ndim == 1 else y
    if x.aval.shape[-1] != right.aval.shape[-2]:
        raise ShapeError(
            f"matmul({x.aval!r}, {y.aval!r}): the axes that are summed over have sizes {x.aval.shape[-1]} and "
            f"{right.aval.shape[-2]}, and must have the same; a matrix may want transposing (.T, .mT)"
        )
    out = matmul_p(left, right)
    gone = ((out.aval.ndim - 2,) if x.aval.ndim == 1 else ()) + ((out.aval.ndim - 1,) if y.aval.ndim == 1 else ())
    return squeeze(out, gone)


def dot(x: Any, y: Any) -> Node:
    """NumPy's ``dot``: the last axis of ``x`` with the last but one of ``y``; a product for scalars."""
    x, y = strong(as_node(x)), strong(as_node(y))
    if x.aval.ndim == 0 or y.aval.ndim == 0:
        return multiply(x, y)
    return tensordot(x, y, ((-1,), (-1 if y.aval.ndim == 1 else -2,)), name="dot")


def inner(x: Any, y: Any) -> Node:
    """The last axes of both, contracted; a product for scalars."""
    x, y = strong(as_node(x)), strong(as_node(y))
    if x.aval.ndim == 0 or y.aval.ndim == 0:
        return multiply(x, y)
    return tensordot(x, y, ((-1,), (-1,)), name="inner")


def outer(x: Any, y: Any) -> Node:
    """All products of an element of ``x`` with one of ``y``, both flattened."""
    return multiply(reshape(strong(as_node(x)), (-1, 1)), reshape(strong(as_node(y)), (1, -1)))


def tensordot(x: Any, y: Any, axes: Any = 2, name: str = "tensordot") -> Node:
    """Sums over pairs of axes, as one matrix product."""
    x, y = as_node(x), as_node(y)
    if single(axes):
        count = whole(axes, f"{name}: axes", truths=True)
        if not 0 <= count <= min(x.aval.ndim, y.aval.ndim):
            raise ArgumentError(f"{name}({x.aval!r}, {y.aval!r}): axes={shown(count)} axes cannot be contracted")
        pairs: Sequence[Sequence[int]] = (range(-count, 0), range(count))
    else:
        pairs = [integers(a, f"{name}: axes") for a in items(axes, f"{name}: axes")]
        if len(pairs) != 2:
            raise ArgumentError(f"{name}: axes={shown(axes)} must be an integer or two sequences of axes")
    left = [normalize_axis(a, x.aval.ndim, name) for a in pairs[0]]
    right = [normalize_axis(a, y.aval.ndim, name) for a in pairs[1]]
    sizes = [x.aval.shape[a] for a in left]
    if sizes != [y.aval.shape[a] for a in right] or len(set(left)) != len(left) or len(set(right)) != len(right):
        raise ShapeError(
            f"{name}({x.aval!r}, {y.aval!r}): axes {left} of the first and {right} of the second must be distinct and "
            "have the same sizes"
        )
    kept_left = [a for a in range(x.aval.ndim) if a not in left]
    kept_right = [a for a in range(y.aval.ndim) if a not in right]
    length = int(np.prod(sizes, dtype=np.int64))
    rows = [x.aval.shape[a] for a in kept_left]
    columns = [y.aval.shape[a] for a in kept_right]
    matrix = reshape(transpose(x, kept_left + left), (int(np.prod(rows, dtype=np.int64)), length))
    other = reshape(transpose(y, right + kept_right), (length, int(np.prod(columns, dtype=np.int64))))
    return reshape(matmul_p(matrix, other), tuple(rows + columns))


# --- einsum ----------------------------------------------------------------------------------------------------------

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _parse(subscripts: str, operands: Sequence[Node]) -> tuple[list[str], str]:
    """Labels of each operand and of the result, with '...' replaced by letters and '->' made explicit."""
    text = subscripts.replace(" ", "")
    if text.count("->") > 1 or not set(text) <= set(_LETTERS + ".,->"):
        raise ArgumentError(f"einsum: {subscripts!r} has characters that are neither labels nor ',', '->' or '...'")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ArgumentError(f"einsum: {subscripts!r} names {len(terms)} operands, but {len(operands)} are given")
    unused = [c for c in _LETTERS if c not in text]
    widths = []
    for term, x in zip(terms, operands, strict=True):
        named = term.replace("...", "")
        if "." in named or term.count("...") > 1:
            raise ArgumentError(f"einsum: {term!r} in {subscripts!r} has a misplaced '.'")
        extra = x.aval.ndim - len(named)
        if extra < 0 or (extra and "..." not in term):
            raise ShapeError(f"einsum: {term!r} in {subscripts!r} does not fit the operand {x.aval!r}")
        widths.append(extra if "..." in term else 0)
    ellipsis = "".join(unused[: max(widths, default=0)])
    labels = [term.replace("...", ellipsis[len(ellipsis) - width :]) for term, width in zip(terms, widths, strict=True)]
    if arrow:
        if "." in output.replace("...", "", 1):
            raise ArgumentError(f"einsum: the output {output!r} in {subscripts!r} has a misplaced '.'")
        result = output.replace("...", ellipsis)
    else:
        flat = inputs.replace(",", "").replace(".", "")
        result = ellipsis + "".join(sorted(c for c in set(flat) if flat.count(c) == 1))
    known = set("".join(labels))
    if len(set(result)) != len(result) or not set(result) <= known:
        raise ArgumentError(f"einsum: the output {result!r} of {subscripts!r} repeats a label or has one no input has")
    return labels, result


def _sublists(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """The sublist form ``einsum(x, [0, 1], y, [1, 2], [0, 2])`` as a string and operands."""

    def text(labels: Any) -> str:
        found = items(labels, "einsum: a list of labels")
        return "".join("..." if c is Ellipsis else _LETTERS[integer(c, "einsum: a label", 0, 51)] for c in found)

    arrays = list(operands[0 : len(operands) // 2 * 2 : 2])
    subscripts = ",".join(text(labels) for labels in operands[1::2])
    if len(operands) % 2:
        subscripts += "->" + text(operands[-1])
    return subscripts, arrays


def _diagonal(x: Node, labels: str) -> tuple[Node, str]:
    """Repeated labels of one operand read along their diagonal."""
    for label in dict.fromkeys(labels):
        places = [i for i, c in enumerate(labels) if c == label]
        if len(places) > 1:
            sizes = {x.aval.shape[i] for i in places}
            if len(sizes) > 1:
                raise ShapeError(f"einsum: the repeated label {label!r} has sizes {sorted(sizes)} in {x.aval!r}")
            rest = [i for i in range(len(labels)) if i not in places]
            x = transpose(x, places + rest)
            count = sizes.pop()
            spec = ("a",) * len(places) + x.aval.shape[len(places) :]
            value = (None,) * len(places) + (slice(None),) * len(rest)
            steps = as_node(np.arange(count))
            x = index(x, static_index(spec, value), *[steps] * len(places))
            labels = label + "".join(labels[i] for i in rest)
    return x, labels


def _sum_labels(x: Node, labels: str, kept: set[str]) -> tuple[Node, str]:
    """Labels that occur nowhere else summed away."""
    axes = tuple([i for i, c in enumerate(labels) if c not in kept])
    return (sum_over(x, axes), "".join(c for c in labels if c in kept)) if axes else (x, labels)


def _pair(x: Node, left: str, y: Node, right: str, kept: set[str], result: str) -> tuple[Node, str]:
    """Two operands contracted over the labels that both have and nothing else needs, as a batched product."""
    if result and result[-1] in left and result[-1] not in right:
        # The product's columns are the right operand's; a result that ends in them is read without strides.
        x, left, y, right = y, right, x, left
    x, left = _sum_labels(x, left, kept | set(right))
    y, right = _sum_labels(y, right, kept | set(left))
    shared = [c for c in left if c in right]
    sizes = {c: (x.aval.shape[left.index(c)], y.aval.shape[right.index(c)]) for c in shared}
    summed = [c for c in shared if c not in kept]
    # A size-1 axis against a longer one broadcasts; for summed labels the sum then runs over the other.
    for c in summed:
        if sizes[c][0] != sizes[c][1]:
            longest = sizes[c][1] if sizes[c][0] == 1 else sizes[c][0]
            x = broadcast_to(x, tuple([longest if d == c else n for d, n in zip(left, x.aval.shape, strict=True)]))
            y = broadcast_to(y, tuple([longest if d == c else n for d, n in zip(right, y.aval.shape, strict=True)]))
    batch = [c for c in shared if c in kept]
    only_left = [c for c in left if c not in right]
    only_right = [c for c in right if c not in left]
    if not summed:
        out = batch + only_left + only_right
        a = _aligned(x, left, out)
        b = _aligned(y, right, out)
        return multiply(a, b), "".join(out)

    def matrix(z: Node, labels: str, rows: list[str], columns: list[str]) -> tuple[Node, list[int]]:
        z = transpose(z, [labels.index(c) for c in batch + rows + columns])
        shape = z.aval.shape
        cut = len(batch) + len(rows)
        split = [int(np.prod(part, dtype=np.int64)) for part in (shape[len(batch) : cut], shape[cut:])]
        return reshape(z, (*shape[: len(batch)], *split)), list(shape)

    a, left_shape = matrix(x, left, only_left, summed)
    b, right_shape = matrix(y, right, summed, only_right)
    product = matmul_p(a, b)
    rows = left_shape[len(batch) : len(batch) + len(only_left)]
    columns = right_shape[len(batch) + len(summed) :]
    out = batch + only_left + only_right
    return reshape(product, (*product.aval.shape[: len(batch)], *rows, *columns)), "".join(out)


def _aligned(x: Node, labels: str, wanted: list[str]) -> Node:
    """Axes in the order of ``wanted``, with size 1 for those that ``x`` has not."""
    x = transpose(x, [labels.index(c) for c in wanted if c in labels])
    sizes = iter(x.aval.shape)
    return reshape(x, tuple([next(sizes) if c in labels else 1 for c in wanted]))


def einsum(*operands: Any, optimize: Any = True) -> Node:
    """Einstein summation as diagonals, sums and batched matrix products, in the order NumPy finds best."""
    if not operands:
        raise ArgumentError("einsum: give subscripts and operands")
    if isinstance(operands[0], str):
        subscripts, arrays = operands[0], list(operands[1:])
    else:
        subscripts, arrays = _sublists(operands)
    nodes = [strong(as_node(x)) for x in arrays]
    labels, result = _parse(subscripts, nodes)
    sizes: dict[str, int] = {}
    for term, x in zip(labels, nodes, strict=True):
        for c, n in zip(term, x.aval.shape, strict=True):
            if sizes.setdefault(c, n) != n and 1 not in (sizes[c], n):
                raise ShapeError(
                    f"einsum {subscripts!r} of {listed(tuple([x.aval for x in nodes]))}: label {c!r} has sizes "
                    f"{sizes[c]} and {n}"
                )
            sizes[c] = n if sizes[c] == 1 else sizes[c]
    dtype = common_dtype(nodes)
    terms = [_diagonal(astype(x, dtype), term) for x, term in zip(nodes, labels, strict=True)]
    for places in _order(labels, result, sizes, optimize):
        taken = [terms[i] for i in places]
        terms = [t for i, t in enumerate(terms) if i not in places]
        rest = set(result).union(*[set(term) for _, term in terms])
        first = taken[0]
        for i, second in enumerate(taken[1:], 2):
            first = _pair(*first, *second, rest.union(*[set(term) for _, term in taken[i:]]), result)
        terms.append(_sum_labels(*first, rest))
    x, term = terms[0]
    x, term = _sum_labels(x, term, set(result))
    # NumPy adds small integers up in their own dtype here.
    return astype(transpose(x, [term.index(c) for c in result]), dtype)


def _order(labels: list[str], result: str, sizes: dict[str, int], optimize: Any) -> list[tuple[int, ...]]:
    """Which operands to contract with which, by ``np.einsum_path`` on arrays that take no memory."""
    if len(labels) <= 2:
        return [tuple(range(len(labels)))]
    distinct = ["".join(dict.fromkeys(term)) for term in labels]
    dummies = [np.broadcast_to(np.float64(0), [sizes[c] for c in term]) for term in distinct]
    path = np.einsum_path(f"{','.join(distinct)}->{result}", *dummies, optimize=optimize or "greedy")[0]
    return [tuple(step) for step in path[1:]]


# --- convolutions ----------------------------------------------------------------------------------------------------


def _infer_convolve(primitive: Primitive, a: Aval, v: Aval, *, mode: str) -> Aval:
    batch = broadcast_shape(a.shape[:-1], v.shape[:-1])
    n, m = a.shape[-1], v.shape[-1]
    return intern_aval((*batch, n + m - 1 if mode == "full" else n - m + 1), a.dtype)


def _convolved(xp: Any, a: Any, v: Any, *, mode: str) -> Any:
    """Sums of all products, each row of which is moved on by one more than that before."""
    if a.ndim == v.ndim == 1 and hasattr(xp, "convolve"):
        return xp.convolve(a, v, mode)
    n, m = a.shape[-1], v.shape[-1]
    products = a[..., None, :] * v[..., :, None]
    rows = xp.concat([products, xp.zeros_like(products[..., :1] * v[..., None, :])], axis=-1)
    batch = rows.shape[:-2]
    moved = xp.reshape(xp.reshape(rows, (*batch, m * (n + m)))[..., :-m], (*batch, m, n + m - 1))
    full = xp.sum(moved, axis=-2, dtype=a.dtype)
    return full if mode == "full" else full[..., m - 1 : n]


convolve_p = Operator("convolve", _infer_convolve, params={"mode": Static}, core=".,.->.", meaning=_convolved)


def convolve(a: Node, v: Node, mode: str) -> Node:
    """The discrete convolution of two vectors: where they overlap at all, or, of a longer with a shorter, wholly."""
    dtype = common_dtype([a, v])
    if dtype.kind == "b":
        return not_equal(convolve(astype(a, np.int64), astype(v, np.int64), mode), 0)
    return convolve_p(astype(a, dtype), astype(v, dtype), mode=mode)
