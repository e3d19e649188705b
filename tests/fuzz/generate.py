"""Programs from seeds: steps are drawn, tried with NumPy, and kept if their result can be compared."""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import data, steps_elementwise, steps_indexing, steps_looking, steps_products, steps_reductions, steps_shapes
from .growing import Growing, Maker
from .program import Program, Step, compiled, owned
from .tolerance import settled

MAKERS: list[tuple[Maker, int]] = [
    *steps_elementwise.MAKERS,
    *steps_reductions.MAKERS,
    *steps_indexing.MAKERS,
    *steps_shapes.MAKERS,
    *steps_products.MAKERS,
    *steps_looking.MAKERS,
]
_FUNCTIONS = [maker for maker, _ in MAKERS]
_WEIGHTS = [weight for _, weight in MAKERS]
# Programs that are differentiated have more functions, each of which has a rule.
_TAME_WEIGHTS = [weight * 2 if maker is steps_elementwise.unary else weight for maker, weight in MAKERS]
LARGEST = 200
TAMEST = 1e3


@dataclass(frozen=True)
class Failing:
    """A program of which NumPy refuses the last step, and the class of its error."""

    program: Program
    error: type[BaseException]


def size_of(rng: random.Random) -> int:
    """How many steps: few as a rule, up to 120 at times."""
    kind = rng.random()
    if kind < 0.5:
        return rng.randint(1, 6)
    return rng.randint(7, 20) if kind < 0.9 else rng.randint(21, 60) if kind < 0.98 else rng.randint(61, 120)


def generate(
    seed: int, tame: bool, steps: int | None = None, failing: bool = False, arguments: bool = False
) -> Program | Failing:
    """The program of a seed. A tame one has values of ordinary size, so that it can be differentiated.

    ``failing`` looks for a step that NumPy refuses; ``arguments`` lets steps write into the inputs.
    """
    rng = random.Random(f"{seed} {tame} {failing}")
    g = Growing(rng, tame, arguments)
    length = size_of(rng) if steps is None else steps
    for i in range(rng.randint(1, 3)):
        kind = np.dtype(rng.choice(data.FLOATS[:15] if tame else data.FLOATS)) if i == 0 else data.dtype(rng, tame)
        shape = rng.choice(data.SHAPES[:11] if tame or rng.random() < 0.8 else data.SHAPES)
        g.values[f"x{i}"] = data.array(rng, shape, kind, tame)
        g.exact[f"x{i}"] = True
    inputs = {name: a.copy() for name, a in g.values.items()}
    chosen: list[Step] = []
    tries = 0
    while len(chosen) < length and tries < 8 * length + 40:
        tries += 1
        known = dict(g.numbers)
        step = propose(g)
        if step is None:
            g.numbers = known
            continue
        outcome = attempt(g, step)
        if outcome is None:
            chosen.append(step)
            continue
        if failing and isinstance(outcome, BaseException) and len(chosen) >= min(length, 3):
            whole = Program(inputs, dict(g.numbers), (*chosen, step), seed)
            needed = _needed(whole)
            return Failing(whole.kept(needed), type(outcome))
        g.numbers = known
    return Program(inputs, dict(g.numbers), tuple(chosen), seed)


def _needed(program: Program) -> list[Step]:
    """The steps that the last one depends on."""
    wanted = set(program.steps[-1].reads)
    kept = [program.steps[-1]]
    for step in reversed(program.steps[:-1]):
        if step.writes in wanted:
            kept.append(step)
            wanted.update(step.reads)
    return kept[::-1]


def propose(g: Growing) -> Step | None:
    (maker,) = g.rng.choices(_FUNCTIONS, _TAME_WEIGHTS if g.tame else _WEIGHTS)
    try:
        return maker(g)
    except LookupError:
        return None


def attempt(g: Growing, step: Step) -> Any:
    """Run a step: None if it is taken, the error of NumPy if it fails, or a word why it is left out."""
    space: dict[str, Any] = {"np": np, **g.values, **{k: v[0] for k, v in g.numbers.items()}}
    if step.in_place:
        space[step.writes] = g.values[step.writes].copy()
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # Imaginary parts that NumPy drops with a warning are an error here.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            exec(compiled(step.text), space)
            result = owned(space[step.writes])
    except np.exceptions.ComplexWarning:
        return "imaginary parts"
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
        return error
    if result.dtype.kind not in "biufc" or result.dtype.itemsize > (16 if result.dtype.kind == "c" else 8):
        return "dtype"
    if result.size > LARGEST or result.ndim > 5:
        return "size"
    if step.in_place and result.dtype.kind != "c" and any(g[n].dtype.kind == "c" for n in step.reads if n in g.values):
        return "imaginary parts"
    exact = step.slack == (0, 0) and all(g.exact.get(name, True) for name in step.reads)
    if not exact and (step.jumps or result.dtype.kind in "biu"):
        return "a jump"
    if result.dtype.kind in "fc":
        with np.errstate(all="ignore"):
            if g.tame and not np.all(np.abs(result) < TAMEST):
                return "size of numbers"
    with np.errstate(all="ignore"):
        before = {"np": np, **g.values, **{k: v[0] for k, v in g.numbers.items()}}
        if not settled(step, before):
            return "order of a sum"
    g.values[step.writes] = result
    g.exact[step.writes] = exact
    if not step.in_place:
        g.count += 1
    return None


def other_arrays(program: Program, tame: bool) -> dict[str, np.ndarray]:
    """Inputs for a second call, of the same shapes and dtypes."""
    rng = random.Random(f"{program.seed} again")
    return {name: data.array(rng, a.shape, a.dtype, tame) for name, a in program.inputs.items()}
