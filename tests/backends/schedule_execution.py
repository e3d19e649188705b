"""What the loops of a schedule compute: by Python, element by element, and by LLVM where it is installed."""

import importlib.util
import itertools

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


def execute(schedule, values):
    """What the loops of a schedule compute, element by element."""
    memory = Memory(schedule, values)
    with np.errstate(all="ignore"):
        for segment in schedule.segments:
            for k, group in itertools.product(range(segment.count), segment.groups):
                members = [(j, schedule.statements[segment.start + k * segment.period + j]) for j in group.members]
                execute_group(memory, segment, group, members)
    return list(memory.outputs())


def execute_group(memory, segment, group, members):
    """All statements of a group at one place of its loops, then at the next one."""
    reduced = group.reduced or ()
    kept = [axis for axis in range(len(group.shape)) if axis not in reduced]
    sizes = [[group.shape[axis] for axis in axes] for axes in (kept, reduced)]
    addresses = {(j, c): memory.schedule.address(s, c) for j, s in members for c in memory.schedule.columns(segment, j)}

    def at(access, column, place):
        element = addresses[column] + sum(n * step for n, step in zip(place, access.strides))
        return memory.array(access.storage), element

    for outer in np.ndindex(*sizes[0]):
        totals = {j: None for j, s in members if s.form.reduces is not None}
        for inner in np.ndindex(*sizes[1]):
            place = dict(zip([*kept, *reduced], [*outer, *inner]))
            place = [place[axis] for axis in range(len(group.shape))]
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
            if j in totals:
                place = dict(zip(kept, outer))
                array, element = at(target, (j, -1), [place.get(axis, 0) for axis in range(len(group.shape))])
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
