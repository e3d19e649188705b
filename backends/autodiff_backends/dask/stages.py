"""Stages: what one task computes, for a block of rows or once, as a NumPy plan; and where its inputs are from."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from autodiff.backend import Plan
from autodiff.core.avals import Aval
from autodiff.core.primitives import Signature
from autodiff.core.program import Program
from autodiff.plan.cache import PlanCache

from ..numpy.backend import BACKEND as NUMPY
from .blocks import block_aval, block_index, block_params
from .layout import Partition

# Stages that came from another process, once for each of their tasks: the first one has the plans.
received = PlanCache(64)

# Where a value is from: the call of the plan, an input array, a stage, the totals of a stage, or gathered blocks.
GIVEN, INPUT, STAGE, TOTAL, GATHERED = "given", "input", "stage", "total", "gathered"


class Source(NamedTuple):
    """Where a value is from: of what kind, which of these, and which of several results there.

    ``which`` is the number of a value, or the key of a stage. ``blocks`` says that each block of rows has its own.
    """

    kind: str
    which: Any
    item: int | None = None
    blocks: bool = False


class Entry(NamedTuple):
    """A value of a stage: an input, a constant, or a primitive applied to entries before it.

    ``aval`` is that of the whole value and ``axis`` the one that is cut; None if the stage has all of it.
    """

    number: int
    aval: Aval
    axis: int | None
    signature: Signature | None = None
    arguments: tuple[int, ...] = ()
    value: Any = None


class Taken(NamedTuple):
    """An input of a stage. One that is ``cut`` comes whole, and the task takes its block."""

    entry: Entry
    source: Source
    cut: bool


class Parts(NamedTuple):
    """What a stage is made of.

    ``partition`` has the rows that it is computed for block by block; None if it is computed once. ``made`` are
    constants and applications, whose arguments are places in inputs and these; ``outputs`` are places too, first those
    of partial results, which ``combine`` makes totals.
    """

    partition: Partition | None
    inputs: list[Taken]
    made: list[Entry]
    outputs: list[int]
    combine: list[np.ufunc]
    quiet: bool


class Stage:
    """A part of a program that is computed for each block of rows, or once; and its plans, by the size of blocks."""

    def __init__(self, parts: Parts, token: str | None = None):
        self.parts = parts
        self._token = token or uuid.uuid4().hex
        self._rows = 1 if parts.partition is None else parts.partition.rows
        self._plans: dict[int, Plan] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self._token, self.parts)

    def program(self, size: int) -> Program:
        """What is computed for a block of ``size`` rows."""
        rows, parts = self._rows, self.parts
        result = Program([block_aval(x.entry.aval, x.entry.axis, rows, size) for x in parts.inputs])
        numbers = list(range(len(parts.inputs)))
        for entry in parts.made:
            if entry.signature is None:
                aval = block_aval(entry.aval, entry.axis, rows, size)
                numbers.append(result.constant(aval, entry.value if aval.spec is None else aval.literal))
            else:
                params = block_params(entry.signature, entry.axis, rows, size)
                arguments = [numbers[a] for a in entry.arguments]
                numbers.append(result.call(entry.signature.primitive, *arguments, params=params))
        result.outputs = tuple([numbers[place] for place in parts.outputs])
        result.quiet = parts.quiet
        return result

    def plan(self, size: int = 1) -> Plan:
        """The compiled program for a block of ``size`` rows."""
        found = self._plans.get(size)
        if found is None:
            # Two threads may compile it; one of the plans stays.
            found = self._plans.setdefault(size, NUMPY.compile(self.program(size)))
        return found

    def run(self, start: int, stop: int, given: tuple[Any, ...], *values: Any) -> tuple[Any, ...]:
        """The results for the rows from ``start`` to ``stop``: what a task does.

        ``given`` has the inputs that the call of the plan gave, and ``values`` the others: blocks, whole arrays, or
        all results of another stage.
        """
        arguments = list(self._arguments(start, stop, iter(given), iter(values)))
        return self.plan(stop - start)(*arguments)

    def _arguments(self, start: int, stop: int, given: Iterator[Any], values: Iterator[Any]) -> Iterator[Any]:
        for (_, aval, axis, *_), source, cut in self.parts.inputs:
            value = next(given if source.kind == GIVEN else values)
            if source.item is not None:
                value = value[source.item]
            if aval.spec is not None:
                length = 0 if axis is None else aval.spec[axis] // self._rows * (stop - start)
                yield value if axis is None else block_index(value, axis, length)
                continue
            if cut and axis is not None:
                scale = aval.shape[axis] // self._rows
                value = value[(*[slice(None)] * axis, slice(start * scale, stop * scale))]
            yield value if aval.weak else np.asarray(value, aval.dtype)


def _received(token: str, parts: Parts) -> Stage:
    stage: Stage = received.get(token, lambda: Stage(parts, token))
    return stage


def combined(ufuncs: list[np.ufunc], *parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Partial results of several blocks, combined: what a task does. The parts may be needed elsewhere."""
    totals = []
    for place, ufunc in enumerate(ufuncs):
        total = np.array(parts[0][place])
        for part in parts[1:]:
            ufunc(total, part[place], out=total)
        totals.append(total)
    return tuple(totals)


def gathered(axis: int, item: int | None, *parts: Any) -> Any:
    """Blocks as one array: what a task does."""
    return np.concatenate([part if item is None else part[item] for part in parts], axis)
