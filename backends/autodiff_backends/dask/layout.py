"""Where each value of a program is: in blocks of rows, or whole; and after how many passes over the rows.

Levels count passes. Whole values have even ones: 0 for what needs no pass, 2 for what needs the totals of the first.
Blocks have odd ones: those of the first pass 1. Rows of inputs, which are there before all passes, have level 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from autodiff.axes import AxisLabels, axis_labels, takes_whole
from autodiff.core.program import Program

from .blocks import is_cut_by


class Partition(NamedTuple):
    """How many rows there are, and how many in each block; blocks have some."""

    rows: int
    sizes: tuple[int, ...]


class Rows(NamedTuple):
    """A value in blocks: the axis that is cut, and the partition that it shares with others.

    The axis has as many elements as there are rows, or a multiple of that.
    """

    axis: int
    partition: int


Chunks = tuple[tuple[int, ...], ...]


def row_axes(chunks: Mapping[int, Chunks]) -> dict[int, int]:
    """The axis along which each input is cut, of those with several chunks: of a size that most inputs are cut in."""
    full = {i: sizes for i, sizes in chunks.items() if all(map(sum, sizes))}
    cut = {i: [a for a, c in enumerate(sizes) if sum(map(bool, c)) > 1] for i, sizes in full.items()}
    common = Counter(n for i, axes in cut.items() for n in {sum(chunks[i][a]) for a in axes})
    return {i: max(axes, key=lambda a: (common[sum(chunks[i][a])], -a)) for i, axes in cut.items() if axes}


class Layout:
    """The layout of each value, given that of inputs.

    Attributes
    ----------
    rows : dict of int to Rows
        The values in blocks; others are whole.
    levels : dict of int to int
        0 if not there.
    labels : dict of int to int
        What applications to blocks are cut along.
    totals : dict of int to (int, int)
        The whole values that are combined of partial results: the level of these, and their partition.
    """

    def __init__(
        self,
        program: Program,
        inputs: Mapping[int, Rows],
        partitions: Sequence[Partition],
        whole: Mapping[int, tuple[bool, ...]],
    ):
        self.program = program
        self.partitions = partitions
        self.rows = dict(inputs)
        self.levels: dict[int, int] = {}
        self.labels: dict[int, int] = {}
        self.totals: dict[int, tuple[int, int]] = {}
        self._whole = dict(whole)
        self._axes: dict[int, AxisLabels] = {}
        for number in program.live():
            if program.signatures[number] is not None:
                self._place(number)

    def axes(self, number: int) -> AxisLabels:
        """Which axes of an application belong together."""
        found = self._axes.get(number)
        if found is None:
            signature = self.program.signatures[number]
            assert signature is not None
            whole: Sequence[bool] | None = None
            if signature.primitive.kind == "indexing":
                index = self.program.arguments[number][1]
                value: Any = self.program.constants.get(index)
                whole = self._whole[index] if value is None else takes_whole(self.program.avals[index], value)
            found = self._axes[number] = axis_labels(signature, whole)
        return found

    def available(self, number: int) -> int:
        """The level at which a value is known as a whole, gathered if it is in blocks."""
        level = self.levels.get(number, 0)
        return level + level % 2

    def can_cut(self, number: int, label: int | None, partition: int) -> bool:
        """Whether an application can be computed in the blocks of a partition along a label."""
        signature = self.program.signatures[number]
        axes = self.axes(number)
        if label is None or signature is None or not is_cut_by(signature, axes, label, self.partitions[partition].rows):
            return False
        # Each block adds to an array of its own: there must be nothing in it.
        return label in axes.out or axes.base is None or self._is_zero(self.program.arguments[number][axes.base])

    def _is_zero(self, number: int) -> bool:
        """Whether an array is one zero, repeated."""
        signature = self.program.signatures[number]
        while signature is not None and signature.primitive.kind == "view":
            (number,) = self.program.arguments[number]
            signature = self.program.signatures[number]
        literal = self.program.avals[number].literal
        return literal is not None and bool(literal == 0)

    def _best_cut(self, number: int) -> tuple[int, int] | None:
        """The label and the partition of the largest operand in blocks that an application can take block by block."""
        found: list[tuple[int, int, int]] = []
        for a, labels in zip(self.program.arguments[number], self.axes(number).operands, strict=True):
            if a in self.rows:
                axis, partition = self.rows[a]
                label = labels[axis]
                if label is not None and self.can_cut(number, label, partition):
                    found.append((self.program.avals[a].size, label, partition))
        return max(found, key=lambda entry: entry[0])[1:] if found else None

    def _place(self, number: int) -> None:
        arguments, axes = self.program.arguments[number], self.axes(number)
        best = self._best_cut(number)
        if best is None:
            self.levels[number] = max([self.available(a) for a in arguments])
            return
        label, partition = best
        level = 1
        for a, axis in zip(arguments, cut_axes(axes, label), strict=True):
            in_blocks = axis is not None and self.rows.get(a) == Rows(axis, partition)
            level = max(level, self.levels.get(a, 0) if in_blocks else self.available(a) + 1)
        self.labels[number] = label
        if label in axes.out:
            self.rows[number] = Rows(axes.out.index(label), partition)
            self.levels[number] = level
        else:
            self.totals[number] = level, partition
            self.levels[number] = level + 1


def cut_axes(axes: AxisLabels, label: int | None) -> list[int | None]:
    """The axis of each operand that has a label; None for an operand that is taken whole."""
    return [labels.index(label) if label is not None and label in labels else None for labels in axes.operands]
