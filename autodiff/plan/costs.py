"""Rough figures of what a value takes: bytes, and the time to compute it. They decide what is computed again."""

from __future__ import annotations

import math

from .. import ops
from ..core.avals import Aval
from ..core.primitives import Signature

# A call of NumPy; an element that is fetched, or computed by a costly function; a product and its addition.
CALL, CHEAP, COSTLY, PRODUCT = 500.0, 0.5, 5.0, 0.1

# Arrays that a composition has beside its result.
LONGEST_STEPS = 2


def nbytes(aval: Aval) -> int:
    """Bytes of an array, or of all that are outputs of one primitive; 0 for numbers and indices."""
    if aval.parts:
        return sum(map(nbytes, aval.parts))
    return 0 if aval.spec is not None or aval.weak else aval.size * aval.dtype.itemsize


def nanoseconds(signature: Signature) -> float:
    """Time that an application takes, on one core."""
    primitive, inputs, out = signature.primitive, signature.inputs, signature.out
    if signature.is_view:
        return 0.0
    elements = max([1, out.size, *[aval.size for aval in (*inputs, *out.parts) if not aval.parts]])
    if primitive.kind == "contraction":
        first, second = [aval.size for aval in inputs[:2]]
        # Of (n, k) and (k, m) into (n, m) these are n k m.
        return CALL + PRODUCT * math.sqrt(float(first) * second * max(out.size, 1))
    if primitive.kind == "routine":
        longest = max([max(aval.shape, default=1) for aval in inputs if not aval.parts], default=1)
        return CALL + PRODUCT * 10 * elements * longest
    return CALL + (CHEAP if primitive.cheap or primitive.kind == "indexing" else COSTLY) * elements


def working(signature: Signature) -> int:
    """Bytes that an application takes beside its operands and its result, while it is computed."""
    primitive = signature.primitive
    if primitive.kind == "routine" or (primitive.kind == "other" and primitive.core is not None):
        return sum(map(nbytes, signature.inputs))  # LAPACK's functions, for one, work in copies
    if primitive.kind == "elementwise" and primitive.numpy_ufunc is None:
        # What no function of NumPy's computes at once is computed in steps.
        return nbytes(signature.out) * (LONGEST_STEPS if primitive in ops.COMPOSITIONS else 1)
    return 0
