"""A program is data: inputs, numbers that may change from call to call, and statements of NumPy source.

The same statements run on ndarrays, on Tensors, and on the Taylor series of ``taylor``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad
from autodiff.tensor.views import view_of


class Slack(NamedTuple):
    """How far two right evaluations of a step may be apart.

    Its operands are as good as known to within ``operands`` units in the last place (a backward error), and its result
    is rounded to within ``result`` of them.
    """

    operands: float = 0.0
    result: float = 0.0


EXACT = Slack()


@dataclass(frozen=True)
class Step:
    """One statement. It reads some names and gives one a value, a new one or an old one changed in place.

    ``jumps`` says that the result is no continuous function of the operands. ``bounded`` names an operand whose
    absolute sum must be in the range of its dtype: otherwise the order of a sum decides whether it overflows.
    """

    text: str
    reads: tuple[str, ...]
    writes: str
    slack: Slack = EXACT
    jumps: bool = False
    bounded: tuple[str, ...] = ()

    @property
    def in_place(self) -> bool:
        return self.writes in self.reads


@functools.lru_cache(maxsize=1 << 14)
def compiled(text: str) -> Any:
    return compile(text, "<program>", "exec")


@dataclass(frozen=True)
class Program:
    """Inputs by name, numbers that are arguments (their values at a first and a second call), and steps."""

    inputs: dict[str, np.ndarray]
    numbers: dict[str, tuple[Any, Any]]
    steps: tuple[Step, ...]
    seed: int = 0

    def kept(self, steps: Iterable[Step]) -> Program:
        """The program of these steps only, without the inputs and numbers that none of them reads."""
        steps = tuple(steps)
        read = {name for step in steps for name in step.reads}
        inputs = {name: array for name, array in self.inputs.items() if name in read} or dict(
            [*self.inputs.items()][:1]
        )
        return replace(self, inputs=inputs, numbers={k: v for k, v in self.numbers.items() if k in read}, steps=steps)

    @property
    def names(self) -> list[str]:
        """Everything that has a value in the end, in order of appearance."""
        return list(dict.fromkeys([*self.inputs, *[step.writes for step in self.steps]]))

    def source(self) -> str:
        """The program as a NumPy user writes it."""
        lines = ["import numpy as np", "from numpy import array, inf, nan"]
        lines += [f"{name} = {literal(array)}" for name, array in self.inputs.items()]
        lines += [f"{name} = {literal(a)}  # then {literal(b)}" for name, (a, b) in self.numbers.items()]
        return "\n".join([*lines, *[step.text for step in self.steps]])


def literal(value: Any) -> str:
    """Python source of a value."""
    if isinstance(value, np.ndarray):
        listed = ", ".join(literal(x) for x in value.ravel().tolist())
        flat = f"np.array([{listed}], dtype='{value.dtype.name}')"
        return flat if value.ndim == 1 else f"{flat}.reshape({value.shape})"
    if isinstance(value, np.generic):
        return f"np.{value.dtype.name}({literal(value.item())})"
    if isinstance(value, complex):
        return f"complex({literal(value.real)}, {literal(value.imag)})"
    if isinstance(value, float) and not np.isfinite(value):
        return f"float('{value}')"
    return repr(value)


Looker = Callable[[str, Any], None]


def run(
    program: Program, values: dict[str, Any], numbers: dict[str, Any], look: Looker | None = None
) -> dict[str, Any]:
    """The values of all names, whatever kind of array the inputs are. (Views are for ``tests/test_views.py``.)"""
    space: dict[str, Any] = {"np": np, **values, **numbers}
    for step in program.steps:
        exec(compiled(step.text), space)
        made = space[step.writes]
        # What is no view may be another name's own object: the real part of what is real.
        if isinstance(made, ad.Tensor) and (view_of(made) is not None or _is_another(made, step.writes, space)):
            space[step.writes] = made.copy()
        if look is not None:
            look(step.text, space[step.writes])
    return {name: space[name] for name in program.names}


def _is_another(made: Any, name: str, space: dict[str, Any]) -> bool:
    return any(made is value for other, value in space.items() if other != name)


def owned(result: Any, others: Iterable[Any] = ()) -> Any:
    """An array of its own, and no view; a reduction to one element is an array of no dimensions."""
    return np.array(result, copy=True)


def evaluate(program: Program, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> dict[str, np.ndarray]:
    """NumPy's values of all names."""
    space: dict[str, Any] = {"np": np, **{k: a.copy() for k, a in arrays.items()}, **numbers}
    with np.errstate(all="ignore"):
        for step in program.steps:
            exec(compiled(step.text), space)
            space[step.writes] = owned(space[step.writes])
    return {name: space[name] for name in program.names}
