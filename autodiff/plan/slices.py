"""The same operations on adjacent slices of one array, as one operation on the slice that they make up.

The gates of a recurrent cell are slices of one product, and each goes through its own sigmoid: three times the calls.
For backends that pay for each call, which is not all of them, so it is they who ask for this pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import ops
from ..core.avals import INDEX_DTYPE, intern_aval
from ..core.primitives import Signature
from ..core.program import Application, Program, prune

# Calls on larger arrays cost what they compute, joined or not.
LARGEST_JOINED = 1 << 12


class Part(NamedTuple):
    """A value that is a slice along one axis: of an array, or of what its operation gives for a whole array."""

    source: int
    axis: int
    start: int
    stop: int


# A value in a run of adjacent ones: where the run begins and ends.
Runs = dict[int, tuple[Part, int, int]]


def join_slices(program: Program) -> Program:
    """The same program with elementwise operations on adjacent slices joined."""
    runs = _runs(program)
    if not runs:
        return program

    def joined(result: Program, number: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if number not in runs:
            return None
        part, start, stop = runs[number]
        before, after = part.start - start, stop - part.stop
        operands = []
        for a in arguments:
            wider = _widened(result, a, part.axis, before, after) if result.avals[a].ndim else a
            if wider is None:
                return None
            operands.append(wider)
        whole = result.call(signature.primitive, *operands, params=signature.params)
        return _slice(result, whole, part.axis, before, before + part.stop - part.start)

    return prune(prune(program, joined))


def _runs(program: Program) -> Runs:
    """The values that are adjacent slices of what one operation gives for one array."""
    parts: dict[int, Part] = {}
    # What an operation gives for whole arrays has a negative number.
    wholes: dict[Any, int] = {}
    members: dict[int, list[tuple[Part, int]]] = {}
    written = _only_written(program)
    for application in program.applications():
        number, signature, _ = application
        if signature.primitive is ops.index:
            part = _read(program, application)
        elif signature.primitive.kind == "elementwise" and parts and number not in written:
            part = _computed(program, application, parts, wholes)
            if part is not None:
                members.setdefault(part.source, []).append((part, number))
        else:
            part = None
        if part is not None:
            parts[number] = part
    runs: Runs = {}
    for adjacent in members.values():
        if len(adjacent) > 1:
            _find_runs(program, sorted(adjacent), runs)
    return runs


def _only_written(program: Program) -> set[int]:
    """Values that are only written into an array, where they are better computed in their place."""
    uses: dict[int, int] = dict.fromkeys(program.outputs, 2)
    written = set()
    for _, signature, arguments in program.applications():
        for a in arguments:
            uses[a] = uses.get(a, 0) + 1
        if signature.primitive in (ops.index_add, ops.index_set):
            written.add(arguments[2])
    return {number for number in written if uses[number] == 1}


def _read(program: Program, application: Application) -> Part | None:
    """A slice with step 1 along one axis, of at least two elements."""
    _, signature, (array, idx, *arrays) = application
    entries, shape = program.avals[idx].literal, program.avals[array].shape
    if entries is None or arrays or not all(isinstance(e, slice) and e.step == 1 for e in entries):
        return None
    cut = [axis for axis, (e, n) in enumerate(zip(entries, shape, strict=True)) if (e.start, e.stop) != (0, n)]
    if len(cut) != 1 or signature.out.shape[cut[0]] < 2:
        return None
    return Part(array, cut[0], entries[cut[0]].start, entries[cut[0]].stop)


def _computed(
    program: Program, application: Application, parts: dict[int, Part], wholes: dict[Any, int]
) -> Part | None:
    """The slice of what an operation gives for whole arrays, if its operands are slices of such, or single numbers."""
    _, signature, arguments = application
    shape = signature.out.shape
    first: Part | None = None
    operands: list[Any] = []
    for a in arguments:
        part = parts.get(a)
        if not program.avals[a].ndim:
            operands.append(a)
        elif part is None or program.avals[a].shape != shape or (first is not None and part.axis != first.axis):
            return None
        else:
            first = first or part
            operands.append((part.source, part.start - first.start))
    if first is None:
        return None
    key = (signature.primitive, signature.params, tuple(operands), first.axis)
    return first._replace(source=wholes.setdefault(key, -1 - len(wholes)))


def _find_runs(program: Program, members: list[tuple[Part, int]], runs: Runs) -> None:
    """Cut members, in order, where one does not begin at the end of the one before."""
    run = [members[0]]
    for member in [*members[1:], None]:
        if member is not None and member[0].start == run[-1][0].stop:
            run.append(member)
            continue
        start, stop = run[0][0].start, run[-1][0].stop
        if len(run) > 1 and sum(program.avals[number].size for _, number in run) <= LARGEST_JOINED:
            runs.update({number: (part, start, stop) for part, number in run})
        if member is not None:
            run = [member]


def _widened(result: Program, value: int, axis: int, before: int, after: int) -> int | None:
    """A slice with more elements of its array on both sides; None if the value is no slice."""
    if not result.is_primitive(value, ops.index):
        return None
    array, idx = result.arguments[value]
    place = result.avals[idx].literal[axis]
    return _slice(result, array, axis, place.start - before, place.stop + after)


def _slice(result: Program, array: int, axis: int, start: int, stop: int) -> int:
    """``array`` from ``start`` to ``stop`` along one axis."""
    sizes = list(result.avals[array].shape)
    if (start, stop) == (0, sizes[axis]):
        return array
    entries = [slice(0, n, 1) for n in sizes]
    entries[axis] = slice(start, stop, 1)
    sizes[axis] = stop - start
    value = tuple(entries)
    idx = result.constant(intern_aval((), INDEX_DTYPE, literal=value, spec=tuple(sizes)), value)
    return result.call(ops.index, array, idx)
