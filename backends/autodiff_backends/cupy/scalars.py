"""Python numbers of a program, computed on the host: what is made of Python numbers alone needs no GPU."""

from __future__ import annotations

from typing import NamedTuple

from autodiff.core.program import Program

from ..numpy.reference import Interpreted


class Split(NamedTuple):
    """A program in two parts.

    Parameters
    ----------
    host : Interpreted or None
        Computes Python numbers from the inputs; None if there are none to compute.
    device : Program
        The rest. Its inputs are those of the whole program, then the numbers.
    given : dict of int to int
        The outputs of the whole program that are inputs of the rest, and so no outputs of it: place to input.
    """

    host: Interpreted | None
    device: Program
    given: dict[int, int]


def split(program: Program) -> Split:
    """The applications that make Python numbers of Python numbers apart from all others."""
    live, avals = program.live(), program.avals
    on_host = {n for n in live if program.signatures[n] is None and avals[n].weak}
    for n in live:
        signature = program.signatures[n]
        if signature is not None and signature.out.shape == () and on_host.issuperset(program.arguments[n]):
            on_host.add(n)
    # A truth value is no Python number: where the device needs one, it compares for itself.
    needed = set(program.outputs)
    for n in reversed(live):
        if n not in on_host or (n in needed and not avals[n].weak):
            needed.update(program.arguments[n])
    made = [n for n in live if n in on_host and n in needed and avals[n].weak and program.signatures[n] is not None]
    numbers = {n: program.n_inputs + i for i, n in enumerate(made)}
    numbers |= {n: n for n in range(program.n_inputs) if avals[n].weak}
    given = {place: numbers[n] for place, n in enumerate(program.outputs) if n in numbers}
    host = Interpreted(_copied(program, [], made)) if made else None
    return Split(host, _copied(program, made, [n for n in program.outputs if n not in numbers]), given)


def _copied(program: Program, known: list[int], outputs: list[int]) -> Program:
    """What ``outputs`` need, with further inputs for values that are ``known``."""
    inputs = [*range(program.n_inputs), *known]
    result = Program([program.avals[n] for n in inputs])
    numbers = {n: place for place, n in enumerate(inputs)}
    needed = set(outputs)
    for n in range(len(program.avals) - 1, -1, -1):
        if n in needed and n not in numbers:
            needed.update(program.arguments[n])
    for n in sorted(needed):
        signature = program.signatures[n]
        if n in numbers:
            continue
        if signature is None:
            numbers[n] = result.constant(program.avals[n], program.constants[n])
        else:
            numbers[n] = result.apply(signature, tuple([numbers[a] for a in program.arguments[n]]))
    result.outputs = tuple([numbers[n] for n in outputs])
    result.quiet = program.quiet
    return result
