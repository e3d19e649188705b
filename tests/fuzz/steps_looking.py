"""Steps that look at a value on the way: Python decides by it, or computes with it."""

from __future__ import annotations

import numpy as np

from .growing import Growing, Maker
from .program import Step


def branch(g: Growing) -> Step | None:
    """An ``if`` of Python's."""
    x = g.pick()
    y = g.pick(lambda a: a.dtype.kind in "fiu" and a.size > 0)
    if not g.exact[y]:
        return None
    question = g.rng.choice(["np.all({y} > {n})", "np.any({y} > {n})", "np.sum({y} > {n}) > 1", "{y}.size > 2"])
    return g.step(f"{x} * 2 if {question.format(y=y, n=g.number(0))} else {x} - 1", jumps=True)


def number(g: Growing) -> Step | None:
    """A number of Python's, made of a value. Derivatives do not pass, so not in programs that are differentiated."""
    if g.tame:
        return None
    x = g.pick()
    y = g.pick(lambda a: a.ndim == 0 and a.dtype.kind in "fiu")
    if g.exact[y] and g[y].dtype.kind in "iu":
        form = g.rng.choice(["{x} * int({y})", "{x} + float({y})", "{x} - {y}.item()"])
    else:
        form = g.rng.choice(["{x} + float({y})", "{x} * {y}.item()"])
    return None if g.is_complex(x) else g.step(form.format(x=x, y=y))


def position(g: Growing) -> Step | None:
    """An element whose place is a value."""
    x = g.pick(lambda a: a.ndim > 0 and a.shape[0] > 0)
    i = g.pick(lambda p: p.dtype.kind in "iu" and p.ndim == 0 and 0 <= int(p) < g[x].shape[0])
    if not g.exact[i]:
        return None
    form = g.rng.choice(["{x}[{i}]", "{x}[int({i})]", "{x}[{i}:]", "{x}[:{i}]", "{x}[..., None][{i}]"])
    return g.step(form.format(x=x, i=i), jumps=True)


def lengths(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.ndim > 0)
    form = g.rng.choice(["{x} * len({x})", "{x} * {x}.shape[0]", "{x} / np.size({x})", "sum({x}) if len({x}) else {x}"])
    if form.startswith("sum") and (np.ndim(g[x]) == 0 or g[x].dtype.kind == "c"):
        return None
    return g.step(form.format(x=x))


MAKERS: list[tuple[Maker, int]] = [(branch, 1), (number, 1), (position, 2), (lengths, 1)]
