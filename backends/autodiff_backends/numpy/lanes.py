"""Batches of small arrays, computed with the axis of the batch last.

NumPy calls a loop for each run of elements along the last axis in memory. For a batch of small arrays, whose axis is
the first one, these are a few elements each, and the calls take most of the time. Here such values are kept with that
axis last, so that a loop runs through the whole batch. Views turn them back where something else needs them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.core.avals import INDEX_DTYPE, intern_aval
from autodiff.core.primitives import PRIMITIVES, PYTHON_TYPES, Signature
from autodiff.core.program import Program, prune

# Batches from which this is worth it, rows up to which, and operations on such rows from which.
SMALLEST_BATCH, LONGEST_ROW, FEWEST_OPERATIONS = 1 << 10, 16, 2

# What is added up in its own precision.
ADDED = tuple(np.dtype(code) for code in "fdFD")

# Elements of one array of a batch at most: blocks of more are small enough as they are.
LARGEST_PART = 1 << 8

RESHAPE, TRANSPOSE, BROADCAST_TO, INDEX, INDEX_ADD, INDEX_SET, SUM, INNER, MATMUL, CONCATENATE, MULTIPLY = (
    PRIMITIVES[name]
    for name in (
        "reshape", "transpose", "broadcast_to", "index", "index_add", "index_set", "sum", "inner_product", "matmul",
        "concatenate", "multiply",
    )
)  # fmt: skip


def with_lanes(program: Program) -> Program:
    """The same program, with the axis of a batch of small arrays last, if it has such a batch."""
    size = _batch(program)
    return program if size is None else prune(Lanes(program, size).result)


def _batch(program: Program) -> int | None:
    """The size of the batch of small arrays that most operations are of; None if these are too few."""
    found: Counter[int] = Counter()
    for _, signature, arguments in program.applications():
        shape = signature.out.shape
        if (
            signature.primitive.kind == "elementwise"
            and len(shape) > 1
            and shape[0] >= SMALLEST_BATCH
            and 1 < shape[-1] <= LONGEST_ROW
            and math.prod(shape[1:]) <= LARGEST_PART
        ):
            avals = [program.avals[a] for a in arguments]
            gaps = any(program.is_primitive(a, INDEX) for a in arguments)
            found[shape[0]] += gaps or any(aval.shape != shape and aval.size > 1 for aval in avals)
    best = found.most_common(1)
    return best[0][0] if best and best[0][1] >= FEWEST_OPERATIONS else None


class Lanes:
    """A program in the making.

    Attributes
    ----------
    result : Program
    """

    def __init__(self, program: Program, size: int):
        self.result = program.emptied()
        self._size = size
        # The numbers of values as they were, and with the axis of the batch last.
        self._plain: dict[int, int] = {i: i for i in range(program.n_inputs)}
        self._turned: dict[int, int] = {}
        self._avals = program.avals
        for number in program.live():
            self.result.follow(program, number)
            signature, arguments = program.signatures[number], program.arguments[number]
            if number in program.constants:
                self._plain[number] = self.result.constant(program.avals[number], program.constants[number])
            elif signature is not None:
                self.result.derived = signature.is_derived
                rule = RULES.get(signature.primitive)
                if rule is None and signature.primitive.kind == "elementwise":
                    rule = Lanes._elementwise
                turned = None
                if rule is not None and self._is_batch(number) and signature.out.size:
                    turned = rule(self, signature, arguments)
                if turned is not None:
                    self._turned[number] = turned
                else:
                    self._plain[number] = self.result.apply(signature, tuple([self._whole(a) for a in arguments]))
        self.result.outputs = tuple([self._whole(number) for number in program.outputs])
        self.result.quiet = program.quiet

    def _is_batch(self, number: int) -> bool:
        shape = self._avals[number].shape
        return len(shape) > 1 and shape[0] == self._size

    def _shape(self, value: int) -> tuple[int, ...]:
        return self.result.avals[value].shape

    def _transposed(self, value: int, order: tuple[int, ...]) -> int:
        if self.result.is_primitive(value, TRANSPOSE):
            signature = self.result.signatures[value]
            assert signature is not None
            (inner,) = signature.params
            (value,) = self.result.arguments[value]
            order = tuple([inner[a] for a in order])
        if order == tuple(range(len(order))):
            return value
        return self.result.call(TRANSPOSE, value, params=(order,))

    def _reshaped(self, value: int, shape: tuple[int, ...]) -> int:
        if self.result.is_primitive(value, RESHAPE):
            (value,) = self.result.arguments[value]
        return value if self._shape(value) == shape else self.result.call(RESHAPE, value, params=(shape,))

    def _whole(self, number: int) -> int:
        """A value as it was."""
        if number not in self._plain:
            value = self._turned[number]
            last = len(self._shape(value)) - 1
            self._plain[number] = self._transposed(value, (last, *range(last)))
        return self._plain[number]

    def _lanes(self, number: int) -> int:
        """A batch with its axis last."""
        if number not in self._turned:
            value = self._plain[number]
            if self.result.is_primitive(value, BROADCAST_TO):
                (source,) = self.result.arguments[value]
                if self.result.avals[source].ndim == 0:
                    shape = self._avals[number].shape
                    turned = self.result.call(BROADCAST_TO, source, params=((*shape[1:], shape[0]),))
                    self._turned[number] = turned
                    return turned
            ndim = len(self._shape(value))
            turned = self._transposed(value, (*range(1, ndim), 0))
            if self.result.is_primitive(turned, TRANSPOSE):
                turned = self._copied(turned)
            self._turned[number] = turned
        return self._turned[number]

    def _copied(self, value: int) -> int:
        """An array in its own order, written into a new one."""
        aval = self.result.avals[value]
        zero = self.result.literal(PYTHON_TYPES[aval.dtype.kind](0), intern_aval((), aval.dtype))
        base = self.result.call(BROADCAST_TO, zero, params=(aval.shape,))
        index = self._index(aval.shape, tuple([slice(0, n, 1) for n in aval.shape]))
        return self.result.call(INDEX_SET, base, index, value)

    def _index(self, spec: tuple[Any, ...], entries: tuple[Any, ...]) -> int:
        return self.result.constant(intern_aval((), INDEX_DTYPE, literal=entries, spec=spec), entries)

    def _beside(self, number: int, ndim: int) -> int:
        """An operand beside turned batches of so many axes."""
        aval = self._avals[number]
        if aval.ndim == ndim and aval.shape[0] == self._size:
            return self._lanes(number)
        value = self._whole(number)
        if aval.ndim == 0:
            return value
        rest = aval.shape[1:] if aval.ndim == ndim else aval.shape
        return self._reshaped(value, (*rest, 1))

    # --- rules -------------------------------------------------------------------------------------------------------

    def _elementwise(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        ndim = signature.out.ndim
        if not any(self._avals[a].ndim == ndim and self._avals[a].shape[0] == self._size for a in arguments):
            return None
        operands = [self._beside(a, ndim) for a in arguments]
        # Axes of size 1 are left out, so that more operations are over one shape.
        full = (*signature.out.shape[1:], self._size)
        kept = [i for i, n in enumerate(full) if n != 1 or i == ndim - 1]
        if len(kept) < ndim:
            operands = [self._squeezed(value, kept, ndim) for value in operands]
        return self._reshaped(self.result.call(signature.primitive, *operands, params=signature.params), full)

    def _squeezed(self, value: int, kept: list[int], ndim: int) -> int:
        """An operand without some axes, along which its size is 1."""
        shape = self._shape(value)
        missing = ndim - len(shape)
        return self._reshaped(value, tuple([shape[i - missing] for i in kept if i >= missing])) if shape else value

    def _reshape(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        (number,) = arguments
        shape = signature.out.shape
        if self._avals[number].ndim == 1 and self._avals[number].shape == (self._size,):
            return self._reshaped(self._whole(number), (*shape[1:], shape[0]))
        if number not in self._turned:
            return None
        return self._reshaped(self._turned[number], (*shape[1:], shape[0]))

    def _transpose(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        (number,), (axes,) = arguments, signature.params
        if number not in self._turned or axes[0] != 0:
            return None
        return self._transposed(self._turned[number], (*[a - 1 for a in axes[1:]], len(axes) - 1))

    def _broadcast_to(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        (number,), shape = arguments, signature.out.shape
        if number not in self._turned or self._avals[number].ndim != len(shape):
            return None
        return self.result.call(BROADCAST_TO, self._turned[number], params=((*shape[1:], shape[0]),))

    def _entries(self, index: int, count: int) -> int | None:
        """An index that takes all of the batch, for the turned one."""
        aval = self._avals[index]
        if count or aval.literal is None or aval.spec is None or aval.spec[0] != self._size:
            return None
        first = aval.literal[0]
        if not isinstance(first, slice) or range(*first.indices(self._size)) != range(self._size):
            return None
        return self._index((*aval.spec[1:], aval.spec[0]), (*aval.literal[1:], slice(0, self._size, 1)))

    def _read(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        array, index, *arrays = arguments
        entries = self._entries(index, len(arrays))
        if entries is None or not self._is_batch(array):
            return None
        return self.result.call(INDEX, self._lanes(array), entries)

    def _write(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        base, index, values, *arrays = arguments
        entries = self._entries(index, len(arrays))
        if entries is None or self._avals[values].shape[:1] != (self._size,):
            return None
        part = self._lanes(values) if self._avals[values].ndim > 1 else self._whole(values)
        return self.result.call(signature.primitive, self._lanes(base), entries, part)

    def _sum(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        (axes,) = signature.params
        if arguments[0] not in self._turned or not self._is_short(arguments[0], axes):
            return None
        return self.result.call(SUM, self._turned[arguments[0]], params=(tuple([a - 1 for a in axes]),))

    def _is_short(self, number: int, axes: tuple[int, ...]) -> bool:
        """Whether a sum is of so few that one after another is as exact as in pairs."""
        aval = self._avals[number]
        return 0 not in axes and math.prod(aval.shape[a] for a in axes) <= LONGEST_ROW and aval.dtype in ADDED

    def _inner(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        (axes,) = signature.params
        if not any(a in self._turned for a in arguments) or not self._is_short(arguments[0], axes):
            return None
        product = self.result.call(MULTIPLY, *[self._lanes(a) for a in arguments])
        return self.result.call(SUM, product, params=(tuple([a - 1 for a in axes]),))

    def _concatenate(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        (axis,) = signature.params
        if axis == 0 or not any(a in self._turned for a in arguments):
            return None
        return self.result.call(CONCATENATE, *[self._lanes(a) for a in arguments], params=(axis - 1,))

    def _matmul(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        """Products of columns and rows, and of matrices and vectors; larger ones are left to the library."""
        first, second = (self._avals[a] for a in arguments)
        ndim = signature.out.ndim
        rows, length, columns = first.shape[-2], first.shape[-1], second.shape[-1]
        if ndim < 3 or (length > 1 and (min(rows, columns) > 1 or length > LONGEST_ROW)):
            return None
        if first.dtype != second.dtype or first.dtype not in ADDED:
            return None
        if not any(a in self._turned or self._is_cheap(a) for a in arguments):
            return None
        x, y = (self._beside(a, ndim) for a in arguments)
        if length == 1:
            return self.result.call(MULTIPLY, x, y)
        # Rows or columns are one: the sum is over the axis of the other.
        if columns == 1:
            shape = self._shape(y)
            product = self.result.call(MULTIPLY, x, self._reshaped(y, (*shape[:-3], 1, shape[-3], shape[-1])))
            total = self.result.call(SUM, product, params=((ndim - 2,),))
        else:
            shape = self._shape(x)
            product = self.result.call(MULTIPLY, self._reshaped(x, (*shape[:-3], shape[-2], 1, shape[-1])), y)
            total = self.result.call(SUM, product, params=((ndim - 3,),))
        out = signature.out.shape
        return self._reshaped(total, (*out[1:], out[0]))

    def _is_cheap(self, number: int) -> bool:
        return number in self._plain and self.result.is_primitive(self._plain[number], TRANSPOSE)


RULES: dict[Any, Callable[..., int | None]] = {
    RESHAPE: Lanes._reshape,
    TRANSPOSE: Lanes._transpose,
    BROADCAST_TO: Lanes._broadcast_to,
    INDEX: Lanes._read,
    INDEX_ADD: Lanes._write,
    INDEX_SET: Lanes._write,
    SUM: Lanes._sum,
    INNER: Lanes._inner,
    MATMUL: Lanes._matmul,
    CONCATENATE: Lanes._concatenate,
}
