"""Functions that are given to loops and branches: each is called once, and what it recorded is a body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from mmap import mmap
from typing import Any

import numpy as np

from .. import ops
from ..containers import flatten, leaf_names, unflatten
from ..convert import as_node
from ..core.avals import Aval, intern_aval
from ..core.primitives import PYTHON_TYPES
from ..engine import Walk, collected_of
from ..errors import ArgumentError, AutodiffError, DTypeError, ShapeError, TraceError
from ..nodes import NO_SLOT, Argument, Constant, Node, Unknown, now
from ..places import placed
from ..tensor import Tensor, wrap
from ..tracing import unknowns
from ..vectors import alike, drawn
from ..watching import call_watched, traced
from .calls import ENGINE

PYTHON_NUMBERS = frozenset(PYTHON_TYPES.values())


class Leaves:
    """The arrays and numbers of a container: nodes for them. None is no array, and stays what it is.

    Parameters
    ----------
    value : object
    what : str
        What it is called in messages.
    name : str
        The function of this library, for messages.

    Attributes
    ----------
    nodes : list of Node
    paths : list of str
        How each is reached.
    recorded : bool
        Whether there are Tensors among them.
    """

    __slots__ = ("_places", "_values", "name", "nodes", "paths", "recorded", "structure")

    def __init__(self, value: Any, what: str, name: str):
        self.name = name
        self._values, self.structure = flatten(value)
        self._places = [i for i, leaf in enumerate(self._values) if leaf is not None]
        names = leaf_names(self.structure)
        self.paths = [f"{what}{names[i]}" for i in self._places]
        self.recorded = any(isinstance(leaf, Tensor) for leaf in self._values)
        self.nodes = [_node(self._values[i], f"{name}: {path}") for i, path in self._placed()]

    def _placed(self) -> Iterable[tuple[int, str]]:
        return zip(self._places, self.paths, strict=True)

    def rebuilt(self, leaves: Iterable[Any]) -> Any:
        """The same container with these in place of its arrays."""
        values = list(self._values)
        for i, leaf in zip(self._places, leaves, strict=True):
            values[i] = leaf
        return unflatten(self.structure, iter(values))

    def captured(self) -> Leaves:
        """The same, sharing no memory with arrays that were given."""
        for k, i in enumerate(self._places):
            node, value = self.nodes[k], self._values[i]
            if not isinstance(value, Tensor) and type(node) is Argument and not _is_fixed(value):
                self.nodes[k] = as_node(node.value)
        return self

    def check(self, other: Leaves, what: str) -> None:
        """An error unless another container is nested as this one is, with arrays in the same places."""
        if not alike(other.structure, self.structure):
            raise ArgumentError(
                f"{self.name}: {what} must be nested as {drawn(self.structure)}, but is {drawn(other.structure)}"
            )
        if other._places != self._places:
            names = leaf_names(self.structure)
            (i, *_) = {*other._places} ^ {*self._places}
            raise ArgumentError(
                f"{self.name}: {what} is None at {names[i] or 'the whole'} in one place, and not in the other"
            )


def _is_fixed(value: Any) -> bool:
    """Whether nobody can write to an array: to one of a file that is open for reading, for one. It may be large."""
    while isinstance(value, np.ndarray):
        if value.flags.writeable:
            return False
        value = value.base
    return value is None or isinstance(value, (bytes, mmap))


def _node(value: Any, path: str) -> Node:
    """A node for an array or a number; it shares memory with what was given."""
    if isinstance(value, Tensor):
        node: Node = value._node
        return node
    try:
        if type(value) in PYTHON_NUMBERS:
            return as_node(value)
        array, aval = placed(value, constant=True)
    except AutodiffError as error:
        error.within(path)
        raise
    return Argument(aval, array, NO_SLOT)


def stands_for(aval: Aval) -> Aval:
    """What is known of a stand-in: no number of the structure, which may be another one in the next step."""
    return intern_aval(aval.shape, aval.dtype, aval.weak, place=aval.place)


class Call:
    """A call of a function with nodes of which only shapes and dtypes are known.

    Attributes
    ----------
    out : object
        What it returned.
    begin : int
        What it recorded is younger.
    """

    __slots__ = ("begin", "out")

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], names: list[Node], name: str):
        # What it is given is its own: it may write into it.
        self.begin = names[0].sequence - 1 if names else now()
        self.out, _ = traced(self.begin, _unknown, call_watched, function, args, {}, names, name, name=name)


def _unknown(node: Node) -> None:
    """The value of a node in a body: nobody knows it, since a body is of all its calls."""


def names_for(avals: Iterable[Aval], name: str) -> list[Node]:
    """Stand-ins for what a function is given."""
    unknown = Unknown(
        TraceError,
        f"a value was needed in a function given to autodiff.{name}, which is called once, with Tensors of which only "
        "shapes and dtypes are known: print, float(), an if, a boolean mask, or a conversion to an array. Use "
        "autodiff.cond or np.where instead of if, and autodiff.while_loop instead of while",
        lines=True,
    )
    return unknowns([stands_for(aval) for aval in avals], unknown)


def returned(value: Any, what: str, name: str) -> Leaves:
    """What a function returned."""
    return Leaves(value, what, name).captured()


# --- what is carried -------------------------------------------------------------------------------------------------


def promoted(weak: Aval, other: Aval) -> np.dtype[Any]:
    """The dtype of a Python number beside something else."""
    if other.weak:
        return np.result_type(weak.dtype, other.dtype)
    return np.result_type(PYTHON_TYPES[weak.dtype.kind](1), other.dtype)


class Carried:
    """What is carried from step to step: it has one structure, and each array one shape and one dtype.

    A Python number gets the dtype that it has after a step.

    Attributes
    ----------
    init : Leaves
    avals : list of Aval
    """

    __slots__ = ("avals", "init")

    def __init__(self, init: Leaves):
        self.init = init
        self.avals = [stands_for(node.aval) for node in init.nodes]

    def after(self, new: Leaves) -> list[Node] | None:
        """The nodes of what a step returned; None if it has to be recorded anew, since a number has got a dtype."""
        self.init.check(new, "what is carried")
        changed = False
        nodes: list[Node] = []
        for i, (path, node) in enumerate(zip(self.init.paths, new.nodes, strict=True)):
            own, other = self.avals[i], node.aval
            if own.shape != other.shape:
                raise ShapeError(self._differs(path, own, other, "np.broadcast_to or np.reshape"))
            if own.weak:
                self.avals[i] = intern_aval((), promoted(own, other), place=own.place)
                changed = True
            elif own.dtype != other.dtype and not (other.weak and promoted(other, own) == own.dtype):
                raise DTypeError(self._differs(path, own, other, ".astype"))
            else:
                nodes.append(as_array_of(node, own.dtype))
        return None if changed else nodes

    def _differs(self, path: str, own: Aval, other: Aval, instead: str) -> str:
        return (
            f"{self.init.name}: {path} is {own!r} before a step, and {other!r} after it; a loop carries one shape and "
            f"one dtype. Convert what the function returns, or what is given at first ({instead})"
        )

    def operands(self) -> list[Node]:
        """What is carried at first, in the dtypes that it has."""
        return [as_array_of(node, aval.dtype) for node, aval in zip(self.init.nodes, self.avals, strict=True)]


def as_array_of(node: Node, dtype: np.dtype[Any]) -> Node:
    """A node of a dtype that is no Python number."""
    return ops.strong(node) if node.aval.dtype == dtype else ops.astype(node, dtype)


# --- values ----------------------------------------------------------------------------------------------------------


def is_of_tensors(nodes: Iterable[Node], given: Iterable[Node] = ()) -> bool:
    """Whether nodes are made of Tensors, or of what stands for arguments, beside what is ``given``."""
    stack = [*nodes]
    seen = {*stack, *given}
    while stack:
        node = stack.pop()
        if not node.inputs and (type(node) is not Constant or node.slot is not None):
            return True
        fresh = [x for x in node.inputs if x not in seen]
        seen.update(fresh)
        stack += fresh
    return False


def _nothing(outputs: Sequence[Node], inputs: Sequence[Node], given: Sequence[Node]) -> list[Node]:
    return []


PLAIN = Walk(_nothing, derived=False)


def results(nodes: Sequence[Node], recorded: bool) -> list[Any]:
    """Tensors, or values if nothing is recorded."""
    if recorded:
        return wrap([*nodes])  # type: ignore[no-any-return]
    return ENGINE.values(PLAIN, collected_of(nodes, ()), nodes, (), (), nodes)
