"""What NumPy computes for a program, and how far from it another right evaluation may be.

The program runs several times more, with the operands and the results of every step that has slack moved at random
within it. Where no step with slack comes before, all bits count. Elsewhere the distance between these runs is the
measure, element by element.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .program import Program, Slack, Step, compiled, owned

RUNS = 4
# Moves are so many times as large as the slack, so that two of them are hardly ever the same number of units.
AMPLIFIED = 8.0
SAFETY = 4.0
# Here the sign of a zero is anybody's choice, or that of a NaN matters.
ZERO_TIES = re.compile(r"\b(maximum|minimum|fmax|fmin|clip|max|min|amax|amin|ptp)\b|np\.inf\b")
SIGNS = re.compile(r"\b(copysign|signbit)\b")


@dataclass
class Reference:
    """Values by name; distances for those that are not exact; names of which nothing can be said.

    ``units`` has the values that one step made of exact operands, and how many units in the last place they may be off.
    """

    values: dict[str, np.ndarray]
    distances: dict[str, np.ndarray] = field(default_factory=dict)
    moved: dict[str, list[np.ndarray]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    units: dict[str, float] = field(default_factory=dict)


def reference(
    program: Program, arrays: dict[str, np.ndarray], numbers: dict[str, Any], factor: float = 1.0
) -> Reference:
    """Evaluate with NumPy. ``factor`` multiplies the slack of results: the elementary functions of other libraries.

    With other libraries nothing is said of complex numbers that are not finite: PyTorch multiplies by 1 as it adds, and
    makes them NaN.
    """
    rng = np.random.default_rng(program.seed)
    space: dict[str, Any] = {"np": np, **{k: a.copy() for k, a in arrays.items()}, **numbers}
    others: list[dict[str, Any]] = []
    inexact: set[str] = set()
    unknown: set[str] = set()
    units: dict[str, float] = {}
    with np.errstate(all="ignore"):
        for step in program.steps:
            loose = step.slack != (0, 0)
            if loose and not others:
                others = [
                    {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in space.items()} for _ in range(RUNS)
                ]
            if not unknown.isdisjoint(step.reads) or not settled(step, space):
                unknown.add(step.writes)
            units.pop(step.writes, None)
            if loose and not step.slack.operands and inexact.isdisjoint(step.reads):
                units[step.writes] = step.slack.result * factor
            execute(step, space)
            if factor > 1 and space[step.writes].dtype.kind == "c" and not np.all(np.isfinite(space[step.writes])):
                unknown.add(step.writes)
            if others:
                try:
                    for other in others:
                        _moved_step(step, other, rng, factor, inexact)
                except (ArithmeticError, ValueError):
                    # A sum of weights, say, which is 0 after a move.
                    unknown.add(step.writes)
                    for other in others:
                        other[step.writes] = space[step.writes].copy()
                if loose or not inexact.isdisjoint(step.reads):
                    inexact.add(step.writes)
                else:
                    inexact.discard(step.writes)
            if step.writes in inexact and space[step.writes].dtype.kind in "biu":
                unknown.add(step.writes)
        result = Reference({name: space[name] for name in program.names}, unknown=unknown, units=units)
        for name in program.names:
            if name in inexact:
                result.moved[name] = [other[name] for other in others]
                result.distances[name] = _distance(space[name], result.moved[name])
    return result


def execute(step: Step, space: dict[str, Any]) -> None:
    exec(compiled(step.text), space)
    space[step.writes] = owned(space[step.writes])


def settled(step: Step, space: dict[str, Any]) -> bool:
    """Whether the order of additions cannot decide what is infinite, and no number is converted that does not fit."""
    for expression in step.bounded:
        try:
            # Products that overflow one by one need not, where they are added to others unrounded.
            with np.errstate(over="raise" if "outer" in expression else "ignore"):
                operand = np.asarray(eval(expression, space))
        except FloatingPointError:
            return False
        if operand.dtype.kind not in "fc":
            continue
        finite = operand[np.isfinite(operand)]
        if operand.dtype.kind == "c" and finite.size < operand.size:
            return False
        limit = np.finfo(operand.dtype).max
        if finite.size and np.sum(np.abs(finite), dtype=np.longdouble) > 0.45 * np.longdouble(limit):
            return False
    contracts = any("outer" in expression for expression in step.bounded)
    if contracts and not all(np.all(np.isfinite(space[name])) for name in step.reads):
        # np.dot of a column skips zeros, so that 0 * inf is 0 there; einsum may sum one operand alone before.
        return False
    if SIGNS.search(step.text) and any(_has_nan(space[name]) for name in step.reads):
        return False
    if ZERO_TIES.search(step.text):
        signed = [name for name in step.reads if name != step.writes and _has_negative_zero(space[name])]
        if signed or "-0.0" in step.text:
            return False
    if "int" in step.text or any(getattr(space.get(n), "dtype", np.dtype(float)).kind in "biu" for n in step.reads):
        trial = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in space.items()}
        try:
            with np.errstate(all="ignore", invalid="raise"):
                exec(compiled(step.text), trial)
        except FloatingPointError:
            # Only conversions of numbers that do not fit are at the machine's mercy; inf - inf is NaN everywhere.
            return (
                np.asarray(trial[step.writes]).dtype.kind in "fc"
                if step.writes in trial
                else _converts_not(step, space)
            )
    return True


def _has_nan(a: Any) -> bool:
    return np.asarray(a).dtype.kind in "fc" and bool(np.any(np.isnan(a)))


def _has_negative_zero(a: Any) -> bool:
    parts = np.stack([np.real(a), np.imag(a)])
    return parts.dtype.kind == "f" and bool(np.any((parts == 0) & np.signbit(parts)))


def _converts_not(step: Step, space: dict[str, Any]) -> bool:
    trial = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in space.items()}
    exec(compiled(step.text), trial)
    return np.asarray(trial[step.writes]).dtype.kind in "fc" and "dtype='int" not in step.text


def _moved_step(step: Step, space: dict[str, Any], rng: np.random.Generator, factor: float, inexact: set[str]) -> None:
    before = {}
    for name in step.reads:
        value = space[name]
        # Operands that are inexact already are moved each by itself: x and 3 x must not cancel to the last bit.
        units = max(step.slack.operands, name in inexact)
        if units and isinstance(value, np.ndarray) and value.dtype.kind in "fc":
            before[name] = value
            space[name] = moved(value, units, rng)
    execute(step, space)
    space.update({name: value for name, value in before.items() if name != step.writes})
    if step.slack.result:
        space[step.writes] = moved(space[step.writes], step.slack.result * factor, rng)


def moved(a: np.ndarray, units: float, rng: np.random.Generator) -> np.ndarray:
    """Each number moved at random by up to so many units in its last place; of a complex one both parts alike."""
    if a.dtype.kind not in "fc":
        return a
    unit = np.spacing(np.abs(a))
    unit = np.where(np.isfinite(unit), unit, 0).astype(unit.dtype)
    units *= AMPLIFIED
    shift = unit * (units * rng.uniform(-1, 1, a.shape)).astype(unit.dtype)
    if a.dtype.kind == "c":
        shift = shift + 1j * unit * (units * rng.uniform(-1, 1, a.shape)).astype(unit.dtype)
    return np.asarray(a + shift.astype(a.dtype))


def _distance(value: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """The largest distance from ``value``; infinite where the runs do not even agree what is a number."""
    if any(other.shape != value.shape or other.dtype != value.dtype for other in others):
        return np.full(value.shape, np.inf)
    if value.dtype.kind in "biu":
        return np.where(np.all([other == value for other in others], axis=0), 0.0, np.inf)
    wide = np.clongdouble if value.dtype.kind == "c" else np.longdouble
    largest = np.zeros(value.shape, np.longdouble)
    for other in others:
        same = (other == value) | (np.isnan(other) & np.isnan(value))
        gap = np.where(same, 0, np.abs(other.astype(wide) - value.astype(wide)))
        largest = np.maximum(largest, np.where(np.isnan(gap), np.inf, gap))
    return largest


def random_of(seed: int) -> random.Random:
    return random.Random(seed)


__all__ = ["RUNS", "SAFETY", "Reference", "Slack", "moved", "reference", "settled"]
