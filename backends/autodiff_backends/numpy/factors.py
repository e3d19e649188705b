"""One factorisation for all that a program asks of a matrix: solutions for values and derivatives, determinants."""

from __future__ import annotations

from autodiff.core.primitives import PRIMITIVES, Signature
from autodiff.core.program import Program, prune

from .lapack import has_factors
from .small import is_small

SOLVE, SLOGDET, DET = (PRIMITIVES[name] for name in ("solve", "slogdet", "det"))
LU, LU_SOLVE, LU_SLOGDET, LU_DET = (PRIMITIVES[name] for name in ("lu", "lu_solve", "lu_slogdet", "lu_det"))
TRANSPOSE = PRIMITIVES["transpose"]
USERS = (SOLVE, SLOGDET, DET)


def with_factors(program: Program) -> Program:
    """The same program, where factors are found once for matrices that several applications need them of."""
    users: dict[int, list[int]] = {}
    for number in program.live():
        if program.heads[number] in USERS:
            a, *right = program.arguments[number]
            if all(program.avals[b].shape[:-2] == program.avals[a].shape[:-2] for b in right):
                users.setdefault(_untransposed(program, a)[0], []).append(number)
    # Many small matrices have theirs sooner than a solution. (SciPy is imported if it is needed.)
    shared = {
        number
        for a, numbers in users.items()
        if is_small(program.avals[a].shape) or (len(numbers) > 1 and has_factors(program.avals[a].shape))
        for number in numbers
    }
    if not shared:
        return program

    def replaced(result: Program, number: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if number not in shared:
            return None
        a, transposed = _untransposed(result, arguments[0])
        factors = result.call(LU, a)
        if signature.primitive is SOLVE:
            return result.call(LU_SOLVE, factors, arguments[1], params=(transposed,))
        return result.call(LU_DET if signature.primitive is DET else LU_SLOGDET, factors)

    return prune(program, replaced)


def _untransposed(program: Program, number: int) -> tuple[int, bool]:
    """The matrix that a value is, or is the transpose of, and which of both."""
    signature = program.signatures[number]
    if signature is not None and signature.primitive is TRANSPOSE:
        ndim = signature.out.ndim
        if signature.params[0] == (*range(ndim - 2), ndim - 1, ndim - 2):
            return program.arguments[number][0], True
    return number, False
