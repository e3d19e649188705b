"""Distributions of ``scipy.stats`` on Tensors: what their methods do beyond the formulas of ``distributions``.

SciPy's distributions are objects, so the methods of their classes are replaced; frozen ones call these.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..nodes import Node
from ..recipe import Composite
from ..tensor import wrap
from . import multivariate
from .arguments import real
from .distributions import CONTINUOUS, DISCRETE, INF, MOMENTS, Formula, Row
from .replacing import replace_method, unsupported

DENSITIES = ("logpdf", "logpmf", "pdf", "pmf")
PROBABILITIES = ("cdf", "sf", "logcdf", "logsf")
QUANTILES = ("ppf", "isf")
OF_SHAPES = ("mean", "var", "std", "median")
OTHERS = ("rvs", "entropy", "moment", "stats", "interval", "support", "expect", "fit", "fit_loc_scale", "nnlf")


def formula(row: Row, method: str) -> Formula | None:
    """What a method computes inside of the support."""
    if method in ("logpdf", "logpmf"):
        return row.log
    own: Formula | None = getattr(row, method, None)
    if own is not None:
        return own
    if method in ("pdf", "pmf"):
        return lambda x, *shapes: ops.exp(row.log(x, *shapes))
    if method in ("logcdf", "logsf"):
        plain = formula(row, method[3:])
        return plain and (lambda x, *shapes: ops.log(plain(x, *shapes)))
    if method == "isf" and row.ppf is not None:
        ppf = row.ppf
        return lambda q, *shapes: ppf(1 - q, *shapes)
    return None


def _ends(row: Row, shapes: tuple[Node, ...]) -> list[Any]:
    return [end(*shapes) if callable(end) else end for end in row.support]


def _all(conditions: Sequence[Any]) -> Any:
    """Whether all conditions hold; True if there are none."""
    found: Any = True
    for condition in conditions:
        if condition is not True and condition is not None:
            found = condition if found is True else ops.logical_and(found, condition)
    return found


def _choose(condition: Any, x: Any, y: Any) -> Any:
    """One or the other; the first if the condition is True."""
    return x if condition is True else ops.where(condition, x, y)


def _valid(row: Row, shapes: tuple[Node, ...], scale: Node | None) -> tuple[Any, tuple[Node, ...], Node | None]:
    """Whether parameters are valid, and those that are, with valid ones in the place of others."""
    valid = _all([row.valid(*shapes) if shapes else None, None if scale is None else ops.less(0, scale)])
    safe = tuple([_choose(valid, x, sample) for x, sample in zip(shapes, row.sample, strict=False)])
    return valid, safe, None if scale is None else _choose(valid, scale, 1)


def _of_values(row: Row, method: str, x: Node, shapes: tuple[Node, ...], loc: Node | None, scale: Node | None) -> Node:
    """Densities and probabilities."""
    inner = formula(row, method)
    assert inner is not None
    valid, shapes, scale = _valid(row, shapes, scale)
    x = x if loc is None else x - loc
    x = x if scale is None else x / scale
    low, high = _ends(row, shapes)
    density, is_log = method in DENSITIES, method[:3] == "log"
    if row.discrete:
        # Only integers have a probability, and between two of them nothing changes.
        at: Node = ops.floor(x) if not density else ops.stop_gradient(x)
        within: list[Any] = [ops.less_equal(low, x), ops.less_equal(x, high) if density else ops.less(x, high)]
        within.append(ops.equal(ops.floor(x), x) if density else ops.isfinite(x))
    else:
        at, compare = x, ops.less_equal if density and row.ends else ops.less
        within = [None if low == -INF else compare(low, x), None if high == INF else compare(x, high)]
        within += [ops.isfinite(x)]
    inside = _all(within)
    safe = row.inside(*shapes) if callable(row.inside) else row.inside
    found = inner(_choose(inside, at, safe), *shapes)
    if density and scale is not None:
        found = found - ops.log(scale) if is_log else found / scale
    nothing, everything = (-math.inf, 0.0) if is_log else (0.0, 1.0)
    if density:
        found = _choose(inside, found, nothing)
    else:
        above = ops.less_equal(high, x)
        first, second = (everything, nothing) if method.endswith("cdf") else (nothing, everything)
        found = ops.where(inside, found, ops.where(above, first, second))
    result: Node = _choose(_all([valid, ops.equal(x, x)]), found, math.nan)
    return result


def _of_quantiles(
    row: Row, method: str, q: Node, shapes: tuple[Node, ...], loc: Node | None, scale: Node | None
) -> Node:
    inner = formula(row, method)
    assert inner is not None
    valid, shapes, scale = _valid(row, shapes, scale)
    inside = ops.logical_and(ops.less(0, q), ops.less(q, 1))
    found = inner(ops.where(inside, q, 0.5), *shapes)
    low, high = _ends(row, shapes)
    first, last = (low, high) if method == "ppf" else (high, low)
    found = ops.where(inside, found, ops.where(ops.equal(q, 0), first, ops.where(ops.equal(q, 1), last, math.nan)))
    if scale is not None:
        found = found * scale
    result: Node = _choose(valid, found if loc is None else found + loc, math.nan)
    return result


def _of_shapes(
    name: str, row: Row, method: str, shapes: tuple[Node, ...], loc: Node | None, scale: Node | None
) -> Node:
    whole = ops.broadcast_shapes(name, tuple([x.aval for x in (*shapes, loc, scale) if x is not None]))
    valid, shapes, scale = _valid(row, shapes, scale)
    mean, variance = MOMENTS[name]
    if method == "mean":
        found = mean(*shapes)
        found = found if scale is None else found * scale
        found = found if loc is None else found + loc
    else:
        found = variance(*shapes) if method == "var" else ops.sqrt(variance(*shapes))
        for _ in range(0 if scale is None else 2 if method == "var" else 1):
            found = found * scale
    return ops.broadcast_to(_choose(valid, found, math.nan), whole)


@functools.cache
def _composite(name: str, method: str, count: int, has_loc: bool, has_scale: bool) -> Composite:
    """What a method records, as a function of nodes."""
    row = CONTINUOUS.get(name) or DISCRETE[name]

    def record(*nodes: Node) -> Node:
        rest = list(nodes)
        scale = rest.pop() if has_scale else None
        loc = rest.pop() if has_loc else None
        if method in OF_SHAPES:
            return _of_shapes(name, row, method, tuple(rest), loc, scale)
        x, *shapes = rest
        function = _of_quantiles if method in QUANTILES else _of_values
        return function(row, method, x, tuple(shapes), loc, scale)

    return Composite(record)


def _default(value: Any, number: int) -> bool:
    return type(value) is int and value == number


def _record(names: dict[type, str], method: str, dist: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a method of a distribution gives for Tensors."""
    if method == "median":
        return _record(names, "ppf", dist, (0.5, *args), kwargs)
    name = names.get(type(dist))
    if name is None:
        raise unsupported(f"scipy.stats.{dist.name}.{method}", "no method of this distribution is")
    row = CONTINUOUS.get(name) or DISCRETE[name]
    if method in OTHERS or (method in OF_SHAPES and name not in MOMENTS):
        raise unsupported(
            f"scipy.stats.{name}.{method}", "logpdf, cdf and their like are, and mean and var of some distributions"
        )
    if method not in OF_SHAPES and (formula(row, method) is None or (method in QUANTILES and row.discrete)):
        raise unsupported(f"scipy.stats.{name}.{method}", "SciPy finds it by a search")
    values = []
    if method not in OF_SHAPES:
        if not args:
            kwargs = dict(kwargs)
            args = (kwargs.pop(next(key for key in ("x", "q", "k") if key in kwargs)),)
        values, args = [args[0]], args[1:]
    shapes, loc, scale = dist._parse_args(*args, **kwargs)
    has_loc, has_scale = not _default(loc, 0), not _default(scale, 1)
    values += [*shapes, *([loc] if has_loc else []), *([scale] if has_scale else [])]
    nodes = [real(x, f"scipy.stats.{name}.{method}") for x in values]
    return wrap(_composite(name, method, len(shapes), has_loc, has_scale)(*nodes))


def register(module: Any) -> None:
    """Replace methods of the classes of distributions."""
    names = {type(getattr(module, name)): name for name in (*CONTINUOUS, *DISCRETE) if hasattr(module, name)}
    owners = {*module.rv_continuous.__mro__, *module.rv_discrete.__mro__} - {object}
    for owner in owners:
        for method in (*DENSITIES, *PROBABILITIES, *QUANTILES, *OF_SHAPES, *OTHERS):
            if method in vars(owner):
                replace_method(owner, method, functools.partial(_record, names, method))
    multivariate.register(module)
