"""A program cut into stages, from where its values are: passes over blocks of rows, and what is computed once."""

from __future__ import annotations

import heapq
import itertools
from typing import Any, NamedTuple

from autodiff.core.avals import Aval
from autodiff.core.program import Program

from .layout import Layout, Partition, Rows, cut_axes
from .stages import GATHERED, GIVEN, INPUT, STAGE, TOTAL, Entry, Parts, Source, Stage, Taken

# A value of a stage: its number in the program, and the axis that is cut; None if it is whole.
Item = tuple[int, int | None]

# The result for one block in place of the total.
PARTIAL = -1

# Whole values of so many elements are computed in each block sooner than by a task of their own.
SMALL = 1 << 12

# So many operations are done again in each block, or in a later pass over the blocks.
FEW = 64


# The level of a stage, and its partition of rows if it is computed for each block of these.
StageKey = tuple[int, int | None]


class Gathered(NamedTuple):
    """A value in blocks that is also needed whole."""

    source: Source
    rows: Rows


class Output(NamedTuple):
    """A result of the program: where it is, and how it is cut."""

    source: Source
    aval: Aval
    rows: Rows | None


class Staged(NamedTuple):
    """A program for inputs in certain blocks."""

    partitions: tuple[Partition, ...]
    stages: dict[StageKey, Stage]
    gathered: dict[int, Gathered]
    outputs: tuple[Output, ...]


class _Draft:
    """A stage in the making: its values, each with what it is computed from, or where it is taken from."""

    def __init__(self, level: int, partition: int | None):
        self.key: StageKey = (level, partition)
        self.level = level
        self.partition = partition
        self.items: dict[Item, list[Item] | Source] = {}
        self.totals: dict[Item, int] = {}
        self.others: dict[Item, int] = {}


class Staging:
    """Cuts a program into stages. What a stage needs of another is noted there, until nothing is missing."""

    def __init__(self, layout: Layout):
        self._layout = layout
        self._program: Program = layout.program
        self._drafts: dict[StageKey, _Draft] = {}
        # Of values in blocks that are worth keeping, the first stage that computes each.
        self._kept: dict[int, _Draft] = {}
        self._repeated = _repeated(layout)
        # Stages give arrays: several outputs are taken apart where they are computed.
        live = self._program.live()
        several = {n for n in live if self._program.avals[n].parts}
        self._bound = several | {n for n in live if several & {*self._program.arguments[n]}}
        self._gathered: dict[int, Gathered] = {}
        # By level, so that later passes find what earlier ones compute.
        self._missing: list[tuple[int, int, _Draft, Item]] = []
        self._serial = itertools.count()
        # The places of totals must be known before anything refers to what comes after them.
        for number, key in layout.totals.items():
            totals = self._draft(*key).totals
            totals[number, PARTIAL] = len(totals)
        for number, key in sorted(layout.totals.items(), key=lambda entry: entry[1]):
            self._compute(self._drafts[key], (number, PARTIAL))
        self._outputs = [self._output(number) for number in self._program.outputs]
        while self._missing:
            self._compute(*heapq.heappop(self._missing)[2:])

    def staged(self) -> Staged:
        """The stages, in an order in which they can be computed."""
        keys = sorted(self._drafts, key=lambda key: (key[0], -1 if key[1] is None else key[1]))
        return Staged(
            tuple(self._layout.partitions),
            {key: self._stage(self._drafts[key]) for key in keys},
            self._gathered,
            tuple(self._outputs),
        )

    def _draft(self, level: int, partition: int | None) -> _Draft:
        return self._drafts.setdefault((level, partition), _Draft(level, partition))

    def _compute(self, draft: _Draft, wanted: Item) -> None:
        """Note a value, and all that it is computed from in the same stage."""
        stack = [wanted]
        while stack:
            item = stack.pop()
            if item in draft.items:
                continue
            operands = self._operands(draft, item)
            if operands is None:
                draft.items[item] = self._source(draft, item)
                continue
            draft.items[item] = operands
            stack += operands
            number, axis = item
            if number in self._layout.rows and axis != PARTIAL and number not in self._repeated:
                self._kept.setdefault(number, draft)

    def _operands(self, draft: _Draft, item: Item) -> list[Item] | None:
        """What a stage computes a value from; None if it takes it from elsewhere."""
        (number, axis), layout = item, self._layout
        if number in self._program.constants:
            return None if axis is not None and self._program.avals[number].spec is None else []
        if self._program.signatures[number] is None:
            return None
        if axis == PARTIAL:
            return self._cut(number, layout.labels[number])
        if number in self._bound:
            axis_there, partition = layout.rows.get(number, (None, None))
            at_home = draft.key == (layout.levels[number], partition) and axis == axis_there
            return self._cut(number, layout.labels.get(number)) if at_home else None
        if number in layout.rows:
            if draft.partition is None or layout.rows[number] != (axis, draft.partition):
                return None
            earlier = number in self._kept and self._kept[number].level < draft.level
            return None if earlier else self._cut(number, layout.labels[number])
        if number in layout.totals:
            return None
        if axis is not None:
            assert draft.partition is not None
            label = layout.axes(number).out[axis]
            return self._cut(number, label) if layout.can_cut(number, label, draft.partition) else None
        if number in self._repeated or (draft.partition is None and draft.level == layout.levels[number]):
            return self._cut(number, None)
        return None

    def _cut(self, number: int, label: int | None) -> list[Item]:
        axes = cut_axes(self._layout.axes(number), label)
        return list(zip(self._program.arguments[number], axes, strict=True))

    # --- where values are from ---------------------------------------------------------------------------------------

    def _source(self, draft: _Draft, item: Item) -> Source:
        """Where a stage takes a value from, which is noted there."""
        (number, axis), program, layout = item, self._program, self._layout
        aval = program.avals[number]
        if number in program.constants or (number < program.n_inputs and (aval.weak or aval.spec is not None)):
            return Source(GIVEN, number)
        if number not in layout.rows:
            return self._whole(number)
        if draft.partition is not None and layout.rows[number] == (axis, draft.partition):
            return self._blocks(number)
        self._gathered[number] = Gathered(self._first(number), layout.rows[number])
        return Source(GATHERED, number)

    def _whole(self, number: int) -> Source:
        layout = self._layout
        if number in layout.totals:
            draft = self._draft(*layout.totals[number])
            return Source(TOTAL, draft.key, draft.totals[number, PARTIAL])
        if self._program.signatures[number] is None:
            return Source(INPUT, number)
        return self._result(self._draft(layout.levels[number], None), (number, None))

    def _blocks(self, number: int) -> Source:
        """A value in blocks, from a stage that computes it anyway if there is one."""
        if number in self._kept:
            return self._result(self._kept[number], (number, self._layout.rows[number].axis))
        return self._first(number)

    def _first(self, number: int) -> Source:
        """A value in blocks, as soon as it can be had: others that need it whole may wait for it."""
        axis, partition = self._layout.rows[number]
        if number < self._program.n_inputs:
            return Source(INPUT, number, blocks=True)
        return self._result(self._draft(self._layout.levels[number], partition), (number, axis))

    def _result(self, draft: _Draft, item: Item) -> Source:
        """A value as a result of a stage."""
        if item not in draft.others:
            draft.others[item] = len(draft.others)
            heapq.heappush(self._missing, (draft.level, next(self._serial), draft, item))
        return Source(STAGE, draft.key, len(draft.totals) + draft.others[item], draft.partition is not None)

    def _output(self, number: int) -> Output:
        """A result of the program. An input goes through a stage, which copies it."""
        rows, aval = self._layout.rows.get(number), self._program.avals[number]
        if self._program.signatures[number] is not None:
            return Output(self._whole(number) if rows is None else self._blocks(number), aval, rows)
        if rows is None:
            return Output(self._result(self._draft(0, None), (number, None)), aval, None)
        return Output(self._result(self._draft(1, rows.partition), (number, rows.axis)), aval, rows)

    # --- stages ------------------------------------------------------------------------------------------------------

    def _stage(self, draft: _Draft) -> Stage:
        items = sorted(draft.items, key=lambda item: (item[0], -2 if item[1] is None else item[1]))
        taken = [(item, source) for item in items if isinstance(source := draft.items[item], Source)]
        made = [(item, operands) for item in items if not isinstance(operands := draft.items[item], Source)]
        places = {item: place for place, (item, _) in enumerate([*taken, *made])}
        partition = None if draft.partition is None else self._layout.partitions[draft.partition]
        axes = [self._layout.axes(number) for number, _ in draft.totals]
        return Stage(
            Parts(
                partition,
                [self._taken(item, source) for item, source in taken],
                [self._entry(item, [places[x] for x in operands]) for item, operands in made],
                [places[item] for item in (*draft.totals, *draft.others)],
                [found.combine for found in axes if found.combine is not None],
                self._program.quiet,
            )
        )

    def _entry(self, item: Item, arguments: list[int]) -> Entry:
        (number, axis), program = item, self._program
        value: Any = program.constants.get(number)
        axis = None if axis == PARTIAL else axis
        return Entry(number, program.avals[number], axis, program.signatures[number], tuple(arguments), value)

    def _taken(self, item: Item, source: Source) -> Taken:
        number, axis = item
        entry = Entry(number, self._program.avals[number], axis)
        return Taken(entry, source, axis is not None and not source.blocks)


def _repeated(layout: Layout) -> set[int]:
    """The values that are computed where they are needed, again each time, rather than kept and passed on.

    Blocks of elementwise operations, which a later pass computes from what it has; and whole values that each block
    computes for itself: views, and what is small.
    """
    program = layout.program
    operations: dict[int, int] = {}
    for number, signature, arguments in program.applications():
        if number in layout.totals:
            continue
        cheap = signature.primitive.kind == "view"
        if number in layout.rows:
            cheap |= signature.primitive.kind == "elementwise"
        else:
            cheap |= max([program.avals[a].size for a in (number, *arguments)]) <= SMALL
        count = 1 + sum([operations.get(a, 0) for a in arguments])
        if cheap and count <= FEW:
            operations[number] = count
    return set(operations)
