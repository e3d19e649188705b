"""Positions that are known only when a plan runs: counted from the front, and checked against the size of their axis.

Backends know nothing of it. A plan computes, beside its results, the lowest and the highest of the positions, which are
looked at on the host before the results are given out. What is read or written until then is within the array.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..backend import Backend, Plan, check_capabilities, get_backend
from ..errors import IndexingError
from ..nodes import INT64, Signature, intern_aval
from .program import Program, prune


class Range(NamedTuple):
    """What positions have to fit: an axis of some size. ``line`` is the input that says where, or the text itself."""

    size: int
    axis: int
    line: int | str


def with_ranges(program: Program) -> tuple[Program, list[Range]]:
    """The program without ``in_range``, and what it gives the lowest and highest positions of, as its last output."""
    found: list[Range] = []
    ends: list[int] = []

    def replace(result: Program, number: int, arguments: tuple[int, ...]) -> int | None:
        signature = program.signatures[number]
        assert signature is not None
        if signature.primitive is not ops.in_range:
            return None
        positions, line = arguments
        found.append(_range(result, signature, line))
        axes = tuple(range(result.avals[positions].ndim))
        for extremum in (ops.amin, ops.amax):
            end = result.call(extremum, positions, params=(axes,)) if axes else positions
            ends.append(result.call(ops.reshape_p, end, params=((1,),)))
        # The remainder counts negative positions from the front, and is within the axis whatever they are.
        return result.call(ops.remainder, positions, result.literal(found[-1].size, intern_aval((), INT64)))

    lowered = prune(program, replace)
    if found:
        joined = lowered.call(ops.concatenate_p, *ends, params=(0,)) if len(ends) > 1 else ends[0]
        lowered.outputs = (*lowered.outputs, joined)
    return lowered, found


def _range(program: Program, signature: Signature, line: int) -> Range:
    size, axis = signature.params
    return Range(size, axis, program.constants.get(line, line))


class Checked:
    """A plan that looks at the positions it has read and written at before it gives its results out.

    Parameters
    ----------
    plan : Plan
        What computes the results, and the lowest and highest positions after them.
    ranges : list of Range
        What these have to fit.
    home : Backend
        Where the plan computes.
    """

    __slots__ = ("_home", "_plan", "_ranges")

    def __init__(self, plan: Plan, ranges: list[Range], home: Backend):
        self._plan = plan
        self._ranges = ranges
        self._home = home

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self._plan.n_operations

    @property
    def n_launches(self) -> int:
        """Kernels and library functions that one call starts."""
        return getattr(self._plan, "n_launches", self._plan.n_operations)

    @property
    def source(self) -> str:
        """What is executed."""
        return self._plan.source

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        *results, ends = self._plan(*values)
        if self._home is not get_backend():
            ends = self._home.to_numpy(ends)
        self._check(np.asarray(ends).tolist(), values)
        return tuple(results)

    def _check(self, ends: list[int], values: tuple[Any, ...]) -> None:
        for place, (size, axis, line) in enumerate(self._ranges):
            low, high = ends[2 * place : 2 * place + 2]
            if low < -size or high >= size:
                where = line if isinstance(line, str) else values[line]
                wrong = low if low < -size else high
                raise IndexingError(f"index {wrong} is out of range for axis {axis} with size {size} of {where}")


def checked(program: Program, backend: Backend) -> Plan:
    """A plan of a program, which may have positions to look at."""
    lowered, ranges = with_ranges(program) if ops.in_range in program.heads else (program, [])
    check_capabilities(lowered, backend)
    plan = backend.compile(lowered)
    return Checked(plan, ranges, backend.home) if ranges else plan
