"""Nested lists, tuples and dicts of arrays: taken apart into a flat list and put together again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

# The structure of a container: LEAF, or (type, keys or None, structures of the parts).
LEAF = "leaf"
Structure = Any


def is_container(value: Any) -> bool:
    """Whether a value has parts: a list, tuple (also a named one) or dict."""
    return isinstance(value, (list, tuple, dict))


def flatten(value: Any) -> tuple[list[Any], Structure]:
    """The leaves of nested containers in order, and the structure to put them back into. Dicts keep their order."""
    if not isinstance(value, (list, tuple, dict)):
        return [value], LEAF
    if isinstance(value, dict):
        keys: Any = tuple(value)
        parts: Any = value.values()
    else:
        keys, parts = None, value
    leaves: list[Any] = []
    structures = []
    for part in parts:
        below, structure = flatten(part)
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
    if hasattr(kind, "_fields"):
        return kind(*parts)
    return kind(parts)


def transform(function: Callable[[Any], Any], value: Any) -> Any:
    """A container of the same structure with ``function`` applied to each leaf."""
    if not isinstance(value, (list, tuple, dict)):
        return function(value)
    leaves, structure = flatten(value)
    return unflatten(structure, iter([function(leaf) for leaf in leaves]))
