"""Matrices that are arrays in another shape, of which they are no views: products read the arrays where they are.

A convolution by a product of matrices makes a matrix of sliding windows, each element of which is there as often as a
window has elements. Here its rows and columns run along several axes of the windows, and nothing is copied.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from autodiff.core.primitives import PRIMITIVES
from autodiff.core.program import Application, Program

from .accesses import Access, contiguous, reshaped

MATMUL, RESHAPE, TRANSPOSE = (PRIMITIVES[name] for name in ("matmul", "reshape", "transpose"))

Steps = tuple[int, ...]


class Fold(NamedTuple):
    """A matrix that is an array in another shape, of which it is no view: its rows and columns run along several axes.

    Attributes
    ----------
    access : Access
        Over the axes of the rows, then those of the columns.
    rows, columns : tuple of int
        Their sizes.
    """

    access: Access
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def turned(self) -> Fold:
        """Of the transposed matrix."""
        n = len(self.rows)
        strides = self.access.strides
        return Fold(self.access._replace(strides=(*strides[n:], *strides[:n])), self.columns, self.rows)


def folded(access: Access, shape: tuple[int, ...], to: tuple[int, ...]) -> Fold | None:
    """What a matrix is made of that is an array in another shape; None if it is a view, or rows end within an axis."""
    if len(to) != 2 or reshaped(shape, access.strides, to) is not None:
        return None
    for n in range(len(shape) + 1):
        if math.prod(shape[:n]) == to[0]:
            return Fold(access, shape[:n], shape[n:])
    return None


def matrix(access: Access, rows: tuple[int, ...], columns: tuple[int, ...]) -> Fold:
    """A matrix with several axes, by its steps along rows and columns."""
    row, column = access.strides
    strides = (*[s * row for s in contiguous(rows)], *[s * column for s in contiguous(columns)])
    return Fold(access._replace(strides=strides), rows, columns)


def reads_well(x: Fold, y: Fold) -> bool:
    """Whether elements that follow one another, of the result or among terms, do so in what is read."""
    left, right = x.access.strides[len(x.rows) :], y.access.strides
    by_columns = _last(y.columns, right[len(y.rows) :]) == 1
    return by_columns or _last(x.columns, left) == _last(y.rows, right[: len(y.rows)]) == 1


def _last(sizes: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """The step along the last axis that has several elements."""
    return next((step for n, step in zip(sizes[::-1], strides[::-1], strict=True) if n != 1), 1)


def product(x: Fold, y: Fold) -> tuple[tuple[int, ...], Steps, Steps, Steps]:
    """The iteration space of a product, its axes those of rows, of columns, and of terms; and the steps of the result
    and of both operands."""
    rows, columns, terms = len(x.rows), len(y.columns), len(x.columns)
    left, right = x.access.strides, y.access.strides
    return (
        (*x.rows, *y.columns, *x.columns),
        (*contiguous((*x.rows, *y.columns)), *[0] * terms),
        (*left[:rows], *[0] * columns, *left[rows:]),
        (*[0] * rows, *right[terms:], *right[:terms]),
    )


def only_multiplied(program: Program, applications: list[Application]) -> set[int]:
    """Matrices that only products of two matrices read, and their transposes."""
    other = set(program.outputs)
    turned: list[tuple[int, int]] = []
    for number, signature, arguments in applications:
        primitive = signature.primitive
        if primitive is MATMUL and all(a.ndim == 2 and a.literal is None for a in signature.inputs):
            continue
        if primitive is TRANSPOSE and signature.out.ndim == 2:
            turned.append((number, arguments[0]))
        else:
            other.update(arguments)
    for number, source in reversed(turned):
        if number in other:
            other.add(source)
    return {n for n, signature, _ in applications if signature.out.ndim == 2 and n not in other}


def is_folded(program: Program, number: int) -> bool:
    """Whether a matrix is an array whose axes were moved, in a shape that needs a copy."""
    signature = program.signatures[number]
    while signature is not None and signature.primitive is TRANSPOSE and signature.out.ndim == 2:
        number = program.arguments[number][0]
        signature = program.signatures[number]
    if signature is None or signature.primitive is not RESHAPE:
        return False
    moved = program.arguments[number][0]
    shape = program.avals[moved].shape
    orders = []
    while (made := program.signatures[moved]) is not None and made.primitive is TRANSPOSE:
        orders.append(made.params[0])
        moved = program.arguments[moved][0]
    strides = contiguous(program.avals[moved].shape)
    for order in reversed(orders):
        strides = tuple([strides[axis] for axis in order])
    return bool(signature.out.size) and folded(Access(0, 0, strides), shape, signature.out.shape) is not None
