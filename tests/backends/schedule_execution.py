"""What the loops of a schedule compute: by Python, element by element, and by LLVM where it is installed."""

import importlib.util
import itertools
from typing import Any, NamedTuple

import numpy as np

from autodiff_backends.llvm import machine
from autodiff_backends.llvm.backend import Staged, is_supported
from autodiff_backends.llvm.code import Module
from autodiff_backends.llvm.source import KernelText
from autodiff_backends.loops.forms import ADD_AT, COPY
from autodiff_backends.numpy.reference import constant_value, function_for

from .conftest import NUMBERS, REDUCE


class Memory:
    """The arrays that storages of a schedule are parts of, in which 99 is what nothing has written to."""

    def __init__(self, schedule, values):
        self.schedule = schedule
        lowering = schedule.lowering
        program = lowering.program
        self.arrays = {f"w{i}": np.full(schedule.workspaces[d], 99).astype(d) for i, d in enumerate(schedule.dtypes)}
        for place, (number, storage) in enumerate(lowering.inputs.items()):
            value = constant_value(program, number) if number in program.constants else values[number]
            if schedule.arrays[storage] != f"x{place}":
                self.array(storage)[self.slice(storage)] = np.ravel(value)
            self.arrays[f"x{place}"] = np.array(np.ravel(value))
            self.arrays[f"x{place}"].flags.writeable = False
        for place, number in enumerate(program.outputs):
            aval = program.avals[number]
            self.arrays[f"o{place}"] = np.full(aval.size, 99).astype(aval.dtype)

    def array(self, storage):
        return self.arrays[self.schedule.arrays[storage]]

    def slice(self, storage):
        offset = self.schedule.offsets[storage]
        return slice(offset, offset + self.schedule.lowering.storages[storage].size)

    def outputs(self):
        lowering = self.schedule.lowering
        for place, storage in enumerate(lowering.outputs):
            shape = lowering.program.avals[lowering.program.outputs[place]].shape
            yield self.array(storage)[self.slice(storage)].reshape(shape)


class Turn(NamedTuple):
    """Rows of a group that are executed together; all of a group that is in no band."""

    group: Any
    shape: tuple
    first: int = 0
    band: Any = None
    is_last: bool = True

    def addresses(self, schedule, segment, k=0):
        """Where each column begins, in an iteration of the segment."""
        steps = self.band.steps if self.band else {}
        members = [(j, schedule.statements[segment.start + k * segment.period + j]) for j in self.group.members]
        return {
            (j, c): schedule.address(s, c) + self.first * steps.get((j, c), 0)
            for j, s in members
            for c in schedule.columns(segment, j)
        }


def turns(segment):
    """The groups of a segment in the order of execution, those of bands block by block."""
    bands = {band.begin: band for band in segment.bands}
    place = 0
    while place < len(segment.groups):
        band = bands.get(place)
        if band is None:
            yield Turn(segment.groups[place], segment.groups[place].shape)
            place += 1
            continue
        for first in range(0, band.n_rows, band.block):
            rows = min(band.block, band.n_rows - first)
            for group in segment.groups[band.begin : band.end]:
                assert group.rows[1:] == (band.n_rows, band.block)
                assert group.shape[group.rows.axis] == band.block
                shape = list(group.shape)
                shape[group.rows.axis] = rows
                yield Turn(group, tuple(shape), first, band, first + rows == band.n_rows)
        place = band.end


def execute(schedule, values):
    """What the loops of a schedule compute, element by element."""
    memory = Memory(schedule, values)
    with np.errstate(all="ignore"):
        for segment in schedule.segments:
            # What is summed up over the rows of a band.
            totals = {}
            for k, turn in itertools.product(range(segment.count), turns(segment)):
                if turn.band and turn.group is segment.groups[turn.band.begin]:
                    for storage in turn.band.scratch:
                        begin = schedule.offsets[storage]
                        memory.array(storage)[begin : begin + schedule.sizes[storage]] = 99
                members = [(j, schedule.statements[segment.start + k * segment.period + j]) for j in turn.group.members]
                execute_turn(memory, segment, turn, members, turn.addresses(schedule, segment, k), totals)
    return list(memory.outputs())


def execute_turn(memory, segment, turn, members, addresses, across):
    """All statements of a group at one place of its loops, then at the next one."""
    group, shape = turn.group, turn.shape
    reduced = group.reduced or ()
    kept = [axis for axis in range(len(shape)) if axis not in reduced]
    sizes = [[shape[axis] for axis in axes] for axes in (kept, reduced)]
    goes_on = group.rows is not None and group.rows.axis in reduced

    def at(access, column, place):
        element = addresses[column] + sum(n * step for n, step in zip(place, access.strides))
        return memory.array(access.storage), element

    for outer in np.ndindex(*sizes[0]):
        totals = {j: None for j, s in members if s.form.reduces is not None}
        if goes_on:
            totals = across.setdefault((turn.band.begin, outer, *group.members), totals)
        for inner in np.ndindex(*sizes[1]):
            place = dict(zip([*kept, *reduced], [*outer, *inner]))
            place = [place[axis] for axis in range(len(shape))]
            made = {}
            for j, (form, target, accesses) in members:
                operands, found = [], enumerate(accesses)
                for number, literal in enumerate(form.literals):
                    if literal is not None:
                        operands.append(NUMBERS[literal] if literal in NUMBERS else eval(literal))
                        continue
                    c, access = next(found)
                    source = segment.local.get((j, c))
                    if form.is_anywhere(number):
                        array, element = at(access, (j, c), place)
                        operands.append((array, element))
                    elif source is None:
                        array, element = at(access, (j, c), place)
                        operands.append(array[element])
                    else:
                        operands.append(made[source])
                if form.indexed:
                    array, element = operands.pop(0)
                    value = operands.pop(0) if form.writes_anywhere else None
                    for index, (size, step) in zip(operands, form.indexed, strict=True):
                        element += (index + size * (index < 0)) * step
                    if form.writes_anywhere:
                        array[element] = array[element] + value if form.name == ADD_AT else value
                        continue
                    value = array[element]
                else:
                    value = computed(form, operands)
                if j in totals:
                    totals[j] = value if totals[j] is None else REDUCE[form.name](totals[j], value)
                    continue
                made[j] = value
                if segment.stored[j]:
                    array, element = at(target, (j, -1), place)
                    array[element] = value
        for j, (form, target, _) in members:
            if j in totals and (turn.is_last or not goes_on):
                place = dict(zip(kept, outer))
                array, element = at(target, (j, -1), [place.get(axis, 0) for axis in range(len(shape))])
                empty = REDUCE[form.name].identity
                array[element] = empty if totals[j] is None else totals[j]


def computed(form, operands):
    """The element that a statement writes, or a term of what it reduces."""
    dtype = form.dtypes[0]
    if form.reduces is not None:
        return np.multiply(*operands, dtype=dtype) if len(operands) == 2 else np.asarray(operands[0]).astype(dtype)
    if form.name == COPY:
        return np.asarray(operands[0]).astype(dtype)
    if form.signature is None:
        first, second = [np.asarray(x).astype(dtype) for x in operands]
        return {"add": np.add, "multiply": np.multiply}[form.name](first, second)
    return function_for(form.signature)(*operands)


def compiled(schedule, values):
    """What machine code computes, if LLVM is there and the program is one for it: its results."""
    program = schedule.lowering.program
    known = all(is_supported(program, made) for made in program.applications())
    if known and importlib.util.find_spec("llvmlite"):
        processor = machine.processor()
        plan = Staged(KernelText(schedule, Module(processor.has_fma, processor.vector_bytes)))
        workspaces, spare = plan._workspaces.take()
        for array in workspaces:
            array[...] = np.full(array.shape, 99).astype(array.dtype)
        spare.append(workspaces)
        yield plan(*values)
