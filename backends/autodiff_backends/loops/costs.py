"""What applications take in compiled loops and in NumPy, and so which of them loops execute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.primitives import Primitive, Signature
from autodiff.core.program import Application, Program

from .folds import MATMUL, is_folded
from .forms import COPY, DTYPES, GATHER, REDUCTIONS, Form
from .nests import Nest
from .regions import Cuts, is_view
from .schedule import Band
from .statements import is_lowered, looks

# Nanoseconds of one element, in compiled loops and in NumPy's, and of one NumPy call beside that. Measured on 1,000
# elements in cache; functions that are not listed are called element by element in both.
SCALAR_FUNCTION = (9.0, 9.0)
STATEMENT = 20.0
MULTIPLY_ADD = (0.1, 0.1)
NUMPY_CALL = 250.0
# What index arrays pick, and what is written there one element after the other.
PICKED, WRITTEN_ANYWHERE = (0.6, 1.5), (1.2, 3.0)
# Nanoseconds of an element that is copied from somewhere else for each next one.
STRIDED_COPY = 2.0
# Nanoseconds of a byte of arrays that do not fit into the nearest cache.
MOVED_BYTE = 0.05
# What takes as long as an addition, though NumPy's threads may share it.
ARITHMETIC = (0.1, 0.2)


class Costs(NamedTuple):
    """Rough estimates for loops that a compiler makes.

    Parameters
    ----------
    element : callable
        ``element(primitive, dtype)``: nanoseconds for one element of a primitive that is no card's cheap one.
    product : tuple of float, optional
        Nanoseconds of a term of a product of matrices.
    largest_product : int, optional
        So many terms at most, if all that are shorter are loops.
    """

    element: Callable[[Primitive, np.dtype[Any]], tuple[float, float]]
    product: tuple[float, float] = (0.4, 0.1)
    largest_product: int | None = None

    def application(self, signature: Signature) -> tuple[float, float]:
        """What an application takes in compiled loops and in NumPy, in nanoseconds."""
        if looks(signature):
            return 0.0, NUMPY_CALL / 2
        size = max([signature.out.size, *[a.size for a in signature.inputs if a.spec is None]])
        loops, vectors = self._element(signature.primitive, signature.out.dtype, len(signature.inputs))
        if signature.primitive.kind == "indexing" and len(signature.inputs) > 2 + signature.primitive.writes:
            loops, vectors = WRITTEN_ANYWHERE if signature.primitive.writes else PICKED
        if signature.primitive.kind == "contraction":
            terms = signature.inputs[0].shape[-1]
            size = signature.out.size * terms
            if terms == 1:
                loops, vectors = ARITHMETIC
        # One element is a Python number in a NumPy plan.
        call = NUMPY_CALL if size > 1 else NUMPY_CALL / 8
        return (STATEMENT if size > 1 else 1.0) + size * loops, call + size * vectors

    def statement(self, form: Form) -> float:
        """What a statement takes for one element in compiled loops, in nanoseconds."""
        if form.indexed:
            return (PICKED if form.name == GATHER else WRITTEN_ANYWHERE)[0]
        if form.name == COPY:
            return ARITHMETIC[0]
        assert form.primitive is not None
        return self._element(form.primitive, form.dtypes[0], len(form.literals))[0]

    def nest(self, nest: Nest) -> float:
        """What a nest takes, in nanoseconds: its arithmetic or its memory, whichever takes longer."""
        return max(self._arithmetic(nest), nest.nbytes * MOVED_BYTE)

    def band(self, band: Band, nests: list[Nest]) -> float:
        """Likewise of nests that are executed together."""
        blocks = band.n_rows / band.block
        return max(blocks * sum(map(self._arithmetic, nests)), band.nbytes * MOVED_BYTE)

    def _arithmetic(self, nest: Nest) -> float:
        return math.prod(nest.shape) * sum([self.statement(s.form) for _, s in nest.members])

    def _element(self, primitive: Primitive, dtype: np.dtype[Any], operands: int) -> tuple[float, float]:
        if primitive.name in REDUCTIONS and operands == 2:
            return self.product if primitive.kind == "contraction" else MULTIPLY_ADD
        return ARITHMETIC if primitive.cheap else self.element(primitive, dtype)

    def cuts(self, is_supported: Callable[[Program, Application], bool], kernel_call: float) -> Cuts:
        """Loops where they are estimated to be faster than NumPy, a call of a kernel taking so many nanoseconds."""

        def fits(program: Program, application: Application) -> bool:
            return is_supported(program, application) and (
                self._short(application[1]) or self._copies(program, application)
            )

        def pays(program: Program, members: list[Application]) -> bool:
            done = [member for member in members if not is_view(program, member[0])]
            costs = [self.application(signature) for _, signature, _ in done]
            copies = STRIDED_COPY * sum([_copied(program, application) for application in done])
            loops, vectors = (sum(column) for column in zip((0.0, copies), *costs, strict=True))
            return not done or loops + kernel_call < vectors

        return Cuts(fits, is_view, pays)

    def _copies(self, program: Program, application: Application) -> bool:
        """Whether BLAS would take less time for a product than the copies that it needs."""
        elements = _copied(program, application)
        return bool(elements) and elements * STRIDED_COPY > self.application(application[1])[1]

    def _short(self, signature: Signature) -> bool:
        """Whether loops are no hopeless match for BLAS. A column by a row sums nothing, and can be fused."""
        if signature.primitive.kind == "contraction" and self.largest_product is not None:
            terms = signature.inputs[0].shape[-1]
            return terms == 1 or signature.out.size * terms <= self.largest_product
        loops, vectors = self.application(signature)
        return signature.primitive.kind != "contraction" or loops < 2 * vectors


def _copied(program: Program, application: Application) -> int:
    """Elements that a product by BLAS needs copied before, and loops do not."""
    _, signature, arguments = application
    if signature.primitive is not MATMUL or not all(a.ndim == 2 for a in signature.inputs):
        return 0
    return sum([program.avals[a].size for a in arguments if is_folded(program, a)])


def supported(
    program: Program, application: Application, is_written: Callable[[Signature], bool], largest: int
) -> bool:
    """Whether an application can be a statement (or a view): dtypes, sizes, primitive and known indices.

    ``is_written(signature)`` says whether there is an expression of an elementwise one.
    """
    _, signature, arguments = application
    primitive = signature.primitive
    for aval in (signature.out, *signature.inputs):
        if aval.spec is None and (aval.dtype not in DTYPES or aval.size > largest):
            return False
    if primitive.kind == "indexing":
        return arguments[1] in program.constants
    reduces = REDUCTIONS.get(primitive.name)
    if reduces is not None:
        return all(a.size for a in signature.inputs) or reduces.identity is not None
    return is_lowered(signature) or is_written(signature)
