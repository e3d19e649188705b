"""``vmap``: a function of one element applied to all elements of a batch at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from .. import ops
from ..arguments import count
from ..batch import batched
from ..containers import LEAF, Structure, flatten, is_container, leaf_names, parts_of, step_names, unflatten
from ..convert import describe
from ..core.avals import WEAK_FLOAT, Aval, intern_aval
from ..engine import Walk
from ..errors import ArgumentError, AutodiffError, AxisError, ShapeError, several, shown
from ..nodes import NO_SLOT, Argument, Node
from ..places import placed
from ..tensor import Tensor, wrap
from ..tracebacks import boundary
from ..tracing import BATCHED
from ..vectors import PYTHON_NUMBERS, drawn
from ..watching import call_watched
from .calls import Aux, Results, together

P = ParamSpec("P")
T = TypeVar("T")


@boundary
def vmap(function: Callable[P, T], in_axes: Any = 0, out_axes: Any = 0, axis_size: int | None = None) -> Callable[P, T]:
    """A function of one element as one of a batch of elements.

    Parameters
    ----------
    function : callable
        Written with NumPy, for one element; returns arrays or numbers, or containers of them. It is called once, with
        Tensors of which only shapes and dtypes are known.
    in_axes : int, None, or container of these, optional
        Along which axis of the arguments the elements are; None for an argument that is the same for all. One for all
        arguments, or a sequence with one for each; for an argument that is a container one for the whole, or a
        container of them. Arguments by name have their elements along the first axis.
    out_axes : int, None, or container of these, optional
        Along which axis of the results they are to be; None for a result that is the same for all.
    axis_size : int, optional
        How many elements there are; needed where no argument has any.

    Returns
    -------
    callable
        Takes arguments with one more axis, and returns what the function returns with one more axis.

    Raises
    ------
    ArgumentError
        If ``in_axes`` or ``out_axes`` do not fit the arguments or results.
    AxisError
        When called, if an argument has no such axis.
    ShapeError
        When called, if arguments are of different numbers of elements.
    TraceError
        When called, if the function looks at a value that differs from element to element.
    UnsupportedError
        When called, if an operation cannot be batched.

    Notes
    -----
    The nodes that the function records are made nodes of the whole batch, which one plan computes: no loop is left.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.vmap(np.dot)(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2)))
    array([3., 7.])
    >>> per_sample = ad.vmap(ad.grad(lambda w, x: np.tanh(w @ x)), in_axes=(None, 0))
    >>> per_sample(np.zeros(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    """
    if not callable(function):
        raise ArgumentError(f"vmap: {shown(function)} is not callable; give the function of one element")
    _check_axes(in_axes, "in_axes")
    _check_axes(out_axes, "out_axes")
    if axis_size is not None:
        axis_size = count(axis_size, "vmap: axis_size", 0)

    @functools.wraps(function)
    @boundary
    def batch(*args: P.args, **kwargs: P.kwargs) -> Any:
        return _Elements(args, kwargs, in_axes, axis_size).applied(function, out_axes)

    return batch


def _check_axes(axes: Any, name: str) -> None:
    for axis in flatten(axes)[0]:
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int)):
            raise ArgumentError(f"vmap: {name}={shown(axes)} must be an integer, None, or a container of these")


def _of_each(axes: Any, structure: Structure, name: str, what: str) -> list[int | None]:
    """An axis for each leaf of a structure, of which ``axes`` may have the outer part only."""
    if not is_container(axes):
        return [axes] * len(leaf_names(structure))
    keys, parts = parts_of(axes)
    fits = structure is not LEAF and (keys, len(parts)) == (structure[1], len(structure[2]))
    if not fits or (keys is not None and type(axes) is not structure[0]):
        raise ArgumentError(
            f"vmap: {name} must be nested as {what} is, {drawn(structure)}, or be one axis for all of it, not "
            f"{shown(axes)}"
        )
    found: list[int | None] = []
    for part, inner, step in zip(parts, structure[2], step_names(structure), strict=True):
        found += _of_each(part, inner, name, what + step)
    return found


class _Elements:
    """The arguments of a call, and what stands for an element of each.

    Attributes
    ----------
    size : int
        How many elements there are.
    """

    __slots__ = ("_args", "_axes", "_given", "_kwargs", "_stand_ins", "size")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Any, axis_size: int | None):
        if is_container(in_axes) and not isinstance(in_axes, (list, tuple)):
            raise ArgumentError(f"vmap: in_axes={shown(in_axes)} must be an integer, None, or a sequence")
        if isinstance(in_axes, (list, tuple)) and len(in_axes) != len(args):
            raise ArgumentError(
                f"vmap: in_axes={shown(in_axes)} has {several(len(in_axes), 'entry', 'entries')}, but the function was "
                f"called with {several(len(args), 'positional argument')}"
            )
        self._stand_ins: list[Node] = []
        self._given: list[Node] = []
        self._axes: list[int] = []
        sizes: list[tuple[str, int]] = [] if axis_size is None else [("axis_size", axis_size)]
        self._args = [
            self._replaced(value, in_axes[i] if isinstance(in_axes, (list, tuple)) else in_axes, f"args[{i}]", sizes)
            for i, value in enumerate(args)
        ]
        self._kwargs = {name: self._replaced(value, 0, name, sizes) for name, value in kwargs.items()}
        if not sizes:
            raise ArgumentError("vmap: no argument has an axis of elements (in_axes is None for all); give axis_size=")
        name, self.size = sizes[0]
        for other, size in sizes:
            if size != self.size:
                raise ShapeError(
                    f"vmap: {other} has {size} elements along its axis, but by {name} there are {self.size}; all that "
                    "are mapped must have as many (in_axes=None for what is the same for all)"
                )

    def _replaced(self, value: Any, axes: Any, label: str, sizes: list[tuple[str, int]]) -> Any:
        """An argument with Tensors that stand for an element of each array in it."""
        leaves, structure = flatten(value)
        names = [f"{label}{name}" for name in leaf_names(structure)]
        own = _of_each(axes, structure, "in_axes", label)
        found = []
        for leaf, axis, name in zip(leaves, own, names, strict=True):
            if axis is None or leaf is None or isinstance(leaf, str) or callable(leaf):
                found.append(leaf)
                continue
            node = _node_of(leaf, name)
            ndim = node.aval.ndim
            if not -ndim <= axis < ndim:
                raise AxisError(
                    f"vmap: {name} is {describe(leaf)}, which has no axis {axis} of elements; give in_axes=None for "
                    "what is the same for all"
                )
            axis %= ndim
            shape = node.aval.shape
            sizes.append((name, shape[axis]))
            one = _element(node.aval, axis)
            self._given.append(node)
            self._axes.append(axis)
            self._stand_ins.append(Argument(one, BATCHED, NO_SLOT))
            found.append(wrap(self._stand_ins[-1]))
        return unflatten(structure, iter(found))

    def applied(self, function: Callable[..., Any], out_axes: Any) -> Any:
        """What the function returns for all elements."""
        # What is younger belongs to this call, also if no argument has elements.
        begin: Node = Argument(WEAK_FLOAT, BATCHED, NO_SLOT)
        if self._stand_ins:
            begin = self._stand_ins[0]
        out = call_watched(function, self._args, self._kwargs, self._stand_ins, "vmap")
        results = Results(out, "vmap", beside=False)
        axes = _of_each(out_axes, results.structure, "out_axes", "result")
        normal = []
        for node, axis, name in zip(results.nodes, axes, leaf_names(results.structure), strict=True):
            ndim = node.aval.ndim + 1
            if axis is not None and not -ndim <= axis < ndim:
                raise AxisError(
                    f"vmap: out_axes={axis} is out of range for result{name}, which has "
                    f"{several(ndim, 'axis', 'axes')} with that of the batch"
                )
            normal.append(None if axis is None else axis % ndim)
        names = tuple(leaf_names(results.structure))
        walk = Walk(batched, (self.size, tuple(self._axes), tuple(normal), names), derived=False)
        own = self._stand_ins or [begin]
        found = together(walk, results.nodes, self._stand_ins, own, self._given, Aux(()), values=False)[1]
        return results.rebuilt(found)


def _element(aval: Aval, axis: int) -> Aval:
    """What is known of one element along an axis."""
    shape = aval.shape[:axis] + aval.shape[axis + 1 :]
    return intern_aval(shape, aval.dtype, place=aval.place)


def _node_of(value: Any, name: str) -> Node:
    """A node for an argument that has elements."""
    if isinstance(value, Tensor):
        # A fresh name: what stands for an argument of another transformation is none of this one.
        return ops.identity(value._node)
    if type(value) in PYTHON_NUMBERS:
        raise AxisError(
            f"vmap: {name} is the number {shown(value)}, which has no axis of elements; give in_axes=None for what "
            "is the same for all"
        )
    try:
        array, aval = placed(value, constant=True)
    except AutodiffError as error:
        error.within(f"vmap: {name}")
        raise
    return Argument(aval, array, NO_SLOT)
