"""Primitives of derivative rules as what they are composed of, where a backend does not compute them itself."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from .. import ops
from ..core.avals import intern_aval
from ..core.primitives import Primitive, Signature
from ..core.program import Program, prune
from ..nodes import Node
from ..tracing import WITHHELD, trace
from .build import build


def expand(program: Program, known: Collection[str]) -> Program:
    """The same program in primitives that are no compositions, or whose names are ``known``."""
    if not _any_expands(program, known):
        return program

    def expanded(result: Program, _: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if _expands(signature.primitive, known):
            return _spliced(result, signature, arguments, known)
        return _unpacked(result, signature, arguments)

    return prune(program, expanded)


def _unpacked(result: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
    """The value that is a part of several which are only packed together; None for any other application."""
    if signature.primitive is not ops.part_p or not result.is_primitive(arguments[0], ops.pack_p):
        return None
    (output,) = signature.params
    return result.arguments[arguments[0]][int(output)]


def expand_as_recorded(program: Program, known: Collection[str]) -> Program:
    """The same for a program that is computed once or twice: equal applications are not one value, which is faster."""
    if not _any_expands(program, known):
        return program
    result = program.emptied()
    numbers = list(range(program.n_inputs))
    for number in range(program.n_inputs, len(program.avals)):
        result.follow(program, number)
        signature = program.signatures[number]
        if signature is None:
            numbers.append(result.constant(program.avals[number], program.constants[number]))
            continue
        arguments = tuple([numbers[a] for a in program.arguments[number]])
        if _expands(signature.primitive, known):
            result.derived = signature.is_derived
            numbers.append(_spliced(result, signature, arguments, known))
        else:
            part = _unpacked(result, signature, arguments)
            numbers.append(result.append(signature, arguments) if part is None else part)
    result.outputs = tuple([numbers[n] for n in program.outputs])
    result.quiet = program.quiet
    return result


def _any_expands(program: Program, known: Collection[str]) -> bool:
    return any(_expands(head, known) for head in set(program.heads) if isinstance(head, Primitive))


def _expands(primitive: Primitive, known: Collection[str]) -> bool:
    return primitive in ops.COMPOSITIONS and primitive.name not in known


def _spliced(p: Program, signature: Signature, arguments: tuple[int, ...], known: Collection[str]) -> int:
    """The value of a composition of these values."""
    body = _composition(signature)
    numbers = dict(enumerate(arguments))
    for number in body.live():
        inner = body.signatures[number]
        if number in body.constants:
            numbers[number] = p.constant(body.avals[number], body.constants[number])
        elif inner is not None:
            parts = tuple([numbers[a] for a in body.arguments[number]])
            if _expands(inner.primitive, known):
                numbers[number] = _spliced(p, inner, parts, known)
            else:
                numbers[number] = p.call(inner.primitive, *parts, params=inner.params)
    return numbers[body.outputs[0]]


@lru_cache(512)
def _composition(signature: Signature) -> Program:
    def composed(*inputs: Node) -> Node:
        out = ops.COMPOSITIONS[signature.primitive](*inputs, **signature.keywords)
        if out.aval.dtype != signature.out.dtype:
            out = ops.astype(out, signature.out.dtype)
        return ops.broadcast_to(out, signature.out.shape)

    inputs, out = trace(composed, [intern_aval(a.shape, a.dtype, a.weak) for a in signature.inputs], WITHHELD)
    return build(inputs, [out])
