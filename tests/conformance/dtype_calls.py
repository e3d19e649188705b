"""Calls for the sweep over dtypes: functions of one or two arrays with every keyword, right and wrong ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from autodiff.dispatch import UFUNCS

Call = Callable[..., Any]


def calls(
    function: Any, arguments: Iterable[tuple[Any, ...]] = ((),), keywords: Iterable[Any] = ({},)
) -> dict[str, Call]:
    """``function(x, *arguments, **keywords)`` for all of these, by what they are."""
    name = function if isinstance(function, str) else function.__name__
    return {
        f"{name}(x, {', '.join([*map(repr, given), *[f'{k}={v!r}' for k, v in named.items()]])})": _call(
            function, given, named
        )
        for given, named in itertools.product(arguments, keywords)
    }


def _call(function: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Call:
    if isinstance(function, str):
        return lambda x: getattr(x, function)(*given, **named)
    return lambda x: function(x, *given, **named)


def each(key: str, *values: Any) -> list[dict[str, Any]]:
    return [{key: value} for value in values]


def ones(*values: Any) -> list[tuple[Any, ...]]:
    return [(value,) for value in values]


AXES = each("axis", None, 0, -1, 1, (0, 1), (), (0, 0), 1.0)
KEPT = [{"keepdims": True}, {"axis": 0, "keepdims": True}]
IN = each("dtype", "i4", "f4", "f8", "c8", "u1", "f2", int, complex, "?", "zz")
MASKED = each("where", True, False, np.True_, [True, False, True])
STARTS = each("initial", 2, 1.5, np.float32(2.5), -1, True, 2j, 300, None)
FREE = each("ddof", 1, 1.0, np.int64(1), np.float32(1), 0.5, 3, "a")

REDUCTIONS: dict[str, Call] = {}
for _function, _keywords in {
    np.sum: [*AXES, *KEPT, *IN, *MASKED, *STARTS],
    np.prod: [*AXES, *KEPT, *IN, *MASKED, *STARTS],
    np.mean: [*AXES, *KEPT, *IN, *MASKED],
    np.var: [*AXES, *KEPT, *IN, *MASKED, *FREE, {"correction": 1}, {"where": [True, False, True], "ddof": 1}],
    np.std: [*AXES, *KEPT, *IN, *MASKED, *FREE],
    np.max: [*AXES, *KEPT, *STARTS, *MASKED, {"where": [True, False, True], "initial": 1}],
    np.min: [*AXES, *KEPT, *STARTS, *MASKED, {"where": [True, False, True], "initial": 1}],
    np.ptp: [*AXES, *KEPT],
    np.all: [*AXES, *KEPT, *MASKED],
    np.any: [*AXES, *KEPT, *MASKED],
    np.count_nonzero: [*AXES, *KEPT],
    np.argmax: [*AXES[:4], *KEPT],
    np.argmin: [*AXES[:4], *KEPT],
    np.cumsum: [*AXES[:4], *IN],
    np.cumprod: [*AXES[:4], *IN],
    np.sort: [*AXES[:4], {"kind": "stable"}],
    np.argsort: [{"stable": True}, {"axis": 0, "stable": True}],
    np.median: [*AXES[:4], *KEPT],
    np.nansum: [*AXES[:6], *KEPT, {"dtype": "f4"}],
    np.nanmax: [*AXES[:6], *KEPT],
}.items():
    REDUCTIONS |= calls(_function, keywords=[{}, *_keywords])

SHAPES = [(), (-1,), (3,), (1, 3), (2, -1), (-1, -1), 6, -1, (0,), (0, -1), (7,), 2.0, "a"]
ORDERS = [None, 0, 1, -1, 2, -2, 3, 0.5, np.inf, -np.inf, "fro", "x"]
PAIRS = [(0, 1), (0, 0), (0, -1), (1, 2), (-1, 0)]
PERMUTATIONS = ones(None, 0, (0,), (1, 0), (0, 0), (-1, 0), 1, (0, 1, 2))
COUNTS = ones(0, 1, 2, 3, -1)
WIDTHS = [0, 1, (1, 2), ((1, 2), (0, 1)), -1, 1.0, (1, 2, 3)]
POSITIONS = [
    0,
    -1,
    1,
    5,
    -4,
    [0, -1],
    [[0], [0]],
    [True, False],
    np.array([True]),
    [],
    np.uint8([0]),
    np.array(0),
    True,
]
BOUNDS = [(0, 1), (None, 1), (0, None), (-1.5, 1.5), (None, None), (2, 1), (0, 300), (-1, 2), (np.float32(0.5), None)]

ARRANGING: dict[str, Call] = {
    **calls(np.reshape, ones(*SHAPES), [{}, {"order": "F"}]),
    **calls(np.broadcast_to, ones(*SHAPES)),
    **calls(np.zeros_like, keywords=each("shape", *SHAPES) + each("dtype", "f2", "u1", "?", "c8", "zz")),
    **calls(np.ravel, ones("C", "F", "A", "K", "Z")),
    **calls(np.transpose, PERMUTATIONS),
    **calls("transpose", PERMUTATIONS),
    **calls(np.permute_dims, PERMUTATIONS),
    **calls(np.squeeze, keywords=AXES),
    **calls(np.expand_dims, keywords=AXES),
    **calls(np.flip, keywords=AXES[:7]),
    **calls(np.linalg.norm, ones(*ORDERS), [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)}]),
    **calls(np.swapaxes, PAIRS),
    **calls(np.moveaxis, PAIRS),
    **calls(np.rollaxis, PAIRS),
    **calls(np.diagonal, [(0, *pair) for pair in PAIRS]),
    **calls(np.trace, [(1, *pair) for pair in PAIRS], [{}, {"dtype": "i4"}]),
    **calls(np.rot90, [(1, pair) for pair in PAIRS]),
    **calls(np.roll, itertools.product([0, 1, -1, 4, (1,), (1, 2), np.int64(2)], [None, 0, -1, 1, (0,), (0, 1)])),
    **calls(np.tile, ones(2, 0, 1, (2,), (2, 3), (2, 1, 2), [], np.int64(2), 2.0)),
    **calls(np.repeat, itertools.product([2, 0, 1, -1, (2,), (2, 1, 2), []], [None, 0, -1, 1])),
    **calls(np.diff, COUNTS, [{}, {"axis": 0}, {"prepend": 0}, {"append": 1.5}]),
    **calls(np.diag, COUNTS),
    **calls(np.array_split, COUNTS[1:4], [{}, {"axis": -1}]),
    **calls(np.split, ones(1, 3, [1], [-1, 1], [5], [1.5])),
    **calls(np.round, COUNTS),
    **calls(np.pad, itertools.product(WIDTHS, ["constant", "edge", "reflect", "symmetric", "wrap"])),
    **calls(
        np.take,
        ones(*POSITIONS),
        [{"axis": a, "mode": m} for a in (None, 0, -1, 1) for m in ("raise", "wrap", "clip", "q")],
    ),
    **calls(np.clip, BOUNDS),
    **calls("clip", BOUNDS),
    **calls(np.full_like, ones(0, 2, 300, -1, 1.5, True, np.float32(1.5), 2**40)),
    **calls("astype", ones("f2", "f4", "f8", "i1", "u1", "i4", "?", "zz")),
    **{f.__name__: f for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d, np.fliplr, np.flipud, np.angle, np.sinc)},
    **{f.__name__: f for f in (np.real, np.imag, np.copy, np.ones_like, np.matrix_transpose)},
}


def _choosing(value: Any) -> dict[str, Call]:
    def written(part: Any) -> Call:
        def write(x: Any) -> Any:
            y = np.copy(x)
            y[part] = value
            return y

        return write

    return {
        f"where(mask, x, {value!r})": lambda x: np.where([True, False, True], x, value),
        f"where({value!r}, x)": lambda x: np.where(x, value, x),
        f"append(x, {value!r})": lambda x: np.append(x, value),
        f"hstack([x, {value!r}])": lambda x: np.hstack([x, value]),
        f"select({value!r})": lambda x: np.select([x != 0], [x], value),
        f"x[...] = {value!r}": written(Ellipsis),
        f"x[0] = {value!r}": written(0),
        f"x[:, ...] = {value!r}": written((slice(None), Ellipsis)),
    }


for _value in (0, 2, 300, -1, 1.5, 2j, True, np.float32(1.5), np.nan):
    ARRANGING |= _choosing(_value)

# Python's numbers, of any size and sign, and NumPy's, which are not weak.
NUMBERS = [0, 2, -1, 300, 2**40, True, 0.5, -1.5, 1j, -(2**63)]
STRONG = [np.float32(1.5), np.float64(1.5), np.int8(2), np.uint8(3), np.bool_(True), np.complex64(1 + 1j)]
STRONG += [np.array(2, np.int16), np.float16(2), np.longdouble(1.5)]

# SciPy's are there, too, once one of them was met.
NUMPYS = [u for u in UFUNCS if getattr(np, u.__name__, None) is u]
UNARY = [u for u in NUMPYS if u.nin == 1]
BINARY = [u for u in NUMPYS if u.nin == 2 and u.signature is None]


def _beside(ufunc: np.ufunc, number: Any) -> dict[str, Call]:
    return {
        f"{ufunc.__name__}(x, {number!r})": lambda x: ufunc(x, number),
        f"{ufunc.__name__}({number!r}, x)": lambda x: ufunc(number, x),
    }


ELEMENTWISE: dict[str, Call] = {u.__name__: u for u in UNARY}
for _ufunc, _number in itertools.product(BINARY, [*NUMBERS, *STRONG]):
    ELEMENTWISE |= _beside(_ufunc, _number)

PAIRWISE: dict[str, Call] = {
    **{u.__name__: u for u in NUMPYS if u.nin == 2},
    **{f.__name__: f for f in (np.dot, np.vdot, np.inner, np.outer, np.kron, np.concatenate, np.append)},
    "tensordot": lambda a, b: np.tensordot(a, b, 1),
    "einsum ...i,...i": lambda a, b: np.einsum("...i,...i->...", a, b),
    "einsum ij,jk": lambda a, b: np.einsum("ij,jk", a, b),
    "einsum i,j": lambda a, b: np.einsum("i,j->ij", a, b),
    "concatenate": lambda a, b: np.concatenate([a, b], axis=-1),
    "concatenate flat": lambda a, b: np.concatenate([a, b], axis=None),
    "stack": lambda a, b: np.stack([a, b]),
    "vstack": lambda a, b: np.vstack([a, b]),
    "column_stack": lambda a, b: np.column_stack([a, b]),
    "where": lambda a, b: np.where(a, a, b),
    "select": lambda a, b: np.select([a != 0], [b], 2),
    "clip": lambda a, b: np.clip(a, b, b),
    "divmod": divmod,
    "meshgrid": lambda a, b: np.meshgrid(a, b, indexing="ij", sparse=True),
    "broadcast_arrays": lambda a, b: np.broadcast_arrays(a, b),
}
