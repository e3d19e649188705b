"""One factorisation for all that a program asks of a matrix: solutions for values and derivatives, determinants."""

from __future__ import annotations

from autodiff import ops
from autodiff.core.program import Program, prune

from .lapack import has_factors
from .small import is_small

USERS = (ops.solve_p, ops.slogdet_p, ops.det_p)


def with_factors(program: Program) -> Program:
    """The same program, where factors are found once for matrices that several applications need them of."""
    users: dict[int, list[int]] = {}
    for number in program.live():
        arguments = program.arguments[number]
        if program.heads[number] in USERS:
            shape = program.avals[arguments[0]].shape
            of_each = all(program.avals[b].shape[:-2] == shape[:-2] for b in arguments[1:])
            if has_factors(shape) and of_each:
                users.setdefault(_untransposed(program, arguments[0])[0], []).append(number)
    # Many small matrices have theirs sooner than a solution.
    shared = {
        number
        for a, numbers in users.items()
        if len(numbers) > 1 or is_small(program.avals[a].shape)
        for number in numbers
    }
    if not shared:
        return program

    def replaced(result: Program, number: int, arguments: tuple[int, ...]) -> int | None:
        if number not in shared:
            return None
        a, transposed = _untransposed(result, arguments[0])
        factors = result.call(ops.lu_p, a)
        if program.heads[number] is ops.solve_p:
            return result.call(ops.lu_solve_p, factors, arguments[1], params=(transposed,))
        both = result.call(ops.lu_slogdet_p, factors)
        if program.heads[number] is ops.slogdet_p:
            return both
        sign, log = (result.call(ops.part_p, both, params=(i,)) for i in range(2))
        # As NumPy has it.
        return result.call(ops.multiply, sign, result.call(ops.exp, log))

    return prune(program, replaced)


def _untransposed(program: Program, number: int) -> tuple[int, bool]:
    """The matrix that a value is, or is the transpose of, and which of both."""
    signature = program.signatures[number]
    if signature is not None and signature.primitive is ops.transpose_p:
        ndim = signature.out.ndim
        if signature.params[0] == (*range(ndim - 2), ndim - 1, ndim - 2):
            return program.arguments[number][0], True
    return number, False
