"""Values of a factorisation, taken from that with vectors where a program has both: derivatives ask for them."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.primitives import Primitive, Signature
from ..core.program import Program, prune

# Factorisations: of their parameters, what they share with that without vectors, whether they are that, and which
# output of the other the only one is.
KINDS: dict[Primitive, Any] = {
    ops.svd_p: lambda full_matrices, compute_uv: ((), not compute_uv, 1),
    ops.eigh_p: lambda upper, vectors: ((upper,), not vectors, 0),
    ops.eig_p: lambda vectors: ((), not vectors, 0),
    ops.qr_p: lambda mode: ((mode == "complete",), mode == "r", 1),
}


def with_vectors(program: Program) -> Program:
    """The same program, with one factorisation where one without vectors is of the same matrix."""
    found = [number for number, head in enumerate(program.heads) if head in KINDS]
    if len(found) < 2:
        return program
    whole: dict[Any, Signature] = {}
    alone: dict[int, Any] = {}
    for number in found:
        signature = program.signatures[number]
        assert signature is not None
        shared, is_alone, index = KINDS[signature.primitive](*signature.params)
        key = (signature.primitive, program.arguments[number], shared)
        if is_alone:
            alone[number] = (key, index)
        else:
            whole[key] = signature
    instead = {number: (whole[key], index) for number, (key, index) in alone.items() if key in whole}
    if not instead:
        return program

    def taken(result: Program, number: int, _: Signature, arguments: tuple[int, ...]) -> int | None:
        if program.heads[number] is not ops.part_p or program.arguments[number][0] not in instead:
            return None
        other, index = instead[program.arguments[number][0]]
        both = result.call(other.primitive, *result.arguments[arguments[0]], params=other.params)
        return result.call(ops.part_p, both, params=(index,))

    return prune(prune(program, taken))
