"""Nested lists, tuples and dicts of arrays: taken apart into a flat list and put together again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from .errors import ArgumentError
from .static_keys import static_key

# How deep containers may be nested. One that contains itself is nested without end.
DEEPEST = 200

# The structure of a container: LEAF, or (type, keys or None, structures of the parts).
LEAF = "leaf"
Structure = Any


def is_container(value: Any) -> bool:
    """Whether a value has parts: a list, tuple (also a named one) or dict."""
    return isinstance(value, (list, tuple, dict))


class _Keys(tuple[Any, ...]):
    """Keys of a dict that equal others only if their types do, too: 1 is not True."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is _Keys and static_key(tuple(self)) == static_key(tuple(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(static_key(tuple(self)))


def flatten(value: Any, depth: int = 0) -> tuple[list[Any], Structure]:
    """The leaves of nested containers in order, and the structure to put them back into. Dicts keep their order.

    Raises
    ------
    ArgumentError
        If they are nested too deep, or one contains itself.
    """
    if not is_container(value):
        return [value], LEAF
    if depth == DEEPEST:
        raise ArgumentError(
            f"a {type(value).__name__} is nested in more than {DEEPEST} lists, tuples and dicts, or contains itself; "
            "give flat lists of arrays"
        )
    if isinstance(value, dict):
        keys: Any = tuple(value)
        if not all(type(key) is str for key in keys):
            keys = _Keys(keys)
        parts: Any = value.values()
    else:
        keys, parts = None, value
    leaves: list[Any] = []
    structures = []
    for part in parts:
        below, structure = flatten(part, depth + 1)
        leaves += below
        structures.append(structure)
    return leaves, (type(value), keys, tuple(structures))


def unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    """The container of this structure with these leaves."""
    if structure is LEAF:
        return next(leaves)
    kind, keys, structures = structure
    parts = [unflatten(s, leaves) for s in structures]
    if keys is not None:
        items = zip(keys, parts, strict=True)
        # A subclass may have any constructor; what it holds is what matters.
        return kind(items) if kind in (dict, OrderedDict) else dict(items)
    return maker(kind)(parts)


def maker(kind: type) -> Callable[[Sequence[Any]], Any]:
    """What makes a list or a tuple, also a named one, of a sequence."""
    return getattr(kind, "_make", kind)


def builder(structure: Structure) -> Callable[[Sequence[Any]], Any]:
    """A function that puts a sequence of leaves into this structure: ``unflatten`` for one that is used often."""
    keys: list[Any] = []

    def text(part: Structure, numbers: Iterator[int]) -> str:
        if part is LEAF:
            return f"leaves[{next(numbers)}]"
        kind, names, parts = part
        words = [text(p, numbers) for p in parts]
        if kind is tuple:
            return f"({''.join(f'{w}, ' for w in words)})"
        if kind is list:
            return f"[{', '.join(words)}]"
        if kind is dict:
            keys.extend(names)
            first = len(keys) - len(names)
            return f"{{{', '.join(f'keys[{first + i}]: {w}' for i, w in enumerate(words))}}}"
        raise TypeError(kind)

    try:
        # Only places of leaves and keys are written into the expression.
        function: Callable[[Sequence[Any]], Any] = eval(f"lambda leaves: {text(structure, count())}", {"keys": keys})
    except (TypeError, SyntaxError, MemoryError):
        # Of another type, or nested deeper than Python's parser goes.
        return lambda leaves: unflatten(structure, iter(leaves))
    return function


def transform(function: Callable[[Any], Any], value: Any) -> Any:
    """A container of the same structure with ``function`` applied to each leaf."""
    if not is_container(value):
        return function(value)
    leaves, structure = flatten(value)
    return unflatten(structure, iter([function(leaf) for leaf in leaves]))


def leaf_names(structure: Structure) -> list[str]:
    """How each leaf is reached from the container, such as ``[0]['weights']``."""
    if structure is LEAF:
        return [""]
    _, keys, structures = structure
    steps = range(len(structures)) if keys is None else keys
    return [f"[{step!r}]{name}" for step, part in zip(steps, structures, strict=True) for name in leaf_names(part)]
