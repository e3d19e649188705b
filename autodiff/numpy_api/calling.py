"""What handlers share: checks of arguments by name, dtypes, ``out=``, functions of nodes as handlers."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arguments import casts, flag, integer
from ..convert import numeric_dtype
from ..errors import ArgumentError, AutodiffError, DTypeError, ShapeError, UnsupportedError
from ..nodes import Node
from ..plan import on_host
from ..tensor import Tensor, node_of, recording_nothing, wrap
from ..watching import lost_in

Handler = Callable[..., Any]
NOT_GIVEN = object()


def truth(x: Node) -> Node:
    """Which elements are true, as booleans."""
    return x if x.aval.dtype.kind == "b" else ops.not_equal(ops.strong(x), 0)


def mask(where: Any, what: str) -> Any:
    """A mask; True if there is none. Numbers are no truths: NumPy takes them for counts in some functions."""
    if where is True:
        return where
    node = node_of(where)
    if node.aval.dtype.kind != "b":
        raise DTypeError(f"{what}={node.aval!r} must be boolean; write {what.partition(': ')[2]}=(mask != 0)")
    return node


def converted(nodes: Sequence[Node], dtype: Any, casting: Any, name: str) -> list[Node]:
    """Arguments in the dtype asked for, where the casting rule allows it."""
    wanted = numeric_dtype(dtype, f"{name}: dtype")
    for node in nodes:
        # Python numbers are of no size, but of a kind.
        weak = node.aval.weak and ops.holds(wanted, node.aval.dtype)
        if not casts(node.aval.dtype, wanted, casting, name) and not weak:
            raise DTypeError(
                f"{name}: {node.aval!r} does not convert to dtype={wanted} by casting={casting!r}; use .astype"
            )
    return [ops.astype(node, wanted) for node in nodes]


# What NumPy's functions hold some integers in.
C_INT = 2**31 - 1

# What NumPy's functions take under these names, whichever of them it is.
CHECKS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("keepdims", "returned", "include_initial", "sparse", "deg", "subok", "copy", "writeable"), flag),
    **dict.fromkeys(("full_matrices", "compute_uv", "hermitian", "upper"), flag),
    **dict.fromkeys(("decimals", "offset", "k"), functools.partial(integer, low=-C_INT, high=C_INT)),
    "start": integer,
    "n": integer,
    "where": mask,
}

# Functions in which one of these names has another meaning, and which check what they take themselves.
OWN_NAMES: frozenset[Any] = frozenset((np.polyint, np.polyfit, np.linspace, np.logspace, np.geomspace, np.emath.logn))


def checked(function: Any, handler: Handler, checks: dict[str, Callable[[Any, str], Any]] = CHECKS) -> Handler:
    """The handler, for arguments as it expects them; an error naming NumPy's function for all others."""
    name = function.__name__
    rules: list[Any] | None = None

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal rules
        if rules is None:
            rules = [] if function in OWN_NAMES else _checks(handler, checks)
        try:
            for key, place, default, check in rules:
                if key in kwargs:
                    value = kwargs[key]
                elif place < len(args):
                    value = args[place]
                else:
                    continue
                if value is not default:
                    value = default if value is np._NoValue else check(value, f"{name}: {key}")
                    if key in kwargs:
                        kwargs[key] = value
                    else:
                        args = (*args[:place], value, *args[place + 1 :])
            return handler(*args, **kwargs)
        except AutodiffError as error:
            error.within(name)
            raise
        except TypeError:
            signature = _signature(handler)
            try:
                signature.bind(*args, **kwargs)
            except TypeError as wrong:
                written = ", ".join(map(_written, signature.parameters.values()))
                raise UnsupportedError(f"{name}: {wrong}; Tensors take {name}({written})") from None
            raise

    return call


def _checks(
    handler: Handler, checks: dict[str, Callable[[Any, str], Any]]
) -> list[tuple[str, int, Any, Callable[[Any, str], Any]]]:
    """Of those of its parameters that have a check: name, place, default, check."""
    return [
        (p.name, sys.maxsize if p.kind is p.KEYWORD_ONLY else place, p.default, checks[p.name])
        for place, p in enumerate(_signature(handler).parameters.values())
        if p.name in checks
    ]


def _signature(handler: Handler) -> inspect.Signature:
    """The signature of a handler; of one made by ``of_node`` and ``of_two`` that of the function they were given.

    It is found when a call first asks for it: that of every handler is 5 ms of an import.
    """
    function, *arrays = getattr(handler, "made_of", (handler,))
    try:
        signature = inspect.signature(function)
    except ValueError:
        # It wraps a function of C that does not tell its own, as those of older releases of NumPy.
        signature = inspect.signature(function, follow_wrapped=False)
    parameters = list(signature.parameters.values())
    parameters[: len(arrays)] = [p.replace(name=name) for p, name in zip(parameters, arrays, strict=False)]
    return signature.replace(parameters=parameters)


def _written(p: inspect.Parameter) -> str:
    if p.kind is p.VAR_POSITIONAL:
        return f"*{p.name}"
    return p.name if p.default is p.empty else f"{p.name}=..."


def put(out: Any, result: Any, what: str) -> Any:
    """A result, given to the Tensor in ``out`` if there is one."""
    if isinstance(out, tuple):
        if isinstance(result, tuple):
            return tuple([put(o, r, what) for o, r in zip(out, result, strict=True)])
        if len(out) != 1:
            raise ArgumentError(f"{what}: out= has {len(out)} arrays for one result; give a Tensor, or a tuple of one")
        (out,) = out
    if out is None:
        return wrap(result)
    if not isinstance(out, Tensor):
        if type(out) is np.ndarray and recording_nothing():
            return _filled(out, result, what)
        raise lost_in(what, f"out= of type {type(out).__name__}", "x = x + t instead of x += t")
    out._rebind(result, f"{what} with out=")
    return out


def _filled(out: np.ndarray[Any, Any], result: Node, what: str) -> np.ndarray[Any, Any]:
    """An array of NumPy's with a value in it, where no derivative can be lost."""
    try:
        np.copyto(out, on_host(result))
    except TypeError as error:
        raise DTypeError(f"{what} with out=: {error}") from None
    except ValueError as error:
        raise ShapeError(f"{what} with out=: {error}") from None
    return out


def of_node(function: Callable[..., Node]) -> Handler:
    """A function from nodes to a node, with NumPy's order of arguments."""

    def handler(a: Any, *args: Any, **kwargs: Any) -> Any:
        return wrap(function(node_of(a), *args, **kwargs))

    handler.made_of = (function, "a")  # type: ignore[attr-defined]
    return handler


def of_two(function: Callable[..., Node]) -> Handler:
    """A function from two nodes to a node."""

    def handler(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        return wrap(function(node_of(a), node_of(b), *args, **kwargs))

    handler.made_of = (function, "a", "b")  # type: ignore[attr-defined]
    return handler
