"""Task graphs: what a call of a plan builds, one task for each block and stage."""

from __future__ import annotations

import itertools
import operator
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import dask.array as da
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.task_spec import Task, TaskRef

from .blocks import block_shape
from .layout import Partition, Rows
from .stages import GATHERED, GIVEN, INPUT, STAGE, Source, Stage, combined, gathered
from .staging import Output, Staged, StageKey

# So many partial results are combined by one task.
COMBINED_AT_ONCE = 8

Key = Any


def in_blocks(array: Any, rows: Rows, partitions: Sequence[Partition]) -> Any:
    """An array cut along the axis of its rows into the blocks of their partition, and along no other."""
    sizes = partitions[rows.partition].sizes
    filled = tuple([n for n in array.chunks[rows.axis] if n])
    if filled == sizes and all(len(c) == 1 for a, c in enumerate(array.chunks) if a != rows.axis):
        return array
    return array.rechunk({a: sizes if a == rows.axis else -1 for a in range(array.ndim)})


def block_keys(array: Any, rows: Rows) -> list[Key]:
    """The keys of the blocks of an array that is cut along one axis only."""
    before, after = (0,) * rows.axis, (0,) * (array.ndim - rows.axis - 1)
    return [(array.name, *before, i, *after) for i, n in enumerate(array.chunks[rows.axis]) if n]


class Tasks:
    """The tasks of one call, and the arrays that they make.

    Parameters
    ----------
    staged : Staged
    arrays : mapping of int to dask.array.Array
        The input arrays, cut as their layout says; of one block if they are whole.
    given : mapping of int to object
        The other inputs, and the constants that are cut.
    layout : mapping of int to Rows
        Of the inputs.
    """

    def __init__(self, staged: Staged, arrays: Mapping[int, Any], given: Mapping[int, Any], layout: Mapping[int, Rows]):
        self._name = f"autodiff-{uuid.uuid4().hex}"
        self._partitions = staged.partitions
        self._given = given
        self._arrays = arrays
        self._blocks = {i: block_keys(x, layout[i]) for i, x in arrays.items() if i in layout}
        self._totals: dict[StageKey, Key] = {}
        self._stages = {key: f"{self._name}-{place}" for place, key in enumerate(staged.stages)}
        self._tasks: dict[Key, Task] = {}
        for key, stage in staged.stages.items():
            self._run(key, stage)
        for number, (source, rows) in staged.gathered.items():
            parts = [TaskRef(self._key(source, i)) for i in range(len(self._partitions[rows.partition].sizes))]
            self._add(f"{self._name}-gathered-{number}", gathered, rows.axis, source.item, *parts)

    def _add(self, key: Key, *function_and_arguments: Any) -> None:
        self._tasks[key] = Task(key, *function_and_arguments)

    def _run(self, key: StageKey, stage: Stage) -> None:
        """A task for each block, and those that combine what is partial."""
        given = tuple([self._given[x.source.which] for x in stage.parts.inputs if x.source.kind == GIVEN])
        sources = [x.source for x in stage.parts.inputs if x.source.kind != GIVEN]
        sizes = (1,) if stage.parts.partition is None else stage.parts.partition.sizes
        stops = list(itertools.accumulate(sizes))
        own = []
        for i, (size, stop) in enumerate(zip(sizes, stops, strict=True)):
            own.append((self._stages[key], i))
            self._add(own[-1], stage.run, stop - size, stop, given, *[TaskRef(self._key(s, i)) for s in sources])
        if stage.parts.combine:
            self._totals[key] = self._combined(f"{self._stages[key]}-total", stage, own)

    def _combined(self, name: str, stage: Stage, parts: list[Key]) -> Key:
        """The last task of a tree that combines partial results."""
        count = itertools.count()
        while len(parts) > 1:
            above = []
            for first in range(0, len(parts), COMBINED_AT_ONCE):
                above.append((name, next(count)))
                some = [TaskRef(part) for part in parts[first : first + COMBINED_AT_ONCE]]
                self._add(above[-1], combined, stage.parts.combine, *some)
            parts = above
        return parts[0]

    def _key(self, source: Source, i: int) -> Key:
        """The key of a value, for one block if there are several."""
        if source.kind == INPUT:
            array = self._arrays[source.which]
            return self._blocks[source.which][i] if source.blocks else (array.name, *[0] * array.ndim)
        if source.kind == STAGE:
            return self._stages[source.which], i if source.blocks else 0
        if source.kind == GATHERED:
            return f"{self._name}-gathered-{source.which}"
        return self._totals[source.which]

    def results(self, outputs: Sequence[Output]) -> tuple[Any, ...]:
        """The results as arrays, which share one graph."""
        layers: dict[str, Any] = {}
        dependencies: dict[str, set[str]] = {}
        for array in self._arrays.values():
            layers.update(array.dask.layers)
            dependencies.update(array.dask.dependencies)
        layers[self._name] = MaterializedLayer(self._tasks)
        dependencies[self._name] = {array.name for array in self._arrays.values()}
        made = []
        for place, output in enumerate(outputs):
            name = f"{self._name}-result-{place}"
            chunks, tasks = self._extracted(name, output)
            layers[name] = MaterializedLayer(tasks)
            dependencies[name] = {self._name}
            made.append((name, chunks, output.aval.dtype))
        graph = HighLevelGraph(layers, dependencies)
        return tuple([da.Array(graph, name, chunks, dtype) for name, chunks, dtype in made])

    def _extracted(self, name: str, output: Output) -> tuple[tuple[tuple[int, ...], ...], dict[Key, Task]]:
        """Chunks of a result, and the tasks that take it out of all results of a stage."""
        source, aval, rows = output
        shape = aval.shape
        if rows is None:
            key = (name, *[0] * aval.ndim)
            task = Task(key, operator.getitem, TaskRef(self._key(source, 0)), source.item)
            return tuple([(n,) for n in shape]), {key: task}
        partition = self._partitions[rows.partition]
        sizes = tuple([block_shape(shape, rows.axis, partition.rows, size)[rows.axis] for size in partition.sizes])
        keys = [(name, *[i if a == rows.axis else 0 for a in range(aval.ndim)]) for i in range(len(sizes))]
        tasks = {
            key: Task(key, operator.getitem, TaskRef(self._key(source, i)), source.item) for i, key in enumerate(keys)
        }
        return tuple([sizes if a == rows.axis else (n,) for a, n in enumerate(shape)]), tasks
