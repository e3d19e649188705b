"""Steps that read and write by indices of every form."""

from __future__ import annotations

import numpy as np

from . import data
from .growing import Growing, Maker
from .program import Step, literal


def _bound(g: Growing, n: int) -> str:
    if g.rng.random() < 0.35:
        return ""
    return g.integer(-n - 3, n + 3, 0.1)


def _slice(g: Growing, n: int) -> str:
    step = g.rng.choice(["", "", "", ":", ":1", ":2", ":-1", ":-1", ":-2", ":3", f":{g.rng.choice([-5, -3, 4, 7])}"])
    return f"{_bound(g, n)}:{_bound(g, n)}{step}"


def _positions(g: Growing, n: int, shape: tuple[int, ...]) -> str:
    if not n:
        return literal(np.zeros(shape, np.intp)) if 0 in shape else "0"
    drawn = np.array([g.rng.randrange(-n, n) for _ in range(int(np.prod(shape)))], np.intp).reshape(shape)
    if g.rng.random() < 0.4:
        drawn = np.abs(drawn) % n
    kind = g.rng.random()
    if len(shape) == 1 and kind < 0.35 and drawn.size:
        return repr(drawn.tolist())
    if kind < 0.5:
        return literal(drawn.astype(g.rng.choice(["int8", "int32", "uint8" if (drawn >= 0).all() else "int16"])))
    return literal(drawn)


def index(g: Growing, a: np.ndarray) -> str:
    """What stands between the brackets: integers, slices, None, an ellipsis, arrays, masks, and mixtures."""
    if a.ndim and g.rng.random() < 0.12:
        depth = g.rng.randint(1, a.ndim)
        return literal(data.array(g.rng, a.shape[:depth], np.dtype(bool), False))
    if not a.ndim and g.rng.random() < 0.1:
        return literal(np.array(g.rng.random() < 0.5))
    arrays = g.rng.random() < 0.35
    together = g.rng.choice([(2,), (3,), (2, 1), (1,), (), (0,)])
    items = []
    axis, ellipsis = 0, False
    count = g.rng.randint(0, a.ndim)
    for place in range(count):
        if g.rng.random() < 0.12:
            items.append("None")
        if not ellipsis and g.rng.random() < 0.15:
            items.append("...")
            ellipsis = True
            axis = a.ndim - (count - place)
        n = a.shape[axis]
        kind = g.rng.random()
        if arrays and kind < 0.55:
            items.append(_positions(g, n, together if g.rng.random() < 0.8 else ()))
        elif arrays and kind < 0.62:
            mask = data.array(g.rng, (n,), np.dtype(bool), False)
            items.append(literal(mask))
        elif kind < 0.75 or not n:
            items.append(_slice(g, n))
        elif g.rng.random() < 0.97:
            items.append(g.integer(-n, n - 1))
        else:
            items.append(str(n + g.rng.randint(0, 2)))
        axis += 1
    if g.rng.random() < 0.1:
        items.append("None")
    if not ellipsis and g.rng.random() < 0.1:
        items.append("...")
    if not items:
        items = ["..."]
    return ", ".join(items) + ("," if g.rng.random() < 0.1 or (len(items) == 1 and items[0].startswith("(")) else "")


def read(g: Growing) -> Step | None:
    x = g.pick()
    return g.step(f"{x}[{index(g, g[x])}]")


def read_by_value(g: Growing) -> Step | None:
    """Positions and masks that are values themselves."""
    choice = g.rng.random()
    if choice < 0.5:
        x = g.pick(lambda a: a.ndim > 0)
        mask = g.pick(lambda m: m.dtype == bool and m.ndim > 0 and m.shape == g[x].shape[: m.ndim])
        return g.step(f"{x}[{mask}]", jumps=not g.exact[mask])
    x = g.pick(lambda a: a.ndim > 0 and a.shape[0] > 0)
    i = g.pick(lambda p: p.dtype.kind in "iu" and p.size < 20 and np.all((p < g[x].shape[0]) & (p >= 0)))
    return g.step(f"{x}[{i}]", jumps=not g.exact[i])


def _part(g: Growing, a: np.ndarray, item: str) -> np.ndarray | None:
    """What is written to, if there is such a part."""
    try:
        return np.asarray(eval(f"a[{item}]", {"np": np, "a": a, **{k: v[0] for k, v in g.numbers.items()}}))
    except Exception:
        return None


def write(g: Growing) -> Step | None:
    t = g.pick(written=True)
    a = g[t]
    item = index(g, a)
    found = _part(g, a, item)
    part = a if found is None else found
    repeated = "[[" in f"[{item}" or "np.array" in item
    value = g.number() if g.rng.random() < 0.4 else g.pick(lambda v: v.shape == np.shape(part) or v.size == 1)
    operator = g.rng.choice(["=", "=", "=", "+=", "*=", "-="])
    whole = a.dtype.kind in "biu" and not (value in g.values and g[value].dtype.kind in "biu")
    scalar = np.ndim(part) == 0 and value in g.values and g[value].ndim > 0  # NumPy rebinds a scalar to any shape
    if operator != "=" and (repeated or scalar or whole or g.is_complex(t, value)):
        operator = "="
    return g.statement(f"{t}[{item}] {operator} {value}", t)


def add_at(g: Growing) -> Step | None:
    """Additions at positions that come again, which numbers and parts of values are added at."""
    t = g.pick(lambda a: a.dtype.kind == "f" and a.ndim > 0, written=True)
    item = index(g, g[t])
    part = _part(g, g[t], item)
    if part is None:
        # NumPy 2.4 gives an error that it has not set.
        return None
    shapes = ((), part.shape)
    value = g.number() if g.rng.random() < 0.3 else g.pick(lambda v: v.dtype.kind == "f" and v.shape in shapes)
    return None if g.is_complex(value) else g.statement(f"np.add.at({t}, np.s_[{item}], {value})", t)


def in_place(g: Growing) -> Step | None:
    t = g.pick(written=True)
    y = g.partner(g[t])
    operator = g.rng.choice(["+=", "-=", "*=", "/=", "+=", "*="])
    if g.is_complex(t, y):
        operator = "+="
    return g.statement(f"{t} {operator} {y}", t)


def take(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.ndim > 0 and a.size > 0)
    a = g[x]
    choice = g.rng.random()
    if choice < 0.4:
        axis = g.rng.randrange(a.ndim)
        mode = g.rng.choice(["", "", ", mode='wrap'", ", mode='clip'"])
        return g.step(f"np.take({x}, {_positions(g, a.shape[axis], (2,))}, axis={axis}{mode})")
    if choice < 0.55:
        axis = g.rng.randrange(a.ndim)
        shape = tuple(2 if i == axis else n for i, n in enumerate(a.shape))
        positions = np.array([g.rng.randrange(a.shape[axis]) for _ in range(int(np.prod(shape)))]).reshape(shape)
        return g.step(f"np.take_along_axis({x}, {literal(positions)}, axis={axis})")
    if choice < 0.7:
        axis = g.rng.randrange(a.ndim)
        return g.step(
            f"np.compress({literal(data.array(g.rng, (a.shape[axis],), np.dtype(bool), False))}, {x}, axis={axis})"
        )
    if choice < 0.8:
        return g.step(f"np.extract({g.mask(a.shape)}, {x})")
    if a.ndim < 2:
        return g.step(f"np.diag({x}, {g.integer(-2, 2)})")
    name = g.rng.choice(["diagonal", "trace", "tril", "triu"])
    return g.step(f"np.{name}({x}, {g.integer(-2, 2)})") if name != "trace" else None


MAKERS: list[tuple[Maker, int]] = [(read, 16), (read_by_value, 3), (write, 9), (add_at, 4), (in_place, 5), (take, 4)]
