"""Views: Tensors that are another look at the elements of one, their base.

``y = x[1:]`` is a view as in NumPy: what is written into one shows in the other. Nodes never change, so this is a
matter of handles. A view knows its base, which is no view itself, and the way from there: operations that look at the
same elements. When a base changes, its views lose their nodes; who reads one finds it made anew. Writing into a view
writes into its base. What a handle is tied to stands in its ``_tie``: the views of a base, or the base of a view.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import ops
from ..core.avals import Aval
from ..core.primitives import Primitive, Signature
from ..errors import ArgumentError, UnsupportedError
from ..nodes import Constant, Node, Slot, Unknown, Variable, freeze, operation
from ..tracing import UNKNOWN
from ..unrecorded import blocks
from ..watching import note_order, refuse_change
from . import settling

# What each operation is, and what it takes: the results of those before by number (the base is 0), or other nodes.
Way = tuple[tuple[Signature, tuple["int | Node", ...]], ...]

# Whether NumPy has a view there or a copy; where that depends on strides that a Tensor does not have, nobody knows.
VIEW, COPY, UNDECIDED = "view", "copy", "undecided"

# A base looks which of its views are still there each time that it has noted so many more.
NOTED = 64


class Views(list["weakref.ref[Any]"]):
    """The views of a base that have nodes.

    Attributes
    ----------
    longest : int
        Up to how many it is not looked which are still there.
    first : weakref to Node or None
        What the base was before it changed: in what order an array is in memory is decided when it is made.
    """

    # Of the class, so that making one is one call into C.
    first: weakref.ref[Node] | None = None
    longest = 0

    def prune(self) -> None:
        """Forget those that are gone, if there may be many."""
        if len(self) > self.longest:
            self[:] = [reference for reference in self if reference() is not None]
            self.longest = 2 * len(self)


class View:
    """How a handle is made from its base. Until somebody asks for more than the base, that alone is in ``_tie``."""

    __slots__ = ("base", "owns", "read_only", "state", "way")

    def __init__(self, base: Any, read_only: bool = False, owns: bool = False):
        self.base = base
        self.read_only = read_only
        # Whether it is what the base was until it got another shape.
        self.owns = owns
        self.way: Way | None = None
        self.state = VIEW

    def find(self, node: Node, origin: Node, before: Way = ()) -> None:
        """Find the way to a node that was made of ``origin``, where ``before`` leads; and what NumPy has there."""
        self.way = _way(settling.origin(node), origin, before)
        if self.way is None:
            self.way, self.state = (), COPY
        elif not self.read_only:
            self.state = _state(self.base, self.way)


def look(tensor: Any, base: Any, read_only: bool = False) -> Any:
    """A new handle, now a view of another one (or of what that is a view of)."""
    node = tensor._node
    if node is base._node or (blocks and settling.origin(node) is base._node):
        # A node is one version of one handle.
        node = ops.identity(base._node)
        node = tensor._node = settling.settled(node) if blocks else node
    between = None if base._tie is None or type(base._tie) is Views else view_of(base)
    if between is None:
        tensor._tie = View(base, True) if read_only else base
    else:
        assert between.way is not None
        tensor._tie = view = View(between.base, read_only or between.read_only)
        view.find(node, base._node, between.way)
        base = between.base
    views = base._tie
    if views is None:
        views = base._tie = Views()
    views.append(weakref.ref(tensor))
    if not len(views) % NOTED:
        views.prune()
    return tensor


def view_of(tensor: Any) -> View | None:
    """How a handle is made from its base; None if it is no view."""
    tie = tensor._tie
    if tie is None or type(tie) is Views:
        return None
    if type(tie) is not View:
        tie = tensor._tie = View(tie)
    if tie.way is None:
        tie.find(tensor._node, tie.base._node)
    elif type(tie.base._tie) is View:
        # What it was made of got another shape in place, and is a view of what stands for the elements now.
        tie.base = tie.base._tie.base
    if tie.state is COPY:
        tensor._tie = None
        return None
    return tie


def forget(base: Any) -> None:
    """Let the views of a handle, which is about to stand for another node, be made anew when they are read.

    Until it does that, whoever reads one finds the node that it had: nothing is torn by an interrupt.
    """
    views = base._tie
    if not views or type(views) is not Views:
        return
    noted = len(views)
    for reference in views[:noted]:
        tensor = reference()
        if tensor is not None and type(tensor) is tensor._live and view_of(tensor) is not None:
            slot = tensor._named_slot()
            slot.value, slot.node = None, partial(_present, reference)
            tensor.__class__ = tensor._stale
            # Nothing of its history is kept till somebody reads it.
            tensor._live._node.__set__(tensor, None)
    views.first = views.first or weakref.ref(base._node)
    del views[:noted]


def _present(reference: weakref.ref[Any]) -> Node | None:
    """The node of a view as it is now."""
    tensor = reference()
    return None if tensor is None else tensor._node


def remade(tensor: Any) -> Node:
    """The node of a view whose base has changed, made from what that is now."""
    view = view_of(tensor)
    assert view is not None
    assert view.way is not None
    if view.state is UNDECIDED:
        raise _ambiguous("reading", view)
    node = _made(view.base._node, view.way)[-1]
    _revive(tensor, view, node)
    return node


def _revive(tensor: Any, view: View, node: Node) -> None:
    """Let a view stand for a node, and be noted by its base: first that, so that no change is missed."""
    view.base._tie.append(weakref.ref(tensor))
    slot, reference = tensor._slot, weakref.ref(node)
    node.renamed = slot
    tensor._live._node.__set__(tensor, node)
    slot.node = reference
    tensor.__class__ = tensor._live


def written(tensor: Any, node: Node, what: str) -> bool:
    """Whether a handle is a view; then its base has changed so that it is ``node``."""
    view = view_of(tensor)
    if view is None:
        return False
    if view.read_only:
        raise ArgumentError(
            f"{what}: this Tensor {node.aval!r} is a view that is read-only, as NumPy's; write into its base"
        )
    if view.state is UNDECIDED:
        raise _ambiguous(what, view)
    base, way = view.base, view.way
    assert way is not None
    parents = _made(base._node, way[:-1])
    value = node
    for (signature, inputs), parent in zip(reversed(way), reversed(parents), strict=True):
        value = LOOKS[signature.primitive](parent, value, inputs, signature)
    # This makes all views of the base be made anew; the one at hand is known, if it is more than a value.
    base._rebind(value, what)
    if not settling.is_settled(node):
        _revive(tensor, view, node)
    return True


# --- another shape in place ------------------------------------------------------------------------------------------


def reshape_in_place(tensor: Any, shape: tuple[int, ...]) -> None:
    """Give a handle another shape: as NumPy, only where its elements need not be copied for that."""
    node, what = tensor._node, f"shape = {shape}"
    refuse_change(node, tensor._slot, what)
    reshaped = ops.reshape(node, shape)
    if reshaped is node or reshaped.aval.shape == node.aval.shape:
        return
    view, others = view_of(tensor), living(tensor)
    if view is None and not others and not _changed(tensor):
        # Nobody shares the elements, so the order that they have in memory does not matter.
        slot = None
        if type(node) in (Variable, Constant) and node.aval.place is None:
            # It remains a variable, of the new shape.
            value = freeze(node.value.reshape(shape))
            slot = Slot(value, tensor.name)
            reshaped = type(node)(reshaped.aval, value, slot)
        _become(tensor, reshaped, slot)
        return
    base, before, read_only = (tensor, (), False) if view is None else (view.base, view.way, view.read_only)
    assert before is not None
    renewed = View(base, read_only, owns=view is None or view.owns)
    renewed.find(reshaped, node, before)
    if renewed.state is COPY:
        raise ArgumentError(
            f"{what}: the elements of this Tensor {node.aval!r} would have to be copied, so that it would share them "
            "with nobody; write t = t.reshape(...)"
        )
    if renewed.state is UNDECIDED:
        raise _ambiguous(what, renewed)
    if view is None:
        # What its views look at is from now on a handle of the old shape, and so is this one a view of that.
        renewed.base = _stand_in(tensor)
        renewed.base._tie.append(weakref.ref(tensor))
    tensor._slot, tensor._tie, tensor._node = None, renewed, reshaped


def _changed(tensor: Any) -> bool:
    """Whether a handle was changed when it had views, which may be there although they have no nodes."""
    return type(tensor._tie) is Views and tensor._tie.first is not None


def _stand_in(tensor: Any) -> Any:
    """A handle that stands for what another one is, and has its views."""
    base = tensor._live.__new__(tensor._live)
    base._node, base._slot, base._tie = tensor._node, tensor._slot, tensor._tie
    return base


def resize_in_place(tensor: Any, shape: tuple[int, ...]) -> None:
    """Give a handle another number of elements, with zeros behind; as NumPy, only if nobody shares them."""
    node, what = tensor._node, f"resize{shape}"
    refuse_change(node, tensor._slot, what)
    if view_of(tensor) is not None:
        raise ArgumentError(
            f"{what}: this Tensor {node.aval!r} is a view, and does not own its elements; write t = np.resize(t, ...), "
            "or join it with zeros"
        )
    size = math.prod(shape)
    if size == node.aval.size:
        reshape_in_place(tensor, shape)
        return
    if living(tensor) or _changed(tensor):
        raise ArgumentError(
            f"{what}: this Tensor {node.aval!r} has views, or was written into when it had some, and their elements "
            "would be gone; write t = np.concatenate(...), or resize a copy"
        )
    if not _is_ordered(node):
        raise _ambiguous(what, View(tensor))
    flat = ops.reshape(node, (-1,))
    if size < node.aval.size:
        flat = ops.take_slices(flat, slice(size))
    else:
        flat = ops.concatenate([flat, ops.full((size - node.aval.size,), 0, node.aval.dtype)], 0)
    _become(tensor, ops.reshape(flat, shape), None)


def living(base: Any) -> list[Any]:
    """The views of a handle that somebody still has, and that have nodes."""
    if type(base._tie) is not Views:
        return []
    found = [reference() for reference in base._tie]
    return [tensor for tensor in found if tensor is not None and view_of(tensor) is not None]


def _become(tensor: Any, node: Node, slot: Slot | None) -> None:
    """Let a handle stand for another quantity: who remembers the one that it was is told that it is gone."""
    old = tensor._slot
    if old is None:
        old = tensor._named_slot()
    gone = _gone
    # On one line, and without a call: no interrupt comes between these.
    old.value, old.node, tensor._node, tensor._slot = None, gone, node, slot


def _gone() -> None:
    """What stands for the node of a Tensor that has become another one."""


# --- ways ------------------------------------------------------------------------------------------------------------


def _way(node: Node, origin: Node, before: Way) -> Way | None:
    """The way to a node that was made of ``origin``, where ``before`` leads; None if it was not made of it."""
    # Nearly always it is one operation, or a few, one after the other.
    chain: list[Node] = []
    x = node
    while x is not origin and x.signature is not None and x.signature.primitive in LOOKS:
        chain.append(x)
        x = x.inputs[0]
    if x is origin:
        chain.reverse()
        return before + tuple(
            [(x.signature, (place, *x.inputs[1:])) for place, x in enumerate(chain, len(before))]  # type: ignore[misc]
        )
    numbers: dict[Node, int] = {origin: len(before)}
    between = [node]
    for x in between:
        between += [y for y in x.inputs if y.sequence >= origin.sequence and y not in between and y is not origin]
    way = list(before)
    for x in sorted(between, key=lambda x: x.sequence):
        if x.signature is not None and any(y in numbers for y in x.inputs):
            way.append((x.signature, tuple([numbers.get(y, y) for y in x.inputs])))
            numbers[x] = len(way)
    return tuple(way) if node in numbers else None


def _made(base: Node, way: Sequence[tuple[Signature, tuple[int | Node, ...]]]) -> list[Node]:
    """The base and what is made of it, one operation after the other."""
    nodes = [base]
    for signature, inputs in way:
        given = tuple([nodes[x] if isinstance(x, int) else x for x in inputs])
        avals = tuple([x.aval for x in given])
        if avals != signature.inputs:
            signature = signature.primitive.signature(avals, signature.params)
        nodes.append(operation(signature, given))
    return nodes


def _state(base: Any, way: Way) -> str:
    """What NumPy has at the end of a way: a reshape is a copy if strides do not go together."""
    for place, (signature, inputs) in enumerate(way):
        if signature.primitive not in LOOKS or inputs[0] != place or any(isinstance(x, int) for x in inputs[1:]):
            return COPY
        if signature.primitive is ops.index and len(inputs) > 2:
            return COPY
    if not any(_merges(signature) for signature, _ in way):
        return VIEW
    views, node = base._tie, base._node
    first = views.first() if type(views) is Views and views.first else None
    return (VIEW if _shares(node.aval, way) else COPY) if _is_ordered(first or node) else UNDECIDED


def _merges(signature: Signature) -> bool:
    """Whether an operation is a reshape that does more than add and take away axes of one element."""
    if signature.primitive is not ops.reshape_p:
        return False
    (before,), after = signature.inputs, signature.out
    return [n for n in before.shape if n != 1] != [n for n in after.shape if n != 1]


def _shares(base: Aval, way: Way) -> bool:
    """Whether NumPy's operations on a C-contiguous array end in a view of it."""
    steps = [math.prod(base.shape[axis + 1 :]) for axis in range(base.ndim)]
    # Of no memory but one element, which nobody reads.
    x = np.lib.stride_tricks.as_strided(np.zeros((), np.int8), base.shape, steps)
    for signature, inputs in way:
        primitive = signature.primitive
        if primitive is ops.index:
            assert isinstance(inputs[1], Node)
            x = x[inputs[1].value]
        elif primitive is ops.transpose_p:
            x = x.transpose(*signature.params)
        elif primitive is ops.reshape_p:
            try:
                x = _viewed(x, signature.out.shape)
            except (AttributeError, ValueError):
                return False
    return True


if np.lib.NumpyVersion(np.__version__) < "2.1.0":

    def _viewed(x: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """A view of another shape; an error if there is none."""
        x = x.view()
        x.shape = shape
        return x

else:

    def _viewed(x: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """A view of another shape; an error if there is none."""
        return x.reshape(shape, copy=False)


# Operations whose result has the axes in memory in the order of their operands.
_KEEPING = ("elementwise", "reduction", "indexing", "contraction")

# A longer history is not searched.
LONGEST_SEARCH = 1000


def _is_ordered(base: Node) -> bool:
    """Whether NumPy certainly has an array in C order, its last axis being the nearest in memory."""
    seen = {base}
    stack = [base]
    while stack:
        if len(seen) > LONGEST_SEARCH:
            return False
        node = stack.pop()
        signature = node.signature
        if signature is None and type(node.value) is Unknown:
            # An element of a batch is an array of its own.
            if node.value is UNKNOWN:
                note_order(node)
        elif signature is None:
            flags = getattr(node.value, "flags", None)
            if node.aval.ndim > 1 and not (flags is not None and flags.c_contiguous):
                return False
        if signature is None or signature.primitive.kind == "contraction" or node.aval.ndim < 2:
            continue
        primitive = signature.primitive
        if primitive.kind not in _KEEPING and primitive not in _ORDERED:
            return False
        # What is written into an array does not change its order.
        inputs = node.inputs[:1] if primitive.kind == "indexing" else node.inputs
        fresh = [x for x in inputs if x not in seen and x.aval.spec is None]
        seen.update(fresh)
        stack += fresh
    return True


_ORDERED = (ops.reshape_p, ops.broadcast_to_p, ops.concatenate_p, ops.cumsum_p, ops.cumprod_p, ops.place_p)


# --- writing along a way ---------------------------------------------------------------------------------------------


def _whole(parent: Node, value: Node, inputs: tuple[Any, ...], signature: Signature) -> Node:
    return value


def _indexed(parent: Node, value: Node, inputs: tuple[Any, ...], signature: Signature) -> Node:
    return ops.index_set(parent, inputs[1], value)


def _reshaped(parent: Node, value: Node, inputs: tuple[Any, ...], signature: Signature) -> Node:
    return ops.reshape(value, parent.aval.shape)


def _transposed(parent: Node, value: Node, inputs: tuple[Any, ...], signature: Signature) -> Node:
    (axes,) = signature.params
    return ops.transpose(value, tuple(sorted(range(len(axes)), key=axes.__getitem__)))


def _repeated(parent: Node, value: Node, inputs: tuple[Any, ...], signature: Signature) -> Node:
    if parent.aval.shape == signature.out.shape:
        return value
    raise ArgumentError(
        f"writing into a broadcast Tensor {signature.out!r}: it is read-only, as NumPy's; write into a copy"
    )


def _real_part(parent: Node, value: Node, inputs: tuple[Any, ...], signature: Signature) -> Node:
    return value if parent.aval.dtype.kind != "c" else ops.of_parts(value, ops.imag(parent))


def _imaginary_part(parent: Node, value: Node, inputs: tuple[Any, ...], signature: Signature) -> Node:
    return ops.of_parts(ops.real(parent), value)


# Operations that look at the elements of their operand: what the operand is once the result has been written into.
LOOKS: dict[Primitive, Callable[..., Node]] = {
    ops.identity: _whole,
    ops.stop_gradient: _whole,
    ops.index: _indexed,
    ops.reshape_p: _reshaped,
    ops.transpose_p: _transposed,
    ops.broadcast_to_p: _repeated,
    ops.real: _real_part,
    ops.imag: _imaginary_part,
}


def _ambiguous(what: str, view: View) -> UnsupportedError:
    return UnsupportedError(
        f"{what}: whether this Tensor, a reshape of {view.base._node.aval!r}, is a view or a copy depends on the "
        "order of its elements in memory, which is not known here. Write into the base by an index, or reshape a copy: "
        "t.copy().reshape(...)"
    )
