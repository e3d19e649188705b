"""Nested containers of arrays: taken apart into a flat list and put together again.

Lists, tuples (also named ones), dicts, dataclasses, and classes that are registered.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any

from .errors import ArgumentError
from .static_keys import static_key
from .tracebacks import boundary

# How deep containers may be nested. One that contains itself is nested without end.
DEEPEST = 200


# The structure of a container: LEAF, or (type, keys or None, structures of the parts). The keys of an object are an
# instance of _Rest.
class _Leaf:
    """There is one, whatever process it comes from."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "leaf"

    def __reduce__(self) -> str:
        return "LEAF"


LEAF = _Leaf()
Structure = Any

# Registered classes: what takes an object apart into its parts and the rest, and what makes one of these.
Apart = Callable[[Any], tuple[Sequence[Any], Any]]
Together = Callable[[Any, Sequence[Any]], Any]
_registered: dict[type, tuple[Apart, Together]] = {}


@boundary
def register_container(kind: type, flatten: Apart, unflatten: Together) -> None:
    """Let instances of a class be containers of arrays, wherever lists, tuples and dicts are.

    Dataclasses are containers of their fields without this. A field with ``metadata={"static": True}`` is no part, but
    belongs to the structure.

    Parameters
    ----------
    kind : type
        The class; instances of subclasses are not meant.
    flatten : callable
        Takes an instance; returns the pair (parts, rest): a sequence of arrays or containers, and what else the
        instance is made of, which has to be hashable.
    unflatten : callable
        Takes rest and parts; returns an instance. The parts may be Tensors, gradients, or anything else.

    Raises
    ------
    ArgumentError
        If ``kind`` is no class, is registered already or is a list, tuple or dict, or if the others are not callable.

    Examples
    --------
    >>> import autodiff as ad
    >>> class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> ad.register_container(Point, lambda p: ((p.x, p.y), None), lambda rest, parts: Point(*parts))
    >>> slopes = ad.grad(lambda p: p.x**2 * p.y)(Point(3.0, 2.0))
    >>> slopes.x, slopes.y
    (12.0, 9.0)
    """
    if not isinstance(kind, type) or issubclass(kind, (list, tuple, dict)):
        raise ArgumentError(
            f"register_container: {kind!r} is no class, or one of lists, tuples or dicts, which are containers anyway"
        )
    if not callable(flatten) or not callable(unflatten):
        raise ArgumentError(f"register_container: flatten and unflatten of {kind.__name__} must be callable")
    if _registered.setdefault(kind, (flatten, unflatten)) != (flatten, unflatten):
        raise ArgumentError(f"register_container: {kind.__name__} is registered already, with other functions")


def is_container(value: Any) -> bool:
    """Whether a value has parts: a list, tuple or dict, a dataclass, or an instance of a registered class."""
    return isinstance(value, (list, tuple, dict)) or _is_object(value)


def _is_object(value: Any) -> bool:
    kind = type(value)
    return kind in _registered or hasattr(kind, "__dataclass_fields__")


class _Rest:
    """What an object is made of beside its parts: equal to that of another one if that has the same type and content.

    ``names`` are those of the parts, as attributes; empty if they have none.
    """

    __slots__ = ("make", "names", "rest")

    def __init__(self, make: Together, names: tuple[str, ...], rest: Any):
        self.make = make
        self.names = names
        self.rest = rest

    def __eq__(self, other: object) -> bool:
        return type(other) is _Rest and (self.names, static_key(self.rest)) == (other.names, static_key(other.rest))

    def __hash__(self) -> int:
        return hash((self.names, static_key(self.rest)))


def _object_parts(value: Any) -> tuple[Sequence[Any], _Rest]:
    """The parts of an object that is a container, and the rest of it."""
    kind = type(value)
    if kind in _registered:
        apart, together = _registered[kind]
        parts, rest = apart(value)
        return parts, _Rest(together, (), rest)
    fields = [field for field in dataclasses.fields(kind) if hasattr(value, field.name)]
    names = tuple([field.name for field in fields if not field.metadata.get("static")])
    static = {field.name: getattr(value, field.name) for field in fields if field.metadata.get("static")}
    return [getattr(value, name) for name in names], _Rest(partial(_dataclass, kind, names), names, static)


def _dataclass(kind: type, names: tuple[str, ...], rest: Any, parts: Sequence[Any]) -> Any:
    """An instance of a dataclass: not by its own __init__, which may do anything to what it is given."""
    made: Any = object.__new__(kind)
    for name, part in [*rest.items(), *zip(names, parts, strict=True)]:
        object.__setattr__(made, name, part)
    return made


def _is_settings(value: Any) -> bool:
    """Whether a value is a dataclass that holds no array: numbers and words that a function is told."""
    if type(value) in _registered or isinstance(value, (list, tuple, dict)):
        return False
    return not any(hasattr(leaf, "dtype") for leaf in flatten(value)[0])


class _Keys(tuple[Any, ...]):
    """Keys of a dict that equal others only if their types do, too: 1 is not True."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is _Keys and static_key(tuple(self)) == static_key(tuple(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(static_key(tuple(self)))


def parts_of(value: Any) -> tuple[Any, Sequence[Any]]:
    """What a container is made of: the keys of its parts, as they stand in a structure, and the parts."""
    if isinstance(value, dict):
        keys: Any = tuple(value)
        if not all(type(key) is str for key in keys):
            keys = _Keys(keys)
        return keys, [*value.values()]
    if isinstance(value, (list, tuple)):
        return None, value
    parts, rest = _object_parts(value)
    return rest, parts


def flatten(value: Any, depth: int = 0, settings: bool = False) -> tuple[list[Any], Structure]:
    """The leaves of nested containers in order, and the structure to put them back into. Dicts keep their order.

    With ``settings`` a dataclass that holds no array is a leaf.

    Raises
    ------
    ArgumentError
        If they are nested too deep, or one contains itself.
    """
    if not is_container(value) or (settings and _is_settings(value)):
        return [value], LEAF
    if depth == DEEPEST:
        raise ArgumentError(
            f"a {type(value).__name__} is nested in more than {DEEPEST} lists, tuples and dicts, or contains itself; "
            "give flat lists of arrays"
        )
    keys, parts = parts_of(value)
    leaves: list[Any] = []
    structures = []
    for part in parts:
        below, structure = flatten(part, depth + 1, settings)
        leaves += below
        structures.append(structure)
    return leaves, (type(value), keys, tuple(structures))


def unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    """The container of this structure with these leaves."""
    if structure is LEAF:
        return next(leaves)
    kind, keys, structures = structure
    parts = [unflatten(s, leaves) for s in structures]
    if type(keys) is _Rest:
        return keys.make(keys.rest, parts)
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
    """How each leaf is reached from the container, such as ``[0]['weights'].bias``."""
    if structure is LEAF:
        return [""]
    pairs = zip(step_names(structure), structure[2], strict=True)
    return [f"{step}{name}" for step, part in pairs for name in leaf_names(part)]


def step_names(structure: Structure) -> list[str]:
    """How each part of a container is reached from it."""
    _, keys, structures = structure
    if type(keys) is _Rest and keys.names:
        return [f".{name}" for name in keys.names]
    return [f"[{step!r}]" for step in (range(len(structures)) if keys is None or type(keys) is _Rest else keys)]
