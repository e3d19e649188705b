"""From nodes to a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import ops
from ..core.primitives import COMPARED_BY_VALUE, Signature
from ..core.program import Program, Rewrite, _applied, _leaf
from ..nodes import Node, by_sequence
from ..progress import beat, listeners


def below(inputs: Iterable[Node], outputs: Iterable[Node]) -> list[Node]:
    """The nodes that ``outputs`` are made of, themselves included, from ``inputs`` on; in order of creation."""
    seen = set(inputs)
    stack = [node for node in dict.fromkeys(outputs) if node not in seen]
    seen.update(stack)
    found = []
    while stack:
        node = stack.pop()
        found.append(node)
        for x in node.inputs:
            if x not in seen:
                seen.add(x)
                stack.append(x)
    found.sort(key=by_sequence)
    return found


def build(
    inputs: Sequence[Node],
    outputs: Iterable[Node],
    rewrite: Rewrite | None = None,
    watched: bool = False,
    nodes: Iterable[Node] | None = None,
    tracked: bool = False,
) -> Program:
    """The program that computes ``outputs`` from the values of ``inputs``: on one backend, so it has no places.

    ``watched`` says that somebody looks at ``witnesses`` after each call; ``nodes`` are those ``below``, if known.
    ``tracked`` says that somebody asks for the nodes that values come from.
    """
    outputs = tuple(outputs)
    program = Program([node.aval.at(None) for node in inputs], rewrite)
    program.witnesses = [] if watched else None
    program.origins = list(inputs) if tracked else None
    numbers = _numbered(program, inputs)
    for node in below(inputs, outputs) if nodes is None else nodes:
        if tracked:
            program.origin = node
        if listeners:
            beat()
        if node.signature is None:
            numbers[node] = _leaf(program, node.aval.at(None), node.value)
        elif node.signature.primitive is ops.place_p:
            numbers[node] = numbers[node.inputs[0]]
        else:
            arguments = tuple([numbers[x] for x in node.inputs])
            numbers[node] = _applied(program, node.signature, arguments)
    program.outputs = tuple([numbers[node] for node in outputs])
    return program


def _numbered(program: Program, inputs: Iterable[Node]) -> dict[Node, int]:
    """The values that inputs are: those that are numbers of the structure are known."""
    numbers: dict[Node, int] = {}
    for place, node in enumerate(inputs):
        numbers.setdefault(node, program.constant(node.aval, node.value) if node.aval.literal is not None else place)
    return numbers


def transcribe(inputs: Sequence[Node], outputs: Iterable[Node], nodes: Iterable[Node]) -> Program:
    """The program that ``build`` is given, as it was recorded: equal applications are not one value.

    It takes a third of the time, for programs that are computed once; ``rebuild`` makes the other of it.
    """
    program = Program([node.aval.at(None) for node in inputs])
    numbers = _numbered(program, inputs)
    avals, heads, signatures, arguments = program.avals, program.heads, program.signatures, program.arguments
    # What is recorded may have places, and compare what NumPy does not.
    plain: dict[Signature | None, bool] = {}
    for node in nodes:
        if listeners:
            beat()
        signature = node.signature
        given = tuple([numbers[x] for x in node.inputs])
        is_plain = plain.get(signature)
        if is_plain is None:
            is_plain = plain[signature] = signature is not None and _is_plain(signature)
        if is_plain:
            numbers[node] = len(avals)
            avals.append(signature.out)  # type: ignore[union-attr]
            heads.append(signature.primitive)  # type: ignore[union-attr]
            signatures.append(signature)
            arguments.append(given)
        elif signature is None:
            numbers[node] = program.constant(node.aval.at(None), node.value)
        elif signature.primitive is ops.place_p:
            (numbers[node],) = given
        else:
            numbers[node] = _applied(program, signature, given)
    program.outputs = tuple([numbers[node] for node in outputs])
    return program


def _is_plain(signature: Signature) -> bool:
    """Whether a signature is the same in a program, whatever its arguments are."""
    return signature.out.place is None and signature.primitive.numpy_ufunc not in COMPARED_BY_VALUE
