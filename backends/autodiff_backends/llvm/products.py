"""Small products of matrices: tiles of the result in registers, each operand read once for a tile.

A loop over rows that are added up writes each of them as often as there are terms, and a loop over terms reads each
operand for one element of the result. A tile of four by sixteen numbers needs neither: so many sums fit into registers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..loops.forms import Form, Statement
from ..loops.nests import LONGEST_SUM
from .code import Code, loop
from .values import INT64, DType, Value, type_of

# Rows and vectors of a tile.
ROWS, VECTORS = 4, 2


class Axes(NamedTuple):
    """How a product is walked through.

    Attributes
    ----------
    across, along : int
        The axes of the result that a tile has, by one and by vectors.
    terms : tuple of int
        The axes that are summed over, vectors being of the last.
    operands : tuple of int
        The operand that varies ``across``, and the one that varies ``along``.
    by_terms : bool
        Whether vectors are of terms, to be added up at the end, rather than of elements of the result.
    """

    across: int
    along: int
    terms: tuple[int, ...]
    operands: tuple[int, int]
    by_terms: bool


def axes_of(form: Form) -> Axes | None:
    """How a statement is a product of matrices in tiles; None if it is none, or its operands do not lie so."""
    shape, strides = form.shape, form.strides
    if form.reduces is not np.add or len(strides) != 3 or len(set(form.dtypes)) != 1 or form.dtypes[0].kind != "f":
        return None
    if not form.reduced or 0 in shape or not _is_written_out(form):
        return None
    terms = tuple([axis for axis in form.reduced if shape[axis] > 1]) or form.reduced[-1:]
    kept = [axis for axis in range(len(shape)) if axis not in form.reduced]
    target, *operands = strides
    for by_terms in (False, True):
        for along, across in itertools.permutations(kept[::-1], 2):
            for first, second in ((0, 1), (1, 0)):
                x, y = operands[first], operands[second]
                # One operand has the rows of the result, and the other its columns.
                if y[across] or (x[along] and shape[along] > 1):
                    continue
                found = Axes(across, along, terms, (first, second), by_terms)
                if not by_terms and shape[along] > 1 and target[along] == 1 and y[along] == 1:
                    return found
                if by_terms and x[terms[-1]] == 1 and y[terms[-1]] == 1:
                    return found
    return None


def _is_written_out(form: Form) -> bool:
    """Whether terms may be added up one after another: as BLAS does it, or few of them."""
    terms = math.prod([form.shape[axis] for axis in form.reduced])
    primitive = form.primitive
    return terms <= LONGEST_SUM or (primitive is not None and primitive.kind == "contraction")


def batch_of(form: Form, axes: Axes) -> list[int]:
    """The axes around tiles, the longest first: threads may share that one."""
    inside = {axes.across, axes.along, *form.reduced}
    found = [axis for axis, n in enumerate(form.shape) if n > 1 and axis not in inside]
    longest = max(found, key=form.shape.__getitem__, default=None)
    return found if longest is None else [longest, *[axis for axis in found if axis != longest]]


def write(
    code: Code, statement: Statement, axes: Axes, addresses: Sequence[str], lanes: int, shared: bool = False
) -> None:
    """The loops of a product: over the axes of a batch, tiles, and terms.

    ``addresses`` are where the result and both operands begin, ``lanes`` how many numbers a vector has. Threads share
    the first axis of the batch if it is ``shared``.
    """
    form = statement.form
    batch = batch_of(form, axes)
    product = Product(code, form, axes, lanes)
    if not shared:
        product.write(tuple(addresses), batch)
        return
    begin = Value(code, INT64, "%begin")

    def share(i: Value) -> None:
        steps = [strides[batch[0]] for strides in form.strides]
        here = [product.moved(address, step, i + begin) for address, step in zip(addresses, steps, strict=True)]
        product.write(tuple(here), batch[1:])

    loop(code, Value(code, INT64, "%end") - begin, share)


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
            [self.moved(address, strides[axis], place) for address, strides in zip(at, self._strides, strict=True)]
        )

    def moved(self, address: str, step: int, place: Value) -> str:
        """An address so many steps on."""
        if step == 0 or place.text == "0":
            return address
        return self._code.offset(address, self._dtype, place if step == 1 else place * step)

    def _at(self, address: str, count: int) -> str:
        return self._code.offset(address, self._dtype, self._code.integer(count))

    def _terms(self, at: tuple[str, ...], body: Callable[[tuple[str, ...]], None]) -> None:
        """Loops over all axes of terms but the last."""

        def opened(there: tuple[str, ...], axes: tuple[int, ...]) -> None:
            if len(axes) == 1:
                body(there)
            else:
                self._repeated(self._shape[axes[0]], 1, axes[0], there, lambda t: opened(t, axes[1:]))

        opened(at, self._axes.terms)

    # --- tiles -------------------------------------------------------------------------------------------------------

    def _tile(self, at: tuple[str, ...], rows: int, widths: list[int]) -> None:
        if self._axes.by_terms:
            self._tile_of_sums(at, rows, len(widths))
            return
        code, axes = self._code, self._axes
        sums = [[self._variable(width) for width in widths] for _ in range(rows)]
        places = [sum(widths[:i]) for i in range(len(widths))]

        def term(there: tuple[str, ...]) -> None:
            _, x, y = there
            vectors = [self._load(self._at(y, place), width) for place, width in zip(places, widths, strict=True)]
            for row in range(rows):
                factor = self._load(self._at(x, row * self._strides[1][axes.across]), 1)
                splats: dict[int, str] = {}
                for width, vector, variable in zip(widths, vectors, sums[row], strict=True):
                    if width not in splats:
                        splats[width] = self._splat(factor, width)
                    self._add(variable, splats[width], vector, width)

        self._terms(at, lambda there: self._repeated(self._shape[axes.terms[-1]], 1, axes.terms[-1], there, term))
        for row in range(rows):
            target = self._at(at[0], row * self._strides[0][axes.across])
            for place, width, variable in zip(places, widths, sums[row], strict=True):
                kind = self._kind(width)
                value = code.emit(f"load {kind}, ptr {variable}")
                code.do(f"store {kind} {value}, ptr {self._at(target, place)}, align {self._dtype.itemsize}")

    def _tile_of_sums(self, at: tuple[str, ...], rows: int, columns: int) -> None:
        """Each element of the result as the sum of a vector of sums of terms."""
        code, axes = self._code, self._axes
        last = axes.terms[-1]
        terms = self._shape[last]
        width = min(self._lanes, 1 << (terms.bit_length() - 1))
        whole = terms // width
        widths = _widths(terms - whole * width, width) if terms > whole * width else []
        parts = [(w, [[self._variable(w) for _ in range(columns)] for _ in range(rows)]) for w in [width, *widths]]

        def add(there: tuple[str, ...], part: int) -> None:
            _, x, y = there
            w, sums = parts[part]
            right = [self._load(self._at(y, c * self._strides[2][axes.along]), w) for c in range(columns)]
            for row in range(rows):
                left = self._load(self._at(x, row * self._strides[1][axes.across]), w)
                for column in range(columns):
                    self._add(sums[row][column], left, right[column], w)

        def run(there: tuple[str, ...]) -> None:
            self._repeated(whole, width, last, there, lambda t: add(t, 0))
            done = whole * width
            for part, w in enumerate(widths, 1):
                add(self._moved(there, last, code.integer(done)), part)
                done += w

        self._terms(at, run)
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
