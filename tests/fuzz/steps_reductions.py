"""Steps that reduce or accumulate along axes, with every keyword."""

from __future__ import annotations

import numpy as np

from .growing import Growing, Maker
from .program import EXACT, Slack, Step

DTYPES = ["float64", "float32", "int64", "int32", "complex128"]


def _sum_slack(g: Growing, x: str, more: float = 0) -> Slack:
    """The bound of a sum in any order: each operand as if rounded once for each addition."""
    return Slack(max(g[x].size, 1) + more, 1 + more) if g[x].dtype.kind in "fc" else EXACT


def _keywords(g: Growing, x: str, initial: bool = True, where: bool = True) -> str:
    a = g[x]
    words = []
    if g.rng.random() < 0.7:
        words.append(f"axis={g.axis(a)}")
    if g.rng.random() < 0.3:
        words.append("keepdims=True")
    if initial and g.rng.random() < 0.15:
        words.append(f"initial={g.number()}")
    if where and g.rng.random() < 0.2:
        words.append(f"where={g.mask(a.shape)}")
    g.rng.shuffle(words)
    return "".join(f", {w}" for w in words)


def total(g: Growing) -> Step | None:
    x = g.pick()
    name = g.rng.choice(["sum", "sum", "sum", "prod", "mean", "mean"])
    words = _keywords(g, x, initial=name != "mean")
    kind = g.rng.choice(DTYPES) if g.rng.random() < 0.12 else None
    if kind is not None:
        words += f", dtype='{kind}'"
    slack = _sum_slack(g, x, 1)
    if "initial=" in words or kind is not None or name == "mean":
        slack = Slack(g[x].size + 2, 3)
    jumps = kind is not None and kind.startswith("int") and g[x].dtype.kind in "fc"
    if g.rng.random() < 0.3 and name != "mean":
        spelled = f"np.{'add' if name == 'sum' else 'multiply'}.reduce({x}{words})"
    elif g.rng.random() < 0.3:
        spelled = f"{x}.{name}({words[2:]})"
    else:
        spelled = f"np.{name}({x}{words})"
    return g.step(spelled, slack, jumps, x)


def scaled_sum(g: Growing) -> Step | None:
    """A number inside of a sum, where it belongs."""
    x = g.pick(lambda a: a.dtype.kind in "fiu" and a.ndim > 0)
    n = g.number()
    if g.is_complex(n):
        return None
    return g.step(f"np.sum({x} * {n}, axis={g.axis(g[x])})", Slack(g[x].size + 2, 3), bounded=f"{x} * {n}")


def spread(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.dtype.kind in "fc" or g.rng.random() < 0.2)
    words = _keywords(g, x, initial=False)
    if g.rng.random() < 0.5:
        words += f", ddof={g.rng.choice(['0', '1', '1.0', '0.5', 'np.int64(1)', '2'])}"
    if g.rng.random() < 0.1:
        words += f", dtype='{g.rng.choice(DTYPES[:2])}'"
    name = g.rng.choice(["var", "std"])
    return g.step(f"np.{name}({x}{words})", Slack(2 * g[x].size + 4, 2 * g[x].size + 8), bounded=x)


def extremum(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.dtype.kind != "c" or g.rng.random() < 0.1)
    name = g.rng.choice(["max", "min", "amax", "amin", "ptp"])
    words = _keywords(g, x, initial=False, where=False)
    if name != "ptp" and g.rng.random() < 0.25:
        words += f", initial={g.number()}"
        if g.rng.random() < 0.5:
            words += f", where={g.mask(g[x].shape)}"
    if name in ("max", "min") and g.rng.random() < 0.3:
        return g.step(f"{x}.{name}({words[2:]})")
    return g.step(f"np.{name}({x}{words})")


def answer(g: Growing) -> Step | None:
    x = g.pick()
    a = g[x]
    choice = g.rng.random()
    if choice < 0.35:
        return g.step(f"np.{g.rng.choice(['all', 'any'])}({x}{_keywords(g, x, initial=False)})", jumps=True)
    if choice < 0.5:
        keep = ", keepdims=True" if g.rng.random() < 0.3 else ""
        return g.step(f"np.count_nonzero({x}, axis={g.axis(a)}{keep})", jumps=True)
    name = g.rng.choice(["argmax", "argmin"])
    keep = ", keepdims=True" if g.rng.random() < 0.3 else ""
    return g.step(f"np.{name}({x}, axis={g.axis(a, several=False)}{keep})", jumps=True)


# The last one is of NumPy 2.1.
RUNNING = [name for name in ("cumsum", "cumsum", "cumprod", "diff", "cumulative_sum") if hasattr(np, name)]


def running(g: Growing) -> Step | None:
    x = g.pick()
    a = g[x]
    name = g.rng.choice(RUNNING)
    if name == "diff":
        n = f", n={g.integer(0, 3)}" if g.rng.random() < 0.4 else ""
        return g.step(f"np.diff({x}{n}, axis={g.axis(a, several=False, none=False)})")
    slack = _sum_slack(g, x, 1)
    if name == "cumulative_sum":
        start = ", include_initial=True" if g.rng.random() < 0.4 else ""
        return g.step(f"np.cumulative_sum({x}, axis={g.axis(a, False, a.ndim == 1)}{start})", slack, bounded=x)
    kind = f", dtype='{g.rng.choice(DTYPES)}'" if g.rng.random() < 0.15 else ""
    jumps = "int" in kind and a.dtype.kind in "fc"
    return g.step(
        f"np.{name}({x}, axis={g.axis(a, several=False)}{kind})", Slack(a.size + 2, 2) if kind else slack, jumps, x
    )


def average(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.ndim > 0)
    w = g.pick(lambda a: a.shape == g[x].shape and a.dtype.kind in "fiu")
    axis = g.axis(g[x])
    return g.step(
        f"np.average({x}, axis={axis}, weights={w})", Slack(g[x].size + 2, g[x].size + 4), bounded=f"{x} * {w}"
    )


MAKERS: list[tuple[Maker, int]] = [
    (total, 12), (scaled_sum, 3), (spread, 4), (extremum, 5), (answer, 3), (running, 4), (average, 1),
]  # fmt: skip
