"""Keys of what is part of the structure of a traced call: values that differ have keys that differ.

Python's equality is too coarse for that: ``1``, ``1.0`` and ``True`` are equal, as are ``0.0`` and ``-0.0``, also in
fields of dataclasses and keys of dicts.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from typing import Any

import numpy as np

# Values of these are told apart by type and equality.
_PLAIN = (int, str, bytes, bool, type(None), types.EllipsisType, type, types.FunctionType, types.BuiltinFunctionType)


class Same:
    """A value that equals only itself, and is kept alive, so that no other one takes its place."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Same and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def static_key(value: Any) -> Any:
    """A key that equals that of another value only if the two are the same in type and content.

    An object that equals only itself is its own key; one with an equality of its own is taken apart into its fields.
    Hashing the key raises TypeError if there is something in it that cannot be told apart.
    """
    kind: Any = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind is float or kind is complex:
        return kind, repr(value)
    if isinstance(value, enum.Enum):
        return kind, value.name
    if isinstance(value, (tuple, list)):
        return kind, tuple([static_key(part) for part in value])
    if isinstance(value, dict):
        return kind, tuple([(static_key(k), static_key(v)) for k, v in value.items()])
    if isinstance(value, frozenset):
        return kind, frozenset([static_key(part) for part in value])
    if isinstance(value, slice):
        return kind, static_key((value.start, value.stop, value.step))
    if isinstance(value, (np.ndarray, np.generic)):
        return kind, np.dtype(value.dtype), value.shape, value.tobytes()
    if kind.__eq__ is object.__eq__:
        return kind, Same(value)
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return kind, tuple([(name, static_key(getattr(value, name, None))) for name in fields]), _attributes(value)
    if kind.__hash__ is None:
        return kind, value
    # A value of its own class, such as a Fraction: its text tells apart what its equality may not.
    return kind, Same(value) if hasattr(value, "__array__") else value, repr(value), _attributes(value)


def _attributes(value: Any) -> Any:
    return static_key(getattr(value, "__dict__", None))
