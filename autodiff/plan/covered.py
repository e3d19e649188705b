"""Loops without what nobody needs: those that another one computes among other things, and results that are not used.

Derivatives record a larger loop where one was recorded, with tangents beside, or with what they need of it. A program
that needs both computes the larger one only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import ops
from ..core.primitives import Signature
from ..core.program import Program, prune

# The larger loop, and which of its outputs are those of the smaller one.
Larger = tuple[int, tuple[int, ...]]


def covered(program: Program) -> Program:
    """The same program, where flows are computed by those that cover them."""
    found = _larger(program) if ops.flow_p in program.heads else {}
    if not found:
        return program
    result = program.emptied()
    numbers: dict[int, int] = {i: i for i in range(program.n_inputs)}
    # Not in order of the numbers: a smaller flow is where the larger one is.
    stack = list(program.outputs[::-1])
    while stack:
        number = stack[-1]
        if number in numbers:
            stack.pop()
            continue
        result.follow(program, number)
        signature, arguments = program.signatures[number], program.arguments[number]
        if signature is None:
            numbers[number] = result.constant(program.avals[number], program.constants[number])
            continue
        params = signature.params
        if signature.primitive is ops.part_p and arguments[0] in found:
            larger, outputs = found[arguments[0]]
            arguments, params = (larger,), (outputs[params[0]],)
        missing = [a for a in arguments if a not in numbers]
        if missing:
            stack += missing[::-1]
            continue
        result.derived = signature.is_derived
        given = tuple([numbers[a] for a in arguments])
        if params is signature.params:
            numbers[number] = result.apply(signature, given)
        else:
            numbers[number] = result.call(signature.primitive, *given, params=params)
    result.outputs = tuple([numbers[n] for n in program.outputs])
    result.quiet = program.quiet
    return result


def thinned(program: Program) -> Program:
    """The same program, where flows give only what is taken of them."""
    if ops.flow_p not in program.heads:
        return program
    used: dict[int, set[int]] = {}
    for _, signature, arguments in program.applications():
        if signature.primitive is ops.part_p:
            used.setdefault(arguments[0], set()).add(signature.params[0])
    # The smaller flow, and which outputs it has.
    smaller: dict[int, tuple[Any, tuple[int, ...]]] = {}
    for number, signature, _ in program.applications():
        if signature.primitive is ops.flow_p:
            found = signature.params[0].only(used.get(number, set()))
            if found is not None:
                smaller[number] = found

    def replaced(result: Program, number: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if number in smaller:
            return result.call(ops.flow_p, *arguments, params=(smaller[number][0],))
        if signature.primitive is ops.part_p and program.arguments[number][0] in smaller:
            _, outputs = smaller[program.arguments[number][0]]
            return result.call(ops.part_p, *arguments, params=(outputs.index(signature.params[0]),))
        return None

    return prune(program, replaced) if smaller else program


def _larger(program: Program) -> dict[int, Larger]:
    """For each flow that a larger one covers the largest."""
    flows = [
        (n, made.params[0], arguments) for n, made, arguments in program.applications() if made.primitive is ops.flow_p
    ]
    known: dict[Any, int] = {(rule, arguments): n for n, rule, arguments in flows}
    found: dict[int, Larger] = {}
    for n, rule, arguments in flows:
        covers, outputs = rule.covers, None
        while covers is not None:
            arguments = tuple([arguments[i] for i in covers.operands])
            outputs = covers.outputs if outputs is None else tuple([outputs[i] for i in covers.outputs])
            smaller = known.get((covers.flow, arguments))
            if smaller is not None and smaller not in found and not _depends(program, n, smaller, found):
                found[smaller] = n, outputs
            covers = covers.flow.covers
    return {n: _last(larger, found) for n, larger in found.items()}


def _last(larger: Larger, found: dict[int, Larger]) -> Larger:
    """The largest, which nothing covers."""
    n, outputs = larger
    while n in found:
        n, beyond = found[n]
        outputs = tuple([beyond[i] for i in outputs])
    return n, outputs


def _depends(program: Program, number: int, other: int, found: Mapping[int, Larger]) -> bool:
    """Whether a value would be made of another one, as tangents are that somebody computed from a result."""
    stack, seen = [number], {number}
    while stack:
        for a in program.arguments[stack.pop()]:
            while a != other and a in found:
                a = found[a][0]
            if a == other:
                return True
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return False
