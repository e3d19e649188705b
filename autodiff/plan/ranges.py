"""Integers that are known only when a plan runs, and that have to be looked at then.

Positions are counted from the front and have to be within their axis; exponents of integers must not be negative.
Backends know nothing of it. A plan computes, beside its results, the lowest and the highest of these integers, which
are looked at on the host before the results are given out. What is read or written until then is within the array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..backend import Backend, Plan, check_capabilities
from ..core.avals import INT64, intern_aval
from ..core.primitives import Signature
from ..core.program import Program, prune
from ..errors import ArgumentError, IndexingError
from ..registry import get_backend
from .wrapped import Wrapped


class Range(NamedTuple):
    """What positions have to fit: an axis of some size. ``line`` is the input that says where, or the text itself."""

    size: int
    axis: int
    line: int | str

    def check(self, low: int, high: int, values: tuple[Any, ...]) -> None:
        """An error if the lowest or the highest position is out of range."""
        if low < -self.size or high >= self.size:
            where = self.line if isinstance(self.line, str) else values[self.line]
            wrong = low if low < -self.size else high
            raise IndexingError(f"index {wrong} is out of range for axis {self.axis} with size {self.size} of {where}")


class Exponents(NamedTuple):
    """Exponents of integers, which must not be negative, since the powers are integers too."""

    base: str

    def check(self, low: int, high: int, values: tuple[Any, ...]) -> None:
        """An error if the lowest exponent is negative."""
        if low < 0:
            raise ArgumentError(
                f"power of {self.base} with the exponent {low}: integers to negative integer powers are no integers; "
                "make the base floating"
            )


def _has_exponents(signature: Signature) -> bool:
    """Whether a power of integers has exponents that may be negative."""
    if signature.primitive is not ops.power:
        return False
    exponent = signature.inputs[1]
    signed = signature.out.dtype.kind == exponent.dtype.kind == "i"
    return signed and exponent.literal is None and signature.out.size > 0


def _watched(program: Program) -> bool:
    # A long program has few different ones.
    return any(
        signature is not None and (signature.primitive is ops.in_range or _has_exponents(signature))
        for signature in set(program.signatures)
    )


# From so many positions on two comparisons take less time than a division of each.
SMALLEST_CUT = 512


def _within(result: Program, positions: int, size: int) -> int:
    """Positions as they are if they are in range, from the front or from the end; others that are, if they are not."""

    def number(value: int) -> int:
        return result.literal(value, intern_aval((), INT64))

    if result.avals[positions].size < SMALLEST_CUT:
        return result.call(ops.remainder, positions, number(size))
    return result.call(ops.minimum, result.call(ops.maximum, positions, number(-size)), number(size - 1))


def with_ranges(program: Program) -> tuple[Program, list[Range | Exponents]]:
    """The program without ``in_range``, and what the lowest and highest integers in its last output have to fit."""
    found: list[Range | Exponents] = []
    ends: list[int] = []

    def look_at(result: Program, integers: int) -> None:
        axes = tuple(range(result.avals[integers].ndim))
        wide = result.call(ops.astype_p, integers, params=(INT64,))
        for extremum in (ops.amin, ops.amax):
            end = result.call(extremum, wide, params=(axes,)) if axes else wide
            ends.append(result.call(ops.reshape_p, end, params=((1,),)))

    def replace(result: Program, _: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if signature.primitive is ops.in_range:
            positions, line = arguments
            size, axis = signature.params
            if result.avals[positions].size:
                found.append(Range(size, axis, result.constants.get(line, line)))
                look_at(result, positions)
            return _within(result, positions, size)
        if _has_exponents(signature):
            base, exponents = arguments
            found.append(Exponents(repr(signature.inputs[0])))
            look_at(result, exponents)
            zero = result.literal(0, intern_aval((), signature.inputs[1].dtype))
            return result.call(ops.power, base, result.call(ops.maximum, exponents, zero))
        return None

    lowered = prune(program, replace)
    if found:
        joined = lowered.call(ops.concatenate_p, *ends, params=(0,)) if len(ends) > 1 else ends[0]
        lowered.outputs = (*lowered.outputs, joined)
    return lowered, found


class Checked(Wrapped):
    """A plan that looks at the positions it has read and written at before it gives its results out.

    Parameters
    ----------
    plan : Plan
        What computes the results, and the lowest and highest positions after them.
    ranges : list of Range or Exponents
        What these have to fit.
    home : Backend
        Where the plan computes.
    """

    __slots__ = ("_home", "_ranges")

    def __init__(self, plan: Plan, ranges: list[Range | Exponents], home: Backend):
        super().__init__(plan)
        self._ranges = ranges
        self._home = home

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        *results, ends = self._plan(*values)
        if self._home is not get_backend():
            ends = self._home.to_numpy(ends)
        numbers = np.asarray(ends).tolist()
        for place, fits in enumerate(self._ranges):
            fits.check(numbers[2 * place], numbers[2 * place + 1], values)
        return tuple(results)


def checked(program: Program, backend: Backend, make: Callable[[Program], Plan | None]) -> Plan | None:
    """A plan of a program, which may have positions to look at; None if ``make`` makes none."""
    lowered, ranges = with_ranges(program) if _watched(program) else (program, [])
    check_capabilities(lowered, backend)
    plan = make(lowered)
    return Checked(plan, ranges, backend.home) if ranges and plan is not None else plan
