"""A failing program made small: steps go while it still fails, then elements of the inputs become ordinary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .program import Program


def shrink(program: Program, fails: Callable[[Program], bool], tries: int = 400) -> Program:
    """The smallest program found that still fails."""
    tries, small = _fewer_steps(program, fails, tries)
    for name, array in small.inputs.items():
        for i in range(array.size):
            if not tries:
                return small
            simpler = array.copy()
            simpler.reshape(-1)[i] = 1
            if np.array_equal(simpler, array):
                continue
            candidate = replace(small, inputs={**small.inputs, name: simpler})
            tries -= 1
            if fails(candidate):
                small, array = candidate, simpler
    return small


def _fewer_steps(program: Program, fails: Callable[[Program], bool], tries: int) -> tuple[int, Program]:
    size = max(len(program.steps) // 2, 1)
    while size and tries:
        place = len(program.steps) - size
        progress = False
        while place > -size and tries:
            kept = [step for i, step in enumerate(program.steps) if not max(place, 0) <= i < place + size]
            tries -= 1
            if kept and runs(program.kept(kept)) and fails(program.kept(kept)):
                program = program.kept(kept)
                progress = True
                place = min(place, len(program.steps) - size)
            else:
                place -= size
        size = size if progress and size == 1 else size // 2
    return tries, program


def runs(program: Program) -> bool:
    """Whether every name that a step reads has a value by then."""
    known = {*program.inputs, *program.numbers}
    for step in program.steps:
        if any(name not in known for name in step.reads):
            return False
        known.add(step.writes)
    return True
