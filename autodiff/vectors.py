"""Vectors that are multiplied with derivatives: tangents and cotangents, as nodes shaped as what they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import ops
from .containers import LEAF, Structure, flatten, is_container, leaf_names, step_names
from .convert import describe, is_complex
from .core.avals import Aval
from .errors import ArgumentError, AutodiffError, DTypeError, ShapeError
from .nodes import NO_SLOT, Argument, Node, freeze
from .places import taken
from .tensor import Tensor

PYTHON_NUMBERS = frozenset((float, int, bool, complex))


def vector(value: Any, aval: Aval, what: str) -> Node:
    """A node for a tangent or a cotangent of something, of its shape and dtype; ``what`` says what was given."""
    if isinstance(value, Tensor):
        node: Node = value._node
        given = node.aval
        if given.shape != aval.shape:
            raise _misfit(what, describe(value), aval)
        if given.dtype.kind == "c" and aval.dtype.kind != "c":
            raise _imaginary(what, describe(value), aval)
        # A fresh name: what stands for an argument of another transformation is none of this one.
        return ops.identity(node) if given.dtype == aval.dtype else ops.astype(node, aval.dtype)
    if aval.weak and type(value) in PYTHON_NUMBERS:
        if type(value) is complex and aval.dtype.kind != "c":
            raise _imaginary(what, describe(value), aval)
        return Argument(aval, complex(value) if aval.dtype.kind == "c" else float(value), NO_SLOT)
    if type(value) is np.ndarray and value.dtype is aval.dtype and value.shape == aval.shape and aval.place is None:
        return Argument(aval, freeze(value.view()), NO_SLOT)
    try:
        if aval.dtype.kind != "c" and is_complex(value):
            raise _imaginary(what, describe(value), aval)
        array = taken(value, aval, aval.place)
    except AutodiffError as error:
        error.within(what)
        raise
    if tuple(array.shape) != aval.shape:
        raise _misfit(what, describe(value), aval)
    if aval.weak:
        return Argument(aval, np.asarray(array).item(), NO_SLOT)
    return Argument(aval, freeze(array.view() if isinstance(array, np.ndarray) else array), NO_SLOT)


def _misfit(what: str, given: str, aval: Aval) -> ShapeError:
    return ShapeError(f"{what} is {given}, but must have the shape of what it belongs to, {aval!r}")


def _imaginary(what: str, given: str, aval: Aval) -> DTypeError:
    return DTypeError(f"{what} is {given}, but belongs to {aval!r}, which has no imaginary part; take np.real of it")


def vectors(value: Any, structure: Structure, avals: Sequence[Aval], what: str) -> list[Node]:
    """Nodes for tangents or cotangents that come in the structure of what they belong to."""
    if structure is LEAF and not is_container(value):
        return [vector(value, avals[0], what)]
    leaves, given = flatten(value)
    if given != structure and not alike(given, structure):
        if structure is LEAF and len(avals) == 1:
            # Lists of numbers, where an array is meant.
            return [vector(value, avals[0], what)]
        path, wanted, other = _difference(structure, given)
        raise ArgumentError(
            f"{what}{path} must be nested as what it belongs to is: {drawn(wanted)}, but it is {drawn(other)}"
        )
    names = leaf_names(structure)
    return [vector(leaf, aval, what + name) for leaf, aval, name in zip(leaves, avals, names, strict=True)]


def _difference(structure: Structure, given: Structure) -> tuple[str, Structure, Structure]:
    """Where two structures that are not alike begin to differ, and how."""
    if structure is not LEAF and given is not LEAF and given[1] == structure[1]:
        parts = structure[2]
        if len(given[2]) == len(parts) and (given[0] is structure[0] or {given[0], structure[0]} <= {list, tuple}):
            for step, one, other in zip(step_names(structure), parts, given[2], strict=True):
                if not alike(other, one):
                    path, wanted, found = _difference(one, other)
                    return f"{step}{path}", wanted, found
    return "", structure, given


def alike(given: Structure, structure: Structure) -> bool:
    """Whether two structures differ in nothing but lists where there are tuples."""
    if structure is LEAF or given is LEAF:
        return given is structure
    kind, keys, parts = given
    if keys != structure[1] or len(parts) != len(structure[2]):
        return False
    if kind is not structure[0] and not {kind, structure[0]} <= {list, tuple}:
        return False
    return all(alike(one, other) for one, other in zip(parts, structure[2], strict=True))


def drawn(structure: Structure) -> str:
    """A structure as text, with a star for each leaf."""
    if structure is LEAF:
        return "an array"
    kind, keys, parts = structure
    inner = [drawn(part).replace("an array", "*") for part in parts]
    if keys is None:
        text = f"{'' if kind in (list, tuple) else kind.__name__}[{', '.join(inner)}]"
        return text if kind is list else f"{text.replace('[', '(', 1)[:-1]})"
    if isinstance(keys, tuple):
        return "{" + ", ".join([f"{key!r}: {part}" for key, part in zip(keys, inner, strict=True)]) + "}"
    return f"{kind.__name__}({', '.join(inner)})"


def captured(nodes: Sequence[Node]) -> list[Node]:
    """The same nodes, their arrays copied: what is recorded captures values."""
    return [
        Argument(node.aval, freeze(node.value.copy()), NO_SLOT)
        if type(node) is Argument and isinstance(node.value, np.ndarray)
        else node
        for node in nodes
    ]
