"""What elements of primitives take in Numba's loops, and which applications these execute."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from autodiff.core.primitives import Primitive, Signature
from autodiff.core.program import Application, Program

from ..loops.costs import SCALAR_FUNCTION, Costs
from ..loops.costs import supported as supported_by
from ..loops.regions import Cuts
from ..loops.statements import DTYPES
from .expressions import NOTHING, OVERRIDES

# Nanoseconds of one element of what loops have as vectorised arithmetic, or as an expression of such.
VECTOR_FUNCTION = 1.4
KERNEL_CALL = 1_500.0


def _element(primitive: Primitive, dtype: np.dtype[Any]) -> tuple[float, float]:
    row = OVERRIDES.get(primitive, NOTHING)
    if row.single is not None and dtype == np.float32:
        return row.single
    loops, vectors = row.cost or SCALAR_FUNCTION
    return (VECTOR_FUNCTION if row.vectorised and dtype == np.float64 else loops), vectors


COSTS = Costs(_element)


def supported(program: Program, application: Application, ufuncs: frozenset[str], largest: int) -> bool:
    """Whether an application can be a statement (or a view), of these ufuncs and of arrays of this size at most."""
    return supported_by(program, application, partial(_is_written, ufuncs), largest)


def _is_written(ufuncs: frozenset[str], signature: Signature) -> bool:
    row = OVERRIDES.get(signature.primitive, NOTHING)
    if row.text is not None:
        return True
    ufunc = signature.primitive.numpy_ufunc
    if ufunc is None or ufunc.nout != 1 or ufunc.__name__ not in ufuncs:
        return False
    loop = signature.loop_dtypes
    return DTYPES.issuperset(loop) and not any(dtype.kind in row.left for dtype in loop[: ufunc.nin])


def faster(ufuncs: frozenset[str], largest: int) -> Cuts:
    """Loops where they are estimated to be faster than NumPy, of these ufuncs and of arrays of this size at most."""
    return COSTS.cuts(partial(_is_supported, ufuncs, largest), KERNEL_CALL)


def _is_supported(ufuncs: frozenset[str], largest: int, program: Program, application: Application) -> bool:
    return supported(program, application, ufuncs, largest)
