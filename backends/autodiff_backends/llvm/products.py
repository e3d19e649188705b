"""Small products of matrices: tiles of the result in registers, each operand read once for a tile.

A loop over rows that are added up writes each of them as often as there are terms, and a loop over terms reads each
operand for one element of the result. A tile of four by sixteen numbers needs neither: so many sums fit into registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..loops.statements import Form, Statement
from .code import Code, loop
from .values import DType, Value, type_of

# Rows and vectors of a tile.
ROWS, VECTORS = 4, 2


class Axes(NamedTuple):
    """How a product is walked through.

    Attributes
    ----------
    across, along : int
        The axes of the result that a tile has, by one and by vectors.
    terms : int
        The axis that is summed over.
    operands : tuple of int
        The operand that varies ``across``, and the one that varies ``along``.
    by_terms : bool
        Whether vectors are of terms, to be added up at the end, rather than of elements of the result.
    """

    across: int
    along: int
    terms: int
    operands: tuple[int, int]
    by_terms: bool


def axes_of(form: Form) -> Axes | None:
    """How a statement is a product of matrices in tiles; None if it is none, or its operands do not lie so."""
    shape, strides = form.shape, form.strides
    if form.reduces is not np.add or len(strides) != 3 or len(set(form.dtypes)) != 1 or form.dtypes[0].kind != "f":
        return None
    if len(shape) < 3 or form.reduced != (len(shape) - 1,) or 0 in shape:
        return None
    terms = len(shape) - 1
    kept = (terms - 2, terms - 1)
    target, *operands = strides
    for by_terms in (False, True):
        for along, across in (kept[::-1], kept):
            for first, second in ((0, 1), (1, 0)):
                x, y = operands[first], operands[second]
                # One operand has the rows of the result, and the other its columns.
                if y[across] or (x[along] and shape[along] > 1):
                    continue
                found = Axes(across, along, terms, (first, second), by_terms)
                if not by_terms and shape[along] > 1 and target[along] == 1 and y[along] == 1:
                    return found
                if by_terms and x[terms] == 1 and y[terms] == 1:
                    return found
    return None


def write(
    code: Code, statement: Statement, axes: Axes, addresses: Sequence[str], lanes: int, batch: Sequence[int]
) -> None:
    """The loops of a product: over the axes of ``batch``, tiles, and terms.

    ``addresses`` are where the result and both operands begin, ``lanes`` how many numbers a vector has.
    """
    Product(code, statement.form, axes, lanes).write(tuple(addresses), list(batch))


class Product:
    """A product that is being written."""

    def __init__(self, code: Code, form: Form, axes: Axes, lanes: int):
        self._code = code
        self._shape = form.shape
        self._dtype: DType = form.dtypes[0]
        self._axes = axes
        self._lanes = lanes
        first, second = axes.operands
        # Of the result, and of what varies across and along.
        self._order = (0, 1 + first, 1 + second)
        self._strides = [form.strides[place] for place in self._order]

    def write(self, addresses: tuple[str, ...], batch: list[int]) -> None:
        """Loops over the axes of a batch, and tiles in them."""
        self._batch(tuple([addresses[place] for place in self._order]), batch)

    def _batch(self, at: tuple[str, ...], batch: list[int]) -> None:
        if batch:
            axis, *rest = batch
            self._repeated(self._shape[axis], 1, axis, at, lambda there: self._batch(there, rest))
            return
        axes = self._axes
        lanes = 1 if axes.by_terms else self._lanes
        wide = lanes * VECTORS
        along, across = self._shape[axes.along], self._shape[axes.across]

        def rows(there: tuple[str, ...], widths: list[int]) -> None:
            self._repeated(across // ROWS, ROWS, axes.across, there, lambda t: self._tile(t, ROWS, widths))
            if across % ROWS:
                self._tile(
                    self._moved(there, axes.across, self._code.integer(across // ROWS * ROWS)), across % ROWS, widths
                )

        self._repeated(along // wide, wide, axes.along, at, lambda t: rows(t, [lanes] * VECTORS))
        if along % wide:
            rows(self._moved(at, axes.along, self._code.integer(along // wide * wide)), _widths(along % wide, lanes))

    # --- places ------------------------------------------------------------------------------------------------------

    def _repeated(
        self, count: int, step: int, axis: int, at: tuple[str, ...], body: Callable[[tuple[str, ...]], None]
    ) -> None:
        if count == 1:
            body(at)
        elif count:
            code = self._code
            loop(code, code.integer(count), lambda i: body(self._moved(at, axis, i if step == 1 else i * step)))

    def _moved(self, at: tuple[str, ...], axis: int, place: Value) -> tuple[str, ...]:
        return tuple(
            [self._offset(address, strides[axis], place) for address, strides in zip(at, self._strides, strict=True)]
        )

    def _offset(self, address: str, step: int, place: Value) -> str:
        if step == 0 or place.text == "0":
            return address
        return self._code.offset(address, self._dtype, place if step == 1 else place * step)

    def _at(self, address: str, count: int) -> str:
        return self._code.offset(address, self._dtype, self._code.integer(count))

    # --- tiles -------------------------------------------------------------------------------------------------------

    def _tile(self, at: tuple[str, ...], rows: int, widths: list[int]) -> None:
        if self._axes.by_terms:
            self._tile_of_sums(at, rows, len(widths))
            return
        code, axes = self._code, self._axes
        sums = [[self._variable(width) for width in widths] for _ in range(rows)]
        places = [sum(widths[:i]) for i in range(len(widths))]

        def term(k: Value) -> None:
            _, x, y = self._moved(at, axes.terms, k)
            vectors = [self._load(self._at(y, place), width) for place, width in zip(places, widths, strict=True)]
            for row in range(rows):
                factor = self._load(self._at(x, row * self._strides[1][axes.across]), 1)
                splats: dict[int, str] = {}
                for width, vector, variable in zip(widths, vectors, sums[row], strict=True):
                    if width not in splats:
                        splats[width] = self._splat(factor, width)
                    self._add(variable, splats[width], vector, width)

        loop(code, code.integer(self._shape[axes.terms]), term)
        for row in range(rows):
            target = self._at(at[0], row * self._strides[0][axes.across])
            for place, width, variable in zip(places, widths, sums[row], strict=True):
                kind = self._kind(width)
                value = code.emit(f"load {kind}, ptr {variable}")
                code.do(f"store {kind} {value}, ptr {self._at(target, place)}, align {self._dtype.itemsize}")

    def _tile_of_sums(self, at: tuple[str, ...], rows: int, columns: int) -> None:
        """Each element of the result as the sum of a vector of sums of terms."""
        code, axes = self._code, self._axes
        terms = self._shape[axes.terms]
        width = min(self._lanes, 1 << (terms.bit_length() - 1))
        whole = terms // width
        sums = [[self._variable(width) for _ in range(columns)] for _ in range(rows)]

        def add(there: tuple[str, ...], width: int, sums: list[list[str]]) -> None:
            _, x, y = there
            right = [self._load(self._at(y, c * self._strides[2][axes.along]), width) for c in range(columns)]
            for row in range(rows):
                left = self._load(self._at(x, row * self._strides[1][axes.across]), width)
                for column in range(columns):
                    self._add(sums[row][column], left, right[column], width)

        self._repeated(whole, width, axes.terms, at, lambda there: add(there, width, sums))
        parts = [(width, sums)]
        done = whole * width
        for narrow in _widths(terms - done, width) if terms > done else ():
            more = [[self._variable(narrow) for _ in range(columns)] for _ in range(rows)]
            add(self._moved(at, axes.terms, code.integer(done)), narrow, more)
            parts.append((narrow, more))
            done += narrow
        for row in range(rows):
            for column in range(columns):
                totals = [self._sum(variables[row][column], width) for width, variables in parts]
                total = totals[0]
                for other in totals[1:]:
                    total = code.emit(f"fadd reassoc {type_of(self._dtype)} {total}, {other}")
                target = self._at(at[0], row * self._strides[0][axes.across])
                target = self._at(target, column * self._strides[0][axes.along])
                code.do(f"store {type_of(self._dtype)} {total}, ptr {target}, align {self._dtype.itemsize}")

    # --- vectors -----------------------------------------------------------------------------------------------------

    def _kind(self, width: int) -> str:
        return type_of(self._dtype) if width == 1 else f"<{width} x {type_of(self._dtype)}>"

    def _suffix(self, width: int) -> str:
        return f"{'' if width == 1 else f'v{width}'}f{8 * self._dtype.itemsize}"

    def _variable(self, width: int) -> str:
        code = self._code
        name = f"%{code.name('a')}"
        kind = self._kind(width)
        code.prologue.append(f"  {name} = alloca {kind}")
        code.do(f"store {kind} {'0.0' if width == 1 else 'zeroinitializer'}, ptr {name}")
        return name

    def _load(self, address: str, width: int) -> str:
        return self._code.emit(f"load {self._kind(width)}, ptr {address}, align {self._dtype.itemsize}")

    def _splat(self, factor: str, width: int) -> str:
        if width == 1:
            return factor
        kind, code = self._kind(width), self._code
        one = code.emit(f"insertelement {kind} poison, {type_of(self._dtype)} {factor}, i64 0")
        return code.emit(f"shufflevector {kind} {one}, {kind} poison, <{width} x i32> zeroinitializer")

    def _add(self, variable: str, x: str, y: str, width: int) -> None:
        code, kind = self._code, self._kind(width)
        total = code.emit(f"load {kind}, ptr {variable}")
        if code.has_fma:
            name = f"@llvm.fma.{self._suffix(width)}"
            code.module.declare(f"declare {kind} {name}({kind}, {kind}, {kind})")
            total = code.emit(f"call {kind} {name}({kind} {x}, {kind} {y}, {kind} {total})")
        else:
            product = code.emit(f"fmul {kind} {x}, {y}")
            total = code.emit(f"fadd {kind} {total}, {product}")
        code.do(f"store {kind} {total}, ptr {variable}")

    def _sum(self, variable: str, width: int) -> str:
        code, kind, one = self._code, self._kind(width), type_of(self._dtype)
        value = code.emit(f"load {kind}, ptr {variable}")
        if width == 1:
            return value
        name = f"@llvm.vector.reduce.fadd.{self._suffix(width)}"
        code.module.declare(f"declare {one} {name}({one}, {kind})")
        return code.emit(f"call reassoc {one} {name}({one} -0.0, {kind} {value})")


def _widths(count: int, lanes: int) -> list[int]:
    """A count as vectors: as many of the widest as fit, and what is left by powers of two."""
    widths = [lanes] * (count // lanes)
    rest = count % lanes
    return widths + [1 << bit for bit in range(rest.bit_length() - 1, -1, -1) if rest >> bit & 1]
