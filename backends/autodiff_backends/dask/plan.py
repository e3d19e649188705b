"""Plans for dask arrays: a program is cut into stages when a call shows how its inputs are cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dask.array.core import normalize_chunks

from autodiff.axes import takes_whole
from autodiff.core.program import Program
from autodiff.plan.cache import PlanCache

from ..numpy.values import constant_value
from .graph import Tasks, in_blocks
from .kept import computed, settle
from .layout import Chunks, Layout, Partition, Rows, row_axes
from .source import source_of
from .staging import Staged, Staging

# Plans of one program for inputs in different chunks.
STAGED_KEPT = 16


class _Cut(NamedTuple):
    """What a program is for inputs in certain chunks."""

    layout: dict[int, Rows]
    staged: Staged


def _of_arrays(program: Program) -> tuple[Program, list[tuple[int, int | None]]]:
    """The same program with an input for each array; of several outputs, which are one input, each is one.

    For each input of the result, which input of ``program`` it is, and which of several outputs.
    """
    avals = program.avals[: program.n_inputs]
    places = [(i, k) for i, aval in enumerate(avals) for k in (range(len(aval.parts)) if aval.parts else (None,))]
    result = Program([avals[i] if k is None else avals[i].parts[k] for i, k in places])
    numbers = {i: n for n, (i, k) in enumerate(places) if not k}
    for number in program.live():
        signature, arguments = program.signatures[number], program.arguments[number]
        if number in program.constants:
            numbers[number] = result.constant(program.avals[number], program.constants[number])
        elif signature is not None and arguments[0] < program.n_inputs and avals[arguments[0]].parts:
            numbers[number] = numbers[arguments[0]] + signature.params[0]
        elif signature is not None:
            numbers[number] = result.apply(signature, tuple([numbers[a] for a in arguments]))
    result.outputs = tuple([numbers[n] for n in program.outputs])
    result.quiet = program.quiet
    return result, places


class StagedPlan:
    """A plan that runs a NumPy plan on each block of rows, as few times as the program allows.

    Attributes
    ----------
    n_operations : int
        Primitives in the program.
    """

    def __init__(self, program: Program):
        program, self._places = _of_arrays(program)
        self._program = program
        self.n_operations = len(program.applications())
        self._constants = {n: constant_value(program, n) for n in program.live() if n in program.constants}
        inputs = [n for n in program.live() if n < program.n_inputs]
        avals = program.avals
        self._indices = [n for n in inputs if avals[n].spec is not None]
        self._arrays = [n for n in inputs if avals[n].spec is None and not avals[n].weak]
        self._given = [n for n in inputs if avals[n].spec is not None or avals[n].weak]
        self._cuts = PlanCache(STAGED_KEPT)
        self._last: Staged | None = None

    @property
    def n_launches(self) -> int:
        """How many stages the last call had, each a task or one for each block of rows; 1 if no array is cut."""
        return 1 if self._last is None else len(self._last.stages)

    @property
    def source(self) -> str:
        """The stages of the last call; before the first, the program."""
        return str(self._program) if self._last is None else source_of(self._last)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        values = tuple([values[i] if k is None else values[i][k] for i, k in self._places])
        settle([values[n] for n in self._arrays])
        chunks = {n: values[n].chunks for n in self._arrays}
        whole = {n: takes_whole(self._program.avals[n], values[n]) for n in self._indices}
        key = (*chunks.values(), *whole.values())
        cut: _Cut = self._cuts.get(key, lambda: self._cut(chunks, whole))
        self._last = cut.staged
        arrays = {}
        for n in self._arrays:
            x = values[n]
            if n in cut.layout:
                arrays[n] = in_blocks(x, cut.layout[n], cut.staged.partitions)
            else:
                arrays[n] = x if x.npartitions == 1 else x.rechunk(-1)
        given = {**self._constants, **{n: values[n] for n in self._given}}
        results = Tasks(cut.staged, arrays, given, cut.layout).results(cut.staged.outputs)
        # Who asked for a Python number gets one, now.
        weak = [output.aval.weak for output in cut.staged.outputs]
        return tuple([computed(x.compute) if is_weak else x for x, is_weak in zip(results, weak, strict=True)])

    def _cut(self, chunks: Mapping[int, Chunks], whole: Mapping[int, tuple[bool, ...]]) -> _Cut:
        axes = row_axes(chunks)
        partitions, layout = self._partitions(chunks, axes)
        staged = Staging(Layout(self._program, layout, partitions, whole)).staged()
        for stage in staged.stages.values():
            for size in {1} if stage.parts.partition is None else set(stage.parts.partition.sizes):
                stage.plan(size)
        return _Cut(layout, staged)

    def _partitions(
        self, chunks: Mapping[int, Chunks], axes: Mapping[int, int]
    ) -> tuple[list[Partition], dict[int, Rows]]:
        """One partition for each number of rows, in the blocks of the largest array that has so many."""
        members: dict[int, list[int]] = {}
        for n, axis in axes.items():
            members.setdefault(sum(chunks[n][axis]), []).append(n)
        partitions, layout = [], {}
        for rows, inputs in members.items():
            largest = max(inputs, key=lambda n: self._program.avals[n].size * self._program.avals[n].dtype.itemsize)
            partitions.append(Partition(rows, self._sizes(largest, axes[largest], chunks[largest])))
            layout.update({n: Rows(axes[n], len(partitions) - 1) for n in inputs})
        return partitions, layout

    def _sizes(self, number: int, axis: int, chunks: Chunks) -> tuple[int, ...]:
        """The rows of each block; fewer than those of chunks, if chunks of whole rows would be too large."""
        sizes = tuple([n for n in chunks[axis] if n])
        if any(len(c) > 1 for a, c in enumerate(chunks) if a != axis):
            aval = self._program.avals[number]
            wanted = tuple(["auto" if a == axis else n for a, n in enumerate(aval.shape)])
            fitting: tuple[int, ...] = normalize_chunks(wanted, aval.shape, dtype=aval.dtype)[axis]
            sizes = max(sizes, fitting, key=len)
        return sizes
