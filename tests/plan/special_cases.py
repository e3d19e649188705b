"""Graphs for each rewriting row that looks at parameters or shapes: those it applies to, and those it leaves alone.

A case takes a function that makes leaves: of a shape, in the dtype under test unless the case names one.
"""

import numpy as np

from autodiff import ops
from autodiff.convert import as_node


def spread(x, *shape):
    return ops.broadcast_to(x, shape)


def zeros(leaf, *shape):
    return ops.full(shape, 0, np.dtype(leaf.dtype))


def twice(leaf):
    """A condition and a value that is chosen either way."""
    x = leaf((2, 3))
    return ops.where_p(ops.equal(x, 0), x, x)


def picked(leaf, size=3, start=0):
    """Additions at places of an array of integers, which may be there twice."""
    places = as_node(np.array([start, start, 1]))
    return ops.static_index(("a",), (None,)), leaf((3,)), places


def static(size, start=0):
    return ops.static_index((slice_length(size),), (slice(start, start + 2, 1),))


def slice_length(size):
    return min(2, size)


# For each row, by its function and primitive: what it applies to, and what it must leave alone.
SPECIAL_CASES = {
    "astype_same of astype": (
        [
            lambda leaf: ops.astype_p(leaf((2, 3)), dtype=np.dtype("float64")),
            lambda leaf: ops.astype_p(as_node(2), dtype=np.dtype("float64")),
            lambda leaf: ops.astype_p(as_node(0.5), dtype=np.dtype("float32")),
            lambda leaf: ops.astype_p(as_node(True), dtype=np.dtype("complex64")),
        ],
        [
            lambda leaf: ops.astype_p(leaf((2, 3)), dtype=np.dtype("float32")),
            lambda leaf: ops.astype_p(leaf((2, 3), "int64"), dtype=np.dtype("float64")),
        ],
    ),
    "reshape_chain of reshape": (
        [
            lambda leaf: ops.reshape_p(ops.reshape_p(leaf((2, 6)), shape=(3, 4)), shape=(12,)),
            lambda leaf: ops.reshape_p(leaf((2, 6)), shape=(2, 6)),
            lambda leaf: ops.reshape_p(ops.reshape_p(leaf((2, 6)), shape=(12,)), shape=(2, 6)),
        ],
        [lambda leaf: ops.reshape_p(leaf((2, 6)), shape=(12,))],
    ),
    "reshape_of_number of reshape": (
        [
            lambda leaf: ops.reshape_p(spread(as_node(2.0), 2, 6), shape=(3, 4)),
            lambda leaf: ops.reshape_p(spread(leaf(()), 2, 6), shape=(12,)),
            lambda leaf: ops.reshape_p(as_node(2.0), shape=(1, 1)),
        ],
        [
            lambda leaf: ops.reshape_p(leaf(()), shape=(1, 1)),
            lambda leaf: ops.reshape_p(spread(leaf((6,)), 2, 6), shape=(12,)),
        ],
    ),
    "transpose_chain of transpose": (
        [
            lambda leaf: ops.transpose_p(ops.transpose_p(leaf((2, 3, 4)), axes=(1, 2, 0)), axes=(2, 1, 0)),
            lambda leaf: ops.transpose_p(ops.transpose_p(leaf((2, 3, 4)), axes=(1, 2, 0)), axes=(1, 2, 0)),
            lambda leaf: ops.transpose_p(leaf((2, 3)), axes=(0, 1)),
            lambda leaf: ops.transpose_p(spread(leaf(()), 2, 3), axes=(1, 0)),
        ],
        [
            lambda leaf: ops.transpose_p(leaf((2, 3)), axes=(1, 0)),
            lambda leaf: ops.transpose_p(spread(leaf((3,)), 2, 3), axes=(1, 0)),
        ],
    ),
    "broadcast_chain of broadcast_to": (
        [
            lambda leaf: ops.broadcast_to_p(ops.broadcast_to_p(leaf((3,)), shape=(2, 3)), shape=(4, 2, 3)),
            lambda leaf: ops.broadcast_to_p(ops.broadcast_to_p(leaf((2, 1)), shape=(2, 3)), shape=(4, 2, 3)),
            lambda leaf: ops.broadcast_to_p(leaf((2, 3)), shape=(2, 3)),
        ],
        [lambda leaf: ops.broadcast_to_p(leaf((3,)), shape=(2, 3))],
    ),
    "sum_of_transpose of sum": (
        [
            lambda leaf: ops.sum_p(ops.transpose_p(leaf((2, 3, 4)), axes=(1, 2, 0)), axes=(0,)),
            lambda leaf: ops.sum_p(ops.transpose_p(leaf((2, 3, 4, 5)), axes=(3, 1, 0, 2)), axes=(1,)),
            lambda leaf: ops.sum_p(ops.transpose_p(leaf((2, 3, 4, 5)), axes=(3, 1, 0, 2)), axes=(0, 2)),
            lambda leaf: ops.sum_p(ops.transpose_p(leaf((2, 3), "int64"), axes=(1, 0)), axes=(0, 1)),
        ],
        [lambda leaf: ops.sum_p(leaf((2, 3)), axes=(0,))],
    ),
    "sum_of_broadcast of sum": (
        [
            lambda leaf: ops.sum_p(spread(leaf((3,)), 4, 3), axes=(0,)),
            lambda leaf: ops.sum_p(spread(leaf((3,)), 4, 3), axes=(0, 1)),
            lambda leaf: ops.sum_p(spread(leaf((2, 1)), 4, 2, 3), axes=(0, 2)),
            lambda leaf: ops.sum_p(spread(leaf((2, 1)), 4, 2, 3), axes=(0, 1, 2)),
            lambda leaf: ops.sum_p(spread(leaf((2, 1)), 4, 2, 3), axes=(2,)),
            lambda leaf: ops.sum_p(spread(leaf(()), 4, 3), axes=(0, 1)),
            lambda leaf: ops.sum_p(spread(leaf((1, 3), "complex64"), 4, 3), axes=(0,)),
            lambda leaf: ops.sum_p(spread(leaf((2, 1), "float32"), 2, 3), axes=(1,)),
        ],
        [
            lambda leaf: ops.sum_p(spread(leaf((3,)), 0, 3), axes=(0,)),
            lambda leaf: ops.sum_p(spread(leaf((3,), "float16"), 70000, 3), axes=(0,)),
            lambda leaf: ops.sum_p(spread(leaf((3,)), 4, 3), axes=(1,)),
            lambda leaf: ops.sum_p(spread(leaf((3,), "int64"), 4, 3), axes=(0,)),
            lambda leaf: ops.sum_p(leaf((4, 3)), axes=(0,)),
        ],
    ),
    "matmul_of_negative of matmul": (
        [
            lambda leaf: ops.matmul_p(-leaf((2, 3)), leaf((3, 2))),
            lambda leaf: ops.matmul_p(leaf((2, 3)), -leaf((3, 2))),
            lambda leaf: ops.matmul_p(-leaf((5, 2, 3)), leaf((3, 2))),
        ],
        [
            lambda leaf: ops.matmul_p(-leaf((4, 1)), leaf((1, 4))),
            lambda leaf: ops.matmul_p(-leaf((2, 3), "int64"), leaf((3, 2), "int64")),
            lambda leaf: ops.matmul_p(leaf((2, 3)), leaf((3, 2))),
        ],
    ),
    "matmul_by_number of matmul": (
        [
            lambda leaf: ops.matmul_p(leaf((1, 1)), leaf((1, 4))),
            lambda leaf: ops.matmul_p(leaf((4, 1)), leaf((1, 1))),
            lambda leaf: ops.matmul_p(leaf((1, 1)), leaf((1, 1))),
        ],
        [
            lambda leaf: ops.matmul_p(leaf((4, 1)), leaf((1, 4))),
            lambda leaf: ops.matmul_p(leaf((5, 1, 1)), leaf((5, 1, 1))),
        ],
    ),
    "sign_of_number of negative": (
        [
            lambda leaf: -(leaf(()) * leaf((3,))),
            lambda leaf: -(leaf((4, 3)) * (leaf(()) * leaf((4, 3)))),
            lambda leaf: -(leaf((4, 3)) * ((leaf(()) * leaf(())) * leaf((4, 3)))),
            lambda leaf: -((leaf((4, 3)) * leaf(())) * leaf((4, 3))),
        ],
        [
            lambda leaf: -(leaf((4, 3)) * leaf((4, 3))),
            lambda leaf: -(leaf(()) * leaf(())),
            lambda leaf: -(2.0 * leaf((3,))),
        ],
    ),
    "sum_of_scaled of sum": (
        [
            lambda leaf: ops.sum_p(2 * leaf((3, 2)), axes=(0,)),
            lambda leaf: ops.sum_p(leaf((3, 2)) * -60, axes=(0, 1)),
            lambda leaf: ops.sum_p(leaf((50,)) * 3, axes=(0,)),
            lambda leaf: ops.sum_p(-leaf((3, 2)), axes=(1,)),
        ],
        [
            lambda leaf: ops.sum_p(leaf((3,)) * 0.5, axes=(0,)),
            lambda leaf: ops.sum_p(leaf((3,), "int64") * 2, axes=(0,)),
            lambda leaf: ops.sum_p(leaf((3,)) * leaf((3,)), axes=(0,)),
            lambda leaf: ops.sum_p(leaf((3,)) * leaf(()), axes=(0,)),
        ],
    ),
    "select_same of where": (
        [twice],
        [lambda leaf: ops.where_p(ops.greater(leaf((3,)), 0), leaf((3,)), leaf((3,)))],
    ),
    "index_of_repeated of index": (
        [lambda leaf: ops.index(spread(leaf(()), 3), static(3)), lambda leaf: ops.index(zeros(leaf, 6), static(6, 2))],
        [
            lambda leaf: ops.index(spread(leaf((1,)), 3), static(3)),
            lambda leaf: ops.index(zeros(leaf, 3), picked(leaf)[0], picked(leaf)[2]),
        ],
    ),
    "index_of_set of index": (
        [lambda leaf: ops.index(ops.index_set(leaf((3,)), static(3), leaf((2,))), static(3))],
        [
            lambda leaf: ops.index(ops.index_set(leaf((3,)), static(3), leaf((2,))), static(3, 1)),
            lambda leaf: ops.index(ops.index_set(leaf((3,)), static(3), leaf((1,))), static(3)),
            lambda leaf: ops.index(ops.index_set(leaf((3,)), *picked(leaf)), picked(leaf)[0], picked(leaf)[2]),
        ],
    ),
    "index_of_added of index": (
        [
            lambda leaf: ops.index(ops.index_add(zeros(leaf, 3), static(3), leaf((2,))), static(3)),
            lambda leaf: ops.index(
                ops.index_add(ops.index_add(zeros(leaf, 6), static(6, 2), leaf((2,))), static(6), leaf((2,))), static(6)
            ),
        ],
        [
            lambda leaf: ops.index(ops.index_add(leaf((3,)), static(3), leaf((2,))), static(3)),
            lambda leaf: ops.index(ops.index_add(zeros(leaf, 3), static(3), leaf((2,))), static(3, 1)),
        ],
    ),
    "index_add_to_sum of add": (
        [
            lambda leaf: leaf((3,)) + ops.index_add(zeros(leaf, 3), static(3), leaf((2,))),
            lambda leaf: ops.index_add(zeros(leaf, 3), static(3), leaf((2,))) + leaf((3,)),
        ],
        [
            lambda leaf: leaf((3,)) + ops.index_add(leaf((3,)), static(3), leaf((2,))),
            lambda leaf: leaf((4, 3)) + ops.index_add(zeros(leaf, 3), static(3), leaf((2,))),
            lambda leaf: leaf((3,)) + ops.index_add(zeros(leaf, 3), *picked(leaf)),
            lambda leaf: leaf((3,)) + leaf((3,)),
        ],
    ),
    "index_add_again of index_add": (
        [
            lambda leaf: ops.index_add(
                ops.index_add(ops.index_set(leaf((3,)), static(3), zeros(leaf, 2)), static(3), leaf((2,))),
                static(3),
                leaf((2,)),
            ),
            lambda leaf: ops.index_add(ops.index_add(zeros(leaf, 3), static(3), leaf((2,))), static(3), leaf((2,))),
            lambda leaf: ops.index_add(
                ops.index_add(ops.index_add(zeros(leaf, 6), static(6), leaf((2,))), static(6, 2), leaf((2,))),
                static(6),
                leaf((2,)),
            ),
            lambda leaf: ops.index_add(
                ops.index_add(ops.index_add(zeros(leaf, 6), static(6, 4), leaf((2,))), static(6, 1), leaf((2,))),
                static(6, 1),
                leaf((2,)),
            ),
        ],
        [
            lambda leaf: ops.index_add(ops.index_add(leaf((3,)), static(3), leaf((2,))), static(3), leaf((2,))),
            lambda leaf: ops.index_add(
                ops.index_add(ops.index_set(leaf((3,)), static(3, 1), zeros(leaf, 2)), static(3), leaf((2,))),
                static(3),
                leaf((2,)),
            ),
            lambda leaf: ops.index_add(
                ops.index_add(ops.index_add(zeros(leaf, 3), static(3), leaf((2,))), static(3, 1), leaf((2,))),
                static(3),
                leaf((2,)),
            ),
            lambda leaf: ops.index_add(ops.index_add(zeros(leaf, 3), *picked(leaf)), *picked(leaf)),
            lambda leaf: ops.index_add(ops.index_add(zeros(leaf, 3), static(3), leaf((2,))), static(3, 1), leaf((2,))),
            lambda leaf: ops.index_add(ops.index_set(leaf((3,)), static(3), leaf((2,))), static(3), leaf((2,))),
            lambda leaf: ops.index_add(leaf((3,)), static(3), leaf((2,))),
            lambda leaf: ops.index_add(ops.index_add(zeros(leaf, 3), static(3), leaf((2,))), static(3), leaf((1,))),
        ],
    ),
    "numbers_of_factors of multiply": (
        [
            lambda leaf: (0.5 * leaf((50,))) * (leaf((50,)) * 2),
            lambda leaf: (-0.25 * leaf((4, 1))) * (2.0 * leaf((4, 50))),
            lambda leaf: (60 * leaf((50,))) * (leaf((50,)) * 0.5),
            lambda leaf: (1e-3 * leaf((50,))) * (leaf((50,)) * 1.0),
        ],
        [
            lambda leaf: (3.0 * leaf((5,))) * (leaf((5,)) * 2),
            lambda leaf: (0.5 * leaf((5,))) * (leaf((5,)) * 0.5),
            lambda leaf: (2.0 * leaf((5,))) * leaf((5,)),
            lambda leaf: (leaf(()) * leaf((5,))) * (leaf((5,)) * 0.5),
        ],
    ),
    "reshape_of_scaled of reshape": (
        [
            lambda leaf: ops.reshape_p(leaf((2, 6)) * 0.5, shape=(12,)),
            lambda leaf: ops.reshape_p(3 * leaf((2, 6)), shape=(3, 4)),
        ],
        [lambda leaf: ops.reshape_p(leaf((2, 6)) * leaf(()), shape=(12,))],
    ),
    "sum_of_repeated_factor of sum": (
        [
            lambda leaf: ops.sum_p(leaf((4, 3, 2)) * leaf((4, 1, 2)), axes=(1,)),
            lambda leaf: ops.sum_p(leaf((4, 3)) * leaf((3,)), axes=(0,)),
            lambda leaf: ops.sum_p(leaf((4, 1)) * leaf((4, 3)), axes=(1,)),
            lambda leaf: ops.sum_p(leaf((4, 3)) * leaf((1, 1)), axes=(0, 1)),
        ],
        [
            lambda leaf: ops.sum_p(leaf((4, 3)) * leaf((4, 3)), axes=(1,)),
            lambda leaf: ops.sum_p(leaf((4, 1)) * leaf((1, 3)), axes=(1,)),
            lambda leaf: ops.sum_p(leaf((4, 3)) * leaf((3,), "float32"), axes=(0,)),
            lambda leaf: ops.sum_p(leaf((4, 3), "int64") * leaf((3,), "int64"), axes=(0,)),
        ],
    ),
    "sum_of_matrix_product of sum": (
        [
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((3, 4)), leaf((4, 2))), axes=(0,)),
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((3, 4)), leaf((4, 2))), axes=(1,)),
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((5, 3, 4)), leaf((4, 2))), axes=(2,)),
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((5, 3, 4)), leaf((1, 4, 2))), axes=(1,)),
        ],
        [
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((5, 3, 4)), leaf((5, 4, 2))), axes=(0,)),
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((3, 4)), leaf((4, 2))), axes=(0, 1)),
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((3, 4), "int64"), leaf((4, 2), "int64")), axes=(0,)),
        ],
    ),
    "sum_of_sum of sum": (
        [
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((3, 4)), leaf((4, 2))) + leaf((3, 2)), axes=(0,)),
            lambda leaf: ops.sum_p(
                leaf((3, 2)) - ops.transpose_p(ops.matmul_p(leaf((2, 4)), leaf((4, 3))), axes=(1, 0)), axes=(1,)
            ),
            lambda leaf: ops.sum_p(leaf((4, 3, 2)) * leaf((3, 2)) - leaf((4, 3, 2)), axes=(0,)),
            lambda leaf: ops.sum_p(leaf((4, 3)) + leaf((4, 1)) * leaf((4, 3)), axes=(1,)),
        ],
        [
            lambda leaf: ops.sum_p(leaf((4, 3)) + leaf((4, 3)), axes=(0,)),
            lambda leaf: ops.sum_p(leaf((4, 3)) * leaf((3,)) + leaf((4, 3)), axes=(1,)),
            lambda leaf: ops.sum_p(leaf((4, 3)) * leaf((3,)) - leaf((3,)), axes=(0,)),
            lambda leaf: ops.sum_p(ops.matmul_p(leaf((5, 3, 4)), leaf((5, 4, 2))) + leaf((5, 3, 2)), axes=(0,)),
            lambda leaf: ops.sum_p(leaf((4, 3), "int64") * leaf((3,), "int64") + leaf((4, 3), "int64"), axes=(0,)),
        ],
    ),
}
