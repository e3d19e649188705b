"""Steps that move elements: shapes, joining, repeating, padding."""

from __future__ import annotations

import math

from .growing import Growing, Maker
from .program import Step


def _factored(g: Growing, size: int) -> str:
    if not size:
        return g.rng.choice(["(0,)", "(0, 2)", "(2, 0)"])
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    first = g.rng.choice(divisors)
    rest = size // first
    second = g.rng.choice([d for d in range(1, rest + 1) if rest % d == 0])
    shape = g.rng.choice([[first, rest], [first, second, rest // second], [size]])
    if g.rng.random() < 0.3:
        shape[g.rng.randrange(len(shape))] = -1
    return repr(tuple(shape))


def shape(g: Growing) -> Step | None:
    x = g.pick()
    a = g[x]
    axes = list(range(a.ndim))
    g.rng.shuffle(axes)
    some = g.axis(a, several=False, none=False)
    other = g.axis(a, several=False, none=False)
    forms = [
        f"np.reshape({x}, {_factored(g, a.size)})",
        f"{x}.reshape({_factored(g, a.size)})",
        f"np.ravel({x})",
        f"{x}.T",
        f"np.transpose({x}, {tuple(axes)})",
        f"np.swapaxes({x}, {some}, {other})",
        f"np.moveaxis({x}, {some}, {other})",
        f"np.expand_dims({x}, {g.rng.choice([0, -1, g.rng.randint(0, a.ndim), (0, -1)])})",
        f"np.squeeze({x})",
        f"np.broadcast_to({x}, {(g.rng.randint(1, 2), *a.shape)})",
        f"np.atleast_{g.rng.randint(1, 3)}d({x})",
        f"np.flip({x}, {g.axis(a)})",
        f"np.rollaxis({x}, {some})",
        f"{x}.flatten()",
    ]
    if a.ndim >= 2:
        forms += [f"np.rot90({x}, {g.integer(-3, 4)})", f"np.fliplr({x})", f"np.matrix_transpose({x})", f"{x}.mT"]
    return g.step(g.rng.choice(forms))


def move(g: Growing) -> Step | None:
    x = g.pick()
    a = g[x]
    axis = g.axis(a, several=False)
    if a.size > 60:
        return g.step(f"np.roll({x}, {g.integer(-4, 4)}, axis={axis})")
    choice = g.rng.random()
    if choice < 0.35:
        if a.ndim >= 2 and g.rng.random() < 0.3:
            return g.step(f"np.roll({x}, ({g.integer(-3, 3)}, {g.integer(-3, 3)}), axis=(0, -1))")
        if g.rng.random() < 0.15:
            return g.step(f"np.roll({x}, ({g.integer(-3, 3)}, 1))")
        return g.step(f"np.roll({x}, {g.integer(-4, 4)}, axis={axis})")
    if choice < 0.55:
        return g.step(f"np.tile({x}, {g.rng.choice(['2', '(2,)', '(1, 2)', '(2, 1)', g.integer(0, 3), '(2, 1, 1)'])})")
    if choice < 0.75:
        if a.ndim and g.rng.random() < 0.4:
            place = g.rng.randrange(a.ndim)
            return g.step(f"np.repeat({x}, {[g.rng.randint(0, 2) for _ in range(a.shape[place])]}, axis={place})")
        return g.step(f"np.repeat({x}, {g.integer(0, 3)}, axis={axis})")
    if not a.ndim:
        return None
    width = g.rng.choice(["1", "2", "(1, 2)", "((1, 0),)", "(0, 1)"])
    mode = g.rng.choice(["constant", "constant", "edge", "reflect", "symmetric", "wrap"])
    value = f", constant_values={g.number()}" if mode == "constant" and g.rng.random() < 0.5 else ""
    return g.step(f"np.pad({x}, {width}, mode='{mode}'{value})")


def join(g: Growing) -> Step | None:
    x = g.pick()
    a = g[x]
    y = g.pick(lambda b: b.shape == a.shape) if g.rng.random() < 0.7 else g.pick(lambda b: b.ndim == a.ndim)
    axis = g.axis(a, several=False, none=False)
    extra = f", dtype='{g.rng.choice(['float64', 'float32', 'complex128'])}'" if g.rng.random() < 0.1 else ""
    forms = [
        f"np.concatenate([{x}, {y}], axis={axis}{extra})",
        f"np.concatenate(({y}, {x}, {y}), axis={axis})",
        f"np.stack([{x}, {y}], axis={g.integer(-a.ndim - 1, a.ndim)})",
        f"np.vstack([{x}, {y}])",
        f"np.hstack([{x}, {y}])",
        f"np.dstack([{x}, {y}])",
        f"np.column_stack([{x}, {y}])",
        f"np.append({x}, {y})",
        f"np.append({x}, {y}, axis={axis})",
    ]
    return g.step(g.rng.choice(forms))


def split(g: Growing) -> Step | None:
    x = g.pick(lambda b: b.ndim > 0)
    a = g[x]
    axis = g.rng.randrange(a.ndim)
    n = a.shape[axis]
    parts = g.rng.choice([d for d in range(1, max(n, 1) + 1) if n % d == 0])
    cuts = sorted(g.rng.randint(-n - 1, n + 1) for _ in range(2))
    forms = [
        f"np.split({x}, {parts}, axis={axis})[{g.rng.randrange(parts)}]",
        f"np.array_split({x}, {parts + 1}, axis={axis})[{g.rng.randrange(parts + 1)}]",
        f"np.split({x}, {cuts}, axis={axis})[{g.rng.randrange(3)}]",
    ]
    if math.prod(a.shape) and n >= 2:
        forms.append(f"np.lib.stride_tricks.sliding_window_view({x}, 2, axis={axis})")
    return g.step(g.rng.choice(forms))


def filled(g: Growing) -> Step | None:
    x = g.pick()
    n = g.number()
    forms = [
        f"np.zeros_like({x})",
        f"np.ones_like({x})",
        f"np.full_like({x}, {n})",
        f"np.full((2, 2), {g.rng.choice(['0.5', '-0.0', '3', '300', 'True'])}, like={x})",
        f"np.zeros_like({x}, dtype='float32')",
    ]
    return g.step(g.rng.choice(forms[:3] if g.rng.random() < 0.8 else forms))


MAKERS: list[tuple[Maker, int]] = [(shape, 9), (move, 6), (join, 5), (split, 3), (filled, 1)]
