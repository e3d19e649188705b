"""What applications take in compiled loops and in NumPy, and so which of them loops execute."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core.primitives import Primitive, Signature
from autodiff.core.program import Application, Program

from ..loops.regions import Cuts, is_view
from ..loops.statements import COPY, DTYPES, REDUCTIONS, Form, is_lowered, looks
from .expressions import ARITHMETIC, NOTHING, OVERRIDES

# Nanoseconds of one element, in compiled loops and in NumPy's, and of one NumPy call and one kernel call beside that.
# Measured on 1,000 elements in cache; functions that are not listed are called element by element in both.
SCALAR_FUNCTION = (9.0, 9.0)
STATEMENT = 20.0
# Of those that loops have as vectorised arithmetic, or as an expression of such.
VECTOR_FUNCTION = 1.4
MULTIPLY_ADD = (0.4, 0.1)
NUMPY_CALL, KERNEL_CALL = 250.0, 1_500.0


def cost(signature: Signature) -> tuple[float, float]:
    """A rough estimate of what an application takes in compiled loops and in NumPy, in nanoseconds."""
    if looks(signature):
        return 0.0, NUMPY_CALL / 2
    size = max([signature.out.size, *[a.size for a in signature.inputs if a.spec is None]])
    if signature.primitive.kind == "contraction":
        size = signature.out.size * signature.inputs[0].shape[-1]
    loops, vectors = _element(signature.primitive, signature.out.dtype, len(signature.inputs))
    # One element is a Python number in a NumPy plan.
    call = NUMPY_CALL if size > 1 else NUMPY_CALL / 8
    return (STATEMENT if size > 1 else 1.0) + size * loops, call + size * vectors


def loop_cost(form: Form) -> float:
    """A rough estimate of what a statement takes for one element in compiled loops, in nanoseconds."""
    if form.primitive is None:
        return (ARITHMETIC if form.name == COPY else SCALAR_FUNCTION)[0]
    return _element(form.primitive, form.dtypes[0], len(form.literals))[0]


def _element(primitive: Primitive, dtype: np.dtype[Any], operands: int) -> tuple[float, float]:
    if primitive.name in REDUCTIONS and operands == 2:
        return MULTIPLY_ADD
    if primitive.cheap:
        return ARITHMETIC
    row = OVERRIDES.get(primitive, NOTHING)
    if row.single is not None and dtype == np.float32:
        return row.single
    loops, vectors = row.cost or SCALAR_FUNCTION
    return (VECTOR_FUNCTION if row.vectorised and dtype == np.float64 else loops), vectors


def supported(program: Program, application: Application, ufuncs: frozenset[str], largest: int) -> bool:
    """Whether an application can be a statement (or a view): dtypes, sizes, primitive and known indices."""
    _, signature, arguments = application
    primitive = signature.primitive
    for aval in (signature.out, *signature.inputs):
        if aval.spec is None and (aval.dtype not in DTYPES or aval.size > largest):
            return False
    if primitive.kind == "indexing":
        return len(arguments) == 2 + primitive.writes and arguments[1] in program.constants
    reduces = REDUCTIONS.get(primitive.name)
    if reduces is not None:
        return all(a.size for a in signature.inputs) or reduces.identity is not None
    row = OVERRIDES.get(primitive, NOTHING)
    if is_lowered(signature) or row.text is not None:
        return True
    ufunc = primitive.numpy_ufunc
    if ufunc is None or ufunc.nout != 1 or ufunc.__name__ not in ufuncs:
        return False
    loop = signature.loop_dtypes
    return DTYPES.issuperset(loop) and not any(dtype.kind in row.left for dtype in loop[: ufunc.nin])


def faster(ufuncs: frozenset[str], largest: int) -> Cuts:
    """Loops where they are estimated to be faster than NumPy, of these ufuncs and of arrays of this size at most."""

    def fits(program: Program, application: Application) -> bool:
        return supported(program, application, ufuncs, largest) and _short(application[1])

    def pays(program: Program, members: list[Application]) -> bool:
        costs = [cost(signature) for number, signature, _ in members if not is_view(program, number)]
        return not costs or sum(loops for loops, _ in costs) + KERNEL_CALL < sum(vectors for _, vectors in costs)

    return Cuts(fits, is_view, pays)


def _short(signature: Signature) -> bool:
    """Whether loops are no hopeless match for BLAS."""
    loops, vectors = cost(signature)
    return signature.primitive.kind != "contraction" or loops < 2 * vectors
