"""One factorisation for all that a program asks of a matrix: solutions for values and derivatives, determinants."""

from __future__ import annotations

from autodiff.core.primitives import PRIMITIVES, Signature
from autodiff.core.program import Program, prune

from .lapack import has_factors

SOLVE, SLOGDET, DET = USERS = tuple([PRIMITIVES[name] for name in ("solve", "slogdet", "det")])


def with_factors(program: Program) -> Program:
    """The same program, where factors are found once for matrices that several applications need them of."""
    users: dict[int, list[int]] = {}
    for number in program.live():
        arguments = program.arguments[number]
        if program.heads[number] in USERS and has_factors(program.avals[arguments[0]].shape):
            users.setdefault(_untransposed(program, arguments[0])[0], []).append(number)
    shared = {number for numbers in users.values() if len(numbers) > 1 for number in numbers}
    if not shared:
        return program

    def replaced(result: Program, number: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if number not in shared:
            return None
        a, transposed = _untransposed(result, arguments[0])
        factors = result.call(PRIMITIVES["lu"], a)
        if signature.primitive is SOLVE:
            return result.call(PRIMITIVES["lu_solve"], factors, arguments[1], params=(transposed,))
        both = result.call(PRIMITIVES["lu_slogdet"], factors)
        if signature.primitive is SLOGDET:
            return both
        sign, log = (result.call(PRIMITIVES["part"], both, params=(i,)) for i in range(2))
        # As NumPy has it.
        return result.call(PRIMITIVES["multiply"], sign, result.call(PRIMITIVES["exp"], log))

    return prune(program, replaced)


def _untransposed(program: Program, number: int) -> tuple[int, bool]:
    """The matrix that a value is, or is the transpose of, and which of both."""
    if program.is_primitive(number, PRIMITIVES["transpose"]):
        return program.arguments[number][0], True
    return number, False
