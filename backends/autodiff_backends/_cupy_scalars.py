"""Python numbers of a program, computed on the host: what is made of Python numbers alone needs no GPU."""

from __future__ import annotations

from typing import NamedTuple

from autodiff.plan.program import Program

from ._numpy_reference import Interpreted


class Split(NamedTuple):
    """A program in two parts.

    Parameters
    ----------
    host : Interpreted or None
        Computes Python numbers from the inputs; None if there are none to compute.
    device : Program
        The rest. Its inputs are those of the whole program, then the numbers.
    """

    host: Interpreted | None
    device: Program


def split(program: Program) -> Split:
    """The applications that make Python numbers of Python numbers apart from all others."""
    live = program.live()
    on_host = {n for n in live if program.signatures[n] is None and program.avals[n].weak}
    for n in live:
        signature = program.signatures[n]
        if signature is not None and signature.out.shape == () and on_host.issuperset(program.arguments[n]):
            on_host.add(n)
    # A truth value is no Python number: where the device needs one, it compares for itself.
    needed = set(program.outputs)
    for n in reversed(live):
        if n not in on_host or (n in needed and not program.avals[n].weak):
            needed.update(program.arguments[n])
    made = [n for n in live if n in on_host and n in needed and program.avals[n].weak and program.signatures[n]]
    if not made:
        return Split(None, program)
    host = _copied(program, [], made)
    host.quiet = program.quiet
    device = _copied(program, made, program.outputs)
    device.quiet = program.quiet
    return Split(Interpreted(host), device)


def _copied(program: Program, given: list[int], outputs: list[int] | tuple[int, ...]) -> Program:
    """What ``outputs`` need, with further inputs for the values ``given``."""
    n_inputs = program.n_inputs
    result = Program([program.avals[n] for n in (*range(n_inputs), *given)])
    numbers = {n: place for place, n in enumerate((*range(n_inputs), *given))}
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
    return result
