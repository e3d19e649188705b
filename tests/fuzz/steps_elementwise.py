"""Steps that work element by element: operators, ufuncs with their keywords, choices."""

from __future__ import annotations

import numpy as np

from .growing import COMPLEX_FUNCTION, COMPLEX_PRODUCT, COMPLEX_QUOTIENT, Growing, Maker
from .program import EXACT, Slack, Step, literal

# Correctly rounded, so the same bits whoever computes them.
ROUNDED = ["negative", "positive", "absolute", "fabs", "conjugate", "square", "sqrt", "reciprocal"]
JUMPING = ["sign", "floor", "ceil", "trunc", "rint", "spacing", "isnan", "isinf", "isfinite", "signbit", "logical_not"]
FUNCTIONS = [
    "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan",
    "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "degrees", "radians", "deg2rad", "rad2deg",
]  # fmt: skip
PAIRS = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "fmax", "fmin", "copysign"]
PAIR_FUNCTIONS = ["hypot", "arctan2", "logaddexp", "logaddexp2", "float_power", "power"]
JUMPING_PAIRS = [
    "remainder", "fmod", "floor_divide", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "logical_and", "logical_or", "logical_xor", "heaviside", "nextafter",
]  # fmt: skip
OPERATORS = ["+", "-", "*", "/"]
JUMPING_OPERATORS = ["//", "%", "==", "!=", "<", "<=", ">", ">="]
WHOLE_OPERATORS = ["&", "|", "^", "<<", ">>"]
ULPS = Slack(0, 2)


def unary(g: Growing) -> Step | None:
    x = g.pick()
    name = g.rng.choice([*ROUNDED, *FUNCTIONS, *FUNCTIONS])
    slack = COMPLEX_FUNCTION if g.is_complex(x) else ULPS if name in FUNCTIONS else EXACT
    if name in ("negative", "conjugate", "positive"):
        slack = EXACT
    if name == "square" and g.is_complex(x):
        slack = COMPLEX_PRODUCT
    return g.step(f"np.{name}({x})", slack)


def jumping(g: Growing) -> Step | None:
    x = g.pick()
    # NumPy's spacing of a negative number is negative, but in half precision.
    name = g.rng.choice([n for n in JUMPING if n != "spacing" or g[x].dtype != np.float16])
    return g.step(f"np.{name}({x})", COMPLEX_FUNCTION if g.is_complex(x) else EXACT, jumps=True)


def _slack(g: Growing, name: str, x: str, y: str) -> Slack:
    if name in PAIR_FUNCTIONS or name == "**":
        # Complex powers are exponentials of logarithms, which may be 700.
        return Slack(8, 1500) if g.is_complex(x, y) else ULPS
    if g.is_complex(x, y):
        if name in ("multiply", "*"):
            return COMPLEX_PRODUCT
        if name in ("divide", "/"):
            return COMPLEX_QUOTIENT
    return EXACT


def binary(g: Growing) -> Step | None:
    x = g.pick()
    y = g.partner(g[x])
    if g.rng.random() < 0.4:
        x, y = y, x
    choice = g.rng.random()
    if choice < 0.55:
        name = g.rng.choice(OPERATORS)
        return g.step(f"{x} {name} {y}", _slack(g, name, x, y))
    if choice < 0.75:
        name = g.rng.choice(PAIRS)
        return g.step(f"np.{name}({x}, {y})", _slack(g, name, x, y))
    if choice < 0.85:
        name = g.rng.choice(PAIR_FUNCTIONS)
        return g.step(f"np.{name}({x}, {y})", _slack(g, name, x, y))
    if choice < 0.93:
        return g.step(f"{x} {g.rng.choice(JUMPING_OPERATORS)} {y}", jumps=True)
    return g.step(f"np.{g.rng.choice(JUMPING_PAIRS)}({x}, {y})", jumps=True)


def remaining(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.dtype.kind != "c")
    y = g.partner(g[x])
    form = g.rng.choice(["np.remainder({x}, {y})", "np.fmod({x}, {y})", "{x} % {y}", "np.divmod({x}, {y})[1]"])
    return g.step(form.format(x=x, y=y), jumps=True)


def power(g: Growing) -> Step | None:
    # An ndarray's ** takes np.square for the exponent 2, which gives int8 for booleans; np.power gives int64.
    x = g.pick(lambda a: a.dtype.kind != "b")
    if g.rng.random() < 0.8:
        y = g.rng.choice(
            ["0", "1", "2", "2", "3", "4", "-1", "-2", "0.5", "1.5", "-0.5", "7", g.integer(-3, 6), g.number()]
        )
    else:
        y = g.partner(g[x])
    exact = y in ("1", "2", "0.5") and not g.is_complex(x)
    return g.step(f"{x} ** {y}", EXACT if exact else _slack(g, "**", x, y))


def whole(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.dtype.kind in "biu")
    y = g.pick(lambda a: a.dtype.kind in "biu" and (a.shape == g[x].shape or not a.ndim))
    if g.rng.random() < 0.3:
        y = g.integer(0, 5)
    choice = g.rng.random()
    if choice < 0.6:
        return g.step(f"{x} {g.rng.choice(WHOLE_OPERATORS)} {y}")
    if choice < 0.8:
        return g.step(f"np.{g.rng.choice(['gcd', 'lcm'])}({x}, {y})")
    return g.step(f"~{x}")


def scaled_chain(g: Growing) -> Step | None:
    """Numbers one after the other, which a rewriting may be tempted to gather."""
    x = g.pick(lambda a: a.dtype.kind in "iuf")
    numbers = [g.number() for _ in range(g.rng.randint(2, 4))]
    if g.is_complex(*numbers):
        return None
    text = x
    for n in numbers:
        text = f"({text} {g.rng.choice('***/+-')} {n})"
    return g.step(text)


def sums_of_terms(g: Growing) -> Step | None:
    """The user's own order of additions, with terms that come back."""
    x = g.pick(lambda a: a.dtype.kind in "fiu")
    y = g.pick(lambda a: a.shape == g[x].shape and a.dtype.kind in "fiu")
    forms = [
        "({x} + {y}) - {x}", "({x} + {y}) + {x}", "{x} - ({x} - {y})", "({x} - {y}) - {x}", "({x} + {y}) - {y}",
        "({x} * {y}) / {y}", "({x} / {y}) * {y}", "0 - {x}", "0.0 + {x}", "{x} - 0", "1 * {x}", "-(-{x})", "{x} * -1",
        "-({x} - {y})", "(-{x}) * (-{y})", "{x} + {x}", "{x} - {x}", "{x} * 0", "{x} / {x}", "{x} / 1",
        "1.0 / (1.0 / {x})",
        "({x} * {y}) * {x}", "{x} * 2 + {x} * 3", "({x} + {y}) * 2 - {x} * 2", "abs(-{x})", "-abs({x})",
    ]  # fmt: skip
    return g.step(g.rng.choice(forms).format(x=x, y=y))


def with_keywords(g: Growing) -> Step | None:
    """``dtype=`` and ``out=`` with ``where=`` of a ufunc."""
    x = g.pick(lambda a: a.dtype.kind in "fc")
    if g.rng.random() < 0.4:
        kind = g.rng.choice(["float64", "float32", "complex128"])
        name = g.rng.choice(["add", "multiply", "subtract"])
        slack = COMPLEX_PRODUCT if kind == "complex128" or g.is_complex(x) else EXACT
        return g.step(f"np.{name}({x}, {g.partner(g[x])}, dtype='{kind}')", slack)
    target = g.pick(lambda a: a.shape == g[x].shape and a.dtype.kind in "fc", written=True)
    name = g.rng.choice(["exp", "negative", "sin", "square", "add", "multiply", "maximum", "subtract"])
    slack = COMPLEX_FUNCTION if g.is_complex(x, target) else ULPS if name in ("exp", "sin") else EXACT
    y = f", {g.partner(g[x])}" if name in ("add", "multiply", "maximum", "subtract") else ""
    if y and "complex" in y:
        return None
    where = f", where={g.mask(g[x].shape)}" if g.rng.random() < 0.5 else ""
    return g.statement(f"np.{name}({x}{y}, out={target}{where})", target, slack)


def choosing(g: Growing) -> Step | None:
    x = g.pick()
    y = g.partner(g[x])
    choice = g.rng.random()
    if choice < 0.5:
        if g.rng.random() < 0.5:
            return g.step(f"np.where({g.mask(g[x].shape)}, {x}, {y})")
        z = g.pick(lambda a: a.shape == g[x].shape and a.dtype.kind != "c")
        return g.step(
            f"np.where({z} {g.rng.choice(['>', '<=', '==', '!='])} {g.number(0.1)}, {x}, {y})", jumps=not g.exact[z]
        )
    if choice < 0.75:
        bounds = [g.rng.choice(["None", g.number(), g.number()]), g.rng.choice(["None", g.number(), g.partner(g[x])])]
        if bounds == ["None", "None"] or g.is_complex(x, *bounds):
            return None
        return g.step(g.rng.choice(["np.clip({}, {}, {})", "{}.clip({}, {})"]).format(x, *bounds))
    if choice < 0.9:
        mask = g.mask(g[x].shape)
        other = g.mask(g[x].shape)
        return g.step(f"np.select([{mask}, {other}], [{x}, {y}], {g.number()})")
    # Complex ones are refused by a documented error.
    return None if g.is_complex(x) else g.step(f"np.nan_to_num({x})", jumps=not g.exact[x])


def parts(g: Growing) -> Step | None:
    x = g.pick()
    real = not g.is_complex(x)
    forms = [
        "np.real({x})",
        "np.imag({x})",
        "np.conj({x})",
        "{x}.real",
        "+{x}",
        "-{x}",
        "{x}.copy()" if False else "+{x}",
    ]
    jumps = ["np.round({x})", "np.round({x}, {n})", "np.modf({x})[0]", "np.modf({x})[1]", "np.frexp({x})[0]",
             "np.frexp({x})[1]", "np.divmod({x}, {y})[0]", "np.divmod({x}, {y})[1]"]  # fmt: skip
    if g.rng.random() < 0.5 or not real:
        if g.rng.random() < 0.2:
            return g.step(f"np.angle({x})", Slack(4, 4))
        return g.step(g.rng.choice(forms).format(x=x))
    if g.rng.random() < 0.2 and g[x].dtype != np.float16:  # in half precision pi has three digits
        return g.step(f"np.sinc({x})", Slack(4, 8))
    if g.rng.random() < 0.2:
        return g.step(f"np.ldexp({x}, {g.integer(-5, 5)})")
    return g.step(g.rng.choice(jumps).format(x=x, n=g.integer(-1, 3), y=g.partner(g[x])), jumps=True)


def converting(g: Growing) -> Step | None:
    x = g.pick()
    value = g[x]
    names = ["float64", "float32", *([] if g.tame else ["float16"])] + (
        ["complex64", "complex128"] if value.dtype.kind == "c" else []
    )
    if value.dtype.kind in "biu":
        names += ["int8", "int64", "uint8", "bool", "int32"]
    elif value.dtype.kind == "f" and value.size and np.all(np.abs(value) < 100):
        names += ["int64", "int16"]
    if value.dtype.kind != "c" and g.rng.random() < 0.1:
        names = ["complex128", "complex64"]
    name = g.rng.choice(names)
    return g.step(f"{x}.astype('{name}')", jumps=name.startswith(("int", "uint", "bool")))


MAKERS: list[tuple[Maker, int]] = [
    (unary, 14), (jumping, 3), (binary, 24), (remaining, 2), (power, 7), (whole, 3), (scaled_chain, 5),
    (sums_of_terms, 5),
    (with_keywords, 5), (choosing, 7), (parts, 5), (converting, 4),
]  # fmt: skip

__all__ = ["MAKERS", "literal"]
